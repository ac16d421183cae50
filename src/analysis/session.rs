//! One session being followed: its settings, prepared statements, cursors, open statements and transaction.
//!
//! In: the session's events, in order. Out (by [`super::Stage`]): records. Every map has a limit.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::held::Held;
use super::identity::{Accepted, Source};
use super::parsers::{Analyses, Parsers, Pending, part, prepared, unknown};
use super::settings::Settings;
use super::transaction::Fold;
use super::understood::Recent;
use crate::audit::Position;
use crate::catalog::{Context, Own};
use crate::clock::Timestamp;
use crate::record::{Kind, Outcome, Parse, Protocol, Text};
use crate::session::event::{Begun, Who};
use crate::sql::{Analysis, Effect, Output};
use crate::wire::bind::Parameters;

/// Prepared statements and cursors remembered, each, per session.
pub(super) const NAMES_MAX: usize = 1_024;
/// A statement that runs for longer moves from the intake journal into the checkpoints.
const LONG_RUNNING: Duration = Duration::from_secs(2);

/// A statement that has begun and not ended.
pub(super) struct Open {
    /// Where its `Begun` stands in the intake journal.
    pub(super) position: Position,
    /// When it was taken.
    pub(super) since: Instant,
    pub(super) who: Arc<Who>,
    pub(super) protocol: Protocol,
    pub(super) bytes_in: u64,
    /// As of [`Begun`]; not known after a restart that it outlived.
    pub(super) text: Option<Arc<[u8]>>,
    pub(super) parameters: Parameters,
    pub(super) pending: Option<Pending>,
    /// Statements of the text that have ended.
    pub(super) parts: usize,
    /// How many there are, once that is known, where they come in a Query.
    pub(super) stacked: Option<u64>,
    /// When the next part began.
    pub(super) part_at: Timestamp,
    pub(super) last_outcome: Outcome,
    /// What the client was told, where it was denied.
    pub(super) denial: Option<String>,
}

/// What outlives a crash: enough to close the session's books. Holds nothing raw.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Saved {
    pub(super) who: Arc<Who>,
    pub(super) opened_at: Timestamp,
    pub(super) settings: Settings,
    pub(super) statement_no: u64,
    pub(super) transaction_no: u64,
    pub(super) transaction: Option<Fold>,
    /// Statements that have been running for so long that the journal is not kept for them. By number.
    pub(super) running: Vec<(u64, Running)>,
}

/// A long-running statement, without its text.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Running {
    who: Arc<Who>,
    protocol: Protocol,
    bytes_in: u64,
    analyses: Vec<Analysis>,
    parts: usize,
    part_at: Timestamp,
    last_outcome: Outcome,
}

impl Open {
    /// A statement that begins.
    pub(super) fn new((position, since): (Position, Instant), begun: Begun, pending: Pending) -> Open {
        Open {
            position,
            since,
            who: begun.who,
            protocol: begun.protocol,
            bytes_in: begun.bytes_in,
            text: Some(begun.text),
            parameters: begun.parameters,
            pending: Some(pending),
            parts: 0,
            stacked: None,
            part_at: begun.at,
            last_outcome: Outcome::Unknown,
            denial: None,
        }
    }

    /// The analysis of what ends next.
    pub(super) fn analysis(&mut self, analyses: &Analyses) -> Arc<Analysis> {
        // What was not understood may be any number.
        let is_known = self.protocol == Protocol::Simple && analyses.iter().all(|one| one.parse != Parse::None);
        self.stacked = is_known.then_some(analyses.len() as u64);
        match self.protocol {
            Protocol::Extended => prepared(analyses),
            _ => part(analyses, self.parts),
        }
    }

    /// Whether a ReadyForQuery that comes apart from its last end is its own.
    pub(super) fn is_ended_by_ready(&self) -> bool {
        self.parts > 0 && matches!(self.protocol, Protocol::Simple | Protocol::Replication)
    }

    /// A part of it has ended, as an event tells that is read again: what a checkpoint has brought back may know of it.
    pub(super) fn part_ended(&mut self, part: u32, at: Timestamp, outcome: Outcome) {
        let through = usize::try_from(part).unwrap_or(usize::MAX).saturating_add(1);
        if through > self.parts {
            (self.parts, self.part_at, self.last_outcome) = (through, at, outcome);
        }
    }

    fn saved(&self, analyses: &Analyses, sources: &[Source]) -> Running {
        let is_kept = |key: &str| {
            sources.iter().any(|source| matches!(source, Source::Comment(kept) | Source::Signed(kept) if *kept == *key))
        };
        let bare = |analysis: &Arc<Analysis>| {
            let mut analysis = Analysis::clone(analysis);
            analysis.comment_tags.retain(|(key, _)| is_kept(key));
            analysis.effects.retain(|effect| matches!(effect, Effect::Execute { .. } | Effect::Fetch { .. }));
            analysis
        };
        Running {
            who: Arc::clone(&self.who),
            protocol: self.protocol,
            bytes_in: self.bytes_in,
            analyses: analyses.iter().map(bare).collect(),
            parts: self.parts,
            part_at: self.part_at,
            last_outcome: self.last_outcome,
        }
    }

    fn restored(running: Running) -> Open {
        let analyses: Analyses = running.analyses.into_iter().map(Arc::new).collect();
        Open {
            position: Position::default(),
            since: Instant::now(),
            who: running.who,
            protocol: running.protocol,
            bytes_in: running.bytes_in,
            text: None,
            parameters: Parameters::default(),
            pending: Some(Pending::Ready(analyses)),
            parts: running.parts,
            stacked: None,
            part_at: running.part_at,
            last_outcome: running.last_outcome,
            denial: None,
        }
    }
}

/// Whose a record is, as its columns have it: made once for as long as it is the same.
pub(super) struct Whose {
    pub(super) who: Arc<Who>,
    pub(super) session_id: Text,
    pub(super) database: Option<Text>,
    pub(super) db_user: Option<Text>,
    pub(super) application_name: Option<Text>,
    pub(super) client_addr: Text,
}

impl Whose {
    fn new(who: &Arc<Who>) -> Whose {
        let text = |text: &Option<String>| text.as_deref().map(Text::from);
        Whose {
            session_id: who.session_id.to_string().into(),
            database: text(&who.database),
            db_user: text(&who.db_user),
            application_name: text(&who.application_name),
            client_addr: who.client_addr.as_str().into(),
            who: Arc::clone(who),
        }
    }
}

/// A session in progress.
pub(super) struct Session {
    pub(super) saved: Saved,
    whose: Arc<Whose>,
    /// What names meant when it was last asked.
    context: Arc<Context>,
    pub(super) recent: Recent,
    /// Signed texts that came in time.
    pub(super) accepted: Accepted,
    /// By number. Boxed: a statement comes and goes, and what the map moves and keeps room for is small.
    pub(super) open: BTreeMap<u64, Box<Open>>,
    /// What it has made for itself.
    pub(super) own: Arc<Own>,
    prepared: HashMap<Text, Arc<Analysis>>,
    cursors: HashMap<Text, Arc<Analysis>>,
    /// Of cursors that outlive their transaction: what they showed when they were declared.
    pub(super) held: HashMap<Text, Held>,
}

impl Session {
    /// A session that begins.
    pub(super) fn new(who: Arc<Who>, opened_at: Timestamp) -> Session {
        Session::restored(Saved {
            who,
            opened_at,
            settings: Settings::default(),
            statement_no: 0,
            transaction_no: 0,
            transaction: None,
            running: Vec::new(),
        })
    }

    /// A session as a checkpoint left it.
    pub(super) fn restored(mut saved: Saved) -> Session {
        let running = std::mem::take(&mut saved.running);
        let open = running.into_iter().map(|(number, running)| (number, Box::new(Open::restored(running)))).collect();
        let whose = Arc::new(Whose::new(&saved.who));
        Session {
            saved,
            whose,
            context: Arc::default(),
            recent: Recent::default(),
            accepted: Accepted::default(),
            open,
            own: Arc::default(),
            prepared: HashMap::new(),
            cursors: HashMap::new(),
            held: HashMap::new(),
        }
    }

    /// Whose a record is that belongs to `who`.
    pub(super) fn whose(&mut self, who: &Arc<Who>) -> Arc<Whose> {
        if !Arc::ptr_eq(&self.whose.who, who) && self.whose.who != *who {
            self.whose = Arc::new(Whose::new(who));
        }
        Arc::clone(&self.whose)
    }

    /// What names mean in it now.
    pub(super) fn context(&mut self, whose: &Whose) -> Arc<Context> {
        let (settings, kept) = (&self.saved.settings, &self.context);
        let role = settings.role().or(whose.db_user.as_ref());
        let search_path = settings.search_path();
        let is = |kept: &Text, now: Option<&Text>| now.is_some_and(|now| Arc::ptr_eq(kept, now));
        let is_still_so = is(&kept.database, whose.database.as_ref())
            && is(&kept.role, role)
            && is(&kept.login, whose.db_user.as_ref())
            && Arc::ptr_eq(&kept.own, &self.own)
            && kept.search_path == search_path;
        if !is_still_so {
            self.context = Arc::new(Context {
                database: whose.database.clone().unwrap_or_default(),
                role: role.cloned().unwrap_or_default(),
                login: whose.db_user.clone().unwrap_or_default(),
                search_path,
                own: Arc::clone(&self.own),
            });
        }
        Arc::clone(&self.context)
    }

    /// The books as a checkpoint keeps them, and the first position that must be replayed for what is not in them.
    /// Of settings and comments only those that `sources` take a name from are in them.
    pub(super) fn save(&mut self, parsers: &mut Parsers, sources: &[Source]) -> (Saved, Option<Position>) {
        let mut saved = self.saved.clone();
        saved
            .settings
            .keep_only(|name| sources.iter().any(|source| matches!(source, Source::Setting(kept) if *kept == *name)));
        let mut replay_from = None;
        for (number, open) in &mut self.open {
            // What a checkpoint has brought back is in the journal no more.
            if open.position != Position::default() && open.since.elapsed() < LONG_RUNNING {
                replay_from = Some(replay_from.map_or(open.position, |first: Position| first.min(open.position)));
                continue;
            }
            let analyses = parsers.finish(&mut open.pending);
            saved.running.push((*number, open.saved(&analyses, sources)));
            open.pending = Some(Pending::Ready(analyses));
        }
        (saved, replay_from)
    }

    /// The analysis whose relations and columns count for `analysis`: of what it executes, or fetches from, by name. A name that
    /// nobody is known to have given, a function's cursor for one, may mean anything.
    pub(super) fn meant(&self, analysis: &Arc<Analysis>) -> Arc<Analysis> {
        let named = analysis.effects.iter().find_map(|effect| match effect {
            Effect::Execute { name } => Some(self.prepared.get(name)),
            Effect::Fetch { name } => Some(self.cursors.get(name)),
            _ => None,
        });
        let meant = match named {
            None => return Arc::clone(analysis),
            Some(meant) => meant.map_or_else(unknown, Arc::clone),
        };
        // CREATE TABLE … AS EXECUTE fills what it makes.
        match analysis.kind {
            Kind::Ddl => Arc::new(Analysis {
                flows: analysis.flows.clone(),
                writes: analysis.writes.clone(),
                output: Output::Nothing,
                ..Analysis::clone(&meant)
            }),
            _ => meant,
        }
    }

    /// A statement that the client prepared by the protocol, and SQL may execute.
    pub(super) fn remember_prepared(&mut self, name: &str, analysis: &Analysis) {
        remember(&mut self.prepared, &name.into(), analysis);
    }

    /// Applies what a statement that succeeded does to the statements after it.
    pub(super) fn apply(&mut self, effects: &[Effect]) {
        for effect in effects {
            match effect {
                Effect::Prepare { name, inner } => remember(&mut self.prepared, name, inner),
                Effect::Declare { name, inner, .. } => remember(&mut self.cursors, name, inner),
                Effect::Deallocate { name: Some(name) } => {
                    self.prepared.remove(name);
                }
                Effect::Deallocate { name: None } => self.prepared.clear(),
                Effect::RolledBackToSavepoint | Effect::PathUnknown => {
                    let own = Arc::make_mut(&mut self.own);
                    own.path_unknown = true;
                    own.shaken();
                }
                Effect::Discarded => Arc::make_mut(&mut self.own).discarded(),
                effect => {
                    if matches!(effect, Effect::Set { name, .. } if &**name == "search_path") {
                        Arc::make_mut(&mut self.own).path_unknown = false;
                    }
                    self.saved.settings.apply(effect);
                }
            }
        }
    }
}

fn remember(names: &mut HashMap<Text, Arc<Analysis>>, name: &Text, inner: &Analysis) {
    if names.len() < NAMES_MAX || names.contains_key(name) {
        names.insert(name.clone(), Arc::new(inner.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::Identity;

    fn running(parts: usize) -> Running {
        let analyses = crate::sql::analyze("select 1; delete from t; select 3");
        Running {
            who: Arc::default(),
            protocol: Protocol::Simple,
            bytes_in: 1,
            analyses: analyses.to_vec(),
            parts,
            part_at: Timestamp(1),
            last_outcome: Outcome::Ok,
        }
    }

    /// Killed twice within a moment: what the journal is not kept for is in the second checkpoint as well.
    #[test]
    fn a_statement_that_a_checkpoint_brought_back_is_in_the_next_one_however_soon() {
        let mut parsers = Parsers::start(&Identity::default().keys).expect("threads");
        let saved = Session::new(Arc::default(), Timestamp(0)).saved;
        let mut checkpoint = Saved { running: vec![(7, running(1))], ..saved };
        for _ in 0..2 {
            let (again, replay_from) = Session::restored(checkpoint).save(&mut parsers, &[]);
            assert_eq!(replay_from, None, "nothing of it is in the journal");
            let [(7, running)] = &again.running[..] else { panic!("it is gone: {again:?}") };
            assert_eq!((running.parts, running.analyses.len()), (1, 3));
            checkpoint = again;
        }
    }

    /// The end of a part may be read again for the sake of another session.
    #[test]
    fn an_end_that_is_read_again_is_not_counted_again() {
        let mut open = Open::restored(running(1));
        for (part, parts) in [(0, 1), (1, 2), (0, 2), (1, 2), (2, 3)] {
            open.part_ended(part, Timestamp(2), Outcome::Ok);
            assert_eq!(open.parts, parts, "part {part}");
        }
    }
}
