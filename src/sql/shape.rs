//! A text without its constants, told in one pass and without a parser: texts of one shape have one analysis.
//!
//! In: a text. Out: its shape and where its constants lie, or nothing where one would have to know more than this knows: comments, escapes, dollar quotes, anything
//! that PostgreSQL's scanner reads in more than one way. Two texts of one shape are cut into the same tokens by
//! that scanner, but for the values of their constants; so the grammar makes the same of both.

use std::ops::Range;

use super::Analysis;
use crate::record::{Kind, Parse};

/// Longer texts have no shape, bytes.
const TEXT_BYTES_MAX: usize = 64 << 10;
/// A constant of more digits may be no `integer`, which the scanner tells apart.
const INTEGER_DIGITS_MAX: usize = 9;
/// Constants of a text whose places are remembered.
const CONSTANTS_MAX: usize = 4;

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
    matches!(analysis.kind, Kind::Select | Kind::Insert | Kind::Update | Kind::Delete)
        && analysis.parse == Parse::Full
        && analysis.effects.is_empty()
        && analysis.comment_tags.is_empty()
        && analysis.functions.iter().all(|name| is_blind(name))
}

/// Whether a function of this name, PostgreSQL's own, takes no name and no text that means anything.
pub(super) fn is_blind(name: &str) -> bool {
    BLIND_FUNCTIONS.contains(&name.strip_prefix("pg_catalog.").unwrap_or(name))
}

/// Where the constants of a text lie that has a shape: of so many as most have.
#[derive(Clone, Copy, Debug, Default)]
pub struct Constants {
    places: [(u32, u32); CONSTANTS_MAX],
    found: usize,
}

impl Constants {
    /// They; `None` where there are more than are remembered.
    pub fn places(&self) -> Option<impl Iterator<Item = Range<usize>>> {
        let found = self.places.get(..self.found)?;
        Some(found.iter().map(|(from, to)| *from as usize..*to as usize))
    }

    fn note(&mut self, place: &Range<usize>) {
        // A text that has a shape is short.
        let of = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        if let Some(free) = self.places.get_mut(self.found) {
            *free = (of(place.start), of(place.end));
        }
        self.found += 1;
    }
}

/// Puts the shape of a text into `shape`, and tells where its constants are; `None` where it has none.
pub fn shape(text: &[u8], shape: &mut Vec<u8>) -> Option<Constants> {
    shape.clear();
    let (mut constants, mut copied) = (Constants::default(), 0);
    let has_one = pieces(text, |constant, place| {
        let Some(constant) = constant else { return };
        shape.extend_from_slice(text.get(copied..place.start).unwrap_or_default());
        shape.extend_from_slice(match constant {
            Constant::Text => b"''",
            Constant::Whole => b"0",
            Constant::Fraction => b"0.0",
        });
        copied = place.end;
        constants.note(&place);
    });
    if !has_one {
        return None;
    }
    shape.extend_from_slice(text.get(copied..).unwrap_or_default());
    Some(constants)
}

/// What does not stand in the shape as it is.
pub(super) enum Constant {
    /// A string, its quotation marks included.
    Text,
    /// A whole number without a sign.
    Whole,
    /// A number with a point.
    Fraction,
}

/// What a byte begins, outside of strings and quoted names.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Begins {
    Word,
    Number,
    String,
    QuotedName,
    Parameter,
    /// Stands for itself, unless it is twice there.
    Minus,
    /// Stands for itself, unless a `*` follows.
    Slash,
    /// Stands for itself: a mark or a space.
    Itself,
    /// What this does not know how to read.
    Nothing,
}

const BEGINS: [Begins; 256] = {
    let mut begins = [Begins::Nothing; 256];
    let mut byte = 0_u8;
    loop {
        begins[byte as usize] = match byte {
            b'\'' => Begins::String,
            b'"' => Begins::QuotedName,
            b'0'..=b'9' => Begins::Number,
            b'$' => Begins::Parameter,
            b'-' => Begins::Minus,
            b'/' => Begins::Slash,
            b'\\' => Begins::Nothing,
            b'_' | 0x80.. => Begins::Word,
            byte if byte.is_ascii_alphabetic() => Begins::Word,
            b' ' | b'\t' | b'\n' | b'\r' => Begins::Itself,
            byte if byte.is_ascii_punctuation() => Begins::Itself,
            _ => Begins::Nothing,
        };
        if byte == u8::MAX {
            break begins;
        }
        byte += 1;
    }
};

/// Hands out the pieces of a text in order, which of them are constants, and where they lie; false where it has no shape, which may show after
/// some of them.
pub(super) fn pieces(text: &[u8], mut take: impl FnMut(Option<Constant>, Range<usize>)) -> bool {
    if text.len() > TEXT_BYTES_MAX {
        return false;
    }
    let (mut at, mut last) = (0, b' ');
    while let Some(rest @ [first, after @ ..]) = text.get(at..) {
        let mut constant = None;
        let length = match BEGINS[usize::from(*first)] {
            Begins::Word => Some(1 + after.iter().position(|byte| !is_word(*byte)).unwrap_or(after.len())),
            Begins::Itself => Some(1),
            Begins::Number => number(rest, last).map(|(kind, length)| {
                constant = Some(kind);
                length
            }),
            Begins::String => {
                constant = Some(Constant::Text);
                string(rest, last)
            }
            Begins::QuotedName => quoted_name(rest, last),
            Begins::Parameter => parameter(rest),
            Begins::Minus => (after.first() != Some(&b'-')).then_some(1),
            Begins::Slash => (after.first() != Some(&b'*')).then_some(1),
            Begins::Nothing => None,
        };
        let Some(length) = length else { return false };
        let end = at + length;
        take(constant, at..end);
        last = rest.get(length - 1).copied().unwrap_or(last);
        at = end;
    }
    true
}

fn is_word(byte: u8) -> bool {
    matches!(BEGINS[usize::from(byte)], Begins::Word | Begins::Number | Begins::Parameter)
}

/// Whether what comes next belongs to what stands there already: `E'…'`, `U&"…"`, `a.1`.
fn is_glued(last: u8) -> bool {
    is_word(last) || matches!(last, b'&' | b'.')
}

fn string(rest: &[u8], last: u8) -> Option<usize> {
    if is_glued(last) {
        return None;
    }
    end_of_quoted(rest, b'\'')
}

fn quoted_name(rest: &[u8], last: u8) -> Option<usize> {
    // `a."b"` is two names; `U&"b"` is one with escapes.
    if last == b'&' {
        return None;
    }
    end_of_quoted(rest, b'"')
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

fn number(rest: &[u8], last: u8) -> Option<(Constant, usize)> {
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
    Some((if fraction > 0 { Constant::Fraction } else { Constant::Whole }, end))
}

fn parameter(rest: &[u8]) -> Option<usize> {
    let digits = rest[1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let end = 1 + digits;
    if digits == 0 || digits > INTEGER_DIGITS_MAX || rest.get(end).is_some_and(|next| is_word(*next)) {
        return None;
    }
    Some(end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sql::analyze;
    use crate::sql::tokens::Tokens;

    fn shape_of(text: &str) -> Option<String> {
        let mut into = Vec::new();
        shape(text.as_bytes(), &mut into).map(|_| String::from_utf8(into).unwrap())
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
    fn what_has_no_shape_takes_no_more_room_than_what_has_one() {
        let mut into = Vec::new();
        assert!(shape(&[b'a'; 4 * TEXT_BYTES_MAX], &mut into).is_none() && into.is_empty());
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
