//! What the integration tests stand on: a real PostgreSQL, the sidecar before it, and the programs that talk to both.
//!
//! Nothing here replaces a part of the product: the server is the library's own throwaway PostgreSQL, the sidecar is either
//! the data plane in this process ([`through`]) or the real binary ([`sidecar`]).

#![allow(dead_code, reason = "each test binary uses its part of this")]

#[cfg(feature = "object-store")]
pub mod bucket;
pub mod gate;
pub mod programs;
pub mod prometheus;
pub mod receiver;
pub mod redis;
pub mod rsyslog;
pub mod script;
pub mod server;
pub mod sidecar;
pub mod smtp;
pub mod through;
pub mod tls;
pub mod wire;

use std::time::{Duration, Instant};

/// How long anything may take before a test says that it does not come, seconds. Generous: the machine may be busy.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until `found` finds something.
pub fn wait_for<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(it) = found() {
            return it;
        }
        assert!(started.elapsed() < PATIENCE, "{what}: did not come within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
