//! Figures of a sidecar that runs: raised where something happens, read where somebody asks.
//!
//! In: records as they are logged, and what else the stages do. Out: numbers since the start, and what stands now. One relaxed atomic addition
//! each, on the thread that analyses and never on the relay's; what a stage can tell by itself when it is asked (sessions, the journal's
//! backlog) is not kept here. Nothing is told apart by names, users, addresses, databases or texts: the number of figures is fixed, and none
//! of them tells of a person.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use crate::clock::Timestamp;
use crate::record::{
    Action, Finding, Kind, Outcome, Session, SessionOutcome, Severity, Statement, Transaction, TransactionOutcome,
};

/// Upper bounds of how long statements took, microseconds.
pub const DURATION_BOUNDS_US: [u64; 12] =
    [100, 250, 1_000, 2_500, 10_000, 25_000, 100_000, 250_000, 1_000_000, 5_000_000, 30_000_000, 300_000_000];

/// A number that rises.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// By one.
    pub fn one(&self) {
        self.add(1);
    }

    /// By so many.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// As it stands.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that goes up and down.
#[derive(Debug, Default)]
pub struct Level(AtomicU64);

impl Level {
    /// It is this now.
    pub fn set(&self, now: u64) {
        self.0.store(now, Ordering::Relaxed);
    }

    /// As it stands.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A moment, or none.
#[derive(Debug)]
pub struct Moment(AtomicI64);

impl Default for Moment {
    fn default() -> Moment {
        Moment(AtomicI64::new(i64::MIN))
    }
}

impl Moment {
    /// It is this one now.
    pub fn set(&self, now: Option<Timestamp>) {
        self.0.store(now.map_or(i64::MIN, |at| at.0), Ordering::Relaxed);
    }

    /// As it stands.
    pub fn get(&self) -> Option<Timestamp> {
        let at = self.0.load(Ordering::Relaxed);
        (at != i64::MIN).then_some(Timestamp(at))
    }
}

/// All of them. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Figures(Arc<Inner>);

impl std::ops::Deref for Figures {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

/// See [`Figures`].
#[derive(Debug, Default)]
pub struct Inner {
    /// By kind, then outcome.
    statements: [[Count; Outcome::ALL.len()]; Kind::ALL.len()],
    /// One more than there are bounds: the last is without one.
    durations: [Count; DURATION_BOUNDS_US.len() + 1],
    durations_sum_us: Count,
    /// What clients sent for their statements.
    pub bytes_in: Count,
    /// What they got for them.
    pub bytes_out: Count,
    /// Rows that went to clients.
    pub rows_returned: Count,
    /// Rows that were changed.
    pub rows_affected: Count,
    /// Rows with personal data that went to clients.
    pub personal_rows: Count,
    transactions: [Count; TransactionOutcome::ALL.len()],
    sessions: [Count; SessionOutcome::ALL.len()],
    /// By severity, then action.
    findings: [[Count; Action::ALL.len()]; Severity::ALL.len()],
    /// The number of the last finding in the log.
    pub last_finding: Level,
    /// Findings that the queue to those who tell people had no room for.
    pub findings_not_passed: Count,
    /// Events that are in no record, whatever the cause.
    pub gap_events: Count,
    /// The number of the last event of the intake journal that was analysed.
    pub analysed: Level,
    /// The oldest record that is not in Parquet.
    pub unsealed_since: Moment,
    /// The journal of records, bytes.
    pub journal_bytes: Level,
    /// Commits and sealings that the system refused.
    pub log_failures: Count,
    /// Whether the analysis is over although nobody stopped it.
    pub analysis_ended: AtomicBool,
    /// Files that wait for the store.
    pub spool_files: Level,
    /// And their bytes.
    pub spool_bytes: Level,
    /// Since when the store takes nothing.
    pub store_away_since: Moment,
    /// Whether the fleet's store answered when it was asked last.
    pub is_in_fleet: AtomicBool,
    /// Policies that are judged.
    pub policies: Level,
    /// When the configuration and policies in force were taken.
    pub loaded_at: Moment,
    /// Times that policies, or the configuration, were read again and taken.
    pub reloads: Count,
    /// And times that they were faulty.
    pub reloads_faulty: Count,
    /// Whether what was read last was faulty, so that something older is in force.
    pub is_faulty: AtomicBool,
}

impl Inner {
    /// A statement was logged.
    pub fn statement(&self, record: &Statement) {
        let kind = record.kind.unwrap_or(Kind::Other) as usize;
        let outcome = record.outcome.unwrap_or(Outcome::Unknown) as usize;
        if let Some(count) = self.statements.get(kind).and_then(|outcomes| outcomes.get(outcome)) {
            count.one();
        }
        if let Some(duration) = record.duration_us {
            let bucket = DURATION_BOUNDS_US.partition_point(|bound| *bound < duration);
            self.durations.get(bucket).into_iter().for_each(Count::one);
            self.durations_sum_us.add(duration);
        }
        for (count, more) in [
            (&self.bytes_in, record.bytes_in),
            (&self.bytes_out, record.bytes_out),
            (&self.rows_returned, record.rows_returned),
            (&self.rows_affected, record.rows_affected),
            (&self.personal_rows, record.personal_rows),
        ] {
            if let Some(more) = more.filter(|more| *more > 0) {
                count.add(more);
            }
        }
    }

    /// A transaction was logged.
    pub fn transaction(&self, record: &Transaction) {
        let outcome = record.outcome.and_then(|outcome| self.transactions.get(outcome as usize));
        outcome.into_iter().for_each(Count::one);
    }

    /// A session that is over was logged.
    pub fn session(&self, record: &Session) {
        let outcome = record.outcome.and_then(|outcome| self.sessions.get(outcome as usize));
        outcome.into_iter().for_each(Count::one);
    }

    /// A finding was logged.
    pub fn finding(&self, record: &Finding) {
        let severity = record.severity.unwrap_or(Severity::Low) as usize;
        let action = record.action.unwrap_or(Action::Alert) as usize;
        let count = self.findings.get(severity).and_then(|actions| actions.get(action));
        count.into_iter().for_each(Count::one);
        self.last_finding.set(record.common.seq);
    }

    /// Statements by kind and outcome; those of which there were any.
    pub fn statements(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        pairs(&self.statements, Kind::ALL, Outcome::ALL).filter(|(.., count)| *count > 0)
    }

    /// Findings by severity and action, all of them: who alerts on a rise has to have seen the zero.
    pub fn findings(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        pairs(&self.findings, Severity::ALL, Action::ALL)
    }

    /// Transactions by outcome.
    pub fn transactions(&self) -> impl Iterator<Item = (&'static str, u64)> {
        TransactionOutcome::ALL.iter().copied().zip(self.transactions.iter().map(Count::get))
    }

    /// Sessions that are over, by outcome.
    pub fn sessions(&self) -> impl Iterator<Item = (&'static str, u64)> {
        SessionOutcome::ALL.iter().copied().zip(self.sessions.iter().map(Count::get))
    }

    /// How many statements took no longer than each bound, and longer than the one before; the last without a bound. And all of their time.
    pub fn durations(&self) -> ([u64; DURATION_BOUNDS_US.len() + 1], u64) {
        (std::array::from_fn(|index| self.durations.get(index).map_or(0, Count::get)), self.durations_sum_us.get())
    }
}

fn pairs<const A: usize, const B: usize>(
    counts: &[[Count; B]; A],
    outer: &'static [&'static str],
    inner: &'static [&'static str],
) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
    outer
        .iter()
        .zip(counts)
        .flat_map(|(outer, counts)| inner.iter().zip(counts).map(|(inner, count)| (*outer, *inner, count.get())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_counted_by_kind_and_outcome_and_into_the_bucket_of_their_time() {
        let figures = Figures::default();
        let took = |duration_us| Statement {
            kind: Some(Kind::Select),
            outcome: Some(Outcome::Ok),
            duration_us,
            bytes_out: Some(7),
            ..Statement::default()
        };
        for duration in [Some(100), Some(101), Some(u64::MAX >> 8), None] {
            figures.statement(&took(duration));
        }
        figures.statement(&Statement { kind: Some(Kind::Ddl), outcome: Some(Outcome::Denied), ..Statement::default() });
        let counted: Vec<_> = figures.statements().collect();
        assert_eq!(counted, [("select", "ok", 4), ("ddl", "denied", 1)]);
        let (buckets, _) = figures.durations();
        assert_eq!((buckets[0], buckets[1], buckets[DURATION_BOUNDS_US.len()]), (1, 1, 1), "{buckets:?}");
        assert_eq!(figures.bytes_out.get(), 28);
    }

    #[test]
    fn every_word_of_a_vocabulary_has_its_own_count() {
        let figures = Figures::default();
        for (index, severity) in Severity::ALL.iter().enumerate() {
            for _ in 0..=index {
                let (severity, action) = (severity.parse().ok(), Some(Action::Cut));
                figures.finding(&Finding { severity, action, ..Finding::default() });
            }
        }
        let found: Vec<_> = figures.findings().filter(|(.., count)| *count > 0).collect();
        assert_eq!(found, [("low", "cut", 1), ("medium", "cut", 2), ("high", "cut", 3), ("critical", "cut", 4)]);
    }

    #[test]
    fn a_moment_is_none_until_it_is_set() {
        let moment = Moment::default();
        assert_eq!(moment.get(), None);
        moment.set(Some(Timestamp(0)));
        assert_eq!(moment.get(), Some(Timestamp(0)));
        moment.set(None);
        assert_eq!(moment.get(), None);
    }
}
