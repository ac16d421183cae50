//! `mitsuke policy`: what is judged, and whether the policies' cases hold.

mod list;
mod test;

use std::io::{ErrorKind, Write, stdout};
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand, ValueEnum};

use super::{Global, Status};
use crate::config::Config;
use crate::error::Faults;
use crate::policy::{PolicySet, load, load_folder};

/// The policies; their cases
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  mitsuke policy list\n  mitsuke policy test bulk-personal-read")]
pub struct Policy {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    List(list::List),
    Test(test::Test),
    /// What the policies would have found in the log (not there yet)
    Backtest(Anything),
    /// Why a policy did or did not match a statement (not there yet)
    Explain(Anything),
}

#[derive(Debug, Args)]
struct Origin {
    /// A folder of policies, or one policy's file [default: the configuration's, else those built in]
    #[arg(long, value_name = "PATH")]
    path: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// Whatever was typed after a command that is not there yet.
#[derive(Debug, Args)]
struct Anything {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    rest: Vec<String>,
}

impl Policy {
    /// Runs it.
    pub fn run(self, global: &Global) -> anyhow::Result<Status> {
        match self.what {
            What::List(list) => list.run(global),
            What::Test(test) => test.run(global),
            What::Backtest(Anything { rest: _ }) => not_yet("backtest"),
            What::Explain(Anything { rest: _ }) => not_yet("explain"),
        }
    }
}

fn not_yet(name: &str) -> anyhow::Result<Status> {
    anyhow::bail!("`mitsuke policy {name}` is not there yet in version {}; see CHANGELOG.md", env!("CARGO_PKG_VERSION"))
}

impl Origin {
    /// The policies; `None` where they are faulty, which was told.
    fn load(&self, global: &Global) -> Option<PolicySet> {
        let loaded = match &self.path {
            Some(path) => load_folder(path),
            None => Config::load(global.config.as_deref()).and_then(|config| load(&config.policies)),
        };
        loaded.map_err(|faults| tell(&faults)).ok()
    }
}

fn tell(Faults(faults): &Faults) {
    for fault in faults {
        eprintln!("{fault}");
    }
    eprintln!("mitsuke policy: {} fault{} found", faults.len(), if faults.len() == 1 { "" } else { "s" });
}

/// To standard output. Whoever closed the pipe has read enough.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    let mut stdout = stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result.context("cannot write to standard output"),
    }
}
