//! The data plane: listener, relay, cancel, drain.
//!
//! In: connections. Out: the same bytes on the other side, and events into the intake journal. Relays original bytes,
//! one write a read, both directions driven independently; never waits for analysis.
//!
//! ```text
//! listener → greeting ─┬─ CancelRequest → cancel → the server
//!                      └─ StartupMessage → connection: upstream::connect, then relay ⇄ until it ends
//!                                                                              │ every read
//!                                                       (turnstile ← gate)   ledger → session::Tracker → audit::Intake
//! ```

mod buffer;
mod cancel;
mod config;
mod connection;
mod error;
mod gate;
mod greeting;
mod ledger;
mod listener;
mod phase;
mod refusal;
mod relay;
mod server;
mod socket;
mod turnstile;
mod upstream;

pub use self::config::{Address, Config};
pub use self::error::Error;
pub use self::gate::{Gate, Gates};
pub use self::ledger::{Stage, Subjects};
pub use self::server::Proxy;
pub use self::upstream::reach;
