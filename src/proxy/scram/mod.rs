//! SCRAM-SHA-256, with channel binding and without (RFC 5802, RFC 7677; PostgreSQL manual, "SASL Authentication").
//!
//! In: messages, nonces, and the verifier that the server keeps of a role. Out: messages, and the client's key once its proof has shown it.
//! Knows no socket and no source of random numbers. Nobody's password is here: a client proves that it has the key that the verifier is the
//! hash of, the key comes out of the proof, and with it one may log in to whoever keeps the same verifier.
//!
//! ```text
//! client ── client-first ──→ server::First           client::Login ── client-first ──→ PostgreSQL
//!        ←─ server-first ─── server::Challenged      client::Challenge ←─ server-first ───
//!        ── client-final ──→   its proof → ClientKey → its proof ──── client-final ──→
//!        ←─ server-final ───                         client::Expected ←─ server-final ───
//! ```

pub mod client;
mod keys;
pub mod server;
mod verifier;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

#[cfg(test)]
use self::keys::Key;
pub use self::verifier::Verifier;

/// The mechanism's name (RFC 7677).
pub const SCRAM: &str = "SCRAM-SHA-256";
/// The same, the channel bound.
pub const SCRAM_PLUS: &str = "SCRAM-SHA-256-PLUS";
/// The one kind of channel binding that PostgreSQL has (RFC 5929, section 4).
const BINDING: &str = "tls-server-end-point";
/// Random bytes of a nonce, as in PostgreSQL (`SCRAM_RAW_NONCE_LEN`).
pub const NONCE_BYTES: usize = 18;

/// A nonce as it is written.
pub fn nonce(random: [u8; NONCE_BYTES]) -> String {
    STANDARD.encode(random)
}

/// Whether `written` is that salt.
pub fn is_salt(salt: &[u8], written: &str) -> bool {
    STANDARD.decode(written).is_ok_and(|decoded| decoded == salt)
}

/// What is wrong with a peer's message. None repeats any of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It does not read.
    #[error("malformed SCRAM message")]
    Malformed,
    /// The client names another mechanism than those offered.
    #[error("client selected an invalid SASL authentication mechanism")]
    Mechanism,
    /// It asks for something that PostgreSQL has not: an extension, or to act for another.
    #[error("client requires an unsupported SCRAM extension")]
    Unsupported,
    /// The client can bind its channel and was not offered to, by its account (RFC 5802, section 6): somebody in between may have
    /// taken the offer out.
    #[error("SCRAM channel binding negotiation error")]
    Negotiation,
    /// The client's channel ends at another certificate than ours.
    #[error("SCRAM channel binding check failed")]
    Binding,
}

/// `a=value` of a message, off its front; the comma behind it too.
fn attribute<'a>(name: char, message: &mut &'a str) -> Result<&'a str, Fault> {
    let rest = message.strip_prefix(name).and_then(|rest| rest.strip_prefix('=')).ok_or(Fault::Malformed)?;
    let (value, rest) = rest.split_once(',').unwrap_or((rest, ""));
    *message = rest;
    Ok(value)
}

fn text(message: &[u8]) -> Result<&str, Fault> {
    // A NUL would end it early for PostgreSQL.
    std::str::from_utf8(message).ok().filter(|text| !text.contains('\0')).ok_or(Fault::Malformed)
}

fn is_nonce(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',')
}

#[cfg(test)]
mod tests;
