//! One database's catalog at one moment: relations, their columns with level and subject, and what views are made from.
//!
//! In: [`Rows`] as the loader read them, and the classification. Out: a [`Snapshot`]. PURE.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::building;
use super::classification::{Classification, Level};
use super::columns::{ByNumber, Columns};
use super::functions::{Function, Functions, Shown};
use super::lineage::Lineage;
use super::streams::Sent;
use crate::record::{Text, Texts};
use crate::session::{Bait, Baits};
use crate::sql;

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
    /// Relation, column, and how many bytes one of its values takes as text, as the server's statistics have it.
    pub widths: Vec<(Oid, i16, u16)>,
    /// Relation, column, its comment.
    pub comments: Vec<(Oid, i16, String)>,
    /// Relation, column, its security label.
    pub labels: Vec<(Oid, i16, String)>,
    /// Functions that are not PostgreSQL's own.
    pub functions: Vec<Function>,
    /// Relation, and the code of a trigger or a rule on it.
    pub triggers: Vec<(Oid, String)>,
    /// Relation, column, and a function of the users', with its schema, that the column's default or what generates it calls.
    pub computed: Vec<(Oid, i16, Text)>,
    /// Relation, `ev_type` of a rule on it, and a relation that the rule names.
    pub rules: Vec<(Oid, char, Oid)>,
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
    /// The server's default search path.
    pub search_path: Vec<Text>,
    /// Search paths by `ALTER ROLE` and `ALTER DATABASE`.
    pub login_paths: Vec<LoginPath>,
    /// By role that may log in: the roles that it is a member of.
    pub members: Arc<HashMap<Text, Texts>>,
}

/// A search path that sessions begin with (PostgreSQL manual, `pg_db_role_setting`).
#[derive(Clone, Debug)]
pub struct LoginPath {
    /// `None`: of any role.
    pub role: Option<Text>,
    /// Whether in this database alone.
    pub of_database: bool,
    /// The schemas.
    pub path: Vec<Text>,
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

/// A relation that a rule of another touches.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rule {
    /// What sets it off, as `pg_rewrite.ev_type` has it: `2` UPDATE, `3` INSERT, `4` DELETE.
    pub on: char,
    /// `schema.table`, a base relation.
    pub relation: Text,
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
    pub columns: Columns,
    /// What a column shows, by attribute number; absent: nothing classified.
    pub classified: ByNumber,
    /// Whether anything in it is known from what it was filled with, and not from the classification.
    pub filled: bool,
    /// Which of it is there for no other reason than what it was filled with, when the catalog was read.
    pub fills: Vec<(i16, Classified)>,
    /// Columns of which more is among what they show than is there, perhaps.
    pub guessed: Vec<i16>,
    /// What a trigger or a rule of another relation may copy into any of its columns.
    pub copied_in: Vec<Classified>,
    /// Whether another server holds it.
    pub is_foreign: bool,
    /// What its rules have a statement touch that writes it.
    pub rules: Vec<Rule>,
    /// The column that says whose a row is.
    pub subject: Option<i16>,
    /// The schema and name of the table whose subject column that is, where it is another's: of what it is made from, or inherits.
    pub subject_of: Option<(Text, Text)>,
    /// Whether no two rows have the same subject.
    pub subject_unique: bool,
    /// Rows in it, and in what it is made from; `None` where the server has not counted them.
    pub size: Option<u64>,
    /// What its columns take as text, bytes, by number; nothing where the server has no statistics, or nothing is classified.
    pub(super) widths: Vec<(i16, u16)>,
}

impl Relation {
    /// One of which nothing but its name is known.
    pub(super) fn bare(schema: Text, name: Text) -> Relation {
        let full: Text = format!("{schema}.{name}").into();
        Relation {
            bases: vec![full.clone()],
            name: full,
            parts: (schema, name),
            columns: Columns::default(),
            classified: ByNumber::default(),
            filled: false,
            fills: Vec::new(),
            guessed: Vec::new(),
            copied_in: Vec::new(),
            is_foreign: false,
            rules: Vec::new(),
            subject: None,
            subject_of: None,
            subject_unique: false,
            size: None,
            widths: Vec::new(),
        }
    }

    /// The table whose subject column its own is.
    pub(super) fn subject_table(&self) -> &(Text, Text) {
        self.subject_of.as_ref().unwrap_or(&self.parts)
    }

    /// The baits that may be among its rows.
    pub(super) fn baits<'c>(&self, classification: &'c Classification) -> impl Iterator<Item = &'c Bait> {
        let (own, of) = (self.parts.clone(), self.subject_table().clone());
        let has_subject = self.subject.is_some();
        classification
            .baits_in(move |baited| has_subject && (baited.is_in(&own.0, &own.1) || baited.is_in(&of.0, &of.1)))
    }

    /// How many bytes a value of a column takes as text, on average.
    pub(super) fn width(&self, number: i16) -> Option<u64> {
        self.widths.iter().find(|(its, _)| *its == number).map(|(_, width)| u64::from(*width))
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

/// By OID. Each in a place of its own: a table of them has half of its places free.
pub(super) type Relations = HashMap<Oid, Box<Relation>>;

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    relations: Relations,
    /// By its own name; each with its schema.
    by_name: HashMap<Text, Vec<(Text, Oid)>, ahash::RandomState>,
    functions: Functions,
    /// Everything classified, of tables.
    everything: Vec<Classified>,
    /// What triggers send to whoever listens, by the relation that sets them off.
    sent: HashMap<Oid, Vec<Sent>>,
    function_oids: Arc<HashMap<Oid, Text>>,
    published: Vec<Published>,
    /// The server's default search path.
    pub search_path: Vec<Text>,
    login_paths: Vec<LoginPath>,
    members: Arc<HashMap<Text, Texts>>,
}

impl Snapshot {
    /// Joins the rows, the classification, and what is known of where classified columns went.
    pub fn build(rows: &Rows, classification: &Classification, lineage: &Lineage) -> Snapshot {
        let mut by_name: HashMap<Text, Vec<(Text, Oid)>, ahash::RandomState> = HashMap::default();
        for (oid, schema, name, _) in &rows.relations {
            let known = by_name.entry(name.clone()).or_insert_with(|| Vec::with_capacity(1));
            known.push((schema.clone(), *oid));
        }
        let mut snapshot = Snapshot {
            relations: building::relations(rows, classification, lineage),
            by_name,
            functions: Functions::default(),
            everything: Vec::new(),
            sent: HashMap::new(),
            function_oids: Arc::clone(&rows.function_oids),
            published: rows.published.clone(),
            search_path: rows.search_path.clone(),
            login_paths: rows.login_paths.clone(),
            members: Arc::clone(&rows.members),
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
        for ((oid, number), (columns, guessed)) in snapshot.computed(rows) {
            if let Some(relation) = snapshot.relations.get_mut(&oid) {
                relation.guessed.extend(guessed.then_some(number));
                let present = relation.classified.of(number);
                present.extend(columns);
                present.sort_unstable();
                present.dedup();
                relation.filled = true;
            }
        }
        snapshot
    }

    /// What triggers and rules copy, by the relation that they copy it into: all that is classified where they are, into every
    /// relation that they write.
    fn copied(&self, triggers: &[(Oid, String)]) -> HashMap<Oid, BTreeSet<Classified>> {
        let mut copied: HashMap<Oid, BTreeSet<Classified>> = HashMap::new();
        for (oid, code) in triggers {
            let Some(from) = self.relation(*oid).filter(|from| !from.classified.is_empty()) else { continue };
            let code = sql::Code::of(code);
            for into in code.writes.iter().flat_map(|name| self.meant(name, None)).filter(|into| into.name != from.name)
            {
                if let Some(oid) = self.oid(&into.parts.0, &into.parts.1) {
                    copied.entry(oid).or_default().extend(from.shows(None));
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

    /// The search path that a role's session begins with: what is set for it here goes before what is for it anywhere, and that before
    /// what is for everybody here.
    pub fn login_path(&self, role: &str) -> &[Text] {
        let of = |wanted: Option<&str>, of_database: bool| {
            self.login_paths.iter().find(move |path| path.role.as_deref() == wanted && path.of_database == of_database)
        };
        let found = of(Some(role), true)
            .or_else(|| of(Some(role), false))
            .or_else(|| of(None, true))
            .or_else(|| of(None, false));
        found.map_or(&self.search_path, |found| &found.path)
    }

    /// The roles that a role is a member of, directly or not, sorted.
    pub fn member_of(&self, role: &str) -> Texts {
        self.members.get(role).cloned().unwrap_or_default()
    }

    /// Every search path that a session may begin with.
    pub(super) fn begun_with(&self) -> impl Iterator<Item = &[Text]> {
        std::iter::once(&self.search_path[..]).chain(self.login_paths.iter().map(|path| &path.path[..]))
    }

    /// The relations of this name, in any schema but PostgreSQL's own.
    pub fn of_any_schema(&self, name: &str) -> Vec<&Relation> {
        let known = self.by_name.get(name).into_iter().flatten();
        let users = known.filter(|(schema, _)| !matches!(&**schema, "pg_catalog" | "information_schema"));
        users.filter_map(|(_, oid)| self.relation(*oid)).collect()
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
        let oid = self.oid(schema, name);
        oid.and_then(|oid| self.sent.get(&oid)).map(Vec::as_slice).unwrap_or_default()
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
        self.relations.values().map(Box::as_ref).filter(|relation| !relation.classified.is_empty())
    }

    /// Those that hold rows of their own: no views.
    pub(super) fn tables(&self) -> impl Iterator<Item = (Oid, &Relation)> {
        let own = |relation: &&Relation| matches!(&relation.bases[..], [base] if *base == relation.name);
        self.relations.iter().map(|(oid, relation)| (*oid, &**relation)).filter(move |(_, relation)| own(relation))
    }

    /// A snapshot of these alone.
    pub(super) fn of_tables(relations: Relations) -> Snapshot {
        Snapshot { relations, ..Snapshot::default() }
    }

    /// Each relation, to change.
    pub(super) fn for_each_mut(&mut self, mut each: impl FnMut(Oid, &mut Relation)) {
        self.relations.iter_mut().for_each(|(oid, relation)| each(*oid, relation));
    }

    /// By OID.
    pub fn relation(&self, oid: Oid) -> Option<&Relation> {
        self.relations.get(&oid).map(Box::as_ref)
    }

    /// By name.
    pub fn named(&self, schema: &str, name: &str) -> Option<&Relation> {
        self.relation(self.oid(schema, name)?)
    }

    fn oid(&self, schema: &str, name: &str) -> Option<Oid> {
        self.by_name.get(name)?.iter().find(|(its, _)| **its == *schema).map(|(_, oid)| *oid)
    }

    /// The schemas that have a relation of this name.
    pub fn schemas_with(&self, name: &str) -> Vec<Text> {
        self.by_name.get(name).into_iter().flatten().map(|(schema, _)| schema.clone()).collect()
    }

    /// Columns that name a data subject, views' too: by OID and number.
    pub fn subject_columns(&self) -> HashMap<(Oid, i16), ()> {
        let subjects = self.relations.iter();
        subjects.filter_map(|(oid, relation)| Some(((*oid, relation.subject?), ()))).collect()
    }

    /// Relations that have one.
    pub(super) fn relations_with_subject(&self) -> impl Iterator<Item = &Relation> {
        self.relations.values().map(Box::as_ref).filter(|relation| relation.subject.is_some())
    }

    /// The baits that lie in them.
    pub fn baits(&self, classification: &Classification) -> Baits {
        let relations = self.relations.iter().filter(|_| classification.has_baits());
        let by_column = relations.filter_map(|(oid, relation)| {
            let baits: Vec<Bait> = relation.baits(classification).cloned().collect();
            (!baits.is_empty()).then_some(((*oid, relation.subject?), baits.into()))
        });
        Baits::new(by_column.collect())
    }

    /// Columns that are classified, of whatever level: by OID and number.
    pub fn classified_columns(&self) -> HashSet<(Oid, i16)> {
        let relations = self.relations.iter();
        relations.flat_map(|(oid, relation)| relation.classified.keys().map(move |number| (*oid, number))).collect()
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
