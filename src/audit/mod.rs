//! The log: intake journal → record journal → Parquet, and the reader of them all.
//!
//! In: events (from the data plane) and records (from `analysis`). Out: files under `[log].path` as the contract
//! lays them out. Nothing a client was told is lost when the process is killed at any instant.

use std::path::PathBuf;
use std::time::Duration;

/// `[log]`, and `[privacy].key_file`, which the intake journal is encrypted under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The folder.
    pub path: PathBuf,
    /// What an acknowledged statement survives.
    pub durability: Durability,
    /// What happens when the journal cannot be written.
    pub when_unwritable: WhenUnwritable,
    /// How long records may stay in the journal before they are sealed into Parquet.
    pub flush: Duration,
    /// 32 bytes, hexadecimal; made, with mode 0600, where it does not exist.
    pub key_file: PathBuf,
}

/// `[log].durability`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// A clean stop.
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
