//! Rows of the catalog → relations: what each column shows, whose a row is, what views and partitions are made of.
//!
//! In: [`Rows`], the classification, and what is known of where classified columns went. Out: a [`Relation`] an OID. PURE. What a view is made from and
//! cannot be followed may be anything that it depends on.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::classification::{ByName, Classification, Level};
use super::columns::Kinds;
use super::foreign::Foreign;
use super::lineage::Lineage;
use super::snapshot::{Classified, Oid, Relation, Relations, Rows, Rule};
use crate::record::Text;
use crate::sql;

/// Views of views are followed so deep.
const VIEW_DEPTH_MAX: usize = 16;
/// Rules that set off rules are followed so far, relations.
const RULED_MAX: usize = 1_000;

/// Every relation, by its OID.
pub(super) fn relations(rows: &Rows, classification: &Classification, lineage: &Lineage) -> Relations {
    let mut builder = Builder::new(rows, classification, lineage);
    for (oid, ..) in &rows.relations {
        builder.finish(*oid, 0);
    }
    let mut done = builder.done;
    for (oid, rules) in ruled(&rows.rules, &done) {
        if let Some(relation) = done.get_mut(&oid) {
            relation.rules = rules;
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
        seen.into_iter().filter_map(|oid| relations.get(&oid)).flat_map(|relation| relation.bases.iter().cloned())
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
    lineage: &'a Lineage,
    names: HashMap<Oid, (&'a Text, &'a Text)>,
    oids: HashMap<(&'a str, &'a str), Oid>,
    /// Where a relation's columns are among the rows'.
    columns: HashMap<Oid, &'a [(Oid, i16, Text)]>,
    kinds: Kinds,
    views: HashMap<Oid, &'a str>,
    dependencies: HashMap<Oid, Vec<(Oid, i16)>>,
    parents: HashMap<Oid, Vec<Oid>>,
    unique: HashSet<(Oid, i16)>,
    sizes: HashMap<Oid, u64>,
    widths: HashMap<Oid, Vec<(i16, u16)>>,
    foreign: Foreign<'a>,
    children: HashMap<Oid, Vec<Oid>>,
    /// By comments and security labels.
    said: HashMap<(Oid, i16), Level>,
    search_path: &'a [Text],
    done: Relations,
}

/// A column that is a subject column as it stands.
struct Subject {
    /// Whether no two rows have the same one.
    unique: bool,
    /// The schema and name of the table whose it is.
    of: (Text, Text),
}

impl<'a> Builder<'a> {
    fn new(rows: &'a Rows, classification: &'a Classification, lineage: &'a Lineage) -> Builder<'a> {
        let mut builder = Builder {
            classification,
            levels: classification.by_name(),
            lineage,
            names: rows.relations.iter().map(|(oid, schema, name, _)| (*oid, (schema, name))).collect(),
            oids: rows.relations.iter().map(|(oid, schema, name, _)| ((&**schema, &**name), *oid)).collect(),
            columns: rows
                .columns
                .chunk_by(|one, next| one.0 == next.0)
                .filter_map(|of| Some((of.first()?.0, of)))
                .collect(),
            kinds: Kinds::default(),
            views: rows.views.iter().map(|(oid, definition)| (*oid, definition.as_str())).collect(),
            dependencies: HashMap::new(),
            parents: HashMap::new(),
            unique: rows.unique.iter().copied().collect(),
            sizes: rows.sizes.iter().copied().collect(),
            widths: HashMap::new(),
            foreign: Foreign::of(rows),
            children: HashMap::new(),
            said: HashMap::new(),
            search_path: &rows.search_path,
            done: HashMap::with_capacity(rows.relations.len()),
        };
        for (oid, number, width) in &rows.widths {
            builder.widths.entry(*oid).or_default().push((*number, *width));
        }
        for (view, oid, number) in &rows.dependencies {
            builder.dependencies.entry(*view).or_default().push((*oid, *number));
        }
        for (child, parent) in &rows.inherits {
            builder.parents.entry(*child).or_default().push(*parent);
            builder.children.entry(*parent).or_default().push(*child);
        }
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

    fn finish(&mut self, oid: Oid, depth: usize) {
        if self.done.contains_key(&oid) || depth > VIEW_DEPTH_MAX {
            return;
        }
        let Some((schema, name)) = self.names.get(&oid).copied() else { return };
        let columns: Vec<(i16, &Text)> =
            self.columns.get(&oid).into_iter().copied().flatten().map(|(_, number, name)| (*number, name)).collect();
        let mut relation = Relation::bare(schema.clone(), name.clone());
        let list = columns.iter().map(|(number, name)| ((*name).clone(), *number)).collect();
        relation.columns = self.kinds.list(list);
        match self.views.get(&oid).copied() {
            Some(definition) => self.view(oid, definition, &columns, &mut relation, depth),
            None => self.table(oid, schema, name, &columns, &mut relation, depth),
        }
        self.done.insert(oid, Box::new(relation));
    }

    fn table(
        &mut self,
        oid: Oid,
        schema: &str,
        name: &str,
        columns: &[(i16, &Text)],
        relation: &mut Relation,
        depth: usize,
    ) {
        let by_name = self.levels.levels(schema, name, columns.iter().map(|(_, column)| *column));
        for ((number, column), by_name) in columns.iter().zip(by_name) {
            let there = self.foreign.level(oid, *number, column, self.classification);
            let level = by_name.max(there).max(self.said.get(&(oid, *number)).copied());
            if let Some(level) = level {
                let name = format!("{}.{column}", relation.name).into();
                *relation.classified.of(*number) = vec![Classified { name, level }];
            }
        }
        self.fill(columns, relation);
        relation.size = self.rows_below(oid);
        relation.is_foreign = self.foreign.has(oid);
        relation.widths = self.widths.get(&oid).cloned().unwrap_or_default();
        let subject = self.classification.subject(schema, name);
        relation.subject = subject.and_then(|subject| relation.columns.get(subject).copied());
        if relation.subject.is_none() {
            relation.subject = self.foreign.subject(oid, columns, self.classification);
            relation.subject_of = relation.subject.and_then(|_| self.foreign.table(oid));
        }
        // A partition, and a table that inherits, is classified as its parents are.
        for parent in self.parents.get(&oid).cloned().unwrap_or_default() {
            self.finish(parent, depth + 1);
            let Some(parent) = self.done.get(&parent) else { continue };
            relation.filled |= parent.filled;
            for (column, number) in parent.columns.iter() {
                let Some(here) = relation.columns.get(column) else { continue };
                for classified in parent.classified.get(number).into_iter().flatten() {
                    let own = Classified { name: format!("{}.{column}", relation.name).into(), ..classified.clone() };
                    let present = relation.classified.of(*here);
                    match present.iter_mut().find(|other| other.name == own.name) {
                        Some(other) => other.level = other.level.max(own.level),
                        None => present.push(own),
                    }
                }
                if relation.subject.is_none() && parent.subject == Some(*number) {
                    relation.subject = Some(*here);
                    relation.subject_of = Some(parent.subject_table().clone());
                }
            }
        }
        relation.subject_unique = relation.subject.is_some_and(|number| self.unique.contains(&(oid, number)));
    }

    /// What it was filled with, renamed from, or made of.
    fn fill(&self, columns: &[(i16, &Text)], relation: &mut Relation) {
        let (schema, table) = &relation.parts;
        let Some(holds) = self.lineage.of(schema, table) else { return };
        for (number, column) in columns {
            for mark in holds.shows(Some(column), self.classification).0 {
                let present = relation.classified.of(*number);
                if !present.iter().any(|other| other.name == mark.name) {
                    present.push(mark.clone());
                    relation.fills.push((*number, mark));
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
                rows = self.sizes.get(&next).map(|more| rows.unwrap_or(0).saturating_add(*more)).or(rows);
                open.extend(self.children.get(&next).into_iter().flatten());
            }
        }
        rows
    }

    fn view(&mut self, oid: Oid, definition: &str, columns: &[(i16, &Text)], relation: &mut Relation, depth: usize) {
        let dependencies = self.dependencies.get(&oid).cloned().unwrap_or_default();
        let mut bases = BTreeSet::new();
        for (below, _) in &dependencies {
            self.finish(*below, depth + 1);
            let Some(below) = self.done.get(below) else { continue };
            bases.extend(below.bases.iter().cloned());
            relation.size = relation.size.max(below.size);
            relation.filled |= below.filled;
        }
        if !bases.is_empty() {
            relation.bases = bases.into_iter().collect();
        }
        let followed = sql::view_columns(definition).filter(|followed| followed.columns.len() == columns.len());
        let single = followed.as_ref().is_some_and(|followed| followed.single);
        for (index, (number, _)) in columns.iter().enumerate() {
            let refs = followed.as_ref().and_then(|followed| followed.columns.get(index)).map(|(_, refs)| refs);
            let shown = match refs.and_then(|refs| self.shown(refs)) {
                Some((shown, subject)) => {
                    if let Some(Subject { unique, of }) = subject.filter(|_| relation.subject.is_none()) {
                        relation.subject = Some(*number);
                        relation.subject_of = Some(of);
                        relation.subject_unique = unique && single;
                    }
                    shown
                }
                // What it is made from could not be followed: it may be anything that the view depends on.
                None => self.anything(&dependencies),
            };
            if !shown.is_empty() {
                *relation.classified.of(*number) = shown;
            }
            relation.widths.extend(refs.and_then(|refs| self.width(refs)).map(|width| (*number, width)));
        }
    }

    /// What these references show, and, where it is a subject column as it stands, whether no two rows have the same one, and which table's
    /// it is. `None` where one is not known.
    fn shown(&self, refs: &[sql::ColumnRef]) -> Option<(Vec<Classified>, Option<Subject>)> {
        let mut shown = BTreeSet::new();
        let mut subject = None;
        for found in refs {
            let name = found.relation.as_ref()?;
            let column = found.column.as_ref()?;
            let below = self.done.get(&self.meant(name)?)?;
            let number = below.columns.get(column)?;
            shown.extend(below.classified.get(number).into_iter().flatten().cloned());
            if found.plain && refs.len() == 1 && below.subject == Some(*number) {
                subject = Some(Subject { unique: below.subject_unique, of: below.subject_table().clone() });
            }
        }
        Some((shown.into_iter().collect(), subject))
    }

    /// The width of the one column that these references are.
    fn width(&self, refs: &[sql::ColumnRef]) -> Option<u16> {
        let [sql::ColumnRef { relation: Some(name), column: Some(column), plain: true }] = refs else { return None };
        let below = self.done.get(&self.meant(name)?)?;
        let number = below.columns.get(column)?;
        below.widths.iter().find(|(its, _)| its == number).map(|(_, width)| *width)
    }

    /// The relation that a view's definition names.
    fn meant(&self, name: &sql::RelationName) -> Option<Oid> {
        match &name.schema {
            Some(schema) => self.oids.get(&(&**schema, &*name.name)).copied(),
            None => self.search_path.iter().find_map(|schema| self.oids.get(&(&**schema, &*name.name)).copied()),
        }
    }

    fn anything(&self, dependencies: &[(Oid, i16)]) -> Vec<Classified> {
        let mut shown = BTreeSet::new();
        for (oid, number) in dependencies {
            let Some(below) = self.done.get(oid) else { continue };
            match number {
                0 => shown.extend(below.classified.values().flatten().cloned()),
                number => shown.extend(below.classified.get(number).into_iter().flatten().cloned()),
            }
        }
        shown.into_iter().collect()
    }
}
