//! MERGE: what it reads, fills in and returns. The grammar's summary has its target alone.
//!
//! In: the text of one MERGE, within the limits of `statement`. Out: relations and functions of its source, its conditions and its actions; each
//! filled column's sources; the columns that it returns. Its parts are put into queries that are read as any other. `None` where that fails.

use std::collections::BTreeSet;

use pg_query::protobuf::{MergeStmt, MergeWhenClause, Node, ResTarget, SelectStmt, Token};
use pg_query::{DeparseOptions, NodeEnum};

use super::flow::Sources;
use super::statement::tree_is_safe;
use super::tokens::Tokens;
use super::{ColumnRef, RelationName, output};
use crate::record::Text;

/// See the module.
pub(super) struct Merge {
    pub(super) reads: BTreeSet<RelationName>,
    pub(super) functions: BTreeSet<Text>,
    /// `None` where any column may hold anything that is read.
    pub(super) filled: Option<Sources>,
    /// `None` where it could not be followed.
    pub(super) returned: Option<Vec<ColumnRef>>,
}

/// Whether there is a MERGE anywhere in a statement, or may be.
pub(super) fn is_in(tokens: &Tokens<'_>) -> bool {
    let merges = tokens.all.iter().enumerate().filter(|(_, lexeme)| lexeme.token == Token::Merge);
    merges.map(|(at, _)| at).any(|at| tokens.are(at, &["merge", "into"]))
}

impl Merge {
    /// Reads a text.
    pub(super) fn of(text: &str) -> Option<Merge> {
        let mut parsed = pg_query::parse(text, 0).ok()?.protobuf;
        let statement = parsed.stmts.pop()?.stmt?.node?;
        let NodeEnum::MergeStmt(merge) = statement else { return None };
        // The summary lacks what one in WITH reads, too.
        let ctes = merge.with_clause.iter().flat_map(|with| &with.ctes);
        let mut queries = ctes.filter_map(|node| match node.node.as_ref()? {
            NodeEnum::CommonTableExpr(cte) => cte.ctequery.as_ref()?.node.as_ref(),
            _ => None,
        });
        if queries.any(|query| matches!(query, NodeEnum::MergeStmt(_))) {
            return None;
        }
        Merge::of_statement(&merge)
    }

    /// Reads a statement of which WITH holds no other MERGE.
    pub(super) fn of_statement(merge: &MergeStmt) -> Option<Merge> {
        let clauses: Vec<&MergeWhenClause> = merge.merge_when_clauses.iter().filter_map(clause).collect();
        let returning = merge.returning_clause.as_ref().map(|clause| &clause.exprs[..]).unwrap_or_default();
        let assigned = assigned(&clauses);
        let conditions = clauses.iter().filter_map(|clause| clause.condition.as_deref()).map(target);
        let mut everything: Vec<Node> = conditions.collect();
        everything.extend(assigned.iter().flatten().map(|(_, value)| target(value)));
        everything.extend_from_slice(returning);
        let read = deparsed(query(merge, false, everything))?;
        let summary = pg_query::summary(&read, 0, -1).ok()?;
        let reads = summary.tables.iter().map(|table| RelationName {
            schema: Some(table.schema_name.as_str()).filter(|schema| !schema.is_empty()).map(Text::from),
            name: table.table_name.as_str().into(),
        });
        Some(Merge {
            reads: reads.collect(),
            functions: summary.functions.iter().map(|function| function.name.to_lowercase().into()).collect(),
            filled: assigned.and_then(|assigned| filled(merge, assigned)),
            returned: returned(merge, returning),
        })
    }
}

/// What it returns, as a query of what it reads and writes; `None` where it returns nothing.
pub(super) fn as_query(merge: &MergeStmt) -> Option<NodeEnum> {
    let returning = merge.returning_clause.as_ref().map(|clause| clause.exprs.clone()).unwrap_or_default();
    (!returning.is_empty()).then(|| query(merge, true, returning))
}

fn clause(node: &Node) -> Option<&MergeWhenClause> {
    match node.node.as_ref()? {
        NodeEnum::MergeWhenClause(clause) => Some(clause),
        _ => None,
    }
}

/// Each column that is filled in, and its value; `None` where values go into columns that the statement does not name.
fn assigned(clauses: &[&MergeWhenClause]) -> Option<Vec<(Text, Node)>> {
    let mut assigned = Vec::new();
    for clause in clauses {
        let targets = clause.target_list.iter().filter_map(|node| match node.node.as_ref()? {
            NodeEnum::ResTarget(target) => Some(target),
            _ => None,
        });
        let targets: Vec<_> = targets.collect();
        if targets.len() < clause.values.len() {
            return None;
        }
        for (index, target) in targets.into_iter().enumerate() {
            let value = target.val.as_deref().or_else(|| clause.values.get(index));
            let value = match value.and_then(|value| value.node.as_ref()) {
                None | Some(NodeEnum::SetToDefault(_)) => continue,
                Some(NodeEnum::MultiAssignRef(many)) => many.source.as_deref(),
                Some(_) => value,
            };
            assigned.push((Text::from(target.name.as_str()), value?.clone()));
        }
    }
    Some(assigned)
}

fn filled(merge: &MergeStmt, assigned: Vec<(Text, Node)>) -> Option<Sources> {
    let text = deparsed(query(merge, true, assigned.iter().map(|(_, value)| target(value)).collect()))?;
    let columns = followed(&text)?;
    let sources = assigned.iter().zip(&columns).map(|((name, _), refs)| (Some(name.clone()), refs.clone()));
    (columns.len() == assigned.len()).then(|| sources.collect())
}

fn returned(merge: &MergeStmt, returning: &[Node]) -> Option<Vec<ColumnRef>> {
    if returning.is_empty() {
        return Some(Vec::new());
    }
    let mut refs: Vec<ColumnRef> =
        followed(&deparsed(query(merge, true, returning.to_vec()))?)?.into_iter().flatten().collect();
    refs.sort_unstable();
    refs.dedup();
    Some(refs)
}

/// The columns of a query, each with what it is made from.
fn followed(text: &str) -> Option<Vec<Vec<ColumnRef>>> {
    let outputs = tree_is_safe(text).then(|| output::of(text)).flatten()?;
    Some(outputs.by_column.into_iter().map(|(_, refs)| refs).collect())
}

/// A query of these expressions, over what the statement reads: and over what it writes, where `target` says so.
fn query(merge: &MergeStmt, target: bool, expressions: Vec<Node>) -> NodeEnum {
    let written = merge.relation.clone().filter(|_| target).map(|relation| node(NodeEnum::RangeVar(relation)));
    let from = written.into_iter().chain(merge.source_relation.as_deref().cloned());
    let select = SelectStmt {
        target_list: expressions,
        from_clause: from.collect(),
        where_clause: merge.join_condition.clone(),
        with_clause: merge.with_clause.clone(),
        limit_option: 1,
        op: 1,
        ..SelectStmt::default()
    };
    NodeEnum::SelectStmt(Box::new(select))
}

fn deparsed(query: NodeEnum) -> Option<String> {
    query.deparse(DeparseOptions::default()).ok()
}

fn target(value: &Node) -> Node {
    node(NodeEnum::ResTarget(Box::new(ResTarget { val: Some(Box::new(value.clone())), ..ResTarget::default() })))
}

/// A node of the tree.
pub(super) fn node(inner: NodeEnum) -> Node {
    Node { node: Some(inner) }
}
