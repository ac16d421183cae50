//! The beginning of a session, where the sidecar may have to take a hand in its authentication.
//!
//! In: the two legs and the StartupMessage. Out: what is under way between them when the relay begins, or a refusal. As a rule
//! nothing is done here: authentication passes through, and the relay begins at once. What cannot pass is an offer to bind the channel
//! (SCRAM-SHA-256-PLUS) to the server's certificate where the client sees another one, or none:
//!
//! | client's leg | server's leg | the server's offer |
//! | --- | --- | --- |
//! | any | no TLS | is none; passes |
//! | no TLS | TLS | is left out: libpq would take it for an attack. This is the one message that is ever altered |
//! | TLS, the server's certificate | TLS | passes, and so does what the client makes of it |
//! | TLS, another certificate | TLS | passes, and who takes it up is refused; left out where `channel_binding = "drop"` says so |
//!
//! A client that says it could have bound its channel, had it been offered to (`y`), is refused by a server that did offer: that flag is part of
//! what the client signs, and nobody in between can change it (RFC 5802, section 6). libpq says so over TLS only.
//! With `auth = "terminate"` all of them work: see [`super::terminate`].

use std::future::poll_fn;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::buffer::Buffer;
use super::config::{Auth, ChannelBinding};
use super::ledger::Ledger;
use super::legs::Legs;
use super::refusal::Refusal;
use super::scram::SCRAM_PLUS;
use super::socket::Socket;
use super::terminate;
use crate::wire::backend::{self, kind};
use crate::wire::frame::{self, Side};
use crate::wire::message;

/// What a client begins with.
#[derive(Debug)]
pub struct Opening {
    /// The StartupMessage, which the ledger has seen.
    pub first: Buffer,
    /// What came behind it, which the ledger has not.
    pub behind: Option<Buffer>,
}

/// What is under way when the relay begins.
#[derive(Debug, Default)]
pub struct Admitted {
    /// For the server. The ledger has seen it.
    pub up: Option<Buffer>,
    /// Of the client, behind that. The ledger has not seen it.
    pub behind: Option<Buffer>,
    /// For the client. The ledger has seen it.
    pub down: Option<Buffer>,
}

impl Admitted {
    /// With these bytes of the client's for the relay.
    pub(super) fn with_behind(self, behind: Option<Buffer>) -> Admitted {
        Admitted { behind: behind.filter(|behind| !behind.pending().is_empty()), ..self }
    }
}

/// What has to be done about a session's authentication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plan {
    Nothing,
    LeaveOut,
    Watch,
    Terminate,
}

/// `None` for a certificate: no TLS on that leg.
fn plan(auth: &Auth, ours: Option<&[u8]>, theirs: Option<&[u8]>) -> Plan {
    match (auth, ours, theirs) {
        (Auth::Terminate(_), ..) => Plan::Terminate,
        (_, _, None) => Plan::Nothing,
        (_, None, Some(_)) => Plan::LeaveOut,
        (_, Some(ours), Some(theirs)) if ours == theirs => Plan::Nothing,
        (Auth::Pass(ChannelBinding::Keep), ..) => Plan::Watch,
        (Auth::Pass(ChannelBinding::Drop), ..) => Plan::LeaveOut,
    }
}

fn certificate(socket: &Socket) -> Option<&[u8]> {
    socket.encrypted().map(|encrypted| encrypted.server_certificate())
}

/// Takes what part it must in the beginning of a session. A leg that ends meanwhile is left to the relay to find. Has no time
/// limit of its own.
///
/// # Errors
/// The session cannot go on.
pub async fn admit(
    legs: &Legs,
    client: &mut Socket,
    server: &mut Socket,
    opening: Opening,
    ledger: &mut Ledger,
) -> Result<Admitted, Refusal> {
    let plan = plan(&legs.config.auth, certificate(client), certificate(server));
    match (plan, &legs.verifiers) {
        (Plan::Nothing, _) => Ok(Admitted { up: Some(opening.first), behind: opening.behind, down: None }),
        (Plan::Terminate, Some(verifiers)) => terminate::admit(verifiers, client, server, opening, ledger).await,
        _ => {
            recorded(ledger).await?;
            if server.write_all(opening.first.pending()).await.is_err() {
                return Ok(Admitted::default());
            }
            let mut asked = Asked::hear(server).await?;
            match plan {
                Plan::Watch if asked.offers_plus() => return watch(client, asked, opening.behind, ledger).await,
                _ if asked.offers_plus() => asked.leave_out_plus(),
                _ => {}
            }
            asked.show(ledger).map(|admitted| admitted.with_behind(opening.behind))
        }
    }
}

/// Passes the offer on, and refuses a client that takes it up: its channel ends at another certificate than the server's.
async fn watch(
    client: &mut Socket,
    asked: Asked,
    behind: Option<Buffer>,
    ledger: &mut Ledger,
) -> Result<Admitted, Refusal> {
    show(ledger, asked.buffer.pending())?;
    recorded(ledger).await?;
    if client.write_all(asked.buffer.pending()).await.is_err() {
        return Ok(Admitted::default());
    }
    let mut chosen = behind.unwrap_or_else(Buffer::take);
    loop {
        // What does not read is for the relay to find.
        match frame::whole(Side::Frontend, chosen.pending()) {
            Ok(Some((_, body))) if body.starts_with(SCRAM_PLUS.as_bytes()) => return Err(Refusal::CannotBind),
            Ok(None) if !chosen.is_full() => {}
            _ => break,
        }
        match client.read(chosen.room()).await {
            Ok(count) if count > 0 => chosen.filled(count),
            _ => break,
        }
    }
    Ok(Admitted::default().with_behind(Some(chosen)))
}

/// Returns when the journal has everything that the ledger was shown.
pub(super) async fn recorded(ledger: &mut Ledger) -> Result<(), Refusal> {
    poll_fn(|cx| ledger.poll_recorded(cx)).await.map_err(|unwritable| {
        tracing::error!(%unwritable, "a session is ended");
        Refusal::Unrecordable
    })
}

/// What the server said up to its first request, or to its end.
#[derive(Debug)]
pub(super) struct Asked {
    buffer: Buffer,
    /// Where its request begins in the buffer, and its length; a request is the first message that is none of those that may come before.
    request: Option<(usize, usize)>,
}

impl Asked {
    /// Hears the server up to its first request. NegotiateProtocolVersion comes before it, and a notice may.
    pub(super) async fn hear(server: &mut Socket) -> Result<Asked, Refusal> {
        let mut buffer = Buffer::take();
        let mut at = 0;
        loop {
            let whole = frame::whole(Side::Backend, buffer.pending().get(at..).unwrap_or_default());
            let whole = whole.map_err(|invalid| Refusal::OutOfStep { reason: invalid.to_string() })?;
            if let Some((header, body)) = whole {
                let bytes = frame::HEADER_BYTES + body.len();
                if !matches!(header.kind, kind::NEGOTIATE_PROTOCOL_VERSION | kind::NOTICE_RESPONSE) {
                    return Ok(Asked { buffer, request: Some((at, bytes)) });
                }
                at += bytes;
                continue;
            }
            if buffer.is_full() {
                return Err(Refusal::ServerScram("its request for authentication is too long"));
            }
            match server.read(buffer.room()).await {
                Ok(count) if count > 0 => buffer.filled(count),
                _ => return Ok(Asked { buffer, request: None }),
            }
        }
    }

    /// The body of its request, where that is one for authentication.
    pub(super) fn request(&self) -> Option<&[u8]> {
        let (at, bytes) = self.request?;
        let request = self.buffer.pending().get(at..at + bytes)?;
        (request.first() == Some(&kind::AUTHENTICATION)).then(|| request.get(frame::HEADER_BYTES..).unwrap_or_default())
    }

    /// What came before its request.
    pub(super) fn before(&self) -> &[u8] {
        let until = self.request.map_or(self.buffer.pending().len(), |(at, _)| at);
        self.buffer.pending().get(..until).unwrap_or_default()
    }

    fn offers_plus(&self) -> bool {
        self.request().is_some_and(|body| backend::sasl_mechanisms(body).any(|name| name == SCRAM_PLUS.as_bytes()))
    }

    fn leave_out_plus(&mut self) {
        let (Some(body), Some((at, bytes))) = (self.request(), self.request) else { return };
        let others = backend::sasl_mechanisms(body).filter(|name| *name != SCRAM_PLUS.as_bytes());
        let behind = self.buffer.pending().get(at + bytes..).unwrap_or_default();
        let altered = [self.before(), &message::authentication_sasl(others), behind].concat();
        // Shorter than what it is made of: it fits.
        let mut buffer = Buffer::take();
        buffer.put(&altered);
        self.buffer = buffer;
    }

    /// Shows all of it to the ledger, for the relay to pass on.
    pub(super) fn show(self, ledger: &mut Ledger) -> Result<Admitted, Refusal> {
        show(ledger, self.buffer.pending())?;
        let down = Some(self.buffer).filter(|buffer| !buffer.pending().is_empty());
        Ok(Admitted { down, ..Admitted::default() })
    }
}

/// Shows the ledger what the client is about to hear.
pub(super) fn show(ledger: &mut Ledger, bytes: &[u8]) -> Result<(), Refusal> {
    ledger.server(bytes).map_err(|out_of_step| Refusal::OutOfStep { reason: out_of_step.to_string() })
}

#[cfg(test)]
mod tests {
    use super::super::config::Lookup;
    use super::*;

    #[test]
    fn what_is_done_depends_on_both_legs_and_the_configuration() {
        let keep = Auth::Pass(ChannelBinding::Keep);
        let drop = Auth::Pass(ChannelBinding::Drop);
        let terminate = Auth::Terminate(Lookup { url: String::new(), query: String::new() });
        let (ours, theirs) = (Some(&b"ours"[..]), Some(&b"theirs"[..]));
        for (auth, client, server, expected) in [
            (&keep, None, None, Plan::Nothing),
            (&keep, ours, None, Plan::Nothing),
            (&keep, None, theirs, Plan::LeaveOut),
            (&keep, theirs, theirs, Plan::Nothing),
            (&drop, theirs, theirs, Plan::Nothing),
            (&keep, ours, theirs, Plan::Watch),
            (&drop, ours, theirs, Plan::LeaveOut),
            (&terminate, None, None, Plan::Terminate),
            (&terminate, theirs, theirs, Plan::Terminate),
        ] {
            assert_eq!(plan(auth, client, server), expected, "{auth:?} {client:?} {server:?}");
        }
    }

    fn asked(before: &[u8], request: &[u8], behind: &[u8]) -> Asked {
        let mut buffer = Buffer::take();
        buffer.put(&[before, request, behind].concat());
        Asked { buffer, request: Some((before.len(), request.len())) }
    }

    #[test]
    fn the_offer_to_bind_is_left_out_and_nothing_else() {
        let (before, behind) = (b"v\0\0\0\x0c\0\x03\0\0\0\0\0\0", b"N\0\0\0\x05\0");
        let list = |names: &[&str]| message::authentication_sasl(names.iter().map(|name| name.as_bytes()));
        let mut both = asked(before, &list(&[SCRAM_PLUS, "SCRAM-SHA-256", "OAUTHBEARER"]), behind);
        assert!(both.offers_plus());
        both.leave_out_plus();
        let expected = [&before[..], &list(&["SCRAM-SHA-256", "OAUTHBEARER"]), behind].concat();
        assert_eq!(both.buffer.pending(), expected);
        for request in [list(&["SCRAM-SHA-256"]), b"R\0\0\0\x08\0\0\0\0".to_vec(), b"E\0\0\0\x05\0".to_vec()] {
            assert!(!asked(before, &request, behind).offers_plus());
        }
    }
}
