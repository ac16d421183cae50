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
#[derive(Clone, Debug)]
pub(crate) struct Held {
    /// The catalog's, when it was declared.
    version: u64,
    understanding: Understanding,
}

impl Held {
    /// Of a cursor that is declared now, over `inner`.
    pub(crate) fn of(catalog: &Catalog, inner: &Analysis, context: &Context) -> Held {
        // Before the catalog is asked: what changes in between is taken for newer than what is found.
        let version = catalog.version();
        Held { version, understanding: catalog.understand(inner, context, None) }
    }

    /// What it shows, where it is another one by the catalog of `now`.
    pub(crate) fn with(&self, catalog: &Catalog, now: &Understanding) -> Option<Understanding> {
        let shows = |its: &Understanding| !its.columns.is_empty();
        let is_other = self.version != catalog.version() && (shows(&self.understanding) || shows(now));
        is_other.then(|| catalog.either(&self.understanding, now))
    }

    /// Whether it shows the same as another one.
    pub(crate) fn is_like(&self, other: &Held) -> bool {
        self.understanding == other.understanding
    }

    /// Either of two.
    pub(crate) fn or(&self, catalog: &Catalog, other: &Held) -> Held {
        let understanding = catalog.either(&self.understanding, &other.understanding);
        Held { version: self.version.min(other.version), understanding }
    }
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
            if *holds && session.held.len() < NAMES_MAX {
                session.held.insert(name.clone(), Held::of(&self.catalog, inner, context));
            }
        }
    }
}

/// What a FETCH touches, with what its cursor showed when it was declared, where the catalog is another by now.
pub(super) fn with_what_it_was(
    session: &Session,
    catalog: &Catalog,
    [analysis, meant]: [&Analysis; 2],
    now: Arc<Understood>,
) -> Arc<Understood> {
    let held = analysis.effects.iter().find_map(|effect| match effect {
        Effect::Fetch { name } => session.held.get(name),
        _ => None,
    });
    match held.and_then(|held| held.with(catalog, &now.understanding)) {
        Some(both) => Arc::new(Understood::new(both, meant, now.member_of.clone())),
        None => now,
    }
}
