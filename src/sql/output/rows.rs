//! Which columns are of one row, and so of one person: a query that pairs people, or picks several one by one, has more than one in a row of its result.
//!
//! In: relations and columns as they are come by. Out: a number for each row that is picked by itself.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

use super::{Column, ColumnRef};
use crate::sql::{Joined, RelationName};

/// References of one statement. With more, its columns are not followed.
const REFS_MAX: usize = 1 << 14;

/// Gives each row a number, from 1, and remembers which of them are joined, and the tables. Counts the references that are made, too.
#[derive(Debug, Default)]
pub(super) struct Rows {
    last: Cell<u16>,
    made: Cell<usize>,
    grows: Cell<bool>,
    joined: RefCell<Vec<Joined>>,
    tables: RefCell<BTreeSet<RelationName>>,
}

impl Rows {
    /// The row of a table in FROM.
    pub(super) fn of(&self, table: &RelationName) -> u16 {
        self.tables.borrow_mut().insert(table.clone());
        self.next()
    }

    pub(super) fn next(&self) -> u16 {
        self.last.set(self.last.get().saturating_add(1));
        self.last.get()
    }

    /// Wherever there is a row of `of`, its column is what one of `to` is.
    pub(super) fn join(&self, of: &ColumnRef, to: &ColumnRef) {
        if let (Some(of_column), Some(to_column)) = (&of.column, &to.column) {
            let sought = [of, to].into_iter().filter(|found| found.sought.is_some());
            let provided = sought.map(|found| ColumnRef { row: 0, ..found.clone() }).collect();
            let (of, to) = ((of.row, of_column.clone()), (to.row, to_column.clone()));
            self.joined.borrow_mut().push(Joined { of, to, provided });
        }
    }

    /// A value grows from row to row.
    pub(super) fn grow(&self) {
        self.grows.set(true);
    }

    pub(super) fn has_growing(&self) -> bool {
        self.grows.get()
    }

    /// What is joined, and the tables.
    pub(super) fn into_parts(self) -> (Vec<Joined>, BTreeSet<RelationName>) {
        (self.joined.into_inner(), self.tables.into_inner())
    }

    /// Rows of a second query stand for those of a first one from now on, by pairs of numbers: what these are joined to counts where both are. `second`:
    /// all rows of it, of which some may be the first one's already.
    fn merge(&self, pairs: &[(u16, u16)], second: &BTreeSet<u16>) {
        let into: BTreeMap<u16, u16> = pairs.iter().copied().collect();
        let merged: BTreeSet<u16> = into.values().copied().collect();
        let row = |row: u16| into.get(&row).copied().unwrap_or(row);
        let mut joined = self.joined.borrow_mut();
        let is_of_second = |joined: &&Joined| second.contains(&joined.of.0) && !merged.contains(&joined.to.0);
        let of_first = |Joined { of, to, provided }: &Joined| {
            let (of, to) = ((row(of.0), of.1.clone()), (row(to.0), to.1.clone()));
            Joined { of, to, provided: provided.clone() }
        };
        let both: BTreeSet<Joined> = joined.iter().filter(is_of_second).map(of_first).collect();
        joined.retain(|joined| {
            let (of, to) = (joined.of.0, joined.to.0);
            let is_in_question = merged.contains(&of) || second.contains(&of) && merged.contains(&to);
            !is_in_question || both.contains(joined)
        });
    }

    /// Takes references, and what they depend on, for made.
    pub(super) fn make(&self, refs: &[ColumnRef]) {
        let sought = refs.iter().filter_map(|found| found.sought.as_deref()).map(|sought| sought.before.len() / 4);
        let made = sought.fold(refs.len().saturating_add(1), usize::saturating_add);
        self.made.set(self.made.get().saturating_add(made));
    }

    /// Whether there are more than are followed: then no more are made.
    pub(super) fn are_too_many(&self) -> bool {
        self.made.get() > REFS_MAX || self.last.get() == u16::MAX
    }

    /// The columns of a query that is read once more: the rows are others.
    pub(super) fn anew(&self, columns: &[Column]) -> Vec<Column> {
        columns.iter().for_each(|column| self.make(&column.refs));
        if self.are_too_many() {
            return Vec::new();
        }
        let mut known: Vec<(u16, u16)> = Vec::new();
        let mut anew = |found: &ColumnRef| {
            let row = match known.iter().find(|(before, _)| *before == found.row) {
                Some((_, row)) => *row,
                None => {
                    let row = self.next();
                    known.push((found.row, row));
                    row
                }
            };
            ColumnRef { row, ..found.clone() }
        };
        let one =
            |column: &Column| Column { name: column.name.clone(), refs: column.refs.iter().map(&mut anew).collect() };
        let columns = columns.iter().map(one).collect();
        let row = |row: u16| known.iter().find(|(before, _)| *before == row).map(|(_, row)| *row);
        let again = |joined: &Joined| {
            let (of, to) = (row(joined.of.0)?, row(joined.to.0)?);
            let (of, to) = ((of, joined.of.1.clone()), (to, joined.to.1.clone()));
            Some(Joined { of, to, provided: joined.provided.clone() })
        };
        let joined: Vec<Joined> = self.joined.borrow().iter().filter_map(again).collect();
        self.joined.borrow_mut().extend(joined);
        columns
    }

    /// What an aggregate, or a window function, takes of one row of several.
    pub(super) fn picked(&self, refs: Vec<ColumnRef>) -> Vec<ColumnRef> {
        if refs.is_empty() {
            return refs;
        }
        let row = self.next();
        refs.into_iter().map(|found| ColumnRef { row, ..found }).collect()
    }
}

/// The columns of a second query that is put behind a first one: a row of the result is of the one or of the other.
pub(super) fn aligned(first: &[Column], second: Vec<Column>, all: &Rows) -> Vec<Column> {
    let refs = |columns: &[Column]| {
        let mut rows: Vec<ColumnRef> = Vec::new();
        for found in columns.iter().flat_map(|column| &column.refs) {
            if !rows.iter().any(|other| other.row == found.row) {
                rows.push(found.clone());
            }
        }
        rows
    };
    let (mut free, own) = (refs(first), refs(&second));
    let is_own = |row: u16| own.iter().any(|found| found.row == row);
    free.retain(|found| !is_own(found.row));
    let mut pairs: Vec<(u16, u16)> = Vec::new();
    for found in &own {
        if let Some(place) = free.iter().position(|other| other.relation == found.relation) {
            pairs.push((found.row, free.remove(place).row));
        }
    }
    all.merge(&pairs, &own.iter().map(|found| found.row).collect());
    let row = |row: u16| pairs.iter().find(|(from, _)| *from == row).map_or(row, |(_, into)| *into);
    let one = |found: ColumnRef| ColumnRef { row: row(found.row), ..found };
    second
        .into_iter()
        .map(|column| Column { name: column.name, refs: column.refs.into_iter().map(one).collect() })
        .collect()
}

/// Whether a function gives a value of one row of several, as it is.
pub(in crate::sql) fn picks(function: &str) -> bool {
    const PICKING: [&str; 11] = [
        "min",
        "max",
        "mode",
        "any_value",
        "percentile_disc",
        "first_value",
        "last_value",
        "nth_value",
        "lag",
        "lead",
        "first",
    ];
    PICKING.iter().any(|name| name.eq_ignore_ascii_case(function))
}
