//! What a statement comes to by what its code is given, where that may execute it; and what such code may have done that nobody saw.
//!
//! In: the values that were sent apart from a statement's text, and the constants of an EXECUTE. Out: what follows from the statement with
//! them, and what the catalog is asked for. No analysis that is shared holds these values, and no record does.

use std::sync::Arc;

use uuid::Uuid;

use super::session::Open;
use super::stage::Stage;
use super::understood::Understood;
use crate::catalog::{Consequences, Context, Understanding};
use crate::clock::Timestamp;
use crate::session::event::Origin;
use crate::sql::{self, Analysis};

/// A transaction is counted when the server is done with it, which is at most so long before its end is told of, µs.
const COMMIT_MICROS: i64 = 1_000_000;

/// When a transaction was not counted yet whose end was told of then.
pub(super) fn before_commit(at: Timestamp) -> Timestamp {
    at.plus_micros(-COMMIT_MICROS)
}

impl Stage {
    /// See the module; `None` where nothing is given, or nothing executes it.
    pub(super) fn given(
        &self,
        open: &Open,
        [analysis, meant]: [&Arc<Analysis>; 2],
        understood: &Understood,
        context: &Context,
        columns: Option<&Arc<[Origin]>>,
    ) -> Option<Understanding> {
        if !understood.understanding.consequences.executes {
            return None;
        }
        let values = open.parameters.iter().filter_map(|(_, value)| std::str::from_utf8(value).ok());
        let sent = sql::Code::of_values(values);
        let here = analysis.doors.given.as_deref().filter(|_| !Arc::ptr_eq(analysis, meant));
        let given = sent.iter().chain(here).fold(None::<sql::Code>, |all, more| match all {
            Some(all) => Some(all.with(more)),
            None => Some(more.clone()),
        })?;
        let mut whole = Analysis::clone(meant);
        whole.doors.given = Some(Box::new(match &whole.doors.given {
            Some(constants) => constants.with(&given),
            None => given,
        }));
        Some(self.catalog.understand(&whole, context, columns.map(|columns| &columns[..])))
    }

    /// What a statement may have done that nobody saw has the catalog read again, and the server asked for what was written.
    pub(super) fn suspect(&mut self, id: Uuid, database: &str, begun: Timestamp, follows: &Consequences) {
        if follows.wants_catalog {
            self.catalog.read_again(database);
        }
        if !follows.unfollowed && !follows.changes_schema {
            return;
        }
        // In a transaction it is done when that is over.
        if let Some(session) = self.sessions.get_mut(&id).filter(|session| session.saved.transaction.is_some()) {
            let own = Arc::make_mut(&mut session.own);
            own.is_unfollowed |= follows.unfollowed;
            own.is_suspected |= follows.changes_schema;
        }
        if follows.unfollowed {
            self.lineage_changed |= self.catalog.was_not_followed(database, begun);
        }
        if follows.changes_schema {
            self.catalog.may_have_changed(database);
        }
    }
}
