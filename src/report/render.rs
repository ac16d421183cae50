//! A report as a page, as text, as JSON.

use std::fmt::Write as _;

use askama::Template;
use serde_json::{Map, Value, json};

use super::chart::{grouped, people_by_day};
use super::contents::{Error, Report, Table};

/// The text's width, characters. The widest column is cut to fit.
const TEXT_COLUMNS: usize = 100;

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
        match (numeric, cell.parse()) {
            (true, Ok(number)) => grouped(number),
            _ => cell.to_owned(),
        }
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

    /// For a terminal or a mail.
    pub fn text(&self) -> String {
        let [first, .., last] = self.week.days();
        let mut out = format!("Suspicious access, {} ({first} to {last}, UTC)\n\n", self.week);
        let severities: Vec<String> = self.severities.iter().map(|(name, count)| format!("{count} {name}")).collect();
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
    let mut widths: Vec<usize> = (0..table.columns.len()).map(width).collect();
    let total: usize = widths.iter().map(|width| width + 2).sum();
    if let (Some(widest), true) = (widths.iter_mut().max(), total > TEXT_COLUMNS) {
        *widest = widest.saturating_sub(total - TEXT_COLUMNS).max(16);
    }
    let mut line = |cells: &[String]| {
        let mut text = String::new();
        for ((cell, width), numeric) in cells.iter().zip(&widths).zip(&table.numeric) {
            let plain: String = cell.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            let cut: String = match plain.chars().count() > *width {
                true => plain.chars().take(width.saturating_sub(1)).chain(['…']).collect(),
                false => plain,
            };
            let _ = if *numeric { write!(text, "{cut:>width$}  ") } else { write!(text, "{cut:<width$}  ") };
        }
        let _ = writeln!(out, "{}", text.trim_end());
    };
    line(&table.columns);
    for row in &table.rows {
        line(row);
    }
    if table.left_out > 0 {
        let _ = writeln!(out, "… and {} more", table.left_out);
    }
}
