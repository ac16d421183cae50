//! The record journal: records that are not in Parquet yet, and the checkpoint that goes with them.
//!
//! In: batches of records and a checkpoint. Out: the batches that were committed (`journal::reading`). A batch counts only where a valid
//! commit follows it, so that a crash leaves all of a commit or nothing.
//!
//! ```text
//! file    magic[8] version:u32 0:u32                                                    LOG/journal/<writer>/records/
//! frame   marker[4] length:u32 crc32:u32 kind:u32 payload[length] padding to 8          <number>.log
//! batch   name_length:u32 table's name, Arrow IPC stream of one batch
//! apart   name_length:u32 table's name, length:u32 of the stream of one row: columns in which all rows are the same; that of the others
//! commit  postcard of `Commit`
//! ```

mod reading;

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use serde::{Deserialize, Serialize};

pub use self::reading::{Lies, Reader, last_commit, read};
use super::schema::Part;
use super::{Error, Position, folder};
use crate::system;

/// The extension of a journal's file.
pub const EXTENSION: &str = "log";

/// The extension of one that was damaged, for a person to look at.
pub const DAMAGED: &str = "damaged";

const MAGIC: [u8; 8] = *b"mitsukeR";
const VERSION: u32 = 1;
const FILE_HEADER_BYTES: usize = 16;
const FRAME_HEADER_BYTES: usize = 16;
const ALIGNMENT: usize = 8;
const MARKER: [u8; 4] = *b"mFr1";
const KIND_BATCH: u32 = 1;
const KIND_COMMIT: u32 = 2;
const KIND_APART: u32 = 3;
/// What is written at a time, once it is so long, bytes.
const WRITTEN_BYTES: usize = 256 << 10;
/// Room for the next commit's bytes that is kept from the last, bytes.
const ROOM_BYTES_KEPT: usize = 2 << 20;

/// How far the analysis has come, kept with the records it made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The first event that a restart must see again. Everything before it is removed from the intake journal, so
    /// nothing old may hold it back for long: what outlives a few seconds (an open session, a running statement) belongs
    /// into `state`.
    pub replay_from: Position,
    /// The last event whose records are in the log: replaying it must not log them again.
    pub emitted_through: Position,
    /// What the analysis has to remember, in its own encoding. May hold nothing raw: it lies here in clear.
    pub state: Vec<u8>,
}

/// What a commit frame holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// `None` before the first.
    pub checkpoint: Option<Checkpoint>,
    /// The last number given, by table.
    pub last_seqs: Vec<(String, u64)>,
}

fn file_header() -> [u8; FILE_HEADER_BYTES] {
    let mut header = [0; FILE_HEADER_BYTES];
    header[..8].copy_from_slice(&MAGIC);
    header[8..12].copy_from_slice(&VERSION.to_le_bytes());
    header
}

/// The writing end of one journal's file.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    number: u64,
    file: File,
    /// Where the last commit ends.
    bytes: u64,
    /// Whether a failed commit may have left something behind that end.
    torn: bool,
    /// Room for the bytes of a commit.
    room: Vec<u8>,
}

impl Journal {
    /// Begins a file with a commit, so that the checkpoint outlives the file before it. It appears under its name
    /// when it is whole and on the disk.
    ///
    /// # Errors
    /// The system refuses.
    pub fn create(folder: &Path, number: u64, commit: &Commit) -> Result<Journal, Error> {
        let path = folder::number(folder, number, EXTENSION);
        let unfinished = path.with_extension("unfinished");
        let mut bytes = file_header().to_vec();
        push_commit(&mut bytes, commit)?;
        let open = || system::open(OpenOptions::new().create(true).truncate(true).write(true), &unfinished);
        let file = open().map_err(Error::io("create", &unfinished))?;
        let written = system::write(&file, &unfinished, &bytes).and_then(|()| system::sync(&file, &unfinished));
        written.and_then(|()| system::rename(&unfinished, &path)).map_err(|error| {
            let _ = system::remove(&unfinished);
            Error::io("write", &path)(error)
        })?;
        folder::sync(folder)?;
        Ok(Journal { path, number, file, bytes: bytes.len() as u64, torn: false, room: Vec::new() })
    }

    /// Goes on with a file where its last commit ends; what a crash left behind it is cut off.
    ///
    /// # Errors
    /// The system refuses.
    pub fn resume(path: &Path, number: u64, committed_bytes: u64) -> Result<Journal, Error> {
        let file = system::open(OpenOptions::new().write(true), path).map_err(Error::io("open", path))?;
        system::cut(&file, path, committed_bytes).map_err(Error::io("cut off the torn end of", path))?;
        Ok(Journal { path: path.to_path_buf(), number, file, bytes: committed_bytes, torn: false, room: Vec::new() })
    }

    /// Appends batches and the commit that makes them count; of the batches, one is held at a time. On failure the file is as before.
    ///
    /// # Errors
    /// The system refuses (a full disk), or a batch can't be encoded.
    pub fn commit(
        &mut self,
        batches: impl Iterator<Item = Result<(&'static str, Part), Error>>,
        commit: &Commit,
        sync: bool,
    ) -> Result<(), Error> {
        let mut bytes = std::mem::take(&mut self.room);
        bytes.clear();
        let appended = self.append(&mut bytes, batches, commit, sync);
        if bytes.capacity() <= ROOM_BYTES_KEPT {
            self.room = bytes;
        }
        match appended {
            Ok(end) => self.bytes = end,
            Err(_) => self.torn = system::cut(&self.file, &self.path, self.bytes).is_err(),
        }
        appended.map(|_| ())
    }

    /// Where it ends then.
    fn append(
        &mut self,
        bytes: &mut Vec<u8>,
        batches: impl Iterator<Item = Result<(&'static str, Part), Error>>,
        commit: &Commit,
        sync: bool,
    ) -> Result<u64, Error> {
        if self.torn {
            system::cut(&self.file, &self.path, self.bytes).map_err(Error::io("write", &self.path))?;
            self.torn = false;
        }
        let mut end = self.bytes;
        for batch in batches {
            let (table, part) = batch?;
            push_part(bytes, table, &part)?;
            if bytes.len() >= WRITTEN_BYTES {
                end = self.write(bytes, end)?;
                bytes.clear();
            }
        }
        push_commit(bytes, commit)?;
        end = self.write(bytes, end)?;
        if sync {
            system::sync(&self.file, &self.path).map_err(Error::io("write", &self.path))?;
        }
        Ok(end)
    }

    fn write(&self, bytes: &[u8], at: u64) -> Result<u64, Error> {
        system::write_at(&self.file, &self.path, bytes, at).map_err(Error::io("write", &self.path))?;
        Ok(at + bytes.len() as u64)
    }

    /// Its length, bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Its number among its writer's.
    pub fn number(&self) -> u64 {
        self.number
    }
}

fn push_part(bytes: &mut Vec<u8>, table: &str, part: &Part) -> Result<(), Error> {
    let push_name = |bytes: &mut Vec<u8>| {
        bytes.extend_from_slice(&u32::try_from(table.len()).unwrap_or_default().to_le_bytes());
        bytes.extend_from_slice(table.as_bytes());
    };
    match part {
        Part::Whole(batch) => push_frame(bytes, KIND_BATCH, |bytes| {
            push_name(bytes);
            push_stream(bytes, batch)
        }),
        Part::Apart(once, each) => push_frame(bytes, KIND_APART, |bytes| {
            push_name(bytes);
            let at = bytes.len();
            bytes.extend_from_slice(&[0; 4]);
            push_stream(bytes, once)?;
            let length = u32::try_from(bytes.len() - at - 4).map_err(|_| too_long())?;
            bytes[at..at + 4].copy_from_slice(&length.to_le_bytes());
            push_stream(bytes, each)
        }),
    }
}

fn push_stream(bytes: &mut Vec<u8>, batch: &RecordBatch) -> Result<(), Error> {
    let mut writer = StreamWriter::try_new(bytes, batch.schema_ref())?;
    writer.write(batch)?;
    Ok(writer.finish()?)
}

fn too_long() -> ArrowError {
    ArrowError::InvalidArgumentError("a batch is longer than 4 GiB".to_owned())
}

fn push_commit(bytes: &mut Vec<u8>, commit: &Commit) -> Result<(), Error> {
    push_frame(bytes, KIND_COMMIT, |bytes| {
        bytes.extend_from_slice(&postcard::to_stdvec(commit).map_err(Error::Checkpoint)?);
        Ok(())
    })
}

/// A frame whose payload is written where it stays.
fn push_frame(
    bytes: &mut Vec<u8>,
    kind: u32,
    payload: impl FnOnce(&mut Vec<u8>) -> Result<(), Error>,
) -> Result<(), Error> {
    let start = bytes.len();
    bytes.extend_from_slice(&MARKER);
    bytes.extend_from_slice(&[0; 8]);
    bytes.extend_from_slice(&kind.to_le_bytes());
    payload(bytes)?;
    let length = u32::try_from(bytes.len() - start - FRAME_HEADER_BYTES).map_err(|_| too_long())?;
    let checksum = crc32fast::hash(&bytes[start + 12..]);
    bytes[start + 4..start + 8].copy_from_slice(&length.to_le_bytes());
    bytes[start + 8..start + 12].copy_from_slice(&checksum.to_le_bytes());
    bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::schema;
    use super::reading::Contents;
    use super::*;
    use crate::record::{Kind, Statement};

    fn records(rows: u64) -> Vec<Statement> {
        let of = |number| Statement {
            statement_no: number,
            kind: Some(Kind::Select),
            db_user: Some(if number.is_multiple_of(3) { "clerk" } else { "batch" }.into()),
            ..Statement::default()
        };
        (0..rows).map(of).collect()
    }

    fn journal(path: &Path, frames: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = file_header().to_vec();
        frames(&mut bytes);
        push_commit(&mut bytes, &Commit::default()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    #[test]
    fn a_batch_that_an_earlier_version_left_is_read_as_one_of_today() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1.log");
        let batch = schema::encode(&records(200)).unwrap();
        journal(&path, |bytes| {
            push_frame(bytes, KIND_BATCH, |bytes| {
                bytes.extend_from_slice(&10_u32.to_le_bytes());
                bytes.extend_from_slice(b"statements");
                push_stream(bytes, &batch)
            })
            .unwrap();
            let whole = bytes.len();
            push_part(bytes, "statements", &Part::of(&records(200)).unwrap()).unwrap();
            assert!(
                (bytes.len() - whole) * 3 < whole,
                "what all rows have is there once: {} of {whole}",
                bytes.len() - whole
            );
        });
        let Contents { batches, damaged } = read(&path).unwrap();
        let read: Vec<_> = batches.iter().map(|(_, batch)| schema::decode::<Statement>(batch).unwrap()).collect();
        assert!(!damaged && read == [records(200), records(200)]);
    }

    #[test]
    fn a_length_that_cannot_be_is_no_batch_and_what_is_around_it_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1.log");
        let batch = schema::encode(&records(70)).unwrap();
        journal(&path, |bytes| {
            for length in [u32::MAX, 1 << 20] {
                push_frame(bytes, KIND_APART, |bytes| {
                    bytes.extend_from_slice(&10_u32.to_le_bytes());
                    bytes.extend_from_slice(b"statements");
                    bytes.extend_from_slice(&length.to_le_bytes());
                    push_stream(bytes, &batch)
                })
                .unwrap();
            }
            push_part(bytes, "statements", &Part::of(&records(70)).unwrap()).unwrap();
        });
        let rows: Vec<usize> = read(&path).unwrap().batches.iter().map(|(_, batch)| batch.num_rows()).collect();
        assert_eq!(rows, [70]);
    }
}
