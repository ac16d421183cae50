//! What was known of a database, and what was read of it since says no more.
//!
//! In: what was known before, and what was read since. Out: a snapshot of it, and what is to be learned: of tables and columns that got another name
//! or schema behind Mitsuke's back, followed by OID and number, that they hold what they held; so do those that code filled which is gone by now, columns that
//! are generated no more, partitions that are none any more, and materialised views. PURE. Classified by the name it had: a new entry for the new name, where there is one, counts besides.

use std::collections::{BTreeMap, HashSet};

use super::classification::Classification;
use super::lineage::{Learned, Lineage};
use super::snapshot::{Classified, Oid, Rows, Snapshot};
use crate::record::Text;

/// What was known before.
pub(super) struct Before<'a> {
    pub(super) snapshot: &'a Snapshot,
    /// What it was made of; nothing before a restart.
    pub(super) rows: &'a Rows,
    /// Whether it is what was written down before a restart: what is classified may have been decided anew since.
    pub(super) is_written_down: bool,
}

/// See the module. What is to be learned, the lineage has learned.
pub(super) fn build(
    before: Option<&Before<'_>>,
    rows: &Rows,
    classification: &Classification,
    lineage: &mut Lineage,
) -> (Snapshot, Vec<Learned>) {
    let Some(before) = before else { return (Snapshot::build(rows, classification, lineage, None), Vec::new()) };
    let mut learned = renamed(before.snapshot, rows, classification);
    learned.iter().for_each(|renamed| _ = lineage.learn(renamed, false));
    let mut snapshot = Snapshot::build(rows, classification, lineage, Some(before.snapshot));
    let inherits: HashSet<(Oid, Oid)> = rows.inherits.iter().copied().collect();
    let parted = before.rows.inherits.iter().filter(|edge| !inherits.contains(edge)).map(|(child, _)| *child).collect();
    let mut left = left(before, &snapshot, (&parted, &set_free(before.rows, rows)), classification);
    let (outdated, others) = outdated(before.snapshot, &snapshot, rows, classification);
    left.extend(outdated);
    if !left.is_empty() {
        left.iter().for_each(|left| _ = lineage.learn(left, false));
        learned.extend(left);
        snapshot = Snapshot::build(rows, classification, lineage, Some(before.snapshot));
    }
    others.into_iter().for_each(|oid| snapshot.doubt_subject(oid));
    (snapshot, learned)
}

/// What is to be learned of materialised views, and those whose subject column is another one now: what they are made from may have been made anew,
/// and they hold what it was when they were refreshed last. When that is, is not asked.
fn outdated(
    before: &Snapshot,
    after: &Snapshot,
    rows: &Rows,
    classification: &Classification,
) -> (Vec<Learned>, Vec<Oid>) {
    let mut materialized = rows.relations.iter().filter(|listed| listed.kind == 'm').peekable();
    if materialized.peek().is_none() {
        return (Vec::new(), Vec::new());
    }
    let still: HashSet<&Text> =
        after.tables().flat_map(|table| table.classified.values().flatten()).map(|its| &its.name).collect();
    let (mut learned, mut others) = (Vec::new(), Vec::new());
    for listed in materialized {
        let Some((known, now)) = before.relation(listed.oid).zip(after.relation(listed.oid)) else { continue };
        let is_counted_anew = now.subject.is_some() && now.subject != known.subject;
        let is_plain_now = known.rare().is_collected && !now.rare().is_collected;
        let mut its = Learned::filled(listed.schema.clone(), listed.name.clone());
        for (column, number) in listed.columns.iter() {
            let now = now.classified.get(number).map(Vec::as_slice).unwrap_or_default();
            let is_kept = |held: &&Classified| {
                still.contains(&held.name) && (is_counted_anew || is_plain_now || !now.contains(held))
            };
            let held: Vec<Classified> =
                known.classified.get(number).into_iter().flatten().filter(is_kept).cloned().collect();
            its.fill(Some(column), &held, classification);
        }
        its.collects(known.rare().is_collected);
        others.extend(is_counted_anew.then_some(listed.oid));
        learned.extend(its.says_something().then_some(its));
    }
    (learned, others)
}

/// What is to be learned of names that changed.
fn renamed(before: &Snapshot, after: &Rows, classification: &Classification) -> Vec<Learned> {
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

/// Columns that were made from others, be it that they were generated or changed with another table's, and are not any more: they keep what they hold.
fn set_free(before: &Rows, now: &Rows) -> HashSet<(Oid, i16)> {
    let bound = |rows: &Rows| -> HashSet<(Oid, i16)> {
        let generated = rows.generated.iter().map(|(oid, into, _)| (*oid, *into));
        let cascading = rows.references.iter().filter(|reference| reference.cascades).map(|reference| reference.from);
        generated.chain(cascading).collect()
    };
    let now = bound(now);
    bound(before).into_iter().filter(|column| !now.contains(column)).collect()
}

/// What is to be learned of columns that code filled, and of relations that are parted from what they inherited from: a trigger that is
/// dropped leaves what it wrote, and a partition that is detached keeps its rows.
fn left(
    before: &Before<'_>,
    after: &Snapshot,
    (parted, set_free): (&HashSet<Oid>, &HashSet<(Oid, i16)>),
    classification: &Classification,
) -> Vec<Learned> {
    let still: Option<HashSet<&Text>> = before.is_written_down.then(|| {
        let classified = after.tables().flat_map(|table| table.classified.values().flatten());
        classified.map(|classified| &classified.name).collect()
    });
    let is_still = |held: &Classified| still.as_ref().is_none_or(|still| still.contains(&held.name));
    let before = before.snapshot;
    let mut held = before.put().clone();
    for relation in parted.iter().filter_map(|oid| before.relation(*oid)) {
        for (number, classified) in relation.classified.iter() {
            held.entry((relation.oid, number)).or_default().columns.extend(classified.iter().cloned());
        }
    }
    for (oid, number) in set_free {
        let Some(relation) = before.relation(*oid) else { continue };
        let own = relation.column_named(*number).map(|column| format!("{}.{column}", relation.name));
        let others =
            relation.classified.get(number).into_iter().flatten().filter(|held| Some(&*held.name) != own.as_deref());
        held.entry((*oid, *number)).or_default().columns.extend(others.cloned());
    }
    let mut left: BTreeMap<Oid, Learned> = BTreeMap::new();
    for ((oid, number), held) in held {
        let Some(table) = after.relation(oid).filter(|relation| relation.is_table()) else { continue };
        let Some(column) = table.column_named(number) else { continue };
        let now = table.classified.get(&number).map(Vec::as_slice).unwrap_or_default();
        let is_gone = |held: &Classified| !now.contains(held) && is_still(held);
        let gone: Vec<Classified> = held.columns.into_iter().filter(is_gone).collect();
        let learned = left.entry(oid).or_insert_with(|| Learned::filled(table.parts.0.clone(), table.parts.1.clone()));
        learned.fill(Some(column), &gone, classification);
        learned.collects(held.is_collected && !gone.is_empty());
    }
    left.into_values().filter(Learned::says_something).collect()
}
