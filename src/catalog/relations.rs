//! One database's relations: what each one's columns show and whose its rows are, found by OID and by name.
//!
//! In: relations, as `building` made them. Out: one of them, or all. PURE. There may be hundreds of thousands, so what few of them have lies apart,
//! and there are no places that are free.

use std::collections::BTreeSet;

use super::baited::Baited;
use super::called::Call;
use super::classification::{Classification, Level};
use super::columns::{ByNumber, Columns};
use crate::record::Text;
use crate::session::Bait;

/// A relation's OID.
pub type Oid = u32;

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
    /// Its OID.
    pub oid: Oid,
    /// `schema.table`.
    pub name: Text,
    /// Its schema and its own name.
    pub parts: (Text, Text),
    /// Columns by name.
    pub columns: Columns,
    /// What a column shows, by attribute number; absent: nothing classified.
    pub classified: ByNumber,
    /// Whether anything in it is known from what it was filled with, and not from the classification.
    pub filled: bool,
    /// Whether another server holds it.
    pub is_foreign: bool,
    /// Whether no two rows have the same subject.
    pub subject_unique: bool,
    /// The column that says whose a row is.
    pub subject: Option<i16>,
    /// Rows in it, and in what it is made from; `None` where the server has not counted them.
    pub size: Option<u64>,
    /// What its columns take as text, bytes, by number; nothing where the server has no statistics, or nothing is classified.
    pub(super) widths: Box<[(i16, u16)]>,
    rare: Option<Box<Rare>>,
}

/// What few relations have.
#[derive(Clone, Debug)]
pub struct Rare {
    /// Base relations behind a view; of any other none are told.
    pub(super) bases: Vec<Text>,
    /// Columns that the classification names and that are not there: one that was renamed may have its name again when code reads it.
    pub(super) absent: Vec<(Text, Classified)>,
    /// What of it is classified for no other reason than what it was filled with, when the catalog was read.
    pub(super) fills: Vec<(i16, Classified)>,
    /// Columns of which more is among what they show than is there, perhaps.
    pub(super) guessed: Vec<i16>,
    /// What code reads that runs where it is written, and nobody names.
    pub(super) told: BTreeSet<Classified>,
    /// And where it is read.
    pub(super) told_reading: BTreeSet<Classified>,
    /// What its rules have a statement touch that writes it.
    pub(super) rules: Vec<Rule>,
    /// Functions that run where a view is read.
    pub(super) calls: Vec<Call>,
    /// Many rows' values may stand in one of its own.
    pub(super) is_collected: bool,
    /// Of how many people one row may be: of a view that pairs them, more than one.
    pub(super) people_in_row: u16,
    /// Of a view: other tables whose rows in it are of the same people as its subject column's, since they are joined by theirs.
    pub(super) joined: Vec<(Text, Text)>,
    /// The schema and name of the table whose subject column its own is, where it is another's: of what it is made from, or inherits.
    pub(super) subject_of: Option<(Text, Text)>,
    /// The table whose subject column its own has values of, by a foreign key.
    pub(super) refers_to: Option<Oid>,
}

static NOTHING_RARE: Rare = Rare {
    bases: Vec::new(),
    absent: Vec::new(),
    fills: Vec::new(),
    guessed: Vec::new(),
    told: BTreeSet::new(),
    told_reading: BTreeSet::new(),
    rules: Vec::new(),
    calls: Vec::new(),
    is_collected: false,
    people_in_row: 1,
    joined: Vec::new(),
    subject_of: None,
    refers_to: None,
};

impl Relation {
    /// One of which nothing but its name is known.
    pub(super) fn bare(oid: Oid, schema: Text, name: Text) -> Relation {
        Relation {
            oid,
            name: format!("{schema}.{name}").into(),
            parts: (schema, name),
            columns: Columns::default(),
            classified: ByNumber::default(),
            filled: false,
            is_foreign: false,
            subject_unique: false,
            subject: None,
            size: None,
            widths: Box::default(),
            rare: None,
        }
    }

    /// What few relations have.
    pub(super) fn rare(&self) -> &Rare {
        self.rare.as_deref().unwrap_or(&NOTHING_RARE)
    }

    /// The same, to change.
    pub(super) fn rare_mut(&mut self) -> &mut Rare {
        self.rare.get_or_insert_with(|| Box::new(NOTHING_RARE.clone()))
    }

    /// The functions that run where it is read, or ran when it was filled.
    pub(super) fn calls(&self) -> impl Iterator<Item = &Text> {
        self.rare().calls.iter().map(|call| &call.function)
    }

    /// Base relations behind a view; itself for any other.
    pub fn bases(&self) -> &[Text] {
        match &self.rare().bases[..] {
            [] => std::slice::from_ref(&self.name),
            bases => bases,
        }
    }

    /// Whether it holds rows of its own: it is no view.
    pub(super) fn is_table(&self) -> bool {
        matches!(self.bases(), [base] if *base == self.name)
    }

    /// The table whose subject column its own is.
    pub(super) fn subject_table(&self) -> &(Text, Text) {
        self.rare().subject_of.as_ref().unwrap_or(&self.parts)
    }

    /// The baits that may be among its rows.
    pub(super) fn baits<'c>(&self, classification: &'c Classification) -> impl Iterator<Item = &'c Bait> {
        let (own, of) = (self.parts.clone(), self.subject_table().clone());
        let has_subject = self.subject.is_some();
        let lies = move |baited: &Baited| baited.is_in(&own.0, &own.1) || baited.is_in(&of.0, &of.1);
        classification.baits_in(move |baited| has_subject && lies(baited))
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
        self.columns.in_order().into_iter().map(|(_, name)| name).collect()
    }

    /// What is classified in a column, of one that is not there, too; in all of them, where none is named or nothing is known of the name.
    pub fn shows(&self, column: Option<&str>) -> Vec<Classified> {
        let all = || self.classified.values().flatten().cloned().collect();
        let Some(column) = column else { return all() };
        match (self.columns.get(column), self.absent(column)) {
            (Some(number), _) => self.classified.get(number).cloned().unwrap_or_default(),
            (None, Some(absent)) => vec![absent.clone()],
            (None, None) => all(),
        }
    }

    fn absent(&self, column: &str) -> Option<&Classified> {
        self.rare().absent.iter().find(|(name, _)| **name == *column).map(|(_, absent)| absent)
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
pub struct Relations {
    /// By OID, rising.
    all: Vec<Relation>,
    /// Their places, by name, and of one name by schema.
    by_name: Vec<u32>,
}

impl Relations {
    /// Of one OID the first.
    pub(super) fn of(mut all: Vec<Relation>) -> Relations {
        all.sort_by_key(|relation| relation.oid);
        all.dedup_by_key(|relation| relation.oid);
        all.shrink_to_fit();
        let by_name = places_by_name(&all, |relation| (&relation.parts.1, &relation.parts.0));
        Relations { all, by_name }
    }

    /// By OID.
    pub(super) fn get(&self, oid: Oid) -> Option<&Relation> {
        self.all.get(place_of(&self.all, oid, |relation| relation.oid)?)
    }

    /// By OID, to change.
    pub(super) fn get_mut(&mut self, oid: Oid) -> Option<&mut Relation> {
        let place = place_of(&self.all, oid, |relation| relation.oid)?;
        self.all.get_mut(place)
    }

    /// By name.
    pub(super) fn named(&self, schema: &str, name: &str) -> Option<&Relation> {
        self.of_name(name).find(|relation| *relation.parts.0 == *schema)
    }

    /// The relations of this name, of whatever schema.
    pub(super) fn of_name(&self, name: &str) -> impl Iterator<Item = &Relation> {
        let at = |place: &u32| self.all.get(*place as usize);
        let its = move |place: &u32| at(place).map_or("", |relation| &relation.parts.1);
        let from = self.by_name.partition_point(|place| its(place) < name);
        let all = self.by_name.iter().skip(from).filter_map(at);
        all.take_while(move |relation| *relation.parts.1 == *name)
    }

    /// All of them, by OID.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Relation> {
        self.all.iter()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }
}

/// Where the one of this OID is among those that rise by it.
pub(super) fn place_of<T>(all: &[T], oid: Oid, its: impl Fn(&T) -> Oid) -> Option<usize> {
    all.binary_search_by_key(&oid, its).ok()
}

/// The places of all, by name and schema.
pub(super) fn places_by_name<'t, T>(all: &'t [T], name: impl Fn(&'t T) -> (&'t Text, &'t Text)) -> Vec<u32> {
    let mut places: Vec<u32> = (0..).zip(all).map(|(place, _)| place).collect();
    places.sort_by_key(|place| all.get(*place as usize).map(&name));
    places
}

#[test]
fn relations_are_found_by_oid_and_by_name() {
    let bare = |(oid, schema, name): (Oid, &str, &str)| Relation::bare(oid, schema.into(), name.into());
    let all =
        [(9, "shop", "orders"), (3, "b", "customers"), (7, "a", "customers"), (5, "shop", "cu"), (7, "c", "twice")];
    let relations = Relations::of(all.map(bare).to_vec());
    let oid = |found: Option<&Relation>| found.map(|relation| relation.oid);
    assert_eq!((relations.len(), oid(relations.get(5)), oid(relations.get(6))), (4, Some(5), None));
    assert_eq!(oid(relations.named("b", "customers")), Some(3));
    assert_eq!((oid(relations.named("c", "customers")), oid(relations.named("c", "twice"))), (None, None));
    let of_name = |name: &str| relations.of_name(name).map(|relation| relation.oid).collect::<Vec<_>>();
    assert_eq!((of_name("customers"), of_name("cust"), of_name("zz")), (vec![7, 3], vec![], vec![]));
}
