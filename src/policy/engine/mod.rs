//! Records → findings.
//!
//! In: records in the order of their ends, each once. Out: findings, and in each statement its permit and the policies
//! that matched it. Total: no record can make it fail. Its memory is bounded by [`super::window`], [`super::baseline`]
//! and [`super::throttle`]. The same records give the same findings, ids included, so that a replay after a crash
//! does not tell an incident twice under two names.

mod alike;
mod chosen;
mod shared;
mod sharing;
mod state;
mod unsaid;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use super::Mode;
use super::definition::{AnyRule, Policy};
use super::explanation::{Found, explain};
use super::judged::Judged;
use super::key::{Key, Keys};
use super::moment::Moment;
use super::permit::Use;
use super::rule::{Asked, Measure, Rule};
use super::set::PolicySet;
use super::throttle::Throttle;
use super::window::{Amount, Windows};
use crate::record::{Action, Column, Finding, Kind, Session, Statement, Text, Texts, Transaction, Value};

pub use self::alike::Alike;
pub use self::chosen::Seen;
pub use self::shared::SharedEngine;
use self::sharing::Sharing;
pub use self::sharing::{Added, Contribution};
use self::state::State;
pub use self::unsaid::Waiting;

/// A policy set and what it has seen.
pub struct Engine {
    set: Arc<PolicySet>,
    permits: Use,
    /// One a policy that is not off, in the set's order.
    judges: Vec<Judge>,
    /// Which of them a statement can concern, by its kind.
    of_kind: Vec<Judges>,
    /// Which a statement of no kind can concern.
    of_any: Judges,
    /// How many sets came before this one.
    replaced: u64,
    /// Its part in a fleet, where it is in one.
    sharing: Option<Sharing>,
}

struct Judge {
    policy: Arc<Policy>,
    state: State,
    throttle: Throttle,
}

/// Whom a statement can concern.
type Judges = Arc<[Concern]>;

/// What a policy has to ask of it.
#[derive(Clone, Copy, Debug)]
struct Concern {
    /// Its place in [`Engine::judges`].
    judge: usize,
    asked: Asked,
}

/// Which policies the executions of one statement can concern: what is the same in all of them has ruled out the others.
#[derive(Clone, Debug)]
pub struct Concerned {
    judges: Judges,
    /// [`Engine::replaced`], when this was found.
    replaced: u64,
}

/// Whether a record is new or of the past.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    /// New: a match may become a finding.
    Now,
    /// Of the past. Where it is known that the policy matched then, it counts as told.
    Before { known: bool },
}

impl Engine {
    /// An engine that has seen nothing.
    pub fn new(set: Arc<PolicySet>) -> Engine {
        let judges = set.active().map(|policy| Judge::new(policy.clone())).collect();
        let mut engine = Engine {
            set,
            permits: Use::default(),
            judges,
            of_kind: Vec::new(),
            of_any: Judges::default(),
            replaced: 0,
            sharing: None,
        };
        engine.sort();
        engine
    }

    /// The set in force.
    pub fn set(&self) -> &Arc<PolicySet> {
        &self.set
    }

    /// Puts another set in force. Policies that are the same keep what they have seen; so do permits.
    pub fn replace(&mut self, set: Arc<PolicySet>) {
        let mut old = std::mem::take(&mut self.judges);
        let judges = set.active().map(|policy| {
            let same = old.iter().position(|judge| judge.policy.id == policy.id && judge.policy.text == policy.text);
            match same {
                Some(index) => Judge { policy: policy.clone(), ..old.swap_remove(index) },
                None => Judge::new(policy.clone()),
            }
        });
        self.judges = judges.collect();
        self.permits.keep(&set.permits);
        self.set = set;
        self.replaced += 1;
        self.sort();
    }

    /// Finds out which kinds of statements each policy can concern.
    fn sort(&mut self) {
        let may = |kind: Kind| {
            let alike = Statement { kind: Some(kind), ..Statement::default() };
            self.concern(&alike, &|column| column.name == "kind")
        };
        let mut of_kind = vec![Judges::default(); Kind::ALL.len()];
        for kind in Kind::ALL.iter().filter_map(|name| name.parse::<Kind>().ok()) {
            if let Some(judges) = of_kind.get_mut(kind as usize) {
                *judges = may(kind);
            }
        }
        self.of_any = self.concern(&Statement::default(), &|_| false);
        self.of_kind = of_kind;
    }

    fn concern(&self, alike: &Statement, settled: &dyn Fn(&Column<Statement>) -> bool) -> Judges {
        let concern = |(place, judge): (usize, &Judge)| match &judge.policy.rule {
            AnyRule::Statement(rule) => Some(Concern { judge: place, asked: rule.asked(alike, settled)? }),
            _ => None,
        };
        self.judges.iter().enumerate().filter_map(concern).collect()
    }

    /// Which policies can concern statements that are like `alike` in their `settled` columns, whatever is in the others.
    pub fn concerned(&self, alike: &Statement, settled: &dyn Fn(&Column<Statement>) -> bool) -> Concerned {
        Concerned { judges: self.concern(alike, settled), replaced: self.replaced }
    }

    /// As [`Engine::statement`], and quicker where many statements are alike: which policies can concern one is found out once and kept.
    pub fn statement_like(&mut self, statement: &mut Statement, alike: &mut Alike) -> Vec<Finding> {
        let concerned = alike.concerned(self, statement);
        self.statement_after(statement, Some(&concerned), None)
    }

    /// As has been found for statements like it, where the set is still the same; by its kind, else.
    fn judges_of(&self, statement: &Statement, concerned: Option<&Concerned>) -> Judges {
        match (concerned.filter(|concerned| concerned.replaced == self.replaced), statement.kind) {
            (Some(concerned), _) => concerned.judges.clone(),
            (None, Some(kind)) => self.of_kind.get(kind as usize).unwrap_or(&self.of_any).clone(),
            (None, None) => self.of_any.clone(),
        }
    }

    /// How much of the past an engine has to learn to judge as one that has always run; `None`: nothing.
    pub fn lookback(&self) -> Option<Duration> {
        let policies = self.judges.iter().filter_map(|judge| judge.policy.lookback_us()).max();
        let permits = self.set.permits.iter().map(|permit| permit.until.0.saturating_sub(permit.from.0)).max();
        policies.max(permits).and_then(|micros| u64::try_from(micros).ok()).map(Duration::from_micros)
    }

    /// Judges a statement. Fills its `permit` (where none is set) and its `policies`.
    pub fn statement(&mut self, statement: &mut Statement) -> Vec<Finding> {
        self.statement_after(statement, None, None)
    }

    /// As [`Engine::statement`], of statements like it having been found whom they can concern; and where a policy has denied or
    /// cut it: that one has matched, whatever is left in the record.
    pub fn statement_after(
        &mut self,
        statement: &mut Statement,
        concerned: Option<&Concerned>,
        acted: Option<&str>,
    ) -> Vec<Finding> {
        if statement.permit.is_none() {
            statement.permit = self.permits.cover(&self.set.permits, statement);
        }
        let set = self.set.clone();
        let moment = Moment::new(statement.common.at, &set.timezone);
        let mut keys = Keys::default();
        let mut findings = Vec::new();
        let mut matched: Vec<Text> = Vec::new();
        for concern in self.judges_of(statement, concerned.filter(|_| acted.is_none())).iter() {
            let Some(judge) = self.judges.get_mut(concern.judge) else { continue };
            let AnyRule::Statement(rule) = &judge.policy.rule else { continue };
            let has_acted = acted == Some(&*judge.policy.id);
            let found = judge.state.observe(rule, statement, &moment, concern.asked, &mut keys);
            let is_found = found.is_some() && !has_acted;
            let waits = share(&mut self.sharing, judge, rule, statement, is_found);
            let forced = || has_acted.then(|| interrupted(rule, judge.state.windows.as_ref(), statement));
            let Some(mut found) = found.or_else(forced) else { continue };
            found.action = has_acted.then_some(judge.policy.action);
            matched.push(judge.policy.id.clone());
            if waits && is_found {
                continue;
            }
            findings.extend(tell(rule, &judge.policy, &mut judge.throttle, statement, &moment, found, Told::Now));
        }
        statement.policies = Some(if matched.is_empty() { Texts::default() } else { matched.into() });
        observed_only(set.mode, findings)
    }

    /// Judges a transaction.
    pub fn transaction(&mut self, transaction: &Transaction) -> Vec<Finding> {
        self.judge(transaction, Told::Now, |rule| match rule {
            AnyRule::Transaction(rule) => Some(rule),
            _ => None,
        })
    }

    /// Judges a session.
    pub fn session(&mut self, session: &Session) -> Vec<Finding> {
        self.judge(session, Told::Now, |rule| match rule {
            AnyRule::Session(rule) => Some(rule),
            _ => None,
        })
    }

    /// Takes in a statement of the past: windows, baselines and permits move, nothing is found.
    pub fn learn_statement(&mut self, statement: &Statement) {
        self.learn_statement_of(statement, None);
    }

    /// As [`Engine::learn_statement`], of statements like it having been found whom they can concern.
    pub fn learn_statement_of(&mut self, statement: &Statement, concerned: Option<&Concerned>) {
        self.permits.learn(statement);
        let set = self.set.clone();
        let moment = Moment::new(statement.common.at, &set.timezone);
        let mut keys = Keys::default();
        for concern in self.judges_of(statement, concerned).iter() {
            let Some(judge) = self.judges.get_mut(concern.judge) else { continue };
            let AnyRule::Statement(rule) = &judge.policy.rule else { continue };
            let found = judge.state.observe(rule, statement, &moment, concern.asked, &mut keys);
            let Some(found) = found else { continue };
            let matched = statement.policies.as_deref().unwrap_or_default();
            let told = Told::Before { known: matched.contains(&judge.policy.id) };
            tell(rule, &judge.policy, &mut judge.throttle, statement, &moment, found, told);
        }
    }

    /// As [`Engine::learn_statement`].
    pub fn learn_transaction(&mut self, transaction: &Transaction) {
        self.judge(transaction, Told::Before { known: true }, |rule| match rule {
            AnyRule::Transaction(rule) => Some(rule),
            _ => None,
        });
    }

    /// As [`Engine::learn_statement`].
    pub fn learn_session(&mut self, session: &Session) {
        self.judge(session, Told::Before { known: true }, |rule| match rule {
            AnyRule::Session(rule) => Some(rule),
            _ => None,
        });
    }

    fn judge<R: Judged>(&mut self, record: &R, told: Told, of: fn(&AnyRule) -> Option<&Rule<R>>) -> Vec<Finding> {
        let set = self.set.clone();
        let moment = Moment::new(record.common().at, &set.timezone);
        let (mut findings, mut keys) = (Vec::new(), Keys::default());
        for judge in &mut self.judges {
            let Some(rule) = of(&judge.policy.rule) else { continue };
            let found = judge.state.observe(rule, record, &moment, Asked::ALL, &mut keys);
            let waits = told == Told::Now && share(&mut self.sharing, judge, rule, record, found.is_some());
            let Some(found) = found.filter(|_| !waits) else { continue };
            findings.extend(tell(rule, &judge.policy, &mut judge.throttle, record, &moment, found, told));
        }
        observed_only(set.mode, findings)
    }
}

/// Notes what a record has added to a window that a fleet shares; whether its finding waits for the fleet's word.
fn share<R: Judged>(sharing: &mut Option<Sharing>, judge: &Judge, rule: &Rule<R>, record: &R, is_found: bool) -> bool {
    match (sharing, judge.state.added) {
        (Some(sharing), Some(key)) => sharing.add(&judge.policy, rule, record, key, is_found),
        _ => false,
    }
}

impl Judge {
    fn new(policy: Arc<Policy>) -> Judge {
        let state = State::new(&policy);
        Judge { policy, state, throttle: Throttle::default() }
    }
}

/// What a policy found that did not let the statement come to its end.
fn interrupted(rule: &Rule<Statement>, windows: Option<&Windows>, statement: &Statement) -> Found {
    let mut found = Found { evidence: vec![statement.common.seq], ..Found::default() };
    if let (Some(window), Some(windows)) = (&rule.window, windows) {
        let key = Key::of(statement, &window.by);
        found.observed = Some(windows.with(key, statement.judged_at(), &Amount::Number(0)));
        found.threshold = Some(window.above);
    } else if let Some((column, threshold)) = rule.when.as_ref().and_then(|when| when.limit())
        && let Value::U64(observed) = (column.get)(statement)
    {
        (found.observed, found.threshold) = (Some(observed), Some(threshold));
    }
    found
}

/// Where nothing intervenes, nothing was done.
fn observed_only(mode: Mode, mut findings: Vec<Finding>) -> Vec<Finding> {
    if mode == Mode::Observe {
        findings.iter_mut().for_each(|finding| finding.action = Some(Action::Alert));
    }
    findings
}

/// What is done about a match: nothing more than to tell, unless the policy has acted, or keeps somebody out from now on.
fn action(policy: &Policy, found: &Found) -> Action {
    match (found.action, policy.action) {
        (Some(done), _) => done,
        (None, Action::Quarantine) => Action::Quarantine,
        (None, _) => Action::Alert,
    }
}

/// The finding, if the throttle admits one and the record is new.
fn tell<R: Judged>(
    rule: &Rule<R>,
    policy: &Policy,
    throttle: &mut Throttle,
    record: &R,
    moment: &Moment<'_>,
    found: Found,
    told: Told,
) -> Option<Finding> {
    if told == (Told::Before { known: false }) {
        return None;
    }
    if let Some(limit) = &rule.throttle {
        let key = Key::of(record, &limit.by);
        // Whoever comes back when the quarantine is over is kept out again.
        let once_us = policy.quarantine.map_or(limit.once_us, |quarantine| limit.once_us.min(quarantine.for_us));
        if !throttle.admits(key, record.judged_at(), found.observed.unwrap_or(0), once_us) {
            return None;
        }
    }
    (told == Told::Now).then(|| finding_of(rule, policy, record, moment, &found))
}

fn finding_of<R: Judged>(rule: &Rule<R>, policy: &Policy, record: &R, moment: &Moment<'_>, found: &Found) -> Finding {
    let mut finding = Finding {
        finding_id: finding_id(policy, record),
        policy: policy.id.clone(),
        title: policy.title.clone(),
        severity: Some(policy.severity),
        action: Some(action(policy, found)),
        observed: found.observed,
        threshold: found.threshold,
        measure: found.observed.and_then(|_| measure(rule, found)).map(Text::from),
        within_us: within_us(rule, found),
        evidence: record.evidence().map(|_| found.evidence.clone().into()),
        explanation: Some(explain(rule, record, moment, found).into()),
        tags: Some(policy.tags.clone()),
        ..Finding::default()
    };
    finding.common.at = record.judged_at();
    finding.common.session_id = record.common().session_id.clone();
    record.copy_who(&mut finding);
    finding
}

/// What the figure counts.
fn measure<R: Judged>(rule: &Rule<R>, found: &Found) -> Option<Cow<'static, str>> {
    if let (Some(usual), Some(_)) = (&rule.usual, &found.usual) {
        return Some(usual.column.name.into());
    }
    match (&rule.window, rule.when.as_ref().and_then(|when| when.limit())) {
        (Some(window), _) => Some(match &window.measure {
            Measure::Count => R::NAME.into(),
            Measure::Sum(column) => column.name.into(),
            Measure::Distinct(column) => format!("distinct {}", column.name).into(),
        }),
        (None, Some((column, _))) if rule.first.is_none() => Some(column.name.into()),
        (None, _) => Some("persons".into()),
    }
}

/// Over how long it does.
fn within_us<R: Judged>(rule: &Rule<R>, found: &Found) -> Option<u64> {
    const DAY_US: u64 = 86_400_000_000;
    match (&rule.usual, &rule.window) {
        (Some(_), _) if found.usual.is_some() => Some(DAY_US),
        (_, Some(window)) => u64::try_from(window.within_us).ok(),
        _ => None,
    }
}

/// A UUID of version 7: the finding's time, and what the record and the policy alone decide.
fn finding_id<R: Judged>(policy: &Policy, record: &R) -> Text {
    let common = record.common();
    let mut digest = ring::digest::Context::new(&ring::digest::SHA256);
    let session = common.session_id.as_deref().unwrap_or_default();
    for part in [&*policy.id, R::NAME, &*common.writer, session] {
        digest.update(&(part.len() as u64).to_le_bytes());
        digest.update(part.as_bytes());
    }
    digest.update(&common.seq.to_le_bytes());
    digest.update(&common.at.0.to_le_bytes());
    let mut random = [0; 10];
    for (byte, from) in random.iter_mut().zip(digest.finish().as_ref()) {
        *byte = *from;
    }
    let millis = u64::try_from(record.judged_at().0 / 1_000).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid().to_string().into()
}

#[cfg(test)]
mod tests;
