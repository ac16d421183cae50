//! Messages → events: which statement, which portal, which transaction, how many rows, whose.
//!
//! In: the bytes of both directions as they were read, cut anywhere, and the time. Out: [`Event`]s. PURE: no socket,
//! no clock, no SQL. Nothing a peer sends may panic here, allocate beyond the constants below, or be counted twice; a
//! stream that cannot be followed is an error that ends the session, never a guess.

pub mod event;

use std::collections::HashMap;
use std::sync::Arc;

pub use self::event::Event;

/// The longest statement text that is kept for analysis, bytes. A longer one is relayed whole and recorded cut off.
pub const TEXT_BYTES_MAX: usize = 1 << 20;
/// The longest error message that is kept, bytes.
pub const ERROR_BYTES_MAX: usize = 1 << 10;
/// The most subject values that are kept for hashing, per statement.
pub const SUBJECTS_MAX: usize = 100;
/// The most distinct subjects that are counted exactly; beyond, the count is an estimate.
pub const EXACT_PEOPLE_MAX: usize = 1 << 16;

/// Which columns name a data subject, by (table OID, attribute number), in one database.
/// Made by the catalog, swapped as a whole, only read here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubjectColumns(pub HashMap<(u32, i16), ()>);

/// Shared between the sessions of a database.
pub type SharedSubjectColumns = Arc<SubjectColumns>;
