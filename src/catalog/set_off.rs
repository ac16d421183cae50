//! Code that nobody can follow, and that nobody names: it runs where a relation is written or read.
//!
//! In: rows of the catalog, and a snapshot that knows what functions show; then a statement. Out: the relations of which that is so, and whether the
//! statement sets such code off. PURE. What is set off sets off more: triggers that write, rules, foreign keys that cascade, partitions, what is behind a
//! view.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::bodies::Bodies;
use super::copied::writes;
use super::functions::Shown;
use super::relations::Oid;
use super::resolve::{Resolver, Target};
use super::snapshot::{Rows, Snapshot};
use crate::record::{Kind, Text};
use crate::sql::{Analysis, Code};

/// Relations, and whether any change of the schema does it.
#[derive(Clone, Debug, Default)]
pub(super) struct SetOff {
    pub(super) by_writing: BTreeSet<Oid>,
    pub(super) by_reading: BTreeSet<Oid>,
    pub(super) by_ddl: bool,
}

impl Snapshot {
    /// See the module.
    pub(super) fn find_set_off<'a>(&self, rows: &'a Rows, bodies: &Bodies<'a>) -> SetOff {
        let mut set_off = SetOff::default();
        let is_open = |function: &Text| self.function(function).is_some_and(|shown| shown.is_open);
        for (oid, _, on_reading) in rows.unnamed.iter().filter(|(_, function, _)| is_open(function)) {
            match oid {
                0 => set_off.by_ddl = true,
                oid => drop(set_off.by_writing.insert(*oid)),
            }
            set_off.by_reading.extend(on_reading.then_some(*oid));
        }
        let computed = rows.computed.iter().filter(|(_, _, function)| is_open(function));
        set_off.by_writing.extend(computed.map(|(oid, ..)| *oid));
        // A view that is materialised runs what it calls when it is filled.
        let filled = rows.view_calls.iter().filter(|(_, function)| is_open(function));
        set_off.by_writing.extend(filled.map(|(oid, _)| *oid));
        let mut followed: HashMap<&str, (Arc<Code>, Shown)> = HashMap::new();
        for (oid, code) in rows.triggers.iter().filter(|(_, code)| writes(code)) {
            let (code, shown) = followed.entry(code).or_insert_with(|| {
                let code = bodies.code(code);
                let shown = self.code(&code);
                (code, shown)
            });
            let holds_any = || self.relation(*oid).is_some_and(|relation| !relation.classified.is_empty());
            // It fills what it does not name with the row.
            if shown.is_open || code.fills_unnamed && holds_any() {
                set_off.by_writing.insert(*oid);
            }
        }
        if set_off.by_writing.is_empty() {
            return set_off;
        }
        let above = self.sets_off(rows, &followed);
        spread(&mut set_off.by_writing, &above);
        let views = rows.dependencies.iter().map(|(view, below, _)| (*below, *view));
        spread(&mut set_off.by_reading, &grouped(views));
        set_off
    }

    /// By relation: those that have it written when they are.
    fn sets_off(&self, rows: &Rows, followed: &HashMap<&str, (Arc<Code>, Shown)>) -> HashMap<Oid, Vec<Oid>> {
        let into = |shown: &Shown| -> Vec<Oid> {
            shown.fills.keys().filter_map(|(schema, name)| Some(self.named(schema, name)?.oid)).collect()
        };
        let by_code = rows.triggers.iter().filter_map(|(oid, code)| Some((*oid, &followed.get(&**code)?.1)));
        let unnamed = rows.unnamed.iter().map(|(oid, function, _)| (*oid, function));
        let computed = rows.computed.iter().map(|(oid, _, function)| (*oid, function));
        let functions = unnamed.chain(computed).filter_map(|(oid, name)| Some((oid, self.function(name)?)));
        let by_code = by_code.chain(functions);
        let by_code = by_code.flat_map(|(oid, shown)| into(shown).into_iter().map(move |into| (into, oid)));
        let by_keys = rows.dependents.iter().map(|(above, below)| (*below, *above));
        let by_rules = rows.rules.iter().map(|(oid, _, touched)| (*touched, *oid));
        let views = rows.dependencies.iter().map(|(view, below, _)| (*below, *view));
        grouped(by_code.chain(by_keys).chain(by_rules).chain(views).chain(rows.inherits.iter().copied()))
    }
}

fn grouped(pairs: impl Iterator<Item = (Oid, Oid)>) -> HashMap<Oid, Vec<Oid>> {
    let mut grouped: HashMap<Oid, Vec<Oid>> = HashMap::new();
    pairs.for_each(|(one, other)| grouped.entry(one).or_default().push(other));
    grouped
}

/// Adds all that lead there.
fn spread(set: &mut BTreeSet<Oid>, above: &HashMap<Oid, Vec<Oid>>) {
    let mut open: Vec<Oid> = set.iter().copied().collect();
    while let Some(oid) = open.pop() {
        let more = above.get(&oid).into_iter().flatten().copied();
        open.extend(more.filter(|oid| set.insert(*oid)).collect::<Vec<_>>());
    }
}

impl Resolver<'_> {
    /// Whether a statement runs code of which it is not known what that fills.
    pub(super) fn sets_off(
        &self,
        analysis: &Analysis,
        reads: &[Target<'_>],
        writes: &[Target<'_>],
        called: &Shown,
    ) -> bool {
        let Some(snapshot) = self.snapshot else { return called.is_open };
        let set_off = snapshot.set_off();
        let is_ddl = matches!(analysis.kind, Kind::Ddl | Kind::Grant);
        // TRUNCATE, REFRESH and their like.
        let runs = !is_ddl || !analysis.flows.is_empty();
        let mut written = writes.iter().filter_map(Target::known).filter(|_| runs);
        let mut filled = called.fills.keys().filter_map(|(schema, name)| snapshot.named(schema, name));
        let mut read = reads.iter().filter_map(Target::known);
        let writes_unnamed = called.deletes || called.fills_unnamed;
        called.is_open
            || is_ddl && set_off.by_ddl
            || written.any(|relation| set_off.by_writing.contains(&relation.oid))
            || filled.any(|relation| set_off.by_writing.contains(&relation.oid))
            || read.any(|relation| set_off.by_reading.contains(&relation.oid))
            || writes_unnamed && !set_off.by_writing.is_empty()
            // What it is given goes where nobody sees.
            || called.fills_unnamed && !self.passed(analysis, reads).is_empty()
    }
}
