//! One table of the log for DataFusion: listed Parquet files and the journal's rows, as one.
//!
//! In: a [`Snapshot`]. Out: a plan that reads it. The columns are the contract's, and `dt`, the partition's date. Only
//! files that the snapshot listed are read, so that nothing sealed since comes twice; and of those only the days that the
//! conditions leave, and where these are still many files, only the hours, which the chain tells ([`pruning`]).

use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, RecordBatch};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::ScalarValue;
use datafusion::datasource::TableType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::object_store::path::Path as StorePath;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::union::UnionExec;

use super::Error;
use super::pruning::{self, Span};
use super::readers::{Readers, Sought};
use crate::audit::{Lake, LakeFile, Place, Snapshot};
use crate::clock::Timestamp;

/// The partition's column.
pub const PARTITION: &str = "dt";

/// What is read of a file's end at once: its metadata, mostly. They are some 12 KB of a file of one row group.
const FOOTER_BYTES: usize = 32 << 10;

/// More files than these after a look at their days: it pays to look up their times.
const FILES_FEW: usize = 8;

/// See the module.
#[derive(Debug)]
pub struct LakeTable {
    lake: Lake,
    name: &'static str,
    file_schema: SchemaRef,
    /// With `dt`.
    schema: SchemaRef,
    partition: FieldRef,
    files: Vec<Listed>,
    /// Where those of them lie that are not here.
    store: Option<ObjectStoreUrl>,
    journal: Vec<RecordBatch>,
}

/// A file of the snapshot.
#[derive(Clone, Debug)]
struct Listed {
    /// Days since 1970-01-01.
    day: i32,
    file: PartitionedFile,
    in_store: bool,
}

impl LakeTable {
    /// A table of a snapshot.
    ///
    /// # Errors
    /// A file's path has no absolute form.
    pub fn new(lake: &Lake, snapshot: Snapshot) -> std::result::Result<LakeTable, Error> {
        let file_schema = Arc::clone(&snapshot.table.schema);
        let partition: FieldRef = Arc::new(Field::new(PARTITION, DataType::Date32, false));
        let mut fields: Vec<FieldRef> = file_schema.fields().iter().cloned().collect();
        fields.push(Arc::clone(&partition));
        let schema = Arc::new(Schema::new(fields));
        let place = lake.place();
        let files: Result<Vec<_>> = snapshot.files.iter().map(|file| listed(place, file)).collect();
        let store = place.store().map(|store| ObjectStoreUrl::parse(store.url().root())).transpose();
        let store = store.map_err(Error::engine)?;
        let journal: Result<Vec<_>> =
            snapshot.journal.iter().map(|(date, batch)| with_partition(&schema, date, batch)).collect();
        let (files, journal) = (files.map_err(Error::engine)?, journal.map_err(Error::engine)?);
        let (lake, name) = (lake.clone(), snapshot.table.name);
        Ok(LakeTable { lake, name, file_schema, schema, partition, files, store, journal })
    }

    /// The files of which the conditions leave a day, and an hour.
    fn wanted(&self, state: &dyn Session, filters: &[Expr]) -> Result<Vec<&Listed>> {
        let days = self.files.iter().map(|file| Span::of_day(file.day)).collect();
        let keep = pruning::keep(state, &self.schema, filters, days)?;
        let mut wanted: Vec<&Listed> =
            self.files.iter().zip(keep).filter(|(_, keep)| *keep).map(|(file, _)| file).collect();
        if wanted.len() > FILES_FEW && pruning::speak_of_at(filters) {
            let dates = wanted.iter().map(|file| date(file.day)).collect();
            let times =
                self.lake.times(self.name, &dates).map_err(|error| DataFusionError::External(Box::new(error)))?;
            let span = |Listed { day, file, .. }: &Listed| {
                let name = file.object_meta.location.filename().unwrap_or_default();
                let told =
                    times.get(name).filter(|told| told.bytes == file.object_meta.size && told.date == date(*day));
                told.map_or(Span::of_day(*day), |told| Span { day: *day, at: (told.first_at.0, told.last_at.0) })
            };
            let keep = pruning::keep(state, &self.schema, filters, wanted.iter().map(|file| span(file)).collect())?;
            let mut keep = keep.into_iter();
            wanted.retain(|_| keep.next().unwrap_or(true));
        }
        Ok(wanted)
    }

    fn scan_files(
        &self,
        state: &dyn Session,
        at: ObjectStoreUrl,
        files: Vec<PartitionedFile>,
        projection: Option<&Vec<usize>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let table = TableSchema::builder(Arc::clone(&self.file_schema))
            .with_table_partition_cols(vec![Arc::clone(&self.partition)])
            .build();
        let readers = Readers::of(state.runtime_env().object_store(&at)?);
        let source = ParquetSource::new(table)
            .with_pushdown_filters(true)
            .with_enable_page_index(true)
            .with_metadata_size_hint(FOOTER_BYTES)
            .with_parquet_file_reader_factory(Arc::new(readers));
        let groups = FileGroup::new(files).split_files(state.config().target_partitions().max(1));
        let config = FileScanConfigBuilder::new(at, Arc::new(source))
            .with_file_groups(groups)
            .with_projection_indices(projection.cloned())?
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}

#[async_trait]
impl TableProvider for LakeTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    /// Conditions choose the files; DataFusion applies them to the rows as well, and hands them to the Parquet reader.
    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut inputs: Vec<Arc<dyn ExecutionPlan>> = Vec::new();
        let files = self.wanted(state, filters)?;
        let sought = Sought::by(filters);
        let stored = self.store.iter().map(|store| (store.clone(), true));
        for (at, in_store) in stored.chain([(ObjectStoreUrl::local_filesystem(), false)]) {
            let files = files.iter().filter(|file| file.in_store == in_store).map(|file| match &sought {
                Some(sought) => file.file.clone().with_extension(sought.clone()),
                None => file.file.clone(),
            });
            let files: Vec<PartitionedFile> = files.collect();
            if !files.is_empty() {
                inputs.push(self.scan_files(state, at, files, projection)?);
            }
        }
        if !self.journal.is_empty() || inputs.is_empty() {
            let partitions = [self.journal.clone()];
            inputs.push(MemorySourceConfig::try_new_exec(&partitions, self.schema(), projection.cloned())?);
        }
        UnionExec::try_new(inputs)
    }
}

/// A file with its date.
fn listed(place: &Place, file: &LakeFile) -> Result<Listed> {
    let location = match stored(place, file) {
        Some(location) => location,
        None => StorePath::from_absolute_path(std::path::absolute(&file.path)?)
            .map_err(|error| DataFusionError::External(Box::new(error)))?,
    };
    let days = days(&file.date)?;
    let values = vec![ScalarValue::Date32(Some(days))];
    let mut partitioned = PartitionedFile::new(String::new(), file.bytes).with_partition_values(values);
    partitioned.object_meta.location = location;
    Ok(Listed { day: days, file: partitioned, in_store: file.in_store })
}

/// The whole name of a file in the log's store.
#[cfg(feature = "object-store")]
fn stored(place: &Place, file: &LakeFile) -> Option<StorePath> {
    place.store().filter(|_| file.in_store).map(|store| store.location(&file.path.to_string_lossy()))
}

#[cfg(not(feature = "object-store"))]
fn stored(_place: &Place, _file: &LakeFile) -> Option<StorePath> {
    None
}

fn with_partition(schema: &SchemaRef, date: &str, batch: &RecordBatch) -> Result<RecordBatch> {
    let mut columns: Vec<ArrayRef> = batch.columns().to_vec();
    columns.push(Arc::new(Date32Array::from_value(days(date)?, batch.num_rows())));
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}

/// `YYYY-MM-DD`.
fn date(day: i32) -> String {
    Timestamp(Span::of_day(day).at.0).utc_date()
}

/// Days since 1970-01-01.
fn days(date: &str) -> Result<i32> {
    let day = |date: &str| date.parse::<jiff::civil::Date>().ok();
    day(date)
        .zip(day("1970-01-01"))
        .and_then(|(date, epoch)| Some(date.since(epoch).ok()?.get_days()))
        .ok_or_else(|| DataFusionError::Execution(format!("the partition dt={date} is no date")))
}
