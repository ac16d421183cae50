//! Which rows are joined by a column each: where these say whose the rows are, both are of one person.
//!
//! In: a join, the relations before it and its own; or the condition of a query. Out: pairs of columns that are equal wherever there is a row, which an outer join leaves out.

use sqlparser::ast::{BinaryOperator, Expr, Ident, JoinConstraint, JoinOperator};

use super::scope::{Relation, Scope, of_relations};
use super::{ColumnRef, folded};

/// A name without a relation's that more columns than these may be is no join.
const MEANT_MAX: usize = 8;

/// See the module. `own`: where the relations of the join's right side begin.
pub(super) fn join(operator: &JoinOperator, relations: &[Relation], own: usize, outer: Scope<'_>) {
    let (constraint, to_left, to_right) = match operator {
        JoinOperator::Join(constraint) | JoinOperator::Inner(constraint) => (constraint, true, true),
        JoinOperator::Left(constraint) | JoinOperator::LeftOuter(constraint) => (constraint, true, false),
        JoinOperator::Right(constraint) | JoinOperator::RightOuter(constraint) => (constraint, false, true),
        _ => return,
    };
    let (before, joined) = relations.split_at_checked(own).unwrap_or((relations, &[]));
    let pair = |left: &ColumnRef, right: &ColumnRef| {
        if to_left {
            outer.rows.join(right, left);
        }
        if to_right {
            outer.rows.join(left, right);
        }
    };
    match constraint {
        JoinConstraint::On(condition) => {
            for (one, other) in equalities(condition) {
                let [one, other] = [one, other].map(|expr| columns(expr, relations, outer));
                // What a query around has is there whatever is joined here.
                let sides = |columns| (parted(columns, before).1, parted(columns, joined).1);
                let ((one_left, one_right), (other_left, other_right)) = (sides(&one), sides(&other));
                one_left.iter().for_each(|left| other_right.iter().for_each(|right| pair(left, right)));
                other_left.iter().for_each(|left| one_right.iter().for_each(|right| pair(left, right)));
            }
        }
        JoinConstraint::Using(names) => {
            for name in names.iter().filter_map(|name| name.0.last()?.as_ident()).map(folded) {
                let sides = only(before, None, &name).zip(only(joined, None, &name));
                sides.iter().for_each(|(left, right)| pair(left, right));
            }
        }
        _ => {}
    }
}

/// Whether the rows that stand before a relation in FROM are there only with one of this.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Beside {
    /// Or without.
    Perhaps,
    /// Only with one.
    Always,
}

impl Beside {
    /// Of a join's left side.
    pub(super) const fn left(operator: &JoinOperator) -> Beside {
        match operator {
            JoinOperator::Left(_) | JoinOperator::LeftOuter(_) => Beside::Always,
            other => Beside::right(other),
        }
    }

    /// Of its right side.
    pub(super) const fn right(operator: &JoinOperator) -> Beside {
        match operator {
            JoinOperator::Join(_) | JoinOperator::Inner(_) | JoinOperator::CrossJoin(_) => Beside::Always,
            _ => Beside::Perhaps,
        }
    }
}

/// The same of WHERE. A column of a query around this one is what a row within has; the row there may be without one here, unless it is there only
/// `beside` one.
pub(super) fn filter(condition: Option<&Expr>, relations: &[Relation], outer: Scope<'_>, beside: Beside) {
    let join = |own: &ColumnRef, around: &ColumnRef| {
        outer.rows.join(own, around);
        let is_before = outer.relations.iter().any(|relation| relation.row == around.row && relation.row > 0);
        if beside == Beside::Always && is_before {
            outer.rows.join(around, own);
        }
    };
    for (one, other) in condition.map(equalities).unwrap_or_default() {
        let [one, other] = [one, other].map(|expr| columns(expr, relations, outer));
        let ((one_around, one_own), (other_around, other_own)) = (parted(&one, relations), parted(&other, relations));
        for own in &one_own {
            other_own.iter().for_each(|other| {
                outer.rows.join(own, other);
                outer.rows.join(other, own);
            });
            other_around.iter().for_each(|around| join(own, around));
        }
        other_own.iter().for_each(|own| one_around.iter().for_each(|around| join(own, around)));
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

/// The columns that a name may be, each where it is meant: of these relations, or of those of the queries around.
fn columns(expr: &Expr, relations: &[Relation], outer: Scope<'_>) -> Vec<ColumnRef> {
    match expr {
        Expr::CompoundIdentifier(parts) => {
            let Some(column) = parts.last().map(folded) else { return Vec::new() };
            let (named, of) = (relation_of(expr), relation_of(expr).map(folded).unwrap_or_default());
            let is_here = relations.iter().any(|relation| relation.alias == of);
            let found = if is_here { only(relations, named, &column) } else { only(outer.called(&of), named, &column) };
            found.into_iter().collect()
        }
        Expr::Identifier(name) => {
            let scope = Scope { relations, outer: Some(&outer), ..outer };
            let refs = scope.column(None, &folded(name), true);
            let may_lack = |found: &&ColumnRef| found.sought.as_ref().is_some_and(|sought| sought.perhaps);
            // Where it is two columns, a row has one of them.
            let are_apart = refs.len() - refs.iter().filter(may_lack).count() <= 1;
            let are_known = refs.iter().all(|found| found.plain && found.row > 0);
            if are_apart && are_known && refs.len() <= MEANT_MAX { refs } else { Vec::new() }
        }
        _ => Vec::new(),
    }
}

/// Those of other relations than these, and of these.
fn parted<'c>(columns: &'c [ColumnRef], relations: &[Relation]) -> (Vec<&'c ColumnRef>, Vec<&'c ColumnRef>) {
    columns.iter().partition(|column| !relations.iter().any(|relation| relation.has_row(column.row)))
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
