//! What the guard remembers of a session: what may be in force when the next statement runs.
//!
//! In: analyses of statements that were let go, in their order. Out: what names may mean. The client sends ahead of the server's
//! answers, and a statement may fail or be rolled back: so nothing is ever taken back. Whatever a SET, PREPARE or DECLARE of
//! this session may have left in force counts. Every map has a limit; beyond it, a name may mean anything.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use crate::analysis::held::Held;
use crate::analysis::identity::{Accepted, Source, end_user};
use crate::analysis::parsers::unknown;
use crate::catalog::{Catalog, Consequences, Context, Own};
use crate::clock::Timestamp;
use crate::record::{Proof, Text};
use crate::session::event::Who;
use crate::sql::seal::Seal;
use crate::sql::{self, Analysis, Effect};

use super::draft::Draft;
use super::renamed::Renamed;

/// Prepared statements and cursors remembered, each, per session.
const NAMES_MAX: usize = 1_024;
/// Statements that one name may have stood for.
const MEANINGS_MAX: usize = 8;
/// Search paths that one session may have set.
const PATHS_MAX: usize = 16;
/// Statements under way whose results are watched.
const WATCHED_MAX: usize = 4_096;

/// See the module.
#[derive(Default)]
pub struct Books {
    /// The first statement that was asked about.
    first_no: Option<u64>,
    /// As SET gave them.
    paths: Vec<Vec<Text>>,
    /// Something may have set another search path.
    any_path: bool,
    /// Something may have set another role.
    any_role: bool,
    /// Something may have set what names the end user.
    any_setting: bool,
    /// Signed texts that came in time.
    accepted: Accepted,
    prepared: Names,
    cursors: Names,
    /// What cursors that outlive their transaction may have shown when they were declared.
    held: HashMap<Text, Vec<Arc<Held>>>,
    /// What the session has filled, by the statements that were let go; never less.
    own: Arc<Own>,
    renamed: Renamed,
    /// Statements under way whose results may be cut, by number.
    watched: BTreeMap<u64, Arc<Vec<Draft>>>,
    /// Statements up to this one may have been forgotten.
    forgotten: u64,
    /// The result that was looked at last, as it was understood with its columns.
    looked_at: Option<(Watched, Arc<Vec<Draft>>)>,
}

/// A result: of which statement, of which part of it, with how many columns.
pub type Watched = (u64, u32, usize);

/// What names may stand for.
#[derive(Default)]
struct Names {
    known: HashMap<Text, Vec<Arc<Analysis>>>,
    full: bool,
}

impl Names {
    fn remember(&mut self, name: Text, analysis: Arc<Analysis>) {
        if self.known.len() >= NAMES_MAX && !self.known.contains_key(&name) {
            self.full = true;
            return;
        }
        let meanings = self.known.entry(name).or_default();
        if meanings.contains(&analysis) {
            return;
        }
        match meanings.len() < MEANINGS_MAX {
            true => meanings.push(analysis),
            false => *meanings = vec![unknown()],
        }
    }

    /// A name may mean anything from now on.
    fn full(&mut self, name: &Text) {
        self.known.remove(name);
        self.full = true;
    }

    fn meanings(&self, name: &str) -> Vec<Arc<Analysis>> {
        match self.known.get(name) {
            Some(meanings) => meanings.clone(),
            None => vec![unknown()],
        }
    }
}

impl Books {
    /// A question about a statement of this number. `own_settings`: the client set something when it connected.
    pub fn asked(&mut self, statement_no: u64, own_settings: bool) {
        let first = *self.first_no.get_or_insert(statement_no);
        if own_settings || first > 1 {
            (self.any_path, self.any_role, self.any_setting) = (true, true, true);
        }
    }

    /// No transaction of the session is open. What a cursor is over that outlives its transaction goes by the names of then.
    pub fn settled(&mut self, catalog: &Catalog, database: &str) {
        if self.cursors.known.is_empty() {
            self.renamed.settled(catalog, database);
        }
    }

    /// The analyses whose relations and columns may count for `analysis`: of what it executes, and under the names of before.
    pub fn meanings(&self, analysis: &Arc<Analysis>) -> Vec<Arc<Analysis>> {
        let mut meanings = self.executed(analysis);
        let before: Vec<_> = meanings.iter().flat_map(|meant| self.renamed.meanings(meant)).collect();
        meanings.extend(before);
        meanings
    }

    fn executed(&self, analysis: &Arc<Analysis>) -> Vec<Arc<Analysis>> {
        let named = analysis.effects.iter().find_map(|effect| match effect {
            Effect::Execute { name } => Some(self.prepared.meanings(name)),
            Effect::Fetch { name } => Some(self.cursors.meanings(name)),
            _ => None,
        });
        let Some(mut meanings) = named else { return vec![Arc::clone(analysis)] };
        if self.first_no.is_some_and(|first| first > 1) {
            meanings.push(unknown());
        }
        meanings
    }

    /// The protocol prepared a statement under a name: SQL may execute it.
    pub fn prepared(&mut self, name: &str, analysis: &Arc<Analysis>) {
        self.prepared.remember(name.into(), Arc::clone(analysis));
    }

    /// A statement that goes on, or went before another in one Query. `opaque`: something runs that its text does not show.
    pub fn went_on(&mut self, analysis: &Analysis, opaque: bool) {
        if opaque || analysis.functions.iter().any(|name| name.ends_with("set_config")) {
            (self.any_path, self.any_role, self.any_setting) = (true, true, true);
        }
        self.renamed.went_on(analysis);
        // Another function, operator or cast of a name that the catalog knows, perhaps.
        if analysis.writes.is_empty() && analysis.effects.contains(&Effect::SchemaChanged) {
            let names = sql::shifted(&analysis.query);
            if !names.is_empty() {
                Arc::make_mut(&mut self.own).shift(&names);
            }
        }
        for effect in &analysis.effects {
            match effect {
                Effect::Set { name, value: Some(value), .. } if **name == *"search_path" => self.set_path(value),
                Effect::Set { name, .. } if name.contains('.') => self.any_setting = true,
                Effect::Role { .. } => self.any_role = true,
                Effect::Prepare { name, inner } => {
                    self.prepared.remember(name.clone(), Arc::new(Analysis::clone(inner)));
                }
                Effect::Declare { name, inner, .. } => {
                    self.cursors.remember(name.clone(), Arc::new(Analysis::clone(inner)));
                }
                _ => {}
            }
        }
    }

    /// What a cursor shows that is declared WITH HOLD, however its name is used later on.
    pub fn hold(&mut self, analysis: &Analysis, catalog: &Catalog, who: &Who) {
        for effect in &analysis.effects {
            let Effect::Declare { name, inner, holds: true } = effect else { continue };
            for context in self.contexts(inner, catalog, who) {
                let new = Arc::new(Held::of(catalog, inner, &context));
                if self.held.len() >= NAMES_MAX && !self.held.contains_key(name) {
                    self.cursors.full(name);
                    break;
                }
                let all = self.held.entry(name.clone()).or_default();
                all.retain(|held| !held.is_like(&new));
                match all.first() {
                    Some(first) if all.len() >= MEANINGS_MAX => all[0] = Arc::new(first.or(catalog, &new)),
                    _ => all.push(new),
                }
            }
        }
    }

    /// What a FETCH may return besides, of a cursor that was declared when the catalog was another.
    pub fn held(&self, analysis: &Analysis) -> Vec<Arc<Held>> {
        let held = analysis.effects.iter().find_map(|effect| match effect {
            Effect::Fetch { name } => self.held.get(name),
            _ => None,
        });
        held.cloned().unwrap_or_default()
    }

    fn set_path(&mut self, value: &str) {
        let path: Vec<Text> = value.split(',').map(|schema| Text::from(schema.trim().trim_matches('"'))).collect();
        if self.paths.contains(&path) {
            return;
        }
        match self.paths.len() < PATHS_MAX {
            true => self.paths.push(path),
            false => self.any_path = true,
        }
    }

    /// Whether the role in force may be another than the authenticated one.
    pub fn any_role(&self) -> bool {
        self.any_role
    }

    /// What a statement's comment is worth.
    pub fn proof(&mut self, seal: Seal, at: Timestamp, window: Duration) -> Option<Proof> {
        self.accepted.proof(seal, at, window)
    }

    /// Who is behind the role; `None` where it is not certain.
    pub fn end_user(
        &self,
        sources: &[Source],
        analysis: &Analysis,
        proof: Option<Proof>,
        who: &Who,
    ) -> Option<Option<Text>> {
        let by_setting = |source: &Source| matches!(source, Source::Setting(_));
        match self.any_setting && sources.iter().any(by_setting) {
            true => None,
            false => {
                let application_name = who.application_name.as_deref().map(Text::from);
                let certificate = who.certificate.as_ref();
                Some(end_user(sources, analysis, proof, &HashMap::new(), application_name.as_ref(), certificate))
            }
        }
    }

    /// What a statement that goes on leaves to the session, if it succeeds.
    pub fn leaves(&mut self, catalog: &Catalog, follows: &Consequences) {
        catalog.learn_ahead(&mut self.own, follows);
        if follows.changes_schema && !self.own.is_suspected {
            Arc::make_mut(&mut self.own).is_suspected = true;
        }
        if self.own.path_unknown {
            // Where the path may lead is in `any_path`.
            Arc::make_mut(&mut self.own).path_unknown = false;
        }
    }

    /// The contexts in which a statement's names may have to be understood: one, unless a name without its schema may mean several
    /// relations, or a temporary one that the session may have made.
    pub fn contexts(&self, analysis: &Analysis, catalog: &Catalog, who: &Who) -> Vec<Context> {
        let mut contexts = self.contexts_without_own(analysis, catalog, who);
        if !self.own.is_empty() {
            let with_own = |context: &Context| Context { own: Arc::clone(&self.own), ..context.clone() };
            let more: Vec<Context> = contexts.iter().map(with_own).collect();
            contexts.extend(more);
        }
        contexts
    }

    fn contexts_without_own(&self, analysis: &Analysis, catalog: &Catalog, who: &Who) -> Vec<Context> {
        let database: Text = who.database.as_deref().unwrap_or_default().into();
        let role: Text = who.db_user.as_deref().unwrap_or_default().into();
        let context = |search_path| Context {
            database: database.clone(),
            role: role.clone(),
            login: role.clone(),
            search_path,
            own: Arc::default(),
        };
        let mut contexts = vec![context(None)];
        let bare: Vec<&Text> = analysis
            .reads
            .iter()
            .chain(&analysis.writes)
            .filter(|name| name.schema.is_none())
            .map(|name| &name.name)
            .collect();
        if bare.is_empty() {
            return contexts;
        }
        contexts.extend(self.paths.iter().map(|path| context(Some(path.clone()))));
        let mut schemas: Vec<Text> = bare
            .iter()
            .flat_map(|name| catalog.other_schemas_with(&database, name, &self.paths, self.any_path || self.any_role))
            .collect();
        schemas.sort_unstable();
        schemas.dedup();
        contexts.extend(schemas.into_iter().map(|schema| context(Some(vec![schema]))));
        contexts
    }

    /// The results of a statement are to be watched.
    pub fn watch(&mut self, statement_no: u64, drafts: Vec<Draft>) {
        self.watched.insert(statement_no, Arc::new(drafts));
        if self.watched.len() > WATCHED_MAX
            && let Some((number, _)) = self.watched.pop_first()
        {
            self.forgotten = self.forgotten.max(number);
        }
    }

    /// What a result is taken for, if it was looked at before.
    pub fn looked_at(&self, result: Watched) -> Option<Arc<Vec<Draft>>> {
        self.looked_at.as_ref().filter(|(known, _)| *known == result).map(|(_, readings)| Arc::clone(readings))
    }

    /// Keeps that.
    pub fn look_at(&mut self, result: Watched, readings: Arc<Vec<Draft>>) {
        self.looked_at = Some((result, readings));
    }

    /// What a statement under way may be; `None`: what nothing was known of, and may be anything. Statements before it are over.
    pub fn under_way(&mut self, statement_no: u64) -> Option<Arc<Vec<Draft>>> {
        self.watched = self.watched.split_off(&statement_no);
        let unseen = self.first_no.is_none_or(|first| statement_no < first) || statement_no <= self.forgotten;
        match self.watched.get(&statement_no) {
            Some(drafts) => Some(Arc::clone(drafts)),
            None if unseen => None,
            None => Some(Arc::default()),
        }
    }
}
