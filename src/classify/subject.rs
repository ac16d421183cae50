//! Whose a row is: by primary keys, foreign keys, and names of columns where no key is declared.
//!
//! In: the tables, and which of them are of people. Out: for a table, the column by which people are counted, why, and what a
//! person should look at. A table of people is counted by its key; another one by its reference to a table of people.

use std::collections::{HashMap, HashSet};

use super::Table;
use crate::detect::words;

/// What a reference's name begins with where it does not say whose a row is, but who did something to it.
const BY_WHOM: [&str; 14] = [
    "created", "updated", "deleted", "approved", "handled", "assigned", "modified", "reviewed", "inserted", "changed",
    "operator", "staff", "clerk", "manager",
];

/// See the module.
pub(super) struct Subjects<'a> {
    tables: &'a [Table],
    people: &'a HashSet<usize>,
    by_name: HashMap<(&'a str, &'a str), usize>,
}

/// A column, and why; and notes.
type Answer = (Option<(String, String)>, Vec<String>);

struct Candidate<'a> {
    column: &'a str,
    leads_to: usize,
    declared: bool,
}

impl<'a> Subjects<'a> {
    pub(super) fn new(tables: &'a [Table], people: &'a HashSet<usize>) -> Subjects<'a> {
        let name = |table: &'a Table| (table.schema.as_str(), table.name.as_str());
        let by_name = tables.iter().enumerate().map(|(number, table)| (name(table), number)).collect();
        Subjects { tables, people, by_name }
    }

    /// Whose a row of this table is.
    pub(super) fn of(&self, number: usize) -> Answer {
        let Some(table) = self.tables.get(number) else { return (None, Vec::new()) };
        if self.people.contains(&number) {
            return own_key(table);
        }
        let candidates = self.candidates(number, table);
        let Some(best) = candidates.iter().min_by_key(|candidate| self.rank(table, candidate)) else {
            return match &table.unique[..] {
                _ if self.people.is_empty() && table.primary_key.len() == 1 => own_key(table),
                _ => (None, vec!["no column leads to a table of people: each row counts as a person".to_owned()]),
            };
        };
        let Some(to) = self.tables.get(best.leads_to) else { return (None, Vec::new()) };
        let why = match best.declared {
            true => format!("references {}.{}", to.schema, to.name),
            false => format!("by its name: no foreign key to {}.{} is declared", to.schema, to.name),
        };
        let others = candidates.iter().filter(|other| other.column != best.column);
        let notes = others.filter_map(|other| {
            let to = self.tables.get(other.leads_to)?;
            Some(format!(
                "{} leads to people as well ({}.{}): see that the right one is counted",
                other.column, to.schema, to.name
            ))
        });
        (Some((best.column.to_owned(), why)), notes.collect())
    }

    fn candidates(&self, number: usize, table: &'a Table) -> Vec<Candidate<'a>> {
        let declared = table.references.iter().filter_map(|reference| {
            let leads_to = *self.by_name.get(&(reference.schema.as_str(), reference.table.as_str()))?;
            let is_one = leads_to != number && self.people.contains(&leads_to);
            // A person is one value there: the key by which that table is counted.
            let is_key = self.tables.get(leads_to).is_some_and(|to| to.primary_key == [reference.referenced.clone()]);
            (is_one && is_key).then_some(Candidate { column: &reference.column, leads_to, declared: true })
        });
        let declared: Vec<Candidate<'_>> = declared.collect();
        if !declared.is_empty() {
            return declared;
        }
        let named = table.columns.iter().filter_map(|column| {
            let words = words::words(&column.name);
            let leads_to = self.people.iter().copied().filter(|to| *to != number).find(|to| {
                let people = self.tables.get(*to);
                people.is_some_and(|people| {
                    let one = words::one_of(&people.name);
                    let is_key = words.len() == 2 && matches!(&*words[1], "id" | "no" | "code" | "cd" | "bangou");
                    people.schema == table.schema
                        && people.primary_key.len() == 1
                        && is_key
                        && one.as_ref() == words.first()
                })
            })?;
            Some(Candidate { column: &column.name, leads_to, declared: false })
        });
        named.collect()
    }

    /// The better, the less.
    fn rank(&self, table: &Table, candidate: &Candidate<'_>) -> (bool, bool, bool, usize) {
        let words = words::words(&candidate.column.to_lowercase());
        let by_whom = words.first().is_some_and(|first| BY_WHOM.contains(&first.as_str()))
            || words.last().is_some_and(|last| last == "by");
        let to = self.tables.get(candidate.leads_to);
        let is_named_so = to.and_then(|to| words::one_of(&to.name)).is_some_and(|one| words.contains(&one));
        let is_key = table.primary_key == [candidate.column];
        let place = table.columns.iter().position(|column| column.name == candidate.column).unwrap_or(usize::MAX);
        (by_whom, !is_key, !is_named_so, place)
    }
}

fn own_key(table: &Table) -> Answer {
    match (&table.primary_key[..], &table.unique[..]) {
        ([key], _) => (Some((key.clone(), "the primary key of a table of people".to_owned())), Vec::new()),
        (_, [unique, ..]) => (Some((unique.clone(), "unique, and never null".to_owned())), Vec::new()),
        ([], _) => (None, vec!["it has no key: each row counts as a person".to_owned()]),
        (_, _) => (
            None,
            vec![
                "its key has several columns: each row counts as a person; name the one that says whose a row is"
                    .to_owned(),
            ],
        ),
    }
}
