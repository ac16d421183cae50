//! What a relation's own code puts into its columns: defaults and generated columns that call the users' functions, and triggers that
//! assign to the row.
//!
//! In: rows of the catalog, and a snapshot that knows what functions show. Out: classified columns by the column that may hold them. PURE.
//! What a trigger assigns may be of anything classified that its function names; one that puts its statements together is not followed.

use std::collections::{BTreeMap, BTreeSet};

use super::bodies::Bodies;
use super::built_in::reads_anything;
use super::functions::Shown;
use super::snapshot::{Classified, Oid, Rows, Snapshot};

/// By relation and attribute number.
pub(super) type Computed = BTreeMap<(Oid, i16), Put>;

/// What may be in a column.
#[derive(Clone, Debug, Default)]
pub(super) struct Put {
    pub(super) columns: BTreeSet<Classified>,
    /// Whether more is among it than is there, perhaps.
    pub(super) is_guessed: bool,
    /// Whether many rows' values may stand in one of its own.
    pub(super) is_collected: bool,
}

impl Put {
    /// True where there is more by it.
    pub(super) fn takes(&mut self, more: Put) -> bool {
        let Put { columns, is_guessed, is_collected } = more;
        let adds = is_guessed && !self.is_guessed || is_collected && !self.is_collected;
        self.is_guessed |= is_guessed;
        self.is_collected |= is_collected;
        let before = self.columns.len();
        self.columns.extend(columns);
        adds || self.columns.len() > before
    }
}

impl Snapshot {
    /// See the module.
    pub(super) fn computed<'a>(&self, rows: &'a Rows, bodies: &Bodies<'a>) -> Computed {
        let mut computed = Computed::new();
        let mut put = |oid: Oid, number: i16, put: Put| _ = computed.entry((oid, number)).or_default().takes(put);
        for (oid, number, function) in &rows.computed {
            if reads_anything(function) {
                let columns = self.everything().iter().cloned().collect();
                put(*oid, *number, Put { columns, is_guessed: true, is_collected: true });
            } else if let Some(shown) =
                self.function(function).filter(|shown| !shown.keeps && !shown.columns.is_empty())
            {
                let columns = shown.columns.clone();
                put(*oid, *number, Put { columns, is_guessed: shown.assumed, is_collected: shown.collects });
            }
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
                    let columns = shown.iter().cloned().collect();
                    put(*oid, *into, Put { columns, is_guessed: true, is_collected: false });
                }
            }
            let Shown { mut columns, collects, .. } = self.code(&code);
            columns.retain(|column| !relation.classified.values().flatten().any(|own| own == column));
            if columns.is_empty() {
                continue;
            }
            for (name, number) in relation.columns.iter() {
                if code.assigns.iter().any(|assigned| assigned.as_ref().is_none_or(|assigned| assigned == name)) {
                    put(*oid, *number, Put { columns: columns.clone(), is_guessed: true, is_collected: collects });
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
