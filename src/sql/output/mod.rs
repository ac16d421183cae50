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
// What an expression is made from.
mod expression;
// What INSERT and UPDATE fill in.
mod filling;
// Items of a list that are no more than names.
mod names;
// Whether each row of one table comes out once at most.
mod single;
// One statement's tree, made once.
mod tree;
// PostgreSQL's tokens as the other parser has them.
mod words;

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, FromTable, Ident, Join, ObjectName, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr,
    Statement, Table, TableAlias, TableFactor, TableObject, TableWithJoins, UpdateTableFromKind, Value, Visitor, With,
};

pub use self::called::ColumnCalls;
use self::expression::{args_refs, expr_refs};
use self::names::Names;
pub(super) use self::tree::{Tree, calls, filled, of};
use super::{ColumnRef, RelationName};

/// What could not be followed.
struct Unfollowed;

type Followed<T> = Result<T, Unfollowed>;

/// One column of a result: its name, where it has one, and what it is made from.
#[derive(Clone, Default)]
struct Column {
    name: Option<String>,
    refs: Vec<ColumnRef>,
}

/// Something in FROM, under the name it goes by.
struct Relation {
    alias: String,
    source: Source,
}

enum Source {
    Table(RelationName),
    Derived(Vec<Column>),
}

/// What names mean at one place: the CTEs, the relations of FROM, and those of the queries around it.
#[derive(Clone, Copy)]
struct Scope<'a> {
    ctes: &'a [(String, Vec<Column>)],
    relations: &'a [Relation],
    outer: Option<&'a Scope<'a>>,
}

/// What the tree says of a statement.
pub(super) struct Outputs {
    /// Columns that reach the client, column by column of the result.
    pub(super) by_column: Vec<(Option<String>, Vec<ColumnRef>)>,
    /// Every relation named, CTEs included, to be held against the other parser's.
    pub(super) relations: BTreeSet<RelationName>,
    /// Whether no row of the one relation in FROM can come out twice.
    pub(super) single: bool,
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
            let mut relations = vec![table(name, None)?];
            if let Some(alias) = &insert.table_alias {
                relations.push(Relation { alias: folded(&alias.alias), source: Source::Table(required(name)?) });
            }
            returned(insert.returning.as_deref(), &relations, scope)
        }
        Statement::Update(update) => {
            let mut relations = from_relations(std::slice::from_ref(&update.table), scope)?;
            if let Some(UpdateTableFromKind::AfterSet(from) | UpdateTableFromKind::BeforeSet(from)) = &update.from {
                relations.extend(from_relations(from, scope)?);
            }
            returned(update.returning.as_deref(), &relations, scope)
        }
        Statement::Delete(delete) => {
            let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
            let mut relations = from_relations(from, scope)?;
            if let Some(using) = &delete.using {
                relations.extend(from_relations(using, scope)?);
            }
            returned(delete.returning.as_deref(), &relations, scope)
        }
        _ => Err(Unfollowed),
    }
}

fn returned(items: Option<&[SelectItem]>, relations: &[Relation], outer: Scope<'_>) -> Followed<Vec<Column>> {
    let scope = Scope { ctes: outer.ctes, relations, outer: Some(&outer) };
    items.map_or(Ok(Vec::new()), |items| projection(items, scope))
}

fn query_columns(query: &Query, outer: Scope<'_>) -> Followed<Vec<Column>> {
    if !query.pipe_operators.is_empty() {
        return Err(Unfollowed);
    }
    let ctes = ctes(query.with.as_ref(), outer)?;
    let scope = Scope { ctes: &ctes, relations: outer.relations, outer: outer.outer };
    set_columns(&query.body, scope)
}

fn ctes(with: Option<&With>, outer: Scope<'_>) -> Followed<Vec<(String, Vec<Column>)>> {
    let mut known = outer.ctes.to_vec();
    for cte in with.map_or(&[][..], |with| &with.cte_tables) {
        let name = folded(&cte.alias.name);
        let recursive = with.is_some_and(|with| with.recursive);
        if recursive && let SetExpr::SetOperation { left, .. } = cte.query.body.as_ref() {
            // The recursive arm sees the columns of the other one.
            let scope = Scope { ctes: &known, ..outer };
            let columns = renamed(set_columns(left, scope)?, &cte.alias);
            known.push((name.clone(), columns));
        }
        let columns = query_columns(&cte.query, Scope { ctes: &known, ..outer })?;
        known.push((name, renamed(columns, &cte.alias)));
    }
    Ok(known)
}

fn set_columns(body: &SetExpr, scope: Scope<'_>) -> Followed<Vec<Column>> {
    match body {
        SetExpr::Select(select) => select_columns(select, scope),
        SetExpr::Query(query) => query_columns(query, scope),
        SetExpr::SetOperation { left, right, .. } => {
            let mut columns = set_columns(left, scope)?;
            for (index, column) in set_columns(right, scope)?.into_iter().enumerate() {
                match columns.get_mut(index) {
                    Some(merged) => merged.refs.extend(column.refs),
                    None => columns.push(column),
                }
            }
            Ok(columns)
        }
        SetExpr::Values(values) => {
            let mut column = Column::default();
            for row in &values.rows {
                for expr in row.content.iter() {
                    column.refs.extend(expr_refs(expr, scope)?);
                }
            }
            Ok(vec![column])
        }
        SetExpr::Insert(statement) | SetExpr::Update(statement) | SetExpr::Delete(statement) => {
            statement_columns(statement, scope)
        }
        SetExpr::Table(table) => {
            let relation = table_command(table).ok_or(Unfollowed)?;
            if let (None, Some(columns)) = (&relation.schema, scope.cte(&relation.name)) {
                return Ok(columns.to_vec());
            }
            Ok(vec![Column {
                name: None,
                refs: vec![ColumnRef { relation: Some(relation), column: None, plain: true }],
            }])
        }
        SetExpr::Merge(_) => Err(Unfollowed),
    }
}

fn select_columns(select: &Select, outer: Scope<'_>) -> Followed<Vec<Column>> {
    if !select.lateral_views.is_empty() || !select.connect_by.is_empty() {
        return Err(Unfollowed);
    }
    let relations = from_relations(&select.from, outer)?;
    let scope = Scope { ctes: outer.ctes, relations: &relations, outer: Some(&outer) };
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
            let all = ColumnRef { relation: Some(name.clone()), column: None, plain: true };
            vec![Column { name: None, refs: vec![all] }]
        }
        Source::Derived(columns) => columns.clone(),
    }
}

fn column(expr: &Expr, alias: Option<String>, scope: Scope<'_>) -> Followed<Column> {
    let (name, refs) = match expr {
        Expr::Identifier(ident) => (Some(folded(ident)), scope.column(None, &folded(ident), true)),
        Expr::CompoundIdentifier(parts) => (parts.last().map(folded), qualified(parts, scope, true)),
        expr => (None, expr_refs(expr, scope)?),
    };
    Ok(Column { name: alias.or(name), refs })
}

fn from_relations(from: &[TableWithJoins], outer: Scope<'_>) -> Followed<Vec<Relation>> {
    let mut relations = Vec::new();
    for item in from {
        relations.extend(factor(&item.relation, &relations, outer)?);
        for Join { relation, .. } in &item.joins {
            let more = factor(relation, &relations, outer)?;
            relations.extend(more);
        }
    }
    Ok(relations)
}

fn factor(factor: &TableFactor, before: &[Relation], outer: Scope<'_>) -> Followed<Vec<Relation>> {
    // LATERAL, and functions, see what stands before them.
    let scope = Scope { ctes: outer.ctes, relations: before, outer: Some(&outer) };
    let named = |alias: &Option<TableAlias>, columns: Vec<Column>| {
        let columns = alias.as_ref().map_or_else(|| columns.clone(), |alias| renamed(columns.clone(), alias));
        let alias = alias.as_ref().map_or_else(String::new, |alias| folded(&alias.name));
        vec![Relation { alias, source: Source::Derived(columns) }]
    };
    match factor {
        TableFactor::Table { name, alias, args: None, .. } => {
            let [part] = &name.0[..] else { return Ok(vec![table(name, alias.as_ref())?]) };
            let single = part.as_ident().map(folded).ok_or(Unfollowed)?;
            match outer.cte(&single) {
                Some(columns) => {
                    let mut relation = named(alias, columns.to_vec());
                    if let (Some(first), None) = (relation.first_mut(), alias) {
                        first.alias = single;
                    }
                    Ok(relation)
                }
                None => Ok(vec![table(name, alias.as_ref())?]),
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
        TableFactor::Derived { subquery, alias, .. } => Ok(named(alias, query_columns(subquery, scope)?)),
        TableFactor::NestedJoin { table_with_joins, alias: None } => {
            from_relations(std::slice::from_ref(table_with_joins), outer)
        }
        _ => Err(Unfollowed),
    }
}

impl Scope<'_> {
    fn cte(&self, name: &str) -> Option<&[Column]> {
        self.ctes.iter().rev().find(|(cte, _)| cte == name).map(|(_, columns)| &columns[..])
    }

    fn relation(&self, alias: &str) -> Option<&Relation> {
        let mut scope = Some(self);
        while let Some(here) = scope {
            if let Some(found) = here.relations.iter().find(|relation| relation.alias == alias) {
                return Some(found);
            }
            scope = here.outer;
        }
        None
    }

    /// Whether a table goes by this name, and nothing else of the same query has a column of it.
    fn is_table(&self, alias: &str) -> bool {
        let is_alone = |relation: &&Relation| relation.alias == alias && matches!(relation.source, Source::Table(_));
        self.relations.len() == 1 && self.relations.iter().all(|relation| is_alone(&relation))
    }

    /// What `name`, of the relation `of` or of any, is made from. Errs on the side of too much.
    fn column(&self, of: Option<&str>, name: &str, plain: bool) -> Vec<ColumnRef> {
        let relations: Vec<&Relation> = match of.map(|alias| self.relation(alias)) {
            // As most are.
            Some(Some(Relation { source: Source::Table(table), .. })) => {
                return vec![one(Some(table.clone()), name, plain)];
            }
            Some(found) => found.into_iter().collect(),
            None => self.relations.iter().collect(),
        };
        let mut refs = Vec::new();
        let mut tables = Vec::new();
        let mut found = false;
        // A row as a whole, which has the column of its own name, too, where there is one.
        let is_row = |relation: &Relation| of.is_none() && relation.alias == name;
        for relation in &relations {
            match &relation.source {
                Source::Table(_) if is_row(relation) => {}
                Source::Table(table) => tables.push(table),
                Source::Derived(columns) => {
                    let known = columns.iter().any(|column| column.name.as_deref() == Some(name));
                    // A column without a name of its own may be any.
                    let meant = columns.iter().filter(|column| match &column.name {
                        Some(its) => its == name,
                        None => !known && !is_row(relation),
                    });
                    for column in meant {
                        found = true;
                        refs.extend(column.refs.iter().map(|its| narrowed(its, name, plain)));
                    }
                }
            }
        }
        if relations.iter().any(|relation| is_row(relation)) {
            found = true;
            refs.extend(relations.iter().filter(|relation| is_row(relation)).flat_map(|relation| {
                everything(relation).into_iter().flat_map(|column| column.refs).map(|found| loosened(&found))
            }));
        }
        match (&tables[..], found) {
            ([], true) => {}
            ([table], false) => refs.push(one(Some((*table).clone()), name, plain)),
            ([_, ..], _) => refs.push(one(None, name, plain)),
            ([], false) => match self.outer {
                // Not of this query: of one around it.
                Some(outer) if of.is_none() => refs = outer.column(of, name, plain),
                _ => refs.push(one(None, name, plain)),
            },
        }
        refs
    }
}

/// A column of a derived table that is itself a `*` is the column of that name.
fn narrowed(found: &ColumnRef, name: &str, plain: bool) -> ColumnRef {
    let plain = plain && found.plain;
    match (&found.column, found.plain) {
        (None, true) => ColumnRef { relation: found.relation.clone(), column: Some(name.into()), plain },
        _ => ColumnRef { plain, ..found.clone() },
    }
}

fn loosened(found: &ColumnRef) -> ColumnRef {
    ColumnRef { plain: false, ..found.clone() }
}

fn one(relation: Option<RelationName>, name: &str, plain: bool) -> ColumnRef {
    ColumnRef { relation, column: Some(name.into()), plain }
}

fn qualified(parts: &[Ident], scope: Scope<'_>, plain: bool) -> Vec<ColumnRef> {
    match parts {
        [.., relation, column] => scope.column(Some(&folded(relation)), &folded(column), plain),
        [column] => scope.column(None, &folded(column), plain),
        [] => Vec::new(),
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

fn table(name: &ObjectName, alias: Option<&TableAlias>) -> Followed<Relation> {
    let relation = required(name)?;
    match alias {
        // Columns under other names cannot be told apart without the catalog.
        Some(alias) if !alias.columns.is_empty() => {
            let all = vec![ColumnRef { relation: Some(relation), column: None, plain: false }];
            let columns =
                alias.columns.iter().map(|column| Column { name: Some(folded(&column.name)), refs: all.clone() });
            let mut columns: Vec<Column> = columns.collect();
            columns.push(Column { name: None, refs: all.clone() });
            Ok(Relation { alias: folded(&alias.name), source: Source::Derived(columns) })
        }
        Some(alias) => Ok(Relation { alias: folded(&alias.name), source: Source::Table(relation) }),
        None => Ok(Relation { alias: relation.name.to_string(), source: Source::Table(relation) }),
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
