//! One connection, from its first byte to the last word in the journal.
//!
//! In: an accepted socket. Out: a cancel request passed on, a session relayed, or a refusal; every session's end in the
//! journal, failed ones too, before the client is told of it.

use std::io;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time;

use super::admission::{self, Admitted, Opening};
use super::buffer::Buffer;
use super::cancel;
use super::event_loop::{Remote, Watcher};
use super::greeting::{self, Greeting};
use super::ledger::{Ledger, Stage};
use super::legs::Legs;
use super::listener::Accepted;
use super::phase::{self, Phase};
use super::presence::{Presence, Seated};
use super::refusal::Refusal;
use super::relay::{End, Relay};
use super::socket::Socket;
use crate::clock::Clock;
use crate::session::Ending;
use crate::session::event::{Subject, Who};
use crate::session::gate::Denial;
use crate::tls;
use crate::wire::startup;

/// How long a client may take to read the last word and to close its side. A socket that is closed before everything that
/// came in was read is reset, and the client may lose what it has not read yet.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(2);
/// Terminate (manual, "Message Formats"), said to the server where the sidecar ends a session that is idle.
const TERMINATE: &[u8] = &[b'X', 0, 0, 0, 4];

/// What all connections share.
#[derive(Debug)]
pub struct Shared {
    /// Of the connections that come. One that is there keeps those it began with.
    pub legs: Arc<ArcSwap<Legs>>,
    stage: Stage,
    /// One a session.
    seats: Arc<Semaphore>,
    phases: watch::Receiver<Phase>,
    /// The sessions that run.
    pub presence: Presence,
}

impl Shared {
    /// With all seats free.
    pub fn new(legs: Legs, stage: Stage, phases: watch::Receiver<Phase>) -> Shared {
        let seats = Arc::new(Semaphore::new(legs.config.connections_max.min(Semaphore::MAX_PERMITS)));
        Shared { legs: Arc::new(ArcSwap::from_pointee(legs)), stage, seats, phases, presence: Presence::default() }
    }

    /// The time.
    pub fn clock(&self) -> &Clock {
        &self.stage.clock
    }
}

/// Serves a connection to its end. `place` is one among those who have not said yet what they want; it is given back
/// when they have. Once both legs are joined, `event_loop` waits for them, if it can.
pub async fn serve(shared: Arc<Shared>, accepted: Accepted, place: OwnedSemaphorePermit, event_loop: Remote) {
    // Boxed, so that a connection that waits, as most do for most of their life, holds nothing of how it began and how it will end.
    let Some(mut session) = Box::pin(begin(shared, accepted, place)).await else { return };
    if session.relay.can_be_watched() {
        match event_loop.run(|watcher| session.run_watched(watcher)).await {
            Some((session, end)) => Box::pin(session.end(end)).await,
            None => tracing::error!("a session's task panicked, or did not end in time; the session is lost"),
        }
    } else {
        let end = session.run().await;
        Box::pin(session.end(end)).await;
    }
}

/// Everything up to the session's first message. `None`: it came to nothing, and is over.
async fn begin(shared: Arc<Shared>, accepted: Accepted, place: OwnedSemaphorePermit) -> Option<Box<Session>> {
    let mut ledger = Ledger::open(shared.stage.clone(), accepted.client_addr.clone());
    let Ok(mut client) = accepted.socket() else {
        // A client may be gone before it is served.
        ledger.close(Ending::Refused { sqlstate: None }).await;
        return None;
    };
    let legs = shared.legs.load_full();
    let greeting = greet(&shared, &legs, &mut client).await;
    if let Some(encrypted) = client.encrypted() {
        ledger.encrypted(encrypted.version(), encrypted.client_certificate().map(subject));
    }
    match greeting {
        Greeting::Session(first) => {
            drop(place);
            return open(shared, legs, client, first, ledger).await;
        }
        Greeting::Cancel(request) => cancel::pass_on(request.pending(), client, &legs.upstream).await,
        Greeting::Refused(refusal) => refuse(client, ledger, &refusal).await,
        Greeting::Nothing | Greeting::Nonsense => ledger.close(Ending::Refused { sqlstate: None }).await,
    }
    None
}

/// A client that says nothing in time is treated as one that says nonsense.
async fn greet(shared: &Shared, legs: &Legs, client: &mut Socket) -> Greeting {
    let mut phases = shared.phases.clone();
    let tls = legs.tls.as_ref().map(|tls| &tls.server);
    tokio::select! {
        greeting = time::timeout(legs.config.startup_timeout, greeting::receive(client, tls)) => match greeting {
            Ok(Ok(greeting)) => greeting,
            Ok(Err(error)) => {
                if matches!(client, Socket::Gone) {
                    tracing::info!(%error, "a client's TLS handshake failed");
                }
                Greeting::Nothing
            }
            Err(_) => Greeting::Nonsense,
        },
        _ = phases.wait_for(|phase| *phase > Phase::Open) => Greeting::Refused(Refusal::Stopping),
    }
}

fn subject(certificate: tls::Certificate) -> Subject {
    let tls::Subject { name, common_name } = certificate.subject;
    Subject { name, common_name }
}

/// Joins both legs.
async fn open(
    shared: Arc<Shared>,
    legs: Arc<Legs>,
    mut client: Socket,
    mut first: Buffer,
    mut ledger: Ledger,
) -> Option<Box<Session>> {
    // What came behind the StartupMessage may have to be judged, or may be an answer to what the server has not asked yet.
    let behind = first.split_off(startup::length(first.pending()));
    match try_open(&shared, &legs, &mut client, Opening { first, behind }, &mut ledger).await {
        Ok(Opened { server, under_way, seat, seated }) => {
            let relay = Relay::new(client, server, under_way, &mut ledger);
            Some(Box::new(Session { relay, ledger, legs, phases: shared.phases.clone(), seated, _seat: seat }))
        }
        Err(refusal) => {
            refuse(client, ledger, &refusal).await;
            None
        }
    }
}

struct Opened {
    server: Socket,
    under_way: Admitted,
    seat: OwnedSemaphorePermit,
    seated: Seated,
}

async fn try_open(
    shared: &Shared,
    legs: &Legs,
    client: &mut Socket,
    opening: Opening,
    ledger: &mut Ledger,
) -> Result<Opened, Refusal> {
    ledger
        .client(opening.first.pending())
        .map_err(|out_of_step| Refusal::OutOfStep { reason: out_of_step.to_string() })?;
    let seat = Arc::clone(&shared.seats).try_acquire_owned().map_err(|_| Refusal::TooManyConnections)?;
    if let Some(objection) = legs.objection(client, ledger.who()) {
        return Err(objection);
    }
    let seated = shared.presence.sit(ledger.who());
    if let Some(refusal) = kept_out(shared, ledger.who()) {
        return Err(refusal);
    }
    let address = &legs.upstream.address;
    let mut server = legs.upstream.connect().await.map_err(|error| {
        tracing::warn!(%address, %error, "the server cannot be reached");
        Refusal::ServerAway { address: address.clone(), reason: error.to_string() }
    })?;
    let mut phases = shared.phases.clone();
    let admission = admission::admit(legs, client, &mut server, opening, ledger);
    let under_way = tokio::select! {
        admitted = time::timeout(legs.config.startup_timeout, admission) => admitted.unwrap_or(Err(Refusal::TooSlow)),
        _ = phases.wait_for(|phase| *phase > Phase::Open) => Err(Refusal::Stopping),
    }?;
    Ok(Opened { server, under_way, seat, seated })
}

/// A session that runs.
struct Session {
    relay: Relay,
    ledger: Ledger,
    legs: Arc<Legs>,
    phases: watch::Receiver<Phase>,
    seated: Seated,
    _seat: OwnedSemaphorePermit,
}

impl Session {
    /// Runs on an event loop's thread.
    fn run_watched(
        mut self: Box<Self>,
        watcher: &mut Watcher<'_>,
    ) -> impl Future<Output = (Box<Session>, End)> + use<> {
        let watched = self.relay.watch(watcher);
        async move {
            let end = match watched {
                Ok(()) => self.run().await,
                Err(error) => {
                    tracing::warn!(%error, "a connection cannot be waited for and is ended");
                    End::ClientLost
                }
            };
            self.relay.unwatch();
            (self, end)
        }
    }

    async fn run(&mut self) -> End {
        let Session { relay, ledger, phases, seated, .. } = self;
        let (mut listens, mut is_served) = (false, false);
        phase::drive(phases.clone(), |cx, phase| {
            if !listens {
                listens = true;
                seated.listen(cx);
            }
            let polled = match (ledger.settle(), seated.word()) {
                (Err(unwritable), _) => Poll::Ready(End::Unrecordable(unwritable)),
                (Ok(()), Some(denial)) => Poll::Ready(End::KeptOut(denial)),
                (Ok(()), None) => relay.poll(cx, ledger, phase),
            };
            if !is_served {
                is_served = ledger.backend().inspect(|pid| seated.is_served_by(*pid)).is_some();
            }
            polled
        })
        .await
    }

    async fn end(self: Box<Session>, end: End) {
        let Session { relay, ledger, legs, .. } = *self;
        match end {
            End::Cut(denial) => cut(&legs, relay, &denial, ledger, Ending::Cut).await,
            End::KeptOut(denial) => cut(&legs, relay, &denial, ledger, Ending::Quarantined).await,
            end => finish(relay, end, ledger).await,
        }
    }
}

/// Ends what is under way: recorded first, then told to the client and cancelled in the server at the same time.
async fn cut(legs: &Legs, relay: Relay, denial: &Denial, ledger: Ledger, ending: Ending) {
    tracing::warn!(reason = denial.text(), "a session is cut");
    let mut last_words = relay.unsaid().to_vec();
    last_words.extend(ledger.farewell(denial));
    let cancel_request = ledger.cancel_request();
    ledger.close(ending).await;
    let Relay { client, server, .. } = relay;
    let cancelled = async {
        if let Some(request) = cancel_request {
            cancel::send(&request, &legs.upstream).await;
        }
        drop(server);
    };
    tokio::join!(cancelled, farewell(client, &last_words));
}

async fn finish(relay: Relay, end: End, ledger: Ledger) {
    // What cannot be recorded is not passed on.
    let last_words = if matches!(end, End::Unrecordable(_)) { &[] } else { relay.unsaid() };
    let can_be_told = ledger.is_between_messages() && last_words.len() == relay.unsaid().len();
    let mut last_words = last_words.to_vec();
    let (ending, refusal) = match end {
        End::ServerClosed => (Ending::ServerClosed, None),
        End::ServerLost | End::ClientLost => (Ending::Lost, None),
        End::Drained | End::OutOfTime => (Ending::Stopped, Some(Refusal::Stopping)),
        End::OutOfStep(out_of_step) => {
            tracing::warn!(reason = %out_of_step, "a session could not be followed and is ended");
            (Ending::Lost, Some(Refusal::OutOfStep { reason: out_of_step.to_string() }))
        }
        End::Cut(_) => (Ending::Cut, None),
        End::KeptOut(_) => (Ending::Quarantined, None),
        End::Unrecordable(unwritable) => {
            tracing::error!(%unwritable, "a session is ended");
            (Ending::Lost, Some(Refusal::Unrecordable))
        }
    };
    ledger.close(ending).await;
    let Relay { client, mut server, .. } = relay;
    if refusal == Some(Refusal::Stopping) {
        let _ = time::timeout(FAREWELL_TIMEOUT, server.write_all(TERMINATE)).await;
    }
    drop(server);
    if can_be_told && let Some(refusal) = refusal {
        last_words.extend(refusal.to_bytes());
    }
    farewell(client, &last_words).await;
}

fn kept_out(shared: &Shared, who: &Who) -> Option<Refusal> {
    let held = shared.stage.quarantines.holds(who.db_user.as_deref(), &who.client_addr, shared.clock().now())?;
    Some(Refusal::KeptOut { whom: held.whom, name: held.name.to_string(), until: held.until })
}

async fn refuse(client: Socket, ledger: Ledger, refusal: &Refusal) {
    let ending = match refusal {
        // Nobody failed to authenticate.
        Refusal::KeptOut { .. } => Ending::Quarantined,
        refusal => Ending::Refused { sqlstate: Some(refusal.sqlstate()) },
    };
    ledger.close(ending).await;
    farewell(client, &refusal.to_bytes()).await;
}

/// Says the last words, if any, and waits for the client to close, within limits.
async fn farewell(mut client: Socket, last_words: &[u8]) {
    let said = async {
        client.write_all(last_words).await?;
        client.shutdown().await?;
        let mut buffer = Buffer::take();
        while client.read(buffer.room()).await? > 0 {}
        Ok::<(), io::Error>(())
    };
    // A client that is gone, or does not listen, cannot be told.
    let _ = time::timeout(FAREWELL_TIMEOUT, said).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes<A, B, C, D, F: Future>(_: fn(A, B, C, D) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn a_connection_that_waits_is_small() {
        assert!(bytes(serve) < 1_024, "{}", bytes(serve));
        assert!(size_of::<Session>() < 2_048, "{}", size_of::<Session>());
    }
}
