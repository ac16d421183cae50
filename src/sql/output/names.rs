//! Items of a list that are no more than names: `a`, `t.a`, and calls of such and of constants, `max(t.a)`, with or without another name; and `(t).*`,
//! which the other parser does not take.
//!
//! In: the tokens of a list, of a statement that PostgreSQL's grammar has taken. Out: one word for all such items that stand one behind the other,
//! which the other parser takes for a parameter; and of the word, what each is made from. Anything else is left to that parser.

use pg_query::protobuf::Token;

use super::super::tokens::Lexeme;
use super::essential::around_call;
use super::rows::picks;
use super::{Column, ColumnRef, Scope, Sought, everything};

/// The word. Of each column named it has four parts: what it is to its item, the relation or nothing, the column or nothing, and the item's other
/// name or nothing; [`END`] stands behind each.
#[derive(Debug)]
pub(super) struct Names(pub(super) String);

/// No name has it, nor has a text.
const END: char = '\0';

/// Of a call, and more of it comes.
const ARGUMENT: &str = ",";
/// The last of a call, or a call without any …
const LAST: &str = ")";
/// … and of one that picks a row of several.
const PICKED: &str = ">";
/// All of a row.
const STAR: &str = "*";

impl Names {
    /// Takes what is no more than names, from `start` on, and tells where it ends.
    pub(super) fn of(all: &[Lexeme<'_>], start: usize) -> Option<(Names, usize)> {
        let (mut word, mut end, mut at) = (String::new(), None, start);
        loop {
            let whole = word.len();
            let Some(behind) = item(all, at, &mut word) else {
                word.truncate(whole);
                return end.map(|end| (Names(word), end));
            };
            end = Some(behind);
            if !is(all, behind, Token::Ascii44) {
                return Some((Names(word), behind));
            }
            at = behind + 1;
        }
    }

    /// Whether `word` is such a one.
    pub(super) fn are(word: &str) -> bool {
        word.ends_with(END)
    }
}

/// The columns that such a word stands for.
pub(super) fn columns(word: &str, scope: Scope<'_>) -> Vec<Column> {
    let mut parts = word.split_terminator(END);
    let mut part = || parts.next();
    let mut columns = Vec::new();
    let mut refs = Vec::new();
    while let (Some(mark), Some(relation), Some(column), Some(other)) = (part(), part(), part(), part()) {
        if mark == STAR {
            columns.extend(row(column, scope));
            continue;
        }
        if !column.is_empty() {
            let relation = Some(relation).filter(|relation| !relation.is_empty());
            refs.append(&mut scope.column(relation, column, mark.is_empty()));
        }
        if mark != ARGUMENT {
            let own = if mark.is_empty() { column } else { "" };
            let name = [other, own].into_iter().find(|name| !name.is_empty()).map(str::to_owned);
            let refs = std::mem::take(&mut refs);
            let refs = if mark == PICKED { scope.rows.picked(refs) } else { refs };
            columns.push(Column { name, refs });
        }
    }
    columns
}

/// `(c).*`: all of the relation, each perhaps of a column of that name. How many columns another row has is not known.
fn row(name: &str, scope: Scope<'_>) -> Vec<Column> {
    match scope.relation(name).map(everything) {
        Some(mut columns) => {
            let of_column = scope.columns_named(name);
            columns.iter_mut().for_each(|column| column.refs.extend_from_slice(&of_column));
            columns
        }
        None => {
            let any = |found: ColumnRef| {
                let sought = Sought { name: name.into(), perhaps: true, ..Sought::default() };
                ColumnRef { column: None, sought: Some(Box::new(sought)), ..found }
            };
            vec![Column { name: None, refs: scope.column(None, name, false).into_iter().map(any).collect() }]
        }
    }
}

/// The name of the first of these columns.
pub(super) fn first_label(word: &str) -> Option<String> {
    let mut parts = word.split_terminator(END);
    loop {
        let (mark, _, column, other) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        if mark == STAR {
            return None;
        }
        if mark != ARGUMENT {
            return [other, column].into_iter().find(|name| !name.is_empty()).map(str::to_owned);
        }
    }
}

/// Puts the item that begins `at` behind `word`, and tells where it ends; nothing where it is more than names.
fn item(all: &[Lexeme<'_>], at: usize, word: &mut String) -> Option<usize> {
    if let Some(name) = row_named(all, at) {
        push(word, STAR, Some((None, name)), None);
        return Some(at + ROW_TOKENS);
    }
    let first = all.get(at)?;
    let is_function =
        matches!(first.token, Token::Ident | Token::Coalesce | Token::Nullif | Token::Greatest | Token::Least);
    let is_call = is_function && is(all, at + 1, Token::Ascii40);
    let (mark, last, mut end) = match is_call {
        true => {
            let (last, end) = arguments(all, at, word)?;
            let mark = if picks(&first.name()) { PICKED } else { LAST };
            (mark, last, around_call(all, end).unwrap_or(end))
        }
        false => {
            let (column, end) = column(all, at)?;
            ("", Some(column), end)
        }
    };
    let other = match all.get(end).map(|lexeme| lexeme.token) {
        Some(Token::As) => Some(any_name(all, end + 1)?),
        _ => any_name(all, end).filter(|lexeme| lexeme.token == Token::Ident),
    };
    end += match other {
        Some(_) if is(all, end, Token::As) => 2,
        Some(_) => 1,
        None => 0,
    };
    // A call goes by its function's name.
    let other = other.or(is_call.then_some(first));
    if !ends(all, end) {
        return None;
    }
    push(word, mark, last, other);
    Some(end)
}

/// `(t).*` is so many tokens.
const ROW_TOKENS: usize = 5;

/// The name in `(t).*`, where that begins `at` and is all of an item.
fn row_named<'l, 't>(all: &'l [Lexeme<'t>], at: usize) -> Option<&'l Lexeme<'t>> {
    let around = [(0, Token::Ascii40), (2, Token::Ascii41), (3, Token::Ascii46), (4, Token::Ascii42)];
    let is_one = around.into_iter().all(|(behind, token)| is(all, at + behind, token)) && ends(all, at + ROW_TOKENS);
    any_name(all, at + 1).filter(|lexeme| is_one && !lexeme.fixed)
}

/// Whether an item ends there.
fn ends(all: &[Lexeme<'_>], at: usize) -> bool {
    let tokens = [Token::Ascii44, Token::From, Token::Ascii41, Token::Ascii59];
    at >= all.len() || tokens.into_iter().any(|token| is(all, at, token))
}

/// A column's relation and name.
type Named<'l, 't> = (Option<&'l Lexeme<'t>>, &'l Lexeme<'t>);

/// Puts the arguments of the call that begins `at` behind `word`, all but the last column's, and tells it and where the call ends.
fn arguments<'l, 't>(all: &'l [Lexeme<'t>], at: usize, word: &mut String) -> Option<(Option<Named<'l, 't>>, usize)> {
    // A number of rows says nothing of anybody in them.
    let is_count = all.get(at)?.name() == "count";
    let mut at = at + 2;
    if is_count && is(all, at, Token::Ascii42) && is(all, at + 1, Token::Ascii41) {
        return Some((None, at + 2));
    }
    at += usize::from(is(all, at, Token::Distinct));
    let mut last = None;
    if is(all, at, Token::Ascii41) {
        return Some((None, at + 1));
    }
    loop {
        at = match all.get(at)?.token {
            Token::Sconst | Token::Iconst | Token::Fconst | Token::Param => at + 1,
            _ => {
                let (column, end) = column(all, at)?;
                if let Some(before) = last.replace(column).filter(|_| !is_count) {
                    push(word, ARGUMENT, Some(before), None);
                }
                end
            }
        };
        match all.get(at)?.token {
            Token::Ascii44 => at += 1,
            Token::Ascii41 => return Some((last.filter(|_| !is_count), at + 1)),
            _ => return None,
        }
    }
}

/// The column that is named `at`, and where its name ends.
fn column<'l, 't>(all: &'l [Lexeme<'t>], at: usize) -> Option<(Named<'l, 't>, usize)> {
    let first = any_name(all, at).filter(|lexeme| !lexeme.fixed)?;
    match is(all, at + 1, Token::Ascii46) {
        true => Some(((Some(first), any_name(all, at + 2)?), at + 3)),
        false => Some(((None, first), at + 1)),
    }
}

/// What is a name behind a point or AS, where any word is. Letters beyond ASCII are left to the other parser.
fn any_name<'l, 't>(all: &'l [Lexeme<'t>], at: usize) -> Option<&'l Lexeme<'t>> {
    let is_known = |lexeme: &&Lexeme<'_>| lexeme.text.is_ascii() || lexeme.text.starts_with('"');
    all.get(at).filter(|lexeme| lexeme.token == Token::Ident || lexeme.keyword).filter(is_known)
}

fn push(word: &mut String, mark: &str, column: Option<Named<'_, '_>>, other: Option<&Lexeme<'_>>) {
    word.push_str(mark);
    word.push(END);
    let (relation, column) = column.map_or((None, None), |(relation, column)| (relation, Some(column)));
    for part in [relation, column, other] {
        part.into_iter().for_each(|part| part.push_name(word));
        word.push(END);
    }
}

fn is(all: &[Lexeme<'_>], at: usize, token: Token) -> bool {
    all.get(at).is_some_and(|lexeme| lexeme.token == token)
}
