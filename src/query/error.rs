//! Why a question was not answered, in one line, with the place in its text where that is known.

use std::fmt;

use datafusion::error::DataFusionError;

use super::views;

/// Characters of a line that are shown around a place.
const SHOWN_CHARS: usize = 100;

/// A question that cannot be answered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] crate::audit::Error),
    /// The engine refused the text, or failed on the way.
    #[error("{}{what}", place.map_or_else(String::new, |place| format!("{place}: ")))]
    Sql {
        /// Where in the text, if that is known.
        place: Option<Place>,
        /// What is wrong.
        what: String,
    },
}

/// A place in the text of a question, both from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The character in it.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

impl Place {
    /// The line of the text, and below it a caret at the place; nothing where the text has no such place.
    pub fn shown(self, sql: &str) -> Option<String> {
        let line = sql.lines().nth(self.line.checked_sub(1)?)?.replace('\t', " ");
        let before = self.column.checked_sub(1)?;
        let count = line.chars().count();
        let first = before.saturating_sub(SHOWN_CHARS / 2);
        let shown: String = line.chars().skip(first).take(SHOWN_CHARS).map(tame).collect();
        let wide = line.chars().skip(first).take(before - first).map(columns).sum();
        (before <= count).then(|| format!("  {shown}\n  {}^", " ".repeat(wide)))
    }
}

/// A character of somebody's text that a terminal must not obey.
fn tame(c: char) -> char {
    if c.is_control() { '?' } else { c }
}

/// How many columns of a terminal a character takes, as far as carets need it: East Asian ones take two.
fn columns(c: char) -> usize {
    match u32::from(c) {
        0x1100..=0x115f
        | 0x2e80..=0xa4cf
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff00..=0xff60
        | 0xffe0..=0xffe6
        | 0x1f300..=0x1faff
        | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

impl Error {
    /// The engine's error, put shortly.
    pub(super) fn engine(error: DataFusionError) -> Error {
        let whole = error.strip_backtrace();
        let diagnostic = error.diagnostic();
        let span = diagnostic.and_then(|diagnostic| diagnostic.span);
        let number = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let place = match span {
            Some(span) => Some(Place { line: number(span.start.line), column: number(span.start.column) }),
            None => parser_place(&whole),
        };
        Error::Sql { place, what: mended(&plainly(&whole)) }
    }
}

/// The message without the engine's names for its own stages, on one line.
fn plainly(message: &str) -> String {
    let whole = message.split_whitespace().collect::<Vec<_>>().join(" ");
    // What failed first stands last.
    let mut rest = whole.rsplit_once(" caused by ").map_or(whole.as_str(), |(_, root)| root);
    let stages = [
        "Error during planning: ",
        "SQL error: ",
        "Schema error: ",
        "Arrow error: ",
        "Parser error: ",
        "Internal error: ",
    ];
    while let Some(inner) = stages.iter().find_map(|stage| rest.strip_prefix(stage)) {
        rest = inner;
    }
    let inner = rest.strip_prefix("ParserError(\"").and_then(|inner| inner.strip_suffix("\")"));
    inner.map_or(rest, |inner| inner.rsplit_once(" at Line: ").map_or(inner, |(what, _)| what)).to_owned()
}

/// With how to mend it, where the engine says it at length or not at all.
fn mended(what: &str) -> String {
    if let Some((name, _)) = what.strip_prefix("table '").and_then(|rest| rest.split_once("' not found")) {
        let name = name.rsplit('.').next().unwrap_or(name);
        let tables = crate::audit::schema::tables().iter().map(|table| table.name);
        let all: Vec<&str> = tables.chain(views::ALL.iter().map(|view| view.name)).collect();
        return format!("there is no table `{name}`; the tables are {}", all.join(", "));
    }
    if let Some((missing, _)) = what.split_once(" Valid fields are ") {
        return format!("{missing} `describe statements` lists the columns of a table");
    }
    if let Some((_, rest)) = what.split_once("No function matches the given name and argument types '") {
        let call = rest.split('\'').next().unwrap_or(rest);
        return format!("there is no function {call}; take another, or cast what goes into it");
    }
    if what.contains("Error parsing timestamp") {
        return format!("{what}; write timestamp '2026-11-23T18:00:00Z'");
    }
    match what {
        "This feature is not implemented: The context currently only supports a single SQL statement" => {
            "there is more than one question; ask one at a time".to_owned()
        }
        "No SQL statements were provided in the query string" => "there is no question; write a SELECT".to_owned(),
        _ => what.to_owned(),
    }
}

/// What the parser says at the end of its messages.
fn parser_place(message: &str) -> Option<Place> {
    let (_, place) = message.rsplit_once("Line: ")?;
    let (line, rest) = place.split_once(", Column: ")?;
    let column: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Some(Place { line: line.parse().ok()?, column: column.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_s_own_words_are_put_shortly() {
        let told = |message: &str| mended(&plainly(message));
        assert_eq!(
            told(
                "Optimizer rule 'simplify' failed\ncaused by\nArrow error: Parser error: Error parsing timestamp from 'x': no"
            ),
            "Error parsing timestamp from 'x': no; write timestamp '2026-11-23T18:00:00Z'"
        );
        assert_eq!(
            told("Error during planning: table 'datafusion.public.statement' not found"),
            "there is no table `statement`; the tables are statements, transactions, sessions, findings, reviews, \
             reads_of_personal_data, logins, privilege_changes, activity_by_hour"
        );
        assert_eq!(told("Arrow error: Divide by zero error"), "Divide by zero error");
    }

    #[test]
    fn a_place_is_shown_by_a_caret_below_it() {
        let shown = |sql: &str, line, column| Place { line, column }.shown(sql);
        assert_eq!(shown("select\n  nope from t", 2, 3).as_deref(), Some("    nope from t\n    ^"));
        assert_eq!(shown("select 'あ', nope", 1, 13).as_deref(), Some("  select 'あ', nope\n               ^"));
        assert_eq!(shown("select", 1, 7).as_deref(), Some("  select\n        ^"), "its end");
        assert_eq!((shown("select", 1, 9), shown("select", 2, 1), shown("select", 0, 0)), (None, None, None));
        let long = format!("{}x{}", " ".repeat(500), "y".repeat(500));
        let lines = shown(&long, 1, 501).unwrap();
        let (text, caret) = lines.split_once('\n').unwrap();
        assert_eq!(text.find('x'), caret.find('^'));
    }
}
