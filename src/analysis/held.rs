//! Cursors that outlive their transaction (WITH HOLD): what they return is what they were over when they were declared.
//!
//! In: what the statement within touched then, and what it would touch now. Out: both together. Any other cursor's locks keep a view from being made anew, and
//! a column from being dropped, for as long as it is open.

use std::sync::Arc;

use uuid::Uuid;

use super::session::{NAMES_MAX, Session};
use super::stage::Stage;
use super::understood::Understood;
use crate::catalog::{Catalog, Context, Understanding};
use crate::record::Outcome;
use crate::session::event::Ended;
use crate::sql::{Analysis, Effect};

/// See the module.
pub(super) struct Held {
    /// The catalog's, when it was declared.
    version: u64,
    inner: Arc<Analysis>,
    understanding: Understanding,
}

impl Stage {
    /// Remembers what a cursor shows that was declared WITH HOLD.
    pub(super) fn hold(&mut self, id: Uuid, analysis: &Analysis, context: &Context, ended: Option<&Ended>) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        if ended.is_none_or(|ended| ended.outcome != Outcome::Ok) {
            return;
        }
        for effect in &analysis.effects {
            let Effect::Declare { name, inner, holds } = effect else { continue };
            session.held.remove(name);
            if !holds || session.held.len() >= NAMES_MAX {
                continue;
            }
            let version = self.catalog.version();
            let understanding = self.catalog.understand(inner, context, None);
            let inner = Arc::new(Analysis::clone(inner));
            session.held.insert(name.clone(), Held { version, inner, understanding });
        }
    }
}

/// What a FETCH touches, with what its cursor showed when it was declared, where the catalog is another by now.
pub(super) fn with_what_it_was(
    session: &Session,
    catalog: &Catalog,
    analysis: &Analysis,
    now: Arc<Understood>,
) -> Arc<Understood> {
    let held = analysis.effects.iter().find_map(|effect| match effect {
        Effect::Fetch { name } => session.held.get(name),
        _ => None,
    });
    let shows = |its: &Understanding| !its.columns.is_empty();
    let is_other =
        |held: &&Held| held.version != catalog.version() && (shows(&held.understanding) || shows(&now.understanding));
    let Some(held) = held.filter(is_other) else { return now };
    let both = catalog.either(&held.understanding, &now.understanding);
    Arc::new(Understood::new(both, &held.inner, now.member_of.clone()))
}
