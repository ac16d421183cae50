//! What of a statement says which columns come out, and what does not: conditions, groups and orders do not.
//!
//! In: the tokens of one statement that PostgreSQL's grammar has taken. Out: the ranges of them that the other parser need not see: WHERE, ON of a
//! join, GROUP BY, HAVING, WINDOW, ORDER BY, LIMIT, OFFSET, FETCH and FOR, each with all that belongs to it, where no query stands in it. They
//! are half of most statements. Nothing is left out of a statement with ON CONFLICT or MERGE, nor outside a query's own parentheses. Where
//! a range were wrong, the two parsers would name different relations, or one would take the rest for no statement: that means the worst.

use std::ops::Range;

use pg_query::protobuf::Token;

use super::super::tokens::{Lexeme, Tokens};

/// What stands within parentheses, or the statement as a whole.
struct Level {
    is_query: bool,
    clause: Option<Clause>,
}

/// One that may be left out.
struct Clause {
    start: usize,
    /// ON of a join.
    joins: bool,
    /// Queries that had begun before it.
    queries: usize,
}

/// See the module: in order, apart from each other.
pub(super) fn left_out(tokens: &Tokens<'_>) -> Vec<Range<usize>> {
    let all = &tokens.all;
    if all.iter().any(|lexeme| matches!(lexeme.token, Token::Conflict | Token::Merge)) {
        return Vec::new();
    }
    let token = |at: Option<usize>| at.and_then(|at| all.get(at)).map(|lexeme: &Lexeme<'_>| lexeme.token);
    let mut found = Vec::new();
    let mut queries = 0;
    let mut levels = vec![Level { is_query: token(Some(0)).is_some_and(begins_statement), clause: None }];
    for (at, lexeme) in all.iter().enumerate() {
        let (before, behind) = (token(at.checked_sub(1)), token(Some(at + 1)));
        if lexeme.token == Token::Ascii40 {
            levels.push(Level { is_query: behind.is_some_and(begins_query), clause: None });
            continue;
        }
        let Some(level) = levels.last_mut() else { return Vec::new() };
        // A column's name or label may be any word.
        let is_word = !matches!(before, Some(Token::Ascii46 | Token::As));
        let begins = level.is_query && is_word && begins_clause(lexeme.token, before, behind);
        if begins || ends_clause(lexeme.token, behind, level.clause.as_ref(), is_word) {
            found.extend(ended(level.clause.take(), at, queries));
        }
        if begins {
            level.clause = Some(Clause { start: at, joins: lexeme.token == Token::On, queries });
        }
        match lexeme.token {
            Token::Ascii41 if levels.len() > 1 => drop(levels.pop()),
            Token::Select | Token::Values | Token::Table | Token::With | Token::WithLa => queries += 1,
            _ => {}
        }
    }
    found.extend(levels.pop().and_then(|level| ended(level.clause, all.len(), queries)));
    found
}

fn ended(clause: Option<Clause>, end: usize, queries: usize) -> Option<Range<usize>> {
    clause.filter(|clause| clause.queries == queries).map(|clause| clause.start..end)
}

fn begins_statement(token: Token) -> bool {
    begins_query(token) || matches!(token, Token::Ascii40 | Token::Insert | Token::Update | Token::DeleteP)
}

fn begins_query(token: Token) -> bool {
    matches!(token, Token::Select | Token::With | Token::WithLa)
}

fn begins_clause(token: Token, before: Option<Token>, behind: Option<Token>) -> bool {
    match token {
        Token::Where | Token::Having | Token::Window | Token::Limit | Token::Offset | Token::Fetch | Token::For => true,
        Token::GroupP | Token::Order => behind == Some(Token::By),
        Token::On => before != Some(Token::Distinct),
        _ => false,
    }
}

/// Whether a token, which begins no clause, ends this one.
fn ends_clause(token: Token, behind: Option<Token>, clause: Option<&Clause>, is_word: bool) -> bool {
    match token {
        Token::Ascii41 | Token::Ascii59 => true,
        Token::Union | Token::Intersect | Token::Except | Token::Returning => is_word,
        Token::Ascii44 | Token::Join | Token::Using => is_word && clause.is_some_and(|clause| clause.joins),
        // `left(a, 1)` is a call.
        Token::Left | Token::Right | Token::Full | Token::InnerP | Token::Cross | Token::Natural => {
            is_word && clause.is_some_and(|clause| clause.joins) && behind != Some(Token::Ascii40)
        }
        _ => false,
    }
}
