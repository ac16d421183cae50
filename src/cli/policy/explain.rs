//! `mitsuke policy explain`: why a policy did or did not match a record.
//!
//! Shows every truth value in its conditions with the columns' values, and what its window, baseline or `after` held: the log is
//! judged again up to that record.

use std::fmt::Write as _;
use std::sync::Arc;

use anyhow::{anyhow, bail};
use clap::Args;

use super::super::reading::Reader;
use super::super::{Global, Status};
use super::{Origin, print, unknown};
use crate::audit::{Lake, Logged};
use crate::clock::Timestamp;
use crate::config::Config;
use crate::policy::condition::{Condition, Tri};
use crate::policy::definition::{AnyRule, Policy};
use crate::policy::duration;
use crate::policy::judged::Judged;
use crate::policy::moment::Moment;
use crate::policy::rule::{Asked, Rule};
use crate::policy::{Engine, PolicySet};
use crate::record::{Column, Finding, Value};

/// Characters of a value that are shown.
const VALUE_CHARS_MAX: usize = 60;

/// Why a policy did or did not match a record
///
/// A record is named by its `seq` in the table that the policy is on: a statement's, a transaction's or a session's.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  mitsuke query \"select seq, query from statements order by at desc limit 5\"\n  \
                        mitsuke policy explain bulk-personal-read 812")]
pub struct Explain {
    /// The policy
    #[arg(value_name = "POLICY")]
    id: String,
    /// The record's `seq`
    #[arg(value_name = "SEQ")]
    seq: u64,
    /// Which sidecar's, where several write the log
    #[arg(long, value_name = "NAME")]
    writer: Option<String>,
    #[command(flatten)]
    from: Origin,
    #[command(flatten)]
    reader: Reader,
}

impl Explain {
    /// Finds the record and explains.
    pub fn run(&self, global: &Global) -> anyhow::Result<Status> {
        let Some(set) = self.from.load(global) else { return Ok(Status::Wrong) };
        let policy = set.policy(&self.id).ok_or_else(|| unknown(&set, &self.id))?.clone();
        let config = Config::load(global.config.as_deref())?.with_log(global.log.as_deref())?;
        let lake = Lake::of(&config.audit).map_err(crate::cli::unopened)?;
        let mut recorder = self.reader.recorder(&config.audit);
        recorder.record(format!("policy explain {} {}", self.id, self.seq));
        recorder.close();
        let alone = PolicySet { policies: vec![policy.clone()], ..set };
        let text = match &policy.rule {
            AnyRule::Statement(rule) => {
                self.explain(&lake, alone, rule, Engine::learn_statement, |engine, record| {
                    engine.statement(&mut record.clone())
                })?
            }
            AnyRule::Transaction(rule) => {
                self.explain(&lake, alone, rule, Engine::learn_transaction, Engine::transaction)?
            }
            AnyRule::Session(rule) => self.explain(&lake, alone, rule, Engine::learn_session, Engine::session)?,
        };
        print(&text)?;
        Ok(Status::Done)
    }

    fn explain<R: Judged + Logged>(
        &self,
        lake: &Lake,
        set: PolicySet,
        rule: &Rule<R>,
        learn: fn(&mut Engine, &R),
        judge: fn(&mut Engine, &R) -> Vec<Finding>,
    ) -> anyhow::Result<String> {
        let record: R = self.record(lake)?;
        let policy = set.policies.first().cloned().ok_or_else(|| anyhow!("there is no policy"))?;
        let timezone = set.timezone.clone();
        let moment = Moment::new(record.common().at, &timezone);
        let mut text = heading(&policy, &record);
        for (name, condition) in [("when", &rule.when), ("unless", &rule.unless)] {
            if let Some(condition) = condition {
                text.push_str(&values(name, condition, &record, &moment));
            }
        }
        if let Some(after) = &rule.after {
            text.push_str(&values("after", &after.when, &record, &moment));
        }
        if !rule.concerns(&record, &moment, Asked::ALL) {
            text.push_str("no match: `when` is not TRUE, or `unless` is\n");
            return Ok(text);
        }
        let mut engine = Engine::new(Arc::new(set));
        let lookback = rule.lookback_us().unwrap_or(0);
        if rule.window.is_some() || rule.first.is_some() || rule.usual.is_some() || rule.after.is_some() {
            let from = record.common().at.plus_micros(lookback.saturating_neg());
            let is_before = |other: &R| {
                let key = |record: &R| (record.judged_at(), record.common().seq);
                key(other) < key(&record)
            };
            let mut before: Vec<(Timestamp, R)> = Vec::new();
            for other in lake.records::<R>(Some((from, record.judged_at().plus_micros(1)))) {
                let other = other?;
                if is_before(&other) {
                    before.push((other.judged_at(), other));
                }
            }
            before.sort_by_key(|(at, _)| *at);
            before.iter().for_each(|(_, other)| learn(&mut engine, other));
            let _ = writeln!(text, "judged after {} records of the {} before", before.len(), duration::words(lookback));
        }
        match (judge(&mut engine, &record).first(), &rule.throttle) {
            (Some(finding), _) => {
                let _ = writeln!(text, "match: {}", finding.explanation.as_deref().unwrap_or_default());
            }
            (None, Some(throttle)) => {
                let once = duration::words(throttle.once_us);
                let why = match rule.first {
                    Some(_) => "it is not new, who did it is still learned from",
                    None => "the figure is within its limit",
                };
                let _ = writeln!(text, "no finding: {why}, or one was told within {once}");
            }
            (None, None) if rule.first.is_some() => {
                text.push_str("no match: it is not new, or who did it is still learned from\n");
            }
            (None, None) => text.push_str("no match: the figure is within its limit\n"),
        }
        Ok(text)
    }

    fn record<R: Judged + Logged>(&self, lake: &Lake) -> anyhow::Result<R> {
        let mut found: Vec<R> = Vec::new();
        for record in lake.records::<R>(None) {
            let record = record?;
            let common = record.common();
            let wanted = self.writer.as_deref().is_none_or(|writer| writer == &*common.writer);
            if common.seq == self.seq && wanted {
                found.push(record);
            }
        }
        match (found.pop(), found.len()) {
            (Some(record), 0) => Ok(record),
            (Some(record), _) => {
                let writer = &record.common().writer;
                bail!("several sidecars have a record {} in {}; add --writer {writer}, for one", self.seq, R::NAME)
            }
            (None, _) => {
                bail!("there is no record {} in {}; `select seq from {}` tells which", self.seq, R::NAME, R::NAME)
            }
        }
    }
}

fn heading<R: Judged>(policy: &Policy, record: &R) -> String {
    let common = record.common();
    format!("{}: {} {} of {}, {}\n", policy.id, R::NOUN.0, common.seq, common.writer, common.at)
}

/// A line for each truth value: what it is, its text, the columns' values where it is made of nothing smaller.
fn values<R: Judged>(name: &str, condition: &Condition<R>, record: &R, moment: &Moment<'_>) -> String {
    let parts = condition.parts(record, moment);
    let mut text = String::new();
    for (index, (part, value)) in parts.iter().enumerate() {
        let word = match value {
            Tri::True => "TRUE",
            Tri::False => "FALSE",
            Tri::Unknown => "NULL",
        };
        let name = if part.depth == 0 { name } else { "" };
        let indent = "  ".repeat(part.depth);
        let _ = write!(text, "{name:<6} {word:<5} {indent}{}", part.text);
        let is_leaf = parts.get(index.saturating_add(1)).is_none_or(|(next, _)| next.depth <= part.depth);
        if is_leaf {
            let shown: Vec<String> = part.columns().iter().map(|column| shown(column, record)).collect();
            if !shown.is_empty() {
                let _ = write!(text, "   [{}]", shown.join(", "));
            }
        }
        text.push('\n');
    }
    text
}

fn shown<R: Judged>(column: &Column<R>, record: &R) -> String {
    let value = match (column.get)(record) {
        Value::Null => "NULL".to_owned(),
        Value::U64(number) => number.to_string(),
        Value::Text(text) => format!("'{text}'"),
        Value::Timestamp(at) => at.to_string(),
        Value::Texts(items) => format!("[{}]", items.join(", ")),
        Value::U64s(items) => format!("{} numbers", items.len()),
    };
    let mut short: String = value.chars().map(|c| if c.is_control() { ' ' } else { c }).take(VALUE_CHARS_MAX).collect();
    if value.chars().nth(VALUE_CHARS_MAX).is_some() {
        short.push('…');
    }
    format!("{} = {short}", column.name)
}
