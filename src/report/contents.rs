//! What a report holds: tables of figures, each with the SQL that gave it.
//!
//! In: SQL over the log. Out: a [`Report`], not rendered yet.

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::week::Week;
use crate::query::{self, Engine};

/// Weeks before this one that it is held against.
const WEEKS_BEFORE: i64 = 4;
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
    /// Whether a column is a number.
    pub numeric: Vec<bool>,
    /// As text; empty for null.
    pub rows: Vec<Vec<String>>,
    /// Rows beyond [`ROWS_MAX`].
    pub left_out: usize,
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
}

/// Asks the log for a week.
///
/// # Errors
/// The log cannot be read.
pub async fn build(engine: &Engine, week: Week) -> Result<Report, Error> {
    let mut tables = Vec::new();
    for question in questions(week) {
        tables.push(question.ask(engine).await?);
    }
    let figures = Question { key: "figures", title: "", note: "", sql: figures_sql(week) }.ask(engine).await?;
    let values = figures.rows.into_iter().next().unwrap_or_default();
    let severities = Question { key: "severities", title: "", note: "", sql: severities_sql(week) }.ask(engine).await?;
    let days = Question { key: "days", title: "", note: "", sql: days_sql(week) }.ask(engine).await?;
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
    })
}

struct Question {
    key: &'static str,
    title: &'static str,
    note: &'static str,
    sql: String,
}

impl Question {
    async fn ask(self, engine: &Engine) -> Result<Table, Error> {
        let batches = engine.sql(&self.sql).await?;
        let schema = batches.first().map(RecordBatch::schema);
        let fields = schema.as_ref().map(|schema| schema.fields().clone()).unwrap_or_default();
        let mut rows = Vec::new();
        for batch in &batches {
            let options = FormatOptions::default().with_null("");
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
            numeric: fields.iter().map(|field| field.data_type().is_numeric()).collect(),
            sql: self.sql,
            rows,
            left_out,
        })
    }
}

fn within(week: Week) -> String {
    format!("\"at\" >= {} and \"at\" < {}", week.start_sql(), week.end_sql())
}

fn figures_sql(week: Week) -> String {
    let within = within(week);
    format!(
        "select (select count(*) from statements where {within}) as statements, \
         (select count(*) from sessions where {within}) as sessions_ended, \
         (select count(distinct db_user) from statements where {within}) as users, \
         (select coalesce(sum(personal_rows), 0) from statements where {within}) as rows_of_personal_data, \
         (select count(*) from findings where {within}) as findings, \
         (select count(distinct writer) from statements where {within}) as sidecars"
    )
}

fn severities_sql(week: Week) -> String {
    format!("select severity, count(*) as findings from findings where {} group by severity", within(week))
}

fn days_sql(week: Week) -> String {
    format!(
        "select cast(cast(\"at\" as date) as varchar) as day, sum(persons) as people from statements where {} group by 1 order by 1",
        within(week)
    )
}

fn questions(week: Week) -> Vec<Question> {
    let span = within(week);
    let column = |before: i64| {
        let then = week.before(before);
        let name = if before == 0 { "this_week".to_owned() } else { format!("{before}_before") };
        format!("sum(case when {} then persons else 0 end) as \"{name}\"", within(then))
    };
    let weeks: Vec<String> = (0..=WEEKS_BEFORE).map(column).collect();
    let since = week.before(WEEKS_BEFORE).start_sql();
    vec![
        Question {
            key: "findings",
            title: "Findings",
            note: "What a policy matched, the gravest first. The log has each one's evidence by statement number.",
            sql: format!(
                "select severity, \"at\", policy, db_user, client_addr, explanation, observed, threshold from findings \
                 where {span} order by case severity when 'critical' then 0 when 'high' then 1 when 'medium' then 2 \
                 else 3 end, \"at\""
            ),
        },
        Question {
            key: "readers",
            title: "Who read how many people",
            note: "People are counted anew by each statement: somebody looked up twice counts twice. Rows without a \
                   known data subject count as one person each.",
            sql: format!(
                "select db_user, coalesce(end_user, '') as end_user, count(*) as statements, sum(persons) as people, \
                 max(persons) as most_at_once, sum(personal_rows) as rows, count(distinct client_addr) as addresses \
                 from statements where {span} and personal_rows > 0 group by 1, 2 order by people desc"
            ),
        },
        Question {
            key: "weeks",
            title: "Against the weeks before",
            note: "People read by each user, this week and in the four before it.",
            sql: format!(
                "select db_user, {} from statements where \"at\" >= {since} and \"at\" < {} and personal_rows > 0 \
                 group by 1 order by 2 desc",
                weeks.join(", "),
                week.end_sql()
            ),
        },
        Question {
            key: "relations",
            title: "From which tables",
            note: "Statements that returned personal data, by every table they read.",
            sql: format!(
                "select relation, count(*) as statements, sum(persons) as people from (select unnest(relations) as \
                 relation, persons from statements where {span} and personal_rows > 0) group by 1 order by people desc"
            ),
        },
        Question {
            key: "certainty",
            title: "How sure the log is",
            note: "exact: text, catalog and wire agree. inferred: from the text or names alone. assumed: the worst that \
                   could be.",
            sql: format!(
                "select certainty, parse, catalog, count(*) as statements, sum(persons) as people from statements \
                 where {span} and personal_rows > 0 group by 1, 2, 3 order by 4 desc"
            ),
        },
        Question {
            key: "permits",
            title: "Permits used",
            note: "Announced bulk work. Statements that a permit covers raise no finding of bulk reading.",
            sql: format!(
                "select permit, db_user, count(*) as statements, sum(persons) as people, min(\"at\") as first, \
                 max(\"at\") as last from statements where {span} and permit is not null group by 1, 2 order by 4 desc"
            ),
        },
        Question {
            key: "logins",
            title: "Failed logins",
            note: "Sessions that ended with a wrong credential.",
            sql: format!(
                "select db_user, client_addr, count(*) as attempts, min(\"at\") as first, max(\"at\") as last \
                 from sessions where {span} and outcome = 'auth_failed' group by 1, 2 order by 3 desc"
            ),
        },
        Question {
            key: "coverage",
            title: "What the log covers",
            note: "Days without a statement are not in this table: nothing is claimed of them. Gaps in the log are \
                   findings of the policy log-gap.",
            sql: format!(
                "select cast(\"at\" as date) as day, writer, count(*) as statements, min(seq) as first_seq, \
                 max(seq) as last_seq from statements where {span} group by 1, 2 order by 1, 2"
            ),
        },
    ]
}
