//! What the prompt knows of SQL while somebody types: where a question ends, and which names go on from here.
//!
//! In: the line so far. Out: whether it is whole; tables and views behind FROM and JOIN, else columns, functions and words of SQL.

use rustyline::completion::{Completer, Pair};
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Context, Helper};

use crate::query::{Names, is_ended};

/// Words that a question is made of.
const SQL: [&str; 45] = [
    "all",
    "and",
    "as",
    "asc",
    "at time zone",
    "between",
    "by",
    "case",
    "cast",
    "date",
    "desc",
    "describe",
    "distinct",
    "else",
    "end",
    "except",
    "exists",
    "explain",
    "filter",
    "from",
    "group by",
    "having",
    "ilike",
    "in",
    "inner join",
    "interval",
    "is not null",
    "is null",
    "join",
    "left join",
    "like",
    "limit",
    "not",
    "nulls last",
    "on",
    "or",
    "order by",
    "over",
    "partition by",
    "select",
    "then",
    "timestamp",
    "union all",
    "when",
    "where",
];

/// See the module.
pub struct Words {
    names: Names,
}

impl Words {
    /// Completes to these names.
    pub fn new(names: Names) -> Words {
        Words { names }
    }

    /// What the word that begins there may go on as.
    fn candidates(&self, before: &str, begun: &str) -> Vec<String> {
        let last = before.split_whitespace().next_back().unwrap_or_default().to_ascii_lowercase();
        let lower = begun.to_ascii_lowercase();
        let tables = self.names.tables.iter().map(|name| (*name).to_owned());
        let mut found: Vec<String> = if matches!(last.as_str(), "from" | "join" | "describe" | "\\d") {
            tables.filter(|name| name.starts_with(&lower)).collect()
        } else if lower.is_empty() {
            Vec::new()
        } else {
            let columns = self.names.columns.iter().cloned();
            let functions = self.names.functions.iter().map(|name| format!("{name}("));
            let words = SQL.iter().map(|word| (*word).to_owned());
            columns.chain(words).chain(tables).chain(functions).filter(|name| name.starts_with(&lower)).collect()
        };
        found.dedup();
        found
    }
}

impl Completer for Words {
    type Candidate = Pair;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let typed = line.get(..at).unwrap_or(line);
        let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '\\';
        let begin =
            typed.char_indices().rev().take_while(|(_, c)| is_part(*c)).last().map_or(typed.len(), |(at, _)| at);
        let (before, begun) = typed.split_at(begin);
        let candidates = self.candidates(before, begun);
        Ok((begin, candidates.into_iter().map(|name| Pair { display: name.clone(), replacement: name }).collect()))
    }
}

impl Validator for Words {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let input = context.input().trim();
        let is_command = input.starts_with('\\') || matches!(input, "" | "quit" | "exit" | "help");
        Ok(match is_command || is_ended(input) {
            true => ValidationResult::Valid(None),
            false => ValidationResult::Incomplete,
        })
    }
}

impl Hinter for Words {
    type Hint = String;
}

impl Highlighter for Words {}

impl Helper for Words {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_follow_from_and_everything_else_goes_by_its_beginning() {
        let names = Names {
            tables: vec!["statements", "sessions", "logins"],
            columns: vec!["seq".to_owned(), "session_id".to_owned()],
            functions: vec!["sum".to_owned()],
        };
        let words = Words::new(names);
        assert_eq!(words.candidates("select * from ", ""), ["statements", "sessions", "logins"]);
        assert_eq!(words.candidates("select 1 from t join ", "LO"), ["logins"]);
        assert_eq!(words.candidates("select ", "se"), ["seq", "session_id", "select", "sessions"]);
        assert_eq!(words.candidates("select ", "su"), ["sum("]);
        assert!(words.candidates("select ", "").is_empty());
    }
}
