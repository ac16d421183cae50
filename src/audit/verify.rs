//! Whether a log is complete and unaltered, as far as it is sealed.
//!
//! In: a log's place, and what an outsider holds: the public key, and heads of the chain from reports. Out: what is proven, and
//! every fault with its place. Needs no secret, writes nothing, and reads a log that a sidecar is writing.
//!
//! What it finds: any byte of a file or a line altered; a file or line removed, exchanged, shortened, or added; a chain
//! cut off or written anew since a head was printed. What it cannot find: a log removed whole, with its chains, where nobody
//! kept a head; and whether records that are not sealed yet were altered, which it counts, and of which it finds what is damaged or missing. What was deleted because it was past its time
//! has a line that says so, and is told. Of what was compacted it finds whether the new file is the one that was signed, and
//! whether it holds as many records, numbers and hours as what it replaced; that they are the same is the word of whoever has the key.

mod chained;
mod tail;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::path::Path;
use std::time::Duration;

use self::chained::{Chain, Replacement, Since};
use self::tail::Tail;
use super::chain::{Head, Sealed, ToldGap, hash_file};
use super::place::Found;
use super::signing::PublicKey;
use super::store::Store;
use super::{Error, Lake, Place, parquet, schema, spool};
use crate::clock::{Clock, Timestamp};

/// How long a file may take to get its name after the chain has told of it.
const RENAMED_WITHIN: Duration = Duration::from_millis(500);
/// How long a file may be in a store before its line is, and how often it is looked.
const TOLD_WITHIN: Duration = Duration::from_secs(2);
const TOLD_TRIES: u32 = 5;
/// How long what was replaced may stay in a store, and how far its clock may be from the writer's.
const PUT_ASIDE_WITHIN_US: i64 = 3_600_000_000;
const CLOCKS_DIFFER_US: i64 = 300_000_000;
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
    /// Files whose records others hold, by a compaction.
    pub replaced: u64,
    /// What was never recorded, as the chain says, and why.
    pub gaps: Vec<ToldGap>,
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
    /// Committed records that are in no file yet: nothing proves those. `None` where the journals are on other machines.
    pub unsealed: Option<Unsealed>,
}

/// Records that are in no file yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unsealed {
    /// How many.
    pub records: u64,
    /// When the first of them began, and the last, RFC 3339; empty where there are none.
    pub from: String,
    /// See `from`.
    pub until: String,
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
pub fn verify(place: &Place, held: &Held, progress: &mut dyn FnMut(Progress)) -> Result<Verification, Error> {
    Lake::at(place.clone())?;
    let mut found = Verification::default();
    // In this order: journals, files, chains. What is sealed meanwhile is in no listing, and its line is read.
    let tail = Tail::read(place, &mut found.faults)?;
    let there = files(place)?;
    let mut chains = Vec::new();
    for writer in place.writers()? {
        chains.push(Chain::read(place, &writer, held, &mut found.faults)?);
    }
    found.unsealed = match tail {
        Some(tail) => Some(tail.check(&chains, &mut found.faults)),
        None => {
            let whole = chains.iter().filter(|chain| chain.is_whole);
            whole.for_each(|chain| tail::check_numbers(chain, &BTreeMap::new(), &mut found.faults));
            None
        }
    };
    let mut told = BTreeSet::new();
    let all = chains.iter().flat_map(|chain| chain.sealed.values()).map(|(_, sealed)| sealed.bytes).sum();
    let mut done = 0;
    let mut more = |bytes| {
        done += bytes;
        progress(Progress { done, all });
    };
    for chain in &chains {
        told.extend(chain.sealed.keys().cloned());
        for (sealed, fault) in check_files(place, chain, &mut more)? {
            // A sidecar deletes and compacts while we read.
            let may_be_gone = place.here(&sealed.path).is_none_or(|file| !file.exists());
            if !may_be_gone || !is_gone_since(place, chain, held, sealed)? {
                found.faults.push(fault);
            }
        }
        told.extend(chain.replaced.keys().cloned());
        found.faults.extend(check_all_replaced(place, chain, &there)?);
        for (line, sealed, _) in chain.deleted.values() {
            told.insert(sealed.path.clone());
            if let Some(still_there) = there.get(&sealed.path) {
                found.faults.extend(check_deleted(place, &chain.writer, (*line, sealed), *still_there)?);
            }
        }
        found.proofs.extend(chain.proof());
    }
    let untold = there.into_keys().filter(|path| !told.contains(path)).collect();
    for path in untold_since(place, held, untold)? {
        let what = "is in no chain: somebody added it, or removed the chain that tells of it".to_owned();
        found.faults.push(Fault { place: path, what });
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

/// Every Parquet file of the tables, below the log.
fn files(place: &Place) -> Result<BTreeMap<String, Found>, Error> {
    let mut found = BTreeMap::new();
    for table in schema::tables() {
        let is_file = |path: &str| {
            let name = path.rsplit('/').next().unwrap_or_default();
            name.ends_with(".parquet") && !name.starts_with('.')
        };
        found.extend(place.all_files(table.name)?.into_iter().filter(|(path, _)| is_file(path)));
    }
    Ok(found)
}

/// Files go up before the lines that tell of them: those of which none tells yet are looked for again, for some seconds.
fn untold_since(place: &Place, held: &Held, mut untold: BTreeSet<String>) -> Result<BTreeSet<String>, Error> {
    for _ in 0..TOLD_TRIES {
        if untold.is_empty() || place.store().is_none() {
            break;
        }
        std::thread::sleep(TOLD_WITHIN);
        let writers: BTreeSet<String> = untold
            .iter()
            .filter_map(|path| Some(parquet::parse_name(path.rsplit('/').next()?)?.writer.to_owned()))
            .collect();
        for writer in writers {
            let now = Chain::read(place, &writer, held, &mut Vec::new())?;
            untold.retain(|path| !now.sealed.contains_key(path) && !now.deleted.contains_key(path));
        }
    }
    Ok(untold)
}

/// The files of one chain that are not as it tells.
fn check_files<'c>(
    place: &Place,
    chain: &'c Chain,
    progress: &mut dyn FnMut(u64),
) -> Result<Vec<(&'c Sealed, Fault)>, Error> {
    // What went up is proven where it stays.
    let uploaded = uploaded(place, &chain.writer);
    let (stored, here): (Vec<_>, Vec<_>) = chain.sealed.values().partition(|(line, _)| *line <= uploaded);
    let mut faults = Vec::new();
    let mut check = |sealed: &'c Sealed, hashed: io::Result<Option<(String, u64)>>| {
        faults.extend(fault(&chain.writer, sealed, hashed).map(|fault| (sealed, fault)));
    };
    for (_, sealed) in here {
        let hashed = place.here(&sealed.path).map(|path| hash_here(&path, &chain.writer, progress));
        check(sealed, hashed.unwrap_or(Ok(None)));
    }
    if let Some(store) = place.store() {
        let paths = stored.iter().map(|(_, sealed)| sealed.path.clone()).collect();
        for ((_, sealed), hashed) in stored.into_iter().zip(store.hash_each(paths)) {
            check(sealed, Ok(hashed?));
            progress(sealed.bytes);
        }
    }
    Ok(faults)
}

/// Whether the chain, as it is now, says where a file went, and what holds its records is as it says.
fn is_gone_since(place: &Place, chain: &Chain, held: &Held, sealed: &Sealed) -> Result<bool, Error> {
    Ok(match chain.since(place, held, &sealed.path)? {
        Since::Nothing => false,
        Since::Deleted => true,
        Since::Replaced(by) => {
            let here =
                place.here(&by.path).and_then(|path| hash_here(&path, &chain.writer, &mut |_| {}).ok().flatten());
            let hashed = match (here, place.store()) {
                (None, Some(store)) => store.hash_each(vec![by.path]).next().transpose()?.flatten(),
                (here, _) => here,
            };
            hashed.is_some_and(|(sha256, _)| sha256 == by.sha256)
        }
    })
}

/// What of a chain's replaced files is wrong.
fn check_all_replaced(place: &Place, chain: &Chain, there: &BTreeMap<String, Found>) -> Result<Vec<Fault>, Error> {
    let mut faults = Vec::new();
    let mut has_waited = false;
    for of in chain.replaced.values() {
        let Some(found) = there.get(&of.sealed.path) else { continue };
        faults.extend(match place.store().filter(|_| found.in_store) {
            Some(store) => check_replaced_stored((place, store), chain, of, *found)?,
            None => check_replaced(place, &chain.writer, of, &mut has_waited),
        });
    }
    Ok(faults)
}

/// What was replaced has no name any more, from soon after what replaced it has one.
fn check_replaced(place: &Place, writer: &str, of: &Replacement, has_waited: &mut bool) -> Option<Fault> {
    let path = place.here(&of.sealed.path)?;
    let is_over = |place: &Place| place.here(&of.by).is_some_and(|by| by.exists()) && path.exists();
    if is_over(place) && !*has_waited {
        *has_waited = true;
        std::thread::sleep(RENAMED_WITHIN);
    }
    let is_whole = || hash_file(&path, &mut |_| {}).is_ok_and(|(sha256, _)| sha256 == of.sealed.sha256);
    let line = of.number;
    let what = match (path.exists(), is_whole()) {
        (false, _) => return None,
        (true, false) => another_in_its_place(writer, line),
        // Killed in between, it is still what holds these records.
        (true, true) if !is_over(place) => return None,
        (true, true) => still_there(writer, of),
    };
    Some(Fault { place: of.sealed.path.clone(), what })
}

fn another_in_its_place(writer: &str, line: u64) -> String {
    format!("was replaced, as line {line} of {writer}'s chain says: somebody put another file in its place")
}

fn still_there(writer: &str, Replacement { number, by, .. }: &Replacement) -> String {
    format!(
        "was replaced by {by}, as line {number} of {writer}'s chain says, and is still there: other engines see its records twice; \
         the next start of its sidecar puts it aside, else remove it"
    )
}

/// The same in a store, where it takes longer: as long as the line may not be there yet it is right, and for an hour more it may be. But not
/// what was put there after it was replaced.
fn check_replaced_stored(
    (place, store): (&Place, &Store),
    chain: &Chain,
    of: &Replacement,
    found: Found,
) -> Result<Option<Fault>, Error> {
    let (writer, line) = (&chain.writer, of.number);
    if line > uploaded(place, writer) {
        return Ok(None);
    }
    let hashed = store.hash_each(vec![of.sealed.path.clone()]).next().transpose()?.flatten();
    let age = |since: Timestamp| Clock::system().now().0.saturating_sub(since.0);
    let is_new = of.at.is_none_or(|at| age(at) < PUT_ASIDE_WITHIN_US);
    let put_back = || of.at.zip(found.written_at).is_some_and(|(at, written)| written.0 > at.0 + CLOCKS_DIFFER_US);
    let what = match hashed {
        None => return Ok(None),
        Some((sha256, _)) if sha256 != of.sealed.sha256 => another_in_its_place(writer, line),
        Some(_) if put_back() => format!(
            "was replaced by {}, as line {line} of {writer}'s chain says, and somebody put it back: other engines see its records \
             twice; remove it",
            of.by
        ),
        Some(_) if is_new => return Ok(None),
        Some(_) => still_there(writer, of),
    };
    Ok(Some(Fault { place: of.sealed.path.clone(), what }))
}

/// The last line of a chain that is in the store with all that it tells of, as far as is known here.
fn uploaded(place: &Place, writer: &str) -> u64 {
    let local = place.local().filter(|local| super::chain::path(local, writer).exists());
    match (place.store(), local) {
        (None, _) => 0,
        (Some(_), Some(local)) => spool::uploaded(local, writer),
        (Some(_), None) => u64::MAX,
    }
}

/// What is deleted may still be there where its removal was cut short, but nothing else in its place.
fn check_deleted(
    place: &Place,
    writer: &str,
    (line, sealed): (u64, &Sealed),
    found: Found,
) -> Result<Option<Fault>, Error> {
    let hashed = match (place.store().filter(|_| found.in_store), place.here(&sealed.path)) {
        (Some(store), _) => store.hash_each(vec![sealed.path.clone()]).next().transpose()?.flatten(),
        (None, Some(path)) => match hash_file(&path, &mut |_| {}) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            // What cannot be read is not what was deleted.
            hashed => Some(hashed.unwrap_or_default()),
        },
        (None, None) => None,
    };
    if hashed.is_none_or(|(sha256, _)| sha256 == sealed.sha256) {
        return Ok(None);
    }
    let what = format!("was deleted, as line {line} of {writer}'s chain says: somebody put another file in its place");
    Ok(Some(Fault { place: sealed.path.clone(), what }))
}

/// The hash of a file in a folder; `None` where it is not there.
fn hash_here(path: &Path, writer: &str, progress: &mut dyn FnMut(u64)) -> io::Result<Option<(String, u64)>> {
    let unfinished = parquet::unfinished(path, writer);
    if !path.exists() && unfinished.exists() {
        // It is about to get its name; what a killed sidecar left so, its next start names.
        std::thread::sleep(RENAMED_WITHIN);
    }
    match hash_file(if path.exists() { path } else { &unfinished }, progress) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        hashed => hashed.map(Some),
    }
}

fn fault(writer: &str, sealed: &Sealed, hashed: io::Result<Option<(String, u64)>>) -> Option<Fault> {
    let concerned = || {
        let Sealed { records, first_seq, last_seq, first_at, last_at, .. } = sealed;
        format!("{records} records of {writer}, numbers {first_seq} to {last_seq}, of {first_at} to {last_at}")
    };
    let what = match hashed {
        Ok(Some((sha256, _))) if sha256 == sealed.sha256 => return None,
        Ok(Some((_, bytes))) if bytes != sealed.bytes => {
            format!(
                "has {bytes} bytes and had {} when it was sealed: it was altered; it held {}",
                sealed.bytes,
                concerned()
            )
        }
        Ok(Some(_)) => format!("was altered: its bytes are not those that were sealed; it held {}", concerned()),
        Ok(None) => format!("is missing: it held {}", concerned()),
        Err(error) => format!("cannot be read ({error}); it holds {}", concerned()),
    };
    Some(Fault { place: sealed.path.clone(), what })
}
