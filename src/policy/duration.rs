//! Lengths of time as policies write them: `30s`, `15m`, `24h`, `14d`, `2w`.

/// One day, microseconds.
pub const DAY_US: i64 = 24 * 60 * 60 * 1_000_000;
/// The longest length of time a policy may name, microseconds: ten years.
pub const LENGTH_US_MAX: i64 = 3_653 * DAY_US;

const UNITS: [(&str, &str, i64); 5] = [
    ("w", "week", 7 * DAY_US),
    ("d", "day", DAY_US),
    ("h", "hour", DAY_US / 24),
    ("m", "minute", 60_000_000),
    ("s", "second", 1_000_000),
];

/// The same, as it is told.
pub const LONGEST: &str = "3653d, ten years, is the most";

/// Why a text is no length of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoLength {
    /// It is not a whole number and a unit.
    Form,
    /// It is longer than [`LENGTH_US_MAX`].
    TooLong,
}

/// Microseconds.
///
/// # Errors
/// See [`NoLength`].
pub fn parse(text: &str) -> Result<i64, NoLength> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits).ok_or(NoLength::Form)?;
    let unit = UNITS.iter().find(|(short, _, _)| *short == unit && !number.is_empty());
    let (_, _, micros) = unit.ok_or(NoLength::Form)?;
    let length = number.parse::<i64>().ok().and_then(|number| number.checked_mul(*micros));
    length.filter(|micros| *micros <= LENGTH_US_MAX).ok_or(NoLength::TooLong)
}

/// `24 hours`, `1 minute`: in the greatest unit that leaves no rest, days and weeks only from two on.
pub fn words(micros: i64) -> String {
    for (_, name, unit) in UNITS {
        let large = unit >= DAY_US && micros / unit < 2;
        if micros > 0 && micros % unit == 0 && !large {
            let number = micros / unit;
            return format!("{number} {name}{}", if number == 1 { "" } else { "s" });
        }
    }
    format!("{micros} microseconds")
}

/// `3 days`, `1 hour`, `less than a minute`: whole days, hours or minutes that have passed.
pub fn about(micros: i64) -> String {
    for (_, name, unit) in UNITS.into_iter().filter(|(_, _, unit)| (60_000_000..=DAY_US).contains(unit)) {
        let number = micros / unit;
        if number > 0 {
            return format!("{number} {name}{}", if number == 1 { "" } else { "s" });
        }
    }
    "less than a minute".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_passed_is_told_in_whole_units() {
        for (micros, told) in [
            (0, "less than a minute"),
            (-5, "less than a minute"),
            (60_000_000, "1 minute"),
            (DAY_US - 1, "23 hours"),
            (13 * DAY_US + DAY_US / 2, "13 days"),
        ] {
            assert_eq!(about(micros), told);
        }
    }

    #[test]
    fn lengths_are_read_and_told() {
        for (text, micros, told) in [
            ("24h", DAY_US, "24 hours"),
            ("1d", DAY_US, "24 hours"),
            ("14d", 14 * DAY_US, "2 weeks"),
            ("10d", 10 * DAY_US, "10 days"),
            ("5m", 300_000_000, "5 minutes"),
            ("1s", 1_000_000, "1 second"),
        ] {
            assert_eq!(parse(text), Ok(micros));
            assert_eq!(words(micros), told);
        }
        assert_eq!(parse("0d"), Ok(0));
        for wrong in ["", "5", "m", "1.5h", "-1h", "5 fortnights"] {
            assert_eq!(parse(wrong), Err(NoLength::Form), "{wrong}");
        }
        for long in ["99999999999999999999d", "9999w", "3654d"] {
            assert_eq!(parse(long), Err(NoLength::TooLong), "{long}");
        }
        let longest = LONGEST.split(',').next().unwrap();
        assert_eq!(parse(longest), Ok(LENGTH_US_MAX));
    }
}
