//! Named lists of texts, for `in_list(column, 'name')` and for a permit's relations.
//!
//! In: `lists.yaml`, a mapping from a list's name to its entries. Out: [`Lists`]. An entry may hold `*`, which stands
//! for any run of characters; letters are compared as they are.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use crate::yaml::pattern::matches;
use crate::yaml::{Shape, Source, texts};

/// Texts to look something up in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List {
    exact: HashSet<String, ahash::RandomState>,
    patterns: Vec<String>,
}

impl List {
    /// A list of these entries.
    pub fn new<'a>(entries: impl IntoIterator<Item = &'a str>) -> List {
        let mut list = List::default();
        for entry in entries {
            match entry.contains('*') {
                true => list.patterns.push(entry.to_owned()),
                false => drop(list.exact.insert(entry.to_owned())),
            }
        }
        list
    }

    /// The entries without a star, and those with one.
    pub fn entries(&self) -> (std::iter::Peekable<impl Iterator<Item = &String>>, &[String]) {
        (self.exact.iter().peekable(), &self.patterns)
    }

    /// Whether `text` is an entry, or matches one.
    pub fn contains(&self, text: &str) -> bool {
        self.exact.contains(text) || self.patterns.iter().any(|pattern| matches(pattern, text))
    }
}

/// Lists by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lists(BTreeMap<String, Arc<List>>);

impl Lists {
    /// The list of that name.
    pub fn get(&self, name: &str) -> Option<&Arc<List>> {
        self.0.get(name)
    }

    /// The names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Reads `lists.yaml`; its faults are in `source`.
    pub fn read(source: &mut Source<'_>) -> Lists {
        let mut lists = Lists::default();
        let Some(root) = source.parse() else { return lists };
        match &root.shape {
            Shape::Null => {}
            Shape::Map(pairs) => {
                for (key, node) in pairs {
                    let entries = texts(node, &key.name, source);
                    let list = List::new(entries.iter().map(|(text, _)| text.as_str()));
                    lists.0.insert(key.name.clone(), Arc::new(list));
                }
            }
            _ => source.fault(root.place, format!("the lists are {}", root.called()), "write `name: [entry, entry]`"),
        }
        lists
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_matches_as_it_is_or_by_its_star() {
        let list = List::new(["psql", "DBeaver*", "*admin*4"]);
        for hit in ["psql", "DBeaver", "DBeaver 24.1 - Main", "pgadmin 4", "adminadmin4"] {
            assert!(list.contains(hit), "{hit}");
        }
        for miss in ["psq", "psql2", "dbeaver", "admin 5", ""] {
            assert!(!list.contains(miss), "{miss}");
        }
    }
}
