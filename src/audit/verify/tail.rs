//! The end of a log that is not in files yet: what the journals hold of each writer.
//!
//! In: the journals' folder, read before the chains are. Out: how many records are in no file yet, and from when to when; and what of a
//! journal is damaged. Nothing signs a journal: its records are checked (each commit has a checksum, and their numbers go on where the
//! files' end), not proven. Needs no key: what was not analysed yet is encrypted, and not looked into.

use std::collections::{BTreeMap, BTreeSet};

use super::chained::Chain;
use super::{Fault, Unsealed};
use crate::audit::{Error, Place, folder, journal, schema};
use crate::clock::Timestamp;

/// Numbers and times, by the folder that their file will lie in, `<table>/dt=<date>`.
type Rows = BTreeMap<String, Vec<(u64, i64)>>;

/// What the journals hold, by writer.
#[derive(Debug, Default)]
pub(super) struct Tail(BTreeMap<String, Rows>);

impl Tail {
    /// Reads the journals; `None` where none can be here.
    ///
    /// # Errors
    /// The folder cannot be listed.
    pub(super) fn read(place: &Place, faults: &mut Vec<Fault>) -> Result<Option<Tail>, Error> {
        let Some(local) = place.local() else { return Ok(None) };
        let mut tail = Tail::default();
        for writer in folder::names(&folder::journals(local))? {
            let records = folder::records(local, &writer);
            let rows = tail.0.entry(writer.clone()).or_default();
            for (number, path) in folder::numbered(&records, journal::EXTENSION)? {
                let mut fault = |what: String| {
                    faults.push(Fault {
                        place: format!("journal/{writer}/records/{number:020}.{}", journal::EXTENSION),
                        what,
                    });
                };
                match journal::read(&path) {
                    Ok(contents) => {
                        if contents.damaged {
                            fault(
                                "is damaged: records in it may be missing; those that are whole are counted".to_owned(),
                            );
                        }
                        contents.batches.iter().for_each(|(table, batch)| take(rows, table, batch));
                    }
                    Err(error) => fault(format!("cannot be read ({error}): its records are not counted")),
                }
            }
            for (number, _) in folder::numbered(&records, journal::DAMAGED)? {
                let what =
                    "was damaged when it was sealed: records in it may be missing; those that were whole are in files";
                let place = format!("journal/{writer}/records/{number:020}.{}", journal::DAMAGED);
                faults.push(Fault { place, what: what.to_owned() });
            }
        }
        Ok(Some(tail))
    }

    /// Holds it against the chains: leaves what is in no file, and finds numbers that are nowhere.
    pub(super) fn check(mut self, chains: &[Chain], faults: &mut Vec<Fault>) -> Unsealed {
        let mut unsealed = Unsealed::default();
        for chain in chains {
            let mut rows = self.0.remove(&chain.writer).unwrap_or_default();
            for (folder, rows) in &mut rows {
                let through = chain.sealed_through(folder);
                rows.retain(|(seq, _)| *seq > through);
                rows.iter().for_each(|(_, at)| unsealed.add(Timestamp(*at)));
            }
            if chain.is_whole {
                check_numbers(chain, &rows, faults);
            }
        }
        // Of a writer without a chain nothing is sealed.
        let rest = self.0.values().flat_map(BTreeMap::values).flatten();
        rest.for_each(|(_, at)| unsealed.add(Timestamp(*at)));
        unsealed
    }
}

impl Unsealed {
    fn add(&mut self, at: Timestamp) {
        let at = at.to_string();
        self.records += 1;
        // RFC 3339 in UTC, of one length: texts sort as times do.
        if self.from.is_empty() || at < self.from {
            self.from.clone_from(&at);
        }
        if self.until < at {
            self.until = at;
        }
    }
}

fn take(rows: &mut Rows, table: &str, batch: &arrow::array::RecordBatch) {
    let times = schema::times(batch, "at").unwrap_or_default();
    let seqs = schema::numbers(batch, "seq").unwrap_or_default();
    for (at, seq) in times.iter().zip(seqs) {
        rows.entry(format!("{table}/dt={}", Timestamp(*at).utc_date())).or_default().push((*seq, *at));
    }
}

/// The numbers of each table's records, of files and journal, go from 1 to the last without a gap.
pub(super) fn check_numbers(chain: &Chain, rows: &Rows, faults: &mut Vec<Fault>) {
    let mut tables = chain.numbers();
    let mut seen: BTreeSet<(&str, u64)> = BTreeSet::new();
    for (folder, rows) in rows {
        let table = folder.split('/').next().unwrap_or_default();
        let (records, last_seq) = tables.entry(table).or_default();
        for (seq, _) in rows {
            *records += u64::from(seen.insert((table, *seq)));
            *last_seq = (*last_seq).max(*seq);
        }
    }
    for (table, (records, last_seq)) in tables {
        if records != last_seq {
            let of = if rows.is_empty() { "its files" } else { "its files and journal" };
            let what = format!("{of} of {table} hold {records} records, whose numbers go to {last_seq}");
            faults.push(Fault { place: format!("chain/{}.jsonl", chain.writer), what });
        }
    }
}
