//! Which group a row belongs to: by its texts' codes and its numbers, without touching a text twice.
//!
//! In: the columns that are grouped by, batch by batch. Out: each row's group, counted from zero; in the end, the keys of each group. Knows texts in
//! dictionaries, whole numbers, dates and times; null is a value like others. Its memory grows with the groups that there are.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use ahash::RandomState;
use arrow::array::{Array, ArrayRef, AsArray, DictionaryArray, Int64Array, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int32Type, Int64Type, UInt64Type};
use datafusion::common::exec_err;
use datafusion::error::Result;

/// No number of a value, nor of a group.
const UNKNOWN: u32 = u32::MAX;

/// Whether it is a type of numbers that can be grouped by.
pub fn is_number(kind: &DataType) -> bool {
    use DataType::{Date32, Int32, Int64, Timestamp, UInt64};
    matches!(kind, Date32 | Int32 | Int64 | UInt64 | Timestamp(..))
}

/// See the module.
pub struct Groups {
    keys: Vec<Key>,
    /// Of the second key and those after it: the pairs of what those before it come to, and its own number.
    pairs: Vec<Numbered<(u32, u32)>>,
    numbers: Vec<u32>,
    /// The pairs with one number that stays the same, by the other.
    met: Vec<u32>,
}

impl Groups {
    /// For columns of these types; texts where it [is no number](is_number).
    pub fn new(kinds: &[DataType]) -> Groups {
        let keys = kinds.iter().map(|kind| match is_number(kind) {
            true => Key::Numbers { kind: kind.clone(), values: Numbered::default() },
            false => Key::Texts(Texts::default()),
        });
        let pairs = kinds.iter().skip(1).map(|_| Numbered::default()).collect();
        Groups { keys: keys.collect(), pairs, numbers: Vec::new(), met: Vec::new() }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        match (self.pairs.last(), self.keys.first()) {
            (Some(pairs), _) => pairs.values.len(),
            (None, Some(Key::Texts(texts))) => texts.values.values.len(),
            (None, Some(Key::Numbers { values, .. })) => values.values.len(),
            (None, None) => 0,
        }
    }

    /// Each row's group.
    ///
    /// # Errors
    /// A column is of another type.
    pub fn find(&mut self, columns: &[ArrayRef], groups: &mut Vec<usize>) -> Result<()> {
        let mut before = self.pairs.iter_mut();
        let mut so_far = Vec::new();
        for (place, (key, column)) in self.keys.iter_mut().zip(columns).enumerate() {
            if place == 0 {
                key.number(column, &mut so_far)?;
                continue;
            }
            key.number(column, &mut self.numbers)?;
            let Some(pairs) = before.next() else { continue };
            pair(&mut so_far, &self.numbers, pairs, &mut self.met);
        }
        groups.clear();
        groups.extend(so_far.into_iter().map(|group| group as usize));
        Ok(())
    }

    /// The keys of each group, in order.
    ///
    /// # Errors
    /// More text than a column can hold.
    pub fn keys(self) -> Result<Vec<ArrayRef>> {
        let groups = u32::try_from(self.len()).unwrap_or(UNKNOWN);
        let mut numbers: Vec<u32> = (0..groups).collect();
        let mut columns = Vec::with_capacity(self.keys.len());
        let mut pairs = self.pairs.into_iter().rev();
        for key in self.keys.into_iter().rev() {
            let own = match pairs.next() {
                Some(pairs) => {
                    let both = numbers.iter().map(|number| pairs.values.get(*number as usize).copied());
                    let (before, own) = both.map(|both| both.unwrap_or((UNKNOWN, UNKNOWN))).unzip();
                    numbers = before;
                    own
                }
                None => std::mem::take(&mut numbers),
            };
            columns.push(key.column(&own)?);
        }
        columns.reverse();
        Ok(columns)
    }
}

/// Each row's first number becomes that of its pair with its second.
fn pair(first: &mut [u32], second: &[u32], pairs: &mut Numbered<(u32, u32)>, met: &mut Vec<u32>) {
    let same = |numbers: &[u32]| numbers.first().copied().filter(|same| numbers.iter().all(|number| number == same));
    let mut remembered = |numbers: &[u32]| {
        let largest = numbers.iter().max().map_or(0, |largest| *largest as usize);
        met.clear();
        // More different ones than rows are not worth the room.
        (largest < numbers.len()).then(|| met.resize(largest + 1, UNKNOWN))
    };
    // A batch is of one day, mostly: the pairs of that day are looked up once.
    if let Some((second, ())) = same(second).zip(remembered(first)) {
        for first in first {
            *first = once(met, *first, || pairs.number((*first, second)));
        }
    } else if let Some((same, ())) = same(first).zip(remembered(second)) {
        for (first, second) in first.iter_mut().zip(second) {
            *first = once(met, *second, || pairs.number((same, *second)));
        }
    } else {
        for (first, second) in first.iter_mut().zip(second) {
            *first = pairs.number((*first, *second));
        }
    }
}

/// What is remembered of a number, or made of it now.
fn once(met: &mut [u32], number: u32, make: impl FnOnce() -> u32) -> u32 {
    match met.get_mut(number as usize) {
        Some(met) if *met == UNKNOWN => {
            *met = make();
            *met
        }
        Some(met) => *met,
        None => make(),
    }
}

/// Values, numbered as they come.
struct Numbered<T> {
    values: Vec<T>,
    numbers: HashMap<T, u32, RandomState>,
    /// Neighbours are alike, mostly.
    last: Option<(T, u32)>,
}

impl<T> Default for Numbered<T> {
    fn default() -> Numbered<T> {
        Numbered { values: Vec::new(), numbers: HashMap::default(), last: None }
    }
}

impl<T: Clone + Eq + Hash> Numbered<T> {
    fn number(&mut self, value: T) -> u32 {
        match &self.last {
            Some((last, number)) if *last == value => return *number,
            _ => {}
        }
        let next = u32::try_from(self.values.len()).unwrap_or(UNKNOWN);
        let number = *self.numbers.entry(value.clone()).or_insert(next);
        if number == next {
            self.values.push(value.clone());
        }
        self.last = Some((value, number));
        number
    }
}

enum Key {
    Texts(Texts),
    Numbers { kind: DataType, values: Numbered<Option<i64>> },
}

#[derive(Default)]
struct Texts {
    values: Numbered<Option<Arc<str>>>,
    /// The dictionary at hand, and the number of each of its values that was met.
    dictionary: Option<(ArrayRef, Vec<u32>)>,
}

impl Key {
    /// The number of each row's value.
    fn number(&mut self, column: &ArrayRef, numbers: &mut Vec<u32>) -> Result<()> {
        numbers.clear();
        numbers.reserve(column.len());
        match self {
            Key::Texts(texts) => match column.as_dictionary_opt::<Int32Type>() {
                Some(column) => texts.number(column, numbers),
                None => exec_err!("a column of texts is in no dictionary"),
            },
            Key::Numbers { kind, values } => {
                if column.data_type() != kind {
                    return exec_err!("a column is of the type {}, and was to be of {kind}", column.data_type());
                }
                // Of the same bits, which is all that tells one from another.
                let column: ArrayRef = match column.as_primitive_opt::<UInt64Type>() {
                    Some(column) => Arc::new(column.unary::<_, Int64Type>(u64::cast_signed)),
                    None => cast(column, &DataType::Int64)?,
                };
                numbers.extend(column.as_primitive::<Int64Type>().iter().map(|value| values.number(value)));
                Ok(())
            }
        }
    }

    /// The values of these numbers.
    fn column(self, numbers: &[u32]) -> Result<ArrayRef> {
        Ok(match self {
            Key::Texts(texts) => {
                let texts = numbers.iter().map(|number| texts.values.values.get(*number as usize)?.as_deref());
                Arc::new(texts.collect::<StringArray>())
            }
            Key::Numbers { kind, values } => {
                let values = numbers.iter().map(|number| values.values.get(*number as usize).copied().flatten());
                let values: ArrayRef = Arc::new(values.collect::<Int64Array>());
                match kind {
                    DataType::UInt64 => {
                        Arc::new(values.as_primitive::<Int64Type>().unary::<_, UInt64Type>(i64::cast_unsigned))
                    }
                    DataType::Date32 => cast(&cast(&values, &DataType::Int32)?, &kind)?,
                    _ => cast(&values, &kind)?,
                }
            }
        })
    }
}

impl Texts {
    fn number(&mut self, column: &DictionaryArray<Int32Type>, numbers: &mut Vec<u32>) -> Result<()> {
        let values = column.values();
        let Some(texts) = values.as_string_opt::<i32>() else { return exec_err!("a dictionary is of no texts") };
        let is_at_hand = |(of, _): &(ArrayRef, Vec<u32>)| of.to_data().ptr_eq(&values.to_data());
        let (of, mut known) = match self.dictionary.take().filter(is_at_hand) {
            Some(at_hand) => at_hand,
            None => (Arc::clone(values), vec![UNKNOWN; values.len()]),
        };
        let mut null = UNKNOWN;
        let nulls = column.nulls();
        for (row, code) in column.keys().values().iter().enumerate() {
            let code = usize::try_from(*code).unwrap_or(usize::MAX);
            let is_null = nulls.is_some_and(|nulls| nulls.is_null(row));
            let (number, text) = match known.get_mut(code).filter(|_| !is_null) {
                Some(number) => (number, Some(code).filter(|code| texts.is_valid(*code))),
                None => (&mut null, None),
            };
            if *number == UNKNOWN {
                *number = self.values.number(text.map(|code| Arc::from(texts.value(code))));
            }
            numbers.push(*number);
        }
        self.dictionary = Some((of, known));
        Ok(())
    }
}
