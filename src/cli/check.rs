//! `mitsuke check`: every fault of configuration, certificates, classification and policies, and whether the server can be
//! reached and authentication would pass.

use std::time::Duration;

use super::{Global, Status};
use crate::alert::{Mail, Mailer};
use crate::audit::Place;
use crate::catalog::{Classification, loader};
use crate::clock::Clock;
use crate::config::Config;
use crate::error::{Fault, Faults};
use crate::{analysis, app, bypass, policy, proxy};

/// How long the server may take to answer.
const SERVER_TIMEOUT: Duration = Duration::from_secs(5);

/// Reads configuration, certificates, classification and policies, reaches the servers, and lists every fault
///
/// Holds the classification, baits and all, against the database's catalog where [catalog].url is given, and says hello to the mail server of
/// every [[alert]], without sending anything. Exits 0 when everything is in order, and 2 with one line a fault on standard error
/// otherwise.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mitsuke check --config mitsuke.toml
  mitsuke check --offline   # where no server can be reached")]
pub struct Check {
    /// Leave all servers alone: files only
    #[arg(long)]
    offline: bool,
}

impl Check {
    /// Checks.
    pub fn run(self, global: &Global) -> anyhow::Result<Status> {
        let mut faults: Vec<Fault> = Vec::new();
        // Without a configuration that can be read, the rest is still checked against the defaults.
        let config = Config::load(global.config.as_deref()).unwrap_or_else(|found| {
            faults.extend(found.0);
            Config::default()
        });
        let classification = keep(app::classification(&config.policies), &mut faults);
        let policies = keep(policy::load(&config.policies), &mut faults);
        if let Some(policies) = &policies {
            faults.extend(policies.without_cases.iter().cloned());
        }
        faults.extend(legs_faults(&config, classification.as_ref(), self.offline)?);
        faults.extend(alert_faults(&config, self.offline));
        keep(analysis::read_keys(config.analysis.comment_keys.as_deref()), &mut faults);
        faults.extend(store_fault(&config, self.offline));
        faults.extend(fleet_fault(&config, self.offline));
        for fault in &faults {
            eprintln!("{fault}");
        }
        if !faults.is_empty() {
            eprintln!("mitsuke check: {} found", count(faults.len(), "fault"));
            return Ok(Status::Wrong);
        }
        if let Some(note) = self.note(&config)? {
            eprintln!("note: {note}");
        }
        println!(
            "in order: {}, {}, {}{}",
            config.file.as_ref().map_or("built-in configuration".to_owned(), |file| file.display().to_string()),
            policies.map_or_else(String::new, |set| count(set.policies.len(), "policy")),
            if self.offline { "classification" } else { "classification, server" },
            if config.catalog.url.is_some() && !self.offline { ", catalog" } else { "" },
        );
        Ok(Status::Done)
    }
}

impl Check {
    /// What is no fault, and should be known: what the catalog's role may not see.
    fn note(&self, config: &Config) -> anyhow::Result<Option<String>> {
        if self.offline || !config.bypass.watch {
            return Ok(None);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let asked = async { tokio::time::timeout(SERVER_TIMEOUT, bypass::missing_right(&config.catalog)).await };
        Ok(runtime.block_on(asked).ok().and_then(Result::ok).flatten())
    }
}

fn keep<T>(result: Result<T, Faults>, faults: &mut Vec<Fault>) -> Option<T> {
    result.map_err(|found| faults.extend(found.0)).ok()
}

fn count(number: usize, what: &str) -> String {
    match (number, what.strip_suffix('y')) {
        (1, _) => format!("1 {what}"),
        (_, Some(stem)) => format!("{number} {stem}ies"),
        _ => format!("{number} {what}s"),
    }
}

/// Whether the log's store answers, where it has one; that it may be written is not tried.
fn store_fault(config: &Config, offline: bool) -> Option<Fault> {
    let file = config.file.clone().unwrap_or_else(|| "built-in defaults".into());
    config.audit.store.as_ref()?;
    let reached = Place::of(&config.audit).and_then(|place| if offline { Ok(()) } else { place.reach() });
    let mend = "check bucket, credentials and [log.store]; --offline leaves it alone";
    reached
        .err()
        .map(|error| Fault::of_file(&file, format!("`log.path` is a store that cannot be read: {error}"), mend))
}

/// Whether the fleet's store answers, where there is one.
fn fleet_fault(config: &Config, offline: bool) -> Option<Fault> {
    let file = config.file.clone().unwrap_or_else(|| "built-in defaults".into());
    let fleet = config.fleet.as_ref()?;
    let reached = if offline { fleet.client().map(drop) } else { fleet.reach() };
    let mend = "check host, port, password and TLS of [fleet]; --offline leaves it alone";
    reached.err().map(|error| Fault::of_file(&file, format!("the fleet's store cannot be used: {error}"), mend))
}

/// What is wrong with files that alerts name, and with their mail servers.
fn alert_faults(config: &Config, offline: bool) -> Vec<Fault> {
    let file = config.file.clone().unwrap_or_else(|| "built-in defaults".into());
    let mails = config.alerts.iter().filter_map(|alert| alert.channel.mail());
    let fault = |mail: &Mail| match Mailer::new(mail) {
        Err(error) => Some(Fault::of_file(&file, error.to_string(), "")),
        Ok(_) if offline => None,
        Ok(mailer) => mailer.reach().err().map(|error| {
            let what = format!("`alert.server` is {}, which does not take mail: {error}", mail.server);
            Fault::of_file(&file, what, "correct the [[alert]], or have the server mended")
        }),
    };
    mails.filter_map(fault).collect()
}

/// What is wrong with certificates and the server, and with the classification when held against its catalog.
fn legs_faults(config: &Config, classification: Option<&Classification>, offline: bool) -> anyhow::Result<Vec<Fault>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let file = config.file.clone().unwrap_or_else(|| "built-in defaults".into());
        let connect_timeout = config.proxy.connect_timeout.min(SERVER_TIMEOUT);
        let legs = proxy::Config { connect_timeout, ..config.proxy.clone() };
        let found = proxy::check(&legs, Clock::system().now(), !offline).await;
        let mut faults: Vec<Fault> =
            found.into_iter().map(|fault| Fault::of_file(&file, fault.what, fault.mend)).collect();
        if let (Some(_), Some(classification), false) = (&config.catalog.url, classification, offline) {
            match tokio::time::timeout(SERVER_TIMEOUT, loader::check(&config.catalog, classification)).await {
                Ok(found) => faults.extend(found),
                Err(_) => faults.push(Fault::of_file(&file, "`catalog.url` gave no answer", "check host and port")),
            }
        }
        Ok(faults)
    })
}
