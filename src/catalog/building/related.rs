//! What tables have of each other: by foreign keys, and by inheritance.
//!
//! In: tables, each finished by itself, and which refers to, or inherits from, which. Out: what their columns show besides, and whose people they hold. PURE.

use std::collections::{BTreeSet, HashSet};

use super::{Builder, CASCADES_MAX, VIEW_DEPTH_MAX};
use crate::catalog::relations::{Classified, Oid, Relation};
use crate::catalog::snapshot::Reference;

impl Builder<'_> {
    /// What foreign keys that cascade put into columns: of tables that refer to each other in whatever order, rings among them.
    pub(super) fn cascade(&mut self, references: &[Reference]) {
        for _ in 0..CASCADES_MAX {
            let mut changed = false;
            for Reference { from: (oid, into), to: (above, from), .. } in references.iter().filter(|all| all.cascades) {
                let shown = self.done(*above).and_then(|above| above.classified.get(from).cloned()).unwrap_or_default();
                let Some(place) = self.place(*oid).filter(|_| !shown.is_empty()) else { continue };
                let Some(mut relation) = self.done.get_mut(place).and_then(Option::take) else { continue };
                relation.filled = true;
                let mut grew = false;
                for classified in shown {
                    grew |= relation.classified.add(*into, classified);
                }
                if grew {
                    self.generate(&mut relation);
                }
                changed |= grew;
                if let Some(done) = self.done.get_mut(place) {
                    *done = Some(relation);
                }
            }
            if !changed {
                return;
            }
        }
    }

    /// Whose keys subject columns have.
    pub(super) fn refer(&mut self, references: &[Reference]) {
        for Reference { from: (oid, own), to: (other, its), .. } in references.iter().filter(|all| all.from != all.to) {
            let is_subject = |relation: Oid, number: i16| {
                self.done(relation).is_some_and(|relation| relation.subject == Some(number))
            };
            if !is_subject(*oid, *own) || !is_subject(*other, *its) {
                continue;
            }
            if let Some(Some(relation)) = self.place(*oid).and_then(|place| self.done.get_mut(place)) {
                relation.rare_mut().refers_to = Some(*other);
            }
        }
    }

    /// What is read of a table that others inherit from is theirs, too: of columns that are not classified there.
    pub(super) fn above(&mut self, inherits: &[(Oid, Oid)]) {
        let parents: BTreeSet<Oid> = inherits.iter().map(|(_, parent)| *parent).collect();
        let known = parents.iter().filter_map(|oid| self.done(*oid));
        let own: HashSet<(Oid, i16)> =
            known.flat_map(|parent| parent.classified.keys().map(|number| (parent.oid, number))).collect();
        for _ in 0..VIEW_DEPTH_MAX {
            let mut changed = false;
            for (child, parent) in inherits {
                let (Some(child), Some(place)) = (self.done(*child), self.place(*parent)) else { continue };
                if child.classified.is_empty() {
                    continue;
                }
                let child = child.clone();
                let Some(Some(parent)) = self.done.get_mut(place) else { continue };
                changed |= shows_of(&child, parent, &own);
            }
            if !changed {
                return;
            }
        }
    }
}

/// True where the parent shows more than before.
fn shows_of(child: &Relation, parent: &mut Relation, own: &HashSet<(Oid, i16)>) -> bool {
    let mut changed = false;
    for (column, number) in child.columns.iter() {
        let Some(into) = parent.columns.get(column).copied().filter(|into| !own.contains(&(parent.oid, *into))) else {
            continue;
        };
        for classified in child.classified.get(number).into_iter().flatten() {
            changed |= parent.classified.add(into, classified.clone());
        }
        if changed && parent.subject.is_none() && child.subject == Some(*number) {
            parent.subject = Some(into);
            parent.rare_mut().subject_of = Some(child.subject_table().clone());
        }
    }
    parent.filled |= changed;
    changed
}

/// A partition, and a table that inherits, is classified as its parents are.
pub(super) fn inherit(parent: &Relation, relation: &mut Relation) {
    relation.filled |= parent.filled;
    for (column, number) in parent.columns.iter() {
        let Some(here) = relation.columns.get(column).copied() else { continue };
        for classified in parent.classified.get(number).into_iter().flatten() {
            let own = Classified { name: format!("{}.{column}", relation.name).into(), ..classified.clone() };
            let present = relation.classified.of(here);
            match present.iter_mut().find(|other| other.name == own.name) {
                Some(other) => other.level = other.level.max(own.level),
                None => present.push(own),
            }
        }
        if relation.subject.is_none() && parent.subject == Some(*number) {
            relation.subject = Some(here);
            relation.rare_mut().subject_of = Some(parent.subject_table().clone());
        }
    }
}
