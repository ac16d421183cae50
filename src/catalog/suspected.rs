//! Changes of the schema that nobody saw: by code that makes its statements as it runs, or has them in a body.
//!
//! In: that such code ran. Out: whether the catalog is worth reading again, and whether a relation that it does not have may be any. Code of that
//! kind changes the schema once in a thousand calls, so what is known does not count as stale for it, and the loader rests between two readings.

use super::Catalog;
use super::resolve::{Resolver, Target};
use crate::session::event::Origin;
use crate::sql::{Analysis, ColumnRef, Output};

/// Of one database. By numbers: a suspicion that comes while the catalog is read is not settled by that.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Suspicion {
    raised: u64,
    /// When the reading began that is under way.
    at_reading: u64,
    settled: u64,
    /// Readings that began, and the last one that was taken in.
    begun: u64,
    read: u64,
    /// Somebody waits for the next one.
    is_pressing: bool,
}

impl Suspicion {
    pub(super) fn is_open(self) -> bool {
        self.raised != self.settled
    }

    /// The catalog was read.
    pub(super) fn was_read(&mut self) {
        self.settled = self.at_reading;
        self.read = self.begun;
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
            let suspicion = &mut database.suspicion;
            suspicion.at_reading = suspicion.raised;
            suspicion.begun = suspicion.begun.saturating_add(1);
            suspicion.is_pressing = false;
            database.doubt.reading_begins();
        }
    }

    /// A statement's meaning depends on it: the catalog is to be read at once. Gives how many readings have begun.
    pub fn read_again(&self, database: &str) -> u64 {
        let suspicion = self.read().get(database).map(|database| database.suspicion).unwrap_or_default();
        if !suspicion.is_pressing
            && let Some(database) = self.write().get_mut(database)
        {
            database.suspicion.is_pressing = true;
            self.inner.wake.notify_one();
        }
        suspicion.begun
    }

    /// Whether a reading was taken in that began after so many.
    pub fn was_read_since(&self, database: &str, readings: u64) -> bool {
        self.read().get(database).is_some_and(|database| database.suspicion.read > readings)
    }

    /// Whether somebody waits for the catalog to be read.
    pub(super) fn is_pressing(&self, database: &str) -> bool {
        self.read().get(database).is_some_and(|database| database.suspicion.is_pressing)
    }
}

impl Resolver<'_> {
    /// Whether a relation is named that the catalog does not have, after code ran that may have given this name to any. Of one that a statement
    /// made since, it is known what it holds; sequences are not in the catalog that is read; and where each column of the result is a table's that the
    /// catalog has, that says more than any name: a table keeps its OID under another.
    pub(super) fn reads_suspected(&self, analysis: &Analysis, reads: &[Target<'_>], wire: Option<&[Origin]>) -> bool {
        let is_another = wire.is_some_and(|origins| self.are_of_another_view(origins, reads));
        let is_unknown = |target: &Target<'_>| match target {
            Target::Named { schema, table } => {
                let is_followed = !is_another && (self.held(schema, table).next().is_some() || self.is_shifted(table));
                !is_followed && self.lineage.below(schema, table).is_empty()
            }
            Target::Known(_) | Target::Temporary { .. } => false,
        };
        let of_sequence =
            |column: &ColumnRef| matches!(column.column.as_deref(), Some("last_value" | "log_cnt" | "is_called"));
        let is_sequence = matches!(&analysis.output, Output::Columns(columns) if columns.iter().all(of_sequence));
        (self.suspected || self.context.own.is_suspected)
            && !is_sequence
            && reads.iter().any(is_unknown)
            && !wire.is_some_and(|origins| self.are_tables(origins))
    }

    /// Whether a result has a column of a view that is none of those that are read: it has another name by now, and shows something else, perhaps.
    fn are_of_another_view(&self, origins: &[Origin], reads: &[Target<'_>]) -> bool {
        let known = origins.iter().filter_map(|origin| self.snapshot?.relation(origin.table_oid));
        let mut views = known.filter(|relation| !matches!(relation.bases(), [base] if *base == relation.name));
        views.any(|view| !reads.iter().any(|target| target.parts().as_ref() == Some(&view.parts)))
    }

    /// Whether each column of a result is one of a table that the catalog has. What a view shows may be another by now.
    fn are_tables(&self, origins: &[Origin]) -> bool {
        let is_known = |origin: &Origin| {
            let relation = self.snapshot.and_then(|snapshot| snapshot.relation(origin.table_oid));
            relation.is_some_and(|relation| {
                let is_table = matches!(relation.bases(), [base] if *base == relation.name) && !relation.is_foreign;
                is_table && relation.column_named(origin.attribute).is_some()
            })
        };
        !origins.is_empty() && origins.iter().all(is_known)
    }
}
