//! PostgreSQL's dialect for `sqlparser`, with the most frequent expressions read at once.
//!
//! In: the parser, before an expression. Out: a column's name, a constant, a parameter, or a call by name; nothing where it may be anything else,
//! and then the parser goes its own way. That way tries each of them as the name of a type first, and writes an error about it that nobody reads:
//! a third of all that it takes for a statement. What comes out is the same, which a test holds against the parser's own dialect.

use std::any::TypeId;

use sqlparser::ast::{Expr, Ident, ObjectName};
use sqlparser::dialect::{Dialect, PostgreSqlDialect, Precedence};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Span, Token, Word};

/// See the module.
#[derive(Debug)]
pub(super) struct Postgres;

/// Asks PostgreSQL's dialect.
macro_rules! as_it_says {
    ($($name:ident)*) => { $(fn $name(&self) -> bool { PostgreSqlDialect {}.$name() })* };
}

impl Dialect for Postgres {
    /// The parser asks for it where it asks whose dialect this is.
    fn dialect(&self) -> TypeId {
        TypeId::of::<PostgreSqlDialect>()
    }

    fn parse_prefix(&self, parser: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
        let found = match &parser.peek_token_ref().token {
            Token::Number(..) | Token::SingleQuotedString(_) | Token::Placeholder(_) => {
                return Some(parser.parse_value().map(Expr::Value));
            }
            Token::Word(word) => found(word, parser)?,
            _ => return None,
        };
        let (taken, expr) = match found {
            Found::Call(name) => {
                parser.advance_token();
                return Some(parser.parse_function(ObjectName::from(vec![name])));
            }
            Found::Name(name) => (1, Expr::Identifier(name)),
            Found::Qualified(parts) => (3, Expr::CompoundIdentifier(parts)),
        };
        for _ in 0..taken {
            parser.advance_token();
        }
        Some(Ok(expr))
    }

    fn identifier_quote_style(&self, identifier: &str) -> Option<char> {
        PostgreSqlDialect {}.identifier_quote_style(identifier)
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        PostgreSqlDialect {}.is_delimited_identifier_start(ch)
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        PostgreSqlDialect {}.is_identifier_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        PostgreSqlDialect {}.is_identifier_part(ch)
    }

    fn is_reserved_for_identifier(&self, keyword: Keyword) -> bool {
        PostgreSqlDialect {}.is_reserved_for_identifier(keyword)
    }

    fn is_custom_operator_part(&self, ch: char) -> bool {
        PostgreSqlDialect {}.is_custom_operator_part(ch)
    }

    fn get_next_precedence(&self, parser: &Parser<'_>) -> Option<Result<u8, ParserError>> {
        PostgreSqlDialect {}.get_next_precedence(parser)
    }

    fn prec_value(&self, precedence: Precedence) -> u8 {
        PostgreSqlDialect {}.prec_value(precedence)
    }

    as_it_says! {
        supports_unicode_string_literal supports_filter_during_aggregation supports_group_by_expr allow_extract_custom
        allow_extract_single_quotes supports_create_index_with_clause supports_explain_with_utility_options supports_listen_notify
        supports_factorial_operator supports_bitwise_shift_operators supports_comment_on supports_load_extension
        supports_named_fn_args_with_colon_operator supports_named_fn_args_with_expr_name supports_empty_projections
        supports_nested_comments supports_string_escape_constant supports_numeric_literal_underscores
        supports_array_typedef_with_brackets supports_geometric_types supports_set_names supports_alter_column_type_using
        supports_notnull_operator supports_interval_options supports_insert_table_alias supports_create_table_like_parenthesized
        supports_select_wildcard_with_alias supports_comma_separated_trim supports_xml_expressions supports_comment_optimizer_hint
    }
}

/// What a word may begin.
enum Found {
    /// `f(`
    Call(Ident),
    /// `a`
    Name(Ident),
    /// `a.b`
    Qualified(Vec<Ident>),
}

/// What a word begins that is a name, and nothing but one.
fn found(word: &Word, parser: &Parser<'_>) -> Option<Found> {
    let next = &parser.peek_nth_token_ref(1).token;
    if is_function(word) && *next == Token::LParen {
        return Some(Found::Call(ident(word)));
    }
    if !is_name(word, next) {
        return None;
    }
    if *next == Token::Period
        && let Token::Word(second) = &parser.peek_nth_token_ref(2).token
        && let behind = &parser.peek_nth_token_ref(3).token
        && *behind != Token::Period
        && is_name(second, behind)
    {
        return Some(Found::Qualified(vec![ident(word), ident(second)]));
    }
    Some(Found::Name(ident(word)))
}

fn ident(word: &Word) -> Ident {
    Ident { value: word.value.clone(), quote_style: word.quote_style, span: Span::empty() }
}

/// Whether a call of it is a call as any other.
fn is_function(word: &Word) -> bool {
    use Keyword as K;
    matches!(
        word.keyword,
        K::NoKeyword
            | K::COUNT
            | K::SUM
            | K::MAX
            | K::MIN
            | K::AVG
            | K::COALESCE
            | K::LOWER
            | K::UPPER
            | K::LAG
            | K::LEAD
            | K::RANK
            | K::ROW_NUMBER
            | K::ABS
            | K::NULLIF
    )
}

/// Whether a word with this behind it is a name: neither the beginning of an expression of its own kind, nor a type's with a constant behind it.
fn is_name(word: &Word, next: &Token) -> bool {
    let ends = match next {
        Token::Word(next) => is_between(next) || word.keyword == Keyword::NoKeyword,
        next => matches!(
            next,
            Token::Comma
                | Token::RParen
                | Token::Period
                | Token::Eq
                | Token::Neq
                | Token::Lt
                | Token::Gt
                | Token::LtEq
                | Token::GtEq
                | Token::Plus
                | Token::Minus
                | Token::Mul
                | Token::Div
                | Token::StringConcat
                | Token::DoubleColon
                | Token::SemiColon
                | Token::EOF
        ),
    };
    ends && !begins(word.keyword)
}

/// Words that may stand behind an expression, and are no constant.
fn is_between(word: &Word) -> bool {
    use Keyword as K;
    matches!(
        word.keyword,
        K::AS
            | K::FROM
            | K::AND
            | K::OR
            | K::IS
            | K::IN
            | K::BETWEEN
            | K::LIKE
            | K::ILIKE
            | K::ASC
            | K::DESC
            | K::WHERE
            | K::GROUP
            | K::ORDER
    )
}

/// Words that begin an expression of their own kind.
fn begins(keyword: Keyword) -> bool {
    use Keyword as K;
    matches!(
        keyword,
        K::TRUE
            | K::FALSE
            | K::NULL
            | K::CURRENT_CATALOG
            | K::CURRENT_USER
            | K::SESSION_USER
            | K::USER
            | K::CURRENT_TIMESTAMP
            | K::CURRENT_TIME
            | K::CURRENT_DATE
            | K::LOCALTIME
            | K::LOCALTIMESTAMP
            | K::CASE
            | K::CONVERT
            | K::TRY_CONVERT
            | K::CAST
            | K::TRY_CAST
            | K::SAFE_CAST
            | K::EXISTS
            | K::EXTRACT
            | K::CEIL
            | K::FLOOR
            | K::POSITION
            | K::SUBSTR
            | K::SUBSTRING
            | K::OVERLAY
            | K::TRIM
            | K::INTERVAL
            | K::ARRAY
            | K::NOT
            | K::MATCH
            | K::STRUCT
            | K::PRIOR
            | K::MAP
            | K::LAMBDA
            | K::CIRCLE
            | K::BOX
            | K::PATH
            | K::LINE
            | K::LSEG
            | K::POINT
            | K::POLYGON
    )
}
