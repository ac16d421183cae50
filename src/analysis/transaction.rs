//! A transaction being added up: from the first statement after ReadyForQuery's `I` to the next `I`, COMMIT or ROLLBACK.
//!
//! In: its statements' records, in order. Out: one [`Transaction`], where it was explicit, wrote, or read classified
//! data.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::catalog::Understanding;
use crate::clock::Timestamp;
use crate::record::{Outcome, Statement, Text, Transaction, TransactionOutcome};
use crate::session::event::{Ended, TransactionStatus};
use crate::sql::Effect;

/// Relations remembered, of each kind, per transaction. Beyond it the list is cut; the statements have them all.
const RELATIONS_MAX: usize = 1_024;

/// Whether a statement with which nothing is open is a transaction of its own that has no record: most reads. It needs not be added up.
pub(super) fn is_nothing_alone(
    statement: &Statement,
    understanding: &Understanding,
    effects: &[Effect],
    ended: Option<&Ended>,
) -> bool {
    statement.outcome == Some(Outcome::Ok)
        && ended.is_some_and(|ended| ended.ready == Some(TransactionStatus::Idle))
        && effects.is_empty()
        && !is_noteworthy(statement, understanding)
}

fn is_noteworthy(statement: &Statement, understanding: &Understanding) -> bool {
    !understanding.relations_written.is_empty() || statement.columns.as_ref().is_some_and(|columns| !columns.is_empty())
}

/// How a statement ends the transaction that is open, if it does.
pub(super) fn ended_by(tag: &str, effects: &[Effect], fold: &Fold) -> Option<TransactionOutcome> {
    match tag {
        "COMMIT" => Some(TransactionOutcome::Committed),
        // A rollback to a savepoint has the same tag, and goes on.
        "ROLLBACK"
            if effects
                .iter()
                .any(|effect| matches!(effect, Effect::TransactionRolledBack | Effect::TransactionCommitted)) =>
        {
            Some(fold.rollback_outcome())
        }
        _ => None,
    }
}

/// The transaction in progress.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Fold {
    record: Transaction,
    read: BTreeSet<Text>,
    written: BTreeSet<Text>,
    explicit: bool,
    failed: bool,
    noteworthy: bool,
}

impl Fold {
    /// Its session's database.
    pub(super) fn database(&self) -> Option<&Text> {
        self.record.database.as_ref()
    }

    /// A transaction that begins with `first`.
    pub(super) fn begin(transaction_no: u64, first: &Statement) -> Fold {
        let mut fold = Fold::default();
        fold.record.transaction_no = transaction_no;
        fold.record.common.at = first.common.at;
        fold.record.common.session_id.clone_from(&first.common.session_id);
        fold
    }

    /// Adds a statement that ended.
    pub(super) fn add(&mut self, statement: &Statement, understanding: &Understanding, effects: &[Effect]) {
        let record = &mut self.record;
        add(&mut record.statements, Some(1));
        add(&mut record.rows_returned, statement.rows_returned);
        add(&mut record.rows_affected, statement.rows_affected);
        add(&mut record.personal_rows, statement.personal_rows);
        add(&mut record.persons, statement.persons);
        record.database.clone_from(&statement.database);
        record.db_user.clone_from(&statement.db_user);
        record.role.clone_from(&statement.role);
        record.end_user.clone_from(&statement.end_user);
        record.application_name.clone_from(&statement.application_name);
        record.client_addr.clone_from(&statement.client_addr);
        record.member_of.clone_from(&statement.member_of);
        extend(&mut self.read, &understanding.relations_read);
        extend(&mut self.written, &understanding.relations_written);
        let ok = statement.outcome == Some(Outcome::Ok);
        self.explicit |= ok && effects.contains(&Effect::TransactionBegun);
        self.failed |=
            matches!(statement.outcome, Some(Outcome::Error | Outcome::Cancelled | Outcome::Denied | Outcome::Cut));
        self.noteworthy |= is_noteworthy(statement, understanding);
    }

    /// Each statement completed, and the implicit commit after them did not.
    pub(super) fn commit_failed(&mut self) {
        self.failed = true;
    }

    /// ReadyForQuery said that the transaction goes on.
    pub(super) fn goes_on(&mut self, status: TransactionStatus) {
        self.explicit = true;
        // A rollback to a savepoint heals it.
        self.failed = status == TransactionStatus::Failed;
    }

    /// How a ROLLBACK, typed or in answer to COMMIT, is to be called.
    pub(super) fn rollback_outcome(&self) -> TransactionOutcome {
        if self.failed { TransactionOutcome::Failed } else { TransactionOutcome::RolledBack }
    }

    /// How the end of an implicit transaction is to be called.
    pub(super) fn implicit_outcome(&self) -> TransactionOutcome {
        if self.failed { TransactionOutcome::Failed } else { TransactionOutcome::Committed }
    }

    /// Its end. `None` for an implicit one that neither wrote nor read classified data.
    pub(super) fn end(self, at: Timestamp, outcome: TransactionOutcome) -> Option<Transaction> {
        if !self.explicit && !self.noteworthy {
            return None;
        }
        let mut record = self.record;
        record.ended_at = Some(at);
        record.outcome = Some(outcome);
        record.relations_read = Some(self.read.into_iter().collect());
        record.relations_written = Some(self.written.into_iter().collect());
        Some(record)
    }
}

fn add(sum: &mut Option<u64>, more: Option<u64>) {
    if let Some(more) = more {
        *sum = Some(sum.unwrap_or(0).saturating_add(more));
    }
}

fn extend(set: &mut BTreeSet<Text>, more: &[Text]) {
    for relation in more {
        if set.len() >= RELATIONS_MAX {
            return;
        }
        set.insert(relation.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Catalog, Classification, Context};
    use crate::sql::analyze;

    fn ended(tag: &str, outcome: Outcome, ready: Option<TransactionStatus>) -> Ended {
        Ended {
            who: Default::default(),
            statement_no: 1,
            part: 0,
            more: ready.is_none(),
            at: Timestamp(2),
            outcome,
            tag: tag.to_owned(),
            rows_returned: 1,
            bytes_out: 1,
            bytes_in: 1,
            sqlstate: None,
            error: None,
            told: Default::default(),
            columns: None,
            people: None,
            baits: Box::default(),
            sighted: Box::default(),
            ready,
        }
    }

    #[test]
    fn what_is_not_added_up_would_have_had_no_record() {
        let catalog = Catalog::new(Classification::built_in());
        let texts = [
            "select 1",
            "select abalance from pgbench_accounts",
            "select email from customers",
            "insert into t values (1)",
            "begin",
            "commit",
            "rollback",
            "rollback to savepoint a",
            "set search_path = a",
            "create temp table t (a int)",
            "select a into t from u",
            "prepare p as select 1",
            "execute p",
            "call f()",
            "no statement",
        ];
        let mut passed_over = 0;
        for text in texts {
            let analysis = analyze(text).remove(0);
            let understanding = catalog.understand(&analysis, &Context::default(), None);
            let tag = text.split(' ').next().unwrap_or_default().to_ascii_uppercase();
            for outcome in [Outcome::Ok, Outcome::Error, Outcome::Denied, Outcome::Unknown] {
                for ready in [None, Some(TransactionStatus::Idle), Some(TransactionStatus::Open)] {
                    let ended = ended(&tag, outcome, ready);
                    let columns = Some(understanding.columns.iter().cloned().collect());
                    let record = Statement { outcome: Some(outcome), columns, ..Statement::default() };
                    if !is_nothing_alone(&record, &understanding, &analysis.effects, Some(&ended)) {
                        continue;
                    }
                    passed_over += 1;
                    let mut fold = Fold::begin(1, &record);
                    fold.add(&record, &understanding, &analysis.effects);
                    assert_eq!(ended_by(&tag, &analysis.effects, &fold), None, "{text}");
                    let outcome = fold.implicit_outcome();
                    assert_eq!(fold.end(Timestamp(3), outcome), None, "{text}");
                }
            }
        }
        assert!((2..8).contains(&passed_over), "{passed_over}");
    }
}
