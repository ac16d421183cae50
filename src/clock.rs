//! The only reader of time.
//!
//! Everything that needs the time takes a [`Timestamp`] as an argument or holds a [`Clock`]. In: the system's
//! clock. Out: microseconds since the UNIX epoch, UTC, the unit of every time in the log.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// Microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The microseconds from `earlier` to `self`, never negative (a clock may jump back).
    pub fn micros_since(self, earlier: Timestamp) -> u64 {
        u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0)
    }

    /// This moment moved by `micros` (negative: into the past).
    pub fn plus_micros(self, micros: i64) -> Timestamp {
        Timestamp(self.0.saturating_add(micros))
    }

    /// The same moment as the calendar library's type; the ends of its range where it lies outside.
    pub fn to_jiff(self) -> jiff::Timestamp {
        jiff::Timestamp::from_microsecond(self.0).unwrap_or(if self.0 < 0 {
            jiff::Timestamp::MIN
        } else {
            jiff::Timestamp::MAX
        })
    }

    /// The year in UTC.
    pub fn utc_year(self) -> i16 {
        jiff::tz::Offset::UTC.to_datetime(self.to_jiff()).year()
    }

    /// `YYYY-MM-DD` in UTC: the partition a record belongs to.
    pub fn utc_date(self) -> String {
        self.to_jiff().strftime("%Y-%m-%d").to_string()
    }
}

/// RFC 3339, UTC, to the microsecond.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.to_jiff().strftime("%Y-%m-%dT%H:%M:%S%.6fZ"))
    }
}

/// The system's clock, moved by an offset that is zero except in the demo, whose day passes in seconds.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    offset_us: Arc<AtomicI64>,
}

impl Clock {
    /// The system's clock as it is.
    pub fn system() -> Clock {
        Clock::default()
    }

    /// The present moment.
    pub fn now(&self) -> Timestamp {
        Timestamp(system_us().saturating_add(self.offset_us.load(Ordering::Relaxed)))
    }

    /// Moves this clock, and every clone of it, so that it reads `moment` now and goes on from there.
    pub fn set(&self, moment: Timestamp) {
        self.offset_us.store(moment.0.saturating_sub(system_us()), Ordering::Relaxed);
    }
}

#[allow(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
fn system_us() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |us| -us),
    }
}
