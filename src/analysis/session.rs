//! One session being followed: its settings, prepared statements, cursors, open statements and transaction.
//!
//! In: the session's events, in order. Out (by [`super::Stage`]): records. Every map has a limit.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::parsers::Pending;
use super::settings::Settings;
use super::transaction::Fold;
use crate::audit::Position;
use crate::clock::Timestamp;
use crate::record::{Outcome, Text};
use crate::session::event::{Begun, Who};
use crate::sql::{Analysis, Effect};

/// Prepared statements (SQL PREPARE) and cursors remembered, each, per session.
const NAMES_MAX: usize = 1_024;

/// A statement that has begun and not ended.
pub(super) struct Open {
    /// Where its `Begun` stands in the intake journal, which must be kept so far back.
    pub(super) position: Position,
    pub(super) begun: Begun,
    pub(super) pending: Option<Pending>,
    /// Statements of the text that have ended.
    pub(super) parts: usize,
    /// When the next part began.
    pub(super) part_at: Timestamp,
    pub(super) last_outcome: Outcome,
}

/// What outlives a crash: enough to close the session's books.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Saved {
    pub(super) who: Arc<Who>,
    pub(super) opened_at: Timestamp,
    pub(super) settings: Settings,
    pub(super) statement_no: u64,
    pub(super) transaction_no: u64,
    pub(super) transaction: Option<Fold>,
}

/// A session in progress.
pub(super) struct Session {
    pub(super) saved: Saved,
    pub(super) open: BTreeMap<u64, Open>,
    prepared: HashMap<Text, Arc<Analysis>>,
    cursors: HashMap<Text, Arc<Analysis>>,
}

impl Session {
    /// A session that begins.
    pub(super) fn new(who: Arc<Who>, opened_at: Timestamp) -> Session {
        Session::restored(Saved {
            who,
            opened_at,
            settings: Settings::default(),
            statement_no: 0,
            transaction_no: 0,
            transaction: None,
        })
    }

    /// A session as a checkpoint left it.
    pub(super) fn restored(saved: Saved) -> Session {
        Session { saved, open: BTreeMap::new(), prepared: HashMap::new(), cursors: HashMap::new() }
    }

    /// The analysis whose relations and columns count for `analysis`.
    pub(super) fn meant<'a>(&'a self, analysis: &'a Arc<Analysis>) -> &'a Arc<Analysis> {
        analysis
            .effects
            .iter()
            .find_map(|effect| match effect {
                Effect::Execute { name } => self.prepared.get(name),
                Effect::Fetch { name } => self.cursors.get(name),
                _ => None,
            })
            .unwrap_or(analysis)
    }

    /// Applies what a statement that succeeded does to the statements after it.
    pub(super) fn apply(&mut self, effects: &[Effect]) {
        for effect in effects {
            match effect {
                Effect::Prepare { name, inner } => remember(&mut self.prepared, name, inner),
                Effect::Declare { name, inner } => remember(&mut self.cursors, name, inner),
                Effect::Deallocate { name: Some(name) } => {
                    self.prepared.remove(name);
                }
                Effect::Deallocate { name: None } => self.prepared.clear(),
                effect => self.saved.settings.apply(effect),
            }
        }
    }
}

fn remember(names: &mut HashMap<Text, Arc<Analysis>>, name: &Text, inner: &Analysis) {
    if names.len() < NAMES_MAX || names.contains_key(name) {
        names.insert(name.clone(), Arc::new(inner.clone()));
    }
}
