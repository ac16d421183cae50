//! Statements that write within WITH, and those that WITH stands before.
//!
//! In: the text of one statement that begins with WITH, within the limits of `statement`. Out: for each INSERT, UPDATE and MERGE in it what
//! that one fills in, the queries before it included; what the MERGEs read, which the grammar's summary lacks; and the statement with each MERGE
//! of its WITH put as the query of what it returns, which the other parser follows. `None` where any of it fails: then whatever is written may
//! hold whatever is read.

use std::collections::BTreeSet;

use pg_query::protobuf::{Node, RangeVar, WithClause};
use pg_query::{DeparseOptions, NodeEnum};

use super::flow::{Fate, Flow};
use super::merge::{self, Merge};
use super::statement::tree_is_safe;
use super::{ColumnRef, RelationName, output};
use crate::record::Text;

/// With more statements that write, none is followed: each is read with all that stand before it.
const STATEMENTS_MAX: usize = 16;

/// See the module.
#[derive(Default)]
pub(super) struct Modifying {
    /// Of the MERGEs.
    pub(super) reads: BTreeSet<RelationName>,
    pub(super) functions: BTreeSet<Text>,
    pub(super) flows: Vec<Flow>,
    /// The statement without a MERGE in its WITH; `None` where there is none, or where it is one itself.
    pub(super) rewritten: Option<String>,
    /// Where the statement itself is a MERGE: what it returns, as [`Merge::returned`] says.
    pub(super) merge: Option<Merge>,
}

impl Modifying {
    /// Reads a text.
    pub(super) fn of(text: &str) -> Option<Modifying> {
        let mut statement = pg_query::parse(text, 0).ok()?.protobuf.stmts.pop()?.stmt?.node?;
        let with = clause(&mut statement)?.take()?;
        // Under RECURSIVE, a query sees those behind it, too.
        if with.recursive || matches!(&statement, NodeEnum::SelectStmt(select) if select.into_clause.is_some()) {
            return None;
        }
        let mut found = Modifying::default();
        let (mut queries, mut had_merge) = (Vec::with_capacity(with.ctes.len()), false);
        for node in with.ctes {
            let Some(NodeEnum::CommonTableExpr(mut query)) = node.node else { return None };
            let inner = query.ctequery.take()?.node?;
            let inner = match found.take(&inner, &queries)? {
                None => inner,
                Some(merge) => {
                    had_merge = true;
                    found.add(&merge.0);
                    // Nobody can refer to one that returns nothing.
                    let Some(query) = merge.1 else { continue };
                    query
                }
            };
            query.ctequery = Some(Box::new(merge::node(inner)));
            queries.push(merge::node(NodeEnum::CommonTableExpr(query)));
        }
        if let Some((merge, _)) = found.take(&statement, &queries)? {
            found.add(&merge);
            found.merge = Some(merge);
        } else if had_merge {
            *clause(&mut statement)? = with_clause(queries);
            found.rewritten = Some(deparsed(&statement)?);
        }
        Some(found)
    }

    fn add(&mut self, merge: &Merge) {
        self.reads.extend(merge.reads.iter().cloned());
        self.functions.extend(merge.functions.iter().cloned());
    }

    /// Takes in what a statement fills, which sees the queries `before` it. Of a MERGE: that, and the query of what it returns.
    fn take(&mut self, statement: &NodeEnum, before: &[Node]) -> Option<Option<(Merge, Option<NodeEnum>)>> {
        let mut whole = statement.clone();
        let own = clause(&mut whole)?;
        if own.as_ref().is_some_and(|own| own.recursive) {
            return None;
        }
        let queries = before.iter().cloned().chain(own.take().into_iter().flat_map(|own| own.ctes));
        *own = with_clause(queries.collect());
        let (into, inserts) = match &whole {
            NodeEnum::InsertStmt(insert) => (insert.relation.as_ref()?, true),
            NodeEnum::UpdateStmt(update) => (update.relation.as_ref()?, false),
            NodeEnum::MergeStmt(merge) => (merge.relation.as_ref()?, false),
            _ => return Some(None),
        };
        if self.flows.len() == STATEMENTS_MAX {
            return None;
        }
        let mut flow = Flow { inserts, ..Flow::new(relation(into), Fate::Filled) };
        let merge = match (&whole, statement) {
            (NodeEnum::MergeStmt(whole), NodeEnum::MergeStmt(alone)) => {
                let mut merge = Merge::of_statement(whole)?;
                flow.columns = merge.filled.take();
                Some((merge, merge::as_query(alone)))
            }
            _ => {
                let text = deparsed(&whole)?;
                if let Some((names, columns)) = tree_is_safe(&text).then(|| output::filled(&text)).flatten() {
                    flow = Flow { names, columns: Some(columns), ..flow };
                }
                None
            }
        };
        self.returned_before(&mut flow);
        self.flows.push(flow);
        Some(merge)
    }

    /// What a statement takes from a relation that one before it writes, it may take from what that one has just filled in.
    fn returned_before(&self, flow: &mut Flow) {
        let Some(columns) = &mut flow.columns else { return };
        for before in &self.flows {
            let is_of = |found: &ColumnRef| found.relation.as_ref().is_none_or(|of| of.name == before.into.name);
            for (_, refs) in columns.iter_mut().filter(|(_, refs)| refs.iter().any(is_of)) {
                let Some(filled) = &before.columns else {
                    flow.columns = None;
                    return;
                };
                refs.extend(
                    filled.iter().flat_map(|(_, refs)| refs).map(|found| ColumnRef { plain: false, ..found.clone() }),
                );
            }
        }
    }
}

fn clause(statement: &mut NodeEnum) -> Option<&mut Option<WithClause>> {
    match statement {
        NodeEnum::SelectStmt(select) => Some(&mut select.with_clause),
        NodeEnum::InsertStmt(insert) => Some(&mut insert.with_clause),
        NodeEnum::UpdateStmt(update) => Some(&mut update.with_clause),
        NodeEnum::DeleteStmt(delete) => Some(&mut delete.with_clause),
        NodeEnum::MergeStmt(merge) => Some(&mut merge.with_clause),
        _ => None,
    }
}

fn with_clause(queries: Vec<Node>) -> Option<WithClause> {
    (!queries.is_empty()).then_some(WithClause { ctes: queries, ..WithClause::default() })
}

fn relation(of: &RangeVar) -> RelationName {
    let schema = Some(of.schemaname.as_str()).filter(|schema| !schema.is_empty());
    RelationName { schema: schema.map(Text::from), name: of.relname.as_str().into() }
}

fn deparsed(statement: &NodeEnum) -> Option<String> {
    statement.deparse(DeparseOptions::default()).ok()
}
