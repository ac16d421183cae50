//! The integration tests: one binary, one module a behaviour, a real PostgreSQL behind each.

#[path = "../support/mod.rs"]
mod support;

mod bad_input;
mod cancel;
mod drain;
mod drivers;
mod programs;
mod relay;
mod verbatim;
