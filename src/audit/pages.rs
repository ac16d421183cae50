//! A Parquet file in the making: a row group at a time, and of its columns all, or a few at a time.
//!
//! In: the rows of a row group, asked for anew for every few of its columns, where it is a few. Out: the file. What a column in the making takes (a dictionary, the
//! codes of a page, a compressor) is there for those few, not for all. A column's pages can be written only when its last row is known:
//! until then they wait, a few in memory, all others in a file without a name, so that what they take of memory does not grow with the
//! row group. Refuses what the system refuses: a full disk is an error of the write.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ::parquet::arrow::arrow_writer::{
    ArrowColumnWriter, ArrowRowGroupWriterFactory, PageKey, PageStore, PageStoreArgs, PageStoreFactory, compute_leaves,
};
use ::parquet::arrow::{ArrowSchemaConverter, add_encoded_arrow_schema_to_metadata};
use ::parquet::errors::{ParquetError, Result as ParquetResult};
use ::parquet::file::properties::WriterProperties;
use ::parquet::file::writer::SerializedFileWriter;
use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use bytes::Bytes;

use super::{Error, schema};
use crate::system::{self, Written};

/// Pages of one writer that are held in memory, bytes.
const HELD_BYTES_MAX: usize = 512 << 10;
/// Text of a column that is written at a time, bytes.
const WRITTEN_TEXT_BYTES_MAX: usize = 1 << 20;

/// How many columns of a row group are in the making together. Each time, all of its rows are read again.
#[derive(Clone, Copy, Debug)]
pub(super) enum Abreast {
    /// All of them: what is read is little, and soon done with.
    All,
    /// A few: what is read may be as long as a file gets, and nobody waits for it.
    Few,
}

/// So many are a few.
const FEW: usize = 8;

/// The writer of a file. See the module.
pub(super) struct RowGroups<'f> {
    file: SerializedFileWriter<&'f Written>,
    path: &'f Path,
    columns: ArrowRowGroupWriterFactory,
    abreast: Abreast,
    /// The columns as they are written: their texts may be codes.
    written: SchemaRef,
}

/// Takes the rows of some columns.
pub(super) struct Columns<'w> {
    columns: &'w SchemaRef,
    writers: &'w mut [ArrowColumnWriter],
    path: &'w Path,
}

impl<'f> RowGroups<'f> {
    /// A file that has the columns of `schema`; what is written may have their texts as codes: `written`.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn new(
        file: &'f Written,
        path: &'f Path,
        schema: &SchemaRef,
        written: &SchemaRef,
        mut properties: WriterProperties,
        abreast: Abreast,
    ) -> Result<RowGroups<'f>, Error> {
        let folder = path.parent().unwrap_or(Path::new(".")).to_path_buf();
        let room = Room { folder, file: None, end: 0, spilled: 0, held_bytes: 0 };
        // Readers are to be told of texts.
        add_encoded_arrow_schema_to_metadata(schema, &mut properties);
        let columns = ArrowSchemaConverter::new().convert(written).map_err(Error::parquet(path))?;
        let file = SerializedFileWriter::new(file, columns.root_schema_ptr(), Arc::new(properties));
        let file = file.map_err(Error::parquet(path))?;
        let columns = ArrowRowGroupWriterFactory::new(&file, Arc::clone(written));
        let columns = columns.with_page_store_factory(Arc::new(Pages(Arc::new(Mutex::new(room)))));
        Ok(RowGroups { file, path, columns, abreast, written: Arc::clone(written) })
    }

    /// Writes one. `rows` is told of some columns at a time, and gives all rows of them, the same ones each time; `false`: it was stopped,
    /// and nothing is to come of the file.
    ///
    /// # Errors
    /// Those of `rows`, or the file cannot be written.
    pub(super) fn write(
        &mut self,
        mut rows: impl FnMut(&SchemaRef, &mut Columns<'_>) -> Result<bool, Error>,
    ) -> Result<bool, Error> {
        let path = self.path;
        let number = self.file.flushed_row_groups().len();
        let mut writers = self.columns.create_column_writers(number).map_err(Error::parquet(path))?;
        let mut group = self.file.next_row_group().map_err(Error::parquet(path))?;
        let mut from = 0;
        while !writers.is_empty() {
            let rest = match self.abreast {
                Abreast::All => Vec::new(),
                Abreast::Few => writers.split_off(writers.len().min(FEW)),
            };
            let fields = self.written.fields().iter().skip(from).take(writers.len()).cloned();
            let columns: SchemaRef = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
            if !rows(&columns, &mut Columns { columns: &columns, writers: &mut writers, path })? {
                return Ok(false);
            }
            from += writers.len();
            for writer in std::mem::replace(&mut writers, rest) {
                let written = writer.close().and_then(|column| column.append_to_row_group(&mut group));
                written.map_err(Error::parquet(path))?;
            }
        }
        group.close().map_err(Error::parquet(path))?;
        Ok(true)
    }

    /// Ends the file.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn close(self) -> Result<(), Error> {
        self.file.close().map(|_| ()).map_err(Error::parquet(self.path))
    }
}

impl Columns<'_> {
    /// Takes the next rows; of columns that it was not asked for, none.
    ///
    /// # Errors
    /// The system refuses, or a column is missing.
    pub(super) fn write(&mut self, rows: &RecordBatch) -> Result<(), Error> {
        for (field, writer) in self.columns.fields().iter().zip(self.writers.iter_mut()) {
            let missing = || ArrowError::SchemaError(format!("the column {} is missing", field.name()));
            let column = rows.column_by_name(field.name()).ok_or_else(missing)?;
            // Some rows have their texts as codes, others do not.
            let field = Field::new(field.name(), column.data_type().clone(), field.is_nullable());
            for part in parts(column) {
                // Each of the log's columns is one of the file's.
                for leaf in compute_leaves(&field, &part).map_err(Error::parquet(self.path))? {
                    writer.write(&leaf).map_err(Error::parquet(self.path))?;
                }
            }
        }
        Ok(())
    }
}

/// A column in parts of so much text each: a page is ended only between two writes. A row with more is one by itself.
fn parts(column: &ArrayRef) -> Vec<ArrayRef> {
    let is_little = schema::longest(column).saturating_mul(column.len()) <= WRITTEN_TEXT_BYTES_MAX;
    let rows = if is_little { None } else { schema::row_bytes(column) };
    let Some(rows) = rows else { return vec![Arc::clone(column)] };
    let (mut parts, mut from, mut bytes) = (Vec::new(), 0, 0);
    for (row, more) in rows.into_iter().enumerate() {
        if bytes + more > WRITTEN_TEXT_BYTES_MAX && row > from {
            parts.push(column.slice(from, row - from));
            (from, bytes) = (row, 0);
        }
        bytes += more;
    }
    parts.push(column.slice(from, column.len() - from));
    parts
}

/// What all columns of a writer share.
#[derive(Debug)]
struct Pages(Arc<Mutex<Room>>);

#[derive(Debug)]
struct Room {
    folder: PathBuf,
    /// Made when it is first needed.
    file: Option<File>,
    /// Where the next page goes.
    end: u64,
    /// Pages in the file that were not taken back.
    spilled: usize,
    /// Bytes of those in memory.
    held_bytes: usize,
}

impl Room {
    fn spill(&mut self, page: &Bytes) -> std::io::Result<u64> {
        let file = match self.file.take() {
            Some(file) => file,
            None => system::unnamed(&self.folder)?,
        };
        let at = self.end;
        let written = system::write_at(&file, &self.folder, page, at);
        self.file = Some(file);
        written?;
        self.end += page.len() as u64;
        self.spilled += 1;
        Ok(at)
    }

    fn take_back(&mut self, at: u64, length: usize) -> std::io::Result<Bytes> {
        let mut page = vec![0; length];
        if let Some(file) = &self.file {
            file.read_exact_at(&mut page, at)?;
        }
        self.spilled = self.spilled.saturating_sub(1);
        if self.spilled == 0 {
            // The next row group begins where this one did.
            self.end = 0;
        }
        Ok(Bytes::from(page))
    }
}

impl PageStoreFactory for Pages {
    fn create(&self, _: &PageStoreArgs<'_>) -> ParquetResult<Box<dyn PageStore>> {
        Ok(Box::new(OfColumn { room: Arc::clone(&self.0), pages: Vec::new() }))
    }
}

/// The pages of one column.
struct OfColumn {
    room: Arc<Mutex<Room>>,
    pages: Vec<Page>,
}

enum Page {
    Held(Bytes),
    Spilled { at: u64, length: usize },
    Taken,
}

impl PageStore for OfColumn {
    fn put(&mut self, page: Bytes) -> ParquetResult<PageKey> {
        let mut room = self.room.lock().unwrap_or_else(PoisonError::into_inner);
        let length = page.len();
        let page = if room.held_bytes + length <= HELD_BYTES_MAX {
            room.held_bytes += length;
            Page::Held(page)
        } else {
            Page::Spilled { at: room.spill(&page)?, length }
        };
        self.pages.push(page);
        Ok(PageKey::new(self.pages.len() as u64 - 1))
    }

    fn take(&mut self, key: PageKey) -> ParquetResult<Bytes> {
        let page = usize::try_from(key.get()).ok().and_then(|number| self.pages.get_mut(number));
        let page = page.map(|page| std::mem::replace(page, Page::Taken));
        let mut room = self.room.lock().unwrap_or_else(PoisonError::into_inner);
        match page {
            Some(Page::Held(page)) => {
                room.held_bytes = room.held_bytes.saturating_sub(page.len());
                Ok(page)
            }
            Some(Page::Spilled { at, length }) => Ok(room.take_back(at, length)?),
            Some(Page::Taken) | None => Err(ParquetError::General(format!("there is no page {}", key.get()))),
        }
    }
}
