//! A condition taken apart: every truth value in it with its own text, so that an explanation can show which of them did not hold.

use sqlparser::ast::{BinaryOperator, Expr, UnaryOperator};

use super::check::check;
use super::tree::Boolean;
use crate::policy::list::Lists;
use crate::record::{Column, Table};

/// One truth value within a condition.
pub struct Part<R: Table> {
    /// How deep it stands; the whole condition at 0.
    pub depth: usize,
    /// As SQL, written out anew.
    pub text: String,
    pub(super) root: Boolean<R>,
}

impl<R: Table> Part<R> {
    /// The columns in it.
    pub fn columns(&self) -> Vec<&'static Column<R>> {
        let mut columns: Vec<&'static Column<R>> = Vec::new();
        self.root.columns(&mut |seen| columns.extend(seen));
        columns.dedup_by_key(|column| column.name);
        columns
    }
}

/// The whole, and below it what its AND, OR and NOT join.
pub fn of<R: Table>(expression: &Expr, lists: &Lists) -> Vec<Part<R>> {
    let mut parts = Vec::new();
    take_apart(expression, 0, lists, &mut parts);
    parts
}

fn take_apart<R: Table>(expression: &Expr, depth: usize, lists: &Lists, parts: &mut Vec<Part<R>>) {
    let text = expression.to_string();
    if let Ok(root) = check(expression, &text, lists) {
        parts.push(Part { depth, text, root });
    }
    let below = depth.saturating_add(1);
    match expression {
        Expr::Nested(inner) => joined(inner).into_iter().for_each(|inner| take_apart(inner, below, lists, parts)),
        Expr::UnaryOp { op: UnaryOperator::Not, expr } => take_apart(expr, below, lists, parts),
        joining => joined(joining).into_iter().for_each(|inner| take_apart(inner, below, lists, parts)),
    }
}

/// What an AND or an OR joins, a chain of any length as one; nothing of anything else.
fn joined(expression: &Expr) -> Vec<&Expr> {
    let Expr::BinaryOp { op: op @ (BinaryOperator::And | BinaryOperator::Or), .. } = expression else {
        return Vec::new();
    };
    let (mut links, mut rest) = (Vec::new(), expression);
    while let Expr::BinaryOp { left, op: here, right } = rest
        && here == op
    {
        links.push(&**right);
        rest = left;
    }
    links.push(rest);
    links.reverse();
    links
}
