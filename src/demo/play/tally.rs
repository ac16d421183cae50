//! What was really read, told apart from the log: the same questions, asked of the database itself.
//!
//! In: each statement that returned people, as it was played. Out: people per role, counted by SQL on the database, past
//! the sidecar. A figure of the log that differs is wrong.

use std::collections::BTreeMap;

use tokio_postgres::Client;

use crate::demo::Error;
use crate::demo::shop::Role;

/// One statement that returned people's data.
struct Read {
    role: Role,
    /// Its text, the values in it.
    sql: String,
    /// The column of its result that says whose row it is.
    subject: &'static str,
}

/// Everything that was read in the play.
#[derive(Default)]
pub struct Tally {
    reads: Vec<Read>,
    statements: BTreeMap<Role, u64>,
}

impl Tally {
    /// A statement was sent that returns no people.
    pub fn sent(&mut self, role: Role) {
        *self.statements.entry(role).or_default() += 1;
    }

    /// A statement was sent that returns people; `$1`, `$2` … stood for `values`.
    pub fn read(&mut self, role: Role, sql: &str, values: &[i32], subject: &'static str) {
        self.sent(role);
        self.reads.push(Read { role, sql: inline(sql, values), subject });
    }

    /// Statements that each role sent.
    pub fn statements(&self) -> &BTreeMap<Role, u64> {
        &self.statements
    }

    /// People that each role read: distinct in each statement, summed over statements, as the log's `sum(persons)` is.
    pub async fn persons(&self, database: &Client) -> Result<BTreeMap<Role, u64>, Error> {
        let mut persons = BTreeMap::new();
        for read in &self.reads {
            let count = format!("select count(distinct {}) from ({}) as the_same", read.subject, read.sql);
            let count: i64 = database.query_one(&count, &[]).await?.get(0);
            *persons.entry(read.role).or_default() += u64::try_from(count).unwrap_or(0);
        }
        Ok(persons)
    }
}

/// Puts the values in; from the highest number down, so that `$1` does not begin `$10`.
fn inline(sql: &str, values: &[i32]) -> String {
    values
        .iter()
        .enumerate()
        .rev()
        .fold(sql.to_owned(), |sql, (index, value)| sql.replace(&format!("${}", index + 1), &value.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn puts_each_value_in_its_place() {
        assert_eq!(inline("a = $1 and b > $2", &[7, -8]), "a = 7 and b > -8");
        let values: Vec<i32> = (1..=10).collect();
        assert_eq!(inline("$10 $1", &values), "10 1");
    }
}
