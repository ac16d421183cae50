//! SQL over the log: DataFusion over Parquet and journal as one table.
//!
//! In: a [`crate::audit`] lake and a text. Out: Arrow record batches. Only with the feature `query`. Reads what was
//! committed when the engine was opened; refuses everything that is not a question (DDL, DML, COPY, SET). Times are UTC.

mod codes;
mod days;
mod error;
mod functions;
mod implied;
mod kept;
mod lake_table;
mod pruning;
mod readers;
mod scan;
#[cfg(test)]
mod tests;
mod text;
mod trunc;
mod views;

use std::future::poll_fn;
use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::execution::context::{SQLOptions, SessionConfig, SessionContext};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::{SendableRecordBatchStream, SessionStateBuilder, TaskContext};
use datafusion::physical_plan::{ExecutionPlan, execute_stream};

use self::codes::ByCodes;
use self::days::Days;
pub use self::error::{Error, Place};
pub use self::functions::NAMES as FUNCTIONS;
use self::implied::Implied;
use self::kept::Kept;
use self::lake_table::LakeTable;
pub use self::scan::{Scan, Scanned};
pub use self::text::{is_ended, names_a_person, without_literals};
pub use self::views::{ALL as VIEWS, View};
use crate::audit::{self, Config, Lake};

/// Answers questions about a log as it stood when it was opened.
pub struct Engine {
    context: SessionContext,
    place: audit::Place,
    tables: Vec<Scan>,
}

impl Engine {
    /// Opens a log's folder: lists its files and reads its journals. To be called where blocking is allowed.
    ///
    /// # Errors
    /// The folder is no log, or cannot be read.
    pub fn open(log: &Path) -> Result<Engine, Error> {
        Engine::with_key(Lake::open(log)?, None)
    }

    /// The log that is configured, wherever it lies, with the key file that `person('4711')` hashes under. That is read when a question
    /// calls it.
    ///
    /// # Errors
    /// As [`Engine::open`], or the store does not answer.
    pub fn of(config: &Config) -> Result<Engine, Error> {
        Engine::with_key(Lake::of(config)?, Some(&config.key_file))
    }

    /// A log that was opened, with the key file.
    ///
    /// # Errors
    /// As [`Engine::of`].
    pub fn with_key(lake: Lake, key_file: Option<&Path>) -> Result<Engine, Error> {
        let mut config = SessionConfig::new().with_information_schema(true);
        let options = config.options_mut();
        options.execution.time_zone = Some("UTC".to_owned());
        options.execution.parquet.pushdown_filters = true;
        options.execution.parquet.reorder_filters = true;
        options.sql_parser.collect_spans = true;
        let state = SessionStateBuilder::new().with_config(config).with_default_features();
        let state = state.with_physical_optimizer_rule(Arc::new(ByCodes)).build();
        let context = SessionContext::new_with_state(state);
        context.add_analyzer_rule(Arc::new(Days::new()));
        context.add_analyzer_rule(Arc::new(Implied));
        context.register_object_store(ObjectStoreUrl::local_filesystem().as_ref(), Arc::new(Kept::here()));
        let place = lake.place().clone();
        #[cfg(feature = "object-store")]
        if let Some(store) = place.store() {
            let url = ObjectStoreUrl::parse(store.url().root()).map_err(Error::engine)?;
            context.register_object_store(url.as_ref(), Arc::new(Kept::stored(store.client())));
        }
        let mut tables = Vec::new();
        for snapshot in lake.snapshots()? {
            tables.push(Scan::whole(&snapshot));
            let name = snapshot.table.name;
            let table = LakeTable::new(&lake, snapshot)?;
            context.register_table(name, Arc::new(table)).map_err(Error::engine)?;
        }
        for function in functions::all(key_file.map(Path::to_path_buf)).into_iter().chain([trunc::trunc()]) {
            context.register_udf(function);
        }
        Ok(Engine { context, place, tables })
    }

    /// Where the log lies.
    pub fn place(&self) -> &audit::Place {
        &self.place
    }

    /// With the views of [`VIEWS`].
    ///
    /// # Errors
    /// A view does not fit the tables.
    pub async fn with_views(self) -> Result<Engine, Error> {
        for View { name, sql, .. } in views::ALL {
            let view = format!("create view {name} as {sql}");
            self.context.sql(&view).await.map_err(Error::engine)?;
        }
        Ok(self)
    }

    /// The names that a question may use: tables and views, columns, functions.
    pub fn names(&self) -> Names {
        let columns = crate::audit::schema::tables().iter().flat_map(|table| table.schema.fields());
        let mut columns: Vec<String> = columns.map(|field| field.name().clone()).collect();
        let state = self.context.state();
        let functions = state.scalar_functions().keys().chain(state.aggregate_functions().keys());
        let mut functions: Vec<String> = functions.cloned().collect();
        for names in [&mut columns, &mut functions] {
            names.sort_unstable();
            names.dedup();
        }
        let views = VIEWS.iter().map(|view| view.name);
        Names { tables: self.tables.iter().map(|table| table.table).chain(views).collect(), columns, functions }
    }

    /// Plans one question: nothing of the answer is read yet.
    ///
    /// # Errors
    /// The text is no SQL, names what is not there, or is not a question: with line and column where they are known.
    pub async fn plan(&self, sql: &str) -> Result<Planned, Error> {
        let only_questions = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
        let frame = self.context.sql_with_options(sql, only_questions).await.map_err(Error::engine)?;
        let schema = Arc::clone(frame.schema().inner());
        let task = Arc::new(frame.task_ctx());
        let plan = frame.create_physical_plan().await.map_err(Error::engine)?;
        let scanned = Scanned::of(&plan, &self.place, &self.tables);
        Ok(Planned { schema, plan, task, scanned })
    }

    /// Plans one question and begins to answer it.
    ///
    /// # Errors
    /// As [`Engine::plan`].
    pub async fn rows(&self, sql: &str) -> Result<Rows, Error> {
        self.plan(sql).await?.rows()
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

/// See [`Engine::names`].
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// Tables, then views.
    pub tables: Vec<&'static str>,
    /// Columns of every table, in order.
    pub columns: Vec<String>,
    /// Functions, in order.
    pub functions: Vec<String>,
}

/// A question that was understood.
pub struct Planned {
    schema: SchemaRef,
    plan: Arc<dyn ExecutionPlan>,
    task: Arc<TaskContext>,
    scanned: Scanned,
}

impl Planned {
    /// What it reads of the log.
    pub fn scanned(&self) -> &Scanned {
        &self.scanned
    }

    /// How it will be answered, for people.
    pub fn explained(&self) -> String {
        scan::explained(&self.plan)
    }

    /// Begins to answer it.
    ///
    /// # Errors
    /// The engine refuses.
    pub fn rows(self) -> Result<Rows, Error> {
        let Planned { schema, plan, task, .. } = self;
        let stream = execute_stream(Arc::clone(&plan), task).map_err(Error::engine)?;
        Ok(Rows { schema, plan, stream })
    }
}

/// An answer, batch by batch.
pub struct Rows {
    schema: SchemaRef,
    plan: Arc<dyn ExecutionPlan>,
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

    /// What reads how far it has come, while it comes.
    pub fn progress(&self) -> impl Fn() -> u64 + Send + use<> {
        let plan = Arc::clone(&self.plan);
        move || scan::files_done(&plan)
    }
}
