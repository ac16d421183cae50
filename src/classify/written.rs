//! What a proposal looks like: YAML with the reasons as comments, text for people, JSON for scripts.
//!
//! In: a [`Proposal`]. Out: text. The YAML loads as `classification.yaml` as it stands; a test holds it. Holds names and counts, no value.

use std::fmt::Write;

use serde_json::json;

use super::{Degree, ForTable, Proposal};

/// The patterns that hold for tables to come, of the built-in classification.
const BUILT_IN: &str = include_str!("../../policies/classification.yaml");

/// As `classification.yaml`. `levels`: those of the classification in force. `with_patterns`: followed by the built-in patterns, so that
/// tables to come are covered; else it is the difference to a classification that has its own.
pub fn yaml(proposal: &Proposal, database: &str, levels: &[&str], with_patterns: bool) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "# Proposed by `mitsuke classify` for the database {}. {}",
        one_line(database),
        summary(proposal)
    );
    out.push_str(match with_patterns {
        true => "# Read it, correct it, and save it as classification.yaml in the folder of [policies].path.\n",
        false => "# Only what the classification in force does not have: add it there. It keeps what it says.\n",
    });
    for (table, why) in &proposal.refused {
        let _ = writeln!(out, "# Not sampled, judged by names alone: {}: {}", one_line(table), one_line(why));
    }
    let _ = writeln!(out, "levels: [{}]", levels.iter().map(|level| quoted(level)).collect::<Vec<_>>().join(", "));
    let patterns = BUILT_IN.split_once("\ntables:\n").map(|(_, patterns)| patterns).filter(|_| with_patterns);
    if proposal.tables.is_empty() && patterns.is_none() {
        return out + "tables: {}\n";
    }
    out.push_str("tables:\n");
    for table in &proposal.tables {
        entry(&mut out, table, levels);
    }
    if let Some(patterns) = patterns {
        out.push_str("  # Names that are personal wherever they are, as built in: for tables to come.\n");
        out.push_str(patterns);
    }
    out
}

fn entry(out: &mut String, table: &ForTable, levels: &[&str]) {
    if table.schema.contains(['.', '*']) || table.name.contains('*') {
        let _ = writeln!(
            out,
            "  # {}.{}: a name with `.` or `*` in it cannot be classified",
            one_line(&table.schema),
            one_line(&table.name)
        );
        return;
    }
    for note in &table.notes {
        let _ = writeln!(out, "  # {}", one_line(note));
    }
    let _ = writeln!(out, "  {}:", quoted(&format!("{}.{}", table.schema, table.name)));
    if let Some((subject, why)) = &table.subject {
        let _ = writeln!(out, "    subject: {}  # {}", quoted(subject), one_line(why));
    }
    if table.columns.is_empty() {
        return;
    }
    out.push_str("    columns:\n");
    for column in &table.columns {
        let level = level_in(levels, column.level);
        let reasons = one_line(&column.reasons.join("; "));
        let _ = writeln!(out, "      {}: {}  # {reasons}", quoted(&column.name.to_lowercase()), quoted(level));
    }
}

/// The level as this classification calls it: its highest where it has no `sensitive`.
fn level_in<'a>(levels: &[&'a str], level: Degree) -> &'a str {
    let named = levels.iter().find(|name| **name == level.as_str());
    named.or_else(|| levels.last()).copied().unwrap_or("personal")
}

/// For people.
pub fn text(proposal: &Proposal) -> String {
    let mut out = String::new();
    for table in &proposal.tables {
        let _ = writeln!(out, "{}.{}", table.schema, table.name);
        if let Some((subject, why)) = &table.subject {
            let _ = writeln!(out, "  people are counted by {subject}: {why}");
        }
        let width = table.columns.iter().map(|column| column.name.chars().count()).max().unwrap_or(0);
        for column in &table.columns {
            let _ = writeln!(out, "  {:width$}  {:9}  {}", column.name, column.level, column.reasons.join("; "));
        }
        for note in &table.notes {
            let _ = writeln!(out, "  note: {note}");
        }
    }
    for (table, why) in &proposal.refused {
        let _ = writeln!(out, "{table}: not sampled, judged by names alone: {why}");
    }
    let _ = writeln!(out, "{}", summary(proposal));
    out
}

/// For scripts.
pub fn json(proposal: &Proposal, database: &str) -> String {
    let tables = proposal.tables.iter().map(|table| {
        let columns = table
            .columns
            .iter()
            .map(|column| json!({ "name": column.name, "level": column.level.as_str(), "reasons": column.reasons }));
        json!({
            "schema": table.schema,
            "table": table.name,
            "subject": table.subject.as_ref().map(|(subject, _)| subject),
            "subject_reason": table.subject.as_ref().map(|(_, why)| why),
            "notes": table.notes,
            "columns": columns.collect::<Vec<_>>(),
        })
    });
    let refused = proposal.refused.iter().map(|(table, why)| json!({ "table": table, "reason": why }));
    let whole = json!({
        "database": database,
        "tables_seen": proposal.tables_seen,
        "columns_seen": proposal.columns_seen,
        "columns_kept": proposal.kept,
        "tables": tables.collect::<Vec<_>>(),
        "not_sampled": refused.collect::<Vec<_>>(),
    });
    format!("{whole:#}\n")
}

/// What was looked at and what came of it, in a sentence.
pub fn summary(proposal: &Proposal) -> String {
    let (personal, sensitive) = (proposal.count(Degree::Personal), proposal.count(Degree::Sensitive));
    let mut told = format!(
        "Of {} in {}, {personal} look personal and {sensitive} sensitive",
        count(proposal.columns_seen, "column"),
        count(proposal.tables_seen, "table"),
    );
    let innocent = proposal.count(Degree::Internal);
    if innocent > 0 {
        let _ = write!(
            told,
            "; {innocent} only by name, and not by what {} hold{}",
            if innocent == 1 { "it" } else { "they" },
            if innocent == 1 { "s" } else { "" }
        );
    }
    if proposal.kept > 0 {
        let _ = write!(told, "; {} classified already", proposal.kept);
    }
    told + "."
}

fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// As YAML takes it: bare where it is a plain word, else in double quotes, which are JSON's.
fn quoted(name: &str) -> String {
    let is_plain = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.'));
    let means_else =
        matches!(&*name.to_lowercase(), "null" | "true" | "false" | "yes" | "no" | "on" | "off" | "y" | "n");
    match is_plain && !means_else {
        true => name.to_owned(),
        false => serde_json::Value::from(name).to_string(),
    }
}

/// In a comment nothing may end the line.
fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{85}') { ' ' } else { c })
        .collect()
}
