//! A table's rows in pieces that can be read side by side, and of their columns only those that are wanted.
//!
//! In: a [`Snapshot`]. Out: [`Piece`]s, in the order in which [`Snapshot::into_batches`] has their rows: row groups of files, files of a store,
//! batches of journals. Each is read on whatever thread, as often as one likes. Texts come as dictionaries, as the files have them:
//! whoever judges many rows judges each different text once.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::parquet::arrow::ProjectionMask;
use ::parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowFilter,
};
use ::parquet::file::reader::ChunkReader;
use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use bytes::Bytes;

use super::lake::Snapshot;
use super::schema::{self, TableInfo};
use super::{Error, Filter, Place, folder};
use crate::clock::Timestamp;

/// See the module.
#[derive(Clone, Debug)]
pub struct Piece {
    table: &'static TableInfo,
    date: String,
    rows: Rows,
}

#[derive(Clone, Debug)]
enum Rows {
    /// A row group of a file.
    Group { path: PathBuf, metadata: ArrowReaderMetadata, group: usize },
    /// A file of a store.
    Stored { place: Place, path: String },
    /// A batch of a journal.
    Journal(RecordBatch),
}

impl Snapshot {
    /// Its rows; `from` and `to`: those of the dates from one through the other.
    ///
    /// # Errors
    /// A file cannot be opened.
    pub fn into_pieces(self, from: Option<Timestamp>, to: Option<Timestamp>) -> Result<Vec<Piece>, Error> {
        let table = self.table;
        let (first, last) = (from.map(Timestamp::utc_date), to.map(Timestamp::utc_date));
        let is_wanted = |date: &String| {
            first.as_ref().is_none_or(|first| first <= date) && last.as_ref().is_none_or(|last| date <= last)
        };
        let (stored, here): (Vec<_>, Vec<_>) =
            self.files.into_iter().filter(|file| is_wanted(&file.date)).partition(|file| file.in_store);
        let place = self.place;
        let stored = stored.into_iter().map(|file| {
            let rows = Rows::Stored { place: place.clone(), path: file.path.to_string_lossy().into_owned() };
            Piece { table, date: file.date, rows }
        });
        let mut pieces: Vec<Piece> = stored.collect();
        for file in here {
            let opened = folder::listed(&file.path, File::open).map_err(Error::io("open", &file.path))?;
            let metadata = metadata(&opened, &file.path)?;
            for group in 0..metadata.metadata().num_row_groups() {
                let rows = Rows::Group { path: file.path.clone(), metadata: metadata.clone(), group };
                pieces.push(Piece { table, date: file.date.clone(), rows });
            }
        }
        let journal = self.journal.into_iter().filter(|(date, _)| is_wanted(date));
        pieces.extend(journal.map(|(date, batch)| Piece { table, date, rows: Rows::Journal(batch) }));
        Ok(pieces)
    }
}

impl Piece {
    /// The date of all its records, `YYYY-MM-DD`.
    pub fn date(&self) -> &str {
        &self.date
    }

    /// These columns of its rows, in the table's order; null where it has none.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(&self, columns: &[&str]) -> Result<Vec<RecordBatch>, Error> {
        self.read_where(columns, &[])
    }

    /// The same of the rows that all the filters want, which are asked in this order.
    ///
    /// # Errors
    /// As [`Piece::read`].
    pub fn read_where(&self, columns: &[&str], filters: &[Filter]) -> Result<Vec<RecordBatch>, Error> {
        let wanted = Wanted {
            columns: coded(&self.table.schema, &|name| columns.contains(&name)),
            filters: filters
                .iter()
                .map(|filter| (filter, coded(&self.table.schema, &|name| filter.looks_at(name))))
                .collect(),
        };
        let batches = match &self.rows {
            Rows::Group { path, metadata, group } => {
                let file = folder::listed(path, File::open).map_err(Error::io("open", path))?;
                decode(file, metadata.clone(), *group, &wanted, path)?
            }
            Rows::Stored { place, path } => stored(place, path, &wanted)?,
            Rows::Journal(batch) => vec![wanted.of(batch)?],
        };
        batches.iter().map(|batch| Ok(schema::conform(batch, &wanted.columns)?)).collect()
    }
}

/// What is read of a piece.
struct Wanted<'f> {
    columns: SchemaRef,
    /// Each with the columns that it is shown.
    filters: Vec<(&'f Filter, SchemaRef)>,
}

impl Wanted<'_> {
    /// The rows that are wanted of a batch.
    fn of(&self, batch: &RecordBatch) -> Result<RecordBatch, Error> {
        let mut batch = batch.clone();
        for (filter, columns) in &self.filters {
            batch = filter.apply(&batch, columns)?;
        }
        Ok(batch)
    }
}

fn stored(place: &Place, path: &str, wanted: &Wanted<'_>) -> Result<Vec<RecordBatch>, Error> {
    let Some(store) = place.store() else { return Ok(Vec::new()) };
    let named = PathBuf::from(format!("{}/{path}", store.url()));
    let mut batches = Vec::new();
    for bytes in store.read_each(vec![path.to_owned()]) {
        let bytes = Bytes::from(bytes?);
        let metadata = metadata(&bytes, &named)?;
        for group in 0..metadata.metadata().num_row_groups() {
            batches.extend(decode(bytes.clone(), metadata.clone(), group, wanted, &named)?);
        }
    }
    Ok(batches)
}

/// What is known of a file, its texts taken for dictionaries.
fn metadata<R: ChunkReader>(file: &R, path: &Path) -> Result<ArrowReaderMetadata, Error> {
    let options = ArrowReaderOptions::new();
    let found = ArrowReaderMetadata::load(file, options.clone()).map_err(Error::parquet(path))?;
    let schema = coded(found.schema(), &|_| true);
    let metadata = Arc::clone(found.metadata());
    ArrowReaderMetadata::try_new(metadata, options.with_schema(schema)).map_err(Error::parquet(path))
}

/// A row group as one batch: its dictionaries last for all of it.
fn decode<R: ChunkReader + 'static>(
    file: R,
    metadata: ArrowReaderMetadata,
    group: usize,
    wanted: &Wanted<'_>,
    path: &Path,
) -> Result<Vec<RecordBatch>, Error> {
    let rows = metadata.metadata().row_group(group).num_rows();
    let schema = Arc::clone(metadata.schema());
    let roots = |columns: &Schema| -> Vec<usize> {
        let fields = schema.fields().iter().enumerate();
        fields.filter(|(_, field)| columns.index_of(field.name()).is_ok()).map(|(index, _)| index).collect()
    };
    let mut builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata);
    let mask = ProjectionMask::roots(builder.parquet_schema(), roots(&wanted.columns));
    if !wanted.filters.is_empty() {
        let of = |(filter, columns): &(&Filter, SchemaRef)| {
            let mut roots = roots(columns);
            if roots.is_empty() {
                // Of no column, the reader can't say how many rows it has.
                roots.push(0);
            }
            filter.predicate((builder.parquet_schema(), roots), Arc::clone(columns))
        };
        let filters = RowFilter::new(wanted.filters.iter().map(of).collect());
        builder = builder.with_row_filter(filters);
    }
    let builder = builder.with_projection(mask).with_row_groups(vec![group]);
    let builder = builder.with_batch_size(usize::try_from(rows).unwrap_or(usize::MAX).max(1));
    let reader = builder.build().map_err(Error::parquet(path))?;
    reader.map(|batch| Ok(batch?)).collect()
}

/// The wanted fields of a schema, texts as dictionaries.
fn coded(of: &Schema, wanted: &dyn Fn(&str) -> bool) -> SchemaRef {
    let fields = of.fields().iter().filter(|field| wanted(field.name())).map(|field| schema::as_codes(field));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}
