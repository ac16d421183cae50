//! Which parts of a condition say that two columns are equal wherever it holds: `a.b = c.d`, or `b = c.d`, alone or beside AND.
//!
//! In: the tokens of a condition that PostgreSQL's grammar has taken. Out: the ranges of those parts. Relations whose names are words of the grammar,
//! and columns without a relation's name whose own is a word of either parser's, are passed over.

use std::ops::Range;

use pg_query::protobuf::Token;

use super::super::tokens::Lexeme;
use super::words::is_name;

/// Of a longer condition nothing is looked at.
const TOKENS_MAX: usize = 256;
/// Parentheses are gone into so deep.
const DEPTH_MAX: usize = 8;

/// See the module: in order, apart from each other.
pub(super) fn columns(all: &[Lexeme<'_>], range: Range<usize>) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    // Most conditions compare with constants.
    let is_equal = |pair: &[Lexeme<'_>]| matches!(pair, [equal, name] if equal.token == Token::Ascii61 && name.token == Token::Ident);
    let within = all.get(range.clone()).filter(|within| within.len() <= TOKENS_MAX);
    if within.is_some_and(|within| within.windows(2).any(is_equal)) {
        collect(all, range, 0, &mut found);
    }
    found
}

fn collect(all: &[Lexeme<'_>], range: Range<usize>, depth: usize, found: &mut Vec<Range<usize>>) {
    let (mut parts, mut start) = (Vec::new(), range.start);
    let (mut open, mut between) = (0_usize, 0_usize);
    for (at, lexeme) in all.iter().enumerate().take(range.end).skip(range.start) {
        match lexeme.token {
            Token::Ascii40 | Token::Ascii91 => open += 1,
            Token::Ascii41 | Token::Ascii93 => open = open.saturating_sub(1),
            _ if open > 0 => {}
            Token::Or | Token::Case => return,
            Token::Between => between += 1,
            Token::And if between > 0 => between -= 1,
            Token::And => {
                parts.push(start..at);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(start..range.end);
    for part in parts {
        if is_equality(all, &part) {
            found.push(part);
        } else if depth < DEPTH_MAX && is_enclosed(all, &part) {
            collect(all, part.start + 1..part.end - 1, depth + 1, found);
        }
    }
}

/// `a.b = c.d`, with schemas or without, or without a relation.
fn is_equality(all: &[Lexeme<'_>], part: &Range<usize>) -> bool {
    let is_column = |side: &[Lexeme<'_>]| {
        // Behind a point, any word is one to the other parser as well.
        let is_word =
            |at: usize, lexeme: &Lexeme<'_>| lexeme.token == Token::Ident || at > 0 && lexeme.keyword && !lexeme.fixed;
        let is_part = |(at, lexeme): (usize, &Lexeme<'_>)| match at % 2 {
            0 => is_word(at, lexeme),
            _ => lexeme.token == Token::Ascii46,
        };
        match side {
            [name] => name.token == Token::Ident && is_name(name.text),
            _ => matches!(side.len(), 3 | 5) && side.iter().enumerate().all(is_part),
        }
    };
    let mut sides = all.get(part.clone()).unwrap_or_default().split(|lexeme| lexeme.token == Token::Ascii61);
    let sides = (sides.next(), sides.next(), sides.next());
    matches!(sides, (Some(one), Some(other), None) if is_column(one) && is_column(other))
}

/// Whether all of it stands in one pair of parentheses, and is no query.
fn is_enclosed(all: &[Lexeme<'_>], part: &Range<usize>) -> bool {
    let token = |at: usize| all.get(at).map(|lexeme| lexeme.token);
    let begins_query = matches!(
        token(part.start + 1),
        Some(Token::Select | Token::Values | Token::Table | Token::With | Token::WithLa | Token::Ascii41)
    );
    if token(part.start) != Some(Token::Ascii40) || begins_query {
        return false;
    }
    let mut open = 0_usize;
    for (at, lexeme) in all.iter().enumerate().take(part.end).skip(part.start) {
        match lexeme.token {
            Token::Ascii40 => open += 1,
            Token::Ascii41 => open = open.saturating_sub(1),
            _ => {}
        }
        if open == 0 {
            return at + 1 == part.end;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::super::super::tokens::Tokens;
    use super::*;

    #[test]
    fn what_has_to_hold_is_told_from_what_may() {
        let found = |condition: &str| {
            let tokens = Tokens::scan(condition).expect("tokens");
            let text =
                |range: Range<usize>| tokens.all[range].iter().map(|lexeme| lexeme.text).collect::<Vec<_>>().concat();
            columns(&tokens.all, 0..tokens.all.len()).into_iter().map(text).collect::<Vec<_>>()
        };
        assert_eq!(found("a.b = c.d"), ["a.b=c.d"]);
        assert_eq!(found("(a.b = c.d)"), ["a.b=c.d"]);
        assert_eq!(found("a.key = c.name and at.b = c.d and a.b = c.user"), ["a.key=c.name"]);
        assert_eq!(found("a.b = c.d and a.x = 'y' and s.a.e = c.\"F\""), ["a.b=c.d", "s.a.e=c.\"F\""]);
        assert_eq!(found("x > 1 and ((a.b = c.d and (y or z)) and e.f = g.h)"), ["a.b=c.d", "e.f=g.h"]);
        assert_eq!(found("a.x between 1 and 2 and a.b = c.d"), ["a.b=c.d"]);
        assert_eq!(found("b = c.d and c.d = \"B\" and b = d"), ["b=c.d", "c.d=\"B\"", "b=d"]);
        assert_eq!(found("a.b = c.d and exists (select 1 from t where t.a = t.b)"), ["a.b=c.d"]);
        for none in [
            "a.b = c.d or true",
            "not a.b = c.d",
            "not (a.b = c.d)",
            "(a.b = c.d) is not true",
            "(a.b = c.d) = false and a.b = c.d is unknown",
            "x between 1 and a.b = c.d",
            "case when a and b.x = c.y and d then e end",
            "f(a.b = c.d)",
            "(select x and a.b = c.d)",
            "a.b = c.d + 1",
            "a.b = c.d::text",
            "a.b = any (c.d)",
            "interval = c.d",
            "b = 'd'",
            "a.b = 'c.d' and a.b <> c.d",
            "((select true) or a.b = c.d)",
            "array[a.b = c.d][1]",
            "",
        ] {
            assert_eq!(found(none), [""; 0], "{none}");
        }
    }
}
