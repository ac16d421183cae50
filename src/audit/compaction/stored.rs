//! What is different for a log in a store.
//!
//! In: a writer's chain here, and its files there. Out: which of those become one, and whether the last compaction is all there. Only what
//! is in the store is compacted, one group at a time: the next one begins when the sources of the one before are put aside, so that
//! no more than one group's file waits on this machine, and a store that takes files and refuses to give them up has one group
//! twice for other engines, not all.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::merge::{Manner, Of};
use super::plan::{FILE_BYTES_MAX, Group, Said, plan};
use super::said;
use crate::audit::chain::{Ledger, Sealed};
use crate::audit::retention::Holds;
use crate::audit::store::{Store, StoreConfig};
use crate::audit::{Config, Error, Shipper, parquet, spool};
use crate::clock::Timestamp;

/// A file that is made is no more than one in so many of what may wait for the store.
const PART_OF_SPOOL: u64 = 4;
/// How long a compaction is waited for until it is all in the store.
const SETTLED_WITHIN: Duration = Duration::from_secs(600);
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// The groups of a writer. Asks the store for holds, and for the ends of files, only where there is something to do.
pub(super) fn groups(
    of: Of<'_>,
    (config, store): (&StoreConfig, &Store),
    ledger: &Ledger,
    now: Timestamp,
) -> Result<Vec<Group>, Error> {
    let bytes_max = FILE_BYTES_MAX.min(config.spool_bytes_max / PART_OF_SPOOL);
    let uploaded = spool::uploaded(of.log, of.writer);
    let is_there = |file: &Sealed| ledger.there.get(&file.path).is_some_and(|standing| standing.number <= uploaded);
    // As if all were of one key.
    let likely = |holds: &Holds| plan(ledger, holds, now, bytes_max, &mut |_, file| is_there(file).then(Said::default));
    if likely(&Holds::default()).is_empty() {
        return Ok(Vec::new());
    }
    let holds = Holds::read(of.place)?;
    let likely = likely(&holds);
    let sources: Vec<_> =
        likely.iter().flat_map(|group| group.sources.iter().map(|source| (group.table, &source.file))).collect();
    let ends = sources.iter().map(|(_, file)| (file.path.clone(), file.bytes)).collect();
    let mut told = HashMap::new();
    for ((table, file), end) in sources.into_iter().zip(store.read_end_each(ends, parquet::FOOTER_BYTES)) {
        let Some(end) = end? else { continue };
        match parquet::metadata_in_store(store, &file.path, file.bytes, end) {
            Err(error @ Error::Store { .. }) => return Err(error),
            // `verify` tells of it.
            Err(_) => {}
            Ok(metadata) => {
                told.extend(said(&metadata, table).map(|said| (file.path.clone(), said)));
            }
        }
    }
    Ok(plan(ledger, &holds, now, bytes_max, &mut |_, file| told.get(&file.path).cloned()))
}

/// Sees to it that the last compaction of a writer is all in the store, with what it replaced put aside; `false` where it was stopped. Where
/// no sidecar takes things up, it is done here.
///
/// # Errors
/// The store refuses or does not answer, or a sidecar that takes things up cannot yet.
pub(super) fn settle(config: &Config, writer: &str, manner: Manner<'_>) -> Result<bool, Error> {
    let Some(store) = &config.store else { return Ok(true) };
    let compacted = Ledger::read(&config.path, writer)?.compacted;
    let began = Instant::now();
    loop {
        if spool::seen_to(&config.path, writer).0.aside >= compacted {
            return Ok(true);
        }
        if manner.stop.load(Ordering::Relaxed) {
            return Ok(false);
        }
        if began.elapsed() >= SETTLED_WITHIN {
            return Err(Error::NotSettled { store: store.url.to_string(), spool: config.path.clone() });
        }
        Shipper::once(config)?;
        std::thread::sleep(LOOK_EVERY);
    }
}
