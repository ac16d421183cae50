//! YAML as a tree of which every node knows its place, so that all faults of a file are told and not only the first.
//!
//! In: a file's name and text. Out: a [`Node`], and [`Fault`]s with line and column. Refuses: duplicate keys, nesting
//! beyond [`DEPTH_MAX`], more than [`NODES_MAX`] nodes. `yes`, `no`, `on` and `off` are texts, as YAML 1.2 has them.

pub mod pattern;
pub mod spelling;

use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use crate::error::Fault;

/// How deep lists and mappings nest at most. Ours take six levels.
pub const DEPTH_MAX: usize = 32;
/// How many lists, mappings and scalars a file holds at most, those that aliases stand for included.
pub const NODES_MAX: usize = 100_000;
/// The stack that a file is read on, bytes: four times what [`DEPTH_MAX`] levels were measured to take without optimisation.
const STACK_BYTES: usize = 8 << 20;

/// Where in a file: from 1; 0 where it is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// From 1.
    pub line: u32,
    /// In characters, from 1.
    pub column: u32,
}

/// A value and its place.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where it begins.
    pub place: Place,
    /// What it is.
    pub shape: Shape,
}

/// What a node is.
#[derive(Clone, Debug)]
pub enum Shape {
    /// Nothing, `~` or `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number that is not negative.
    Number(u64),
    /// Any other scalar.
    Text(String),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in the order of the file.
    Map(Vec<(Key, Node)>),
}

/// A mapping's key and its place.
#[derive(Clone, Debug)]
pub struct Key {
    /// Where it begins.
    pub place: Place,
    /// As written.
    pub name: String,
}

impl Node {
    /// What it is, in the words of a fault.
    pub fn called(&self) -> &'static str {
        match self.shape {
            Shape::Null => "nothing",
            Shape::Bool(_) => "true or false",
            Shape::Number(_) => "a number",
            Shape::Text(_) => "a text",
            Shape::List(_) => "a list",
            Shape::Map(_) => "a mapping",
        }
    }
}

/// A file being read, and the faults found in it so far.
pub struct Source<'a> {
    /// As the person named it.
    pub file: PathBuf,
    /// Its text.
    pub text: &'a str,
    /// What is wrong with it.
    pub faults: Vec<Fault>,
}

impl<'a> Source<'a> {
    /// A file of that name and text, nothing found yet.
    pub fn new(file: &Path, text: &'a str) -> Source<'a> {
        Source { file: file.to_path_buf(), text, faults: Vec::new() }
    }

    /// Notes a fault.
    pub fn fault(&mut self, place: Place, what: impl Into<String>, mend: impl Into<String>) {
        self.faults.push(Fault::at(&self.file, place.line, place.column, what, mend));
    }

    /// The file's one document; `None`, and a fault, where it is not YAML. An empty file is [`Shape::Null`].
    pub fn parse(&mut self) -> Option<Node> {
        let options = serde_saphyr::options! {
            strict_booleans: true,
            with_snippet: false,
            budget: serde_saphyr::budget! { max_depth: DEPTH_MAX, max_nodes: NODES_MAX },
        };
        // By recursion, with large frames where it is not optimised: on a stack that holds them, whoever's thread it is.
        let read = || serde_saphyr::from_str_with_options::<Spanned<Raw>>(self.text, options);
        match stacker::grow(STACK_BYTES, read) {
            Ok(raw) => Some(node(raw)),
            Err(error) => {
                let place = error.location().map_or(Place::default(), place_of);
                let (what, mend) = in_words(&error.without_snippet().to_string());
                self.fault(place, format!("not well-formed YAML: {what}"), mend);
                None
            }
        }
    }

    /// The place of the character number `offset` (from 0) of a text that begins at `place`, whatever its style:
    /// plain, quoted, folded or literal.
    pub fn place_inside(&self, place: Place, decoded: &str, offset: usize) -> Place {
        inside(self.text, place, decoded, offset).unwrap_or(place)
    }
}

/// What the library says, without the place, and how to mend it; where it speaks to programmers, in our words.
fn in_words(error: &str) -> (String, &'static str) {
    let what = error.split(" at line ").next().unwrap_or("it cannot be read").replace('\n', " ");
    if what.contains("Depth {") || what.contains("recursion limit") {
        return (format!("nested deeper than {DEPTH_MAX} levels"), "close what is open");
    }
    if what.contains("Nodes {") {
        return (format!("more than {NODES_MAX} nodes"), "split the file, or use fewer aliases");
    }
    if what.contains("budget") {
        return ("more aliases, or longer texts, than a file may hold".to_owned(), "split the file");
    }
    if what.contains("multiple YAML documents") {
        return ("more than one document".to_owned(), "make a file of each, without `---`");
    }
    (what, "mend the line, or quote what YAML takes for its own")
}

fn inside(text: &str, start: Place, decoded: &str, offset: usize) -> Option<Place> {
    let mut at = start;
    let mut rest = text.lines().nth(usize::try_from(start.line).ok()?.checked_sub(1)?)?;
    let mut following = text.lines().skip(usize::try_from(start.line).ok()?);
    let skipped = usize::try_from(start.column).ok()?.checked_sub(1)?;
    rest = rest.get(rest.char_indices().nth(skipped)?.0..)?;
    if rest.starts_with(['|', '>']) {
        rest = following.next()?;
        at = Place { line: at.line + 1, column: 1 };
    } else if rest.starts_with(['"', '\'']) {
        rest = rest.get(1..)?;
        at.column += 1;
    }
    // The decoded text and the source hold the same characters but for spaces, line ends and escapes.
    for wanted in decoded.chars().take(offset.saturating_add(1)).enumerate() {
        let (index, wanted) = wanted;
        if wanted.is_whitespace() {
            if index == offset {
                return Some(at);
            }
            continue;
        }
        loop {
            match rest.chars().next() {
                Some(found) => {
                    let here = at;
                    rest = rest.get(found.len_utf8()..)?;
                    at.column += 1;
                    if found == wanted {
                        if index == offset {
                            return Some(here);
                        }
                        break;
                    }
                }
                None => {
                    rest = following.next()?;
                    at = Place { line: at.line + 1, column: 1 };
                }
            }
        }
    }
    Some(at)
}

/// The fields of a mapping, each asked for once; what nobody asked for is a fault.
pub struct Fields<'n> {
    place: Place,
    left: Vec<&'n (Key, Node)>,
    asked: Vec<&'static str>,
}

impl<'n> Fields<'n> {
    /// The fields of `node`; `None`, and a fault, where it is not a mapping.
    pub fn of(node: &'n Node, what: &str, source: &mut Source<'_>) -> Option<Fields<'n>> {
        match &node.shape {
            Shape::Map(pairs) => Some(Fields { place: node.place, left: pairs.iter().collect(), asked: Vec::new() }),
            _ => {
                source.fault(node.place, format!("{what} is {}", node.called()), "write `key: value` pairs");
                None
            }
        }
    }

    /// Where the mapping begins.
    pub fn place(&self) -> Place {
        self.place
    }

    /// The field of that name, if it is there.
    pub fn take(&mut self, name: &'static str) -> Option<&'n Node> {
        self.asked.push(name);
        let index = self.left.iter().position(|(key, _)| key.name == name)?;
        Some(&self.left.remove(index).1)
    }

    /// The field of that name; a fault where it is missing.
    pub fn need(&mut self, name: &'static str, source: &mut Source<'_>) -> Option<&'n Node> {
        let found = self.take(name);
        if found.is_none() {
            source.fault(self.place, format!("`{name}` is missing"), format!("add a line `{name}: …`"));
        }
        found
    }

    /// A text that is not empty; numbers and booleans count as they are written.
    pub fn text(&mut self, name: &'static str, source: &mut Source<'_>) -> Option<(String, Place)> {
        let node = self.take(name)?;
        let text = match &node.shape {
            Shape::Text(text) => text.trim_end().to_owned(),
            Shape::Number(number) => number.to_string(),
            Shape::Bool(flag) => flag.to_string(),
            _ => {
                source.fault(node.place, format!("`{name}` is {}", node.called()), "write a text");
                return None;
            }
        };
        if text.is_empty() {
            source.fault(node.place, format!("`{name}` is empty"), "write a text, or leave the key out");
            return None;
        }
        Some((text, node.place))
    }

    /// As [`Fields::text`]; a fault where it is missing.
    pub fn need_text(&mut self, name: &'static str, source: &mut Source<'_>) -> Option<(String, Place)> {
        match self.left.iter().any(|(key, _)| key.name == name) {
            true => self.text(name, source),
            false => self.need(name, source).and(None),
        }
    }

    /// A whole number; a fault where it is missing.
    pub fn need_number(&mut self, name: &'static str, source: &mut Source<'_>) -> Option<u64> {
        let node = self.need(name, source)?;
        match node.shape {
            Shape::Number(number) => Some(number),
            _ => {
                source.fault(node.place, format!("`{name}` is {}", node.called()), "write a whole number, 0 or more");
                None
            }
        }
    }

    /// A whole number, and its place, where it is there.
    pub fn number(&mut self, name: &'static str, source: &mut Source<'_>) -> Option<(u64, Place)> {
        let node = self.take(name)?;
        match node.shape {
            Shape::Number(number) => Some((number, node.place)),
            _ => {
                source.fault(node.place, format!("`{name}` is {}", node.called()), "write a whole number, 0 or more");
                None
            }
        }
    }

    /// A list of texts; empty where it is missing.
    pub fn texts(&mut self, name: &'static str, source: &mut Source<'_>) -> Vec<(String, Place)> {
        self.take(name).map_or_else(Vec::new, |node| texts(node, name, source))
    }

    /// Faults for everything that nobody asked for.
    pub fn finish(self, source: &mut Source<'_>) {
        for (key, _) in self.left {
            let mend = match spelling::nearest(&key.name, self.asked.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known here: {}", self.asked.join(", ")),
            };
            source.fault(key.place, format!("unknown key `{}`", key.name), mend);
        }
    }
}

/// The texts of a list.
pub fn texts(node: &Node, name: &str, source: &mut Source<'_>) -> Vec<(String, Place)> {
    let Shape::List(items) = &node.shape else {
        source.fault(node.place, format!("`{name}` is {}", node.called()), "write a list: [a, b]");
        return Vec::new();
    };
    let mut texts = Vec::with_capacity(items.len());
    for item in items {
        match &item.shape {
            Shape::Text(text) => texts.push((text.clone(), item.place)),
            Shape::Number(number) => texts.push((number.to_string(), item.place)),
            _ => source.fault(item.place, format!("an entry of `{name}` is {}", item.called()), "write a text"),
        }
    }
    texts
}

enum Raw {
    Null,
    Bool(bool),
    Number(u64),
    Text(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

fn place_of(location: serde_saphyr::Location) -> Place {
    Place {
        line: u32::try_from(location.line()).unwrap_or(u32::MAX),
        column: u32::try_from(location.column()).unwrap_or(u32::MAX),
    }
}

fn node(raw: Spanned<Raw>) -> Node {
    let shape = match raw.value {
        Raw::Null => Shape::Null,
        Raw::Bool(flag) => Shape::Bool(flag),
        Raw::Number(number) => Shape::Number(number),
        Raw::Text(text) => Shape::Text(text),
        Raw::List(items) => Shape::List(items.into_iter().map(node).collect()),
        Raw::Map(pairs) => Shape::Map(
            pairs
                .into_iter()
                .map(|(key, value)| (Key { place: place_of(key.referenced), name: key.value }, node(value)))
                .collect(),
        ),
    };
    Node { place: place_of(raw.referenced), shape }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Raw, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }
    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }
    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }
    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
    fn visit_bool<E>(self, flag: bool) -> Result<Raw, E> {
        Ok(Raw::Bool(flag))
    }
    fn visit_u64<E>(self, number: u64) -> Result<Raw, E> {
        Ok(Raw::Number(number))
    }
    fn visit_i64<E>(self, number: i64) -> Result<Raw, E> {
        Ok(u64::try_from(number).map_or_else(|_| Raw::Text(number.to_string()), Raw::Number))
    }
    fn visit_f64<E>(self, number: f64) -> Result<Raw, E> {
        Ok(Raw::Text(number.to_string()))
    }
    fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Text(text.to_owned()))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Raw::List(list))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<Raw, A::Error> {
        let mut map = Vec::new();
        while let Some(pair) = pairs.next_entry()? {
            map.push(pair);
        }
        Ok(Raw::Map(map))
    }
}

#[cfg(test)]
mod tests;
