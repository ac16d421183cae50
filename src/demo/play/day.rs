//! The day that is played, the last working day before today, in Tokyo; and the weeks before it.
//!
//! In: the present. Out: moments of that day. It lies wholly in the past, so that no record is from the future.

use jiff::Span;
use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;

use crate::clock::Timestamp;

/// The shop's time zone.
pub const ZONE: &str = "Asia/Tokyo";
/// Japan has had no summer time since 1951: the offset stands in for a zone database that could not be read.
const OFFSET_HOURS: i8 = 9;

/// One day.
#[derive(Clone, Debug)]
pub struct Day {
    date: Date,
    zone: TimeZone,
}

impl Day {
    /// The last day before `now` on which offices were open: `is_holiday` says what else than a weekend is none.
    pub fn before(now: Timestamp, is_holiday: impl Fn(Date) -> bool) -> Day {
        let zone = TimeZone::get(ZONE).unwrap_or_else(|_| TimeZone::fixed(jiff::tz::offset(OFFSET_HOURS)));
        let mut date = now.to_jiff().to_zoned_datetime(zone.clone()).date();
        while let Ok(earlier) = date.yesterday() {
            date = earlier;
            if is_working(date, &is_holiday) {
                break;
            }
        }
        Day { date, zone }
    }

    /// The days of so many weeks before it, and whether offices were open on each.
    pub fn weeks_before(&self, weeks: u16, is_holiday: impl Fn(Date) -> bool) -> Vec<(Day, bool)> {
        let Ok(first) = self.date.checked_sub(Span::new().weeks(weeks)) else { return Vec::new() };
        let dates = first.series(Span::new().days(1)).take_while(|date| *date < self.date);
        dates.map(|date| (Day { date, zone: self.zone.clone() }, is_working(date, &is_holiday))).collect()
    }

    /// So many seconds after its midnight.
    pub fn at(&self, second: u32) -> Timestamp {
        let midnight =
            self.date.to_zoned_datetime(self.zone.clone()).map_or(0, |midnight| midnight.timestamp().as_microsecond());
        Timestamp(midnight).plus_micros(i64::from(second) * 1_000_000)
    }

    /// `2026-11-20`.
    pub fn date(&self) -> String {
        self.date.to_string()
    }

    /// `2026-W47`: the week that the day belongs to (ISO 8601).
    pub fn week(&self) -> String {
        let week = self.date.iso_week_date();
        format!("{}-W{:02}", week.year(), week.week())
    }

    /// `23:40`.
    pub fn time_of(&self, at: Timestamp) -> String {
        at.to_jiff().to_zoned_datetime(self.zone.clone()).strftime("%H:%M").to_string()
    }

    /// `Friday, 20 November 2026`.
    pub fn in_words(&self) -> String {
        self.date.strftime("%A, %-d %B %Y").to_string()
    }
}

fn is_working(date: Date, is_holiday: &impl Fn(Date) -> bool) -> bool {
    !matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday) && !is_holiday(date)
}

/// A time of the day as seconds after midnight.
pub const fn time(hour: u32, minute: u32) -> u32 {
    (hour * 60 + minute) * 60
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(now: &str, holiday: Option<&str>) -> Day {
        let now = Timestamp(now.parse::<jiff::Timestamp>().unwrap().as_microsecond());
        Day::before(now, |date| Some(date.to_string().as_str()) == holiday)
    }

    #[test]
    fn is_the_last_working_day() {
        assert_eq!(day("2026-11-25T03:00:00Z", None).date(), "2026-11-24");
        assert_eq!(day("2026-11-23T03:00:00Z", None).date(), "2026-11-20", "over the weekend");
        assert_eq!(day("2026-11-24T03:00:00Z", Some("2026-11-23")).date(), "2026-11-20", "over a holiday");
    }

    #[test]
    fn is_over_in_tokyo_before_it_is_played() {
        // 23:30 in Tokyo: the 24th is not over there.
        assert_eq!(day("2026-11-24T14:30:00Z", None).date(), "2026-11-23");
    }

    #[test]
    fn the_weeks_before_it_have_their_weekends_and_holidays() {
        let before = day("2026-11-25T03:00:00Z", None).weeks_before(1, |date| date.to_string() == "2026-11-23");
        let told = before.iter().map(|(day, working)| format!("{}{}", day.date(), if *working { "" } else { " off" }));
        let expected = "2026-11-17 2026-11-18 2026-11-19 2026-11-20 2026-11-21 off 2026-11-22 off 2026-11-23 off";
        let expected = expected.replace(" off", "_off");
        assert_eq!(told.map(|day| day.replace(' ', "_")).collect::<Vec<_>>().join(" "), expected);
    }

    #[test]
    fn its_moments_are_tokyo_s() {
        let day = day("2026-11-25T03:00:00Z", None);
        assert_eq!(day.at(time(9, 0)).to_string(), "2026-11-24T00:00:00.000000Z");
        assert_eq!(day.at(time(23, 40)).to_string(), "2026-11-24T14:40:00.000000Z");
        assert_eq!(day.time_of(day.at(time(23, 40))), "23:40");
        assert_eq!(day.week(), "2026-W48");
    }
}
