//! A section being read: keys are taken one by one, and what nobody took is a fault.
//!
//! In: a [`Node`] that should be a table. Out: typed values; faults with their place for wrong types, wrong words and
//! unknown keys. A faulty value gives `None`, so that reading goes on and every fault is found.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::source::{Node, Place, Written};
use crate::error::Fault;
use crate::yaml::spelling;

#[cfg(test)]
thread_local! {
    /// Every key that a reading on this thread asked for, `section.key`, with the words it may be: what the reference must
    /// not leave out.
    pub static ASKED: std::cell::RefCell<BTreeMap<String, Vec<String>>> = const { std::cell::RefCell::new(BTreeMap::new()) };
}

/// One table of the tree, half read.
pub struct Section<'f> {
    name: String,
    place: Place,
    rest: BTreeMap<String, Node>,
    known: Vec<&'static str>,
    faults: &'f mut Vec<Fault>,
}

impl<'f> Section<'f> {
    /// The table `node`; anything else is a fault and reads as an empty one.
    pub fn new(name: &str, node: Node, faults: &'f mut Vec<Fault>) -> Section<'f> {
        let Node { place, written } = node;
        let rest = match written {
            Written::Table(rest) => rest,
            other => {
                let what = format!("`{name}` is {}, but a section belongs here", describe(&other));
                faults.push(place.fault(what, format!("write `[{name}]` and its keys on lines of their own")));
                BTreeMap::new()
            }
        };
        Section { name: name.to_owned(), place, rest, known: Vec::new(), faults }
    }

    fn take(&mut self, key: &'static str) -> Option<Node> {
        #[cfg(test)]
        ASKED.with_borrow_mut(|asked| {
            asked.entry(self.path(key)).or_default();
        });
        self.known.push(key);
        self.rest.remove(key)
    }

    /// Whether a key is written here, and nobody took it yet.
    pub fn has(&self, key: &str) -> bool {
        self.rest.contains_key(key)
    }

    /// Names a key in messages.
    fn path(&self, key: &str) -> String {
        match self.name.is_empty() {
            true => key.to_owned(),
            false => format!("{}.{key}", self.name),
        }
    }

    /// Records a fault.
    pub fn fault(&mut self, place: &Place, what: impl Into<String>, mend: impl Into<String>) {
        let fault = place.fault(what, mend);
        self.faults.push(fault);
    }

    /// A fault of the section as a whole.
    pub fn fault_here(&mut self, what: impl Into<String>, mend: impl Into<String>) {
        let place = self.place.clone();
        self.fault(&place, what, mend);
    }

    fn wrong(&mut self, node: &Node, key: &str, wanted: &str) {
        let what = format!("`{}` is {}, but {wanted} belongs here", self.path(key), describe(&node.written));
        self.fault(&node.place, what, "");
    }

    /// The sub-table `key`, read by `read`.
    pub fn section<T>(&mut self, key: &'static str, read: impl FnOnce(&mut Section<'_>) -> T) -> Option<T> {
        let node = self.take(key)?;
        let mut section = Section::new(&self.path(key), node, self.faults);
        let value = read(&mut section);
        section.finish();
        Some(value)
    }

    /// The array of tables `[[key]]`, each read by `read`.
    pub fn sections<T>(&mut self, key: &'static str, read: impl Fn(&mut Section<'_>) -> Option<T>) -> Vec<T> {
        let Some(node) = self.take(key) else { return Vec::new() };
        let Written::List(items) = node.written else {
            self.wrong(&node, key, &format!("`[[{key}]]`, once for each,"));
            return Vec::new();
        };
        let mut values = Vec::new();
        for item in items {
            let mut section = Section::new(key, item, self.faults);
            values.extend(read(&mut section));
            section.finish();
        }
        values
    }

    /// A text, and its place.
    pub fn text(&mut self, key: &'static str) -> Option<(String, Place)> {
        let node = self.take(key)?;
        match node.written {
            Written::Text(text) => Some((text, node.place)),
            _ => {
                self.wrong(&node, key, "a text in quotes");
                None
            }
        }
    }

    /// A path.
    pub fn file(&mut self, key: &'static str) -> Option<PathBuf> {
        self.text(key).map(|(text, _)| PathBuf::from(text))
    }

    /// A text that `T` can be made from; `wanted` says what would fit.
    pub fn parsed<T: FromStr>(&mut self, key: &'static str, wanted: &str) -> Option<T> {
        let (text, place) = self.text(key)?;
        match text.parse() {
            Ok(value) => Some(value),
            Err(_) => {
                let what = format!("`{}` is \"{text}\", which is not {wanted}", self.path(key));
                self.fault(&place, what, "");
                None
            }
        }
    }

    /// A text, or a list of texts, that a `T` can each be made from.
    pub fn parsed_list<T: FromStr>(&mut self, key: &'static str, wanted: &str) -> Option<Vec<T>> {
        let mut values = Vec::new();
        let mut is_whole = true;
        for (text, place) in self.texts(key)? {
            match text.parse() {
                Ok(value) => values.push(value),
                Err(_) => {
                    is_whole = false;
                    let what = format!("`{}` has \"{text}\", which is not {wanted}", self.path(key));
                    self.fault(&place, what, "");
                }
            }
        }
        is_whole.then_some(values)
    }

    /// One of a closed list of words.
    pub fn word<T: Copy>(&mut self, key: &'static str, words: &[(&str, T)]) -> Option<T> {
        #[cfg(test)]
        ASKED.with_borrow_mut(|asked| {
            asked.insert(self.path(key), words.iter().map(|(word, _)| (*word).to_owned()).collect())
        });
        let (text, place) = self.text(key)?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let list: Vec<String> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
            let what = format!("`{}` is \"{text}\"", self.path(key));
            self.fault(&place, what, format!("write one of {}", list.join(", ")));
        }
        found
    }

    /// A word that the contract knows and this version does not serve: a fault that says so.
    pub fn not_yet(&mut self, key: &'static str) {
        self.known.push(key);
        if let Some(node) = self.rest.remove(key) {
            let what = format!("`{}` is not there yet in version {}", self.path(key), env!("CARGO_PKG_VERSION"));
            self.fault(&node.place, what, "remove the key; CHANGELOG.md says what works");
        }
    }

    /// A duration: `"250ms"`, `"10s"`, `"5m"`, `"1h 30m"`, or a whole number of seconds. Never zero.
    pub fn duration(&mut self, key: &'static str) -> Option<Duration> {
        let node = self.take(key)?;
        let duration = match &node.written {
            Written::Number(seconds) => u64::try_from(*seconds).ok().map(Duration::from_secs),
            Written::Text(text) => {
                text.parse::<jiff::SignedDuration>().ok().and_then(|span| Duration::try_from(span).ok())
            }
            _ => None,
        };
        let duration = duration.filter(|duration| !duration.is_zero());
        if duration.is_none() {
            self.wrong(&node, key, "a time such as \"10s\", \"5m\" or \"1h\"");
        }
        duration
    }

    /// `true` or `false`.
    pub fn flag(&mut self, key: &'static str) -> Option<bool> {
        let node = self.take(key)?;
        match node.written {
            Written::Bool(flag) => Some(flag),
            _ => {
                self.wrong(&node, key, "true or false");
                None
            }
        }
    }

    /// A whole number from `min` to `max`.
    pub fn number(&mut self, key: &'static str, min: u32, max: u32) -> Option<u32> {
        let node = self.take(key)?;
        let number = match node.written {
            Written::Number(number) => u32::try_from(number).ok().filter(|number| (min..=max).contains(number)),
            _ => None,
        };
        if number.is_none() {
            self.wrong(&node, key, &format!("a whole number from {min} to {max}"));
        }
        number
    }

    /// A text, or a list of texts, each with its place.
    pub fn texts(&mut self, key: &'static str) -> Option<Vec<(String, Place)>> {
        let node = self.take(key)?;
        let items = match node.written {
            Written::Text(_) => vec![node],
            Written::List(items) => items,
            _ => {
                self.wrong(&node, key, "a text or a list of texts");
                return None;
            }
        };
        let mut texts = Vec::new();
        for item in items {
            match item.written {
                Written::Text(text) => texts.push((text, item.place)),
                _ => self.wrong(&item, key, "a text"),
            }
        }
        Some(texts)
    }

    /// Passes over the keys that nobody took: what is right hangs on one that is missing or wrong, which is the fault.
    pub fn leave_rest(&mut self) {
        self.rest.clear();
    }

    /// Whatever is left over is unknown: a fault each, with the nearest known key.
    pub fn finish(self) {
        for (key, node) in &self.rest {
            let what = format!("unknown key `{}`", self.path(key));
            let mend = match spelling::nearest(key, self.known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known here: {}", self.known.join(", ")),
            };
            self.faults.push(node.place.fault(what, mend));
        }
    }
}

fn describe(written: &Written) -> &'static str {
    match written {
        Written::Text(_) => "a text",
        Written::Number(_) => "a number",
        Written::Bool(_) => "true or false",
        Written::List(_) => "a list",
        Written::Table(_) => "a section",
        Written::Other(what) => what,
    }
}
