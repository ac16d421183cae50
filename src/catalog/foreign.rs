//! Foreign tables: what each stands for, and what is classified in it.
//!
//! In: the names of tables and columns that a foreign table's options give. Out: the level and the subject column that the
//! classification has for those names. PURE. The other server is not asked: its own comments and labels are not seen, so that what is said of columns
//! which are not classified here is never `exact`; and a classification is by names, whichever server has them.

use std::collections::HashMap;

use super::classification::{Classification, Level};
use super::snapshot::{Oid, Rows};
use crate::record::Text;

/// See the module.
pub(super) struct Foreign<'a> {
    tables: HashMap<Oid, (&'a Text, &'a Text)>,
    columns: HashMap<(Oid, i16), &'a Text>,
}

impl<'a> Foreign<'a> {
    /// Those of a database.
    pub(super) fn of(rows: &'a Rows) -> Foreign<'a> {
        Foreign {
            tables: rows.foreign.iter().map(|(oid, schema, table)| (*oid, (schema, table))).collect(),
            columns: rows.foreign_columns.iter().map(|(oid, number, name)| ((*oid, *number), name)).collect(),
        }
    }

    /// Whether a table is another server's.
    pub(super) fn has(&self, oid: Oid) -> bool {
        self.tables.contains_key(&oid)
    }

    /// The schema and name of what a table stands for.
    pub(super) fn table(&self, oid: Oid) -> Option<(Text, Text)> {
        self.tables.get(&oid).map(|(schema, table)| ((*schema).clone(), (*table).clone()))
    }

    fn name(&self, oid: Oid, number: i16, here: &'a Text) -> &'a Text {
        self.columns.get(&(oid, number)).copied().unwrap_or(here)
    }

    /// The level of what a column stands for.
    pub(super) fn level(
        &self,
        oid: Oid,
        number: i16,
        here: &'a Text,
        classification: &Classification,
    ) -> Option<Level> {
        let (schema, table) = self.tables.get(&oid)?;
        classification.level(schema, table, self.name(oid, number, here))
    }

    /// The column that stands for the subject column.
    pub(super) fn subject(
        &self,
        oid: Oid,
        columns: &[(i16, &'a Text)],
        classification: &Classification,
    ) -> Option<i16> {
        let (schema, table) = self.tables.get(&oid)?;
        let subject = classification.subject(schema, table)?;
        let found = columns.iter().find(|(number, here)| **self.name(oid, *number, here) == *subject);
        found.map(|(number, _)| *number)
    }
}
