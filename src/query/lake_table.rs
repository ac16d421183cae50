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
use crate::audit::{Lake, LakeFile, Snapshot};
use crate::clock::Timestamp;

/// The partition's column.
const PARTITION: &str = "dt";

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
    /// Days since 1970-01-01, and the file.
    files: Vec<(i32, PartitionedFile)>,
    journal: Vec<RecordBatch>,
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
        let files: Result<Vec<_>> = snapshot.files.iter().map(partitioned).collect();
        let journal: Result<Vec<_>> =
            snapshot.journal.iter().map(|(date, batch)| with_partition(&schema, date, batch)).collect();
        let (files, journal) = (files.map_err(Error::engine)?, journal.map_err(Error::engine)?);
        let (lake, name) = (lake.clone(), snapshot.table.name);
        Ok(LakeTable { lake, name, file_schema, schema, partition, files, journal })
    }

    /// The files of which the conditions leave a day, and an hour.
    fn wanted(&self, state: &dyn Session, filters: &[Expr]) -> Result<Vec<PartitionedFile>> {
        let days = self.files.iter().map(|(day, _)| Span::of_day(*day)).collect();
        let keep = pruning::keep(state, &self.schema, filters, days)?;
        let mut wanted: Vec<&(i32, PartitionedFile)> =
            self.files.iter().zip(keep).filter(|(_, keep)| *keep).map(|(file, _)| file).collect();
        if wanted.len() > FILES_FEW && pruning::speak_of_at(filters) {
            let dates = wanted.iter().map(|(day, _)| date(*day)).collect();
            let times =
                self.lake.times(self.name, &dates).map_err(|error| DataFusionError::External(Box::new(error)))?;
            let span = |(day, file): &(i32, PartitionedFile)| {
                let name = file.object_meta.location.filename().unwrap_or_default();
                let told =
                    times.get(name).filter(|told| told.bytes == file.object_meta.size && told.date == date(*day));
                told.map_or(Span::of_day(*day), |told| Span { day: *day, at: (told.first_at.0, told.last_at.0) })
            };
            let keep = pruning::keep(state, &self.schema, filters, wanted.iter().map(|file| span(file)).collect())?;
            let mut keep = keep.into_iter();
            wanted.retain(|_| keep.next().unwrap_or(true));
        }
        Ok(wanted.into_iter().map(|(_, file)| file.clone()).collect())
    }

    fn scan_files(
        &self,
        files: Vec<PartitionedFile>,
        groups: usize,
        projection: Option<&Vec<usize>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let table = TableSchema::builder(Arc::clone(&self.file_schema))
            .with_table_partition_cols(vec![Arc::clone(&self.partition)])
            .build();
        let source = ParquetSource::new(table).with_pushdown_filters(true).with_enable_page_index(true);
        let groups = FileGroup::new(files).split_files(groups.max(1));
        let config = FileScanConfigBuilder::new(ObjectStoreUrl::local_filesystem(), Arc::new(source))
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
        if !files.is_empty() {
            inputs.push(self.scan_files(files, state.config().target_partitions(), projection)?);
        }
        if !self.journal.is_empty() || inputs.is_empty() {
            let partitions = [self.journal.clone()];
            inputs.push(MemorySourceConfig::try_new_exec(&partitions, self.schema(), projection.cloned())?);
        }
        UnionExec::try_new(inputs)
    }
}

/// A file with its date.
fn partitioned(file: &LakeFile) -> Result<(i32, PartitionedFile)> {
    let location = StorePath::from_absolute_path(std::path::absolute(&file.path)?)
        .map_err(|error| DataFusionError::External(Box::new(error)))?;
    let days = days(&file.date)?;
    let values = vec![ScalarValue::Date32(Some(days))];
    let mut partitioned = PartitionedFile::new(String::new(), file.bytes).with_partition_values(values);
    partitioned.object_meta.location = location;
    Ok((days, partitioned))
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
