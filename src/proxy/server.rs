//! The front door: accepts, counts, and sees everybody out.
//!
//! In: a [`Config`] and the [`Stage`] that events go to. Out: a task a connection, until told to stop; then no new
//! connections, time for the running sessions to come to an idle point, and an end for those that do not.

use std::collections::HashSet;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time;

use super::connection::{self, Shared};
use super::legs::Legs;
use super::listener::{self, Accepted, Listener};
use super::phase::Phase;
use super::presence::Presence;
use super::refusal::kept_out;
use super::workers::Workers;
use super::{Address, Config, Error, Stage};
use crate::clock::Clock;
use crate::quarantine::Quarantines;
use crate::session::gate::Denial;

/// Connections that have not said yet what they want, cancel requests among them, besides the sessions. One more
/// waits in the system's queue.
const GREETINGS_MAX: usize = 512;
/// How long no connection is accepted after the system refused one (out of files, for one).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long sessions that are told to end at once may take to have their end recorded.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// The bound data plane.
#[derive(Debug)]
pub struct Proxy {
    listeners: Vec<Listener>,
    addresses: Vec<Address>,
    shared: Arc<Shared>,
    workers: Workers,
    phase: watch::Sender<Phase>,
    drain_timeout: Duration,
}

impl Proxy {
    /// Binds every address of the configuration; connections wait in the system's queue until [`Proxy::serve`]. To be called
    /// within a tokio runtime. Names are resolved here, blocking.
    ///
    /// # Errors
    /// See [`Error`]; nothing stays bound then.
    pub fn bind(config: Config, stage: Stage) -> Result<Proxy, Error> {
        let legs = load(&config, &stage.clock)?;
        let listeners = listener::bind(&config.listen, config.listen_user_timeout)?;
        let addresses = listeners.iter().map(|listener| listener.address().clone()).collect();
        let (phase, phases) = watch::channel(Phase::Open);
        let drain_timeout = config.drain_timeout;
        let shared = Arc::new(Shared::new(legs, stage, phases));
        let workers = Workers::start().map_err(Error::Threads)?;
        Ok(Proxy { listeners, addresses, shared, workers, phase, drain_timeout })
    }

    /// Where it listens: an address for every IP address of a name, with the real port where 0 was asked for.
    pub fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// To be told of another configuration while it serves.
    pub fn control(&self) -> Control {
        let presence = self.shared.presence.clone();
        Control { legs: Arc::clone(&self.shared.legs), clock: self.shared.clock().clone(), presence }
    }

    /// Whether what is configured can work with the server that is there. A server that is away now is asked no more.
    ///
    /// # Errors
    /// [`Error::Faulty`].
    pub async fn check(&self) -> Result<(), Error> {
        let legs = self.shared.legs.load_full();
        match legs.binding_fault().await {
            Ok(None) => Ok(()),
            Ok(Some(fault)) => Err(Error::Faulty(vec![fault])),
            Err(error) => {
                tracing::warn!(address = %legs.upstream.address, %error, "the server cannot be reached yet");
                Ok(())
            }
        }
    }

    /// Serves until `stop` is true (or its sender is gone), then drains: returns when the last session is over and recorded,
    /// at the latest `drain_timeout` and a few seconds later.
    pub async fn serve(self, mut stop: watch::Receiver<bool>) {
        let mut connections = JoinSet::new();
        let greetings = Arc::new(Semaphore::new(GREETINGS_MAX));
        loop {
            tokio::select! {
                accepted = self.accept(&greetings) => match accepted {
                    Ok((accepted, greeting)) => {
                        let shared = Arc::clone(&self.shared);
                        let serve = |event_loop| connection::serve(shared, accepted, greeting, event_loop);
                        self.workers.spawn(&mut connections, serve);
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        time::sleep(ACCEPT_PAUSE).await;
                    }
                },
                Some(ended) = connections.join_next() => log_panic(ended),
                () = stopped(&mut stop) => break,
            }
        }
        drop(self.listeners);
        drain(&self.phase, self.drain_timeout, connections).await;
    }

    async fn accept(&self, greetings: &Arc<Semaphore>) -> io::Result<(Accepted, OwnedSemaphorePermit)> {
        // The semaphore is never closed.
        let greeting = Arc::clone(greetings).acquire_owned().await.map_err(io::Error::other)?;
        Ok((poll_fn(|cx| self.poll_accept(cx)).await?, greeting))
    }

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Accepted>> {
        for listener in &self.listeners {
            if let Poll::Ready(accepted) = listener.poll_accept(cx) {
                return Poll::Ready(accepted);
            }
        }
        Poll::Pending
    }
}

/// Changes what the connections that come are served with. Those that are there keep what they began with.
/// Holds nothing of the journal, whose end is waited for.
#[derive(Clone, Debug)]
pub struct Control {
    legs: Arc<ArcSwap<Legs>>,
    clock: Clock,
    presence: Presence,
}

/// A configuration that is ready to be put in force.
#[derive(Debug)]
pub struct Ready(Legs);

impl Control {
    /// Makes a configuration ready: reads the certificates again.
    ///
    /// # Errors
    /// [`Error::Faulty`]; what is in force stays so.
    pub fn ready(&self, config: &Config) -> Result<Ready, Error> {
        load(config, &self.clock).map(Ready)
    }

    /// Ends the sessions of who is kept out now. How many.
    pub fn keep_out(&self, quarantines: &Quarantines) -> usize {
        let now = self.clock.now();
        self.presence.tell(|user, address| {
            let held = quarantines.holds(user, address, now)?;
            Some(Denial::new(&kept_out(held.whom, &held.name, held.until)))
        })
    }

    /// The sessions that run.
    pub fn sessions(&self) -> usize {
        self.presence.sessions()
    }

    /// How many there may be, as it was when it was started.
    pub fn connections_max(&self) -> usize {
        self.legs.load().config.connections_max
    }

    /// Where the server is, and whether it answers there, as any client may ask it.
    ///
    /// # Errors
    /// See [`super::check()`]; in words that hold no secret.
    pub async fn reach(&self) -> (Address, io::Result<()>) {
        let legs = self.legs.load_full();
        let reached = legs.upstream.reach().await;
        (legs.upstream.address.clone(), reached)
    }

    /// The server's processes that serve sessions of ours, or did since this was last asked.
    pub fn backends(&self) -> HashSet<u32> {
        self.presence.backends()
    }

    /// Puts it in force, but for what was bound or counted at the start: addresses, `connections_max`, and `drain_timeout`.
    pub fn put(&self, ready: Ready) {
        self.legs.store(Arc::new(ready.0));
    }
}

fn load(config: &Config, clock: &Clock) -> Result<Legs, Error> {
    let (legs, warnings) = Legs::load(config, clock.now()).map_err(Error::Faulty)?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    Ok(legs)
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // Whoever could say stop is gone: stop.
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn drain(phase: &watch::Sender<Phase>, timeout: Duration, mut connections: JoinSet<()>) {
    phase.send_replace(Phase::Draining);
    if time::timeout(timeout, join_all(&mut connections)).await.is_ok() {
        return;
    }
    tracing::warn!(sessions = connections.len(), "sessions did not come to an idle point in time and are ended");
    phase.send_replace(Phase::Over);
    if time::timeout(LAST_WORDS, join_all(&mut connections)).await.is_err() {
        tracing::error!(sessions = connections.len(), "the end of sessions could not be recorded in time");
        connections.shutdown().await;
    }
}

async fn join_all(connections: &mut JoinSet<()>) {
    while let Some(ended) = connections.join_next().await {
        log_panic(ended);
    }
}

fn log_panic(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!("a connection's task panicked; its session is lost");
    }
}
