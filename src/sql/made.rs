//! Code that a statement makes, or sets to run unnamed: CREATE FUNCTION, CREATE TRIGGER, CREATE RULE.
//!
//! In: a statement's tokens. Out: [`Made`], which is what is known of such code until the catalog has been read.

use super::Code;
use super::tokens::{Lexeme, Tokens};
use crate::record::Text;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Made {
    /// A function or procedure that is made, as written …
    pub function: Option<Text>,
    /// … and its code; a rule's own.
    pub code: Option<Code>,
    /// The function that a trigger runs.
    pub runs: Option<Text>,
}

/// See the module.
pub(super) fn made(tokens: &Tokens<'_>) -> Option<Made> {
    if tokens.word(0) != "create" {
        return None;
    }
    let words = ["or", "replace", "constraint", "event"];
    let at = (1..=4).find(|at| !words.contains(&tokens.word(*at).as_str()))?;
    match tokens.word(at).as_str() {
        "function" | "procedure" => {
            Some(Made { function: Some(name(tokens, at + 1)?), code: Some(body(tokens)), runs: None })
        }
        "rule" => Some(Made { code: Some(Code::of(tokens.text)), ..Made::default() }),
        "trigger" => {
            let execute = tokens.find(at, "execute")?;
            Some(Made { runs: Some(name(tokens, execute + 2)?), ..Made::default() })
        }
        _ => None,
    }
}

/// A name, with its schema where that stands there.
fn name(tokens: &Tokens<'_>, at: usize) -> Option<Text> {
    tokens.all.get(at).filter(|lexeme| lexeme.is_name())?;
    Some(match tokens.word(at + 1).as_str() {
        "." => format!("{}.{}", tokens.word(at), tokens.word(at + 2)).into(),
        _ => tokens.word(at).into(),
    })
}

/// What stands behind AS; else the statement has its body in itself. Of a language that is not read nothing is known.
fn body(tokens: &Tokens<'_>) -> Code {
    let language = tokens.find(0, "language").map(|at| tokens.all.get(at + 1).map(Lexeme::value).unwrap_or_default());
    if language.is_some_and(|language| !["sql", "plpgsql"].iter().any(|known| language.eq_ignore_ascii_case(known))) {
        return Code::opaque("");
    }
    let is_body = |at: &usize| tokens.word(at.saturating_sub(1)) == "as";
    let strings = (0..tokens.all.len()).filter(|at| tokens.all.get(*at).is_some_and(Lexeme::is_constant));
    let body = strings.filter(is_body).find_map(|at| tokens.all.get(at).map(Lexeme::decoded));
    Code::of(body.as_deref().unwrap_or(tokens.text))
}

#[cfg(test)]
mod tests {
    use crate::sql::analyze;

    #[test]
    fn what_is_made_or_set_to_run_is_known_by_its_text() {
        let made = |text: &str| analyze(text).remove(0).doors.made.map(|made| *made).unwrap_or_default();
        let names = |made: super::Made| {
            let code = made.code.map(|code| code.writes.iter().map(|name| name.name.to_string()).collect::<Vec<_>>());
            (made.function.map(|name| name.to_string()), code, made.runs.map(|name| name.to_string()))
        };
        let some = |text: &str| Some(text.to_owned());
        let function = "create or replace function a.f(x text default 'y') returns void language plpgsql as $$ begin insert into s select z from t; end $$";
        assert_eq!(names(made(function)), (some("a.f"), Some(vec!["s".to_owned()]), None));
        let atomic = "create procedure f() begin atomic insert into s select z from t; end";
        assert_eq!(names(made(atomic)), (some("f"), Some(vec!["s".to_owned()]), None));
        assert!(made("create function f() returns text language c as 'a', 'b'").code.is_some_and(|code| code.is_open));
        let trigger = "create constraint trigger g after insert on t for each row execute function a.f('x')";
        assert_eq!(names(made(trigger)), (None, None, some("a.f")));
        let rule = "create rule r as on insert to t do also insert into s select z from u";
        assert_eq!(names(made(rule)), (None, Some(vec!["s".to_owned()]), None));
        assert_eq!(made("create table function (a int)"), super::Made::default());
    }
}
