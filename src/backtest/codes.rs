//! Columns of many records as codes: rows with the same code have the same value.
//!
//! In: an Arrow column, texts as dictionaries. Out: a number for each row, the same only where the value is. What is judged of a column's
//! value is judged once a code.

use std::collections::HashMap;

use ahash::RandomState;
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{ArrowNativeType, DataType, Int32Type, TimestampMicrosecondType, UInt64Type};

use crate::clock::Timestamp;
use crate::record::{Text, Value};

/// Two columns' codes are joined by a table while it has no more places than this, or than four a row.
const PLACES_MAX: usize = 1 << 16;

/// The codes of one column, or of several together.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Codes {
    /// Of each row.
    pub of_row: Vec<u32>,
    /// All are below this.
    pub count: usize,
}

impl Codes {
    /// The codes of a column.
    pub fn of(array: &ArrayRef) -> Codes {
        match array.data_type() {
            DataType::Dictionary(..) => match array.as_dictionary_opt::<Int32Type>() {
                Some(texts) => {
                    let keys = texts.keys();
                    let known = |row: usize| keys.is_valid(row);
                    let codes = keys.values().iter().enumerate();
                    let of_row = codes.map(|(row, key)| if known(row) { code(*key) } else { 0 }).collect();
                    Codes { of_row, count: texts.values().len().saturating_add(1) }
                }
                None => Codes::each(array.len()),
            },
            DataType::List(_) => Codes { of_row: vec![0; array.len()], count: 1 }.with_lists(array),
            DataType::UInt64 => {
                let numbers = array.as_primitive::<UInt64Type>();
                Codes::by((0..array.len()).map(|row| numbers.is_valid(row).then(|| numbers.value(row))))
            }
            _ => Codes::each(array.len()),
        }
    }

    /// A code for each row, as if all were different.
    fn each(rows: usize) -> Codes {
        Codes { of_row: (0..u32::try_from(rows).unwrap_or(u32::MAX)).collect(), count: rows }
    }

    fn by<K: std::hash::Hash + Eq>(keys: impl Iterator<Item = K>) -> Codes {
        let mut known: HashMap<K, u32, RandomState> = HashMap::default();
        let of_row = keys.map(|key| {
            let next = u32::try_from(known.len()).unwrap_or(u32::MAX);
            *known.entry(key).or_insert(next)
        });
        let of_row = of_row.collect();
        Codes { of_row, count: known.len() }
    }

    /// These, and lists of texts by what is in them. Where rows with the same code have the same list, as a rule, that is quick.
    pub fn with_lists(self, lists: &ArrayRef) -> Codes {
        let coded = lists
            .as_list_opt::<i32>()
            .and_then(|lists| Some((lists, lists.values().as_dictionary_opt::<Int32Type>()?)));
        let Some((lists, texts)) = coded.filter(|(_, texts)| texts.keys().null_count() == 0) else {
            return self.with(&Codes::each(lists.len()));
        };
        let (keys, ends) = (texts.keys().values(), lists.value_offsets());
        let list = |row: usize| {
            let (from, to) = (ends.get(row)?.as_usize(), ends.get(row.checked_add(1)?)?.as_usize());
            lists.is_valid(row).then(|| keys.get(from..to)).flatten()
        };
        // The list of the first row with each code; others with that code have codes of their own.
        let mut first: Vec<Option<Option<&[i32]>>> = vec![None; self.count];
        let mut others: HashMap<(u32, Option<&[i32]>), u32, RandomState> = HashMap::default();
        let mut count = u32::try_from(self.count).unwrap_or(u32::MAX);
        let mut with_list = |(row, code): (usize, &u32)| {
            let (code, list) = (*code, list(row));
            let is_first = first.get_mut(code as usize).is_some_and(|first| *first.get_or_insert(list) == list);
            if is_first {
                return code;
            }
            *others.entry((code, list)).or_insert_with(|| {
                count = count.saturating_add(1);
                count.saturating_sub(1)
            })
        };
        let of_row = self.of_row.iter().enumerate().map(&mut with_list).collect();
        Codes { of_row, count: count as usize }
    }

    /// The codes of both together.
    pub fn with(self, other: &Codes) -> Codes {
        let places = self.count.saturating_mul(other.count);
        let both = self.of_row.iter().zip(&other.of_row);
        if places > PLACES_MAX.max(self.of_row.len().saturating_mul(4)) {
            return Codes::by(both.map(|(one, two)| (*one, *two)));
        }
        let mut known = vec![u32::MAX; places];
        let mut count: u32 = 0;
        let of_row = both.map(|(one, two)| {
            let place = (*one as usize).saturating_mul(other.count).saturating_add(*two as usize);
            let Some(code) = known.get_mut(place) else { return 0 };
            if *code == u32::MAX {
                (*code, count) = (count, count.saturating_add(1));
            }
            *code
        });
        let of_row = of_row.collect();
        Codes { of_row, count: count as usize }
    }

    /// A row that has it, for each code that a row has.
    pub fn first_rows(&self) -> Vec<Option<usize>> {
        let mut rows = vec![None; self.count];
        for (row, code) in self.of_row.iter().enumerate() {
            if let Some(first @ None) = rows.get_mut(*code as usize) {
                *first = Some(row);
            }
        }
        rows
    }
}

fn code(key: i32) -> u32 {
    u32::try_from(key).unwrap_or(0).saturating_add(1)
}

/// Shows a column's value of one row.
pub fn with_value<T>(array: &ArrayRef, row: usize, see: impl FnOnce(Value<'_>) -> T) -> T {
    if array.is_null(row) {
        return see(Value::Null);
    }
    match array.data_type() {
        DataType::UInt64 => see(Value::U64(array.as_primitive::<UInt64Type>().value(row))),
        DataType::Timestamp(..) => {
            see(Value::Timestamp(Timestamp(array.as_primitive::<TimestampMicrosecondType>().value(row))))
        }
        DataType::List(_) => {
            let list = array.as_list::<i32>().value(row);
            let texts: Vec<Text> = match list.as_dictionary_opt::<Int32Type>() {
                Some(items) => match items.downcast_dict::<arrow::array::StringArray>() {
                    Some(items) => items.into_iter().flatten().map(Text::from).collect(),
                    None => Vec::new(),
                },
                None => Vec::new(),
            };
            see(Value::Texts(&texts))
        }
        _ => match array.as_dictionary_opt::<Int32Type>() {
            Some(texts) => {
                let place = usize::try_from(texts.keys().value(row)).unwrap_or(0);
                see(Value::Text(texts.values().as_string::<i32>().value(place)))
            }
            None => see(Value::Null),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{DictionaryArray, ListBuilder, StringDictionaryBuilder, UInt64Array};

    use super::*;

    #[test]
    fn rows_have_the_same_code_only_where_they_have_the_same_value() {
        let texts: DictionaryArray<Int32Type> = [Some("a"), None, Some("b"), Some("a"), None].into_iter().collect();
        let texts = Codes::of(&(Arc::new(texts) as ArrayRef));
        assert_eq!((texts.of_row.as_slice(), texts.count), ([1, 0, 2, 1, 0].as_slice(), 3));
        let numbers =
            Codes::of(&(Arc::new(UInt64Array::from(vec![Some(7), None, Some(7), Some(0), None])) as ArrayRef));
        assert_eq!(numbers.of_row, [0, 1, 0, 2, 1]);
        let mut lists = ListBuilder::new(StringDictionaryBuilder::<Int32Type>::new());
        for list in [Some(vec!["x", "y"]), Some(vec![]), None, Some(vec!["x", "y"]), Some(vec!["y", "x"])] {
            match list {
                Some(items) => {
                    items.iter().for_each(|item| lists.values().append_value(item));
                    lists.append(true);
                }
                None => lists.append_null(),
            }
        }
        let lists = Arc::new(lists.finish()) as ArrayRef;
        assert_eq!(Codes::of(&lists).of_row, [0, 1, 2, 0, 3]);
        assert_eq!(Codes::of(&lists.slice(1, 4)).of_row, [0, 1, 2, 3], "a part of a column is one, too");
        with_value(&lists, 4, |value| assert_eq!(value, Value::Texts(&["y".into(), "x".into()])));
        with_value(&lists, 2, |value| assert_eq!(value, Value::Null));
        let both = texts.with(&numbers);
        assert_eq!(both.of_row, [0, 1, 2, 3, 1]);
        assert_eq!(both.first_rows(), [Some(0), Some(1), Some(2), Some(3)]);
    }

    #[test]
    fn many_codes_are_joined_as_few_are() {
        let codes = |of_row: Vec<u32>| Codes { of_row, count: 1 << 20 };
        let both = codes(vec![5, 5, 1 << 19, 5]).with(&codes(vec![9, 8, 9, 9]));
        assert_eq!((both.of_row.as_slice(), both.count), ([0, 1, 2, 0].as_slice(), 3));
    }
}
