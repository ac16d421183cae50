//! What the log holds of the play, beside what the database says.
//!
//! In: the log, the tally. Out: one row a user, and whether every figure is confirmed.

use std::collections::BTreeMap;
use std::path::Path;

use tokio_postgres::Client;

use super::Error;
use super::play::day::Day;
use super::play::schedule::INSIDER_AT;
use super::play::seat::INSIDER;
use super::play::tally::Tally;
use super::shop::Role;
use crate::audit::Lake;
use crate::record::{Finding, Kind, Statement};

/// One user of the shop's database.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// Statements in the log.
    pub statements: u64,
    /// People read, by the log: `sum(persons)`.
    pub persons: u64,
    /// Statements that the play sent.
    pub statements_sent: u64,
    /// People read, by the database.
    pub persons_confirmed: u64,
    /// Findings.
    pub findings: u64,
}

/// The whole.
pub struct Summary {
    /// By user.
    pub rows: BTreeMap<String, Row>,
    /// People in the insider's copy, by the log.
    pub insider_people: u64,
    /// Rows of `shop.customers`, by the database.
    pub customers: u64,
    /// Policies that the insider's evening matched.
    pub insider_policies: Vec<String>,
}

impl Summary {
    /// Reads the log and asks the database.
    pub async fn new(log: &Path, tally: &Tally, day: &Day, database: &Client) -> Result<Summary, Error> {
        let mut rows: BTreeMap<String, Row> = BTreeMap::new();
        for (role, persons) in tally.persons(database).await? {
            rows.entry(role.name().to_owned()).or_default().persons_confirmed = persons;
        }
        for (role, statements) in tally.statements() {
            rows.entry(role.name().to_owned()).or_default().statements_sent = *statements;
        }
        let lake = Lake::open(log).map_err(unreadable)?;
        let evening = day.at(INSIDER_AT);
        let address = INSIDER.seen_as().to_string();
        let is_insider = |user: Option<&str>, from: Option<&str>, at| {
            user == Some(Role::Clerk.name()) && from == Some(&address) && at >= evening
        };
        let mut insider_people = 0;
        for statement in lake.records::<Statement>(None) {
            let statement = statement.map_err(unreadable)?;
            let Some(user) = statement.db_user.as_deref() else { continue };
            let row = rows.entry(user.to_owned()).or_default();
            row.statements += 1;
            row.persons += statement.persons.unwrap_or(0);
            let is_copy = statement.kind == Some(Kind::CopyOut);
            if is_copy && is_insider(Some(user), statement.client_addr.as_deref(), statement.common.at) {
                insider_people += statement.persons.unwrap_or(0);
            }
        }
        let mut insider_policies = Vec::new();
        for finding in lake.records::<Finding>(None) {
            let finding = finding.map_err(unreadable)?;
            let Some(user) = finding.db_user.as_deref() else { continue };
            rows.entry(user.to_owned()).or_default().findings += 1;
            if is_insider(Some(user), finding.client_addr.as_deref(), finding.common.at) {
                insider_policies.push(finding.policy.to_string());
            }
        }
        rows.remove(Role::Catalog.name());
        let customers: i64 = database.query_one("select count(*) from shop.customers", &[]).await?.get(0);
        let customers = u64::try_from(customers).unwrap_or(0);
        Ok(Summary { rows, insider_people, customers, insider_policies })
    }

    /// Whether a policy matched the insider's copy, and counted everybody in it.
    pub fn insider_found(&self) -> bool {
        !self.insider_policies.is_empty() && self.insider_people == self.customers
    }

    /// Whether every figure of the log is the database's.
    pub fn is_confirmed(&self) -> bool {
        self.rows.values().all(|row| row.persons == row.persons_confirmed && row.statements == row.statements_sent)
    }

    /// The table, for people.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!(
            "{:<12} {:>10} {:>12} {:>19} {:>9}",
            "user", "statements", "people read", "by SQL on the shop", "findings"
        )];
        for (user, row) in &self.rows {
            let sent = if row.statements == row.statements_sent {
                String::new()
            } else {
                format!("   (sent {})", row.statements_sent)
            };
            lines.push(format!(
                "{user:<12} {:>10} {:>12} {:>19} {:>9}{sent}",
                row.statements, row.persons, row.persons_confirmed, row.findings
            ));
        }
        lines
    }
}

fn unreadable(error: impl std::fmt::Display) -> Error {
    Error::Log(error.to_string())
}
