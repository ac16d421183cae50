//! Where what is written goes on to, by code that nobody names: triggers, rules, and functions behind defaults, constraints and indexes.
//!
//! In: rows of the catalog, and a snapshot that knows what functions show. Out: by each column of a relation, the classified columns that such code may
//! copy there: into which of them is not followed. PURE. Whatever set it off: the code is there, and so are the rows.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::bodies::Bodies;
use super::classification::Classification;
use super::computed::{Computed, Put};
use super::functions::Shown;
use super::lineage::Lineage;
use super::snapshot::{Classified, Oid, Relation, Rows, Snapshot};
use crate::record::Text;
use crate::sql::Code;

impl Snapshot {
    /// See the module.
    pub(super) fn copied<'a>(
        &self,
        rows: &'a Rows,
        bodies: &Bodies<'a>,
        lineage: &Lineage,
        classification: &Classification,
    ) -> Computed {
        let mut copied: HashMap<Oid, Put> = HashMap::new();
        let mut put = |into: Oid, columns: BTreeSet<Classified>, is_collected: bool| {
            if !columns.is_empty() {
                copied.entry(into).or_default().takes(Put { columns, is_guessed: true, is_collected });
            }
        };
        // One function is the trigger of many tables, as a rule.
        let mut followed: HashMap<&str, (Arc<Code>, Shown)> = HashMap::new();
        for (oid, code) in rows.triggers.iter().filter(|(_, code)| writes(code)) {
            let (code, shown) = followed.entry(code).or_insert_with(|| {
                let code = bodies.code(code);
                let shown = self.code(&code);
                (code, shown)
            });
            let from = self.relation(*oid);
            let mut own = from.map(|from| from.shows(None)).unwrap_or_default();
            // What was put into a view, its own trigger has.
            let held = from.and_then(|from| lineage.of(&from.parts.0, &from.parts.1));
            let held = held.map(|holds| holds.shows(None, classification).0).unwrap_or_default();
            own.extend(held.iter().cloned());
            for (into, with) in &shown.fills {
                let Some(into) = self.named(&into.0, &into.1).filter(|into| into.oid != *oid) else { continue };
                let is_whole = code.takes_rows || code.dynamic;
                let given = own.iter().filter(|own| is_whole || held.contains(own) || is_named(code, from, own));
                put(into.oid, with.iter().chain(given).cloned().collect(), shown.collects);
            }
        }
        let computed = rows.computed.iter().map(|(_, _, function)| function);
        let unnamed: HashSet<&Text> = rows.unnamed.iter().map(|(_, function, _)| function).chain(computed).collect();
        for shown in unnamed.into_iter().filter_map(|name| self.function(name)) {
            for (into, with) in &shown.fills {
                if let Some(into) = self.named(&into.0, &into.1) {
                    put(into.oid, with.clone(), shown.collects);
                }
            }
        }
        let columns = |oid: Oid| self.relation(oid).into_iter().flat_map(|relation| relation.columns.iter());
        let anywhere = |(oid, put): (Oid, Put)| columns(oid).map(move |(_, number)| ((oid, *number), put.clone()));
        copied.into_iter().flat_map(anywhere).collect()
    }
}

/// Whether a text may write at all: most triggers need no reading.
pub(super) fn writes(code: &str) -> bool {
    let says = |word: &str| code.as_bytes().windows(word.len()).any(|part| part.eq_ignore_ascii_case(word.as_bytes()));
    says("into") || says("update") || says("execute") || says("perform") || says("call")
}

/// Whether a classified column of the relation that sets code off is named there.
fn is_named(code: &Code, from: Option<&Relation>, own: &Classified) -> bool {
    let is_of =
        |number: &i16| from.and_then(|from| from.classified.get(number)).is_some_and(|shown| shown.contains(own));
    let columns = from.into_iter().flat_map(|from| from.columns.iter());
    let mut named = columns.filter(|(column, _)| code.relations.iter().any(|name| name.name == **column));
    named.any(|(_, number)| is_of(number))
}
