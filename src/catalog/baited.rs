//! `baits` of the classification: which made-up people lie in which tables.
//!
//! In: the list's node. Out: each bait with its table and its place; faults, with their places and without the value. PURE. Refuses a bait in a
//! table of which no entry says whose its rows are, one whose name tells its value, and two of the same.

use std::collections::HashSet;

use super::classification::Classification;
use crate::record::Text;
use crate::session::{Bait, SUBJECT_BYTES_MAX};
use crate::yaml::pattern::matches;
use crate::yaml::{Fields, Node, Place, Shape, Source};

/// So many are looked for.
const BAITS_MAX: usize = 1_000;

/// A bait, and where it lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Baited {
    /// It.
    pub(super) bait: Bait,
    /// A name, or a pattern.
    pub(super) schema: String,
    /// As of the schema.
    pub(super) table: String,
    /// Of its table's name in the file.
    pub(super) place: Place,
}

impl Baited {
    /// Whether it may lie in this table.
    pub(super) fn is_in(&self, schema: &str, table: &str) -> bool {
        matches(&self.schema, schema) && matches(&self.table, table)
    }

    /// Schema and table, where both are named outright.
    pub(super) fn outright(&self) -> Option<(&str, &str)> {
        (!self.schema.contains('*') && !self.table.contains('*')).then_some((&self.schema, &self.table))
    }
}

/// Takes `baits`.
pub(super) fn read(fields: &mut Fields<'_>, source: &mut Source<'_>) -> Vec<Baited> {
    let Some(node) = fields.take("baits") else { return Vec::new() };
    let items = match &node.shape {
        Shape::Null => return Vec::new(),
        Shape::List(items) => items,
        _ => {
            let mend = "write a list of `{ name: …, table: …, subject: … }`";
            source.fault(node.place, format!("`baits` is {}", node.called()), mend);
            return Vec::new();
        }
    };
    if items.len() > BAITS_MAX {
        source.fault(node.place, format!("more than {BAITS_MAX} baits"), "a few in each table are enough");
    }
    let mut seen = HashSet::new();
    items
        .iter()
        .take(BAITS_MAX)
        .filter_map(|item| {
            let baited = one(item, source)?;
            if !seen.insert((baited.schema.clone(), baited.table.clone(), baited.bait.value.clone())) {
                source.fault(item.place, format!("`{}` is a bait already", baited.bait.name), "remove one of the two");
            }
            Some(baited)
        })
        .collect()
}

fn one(item: &Node, source: &mut Source<'_>) -> Option<Baited> {
    let mut fields = Fields::of(item, "a bait", source)?;
    let name = fields.need_text("name", source);
    let table = fields.need_text("table", source);
    let subject = fields.need_text("subject", source);
    fields.finish(source);
    let ((name, named), (table, place), (value, valued)) = (name?, table?, subject?);
    if value.len() > SUBJECT_BYTES_MAX {
        source.fault(
            valued,
            format!("a bait's `subject` is longer than {SUBJECT_BYTES_MAX} bytes"),
            "choose a shorter one",
        );
    }
    if name.contains(&value) {
        let what = "a bait's name has its value in it, and would tell it in the log and in alerts";
        source.fault(named, what, "choose another name");
    }
    let (schema, table) = table.split_once('.').unwrap_or(("*", &table));
    let bait = Bait { name: Text::from(name), value: Text::from(value) };
    Some(Baited { bait, schema: schema.to_owned(), table: table.to_owned(), place })
}

/// Faults of baits that nobody would ever be told of.
pub(super) fn check(classification: &Classification, source: &mut Source<'_>) {
    for baited in classification.baited() {
        let found = match baited.outright() {
            Some((schema, table)) => classification.subject(schema, table).is_some(),
            None => classification.has_subjects(),
        };
        if !found {
            let (schema, table) = (&baited.schema, &baited.table);
            let what = format!(
                "the bait `{}` lies in `{schema}.{table}`, of which no entry has a `subject`",
                baited.bait.name
            );
            source.fault(baited.place, what, "name the column that its value stands in: `subject: id` under `tables`");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const TABLES: &str = "levels: [internal, personal]\ntables:\n  shop.customers: { subject: id }\n  shop.orders: { subject: customer_id }\n  shop.stock: { columns: { a: internal } }\n";

    fn parse(baits: &str) -> Result<Classification, Vec<String>> {
        Classification::parse(&format!("{TABLES}{baits}"), Path::new("c.yaml"))
            .map_err(|faults| faults.0.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn baits_are_read_by_table_and_by_pattern() {
        let yaml = "baits:\n  - { name: shop-bait, table: shop.customers, subject: 900001 }\n  - { name: anywhere, table: \"shop.*\", subject: \"0-1\" }\n";
        let classification = parse(yaml).expect("faultless");
        let of = |table: &str| -> Vec<String> {
            let baits = classification.baits_in(|baited| baited.is_in("shop", table));
            baits.map(|bait| format!("{}={}", bait.name, bait.value)).collect()
        };
        assert_eq!(of("customers"), ["shop-bait=900001", "anywhere=0-1"]);
        assert_eq!(of("orders"), ["anywhere=0-1"]);
        assert!(parse("baits:\n").is_ok() && !parse("").unwrap().has_baits());
    }

    #[test]
    fn every_fault_has_its_place_and_none_tells_the_value() {
        let yaml = "baits:\n  - { name: a, table: shop.stock, subject: 900001 }\n  - { name: b-900001, table: shop.orders, subject: 900001 }\n  - { name: c, table: shop.orders }\n  - { name: d, table: shop.orders, subject: 900001 }\n  - { name: e, tabel: shop.orders, subject: 900001 }\n  - 900001\n";
        let faults = parse(yaml).expect_err("faulty");
        let places: Vec<&str> = faults.iter().map(|fault| fault.split(": ").next().unwrap()).collect();
        assert_eq!(
            places,
            ["c.yaml:8:13", "c.yaml:9:5", "c.yaml:10:5", "c.yaml:11:5", "c.yaml:11:16", "c.yaml:12:5", "c.yaml:7:23"],
            "{faults:#?}"
        );
        assert!(faults.iter().all(|fault| !fault.contains("900001") || fault.contains("b-900001")), "{faults:#?}");
        let faults = parse("baits: { name: a }\n").expect_err("faulty");
        assert!(faults[0].starts_with("c.yaml:6:8: `baits` is a mapping"), "{faults:#?}");
        let long = "9".repeat(300);
        let faults = parse(&format!("baits:\n  - {{ name: a, table: shop.orders, subject: \"{long}\" }}\n"))
            .expect_err("faulty");
        assert!(faults.len() == 1 && !faults[0].contains("9999"), "{faults:#?}");
    }
}
