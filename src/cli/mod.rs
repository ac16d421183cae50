//! The command line: one file a subcommand. Usage and rendering only; the work is done in the rooms.

#![allow(
    rustdoc::broken_intra_doc_links,
    rustdoc::private_intra_doc_links,
    reason = "docs here are what --help prints: [listen].address is a key of the configuration"
)]

mod bar;
mod check;
mod classify;
mod demo;
mod export;
mod later;
mod log;
mod policy;
mod quarantine;
mod query;
mod reading;
mod report;
mod run;
mod verify;
mod who;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand};

use crate::error::Faults;

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
#[command(after_help = "\
Examples:
  mitsuke demo --once                     # a made-up shop's day, and an insider's
  mitsuke run --upstream 127.0.0.1:5432   # clients connect to 127.0.0.1:6432
  mitsuke query \"select db_user, sum(persons) from statements group by 1\"

Every key of the configuration can be overridden in the environment, as
MITSUKE_SECTION__KEY: MITSUKE_UPSTREAM__ADDRESS=db.example:5432.
Exit status: 0 done; 1 what was asked for does not hold; 2 wrong usage, configuration or environment.")]
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
    /// The log: a folder, or s3://bucket/prefix [default: [log].path of the configuration, else ./mitsuke-log]
    #[arg(long, global = true, value_name = "PATH")]
    pub log: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Demo),
    Run(run::Run),
    Check(check::Check),
    Classify(classify::Classify),
    Query(query::Query),
    Report(report::Report),
    Policy(policy::Policy),
    Verify(verify::Verify),
    Log(log::Log),
    Quarantine(quarantine::Quarantine),
    Who(who::Who),
    Export(export::Export),
    #[command(flatten)]
    Later(later::Later),
}

/// Parses `arguments`, runs the command, prints its error if it has one.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> Status {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return refused(&error),
    };
    let outcome = match cli.command {
        Command::Demo(command) => command.run(&cli.global),
        Command::Run(command) => command.run(&cli.global),
        Command::Check(command) => command.run(&cli.global),
        Command::Classify(command) => command.run(&cli.global),
        Command::Query(command) => command.run(&cli.global),
        Command::Report(command) => command.run(&cli.global),
        Command::Policy(command) => command.run(&cli.global),
        Command::Verify(command) => command.run(&cli.global),
        Command::Log(command) => command.run(&cli.global),
        Command::Quarantine(command) => command.run(&cli.global),
        Command::Who(command) => command.run(&cli.global),
        Command::Export(command) => command.run(&cli.global),
        Command::Later(command) => command.run(),
    };
    outcome.unwrap_or_else(|error| {
        match error.downcast_ref::<Faults>() {
            // Each begins with its place, for editors to jump to.
            Some(faults) => eprintln!("{faults}"),
            None => eprintln!("mitsuke: {}", in_full(&error)),
        }
        Status::Wrong
    })
}

/// An error and its causes in one line; a cause that an error has told already is not told again.
fn in_full(error: &anyhow::Error) -> String {
    let mut told = String::new();
    for cause in error.chain().map(|cause| one_line(&cause.to_string())) {
        if told.is_empty() {
            told = cause;
        } else if !told.contains(&cause) {
            told = format!("{told}: {cause}");
        }
    }
    told
}

/// Opens the log to read.
#[cfg(feature = "query")]
fn open_log(config: &crate::audit::Config) -> anyhow::Result<crate::query::Engine> {
    use crate::query::{Engine, Error};

    Engine::of(config).map_err(|error| match error {
        Error::Log(error) => unopened(error),
        error => error.into(),
    })
}

/// With how to mend it, where the log cannot be opened.
fn unopened(error: crate::audit::Error) -> anyhow::Error {
    match error {
        error @ crate::audit::Error::Io { .. } => anyhow::anyhow!("{error}; name the folder of a log with --log"),
        error => error.into(),
    }
}

/// Whether whoever reads the answer has closed the pipe.
fn is_closed(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

/// Help and version as they are; a mistake in one line.
fn refused(error: &clap::Error) -> Status {
    if !error.use_stderr() || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let _ = error.print();
        return if error.use_stderr() { Status::Wrong } else { Status::Done };
    }
    eprintln!("mitsuke: {}; --help tells more", usage_mistake(&error.render().to_string()));
    Status::Wrong
}

/// What clap says over several paragraphs: the mistake, tips, the usage.
fn usage_mistake(rendered: &str) -> String {
    let parts = rendered.split("\n\n").filter_map(|paragraph| {
        let line = one_line(paragraph);
        let part = line.strip_prefix("error: ").or_else(|| line.strip_prefix("tip: ")).unwrap_or(&line);
        let part = part.replace("Usage: ", "usage: ");
        let part = match part.split_once(" [possible values: ") {
            Some((what, values)) => format!("{what}; write one of {}", values.trim_end_matches(']')),
            None => part,
        };
        (!part.starts_with("For more information")).then_some(part)
    });
    parts.collect::<Vec<_>>().join("; ")
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(arguments: &[&str]) -> String {
        let error = Cli::try_parse_from(["mitsuke"].iter().chain(arguments)).expect_err("a mistake");
        usage_mistake(&error.render().to_string())
    }

    #[test]
    fn a_mistake_in_usage_is_one_line_that_says_how_to_mend_it() {
        assert_eq!(
            told(&["chek"]),
            "unrecognized subcommand 'chek'; a similar subcommand exists: 'check'; usage: mitsuke [OPTIONS] <COMMAND>"
        );
        assert_eq!(
            told(&["who", "shop.customers"]),
            "the following required arguments were not provided: <KEY>; usage: mitsuke who <TABLE> <KEY>"
        );
        assert_eq!(
            told(&["report", "--week", "2026-47"]),
            "invalid value '2026-47' for '--week <WEEK>': `2026-47` is not a week; write it as ISO 8601 does, such as 2026-W47"
        );
        assert_eq!(
            told(&["query", "select 1", "--format", "xml"]),
            "invalid value 'xml' for '--format <FORMAT>'; write one of table, csv, json, parquet"
        );
    }

    #[test]
    fn a_cause_is_told_once() {
        let error = anyhow::anyhow!("no such file").context("cannot read x: no such file").context("the report");
        assert_eq!(in_full(&error), "the report: cannot read x: no such file");
    }

    #[test]
    fn every_command_has_an_example() {
        let cli = <Cli as clap::CommandFactory>::command();
        for command in cli.get_subcommands() {
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let is_later = about.ends_with("(not there yet)");
            // The commands of `mitsuke policy` have theirs.
            let is_group = command.get_name() == "policy";
            assert!(is_later || is_group || after.contains("Example"), "{}", command.get_name());
        }
    }
}
