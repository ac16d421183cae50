//! Tables that got another name or schema behind Mitsuke's back, and columns: followed by OID and number.
//!
//! In: what was known before, and what was read since. Out: for each classified column that is called otherwise now, that it holds what
//! it held; and for each such table, by which column people are counted. PURE. Classified by the name it had: a new entry for the new name,
//! where there is one, counts besides.

use std::collections::HashMap;

use super::classification::Classification;
use super::lineage::{Holds, Learned};
use super::snapshot::{Oid, Rows, Snapshot};
use crate::record::Text;
use crate::sql::Fate;

/// What is to be learned of names that changed.
pub(super) fn learned(before: &Snapshot, after: &Rows, classification: &Classification) -> Vec<Learned> {
    let tables = after.relations.iter().filter(|(.., kind)| matches!(kind, 'r' | 'p' | 'f'));
    let mut found: HashMap<Oid, Learned> = HashMap::new();
    let names: HashMap<Oid, (&Text, &Text)> = tables.map(|(oid, schema, table, _)| (*oid, (schema, table))).collect();
    for (oid, number, column) in &after.columns {
        let (Some((schema, table)), Some(known)) = (names.get(oid), before.relation(*oid)) else { continue };
        let is_the_same =
            known.parts == ((*schema).clone(), (*table).clone()) && known.column_named(*number) == Some(column);
        let Some(classified) = known.classified.get(number).filter(|_| !is_the_same) else { continue };
        let learned = found.entry(*oid).or_insert_with(|| Learned {
            schema: (*schema).clone(),
            table: (*table).clone(),
            fate: Fate::Filled,
            temporary: false,
            until_commit: false,
            holds: Holds::default(),
            over: Vec::new(),
        });
        learned.fill(Some(column), classified, classification);
    }
    found.into_values().filter(Learned::says_something).collect()
}

/// Tables whose people are counted by a column that no entry names under their new name.
pub(super) fn carry_subjects(before: &Snapshot, after: &mut Snapshot) {
    after.for_each_mut(|oid, relation| {
        let known = before.relation(oid).filter(|_| relation.subject.is_none());
        if let Some(known) =
            known.filter(|known| known.subject.is_some_and(|number| relation.column_named(number).is_some()))
        {
            (relation.subject, relation.subject_unique) = (known.subject, known.subject_unique);
            relation.subject_of = Some(known.subject_table().clone());
        }
    });
}
