//! ErrorResponse: what failed.
//!
//! In: an error. Out: the end of the statement that it is about, and of what the server passes over after it, see
//! [`super::skipping`].

use std::sync::Arc;

use super::ERROR_BYTES_MAX;
use super::copying::COPY_READER;
use super::event::{Event, Raised, Told};
use super::expect::{Expect, SentExecute};
use super::names::Prepared;
use super::run::{Run, text};
use super::tracker::{How, Tracker, length};
use super::{OutOfStep, SubjectColumns};
use crate::clock::Timestamp;
use crate::record::Outcome;
use crate::wire::backend::{ErrorFields, kind};
use crate::wire::bind::Parameters;
use crate::wire::frontend::{Name, Target};

/// protocol_violation.
const PROTOCOL_VIOLATION: &[u8] = b"08P01";
/// query_canceled.
const CANCELLED: &str = "57014";
/// The routines of the server's source that report what a function's author has it say: of PL/pgSQL, PL/Python, PL/Perl and PL/Tcl.
const RAISING: [&[u8]; 4] = [b"exec_stmt_raise", b"PLy_output", b"do_util_elog", b"pltcl_elog"];

/// What an error of so many bytes may tell.
fn told(fields: &ErrorFields<'_>, bytes: u64) -> Told {
    let said = [fields.message, fields.detail, fields.hint, fields.internal].iter().map(|part| length(part)).sum();
    Told {
        bytes: if fields.is_whole { said } else { bytes },
        detail: !fields.detail.is_empty(),
        of_text: fields.has_position,
        refused: false,
        raised: Raised::default(),
    }
}

impl Tracker {
    /// NoticeResponse: of the statement that runs, or that is about to be answered.
    pub(super) fn noticed(&mut self, body: &[u8], bytes: u64) {
        let fields = ErrorFields::read(body);
        // The routine comes last: of a notice that is longer than what is captured it is not known.
        let is_raised = !fields.is_whole || RAISING.contains(&fields.routine);
        let raised = match is_raised {
            true => Raised { count: 1, bytes: told(&fields, bytes).bytes },
            false => Raised::default(),
        };
        match &mut self.current {
            Some(run) => {
                run.count_out(bytes);
                run.raised.add(raised);
            }
            None => {
                self.loose_out = self.loose_out.saturating_add(bytes);
                self.loose_raised.add(raised);
            }
        }
    }

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
        if self.denied > 0 && self.denied_answered(fields.is_fatal(), bytes, at, events) {
            return Ok(());
        }
        let outcome = if sqlstate == CANCELLED { Outcome::Cancelled } else { Outcome::Error };
        let (sqlstate, error) = (Some(sqlstate), Some(text(message)));
        let how = How { outcome, more: false, tag: String::new(), sqlstate, error, told: told(&fields, bytes) };
        if fields.sqlstate == PROTOCOL_VIOLATION && fields.routine == COPY_READER {
            self.copy_took_a_stray(at, events);
        }
        match self.front() {
            // Nobody asked: the server's own reasons to end the session, as a rule.
            None | Some(Expect::Startup | Expect::Spare(_)) => {}
            // What ran since the last Sync could not be committed.
            Some(Expect::Sync) => self.commit_failed = how.sqlstate,
            Some(Expect::Query(_) | Expect::Call(_) | Expect::Execute(_)) => {
                // Else a second error for the same Query.
                if let Ok(run) = self.running(kind::ERROR_RESPONSE, at, &SubjectColumns::default(), events) {
                    run.count_out(bytes);
                    self.end_failed(how, at, events)?;
                }
            }
            Some(_) => {
                let told = Told { refused: true, ..how.told };
                self.end_refused(How { told, ..how }, bytes, at, events);
                self.skip(at, events);
            }
        }
        Ok(())
    }

    /// What was executing failed.
    fn end_failed(&mut self, how: How, at: Timestamp, events: &mut Vec<Event>) -> Result<(), OutOfStep> {
        let Some(mut run) = self.current.take() else { return Ok(()) };
        match self.queue.front_mut() {
            Some(Expect::Query(asked) | Expect::Call(asked)) => {
                asked.over = true;
                run.bytes_in = run.bytes_in.saturating_add(std::mem::take(&mut asked.bytes_in));
                self.end(run, How { more: true, ..how }, at, events);
                self.copy_of_query_failed();
            }
            _ => {
                if let Some(Expect::Execute(sent)) = self.answered() {
                    run.bytes_in = run.bytes_in.saturating_add(sent.bytes_in);
                    self.names.end_portal(&sent.portal, run.no);
                }
                self.end(run, how, at, events);
                return self.copy_of_execute_failed(at, events);
            }
        }
        Ok(())
    }

    /// A Parse, Bind, Describe or Close failed. Where its Execute was announced already, that is what failed; else the
    /// attempt is a record of its own.
    pub(super) fn end_refused(&mut self, how: How, bytes: u64, at: Timestamp, events: &mut Vec<Event>) {
        let (attempted, announced) = match self.answered() {
            Some(Expect::Parse(name, prepared)) => {
                self.names.forget_sent_statement(&name, prepared.id);
                if name.is_unnamed() {
                    self.names.remove_statement(&name);
                }
                let announced = self.announced(|sent| sent.prepared == prepared.id);
                (Some(prepared), announced)
            }
            Some(Expect::Bind(bind)) => {
                self.names.forget_sent_portal(&bind.portal, bind.id);
                let announced = self.announced(|sent| sent.portal == bind.portal);
                (Some(bind.prepared), announced)
            }
            Some(Expect::Describe(Target::Portal, name)) => (None, self.announced(|sent| sent.portal == name)),
            Some(Expect::Close(target, name, id)) => {
                self.forget_close(target, &name, id);
                (None, None)
            }
            _ => (None, None),
        };
        let Some(no) = announced.or_else(|| {
            let prepared = attempted?;
            Some(self.begin_attempt(&prepared, at, events))
        }) else {
            return;
        };
        let mut run = Run::new(no, 0);
        run.count_out(bytes.saturating_add(std::mem::take(&mut self.loose_out)));
        self.end(run, how, at, events);
    }

    /// The first Execute of the pipeline's rest that fits and was announced with its own message; it counts as told.
    fn announced(&mut self, fits: impl Fn(&SentExecute) -> bool) -> Option<u64> {
        let rest = self.queue.iter_mut().take_while(|entry| !matches!(entry, Expect::Sync));
        let mut fitting = rest.filter_map(|entry| match entry.sent() {
            Expect::Execute(sent) if sent.first && fits(sent) => Some(sent),
            _ => None,
        });
        let sent = fitting.next()?;
        sent.first = false;
        Some(sent.no)
    }

    /// A statement that will not come to its Execute.
    pub(super) fn begin_attempt(&mut self, prepared: &Arc<Prepared>, at: Timestamp, events: &mut Vec<Event>) -> u64 {
        let bytes_in = std::mem::take(&mut self.loose_in);
        self.begin_extended(prepared, Parameters::default(), bytes_in, at, events)
    }

    /// A Close that failed, or was passed over, means nothing for the name.
    pub(super) fn forget_close(&mut self, target: Target, name: &Name, id: u64) {
        match target {
            Target::Statement => self.names.forget_sent_statement(name, id),
            Target::Portal => {
                self.names.forget_sent_portal(name, id);
            }
        }
    }
}
