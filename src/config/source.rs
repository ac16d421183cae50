//! The written form: TOML and the environment as one tree whose every value knows its place.
//!
//! In: the file's text, and the variables `MITSUKE_SECTION__KEY`. Out: a `Tree`, and the faults of syntax. Knows no
//! key by name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::error::Fault;

/// What every variable of ours begins with.
const PREFIX: &str = "MITSUKE_";

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    file: PathBuf,
    line: u32,
    column: u32,
}

impl Place {
    /// A fault at this place.
    pub fn fault(&self, what: impl Into<String>, mend: impl Into<String>) -> Fault {
        Fault::at(&self.file, self.line, self.column, what, mend)
    }
}

/// A value as written.
#[derive(Clone, Debug, PartialEq)]
pub enum Written {
    /// A text.
    Text(String),
    /// A whole number.
    Number(i64),
    /// `true` or `false`.
    Bool(bool),
    /// A list.
    List(Vec<Node>),
    /// Keys and their values.
    Table(BTreeMap<String, Node>),
    /// A float or a date: nothing here takes one.
    Other(&'static str),
}

/// A value and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where.
    pub place: Place,
    /// What.
    pub written: Written,
}

/// Reads `text` as TOML. Every fault of syntax is pushed; what could be read is returned all the same.
pub fn parse(text: &str, file: &Path, faults: &mut Vec<Fault>) -> Node {
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let (line, column) = error.span().map_or((0, 0), |span| line_and_column(text, span.start));
        let message = error.message().replace('\n', ", ");
        faults.push(Fault::at(file, line, column, message, "see deploy/mitsuke.toml for every key with an example"));
    }
    Node {
        place: Place { file: file.to_path_buf(), line: 0, column: 0 },
        written: Written::Table(table_of(table.get_ref(), text, file)),
    }
}

/// An empty tree, for a sidecar without a configuration file.
pub fn empty() -> Node {
    Node {
        place: Place { file: PathBuf::from("built-in defaults"), line: 0, column: 0 },
        written: Written::Table(BTreeMap::new()),
    }
}

/// Lays the variables `MITSUKE_SECTION__KEY[__KEY]` over the tree. A value is read as TOML where it is TOML
/// (`5`, `true`, `["a", "b"]`), else as text.
pub fn overlay(root: &mut Node, variables: impl IntoIterator<Item = (String, String)>, faults: &mut Vec<Fault>) {
    for (name, value) in variables {
        let Some(path) = name.strip_prefix(PREFIX).filter(|rest| rest.contains("__")) else { continue };
        let place = Place { file: PathBuf::from(format!("environment variable {name}")), line: 0, column: 0 };
        let written = written_of_variable(&value, &place);
        let keys: Vec<String> = path.split("__").map(str::to_ascii_lowercase).collect();
        if !insert(root, &keys, &Node { place: place.clone(), written }) {
            faults.push(place.fault("names a key inside a value that is not a table", "check the part before `__`"));
        }
    }
}

fn insert(node: &mut Node, keys: &[String], value: &Node) -> bool {
    let Some((key, rest)) = keys.split_first() else { return false };
    let Written::Table(table) = &mut node.written else { return false };
    if rest.is_empty() {
        table.insert(key.clone(), value.clone());
        return true;
    }
    let child = table
        .entry(key.clone())
        .or_insert_with(|| Node { place: value.place.clone(), written: Written::Table(BTreeMap::new()) });
    insert(child, rest, value)
}

fn written_of_variable(value: &str, place: &Place) -> Written {
    match DeValue::parse(value) {
        Ok(parsed) if !matches!(parsed.get_ref(), DeValue::Float(_) | DeValue::Datetime(_)) => {
            written_of(parsed.get_ref(), value, &place.file)
        }
        _ => Written::Text(value.to_owned()),
    }
}

fn table_of(table: &DeTable<'_>, text: &str, file: &Path) -> BTreeMap<String, Node> {
    table
        .iter()
        .map(|(key, value)| {
            let mut node = node_of(value, text, file);
            (node.place.line, node.place.column) = line_and_column(text, key.span().start);
            (key.get_ref().to_string(), node)
        })
        .collect()
}

fn node_of(value: &Spanned<DeValue<'_>>, text: &str, file: &Path) -> Node {
    let (line, column) = line_and_column(text, value.span().start);
    Node { place: Place { file: file.to_path_buf(), line, column }, written: written_of(value.get_ref(), text, file) }
}

fn written_of(value: &DeValue<'_>, text: &str, file: &Path) -> Written {
    match value {
        DeValue::String(string) => Written::Text(string.to_string()),
        DeValue::Integer(integer) => match i64::from_str_radix(&integer.as_str().replace('_', ""), integer.radix()) {
            Ok(number) => Written::Number(number),
            Err(_) => Written::Other("a number out of range"),
        },
        DeValue::Boolean(bool) => Written::Bool(*bool),
        DeValue::Array(list) => Written::List(list.iter().map(|item| node_of(item, text, file)).collect()),
        DeValue::Table(table) => Written::Table(table_of(table, text, file)),
        DeValue::Float(_) => Written::Other("a number with a fraction"),
        DeValue::Datetime(_) => Written::Other("a date"),
    }
}

/// Line and column, both from 1, the column in characters.
fn line_and_column(text: &str, offset: usize) -> (u32, u32) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
}
