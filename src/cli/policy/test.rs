//! `mitsuke policy test`: whether every case holds.

use clap::Args;
use serde_json::json;

use super::super::{Global, Status};
use super::{Format, Origin, counted, print, tell, unknown};
use crate::error::{Fault, Faults};
use crate::policy::PolicySet;
use crate::policy::cases::{Case, CaseFile, Verdict};

/// Runs the policies' cases
///
/// A failing case is told with its place, what it expected and what came. Exits 0 where every case holds, 1 where one
/// does not, and 2 where a policy, its cases, a list or a permit is faulty: then every fault is told with its place.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  mitsuke policy test\n  mitsuke policy test bulk-personal-read many-people-in-a-day\n  \
                        mitsuke policy test --path policies"
)]
pub struct Test {
    /// Only these policies
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    #[command(flatten)]
    from: Origin,
    /// text: failures and a summary; json: one object a case, a line each
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

impl Test {
    /// Runs them.
    pub fn run(&self, global: &Global) -> anyhow::Result<Status> {
        let Some(set) = self.from.load(global) else { return Ok(Status::Wrong) };
        if let Some(id) = self.ids.iter().find(|id| set.policy(id).is_none()) {
            return Err(unknown(&set, id));
        }
        let without: Vec<Fault> =
            set.without_cases.iter().filter(|fault| self.concerns(&id_of(fault))).cloned().collect();
        if !without.is_empty() {
            tell(&Faults(without));
            return Ok(Status::Wrong);
        }
        let files: Vec<&CaseFile> = set.cases.iter().filter(|file| self.concerns(&file.policy)).collect();
        if files.is_empty() {
            anyhow::bail!("there is no policy to test; name a folder of policies with --path or [policies].path");
        }
        let (cases, failures) = self.run_cases(&set, &files)?;
        if self.format == Format::Text {
            print(&summary(files.len(), cases, failures))?;
        }
        Ok(if failures == 0 { Status::Done } else { Status::DoesNotHold })
    }

    fn concerns(&self, id: &str) -> bool {
        self.ids.is_empty() || self.ids.iter().any(|asked| asked == id)
    }

    /// How many cases there are, and how many of them fail.
    fn run_cases(&self, set: &PolicySet, files: &[&CaseFile]) -> anyhow::Result<(usize, usize)> {
        let (mut cases, mut failures) = (0, 0);
        for file in files {
            let Some(policy) = set.policy(&file.policy) else { continue };
            for case in &file.cases {
                let verdict = case.run(policy);
                cases += 1;
                failures += usize::from(!verdict.holds);
                match self.format {
                    Format::Json => print(&object(file, case, &verdict))?,
                    Format::Text if !verdict.holds => print(&failure(file, case, &verdict))?,
                    Format::Text => {}
                }
            }
        }
        Ok((cases, failures))
    }
}

/// A fault about missing cases is one of the policy's file, which is called as the policy.
fn id_of(fault: &Fault) -> String {
    fault.file.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn failure(file: &CaseFile, case: &Case, verdict: &Verdict) -> String {
    let got = verdict.got.replace('\n', "\n           ");
    let place = format!("{}:{}", file.file.display(), case.line);
    format!("{place}: {}\n  expected {}\n  got      {got}\n", case.name, verdict.expected)
}

fn object(file: &CaseFile, case: &Case, verdict: &Verdict) -> String {
    let object = json!({
        "policy": file.policy, "file": file.file.display().to_string(), "line": case.line, "case": case.name,
        "holds": verdict.holds, "expected": verdict.expected, "got": verdict.got,
    });
    format!("{object}\n")
}

fn summary(policies: usize, cases: usize, failures: usize) -> String {
    let (policies, cases) =
        (counted(policies as u64, ["policy", "policies"]), counted(cases as u64, ["case", "cases"]));
    match failures {
        0 => format!("{policies}, {cases}: all hold\n"),
        1 => format!("{policies}, {cases}: 1 does not hold\n"),
        failures => format!("{policies}, {cases}: {failures} do not hold\n"),
    }
}
