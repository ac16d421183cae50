//! What the server says that it reads: `EXPLAIN (VERBOSE, FORMAT JSON)` → relations, and the columns of the topmost target list.
//!
//! In: the plan as JSON, and how many columns the result has. Out: both, with schema; what belongs to PostgreSQL itself is left out.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// What a plan names.
#[derive(Debug, Default)]
pub struct Plan {
    /// `schema.relation` of every scan and every table that is written.
    pub relations: BTreeSet<String>,
    /// `schema.relation.column` in the first columns of the topmost target list: those behind are there to sort by.
    pub columns: BTreeSet<String>,
}

impl Plan {
    /// Reads what EXPLAIN returned.
    pub fn parse(json: &str, outputs: usize) -> Plan {
        let json: Value = serde_json::from_str(json).expect("EXPLAIN's own JSON");
        let mut aliases = BTreeMap::new();
        json.as_array().into_iter().flatten().for_each(|one| scans(&one["Plan"], &mut aliases));
        let mut plan = Plan::default();
        for one in json.as_array().into_iter().flatten() {
            top(&one["Plan"], outputs, &aliases, &mut plan.columns);
        }
        plan.relations = aliases.into_values().filter(|name| !is_system(name)).collect();
        plan
    }
}

/// Whether a relation is PostgreSQL's own.
pub fn is_system(name: &str) -> bool {
    ["pg_catalog.", "information_schema.", "pg_toast."].iter().any(|schema| name.starts_with(schema))
}

/// Every relation in a plan, under the name that it goes by there.
fn scans(node: &Value, into: &mut BTreeMap<String, String>) {
    for target in std::iter::once(node).chain(node["Target Tables"].as_array().into_iter().flatten()) {
        if let (Some(schema), Some(name)) = (target["Schema"].as_str(), target["Relation Name"].as_str()) {
            let schema = if schema.starts_with("pg_temp_") { "pg_temp" } else { schema };
            into.insert(target["Alias"].as_str().unwrap_or(name).to_owned(), format!("{schema}.{name}"));
        }
    }
    node["Plans"].as_array().into_iter().flatten().for_each(|below| scans(below, into));
}

fn top(node: &Value, outputs: usize, aliases: &BTreeMap<String, String>, columns: &mut BTreeSet<String>) {
    if matches!(node["Node Type"].as_str(), Some("Append" | "Merge Append" | "Recursive Union")) {
        let is_part =
            |below: &&Value| matches!(below["Parent Relationship"].as_str(), Some("Member" | "Outer" | "Inner"));
        let parts = node["Plans"].as_array().into_iter().flatten().filter(is_part);
        return parts.for_each(|below| top(below, outputs, aliases, columns));
    }
    for expression in node["Output"].as_array().into_iter().flatten().take(outputs).filter_map(Value::as_str) {
        for (alias, column) in references(expression) {
            columns.extend(aliases.get(&alias).filter(|name| !is_system(name)).map(|name| format!("{name}.{column}")));
        }
    }
}

/// `alias.column` wherever they stand in an expression, but for what is only counted.
fn references(expression: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = expression;
    while let Some(first) = rest.chars().next() {
        if first == '\'' {
            rest = &rest[1..];
            rest = rest.find('\'').map_or("", |end| &rest[end + 1..]);
            continue;
        }
        let Some((word, after)) = name(rest) else {
            rest = &rest[first.len_utf8()..];
            continue;
        };
        rest = after;
        if let Some((column, after)) = after.strip_prefix('.').and_then(name) {
            rest = after;
            if !after.starts_with('(') {
                found.push((word, column));
            }
        } else if word == "count" && after.starts_with('(') {
            rest = behind_parenthesis(after);
        }
    }
    found
}

/// A name at the beginning, quoted or not.
fn name(text: &str) -> Option<(String, &str)> {
    if let Some(inside) = text.strip_prefix('"') {
        let end = inside.find('"')?;
        return Some((inside[..end].to_owned(), &inside[end + 1..]));
    }
    text.chars().next().filter(|first| first.is_alphabetic() || *first == '_')?;
    let end = text.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '$'))).unwrap_or(text.len());
    Some((text[..end].to_owned(), &text[end..]))
}

fn behind_parenthesis(text: &str) -> &str {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' if depth == 1 => return &text[at + 1..],
            ')' => depth -= 1,
            _ => {}
        }
    }
    ""
}

#[test]
fn a_plan_names_its_relations_and_the_columns_of_its_result() {
    let plan = r#"[{"Plan": {"Node Type": "Sort", "Output": ["lower(c.email)", "count(c.phone)", "c.\"Name\"", "'o.x'::text", "o.id"], "Plans": [
        {"Node Type": "Seq Scan", "Schema": "shop", "Relation Name": "customers", "Alias": "c"},
        {"Node Type": "Seq Scan", "Schema": "pg_temp_3", "Relation Name": "own", "Alias": "o"},
        {"Node Type": "Seq Scan", "Schema": "pg_catalog", "Relation Name": "pg_class", "Alias": "k"}]}}]"#;
    let plan = Plan::parse(plan, 4);
    assert_eq!(plan.relations.iter().collect::<Vec<_>>(), ["pg_temp.own", "shop.customers"]);
    assert_eq!(plan.columns.iter().collect::<Vec<_>>(), ["shop.customers.Name", "shop.customers.email"]);
}
