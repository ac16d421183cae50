//! How often one policy may speak about one key, so that one incident is not a thousand findings.
//!
//! A matching record always carries the policy's id in `policies`; a throttle only decides whether a finding follows.
//! Within the time, another finding comes only when the figure has grown [`GROWTH`] times: a small match cannot buy
//! silence for a large one. At [`KEYS_MAX`] keys the oldest eighth is forgotten, which can only make it speak more.

use super::key::{ByKey, Key};
use crate::clock::Timestamp;

/// Keys that are remembered.
pub const KEYS_MAX: usize = 16_384;
/// How many times the last finding's figure another has to be, to be told within the time.
pub const GROWTH: u64 = 10;

/// What was told lately.
#[derive(Debug, Default)]
pub struct Throttle {
    told: ByKey<(Timestamp, u64)>,
}

impl Throttle {
    /// Whether a finding about `key` may be told now; if so it is noted as told.
    pub fn admits(&mut self, key: Key, at: Timestamp, observed: u64, once_us: i64) -> bool {
        if let Some((told_at, figure)) = self.told.get(&key) {
            // Both ways: a clock set back by more than that does not silence what comes after.
            let recent = at.0.abs_diff(told_at.0) < once_us.unsigned_abs();
            if recent && (observed == 0 || observed < figure.saturating_mul(GROWTH)) {
                return false;
            }
        }
        if self.told.len() >= KEYS_MAX && !self.told.contains_key(&key) {
            self.forget();
        }
        self.told.insert(key, (at, observed.max(1)));
        true
    }

    fn forget(&mut self) {
        let mut times: Vec<Timestamp> = self.told.values().map(|(at, _)| *at).collect();
        times.sort_unstable();
        let Some(middle) = times.get(KEYS_MAX / 8).copied() else { return };
        self.told.retain(|_, (at, _)| *at > middle);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Value;

    #[test]
    fn it_speaks_once_in_its_time_unless_the_figure_grows_tenfold() {
        let mut throttle = Throttle::default();
        let key = Key::of_value(Value::Text("clerk"));
        assert!(throttle.admits(key, Timestamp(0), 1_001, 100));
        assert!(!throttle.admits(key, Timestamp(50), 9_000, 100));
        assert!(throttle.admits(key, Timestamp(60), 10_010, 100));
        assert!(!throttle.admits(key, Timestamp(110), 20_000, 100));
        assert!(throttle.admits(key, Timestamp(160), 1, 100));
    }

    #[test]
    fn a_clock_set_back_buys_no_silence() {
        let mut throttle = Throttle::default();
        let key = Key::of_value(Value::Text("clerk"));
        assert!(throttle.admits(key, Timestamp(10_000), 5, 100));
        assert!(!throttle.admits(key, Timestamp(9_950), 5, 100));
        assert!(throttle.admits(key, Timestamp(9_900), 5, 100));
        assert!(!throttle.admits(key, Timestamp(9_999), 5, 100));
        assert!(throttle.admits(key, Timestamp(i64::MIN), 5, i64::MAX));
        assert!(throttle.admits(key, Timestamp(i64::MAX), 5, i64::MAX));
    }

    #[test]
    fn its_memory_is_bounded() {
        let mut throttle = Throttle::default();
        for number in 0..(KEYS_MAX as u64 + 5_000) {
            assert!(throttle.admits(Key::of_value(Value::U64(number)), Timestamp(7), 1, 1_000));
        }
        assert!(throttle.told.len() <= KEYS_MAX);
    }
}
