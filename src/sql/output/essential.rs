//! What of a statement says which columns come out, and what does not: conditions, groups and orders do not.
//!
//! In: the tokens of one statement that PostgreSQL's grammar has taken. Out: the ranges of them that the other parser need not see. Those are WHERE,
//! ON, GROUP BY, HAVING, WINDOW, ORDER BY, LIMIT, OFFSET, FETCH and FOR, each with all that belongs to it, and FILTER and OVER of a call,
//! where no query stands in them; they are half of most statements. Of a condition, the queries in it are left, and which columns of two relations are equal ([`equal`]). And in the lists of SELECT and RETURNING, what is no more than
//! names: one word stands for all that is one behind the other ([`Names`]). ONLY, too, is left out. Nothing is left out of a statement with ON CONFLICT or
//! MERGE, nor outside a query's own parentheses. Where a range were wrong, the two parsers would name different relations, or one would take the
//! rest for no statement: that means the worst.

use std::ops::Range;

use pg_query::protobuf::Token;

use super::super::tokens::{Lexeme, Tokens};
use super::equal;
use super::names::Names;

/// What stands within parentheses or brackets, or the statement as a whole.
#[derive(Default)]
struct Level {
    is_query: bool,
    /// Within the list of SELECT or RETURNING.
    lists: bool,
    clause: Option<Clause>,
}

/// One that may be left out.
struct Clause {
    start: usize,
    token: Token,
    /// Queries that had begun before it.
    queries: usize,
    /// Of a condition of which the queries are left: behind the last of them.
    kept_until: Option<usize>,
}

impl Clause {
    /// ON of a join.
    fn joins(&self) -> bool {
        self.token == Token::On
    }

    /// What is left out before the query that begins `at`.
    fn before(&self, at: usize) -> Cut {
        match self.kept_until {
            None => Cut { range: self.start + 1..at, instead: None },
            Some(end) => Cut { range: end..at, instead: Some(Instead::And) },
        }
    }

    /// Leaves it out where it ends, before which so many queries had begun: but for what says which columns are equal, and so whose rows are joined.
    fn ended(self, all: &[Lexeme<'_>], end: usize, queries: usize, found: &mut Vec<Cut>) {
        let is_left = self.kept_until.is_none() && self.queries != queries;
        let equal = match self.token {
            Token::On | Token::Where if !is_left => equal::columns(all, self.start + 1..end),
            _ => Vec::new(),
        };
        match self.kept_until {
            Some(start) => found.push(Cut { range: start..end, instead: None }),
            None if is_left => return,
            None if equal.is_empty() => found.push(Cut { range: self.start..end, instead: None }),
            None => found.push(Cut { range: self.start + 1..end, instead: None }),
        }
        equal.into_iter().for_each(|kept| spare(found, kept, self.start + 1..end));
    }
}

/// Takes a part of a condition out of what is left out of it.
fn spare(found: &mut Vec<Cut>, kept: Range<usize>, condition: Range<usize>) {
    let has = |cut: &Cut| cut.range.start <= kept.start && kept.end <= cut.range.end;
    let Some(place) = found.iter().rposition(has) else { return };
    let Some(Cut { range, .. }) = found.get(place) else { return };
    let (before, behind) = (range.start..kept.start, kept.end..range.end);
    let and = |is_at_the_end: bool| (!is_at_the_end).then_some(Instead::And);
    let before = Cut { instead: and(before.start == condition.start), range: before };
    let behind = Cut { instead: and(behind.end == condition.end), range: behind };
    found.splice(place..=place, [before, behind].into_iter().filter(|cut| !cut.range.is_empty()));
}

/// Tokens that the other parser does not see.
#[derive(Debug)]
pub(super) struct Cut {
    pub(super) range: Range<usize>,
    /// What stands there instead.
    pub(super) instead: Option<Instead>,
}

/// What stands in the place of what is cut out.
#[derive(Debug)]
pub(super) enum Instead {
    And,
    Names(Names),
}

/// See the module: in order, apart from each other.
pub(super) fn cuts(tokens: &Tokens<'_>) -> Vec<Cut> {
    let all = &tokens.all;
    if all.iter().any(|lexeme| matches!(lexeme.token, Token::Conflict | Token::Merge)) {
        return Vec::new();
    }
    let token = |at: Option<usize>| at.and_then(|at| all.get(at)).map(|lexeme: &Lexeme<'_>| lexeme.token);
    let mut found = Vec::new();
    let (mut queries, mut cut_until) = (0, 0);
    let is_query = token(Some(0)).is_some_and(begins_statement);
    let has_conditions = is_parenthesised(all);
    let mut levels = vec![Level { is_query, ..Level::default() }];
    for (at, lexeme) in all.iter().enumerate() {
        // Names, points and constants, of which most of a text is, begin nothing and end nothing.
        let is_operand = matches!(lexeme.token, Token::Ident | Token::Ascii46 | Token::Sconst | Token::Iconst);
        if is_operand || at < cut_until {
            continue;
        }
        let (before, behind) = (token(at.checked_sub(1)), token(Some(at + 1)));
        if matches!(lexeme.token, Token::Ascii40 | Token::Ascii91) {
            let is_query = lexeme.token == Token::Ascii40 && behind.is_some_and(begins_query);
            if is_query && has_conditions {
                found.extend(condition(&mut levels).map(|clause| clause.before(at)));
            }
            levels.push(Level { is_query, ..Level::default() });
            continue;
        }
        let Some(level) = levels.last_mut() else { return Vec::new() };
        // A column's name or label may be any word.
        let is_word = !matches!(before, Some(Token::Ascii46 | Token::As));
        let begins = level.is_query && is_word && begins_clause(lexeme.token, before, behind);
        let ends = begins || ends_clause(lexeme.token, behind, level.clause.as_ref(), is_word);
        if let Some(clause) = level.clause.take_if(|_| ends) {
            clause.ended(all, at, queries, &mut found);
        }
        if begins {
            level.clause = Some(Clause { start: at, token: lexeme.token, queries, kept_until: None });
        }
        level.lists = level.is_query && lists(level.lists && !begins, lexeme.token, is_word);
        if level.lists {
            let cut = match begins_item(lexeme.token, before) {
                true => Names::of(all, at + 1)
                    .map(|(names, end)| Cut { range: at + 1..end, instead: Some(Instead::Names(names)) }),
                false => around_call(all, at).map(|end| Cut { range: at..end, instead: None }),
            };
            cut_until = cut.as_ref().map_or(0, |cut| cut.range.end);
            found.extend(cut);
        }
        match lexeme.token {
            // Whether a table's children are read as well changes none of its columns, and the other parser does not know the word.
            Token::Only if is_word && behind != Some(Token::Ascii40) => {
                let is_in_from = levels.last().is_some_and(|level| level.is_query && level.clause.is_none());
                found.extend(is_in_from.then_some(Cut { range: at..at + 1, instead: None }));
            }
            Token::Ascii41 | Token::Ascii93 if levels.len() > 1 => {
                let was_query = levels.pop().is_some_and(|level| level.is_query);
                if let Some(clause) = condition(&mut levels).filter(|_| was_query && has_conditions) {
                    clause.kept_until = Some(at + 1);
                }
            }
            Token::Select | Token::Values | Token::Table | Token::With | Token::WithLa => queries += 1,
            _ => {}
        }
    }
    if let Some(clause) = levels.pop().and_then(|level| level.clause) {
        clause.ended(all, all.len(), queries, &mut found);
    }
    found
}

/// The condition in which what comes next stands, if it stands in one of the query around it.
fn condition(levels: &mut [Level]) -> Option<&mut Clause> {
    let clause = levels.iter_mut().rfind(|level| level.is_query)?.clause.as_mut()?;
    matches!(clause.token, Token::Where | Token::Having | Token::On).then_some(clause)
}

/// Whether each query within parentheses has its own: neither is it `TABLE t`, nor one of several that are put together behind it.
fn is_parenthesised(all: &[Lexeme<'_>]) -> bool {
    let is_set = |token| matches!(token, Token::Union | Token::Intersect | Token::Except);
    let puts = |pair: &[Lexeme<'_>]| matches!(pair, [end, set] if end.token == Token::Ascii41 && is_set(set.token));
    all.iter().all(|lexeme| lexeme.token != Token::Table) && !all.windows(2).any(puts)
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
        Token::Ascii44 | Token::Join | Token::Using => is_word && clause.is_some_and(Clause::joins),
        // `left(a, 1)` is a call.
        Token::Left | Token::Right | Token::Full | Token::InnerP | Token::Cross | Token::Natural => {
            is_word && clause.is_some_and(Clause::joins) && behind != Some(Token::Ascii40)
        }
        _ => false,
    }
}

/// Whether what stands behind a token is of a list, which it was before the token or not.
fn lists(lists: bool, token: Token, is_word: bool) -> bool {
    match token {
        Token::Select | Token::Returning if is_word => true,
        Token::From | Token::Into | Token::Union | Token::Intersect | Token::Except if is_word => false,
        Token::Ascii59 => false,
        _ => lists,
    }
}

/// Whether one of a list begins behind it.
fn begins_item(token: Token, before: Option<Token>) -> bool {
    match token {
        Token::Select | Token::Returning | Token::Ascii44 => true,
        Token::All | Token::Distinct => before == Some(Token::Select),
        _ => false,
    }
}

/// Where FILTER (…) or OVER (…) ends, which begins `at`, behind a call; nothing where it has a query in it.
pub(super) fn around_call(all: &[Lexeme<'_>], at: usize) -> Option<usize> {
    let is = |at: usize, token: Token| all.get(at).is_some_and(|lexeme| lexeme.token == token);
    if !(is(at, Token::Filter) || is(at, Token::Over))
        || !is(at.checked_sub(1)?, Token::Ascii41)
        || !is(at + 1, Token::Ascii40)
    {
        return None;
    }
    let mut depth = 0_usize;
    for (end, lexeme) in all.iter().enumerate().skip(at + 1) {
        match lexeme.token {
            Token::Ascii40 => depth += 1,
            Token::Ascii41 if depth == 1 => return Some(end + 1),
            Token::Ascii41 => depth -= 1,
            Token::Select | Token::Values | Token::Table | Token::With | Token::WithLa => return None,
            _ => {}
        }
    }
    None
}
