//! Values of columns that nobody classified, looked at until it is clear what they look like.
//!
//! In: the columns of results, and the first rows' values. Out: [`Sighted`], once a column, where it looks personal. What has been
//! looked at enough is settled and costs nothing more: one bit of the result's columns is read. Keeps no value; counts and hashes only,
//! of [`OPEN_COLUMNS_MAX`] columns at a time.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::event::{Origin, Sighted};
use super::people::Canonical;
use crate::detect::Tally;
use crate::wire::row::{Part, RowReader};

/// Columns that are looked at at a time, a database. One more waits until another is settled.
pub const OPEN_COLUMNS_MAX: usize = 4_096;
/// Columns that are known to be settled, a database. Beyond it no new one is looked at.
pub const SETTLED_COLUMNS_MAX: usize = 1 << 17;
/// A column is settled after so many different values …
pub const VALUES_MAX: u32 = 200;
/// … or so many in all.
pub const SEEN_MAX: u32 = 2_000;
/// Fewer different values say nothing.
pub const VALUES_MIN: u32 = 20;
/// Rows of one result that are looked at …
const ROWS_MAX: u32 = 200;
/// … and columns.
const COLUMNS_MAX: usize = 32;
/// So much of a value is kept while it comes, bytes.
const VALUE_BYTES_MAX: usize = 512;
/// Objects below are PostgreSQL's own (`FirstNormalObjectId`).
const FIRST_USER_OID: u32 = 16_384;
/// Types whose values may be anything: text, varchar, bpchar, xml, json; int8; and in text form jsonb, inet, numeric.
const TEXTS: [u32; 5] = [25, 1_043, 1_042, 142, 114];
const INT8: u32 = 20;
const IN_TEXT_FORM: [u32; 3] = [3_802, 869, 1_700];

type Place = (u32, i16);

/// What is being looked at in one database. Shared by its sessions.
#[derive(Debug, Default)]
pub struct Unsettled {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    open: HashMap<Place, Open>,
    settled: HashSet<Place>,
}

#[derive(Debug, Default)]
struct Open {
    tally: Tally,
    seen: u32,
}

impl Unsettled {
    /// Takes a value. What the column looks like, where it is settled by this one and looks personal.
    fn note(&self, place: Place, value: &str) -> Noted {
        let mut inner = self.lock();
        let Some(open) = inner.open.get_mut(&place) else { return Noted::Settled(None) };
        open.seen = open.seen.saturating_add(1);
        // Which dates are of birth is not told while it runs: no year is one.
        open.tally.note(value, i16::MIN);
        let distinct = open.tally.distinct();
        if distinct < VALUES_MAX && open.seen < SEEN_MAX {
            return Noted::More;
        }
        let share = open.tally.share().filter(|_| distinct >= VALUES_MIN);
        inner.open.remove(&place);
        inner.settled.insert(place);
        Noted::Settled(share.map(|share| Sighted {
            table_oid: place.0,
            attribute: place.1,
            what: share.what.plural().to_owned(),
            holds: share.held,
            count: share.count,
            of: share.of,
        }))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a column is to be looked at; begins to.
fn wants(inner: &mut Inner, place: Place) -> Wanted {
    if inner.settled.contains(&place) || inner.settled.len() >= SETTLED_COLUMNS_MAX {
        return Wanted::Settled;
    }
    if inner.open.contains_key(&place) {
        return Wanted::Yes;
    }
    if inner.open.len() >= OPEN_COLUMNS_MAX {
        return Wanted::NotYet;
    }
    inner.open.insert(place, Open::default());
    Wanted::Yes
}

enum Wanted {
    Yes,
    NotYet,
    Settled,
}

enum Noted {
    More,
    Settled(Option<Sighted>),
}

/// Looks at the first rows of one result.
#[derive(Debug)]
pub(super) struct Sampling {
    columns: Vec<Column>,
    rows_left: u32,
    row: RowReader,
    value: Vec<u8>,
    sighted: Vec<Sighted>,
}

#[derive(Debug)]
struct Column {
    number: u16,
    place: Place,
    type_oid: u32,
    binary: bool,
}

impl Sampling {
    /// Ready for the rows of a result with these columns; `None` where none of them is to be looked at. `settled` is set where none of
    /// them ever will be.
    pub(super) fn start(
        columns: &[Origin],
        settled: &AtomicBool,
        is_binary: impl Fn(usize) -> bool,
        classified: &HashSet<Place>,
        unsettled: &Unsettled,
    ) -> Option<Box<Sampling>> {
        if settled.load(Ordering::Relaxed) {
            return None;
        }
        let mut wanted: Vec<Column> = Vec::new();
        let mut is_settled = true;
        let mut inner = unsettled.lock();
        for (number, origin) in columns.iter().enumerate() {
            let binary = is_binary(number);
            let place = (origin.table_oid, origin.attribute);
            if origin.table_oid < FIRST_USER_OID
                || !is_looked_at(origin.type_oid, binary)
                || classified.contains(&place)
            {
                continue;
            }
            match wants(&mut inner, place) {
                Wanted::Settled => continue,
                Wanted::Yes if wanted.len() < COLUMNS_MAX => {
                    let number = u16::try_from(number).unwrap_or(u16::MAX);
                    wanted.push(Column { number, place, type_oid: origin.type_oid, binary });
                }
                Wanted::Yes | Wanted::NotYet => {}
            }
            is_settled = false;
        }
        drop(inner);
        settled.store(is_settled, Ordering::Relaxed);
        (!wanted.is_empty()).then(|| {
            Box::new(Sampling {
                columns: wanted,
                rows_left: ROWS_MAX,
                row: RowReader::default(),
                value: Vec::new(),
                sighted: Vec::new(),
            })
        })
    }

    /// Takes a piece of a DataRow's body; `last` ends the row. False where nothing more of the result is wanted.
    pub(super) fn row(&mut self, piece: &[u8], last: bool, unsettled: &Unsettled) -> bool {
        let Sampling { columns, rows_left, row, value, sighted } = self;
        let mut settled = None;
        row.push(piece, |number, part| {
            let Some(column) = columns.iter().find(|column| column.number == number) else { return };
            let Part::Bytes { bytes, last } = part else { return };
            let room = VALUE_BYTES_MAX.saturating_sub(value.len());
            value.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
            if last {
                if let Noted::Settled(found) = column.note(value, unsettled) {
                    sighted.extend(found);
                    settled = Some(column.place);
                }
                value.clear();
            }
        });
        if let Some(place) = settled {
            columns.retain(|column| column.place != place);
        }
        if last {
            *row = RowReader::default();
            value.clear();
            *rows_left = rows_left.saturating_sub(1);
        }
        (*rows_left > 0 && !columns.is_empty()) || !last
    }

    /// What was found out.
    pub(super) fn sighted(self) -> Vec<Sighted> {
        self.sighted
    }
}

impl Column {
    fn note(&self, bytes: &[u8], unsettled: &Unsettled) -> Noted {
        let is_text = !self.binary || TEXTS.contains(&self.type_oid);
        if !is_text {
            return unsettled.note(self.place, &Canonical::of(self.type_oid, true, bytes).into_text());
        }
        // Cut off within a character; or in another encoding, of which the beginning may still be read.
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                bytes.get(..error.valid_up_to()).and_then(|valid| std::str::from_utf8(valid).ok()).unwrap_or("")
            }
        };
        unsettled.note(self.place, text)
    }
}

fn is_looked_at(type_oid: u32, binary: bool) -> bool {
    TEXTS.contains(&type_oid)
        || type_oid == INT8
        || (!binary && (IN_TEXT_FORM.contains(&type_oid) || type_oid >= FIRST_USER_OID))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: u32 = 20_000;

    fn origin(table_oid: u32, attribute: i16, type_oid: u32) -> Origin {
        Origin { name: "x".to_owned(), table_oid, attribute, type_oid }
    }

    fn body(values: &[&str]) -> Vec<u8> {
        let mut body = u16::try_from(values.len()).unwrap().to_be_bytes().to_vec();
        for value in values {
            body.extend(u32::try_from(value.len()).unwrap().to_be_bytes());
            body.extend(value.as_bytes());
        }
        body
    }

    /// A result of two text columns, in pieces of this size; and whether anything of it was looked at.
    fn result(
        unsettled: &Unsettled,
        settled: &AtomicBool,
        rows: u32,
        step: usize,
        value: impl Fn(u32) -> [String; 2],
    ) -> (bool, Vec<Sighted>) {
        let columns = [origin(TABLE, 1, 25), origin(TABLE, 2, 25)];
        let Some(mut sampling) = Sampling::start(&columns, settled, |_| false, &HashSet::new(), unsettled) else {
            return (false, Vec::new());
        };
        'rows: for number in 0..rows {
            let [a, b] = value(number);
            let row = body(&[&a, &b]);
            let pieces = row.chunks(step).count();
            for (index, piece) in row.chunks(step).enumerate() {
                if !sampling.row(piece, index + 1 == pieces, unsettled) {
                    break 'rows;
                }
            }
        }
        (true, sampling.sighted())
    }

    fn mails(number: u32) -> [String; 2] {
        let mail = if number.is_multiple_of(12) { format!("none {number}") } else { format!("p{number}@example.com") };
        [mail, format!("word {number}")]
    }

    #[test]
    fn a_column_is_told_once_and_then_costs_nothing() {
        for step in [1, 3, 1_000] {
            let (unsettled, settled) = (Unsettled::default(), AtomicBool::new(false));
            let (_, told) = result(&unsettled, &settled, 150, step, mails);
            assert_eq!(told, []);
            let (_, told) = result(&unsettled, &settled, 500, step, |number| mails(number + 150));
            let [sighted] = &told[..] else { panic!("{told:?}") };
            assert_eq!((sighted.table_oid, sighted.attribute, sighted.of), (TABLE, 1, 200));
            assert_eq!((&*sighted.what, sighted.holds, sighted.count), ("e-mail addresses", false, 183));
            assert!(!result(&unsettled, &settled, 500, step, mails).0);
            assert!(settled.load(Ordering::Relaxed), "the columns know it themselves");
            assert!(unsettled.lock().open.is_empty());
        }
    }

    #[test]
    fn the_same_value_again_and_again_is_one() {
        let (unsettled, settled) = (Unsettled::default(), AtomicBool::new(false));
        for _ in 0..20 {
            let (_, told) = result(&unsettled, &settled, 200, 64, |_| ["anna@example.com".to_owned(), String::new()]);
            assert_eq!(told, []);
        }
        assert!(!result(&unsettled, &settled, 1, 64, mails).0, "settled all the same");
    }

    #[test]
    fn what_is_classified_computed_or_postgresql_s_own_is_not_looked_at() {
        let unsettled = Unsettled::default();
        let start = |columns: &[Origin], classified: &[Place]| {
            let classified = classified.iter().copied().collect();
            Sampling::start(columns, &AtomicBool::new(false), |_| false, &classified, &unsettled).is_some()
        };
        assert!(start(&[origin(TABLE, 1, 25)], &[]));
        assert!(!start(&[origin(TABLE, 1, 25)], &[(TABLE, 1)]));
        assert!(!start(&[origin(0, 0, 25), origin(1_259, 2, 25), origin(TABLE, 3, 23), origin(TABLE, 4, 1_184)], &[]));
    }

    #[test]
    fn memory_is_bounded() {
        let unsettled = Unsettled::default();
        for number in 0..u32::try_from(OPEN_COLUMNS_MAX).unwrap() * 2 {
            Sampling::start(
                &[origin(TABLE + number, 1, 25)],
                &AtomicBool::new(false),
                |_| false,
                &HashSet::new(),
                &unsettled,
            );
        }
        assert_eq!(unsettled.lock().open.len(), OPEN_COLUMNS_MAX);
        let long = "x".repeat(100_000);
        let (_, told) = result(&unsettled, &AtomicBool::new(false), 3, 977, |_| [long.clone(), long.clone()]);
        assert_eq!(told, []);
    }
}
