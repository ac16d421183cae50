//! Messages → events: which statement, which portal, which transaction, how many rows, whose.
//!
//! In: the bytes of both directions as they were read, cut anywhere, and the time. Out: [`Event`]s. PURE: no socket,
//! no clock, no SQL. Nothing a peer sends may panic here, allocate beyond the constants below, or be counted twice; a
//! stream that cannot be followed is an error that ends the session, never a guess.

#![deny(clippy::indexing_slicing)]
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

// What is told.
pub mod event;
// Why a stream cannot be followed.
mod error;
// What a gate is asked, and what it may answer.
pub mod gate;
// Distinct data subjects in a result.
mod people;
// Made-up people among them.
pub mod baits;
// Values of columns that nobody classified.
pub mod sampling;
// How the server reads a text: encoding, and what a backslash is.
mod dialect;
// One execution under way, and the columns of its result.
mod run;
// A map by their names.
mod by_name;
// Prepared statements and portals by name: what was sent, and what the server confirmed.
mod names;
// What the server has still to answer.
mod expect;
// The state of one session.
mod tracker;
// Bytes of the client.
mod client;
// Bytes of the server.
mod server;
// What nobody asked for, and what is no row.
mod telling;
// Streams of replication, told while they flow.
pub mod streaming;
// COPY from the client, and the Syncs that it passes over.
mod copying;
// Which execution the server is answering.
mod executing;
// What a command's tag says of prepared statements and portals.
mod tagging;
// ErrorResponse: what failed.
mod failing;
// What the server passes over after it.
mod skipping;
// Bytes of the client where a gate is loaded.
mod holding;
// Bytes of the server where a gate is loaded.
mod passing;
// The end.
mod closing;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

pub use self::baits::{Bait, Baits};
pub use self::closing::Ending;
pub use self::error::OutOfStep;
pub use self::event::Event;
pub use self::holding::{Heard, Outgoing};
pub use self::passing::Passed;
pub use self::sampling::Unsettled;
pub use self::tracker::Tracker;

/// The longest statement text that is kept for analysis, bytes. A longer one is relayed whole and recorded cut off.
pub const TEXT_BYTES_MAX: usize = 1 << 20;
/// The longest error message that is kept, bytes.
pub const ERROR_BYTES_MAX: usize = 1 << 10;
/// The most subject values that are kept for hashing, per statement.
pub const SUBJECTS_MAX: usize = 100;
/// The most distinct subjects that are counted exactly; beyond, the count is an estimate.
pub const EXACT_PEOPLE_MAX: usize = 1 << 16;

/// Stands for a text that is not known. No parser takes it, so that the worst is assumed. `text_bytes` is 0 then. Where
/// only the name is known, of a statement prepared by SQL's PREPARE, of a cursor that SQL declared, of a statement
/// forgotten because too many were prepared, SQL's word for what is done stands in its place: `execute "name"`, or
/// `fetch all from "name"`, and `text_bytes` is 0, too.
pub const UNKNOWN_TEXT: &[u8] = b"<statement text not known>";
/// The most prepared statements whose text is remembered, per session. Beyond, the one longest unused is forgotten.
pub const PREPARED_STATEMENTS_MAX: usize = 4_096;
/// The most bytes of their texts, per session. Beyond, the ones longest unused are forgotten.
pub const PREPARED_TEXT_BYTES_MAX: usize = 16 << 20;
/// The most portals that are remembered, per session. Beyond, the oldest is forgotten, and ended where it had begun.
pub const PORTALS_MAX: usize = 1_024;
/// The most messages of a client that the server has still to answer; one more cannot be followed. A server holds back
/// 8 KiB of answers at most, so that a proxy that stops reading at half of it, see [`Tracker::wants_client`], never
/// gets there and never stands still.
pub const OUTSTANDING_MAX: usize = 1 << 17;
/// The most bytes of statement texts that wait for the server to confirm them, per session.
pub const OUTSTANDING_TEXT_BYTES_MAX: usize = 64 << 20;
/// The most columns of a result that are read for data subjects; the first ones.
pub const SUBJECT_COLUMNS_MAX: usize = 8;
/// The longest value of a data subject that is kept as a value, bytes. A longer one counts as a person, no more.
pub const SUBJECT_BYTES_MAX: usize = 256;

/// Which columns name a data subject, by (table OID, attribute number), in one database; which ones nobody classified; and where baits
/// lie. Made by the catalog, swapped as a whole, only read here.
#[derive(Clone, Debug, Default)]
pub struct SubjectColumns {
    /// Those that name one, and the OID of the table whose people these are.
    pub columns: HashMap<(u32, i16), u32>,
    /// `None` where the catalog is not known.
    pub unclassified: Option<Unclassified>,
    /// Values in them that nobody has a reason to read.
    pub baits: Baits,
}

/// What is known of columns whose values are looked at, because nobody classified them.
#[derive(Clone, Debug, Default)]
pub struct Unclassified {
    /// The others.
    pub classified: HashSet<(u32, i16)>,
    /// How far each is looked at; outlives a change of the others.
    pub unsettled: Arc<Unsettled>,
}

/// Shared between the sessions of a database.
pub type SharedSubjectColumns = Arc<SubjectColumns>;
