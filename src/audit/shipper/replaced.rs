//! What compactions replaced goes out of the store, in two steps.
//!
//! In: lines of chains that are in the store, and with them the files that hold the records now. Out: the replaced objects under names that
//! no pattern finds, for who has listed them before, and gone an hour later. How far that is, the spool keeps: a crash, and a store that
//! is away, leave it for the next time. Refuses nothing: what is gone already is as it should be.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};

use crate::audit::chain::{Line, Replaced, Told};
use crate::audit::spool::{self, SeenTo};
use crate::audit::store::Store;
use crate::audit::{Error, folder};
use crate::clock::Timestamp;

/// How long an object that was replaced stays for who listed it before.
const STAYS_US: i64 = 3_600_000_000;
/// What a line of a compaction has in it, and one that takes it back.
const MARKS: [&str; 2] = ["\"entry\":\"compacted\"", "\"entry\":\"withdrawn\""];

/// What one compaction replaced.
#[derive(Debug)]
struct Gone {
    /// Its line.
    number: u64,
    paths: Vec<String>,
    /// Since when it is put aside, where it is.
    since: Option<Timestamp>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Aside {
    spool: PathBuf,
    /// By writer, in the order of their lines.
    gone: BTreeMap<String, VecDeque<Gone>>,
}

impl Aside {
    pub(super) fn new(spool: &Path) -> Aside {
        Aside { spool: spool.to_path_buf(), gone: BTreeMap::new() }
    }

    /// Takes up what an earlier run left: `lines`, from the first on, are in the store.
    pub(super) fn resume(&mut self, writer: &str, lines: &str) {
        let (seen_to, since) = spool::seen_to(&self.spool, writer);
        let lines = lines.lines().skip(usize::try_from(seen_to.removed).unwrap_or(usize::MAX));
        let mut gone: VecDeque<Gone> = VecDeque::new();
        for line in lines.filter(|line| MARKS.iter().any(|mark| line.contains(mark))).filter_map(Line::parse) {
            let number = line.entry.number;
            match line.entry.told {
                Told::Compacted { replaces, .. } => {
                    let since = since.filter(|_| number <= seen_to.aside);
                    gone.push_back(Gone { number, paths: paths(replaces), since });
                }
                Told::Withdrawn { number_withdrawn } => gone.retain(|of| of.number != number_withdrawn),
                _ => {}
            }
        }
        self.gone.insert(writer.to_owned(), gone);
    }

    /// A line of a compaction is in the store.
    pub(super) fn take(&mut self, writer: &str, number: u64, replaces: Vec<Replaced>) {
        let gone = self.gone.entry(writer.to_owned()).or_default();
        gone.push_back(Gone { number, paths: paths(replaces), since: None });
    }

    /// Does what is to be done by now.
    ///
    /// # Errors
    /// The store refuses or does not answer, or the spool cannot be written; it is done by the next call.
    pub(super) fn see_to(&mut self, store: &Store, now: Timestamp) -> Result<(), Error> {
        for (writer, gone) in &mut self.gone {
            for of in gone.iter_mut().filter(|of| of.since.is_none()) {
                store.put_aside_each(of.paths.clone()).collect::<Result<(), Error>>()?;
                let (seen_to, _) = spool::seen_to(&self.spool, writer);
                spool::keep_seen_to(&self.spool, writer, SeenTo { aside: of.number, ..seen_to })?;
                of.since = Some(now);
            }
            let is_over = |of: &Gone| of.since.is_some_and(|since| now.0.saturating_sub(since.0) >= STAYS_US);
            while gone.front().is_some_and(is_over) {
                let Some(of) = gone.front() else { break };
                let paths = of.paths.iter().map(|path| folder::aside_of(path)).collect();
                store.remove_each(paths).collect::<Result<(), Error>>()?;
                let (seen_to, _) = spool::seen_to(&self.spool, writer);
                spool::keep_seen_to(&self.spool, writer, SeenTo { removed: of.number, ..seen_to })?;
                gone.pop_front();
            }
        }
        Ok(())
    }
}

fn paths(replaces: Vec<Replaced>) -> Vec<String> {
    replaces.into_iter().map(|Replaced { path, .. }| path).collect()
}
