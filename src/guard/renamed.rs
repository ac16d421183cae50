//! What names meant before this session changed them.
//!
//! In: the changes of the schema that were let go, `ALTER TABLE … RENAME` and `SET SCHEMA`; a statement's analysis. Out: the same statement under the
//! names of before. The catalog learns of a change when it is committed, and a statement that comes in the same transaction, or in the same
//! Query, is judged sooner. The change may fail, and then the name means what it says, which is judged as well. Once the transaction is over and the
//! catalog has been read since, names mean what it says, and nothing else.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::analysis::parsers::unknown;
use crate::catalog::Catalog;
use crate::record::{Kind, Text};
use crate::sql::{Analysis, ColumnRef, Fate, Output, RelationName};

/// Names that are remembered, of relations and of columns; of one more, nothing is known any longer.
const NAMES_MAX: usize = 1_024;
/// What one name may have been before.
const BEFORE_MAX: usize = 8;

/// See the module.
#[derive(Default)]
pub struct Renamed {
    /// By the new name without its schema.
    relations: BTreeMap<Text, Vec<Before>>,
    /// By the new name, of whatever relation.
    columns: BTreeMap<Text, Vec<Text>>,
    full: bool,
    /// Readings of the catalog that had begun when no transaction was open any longer.
    readings: Option<u64>,
}

#[derive(Clone, PartialEq)]
struct Before {
    /// The schema of the new name, as it was written.
    schema: Option<Text>,
    old: RelationName,
}

impl Renamed {
    /// A statement that goes on.
    pub fn went_on(&mut self, analysis: &Analysis) {
        let alters = |flow: &&crate::sql::Flow| flow.fate == Fate::Filled && !flow.inserts;
        for flow in analysis.flows.iter().filter(|_| analysis.kind == Kind::Ddl).filter(alters) {
            let Some([(name, refs)]) = flow.columns.as_deref() else { continue };
            let [ColumnRef { relation: Some(relation), column, plain: true, .. }] = &refs[..] else { continue };
            self.readings = None;
            match (name, column) {
                (Some(new), Some(old)) => {
                    let before = self.columns.get(old).cloned().unwrap_or_default();
                    self.full |= !remember(&mut self.columns, new, before.into_iter().chain([old.clone()]));
                }
                (None, None) => {
                    let before = |old| Before { schema: flow.into.schema.clone(), old };
                    let of_old = self.olds(relation).into_iter().chain([relation.clone()]).map(before);
                    self.full |= !remember(&mut self.relations, &flow.into.name, of_old.collect::<Vec<_>>());
                }
                _ => {}
            }
        }
    }

    /// No transaction is open in the session: has the catalog read once more, and forgets all when it has been.
    pub fn settled(&mut self, catalog: &Catalog, database: &str) {
        if !self.full && self.relations.is_empty() && self.columns.is_empty() {
            return;
        }
        match self.readings {
            None => self.readings = Some(catalog.read_again(database)),
            Some(readings) if catalog.was_read_since(database, readings) => *self = Renamed::default(),
            Some(_) => {}
        }
    }

    /// What a statement means under the names of before; nothing where it has none that was changed.
    pub fn meanings(&self, analysis: &Arc<Analysis>) -> Vec<Arc<Analysis>> {
        if self.full {
            return vec![unknown()];
        }
        if self.relations.is_empty() && self.columns.is_empty() {
            return Vec::new();
        }
        let meanings = (0..BEFORE_MAX).map_while(|number| {
            let before = self.before(analysis, number);
            (before != **analysis).then(|| Arc::new(before))
        });
        meanings.collect()
    }

    /// With the name of so long ago for each that has one.
    fn before(&self, analysis: &Analysis, number: usize) -> Analysis {
        let mut before = analysis.clone();
        let rename = |name: &mut RelationName| {
            if let Some(old) = self.olds(name).into_iter().nth(number) {
                *name = old;
            }
        };
        before.reads.iter_mut().chain(&mut before.writes).for_each(rename);
        before.code.iter_mut().flat_map(|code| code.relations.iter_mut().chain(&mut code.writes)).for_each(rename);
        let refs = match &mut before.output {
            Output::Columns(refs) => &mut refs[..],
            _ => &mut [],
        };
        for column in refs {
            let sought = column.sought.as_deref_mut();
            let names = sought.map(|sought| {
                sought.before.iter_mut().for_each(rename);
                &mut sought.name
            });
            column.relation.iter_mut().for_each(rename);
            for name in column.column.iter_mut().chain(names) {
                if let Some(old) = self.columns.get(name).and_then(|olds| olds.get(number)) {
                    *name = old.clone();
                }
            }
        }
        before
    }

    /// What a name may have been, the first one first.
    fn olds(&self, name: &RelationName) -> Vec<RelationName> {
        let may_be = |one: &Option<Text>, other: &Option<Text>| one.is_none() || other.is_none() || one == other;
        let all = self.relations.get(&name.name).into_iter().flatten();
        let its = all.filter(|before| may_be(&before.schema, &name.schema));
        its.map(|Before { schema, old }| {
            // Under another name, a relation is where it was.
            let stays = *schema == old.schema && old.schema.is_none();
            RelationName { schema: old.schema.clone().or_else(|| name.schema.clone().filter(|_| stays)), ..old.clone() }
        })
        .collect()
    }
}

/// False where that is one too many.
fn remember<T: PartialEq>(names: &mut BTreeMap<Text, Vec<T>>, new: &Text, before: impl IntoIterator<Item = T>) -> bool {
    if names.len() >= NAMES_MAX && !names.contains_key(new) {
        return false;
    }
    let known = names.entry(new.clone()).or_default();
    for one in before {
        if known.contains(&one) {
            continue;
        }
        if known.len() >= BEFORE_MAX {
            return false;
        }
        known.push(one);
    }
    true
}
