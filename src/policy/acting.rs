//! What a policy that intervenes may ask, and when.
//!
//! In: a policy's rule, what it is `on` and its action. Out: faults, where the action would have to know what is not known yet, so
//! that no policy loads that silently does not act. A statement is denied before it runs, and cut while its rows flow.

use std::collections::BTreeSet;

use super::definition::{AnyRule, On};
use super::rule::{Measure, Rule};
use crate::record::field::vocabulary;
use crate::record::{Action, Statement};
use crate::yaml::{Place, Source};

vocabulary! {
    /// Whom a quarantine keeps out.
    Whom {
        /// The authenticated role.
        User = "db_user",
        /// The client's address.
        Address = "client_addr",
    }
}

/// `action: quarantine`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quarantine {
    /// `whom`.
    pub whom: Whom,
    /// `for`, microseconds.
    pub for_us: i64,
}

/// The columns of `statements` that are known before a statement runs.
pub const BEFORE: [&str; 21] = [
    "at",
    "session_id",
    "database",
    "db_user",
    "role",
    "end_user",
    "application_name",
    "client_addr",
    "protocol",
    "kind",
    "query",
    "fingerprint",
    "parse",
    "certainty",
    "catalog",
    "relations",
    "functions",
    "permit",
    "context",
    "ticket",
    "member_of",
];
/// Those that say which classified columns will come: known from the text before, and from the wire when rows flow.
pub const FORESEEN: [&str; 2] = ["columns", "level"];
/// Those that rise while rows flow.
pub const FLOWING: [&str; 4] = ["persons", "personal_rows", "rows_returned", "bytes_out"];

/// The one that is told as soon as there are more of them.
pub const BAITS: &str = "baits";

/// Whether it is told anew while rows flow.
pub fn is_flowing(column: &str) -> bool {
    FLOWING.contains(&column) || column == BAITS
}

/// Whether it is known before a statement runs.
pub fn is_known_before(column: &str) -> bool {
    BEFORE.contains(&column) || FORESEEN.contains(&column)
}

/// Whether it is known while its rows flow.
pub fn is_known_on_the_way(column: &str) -> bool {
    is_known_before(column) || is_flowing(column)
}

/// Whether it is fixed from a session's start to its end.
pub fn is_of_the_session(column: &str) -> bool {
    matches!(column, "session_id" | "database" | "db_user" | "client_addr")
}

/// Faults of a policy that could not act as it says. `place`: of its action.
pub fn check(rule: &AnyRule, on: On, action: Action, place: Place, source: &mut Source<'_>) {
    match (action, on, rule) {
        (Action::Deny, On::Statement, AnyRule::Statement(rule)) => {
            let mend = "with `on: progress` and `action: cut` it is judged while rows flow";
            knows(rule, is_known_before, ("before the statement runs", mend), place, source);
        }
        (Action::Cut | Action::Quarantine, On::Progress, AnyRule::Statement(rule)) => {
            let mend = "with `action: alert` and `on: statement` it is judged when the statement has ended";
            knows(rule, is_known_on_the_way, ("while rows flow", mend), place, source);
            if let Some(window) = &rule.window
                && !matches!(&window.measure, Measure::Sum(column) if FLOWING.contains(&column.name))
            {
                let what = "a window that is judged while rows flow adds up what flows";
                source.fault(place, what, format!("write `sum:` and one of {}", FLOWING.join(", ")));
            }
        }
        (Action::Deny, ..) => {
            source.fault(place, "`action: deny` keeps a statement from running", "write `on: statement`");
        }
        (Action::Cut, ..) => {
            source.fault(place, "`action: cut` ends a statement while its rows flow", "write `on: progress`");
        }
        (Action::Alert, On::Progress, _) => {
            let mend = "write `on: statement`, or `action: cut`";
            source.fault(place, "`on: progress` is for what ends a statement while its rows flow", mend);
        }
        (Action::Alert | Action::Quarantine, ..) => {}
    }
}

fn knows(
    rule: &Rule<Statement>,
    known: fn(&str) -> bool,
    (when, mend): (&str, &str),
    place: Place,
    source: &mut Source<'_>,
) {
    if rule.first.is_some() || rule.usual.is_some() || rule.after.is_some() {
        let what = format!("a `baseline` or `after` is not judged {when}");
        source.fault(place, what, "write `action: alert`, or a `when` that names what is not allowed");
    }
    let mut columns: Vec<&str> = [&rule.when, &rule.unless]
        .into_iter()
        .flatten()
        .flat_map(|condition| condition.columns())
        .map(|column| column.name)
        .collect();
    if let Some(window) = &rule.window {
        columns.extend(window.by.iter().map(|column| column.name));
    }
    let unknown: BTreeSet<&str> = columns.into_iter().filter(|column| !known(column)).collect();
    for column in unknown {
        source.fault(place, format!("`{column}` is not known {when}, when this policy is to act"), mend);
    }
}
