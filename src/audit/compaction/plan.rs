//! Which files of a writer become one.
//!
//! In: what its chain says is there, the holds, the time. Out: groups of files that follow each other in one folder, `<table>/dt=<date>`.
//! A day that is over is taken as a whole, today only what has piled up. Leaves alone what is large already, what is held, and what a
//! later version wrote; never puts files together that were hashed under different keys.

use std::collections::BTreeMap;

use crate::audit::chain::{self, Ledger, Sealed};
use crate::audit::retention::Holds;
use crate::audit::schema::{self, TableInfo};
use crate::clock::Timestamp;

/// The longest file that is made, as far as its sources' lengths tell, bytes.
pub(super) const FILE_BYTES_MAX: u64 = 128 << 20;
/// A file longer than this is large enough, bytes.
const SOURCE_BYTES_MAX: u64 = 32 << 20;
/// The most files that become one: the chain names each.
const SOURCES_MAX: usize = 1024;
/// What is read at the same time, because its times overlap: bytes, and files. A file that is read takes some 3 MiB of memory.
const OPEN_BYTES_MAX: u64 = 32 << 20;
const OPEN_MAX: usize = 8;
/// So many files of a day that is not over are a pile.
const PILE_FILES: usize = 64;
/// When a day is over, for statements that began in it and ended later.
const OVER_US: i64 = 3_600_000_000;
/// One large file and some small ones are written anew where the small ones are one part of so many, or so many.
const SMALL_PART: u64 = 4;
const SMALL_FILES: usize = 16;

/// What a file says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// The key file's id.
    pub key: String,
    /// People in its rows, one that is in several counted for each.
    pub people: u64,
}

/// Files that become one.
#[derive(Debug)]
pub(super) struct Group {
    pub table: &'static TableInfo,
    /// What they say, which have the key file's id in common.
    pub said: Said,
    /// In the order of their numbers.
    pub sources: Vec<Source>,
}

/// One of them.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub file: Sealed,
    pub first_at: Timestamp,
    last_at: Timestamp,
}

/// The groups, of so many bytes each at most. `say`: what a file says; `None` of one that is to be left alone.
pub(super) fn plan(
    ledger: &Ledger,
    holds: &Holds,
    now: Timestamp,
    bytes_max: u64,
    say: &mut dyn FnMut(&TableInfo, &Sealed) -> Option<Said>,
) -> Vec<Group> {
    let mut folders: BTreeMap<&str, Vec<&Sealed>> = BTreeMap::new();
    for standing in ledger.there.values() {
        folders.entry(standing.file.folder()).or_default().push(&standing.file);
    }
    let today = now.plus_micros(-OVER_US).utc_date();
    let mut groups = Vec::new();
    for (folder, mut files) in folders {
        let Some((name, date)) = folder.split_once("/dt=") else { continue };
        let Some(table) = schema::tables().iter().find(|table| table.name == name) else { continue };
        let enough = if date < today.as_str() { 2 } else { PILE_FILES };
        let small = files.iter().filter(|file| file.bytes <= SOURCE_BYTES_MAX).count();
        if small < enough || holds.hold(name, date) {
            continue;
        }
        files.sort_unstable_by_key(|file| file.first_seq);
        let mut group: Option<Group> = None;
        for file in files {
            let source = source(file).and_then(|source| Some((source, say(table, file)?)));
            match (source, &mut group) {
                (Some((source, said)), Some(group))
                    if group.said.key == said.key && group.takes(&source, bytes_max) =>
                {
                    group.said.people = group.said.people.saturating_add(said.people);
                    group.sources.push(source);
                }
                (source, _) => {
                    let next = source.map(|(source, said)| Group { table, said, sources: vec![source] });
                    groups.extend(std::mem::replace(&mut group, next).filter(|group| group.is_worth(enough)));
                }
            }
        }
        groups.extend(group.filter(|group| group.is_worth(enough)));
    }
    groups
}

fn source(file: &Sealed) -> Option<Source> {
    let (first_at, last_at) = (chain::at(&file.first_at)?, chain::at(&file.last_at)?);
    (file.bytes <= SOURCE_BYTES_MAX).then(|| Source { file: file.clone(), first_at, last_at })
}

impl Group {
    fn bytes(&self) -> u64 {
        self.sources.iter().map(|source| source.file.bytes).sum()
    }

    /// Whether one more is not too much. What is read together is bounded by this: of files whose times all overlap, the last that came
    /// has met all others.
    fn takes(&self, new: &Source, bytes_max: u64) -> bool {
        let meets = |of: &&Source| of.first_at <= new.last_at && new.first_at <= of.last_at;
        let (mut files, mut bytes) = (1, new.file.bytes);
        for met in self.sources.iter().filter(meets) {
            files += 1;
            bytes += met.file.bytes;
        }
        self.sources.len() < SOURCES_MAX
            && self.bytes() + new.file.bytes <= bytes_max
            && files <= OPEN_MAX
            && bytes <= OPEN_BYTES_MAX.max(new.file.bytes)
    }

    fn is_worth(&self, enough: usize) -> bool {
        let largest = self.sources.iter().map(|source| source.file.bytes).max().unwrap_or(0);
        let all = self.bytes();
        self.sources.len() >= enough.min(SOURCES_MAX)
            && (self.sources.len() > SMALL_FILES || (all - largest).saturating_mul(SMALL_PART) >= all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_US: i64 = 3_600_000_000;

    /// Files of a Monday, each an hour long, of so many bytes.
    fn ledger(bytes: &[u64]) -> Ledger {
        let mut ledger = Ledger::default();
        for (index, bytes) in bytes.iter().enumerate() {
            let seq = index as u64 * 10 + 1;
            let at = Timestamp(crate::audit::tests::MONDAY + i64::try_from(index).unwrap() * 60_000_000);
            ledger.add(
                at,
                index as u64 + 1,
                Sealed {
                    path: format!("statements/dt=2026-11-23/{}", crate::audit::parquet::file_name("w", seq)),
                    sha256: String::new(),
                    bytes: *bytes,
                    records: 10,
                    first_seq: seq,
                    last_seq: seq + 9,
                    first_at: at.to_string(),
                    last_at: at.plus_micros(59_999_999).to_string(),
                },
            );
        }
        ledger
    }

    fn planned(
        bytes: &[u64],
        after_hours: i64,
        say: &mut dyn FnMut(&TableInfo, &Sealed) -> Option<Said>,
    ) -> Vec<Vec<u64>> {
        let now = Timestamp(crate::audit::tests::MONDAY).plus_micros(after_hours * HOUR_US);
        let groups = plan(&ledger(bytes), &Holds::default(), now, FILE_BYTES_MAX, say);
        groups.iter().map(|group| group.sources.iter().map(|source| source.file.first_seq / 10).collect()).collect()
    }

    const MIB: u64 = 1 << 20;

    #[test]
    fn a_day_that_is_over_is_taken_whole_and_today_only_a_pile() {
        let mut any = |_: &TableInfo, _: &Sealed| Some(Said::default());
        // Monday ends at 14 hours, and is over an hour later.
        assert_eq!(planned(&[MIB; 3], 14, &mut any), [[0; 0]; 0]);
        assert_eq!(planned(&[MIB; 3], 15, &mut any), [[0, 1, 2]]);
        assert_eq!(planned(&[MIB; 1], 15, &mut any), [[0; 0]; 0], "one is one already");
        assert_eq!(planned(&[MIB; PILE_FILES - 1], 1, &mut any), [[0; 0]; 0]);
        assert_eq!(planned(&[MIB; PILE_FILES], 1, &mut any)[0].len(), PILE_FILES);
    }

    #[test]
    fn people_are_those_of_all_sources() {
        let now = Timestamp(crate::audit::tests::MONDAY).plus_micros(20 * HOUR_US);
        let mut say = |_: &TableInfo, file: &Sealed| Some(Said { key: String::new(), people: file.first_seq });
        let groups = plan(&ledger(&[MIB; 3]), &Holds::default(), now, FILE_BYTES_MAX, &mut say);
        assert_eq!(groups.iter().map(|group| group.said.people).collect::<Vec<_>>(), [1 + 11 + 21]);
    }

    #[test]
    fn what_is_large_or_of_another_key_parts_what_lies_between() {
        let mut any = |_: &TableInfo, _: &Sealed| Some(Said::default());
        assert_eq!(planned(&[MIB, MIB, 40 * MIB, MIB, MIB], 20, &mut any), [[0, 1], [3, 4]]);
        assert_eq!(planned(&[30 * MIB; 5], 20, &mut any), [vec![0, 1, 2, 3]], "128 MiB at most; the last stays alone");
        assert_eq!(planned(&[20 * MIB, MIB, MIB], 20, &mut any), [[0; 0]; 0], "not worth it");
        let mut two = |_: &TableInfo, file: &Sealed| Some(Said { key: (file.first_seq / 25).to_string(), people: 7 });
        assert_eq!(planned(&[MIB; 4], 20, &mut two), [vec![0, 1, 2]]);
        let mut but_one = |_: &TableInfo, file: &Sealed| (file.first_seq != 21).then(Said::default);
        assert_eq!(planned(&[MIB; 5], 20, &mut but_one), [[0, 1], [3, 4]]);
    }
}
