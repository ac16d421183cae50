//! Certificates and keys → either side of a handshake, and what a certificate says of itself.
//!
//! In: [`File`]s that a person named, and the time. Out: a [`Server`], a [`Client`] or a [`Driver`], or every [`Fault`] of the files, each
//! with its key. Opens no connection. TLS 1.2 and 1.3 (PostgreSQL's own default); ring is the one provider of cryptography.

mod certificate;
mod client;
mod driver;
mod files;
mod server;
mod subject;
mod verifier;

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};

pub use self::certificate::{Certificate, end_point};
pub use self::client::{Client, Trust, server_name};
pub use self::driver::{Driver, Outward};
pub use self::files::{Fault, File, Pair};
pub use self::server::{Own, Server};
pub use self::subject::Subject;

/// PostgreSQL's name in ALPN (manual, "Protocol Flow", Direct SSL).
pub const ALPN: &[u8] = b"postgresql";

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
