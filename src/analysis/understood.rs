//! What statements touched, kept for the next ones like them.
//!
//! In: an analysis, the session's context, the result's columns. Out: what the catalog makes of the three, shared, together
//! with the lists that a record has of it. What is kept holds as long as the catalog is the same.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use crate::catalog::{Catalog, Context, Understanding};
use crate::policy::{Concerned, Engine};
use crate::record::{Column, Parse, Proof, Statement, Text, Texts};
use crate::session::event::{Ended, Origin};
use crate::sql::Analysis;
use crate::sql::literals::are_values;

/// So many are kept. When it is full it begins anew.
const KEPT_MAX: usize = 8_192;

/// One kind of statement's.
pub(super) struct Understood {
    pub(super) understanding: Understanding,
    /// Read or written.
    pub(super) relations: Texts,
    /// Classified, and returned.
    pub(super) columns: Texts,
    pub(super) functions: Texts,
    /// Made or filled from classified ones.
    pub(super) derived: Texts,
    /// Roles that the login is a member of.
    pub(super) member_of: Option<Texts>,
    /// Whether its constants say what it looked up or wrote.
    pub(super) are_values: bool,
    /// The policies that its executions can concern, once it has been executed.
    concerned: OnceLock<Concerned>,
}

/// The columns of a record that are the same for all executions in one context.
const SETTLED: [&str; 13] = [
    "db_user",
    "role",
    "kind",
    "query",
    "fingerprint",
    "parse",
    "catalog",
    "relations",
    "columns",
    "level",
    "functions",
    "derived",
    "member_of",
];
/// Those that are, too, where it returns nobody's data.
const SETTLED_IF_IMPERSONAL: [&str; 2] = ["persons", "personal_rows"];

impl Understood {
    /// The policies that its executions can concern, of which `record` is one that has ended.
    pub(super) fn concerned(&self, engine: &Engine, record: &Statement) -> &Concerned {
        let impersonal = !self.understanding.personal;
        // A signature is good for a time; what is said of other comments stays.
        let unsigned = !matches!(record.context, Some(Proof::Signed | Proof::Stale));
        let settled = |column: &Column<Statement>| {
            SETTLED.contains(&column.name)
                || (impersonal && SETTLED_IF_IMPERSONAL.contains(&column.name))
                || (unsigned && column.name == "context")
        };
        self.concerned.get_or_init(|| engine.concerned(record, &settled))
    }

    /// The baits that an execution returned.
    pub(super) fn baits(&self, catalog: &Catalog, database: &str, meant: &Analysis, ended: &Ended) -> Texts {
        let relations = (meant.parse != Parse::None).then_some(&self.relations[..]);
        catalog.baits_of(database, meant.kind, relations, &ended.baits)
    }

    pub(super) fn new(understanding: Understanding, analysis: &Analysis, member_of: Option<Texts>) -> Understood {
        let mut relations: Vec<Text> =
            understanding.relations_read.iter().chain(&understanding.relations_written).cloned().collect();
        relations.sort_unstable();
        relations.dedup();
        Understood {
            relations: relations.into(),
            columns: understanding.columns.iter().cloned().collect(),
            functions: analysis.functions.iter().cloned().collect(),
            derived: understanding.consequences.derived().into(),
            member_of,
            are_values: are_values(analysis),
            concerned: OnceLock::new(),
            understanding,
        }
    }
}

/// See the module.
#[derive(Default)]
pub(super) struct Cache {
    /// The catalog's, when what is kept was found.
    version: u64,
    /// How often everything was forgotten.
    epoch: u64,
    kept: HashMap<Key, Kept, ahash::RandomState>,
}

#[derive(PartialEq, Eq, Hash)]
struct Key {
    /// Its address, which [`Kept`] keeps from being used again.
    analysis: usize,
    columns: Option<Arc<[Origin]>>,
    context: Arc<Context>,
}

struct Kept {
    understood: Arc<Understood>,
    _analysis: Arc<Analysis>,
}

/// What a session's last statements touched: the same statement again needs no look at its texts.
#[derive(Default)]
pub(super) struct Recent {
    /// [`Cache::epoch`], when what is here was found.
    epoch: u64,
    context: Arc<Context>,
    /// The latest last.
    found: Vec<Found>,
}

/// So many are remembered, a session.
const RECENT_MAX: usize = 8;

struct Found {
    analysis: Arc<Analysis>,
    columns: Option<Arc<[Origin]>>,
    understood: Arc<Understood>,
}

impl Found {
    /// By where they lie, which is the same only for the same.
    fn is_of(&self, analysis: &Arc<Analysis>, columns: Option<&Arc<[Origin]>>) -> bool {
        let same_columns = match (&self.columns, columns) {
            (Some(ours), Some(theirs)) => Arc::ptr_eq(ours, theirs),
            (ours, theirs) => ours.is_none() && theirs.is_none(),
        };
        same_columns && Arc::ptr_eq(&self.analysis, analysis)
    }
}

impl Cache {
    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.kept.clear();
        self.epoch += 1;
    }

    /// What a statement touched, of a session whose last ones touched `recent`.
    pub(super) fn understand(
        &mut self,
        catalog: &Catalog,
        recent: &mut Recent,
        analysis: &Arc<Analysis>,
        context: Arc<Context>,
        columns: Option<&Arc<[Origin]>>,
    ) -> Arc<Understood> {
        // Before the catalog is asked: what changes in between is taken for newer than what is found.
        let version = catalog.version();
        if version != self.version || self.kept.len() >= KEPT_MAX {
            self.clear();
            self.version = version;
        }
        let is_same = || Arc::ptr_eq(&recent.context, &context) || recent.context == context;
        if recent.epoch != self.epoch || !is_same() {
            *recent = Recent { epoch: self.epoch, context: Arc::clone(&context), found: Vec::new() };
        } else if let Some(found) = recent.found.iter().find(|found| found.is_of(analysis, columns)) {
            return Arc::clone(&found.understood);
        }
        let understood = self.look_up(catalog, analysis, context, columns);
        if recent.found.len() >= RECENT_MAX {
            recent.found.remove(0);
        }
        let (analysis, columns) = (Arc::clone(analysis), columns.cloned());
        recent.found.push(Found { analysis, columns, understood: Arc::clone(&understood) });
        understood
    }

    fn look_up(
        &mut self,
        catalog: &Catalog,
        analysis: &Arc<Analysis>,
        context: Arc<Context>,
        columns: Option<&Arc<[Origin]>>,
    ) -> Arc<Understood> {
        let key = Key { analysis: Arc::as_ptr(analysis).addr(), columns: columns.cloned(), context };
        if let Some(kept) = self.kept.get(&key) {
            return Arc::clone(&kept.understood);
        }
        let understanding = catalog.understand(analysis, &key.context, columns.map(|columns| &columns[..]));
        let member_of = catalog.member_of(&key.context.database, &key.context.login);
        let understood = Arc::new(Understood::new(understanding, analysis, member_of));
        self.kept.insert(key, Kept { understood: Arc::clone(&understood), _analysis: Arc::clone(analysis) });
        understood
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Classification;
    use crate::sql::analyze;

    #[test]
    fn the_same_is_found_once_and_anew_when_the_catalog_changes() {
        let catalog = Catalog::new(Classification::built_in());
        let (mut cache, mut one, mut two) = (Cache::default(), Recent::default(), Recent::default());
        let analysis = Arc::new(analyze("select email from shop.customers").remove(0));
        let context = |role: &str| Arc::new(Context { role: role.into(), ..Context::default() });
        let columns: Arc<[Origin]> = [].into();
        let first = cache.understand(&catalog, &mut one, &analysis, context("a"), None);
        for recent in [&mut one, &mut two] {
            for _ in 0..2 {
                assert!(Arc::ptr_eq(&first, &cache.understand(&catalog, recent, &analysis, context("a"), None)));
                assert!(!Arc::ptr_eq(&first, &cache.understand(&catalog, recent, &analysis, context("b"), None)));
                let described = cache.understand(&catalog, recent, &analysis, context("a"), Some(&columns));
                assert!(!Arc::ptr_eq(&first, &described));
            }
        }
        catalog.set_classification(Classification::built_in());
        assert!(!Arc::ptr_eq(&first, &cache.understand(&catalog, &mut one, &analysis, context("a"), None)));
    }

    #[test]
    fn what_is_remembered_of_a_session_is_bounded_and_cleared_with_the_rest() {
        let catalog = Catalog::new(Classification::built_in());
        let (mut cache, mut recent) = (Cache::default(), Recent::default());
        let analyses: Vec<_> =
            (0..2 * RECENT_MAX).map(|n| Arc::new(analyze(&format!("select {n}")).remove(0))).collect();
        for analysis in analyses.iter().chain(&analyses) {
            let found = cache.understand(&catalog, &mut recent, analysis, Arc::default(), None);
            assert!(Arc::ptr_eq(&found, &cache.understand(&catalog, &mut recent, analysis, Arc::default(), None)));
            assert!(recent.found.len() <= RECENT_MAX);
        }
        let before = cache.understand(&catalog, &mut recent, &analyses[0], Arc::default(), None);
        cache.clear();
        let after = cache.understand(&catalog, &mut recent, &analyses[0], Arc::default(), None);
        assert!(!Arc::ptr_eq(&before, &after));
    }
}
