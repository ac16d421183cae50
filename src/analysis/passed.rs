//! How often each statement came through: what the server's own counts are held against.
//!
//! In: the statements that were recorded. Out: their number by database and fingerprint, since somebody first asked. Counts nothing before
//! that. Bounded: with more than [`KINDS_MAX`] kinds of statements it is full, says so, and is of no use from then on.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::record::{Outcome, Statement, Text};

/// Kinds of statements that are counted.
const KINDS_MAX: usize = 65_536;

/// Shared with whoever asks.
#[derive(Clone, Debug, Default)]
pub struct Passed(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    is_asked: AtomicBool,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    is_full: bool,
    /// By database and fingerprint.
    kinds: HashMap<(Text, Text), u64, ahash::RandomState>,
    /// By database: statements whose kind is not known, which may be of any.
    unknown: HashMap<Text, u64, ahash::RandomState>,
}

impl Passed {
    /// Counts from now on.
    pub fn begin(&self) {
        self.0.is_asked.store(true, Ordering::Relaxed);
    }

    /// Stops, and forgets.
    pub fn end(&self) {
        self.0.is_asked.store(false, Ordering::Relaxed);
        *self.lock() = Counts::default();
    }

    /// Counts a statement, under its own fingerprint and that of what it executes. Those that failed, too: the server counts fewer.
    pub(super) fn count(&self, statement: &Statement, meant: &str) {
        let is_counted = self.0.is_asked.load(Ordering::Relaxed) && statement.outcome != Some(Outcome::Denied);
        let Some(database) = statement.database.as_ref().filter(|_| is_counted) else { return };
        let own = statement.fingerprint.as_deref().unwrap_or_default();
        let mut counts = self.lock();
        counts.count(database, own);
        if meant != own && !meant.is_empty() {
            counts.count(database, meant);
        }
    }

    /// How often, those that may have been of this kind included; `None` where there are too many kinds to know.
    pub fn of(&self, database: &str, fingerprint: &str) -> Option<u64> {
        let counts = self.lock();
        let unknown = counts.unknown.get(database).copied().unwrap_or(0);
        let known = counts.kinds.get(&(database.into(), fingerprint.into())).copied().unwrap_or(0);
        (!counts.is_full).then(|| known.saturating_add(unknown))
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn count(&mut self, database: &Text, fingerprint: &str) {
        if self.is_full {
            return;
        }
        let count = match fingerprint {
            "" => self.unknown.entry(database.clone()).or_default(),
            known => self.kinds.entry((database.clone(), known.into())).or_default(),
        };
        *count = count.saturating_add(1);
        if self.kinds.len() > KINDS_MAX || self.unknown.len() > KINDS_MAX {
            *self = Counts { is_full: true, ..Counts::default() };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement(fingerprint: &str, outcome: Outcome) -> Statement {
        Statement {
            database: Some("shop".into()),
            fingerprint: Some(fingerprint.into()),
            outcome: Some(outcome),
            ..Statement::default()
        }
    }

    #[test]
    fn nothing_is_counted_before_it_is_asked_for_and_what_is_executed_counts_too() {
        let passed = Passed::default();
        passed.count(&statement("a", Outcome::Ok), "a");
        assert_eq!(passed.of("shop", "a"), Some(0));
        passed.begin();
        passed.count(&statement("a", Outcome::Ok), "a");
        passed.count(&statement("a", Outcome::Error), "b");
        passed.count(&statement("a", Outcome::Denied), "b");
        assert_eq!(
            (passed.of("shop", "a"), passed.of("shop", "b"), passed.of("other", "a")),
            (Some(2), Some(1), Some(0))
        );
        passed.count(&Statement { fingerprint: None, ..statement("", Outcome::Ok) }, "");
        assert_eq!((passed.of("shop", "c"), passed.of("other", "c")), (Some(1), Some(0)), "it may have been any");
        passed.end();
        assert_eq!(passed.of("shop", "a"), Some(0));
    }

    #[test]
    fn with_too_many_kinds_it_says_that_it_does_not_know() {
        let passed = Passed::default();
        passed.begin();
        for number in 0..=KINDS_MAX {
            passed.count(&statement(&number.to_string(), Outcome::Ok), "");
        }
        assert_eq!(passed.of("shop", "1"), None);
        assert!(passed.lock().kinds.is_empty(), "and takes no room");
    }
}
