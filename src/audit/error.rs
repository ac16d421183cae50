//! What can go wrong with the log. No error carries a value, a literal or a key.

use std::io;
use std::path::{Path, PathBuf};

/// The log cannot be opened, read or written. Each says all there is to say: none has a source besides.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refused.
    #[error("cannot {what} {}: {cause}", path.display())]
    Io {
        /// A verb phrase, without its object: "create", "write".
        what: &'static str,
        /// Its object.
        path: PathBuf,
        /// The system's answer.
        cause: io::Error,
    },
    /// A store refused, or did not answer.
    #[error("cannot {what} {at}: {cause}")]
    Store {
        /// A verb: "read", "write", "list".
        what: &'static str,
        /// Its object, with its store.
        at: String,
        /// The store's answer, without credentials.
        cause: String,
    },
    /// What lies in a store under a writer's name is not what this spool has put there.
    #[error(
        "{store} has another chain of the writer {writer} than {}: another sidecar has its name, or the spool is a copy; \
         what waits stays in the spool; give each sidecar an empty folder of its own as [log].spool",
        spool.display()
    )]
    Taken {
        /// The store.
        store: String,
        /// The writer.
        writer: String,
        /// The folder.
        spool: PathBuf,
    },
    /// A folder waits for another store.
    #[error("{} holds what waits for {theirs}, not for {ours}; give another folder as [log].spool", spool.display())]
    OtherStore {
        /// The folder.
        spool: PathBuf,
        /// Its store.
        theirs: String,
        /// The store that is configured.
        ours: String,
    },
    /// A log in a store is compacted where it is written.
    #[error(
        "{} is no spool of {store}: its files are compacted on the machine whose sidecar wrote them, with its [log].spool and [log].signing_key",
        spool.display()
    )]
    NotItsSpool {
        /// The store.
        store: String,
        /// The folder.
        spool: PathBuf,
    },
    /// A compaction is not all in its store yet.
    #[error(
        "the last compaction of {} is not all in {store} yet, or its sources cannot be put aside there; no other begins before; \
         see that whoever writes there may list, read, put, copy and delete, and try again",
        spool.display()
    )]
    NotSettled {
        /// The store.
        store: String,
        /// The folder.
        spool: PathBuf,
    },
    /// More waits for the store than may.
    #[error(
        "{} holds {waiting} bytes that wait for the store, more than [log].spool_mib_max allows; have the store mended, or allow more",
        spool.display()
    )]
    SpoolFull {
        /// The folder.
        spool: PathBuf,
        /// What waits in it, bytes.
        waiting: u64,
    },
    /// The folder holds nothing of a log.
    #[error("{} is not a log: it has neither a journal nor tables; give the folder of [log].path with --log", .0.display())]
    NotALog(PathBuf),
    /// The key file holds something else.
    #[error("{} is not a key file: it must hold 64 hexadecimal digits; restore it, or name another as [privacy].key_file", .0.display())]
    NotAKey(PathBuf),
    /// The signing key's file holds something else.
    #[error(
        "{} is not an Ed25519 key in PEM; restore it, or make one with `openssl genpkey -algorithm ed25519` and name it as [log].signing_key",
        .0.display()
    )]
    NotASigningKey(PathBuf),
    /// The journal was written under another key.
    #[error("{} was written under another key; give the key file it was written with as [privacy].key_file", .0.display())]
    WrongKey(PathBuf),
    /// Every name this sidecar could take is taken.
    #[error("{} sidecars of this host write {} already; give this one another [log].path", .1, .0.display())]
    NoWriter(PathBuf, usize),
    /// A file of the log is not what it should be.
    #[error("{} is damaged: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// Records were appended out of their numbers' order, or not at all after they were numbered.
    #[error("the numbers of {table} have a gap: {found} follows {expected} - 1")]
    SequenceGap {
        /// The table.
        table: &'static str,
        /// The number that should have come.
        expected: u64,
        /// The number that came.
        found: u64,
    },
    /// A batch could not be built, encoded or decoded.
    #[error("cannot encode or decode records: {0}")]
    Arrow(arrow::error::ArrowError),
    /// A Parquet file could not be written or read.
    #[error("{}: {cause}", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: ::parquet::errors::ParquetError,
    },
    /// A checkpoint could not be encoded.
    #[error("cannot encode a checkpoint: {0}")]
    Checkpoint(postcard::Error),
}

impl Error {
    /// For `map_err`: what was tried, on what.
    pub(super) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
        let path = path.to_path_buf();
        move |cause| Error::Io { what, path, cause }
    }

    /// For `map_err`: the Parquet file.
    pub(super) fn parquet(path: &Path) -> impl FnOnce(::parquet::errors::ParquetError) -> Error {
        let path = path.to_path_buf();
        move |cause| Error::Parquet { path, cause }
    }
}

impl From<arrow::error::ArrowError> for Error {
    fn from(error: arrow::error::ArrowError) -> Error {
        Error::Arrow(error)
    }
}

/// The intake journal took nothing, or not all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the intake journal cannot be written: {reason}")]
pub struct Unwritable {
    /// Why.
    pub reason: UnwritableReason,
}

/// Why the intake journal took nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnwritableReason {
    /// The analysis is [`super::intake::SEGMENTS_MAX`] segments behind. Passes by itself.
    #[error("the analysis is too far behind")]
    Backlog,
    /// The system refused a new segment (a full disk, mostly). Passes when the cause does.
    #[error("the system refused: {0}")]
    System(io::ErrorKind),
    /// One event is longer than a segment. Never passes: give the session up.
    #[error("an event is longer than a journal segment")]
    TooLong,
}

impl UnwritableReason {
    /// Whether trying again later makes sense.
    pub fn may_pass(self) -> bool {
        !matches!(self, UnwritableReason::TooLong)
    }
}
