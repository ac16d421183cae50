//! What names and OIDs mean in one database, which columns are personal, and whose they are.
//!
//! `snapshot`, `functions`, `classification` and `resolve` are PURE; `loader` is the one that does I/O: it reads the catalog over a
//! connection of its own, on a timer and after DDL. Without a connection, names alone are judged and records say
//! `catalog = "none"`.

mod classification;
mod functions;
pub mod loader;
mod resolve;
pub mod snapshot;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::Notify;

pub use self::classification::{Classification, Level};
use self::resolve::Resolver;
use self::snapshot::{Rows, Snapshot};
use crate::record::{CatalogState, Certainty, Text};
use crate::session::SharedSubjectColumns;
use crate::session::event::Origin;
use crate::sql::Analysis;
use crate::tls::Outward;

/// Databases whose catalogs are kept. One more is judged by names alone.
const DATABASES_MAX: usize = 256;

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
    /// The search path in force, as SET gave it; `None`: the database's default.
    pub search_path: Option<Vec<Text>>,
}

/// How people are counted where the wire did not count them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeopleRule {
    /// No personal column reaches the client.
    Nobody,
    /// Every row returned is one data subject of its own (a unique subject column, one table, no join).
    EachRowOne,
    /// Every row returned is taken for one data subject, because it can't be known.
    AtMostOneEachRow,
    /// Many people may be in one value: taken from the bytes, and from how many there are, where that is known.
    Estimated {
        /// Rows of the relations that they come from, as the server's statistics have it.
        most: Option<u64>,
    },
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
    /// How far `columns` can be relied on.
    pub certainty: Certainty,
    /// What was known of the catalog.
    pub state: CatalogState,
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
    wake: Notify,
}

#[derive(Default)]
struct Database {
    snapshot: Option<Arc<Snapshot>>,
    /// Kept so that another classification can be laid over them.
    rows: Arc<Rows>,
    subjects: SharedSubjectColumns,
    stale: bool,
    /// A change was seen that no reading begun before it can hold.
    changes: u64,
}

impl Catalog {
    /// A catalog that knows nothing but the classification.
    pub fn new(classification: Classification) -> Catalog {
        let inner = Inner {
            classification: ArcSwap::from_pointee(classification),
            databases: RwLock::default(),
            version: AtomicU64::new(0),
            wake: Notify::new(),
        };
        Catalog { inner: Arc::new(inner) }
    }

    /// What a statement really touched. `wire`: the result's columns, as RowDescription had them.
    pub fn understand(&self, analysis: &Analysis, context: &Context, wire: Option<&[Origin]>) -> Understanding {
        let classification = self.inner.classification.load();
        let (snapshot, stale) = self
            .read()
            .get(&context.database)
            .map_or((None, false), |database| (database.snapshot.clone(), database.stale));
        let state = match (&snapshot, stale) {
            (None, _) => CatalogState::None,
            (Some(_), true) => CatalogState::Stale,
            (Some(_), false) => CatalogState::Fresh,
        };
        let resolver = Resolver { classification: &classification, snapshot: snapshot.as_deref(), state, context };
        resolver.understand(analysis, wire)
    }

    /// Another one wherever [`Catalog::understand`] may say something else than before.
    pub fn version(&self) -> u64 {
        self.inner.version.load(Ordering::Acquire)
    }

    /// The columns of a database that name data subjects.
    pub fn subject_columns(&self, database: &str) -> SharedSubjectColumns {
        self.read().get(database).map(|database| Arc::clone(&database.subjects)).unwrap_or_default()
    }

    /// Whether a database's catalog has been read, and no change seen since.
    pub fn is_fresh(&self, database: &str) -> bool {
        self.read().get(database).is_some_and(|database| database.snapshot.is_some() && !database.stale)
    }

    /// A session uses this database: its catalog will be read.
    pub fn seen(&self, database: &str) {
        if self.read().contains_key(database) {
            return;
        }
        let mut databases = self.write();
        if databases.len() < DATABASES_MAX {
            databases.insert(database.into(), Database::default());
            self.inner.wake.notify_one();
        }
    }

    /// DDL passed: what is known of this database is stale until it has been read again.
    pub fn schema_changed(&self, database: &str) {
        if let Some(database) = self.write().get_mut(database) {
            database.stale = true;
            database.changes = database.changes.saturating_add(1);
            self.inner.wake.notify_one();
        }
        self.changed_now();
    }

    /// Another classification is in force from now on, for every database.
    pub fn set_classification(&self, classification: Classification) {
        for database in self.write().values_mut().filter(|database| database.snapshot.is_some()) {
            let snapshot = Snapshot::build(&database.rows, &classification);
            database.subjects = Arc::new(snapshot.subject_columns());
            database.snapshot = Some(Arc::new(snapshot));
        }
        self.inner.classification.store(Arc::new(classification));
        self.changed_now();
    }

    /// Changes seen in a database so far; to be asked before it is read.
    fn changes(&self, database: &str) -> u64 {
        self.read().get(database).map_or(0, |database| database.changes)
    }

    /// Takes what was read of a database, by a reading that began after so many changes.
    fn put(&self, database: &str, rows: Rows, changes: u64) {
        let snapshot = Snapshot::build(&rows, &self.inner.classification.load());
        let subjects = Arc::new(snapshot.subject_columns());
        if let Some(known) = self.write().get_mut(database) {
            known.snapshot = Some(Arc::new(snapshot));
            known.rows = Arc::new(rows);
            known.subjects = subjects;
            known.stale = known.changes != changes;
        }
        self.changed_now();
    }

    fn wanted(&self) -> Vec<Text> {
        self.read().keys().cloned().collect()
    }

    fn is_stale(&self, database: &str) -> bool {
        self.read().get(database).is_some_and(|database| database.stale)
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
