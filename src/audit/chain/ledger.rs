//! The files of a chain as its lines leave them, for who trusts them: their own writer.
//!
//! In: the lines, in order; nothing of them is proven here. Out: which files are there, since when their records are sealed, and which of the
//! deleted and replaced ones still lie in the folder. A chain grows for ever: of what is gone, nothing is held.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use super::{Line, Replaced, Sealed, Told, at, each_line, path};
use crate::audit::Error;
use crate::clock::Timestamp;

/// A file that is there.
#[derive(Clone, Debug)]
pub(in crate::audit) struct Standing {
    /// When the newest of its records were sealed: a compaction makes none of them younger.
    pub sealed_at: Timestamp,
    /// The line that tells of the file.
    pub number: u64,
    pub file: Sealed,
}

/// See the module.
#[derive(Debug, Default)]
pub(in crate::audit) struct Ledger {
    /// By path.
    pub there: BTreeMap<String, Standing>,
    /// Said to be deleted, and still there.
    pub deleted: Vec<Sealed>,
    /// By path: the hash of what another file replaces, and is still there.
    pub replaced: BTreeMap<String, String>,
    /// The key that signs the lines to come, as the chain has it.
    pub key: Option<String>,
    /// When each line that sealed a file was written.
    pub sealed_at: Vec<Timestamp>,
    /// The line of the last compaction; 0 where there is none.
    pub compacted: u64,
    log: PathBuf,
    /// What the last line that added a file did.
    last: Option<Added>,
}

#[derive(Debug)]
struct Added {
    number: u64,
    path: String,
    instead_of: Vec<Standing>,
}

impl Ledger {
    /// Reads a writer's chain in a folder.
    ///
    /// # Errors
    /// It cannot be read.
    pub(in crate::audit) fn read(log: &Path, writer: &str) -> Result<Ledger, Error> {
        let path = path(log, writer);
        let mut ledger = Ledger { log: log.to_path_buf(), ..Ledger::default() };
        let chain = File::open(&path).map_err(Error::io("read", &path))?;
        let take = |line: &str| {
            if let Some(line) = Line::parse(line) {
                ledger.take(line);
            }
        };
        each_line(chain, take).map_err(Error::io("read", &path))?;
        Ok(ledger)
    }

    /// A file that was sealed, and its line.
    pub(in crate::audit) fn add(&mut self, sealed_at: Timestamp, number: u64, file: Sealed) {
        self.sealed_at.push(sealed_at);
        self.there.insert(file.path.clone(), Standing { sealed_at, number, file });
    }

    fn take(&mut self, line: Line<'_>) {
        let Some(told_at) = at(&line.entry.at) else { return };
        let number = line.entry.number;
        match line.entry.told {
            Told::Sealed(file) => {
                self.last = Some(Added { number, path: file.path.clone(), instead_of: Vec::new() });
                self.add(told_at, number, file);
            }
            Told::Compacted { file, replaces } => {
                let instead_of: Vec<Standing> = replaces.iter().filter_map(|of| self.there.remove(&of.path)).collect();
                let still = replaces.into_iter().filter(|of| self.log.join(&of.path).exists());
                self.replaced.extend(still.map(|Replaced { path, sha256 }| (path, sha256)));
                let sealed_at = instead_of.iter().map(|of| of.sealed_at).max().unwrap_or(told_at);
                self.last = Some(Added { number, path: file.path.clone(), instead_of });
                self.there.insert(file.path.clone(), Standing { sealed_at, number, file });
                self.compacted = number;
            }
            Told::Withdrawn { number_withdrawn } => {
                if let Some(added) = self.last.take().filter(|added| added.number == number_withdrawn) {
                    self.there.remove(&added.path);
                    // The one before has been seen to, or this one would not have begun.
                    self.compacted = if self.compacted == number_withdrawn { 0 } else { self.compacted };
                    for standing in added.instead_of {
                        self.replaced.remove(&standing.file.path);
                        self.there.insert(standing.file.path.clone(), standing);
                    }
                }
            }
            Told::Deleted { file, .. } => {
                self.there.remove(&file.path);
                if self.log.join(&file.path).exists() {
                    self.deleted.push(file);
                }
            }
            Told::Opened { public_key, .. } | Told::Key { public_key } => self.key = Some(public_key),
            Told::Gap(_) | Told::Closed { .. } => {}
        }
    }
}
