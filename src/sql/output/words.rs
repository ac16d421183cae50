//! PostgreSQL's tokens as `sqlparser` has them, so that a text is cut once, and as the server cuts it.
//!
//! In: the tokens of a text. Out: the same for the other parser, without white space and comments; nothing where one of them is of a kind that the
//! two write differently: escapes, bit strings, operators of somebody's own. Then that parser cuts the text itself.

use std::collections::HashMap;
use std::sync::LazyLock;

use pg_query::protobuf::Token as Kind;
use sqlparser::keywords::{ALL_KEYWORDS, ALL_KEYWORDS_INDEX, Keyword};
use sqlparser::tokenizer::{Span, Token, TokenWithSpan, Word};

use super::super::tokens::{Lexeme, Tokens};

/// No word of that parser is longer, bytes.
pub(super) const KEYWORD_BYTES_MAX: usize = 48;

/// Its words, in capitals. It searches a thousand of them for each word of a text, ten comparisons deep.
static KEYWORDS: LazyLock<HashMap<&[u8], Keyword, ahash::RandomState>> =
    LazyLock::new(|| ALL_KEYWORDS.iter().map(|word| word.as_bytes()).zip(ALL_KEYWORDS_INDEX.iter().copied()).collect());

/// Of each first and last letter, the lengths that its words have: a name is no word of that parser as a rule, and is not looked for.
static LENGTHS: LazyLock<[[u64; 26]; 26]> = LazyLock::new(|| {
    let mut lengths = [[0; 26]; 26];
    for word in ALL_KEYWORDS {
        if let Some(of) = letters(word).and_then(|(first, last)| lengths.get_mut(first)?.get_mut(last)) {
            *of |= 1 << word.len();
        }
    }
    lengths
});

/// Which letters of the alphabet a word begins and ends with.
fn letters(word: &str) -> Option<(usize, usize)> {
    let letter = |byte: &u8| usize::from(byte.to_ascii_uppercase()).checked_sub(usize::from(b'A'));
    Some((letter(word.as_bytes().first()?)?, letter(word.as_bytes().last()?)?))
}

/// See the module.
pub(super) fn of(tokens: &Tokens<'_>) -> Option<Vec<TokenWithSpan>> {
    let mut words = Vec::with_capacity(tokens.all.len() + 1);
    let (mut end, mut before) = (0, Class::Space);
    for lexeme in &tokens.all {
        let class = class(lexeme);
        if end == lexeme.start && are_glued(before, class) {
            return None;
        }
        words.push(TokenWithSpan { token: word(lexeme)?, span: Span::empty() });
        (end, before) = (lexeme.end, class);
    }
    Some(words)
}

/// What a token is to one that it touches.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Nothing, or what ends whatever stands before it.
    Space,
    Point,
    Operator,
    Plain,
    Quoted,
    Number,
    String,
}

fn class(lexeme: &Lexeme<'_>) -> Class {
    match lexeme.token {
        Kind::Iconst | Kind::Fconst | Kind::Param => Class::Number,
        Kind::Sconst => Class::String,
        Kind::Ident if lexeme.text.starts_with('"') => Class::Quoted,
        Kind::Ident => Class::Plain,
        _ if lexeme.keyword => Class::Plain,
        _ => match lexeme.text {
            "(" | ")" | "[" | "]" | "," | ";" => Class::Space,
            "." => Class::Point,
            _ => Class::Operator,
        },
    }
}

/// Whether the other parser may take two tokens for one, or cut them elsewhere.
fn are_glued(before: Class, behind: Class) -> bool {
    let is_value = |class| !matches!(class, Class::Space | Class::Point | Class::Operator);
    match (before, behind) {
        (Class::Operator, Class::Operator) | (Class::Point, Class::Number) | (Class::Number, Class::Point) => true,
        (before, behind) => is_value(before) && is_value(behind),
    }
}

fn word(lexeme: &Lexeme<'_>) -> Option<Token> {
    let text = lexeme.text;
    let token = match lexeme.token {
        Kind::Ident if text.starts_with('"') => {
            let value = text.strip_prefix('"')?.strip_suffix('"')?.replace("\"\"", "\"");
            Token::Word(Word { value, quote_style: Some('"'), keyword: Keyword::NoKeyword })
        }
        Kind::Ident if text.is_ascii() => plain(text),
        _ if lexeme.keyword => plain(text),
        Kind::Sconst => Token::SingleQuotedString(string(text)?),
        Kind::Iconst if text.bytes().all(|byte| byte.is_ascii_digit()) => Token::Number(text.to_owned(), false),
        Kind::Fconst if is_fraction(text) => Token::Number(text.to_owned(), false),
        Kind::Param => Token::Placeholder(text.to_owned()),
        _ => mark(text)?,
    };
    Some(token)
}

fn plain(text: &str) -> Token {
    let lengths = letters(text).and_then(|(first, last)| LENGTHS.get(first)?.get(last));
    let may_be = text.len() <= KEYWORD_BYTES_MAX && lengths.is_none_or(|lengths| lengths >> text.len() & 1 == 1);
    if !may_be {
        return Token::Word(Word { value: text.to_owned(), quote_style: None, keyword: Keyword::NoKeyword });
    }
    let mut capitals = [0; KEYWORD_BYTES_MAX];
    let keyword = capitals.get_mut(..text.len()).and_then(|capitals| {
        capitals.copy_from_slice(text.as_bytes());
        capitals.make_ascii_uppercase();
        KEYWORDS.get(&*capitals).copied()
    });
    Token::Word(Word { value: text.to_owned(), quote_style: None, keyword: keyword.unwrap_or(Keyword::NoKeyword) })
}

/// What stands in a string without escapes.
fn string(text: &str) -> Option<String> {
    let inside = text.strip_prefix('\'')?.strip_suffix('\'')?;
    if inside.contains('\\') {
        return None;
    }
    if !inside.contains('\'') {
        return Some(inside.to_owned());
    }
    // Two strings with a line's end between them are one to the scanner.
    let doubled = inside.matches("''").count() * 2 == inside.matches('\'').count();
    doubled.then(|| inside.replace("''", "'"))
}

fn is_fraction(text: &str) -> bool {
    let are_digits = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    text.split_once('.').is_some_and(|(whole, fraction)| are_digits(whole) && are_digits(fraction))
}

fn mark(text: &str) -> Option<Token> {
    Some(match text {
        "," => Token::Comma,
        "(" => Token::LParen,
        ")" => Token::RParen,
        "." => Token::Period,
        "=" => Token::Eq,
        "*" => Token::Mul,
        "::" => Token::DoubleColon,
        "<" => Token::Lt,
        ">" => Token::Gt,
        "<=" => Token::LtEq,
        ">=" => Token::GtEq,
        "<>" | "!=" => Token::Neq,
        "+" => Token::Plus,
        "-" => Token::Minus,
        "/" => Token::Div,
        "%" => Token::Mod,
        "||" => Token::StringConcat,
        "->" => Token::Arrow,
        "->>" => Token::LongArrow,
        "[" => Token::LBracket,
        "]" => Token::RBracket,
        ";" => Token::SemiColon,
        "=>" => Token::RArrow,
        _ => return None,
    })
}
