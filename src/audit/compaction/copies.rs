//! Copies of sources, one behind the other in a file that has no name, to be decoded several times.
//!
//! In: files of the log, as the chain tells of them. Out: what lies in each, read by its place. What is hashed on the way is what is decoded: a
//! source whose bytes are not those that were sealed is refused, and what becomes of it later changes nothing.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use ::parquet::errors::Result;
use ::parquet::file::reader::{ChunkReader, Length};
use bytes::Bytes;

use super::merge::Of;
use crate::audit::chain::Sealed;
use crate::audit::{Error, folder};
use crate::system;

/// The file that they lie in: as long as all of them in the end.
pub(super) struct Copies {
    beside: PathBuf,
    file: Arc<File>,
    end: u64,
}

/// One of them. It stays as it is, whatever is copied behind it.
#[derive(Clone)]
pub(super) struct Copy {
    file: Arc<File>,
    at: u64,
    bytes: u64,
}

impl Copies {
    /// None yet.
    ///
    /// # Errors
    /// The system refuses.
    pub(super) fn new(of: Of<'_>) -> std::result::Result<Copies, Error> {
        let beside = folder::journal(of.log, of.writer);
        let file = system::unnamed(&beside).map_err(Error::io("create a file in", &beside))?;
        Ok(Copies { beside, file: Arc::new(file), end: 0 })
    }

    /// One more.
    ///
    /// # Errors
    /// It is not there, or not as it was sealed; or the system or the store refuses.
    pub(super) fn copy(&mut self, of: Of<'_>, file: &Sealed) -> std::result::Result<Copy, Error> {
        let damaged = |what: &str| {
            let what = format!("{what} since it was sealed, and is left as it is; `mitsuke verify` tells more");
            Error::Damaged { path: path(of, file), what }
        };
        let sha256 = of.place.copy(&file.path, &self.file, &self.beside)?;
        match sha256 {
            None => return Err(damaged("it was removed")),
            Some(sha256) if sha256 != file.sha256 => return Err(damaged("it was altered")),
            Some(_) => {}
        }
        let copy = Copy { file: Arc::clone(&self.file), at: self.end, bytes: file.bytes };
        self.end += file.bytes;
        Ok(copy)
    }
}

/// Where a source lies, for people.
pub(super) fn path(of: Of<'_>, file: &Sealed) -> PathBuf {
    match of.place.store() {
        None => of.log.join(&file.path),
        Some(store) => PathBuf::from(format!("{}/{}", store.url(), file.path)),
    }
}

impl Length for Copy {
    fn len(&self) -> u64 {
        self.bytes
    }
}

impl ChunkReader for Copy {
    type T = BufReader<From>;

    fn get_read(&self, start: u64) -> Result<BufReader<From>> {
        let left = self.bytes.saturating_sub(start);
        Ok(BufReader::new(From { file: Arc::clone(&self.file), at: self.at.saturating_add(start), left }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        if start.saturating_add(length as u64) > self.bytes {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, self.at + start)?;
        Ok(Bytes::from(bytes))
    }
}

/// Reads on from a place, to the end of the copy.
pub(super) struct From {
    file: Arc<File>,
    at: u64,
    left: u64,
}

impl Read for From {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(into.len());
        let count = self.file.read_at(&mut into[..most], self.at)?;
        self.at += count as u64;
        self.left -= count as u64;
        Ok(count)
    }
}
