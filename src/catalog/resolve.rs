//! Text, catalog and wire → what a statement really touched.
//!
//! In: an [`Analysis`], the session's [`Context`], the result's origins, the database's snapshot, the classification.
//! Out: an [`Understanding`]. PURE. Where the sources disagree or cannot know, the worst is assumed and `certainty` says
//! so. Without a snapshot, names alone are judged: an unqualified table is taken for the one schema whose table of that
//! name the classification names, else for the first schema of the search path that was SET, else for `public`.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::built_in::{holds_statistics, is_of_statistics};
use super::classification::Classification;
use super::functions::Shown;
use super::lineage::{Holds, Lineage};
use super::people::InRow;
use super::snapshot::{Classified, Relation, Snapshot};
use super::{Consequences, Context, PeopleRule, Understanding};
use crate::record::{CatalogState, Certainty, Kind, Parse, Text};
use crate::session::event::Origin;
use crate::sql::{Analysis, Code, ColumnRef, Output, RelationName, Stream};

/// What names mean for one statement.
pub(super) struct Resolver<'a> {
    pub(super) classification: &'a Classification,
    pub(super) snapshot: Option<&'a Snapshot>,
    /// Other databases', where a statement takes the whole cluster.
    pub(super) others: &'a [Arc<Snapshot>],
    pub(super) state: CatalogState,
    pub(super) context: &'a Context,
    pub(super) lineage: &'a Lineage,
    /// Names that mean something else, perhaps, than when the catalog was read.
    pub(super) shifted: &'a BTreeSet<Text>,
    /// Code ran since that may have changed the schema.
    pub(super) suspected: bool,
    /// Code ran that may have filled anything, and it is not known yet what that was.
    pub(super) doubted: bool,
    /// Functions that were made since the catalog was read, by name.
    pub(super) made: &'a HashMap<Text, Arc<Code>>,
}

/// A relation that a statement names.
#[derive(Clone)]
pub(super) enum Target<'a> {
    /// In the snapshot.
    Known(&'a Relation),
    /// The session's own.
    Temporary { table: Text, holds: &'a Holds },
    /// Not in it, or there is none: its schema is a guess where `qualified` is false.
    Named { schema: Text, table: Text },
}

impl<'a> Target<'a> {
    /// The relation, where it is in the snapshot.
    pub(super) fn known(&self) -> Option<&'a Relation> {
        match self {
            Target::Known(relation) => Some(relation),
            Target::Temporary { .. } | Target::Named { .. } => None,
        }
    }

    /// Schema and name, of what everybody sees.
    pub(super) fn parts(&self) -> Option<(Text, Text)> {
        match self {
            Target::Known(relation) => Some(relation.parts.clone()),
            Target::Named { schema, table } => Some((schema.clone(), table.clone())),
            Target::Temporary { .. } => None,
        }
    }

    /// Its name without the schema.
    pub(super) fn table(&self) -> &Text {
        match self {
            Target::Known(relation) => &relation.parts.1,
            Target::Named { table, .. } | Target::Temporary { table, .. } => table,
        }
    }

    fn name(&self) -> Text {
        match self {
            Target::Known(relation) => relation.name.clone(),
            Target::Temporary { table, .. } => format!("pg_temp.{table}").into(),
            Target::Named { schema, table } => format!("{schema}.{table}").into(),
        }
    }
}

/// The columns found so far, and how.
#[derive(Default)]
pub(super) struct Found {
    pub(super) columns: BTreeSet<Classified>,
    /// From the text alone: an expression, or no wire to confirm it.
    inferred: bool,
    assumed: bool,
}

impl Found {
    /// The same columns, found in another way that may find more.
    pub(super) fn again(&self) -> Found {
        Found { columns: self.columns.clone(), ..Found::default() }
    }

    /// Nothing on the wire names the columns.
    pub(super) fn infer(&mut self) {
        self.inferred = true;
    }

    /// Whether something is known of the columns that is not certain.
    pub(super) fn is_inferred(&self) -> bool {
        self.inferred
    }

    /// More may be among the columns than was shown.
    pub(super) fn doubt(&mut self) {
        self.assumed = true;
    }

    /// With what code reads that runs as well, and returns none of it.
    fn with_aside(&self, called: &Shown, snapshot: Option<&Snapshot>) -> Found {
        let mut all = self.again();
        called.aside.iter().for_each(|aside| all.takes(aside, snapshot));
        all
    }

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
        let mut found = Found::default();
        let reads = self.targets(&analysis.reads, &mut found);
        let writes = self.targets(&analysis.writes, &mut found);
        // A name that may mean several things is a doubt about what is shown, not about what is touched.
        found.assumed &= !matches!(analysis.output, Output::Nothing);
        // A rule that was made a moment ago has what is written do more.
        found.inferred |= writes.iter().any(|target| self.is_shifted(target.table()));
        self.columns(analysis, &reads, &writes, wire, &mut found);
        self.told_aside(analysis, &reads, &mut found);
        let called = self.called(analysis, &reads, wire);
        found.takes(&called, self.snapshot);
        // What code reads no plan of the server's shows.
        found.inferred |= called.aside.as_ref().is_some_and(|aside| aside.opaque || !aside.bases.is_empty());
        // What a function reads was filled since it was followed, perhaps.
        found.inferred |= self.state != CatalogState::Fresh && !called.bases.is_empty();
        let mut learned = self.learned(analysis, [&reads, &writes], &called);
        self.filled_at_once(analysis, &learned, &mut found);
        learned.extend(self.commented(&called, &found.with_aside(&called, self.snapshot)));
        self.show_shifted(analysis, &reads, wire, &mut found);
        let brought_back = self.brought_back(analysis, &called, &mut found);
        let streamed = self.streamed(analysis, &mut found);
        let level = found.columns.iter().map(|column| column.level).max();
        let personal = level.is_some_and(|level| self.classification.is_personal(level));
        let certainty = match (found.assumed, found.inferred) {
            (true, _) => Certainty::Assumed,
            (false, true) => Certainty::Inferred,
            (false, false) => Certainty::Exact,
        };
        let in_row = if personal { self.in_row(analysis, &reads, &writes, wire) } else { InRow::NOBODY };
        let people = match (personal, brought_back, &streamed) {
            (false, ..) => PeopleRule::Nobody,
            (true, true, _) => PeopleRule::Estimated { most: None, each: None, in_row: None },
            (true, false, Some(streamed)) => match analysis.doors.stream {
                Some(Stream::Publications(_)) => PeopleRule::AtMostInRow(1),
                _ => PeopleRule::Streamed { most: streamed.most },
            },
            (true, false, None) => self.people(analysis, &reads, &called, &in_row),
        };
        let all = found.with_aside(&called, self.snapshot);
        let sent = self.sent(analysis, &writes, &found, &called);
        let unfollowed = self.sets_off(analysis, &reads, &writes, &called);
        let consequences = Consequences { sent, unfollowed, ..self.consequences(analysis, learned, &all, &called) };
        let mut relations_read = union(names(&reads), &called.bases);
        if let Some(streamed) = streamed {
            relations_read = union(relations_read, &streamed.relations);
        }
        let at_risk = self.at_risk(analysis, &reads, &writes, &all);
        let raised = self.raised(analysis, &reads, &writes, &all);
        Understanding {
            relations_read,
            relations_written: union(names(&writes), &ruled(analysis, &writes)),
            columns: found.columns.into_iter().map(|column| column.name).collect(),
            level: level.and_then(|level| self.classification.name(level)).cloned(),
            personal,
            people,
            by_wire: in_row.by_wire,
            certainty,
            state: self.state,
            consequences,
            at_risk,
            raised,
        }
    }

    /// Whether the planner's statistics are read: they hold the most common values of every column.
    pub(super) fn shows_statistics(&self, analysis: &Analysis, reads: &[Target<'_>]) -> bool {
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
        // Under whatever names a view of somebody's shows them.
        let is_behind = |target: &Target<'_>| match target {
            Target::Known(relation) => relation.bases().iter().any(|base| {
                let its = base.strip_prefix("pg_catalog.").filter(|_| *base != relation.name);
                its.is_some_and(|name| holds_statistics(&RelationName { schema: None, name: name.into() }))
            }),
            _ => false,
        };
        let is_shown = !matches!(analysis.output, Output::Nothing);
        let in_pieces = |name: &RelationName| name.of_toast().is_some_and(is_of_statistics);
        values && analysis.reads.iter().any(holds_statistics)
            || is_shown && (reads.iter().any(is_behind) || analysis.reads.iter().any(in_pieces))
    }

    pub(super) fn columns(
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
            Output::Nothing => self.answered_by_rules(analysis, writes, wire, found),
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
                    self.show(target, None, found);
                }
                // Of a text that is not understood, anything may be read.
                if analysis.parse == Parse::None && all.is_empty() {
                    found.columns.extend(self.snapshot.map(Snapshot::everything).unwrap_or_default().iter().cloned());
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
                    self.show(&Target::Known(relation), None, found);
                    found.inferred = true;
                }
                // PostgreSQL's own column, `ctid` for one.
                Some(_) if origin.attribute < 0 => {}
                Some(relation) => {
                    found.assumed |= relation.rare().guessed.contains(&origin.attribute);
                    // What its own server says of a column is not seen from here.
                    found.inferred |= relation.is_foreign && !relation.classified.contains_key(&origin.attribute);
                    found.columns.extend(relation.classified.get(&origin.attribute).into_iter().flatten().cloned());
                    self.show_lineage(relation, relation.column_named(origin.attribute).map(|name| &**name), found);
                    found.inferred |= self.state != CatalogState::Fresh;
                }
                None => {
                    // Newer than the snapshot, or there is none: the label is all there is.
                    found.inferred = true;
                    for target in all {
                        self.show(target, Some(&origin.name), found);
                    }
                    rest |= self.snapshot.is_some();
                }
            }
        }
        rest
    }

    /// Whether a name in a text means this column; nothing where that is not known.
    pub(super) fn is_meant(&self, column: &ColumnRef) -> Option<bool> {
        column.is_meant(|name, column| {
            // It may have it since a moment ago.
            let targets = self.targets(std::slice::from_ref(name), &mut Found::default());
            let has = |target: &Target<'_>| {
                let relation = target.known().filter(|relation| !relation.columns.is_empty())?;
                let may = || self.marked(relation, column).is_some() || self.is_shifted(column);
                let has = relation.has_column(column);
                (has || !may()).then_some(has)
            };
            let all: Option<Vec<bool>> = targets.iter().map(has).collect();
            Some(all?.contains(&true))
        })
    }

    /// The relations that a column in a text may be of: those of its name, or any.
    pub(super) fn targets_of<'t>(
        &'t self,
        column: &ColumnRef,
        analysis: &Analysis,
        all: &[&'t Target<'t>],
        found: &mut Found,
    ) -> Vec<Cow<'t, Target<'t>>> {
        let named = column.relation.as_ref();
        let is_known = |name: &RelationName| matches!(self.target(name), Target::Known(_));
        // Whose column is renamed is among neither, nor is what a query of WITH elsewhere has the name of.
        let is_it = |name: &&RelationName| {
            analysis.reads.contains(name) || analysis.writes.contains(name) || all.is_empty() || is_known(name)
        };
        match named.filter(is_it) {
            Some(name) => self.targets(std::slice::from_ref(name), found).into_iter().map(Cow::Owned).collect(),
            None => all.iter().map(|target| Cow::Borrowed(*target)).collect(),
        }
    }

    pub(super) fn text_column(&self, column: &ColumnRef, analysis: &Analysis, all: &[&Target<'_>], found: &mut Found) {
        if self.is_meant(column) == Some(false) {
            return;
        }
        let named = column.relation.as_ref();
        let targets = self.targets_of(column, analysis, all, found);
        let before = found.columns.len();
        for target in &targets {
            self.show(target, column.column.as_deref(), found);
        }
        // One of them, under another name.
        let is_any = column.column.is_none() && column.sought.as_ref().is_some_and(|sought| sought.perhaps);
        found.assumed |= is_any && found.columns.len() > before;
        // `c.row_to_json` is a function of the row, where the table has no such column. Or it has it since a moment ago.
        let lacks = |name: &Text| {
            let known = |target: &Cow<'_, Target<'_>>| {
                matches!(&**target, Target::Known(relation)
                if !relation.has_column(name) && self.marked(relation, name).is_none())
            };
            !targets.is_empty() && targets.iter().all(known)
        };
        if named.is_some() && column.sought.is_none() && column.column.as_ref().is_some_and(lacks) {
            found.assumed = true;
            targets.iter().for_each(|target| self.show(target, None, found));
        }
    }

    /// What a column is known to be filled from, beside what the catalog has.
    fn marked(&self, relation: &Relation, column: &str) -> Option<()> {
        let (schema, table) = &relation.parts;
        let mut held = self.held(schema, table);
        held.any(|holds| !holds.shows(Some(column), self.classification).0.is_empty()).then_some(())
    }

    /// What a relation was filled with, or may be by what the session is about to do.
    pub(super) fn held(&self, schema: &Text, table: &Text) -> impl Iterator<Item = &Holds> {
        self.lineage.of(schema, table).into_iter().chain(self.context.own.ahead_of(schema, table))
    }

    fn show_lineage(&self, relation: &Relation, column: Option<&str>, found: &mut Found) {
        let (schema, table) = &relation.parts;
        found.inferred |= self.is_doubted(schema);
        for holds in self.held(schema, table) {
            self.show_marks(holds, column, found);
            // In which of its columns is not known, since the catalog was read no more than before.
            found.assumed |= relation.filled && holds.is_vague();
        }
        found.inferred |= relation.filled;
        found.assumed |= self.outlived(relation, column);
        // What is behind a view was filled since it was followed, perhaps.
        let behind =
            relation.bases().iter().filter(|base| **base != relation.name && self.state != CatalogState::Fresh);
        for (schema, table) in behind.filter_map(|base| base.split_once('.')) {
            let before = found.columns.len();
            if let Some(holds) = self.lineage.of(schema, table) {
                self.show_marks(holds, None, found);
            }
            found.assumed |= found.columns.len() > before;
        }
    }

    /// Whether relations of a schema may hold anything. Those of the system's catalogs hold names and texts that nobody counts.
    fn is_doubted(&self, schema: &str) -> bool {
        match schema {
            "pg_catalog" | "information_schema" => self.lineage.had_doubt(),
            _ => self.doubted,
        }
    }

    /// Whether the catalog still has what a relation was filled with, and it has been emptied since.
    fn outlived(&self, relation: &Relation, column: Option<&str>) -> bool {
        let (schema, table) = &relation.parts;
        let number = column.and_then(|column| relation.columns.get(column));
        let of_column = |fill: &&(i16, Classified)| column.is_none() || number == Some(&fill.0);
        relation.rare().fills.iter().filter(of_column).any(|(number, mark)| {
            let holds = self.lineage.of(schema, table);
            let shown = holds
                .map(|holds| holds.shows(relation.column_named(*number).map(|name| &**name), self.classification).0);
            !shown.is_some_and(|shown| shown.into_iter().any(|now| now == *mark))
        })
    }

    pub(super) fn show_marks(&self, holds: &Holds, column: Option<&str>, found: &mut Found) {
        found.inferred |= holds.is_doubted;
        let (shown, of_the_column) = holds.shows(column, self.classification);
        // What is known for certain is no less certain for being told twice.
        let before = found.columns.len();
        found.columns.extend(shown);
        let adds = found.columns.len() > before;
        found.inferred |= adds;
        found.assumed |= adds && !of_the_column;
    }

    /// What a column shows; all of them, where none is named.
    pub(super) fn show(&self, target: &Target<'_>, column: Option<&str>, found: &mut Found) {
        match (target, column) {
            (Target::Known(relation), Some(column)) => {
                let number = relation.columns.get(column);
                found.assumed |= number.is_some_and(|number| relation.rare().guessed.contains(number));
                found
                    .columns
                    .extend(number.and_then(|number| relation.classified.get(number)).into_iter().flatten().cloned());
                self.show_lineage(relation, Some(column), found);
            }
            (Target::Known(relation), None) => {
                found.columns.extend(relation.classified.values().flatten().cloned());
                found.assumed |= !relation.rare().guessed.is_empty();
                self.show_lineage(relation, None, found);
            }
            (Target::Temporary { holds, .. }, column) => {
                found.inferred |= self.doubted;
                self.show_marks(holds, column, found);
            }
            (Target::Named { schema, table }, column) => {
                found.inferred |= self.is_doubted(schema);
                self.held(schema, table).for_each(|holds| self.show_marks(holds, column, found));
                self.show_below(schema, table, found);
                let named = self.classification.named().find(|(s, t, ..)| s == &&**schema && t == &&**table);
                let all = named.map(|(_, _, columns, _)| columns).unwrap_or_default();
                let classified = |column: &str| {
                    let level = self.classification.level(schema, table, column)?;
                    Some(Classified { name: format!("{schema}.{table}.{column}").into(), level })
                };
                match column {
                    Some(column) => found.columns.extend(classified(column)),
                    None => found.columns.extend(all.into_iter().filter_map(classified)),
                }
            }
        }
    }

    /// Everything that a view is over which the catalog does not have yet.
    fn show_below(&self, schema: &str, table: &str, found: &mut Found) {
        let before = found.columns.len();
        for (schema, table) in self.lineage.below(schema, table) {
            if let Some(relation) = self.snapshot.and_then(|snapshot| snapshot.named(schema, table)) {
                found.columns.extend(relation.classified.values().flatten().cloned());
            }
            if let Some(holds) = self.lineage.of(schema, table) {
                self.show_marks(holds, None, found);
            }
        }
        found.assumed |= found.columns.len() > before;
    }

    /// The relations that names mean. An unqualified one may mean several, where what was SET is not known.
    pub(super) fn targets(&self, names: &[RelationName], found: &mut Found) -> Vec<Target<'_>> {
        let mut targets = Vec::with_capacity(names.len());
        for name in names {
            found.assumed |= name.is_of_toast();
            let of_session = matches!(name.schema.as_deref(), None | Some("pg_temp"));
            if let Some((holds, certain)) = self.context.own.of(&name.name).filter(|_| of_session) {
                targets.push(Target::Temporary { table: name.name.clone(), holds });
                if certain || name.schema.is_some() {
                    continue;
                }
            }
            if name.schema.is_none() && self.context.own.path_unknown {
                let known = self.snapshot.map(|snapshot| snapshot.of_any_schema(&name.name)).unwrap_or_default();
                found.assumed |= known.len() != 1;
                let before = targets.len();
                targets.extend(known.into_iter().map(Target::Known));
                if targets.len() > before {
                    continue;
                }
            }
            targets.push(self.target(name));
        }
        targets
    }

    pub(super) fn target(&self, name: &RelationName) -> Target<'_> {
        let known = |schema: &str| self.snapshot.and_then(|snapshot| snapshot.named(schema, &name.name));
        // Where a table's long values are.
        if let Some(relation) = name.of_toast().and_then(|oid| self.snapshot?.relation(oid)) {
            return Target::Known(relation);
        }
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
        let default = self.snapshot.map(|snapshot| snapshot.login_path(&self.context.login)).unwrap_or_default();
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

/// What the rules touch of what a statement writes (PostgreSQL manual, The Rule System; COPY sets off none).
fn ruled(analysis: &Analysis, writes: &[Target<'_>]) -> BTreeSet<Text> {
    let on = match (analysis.kind, writes) {
        (Kind::CopyIn | Kind::Ddl, _) => return BTreeSet::new(),
        (Kind::Update, [_]) => Some('2'),
        (Kind::Insert, [_]) => Some('3'),
        (Kind::Delete, [_]) => Some('4'),
        _ => None,
    };
    let known = writes.iter().filter_map(|target| match target {
        Target::Known(relation) => Some(&relation.rare().rules),
        Target::Temporary { .. } | Target::Named { .. } => None,
    });
    known.flatten().filter(|rule| on.is_none_or(|on| on == rule.on)).map(|rule| rule.relation.clone()).collect()
}

/// `schema.table` of the base relations, sorted, distinct.
fn names(targets: &[Target<'_>]) -> Vec<Text> {
    let names: BTreeSet<Text> = targets
        .iter()
        .flat_map(|target| match target {
            Target::Known(relation) => relation.bases().to_vec(),
            other => vec![other.name()],
        })
        .collect();
    names.into_iter().collect()
}

fn union(names: Vec<Text>, more: &BTreeSet<Text>) -> Vec<Text> {
    if more.is_empty() {
        return names;
    }
    let all: BTreeSet<Text> = names.into_iter().chain(more.iter().cloned()).collect();
    all.into_iter().collect()
}
