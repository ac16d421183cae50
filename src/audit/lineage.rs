//! Where classified columns went, as the analysis remembers it over a restart: one small file a writer, replaced as a whole.
//!
//! In: bytes. Out: those of every writer of this log. What is in them is the analysis's business; they hold names only.

use std::fs;
use std::path::Path;

use super::{Error, folder};
use crate::system;

/// The longest file that is read, bytes.
const FILE_BYTES_MAX: u64 = 64 << 20;
const FILE: &str = "lineage.json";

/// Replaces a writer's file.
pub(super) fn keep(log: &Path, writer: &str, bytes: &[u8]) -> Result<(), Error> {
    let journal = folder::journal(log, writer);
    folder::create(&journal)?;
    let path = journal.join(FILE);
    system::put(&path, bytes).map_err(Error::io("write", &path))
}

/// Every writer's.
pub(super) fn kept(log: &Path) -> Result<Vec<Vec<u8>>, Error> {
    let journals = folder::journals(log);
    let mut files = Vec::new();
    for writer in folder::names(&journals)? {
        let path = journals.join(writer).join(FILE);
        if fs::metadata(&path).is_ok_and(|file| file.len() <= FILE_BYTES_MAX) {
            files.push(fs::read(&path).map_err(Error::io("read", &path))?);
        }
    }
    Ok(files)
}
