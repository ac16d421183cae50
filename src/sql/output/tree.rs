//! One statement's tree, made when it is first asked for, and once: what it fills in and what it returns are both in it.
//!
//! In: the tokens of one statement. Out: what the tree says; nothing where the statement may not be shown to that parser, or where it does not
//! take it.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::ops::Range;

use pg_query::protobuf::Token as Kind;
use sqlparser::ast::{SetExpr, Statement, TableFactor, TableWithJoins, Visit};
use sqlparser::keywords::Keyword;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::Token;

use super::super::tokens::Tokens;
use super::dialect::Postgres;
use super::filling::{self, Filled};
use super::{Named, Outputs, Scope, essential, relation_name, single, statement_columns, words};
use crate::sql::{ColumnRef, RelationName};

/// See the module.
pub(in crate::sql) struct Tree<'t> {
    tokens: &'t Tokens<'t>,
    is_safe: bool,
    statement: OnceCell<Option<Statement>>,
}

impl<'t> Tree<'t> {
    /// Makes none yet. `is_safe`: whether the other parser may see the statement.
    pub(in crate::sql) fn new(tokens: &'t Tokens<'t>, is_safe: bool) -> Tree<'t> {
        Tree { tokens, is_safe, statement: OnceCell::new() }
    }

    /// Whether the other parser may see the statement.
    pub(in crate::sql) fn is_safe(&self) -> bool {
        self.is_safe
    }

    fn statement(&self) -> Option<&Statement> {
        let parsed = || self.is_safe.then(|| parse(self.tokens, &essential::left_out(self.tokens))).flatten();
        self.statement.get_or_init(parsed).as_ref()
    }

    /// What INSERT and UPDATE fill in.
    pub(in crate::sql) fn filled(&self) -> Option<Filled> {
        filling::filled(self.statement()?)
    }

    /// What reaches the client.
    pub(in crate::sql) fn outputs(&self) -> Option<Outputs> {
        outputs(self.statement()?, self.tokens)
    }
}

/// What of a statement reaches the client.
fn outputs(statement: &Statement, tokens: &Tokens<'_>) -> Option<Outputs> {
    let relations = alone(statement, tokens).unwrap_or_else(|| all(statement));
    let scope = Scope { ctes: &[], relations: &[], outer: None };
    let columns = statement_columns(statement, scope).ok()?;
    let by_column: Vec<_> = columns.into_iter().map(|column| (column.name, column.refs)).collect();
    let mut refs: Vec<ColumnRef> = by_column.iter().flat_map(|(_, refs)| refs).cloned().collect();
    refs.sort_unstable();
    refs.dedup();
    Some(Outputs { columns: refs, by_column, relations, single: single::statement(statement) })
}

/// Reads `text`, which must be one statement that the other parser may see; `None` where the parser or the following of names fails.
pub(in crate::sql) fn of(text: &str) -> Option<Outputs> {
    Tree::new(&Tokens::scan(text)?, true).outputs()
}

/// What such a text fills in.
pub(in crate::sql) fn filled(text: &str) -> Option<Filled> {
    Tree::new(&Tokens::scan(text)?, true).filled()
}

/// Every relation that a statement names.
fn all(statement: &Statement) -> BTreeSet<RelationName> {
    let mut named = Named::default();
    let _ = statement.visit(&mut named);
    named.0
}

/// The same of one SELECT with no query in it, whose tree need not be walked for that: whatever it names stands in FROM. Nothing of any other.
fn alone(statement: &Statement, tokens: &Tokens<'_>) -> Option<BTreeSet<RelationName>> {
    let begins = |token| matches!(token, Kind::Select | Kind::Values | Kind::Table | Kind::With | Kind::WithLa);
    if tokens.all.iter().filter(|lexeme| begins(lexeme.token)).count() != 1 {
        return None;
    }
    let Statement::Query(query) = statement else { return None };
    let SetExpr::Select(select) = query.body.as_ref() else { return None };
    let mut found = BTreeSet::new();
    (select.into.is_none() && in_from(&select.from, &mut found)).then_some(found)
}

/// False where anything else than a table stands there.
fn in_from(from: &[TableWithJoins], found: &mut BTreeSet<RelationName>) -> bool {
    let factors = from
        .iter()
        .flat_map(|item| std::iter::once(&item.relation).chain(item.joins.iter().map(|join| &join.relation)));
    for factor in factors {
        let is_table = match factor {
            TableFactor::Table { name, args: None, .. } => {
                found.extend(relation_name(name));
                true
            }
            TableFactor::NestedJoin { table_with_joins, .. } => in_from(std::slice::from_ref(table_with_joins), found),
            _ => false,
        };
        if !is_table {
            return false;
        }
    }
    true
}

/// The tree, without the ranges of the tokens that are left out.
fn parse(tokens: &Tokens<'_>, left_out: &[Range<usize>]) -> Option<Statement> {
    let parser = Parser::new(&Postgres);
    match words::of(tokens, left_out) {
        Some(words) => parsed(parser.with_tokens_with_locations(words)),
        None => parsed(parser.try_with_sql(tokens.text).ok()?),
    }
}

fn parsed(mut parser: Parser<'_>) -> Option<Statement> {
    if parser.peek_keyword(Keyword::TABLE) {
        // `TABLE t` is a query to this parser, but no statement.
        let query = parser.parse_query().ok()?;
        while parser.consume_token(&Token::SemiColon) {}
        return (parser.peek_token_ref().token == Token::EOF).then_some(Statement::Query(query));
    }
    let mut statements = parser.parse_statements().ok()?;
    (statements.len() == 1).then(|| statements.pop()).flatten()
}

#[cfg(test)]
mod tests {
    use sqlparser::dialect::PostgreSqlDialect;
    use sqlparser::keywords::ALL_KEYWORDS;

    use super::super::super::keywords::KEYWORD_BYTES_MAX;
    use super::*;

    /// Holds the tree against the one that the parser makes of the text by itself. False where PostgreSQL does not take the text, or it has no tree.
    fn is_the_same(text: &str) -> bool {
        let Some(tokens) = Tokens::scan(text).filter(|_| pg_query::summary(text, 0, -1).is_ok()) else { return false };
        let theirs = Parser::new(&PostgreSqlDialect {}).try_with_sql(text).ok().and_then(parsed);
        let ours = parse(&tokens, &[]);
        // What the scanner cuts may be taken where what that parser cuts is not.
        assert!(theirs.is_none() || ours == theirs, "{text}\n{ours:#?}\n{theirs:#?}");
        if let Some(whole) = &ours {
            is_the_same_without_conditions(whole, &tokens);
        }
        if let Some((statement, alone)) = ours.as_ref().and_then(|ours| Some((ours, alone(ours, &tokens)?))) {
            assert_eq!(alone, all(statement), "{text}");
        }
        theirs.is_some()
    }

    /// Holds what is followed of a tree against what is followed of the same without conditions, groups and orders.
    fn is_the_same_without_conditions(whole: &Statement, tokens: &Tokens<'_>) {
        let ranges = essential::left_out(tokens);
        let bare = parse(tokens, &ranges).unwrap_or_else(|| panic!("{} without {ranges:?}", tokens.text));
        let told = |of: &Statement| {
            outputs(of, tokens).map(|found| (found.columns, found.by_column, found.relations, found.single))
        };
        assert_eq!(told(&bare), told(whole), "{} without {ranges:?}", tokens.text);
        assert_eq!(filling::filled(&bare), filling::filled(whole), "{}", tokens.text);
        assert!(ranges.is_sorted_by(|one, other| one.end <= other.start), "{ranges:?}");
    }

    fn count<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> usize {
        texts.into_iter().filter(|text| is_the_same(text.as_ref())).count()
    }

    #[test]
    fn the_tree_is_the_one_that_the_parser_makes_by_itself() {
        assert_eq!(count(include_str!("../../../benches/statements.sql").split("\n\n")), 10);
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/evasion");
        let mut lines = Vec::new();
        for file in std::fs::read_dir(folder).expect("the corpus").flatten() {
            let text = std::fs::read_to_string(file.path()).expect("text");
            lines.extend(text.lines().filter(|line| !line.starts_with("--")).map(str::to_owned));
        }
        let taken = count(lines);
        assert!(taken > 500, "{taken}");
    }

    #[test]
    fn every_word_of_the_parser_is_read_as_it_reads_it() {
        let mut taken = 0;
        for word in ALL_KEYWORDS {
            let word = word.to_lowercase();
            taken += count([
                format!(
                    "select {word}, t.{word} as x from t where {word} = 1 and {word} is null order by t.{word} desc"
                ),
                format!("select a.{word}, b.t.{word}, -t.{word}, t.{word}::text, t.{word}[1], (t.{word}).a from t"),
                format!("select {word}(a), {word}(a.b, 'c') || {word}(3) from t group by {word}"),
                format!("select {word} '1', {word} \"1\" from t"),
                format!("select {word} x from t where {word} in ({word}, $1) or {word} between 1 and {word}"),
                format!("update t set a = {word}, b = t.{word} + 1 where t.{word} <> '' returning {word}, t.*"),
            ]);
        }
        assert!(taken > 3_000, "{taken}");
    }

    #[test]
    fn what_is_cut_in_more_than_one_way_is_cut_as_by_that_parser() {
        let texts = [
            "select E'a', U&'a', B'1', X'f', N'a', $$a$$, $a$b$a$, 'a\\', 'it''s', 'a'\n'b'",
            "select 1e5, 0x1f, 1_000, .5, 1., 1.5, 10000000000",
            "select a->'b', a->>'b', a#>>'{c}', a@>b, a=-1, a<-1, a||b, a ~* 'x', a<>b, a!=b, a %b",
            "select \"A\".\"b\"\"c\", tablé.é, U&\"a\" from t",
            "select /* a comment */ a -- b\n, c /* d */ from t;",
            "select f(a => 1), a[1:2], (a).b, $1::int, not a, @ a, a is not null from only t",
            "table t",
        ];
        assert!(count(texts) > 2);
    }

    #[test]
    fn no_word_of_the_parser_is_longer_than_is_looked_for() {
        assert!(ALL_KEYWORDS.iter().all(|word| word.len() <= KEYWORD_BYTES_MAX));
    }
}
