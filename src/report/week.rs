//! A week as ISO 8601 counts them: Monday 00:00 to Monday 00:00, UTC, as every time in the log is.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, ISOWeekDate, Weekday};
use jiff::tz::TimeZone;

use crate::clock::Timestamp;

/// One week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Week {
    monday: Date,
}

impl Week {
    /// The week that a moment belongs to.
    pub fn of(at: Timestamp) -> Week {
        let date = TimeZone::UTC.to_datetime(at.to_jiff()).date();
        let week = date.iso_week_date();
        let monday = ISOWeekDate::new(week.year(), week.week(), Weekday::Monday).map_or(date, |week| week.date());
        Week { monday }
    }

    /// So many weeks before this one.
    pub fn before(self, weeks: i64) -> Week {
        let span = jiff::Span::new().try_days(weeks.saturating_mul(7)).unwrap_or_default();
        Week { monday: self.monday.saturating_sub(span) }
    }

    /// Its days, Monday first.
    pub fn days(self) -> [Date; 7] {
        std::array::from_fn(|day| {
            let span = jiff::Span::new().try_days(i64::try_from(day).unwrap_or(0)).unwrap_or_default();
            self.monday.saturating_add(span)
        })
    }

    /// Its first moment, as SQL writes it.
    pub fn start_sql(self) -> String {
        format!("timestamp '{}T00:00:00Z'", self.monday)
    }

    /// The first moment after it.
    pub fn end(self) -> crate::clock::Timestamp {
        let after =
            TimeZone::UTC.to_timestamp(self.before(-1).monday.at(0, 0, 0, 0)).map(jiff::Timestamp::as_microsecond);
        crate::clock::Timestamp(after.unwrap_or(i64::MAX))
    }

    /// The first moment after it.
    pub fn end_sql(self) -> String {
        self.before(-1).start_sql()
    }
}

/// `2026-W47`.
impl fmt::Display for Week {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let week = self.monday.iso_week_date();
        write!(f, "{}-W{:02}", week.year(), week.week())
    }
}

impl FromStr for Week {
    type Err = String;

    fn from_str(text: &str) -> Result<Week, String> {
        let parse = || {
            let (year, week) = text.split_once("-W")?;
            let week = ISOWeekDate::new(year.parse().ok()?, week.parse().ok()?, Weekday::Monday).ok()?;
            Some(Week { monday: week.date() })
        };
        parse().ok_or_else(|| format!("`{text}` is not a week; write it as ISO 8601 does, such as 2026-W47"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weeks_are_iso_8601_s() {
        let week: Week = "2026-W47".parse().expect("a week");
        assert_eq!(week.start_sql(), "timestamp '2026-11-16T00:00:00Z'");
        assert_eq!(week.end_sql(), "timestamp '2026-11-23T00:00:00Z'");
        assert_eq!(week.to_string(), "2026-W47");
        assert_eq!(Week::of(Timestamp(1_795_564_800_000_000)).to_string(), "2026-W48");
        assert_eq!("2026-W01".parse::<Week>().expect("a week").before(1).to_string(), "2025-W52");
        assert_eq!(week.days()[6].to_string(), "2026-11-22");
        for wrong in ["2026-47", "2026-W60", "now", ""] {
            assert!(wrong.parse::<Week>().is_err(), "{wrong}");
        }
    }
}
