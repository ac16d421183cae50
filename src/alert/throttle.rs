//! When to write to people, and when they have been told enough.
//!
//! In: findings, and the time they carry. Out: whether this one is sent, and how many were held back since the last.
//! PURE. One mail a finding, but for the same policy and the same principal at most one in [`SAME_AGAIN_AFTER_US`], and
//! at most [`MAILS_AN_HOUR_MAX`] in all.

use std::collections::{HashMap, VecDeque};

use crate::clock::Timestamp;
use crate::record::{Finding, Text};

/// The same policy and principal are mailed again after so long, microseconds: 15 minutes.
pub const SAME_AGAIN_AFTER_US: i64 = 15 * 60 * 1_000_000;
/// Mails in any hour, all policies together.
pub const MAILS_AN_HOUR_MAX: usize = 60;
/// One hour, microseconds.
const HOUR_US: i64 = 3_600 * 1_000_000;
/// Principals remembered; beyond, those longest silent are forgotten, which errs on the side of telling.
const PRINCIPALS_MAX: usize = 4_096;

type Key = (Text, Option<Text>, Option<Text>);

/// See the module.
#[derive(Debug, Default)]
pub struct Throttle {
    last: HashMap<Key, (Timestamp, u64)>,
    sent: VecDeque<Timestamp>,
    over: u64,
}

impl Throttle {
    /// `Some(held back)` to send it: how many like it, or beyond the hour's limit, were not sent before it.
    pub fn admit(&mut self, finding: &Finding) -> Option<u64> {
        let at = finding.common.at;
        while self.sent.front().is_some_and(|sent| at.0.saturating_sub(sent.0) >= HOUR_US) {
            self.sent.pop_front();
        }
        let key = (finding.policy.clone(), finding.db_user.clone(), finding.client_addr.clone());
        if let Some((last, held)) = self.last.get_mut(&key)
            && at.0.saturating_sub(last.0) < SAME_AGAIN_AFTER_US
        {
            *held = held.saturating_add(1);
            return None;
        }
        if self.sent.len() >= MAILS_AN_HOUR_MAX {
            self.over = self.over.saturating_add(1);
            return None;
        }
        if self.last.len() >= PRINCIPALS_MAX {
            let oldest = self.last.iter().min_by_key(|(_, (last, _))| *last).map(|(key, _)| key.clone());
            oldest.map(|oldest| self.last.remove(&oldest));
        }
        let held = self.last.insert(key, (at, 0)).map_or(0, |(_, held)| held);
        self.sent.push_back(at);
        Some(held.saturating_add(std::mem::take(&mut self.over)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(policy: &str, user: &str, second: i64) -> Finding {
        let mut finding = Finding { policy: policy.into(), db_user: Some(user.into()), ..Finding::default() };
        finding.common.at = Timestamp(second * 1_000_000);
        finding
    }

    #[test]
    fn the_same_is_told_once_a_quarter_of_an_hour_with_the_number_held_back() {
        let mut throttle = Throttle::default();
        assert_eq!(throttle.admit(&finding("bulk", "clerk", 0)), Some(0));
        assert_eq!(throttle.admit(&finding("bulk", "clerk", 60)), None);
        assert_eq!(throttle.admit(&finding("bulk", "clerk", 899)), None);
        assert_eq!(throttle.admit(&finding("bulk", "batch", 60)), Some(0), "another principal");
        assert_eq!(throttle.admit(&finding("copy", "clerk", 60)), Some(0), "another policy");
        assert_eq!(throttle.admit(&finding("bulk", "clerk", 900)), Some(2));
    }

    #[test]
    fn an_hour_has_a_limit_and_what_is_over_it_is_counted() {
        let mut throttle = Throttle::default();
        let sent = (0..200).filter(|n| throttle.admit(&finding("bulk", &format!("user{n}"), 1)).is_some()).count();
        assert_eq!(sent, MAILS_AN_HOUR_MAX);
        assert_eq!(throttle.admit(&finding("bulk", "later", 3_601)), Some(140));
    }
}
