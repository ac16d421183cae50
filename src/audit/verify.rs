//! Whether a log is complete and unaltered, as far as it is sealed.
//!
//! In: a log's folder, and what an outsider holds: the public key, and heads of the chain from reports. Out: what is proven, and
//! every fault with its place. Needs no secret, writes nothing, and reads a log that a sidecar is writing.
//!
//! What it finds: any byte of a file or a line altered; a file or line removed, exchanged, shortened, or added; a chain
//! cut off or written anew since a head was printed. What it cannot find: a log removed whole, with its chains, where nobody
//! kept a head; and what happened to records that are not sealed yet, which it counts. What was deleted because it was past its time
//! has a line that says so, and is told.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::io;
use std::path::{Component, Path};
use std::time::Duration;

use super::chain::{self, BEGINNING, Head, Line, Sealed, Told, hash_file};
use super::signing::PublicKey;
use super::{Error, Lake, folder, parquet, schema};

/// How long a file may take to get its name after the chain has told of it.
const RENAMED_WITHIN: Duration = Duration::from_millis(500);
/// The fewest digits of a hash that stand for it.
pub const HEAD_DIGITS_MIN: usize = 16;

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// A file below the log's folder, with the line where it is a chain.
    pub place: String,
    /// What is wrong, and what that means for the records.
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// What one writer's chain proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// Its last line.
    pub head: Head,
    /// The key that signs it.
    pub key: PublicKey,
    /// Files of the log.
    pub files: u64,
    /// Their length.
    pub bytes: u64,
    /// Their records.
    pub records: u64,
    /// Files that were deleted on purpose, as the chain says.
    pub deleted: Deleted,
    /// Whether the writer closed its log: nothing is missing behind the last line.
    pub is_closed: bool,
}

/// What a chain says was deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deleted {
    /// Files.
    pub files: u64,
    /// Their records.
    pub records: u64,
    /// When the first of those began, and the last, RFC 3339; empty where nothing was deleted.
    pub from: String,
    /// See `from`.
    pub until: String,
    /// Why, each reason once.
    pub why: Vec<String>,
}

/// The outcome.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verification {
    /// One a writer.
    pub proofs: Vec<Proof>,
    /// None: the log is complete and unaltered.
    pub faults: Vec<Fault>,
    /// Committed records that are in no file yet: nothing proves those. `None` where a file cannot be read.
    pub unsealed: Option<u64>,
}

/// What an outsider holds against the log.
#[derive(Clone, Debug, Default)]
pub struct Held {
    /// The keys that may sign; none: whichever the chain names.
    pub keys: Vec<PublicKey>,
    /// Hashes of lines that a chain must still have, or their first [`HEAD_DIGITS_MIN`] digits and more.
    pub heads: Vec<String>,
}

/// How far it has come.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// Bytes read.
    pub done: u64,
    /// Bytes to read.
    pub all: u64,
}

/// Proves a log.
///
/// # Errors
/// It is no log, or cannot be read.
pub fn verify(log: &Path, held: &Held, progress: &mut dyn FnMut(Progress)) -> Result<Verification, Error> {
    let lake = Lake::open(log)?;
    // In this order: what is sealed meanwhile is in no listing.
    let there = files(log)?;
    // What was tampered with may be no table any more; that is told below.
    let unsealed = lake.snapshots().ok().map(|snapshots| {
        let batches = snapshots.iter().flat_map(|snapshot| &snapshot.journal);
        batches.map(|(_, batch)| batch.num_rows() as u64).sum()
    });
    let mut found = Verification { unsealed, ..Verification::default() };
    let mut chains = Vec::new();
    for writer in chain::writers(log)? {
        chains.push(Chain::read(log, &writer, held, &mut found.faults)?);
    }
    let mut told = BTreeSet::new();
    let all = chains.iter().flat_map(|chain| chain.sealed.values()).map(|(_, sealed)| sealed.bytes).sum();
    let mut done = 0;
    for chain in &chains {
        for (path, (_, sealed)) in &chain.sealed {
            told.insert(path.clone());
            let fault = check_file(log, &chain.writer, sealed, &mut |bytes| {
                done += bytes;
                progress(Progress { done, all });
            });
            // A sidecar deletes while we read.
            if fault.is_some() && !log.join(path).exists() && chain.deletes_since(log, held, path)? {
                continue;
            }
            found.faults.extend(fault);
        }
        found.faults.extend(chain.deleted.values().filter_map(|(line, sealed, _)| {
            told.insert(sealed.path.clone());
            there.contains(&sealed.path).then(|| check_deleted(log, &chain.writer, *line, sealed)).flatten()
        }));
        found.proofs.extend(chain.proof());
    }
    for path in there.difference(&told) {
        let what = "is in no chain: somebody added it, or removed the chain that tells of it".to_owned();
        found.faults.push(Fault { place: path.clone(), what });
    }
    let hashes: Vec<&String> = chains.iter().flat_map(|chain| &chain.hashes).collect();
    for head in &held.heads {
        if head.len() < HEAD_DIGITS_MIN || !hashes.iter().any(|hash| hash.starts_with(head.as_str())) {
            let what =
                format!("no line has the hash {head}: the chain was cut off or written anew since that was printed");
            found.faults.push(Fault { place: "chain".to_owned(), what });
        }
    }
    if found.proofs.is_empty() && found.faults.is_empty() {
        let what = "there is no chain: nothing proves this log".to_owned();
        found.faults.push(Fault { place: "chain".to_owned(), what });
    }
    Ok(found)
}

/// Every Parquet file of the tables, below the log's folder.
fn files(log: &Path) -> Result<BTreeSet<String>, Error> {
    let mut found = BTreeSet::new();
    for table in schema::tables() {
        for partition in folder::names(&log.join(table.name))? {
            for name in folder::names(&log.join(table.name).join(&partition))? {
                if name.ends_with(".parquet") && !name.starts_with('.') {
                    found.insert(format!("{}/{partition}/{name}", table.name));
                }
            }
        }
    }
    Ok(found)
}

/// One writer's chain, read.
struct Chain {
    writer: String,
    /// The files that it tells of, by path, with their lines' numbers.
    sealed: BTreeMap<String, (u64, Sealed)>,
    /// Those that it says are deleted, with that line's number and why.
    deleted: BTreeMap<String, (u64, Sealed, String)>,
    hashes: Vec<String>,
    /// The last line.
    number: u64,
    key: Option<PublicKey>,
    is_closed: bool,
}

impl Chain {
    fn read(log: &Path, writer: &str, held: &Held, faults: &mut Vec<Fault>) -> Result<Chain, Error> {
        let path = chain::path(log, writer);
        let bytes = fs::read(&path).map_err(Error::io("read", &path))?;
        let text = String::from_utf8_lossy(&bytes);
        // A line that has no end is being written, or its writing was cut short before it took effect.
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let mut chain = Chain {
            writer: writer.to_owned(),
            sealed: BTreeMap::new(),
            deleted: BTreeMap::new(),
            hashes: Vec::new(),
            number: 0,
            key: None,
            is_closed: false,
        };
        let before = faults.len();
        // `None` behind a line that could not be read.
        let mut previous = Some(BEGINNING.to_owned());
        let mut last_at = "its beginning".to_owned();
        for (index, text) in whole.lines().enumerate() {
            let mut fault = |what: String| {
                faults.push(Fault { place: format!("chain/{writer}.jsonl line {}", index + 1), what });
            };
            let Some(line) = Line::parse(text) else {
                fault(format!("is no line of a chain; it stood between {last_at} and the next line"));
                previous = None;
                chain.number += 1;
                continue;
            };
            let entry = &line.entry;
            if previous.as_ref().is_some_and(|previous| *previous != entry.previous) {
                fault(match entry.number.checked_sub(chain.number + 1) {
                    Some(missing) if missing > 0 => {
                        format!("{missing} lines before it are missing, written between {last_at} and {}", entry.at)
                    }
                    _ => {
                        format!("does not follow the line before it, of {last_at}: one of the two was altered or moved")
                    }
                });
            }
            chain.take(&line, held, &mut fault);
            last_at.clone_from(&entry.at);
            chain.number = entry.number;
            previous = Some(line.hash.clone());
            chain.hashes.push(line.hash);
        }
        if faults.len() == before {
            chain.check_numbers(faults);
        }
        Ok(chain)
    }

    /// Whether the chain, as it is now, says that a file was deleted.
    fn deletes_since(&self, log: &Path, held: &Held, path: &str) -> Result<bool, Error> {
        let now = Chain::read(log, &self.writer, held, &mut Vec::new())?;
        Ok(now.number > self.number && now.deleted.contains_key(path))
    }

    fn take(&mut self, line: &Line<'_>, held: &Held, fault: &mut dyn FnMut(String)) {
        let entry = &line.entry;
        self.is_closed = matches!(entry.told, Told::Closed { .. });
        if let Told::Opened { public_key, .. } = &entry.told {
            let named = PublicKey::parse(public_key);
            let is_held = named.is_some_and(|named| held.keys.contains(&named));
            match (named, self.key) {
                (None, _) => fault("names no key".to_owned()),
                (Some(named), _) if !held.keys.is_empty() && !is_held => {
                    fault(format!("is signed by {named}, which is not the key that was given"));
                }
                (Some(named), Some(key)) if named != key && !is_held => {
                    fault(format!("another key signs from here on, {named}, without the word of the one before"));
                }
                _ => {}
            }
            self.key = named.or(self.key);
        }
        match self.key {
            Some(key) if key.proves(line.signed.as_bytes(), line.signature) => {}
            Some(_) => fault("was altered, or written without the key: its signature does not hold".to_owned()),
            None => fault("no line before it names the key that signs".to_owned()),
        }
        match &entry.told {
            Told::Sealed(sealed) if is_in_log(&sealed.path) => {
                self.sealed.insert(sealed.path.clone(), (entry.number, sealed.clone()));
            }
            Told::Sealed(sealed) => fault(format!("tells of {:?}, which is no file of a log", sealed.path)),
            Told::Withdrawn { number_withdrawn } => self.sealed.retain(|_, (number, _)| number != number_withdrawn),
            Told::Deleted { file, why } => match self.sealed.remove(&file.path) {
                Some((_, sealed)) if sealed == *file => {
                    self.deleted.insert(file.path.clone(), (entry.number, sealed, why.clone()));
                }
                _ => {
                    fault(format!("says that {:?} was deleted, and no line before it tells of such a file", file.path))
                }
            },
            Told::Key { public_key } => match PublicKey::parse(public_key) {
                Some(key) => self.key = Some(key),
                None => fault("names no key".to_owned()),
            },
            Told::Opened { .. } | Told::Closed { .. } => {}
        }
    }

    /// The numbers of each table's records go from 1 to the last without a gap.
    fn check_numbers(&self, faults: &mut Vec<Fault>) {
        let mut tables: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        let deleted = self.deleted.values().map(|(_, sealed, _)| sealed);
        for sealed in self.sealed.values().map(|(_, sealed)| sealed).chain(deleted) {
            let table = sealed.path.split('/').next().unwrap_or_default();
            let (records, last_seq) = tables.entry(table).or_default();
            *records += sealed.records;
            *last_seq = (*last_seq).max(sealed.last_seq);
        }
        for (table, (records, last_seq)) in tables {
            if records != last_seq {
                let what = format!("its files of {table} hold {records} records, whose numbers go to {last_seq}");
                faults.push(Fault { place: format!("chain/{}.jsonl", self.writer), what });
            }
        }
    }

    fn told_deleted(&self) -> Deleted {
        let mut deleted = Deleted::default();
        for (_, sealed, why) in self.deleted.values() {
            deleted.files += 1;
            deleted.records += sealed.records;
            // RFC 3339 in UTC, of one length: texts sort as times do.
            if deleted.from.is_empty() || sealed.first_at < deleted.from {
                deleted.from.clone_from(&sealed.first_at);
            }
            if deleted.until < sealed.last_at {
                deleted.until.clone_from(&sealed.last_at);
            }
            if !deleted.why.contains(why) {
                deleted.why.push(why.clone());
            }
        }
        deleted
    }

    fn proof(&self) -> Option<Proof> {
        let sum = |of: fn(&Sealed) -> u64| self.sealed.values().map(|(_, sealed)| of(sealed)).sum();
        Some(Proof {
            head: Head { writer: self.writer.clone(), number: self.number, hash: self.hashes.last()?.clone() },
            key: self.key?,
            files: self.sealed.len() as u64,
            bytes: sum(|sealed| sealed.bytes),
            records: sum(|sealed| sealed.records),
            deleted: self.told_deleted(),
            is_closed: self.is_closed,
        })
    }
}

/// A chain that was tampered with must not lead out of the log.
fn is_in_log(path: &str) -> bool {
    let path = Path::new(path);
    path.components().count() == 3 && path.components().all(|part| matches!(part, Component::Normal(_)))
}

/// What is deleted may still be there where its removal was cut short, but nothing else in its place.
fn check_deleted(log: &Path, writer: &str, line: u64, sealed: &Sealed) -> Option<Fault> {
    match hash_file(&log.join(&sealed.path), &mut |_| {}) {
        Ok((sha256, _)) if sha256 == sealed.sha256 => return None,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        _ => {}
    }
    let what = format!("was deleted, as line {line} of {writer}'s chain says: somebody put another file in its place");
    Some(Fault { place: sealed.path.clone(), what })
}

fn check_file(log: &Path, writer: &str, sealed: &Sealed, progress: &mut dyn FnMut(u64)) -> Option<Fault> {
    let path = log.join(&sealed.path);
    if !path.exists() && parquet::unfinished(&path, writer).exists() {
        // It is about to get its name; what a killed sidecar left so, its next start names.
        std::thread::sleep(RENAMED_WITHIN);
    }
    let at = if path.exists() { path } else { parquet::unfinished(&path, writer) };
    let concerned = || {
        let Sealed { records, first_seq, last_seq, first_at, last_at, .. } = sealed;
        format!("{records} records of {writer}, numbers {first_seq} to {last_seq}, of {first_at} to {last_at}")
    };
    let what = match hash_file(&at, progress) {
        Ok((sha256, _)) if sha256 == sealed.sha256 => return None,
        Ok((_, bytes)) if bytes != sealed.bytes => {
            format!(
                "has {bytes} bytes and had {} when it was sealed: it was altered; it held {}",
                sealed.bytes,
                concerned()
            )
        }
        Ok(_) => format!("was altered: its bytes are not those that were sealed; it held {}", concerned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => format!("is missing: it held {}", concerned()),
        Err(error) => format!("cannot be read ({error}); it holds {}", concerned()),
    };
    Some(Fault { place: sealed.path.clone(), what })
}
