//! `mitsuke demo`.

use std::path::PathBuf;

use anyhow::bail;

use super::{Global, Status};
use crate::demo::{self, Ending, Wish};

/// More weeks than policies remember teach nothing.
const WEEKS_MAX: i64 = 12;

/// Plays an ordinary day of a ticket shop, and an insider's, on a throwaway PostgreSQL
///
/// Needs PostgreSQL's programs, version 13 or newer, and touches no server that is there. Everything but the folder is gone
/// afterwards. Without --once it goes on listening after the play, and prints a psql line to try by hand; Ctrl-C ends it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mitsuke demo --once
  mitsuke demo --weeks 4
  mitsuke demo --folder /tmp/mitsuke-demo")]
pub struct Demo {
    /// End after the play; exit status 1 where the insider was not found
    #[arg(long)]
    once: bool,
    /// Ordinary weeks that pass before the day, so that the log has a history, and policies know what is usual: first address, unusual hour, unusual day. Each
    /// takes some seconds
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..=WEEKS_MAX))]
    weeks: u16,
    /// Where configuration, policies, log and report go; an earlier demo's are replaced
    #[arg(long, value_name = "FOLDER", default_value = "mitsuke-demo")]
    folder: PathBuf,
}

impl Demo {
    /// Runs it.
    pub fn run(self, global: &Global) -> anyhow::Result<Status> {
        if global.config.is_some() || global.log.is_some() {
            bail!("`mitsuke demo` brings its own configuration and log; say where with --folder");
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let ending = runtime.block_on(demo::run(&Wish { once: self.once, weeks: self.weeks, folder: self.folder }))?;
        Ok(match ending {
            Ending::Found => Status::Done,
            Ending::Missed | Ending::Interrupted => Status::DoesNotHold,
        })
    }
}
