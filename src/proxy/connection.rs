//! One connection, from its first byte to the last word in the journal.
//!
//! In: an accepted socket. Out: a cancel request passed on, a session relayed, or a refusal; every session's end in the
//! journal, failed ones too, before the client is told of it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time;

use super::buffer::Buffer;
use super::greeting::{self, Greeting};
use super::ledger::{Ledger, Stage};
use super::phase::{self, Phase};
use super::refusal::Refusal;
use super::relay::{End, Relay};
use super::socket::Socket;
use super::{Config, cancel, upstream};
use crate::session::Ending;
use crate::session::gate::Denial;
use crate::wire::startup;

/// How long a client may take to read the last word and to close its side. A socket that is closed before everything that
/// came in was read is reset, and the client may lose what it has not read yet.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(2);
/// Terminate (manual, "Message Formats"), said to the server where the sidecar ends a session that is idle.
const TERMINATE: &[u8] = &[b'X', 0, 0, 0, 4];

/// What all connections share.
#[derive(Debug)]
pub struct Shared {
    config: Config,
    stage: Stage,
    /// One a session.
    seats: Arc<Semaphore>,
    phases: watch::Receiver<Phase>,
}

impl Shared {
    /// With all seats free.
    pub fn new(config: Config, stage: Stage, phases: watch::Receiver<Phase>) -> Shared {
        let seats = Arc::new(Semaphore::new(config.connections_max.min(Semaphore::MAX_PERMITS)));
        Shared { config, stage, seats, phases }
    }
}

/// Serves a connection to its end. `place` is one among those who have not said yet what they want; it is given back
/// when they have.
pub async fn serve(shared: Arc<Shared>, mut client: Socket, client_addr: String, place: OwnedSemaphorePermit) {
    let ledger = Ledger::open(shared.stage.clone(), client_addr);
    match greet(&shared, &mut client).await {
        Greeting::Session(first) => {
            drop(place);
            session(&shared, client, first, ledger).await;
        }
        Greeting::Cancel(request) => {
            let Config { upstream, connect_timeout, .. } = &shared.config;
            cancel::pass_on(request.pending(), client, upstream, *connect_timeout).await;
        }
        Greeting::Refused(refusal) => refuse(client, ledger, &refusal).await,
        Greeting::Nothing | Greeting::Nonsense => ledger.close(Ending::Refused { sqlstate: None }).await,
    }
}

/// A client that says nothing in time is treated as one that says nonsense.
async fn greet(shared: &Shared, client: &mut Socket) -> Greeting {
    let mut phases = shared.phases.clone();
    tokio::select! {
        greeting = time::timeout(shared.config.startup_timeout, greeting::receive(client)) => match greeting {
            Ok(Ok(greeting)) => greeting,
            Ok(Err(_)) => Greeting::Nothing,
            Err(_) => Greeting::Nonsense,
        },
        _ = phases.wait_for(|phase| *phase > Phase::Open) => Greeting::Refused(Refusal::Stopping),
    }
}

async fn session(shared: &Shared, client: Socket, mut first: Buffer, mut ledger: Ledger) {
    // What came behind the StartupMessage may have to be judged, which the relay does.
    let behind = match ledger.is_gated() {
        true => first.split_off(startup::length(first.pending())),
        false => None,
    };
    let fault = ledger.client(first.pending()).err();
    if let Some(out_of_step) = fault.as_ref().filter(|_| ledger.followed() == 0) {
        return refuse(client, ledger, &Refusal::OutOfStep { reason: out_of_step.to_string() }).await;
    }
    let Ok(_seat) = shared.seats.try_acquire() else {
        return refuse(client, ledger, &Refusal::TooManyConnections).await;
    };
    let address = &shared.config.upstream;
    let server = match upstream::connect(address, shared.config.connect_timeout).await {
        Ok(server) => server,
        Err(error) => {
            tracing::warn!(%address, %error, "the server cannot be reached");
            let refusal = Refusal::ServerAway { address: address.clone(), reason: error.to_string() };
            return refuse(client, ledger, &refusal).await;
        }
    };
    let mut relay = match behind {
        Some(behind) => Relay::gated(client, server, first, behind),
        None => Relay::new(client, server, first),
    };
    if let Some(out_of_step) = fault {
        relay.give_up_client(out_of_step, ledger.followed());
    }
    let end = phase::drive(shared.phases.clone(), |cx, phase| relay.poll(cx, &mut ledger, phase)).await;
    match end {
        End::Cut(denial) => cut(shared, relay, &denial, ledger).await,
        end => finish(relay, end, ledger).await,
    }
}

/// Ends what is under way: recorded first, then told to the client and cancelled in the server at the same time.
async fn cut(shared: &Shared, relay: Relay, denial: &Denial, ledger: Ledger) {
    tracing::warn!(reason = denial.text(), "a session is cut");
    let mut last_words = relay.unsaid().to_vec();
    last_words.extend(ledger.farewell(denial));
    let cancel_request = ledger.cancel_request();
    ledger.close(Ending::Cut).await;
    let Relay { client, server, .. } = relay;
    let cancelled = async {
        if let Some(request) = cancel_request {
            cancel::send(&request, &shared.config.upstream, shared.config.connect_timeout).await;
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

async fn refuse(client: Socket, ledger: Ledger, refusal: &Refusal) {
    ledger.close(Ending::Refused { sqlstate: Some(refusal.sqlstate()) }).await;
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
