//! One question answered, in any form.

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
use serde_json::json;
use tempfile::NamedTempFile;

use super::progress::Progress;
use super::{Format, Query, Status, interrupt};
use crate::audit;
use crate::query::{Engine, Error, Planned, Rows, Scan, without_literals};

/// Answers a question in the form that was asked for, and records that it was asked.
pub async fn once(engine: Engine, query: &Query, sql: &str, audit: &audit::Config) -> anyhow::Result<Status> {
    let format = query.format();
    if format == Format::Parquet && query.output.is_none() && !query.explain && io::stdout().is_terminal() {
        bail!("Parquet is not for a terminal; add `--output FILE`");
    }
    let engine = engine.with_views().await?;
    let planned = engine.plan(sql).await.context("the question was refused")?;
    if query.explain {
        print(&explained(&planned, format))?;
        return Ok(Status::Done);
    }
    let temporary = query.output.as_deref().map(temporary).transpose()?;
    let mut recorder = query.reader.recorder(audit);
    recorder.record(without_literals(sql));
    interrupt::ends_the_process(temporary.as_ref().map(|file| file.path().to_path_buf()));
    let answered = answer(planned, query.output.as_deref().zip(temporary), format).await;
    recorder.close();
    answered.map(|()| Status::Done)
}

async fn answer(planned: Planned, to: Option<(&Path, NamedTempFile)>, format: Format) -> anyhow::Result<()> {
    let files = planned.scanned().files();
    let rows = planned.rows().context("the question was refused")?;
    // Rows that appear on the terminal are progress enough.
    let silent = to.is_none() && io::stdout().is_terminal() && format != Format::Table;
    let progress = Progress::begin((!silent).then_some(files), rows.progress());
    match to {
        Some((path, file)) => to_file(rows, format, path, file, progress).await,
        None => match write(rows, format, io::stdout(), progress).await {
            // Whoever reads us has seen enough.
            Err(error) if is_broken_pipe(&error) => Ok(()),
            result => result.map(drop),
        },
    }
}

/// Where a file lies until it is whole.
fn temporary(path: &Path) -> anyhow::Result<NamedTempFile> {
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        bail!("cannot write {}: {} is no folder; make it, or name another --output", path.display(), folder.display());
    }
    NamedTempFile::new_in(folder).with_context(|| format!("cannot write {}", path.display()))
}

/// The file appears when it is whole.
async fn to_file(
    rows: Rows,
    format: Format,
    path: &Path,
    file: NamedTempFile,
    progress: Progress,
) -> anyhow::Result<()> {
    let copy: File = file.reopen().with_context(|| format!("cannot write {}", path.display()))?;
    write(rows, format, copy, progress).await?;
    file.persist(path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(())
}

/// Writes an answer; gives its number of rows.
pub async fn write(
    mut rows: Rows,
    format: Format,
    sink: impl Write + Send,
    progress: Progress,
) -> anyhow::Result<usize> {
    let mut sink = BufWriter::new(sink);
    let schema = rows.schema();
    let mut count = 0_usize;
    match format {
        Format::Table => {
            let mut batches = vec![RecordBatch::new_empty(schema)];
            while let Some(batch) = rows.next().await {
                batches.push(batch?);
            }
            progress.end();
            count = batches.iter().map(RecordBatch::num_rows).sum();
            writeln!(sink, "{}", arrow::util::pretty::pretty_format_batches(&batches)?)?;
        }
        Format::Csv => {
            let mut csv = arrow::csv::WriterBuilder::new().with_header(true).build(&mut sink);
            csv.write(&flat(&RecordBatch::new_empty(schema))?)?;
            while let Some(batch) = rows.next().await {
                let batch = batch?;
                count = count.saturating_add(batch.num_rows());
                csv.write(&flat(&batch)?)?;
            }
        }
        Format::Json => {
            let builder = arrow::json::WriterBuilder::new().with_explicit_nulls(true);
            let mut json = builder.build::<_, LineDelimited>(&mut sink);
            while let Some(batch) = rows.next().await {
                let batch = batch?;
                count = count.saturating_add(batch.num_rows());
                json.write(&batch)?;
            }
            json.finish()?;
        }
        Format::Parquet => {
            let mut parquet = ArrowWriter::try_new(&mut sink, schema, None)?;
            while let Some(batch) = rows.next().await {
                let batch = batch?;
                count = count.saturating_add(batch.num_rows());
                parquet.write(&batch)?;
            }
            parquet.close()?;
        }
    }
    sink.flush()?;
    Ok(count)
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

/// The plan, and how many files of how many are opened.
pub fn explained(planned: &Planned, format: Format) -> String {
    let scanned = planned.scanned();
    if format == Format::Json {
        let table = |(opened, whole): &(Scan, Scan)| {
            json!({
                "table": whole.table, "files": opened.files, "files_all": whole.files,
                "bytes": opened.bytes, "bytes_all": whole.bytes,
            })
        };
        let tables: Vec<_> = scanned.tables.iter().map(table).collect();
        return format!("{}\n", json!({ "plan": planned.explained(), "tables": tables }));
    }
    let mut text = planned.explained();
    for (opened, whole) in &scanned.tables {
        let bytes = |bytes| indicatif::HumanBytes(bytes).to_string();
        text.push_str(&format!(
            "{}: {} of {} files, {} of {}\n",
            whole.table,
            opened.files,
            whole.files,
            bytes(opened.bytes),
            bytes(whole.bytes)
        ));
    }
    if scanned.tables.is_empty() {
        text.push_str("no file is opened; what is not sealed yet is read from the journals\n");
    }
    text
}

/// To standard output. Whoever closed the pipe has read enough.
fn print(text: &str) -> anyhow::Result<()> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.context("cannot write to standard output"),
    }
}

/// For a terminal: the error, and below it the line that it is in with a caret. `None` where no place is known.
pub fn pointed_at(error: &anyhow::Error, sql: &str) -> Option<Status> {
    let place = error.chain().find_map(|cause| match cause.downcast_ref::<Error>() {
        Some(Error::Sql { place, .. }) => *place,
        _ => None,
    });
    let shown = place?.shown(sql)?;
    eprintln!("mitsuke: {}\n{shown}", crate::cli::in_full(error));
    Some(Status::Wrong)
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
