//! Rows of the catalog → relations: what each column shows, whose a row is, what views and partitions are made of.
//!
//! In: [`Rows`], the classification, and what is known of where classified columns went. Out: a [`Relation`] an OID. PURE. What a view is made from and
//! cannot be followed may be anything that it depends on.

mod related;

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use self::related::inherit;
use super::called;
use super::classification::{ByName, Classification, Level};
use super::computed::Computed;
use super::foreign::Foreign;
use super::lineage::Lineage;
use super::relations::{Classified, Oid, Relation, Relations, Rule, place_of, places_by_name};
use super::snapshot::{Listed, Rows, Snapshot, View};
use crate::record::Text;
use crate::sql;

/// Views of views are followed so deep.
const VIEW_DEPTH_MAX: usize = 16;
/// Foreign keys that cascade are followed so far, one behind the other.
const CASCADES_MAX: usize = 64;
/// Rules that set off rules are followed so far, relations.
const RULED_MAX: usize = 1_000;

/// Every relation.
pub(super) fn relations(
    rows: &Rows,
    classification: &Classification,
    lineage: &Lineage,
    computed: &Computed,
    before: Option<&Snapshot>,
) -> Relations {
    let mut builder = Builder { before, ..Builder::new(rows, classification, lineage, computed) };
    // Tables before the views over them, which are to show what is below a table, too.
    let is_view = |place: &usize| rows.relations.get(*place).is_some_and(|listed| matches!(listed.kind, 'v' | 'm'));
    let (views, tables): (Vec<usize>, Vec<usize>) = (0..rows.relations.len()).partition(is_view);
    tables.into_iter().for_each(|place| builder.finish(place, 0));
    builder.cascade(&rows.references);
    builder.above(&rows.inherits);
    builder.refer(&rows.references);
    views.into_iter().for_each(|place| builder.finish(place, 0));
    let mut done = Relations::of(builder.done.into_iter().flatten().collect());
    for (oid, rules) in ruled(&rows.rules, &done) {
        if let Some(relation) = done.get_mut(oid) {
            relation.rare_mut().rules = rules;
        }
    }
    for (oid, calls) in called::of_views(rows, &done) {
        if let Some(view) = done.get_mut(oid) {
            view.rare_mut().calls = calls;
        }
    }
    done
}

/// What rules have a statement touch besides, by the relation that it writes: what they name, and what the rules of these name.
fn ruled(rules: &[(Oid, char, Oid)], relations: &Relations) -> HashMap<Oid, Vec<Rule>> {
    let mut direct: HashMap<Oid, Vec<(char, Oid)>> = HashMap::new();
    for (of, on, touched) in rules {
        direct.entry(*of).or_default().push((*on, *touched));
    }
    let follow = |first: Oid| {
        let (mut seen, mut open) = (HashSet::new(), vec![first]);
        while let Some(oid) = open.pop() {
            if seen.len() < RULED_MAX && seen.insert(oid) {
                open.extend(direct.get(&oid).into_iter().flatten().map(|(_, touched)| *touched));
            }
        }
        seen.into_iter().filter_map(|oid| relations.get(oid)).flat_map(|relation| relation.bases().iter().cloned())
    };
    let all = |touched: &[(char, Oid)]| {
        let mut rules: Vec<Rule> =
            touched.iter().flat_map(|(on, first)| follow(*first).map(|relation| Rule { on: *on, relation })).collect();
        rules.sort_unstable();
        rules.dedup();
        rules
    };
    direct.iter().map(|(oid, touched)| (*oid, all(touched))).collect()
}

struct Builder<'a> {
    classification: &'a Classification,
    levels: ByName<'a>,
    /// The columns that it names, by table.
    named: HashMap<(&'a str, &'a str), Vec<&'a str>>,
    lineage: &'a Lineage,
    computed: &'a Computed,
    listed: &'a [Listed],
    /// Places of these.
    by_name: Vec<u32>,
    views: HashMap<Oid, &'a View>,
    dependencies: Grouped<(Oid, i16)>,
    parents: Grouped<Oid>,
    children: Grouped<Oid>,
    unique: Grouped<i16>,
    /// A generated column, and what it is made of.
    generated: Grouped<(i16, i16)>,
    widths: Grouped<(i16, u16)>,
    foreign: Foreign<'a>,
    /// By comments and security labels.
    said: HashMap<(Oid, i16), Level>,
    search_path: &'a [Text],
    before: Option<&'a Snapshot>,
    /// By the same places.
    done: Vec<Option<Relation>>,
}

/// What relations have several of, sorted by their OIDs.
struct Grouped<T>(Vec<(Oid, T)>);

impl<T: Ord> Grouped<T> {
    fn new(all: impl Iterator<Item = (Oid, T)>) -> Grouped<T> {
        let mut all: Vec<(Oid, T)> = all.collect();
        all.sort_unstable();
        Grouped(all)
    }

    fn of(&self, oid: Oid) -> impl Iterator<Item = &T> {
        let from = self.0.partition_point(|(its, _)| *its < oid);
        self.0.iter().skip(from).take_while(move |(its, _)| *its == oid).map(|(_, its)| its)
    }
}

/// A column that is a subject column as it stands.
struct Subject {
    /// Whether no two rows have the same one.
    unique: bool,
    /// The schema and name of the table whose it is.
    of: (Text, Text),
}

impl<'a> Builder<'a> {
    fn new(
        rows: &'a Rows,
        classification: &'a Classification,
        lineage: &'a Lineage,
        computed: &'a Computed,
    ) -> Builder<'a> {
        let mut builder = Builder {
            classification,
            levels: classification.by_name(),
            named: classification.named().map(|(schema, table, columns, _)| ((schema, table), columns)).collect(),
            lineage,
            computed,
            listed: &rows.relations,
            by_name: places_by_name(&rows.relations, |listed| (&listed.name, &listed.schema)),
            views: rows.views.iter().map(|(oid, view)| (*oid, &**view)).collect(),
            dependencies: Grouped::new(rows.dependencies.iter().map(|(view, oid, number)| (*view, (*oid, *number)))),
            parents: Grouped::new(rows.inherits.iter().copied()),
            children: Grouped::new(rows.inherits.iter().map(|(child, parent)| (*parent, *child))),
            unique: Grouped::new(rows.unique.iter().copied()),
            generated: Grouped::new(rows.generated.iter().map(|(oid, into, from)| (*oid, (*into, *from)))),
            widths: Grouped::new(rows.widths.iter().map(|(oid, number, width)| (*oid, (*number, *width)))),
            foreign: Foreign::of(rows),
            said: HashMap::new(),
            search_path: &rows.search_path,
            before: None,
            done: vec![None; rows.relations.len()],
        };
        for (oid, number, comment) in &rows.comments {
            builder.say(*oid, *number, classification.level_said(comment));
        }
        for (oid, number, label) in &rows.labels {
            builder.say(*oid, *number, classification.level_labelled(label));
        }
        builder
    }

    /// The database itself says that a column has this level; the highest counts.
    fn say(&mut self, oid: Oid, number: i16, level: Option<Level>) {
        if let Some(level) = level {
            let said = self.said.entry((oid, number)).or_insert(level);
            *said = level.max(*said);
        }
    }

    fn place(&self, oid: Oid) -> Option<usize> {
        place_of(self.listed, oid, |listed| listed.oid)
    }

    /// What is finished already.
    fn done(&self, oid: Oid) -> Option<&Relation> {
        self.done.get(self.place(oid)?)?.as_ref()
    }

    fn finish_first(&mut self, oid: Oid, depth: usize) {
        if let Some(place) = self.place(oid) {
            self.finish(place, depth + 1);
        }
    }

    fn finish(&mut self, place: usize, depth: usize) {
        if depth > VIEW_DEPTH_MAX || self.done.get(place).is_none_or(Option::is_some) {
            return;
        }
        let Some(listed) = self.listed.get(place) else { return };
        let mut relation = Relation::bare(listed.oid, listed.schema.clone(), listed.name.clone());
        relation.columns = listed.columns.clone();
        let columns = listed.columns.in_order();
        match self.views.get(&listed.oid).copied() {
            Some(view) => {
                self.view(view, &columns, &mut relation, depth);
                // It holds what it was made from when it was refreshed last.
                if listed.kind == 'm' {
                    self.fill(&columns, &mut relation);
                }
                self.compute(&mut relation);
            }
            None => self.table(&columns, &mut relation, depth),
        }
        if let Some(done) = self.done.get_mut(place) {
            *done = Some(relation);
        }
    }

    fn table(&mut self, columns: &[(i16, &Text)], relation: &mut Relation, depth: usize) {
        let (oid, (schema, name)) = (relation.oid, relation.parts.clone());
        let by_name = self.levels.levels(&schema, &name, columns.iter().map(|(_, column)| *column));
        for ((number, column), by_name) in columns.iter().zip(by_name) {
            let there = self.foreign.level(oid, *number, column, self.classification);
            let level = by_name.max(there).max(self.said.get(&(oid, *number)).copied());
            if let Some(level) = level {
                let name = format!("{}.{column}", relation.name).into();
                relation.classified.add(*number, Classified { name, level });
            }
        }
        for column in self.named.get(&(&*schema, &*name)).into_iter().flatten() {
            let is_absent = !relation.columns.contains_key(column);
            let level = is_absent.then(|| self.classification.level(&schema, &name, column)).flatten();
            if let Some(level) = level {
                let absent = Classified { name: format!("{}.{column}", relation.name).into(), level };
                relation.rare_mut().absent.push((Text::from(*column), absent));
            }
        }
        self.fill(columns, relation);
        self.compute(relation);
        relation.size = self.rows_below(oid);
        relation.is_foreign = self.foreign.has(oid);
        relation.widths = self.widths.of(oid).copied().collect();
        let subject = self.classification.subject(&schema, &name);
        relation.subject = subject.and_then(|subject| relation.columns.get(subject).copied());
        if relation.subject.is_none() {
            relation.subject = self.foreign.subject(oid, columns, self.classification);
            if let Some(of) = relation.subject.and_then(|_| self.foreign.table(oid)) {
                relation.rare_mut().subject_of = Some(of);
            }
        }
        let parents: Vec<Oid> = self.parents.of(oid).copied().collect();
        for parent in parents {
            self.finish_first(parent, depth);
            if let Some(parent) = self.done(parent) {
                inherit(parent, relation);
            }
        }
        if relation.subject.is_none() {
            self.carry_subject(relation);
        }
        self.generate(relation);
        relation.subject_unique =
            relation.subject.is_some_and(|number| self.unique.of(oid).any(|column| *column == number));
    }

    /// The column by which people are counted of a table that no entry names, since it or the column got another name: for as long as there is one for
    /// the name that it had.
    fn carry_subject(&self, relation: &mut Relation) {
        let Some(known) = self.before.and_then(|before| before.relation(relation.oid)) else { return };
        let (schema, table) = known.subject_table();
        let is_there = |number: &i16| relation.column_named(*number).is_some();
        if self.classification.subject(schema, table).is_none() {
            return;
        }
        relation.subject = known.subject.filter(is_there);
        if relation.subject.is_some() && *known.subject_table() != relation.parts {
            relation.rare_mut().subject_of = Some(known.subject_table().clone());
        }
    }

    /// What columns hold that are generated from others of their relation.
    fn generate(&self, relation: &mut Relation) {
        for (into, from) in self.generated.of(relation.oid) {
            let shown = relation.classified.get(from).cloned().unwrap_or_default();
            relation.filled |= !shown.is_empty();
            for classified in shown {
                relation.classified.add(*into, classified);
            }
        }
    }

    /// What code puts into its columns.
    fn compute(&self, relation: &mut Relation) {
        for ((_, number), put) in self.computed.range((relation.oid, i16::MIN)..=(relation.oid, i16::MAX)) {
            if put.is_guessed {
                relation.rare_mut().guessed.push(*number);
            }
            if put.is_collected {
                relation.rare_mut().is_collected = true;
            }
            let present = relation.classified.of(*number);
            present.extend(put.columns.iter().cloned());
            present.sort_unstable();
            present.dedup();
            relation.filled = true;
        }
    }

    /// What it was filled with, renamed from, or made of.
    fn fill(&self, columns: &[(i16, &Text)], relation: &mut Relation) {
        let Some(holds) = self.lineage.of(&relation.parts.0, &relation.parts.1) else { return };
        relation.filled |= holds.is_doubted;
        if holds.is_collected {
            relation.rare_mut().is_collected = true;
        }
        for (number, column) in columns {
            for mark in holds.shows(Some(column), self.classification).0 {
                let present = relation.classified.of(*number);
                if !present.iter().any(|other| other.name == mark.name) {
                    present.push(mark.clone());
                    relation.rare_mut().fills.push((*number, mark));
                    relation.filled = true;
                }
            }
        }
    }

    /// Rows of a table and of those that inherit from it.
    fn rows_below(&self, oid: Oid) -> Option<u64> {
        let mut seen = HashSet::new();
        let mut open = vec![oid];
        let mut rows: Option<u64> = None;
        while let Some(next) = open.pop() {
            if seen.insert(next) {
                let here = self.place(next).and_then(|place| self.listed.get(place)?.size);
                rows = here.map(|more| rows.unwrap_or(0).saturating_add(more)).or(rows);
                open.extend(self.children.of(next));
            }
        }
        rows
    }

    fn view(&mut self, view: &View, columns: &[(i16, &Text)], relation: &mut Relation, depth: usize) {
        let dependencies: Vec<(Oid, i16)> = self.dependencies.of(relation.oid).copied().collect();
        let (mut bases, mut is_collected) = (BTreeSet::new(), false);
        for (below, _) in &dependencies {
            self.finish_first(*below, depth);
            let Some(below) = self.done(*below) else { continue };
            bases.extend(below.bases().iter().cloned());
            relation.size = relation.size.max(below.size);
            relation.filled |= below.filled;
            is_collected |= below.rare().is_collected;
        }
        if !bases.is_empty() {
            relation.rare_mut().bases = bases.into_iter().collect();
        }
        let followed = view.followed().filter(|followed| followed.columns.len() == columns.len());
        let mut widths = Vec::new();
        let single = followed.is_some_and(|followed| followed.single);
        for (index, (number, _)) in columns.iter().enumerate() {
            let refs = followed.and_then(|followed| followed.columns.get(index)).map(|(_, refs)| refs);
            let mut shown = match refs.and_then(|refs| self.shown(refs)) {
                Some((shown, subject)) => {
                    if let Some(Subject { unique, of }) = subject.filter(|_| relation.subject.is_none()) {
                        relation.subject = Some(*number);
                        relation.rare_mut().subject_of = Some(of);
                        relation.subject_unique = unique && single;
                    }
                    shown
                }
                // What it is made from could not be followed: it may be anything that the view depends on.
                None => self.anything(&dependencies, view.takes_rows()),
            };
            if !shown.is_empty() {
                shown.shrink_to_fit();
                *relation.classified.of(*number) = shown;
            }
            widths.extend(refs.and_then(|refs| self.width(refs)).map(|width| (*number, width)));
        }
        relation.widths = widths.into();
        let joined = followed.map(|followed| self.joined(followed)).unwrap_or_default();
        if !joined.is_empty() {
            relation.rare_mut().joined = joined;
        }
        let in_row = followed.map_or(1, |followed| self.people_in_row(&followed.columns));
        if in_row > 1 {
            relation.rare_mut().people_in_row = in_row;
        }
        if !relation.classified.is_empty() && (is_collected || view.collects()) {
            relation.rare_mut().is_collected = true;
        }
    }

    /// What these references show, and, where it is a subject column as it stands, whether no two rows have the same one, and which table's
    /// it is. `None` where one is not known.
    fn shown(&self, refs: &[sql::ColumnRef]) -> Option<(Vec<Classified>, Option<Subject>)> {
        let mut shown = BTreeSet::new();
        let mut subject = None;
        for found in refs.iter().filter(|found| self.is_meant(found)) {
            let below = self.meant(found.relation.as_ref()?)?;
            let Some(column) = &found.column else {
                // A row as a whole.
                shown.extend(below.classified.values().flatten().cloned());
                continue;
            };
            let number = below.columns.get(column)?;
            shown.extend(below.classified.get(number).into_iter().flatten().cloned());
            if found.plain && refs.len() == 1 && below.subject == Some(*number) {
                subject = Some(Subject { unique: below.subject_unique, of: below.subject_table().clone() });
            }
        }
        Some((shown.into_iter().collect(), subject))
    }

    fn is_meant(&self, found: &sql::ColumnRef) -> bool {
        let has = |name: &sql::RelationName, column: &str| self.meant(name).map(|relation| relation.has_column(column));
        found.is_meant(has) != Some(false)
    }

    /// The tables whose rows are joined to that of the first subject column of a view, by their own subject columns.
    fn joined(&self, followed: &sql::ViewColumns) -> Vec<(Text, Text)> {
        let mut rows: BTreeMap<u16, &Relation> = BTreeMap::new();
        let mut first = None;
        for (_, refs) in &followed.columns {
            for found in refs.iter().filter(|found| found.sought.is_none()) {
                let Some(below) = found.relation.as_ref().and_then(|name| self.meant(name)) else { continue };
                rows.insert(found.row, below);
                let subject = below.subject.and_then(|number| below.column_named(number));
                let is_subject =
                    found.plain && refs.len() == 1 && subject.is_some() && subject == found.column.as_ref();
                first = first.or(is_subject.then_some(found.row));
            }
        }
        let subject_of = |row: &u16| -> Option<(u16, Text)> {
            let of = rows.get(row)?;
            Some((*row, of.subject.and_then(|number| of.column_named(number))?.clone()))
        };
        let links = sql::Links::of(&followed.joined);
        let first_one = first.as_ref().and_then(subject_of);
        let is_joined = |row: &u16| {
            let reached = subject_of(row).map(|subject| links.reached(&subject)).unwrap_or_default();
            first_one.as_ref().is_some_and(|first| reached.contains(first))
        };
        let covered: BTreeSet<u16> = rows.keys().copied().filter(is_joined).collect();
        let others = covered.iter().filter(|row| Some(**row) != first).filter_map(|row| rows.get(row));
        let mut joined: Vec<(Text, Text)> = others
            .flat_map(|below| [&below.parts, below.subject_table()].into_iter().chain(&below.rare().joined))
            .cloned()
            .collect();
        joined.sort_unstable();
        joined.dedup();
        joined
    }

    /// Of how many people one row may be: as often as one relation is read with something classified.
    fn people_in_row(&self, columns: &[(Option<String>, Vec<sql::ColumnRef>)]) -> u16 {
        let mut rows: BTreeMap<Oid, BTreeMap<u16, u16>> = BTreeMap::new();
        for found in columns.iter().flat_map(|(_, refs)| refs).filter(|found| self.is_meant(found)) {
            let Some(below) = found.relation.as_ref().and_then(|name| self.meant(name)) else { continue };
            let number = found.column.as_ref().and_then(|column| below.columns.get(column));
            let is_shown = match number {
                Some(number) => below.classified.contains_key(number),
                None => !below.classified.is_empty(),
            };
            if is_shown {
                rows.entry(below.oid).or_default().insert(found.row, below.rare().people_in_row);
            }
        }
        rows.values().map(|rows| rows.values().fold(0, |all: u16, own| all.saturating_add(*own))).max().unwrap_or(1)
    }

    /// The width of the one column that these references are.
    fn width(&self, refs: &[sql::ColumnRef]) -> Option<u16> {
        let [sql::ColumnRef { relation: Some(name), column: Some(column), plain: true, .. }] = refs else {
            return None;
        };
        let below = self.meant(name)?;
        let number = below.columns.get(column)?;
        below.widths.iter().find(|(its, _)| its == number).map(|(_, width)| *width)
    }

    /// The relation that a view's definition names, once it is finished.
    fn meant(&self, name: &sql::RelationName) -> Option<&Relation> {
        let place = |schema: &str| {
            let of = |place: &u32| {
                let listed = self.listed.get(*place as usize)?;
                Some((&*listed.name, &*listed.schema).cmp(&(&*name.name, schema)))
            };
            let found = self.by_name.binary_search_by(|place| of(place).unwrap_or(Ordering::Less)).ok()?;
            self.by_name.get(found).copied()
        };
        let found = match &name.schema {
            Some(schema) => place(schema),
            None => self.search_path.iter().find_map(|schema| place(schema)),
        };
        self.done.get(found? as usize)?.as_ref()
    }

    /// The server keeps no dependency on a row as a whole, where there is one on a column of it.
    fn anything(&self, dependencies: &[(Oid, i16)], takes_rows: bool) -> Vec<Classified> {
        let mut shown = BTreeSet::new();
        for (oid, number) in dependencies {
            let Some(below) = self.done(*oid) else { continue };
            match number {
                _ if takes_rows => shown.extend(below.classified.values().flatten().cloned()),
                0 => shown.extend(below.classified.values().flatten().cloned()),
                number => shown.extend(below.classified.get(number).into_iter().flatten().cloned()),
            }
        }
        shown.into_iter().collect()
    }
}
