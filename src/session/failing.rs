//! ErrorResponse, and what the server passes over after it.
//!
//! In: an error. Out: the end of what failed, and `skipped` for every Execute up to the Sync that the server skips to
//! (PostgreSQL manual, "Extended Query").

use std::sync::Arc;

use super::ERROR_BYTES_MAX;
use super::event::Event;
use super::expect::Expect;
use super::names::Prepared;
use super::run::{Run, text};
use super::tracker::{How, Tracker};
use super::{OutOfStep, SubjectColumns};
use crate::clock::Timestamp;
use crate::record::Outcome;
use crate::wire::backend::{ErrorFields, kind};

/// query_canceled.
const CANCELLED: &str = "57014";

impl Tracker {
    pub(super) fn failed(
        &mut self,
        body: &[u8],
        bytes: u64,
        at: Timestamp,
        events: &mut Vec<Event>,
    ) -> Result<(), OutOfStep> {
        let fields = ErrorFields::read(body);
        let sqlstate = text(fields.sqlstate);
        let message = fields.message.get(..ERROR_BYTES_MAX).unwrap_or(fields.message);
        if fields.is_fatal() || !self.server.ready {
            self.server.fatal = Some(sqlstate.clone());
        }
        if !self.server.ready {
            return Ok(());
        }
        let outcome = if sqlstate == CANCELLED { Outcome::Cancelled } else { Outcome::Error };
        let how =
            How { outcome, more: false, tag: String::new(), sqlstate: Some(sqlstate), error: Some(text(message)) };
        self.copying_in = false;
        match self.front() {
            // Nobody asked: the server's own reasons to end the session, as a rule.
            None | Some(Expect::Startup | Expect::Sync | Expect::CopyEnd) => Ok(()),
            Some(Expect::Query(_) | Expect::Call(_) | Expect::Execute(_)) => {
                let run = self.running(kind::ERROR_RESPONSE, at, &SubjectColumns::default(), events);
                match run {
                    Ok(run) => run.count_out(bytes),
                    // A second error for the same Query.
                    Err(_) => return Ok(()),
                }
                self.end_failed(how, at, events);
                Ok(())
            }
            Some(_) => {
                self.end_refused(how, bytes, at, events);
                self.skip(at, events);
                Ok(())
            }
        }
    }

    /// What was executing failed.
    fn end_failed(&mut self, how: How, at: Timestamp, events: &mut Vec<Event>) {
        let Some(mut run) = self.current.take() else { return };
        match self.queue.front_mut() {
            Some(Expect::Query(asked) | Expect::Call(asked)) => {
                asked.over = true;
                run.bytes_in = run.bytes_in.saturating_add(std::mem::take(&mut asked.bytes_in));
                self.end(run, How { more: true, ..how }, at, events);
            }
            _ => {
                if let Some(Expect::Execute(sent)) = self.answered() {
                    run.bytes_in = run.bytes_in.saturating_add(sent.bytes_in);
                    self.names.end_portal(&sent.portal, run.no);
                }
                self.end(run, how, at, events);
                self.skip(at, events);
            }
        }
    }

    /// A Parse, Bind, Describe or Close failed. Where its Execute was announced already, that is what failed; else the
    /// attempt is a record of its own.
    fn end_refused(&mut self, how: How, bytes: u64, at: Timestamp, events: &mut Vec<Event>) {
        let failed = self.answered();
        let announced =
            self.queue.iter_mut().take_while(|entry| !matches!(entry, Expect::Sync)).find_map(|entry| match entry {
                Expect::Execute(sent) if sent.first => Some((sent.no, std::mem::take(&mut sent.first))),
                _ => None,
            });
        let attempted: Option<Arc<Prepared>> = match &failed {
            Some(Expect::Parse(name, prepared)) => {
                self.names.forget_sent_statement(name, prepared.id);
                if name.is_unnamed() {
                    self.names.remove_statement(name);
                }
                Some(prepared.clone())
            }
            Some(Expect::Bind(bind)) => {
                self.names.forget_sent_portal(&bind.portal, bind.id);
                Some(bind.prepared.clone())
            }
            _ => None,
        };
        let no = match (announced, attempted) {
            (Some((no, _)), _) => no,
            (None, Some(prepared)) => {
                let bytes_in = std::mem::take(&mut self.loose_in);
                self.begin_extended(&prepared, bytes_in, at, events)
            }
            (None, None) => return,
        };
        let mut run = Run::new(no, 0);
        run.count_out(bytes.saturating_add(std::mem::take(&mut self.loose_out)));
        self.end(run, how, at, events);
    }

    /// Passes over everything up to the next Sync, which may not have been sent yet.
    fn skip(&mut self, at: Timestamp, events: &mut Vec<Event>) {
        while let Some(entry) = self.queue.front() {
            if matches!(entry, Expect::Sync) {
                return;
            }
            match self.answered() {
                Some(Expect::Execute(sent)) => {
                    self.names.end_portal(&sent.portal, sent.no);
                    if sent.first {
                        self.end_skipped(sent.no, sent.bytes_in, at, events);
                    }
                }
                Some(Expect::Query(asked) | Expect::Call(asked)) => {
                    self.end_skipped(asked.no, asked.bytes_in, at, events);
                }
                Some(Expect::Parse(name, prepared)) => self.names.forget_sent_statement(&name, prepared.id),
                Some(Expect::Bind(bind)) => {
                    self.names.forget_sent_portal(&bind.portal, bind.id);
                }
                Some(Expect::Close(_, name, id)) => {
                    self.names.forget_sent_statement(&name, id);
                    self.names.forget_sent_portal(&name, id);
                }
                _ => {}
            }
        }
        self.skipping = true;
    }

    fn end_skipped(&mut self, no: u64, bytes_in: u64, at: Timestamp, events: &mut Vec<Event>) {
        let mut run = Run::new(no, 0);
        run.bytes_in = bytes_in;
        self.end(run, How::plain(Outcome::Skipped), at, events);
    }
}
