//! Which files of a table can hold a row that a question asks for, before any of them is opened.
//!
//! In: each file's day, and its first and last `at` where they are known; the question's conditions. Out: one bool a file. All a
//! file's `dt` are its day and all its `at` lie within it, because that is how the log is laid out; what a condition says of other
//! columns is not known here. A condition that cannot be judged keeps every file.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Date32Array, RecordBatch, TimestampMicrosecondArray, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::Session;
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::utils::conjunction;
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;

const DAY_US: i64 = 86_400_000_000;
/// The partition's column.
const DAY: &str = "dt";
/// Parts of a time that its day has.
pub const PARTS_OF_DAY: [&str; 8] = ["year", "isoyear", "quarter", "month", "week", "day", "doy", "dow"];

/// What is known of a file's rows before it is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Their `dt`: days since 1970-01-01.
    pub day: i32,
    /// Their first and last `at`, microseconds.
    pub at: (i64, i64),
}

impl Span {
    /// All that the day tells.
    pub fn of_day(day: i32) -> Span {
        let begins = i64::from(day).saturating_mul(DAY_US);
        Span { day, at: (begins, begins.saturating_add(DAY_US - 1)) }
    }
}

struct Spans(Vec<Span>);

/// For each file, whether a row of it can meet all the conditions.
///
/// # Errors
/// A condition names a column that is not there.
pub fn keep(state: &dyn Session, schema: &SchemaRef, filters: &[Expr], files: Vec<Span>) -> Result<Vec<bool>> {
    let mut keep = of_days(state, filters, &files)?;
    let Some(condition) = conjunction(filters.iter().cloned()) else { return Ok(keep) };
    let condition = state.create_physical_expr(condition, &DFSchema::try_from(schema.as_ref().clone())?)?;
    if let Some(predicate) = PruningPredicateBuilder::new().with_file_schema(Arc::clone(schema)).build(condition) {
        let in_range = predicate.prune(&Spans(files))?;
        keep.iter_mut().zip(in_range).for_each(|(keep, in_range)| *keep &= in_range);
    }
    Ok(keep)
}

/// The same by conditions on nothing but the day, such as `extract(month from at) = 11`: each day is put into them.
fn of_days(state: &dyn Session, filters: &[Expr], files: &[Span]) -> Result<Vec<bool>> {
    let mut keep = vec![true; files.len()];
    let schema = Arc::new(Schema::new(vec![Field::new(DAY, DataType::Date32, false)]));
    let days: ArrayRef = Arc::new(Date32Array::from_iter_values(files.iter().map(|span| span.day)));
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![days])?;
    for filter in filters {
        let Some(of_day) = told_of_the_day(filter)? else { continue };
        let condition = state.create_physical_expr(of_day, &DFSchema::try_from(schema.as_ref().clone())?)?;
        let answers = condition.evaluate(&batch)?.into_array(files.len())?;
        let Some(answers) = answers.as_boolean_opt() else { continue };
        keep.iter_mut().zip(answers).for_each(|(keep, answer)| *keep &= answer.unwrap_or(false));
    }
    Ok(keep)
}

/// A condition on parts of `at` that its day has, as one on the day; `None` where it speaks of anything else.
fn told_of_the_day(filter: &Expr) -> Result<Option<Expr>> {
    let told = filter.clone().transform_down(|expr| match &expr {
        Expr::ScalarFunction(function) if function.func.name() == "date_part" && is_of_day(&function.args) => {
            let mut function = function.clone();
            function.args[1] = Expr::Column(Column::new_unqualified(DAY));
            Ok(Transformed::new(Expr::ScalarFunction(function), true, TreeNodeRecursion::Jump))
        }
        Expr::Column(column) if column.name == DAY => Ok(Transformed::yes(Expr::Column(Column::new_unqualified(DAY)))),
        _ => Ok(Transformed::no(expr)),
    })?;
    let mut columns = told.data.column_refs().into_iter();
    let is_of_day = columns.len() > 0 && columns.all(|column| column.name == DAY);
    Ok((is_of_day && !told.data.is_volatile()).then_some(told.data))
}

/// Whether the arguments of `date_part` are a part that all moments of a day (UTC) share, and `at` as it is.
fn is_of_day(arguments: &[Expr]) -> bool {
    let [part, Expr::Column(column)] = arguments else { return false };
    let part = part.as_literal().and_then(|part| part.try_as_str().flatten()).map(str::to_ascii_lowercase);
    column.name == "at" && part.is_some_and(|part| PARTS_OF_DAY.contains(&part.as_str()))
}

/// Whether a condition speaks of `at`.
pub fn speak_of_at(filters: &[Expr]) -> bool {
    filters.iter().any(|filter| filter.column_refs().iter().any(|column| column.name == "at"))
}

impl Spans {
    fn at(&self, of: fn(&Span) -> i64) -> ArrayRef {
        Arc::new(TimestampMicrosecondArray::from_iter_values(self.0.iter().map(of)).with_timezone("UTC"))
    }

    fn dt(&self) -> ArrayRef {
        Arc::new(Date32Array::from_iter_values(self.0.iter().map(|span| span.day)))
    }
}

impl PruningStatistics for Spans {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        match column.name.as_str() {
            "dt" => Some(self.dt()),
            "at" => Some(self.at(|span| span.at.0)),
            _ => None,
        }
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        match column.name.as_str() {
            "dt" => Some(self.dt()),
            "at" => Some(self.at(|span| span.at.1)),
            _ => None,
        }
    }

    fn num_containers(&self) -> usize {
        self.0.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        let never_null = matches!(column.name.as_str(), "dt" | "at");
        never_null.then(|| Arc::new(UInt64Array::from_value(0, self.0.len())) as ArrayRef)
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        None
    }

    fn contained(&self, _column: &Column, _values: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}
