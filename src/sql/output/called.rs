//! The functions that each column of a query's result comes from.
//!
//! In: a query. Out: by column, the names that are called for it; and the names that are called for none, in conditions, groups and orders. Nothing where
//! a column may come from more than its own expression: of several queries put together, say.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use sqlparser::ast::{Expr, Query, SelectItem, SetExpr, Statement, TableFactor, TableWithJoins, Visit, Visitor};

use super::folded;
use crate::record::Text;

/// See the module. Names without their schemas.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColumnCalls {
    /// Column by column.
    pub columns: Vec<BTreeSet<Text>>,
    /// For no column.
    pub aside: BTreeSet<Text>,
}

/// See the module.
pub(super) fn calls(statement: &Statement) -> Option<ColumnCalls> {
    let Statement::Query(query) = statement else { return None };
    let Query { with: None, body, .. } = &**query else { return None };
    let SetExpr::Select(select) = &**body else { return None };
    let is_plain = |item: &SelectItem| matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. });
    if !select.projection.iter().all(is_plain) || !is_of_tables(&select.from) {
        return None;
    }
    let columns: Vec<BTreeSet<Text>> = select.projection.iter().map(names).collect::<Option<_>>()?;
    let aside = names(statement)?.into_iter().filter(|name| !columns.iter().any(|own| own.contains(name))).collect();
    Some(ColumnCalls { columns, aside })
}

/// Whether FROM has nothing but tables.
fn is_of_tables(from: &[TableWithJoins]) -> bool {
    let mut factors = from
        .iter()
        .flat_map(|from| std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation)));
    factors.all(|factor| match factor {
        TableFactor::NestedJoin { table_with_joins, .. } => is_of_tables(std::slice::from_ref(table_with_joins)),
        TableFactor::Table { args, .. } => args.is_none(),
        _ => false,
    })
}

/// What is called anywhere in a part of the tree, sub-selects included.
fn names(part: &impl Visit) -> Option<BTreeSet<Text>> {
    let mut called = Called::default();
    let all = part.visit(&mut called);
    all.is_continue().then_some(called.0)
}

/// Names of functions in expressions. Those in FROM are none, and end it.
#[derive(Default)]
struct Called(BTreeSet<Text>);

impl Visitor for Called {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let Expr::Function(call) = expr {
            self.0.extend(call.name.0.last().and_then(|part| part.as_ident()).map(|name| Text::from(folded(name))));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        match factor {
            TableFactor::Table { args: None, .. } | TableFactor::Derived { .. } | TableFactor::NestedJoin { .. } => {
                ControlFlow::Continue(())
            }
            _ => ControlFlow::Break(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::sql::view_calls;

    fn told(query: &str) -> Option<String> {
        let calls = view_calls(query)?;
        let list = |names: &std::collections::BTreeSet<crate::record::Text>| {
            names.iter().map(|name| &**name).collect::<Vec<_>>().join(" ")
        };
        let columns: Vec<String> = calls.columns.iter().map(list).collect();
        Some(format!("{} / {}", columns.join(", "), list(&calls.aside)))
    }

    #[test]
    fn functions_are_told_by_the_column_that_they_make() {
        let query = "SELECT p.id, lower(shop.email_of(p.id)) AS mail, (SELECT max(f(x)) FROM t) AS m, 1 \
            FROM (shop.products p JOIN shop.orders o ON g(p.id)) WHERE \"Seen\"(p.id) ORDER BY f(1);";
        assert_eq!(told(query).as_deref(), Some(", email_of lower, f max,  / Seen g"));
        for elsewhere in [
            "SELECT e.v FROM shop.emails() e(v)",
            "SELECT x.m FROM ( SELECT shop.email_of(1) AS m) x",
            "SELECT shop.email_of(1) UNION SELECT 'a'",
            "WITH x AS (SELECT shop.email_of(1) AS m) SELECT m FROM x",
            "SELECT p.id FROM shop.products p, LATERAL shop.email_of(p.id) e(v)",
            "SELECT p.id, (SELECT max(e.v) FROM shop.emails() e(v)) AS m FROM shop.products p",
            "SELECT * FROM t",
            "VALUES (f(1))",
        ] {
            assert_eq!(told(elsewhere), None, "{elsewhere}");
        }
    }
}
