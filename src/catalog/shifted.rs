//! Names whose meaning changed since the catalog was read: what statements show of them until it is read again.
//!
//! In: what changes of the schema named, in the database or in the session's open transaction, and a statement. Out: what it may show besides.
//! PURE. A function of such a name may read anything; a column may show whatever its relation shows in another.

use std::collections::BTreeSet;

use super::functions::{Shown, hash};
use super::resolve::{Found, Resolver, Target};
use super::snapshot::{Relation, Snapshot};
use crate::record::{CatalogState, Kind, Text};
use crate::session::event::Origin;
use crate::sql::{Analysis, ColumnRef, Output, RelationName};

impl Resolver<'_> {
    pub(super) fn is_shifted(&self, name: &str) -> bool {
        self.shifted.contains(name) || self.context.own.shifted().is_some_and(|names| names.contains(name))
    }

    /// Whether nothing is shifted.
    fn is_settled(&self) -> bool {
        self.shifted.is_empty() && self.context.own.shifted().is_none_or(|names| names.is_empty())
    }

    /// Whether a relation is a view, and it or one that it is over may have been made anew: whatever was a subject column may be none any more.
    pub(super) fn may_be_another_view(&self, relation: &Relation) -> bool {
        let own = &self.context.own;
        let is_known = |(schema, view): &(Text, Text)| {
            self.snapshot.is_some_and(|snapshot| snapshot.named(schema, view).is_some())
        };
        let is_changed = || self.suspected || own.is_suspected || own.shifted().is_some();
        !relation.is_table() && (is_changed() || self.lineage.new_views().any(is_known))
    }

    /// Whether a function is called, an operator used, or something cast to a type, that may be another by now.
    pub(super) fn calls_shifted(&self, analysis: &Analysis) -> bool {
        let bare = |name: &str| name.trim_start_matches("::").rsplit('.').next().unwrap_or(name).to_owned();
        let in_code = analysis.code.iter().flat_map(|code| &code.functions);
        let mut names = analysis.functions.iter().chain(&analysis.operators).chain(in_code);
        let runs = !matches!(analysis.kind, Kind::Ddl | Kind::Grant);
        runs && !self.is_settled() && names.any(|name| self.is_shifted(&bare(name)))
    }

    /// Shows what columns may show that may be others by now: all of their relation.
    pub(super) fn show_shifted(
        &self,
        analysis: &Analysis,
        reads: &[Target<'_>],
        wire: Option<&[Origin]>,
        found: &mut Found,
    ) {
        if self.is_settled() {
            return;
        }
        let known = |origin: &Origin| {
            let relation = self.snapshot.and_then(|snapshot| snapshot.relation(origin.table_oid));
            relation.is_some_and(|relation| relation.column_named(origin.attribute).is_some())
        };
        // A number is the column's whatever it is called; what is an expression, the text says.
        let by_text = wire.is_none_or(|origins| origins.iter().any(|origin| origin.table_oid == 0));
        let refs: &[ColumnRef] = match &analysis.output {
            Output::Columns(refs) if by_text => refs,
            _ => &[],
        };
        let in_text = refs.iter().filter_map(|column| column.column.as_deref());
        let on_wire = wire.into_iter().flatten().filter(|origin| origin.table_oid != 0 && !known(origin));
        let mut named = in_text.chain(on_wire.map(|origin| &*origin.name));
        if !named.any(|name| self.is_shifted(name)) {
            return;
        }
        let before = found.columns.len();
        let theirs = reads.iter().filter(|target| self.is_shifted(target.table()));
        theirs.for_each(|target| self.show(target, None, found));
        if found.columns.len() > before {
            found.doubt();
        }
    }

    /// What functions and operators show that were made a moment ago: anything; what they fill, the statement says that made them. `email(c)` is
    /// none, but `c.email`.
    pub(super) fn call_unheard_of(
        &self,
        analysis: &Analysis,
        reads: &[Target<'_>],
        snapshot: &Snapshot,
        called: &mut Shown,
    ) {
        let is_column = |name: &str| {
            reads.iter().any(|target| matches!(target, Target::Known(relation) if relation.columns.contains_key(name)))
        };
        let operators = analysis.operators.iter().filter(|name| !name.starts_with("::"));
        for name in analysis.functions.iter().chain(operators) {
            let made = self.made.get(name);
            if let Some(code) = made {
                called.takes(snapshot.code(code));
            }
            if snapshot.is_unheard_of(name) && !is_column(name) {
                called.opaque = true;
                called.changes_schema = true;
                called.is_open |= made.is_none();
            }
        }
    }

    /// Shows what code may show that is called, while the catalog is older than the schema: all of each relation that it names and that is not in it, since
    /// it was renamed, say, when the catalog was read; and all of what it reads, where that was changed since or it names what is another by now.
    pub(super) fn shift_within(&self, snapshot: &Snapshot, called: &mut Shown) {
        if self.state == CatalogState::Fresh || called.names.is_empty() {
            return;
        }
        let is_named = |name: &str| called.names.contains(&hash(name));
        let own = self.context.own.shifted().into_iter().flatten();
        let shifted: Vec<&Text> = self.shifted.iter().chain(own).filter(|name| is_named(name)).collect();
        called.opaque |= shifted.iter().any(|name| snapshot.function(name).is_some() || self.made.contains_key(*name));
        let is_absent = |(schema, table): &(Text, Text)| is_named(table) && snapshot.named(schema, table).is_none();
        let classified = self.classification.named().map(|(schema, table, ..)| (schema.into(), table.into()));
        let mut relations: BTreeSet<(Text, Text)> =
            classified.chain(self.lineage.names().cloned()).filter(is_absent).collect();
        let parts = |base: &Text| base.split_once('.').map(|(schema, table)| (Text::from(schema), Text::from(table)));
        let is_changed =
            |(schema, table): &(Text, Text)| !shifted.is_empty() || self.lineage.of(schema, table).is_some();
        relations.extend(called.bases.iter().filter_map(parts).filter(is_changed));
        let mut found = Found::default();
        for (schema, table) in relations {
            self.show(&self.target(&RelationName { schema: Some(schema), name: table }), None, &mut found);
        }
        called.assumed |= found.columns.iter().any(|column| !called.columns.contains(column));
        called.columns.extend(found.columns);
    }

    /// `count` says nothing of anybody, unless somebody made another function of that name.
    pub(super) fn counted(&self, analysis: &Analysis, reads: &[Target<'_>], snapshot: &Snapshot, called: &mut Shown) {
        let is_own = |name: &str| snapshot.function(name).is_some() || self.is_shifted("count");
        let counts = |name: &&str| *name == "count";
        let mut names = analysis.functions.iter().map(|name| &**name).filter(counts);
        if names.any(is_own) {
            let mut found = Found::default();
            reads.iter().for_each(|target| self.show(target, None, &mut found));
            called.assumed |= !found.columns.is_empty();
            called.columns.extend(found.columns);
        }
    }
}
