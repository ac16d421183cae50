//! What the server passes over after an error in an extended query, up to the next Sync (PostgreSQL manual, "Extended
//! Query").
//!
//! In: what is outstanding at the error, and what the client sends before its Sync. Out: `skipped` for every Execute, Query
//! and FunctionCall, with the text that it would have had, and for every Parse that none of them speaks of.

use std::sync::Arc;

use super::event::Event;
use super::expect::Expect;
use super::names::Prepared;
use super::run::Run;
use super::tracker::{How, Tracker};
use super::{PREPARED_STATEMENTS_MAX, PREPARED_TEXT_BYTES_MAX};
use crate::clock::Timestamp;
use crate::record::Outcome;
use crate::wire::frontend::Name;

/// Parses that were passed over and that no record speaks of yet.
#[derive(Debug, Default)]
pub(super) struct Unsaid {
    parses: Vec<Arc<Prepared>>,
    text_bytes: usize,
}

impl Unsaid {
    fn add(&mut self, prepared: Arc<Prepared>) {
        self.text_bytes = self.text_bytes.saturating_add(prepared.text.len());
        self.parses.push(prepared);
    }

    fn is_full(&self) -> bool {
        self.parses.len() >= PREPARED_STATEMENTS_MAX || self.text_bytes >= PREPARED_TEXT_BYTES_MAX
    }

    /// A record speaks of it.
    pub fn said(&mut self, prepared: u64) {
        self.parses.retain(|unsaid| unsaid.id != prepared);
    }

    fn take(&mut self) -> Vec<Arc<Prepared>> {
        self.text_bytes = 0;
        std::mem::take(&mut self.parses)
    }
}

impl Tracker {
    /// Passes over everything up to the next Sync, which may not have been sent yet.
    pub(super) fn skip(&mut self, at: Timestamp, events: &mut Vec<Event>) {
        self.skipping = !self.queue.iter().any(|entry| matches!(entry, Expect::Sync));
        while let Some(entry) = self.queue.front() {
            if matches!(entry, Expect::Sync) {
                return self.end_unsaid(at, events);
            }
            if let Some(entry) = self.answered() {
                self.pass_over(entry, at, events);
            }
        }
    }

    /// One message, which is off the queue. What was sent for a name is kept while more may be sent that names it.
    pub(super) fn pass_over(&mut self, entry: Expect, at: Timestamp, events: &mut Vec<Event>) {
        match entry {
            Expect::Execute(sent) => {
                self.names.end_portal(&sent.portal, sent.no);
                self.unsaid.said(sent.prepared);
                if sent.first {
                    self.end_skipped(sent.no, sent.bytes_in, at, events);
                }
            }
            Expect::Query(asked) | Expect::Call(asked) => self.end_skipped(asked.no, asked.bytes_in, at, events),
            Expect::Parse(name, prepared) => {
                if !self.skipping {
                    self.names.forget_sent_statement(&name, prepared.id);
                }
                self.unsaid.add(prepared);
            }
            Expect::Bind(bind) if !self.skipping => {
                self.names.forget_sent_portal(&bind.portal, bind.id);
            }
            Expect::Close(target, name, id) if !self.skipping => self.forget_close(target, &name, id),
            _ => {}
        }
    }

    /// A Parse of the client's that the server will pass over.
    pub(super) fn skip_parse(&mut self, name: &Name, prepared: Arc<Prepared>, at: Timestamp, events: &mut Vec<Event>) {
        self.names.send_statement(name, prepared.id, Some(prepared.clone()));
        self.unsaid.add(prepared);
        if self.unsaid.is_full() {
            self.end_unsaid(at, events);
            self.names.forget_all_sent();
        }
    }

    /// The client's Sync: what comes after it counts again.
    pub(super) fn end_skipping(&mut self, at: Timestamp, events: &mut Vec<Event>) {
        self.skipping = false;
        self.end_unsaid(at, events);
        self.names.forget_all_sent();
    }

    pub(super) fn end_unsaid(&mut self, at: Timestamp, events: &mut Vec<Event>) {
        for prepared in self.unsaid.take() {
            let no = self.begin_attempt(&prepared, at, events);
            self.end_skipped(no, 0, at, events);
        }
    }

    pub(super) fn end_skipped(&mut self, no: u64, bytes_in: u64, at: Timestamp, events: &mut Vec<Event>) {
        let mut run = Run::new(no, 0);
        run.bytes_in = bytes_in;
        self.end(run, How::plain(Outcome::Skipped), at, events);
    }
}
