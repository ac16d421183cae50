//! One writer's chain, read line by line: what it proves of itself.
//!
//! In: its text, and what an outsider holds. Out: the files that it tells of, and every fault of its lines. Where it lies in a store and
//! here as well, the store's has to be the beginning of the one here.

use std::collections::BTreeMap;
use std::path::{Component, Path};

use super::{Deleted, Fault, Held, Proof};
use crate::audit::chain::{self, BEGINNING, Head, Line, Replaced, Sealed, Told, ToldGap};
use crate::audit::signing::PublicKey;
use crate::audit::{Error, Place};
use crate::clock::Timestamp;

/// A file whose records another one holds.
pub(super) struct Replacement {
    /// The line that says so.
    pub number: u64,
    /// When it was written.
    pub at: Option<Timestamp>,
    /// The other one's path.
    pub by: String,
    /// Its own line.
    sealed_in: u64,
    pub sealed: Sealed,
}

/// What became of a file since its chain was read.
pub(super) enum Since {
    Nothing,
    Deleted,
    /// This one holds its records.
    Replaced(Sealed),
}

/// One writer's chain, read.
pub(super) struct Chain {
    pub writer: String,
    /// The files that it tells of, by path, with their lines' numbers.
    pub sealed: BTreeMap<String, (u64, Sealed)>,
    /// Those that it says are deleted, with that line's number and why.
    pub deleted: BTreeMap<String, (u64, Sealed, String)>,
    /// Those whose records another one holds, by path.
    pub replaced: BTreeMap<String, Replacement>,
    pub hashes: Vec<String>,
    /// The last line.
    number: u64,
    key: Option<PublicKey>,
    is_closed: bool,
    /// What was never recorded, as it says.
    gaps: Vec<ToldGap>,
    /// Whether no line of it is at fault.
    pub is_whole: bool,
}

impl Chain {
    pub(super) fn read(place: &Place, writer: &str, held: &Held, faults: &mut Vec<Fault>) -> Result<Chain, Error> {
        let bytes = text(place, writer, faults)?;
        let whole = chain::whole_lines(&bytes);
        let mut chain = Chain {
            writer: writer.to_owned(),
            sealed: BTreeMap::new(),
            deleted: BTreeMap::new(),
            replaced: BTreeMap::new(),
            hashes: Vec::new(),
            number: 0,
            key: None,
            is_closed: false,
            gaps: Vec::new(),
            is_whole: false,
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
        chain.is_whole = faults.len() == before;
        Ok(chain)
    }

    /// What the chain, as it is now, says became of a file.
    pub(super) fn since(&self, place: &Place, held: &Held, path: &str) -> Result<Since, Error> {
        let now = Chain::read(place, &self.writer, held, &mut Vec::new())?;
        let mut holder = path;
        while let Some(replacement) = now.replaced.get(holder) {
            holder = &replacement.by;
        }
        Ok(match now.sealed.get(holder) {
            _ if now.number <= self.number => Since::Nothing,
            _ if now.deleted.contains_key(holder) => Since::Deleted,
            Some((_, by)) if holder != path => Since::Replaced(by.clone()),
            _ => Since::Nothing,
        })
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
            Told::Compacted { file, replaces } => self.compacted((entry.number, &entry.at), file, replaces, fault),
            Told::Withdrawn { number_withdrawn } => {
                self.sealed.retain(|_, (number, _)| number != number_withdrawn);
                let back = self.replaced.extract_if(.., |_, replacement| replacement.number == *number_withdrawn);
                self.sealed.extend(back.map(|(path, replacement)| (path, (replacement.sealed_in, replacement.sealed))));
            }
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
            Told::Gap(gap) => self.gaps.push(gap.clone()),
            Told::Opened { .. } | Told::Closed { .. } => {}
        }
    }

    /// A file in the place of others: it must hold what they did, and nothing may lie between them.
    fn compacted(
        &mut self,
        (number, at): (u64, &str),
        file: &Sealed,
        replaces: &[Replaced],
        fault: &mut dyn FnMut(String),
    ) {
        if !is_in_log(&file.path) {
            return fault(format!("tells of {:?}, which is no file of a log", file.path));
        }
        let mut sources = Vec::new();
        for Replaced { path, sha256 } in replaces {
            match self.sealed.remove(path) {
                Some((line, sealed)) if sealed.sha256 == *sha256 && sealed.folder() == file.folder() => {
                    sources.push((line, sealed));
                }
                _ => fault(format!("says that it replaces {path:?}, and no line before it tells of such a file")),
            }
        }
        let held = || sources.iter().map(|(_, of)| of);
        let held = Sealed {
            records: held().map(|of| of.records).sum(),
            first_seq: held().map(|of| of.first_seq).min().unwrap_or(0),
            last_seq: held().map(|of| of.last_seq).max().unwrap_or(0),
            first_at: held().map(|of| &of.first_at).min().cloned().unwrap_or_default(),
            last_at: held().map(|of| &of.last_at).max().cloned().unwrap_or_default(),
            ..file.clone()
        };
        if held != *file {
            fault(format!(
                "{} holds {} records, numbers {} to {}, and those that it replaces held {}, numbers {} to {}",
                file.path, file.records, file.first_seq, file.last_seq, held.records, held.first_seq, held.last_seq
            ));
        }
        let covers = |(_, of): &&(u64, Sealed)| {
            of.folder() == file.folder() && (file.first_seq..=file.last_seq).contains(&of.first_seq)
        };
        if let Some((_, covered)) = self.sealed.values().find(covers) {
            fault(format!("{} covers the numbers of {}, which it does not replace", file.path, covered.path));
        }
        for (sealed_in, sealed) in sources {
            let replacement = Replacement { number, at: chain::at(at), by: file.path.clone(), sealed_in, sealed };
            self.replaced.insert(replacement.sealed.path.clone(), replacement);
        }
        self.sealed.insert(file.path.clone(), (number, file.clone()));
    }

    /// By table: how many records its files hold or held, and their highest number.
    pub(super) fn numbers(&self) -> BTreeMap<&str, (u64, u64)> {
        let mut tables: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        for sealed in self.files() {
            let table = sealed.path.split('/').next().unwrap_or_default();
            let (records, last_seq) = tables.entry(table).or_default();
            *records += sealed.records;
            *last_seq = (*last_seq).max(sealed.last_seq);
        }
        tables
    }

    /// The highest number in files of a folder, `<table>/dt=<date>`.
    pub(super) fn sealed_through(&self, folder: &str) -> u64 {
        let of_folder = self.files().filter(|sealed| sealed.folder() == folder);
        of_folder.map(|sealed| sealed.last_seq).max().unwrap_or(0)
    }

    /// All files that it ever told of.
    fn files(&self) -> impl Iterator<Item = &Sealed> {
        let deleted = self.deleted.values().map(|(_, sealed, _)| sealed);
        self.sealed.values().map(|(_, sealed)| sealed).chain(deleted)
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

    pub(super) fn proof(&self) -> Option<Proof> {
        let sum = |of: fn(&Sealed) -> u64| self.sealed.values().map(|(_, sealed)| of(sealed)).sum();
        Some(Proof {
            head: Head { writer: self.writer.clone(), number: self.number, hash: self.hashes.last()?.clone() },
            key: self.key?,
            files: self.sealed.len() as u64,
            bytes: sum(|sealed| sealed.bytes),
            records: sum(|sealed| sealed.records),
            deleted: self.told_deleted(),
            replaced: self.replaced.len() as u64,
            gaps: self.gaps.clone(),
            is_closed: self.is_closed,
        })
    }
}

/// A chain's text, the longer of the two where it is here and in a store.
fn text(place: &Place, writer: &str, faults: &mut Vec<Fault>) -> Result<Vec<u8>, Error> {
    // In this order: what goes up meanwhile is here already.
    let stored = place.chain_stored(writer, |_| true)?;
    let Some(here) = place.chain_here(writer)? else { return Ok(stored.unwrap_or_default()) };
    if let Some(stored) = stored.filter(|stored| !here.starts_with(stored)) {
        let line =
            here.iter().zip(&stored).take_while(|(one, other)| one == other).filter(|(one, _)| **one == b'\n').count();
        let what =
            "is not as it is here, on the machine that wrote it: it was altered, or another writer has this one's name"
                .to_owned();
        let place = format!("{}/{} in the store, line {}", chain::FOLDER, writer, line + 1);
        faults.push(Fault { place, what });
    }
    Ok(here)
}

/// A chain that was tampered with must not lead out of the log.
fn is_in_log(path: &str) -> bool {
    let path = Path::new(path);
    path.components().count() == 3 && path.components().all(|part| matches!(part, Component::Normal(_)))
}
