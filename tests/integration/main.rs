//! The integration tests: one binary, one module a behaviour, a real PostgreSQL behind each.

#![allow(clippy::panic, clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod acting;
mod alerts;
mod authentication;
mod backtest;
mod baits;
mod bad_input;
mod bypass;
mod cancel;
mod certificate_files;
mod channel_binding;
mod classify;
mod client_certificate;
mod client_tls;
mod collected;
mod commands;
mod conformance;
mod copying;
mod cutting;
mod denying;
mod denying_drivers;
mod differential;
mod documents;
mod drain;
mod drivers;
mod ends;
mod evasion;
mod lake;
mod fleet;
mod fleet_windows;
mod large;
#[cfg(feature = "query")]
mod log;
mod members;
mod messages;
mod modelled;
mod names;
mod oauth;
mod oracle;
mod planned;
mod policies;
mod programs;
#[cfg(feature = "query")]
mod prompt;
mod proof;
mod protocol;
mod quiet;
#[cfg(feature = "query")]
mod reading;
mod relay;
mod reloading;
mod replication;
mod secrets;
mod server_tls;
mod signing;
mod smoke;
mod soak;
mod sockets;
mod start_up;
#[cfg(all(feature = "query", feature = "object-store"))]
mod store;
mod telemetry;
mod telling;
mod trail;
mod verbatim;
