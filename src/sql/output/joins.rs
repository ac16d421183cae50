//! Which rows are joined by a column each: where these say whose the rows are, both are of one person.
//!
//! In: a join, the relations before it and its own; or the condition of a query. Out: pairs of columns that are equal wherever there is a row, which an outer join leaves out.

use sqlparser::ast::{BinaryOperator, Expr, Ident, JoinConstraint, JoinOperator};

use super::scope::{Relation, Scope, of_relations};
use super::{ColumnRef, folded};

/// See the module.
pub(super) fn join(operator: &JoinOperator, before: &[Relation], joined: &[Relation], scope: Scope<'_>) {
    let (constraint, to_left, to_right) = match operator {
        JoinOperator::Join(constraint) | JoinOperator::Inner(constraint) => (constraint, true, true),
        JoinOperator::Left(constraint) | JoinOperator::LeftOuter(constraint) => (constraint, true, false),
        JoinOperator::Right(constraint) | JoinOperator::RightOuter(constraint) => (constraint, false, true),
        _ => return,
    };
    let pair = |left: Option<ColumnRef>, right: Option<ColumnRef>| {
        let (Some(left), Some(right)) = (left, right) else { return };
        if to_left {
            scope.rows.join(&right, &left);
        }
        if to_right {
            scope.rows.join(&left, &right);
        }
    };
    match constraint {
        JoinConstraint::On(condition) => {
            for (one, other) in equalities(condition) {
                let sides = |expr: &Expr| (column(expr, before), column(expr, joined));
                let ((one_left, one_right), (other_left, other_right)) = (sides(one), sides(other));
                pair(one_left, other_right);
                pair(other_left, one_right);
            }
        }
        JoinConstraint::Using(names) => {
            for name in names.iter().filter_map(|name| name.0.last()?.as_ident()).map(folded) {
                pair(only(before, None, &name), only(joined, None, &name));
            }
        }
        _ => {}
    }
}

/// The same of WHERE. A column of a query around this one is what a row within has; the row there may be without one here.
pub(super) fn filter(condition: Option<&Expr>, relations: &[Relation], outer: Scope<'_>) {
    let around = |expr: &Expr| {
        let of = folded(relation_of(expr)?);
        let is_here = relations.iter().any(|relation| relation.alias == of);
        if is_here { None } else { column(expr, outer.called(&of)) }
    };
    for (one, other) in condition.map(equalities).unwrap_or_default() {
        match (column(one, relations), column(other, relations)) {
            (Some(one), Some(other)) => {
                outer.rows.join(&one, &other);
                outer.rows.join(&other, &one);
            }
            (Some(own), None) => around(other).iter().for_each(|around| outer.rows.join(&own, around)),
            (None, Some(own)) => around(one).iter().for_each(|around| outer.rows.join(&own, around)),
            (None, None) => {}
        }
    }
}

/// What has to be equal, all of it.
fn equalities(condition: &Expr) -> Vec<(&Expr, &Expr)> {
    match condition {
        Expr::Nested(inner) => equalities(inner),
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
            equalities(left).into_iter().chain(equalities(right)).collect()
        }
        Expr::BinaryOp { left, op: BinaryOperator::Eq, right } => vec![(left, right)],
        _ => Vec::new(),
    }
}

/// The relation of `a.b`.
fn relation_of(expr: &Expr) -> Option<&Ident> {
    match expr {
        Expr::CompoundIdentifier(parts) => parts.iter().rev().nth(1),
        _ => None,
    }
}

fn column<'r>(expr: &Expr, relations: impl IntoIterator<Item = &'r Relation>) -> Option<ColumnRef> {
    match expr {
        Expr::CompoundIdentifier(parts) => only(relations, relation_of(expr), &folded(parts.last()?)),
        _ => None,
    }
}

/// The one column that a name can be, of these relations.
fn only<'r>(relations: impl IntoIterator<Item = &'r Relation>, of: Option<&Ident>, name: &str) -> Option<ColumnRef> {
    let of = of.map(folded);
    let is_it = |relation: &&Relation| of.as_ref().is_none_or(|of| relation.alias == *of);
    let mut refs = Vec::new();
    of_relations(relations.into_iter().filter(is_it), name, true, &mut refs);
    match &refs[..] {
        [only] if only.plain && only.sought.is_none() => refs.pop(),
        _ => None,
    }
}
