//! Records ⇄ Arrow: the schema of every table follows from [`Table::columns`], the one source of truth.
//!
//! In: records. Out: record batches, whose texts are codes of a dictionary where they are many, and back. A batch that lacks a column (an older version's) gives nulls; one that
//! has a column of another but castable type is cast; a value outside a vocabulary is left at the record's default.

mod coded;
mod coding;
mod making;
mod once;
mod texts;

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Field as ArrowField, FieldRef, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType, UInt64Type,
};
use arrow::error::ArrowError;

use self::making::{Made, Making};
pub(super) use self::once::together;
pub(super) use self::texts::{longest, row_bytes};
use crate::clock::Timestamp;
use crate::record::{Column, FieldKind, Finding, Review, Session, Statement, Table, Text, Transaction, Value};

/// What [`schema`]'s columns mean changes with it. In the metadata of every Parquet file.
pub const SCHEMA_VERSION: u32 = 1;

/// Records that are encoded column by column at once: so many stay in a processor's cache until all their columns are through.
const BLOCK_RECORDS: usize = 256;
/// From so many records on, a batch has dictionaries, and what all of them have lies apart: of few, that would be more than what it saves.
const CODED_RECORDS_MIN: usize = 64;
/// Columns whose texts are different ones: hashes, above all.
const NEVER_CODED: [&str; 3] = ["literals", "subjects", "finding_id"];
/// Records of a batch of a commit, and the bytes of their texts: statements may share a long text, and each row has it again.
const BATCH_RECORDS_MAX: usize = 2_048;
const BATCH_TEXT_BYTES_MAX: usize = 1 << 20;
/// A record with more text is long: a batch has long ones or others, so that what a row takes on the average tells of each.
const LONG_TEXT_BYTES: usize = 8 << 10;

/// A table without the type of its records.
#[derive(Clone, Debug)]
pub struct TableInfo {
    /// Its name, and its folder's.
    pub name: &'static str,
    /// Its columns.
    pub schema: SchemaRef,
    /// The same, their texts as codes of a dictionary.
    pub coded: SchemaRef,
}

/// Every table of the log.
pub fn tables() -> &'static [TableInfo] {
    static TABLES: LazyLock<[TableInfo; 5]> = LazyLock::new(|| {
        [info::<Statement>(), info::<Transaction>(), info::<Session>(), info::<Finding>(), info::<Review>()]
    });
    &*TABLES
}

fn info<T: Table>() -> TableInfo {
    TableInfo { name: T::NAME, schema: schema::<T>(), coded: coded_schema::<T>() }
}

/// The Arrow schema of a table.
pub fn schema<T: Table>() -> SchemaRef {
    let fields: Vec<ArrowField> = T::columns()
        .iter()
        .map(|column| ArrowField::new(column.name, data_type(column.kind), column.nullable))
        .collect();
    Arc::new(Schema::new(fields))
}

fn coded_schema<T: Table>() -> SchemaRef {
    let (plain, columns) = (schema::<T>(), T::columns());
    let fields = plain.fields().iter().zip(columns);
    let coded = |(field, column): (&Arc<ArrowField>, &Column<T>)| match is_coded(column) {
        true => as_codes(field),
        false => ArrowField::clone(field),
    };
    Arc::new(Schema::new(fields.map(coded).collect::<Vec<_>>()))
}

fn is_coded<T>(column: &Column<T>) -> bool {
    !NEVER_CODED.contains(&column.name)
}

/// A column, its texts as codes of a dictionary.
pub(super) fn as_codes(field: &ArrowField) -> ArrowField {
    let codes = || DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let data_type = match field.data_type() {
        DataType::Utf8 => codes(),
        DataType::List(item) if *item.data_type() == DataType::Utf8 => {
            DataType::List(Arc::new(ArrowField::new(item.name(), codes(), item.is_nullable())))
        }
        other => other.clone(),
    };
    ArrowField::new(field.name(), data_type, field.is_nullable())
}

fn data_type(kind: FieldKind) -> DataType {
    let list = |item| DataType::List(Arc::new(ArrowField::new("item", item, true)));
    match kind {
        FieldKind::U64 => DataType::UInt64,
        FieldKind::Text => DataType::Utf8,
        FieldKind::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        FieldKind::Texts => list(DataType::Utf8),
        FieldKind::U64s => list(DataType::UInt64),
    }
}

/// Records in parts that are a batch each, long ones apart from others; a record with more text than that is one by itself.
pub fn parts<T: Table>(records: &[T]) -> impl Iterator<Item = &[T]> {
    let mut rest = records;
    std::iter::from_fn(move || {
        let (mut bytes, mut are_long) = (0, None);
        let fits = rest.iter().take(BATCH_RECORDS_MAX).take_while(|record| {
            let text = record.text_bytes();
            bytes += text;
            let is_long = text > LONG_TEXT_BYTES;
            bytes <= BATCH_TEXT_BYTES_MAX && *are_long.get_or_insert(is_long) == is_long
        });
        let (part, left) = rest.split_at_checked(fits.count().max(1))?;
        rest = left;
        Some(part)
    })
}

/// Records as one batch.
///
/// # Errors
/// More text than a batch can hold (2 GiB a column).
pub fn encode<T: Table>(records: &[T]) -> Result<RecordBatch, ArrowError> {
    let (once, each) = apart(records)?;
    together(Some(&once), &each, schema_of::<T>(records.len())?)
}

/// Records as two batches: what all of them have, as one row, its texts as texts; and what each has. A column that is null in every record is in
/// neither. `together` makes one of the two.
///
/// # Errors
/// As [`encode`].
pub fn apart<T: Table>(records: &[T]) -> Result<(RecordBatch, RecordBatch), ArrowError> {
    let coded = records.len() >= CODED_RECORDS_MIN;
    let making = |column| Making::new(column, records.len(), coded && is_coded(column));
    let mut columns: Vec<Making<'_, T>> = T::columns().iter().map(making).collect();
    for block in records.chunks(BLOCK_RECORDS) {
        columns.iter_mut().for_each(|column| column.extend(block));
    }
    let (plain, schema) = (schema_of::<T>(0)?, schema_of::<T>(records.len())?);
    let (mut once, mut each) = (Vec::new(), Vec::new());
    for (column, (plain, field)) in columns.into_iter().zip(plain.fields().iter().zip(schema.fields())) {
        match column.finish()? {
            Made::Null => {}
            Made::Once(row) => once.push((Arc::clone(plain), row)),
            Made::Each(rows) => each.push((Arc::clone(field), rows)),
        }
    }
    Ok((batch(once, 1)?, batch(each, records.len())?))
}

fn schema_of<T: Table>(records: usize) -> Result<&'static SchemaRef, ArrowError> {
    let table = tables().iter().find(|table| table.name == T::NAME);
    let table = table.ok_or_else(|| ArrowError::SchemaError(format!("there is no table {}", T::NAME)))?;
    Ok(if records >= CODED_RECORDS_MIN { &table.coded } else { &table.schema })
}

/// Rows that may have no column.
fn batch(columns: Vec<(FieldRef, ArrayRef)>, rows: usize) -> Result<RecordBatch, ArrowError> {
    let (fields, columns): (Vec<FieldRef>, Vec<ArrayRef>) = columns.into_iter().unzip();
    let rows = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &rows)
}

/// Records as the journal has them.
pub enum Part {
    /// Few of them.
    Whole(RecordBatch),
    /// As [`apart`] makes them.
    Apart(RecordBatch, RecordBatch),
}

impl Part {
    /// Of records.
    ///
    /// # Errors
    /// As [`encode`].
    pub fn of<T: Table>(records: &[T]) -> Result<Part, ArrowError> {
        match records.len() {
            ..CODED_RECORDS_MIN => encode(records).map(Part::Whole),
            _ => apart(records).map(|(once, each)| Part::Apart(once, each)),
        }
    }
}

/// A batch as records.
///
/// # Errors
/// A column's type is another and cannot be cast.
pub fn decode<T: Table>(batch: &RecordBatch) -> Result<Vec<T>, ArrowError> {
    let mut records = vec![T::default(); batch.num_rows()];
    for column in T::columns() {
        let array = batch.column_by_name(column.name);
        let has_all = array.is_some_and(|array| array.null_count() == 0) || batch.num_rows() == 0;
        if !(column.nullable || has_all) {
            return Err(ArrowError::SchemaError(format!("the column {} has to have a value in each row", column.name)));
        }
        let Some(array) = array else { continue };
        if coded::decode(column, array, &mut records) {
            continue;
        }
        match data_type(column.kind) {
            wanted if wanted == *array.data_type() => decode_column(column, array, &mut records),
            wanted => decode_column(column, &cast(array, &wanted)?, &mut records),
        }
    }
    Ok(records)
}

fn decode_column<T>(column: &Column<T>, array: &ArrayRef, records: &mut [T]) {
    let known = records.iter_mut().enumerate().filter(|(row, _)| array.is_valid(*row));
    match column.kind {
        FieldKind::U64 => {
            let array = array.as_primitive::<UInt64Type>();
            known.for_each(|(row, record)| {
                (column.set)(record, Value::U64(array.value(row)));
            });
        }
        FieldKind::Text => {
            let array = array.as_string::<i32>();
            known.for_each(|(row, record)| {
                (column.set)(record, Value::Text(array.value(row)));
            });
        }
        FieldKind::Timestamp => {
            let array = array.as_primitive::<TimestampMicrosecondType>();
            known.for_each(|(row, record)| {
                (column.set)(record, Value::Timestamp(Timestamp(array.value(row))));
            });
        }
        FieldKind::Texts => {
            let array = array.as_list::<i32>();
            known.for_each(|(row, record)| {
                let list = array.value(row);
                let texts: Vec<Text> = list.as_string::<i32>().iter().flatten().map(Text::from).collect();
                (column.set)(record, Value::Texts(&texts));
            });
        }
        FieldKind::U64s => {
            let array = array.as_list::<i32>();
            known.for_each(|(row, record)| {
                let list = array.value(row);
                (column.set)(record, Value::U64s(list.as_primitive::<UInt64Type>().values()));
            });
        }
    }
}

/// The same rows with exactly this schema's columns.
///
/// # Errors
/// A column's type cannot be cast.
pub fn conform(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    if batch.schema_ref().fields() == schema.fields() {
        return RecordBatch::try_new(Arc::clone(schema), batch.columns().to_vec());
    }
    together(None, batch, schema)
}

/// A batch's column of numbers, by name.
pub(super) fn numbers<'a>(batch: &'a RecordBatch, name: &str) -> Option<&'a [u64]> {
    Some(batch.column_by_name(name)?.as_primitive_opt::<UInt64Type>()?.values())
}

/// A batch's column of times, microseconds, by name.
pub fn times<'a>(batch: &'a RecordBatch, name: &str) -> Option<&'a [i64]> {
    Some(batch.column_by_name(name)?.as_primitive_opt::<TimestampMicrosecondType>()?.values())
}
