//! Where a statement's data goes on to: tables, views and temporary tables that it makes or fills.
//!
//! In: a statement's tokens, and its analysis so far. Out: one [`Flow`] a relation, its columns followed where they can be.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::output::Tree;
use super::tokens::Tokens;
use super::{Analysis, ColumnRef, RelationName, output};
use crate::record::Text;

/// What becomes of a relation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fate {
    /// It was not there before.
    Made,
    /// It is made anew, or was there, perhaps.
    Replaced,
    /// Rows or values are added.
    Filled,
    /// It is gone, or empty.
    Emptied,
}

/// Columns by name, each with what it is made from.
pub type Sources = Vec<(Option<Text>, Vec<ColumnRef>)>;

/// One relation, and what its columns are filled from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flow {
    /// The relation.
    pub into: RelationName,
    /// What becomes of it.
    pub fate: Fate,
    /// Whether it is this session's own.
    pub temporary: bool,
    /// Whether it is gone with its transaction.
    pub until_commit: bool,
    /// Whether it holds nothing itself, and shows what it is made of.
    pub is_view: bool,
    /// Whether values go into its columns by their position.
    pub inserts: bool,
    /// Its columns in the order of `columns`, where the statement names them.
    pub names: Vec<Text>,
    /// What is filled in; `None` where any column may hold anything that is read.
    pub columns: Option<Sources>,
}

impl Flow {
    pub(super) fn new(into: RelationName, fate: Fate) -> Flow {
        Flow {
            into,
            fate,
            temporary: false,
            until_commit: false,
            inserts: false,
            is_view: false,
            names: Vec::new(),
            columns: None,
        }
    }
}

/// See the module.
pub(super) fn of(tokens: &Tokens<'_>, text: &str, analysis: &Analysis, tree: &Tree<'_>) -> Vec<Flow> {
    let is_safe = tree.is_safe();
    let first = tokens.word(0);
    match first.as_str() {
        "create" => {
            let made = made(tokens, is_safe);
            // Its query may write besides.
            let has_with = tokens.find(0, "as").is_some_and(|at| tokens.word(at + 1) == "with");
            let is_other = |name: &&RelationName| has_with && made.as_ref().is_some_and(|made| made.into != **name);
            let others = analysis.writes.iter().filter(is_other);
            let filled: Vec<Flow> = others.map(|into| Flow::new(into.clone(), Fate::Filled)).collect();
            made.into_iter().chain(filled).collect()
        }
        "select" | "values" | "table" | "with" if analysis.writes.len() == 1 && tokens.find(0, "into").is_some() => {
            selected_into(tokens, text, is_safe).into_iter().collect()
        }
        "alter" => altered(tokens).into_iter().chain(computed(tokens, analysis)).collect(),
        "drop" | "truncate" => analysis
            .writes
            .iter()
            .map(|name| Flow { columns: Some(Vec::new()), ..Flow::new(name.clone(), Fate::Emptied) })
            .collect(),
        "insert" | "update" => {
            let [into] = &analysis.writes[..] else { return filled(analysis) };
            let filled = tree.filled();
            let (names, columns) = filled.map_or((Vec::new(), None), |(names, columns)| (names, Some(columns)));
            vec![Flow { names, columns, inserts: first == "insert", ..Flow::new(into.clone(), Fate::Filled) }]
        }
        "merge" | "with" => filled(analysis),
        _ => Vec::new(),
    }
}

fn filled(analysis: &Analysis) -> Vec<Flow> {
    analysis.writes.iter().map(|into| Flow::new(into.clone(), Fate::Filled)).collect()
}

/// CREATE TABLE, VIEW, MATERIALIZED VIEW, with a query or without.
fn made(tokens: &Tokens<'_>, is_safe: bool) -> Option<Flow> {
    let mut at = 1;
    let (mut temporary, mut replaced) = (false, false);
    loop {
        match tokens.word(at).as_str() {
            "or" | "replace" => replaced = true,
            "temp" | "temporary" => temporary = true,
            "unlogged" | "global" | "local" | "recursive" | "materialized" | "foreign" => {}
            "table" | "view" => break,
            _ => return None,
        }
        at += 1;
    }
    let is_view = tokens.word(at) == "view";
    at += 1;
    if tokens.are(at, &["if", "not", "exists"]) {
        at += 3;
        replaced = true;
    }
    let (into, at) = relation(tokens, at)?;
    let mut flow = Flow::new(into, if replaced { Fate::Replaced } else { Fate::Made });
    flow.is_view = is_view;
    flow.temporary = temporary || flow.into.schema.as_deref() == Some("pg_temp");
    flow.until_commit =
        tokens.find(at, "drop").is_some_and(|drop| tokens.are(drop.saturating_sub(2), &["on", "commit"]));
    let Some(query) = tokens.find(at, "as") else {
        // LIKE and PARTITION OF take columns, no rows.
        flow.columns = Some(Vec::new());
        return Some(flow);
    };
    if tokens.word(at) == "(" {
        flow.names = tokens.names_between(at, query);
    }
    let query = tokens.rest(query + 1);
    if tokens_of_execute(query) {
        return Some(flow);
    }
    let query = without_data(query);
    flow.columns = is_safe.then(|| output::of(query)).flatten().map(|outputs| sources(outputs.by_column));
    Some(flow)
}

fn tokens_of_execute(query: &str) -> bool {
    query.trim_start().get(..8).is_some_and(|word| word.eq_ignore_ascii_case("execute "))
}

/// A query without `WITH DATA` and `WITH NO DATA` behind it.
fn without_data(query: &str) -> &str {
    let trimmed = query.trim_end().trim_end_matches(';').trim_end();
    let lower = trimmed.to_ascii_lowercase();
    let end = ["with no data", "with data"].iter().find_map(|words| lower.strip_suffix(words)).map(str::len);
    end.and_then(|end| trimmed.get(..end)).unwrap_or(trimmed)
}

/// SELECT … INTO.
fn selected_into(tokens: &Tokens<'_>, text: &str, is_safe: bool) -> Option<Flow> {
    let start = tokens.find(0, "into")?;
    let mut at = start + 1;
    let mut temporary = false;
    while matches!(tokens.word(at).as_str(), "temp" | "temporary" | "unlogged" | "table" | "local" | "global") {
        temporary |= tokens.word(at).starts_with("temp");
        at += 1;
    }
    let (into, behind) = relation(tokens, at)?;
    let before = text.get(..text.len().checked_sub(tokens.rest(start).len())?)?;
    let query = format!("{before} {}", tokens.rest(behind));
    let columns = is_safe.then(|| output::of(&query)).flatten().map(|outputs| sources(outputs.by_column));
    Some(Flow { temporary, columns, ..Flow::new(into, Fate::Made) })
}

/// ALTER TABLE, VIEW …: a relation, or a column, under another name; a partition attached.
fn altered(tokens: &Tokens<'_>) -> Option<Flow> {
    let mut at = 1;
    while matches!(tokens.word(at).as_str(), "materialized" | "foreign") {
        at += 1;
    }
    if !matches!(tokens.word(at).as_str(), "table" | "view") {
        return None;
    }
    at += 1;
    while matches!(tokens.word(at).as_str(), "if" | "exists" | "only") {
        at += 1;
    }
    let (from, at) = relation(tokens, at)?;
    let star = |relation: &RelationName| Some(vec![(None, vec![ColumnRef::new(Some(relation.clone()), None, true)])]);
    if tokens.are(at, &["set", "schema"]) {
        let into = RelationName { schema: Some(tokens.word(at + 2).into()), name: from.name.clone() };
        return Some(Flow { columns: star(&from), ..Flow::new(into, Fate::Filled) });
    }
    if tokens.are(at, &["attach", "partition"]) {
        let (child, _) = relation(tokens, at + 2)?;
        return Some(Flow { columns: star(&child), ..Flow::new(from, Fate::Filled) });
    }
    if tokens.word(at) == "inherit" {
        let (parent, _) = relation(tokens, at + 1)?;
        return Some(Flow { columns: star(&from), ..Flow::new(parent, Fate::Filled) });
    }
    if tokens.word(at) != "rename" {
        return retyped(tokens, at, from);
    }
    if tokens.word(at + 1) == "to" {
        let into = RelationName { schema: from.schema.clone(), name: tokens.word(at + 2).into() };
        return Some(Flow { columns: star(&from), ..Flow::new(into, Fate::Filled) });
    }
    let at = if tokens.word(at + 1) == "column" { at + 2 } else { at + 1 };
    let (old, new) = (tokens.word(at), tokens.word(at + 2));
    let source = ColumnRef::new(Some(from.clone()), Some(old.into()), true);
    Some(Flow { columns: Some(vec![(Some(new.into()), vec![source])]), ..Flow::new(from, Fate::Filled) })
}

/// The functions that ALTER TABLE computes columns with: PostgreSQL's summary has none of them.
pub(super) fn computing(tokens: &Tokens<'_>) -> Vec<Text> {
    let (mut functions, mut depth, mut computes) = (BTreeSet::new(), 0_usize, false);
    for (at, lexeme) in tokens.all.iter().enumerate().skip(1) {
        match (lexeme.text, lexeme.name().as_str()) {
            ("(", _) => depth += 1,
            (")", _) => depth = depth.saturating_sub(1),
            (",", _) if depth == 0 => computes = false,
            (_, "using" | "default" | "as") if depth == 0 => computes = true,
            // A type may have a parenthesis of its own.
            (_, name) if computes && lexeme.is_name() && tokens.word(at + 1) == "(" => {
                let before = tokens.word(at - 1);
                let schema = (before == ".").then(|| tokens.word(at - 2));
                let is_type = before == "::" || (before == "as" && depth > 0);
                let named = schema.into_iter().chain([name.to_owned()]).collect::<Vec<_>>().join(".");
                functions.extend((!is_type && !lexeme.fixed).then(|| Text::from(named)));
            }
            _ => {}
        }
    }
    functions.into_iter().collect()
}

/// A new column's default, and what a column is made anew of, may call functions: any of its columns holds what these show.
fn computed(tokens: &Tokens<'_>, analysis: &Analysis) -> Option<Flow> {
    let [into] = &analysis.writes[..] else { return None };
    let calls = !analysis.functions.is_empty() && tokens.word(1) == "table";
    calls.then(|| Flow { columns: Some(Vec::new()), ..Flow::new(into.clone(), Fate::Filled) })
}

/// ALTER COLUMN … TYPE … USING an expression of the row: any name in it may be a column's. And DROP EXPRESSION: what a column was generated from stays in
/// it, which may be any of the row's.
fn retyped(tokens: &Tokens<'_>, from: usize, relation: RelationName) -> Option<Flow> {
    let mut columns: Sources = Vec::new();
    let (mut column, mut depth, mut is_using) = (None, 0_usize, false);
    for (at, lexeme) in tokens.all.iter().enumerate().skip(from) {
        match (lexeme.text, lexeme.name().as_str()) {
            ("(", _) => depth += 1,
            (")", _) => depth = depth.saturating_sub(1),
            (",", _) if depth == 0 => is_using = false,
            (_, "alter") if depth == 0 && !is_using => {
                let named = if tokens.word(at + 1) == "column" { at + 2 } else { at + 1 };
                column = Some(Text::from(tokens.word(named)));
            }
            (_, "expression") if depth == 0 && tokens.word(at - 1) == "drop" => {
                columns.push((column.clone(), vec![ColumnRef::new(Some(relation.clone()), None, false)]));
            }
            (_, "using") if depth == 0 => {
                is_using = true;
                columns.push((column.clone(), Vec::new()));
            }
            (_, name) if is_using && lexeme.is_name() => {
                let source = ColumnRef::new(Some(relation.clone()), Some(name.into()), false);
                columns.last_mut().into_iter().for_each(|(_, refs)| refs.push(source.clone()));
            }
            _ => {}
        }
    }
    (!columns.is_empty()).then(|| Flow { columns: Some(columns), ..Flow::new(relation, Fate::Filled) })
}

fn sources(by_column: Vec<(Option<String>, Vec<ColumnRef>)>) -> Sources {
    by_column.into_iter().map(|(name, refs)| (name.map(Text::from), refs)).collect()
}

/// A relation's name at `at`, and the index behind it.
fn relation(tokens: &Tokens<'_>, at: usize) -> Option<(RelationName, usize)> {
    let first = tokens.all.get(at).filter(|lexeme| lexeme.is_name())?.name();
    if tokens.word(at + 1) == "." {
        let name = tokens.word(at + 2).into();
        return Some((RelationName { schema: Some(first.into()), name }, at + 3));
    }
    Some((RelationName { schema: None, name: first.into() }, at + 1))
}
