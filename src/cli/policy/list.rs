//! `mitsuke policy list`: what is judged, as a table, as lines for programs, or as JSON.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{IsTerminal, stdout};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;

use super::super::{Global, Status};
use super::{Format, Origin, print};
use crate::audit::Lake;
use crate::clock::Timestamp;
use crate::config::Config;
use crate::policy::PolicySet;
use crate::policy::cases::Rehearsal;
use crate::policy::definition::Policy;
use crate::policy::explanation::grouped;
use crate::record::{Finding, Severity, Text};

/// SGR parameters.
const BOLD: &str = "1";
const DIM: &str = "2";

/// What is told of a policy before its title.
const CELLS: usize = 8;
/// Of these, what programs have always been told.
const TOLD: usize = 6;
/// How long a policy's cost is measured …
const MEASURED: Duration = Duration::from_millis(2);
/// … and how often its cases are judged at least, and at most.
const ROUNDS_MIN: usize = 5;
const ROUNDS_MAX: usize = 200;

/// When each policy last found something.
type Last = HashMap<Text, Timestamp>;
/// What it takes to judge one record by each policy, nanoseconds.
type Costs = HashMap<Text, u64>;

/// The policies in force: what each judges, what it does, how many cases it has
#[derive(Debug, Args)]
#[command(after_help = "Example: which policies have an ATT&CK technique for databases among their tags\n  \
                        mitsuke policy list | grep attack.t1213.006")]
pub struct List {
    #[command(flatten)]
    from: Origin,
    /// text: a table on a terminal, tab-separated lines without a heading elsewhere; json: one object a line. The table and
    /// the objects have the time of the policy's last finding in the log, where there is one, and its cost: the time that this
    /// machine takes to judge one record, the mean over the records of the policy's cases, the least of several rounds
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

impl List {
    /// Lists them.
    pub fn run(&self, global: &Global) -> anyhow::Result<Status> {
        let Some(set) = self.from.load(global) else { return Ok(Status::Wrong) };
        let last = last_findings(global);
        print(&match self.format {
            Format::Text if stdout().is_terminal() => table(&set, &last, &costs(&set)),
            Format::Text => lines(&set),
            Format::Json => objects(&set, &last, &costs(&set)),
        })?;
        Ok(Status::Done)
    }
}

/// For people: a policy's tags stand below it, where there is room for them.
fn table(set: &PolicySet, last: &Last, costs: &Costs) -> String {
    let heading = ["ID", "STATUS", "SEVERITY", "ON", "ACTION", "CASES", "COST", "LAST FOUND"].map(str::to_owned);
    let rows: Vec<[String; CELLS]> = set
        .policies
        .iter()
        .map(|policy| {
            let mut row = cells(set, policy, last, costs);
            // To the day: the table is wide.
            row[CELLS - 1].truncate(10);
            row
        })
        .collect();
    let widths: Vec<usize> = (0..heading.len())
        .map(|cell| rows.iter().chain([&heading]).map(|row| row[cell].chars().count()).max().unwrap_or(0))
        .collect();
    let padded = |row: &[String; CELLS], severity: Option<Severity>| {
        let mut line = String::new();
        for (index, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let cell = if matches!(index, 5 | 6) { format!("{cell:>width$}") } else { format!("{cell:<width$}") };
            let styled = severity.filter(|_| index == 2).map(|severity| style(colour(severity), &cell));
            let _ = write!(line, "{}  ", styled.unwrap_or(cell));
        }
        line
    };
    let mut text = style(BOLD, &format!("{}TITLE", padded(&heading, None))) + "\n";
    for (policy, row) in set.policies.iter().zip(&rows) {
        let _ = writeln!(text, "{}{}", padded(row, Some(policy.severity)), one_line(&policy.title));
        if !policy.tags.is_empty() {
            let _ = writeln!(text, "{}", style(DIM, &format!("  {}", policy.tags.join(", "))));
        }
    }
    text
}

/// For programs: no heading, nothing cut; and no more fields than there always were.
fn lines(set: &PolicySet) -> String {
    let line = |policy: &Arc<Policy>| {
        let cells = cells(set, policy, &Last::new(), &Costs::new());
        let before = cells.get(..TOLD).unwrap_or_default();
        format!("{}\t{}\t{}\n", before.join("\t"), policy.tags.join(","), one_line(&policy.title))
    };
    set.policies.iter().map(line).collect()
}

/// When each policy last found something, as the log has it; nothing where there is no log.
fn last_findings(global: &Global) -> Last {
    let mut last = HashMap::new();
    let config = Config::load(global.config.as_deref()).and_then(|config| config.with_log(global.log.as_deref()));
    let Some(lake) = config.ok().and_then(|config| Lake::of(&config.audit).ok()) else { return last };
    for finding in lake.records::<Finding>(None).filter_map(Result::ok) {
        let known = last.entry(finding.policy).or_insert(finding.common.at);
        *known = finding.common.at.max(*known);
    }
    last
}

/// What each policy's cases take to judge, the conditions that rule a record out included; nothing of one without cases.
fn costs(set: &PolicySet) -> Costs {
    let mut costs = Costs::new();
    for file in &set.cases {
        let Some(policy) = set.policy(&file.policy) else { continue };
        let mut cases: Vec<Rehearsal> = file.cases.iter().map(|case| Rehearsal::of(case, policy)).collect();
        let began = Instant::now();
        let mut least = u128::MAX;
        for round in 0..ROUNDS_MAX {
            let (mut records, this) = (0_usize, Instant::now());
            for case in &mut cases {
                records = records.saturating_add(case.records());
                std::hint::black_box(case.judge());
            }
            // Whatever else the machine did meanwhile is not the policy's.
            least = least.min((this.elapsed().as_nanos() / (records.max(1) as u128)).max(1));
            if round >= ROUNDS_MIN && began.elapsed() >= MEASURED {
                break;
            }
        }
        costs.insert(file.policy.clone(), u64::try_from(least).unwrap_or(u64::MAX));
    }
    costs
}

fn objects(set: &PolicySet, last: &Last, costs: &Costs) -> String {
    let object = |policy: &Arc<Policy>| {
        let object = json!({
            "id": policy.id, "status": policy.status, "severity": policy.severity, "on": policy.on,
            "action": policy.action, "cases": cases(set, policy), "tags": policy.tags, "title": policy.title,
            "last_match": last.get(&policy.id).map(ToString::to_string), "cost_ns": costs.get(&policy.id),
        });
        format!("{object}\n")
    };
    set.policies.iter().map(object).collect()
}

fn cells(set: &PolicySet, policy: &Policy, last: &Last, costs: &Costs) -> [String; CELLS] {
    [
        policy.id.to_string(),
        policy.status.to_string(),
        policy.severity.to_string(),
        policy.on.to_string(),
        policy.action.to_string(),
        cases(set, policy).to_string(),
        costs.get(&policy.id).map(|cost| format!("{} ns", grouped(*cost))).unwrap_or_default(),
        last.get(&policy.id).map(ToString::to_string).unwrap_or_default(),
    ]
}

fn cases(set: &PolicySet, policy: &Policy) -> usize {
    set.cases.iter().filter(|file| file.policy == policy.id).map(|file| file.cases.len()).sum()
}

fn colour(severity: Severity) -> &'static str {
    match severity {
        Severity::Low => "36",
        Severity::Medium => "33",
        Severity::High => "31",
        Severity::Critical => "1;31",
    }
}

fn style(parameters: &str, text: &str) -> String {
    format!("\x1b[{parameters}m{text}\x1b[0m")
}

/// A title may have been written over several lines.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Config, load};

    fn built_in() -> PolicySet {
        load(&Config { timezone: Some("UTC".to_owned()), ..Config::default() }).expect("the built-in policies load")
    }

    fn without_styles(text: &str) -> String {
        let mut parts = text.split('\x1b');
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |text, part| text + part.split_once('m').map_or("", |(_, rest)| rest))
    }

    #[test]
    fn a_terminal_gets_a_table_with_aligned_columns() {
        let set = built_in();
        let last = Last::from([(set.policies[0].id.clone(), Timestamp(1_780_272_000_000_000))]);
        let table = table(&set, &last, &costs(&set));
        assert!(table.contains("2026-06-01  ") && !table.contains("2026-06-01T"), "{table}");
        assert!(table.contains("\x1b[31mhigh"), "{table}");
        assert_eq!(table.matches(" ns  ").count(), set.policies.len(), "{table}");
        let plain = without_styles(&table);
        let lines: Vec<&str> = plain.lines().filter(|line| !line.starts_with("  ")).collect();
        let title = lines[0].find("TITLE").expect("a heading");
        for (line, policy) in lines[1..].iter().zip(&built_in().policies) {
            assert!(line.starts_with(&*policy.id), "{line}");
            assert_eq!(&line[title..], &*policy.title);
        }
        assert!(lines.len() > 6, "{plain}");
    }

    #[test]
    fn a_program_gets_a_line_a_policy_with_eight_fields() {
        let set = built_in();
        let lines = lines(&set);
        assert_eq!(lines.lines().count(), set.policies.len());
        assert!(lines.lines().all(|line| line.split('\t').count() == 8), "{lines}");
        assert_eq!(one_line("a title\nover\ttwo lines "), "a title over two lines");
    }
}
