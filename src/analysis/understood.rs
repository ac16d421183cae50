//! What statements touched, kept for the next ones like them.
//!
//! In: an analysis, the session's context, the result's columns. Out: what the catalog makes of the three, shared, together
//! with the lists that a record has of it. What is kept holds as long as the catalog is the same.

use std::collections::HashMap;
use std::sync::Arc;

use crate::catalog::{Catalog, Context, Understanding};
use crate::record::{Text, Texts};
use crate::session::event::Origin;
use crate::sql::Analysis;

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
}

impl Understood {
    fn new(understanding: Understanding, analysis: &Analysis) -> Understood {
        let mut relations: Vec<Text> =
            understanding.relations_read.iter().chain(&understanding.relations_written).cloned().collect();
        relations.sort_unstable();
        relations.dedup();
        Understood {
            relations: relations.into(),
            columns: understanding.columns.iter().cloned().collect(),
            functions: analysis.functions.iter().cloned().collect(),
            understanding,
        }
    }
}

/// See the module.
#[derive(Default)]
pub(super) struct Cache {
    /// The catalog's, when what is kept was found.
    version: u64,
    kept: HashMap<Key, Kept>,
}

#[derive(PartialEq, Eq, Hash)]
struct Key {
    /// Its address, which [`Kept`] keeps from being used again.
    analysis: usize,
    columns: Option<Arc<[Origin]>>,
    context: Context,
}

struct Kept {
    understood: Arc<Understood>,
    _analysis: Arc<Analysis>,
}

impl Cache {
    /// What a statement touched.
    pub(super) fn understand(
        &mut self,
        catalog: &Catalog,
        analysis: &Arc<Analysis>,
        context: Context,
        columns: Option<&Arc<[Origin]>>,
    ) -> Arc<Understood> {
        // Before the catalog is asked: what changes in between is taken for newer than what is found.
        let version = catalog.version();
        if version != self.version || self.kept.len() >= KEPT_MAX {
            self.kept.clear();
            self.version = version;
        }
        let key = Key { analysis: Arc::as_ptr(analysis).addr(), columns: columns.cloned(), context };
        if let Some(kept) = self.kept.get(&key) {
            return Arc::clone(&kept.understood);
        }
        let understanding = catalog.understand(analysis, &key.context, columns.map(|columns| &columns[..]));
        let understood = Arc::new(Understood::new(understanding, analysis));
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
        let mut cache = Cache::default();
        let analysis = Arc::new(analyze("select email from shop.customers").remove(0));
        let context = |role: &str| Context { role: role.into(), ..Context::default() };
        let first = cache.understand(&catalog, &analysis, context("a"), None);
        assert!(Arc::ptr_eq(&first, &cache.understand(&catalog, &analysis, context("a"), None)));
        assert!(!Arc::ptr_eq(&first, &cache.understand(&catalog, &analysis, context("b"), None)));
        let columns: Arc<[Origin]> = [].into();
        assert!(!Arc::ptr_eq(&first, &cache.understand(&catalog, &analysis, context("a"), Some(&columns))));
        catalog.set_classification(Classification::built_in());
        assert!(!Arc::ptr_eq(&first, &cache.understand(&catalog, &analysis, context("a"), None)));
    }
}
