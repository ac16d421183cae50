//! What a question makes of a day of `at`, made of the partition's date instead, which is there without reading a row.
//!
//! In: a plan. Out: the same plan, in which `date_trunc('day', at)`, `at::date`, `week(at)` and `extract(month from at)` are of the midnight of
//! `dt`. It is the same, because all of a file's `at` lie in its day (UTC), which is how the log is laid out; so longer units are, too. Knows `at`
//! and `dt` of one table of the log, whatever they are called on the way here; what comes by a join or an aggregate, and hours, are left as they are.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{DataType, Date32Type, Field, FieldRef, TimeUnit, TimestampMicrosecondType};
use datafusion::catalog::default_table_source::source_as_provider;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, ScalarValue, exec_err};
use datafusion::error::Result;
use datafusion::logical_expr::expr::{Cast, ScalarFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{
    ColumnarValue, Distinct, Expr, LogicalPlan, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};
use datafusion::optimizer::AnalyzerRule;

use super::lake_table::{LakeTable, PARTITION};
use super::pruning::PARTS_OF_DAY;

/// The time that the partition is made of.
const TIME: &str = "at";
/// Units of `date_trunc` that begin at a midnight.
const UNITS_OF_DAYS: [&str; 5] = ["day", "week", "month", "quarter", "year"];

/// See the module.
#[derive(Debug)]
pub struct Days {
    midnight: Arc<ScalarUDF>,
}

impl Days {
    /// The rule.
    pub fn new() -> Days {
        let midnight = Midnight { signature: Signature::exact(vec![DataType::Date32], Volatility::Immutable) };
        Days { midnight: Arc::new(ScalarUDF::new_from_impl(midnight)) }
    }
}

impl AnalyzerRule for Days {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let rewritten = plan.transform_up_with_subqueries(|node| {
            let days = match node.inputs()[..] {
                [input] => days(input),
                _ => HashMap::new(),
            };
            if days.is_empty() {
                return Ok(Transformed::no(node));
            }
            let names = NamePreserver::new(&node);
            let rewritten = node.map_expressions(|expr| {
                let name = names.save(&expr);
                let of_days = expr.transform_down(|expr| Ok(self.of_day(expr, &days)))?;
                Ok(if of_days.transformed { of_days.update_data(|expr| name.restore(expr)) } else { of_days })
            })?;
            if rewritten.transformed { rewritten.map_data(LogicalPlan::recompute_schema) } else { Ok(rewritten) }
        });
        rewritten.map(|rewritten| rewritten.data)
    }

    fn name(&self) -> &'static str {
        "days_of_partitions"
    }
}

/// Which column of a plan's has the day of which.
fn days(input: &LogicalPlan) -> HashMap<Column, Column> {
    let columns = input.schema().columns();
    let is_from = |column: &&Column, name: &str| origin(input, column).as_deref() == Some(name);
    let Some(day) = columns.iter().find(|column| is_from(column, PARTITION)) else { return HashMap::new() };
    columns.iter().filter(|column| is_from(column, TIME)).map(|time| (time.clone(), day.clone())).collect()
}

/// What a plan's column is called in the one table of the log that it comes from unaltered.
fn origin(plan: &LogicalPlan, column: &Column) -> Option<String> {
    let place = plan.schema().maybe_index_of_column(column)?;
    match plan {
        LogicalPlan::TableScan(scan) => {
            let source = source_as_provider(&scan.source).ok()?;
            source.downcast_ref::<LakeTable>().map(|_| column.name.clone())
        }
        LogicalPlan::SubqueryAlias(alias) => {
            let (relation, field) = alias.input.schema().qualified_field(place);
            origin(&alias.input, &Column::new(relation.cloned(), field.name()))
        }
        LogicalPlan::Projection(projection) => match projection.expr.get(place)?.clone().unalias_nested().data {
            Expr::Column(column) => origin(&projection.input, &column),
            _ => None,
        },
        LogicalPlan::Filter(filter) => origin(&filter.input, column),
        LogicalPlan::Sort(sort) => origin(&sort.input, column),
        LogicalPlan::Limit(limit) => origin(&limit.input, column),
        LogicalPlan::Distinct(Distinct::All(input)) => origin(input, column),
        _ => None,
    }
}

impl Days {
    /// An expression that all moments of a day share, as one of its day.
    fn of_day(&self, expr: Expr, days: &HashMap<Column, Column>) -> Transformed<Expr> {
        let day = |of: &Expr| match of {
            Expr::Column(column) => days.get(column).cloned().map(Expr::Column),
            _ => None,
        };
        let told = match &expr {
            Expr::Cast(Cast { expr, field }) if field.data_type() == &DataType::Date32 => day(expr),
            Expr::ScalarFunction(ScalarFunction { func, args }) => {
                let word =
                    |of: &Expr| of.as_literal().and_then(ScalarValue::try_as_str).flatten().map(str::to_lowercase);
                let is_one = |words: &[&str], of: &Expr| word(of).is_some_and(|word| words.contains(&word.as_str()));
                let of = match (func.name(), &args[..]) {
                    ("date_trunc", [unit, of]) if is_one(&UNITS_OF_DAYS, unit) => day(of),
                    ("date_part", [part, of]) if is_one(&PARTS_OF_DAY, part) => day(of),
                    ("week", [of]) => day(of),
                    _ => None,
                };
                of.map(|day| {
                    let mut args = args.clone();
                    args.pop();
                    args.push(self.midnight.call(vec![day]));
                    Expr::ScalarFunction(ScalarFunction { func: Arc::clone(func), args })
                })
            }
            _ => None,
        };
        match told {
            Some(told) => Transformed::new(told, true, TreeNodeRecursion::Jump),
            None => Transformed::no(expr),
        }
    }
}

/// A day's midnight, UTC. A cast says the same, and asks the zone's rules for each row.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Midnight {
    signature: Signature,
}

/// Microseconds of a day.
const DAY_US: i64 = 86_400_000_000;

impl ScalarUDFImpl for Midnight {
    fn name(&self) -> &'static str {
        "midnight"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())))
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs) -> Result<FieldRef> {
        let is_nullable = arguments.arg_fields.iter().any(|field| field.is_nullable());
        Ok(Arc::new(Field::new(self.name(), self.return_type(&[])?, is_nullable)))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(days) = arguments.args.first() else { return exec_err!("midnight of which day?") };
        let rows = if matches!(days, ColumnarValue::Scalar(_)) { 1 } else { arguments.number_rows };
        let days_of_rows = days.to_array(rows)?;
        let begin = |day| i64::from(day) * DAY_US;
        let begins = days_of_rows.as_primitive::<Date32Type>().unary::<_, TimestampMicrosecondType>(begin);
        let begins: ArrayRef = Arc::new(begins.with_timezone("UTC"));
        Ok(match days {
            ColumnarValue::Scalar(_) => ColumnarValue::Scalar(ScalarValue::try_from_array(&begins, 0)?),
            ColumnarValue::Array(_) => ColumnarValue::Array(begins),
        })
    }
}
