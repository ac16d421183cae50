//! A transaction being added up: from the first statement after ReadyForQuery's `I` to the next `I`, COMMIT or ROLLBACK.
//!
//! In: its statements' records, in order. Out: one [`Transaction`], where it was explicit, wrote, or read classified
//! data.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::catalog::Understanding;
use crate::clock::Timestamp;
use crate::record::{Outcome, Statement, Text, Transaction, TransactionOutcome};
use crate::session::event::TransactionStatus;
use crate::sql::Effect;

/// Relations remembered, of each kind, per transaction. Beyond it the list is cut; the statements have them all.
const RELATIONS_MAX: usize = 1_024;

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
        extend(&mut self.read, &understanding.relations_read);
        extend(&mut self.written, &understanding.relations_written);
        let ok = statement.outcome == Some(Outcome::Ok);
        self.explicit |= ok && effects.contains(&Effect::TransactionBegun);
        self.failed |=
            matches!(statement.outcome, Some(Outcome::Error | Outcome::Cancelled | Outcome::Denied | Outcome::Cut));
        self.noteworthy |= !understanding.relations_written.is_empty()
            || statement.columns.as_ref().is_some_and(|columns| !columns.is_empty());
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
