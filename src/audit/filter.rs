//! Which rows of a piece are wanted, by some of their columns: the others are not read of the rest.
//!
//! In: names of columns, and what is asked of a batch of them, texts as dictionaries. Out: one answer a row. A column that a piece lacks is
//! null in all its rows.

use std::fmt::{self, Debug, Formatter};
use std::sync::Arc;

use ::parquet::arrow::ProjectionMask;
use ::parquet::arrow::arrow_reader::{ArrowPredicate, ArrowPredicateFn};
use ::parquet::schema::types::SchemaDescriptor;
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, ListArray, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Int32Type, SchemaRef};
use arrow::error::ArrowError;

use super::schema;

/// What is asked of a batch.
type Ask = dyn Fn(&RecordBatch) -> BooleanBuffer + Send + Sync;

/// See the module.
#[derive(Clone)]
pub struct Filter {
    columns: Vec<&'static str>,
    ask: Arc<Ask>,
}

impl Filter {
    /// Rows are wanted of which `ask` says so; it is shown these columns.
    pub fn of(columns: &[&'static str], ask: impl Fn(&RecordBatch) -> BooleanBuffer + Send + Sync + 'static) -> Filter {
        Filter { columns: columns.to_vec(), ask: Arc::new(ask) }
    }

    /// Whether it looks at a column.
    pub(super) fn looks_at(&self, column: &str) -> bool {
        self.columns.contains(&column)
    }

    /// The rows that are wanted of a batch. `columns`: as they are shown.
    pub(super) fn rows(&self, batch: &RecordBatch, columns: &SchemaRef) -> Result<BooleanArray, ArrowError> {
        Ok(BooleanArray::new((self.ask)(&schema::conform(batch, columns)?), None))
    }

    /// A batch without the rows that are not wanted.
    pub(super) fn apply(&self, batch: &RecordBatch, columns: &SchemaRef) -> Result<RecordBatch, ArrowError> {
        filter_record_batch(batch, &self.rows(batch, columns)?)
    }

    /// For a reader of files with this schema, whose roots are these.
    pub(super) fn predicate(
        &self,
        (file, roots): (&SchemaDescriptor, Vec<usize>),
        columns: SchemaRef,
    ) -> Box<dyn ArrowPredicate> {
        let filter = self.clone();
        let ask = move |batch: RecordBatch| filter.rows(&batch, &columns);
        Box::new(ArrowPredicateFn::new(ProjectionMask::roots(file, roots), ask))
    }
}

impl Debug for Filter {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Filter").field(&self.columns).finish()
    }
}

/// A column of lists of texts, as a filter is shown it.
pub struct Lists<'a>(Option<&'a ListArray>);

impl<'a> Lists<'a> {
    /// That of a batch.
    pub fn of(batch: &'a RecordBatch, column: &str) -> Lists<'a> {
        Lists(batch.column_by_name(column).and_then(|array: &ArrayRef| array.as_list_opt()))
    }

    /// How many texts a row has; none where it has no list.
    pub fn length(&self, row: usize) -> u64 {
        let length = self.0.filter(|lists| lists.is_valid(row)).map_or(0, |lists| lists.value_length(row));
        u64::try_from(length).unwrap_or(0)
    }

    /// The rows of a batch of so many in whose list is any of these texts.
    pub fn that_have(&self, texts: &[impl AsRef<str>], rows: usize) -> BooleanBuffer {
        let none = || BooleanBuffer::new_unset(rows);
        let Some(lists) = self.0 else { return none() };
        let Some(items) = lists.values().as_dictionary_opt::<Int32Type>() else { return none() };
        let Some(known) = items.values().as_string_opt::<i32>() else { return none() };
        let is_one = |text: Option<&str>| text.is_some_and(|text| texts.iter().any(|one| one.as_ref() == text));
        let wanted: Vec<bool> = known.iter().map(is_one).collect();
        if !wanted.contains(&true) {
            return none();
        }
        let (keys, ends) = (items.keys(), lists.value_offsets());
        let has =
            |item: usize| items.is_valid(item) && wanted.get(place(keys.value(item))).is_some_and(|wanted| *wanted);
        let any = |row: usize| match ends.get(row..) {
            Some([from, to, ..]) => lists.is_valid(row) && (place(*from)..place(*to)).any(has),
            _ => false,
        };
        BooleanBuffer::collect_bool(rows, any)
    }
}

fn place(number: i32) -> usize {
    usize::try_from(number).unwrap_or(0)
}
