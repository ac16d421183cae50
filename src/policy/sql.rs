//! A policy → one SQL query over the log, in the dialect of an engine: the records that it matches.
//!
//! In: a checked policy. Out: a query that says of the log's records what [`super::Engine`] does of the same records in the order of
//! their ends. What it cannot say is refused: `baseline: { of, unusual }`, where what is usual for the others is taken when somebody new
//! first asks for it that day. What it leaves to the engine: throttles (which matches become findings), and what a `deny` or `cut` did not
//! let come to its end.
//!
//! Windows count as `+` when a record comes and `-` when it leaves, so that ties in time and the open end of the window are the engine's;
//! a key beyond [`super::window::ENTRIES_MAX`] entries is exact here, and counted up to a 64th of its window too long there.

mod clock;
mod figure;
mod news;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::path::PathBuf;

use jiff::tz::TimeZone;

use self::clock::virtual_columns;
use super::baseline::Touched;
use super::condition::sql::Clock;
pub use super::condition::sql::{Dialect, Unsayable};
use super::condition::sql::{column_name, column_names, literal};
use super::definition::{AnyRule, Policy};
use super::judged::Judged;
use super::rule::{Rule, Thing};
use crate::clock::Timestamp;

/// What a query is written for.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Who runs it.
    pub dialect: Dialect,
    /// The log, for engines that read its files.
    pub log: PathBuf,
    /// What `hour`, `weekday` and `holiday` are told in.
    pub timezone: TimeZone,
    /// Only matches from here on; `None`: of the whole log.
    pub since: Option<Timestamp>,
    /// The day of asking: holidays are told until the end of the next year.
    pub now: Timestamp,
}

/// The columns of who it was, which every table has that policies judge.
const WHO: [&str; 7] = ["session_id", "database", "db_user", "role", "end_user", "application_name", "client_addr"];

/// Years before the day of asking of which holidays are told, where no beginning is given.
const YEARS_BEFORE: i16 = 9;

/// The query of a policy.
///
/// # Errors
/// SQL cannot say it.
pub fn query(policy: &Policy, ask: &Ask) -> Result<String, Unsayable> {
    let sql = match &policy.rule {
        AnyRule::Statement(rule) => of(rule, ask)?,
        AnyRule::Transaction(rule) => of(rule, ask)?,
        AnyRule::Session(rule) => of(rule, ask)?,
    };
    let title = policy.title.split_whitespace().collect::<Vec<_>>().join(" ").replace("*/", "* /");
    Ok(format!("/* {}: {title} */\n{sql}", policy.id))
}

/// The parts of a query: what stands after WITH, and what is joined and asked at the end.
#[derive(Default)]
struct Parts {
    tables: Vec<(String, String)>,
    joins: Vec<String>,
    conditions: Vec<String>,
}

impl Parts {
    fn table(&mut self, name: &str, sql: String) {
        self.tables.push((name.to_owned(), sql));
    }
}

fn of<R: Judged>(rule: &Rule<R>, ask: &Ask) -> Result<String, Unsayable> {
    if rule.usual.is_some() {
        return Err(Unsayable(
            "`baseline: { of, unusual }` is judged by a role's own days or by the others', as they were when the record came; \
             `mitsuke policy backtest` says what it would have found"
                .to_owned(),
        ));
    }
    let asked = Cell::new(Clock::default());
    let mut concerned = Vec::new();
    if let Some(when) = &rule.when {
        concerned.push(format!("({})", when.sql(ask.dialect, &asked)?));
    }
    if let Some(unless) = &rule.unless {
        concerned.push(format!("({}) IS NOT TRUE", unless.sql(ask.dialect, &asked)?));
    }
    let concerned = if concerned.is_empty() { "TRUE".to_owned() } else { concerned.join("\n    AND ") };
    let mut parts = Parts::default();
    let counted = match &rule.after {
        Some(after) => Some(after.when.sql(ask.dialect, &asked)?),
        None => None,
    };
    let asks_the_hour = rule.first.as_ref().is_some_and(|first| matches!(first.thing, Thing::Hour));
    let asked = Clock { hour: asked.get().hour || asks_the_hour, ..asked.get() };
    parts.table("records", records(rule, ask, asked));
    // Without `+ 0`, DataFusion 55 takes a row's number for unique even where a list beside it has become rows.
    let number = "row_number() OVER (ORDER BY us, writer, seq) + 0 AS n";
    match (&rule.after, counted) {
        (Some(after), Some(counted)) => {
            parts.table(
                "candidates",
                format!(
                    "SELECT *,\n    ({counted}) IS TRUE AS counted,\n    ({concerned}) IS TRUE AS concerned\n  FROM records"
                ),
            );
            parts.table("numbered", format!("SELECT *, {number} FROM candidates WHERE counted OR concerned"));
            parts.table("matching", "SELECT * FROM numbered WHERE concerned".to_owned());
            figure::before(&mut parts, after);
        }
        _ if rule.window.is_some() || rule.first.is_some() => {
            parts.table("matching", format!("SELECT *, {number}\n  FROM records\n  WHERE {concerned}"));
        }
        _ => parts.table("matching", format!("SELECT * FROM records\n  WHERE {concerned}")),
    }
    if let Some(first) = &rule.first {
        news::news(&mut parts, first);
    }
    if let Some(window) = &rule.window {
        figure::window(&mut parts, window, ask.dialect);
    }
    let (observed, threshold) = observed(rule);
    if let Some(since) = ask.since {
        parts.conditions.push(format!("us >= {}", since.0));
    }
    Ok(written(&parts, &observed, &threshold))
}

fn written(parts: &Parts, observed: &str, threshold: &str) -> String {
    let mut sql = "WITH ".to_owned();
    for (index, (name, body)) in parts.tables.iter().enumerate() {
        let comma = if index == 0 { "" } else { ",\n" };
        sql += &format!("{comma}{name} AS (\n  {body}\n)");
    }
    sql += &format!(
        "\nSELECT judged_at, writer, seq, {},\n  {observed} AS observed, {threshold} AS threshold\nFROM matching",
        WHO.join(", ")
    );
    for join in &parts.joins {
        sql += &format!("\nJOIN {join} ON {join}.n = matching.n");
    }
    if !parts.conditions.is_empty() {
        sql += &format!("\nWHERE {}", parts.conditions.join(" AND "));
    }
    sql + "\nORDER BY us, writer, seq"
}

/// Every record of the table that may matter, with its time as policies tell it.
fn records<R: Judged>(rule: &Rule<R>, ask: &Ask, asked: Clock) -> String {
    let judged_at = format!("greatest({}, ended_at)", column_name("at"));
    let mut columns =
        vec!["*".to_owned(), format!("{judged_at} AS judged_at"), format!("{} AS us", ask.dialect.micros(&judged_at))];
    columns.extend(virtual_columns(ask, asked));
    if let Some(first) = &rule.first {
        let by = column_names(&first.by).join(", ");
        columns.push(format!("min({}) OVER (PARTITION BY {by}) AS since", ask.dialect.micros(&judged_at)));
        if let Thing::Hour = first.thing {
            columns.push(format!("CAST({judged_at} AT TIME ZONE 'UTC' AS DATE) AS utc_day"));
        }
    }
    let from = match ask.dialect {
        Dialect::DataFusion => R::NAME.to_owned(),
        Dialect::DuckDb => {
            let files = ask.log.join(R::NAME).join("**").join("*.parquet");
            let files = literal(&files.to_string_lossy());
            format!("read_parquet({files}, hive_partitioning = true, union_by_name = true)")
        }
    };
    let mut sql = format!("SELECT {}\n  FROM {from}", columns.join(",\n    "));
    if let Some(since) = ask.since {
        // A day lies by when its records began; what ended later may have begun a day before.
        let lookback = rule.lookback_us().unwrap_or(0).saturating_add(super::duration::DAY_US);
        let day = since.plus_micros(lookback.saturating_neg()).utc_date();
        sql += &format!("\n  WHERE dt >= DATE '{day}'");
    }
    sql
}

/// What a finding would call `observed` and `threshold`.
fn observed<R: Judged>(rule: &Rule<R>) -> (String, String) {
    if let Some(window) = &rule.window {
        return ("window_figure".to_owned(), window.above.to_string());
    }
    match rule.when.as_ref().and_then(|when| when.limit()) {
        Some((column, threshold)) if rule.first.is_none() => (column_name(column.name), threshold.to_string()),
        _ if R::column("persons").is_some() => ("persons".to_owned(), "NULL".to_owned()),
        _ => ("NULL".to_owned(), "NULL".to_owned()),
    }
}

/// How far back what was touched stays known, microseconds.
fn remembered_us(learn_us: i64) -> i64 {
    Touched::lookback_us(learn_us)
}
