//! The stage: takes events one by one, keeps every session's books, and makes records of what ends.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::Config;
use super::found::acted;
use super::given::before_commit;
use super::held;
use super::identity::{Identity, end_user};
use super::parsers::{self, Analyses, Parsers, Pending};
use super::passed::Passed;
use super::session::{Open, Session};
use super::statement;
use super::transaction::{Fold, ended_by, is_nothing_alone};
use super::understood::{self, Understood};
use crate::audit::{self, Entry, IntakeReader, Key, Log, Position};
use crate::catalog::{Catalog, Understanding};
use crate::clock::{Clock, Timestamp};
use crate::figures::Figures;
use crate::policy::{PolicySet, SharedEngine};
use crate::quarantine::Quarantines;
use crate::record::{Finding, Outcome, Parse, Protocol, Session as SessionRecord, Statement, Text, TransactionOutcome};
use crate::session::event::{Begun, Closed, Ended, Event, Prepared, Told, TransactionStatus};
use crate::sql::{self, Analysis, Effect};

/// How long records may wait to be made durable in the record journal, and so to be seen by a query.
const COMMIT_EVERY: Duration = Duration::from_millis(250);
/// Records that are made durable in one go, and the bytes of their statements' texts.
const COMMIT_RECORDS_MAX: usize = 8_192;
const COMMIT_TEXT_BYTES_MAX: usize = 2 << 20;
/// How long to wait before a failed commit is tried again …
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// … and how often, once the sidecar is stopping. What is left then is replayed at the next start.
const LAST_TRIES: u32 = 5;
/// How long the stage sleeps at most when nothing happens.
pub(super) const WAIT: Duration = Duration::from_millis(100);

/// What the stage may be told while it runs.
pub enum Control {
    /// Other policies are in force from now on.
    Policies(Arc<PolicySet>),
    /// Something was found that no record tells.
    Found(Box<Finding>),
}

/// Why the stage stopped.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// The log could not be read or written.
    #[error(transparent)]
    Audit(#[from] audit::Error),
    /// The threads could not be started.
    #[error("the analysis threads could not be started: {0}")]
    Threads(#[from] std::io::Error),
}

/// What the stage joins.
pub struct Rooms {
    /// Where records go.
    pub log: Log,
    /// What names mean.
    pub catalog: Catalog,
    /// What follows from records.
    pub engine: SharedEngine,
    /// Who is kept out, by what follows.
    pub quarantines: Quarantines,
    /// What data subjects are hashed under.
    pub key: Key,
    /// Where the names of end users come from.
    pub identity: Identity,
    /// How often each kind of statement came through, for who asks.
    pub passed: Passed,
    /// What is counted, for who asks.
    pub figures: Figures,
}

/// See the module.
pub struct Stage {
    pub(super) config: Config,
    pub(super) clock: Clock,
    pub(super) log: Log,
    pub(super) catalog: Catalog,
    pub(super) engine: SharedEngine,
    pub(super) quarantines: Quarantines,
    pub(super) key: Key,
    identity: Identity,
    passed: Passed,
    pub(super) figures: Figures,
    pub(super) parsers: Parsers,
    pub(super) understood: understood::Cache,
    pub(super) sessions: HashMap<Uuid, Session, ahash::RandomState>,
    /// Told after they are durable.
    findings: SyncSender<Finding>,
    pub(super) undelivered: Vec<Finding>,
    /// What is known of where classified columns went is not on disk yet.
    pub(super) lineage_changed: bool,
    /// Records appended since the last commit.
    pub(super) uncommitted: usize,
    uncommitted_text_bytes: usize,
    /// Whether the last checkpoint holds findings that wait for the fleet's word.
    pub(super) has_unsaid: bool,
    /// The last event that was taken.
    pub(super) through: Option<Position>,
    /// Events up to here had their records written before a crash: they only restore what was open.
    pub(super) emitted_through: Option<Position>,
    committed_at: Instant,
    /// When the last entries came: time is asked for once a row of them.
    now: Instant,
    /// Set when the sidecar is stopping.
    stopping: Arc<AtomicBool>,
}

impl Stage {
    /// A stage over `log`, with what a crash left restored from its last checkpoint.
    pub fn new(
        config: Config,
        clock: Clock,
        rooms: Rooms,
        findings: SyncSender<Finding>,
        stopping: Arc<AtomicBool>,
    ) -> Result<Stage, StageError> {
        let Rooms { log, catalog, engine, quarantines, key, identity, passed, figures } = rooms;
        figures.last_finding.set(log.last_finding());
        let mut stage = Stage {
            config,
            clock,
            log,
            catalog,
            engine,
            quarantines,
            key,
            parsers: Parsers::start(&identity.keys)?,
            identity,
            passed,
            figures,
            understood: understood::Cache::default(),
            sessions: HashMap::default(),
            findings,
            undelivered: Vec::new(),
            lineage_changed: false,
            uncommitted: 0,
            uncommitted_text_bytes: 0,
            has_unsaid: false,
            through: None,
            emitted_through: None,
            committed_at: Instant::now(),
            now: Instant::now(),
            stopping,
        };
        stage.restore();
        Ok(stage)
    }

    /// Takes events until the intake is closed and empty, then seals the log. Blocks: give it a thread of its own.
    pub fn run(mut self, mut reader: IntakeReader, control: &Receiver<Control>) -> Result<(), StageError> {
        let mut live = false;
        loop {
            let entry = reader.next(WAIT)?;
            if reader.begins_a_row() {
                self.now = Instant::now();
                control.try_iter().for_each(|order| self.order(order));
            }
            if !live && entry.as_ref().is_none_or(|(position, _)| reader.was_live(*position)) {
                live = true;
                // What was open when the sidecar died is dead: its books are closed before anything new is taken.
                self.bury_the_dead();
            }
            let idle = entry.is_none();
            if let Some((position, entry)) = entry {
                self.take(position, entry);
            }
            // Where there is never a pause, after commits: the journal must not grow without end.
            let committed = self.commit_if_due(idle)?;
            if committed && let Err(error) = reader.reuse() {
                tracing::warn!(%error, "what is no longer needed of the intake journal is not used again");
            }
            if committed || idle {
                self.seal_if_due(idle);
            }
            if idle && reader.is_finished() {
                break;
            }
        }
        // What was found by others while it ended.
        control.try_iter().for_each(|order| self.order(order));
        self.commit()?;
        self.log.close()?;
        Ok(())
    }

    fn order(&mut self, order: Control) {
        match order {
            Control::Policies(set) => {
                self.engine.lock().replace(set);
                self.understood.clear();
            }
            Control::Found(finding) => self.found(*finding),
        }
    }

    fn take(&mut self, position: Position, entry: Entry) {
        let replayed = self.emitted_through.is_some_and(|through| position <= through);
        self.through = Some(self.through.map_or(position, |through| through.max(position)));
        self.figures.analysed.set(position.0);
        match entry {
            Entry::Event(event) if replayed => self.restore_open(position, event),
            Entry::Gap(_) if replayed => {}
            Entry::Gap(gap) => self.gap(position, &gap),
            Entry::Event(Event::Opened(opened)) => {
                self.sessions.insert(opened.who.session_id, Session::new(opened.who, opened.at));
            }
            Entry::Event(Event::Begun(begun)) => self.begun(position, begun),
            Entry::Event(Event::Ended(ended)) => self.ended(&ended),
            Entry::Event(Event::Prepared(prepared)) => self.prepared(&prepared),
            Entry::Event(Event::Ready(ready)) => {
                let session = self.sessions.get_mut(&ready.who.session_id);
                if let (Some(fold), true) =
                    (session.and_then(|session| session.saved.transaction.as_mut()), ready.commit_failed.is_some())
                {
                    fold.commit_failed();
                }
                self.ready(ready.who.session_id, ready.status, ready.at);
            }
            Entry::Event(Event::Closed(closed)) => self.closed(&closed),
            Entry::Event(Event::Notified(notified)) => self.notified(&notified),
        }
    }

    pub(super) fn begun(&mut self, position: Position, begun: Begun) {
        let pending = self.asked(&begun);
        let session =
            self.sessions.entry(begun.who.session_id).or_insert_with(|| Session::new(Arc::clone(&begun.who), begun.at));
        session.saved.who = Arc::clone(&begun.who);
        session.open.insert(begun.statement_no, Box::new(Open::new((position, self.now), begun, pending)));
    }

    fn prepared(&mut self, prepared: &Prepared) {
        // Its first execution finds the analysis in the cache.
        let analyses = self.parsers.analyse(&prepared.text);
        if let Some(session) = self.sessions.get_mut(&prepared.who.session_id) {
            let analysis = parsers::prepared(&analyses);
            session.accepted.proof(analysis.seal, prepared.at, self.identity.window);
            session.remember_prepared(&prepared.name, &analysis);
        }
    }

    fn ended(&mut self, ended: &Ended) {
        let id = ended.who.session_id;
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.saved.who = Arc::clone(&ended.who);
        let Some(mut open) = session.open.remove(&ended.statement_no) else { return };
        let analyses = self.parsers.finish(&mut open.pending);
        let analysis = open.analysis(&analyses);
        self.emit(id, &open, Some(ended), &analysis);
        open.parts = open.parts.saturating_add(1);
        open.part_at = ended.at;
        open.last_outcome = ended.outcome;
        open.denial = ended.error.clone().filter(|_| ended.outcome == Outcome::Denied);
        if let Some(status) = ended.ready {
            self.skip_rest(id, &open, &analyses);
            self.ready(id, status, ended.at);
        } else if !ended.more {
            // The session is over: what stood behind it may have run.
            self.skip_rest(id, &open, &analyses);
        } else {
            open.pending = Some(Pending::Ready(analyses));
            if let Some(session) = self.sessions.get_mut(&id) {
                session.open.insert(ended.statement_no, open);
            }
        }
    }

    /// The statements of a simple Query behind one that failed reached the server and were passed over; those behind one that
    /// was denied were denied with it; and what became of those behind one whose end was not seen is not known either.
    fn skip_rest(&mut self, id: Uuid, open: &Open, analyses: &Analyses) {
        if open.protocol != Protocol::Simple || open.last_outcome == Outcome::Ok {
            return;
        }
        let outcome = match open.last_outcome {
            known @ (Outcome::Denied | Outcome::Unknown) => known,
            // Its cancellation may have come too late.
            Outcome::Cut => Outcome::Unknown,
            _ => Outcome::Skipped,
        };
        for (number, analysis) in analyses.iter().enumerate().skip(open.parts) {
            let skipped = Ended {
                who: Arc::clone(&open.who),
                statement_no: 0,
                part: u32::try_from(number).unwrap_or(u32::MAX),
                more: false,
                at: open.part_at,
                outcome,
                tag: String::new(),
                rows_returned: 0,
                bytes_out: 0,
                bytes_in: 0,
                sqlstate: None,
                error: open.denial.clone(),
                told: Told::default(),
                columns: None,
                people: None,
                baits: Box::default(),
                sighted: Box::default(),
                ready: None,
            };
            self.emit(id, open, Some(&skipped), analysis);
        }
    }

    fn ready(&mut self, id: Uuid, status: TransactionStatus, at: Timestamp) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        // A simple Query whose ReadyForQuery came apart from its last end.
        if session.open.first_key_value().is_some_and(|(_, open)| open.is_ended_by_ready())
            && let Some((_, mut open)) = session.open.pop_first()
        {
            let analyses = self.parsers.finish(&mut open.pending);
            self.skip_rest(id, &open, &analyses);
        }
        let Some(session) = self.sessions.get_mut(&id) else { return };
        match (status, &mut session.saved.transaction) {
            (TransactionStatus::Idle, Some(fold)) => {
                let outcome = fold.implicit_outcome();
                self.end_transaction(id, at, outcome);
            }
            (TransactionStatus::Idle, None) => {}
            (status, Some(fold)) => fold.goes_on(status),
            (_, None) => {}
        }
    }

    fn end_transaction(&mut self, id: Uuid, at: Timestamp, outcome: TransactionOutcome) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let Some(fold) = session.saved.transaction.take() else { return };
        let committed = outcome == TransactionOutcome::Committed;
        session.saved.settings.transaction_ended(committed);
        if !session.own.is_empty() {
            let own = Arc::make_mut(&mut session.own);
            own.transaction_ended(committed);
            // What was read of the catalog meanwhile is without it.
            if let (Some(names), Some(database)) = (own.settle(), fold.database()) {
                self.catalog.schema_settled(database, &names);
            }
            if let (true, Some(database)) = (std::mem::take(&mut own.is_suspected), fold.database()) {
                self.catalog.may_have_changed(database);
            }
            // The server counts what it filled when it is over.
            if let (true, Some(database)) = (std::mem::take(&mut own.is_unfollowed), fold.database()) {
                self.lineage_changed |= self.catalog.was_not_followed(database, before_commit(at));
            }
        }
        if let Some(mut record) = fold.end(at, outcome) {
            self.log.number(&mut record);
            let findings = self.engine.lock().transaction(&record);
            self.figures.transaction(&record);
            self.log.append(record);
            self.uncommitted = self.uncommitted.saturating_add(1);
            self.findings(findings);
        }
    }

    /// Makes the record of one statement, judges it, and applies what it does.
    pub(super) fn emit(&mut self, id: Uuid, open: &Open, ended: Option<&Ended>, analysis: &Arc<Analysis>) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let meant = session.meant(analysis);
        let who = ended.map_or(&open.who, |ended| &ended.who);
        let whose = session.whose(who);
        let database = whose.database.clone().unwrap_or_default();
        let context = session.context(&whose);
        let settings = &session.saved.settings;
        let role = settings.role().or(whose.db_user.as_ref()).cloned();
        let columns = ended.and_then(|ended| ended.columns.as_ref());
        let given_context = Arc::clone(&context);
        let understood = self.understood.understand(&self.catalog, &mut session.recent, &meant, context, columns);
        let understood = held::with_what_it_was(session, &self.catalog, [analysis, &meant], understood);
        let proof = session.accepted.proof(analysis.seal, open.part_at, self.identity.window);
        let (application_name, certificate) = (whose.application_name.as_ref(), whose.who.certificate.as_ref());
        let sources = &self.config.end_user;
        let end_user = end_user(sources, analysis, proof, settings.named(), application_name, certificate);
        session.saved.statement_no = session.saved.statement_no.saturating_add(1);
        if session.saved.transaction.is_none() {
            session.saved.transaction_no = session.saved.transaction_no.saturating_add(1);
        }
        let baits = ended.map(|ended| understood.baits(&self.catalog, &database, &meant, ended));
        let source = statement::Source {
            open,
            ended,
            analysis,
            meant: &meant,
            understood: &understood,
            whose: &whose,
            statement_no: session.saved.statement_no,
            transaction_no: session.saved.transaction_no,
            role,
            end_user,
            context: proof,
            literals: self.config.literals,
            baits,
        };
        let record = statement::record(source, &self.key);
        self.passed.count(&record, &meant.fingerprint);
        // EXECUTE and FETCH have a text of their own; an error may tell of other columns, and what is not understood of any.
        let is_alike = ended.is_some_and(|ended| ended.outcome == Outcome::Ok)
            && meant.parse != Parse::None
            && ended.is_some_and(|ended| ended.told.raised.count == 0)
            && Arc::ptr_eq(analysis, &meant);
        let sighted = ended.filter(|ended| !ended.sighted.is_empty()).map(|ended| (&ended.sighted, record.clone()));
        let seq = self.log_statement(id, record, &understood, is_alike, analysis, ended);
        if let Some((sighted, record)) = sighted {
            self.tell_sighted(sighted, &database, &record, seq);
        }
        let given = self.given(open, [analysis, &meant], &understood, &given_context, columns);
        self.learn(id, &database, given.as_ref().unwrap_or(&understood.understanding), ended);
        self.hold(id, analysis, &given_context, ended);
        let schema_changed = |effects: &[Effect]| effects.contains(&Effect::SchemaChanged);
        if schema_changed(&analysis.effects) || schema_changed(&meant.effects) {
            let names = sql::shifted(&analysis.query);
            if let Some(session) = self.sessions.get_mut(&id).filter(|session| session.saved.transaction.is_some()) {
                Arc::make_mut(&mut session.own).shift(&names);
            }
            self.catalog.schema_changed(&database, &names);
        }
        self.suspect(id, &database, open.part_at, &understood.understanding.consequences);
    }

    /// Takes note of what a statement that succeeded leaves behind.
    fn learn(&mut self, id: Uuid, database: &Text, understanding: &Understanding, ended: Option<&Ended>) {
        let Some(ended) = ended.filter(|ended| ended.outcome == Outcome::Ok) else { return };
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let alone = ended.ready == Some(TransactionStatus::Idle) && ended.part == 0;
        self.lineage_changed |= self.catalog.learn(database, &mut session.own, &understanding.consequences, alone);
    }

    fn log_statement(
        &mut self,
        id: Uuid,
        mut record: Statement,
        understood: &Understood,
        is_alike: bool,
        analysis: &Analysis,
        ended: Option<&Ended>,
    ) -> u64 {
        self.log.number(&mut record);
        let seq = record.common.seq;
        let mut engine = self.engine.lock();
        let concerned = is_alike.then(|| understood.concerned(&engine, &record));
        let findings = engine.statement_after(&mut record, concerned, ended.and_then(acted));
        drop(engine);
        let Some(session) = self.sessions.get_mut(&id) else { return seq };
        let (understanding, effects) = (&understood.understanding, &analysis.effects[..]);
        let is_alone = session.saved.transaction.is_none() && session.own.is_empty();
        let ends_with = if is_alone && is_nothing_alone(&record, understanding, effects, ended) {
            None
        } else {
            let number = session.saved.transaction_no;
            let fold = session.saved.transaction.get_or_insert_with(|| Fold::begin(number, &record));
            fold.add(&record, understanding, effects);
            ended.and_then(|ended| ended_by(&ended.tag, effects, fold))
        };
        let ok = record.outcome == Some(Outcome::Ok);
        if ok {
            session.apply(effects);
        }
        let at = record.ended_at.unwrap_or(record.common.at);
        self.figures.statement(&record);
        let text_bytes = record.query.as_ref().map_or(0, |query| query.len());
        self.uncommitted_text_bytes = self.uncommitted_text_bytes.saturating_add(text_bytes);
        self.log.append(record);
        self.uncommitted = self.uncommitted.saturating_add(1);
        self.findings(findings);
        if let Some(outcome) = ends_with {
            self.end_transaction(id, at, outcome);
        }
        seq
    }

    pub(super) fn closed(&mut self, closed: &Closed) {
        let id = closed.who.session_id;
        self.close_books(id, closed.at);
        let role = self
            .sessions
            .remove(&id)
            .and_then(|session| session.saved.settings.role().cloned())
            .or_else(|| closed.who.db_user.as_deref().map(Text::from));
        let text = |text: &Option<String>| text.as_deref().map(Text::from);
        let record = SessionRecord {
            ended_at: Some(closed.at),
            outcome: Some(closed.outcome),
            sqlstate: text(&closed.sqlstate),
            auth_method: text(&closed.auth_method),
            tls_version: text(&closed.tls_version),
            certificate: closed.who.certificate.as_ref().map(|subject| subject.name.as_str().into()),
            server_version: text(&closed.server_version),
            statements: Some(closed.statements),
            bytes_out: Some(closed.bytes_out),
            bytes_in: Some(closed.bytes_in),
            database: text(&closed.who.database),
            db_user: text(&closed.who.db_user),
            role,
            end_user: None,
            application_name: text(&closed.who.application_name),
            client_addr: Some(closed.who.client_addr.as_str().into()),
            member_of: self.catalog.member_of_login(&closed.who),
            common: crate::record::Common {
                at: closed.opened_at,
                session_id: Some(id.to_string().into()),
                ..Default::default()
            },
        };
        self.log_session(record);
    }

    pub(super) fn log_session(&mut self, mut record: SessionRecord) {
        self.log.number(&mut record);
        let findings = self.engine.lock().session(&record);
        self.figures.session(&record);
        self.log.append(record);
        self.uncommitted = self.uncommitted.saturating_add(1);
        self.findings(findings);
    }

    /// Ends what is open in a session that is over: statements whose end was not seen, and the transaction.
    pub(super) fn close_books(&mut self, id: Uuid, at: Timestamp) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        for (_, mut open) in std::mem::take(&mut session.open) {
            let analyses = self.parsers.finish(&mut open.pending);
            // The server has all of a simple Query: each statement of it that has no end may have run.
            let parts = if open.protocol == Protocol::Simple { analyses.len() } else { 1 };
            while open.parts < parts.max(1) {
                let analysis = open.analysis(&analyses);
                self.emit(id, &open, None, &analysis);
                open.parts = open.parts.saturating_add(1);
            }
        }
        self.end_transaction(id, at, TransactionOutcome::Disconnected);
    }

    /// A full disk delays sealing; the records are in the journal meanwhile, and the next call tries again.
    fn seal_if_due(&mut self, idle: bool) {
        if let Err(error) = self.log.seal_if_due(self.clock.now()) {
            self.figures.log_failures.one();
            tracing::error!(%error, "the log cannot be sealed into Parquet yet");
        } else if let Err(error) = self.log.delete_if_due(self.clock.now()) {
            tracing::error!(%error, "what is past its time cannot be deleted; it is tried again tomorrow");
        } else if let Err(error) = self.log.compact_if_due(self.clock.now(), idle) {
            tracing::error!(%error, "files of the log cannot be compacted; it is tried again in some minutes");
        }
        self.figures.unsealed_since.set(self.log.unsealed_since());
        self.figures.journal_bytes.set(self.log.journal_bytes());
    }

    /// Whether anything was committed.
    fn commit_if_due(&mut self, idle: bool) -> Result<bool, StageError> {
        let due = self.uncommitted >= COMMIT_RECORDS_MAX
            || self.uncommitted_text_bytes >= COMMIT_TEXT_BYTES_MAX
            || self.now.saturating_duration_since(self.committed_at) >= COMMIT_EVERY
            || (idle && !self.undelivered.is_empty());
        let has_news = self.uncommitted > 0 || self.has_unsaid;
        if due && has_news { self.commit().map(|()| true) } else { Ok(false) }
    }

    fn commit(&mut self) -> Result<(), StageError> {
        self.keep_lineage();
        if let Some(checkpoint) = self.checkpoint() {
            // The records stay where they are meanwhile; the intake fills, and its limit decides what clients see.
            let mut tries: u32 = 0;
            while let Err(error) = self.log.commit(&checkpoint) {
                tries = tries.saturating_add(1);
                self.figures.log_failures.one();
                tracing::error!(%error, tries, "the record journal cannot be written; trying again");
                if self.stopping.load(Ordering::Relaxed) && tries >= LAST_TRIES {
                    return Err(error.into());
                }
                std::thread::sleep(RETRY_AFTER);
            }
        }
        (self.uncommitted, self.uncommitted_text_bytes) = (0, 0);
        self.committed_at = Instant::now();
        for finding in self.undelivered.drain(..) {
            // Whoever tells people is slow or gone: the finding is in the log all the same.
            if self.findings.try_send(finding).is_err() {
                self.figures.findings_not_passed.one();
                tracing::warn!("a finding was logged but not passed on: the alert queue is full");
            }
        }
        Ok(())
    }
}
