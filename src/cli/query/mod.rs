//! `mitsuke query`: SQL over the log, as a table, CSV, JSON lines or Parquet; a prompt where no question is given.
//!
//! In: a question, as an argument, on standard input, or typed. Out: its answer, and a row of `reviews` that says it was asked.

#[cfg(feature = "query")]
mod answer;
#[cfg(feature = "query")]
mod interrupt;
#[cfg(feature = "query")]
mod progress;
#[cfg(feature = "query")]
mod prompt;

use clap::Args;

use super::reading::Reader;
use super::{Global, Status};

/// SQL over the log, the last seconds included
///
/// Without a question it is read from standard input; on a terminal there is a prompt, with history and completion. Who asked what,
/// without literals, is itself recorded, in the table `reviews`.
#[derive(Debug, Args)]
#[command(after_help = "\
Tables:
  statements      one executed statement: who, what it read and wrote, how many people
  transactions    from BEGIN to its end
  sessions        one connection, failed ones too
  findings        a policy that matched
  reviews         what people did with findings and the log: who asked what
Views:
  reads_of_personal_data   statements that returned somebody's personal data
  logins                   connections and attempts; `succeeded` tells which
  privilege_changes        grants, roles, owners, row security, or attempts at them
  activity_by_hour         what one user did in one hour
Functions, besides DataFusion's:
  person('4711')                   what stands in `subjects` for that key; takes [privacy].key_file
  week(at)                         '2026-W47'
  at at time zone 'Asia/Tokyo'     the same moment on that zone's clock; week() and date_trunc() follow it

`describe statements` lists the columns. Times are UTC. A condition on `at`, `dt` or week(at)
reads the files of those days and hours only: --explain shows how many.

Examples:
  mitsuke query \"select db_user, sum(persons) from statements group by 1\"
  mitsuke query \"select * from reads_of_personal_data where array_has(subjects, person('4711'))\"
  mitsuke query \"select db_user, count(*) from logins where not succeeded group by 1\"
  mitsuke query \"select week(at), count(*) from findings group by 1 order by 1\" --output weeks.csv
  mitsuke query --explain \"select * from statements where at > now() - interval '1 hour'\"
  mitsuke query < question.sql
  mitsuke query")]
pub struct Query {
    /// The question: one SELECT, in quotes; DataFusion's dialect, close to PostgreSQL's
    sql: Option<String>,
    /// The form of the answer [default: as --output ends in .csv, .json, .jsonl or .parquet, else table]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Write it to this file instead of to standard output
    #[arg(long, value_name = "FILE")]
    output: Option<std::path::PathBuf>,
    /// Show how it would be answered, and how many files of how many would be opened
    #[arg(long, conflicts_with = "output")]
    explain: bool,
    #[command(flatten)]
    reader: Reader,
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
        let Query { sql: _, format: _, output: _, explain: _, reader: _ } = self;
        anyhow::bail!("this binary was built without the feature `query`; build it with default features")
    }
}

#[cfg(feature = "query")]
impl Query {
    /// Runs it.
    pub fn run(self, global: &Global) -> anyhow::Result<Status> {
        use std::io::{IsTerminal, Read, stdin};

        use anyhow::Context;

        use crate::config::Config;

        let audit = Config::load(global.config.as_deref())?.with_log(global.log.as_deref())?.audit;
        let runtime =
            tokio::runtime::Builder::new_multi_thread().enable_time().build().context("cannot start threads")?;
        let sql = match &self.sql {
            Some(sql) => sql.clone(),
            None if stdin().is_terminal() => return prompt::run(&self, &audit, &runtime),
            None => {
                let mut sql = String::new();
                stdin().read_to_string(&mut sql).context("the question cannot be read from standard input")?;
                sql
            }
        };
        let engine = super::open_log(&audit)?;
        let status = runtime.block_on(answer::once(engine, &self, &sql, &audit));
        // What still runs must not hold the end up.
        runtime.shutdown_background();
        match status {
            Err(error) if std::io::stderr().is_terminal() => answer::pointed_at(&error, &sql).ok_or(error),
            status => status,
        }
    }

    /// As asked for, or as the file's name says.
    fn format(&self) -> Format {
        let ending = self.output.as_deref().and_then(|path| path.extension()).and_then(|ending| ending.to_str());
        let by_name = match ending.unwrap_or_default() {
            "csv" => Format::Csv,
            "json" | "jsonl" | "ndjson" => Format::Json,
            "parquet" => Format::Parquet,
            _ => Format::Table,
        };
        self.format.unwrap_or(by_name)
    }
}
