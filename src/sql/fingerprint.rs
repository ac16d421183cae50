//! Which statements are one statement with other constants: a statement's fingerprint.
//!
//! In: a statement's tokens and the relations that it names. Out: 16 hexadecimal digits, the first 64 bits of the SHA-256 of its normal form,
//! which is never kept. In the normal form
//!
//! - white space, comments and the semicolon are left out;
//! - constants (`TRUE`, `FALSE` and `NULL` among them) and parameters are one mark, with the sign before it;
//! - items of a list that hold one, and rows of `VALUES`, count once where they follow each other and are alike;
//! - `END` is `COMMIT`, `ABORT` is `ROLLBACK`, `=` in `SET` is `TO`, and words that change nothing there are left out;
//! - words are folded as PostgreSQL folds them, quoted or not; `AS`, `INNER` and `OUTER` before `JOIN` are left out; `!=` is `<>`;
//! - digits that stand together are left out of a relation's name: partitions and numbered copies are one;
//! - the code of a `DO` block and of a function is in its normal form, too.
//!
//! It needs no tree, for which a text would be parsed once more (a third of all that understanding one takes), does not change with the grammar
//! of a newer version, and holds no constant of any statement: a password could be guessed from the hash of a text that has it. Everything else tells statements
//! apart: aliases, the order of columns, `a::int` and `cast(a as int)`, parentheses.

use std::collections::HashSet;

use pg_query::protobuf::Token;
use ring::digest::{SHA256, digest};

use super::RelationName;
use super::tokens::{Lexeme, Tokens};
use crate::record::Text;

/// Stands for a constant. No token is this letter alone.
const MARK: &str = "$";
/// Bytes of the hash that are kept.
const HASH_BYTES: usize = 8;

/// See the module; empty where nothing stands in the text.
pub(super) fn of(tokens: &Tokens<'_>, relations: [&[RelationName]; 2]) -> Text {
    let names = relations.into_iter().flatten().map(|relation| &*relation.name);
    let numbered = names.filter(|name| holds_number(name)).collect();
    let normal = normal(tokens, &numbered, true);
    if normal.is_empty() {
        return Text::default();
    }
    let hash = digest(&SHA256, normal.as_bytes());
    let digits = hash.as_ref().iter().take(HASH_BYTES).flat_map(|byte| [byte >> 4, byte & 15]);
    digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect::<String>().into()
}

/// The normal form. `codes`: whether a body in it is put in its normal form.
fn normal(tokens: &Tokens<'_>, numbered: &HashSet<&str>, codes: bool) -> String {
    // What touches in the text does not in it.
    let mut form = Form::new(tokens.text.len() + tokens.all.len());
    let code_behind = if codes { code_behind(tokens) } else { None };
    let all = &tokens.all;
    for (at, lexeme) in all.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|at| all.get(at));
        let behind = all.get(at + 1).map(|lexeme| lexeme.token);
        match lexeme.token {
            Token::Sconst if code_behind.is_some_and(|word| word.is_none() || word == before.map(|it| it.token)) => {
                match lexeme.content().as_deref().and_then(Tokens::scan) {
                    Some(body) => form.word(&normal(&body, numbered, false)),
                    None => form.mark(),
                }
            }
            _ if is_mark(lexeme, before.map(|lexeme| lexeme.token)) => form.mark(),
            Token::Ascii40 | Token::Ascii91 => form.open(lexeme.text),
            Token::Ascii41 | Token::Ascii93 => form.close(lexeme.text),
            Token::Ascii44 => form.comma(),
            Token::Ascii45 if before.is_none_or(|before| !ends_operand(before)) => form.sign(),
            Token::Ascii59 if behind.is_none() => {}
            Token::As => {}
            Token::InnerP | Token::OuterP if behind == Some(Token::Join) => {}
            Token::NotEquals => form.word("<>"),
            _ if let Some(word) = synonym(all, at) => match word {
                "" => {}
                word => form.word(word),
            },
            Token::Values => form.values(),
            _ => name(&mut form, lexeme, numbered),
        }
    }
    form.out
}

/// Whether a statement's text holds code in a string: `Some(None)` in any string of a DO block, `Some(AS)` in one behind this word.
fn code_behind(tokens: &Tokens<'_>) -> Option<Option<Token>> {
    let makes = |at: usize| matches!(tokens.all.get(at).map(|it| it.token), Some(Token::Function | Token::Procedure));
    match tokens.all.first()?.token {
        Token::Do => Some(None),
        Token::Create if makes(1) || tokens.are(1, &["or", "replace"]) && makes(3) => Some(Some(Token::As)),
        _ => None,
    }
}

/// What a word of a utility statement is written as that has another of the same meaning: to the server both are one statement, and it counts
/// both under the text that came first. Empty for what may be left out.
fn synonym(all: &[Lexeme<'_>], at: usize) -> Option<&'static str> {
    let token = |at: usize| all.get(at).map(|lexeme| lexeme.token);
    // Of all others, no word has one.
    if at > 1 && token(0) != Some(Token::Set) {
        return None;
    }
    let ends = matches!(token(0), Some(Token::Commit | Token::EndP | Token::Rollback | Token::AbortP));
    match (token(at)?, at) {
        (Token::EndP, 0) => Some("commit"),
        (Token::AbortP, 0) => Some("rollback"),
        (Token::Work | Token::Transaction, 1) if ends || token(0) == Some(Token::BeginP) => Some(""),
        (Token::Session, 1) if token(0) == Some(Token::Set) => {
            let is_other = matches!(token(2), Some(Token::Authorization | Token::Characteristics));
            (!is_other).then_some("")
        }
        (Token::Ascii61, _) if token(0) == Some(Token::Set) => Some("TO"),
        _ => None,
    }
}

fn is_mark(lexeme: &Lexeme<'_>, before: Option<Token>) -> bool {
    match lexeme.token {
        Token::Param => true,
        // Of `IS NULL` and `NOT NULL`.
        Token::TrueP | Token::FalseP | Token::NullP => !matches!(before, Some(Token::Is | Token::Not)),
        Token::All => before == Some(Token::Limit),
        _ => lexeme.is_constant(),
    }
}

/// Whether a minus behind it takes something from it.
fn ends_operand(lexeme: &Lexeme<'_>) -> bool {
    match lexeme.token {
        Token::Ascii41 | Token::Ascii93 | Token::Param | Token::EndP => true,
        Token::TrueP | Token::FalseP | Token::NullP => true,
        Token::CurrentDate
        | Token::CurrentTime
        | Token::CurrentTimestamp
        | Token::Localtime
        | Token::Localtimestamp => true,
        _ => lexeme.is_constant() || lexeme.is_name() && !lexeme.fixed,
    }
}

fn name(form: &mut Form, lexeme: &Lexeme<'_>, numbered: &HashSet<&str>) {
    if lexeme.fixed {
        return form.word_as(lexeme.text, str::make_ascii_uppercase);
    }
    let is_plain = |name: &str| {
        name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'_' | b'0'..=b'9'))
            && !name.starts_with(|c: char| c.is_ascii_digit())
    };
    let inside = lexeme.text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    let (name, is_quoted) = match inside {
        Some(inside) if is_plain(inside) => (inside, true),
        Some(_) => (lexeme.text, true),
        None => (lexeme.text, !lexeme.is_name()),
    };
    let is_numbered = || numbered.contains(&*name.trim_matches('"').to_ascii_lowercase());
    match !numbered.is_empty() && holds_number(name) && is_numbered() {
        true => form.word_as(&without_numbers(name), str::make_ascii_lowercase),
        false if is_quoted => form.word(name),
        false => form.word_as(name, str::make_ascii_lowercase),
    }
}

fn holds_number(name: &str) -> bool {
    name.as_bytes().windows(2).any(|pair| pair.iter().all(u8::is_ascii_digit))
}

/// Without digits that stand together.
fn without_numbers(name: &str) -> String {
    let is_digit = |at: usize| name.as_bytes().get(at).is_some_and(u8::is_ascii_digit);
    let stays = |at: usize| !is_digit(at) || !(is_digit(at + 1) || at > 0 && is_digit(at - 1));
    name.char_indices().filter(|(at, _)| stays(*at)).map(|(_, c)| c).collect()
}

/// A normal form as it is written. Places are in bytes of it; whatever stands in it ends with a space.
struct Form {
    out: String,
    levels: Vec<Level>,
    /// Where a sign stands that belongs to the constant behind it, if there is one.
    sign: Option<usize>,
}

/// A list: what stands within parentheses, and the statement as a whole.
#[derive(Clone, Copy, Default)]
struct Level {
    /// Where its parenthesis stands.
    start: usize,
    item: Item,
    /// The last row of VALUES, and the item as it was before the comma behind it.
    row: Option<(usize, usize)>,
    resumed: Item,
    /// Where VALUES ended.
    values: Option<usize>,
}

/// One of a list's, from where to the comma.
#[derive(Clone, Copy, Default)]
struct Item {
    start: usize,
    /// The one before it, from where to where.
    before: Option<(usize, usize)>,
}

impl Form {
    fn new(capacity: usize) -> Form {
        Form { out: String::with_capacity(capacity), levels: vec![Level::default()], sign: None }
    }

    fn word(&mut self, word: &str) {
        self.sign = None;
        self.out.push_str(word);
        self.out.push(' ');
    }

    fn word_as(&mut self, word: &str, fold: fn(&mut str)) {
        let start = self.out.len();
        self.word(word);
        self.out.get_mut(start..).into_iter().for_each(fold);
    }

    fn sign(&mut self) {
        let at = self.out.len();
        self.word("-");
        self.sign = Some(at);
    }

    fn mark(&mut self) {
        if let Some(at) = self.sign.take() {
            self.out.truncate(at);
        }
        self.word(MARK);
    }

    fn values(&mut self) {
        self.word("VALUES");
        let end = self.out.len();
        if let Some(level) = self.levels.last_mut() {
            level.values = Some(end);
        }
    }

    fn open(&mut self, bracket: &str) {
        let start = self.out.len();
        self.word(bracket);
        self.levels.push(Level { start, item: Item { start: self.out.len(), before: None }, ..Level::default() });
    }

    fn close(&mut self, bracket: &str) {
        self.item_ends();
        let within = (self.levels.len() > 1).then(|| self.levels.pop()).flatten();
        self.word(bracket);
        if let (Some(within), Some(level)) = (within, self.levels.last_mut()) {
            let here = (within.start, self.out.len());
            if level.values == Some(here.0) {
                level.row = Some(here);
            } else if let Some(row) = level.row
                && self.out.get(row.1..here.0) == Some(", ")
            {
                if self.out.get(row.0..row.1) == self.out.get(here.0..here.1) {
                    self.out.truncate(row.1);
                    level.item = level.resumed;
                } else {
                    level.row = Some(here);
                }
            }
        }
    }

    fn comma(&mut self) {
        self.item_ends();
        let end = self.out.len();
        self.word(",");
        let start = self.out.len();
        if let Some(level) = self.levels.last_mut() {
            level.resumed = level.item;
            level.item = Item { start, before: Some((level.item.start, end)) };
        }
    }

    /// Leaves the item out that ends here, where it is as the one before it and holds a constant.
    fn item_ends(&mut self) {
        if self.levels.len() < 2 {
            return;
        }
        let Some(level) = self.levels.last_mut() else { return };
        let Some((start, end)) = level.item.before else { return };
        let item = self.out.get(level.item.start..).unwrap_or_default();
        if self.out.get(start..end) == Some(item) && item.contains(MARK) {
            self.out.truncate(end);
            level.item = level.resumed;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::sql::{analyze, fingerprint};

    fn equal(one: &str, other: &str) -> bool {
        let of = |text: &str| fingerprint(text).unwrap_or_else(|| panic!("{text} is a statement"));
        of(one) == of(other)
    }

    #[test]
    fn statements_that_differ_in_constants_alone_are_one() {
        let pairs = [
            ("select a from t where b = 1", "SELECT a  FROM t -- x\nWHERE b = 'two';"),
            ("select a from t where b = 1", "select \"a\" from \"t\" where b = $1"),
            ("select a from t where b = -1", "select a from t where b = $1"),
            ("select a - 1 from t limit all", "select a - $1 from t limit $2"),
            ("select current_date - 5", "select current_date - $1"),
            ("select a from t where b in (1)", "select a from t where b in ($1, $2, -3)"),
            ("select a from t where b in ($1::int)", "select a from t where b in ($1::int, $2::int, $3::int)"),
            ("select a from t where b = any(array[1, 2])", "select a from t where b = any(array[$1 /*, ... */])"),
            ("insert into t values (1, 'x', null)", "insert into t values (2, $1, true), ($2, $3, $4) , (5, 6, 7)"),
            (
                "insert into t (a) values (1) on conflict do nothing",
                "insert into t (a) values (1), (2), (3) on conflict do nothing",
            ),
            ("insert into t values (1, now())", "insert into t values (1, now()), (2, now())"),
            (
                "select * from (values (1, f(2))) x (a, b)",
                "select * from (values (1, f(2)), (3, f(4)), (5, f(6))) as x (a, b)",
            ),
            ("select a b from t inner join u on true", "select a as b from t join u on true"),
            ("select a from t left join u on b <> c", "select a from t left outer join u on b != c"),
            ("select * from orders_2025_01", "select * from \"orders_2026_12\""),
            ("select date '2026-01-01'", "select date '2025-01-01'"),
            ("alter role a password 'one'", "alter role a password 'two'"),
            ("do $$ begin perform f(1); end $$", "do 'begin perform f(2); end'"),
            (
                "create function f() returns int language sql as 'select 1'",
                "create function f() returns int language sql as $$ select 2 $$",
            ),
            ("end", "commit work"),
            ("abort transaction", "ROLLBACK;"),
            ("begin", "begin transaction"),
            ("set session a.b = 'c'", "set a.b to 'd'"),
            ("select 1 where not exists (select)", "select 2 where not exists (select)"),
        ];
        for (one, other) in pairs {
            assert!(equal(one, other), "{one} / {other}");
        }
    }

    #[test]
    fn statements_that_differ_in_anything_else_are_two() {
        let pairs = [
            ("select a from t", "select b from t"),
            ("select a, b from t", "select b, a from t"),
            ("select a from t", "select a from s.t"),
            ("select x.a from t x", "select x.a from u x"),
            ("select a from t2", "select a from t3"),
            ("select a12 from t", "select a13 from t"),
            ("select lower(a), a from t", "select lower(a) from t"),
            ("select f(a, a)", "select f(a)"),
            ("select a from t where b is null", "select a from t where b is true"),
            ("select a from t where b is null", "select a from t where b is not null"),
            ("select a from t where b in (1)", "select a from t where b in (1, c)"),
            ("select a - 1 from t", "select a + 1 from t"),
            ("select a from t where b = 1", "select a from t where (b = 1)"),
            ("select user", "select \"user\" from t"),
            ("select coalesce(a, 1) from t", "select \"coalesce\"(a, 1) from t"),
            ("select A from t", "select \"A\" from t"),
            ("values (1), (2)", "values (a, 2)"),
            ("do $$ begin perform f(1); end $$", "do $$ begin perform g(1); end $$"),
            ("begin", "start transaction"),
            ("set session authorization a", "set session_authorization to a"),
            ("create table t (a int not null)", "create table t (a int null)"),
            ("select f((1), (a))", "select f((1))"),
        ];
        for (one, other) in pairs {
            assert!(!equal(one, other), "{one} / {other}");
        }
    }

    #[test]
    fn what_is_no_statement_has_none() {
        for text in ["", " ; ", "select from where", "<insufficient privilege>", "select 'a", "savepoint $1"] {
            assert_eq!(fingerprint(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn rows_and_lists_of_any_length_are_one(rows in 1..30_usize, columns in 1..8_usize, listed in 1..40_usize) {
            let row = format!("({})", vec!["$1"; columns].join(", "));
            let text = |rows: usize, listed: usize| format!(
                "insert into t select * from (values {}) x where a in ({}) or b in (select c from (values {}) y)",
                vec![&*row; rows].join(","), vec!["7"; listed].join(" , "), vec!["('x'::text)"; listed].join(",")
            );
            prop_assert!(equal(&text(rows, listed), &text(1, 1)));
        }

        #[test]
        fn any_text_has_a_fingerprint_or_none(text in "[a-z0-9 ,()$';\\[\\]-]{0,60}|(values|\\(|\\)|,| |1|a){0,40}") {
            analyze(&format!("do $$ {text} $$"));
            analyze(&text);
        }
    }
}
