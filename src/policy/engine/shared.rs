//! One engine for two: the analysis, which feeds it, and the guard, which asks what it has seen.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Engine;
use crate::policy::definition::AnyRule;
use crate::policy::key::Key;
use crate::record::{Statement, Text};

/// Clones share it. Held for one record at a time.
#[derive(Clone)]
pub struct SharedEngine(Arc<Mutex<Engine>>);

impl SharedEngine {
    /// To be shared from now on.
    pub fn new(engine: Engine) -> SharedEngine {
        SharedEngine(Arc::new(Mutex::new(engine)))
    }

    /// The engine, for as long as that is held.
    pub fn lock(&self) -> MutexGuard<'_, Engine> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The permit that would cover a statement now, and how many people it would at most.
    pub fn permit_for(&self, statement: &Statement) -> Option<(Text, u64)> {
        let engine = self.lock();
        engine.permits.would_cover(&engine.set.permits, statement)
    }

    /// What the window of a policy would hold with this statement, with what the others of a fleet are known to have; `None` where there is none.
    pub fn window_with(&self, policy: &str, statement: &Statement) -> Option<u64> {
        let engine = self.lock();
        let judge = engine.judges.iter().find(|judge| *judge.policy.id == *policy)?;
        let AnyRule::Statement(rule) = &judge.policy.rule else { return None };
        let (window, windows) = (rule.window.as_ref()?, judge.state.windows.as_ref()?);
        let (key, at) = (Key::of(statement, &window.by), statement.common.at);
        let others = engine.sharing.as_ref().map_or(0, |sharing| sharing.others(policy, key, at));
        Some(windows.with(key, at, &window.amount(statement)).saturating_add(others))
    }
}
