//! When to write to people, and when they have been told enough.
//!
//! In: findings, and a moment that only rises. Out: whether this one is sent, and how many were held back before it. PURE.
//! One mail a finding, but for the same policy and the same principal at most one in a while, unless the figure has grown
//! [`GROWTH`] times, and at most [`MAILS_AN_HOUR_MAX`] in all. What was held back is told when the while is over: the
//! gravest finding of it, and the number of the others.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use crate::record::{Finding, Text};

/// Mails in any hour, all policies together.
pub const MAILS_AN_HOUR_MAX: usize = 60;
/// How many times the last mail's figure another has to be, to be told within the while: what a policy's throttle lets
/// through because it has grown is not held back here.
pub const GROWTH: u64 = 10;
/// The while that it is counted over.
const HOUR: Duration = Duration::from_secs(3_600);
/// Principals remembered; beyond, those told longest ago are forgotten, which errs on the side of telling.
const PRINCIPALS_MAX: usize = 4_096;

/// Policy, user, end user, address.
type Key = (Text, Option<Text>, Option<Text>, Option<Text>);

/// See the module.
#[derive(Debug)]
pub struct Throttle {
    /// The while.
    once: Duration,
    told: HashMap<Key, Told>,
    /// When mails of the last hour were sent.
    sent: VecDeque<Instant>,
    /// What came when the hour was full.
    over: Option<Held>,
}

#[derive(Debug)]
struct Told {
    /// The end of the while.
    until: Instant,
    /// The figure that was told.
    figure: u64,
    held: Option<Held>,
}

#[derive(Debug)]
struct Held {
    gravest: Finding,
    /// All of them, the gravest included.
    count: u64,
}

impl Throttle {
    /// The same policy and principal are mailed once in so long.
    pub fn new(once: Duration) -> Throttle {
        Throttle { once, told: HashMap::new(), sent: VecDeque::new(), over: None }
    }

    /// `Some(held back)` to send it: how many like it were not sent since the last mail. `None`: it waits for [`Throttle::due`].
    pub fn admit(&mut self, finding: &Finding, now: Instant) -> Option<u64> {
        let is_full = self.is_full(now);
        let figure = finding.observed.unwrap_or(0);
        if let Some(told) = self.told.get_mut(&key(finding)) {
            let grown = figure > 0 && figure >= told.figure.saturating_mul(GROWTH);
            if now < told.until && !grown {
                hold(&mut told.held, finding);
                return None;
            }
        }
        if is_full {
            hold(&mut self.over, finding);
            return None;
        }
        Some(self.tell(finding, now))
    }

    /// What was held back and is to be told now, and how many besides it. To be asked until there is nothing more.
    pub fn due(&mut self, now: Instant) -> Option<(Finding, u64)> {
        if self.is_full(now) {
            return None;
        }
        let mut ended = self.told.values_mut().filter(|told| told.until <= now);
        let held = self.over.take().or_else(|| ended.find_map(|told| told.held.take()))?;
        // Its key may hold some of its own, which are told with it.
        let besides = self.tell(&held.gravest, now);
        Some((held.gravest, besides.saturating_add(held.count.saturating_sub(1))))
    }

    /// When [`Throttle::due`] is to be asked next; `None`: nothing is held back.
    pub fn next_due(&self) -> Option<Instant> {
        let free = (self.sent.len() >= MAILS_AN_HOUR_MAX).then(|| self.sent.front().map(|sent| *sent + HOUR)).flatten();
        if self.over.is_some() {
            return free.or_else(|| self.sent.back().copied());
        }
        let ended = self.told.values().filter(|told| told.held.is_some()).map(|told| told.until).min()?;
        Some(free.map_or(ended, |free| free.max(ended)))
    }

    /// Whatever is held back, at the end: nobody will ask again. Keeps to the hour's limit.
    pub fn last(&mut self, now: Instant) -> Option<(Finding, u64)> {
        for told in self.told.values_mut().filter(|told| told.held.is_some()) {
            told.until = told.until.min(now);
        }
        self.due(now)
    }

    fn is_full(&mut self, now: Instant) -> bool {
        while self.sent.front().is_some_and(|sent| now.saturating_duration_since(*sent) >= HOUR) {
            self.sent.pop_front();
        }
        self.sent.len() >= MAILS_AN_HOUR_MAX
    }

    /// Notes a finding as told; how many of its key were held back.
    fn tell(&mut self, finding: &Finding, now: Instant) -> u64 {
        let key = key(finding);
        if self.told.len() >= PRINCIPALS_MAX && !self.told.contains_key(&key) {
            let oldest = self.told.iter().min_by_key(|(_, told)| told.until).map(|(key, _)| key.clone());
            oldest.map(|oldest| self.told.remove(&oldest));
        }
        self.sent.push_back(now);
        let told = Told { until: now + self.once, figure: finding.observed.unwrap_or(0).max(1), held: None };
        self.told.insert(key, told).and_then(|before| before.held).map_or(0, |held| held.count)
    }
}

fn key(finding: &Finding) -> Key {
    let Finding { policy, db_user, end_user, client_addr, .. } = finding;
    (policy.clone(), db_user.clone(), end_user.clone(), client_addr.clone())
}

fn hold(held: &mut Option<Held>, finding: &Finding) {
    match held {
        None => *held = Some(Held { gravest: finding.clone(), count: 1 }),
        Some(held) => {
            held.count = held.count.saturating_add(1);
            let gravity = |finding: &Finding| (finding.severity, finding.observed);
            if gravity(finding) >= gravity(&held.gravest) {
                held.gravest = finding.clone();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Severity;

    fn finding(policy: &str, user: &str, observed: u64) -> Finding {
        let severity = Some(Severity::High);
        Finding {
            policy: policy.into(),
            db_user: Some(user.into()),
            observed: Some(observed),
            severity,
            ..Finding::default()
        }
    }

    fn second(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn the_same_is_told_once_in_a_while_and_what_was_held_back_at_its_end() {
        let (mut throttle, start) = (Throttle::new(Duration::from_secs(900)), Instant::now());
        assert_eq!(throttle.admit(&finding("bulk", "clerk", 2_000), start), Some(0));
        assert_eq!(throttle.next_due(), None);
        for observed in [3_000, 5_000, 4_000] {
            assert_eq!(throttle.admit(&finding("bulk", "clerk", observed), second(start, 60)), None);
        }
        assert_eq!(throttle.admit(&finding("bulk", "batch", 1), second(start, 60)), Some(0), "another principal");
        assert_eq!(throttle.admit(&finding("copy", "clerk", 1), second(start, 60)), Some(0), "another policy");
        assert_eq!(throttle.due(second(start, 899)), None);
        assert_eq!(throttle.next_due(), Some(second(start, 900)));
        let (gravest, besides) = throttle.due(second(start, 900)).expect("its while is over");
        assert_eq!((gravest.observed, besides), (Some(5_000), 2));
        assert_eq!(throttle.due(second(start, 900)), None, "once");
        assert_eq!(throttle.admit(&finding("bulk", "clerk", 1), second(start, 1_799)), None, "a new while has begun");
    }

    #[test]
    fn one_that_comes_after_the_while_tells_of_those_in_it() {
        let (mut throttle, start) = (Throttle::new(Duration::from_secs(900)), Instant::now());
        assert_eq!(throttle.admit(&finding("bulk", "clerk", 1), start), Some(0));
        assert_eq!(throttle.admit(&finding("bulk", "clerk", 1), second(start, 1)), None);
        assert_eq!(throttle.admit(&finding("bulk", "clerk", 1), second(start, 901)), Some(1));
        assert_eq!(throttle.next_due(), None);
    }

    #[test]
    fn a_figure_grown_tenfold_does_not_wait() {
        let (mut throttle, start) = (Throttle::new(Duration::from_secs(900)), Instant::now());
        assert_eq!(throttle.admit(&finding("bulk", "clerk", 1_001), start), Some(0));
        assert_eq!(throttle.admit(&finding("bulk", "clerk", 9_000), second(start, 1)), None);
        assert_eq!(throttle.admit(&finding("bulk", "clerk", 20_000), second(start, 2)), Some(1));
        assert_eq!(throttle.admit(&finding("bulk", "clerk", 20_000), second(start, 3)), None);
    }

    #[test]
    fn an_hour_has_a_limit_and_what_is_over_it_is_told_when_it_is_free() {
        let (mut throttle, start) = (Throttle::new(Duration::from_secs(900)), Instant::now());
        let admitted = (0..200).filter(|n| throttle.admit(&finding("bulk", &format!("u{n}"), *n), start).is_some());
        assert_eq!(admitted.count(), MAILS_AN_HOUR_MAX);
        assert_eq!(throttle.due(second(start, 3_599)), None);
        assert_eq!(throttle.next_due(), Some(second(start, 3_600)));
        let (gravest, besides) = throttle.due(second(start, 3_600)).expect("the hour is over");
        assert_eq!((gravest.observed, besides), (Some(199), 139));
        assert_eq!(throttle.due(second(start, 3_600)), None);
    }

    #[test]
    fn at_the_end_whatever_is_held_back_is_told() {
        let (mut throttle, start) = (Throttle::new(Duration::from_secs(900)), Instant::now());
        for _ in 0..3 {
            throttle.admit(&finding("bulk", "clerk", 1), start);
        }
        assert_eq!(throttle.last(start).map(|(_, besides)| besides), Some(1));
        assert_eq!(throttle.last(start), None);
    }

    #[test]
    fn its_memory_is_bounded() {
        let (mut throttle, start) = (Throttle::new(Duration::from_secs(900)), Instant::now());
        for n in 0..(PRINCIPALS_MAX as u64 + 500) {
            throttle.admit(&finding("bulk", &format!("u{n}"), 1), second(start, n * 3_600));
        }
        assert_eq!(throttle.told.len(), PRINCIPALS_MAX);
    }
}
