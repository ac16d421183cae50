//! What RETURNING reads and calls: the grammar's summary passes over it (libpg_query 18.1 does not walk `ReturningClause`).
//!
//! In: the tokens of a statement that the grammar has taken. Out: relations and functions; nothing of a list that is not taken by itself.

use std::collections::BTreeSet;

use pg_query::protobuf::Token;

use super::RelationName;
use super::tokens::Tokens;
use crate::record::Text;

/// See the module.
#[derive(Default)]
pub(super) struct Returning {
    pub(super) reads: BTreeSet<RelationName>,
    pub(super) functions: BTreeSet<Text>,
    /// A list was not taken, and may read anything.
    pub(super) is_open: bool,
}

/// Reads the lists of a statement, in which these CTEs are no relations.
pub(super) fn returning(tokens: &Tokens<'_>, ctes: &[String]) -> Returning {
    let mut found = Returning::default();
    for list in lists(tokens) {
        let Ok(summary) = pg_query::summary(&format!("select {list}"), 0, -1) else {
            found.is_open = true;
            continue;
        };
        for table in &summary.tables {
            let schema = Some(table.schema_name.as_str()).filter(|schema| !schema.is_empty()).map(Text::from);
            let is_cte = schema.is_none() && ctes.contains(&table.table_name);
            let name = RelationName { schema, name: table.table_name.as_str().into() };
            found.reads.extend((!is_cte).then_some(name));
        }
        found.functions.extend(summary.functions.iter().map(|function| Text::from(function.name.to_lowercase())));
    }
    found
}

/// The text of each list: behind the word, and what it calls the old and the new row, up to where its statement ends.
fn lists<'t>(tokens: &Tokens<'t>) -> Vec<&'t str> {
    let is = |at: usize, token: Token| tokens.all.get(at).is_some_and(|lexeme| lexeme.token == token);
    let mut lists = Vec::new();
    for at in 0..tokens.all.len() {
        let is_word = at > 0 && !is(at - 1, Token::As) && !is(at - 1, Token::Ascii46);
        if !is(at, Token::Returning) || !is_word {
            continue;
        }
        let renames = (is(at + 1, Token::With) || is(at + 1, Token::WithLa)) && is(at + 2, Token::Ascii40);
        let begin = if renames { end(tokens, at + 3) + 1 } else { at + 1 };
        let end = end(tokens, begin);
        let (first, behind) = (tokens.all.get(begin), tokens.all.get(end.saturating_sub(1)));
        let text = first.zip(behind).and_then(|(first, last)| tokens.text.get(first.start..last.end));
        lists.extend(text);
    }
    lists
}

/// Where what begins `at` ends: at a semicolon, or a parenthesis more than were opened.
fn end(tokens: &Tokens<'_>, at: usize) -> usize {
    let mut depth = 0_usize;
    for (at, lexeme) in tokens.all.iter().enumerate().skip(at) {
        match lexeme.token {
            Token::Ascii40 => depth += 1,
            Token::Ascii41 | Token::Ascii59 if depth == 0 => return at,
            Token::Ascii41 => depth -= 1,
            _ => {}
        }
    }
    tokens.all.len()
}

#[cfg(test)]
mod tests {
    use crate::record::Text;
    use crate::sql::analyze;

    #[test]
    fn sub_selects_and_calls_of_a_list_are_found() {
        for text in [
            "insert into t values (1) returning f(a), (select b from s.u)",
            "update t set a = 1 returning coalesce((select b from s.u), f(1)::text) as x;",
            "delete from t using v where v.a = t.a returning (select f(b) from s.u)",
            "with w as (delete from t returning f(a), (select b from s.u)) select 1",
            "with w as (select 1) update t set a = 1 returning f(a), (select b from s.u, w)",
            "update t set a = 1 returning with (old as o, new as n) f(o.a), (select b from s.u)",
            "merge into t using w on true when matched then delete returning f(a), (select b from s.u)",
        ] {
            let analysis = analyze(text).remove(0);
            assert!(analysis.functions.contains(&Text::from("f")), "{text}: {:?}", analysis.functions);
            assert!(analysis.reads.iter().any(|name| *name.name == *"u"), "{text}: {:?}", analysis.reads);
        }
        let plain = analyze("select 1 as returning, t.returning from t").remove(0);
        assert!(plain.functions.is_empty() && plain.reads.len() == 1);
    }
}
