//! How many of a column's values look like what.
//!
//! In: values, one by one. Out: counts, and the one [`What`] that they tell, with its share. Values that were seen before are not counted
//! again: two hundred times the same address are one. Memory: [`DISTINCT_MAX`] hashes; no value is kept.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use super::What;
use super::value::{Sight, look};

/// Different values that are counted.
pub const DISTINCT_MAX: usize = 1_000;
/// Who was born in this year or later buys no tickets and signs nothing: so many years before now.
const GROWN_UP_YEARS: i16 = 15;
/// The first year in which somebody may have been born.
const BORN_YEAR_MIN: i16 = 1900;
/// Over how many years dates of birth are spread at least: a shop's orders or a year's contracts are not.
const BORN_SPREAD_YEARS: i16 = 20;
/// Values that hold something among other words, at least, to tell that the column does …
const HELD_MIN: u32 = 3;
/// … and of a hundred.
const HELD_PERCENT_MIN: u32 = 5;

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    keys: RandomState,
    seen: HashSet<u64>,
    /// Values, those seen before included.
    all: u32,
    /// By [`What::BY_VALUE`]: values that are one.
    whole: [u32; 9],
    /// Values that hold one among other words.
    held: [u32; 9],
    dates: u32,
    /// The years of those in which somebody grown up may have been born.
    born: Option<(i16, i16)>,
}

/// What a column looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Like what.
    pub what: What,
    /// So many values are, or hold, one …
    pub count: u32,
    /// … of so many different ones.
    pub of: u32,
    /// Whether they hold it among other words.
    pub held: bool,
}

impl Share {
    /// Of a hundred, rounded down.
    pub fn percent(&self) -> u32 {
        self.count.saturating_mul(100).checked_div(self.of).unwrap_or(0)
    }
}

impl Tally {
    /// Counts a value, unless it is empty, was seen before, or enough were. `year`: this one.
    pub fn note(&mut self, value: &str, year: i16) -> bool {
        let value = value.trim();
        if value.is_empty() {
            return false;
        }
        self.all = self.all.saturating_add(1);
        if self.seen.len() >= DISTINCT_MAX || !self.seen.insert(self.keys.hash_one(value)) {
            return false;
        }
        match look(value) {
            Some(Sight::Is(what)) => count(&mut self.whole, what),
            Some(Sight::Holds(what)) => count(&mut self.held, what),
            Some(Sight::Date(born)) => {
                self.dates += 1;
                if (BORN_YEAR_MIN..=year.saturating_sub(GROWN_UP_YEARS)).contains(&born) {
                    count(&mut self.whole, What::BirthDate);
                    let (first, last) = self.born.unwrap_or((born, born));
                    self.born = Some((first.min(born), last.max(born)));
                }
            }
            None => {}
        }
        true
    }

    /// Different values so far.
    pub fn distinct(&self) -> u32 {
        u32::try_from(self.seen.len()).unwrap_or(u32::MAX)
    }

    /// Values so far, each as often as it came.
    pub fn all(&self) -> u32 {
        self.all
    }

    /// How many are, or hold, one of these.
    pub fn count(&self, what: What) -> u32 {
        let at = |counts: &[u32; 9]| what.index().and_then(|index| counts.get(index)).copied().unwrap_or(0);
        at(&self.whole).saturating_add(at(&self.held))
    }

    /// What the column looks like, where enough values say so.
    pub fn share(&self) -> Option<Share> {
        let of = self.distinct();
        let of_whole = What::BY_VALUE.iter().zip(self.whole);
        let most = of_whole.max_by_key(|(_, count)| *count).map(|(what, count)| (*what, count));
        if let Some((what, count)) = most.filter(|(what, count)| self.is_enough(*what, *count)) {
            return Some(Share { what, count, of, held: false });
        }
        let either = What::BY_VALUE.iter().map(|what| (*what, self.count(*what)));
        let held = either.zip(self.held).filter(|(_, held)| *held > 0).map(|(either, _)| either);
        let (what, count) = held.max_by_key(|(_, count)| *count)?;
        let is_enough = count >= HELD_MIN && count.saturating_mul(100) >= of.saturating_mul(HELD_PERCENT_MIN);
        is_enough.then_some(Share { what, count, of, held: true })
    }

    fn is_enough(&self, what: What, count: u32) -> bool {
        // One in ten numbers has the right check digit by chance, and one in fifty also an issuer's first digits; about half of
        // all people have one of the names that are known.
        let percent_min = match what {
            What::PersonName | What::Kana => 25,
            What::Email => 50,
            What::MyNumber | What::PostalCode | What::BirthDate => 80,
            _ => 60,
        };
        let is_spread = || self.born.is_some_and(|(first, last)| last.saturating_sub(first) >= BORN_SPREAD_YEARS);
        count >= HELD_MIN
            && count.saturating_mul(100) >= self.distinct().saturating_mul(percent_min)
            && (what != What::BirthDate || is_spread())
    }
}

fn count(counts: &mut [u32; 9], what: What) {
    if let Some(count) = what.index().and_then(|index| counts.get_mut(index)) {
        *count = count.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(values: impl IntoIterator<Item = String>) -> Option<Share> {
        let mut tally = Tally::default();
        for value in values {
            tally.note(&value, 2026);
        }
        tally.share()
    }

    #[test]
    fn a_column_is_told_by_enough_of_its_different_values() {
        let mixed = |mails: u32, others: u32| {
            let mails = (0..mails).map(|number| format!("p{number}@example.com"));
            mails.chain((0..others).map(|number| format!("word{number}")))
        };
        let told = share(mixed(184, 16)).expect("told");
        assert_eq!((told.what, told.count, told.of, told.percent(), told.held), (What::Email, 184, 200, 92, false));
        assert_eq!(share(mixed(2, 198)), None);
        assert_eq!(share(mixed(90, 110)), None);
        assert_eq!(share((0..500).map(|_| "anna@example.com".to_owned())), None, "one address is one");
        assert_eq!(share([String::new(), " ".to_owned()]), None);
    }

    #[test]
    fn notes_that_hold_something_are_told_too() {
        let notes = (0..100).map(|number| match number % 10 {
            0 => format!("call 090-1234-{number:04}, please"),
            _ => format!("note {number}"),
        });
        let told = share(notes).expect("told");
        assert_eq!((told.what, told.count, told.of, told.held), (What::Telephone, 10, 100, true));
    }

    #[test]
    fn dates_are_of_birth_where_people_of_many_ages_were_born() {
        let dates = |from: i32, years: i32| {
            (0..200).map(move |n| format!("{}-{:02}-{:02}", from + n % years, n % 12 + 1, n % 28 + 1))
        };
        assert_eq!(share(dates(1940, 60)).map(|told| told.what), Some(What::BirthDate));
        assert_eq!(share(dates(2024, 2)), None, "orders");
        assert_eq!(share(dates(2000, 8)), None, "contracts of a few years");
        assert_eq!(share(dates(1990, 37)), None, "too many are of children and of years to come");
    }

    #[test]
    fn numbers_that_check_by_chance_are_not_told() {
        assert_eq!(share((0..300_u64).map(|n| (100_000_000_000 + n * 7_919).to_string())), None);
        assert_eq!(share((0..300_u64).map(|n| (4_000_000_000_000_000 + n * 104_729).to_string())), None);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut tally = Tally::default();
        for number in 0..5_000 {
            tally.note(&number.to_string(), 2026);
        }
        assert_eq!(usize::try_from(tally.distinct()).ok(), Some(DISTINCT_MAX));
    }
}
