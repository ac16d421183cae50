//! The integration tests: one binary, one module a behaviour, a real PostgreSQL behind each.

#![allow(clippy::panic, clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod bad_input;
mod cancel;
mod copying;
mod differential;
mod drain;
mod drivers;
mod ends;
#[cfg(feature = "query")]
mod log;
mod messages;
mod modelled;
mod names;
mod oracle;
mod programs;
mod protocol;
mod relay;
mod replication;
mod smoke;
mod trail;
mod verbatim;
