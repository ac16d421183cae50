//! What the users' functions show: their bodies, followed as far as they can be.
//!
//! In: functions as the loader read them, and what relations show. Out: for a name, the classified columns that it may return
//! and the base relations it may read. PURE. A body in SQL is followed; one in PL/pgSQL shows all of every relation that it
//! names; one that makes statements as it runs, or in a language that is not read here, may show anything.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::bodies::{Bodies, Statements};
use super::built_in::{holds_comments, holds_statistics, reads_anything, reads_comment, takes_sql};
use super::snapshot::{Classified, Relation};
use crate::record::{Kind, Text};
use crate::sql::{Code, Effect, Output, RelationName, bare};

/// Functions that call functions are followed so deep.
const CALL_DEPTH_MAX: usize = 16;

/// Pieces of code, of those that one calls, which may execute what they are given. One more is not given anything.
const EXECUTES_MAX: usize = 64;

/// Names that the catalog does not have, of which one may be what a text fills. Of more, none is taken for it.
const ALONE_MAX: usize = 8;

/// A function as the loader read it.
#[derive(Clone, Debug, Default)]
pub struct Function {
    /// Its schema.
    pub schema: Text,
    /// Its name.
    pub name: Text,
    /// `sql`, `plpgsql`, `c`, …
    pub language: Text,
    /// Its body; of `BEGIN ATOMIC`, as PostgreSQL writes it.
    pub body: String,
    /// Whether it belongs to an extension.
    pub in_extension: bool,
    /// The search path that it sets for itself.
    pub search_path: Option<Vec<Text>>,
    /// What an aggregate is made of, and casts that nobody names, with their schemas.
    pub calls: Vec<Text>,
    /// What its arguments are where none is given, as expressions.
    pub defaults: Option<String>,
    /// Whether it takes a row, and may be written as a column of it.
    pub takes_row: bool,
    /// Whether it returns a truth value, or nothing: none of what it reads.
    pub keeps: bool,
}

/// What a function may show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// Classified columns.
    pub columns: BTreeSet<Classified>,
    /// Base relations that it reads or writes.
    pub bases: BTreeSet<Text>,
    /// What it names, by [`hash`]: relations that may be others by now, columns, functions.
    pub names: BTreeSet<u32>,
    /// Rows of the largest of them that has anything classified.
    pub size: Option<u64>,
    /// It may read anything.
    pub opaque: bool,
    /// More than it returns is among `columns`, perhaps.
    pub assumed: bool,
    /// It may change what names mean after it.
    pub sets_path: bool,
    /// It may change the schema.
    pub changes_schema: bool,
    /// Channels that it notifies; `None` where one is put together.
    pub notifies: BTreeSet<Option<Text>>,
    /// Schema and name of what it fills, and with what: nothing classified, perhaps, but for what it is given.
    pub fills: BTreeMap<(Text, Text), BTreeSet<Classified>>,
    /// The same of what it fills that the catalog does not have, by the name that stands there.
    pub makes: BTreeMap<RelationName, BTreeSet<Classified>>,
    /// Code that executes what it puts together: what it is given may be part of that.
    pub executes: Vec<Arc<Code>>,
    /// Many rows may end in one value of its.
    pub collects: bool,
    /// Of how many people one row that it returns may be; `None` where that is not known.
    pub in_row: Option<u16>,
    /// It executes more than its constants say, or is not read here: it may fill anything.
    pub is_open: bool,
    /// It fills what it does not name, or what stands in a name that it puts together.
    pub fills_unnamed: bool,
    /// It may delete from what it names.
    pub deletes: bool,
    /// It shows a setting.
    pub shows_setting: bool,
    /// It reads a large object.
    pub reads_object: bool,
    /// It reads a comment of the catalog.
    pub reads_comment: bool,
    /// It may write one with what it puts together.
    pub comments: bool,
    /// It names a relation that may be any until the catalog has been read.
    pub is_suspect: bool,
    /// It returns none of what it reads.
    pub keeps: bool,
    /// What code shows that runs with it, and returns none of that: it may say it in a notice, or an error.
    pub aside: Option<Box<Shown>>,
}

/// The relations that a name may mean, by a search path.
type Find<'f, 'r> = dyn Fn(&RelationName, Option<&[Text]>) -> Vec<&'r Relation> + 'f;

/// The users' functions by name, with and without schema, and their operators.
#[derive(Clone, Debug, Default)]
pub struct Functions {
    shown: HashMap<Text, Shown>,
    /// Casts among them, as `::type`.
    operators: HashMap<Text, Vec<Text>>,
    /// Without their schemas.
    of_rows: HashSet<Text>,
    built_in: HashSet<Text>,
}

impl Functions {
    /// Follows every body.
    pub(super) fn build<'a>(
        functions: &'a [Function],
        operators: &[(Text, Text, Text)],
        built_in: &[Text],
        bodies: &Bodies<'a>,
        find: &Find<'_, '_>,
    ) -> Functions {
        let mut by_name: HashMap<Text, Vec<&Function>> = HashMap::new();
        for function in functions {
            by_name.entry(function.name.clone()).or_default().push(function);
            by_name.entry(format!("{}.{}", function.schema, function.name).into()).or_default().push(function);
        }
        let mut behind: HashMap<Text, Vec<Text>> = HashMap::new();
        for (name, schema, function) in operators {
            behind.entry(name.clone()).or_default().push(format!("{schema}.{function}").into());
        }
        let takes_row = functions.iter().filter(|function| function.takes_row);
        let of_rows: HashSet<Text> = takes_row.map(|function| function.name.clone()).collect();
        let mut follower =
            Follower { by_name: &by_name, operators: &behind, of_rows: &of_rows, bodies, find, done: HashMap::new() };
        for name in by_name.keys() {
            follower.shown(name, 0);
        }
        let shown = follower.done;
        Functions { shown, operators: behind, of_rows, built_in: built_in.iter().cloned().collect() }
    }

    /// What a function of this name, with or without its schema, shows; `None` where it is PostgreSQL's own.
    pub fn shown(&self, name: &str) -> Option<&Shown> {
        self.shown.get(name)
    }

    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = &Shown> {
        self.shown.values()
    }

    /// What the functions behind operators of this name show, of the users' own.
    pub fn behind_operator(&self, name: &str) -> impl Iterator<Item = &Shown> {
        self.operators.get(name).into_iter().flatten().filter_map(|function| self.shown.get(function))
    }

    /// What a function of this name shows that takes a row, and so may be written as one of its columns.
    pub(super) fn of_row(&self, name: &Text) -> Option<&Shown> {
        self.of_rows.get(name).and_then(|name| self.shown.get(name))
    }

    /// Whether it is neither the users' nor PostgreSQL's own: made a moment ago, or no function.
    pub fn is_unheard_of(&self, name: &str) -> bool {
        let prefixes = ["pg_catalog.", "information_schema."];
        let own = prefixes.iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name);
        let known = self.shown.contains_key(name) || self.operators.contains_key(name) || self.built_in.contains(own);
        !self.built_in.is_empty() && !known
    }
}

struct Follower<'a, 'f, 'r> {
    by_name: &'f HashMap<Text, Vec<&'a Function>>,
    /// As [`Functions`] has them.
    operators: &'f HashMap<Text, Vec<Text>>,
    of_rows: &'f HashSet<Text>,
    bodies: &'f Bodies<'a>,
    find: &'f Find<'f, 'r>,
    done: HashMap<Text, Shown>,
}

impl<'a, 'f> Follower<'a, 'f, '_> {
    fn shown(&mut self, name: &Text, depth: usize) -> Shown {
        if let Some(known) = self.done.get(name) {
            return known.clone();
        }
        let Some(functions) = self.by_name.get(name) else { return Shown::default() };
        if depth > CALL_DEPTH_MAX {
            return Shown { opaque: true, ..Shown::default() };
        }
        // One that calls itself finds nothing more in itself.
        self.done.insert(name.clone(), Shown::default());
        let mut shown = Shown::default();
        for function in functions {
            self.body(function, &mut shown, depth);
        }
        shown.keeps = functions.iter().all(|function| function.keeps);
        let in_row: Option<Vec<u16>> = functions.iter().map(|function| self.in_row(function)).collect();
        shown.in_row = in_row.and_then(|in_row| in_row.into_iter().max());
        self.done.insert(name.clone(), shown.clone());
        shown
    }

    fn body(&mut self, function: &'a Function, shown: &mut Shown, depth: usize) {
        for called in &function.calls {
            shown.takes(self.shown(called, depth + 1));
        }
        if let Some(defaults) = &function.defaults {
            self.sql(&Statements::of(&format!("select {defaults}")), function, shown, depth);
        }
        match &*function.language {
            "sql" => self.sql(&self.bodies.in_sql(&function.body), function, shown, depth),
            "plpgsql" => self.code(&self.bodies.code(&function.body), function, shown, depth),
            "c" | "internal" if function.in_extension => shown.opaque |= takes_sql(&function.name),
            "internal" if &*function.body == "aggregate_dummy" => {}
            _ => {
                shown.opaque = true;
                shown.changes_schema = true;
                shown.is_open = true;
            }
        }
    }

    /// Of how many people a row of one function may be: as often as one relation is named. Nothing of one that calls others of the users', or that collects
    /// what it is given.
    fn in_row(&self, function: &'a Function) -> Option<u16> {
        if !function.calls.is_empty() || function.defaults.is_some() {
            return None;
        }
        let calls = |functions: &[Text], operators: &[Text]| {
            functions.iter().any(|name| self.by_name.contains_key(name)) || !self.behind(operators).is_empty()
        };
        let found = |name: &RelationName| (self.find)(name, function.search_path.as_deref());
        let of = |relation: &Relation| {
            let is_plain = relation.calls().next().is_none() && !relation.rare().is_collected;
            is_plain.then_some(relation.rare().people_in_row)
        };
        match &*function.language {
            "sql" => {
                let body = self.bodies.in_sql(&function.body);
                let mut sum = 0_u16;
                for analysis in &body.analyses {
                    let mut columns = analysis.output.columns().iter().filter_map(|found| found.column.as_ref());
                    if analysis.collects || columns.any(|name| self.of_rows.contains(name)) {
                        return None;
                    }
                    if calls(&analysis.functions, &analysis.operators) {
                        return None;
                    }
                    let all = analysis.reads.iter().chain(&analysis.writes).flat_map(found);
                    let most = all.map(of).collect::<Option<Vec<u16>>>()?.into_iter().max();
                    sum = sum.saturating_add(most.unwrap_or(0).saturating_mul(analysis.named));
                }
                body.analyses.last().filter(|last| last.kind == Kind::Select).map(|_| sum)
            }
            "plpgsql" => {
                let code = self.bodies.code(&function.body);
                if code.dynamic || calls(&code.functions, &code.operators) {
                    return None;
                }
                let mut most = 0_u16;
                for name in &code.relations {
                    let times = code.times(&name.name).filter(|_| !self.of_rows.contains(&name.name))?;
                    for relation in found(name) {
                        most = most.max(of(relation)?.saturating_mul(times));
                    }
                }
                Some(most)
            }
            "c" if function.in_extension && !takes_sql(&function.name) => Some(0),
            _ => None,
        }
    }

    fn sql(&mut self, body: &Statements, function: &Function, shown: &mut Shown, depth: usize) {
        let last = body.analyses.len().saturating_sub(1);
        for (index, analysis) in body.analyses.iter().enumerate() {
            let path = function.search_path.as_deref();
            let columns = analysis.output.columns().iter().filter_map(|found| found.column.as_deref());
            let relations = analysis.reads.iter().chain(&analysis.writes).map(|name| &*name.name);
            let functions = analysis.functions.iter().map(|name| bare(name));
            shown.names.extend(columns.chain(relations).chain(functions).map(hash));
            let named: Vec<(&RelationName, Vec<&Relation>)> =
                analysis.reads.iter().chain(&analysis.writes).map(|name| (name, (self.find)(name, path))).collect();
            named.iter().flat_map(|(_, found)| found).for_each(|relation| shown.names(relation));
            shown.opaque |= analysis.reads.iter().any(holds_statistics);
            shown.reads_comment |= analysis.reads.iter().any(holds_comments);
            if let Some(code) = body.code.as_ref().filter(|_| !analysis.writes.is_empty()) {
                shown.deletes |= code.deletes;
                self.fills(code, function, shown);
            }
            match &analysis.output {
                Output::Columns(refs) if index == last => {
                    let has = |name: &RelationName, column: &str| {
                        let mut of_name = named.iter().filter(|(its, _)| *its == name).flat_map(|(_, found)| found);
                        let first = of_name.next()?;
                        Some(first.has_column(column) || of_name.any(|relation| relation.has_column(column)))
                    };
                    for column in refs.iter().filter(|column| column.is_meant(has) != Some(false)) {
                        let of = |name: &&RelationName| column.relation.as_ref().is_none_or(|its| its == *name);
                        let meant = named.iter().filter(|(name, _)| of(name)).flat_map(|(_, found)| found);
                        meant.for_each(|relation| shown.columns.extend(relation.shows(column.column.as_deref())));
                    }
                }
                Output::Unknown => {
                    shown.assumed = true;
                    let all = named.iter().flat_map(|(_, found)| found);
                    all.for_each(|relation| shown.columns.extend(relation.shows(None)));
                    shown.opaque |= analysis.reads.is_empty() && analysis.parse == crate::record::Parse::None;
                }
                Output::Columns(_) | Output::Nothing => {}
            }
            shown.collects |= analysis.collects;
            shown.notifies.extend(analysis.doors.notifies.iter().cloned());
            shown.changes_schema |= analysis.effects.contains(&Effect::SchemaChanged);
            let behind = named.iter().flat_map(|(_, found)| found).flat_map(|relation| relation.calls());
            let behind = behind.chain(self.behind(&analysis.operators));
            let returned = analysis.output.columns().iter().filter_map(|column| column.column.as_ref());
            let is_column =
                |name: &Text| named.iter().flat_map(|(_, found)| found).any(|relation| relation.has_column(name));
            let behind =
                behind.chain(returned.filter(|name| !is_column(name)).filter_map(|name| self.of_rows.get(name)));
            for called in analysis.functions.iter().chain(behind) {
                let inner = self.shown(called, depth + 1);
                shown.takes(inner);
                shown.calls(called);
                shown.sets_path |= &**called == "set_config";
            }
        }
    }

    fn code(&mut self, code: &Arc<Code>, function: &Function, shown: &mut Shown, depth: usize) {
        shown.assumed = true;
        shown.opaque |= code.dynamic || code.relations.iter().any(holds_statistics);
        shown.reads_comment |= code.relations.iter().any(holds_comments);
        shown.comments |= code.comments;
        shown.deletes |= code.deletes;
        shown.fills_unnamed |= code.fills_unnamed;
        shown.sets_path |= code.sets_path;
        shown.collects |= code.collects();
        shown.changes_schema |= code.changes_schema;
        shown.notifies.extend(code.notifies.iter().cloned());
        shown.names_in(code);
        let mut functions: BTreeSet<&Text> = code.functions.iter().collect();
        let mut reads_classified = false;
        for name in &code.relations {
            for relation in (self.find)(name, function.search_path.as_deref()) {
                shown.names(relation);
                if !code.only_filled.contains(name) {
                    reads_classified |= !relation.classified.is_empty();
                    shown.columns.extend(taken(code, name, relation));
                }
                functions.extend(relation.calls());
            }
        }
        let cast_to = |name: &RelationName| Text::from(format!("::{}", name.name));
        let types: Vec<Text> = code.relations.iter().map(cast_to).collect();
        functions.extend(self.behind(&code.operators).into_iter().chain(self.behind(&types)));
        functions.extend(code.relations.iter().filter_map(|name| self.of_rows.get(&name.name)));
        for called in functions {
            let inner = self.shown(called, depth + 1);
            shown.takes(inner);
            shown.calls(called);
        }
        self.fills(code, function, shown);
        shown.may_execute(code);
        // What reads nothing classified hides nothing.
        shown.assumed = shown.opaque || reads_classified || !shown.columns.is_empty();
    }

    /// The functions behind operators, of the users' own: of several of one name, all.
    fn behind(&self, operators: &[Text]) -> Vec<&'f Text> {
        operators.iter().filter_map(|name| self.operators.get(name)).flatten().collect()
    }

    /// What a body writes may hold what it names, and what the functions show that it calls.
    fn fills(&self, code: &Code, function: &Function, shown: &mut Shown) {
        let named = code.relations.iter().flat_map(|name| (self.find)(name, function.search_path.as_deref()));
        let behind: Vec<&Text> = named.flat_map(Relation::calls).chain(self.behind(&code.operators)).collect();
        let called = code.functions.iter().chain(behind).filter_map(|name| self.done.get(name));
        let called = called.flat_map(|inner| inner.columns.iter().cloned()).collect();
        shown.fills_by(code, called, &|name| (self.find)(name, function.search_path.as_deref()));
    }
}

impl Shown {
    /// Of a relation that is read, the columns that the code names; of PostgreSQL's own nothing is remembered.
    pub(super) fn fills_by<'r>(
        &mut self,
        code: &Code,
        called: BTreeSet<Classified>,
        find: &dyn Fn(&RelationName) -> Vec<&'r Relation>,
    ) {
        let passes = code.passes.iter().any(|_| !self.fills.is_empty() || !self.makes.is_empty());
        if code.writes.is_empty() && !code.fills_unnamed && !passes {
            return;
        }
        let mut with: BTreeSet<Classified> = BTreeSet::new();
        for name in code.reads() {
            find(name).into_iter().for_each(|relation| with.extend(taken(code, name, relation)));
        }
        with.extend(called);
        // What it calls is given what it has read.
        if passes && !with.is_empty() {
            self.fills.values_mut().chain(self.makes.values_mut()).for_each(|its| its.extend(with.iter().cloned()));
        }
        for name in &code.writes {
            let known = find(name);
            for into in &known {
                self.fills.entry(into.parts.clone()).or_default().extend(with.iter().cloned());
            }
            if known.is_empty() && code.makes.contains(name) {
                self.makes.entry(name.clone()).or_default().extend(with.iter().cloned());
            }
        }
        if code.fills_unnamed {
            // Into which, no catalog says.
            self.is_open |= !with.is_empty();
            self.fills_one_of(&code.alone, &with, find);
        }
    }

    /// What a text fills that it does not name is one of these, perhaps; not one that it reads of.
    fn fills_one_of<'r>(
        &mut self,
        names: &[RelationName],
        with: &BTreeSet<Classified>,
        find: &dyn Fn(&RelationName) -> Vec<&'r Relation>,
    ) {
        let is_read = |relation: &Relation| relation.classified.values().flatten().any(|own| with.contains(own));
        if names.len() <= ALONE_MAX && !names.iter().any(|name| find(name).iter().any(|relation| !is_read(relation))) {
            self.makes_one_of(names, with);
        }
        for into in names.iter().flat_map(find).filter(|relation| !is_read(relation)) {
            self.fills.entry(into.parts.clone()).or_default().extend(with.iter().cloned());
        }
    }

    /// The catalog has none of them yet: any may be one that was made a moment ago, and the schema may stand apart.
    fn makes_one_of(&mut self, names: &[RelationName], with: &BTreeSet<Classified>) {
        let bare = || names.iter().filter(|name| name.schema.is_none()).map(|name| &name.name);
        let pair = |schema: &Text| {
            bare().map(|name| RelationName { schema: Some(schema.clone()), name: name.clone() }).collect()
        };
        let pairs: Vec<RelationName> = bare().flat_map::<Vec<_>, _>(|schema| pair(&schema.clone())).collect();
        for name in names.iter().cloned().chain(pairs) {
            self.makes.entry(name).or_default().extend(with.iter().cloned());
        }
    }

    /// Code that may execute what it is given.
    pub(super) fn may_execute(&mut self, code: &Arc<Code>) {
        self.is_open |= code.is_open;
        if code.dynamic {
            self.executes.push(Arc::clone(code));
        }
    }

    /// Takes down what code names.
    pub(super) fn names_in(&mut self, code: &Code) {
        self.names.extend(code.relations.iter().map(|name| hash(&name.name)));
        self.names.extend(code.functions.iter().map(|name| hash(bare(name))));
    }

    /// It calls one of PostgreSQL's own.
    pub(super) fn calls(&mut self, function: &str) {
        let own = function.strip_prefix("pg_catalog.").unwrap_or(function);
        self.opaque |= reads_anything(own);
        self.shows_setting |= own == "current_setting";
        self.reads_object |= matches!(own, "lo_get" | "loread" | "lo_export");
        self.reads_comment |= reads_comment(own);
    }

    /// What it does where nothing is returned of what it makes.
    pub(super) fn unseen(self) -> Shown {
        let Shown { sets_path, changes_schema, notifies, fills, makes, executes, is_open, .. } = self;
        let Shown { comments, deletes, fills_unnamed, .. } = self;
        let shown = Shown { sets_path, changes_schema, notifies, fills, makes, executes, is_open, ..Shown::default() };
        Shown { comments, deletes, fills_unnamed, ..shown }
    }

    /// Takes what a function shows that is called.
    pub(super) fn runs(&mut self, called: &Shown) {
        match called.keeps {
            true => self.runs_aside(called),
            false => self.takes(called.clone()),
        }
    }

    /// The same where nothing is returned of what it makes.
    pub(super) fn runs_aside(&mut self, called: &Shown) {
        self.bases.extend(called.bases.iter().cloned());
        self.takes(called.clone().unseen());
        self.aside.get_or_insert_default().takes(called.clone());
    }

    /// What it made, where it ran before.
    pub(super) fn at_rest(self) -> Shown {
        let Shown { columns, bases, size, opaque, assumed, collects, .. } = self;
        let Shown { shows_setting, reads_object, reads_comment, .. } = self;
        let shown = Shown { columns, bases, size, opaque, assumed, collects, ..Shown::default() };
        Shown { shows_setting, reads_object, reads_comment, ..shown }
    }

    pub(super) fn names(&mut self, relation: &Relation) {
        self.bases.extend(relation.bases().iter().cloned());
        if !relation.classified.is_empty() {
            self.size = self.size.max(relation.size);
        }
    }

    pub(super) fn takes(&mut self, inner: Shown) {
        self.columns.extend(inner.columns);
        self.bases.extend(inner.bases);
        self.names.extend(inner.names);
        self.size = self.size.max(inner.size);
        self.opaque |= inner.opaque;
        self.assumed |= inner.assumed;
        self.sets_path |= inner.sets_path;
        self.changes_schema |= inner.changes_schema;
        self.notifies.extend(inner.notifies);
        for (into, with) in inner.fills {
            self.fills.entry(into).or_default().extend(with);
        }
        for (into, with) in inner.makes {
            self.makes.entry(into).or_default().extend(with);
        }
        for code in inner.executes {
            let is_new = self.executes.len() < EXECUTES_MAX && !self.executes.contains(&code);
            self.executes.extend(is_new.then_some(code));
        }
        self.is_open |= inner.is_open;
        self.deletes |= inner.deletes;
        self.fills_unnamed |= inner.fills_unnamed;
        self.collects |= inner.collects;
        self.shows_setting |= inner.shows_setting;
        self.reads_object |= inner.reads_object;
        self.reads_comment |= inner.reads_comment;
        self.comments |= inner.comments;
        self.is_suspect |= inner.is_suspect;
    }
}

/// Of a name without a schema, as [`Shown::names`] has it. Two that share one are both taken for named.
pub(super) fn hash(name: &str) -> u32 {
    crc32fast::hash(name.as_bytes())
}

/// The classified columns of a relation that code may take which names it: those that it names too, all where it takes rows as a whole.
pub(super) fn taken<'r>(
    code: &Code,
    name: &RelationName,
    relation: &'r Relation,
) -> impl Iterator<Item = Classified> + use<'r> {
    let taken: Vec<i16> =
        relation.columns.iter().filter(|(column, _)| code.takes(name, column)).map(|(_, number)| *number).collect();
    let absent = relation.rare().absent.iter().filter(|(column, _)| code.takes(name, column));
    let absent: Vec<Classified> = absent.map(|(_, absent)| absent.clone()).collect();
    taken.into_iter().filter_map(|number| relation.classified.get(&number)).flatten().cloned().chain(absent)
}
