//! Changes of the schema that nobody saw: by code that makes its statements as it runs, or has them in a body.
//!
//! In: that such code ran. Out: whether the catalog is worth reading again, and whether a relation that it does not have may be any. Code of that
//! kind changes the schema once in a thousand calls, so what is known does not count as stale for it, and the loader rests between two readings.

use super::Catalog;
use super::resolve::{Resolver, Target};
use crate::sql::{Analysis, ColumnRef, Output};

/// Of one database. By numbers: a suspicion that comes while the catalog is read is not settled by that.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Suspicion {
    raised: u64,
    /// When the reading began that is under way.
    at_reading: u64,
    settled: u64,
}

impl Suspicion {
    pub(super) fn is_open(self) -> bool {
        self.raised != self.settled
    }

    /// The catalog was read.
    pub(super) fn was_read(&mut self) {
        self.settled = self.at_reading;
    }
}

impl Catalog {
    /// Code ran that may have changed the schema, and showed nothing of it.
    pub fn may_have_changed(&self, database: &str) {
        if let Some(database) = self.write().get_mut(database) {
            database.suspicion.raised = database.suspicion.raised.saturating_add(1);
            self.inner.wake.notify_one();
        }
        self.changed_now();
    }

    /// Whether that is so, and the catalog has not been read since.
    pub(super) fn is_suspected(&self, database: &str) -> bool {
        self.read().get(database).is_some_and(|database| database.suspicion.is_open())
    }

    pub(super) fn is_stale(&self, database: &str) -> bool {
        self.read().get(database).is_some_and(|database| database.stale)
    }

    /// A reading of the database begins.
    pub(super) fn reading_begins(&self, database: &str) {
        if let Some(database) = self.write().get_mut(database) {
            database.suspicion.at_reading = database.suspicion.raised;
        }
    }
}

impl Resolver<'_> {
    /// Whether a relation is named that the catalog does not have, after code ran that may have given this name to any. Of one that a statement
    /// made since, it is known what it holds; sequences are not in the catalog that is read.
    pub(super) fn reads_suspected(&self, analysis: &Analysis, reads: &[Target<'_>]) -> bool {
        let is_unknown = |target: &Target<'_>| match target {
            Target::Named { schema, table } => {
                let is_followed = self.held(schema, table).next().is_some() || self.is_shifted(table);
                !is_followed && self.lineage.below(schema, table).is_empty()
            }
            Target::Known(_) | Target::Temporary { .. } => false,
        };
        let of_sequence =
            |column: &ColumnRef| matches!(column.column.as_deref(), Some("last_value" | "log_cnt" | "is_called"));
        let is_sequence = matches!(&analysis.output, Output::Columns(columns) if columns.iter().all(of_sequence));
        (self.suspected || self.context.own.is_suspected) && !is_sequence && reads.iter().any(is_unknown)
    }
}
