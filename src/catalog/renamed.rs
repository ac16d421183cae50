//! Tables that got another name or schema behind Mitsuke's back, and columns: followed by OID and number.
//!
//! In: what was known before, and what was read since. Out: for each classified column that is called otherwise now, that it holds what
//! it held; and for each such table, by which column people are counted. PURE. Classified by the name it had: a new entry for the new name,
//! where there is one, counts besides.

use super::classification::Classification;
use super::lineage::Learned;
use super::snapshot::{Rows, Snapshot};

/// What is to be learned of names that changed.
pub(super) fn learned(before: &Snapshot, after: &Rows, classification: &Classification) -> Vec<Learned> {
    let tables = after.relations.iter().filter(|listed| matches!(listed.kind, 'r' | 'p' | 'f'));
    let learned = tables.filter_map(|listed| {
        let known = before.relation(listed.oid).filter(|known| !known.classified.is_empty())?;
        let is_named_so = known.parts.0 == listed.schema && known.parts.1 == listed.name;
        let mut learned = Learned::filled(listed.schema.clone(), listed.name.clone());
        for (column, number) in listed.columns.iter() {
            let is_the_same = is_named_so && known.column_named(*number) == Some(column);
            if let Some(classified) = known.classified.get(number).filter(|_| !is_the_same) {
                learned.fill(Some(column), classified, classification);
            }
        }
        Some(learned)
    });
    learned.filter(Learned::says_something).collect()
}

/// Tables whose people are counted by a column that no entry names under their new name.
pub(super) fn carry_subjects(before: &Snapshot, after: &mut Snapshot) {
    for relation in after.relations_mut() {
        let known = before.relation(relation.oid).filter(|_| relation.subject.is_none());
        if let Some(known) =
            known.filter(|known| known.subject.is_some_and(|number| relation.column_named(number).is_some()))
        {
            (relation.subject, relation.subject_unique) = (known.subject, known.subject_unique);
            relation.rare_mut().subject_of = Some(known.subject_table().clone());
        }
    }
}
