//! Sliding windows: how many, how much, or how many different ones, by some columns, within some time.
//!
//! In: records that match a policy's condition, in the order of their ends. Out: the figure of the window that ends
//! with the record. Time is the record's end (that is when the rows had flowed); it never runs backwards: a record
//! from before the newest one counts as of the newest, so that a clock set back hides nothing.
//!
//! Memory is bounded, and the bounds cannot be used to hide:
//! * A key keeps [`ENTRIES_MAX`] entries exactly; beyond, entries of the same 64th of the window become one, which
//!   leaves with its newest part: at most a 64th of the window too long, never too short.
//! * A key keeps [`DISTINCT_MAX`] different values exactly; beyond, they are estimated by HyperLogLog with a standard error of 2.3 %, by
//!   64ths of the window as above. Values are hashed under a key of this process: nobody can choose some that hide behind each other.
//! * [`KEYS_MAX`] keys are kept, [`ESTIMATED_KEYS_MAX`] of them with estimates (160 KiB each at most). Beyond, the least recently used eighth is *carried*: poured into one of
//!   [`CARRIED_SLOTS`] shared series by the key's hash, and counted with every key of that slot. A figure can then be
//!   too high, never too low; [`Windows::evicted`] says that it happened.

mod series;

use std::collections::HashMap;
use std::hash::RandomState;

use self::series::Series;
pub use self::series::{BUCKETS, DISTINCT_MAX, ENTRIES_MAX, EVIDENCE_MAX};
use super::key::{ByKey, Key};
use crate::clock::Timestamp;

/// Keys a window keeps.
pub const KEYS_MAX: usize = 16_384;
/// Shared series that take what evicted keys had.
pub const CARRIED_SLOTS: usize = 256;
/// Keys of a window whose different values are estimated.
pub const ESTIMATED_KEYS_MAX: usize = 256;

/// What a record adds to its window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Amount {
    /// Something to sum; 1 where records are counted.
    Number(u64),
    /// Values of which the different ones are counted.
    Values(Vec<Key>),
}

/// What a window holds after a record came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figure {
    /// The sum, the count, or the number of different values.
    pub total: u64,
    /// Whether that is an estimate.
    pub is_estimate: bool,
}

/// The windows of one policy.
#[derive(Debug)]
pub struct Windows {
    within_us: i64,
    keys_max: usize,
    series: ByKey<Series>,
    carried: HashMap<usize, Series>,
    /// What values are hashed under where they are estimated.
    keys: RandomState,
    /// Keys with estimates, at most: the others may be fewer by now.
    estimated: usize,
    tick: u64,
    evicted: u64,
}

impl Windows {
    /// Empty windows of that length.
    pub fn new(within_us: i64) -> Windows {
        Windows::bounded(within_us, KEYS_MAX)
    }

    fn bounded(within_us: i64, keys_max: usize) -> Windows {
        let (series, carried) = (ByKey::default(), HashMap::new());
        let keys = RandomState::new();
        Windows { within_us, keys_max, series, carried, keys, estimated: 0, tick: 0, evicted: 0 }
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
        let was_estimated = series.is_estimated();
        series.add(at.0, amount, seq, self.within_us, &self.keys);
        let mut total = series.total();
        let mut is_estimate = series.is_estimated();
        if is_estimate && !was_estimated {
            self.bound_estimates(key);
        }
        if let Some(carried) = self.carried.get_mut(&key.slot(CARRIED_SLOTS)) {
            carried.expire(at.0.saturating_sub(self.within_us));
            total = total.saturating_add(carried.total());
            is_estimate |= carried.total() > 0;
        }
        Figure { total, is_estimate }
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
            Amount::Values(values) => series.map_or(values.len() as u64, |series| series.new_of(values)),
        };
        held.fold(new, u64::saturating_add)
    }

    /// The statements that a key's window holds; the newest of them, where they are many.
    pub fn evidence(&self, key: Key) -> Vec<u64> {
        self.series.get(&key).into_iter().flat_map(|series| &series.evidence).map(|(_, seq)| *seq).collect()
    }

    /// What led to the figure of a key, oldest first, and the figure.
    pub fn held(&self, key: Key, at: Timestamp) -> (Vec<u64>, u64) {
        (self.evidence(key), self.with(key, at, &Amount::Number(0)))
    }

    fn evict(&mut self, now: i64) {
        let before = now.saturating_sub(self.within_us);
        self.series.retain(|_, series| series.newest > before);
        if self.series.len() < self.keys_max {
            return;
        }
        self.carry(|_| true, (self.keys_max / 8).max(1));
    }

    /// One more key has estimates, which take room.
    fn bound_estimates(&mut self, key: Key) {
        self.estimated += 1;
        if self.estimated <= ESTIMATED_KEYS_MAX {
            return;
        }
        self.estimated = self.series.values().filter(|series| series.is_estimated()).count();
        if self.estimated > ESTIMATED_KEYS_MAX {
            self.carry(|(other, series)| *other != key && series.is_estimated(), ESTIMATED_KEYS_MAX / 8);
            self.estimated -= ESTIMATED_KEYS_MAX / 8;
        }
    }

    /// Pours the least recently used of `which` into what is counted with every key of their slots.
    fn carry(&mut self, which: impl Fn((&Key, &Series)) -> bool, count: usize) {
        let chosen = self.series.iter().filter(|(key, series)| which((key, series)));
        let mut by_use: Vec<(u64, Key)> = chosen.map(|(key, series)| (series.used, *key)).collect();
        by_use.sort_unstable();
        for (_, key) in by_use.into_iter().take(count) {
            if let Some(series) = self.series.remove(&key) {
                self.evicted += 1;
                let carried = self.carried.entry(key.slot(CARRIED_SLOTS)).or_default();
                carried.pour(series, self.within_us, &self.keys);
            }
        }
    }
}

#[cfg(test)]
mod tests;
