//! `hour`, `weekday` and `holiday` as columns of a query.
//!
//! In: what conditions ask for, and the zone. Out: columns. Holidays are a list of days, from the first year that the query is about
//! to the end of the year after the one it was written in; of other days it is not known whether they are one.

use jiff::civil::{Date, date};
use jiff::tz::TimeZone;

use super::{Ask, YEARS_BEFORE};
use crate::clock::Timestamp;
use crate::policy::condition::sql::{Clock, column_name, literal};
use crate::policy::holiday::{YEAR_MAX, YEAR_MIN, is_holiday};

/// The columns that are asked for.
pub(super) fn virtual_columns(ask: &Ask, asked: Clock) -> Vec<String> {
    let local = format!("{} AT TIME ZONE {}", column_name("at"), literal(&zone_name(&ask.timezone)));
    let mut columns = Vec::new();
    if asked.hour {
        columns.push(format!("date_part('hour', {local}) AS \"hour\""));
    }
    if asked.weekday {
        columns.push(format!("date_part('isodow', {local}) AS \"weekday\""));
    }
    if asked.holiday {
        let (first, last) = years(ask);
        let day = format!("CAST({local} AS DATE)");
        let days: Vec<String> = holidays(first, last).map(|day| format!("DATE '{day}'")).collect();
        // Lists without an entry are no SQL.
        let listed = if days.is_empty() { "FALSE".to_owned() } else { format!("{day} IN ({})", days.join(", ")) };
        columns.push(format!(
            "CASE WHEN {day} BETWEEN DATE '{first:04}-01-01' AND DATE '{last:04}-12-31'\n      THEN {listed} END AS \"holiday\""
        ));
    }
    columns
}

/// The zone's name; UTC's where the system does not say where it is.
pub(super) fn zone_name(zone: &TimeZone) -> String {
    zone.iana_name().filter(|name| *name != "Etc/Unknown").unwrap_or("UTC").to_owned()
}

fn years(ask: &Ask) -> (i16, i16) {
    let year = |at: Timestamp| ask.timezone.to_datetime(at.to_jiff()).year();
    let now = year(ask.now);
    let first = ask.since.map_or(now.saturating_sub(YEARS_BEFORE), |since| year(since).saturating_sub(1));
    (first.clamp(YEAR_MIN, YEAR_MAX), now.saturating_add(1).clamp(YEAR_MIN, YEAR_MAX))
}

fn holidays(first: i16, last: i16) -> impl Iterator<Item = Date> {
    let days = std::iter::successors(Some(date(first, 1, 1)), |day| day.tomorrow().ok());
    days.take_while(move |day| day.year() <= last).filter(|day| is_holiday(*day) == Some(true))
}
