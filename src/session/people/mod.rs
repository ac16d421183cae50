//! Distinct data subjects in a result.
//!
//! In: the result's columns, which of them name a data subject and of which table, and the bodies of its DataRows in pieces. Out: how
//! many distinct values, with those of two tables as the same people and as others, the first of them, and which baits are among them. Memory is
//! constant beyond the sets themselves; NULL is nobody. Refuses to keep more than [`SUBJECTS_MAX`] values.

// A value's canonical text.
mod value;

use std::hash::{BuildHasher, DefaultHasher, Hasher, RandomState};

pub(super) use self::value::{Canonical, on_the_wire};
use super::baits::Watch;
use super::event::{Counted, Heads, Origin, People};
use super::{EXACT_PEOPLE_MAX, SUBJECT_BYTES_MAX, SUBJECT_COLUMNS_MAX, SUBJECTS_MAX, SubjectColumns};
use crate::distinct::Distinct;
use crate::record::Text;
use crate::wire::row::{Part, RowReader};

/// An estimate has 2^14 registers, 16 KiB, and a standard error of 0.81 %: 997 in 1000 lie within 2.5 %.
const REGISTER_BITS: u32 = 14;

/// Counts the people of one result.
#[derive(Debug)]
pub(super) struct Counting {
    /// By their numbers, rising.
    columns: Vec<Column>,
    people: Seen,
    row: RowReader,
    value: Open,
    /// A part of a row has come, and not its end.
    is_within: bool,
}

/// One subject column.
#[derive(Debug)]
struct Column {
    /// In the result, from 0.
    number: u16,
    /// The table whose people it names.
    table: u32,
    type_oid: u32,
    binary: bool,
    /// Whether equal people have other bytes here than in another column: then their text is what counts.
    is_canonical: bool,
    /// Of the value before: rows of one person often come one behind the other.
    last: Option<u64>,
    baits: Watch,
}

/// The people of all subject columns.
#[derive(Debug)]
struct Seen {
    /// Of values that come whole …
    keys: ahash::RandomState,
    /// … and of those whose pieces are cut anywhere.
    long_keys: RandomState,
    /// Who stands in two columns is one.
    distinct: Distinct,
    /// Where the columns are of several tables: who stands in two of these is two.
    apart: Option<Box<Distinct>>,
    values: Vec<String>,
}

/// A value whose pieces are still coming.
#[derive(Debug, Default)]
struct Open {
    bytes: Vec<u8>,
    /// Takes over where `bytes` would get too long.
    long: Option<DefaultHasher>,
}

impl Counting {
    /// Ready for the rows of a result with these columns; `None` where none of them names a data subject.
    pub(super) fn start(
        columns: &[Origin],
        is_binary: impl Fn(usize) -> bool,
        subjects: &SubjectColumns,
    ) -> Option<Box<Counting>> {
        if subjects.columns.is_empty() {
            return None;
        }
        let distinct = || Distinct::new(EXACT_PEOPLE_MAX, REGISTER_BITS);
        let mut people = Seen {
            keys: ahash::RandomState::new(),
            long_keys: RandomState::new(),
            distinct: distinct(),
            apart: None,
            values: Vec::new(),
        };
        let mut found: Vec<Column> = columns
            .iter()
            .enumerate()
            .filter(|(_, origin)| origin.table_oid != 0)
            .filter_map(|(number, origin)| {
                let table = subjects.columns.get(&(origin.table_oid, origin.attribute))?;
                Some((number, origin, *table))
            })
            .take(SUBJECT_COLUMNS_MAX)
            .map(|(number, origin, table)| {
                Column::start(number, origin, table, is_binary(number), subjects, &people.keys)
            })
            .collect();
        let are_of_several = found.windows(2).any(|pair| matches!(pair, [one, other] if one.table != other.table));
        people.apart = are_of_several.then(|| Box::new(distinct()));
        let is_of_one_kind = found.windows(2).all(|pair| matches!(pair, [one, other] if one.has_bytes_of(other)));
        found.iter_mut().for_each(|column| column.is_canonical = !is_of_one_kind);
        let (row, value) = (RowReader::default(), Open::default());
        (!found.is_empty()).then(|| Box::new(Counting { columns: found, people, row, value, is_within: false }))
    }

    /// Takes a piece of a DataRow's body; `last` ends the row. Tells `sprung` of baits that are in it.
    #[inline]
    pub(super) fn row(&mut self, piece: &[u8], last: bool, sprung: &mut Vec<Text>) {
        if last && !self.is_within {
            let _ = self.whole_row(piece, sprung);
            return;
        }
        self.piece(piece, last, sprung);
    }

    fn piece(&mut self, piece: &[u8], last: bool, sprung: &mut Vec<Text>) {
        self.is_within = !last;
        let Counting { columns, people, row, value, .. } = self;
        row.push(piece, |number, part| {
            if let Some(column) = columns.iter_mut().find(|column| column.number == number) {
                column.part(part, value, people, sprung);
            }
        });
        if last {
            *row = RowReader::default();
            value.clear();
        }
    }

    /// A row that came in one piece: nothing is looked at behind the last subject column. `None` where the row ends before it. Leaves nothing in
    /// `value`: what is read is read to its end.
    fn whole_row(&mut self, body: &[u8], sprung: &mut Vec<Text>) -> Option<()> {
        let (count, mut rest) = body.split_first_chunk::<2>()?;
        let count = u16::from_be_bytes(*count);
        let mut number = 0_u16;
        for column in &mut self.columns {
            if column.number >= count {
                return None;
            }
            loop {
                let (length, behind) = rest.split_first_chunk::<4>()?;
                // A negative one is NULL's.
                let length = usize::try_from(i32::from_be_bytes(*length)).ok();
                let (bytes, behind) = match length {
                    None => (None, behind),
                    Some(length) => behind.split_at_checked(length).map(|(bytes, behind)| (Some(bytes), behind))?,
                };
                rest = behind;
                let is_it = number == column.number;
                number = number.saturating_add(1);
                if is_it {
                    match bytes {
                        Some(bytes) if bytes.len() <= SUBJECT_BYTES_MAX => {
                            column.whole(bytes, &mut self.people, sprung)
                        }
                        Some(bytes) => {
                            let whole = Part::Bytes { bytes, last: true };
                            column.part(whole, &mut self.value, &mut self.people, sprung);
                        }
                        None => {}
                    }
                    break;
                }
            }
        }
        Some(())
    }

    /// The count so far, as [`Counting::people`] has it.
    pub(super) fn heads(&self) -> Heads {
        let Seen { distinct, apart, .. } = &self.people;
        let together = distinct.count();
        Heads { together, apart: apart.as_ref().map_or(together, |apart| apart.count()) }
    }

    /// Whether that is no estimate.
    pub(super) fn is_exact(&self) -> bool {
        let Seen { distinct, apart, .. } = &self.people;
        distinct.is_exact() && apart.as_ref().is_none_or(|apart| apart.is_exact())
    }

    /// The people of all of them.
    pub(super) fn people(self) -> People {
        let (heads, exact) = (self.heads(), self.is_exact());
        let counted = match self.people.apart {
            Some(_) => Counted::Apart { people: heads.apart, exact },
            None if exact => Counted::Each,
            None => Counted::Estimated,
        };
        People { distinct: heads.together, counted, values: self.people.values }
    }
}

impl Column {
    fn start(
        number: usize,
        origin: &Origin,
        table: u32,
        binary: bool,
        subjects: &SubjectColumns,
        keys: &ahash::RandomState,
    ) -> Column {
        Column {
            number: u16::try_from(number).unwrap_or(u16::MAX),
            table,
            type_oid: origin.type_oid,
            binary,
            baits: subjects.baits.watch(origin, binary, keys),
            is_canonical: false,
            last: None,
        }
    }

    /// Whether equal values have equal bytes.
    fn has_bytes_of(&self, other: &Column) -> bool {
        (self.type_oid, self.binary) == (other.type_oid, other.binary) || !self.binary && !other.binary
    }

    fn part(&mut self, part: Part<'_>, open: &mut Open, people: &mut Seen, sprung: &mut Vec<Text>) {
        let Part::Bytes { bytes, last } = part else { return };
        if last && open.is_empty() && bytes.len() <= SUBJECT_BYTES_MAX {
            return self.whole(bytes, people, sprung);
        }
        open.push(bytes, &people.long_keys);
        if !last {
            return;
        }
        match open.long.take() {
            Some(hasher) => {
                people.insert(hasher.finish(), self.table);
            }
            None => self.whole(&open.bytes, people, sprung),
        }
        open.clear();
    }

    /// Values of one type and one format have equal bytes where they are equal: their text is made of those alone that are kept.
    #[inline]
    fn whole(&mut self, bytes: &[u8], people: &mut Seen, sprung: &mut Vec<Text>) {
        let hash = people.hash(bytes);
        if self.last != Some(hash) {
            self.last = Some(hash);
            if self.baits.may_have(hash) {
                self.baits.look(bytes, &people.keys, sprung);
            }
            let canonical = || Canonical::of(self.type_oid, self.binary, bytes).into_text();
            let text = self.is_canonical.then(canonical);
            let person = text.as_ref().map_or(hash, |text| people.hash(text.as_bytes()));
            if people.insert(person, self.table) && people.values.len() < SUBJECTS_MAX {
                people.values.push(text.unwrap_or_else(canonical));
            }
        }
    }
}

impl Seen {
    /// Takes somebody of a table; says whether the value is known to be new.
    #[inline]
    fn insert(&mut self, person: u64, table: u32) -> bool {
        if self.apart.is_some() {
            self.insert_apart(person, table);
        }
        self.distinct.insert(person)
    }

    /// Few results have people of several tables.
    #[cold]
    fn insert_apart(&mut self, person: u64, table: u32) {
        if let Some(apart) = &mut self.apart {
            apart.insert(self.keys.hash_one((person, table)));
        }
    }

    fn hash(&self, bytes: &[u8]) -> u64 {
        let mut hasher = self.keys.build_hasher();
        hasher.write(bytes);
        hasher.finish()
    }
}

impl Open {
    fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.long.is_none()
    }

    fn push(&mut self, bytes: &[u8], keys: &RandomState) {
        if let Some(hasher) = &mut self.long {
            hasher.write(bytes);
        } else if self.bytes.len().saturating_add(bytes.len()) <= SUBJECT_BYTES_MAX {
            self.bytes.extend_from_slice(bytes);
        } else {
            let mut hasher = keys.build_hasher();
            hasher.write(&self.bytes);
            hasher.write(bytes);
            self.long = Some(hasher);
        }
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.long = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(table_oid: u32, attribute: i16, type_oid: u32) -> Origin {
        Origin { name: "x".to_owned(), table_oid, attribute, type_oid }
    }

    fn row(values: &[Option<&[u8]>]) -> Vec<u8> {
        let mut body = u16::try_from(values.len()).unwrap().to_be_bytes().to_vec();
        for value in values {
            match value {
                Some(bytes) => {
                    body.extend(u32::try_from(bytes.len()).unwrap().to_be_bytes());
                    body.extend(*bytes);
                }
                None => body.extend([0xff; 4]),
            }
        }
        body
    }

    fn subjects(columns: &[(u32, i16)]) -> SubjectColumns {
        SubjectColumns { columns: columns.iter().map(|column| (*column, 10)).collect(), ..SubjectColumns::default() }
    }

    fn count(counting: &mut Counting, rows: &[Vec<u8>], step: usize) {
        for body in rows {
            let pieces = body.chunks(step).count();
            for (number, piece) in body.chunks(step).enumerate() {
                counting.row(piece, number + 1 == pieces, &mut Vec::new());
            }
        }
    }

    #[test]
    fn only_a_result_with_a_subject_column_is_counted() {
        let columns = [origin(10, 1, 23), origin(0, 0, 25)];
        assert!(Counting::start(&columns, |_| false, &subjects(&[])).is_none());
        assert!(Counting::start(&columns, |_| false, &subjects(&[(10, 2), (0, 0)])).is_none());
        assert!(Counting::start(&columns, |_| false, &subjects(&[(10, 1)])).is_some());
    }

    #[test]
    fn people_are_counted_once_and_null_is_nobody() {
        let columns = [origin(10, 2, 25), origin(10, 1, 23)];
        let rows: Vec<_> = [Some("7"), None, Some("8"), Some("7")]
            .iter()
            .map(|id| row(&[Some(b"same"), id.map(str::as_bytes)]))
            .collect();
        for step in [1, 2, 5, 100] {
            let mut counting = Counting::start(&columns, |_| false, &subjects(&[(10, 1)])).unwrap();
            count(&mut counting, &rows, step);
            let people = counting.people();
            assert_eq!((people.distinct, people.counted), (2, Counted::Each));
            assert_eq!(people.values, ["7", "8"]);
        }
    }

    #[test]
    fn who_stands_in_one_of_several_subject_columns_is_counted_once() {
        let columns = [origin(10, 1, 23), origin(20, 1, 23)];
        let mut counting = Counting::start(&columns, |_| true, &subjects(&[(10, 1), (20, 1)])).unwrap();
        let rows: Vec<_> = (0..5i32).map(|id| row(&[Some(&[0, 0, 0, 7]), Some(&id.to_be_bytes())])).collect();
        count(&mut counting, &rows, 3);
        let people = counting.people();
        assert_eq!((people.distinct, people.values), (6, ["7", "0", "1", "2", "3", "4"].map(str::to_owned).to_vec()));
    }

    #[test]
    fn the_same_value_in_columns_of_two_tables_is_one_person_or_two() {
        let columns = [origin(10, 1, 23), origin(20, 1, 20), origin(30, 1, 23)];
        let subjects = SubjectColumns {
            columns: [((10, 1), 10), ((20, 1), 20), ((30, 1), 10)].into(),
            ..SubjectColumns::default()
        };
        let one = |own: &'static str, other: &'static str, own_again: &'static str| {
            row(&[Some(own.as_bytes()), Some(other.as_bytes()), Some(own_again.as_bytes())])
        };
        let long: &str = "1".repeat(5_000).leak();
        let mut counting = Counting::start(&columns, |_| false, &subjects).unwrap();
        count(&mut counting, &[one("1", "1", "1"), one("2", "1", "3"), one("3", "4", "1"), one("1", long, long)], 7);
        assert_eq!(counting.heads(), Heads { together: 5, apart: 7 });
        let people = counting.people();
        assert_eq!((people.distinct, people.counted), (5, Counted::Apart { people: 7, exact: true }));
        assert_eq!((people.is_exact(), people.values.len()), (true, 4));
        let mut of_one = Counting::start(&columns[..1], |_| false, &subjects).unwrap();
        count(&mut of_one, &[row(&[Some(b"1")])], 100);
        assert_eq!(of_one.people().counted, Counted::Each);
    }

    /// A number of four bytes and one of eight, and a text.
    #[test]
    fn people_are_the_same_in_columns_of_other_types() {
        let columns = [origin(10, 1, 23), origin(20, 1, 20), origin(30, 1, 25)];
        let mut counting = Counting::start(&columns, |_| true, &subjects(&[(10, 1), (20, 1), (30, 1)])).unwrap();
        let one = |id: i32| {
            row(&[Some(&id.to_be_bytes()), Some(&i64::from(id).to_be_bytes()), Some(id.to_string().as_bytes())])
        };
        count(&mut counting, &[one(1), one(2), one(1)], 100);
        assert_eq!((counting.heads().together, counting.people().distinct), (2, 2));
    }

    /// However it is cut, and where it ends too early.
    #[test]
    fn a_row_that_comes_whole_is_counted_as_one_that_comes_in_pieces() {
        let columns = [origin(0, 0, 25), origin(10, 1, 25), origin(0, 0, 25), origin(20, 1, 23)];
        let long = vec![b'a'; 1_000];
        let values: [&[Option<&[u8]>]; 6] = [
            &[None, Some(b"a"), Some(b"x"), Some(b"1")],
            &[Some(b"x"), None, None, Some(b"2")],
            &[Some(b""), Some(b""), Some(b"xyz"), None],
            &[Some(&long), Some(&long), Some(&long), Some(b"1")],
            &[Some(b"x"), Some(b"b")],
            &[],
        ];
        let mut rows: Vec<Vec<u8>> = values.iter().map(|values| row(values)).collect();
        rows.push(rows[0][..rows[0].len() - 3].to_vec());
        rows.push(vec![0]);
        let found: Vec<People> = [1_usize, 3, 100_000]
            .into_iter()
            .map(|step| {
                let mut counting = Counting::start(&columns, |_| false, &subjects(&[(10, 1), (20, 1)])).unwrap();
                count(&mut counting, &rows, step);
                counting.people()
            })
            .collect();
        assert_eq!((found[0].distinct, &found[0]), (6, &found[1]));
        assert_eq!(found[1], found[2]);
    }

    #[test]
    fn long_values_are_told_apart_but_not_kept() {
        let (a, mut b) = (vec![b'a'; 5_000], vec![b'a'; 5_000]);
        b[4_999] = b'b';
        for step in [1, 7, 300, 10_000] {
            let mut counting = Counting::start(&[origin(10, 1, 25)], |_| false, &subjects(&[(10, 1)])).unwrap();
            count(&mut counting, &[row(&[Some(&a)]), row(&[Some(&b)]), row(&[Some(&a)])], step);
            let people = counting.people();
            assert_eq!((people.distinct, people.values.len()), (2, 0), "{step}");
        }
    }
}
