//! Text, catalog and wire → what a statement really touched.
//!
//! In: an [`Analysis`], the session's [`Context`], the result's origins, the database's snapshot, the classification.
//! Out: an [`Understanding`]. PURE. Where the sources disagree or cannot know, the worst is assumed and `certainty` says
//! so. Without a snapshot, names alone are judged: an unqualified table is taken for the one schema whose table of that
//! name the classification names, else for the first schema of the search path that was SET, else for `public`.

use std::collections::BTreeSet;

use super::classification::Classification;
use super::functions::{Shown, reads_anything};
use super::snapshot::{Classified, Relation, Snapshot};
use super::{Context, PeopleRule, Understanding};
use crate::record::{CatalogState, Certainty, Kind, Parse, Text};
use crate::session::event::Origin;
use crate::sql::{Analysis, ColumnRef, Output, RelationName};

/// What names mean for one statement.
pub(super) struct Resolver<'a> {
    pub(super) classification: &'a Classification,
    pub(super) snapshot: Option<&'a Snapshot>,
    pub(super) state: CatalogState,
    pub(super) context: &'a Context,
}

/// A relation that a statement names.
enum Target<'a> {
    /// In the snapshot.
    Known(&'a Relation),
    /// Not in it, or there is none: its schema is a guess where `qualified` is false.
    Named { schema: Text, table: Text },
}

impl Target<'_> {
    fn name(&self) -> Text {
        match self {
            Target::Known(relation) => relation.name.clone(),
            Target::Named { schema, table } => format!("{schema}.{table}").into(),
        }
    }
}

/// The columns found so far, and how.
#[derive(Default)]
struct Found {
    columns: BTreeSet<Classified>,
    /// From the text alone: an expression, or no wire to confirm it.
    inferred: bool,
    assumed: bool,
}

impl Found {
    fn takes(&mut self, called: &Shown, snapshot: Option<&Snapshot>) {
        self.columns.extend(called.columns.iter().cloned());
        self.inferred |= !called.columns.is_empty();
        self.assumed |= called.assumed || called.opaque;
        if called.opaque {
            self.columns.extend(snapshot.map(Snapshot::everything).unwrap_or_default().iter().cloned());
        }
    }
}

impl Resolver<'_> {
    /// Understands one statement.
    pub(super) fn understand(&self, analysis: &Analysis, wire: Option<&[Origin]>) -> Understanding {
        let reads: Vec<Target<'_>> = analysis.reads.iter().map(|name| self.target(name)).collect();
        let writes: Vec<Target<'_>> = analysis.writes.iter().map(|name| self.target(name)).collect();
        let mut found = Found::default();
        self.columns(analysis, &reads, &writes, wire, &mut found);
        let called = self.called(analysis, &reads);
        found.takes(&called, self.snapshot);
        let level = found.columns.iter().map(|column| column.level).max();
        let personal = level.is_some_and(|level| self.classification.is_personal(level));
        let certainty = match (found.assumed, found.inferred) {
            (true, _) => Certainty::Assumed,
            (false, true) => Certainty::Inferred,
            (false, false) => Certainty::Exact,
        };
        Understanding {
            relations_read: union(names(&reads), &called.bases),
            relations_written: names(&writes),
            columns: found.columns.into_iter().map(|column| column.name).collect(),
            level: level.and_then(|level| self.classification.name(level)).cloned(),
            personal,
            people: if personal { self.people(analysis, &reads, &called) } else { PeopleRule::Nobody },
            certainty,
            state: self.state,
        }
    }

    /// What the functions show that a statement calls, and the code that it brings.
    fn called(&self, analysis: &Analysis, reads: &[Target<'_>]) -> Shown {
        let reads_any = analysis.functions.iter().any(|name| reads_anything(name));
        let mut called = Shown {
            // Without a catalog, what a function does is not known; a block of code may do anything.
            assumed: matches!(analysis.kind, Kind::Do | Kind::Call),
            opaque: reads_any || self.shows_statistics(analysis, reads),
            ..Shown::default()
        };
        let Some(snapshot) = self.snapshot else { return called };
        let is_column = |name: &str| {
            reads.iter().any(|target| matches!(target, Target::Known(relation) if relation.columns.contains_key(name)))
        };
        let shown = analysis.functions.iter().filter_map(|name| snapshot.function(name));
        let operators = analysis.operators.iter().filter_map(|name| snapshot.operator(name));
        shown.chain(operators).for_each(|shown| called.takes(shown.clone()));
        // One that was made a moment ago; or `email(c)`, which is `c.email`.
        let mut names = analysis.functions.iter().chain(&analysis.operators);
        called.opaque |= names.any(|name| snapshot.is_unheard_of(name) && !is_column(name));
        if let Some(code) = &analysis.code {
            called.takes(snapshot.code(code));
        }
        called
    }

    /// Whether the planner's statistics are read: they hold the most common values of every column.
    fn shows_statistics(&self, analysis: &Analysis, reads: &[Target<'_>]) -> bool {
        const STATISTICS: [&str; 5] = [
            "pg_catalog.pg_stats",
            "pg_catalog.pg_statistic",
            "pg_catalog.pg_stats_ext",
            "pg_catalog.pg_stats_ext_exprs",
            "pg_catalog.pg_statistic_ext_data",
        ];
        let bounds = |column: &ColumnRef| {
            column.column.as_deref().is_none_or(|name| {
                ["most_common", "histogram", "stavalues", "stxd"].iter().any(|begin| name.starts_with(begin))
            })
        };
        let values = match &analysis.output {
            Output::Columns(columns) => columns.iter().any(bounds),
            Output::Unknown => true,
            Output::Nothing => false,
        };
        let views = analysis.reads.iter().map(|name| format!("pg_catalog.{}", name.name));
        values && !reads.is_empty() && views.into_iter().any(|name| STATISTICS.contains(&name.as_str()))
    }

    fn people(&self, analysis: &Analysis, reads: &[Target<'_>], called: &Shown) -> PeopleRule {
        let own = |name: &Text| self.snapshot.is_some_and(|snapshot| snapshot.function(name).is_some());
        let calls = analysis.functions.iter().any(own) || matches!(analysis.kind, Kind::Do | Kind::Call);
        if analysis.collects || calls || called.opaque || !called.columns.is_empty() {
            let most = if called.opaque { None } else { most(reads).max(called.size) };
            return PeopleRule::Estimated { most };
        }
        let unique = matches!(reads, [Target::Known(relation)] if relation.subject_unique);
        let plain = matches!(&analysis.output, Output::Columns(columns) if columns.iter().all(|column| column.plain));
        let reads_only = matches!(analysis.kind, Kind::Select | Kind::CopyOut);
        match unique && analysis.single && plain && reads_only {
            true => PeopleRule::EachRowOne,
            false => PeopleRule::AtMostOneEachRow,
        }
    }

    fn columns(
        &self,
        analysis: &Analysis,
        reads: &[Target<'_>],
        writes: &[Target<'_>],
        wire: Option<&[Origin]>,
        found: &mut Found,
    ) {
        let all: Vec<&Target<'_>> = reads.iter().chain(writes).collect();
        let rest = match wire {
            Some(origins) => self.wire_columns(origins, &all, found),
            None => true,
        };
        if !rest {
            return;
        }
        match &analysis.output {
            Output::Nothing => {}
            Output::Columns(refs) => {
                let touches = !all.is_empty();
                for column in refs {
                    self.text_column(column, analysis, &all, found);
                }
                // A plain COPY of a table in a fresh catalog leaves nothing open; any other expression is the text's word.
                let certain = analysis.kind == Kind::CopyOut
                    && self.state == CatalogState::Fresh
                    && refs.iter().all(|column| column.plain)
                    && all.iter().all(|target| matches!(target, Target::Known(_)));
                found.inferred |= touches && !certain;
            }
            // No relation, no data of one, whatever the parsers made of it.
            Output::Unknown if all.is_empty() && analysis.parse != Parse::None => {
                found.inferred |= !analysis.functions.is_empty();
            }
            Output::Unknown => {
                found.assumed = true;
                for target in &all {
                    found.columns.extend(self.everything(target));
                }
            }
        }
    }

    /// Takes what RowDescription says; whether the text has to say the rest.
    fn wire_columns(&self, origins: &[Origin], all: &[&Target<'_>], found: &mut Found) -> bool {
        let mut rest = origins.is_empty();
        for origin in origins {
            if origin.table_oid == 0 {
                rest = true;
                continue;
            }
            match self.snapshot.and_then(|snapshot| snapshot.relation(origin.table_oid)) {
                // A row as a whole.
                Some(relation) if origin.attribute == 0 => {
                    found.columns.extend(relation.classified.values().flatten().cloned());
                    found.inferred = true;
                }
                Some(relation) => {
                    found.columns.extend(relation.classified.get(&origin.attribute).into_iter().flatten().cloned());
                    found.inferred |= self.state != CatalogState::Fresh;
                }
                None => {
                    // Newer than the snapshot, or there is none: the label is all there is.
                    found.inferred = true;
                    for target in all {
                        found.columns.extend(self.column(target, &origin.name));
                    }
                    rest |= self.snapshot.is_some();
                }
            }
        }
        rest
    }

    fn text_column(&self, column: &ColumnRef, analysis: &Analysis, all: &[&Target<'_>], found: &mut Found) {
        let named = column.relation.as_ref();
        let here = named.is_some_and(|name| analysis.reads.contains(name) || analysis.writes.contains(name));
        let target = named.filter(|_| here).map(|name| self.target(name));
        let targets: Vec<&Target<'_>> = match &target {
            Some(target) => vec![target],
            None => all.to_vec(),
        };
        for target in &targets {
            match &column.column {
                Some(name) => found.columns.extend(self.column(target, name)),
                None => found.columns.extend(self.everything(target)),
            }
        }
        // `c.row_to_json` is a function of the row, where the table has no such column.
        let lacks = |name: &Text| {
            let known = |target: &&Target<'_>| matches!(target, Target::Known(relation) if !relation.has_column(name));
            !targets.is_empty() && targets.iter().all(known)
        };
        if named.is_some() && column.column.as_ref().is_some_and(lacks) {
            found.assumed = true;
            targets.iter().for_each(|target| found.columns.extend(self.everything(target)));
        }
    }

    fn column(&self, target: &Target<'_>, column: &str) -> Vec<Classified> {
        match target {
            Target::Known(relation) => {
                let number = relation.columns.get(column);
                number.and_then(|number| relation.classified.get(number)).cloned().unwrap_or_default()
            }
            Target::Named { schema, table } => {
                let level = self.classification.level(schema, table, column);
                let named = |level| Classified { name: format!("{schema}.{table}.{column}").into(), level };
                level.map(named).into_iter().collect()
            }
        }
    }

    fn everything(&self, target: &Target<'_>) -> Vec<Classified> {
        match target {
            Target::Known(relation) => relation.classified.values().flatten().cloned().collect(),
            Target::Named { schema, table } => {
                let named = self.classification.named().find(|(s, t, ..)| s == &&**schema && t == &&**table);
                let columns = named.map(|(_, _, columns, _)| columns).unwrap_or_default();
                let classified = |column: &str| {
                    let level = self.classification.level(schema, table, column)?;
                    Some(Classified { name: format!("{schema}.{table}.{column}").into(), level })
                };
                columns.into_iter().filter_map(classified).collect()
            }
        }
    }

    fn target(&self, name: &RelationName) -> Target<'_> {
        let known = |schema: &str| self.snapshot.and_then(|snapshot| snapshot.named(schema, &name.name));
        if let Some(schema) = &name.schema {
            return known(schema)
                .map_or_else(|| Target::Named { schema: schema.clone(), table: name.name.clone() }, Target::Known);
        }
        let path = self.search_path();
        if let Some(relation) = path.iter().find_map(|schema| known(schema)) {
            return Target::Known(relation);
        }
        let classified = self.classification.only_schema_of(&name.name).map(Text::from);
        let set = self.context.search_path.as_ref().and_then(|path| path.iter().find(|schema| ***schema != *"$user"));
        let schema = match name.name.starts_with("pg_") {
            true => Text::from("pg_catalog"),
            false => classified.or_else(|| set.cloned()).unwrap_or_else(|| "public".into()),
        };
        Target::Named { schema, table: name.name.clone() }
    }

    /// The schemas that an unqualified name is looked for in (PostgreSQL manual, The Schema Search Path).
    fn search_path(&self) -> Vec<Text> {
        let default = self.snapshot.map(|snapshot| snapshot.search_path.as_slice()).unwrap_or_default();
        let path = self.context.search_path.as_deref().unwrap_or(default);
        let mut schemas: Vec<Text> = Vec::with_capacity(path.len() + 1);
        if !path.iter().any(|schema| **schema == *"pg_catalog") {
            schemas.push("pg_catalog".into());
        }
        let user = |schema: &Text| if **schema == *"$user" { self.context.role.clone() } else { schema.clone() };
        schemas.extend(path.iter().map(user));
        schemas
    }
}

/// `schema.table` of the base relations, sorted, distinct.
fn names(targets: &[Target<'_>]) -> Vec<Text> {
    let names: BTreeSet<Text> = targets
        .iter()
        .flat_map(|target| match target {
            Target::Known(relation) => relation.bases.clone(),
            named @ Target::Named { .. } => vec![named.name()],
        })
        .collect();
    names.into_iter().collect()
}

/// Rows of the largest of the relations that have anything classified; `None` where the server has not counted one of them.
fn most(reads: &[Target<'_>]) -> Option<u64> {
    let mut most = None;
    for target in reads {
        match target {
            Target::Known(relation) if relation.classified.is_empty() => {}
            Target::Known(relation) => most = Some(most.unwrap_or(0).max(relation.size?)),
            Target::Named { .. } => return None,
        }
    }
    most
}

fn union(names: Vec<Text>, more: &BTreeSet<Text>) -> Vec<Text> {
    if more.is_empty() {
        return names;
    }
    let all: BTreeSet<Text> = names.into_iter().chain(more.iter().cloned()).collect();
    all.into_iter().collect()
}
