//! The log: intake journal → record journal → Parquet, and the reader of them all.
//!
//! In: events (from the data plane) and records (from `analysis`). Out: files under `[log].path` as the contract
//! lays them out. Nothing a client was told is lost when the process is killed at any instant.
//!
//! ```text
//! LOG/journal/<writer>/lock                              held while the writer lives
//! LOG/journal/<writer>/intake/<first position>.seg       raw events, encrypted            intake
//! LOG/journal/<writer>/records/<number>.log              records not yet in Parquet       journal, log
//! LOG/<table>/dt=YYYY-MM-DD/<writer>-<first_seq>.parquet records                          parquet
//! LOG/<table>/dt=YYYY-MM-DD/<writer>-<first_seq>-<last_seq>.parquet   many of those as one     compaction
//! LOG/chain/<writer>.jsonl                               what proves the files             chain, verify
//! LOG/hold/<any name>                                    what must not be deleted          retention
//! ```
//!
//! Where `[log].path` names a store, all of this lies in a folder of its own first, the `spool`; what is sealed goes up from there
//! (`shipper`), the chain in objects of some lines each, `chain/<writer>/<first line>.jsonl`. Readers see both through `place`.
//!
//! A record is in the log once: in the record journal from [`Log::commit`] on, in Parquet from the moment its file gets
//! its name; where both have it, `lake` passes over the journal's.

mod abreast;
mod chain;
mod compaction;
mod encoding;
mod error;
mod filter;
mod folder;
pub mod intake;
mod journal;
mod key;
mod lake;
mod lineage;
mod log;
mod pages;
mod parquet;
mod pieces;
mod place;
mod reading;
mod retention;
pub mod schema;
mod sealing;
mod shipper;
mod signing;
mod spool;
mod store;
#[cfg(test)]
mod tests;
mod verify;
mod writer;

use std::path::PathBuf;
use std::time::Duration;

pub use self::abreast::{AHEAD, InOrder, read_abreast};
pub use self::chain::{FileTimes, Head, Sealed, ToldGap, heads};
pub use self::compaction::{Compacted, LeftAlone, compact};
pub use self::error::{Error, Unwritable, UnwritableReason};
pub use self::filter::{Filter, Lists};
pub use self::folder::aside_of;
pub use self::intake::{Entry, Gap, GapCause, Intake, IntakeReader, Look, OnDisk, Position};
pub use self::journal::Checkpoint;
pub use self::key::Key;
pub use self::lake::{Lake, LakeFile, Snapshot};
pub use self::log::{Log, Logged};
pub use self::pieces::Piece;
pub use self::place::Place;
pub use self::reading::{Asked, Reading};
pub use self::retention::Retention;
pub use self::schema::TableInfo;
pub use self::shipper::Shipper;
pub use self::signing::{PublicKey, SigningKey, public_beside};
pub use self::store::{Connection, Store, StoreConfig, StoreUrl, Variables};
pub use self::verify::{Deleted, Fault, HEAD_DIGITS_MIN, Held, Progress, Proof, Unsealed, Verification, verify};
pub use self::writer::Writer;

/// `[log]`, and `[privacy].key_file`, which the intake journal is encrypted under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The folder: of the log, or of what waits for the store.
    pub path: PathBuf,
    /// Where the log lies, if not in the folder.
    pub store: Option<StoreConfig>,
    /// What an acknowledged statement survives.
    pub durability: Durability,
    /// What happens when the journal cannot be written.
    pub when_unwritable: WhenUnwritable,
    /// How long records may stay in the journal before they are sealed into Parquet.
    pub flush: Duration,
    /// How long records are kept.
    pub retention: Retention,
    /// 32 bytes, hexadecimal; made, with mode 0600, where it does not exist.
    pub key_file: PathBuf,
    /// Ed25519, PEM; made, with mode 0600, where it does not exist, its public half beside it as `.pub`.
    pub signing_key: PathBuf,
}

impl Config {
    /// Where the log lies, for people.
    pub fn shown(&self) -> String {
        self.store.as_ref().map_or_else(|| self.path.display().to_string(), |store| store.url.to_string())
    }
}

/// `[log].durability`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// A clean stop. For now the same as `Process`, which costs no system call either.
    Relaxed,
    /// The process killed at any instant.
    #[default]
    Process,
    /// The machine losing power.
    Disk,
}

/// `[log].when_unwritable`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenUnwritable {
    /// Stop reading from clients until it can be written again.
    #[default]
    Block,
    /// Let them through and record the gap.
    Pass,
}
