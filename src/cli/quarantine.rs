//! `mitsuke quarantine`: who is kept out, and letting them in again. Works on the log's folder, whether the sidecar runs or not.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use super::policy::print;
use super::{Global, Status};
use crate::clock::Clock;
use crate::config::Config;
use crate::policy::acting::Whom;
use crate::policy::judged::tame;
use crate::quarantine::{Lift, Quarantines};

/// Who is kept out by policies with `action: quarantine`
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  mitsuke quarantine list\n  \
                        mitsuke quarantine lift db_user clerk --by sato --comment \"spoke with her: a report for the board\"\n\n\
                        It stands in quarantine.jsonl in the log's folder; a running sidecar heeds a lift within a second.")]
pub struct Quarantine {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Who is kept out now: kind, name, until when, policy, finding
    List {
        /// text: a tab-separated line each; json: one object a line
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
    },
    /// Lets somebody in again
    Lift {
        /// A user or an address
        #[arg(value_parser = whom)]
        whom: Whom,
        /// Its name, as `list` has it
        name: String,
        /// Who lifts it; it is kept beside the quarantine
        #[arg(long, value_name = "NAME")]
        by: Option<String>,
        /// Why; it is kept beside the quarantine
        #[arg(long, value_name = "TEXT")]
        comment: Option<String>,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Text,
    Json,
}

fn whom(text: &str) -> Result<Whom, String> {
    text.parse().map_err(|()| format!("write one of {}", Whom::ALL.join(", ")))
}

impl Quarantine {
    /// Lists or lifts.
    pub fn run(self, global: &Global) -> anyhow::Result<Status> {
        let config = Config::load(global.config.as_deref())?.with_log(global.log.as_deref())?;
        let log = config.audit.path;
        let quarantines = open(&log)?;
        let now = Clock::system().now();
        match self.what {
            What::List { format } => {
                let mut text = String::new();
                for entry in quarantines.in_force(now) {
                    let _ = match format {
                        Format::Text => writeln!(
                            text,
                            "{}\t{}\t{}\t{}\t{}",
                            entry.whom,
                            tame(&entry.name),
                            entry.until,
                            entry.policy,
                            entry.finding_id
                        ),
                        Format::Json => writeln!(
                            text,
                            "{}",
                            json!({
                                "whom": entry.whom, "name": entry.name, "from": entry.from.to_string(),
                                "until": entry.until.to_string(), "policy": entry.policy,
                                "finding_id": entry.finding_id,
                            })
                        ),
                    };
                }
                print(&text)?;
                Ok(Status::Done)
            }
            What::Lift { whom, name, by, comment } => {
                let held = quarantines.in_force(now);
                if !held.iter().any(|entry| entry.whom == whom && *entry.name == *name) {
                    eprintln!(
                        "mitsuke: {whom} `{}` is not kept out; `mitsuke quarantine list` tells who is",
                        tame(&name)
                    );
                    return Ok(Status::DoesNotHold);
                }
                let lift = Lift {
                    whom,
                    name: name.as_str().into(),
                    at: now,
                    by: by.as_deref().map(Into::into),
                    comment: comment.as_deref().map(Into::into),
                };
                quarantines.lift(lift).with_context(|| format!("{} cannot be written", log.display()))?;
                Ok(Status::Done)
            }
        }
    }
}

fn open(log: &Path) -> anyhow::Result<Quarantines> {
    if !log.is_dir() {
        bail!("{}: there is no log; name its folder with --log", log.display());
    }
    Quarantines::open(log).with_context(|| format!("{}: the list cannot be read", log.display()))
}
