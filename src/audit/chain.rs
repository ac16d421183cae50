//! The chain of a writer's log: one line for every file that was sealed, each signed, each naming the line before it.
//!
//! In: what happened to the log: opened, a file sealed or deleted, closed. Out: `LOG/chain/<writer>.jsonl`, append-only, on the disk before what
//! it tells of is visible: a file's line is written while the file still has no name, so that nothing that lies in the log
//! unsigned is ever signed afterwards.
//!
//! ```text
//! line       {"number":1,"at":"…","entry":"sealed", …, "previous":"<hash of the line before>","signature":"<Ed25519>"}
//! signature  over everything before `,"signature":`
//! hash       SHA-256 of the whole line, without its end of line, hexadecimal; of the first line's previous: 64 zeros
//! ```

mod ledger;
mod writing;

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use ring::digest::{Context, SHA256, digest};
use serde::{Deserialize, Serialize};

pub(super) use self::ledger::{Ledger, Standing};
pub(super) use self::writing::Chain;
use super::key::hex;
use super::store::Object;
use super::{Error, Gap, GapCause, Place, Position, folder};
use crate::clock::Timestamp;

/// What the first line says of the line before it.
pub(super) const BEGINNING: &str = "0000000000000000000000000000000000000000000000000000000000000000";
/// What the names of chains end in.
pub(super) const EXTENSION: &str = ".jsonl";
/// Where chains lie, below the log.
pub(super) const FOLDER: &str = "chain";
/// Lines of a chain that lie in one object of a store. Its last object is put anew with every line, so it is short; a reader needs all
/// of them, so they are not too many.
const OBJECT_LINES: u64 = 512;
/// The longest line, bytes: a compaction names each of the files that it replaces.
const LINE_BYTES_MAX: u64 = 4 << 20;
const SIGNATURE: &str = ",\"signature\":\"";
/// Bytes of a file that are hashed at a time.
const HASHED_BYTES: usize = 256 << 10;

/// One line, without its signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// From 1, without a gap.
    pub number: u64,
    /// When it was written, RFC 3339.
    pub at: String,
    /// What it tells.
    #[serde(flatten)]
    pub told: Told,
    /// The hash of the line before.
    pub previous: String,
}

/// What a line tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case")]
pub enum Told {
    /// The sidecar opened its log.
    Opened {
        /// Its version.
        version: String,
        /// The key that signs from this line on.
        public_key: String,
    },
    /// A file became part of the log.
    Sealed(Sealed),
    /// The file of an earlier line never got its name, because the sidecar was killed; its records are in a later one.
    Withdrawn {
        /// That line.
        number_withdrawn: u64,
    },
    /// A file was deleted on purpose, after this line was written; its records are gone, and this tells which they were.
    Deleted {
        /// As its own line told of it.
        #[serde(flatten)]
        file: Sealed,
        /// Why.
        why: String,
    },
    /// A file became part of the log in place of others, whose records it holds; they go.
    Compacted {
        /// As if it had been sealed.
        #[serde(flatten)]
        file: Sealed,
        /// What goes.
        replaces: Vec<Replaced>,
    },
    /// Something was never recorded.
    Gap(ToldGap),
    /// Another key signs from the next line on; this line is signed by the one before.
    Key {
        /// The other key.
        public_key: String,
    },
    /// The sidecar closed its log: everything it took in is sealed.
    Closed {
        /// The last number given, by table.
        last_seqs: Vec<(String, u64)>,
    },
}

/// What was never recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToldGap {
    /// Its own position in the intake journal: it is told once.
    pub position: u64,
    /// How many events; where the journal was damaged, at least so many.
    pub events: u64,
    /// When the first passed, RFC 3339; absent where that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// When the last did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Why.
    pub why: String,
}

impl ToldGap {
    /// As a chain tells it.
    pub(super) fn new(position: Position, gap: &Gap) -> ToldGap {
        let why = match gap.cause {
            GapCause::Passed => "let through unrecorded, because the journal could not be written",
            GapCause::Damaged => "missing, because the journal was damaged",
        };
        let time = |at: Option<Timestamp>| at.map(|at| at.to_string());
        let (from, until) = (time(gap.first_at), time(gap.last_at));
        ToldGap { position: position.0, events: gap.events, from, until, why: why.to_owned() }
    }
}

/// A file of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// Below the log's folder, `/` between its parts.
    pub path: String,
    /// Of its bytes, hexadecimal.
    pub sha256: String,
    /// Its length.
    pub bytes: u64,
    /// How many records it has.
    pub records: u64,
    /// The lowest number in it.
    pub first_seq: u64,
    /// The highest.
    pub last_seq: u64,
    /// When its first record began, RFC 3339.
    pub first_at: String,
    /// When its last did.
    pub last_at: String,
}

/// A file that another one holds the records of; its own line tells the rest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replaced {
    /// As it was sealed.
    pub path: String,
    /// As it was sealed.
    pub sha256: String,
}

impl Told {
    /// The file that became part of the log.
    pub(super) fn file(&self) -> Option<&Sealed> {
        match self {
            Told::Sealed(file) | Told::Compacted { file, .. } => Some(file),
            _ => None,
        }
    }

    /// See [`Told::file`].
    pub(super) fn into_file(self) -> Option<Sealed> {
        match self {
            Told::Sealed(file) | Told::Compacted { file, .. } => Some(file),
            _ => None,
        }
    }
}

impl Sealed {
    /// `<table>/dt=<date>`.
    pub(super) fn folder(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(folder, _)| folder)
    }
}

/// A line as it was read.
#[derive(Clone, Debug)]
pub(super) struct Line<'t> {
    /// What is signed.
    pub signed: &'t str,
    pub signature: &'t str,
    pub entry: Entry,
    pub hash: String,
}

impl<'t> Line<'t> {
    /// `None` where it is no line of a chain.
    pub(super) fn parse(line: &'t str) -> Option<Line<'t>> {
        let (signed, rest) = line.rsplit_once(SIGNATURE)?;
        let signature = rest.strip_suffix("\"}")?;
        let entry = serde_json::from_str(&format!("{signed}}}")).ok()?;
        Some(Line { signed, signature, entry, hash: hash(line.as_bytes()) })
    }
}

/// The SHA-256 of bytes, hexadecimal.
pub(super) fn hash(bytes: &[u8]) -> String {
    hex(digest(&SHA256, bytes).as_ref())
}

/// The same of bytes that come piece by piece.
pub(super) struct Hasher(Context);

impl Default for Hasher {
    fn default() -> Hasher {
        Hasher(Context::new(&SHA256))
    }
}

impl Hasher {
    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(super) fn finish(self) -> String {
        hex(self.0.finish().as_ref())
    }
}

/// Where a writer's chain lies.
pub(super) fn path(log: &Path, writer: &str) -> PathBuf {
    folder(log).join(format!("{writer}{EXTENSION}"))
}

fn folder(log: &Path) -> PathBuf {
    log.join(FOLDER)
}

/// The number of the first line of the object that a line lies in, in a store.
pub(super) fn object_begins(number: u64) -> u64 {
    number.saturating_sub(1) / OBJECT_LINES * OBJECT_LINES + 1
}

/// The object that begins with a line.
pub(super) fn object(writer: &str, begins: u64) -> String {
    format!("{FOLDER}/{writer}/{begins:020}{EXTENSION}")
}

/// The writers that have a chain in a folder.
///
/// # Errors
/// The folder cannot be read.
pub(super) fn writers(log: &Path) -> Result<Vec<String>, Error> {
    let names = folder::names(&folder(log))?;
    let mut writers: Vec<String> =
        names.iter().filter_map(|name| name.strip_suffix(EXTENSION)).map(str::to_owned).collect();
    writers.sort_unstable();
    Ok(writers)
}

/// The head of a chain: whoever has it on paper can tell whether the chain was rewritten or cut off since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Whose chain.
    pub writer: String,
    /// Its last line's number.
    pub number: u64,
    /// That line's hash.
    pub hash: String,
}

/// The heads of all chains of a log, as they are now; nothing is proven here.
///
/// # Errors
/// A chain cannot be read.
pub fn heads(place: &Place) -> Result<Vec<Head>, Error> {
    let mut heads = Vec::new();
    for writer in place.writers()? {
        let text = place.chain_end(&writer)?;
        if let Some(line) = whole_lines(&text).lines().last().and_then(Line::parse) {
            heads.push(Head { writer, number: line.entry.number, hash: line.hash });
        }
    }
    Ok(heads)
}

/// A text up to the end of its last line. What follows is being written, or its writing was cut short before it took effect.
pub(super) fn whole_lines(text: &[u8]) -> Cow<'_, str> {
    let end = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    String::from_utf8_lossy(&text[..end])
}

/// Gives the whole lines of a chain to `take`, of which one is in memory at a time; where the last of them ends.
///
/// # Errors
/// It cannot be read.
pub(super) fn each_line(chain: impl Read, mut take: impl FnMut(&str)) -> io::Result<u64> {
    let (mut chain, mut line, mut end) = (BufReader::new(chain), Vec::new(), 0);
    loop {
        line.clear();
        let bytes = chain.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
        match line.strip_suffix(b"\n") {
            Some(line) => take(&String::from_utf8_lossy(line)),
            // What has no end is being written, or its writing was cut short.
            None if (bytes as u64) < LINE_BYTES_MAX => return Ok(end),
            None => return Err(io::Error::new(io::ErrorKind::InvalidData, "a line of it is too long to be one")),
        }
        end += bytes as u64;
    }
}

/// A time as a chain tells it.
pub(super) fn at(text: &str) -> Option<Timestamp> {
    text.parse::<jiff::Timestamp>().ok().map(|at| Timestamp(at.as_microsecond()))
}

/// What a chain tells of a file's times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileTimes {
    /// Its partition, `YYYY-MM-DD`.
    pub date: String,
    /// Its length, bytes.
    pub bytes: u64,
    /// When its first record began.
    pub first_at: Timestamp,
    /// When its last did.
    pub last_at: Timestamp,
}

/// See [`super::Lake::times`]. Lines of other tables and dates are passed over without a closer look.
pub(super) fn times(place: &Place, table: &str, dates: &BTreeSet<String>) -> Result<HashMap<String, FileTimes>, Error> {
    let mut times = HashMap::new();
    let beginning = format!("\"path\":\"{table}/dt=");
    // An object that was written before the first date began tells of no file of it.
    let first = dates.first().and_then(|date| format!("{date}T00:00:00Z").parse::<jiff::Timestamp>().ok());
    for writer in place.writers()? {
        let text = match place.chain_here(&writer)? {
            Some(text) => text,
            None => {
                let since = |object: Object| first.is_none_or(|first| object.written_at.0 >= first.as_microsecond());
                place.chain_stored(&writer, since)?.unwrap_or_default()
            }
        };
        for line in String::from_utf8_lossy(&text).lines() {
            let Some((_, rest)) = line.split_once(&beginning) else { continue };
            let Some((date, rest)) = rest.split_once('/').filter(|(date, _)| dates.contains(*date)) else { continue };
            let Some((name, _)) = rest.split_once('"') else { continue };
            let sealed = Line::parse(line).and_then(|line| line.entry.told.into_file());
            let Some(sealed) = sealed else { continue };
            let (Some(first_at), Some(last_at)) = (at(&sealed.first_at), at(&sealed.last_at)) else { continue };
            let told = FileTimes { date: date.to_owned(), bytes: sealed.bytes, first_at, last_at };
            times.insert(name.to_owned(), told);
        }
    }
    Ok(times)
}

/// The highest number in each file that a writer's chain in a folder tells of, by its path.
///
/// # Errors
/// The chain cannot be read.
pub(super) fn last_seqs(log: &Path, writer: &str) -> Result<HashMap<String, u64>, Error> {
    let path = path(log, writer);
    let mut last_seqs = HashMap::new();
    let chain = match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(last_seqs),
        chain => chain.map_err(Error::io("read", &path))?,
    };
    let read = each_line(chain, |line| {
        let file = Line::parse(line).and_then(|line| line.entry.told.into_file());
        last_seqs.extend(file.map(|sealed| (sealed.path, sealed.last_seq)));
    });
    read.map_err(Error::io("read", &path))?;
    Ok(last_seqs)
}

/// The SHA-256 of a file, hexadecimal, and its length. `progress` is told of the bytes as they are read.
///
/// # Errors
/// The file cannot be read.
pub(super) fn hash_file(path: &Path, progress: &mut dyn FnMut(u64)) -> io::Result<(String, u64)> {
    let mut file = File::open(path)?;
    let mut hasher = Hasher::default();
    let mut buffer = vec![0; HASHED_BYTES];
    let mut bytes = 0;
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            return Ok((hasher.finish(), bytes));
        }
        hasher.update(&buffer[..count]);
        bytes += count as u64;
        progress(count as u64);
    }
}
