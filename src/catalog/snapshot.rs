//! One database's catalog at one moment: relations, their columns with level and subject, and what views are made from.
//!
//! In: [`Rows`] as the loader read them, and the classification. Out: a [`Snapshot`]. PURE.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use super::bodies::Bodies;
use super::building;
use super::built_in::holds_comments;
use super::called;
use super::classification::Classification;
use super::columns::Columns;
use super::computed::Computed;
use super::doubted::Written;
use super::functions::{Function, Functions, Shown, taken};
use super::lineage::Lineage;
pub use super::relations::{Classified, Oid, Relation};
use super::relations::{Relations, place_of};
use super::set_off::SetOff;
use super::streams::Sent;
use crate::clock::Timestamp;
use crate::record::{Text, Texts};
use crate::session::{Bait, Baits};
use crate::sql;

/// Classified columns that are kept as what anything may be.
const EVERYTHING_MAX: usize = 1_000;

/// Code that reads what code filled is followed through so many, one behind the other.
const ROUNDS_MAX: usize = 64;

/// Foreign keys are followed so far, one behind the other.
const REFERENCES_MAX: usize = 8;

/// What the loader read, as it was.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// By OID, rising.
    pub relations: Vec<Listed>,
    /// View, its definition.
    pub views: Vec<(Oid, Arc<View>)>,
    /// View, and a function of the users', with its schema, that its definition calls: by name, or behind an operator or a cast.
    pub view_calls: Vec<(Oid, Text)>,
    /// View, relation and column that it depends on (0: the relation as a whole).
    pub dependencies: Vec<(Oid, Oid, i16)>,
    /// Child, parent.
    pub inherits: Vec<(Oid, Oid)>,
    /// Relation and the one column of a unique index.
    pub unique: Vec<(Oid, i16)>,
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
    /// Generated column of a relation, and another one of it that it is made of.
    pub generated: Vec<(Oid, i16, i16)>,
    /// Relation, and a function of the users', with its schema, that runs unnamed where it is read or written: of a trigger, a policy, a
    /// constraint, an index, a domain; and whether where it is read, too. Relation 0: where the schema is changed.
    pub unnamed: Vec<(Oid, Text, bool)>,
    /// Relation, `ev_type` of a rule on it, and a relation that the rule names.
    pub rules: Vec<(Oid, char, Oid)>,
    /// Operators that are not, and casts, as `::type`: name, and schema and name of the function behind.
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
    /// A relation, and one whose rows change with it, by a foreign key that cascades.
    pub dependents: Vec<(Oid, Oid)>,
    /// Columns of foreign keys.
    pub references: Vec<Reference>,
    /// Of each relation something that changes whenever it is written; `None` where the server does not count.
    pub(super) written: Option<Arc<Written>>,
    /// When all of that had been read.
    pub(super) written_by: Timestamp,
    /// The server's default search path.
    pub search_path: Vec<Text>,
    /// Search paths by `ALTER ROLE` and `ALTER DATABASE`.
    pub login_paths: Vec<LoginPath>,
    /// By role that may log in: the roles that it is a member of.
    pub members: Arc<HashMap<Text, Texts>>,
}

/// A column of a foreign key.
#[derive(Clone, Copy, Debug)]
pub struct Reference {
    /// Its relation, and its number there.
    pub from: (Oid, i16),
    /// The column that has its values.
    pub to: (Oid, i16),
    /// It changes when that one does.
    pub cascades: bool,
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

impl Rows {
    /// Whether a relation and its columns are called as they were `before`.
    pub(super) fn is_as_it_was(&self, before: &Rows, oid: Oid) -> bool {
        let of = |rows: &'_ Rows| {
            let place = place_of(&rows.relations, oid, |listed| listed.oid)?;
            rows.relations.get(place).map(|listed| (listed.schema.clone(), listed.name.clone(), listed.columns.clone()))
        };
        let now = of(self);
        now.is_some() && now == of(before)
    }
}

/// A relation as it was read.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Its OID.
    pub oid: Oid,
    /// Its schema.
    pub schema: Text,
    /// Its own name.
    pub name: Text,
    /// `relkind`.
    pub kind: char,
    /// Its number of rows, where the server has counted them.
    pub size: Option<u64>,
    /// Its columns; of the system's catalogs none.
    pub columns: Columns,
}

/// A view's definition, and what it says of its columns: followed once, however often the catalog is read.
#[derive(Debug, Default)]
pub struct View {
    made: String,
    definition: String,
    followed: OnceLock<Option<sql::ViewColumns>>,
    collects: OnceLock<bool>,
    calls: OnceLock<Option<Box<sql::ColumnCalls>>>,
    reads_anything: OnceLock<Box<[Text]>>,
}

impl View {
    /// As PostgreSQL writes it. `made`: by which transaction.
    pub fn new(made: String, definition: String) -> View {
        View { made, definition, ..View::default() }
    }

    /// Reads all that is wanted of it as a rule.
    pub(super) fn prepare(&self) {
        self.followed();
        self.collects();
        self.reads_anything();
    }

    /// The transaction that made it what it is.
    pub(super) fn made(&self) -> &str {
        &self.made
    }

    /// Whether many rows may end in one value of its.
    pub(super) fn collects(&self) -> bool {
        *self.collects.get_or_init(|| sql::collects(&self.definition))
    }

    /// Whether it may take a row as a whole, which PostgreSQL writes as `c.*`.
    pub(super) fn takes_rows(&self) -> bool {
        self.definition.contains(".*")
    }

    /// The functions that it calls, by the columns that come from them; `None` where that is not known.
    pub(super) fn calls(&self) -> Option<&sql::ColumnCalls> {
        self.calls.get_or_init(|| sql::view_calls(&self.definition).map(Box::new)).as_deref()
    }

    /// The functions of PostgreSQL's own that it calls, and which may read anything.
    pub(super) fn reads_anything(&self) -> &[Text] {
        self.reads_anything.get_or_init(|| called::reading_anything(&self.definition))
    }

    /// `None` where it cannot be followed. Wants as much stack as [`sql::analyze`].
    pub(super) fn followed(&self) -> Option<&sql::ViewColumns> {
        self.followed.get_or_init(|| sql::view_columns(&self.definition)).as_ref()
    }
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    relations: Relations,
    functions: Functions,
    /// Everything classified, of tables.
    everything: Vec<Classified>,
    /// What code puts into columns.
    put: Computed,
    /// There is more of it, perhaps, behind so much code that it is not followed further.
    is_unfinished: bool,
    /// What event triggers read.
    told_on_ddl: BTreeSet<Classified>,
    /// Where code runs that nobody can follow.
    set_off: SetOff,
    /// What triggers send to whoever listens, by the relation that sets them off.
    sent: HashMap<Oid, Vec<Sent>>,
    function_oids: Arc<HashMap<Oid, Text>>,
    published: Vec<Published>,
    /// The server's default search path.
    pub search_path: Vec<Text>,
    login_paths: Vec<LoginPath>,
    members: Arc<HashMap<Text, Texts>>,
}

/// Everything classified, as far as it is kept.
fn everything(relations: &Relations) -> Vec<Classified> {
    let mut everything: BTreeSet<Classified> = BTreeSet::new();
    for classified in relations.iter().flat_map(|relation| relation.classified.values()).flatten() {
        if everything.len() >= EVERYTHING_MAX && everything.last().is_some_and(|last| last <= classified) {
            continue;
        }
        everything.insert(classified.clone());
        if everything.len() > EVERYTHING_MAX {
            everything.pop_last();
        }
    }
    everything.into_iter().collect()
}

impl Snapshot {
    /// Joins the rows, the classification, and what is known of where classified columns went. `before`: as it was until now, by which tables are
    /// known whose names changed.
    pub fn build(
        rows: &Rows,
        classification: &Classification,
        lineage: &Lineage,
        before: Option<&Snapshot>,
    ) -> Snapshot {
        let mut snapshot = Snapshot {
            relations: Relations::default(),
            functions: Functions::default(),
            everything: Vec::new(),
            put: Computed::new(),
            is_unfinished: false,
            told_on_ddl: BTreeSet::new(),
            set_off: SetOff::default(),
            sent: HashMap::new(),
            function_oids: Arc::clone(&rows.function_oids),
            published: rows.published.clone(),
            search_path: rows.search_path.clone(),
            login_paths: rows.login_paths.clone(),
            members: Arc::clone(&rows.members),
        };
        let bodies = Bodies::default();
        snapshot.is_unfinished =
            (0..ROUNDS_MAX).all(|_| snapshot.follow(rows, &bodies, classification, lineage, before));
        if snapshot.is_unfinished {
            tracing::warn!("code reads what code fills, more than {ROUNDS_MAX} one behind the other: nothing is exact");
        }
        snapshot.sent = snapshot.sent_by(&rows.triggers, &bodies);
        snapshot.tell(&rows.unnamed);
        snapshot.set_off = snapshot.find_set_off(rows, &bodies);
        snapshot
    }

    /// One round: what code puts somewhere, views, functions and more code may read there. True where there was more of it.
    fn follow<'a>(
        &mut self,
        rows: &'a Rows,
        bodies: &Bodies<'a>,
        classification: &Classification,
        lineage: &Lineage,
        before: Option<&Snapshot>,
    ) -> bool {
        self.relations = building::relations(rows, classification, lineage, &self.put, before);
        self.everything = everything(&self.relations);
        let find = |name: &sql::RelationName, path: Option<&[Text]>| self.meant(name, path);
        let functions = Functions::build(&rows.functions, &rows.operators, &rows.built_in, bodies, &find);
        self.functions = functions;
        let mut more = false;
        let found = self.copied(rows, bodies, lineage, classification).into_iter().chain(self.computed(rows, bodies));
        for (place, put) in found {
            more |= self.put.entry(place).or_default().takes(put);
        }
        more
    }

    /// Whether code may have filled more than is known.
    pub(super) fn is_unfinished(&self) -> bool {
        self.is_unfinished
    }

    /// What functions read that run where nobody names them.
    fn tell(&mut self, unnamed: &[(Oid, Text, bool)]) {
        for (oid, function, on_reading) in unnamed {
            let Some(shown) = self.functions.shown(function).filter(|shown| !shown.columns.is_empty()) else {
                continue;
            };
            let columns = shown.columns.iter();
            match self.relations.get_mut(*oid) {
                Some(relation) if *on_reading => relation.rare_mut().told_reading.extend(columns.cloned()),
                Some(relation) => relation.rare_mut().told.extend(columns.cloned()),
                None if *oid == 0 => self.told_on_ddl.extend(columns.cloned()),
                None => {}
            }
        }
    }

    /// Where code runs that nobody can follow, and that nobody names.
    pub(super) fn set_off(&self) -> &SetOff {
        &self.set_off
    }

    /// What code reads that is set off by a change of the schema.
    pub(super) fn told_on_ddl(&self) -> &BTreeSet<Classified> {
        &self.told_on_ddl
    }

    /// The relations that a name in a function's body may mean: by the search path, or, where that has none, of any schema.
    fn meant(&self, name: &sql::RelationName, path: Option<&[Text]>) -> Vec<&Relation> {
        if let Some(relation) = name.of_toast().and_then(|oid| self.relation(oid)) {
            return vec![relation];
        }
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
        let known = self.relations.of_name(name);
        known.filter(|known| !matches!(&*known.parts.0, "pg_catalog" | "information_schema")).collect()
    }

    /// What a function of this name shows, where it is the users' own.
    pub fn function(&self, name: &str) -> Option<&Shown> {
        self.functions.shown(name)
    }

    /// What a function of this name shows that may be written as a column of the row that it takes.
    pub(super) fn of_row(&self, name: &Text) -> Option<&Shown> {
        self.functions.of_row(name)
    }

    /// What operators of this name show, where they are the users' own; a cast is named `::` and its type.
    pub fn operator(&self, name: &str) -> impl Iterator<Item = &Shown> {
        self.functions.behind_operator(name)
    }

    /// Whether there is no function or operator of this name, or was none when the catalog was read.
    pub fn is_unheard_of(&self, function: &str) -> bool {
        self.functions.is_unheard_of(function)
    }

    /// What a block of code shows: of every relation that it names what it takes, and what the functions show that it calls.
    pub fn code(&self, code: &sql::Code) -> Shown {
        let mut shown = Shown {
            opaque: code.dynamic,
            assumed: true,
            sets_path: code.sets_path,
            collects: code.collects(),
            changes_schema: code.changes_schema,
            comments: code.comments,
            deletes: code.deletes,
            fills_unnamed: code.fills_unnamed,
            reads_comment: code.relations.iter().any(holds_comments),
            ..Shown::default()
        };
        shown.names_in(code);
        code.functions.iter().for_each(|name| shown.calls(name));
        let mut functions: BTreeSet<&Text> = code.functions.iter().collect();
        for name in &code.relations {
            for relation in self.meant(name, None) {
                shown.names(relation);
                if !code.only_filled.contains(name) {
                    shown.columns.extend(taken(code, name, relation));
                }
                functions.extend(relation.calls());
            }
        }
        let mut called: BTreeSet<Classified> = BTreeSet::new();
        let operators = code.operators.iter().flat_map(|name| self.operator(name));
        let of_rows = code.relations.iter().filter_map(|name| self.of_row(&name.name));
        let named = functions.into_iter().filter_map(|name| self.function(name));
        for inner in named.chain(operators).chain(of_rows) {
            called.extend(inner.columns.iter().cloned());
            shown.takes(inner.clone());
        }
        shown.fills_by(code, called, &|name| self.meant(name, None));
        shown.may_execute(&Arc::new(code.clone()));
        shown
    }

    /// What code fills that executes what it is given.
    pub(super) fn executed(&self, given: &sql::Code, shown: &mut Shown) {
        let operators = given.operators.iter().flat_map(|name| self.operator(name));
        let called = given.functions.iter().filter_map(|name| self.function(name)).chain(operators);
        let called: BTreeSet<Classified> = called.flat_map(|inner| inner.columns.iter().cloned()).collect();
        for code in shown.executes.clone() {
            let whole = code.with(given);
            shown.comments |= whole.comments;
            shown.fills_by(&whole, called.clone(), &|name| self.meant(name, None));
        }
    }

    /// Everything classified in the database, as far as it is kept.
    pub fn everything(&self) -> &[Classified] {
        &self.everything
    }

    /// What its triggers send, where rows of a relation are written.
    pub(super) fn sent_from(&self, schema: &str, name: &str) -> &[Sent] {
        let relation = self.named(schema, name);
        relation.and_then(|relation| self.sent.get(&relation.oid)).map(Vec::as_slice).unwrap_or_default()
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
        self.relations.iter().filter(|relation| !relation.classified.is_empty())
    }

    /// Those that hold rows of their own: no views.
    pub(super) fn tables(&self) -> impl Iterator<Item = &Relation> {
        self.relations.iter().filter(|relation| relation.is_table())
    }

    /// What code puts into columns, by relation and number.
    pub(super) fn put(&self) -> &Computed {
        &self.put
    }

    /// A snapshot of these alone.
    pub(super) fn of_tables(relations: Relations, put: Computed) -> Snapshot {
        Snapshot { relations, put, ..Snapshot::default() }
    }

    /// Nobody is to be counted by a relation's subject column.
    pub(super) fn doubt_subject(&mut self, oid: Oid) {
        if let Some(relation) = self.relations.get_mut(oid) {
            (relation.subject, relation.subject_unique) = (None, false);
        }
    }

    /// By OID.
    pub fn relation(&self, oid: Oid) -> Option<&Relation> {
        self.relations.get(oid)
    }

    /// By name.
    pub fn named(&self, schema: &str, name: &str) -> Option<&Relation> {
        self.relations.named(schema, name)
    }

    /// The schemas that have a relation of this name.
    pub fn schemas_with(&self, name: &str) -> Vec<Text> {
        self.relations.of_name(name).map(|relation| relation.parts.0.clone()).collect()
    }

    /// Columns that name a data subject, views' too: by OID and number.
    pub fn subject_columns(&self) -> HashMap<(Oid, i16), Oid> {
        let of = |relation: &Relation| self.people_table(relation).0.oid;
        let subjects = self.relations_with_subject();
        subjects.filter_map(|relation| Some(((relation.oid, relation.subject?), of(relation)))).collect()
    }

    /// The table whose people a relation's are; and whether that is known: a column that is no key of its own may hold another table's, of which no foreign
    /// key tells.
    pub(super) fn people_table<'s>(&'s self, relation: &'s Relation) -> (&'s Relation, bool) {
        let own = |relation: &'s Relation| {
            let (schema, table) = relation.subject_table();
            self.named(schema, table).unwrap_or(relation)
        };
        let mut table = own(relation);
        for _ in 0..REFERENCES_MAX {
            let Some(next) = table.rare().refers_to.and_then(|oid| self.relation(oid)) else { break };
            table = own(next);
        }
        (table, table.subject_unique)
    }

    /// Relations that have one.
    pub(super) fn relations_with_subject(&self) -> impl Iterator<Item = &Relation> {
        self.relations.iter().filter(|relation| relation.subject.is_some())
    }

    /// The baits that lie in them.
    pub fn baits(&self, classification: &Classification) -> Baits {
        let relations = self.relations_with_subject().filter(|_| classification.has_baits());
        let by_column = relations.filter_map(|relation| {
            let baits: Vec<Bait> = relation.baits(classification).cloned().collect();
            (!baits.is_empty()).then_some(((relation.oid, relation.subject?), baits.into()))
        });
        Baits::new(by_column.collect())
    }

    /// Columns that are classified, of whatever level: by OID and number.
    pub fn classified_columns(&self) -> HashSet<(Oid, i16)> {
        let relations = self.relations.iter();
        relations.flat_map(|relation| relation.classified.keys().map(|number| (relation.oid, number))).collect()
    }

    /// Relations in it.
    pub fn len(&self) -> usize {
        self.relations.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
