//! `mitsuke log`: the upkeep of a log that a sidecar does by itself, by hand.

use std::fmt::Write as _;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use super::policy::print;
use super::{Global, Status};
use crate::audit::{self, Compacted, LeftAlone};
use crate::clock::Clock;
use crate::config::Config;

/// Makes large files of small ones, as a sidecar does by itself
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mitsuke log compact
  mitsuke log compact --log /var/lib/mitsuke/mitsuke-log --format json")]
pub struct Log {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Makes one file of a day's many, up to 128 MB, table by table; the chain names what each replaces
    ///
    /// A running sidecar does it by itself, when a day is an hour over and when 64 files of today have piled up, at a moment without
    /// statements; its files are left alone here. Writers that do not run are compacted: of sidecars that are no more, and of commands that read
    /// the log. What a legal hold (LOG/hold) holds stays as it is, and so does what was altered since it was sealed. The files that were replaced
    /// stay for an hour under names that begin with _ and end in .replaced, for who has listed them before; the next sidecar or command removes them.
    /// Needs [log].signing_key, and may be cut short at any moment. Of a log in a store, run it on a machine that writes it, with its [log].spool:
    /// the new file goes up before those that it replaces go.
    #[command(after_help = "\
Example:
  mitsuke log compact
  db-1: 144 files of 210 MB became 2 of 195 MB

Exit status: 0 done; 1 a file was altered since it was sealed; 2 it could not be done. `mitsuke verify` proves the log afterwards as before.")]
    Compact {
        /// text: a line a writer; json: an object a line
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Text,
    Json,
}

impl Log {
    /// Compacts.
    pub fn run(self, global: &Global) -> anyhow::Result<Status> {
        let config = Config::load(global.config.as_deref())?.with_log(global.log.as_deref())?;
        let What::Compact { format } = self.what;
        // Whether there is a log at all is told as every command tells it; whether a spool is there, by what follows.
        if config.audit.store.is_none() {
            audit::Lake::of(&config.audit).map_err(super::unopened)?;
        }
        let done = audit::compact(&config.audit, Clock::system().now())?;
        let mut text = String::new();
        for compacted in &done {
            let _ = match format {
                Format::Text => writeln!(text, "{}", line(compacted)),
                Format::Json => writeln!(
                    text,
                    "{}",
                    json!({
                        "writer": compacted.writer, "left_alone": compacted.left_alone.map(why), "files": compacted.files,
                        "into": compacted.into, "bytes_before": compacted.bytes_before,
                        "bytes_after": compacted.bytes_after, "refused": compacted.refused,
                    })
                ),
            };
        }
        print(&text)?;
        let refused: Vec<&String> = done.iter().flat_map(|compacted| &compacted.refused).collect();
        refused.iter().for_each(|refused| eprintln!("mitsuke: {refused}"));
        Ok(if refused.is_empty() { Status::Done } else { Status::DoesNotHold })
    }
}

fn line(compacted: &Compacted) -> String {
    let Compacted { writer, left_alone, files, into, bytes_before, bytes_after, .. } = compacted;
    match (left_alone, files) {
        (Some(left), _) => format!("{writer}: left alone, {}", why(*left)),
        (None, 0) => format!("{writer}: nothing to compact"),
        (None, _) => {
            format!("{writer}: {files} files of {} became {into} of {}", size(*bytes_before), size(*bytes_after))
        }
    }
}

fn why(left: LeftAlone) -> &'static str {
    match left {
        LeftAlone::Running => "it is running, and compacts its files by itself",
        LeftAlone::OtherKey => "its chain is signed by another key than [log].signing_key",
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} bytes"),
        10_000..10_000_000 => format!("{} kB", bytes / 1000),
        _ => format!("{} MB", bytes / 1_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_done_is_a_line_a_writer() {
        let done = Compacted {
            writer: "db-1".to_owned(),
            files: 144,
            into: 2,
            bytes_before: 210_000_000,
            bytes_after: 195_400_000,
            left_alone: None,
            refused: Vec::new(),
        };
        assert_eq!(line(&done), "db-1: 144 files of 210 MB became 2 of 195 MB");
        assert_eq!(line(&Compacted { files: 0, ..done.clone() }), "db-1: nothing to compact");
        assert!(line(&Compacted { left_alone: Some(LeftAlone::Running), ..done }).contains("by itself"));
        assert_eq!((size(9_999), size(20_000)), ("9999 bytes".to_owned(), "20 kB".to_owned()));
    }
}
