//! `mitsuke query`: SQL over the log, as a table, CSV, JSON lines or Parquet.

use clap::Args;

use super::{Global, Status};

/// SQL over the log, the last seconds included
#[derive(Debug, Args)]
#[command(after_help = "\
Tables: statements, transactions, sessions, findings, reviews. Times are UTC.
`describe statements` lists the columns.
A condition on `at` or `dt` reads the files of those days only.

Examples:
  mitsuke query \"select db_user, sum(persons) from statements group by 1\"
  mitsuke query \"select dt, policy, count(*) from findings group by 1, 2\"
  mitsuke query \"select * from findings\" --format csv --output findings.csv")]
pub struct Query {
    /// The question: one SELECT, in quotes; DataFusion's dialect, close to PostgreSQL's
    sql: String,
    /// The form of the answer
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Write it to this file instead of to standard output
    #[arg(long, value_name = "FILE")]
    output: Option<std::path::PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people
    Table,
    /// With a header; a list is one field
    Csv,
    /// One object a line
    Json,
    /// A Parquet file
    Parquet,
}

#[cfg(not(feature = "query"))]
impl Query {
    /// Says that it was left out.
    pub fn run(self, _global: &Global) -> anyhow::Result<Status> {
        anyhow::bail!("this binary was built without the feature `query`; build it with default features")
    }
}

#[cfg(feature = "query")]
impl Query {
    /// Runs it.
    pub fn run(self, global: &Global) -> anyhow::Result<Status> {
        use anyhow::Context;

        let log = crate::config::Config::load(global.config.as_deref())?.with_log(global.log.as_deref()).audit.path;
        let engine = super::open_log(&log)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().build().context("cannot start threads")?;
        runtime.block_on(answer::print(&engine, &self))
    }
}

#[cfg(feature = "query")]
mod answer {
    use std::fs::File;
    use std::io::{self, BufWriter, IsTerminal, Write};
    use std::path::Path;
    use std::sync::Arc;

    use anyhow::{Context, bail};
    use arrow::array::{ArrayRef, RecordBatch};
    use arrow::compute::cast;
    use arrow::datatypes::{DataType, Field, Schema};
    use arrow::json::writer::LineDelimited;
    use parquet::arrow::ArrowWriter;
    use tempfile::NamedTempFile;

    use super::{Format, Query, Status};
    use crate::query::{Engine, Rows};

    /// Answers a question in the form that was asked for.
    pub async fn print(engine: &Engine, query: &Query) -> anyhow::Result<Status> {
        if query.format == Format::Parquet && query.output.is_none() && io::stdout().is_terminal() {
            bail!("Parquet is not for a terminal; add `--output FILE`");
        }
        let rows = engine.rows(&query.sql).await.context("the question was refused")?;
        match &query.output {
            Some(path) => to_file(rows, query.format, path).await?,
            None => match write(rows, query.format, io::stdout()).await {
                // Whoever reads us has seen enough.
                Err(error) if is_broken_pipe(&error) => {}
                result => result?,
            },
        }
        Ok(Status::Done)
    }

    /// The file appears when it is whole.
    async fn to_file(rows: Rows, format: Format, path: &Path) -> anyhow::Result<()> {
        let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if !folder.is_dir() {
            bail!(
                "cannot write {}: {} is no folder; make it, or name another --output",
                path.display(),
                folder.display()
            );
        }
        let file = NamedTempFile::new_in(folder).with_context(|| format!("cannot write {}", path.display()))?;
        let copy: File = file.reopen().with_context(|| format!("cannot write {}", path.display()))?;
        write(rows, format, copy).await?;
        file.persist(path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(())
    }

    async fn write(mut rows: Rows, format: Format, sink: impl Write + Send) -> anyhow::Result<()> {
        let mut sink = BufWriter::new(sink);
        let schema = rows.schema();
        match format {
            Format::Table => {
                let mut batches = vec![RecordBatch::new_empty(schema)];
                while let Some(batch) = rows.next().await {
                    batches.push(batch?);
                }
                writeln!(sink, "{}", arrow::util::pretty::pretty_format_batches(&batches)?)?;
            }
            Format::Csv => {
                let mut csv = arrow::csv::WriterBuilder::new().with_header(true).build(&mut sink);
                csv.write(&flat(&RecordBatch::new_empty(schema))?)?;
                while let Some(batch) = rows.next().await {
                    csv.write(&flat(&batch?)?)?;
                }
            }
            Format::Json => {
                let builder = arrow::json::WriterBuilder::new().with_explicit_nulls(true);
                let mut json = builder.build::<_, LineDelimited>(&mut sink);
                while let Some(batch) = rows.next().await {
                    json.write(&batch?)?;
                }
                json.finish()?;
            }
            Format::Parquet => {
                let mut parquet = ArrowWriter::try_new(&mut sink, schema, None)?;
                while let Some(batch) = rows.next().await {
                    parquet.write(&batch?)?;
                }
                parquet.close()?;
            }
        }
        sink.flush()?;
        Ok(())
    }

    /// With lists as text: CSV has none.
    fn flat(batch: &RecordBatch) -> anyhow::Result<RecordBatch> {
        let mut fields = Vec::new();
        let mut columns: Vec<ArrayRef> = Vec::new();
        for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
            let kind = if field.data_type().is_nested() { DataType::Utf8 } else { field.data_type().clone() };
            columns.push(cast(column, &kind)?);
            fields.push(Field::new(field.name(), kind, true));
        }
        Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
    }

    fn is_broken_pipe(error: &anyhow::Error) -> bool {
        error.chain().any(|cause| {
            let of_io = cause.downcast_ref::<io::Error>().map(io::Error::kind);
            let of_arrow = cause.downcast_ref::<arrow::error::ArrowError>().and_then(|error| match error {
                arrow::error::ArrowError::IoError(_, error) => Some(error.kind()),
                _ => None,
            });
            [of_io, of_arrow].contains(&Some(io::ErrorKind::BrokenPipe))
        })
    }
}
