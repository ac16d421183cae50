//! What the sidecars of a fleet add up together, as far as the engine of one has a part in it.
//!
//! In: what records add to the windows of policies; then, of each such contribution, what the whole fleet's window holds, and whether this sidecar
//! is the one to tell it. Out: contributions, added up by policy and key until they are taken; findings with the fleet's figures. As long
//! as the fleet's word can be had, a window's finding waits for it, so that one incident is told once and not once a sidecar; while it can
//! not, this one tells what its own windows hold. Bounded: [`CONTRIBUTIONS_MAX`] wait at most; what comes beyond is told alone, and counted.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use ahash::RandomState;

use super::unsaid::Unsaid;
use super::{AnyRule, Engine, Told, tell};
use crate::clock::Timestamp;
use crate::policy::definition::Policy;
use crate::policy::explanation::Found;
use crate::policy::judged::{AnyRecord, Judged};
use crate::policy::key::{ByKey, Key};
use crate::policy::moment::Moment;
use crate::policy::rule::{Measure, Rule};
use crate::record::{Column, Finding, Text, Value};

/// Contributions that wait to be taken.
pub const CONTRIBUTIONS_MAX: usize = 4_096;
/// Values that one of them carries; more make another one.
pub const VALUES_MAX: usize = 1_024;

/// What one sidecar adds to one window of the fleet.
pub struct Contribution {
    /// Whose window.
    pub policy: Arc<Policy>,
    /// When its last record ended.
    pub at: Timestamp,
    /// The values that the window is kept by, without a doubt which.
    pub by: Vec<u8>,
    /// Those that a finding is told once for.
    pub told_by: Vec<u8>,
    /// What is added.
    pub added: Added,
    /// How long the window is, microseconds.
    pub within_us: i64,
    /// It matches when its figure exceeds this.
    pub above: u64,
    /// Once in how long it is told, microseconds; `None`: each time.
    pub once_us: Option<i64>,
    key: Key,
    /// The last one, or the last that matched here.
    record: AnyRecord,
    matched: bool,
    /// The id of the finding that waits, if one does.
    unsaid: Option<Text>,
}

/// See [`Contribution::added`].
#[derive(Debug, PartialEq, Eq)]
pub enum Added {
    /// So much, or so many records.
    Number(u64),
    /// These values, each once.
    Values(HashSet<Vec<u8>, RandomState>),
}

/// The engine's part in the fleet.
#[derive(Default)]
pub(super) struct Sharing {
    /// Whether the fleet's word can be had.
    joined: bool,
    waiting: Vec<Contribution>,
    /// Where in `waiting` the newest of a policy and key is.
    places: HashMap<(Text, Key), usize, RandomState>,
    missed: u64,
    pub(super) unsaid: Unsaid,
    /// What the others have in a window, and until when that is heeded.
    others: HashMap<Text, ByKey<(u64, Timestamp)>, RandomState>,
}

/// Keys of a policy of which is kept what the others have.
const OTHERS_MAX: usize = 16_384;

impl Sharing {
    /// Notes what a record has added to its window here. True where a finding of it waits for the fleet's word.
    pub(super) fn add<R: Judged>(
        &mut self,
        policy: &Arc<Policy>,
        rule: &Rule<R>,
        record: &R,
        key: Key,
        matched: bool,
    ) -> bool {
        let Some(window) = rule.shared_window() else { return false };
        let amount = match &window.measure {
            Measure::Count => Added::Number(1),
            Measure::Sum(column) => match (column.get)(record) {
                Value::U64(number) => Added::Number(number),
                _ => Added::Number(0),
            },
            Measure::Distinct(column) => Added::Values(each((column.get)(record))),
        };
        let place = (policy.id.clone(), key);
        let known = self.places.get(&place).and_then(|index| self.waiting.get_mut(*index));
        if let Some(known) = known.filter(|known| known.policy.text == policy.text && known.takes(&amount)) {
            known.take(amount);
            known.at = known.at.max(record.judged_at());
            if matched || !known.matched {
                (known.record, known.told_by) = (record.kept(), told_by(rule, record));
            }
            if matched && self.joined {
                known.unsaid = Some(self.unsaid.note(policy, record, known.unsaid.as_ref()));
            }
            known.matched |= matched;
            return self.joined;
        }
        if self.waiting.len() >= CONTRIBUTIONS_MAX {
            self.missed = self.missed.saturating_add(1);
            return false;
        }
        self.places.insert(place, self.waiting.len());
        self.waiting.push(Contribution {
            policy: Arc::clone(policy),
            at: record.judged_at(),
            by: bytes(window.by.iter().map(|column| (column.get)(record))),
            told_by: told_by(rule, record),
            added: amount,
            within_us: window.within_us,
            above: window.above,
            once_us: rule.throttle.as_ref().map(|limit| {
                policy.quarantine.map_or(limit.once_us, |quarantine| limit.once_us.min(quarantine.for_us))
            }),
            key,
            record: record.kept(),
            matched,
            unsaid: (matched && self.joined).then(|| self.unsaid.note(policy, record, None)),
        });
        self.joined
    }

    /// What the others have in a window.
    pub(super) fn others(&self, policy: &str, key: Key, at: Timestamp) -> u64 {
        let known = self.others.get(policy).and_then(|keys| keys.get(&key));
        known.filter(|(_, until)| at <= *until).map_or(0, |(others, _)| *others)
    }
}

impl Contribution {
    fn takes(&self, more: &Added) -> bool {
        match (&self.added, more) {
            (Added::Values(values), Added::Values(more)) => values.len().saturating_add(more.len()) <= VALUES_MAX,
            _ => true,
        }
    }

    fn take(&mut self, more: Added) {
        match (&mut self.added, more) {
            (Added::Number(number), Added::Number(more)) => *number = number.saturating_add(more),
            (Added::Values(values), Added::Values(more)) => values.extend(more),
            _ => {}
        }
    }
}

impl Engine {
    /// Whether the fleet's word can be had from now on. What waits for it while it can not is told by this sidecar's own figures, and still
    /// contributed later.
    pub fn share(&mut self, joined: bool) -> Vec<Finding> {
        let sharing = self.sharing.get_or_insert_default();
        sharing.joined = joined;
        if joined {
            return Vec::new();
        }
        let mut waiting = std::mem::take(&mut sharing.waiting);
        let mut findings = Vec::new();
        for contribution in waiting.iter_mut().filter(|contribution| contribution.matched) {
            contribution.matched = false;
            findings.extend(self.tell_shared(contribution, None));
        }
        if let Some(sharing) = &mut self.sharing {
            sharing.waiting = waiting;
        }
        findings
    }

    /// What is to be added to the fleet's windows, at most so many.
    pub fn take_shared(&mut self, max: usize) -> Vec<Contribution> {
        let Some(sharing) = &mut self.sharing else { return Vec::new() };
        sharing.places.clear();
        let max = max.min(sharing.waiting.len());
        sharing.waiting.drain(..max).collect()
    }

    /// What could not be added waits again, before all others. The findings of what finds no room.
    pub fn put_back_shared(&mut self, mut contributions: Vec<Contribution>) -> Vec<Finding> {
        let Some(sharing) = &mut self.sharing else { return Vec::new() };
        sharing.places.clear();
        contributions.append(&mut sharing.waiting);
        let beyond = contributions.split_off(contributions.len().min(CONTRIBUTIONS_MAX));
        sharing.missed = sharing.missed.saturating_add(beyond.len() as u64);
        sharing.waiting = contributions;
        let matched = beyond.iter().filter(|contribution| contribution.matched);
        matched.filter_map(|contribution| self.tell_shared(contribution, None)).collect()
    }

    /// How many contributions found no room since this was asked last.
    pub fn missed_shared(&mut self) -> u64 {
        self.sharing.as_mut().map_or(0, |sharing| std::mem::take(&mut sharing.missed))
    }

    /// What the fleet's window holds with a contribution. The finding, where this sidecar is the one to tell it.
    pub fn heard_shared(&mut self, of: &Contribution, total: u64, is_estimate: bool, tells: bool) -> Option<Finding> {
        let own = self.held(of).map_or(0, |(_, own)| own);
        if let Some(sharing) = &mut self.sharing {
            let keys = sharing.others.entry(of.policy.id.clone()).or_default();
            if keys.len() >= OTHERS_MAX {
                keys.clear();
            }
            keys.insert(of.key, (total.saturating_sub(own), of.at.plus_micros(of.within_us)));
        }
        if !tells {
            self.need_not_say(of);
            return None;
        }
        self.tell_shared(of, Some((total, is_estimate)))
    }

    fn need_not_say(&mut self, of: &Contribution) {
        if let (Some(sharing), Some(id)) = (&mut self.sharing, &of.unsaid) {
            sharing.unsaid.forget(id);
        }
    }

    /// What led to a window here, and its figure here.
    fn held(&self, of: &Contribution) -> Option<(Vec<u64>, u64)> {
        let judge = self.judges.iter().find(|judge| judge.policy.text == of.policy.text)?;
        Some(judge.state.windows.as_ref()?.held(of.key, of.at))
    }

    /// The finding; where it is not to be told again, it need not be said either.
    fn tell_shared(&mut self, of: &Contribution, figure: Option<(u64, bool)>) -> Option<Finding> {
        let finding = self.told_shared(of, figure);
        if finding.is_none() {
            self.need_not_say(of);
        }
        finding
    }

    fn told_shared(&mut self, of: &Contribution, figure: Option<(u64, bool)>) -> Option<Finding> {
        let (evidence, own) = self.held(of)?;
        let (total, is_estimate) = figure.unwrap_or((own, false));
        let (observed, threshold) = (Some(total), Some(of.above));
        let found = Found { observed, threshold, is_estimate, evidence, ..Found::default() };
        let set = Arc::clone(&self.set);
        let judge = self.judges.iter_mut().find(|judge| judge.policy.text == of.policy.text)?;
        macro_rules! told {
            ($rule:expr, $record:expr) => {{
                let moment = Moment::new($record.common.at, &set.timezone);
                tell($rule, &judge.policy, &mut judge.throttle, &**$record, &moment, found, Told::Now)
            }};
        }
        let finding = match (&judge.policy.rule, &of.record) {
            (AnyRule::Statement(rule), AnyRecord::Statement(record)) => told!(rule, record),
            (AnyRule::Transaction(rule), AnyRecord::Transaction(record)) => told!(rule, record),
            (AnyRule::Session(rule), AnyRecord::Session(record)) => told!(rule, record),
            _ => None,
        };
        super::observed_only(set.mode, finding.into_iter().collect()).pop()
    }
}

fn told_by<R: Judged>(rule: &Rule<R>, record: &R) -> Vec<u8> {
    let by: &[&Column<R>] = rule.throttle.as_ref().map_or(&[], |limit| &limit.by);
    bytes(by.iter().map(|column| (column.get)(record)))
}

/// Each value of a list, or the one; NULL is none.
fn each(value: Value<'_>) -> HashSet<Vec<u8>, RandomState> {
    match value {
        Value::Null => HashSet::default(),
        Value::Texts(items) => items.iter().map(|item| bytes([Value::Text(item)])).collect(),
        Value::U64s(items) => items.iter().map(|item| bytes([Value::U64(*item)])).collect(),
        value => [bytes([value])].into_iter().collect(),
    }
}

/// Values as bytes: the same on every sidecar, and others for other values.
fn bytes<'v>(values: impl IntoIterator<Item = Value<'v>>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut put = |tag: u8, content: &[u8]| {
        bytes.push(tag);
        bytes.extend((content.len() as u64).to_le_bytes());
        bytes.extend(content);
    };
    for value in values {
        match value {
            Value::Null => put(0, &[]),
            Value::U64(number) => put(1, &number.to_le_bytes()),
            Value::Text(text) => put(2, text.as_bytes()),
            Value::Timestamp(at) => put(3, &at.0.to_le_bytes()),
            Value::Texts(items) => {
                put(4, &(items.len() as u64).to_le_bytes());
                items.iter().for_each(|item| put(2, item.as_bytes()));
            }
            Value::U64s(items) => {
                put(5, &(items.len() as u64).to_le_bytes());
                items.iter().for_each(|item| put(1, &item.to_le_bytes()));
            }
        }
    }
    bytes
}
