//! Permits: announced bulk work, by whom, on what, when, and for how many people at most.
//!
//! In: `permits.yaml`; then statements, in order. Out: the id of the permit that covers a statement. A statement that
//! would take a permit past `persons_max`, counted over all the permit has covered, is not covered and uses nothing up. One whose
//! comment names a permit (`-- ticket: OPS-1234`) is covered by that one or by none; a ticket that is no permit's id counts for nothing.

use std::collections::HashMap;

use crate::clock::Timestamp;
use crate::record::{Statement, Text};
use crate::yaml::pattern::matches;
use crate::yaml::{Fields, Node, Place, Shape, Source};

/// One permit, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permit {
    /// Its number, a ticket's as a rule.
    pub id: Text,
    /// The authenticated role it is for.
    pub db_user: String,
    /// The relations it is for, `schema.table`; `*` stands for any run of characters.
    pub relations: Vec<String>,
    /// People, over all statements it covers.
    pub persons_max: u64,
    /// From this moment on.
    pub from: Timestamp,
    /// Until just before this one.
    pub until: Timestamp,
    /// `ticket: required`: only what names it in a comment is covered.
    pub ticket_required: bool,
    /// Who allowed it.
    pub approved_by: Option<String>,
    /// What for.
    pub reason: Option<String>,
}

/// Reads `permits.yaml`; its faults are in `source`.
pub fn read(source: &mut Source<'_>) -> Vec<Permit> {
    source.parse().map_or_else(Vec::new, |root| read_list(&root, source))
}

/// Reads a list of permits.
pub fn read_list(root: &Node, source: &mut Source<'_>) -> Vec<Permit> {
    let items = match &root.shape {
        Shape::Null => return Vec::new(),
        Shape::List(items) => items,
        _ => {
            source.fault(root.place, format!("the permits are {}", root.called()), "write a list: - { id: …, … }");
            return Vec::new();
        }
    };
    let mut permits: Vec<Permit> = Vec::new();
    for item in items {
        let Some(permit) = read_one(item, source) else { continue };
        if permits.iter().any(|other| other.id == permit.id) {
            source.fault(item.place, format!("the permit `{}` is there twice", permit.id), "rename or remove one");
        }
        permits.push(permit);
    }
    permits
}

fn read_one(item: &Node, source: &mut Source<'_>) -> Option<Permit> {
    let mut fields = Fields::of(item, "a permit", source)?;
    let id = fields.need_text("id", source);
    let db_user = fields.need_text("db_user", source);
    let relations = fields.need("relations", source).map(|node| crate::yaml::texts(node, "relations", source));
    let persons_max = fields.need_number("persons_max", source);
    let from = fields.need_text("from", source).and_then(|text| time(text, source));
    let until = fields.need_text("until", source).and_then(|text| time(text, source));
    let ticket_required = fields.text("ticket", source).is_some_and(|(word, place)| match word.as_str() {
        "required" => true,
        "optional" => false,
        _ => {
            source.fault(place, format!("`ticket` is \"{word}\""), "write one of required, optional");
            false
        }
    });
    let approved_by = fields.text("approved_by", source).map(|(text, _)| text);
    let reason = fields.text("reason", source).map(|(text, _)| text);
    fields.finish(source);
    if relations.as_ref().is_some_and(Vec::is_empty) {
        source.fault(item.place, "a permit for no relation", "write relations: [shop.customers]");
    }
    if let (Some(from), Some(until)) = (from, until)
        && until <= from
    {
        source.fault(item.place, "`until` is not after `from`", "exchange them, or correct the day");
    }
    Some(Permit {
        id: id?.0.as_str().into(),
        db_user: db_user?.0,
        relations: relations?.into_iter().map(|(relation, _)| relation).collect(),
        persons_max: persons_max?,
        from: from?,
        until: until?,
        ticket_required,
        approved_by,
        reason,
    })
}

fn time((text, place): (String, Place), source: &mut Source<'_>) -> Option<Timestamp> {
    match text.parse::<jiff::Timestamp>() {
        Ok(at) => Some(Timestamp(at.as_microsecond())),
        Err(_) => {
            let mend = "write date, time and offset: 2026-11-23T18:00+09:00";
            source.fault(place, "not a moment", mend);
            None
        }
    }
}

/// How much of each permit is used up.
#[derive(Debug, Default)]
pub struct Use {
    persons: HashMap<Text, u64>,
}

impl Use {
    /// The permit that covers `statement`, if one does; its people are then used up.
    pub fn cover(&mut self, permits: &[Permit], statement: &Statement) -> Option<Text> {
        let persons = statement.persons.unwrap_or(0);
        for permit in fitting(permits, statement) {
            let used = self.persons.entry(permit.id.clone()).or_insert(0);
            if let Some(total) = used.checked_add(persons).filter(|total| *total <= permit.persons_max) {
                *used = total;
                return Some(permit.id.clone());
            }
        }
        None
    }

    /// The permit that would cover `statement`, and the most people that it would at once. Nothing is used up.
    pub fn would_cover(&self, permits: &[Permit], statement: &Statement) -> Option<(Text, u64)> {
        let persons = statement.persons.unwrap_or(0);
        fitting(permits, statement).find_map(|permit| {
            let used = self.persons.get(&permit.id).copied().unwrap_or(0);
            let left = permit.persons_max.saturating_sub(used);
            (persons <= left).then(|| (permit.id.clone(), left))
        })
    }

    /// Notes a statement of the past that a permit covered.
    pub fn learn(&mut self, statement: &Statement) {
        if let Some(id) = &statement.permit {
            let used = self.persons.entry(id.clone()).or_insert(0);
            *used = used.saturating_add(statement.persons.unwrap_or(0));
        }
    }

    /// Forgets permits that are no more: what is used up stays within the number of permits.
    pub fn keep(&mut self, permits: &[Permit]) {
        self.persons.retain(|id, _| permits.iter().any(|permit| permit.id == *id));
    }
}

/// The permits that may cover a statement: the one that it names, or those that need not be named.
fn fitting<'p>(permits: &'p [Permit], statement: &Statement) -> impl Iterator<Item = &'p Permit> {
    let named = statement.ticket.as_ref().filter(|ticket| permits.iter().any(|permit| permit.id == **ticket));
    let is_meant = move |permit: &&Permit| match named {
        Some(ticket) => permit.id == *ticket,
        None => !permit.ticket_required,
    };
    permits.iter().filter(is_meant).filter(|permit| permit.is_for(statement))
}

impl Permit {
    /// Whether user, time and relations fit. A statement of which no relation is known fits nothing.
    fn is_for(&self, statement: &Statement) -> bool {
        let at = statement.common.at;
        let relations = statement.relations.as_deref().unwrap_or_default();
        statement.db_user.as_deref() == Some(self.db_user.as_str())
            && (self.from..self.until).contains(&at)
            && !relations.is_empty()
            && relations.iter().all(|relation| self.relations.iter().any(|pattern| matches(pattern, relation)))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const YAML: &str = "- { id: OPS-1234, db_user: batch, relations: [shop.customers, \"mart.*\"], persons_max: 50000, \
        from: 2026-11-23T18:00+09:00, until: 2026-11-23T20:00+09:00, approved_by: Sato, reason: nightly export }";

    fn permits(yaml: &str) -> (Vec<Permit>, Vec<String>) {
        let mut source = Source::new(Path::new("permits.yaml"), yaml);
        let permits = read(&mut source);
        (permits, source.faults.iter().map(ToString::to_string).collect())
    }

    fn statement(at: &str, relations: &[&str], persons: u64) -> Statement {
        let mut statement = Statement {
            db_user: Some("batch".into()),
            relations: Some(relations.iter().map(|name| Text::from(*name)).collect()),
            persons: Some(persons),
            ..Statement::default()
        };
        statement.common.at = Timestamp(at.parse::<jiff::Timestamp>().expect("a time").as_microsecond());
        statement
    }

    #[test]
    fn a_permit_covers_its_user_relations_time_and_number_and_nothing_past_them() {
        let (permits, faults) = permits(YAML);
        assert_eq!(faults, Vec::<String>::new());
        let mut used = Use::default();
        let mut covers = |statement: &Statement| used.cover(&permits, statement).is_some();
        let noon = "2026-11-23T10:00:00Z";
        assert!(covers(&statement(noon, &["shop.customers", "mart.a"], 30_000)));
        assert!(!covers(&statement(noon, &["shop.customers"], 20_001)), "past the number");
        assert!(covers(&statement(noon, &["shop.customers"], 20_000)), "what was not covered used nothing up");
        assert!(!covers(&statement(noon, &["shop.customers"], 1)));
        assert!(covers(&statement(noon, &["shop.customers"], 0)));
        assert!(!covers(&statement(noon, &["shop.customers", "shop.cards"], 0)), "another relation");
        assert!(!covers(&statement(noon, &[], 0)), "no relation known");
        assert!(covers(&statement("2026-11-23T09:00:00Z", &["mart.b"], 0)), "the first moment");
        assert!(!covers(&statement("2026-11-23T11:00:00Z", &["mart.b"], 0)), "the end is outside");
        assert!(!covers(&Statement { db_user: Some("clerk".into()), ..statement(noon, &["mart.b"], 0) }));
    }

    #[test]
    fn a_ticket_names_one_permit_and_one_that_nobody_announced_counts_for_nothing() {
        let (permits, faults) = permits(
            "- { id: A, db_user: batch, relations: [t], persons_max: 10, from: 2026-11-23T00:00Z, until: 2026-11-24T00:00Z }\n\
             - { id: OPS-2, db_user: batch, relations: [t], persons_max: 10, from: 2026-11-23T00:00Z, until: 2026-11-24T00:00Z, ticket: required }\n\
             - { id: OLD, db_user: batch, relations: [t], persons_max: 10, from: 2026-11-01T00:00Z, until: 2026-11-02T00:00Z }",
        );
        assert_eq!(faults, Vec::<String>::new());
        let mut used = Use::default();
        let mut covered = |ticket: Option<&str>, persons| {
            let statement =
                Statement { ticket: ticket.map(Text::from), ..statement("2026-11-23T10:00:00Z", &["t"], persons) };
            let foreseen = used.would_cover(&permits, &statement).map(|(id, _)| id);
            let covered = used.cover(&permits, &statement);
            assert_eq!(foreseen, covered, "before it runs and after");
            covered.map(|id| id.to_string())
        };
        assert_eq!(covered(None, 4).as_deref(), Some("A"));
        assert_eq!(covered(Some("OPS-2"), 4).as_deref(), Some("OPS-2"));
        assert_eq!(covered(Some("OPS-2"), 7), None, "exceeded: no other permit stands in for the one that is named");
        assert_eq!(covered(Some("OLD"), 1), None, "expired");
        assert_eq!(covered(Some("JIRA-7"), 4).as_deref(), Some("A"), "as if nothing had been named");
        assert_eq!(covered(None, 3), None, "the one that has to be named is not used without");
    }

    #[test]
    fn all_faults_of_all_permits_are_told() {
        let (_, faults) = permits("- { id: A, db_user: b, relation: [x], persons_max: many }\n- 5\n");
        let all = faults.join("\n");
        for part in ["`relation`", "did you mean `relations`?", "`persons_max` is a text", "`from` is missing", ":2:3"]
        {
            assert!(all.contains(part), "{part} in {all}");
        }
    }
}
