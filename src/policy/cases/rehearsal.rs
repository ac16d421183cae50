//! A case, ready to be judged again and again by whoever measures what a policy costs.
//!
//! In: a case and its policy. Out: its records, made once, and an engine. PURE: who measures has the clock.

use std::sync::Arc;

use super::{Case, Records, Step, Steps, each};
use crate::policy::definition::Policy;
use crate::policy::judged::Judged;
use crate::policy::{Engine, PolicySet};
use crate::record::{Session, Statement, Transaction};

/// Records of a case that are judged, at most: one may stand for millions.
const RECORDS_MAX: usize = 1_000;

/// See the module.
pub struct Rehearsal {
    engine: Engine,
    records: Ready,
}

enum Ready {
    Statements(Vec<Statement>),
    Transactions(Vec<Transaction>),
    Sessions(Vec<Session>),
}

impl Rehearsal {
    /// Of one case, for one policy alone.
    pub fn of(case: &Case, policy: &Arc<Policy>) -> Rehearsal {
        let set = PolicySet {
            policies: vec![policy.clone()],
            permits: case.permits.clone(),
            timezone: case.timezone.clone(),
            ..PolicySet::empty()
        };
        let records = match &case.records {
            Records::Statements(steps) => Ready::Statements(made(steps)),
            Records::Transactions(steps) => Ready::Transactions(made(steps)),
            Records::Sessions(steps) => Ready::Sessions(made(steps)),
        };
        Rehearsal { engine: Engine::new(Arc::new(set)), records }
    }

    /// How many records one time is.
    pub fn records(&self) -> usize {
        match &self.records {
            Ready::Statements(records) => records.len(),
            Ready::Transactions(records) => records.len(),
            Ready::Sessions(records) => records.len(),
        }
    }

    /// Judges them once; how many findings came of it.
    pub fn judge(&mut self) -> usize {
        let Rehearsal { engine, records } = self;
        match records {
            Ready::Statements(records) => records.iter_mut().map(|record| engine.statement(record).len()).sum(),
            Ready::Transactions(records) => records.iter().map(|record| engine.transaction(record).len()).sum(),
            Ready::Sessions(records) => records.iter().map(|record| engine.session(record).len()).sum(),
        }
    }
}

fn made<R: Judged>(Steps { history, records }: &Steps<R>) -> Vec<R> {
    let mut made = Vec::new();
    let mut left = RECORDS_MAX;
    for step in history.iter().chain(records) {
        let times = step.times.min(u64::try_from(left).unwrap_or(u64::MAX));
        left = left.saturating_sub(usize::try_from(times).unwrap_or(usize::MAX));
        let step = Step { record: step.record.clone(), from: step.from, after_us: step.after_us, times };
        each(&[step], |record: &mut R| made.push(record.clone()));
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Config, load};

    #[test]
    fn every_built_in_policy_s_cases_can_be_judged_again_and_again_and_are_bounded() {
        let set =
            load(&Config { timezone: Some("UTC".to_owned()), ..Config::default() }).expect("the built-in policies");
        for file in &set.cases {
            let policy = set.policy(&file.policy).expect("cases belong to a policy");
            let mut rehearsals: Vec<Rehearsal> = file.cases.iter().map(|case| Rehearsal::of(case, policy)).collect();
            assert!(rehearsals.iter().all(|one| (1..=RECORDS_MAX).contains(&one.records())), "{}", file.policy);
            let found: usize = rehearsals.iter_mut().map(Rehearsal::judge).sum();
            assert!(found > 0, "{}", file.policy);
            let again: usize = rehearsals.iter_mut().map(Rehearsal::judge).sum();
            assert!(again <= found.saturating_mul(10).saturating_add(1_000), "{}", file.policy);
        }
    }
}
