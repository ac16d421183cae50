//! Japanese national holidays, 1980 to 2099, by rule.
//!
//! In: a civil date. Out: whether it is a holiday of the Act on National Holidays (国民の祝日に関する法律, Act No. 178 of
//! 1948, with its amendments to 2018), of the special acts of 1989, 1990, 1993, 2019, 2020 and 2021, or a substitute or
//! in-between holiday of its article 3. The equinoxes are announced by the Cabinet Office each February for the year
//! after; until then they follow the formula of the Hydrographic Department (海上保安庁水路部『新こよみ便利帳』), good for
//! 1980 to 2099. Compared in the tests with the Cabinet Office's list (内閣府「国民の祝日」について).

use jiff::civil::{Date, Weekday};

/// The first year that is known.
pub const YEAR_MIN: i16 = 1980;
/// The last year that is known.
pub const YEAR_MAX: i16 = 2099;

/// Whether `date` is a national holiday; `None` outside the years that are known. A Sunday alone is none.
pub fn is_holiday(date: Date) -> Option<bool> {
    if !(YEAR_MIN..=YEAR_MAX).contains(&date.year()) {
        return None;
    }
    Some(is_named(date) || is_substitute(date) || is_in_between(date))
}

/// A holiday with a name of its own (article 2, and the special acts).
fn is_named(date: Date) -> bool {
    let (year, month, day) = (date.year(), date.month(), date.day());
    let fixed = match (month, day) {
        (1, 1) | (4, 29) | (5, 3 | 5) | (11, 3 | 23) | (2, 11) => true,
        (1, 15) => year < 2000,
        (2, 23) => year >= 2020,
        (5, 4) => year >= 2007,
        (7, 20) => (1996..2003).contains(&year),
        (8, 11) => year >= 2016 && year != 2020 && year != 2021,
        (9, 15) => year < 2003,
        (10, 10) => year < 2000,
        (12, 23) => (1989..2019).contains(&year),
        (3, day) => day == vernal_equinox(year),
        _ => false,
    };
    let moving = match month {
        1 => year >= 2000 && is_monday(date, 2),
        7 => year >= 2003 && year != 2020 && year != 2021 && is_monday(date, 3),
        9 => (year >= 2003 && is_monday(date, 3)) || day == autumnal_equinox(year),
        10 => year >= 2000 && year != 2020 && year != 2021 && is_monday(date, 2),
        _ => false,
    };
    fixed || moving || is_special(year, month, day)
}

/// Imperial events, and the years of the Tokyo Olympics.
fn is_special(year: i16, month: i8, day: i8) -> bool {
    matches!(
        (year, month, day),
        (1989, 2, 24)
            | (1990, 11, 12)
            | (1993, 6, 9)
            | (2019, 5, 1)
            | (2019, 10, 22)
            | (2020, 7, 23 | 24)
            | (2020, 8, 10)
            | (2021, 7, 22 | 23)
            | (2021, 8, 8)
    )
}

/// Article 3, paragraph 2. Until 2006: the Monday after a Sunday that is a holiday. From 2007: the next day that is
/// not a holiday.
fn is_substitute(date: Date) -> bool {
    if is_named(date) {
        return false;
    }
    let mut day = date;
    while let Ok(before) = day.yesterday() {
        if !is_named(before) {
            return false;
        }
        if before.weekday() == Weekday::Sunday {
            return true;
        }
        if date.year() < 2007 {
            return false;
        }
        day = before;
    }
    false
}

/// Article 3, paragraph 3, from 1986: a day between two holidays, unless a Sunday.
fn is_in_between(date: Date) -> bool {
    date.year() >= 1986
        && date.weekday() != Weekday::Sunday
        && date.yesterday().is_ok_and(is_named)
        && date.tomorrow().is_ok_and(is_named)
}

fn is_monday(date: Date, nth: i8) -> bool {
    date.weekday() == Weekday::Monday && (date.day() - 1) / 7 + 1 == nth
}

fn vernal_equinox(year: i16) -> i8 {
    equinox(20.8431, year)
}

fn autumnal_equinox(year: i16) -> i8 {
    equinox(23.2488, year)
}

/// The day of the month, by the tropical year's drift since 1980 less the leap days.
#[allow(clippy::cast_possible_truncation, reason = "between 19 and 24 for the years that are known")]
fn equinox(in_1980: f64, year: i16) -> i8 {
    let years = f64::from(year - YEAR_MIN);
    (in_1980 + 0.242_194 * years - (years / 4.0).floor()).floor() as i8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holidays(year: i16) -> Vec<(i8, i8)> {
        let mut day = jiff::civil::date(year, 1, 1);
        let mut found = Vec::new();
        while day.year() == year {
            if is_holiday(day) == Some(true) {
                found.push((day.month(), day.day()));
            }
            day = day.tomorrow().expect("in range");
        }
        found
    }

    /// The Cabinet Office's lists of these years, substitutes and in-between days included.
    #[test]
    fn years_are_as_the_cabinet_office_has_them() {
        let d2019 =
            "1/1 1/14 2/11 3/21 4/29 4/30 5/1 5/2 5/3 5/4 5/5 5/6 7/15 8/11 8/12 9/16 9/23 10/14 10/22 11/3 11/4 11/23";
        let d2020 = "1/1 1/13 2/11 2/23 2/24 3/20 4/29 5/3 5/4 5/5 5/6 7/23 7/24 8/10 9/21 9/22 11/3 11/23";
        let d2021 = "1/1 1/11 2/11 2/23 3/20 4/29 5/3 5/4 5/5 7/22 7/23 8/8 8/9 9/20 9/23 11/3 11/23";
        let d2024 =
            "1/1 1/8 2/11 2/12 2/23 3/20 4/29 5/3 5/4 5/5 5/6 7/15 8/11 8/12 9/16 9/22 9/23 10/14 11/3 11/4 11/23";
        let d2025 = "1/1 1/13 2/11 2/23 2/24 3/20 4/29 5/3 5/4 5/5 5/6 7/21 8/11 9/15 9/23 10/13 11/3 11/23 11/24";
        let d2026 = "1/1 1/12 2/11 2/23 3/20 4/29 5/3 5/4 5/5 5/6 7/20 8/11 9/21 9/22 9/23 10/12 11/3 11/23";
        for (year, list) in [(2019, d2019), (2020, d2020), (2021, d2021), (2024, d2024), (2025, d2025), (2026, d2026)] {
            let expected: Vec<(i8, i8)> = list
                .split(' ')
                .map(|day| day.split_once('/').map(|(m, d)| (m.parse().expect("m"), d.parse().expect("d"))).expect("/"))
                .collect();
            assert_eq!(holidays(year), expected, "{year}");
        }
    }

    #[test]
    fn outside_the_known_years_nothing_is_claimed() {
        assert_eq!(is_holiday(jiff::civil::date(1979, 1, 1)), None);
        assert_eq!(is_holiday(jiff::civil::date(2100, 1, 1)), None);
    }
}
