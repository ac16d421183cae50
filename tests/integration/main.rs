//! The integration tests: one binary, one module a behaviour, a real PostgreSQL behind each.

#![allow(clippy::panic, clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod acting;
mod alerts;
mod authentication;
mod backtest;
mod bad_input;
mod bypass;
mod cancel;
mod certificate_files;
mod channel_binding;
mod client_certificate;
mod client_tls;
mod commands;
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
mod large;
#[cfg(feature = "query")]
mod log;
mod messages;
mod modelled;
mod names;
mod oauth;
mod oracle;
mod policies;
mod programs;
mod proof;
mod protocol;
mod quiet;
mod relay;
mod reloading;
mod replication;
mod server_tls;
mod smoke;
mod sockets;
mod start_up;
mod telling;
mod trail;
mod verbatim;
