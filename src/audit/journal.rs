//! The record journal: records that are not in Parquet yet, and the checkpoint that goes with them.
//!
//! In: batches of records and a checkpoint, written by one system call. Out: the batches that were committed. A batch
//! counts only where a valid commit follows it, so that a crash leaves all of a commit or nothing.
//!
//! ```text
//! file    magic[8] version:u32 0:u32                                                    LOG/journal/<writer>/records/
//! frame   marker[4] length:u32 crc32:u32 kind:u32 payload[length] padding to 8          <number>.log
//! batch   name_length:u32 table's name, Arrow IPC stream of one batch
//! commit  postcard of `Commit`
//! ```

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use serde::{Deserialize, Serialize};

use super::{Error, Position, folder, schema};
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
/// Room for the next commit's bytes that is kept from the last, bytes.
const ROOM_BYTES_KEPT: usize = 8 << 20;

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

/// What a journal's file holds.
#[derive(Debug, Default)]
pub struct Contents {
    /// Committed batches, in order, by table.
    pub batches: Vec<(&'static str, RecordBatch)>,
    /// The last commit.
    pub last: Option<Commit>,
    /// Where the last commit ends; 0 where not even the file's header is whole.
    pub committed_bytes: u64,
    /// Whether something before that end is neither a batch nor a commit.
    pub damaged: bool,
}

/// One frame, as found.
struct Frame<'a> {
    kind: u32,
    payload: &'a [u8],
    next: usize,
}

/// Reads a journal's file. One that vanishes meanwhile (it was sealed) is empty.
///
/// # Errors
/// The file cannot be read, or a batch whose checksum is right cannot be decoded.
pub fn read(path: &Path) -> Result<Contents, Error> {
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Contents::default()),
        bytes => bytes.map_err(Error::io("read", path))?,
    };
    parse(&bytes)
}

fn parse(bytes: &[u8]) -> Result<Contents, Error> {
    let mut contents = Contents::default();
    if bytes.get(..FILE_HEADER_BYTES) != Some(file_header().as_slice()) {
        contents.damaged = bytes.len() >= FILE_HEADER_BYTES;
        if !contents.damaged {
            return Ok(contents);
        }
    } else {
        contents.committed_bytes = FILE_HEADER_BYTES as u64;
    }
    let mut pending: Vec<&[u8]> = Vec::new();
    let (mut offset, mut skipped) = (FILE_HEADER_BYTES, false);
    while offset < bytes.len() {
        let Some(frame) = frame(bytes, offset) else {
            skipped = true;
            offset += ALIGNMENT;
            continue;
        };
        offset = frame.next;
        if frame.kind != KIND_COMMIT {
            pending.push(frame.payload);
            continue;
        }
        let Ok(commit) = postcard::from_bytes::<Commit>(frame.payload) else { continue };
        for payload in pending.drain(..) {
            decode_batch(payload, &mut contents.batches)?;
        }
        contents.last = Some(commit);
        contents.committed_bytes = offset as u64;
        contents.damaged |= skipped;
    }
    Ok(contents)
}

fn file_header() -> [u8; FILE_HEADER_BYTES] {
    let mut header = [0; FILE_HEADER_BYTES];
    header[..8].copy_from_slice(&MAGIC);
    header[8..12].copy_from_slice(&VERSION.to_le_bytes());
    header
}

fn frame(bytes: &[u8], offset: usize) -> Option<Frame<'_>> {
    let rest = bytes.get(offset..)?;
    let word = |at: usize| Some(u32::from_le_bytes(*rest.get(at..)?.first_chunk()?));
    if rest.get(..4)? != MARKER {
        return None;
    }
    let (length, kind) = (usize::try_from(word(4)?).ok()?, word(12)?);
    let end = FRAME_HEADER_BYTES.checked_add(length)?;
    let payload = rest.get(FRAME_HEADER_BYTES..end)?;
    if word(8)? != crc32fast::hash(&rest[12..end]) || !matches!(kind, KIND_BATCH | KIND_COMMIT) {
        return None;
    }
    // Its padding is a part of it: the next frame begins at a multiple of the alignment or is not found.
    let whole = end.next_multiple_of(ALIGNMENT);
    (rest.len() >= whole).then_some(Frame { kind, payload, next: offset + whole })
}

fn decode_batch(payload: &[u8], batches: &mut Vec<(&'static str, RecordBatch)>) -> Result<(), Error> {
    let name = payload.split_first_chunk::<4>().and_then(|(length, rest)| {
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        rest.split_at_checked(length)
    });
    let Some((name, stream)) = name else { return Ok(()) };
    // A table of a later version is left alone.
    let Some(table) = schema::tables().iter().find(|table| table.name.as_bytes() == name) else { return Ok(()) };
    for batch in StreamReader::try_new(stream, None)? {
        batches.push((table.name, schema::conform(&batch?, &table.schema)?));
    }
    Ok(())
}

/// The last commit of a writer, whichever of its journal's files holds it.
///
/// # Errors
/// A file cannot be read.
pub fn last_commit(folder: &Path) -> Result<Option<Commit>, Error> {
    for (_, path) in folder::numbered(folder, EXTENSION)?.into_iter().rev() {
        if let Some(commit) = read(&path)?.last {
            return Ok(Some(commit));
        }
    }
    Ok(None)
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

    /// Appends batches and the commit that makes them count, by one write. On failure the file is as before.
    ///
    /// # Errors
    /// The system refuses (a full disk), or a batch can't be encoded.
    pub fn commit(&mut self, batches: &[(&str, RecordBatch)], commit: &Commit, sync: bool) -> Result<(), Error> {
        let mut bytes = std::mem::take(&mut self.room);
        bytes.clear();
        let committed = self.append(&mut bytes, batches, commit, sync);
        if bytes.capacity() <= ROOM_BYTES_KEPT {
            self.room = bytes;
        }
        committed
    }

    fn append(
        &mut self,
        bytes: &mut Vec<u8>,
        batches: &[(&str, RecordBatch)],
        commit: &Commit,
        sync: bool,
    ) -> Result<(), Error> {
        for (table, batch) in batches {
            push_batch(bytes, table, batch)?;
        }
        push_commit(bytes, commit)?;
        let written = self.write(bytes, sync);
        self.torn = written.is_err();
        if self.torn {
            self.torn = system::cut(&self.file, &self.path, self.bytes).is_err();
        } else {
            self.bytes += bytes.len() as u64;
        }
        written.map_err(Error::io("write", &self.path))
    }

    fn write(&mut self, bytes: &[u8], sync: bool) -> io::Result<()> {
        if self.torn {
            system::cut(&self.file, &self.path, self.bytes)?;
        }
        system::write_at(&self.file, &self.path, bytes, self.bytes)?;
        if sync { system::sync(&self.file, &self.path) } else { Ok(()) }
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

fn push_batch(bytes: &mut Vec<u8>, table: &str, batch: &RecordBatch) -> Result<(), Error> {
    push_frame(bytes, KIND_BATCH, |bytes| {
        bytes.extend_from_slice(&u32::try_from(table.len()).unwrap_or_default().to_le_bytes());
        bytes.extend_from_slice(table.as_bytes());
        let mut writer = StreamWriter::try_new(bytes, batch.schema_ref())?;
        writer.write(batch)?;
        writer.finish()?;
        Ok(())
    })
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
    let too_long = || arrow::error::ArrowError::InvalidArgumentError("a batch is longer than 4 GiB".to_owned());
    let length = u32::try_from(bytes.len() - start - FRAME_HEADER_BYTES).map_err(|_| too_long())?;
    let checksum = crc32fast::hash(&bytes[start + 12..]);
    bytes[start + 4..start + 8].copy_from_slice(&length.to_le_bytes());
    bytes[start + 8..start + 12].copy_from_slice(&checksum.to_le_bytes());
    bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
    Ok(())
}
