//! SQL over the log: DataFusion over Parquet and journal as one table.
//!
//! In: a [`crate::audit`] lake and a text. Out: Arrow record batches. Only with the feature `query`. Reads what was
//! committed when the engine was opened; refuses everything that is not a question (DDL, DML, COPY, SET). Times are UTC.

mod error;
mod lake_table;
mod pruning;
#[cfg(test)]
mod tests;

use std::future::poll_fn;
use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::context::{SQLOptions, SessionConfig, SessionContext};

pub use self::error::Error;
use self::lake_table::LakeTable;
use crate::audit::Lake;

/// Answers questions about a log as it stood when it was opened.
pub struct Engine {
    context: SessionContext,
}

impl Engine {
    /// Opens a log's folder: lists its files and reads its journals. To be called where blocking is allowed.
    ///
    /// # Errors
    /// The folder is no log, or cannot be read.
    pub fn open(log: &Path) -> Result<Engine, Error> {
        let mut config = SessionConfig::new().with_information_schema(true);
        let options = config.options_mut();
        options.execution.time_zone = Some("UTC".to_owned());
        options.execution.parquet.pushdown_filters = true;
        options.execution.parquet.reorder_filters = true;
        options.sql_parser.collect_spans = true;
        let context = SessionContext::new_with_config(config);
        for snapshot in Lake::open(log)?.snapshots()? {
            let name = snapshot.table.name;
            let table = LakeTable::new(snapshot)?;
            context.register_table(name, Arc::new(table)).map_err(Error::engine)?;
        }
        Ok(Engine { context })
    }

    /// Plans one question and begins to answer it.
    ///
    /// # Errors
    /// The text is no SQL, names what is not there, or is not a question: with line and column where they are known.
    pub async fn rows(&self, sql: &str) -> Result<Rows, Error> {
        let only_questions = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
        let frame = self.context.sql_with_options(sql, only_questions).await.map_err(Error::engine)?;
        let schema = Arc::clone(frame.schema().inner());
        let stream = frame.execute_stream().await.map_err(Error::engine)?;
        Ok(Rows { schema, stream })
    }

    /// The whole answer. At least one batch, which may have no rows, so that the columns are always known.
    ///
    /// # Errors
    /// As [`Engine::rows`], or while it runs.
    pub async fn sql(&self, sql: &str) -> Result<Vec<RecordBatch>, Error> {
        let mut rows = self.rows(sql).await?;
        let mut batches = Vec::new();
        while let Some(batch) = rows.next().await {
            batches.push(batch?);
        }
        if batches.is_empty() {
            batches.push(RecordBatch::new_empty(rows.schema()));
        }
        Ok(batches)
    }
}

/// An answer, batch by batch.
pub struct Rows {
    schema: SchemaRef,
    stream: SendableRecordBatchStream,
}

impl Rows {
    /// Its columns.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// The next batch; `None` at the end.
    pub async fn next(&mut self) -> Option<Result<RecordBatch, Error>> {
        let batch = poll_fn(|context| self.stream.as_mut().poll_next(context)).await;
        batch.map(|batch| batch.map_err(Error::engine))
    }
}
