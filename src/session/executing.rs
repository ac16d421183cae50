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
                    run.count_out(std::mem::take(&mut self.loose_out));
                    run.raised = std::mem::take(&mut self.loose_raised);
                    Some(run)
                }
                Some(Expect::Execute(_)) => Some(self.executed(kind, at, subjects, events)),
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

    /// The execution of the Execute at the front, whose first answer is of this kind: a new one, or the one that was
    /// suspended.
    fn executed(&mut self, kind: u8, at: Timestamp, subjects: &SubjectColumns, events: &mut Vec<Event>) -> Run {
        let (loose_out, raised) = (std::mem::take(&mut self.loose_out), std::mem::take(&mut self.loose_raised));
        let Some(Expect::Execute(sent)) = self.queue.front_mut() else { return Run::new(0, 0) };
        let (name, announced, first, expected) = (sent.portal.clone(), sent.no, sent.first, sent.prepared);
        let bytes_in = std::mem::take(&mut sent.bytes_in);
        let columns = self.names.portal_columns(&name);
        let mut portal = self.names.portal(&name);
        if let Some(portal) = &mut portal {
            portal.executed = true;
        }
        let suspended = portal.as_mut().and_then(|portal| portal.run.take()).map(|run| *run);
        let parameters = portal.as_ref().map(|portal| portal.parameters.clone()).unwrap_or_default();
        let really = match portal {
            Some(portal) => portal.prepared.clone(),
            // It does not exist, and that is the error.
            None if kind == kind::ERROR_RESPONSE && first => {
                let mut run = Run::new(announced, 0);
                run.bytes_in = bytes_in;
                run.count_out(loose_out);
                run.raised = raised;
                return run;
            }
            None => Portal::unknown(&name).prepared,
        };
        let fits = if first { suspended.is_none() && really.id == expected } else { suspended.is_some() };
        if first && !fits {
            // The text that was announced is not what runs: it never ran.
            self.end(Run::new(announced, 0), How::plain(Outcome::Skipped), at, events);
        }
        let mut run = match suspended {
            Some(run) => run,
            None if fits => Run::new(announced, 0),
            // What runs is announced now.
            None => Run::new(self.begin_extended(&really, parameters, bytes_in, at, events), 0),
        };
        run.bytes_in = run.bytes_in.saturating_add(bytes_in);
        run.count_out(loose_out);
        run.raised.add(raised);
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
            kind::COPY_OUT_RESPONSE => run.copies_out(body, subjects),
            kind::COPY_IN_RESPONSE | kind::COPY_BOTH_RESPONSE => self.copy_begins(),
            kind::COMMAND_COMPLETE => {
                let tag = backend::command_tag(body).map_err(|_| OutOfStep::Malformed { kind: header.kind })?;
                let tag = text(tag);
                if matches!(self.queue.front(), Some(Expect::Query(_))) {
                    // Each statement of a Query takes the unnamed portal's place.
                    self.end_unnamed_portal(at, events);
                }
                self.tagged(&tag, at, events);
                self.complete(tag, at, events);
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
        // What it passed over, it has passed over.
        self.copy = None;
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
        let Some(run) = run.map(Box::new) else { return };
        if let Some(portal) = self.names.portal(&sent.portal) {
            portal.begun = Some(run.no);
            portal.run = Some(run);
            return;
        }
        let portal = Portal { begun: Some(run.no), run: Some(run), ..Portal::unknown(&sent.portal) };
        if let Some(made_room) = self.names.insert_portal(&sent.portal, portal) {
            self.end_portal(made_room, at, events);
        }
    }

    fn end_unnamed_portal(&mut self, at: Timestamp, events: &mut Vec<Event>) {
        if let Some(gone) = self.names.remove_portal(&Name::default()) {
            self.end_portal(gone, at, events);
        }
    }

    /// ReadyForQuery after a Query or a FunctionCall.
    pub(super) fn finish_asked(&mut self, at: Timestamp, events: &mut Vec<Event>) {
        let run = self.current.take();
        let Some(Expect::Query(asked) | Expect::Call(asked)) = self.answered() else { return };
        // Something was answered and not completed, or nothing was said at all.
        if let Some(run) = run {
            self.end(run, How::plain(Outcome::Unknown), at, events);
        } else if asked.parts == 0 && !asked.over {
            self.end(Run::new(asked.no, 0), How::plain(Outcome::Unknown), at, events);
        }
    }
}
