//! What outlives a crash, and how the dead are buried.
//!
//! A checkpoint holds every open session's books and names two positions of the intake journal: from `replay_from` on
//! it is read again after a crash; events up to `emitted_through` had their records written, so they only restore
//! which statements were open. Sessions that were open when the sidecar died are dead with it: their open statements
//! are `unknown`, their transaction `disconnected`, the session `lost`.

use uuid::Uuid;

use super::session::{Saved, Session};
use super::stage::Stage;
use crate::audit::{Checkpoint, Gap, GapCause, Position};
use crate::catalog::Kept;
use crate::clock::Timestamp;
use crate::policy::Waiting;
use crate::record::{Action, Common, Finding, Session as SessionRecord, SessionOutcome, Severity, Text};
use crate::session::event::Event;

impl Stage {
    /// Takes up the books where the last checkpoint left them.
    pub(super) fn restore(&mut self) {
        match self.log.kept_lineage() {
            Ok(files) => {
                let marks = files.iter().filter_map(|file| serde_json::from_slice::<Vec<Kept>>(file).ok());
                self.catalog.restore(marks.flatten().collect());
            }
            Err(error) => tracing::warn!(%error, "where classified columns went before the restart is not known"),
        }
        let Some(checkpoint) = self.log.recovered().cloned() else { return };
        self.emitted_through = Some(checkpoint.emitted_through);
        self.through = Some(checkpoint.emitted_through);
        match postcard::take_from_bytes::<Vec<Saved>>(&checkpoint.state) {
            Ok((saved, rest)) => {
                self.sessions =
                    saved.into_iter().map(|saved| (saved.who.session_id, Session::restored(saved))).collect();
                // None, where nothing waited, and in what an older version wrote.
                let unsaid: Vec<Waiting> = postcard::from_bytes(rest).unwrap_or_default();
                let findings = self.engine.lock().say_unsaid(&unsaid);
                self.findings(findings);
            }
            // Written by another version: the records are all there, only open transactions are not closed.
            Err(error) => tracing::warn!(%error, "the last checkpoint's sessions could not be read"),
        }
    }

    /// An event whose record was written before the crash: only which statements are open matters.
    pub(super) fn restore_open(&mut self, position: Position, event: Event) {
        match event {
            Event::Begun(begun) if self.sessions.contains_key(&begun.who.session_id) => self.begun(position, begun),
            Event::Ended(ended) => {
                let Some(session) = self.sessions.get_mut(&ended.who.session_id) else { return };
                if ended.ready.is_some() || !ended.more {
                    session.open.remove(&ended.statement_no);
                } else if let Some(open) = session.open.get_mut(&ended.statement_no) {
                    open.part_ended(ended.part, ended.at, ended.outcome);
                }
            }
            // A simple Query whose ReadyForQuery came apart from its last end.
            Event::Ready(ready) => {
                let Some(session) = self.sessions.get_mut(&ready.who.session_id) else { return };
                if session.open.first_key_value().is_some_and(|(_, open)| open.is_ended_by_ready()) {
                    session.open.pop_first();
                }
            }
            _ => {}
        }
    }

    /// Closes the books of every session that was open when the sidecar died.
    pub(super) fn bury_the_dead(&mut self) {
        self.emitted_through = None;
        let dead: Vec<Uuid> = self.sessions.keys().copied().collect();
        let now = self.clock.now();
        for id in dead {
            self.close_books(id, now);
            let Some(session) = self.sessions.remove(&id) else { continue };
            let mut record = lost(&session.saved, now);
            record.member_of = self.catalog.member_of_login(&session.saved.who);
            self.log_session(record);
        }
    }

    /// What has to be known to go on from here after a crash; `None` before the first event.
    pub(super) fn checkpoint(&mut self) -> Option<Checkpoint> {
        let emitted_through = self.through?;
        let mut replay_from = Position(emitted_through.0.saturating_add(1));
        let mut books = Vec::with_capacity(self.sessions.len());
        for session in self.sessions.values_mut() {
            let (saved, first) = session.save(&mut self.parsers, &self.config.end_user);
            books.push(saved);
            replay_from = first.map_or(replay_from, |first| first.min(replay_from));
        }
        let unsaid = self.engine.lock().unsaid();
        self.has_unsaid = !unsaid.is_empty();
        let state = postcard::to_stdvec(&books).and_then(|state| match unsaid.is_empty() {
            true => Ok(state),
            false => postcard::to_extend(&unsaid, state),
        });
        let state = state.unwrap_or_else(|error| {
            tracing::error!(%error, "the open sessions could not be written into the checkpoint");
            Vec::new()
        });
        Some(Checkpoint { replay_from, emitted_through, state })
    }

    /// Writes down where classified columns went, for the next start.
    pub(super) fn keep_lineage(&mut self) {
        self.lineage_changed |= self.catalog.has_grown();
        if !self.lineage_changed {
            return;
        }
        let kept = serde_json::to_vec(&self.catalog.kept()).map_err(|error| error.to_string());
        match kept.and_then(|bytes| self.log.keep_lineage(&bytes).map_err(|error| error.to_string())) {
            Ok(()) => self.lineage_changed = false,
            Err(error) => tracing::error!(%error, "where classified columns went could not be written down"),
        }
    }

    /// Events that were let through unrecorded are themselves recorded.
    pub(super) fn gap(&mut self, position: Position, gap: &Gap) {
        self.log.gap(position, gap);
        self.figures.gap_events.add(gap.events);
        let why = match gap.cause {
            GapCause::Passed => "were let through unrecorded, because the journal could not be written",
            GapCause::Damaged => "or more are missing, because the journal was damaged",
        };
        let time = |at: Option<Timestamp>| at.map_or("an unknown time".to_owned(), |at| at.to_string());
        let explanation =
            format!("{} events between {} and {} {why}", gap.events, time(gap.first_at), time(gap.last_at));
        let at = gap.first_at.unwrap_or_else(|| self.clock.now());
        self.findings(vec![Finding {
            common: Common { at, ..Common::default() },
            finding_id: Uuid::now_v7().to_string().into(),
            policy: "log-gap".into(),
            title: "The log has a gap".into(),
            severity: Some(Severity::Critical),
            action: Some(Action::Alert),
            observed: Some(gap.events),
            explanation: Some(explanation.into()),
            ..Finding::default()
        }]);
    }
}

fn lost(saved: &Saved, now: Timestamp) -> SessionRecord {
    let text = |text: &Option<String>| text.as_deref().map(Text::from);
    let who = &saved.who;
    SessionRecord {
        common: Common {
            at: saved.opened_at,
            session_id: Some(who.session_id.to_string().into()),
            ..Common::default()
        },
        ended_at: Some(now),
        outcome: Some(SessionOutcome::Lost),
        certificate: who.certificate.as_ref().map(|subject| subject.name.as_str().into()),
        statements: Some(saved.statement_no),
        database: text(&who.database),
        db_user: text(&who.db_user),
        role: saved.settings.role().cloned().or_else(|| text(&who.db_user)),
        application_name: text(&who.application_name),
        client_addr: Some(who.client_addr.as_str().into()),
        ..SessionRecord::default()
    }
}
