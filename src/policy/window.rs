//! Sliding windows: how many, how much, or how many different ones, by some columns, within some time.
//!
//! In: records that match a policy's condition, in the order of their ends. Out: the figure of the window that ends
//! with the record. Time is the record's end (that is when the rows had flowed); it never runs backwards: a record
//! from before the newest one counts as of the newest, so that a clock set back hides nothing.
//!
//! Memory is bounded, and the bounds cannot be used to hide:
//! * A key keeps [`ENTRIES_MAX`] entries exactly; beyond, entries of the same 64th of the window become one, which
//!   leaves with its newest part: at most a 64th of the window too long, never too short.
//! * [`KEYS_MAX`] keys are kept. Beyond, the least recently used eighth is *carried*: poured into one of
//!   [`CARRIED_SLOTS`] shared series by the key's hash, and counted with every key of that slot. A figure can then be
//!   too high, never too low; [`Windows::evicted`] says that it happened.

use std::collections::{HashMap, VecDeque};

use super::key::Key;
use crate::clock::Timestamp;

/// Entries a key keeps before they are made coarse.
pub const ENTRIES_MAX: usize = 128;
/// Parts a window is divided in where entries are made coarse.
pub const BUCKETS: i64 = 64;
/// Keys a window keeps.
pub const KEYS_MAX: usize = 16_384;
/// Shared series that take what evicted keys had.
pub const CARRIED_SLOTS: usize = 256;
/// Different values that a key keeps; a threshold has to lie below.
pub const DISTINCT_MAX: usize = 1_024;
/// Statements a finding names as evidence; the newest stay.
pub const EVIDENCE_MAX: usize = 100;

/// What a record adds to its window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Amount {
    /// Something to sum; 1 where records are counted.
    Number(u64),
    /// Values of which the different ones are counted.
    Values(Vec<Key>),
}

/// What a window holds after a record came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figure {
    /// The sum, the count, or the number of different values.
    pub total: u64,
    /// `seq` of the statements in it, oldest first, at most [`EVIDENCE_MAX`].
    pub evidence: Vec<u64>,
}

/// The windows of one policy.
#[derive(Debug)]
pub struct Windows {
    within_us: i64,
    keys_max: usize,
    series: HashMap<Key, Series>,
    carried: HashMap<usize, Series>,
    tick: u64,
    evicted: u64,
}

impl Windows {
    /// Empty windows of that length.
    pub fn new(within_us: i64) -> Windows {
        Windows::bounded(within_us, KEYS_MAX)
    }

    fn bounded(within_us: i64, keys_max: usize) -> Windows {
        let (series, carried) = (HashMap::new(), HashMap::new());
        Windows { within_us, keys_max, series, carried, tick: 0, evicted: 0 }
    }

    /// Keys that were evicted while their window still held something.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Adds a record, and tells what its window then holds.
    pub fn add(&mut self, key: Key, at: Timestamp, amount: Amount, seq: Option<u64>) -> Figure {
        if self.series.len() >= self.keys_max && !self.series.contains_key(&key) {
            self.evict(at.0);
        }
        self.tick += 1;
        let series = self.series.entry(key).or_default();
        series.used = self.tick;
        series.add(at.0, amount, seq, self.within_us);
        let mut total = series.total();
        let evidence = series.evidence.iter().map(|(_, seq)| *seq).collect();
        if let Some(carried) = self.carried.get_mut(&key.slot(CARRIED_SLOTS)) {
            carried.expire(at.0.saturating_sub(self.within_us));
            total = total.saturating_add(carried.total());
        }
        Figure { total, evidence }
    }

    /// What the window would hold if this came now. Nothing is added.
    pub fn with(&self, key: Key, at: Timestamp, amount: &Amount) -> u64 {
        let series = self.series.get(&key);
        let at = series.map_or(at.0, |series| at.0.max(series.newest));
        let before = at.saturating_sub(self.within_us);
        let carried = self.carried.get(&key.slot(CARRIED_SLOTS));
        let held = [series, carried].into_iter().flatten().map(|series| series.total_after(before));
        let new = match amount {
            Amount::Number(number) => *number,
            Amount::Values(values) => {
                let known = |value: &&Key| series.is_some_and(|series| series.distinct.contains_key(value));
                values.iter().filter(|value| !known(value)).count() as u64
            }
        };
        held.fold(new, u64::saturating_add)
    }

    fn evict(&mut self, now: i64) {
        let before = now.saturating_sub(self.within_us);
        self.series.retain(|_, series| series.newest > before);
        if self.series.len() < self.keys_max {
            return;
        }
        let mut by_use: Vec<(u64, Key)> = self.series.iter().map(|(key, series)| (series.used, *key)).collect();
        by_use.sort_unstable();
        for (_, key) in by_use.into_iter().take((self.keys_max / 8).max(1)) {
            if let Some(series) = self.series.remove(&key) {
                self.evicted += 1;
                self.carried.entry(key.slot(CARRIED_SLOTS)).or_default().pour(series, self.within_us);
            }
        }
    }
}

#[derive(Debug, Default)]
struct Series {
    /// Oldest first.
    entries: VecDeque<(i64, u64)>,
    sum: u128,
    distinct: HashMap<Key, i64>,
    evidence: VecDeque<(i64, u64)>,
    newest: i64,
    used: u64,
}

impl Series {
    fn total(&self) -> u64 {
        u64::try_from(self.sum).unwrap_or(u64::MAX).saturating_add(self.distinct.len() as u64)
    }

    /// The total without what is as old as `before` or older.
    fn total_after(&self, before: i64) -> u64 {
        let gone = self.entries.iter().take_while(|(at, _)| *at <= before);
        let gone = gone.fold(0_u128, |sum, (_, number)| sum.saturating_add(u128::from(*number)));
        let sum = u64::try_from(self.sum.saturating_sub(gone)).unwrap_or(u64::MAX);
        sum.saturating_add(self.distinct.values().filter(|at| **at > before).count() as u64)
    }

    fn add(&mut self, at: i64, amount: Amount, seq: Option<u64>, within_us: i64) {
        let at = if self.is_empty() { at } else { at.max(self.newest) };
        self.newest = at;
        self.expire(at.saturating_sub(within_us));
        match amount {
            Amount::Number(0) => return,
            Amount::Number(number) => {
                self.entries.push_back((at, number));
                self.sum += u128::from(number);
                self.coarsen(within_us);
            }
            Amount::Values(values) => {
                for value in values {
                    self.distinct.insert(value, at);
                }
                self.bound_distinct();
            }
        }
        if let Some(seq) = seq {
            if self.evidence.len() >= EVIDENCE_MAX {
                self.evidence.pop_front();
            }
            self.evidence.push_back((at, seq));
        }
    }

    fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.distinct.is_empty()
    }

    /// Drops what is as old as `before` or older.
    fn expire(&mut self, before: i64) {
        while let Some((_, number)) = self.entries.pop_front_if(|(at, _)| *at <= before) {
            self.sum = self.sum.saturating_sub(u128::from(number));
        }
        while self.evidence.pop_front_if(|(at, _)| *at <= before).is_some() {}
        if !self.distinct.is_empty() {
            self.distinct.retain(|_, at| *at > before);
        }
    }

    fn coarsen(&mut self, within_us: i64) {
        if self.entries.len() <= ENTRIES_MAX {
            return;
        }
        let width = (within_us / BUCKETS).max(1);
        let mut coarse: VecDeque<(i64, u64)> = VecDeque::new();
        for (at, number) in self.entries.drain(..) {
            match coarse.back_mut() {
                // A saturated entry would lose what it stood for when it leaves: it is left apart.
                Some((last, sum))
                    if last.div_euclid(width) == at.div_euclid(width) && sum.checked_add(number).is_some() =>
                {
                    *last = at;
                    *sum += number;
                }
                _ => coarse.push_back((at, number)),
            }
        }
        while coarse.len() > ENTRIES_MAX {
            // Only entries near the end of u64 get here; the two oldest become one, and leave later.
            if let (Some((_, first)), Some((_, second))) = (coarse.pop_front(), coarse.front_mut()) {
                let joined = first.saturating_add(*second);
                self.sum -= u128::from(first) + u128::from(*second) - u128::from(joined);
                *second = joined;
            }
        }
        self.entries = coarse;
    }

    fn bound_distinct(&mut self) {
        while self.distinct.len() > DISTINCT_MAX {
            let Some(oldest) = self.distinct.iter().min_by_key(|(_, at)| **at).map(|(key, _)| *key) else { return };
            self.distinct.remove(&oldest);
        }
    }

    /// Takes over what `other` holds, but for its evidence.
    fn pour(&mut self, other: Series, within_us: i64) {
        self.newest = self.newest.max(other.newest);
        let mut entries: Vec<(i64, u64)> = self.entries.drain(..).chain(other.entries).collect();
        entries.sort_unstable();
        self.entries = entries.into();
        self.sum += other.sum;
        self.coarsen(within_us);
        for (value, at) in other.distinct {
            let seen = self.distinct.entry(value).or_insert(at);
            *seen = at.max(*seen);
        }
        self.bound_distinct();
    }
}

#[cfg(test)]
#[path = "window_tests.rs"]
mod tests;
