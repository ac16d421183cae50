//! Two answers to one question, of which either may be so.
//!
//! In: what a statement touched when it began, and what it would touch by the catalog as it is since. Out: what it may have touched. PURE.

use std::collections::BTreeSet;

use super::people::{ByWire, PeopleRule};
use super::{Catalog, Understanding};
use crate::record::{Certainty, Text};

impl Catalog {
    /// See the module. Nothing in it is exact, and nobody is counted by columns that may be others by now.
    pub fn either(&self, then: &Understanding, now: &Understanding) -> Understanding {
        let classification = self.inner.classification.load();
        let both = |one: &[Text], other: &[Text]| {
            one.iter().chain(other).cloned().collect::<BTreeSet<Text>>().into_iter().collect::<Vec<Text>>()
        };
        let rank = |level: &&Text| classification.level_named(level);
        let people = match (then.people, now.people) {
            (rule, _) if !now.personal => rule,
            (_, rule) if !then.personal => rule,
            (rule @ PeopleRule::Estimated { .. }, _) | (_, rule @ PeopleRule::Estimated { .. }) => rule,
            (PeopleRule::AtMostInRow(one), PeopleRule::AtMostInRow(other)) => PeopleRule::AtMostInRow(one.max(other)),
            (rule @ PeopleRule::AtMostInRow(_), _) | (_, rule) => rule,
        };
        let is_assumed = [then, now].iter().any(|its| its.certainty == Certainty::Assumed);
        Understanding {
            relations_read: both(&then.relations_read, &now.relations_read),
            columns: both(&then.columns, &now.columns),
            level: then.level.iter().chain(&now.level).max_by_key(rank).cloned(),
            personal: then.personal || now.personal,
            people,
            by_wire: ByWire::UNKNOWN,
            certainty: if is_assumed { Certainty::Assumed } else { Certainty::Inferred },
            ..now.clone()
        }
    }
}
