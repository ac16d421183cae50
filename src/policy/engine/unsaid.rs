//! Findings that wait for the fleet's word, kept so that none is lost when the sidecar dies while it waits.
//!
//! In: matches of windows that a fleet shares, and what became of them: told by another sidecar, or in the log as a finding. Out: those of which
//! neither is known, for the checkpoint; and, after a restart, their findings, by this sidecar's own figures: told twice rather than never.

use std::collections::BTreeMap;

use super::{AnyRule, Engine, finding_id, finding_of, observed_only};
use crate::policy::definition::Policy;
use crate::policy::explanation::Found;
use crate::policy::judged::{AnyRecord, Judged};
use crate::policy::key::Key;
use crate::policy::moment::Moment;
use crate::policy::rule::Rule;
use crate::record::{Finding, Text};

/// One of them: which policy matched, and the record that it matched last.
pub type Waiting = (Text, AnyRecord);

/// By the id that the finding will have. As many as contributions wait, and those on their way to the store and back.
#[derive(Default)]
pub(super) struct Unsaid(BTreeMap<Text, Waiting>);

impl Unsaid {
    /// Notes a match; its finding's id. `before` is that of an older one, which it stands for as well.
    pub(super) fn note<R: Judged>(&mut self, policy: &Policy, record: &R, before: Option<&Text>) -> Text {
        if let Some(before) = before {
            self.0.remove(before);
        }
        let id = finding_id(policy, record);
        self.0.insert(id.clone(), (policy.id.clone(), record.kept()));
        id
    }

    /// It is said, or need not be.
    pub(super) fn forget(&mut self, id: &str) {
        self.0.remove(id);
    }
}

impl Engine {
    /// What waits for the fleet's word, or is on its way into the log.
    pub fn unsaid(&self) -> Vec<Waiting> {
        self.sharing.as_ref().map_or_else(Vec::new, |sharing| sharing.unsaid.0.values().cloned().collect())
    }

    /// This finding is in the log.
    pub fn said(&mut self, finding: &Finding) {
        if let Some(sharing) = &mut self.sharing {
            sharing.unsaid.forget(&finding.finding_id);
        }
    }

    /// The findings of what waited when the sidecar died.
    pub fn say_unsaid(&self, unsaid: &[Waiting]) -> Vec<Finding> {
        let say = |(policy, record): &Waiting| {
            let judge = self.judges.iter().find(|judge| judge.policy.id == *policy)?;
            let windows = judge.state.windows.as_ref()?;
            match (&judge.policy.rule, record) {
                (AnyRule::Statement(rule), AnyRecord::Statement(record)) => {
                    self.say(&judge.policy, rule, windows, &**record)
                }
                (AnyRule::Transaction(rule), AnyRecord::Transaction(record)) => {
                    self.say(&judge.policy, rule, windows, &**record)
                }
                (AnyRule::Session(rule), AnyRecord::Session(record)) => {
                    self.say(&judge.policy, rule, windows, &**record)
                }
                _ => None,
            }
        };
        observed_only(self.set.mode, unsaid.iter().filter_map(say).collect())
    }

    fn say<R: Judged>(
        &self,
        policy: &Policy,
        rule: &Rule<R>,
        windows: &crate::policy::window::Windows,
        record: &R,
    ) -> Option<Finding> {
        let window = rule.shared_window()?;
        let (evidence, held) = windows.held(Key::of(record, &window.by), record.judged_at());
        let found = Found { observed: Some(held), threshold: Some(window.above), evidence, ..Found::default() };
        Some(finding_of(rule, policy, record, &Moment::new(record.common().at, &self.set.timezone), &found))
    }
}
