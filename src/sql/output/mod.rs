//! The columns that reach the client, from `sqlparser`'s tree.
//!
//! In: a statement that PostgreSQL's grammar has taken, within limits of length and depth. Out: the columns of its
//! output expressions, followed through aliases, CTEs, sub-selects, joins and set operations; or nothing where the tree
//! holds anything that is not followed here, which means the worst.

// The functions that each column comes from.
mod called;
// PostgreSQL's dialect, with what comes most often read at once.
mod dialect;
// Conditions, groups and orders, which say nothing of it.
mod essential;
// What a condition says of columns that are equal.
mod equal;
// What an expression is made from.
mod expression;
// What INSERT and UPDATE fill in.
mod filling;
// Rows that are joined.
mod joins;
// The names of columns that have none of their own.
mod label;
// Items of a list that are no more than names.
mod names;
// Whether each row of one table comes out once at most.
mod single;
// Which columns are of one row.
mod rows;
// What a name means.
mod scope;
// One statement's tree, made once.
mod tree;
// Queries of WITH, and those that read themselves.
mod with;
// PostgreSQL's tokens as the other parser has them.
mod words;

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, FromTable, Ident, Join, ObjectName, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr,
    Statement, Table, TableAlias, TableFactor, TableObject, TableWithJoins, UpdateTableFromKind, Value, Visitor,
};

pub use self::called::ColumnCalls;
use self::expression::{args_refs, expr_refs};
use self::joins::Beside;
use self::label::label;
use self::names::Names;
pub(in crate::sql) use self::rows::picks;
use self::rows::{Rows, aligned};
use self::scope::{Relation, Scope, Source};
pub(super) use self::tree::{Tree, calls, filled, of};
use self::with::ctes;
use super::{ColumnRef, Joined, RelationName, Sought};

/// As many columns as a result has in PostgreSQL, and more: with them, it is not followed.
const COLUMNS_MAX: usize = 4_096;

/// What could not be followed.
struct Unfollowed;

type Followed<T> = Result<T, Unfollowed>;

/// One column of a result: its name, where it has one, and what it is made from.
#[derive(Clone, Default)]
struct Column {
    name: Option<String>,
    refs: Vec<ColumnRef>,
}

impl Column {
    /// Whether it goes by this name.
    fn is(&self, name: &str) -> bool {
        self.name.as_deref() == Some(name)
    }
}

/// What the tree says of a statement.
pub(super) struct Outputs {
    /// Columns that reach the client, column by column of the result.
    pub(super) by_column: Vec<(Option<String>, Vec<ColumnRef>)>,
    /// Every relation named, CTEs included, to be held against the other parser's.
    pub(super) relations: BTreeSet<RelationName>,
    /// Those of them that the columns may come from, no CTEs.
    pub(super) tables: BTreeSet<RelationName>,
    /// Whether no row of the one relation in FROM can come out twice.
    pub(super) single: bool,
    /// Whether a value grows from row to row, and so holds many rows'.
    pub(super) grows: bool,
    pub(super) joined: Vec<Joined>,
}

impl Outputs {
    /// Whether no column reaches the client.
    pub(super) fn has_no_column(&self) -> bool {
        self.by_column.iter().all(|(_, refs)| refs.is_empty())
    }

    /// The columns that reach the client, sorted, distinct.
    pub(super) fn into_columns(self) -> Vec<ColumnRef> {
        let mut refs: Vec<ColumnRef> = self.by_column.into_iter().flat_map(|(_, refs)| refs).collect();
        refs.sort_unstable();
        refs.dedup();
        refs
    }
}

/// Every relation named. `TABLE t` is a query of its own kind to the parser, and its name no relation.
#[derive(Default)]
struct Named(BTreeSet<RelationName>);

impl Visitor for Named {
    type Break = ();

    fn pre_visit_relation(&mut self, name: &ObjectName) -> ControlFlow<()> {
        self.0.extend(relation_name(name));
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let mut bodies = vec![query.body.as_ref()];
        while let Some(body) = bodies.pop() {
            match body {
                SetExpr::Table(table) => self.0.extend(table_command(table)),
                SetExpr::SetOperation { left, right, .. } => bodies.extend([left.as_ref(), right.as_ref()]),
                _ => {}
            }
        }
        ControlFlow::Continue(())
    }
}

/// The relation of `TABLE t`.
fn table_command(table: &Table) -> Option<RelationName> {
    let schema = table.schema_name.as_deref().map(Into::into);
    Some(RelationName { schema, name: table.table_name.as_deref()?.into() })
}

fn statement_columns(statement: &Statement, scope: Scope<'_>) -> Followed<Vec<Column>> {
    match statement {
        Statement::Query(query) => query_columns(query, scope),
        Statement::Insert(insert) => {
            let TableObject::TableName(name) = &insert.table else { return Err(Unfollowed) };
            let mut relations = vec![table(name, None, scope.rows)?];
            if let (Some(alias), [own]) = (&insert.table_alias, &mut relations[..]) {
                own.alias = folded(&alias.alias);
            }
            returned(insert.returning.as_deref(), &relations, scope)
        }
        Statement::Update(update) => {
            let mut relations = from_relations(std::slice::from_ref(&update.table), scope)?;
            if let Some(UpdateTableFromKind::AfterSet(from) | UpdateTableFromKind::BeforeSet(from)) = &update.from {
                relations.extend(from_relations(from, scope)?);
            }
            joins::filter(update.selection.as_ref(), &relations, scope, Beside::Perhaps);
            returned(update.returning.as_deref(), &relations, scope)
        }
        Statement::Delete(delete) => {
            let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
            let mut relations = from_relations(from, scope)?;
            if let Some(using) = &delete.using {
                relations.extend(from_relations(using, scope)?);
            }
            joins::filter(delete.selection.as_ref(), &relations, scope, Beside::Perhaps);
            returned(delete.returning.as_deref(), &relations, scope)
        }
        _ => Err(Unfollowed),
    }
}

fn returned(items: Option<&[SelectItem]>, relations: &[Relation], outer: Scope<'_>) -> Followed<Vec<Column>> {
    let scope = Scope { relations, outer: Some(&outer), ..outer };
    items.map_or(Ok(Vec::new()), |items| projection(items, scope))
}

fn query_columns(query: &Query, outer: Scope<'_>) -> Followed<Vec<Column>> {
    if !query.pipe_operators.is_empty() {
        return Err(Unfollowed);
    }
    let ctes = ctes(query.with.as_ref(), outer)?;
    let scope = Scope { ctes: &ctes, ..outer };
    set_columns(&query.body, scope)
}

fn set_columns(body: &SetExpr, scope: Scope<'_>) -> Followed<Vec<Column>> {
    match body {
        SetExpr::Select(select) => select_columns(select, scope, Beside::Perhaps),
        SetExpr::Query(query) => query_columns(query, scope),
        SetExpr::SetOperation { left, right, .. } => {
            let left = set_columns(left, scope)?;
            let right = aligned(&left, set_columns(right, scope)?, scope.rows);
            Ok(put_together(left, right))
        }
        SetExpr::Values(values) => {
            let mut columns: Vec<Column> = Vec::new();
            for row in &values.rows {
                for (index, expr) in row.content.iter().enumerate() {
                    let refs = expr_refs(expr, scope)?;
                    match columns.get_mut(index) {
                        Some(column) => column.refs.extend(refs),
                        None => columns.push(Column { name: Some(format!("column{}", index + 1)), refs }),
                    }
                }
            }
            Ok(columns)
        }
        SetExpr::Insert(statement) | SetExpr::Update(statement) | SetExpr::Delete(statement) => {
            statement_columns(statement, scope)
        }
        SetExpr::Table(table) => {
            let relation = table_command(table).ok_or(Unfollowed)?;
            if let (None, Some(cte)) = (&relation.schema, scope.cte(&relation.name)) {
                return Ok(cte.columns.clone());
            }
            Ok(everything(&Relation::table(relation, scope.rows)))
        }
        SetExpr::Merge(_) => Err(Unfollowed),
    }
}

/// The columns of two queries that are put together, which go by the first one's names.
fn put_together(mut left: Vec<Column>, right: Vec<Column>) -> Vec<Column> {
    let is_star = |column: &Column| column.name.is_none() && column.refs.iter().any(|found| found.column.is_none());
    if left.iter().chain(&right).any(is_star) {
        // How many a star is, is not known: any of the second one's may be any of the first one's.
        let refs: Vec<ColumnRef> = right.into_iter().flat_map(|column| column.refs).collect();
        let any = refs.iter().map(loosened);
        left.iter_mut().for_each(|column| column.refs.extend(any.clone()));
        return left;
    }
    for (index, column) in right.into_iter().enumerate() {
        match left.get_mut(index) {
            Some(merged) => merged.refs.extend(column.refs),
            None => left.push(column),
        }
    }
    left
}

fn select_columns(select: &Select, outer: Scope<'_>, beside: Beside) -> Followed<Vec<Column>> {
    if !select.lateral_views.is_empty() || !select.connect_by.is_empty() {
        return Err(Unfollowed);
    }
    let relations = from_relations(&select.from, outer)?;
    joins::filter(select.selection.as_ref(), &relations, outer, beside);
    let scope = Scope { relations: &relations, outer: Some(&outer), ..outer };
    projection(&select.projection, scope)
}

fn projection(items: &[SelectItem], scope: Scope<'_>) -> Followed<Vec<Column>> {
    let mut columns = Vec::new();
    for item in items {
        match item {
            SelectItem::UnnamedExpr(Expr::Value(value)) if let Some(word) = names(&value.value) => {
                columns.append(&mut names::columns(word, scope));
            }
            SelectItem::UnnamedExpr(expr) => columns.push(column(expr, None, scope)?),
            SelectItem::ExprWithAlias { expr, alias } => columns.push(column(expr, Some(folded(alias)), scope)?),
            SelectItem::Wildcard(_) => columns.extend(scope.relations.iter().flat_map(everything)),
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
                let alias = name.0.last().and_then(|part| part.as_ident()).map(folded).ok_or(Unfollowed)?;
                columns.extend(everything(scope.relation(&alias).ok_or(Unfollowed)?));
            }
            _ => return Err(Unfollowed),
        }
        if columns.len() > COLUMNS_MAX || scope.rows.are_too_many() {
            return Err(Unfollowed);
        }
    }
    Ok(columns)
}

/// The word for items that are no more than names.
fn names(value: &Value) -> Option<&str> {
    match value {
        Value::Placeholder(word) => Some(word.as_str()).filter(|word| Names::are(word)),
        _ => None,
    }
}

fn everything(relation: &Relation) -> Vec<Column> {
    match &relation.source {
        Source::Table(name) => {
            let all = ColumnRef { row: relation.row, ..ColumnRef::new(Some(name.clone()), None, true) };
            vec![Column { name: None, refs: vec![all] }]
        }
        Source::Derived(columns) => columns.clone(),
    }
}

fn column(expr: &Expr, alias: Option<String>, scope: Scope<'_>) -> Followed<Column> {
    let refs = match expr {
        Expr::Identifier(ident) => scope.column(None, &folded(ident), true),
        Expr::CompoundIdentifier(parts) => qualified(parts, scope, true),
        expr => expr_refs(expr, scope)?,
    };
    Ok(Column { name: alias.or_else(|| label(expr)), refs })
}

fn from_relations(from: &[TableWithJoins], outer: Scope<'_>) -> Followed<Vec<Relation>> {
    let mut relations = Vec::new();
    for item in from {
        let first = relations.len();
        let beside = item.joins.iter().map(|join| Beside::left(&join.join_operator)).min().unwrap_or(Beside::Always);
        relations.extend(factor(&item.relation, &relations, outer, beside)?);
        for (at, Join { relation, join_operator, .. }) in item.joins.iter().enumerate() {
            let later = item.joins.iter().skip(at + 1).map(|join| Beside::left(&join.join_operator));
            let beside = later.fold(Beside::right(join_operator), Beside::min);
            let more = factor(relation, &relations, outer, beside)?;
            let own = relations.len() - first;
            relations.extend(more);
            joins::join(join_operator, relations.get(first..).unwrap_or_default(), own, outer);
        }
    }
    Ok(relations)
}

fn factor(factor: &TableFactor, before: &[Relation], outer: Scope<'_>, beside: Beside) -> Followed<Vec<Relation>> {
    // LATERAL, and functions, see what stands before them; a sub-select by itself does not.
    let scope = Scope { relations: before, outer: Some(&outer), ..outer };
    let named = |alias: &Option<TableAlias>, columns: Vec<Column>| {
        let columns = alias.as_ref().map_or_else(|| columns.clone(), |alias| renamed(columns.clone(), alias));
        let alias = alias.as_ref().map_or_else(String::new, |alias| folded(&alias.name));
        vec![Relation { alias, source: Source::Derived(columns), row: 0 }]
    };
    match factor {
        TableFactor::Table { name, alias, args: None, .. } => {
            let [part] = &name.0[..] else { return Ok(vec![table(name, alias.as_ref(), outer.rows)?]) };
            let single = part.as_ident().map(folded).ok_or(Unfollowed)?;
            match outer.cte(&single) {
                Some(cte) => {
                    let columns = if cte.is_within { cte.columns.clone() } else { outer.rows.anew(&cte.columns) };
                    let mut relation = named(alias, columns);
                    if let (Some(first), None) = (relation.first_mut(), alias) {
                        first.alias = single;
                    }
                    Ok(relation)
                }
                None => Ok(vec![table(name, alias.as_ref(), outer.rows)?]),
            }
        }
        TableFactor::Table { name, alias, args: Some(args), .. } => {
            let refs = args_refs(&args.args, scope)?;
            let mut relation = named(alias, vec![Column { name: None, refs }]);
            if let (Some(first), None) = (relation.first_mut(), alias) {
                first.alias = name.0.last().and_then(|part| part.as_ident()).map(folded).unwrap_or_default();
            }
            Ok(relation)
        }
        TableFactor::Function { args, alias, .. } => {
            Ok(named(alias, vec![Column { name: None, refs: args_refs(args, scope)? }]))
        }
        TableFactor::UNNEST { alias, array_exprs, .. } => {
            let mut refs = Vec::new();
            for expr in array_exprs {
                refs.extend(expr_refs(expr, scope)?);
            }
            Ok(named(alias, vec![Column { name: None, refs }]))
        }
        TableFactor::Derived { lateral, subquery, alias, .. } => {
            let columns = match subquery.body.as_ref() {
                SetExpr::Select(select) if *lateral && subquery.with.is_none() => select_columns(select, scope, beside),
                _ => query_columns(subquery, if *lateral { scope } else { outer }),
            };
            Ok(named(alias, columns?))
        }
        TableFactor::NestedJoin { table_with_joins, alias: None } => {
            from_relations(std::slice::from_ref(table_with_joins), outer)
        }
        TableFactor::NestedJoin { table_with_joins, alias } => {
            let joined = from_relations(std::slice::from_ref(table_with_joins), outer)?;
            Ok(named(alias, joined.iter().flat_map(everything).collect()))
        }
        _ => Err(Unfollowed),
    }
}

fn renamed(columns: Vec<Column>, alias: &TableAlias) -> Vec<Column> {
    let mut names = alias.columns.iter().map(|column| folded(&column.name));
    // A `*` stands for an unknown number of columns: what is renamed behind it is not known by position.
    if columns.iter().any(|column| column.name.is_none()) && !alias.columns.is_empty() {
        let refs: Vec<ColumnRef> = columns.iter().flat_map(|column| &column.refs).map(loosened).collect();
        return names.map(|name| Column { name: Some(name), refs: refs.clone() }).collect();
    }
    columns.into_iter().map(|column| Column { name: names.next().or(column.name), refs: column.refs }).collect()
}

fn table(name: &ObjectName, alias: Option<&TableAlias>, rows: &Rows) -> Followed<Relation> {
    let mut table = Relation::table(required(name)?, rows);
    let Some(alias) = alias else { return Ok(table) };
    // Columns under other names cannot be told apart without the catalog: each is any of them.
    if !alias.columns.is_empty() {
        let all: Vec<ColumnRef> = everything(&table).iter().flat_map(|column| &column.refs).map(loosened).collect();
        let any = |name: &str| {
            let sought = Sought { name: name.into(), perhaps: true, ..Sought::default() };
            let refs = all.iter().map(|found| ColumnRef { sought: Some(Box::new(sought.clone())), ..found.clone() });
            Column { name: Some(name.to_owned()), refs: refs.collect() }
        };
        let named = alias.columns.iter().map(|column| any(&folded(&column.name)));
        let rest = Column { name: None, ..any("") };
        table.source = Source::Derived(named.chain(std::iter::once(rest)).collect());
    }
    table.alias = folded(&alias.name);
    Ok(table)
}

fn loosened(found: &ColumnRef) -> ColumnRef {
    ColumnRef { plain: false, ..found.clone() }
}

fn qualified(parts: &[Ident], scope: Scope<'_>, plain: bool) -> Vec<ColumnRef> {
    match parts {
        [schema, relation, column] => scope.of_schema(&folded(schema), &folded(relation), &folded(column), plain),
        [.., relation, column] => scope.column(Some(&folded(relation)), &folded(column), plain),
        [column] => scope.column(None, &folded(column), plain),
        [] => Vec::new(),
    }
}

fn required(name: &ObjectName) -> Followed<RelationName> {
    relation_name(name).ok_or(Unfollowed)
}

fn relation_name(name: &ObjectName) -> Option<RelationName> {
    let mut parts = name.0.iter().rev().map(|part| part.as_ident().map(folded));
    let relation = parts.next()??;
    let schema = parts.next().flatten();
    Some(RelationName { schema: schema.map(Into::into), name: relation.into() })
}

/// As PostgreSQL folds it: lower case unless quoted.
fn folded(ident: &Ident) -> String {
    match ident.quote_style {
        Some(_) => ident.value.clone(),
        None if ident.value.is_ascii() => ident.value.to_ascii_lowercase(),
        None => ident.value.to_lowercase(),
    }
}
