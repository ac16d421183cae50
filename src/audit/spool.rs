//! The folder in which a log waits for its store: `[log].spool`.
//!
//! In: a configuration with a store. Out: whose folder it is, the name its writers begin with, and how far each writer's chain has gone
//! up. It is laid out as a log is: what waits in it is read, proven and found again after a crash as there. Refuses to serve two
//! stores.
//!
//! ```text
//! SPOOL/spool.json                   the store, and the name of the writers
//! SPOOL/upload.lock                  held by whoever takes things up
//! SPOOL/journal/<writer>/uploaded    the number of the last line of its chain that is in the store
//! SPOOL/journal/<writer>/replaced    the numbers of the last lines whose compactions' sources are put aside there, and removed
//! ```

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::key::{hex, random};
use super::{Config, Error, folder};
use crate::clock::Timestamp;
use crate::system;

const FILE: &str = "spool.json";
const LOCK: &str = "upload.lock";
const UPLOADED: &str = "uploaded";
const REPLACED: &str = "replaced";

/// What a spool says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Spool {
    store: String,
    /// Hosts may have the same name, and a host that comes back without its spool must not go on with a chain that it does not have.
    writer: String,
}

fn read(path: &Path) -> Result<Option<Spool>, Error> {
    let file = path.join(FILE);
    let text = match fs::read_to_string(&file) {
        // Where the folder itself is none, making it says so.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        text => text.map_err(Error::io("read", &file))?,
    };
    let damaged = |error: serde_json::Error| Error::Damaged { path: file.clone(), what: error.to_string() };
    serde_json::from_str(&text).map(Some).map_err(damaged)
}

/// Makes a folder the spool of a store, if it is none yet. A log's folder becomes one with all that is in it. Without a store, nothing.
///
/// # Errors
/// It is another store's, or cannot be written.
pub(super) fn prepare(config: &Config, host: &str) -> Result<(), Error> {
    let Some(store) = &config.store else { return Ok(()) };
    let ours = store.url.to_string();
    if let Some(Spool { store: theirs, .. }) = read(&config.path)? {
        let spool = config.path.clone();
        return if theirs == ours { Ok(()) } else { Err(Error::OtherStore { spool, theirs, ours }) };
    }
    let file = config.path.join(FILE);
    let is_known = folder::journal(&config.path, host).is_dir();
    let mark = hex(&random::<4>().map_err(Error::io("make a name for", &file))?);
    let writer = if is_known { host.to_owned() } else { format!("{host}-{mark}") };
    let text = serde_json::to_string(&Spool { store: ours, writer })
        .map_err(|error| Error::io("write", &file)(error.into()))?;
    folder::put_new(&file, format!("{text}\n").as_bytes(), 0o644)
}

/// What the names of a folder's writers begin with, where it is a spool.
///
/// # Errors
/// It cannot be read.
pub(super) fn writer(path: &Path) -> Result<Option<String>, Error> {
    Ok(read(path)?.map(|spool| spool.writer))
}

/// Whether a folder is the spool of the store that is configured.
pub(super) fn is_of(path: &Path, store: &str) -> bool {
    read(path).is_ok_and(|spool| spool.is_some_and(|spool| spool.store == store))
}

/// The number of the last line of a writer's chain that is in the store, and with it all that it tells of; 0: none.
pub(super) fn uploaded(path: &Path, writer: &str) -> u64 {
    let read = fs::read_to_string(folder::journal(path, writer).join(UPLOADED));
    read.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

/// Keeps that number, before anything is removed because of it.
///
/// # Errors
/// The system refuses.
pub(super) fn keep_uploaded(path: &Path, writer: &str, number: u64) -> Result<(), Error> {
    let journal = folder::journal(path, writer);
    folder::create(&journal)?;
    let kept = journal.join(UPLOADED);
    system::put(&kept, format!("{number}\n").as_bytes()).map_err(Error::io("write", &kept))
}

/// How far what compactions replaced is seen to in the store: the numbers of the last lines of a chain whose sources are put aside, and
/// removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SeenTo {
    pub aside: u64,
    pub removed: u64,
}

/// How far that is for a writer, and since when; nowhere where that was never kept.
pub(super) fn seen_to(path: &Path, writer: &str) -> (SeenTo, Option<Timestamp>) {
    let kept = folder::journal(path, writer).join(REPLACED);
    let text = fs::read_to_string(&kept).unwrap_or_default();
    let mut numbers = text.split_whitespace().map(|number| number.parse().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    let seen_to = SeenTo { aside: next(), removed: next() };
    (seen_to, fs::metadata(&kept).ok().map(|file| Timestamp(file.mtime().saturating_mul(1_000_000))))
}

/// Keeps that.
///
/// # Errors
/// The system refuses.
pub(super) fn keep_seen_to(path: &Path, writer: &str, SeenTo { aside, removed }: SeenTo) -> Result<(), Error> {
    let kept = folder::journal(path, writer).join(REPLACED);
    system::put(&kept, format!("{aside} {removed}\n").as_bytes()).map_err(Error::io("write", &kept))
}

/// The right to take things up; `None` while another process has it.
///
/// # Errors
/// The system refuses.
pub(super) fn lock(path: &Path) -> Result<Option<File>, Error> {
    let file = path.join(LOCK);
    let lock = OpenOptions::new().create(true).append(true).open(&file).map_err(Error::io("open", &file))?;
    match lock.try_lock() {
        Ok(()) => Ok(Some(lock)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(Error::io("lock", &file)(error)),
    }
}

/// What a command that reads may have made here.
pub(super) fn files(path: &Path, writer: &str) -> [PathBuf; 4] {
    let journal = folder::journal(path, writer);
    [path.join(FILE), path.join(LOCK), journal.join(UPLOADED), journal.join(REPLACED)]
}
