//! A report as a page, as text, as JSON.

use std::fmt::Write as _;

use askama::Template;
use serde_json::{Map, Value, json};

use super::chart::{grouped, people_by_day};
use super::contents::{Error, Report, Table};
use crate::alert::Letter;

/// The text's width, characters.
const TEXT_COLUMNS: usize = 100;
/// Tables that a mail shows; the attached page has all.
const MAIL_TABLES: [&str; 3] = ["findings", "readers", "weeks"];
/// Rows of each of them.
const MAIL_ROWS_MAX: usize = 15;

#[derive(Template)]
#[template(path = "report.html")]
struct Page<'a> {
    report: &'a Report,
    week: String,
    days: (String, String),
    chart: String,
    version: &'static str,
    log: &'a str,
}

impl Page<'_> {
    fn shown(cell: &str, numeric: &bool) -> String {
        shown(cell, *numeric)
    }
}

/// The body of a mail: mail readers take no style sheet's variables and no SVG, and cut off what is long. So it is an extract
/// with its styles in place; the page itself goes with it as a file.
#[derive(Template)]
#[template(path = "mail.html")]
struct MailPart<'a> {
    report: &'a Report,
    week: String,
    days: (String, String),
    log: &'a str,
    /// Day, people, and the bar's length.
    bars: Vec<(&'a str, String, u64)>,
    tables: Vec<&'a Table>,
    rows_max: usize,
}

impl MailPart<'_> {
    fn shown(cell: &str, numeric: &bool) -> String {
        shown(cell, *numeric)
    }

    fn colour(severity: &str) -> &'static str {
        match severity {
            "critical" => "#b91c1c",
            "high" => "#c2410c",
            "medium" => "#b7791f",
            _ => "#3f7cac",
        }
    }
}

fn shown(cell: &str, numeric: bool) -> String {
    match (numeric, cell.parse()) {
        (true, Ok(number)) => grouped(number),
        _ => cell.to_owned(),
    }
}

impl Table {
    /// Rows that are not among the first `shown`.
    fn beyond(&self, shown: &usize) -> usize {
        self.rows.len().saturating_sub(*shown).saturating_add(self.left_out)
    }
}

impl Report {
    /// One page that needs nothing else. `log`: where the log lies, for the reader.
    ///
    /// # Errors
    /// The chart's or the template's.
    pub fn html(&self, log: &str) -> Result<String, Error> {
        let [first, .., last] = self.week.days();
        let page = Page {
            report: self,
            week: self.week.to_string(),
            days: (first.to_string(), last.to_string()),
            chart: people_by_day(&self.people_by_day)?,
            version: env!("CARGO_PKG_VERSION"),
            log,
        };
        Ok(page.render()?)
    }

    /// What a mail says; the page goes with it as a file.
    ///
    /// # Errors
    /// The template's.
    pub fn letter(&self, log: &str) -> Result<Letter, Error> {
        let [first, .., last] = self.week.days();
        let most = self.people_by_day.iter().map(|(_, people)| *people).max().unwrap_or(0).max(1);
        let part = MailPart {
            report: self,
            week: self.week.to_string(),
            days: (first.to_string(), last.to_string()),
            log,
            bars: self
                .people_by_day
                .iter()
                .map(|(day, people)| (day.as_str(), grouped(*people), people.saturating_mul(100) / most))
                .collect(),
            tables: self.tables.iter().filter(|table| MAIL_TABLES.contains(&table.key)).collect(),
            rows_max: MAIL_ROWS_MAX,
        };
        let found: Vec<String> = self.severities.iter().filter(|(_, count)| *count > 0).map(severity).collect();
        let found = if found.is_empty() { "no findings".to_owned() } else { format!("findings: {}", found.join(", ")) };
        let subject = format!("[mitsuke] Suspicious access, {}, {found}", self.week);
        Ok(Letter { subject, text: self.text(), html: part.render()? })
    }

    /// For a terminal or a mail.
    pub fn text(&self) -> String {
        let [first, .., last] = self.week.days();
        let mut out = format!("Suspicious access, {} ({first} to {last}, UTC)\n\n", self.week);
        let severities: Vec<String> = self.severities.iter().map(severity).collect();
        let _ = writeln!(out, "Findings: {}", severities.join(", "));
        for (name, value) in &self.figures {
            let _ = writeln!(out, "{name:<24} {value:>12}");
        }
        let _ = writeln!(out, "\nPeople read per day");
        let most = self.people_by_day.iter().map(|(_, people)| *people).max().unwrap_or(0).max(1);
        for (day, people) in &self.people_by_day {
            let bar = usize::try_from(people.saturating_mul(60) / most).unwrap_or(0);
            let _ = writeln!(out, "{day} {:>12} {}", grouped(*people), "#".repeat(bar));
        }
        for table in &self.tables {
            text_table(&mut out, table);
        }
        out
    }

    /// With stable keys.
    pub fn json(&self) -> Value {
        let tables: Map<String, Value> = self.tables.iter().map(|table| (table.key.to_owned(), rows(table))).collect();
        let pairs = |pairs: &[(String, u64)]| pairs.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
        json!({
            "week": self.week.to_string(),
            "severities": Value::Object(pairs(&self.severities)),
            "people_by_day": Value::Object(pairs(&self.people_by_day)),
            "figures": self.figures.iter().map(|(key, value)| (key.replace(' ', "_"), number_or_text(value, true))).collect::<Map<_, _>>(),
            "tables": tables,
        })
    }
}

fn severity((name, count): &(String, u64)) -> String {
    format!("{count} {name}")
}

fn rows(table: &Table) -> Value {
    let row = |row: &Vec<String>| {
        let cells = table.columns.iter().zip(&table.numeric).zip(row);
        let cells = cells.map(|((name, numeric), cell)| (name.replace(' ', "_"), number_or_text(cell, *numeric)));
        Value::Object(cells.collect())
    };
    json!({ "sql": table.sql, "left_out": table.left_out, "rows": table.rows.iter().map(row).collect::<Vec<_>>() })
}

fn number_or_text(cell: &str, numeric: bool) -> Value {
    match (cell.is_empty(), numeric, cell.parse::<u64>()) {
        (true, true, _) => Value::Null,
        (_, true, Ok(number)) => json!(number),
        _ => json!(cell),
    }
}

/// Where the columns do not fit, the widest is told on a line of its own below each row, uncut.
fn text_table(out: &mut String, table: &Table) {
    let _ = writeln!(out, "\n{}\n{}", table.title, "-".repeat(table.title.chars().count()));
    if table.rows.is_empty() {
        out.push_str("none\n");
        return;
    }
    let width = |column: usize| {
        let cells = table.rows.iter().filter_map(|row| row.get(column)).chain(table.columns.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..table.columns.len()).map(width).collect();
    let total: usize = widths.iter().map(|width| width + 2).sum();
    let below = (total > TEXT_COLUMNS).then(|| (0..widths.len()).max_by_key(|column| widths.get(*column))).flatten();
    let mut line = |cells: &[String], is_head: bool| {
        let mut text = String::new();
        for (column, ((cell, width), numeric)) in cells.iter().zip(&widths).zip(&table.numeric).enumerate() {
            if Some(column) != below {
                let cell = plain(cell);
                let _ = if *numeric { write!(text, "{cell:>width$}  ") } else { write!(text, "{cell:<width$}  ") };
            }
        }
        let _ = writeln!(out, "{}", text.trim_end());
        if let (Some(cell), false) = (below.and_then(|column| cells.get(column)), is_head) {
            let _ = writeln!(out, "    {}", plain(cell));
        }
    };
    line(&table.columns, true);
    for row in &table.rows {
        line(row, false);
    }
    if table.left_out > 0 {
        let _ = writeln!(out, "… and {} more", table.left_out);
    }
}

fn plain(cell: &str) -> String {
    cell.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
