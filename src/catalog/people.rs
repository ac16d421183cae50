//! How many people are in a result: whose the columns are that the wire counts, and of how many one row may be.
//!
//! In: a statement's columns with the rows that they are of, the relations, and the result's origins. Out: an [`InRow`], and the [`PeopleRule`]. PURE. A
//! count of one relation's subject column says nothing of another's rows, nor of the same one's that is read once more beside it.

use std::collections::{BTreeMap, BTreeSet};

use super::functions::Shown;
use super::resolve::{Found, Resolver, Target};
use super::snapshot::Relation;
use super::widths;
use crate::record::{Kind, Text};
use crate::session::SUBJECT_COLUMNS_MAX;
use crate::session::event::Origin;
use crate::sql::{Analysis, ColumnRef, Doors, Links, Output};

/// How people are counted where the wire did not count them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeopleRule {
    /// No personal column reaches the client.
    Nobody,
    /// Every row returned is one data subject of its own (a unique subject column, one table, no join).
    EachRowOne,
    /// Every row returned is taken for so many data subjects, because it can't be known.
    AtMostInRow(u16),
    /// Rows and messages say nothing of people: a stream of blocks or changes, bounded by how many there are.
    Streamed {
        /// As of `Estimated`.
        most: Option<u64>,
    },
    /// Many people may be in one value: taken from the bytes, and from how many there are, where that is known.
    Estimated {
        /// Rows of the relations that they come from, as the server's statistics have it.
        most: Option<u64>,
        /// Bytes that one of these rows takes in the value, by the same statistics, where all of it can be followed.
        each: Option<u64>,
        /// How many of them a row is at most, where each value is of functions that return one row's at a time.
        in_row: Option<u16>,
    },
}

/// How what the wire counts stands to the people of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByWire {
    /// Nobody is left out.
    pub all: bool,
    /// There may be some of whom nothing but the key is in the result.
    pub more: bool,
    /// They are of several tables that the statement does not join by them: the same key in two of these may be two people, or one.
    pub apart: bool,
}

impl ByWire {
    /// Nothing is known of it.
    pub const UNKNOWN: ByWire = ByWire { all: false, more: true, apart: true };
    /// Just the people.
    pub const EXACT: ByWire = ByWire { all: true, more: false, apart: false };
}

/// What a row of a result has of people.
#[derive(Clone, Copy, Debug)]
pub(super) struct InRow {
    /// Of so many at most.
    pub(super) most: u16,
    /// All are counted, where every row of a relation that shows anybody shows its subject column, too, on the wire.
    pub(super) by_wire: ByWire,
}

impl InRow {
    /// Of a result that has none.
    pub(super) const NOBODY: InRow = InRow { most: 1, by_wire: ByWire::EXACT };
}

/// One row of a relation, within a row of the result.
#[derive(Default)]
struct Row {
    of: Text,
    /// The table whose the people are …
    table: Text,
    /// … for certain.
    is_known: bool,
    /// Anybody's columns are shown.
    shows: bool,
    /// What is shown is of the people whose the subject column is.
    is_own: bool,
    /// The relation's subject column …
    subject: Option<Text>,
    /// … which comes out as it is.
    has_subject: bool,
    people: u16,
}

/// Its number, and its relation.
type Key = (u16, Text);

impl Resolver<'_> {
    /// How people are counted, where functions and values that hold many leave it to the rows.
    pub(super) fn people(
        &self,
        analysis: &Analysis,
        reads: &[Target<'_>],
        called: &Shown,
        in_row: &InRow,
    ) -> PeopleRule {
        let own = |name: &Text| self.snapshot.is_some_and(|snapshot| snapshot.function(name).is_some());
        let calls = analysis.functions.iter().any(own) || matches!(analysis.kind, Kind::Do | Kind::Call);
        let held = reads.iter().any(|target| self.is_collected(target));
        let by_calls =
            if calls || !called.columns.is_empty() { self.in_row_of_calls(analysis, reads, called) } else { None };
        let by_calls = by_calls.filter(|_| !held);
        // Functions that read nobody's data, and put none together, leave a row what it is.
        let shows_some = (calls && by_calls != Some(0)) || !called.columns.is_empty();
        if analysis.collects || held || shows_some || called.opaque {
            let most = if called.opaque { None } else { self.most(reads, &called.bases).max(called.size) };
            let plain = !calls && !held && !called.opaque && called.columns.is_empty();
            let each =
                plain.then(|| widths::each(analysis, reads, |column| self.is_meant(column) != Some(false))).flatten();
            let shows_own = reads.iter().any(|target| self.shows(target, None).next().is_some());
            let in_row = by_calls.map(|by_calls| by_calls.saturating_add(if shows_own { in_row.most } else { 0 }));
            return PeopleRule::Estimated { most, each, in_row };
        }
        let unique = matches!(reads, [Target::Known(relation)] if relation.subject_unique);
        let plain = matches!(&analysis.output, Output::Columns(columns) if columns.iter().all(|column| column.plain));
        let reads_only = matches!(analysis.kind, Kind::Select | Kind::CopyOut);
        match unique && analysis.single && plain && reads_only {
            true => PeopleRule::EachRowOne,
            false => PeopleRule::AtMostInRow(in_row.most),
        }
    }

    /// As many people as there are rows, of the largest relation of each table that has people of its own: of those that are read, or stand behind what
    /// is read, and have anything classified. `None` where the server has not counted one of them.
    pub(super) fn most(&self, reads: &[Target<'_>], bases: &BTreeSet<Text>) -> Option<u64> {
        let mut by_table: BTreeMap<u32, u64> = BTreeMap::new();
        let mut add = |relation: &Relation| {
            if relation.classified.is_empty() {
                return Some(());
            }
            let table = self.snapshot.map_or(relation.oid, |snapshot| snapshot.people_table(relation).0.oid);
            let its = by_table.entry(table).or_default();
            *its = relation.size?.max(*its);
            Some(())
        };
        let base = |name: &Text| {
            self.snapshot.and_then(|snapshot| {
                let (schema, table) = name.split_once('.')?;
                snapshot.named(schema, table)
            })
        };
        for target in reads {
            match target {
                Target::Known(relation) if relation.classified.is_empty() => {}
                Target::Known(relation) => {
                    let below: Option<Vec<&Relation>> = relation.bases().iter().map(base).collect();
                    below.unwrap_or_else(|| vec![relation]).into_iter().try_for_each(&mut add)?;
                }
                Target::Temporary { holds, .. } if holds.is_empty() => {}
                Target::Temporary { .. } | Target::Named { .. } => return None,
            }
        }
        bases.iter().filter_map(base).try_for_each(&mut add)?;
        by_table.into_values().reduce(u64::saturating_add)
    }

    /// Of how many people the functions' values in one row are, where nothing but these and columns make it.
    fn in_row_of_calls(&self, analysis: &Analysis, reads: &[Target<'_>], called: &Shown) -> Option<u16> {
        let Doors { given: None, elsewhere, .. } = &analysis.doors else { return None };
        let snapshot = self.snapshot.filter(|_| elsewhere.is_empty())?;
        let reads_only = matches!(analysis.kind, Kind::Select | Kind::CopyOut);
        let brings_back = called.shows_setting || called.reads_object || called.reads_comment;
        if !reads_only || analysis.collects || called.opaque || called.collects || brings_back {
            return None;
        }
        let is_plain = |target: &Target<'_>| target.known().is_some_and(|relation| relation.calls().next().is_none());
        let of_operators = analysis.operators.iter().flat_map(|name| snapshot.operator(name));
        let of_rows = analysis.output.columns().iter().filter_map(|found| snapshot.of_row(found.column.as_ref()?));
        if !reads.iter().all(is_plain) || of_operators.chain(of_rows).any(|shown| !shown.columns.is_empty()) {
            return None;
        }
        // Whether any value that they read from holds many rows'.
        let is_held = |base: &Text| {
            let parts = base.split_once('.').map(|(schema, table)| (Text::from(schema), Text::from(table)));
            parts.is_none_or(|(schema, table)| self.held(&schema, &table).any(|holds| holds.is_collected))
        };
        let shown = analysis.functions.iter().filter_map(|name| snapshot.function(name));
        let mut sum = 0_u16;
        for shown in shown.filter(|shown| !shown.keeps) {
            if shown.bases.iter().any(is_held) {
                return None;
            }
            let in_row = shown.in_row?;
            let people = if shown.columns.is_empty() { 0 } else { in_row.max(1) };
            sum = sum.saturating_add(people.saturating_mul(analysis.times_called.max(1)));
        }
        Some(sum)
    }

    /// See [`InRow`].
    pub(super) fn in_row(
        &self,
        analysis: &Analysis,
        reads: &[Target<'_>],
        writes: &[Target<'_>],
        wire: Option<&[Origin]>,
    ) -> InRow {
        let all: Vec<&Target<'_>> = reads.iter().chain(writes).collect();
        let on_wire = |relation: &Relation| {
            let is_it =
                |origin: &&Origin| origin.table_oid == relation.oid && Some(origin.attribute) == relation.subject;
            wire.unwrap_or_default().iter().filter(is_it).count()
        };
        let refs = match &analysis.output {
            Output::Columns(refs) => refs,
            Output::Nothing => return InRow::NOBODY,
            Output::Unknown => {
                let mut showing = all.iter().filter(|target| self.shows(target, None).next().is_some());
                let (first, second) = (showing.next().and_then(|target| target.known()), showing.next());
                let is_counted = first.is_some_and(|relation| {
                    let is_own = self.is_own(relation, None) && !self.may_be_another_view(relation);
                    analysis.named == 1 && second.is_none() && is_own && on_wire(relation) > 0
                });
                let by_wire = if is_counted { ByWire::EXACT } else { ByWire::UNKNOWN };
                // With people of each table that has some of its own.
                let tables: BTreeSet<u32> = all.iter().filter_map(|target| self.table_of(target)).collect();
                let tables = u16::try_from(tables.len()).unwrap_or(u16::MAX).max(1);
                return InRow { most: analysis.named.saturating_mul(tables), by_wire };
            }
        };
        let mut rows: BTreeMap<Key, Row> = BTreeMap::new();
        for column in refs.iter().filter(|column| self.is_meant(column) != Some(false)) {
            for target in self.targets_of(column, analysis, &all, &mut Found::default()) {
                self.add(column, &target, &mut rows);
            }
        }
        let pairs = self.joined(analysis, &rows);
        let (same, covered) = (same_people(&pairs), covered(&pairs, &rows));
        // Of rows that are joined by their subject columns, one. Whose those without such a column are, is not known: they may be the others', but
        // where the same table is read twice.
        let mut people: BTreeMap<(&Key, Option<&Text>), u16> = BTreeMap::new();
        let mut by_table: BTreeMap<&Text, u16> = BTreeMap::new();
        let mut counts_all = true;
        for (key, row) in rows.iter().filter(|(_, row)| row.shows) {
            counts_all &= covered.contains(key) && row.is_own && row.people <= 1;
            if row.subject.is_some() {
                let known = row.is_known.then_some(&row.table);
                let its = people.entry((same.get(key).copied().unwrap_or(key), known)).or_default();
                *its = row.people.max(*its);
            } else {
                let its = by_table.entry(&row.table).or_default();
                *its = its.saturating_add(row.people);
            }
        }
        // One whose table is not known is of those that it is joined to.
        let is_joined = |key: &Key| people.keys().any(|(its, known)| *its == key && known.is_some());
        let counted = people.iter().filter(|((key, known), _)| known.is_some() || !is_joined(key));
        let with_subject = counted.fold(0_u16, |sum, (_, count)| sum.saturating_add(*count));
        let most = by_table.into_values().fold(with_subject, u16::max).max(1);
        // Where the text has more of one relation's than come on the wire, which of them come is not known.
        let of_relation =
            |relation: &Relation| rows.values().filter(|row| row.has_subject && row.of == relation.name).count();
        let mut known = all.iter().filter_map(|target| target.known());
        counts_all &=
            known.all(|relation| on_wire(relation) >= of_relation(relation) && !self.may_be_another_view(relation));
        counts_all &= self.subjects(wire) <= SUBJECT_COLUMNS_MAX;
        let by_wire = ByWire { all: counts_all, more: shows_keys(&pairs, &rows), apart: are_apart(&rows, &same) };
        InRow { most, by_wire }
    }

    /// The rows that a statement joins by their subject columns.
    fn joined<'r>(&self, analysis: &Analysis, rows: &'r BTreeMap<Key, Row>) -> Vec<Joined<'r>> {
        let of = |(number, column): &(u16, Text)| {
            let mut its = rows.range((*number, Text::default())..).take_while(|((its, _), _)| its == number);
            its.find(|(_, row)| row.subject.as_ref() == Some(column)).map(|(key, _)| key)
        };
        if analysis.joined.is_empty() {
            return Vec::new();
        }
        let is_meant = |column: &ColumnRef| self.is_meant(column) == Some(true);
        let links = Links::of(analysis.joined.iter().filter(|joined| joined.provided.iter().all(is_meant)));
        let subjects = rows.iter().filter_map(|(key, row)| Some((key, (key.0, row.subject.clone()?))));
        // The same key of two tables that have people of their own is two people's.
        let are_same = |key: &Key, to: &Key| {
            let is_same = |one: &Row, other: &Row| one.table == other.table || !one.is_known || !other.is_known;
            rows.get(key).zip(rows.get(to)).is_some_and(|(one, other)| is_same(one, other))
        };
        subjects
            .flat_map(|(key, subject)| links.reached(&subject).into_iter().filter_map(of).map(move |to| (key, to)))
            .filter(|(key, to)| are_same(key, to))
            .collect()
    }

    /// The table whose people a relation shows, where that is known.
    fn table_of(&self, target: &Target<'_>) -> Option<u32> {
        let shows = |relation: &&Relation| self.shows(&Target::Known(relation), None).next().is_some();
        let relation = target.known().filter(|relation| relation.subject.is_some()).filter(shows)?;
        let (table, is_known) = self.snapshot?.people_table(relation);
        is_known.then_some(table.oid)
    }

    /// How many subject columns a result has.
    fn subjects(&self, wire: Option<&[Origin]>) -> usize {
        let is_subject = |origin: &&Origin| {
            let relation = self.snapshot.and_then(|snapshot| snapshot.relation(origin.table_oid));
            relation.is_some_and(|relation| relation.subject == Some(origin.attribute))
        };
        wire.unwrap_or_default().iter().filter(is_subject).count()
    }

    /// Takes a column of a relation for the row that it is of.
    fn add(&self, column: &ColumnRef, target: &Target<'_>, rows: &mut BTreeMap<Key, Row>) {
        let name = column.column.as_deref();
        let of = target.known().map_or_else(|| target.table().clone(), |relation| relation.name.clone());
        let people = target.known().zip(self.snapshot).map(|(relation, snapshot)| snapshot.people_table(relation));
        let (table, is_known) =
            people.map_or_else(|| (of.clone(), false), |(table, is_known)| (table.name.clone(), is_known));
        let row = rows.entry((column.row, of.clone())).or_insert_with(|| Row {
            of,
            table,
            is_known,
            is_own: true,
            people: 1,
            ..Row::default()
        });
        let relation = target.known();
        if self.shows(target, name).next().is_some() {
            row.shows = true;
            row.is_own &= relation.is_none_or(|relation| self.is_own(relation, name));
            row.people = relation.map_or(1, |relation| relation.rare().people_in_row);
        }
        let subject = match target {
            Target::Known(relation) => {
                relation.subject.and_then(|number| relation.column_named(number)).map(|name| &**name)
            }
            Target::Named { schema, table } => self.classification.subject(schema, table),
            Target::Temporary { .. } => None,
        };
        row.has_subject |= column.plain && subject.is_some_and(|subject| name.is_none_or(|name| name == subject));
        row.subject = subject.map(Text::from);
    }

    /// What a column of a relation shows of anybody, or all of them.
    fn shows(&self, target: &Target<'_>, column: Option<&str>) -> impl Iterator<Item = Text> + use<> {
        let mut found = Found::default();
        self.show(target, column, &mut found);
        let personal = |level| self.classification.is_personal(level);
        let shown: Vec<Text> =
            found.columns.into_iter().filter(|shown| personal(shown.level)).map(|shown| shown.name).collect();
        shown.into_iter()
    }

    /// Whether what a relation's column shows is of those whose its subject column is: of the table that it is from, too.
    fn is_own(&self, relation: &Relation, column: Option<&str>) -> bool {
        let is_of = |shown: &str, (schema, table): &(Text, Text)| {
            let rest = shown.strip_prefix(&**schema).and_then(|rest| rest.strip_prefix('.'));
            let rest = rest.and_then(|rest| rest.strip_prefix(&**table));
            rest.is_some_and(|rest| rest.starts_with('.'))
        };
        let mut shown = self.shows(&Target::Known(relation), column);
        let own = [&relation.parts, relation.subject_table()];
        shown.all(|shown| own.into_iter().chain(&relation.rare().joined).any(|table| is_of(&shown, table)))
    }
}

/// A row, and one that is of the same people wherever the first one is there.
type Joined<'r> = (&'r Key, &'r Key);

/// The rows whose people are counted: by their own subject column, or by one that is joined to it.
fn covered<'r>(pairs: &[Joined<'r>], rows: &'r BTreeMap<Key, Row>) -> BTreeSet<&'r Key> {
    let mut covered: BTreeSet<&Key> = rows.iter().filter(|(_, row)| row.has_subject).map(|(key, _)| key).collect();
    loop {
        let before = covered.len();
        for (own, other) in pairs {
            let is_covered = covered.contains(other);
            covered.extend(is_covered.then_some(*own));
        }
        if covered.len() == before {
            return covered;
        }
    }
}

/// Whether there are rows of which the key is shown, and of the same person nothing else.
fn shows_keys(pairs: &[Joined<'_>], rows: &BTreeMap<Key, Row>) -> bool {
    let shows = |key: &Key| rows.get(key).is_some_and(|row| row.shows);
    let goes_on = |key: &Key| pairs.iter().any(|(from, to)| *from == key && shows(to));
    rows.iter().any(|(key, row)| row.has_subject && !row.shows && !goes_on(key))
}

/// Whether there are people of several tables in a row that are not joined by them, so that the same key in two of them may be two people.
fn are_apart(rows: &BTreeMap<Key, Row>, same: &BTreeMap<&Key, &Key>) -> bool {
    let (mut tables, mut known): (BTreeMap<&Key, BTreeSet<&Text>>, BTreeMap<&Key, &Text>) = Default::default();
    for (key, row) in rows.iter().filter(|(_, row)| row.has_subject || row.shows && row.subject.is_some()) {
        let group = same.get(key).copied().unwrap_or(key);
        tables.entry(group).or_default().insert(&row.table);
        // Over a third row, whose table is not known.
        if row.is_known && known.insert(group, &row.table).is_some_and(|other| *other != row.table) {
            return true;
        }
    }
    let mut groups: Vec<BTreeSet<&Text>> = tables.into_values().collect();
    let mut linked = groups.pop().unwrap_or_default();
    while let Some(place) = groups.iter().position(|group| !group.is_disjoint(&linked)) {
        linked.append(&mut groups.swap_remove(place));
    }
    !groups.is_empty()
}

/// Of each row that is joined to others, the one that stands for all of them.
fn same_people<'r>(pairs: &[Joined<'r>]) -> BTreeMap<&'r Key, &'r Key> {
    let mut same: BTreeMap<&Key, &Key> = BTreeMap::new();
    for (one, other) in pairs {
        let [first, second] = [one, other].map(|key| same.get(*key).copied().unwrap_or(*key));
        let (kept, left) = (first.min(second), first.max(second));
        same.values_mut().filter(|of| **of == left).for_each(|of| *of = kept);
        same.extend([(*one, kept), (*other, kept), (left, kept)]);
    }
    same
}
