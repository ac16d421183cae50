//! The reading end of a record journal: where its batches lie, and each of them when it is asked for.
//!
//! In: a journal's file, perhaps still written to. Out: what was committed to it by then. Of the file no more is held than a frame: who seals a
//! journal goes through it without having all of it in memory. Refuses nothing that is damaged: what is whole in it is found.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamDecoder;

use super::{
    ALIGNMENT, Commit, EXTENSION, FILE_HEADER_BYTES, FRAME_HEADER_BYTES, KIND_APART, KIND_BATCH, KIND_COMMIT, MARKER,
};
use crate::audit::schema::{self, TableInfo};
use crate::audit::{Error, folder};

/// What is read of a file at a time, at least, bytes.
const READ_BYTES: usize = 64 << 10;

/// What a journal's file holds.
#[derive(Debug, Default)]
pub struct Contents {
    /// Committed batches, in order, by table.
    pub batches: Vec<(&'static str, RecordBatch)>,
    /// Whether something before the end of the last commit is neither a batch nor a commit.
    pub damaged: bool,
}

/// The same, its batches left where they lie.
#[derive(Debug, Default)]
pub struct Scanned {
    /// Committed batches, in order.
    pub batches: Vec<Lies>,
    /// The last commit.
    pub last: Option<Commit>,
    /// Where the last commit ends; 0 where not even the file's header is whole.
    pub committed_bytes: u64,
    /// Whether something before that end is neither a batch nor a commit.
    pub damaged: bool,
}

/// Where a batch lies.
#[derive(Clone, Debug)]
pub struct Lies {
    /// Its table.
    pub table: &'static TableInfo,
    /// The length of its Arrow IPC streams.
    pub bytes: usize,
    /// Of that, what all of its rows have, as one row; 0 where each has all.
    once: usize,
    at: u64,
}

/// A journal's file, to read.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    file: File,
    length: u64,
    /// Bytes of the file, from `from` on.
    window: Vec<u8>,
    from: u64,
}

/// One frame, as found.
struct Frame<'a> {
    kind: u32,
    payload: &'a [u8],
    next: u64,
}

/// Reads a journal's file. One that vanishes meanwhile (it was sealed) is empty.
///
/// # Errors
/// The file cannot be read, or a batch whose checksum is right cannot be decoded.
pub fn read(path: &Path) -> Result<Contents, Error> {
    let Some(mut reader) = Reader::open(path)? else { return Ok(Contents::default()) };
    let Scanned { batches, damaged, .. } = reader.scan()?;
    let batches = batches.iter().map(|lies| Ok((lies.table.name, reader.batch(lies)?)));
    Ok(Contents { batches: batches.collect::<Result<_, Error>>()?, damaged })
}

/// The last commit of a writer, whichever of its journal's files holds it.
///
/// # Errors
/// A file cannot be read.
pub fn last_commit(folder: &Path) -> Result<Option<Commit>, Error> {
    for (_, path) in folder::numbered(folder, EXTENSION)?.into_iter().rev() {
        if let Some(mut reader) = Reader::open(&path)?
            && let Some(commit) = reader.scan()?.last
        {
            return Ok(Some(commit));
        }
    }
    Ok(None)
}

impl Reader {
    /// Opens a file, as long as it is now; `None` where there is none.
    ///
    /// # Errors
    /// The system refuses.
    pub fn open(path: &Path) -> Result<Option<Reader>, Error> {
        let opened = File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
        match opened {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            opened => {
                let (length, file) = opened.map_err(Error::io("read", path))?;
                Ok(Some(Reader { path: path.to_path_buf(), file, length, window: Vec::new(), from: 0 }))
            }
        }
    }

    /// Goes through the file once.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn scan(&mut self) -> Result<Scanned, Error> {
        let mut scanned = Scanned::default();
        if self.bytes(0, FILE_HEADER_BYTES)? == Some(super::file_header().as_slice()) {
            scanned.committed_bytes = FILE_HEADER_BYTES as u64;
        } else {
            scanned.damaged = self.length >= FILE_HEADER_BYTES as u64;
            if !scanned.damaged {
                return Ok(scanned);
            }
        }
        let mut pending: Vec<Lies> = Vec::new();
        let (mut offset, mut skipped) = (FILE_HEADER_BYTES as u64, false);
        while offset < self.length {
            let at = offset;
            let Some(frame) = self.frame(at)? else {
                skipped = true;
                offset += ALIGNMENT as u64;
                continue;
            };
            offset = frame.next;
            if frame.kind != KIND_COMMIT {
                pending.extend(lies(at, frame.kind, frame.payload));
                continue;
            }
            let Ok(commit) = postcard::from_bytes::<Commit>(frame.payload) else { continue };
            scanned.batches.append(&mut pending);
            scanned.last = Some(commit);
            scanned.committed_bytes = offset;
            scanned.damaged |= skipped;
        }
        Ok(scanned)
    }

    /// A batch, with its table's columns.
    ///
    /// # Errors
    /// It cannot be read or decoded.
    pub fn batch(&mut self, lies: &Lies) -> Result<RecordBatch, Error> {
        self.columns(lies, &lies.table.schema)
    }

    /// Some of its columns, in this order, their texts as codes of a dictionary where those are.
    ///
    /// # Errors
    /// As [`Reader::batch`].
    pub fn columns(&mut self, lies: &Lies, columns: &SchemaRef) -> Result<RecordBatch, Error> {
        // The arrays lie in what is read.
        let streams = Buffer::from_vec(self.stream(lies)?);
        let once = match lies.once {
            0 => None,
            length => Some(decoded(streams.slice_with_length(0, length))?),
        };
        let each = decoded(streams.slice(lies.once))?;
        Ok(match once {
            None => schema::conform(&each, columns)?,
            once => schema::together(once.as_ref(), &each, columns)?,
        })
    }

    fn stream(&mut self, lies: &Lies) -> Result<Vec<u8>, Error> {
        let mut stream = Vec::with_capacity(lies.bytes);
        let read = self.file.seek(SeekFrom::Start(lies.at));
        let read = read.and_then(|_| (&self.file).take(lies.bytes as u64).read_to_end(&mut stream));
        if read.map_err(Error::io("read", &self.path))? < lies.bytes {
            let what = "it became shorter while it was read".to_owned();
            return Err(Error::Damaged { path: self.path.clone(), what });
        }
        Ok(stream)
    }

    fn frame(&mut self, at: u64) -> Result<Option<Frame<'_>>, Error> {
        let Some(header) = self.bytes(at, FRAME_HEADER_BYTES)? else { return Ok(None) };
        let word = |at: usize| header.get(at..)?.first_chunk().map(|word| u32::from_le_bytes(*word));
        let (marker, length, checksum, kind) = (header.get(..4), word(4), word(8), word(12));
        if marker != Some(MARKER.as_slice()) || !matches!(kind, Some(KIND_BATCH | KIND_APART | KIND_COMMIT)) {
            return Ok(None);
        }
        let (Some(length), Some(kind)) = (length.and_then(|length| usize::try_from(length).ok()), kind) else {
            return Ok(None);
        };
        let end = FRAME_HEADER_BYTES + length;
        // Its padding is a part of it: the next frame begins at a multiple of the alignment or is not found.
        let whole = end.next_multiple_of(ALIGNMENT);
        let Some(bytes) = self.bytes(at, whole)? else { return Ok(None) };
        let (Some(covered), Some(payload)) = (bytes.get(12..end), bytes.get(FRAME_HEADER_BYTES..end)) else {
            return Ok(None);
        };
        let is_right = checksum == Some(crc32fast::hash(covered));
        Ok(is_right.then_some(Frame { kind, payload, next: at + whole as u64 }))
    }

    /// Bytes of the file; `None` where it ends before them.
    fn bytes(&mut self, at: u64, length: usize) -> Result<Option<&[u8]>, Error> {
        let end = at.saturating_add(length as u64);
        if end > self.length {
            return Ok(None);
        }
        if at < self.from || end > self.from + self.window.len() as u64 {
            let rest = usize::try_from(self.length - at).unwrap_or(usize::MAX);
            self.window.resize(length.max(READ_BYTES).min(rest), 0);
            self.from = at;
            let read = self.file.read_exact_at(&mut self.window, at);
            if read.is_err() {
                self.window.clear();
            }
            match read {
                // What was torn is cut off meanwhile.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
                read => read.map_err(Error::io("read", &self.path))?,
            }
        }
        let start = usize::try_from(at - self.from).unwrap_or(usize::MAX);
        Ok(self.window.get(start..).and_then(|rest| rest.get(..length)))
    }
}

/// The batch of a stream.
fn decoded(mut stream: Buffer) -> Result<RecordBatch, ArrowError> {
    let mut decoder = StreamDecoder::new();
    let batch = decoder.decode(&mut stream)?;
    batch.ok_or_else(|| ArrowError::IpcError("a stream without a batch".to_owned()))
}

/// Where a frame's batch lies; `None` for a table of a later version, which is left alone.
fn lies(frame_at: u64, kind: u32, payload: &[u8]) -> Option<Lies> {
    let length = |bytes: &[u8; 4]| usize::try_from(u32::from_le_bytes(*bytes)).ok();
    let (name_length, rest) = payload.split_first_chunk::<4>()?;
    let (name, rest) = rest.split_at_checked(length(name_length)?)?;
    let table = schema::tables().iter().find(|table| table.name.as_bytes() == name)?;
    let (once, streams) = match kind {
        KIND_APART => rest.split_first_chunk::<4>().and_then(|(once, streams)| Some((length(once)?, streams)))?,
        _ => (0, rest),
    };
    let at = frame_at + (FRAME_HEADER_BYTES + payload.len() - streams.len()) as u64;
    (once <= streams.len()).then_some(Lies { table, bytes: streams.len(), once, at })
}
