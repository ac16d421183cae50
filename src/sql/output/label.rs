//! The names of columns that have none of their own (PostgreSQL's `FigureColname`): a name that is looked for is found in them, or in the query around.
//!
//! In: an expression. Out: its column's name; nothing where that is not certain: then it may be any.

use sqlparser::ast::{AccessExpr, DataType, Expr, Query, SelectItem, SetExpr, TrimWhereField};

use super::{folded, names};

/// Of what has no name.
const UNNAMED: &str = "?column?";

/// See the module.
pub(super) fn label(expr: &Expr) -> Option<String> {
    named(expr).map(|(name, _)| name)
}

/// The name, and whether a type or CASE does not hide it.
fn named(expr: &Expr) -> Option<(String, bool)> {
    let strong = |name: &str| Some((name.to_owned(), true));
    match expr {
        Expr::Identifier(ident) => Some((folded(ident), true)),
        Expr::CompoundIdentifier(parts) => parts.last().map(|part| (folded(part), true)),
        Expr::CompoundFieldAccess { root, access_chain } => {
            let fields = access_chain.iter().rev().filter_map(|access| match access {
                AccessExpr::Dot(field) => Some(field),
                AccessExpr::Subscript(_) => None,
            });
            match fields.take(1).next() {
                Some(Expr::Identifier(field)) => Some((folded(field), true)),
                Some(_) => None,
                None => named(root),
            }
        }
        Expr::Function(function) => {
            function.name.0.last().and_then(|part| part.as_ident()).map(|name| (folded(name), true))
        }
        Expr::Nested(inner) | Expr::Collate { expr: inner, .. } => named(inner),
        Expr::Cast { expr, data_type, .. } => match named(expr)? {
            (name, true) => Some((name, true)),
            (_, false) => Some((of_type(data_type)?.to_owned(), false)),
        },
        Expr::Case { else_result, .. } => match else_result.as_deref().map(named) {
            Some(None) => None,
            Some(Some((name, true))) => Some((name, true)),
            _ => Some(("case".to_owned(), false)),
        },
        Expr::Subquery(query) => first_of(query),
        Expr::Exists { .. } => strong("exists"),
        Expr::Array(_) => strong("array"),
        Expr::Tuple(_) => strong("row"),
        Expr::Ceil { .. } => strong("ceil"),
        Expr::Floor { .. } => strong("floor"),
        Expr::Substring { shorthand, .. } => strong(if *shorthand { "substr" } else { "substring" }),
        Expr::Overlay { .. } => strong("overlay"),
        Expr::Position { .. } => strong("position"),
        Expr::AtTimeZone { .. } => strong("timezone"),
        Expr::Trim { trim_where, .. } => strong(match trim_where {
            Some(TrimWhereField::Leading) => "ltrim",
            Some(TrimWhereField::Trailing) => "rtrim",
            Some(TrimWhereField::Both) | None => "btrim",
        }),
        Expr::Value(_)
        | Expr::BinaryOp { .. }
        | Expr::UnaryOp { .. }
        | Expr::AnyOp { .. }
        | Expr::AllOp { .. }
        | Expr::IsDistinctFrom(..)
        | Expr::IsNotDistinctFrom(..)
        | Expr::Like { .. }
        | Expr::ILike { .. }
        | Expr::SimilarTo { .. }
        | Expr::Between { .. }
        | Expr::InList { .. }
        | Expr::InSubquery { .. }
        | Expr::IsTrue(_)
        | Expr::IsNotTrue(_)
        | Expr::IsFalse(_)
        | Expr::IsNotFalse(_)
        | Expr::IsNull(_)
        | Expr::IsNotNull(_)
        | Expr::IsUnknown(_)
        | Expr::IsNotUnknown(_) => Some((UNNAMED.to_owned(), false)),
        _ => None,
    }
}

/// A sub-select goes by its column's name.
fn first_of(query: &Query) -> Option<(String, bool)> {
    let SetExpr::Select(select) = query.body.as_ref() else { return None };
    match select.projection.first()? {
        SelectItem::ExprWithAlias { alias, .. } => Some((folded(alias), true)),
        SelectItem::UnnamedExpr(Expr::Value(value)) if let Some(word) = names(&value.value) => {
            names::first_label(word).map(|name| (name, true))
        }
        SelectItem::UnnamedExpr(expr) => named(expr),
        _ => None,
    }
}

fn of_type(data_type: &DataType) -> Option<&'static str> {
    Some(match data_type {
        DataType::Text => "text",
        DataType::Varchar(_) | DataType::CharacterVarying(_) => "varchar",
        DataType::Int(None) | DataType::Integer(None) | DataType::Int4(None) => "int4",
        DataType::BigInt(None) | DataType::Int8(None) => "int8",
        DataType::SmallInt(None) | DataType::Int2(None) => "int2",
        DataType::Boolean | DataType::Bool => "bool",
        DataType::Date => "date",
        DataType::JSON => "json",
        DataType::JSONB => "jsonb",
        DataType::Uuid => "uuid",
        _ => return None,
    })
}
