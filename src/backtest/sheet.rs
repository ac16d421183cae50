//! A batch of the log, of which terms are asked column by column.
//!
//! In: a batch, the class of each of its rows, and terms. Out: the rows of which a term is what it is wanted to be. A column of numbers is asked
//! whole; of a column of texts each different one, and only those that are in rows that matter.

use std::collections::HashMap;
use std::sync::Arc;

use ahash::RandomState;
use arrow::array::{Array, ArrayRef, AsArray, BooleanBufferBuilder, RecordBatch, Scalar, UInt64Array};
use arrow::buffer::BooleanBuffer;
use arrow::compute::kernels::cmp;
use arrow::datatypes::UInt64Type;

use super::codes::{Codes, with_value};
use super::screen::Wanted;
use crate::policy::condition::{Comparison, Term, Tri};
use crate::record::Statement;

/// See the module.
pub(super) struct Sheet<'b> {
    batch: &'b RecordBatch,
    classes: Codes,
    /// The rows of classes that were asked for, and of comparisons.
    of_classes: HashMap<Vec<bool>, BooleanBuffer, RandomState>,
    compared: HashMap<(&'static str, Comparison, u64), Option<BooleanBuffer>, RandomState>,
    /// The codes of columns that were asked for.
    codes: HashMap<&'static str, Arc<Codes>, RandomState>,
    scratch: Statement,
}

impl<'b> Sheet<'b> {
    /// A batch of which nothing has been asked.
    pub(super) fn new(batch: &'b RecordBatch, classes: Codes) -> Sheet<'b> {
        Sheet {
            batch,
            classes,
            of_classes: HashMap::default(),
            compared: HashMap::default(),
            codes: HashMap::default(),
            scratch: Statement::default(),
        }
    }

    /// The rows of these classes; `None` where it is none.
    pub(super) fn of_classes(&mut self, which: Vec<bool>) -> Option<BooleanBuffer> {
        if !which.contains(&true) {
            return None;
        }
        let (rows, of_row) = (self.batch.num_rows(), &self.classes.of_row);
        let found = self.of_classes.entry(which).or_insert_with_key(|which| {
            let is_of = |class: u32| which.get(class as usize).copied().unwrap_or(false);
            BooleanBuffer::collect_bool(rows, |row| of_row.get(row).is_some_and(|class| is_of(*class)))
        });
        Some(found.clone())
    }

    /// Of these rows, those of which the term is what is wanted. It has one column; where the batch lacks that, no row is ruled out.
    pub(super) fn narrow(&mut self, rows: BooleanBuffer, term: &Term<Statement>, wanted: Wanted) -> BooleanBuffer {
        let Some(column) = term.only_column() else { return rows };
        let Some(array) = self.batch.column_by_name(column.name) else { return rows };
        match (array.as_primitive_opt::<UInt64Type>(), term.comparison()) {
            (Some(numbers), Some((comparison, constant))) => {
                let key = (column.name, comparison, constant);
                let is_true = self.compared.entry(key).or_insert_with(|| compare(numbers, comparison, constant));
                match (is_true, wanted) {
                    (Some(is_true), Wanted::True) => &rows & &*is_true,
                    (Some(is_true), Wanted::NotTrue) => &rows & &!&*is_true,
                    (None, _) => rows,
                }
            }
            (Some(_), None) => self.ask_each(&rows, term, wanted, array, None),
            (None, _) => {
                let codes = self.codes.entry(column.name).or_insert_with(|| Arc::new(Codes::of(array)));
                let codes = Arc::clone(codes);
                self.ask_each(&rows, term, wanted, array, Some(&codes))
            }
        }
    }

    /// Asks row by row; of rows with the same code, one.
    fn ask_each(
        &mut self,
        rows: &BooleanBuffer,
        term: &Term<Statement>,
        wanted: Wanted,
        array: &ArrayRef,
        codes: Option<&Codes>,
    ) -> BooleanBuffer {
        let scratch = &mut self.scratch;
        let mut ask = |row: usize| {
            let answer = with_value(array, row, |value| term.of_value(scratch, value));
            (answer == Tri::True) == (wanted == Wanted::True)
        };
        let mut answers: Vec<Option<bool>> = vec![None; codes.map_or(0, |codes| codes.count)];
        let mut found = BooleanBufferBuilder::new(rows.len());
        found.append_n(rows.len(), false);
        for row in rows.set_indices() {
            let code = codes.and_then(|codes| codes.of_row.get(row));
            let is_wanted = match code.and_then(|code| answers.get_mut(*code as usize)) {
                Some(answer) => *answer.get_or_insert_with(|| ask(row)),
                None => ask(row),
            };
            if is_wanted {
                found.set_bit(row, true);
            }
        }
        found.finish()
    }
}

/// The rows of which the comparison is TRUE; `None` where that cannot be said, which no comparison of numbers does.
fn compare(numbers: &UInt64Array, comparison: Comparison, constant: u64) -> Option<BooleanBuffer> {
    let constant = Scalar::new(UInt64Array::from_value(constant, 1));
    let compare = match comparison {
        Comparison::Equal => cmp::eq,
        Comparison::NotEqual => cmp::neq,
        Comparison::Less => cmp::lt,
        Comparison::LessOrEqual => cmp::lt_eq,
        Comparison::Greater => cmp::gt,
        Comparison::GreaterOrEqual => cmp::gt_eq,
    };
    let answers = compare(numbers, &constant).ok()?;
    Some(match answers.nulls() {
        Some(known) => answers.values() & known.inner(),
        None => answers.values().clone(),
    })
}
