//! What a relation's own code puts into its columns: defaults and generated columns that call the users' functions, and triggers that
//! assign to the row.
//!
//! In: rows of the catalog, and a snapshot that knows what functions show. Out: classified columns by the column that may hold them. PURE.
//! What a trigger assigns may be of anything classified that its function names; one that puts its statements together is not followed.

use std::collections::{BTreeMap, BTreeSet};

use super::bodies::Bodies;
use super::snapshot::{Classified, Oid, Rows, Snapshot};

/// By relation and attribute number: what may be there, and whether more is among it than is there, perhaps.
pub(super) type Computed = BTreeMap<(Oid, i16), (BTreeSet<Classified>, bool)>;

impl Snapshot {
    /// See the module.
    pub(super) fn computed<'a>(&self, rows: &'a Rows, bodies: &Bodies<'a>) -> Computed {
        let mut computed = Computed::new();
        for (oid, number, function) in &rows.computed {
            let Some(shown) = self.function(function).filter(|shown| !shown.columns.is_empty()) else { continue };
            let (columns, guessed) = computed.entry((*oid, *number)).or_default();
            columns.extend(shown.columns.iter().cloned());
            *guessed |= shown.assumed;
        }
        for (oid, code) in &rows.triggers {
            if !names_the_row(code) {
                continue;
            }
            let code = bodies.code(code);
            let Some(relation) = self.relation(*oid).filter(|_| !code.assigns.is_empty()) else { continue };
            for (into, from) in &code.copies {
                let shown = relation.columns.get(from).and_then(|number| relation.classified.get(number));
                if let (Some(shown), Some(into)) = (shown, relation.columns.get(into)) {
                    let (present, guessed) = computed.entry((*oid, *into)).or_default();
                    present.extend(shown.iter().cloned());
                    *guessed = true;
                }
            }
            let mut columns = self.code(&code).columns;
            columns.retain(|column| !relation.classified.values().flatten().any(|own| own == column));
            if columns.is_empty() {
                continue;
            }
            for (name, number) in relation.columns.iter() {
                if code.assigns.iter().any(|assigned| assigned.as_ref().is_none_or(|assigned| assigned == name)) {
                    let (present, guessed) = computed.entry((*oid, *number)).or_default();
                    present.extend(columns.iter().cloned());
                    *guessed = true;
                }
            }
        }
        computed
    }
}

/// Whether a text may assign to `new`: most triggers need no reading.
fn names_the_row(code: &str) -> bool {
    code.as_bytes().windows(3).any(|word| word.eq_ignore_ascii_case(b"new"))
}
