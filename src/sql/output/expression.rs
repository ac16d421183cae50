//! What an expression is made from: every column in it, wherever it stands.
//!
//! In: an expression and the scope it stands in. Out: references to columns, or nothing where it holds what is not followed.

use sqlparser::ast::{
    AccessExpr, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, ObjectNamePart, Query, Value,
};

use super::rows::picks;
use super::{ColumnRef, Followed, Scope, Unfollowed, everything, folded, loosened, names, qualified, query_columns};

fn all_refs<'e>(exprs: impl IntoIterator<Item = &'e Expr>, scope: Scope<'_>) -> Followed<Vec<ColumnRef>> {
    let mut refs = Vec::new();
    for expr in exprs {
        refs.extend(expr_refs(expr, scope)?);
    }
    Ok(refs)
}

pub(super) fn expr_refs(expr: &Expr, scope: Scope<'_>) -> Followed<Vec<ColumnRef>> {
    match expr {
        Expr::Identifier(ident) => Ok(scope.column(None, &folded(ident), false)),
        Expr::CompoundIdentifier(parts) => Ok(qualified(parts, scope, false)),
        // What was taken for items of a list, and stands elsewhere.
        Expr::Value(value) if names(&value.value).is_some() => Err(Unfollowed),
        // `date "a"` is a column under another name to PostgreSQL, and no constant.
        Expr::TypedString(typed) if matches!(typed.value.value, Value::DoubleQuotedString(_)) => Err(Unfollowed),
        Expr::Value(_) | Expr::TypedString(_) | Expr::Exists { .. } => Ok(Vec::new()),
        Expr::Interval(interval) => expr_refs(&interval.value, scope),
        Expr::Subquery(query) => subquery_refs(query, scope),
        // Whether a value is among those of a query tells of them.
        Expr::InSubquery { expr, subquery, .. } => {
            let mut refs = expr_refs(expr, scope)?;
            refs.extend(subquery_refs(subquery, scope)?);
            Ok(refs)
        }
        Expr::Function(function) => function_refs(function, scope),
        Expr::Case { operand, conditions, else_result, .. } => {
            let whens = conditions.iter().flat_map(|when| [&when.condition, &when.result]);
            all_refs(whens.chain(operand.as_deref()).chain(else_result.as_deref()), scope)
        }
        Expr::BinaryOp { left, right, .. }
        | Expr::AnyOp { left, right, .. }
        | Expr::AllOp { left, right, .. }
        | Expr::IsDistinctFrom(left, right)
        | Expr::IsNotDistinctFrom(left, right)
        | Expr::Position { expr: left, r#in: right }
        | Expr::AtTimeZone { timestamp: left, time_zone: right }
        | Expr::Like { expr: left, pattern: right, .. }
        | Expr::ILike { expr: left, pattern: right, .. }
        | Expr::SimilarTo { expr: left, pattern: right, .. } => all_refs([&**left, &**right], scope),
        Expr::Between { expr, low, high, .. } => all_refs([&**expr, &**low, &**high], scope),
        Expr::InList { expr, list, .. } => all_refs(std::iter::once(&**expr).chain(list), scope),
        Expr::Substring { expr, substring_from, substring_for, .. } => {
            all_refs(std::iter::once(&**expr).chain(substring_from.as_deref()).chain(substring_for.as_deref()), scope)
        }
        Expr::Trim { expr, trim_what, .. } => all_refs(std::iter::once(&**expr).chain(trim_what.as_deref()), scope),
        Expr::Overlay { expr, overlay_what, .. } => all_refs([&**expr, &**overlay_what], scope),
        Expr::UnaryOp { expr, .. }
        | Expr::Cast { expr, .. }
        | Expr::Nested(expr)
        | Expr::Collate { expr, .. }
        | Expr::Extract { expr, .. }
        | Expr::Ceil { expr, .. }
        | Expr::Floor { expr, .. }
        | Expr::IsNormalized { expr, .. }
        | Expr::IsTrue(expr)
        | Expr::IsNotTrue(expr)
        | Expr::IsFalse(expr)
        | Expr::IsNotFalse(expr)
        | Expr::IsNull(expr)
        | Expr::IsNotNull(expr)
        | Expr::IsUnknown(expr)
        | Expr::IsNotUnknown(expr) => expr_refs(expr, scope),
        Expr::Tuple(list) => all_refs(list, scope),
        Expr::Array(array) => all_refs(&array.elem, scope),
        Expr::CompoundFieldAccess { root, access_chain } => field_refs(root, access_chain, scope),
        _ => Err(Unfollowed),
    }
}

/// `(c).email` of a row of FROM is that column, unless `c` is a column itself. Of another row, which of its columns it is cannot be told.
fn field_refs(root: &Expr, chain: &[AccessExpr], scope: Scope<'_>) -> Followed<Vec<ColumnRef>> {
    if let (Some(parts), Some(AccessExpr::Dot(Expr::Identifier(field)))) = (parts_of_row(bare(root)), chain.first()) {
        // The parts of a row go by numbers.
        let number = folded(field).strip_prefix('f').and_then(|number| number.parse::<usize>().ok());
        return expr_refs(
            number.and_then(|number| parts.get(number.checked_sub(1)?).copied()).ok_or(Unfollowed)?,
            scope,
        );
    }
    let refs = expr_refs(root, scope)?;
    let Some(AccessExpr::Dot(field)) = chain.first() else { return Ok(refs) };
    match (bare(root), field) {
        (Expr::Identifier(alias), Expr::Identifier(field)) if scope.relation(&folded(alias)).is_some() => {
            let of_row = scope.column(Some(&folded(alias)), &folded(field), false);
            Ok(scope.columns_named(&folded(alias)).into_iter().chain(of_row).collect())
        }
        _ if refs.iter().all(|found| found.column.is_some()) => Ok(refs),
        _ => Err(Unfollowed),
    }
}

/// What `row(a, b)` is put together from.
fn parts_of_row<'e>(expr: &'e Expr) -> Option<Vec<&'e Expr>> {
    match expr {
        Expr::Tuple(parts) => Some(parts.iter().collect()),
        Expr::Function(Function { name, args: FunctionArguments::List(list), .. }) => {
            let [name] = &name.0[..] else { return None };
            let part = |arg: &'e FunctionArg| match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(part)) => Some(part),
                _ => None,
            };
            let parts = list.args.iter().map(part).collect::<Option<Vec<&'e Expr>>>();
            parts.filter(|_| name.as_ident().is_some_and(|name| name.quote_style.is_none() && folded(name) == "row"))
        }
        _ => None,
    }
}

fn bare(mut expr: &Expr) -> &Expr {
    while let Expr::Nested(inner) = expr {
        expr = inner;
    }
    expr
}

fn function_refs(function: &Function, scope: Scope<'_>) -> Followed<Vec<ColumnRef>> {
    // `user` is a call without parentheses, `t.user` a column, which the parser does not tell apart.
    if let (FunctionArguments::None, [.., relation, column]) = (&function.args, &function.name.0[..]) {
        let (relation, column) = (relation.as_ident().ok_or(Unfollowed)?, column.as_ident().ok_or(Unfollowed)?);
        return Ok(scope.column(Some(&folded(relation)), &folded(column), false));
    }
    let name = function.name.0.last().and_then(|part| part.as_ident()).map(folded).ok_or(Unfollowed)?;
    let own = |part: &ObjectNamePart| part.as_ident().is_some_and(|ident| folded(ident) == "pg_catalog");
    if name == "count" && (function.name.0.len() == 1 || function.name.0.first().is_some_and(own)) {
        // A number of rows says nothing of anybody in them. Somebody's own of that name is the catalog's to know.
        return Ok(Vec::new());
    }
    let mut refs = match &function.args {
        FunctionArguments::None => Vec::new(),
        FunctionArguments::List(list) => args_refs(&list.args, scope)?,
        FunctionArguments::Subquery(query) => subquery_refs(query, scope)?,
    };
    // `mode() within group (order by email)` returns one of them.
    refs.extend(all_refs(function.within_group.iter().map(|order| &order.expr), scope)?);
    Ok(if picks(&name) { scope.rows.picked(refs) } else { refs })
}

fn subquery_refs(query: &Query, scope: Scope<'_>) -> Followed<Vec<ColumnRef>> {
    let inner = Scope { relations: &[], outer: Some(&scope), ..scope };
    let columns = query_columns(query, inner)?;
    Ok(columns.iter().flat_map(|column| &column.refs).map(loosened).collect())
}

pub(super) fn args_refs(args: &[FunctionArg], scope: Scope<'_>) -> Followed<Vec<ColumnRef>> {
    let mut refs = Vec::new();
    for arg in args {
        let (FunctionArg::Named { arg, .. } | FunctionArg::ExprNamed { arg, .. } | FunctionArg::Unnamed(arg)) = arg;
        match arg {
            FunctionArgExpr::Expr(expr) => refs.extend(expr_refs(expr, scope)?),
            FunctionArgExpr::QualifiedWildcard(name) => {
                let alias = name.0.last().and_then(|part| part.as_ident()).map(folded).ok_or(Unfollowed)?;
                let relation = scope.relation(&alias).ok_or(Unfollowed)?;
                refs.extend(everything(relation).iter().flat_map(|column| &column.refs).map(loosened));
            }
            FunctionArgExpr::Wildcard | FunctionArgExpr::WildcardWithOptions(_) => refs.extend(
                scope
                    .relations
                    .iter()
                    .flat_map(everything)
                    .flat_map(|column| column.refs)
                    .map(|found| loosened(&found)),
            ),
        }
    }
    Ok(refs)
}
