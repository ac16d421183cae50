//! Mitsuke: a database activity monitor for PostgreSQL.
//!
//! It stands between clients and the server as a sidecar, relays their bytes unaltered, understands every statement,
//! records it in a Parquet log, and judges policies over the records.
//!
//! ```text
//! client ⇄ proxy ⇄ PostgreSQL
//!            │ bytes, as read                     wire cuts them into frames
//!         session     which statement, which portal, how many rows, whose
//!            │ Event (begun, ended, …)            audit::intake: on disk before the bytes go on
//!         analysis    the stage that joins the rooms below, live or replayed after a crash
//!            ├─ sql       what the text says
//!            ├─ catalog   what the names and OIDs mean; which columns are personal, and whose
//!            ├─ policy    which findings follow; by guard, which statements are denied or cut
//!            │ Statement, Transaction, Session, Finding
//!          audit      record journal → Parquet, each file in a signed chain
//!            │
//!   alert · query · report
//! ```
//!
//! # Invariants
//!
//! * A module imports only modules declared above it. `tests/tidy.rs` checks it from the source.
//! * A module marked PURE knows no tokio, no sockets, no files and no clock: bytes and values in, values out.
//! * Relayed bytes are the original bytes. Nothing re-encodes them.
//! * A statement is in the intake journal before the server sees it, and its end before the client sees it.
//! * Nothing a peer sends may panic, hang, or allocate without bound. Every queue and buffer has a named limit.
//! * Raw text and values live in the encrypted intake journal only. Records carry neither, unless `[privacy].literals` is "keep".
//!
//! # The modules, in the order in which data flows

// The program's allocator, told to give memory back soon.
pub mod allocator;
// The only reader of time.
pub mod clock;
// What is asked of the file system, where the log is changed: the one way to it.
pub mod system;
// Faults in what a person wrote.
pub mod error;
// Certificates and keys → either side of a handshake.
pub mod tls;
// PURE. YAML in which every node knows its place.
pub mod yaml;
// PURE. What is logged: one struct a table, one line a column.
pub mod record;
// PURE. Figures of a sidecar that runs: counted where things happen, read where somebody asks.
pub mod figures;
// PURE. Records → events of OCSF 1.3.
pub mod ocsf;
// PURE. Names and values → what they look like: e-mail addresses, My Numbers, names of people.
pub mod detect;
// PURE. Hashes → how many different ones, exactly or by HyperLogLog.
pub mod distinct;
// PURE. Bytes → bounded frames → messages.
pub mod wire;
// PURE. Messages → events: statements, portals, rows, people.
pub mod session;
// PURE. Text → Analysis: kind, relations, columns, functions, literals out.
pub mod sql;
// What names and OIDs mean; classification. One loader does I/O.
pub mod catalog;
// PURE but for `database`. A database's tables and a sample of their values → a proposed classification.
pub mod classify;
// PURE but for `load`. Records → findings.
pub mod policy;
// Who is kept out for a time.
pub mod quarantine;
// Intake journal, record journal, Parquet in a folder or an object store, the chain that proves it, and the reader of them.
pub mod audit;
// The log judged again by other policies.
pub mod backtest;
// The log asked for one person: who read their record.
pub mod who;
// What the sidecars of a fleet tell each other, through a Redis or Valkey: who is kept out, and what their windows hold together.
pub mod fleet;
// SQL over the log.
#[cfg(feature = "query")]
pub mod query;
// Events → records: sql, catalog and policy joined, beside the data plane.
pub mod analysis;
// Findings → stdout, mail, webhook, syslog.
pub mod alert;
// The log → the weekly report; without the feature `query`, only what a week is.
pub mod report;
// The data plane: listener, relay, cancel, drain.
pub mod proxy;
// Who is connected to the server and did not come through here.
pub mod bypass;
// Policies that deny and cut, in the data plane.
pub mod guard;
// What was written → what is meant.
pub mod config;
// The sidecar's own log, on standard error; its figures and its readiness, over HTTP.
pub mod telemetry;
// The stages, the queues between them, and the order of shutdown.
pub mod app;
// A throwaway PostgreSQL, a ticket shop, and an insider.
pub mod demo;
// One file a subcommand.
pub mod cli;
