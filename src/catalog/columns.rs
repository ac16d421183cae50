//! A relation's columns, by name and in order; and names that are kept once, however many relations have them.
//!
//! In: names and attribute numbers. Out: either for the other. PURE. Tables that are made alike share one list: partitions, most of all.

use std::collections::HashSet;
use std::sync::Arc;

use super::snapshot::Classified;
use crate::record::Text;

/// See the module. Sorted by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Columns(Arc<[(Text, i16)]>);

impl Columns {
    /// The number of the column of this name.
    pub fn get(&self, name: &str) -> Option<&i16> {
        let at = self.0.binary_search_by(|(its, _)| (**its).cmp(name)).ok()?;
        self.0.get(at).map(|(_, number)| number)
    }

    /// Whether there is one of this name.
    pub fn contains_key(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Their names and numbers, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&Text, &i16)> {
        self.0.iter().map(|(name, number)| (name, number))
    }

    /// Their names.
    pub fn keys(&self) -> impl Iterator<Item = &Text> {
        self.0.iter().map(|(name, _)| name)
    }

    /// Their numbers and names, by number.
    pub(super) fn in_order(&self) -> Vec<(i16, &Text)> {
        let mut columns: Vec<(i16, &Text)> = self.0.iter().map(|(name, number)| (*number, name)).collect();
        columns.sort_unstable();
        columns
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One more.
    pub fn insert(&mut self, name: Text, number: i16) {
        let others = self.0.iter().filter(|(its, _)| *its != name).cloned();
        *self = others.chain(std::iter::once((name.clone(), number))).collect();
    }
}

impl FromIterator<(Text, i16)> for Columns {
    fn from_iter<I: IntoIterator<Item = (Text, i16)>>(columns: I) -> Columns {
        let mut columns: Vec<(Text, i16)> = columns.into_iter().collect();
        columns.sort_unstable();
        Columns(columns.into())
    }
}

/// What columns show, by their numbers. Most relations have none or a few that show anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ByNumber(Vec<(i16, Vec<Classified>)>);

impl ByNumber {
    /// What the column of this number shows.
    pub fn get(&self, number: &i16) -> Option<&Vec<Classified>> {
        self.0.iter().find(|(its, _)| its == number).map(|(_, shown)| shown)
    }

    /// Whether the column of this number shows anything.
    pub fn contains_key(&self, number: &i16) -> bool {
        self.get(number).is_some()
    }

    /// What the column of this number shows, to add to.
    pub fn of(&mut self, number: i16) -> &mut Vec<Classified> {
        let at = self.0.iter().position(|(its, _)| *its == number).unwrap_or_else(|| {
            self.0.reserve_exact(1);
            self.0.push((number, Vec::new()));
            self.0.len().saturating_sub(1)
        });
        &mut self.0[at].1
    }

    /// Adds to what the column of this number shows. True where it was not there. Most show one: no more room than it takes.
    pub(super) fn add(&mut self, number: i16, classified: Classified) -> bool {
        let shown = self.of(number);
        let is_new = !shown.contains(&classified);
        if is_new {
            shown.reserve_exact(1);
            shown.push(classified);
        }
        is_new
    }

    /// Each column's.
    pub fn iter(&self) -> impl Iterator<Item = (i16, &Vec<Classified>)> {
        self.0.iter().map(|(number, shown)| (*number, shown))
    }

    /// Their numbers.
    pub fn keys(&self) -> impl Iterator<Item = i16> {
        self.0.iter().map(|(number, _)| *number)
    }

    /// What any of them shows.
    pub fn values(&self) -> impl Iterator<Item = &Vec<Classified>> {
        self.0.iter().map(|(_, shown)| shown)
    }

    /// Whether nothing is classified.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Names and lists that were met before.
#[derive(Debug, Default)]
pub(super) struct Kinds {
    names: HashSet<Text, ahash::RandomState>,
    lists: HashSet<Columns, ahash::RandomState>,
}

impl Kinds {
    /// A name, kept once.
    pub(super) fn name(&mut self, name: &str) -> Text {
        if let Some(known) = self.names.get(name) {
            return known.clone();
        }
        let name = Text::from(name);
        self.names.insert(name.clone());
        name
    }

    /// A list, kept once.
    pub(super) fn list(&mut self, list: Columns) -> Columns {
        if let Some(known) = self.lists.get(&list) {
            return known.clone();
        }
        self.lists.insert(list.clone());
        list
    }
}

#[test]
fn columns_are_found_by_name_and_kept_once() {
    let mut kinds = Kinds::default();
    let mut list = |names: &[&str]| {
        let columns: Columns = (1..).zip(names).map(|(number, name)| (kinds.name(name), number)).collect();
        kinds.list(columns)
    };
    let (mut one, two) = (list(&["id", "email", "city"]), list(&["id", "email", "city"]));
    assert!(Arc::ptr_eq(&one.0, &two.0));
    assert_eq!((one.get("email"), one.get("mail"), one.is_empty()), (Some(&2), None, false));
    one.insert("mail".into(), 2);
    one.insert("id".into(), 7);
    assert_eq!((one.get("mail"), one.get("id"), two.get("id")), (Some(&2), Some(&7), Some(&1)));
    assert_eq!(one.keys().map(|name| &**name).collect::<Vec<_>>(), ["city", "email", "id", "mail"]);
}
