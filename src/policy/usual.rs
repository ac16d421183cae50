//! What is usual for a principal: its figures a day.
//!
//! In: records that match the policy's condition, each with its day and what it adds. Out: the day's total so far, and what is usual:
//! the least, the median and the most of the days before, and the limit that follows from them by the median of the deviations
//! (Rousseeuw and Croux, "Alternatives to the Median Absolute Deviation", 1993): one day out of the way moves it little.
//!
//! * Days without a matching record do not count: a weekend is not what is usual on a Monday.
//! * A principal that was first seen less than `learn` ago, or has fewer than [`DAYS_MIN`] days, is judged by the others: by the
//!   most that each of them had on any day. Where there are fewer than [`PEERS_MIN`] of them it only teaches. The others are those of its group:
//!   the values of some columns, by default of none, which puts everybody into one.
//! * [`DAYS_MAX`] days are kept of each of [`PRINCIPALS_MAX`] principals. Beyond, the longest unused go, and come back as cold ones.

use std::collections::VecDeque;

use super::key::{ByKey, Key};
use crate::clock::Timestamp;

/// Days that are kept, today not counted: five weeks of working days, and over a month of all.
pub const DAYS_MAX: usize = 35;
/// Days that a principal has to have had before it is judged by its own.
pub const DAYS_MIN: usize = 5;
/// Others that there have to be for one to be judged by them.
pub const PEERS_MIN: usize = 3;
/// Principals that are kept.
pub const PRINCIPALS_MAX: usize = 16_384;

/// What is usual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usual {
    /// The least of a day.
    pub least: u64,
    /// The median.
    pub median: u64,
    /// The most of a day.
    pub most: u64,
    /// More is unusual.
    pub limit: u64,
    /// Whether it is that of others.
    pub of_others: bool,
}

/// The days of the principals of one policy.
#[derive(Debug)]
pub struct Days {
    learn_us: i64,
    unusual: u64,
    principals: ByKey<Principal>,
    /// What is usual for the others of a group, by group, as of a day.
    others: (i32, ByKey<Option<Usual>>),
}

#[derive(Debug)]
struct Principal {
    since: Timestamp,
    last: Timestamp,
    /// Whose it is one of the others, since it last added something.
    group: Key,
    today: i32,
    total: u64,
    /// The days before, oldest first.
    before: VecDeque<u64>,
    /// What is usual by them, as far as it has been asked for.
    usual: Option<Usual>,
}

impl Days {
    /// Nothing known. `unusual`: how many times the usual deviation above the median is.
    pub fn new(learn_us: i64, unusual: u64) -> Days {
        Days { learn_us, unusual, principals: ByKey::default(), others: Default::default() }
    }

    /// Adds to a principal's day; its total, and what is usual, where that is known.
    pub fn add(&mut self, key: Key, group: Key, at: Timestamp, day: i32, amount: u64) -> (u64, Option<Usual>) {
        if self.principals.len() >= PRINCIPALS_MAX && !self.principals.contains_key(&key) {
            self.forget();
        }
        let principal = self.principals.entry(key).or_insert_with(|| Principal {
            since: at,
            last: at,
            group,
            today: day,
            total: 0,
            before: VecDeque::new(),
            usual: None,
        });
        principal.last = principal.last.max(at);
        principal.group = group;
        if day > principal.today {
            principal.before.push_back(principal.total);
            if principal.before.len() > DAYS_MAX {
                principal.before.pop_front();
            }
            (principal.today, principal.total, principal.usual) = (day, 0, None);
        }
        principal.total = principal.total.saturating_add(amount);
        let total = principal.total;
        let is_warm = at.0.saturating_sub(principal.since.0) >= self.learn_us && principal.before.len() >= DAYS_MIN;
        let usual = match is_warm {
            true => {
                if principal.usual.is_none() {
                    principal.usual = usual(principal.before.iter().copied().collect(), self.unusual, false);
                }
                principal.usual
            }
            false => self.of_others(group, day),
        };
        (total, usual)
    }

    /// What is usual for the others: of each that has enough days the most of one. Made once a day and group.
    fn of_others(&mut self, group: Key, day: i32) -> Option<Usual> {
        if self.others.0 != day {
            self.others = (day, ByKey::default());
        }
        if let Some(usual) = self.others.1.get(&group) {
            return *usual;
        }
        let of_group = self.principals.values().filter(|principal| principal.group == group);
        let warm = of_group.filter(|principal| principal.before.len() >= DAYS_MIN);
        let most: Vec<u64> = warm.filter_map(|principal| principal.before.iter().max().copied()).collect();
        let found = if most.len() >= PEERS_MIN { usual(most, self.unusual, true) } else { None };
        if self.others.1.len() < PRINCIPALS_MAX {
            self.others.1.insert(group, found);
        }
        found
    }

    fn forget(&mut self) {
        let mut times: Vec<(Timestamp, Key)> =
            self.principals.iter().map(|(key, principal)| (principal.last, *key)).collect();
        times.sort_unstable();
        for (_, key) in times.into_iter().take(PRINCIPALS_MAX / 8) {
            self.principals.remove(&key);
        }
    }
}

/// The figures of some days. A deviation of less than a tenth of the median, or of one, is taken for that much: whoever has the
/// same every day may have one more.
fn usual(mut days: Vec<u64>, unusual: u64, of_others: bool) -> Option<Usual> {
    days.sort_unstable();
    let middle = median(&days)?;
    let mut deviations: Vec<u64> = days.iter().map(|day| day.abs_diff(middle)).collect();
    deviations.sort_unstable();
    // 1.4826: the factor that makes it a standard deviation where figures are spread normally.
    let deviation = u128::from(median(&deviations)?) * 14_826 / 10_000;
    let deviation = u64::try_from(deviation).unwrap_or(u64::MAX).max(middle / 10).max(1);
    let limit = middle.saturating_add(deviation.saturating_mul(unusual));
    Some(Usual { least: *days.first()?, median: middle, most: *days.last()?, limit, of_others })
}

/// The higher of the two in the middle, where there are two.
fn median(sorted: &[u64]) -> Option<u64> {
    sorted.get(sorted.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::duration::DAY_US;
    use crate::record::Value;

    fn key(number: u64) -> Key {
        Key::of_value(Value::U64(number))
    }

    fn add(days: &mut Days, who: u64, day: i32, amount: u64) -> (u64, Option<Usual>) {
        add_of_group(days, who, Key::default(), day, amount)
    }

    fn add_of_group(days: &mut Days, who: u64, group: Key, day: i32, amount: u64) -> (u64, Option<Usual>) {
        days.add(key(who), group, Timestamp(i64::from(day) * DAY_US), day, amount)
    }

    #[test]
    fn a_principal_is_judged_by_its_own_days_once_it_is_known() {
        let mut days = Days::new(14 * DAY_US, 4);
        let figures = [11, 3, 40, 12, 9, 11, 20, 5, 14, 10, 8, 13, 11, 30];
        for (day, figure) in (0..).zip(figures) {
            assert_eq!(add(&mut days, 1, day, figure).1, None, "{day}");
        }
        let (total, usual) = add(&mut days, 1, 14, 2_000);
        let usual = usual.expect("two weeks");
        assert_eq!((total, usual.least, usual.median, usual.most), (2_000, 3, 11, 40));
        assert_eq!(usual.limit, 11 + 4 * 4, "the deviations' median is 3");
        assert_eq!(add(&mut days, 1, 14, 310).0, 2_310);
        // One day out of the way moves it little.
        let (_, after) = add(&mut days, 1, 15, 1);
        assert!(after.expect("known").limit < 40);
    }

    #[test]
    fn a_cold_one_is_judged_by_the_others_if_there_are_enough() {
        let mut days = Days::new(0, 4);
        for who in 1..=2 {
            (0..6).for_each(|day| {
                add(&mut days, who, day, 10 * who);
            });
        }
        assert_eq!(add(&mut days, 9, 6, 500).1, None, "two are too few");
        (0..7).for_each(|day| {
            add(&mut days, 3, day, 30);
        });
        let (_, usual) = add(&mut days, 9, 7, 500);
        let usual = usual.expect("three others");
        assert!(usual.of_others && usual.median == 20 && usual.limit < 500, "{usual:?}");
    }

    #[test]
    fn the_others_are_those_of_the_same_group() {
        let (mut days, desk, batch) = (Days::new(0, 4), key(1), key(2));
        for day in 0..6 {
            for who in 0..3 {
                add_of_group(&mut days, who, desk, day, 10);
                add_of_group(&mut days, 10 + who, batch, day, 100_000);
            }
        }
        let median = |(_, usual): (u64, Option<Usual>)| usual.map(|usual| usual.median);
        assert_eq!(median(add_of_group(&mut days, 20, desk, 6, 500)), Some(10));
        assert_eq!(median(add_of_group(&mut days, 21, batch, 6, 500)), Some(100_000));
        assert_eq!(median(add_of_group(&mut days, 22, key(3), 6, 500)), None, "nobody is in this one");
    }

    #[test]
    fn whoever_has_the_same_every_day_may_have_a_little_more() {
        let mut days = Days::new(0, 4);
        (0..6).for_each(|day| {
            add(&mut days, 1, day, 100);
        });
        assert_eq!(add(&mut days, 1, 6, 0).1.expect("known").limit, 140);
    }

    #[test]
    fn its_memory_is_bounded_and_no_figure_overflows() {
        let mut days = Days::new(0, u64::MAX);
        for day in 0..100 {
            add(&mut days, 1, day, u64::MAX);
        }
        assert_eq!(days.principals[&key(1)].before.len(), DAYS_MAX);
        assert_eq!(add(&mut days, 1, 100, u64::MAX).1.expect("known").limit, u64::MAX);
        for who in 0..(PRINCIPALS_MAX as u64 + 10) {
            add(&mut days, who, 101, 1);
        }
        assert!(days.principals.len() <= PRINCIPALS_MAX);
    }
}
