//! One statement's tree, made when it is first asked for, and once: what it fills in and what it returns are both in it.
//!
//! In: the tokens of one statement. Out: what the tree says; nothing where the statement may not be shown to that parser, or where it does not
//! take it.

use std::cell::OnceCell;
use std::collections::BTreeSet;

use pg_query::protobuf::Token as Kind;
use sqlparser::ast::{Query, SetExpr, Statement, TableFactor, TableWithJoins, Visit};
use sqlparser::keywords::Keyword;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::Token;

use super::super::tokens::Tokens;
use super::dialect::Postgres;
use super::essential::Cut;
use super::filling::{self, Filled};
use super::{
    ColumnCalls, Named, Outputs, Rows, Scope, called, essential, relation_name, single, statement_columns, words,
};
use crate::sql::RelationName;

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
        let parsed = || self.is_safe.then(|| parse(self.tokens, essential::cuts(self.tokens))).flatten();
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
    let rows = Rows::default();
    let columns = statement_columns(statement, Scope::of_nothing(&rows)).ok().filter(|_| !rows.are_too_many())?;
    let by_column = columns.into_iter().map(|column| (column.name, column.refs)).collect();
    let (single, grows) = (single::statement(statement), rows.has_growing());
    let (joined, tables) = rows.into_parts();
    Some(Outputs { by_column, relations, tables, single, grows, joined })
}

/// Reads `text`, which must be one statement that the other parser may see; `None` where the parser or the following of names fails.
pub(in crate::sql) fn of(text: &str) -> Option<Outputs> {
    Tree::new(&Tokens::scan(text)?, true).outputs()
}

/// What such a text fills in.
pub(in crate::sql) fn filled(text: &str) -> Option<Filled> {
    Tree::new(&Tokens::scan(text)?, true).filled()
}

/// The functions that each column of such a text's result comes from.
pub(in crate::sql) fn calls(text: &str) -> Option<ColumnCalls> {
    called::calls(&parse(&Tokens::scan(text)?, Vec::new())?)
}

/// Every relation that a statement names.
fn all(statement: &Statement) -> BTreeSet<RelationName> {
    let mut named = Named::default();
    let _ = statement.visit(&mut named);
    named.0
}

/// The same where every query of it is in FROM, in WITH or one of several that are put together: then the tree need not be walked. Nothing of any
/// other, which has more words that begin one than were come by.
fn alone(statement: &Statement, tokens: &Tokens<'_>) -> Option<BTreeSet<RelationName>> {
    let begins = |token| matches!(token, Kind::Select | Kind::Values | Kind::Table | Kind::With | Kind::WithLa);
    let Statement::Query(query) = statement else { return None };
    let mut found = InFrom::default();
    let count = tokens.all.iter().filter(|lexeme| begins(lexeme.token)).count();
    (found.query(query) && found.begun == count).then_some(found.names)
}

/// Relations that stand in FROM, and the words that begin a query on the way there. False where anything else is come by.
#[derive(Default)]
struct InFrom {
    names: BTreeSet<RelationName>,
    begun: usize,
}

impl InFrom {
    fn query(&mut self, query: &Query) -> bool {
        let ctes = query.with.as_ref().map(|with| &with.cte_tables[..]);
        self.begun += usize::from(ctes.is_some());
        ctes.unwrap_or_default().iter().all(|cte| self.query(&cte.query)) && self.body(&query.body)
    }

    fn body(&mut self, body: &SetExpr) -> bool {
        match body {
            SetExpr::Select(select) => {
                self.begun += 1;
                select.into.is_none() && self.from(&select.from)
            }
            SetExpr::SetOperation { left, right, .. } => self.body(left) && self.body(right),
            SetExpr::Query(query) => self.query(query),
            _ => false,
        }
    }

    fn from(&mut self, from: &[TableWithJoins]) -> bool {
        let mut factors = from
            .iter()
            .flat_map(|item| std::iter::once(&item.relation).chain(item.joins.iter().map(|join| &join.relation)));
        factors.all(|factor| match factor {
            TableFactor::Table { name, args: None, .. } => {
                self.names.extend(relation_name(name));
                true
            }
            TableFactor::Derived { subquery, .. } => self.query(subquery),
            TableFactor::NestedJoin { table_with_joins, .. } => self.from(std::slice::from_ref(table_with_joins)),
            _ => false,
        })
    }
}

/// The tree, without what is cut out.
fn parse(tokens: &Tokens<'_>, cuts: Vec<Cut>) -> Option<Statement> {
    let parser = Parser::new(&Postgres);
    match words::of(tokens, cuts) {
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
    use std::ops::ControlFlow;

    use sqlparser::ast::{Expr, FunctionArguments, Value, visit_expressions};
    use sqlparser::dialect::PostgreSqlDialect;
    use sqlparser::keywords::ALL_KEYWORDS;

    use super::super::super::keywords::KEYWORD_BYTES_MAX;
    use super::*;

    /// Holds the tree against the one that the parser makes of the text by itself. False where PostgreSQL does not take the text, or it has no tree.
    fn is_the_same(text: &str) -> bool {
        let Some(tokens) = Tokens::scan(text).filter(|_| pg_query::summary(text, 0, -1).is_ok()) else { return false };
        let theirs = Parser::new(&PostgreSqlDialect {}).try_with_sql(text).ok().and_then(parsed);
        let ours = parse(&tokens, Vec::new());
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
        let cuts = essential::cuts(tokens);
        if cuts.is_empty() {
            return;
        }
        if is_misread(whole) {
            return;
        }
        let ranges: Vec<_> = cuts.iter().map(|cut| cut.range.clone()).collect();
        let bare = parse(tokens, cuts).unwrap_or_else(|| panic!("{} without {ranges:?}", tokens.text));
        let told = |of: Outputs| ((of.by_column, of.relations, of.single), of.joined);
        // What that parser takes for more than names, `t.false`, it does not follow.
        if let Some((whole, all_joined)) = outputs(whole, tokens).map(told) {
            let (bare, joined) = outputs(&bare, tokens).map(told).unzip();
            assert_eq!(bare, Some(whole), "{} without {ranges:?}", tokens.text);
            let joined = joined.unwrap_or_default();
            // Some joins are not looked for in the tokens.
            assert!(joined.iter().all(|one| all_joined.contains(one)), "{}: {joined:?}, {all_joined:?}", tokens.text);
        }
        assert_eq!(filling::filled(&bare), filling::filled(whole), "{}", tokens.text);
        assert!(ranges.is_sorted_by(|one, other| one.end <= other.start), "{ranges:?}");
    }

    /// Whether that parser has taken a column for something else: for a constant of a type in `date "a"`, for a call in `t.user`.
    fn is_misread(statement: &Statement) -> bool {
        let is_one = |expr: &Expr| match expr {
            Expr::TypedString(typed) => matches!(typed.value.value, Value::DoubleQuotedString(_)),
            Expr::Function(call) => call.args == FunctionArguments::None && call.name.0.len() > 1,
            _ => false,
        };
        let found = visit_expressions(statement, |expr| match is_one(expr) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        });
        found.is_break()
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
    fn what_is_cut_out_changes_nothing_of_what_is_followed() {
        let texts = [
            "select t.a, u.b from t, u where t.a = u.a and (t.b > 1 and (u.c = t.d or u.e = t.e)) and ((u.f = t.f)) order by 1",
            "select t.a, v.b from t left join u on u.a = t.a and u.b = 'x' join v on (v.a = t.a and exists (select 1 from w where w.a = v.a)) \
             where t.c in (select x.c from x where x.d = t.d and x.e between 1 and t.e) and t.f = u.f and v.g = (select max(y.g) from y)",
            "select t.a, (select u.b from u where u.a = t.a limit 1) from t where not t.a = 1 and t.b between t.c and t.d = t.e",
            "update t set a = 1 from u where u.a = t.a and u.b > 3 returning u.b, t.c",
            "select a, t.b as c, \"D\".\"e\"\"f\" g, count(*), count(distinct t.a) n, max(A), f(t.a, 'x', B) as \"F\" from t, \"D\"",
            "select row_number() over (order by a) r, rank() over w, sum(a) filter (where b > 1) as s, t.*, t from t window w as (order by a)",
            "select array[a, b, c], a[1], (a).b, coalesce(a, 'x', b) as c, f(a, g(b)), f(a + 1), 1, $1, 'x' y from t",
            "select distinct on (a, b) c, d from t order by e",
            "select all a, b from t union select distinct c, d from u order by 1",
            "select a is distinct from b, c, case when a then b end, d from t",
            "select name, t.select, value as from, over, filter from t",
            "update t set a = b, c = d from u where t.a = u.a returning t.a, u.b as x, lower(c)",
            "insert into t (a, b) select c, max(d) from u where e in (select f, g from v) returning t.a, b",
            "delete from t using u where t.a = u.a returning u.b, t.c",
            "with x as (select a, b from t) select x.a, (select max(c) from u where u.a = x.a), b, d from x \
             where exists (select a from w) and a in (select b from y where c = any (select 1 from z)) or lower(c) = 'd'",
            "select a from t where b between (select min(c) from u) and 5 and d having count(*) > (select 1 from v)",
            "select a from t join u on u.a = (select max(d) from v), w where t.a in (values (1), ((select e from z)))",
            "select a from t where b in ((select c from u) union select d from v) and c in (1, 2)",
            "select a from t left join (u join v on u.a = v.a and exists (select b, c from w)) on t.a = u.a order by (select 1)",
        ];
        assert_eq!(count(texts), texts.len());
    }

    #[test]
    fn no_word_of_the_parser_is_longer_than_is_looked_for() {
        assert!(ALL_KEYWORDS.iter().all(|word| word.len() <= KEYWORD_BYTES_MAX));
    }
}
