//! Everything that judges, checked as one whole: policies, lists, permits, the time zone.

use std::sync::Arc;

use jiff::tz::TimeZone;

use super::Mode;
use super::cases::CaseFile;
use super::definition::{Policy, Status};
use super::permit::Permit;
use crate::error::Fault;

/// A whole set. Made by [`super::load()`], shared by everyone who judges, replaced as a whole.
pub struct PolicySet {
    /// Sorted by id; those that are off too.
    pub policies: Vec<Arc<Policy>>,
    /// In the order of the file.
    pub permits: Vec<Permit>,
    /// The policies' cases, one file a policy.
    pub cases: Vec<CaseFile>,
    /// Policies that have no cases: they are judged all the same, and `mitsuke check` refuses them.
    pub without_cases: Vec<Fault>,
    /// What `hour`, `weekday` and `holiday` are told in.
    pub timezone: TimeZone,
    /// Whether policies may intervene.
    pub mode: Mode,
}

impl PolicySet {
    /// No policies: nothing is found.
    pub fn empty() -> PolicySet {
        PolicySet {
            policies: Vec::new(),
            permits: Vec::new(),
            cases: Vec::new(),
            without_cases: Vec::new(),
            timezone: TimeZone::UTC,
            mode: Mode::Enforce,
        }
    }

    /// The policy of that id.
    pub fn policy(&self, id: &str) -> Option<&Arc<Policy>> {
        self.policies.iter().find(|policy| *policy.id == *id)
    }

    /// Those that are judged.
    pub fn active(&self) -> impl Iterator<Item = &Arc<Policy>> {
        self.policies.iter().filter(|policy| policy.status != Status::Off)
    }
}

impl std::fmt::Debug for PolicySet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ids: Vec<&str> = self.policies.iter().map(|policy| &*policy.id).collect();
        f.debug_struct("PolicySet")
            .field("policies", &ids)
            .field("permits", &self.permits.len())
            .finish_non_exhaustive()
    }
}
