//! Groups by texts, counted by the codes of their dictionaries: `select db_user, count(*) … group by 1` reads numbers, and each user's name
//! once a row group.
//!
//! In: a plan. Out: the same plan, in which an aggregate's first step, where it groups by texts as they stand in the log's files, is [`Counting`]
//! over a scan that leaves them in their dictionaries ([`scan`]). The columns that come out, and the second step, are what they were. Leaves alone
//! whatever else is asked of those texts in that step, grouping sets, keys of other types than [`groups`] knows, and aggregates that the engine
//! has no vectors for.
//!
//! The log's texts are a few hundred different ones, repeated; the engine copies each out of its dictionary, hashes it and compares it, row by row.

mod groups;
mod scan;

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{exec_err, internal_err};
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet, RecordOutput};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, InputOrderMode, PlanProperties,
    ReplaceChildrenOptions,
};
use futures_util::{StreamExt, stream};

use self::groups::Groups;

/// So many groups are handed on, and begun anew: what is held in memory has a bound.
const GROUPS_MAX: usize = 128 << 10;

/// The rule.
#[derive(Debug)]
pub struct ByCodes;

impl PhysicalOptimizerRule for ByCodes {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| {
            let counting = node.downcast_ref::<AggregateExec>().map(Counting::instead_of).transpose()?.flatten();
            Ok(counting.map_or(Transformed::no(node), |counting| Transformed::yes(Arc::new(counting) as _)))
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "by_codes"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// An aggregate's first step.
#[derive(Clone, Debug)]
pub struct Counting {
    keys: Vec<Arc<dyn PhysicalExpr>>,
    kinds: Vec<DataType>,
    aggregates: Vec<Aggregate>,
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

#[derive(Clone, Debug)]
struct Aggregate {
    of: Arc<AggregateFunctionExpr>,
    filter: Option<Arc<dyn PhysicalExpr>>,
}

impl Counting {
    /// Of an aggregate that has this form.
    fn instead_of(aggregate: &AggregateExec) -> Result<Option<Counting>> {
        let by = aggregate.group_expr();
        let is_plain = matches!(aggregate.mode(), AggregateMode::Partial)
            && matches!(aggregate.input_order_mode(), InputOrderMode::Linear)
            && aggregate.limit_options().is_none()
            && by.is_single();
        let vectors = |of: &Arc<AggregateFunctionExpr>| of.groups_accumulator_supported() && of.order_bys().is_empty();
        if !is_plain || !aggregate.aggr_expr().iter().all(vectors) {
            return Ok(None);
        }
        let schema = aggregate.input().schema();
        let keys = by.input_exprs();
        let kinds = keys.iter().map(|key| key.data_type(&schema)).collect::<Result<Vec<_>>>()?;
        let mut texts = Vec::new();
        let mut others: Vec<Arc<dyn PhysicalExpr>> = aggregate.filter_expr().iter().flatten().cloned().collect();
        others.extend(aggregate.aggr_expr().iter().flat_map(|of| of.expressions()));
        for (key, kind) in keys.iter().zip(&kinds) {
            match key.downcast_ref::<Column>() {
                Some(column) if kind == &DataType::Utf8 => texts.push(column.index()),
                _ if groups::is_number(kind) => others.push(Arc::clone(key)),
                _ => return Ok(None),
            }
        }
        let is_asked_more = others.iter().flat_map(collect_columns).any(|column| texts.contains(&column.index()));
        if texts.is_empty() || is_asked_more {
            return Ok(None);
        }
        let Some(input) = scan::in_dictionaries(aggregate.input(), &texts)? else { return Ok(None) };
        let filters = aggregate.filter_expr().iter().cloned();
        let aggregates = aggregate.aggr_expr().iter().cloned().zip(filters);
        Ok(Some(Counting {
            keys,
            kinds,
            aggregates: aggregates.map(|(of, filter)| Aggregate { of, filter }).collect(),
            input,
            properties: Arc::clone(aggregate.properties()),
            metrics: ExecutionPlanMetricsSet::new(),
        }))
    }
}

impl DisplayAs for Counting {
    fn fmt_as(&self, _t: DisplayFormatType, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let keys: Vec<String> = self.keys.iter().map(ToString::to_string).collect();
        let of: Vec<&str> = self.aggregates.iter().map(|aggregate| aggregate.of.name()).collect();
        write!(f, "CountingByCodes: gby=[{}], aggr=[{}]", keys.join(", "), of.join(", "))
    }
}

impl ExecutionPlan for Counting {
    fn name(&self) -> &'static str {
        "CountingByCodes"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        each: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        let filters = self.aggregates.iter().filter_map(|aggregate| aggregate.filter.clone());
        let arguments = self.aggregates.iter().flat_map(|aggregate| aggregate.of.expressions());
        for expression in self.keys.iter().cloned().chain(filters).chain(arguments) {
            if each(&expression)? == TreeNodeRecursion::Stop {
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let [input]: [Arc<dyn ExecutionPlan>; 1] = match children.try_into() {
            Ok(children) => children,
            Err(_) => return internal_err!("it has one input"),
        };
        let metrics = ExecutionPlanMetricsSet::new();
        Ok(Arc::new(Counting { input, metrics, ..Counting::clone(&self) }))
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
        self.replace_children(children, options)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, context)?;
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        let state = State { of: self.clone(), table: Table::new(self)?, input, metrics, is_done: false };
        let batches = stream::try_unfold(state, State::next);
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), batches)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

/// One partition of it, under way.
struct State {
    of: Counting,
    table: Table,
    input: SendableRecordBatchStream,
    metrics: BaselineMetrics,
    is_done: bool,
}

impl State {
    async fn next(mut self) -> Result<Option<(RecordBatch, State)>> {
        while !self.is_done && self.table.groups.len() < GROUPS_MAX {
            match self.input.next().await.transpose()? {
                Some(batch) => {
                    let _timer = self.metrics.elapsed_compute().timer();
                    self.table.count(&self.of, &batch)?;
                }
                None => self.is_done = true,
            }
        }
        if self.table.groups.len() == 0 {
            return Ok(None);
        }
        let full = std::mem::replace(&mut self.table, Table::new(&self.of)?);
        let counted = full.counted(&self.of)?.record_output(&self.metrics);
        Ok(Some((counted, self)))
    }
}

/// What is counted so far.
struct Table {
    groups: Groups,
    accumulators: Vec<Box<dyn GroupsAccumulator>>,
    /// The group of each row.
    of_rows: Vec<usize>,
}

impl Table {
    fn new(of: &Counting) -> Result<Table> {
        let accumulators = of.aggregates.iter().map(|aggregate| aggregate.of.create_groups_accumulator());
        let accumulators = accumulators.collect::<Result<_>>()?;
        Ok(Table { groups: Groups::new(&of.kinds), accumulators, of_rows: Vec::new() })
    }

    fn count(&mut self, of: &Counting, batch: &RecordBatch) -> Result<()> {
        let evaluate = |expr: &Arc<dyn PhysicalExpr>| expr.evaluate(batch)?.into_array(batch.num_rows());
        let keys = of.keys.iter().map(evaluate).collect::<Result<Vec<ArrayRef>>>()?;
        self.groups.find(&keys, &mut self.of_rows)?;
        let groups = self.groups.len();
        for (aggregate, accumulator) in of.aggregates.iter().zip(&mut self.accumulators) {
            let values = aggregate.of.expressions().iter().map(evaluate).collect::<Result<Vec<ArrayRef>>>()?;
            let filter = aggregate.filter.as_ref().map(evaluate).transpose()?;
            let filter = filter.as_ref().map(|filter| filter.as_boolean_opt());
            match filter {
                Some(None) => return exec_err!("a filter of an aggregate is no condition"),
                filter => accumulator.update_batch(&values, &self.of_rows, filter.flatten(), groups)?,
            }
        }
        Ok(())
    }

    /// The keys of each group, and what there is of its aggregates.
    fn counted(mut self, of: &Counting) -> Result<RecordBatch> {
        let mut columns = self.groups.keys()?;
        for accumulator in &mut self.accumulators {
            columns.extend(accumulator.state(EmitTo::All)?);
        }
        Ok(RecordBatch::try_new(of.schema(), columns)?)
    }
}
