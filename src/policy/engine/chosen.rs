//! For whoever knows beforehand which records concern whom: what to find it out from, and how to judge only those.
//!
//! In: of the records of the past, those that a policy can match or has to count, in the order of their ends, each with whom it can concern; of
//! all of them, who was about. Out: what an engine finds that is given every record.

use super::{AnyRule, Concern, Concerned, Engine};
use crate::clock::Timestamp;
use crate::policy::baseline::PRINCIPALS_MAX;
use crate::policy::key::Key;
use crate::policy::rule::{Asked, Rule};
use crate::record::Statement;

/// That somebody was about: of which policy, who, and from when to when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The place of the policy, as in [`Engine::statement_rules`].
    pub judge: usize,
    /// Who.
    pub principal: Key,
    /// The end of the first record.
    pub first: Timestamp,
    /// Of the last.
    pub last: Timestamp,
}

impl Engine {
    /// The rules that judge statements, each with its place.
    pub fn statement_rules(&self) -> impl Iterator<Item = (usize, &Rule<Statement>)> {
        self.judges.iter().enumerate().filter_map(|(place, judge)| match &judge.policy.rule {
            AnyRule::Statement(rule) => Some((place, rule)),
            _ => None,
        })
    }

    /// All policies.
    pub fn everyone(&self) -> Concerned {
        Concerned { judges: (0..self.judges.len()).map(Concern::whole).collect(), replaced: self.replaced }
    }

    /// Notes who was about; false, and nothing noted, where that depends on the order of the records: more of them than a policy can
    /// remember.
    #[must_use]
    pub fn saw(&mut self, seen: &[Seen]) -> bool {
        let mut room: Vec<usize> =
            self.judges.iter().map(|judge| PRINCIPALS_MAX.saturating_sub(judge.state.principals())).collect();
        for seen in seen {
            let Some((judge, room)) = self.judges.get(seen.judge).zip(room.get_mut(seen.judge)) else { continue };
            if !judge.state.knows(seen.principal) {
                let Some(left) = room.checked_sub(1) else { return false };
                *room = left;
            }
        }
        for seen in seen {
            if let Some(judge) = self.judges.get_mut(seen.judge) {
                judge.state.saw(seen.principal, seen.first);
                judge.state.saw(seen.principal, seen.last);
            }
        }
        true
    }
}

impl Concern {
    /// Of the policy at this place, which is to ask everything.
    fn whole(judge: usize) -> Concern {
        Concern { judge, asked: Asked::ALL }
    }
}

impl Concerned {
    /// Of all policies only those at these places.
    #[must_use]
    pub fn only(&self, places: &[usize]) -> Concerned {
        Concerned { judges: places.iter().copied().map(Concern::whole).collect(), replaced: self.replaced }
    }
}
