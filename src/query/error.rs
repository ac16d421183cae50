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
        let mut what = whole;
        if let DataFusionError::Plan(_) | DataFusionError::SQL(..) | DataFusionError::SchemaError(..) =
            error.find_root()
        {
            what = strip_kind(&what).to_owned();
        }
        let what = what.split_whitespace().collect::<Vec<_>>().join(" ");
        Error::Sql { place, what }
    }
}

/// What the parser says at the end of its messages.
fn parser_place(message: &str) -> Option<String> {
    let (_, place) = message.rsplit_once("Line: ")?;
    let (line, rest) = place.split_once(", Column: ")?;
    let column: String = rest.chars().take_while(char::is_ascii_digit).collect();
    (line.chars().all(|c| c.is_ascii_digit()) && !column.is_empty()).then(|| format!("{line}:{column}: "))
}

/// The message without the engine's names for its own stages.
fn strip_kind(message: &str) -> &str {
    let mut message = message;
    for kind in ["Error during planning: ", "SQL error: ", "Schema error: "] {
        message = message.strip_prefix(kind).unwrap_or(message);
    }
    match message.strip_prefix("ParserError(\"").and_then(|inner| inner.strip_suffix("\")")) {
        Some(inner) => inner.rsplit_once(" at Line: ").map_or(inner, |(what, _)| what),
        None => message,
    }
}
