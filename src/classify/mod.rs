//! From a database to a proposal: which columns are personal, and by which column people are counted.
//!
//! In: tables with their columns, keys, comments and tallies of sampled values; what is classified already. Out: a [`Proposal`] that says
//! why, as YAML that loads as `classification.yaml`, as text or as JSON. PURE but for `database`, which reads them. Holds no value: of a
//! sample only counts are kept.

// Tables and samples, read from a database.
pub mod database;
// Which columns, and why.
mod propose;
// Whose a row is.
mod subject;
// What a proposal looks like.
pub mod written;

use std::fmt;

use crate::catalog::Classification;
use crate::detect::Tally;

pub use self::propose::propose;

/// A table, a partitioned one as a whole, or a foreign one.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Its columns, in order.
    pub columns: Vec<Column>,
    /// The columns of its primary key.
    pub primary_key: Vec<String>,
    /// Columns of which each alone is unique and never null.
    pub unique: Vec<String>,
    /// What it references.
    pub references: Vec<Reference>,
    /// What came of the sample.
    pub sampled: Sampled,
}

/// A column.
#[derive(Clone, Debug, Default)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// `pg_type.typname`, of the base type where it is a domain.
    pub type_name: String,
    /// `pg_type.typcategory`.
    pub category: char,
    /// Its comment.
    pub comment: Option<String>,
    /// Its security labels.
    pub labels: Vec<String>,
    /// What its values look like.
    pub tally: Tally,
}

/// A foreign key of one column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The column.
    pub column: String,
    /// The table that it leads to: its schema …
    pub schema: String,
    /// … and its name …
    pub table: String,
    /// … and the column there.
    pub referenced: String,
}

/// What came of a table's sample.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Sampled {
    /// None was asked for.
    #[default]
    No,
    /// So many rows.
    Rows(usize),
    /// None, for this reason.
    Refused(String),
}

/// What is classified already, and by whom.
#[derive(Clone, Debug)]
pub struct Existing {
    /// It.
    pub classification: Classification,
    /// Whether a person wrote it: then what it says holds, and only the difference is proposed. The built-in one goes by names alone.
    pub is_written: bool,
}

/// What is proposed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proposal {
    /// Tables with something to propose, in order.
    pub tables: Vec<ForTable>,
    /// Tables looked at.
    pub tables_seen: usize,
    /// Columns looked at.
    pub columns_seen: usize,
    /// Columns that were classified already, and stay as they are.
    pub kept: usize,
    /// Tables that could not be sampled, and why.
    pub refused: Vec<(String, String)>,
}

/// What is proposed for a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForTable {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Whose a row is, and why.
    pub subject: Option<(String, String)>,
    /// What a person should know of it.
    pub notes: Vec<String>,
    /// Its columns, in order.
    pub columns: Vec<ForColumn>,
}

/// What is proposed for a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForColumn {
    /// Its name.
    pub name: String,
    /// The level.
    pub level: Degree,
    /// Why, one sentence each.
    pub reasons: Vec<String>,
}

/// A level that is proposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Degree {
    /// A name that only sounds personal.
    Internal,
    /// See [`What::is_sensitive`](crate::detect::What::is_sensitive).
    Personal,
    /// As above.
    Sensitive,
}

impl Degree {
    /// As a classification spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Degree::Internal => "internal",
            Degree::Personal => "personal",
            Degree::Sensitive => "sensitive",
        }
    }
}

impl fmt::Display for Degree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Proposal {
    /// Columns proposed at this level.
    pub fn count(&self, level: Degree) -> usize {
        self.tables.iter().flat_map(|table| &table.columns).filter(|column| column.level == level).count()
    }
}

#[cfg(test)]
mod tests;
