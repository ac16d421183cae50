//! What a report holds: tables of figures, each with the SQL that gave it.
//!
//! In: SQL over the log. Out: a [`Report`], not rendered yet.

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::announced;
use super::questions::{self, Question};
use super::week::Week;
use crate::audit::Head;
use crate::clock::Timestamp;
use crate::policy::permit::Permit;
use crate::query::{self, Engine};

/// Rows of a table. Beyond it the table says so, and the SQL gives them all.
const ROWS_MAX: usize = 200;

/// Why a report cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log could not be asked.
    #[error(transparent)]
    Query(#[from] query::Error),
    /// An answer could not be read.
    #[error("the log's answer cannot be read: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
    /// The chart could not be drawn.
    #[error("the chart cannot be drawn: {0}")]
    Chart(String),
    /// The page could not be filled.
    #[error("the report cannot be written: {0}")]
    Template(#[from] askama::Error),
}

/// One table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Stable, for scripts.
    pub key: &'static str,
    /// For people.
    pub title: &'static str,
    /// What it says, and what it does not.
    pub note: &'static str,
    /// What `mitsuke query` gives it for.
    pub sql: String,
    /// Names of the columns.
    pub columns: Vec<String>,
    /// What a column holds.
    pub kinds: Vec<Kind>,
    /// As text; empty for null.
    pub rows: Vec<Vec<String>>,
    /// Rows beyond `ROWS_MAX`.
    pub left_out: usize,
}

/// What a column of a [`Table`] holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Anything else.
    Text,
    /// Digits.
    Number,
    /// UTC, to the second: `2026-11-24T14:45:00Z`.
    Time,
}

impl Kind {
    fn of(data_type: &DataType) -> Kind {
        match data_type {
            DataType::Timestamp(..) => Kind::Time,
            other if other.is_numeric() => Kind::Number,
            _ => Kind::Text,
        }
    }
}

/// A week's report.
#[derive(Clone, Debug)]
pub struct Report {
    /// The week.
    pub week: Week,
    /// How many findings of each severity, the gravest first.
    pub severities: Vec<(String, u64)>,
    /// Statements, people, sessions and the like, one figure each.
    pub figures: Vec<(String, String)>,
    /// People read on each day of the week.
    pub people_by_day: Vec<(String, u64)>,
    /// The tables, in order.
    pub tables: Vec<Table>,
    /// The heads of the log's chains when the report was made: what is on paper cannot be written anew.
    pub heads: Vec<Head>,
}

/// Asks the log for a week, of which `now` may be a part. `permits` are those that are announced.
///
/// # Errors
/// The log cannot be read.
pub async fn build(
    engine: &Engine,
    week: Week,
    (permits, now): (&[Permit], Timestamp),
    heads: Vec<Head>,
) -> Result<Report, Error> {
    let mut tables = Vec::new();
    for question in questions::tables(week) {
        let is_of_permits = question.key == "permits";
        tables.push(question.ask(engine).await?);
        if let Some(announced) = announced::question(week, permits, now).filter(|_| is_of_permits) {
            tables.push(announced.ask(engine).await?);
        }
        if is_of_permits {
            let named = announced::tickets(week, permits).ask(engine).await?;
            tables.extend(Some(named).filter(|table| !table.rows.is_empty()));
        }
    }
    let figures = questions::figures(week).ask(engine).await?;
    let values = figures.rows.into_iter().next().unwrap_or_default();
    let severities = questions::severities(week).ask(engine).await?;
    let days = questions::days(week).ask(engine).await?;
    let number = |text: Option<&String>| text.and_then(|text| text.parse().ok()).unwrap_or(0);
    let find = |rows: &[Vec<String>], key: &str| {
        number(rows.iter().find(|row| row.first().is_some_and(|first| first == key)).and_then(|row| row.get(1)))
    };
    let severity = |name: &str| (name.to_owned(), find(&severities.rows, name));
    Ok(Report {
        week,
        severities: ["critical", "high", "medium", "low"].map(severity).to_vec(),
        figures: figures.columns.into_iter().zip(values).collect(),
        people_by_day: week.days().iter().map(|day| (day.to_string(), find(&days.rows, &day.to_string()))).collect(),
        tables,
        heads,
    })
}

impl Report {
    /// Whether the log holds nothing of this week: all figures are none.
    pub fn is_empty(&self) -> bool {
        self.figures.iter().all(|(_, figure)| figure == "0")
    }
}

impl Question {
    pub(super) async fn ask(self, engine: &Engine) -> Result<Table, Error> {
        let batches = engine.sql(&self.sql).await?;
        let schema = batches.first().map(RecordBatch::schema);
        let fields = schema.as_ref().map(|schema| schema.fields().clone()).unwrap_or_default();
        let mut rows = Vec::new();
        for batch in &batches {
            let options = FormatOptions::default().with_null("").with_timestamp_tz_format(Some("%Y-%m-%dT%H:%M:%SZ"));
            let columns = batch
                .columns()
                .iter()
                .map(|column| ArrayFormatter::try_new(column.as_ref(), &options))
                .collect::<Result<Vec<_>, _>>()?;
            for row in 0..batch.num_rows() {
                rows.push(columns.iter().map(|column| column.value(row).to_string()).collect());
            }
        }
        let left_out = rows.len().saturating_sub(ROWS_MAX);
        rows.truncate(ROWS_MAX);
        Ok(Table {
            key: self.key,
            title: self.title,
            note: self.note,
            columns: fields.iter().map(|field| field.name().replace('_', " ")).collect(),
            kinds: fields.iter().map(|field| Kind::of(field.data_type())).collect(),
            sql: self.sql,
            rows,
            left_out,
        })
    }
}
