//! `mitsuke policy backtest`: what the policies would have found in the log.
//!
//! In: what is asked, and the log. Out: findings, who they are about, and examples, for people or as JSON. [`crate::backtest`] judges.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Instant;

use clap::Args;
use serde_json::json;

use super::super::bar::bar;
use super::super::reading::Reader;
use super::super::{Global, Status};
use super::{Format, Origin, counted, length, print, unknown};
use crate::audit::Lake;
use crate::backtest::{self, Told};
use crate::clock::Clock;
use crate::config::Config;
use crate::policy::PolicySet;
use crate::policy::duration::DAY_US;
use crate::policy::judged::tame;
use crate::record::Finding;

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
        let lake = Lake::of(&config.audit).map_err(crate::cli::unopened)?;
        let now = Clock::system().now();
        let from = now.plus_micros(-self.since);
        let mut recorder = self.reader.recorder(&config.audit);
        let ids: String = self.ids.iter().map(|id| format!(" {id}")).collect();
        recorder.record(format!("policy backtest{ids} from {from}"));
        recorder.close();
        let began = Instant::now();
        let mut tallies = Tallies::of(Arc::new(set));
        let bar = bar("{wide_bar} {msg}, {eta} left");
        let set = Arc::clone(&tallies.set);
        let records = backtest::judge(&lake, set, (from, now), &mut |told| match told {
            Told::Finding(finding) => tallies.count(finding),
            Told::Through { records, pieces, of } => {
                bar.set_length(of as u64);
                bar.set_position(pieces as u64);
                let a_second = records as f64 / began.elapsed().as_secs_f64().max(0.001);
                bar.set_message(format!("{records} records, {:.1} million a second", a_second / 1e6));
            }
        })?;
        bar.finish_and_clear();
        tallies.records = records;
        for finding in lake.records::<Finding>(Some((from, now))) {
            if let Some(tally) = tallies.by_policy.get_mut(&*finding?.policy) {
                tally.recorded = tally.recorded.saturating_add(1);
            }
        }
        let days = (self.since as f64 / DAY_US as f64).max(1.0 / 24.0);
        print(&match self.format {
            Format::Text => tallies.text(days, began.elapsed().as_secs_f64()),
            Format::Json => tallies.objects(days),
        })?;
        Ok(Status::Done)
    }
}

struct Tallies {
    set: Arc<PolicySet>,
    records: u64,
    by_policy: BTreeMap<String, Tally>,
}

impl Tallies {
    fn of(set: Arc<PolicySet>) -> Tallies {
        let by_policy = set.active().map(|policy| (policy.id.to_string(), Tally::default())).collect();
        Tallies { set, records: 0, by_policy }
    }

    fn count(&mut self, finding: &Finding) {
        let Some(tally) = self.by_policy.get_mut(&*finding.policy) else { return };
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
        for (id, tally) in &self.by_policy {
            let severity = self.set.policy(id).map_or_else(String::new, |policy| policy.severity.to_string());
            let a_day = tally.findings as f64 / days;
            let _ = writeln!(
                text,
                "{id}\t{severity}\t{}, {a_day:.2} a day; the log has {}",
                counted(tally.findings, ["finding", "findings"]),
                tally.recorded
            );
            if !tally.users.is_empty() {
                let _ = writeln!(text, "  {}", named(&tally.users));
            }
            tally.examples.iter().for_each(|example| text.push_str(&format!("  {example}\n")));
        }
        let found: u64 = self.by_policy.values().map(|tally| tally.findings).sum();
        let _ = writeln!(
            text,
            "{}, {} in {seconds:.1} s, {}",
            counted(self.by_policy.len() as u64, ["policy", "policies"]),
            counted(self.records, ["record", "records"]),
            counted(found, ["finding", "findings"])
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
        self.by_policy.iter().map(object).collect()
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
