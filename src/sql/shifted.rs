//! What a change of the schema makes uncertain until the catalog has been read again.
//!
//! In: the text of a statement that changes the schema. Out: the names that may mean, show or do something else from then on: what it
//! makes anew, renames or replaces, of what has code behind it: functions, operators, casts, generated columns, relations with a new rule. PURE. Where tables and columns go that are
//! renamed, and what views are made of, is followed at once (`flow`).

use pg_query::protobuf::Token;

use super::tokens::Tokens;
use crate::record::Text;

/// Names that are kept, of one statement.
const NAMES_MAX: usize = 64;

/// What has code behind its name.
const CODED: [&str; 6] = ["function", "procedure", "routine", "aggregate", "operator", "cast"];

/// See the module. Without their schemas, sorted, distinct.
pub fn shifted(ddl: &str) -> Vec<Text> {
    let Some(tokens) = Tokens::scan(ddl) else { return Vec::new() };
    let says = |words: &[&str]| tokens.all.iter().any(|lexeme| words.contains(&lexeme.name().as_str()));
    let generates = says(&["generated"]);
    let is_rule = [1, 3].iter().any(|at| tokens.word(*at) == "rule");
    if !matches!(tokens.word(0).as_str(), "create" | "alter") || !(generates || is_rule || says(&CODED)) {
        return Vec::new();
    }
    // What a rule does comes behind DO, what else is made of something behind AS, RETURNS or SELECT.
    let ends = |word: &str| if is_rule { word == "do" } else { matches!(word, "as" | "returns" | "select") };
    let mut names = Vec::new();
    let mut depth = 0_usize;
    for (at, lexeme) in tokens.all.iter().enumerate().skip(1) {
        match lexeme.text {
            "(" => depth += 1,
            ")" => depth = depth.saturating_sub(1),
            _ => {}
        }
        // What it is made from, and what it gives back, stays what it is.
        if depth == 0 && ends(lexeme.name().as_str()) && at > 2 {
            break;
        }
        let is_symbol =
            lexeme.token == Token::Op || matches!(lexeme.text, "+" | "-" | "*" | "/" | "<" | ">" | "=" | "%" | "^");
        let is_ident =
            matches!(lexeme.token, Token::Ident | Token::Uident) || (lexeme.keyword && tokens.word(at - 1) == ".");
        // `CREATE CAST (int AS other.hole)`: the type stands within, as columns do.
        let is_inside = depth > 0 && !(tokens.word(1) == "cast" || depth == 1 && generates);
        if (is_ident || is_symbol && says(&["operator"])) && !is_inside && names.len() < NAMES_MAX {
            names.push(Text::from(lexeme.name()));
        }
        if lexeme.keyword
            && depth == 0
            && names.len() < NAMES_MAX
            && matches!(tokens.word(at - 1).as_str(), "function" | "aggregate" | "procedure")
        {
            names.push(lexeme.name().into());
        }
    }
    names.sort_unstable();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_replaced_or_renamed_is_named_and_what_is_only_made_is_not() {
        let names = |ddl: &str| shifted(ddl).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(
            names("create or replace function shop.doubled(x int) returns int language sql as $1"),
            ["doubled", "shop"]
        );
        assert_eq!(names("create aggregate other.count(text) (sfunc = textcat)"), ["count", "other"]);
        assert_eq!(names("alter function shop.a(int) rename to b"), ["a", "b", "shop"]);
        assert_eq!(names("create operator other.% (leftarg = text, function = f)"), ["%", "other"]);
        assert_eq!(names("create cast (int as other.hole) with function other.f(int)"), ["f", "hole", "other"]);
        assert_eq!(
            names("create table g (raw text, v text generated always as (lower(raw)) stored)"),
            ["g", "raw", "v"]
        );
        for rule in [
            "create rule r as on update to t do also select $1",
            "create or replace rule r as on delete to t do nothing",
        ] {
            assert_eq!(names(rule), ["r", "t"]);
        }
        for harmless in [
            "create table t (id int, b text default lower($1))",
            "alter table t add column c int",
            "drop view v",
            "alter table t rename column a to b",
            "create or replace view v as select a from t",
            "create index i on t (a)",
        ] {
            assert!(names(harmless).is_empty(), "{harmless}");
        }
    }
}
