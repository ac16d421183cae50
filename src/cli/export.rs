//! `mitsuke export`: the log's statements or findings as events that other systems read, one a line.
//!
//! In: a table and a time. Out: OCSF events on standard output, for a file, a shipper or a data lake. A command of its own rather than a form of
//! `mitsuke query`'s answers: an event is a whole record, and no SQL has to be right for it to be one.

use std::io::{BufWriter, Write, stdout};

use clap::Args;

use super::policy::length;
use super::reading::Reader;
use super::{Global, Status};
use crate::audit::Lake;
use crate::clock::{Clock, Timestamp};
use crate::config::Config;
use crate::ocsf;
use crate::record::{Finding, Statement};

/// What is exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Table {
    /// Datastore Activity, class 6005
    Statements,
    /// Detection Finding, class 2004
    Findings,
}

/// Statements or findings as OCSF 1.3 events, one JSON object a line
///
/// Counts of rows and people stand under `mitsuke` in each event. Exported is what began within the time; run it every hour with
/// --since 2h --until 1h, and each statement comes once. Recorded in the log as any other reading of it is.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mitsuke export --since 1h > statements.ocsf.jsonl
  mitsuke export findings --since 7d
  mitsuke export statements --since 2h --until 1h --log /var/lib/mitsuke/mitsuke-log")]
pub struct Export {
    /// What
    #[arg(value_enum, default_value_t = Table::Statements)]
    table: Table,
    /// How far back: 12h, 30d, 4w
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = length)]
    since: i64,
    /// What is newer than so long ago is left out
    #[arg(long, value_name = "TIME", value_parser = length)]
    until: Option<i64>,
    #[command(flatten)]
    reader: Reader,
}

impl Export {
    /// Reads the log, and writes.
    pub fn run(self, global: &Global) -> anyhow::Result<Status> {
        let config = Config::load(global.config.as_deref())?.with_log(global.log.as_deref())?;
        let lake = Lake::of(&config.audit).map_err(super::unopened)?;
        let now = Clock::system().now();
        let (from, to) = (now.plus_micros(-self.since), now.plus_micros(self.until.map_or(1, i64::saturating_neg)));
        if to <= from {
            anyhow::bail!("--until is not less than --since: there is no time between them");
        }
        let table = if self.table == Table::Statements { "statements" } else { "findings" };
        let mut recorder = self.reader.recorder(&config.audit);
        recorder.record(format!("export {table} from {from} to {to}"));
        recorder.close();
        match self.write(&lake, (from, to)) {
            // Whoever reads it has seen enough.
            Err(error) if super::is_closed(&error) => Ok(Status::Done),
            Err(error) => Err(error),
            Ok(()) => Ok(Status::Done),
        }
    }

    fn write(&self, lake: &Lake, range: (Timestamp, Timestamp)) -> anyhow::Result<()> {
        let mut out = BufWriter::new(stdout().lock());
        match self.table {
            Table::Statements => {
                for record in lake.records::<Statement>(Some(range)) {
                    writeln!(out, "{}", ocsf::activity(&record?))?;
                }
            }
            Table::Findings => {
                for record in lake.records::<Finding>(Some(range)) {
                    writeln!(out, "{}", ocsf::finding(&record?, 0))?;
                }
            }
        }
        out.flush()?;
        Ok(())
    }
}
