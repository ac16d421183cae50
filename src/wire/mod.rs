//! Bytes → bounded frames → messages, and the few messages that the sidecar itself originates.
//!
//! In: bytes of the PostgreSQL wire protocol 3.x. Out: frames cut by length exactly as PostgreSQL cuts them, and
//! readers that cannot look beyond their frame. PURE. Refuses to re-encode: relayed bytes are never made here.
#![deny(clippy::indexing_slicing)]
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

// Header and length: where a message begins and ends.
pub mod frame;
// Reads inside one message, never past it.
pub mod read;
// The first packet, which has no type byte.
pub mod startup;
// Messages of the client.
pub mod frontend;
// Bind, read as it streams by: its parameters may be a gigabyte.
pub mod bind;
// Messages of the server.
pub mod backend;
// DataRow, read as it streams by.
pub mod row;
// Messages that the sidecar originates.
pub mod message;
