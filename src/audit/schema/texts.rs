//! How much text stands in each row of an Arrow column, as a reader of the row has it.
//!
//! In: a column. Out: bytes, row by row, or at most; a text that many rows share counts in each of them. Of columns without text, nothing.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Int32Type};

/// Bytes of each row's texts; `None` for a column that has none.
pub(in crate::audit) fn row_bytes(column: &ArrayRef) -> Option<Vec<usize>> {
    match column.data_type() {
        DataType::Utf8 => Some(lengths(column.as_string::<i32>().value_offsets())),
        DataType::Dictionary(..) => {
            let codes = column.as_dictionary_opt::<Int32Type>()?;
            let texts = lengths(codes.values().as_string_opt::<i32>()?.value_offsets());
            let of = |code: Option<i32>| code.and_then(|code| texts.get(usize::try_from(code).ok()?));
            Some(codes.keys().iter().map(|code| of(code).copied().unwrap_or(0)).collect())
        }
        DataType::List(_) => {
            let list = column.as_list::<i32>();
            let items = row_bytes(list.values())?;
            let of = |from: i32, to: i32| items.get(usize::try_from(from).ok()?..usize::try_from(to).ok()?);
            let rows = list.value_offsets().windows(2);
            Some(rows.map(|ends| of(ends[0], ends[1]).unwrap_or_default().iter().sum()).collect())
        }
        _ => None,
    }
}

/// No row of a column has more text, bytes: without a look at each, where texts are codes.
pub(in crate::audit) fn longest(column: &ArrayRef) -> usize {
    let most = |ends: &[i32]| ends.windows(2).map(|ends| ends[1].abs_diff(ends[0]) as usize).max().unwrap_or(0);
    match column.data_type() {
        DataType::Utf8 => most(column.as_string::<i32>().value_offsets()),
        DataType::Dictionary(..) => column.as_dictionary_opt::<Int32Type>().map_or(0, |codes| longest(codes.values())),
        DataType::List(_) => {
            let list = column.as_list::<i32>();
            most(list.value_offsets()).saturating_mul(longest(list.values()))
        }
        _ => 0,
    }
}

fn lengths(ends: &[i32]) -> Vec<usize> {
    ends.windows(2).map(|ends| ends[1].abs_diff(ends[0]) as usize).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{encode, schema, tables};
    use super::*;
    use crate::record::{Statement, Text};

    #[test]
    fn a_rows_text_counts_in_each_row_that_has_it_however_it_is_kept() {
        let of = |number: usize| Statement {
            query: (number != 1).then(|| "x".repeat(number % 3 * 100).into()),
            relations: (number != 2).then(|| vec![Text::from("shop.orders"); number % 4].into()),
            literals: Some([Text::from("four")].into()),
            ..Statement::default()
        };
        let records: Vec<Statement> = (0..100).map(of).collect();
        let coded = encode(&records).unwrap();
        assert!(coded.schema() == tables()[0].coded);
        let plain = super::super::conform(&coded, &schema::<Statement>()).unwrap();
        for batch in [&coded, &plain, &coded.slice(0, 100)] {
            let bytes = |name: &str| row_bytes(batch.column_by_name(name).unwrap());
            assert_eq!(bytes("query").unwrap()[..6], [0, 0, 200, 0, 100, 200]);
            assert_eq!(bytes("relations").unwrap()[..6], [0, 11, 0, 33, 0, 11]);
            assert_eq!(bytes("literals").unwrap()[..3], [4, 4, 4]);
            assert_eq!(bytes("seq"), None);
            for column in batch.columns() {
                let most = row_bytes(column).and_then(|rows| rows.into_iter().max()).unwrap_or(0);
                assert_eq!(longest(column), most);
            }
        }
        assert_eq!(row_bytes(&coded.column_by_name("query").unwrap().slice(4, 2)).unwrap(), [100, 200]);
        assert_eq!(row_bytes(&plain.column_by_name("relations").unwrap().slice(3, 2)).unwrap(), [33, 0]);
    }
}
