//! `mitsuke demo`.

use std::path::PathBuf;

use anyhow::bail;

use super::{Global, Status};
use crate::demo::{self, Ending, Wish};

/// Plays an ordinary day of a ticket shop, and an insider's, on a throwaway PostgreSQL
///
/// Needs PostgreSQL's programs, version 13 or newer, and touches no server that is there. Everything but the folder is gone
/// afterwards. Without --once it goes on listening after the play, and prints a psql line to try by hand; Ctrl-C ends it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mitsuke demo --once
  mitsuke demo --folder /tmp/mitsuke-demo")]
pub struct Demo {
    /// End after the play; exit status 1 where the insider was not found
    #[arg(long)]
    once: bool,
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
        let ending = runtime.block_on(demo::run(&Wish { once: self.once, folder: self.folder }))?;
        Ok(match ending {
            Ending::Found => Status::Done,
            Ending::Missed | Ending::Interrupted => Status::DoesNotHold,
        })
    }
}
