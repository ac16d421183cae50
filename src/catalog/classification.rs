//! The classification: which columns are personal, by which column people are counted, and who among them is a bait.
//!
//! In: `classification.yaml`. Out: a [`Classification`] that answers for any schema, table and column; or every fault with
//! its place. PURE but for [`Classification::load`].

use std::collections::HashMap;
use std::path::Path;

use super::baited::{self, Baited};
use crate::error::{Fault, Faults};
use crate::record::Text;
use crate::session::Bait;
use crate::yaml::pattern::matches;
use crate::yaml::{Fields, Place, Shape, Source, spelling};

/// The built-in classification: names that are personal anywhere.
const BUILT_IN: &str = include_str!("../../policies/classification.yaml");
/// The level from which on a column counts for `personal_rows`.
const PERSONAL: &str = "personal";
/// The longest file that is read, bytes.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// A level: its place among the rising levels, from 0.
pub type Level = usize;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Classification {
    /// Rising.
    levels: Vec<Text>,
    personal: Level,
    /// The most specific first.
    entries: Vec<Entry>,
    baits: Vec<Baited>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    schema: String,
    table: String,
    subject: Option<String>,
    /// Patterns of column names, the most specific first.
    columns: Vec<(String, Level)>,
    place: Place,
}

impl Classification {
    /// Reads a file.
    ///
    /// # Errors
    /// Every fault found in it.
    pub fn load(path: &Path) -> Result<Classification, Faults> {
        let fault = |what: String| Faults(vec![Fault::of_file(path, what, "")]);
        let bytes = std::fs::metadata(path).map_err(|error| fault(format!("cannot be read: {error}")))?.len();
        if bytes > FILE_BYTES_MAX {
            return Err(fault(format!("is longer than {FILE_BYTES_MAX} bytes")));
        }
        let text = std::fs::read_to_string(path).map_err(|error| fault(format!("cannot be read: {error}")))?;
        Classification::parse(&text, path)
    }

    /// Reads a text; `file` is for the faults.
    ///
    /// # Errors
    /// Every fault found in it.
    pub fn parse(text: &str, file: &Path) -> Result<Classification, Faults> {
        let mut source = Source::new(file, text);
        let found = read(&mut source);
        match (found, source.faults.is_empty()) {
            (Some(classification), true) => Ok(classification),
            _ => Err(Faults(source.faults)),
        }
    }

    /// The one in the binary: names of columns that are personal wherever they are.
    pub fn built_in() -> Classification {
        // A test holds that it is faultless; nothing classified would be the visible consequence.
        Classification::parse(BUILT_IN, Path::new("policies/classification.yaml")).unwrap_or_else(|_| Classification {
            levels: vec![PERSONAL.into()],
            personal: 0,
            entries: Vec::new(),
            baits: Vec::new(),
        })
    }

    /// A column's level.
    pub fn level(&self, schema: &str, table: &str, column: &str) -> Option<Level> {
        let column = column.to_lowercase();
        self.of(schema, table).find_map(|entry| entry.level(&column))
    }

    /// The same for many tables, whose columns often have the same names.
    pub(super) fn by_name(&self) -> ByName<'_> {
        ByName { entries: &self.entries, known: HashMap::default() }
    }

    /// Whether a column of this name is classified in any table that an entry may mean.
    pub(super) fn may_have(&self, column: &str) -> bool {
        let column = column.to_lowercase();
        self.entries.iter().flat_map(|entry| &entry.columns).any(|(pattern, _)| matches(pattern, &column))
    }

    /// The column that says whose a row is.
    pub fn subject<'a>(&'a self, schema: &str, table: &str) -> Option<&'a str> {
        self.of(schema, table).find_map(|entry| entry.subject.as_deref())
    }

    /// Whether any entry says whose a row is.
    pub(super) fn has_subjects(&self) -> bool {
        self.entries.iter().any(|entry| entry.subject.is_some())
    }

    /// Whether anybody is a bait.
    pub(super) fn has_baits(&self) -> bool {
        !self.baits.is_empty()
    }

    /// The baits of these tables.
    pub(super) fn baits_in(&self, has: impl Fn(&Baited) -> bool) -> impl Iterator<Item = &Bait> {
        self.baits.iter().filter(move |baited| has(baited)).map(|baited| &baited.bait)
    }

    /// All of them, with their places.
    pub(super) fn baited(&self) -> &[Baited] {
        &self.baits
    }

    /// The level of that name.
    pub fn level_named(&self, name: &str) -> Option<Level> {
        self.levels.iter().position(|level| **level == *name)
    }

    /// The names of the levels, rising.
    pub fn levels(&self) -> impl Iterator<Item = &str> {
        self.levels.iter().map(|level| &**level)
    }

    /// The highest level that a comment names: `… @personal`.
    pub fn level_said(&self, comment: &str) -> Option<Level> {
        let named = comment.split_whitespace().filter_map(|word| word.strip_prefix('@'));
        named.filter_map(|word| self.level_named(word.trim_end_matches(['.', ',']))).max()
    }

    /// The level that a security label names: as a word of its own, or behind `@`.
    pub fn level_labelled(&self, label: &str) -> Option<Level> {
        let words = label.split(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-')));
        words.filter_map(|word| self.level_named(word)).max()
    }

    /// A level's name.
    pub fn name(&self, level: Level) -> Option<&Text> {
        self.levels.get(level)
    }

    /// Whether a level counts for `personal_rows`.
    pub fn is_personal(&self, level: Level) -> bool {
        level >= self.personal
    }

    /// The one schema in which an entry names this table outright.
    pub fn only_schema_of(&self, table: &str) -> Option<&str> {
        let mut named = self.entries.iter().filter(|entry| entry.table == table && !entry.schema.contains('*'));
        let first = named.next()?;
        named.all(|other| other.schema == first.schema).then_some(&*first.schema)
    }

    /// What is named outright: schema, table, its columns, and the line of the entry.
    pub(super) fn named(&self) -> impl Iterator<Item = (&str, &str, Vec<&str>, u32)> {
        let outright = self.entries.iter().filter(|entry| !entry.schema.contains('*') && !entry.table.contains('*'));
        outright.map(|entry| {
            let columns = entry.columns.iter().map(|(name, _)| name.as_str()).chain(entry.subject.as_deref());
            (&*entry.schema, &*entry.table, columns.filter(|name| !name.contains('*')).collect(), entry.place.line)
        })
    }

    fn of<'a, 'n>(&'a self, schema: &'n str, table: &'n str) -> impl Iterator<Item = &'a Entry> + use<'a, 'n> {
        self.entries.iter().filter(move |entry| entry.is_of(schema, table))
    }
}

impl Entry {
    fn is_of(&self, schema: &str, table: &str) -> bool {
        matches(&self.schema, schema) && matches(&self.table, table)
    }

    /// The level that it gives a column, whose name is in lower case.
    fn level(&self, column: &str) -> Option<Level> {
        self.columns.iter().find(|(pattern, _)| matches(pattern, column)).map(|(_, level)| *level)
    }
}

/// What each entry says of a column's name, asked once: fifty thousand tables have the same few hundred names among their columns.
pub(super) struct ByName<'c> {
    entries: &'c [Entry],
    /// By the entry's place and the column's name.
    known: HashMap<(usize, Text), Option<Level>, ahash::RandomState>,
}

impl ByName<'_> {
    /// The levels of a table's columns, one behind the other.
    pub(super) fn levels<'n>(
        &mut self,
        schema: &str,
        table: &str,
        columns: impl Iterator<Item = &'n Text>,
    ) -> Vec<Option<Level>> {
        let entries = self.entries.iter().enumerate().filter(|(_, entry)| entry.is_of(schema, table));
        let entries: Vec<(usize, &Entry)> = entries.collect();
        let known = &mut self.known;
        let level = |column: &Text| {
            entries.iter().find_map(|(number, entry)| {
                *known.entry((*number, column.clone())).or_insert_with(|| entry.level(&column.to_lowercase()))
            })
        };
        columns.map(level).collect()
    }
}

/// Exact before patterns, then more letters before fewer.
fn specificity(pattern: &str) -> (bool, usize) {
    (!pattern.contains('*'), pattern.chars().filter(|c| *c != '*').count())
}

fn read(source: &mut Source<'_>) -> Option<Classification> {
    let root = source.parse()?;
    let mut fields = Fields::of(&root, "the classification", source)?;
    let levels = fields.texts("levels", source);
    let personal = levels.iter().position(|(name, _)| name == PERSONAL);
    if personal.is_none() {
        let mend = "write `levels: [internal, personal, sensitive]`, rising";
        source.fault(fields.place(), "no level is called `personal`, from which on people are counted", mend);
    }
    let levels: Vec<Text> = levels.into_iter().map(|(name, _)| name.into()).collect();
    let mut entries = Vec::new();
    if let Some(tables) = fields.take("tables") {
        match &tables.shape {
            Shape::Map(pairs) => {
                for (key, node) in pairs {
                    let (schema, table) = key.name.split_once('.').unwrap_or(("*", &key.name));
                    let Some(mut fields) = Fields::of(node, &format!("the entry `{}`", key.name), source) else {
                        continue;
                    };
                    let subject = fields.text("subject", source).map(|(name, _)| name);
                    let mut columns = columns(&mut fields, &levels, source);
                    columns.sort_by_key(|(pattern, _)| std::cmp::Reverse(specificity(pattern)));
                    fields.finish(source);
                    let (schema, table) = (schema.to_owned(), table.to_owned());
                    entries.push(Entry { schema, table, subject, columns, place: key.place });
                }
            }
            Shape::Null => {}
            _ => source.fault(tables.place, format!("`tables` is {}", tables.called()), "write `schema.table: { … }`"),
        }
    }
    let baits = baited::read(&mut fields, source);
    fields.finish(source);
    entries.sort_by_key(|entry| std::cmp::Reverse((specificity(&entry.table), specificity(&entry.schema))));
    let classification = Classification { levels, personal: personal?, entries, baits };
    baited::check(&classification, source);
    Some(classification)
}

fn columns(fields: &mut Fields<'_>, levels: &[Text], source: &mut Source<'_>) -> Vec<(String, Level)> {
    let Some(node) = fields.take("columns") else { return Vec::new() };
    let Shape::Map(pairs) = &node.shape else {
        source.fault(node.place, format!("`columns` is {}", node.called()), "write `{ column: level }`");
        return Vec::new();
    };
    let mut columns = Vec::new();
    for (key, node) in pairs {
        let name = match &node.shape {
            Shape::Text(name) => name.as_str(),
            _ => "",
        };
        match levels.iter().position(|level| **level == *name) {
            Some(level) => columns.push((key.name.to_lowercase(), level)),
            None => {
                let near = spelling::did_you_mean(name, levels.iter().map(|level| &**level));
                let mend = if near.is_empty() { format!("write one of {}", levels.join(", ")) } else { near };
                source.fault(node.place, format!("the level of `{}` is not one of `levels`", key.name), mend);
            }
        }
    }
    columns
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Classification, Faults> {
        Classification::parse(text, Path::new("c.yaml"))
    }

    #[test]
    fn the_most_specific_entry_wins() {
        let classification = parse(
            "levels: [internal, personal, sensitive]\ntables:\n  \"*.*\": { columns: { \"*email*\": personal } }\n  \
             shop.customers: { subject: id, columns: { email: sensitive } }\n  newsletter: { columns: { email: internal } }\n",
        )
        .expect("faultless");
        let level = |schema, table, column| {
            classification.level(schema, table, column).and_then(|level| classification.name(level)).map(|name| &**name)
        };
        assert_eq!(level("shop", "customers", "email"), Some("sensitive"));
        assert_eq!(level("shop", "customers", "Email_Old"), Some("personal"));
        assert_eq!(level("any", "newsletter", "email"), Some("internal"));
        assert_eq!(level("shop", "orders", "note"), None);
        assert_eq!(classification.subject("shop", "customers"), Some("id"));
        assert_eq!(classification.only_schema_of("customers"), Some("shop"));
    }

    #[test]
    fn every_fault_is_told_with_its_place() {
        let faults = parse(
            "levels: [internal, personal]\ntables:\n  a.b: { columns: { x: persnal }, subjct: id }\n  c.d: 5\nmore: 1\n",
        )
        .expect_err("faulty");
        let told: Vec<String> = faults.0.iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), 4, "{told:#?}");
        assert_eq!(told[0], "c.yaml:3:24: the level of `x` is not one of `levels`; did you mean `personal`?");
        assert!(told[1].starts_with("c.yaml:3:35: unknown key `subjct`"), "{told:#?}");
    }

    #[test]
    fn the_built_in_one_is_faultless_and_knows_what_is_personal() {
        let classification = parse(BUILT_IN).expect("faultless");
        assert_eq!(classification, Classification::built_in());
        for column in ["email", "contact_email", "phone_number", "tel", "my_number", "date_of_birth", "last_name"] {
            let level = classification.level("public", "t", column).unwrap_or_else(|| panic!("{column}"));
            assert!(classification.is_personal(level), "{column}");
        }
        for column in ["id", "total", "hotel", "created_at", "filename", "name", "teller_id"] {
            assert_eq!(classification.level("public", "t", column), None, "{column}");
        }
    }
}
