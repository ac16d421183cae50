//! Which policies can concern statements that are alike, kept for the next of them.
//!
//! In: statements of the past, which have all their columns. Out: what [`Engine::concerned`] says of each, asked once for those that are the same in
//! the columns that decide it. Bounded: with more than [`KEPT_MAX`] it begins anew.

use std::collections::HashMap;

use super::{Concerned, Engine};
use crate::policy::key::Key;
use crate::record::{Column, Statement, Table};

/// Kinds of statements that are kept.
const KEPT_MAX: usize = 16_384;
/// The columns that are the same in all executions of one statement.
const SETTLED: [&str; 9] =
    ["kind", "query", "parse", "catalog", "relations", "columns", "level", "functions", "derived"];

/// See the module.
#[derive(Default)]
pub struct Alike {
    settled: Vec<&'static Column<Statement>>,
    kept: HashMap<Key, Concerned, ahash::RandomState>,
}

impl Alike {
    pub(super) fn concerned(&mut self, engine: &Engine, statement: &Statement) -> Concerned {
        if self.settled.is_empty() {
            self.settled = SETTLED.iter().filter_map(|name| Statement::column(name)).collect();
        }
        let key = Key::of(statement, &self.settled);
        if let Some(known) = self.kept.get(&key).filter(|known| known.replaced == engine.replaced) {
            return known.clone();
        }
        if self.kept.len() >= KEPT_MAX {
            self.kept.clear();
        }
        let concerned = engine.concerned(statement, &|column| SETTLED.contains(&column.name));
        self.kept.insert(key, concerned.clone());
        concerned
    }
}
