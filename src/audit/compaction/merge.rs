//! Several files become one: read together in the order of time, and written as any file of the log.
//!
//! In: a group of files as the chain tells of them. Out: a file under its unfinished name, on the disk, and what the chain has to say of it. A
//! source whose bytes are not those that were sealed is refused, so that nothing that was altered is ever signed anew: it is copied into a
//! file that has no name, and what is hashed on the way is what is decoded. Memory: of each source that overlaps in time a page a column and some
//! rows, and what the writer holds of a row group (`pages`).

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use ::parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use arrow::array::RecordBatch;
use arrow::compute::{concat_batches, interleave_record_batch};
use arrow::datatypes::SchemaRef;

use super::plan::{Group, Source};
use crate::audit::chain::{Replaced, Sealed, hash_file};
use crate::audit::{Error, Place, folder, pages, parquet, schema};
use crate::system::{self, Written};

/// Rows that are written at a time, and the bytes of the batches that they come from.
const WRITTEN_ROWS: usize = 2_048;
const HELD_BYTES_MAX: usize = 2 << 20;
/// Rows of a batch of a source, and about how many bytes: many sources may be open.
const READ_ROWS: usize = 1_024;
const READ_BYTES: u64 = 256 << 10;
/// Runs of so many rows on the average are copied as runs, shorter ones row by row.
const RUN_ROWS: usize = 64;
/// The longest pause between two of those.
const PAUSE_MAX: Duration = Duration::from_millis(200);

/// A file that waits for its line and its name.
#[derive(Debug)]
pub(in crate::audit) struct Merged {
    pub unfinished: PathBuf,
    pub file: Sealed,
    pub replaces: Vec<Replaced>,
    /// The length of what it replaces.
    pub bytes_before: u64,
}

/// Whose files, and where they lie: what is made of them lies in the folder first.
#[derive(Clone, Copy)]
pub(super) struct Of<'o> {
    pub log: &'o Path,
    pub place: &'o Place,
    pub writer: &'o str,
}

/// How it is done.
#[derive(Clone, Copy)]
pub(super) struct Manner<'s> {
    /// Ends it early.
    pub stop: &'s AtomicBool,
    /// Leaves half of the time to others.
    pub gently: bool,
}

/// Makes one file of a group; `None` where it was stopped.
///
/// # Errors
/// A source is not as it was sealed, or the system refuses.
pub(super) fn merge(of: Of<'_>, group: &Group, manner: Manner<'_>) -> Result<Option<Merged>, Error> {
    let Of { log, writer, .. } = of;
    let sources = || group.sources.iter().map(|source| &source.file);
    let Some(first) = sources().next() else { return Ok(None) };
    let first_seq = first.first_seq;
    let last_seq = sources().map(|file| file.last_seq).max().unwrap_or(first_seq);
    let file = Sealed {
        path: format!("{}/{}", first.folder(), parquet::compacted_name(writer, first_seq, last_seq)),
        sha256: String::new(),
        bytes: 0,
        records: sources().map(|file| file.records).sum(),
        first_seq,
        last_seq,
        // Of one length: texts sort as times do. The plan has read them as times.
        first_at: sources().map(|file| &file.first_at).min().cloned().unwrap_or_default(),
        last_at: sources().map(|file| &file.last_at).max().cloned().unwrap_or_default(),
    };
    let unfinished = parquet::unfinished(&log.join(&file.path), writer);
    let written = write(of, &unfinished, group, &file, manner);
    if !matches!(written, Ok(true)) {
        let _ = system::remove(&unfinished);
        return written.map(|_| None);
    }
    let (sha256, bytes) = hash_file(&unfinished, &mut |_| {}).map_err(Error::io("read", &unfinished))?;
    let replaces = sources().map(|file| Replaced { path: file.path.clone(), sha256: file.sha256.clone() }).collect();
    let bytes_before = sources().map(|file| file.bytes).sum();
    Ok(Some(Merged { unfinished, file: Sealed { sha256, bytes, ..file }, replaces, bytes_before }))
}

/// `false`: it was stopped.
fn write(of: Of<'_>, path: &Path, group: &Group, sealed: &Sealed, manner: Manner<'_>) -> Result<bool, Error> {
    let file = created(path)?;
    let schema = &group.table.schema;
    let rows = usize::try_from(sealed.records).unwrap_or(usize::MAX);
    let seqs = (sealed.first_seq, sealed.last_seq);
    let properties = parquet::properties((of.writer, &group.said.key), seqs, schema, (rows, group.said.people))?;
    let mut parquet = pages::writer(&file, path, schema, schema, properties)?;
    let mut inputs = Inputs::new(of, group);
    let mut found = Found::default();
    let mut began = Instant::now();
    while let Some(batch) = inputs.next(schema)? {
        found.count(&batch);
        parquet.write(&batch).map_err(Error::parquet(path))?;
        if manner.stop.load(Ordering::Relaxed) {
            return Ok(false);
        }
        if manner.gently {
            std::thread::sleep(began.elapsed().min(PAUSE_MAX));
            began = Instant::now();
        }
    }
    let expected = Found { records: sealed.records, seqs: Some(seqs) };
    if found != expected {
        let what = format!("its sources hold {found:?}, and their lines in the chain say {expected:?}");
        return Err(Error::Damaged { path: of.log.join(&sealed.path), what });
    }
    parquet.close().map_err(Error::parquet(path))?;
    file.sync().map_err(Error::io("sync", path))?;
    Ok(true)
}

/// The file, and its folder: a spool's goes with the last file that went up from it, perhaps right now.
fn created(path: &Path) -> Result<Written, Error> {
    let create = || -> Result<io::Result<Written>, Error> {
        path.parent().map_or(Ok(()), folder::create)?;
        Ok(Written::create(path))
    };
    let created = match create()? {
        Err(error) if error.kind() == io::ErrorKind::NotFound => create()?,
        created => created,
    };
    created.map_err(Error::io("create", path))
}

/// What was read, beside what the chain says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    records: u64,
    seqs: Option<(u64, u64)>,
}

impl Found {
    fn count(&mut self, batch: &RecordBatch) {
        self.records += batch.num_rows() as u64;
        for seq in schema::numbers(batch, "seq").unwrap_or_default() {
            self.seqs = Some(self.seqs.map_or((*seq, *seq), |(first, last)| (first.min(*seq), last.max(*seq))));
        }
    }
}

/// A record's place in a file: `at`, then `seq`.
type Order = (i64, u64);

/// The sources: those that are read, and those whose time has not come.
struct Inputs<'g> {
    of: Of<'g>,
    waiting: VecDeque<&'g Source>,
    open: Vec<Input>,
}

/// One that is read.
struct Input {
    rest: Box<dyn Iterator<Item = Result<RecordBatch, Error>>>,
    batch: RecordBatch,
    row: usize,
}

/// Rows that follow each other in one batch.
struct Run {
    batch: RecordBatch,
    from: usize,
    rows: usize,
}

impl<'g> Inputs<'g> {
    fn new(of: Of<'g>, group: &'g Group) -> Inputs<'g> {
        let mut waiting: Vec<&Source> = group.sources.iter().collect();
        waiting.sort_by_key(|source| source.first_at);
        Inputs { of, waiting: waiting.into(), open: Vec::new() }
    }

    /// The next rows in order; `None` at the end.
    fn next(&mut self, schema: &SchemaRef) -> Result<Option<RecordBatch>, Error> {
        let mut taken = Taken::default();
        while taken.rows < WRITTEN_ROWS && taken.bytes < HELD_BYTES_MAX {
            let Some(run) = self.run(schema, WRITTEN_ROWS - taken.rows)? else { break };
            taken.add(&run);
        }
        taken.in_order(schema)
    }

    /// The next rows that come from one source.
    fn run(&mut self, schema: &SchemaRef, rows_max: usize) -> Result<Option<Run>, Error> {
        let least = |open: &[Input]| open.iter().enumerate().map(|(index, input)| (input.order(), index)).min();
        while let Some(next) = self.waiting.front()
            && least(&self.open).is_none_or(|((at, _), _)| next.first_at.0 <= at)
        {
            self.open.extend(Input::open(self.of, &next.file, schema)?);
            self.waiting.pop_front();
        }
        let Some((_, index)) = least(&self.open) else { return Ok(None) };
        let others = self.open.iter().enumerate().filter(|(other, _)| *other != index).map(|(_, input)| input.order());
        let until = others.chain(self.waiting.front().map(|next| (next.first_at.0, 0))).min();
        let run = self.open[index].take(until, rows_max);
        if !self.open[index].fill(schema)? {
            self.open.swap_remove(index);
        }
        Ok(Some(run))
    }
}

/// Runs that are written together.
#[derive(Default)]
struct Taken {
    rows: usize,
    /// Of the batches.
    bytes: usize,
    batches: Vec<RecordBatch>,
    /// Each with its batch, and where it begins.
    runs: Vec<(usize, usize, usize)>,
}

impl Taken {
    fn add(&mut self, run: &Run) {
        let is_it = |known: &RecordBatch| Arc::ptr_eq(known.column(0), run.batch.column(0));
        let batch = self.batches.iter().rposition(is_it).unwrap_or_else(|| {
            self.bytes += run.batch.get_array_memory_size();
            self.batches.push(run.batch.clone());
            self.batches.len() - 1
        });
        self.rows += run.rows;
        self.runs.push((batch, run.from, run.rows));
    }

    fn in_order(&self, schema: &SchemaRef) -> Result<Option<RecordBatch>, Error> {
        let slice = |(batch, from, rows): &(usize, usize, usize)| Some(self.batches.get(*batch)?.slice(*from, *rows));
        match self.runs.as_slice() {
            [] => Ok(None),
            [run] => Ok(slice(run)),
            runs if self.rows >= runs.len() * RUN_ROWS => {
                Ok(Some(concat_batches(schema, &runs.iter().filter_map(slice).collect::<Vec<_>>())?))
            }
            runs => {
                let places = runs.iter().flat_map(|(batch, from, rows)| (*from..from + rows).map(|row| (*batch, row)));
                let batches: Vec<&RecordBatch> = self.batches.iter().collect();
                Ok(Some(interleave_record_batch(&batches, &places.collect::<Vec<_>>())?))
            }
        }
    }
}

/// The rows of a source, a few at a time where they are long.
fn decoded(file: File, path: &Path) -> Result<Box<dyn Iterator<Item = Result<RecordBatch, Error>>>, Error> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(Error::parquet(path))?;
    let rows = builder.metadata().row_groups().iter().map(rows_at_a_time).min().unwrap_or(READ_ROWS);
    let reader = builder.with_batch_size(rows).build().map_err(Error::parquet(path))?;
    Ok(Box::new(reader.map(|batch| Ok(batch?))))
}

fn rows_at_a_time(group: &RowGroupMetaData) -> usize {
    let rows = u64::try_from(group.num_rows()).unwrap_or(0);
    let texts = group.columns().iter().filter_map(ColumnChunkMetaData::unencoded_byte_array_data_bytes);
    let texts: u64 = texts.filter_map(|bytes| u64::try_from(bytes).ok()).sum();
    let fits = READ_BYTES.saturating_mul(rows) / texts.max(1);
    usize::try_from(fits).unwrap_or(READ_ROWS).clamp(1, READ_ROWS)
}

impl Input {
    /// `None`: it has no row.
    fn open(of: Of<'_>, file: &Sealed, schema: &SchemaRef) -> Result<Option<Input>, Error> {
        let path = match of.place.store() {
            None => of.log.join(&file.path),
            Some(store) => PathBuf::from(format!("{}/{}", store.url(), file.path)),
        };
        let damaged = |path, what: &str| {
            let what = format!("{what} since it was sealed, and is left as it is; `mitsuke verify` tells more");
            Err(Error::Damaged { path, what })
        };
        let beside = folder::journal(of.log, of.writer);
        let copy = system::unnamed(&beside).map_err(Error::io("create a file in", &beside))?;
        let Some(sha256) = of.place.copy(&file.path, &copy, &beside)? else { return damaged(path, "it was removed") };
        if sha256 != file.sha256 {
            return damaged(path, "it was altered");
        }
        let rest = decoded(copy, &path)?;
        let mut input = Input { rest, batch: RecordBatch::new_empty(Arc::clone(schema)), row: 0 };
        Ok(input.fill(schema)?.then_some(input))
    }

    /// Sees to it that there is a next row; `false` at the end.
    fn fill(&mut self, schema: &SchemaRef) -> Result<bool, Error> {
        while self.row >= self.batch.num_rows() {
            let Some(batch) = self.rest.next() else { return Ok(false) };
            (self.batch, self.row) = (schema::conform(&batch?, schema)?, 0);
        }
        Ok(true)
    }

    fn order(&self) -> Order {
        let at = schema::times(&self.batch, "at").and_then(|times| times.get(self.row));
        let seq = schema::numbers(&self.batch, "seq").and_then(|seqs| seqs.get(self.row));
        (at.copied().unwrap_or_default(), seq.copied().unwrap_or_default())
    }

    /// Its rows before `until`, one at least, so many at most.
    fn take(&mut self, until: Option<Order>, rows_max: usize) -> Run {
        let times = schema::times(&self.batch, "at").unwrap_or_default();
        let seqs = schema::numbers(&self.batch, "seq").unwrap_or_default();
        let rest = times.iter().zip(seqs).skip(self.row).take(rows_max.max(1));
        let rows = rest.take_while(|(at, seq)| until.is_none_or(|until| (**at, **seq) < until)).count().max(1);
        let run = Run { batch: self.batch.clone(), from: self.row, rows };
        self.row += rows;
        run
    }
}
