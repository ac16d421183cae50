//! What a question reads of the log: how many files of how many, and how far it has come.
//!
//! In: a plan. Out: the files that it names, by table, beside all of that table; its text for people; the files that are done.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::datasource::physical_plan::ParquetSource;
use datafusion::datasource::source::DataSourceExec;
use datafusion::object_store::path::Path as StorePath;
use datafusion::physical_plan::{ExecutionPlan, displayable};

use crate::audit::{Place, Snapshot};

/// The metric of a scan that counts the files that it is through with.
const FILES_DONE: &str = "files_processed";

/// Files of one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan {
    /// The table.
    pub table: &'static str,
    /// How many.
    pub files: u64,
    /// Their length.
    pub bytes: u64,
}

impl Scan {
    /// All of a table's.
    pub(super) fn whole(snapshot: &Snapshot) -> Scan {
        let bytes = snapshot.files.iter().map(|file| file.bytes).sum();
        Scan { table: snapshot.table.name, files: snapshot.files.len() as u64, bytes }
    }
}

/// The files of a question, and all files of its tables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scanned {
    /// By table: those that are opened, and all.
    pub tables: Vec<(Scan, Scan)>,
}

impl Scanned {
    pub(super) fn of(plan: &Arc<dyn ExecutionPlan>, place: &Place, tables: &[Scan]) -> Scanned {
        let here = place.local().and_then(|log| std::path::absolute(log).ok());
        let here = here.and_then(|log| StorePath::from_absolute_path(log).ok());
        let prefixes: Vec<StorePath> = here.into_iter().chain(stored(place)).collect();
        let mut opened: BTreeMap<StorePath, u64> = BTreeMap::new();
        let mut read = vec![false; tables.len()];
        let below = |path: &StorePath| {
            let first = |prefix: &StorePath| Some(path.prefix_match(prefix)?.next()?.as_ref().to_owned());
            prefixes.iter().filter_map(first).find(|first| tables.iter().any(|whole| whole.table == *first))
        };
        each_scan(plan, &mut |scan| {
            let Some((config, _)) = scan.downcast_to_file_source::<ParquetSource>() else { return };
            for file in config.file_groups.iter().flat_map(|group| group.files()) {
                opened.insert(file.object_meta.location.clone(), file.object_meta.size);
            }
        });
        let mut found: Vec<(Scan, Scan)> =
            tables.iter().map(|whole| (Scan { files: 0, bytes: 0, ..whole.clone() }, whole.clone())).collect();
        for (path, bytes) in opened {
            let table = below(&path);
            let at = tables.iter().position(|whole| table.as_deref() == Some(whole.table));
            if let Some(at) = at {
                read[at] = true;
                found[at].0.files += 1;
                found[at].0.bytes += bytes;
            }
        }
        let mut read = read.into_iter();
        found.retain(|_| read.next().unwrap_or_default());
        Scanned { tables: found }
    }

    /// Files that are opened.
    pub fn files(&self) -> u64 {
        self.tables.iter().map(|(opened, _)| opened.files).sum()
    }

    /// Their length.
    pub fn bytes(&self) -> u64 {
        self.tables.iter().map(|(opened, _)| opened.bytes).sum()
    }
}

/// What the names of the log's objects begin with in its store.
#[cfg(feature = "object-store")]
fn stored(place: &Place) -> Option<StorePath> {
    place.store().map(|store| store.location(""))
}

#[cfg(not(feature = "object-store"))]
fn stored(_place: &Place) -> Option<StorePath> {
    None
}

/// The plan as the engine shows it.
pub(super) fn explained(plan: &Arc<dyn ExecutionPlan>) -> String {
    displayable(plan.as_ref()).indent(false).to_string()
}

/// How many files a running plan is through with.
pub(super) fn files_done(plan: &Arc<dyn ExecutionPlan>) -> u64 {
    let mut done = 0_u64;
    each_scan(plan, &mut |scan| {
        let metrics = scan.metrics().and_then(|metrics| metrics.sum_by_name(FILES_DONE));
        done = done.saturating_add(metrics.map_or(0, |count| count.as_usize() as u64));
    });
    done
}

fn each_scan(plan: &Arc<dyn ExecutionPlan>, see: &mut dyn FnMut(&DataSourceExec)) {
    if let Some(scan) = plan.downcast_ref::<DataSourceExec>() {
        see(scan);
    }
    plan.children().into_iter().for_each(|child| each_scan(child, see));
}
