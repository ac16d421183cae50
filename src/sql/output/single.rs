//! Whether each row of the one relation in FROM comes out once at most: then rows are not counted twice for one person.
//!
//! In: a statement. Out: yes where it is certain, else no.

use sqlparser::ast::{Query, Select, SetExpr, Statement, TableFactor, With};

use super::folded;

/// CTEs by name, and whether each is single.
type Ctes = Vec<(String, bool)>;

/// See the module.
pub(super) fn statement(statement: &Statement) -> bool {
    match statement {
        Statement::Query(whole) => query(whole, &Vec::new()),
        _ => false,
    }
}

fn query(query: &Query, outer: &Ctes) -> bool {
    let mut known = outer.clone();
    for cte in query.with.as_ref().map_or(&[][..], |with: &With| &with.cte_tables) {
        let single = self::query(&cte.query, &known);
        known.push((folded(&cte.alias.name), single));
    }
    body(&query.body, &known)
}

fn body(body: &SetExpr, ctes: &Ctes) -> bool {
    match body {
        SetExpr::Select(select) => self::select(select, ctes),
        SetExpr::Query(inner) => query(inner, ctes),
        SetExpr::Table(_) => true,
        _ => false,
    }
}

fn select(select: &Select, ctes: &Ctes) -> bool {
    let [from] = &select.from[..] else { return false };
    if !from.joins.is_empty() {
        return false;
    }
    match &from.relation {
        TableFactor::Table { name, args: None, .. } => {
            let single = name.0.last().and_then(|part| part.as_ident()).map(folded);
            let cte = ctes.iter().rev().find(|(cte, _)| name.0.len() == 1 && single.as_ref() == Some(cte));
            cte.is_none_or(|(_, single)| *single)
        }
        TableFactor::Derived { subquery, .. } => query(subquery, ctes),
        _ => false,
    }
}
