//! The command line: one file a subcommand. Usage and rendering only; the work is done in the rooms.

mod check;
mod demo;
mod later;
mod policy;
mod query;
mod report;
mod run;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// How a command ended, and the process's exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// 0: done.
    Done,
    /// 1: what was asked for does not hold.
    DoesNotHold,
    /// 2: wrong usage, configuration or environment.
    Wrong,
}

impl From<Status> for std::process::ExitCode {
    fn from(status: Status) -> Self {
        std::process::ExitCode::from(match status {
            Status::Done => 0,
            Status::DoesNotHold => 1,
            Status::Wrong => 2,
        })
    }
}

/// Watches a PostgreSQL database: who read how many people's personal data, and was that usual?
#[derive(Debug, Parser)]
#[command(name = "mitsuke", version, max_term_width = 100, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options of every command.
#[derive(Clone, Debug, Args)]
pub struct Global {
    /// The configuration file [default: mitsuke.toml where it exists, else built-in defaults]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The log: a folder [default: [log].path, ./mitsuke-log]
    #[arg(long, global = true, value_name = "PATH")]
    pub log: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Demo),
    Run(run::Run),
    Check(check::Check),
    Query(query::Query),
    Report(report::Report),
    Policy(policy::Policy),
    #[command(flatten)]
    Later(later::Later),
}

/// Parses `arguments`, runs the command, prints its error if it has one.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> Status {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { Status::Wrong } else { Status::Done };
        }
    };
    let outcome = match cli.command {
        Command::Demo(command) => command.run(&cli.global),
        Command::Run(command) => command.run(&cli.global),
        Command::Check(command) => command.run(&cli.global),
        Command::Query(command) => command.run(&cli.global),
        Command::Report(command) => command.run(&cli.global),
        Command::Policy(command) => command.run(&cli.global),
        Command::Later(command) => command.run(),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("mitsuke: {error:#}");
        Status::Wrong
    })
}
