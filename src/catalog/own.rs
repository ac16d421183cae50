//! Where classified columns went on to that one session alone has: its temporary relations and its settings; and what its open transaction did of
//! which nobody else knows yet.
//!
//! In: what its statements made and filled. Out: what they may hold. PURE.

use std::collections::{BTreeMap, BTreeSet};

use super::classification::Classification;
use super::lineage::{Holds, Learned, MARKS_MAX};
use super::relations::Classified;
use crate::record::Text;

/// What one session has made for itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Own {
    temporary: BTreeMap<Text, Temporary>,
    /// What everybody's relations may hold besides, by statements that may not have ended; for who judges before they do.
    ahead: BTreeMap<(Text, Text), Holds>,
    settings: Holds,
    /// The search path may be any.
    pub path_unknown: bool,
    /// Code ran in the transaction that is open that may have changed the schema.
    pub is_suspected: bool,
    /// And code that may have filled anything.
    pub is_unfollowed: bool,
    /// The transaction that is open changed the schema, and these names with it; no other session sees that yet, nor the catalog.
    shifted: Option<BTreeSet<Text>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Temporary {
    holds: Holds,
    /// It is there, so that its name means nothing else.
    certain: bool,
    /// Made in the transaction that is open.
    fresh: bool,
    until_commit: bool,
}

impl Own {
    /// The temporary relation of this name, and whether it is certain to be there.
    pub(super) fn of(&self, table: &str) -> Option<(&Holds, bool)> {
        self.temporary.get(table).map(|own| (&own.holds, own.certain))
    }

    /// Takes what a statement may do to a relation that everybody has.
    pub(super) fn learn_ahead(&mut self, learned: &Learned) {
        let key = (learned.schema.clone(), learned.table.clone());
        let is_room = self.ahead.len() < MARKS_MAX || self.ahead.contains_key(&key);
        if is_room && !learned.holds.is_empty() {
            self.ahead.entry(key).or_default().add(learned.holds.clone());
        }
    }

    /// What a relation that everybody has may hold by then.
    pub(super) fn ahead_of(&self, schema: &Text, table: &Text) -> Option<&Holds> {
        if self.ahead.is_empty() {
            return None;
        }
        self.ahead.get(&(schema.clone(), table.clone()))
    }

    pub(super) fn settings(&self) -> &Holds {
        &self.settings
    }

    /// Takes what a statement did to a relation that only this session has.
    pub(super) fn learn(&mut self, learned: &Learned) {
        use crate::sql::Fate;
        if self.temporary.len() >= MARKS_MAX && !self.temporary.contains_key(&learned.table) {
            return;
        }
        let own = self.temporary.entry(learned.table.clone()).or_default();
        own.holds.add(learned.holds.clone());
        match learned.fate {
            Fate::Made | Fate::Replaced => {
                own.certain = learned.fate == Fate::Made;
                own.fresh = true;
                own.until_commit = learned.until_commit;
            }
            Fate::Emptied => own.certain = false,
            Fate::Filled => {}
        }
    }

    pub(super) fn fill_settings(&mut self, from: &[Classified], classification: &Classification) {
        self.settings.add_anywhere(from, classification);
    }

    /// The transaction that is open changes the schema.
    pub fn shift(&mut self, names: &[Text]) {
        let shifted = self.shifted.get_or_insert_default();
        shifted.extend(names.iter().take(MARKS_MAX.saturating_sub(shifted.len())).cloned());
    }

    /// What the transaction that was open changed in the schema, for everybody from now on.
    pub fn settle(&mut self) -> Option<Vec<Text>> {
        Some(self.shifted.take()?.into_iter().collect())
    }

    /// See [`Own::shift`].
    pub(super) fn shifted(&self) -> Option<&BTreeSet<Text>> {
        self.shifted.as_ref()
    }

    /// A transaction is over, or a part of it undone.
    pub fn transaction_ended(&mut self, committed: bool) {
        for own in self.temporary.values_mut() {
            own.certain &= !(own.until_commit || own.fresh && !committed);
            own.fresh = false;
        }
    }

    /// Something ran that may have dropped anything.
    pub fn shaken(&mut self) {
        self.temporary.values_mut().for_each(|own| own.certain = false);
    }

    /// DISCARD.
    pub fn discarded(&mut self) {
        self.temporary.clear();
    }

    /// Whether nothing is known of it.
    pub fn is_empty(&self) -> bool {
        let Own { temporary, ahead, settings, path_unknown, is_suspected, is_unfollowed, shifted } = self;
        let holds_nothing = temporary.is_empty() && ahead.is_empty() && settings.is_empty();
        holds_nothing && !path_unknown && !is_suspected && !is_unfollowed && shifted.is_none()
    }
}
