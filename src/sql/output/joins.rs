//! Which rows are joined by a column each: where these say whose the rows are, both are of one person.
//!
//! In: a join, the relations before it and its own. Out: pairs of columns that are equal wherever there is a row, which an outer join leaves out.

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

fn column(expr: &Expr, relations: &[Relation]) -> Option<ColumnRef> {
    match expr {
        Expr::CompoundIdentifier(parts) => match &parts[..] {
            [.., relation, column] => only(relations, Some(relation), &folded(column)),
            _ => None,
        },
        Expr::Nested(inner) => column(inner, relations),
        _ => None,
    }
}

/// The one column that a name can be, of these relations.
fn only(relations: &[Relation], of: Option<&Ident>, name: &str) -> Option<ColumnRef> {
    let is_it = |relation: &&Relation| of.is_none_or(|of| relation.alias == folded(of));
    let mut refs = Vec::new();
    of_relations(relations.iter().filter(is_it), name, true, &mut refs);
    match &refs[..] {
        [only] if only.plain && only.sought.is_none() => refs.pop(),
        _ => None,
    }
}
