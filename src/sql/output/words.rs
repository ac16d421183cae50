//! PostgreSQL's tokens as `sqlparser` has them, so that a text is cut once, and as the server cuts it.
//!
//! In: the tokens of a text. Out: the same for the other parser, without white space and comments; nothing where one of them is of a kind that the
//! two write differently: escapes, bit strings, operators of somebody's own. Then that parser cuts the text itself.

use std::sync::LazyLock;

use pg_query::protobuf::Token as Kind;
use sqlparser::keywords::{ALL_KEYWORDS, ALL_KEYWORDS_INDEX, Keyword};
use sqlparser::tokenizer::{Span, Token, TokenWithSpan, Word};

use super::super::keywords::Keywords;
use super::super::tokens::{Lexeme, Tokens};
use super::essential::{Cut, Instead};
use super::names::Names;

/// That parser's words. It searches a thousand of them for each word of a text, ten comparisons deep.
static KEYWORDS: LazyLock<Keywords<Keyword>> = LazyLock::new(|| {
    Keywords::new(ALL_KEYWORDS.iter().map(|word| (*word).to_owned()).zip(ALL_KEYWORDS_INDEX.iter().copied()))
});

/// See the module. `cuts`: what it is not to see, in order.
pub(super) fn of(tokens: &Tokens<'_>, cuts: Vec<Cut>) -> Option<Vec<TokenWithSpan>> {
    let all = &tokens.all;
    let mut words = Vec::with_capacity(all.len() + 1);
    let (mut end, mut before) = (0, Class::Space);
    let mut from = 0;
    let spanned = |token| TokenWithSpan { token, span: Span::empty() };
    let rest = Cut { range: all.len()..all.len(), instead: None };
    for Cut { range, instead } in cuts.into_iter().chain(std::iter::once(rest)) {
        for lexeme in all.get(from..range.start)? {
            let class = class(lexeme);
            if end == lexeme.start && are_glued(before, class) {
                return None;
            }
            words.push(spanned(word(lexeme)?));
            (end, before) = (lexeme.end, class);
        }
        words.extend(instead.map(|instead| match instead {
            Instead::And => spanned(plain("and")),
            Instead::Names(Names(names)) => spanned(Token::Placeholder(names)),
        }));
        from = range.end;
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
        Kind::Ascii40 | Kind::Ascii41 | Kind::Ascii91 | Kind::Ascii93 | Kind::Ascii44 | Kind::Ascii59 => Class::Space,
        Kind::Ascii46 => Class::Point,
        _ => Class::Operator,
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
        _ => mark(lexeme)?,
    };
    Some(token)
}

/// Whether a word is no keyword of that parser's: `id` is one, and a name wherever a column may stand.
pub(super) fn is_name(word: &str) -> bool {
    KEYWORDS.get(word).is_none_or(|keyword| keyword == Keyword::ID)
}

fn plain(text: &str) -> Token {
    let keyword = KEYWORDS.get(text).unwrap_or(Keyword::NoKeyword);
    Token::Word(Word { value: text.to_owned(), quote_style: None, keyword })
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

fn mark(lexeme: &Lexeme<'_>) -> Option<Token> {
    Some(match lexeme.token {
        Kind::Ascii44 => Token::Comma,
        Kind::Ascii40 => Token::LParen,
        Kind::Ascii41 => Token::RParen,
        Kind::Ascii46 => Token::Period,
        Kind::Ascii61 => Token::Eq,
        Kind::Ascii42 => Token::Mul,
        Kind::Typecast => Token::DoubleColon,
        Kind::Ascii60 => Token::Lt,
        Kind::Ascii62 => Token::Gt,
        Kind::LessEquals => Token::LtEq,
        Kind::GreaterEquals => Token::GtEq,
        Kind::NotEquals => Token::Neq,
        Kind::Ascii43 => Token::Plus,
        Kind::Ascii45 => Token::Minus,
        Kind::Ascii47 => Token::Div,
        Kind::Ascii37 => Token::Mod,
        Kind::Ascii91 => Token::LBracket,
        Kind::Ascii93 => Token::RBracket,
        Kind::Ascii59 => Token::SemiColon,
        Kind::EqualsGreater => Token::RArrow,
        _ => match lexeme.text {
            "||" => Token::StringConcat,
            "->" => Token::Arrow,
            "->>" => Token::LongArrow,
            _ => return None,
        },
    })
}
