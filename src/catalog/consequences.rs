//! What a statement leaves behind: which relations hold classified columns from then on, and what else later statements mean.
//!
//! In: a statement's analysis, and what it was understood to read. Out: [`Consequences`]. PURE.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Catalog;
use super::built_in::{holds_comments, reads_anything, reads_comment};
use super::functions::Shown;
use super::lineage::{Holds, Learned};
use super::own::Own;
use super::resolve::{Found, Resolver, Target};
use super::snapshot::{Classified, Snapshot};
use super::streams::Sent;
use crate::record::{Kind, Text};
use crate::session::event::Origin;
use crate::sql::{Analysis, Code, ColumnRef, Fate, Flow, Output};

/// Where what was put into comments is remembered.
const COMMENTS: (&str, &str) = ("pg_catalog", "pg_description");

/// Classified columns that a statement touches, whether it returns them or not: an error quotes the value that a cast does not
/// like, and the row that a constraint keeps out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AtRisk {
    /// These, and those it returns; `schema.table.column`, sorted, distinct.
    pub columns: Vec<Text>,
    /// The highest classification among them.
    pub level: Option<Text>,
    /// Whether any is of level `personal` or above.
    pub personal: bool,
}

/// What a statement leaves behind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Consequences {
    pub(super) learned: Vec<Learned>,
    /// Classified columns that went into large objects …
    pub(super) large_objects: Vec<Classified>,
    /// … and into settings.
    pub(super) settings: Vec<Classified>,
    /// What went to whoever listens.
    pub(super) sent: Vec<Sent>,
    /// It may have changed the search path.
    pub sets_path: bool,
    /// It may have done anything.
    pub opaque: bool,
    /// It may have changed the schema, by code that does not show it.
    pub changes_schema: bool,
    /// It may have executed what it was given, be it in values that are sent apart from its text.
    pub executes: bool,
    /// It ran code of which it is not known what that fills.
    pub unfollowed: bool,
    /// A function that it made, and its code.
    pub(super) made: Option<(Text, Arc<Code>)>,
    /// It names a relation that may be any until the catalog has been read, which is worth reading at once.
    pub wants_catalog: bool,
}

impl Consequences {
    /// The columns that hold classified data now, `schema.table.column`; those of the session's own tables left out.
    pub fn derived(&self) -> Vec<Text> {
        let mut derived: Vec<Text> = self.learned.iter().flat_map(Learned::derived).collect();
        derived.sort_unstable();
        derived.dedup();
        derived
    }
}

impl Catalog {
    /// What a statement that is about to run leaves to its session, as of [`Catalog::learn_own`]: what it fills for everybody, too, since the next
    /// statement may come before this one has ended.
    pub fn learn_ahead(&self, own: &mut Arc<Own>, follows: &Consequences) {
        self.learn_own(own, follows);
        let everybodys = || follows.learned.iter().filter(|learned| !learned.temporary);
        if everybodys().next().is_some() {
            let own = Arc::make_mut(own);
            everybodys().for_each(|learned| own.learn_ahead(learned));
        }
    }
}

impl Resolver<'_> {
    /// What relations are filled with, of those that are read, and those that are written.
    pub(super) fn learned(&self, analysis: &Analysis, touched: [&[Target<'_>]; 2], called: &Shown) -> Vec<Learned> {
        let learned: Vec<Learned> =
            analysis.flows.iter().map(|flow| self.follow(flow, analysis, touched, called)).collect();
        let below: Vec<Learned> = learned.iter().flat_map(|learned| self.below(learned)).collect();
        let made = called.makes.iter().filter_map(|(name, with)| Some((self.target(name).parts()?, with)));
        let filled = called.fills.iter().map(|(parts, with)| (parts.clone(), with));
        let passed = self.passed(analysis, touched[0]);
        let by_code = filled.chain(made).map(|((schema, table), with)| {
            let mut learned = Learned::filled(schema, table);
            let with: Vec<Classified> = with.iter().chain(&passed).cloned().collect();
            learned.fill(None, &with, self.classification);
            learned
        });
        let others = self.set_to_run(analysis, touched[1]).into_iter().chain(self.of_file(analysis, touched[1]));
        let learned = learned.into_iter().chain(below).chain(by_code).chain(others);
        let mut all: Vec<Learned> = learned.filter(Learned::says_something).collect();
        let collects = analysis.collects || called.collects;
        all.iter_mut().for_each(|learned| learned.collects(collects));
        all
    }

    /// What code fills that is set to run wherever a relation is written: it may be gone again before the catalog is read.
    fn set_to_run(&self, analysis: &Analysis, writes: &[Target<'_>]) -> Vec<Learned> {
        let (Some(made), Some(snapshot)) = (&analysis.doors.made, self.snapshot) else { return Vec::new() };
        let of_rule = made.code.as_ref().filter(|_| made.function.is_none());
        let code = of_rule.or_else(|| self.made.get(made.runs.as_ref()?).map(|code| &**code));
        let shown = match (code, made.runs.as_ref().and_then(|name| snapshot.function(name))) {
            (Some(code), _) => snapshot.code(code),
            (None, Some(shown)) => shown.clone(),
            (None, None) => return Vec::new(),
        };
        // Of the row that sets it off, what it names.
        let mut own = Found::default();
        let names = code.iter().flat_map(|code| &code.relations).map(|name| Some(&*name.name));
        let whole = code.filter(|code| code.takes_rows || code.dynamic).map(|_| None);
        for column in names.chain(whole) {
            writes.iter().for_each(|target| self.show(target, column, &mut own));
        }
        let made = shown.makes.iter().filter_map(|(name, with)| Some((self.target(name).parts()?, with)));
        let filled = shown.fills.iter().map(|(parts, with)| (parts.clone(), with)).chain(made);
        let fill = |((schema, table), with): ((Text, Text), &BTreeSet<Classified>)| {
            let mut learned = Learned::filled(schema, table);
            let with: Vec<Classified> = with.union(&own.columns).cloned().collect();
            learned.fill(None, &with, self.classification);
            learned
        };
        let is_other =
            |(parts, _): &((Text, Text), _)| !writes.iter().any(|target| target.parts().as_ref() == Some(parts));
        filled.filter(is_other).map(fill).collect()
    }

    /// A file of the server's may hold anything: what was copied out before, for one.
    fn of_file(&self, analysis: &Analysis, writes: &[Target<'_>]) -> Vec<Learned> {
        let parts = writes.iter().filter(|_| analysis.doors.from_file).filter_map(Target::parts);
        parts.map(|(schema, table)| Learned::doubted(schema, table)).collect()
    }

    /// What is put into a view goes into what is behind it: into which column is not followed.
    fn below(&self, learned: &Learned) -> Vec<Learned> {
        let view = self.snapshot.and_then(|snapshot| snapshot.named(&learned.schema, &learned.table));
        let Some(view) = view.filter(|_| learned.fate == Fate::Filled && !learned.holds.is_empty()) else {
            return Vec::new();
        };
        let bases = view.bases().iter().filter(|base| **base != view.name).filter_map(|base| base.split_once('.'));
        let mut found = Found::default();
        self.show_marks(&learned.holds, None, &mut found);
        let found: Vec<Classified> = found.columns.into_iter().collect();
        let into = |(schema, table): (&str, &str)| {
            let mut below = Learned::filled(schema.into(), table.into());
            below.fill(None, &found, self.classification);
            below
        };
        bases.map(into).collect()
    }

    /// What of the relations that are read is given to functions which write, or may.
    pub(super) fn passed(&self, analysis: &Analysis, reads: &[Target<'_>]) -> BTreeSet<Classified> {
        let writes = |name: &Text| {
            let shown = self.snapshot.and_then(|snapshot| snapshot.function(name));
            shown.is_some_and(|shown| !shown.fills.is_empty() || !shown.makes.is_empty() || !shown.executes.is_empty())
                || self.made.get(name).is_some_and(|code| code.dynamic || !code.writes.is_empty())
        };
        let mut passed = Found::default();
        for name in analysis.doors.passed.iter().filter(|call| writes(&call.function)).flat_map(|call| &call.names) {
            let has = |target: &&Target<'_>| matches!(target, Target::Known(relation) if relation.has_column(name));
            let its: Vec<&Target<'_>> = reads.iter().filter(has).collect();
            its.iter().for_each(|target| self.show(target, Some(name), &mut passed));
            // What a view calls makes its columns.
            let calls = its.iter().filter_map(|target| target.known()).flat_map(|relation| relation.calls());
            let made = calls.filter_map(|function| self.snapshot?.function(function));
            passed.columns.extend(made.flat_map(|shown| shown.columns.iter().cloned()));
            // A row as a whole, or a column under a name that the statement gave it.
            if its.is_empty() {
                reads.iter().for_each(|target| self.show(target, None, &mut passed));
            }
        }
        passed.columns
    }

    /// What code puts into a comment that it puts together: anything that it shows.
    pub(super) fn commented(&self, called: &Shown, found: &Found) -> Option<Learned> {
        let (schema, table) = COMMENTS;
        let mut learned = Learned::filled(schema.into(), table.into());
        let found: Vec<Classified> = found.columns.iter().cloned().collect();
        learned.fill(None, &found, self.classification);
        (called.comments && learned.says_something()).then_some(learned)
    }

    fn follow(&self, flow: &Flow, analysis: &Analysis, [reads, writes]: [&[Target<'_>]; 2], called: &Shown) -> Learned {
        let mut learned = self.into(flow);
        if flow.fate == Fate::Emptied {
            return learned;
        }
        if flow.is_view {
            learned.over = reads.iter().filter_map(Target::parts).collect();
        }
        let functions: Vec<Classified> = called.columns.iter().cloned().collect();
        if !self.only_returns(analysis, reads) {
            learned.fill(None, &functions, self.classification);
        }
        let all: Vec<&Target<'_>> = reads.iter().collect();
        let Some(columns) = flow.columns.as_ref().and_then(|columns| self.expanded(columns, analysis, &all)) else {
            let mut found = Found::default();
            // Another relation's rows may be returned to it.
            let others = writes.iter().filter(|target| *target.table() != flow.into.name);
            reads.iter().chain(others).for_each(|target| self.show(target, None, &mut found));
            // What is renamed, moved or attached is among neither.
            let refs =
                flow.columns.iter().flatten().flat_map(|(_, refs)| refs).filter_map(|column| column.relation.as_ref());
            refs.for_each(|name| self.show(&self.own_or(name), None, &mut found));
            let found: Vec<Classified> = found.columns.into_iter().collect();
            learned.fill(None, &found, self.classification);
            return learned;
        };
        let by_position = self.positions(flow, columns.len());
        for (index, (name, found)) in columns.into_iter().enumerate() {
            let name = by_position.as_ref().map_or(name, |names| names.get(index).cloned().flatten());
            learned.fill(name.as_deref(), &found, self.classification);
        }
        learned
    }

    /// Whether all that it calls of the users' own is in RETURNING.
    fn only_returns(&self, analysis: &Analysis, reads: &[Target<'_>]) -> bool {
        let Some(snapshot) = self.snapshot.filter(|_| !analysis.returned.is_empty()) else { return false };
        let mut others = analysis.functions.iter().filter(|name| !analysis.returned.contains(name));
        let is_made_by_code = analysis.code.is_some() || analysis.doors.given.is_some();
        !is_made_by_code
            && analysis.operators.iter().all(|name| snapshot.operator(name).next().is_none())
            && !others.any(|name| snapshot.function(name).is_some() || reads_anything(name) || self.is_shifted(name))
            && reads.iter().filter_map(Target::known).all(|relation| relation.calls().next().is_none())
    }

    /// The relation, without what it is filled with.
    fn into(&self, flow: &Flow) -> Learned {
        let own = self.context.own.of(&flow.into.name).is_some_and(|(_, certain)| certain) && flow.fate != Fate::Made;
        let temporary = flow.temporary || (own && flow.into.schema.is_none());
        let (schema, table) = match self.target(&flow.into) {
            _ if temporary => (Text::from("pg_temp"), flow.into.name.clone()),
            // A new one does not stand where one of its name was found behind it in the path.
            Target::Known(relation) => relation.parts.clone(),
            Target::Named { schema, table } => (schema, table),
            Target::Temporary { table, .. } => ("pg_temp".into(), table),
        };
        Learned {
            schema,
            table,
            fate: flow.fate,
            temporary,
            until_commit: flow.until_commit,
            holds: Holds::default(),
            over: Vec::new(),
        }
    }

    /// Each column that is filled in, stars written out; `None` where it is not known how many a star is.
    fn expanded(
        &self,
        columns: &[(Option<Text>, Vec<ColumnRef>)],
        analysis: &Analysis,
        reads: &[&Target<'_>],
    ) -> Option<Vec<(Option<Text>, Vec<Classified>)>> {
        let mut expanded = Vec::with_capacity(columns.len());
        for (name, refs) in columns {
            let star = match (&name, &refs[..]) {
                (None, [ColumnRef { relation: Some(relation), column: None, plain: true, .. }]) => Some(relation),
                _ => None,
            };
            let Some(relation) = star else {
                let mut found = Found::default();
                refs.iter().for_each(|column| self.text_column(column, analysis, reads, &mut found));
                expanded.push((name.clone(), found.columns.into_iter().collect()));
                continue;
            };
            let target = self.own_or(relation);
            let names: Vec<Text> = match &target {
                Target::Known(known) if !known.columns.is_empty() => known.in_order().into_iter().cloned().collect(),
                Target::Temporary { holds, .. } => holds.columns().cloned().collect(),
                Target::Named { schema, table } => {
                    self.held(schema, table).flat_map(|holds| holds.columns().cloned()).collect()
                }
                Target::Known(_) => return None,
            };
            if names.is_empty() {
                return None;
            }
            for name in names {
                let mut found = Found::default();
                self.show(&target, Some(&name), &mut found);
                expanded.push((Some(name), found.columns.into_iter().collect()));
            }
        }
        Some(expanded)
    }

    fn own_or(&self, name: &crate::sql::RelationName) -> Target<'_> {
        match self.context.own.of(&name.name) {
            Some((holds, _)) if matches!(name.schema.as_deref(), None | Some("pg_temp")) => {
                Target::Temporary { table: name.name.clone(), holds }
            }
            _ => self.target(name),
        }
    }

    /// The names of the columns that so many values go into, where that is by position.
    fn positions(&self, flow: &Flow, count: usize) -> Option<Vec<Option<Text>>> {
        if !flow.names.is_empty() {
            let names = flow.names.iter().cloned().map(Some);
            return Some(names.chain(std::iter::repeat(None)).take(count).collect());
        }
        // What an INSERT … SELECT calls its columns says nothing of where they go; anything else is filled by name.
        let by_position = flow.fate == Fate::Filled && flow.inserts;
        match self.own_or(&flow.into) {
            Target::Known(relation) if by_position => {
                let names = relation.in_order().into_iter().cloned().map(Some);
                Some(names.chain(std::iter::repeat(None)).take(count).collect())
            }
            _ if by_position => Some(vec![None; count]),
            _ => None,
        }
    }

    /// What writes and returns nothing has a result all the same, where a rule answers with a query (PostgreSQL manual, "Rules on INSERT,
    /// UPDATE, and DELETE"): of what the rules touch. Of one that was made a moment ago that is not known.
    pub(super) fn answered_by_rules(
        &self,
        analysis: &Analysis,
        writes: &[Target<'_>],
        wire: Option<&[Origin]>,
        found: &mut Found,
    ) {
        let is_plan = analysis.query.trim_start().get(..7).is_some_and(|word| word.eq_ignore_ascii_case("explain"));
        let writes_rows = matches!(analysis.kind, Kind::Insert | Kind::Update | Kind::Delete) && !is_plan;
        if !writes_rows || wire.is_none_or(<[Origin]>::is_empty) {
            return;
        }
        found.doubt();
        let rules = writes.iter().flat_map(|target| match target {
            Target::Known(relation) => &relation.rare().rules[..],
            _ => &[],
        });
        let touched: Vec<_> = rules.filter_map(|rule| rule.relation.split_once('.')).collect();
        let known = |(schema, table): (&str, &str)| self.snapshot.and_then(|snapshot| snapshot.named(schema, table));
        if touched.is_empty() {
            found.columns.extend(self.snapshot.map(Snapshot::everything).unwrap_or_default().iter().cloned());
        }
        touched.into_iter().filter_map(known).for_each(|relation| self.show(&Target::Known(relation), None, found));
    }

    /// What a statement fills in, it may return.
    pub(super) fn filled_at_once(&self, analysis: &Analysis, learned: &[Learned], found: &mut Found) {
        if analysis.output == Output::Nothing || !analysis.effects.is_empty() {
            return;
        }
        for filled in learned.iter().filter(|learned| learned.fate == Fate::Filled) {
            let mut returned = Found::default();
            self.show_marks(&filled.holds, None, &mut returned);
            if !returned.columns.is_empty() {
                found.columns.extend(returned.columns);
                found.doubt();
            }
        }
    }

    /// What went into large objects, settings and comments comes back out of them. True where it may.
    pub(super) fn brought_back(&self, analysis: &Analysis, called: &Shown, found: &mut Found) -> bool {
        let mut back = Found::default();
        let opens = |name: &Text| matches!(own_name(name), "lo_get" | "loread" | "lo_export");
        let names = || analysis.functions.iter().chain(analysis.code.iter().flat_map(|code| &code.functions));
        let pages = analysis.reads.iter().any(|name| &*name.name == "pg_largeobject");
        if names().any(opens) || pages || called.reads_object {
            self.show_marks(self.lineage.of_large_objects(), None, &mut back);
        }
        let comments = analysis.reads.iter().any(holds_comments) || names().any(|name| reads_comment(own_name(name)));
        if comments || called.reads_comment {
            let (schema, table) = (Text::from(COMMENTS.0), Text::from(COMMENTS.1));
            self.held(&schema, &table).for_each(|holds| self.show_marks(holds, None, &mut back));
        }
        if analysis.shows_setting || called.shows_setting {
            self.show_marks(self.context.own.settings(), None, &mut back);
        }
        for sequence in &analysis.doors.sequences {
            if let Some((schema, name)) = self.own_or(sequence).parts()
                && let Some(holds) = self.lineage.of(&schema, &name)
            {
                self.show_marks(holds, None, &mut back);
            }
        }
        self.any_sequence(analysis, &mut back);
        if back.is_inferred() {
            found.infer();
        }
        if back.columns.is_empty() {
            return false;
        }
        found.columns.extend(back.columns);
        found.doubt();
        true
    }

    /// What may be in a sequence of which the name is put together, here or where it was set.
    fn any_sequence(&self, analysis: &Analysis, back: &mut Found) {
        let doors = &analysis.doors;
        let reads_all = analysis.reads.iter().any(|name| matches!(&*name.name, "pg_sequences" | "pg_sequence"));
        if doors.any_sequence || reads_all {
            self.lineage.of_sequences().for_each(|holds| self.show_marks(holds, None, back));
        }
        // A sequence is in no snapshot.
        let may_be_one = || analysis.reads.iter().any(|name| matches!(self.own_or(name), Target::Named { .. }));
        if (!doors.sequences.is_empty() || may_be_one())
            && let Some(holds) = self.lineage.of("pg_catalog", "pg_sequences")
        {
            self.show_marks(holds, None, back);
        }
    }

    /// Whatever is read may be told by a call that is not among what is returned.
    pub(super) fn told_aside(&self, analysis: &Analysis, reads: &[Target<'_>], found: &mut Found) {
        let before = found.columns.len();
        for target in reads {
            if analysis.doors.aside {
                self.show(target, None, found);
            }
            analysis.doors.aside_of.iter().for_each(|name| self.show(target, Some(name), found));
        }
        if found.columns.len() > before {
            found.doubt();
        }
    }

    /// What an error may quote. Of rows that the client sends itself, nothing: it knows them.
    pub(super) fn at_risk(
        &self,
        analysis: &Analysis,
        reads: &[Target<'_>],
        writes: &[Target<'_>],
        found: &Found,
    ) -> AtRisk {
        let shows_old_rows = match analysis.kind {
            Kind::CopyIn => false,
            Kind::Insert => analysis.query.to_ascii_lowercase().contains("conflict"),
            _ => true,
        };
        let mut risk = found.again();
        let written = writes.iter().filter(|_| shows_old_rows);
        reads.iter().chain(written).for_each(|target| self.show(target, None, &mut risk));
        self.risked(risk)
    }

    /// What code may say that runs as the statement does, named in it or not: of what the statement touches, and of what that code reads.
    pub(super) fn raised(
        &self,
        analysis: &Analysis,
        reads: &[Target<'_>],
        writes: &[Target<'_>],
        found: &Found,
    ) -> AtRisk {
        let mut risk = found.again();
        for target in reads.iter().chain(writes) {
            self.show(target, None, &mut risk);
            if let Target::Known(relation) = target {
                risk.columns.extend(relation.rare().told_reading.iter().cloned());
            }
        }
        for target in writes {
            if let Target::Known(relation) = target {
                risk.columns.extend(relation.rare().told.iter().cloned());
            }
        }
        if matches!(analysis.kind, Kind::Ddl | Kind::Grant) {
            risk.columns.extend(self.snapshot.into_iter().flat_map(Snapshot::told_on_ddl).cloned());
        }
        self.risked(risk)
    }

    fn risked(&self, risk: Found) -> AtRisk {
        let level = risk.columns.iter().map(|column| column.level).max();
        AtRisk {
            personal: level.is_some_and(|level| self.classification.is_personal(level)),
            level: level.and_then(|level| self.classification.name(level)).cloned(),
            columns: risk.columns.into_iter().map(|column| column.name).collect(),
        }
    }

    /// Everything that follows, where the statement succeeds.
    pub(super) fn consequences(
        &self,
        analysis: &Analysis,
        learned: Vec<Learned>,
        found: &Found,
        called: &Shown,
    ) -> Consequences {
        let in_code = || analysis.code.iter().flat_map(|code| &code.functions);
        let calls =
            |names: &[&str]| analysis.functions.iter().chain(in_code()).any(|name| names.contains(&own_name(name)));
        let all = |into: bool| if into { found.columns.iter().cloned().collect() } else { Vec::new() };
        let may_be_any = |is_so: fn(&Shown) -> bool| is_so(called) || called.aside.as_deref().is_some_and(is_so);
        Consequences {
            learned,
            large_objects: all(calls(&["lo_from_bytea", "lo_put", "lowrite", "lo_import"])),
            settings: all(calls(&["set_config"]) || called.sets_path),
            sets_path: called.sets_path || may_be_any(|shown| shown.opaque),
            opaque: may_be_any(|shown| shown.opaque || shown.assumed),
            changes_schema: called.changes_schema,
            executes: !called.executes.is_empty(),
            unfollowed: false,
            made: analysis
                .doors
                .made
                .as_ref()
                .and_then(|made| Some((made.function.clone()?, Arc::new(made.code.clone()?)))),
            wants_catalog: called.is_suspect && self.suspected,
            sent: Vec::new(),
        }
    }
}

fn own_name(name: &str) -> &str {
    name.strip_prefix("pg_catalog.").unwrap_or(name)
}
