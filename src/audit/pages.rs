//! The pages of a row group in the making: a few in memory, all others in a file without a name.
//!
//! In: pages, as the Parquet writer has encoded them. Out: the same, once each. A row group can be written only when its last row is known, and
//! its columns one after the other: until then its pages wait here, so that what it takes of memory does not grow with it. Refuses
//! what the system refuses: a full disk is an error of the write.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ::parquet::arrow::add_encoded_arrow_schema_to_metadata;
use ::parquet::arrow::arrow_writer::{
    ArrowWriter, ArrowWriterOptions, PageKey, PageStore, PageStoreArgs, PageStoreFactory,
};
use ::parquet::errors::{ParquetError, Result};
use ::parquet::file::properties::WriterProperties;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;

use super::Error;
use crate::system::{self, Written};

/// Pages of one writer that are held in memory, bytes.
const HELD_BYTES_MAX: usize = 512 << 10;

/// A writer of a file, whose pages wait in a file without a name beside it. The file has the columns of `schema`; what is written may have
/// their texts as codes: `written`.
///
/// # Errors
/// The file cannot be written.
pub(super) fn writer<'f>(
    file: &'f Written,
    path: &Path,
    schema: &SchemaRef,
    written: &SchemaRef,
    mut properties: WriterProperties,
) -> std::result::Result<ArrowWriter<&'f Written>, Error> {
    let folder = path.parent().unwrap_or(Path::new(".")).to_path_buf();
    let pages = Arc::new(Pages(Arc::new(Mutex::new(Room { folder, file: None, end: 0, spilled: 0, held_bytes: 0 }))));
    // As the writer would: but readers are to be told of texts.
    add_encoded_arrow_schema_to_metadata(schema, &mut properties);
    let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
    let options = options.with_page_store_factory(pages);
    ArrowWriter::try_new_with_options(file, Arc::clone(written), options).map_err(Error::parquet(path))
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
    fn create(&self, _: &PageStoreArgs<'_>) -> Result<Box<dyn PageStore>> {
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
    fn put(&mut self, page: Bytes) -> Result<PageKey> {
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

    fn take(&mut self, key: PageKey) -> Result<Bytes> {
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
