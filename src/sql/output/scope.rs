//! What a name means at one place: a column of the relations in FROM, or of those of a query around it, or a row as a whole.
//!
//! In: CTEs and relations, and a name. Out: references to columns. Without a catalog it is not known which columns a table has: what a name would mean if
//! a table lacked it comes along, and says so ([`crate::sql::Sought`]). Errs on the side of too much.

use super::rows::Rows;
use super::with::Known;
use super::{Column, ColumnRef, RelationName, everything, loosened};

/// Relations that a name depends on. Those behind them are left out.
const BEFORE_MAX: usize = 32;

/// Something in FROM, under the name it goes by.
pub(super) struct Relation {
    pub(super) alias: String,
    pub(super) source: Source,
    /// Of a table: [`ColumnRef::row`].
    pub(super) row: u16,
}

pub(super) enum Source {
    Table(RelationName),
    Derived(Vec<Column>),
}

impl Relation {
    /// A table, under its own name.
    pub(super) fn table(name: RelationName, rows: &Rows) -> Relation {
        Relation { alias: name.name.to_string(), row: rows.of(&name), source: Source::Table(name) }
    }

    /// Whether columns of it are of this row.
    pub(super) fn has_row(&self, row: u16) -> bool {
        match &self.source {
            Source::Table(_) => self.row == row,
            Source::Derived(columns) => columns.iter().flat_map(|column| &column.refs).any(|found| found.row == row),
        }
    }

    /// The tables whose columns go by their own names here.
    fn tables(&self) -> Vec<RelationName> {
        match &self.source {
            Source::Table(table) => vec![table.clone()],
            Source::Derived(columns) => {
                let unnamed = columns.iter().filter(|column| column.name.is_none()).flat_map(|column| &column.refs);
                let stars = unnamed.filter(|found| found.column.is_none() && found.plain);
                stars.filter_map(|found| found.relation.clone()).collect()
            }
        }
    }

    fn derived(&self) -> Option<&[Column]> {
        match &self.source {
            Source::Derived(columns) => Some(columns),
            Source::Table(_) => None,
        }
    }
}

/// What names mean at one place: the CTEs, the relations of FROM, and those of the queries around it.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) ctes: &'a [Known],
    pub(super) relations: &'a [Relation],
    pub(super) outer: Option<&'a Scope<'a>>,
    pub(super) rows: &'a Rows,
}

impl<'a> Scope<'a> {
    /// That of a whole statement.
    pub(super) fn of_nothing(rows: &'a Rows) -> Scope<'a> {
        Scope { ctes: &[], relations: &[], outer: None, rows }
    }

    pub(super) fn cte(&self, name: &str) -> Option<&'a Known> {
        self.ctes.iter().rev().find(|cte| cte.name == name)
    }

    pub(super) fn relation(&self, alias: &str) -> Option<&'a Relation> {
        self.called(alias).first().copied()
    }

    /// The relations of the nearest query that go by this name: more than one, where their schemas tell them apart.
    pub(super) fn called(&self, alias: &str) -> Vec<&'a Relation> {
        let mut scope = Some(*self);
        while let Some(here) = scope {
            let found: Vec<&Relation> = here.relations.iter().filter(|relation| relation.alias == alias).collect();
            if !found.is_empty() {
                return found;
            }
            scope = here.outer.copied();
        }
        Vec::new()
    }

    /// What `name`, of the relation `of` or of any, is made from.
    pub(super) fn column(&self, of: Option<&str>, name: &str, plain: bool) -> Vec<ColumnRef> {
        let mut refs = Vec::new();
        if self.rows.are_too_many() {
            return refs;
        }
        let is_known = match of {
            Some(alias) => of_relations(self.called(alias), name, plain, &mut refs),
            None => self.bare(name, plain, true, &mut Vec::new(), &mut refs),
        };
        if !is_known {
            refs.push(ColumnRef::new(None, Some(name.into()), plain));
        }
        self.rows.make(&refs);
        refs
    }

    /// What a column of this name, of any relation, is made from, where there may be one.
    pub(super) fn columns_named(&self, name: &str) -> Vec<ColumnRef> {
        let mut refs = Vec::new();
        if !self.rows.are_too_many() {
            self.bare(name, false, false, &mut Vec::new(), &mut refs);
        }
        self.rows.make(&refs);
        refs
    }

    /// The same of a relation that is named with its schema.
    pub(super) fn of_schema(&self, schema: &str, alias: &str, name: &str, plain: bool) -> Vec<ColumnRef> {
        let is_it = |relation: &&Relation| match &relation.source {
            Source::Table(table) => table.schema.as_deref().is_none_or(|its| its == schema),
            Source::Derived(_) => true,
        };
        let mut refs = Vec::new();
        match of_relations(self.called(alias).into_iter().filter(is_it), name, plain, &mut refs) {
            true => {
                self.rows.make(&refs);
                refs
            }
            false => self.column(Some(alias), name, plain),
        }
    }

    /// A name without a relation's; false where nothing here can have it. `before`: the relations that were asked already, and of which it is not known
    /// whether they have it. `with_rows`: or a row's.
    fn bare(
        &self,
        name: &str,
        plain: bool,
        with_rows: bool,
        before: &mut Vec<RelationName>,
        refs: &mut Vec<ColumnRef>,
    ) -> bool {
        let first = refs.len();
        let has = |relation: &&Relation| {
            relation.derived().is_some_and(|columns| columns.iter().any(|column| column.is(name)))
        };
        if of_relations(self.relations.iter().filter(has), name, plain, refs) {
            refs.iter_mut().skip(first).for_each(|found| seek(found, name, before, false));
            return true;
        }
        let rows: Vec<&Relation> = self.relations.iter().filter(|relation| relation.alias == name).collect();
        // The one relation that there is has it, or the server refuses the statement.
        let is_only = self.relations.len() == 1 && rows.is_empty() && !self.is_within();
        let mut is_known = of_relations(self.relations, name, plain, refs);
        let asked = before.len();
        for found in refs.iter_mut().skip(first) {
            let perhaps = !is_only && found.column.as_deref() == Some(name);
            seek(found, name, before.get(..asked).unwrap_or_default(), perhaps);
        }
        before.extend(self.relations.iter().flat_map(Relation::tables));
        // A name is a row's where it is no column's.
        let of_rows = rows.iter().filter(|_| with_rows).flat_map(|relation| everything(relation));
        for found in of_rows.flat_map(|column| column.refs) {
            let mut found = loosened(&found);
            seek(&mut found, name, before, false);
            refs.push(found);
        }
        is_known |= !rows.is_empty();
        // With what is of an expression that goes by a name which is not known.
        self.outer.is_some_and(|outer| outer.bare(name, plain, with_rows, before, refs)) || is_known
    }

    /// Whether a query with relations is around.
    fn is_within(&self) -> bool {
        self.outer.is_some_and(|outer| !outer.relations.is_empty() || outer.is_within())
    }
}

/// Says on what it depends that a name means this.
fn seek(found: &mut ColumnRef, name: &str, before: &[RelationName], perhaps: bool) {
    if before.is_empty() && !perhaps {
        return;
    }
    let sought = found.sought.get_or_insert_default();
    if sought.name.is_empty() {
        sought.name = name.into();
    } else if *sought.name != *name {
        // What it depended on within is enough.
        return;
    }
    // With less of it, the more may be meant.
    sought.before.extend(before.iter().take(BEFORE_MAX).cloned());
    sought.perhaps |= perhaps;
}

/// What a column of these is made from; false where none of them can have it.
pub(super) fn of_relations<'r>(
    relations: impl IntoIterator<Item = &'r Relation>,
    name: &str,
    plain: bool,
    refs: &mut Vec<ColumnRef>,
) -> bool {
    let mut is_known = false;
    for relation in relations {
        match &relation.source {
            Source::Table(table) => {
                is_known = true;
                let column = ColumnRef::new(Some(table.clone()), Some(name.into()), plain);
                refs.push(ColumnRef { row: relation.row, ..column });
            }
            Source::Derived(columns) => {
                let has = columns.iter().any(|column| column.is(name));
                // A column without a name of its own may be any.
                let meant = || columns.iter().filter(|column| column.is(name) || !has && column.name.is_none());
                is_known |= meant().next().is_some();
                let first = refs.len();
                refs.extend(meant().flat_map(|column| &column.refs).map(|found| narrowed(found, name, plain)));
                if !has && meant().nth(1).is_some() {
                    let is_narrowed = |found: &&mut ColumnRef| found.column.as_deref() == Some(name);
                    refs.iter_mut().skip(first).filter(is_narrowed).for_each(|found| seek(found, name, &[], true));
                }
            }
        }
    }
    is_known
}

/// A column of a derived table that is itself a `*` is the column of that name.
fn narrowed(found: &ColumnRef, name: &str, plain: bool) -> ColumnRef {
    let plain = plain && found.plain;
    match (&found.column, found.plain) {
        (None, true) => ColumnRef { column: Some(name.into()), plain, ..found.clone() },
        _ => ColumnRef { plain, ..found.clone() },
    }
}
