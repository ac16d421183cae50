//! The reading end of the log: Parquet files and journals of every writer, as one.
//!
//! In: a log's folder, which others may be writing. Out: for each table a [`Snapshot`]: its Parquet files, and the
//! committed records that are in none of them. No record is missing and none comes twice, whatever is sealed meanwhile:
//! the journals are read first, the files are listed then, and a record of the journal that a listed file holds
//! is passed over. Writes nothing; a log on a read-only file system will do.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::path::{Path, PathBuf};

use ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;

use super::chain::{self, FileTimes};
use super::schema::{self, TableInfo};
use super::{Error, folder, journal, parquet};
use crate::clock::Timestamp;
use crate::record::Table;

/// Rows of a batch read from a Parquet file.
const BATCH_ROWS: usize = 8192;

/// A log, to read.
#[derive(Clone, Debug)]
pub struct Lake {
    path: PathBuf,
}

/// One Parquet file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LakeFile {
    /// Its partition, `YYYY-MM-DD`.
    pub date: String,
    /// Who wrote it.
    pub writer: String,
    /// The lowest number in it.
    pub first_seq: u64,
    /// Where it lies.
    pub path: PathBuf,
    /// Its length, bytes.
    pub bytes: u64,
}

/// A table as it stood at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The table.
    pub table: &'static TableInfo,
    /// Its files, by date, writer and number.
    pub files: Vec<LakeFile>,
    /// Committed records that are in no file, by date.
    pub journal: Vec<(String, RecordBatch)>,
}

impl Lake {
    /// Opens a log.
    ///
    /// # Errors
    /// There is no such folder, or it is none of a log.
    pub fn open(path: &Path) -> Result<Lake, Error> {
        std::fs::read_dir(path).map_err(Error::io("open the log", path))?;
        let is_log =
            folder::journals(path).is_dir() || schema::tables().iter().any(|table| path.join(table.name).is_dir());
        if is_log { Ok(Lake { path: path.to_path_buf() }) } else { Err(Error::NotALog(path.to_path_buf())) }
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Every table, the journals read once.
    ///
    /// # Errors
    /// Something cannot be read.
    pub fn snapshots(&self) -> Result<Vec<Snapshot>, Error> {
        let journals = self.journals()?;
        schema::tables().iter().map(|table| self.snapshot_after(table, &journals)).collect()
    }

    /// When the records of a table's files of these dates began, as the chains tell it, by the files' names. What no chain tells of is not
    /// in it; nothing is proven here.
    ///
    /// # Errors
    /// A chain cannot be read.
    pub fn times(&self, table: &str, dates: &BTreeSet<String>) -> Result<HashMap<String, FileTimes>, Error> {
        chain::times(&self.path, table, dates)
    }

    /// One table.
    ///
    /// # Errors
    /// Something cannot be read.
    pub fn snapshot<T: Table>(&self) -> Result<Snapshot, Error> {
        let journals = self.journals()?;
        let unknown = || Error::Damaged { path: self.path.clone(), what: format!("it has no table {}", T::NAME) };
        let table = schema::tables().iter().find(|table| table.name == T::NAME).ok_or_else(unknown)?;
        self.snapshot_after(table, &journals)
    }

    /// The names of the key files under which what is sealed of a table was hashed, see [`super::Key::name`]; none of files that
    /// say nothing of it.
    ///
    /// # Errors
    /// Something cannot be read.
    pub fn keys<T: Table>(&self) -> Result<BTreeSet<String>, Error> {
        let mut keys = BTreeSet::new();
        for file in self.snapshot::<T>()?.files {
            keys.extend(parquet::said(&file.path, parquet::META_KEY)?.filter(|key| !key.is_empty()));
        }
        Ok(keys)
    }

    /// The rows of one table, of files and journals, as batches; `range`: only those with `at` in it, the start
    /// included, the end not.
    ///
    /// # Errors
    /// Something cannot be read: the first item, or a later one.
    pub fn batches<T: Table>(
        &self,
        range: Option<(Timestamp, Timestamp)>,
    ) -> impl Iterator<Item = Result<RecordBatch, Error>> + use<T> {
        let (batches, error) = match self.snapshot::<T>() {
            Ok(snapshot) => (Some(snapshot.into_batches(range)), None),
            Err(error) => (None, Some(Err(error))),
        };
        error.into_iter().chain(batches.into_iter().flatten())
    }

    /// The same rows as records.
    ///
    /// # Errors
    /// As [`Lake::batches`].
    pub fn records<T: Table>(
        &self,
        range: Option<(Timestamp, Timestamp)>,
    ) -> impl Iterator<Item = Result<T, Error>> + use<T> {
        self.batches::<T>(range).flat_map(|batch| {
            let decoded = batch.and_then(|batch| Ok(schema::decode::<T>(&batch)?));
            let (records, error) = match decoded {
                Ok(records) => (records, None),
                Err(error) => (Vec::new(), Some(Err(error))),
            };
            error.into_iter().chain(records.into_iter().map(Ok))
        })
    }

    /// The committed batches of every writer's journal.
    fn journals(&self) -> Result<Vec<(String, &'static str, RecordBatch)>, Error> {
        let mut batches = Vec::new();
        for writer in folder::names(&folder::journals(&self.path))? {
            for (_, path) in folder::numbered(&folder::records(&self.path, &writer), journal::EXTENSION)? {
                let contents = journal::read(&path)?;
                batches.extend(contents.batches.into_iter().map(|(table, batch)| (writer.clone(), table, batch)));
            }
        }
        Ok(batches)
    }

    fn snapshot_after(
        &self,
        table: &'static TableInfo,
        journals: &[(String, &'static str, RecordBatch)],
    ) -> Result<Snapshot, Error> {
        let files = self.files(table.name)?;
        let mut sealed = Sealed { files: &files, known: HashMap::new() };
        let mut journal = Vec::new();
        for (writer, _, batch) in journals.iter().filter(|(_, name, _)| *name == table.name) {
            sealed.split(writer, batch, &mut journal)?;
        }
        Ok(Snapshot { table, files, journal })
    }

    fn files(&self, table: &str) -> Result<Vec<LakeFile>, Error> {
        let folder = self.path.join(table);
        let mut files = Vec::new();
        for partition in folder::names(&folder)? {
            let Some(date) = partition.strip_prefix("dt=") else { continue };
            let partition = folder.join(&partition);
            for name in folder::names(&partition)? {
                let Some((writer, first_seq)) = parquet::parse_name(&name) else { continue };
                let path = partition.join(&name);
                let bytes = std::fs::metadata(&path).map_err(Error::io("read", &path))?.len();
                files.push(LakeFile { date: date.to_owned(), writer: writer.to_owned(), first_seq, path, bytes });
            }
        }
        files.sort_unstable();
        Ok(files)
    }
}

/// What listed files hold already: the highest number by date and writer.
struct Sealed<'a> {
    files: &'a [LakeFile],
    known: HashMap<(String, String), u64>,
}

impl Sealed<'_> {
    /// Keeps the rows of a journal's batch that are in no file, by date.
    fn split(&mut self, writer: &str, batch: &RecordBatch, kept: &mut Vec<(String, RecordBatch)>) -> Result<(), Error> {
        let times = schema::times(batch, "at").unwrap_or_default();
        let seqs = schema::numbers(batch, "seq").unwrap_or_default();
        let dates: Vec<String> = times.iter().map(|at| Timestamp(*at).utc_date()).collect();
        let mut distinct: Vec<&String> = dates.iter().collect();
        distinct.sort_unstable();
        distinct.dedup();
        for date in distinct {
            let through = self.through(date, writer)?;
            let keep: BooleanArray =
                dates.iter().zip(seqs).map(|(of, seq)| Some(of == date && *seq > through)).collect();
            if keep.true_count() > 0 {
                kept.push((date.clone(), filter_record_batch(batch, &keep)?));
            }
        }
        Ok(())
    }

    fn through(&mut self, date: &str, writer: &str) -> Result<u64, Error> {
        let key = (date.to_owned(), writer.to_owned());
        if let Some(through) = self.known.get(&key) {
            return Ok(*through);
        }
        let newest = self.files.iter().rfind(|file| file.date == date && file.writer == writer);
        let through = newest.map_or(Ok(0), |file| parquet::last_seq(&file.path))?;
        self.known.insert(key, through);
        Ok(through)
    }
}

impl Snapshot {
    /// Its rows, files first; see [`Lake::batches`].
    pub fn into_batches(
        self,
        range: Option<(Timestamp, Timestamp)>,
    ) -> impl Iterator<Item = Result<RecordBatch, Error>> {
        let table = self.table;
        let days = range.map(|(from, to)| (from.utc_date(), to.utc_date()));
        let wanted =
            move |date: &str| days.as_ref().is_none_or(|(from, to)| from.as_str() <= date && date <= to.as_str());
        let wanted_too = wanted.clone();
        let files = self.files.into_iter().filter(move |file| wanted(&file.date)).flat_map(|file| {
            let (reader, error) = match read(&file.path) {
                Ok(reader) => (Some(reader), None),
                Err(error) => (None, Some(Err(error))),
            };
            error.into_iter().chain(reader.into_iter().flatten())
        });
        let journal = self.journal.into_iter().filter(move |(date, _)| wanted_too(date)).map(|(_, batch)| Ok(batch));
        files.chain(journal).map(move |batch| {
            let batch = schema::conform(&batch?, &table.schema)?;
            let Some((from, to)) = range else { return Ok(batch) };
            let times = schema::times(&batch, "at").unwrap_or_default();
            let within: BooleanArray = times.iter().map(|at| Some((from.0..to.0).contains(at))).collect();
            Ok(filter_record_batch(&batch, &within)?)
        })
    }
}

fn read(path: &Path) -> Result<impl Iterator<Item = Result<RecordBatch, Error>> + use<>, Error> {
    let file = File::open(path).map_err(Error::io("open", path))?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(Error::parquet(path))?;
    let reader = builder.with_batch_size(BATCH_ROWS).build().map_err(Error::parquet(path))?;
    Ok(reader.map(|batch| Ok(batch?)))
}
