//! One column of a batch, from the records' values in order.
//!
//! In: a column, and records, a block at a time. Out: its Arrow array; or one row, where all are the same, as they are in most columns of most
//! batches: as long as they are, they are counted, and nothing is written.

use std::ptr;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ListArray, ListBuilder, StringBuilder, TimestampMicrosecondBuilder, UInt64Builder,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::Field as ArrowField;
use arrow::error::ArrowError;

use super::coding::Coding;
use crate::record::{Column, FieldKind, Value};

/// A column in the making.
pub(super) struct Making<'v, T: 'static> {
    column: &'static Column<T>,
    /// How many rows there will be.
    rows: usize,
    /// Whether its texts are codes of a dictionary.
    coded: bool,
    so_far: SoFar<'v>,
}

enum SoFar<'v> {
    /// What all rows have, and how many there are.
    Alike(Value<'v>, usize),
    Varied(Box<Builder<'v>>),
}

/// A column that is made.
pub(super) enum Made {
    /// Null in every row.
    Null,
    /// What all rows have, as one row, its texts as texts.
    Once(ArrayRef),
    /// What each has.
    Each(ArrayRef),
}

impl<'v, T> Making<'v, T> {
    /// Nothing yet, and room for so many rows.
    pub(super) fn new(column: &'static Column<T>, rows: usize, coded: bool) -> Making<'v, T> {
        Making { column, rows, coded, so_far: SoFar::Alike(Value::Null, 0) }
    }

    /// The next rows.
    pub(super) fn extend(&mut self, block: &'v [T]) {
        let get = self.column.get;
        let values = || block.iter().map(get);
        if let SoFar::Alike(value, rows) = &mut self.so_far {
            if let (0, Some(first)) = (*rows, values().next()) {
                *value = first;
            }
            let alike = alike(*value, values());
            *rows += alike;
            if alike == block.len() {
                return;
            }
            let mut builder = Builder::new(self.column.kind, self.rows, self.coded);
            builder.extend(std::iter::repeat_n(*value, *rows));
            builder.extend(values().skip(alike));
            self.so_far = SoFar::Varied(Box::new(builder));
        } else if let SoFar::Varied(builder) = &mut self.so_far {
            builder.extend(values());
        }
    }

    /// All of them.
    pub(super) fn finish(self) -> Result<Made, ArrowError> {
        match self.so_far {
            SoFar::Varied(builder) => builder.finish().map(Made::Each),
            SoFar::Alike(Value::Null, _) => Ok(Made::Null),
            SoFar::Alike(value, _) => {
                let mut one = Builder::new(self.column.kind, 1, false);
                one.extend(std::iter::once(value));
                one.finish().map(Made::Once)
            }
        }
    }
}

/// How many of the first values are this one. Texts that lie in one place need not be read.
fn alike<'v>(value: Value<'v>, others: impl Iterator<Item = Value<'v>>) -> usize {
    // A loop for each kind: it is gone through for most columns of all records.
    match value {
        Value::Null => others.take_while(|other| matches!(other, Value::Null)).count(),
        Value::U64(one) => others.take_while(|other| matches!(other, Value::U64(other) if *other == one)).count(),
        Value::Text(one) => others
            .take_while(|other| matches!(other, Value::Text(other) if ptr::eq(*other, one) || *other == one))
            .count(),
        Value::Texts(one) => others
            .take_while(|other| matches!(other, Value::Texts(other) if ptr::eq(*other, one) || *other == one))
            .count(),
        one => others.take_while(|other| *other == one).count(),
    }
}

/// A column whose rows are not all the same.
enum Builder<'v> {
    U64(UInt64Builder),
    Text(StringBuilder),
    Coded(Coding<'v>),
    Timestamp(TimestampMicrosecondBuilder),
    Texts(ListBuilder<StringBuilder>),
    /// How many each row has, `None` where it has no list; and all of them.
    CodedLists(Vec<Option<usize>>, Coding<'v>),
    U64s(ListBuilder<UInt64Builder>),
}

impl<'v> Builder<'v> {
    fn new(kind: FieldKind, rows: usize, coded: bool) -> Builder<'v> {
        match kind {
            FieldKind::Text if coded => Builder::Coded(Coding::with_capacity(rows)),
            FieldKind::Texts if coded => Builder::CodedLists(Vec::with_capacity(rows), Coding::with_capacity(rows)),
            FieldKind::U64 => Builder::U64(UInt64Builder::with_capacity(rows)),
            FieldKind::Text => Builder::Text(StringBuilder::with_capacity(rows, 0)),
            FieldKind::Timestamp => {
                Builder::Timestamp(TimestampMicrosecondBuilder::with_capacity(rows).with_timezone("UTC"))
            }
            FieldKind::Texts => Builder::Texts(ListBuilder::with_capacity(StringBuilder::new(), rows)),
            FieldKind::U64s => Builder::U64s(ListBuilder::with_capacity(UInt64Builder::new(), rows)),
        }
    }

    fn extend(&mut self, values: impl Iterator<Item = Value<'v>>) {
        match self {
            Builder::U64(builder) => {
                values.for_each(|value| builder.append_option(if let Value::U64(n) = value { Some(n) } else { None }));
            }
            Builder::Text(builder) => values.for_each(|value| {
                builder.append_option(if let Value::Text(text) = value { Some(text) } else { None });
            }),
            Builder::Coded(coding) => values.for_each(|value| {
                coding.append(if let Value::Text(text) = value { Some(text) } else { None });
            }),
            Builder::CodedLists(lengths, coding) => values.for_each(|value| {
                let Value::Texts(texts) = value else { return lengths.push(None) };
                texts.iter().for_each(|text| coding.append(Some(text)));
                lengths.push(Some(texts.len()));
            }),
            Builder::Timestamp(builder) => values.for_each(|value| {
                builder.append_option(if let Value::Timestamp(t) = value { Some(t.0) } else { None });
            }),
            Builder::Texts(builder) => values.for_each(|value| {
                let Value::Texts(texts) = value else { return builder.append_null() };
                texts.iter().for_each(|text| builder.values().append_value(text));
                builder.append(true);
            }),
            Builder::U64s(builder) => values.for_each(|value| {
                let Value::U64s(numbers) = value else { return builder.append_null() };
                builder.values().append_slice(numbers);
                builder.append(true);
            }),
        }
    }

    fn finish(self) -> Result<ArrayRef, ArrowError> {
        Ok(match self {
            Builder::Coded(coding) => coding.finish(),
            Builder::CodedLists(lengths, coding) => {
                let ends = OffsetBuffer::from_lengths(lengths.iter().map(|length| length.unwrap_or(0)));
                let known: NullBuffer = lengths.iter().map(Option::is_some).collect();
                let items = coding.finish();
                let item = Arc::new(ArrowField::new("item", items.data_type().clone(), true));
                Arc::new(ListArray::try_new(item, ends, items, Some(known))?)
            }
            Builder::U64(mut builder) => Arc::new(builder.finish()),
            Builder::Text(mut builder) => Arc::new(builder.finish()),
            Builder::Timestamp(mut builder) => Arc::new(builder.finish()),
            Builder::Texts(mut builder) => Arc::new(builder.finish()),
            Builder::U64s(mut builder) => Arc::new(builder.finish()),
        })
    }
}
