//! What a condition on a function of time says of the time itself: `date_trunc('day', at) = '2026-11-23'` says that `at` is of that day.
//!
//! In: a plan. Out: the same plan, in which each filter also has the range of time that follows from it, so that days, files and
//! row groups are passed over as for a bare range. What is added is always implied: no row is lost that the condition has. Knows `date_trunc`
//! and casts to dates, also in a time zone, compared with whatever has no column in it, with `between`, `in`, `and` and `or`; all else is left as it is.

use arrow::datatypes::{DataType, IntervalMonthDayNanoType, TimeUnit};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::expr::{Between, BinaryExpr, Cast, InList, ScalarFunction};
use datafusion::logical_expr::{Expr, ExprSchemable, Filter, LogicalPlan, Operator, cast, lit};
use datafusion::optimizer::AnalyzerRule;

const NANOS: i64 = 1_000_000_000;
/// A microsecond: what the log tells times to.
const MICRO_NANOS: i64 = 1_000;
/// Days by which no time zone, and no change of its hours, is off.
const OFF_DAYS: i32 = 2;
/// The most values of a list that are told as ranges.
const LIST_MAX: usize = 64;

/// See the module.
#[derive(Debug)]
pub struct Implied;

impl AnalyzerRule for Implied {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let rewritten = plan.transform_up_with_subqueries(|node| {
            let LogicalPlan::Filter(filter) = node else { return Ok(Transformed::no(node)) };
            let Some(implied) = implied(&filter.predicate, filter.input.schema()) else {
                return Ok(Transformed::no(LogicalPlan::Filter(filter)));
            };
            let predicate = filter.predicate.and(implied);
            Ok(Transformed::yes(LogicalPlan::Filter(Filter::try_new(predicate, filter.input)?)))
        });
        rewritten.map(|rewritten| rewritten.data)
    }

    fn name(&self) -> &'static str {
        "implied_times"
    }
}

/// What follows from a condition; `None`: nothing that is known here.
fn implied(condition: &Expr, schema: &DFSchema) -> Option<Expr> {
    match condition {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            match (implied(left, schema), implied(right, schema)) {
                (Some(left), Some(right)) => Some(left.and(right)),
                (left, right) => left.or(right),
            }
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            Some(implied(left, schema)?.or(implied(right, schema)?))
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match Truncated::of(left, schema) {
            Some(of) => of.compared(*op, right),
            None => Truncated::of(right, schema)?.compared(op.swap()?, left),
        },
        Expr::Between(Between { expr, negated: false, low, high }) => {
            let of = Truncated::of(expr, schema)?;
            Some(of.compared(Operator::GtEq, low)?.and(of.compared(Operator::LtEq, high)?))
        }
        Expr::InList(InList { expr, list, negated: false }) if list.len() <= LIST_MAX => {
            let of = Truncated::of(expr, schema)?;
            let each: Option<Vec<Expr>> = list.iter().map(|value| of.compared(Operator::Eq, value)).collect();
            each?.into_iter().reduce(Expr::or)
        }
        _ => None,
    }
}

/// A time, or a date, of which the end is cut off.
struct Truncated {
    /// The column.
    time: Expr,
    time_type: DataType,
    /// What is cut off is less than this.
    unit: (i32, i32, i64),
    /// The function, to cut off another time: `None` of a cast, for whose values nothing is left to cut off.
    function: Option<ScalarFunction>,
    /// By how many days it may be off, in another time zone.
    off_days: i32,
}

impl Truncated {
    fn of(expr: &Expr, schema: &DFSchema) -> Option<Truncated> {
        match expr {
            Expr::Alias(alias) => Truncated::of(&alias.expr, schema),
            Expr::Cast(Cast { expr, field }) => match field.data_type() {
                DataType::Date32 => {
                    let (time, time_type, off_days) = column(expr, schema)?;
                    let is_time = matches!(time_type, DataType::Timestamp(..));
                    is_time.then_some(Truncated { time, time_type, unit: (0, 1, 0), function: None, off_days })
                }
                // The same moment.
                DataType::Timestamp(..) => Truncated::of(expr, schema).filter(|of| of.function.is_some()),
                _ => None,
            },
            Expr::ScalarFunction(function) if function.func.name() == "date_trunc" => {
                let [unit, time] = &function.args[..] else { return None };
                let unit = unit.as_literal().and_then(|unit| unit.try_as_str().flatten()).and_then(length)?;
                let (time, time_type, off_days) = column(time, schema)?;
                Some(Truncated { time, time_type, unit, function: Some(function.clone()), off_days })
            }
            _ => None,
        }
    }

    /// What follows for the time from comparing it with a value.
    fn compared(&self, op: Operator, value: &Expr) -> Option<Expr> {
        if value.any_column_refs() || value.is_volatile() {
            return None;
        }
        let moment = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let value = cast(value.clone(), moment);
        let off = || interval((0, self.off_days, 0));
        let from = || self.time.clone().gt_eq(self.typed(value.clone() - off()));
        // A date's last day is in doubt; a time's next unit is not.
        let until = |end: Expr| {
            let end = self.typed(end + off());
            if self.time_type == DataType::Date32 { self.time.clone().lt_eq(end) } else { self.time.clone().lt(end) }
        };
        let next = || value.clone() + interval(self.unit);
        match op {
            Operator::Eq => Some(from().and(until(next()))),
            Operator::Gt | Operator::GtEq => Some(from()),
            Operator::LtEq => Some(until(next())),
            Operator::Lt => Some(until(match &self.function {
                None => value.clone(),
                // The unit's beginning, or the next one's where the value is none.
                Some(function) => {
                    let mut function = function.clone();
                    function.args[1] = next() - interval((0, 0, MICRO_NANOS));
                    cast(Expr::ScalarFunction(function), DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())))
                }
            })),
            _ => None,
        }
    }

    /// As the column's type, so that it is the column that is compared.
    fn typed(&self, value: Expr) -> Expr {
        cast(value, self.time_type.clone())
    }
}

/// A column of times, as it is or in another time zone, with its type, and by how many days it may be off.
fn column(expr: &Expr, schema: &DFSchema) -> Option<(Expr, DataType, i32)> {
    match expr {
        Expr::Alias(alias) => column(&alias.expr, schema),
        Expr::Column(_) => {
            let of = expr.get_type(schema).ok()?;
            matches!(of, DataType::Timestamp(..) | DataType::Date32).then(|| (expr.clone(), of, 0))
        }
        Expr::Cast(Cast { expr, field }) if matches!(field.data_type(), DataType::Timestamp(..)) => {
            let (inner, of, _) = column(expr, schema)?;
            let is_same = matches!(&of, DataType::Date32) || is_in_utc(field.data_type());
            Some((inner, of, if is_same { 0 } else { OFF_DAYS }))
        }
        _ => None,
    }
}

fn is_in_utc(of: &DataType) -> bool {
    matches!(of, DataType::Timestamp(_, zone) if zone.as_deref().is_none_or(|zone| zone == "UTC" || zone == "+00:00"))
}

/// Months, days and nanoseconds of a unit of `date_trunc`.
fn length(unit: &str) -> Option<(i32, i32, i64)> {
    Some(match unit.to_ascii_lowercase().as_str() {
        "second" => (0, 0, NANOS),
        "minute" => (0, 0, 60 * NANOS),
        "hour" => (0, 0, 3600 * NANOS),
        "day" => (0, 1, 0),
        "week" => (0, 7, 0),
        "month" => (1, 0, 0),
        "quarter" => (3, 0, 0),
        "year" => (12, 0, 0),
        _ => return None,
    })
}

fn interval((months, days, nanos): (i32, i32, i64)) -> Expr {
    lit(ScalarValue::IntervalMonthDayNano(Some(IntervalMonthDayNanoType::make_value(months, days, nanos))))
}
