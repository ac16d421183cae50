//! A condition as terms: what all have to be TRUE for it to be TRUE, or of what one is enough.
//!
//! In: a condition. Out: [`Term`]s, each to be judged by itself: whoever has many records side by side asks one of a column's different
//! values, not of every record.

use super::tree::{Boolean, Comparison, Scope, Tri};
use super::{Condition, Moment};
use crate::record::{Column, Table, Value};

/// One of them.
pub struct Term<R: Table> {
    root: Boolean<R>,
    /// What it looks up: columns, each once.
    columns: Vec<&'static Column<R>>,
    /// Whether it looks at the clock.
    has_time: bool,
}

impl<R: Table> Condition<R> {
    /// The condition is TRUE where all of these are.
    pub fn all_of(&self) -> Vec<Term<R>> {
        let mut terms = Vec::new();
        flatten(&self.root, &|root| if let Boolean::All(parts) = root { Some(parts) } else { None }, &mut terms);
        terms
    }

    /// The condition is TRUE where one of these is.
    pub fn any_of(&self) -> Vec<Term<R>> {
        let mut terms = Vec::new();
        flatten(&self.root, &|root| if let Boolean::Any(parts) = root { Some(parts) } else { None }, &mut terms);
        terms
    }
}

type Parts<'f, R> = &'f dyn Fn(&Boolean<R>) -> Option<&Vec<Boolean<R>>>;

fn flatten<R: Table>(root: &Boolean<R>, parts: Parts<'_, R>, terms: &mut Vec<Term<R>>) {
    match parts(root) {
        Some(inner) => inner.iter().for_each(|part| flatten(part, parts, terms)),
        None => terms.push(Term::new(root.clone())),
    }
}

impl<R: Table> Term<R> {
    fn new(root: Boolean<R>) -> Term<R> {
        let (mut columns, mut has_time) = (Vec::<&'static Column<R>>::new(), false);
        root.columns(&mut |seen| match seen {
            Some(column) if columns.iter().any(|known| known.name == column.name) => {}
            Some(column) => columns.push(column),
            None => has_time = true,
        });
        Term { root, columns, has_time }
    }

    /// The one column that decides it; `None` where it takes more, or the clock.
    pub fn only_column(&self) -> Option<&'static Column<R>> {
        match (self.columns.as_slice(), self.has_time) {
            ([column], false) => Some(column),
            _ => None,
        }
    }

    /// Its columns, each once.
    pub fn columns(&self) -> &[&'static Column<R>] {
        &self.columns
    }

    /// Whether it is made of known columns only.
    pub fn knows(&self, known: &dyn Fn(&Column<R>) -> bool) -> bool {
        !self.has_time && self.columns.iter().all(|column| known(column))
    }

    /// Its answer for a record of which only some columns are known, at whatever time: NULL also where it depends on the rest.
    pub fn at_any_time(&self, record: &R, known: &dyn Fn(&Column<R>) -> bool) -> Tri {
        let zone = jiff::tz::TimeZone::UTC;
        let moment = Moment::new(record.common().at, &zone);
        self.root.partial(&Scope { record, moment: &moment }, &|seen| seen.is_some_and(known))
    }

    /// How it holds its only column against which number, where it is that.
    pub fn comparison(&self) -> Option<(Comparison, u64)> {
        match &self.root {
            Boolean::ColumnToConstant(comparison, _, constant) => Some((*comparison, *constant)),
            _ => None,
        }
    }

    /// Its answer for a record's value of its only column.
    pub fn of_value(&self, record: &mut R, value: Value<'_>) -> Tri {
        let Some(column) = self.only_column() else { return Tri::Unknown };
        put(column, record, value);
        self.at_any_time(record, &|_| true)
    }
}

/// Sets a column; a value that no vocabulary has is unknown, as where a record is read.
pub fn put<R>(column: &Column<R>, record: &mut R, value: Value<'_>) {
    if !(column.set)(record, value) && value != Value::Null {
        (column.set)(record, Value::Null);
    }
}
