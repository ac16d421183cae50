//! What a server keeps of a role's password: `SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey`.
//!
//! In: `pg_authid.rolpassword`. Out: its parts; `None` for an MD5 hash, or anything else that SCRAM cannot use.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::SCRAM;
use super::keys::Key;

/// A role's verifier (RFC 5803, as PostgreSQL writes it).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verifier {
    /// How often the password was hashed.
    pub iterations: u32,
    /// Not secret: every client is told it.
    pub salt: Vec<u8>,
    /// The hash of what a client proves to have.
    pub stored_key: Key,
    /// What the server proves to have.
    pub server_key: Key,
}

impl Verifier {
    /// Reads it.
    pub fn read(text: &str) -> Option<Verifier> {
        let (iterations, rest) = text.strip_prefix(SCRAM)?.strip_prefix('$')?.split_once(':')?;
        let (salt, keys) = rest.split_once('$')?;
        let (stored_key, server_key) = keys.split_once(':')?;
        let key = |text: &str| Key::new(&STANDARD.decode(text).ok()?);
        Some(Verifier {
            iterations: iterations.parse().ok()?,
            salt: STANDARD.decode(salt).ok()?,
            stored_key: key(stored_key)?,
            server_key: key(server_key)?,
        })
    }
}
