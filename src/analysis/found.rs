//! Findings → the log, whoever found them; and whom they keep out.
//!
//! In: findings of the engine, of the fleet's windows and of those who look at the server. Out: each in the log, with a number of its own, to
//! be told once it is durable; a quarantine, where its policy has one.

use super::stage::Stage;
use crate::policy::acting::Whom;
use crate::policy::judged::tame;
use crate::quarantine;
use crate::record::{Action, Finding, Outcome};
use crate::session::event::Ended;
use crate::session::gate::Denial;

impl Stage {
    /// One that was found beside the records' way.
    pub(super) fn found(&mut self, finding: Finding) {
        self.engine.lock().said(&finding);
        self.findings(vec![finding]);
    }

    pub(super) fn findings(&mut self, findings: Vec<Finding>) {
        for mut finding in findings {
            self.log.number(&mut finding);
            self.figures.finding(&finding);
            if finding.action == Some(Action::Quarantine) {
                self.keep_out(&finding);
            }
            self.log.append(finding.clone());
            self.uncommitted = self.uncommitted.saturating_add(1);
            self.undelivered.push(finding);
        }
    }

    /// Whom a finding's policy quarantines is kept out from now on.
    fn keep_out(&self, finding: &Finding) {
        let policy = self.engine.lock().set().policy(&finding.policy).and_then(|policy| policy.quarantine);
        let Some(quarantine) = policy else { return };
        let name = match quarantine.whom {
            Whom::User => finding.db_user.clone(),
            // A unix socket is everybody's on the machine.
            Whom::Address => finding.client_addr.clone().filter(|address| **address != *"local"),
        };
        let Some(name) = name else {
            tracing::warn!(policy = %finding.policy, "nobody can be named who is to be kept out");
            return;
        };
        let from = finding.common.at;
        let until = from.plus_micros(quarantine.for_us);
        tracing::warn!(whom = %quarantine.whom, name = %tame(&name), %until, policy = %finding.policy, "kept out");
        let (policy, finding_id) = (finding.policy.clone(), finding.finding_id.clone());
        let entry = quarantine::Entry { whom: quarantine.whom, name, from, until, policy, finding_id };
        if let Err(error) = self.quarantines.put(entry) {
            tracing::error!(%error, "a quarantine could not be written; it holds until the sidecar stops");
        }
    }
}

/// The policy that denied or cut this.
pub(super) fn acted(ended: &Ended) -> Option<&str> {
    if !matches!(ended.outcome, Outcome::Denied | Outcome::Cut) {
        return None;
    }
    let (policy, part) = Denial::policy_of(ended.error.as_deref()?)?;
    let here = part.is_none_or(|part| u32::try_from(part).ok() == Some(ended.part));
    here.then_some(policy)
}
