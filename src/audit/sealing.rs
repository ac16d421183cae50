//! Sealing: a journal's records → Parquet files, one a table and UTC date.
//!
//! In: one writer's journal. Out: `LOG/<table>/dt=YYYY-MM-DD/<writer>-<first_seq>.parquet`, sorted by `at`, each under its name only when it
//! is whole and on the disk. Refuses to write a record that a file of its partition has already. Memory: where each row lies, and the
//! batches and the rows that are under way, of some columns at a time (`pages`); not the journal.
//!
//! A crash may fall between the files of one sealing. Records of one date are sealed in the order of their numbers, so that within a partition
//! everything up to its newest file's `last_seq` is sealed, and nothing beyond: that decides for each record of the journal, after a crash
//! and while others read ([`sealed_through`]).

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use ahash::RandomState;
use arrow::array::{
    Array, ArrayRef, AsArray, DictionaryArray, Int32Array, ListArray, RecordBatch, UInt32Array, new_empty_array,
    new_null_array,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{interleave, take_record_batch};
use arrow::datatypes::{DataType, Int32Type, Schema, SchemaRef};
use arrow::error::ArrowError;

use super::chain::{Chain, Sealed};
use super::journal::{Lies, Reader};
use super::pages::{Abreast, RowGroups};
use super::parquet::{self, file_name, sealed_through, unfinished};
use super::schema::{self, TableInfo};
use super::{Error, folder};
use crate::clock::Timestamp;
use crate::system::{self, Written};

/// Rows that are written at a time, and as many bytes of the journal.
const WRITTEN_ROWS: usize = 2_048;
const WRITTEN_BYTES: usize = 1 << 19;
/// Bytes of the journal whose rows are one row group at most.
const GROUP_BYTES_MAX: usize = 32 << 20;
/// Batches of the journal that are held together, bytes.
const HELD_BYTES_MAX: usize = 2 << 20;

/// Microseconds of a UTC date.
const DAY_US: i64 = 86_400_000_000;

/// Whose files they are.
#[derive(Clone, Copy)]
pub struct By<'b> {
    pub log: &'b Path,
    pub writer: &'b str,
    /// The key file's id.
    pub key: &'b str,
}

/// A row, and where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    at: i64,
    seq: u64,
    batch: u32,
    row: u32,
}

/// Seals what a journal holds in these batches; those records that are sealed already are left out. How many files were made.
///
/// # Errors
/// The system refuses. What is sealed by then stays; calling again with the same batches seals the rest.
pub fn seal(by: By<'_>, journal: &mut Reader, batches: Vec<Lies>, chain: &mut Chain) -> Result<usize, Error> {
    let mut files = 0;
    for table in schema::tables() {
        let of_table: Vec<Lies> = batches.iter().filter(|lies| lies.table.name == table.name).cloned().collect();
        if !of_table.is_empty() {
            files += seal_table(by, table, &mut Batches::new(journal, of_table, table), chain)?;
        }
    }
    Ok(files)
}

fn seal_table(by: By<'_>, table: &TableInfo, batches: &mut Batches<'_>, chain: &mut Chain) -> Result<usize, Error> {
    let mut files = 0;
    let rows = batches.rows()?;
    for rows in rows.chunk_by(|one, other| one.at.div_euclid(DAY_US) == other.at.div_euclid(DAY_US)) {
        let Some(date) = rows.first().map(|row| Timestamp(row.at).utc_date()) else { continue };
        // The newest file may be gone into a store; its chain still tells of it.
        let told = chain.sealed_through(&format!("{}/dt={date}", table.name));
        let sealed = sealed_through(by.log, table.name, &date, by.writer)?.max(told);
        let rows: Cow<'_, [Row]> = match rows.iter().all(|row| row.seq > sealed) {
            true => rows.into(),
            false => rows.iter().filter(|row| row.seq > sealed).copied().collect(),
        };
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else { continue };
        let first_seq = rows.iter().map(|row| row.seq).min().unwrap_or(first.seq);
        let sealed = Sealed {
            path: format!("{}/dt={date}/{}", table.name, file_name(by.writer, first_seq)),
            sha256: String::new(),
            bytes: 0,
            records: rows.len() as u64,
            first_seq,
            last_seq: rows.iter().map(|row| row.seq).max().unwrap_or(last.seq),
            first_at: Timestamp(first.at).to_string(),
            last_at: Timestamp(last.at).to_string(),
        };
        write(by, &rows, batches, sealed, chain)?;
        files += 1;
    }
    Ok(files)
}

/// Writes one file: under a dotted name, then to the disk, then into the chain, then under its own name.
fn write(by: By<'_>, rows: &[Row], batches: &mut Batches<'_>, sealed: Sealed, chain: &mut Chain) -> Result<(), Error> {
    let path = by.log.join(&sealed.path);
    let folder = path.parent().unwrap_or(Path::new("."));
    folder::create(folder)?;
    let unfinished = unfinished(&path, by.writer);
    let written = write_unfinished(&unfinished, by, (sealed.first_seq, sealed.last_seq), rows, batches)
        .and_then(|()| chain.seal(&unfinished, sealed));
    if let Err(error) = written {
        let _ = system::remove(&unfinished);
        return Err(error);
    }
    chain.name(&unfinished, &path)?;
    folder::sync(folder)?;
    // The partition's own name.
    folder.parent().map_or(Ok(()), folder::sync)
}

fn write_unfinished(
    path: &Path,
    by: By<'_>,
    seqs: (u64, u64),
    mut rows: &[Row],
    batches: &mut Batches<'_>,
) -> Result<(), Error> {
    let file = Written::create(path).map_err(Error::io("create", path))?;
    let TableInfo { schema, coded, .. } = batches.table;
    // How many people are in it is asked of large files, which no journal makes.
    let properties = parquet::properties((by.writer, by.key), seqs, schema, (rows.len(), 0))?;
    let group_rows_max = properties.max_row_group_row_count().unwrap_or(rows.len());
    let mut parquet = RowGroups::new(&file, path, schema, coded, properties, Abreast::All)?;
    while !rows.is_empty() {
        let (group, rest) = rows.split_at(batches.fit(rows, group_rows_max, GROUP_BYTES_MAX));
        parquet.write(|columns, to| {
            batches.turn_to(columns);
            let mut group = group;
            while !group.is_empty() {
                let (now, rest) = group.split_at(batches.fit(group, WRITTEN_ROWS, WRITTEN_BYTES));
                to.write(&batches.take(now)?)?;
                group = rest;
            }
            Ok(true)
        })?;
        rows = rest;
    }
    parquet.close()?;
    file.sync().map_err(Error::io("sync", path))
}

/// One table's batches of a journal, each read when its rows are wanted.
struct Batches<'j> {
    journal: &'j mut Reader,
    lie: Vec<Lies>,
    table: &'j TableInfo,
    /// What is read of them.
    columns: SchemaRef,
    /// How long a row of each is, bytes: what is long is in batches of its own.
    row_bytes: Vec<usize>,
    /// Those that the last rows came from: the next do, too.
    held: HashMap<u32, RecordBatch, RandomState>,
}

impl<'j> Batches<'j> {
    fn new(journal: &'j mut Reader, lie: Vec<Lies>, table: &'j TableInfo) -> Batches<'j> {
        let columns = Arc::clone(&table.coded);
        Batches { journal, lie, table, columns, row_bytes: Vec::new(), held: HashMap::default() }
    }

    /// Reads these columns from now on.
    fn turn_to(&mut self, columns: &SchemaRef) {
        self.columns = Arc::clone(columns);
        self.held.clear();
    }

    /// All rows, sorted by `at`, then `seq`.
    fn rows(&mut self) -> Result<Vec<Row>, Error> {
        let columns = ["seq", "at"].map(|name| self.table.schema.field_with_name(name).cloned());
        let columns: SchemaRef = Arc::new(Schema::new(columns.into_iter().collect::<Result<Vec<_>, _>>()?));
        let mut rows = Vec::new();
        for (batch, lies) in (0..).zip(&self.lie) {
            let found = self.journal.columns(lies, &columns)?;
            let times = schema::times(&found, "at").unwrap_or_default();
            let seqs = schema::numbers(&found, "seq").unwrap_or_default();
            // Most batches are as long as the first.
            if rows.is_empty() {
                rows.reserve(found.num_rows().saturating_mul(self.lie.len()));
            }
            rows.extend((0..).zip(times.iter().zip(seqs)).map(|(row, (at, seq))| Row {
                at: *at,
                seq: *seq,
                batch,
                row,
            }));
            self.row_bytes.push(lies.bytes / found.num_rows().max(1));
        }
        rows.sort_unstable();
        Ok(rows)
    }

    /// How many of the next rows are so many at most, and so many bytes of the journal; one at least.
    fn fit(&self, rows: &[Row], rows_max: usize, bytes_max: usize) -> usize {
        let mut bytes = 0;
        let fits = rows.iter().take(rows_max).take_while(|row| {
            bytes += self.row_bytes.get(row.batch as usize).copied().unwrap_or(0);
            bytes <= bytes_max
        });
        fits.count().max(1)
    }

    /// These rows. Where they come from more than can be held together, from one batch after the other.
    fn take(&mut self, rows: &[Row]) -> Result<RecordBatch, Error> {
        let mut from: Vec<u32> = rows.iter().map(|row| row.batch).collect();
        from.sort_unstable();
        from.dedup();
        let bytes: usize = from.iter().filter_map(|batch| self.lie.get(*batch as usize)).map(|lies| lies.bytes).sum();
        let place = |row: &Row| from.binary_search(&row.batch).unwrap_or(0);
        if bytes <= HELD_BYTES_MAX {
            self.held.retain(|batch, _| from.binary_search(batch).is_ok());
            for batch in &from {
                if !self.held.contains_key(batch) {
                    let read = self.read(*batch)?;
                    self.held.insert(*batch, read);
                }
            }
            let held: Vec<&RecordBatch> = from.iter().filter_map(|batch| self.held.get(batch)).collect();
            let places: Vec<(usize, usize)> = rows.iter().map(|row| (place(row), row.row as usize)).collect();
            return Ok(interleaved(&held, &places)?);
        }
        self.held.clear();
        let plain = self.table.schema.fields().iter().filter(|field| self.columns.index_of(field.name()).is_ok());
        let plain: SchemaRef = Arc::new(Schema::new(plain.cloned().collect::<Vec<_>>()));
        let mut parts = Vec::new();
        for batch in &from {
            let of_batch: UInt32Array = rows.iter().filter(|row| row.batch == *batch).map(|row| row.row).collect();
            // As texts: codes would hold all texts of their batch.
            parts.push(schema::conform(&take_record_batch(&self.read(*batch)?, &of_batch)?, &plain)?);
        }
        let mut taken = vec![0; from.len()];
        let places = rows.iter().map(|row| {
            let part = place(row);
            taken[part] += 1;
            (part, taken[part] - 1)
        });
        Ok(interleaved(&parts.iter().collect::<Vec<_>>(), &places.collect::<Vec<_>>())?)
    }

    fn read(&mut self, batch: u32) -> Result<RecordBatch, Error> {
        let lies = self
            .lie
            .get(batch as usize)
            .ok_or_else(|| arrow::error::ArrowError::InvalidArgumentError("no such batch".to_owned()))?;
        self.journal.columns(lies, &self.columns)
    }
}

/// The rows at these places: which batch, and which of its rows. One batch at least.
fn interleaved(batches: &[&RecordBatch], places: &[(usize, usize)]) -> Result<RecordBatch, ArrowError> {
    let schema = batches.first().map(|batch| batch.schema()).unwrap_or_else(|| Arc::new(Schema::empty()));
    let columns = (0..schema.fields().len()).map(|column| {
        let arrays: Vec<&dyn Array> = batches.iter().map(|batch| batch.column(column).as_ref()).collect();
        alike(&arrays, places.len()).map_or_else(|| interleave(&arrays, places), Ok)
    });
    RecordBatch::try_new(Arc::clone(&schema), columns.collect::<Result<_, _>>()?)
}

/// So many rows of a column in which all are the same, as in most: there is no need to go through them.
fn alike(arrays: &[&dyn Array], rows: usize) -> Option<ArrayRef> {
    let first = arrays.first()?;
    if arrays.iter().all(|array| array.null_count() == array.len()) {
        return Some(new_null_array(first.data_type(), rows));
    }
    if arrays.iter().any(|array| array.null_count() > 0) {
        return None;
    }
    match first.data_type() {
        DataType::Dictionary(..) => {
            let text = first.as_dictionary_opt::<Int32Type>()?.values();
            let is_it = |array: &&dyn Array| {
                let texts = array.as_dictionary_opt::<Int32Type>().map(DictionaryArray::values);
                texts.is_some_and(|texts| texts.len() == 1 && texts == text)
            };
            let codes = || DictionaryArray::<Int32Type>::new(Int32Array::from(vec![0; rows]), Arc::clone(text));
            arrays.iter().all(is_it).then(|| Arc::new(codes()) as ArrayRef)
        }
        DataType::List(item) => {
            let is_empty =
                |array: &&dyn Array| array.as_list_opt::<i32>().is_some_and(|lists| lists.values().is_empty());
            let nothing = || new_empty_array(item.data_type());
            let empty = || ListArray::try_new(Arc::clone(item), OffsetBuffer::new_zeroed(rows), nothing(), None).ok();
            arrays.iter().all(is_empty).then(empty).flatten().map(|lists| Arc::new(lists) as ArrayRef)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use arrow::compute::interleave_record_batch;

    use super::*;
    use crate::record::{Kind, Statement, Text};

    #[test]
    fn rows_of_several_batches_are_the_same_whether_their_columns_are_gone_through_or_not() {
        let batch = |from: u64, user: fn(u64) -> Option<&'static str>, relations: usize| {
            let of = |number: u64| Statement {
                statement_no: number,
                kind: Some(Kind::Select),
                db_user: user(number).map(Text::from),
                relations: Some(vec![Text::from("shop.orders"); relations].into()),
                literals: Some([Text::from(format!("{number:032x}"))].into()),
                duration_us: (!number.is_multiple_of(3)).then_some(number),
                ..Statement::default()
            };
            let records: Vec<Statement> = (from..from + 100).map(of).collect();
            let batch = schema::encode(&records).unwrap();
            assert!(batch.schema() == schema::tables()[0].coded);
            batch
        };
        let (one, none) = (|_| Some("clerk"), |_| None);
        let batches = [
            batch(0, one, 0),
            batch(100, one, 0),
            batch(200, none, 0),
            batch(300, none, 2),
            batch(400, |number| number.is_multiple_of(2).then_some("clerk"), 1),
            batch(500, |number| Some(if number.is_multiple_of(2) { "clerk" } else { "other" }), 0),
            batch(600, |_| Some("other"), 0),
        ];
        let places: Vec<(usize, usize)> = (0..150).map(|row| (row % 2, row * 7 % 100)).collect();
        for (one, other) in (0..batches.len()).flat_map(|one| (0..batches.len()).map(move |other| (one, other))) {
            let two = [&batches[one], &batches[other]];
            let (ours, theirs) = (interleaved(&two, &places).unwrap(), interleave_record_batch(&two, &places).unwrap());
            let records = |batch| schema::decode::<Statement>(batch).unwrap();
            assert_eq!(records(&ours), records(&theirs), "{one} and {other}");
            assert_eq!(ours.schema(), theirs.schema());
        }
    }
}
