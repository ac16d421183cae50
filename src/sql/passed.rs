//! What functions are called with: one that is somebody's own may write it wherever it likes.
//!
//! In: a statement's tokens. Out: each such call, and the names in its arguments. Nothing is looked up: a name may be a column's, or a
//! relation's in whole.

use std::collections::BTreeSet;

use super::shape::is_blind;
use super::tokens::Tokens;
use crate::record::Text;

/// Calls that are looked at.
const CALLS_MAX: usize = 64;
/// Names that one call is given, and tokens in which they are looked for. With more, it counts as being given everything.
const PASSED_NAMES_MAX: usize = 64;
/// See [`PASSED_NAMES_MAX`].
const PASSED_TOKENS_MAX: usize = 512;

/// A call, and what it is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed {
    /// The function, as written.
    pub function: Text,
    /// Names in its arguments: columns, perhaps, or relations in whole.
    pub names: Vec<Text>,
}

/// Each call of a function that may be somebody's own, with the names that it is given.
pub(super) fn passed(tokens: &Tokens<'_>) -> Vec<Passed> {
    let mut all: Vec<Passed> = Vec::new();
    for (at, lexeme) in tokens.all.iter().enumerate().filter(|(_, lexeme)| lexeme.is_name()) {
        if tokens.word(at + 1) != "(" || is_blind(&lexeme.name()) && tokens.word(at.saturating_sub(1)) != "." {
            continue;
        }
        // One call too many counts as being given everything.
        let names = if all.len() < CALLS_MAX { names_given(tokens, at + 1) } else { vec!["*".into()] };
        if !names.is_empty() {
            let schema = (at > 1 && tokens.word(at - 1) == ".").then(|| tokens.word(at - 2));
            let function = schema.into_iter().chain([lexeme.name()]).collect::<Vec<_>>().join(".").into();
            all.push(Passed { function, names });
        }
        if all.len() > CALLS_MAX {
            break;
        }
    }
    all
}

/// The names in a parenthesis that opens at `open`: neither types of casts, nor functions, nor what a point comes behind.
fn names_given(tokens: &Tokens<'_>, open: usize) -> Vec<Text> {
    let mut names = BTreeSet::new();
    for (at, _, lexeme) in tokens.within(open) {
        let is_column = lexeme.is_name()
            && !lexeme.fixed
            && tokens.word(at - 1) != "::"
            && !matches!(tokens.word(at + 1).as_str(), "(" | ".");
        let is_all = lexeme.text == "*" && matches!(tokens.word(at - 1).as_str(), "." | "(" | "," | "select");
        if is_column || is_all {
            names.insert(Text::from(lexeme.name()));
        }
        if names.len() > PASSED_NAMES_MAX || at - open > PASSED_TOKENS_MAX {
            return vec!["*".into()];
        }
    }
    names.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use crate::sql::analyze;

    #[test]
    fn names_that_a_call_is_given_are_told() {
        let passed = |text: &str| {
            let passed = analyze(text).remove(0).doors.passed.into_iter();
            passed.map(|call| format!("{}({})", call.function, call.names.join(","))).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            passed("select shop.put(c.email, lower(c.name)::text, 'x'), id from shop.customers c"),
            "shop.put(email,name)"
        );
        assert_eq!(passed("select count(put(phone)) from shop.customers where log(now()) is null"), "put(phone)");
        assert_eq!(passed("select put(c), put(c.*), put((select email from t)) from c"), "put(c) put(*) put(email,t)");
        assert_eq!(passed("select put('x', 1), lower(email) from c"), "");
    }
}
