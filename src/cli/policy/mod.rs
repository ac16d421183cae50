//! `mitsuke policy`: what is judged, and whether the policies' cases hold.

mod backtest;
mod explain;
mod list;
mod sql;
mod test;

use std::io::{ErrorKind, Write, stdout};
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand, ValueEnum};

use super::{Global, Status};
use crate::config::Config;
use crate::error::Faults;
use crate::policy::duration::{self, NoLength};
use crate::policy::{PolicySet, load, load_folder};
use crate::yaml::spelling;

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
    Backtest(backtest::Backtest),
    Explain(explain::Explain),
    Sql(sql::Sql),
}

#[derive(Debug, Args)]
struct Origin {
    /// A folder of policies, or one policy's file [default: the configuration's, else those built in]
    #[arg(long, visible_alias = "policy", value_name = "PATH")]
    path: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

impl Policy {
    /// Runs it.
    pub fn run(self, global: &Global) -> anyhow::Result<Status> {
        match self.what {
            What::List(list) => list.run(global),
            What::Test(test) => test.run(global),
            What::Backtest(backtest) => backtest.run(global),
            What::Explain(explain) => explain.run(global),
            What::Sql(sql) => sql.run(global),
        }
    }
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

/// A time until now, microseconds.
pub(super) fn length(text: &str) -> Result<i64, String> {
    match duration::parse(text) {
        Ok(micros) if micros > 0 => Ok(micros),
        Err(NoLength::TooLong) => Err(format!("too long: {}", duration::LONGEST)),
        _ => Err("write 12h, 30d or 4w".to_owned()),
    }
}

/// A mistake in the name of a policy.
fn unknown(set: &PolicySet, id: &str) -> anyhow::Error {
    let known = set.policies.iter().map(|policy| &*policy.id);
    match spelling::nearest(id, known) {
        Some(near) => anyhow::anyhow!("there is no policy `{id}`; did you mean `{near}`?"),
        None => anyhow::anyhow!("there is no policy `{id}`; `mitsuke policy list` shows them"),
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

/// `1 policy`, `2 policies`.
fn counted(number: u64, [one, many]: [&str; 2]) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
