//! What names and OIDs mean in one database, which columns are personal, and whose they are.
//!
//! `snapshot`, `classification` and `resolve` are PURE; `loader` is the one that does I/O: it reads the catalog over a
//! connection of its own, on a timer and after DDL. Without a connection, names alone are judged and records say
//! `catalog = "none"`.

use std::time::Duration;

use crate::record::{CatalogState, Certainty, Text};

/// `[catalog]`, and where the classification lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `postgres://…` of a role that may read the system catalogs; `None`: names alone. Its database is replaced by
    /// each database that clients use.
    pub url: Option<String>,
    /// How often the catalog is read again when nothing changed it.
    pub refresh: Duration,
}

impl Default for Config {
    fn default() -> Config {
        Config { url: None, refresh: Duration::from_secs(300) }
    }
}

/// What resolution needs to know of the session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
