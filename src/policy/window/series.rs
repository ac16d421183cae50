//! What one key holds within its window: entries that are added up, or values of which the different ones are counted.
//!
//! In: amounts, in the order of their times. Out: the figure, and what led to it. Bounded: [`ENTRIES_MAX`] entries; [`DISTINCT_MAX`] values,
//! beyond which they are estimated by HyperLogLog, a 64th of the window at a time.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};

use super::Amount;
use crate::distinct::{Distinct, Sketch};
use crate::policy::key::{ByKey, Key};

/// Entries a key keeps before they are made coarse.
pub const ENTRIES_MAX: usize = 128;
/// Parts a window is divided in where entries are made coarse, or values estimated.
pub const BUCKETS: i64 = 64;
/// Different values that a key counts exactly.
pub const DISTINCT_MAX: usize = 1_024;
/// Statements a finding names as evidence; the newest stay.
pub const EVIDENCE_MAX: usize = 100;
/// 2^11 registers, a byte each: a standard error of 2.3 %.
const SKETCH_BITS: u32 = 11;
/// Values that a part of the window keeps as they are: as many bytes as its registers.
const PART_VALUES_MAX: usize = 256;

/// Places in the order of values that may count for nothing, besides one a value, before it is made anew.
const ORDER_SPARE: usize = 32;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Series {
    /// Oldest first.
    pub(super) entries: VecDeque<(i64, u64)>,
    sum: u128,
    different: Different,
    pub(super) evidence: VecDeque<(i64, u64)>,
    pub(super) newest: i64,
    /// When it was used last, by the count of uses.
    pub(super) used: u64,
}

#[derive(Debug)]
enum Different {
    /// One by one.
    Each(Each),
    /// Too many for that.
    Parts(Box<Parts>),
}

impl Default for Different {
    fn default() -> Different {
        Different::Each(Each::default())
    }
}

/// Different values, one by one.
#[derive(Debug, Default)]
struct Each {
    /// When each came last.
    values: ByKey<i64>,
    /// The same, oldest first; of one that came again, the older places count for nothing.
    order: VecDeque<(i64, Key)>,
}

/// Different values by the part of the window that they came in last.
#[derive(Debug)]
struct Parts {
    /// Of a part, microseconds.
    width: i64,
    /// Oldest first.
    parts: VecDeque<Part>,
    /// Of all of them.
    union: Sketch,
}

#[derive(Debug)]
struct Part {
    /// Its number since 1970.
    number: i64,
    /// When its newest value came.
    last: i64,
    values: Distinct,
}

impl Series {
    /// What it holds.
    pub(super) fn total(&self) -> u64 {
        u64::try_from(self.sum).unwrap_or(u64::MAX).saturating_add(self.different.count())
    }

    /// The total without what is as old as `before` or older.
    pub(super) fn total_after(&self, before: i64) -> u64 {
        let gone = self.entries.iter().take_while(|(at, _)| *at <= before);
        let gone = gone.fold(0_u128, |sum, (_, number)| sum.saturating_add(u128::from(*number)));
        let sum = u64::try_from(self.sum.saturating_sub(gone)).unwrap_or(u64::MAX);
        sum.saturating_add(self.different.count_after(before))
    }

    /// How many of these it does not know; of what is estimated, none is known.
    pub(super) fn new_of(&self, values: &[Key]) -> u64 {
        let known = |value: &&Key| matches!(&self.different, Different::Each(each) if each.values.contains_key(value));
        values.iter().filter(|value| !known(value)).count() as u64
    }

    /// Whether its different values are estimated.
    pub(super) fn is_estimated(&self) -> bool {
        matches!(self.different, Different::Parts(_))
    }

    /// Adds an amount. `keys` are what values are hashed under where they are estimated.
    pub(super) fn add(&mut self, at: i64, amount: Amount, seq: Option<u64>, within_us: i64, keys: &RandomState) {
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
                values.into_iter().for_each(|value| self.different.insert(value, at, within_us, keys))
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
        self.entries.is_empty() && self.different.is_empty()
    }

    /// Drops what is as old as `before` or older.
    pub(super) fn expire(&mut self, before: i64) {
        while let Some((_, number)) = self.entries.pop_front_if(|(at, _)| *at <= before) {
            self.sum = self.sum.saturating_sub(u128::from(number));
        }
        while self.evidence.pop_front_if(|(at, _)| *at <= before).is_some() {}
        self.different.expire(before);
    }

    fn coarsen(&mut self, within_us: i64) {
        if self.entries.len() <= ENTRIES_MAX {
            return;
        }
        let width = part_width(within_us);
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

    /// Takes over what `other` holds, but for its evidence.
    pub(super) fn pour(&mut self, other: Series, within_us: i64, keys: &RandomState) {
        self.newest = self.newest.max(other.newest);
        let mut entries: Vec<(i64, u64)> = self.entries.drain(..).chain(other.entries).collect();
        entries.sort_unstable();
        self.entries = entries.into();
        self.sum += other.sum;
        self.coarsen(within_us);
        self.different.pour(other.different, within_us, keys);
    }
}

fn part_width(within_us: i64) -> i64 {
    (within_us / BUCKETS).max(1)
}

impl Different {
    fn is_empty(&self) -> bool {
        match self {
            Different::Each(each) => each.values.is_empty(),
            Different::Parts(parts) => parts.parts.is_empty(),
        }
    }

    fn count(&self) -> u64 {
        match self {
            Different::Each(each) => each.values.len() as u64,
            Different::Parts(parts) => parts.union.count(),
        }
    }

    fn count_after(&self, before: i64) -> u64 {
        match self {
            Different::Each(each) => each.count_after(before),
            Different::Parts(parts) => match parts.parts.front() {
                Some(first) if first.last <= before => {
                    union(parts.parts.iter().filter(|part| part.last > before)).count()
                }
                _ => parts.union.count(),
            },
        }
    }

    fn insert(&mut self, value: Key, at: i64, within_us: i64, keys: &RandomState) {
        match self {
            Different::Each(each) => {
                each.insert(value, at);
                if each.values.len() > DISTINCT_MAX {
                    self.estimate(within_us, keys);
                }
            }
            Different::Parts(parts) => parts.insert(keys.hash_one(value), at),
        }
    }

    fn expire(&mut self, before: i64) {
        match self {
            Different::Each(each) => each.expire(before),
            Different::Parts(parts) => {
                parts.expire(before);
                if parts.parts.is_empty() {
                    *self = Different::default();
                }
            }
        }
    }

    /// From now on.
    fn estimate(&mut self, within_us: i64, keys: &RandomState) {
        if let Different::Each(each) = self {
            let values = std::mem::take(each).in_order();
            let mut parts =
                Parts { width: part_width(within_us), parts: VecDeque::new(), union: Sketch::new(SKETCH_BITS) };
            values.into_iter().for_each(|(at, value)| parts.insert(keys.hash_one(value), at));
            *self = Different::Parts(Box::new(parts));
        }
    }

    fn pour(&mut self, other: Different, within_us: i64, keys: &RandomState) {
        match other {
            Different::Each(values) => {
                match self {
                    Different::Each(each) => each.merge(values),
                    Different::Parts(parts) => {
                        let values = values.in_order().into_iter();
                        values.for_each(|(at, value)| parts.insert_anywhere(keys.hash_one(value), at));
                    }
                }
                if matches!(self, Different::Each(each) if each.values.len() > DISTINCT_MAX) {
                    self.estimate(within_us, keys);
                }
            }
            Different::Parts(other) => {
                self.estimate(within_us, keys);
                if let Different::Parts(parts) = self {
                    parts.merge(*other);
                }
            }
        }
    }
}

impl Each {
    /// Something that is as new as all before it, or newer.
    fn insert(&mut self, value: Key, at: i64) {
        if self.values.insert(value, at) == Some(at) {
            return;
        }
        self.order.push_back((at, value));
        if self.order.len() > 2 * self.values.len() + ORDER_SPARE {
            self.put_in_order();
        }
    }

    fn put_in_order(&mut self) {
        let mut order: Vec<(i64, Key)> = self.values.iter().map(|(value, at)| (*at, *value)).collect();
        order.sort_unstable();
        self.order = order.into();
    }

    /// Each with when it came last, oldest first.
    fn in_order(mut self) -> VecDeque<(i64, Key)> {
        self.put_in_order();
        self.order
    }

    fn count_after(&self, before: i64) -> u64 {
        let old = self.order.iter().take_while(|(at, _)| *at <= before);
        let gone = old.filter(|(at, value)| self.values.get(value) == Some(at)).count();
        self.values.len().saturating_sub(gone) as u64
    }

    fn expire(&mut self, before: i64) {
        while let Some((at, value)) = self.order.pop_front_if(|(at, _)| *at <= before) {
            if self.values.get(&value) == Some(&at) {
                self.values.remove(&value);
            }
        }
    }

    fn merge(&mut self, other: Each) {
        for (value, at) in other.values {
            let seen = self.values.entry(value).or_insert(at);
            *seen = at.max(*seen);
        }
        self.put_in_order();
    }
}

impl Parts {
    /// Something newer than all before it.
    fn insert(&mut self, hash: u64, at: i64) {
        let number = at.div_euclid(self.width);
        if self.parts.back().is_none_or(|part| part.number != number) {
            self.parts.push_back(Part::new(number));
        }
        if let Some(part) = self.parts.back_mut() {
            part.last = at;
            part.values.insert(hash);
        }
        self.union.insert(hash);
    }

    /// Something that may be older.
    fn insert_anywhere(&mut self, hash: u64, at: i64) {
        let part = self.part(at.div_euclid(self.width));
        part.last = part.last.max(at);
        part.values.insert(hash);
        self.union.insert(hash);
    }

    fn part(&mut self, number: i64) -> &mut Part {
        let place = self.parts.partition_point(|part| part.number < number);
        if self.parts.get(place).is_none_or(|part| part.number != number) {
            self.parts.insert(place, Part::new(number));
        }
        &mut self.parts[place]
    }

    fn expire(&mut self, before: i64) {
        let mut has_gone = false;
        while self.parts.pop_front_if(|part| part.last <= before).is_some() {
            has_gone = true;
        }
        if has_gone {
            self.union = union(self.parts.iter());
        }
    }

    fn merge(&mut self, other: Parts) {
        self.union.merge(&other.union);
        for theirs in other.parts {
            let ours = self.part(theirs.number);
            ours.last = ours.last.max(theirs.last);
            ours.values.merge(&theirs.values);
        }
    }
}

impl Part {
    fn new(number: i64) -> Part {
        Part { number, last: i64::MIN, values: Distinct::new(PART_VALUES_MAX, SKETCH_BITS) }
    }
}

fn union<'p>(parts: impl Iterator<Item = &'p Part>) -> Sketch {
    let mut union = Sketch::new(SKETCH_BITS);
    parts.for_each(|part| part.values.pour_into(&mut union));
    union
}
