//! What names and OIDs mean in one database, which columns are personal, and whose they are.
//!
//! `snapshot`, `baited`, `bodies`, `built_in`, `columns`, `building`, `copied`, `functions`, `foreign`, `held`, `lineage`, `own`, `relations`, `carried`, `streams`, `shifted`, `suspected`, `consequences`, `classification`, `people`, `widths`, `questions` and `resolve` are PURE; `loader` is the one that does I/O: it reads the catalog over a
//! connection of its own, on a timer and after DDL. Without a connection, names alone are judged and records say
//! `catalog = "none"`.

mod baited;
mod bodies;
mod building;
mod built_in;
mod called;
mod carried;
mod classification;
mod columns;
mod computed;
mod consequences;
mod copied;
mod doubted;
mod foreign;
mod functions;
mod held;
mod lineage;
pub mod loader;
mod own;
mod people;
mod questions;
mod relations;
mod resolve;
mod set_off;
mod shifted;
pub mod snapshot;
mod streams;
mod suspected;
mod widths;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::sync::Notify;

use self::carried::Before;
pub use self::classification::{Classification, Level};
pub use self::consequences::{AtRisk, Consequences};
use self::doubted::{COUNTED_AFTER, Doubt};
pub use self::lineage::Kept;
use self::lineage::{Learned, Lineage};
pub use self::own::Own;
pub use self::people::{ByWire, PeopleRule};
use self::resolve::Resolver;
use self::snapshot::{Rows, Snapshot};
use self::suspected::Suspicion;
use crate::record::{CatalogState, Certainty, Kind, Text, Texts};
use crate::session::event::{Origin, Who};
use crate::session::{SharedSubjectColumns, SubjectColumns, Unclassified, Unsettled};
use crate::sql::{Analysis, Code, Stream};
use crate::tls::Outward;

/// Databases whose catalogs are kept. One more is judged by names alone.
const DATABASES_MAX: usize = 256;
/// Names that changes of the schema made uncertain, until the catalog is read again. One more is taken for what it was.
const SHIFTED_MAX: usize = 10_000;
/// Functions whose code is known by the statement that made them, until the catalog is read again. Of one more it is not.
const MADE_MAX: usize = 1_000;
/// Columns that nobody classified and that are told of. One more is not.
const TOLD_COLUMNS_MAX: usize = 10_000;

/// `[catalog]`, and where the classification lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `postgres://…` of a role that may read the system catalogs; `None`: names alone. Its database is replaced by
    /// each database that clients use.
    pub url: Option<String>,
    /// TLS, as sessions have it with the server; a URL may say `sslmode=disable` all the same.
    pub tls: Option<Outward>,
    /// How often the catalog is read again when nothing changed it.
    pub refresh: Duration,
}

impl Default for Config {
    fn default() -> Config {
        Config { url: None, tls: None, refresh: Duration::from_secs(300) }
    }
}

/// What resolution needs to know of the session.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Context {
    /// The database connected to.
    pub database: Text,
    /// The role in force; `$user` of the search path.
    pub role: Text,
    /// The role that logged in: its settings, and the database's, hold from the start.
    pub login: Text,
    /// The search path in force, as SET gave it; `None`: the login's default.
    pub search_path: Option<Vec<Text>>,
    /// What the session has made for itself.
    pub own: Arc<Own>,
}

/// What a statement really touched: text, catalog and wire combined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Understanding {
    /// Base relations read, `schema.table`, behind views too; sorted, distinct.
    pub relations_read: Vec<Text>,
    /// Base relations written.
    pub relations_written: Vec<Text>,
    /// Classified columns that reached the client, `schema.table.column`; sorted, distinct.
    pub columns: Vec<Text>,
    /// The highest classification among `columns`.
    pub level: Option<Text>,
    /// Whether any of `columns` is of level `personal` or above.
    pub personal: bool,
    /// How people are counted.
    pub people: PeopleRule,
    /// Whose the subject columns of the result are, by which the wire counts people.
    pub by_wire: ByWire,
    /// How far `columns` can be relied on.
    pub certainty: Certainty,
    /// What was known of the catalog.
    pub state: CatalogState,
    /// What follows from it for later statements, where it succeeds.
    pub consequences: Consequences,
    /// What an error may quote, where it fails.
    pub at_risk: AtRisk,
    /// What code may say as it runs.
    pub raised: AtRisk,
}

/// What is known of every database in use. Cheap to clone; shared by the analysis, the data plane and the loader.
#[derive(Clone)]
pub struct Catalog {
    inner: Arc<Inner>,
}

struct Inner {
    classification: ArcSwap<Classification>,
    databases: RwLock<HashMap<Text, Database>>,
    /// Rises with every change of the two.
    version: AtomicU64,
    /// What was kept of databases that nobody has used since.
    kept: RwLock<Vec<Kept>>,
    /// There is more to keep, by what was read.
    grew: AtomicBool,
    /// Columns that nobody classified and that look personal, by database: those that were told of.
    told: Mutex<HashSet<(Text, Text)>>,
    wake: Notify,
}

/// Of how many databases the catalog is known, and how well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Freshness {
    /// Read, and no change seen since.
    pub fresh: usize,
    /// A change was seen that is not read yet, or the last reading failed.
    pub stale: usize,
    /// Never read.
    pub none: usize,
    /// How long ago the one was read that was read longest ago.
    pub oldest: Option<Duration>,
}

#[derive(Default)]
struct Database {
    snapshot: Option<Arc<Snapshot>>,
    /// Kept so that another classification can be laid over them.
    rows: Arc<Rows>,
    subjects: SharedSubjectColumns,
    unsettled: Arc<Unsettled>,
    lineage: Arc<Lineage>,
    stale: bool,
    /// When it was read last.
    read_at: Option<Instant>,
    /// A change was seen that no reading begun before it can hold.
    changes: u64,
    /// Names that these changes made uncertain.
    shifted: Arc<BTreeSet<Text>>,
    suspicion: Suspicion,
    doubt: Doubt,
    /// Functions that were made since the catalog was read.
    made: Arc<HashMap<Text, Arc<Code>>>,
}

impl Database {
    /// Takes one thing that was kept before a restart.
    fn restore(&mut self, mut kept: Kept) {
        match kept.take_counted() {
            Some(before) => self.doubt.resume(before, COUNTED_AFTER),
            None => Arc::make_mut(&mut self.lineage).restore(kept),
        }
    }

    /// Another snapshot is in force. True where its tables are to be written down anew.
    fn took(&mut self, name: &Text, snapshot: Snapshot, classification: &Classification) -> bool {
        self.subjects = to_be_read(&snapshot, classification, &self.unsettled);
        let identities = lineage::identities(name, &snapshot, classification);
        self.snapshot = Some(Arc::new(snapshot));
        let changed = self.lineage.identities != identities;
        if changed {
            Arc::make_mut(&mut self.lineage).identities = identities;
        }
        changed
    }
}

/// What the data plane reads of results.
fn to_be_read(
    snapshot: &Snapshot,
    classification: &Classification,
    unsettled: &Arc<Unsettled>,
) -> SharedSubjectColumns {
    Arc::new(SubjectColumns {
        columns: snapshot.subject_columns(),
        unclassified: Some(Unclassified {
            classified: snapshot.classified_columns(),
            unsettled: Arc::clone(unsettled),
        }),
        baits: snapshot.baits(classification),
    })
}

impl Catalog {
    /// A catalog that knows nothing but the classification.
    pub fn new(classification: Classification) -> Catalog {
        let inner = Inner {
            classification: ArcSwap::from_pointee(classification),
            databases: RwLock::default(),
            version: AtomicU64::new(0),
            kept: RwLock::default(),
            grew: AtomicBool::new(false),
            told: Mutex::default(),
            wake: Notify::new(),
        };
        Catalog { inner: Arc::new(inner) }
    }

    /// What a statement really touched. `wire`: the result's columns, as RowDescription had them.
    pub fn understand(&self, analysis: &Analysis, context: &Context, wire: Option<&[Origin]>) -> Understanding {
        let classification = self.inner.classification.load();
        let known = |database: &Database| {
            let (lineage, shifted) = (Arc::clone(&database.lineage), Arc::clone(&database.shifted));
            let suspected = database.suspicion.is_open();
            let snapshot = database.snapshot.clone();
            let is_unfinished = snapshot.as_ref().is_some_and(|snapshot| snapshot.is_unfinished());
            let doubted = database.doubt.is_open() || database.lineage.is_doubted || is_unfinished;
            (snapshot, database.stale, lineage, shifted, suspected, doubted, Arc::clone(&database.made))
        };
        let (snapshot, stale, lineage, shifted, suspected, doubted, made) =
            self.read().get(&context.database).map_or_else(Default::default, known);
        let state = match (&snapshot, stale) {
            (None, _) => CatalogState::None,
            (_, true) => CatalogState::Stale,
            (_, false) => CatalogState::Fresh,
        };
        let others = match &analysis.doors.stream {
            Some(Stream::Everything) => self.read().values().filter_map(|database| database.snapshot.clone()).collect(),
            _ => Vec::new(),
        };
        let resolver = Resolver {
            others: &others,
            classification: &classification,
            snapshot: snapshot.as_deref(),
            state,
            context,
            lineage: &lineage,
            shifted: &shifted,
            suspected,
            doubted: doubted || context.own.is_unfollowed,
            made: &made,
        };
        resolver.understand(analysis, wire)
    }

    /// The name of a function that was called by its OID.
    pub fn function_named(&self, database: &str, oid: u32) -> Option<Text> {
        let snapshot = self.read().get(database).and_then(|database| database.snapshot.clone());
        let known = snapshot.and_then(|snapshot| snapshot.function_named(oid).cloned());
        known.or_else(|| built_in::of_large_objects(oid).map(Text::from))
    }

    /// Another one wherever [`Catalog::understand`] may say something else than before.
    pub fn version(&self) -> u64 {
        self.inner.version.load(Ordering::Acquire)
    }

    /// The columns of a database that name data subjects.
    pub fn subject_columns(&self, database: &str) -> SharedSubjectColumns {
        self.read().get(database).map(|database| Arc::clone(&database.subjects)).unwrap_or_default()
    }

    /// The roles that a role is a member of, directly or not, sorted; `None` where the database's catalog is not known.
    pub fn member_of(&self, database: &str, role: &str) -> Option<Texts> {
        self.read().get(database)?.snapshot.as_ref().map(|snapshot| snapshot.member_of(role))
    }

    /// The same of whoever logged in.
    pub fn member_of_login(&self, who: &Who) -> Option<Texts> {
        self.member_of(who.database.as_deref()?, who.db_user.as_deref()?)
    }

    /// Of baits that were found in a statement's data, those that it can have returned. In the data of COPY they are found by their value
    /// alone: only relations that it reads can have them. `relations`: `None` where they are not known.
    pub fn baits_of(&self, database: &str, kind: Kind, relations: Option<&[Text]>, found: &[Text]) -> Texts {
        if found.is_empty() || kind == Kind::Replication {
            return Texts::default();
        }
        let (Kind::CopyOut, Some(relations)) = (kind, relations) else { return found.into() };
        let snapshot = self.read().get(database).and_then(|database| database.snapshot.clone());
        let classification = self.inner.classification.load();
        let read = relations.iter().filter_map(|name| {
            let (schema, table) = name.split_once('.')?;
            snapshot.as_ref()?.named(schema, table)
        });
        let there: HashSet<&Text> =
            read.flat_map(|relation| relation.baits(&classification)).map(|bait| &bait.name).collect();
        found.iter().filter(|name| there.contains(name)).cloned().collect()
    }

    /// The name of a column that nobody classified, `schema.table.column`, to be told of now; `None` where it has a level by now, has no
    /// name, or was told of.
    pub fn tell_unclassified(&self, database: &str, table_oid: u32, attribute: i16) -> Option<Text> {
        let snapshot = self.read().get(database)?.snapshot.clone()?;
        let relation = snapshot.relation(table_oid)?;
        if relation.classified.contains_key(&attribute) {
            return None;
        }
        let name = Text::from(format!("{}.{}", relation.name, relation.column_named(attribute)?));
        self.told_already(database.into(), name.clone()).then_some(name)
    }

    /// Takes note of a column that was told of. False where that is known.
    pub fn told_already(&self, database: Text, column: Text) -> bool {
        let mut told = self.inner.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.len() < TOLD_COLUMNS_MAX && told.insert((database, column))
    }

    /// The schemas in which an unqualified name may be found that none of `paths`, nor the default one, leads to; all that have
    /// it, if the path in force may be `any`. None where the catalog is not known: names alone are judged then.
    pub fn other_schemas_with(&self, database: &str, name: &str, paths: &[Vec<Text>], any: bool) -> Vec<Text> {
        let snapshot = self.read().get(database).and_then(|database| database.snapshot.clone());
        let Some(snapshot) = snapshot else { return Vec::new() };
        let known = |schema: &Text| snapshot.named(schema, name).is_some();
        let led = snapshot.named("pg_catalog", name).is_some()
            || snapshot.begun_with().all(|path| path.iter().any(known))
            || paths.iter().any(|path| path.iter().any(known));
        if led && !any { Vec::new() } else { snapshot.schemas_with(name) }
    }

    /// Whether a column of this name may be classified.
    fn may_classify(&self, column: &str) -> bool {
        self.inner.classification.load().may_have(column)
    }

    /// Whether a database's catalog has been read, and no change seen since.
    pub fn is_fresh(&self, database: &str) -> bool {
        self.read().get(database).is_some_and(|database| database.snapshot.is_some() && !database.stale)
    }

    /// How much is known of the databases in use.
    pub fn freshness(&self) -> Freshness {
        let mut freshness = Freshness::default();
        for database in self.read().values() {
            match (&database.snapshot, database.stale) {
                (None, _) => freshness.none = freshness.none.saturating_add(1),
                (Some(_), true) => freshness.stale = freshness.stale.saturating_add(1),
                (Some(_), false) => freshness.fresh = freshness.fresh.saturating_add(1),
            }
            freshness.oldest = freshness.oldest.max(database.read_at.map(|at| at.elapsed()));
        }
        freshness
    }

    /// A session uses this database: its catalog will be read.
    pub fn seen(&self, database: &str) {
        if self.read().contains_key(database) {
            return;
        }
        let mut databases = self.write();
        if databases.len() < DATABASES_MAX {
            let mut new = Database::default();
            let mut kept = self.inner.kept.write().unwrap_or_else(PoisonError::into_inner);
            kept.extract_if(.., |kept| **Lineage::database(kept) == *database).for_each(|kept| new.restore(kept));
            databases.insert(database.into(), new);
            self.inner.wake.notify_one();
        }
    }

    /// Takes what follows from a statement that succeeded. `alone`: it was its own transaction. True where there is more, or
    /// less, to keep.
    pub fn learn(&self, database: &str, own: &mut Arc<Own>, follows: &Consequences, alone: bool) -> bool {
        self.learn_own(own, follows);
        let everybodys: Vec<&Learned> = follows.learned.iter().filter(|learned| !learned.temporary).collect();
        let is_nothing = everybodys.is_empty() && follows.large_objects.is_empty() && follows.sent.is_empty();
        if is_nothing && follows.made.is_none() {
            return false;
        }
        let classification = self.inner.classification.load();
        let mut databases = self.write();
        let Some(database) = databases.get_mut(database) else { return false };
        if let Some((name, code)) = follows.made.clone().filter(|_| database.made.len() < MADE_MAX) {
            Arc::make_mut(&mut database.made).insert(name, code);
        }
        let lineage = Arc::make_mut(&mut database.lineage);
        follows.sent.iter().for_each(|sent| lineage.send(sent, &classification));
        let mut changed = lineage.fill_large_objects(&follows.large_objects, &classification);
        for learned in everybodys {
            changed |= lineage.learn(learned, alone);
        }
        if changed {
            // Views and functions over what was filled are to be followed again.
            database.stale = true;
            database.changes = database.changes.saturating_add(1);
            self.inner.wake.notify_one();
            self.changed_now();
        }
        changed
    }

    /// What of it only the session has: its temporary tables and its settings.
    pub fn learn_own(&self, own: &mut Arc<Own>, follows: &Consequences) {
        let mine: Vec<&Learned> = follows.learned.iter().filter(|learned| learned.temporary).collect();
        if mine.is_empty() && follows.settings.is_empty() && !follows.sets_path && !follows.opaque {
            return;
        }
        let own = Arc::make_mut(own);
        mine.into_iter().for_each(|learned| own.learn(learned));
        own.fill_settings(&follows.settings, &self.inner.classification.load());
        own.path_unknown |= follows.sets_path;
        if follows.opaque {
            own.shaken();
        }
    }

    /// What is known of where classified columns went, of every database.
    pub fn kept(&self) -> Vec<Kept> {
        let mut kept = self.inner.kept.read().unwrap_or_else(PoisonError::into_inner).clone();
        for (name, database) in self.read().iter() {
            kept.extend(database.lineage.kept(name));
            kept.extend(database.doubt.counted_before().map(|before| Kept::open_doubt(name, before)));
        }
        kept
    }

    /// Whether there is more to keep since this was asked last, by what was read of the catalog.
    pub fn has_grown(&self) -> bool {
        self.inner.grew.swap(false, Ordering::Relaxed)
    }

    /// Takes what was kept before a restart.
    pub fn restore(&self, mut kept: Vec<Kept>) {
        let classification = self.inner.classification.load();
        for (name, database) in self.write().iter_mut() {
            let read_since = std::mem::take(&mut Arc::make_mut(&mut database.lineage).identities);
            kept.extract_if(.., |kept| Lineage::database(kept) == name).for_each(|kept| database.restore(kept));
            let lineage = Arc::make_mut(&mut database.lineage);
            if database.snapshot.is_some() {
                let before = lineage::remembered(&lineage.identities, &database.rows, &classification);
                let before = Before { snapshot: &before, rows: &Rows::default(), is_written_down: true };
                let (snapshot, _) = carried::build(Some(&before), &database.rows, &classification, lineage);
                lineage.identities = read_since;
                database.took(name, snapshot, &classification);
                self.inner.grew.store(true, Ordering::Relaxed);
            }
        }
        *self.inner.kept.write().unwrap_or_else(PoisonError::into_inner) = kept;
        // A doubt that was open wants the server's counts.
        self.inner.wake.notify_one();
        self.changed_now();
    }

    /// The same of a transaction that is over.
    pub fn schema_settled(&self, database: &str, names: &[Text]) {
        if let Some(database) = self.write().get_mut(database) {
            Arc::make_mut(&mut database.lineage).settle_views();
        }
        self.schema_changed(database, names);
    }

    /// DDL passed: what is known of this database is stale until it has been read again, and of these names the worst is assumed.
    pub fn schema_changed(&self, database: &str, names: &[Text]) {
        if let Some(database) = self.write().get_mut(database) {
            if !names.is_empty() && database.shifted.len() < SHIFTED_MAX {
                Arc::make_mut(&mut database.shifted).extend(names.iter().cloned());
            }
            database.stale = true;
            database.changes = database.changes.saturating_add(1);
            self.inner.wake.notify_one();
        }
        self.changed_now();
    }

    /// Another classification is in force from now on, for every database.
    pub fn set_classification(&self, classification: Classification) {
        for database in self.write().values_mut().filter(|database| database.snapshot.is_some()) {
            let snapshot =
                Snapshot::build(&database.rows, &classification, &database.lineage, database.snapshot.as_deref());
            database.subjects = to_be_read(&snapshot, &classification, &database.unsettled);
            database.snapshot = Some(Arc::new(snapshot));
        }
        self.inner.classification.store(Arc::new(classification));
        self.changed_now();
    }

    /// What was read of a database last.
    fn rows(&self, database: &str) -> Arc<Rows> {
        self.read().get(database).map(|database| Arc::clone(&database.rows)).unwrap_or_default()
    }

    /// Changes seen in a database so far; to be asked before it is read.
    fn changes(&self, database: &str) -> u64 {
        self.read().get(database).map_or(0, |database| database.changes)
    }

    /// Takes what was read of a database, by a reading that began after so many changes.
    fn put(&self, database: &str, rows: Rows, changes: u64) {
        let all = |known: &Database| (Arc::clone(&known.lineage), known.snapshot.clone(), Arc::clone(&known.rows));
        let (mut lineage, before, rows_before) = self.read().get(database).map(all).unwrap_or_default();
        let classification = self.inner.classification.load();
        let is_written_down = before.is_none();
        let before = before.or_else(|| {
            let kept = (!lineage.identities.is_empty()).then_some(&lineage.identities)?;
            Some(Arc::new(lineage::remembered(kept, &rows, &classification)))
        });
        let (mut written, mut was_open) = (BTreeSet::new(), false);
        if let Some(known) = self.write().get_mut(database) {
            was_open = known.doubt.is_open();
            written = known.doubt.was_read(&rows).unwrap_or_default();
        }
        Arc::make_mut(&mut lineage).doubt(&written);
        let before = before.as_deref().map(|snapshot| Before { snapshot, rows: &rows_before, is_written_down });
        let (snapshot, carried) = carried::build(before.as_ref(), &rows, &classification, Arc::make_mut(&mut lineage));
        if let Some(known) = self.write().get_mut(database) {
            Arc::make_mut(&mut known.lineage).doubt(&written);
            // Not before it is there: else it is written down without it, and no more.
            self.inner.grew.fetch_or(was_open, Ordering::Relaxed);
            for carried in &carried {
                Arc::make_mut(&mut known.lineage).learn(carried, false);
                self.inner.grew.store(true, Ordering::Relaxed);
            }
            if known.took(&database.into(), snapshot, &classification) {
                self.inner.grew.store(true, Ordering::Relaxed);
            }
            known.rows = Arc::new(rows);
            known.stale = known.changes != changes;
            known.read_at = Some(Instant::now());
            known.suspicion.was_read();
            if !known.stale {
                known.shifted = Arc::default();
                known.made = Arc::default();
                if Arc::make_mut(&mut known.lineage).forget_new_views(&known.rows) {
                    self.inner.grew.store(true, Ordering::Relaxed);
                }
            }
        }
        self.changed_now();
    }

    fn wanted(&self) -> Vec<Text> {
        self.read().keys().cloned().collect()
    }

    fn failed(&self, database: &str) {
        if let Some(database) = self.write().get_mut(database) {
            database.stale = true;
        }
        self.changed_now();
    }

    /// To be called behind every change.
    fn changed_now(&self) {
        self.inner.version.fetch_add(1, Ordering::Release);
    }

    async fn changed(&self) {
        self.inner.wake.notified().await;
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, HashMap<Text, Database>> {
        self.inner.databases.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, HashMap<Text, Database>> {
        self.inner.databases.write().unwrap_or_else(PoisonError::into_inner)
    }
}
