//! The data plane: listener, relay, cancel, drain.
//!
//! In: connections. Out: the same bytes on the other side, and events into the intake journal. Relays original bytes,
//! one write a read, both directions driven independently; never waits for analysis.
//!
//! ```text
//! listener → greeting ─┬─ CancelRequest → cancel → the server
//!            TLS or not└─ StartupMessage → connection: upstream, admission, then relay ⇄ until it ends
//!                                                                              │ every read
//!                                                       (turnstile ← gate)   ledger → session::Tracker → audit::Intake
//! ```
//!
//! Everything before and after the relay, and a relay with TLS, is waited for by tokio; a relay without by an event loop of our own
//! (`workers`, `event_loop`, `watched`), and what several of them have for the journal in one turn of it is one entry there (`together`).

mod admission;
mod buffer;
mod cancel;
mod check;
mod config;
mod connection;
mod encrypted;
mod error;
mod event_loop;
mod gate;
mod gathering;
mod greeting;
mod ledger;
mod legs;
mod listener;
mod phase;
mod presence;
mod refusal;
mod relay;
mod scram;
mod server;
mod socket;
mod terminate;
mod together;
mod turnstile;
mod upstream;
mod verifiers;
mod watched;
mod workers;

pub use self::check::check;
pub use self::config::{
    Address, Auth, ChannelBinding, ClientCertificate, Config, DEFAULT_AUTH_QUERY, ListenTls, Lookup, UpstreamTls,
};
pub use self::error::Error;
pub use self::gate::{Gate, Gates};
pub use self::ledger::{Stage, Subjects};
pub use self::server::{Control, Proxy, Ready};
