//! Which columns of the statements policies look at, and findings tell.

use std::collections::BTreeSet;

use crate::policy::Engine;
use crate::policy::rule::{Measure, Rule, Thing};
use crate::record::{Column, Statement, Table};

/// What every finding tells, or is told by; what permits are for; and what was found when it happened.
const ALWAYS: [&str; 15] = [
    "session_id",
    "ended_at",
    "database",
    "db_user",
    "role",
    "end_user",
    "application_name",
    "client_addr",
    "kind",
    "relations",
    "columns",
    "persons",
    "policies",
    "permit",
    "ticket",
];

/// Their names, in the table's order.
pub fn columns(engine: &Engine) -> Vec<&'static str> {
    let mut wanted: BTreeSet<&str> = ALWAYS.into();
    for (_, rule) in engine.statement_rules() {
        wanted.extend(of(rule).iter().map(|column| column.name));
    }
    // What is never null has to be there for a record to be one.
    let columns = Statement::columns().iter().filter(|column| !column.nullable || wanted.contains(column.name));
    columns.map(|column| column.name).collect()
}

fn of(rule: &Rule<Statement>) -> Vec<&'static Column<Statement>> {
    let conditions = [rule.when.as_ref(), rule.unless.as_ref(), rule.after.as_ref().map(|after| &after.when)];
    let mut columns: Vec<_> = conditions.into_iter().flatten().flat_map(|condition| condition.columns()).collect();
    if let Some(window) = &rule.window {
        columns.extend(&window.by);
        if let Measure::Sum(column) | Measure::Distinct(column) = &window.measure {
            columns.push(column);
        }
    }
    if let Some(first) = &rule.first {
        columns.extend(&first.by);
        columns.extend(first.peers.iter().flatten());
        if let Thing::Column(column) = &first.thing {
            columns.push(column);
        }
    }
    if let Some(usual) = &rule.usual {
        columns.extend(&usual.by);
        columns.extend(&usual.peers);
        columns.push(usual.column);
    }
    columns.extend(rule.after.iter().flat_map(|after| &after.by));
    columns.extend(rule.throttle.iter().flat_map(|throttle| &throttle.by));
    columns
}
