//! The reading end of the log: Parquet files and journals of every writer, as one.
//!
//! In: a log's place, where others may be writing. Out: for each table a [`Snapshot`]: its Parquet files, and the
//! committed records that are in none of them. No record is missing and none comes twice, whatever is sealed meanwhile:
//! the journals are read first, the files are listed then, and a record of the journal that a listed file holds
//! is passed over. Writes nothing; a log on a read-only file system will do.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::path::{Path, PathBuf};

use ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use ::parquet::file::reader::ChunkReader;
use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use bytes::Bytes;

use super::chain::{self, FileTimes};
use super::place::Found;
use super::schema::{self, TableInfo};
use super::store::Store;
use super::{Config, Error, Place, folder, journal, parquet};
use crate::clock::Timestamp;
use crate::record::Table;

/// Rows of a batch read from a Parquet file.
const BATCH_ROWS: usize = 8192;

/// A log, to read.
#[derive(Clone, Debug)]
pub struct Lake {
    place: Place,
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
    /// Where it lies: in a folder, or below the log in its store.
    pub path: PathBuf,
    /// Its length, bytes.
    pub bytes: u64,
    /// Whether it is in the store.
    pub in_store: bool,
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
    pub(super) place: Place,
}

impl Lake {
    /// Opens a log in a folder.
    ///
    /// # Errors
    /// There is no such folder, or it is none of a log.
    pub fn open(path: &Path) -> Result<Lake, Error> {
        Lake::at(Place::folder(path))
    }

    /// Opens the log that is configured, wherever it lies.
    ///
    /// # Errors
    /// As [`Lake::open`], or the store does not answer.
    pub fn of(config: &Config) -> Result<Lake, Error> {
        Lake::at(Place::of(config)?)
    }

    /// Opens the log at a place.
    ///
    /// # Errors
    /// As [`Lake::of`].
    pub fn at(place: Place) -> Result<Lake, Error> {
        if place.is_log()? { Ok(Lake { place }) } else { Err(Error::NotALog(PathBuf::from(place.shown()))) }
    }

    /// Where it lies.
    pub fn place(&self) -> &Place {
        &self.place
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
        chain::times(&self.place, table, dates)
    }

    /// One table.
    ///
    /// # Errors
    /// Something cannot be read.
    pub fn snapshot<T: Table>(&self) -> Result<Snapshot, Error> {
        let journals = self.journals()?;
        let unknown =
            || Error::Damaged { path: PathBuf::from(self.place.shown()), what: format!("it has no table {}", T::NAME) };
        let table = schema::tables().iter().find(|table| table.name == T::NAME).ok_or_else(unknown)?;
        self.snapshot_after(table, &journals)
    }

    /// The names of the key files under which what is sealed of a table was hashed, see [`super::Key::name`]; none of files that
    /// say nothing of it. In a store, one file is asked of each writer and day.
    ///
    /// # Errors
    /// Something cannot be read.
    pub fn keys<T: Table>(&self) -> Result<BTreeSet<String>, Error> {
        let mut keys = BTreeSet::new();
        let mut asked = BTreeSet::new();
        for file in self.snapshot::<T>()?.files {
            if file.in_store && !asked.insert((file.date.clone(), file.writer.clone())) {
                continue;
            }
            let said = match (self.place.store(), file.in_store) {
                (Some(store), true) => {
                    parquet::said_in_store(store, &file.path.to_string_lossy(), file.bytes, parquet::META_KEY)?
                }
                _ => parquet::said(&file.path, parquet::META_KEY)?,
            };
            keys.extend(said.filter(|key| !key.is_empty()));
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
        let Some(local) = self.place.local() else { return Ok(batches) };
        for writer in folder::names(&folder::journals(local))? {
            for (_, path) in folder::numbered(&folder::records(local, &writer), journal::EXTENSION)? {
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
        let mut sealed = Sealed { place: &self.place, files: &files, known: HashMap::new(), told: HashMap::new() };
        let mut journal = Vec::new();
        for (writer, _, batch) in journals.iter().filter(|(_, name, _)| *name == table.name) {
            sealed.split(writer, batch, &mut journal)?;
        }
        Ok(Snapshot { table, files, journal, place: self.place.clone() })
    }

    fn files(&self, table: &str) -> Result<Vec<LakeFile>, Error> {
        let mut files = Vec::new();
        for (path, Found { bytes, in_store, .. }) in self.place.files(table)? {
            let mut parts = path.split('/').skip(1);
            let Some(date) = parts.next().and_then(|partition| partition.strip_prefix("dt=")) else { continue };
            let Some(named) = parts.next().and_then(parquet::parse_name) else { continue };
            let (date, writer, first_seq) = (date.to_owned(), named.writer.to_owned(), named.first_seq);
            let path = self.place.here(&path).filter(|_| !in_store).unwrap_or_else(|| PathBuf::from(&path));
            files.push(LakeFile { date, writer, first_seq, path, bytes, in_store });
        }
        files.sort_unstable();
        Ok(files)
    }
}

/// What listed files hold already: the highest number by date and writer.
struct Sealed<'a> {
    place: &'a Place,
    files: &'a [LakeFile],
    known: HashMap<(String, String), u64>,
    /// What each writer's chain tells of its files, where there is a store: those are not on this machine.
    told: HashMap<String, HashMap<String, u64>>,
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
        let through = match newest {
            Some(file) if file.in_store => self.told(writer, file)?,
            newest => newest.map_or(Ok(0), |file| parquet::last_seq(&file.path))?,
        };
        self.known.insert(key, through);
        Ok(through)
    }

    /// The highest number in a file of the store. A writer that has a journal here has its chain here.
    fn told(&mut self, writer: &str, file: &LakeFile) -> Result<u64, Error> {
        let Some(local) = self.place.local() else { return Ok(0) };
        if !self.told.contains_key(writer) {
            self.told.insert(writer.to_owned(), chain::last_seqs(local, writer)?);
        }
        let path = file.path.to_string_lossy();
        let told = self.told.get(writer).and_then(|told| told.get(path.as_ref()));
        told.copied().ok_or_else(|| Error::Damaged {
            path: chain::path(local, writer),
            what: format!("it does not tell of {path}, which lies in the store"),
        })
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
        let (stored, here): (Vec<LakeFile>, Vec<LakeFile>) =
            self.files.into_iter().filter(|file| wanted(&file.date)).partition(|file| file.in_store);
        let stored = stored.into_iter().map(|file| file.path.to_string_lossy().into_owned()).collect();
        let stored = self.place.store().map(|store| read_stored(store, stored));
        let here = here.into_iter().flat_map(|file| flattened(read(&file.path)));
        let files = stored.into_iter().flatten().chain(here);
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

/// Its items, or the error that kept it from having any.
fn flattened<T>(read: Result<impl Iterator<Item = Result<T, Error>>, Error>) -> impl Iterator<Item = Result<T, Error>> {
    let (items, error) = match read {
        Ok(items) => (Some(items), None),
        Err(error) => (None, Some(Err(error))),
    };
    error.into_iter().chain(items.into_iter().flatten())
}

fn read(path: &Path) -> Result<impl Iterator<Item = Result<RecordBatch, Error>> + use<>, Error> {
    decoded(folder::listed(path, File::open).map_err(Error::io("open", path))?, path)
}

/// Files of a store, each read as a whole, a few ahead.
fn read_stored(store: &Store, paths: Vec<String>) -> impl Iterator<Item = Result<RecordBatch, Error>> + use<> {
    let named: Vec<PathBuf> = paths.iter().map(|path| PathBuf::from(format!("{}/{path}", store.url()))).collect();
    let read = store.read_each(paths).zip(named);
    read.flat_map(|(bytes, path)| flattened(bytes.and_then(|bytes| decoded(Bytes::from(bytes), &path))))
}

/// The rows of a file.
pub(super) fn decoded<R: ChunkReader + 'static>(
    file: R,
    path: &Path,
) -> Result<impl Iterator<Item = Result<RecordBatch, Error>> + use<R>, Error> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(Error::parquet(path))?;
    let reader = builder.with_batch_size(BATCH_ROWS).build().map_err(Error::parquet(path))?;
    Ok(reader.map(|batch| Ok(batch?)))
}
