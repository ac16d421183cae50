//! One database's catalog at one moment: relations, their columns with level and subject, and what views are made from.
//!
//! In: [`Rows`] as the loader read them, and the classification. Out: a [`Snapshot`]. PURE.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::classification::{Classification, Level};
use super::foreign::Foreign;
use super::functions::{Function, Functions, Shown};
use super::lineage::Lineage;
use super::streams::Sent;
use crate::record::Text;
use crate::session::SubjectColumns;
use crate::sql;

/// Views of views are followed so deep.
const VIEW_DEPTH_MAX: usize = 16;

/// Classified columns that are kept as what anything may be.
const EVERYTHING_MAX: usize = 1_000;

/// A relation's OID.
pub type Oid = u32;

/// What the loader read, as it was.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// OID, schema, name, `relkind`.
    pub relations: Vec<(Oid, Text, Text, char)>,
    /// Relation, attribute number, name.
    pub columns: Vec<(Oid, i16, Text)>,
    /// View, its definition.
    pub views: Vec<(Oid, String)>,
    /// View, relation and column that it depends on (0: the relation as a whole).
    pub dependencies: Vec<(Oid, Oid, i16)>,
    /// Child, parent.
    pub inherits: Vec<(Oid, Oid)>,
    /// Relation and the one column of a unique index.
    pub unique: Vec<(Oid, i16)>,
    /// Relation and its number of rows, where the server has counted them.
    pub sizes: Vec<(Oid, u64)>,
    /// Relation, column, its comment.
    pub comments: Vec<(Oid, i16, String)>,
    /// Relation, column, its security label.
    pub labels: Vec<(Oid, i16, String)>,
    /// Functions that are not PostgreSQL's own.
    pub functions: Vec<Function>,
    /// Relation, and the code of a trigger or a rule on it.
    pub triggers: Vec<(Oid, String)>,
    /// Operators that are not: name, and schema and name of the function behind.
    pub operators: Vec<(Text, Text, Text)>,
    /// Names of PostgreSQL's own functions and operators.
    pub built_in: Vec<Text>,
    /// Functions by OID, the users' own with their schema.
    pub function_oids: Arc<HashMap<Oid, Text>>,
    /// Foreign tables: schema and name of what each stands for.
    pub foreign: Vec<(Oid, Text, Text)>,
    /// Their columns that have another name there.
    pub foreign_columns: Vec<(Oid, i16, Text)>,
    /// Tables that are published.
    pub published: Vec<Published>,
    /// The database's default search path.
    pub search_path: Vec<Text>,
}

/// A table of a publication.
#[derive(Clone, Debug)]
pub struct Published {
    /// The publication.
    pub publication: Text,
    /// The table's schema and name.
    pub table: (Text, Text),
    /// Its columns, where not all are.
    pub columns: Option<Vec<Text>>,
}

/// A column that is classified, wherever it came from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Classified {
    /// `schema.table.column` of the base table.
    pub name: Text,
    /// Its level.
    pub level: Level,
}

/// A relation.
#[derive(Clone, Debug)]
pub struct Relation {
    /// `schema.table`.
    pub name: Text,
    /// Base relations behind a view; itself for any other.
    pub bases: Vec<Text>,
    /// Its schema and its own name.
    pub parts: (Text, Text),
    /// Columns by name.
    pub columns: HashMap<Text, i16>,
    /// What a column shows, by attribute number; absent: nothing classified.
    pub classified: HashMap<i16, Vec<Classified>>,
    /// Whether anything in it is known from what it was filled with, and not from the classification.
    pub filled: bool,
    /// What a trigger or a rule of another relation may copy into any of its columns.
    pub copied_in: Vec<Classified>,
    /// The column that says whose a row is.
    pub subject: Option<i16>,
    /// Whether no two rows have the same subject.
    pub subject_unique: bool,
    /// Rows in it, and in what it is made from; `None` where the server has not counted them.
    pub size: Option<u64>,
}

impl Relation {
    /// One of which nothing but its name is known.
    pub(super) fn bare(schema: Text, name: Text) -> Relation {
        let full: Text = format!("{schema}.{name}").into();
        Relation {
            bases: vec![full.clone()],
            name: full,
            parts: (schema, name),
            columns: HashMap::new(),
            classified: HashMap::new(),
            filled: false,
            copied_in: Vec::new(),
            subject: None,
            subject_unique: false,
            size: None,
        }
    }

    /// The column of this number.
    pub fn column_named(&self, number: i16) -> Option<&Text> {
        self.columns.iter().find(|(_, its)| **its == number).map(|(name, _)| name)
    }

    /// Its columns, in order.
    pub fn in_order(&self) -> Vec<&Text> {
        let mut columns: Vec<(&i16, &Text)> = self.columns.iter().map(|(name, number)| (number, name)).collect();
        columns.sort_unstable();
        columns.into_iter().map(|(_, name)| name).collect()
    }

    /// What is classified in a column; in all of them, where none is named or there is none of this name.
    pub fn shows(&self, column: Option<&str>) -> Vec<Classified> {
        match column.and_then(|column| self.columns.get(column)) {
            Some(number) => self.classified.get(number).cloned().unwrap_or_default(),
            None => self.classified.values().flatten().cloned().collect(),
        }
    }

    /// Whether it has a column of this name, PostgreSQL's own among them. What is not known of may be there: the columns
    /// of the system's catalogs are not read.
    pub fn has_column(&self, name: &str) -> bool {
        self.columns.is_empty()
            || self.columns.contains_key(name)
            || matches!(name, "ctid" | "xmin" | "xmax" | "cmin" | "cmax" | "tableoid")
    }
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    relations: HashMap<Oid, Relation>,
    by_name: HashMap<(Text, Text), Oid>,
    functions: Functions,
    /// Schemas in which a relation of this name is.
    schemas: HashMap<Text, Vec<Text>>,
    /// Everything classified, of tables.
    everything: Vec<Classified>,
    /// What triggers send to whoever listens, by the relation that sets them off.
    sent: HashMap<Oid, Vec<Sent>>,
    function_oids: Arc<HashMap<Oid, Text>>,
    published: Vec<Published>,
    /// The database's default search path.
    pub search_path: Vec<Text>,
}

impl Snapshot {
    /// Joins the rows, the classification, and what is known of where classified columns went.
    pub fn build(rows: &Rows, classification: &Classification, lineage: &Lineage) -> Snapshot {
        let mut builder = Builder::new(rows, classification, lineage);
        let oids: Vec<Oid> = rows.relations.iter().map(|(oid, ..)| *oid).collect();
        for oid in &oids {
            builder.finish(*oid, 0);
        }
        let by_name =
            rows.relations.iter().map(|(oid, schema, name, _)| ((schema.clone(), name.clone()), *oid)).collect();
        let mut schemas: HashMap<Text, Vec<Text>> = HashMap::new();
        for (_, schema, name, _) in &rows.relations {
            schemas.entry(name.clone()).or_default().push(schema.clone());
        }
        let mut snapshot = Snapshot {
            relations: builder.done,
            by_name,
            functions: Functions::default(),
            schemas,
            everything: Vec::new(),
            sent: HashMap::new(),
            function_oids: Arc::clone(&rows.function_oids),
            published: rows.published.clone(),
            search_path: rows.search_path.clone(),
        };
        let mut everything: BTreeSet<Classified> = BTreeSet::new();
        snapshot.relations.values().for_each(|relation| everything.extend(relation.shows(None)));
        snapshot.everything = everything.into_iter().take(EVERYTHING_MAX).collect();
        let find = |name: &sql::RelationName, path: Option<&[Text]>| snapshot.meant(name, path);
        let copied = snapshot.copied(&rows.triggers);
        let functions = Functions::build(&rows.functions, &rows.operators, &rows.built_in, &find);
        snapshot.functions = functions;
        snapshot.sent = snapshot.sent_by(&rows.triggers);
        for (oid, columns) in copied {
            if let Some(relation) = snapshot.relations.get_mut(&oid) {
                relation.copied_in = columns.into_iter().collect();
            }
        }
        snapshot
    }

    /// What triggers and rules copy, by the relation that they copy it into: all that is classified where they are, into every
    /// relation that they write.
    fn copied(&self, triggers: &[(Oid, String)]) -> HashMap<Oid, BTreeSet<Classified>> {
        let mut copied: HashMap<Oid, BTreeSet<Classified>> = HashMap::new();
        for (oid, code) in triggers {
            let Some(from) = self.relations.get(oid).filter(|from| !from.classified.is_empty()) else { continue };
            let code = sql::Code::of(code);
            for into in code.writes.iter().flat_map(|name| self.meant(name, None)).filter(|into| into.name != from.name)
            {
                if let Some(oid) = self.by_name.get(&into.parts) {
                    copied.entry(*oid).or_default().extend(from.shows(None));
                }
            }
        }
        copied
    }

    /// The relations that a name in a function's body may mean: by the search path, or, where that has none, of any schema.
    fn meant(&self, name: &sql::RelationName, path: Option<&[Text]>) -> Vec<&Relation> {
        if let Some(schema) = &name.schema {
            return self.named(schema, &name.name).into_iter().collect();
        }
        let path = path.unwrap_or(&self.search_path);
        match path.iter().find_map(|schema| self.named(schema, &name.name)) {
            Some(relation) => vec![relation],
            None => self.of_any_schema(&name.name),
        }
    }

    /// The relations of this name, in any schema but PostgreSQL's own.
    pub fn of_any_schema(&self, name: &str) -> Vec<&Relation> {
        let schemas = self.schemas.get(name).into_iter().flatten();
        let users = schemas.filter(|schema| !matches!(&***schema, "pg_catalog" | "information_schema"));
        users.filter_map(|schema| self.named(schema, name)).collect()
    }

    /// What a function of this name shows, where it is the users' own.
    pub fn function(&self, name: &str) -> Option<&Shown> {
        self.functions.shown(name)
    }

    /// What an operator of this name shows, where it is the users' own.
    pub fn operator(&self, name: &str) -> Option<&Shown> {
        self.functions.behind_operator(name)
    }

    /// Whether there is no function or operator of this name, or was none when the catalog was read.
    pub fn is_unheard_of(&self, function: &str) -> bool {
        self.functions.is_unheard_of(function)
    }

    /// What a block of code shows: all of every relation it names, and what the functions show that it calls.
    pub fn code(&self, code: &sql::Code) -> Shown {
        let mut shown = Shown { opaque: code.dynamic, assumed: true, sets_path: code.sets_path, ..Shown::default() };
        for relation in code.relations.iter().flat_map(|name| self.meant(name, None)) {
            shown.names(relation);
            shown.columns.extend(relation.shows(None));
        }
        code.functions.iter().filter_map(|name| self.function(name)).for_each(|inner| shown.takes(inner.clone()));
        shown
    }

    /// Everything classified in the database, as far as it is kept.
    pub fn everything(&self) -> &[Classified] {
        &self.everything
    }

    /// What its triggers send, where rows of a relation are written.
    pub(super) fn sent_from(&self, schema: &str, name: &str) -> &[Sent] {
        let oid = self.by_name.get(&(schema.into(), name.into()));
        oid.and_then(|oid| self.sent.get(oid)).map(Vec::as_slice).unwrap_or_default()
    }

    /// All that triggers send.
    pub(super) fn all_sent(&self) -> impl Iterator<Item = &Sent> {
        self.sent.values().flatten()
    }

    /// The users' functions.
    pub(super) fn all_functions(&self) -> impl Iterator<Item = &Shown> {
        self.functions.all()
    }

    /// The tables of a publication.
    pub(super) fn published(&self, publication: &str) -> impl Iterator<Item = &Published> {
        self.published.iter().filter(move |table| *table.publication == *publication)
    }

    /// A function's name.
    pub fn function_named(&self, oid: Oid) -> Option<&Text> {
        self.function_oids.get(&oid)
    }

    /// Each relation that has anything classified.
    pub(super) fn classified_relations(&self) -> impl Iterator<Item = &Relation> {
        self.relations.values().filter(|relation| !relation.classified.is_empty())
    }

    /// Those that hold rows of their own: no views.
    pub(super) fn tables(&self) -> impl Iterator<Item = (Oid, &Relation)> {
        let own = |relation: &&Relation| matches!(&relation.bases[..], [base] if *base == relation.name);
        self.relations.iter().map(|(oid, relation)| (*oid, relation)).filter(move |(_, relation)| own(relation))
    }

    /// A snapshot of these alone.
    pub(super) fn of_tables(relations: HashMap<Oid, Relation>) -> Snapshot {
        Snapshot { relations, ..Snapshot::default() }
    }

    /// Each relation, to change.
    pub(super) fn for_each_mut(&mut self, mut each: impl FnMut(Oid, &mut Relation)) {
        self.relations.iter_mut().for_each(|(oid, relation)| each(*oid, relation));
    }

    /// By OID.
    pub fn relation(&self, oid: Oid) -> Option<&Relation> {
        self.relations.get(&oid)
    }

    /// By name.
    pub fn named(&self, schema: &str, name: &str) -> Option<&Relation> {
        self.relations.get(self.by_name.get(&(schema.into(), name.into()))?)
    }

    /// The schemas that have a relation of this name.
    pub fn schemas_with(&self, name: &str) -> Vec<Text> {
        self.by_name.keys().filter(|(_, known)| **known == *name).map(|(schema, _)| schema.clone()).collect()
    }

    /// Columns that name a data subject, views' too.
    pub fn subject_columns(&self) -> SubjectColumns {
        let subjects = self.relations.iter();
        let subjects = subjects.filter_map(|(oid, relation)| Some(((*oid, relation.subject?), ()))).collect();
        SubjectColumns(subjects, None)
    }

    /// Columns that are classified, of whatever level: by OID and number.
    pub fn classified_columns(&self) -> HashSet<(Oid, i16)> {
        let relations = self.relations.iter();
        relations.flat_map(|(oid, relation)| relation.classified.keys().map(move |number| (*oid, *number))).collect()
    }

    /// Relations in it.
    pub fn len(&self) -> usize {
        self.relations.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.relations.is_empty()
    }
}

struct Builder<'a> {
    classification: &'a Classification,
    lineage: &'a Lineage,
    names: HashMap<Oid, (&'a Text, &'a Text)>,
    oids: HashMap<(&'a str, &'a str), Oid>,
    columns: HashMap<Oid, Vec<(i16, &'a Text)>>,
    views: HashMap<Oid, &'a str>,
    dependencies: HashMap<Oid, Vec<(Oid, i16)>>,
    parents: HashMap<Oid, Vec<Oid>>,
    unique: HashSet<(Oid, i16)>,
    sizes: HashMap<Oid, u64>,
    foreign: Foreign<'a>,
    children: HashMap<Oid, Vec<Oid>>,
    /// By comments and security labels.
    said: HashMap<(Oid, i16), Level>,
    search_path: &'a [Text],
    done: HashMap<Oid, Relation>,
}

impl<'a> Builder<'a> {
    fn new(rows: &'a Rows, classification: &'a Classification, lineage: &'a Lineage) -> Builder<'a> {
        let mut builder = Builder {
            classification,
            lineage,
            names: rows.relations.iter().map(|(oid, schema, name, _)| (*oid, (schema, name))).collect(),
            oids: rows.relations.iter().map(|(oid, schema, name, _)| ((&**schema, &**name), *oid)).collect(),
            columns: HashMap::new(),
            views: rows.views.iter().map(|(oid, definition)| (*oid, definition.as_str())).collect(),
            dependencies: HashMap::new(),
            parents: HashMap::new(),
            unique: rows.unique.iter().copied().collect(),
            sizes: rows.sizes.iter().copied().collect(),
            foreign: Foreign::of(rows),
            children: HashMap::new(),
            said: HashMap::new(),
            search_path: &rows.search_path,
            done: HashMap::new(),
        };
        for (oid, number, name) in &rows.columns {
            builder.columns.entry(*oid).or_default().push((*number, name));
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
        let columns = self.columns.get(&oid).cloned().unwrap_or_default();
        let mut relation = Relation::bare(schema.clone(), name.clone());
        relation.columns = columns.iter().map(|(number, name)| ((*name).clone(), *number)).collect();
        match self.views.get(&oid).copied() {
            Some(definition) => self.view(oid, definition, &columns, &mut relation, depth),
            None => self.table(oid, schema, name, &columns, &mut relation, depth),
        }
        self.done.insert(oid, relation);
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
        for (number, column) in columns {
            let by_name = self.classification.level(schema, name, column);
            let there = self.foreign.level(oid, *number, column, self.classification);
            let level = by_name.max(there).max(self.said.get(&(oid, *number)).copied());
            if let Some(level) = level {
                let name = format!("{}.{column}", relation.name).into();
                relation.classified.insert(*number, vec![Classified { name, level }]);
            }
        }
        self.fill(columns, relation);
        relation.size = self.rows_below(oid);
        let subject = self.classification.subject(schema, name);
        relation.subject = subject.and_then(|subject| relation.columns.get(subject).copied());
        if relation.subject.is_none() {
            relation.subject = self.foreign.subject(oid, columns, self.classification);
        }
        // A partition, and a table that inherits, is classified as its parents are.
        for parent in self.parents.get(&oid).cloned().unwrap_or_default() {
            self.finish(parent, depth + 1);
            let Some(parent) = self.done.get(&parent) else { continue };
            relation.filled |= parent.filled;
            for (column, number) in &parent.columns {
                let Some(here) = relation.columns.get(column) else { continue };
                for classified in parent.classified.get(number).into_iter().flatten() {
                    let own = Classified { name: format!("{}.{column}", relation.name).into(), ..classified.clone() };
                    let present = relation.classified.entry(*here).or_default();
                    match present.iter_mut().find(|other| other.name == own.name) {
                        Some(other) => other.level = other.level.max(own.level),
                        None => present.push(own),
                    }
                }
                if relation.subject.is_none() && parent.subject == Some(*number) {
                    relation.subject = Some(*here);
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
                let present = relation.classified.entry(*number).or_default();
                if !present.iter().any(|other| other.name == mark.name) {
                    present.push(mark);
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
                    if let Some(unique) = subject.filter(|_| relation.subject.is_none()) {
                        relation.subject = Some(*number);
                        relation.subject_unique = unique && single;
                    }
                    shown
                }
                // What it is made from could not be followed: it may be anything that the view depends on.
                None => self.anything(&dependencies),
            };
            if !shown.is_empty() {
                relation.classified.insert(*number, shown);
            }
        }
    }

    /// What these references show, and, where it is a subject column as it stands, whether no two rows have the same one.
    /// `None` where one is not known.
    fn shown(&self, refs: &[sql::ColumnRef]) -> Option<(Vec<Classified>, Option<bool>)> {
        let mut shown = BTreeSet::new();
        let mut subject = None;
        for found in refs {
            let name = found.relation.as_ref()?;
            let column = found.column.as_ref()?;
            let oid = match &name.schema {
                Some(schema) => self.oids.get(&(&**schema, &*name.name)),
                None => self.search_path.iter().find_map(|schema| self.oids.get(&(&**schema, &*name.name))),
            }?;
            let below = self.done.get(oid)?;
            let number = below.columns.get(column)?;
            shown.extend(below.classified.get(number).into_iter().flatten().cloned());
            if found.plain && refs.len() == 1 && below.subject == Some(*number) {
                subject = Some(below.subject_unique);
            }
        }
        Some((shown.into_iter().collect(), subject))
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
