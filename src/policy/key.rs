//! Who or what a window, a baseline or a throttle is kept for: the values of some columns, as one small key.
//!
//! A key is 128 bits, however long a client made its names; of another process's keys nothing follows, so that nobody can choose names
//! that fall together. NULL is a value of its own, as in GROUP BY.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::LazyLock;

use ahash::RandomState;

use crate::record::{Column, Table, Value};

/// What is kept by keys.
pub type ByKey<V> = HashMap<Key, V, RandomState>;

/// See the module's doc.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(u64, u64);

/// Keys of one record: what several policies keep something by is made once.
pub struct Keys<R: 'static> {
    made: [Option<Made<R>>; KEYS_MAX],
}

/// Lists of columns of which a record's keys are kept.
const KEYS_MAX: usize = 6;

/// A key of one column, or of two.
struct Made<R: 'static>(&'static Column<R>, Option<&'static Column<R>>, Key);

impl<R> Default for Keys<R> {
    fn default() -> Keys<R> {
        Keys { made: [const { None }; KEYS_MAX] }
    }
}

impl<R: Table> Keys<R> {
    /// The key of these columns; each time of the same record.
    pub fn of(&mut self, record: &R, columns: &[&'static Column<R>]) -> Key {
        let (one, two) = match columns {
            [one] => (*one, None),
            [one, two] => (*one, Some(*two)),
            _ => return Key::of(record, columns),
        };
        let is_same = |a: &Column<R>, b: &Column<R>| std::ptr::eq(a, b);
        for place in &mut self.made {
            match place {
                Some(made) if is_same(made.0, one) && made.1.map(|of| of.name) == two.map(|of| of.name) => {
                    return made.2;
                }
                Some(_) => {}
                None => return place.insert(Made(one, two, Key::of(record, columns))).2,
            }
        }
        Key::of(record, columns)
    }
}

impl Key {
    /// The key of `record` by `columns`.
    pub fn of<R: Table>(record: &R, columns: &[&'static Column<R>]) -> Key {
        Key::of_values(columns.iter().map(|column| (column.get)(record)))
    }

    /// The key of one value.
    pub fn of_value(value: Value<'_>) -> Key {
        Key::of_values([value])
    }

    fn of_values<'a>(values: impl IntoIterator<Item = Value<'a>>) -> Key {
        static HALVES: LazyLock<[RandomState; 2]> = LazyLock::new(|| [RandomState::new(), RandomState::new()]);
        let [mut one, mut two] = HALVES.each_ref().map(BuildHasher::build_hasher);
        for value in values {
            hash_value(value, &mut one);
            hash_value(value, &mut two);
        }
        Key(one.finish(), two.finish())
    }

    /// The key of both, in this order; of the default one and another: the other.
    pub fn and(self, other: Key) -> Key {
        Key(self.0.rotate_left(21) ^ other.0, self.1.rotate_left(21) ^ other.1)
    }

    /// One of `slots`.
    pub fn slot(self, slots: usize) -> usize {
        usize::try_from(self.1 % (slots.max(1) as u64)).unwrap_or(0)
    }
}

fn hash_value(value: Value<'_>, hasher: &mut impl Hasher) {
    match value {
        Value::Null => hasher.write_u8(0),
        Value::U64(number) => (1_u8, number).hash(hasher),
        Value::Text(text) => (2_u8, text).hash(hasher),
        Value::Timestamp(at) => (3_u8, at).hash(hasher),
        Value::Texts(items) => (4_u8, items).hash(hasher),
        Value::U64s(items) => (5_u8, items).hash(hasher),
    }
}
