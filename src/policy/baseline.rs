//! What is usual for a principal. For now `first`: what it has never done before.
//!
//! In: every record of the policy's table, so that it is known since when a principal is about; and, of the records
//! that match the policy's condition, what they touch. Out: what is touched for the first time.
//!
//! * A principal that was first seen less than `learn` ago only teaches: a new deployment raises no storm. `learn: 0d`
//!   judges from the first record on. (A cold principal is not yet judged by its peers.)
//! * What has not been touched for [`REMEMBERED_US`] is forgotten and is a first again; the engine's look-back covers
//!   the same time, so that a restart changes nothing.
//! * [`PRINCIPALS_MAX`] principals, [`TOUCHED_MAX`] things each. Beyond, the longest unused go. Once a principal has
//!   been dropped so, unknown ones are judged at once instead of learned from: a flood of names buys no silence.

use super::duration::DAY_US;
use super::key::{ByKey, Key};
use crate::clock::Timestamp;

/// How long something stays known, microseconds: over a month, for what is done monthly.
pub const REMEMBERED_US: i64 = 35 * DAY_US;
/// Principals that are kept.
pub const PRINCIPALS_MAX: usize = 16_384;
/// Things that are kept for each.
pub const TOUCHED_MAX: usize = 4_096;

/// What the principals of one policy have touched.
#[derive(Debug, Default)]
pub struct Touched {
    learn_us: i64,
    principals: ByKey<Principal>,
    dropped: u64,
}

#[derive(Debug)]
struct Principal {
    since: Timestamp,
    last: Timestamp,
    things: ByKey<Timestamp>,
}

impl Touched {
    /// Nothing known; principals are learned from for `learn_us`.
    pub fn new(learn_us: i64) -> Touched {
        Touched { learn_us, ..Touched::default() }
    }

    /// How far back history matters, microseconds.
    pub fn lookback_us(learn_us: i64) -> i64 {
        REMEMBERED_US.max(learn_us)
    }

    /// How many it knows.
    pub fn principals(&self) -> usize {
        self.principals.len()
    }

    /// Whether this is one of them.
    pub fn knows(&self, principal: Key) -> bool {
        self.principals.contains_key(&principal)
    }

    /// Notes that the principal is about.
    pub fn saw(&mut self, principal: Key, at: Timestamp) {
        if self.principals.len() >= PRINCIPALS_MAX && !self.principals.contains_key(&principal) {
            self.dropped += drop_oldest(&mut self.principals, PRINCIPALS_MAX, |principal| principal.last);
        }
        // Where principals were dropped, this one may be one of them: it is taken for a known one.
        let since = if self.dropped > 0 { Timestamp(i64::MIN) } else { at };
        let known =
            self.principals.entry(principal).or_insert_with(|| Principal { since, last: at, things: ByKey::default() });
        known.last = known.last.max(at);
    }

    /// Notes what a matching record touches; the indexes of what the principal, known for long enough, touches for the
    /// first time.
    pub fn touch(&mut self, principal: Key, at: Timestamp, things: impl Iterator<Item = Key>) -> Vec<usize> {
        self.saw(principal, at);
        let remembered = Touched::lookback_us(self.learn_us);
        let Some(known) = self.principals.get_mut(&principal) else { return Vec::new() };
        let judged = at.0.saturating_sub(known.since.0) >= self.learn_us;
        let mut new = Vec::new();
        for (index, thing) in things.enumerate() {
            let before = known.things.insert(thing, at);
            if before.is_none_or(|before| at.0.saturating_sub(before.0) > remembered) {
                new.push(index);
            }
            if known.things.len() > TOUCHED_MAX {
                drop_oldest(&mut known.things, TOUCHED_MAX, |last| *last);
            }
        }
        if judged { new } else { Vec::new() }
    }
}

/// Drops the eighth that was used longest ago; how many that was.
fn drop_oldest<V>(map: &mut ByKey<V>, max: usize, last: impl Fn(&V) -> Timestamp) -> u64 {
    let before = map.len();
    let mut times: Vec<(Timestamp, Key)> = map.iter().map(|(key, value)| (last(value), *key)).collect();
    times.sort_unstable();
    for (_, key) in times.into_iter().take((max / 8).max(1)) {
        map.remove(&key);
    }
    (before - map.len()) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Value;

    fn key(text: &str) -> Key {
        Key::of_value(Value::Text(text))
    }

    fn day(day: i64) -> Timestamp {
        Timestamp(day * DAY_US)
    }

    #[test]
    fn a_principal_is_learned_from_before_it_is_judged() {
        let mut touched = Touched::new(14 * DAY_US);
        assert!(touched.touch(key("clerk"), day(0), [key("orders")].into_iter()).is_empty());
        assert!(touched.touch(key("clerk"), day(13), [key("events")].into_iter()).is_empty());
        assert!(touched.touch(key("clerk"), day(14), [key("orders"), key("events")].into_iter()).is_empty());
        assert_eq!(touched.touch(key("clerk"), day(15), [key("orders"), key("cards")].into_iter()), [1]);
        assert!(touched.touch(key("clerk"), day(16), [key("cards")].into_iter()).is_empty());
    }

    #[test]
    fn records_that_do_not_match_still_say_since_when_a_principal_is_about() {
        let mut touched = Touched::new(14 * DAY_US);
        touched.saw(key("clerk"), day(0));
        assert_eq!(touched.touch(key("clerk"), day(20), [key("cards")].into_iter()), [0]);
    }

    #[test]
    fn without_learning_the_first_record_is_judged() {
        assert_eq!(Touched::new(0).touch(key("clerk"), day(0), [key("cards")].into_iter()), [0]);
    }

    #[test]
    fn what_was_not_touched_for_long_is_a_first_again() {
        let mut touched = Touched::new(0);
        touched.touch(key("clerk"), day(0), [key("cards")].into_iter());
        assert!(touched.touch(key("clerk"), day(35), [key("cards")].into_iter()).is_empty());
        assert_eq!(touched.touch(key("clerk"), day(71), [key("cards")].into_iter()), [0]);
    }

    #[test]
    fn a_flood_of_principals_buys_no_silence() {
        let mut touched = Touched::new(14 * DAY_US);
        touched.touch(key("clerk"), day(0), [key("orders")].into_iter());
        for number in 0..(PRINCIPALS_MAX as u64 + 1) {
            touched.saw(Key::of_value(Value::U64(number)), day(1));
        }
        assert!(touched.principals.len() <= PRINCIPALS_MAX);
        assert_eq!(touched.touch(key("clerk"), day(2), [key("cards")].into_iter()), [0]);
    }
}
