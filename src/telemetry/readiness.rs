//! Whether the sidecar lives, and whether clients should be sent to it.
//!
//! In: the stages, once they run, and that a stop has begun. Out: nothing to say against it, or every reason, in words for the operator.
//! The server is asked every few seconds by a task of its own, so that any number of questions costs it nothing.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;

use crate::alert::Alerts;
use crate::audit::Look;
use crate::catalog::Catalog;
use crate::clock::{Clock, Timestamp};
use crate::figures::Figures;
use crate::proxy;
use crate::quarantine::Quarantines;

/// How often the server is asked …
const ASK_EVERY: Duration = Duration::from_secs(5);
/// … and how often after it did not answer.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// How long it may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);

/// The stages that are asked.
pub struct Sources {
    /// What they count.
    pub figures: Figures,
    /// The intake journal.
    pub intake: Look,
    /// The data plane.
    pub legs: proxy::Control,
    /// What is known of the databases.
    pub catalog: Catalog,
    /// Who is kept out.
    pub quarantines: Quarantines,
    /// The channels.
    pub alerts: Arc<Alerts>,
    /// Whether the log lies in a store.
    pub has_store: bool,
    /// Whether there is a fleet.
    pub has_fleet: bool,
    /// The time.
    pub clock: Clock,
}

/// See the module. Clones share it.
#[derive(Clone)]
pub struct Readiness(Arc<Inner>);

struct Inner {
    sources: ArcSwapOption<Sources>,
    is_stopping: AtomicBool,
    /// Why the server does not answer; `Some(None)`: it does; `None`: it was not asked yet.
    upstream: Mutex<Option<Option<String>>>,
    started_at: Timestamp,
}

impl Readiness {
    /// Nothing runs yet.
    pub fn starting(clock: &Clock) -> Readiness {
        Readiness(Arc::new(Inner {
            sources: ArcSwapOption::empty(),
            is_stopping: AtomicBool::new(false),
            upstream: Mutex::default(),
            started_at: clock.now(),
        }))
    }

    /// The stages run.
    pub fn open(&self, sources: Sources) {
        self.0.sources.store(Some(Arc::new(sources)));
    }

    /// A stop has begun.
    pub fn stop(&self) {
        self.0.is_stopping.store(true, Ordering::Relaxed);
    }

    /// The stages, once they run.
    pub fn sources(&self) -> Option<Arc<Sources>> {
        self.0.sources.load_full()
    }

    /// When the process began to start.
    pub fn started_at(&self) -> Timestamp {
        self.0.started_at
    }

    /// Why a supervisor should start it anew, if it should.
    pub fn illness(&self) -> Option<&'static str> {
        let sources = self.sources()?;
        let ended =
            sources.figures.analysis_ended.load(Ordering::Relaxed) && !self.0.is_stopping.load(Ordering::Relaxed);
        ended.then_some("the analysis has stopped: nothing more is recorded; start it again, its own log says why")
    }

    /// Why no client should be sent to it now; empty where there is no reason.
    pub fn objections(&self) -> Vec<String> {
        if self.0.is_stopping.load(Ordering::Relaxed) {
            return vec!["it is stopping: running statements end, and no new session is taken".to_owned()];
        }
        let Some(sources) = self.sources() else {
            return vec!["it is starting".to_owned()];
        };
        let mut objections: Vec<String> = self.illness().map(str::to_owned).into_iter().collect();
        match self.upstream().clone() {
            Some(None) => {}
            Some(Some(why)) => objections.push(why),
            None => objections.push("the server has not been asked yet".to_owned()),
        }
        if let Some(reason) = sources.intake.hindrance()
            && !sources.intake.lets_through()
        {
            objections.push(format!("the log cannot be written: {reason}; clients wait until it can"));
        }
        objections
    }

    /// Whether the server answered when it was asked last.
    pub fn is_upstream_up(&self) -> bool {
        matches!(&*self.upstream(), Some(None))
    }

    fn upstream(&self) -> std::sync::MutexGuard<'_, Option<Option<String>>> {
        self.0.upstream.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the server again and again, until it is dropped.
    pub(super) async fn keep_asking(self) {
        loop {
            let Some(sources) = self.sources() else {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let answer = tokio::time::timeout(ANSWER_TIMEOUT, sources.legs.reach()).await;
            let why = match answer {
                Ok((_, Ok(()))) => None,
                Ok((address, Err(error))) => Some(unreachable(&address, &error)),
                Err(_) => Some(format!("the server does not answer within {} s", ANSWER_TIMEOUT.as_secs())),
            };
            let pause = if why.is_none() { ASK_EVERY } else { ASK_AGAIN };
            *self.upstream() = Some(why);
            drop(sources);
            tokio::time::sleep(pause).await;
        }
    }
}

fn unreachable(address: &proxy::Address, error: &io::Error) -> String {
    format!("the server at {address} cannot be reached: {error}")
}
