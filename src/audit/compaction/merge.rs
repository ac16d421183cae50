//! Several files become one: read together in the order of time, and written as any file of the log.
//!
//! In: a group of files as the chain tells of them. Out: a file under its unfinished name, on the disk, and what the chain has to say of it. A
//! source whose bytes are not those that were sealed is refused, so that nothing that was altered is ever signed anew (`copies`). The sources are
//! gone through once for every few columns of a row group (`pages`). Memory: of each source that overlaps in time a page a column and some
//! rows, of those columns, and what the writer holds of them.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ::parquet::arrow::ProjectionMask;
use ::parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use ::parquet::file::metadata::{ColumnChunkMetaData, PageIndexPolicy, ParquetMetaData, RowGroupMetaData};
use ::parquet::file::page_index::offset_index::OffsetIndexMetaData;
use arrow::array::RecordBatch;
use arrow::compute::{concat_batches, interleave_record_batch};
use arrow::datatypes::{FieldRef, Schema, SchemaRef};

use super::copies::{self, Copies, Copy};
use super::plan::{Group, Source};
use crate::audit::chain::{Replaced, Sealed, hash_file};
use crate::audit::pages::{Abreast, RowGroups};
use crate::audit::schema::TableInfo;
use crate::audit::{Error, Place, folder, parquet, schema};
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
    let TableInfo { schema, coded, .. } = group.table;
    let rows = usize::try_from(sealed.records).unwrap_or(usize::MAX);
    let seqs = (sealed.first_seq, sealed.last_seq);
    let properties = parquet::properties((of.writer, &group.said.key), seqs, schema, (rows, group.said.people))?;
    let all_rows_max = rows_of_group(properties.max_row_group_row_count().unwrap_or(rows), group, sealed.records);
    let mut parquet = RowGroups::new(&file, path, schema, coded, properties, Abreast::Few)?;
    let mut sources = Sources::new(of, group)?;
    let mut found = Found::default();
    let (mut from, mut pace) = (Places::default(), Pace::new(manner));
    while sources.has_more(&from) {
        let mut through = None;
        let is_written = parquet.write(|columns, to| {
            let wanted = with_order(coded, columns);
            let mut inputs = Inputs::new(&mut sources, &from, &wanted)?;
            let mut rows_left = all_rows_max;
            while let Some(batch) = inputs.next(rows_left)? {
                rows_left -= batch.num_rows();
                if through.is_none() {
                    found.count(&batch);
                }
                to.write(&batch)?;
                if !pace.goes_on() {
                    return Ok(false);
                }
            }
            through = Some(inputs.places());
            Ok(true)
        })?;
        if !is_written {
            return Ok(false);
        }
        from = through.unwrap_or_default();
    }
    let expected = Found { records: sealed.records, seqs: Some(seqs) };
    if found != expected {
        let what = format!("its sources hold {found:?}, and their lines in the chain say {expected:?}");
        return Err(Error::Damaged { path: of.log.join(&sealed.path), what });
    }
    parquet.close()?;
    file.sync().map_err(Error::io("sync", path))?;
    Ok(true)
}

/// Rows of a row group, of which there may be so many, by how long rows are on the average.
fn rows_of_group(rows_max: usize, group: &Group, records: u64) -> usize {
    let bytes: u64 = group.sources.iter().map(|source| source.file.bytes).sum();
    let fits = parquet::ROW_GROUP_BYTES_MAX.saturating_mul(records) / bytes.max(1);
    usize::try_from(fits).unwrap_or(rows_max).clamp(1, rows_max.max(1))
}

/// These columns, and those that say in which order rows are.
fn with_order(schema: &SchemaRef, columns: &SchemaRef) -> SchemaRef {
    let is_wanted = |name: &str| matches!(name, "at" | "seq") || columns.index_of(name).is_ok();
    let fields = schema.fields().iter().filter(|field| is_wanted(field.name()));
    Arc::new(Schema::new(fields.cloned().collect::<Vec<_>>()))
}

/// How long it may take, and whether it is to go on.
struct Pace<'s> {
    manner: Manner<'s>,
    began: Instant,
}

impl<'s> Pace<'s> {
    fn new(manner: Manner<'s>) -> Pace<'s> {
        Pace { manner, began: Instant::now() }
    }

    /// Between two batches.
    fn goes_on(&mut self) -> bool {
        if self.manner.gently && !self.manner.stop.load(Ordering::Relaxed) {
            std::thread::sleep(self.began.elapsed().min(PAUSE_MAX));
            self.began = Instant::now();
        }
        !self.manner.stop.load(Ordering::Relaxed)
    }
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

/// The sources, in the order in which they begin. Each is copied when it is first read.
struct Sources<'g> {
    of: Of<'g>,
    sources: Vec<(&'g Source, Option<Copy>)>,
    copies: Copies,
}

/// How far the sources are read: between two row groups.
#[derive(Clone, Default)]
struct Places {
    /// Each with its rows that are taken.
    open: Vec<(usize, usize)>,
    /// The first whose time has not come.
    waiting: usize,
}

/// The sources as they are read for some columns: those that are, and those whose time has not come.
struct Inputs<'s, 'g> {
    sources: &'s mut Sources<'g>,
    schema: SchemaRef,
    waiting: usize,
    open: Vec<Input>,
}

/// One that is read.
struct Input {
    source: usize,
    rest: Box<dyn Iterator<Item = Result<RecordBatch, Error>>>,
    /// Rows before the batch.
    before: usize,
    batch: RecordBatch,
    row: usize,
}

/// Rows that follow each other in one batch.
struct Run {
    batch: RecordBatch,
    from: usize,
    rows: usize,
}

impl<'g> Sources<'g> {
    fn new(of: Of<'g>, group: &'g Group) -> Result<Sources<'g>, Error> {
        let mut sources: Vec<_> = group.sources.iter().map(|source| (source, None)).collect();
        sources.sort_by_key(|(source, _)| source.first_at);
        Ok(Sources { of, sources, copies: Copies::new(of)? })
    }

    fn has_more(&self, places: &Places) -> bool {
        !places.open.is_empty() || places.waiting < self.sources.len()
    }

    fn first_at(&self, source: usize) -> Option<i64> {
        self.sources.get(source).map(|(source, _)| source.first_at.0)
    }

    /// A source's rows but for so many; `None`: there is none.
    fn open(&mut self, source: usize, taken: usize, schema: &SchemaRef) -> Result<Option<Input>, Error> {
        let Some((of_chain, copied)) = self.sources.get_mut(source) else { return Ok(None) };
        let copy = match copied {
            Some(copy) => copy.clone(),
            None => copied.insert(self.copies.copy(self.of, &of_chain.file)?).clone(),
        };
        let rest = decoded(copy, taken, schema, &copies::path(self.of, &of_chain.file))?;
        let batch = RecordBatch::new_empty(Arc::clone(schema));
        let mut input = Input { source, rest, before: taken, batch, row: 0 };
        Ok(input.fill(schema)?.then_some(input))
    }
}

impl<'s, 'g> Inputs<'s, 'g> {
    fn new(sources: &'s mut Sources<'g>, from: &Places, schema: &SchemaRef) -> Result<Inputs<'s, 'g>, Error> {
        let mut open = Vec::new();
        for (source, taken) in &from.open {
            open.extend(sources.open(*source, *taken, schema)?);
        }
        Ok(Inputs { sources, schema: Arc::clone(schema), waiting: from.waiting, open })
    }

    fn places(&self) -> Places {
        let open = self.open.iter().map(|input| (input.source, input.before + input.row)).collect();
        Places { open, waiting: self.waiting }
    }

    /// The next rows in order, so many at most; `None` at the end.
    fn next(&mut self, rows_max: usize) -> Result<Option<RecordBatch>, Error> {
        let (mut taken, rows_max) = (Taken::default(), rows_max.min(WRITTEN_ROWS));
        while taken.rows < rows_max && taken.bytes < HELD_BYTES_MAX {
            let Some(run) = self.run(rows_max - taken.rows)? else { break };
            taken.add(&run);
        }
        taken.in_order(&self.schema)
    }

    /// The next rows that come from one source.
    fn run(&mut self, rows_max: usize) -> Result<Option<Run>, Error> {
        let least = |open: &[Input]| open.iter().enumerate().map(|(index, input)| (input.order(), index)).min();
        while let Some(first_at) = self.sources.first_at(self.waiting)
            && least(&self.open).is_none_or(|((at, _), _)| first_at <= at)
        {
            self.open.extend(self.sources.open(self.waiting, 0, &self.schema)?);
            self.waiting += 1;
        }
        let Some((_, index)) = least(&self.open) else { return Ok(None) };
        let others = self.open.iter().enumerate().filter(|(other, _)| *other != index).map(|(_, input)| input.order());
        let until = others.chain(self.sources.first_at(self.waiting).map(|first_at| (first_at, 0))).min();
        let run = self.open[index].take(until, rows_max);
        if !self.open[index].fill(&self.schema)? {
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

/// The rows of a source behind those that were taken, of the columns that are wanted and there, a few at a time where they are long.
fn decoded(
    copy: Copy,
    taken: usize,
    wanted: &SchemaRef,
    path: &Path,
) -> Result<Box<dyn Iterator<Item = Result<RecordBatch, Error>>>, Error> {
    let options = ArrowReaderOptions::new().with_offset_index_policy(PageIndexPolicy::Optional);
    let there = ArrowReaderMetadata::load(&copy, options.clone()).map_err(Error::parquet(path))?;
    // Texts as codes where they are wanted so: those of a dictionary are not copied for each row.
    let codes = |field: &FieldRef| match wanted.field_with_name(field.name()) {
        Ok(wanted) if *wanted == schema::as_codes(field) => Arc::new(wanted.clone()),
        _ => Arc::clone(field),
    };
    let fields = there.schema().fields().iter().map(codes).collect::<Vec<_>>();
    let options = options.with_schema(Arc::new(Schema::new(fields)));
    let there = ArrowReaderMetadata::try_new(Arc::clone(there.metadata()), options).map_err(Error::parquet(path))?;
    let rows = rows_at_a_time(there.metadata(), wanted);
    let roots = there.schema().fields().iter().enumerate();
    let roots = roots.filter(|(_, field)| wanted.index_of(field.name()).is_ok()).map(|(index, _)| index);
    let columns = ProjectionMask::roots(there.parquet_schema(), roots);
    let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(copy, there);
    let builder = builder.with_projection(columns).with_offset(taken).with_batch_size(rows);
    let reader = builder.build().map_err(Error::parquet(path))?;
    Ok(Box::new(reader.map(|batch| Ok(batch?))))
}

/// As many as have few enough bytes of text in the pages whose rows are the longest.
fn rows_at_a_time(file: &ParquetMetaData, wanted: &SchemaRef) -> usize {
    let is_wanted = |name: Option<&String>| name.is_some_and(|name| wanted.index_of(name).is_ok());
    let most = |(number, group): (usize, &RowGroupMetaData)| -> u64 {
        let columns = group.columns().iter().enumerate();
        let columns = columns.filter(|(_, column)| is_wanted(column.column_path().parts().first()));
        let pages = |column: usize| file.offset_index()?.get(number)?.get(column);
        columns.map(|(index, column)| row_bytes(group.num_rows(), column, pages(index))).sum()
    };
    let most = file.row_groups().iter().enumerate().map(most).max().unwrap_or(0);
    usize::try_from(READ_BYTES / most.max(1)).unwrap_or(READ_ROWS).clamp(1, READ_ROWS)
}

/// How much text a row of a column has, in the page where it is the most.
fn row_bytes(rows: i64, column: &ColumnChunkMetaData, pages: Option<&OffsetIndexMetaData>) -> u64 {
    let average = |bytes: i64, rows: i64| u64::try_from(bytes / rows.max(1)).unwrap_or(0);
    let of_all = average(column.unencoded_byte_array_data_bytes().unwrap_or(0), rows);
    let Some(pages) = pages else { return of_all };
    let begin = pages.page_locations().iter().map(|page| page.first_row_index);
    let ends = begin.clone().skip(1).chain([rows]);
    let bytes = pages.unencoded_byte_array_data_bytes().into_iter().flatten();
    begin.zip(ends).zip(bytes).map(|((begin, end), bytes)| average(*bytes, end - begin)).max().unwrap_or(of_all)
}

impl Input {
    /// Sees to it that there is a next row; `false` at the end.
    fn fill(&mut self, schema: &SchemaRef) -> Result<bool, Error> {
        while self.row >= self.batch.num_rows() {
            let Some(batch) = self.rest.next() else { return Ok(false) };
            self.before += self.batch.num_rows();
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
