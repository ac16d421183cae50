//! Which files of a table can hold a row that a question asks for, before any of them is opened.
//!
//! In: each file's day, and the question's conditions. Out: one bool a file. All a file's `dt` are its day and all its
//! `at` lie within it, because that is how the log is laid out; what a condition says of other columns is not known here.
//! A condition that cannot be judged keeps every file.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Date32Array, TimestampMicrosecondArray, UInt64Array};
use arrow::datatypes::SchemaRef;
use datafusion::catalog::Session;
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::utils::conjunction;
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;

const DAY_US: i64 = 86_400_000_000;

/// The days of a table's files, since 1970-01-01.
struct Days(Vec<i32>);

/// For each day, whether a row of it can meet all the conditions.
///
/// # Errors
/// A condition names a column that is not there.
pub fn keep(state: &dyn Session, schema: &SchemaRef, filters: &[Expr], days: Vec<i32>) -> Result<Vec<bool>> {
    let count = days.len();
    let Some(condition) = conjunction(filters.iter().cloned()) else { return Ok(vec![true; count]) };
    let condition = state.create_physical_expr(condition, &DFSchema::try_from(schema.as_ref().clone())?)?;
    match PruningPredicateBuilder::new().with_file_schema(Arc::clone(schema)).build(condition) {
        Some(predicate) => predicate.prune(&Days(days)),
        None => Ok(vec![true; count]),
    }
}

impl Days {
    fn at(&self, offset_us: i64) -> ArrayRef {
        let times = self.0.iter().map(|day| i64::from(*day).saturating_mul(DAY_US).saturating_add(offset_us));
        Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC"))
    }

    fn dt(&self) -> ArrayRef {
        Arc::new(Date32Array::from(self.0.clone()))
    }
}

impl PruningStatistics for Days {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        match column.name.as_str() {
            "dt" => Some(self.dt()),
            "at" => Some(self.at(0)),
            _ => None,
        }
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        match column.name.as_str() {
            "dt" => Some(self.dt()),
            "at" => Some(self.at(DAY_US - 1)),
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
