//! A text without its constants, told in one pass and without a parser: texts of one shape have one analysis.
//!
//! In: a text. Out: its shape, or nothing where one would have to know more than this knows: comments, escapes, dollar quotes, anything
//! that PostgreSQL's scanner reads in more than one way. Two texts of one shape are cut into the same tokens by
//! that scanner, but for the values of their constants; so the grammar makes the same of both.

use super::Analysis;
use crate::record::{Kind, Parse};

/// Longer texts have no shape, bytes.
const TEXT_BYTES_MAX: usize = 64 << 10;
/// A constant of more digits may be no `integer`, which the scanner tells apart.
const INTEGER_DIGITS_MAX: usize = 9;

/// Functions to which a constant is a value and nothing else: no name of a thing, no setting, no statement. Of a call of any
/// other, nothing is taken over from one text to another.
const BLIND_FUNCTIONS: [&str; 48] = [
    "abs",
    "age",
    "array_agg",
    "array_length",
    "avg",
    "btrim",
    "ceil",
    "ceiling",
    "char_length",
    "coalesce",
    "concat",
    "count",
    "date_part",
    "date_trunc",
    "dense_rank",
    "extract",
    "first_value",
    "floor",
    "generate_series",
    "greatest",
    "lag",
    "last_value",
    "lead",
    "least",
    "left",
    "length",
    "lower",
    "lpad",
    "max",
    "md5",
    "min",
    "mod",
    "now",
    "nullif",
    "position",
    "power",
    "rank",
    "replace",
    "right",
    "round",
    "row_number",
    "rpad",
    "string_agg",
    "substr",
    "substring",
    "sum",
    "to_char",
    "upper",
];

/// Whether the analysis of one text holds for every text of its shape: nothing in it came from a constant.
pub fn holds_for_shape(analysis: &Analysis) -> bool {
    let blind = |name: &str| BLIND_FUNCTIONS.contains(&name.strip_prefix("pg_catalog.").unwrap_or(name));
    matches!(analysis.kind, Kind::Select | Kind::Insert | Kind::Update | Kind::Delete)
        && analysis.parse == Parse::Full
        && analysis.effects.is_empty()
        && analysis.comment_tags.is_empty()
        && analysis.functions.iter().all(|name| blind(name))
}

/// Puts the shape of a text into `shape`; false where it has none.
pub fn shape(text: &[u8], shape: &mut Vec<u8>) -> bool {
    shape.clear();
    pieces(text, |piece| match piece {
        Piece::Same(bytes) => shape.extend_from_slice(bytes),
        Piece::Text(_) => shape.extend_from_slice(b"''"),
        Piece::Whole(_) => shape.extend_from_slice(b"0"),
        Piece::Fraction(_) => shape.extend_from_slice(b"0.0"),
    })
}

/// What a text that has a shape consists of, one behind the other.
pub(super) enum Piece<'a> {
    /// Stands in the shape as it is: a word, a name, a parameter, one mark or one space.
    Same(&'a [u8]),
    /// A string, its quotation marks included.
    Text(&'a [u8]),
    /// A whole number without a sign.
    Whole(&'a [u8]),
    /// A number with a point.
    Fraction(&'a [u8]),
}

/// Hands out the pieces of a text in order; false where it has no shape, which may show after some of them.
pub(super) fn pieces<'a>(text: &'a [u8], mut take: impl FnMut(Piece<'a>)) -> bool {
    if text.len() > TEXT_BYTES_MAX {
        return false;
    }
    let mut rest = text;
    // The last byte of the shape.
    let mut last = b' ';
    while let [first, after @ ..] = rest {
        let piece = match first {
            b'\'' => string(rest, last),
            b'"' => quoted_name(rest, last),
            b'0'..=b'9' => number(rest, last),
            b'$' => parameter(rest),
            first if is_word_start(*first) => Some(word(rest)),
            b'-' if after.first() == Some(&b'-') => None,
            b'/' if after.first() == Some(&b'*') => None,
            b'\\' => None,
            b' ' | b'\t' | b'\n' | b'\r' => Some(Piece::Same(&rest[..1])),
            first if first.is_ascii_punctuation() => Some(Piece::Same(&rest[..1])),
            _ => None,
        };
        let Some(piece) = piece else { return false };
        let (taken, ends_with) = match piece {
            Piece::Same(bytes) => (bytes, bytes.last().copied().unwrap_or(last)),
            Piece::Text(bytes) => (bytes, b'\''),
            Piece::Whole(bytes) | Piece::Fraction(bytes) => (bytes, b'0'),
        };
        rest = &rest[taken.len()..];
        last = ends_with;
        take(piece);
    }
    true
}

fn is_word_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

fn is_word(byte: u8) -> bool {
    is_word_start(byte) || byte.is_ascii_digit() || byte == b'$'
}

/// Whether what comes next belongs to what stands there already: `E'…'`, `U&"…"`, `a.1`.
fn is_glued(last: u8) -> bool {
    is_word(last) || matches!(last, b'&' | b'.')
}

fn string(rest: &[u8], last: u8) -> Option<Piece<'_>> {
    if is_glued(last) {
        return None;
    }
    Some(Piece::Text(&rest[..end_of_quoted(rest, b'\'')?]))
}

fn quoted_name(rest: &[u8], last: u8) -> Option<Piece<'_>> {
    // `a."b"` is two names; `U&"b"` is one with escapes.
    if last == b'&' {
        return None;
    }
    Some(Piece::Same(&rest[..end_of_quoted(rest, b'"')?]))
}

/// Where what is quoted ends: behind a quotation mark that is not one of two.
fn end_of_quoted(rest: &[u8], mark: u8) -> Option<usize> {
    let mut at = 1;
    loop {
        match rest.get(at)? {
            byte if *byte == mark => match rest.get(at + 1) {
                Some(next) if *next == mark => at += 2,
                _ => return Some(at + 1),
            },
            // An escape, by `standard_conforming_strings`; and the end of the text, by the protocol.
            b'\\' | 0 => return None,
            _ => at += 1,
        }
    }
}

fn number(rest: &[u8], last: u8) -> Option<Piece<'_>> {
    let digits = |from: usize| rest[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let whole = digits(0);
    if is_glued(last) || whole > INTEGER_DIGITS_MAX {
        return None;
    }
    let fraction = match rest.get(whole) {
        Some(b'.') => Some(digits(whole + 1)).filter(|fraction| *fraction > 0)?,
        _ => 0,
    };
    let end = if fraction > 0 { whole + 1 + fraction } else { whole };
    // `1e5`, `0x1f`, `1_000`, `1.2.3`.
    if rest.get(end).is_some_and(|next| is_word(*next) || *next == b'.') {
        return None;
    }
    Some(if fraction > 0 { Piece::Fraction(&rest[..end]) } else { Piece::Whole(&rest[..end]) })
}

fn parameter(rest: &[u8]) -> Option<Piece<'_>> {
    let digits = rest[1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let end = 1 + digits;
    if digits == 0 || digits > INTEGER_DIGITS_MAX || rest.get(end).is_some_and(|next| is_word(*next)) {
        return None;
    }
    Some(Piece::Same(&rest[..end]))
}

fn word(rest: &[u8]) -> Piece<'_> {
    Piece::Same(&rest[..rest.iter().take_while(|byte| is_word(**byte)).count()])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sql::analyze;
    use crate::sql::tokens::Tokens;

    fn shape_of(text: &str) -> Option<String> {
        let mut into = Vec::new();
        shape(text.as_bytes(), &mut into).then(|| String::from_utf8(into).unwrap())
    }

    #[test]
    fn constants_leave_and_everything_else_stays() {
        let cases = [
            ("SELECT a1 FROM t WHERE aid = 4711;", "SELECT a1 FROM t WHERE aid = 0;"),
            ("select 'it''s', \"a 1\"\"b\" from t2", "select '', \"a 1\"\"b\" from t2"),
            ("select $1, 1.50, -7 from s.\"t\"", "select $1, 0.0, -0 from s.\"t\""),
            ("select 'é' from tablé where x='1'", "select '' from tablé where x=''"),
            ("select x::int, y from t limit 5 offset 10", "select x::int, y from t limit 0 offset 0"),
        ];
        for (text, expected) in cases {
            assert_eq!(shape_of(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_can_be_read_in_two_ways_has_no_shape() {
        let texts = [
            "select E'a'",
            "select U&'a'",
            "select U&\"a\"",
            "select B'1'",
            "select 'a\\'",
            "select $$a$$",
            "select $a$b$a$",
            "select 1 -- 2",
            "select /* 1 */ 2",
            "select 'a",
            "select \"a",
            "select 1e5",
            "select 0x1f",
            "select 1_000",
            "select 1.",
            "select 1..2",
            "select .5",
            "select 10000000000",
            "select 1a",
            "select $1a",
            "select 'a\0'",
            "select \u{c}1",
            "select \\1",
        ];
        for text in texts {
            assert_eq!(shape_of(text), None, "{text}");
        }
        assert_eq!(shape_of(&format!("select '{}'", "x".repeat(TEXT_BYTES_MAX))), None);
    }

    #[test]
    fn an_analysis_that_took_something_from_a_constant_is_its_text_s_own() {
        let texts = [
            "select set_config('search_path', 'a', false)",
            "select nextval('s')",
            "select dblink('host=x', 'select 1')",
            "set search_path = 'a'",
            "select * from",
            "fetch 5 from c",
            "create table t (a varchar(5))",
            "select f('a')",
        ];
        for text in texts {
            assert!(!analyze(text).iter().all(holds_for_shape), "{text}");
        }
        assert!(analyze("select count(*), pg_catalog.lower(a) from t where b = 'x'").iter().all(holds_for_shape));
    }

    /// Pieces of statements, with constants to be exchanged for others.
    fn piece() -> impl Strategy<Value = String> {
        let word = prop::sample::select(vec![
            "select",
            "insert into",
            "update",
            "delete from",
            "from",
            "where",
            "t",
            "s.t",
            "\"T\"",
            "a",
            "b.c",
            "=",
            "<",
            ",",
            "(",
            ")",
            "*",
            "and",
            "in",
            "order by",
            "limit",
            "set",
            "values",
            "::",
            "int",
            "||",
            "-",
            "+",
            "/",
            "&",
            ".",
            "e",
            "n",
            "u",
            "$1",
            "count",
            "as",
            "join",
            "on",
            "interval",
            "date",
            ";",
            "--",
            "/*",
            "\\",
            "$$",
            "fetch",
            "copy",
            "to",
        ]);
        let constant = prop_oneof![
            "[0-9]{1,11}".boxed(),
            "[0-9]{1,3}\\.[0-9]{0,2}".boxed(),
            "'[a-z' é1-]{0,5}'".boxed(),
            "'[a-z]{0,3}'".boxed(),
        ];
        (prop_oneof![3 => word.prop_map(str::to_owned), 1 => constant], "[ \n]{0,1}")
            .prop_map(|(piece, gap)| piece + &gap)
    }

    /// The same text with every constant that the scanner finds exchanged for another of its type.
    fn exchanged(text: &str) -> Option<String> {
        let tokens = Tokens::scan(text)?;
        let mut out = String::new();
        let mut rest = text;
        for lexeme in tokens.all.iter().filter(|lexeme| lexeme.is_constant()) {
            let (before, from) = rest.split_at(rest.find(lexeme.text)?);
            out.push_str(before);
            out.push_str(match lexeme.text {
                text if text.starts_with('\'') => "'other''s'",
                text if text.contains('.') => "98.76",
                _ => "54321",
            });
            rest = &from[lexeme.text.len()..];
        }
        Some(out + rest)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn texts_of_one_shape_have_one_analysis(pieces in prop::collection::vec(piece(), 1..16)) {
            let text = pieces.concat();
            let Some(shape) = shape_of(&text) else { return Ok(()) };
            let Some(tokens) = Tokens::scan(&text) else { return Ok(()) };
            // The scanner finds the constants where we do.
            let of_shape = Tokens::scan(&shape).expect("what the scanner takes, it takes without constants");
            let cut = |tokens: &Tokens<'_>| tokens.all.iter().map(|lexeme| (lexeme.token, lexeme.is_constant())).collect::<Vec<_>>();
            prop_assert_eq!(cut(&tokens), cut(&of_shape), "{} / {}", text, shape);
            let analyses = analyze(&text);
            if let Some(other) = exchanged(&text).filter(|other| shape_of(other).as_ref() == Some(&shape))
                && analyses.iter().all(holds_for_shape)
            {
                prop_assert_eq!(analyses, analyze(&other), "{} / {}", text, other);
            }
        }

        #[test]
        fn any_bytes_have_a_shape_or_none(bytes: Vec<u8>) {
            shape(&bytes, &mut Vec::new());
        }
    }
}
