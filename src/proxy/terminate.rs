//! `upstream.auth = "terminate"`: the client is authenticated here, and logged in to the server with what its own proof has shown.
//!
//! In: both legs at the beginning of a session, and the server's verifiers. Out: both authenticated, or what the server says against it. Takes
//! part only where the server asks for SCRAM; every other method passes through.
//!
//! The server is asked for its challenge first, and its salt is handed on: a client that the server would not let in, a role that does
//! not exist among them, is told what the server itself makes up for such a one. When its proof is wrong, the server is given one that is
//! wrong, and its refusal is what the client hears: worded, delayed and logged as every other. Each leg binds its own channel. The client is not
//! told that it is in before the server has proven that it keeps the same verifier.

use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::admission::{Admitted, Asked, Opening, recorded, show};
use super::buffer::Buffer;
use super::ledger::Ledger;
use super::refusal::Refusal;
use super::scram::client::{Challenge, Login};
use super::scram::server::{Challenged, First, Proof, mechanisms, signature};
use super::scram::{self, NONCE_BYTES, Verifier};
use super::socket::Socket;
use super::verifiers::Verifiers;
use crate::tls;
use crate::wire::backend::{self, SASL_CONTINUE, SASL_FINAL, kind};
use crate::wire::frame::{self, HEADER_BYTES, Side};
use crate::wire::{frontend, message};

/// The largest message of a client here (`PG_MAX_SASL_MESSAGE_LENGTH`), bytes.
const CLIENT_MESSAGE_BYTES_MAX: usize = 1_024;

/// What ends the exchange before it is over.
enum Stop {
    /// It cannot go on.
    Refused(Refusal),
    /// A leg has ended, or the server has said something else than what was due: the relay takes it from here.
    Relay(Admitted),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Stop {
        Stop::Refused(refusal)
    }
}

/// Authenticates both legs. See [`super::admission::admit`].
pub async fn admit(
    verifiers: &Verifiers,
    client: &mut Socket,
    server: &mut Socket,
    opening: Opening,
    ledger: &mut Ledger,
) -> Result<Admitted, Refusal> {
    match exchange(verifiers, client, server, opening, ledger).await {
        Ok(admitted) | Err(Stop::Relay(admitted)) => Ok(admitted),
        Err(Stop::Refused(refusal)) => Err(refusal),
    }
}

async fn exchange(
    verifiers: &Verifiers,
    client: &mut Socket,
    server: &mut Socket,
    opening: Opening,
    ledger: &mut Ledger,
) -> Result<Admitted, Stop> {
    recorded(ledger).await?;
    if server.write_all(opening.first.pending()).await.is_err() {
        return Err(Stop::Relay(Admitted::default()));
    }
    let asked = Asked::hear(server).await?;
    let offered = asked.request().map(backend::sasl_mechanisms);
    let our_nonce = nonce()?;
    let Some(login) = offered.and_then(|offered| Login::new(offered, end_point(server), our_nonce)) else {
        return Ok(asked.show(ledger)?.with_behind(opening.behind));
    };
    let before = asked.before().to_vec();
    let mut server = Upper { socket: server, buffer: Buffer::take() };
    let mut client = Lower { socket: client, buffer: opening.behind.unwrap_or_else(Buffer::take), ledger };

    let hello = message::sasl_initial_response(login.mechanism, login.message().as_bytes());
    let answer = server.ask(&hello, SASL_CONTINUE, &mut client).await?;
    let challenge = login.challenged(&answer).map_err(|_| Refusal::ServerScram("its challenge does not read"))?;
    let role = client.ledger.who().db_user.clone().unwrap_or_default();
    let (challenged, verifier) = client.challenge(before, &challenge, verifiers, &role).await?;
    let last = client.hear().await?;
    let proof = challenged.judge(&last, verifier.as_ref().map(|verifier| &verifier.stored_key));
    match (proof.map_err(Refusal::Scram)?, verifier) {
        (Proof::Right { client_key, said }, Some(verifier)) => {
            let proof = message::sasl_response(challenge.prove(&client_key).as_bytes());
            let answer = server.ask(&proof, SASL_FINAL, &mut client).await?;
            if !challenge.is_met_by(&answer, &verifier.server_key) {
                return Err(Refusal::ServerScram("it does not keep the verifier that it gave out").into());
            }
            let ours = message::authentication_sasl_final(signature(&verifier.server_key, &said).as_bytes());
            client.say(&ours).await?;
            let behind = server.buffer;
            show(client.ledger, behind.pending())?;
            Ok(heard_only(behind).with_behind(Some(client.buffer)))
        }
        _ => {
            let failure = message::sasl_response(challenge.fail().as_bytes());
            // Any other answer than its refusal, which goes to the client, would be a fault of the server's.
            server.ask(&failure, SASL_FINAL, &mut client).await?;
            Err(Refusal::WrongPassword { role }.into())
        }
    }
}

/// The client's leg.
struct Lower<'a> {
    socket: &'a mut Socket,
    buffer: Buffer,
    ledger: &'a mut Ledger,
}

impl Lower<'_> {
    /// Offers the client what its leg allows, hears its first message, and challenges it as the server challenged us.
    async fn challenge(
        &mut self,
        before: Vec<u8>,
        challenge: &Challenge,
        verifiers: &Verifiers,
        role: &str,
    ) -> Result<(Challenged, Option<Verifier>), Stop> {
        let end_point = end_point(self.socket);
        let offer = message::authentication_sasl(mechanisms(end_point.as_deref()).iter().map(|name| name.as_bytes()));
        self.say(&[before, offer].concat()).await?;
        let initial = self.hear().await?;
        let response = frontend::sasl_initial_response(&initial);
        let (mechanism, data) = response.map_err(|_| Refusal::Scram(scram::Fault::Malformed))?;
        let first = First::read(mechanism, data, end_point.as_deref()).map_err(Refusal::Scram)?;
        let verifier = verifiers.of(role).await.map_err(|error| {
            tracing::error!(%error, "a verifier cannot be looked up with `upstream.auth_query`");
            Refusal::NoVerifier
        })?;
        let verifier = verifier.filter(|verifier| is_meant(verifier, challenge));
        let challenged = first.challenge(&nonce()?, &challenge.salt, challenge.iterations);
        self.say(&message::authentication_sasl_continue(challenged.message().as_bytes())).await?;
        Ok((challenged, verifier))
    }

    /// Says bytes, of which the ledger is shown first.
    async fn say(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        show(self.ledger, bytes)?;
        recorded(self.ledger).await?;
        self.socket.write_all(bytes).await.map_err(|_| Stop::Relay(Admitted::default()))
    }

    /// The body of the client's next message, which is one of SASL.
    async fn hear(&mut self) -> Result<Vec<u8>, Stop> {
        loop {
            let whole = frame::whole(Side::Frontend, self.buffer.pending());
            let whole = whole.map_err(|invalid| Refusal::OutOfStep { reason: invalid.to_string() })?;
            if let Some((header, body)) = whole {
                let bytes = HEADER_BYTES + body.len();
                if header.kind != frontend::kind::PASSWORD || body.len() > CLIENT_MESSAGE_BYTES_MAX {
                    return Err(Refusal::Scram(scram::Fault::Malformed).into());
                }
                let body = body.to_vec();
                // What is behind it, the relay shows.
                let shown = self.ledger.client(self.buffer.pending().get(..bytes).unwrap_or_default());
                shown.map_err(|out_of_step| Refusal::OutOfStep { reason: out_of_step.to_string() })?;
                self.buffer.written(bytes);
                return Ok(body);
            }
            if self.buffer.pending().len() > CLIENT_MESSAGE_BYTES_MAX {
                return Err(Refusal::Scram(scram::Fault::Malformed).into());
            }
            let count = self.socket.read(self.buffer.room()).await.unwrap_or(0);
            if count == 0 {
                return Err(Stop::Relay(Admitted::default()));
            }
            self.buffer.filled(count);
        }
    }
}

/// The server's leg.
struct Upper<'a> {
    socket: &'a mut Socket,
    buffer: Buffer,
}

impl Upper<'_> {
    /// Says something and hears the answer's data, which is to have that code. Any other message goes to the client, the server's refusal
    /// among them.
    async fn ask(&mut self, bytes: &[u8], code: u32, client: &mut Lower<'_>) -> Result<Vec<u8>, Stop> {
        if self.socket.write_all(bytes).await.is_err() {
            return Err(Stop::Relay(Admitted::default()));
        }
        loop {
            let whole = frame::whole(Side::Backend, self.buffer.pending());
            let whole = whole.map_err(|invalid| Refusal::OutOfStep { reason: invalid.to_string() })?;
            if let Some((header, body)) = whole {
                let data = (header.kind == kind::AUTHENTICATION).then(|| backend::authentication_data(body, code));
                let Some(data) = data.flatten().map(<[u8]>::to_vec) else { break };
                let bytes = HEADER_BYTES + body.len();
                self.buffer.written(bytes);
                return Ok(data);
            }
            let count = self.socket.read(self.buffer.room()).await.unwrap_or(0);
            if count == 0 {
                break;
            }
            self.buffer.filled(count);
        }
        let unexpected = std::mem::replace(&mut self.buffer, Buffer::take());
        show(client.ledger, unexpected.pending())?;
        Err(Stop::Relay(heard_only(unexpected)))
    }
}

/// Whether a verifier is the one that the server challenges by: of another one, the client's key would be of no use.
fn is_meant(verifier: &Verifier, challenge: &Challenge) -> bool {
    verifier.iterations == challenge.iterations && scram::is_salt(&verifier.salt, &challenge.salt)
}

fn end_point(socket: &Socket) -> Option<Vec<u8>> {
    socket.encrypted().and_then(|encrypted| tls::end_point(encrypted.server_certificate()))
}

fn nonce() -> Result<String, Refusal> {
    let mut random = [0; NONCE_BYTES];
    match SystemRandom::new().fill(&mut random) {
        Ok(()) => Ok(scram::nonce(random)),
        Err(_) => Err(Refusal::ServerScram("the system has no random bytes")),
    }
}

/// With these bytes for the client.
fn heard_only(buffer: Buffer) -> Admitted {
    Admitted { down: Some(buffer).filter(|buffer| !buffer.pending().is_empty()), ..Admitted::default() }
}
