//! What a session's bytes are shown to before they go on.
//!
//! In: bytes of both directions, as read. Out: events, in the intake journal. Between [`Ledger::client`] or
//! [`Ledger::server`] and the writing of those bytes stands [`Ledger::poll_recorded`]: while the journal cannot be written it is
//! pending, and the session stands still (`[log].when_unwritable = "block"`; with `"pass"` the journal itself records a
//! gap and takes the events for recorded).

use std::fmt;
use std::future::{Future, poll_fn};
use std::io::ErrorKind;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{self, Sleep};
use uuid::{NoContext, Uuid};

use super::gate::Gates;
use super::together::{self, Settled, Share};
use crate::audit::{Intake, OnDisk, Position, Unwritable, UnwritableReason};
use crate::clock::{Clock, Timestamp};
use crate::quarantine::Quarantines;
use crate::session::event::{Subject, Who};
use crate::session::gate::{Denial, Progress};
use crate::session::{Ending, Event, Heard, OutOfStep, Outgoing, Passed, SharedSubjectColumns, Tracker};
use crate::wire::startup;

/// How long until a journal that could not be written is tried again.
const RETRY_AFTER: Duration = Duration::from_millis(20);

/// What a session keeps of its room for events.
const EVENTS_KEPT: usize = 4;

/// Which columns name a data subject.
pub trait Subjects: Send + Sync {
    /// Changes behind every change of any of them. Asked on every read of a client: cheap.
    fn version(&self) -> u64;
    /// Those of a database, by its name.
    fn of(&self, database: &str) -> SharedSubjectColumns;
}

/// What the data plane needs of the rooms around it.
#[derive(Clone)]
pub struct Stage {
    /// Where events go.
    pub intake: Intake,
    /// Which columns name a data subject.
    pub subjects: Arc<dyn Subjects>,
    /// The time.
    pub clock: Clock,
    /// What may deny and cut.
    pub gates: Gates,
    /// Who is kept out.
    pub quarantines: Quarantines,
}

impl fmt::Debug for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stage").finish_non_exhaustive()
    }
}

/// The books of one session.
#[derive(Debug)]
pub struct Ledger {
    tracker: Tracker,
    subjects: SharedSubjectColumns,
    /// [`Subjects::version`], before they were asked for.
    subjects_version: Option<u64>,
    between_messages: bool,
    is_gated: bool,
    /// The gate that was asked whether it concerns this session.
    gate: u64,
    page: Page,
}

/// What is not in the journal yet.
#[derive(Debug)]
struct Page {
    stage: Stage,
    events: Vec<Event>,
    /// Of what is appended together with others'.
    share: Option<Share>,
    /// Written last, and not known to be on the disk, where that is promised.
    off_disk: Option<(Position, Awaited)>,
    /// Set while the journal cannot be written.
    retry: Option<Pin<Box<Sleep>>>,
}

/// The disk's word.
struct Awaited(OnDisk);

impl fmt::Debug for Awaited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Awaited")
    }
}

impl Ledger {
    /// Opens the books of a client that has just connected. Nothing is in the journal until it is shown something, or closed.
    pub fn open(stage: Stage, client_addr: String) -> Ledger {
        let at = stage.clock.now();
        let tracker = Tracker::new(session_id(at), client_addr, at);
        let page = Page { stage, events: Vec::new(), share: None, off_disk: None, retry: None };
        Ledger {
            tracker,
            subjects: SharedSubjectColumns::default(),
            subjects_version: None,
            between_messages: true,
            is_gated: false,
            gate: 0,
            page,
        }
    }

    /// The client's leg is encrypted from now on.
    pub fn encrypted(&mut self, version: &'static str, certificate: Option<Subject>) {
        self.tracker.encrypted(version, certificate);
    }

    /// Who the client is, as far as that is known.
    pub fn who(&self) -> &Who {
        self.tracker.who()
    }

    /// Shows it bytes of the client, from the StartupMessage on.
    ///
    /// # Errors
    /// They cannot be followed; only the first [`Ledger::followed`] of them may go on, and nothing after them.
    pub fn client(&mut self, bytes: &[u8]) -> Result<(), OutOfStep> {
        let at = self.page.stage.clock.now();
        self.tracker.client(bytes, at, &mut self.page.events)?;
        self.renew_subjects();
        Ok(())
    }

    /// At a read of the client's, not of the server's: what the server says next answers what was asked here.
    fn renew_subjects(&mut self) {
        let version = Some(self.page.stage.subjects.version());
        if self.subjects_version != version
            && let Some(database) = self.tracker.database()
        {
            self.subjects = self.page.stage.subjects.of(database);
            self.subjects_version = version;
        }
    }

    /// Whether what the client says has to be judged before it goes on. Once it had to, it stays so.
    pub fn is_gated(&mut self) -> bool {
        let gates = &self.page.stage.gates;
        let number = gates.number();
        if number != self.gate {
            self.gate = number;
            self.is_gated |= gates.concern(self.tracker.who());
        }
        self.is_gated
    }

    /// [`Ledger::client`] where it is gated. Takes off `input` what it has taken; `out` has what may go on.
    ///
    /// # Errors
    /// As [`Ledger::client`].
    pub fn client_gated(&mut self, input: &mut &[u8], out: &mut Outgoing) -> Result<Heard, OutOfStep> {
        let at = self.page.stage.clock.now();
        let heard = self.tracker.client_gated(input, at, &mut self.page.events, out)?;
        self.renew_subjects();
        Ok(heard)
    }

    /// Asks the gate about what [`Heard::Asks`] told of, and does as it says.
    ///
    /// # Errors
    /// As [`Ledger::client`].
    pub fn poll_judged(&mut self, cx: &mut Context<'_>, out: &mut Outgoing) -> Result<Poll<()>, OutOfStep> {
        let at = self.page.stage.clock.now();
        match self.page.stage.gates.poll_ask(cx, &self.tracker.question(out, at)) {
            Poll::Pending => Ok(Poll::Pending),
            Poll::Ready(verdict) => {
                self.tracker.judge(verdict, at, &mut self.page.events, out)?;
                Ok(Poll::Ready(()))
            }
        }
    }

    /// [`Ledger::server`] where it is gated.
    ///
    /// # Errors
    /// As [`Ledger::server`].
    pub fn server_gated(&mut self, bytes: &[u8]) -> Result<Passed, OutOfStep> {
        let at = self.page.stage.clock.now();
        let gates = &self.page.stage.gates;
        let mut look = |progress: &Progress<'_>| gates.look(progress);
        let passed = self.tracker.server_gated(bytes, at, &self.subjects, &mut self.page.events, &mut look)?;
        self.between_messages = passed.cut.is_some() || self.tracker.server_is_between_messages();
        Ok(passed)
    }

    /// The last word to a client whose result is cut.
    pub fn farewell(&self, denial: &Denial) -> Vec<u8> {
        self.tracker.farewell(denial)
    }

    /// What cancels what is under way in the server, once the server has said how.
    pub fn cancel_request(&self) -> Option<Vec<u8>> {
        self.tracker.cancel_key().map(startup::cancel_request)
    }

    /// Which of the server's processes serves this session, once the server has said so.
    pub fn backend(&self) -> Option<u32> {
        let key = self.tracker.cancel_key()?;
        key.first_chunk().map(|pid| u32::from_be_bytes(*pid))
    }

    /// After an error of [`Ledger::client`]: how many of the bytes may go on.
    pub fn followed(&self) -> usize {
        self.tracker.followed()
    }

    /// Shows it bytes of the server.
    ///
    /// # Errors
    /// They cannot be followed; none of them may go on.
    pub fn server(&mut self, bytes: &[u8]) -> Result<(), OutOfStep> {
        let at = self.page.stage.clock.now();
        self.tracker.server(bytes, at, &self.subjects, &mut self.page.events)?;
        self.between_messages = self.tracker.server_is_between_messages();
        Ok(())
    }

    /// Whether the client may be read: it is not too far ahead of the server's answers.
    pub fn wants_client(&self) -> bool {
        self.tracker.wants_client()
    }

    /// Whether nothing is under way in the session.
    pub fn is_idle(&self) -> bool {
        self.tracker.is_idle()
    }

    /// Whether what was shown of the server, and could be followed, ends with a message: a word of ours behind it does not
    /// land in the middle of one of the server's.
    pub fn is_between_messages(&self) -> bool {
        self.between_messages
    }

    /// To be called first thing in every poll: what was to be appended together with others' is, or is to be appended anew.
    ///
    /// # Errors
    /// The session has to end.
    pub fn settle(&mut self) -> Result<(), Unwritable> {
        self.page.settle()
    }

    /// Ready once the journal has everything that was shown.
    ///
    /// # Errors
    /// It never will: the session has to end.
    pub fn poll_recorded(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Unwritable>> {
        self.page.poll_recorded(cx)
    }

    /// Closes the books; returns when the journal has the session's last event.
    pub async fn close(self, ending: Ending) {
        let Ledger { tracker, mut page, .. } = self;
        let at = page.stage.clock.now();
        page.stage.gates.closed(tracker.who().session_id);
        tracker.close(at, ending, &mut page.events);
        while let Err(unwritable) = poll_fn(|cx| page.poll_recorded(cx)).await {
            tracing::error!(%unwritable, "an event is given up");
            page.events.remove(0);
        }
    }
}

impl Page {
    fn poll_recorded(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Unwritable>> {
        self.settle()?;
        loop {
            if let Some(retry) = &mut self.retry {
                ready!(retry.as_mut().poll(cx));
                self.retry = None;
            }
            if let Some((through, Awaited(on_disk))) = &mut self.off_disk {
                if let Err(unwritable) = ready!(on_disk.as_mut().poll(cx)) {
                    tracing::warn!(%unwritable, "the intake journal is not on the disk yet");
                    let through = *through;
                    self.wait_for_disk(through);
                    self.retry_later();
                    continue;
                }
                self.off_disk = None;
            }
            if self.events.is_empty() {
                return Poll::Ready(Ok(()));
            }
            self.share = together::join(&mut self.events);
            if self.share.is_some() {
                return Poll::Pending;
            }
            let appended = self.stage.intake.append(&mut self.events);
            self.events.shrink_to(EVENTS_KEPT);
            match appended {
                Ok(through) => self.wait_for_disk(through),
                Err(unwritable) if unwritable.reason.may_pass() => self.retry_later(),
                Err(unwritable) => return Poll::Ready(Err(unwritable)),
            }
        }
    }

    fn settle(&mut self) -> Result<(), Unwritable> {
        let Some(share) = self.share.take() else { return Ok(()) };
        match share.settle(&self.stage.intake, &mut self.events) {
            Settled::Appended(through) => self.wait_for_disk(through),
            Settled::GivenBack => {}
            Settled::Lost => return Err(Unwritable { reason: UnwritableReason::System(ErrorKind::Other) }),
        }
        Ok(())
    }

    fn wait_for_disk(&mut self, through: Position) {
        self.off_disk = self.stage.intake.on_disk(through).map(|on_disk| (through, Awaited(on_disk)));
    }

    fn retry_later(&mut self) {
        self.retry = Some(Box::pin(time::sleep(RETRY_AFTER)));
    }
}

/// A UUID of version 7 (RFC 9562): sorted by when the session began.
fn session_id(at: Timestamp) -> Uuid {
    let micros = u64::try_from(at.0).unwrap_or(0);
    let nanos = u32::try_from(micros % 1_000_000 * 1_000).unwrap_or(0);
    Uuid::new_v7(uuid::Timestamp::from_unix(NoContext, micros / 1_000_000, nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_have_ids_of_their_own_that_sort_by_time() {
        let early = session_id(Timestamp(1_795_000_000_000_000));
        assert_ne!(early, session_id(Timestamp(1_795_000_000_000_000)));
        assert!(early < session_id(Timestamp(1_795_000_000_001_000)));
        session_id(Timestamp(i64::MIN));
    }
}
