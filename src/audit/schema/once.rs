//! One row of columns in which all rows are the same → that many rows of them: most columns of most batches.
//!
//! In: a batch of one row that has those columns, their texts as texts, and a batch of the others; a column that is in neither is null in every
//! row. Out: a batch of all of them.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, DictionaryArray, Int32Array, ListArray, RecordBatch, RecordBatchOptions, UInt32Array,
    new_empty_array, new_null_array,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, Field, Int32Type, SchemaRef};
use arrow::error::ArrowError;

/// The rows of [`super::apart`] with exactly this schema's columns; null, where neither has one.
///
/// # Errors
/// A column's type cannot be cast.
pub fn together(once: Option<&RecordBatch>, each: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let rows = each.num_rows();
    let column = |field: &Arc<Field>| match each.column_by_name(field.name()) {
        Some(column) if column.data_type() == field.data_type() => Ok(Arc::clone(column)),
        Some(column) => cast(column, field.data_type()),
        None => match once.and_then(|once| once.column_by_name(field.name())) {
            Some(row) => repeated(row, rows, field.data_type()),
            None => Ok(new_null_array(field.data_type(), rows)),
        },
    };
    let columns = schema.fields().iter().map(column).collect::<Result<Vec<ArrayRef>, ArrowError>>()?;
    // So that there are as many where it has no column.
    let rows = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &rows)
}

/// So many rows of a column that has one, which is not null.
fn repeated(row: &ArrayRef, rows: usize, data_type: &DataType) -> Result<ArrayRef, ArrowError> {
    match data_type {
        // What each row is a code of is there already.
        DataType::Dictionary(_, text) if text.as_ref() == row.data_type() => {
            Ok(Arc::new(DictionaryArray::<Int32Type>::try_new(Int32Array::from(vec![0; rows]), Arc::clone(row))?))
        }
        DataType::List(item) if matches!(item.data_type(), DataType::Dictionary(..)) => {
            let items =
                row.as_list_opt::<i32>().map(|list| list.value(0)).unwrap_or_else(|| new_empty_array(&DataType::Utf8));
            let each = i32::try_from(items.len()).unwrap_or(i32::MAX);
            let codes: Int32Array = (0..rows).flat_map(|_| 0..each).collect::<Vec<_>>().into();
            let ends = OffsetBuffer::from_lengths((0..rows).map(|_| items.len()));
            let codes = Arc::new(DictionaryArray::<Int32Type>::try_new(codes, items)?);
            Ok(Arc::new(ListArray::try_new(Arc::clone(item), ends, codes, None)?))
        }
        _ => {
            let repeated = take(row, &UInt32Array::from(vec![0; rows]), None)?;
            if repeated.data_type() == data_type { Ok(repeated) } else { cast(&repeated, data_type) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{apart, conform, decode, encode, tables};
    use super::*;
    use crate::clock::Timestamp;
    use crate::record::{Kind, Statement, Text};

    fn texts(items: &[&str]) -> Option<Arc<[Text]>> {
        Some(items.iter().map(|item| Text::from(*item)).collect())
    }

    /// Some columns the same, some not, some null, some now and then; lists of all kinds.
    fn records(rows: usize) -> Vec<Statement> {
        let of = |number: usize| Statement {
            common: crate::record::Common { at: Timestamp(7), seq: number as u64, ..Default::default() },
            db_user: Some("clerk".into()),
            database: number.is_multiple_of(2).then(|| "shop".into()),
            application_name: Some(format!("worker {}", number % 3).into()),
            kind: Some(Kind::Select),
            relations: texts(&["shop.orders", "shop.customers", "shop.orders"]),
            columns: texts(&[]),
            functions: if number == rows - 1 { texts(&["lower"]) } else { texts(&[]) },
            derived: texts(if number.is_multiple_of(2) { &["a", "b"] } else { &["b", "a"] }),
            baits: if number == 0 { None } else { texts(&["x"]) },
            member_of: texts(if number == 5 { &["a"] } else { &["a", "b"] }),
            literals: texts(&["00ff"]),
            subjects: texts(&[]),
            rows_returned: Some(1),
            rows_affected: (number != 9).then_some(0),
            statement_no: 4,
            ..Statement::default()
        };
        (0..rows).map(of).collect()
    }

    #[test]
    fn what_was_taken_apart_is_the_same_again_coded_and_plain() {
        let table = &tables()[0];
        for rows in [1, 2, 63, 64, 300] {
            let records = records(rows);
            let batch = encode(&records).unwrap();
            let (once, each) = apart(&records).unwrap();
            for schema in [&table.coded, &table.schema] {
                let again = together(Some(&once), &each, schema).unwrap();
                assert_eq!(decode::<Statement>(&again).unwrap(), records, "{rows} rows");
                assert_eq!(conform(&again, &table.schema).unwrap(), conform(&batch, &table.schema).unwrap());
            }
            let names: SchemaRef = Arc::new(table.coded.project(&[0, 1, 7]).unwrap());
            let some = together(Some(&once), &each, &names).unwrap();
            assert_eq!(conform(&some, &names).unwrap(), conform(&batch, &names).unwrap(), "some columns of them");
        }
    }

    #[test]
    fn only_what_differs_has_a_row_for_each() {
        let (once, each) = apart(&records(300)).unwrap();
        let names = |batch: &RecordBatch| -> Vec<String> {
            batch.schema().fields().iter().map(|field| field.name().clone()).collect()
        };
        let varying =
            ["seq", "database", "application_name", "functions", "rows_affected", "derived", "baits", "member_of"];
        assert_eq!(names(&each), varying);
        assert_eq!((once.num_rows(), each.num_rows()), (1, 300));
        for known in [
            "writer",
            "at",
            "statement_no",
            "db_user",
            "kind",
            "relations",
            "columns",
            "rows_returned",
            "subjects",
            "literals",
        ] {
            assert!(names(&once).iter().any(|name| name == known), "{known}");
        }
        assert!(
            once.num_columns() + each.num_columns() < tables()[0].schema.fields().len(),
            "what is null throughout is in neither"
        );
    }
}
