//! What a client wants, before a session exists.
//!
//! In: the first bytes of a connection. Out: a [`Greeting`], and TLS in force where the client asked for it and it is to be had. SSLRequest and
//! GSSENCRequest are each answered once, in either order (manual, "SSL Session Encryption"); a byte that came behind one before
//! its answer could have been put there by somebody in between, and ends the connection (CVE-2021-23214). A client may also begin
//! with the handshake ("direct SSL"); both sides must have named PostgreSQL in it then, so that no other protocol's client can be made to.
//! A packet is held to [`startup::FIRST_PACKET_BYTES_MAX`]; nothing is allocated from a length that a client claims.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};

use super::buffer::{BUFFER_BYTES, Buffer};
use super::encrypted::Encrypted;
use super::refusal::Refusal;
use super::socket::Socket;
use crate::tls;
use crate::wire::startup::{self, First, StartupError};

/// The answer to a request for encryption: go on.
const YES: &[u8] = b"S";
/// The answer to a request for encryption: not here.
const NO: &[u8] = b"N";
/// What a TLS handshake begins with (RFC 8446, section 5.1); a packet of such a length there is not.
const HANDSHAKE: u8 = 0x16;
/// The two requests, read as protocol versions.
const REQUEST_MAJOR: u16 = 1234;
const SSL_REQUEST_MINOR: u16 = 5679;
const GSS_REQUEST_MINOR: u16 = 5680;

/// What a client wants.
#[derive(Debug)]
pub enum Greeting {
    /// A session: the StartupMessage, and whatever came behind it.
    Session(Buffer),
    /// To cancel: the CancelRequest.
    Cancel(Buffer),
    /// Nothing: it closed the connection first.
    Nothing,
    /// Something that cannot be had. It is to be told so.
    Refused(Refusal),
    /// Something that is no PostgreSQL: closed without a word, as PostgreSQL does.
    Nonsense,
}

/// Receives a greeting. `tls`: what to answer a client of TCP with that asks for TLS. Has no time limit of its own.
///
/// # Errors
/// The connection broke, or the handshake failed.
pub async fn receive(socket: &mut Socket, tls: Option<&tls::Server>) -> io::Result<Greeting> {
    let tls = tls.filter(|_| matches!(socket, Socket::Tcp(_)));
    let (mut ssl_answered, mut gss_answered) = (false, false);
    if let Some(server) = tls
        && begins_with_handshake(socket).await?
    {
        socket.accept_tls(server).await?;
        if !socket.encrypted().is_some_and(Encrypted::has_alpn) {
            tracing::info!("a client began with TLS and did not name PostgreSQL in ALPN; it is turned away");
            return Ok(Greeting::Nonsense);
        }
        (ssl_answered, gss_answered) = (true, true);
    }
    loop {
        let Some(packet) = packet(socket).await? else { return Ok(Greeting::Nothing) };
        let (buffer, first, packet_bytes) = match packet {
            Ok(whole) => whole,
            Err(fault) => return Ok(refused(fault)),
        };
        let (answered, request, minor) = match first {
            First::Startup(_) => return Ok(Greeting::Session(buffer)),
            First::Cancel(_) => return Ok(Greeting::Cancel(buffer)),
            First::SslRequest => (&mut ssl_answered, "SSL", SSL_REQUEST_MINOR),
            First::GssEncRequest => (&mut gss_answered, "GSSAPI encryption", GSS_REQUEST_MINOR),
        };
        if std::mem::replace(answered, true) {
            // Asked for again, it is a protocol version that does not exist, as it is for PostgreSQL.
            return Ok(Greeting::Refused(Refusal::UnsupportedProtocol { major: REQUEST_MAJOR, minor }));
        }
        match tls {
            Some(server) if request == "SSL" => {
                socket.write_all(YES).await?;
                socket.accept_tls(server).await?;
                gss_answered = true;
            }
            _ => socket.write_all(NO).await?,
        }
        if buffer.pending().len() > packet_bytes {
            return Ok(Greeting::Refused(Refusal::UnencryptedBehindRequest { request }));
        }
    }
}

async fn begins_with_handshake(socket: &Socket) -> io::Result<bool> {
    let Socket::Tcp(stream) = socket else { return Ok(false) };
    let mut first = [0];
    Ok(stream.peek(&mut first).await? > 0 && first == [HANDSHAKE])
}

/// What is wrong with a first packet; as PostgreSQL, no word where it is unlikely to be read by a PostgreSQL client.
fn refused(fault: StartupError) -> Greeting {
    match fault {
        StartupError::InvalidLength | StartupError::InvalidCancel => Greeting::Nonsense,
        StartupError::InvalidLayout => Greeting::Refused(Refusal::InvalidStartup),
        StartupError::UnsupportedProtocol { major, minor } => {
            Greeting::Refused(Refusal::UnsupportedProtocol { major, minor })
        }
    }
}

/// The bytes so far, the packet they begin with, and its length in bytes.
type Whole = (Buffer, First, usize);

/// `None`: the client closed first.
async fn packet(socket: &mut Socket) -> io::Result<Option<Result<Whole, StartupError>>> {
    let mut held = None;
    loop {
        let Some(buffer) = more(socket, &mut held).await? else { return Ok(None) };
        match startup::read(buffer.pending()) {
            // A buffer has room for the largest packet, so that there is room for more as long as it is not whole.
            Ok(None) => held = Some(buffer),
            Ok(Some((first, packet_bytes))) => return Ok(Some(Ok((buffer, first, packet_bytes)))),
            Err(fault) => return Ok(Some(Err(fault))),
        }
    }
}

/// What is held and what is read behind it; `None` at the end. A client that says nothing holds no buffer.
async fn more(socket: &mut Socket, held: &mut Option<Buffer>) -> io::Result<Option<Buffer>> {
    poll_fn(|cx| poll_more(cx, socket, held)).await
}

fn poll_more(cx: &mut Context<'_>, socket: &mut Socket, held: &mut Option<Buffer>) -> Poll<io::Result<Option<Buffer>>> {
    let mut buffer = held.take().unwrap_or_else(Buffer::take);
    let mut room = ReadBuf::new(buffer.room());
    let read = Pin::new(socket).poll_read(cx, &mut room);
    let count = room.filled().len();
    buffer.filled(count);
    match read {
        Poll::Pending => {
            *held = (!buffer.pending().is_empty()).then_some(buffer);
            Poll::Pending
        }
        Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
        Poll::Ready(Ok(())) => Poll::Ready(Ok((count > 0).then_some(buffer))),
    }
}

const _: () = assert!(startup::FIRST_PACKET_BYTES_MAX < BUFFER_BYTES);
