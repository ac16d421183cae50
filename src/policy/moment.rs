//! When a record began, told in the policies' time zone: `hour`, `weekday`, `holiday`. Computed at most once a record.

use std::cell::OnceCell;

use jiff::tz::TimeZone;

use super::holiday;
use crate::clock::Timestamp;

/// A record's `at`, and the zone to tell it in.
pub struct Moment<'z> {
    at: Timestamp,
    zone: &'z TimeZone,
    local: OnceCell<Local>,
}

#[derive(Clone, Copy)]
struct Local {
    hour: u8,
    minute: u8,
    weekday: u8,
    day: i32,
    date: jiff::civil::Date,
}

impl<'z> Moment<'z> {
    /// `at`, in `zone`.
    pub fn new(at: Timestamp, zone: &'z TimeZone) -> Moment<'z> {
        Moment { at, zone, local: OnceCell::new() }
    }

    /// 0 to 23.
    pub fn hour(&self) -> u8 {
        self.local().hour
    }

    /// 0 to 59.
    pub fn minute(&self) -> u8 {
        self.local().minute
    }

    /// The day: days since 1970-01-01.
    pub fn day(&self) -> i32 {
        self.local().day
    }

    /// ISO 8601: 1 is Monday, 7 is Sunday.
    pub fn weekday(&self) -> u8 {
        self.local().weekday
    }

    /// Whether it is a Japanese national holiday; `None` outside the years that [`holiday`] knows.
    pub fn holiday(&self) -> Option<bool> {
        holiday::is_holiday(self.local().date)
    }

    fn local(&self) -> Local {
        *self.local.get_or_init(|| {
            let civil = self.zone.to_datetime(self.at.to_jiff());
            Local {
                hour: u8::try_from(civil.hour()).unwrap_or(0),
                minute: u8::try_from(civil.minute()).unwrap_or(0),
                weekday: u8::try_from(civil.weekday().to_monday_one_offset()).unwrap_or(1),
                day: days_since_1970(civil.date()),
                date: civil.date(),
            }
        })
    }
}

fn days_since_1970(date: jiff::civil::Date) -> i32 {
    let since = date.duration_since(jiff::civil::date(1970, 1, 1));
    i32::try_from(since.as_hours() / 24).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_zone_decides_the_hour_the_weekday_and_the_holiday() {
        let at: jiff::Timestamp = "2026-11-22T15:30:00Z".parse().expect("a time");
        let at = Timestamp(at.as_microsecond());
        let tokyo = TimeZone::get("Asia/Tokyo").expect("bundled");
        let there = Moment::new(at, &tokyo);
        assert_eq!((there.hour(), there.minute(), there.weekday(), there.holiday()), (0, 30, 1, Some(true)));
        let zone = TimeZone::UTC;
        let utc = Moment::new(at, &zone);
        assert_eq!((utc.hour(), utc.weekday(), utc.holiday()), (15, 7, Some(false)));
        assert_eq!((utc.day(), there.day()), (20_779, 20_780));
    }
}
