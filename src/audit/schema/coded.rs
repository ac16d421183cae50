//! Columns whose texts are dictionaries → records that share them: a text that many rows have is made once.
//!
//! In: an Arrow column, and a record for each of its rows. Out: the records, filled; or that the column is none of these.

use std::collections::HashMap;

use ahash::RandomState;
use arrow::array::{Array, ArrayRef, AsArray, DictionaryArray, ListArray, StringArray};
use arrow::datatypes::{DataType, Int32Type};

use crate::record::{Column, FieldKind, Shared, Text, Texts};

/// Different lists that are kept while a column is read.
const LISTS_MAX: usize = 4_096;

/// Fills the column of all records; `false`, and nothing done, where its texts are no dictionary.
pub(super) fn decode<T>(column: &Column<T>, array: &ArrayRef, records: &mut [T]) -> bool {
    match (column.kind, array.data_type()) {
        (FieldKind::Text, DataType::Dictionary(..)) => {
            let Some(mut texts) = array.as_dictionary_opt::<Int32Type>().and_then(Dictionary::of) else { return false };
            for (row, record) in records.iter_mut().enumerate() {
                if let Some(text) = texts.text(row) {
                    (column.share)(record, Shared::Text(text));
                }
            }
            true
        }
        (FieldKind::Texts, DataType::List(_)) => {
            let Some(lists) = array.as_list_opt::<i32>() else { return false };
            let texts = lists.values().as_dictionary_opt::<Int32Type>().and_then(Dictionary::of);
            texts.map(|texts| decode_lists(column, lists, texts, records)).is_some()
        }
        _ => false,
    }
}

fn decode_lists<T>(column: &Column<T>, lists: &ListArray, mut texts: Dictionary<'_>, records: &mut [T]) {
    let keys = texts.array.keys().values();
    let has_nulls = texts.array.null_count() > 0;
    let mut made: HashMap<&[i32], Texts, RandomState> = HashMap::default();
    let places = lists.value_offsets().windows(2).map(|ends| match ends {
        [from, to] => usize::try_from(*from).unwrap_or(0)..usize::try_from(*to).unwrap_or(0),
        _ => 0..0,
    });
    for ((row, places), record) in places.enumerate().zip(records) {
        if lists.is_null(row) {
            continue;
        }
        let mut make = || places.clone().filter_map(|place| texts.text(place).cloned()).collect::<Texts>();
        let list = match keys.get(places.clone()).filter(|_| !has_nulls) {
            Some(of) => {
                if made.len() >= LISTS_MAX {
                    made.clear();
                }
                made.entry(of).or_insert_with(make)
            }
            None => &make(),
        };
        (column.share)(record, Shared::Texts(list));
    }
}

/// A dictionary's texts, made as they are asked for.
struct Dictionary<'a> {
    array: &'a DictionaryArray<Int32Type>,
    values: &'a StringArray,
    made: Vec<Option<Text>>,
}

impl<'a> Dictionary<'a> {
    fn of(array: &'a DictionaryArray<Int32Type>) -> Option<Dictionary<'a>> {
        let values = array.values().as_string_opt::<i32>()?;
        Some(Dictionary { array, values, made: vec![None; values.len()] })
    }

    /// That of a row.
    fn text(&mut self, row: usize) -> Option<&Text> {
        let place = self.array.key(row).filter(|place| self.values.is_valid(*place))?;
        let text = self.made.get_mut(place)?;
        Some(text.get_or_insert_with(|| self.values.value(place).into()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, AsArray, ListBuilder, RecordBatch, StringDictionaryBuilder};
    use arrow::compute::cast;
    use arrow::datatypes::{DataType, Int32Type};

    use super::super::{conform, decode, encode, schema};
    use crate::record::{Statement, Text};

    #[test]
    fn coded_columns_give_the_records_that_plain_ones_give() {
        let texts = |items: &[&str]| Some(items.iter().map(|item| Text::from(*item)).collect());
        let of = |user: Option<&str>, relations| Statement {
            db_user: user.map(Text::from),
            relations,
            kind: user.map(|_| crate::record::Kind::Select),
            ..Statement::default()
        };
        let records = [
            of(Some("clerk"), texts(&["shop.customers", "shop.orders"])),
            of(None, None),
            of(Some("clerk"), texts(&[])),
            of(Some(""), texts(&["shop.customers", "shop.orders"])),
            of(Some("clerk"), texts(&["shop.orders", "shop.customers"])),
        ];
        let plain = encode(&records).unwrap();
        let mut lists = ListBuilder::new(StringDictionaryBuilder::<Int32Type>::new());
        for record in &records {
            record.relations.iter().flat_map(|list| list.iter()).for_each(|item| lists.values().append_value(item));
            lists.append(record.relations.is_some());
        }
        let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        let columns = plain.schema_ref().fields().iter().zip(plain.columns()).filter_map(|(field, array)| {
            let coded = match field.data_type() {
                DataType::Utf8 => cast(array, &dictionary).unwrap(),
                _ if field.name() == "relations" => Arc::new(lists.finish()) as ArrayRef,
                _ => Arc::clone(array),
            };
            (field.name() != "query").then_some((field.name(), coded, true))
        });
        let coded = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
        assert_eq!(decode::<Statement>(&coded).unwrap(), records);
        let tail = coded.slice(2, 3);
        let tail = decode::<Statement>(&tail).unwrap();
        assert_eq!(tail, records[2..], "a part of a column is one, too");
        let lists: Vec<_> = [&tail[0], &tail[1]].map(|record| record.db_user.clone().unwrap()).into();
        assert!(!Arc::ptr_eq(&lists[0], &lists[1]) && Arc::ptr_eq(&lists[0], tail[2].db_user.as_ref().unwrap()));
        assert!(schema::<Statement>().fields().len() > coded.num_columns(), "what is missing is null");
    }

    #[test]
    fn many_records_are_coded_and_the_same_either_way() {
        let texts = |items: &[String]| Some(items.iter().map(|item| Text::from(&**item)).collect());
        let of = |number: usize| Statement {
            db_user: (number % 3 != 1).then(|| format!("user{}", number % 5).into()),
            relations: (number % 7 != 3).then(|| texts(&vec!["shop.orders".to_owned(); number % 4])).flatten(),
            literals: texts(&[format!("{number:032x}")]),
            kind: Some(crate::record::Kind::Select),
            statement_no: number as u64,
            ..Statement::default()
        };
        let records: Vec<Statement> = (0..super::super::CODED_RECORDS_MIN + 9).map(of).collect();
        let coded = encode(&records).unwrap();
        let of_table = super::super::tables().iter().find(|table| table.name == "statements").unwrap();
        assert_eq!(coded.schema(), of_table.coded);
        assert_eq!(coded.column_by_name("db_user").unwrap().as_dictionary::<Int32Type>().values().len(), 5);
        assert!(
            matches!(coded.column_by_name("literals").unwrap().data_type(), DataType::List(item) if *item.data_type() == DataType::Utf8)
        );
        let plain = conform(&coded, &of_table.schema).unwrap();
        assert_eq!(decode::<Statement>(&coded).unwrap(), records);
        assert_eq!(decode::<Statement>(&plain).unwrap(), records);
        assert_eq!(decode::<Statement>(&conform(&plain, &of_table.coded).unwrap()).unwrap(), records);
    }
}
