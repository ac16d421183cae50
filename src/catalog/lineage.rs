//! Where classified columns went on to: relations filled from them, in one database. What one session alone has is `own`'s.
//!
//! In: what statements that succeeded made and filled. Out: for a relation's column, what it may hold. PURE. Holds names only,
//! never a value. What is filled stays marked until the relation is made anew or emptied outside a transaction: a rollback
//! leaves a mark too many, never one too few.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::classification::Classification;
use super::computed::Computed;
use super::doubted::Written;
use super::relations::{Classified, Relation, Relations};
use super::snapshot::{Rows, Snapshot};
use super::streams::Sent;
use crate::record::Text;

/// Marks kept for one database, or one session. Beyond, the oldest stay and a new one is not remembered.
pub(super) const MARKS_MAX: usize = 10_000;

/// Channels that are told apart, of one database. What is sent on one more counts for all.
const CHANNELS_MAX: usize = 10_000;

/// A classified column's name and its level's.
type Mark = (Text, Text);

/// What one relation may hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Holds {
    columns: BTreeMap<Text, BTreeSet<Mark>>,
    /// In any of its columns.
    anywhere: BTreeSet<Mark>,
    /// Code that could not be followed may have filled it with anything.
    pub(super) is_doubted: bool,
    /// Many rows' values may stand in one of its own.
    pub(super) is_collected: bool,
}

impl Holds {
    /// Its columns that hold anything.
    pub(super) fn columns(&self) -> impl Iterator<Item = &Text> {
        self.columns.keys()
    }

    /// What a column may hold, and whether that is certain of the column; of all of them, where none is named.
    pub(super) fn shows(&self, column: Option<&str>, classification: &Classification) -> (Vec<Classified>, bool) {
        let named = match column {
            Some(column) => self.columns.get(column).into_iter().flatten().collect::<Vec<_>>(),
            None => self.columns.values().flatten().collect(),
        };
        let marks = named.into_iter().chain(&self.anywhere);
        (marks.filter_map(|mark| classified(mark, classification)).collect(), self.anywhere.is_empty())
    }

    /// Whether it holds something of which the column is not known.
    pub(super) fn is_vague(&self) -> bool {
        !self.anywhere.is_empty()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.columns.is_empty() && self.anywhere.is_empty() && !self.is_doubted
    }

    fn len(&self) -> usize {
        self.columns.values().map(BTreeSet::len).sum::<usize>().saturating_add(self.anywhere.len())
    }

    /// In any of its columns.
    pub(super) fn add_anywhere<'c>(
        &mut self,
        from: impl IntoIterator<Item = &'c Classified>,
        classification: &Classification,
    ) {
        self.anywhere.extend(from.into_iter().filter_map(|found| mark(found, classification)));
    }

    pub(super) fn add(&mut self, more: Holds) {
        for (column, marks) in more.columns {
            self.columns.entry(column).or_default().extend(marks);
        }
        self.anywhere.extend(more.anywhere);
        self.is_doubted |= more.is_doubted;
        self.is_collected |= more.is_collected;
    }
}

fn classified((name, level): &Mark, classification: &Classification) -> Option<Classified> {
    Some(Classified { name: name.clone(), level: classification.level_named(level)? })
}

fn mark(classified: &Classified, classification: &Classification) -> Option<Mark> {
    Some((classified.name.clone(), classification.name(classified.level)?.clone()))
}

/// What a statement did to one relation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Learned {
    pub(super) schema: Text,
    pub(super) table: Text,
    pub(super) fate: crate::sql::Fate,
    /// In the session's own schema, and so seen by nobody else.
    pub(super) temporary: bool,
    pub(super) until_commit: bool,
    pub(super) holds: Holds,
    /// What a view is over.
    pub(super) over: Vec<(Text, Text)>,
}

impl Learned {
    /// One that was there, and is filled.
    pub(super) fn filled(schema: Text, table: Text) -> Learned {
        Learned {
            schema,
            table,
            fate: crate::sql::Fate::Filled,
            temporary: false,
            until_commit: false,
            holds: Holds::default(),
            over: Vec::new(),
        }
    }

    /// One that may hold anything from now on.
    pub(super) fn doubted(schema: Text, table: Text) -> Learned {
        let holds = Holds { is_doubted: true, ..Holds::default() };
        Learned { holds, ..Learned::filled(schema, table) }
    }

    /// What columns are filled with, by name, and what may be in any.
    pub(super) fn fill(&mut self, column: Option<&str>, from: &[Classified], classification: &Classification) {
        let marks: Vec<Mark> = from.iter().filter_map(|classified| mark(classified, classification)).collect();
        match column {
            _ if marks.is_empty() => {}
            Some(column) => self.holds.columns.entry(column.into()).or_default().extend(marks),
            None => self.holds.anywhere.extend(marks),
        }
    }

    /// What it is filled with collects many rows.
    pub(super) fn collects(&mut self, collects: bool) {
        self.holds.is_collected |= collects && !self.holds.is_empty();
    }

    /// Its columns that are filled with something classified, in full; none, where only the session sees them.
    pub(super) fn derived(&self) -> Vec<Text> {
        if self.temporary {
            return Vec::new();
        }
        let any = self.holds.is_vague().then_some("*");
        let names = self.holds.columns().map(|name| &**name).chain(any);
        names.map(|name| format!("{}.{}.{name}", self.schema, self.table).into()).collect()
    }

    /// Whether anything follows from it for somebody.
    pub(super) fn says_something(&self) -> bool {
        self.temporary || self.fate != crate::sql::Fate::Filled || !self.holds.is_empty() || !self.over.is_empty()
    }
}

/// The relations of one database.
#[derive(Clone, Debug, Default)]
pub struct Lineage {
    relations: HashMap<(Text, Text), Holds>,
    /// Views that the catalog may not have yet, and what each is over.
    over: HashMap<(Text, Text), Vec<(Text, Text)>>,
    /// Views that were made in transactions of which some may still be open: no reading of the catalog has them.
    unsettled: HashSet<(Text, Text)>,
    large_objects: Holds,
    /// What was sent on a channel; nothing of it is kept over a restart: whoever listened is gone.
    channels: HashMap<Text, Holds>,
    /// What was sent on channels whose names were put together.
    any_channel: Option<Holds>,
    /// Classified tables as they were when the catalog was read last, or before a restart.
    pub(super) identities: Vec<Kept>,
    /// Code that could not be followed ran where the server does not count what is written: any relation may hold anything.
    pub(super) is_doubted: bool,
}

/// One mark, as it is kept on disk.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Kept {
    database: Text,
    /// Empty for large objects.
    schema: Text,
    table: Text,
    column: Option<Text>,
    from: Text,
    level: Text,
    /// Of a table that was there, and not of what one was filled with: its OID, and the column's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    oid: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    number: Option<i16>,
    /// People are counted by this column: it need not be classified.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    subject: bool,
    /// Schema and name of the table whose people these are, where it is another one: what it was called, for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject_of: Option<(Text, Text)>,
    /// Of a doubt that is open: what the server had counted before, by relation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    counted: Vec<(u32, i64)>,
}

/// That it may hold anything.
const DOUBTED: &str = "(doubted)";
/// The table's name where that is said of every relation, with no schema.
const EVERY: &str = "*";
/// That many rows' values may stand in one of its own.
const COLLECTED: &str = "(collected)";

impl Kept {
    /// What is said of a relation as a whole, in place of a level.
    fn bare(database: &Text, schema: &Text, table: &Text, said: &str) -> Kept {
        Kept {
            database: database.clone(),
            schema: schema.clone(),
            table: table.clone(),
            column: None,
            from: Text::default(),
            level: said.into(),
            oid: None,
            number: None,
            subject: false,
            subject_of: None,
            counted: Vec::new(),
        }
    }

    /// A doubt that is open, and what had been counted before.
    pub(super) fn open_doubt(database: &Text, before: &Written) -> Kept {
        Kept { counted: before.iter().collect(), ..Kept::bare(database, &Text::default(), &EVERY.into(), DOUBTED) }
    }

    /// What had been counted, where it is such a doubt.
    pub(super) fn take_counted(&mut self) -> Option<Written> {
        let is_one = self.schema.is_empty() && &*self.table == EVERY && !self.counted.is_empty();
        is_one.then(|| std::mem::take(&mut self.counted).into_iter().collect())
    }
}

/// Columns of classified tables that are written down with their numbers, of one database. Of one more, a name that changes while
/// Mitsuke is not running is not followed.
const IDENTITIES_MAX: usize = 10_000;

/// Classified tables, by OID and number: what they are called may change while nobody looks.
pub(super) fn identities(database: &Text, snapshot: &Snapshot, classification: &Classification) -> Vec<Kept> {
    let mut kept = Vec::new();
    let mut tables: Vec<&Relation> = snapshot.tables().filter(|relation| !relation.classified.is_empty()).collect();
    tables.sort_unstable_by(|one, other| one.parts.cmp(&other.parts));
    for relation in tables {
        if kept.len() >= IDENTITIES_MAX {
            break;
        }
        let one = |number: i16, (from, level): Mark, subject: bool| Kept {
            database: database.clone(),
            schema: relation.parts.0.clone(),
            table: relation.parts.1.clone(),
            column: relation.column_named(number).cloned(),
            from,
            level,
            oid: Some(relation.oid),
            number: Some(number),
            subject,
            subject_of: relation.rare().subject_of.clone().filter(|_| subject),
            counted: Vec::new(),
        };
        for (number, classified) in relation.classified.iter() {
            let marks = classified.iter().filter_map(|classified| mark(classified, classification));
            kept.extend(marks.map(|mark| one(number, mark, false)));
        }
        kept.extend(relation.subject.map(|number| one(number, (Text::default(), Text::default()), true)));
    }
    kept.sort_unstable();
    kept.truncate(IDENTITIES_MAX);
    kept.shrink_to_fit();
    kept
}

/// The tables as they were when they were written down, and what other tables' columns had come to them, by whatever way. One whose name means
/// another table now is left out: another server may stand where that one was, and its OIDs say nothing.
pub(super) fn remembered(kept: &[Kept], now: &Rows, classification: &Classification) -> Snapshot {
    let names = || now.relations.iter().map(|listed| (listed.oid, (&listed.schema, &listed.name)));
    let by_oid: HashMap<u32, (&Text, &Text)> = names().collect();
    let there: HashSet<(&Text, &Text)> = names().map(|(_, name)| name).collect();
    let mut tables: HashMap<u32, Relation> = HashMap::new();
    let mut put = Computed::new();
    for kept in kept {
        let (Some(oid), Some(number), Some(column)) = (kept.oid, kept.number, &kept.column) else { continue };
        let name = (&kept.schema, &kept.table);
        if by_oid.get(&oid) != Some(&name) && there.contains(&name) {
            continue;
        }
        let bare = || Relation::bare(oid, kept.schema.clone(), kept.table.clone());
        let relation = tables.entry(oid).or_insert_with(bare);
        relation.columns.insert(column.clone(), number);
        if kept.subject {
            relation.subject = Some(number);
            if kept.subject_of.is_some() {
                relation.rare_mut().subject_of = kept.subject_of.clone();
            }
        } else if let Some(classified) = classified(&(kept.from.clone(), kept.level.clone()), classification) {
            if *classified.name != format!("{}.{column}", relation.name) {
                put.entry((oid, number)).or_default().columns.insert(classified.clone());
            }
            relation.classified.of(number).push(classified);
        }
    }
    Snapshot::of_tables(Relations::of(tables.into_values().collect()), put)
}

impl Lineage {
    pub(super) fn of(&self, schema: &str, table: &str) -> Option<&Holds> {
        if self.relations.is_empty() {
            return None;
        }
        self.relations.get(&(schema.into(), table.into()))
    }

    /// The relations of which anything is remembered.
    pub(super) fn names(&self) -> impl Iterator<Item = &(Text, Text)> {
        self.relations.keys().chain(self.over.keys())
    }

    /// Every sequence that was set from a classified column, as far as its name was known.
    pub(super) fn of_sequences(&self) -> impl Iterator<Item = &Holds> {
        self.relations.values().filter(|holds| holds.columns.contains_key("last_value") || holds.is_vague())
    }

    /// What a view is over that was made a moment ago.
    pub(super) fn below(&self, schema: &str, table: &str) -> &[(Text, Text)] {
        self.over.get(&(schema.into(), table.into())).map(Vec::as_slice).unwrap_or_default()
    }

    /// Views that were made, or made anew, since the catalog was read.
    pub(super) fn new_views(&self) -> impl Iterator<Item = &(Text, Text)> {
        self.over.keys()
    }

    /// A transaction that changed the schema is over.
    pub(super) fn settle_views(&mut self) {
        self.unsettled.clear();
    }

    /// The catalog was read: it has every view that was made before, and knows better what each one shows. True where something was to be forgotten.
    pub(super) fn forget_new_views(&mut self, rows: &Rows) -> bool {
        self.over.clear();
        let views = rows.relations.iter().filter(|listed| listed.kind == 'v' && !self.relations.is_empty());
        let named: Vec<(Text, Text)> = views.map(|view| (view.schema.clone(), view.name.clone())).collect();
        let mut changed = false;
        for view in named.iter().filter(|view| !self.unsettled.contains(view)) {
            let Some(holds) = self.relations.get_mut(view) else { continue };
            let doubted = Holds { is_doubted: holds.is_doubted, ..Holds::default() };
            changed |= *holds != doubted;
            *holds = doubted;
            if holds.is_empty() {
                self.relations.remove(view);
            }
        }
        changed
    }

    pub(super) fn of_large_objects(&self) -> &Holds {
        &self.large_objects
    }

    /// Takes what a statement did. True where something changed. `alone`: nothing can undo it.
    pub(super) fn learn(&mut self, learned: &Learned, alone: bool) -> bool {
        use crate::sql::Fate;
        let key = (learned.schema.clone(), learned.table.clone());
        if !learned.over.is_empty() && self.over.len() < MARKS_MAX {
            self.over.insert(key.clone(), learned.over.clone());
            if !alone {
                self.unsettled.insert(key.clone());
            }
        }
        let gone = match learned.fate {
            Fate::Made => self.relations.remove(&key).is_some(),
            Fate::Emptied if alone => self.relations.remove(&key).is_some(),
            // A view shows nothing of what it was over before.
            Fate::Replaced if alone && !learned.over.is_empty() => self.relations.remove(&key).is_some(),
            _ => false,
        };
        if learned.holds.is_empty() || learned.fate == Fate::Emptied {
            return gone;
        }
        let marks: usize = self.relations.values().map(Holds::len).sum();
        if marks.saturating_add(learned.holds.len()) > MARKS_MAX {
            tracing::warn!(relation = %learned.table, "what it was filled from is not remembered: {MARKS_MAX} are");
            return gone;
        }
        let here = self.relations.entry(key).or_default();
        let before = here.clone();
        here.add(learned.holds.clone());
        gone || *here != before
    }

    /// Takes relations that code may have filled with anything.
    pub(super) fn doubt(&mut self, relations: &BTreeSet<(Text, Text)>) {
        for name in relations {
            if self.relations.len() >= MARKS_MAX && !self.relations.contains_key(name) {
                tracing::warn!(relation = %name.1, "that it may hold anything is not remembered: {MARKS_MAX} are");
                break;
            }
            self.relations.entry(name.clone()).or_default().is_doubted = true;
        }
    }

    /// The same of comments, sequences and large objects, which nobody counts.
    pub(super) fn doubt_what_is_no_relation(&mut self) {
        self.large_objects.is_doubted = true;
        let others = ["pg_description", "pg_sequences"].map(|name| ("pg_catalog".into(), name.into()));
        self.doubt(&others.into());
    }

    /// Whether there was code once of which it is not known what it did: it may have given anything any name, or any default.
    pub(super) fn had_doubt(&self) -> bool {
        self.large_objects.is_doubted
    }

    pub(super) fn fill_large_objects(&mut self, from: &[Classified], classification: &Classification) -> bool {
        let before = self.large_objects.len();
        self.large_objects.add_anywhere(from, classification);
        self.large_objects.len() != before
    }

    /// Takes what was sent to whoever listens on a channel, or on any.
    pub(super) fn send(&mut self, sent: &Sent, classification: &Classification) {
        let holds = match &sent.channel {
            None => self.any_channel.get_or_insert_default(),
            Some(channel) if self.channels.len() < CHANNELS_MAX || self.channels.contains_key(channel) => {
                self.channels.entry(channel.clone()).or_default()
            }
            Some(_) => self.any_channel.get_or_insert_default(),
        };
        holds.add_anywhere(&sent.columns, classification);
    }

    /// What was sent on a channel by a session of this sidecar; nothing where none is known to have sent anything.
    pub(super) fn of_channel(&self, channel: &str) -> impl Iterator<Item = &Holds> {
        self.channels.get(channel).into_iter().chain(&self.any_channel)
    }

    pub(super) fn kept(&self, database: &Text) -> Vec<Kept> {
        let mut all = Vec::new();
        let large = (Text::from(""), Text::from(""));
        for ((schema, table), holds) in self.relations.iter().chain(std::iter::once((&large, &self.large_objects))) {
            let named =
                holds.columns.iter().flat_map(|(column, marks)| marks.iter().map(move |mark| (Some(column), mark)));
            for (column, (from, level)) in named.chain(holds.anywhere.iter().map(|mark| (None, mark))) {
                all.push(Kept {
                    database: database.clone(),
                    schema: schema.clone(),
                    table: table.clone(),
                    column: column.cloned(),
                    from: from.clone(),
                    level: level.clone(),
                    oid: None,
                    number: None,
                    subject: false,
                    subject_of: None,
                    counted: Vec::new(),
                });
            }
            let bare = |said: &str| Kept::bare(database, schema, table, said);
            all.extend(holds.is_doubted.then(|| bare(DOUBTED)));
            all.extend(holds.is_collected.then(|| bare(COLLECTED)));
        }
        all.extend(self.is_doubted.then(|| Kept::bare(database, &large.0, &EVERY.into(), DOUBTED)));
        all.extend(self.identities.iter().cloned());
        all
    }

    pub(super) fn restore(&mut self, kept: Kept) {
        if kept.oid.is_some() {
            self.identities.push(kept);
            return;
        }
        if kept.schema.is_empty() && &*kept.table == EVERY {
            self.is_doubted = true;
            return;
        }
        let holds = match (&*kept.schema, &*kept.table) {
            ("", "") => &mut self.large_objects,
            _ => self.relations.entry((kept.schema, kept.table)).or_default(),
        };
        match kept.column {
            None if kept.from.is_empty() && *kept.level == *DOUBTED => holds.is_doubted = true,
            None if kept.from.is_empty() => holds.is_collected = true,
            Some(column) => drop(holds.columns.entry(column).or_default().insert((kept.from, kept.level))),
            None => drop(holds.anywhere.insert((kept.from, kept.level))),
        }
    }

    /// The database of a kept mark.
    pub(super) fn database(kept: &Kept) -> &Text {
        &kept.database
    }
}
