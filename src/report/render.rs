//! A report as a page, as text, as JSON.

use std::fmt::Write as _;

use askama::Template;
use serde_json::{Map, Value, json};

use super::chart::{grouped, people_by_day};
use super::contents::{Error, Kind, Report, Table};
use super::words::{said, width};
use crate::alert::{Lang, Letter};

/// The text's width, characters.
const TEXT_COLUMNS: usize = 100;
/// Tables that a mail shows; the attached page has all.
const MAIL_TABLES: [&str; 3] = ["findings", "readers", "weeks"];
/// Rows of each of them.
const MAIL_ROWS_MAX: usize = 15;

#[derive(Template)]
#[template(path = "report.html")]
struct Page<'a> {
    lang: Lang,
    report: &'a Report,
    week: String,
    days: (String, String),
    chart: String,
    version: &'static str,
    log: &'a str,
}

impl Page<'_> {
    /// In the page's language.
    fn say<'w>(&self, english: &'w str) -> &'w str {
        said(self.lang, english)
    }

    fn code(&self) -> &'static str {
        code(self.lang)
    }

    fn span(&self) -> String {
        span(self.lang, &self.days)
    }

    fn shown(cell: &str, kind: &Kind) -> String {
        shown(cell, *kind)
    }

    fn class(kind: &Kind) -> &'static str {
        match kind {
            Kind::Text => "",
            Kind::Number => "n",
            Kind::Time => "t",
        }
    }
}

/// The body of a mail: mail readers take no style sheet's variables and no SVG, and cut off what is long. So it is an extract
/// with its styles in place; the page itself goes with it as a file.
#[derive(Template)]
#[template(path = "mail.html")]
struct MailPart<'a> {
    lang: Lang,
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
    /// In the mail's language.
    fn say<'w>(&self, english: &'w str) -> &'w str {
        said(self.lang, english)
    }

    fn code(&self) -> &'static str {
        code(self.lang)
    }

    fn span(&self) -> String {
        span(self.lang, &self.days)
    }

    fn shown(cell: &str, kind: &Kind) -> String {
        shown(cell, *kind)
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

/// BCP 47.
fn code(lang: Lang) -> &'static str {
    match lang {
        Lang::En => "en",
        Lang::Ja => "ja",
    }
}

/// The first day and the last.
fn span(lang: Lang, (first, last): &(String, String)) -> String {
    match lang {
        Lang::En => format!("{first} to {last}, UTC"),
        Lang::Ja => format!("{first} から {last} まで（UTC）"),
    }
}

/// For people: `2026-11-24 14:45:00`.
fn time(cell: &str) -> String {
    cell.trim_end_matches('Z').replacen('T', " ", 1)
}

fn shown(cell: &str, kind: Kind) -> String {
    match (kind, cell.parse()) {
        (Kind::Number, Ok(number)) => grouped(number),
        (Kind::Time, _) => time(cell),
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
    pub fn html(&self, log: &str, lang: Lang) -> Result<String, Error> {
        let [first, .., last] = self.week.days();
        let page = Page {
            lang,
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
    pub fn letter(&self, log: &str, lang: Lang) -> Result<Letter, Error> {
        let [first, .., last] = self.week.days();
        let most = self.people_by_day.iter().map(|(_, people)| *people).max().unwrap_or(0).max(1);
        let part = MailPart {
            lang,
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
        let found: Vec<String> =
            self.severities.iter().filter(|(_, count)| *count > 0).map(|one| severity(lang, one)).collect();
        let found = match found.is_empty() {
            true => said(lang, "no findings").to_owned(),
            false => format!("{}: {}", said(lang, "findings"), found.join(", ")),
        };
        let subject = format!("[mitsuke] {}, {}, {found}", said(lang, "Suspicious access"), self.week);
        Ok(Letter { subject, text: self.text(lang), html: part.render()? })
    }

    /// For a terminal or a mail.
    pub fn text(&self, lang: Lang) -> String {
        let [first, .., last] = self.week.days();
        let span = span(lang, &(first.to_string(), last.to_string()));
        let mut out = format!("{}, {} ({span})\n\n", said(lang, "Suspicious access"), self.week);
        let severities: Vec<String> = self.severities.iter().map(|one| severity(lang, one)).collect();
        let _ = writeln!(out, "{}: {}", said(lang, "Findings"), severities.join(", "));
        for (name, value) in &self.figures {
            let _ = writeln!(out, "{} {value:>12}", left(said(lang, name), 24));
        }
        let _ = writeln!(out, "\n{}", said(lang, "People read per day"));
        let most = self.people_by_day.iter().map(|(_, people)| *people).max().unwrap_or(0).max(1);
        for (day, people) in &self.people_by_day {
            let bar = usize::try_from(people.saturating_mul(60) / most).unwrap_or(0);
            let _ = writeln!(out, "{day} {:>12} {}", grouped(*people), "#".repeat(bar));
        }
        for table in &self.tables {
            text_table(&mut out, table, lang);
        }
        for (index, head) in self.heads.iter().enumerate() {
            if index == 0 {
                let _ = writeln!(out, "\n{}", said(lang, "The chain's head, for `mitsuke verify --head`"));
            }
            let _ = writeln!(out, "{} {} {}: {}", head.writer, said(lang, "line"), head.number, head.hash);
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
            "figures": self.figures.iter().map(|(key, value)| (key.replace(' ', "_"), number_or_text(value, Kind::Number))).collect::<Map<_, _>>(),
            "tables": tables,
            "heads": self.heads.iter().map(|head| json!({ "writer": head.writer, "line": head.number, "hash": head.hash })).collect::<Vec<_>>(),
        })
    }
}

fn severity(lang: Lang, (name, count): &(String, u64)) -> String {
    match lang {
        Lang::En => format!("{count} {name}"),
        Lang::Ja => format!("{} {count} 件", said(lang, name)),
    }
}

/// With spaces behind it up to that width.
fn left(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(width(text))))
}

/// With spaces before it.
fn right(text: &str, columns: usize) -> String {
    format!("{}{text}", " ".repeat(columns.saturating_sub(width(text))))
}

fn rows(table: &Table) -> Value {
    let row = |row: &Vec<String>| {
        let cells = table.columns.iter().zip(&table.kinds).zip(row);
        let cells = cells.map(|((name, kind), cell)| (name.replace(' ', "_"), number_or_text(cell, *kind)));
        Value::Object(cells.collect())
    };
    json!({ "sql": table.sql, "left_out": table.left_out, "rows": table.rows.iter().map(row).collect::<Vec<_>>() })
}

fn number_or_text(cell: &str, kind: Kind) -> Value {
    match (cell.is_empty(), kind, cell.parse::<u64>()) {
        (true, Kind::Number | Kind::Time, _) => Value::Null,
        (_, Kind::Number, Ok(number)) => json!(number),
        _ => json!(cell),
    }
}

/// Columns side by side. Where they are too many for a line, the widest is told beneath its row, whole.
fn text_table(out: &mut String, table: &Table, lang: Lang) {
    let title = said(lang, table.title);
    let _ = writeln!(out, "\n{title}\n{}", "-".repeat(width(title)));
    if table.rows.is_empty() {
        let _ = writeln!(out, "{}", said(lang, "none"));
        return;
    }
    let plain = |cell: &str, kind: Kind| -> String {
        let shown = if kind == Kind::Time { time(cell) } else { cell.to_owned() };
        shown.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
    };
    let lines: Vec<Vec<String>> =
        std::iter::once(table.columns.iter().map(|name| said(lang, name).to_owned()).collect())
            .chain(
                table
                    .rows
                    .iter()
                    .map(|row| row.iter().zip(&table.kinds).map(|(cell, kind)| plain(cell, *kind)).collect()),
            )
            .collect();
    let widest = |column: usize| lines.iter().filter_map(|line| line.get(column)).map(|cell| width(cell)).max();
    let widths: Vec<usize> = (0..table.columns.len()).map(|column| widest(column).unwrap_or(0)).collect();
    let total: usize = widths.iter().map(|width| width + 2).sum();
    let widest = (0..widths.len()).max_by_key(|column| widths.get(*column));
    let beneath = widest.filter(|_| total > TEXT_COLUMNS);
    for (index, line) in lines.iter().enumerate() {
        let mut text = String::new();
        for (column, ((cell, width), kind)) in line.iter().zip(&widths).zip(&table.kinds).enumerate() {
            if Some(column) == beneath {
                continue;
            }
            text.push_str(&if *kind == Kind::Number { right(cell, *width) } else { left(cell, *width) });
            text.push_str("  ");
        }
        let _ = writeln!(out, "{}", text.trim_end());
        if let (Some(cell), true) = (beneath.and_then(|column| line.get(column)), index > 0) {
            let _ = writeln!(out, "    {cell}");
        }
    }
    if table.left_out > 0 {
        let _ = writeln!(out, "… {} {}", table.left_out, said(lang, "more"));
    }
}
