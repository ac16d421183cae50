//! Hours of the day at which somebody is usually active.
//!
//! In: the hours at which it was. Out: those that follow as usual, and their words. A day has no seam: 23 is beside 0.
//!
//! * The hours beside one that was seen are usual: who comes at 9:58 one day comes at 10:02 the next.
//! * So are those between two that are no more than [`BREAK_MAX`] apart: nobody reads in every hour of a working day.

use std::fmt;

/// From one hour to the next at which somebody was active, where what is between belongs to the same stretch.
pub const BREAK_MAX: u8 = 5;

/// Some of a day's hours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hours(u32);

impl Hours {
    /// These and one more.
    #[must_use]
    pub fn with(self, hour: u8) -> Hours {
        Hours(self.0 | bit(hour))
    }

    /// These without one.
    #[must_use]
    pub fn without(self, hour: u8) -> Hours {
        Hours(self.0 & !bit(hour))
    }

    /// Whether this is one of them.
    pub fn contains(self, hour: u8) -> bool {
        self.0 & bit(hour) != 0
    }

    /// What is usual for somebody who was active at these.
    #[must_use]
    pub fn usual(self) -> Hours {
        let since = |hour: u8| (0..24).find(|past| self.contains(hour + 24 - past));
        let until = |hour: u8| (0..24).find(|more| self.contains(hour + more));
        let is_usual = |hour: &u8| {
            let (Some(since), Some(until)) = (since(*hour), until(*hour)) else { return false };
            since <= 1 || until <= 1 || since + until <= BREAK_MAX
        };
        (0..24).filter(is_usual).fold(Hours::default(), Hours::with)
    }
}

fn bit(hour: u8) -> u32 {
    1 << (hour % 24)
}

/// `8 to 18 h and 22 h`; a run over midnight as one: `22 to 4 h`.
impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut runs: Vec<String> = Vec::new();
        for first in (0..24).filter(|hour| self.contains(*hour) && !self.contains(hour + 23)) {
            let length = (0..24).take_while(|more| self.contains(first + more)).count();
            let last = (usize::from(first) + length.saturating_sub(1)) % 24;
            runs.push(if length == 1 { format!("{first} h") } else { format!("{first} to {last} h") });
        }
        match (runs.pop(), self.contains(0)) {
            (Some(last), _) if runs.is_empty() => f.write_str(&last),
            (Some(last), _) => write!(f, "{} and {last}", runs.join(", ")),
            (None, true) => f.write_str("0 to 23 h"),
            (None, false) => f.write_str("none"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(hours: &[u8]) -> Hours {
        hours.iter().fold(Hours::default(), |known, hour| known.with(*hour))
    }

    #[test]
    fn the_hours_beside_and_between_are_usual() {
        for (seen, usual) in [
            (&[][..], "none"),
            (&[9], "8 to 10 h"),
            (&[0], "23 to 1 h"),
            (&[9, 10, 12, 16, 17], "8 to 18 h"),
            (&[10, 15], "9 to 16 h"),
            (&[10, 16], "9 to 11 h and 15 to 17 h"),
            (&[3, 10], "2 to 4 h and 9 to 11 h"),
            (&[23, 4], "22 to 5 h"),
            (&[14, 23, 5], "4 to 6 h, 13 to 15 h and 22 to 0 h"),
            (&[0, 5, 10, 15, 20], "0 to 23 h"),
        ] {
            assert_eq!(of(seen).usual().to_string(), usual, "{seen:?}");
        }
    }

    #[test]
    fn what_was_taken_out_is_not_there() {
        assert!(!of(&[3, 9]).without(3).contains(3));
        assert!(of(&[3, 9]).without(3).contains(9));
    }
}
