//! Texts that can be cut in one way only, cut without PostgreSQL's scanner, which takes a tenth of all that understanding one takes.
//!
//! In: a text. Out: the tokens that the scanner would make of it; nothing where there is anything that wants its rules: comments, escapes, dollar
//! quotes, strings that go on in the next line, numbers with an exponent, operators that end in a sign. What is cut here and by the scanner is held
//! to be the same by a test.

use std::ops::Range;
use std::sync::LazyLock;

use pg_query::protobuf::{KeywordKind, Token};

use super::keywords::Keywords;
use super::shape::{Constant, pieces};
use super::tokens::Lexeme;

/// Longer operators are left to the scanner, bytes.
const OPERATOR_BYTES_MAX: usize = 8;
/// The scanner's tokens have numbers below this one.
const TOKENS_MAX: i32 = 2_048;

/// The grammar's words: each one's token, and whether it is no name where it is not quoted.
static KEYWORDS: LazyLock<Keywords<(Token, bool)>> = LazyLock::new(|| {
    let names = (0..TOKENS_MAX).filter_map(|number| Token::try_from(number).ok()).map(|token| token.as_str_name());
    let written = names.map(|name| name.strip_suffix("_P").unwrap_or(name).to_ascii_lowercase());
    Keywords::new(written.filter_map(|word| {
        let found = pg_query::scan_tokens(&word).ok()?;
        let [found] = &found[..] else { return None };
        let kind = KeywordKind::try_from(found.keyword_kind).ok().filter(|kind| *kind != KeywordKind::NoKeyword)?;
        Some((word, (Token::try_from(found.token).ok()?, kind != KeywordKind::UnreservedKeyword)))
    }))
});

/// See the module.
pub(super) fn tokens(text: &str) -> Option<Vec<Lexeme<'_>>> {
    let mut all: Vec<Lexeme<'_>> = Vec::with_capacity(text.len() / 4 + 1);
    let mut is_plain = true;
    let has_shape = pieces(text.as_bytes(), |constant, place| {
        let token = constant.map(|constant| match constant {
            Constant::Text => Token::Sconst,
            Constant::Whole => Token::Iconst,
            Constant::Fraction => Token::Fconst,
        });
        is_plain &= taken(text, place, token, &mut all).is_some();
    });
    (has_shape && is_plain).then_some(all)
}

/// Takes one piece in; nothing where it wants the scanner.
fn taken<'t>(text: &'t str, place: Range<usize>, token: Option<Token>, all: &mut Vec<Lexeme<'t>>) -> Option<()> {
    let (start, end) = (place.start, place.end);
    let first = text.as_bytes().get(start)?;
    if matches!(first, b' ' | b'\t' | b'\n' | b'\r') {
        return Some(());
    }
    let piece = text.get(place)?;
    let plain = |token| Lexeme { token, keyword: false, fixed: false, text: piece, start, end };
    let before = all.last_mut();
    let lexeme = match (token, first) {
        // Two strings may be one.
        (Some(Token::Sconst), _) if before.as_ref().is_some_and(|before| before.token == Token::Sconst) => return None,
        (Some(token), _) => plain(token),
        (None, b'"') => (piece.len() > 2).then(|| plain(Token::Ident))?,
        (None, b'$') => plain(Token::Param),
        (None, first) if first.is_ascii_alphabetic() || *first == b'_' || *first >= 0x80 => match KEYWORDS.get(piece) {
            Some((token, fixed)) => Lexeme { token, keyword: true, fixed, text: piece, start, end },
            None => plain(Token::Ident),
        },
        (None, first) => {
            let mark = mark(*first)?;
            // What a mark touches may be one with it.
            match before.filter(|before| before.end == start && joins(before, *first)) {
                None => plain(mark),
                Some(before) => {
                    before.text = text.get(before.start..end)?;
                    before.end = end;
                    before.token = joined(before.text)?;
                    return Some(());
                }
            }
        }
    };
    all.push(lexeme);
    Some(())
}

/// The token of a mark that stands alone.
fn mark(byte: u8) -> Option<Token> {
    match byte {
        b'~' | b'!' | b'@' | b'#' | b'&' | b'|' | b'`' => Some(Token::Op),
        b'%' | b'(' | b')' | b'*' | b'+' | b',' | b'-' | b'.' | b'/' | b':' | b';' | b'<' | b'=' | b'>' | b'['
        | b']' | b'^' => Token::try_from(i32::from(byte)).ok(),
        _ => None,
    }
}

/// Whether a mark may belong to the token that it touches.
fn joins(before: &Lexeme<'_>, byte: u8) -> bool {
    match before.text.as_bytes().last() {
        Some(b'.') => byte == b'.',
        Some(b':') => matches!(byte, b':' | b'='),
        Some(last) if before.token != Token::Sconst && is_of_operator(*last) => is_of_operator(byte),
        _ => false,
    }
}

fn is_of_operator(byte: u8) -> bool {
    matches!(
        byte,
        b'~' | b'!' | b'@' | b'#' | b'^' | b'&' | b'|' | b'`' | b'+' | b'-' | b'*' | b'/' | b'%' | b'<' | b'>' | b'='
    )
}

/// The token of marks that touch, or nothing where that is for the scanner to say.
fn joined(text: &str) -> Option<Token> {
    match text {
        "::" => Some(Token::Typecast),
        "<=" => Some(Token::LessEquals),
        ">=" => Some(Token::GreaterEquals),
        "<>" | "!=" => Some(Token::NotEquals),
        "=>" => Some(Token::EqualsGreater),
        // One that ends in a sign may be two.
        _ if text.ends_with(['.', ':', '+', '-']) || text.starts_with(':') || text.len() > OPERATOR_BYTES_MAX => None,
        _ => Some(Token::Op),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sqlparser::keywords::ALL_KEYWORDS;

    use super::*;
    use crate::sql::tokens::Tokens;

    /// Holds what is cut here against what the scanner cuts; false where nothing is cut here.
    fn is_the_same(text: &str) -> bool {
        let Some(plain) = tokens(text) else { return false };
        if text.trim().is_empty() {
            return plain.is_empty();
        }
        let told = |all: &[Lexeme<'_>]| {
            all.iter()
                .map(|it| (it.token, it.keyword, it.fixed, it.text.to_owned(), it.start, it.end))
                .collect::<Vec<_>>()
        };
        let theirs = Tokens::scanned(text).unwrap_or_else(|| panic!("the scanner refuses {text}"));
        assert_eq!(told(&plain), told(&theirs.all), "{text}");
        assert!(theirs.comments.is_empty(), "{text}");
        true
    }

    #[test]
    fn plain_texts_are_cut_as_the_scanner_cuts_them() {
        for text in include_str!("../../benches/statements.sql").split("\n\n") {
            assert!(is_the_same(text), "{text}");
        }
        let texts = [
            "select a.b, \"A\"\"b\", tablé.é from t where a::int <= 1.5 and b <> $1 or c != 'it''s' and d => 1",
            "select a->'b', a->>'c', a || b, a @> b, a #>> '{a}', a ~* 'x', a!~~b, -1, +1, a*-1, ~1, x[1:2], a&b",
            "select x.\"y\"\t,\n\r z; ; select 1/2%3^4",
            "",
            " ",
        ];
        for text in texts {
            is_the_same(text);
        }
        assert!(is_the_same(texts[0]) && is_the_same(texts[2]));
    }

    #[test]
    fn every_word_is_what_it_is_to_the_scanner() {
        let names = (0..TOKENS_MAX).filter_map(|number| Token::try_from(number).ok()).map(|token| token.as_str_name());
        let suffixes = ["", "_P", "_LA"];
        let cut = names.flat_map(|name| suffixes.map(|suffix| name.strip_suffix(suffix).unwrap_or(name)));
        let mut keywords = 0;
        for word in cut.chain(ALL_KEYWORDS.iter().copied()) {
            assert!(is_the_same(word) && is_the_same(&word.to_lowercase()), "{word}");
            keywords += usize::from(KEYWORDS.get(word).is_some());
        }
        assert!(keywords > 900, "{keywords}");
    }

    #[test]
    fn the_corpora_are_cut_as_the_scanner_cuts_them() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/evasion");
        let mut plain = 0;
        for file in std::fs::read_dir(folder).expect("the corpus").flatten() {
            let text = std::fs::read_to_string(file.path()).expect("text");
            plain += text.lines().filter(|line| is_the_same(line)).count();
        }
        assert!(plain > 500, "{plain}");
    }

    proptest! {
        #[test]
        fn any_text_is_cut_as_by_the_scanner_or_not_at_all(
            text in "[a-zA-Z_0-9 .,:;=<>!+*/%^~@#&|`()\\[\\]'\"$\\n\\\\-]{0,24}|(select|'a'|\"b\"|::|->|[.]|[=]|1|2[.]5| |\n|\\$1|e|n|u|&|é|[<>=|@#*!]){0,20}"
        ) {
            is_the_same(&text);
        }
    }
}
