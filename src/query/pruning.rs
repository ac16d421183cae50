//! Which files of a table can hold a row that a question asks for, before any of them is opened.
//!
//! In: each file's day, and its first and last `at` where they are known; the question's conditions. Out: one bool a file. All a
//! file's `dt` are its day and all its `at` lie within it, because that is how the log is laid out; what a condition says of other
//! columns is not known here. A condition that cannot be judged keeps every file.

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
    let count = files.len();
    let Some(condition) = conjunction(filters.iter().cloned()) else { return Ok(vec![true; count]) };
    let condition = state.create_physical_expr(condition, &DFSchema::try_from(schema.as_ref().clone())?)?;
    match PruningPredicateBuilder::new().with_file_schema(Arc::clone(schema)).build(condition) {
        Some(predicate) => predicate.prune(&Spans(files)),
        None => Ok(vec![true; count]),
    }
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
