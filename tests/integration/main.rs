//! The integration tests: one binary, one module a behaviour, a real PostgreSQL behind each.

#![allow(clippy::panic, clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod authentication;
mod bad_input;
mod cancel;
mod certificate_files;
mod channel_binding;
mod client_certificate;
mod client_tls;
mod drain;
mod drivers;
#[cfg(feature = "query")]
mod log;
mod programs;
mod relay;
mod server_tls;
mod sockets;
mod start_up;
mod trail;
mod verbatim;
