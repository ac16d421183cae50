//! What INSERT and UPDATE fill in.
//!
//! In: a statement's tree. Out: the columns that it fills, by name or by position, and what each is made from.

use sqlparser::ast::{AssignmentTarget, ObjectName, SetExpr, Statement, TableWithJoins, Update, UpdateTableFromKind};

use super::expression::expr_refs;
use super::{ColumnRef, Followed, Rows, Scope, Unfollowed, ctes, folded, from_relations, loosened, query_columns};
use crate::record::Text;

/// Names of the columns, in order, where the statement has them; and each column's name and sources.
pub(crate) type Filled = (Vec<Text>, Vec<(Option<Text>, Vec<ColumnRef>)>);

/// See the module; `None` where it cannot be followed.
pub(super) fn filled(statement: &Statement) -> Option<Filled> {
    let rows = Rows::default();
    filled_in(statement, &rows).filter(|_| !rows.are_too_many())
}

fn filled_in(statement: &Statement, rows: &Rows) -> Option<Filled> {
    let none = Scope::of_nothing(rows);
    match statement {
        // WITH before it.
        Statement::Query(query) => {
            let known = ctes(query.with.as_ref(), none).ok()?;
            match query.body.as_ref() {
                SetExpr::Insert(statement) | SetExpr::Update(statement) => {
                    filled_by(statement, Scope { ctes: &known, ..none })
                }
                _ => None,
            }
        }
        statement => filled_by(statement, none),
    }
}

fn filled_by(statement: &Statement, scope: Scope<'_>) -> Option<Filled> {
    match statement {
        // What a conflict has it do may take from anywhere.
        Statement::Insert(insert) if insert.on.is_none() => {
            let names: Option<Vec<Text>> = insert.columns.iter().map(last).collect();
            let Some(source) = &insert.source else { return Some((names?, Vec::new())) };
            let columns = query_columns(source, scope).ok()?;
            let of_values = columns.len() == 1 && names.as_ref().is_some_and(|names| names.len() > 1);
            if of_values && columns.iter().any(|column| !column.refs.is_empty()) {
                return None;
            }
            Some((names?, columns.into_iter().map(|column| (column.name.map(Text::from), column.refs)).collect()))
        }
        Statement::Update(update) => assigned(update, scope).ok().map(|columns| (Vec::new(), columns)),
        _ => None,
    }
}

fn assigned(update: &Update, outer: Scope<'_>) -> Followed<Vec<(Option<Text>, Vec<ColumnRef>)>> {
    let mut relations = from_relations(std::slice::from_ref(&update.table), outer)?;
    if let Some(UpdateTableFromKind::AfterSet(from) | UpdateTableFromKind::BeforeSet(from)) = &update.from {
        let from: &Vec<TableWithJoins> = from;
        relations.extend(from_relations(from, outer)?);
    }
    let scope = Scope { relations: &relations, outer: Some(&outer), ..outer };
    let mut columns = Vec::new();
    for assignment in &update.assignments {
        let refs: Vec<ColumnRef> = expr_refs(&assignment.value, scope)?.iter().map(loosened).collect();
        let names: Vec<&ObjectName> = match &assignment.target {
            AssignmentTarget::ColumnName(name) => vec![name],
            AssignmentTarget::Tuple(names) => names.iter().collect(),
        };
        for name in names {
            columns.push((Some(last(name).ok_or(Unfollowed)?), refs.clone()));
        }
    }
    Ok(columns)
}

fn last(name: &ObjectName) -> Option<Text> {
    name.0.last().and_then(|part| part.as_ident()).map(|ident| folded(ident).into())
}
