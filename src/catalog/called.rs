//! What a statement calls: by name, by an operator, in code that it brings or gives; and what does not look like a call: what views call, of the users'
//! own and of PostgreSQL's that reads anything, and functions of a row that are written as its columns.
//!
//! In: rows of the catalog, and relations; then a statement. Out: a view's [`Call`]s, those of the views below it among them; and what all of it shows, of
//! views in the columns that the statement returns. PURE. A function that makes no column that is returned runs all the same.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::built_in::reads_anything;
use super::functions::Shown;
use super::relations::{Oid, Relation, Relations, place_of};
use super::resolve::{Found, Resolver, Target};
use super::snapshot::{Rows, Snapshot, View};
use crate::record::{Kind, Parse, Text};
use crate::session::event::Origin;
use crate::sql::{Analysis, ColumnRef, Output};

/// Calls of one view that are told by column. With more, each counts for any column.
const CALLS_MAX: usize = 1_000;
/// Views over views are followed so far.
const DEPTH_MAX: usize = 16;

/// A function that runs where a view is read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call {
    /// As a function is named: with its schema, unless it is PostgreSQL's own.
    pub(super) function: Text,
    /// The column that it makes.
    pub(super) makes: Makes,
    /// Whether it ran already, when the view was filled.
    pub(super) is_past: bool,
}

/// What of a view a call makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Makes {
    /// A condition, an order.
    Nothing,
    Column(i16),
    /// A column, and it is not known which.
    Any,
}

/// By view.
pub(super) fn of_views(rows: &Rows, relations: &Relations) -> HashMap<Oid, Vec<Call>> {
    let views: HashMap<Oid, &View> = rows.views.iter().map(|(oid, view)| (*oid, &**view)).collect();
    let mut all: BTreeMap<Oid, BTreeSet<Call>> = BTreeMap::new();
    for (oid, function) in &rows.view_calls {
        if let (Some(view), Some(relation)) = (views.get(oid), relations.get(*oid)) {
            all.entry(*oid).or_default().extend(own(function, view, relation, is_filled(rows, *oid)));
        }
    }
    for (oid, view) in &rows.views {
        let Some(relation) = relations.get(*oid).filter(|_| !view.reads_anything().is_empty()) else { continue };
        let is_past = is_filled(rows, *oid);
        let calls = view.reads_anything().iter().flat_map(|function| own(function, view, relation, is_past));
        all.entry(*oid).or_default().extend(calls);
    }
    if all.is_empty() {
        return HashMap::new();
    }
    hand_on(rows, &views, relations, &mut all);
    all.into_iter().map(|(oid, calls)| (oid, few(calls))).collect()
}

/// Whether a view is materialised.
fn is_filled(rows: &Rows, oid: Oid) -> bool {
    let place = place_of(&rows.relations, oid, |listed| listed.oid);
    place.and_then(|place| rows.relations.get(place)).is_some_and(|listed| listed.kind == 'm')
}

/// A call that stands in the view itself.
fn own(function: &Text, view: &View, relation: &Relation, is_past: bool) -> Vec<Call> {
    let bare = function.rsplit_once('.').map_or(&**function, |(_, bare)| bare);
    let call = |makes| Call { function: function.clone(), makes, is_past };
    let numbers: Vec<i16> = relation.columns.in_order().into_iter().map(|(number, _)| number).collect();
    let Some(calls) = view.calls().filter(|calls| calls.columns.len() == numbers.len()) else {
        return vec![call(Makes::Any)];
    };
    let of_column = calls.columns.iter().zip(numbers).filter(|(names, _)| names.contains(bare));
    let mut own: Vec<Call> = of_column.map(|(_, number)| call(Makes::Column(number))).collect();
    if own.is_empty() {
        // An operator's or a cast's function is not named.
        own.push(call(if calls.aside.contains(bare) { Makes::Nothing } else { Makes::Any }));
    }
    own
}

/// What a view calls, the views over it call.
fn hand_on(rows: &Rows, views: &HashMap<Oid, &View>, relations: &Relations, all: &mut BTreeMap<Oid, BTreeSet<Call>>) {
    let pairs: BTreeSet<(Oid, Oid)> = rows.dependencies.iter().map(|(view, below, _)| (*view, *below)).collect();
    for _ in 0..DEPTH_MAX {
        let mut changed = false;
        for (above, below) in &pairs {
            let (Some(calls), Some(view)) = (all.get(below).cloned(), views.get(above)) else { continue };
            let (Some(above), Some(below)) = (relations.get(*above), relations.get(*below)) else { continue };
            let is_past = is_filled(rows, above.oid);
            let handed = calls.iter().flat_map(|call| through(call, view, above, below));
            let handed = handed.map(|call| Call { is_past: call.is_past || is_past, ..call });
            let here = all.entry(above.oid).or_default();
            let before = here.len();
            here.extend(handed);
            changed |= here.len() > before;
        }
        if !changed {
            return;
        }
    }
}

/// A call of the view `below`, as one of the view `above`.
fn through(call: &Call, view: &View, above: &Relation, below: &Relation) -> Vec<Call> {
    let one = |makes| Call { makes, ..call.clone() };
    let columns = above.columns.in_order();
    let followed = view.followed().filter(|followed| followed.columns.len() == columns.len());
    let column = match call.makes {
        Makes::Nothing => return vec![call.clone()],
        Makes::Column(number) => below.column_named(number),
        Makes::Any => None,
    };
    let Some(followed) = followed else { return vec![one(Makes::Any)] };
    let shows = |found: &ColumnRef| {
        let is_of = found.relation.as_ref().is_none_or(|name| name.name == below.parts.1);
        is_of && column.is_none_or(|column| found.column.as_ref().is_none_or(|its| its == column))
    };
    let made = columns.iter().zip(&followed.columns).filter(|(_, (_, refs))| refs.iter().any(shows));
    let mut calls: Vec<Call> = made.map(|((number, _), _)| one(Makes::Column(*number))).collect();
    if calls.is_empty() {
        calls.push(one(Makes::Nothing));
    }
    calls
}

fn few(calls: BTreeSet<Call>) -> Vec<Call> {
    if calls.len() <= CALLS_MAX {
        return calls.into_iter().collect();
    }
    calls.into_iter().map(|call| Call { makes: Makes::Any, ..call }).collect::<BTreeSet<_>>().into_iter().collect()
}

impl Resolver<'_> {
    /// What the functions show that a statement calls, and the code that it brings.
    pub(super) fn called(&self, analysis: &Analysis, reads: &[Target<'_>], wire: Option<&[Origin]>) -> Shown {
        let reads_any = analysis.functions.iter().any(|name| reads_anything(name));
        let mut called = Shown {
            // Without a catalog, what a function does is not known; a block of code may do anything.
            assumed: matches!(analysis.kind, Kind::Do | Kind::Call),
            opaque: reads_any
                || self.shows_statistics(analysis, reads)
                || self.calls_shifted(analysis)
                || self.reads_long_values(analysis),
            ..Shown::default()
        };
        // What a function or a trigger is made of does not run yet.
        let Some(snapshot) = self.snapshot.filter(|_| analysis.doors.made.is_none()) else { return called };
        // A statement for another server is known where it is a constant.
        let elsewhere =
            |name: &Text| !analysis.doors.elsewhere.is_empty() && (**name == *"dblink" || name.ends_with(".dblink"));
        let here = analysis.functions.iter().filter(|name| !elsewhere(name));
        let shown = here.filter_map(|name| snapshot.function(name));
        let operators = analysis.operators.iter().flat_map(|name| snapshot.operator(name));
        shown.for_each(|shown| called.runs(shown));
        // Of several of one name the types say which is meant, and they are not known.
        operators.for_each(|shown| called.runs(&Shown { assumed: !shown.columns.is_empty(), ..shown.clone() }));
        self.call_unheard_of(analysis, reads, snapshot, &mut called);
        called.is_suspect = self.reads_suspected(analysis, reads, wire);
        called.opaque |= called.is_suspect;
        self.counted(analysis, reads, snapshot, &mut called);
        self.call_behind(analysis, reads, wire, &mut called);
        called_as_columns(analysis, reads, snapshot, &mut called);
        if let Some(code) = &analysis.code {
            called.takes(snapshot.code(code));
        }
        if let Some(given) = &analysis.doors.given {
            snapshot.executed(given, &mut called);
        }
        analysis.doors.elsewhere.iter().for_each(|inner| self.run_elsewhere(inner, &mut called));
        self.shift_within(snapshot, &mut called);
        called
    }

    /// Whether it reads a table's long values where the server keeps them, and it is not known which table's.
    fn reads_long_values(&self, analysis: &Analysis) -> bool {
        let is_known = |oid: u32| self.snapshot.is_some_and(|snapshot| snapshot.relation(oid).is_some());
        analysis.reads.iter().any(|name| name.is_of_toast() && !name.of_toast().is_some_and(is_known))
    }

    /// What another server shows, by the names that it is asked for: what they mean there may be more.
    fn run_elsewhere(&self, inner: &Analysis, called: &mut Shown) {
        let mut found = Found::default();
        let reads = self.targets(&inner.reads, &mut found);
        let writes = self.targets(&inner.writes, &mut found);
        self.columns(inner, &reads, &writes, None, &mut found);
        called.takes(self.called(inner, &reads, None));
        called.assumed |= !found.columns.is_empty() || inner.parse == Parse::None;
        called.size = called.size.max(self.most(&reads, &BTreeSet::new()));
        called.columns.extend(found.columns);
    }

    /// Takes what the views call that a statement reads.
    fn call_behind(&self, analysis: &Analysis, reads: &[Target<'_>], wire: Option<&[Origin]>, called: &mut Shown) {
        for view in reads.iter().filter_map(Target::known) {
            for call in &view.rare().calls {
                let shown = self.snapshot.and_then(|snapshot| snapshot.function(&call.function)).cloned();
                let mut shown = shown.unwrap_or_default();
                shown.calls(&call.function);
                match (returns(call, view, analysis, wire) && !shown.keeps, call.is_past) {
                    (true, true) => called.takes(shown.at_rest()),
                    (true, false) => called.takes(shown),
                    (false, true) => {}
                    (false, false) => called.runs_aside(&shown),
                }
            }
        }
    }
}

/// Takes what `c.f` shows, where `c` has no column `f`: it is `f(c)`.
fn called_as_columns(analysis: &Analysis, reads: &[Target<'_>], snapshot: &Snapshot, called: &mut Shown) {
    let filled = analysis.flows.iter().flat_map(|flow| flow.columns.iter().flatten()).flat_map(|(_, refs)| refs);
    let names = analysis.output.columns().iter().chain(filled).filter_map(|column| column.column.as_ref());
    let functions = names.filter_map(|name| Some((name, snapshot.of_row(name)?)));
    for (name, shown) in functions {
        if !reads.iter().filter_map(Target::known).any(|relation| relation.has_column(name)) {
            called.runs(shown);
        }
    }
}

/// Whether what a call makes is returned, or goes anywhere else.
fn returns(call: &Call, view: &Relation, analysis: &Analysis, wire: Option<&[Origin]>) -> bool {
    let number = match call.makes {
        Makes::Nothing => return false,
        Makes::Column(number) => Some(number),
        Makes::Any => None,
    };
    if !analysis.flows.is_empty() {
        return true;
    }
    let is_it = |origin: &Origin| {
        origin.table_oid == view.oid && number.is_none_or(|number| [0, number].contains(&origin.attribute))
    };
    let origins = wire.unwrap_or_default();
    if origins.iter().any(is_it) {
        return true;
    }
    // What is an expression, the text says.
    if !origins.is_empty() && origins.iter().all(|origin| origin.table_oid != 0) {
        return false;
    }
    let name = number.and_then(|number| view.column_named(number));
    let is_named = |column: &ColumnRef| name.is_none_or(|name| column.column.as_ref().is_none_or(|its| its == name));
    match &analysis.output {
        Output::Columns(columns) => columns.iter().any(is_named),
        Output::Unknown => true,
        Output::Nothing => false,
    }
}

/// PostgreSQL's own functions in a view's definition that may read anything, by their names.
pub(super) fn reading_anything(definition: &str) -> Box<[Text]> {
    let may = [
        "_to_xml",
        "pg_read_",
        "lo_",
        "loread",
        "ts_stat",
        "ts_rewrite",
        "pg_logical_",
        "current_setting",
        "_description",
    ];
    if !may.iter().any(|part| definition.contains(part)) {
        return Box::default();
    }
    let code = crate::sql::Code::of(definition);
    let tells = |name: &&Text| {
        let mut shown = Shown::default();
        shown.calls(name);
        shown != Shown::default()
    };
    code.functions.iter().filter(tells).cloned().collect()
}
