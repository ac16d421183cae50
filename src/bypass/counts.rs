//! Which of the statements that the server counted did not come through. PURE.
//!
//! In: looks at `pg_stat_statements`, and how often each kind of statement came through here by then. Out: findings. Only growth counts: what
//! the first look finds is where counting begins, and so is what has become less, because the server forgot it. A finding is made
//! when two looks, one after the other, miss the same: what came through is recorded by then. It is certain where the
//! server ran a kind of statement that was never seen here, and likely where it ran [`MISSING_MIN`] more than were, and half of all.

use std::collections::HashMap;

use crate::clock::Timestamp;
use crate::policy::explanation::grouped;
use crate::policy::judged::tame;
use crate::record::{Action, Common, Finding, Severity, Text};

/// The server counts what it ran, and we what we saw; where both know a kind of statement, so many more are more than a matter of counting.
const MISSING_MIN: u64 = 50;
/// Kinds of statements that are followed: `pg_stat_statements.max` is 5,000 unless somebody raised it.
const KINDS_MAX: usize = 100_000;

/// A row of `pg_stat_statements`.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The database it ran in.
    pub database: String,
    /// The role that it ran as.
    pub db_user: String,
    /// Whether nothing, or no row-level policy, limits the role.
    pub is_powerful: bool,
    /// How often since the server began to count.
    pub calls: u64,
    /// Its kind.
    pub fingerprint: Text,
}

/// What earlier looks have seen.
#[derive(Debug, Default)]
pub struct Counts {
    has_looked: bool,
    kinds: HashMap<(String, Text), Followed>,
}

#[derive(Debug, Default)]
struct Followed {
    /// The server's number, and ours, where counting began.
    calls: u64,
    passed: u64,
    /// How many were missing at the last look.
    missed: Option<Missed>,
    is_seen: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Missed {
    is_certain: bool,
    calls: u64,
}

/// Of one role in one database.
#[derive(Debug, Default)]
struct Sum {
    certain: u64,
    likely: u64,
    kinds: u64,
    is_powerful: bool,
}

impl Counts {
    /// Takes a look. `passed`: how often a kind of statement in a database came through here; asked after the server was. `None`: that is not
    /// known, and nothing is found.
    pub fn look(
        &mut self,
        entries: &[Entry],
        passed: impl Fn(&str, &str) -> Option<u64>,
        now: Timestamp,
    ) -> Option<Vec<Finding>> {
        let mut sums: HashMap<(String, Text), (u64, &Entry)> = HashMap::new();
        for entry in entries {
            let sum = sums.entry((entry.database.clone(), entry.fingerprint.clone())).or_insert((0, entry));
            sum.0 = sum.0.saturating_add(entry.calls);
            if entry.calls > sum.1.calls {
                // Whoever ran it most.
                sum.1 = entry;
            }
        }
        self.kinds.values_mut().for_each(|followed| followed.is_seen = false);
        let mut found: HashMap<(&str, &str), Sum> = HashMap::new();
        for (key, (calls, most)) in &sums {
            let passed = passed(&key.0, &key.1)?;
            if !self.kinds.contains_key(key) && self.kinds.len() >= KINDS_MAX {
                continue;
            }
            let is_first = !self.has_looked;
            let followed = self.kinds.entry(key.clone()).or_default();
            followed.is_seen = true;
            if is_first || *calls < followed.calls {
                (followed.calls, followed.passed, followed.missed) = (*calls, passed, None);
                continue;
            }
            if let Some(missed) = followed.judge(*calls, passed) {
                let sum = found.entry((&most.database, &most.db_user)).or_default();
                let place = if missed.is_certain { &mut sum.certain } else { &mut sum.likely };
                *place = place.saturating_add(missed.calls);
                sum.kinds = sum.kinds.saturating_add(1);
                sum.is_powerful |= most.is_powerful;
            }
        }
        // What the server has forgotten begins anew when it comes back.
        self.kinds.retain(|_, followed| followed.is_seen);
        self.has_looked = true;
        let mut findings: Vec<Finding> =
            found.into_iter().map(|((database, user), sum)| finding(database, user, &sum, now)).collect();
        findings.sort_by(|one, other| one.db_user.cmp(&other.db_user));
        Some(findings)
    }
}

impl Followed {
    /// What is missing for the second time; counting begins anew then.
    fn judge(&mut self, calls: u64, passed: u64) -> Option<Missed> {
        let growth = calls.saturating_sub(self.calls);
        let missing = growth.saturating_sub(passed.saturating_sub(self.passed));
        let missed = match (passed, missing) {
            (_, 0) => None,
            (0, missing) => Some(Missed { is_certain: true, calls: missing }),
            (_, missing) if missing >= MISSING_MIN && missing >= growth / 2 => {
                Some(Missed { is_certain: false, calls: missing })
            }
            _ => None,
        };
        let before = std::mem::replace(&mut self.missed, missed)?;
        let again = missed.filter(|missed| missed.is_certain == before.is_certain)?;
        (self.calls, self.passed, self.missed) = (calls, passed, None);
        Some(again)
    }
}

fn finding(database: &str, user: &str, sum: &Sum, now: Timestamp) -> Finding {
    let is_certain = sum.certain > 0;
    let calls = sum.certain.saturating_add(sum.likely);
    let (noun, kinds) = (if calls == 1 { "statement" } else { "statements" }, sum.kinds);
    let how = match (sum.certain, sum.likely) {
        (_, 0) => "certain: nothing like it came through".to_owned(),
        (0, _) => "likely: the server counts more than came through".to_owned(),
        (certain, likely) => format!("{} certain, {} likely", grouped(certain), grouped(likely)),
    };
    let explanation = format!(
        "the server ran {} {noun} of {} as {} in the database {} that did not come through this sidecar ({how}): pg_stat_statements has their text",
        grouped(calls),
        if kinds == 1 { "one kind".to_owned() } else { format!("{} kinds", grouped(kinds)) },
        tame(user),
        tame(database),
    );
    Finding {
        common: Common { at: now, ..Common::default() },
        finding_id: uuid::Uuid::now_v7().to_string().into(),
        policy: "bypass-statements".into(),
        title: "Statements that did not come through Mitsuke".into(),
        severity: Some(match (is_certain, sum.is_powerful) {
            (false, _) => Severity::Low,
            (true, false) => Severity::Medium,
            (true, true) => Severity::High,
        }),
        action: Some(Action::Alert),
        observed: Some(calls),
        measure: Some("statements".into()),
        explanation: Some(explanation.into()),
        tags: Some(
            ["attack.t1562".into(), "appi.art-23".into(), "pci-dss.10.2.1".into(), "iso27001.a.8.15".into()].into(),
        ),
        database: Some(database.into()),
        db_user: Some(user.into()),
        ..Finding::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(user: &str, fingerprint: &str, calls: u64) -> Entry {
        Entry {
            database: "shop".to_owned(),
            db_user: user.to_owned(),
            is_powerful: user == "postgres",
            calls,
            fingerprint: fingerprint.into(),
        }
    }

    fn look(counts: &mut Counts, entries: &[Entry], passed: &[(&str, u64)]) -> Vec<(String, Severity, u64)> {
        let of = |_: &str, fingerprint: &str| {
            Some(passed.iter().find(|(known, _)| *known == fingerprint).map_or(0, |(_, number)| *number))
        };
        let found = counts.look(entries, of, Timestamp(0)).expect("it is known");
        let told = found.into_iter().map(|finding| {
            (
                finding.db_user.expect("a user").to_string(),
                finding.severity.expect("one"),
                finding.observed.expect("a number"),
            )
        });
        told.collect()
    }

    #[test]
    fn what_never_came_through_is_certain_at_the_second_look_and_told_once() {
        let mut counts = Counts::default();
        let old = entry("app", "old", 1_000);
        assert!(look(&mut counts, std::slice::from_ref(&old), &[]).is_empty(), "where counting begins");
        let there = [old, entry("clerk", "new", 3)];
        assert!(look(&mut counts, &there, &[]).is_empty(), "it may be about to be recorded");
        assert_eq!(look(&mut counts, &there, &[]), [("clerk".to_owned(), Severity::Medium, 3)]);
        assert!(look(&mut counts, &there, &[]).is_empty());
        let more = [entry("postgres", "new", 5)];
        assert!(look(&mut counts, &more, &[]).is_empty());
        assert_eq!(look(&mut counts, &more, &[]), [("postgres".to_owned(), Severity::High, 2)]);
    }

    #[test]
    fn what_came_through_is_not_found_however_late_it_is_recorded_or_how_often_it_failed() {
        let mut counts = Counts::default();
        assert!(look(&mut counts, &[entry("app", "a", 10)], &[("a", 4)]).is_empty());
        for (calls, passed) in [(20, 9), (40, 24), (100, 90), (100, 200)] {
            assert!(look(&mut counts, &[entry("app", "a", calls)], &[("a", passed)]).is_empty(), "{calls} {passed}");
        }
        let mut late = Counts::default();
        look(&mut late, &[], &[]);
        assert!(look(&mut late, &[entry("app", "b", 7)], &[("b", 0)]).is_empty());
        assert!(look(&mut late, &[entry("app", "b", 9)], &[("b", 9)]).is_empty());
    }

    #[test]
    fn many_more_than_came_through_are_likely() {
        let mut counts = Counts::default();
        look(&mut counts, &[entry("app", "a", 0)], &[("a", 0)]);
        assert!(look(&mut counts, &[entry("app", "a", 200)], &[("a", 40)]).is_empty());
        assert_eq!(
            look(&mut counts, &[entry("app", "a", 200)], &[("a", 40)]),
            [("app".to_owned(), Severity::Low, 160)]
        );
        // Fewer than half, or than fifty.
        for (calls, passed) in [(1_000, 800), (1_000, 800), (1_020, 801), (1_020, 801)] {
            assert!(look(&mut counts, &[entry("app", "a", calls)], &[("a", passed)]).is_empty(), "{calls}");
        }
    }

    #[test]
    fn what_the_server_has_forgotten_or_counted_anew_is_no_growth() {
        let mut counts = Counts::default();
        look(&mut counts, &[entry("app", "a", 500)], &[("a", 0)]);
        for calls in [7, 7, 7] {
            assert!(look(&mut counts, &[entry("app", "a", calls)], &[("a", 0)]).is_empty(), "reset");
        }
        assert!(counts.look(&[entry("app", "a", 900)], |_, _| None, Timestamp(0)).is_none(), "too many kinds to know");
    }
}
