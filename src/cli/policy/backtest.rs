//! `mitsuke policy backtest`: what the policies would have found in the log.
//!
//! The log is read a day at a time, and each day in the order in which its records ended: what several sidecars wrote comes
//! in one order, and windows and baselines are what they would have been.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{IsTerminal, stderr};
use std::sync::Arc;
use std::time::Instant;

use clap::Args;
use serde_json::json;

use super::super::reading::Reader;
use super::super::{Global, Status};
use super::{Format, Origin, length, print, unknown};
use crate::audit::{Error, Lake, Logged};
use crate::clock::{Clock, Timestamp};
use crate::config::Config;
use crate::policy::duration::DAY_US;
use crate::policy::judged::{Judged, tame};
use crate::policy::{Alike, Engine, PolicySet};
use crate::record::{Finding, Session, Statement, Transaction};

/// Examples that are kept of a policy's findings: the first ones.
const EXAMPLES_MAX: usize = 3;
/// Users that are counted apart, a policy.
const USERS_MAX: usize = 1_000;
/// Users that are named, a policy.
const USERS_SHOWN: usize = 3;

/// What the policies would have found in the log
///
/// New or changed policies, or those in force, judge the log's records again, with windows, baselines and permits as they would have
/// been. Told are findings, findings a day, who they are about, and examples, beside what the log has of the same policy. No finding is
/// written, nobody alerted.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  mitsuke policy backtest --since 30d\n  \
                        mitsuke policy backtest --since 7d --policy my-policies/cards/card-lookups.yaml\n  \
                        mitsuke policy backtest bulk-personal-read --format json")]
pub struct Backtest {
    /// Only these policies
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    /// How far back: 12h, 30d, 4w
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = length)]
    since: i64,
    #[command(flatten)]
    from: Origin,
    /// text: for people; json: one object a policy, a line each
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    reader: Reader,
}

/// What a policy found.
#[derive(Default)]
struct Tally {
    findings: u64,
    users: BTreeMap<String, u64>,
    examples: Vec<String>,
    /// What the log has of it.
    recorded: u64,
}

impl Backtest {
    /// Reads the log and tells.
    pub fn run(&self, global: &Global) -> anyhow::Result<Status> {
        let Some(mut set) = self.from.load(global) else { return Ok(Status::Wrong) };
        if let Some(id) = self.ids.iter().find(|id| set.policy(id).is_none()) {
            return Err(unknown(&set, id));
        }
        set.policies.retain(|policy| self.ids.is_empty() || self.ids.iter().any(|id| **id == *policy.id));
        let config = Config::load(global.config.as_deref())?.with_log(global.log.as_deref())?;
        let lake = Lake::of(&config.audit)?;
        let now = Clock::system().now();
        let from = now.plus_micros(-self.since);
        let mut recorder = self.reader.recorder(&config.audit);
        let ids: String = self.ids.iter().map(|id| format!(" {id}")).collect();
        recorder.record(format!("policy backtest{ids} from {from}"));
        recorder.close();
        let began = Instant::now();
        let mut replay = Replay::of(Arc::new(set), from);
        let mut day = from.plus_micros(-replay.lookback_us());
        while day < now {
            let end = Timestamp(day.0.saturating_add(DAY_US).min(now.0));
            replay.day(&lake, (day, end))?;
            if stderr().is_terminal() {
                eprint!("\r{} records, to {}  ", replay.records, end.utc_date());
            }
            day = end;
        }
        if stderr().is_terminal() {
            eprintln!();
        }
        for finding in lake.records::<Finding>(Some((from, now))) {
            if let Some(tally) = replay.tallies.get_mut(&*finding?.policy) {
                tally.recorded = tally.recorded.saturating_add(1);
            }
        }
        let days = (self.since as f64 / DAY_US as f64).max(1.0 / 24.0);
        print(&match self.format {
            Format::Text => replay.text(days, began.elapsed().as_secs_f64()),
            Format::Json => replay.objects(days),
        })?;
        Ok(Status::Done)
    }
}

struct Replay {
    set: Arc<PolicySet>,
    engine: Engine,
    alike: Alike,
    from: Timestamp,
    records: u64,
    tallies: BTreeMap<String, Tally>,
}

/// One record of any of the tables, in the order of their ends.
enum Any {
    Statement(Box<Statement>),
    Transaction(Box<Transaction>),
    Session(Box<Session>),
}

impl Replay {
    fn of(set: Arc<PolicySet>, from: Timestamp) -> Replay {
        let tallies = set.active().map(|policy| (policy.id.to_string(), Tally::default())).collect();
        Replay { engine: Engine::new(Arc::clone(&set)), set, alike: Alike::default(), from, records: 0, tallies }
    }

    fn lookback_us(&self) -> i64 {
        self.engine.lookback().and_then(|lookback| i64::try_from(lookback.as_micros()).ok()).unwrap_or(0)
    }

    /// Takes the records that began in this time.
    fn day(&mut self, lake: &Lake, range: (Timestamp, Timestamp)) -> Result<(), Error> {
        let mut all: Vec<(Timestamp, Any)> = Vec::new();
        read(lake, range, &mut all, |record: Statement| Any::Statement(Box::new(record)))?;
        read(lake, range, &mut all, |record: Transaction| Any::Transaction(Box::new(record)))?;
        read(lake, range, &mut all, |record: Session| Any::Session(Box::new(record)))?;
        all.sort_by_key(|(at, _)| *at);
        for (at, record) in all {
            self.records = self.records.saturating_add(1);
            let findings = match (at < self.from, record) {
                (true, Any::Statement(record)) => {
                    self.engine.learn_statement(&record);
                    continue;
                }
                (true, Any::Transaction(record)) => {
                    self.engine.learn_transaction(&record);
                    continue;
                }
                (true, Any::Session(record)) => {
                    self.engine.learn_session(&record);
                    continue;
                }
                (false, Any::Statement(mut record)) => {
                    // Judged anew by the permits of this set.
                    (record.permit, record.policies) = (None, None);
                    self.engine.statement_like(&mut record, &mut self.alike)
                }
                (false, Any::Transaction(record)) => self.engine.transaction(&record),
                (false, Any::Session(record)) => self.engine.session(&record),
            };
            findings.iter().for_each(|finding| self.count(finding));
        }
        Ok(())
    }

    fn count(&mut self, finding: &Finding) {
        let Some(tally) = self.tallies.get_mut(&*finding.policy) else { return };
        tally.findings = tally.findings.saturating_add(1);
        let user = finding.db_user.as_deref().map_or_else(|| "nobody".to_owned(), tame);
        if tally.users.len() < USERS_MAX || tally.users.contains_key(&user) {
            let number = tally.users.entry(user).or_default();
            *number = number.saturating_add(1);
        }
        if tally.examples.len() < EXAMPLES_MAX {
            let explanation = finding.explanation.as_deref().unwrap_or_default();
            tally.examples.push(format!("{} {explanation}", finding.common.at.utc_date()));
        }
    }

    fn text(&self, days: f64, seconds: f64) -> String {
        let mut text = String::new();
        for (id, tally) in &self.tallies {
            let severity = self.set.policy(id).map_or_else(String::new, |policy| policy.severity.to_string());
            let a_day = tally.findings as f64 / days;
            let _ = writeln!(
                text,
                "{id}\t{severity}\t{} findings, {a_day:.2} a day; the log has {}",
                tally.findings, tally.recorded
            );
            if !tally.users.is_empty() {
                let _ = writeln!(text, "  {}", named(&tally.users));
            }
            tally.examples.iter().for_each(|example| text.push_str(&format!("  {example}\n")));
        }
        let found: u64 = self.tallies.values().map(|tally| tally.findings).sum();
        let _ = writeln!(
            text,
            "{} policies, {} records in {seconds:.1} s, {found} findings",
            self.tallies.len(),
            self.records
        );
        text
    }

    fn objects(&self, days: f64) -> String {
        let object = |(id, tally): (&String, &Tally)| {
            let object = json!({
                "id": id, "severity": self.set.policy(id).map(|policy| policy.severity), "findings": tally.findings,
                "a_day": tally.findings as f64 / days, "recorded": tally.recorded, "users": tally.users,
                "examples": tally.examples,
            });
            format!("{object}\n")
        };
        self.tallies.iter().map(object).collect()
    }
}

/// Those with most, and how many others.
fn named(users: &BTreeMap<String, u64>) -> String {
    let mut by_number: Vec<(&String, &u64)> = users.iter().collect();
    by_number.sort_by_key(|(name, number)| (std::cmp::Reverse(**number), name.as_str()));
    let shown = by_number.iter().take(USERS_SHOWN).map(|(name, number)| format!("{name} {number}"));
    let mut text = shown.collect::<Vec<_>>().join(", ");
    if by_number.len() > USERS_SHOWN {
        let _ = write!(text, " and {} more", by_number.len() - USERS_SHOWN);
    }
    text
}

fn read<R: Judged + Logged>(
    lake: &Lake,
    range: (Timestamp, Timestamp),
    all: &mut Vec<(Timestamp, Any)>,
    any: fn(R) -> Any,
) -> Result<(), Error> {
    for record in lake.records::<R>(Some(range)) {
        let record = record?;
        all.push((record.judged_at(), any(record)));
    }
    Ok(())
}
