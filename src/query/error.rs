//! Why a question was not answered, in one line, with the place in its text where that is known.

use datafusion::error::DataFusionError;

/// A question that cannot be answered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] crate::audit::Error),
    /// The engine refused the text, or failed on the way.
    #[error("{place}{what}")]
    Sql {
        /// `line:column: `, or empty where it is not known.
        place: String,
        /// What is wrong.
        what: String,
    },
}

impl Error {
    /// The engine's error, put shortly.
    pub(super) fn engine(error: DataFusionError) -> Error {
        let whole = error.strip_backtrace();
        let diagnostic = error.diagnostic();
        let span = diagnostic.and_then(|diagnostic| diagnostic.span);
        let place = span.map_or_else(
            || parser_place(&whole).unwrap_or_default(),
            |span| format!("{}:{}: ", span.start.line, span.start.column),
        );
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
        let tables: Vec<&str> = crate::audit::schema::tables().iter().map(|table| table.name).collect();
        return format!("there is no table `{name}`; the tables are {}", tables.join(", "));
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
fn parser_place(message: &str) -> Option<String> {
    let (_, place) = message.rsplit_once("Line: ")?;
    let (line, rest) = place.split_once(", Column: ")?;
    let column: String = rest.chars().take_while(char::is_ascii_digit).collect();
    (line.chars().all(|c| c.is_ascii_digit()) && !column.is_empty()).then(|| format!("{line}:{column}: "))
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
            "there is no table `statement`; the tables are statements, transactions, sessions, findings, reviews"
        );
        assert_eq!(told("Arrow error: Divide by zero error"), "Divide by zero error");
    }
}
