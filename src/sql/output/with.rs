//! WITH: the columns of its queries. Of one that reads itself, whatever a column comes to hold, row after row.
//!
//! In: a WITH, and what its queries may read. Out: names and columns. What is read before it stands there (with RECURSIVE it may) is followed first. A
//! value that grows from row to row holds many rows' values, and that is said.

use std::collections::{BTreeSet, HashMap};
use std::ops::ControlFlow;

use sqlparser::ast::{Cte, Query, SetExpr, Visit, With};

use super::rows::aligned;
use super::scope::Scope;
use super::{Column, Followed, Named, Unfollowed, folded, put_together, query_columns, renamed, set_columns};
use crate::sql::{ColumnRef, RelationName};

/// What goes from one column to the next of a query that reads itself is followed so far.
const ROUNDS_MAX: usize = 8;

/// A query of WITH, as those see it that may read it.
#[derive(Clone)]
pub(super) struct Known {
    pub(super) name: String,
    pub(super) columns: Vec<Column>,
    /// It is read by itself: then the rows are those that it has already.
    pub(super) is_within: bool,
}

/// See the module: with those of the queries around it.
pub(super) fn ctes(with: Option<&With>, outer: Scope<'_>) -> Followed<Vec<Known>> {
    let mut known = outer.ctes.to_vec();
    let Some(with) = with else { return Ok(known) };
    for cte in in_order(with)? {
        let name = folded(&cte.alias.name);
        let columns = match with.recursive.then(|| arms(&cte.query)).flatten() {
            Some(arms) => recursive(cte, arms, &name, &mut known, outer)?,
            None => renamed(query_columns(&cte.query, Scope { ctes: &known, ..outer })?, &cte.alias),
        };
        known.push(Known { name, columns, is_within: false });
    }
    Ok(known)
}

/// Its queries, those first that others read.
fn in_order(with: &With) -> Followed<Vec<&Cte>> {
    let all = &with.cte_tables;
    if !with.recursive || all.len() == 1 {
        return Ok(all.iter().collect());
    }
    let places: HashMap<String, usize> = all.iter().zip(0..).map(|(cte, at)| (folded(&cte.alias.name), at)).collect();
    let mut order = Order { all, places, begun: BTreeSet::new(), ended: Vec::new() };
    (0..all.len()).try_for_each(|at| order.visit(at))?;
    Ok(order.ended.into_iter().filter_map(|at| all.get(at)).collect())
}

struct Order<'w> {
    all: &'w [Cte],
    places: HashMap<String, usize>,
    begun: BTreeSet<usize>,
    ended: Vec<usize>,
}

impl Order<'_> {
    fn visit(&mut self, at: usize) -> Followed<()> {
        let Some(cte) = self.all.get(at).filter(|_| self.begun.insert(at)) else { return Ok(()) };
        for name in read_by(&cte.query) {
            let Some(other) = self.places.get(&name).copied().filter(|other| *other != at) else { continue };
            self.visit(other)?;
            // Two that read each other.
            if !self.ended.contains(&other) {
                return Err(Unfollowed);
            }
        }
        self.ended.push(at);
        Ok(())
    }
}

/// The names without a schema that a query reads.
fn read_by(query: &Query) -> BTreeSet<String> {
    let mut named = Named::default();
    let _: ControlFlow<()> = query.visit(&mut named);
    let bare = |RelationName { schema, name }: RelationName| schema.is_none().then(|| name.to_string());
    named.0.into_iter().filter_map(bare).collect()
}

/// Two that are put together, of which the second one may read what comes of both, and the queries around them.
struct Arms<'q> {
    around: Vec<&'q With>,
    first: &'q SetExpr,
    second: &'q SetExpr,
}

fn arms(query: &Query) -> Option<Arms<'_>> {
    let (mut around, mut next) = (Vec::new(), query);
    loop {
        around.extend(&next.with);
        match next.body.as_ref() {
            SetExpr::Query(inner) => next = inner,
            SetExpr::SetOperation { left, right, .. } => return Some(Arms { around, first: left, second: right }),
            _ => return None,
        }
    }
}

/// The columns of a query that may read itself: as its first part has them, and then again and again, until there is no more in any.
fn recursive(cte: &Cte, arms: Arms<'_>, name: &str, known: &mut Vec<Known>, outer: Scope<'_>) -> Followed<Vec<Column>> {
    let before = known.len();
    for with in arms.around {
        *known = ctes(Some(with), Scope { ctes: known, ..outer })?;
    }
    let first = set_columns(arms.first, Scope { ctes: known, ..outer })?;
    let mut columns = distinct(renamed(first.clone(), &cte.alias));
    let mut is_of_more_rows = false;
    for _ in 0..ROUNDS_MAX {
        known.push(Known { name: name.to_owned(), columns: columns.clone(), is_within: true });
        let second = set_columns(arms.second, Scope { ctes: known, ..outer });
        known.pop();
        let both = put_together(first.clone(), aligned(&first, second?, outer.rows));
        let again = distinct(renamed(both, &cte.alias));
        if sizes(&again) == sizes(&columns) {
            known.truncate(before);
            return Ok(again);
        }
        if outer.rows.are_too_many() {
            return Err(Unfollowed);
        }
        is_of_more_rows = kinds(&again) == kinds(&columns);
        columns = again;
    }
    if !is_of_more_rows {
        return Err(Unfollowed);
    }
    outer.rows.grow();
    known.truncate(before);
    Ok(columns)
}

fn distinct(mut columns: Vec<Column>) -> Vec<Column> {
    for column in &mut columns {
        column.refs.sort_unstable();
        column.refs.dedup();
    }
    columns
}

fn sizes(columns: &[Column]) -> Vec<usize> {
    columns.iter().map(|column| column.refs.len()).collect()
}

/// What each is made from, of whatever rows.
fn kinds(columns: &[Column]) -> Vec<BTreeSet<(Option<&RelationName>, Option<&str>)>> {
    columns.iter().map(|column| column.refs.iter().map(kind).collect()).collect()
}

fn kind(found: &ColumnRef) -> (Option<&RelationName>, Option<&str>) {
    (found.relation.as_ref(), found.column.as_deref())
}
