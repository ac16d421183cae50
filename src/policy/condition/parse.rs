//! Text → `sqlparser`'s expression, under limits that keep its recursion and ours small.

use sqlparser::ast::Expr;
use sqlparser::dialect::GenericDialect;
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer, Whitespace};

use super::{DEPTH_MAX, Mistake, TEXT_BYTES_MAX, TOKENS_MAX};

/// The expression that `text` is, whole.
pub fn parse(text: &str) -> Result<Expr, Mistake> {
    if text.len() > TEXT_BYTES_MAX {
        let what = format!("the condition has {} bytes, more than {TEXT_BYTES_MAX}", text.len());
        return Err(Mistake { offset: 0, what, mend: "split the policy, or use a list".to_owned() });
    }
    // The dialect of DataFusion's default, so that the same text runs in `mitsuke query`.
    let dialect = GenericDialect {};
    let tokens = Tokenizer::new(&dialect, text).tokenize_with_location().map_err(|error| Mistake {
        offset: offset(text, error.location),
        what: error.message,
        mend: String::new(),
    })?;
    let tokens: Vec<TokenWithSpan> = tokens.into_iter().filter(|token| !is_space(&token.token)).collect();
    within_limits(&tokens, text)?;
    let mut parser = Parser::new(&dialect).with_recursion_limit(DEPTH_MAX).with_tokens_with_locations(tokens);
    let expression = parser.parse_expr().map_err(|error| mistake(error, &parser, text))?;
    let rest = parser.peek_token();
    match rest.token {
        Token::EOF => Ok(expression),
        token => Err(Mistake {
            offset: offset(text, rest.span.start),
            what: format!("the condition should end before `{token}`"),
            mend: "a condition is one boolean expression: what follows WHERE in a query".to_owned(),
        }),
    }
}

/// The number, from 0, of the character at `location`; the end where it lies beyond.
pub fn offset(text: &str, location: Location) -> usize {
    if location.line == 0 {
        return 0;
    }
    let mut line = 1;
    let mut column = 1;
    for (index, c) in text.chars().enumerate() {
        if (line, column) >= (location.line, location.column) {
            return index;
        }
        if c == '\n' {
            line += 1;
            column = 1;
        } else {
            column += 1;
        }
    }
    text.chars().count()
}

fn is_space(token: &Token) -> bool {
    matches!(token, Token::Whitespace(Whitespace::Space | Whitespace::Newline | Whitespace::Tab))
}

/// What may stand before an operand.
fn is_sign(token: &Token) -> bool {
    match token {
        Token::Minus | Token::Plus => true,
        Token::Word(word) => word.keyword == Keyword::NOT,
        _ => false,
    }
}

fn within_limits(tokens: &[TokenWithSpan], text: &str) -> Result<(), Mistake> {
    if tokens.len() > TOKENS_MAX {
        let what = format!("the condition has {} tokens, more than {TOKENS_MAX}", tokens.len());
        return Err(Mistake { offset: 0, what, mend: "split the policy, or use a list".to_owned() });
    }
    let mut depth: usize = 0;
    // `not not not …`, `- - - …`: each nests, without a bracket.
    let mut signs: usize = 0;
    for token in tokens {
        signs = if is_sign(&token.token) { signs + 1 } else { 0 };
        match token.token {
            Token::LParen | Token::LBracket | Token::LBrace => depth += 1,
            Token::RParen | Token::RBracket | Token::RBrace => depth = depth.saturating_sub(1),
            Token::Whitespace(_) => {
                return Err(Mistake {
                    offset: offset(text, token.span.start),
                    what: "a comment inside a condition".to_owned(),
                    mend: "write it as a YAML comment, or in `why`".to_owned(),
                });
            }
            _ => {}
        }
        if depth + signs > DEPTH_MAX {
            let offset = offset(text, token.span.start);
            return Err(Mistake {
                offset,
                what: format!("nested deeper than {DEPTH_MAX} levels"),
                mend: String::new(),
            });
        }
    }
    Ok(())
}

fn mistake(error: ParserError, parser: &Parser<'_>, text: &str) -> Mistake {
    let here = offset(text, parser.peek_token().span.start);
    match error {
        ParserError::RecursionLimitExceeded => {
            Mistake { offset: here, what: format!("nested deeper than {DEPTH_MAX} levels"), mend: String::new() }
        }
        ParserError::TokenizerError(what) | ParserError::ParserError(what) => {
            let (what, place) = match what.split_once(" at Line: ") {
                Some((before, place)) => (before.to_owned(), Some(place.to_owned())),
                None => (what, None),
            };
            let place = place.as_deref().and_then(location).map(|location| offset(text, location));
            let offset = match what.ends_with("found: EOF") {
                true => text.chars().count(),
                false => place.unwrap_or(here),
            };
            Mistake { offset, what: what.replace("found: EOF", "found the end"), mend: String::new() }
        }
    }
}

/// `1, Column: 5`
fn location(text: &str) -> Option<Location> {
    let (line, column) = text.split_once(", Column: ")?;
    let digits = column.split(|c: char| !c.is_ascii_digit()).next()?;
    Some(Location { line: line.parse().ok()?, column: digits.parse().ok()? })
}
