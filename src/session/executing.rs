//! Which execution the server is answering.
//!
//! In: the first entry of the queue, and answers that belong to an execution. Out: one [`Run`] a statement of a Query, a
//! portal, or a function call, and its end.

use super::event::Event;
use super::expect::Expect;
use super::names::Portal;
use super::run::{Run, text};
use super::tracker::{How, Tracker};
use super::{OutOfStep, SubjectColumns};
use crate::clock::Timestamp;
use crate::record::Outcome;
use crate::wire::backend::{self, kind};
use crate::wire::frame::Header;
use crate::wire::frontend::Name;

/// A Query's effect on the names: it ends the unnamed statement and portal.
const DISCARDS: [&str; 2] = ["DEALLOCATE ALL", "DISCARD ALL"];

impl Tracker {
    /// The execution that the server is answering; begun here with its first answer.
    pub(super) fn running(
        &mut self,
        kind: u8,
        at: Timestamp,
        subjects: &SubjectColumns,
        events: &mut Vec<Event>,
    ) -> Result<&mut Run, OutOfStep> {
        if self.current.is_none() {
            let run = match self.front() {
                Some(Expect::Query(asked) | Expect::Call(asked)) if !asked.over => {
                    let mut run = Run::new(asked.no, asked.parts);
                    run.bytes_in = std::mem::take(&mut asked.bytes_in);
                    Some(run)
                }
                Some(Expect::Execute(_)) => Some(self.executed(at, subjects, events)),
                _ => None,
            };
            self.current = run;
        }
        match self.current {
            Some(ref mut run) => Ok(run),
            None => {
                let awaited = self.queue.front().map_or("nothing", Expect::awaited);
                Err(OutOfStep::Unexpected { kind, awaited })
            }
        }
    }

    /// The execution of the Execute at the front: a new one, or the one that was suspended.
    fn executed(&mut self, at: Timestamp, subjects: &SubjectColumns, events: &mut Vec<Event>) -> Run {
        let loose_out = std::mem::take(&mut self.loose_out);
        let Some(Expect::Execute(sent)) = self.queue.front_mut() else { return Run::new(0, 0) };
        let (name, announced, first, expected) = (sent.portal.clone(), sent.no, sent.first, sent.prepared);
        let bytes_in = std::mem::take(&mut sent.bytes_in);
        let columns = self.names.portal_columns(&name);
        let portal = self.names.portal(&name);
        let suspended = portal.and_then(|portal| portal.run.take());
        let mut run = suspended.unwrap_or_else(|| Run::new(announced, 0));
        let really = self.names.portal(&name).map(|portal| portal.prepared.clone());
        if let Some(really) = really.filter(|really| first && really.id != expected && expected != 0) {
            // The text that was announced is not what runs: it never ran, and what runs is announced now.
            self.end(Run::new(announced, 0), How::plain(Outcome::Skipped), at, events);
            run.no = self.begin_extended(&really, bytes_in, at, events);
        }
        run.bytes_in = run.bytes_in.saturating_add(bytes_in);
        run.count_out(loose_out);
        if run.columns.is_none()
            && let Some(columns) = columns
        {
            let formats = self.names.portal(&name).and_then(|portal| portal.formats.clone());
            run.describe(&columns, formats.as_ref(), subjects);
        }
        run
    }

    /// A DataRow, or CopyData of the server's.
    pub(super) fn count_row(
        &mut self,
        header: Header,
        at: Timestamp,
        subjects: &SubjectColumns,
        events: &mut Vec<Event>,
    ) -> Result<(), OutOfStep> {
        let run = self.running(header.kind, at, subjects, events)?;
        run.rows = run.rows.saturating_add(1);
        run.count_out(header.total_bytes());
        Ok(())
    }

    /// Any other answer that belongs to an execution.
    pub(super) fn execution_answer(
        &mut self,
        header: Header,
        body: &[u8],
        at: Timestamp,
        subjects: &SubjectColumns,
        events: &mut Vec<Event>,
    ) -> Result<(), OutOfStep> {
        let known = matches!(
            header.kind,
            kind::COPY_IN_RESPONSE
                | kind::COPY_OUT_RESPONSE
                | kind::COPY_BOTH_RESPONSE
                | kind::COPY_DONE
                | kind::COMMAND_COMPLETE
                | kind::EMPTY_QUERY_RESPONSE
                | kind::FUNCTION_CALL_RESPONSE
                | kind::PORTAL_SUSPENDED
        );
        if !known && self.front().is_none() {
            // A message that this version does not know may come at any time: it goes by, counted in the session.
            return Ok(());
        }
        let run = self.running(header.kind, at, subjects, events)?;
        run.count_out(header.total_bytes());
        match header.kind {
            kind::COPY_IN_RESPONSE | kind::COPY_BOTH_RESPONSE => {
                // What the client sent ahead of this answer may already hold the data's end.
                let ended = self.queue.get(1).is_some_and(|next| matches!(next, Expect::CopyEnd));
                self.copying_in = !ended;
            }
            kind::COMMAND_COMPLETE => {
                let tag = backend::command_tag(body).map_err(|_| OutOfStep::Malformed { kind: header.kind })?;
                self.complete(text(tag), at, events);
            }
            kind::EMPTY_QUERY_RESPONSE => self.complete(String::new(), at, events),
            kind::FUNCTION_CALL_RESPONSE => {
                run.rows = 1;
                self.complete(String::new(), at, events);
            }
            kind::PORTAL_SUSPENDED => self.suspend(at, events),
            _ => {}
        }
        Ok(())
    }

    fn complete(&mut self, tag: String, at: Timestamp, events: &mut Vec<Event>) {
        if DISCARDS.contains(&tag.as_str()) {
            self.names.remove_named_statements();
        }
        let Some(mut run) = self.current.take() else { return };
        let more = match self.queue.front_mut() {
            Some(Expect::Query(asked) | Expect::Call(asked)) => {
                asked.parts = asked.parts.saturating_add(1);
                // COPY data that came while it ran.
                run.bytes_in = run.bytes_in.saturating_add(std::mem::take(&mut asked.bytes_in));
                true
            }
            Some(Expect::Execute(sent)) => {
                run.bytes_in = run.bytes_in.saturating_add(sent.bytes_in);
                let name = sent.portal.clone();
                self.names.end_portal(&name, run.no);
                self.answered();
                false
            }
            _ => false,
        };
        let how = How { tag, more, ..How::plain(Outcome::Ok) };
        self.end(run, how, at, events);
    }

    fn suspend(&mut self, at: Timestamp, events: &mut Vec<Event>) {
        let run = self.current.take();
        let Some(Expect::Execute(sent)) = self.answered() else { return };
        let Some(run) = run else { return };
        if let Some(portal) = self.names.portal(&sent.portal) {
            portal.run = Some(run);
            return;
        }
        let portal = Portal { begun: Some(run.no), run: Some(run), ..Portal::unknown() };
        if let Some(made_room) = self.names.insert_portal(sent.portal, portal) {
            self.end_suspended(made_room, at, events);
        }
    }

    /// A suspended portal is gone: what it returned is all it will.
    pub(super) fn end_suspended(&mut self, run: Run, at: Timestamp, events: &mut Vec<Event>) {
        self.end(run, How::plain(Outcome::Ok), at, events);
    }

    /// ReadyForQuery after a Query or a FunctionCall.
    pub(super) fn finish_asked(&mut self, at: Timestamp, events: &mut Vec<Event>) {
        let run = self.current.take();
        let Some(Expect::Query(asked) | Expect::Call(asked)) = self.answered() else { return };
        // A Query ends the unnamed statement and portal.
        let unnamed = Name::default();
        self.names.remove_statement(&unnamed);
        if let Some(gone) = self.names.remove_portal(&unnamed) {
            self.end_suspended(gone, at, events);
        }
        // Something was answered and not completed, or nothing was said at all.
        if let Some(run) = run {
            self.end(run, How::plain(Outcome::Unknown), at, events);
        } else if asked.parts == 0 && !asked.over {
            self.end(Run::new(asked.no, 0), How::plain(Outcome::Unknown), at, events);
        }
    }
}
