//! The state of one session.
//!
//! In: bytes of both directions, before they go on, and the time. Out: [`Event`]s. The work is in `client` and
//! `server`; here is what they share.

use std::collections::VecDeque;
use std::sync::Arc;

use uuid::Uuid;

use super::client::ClientStream;
use super::copying::CopyIn;
use super::event::{Begun, Ended, Event, Opened, Raised, Subject, Told, Who};
use super::expect::{Asked, Expect};
use super::names::Names;
use super::run::Run;
use super::server::ServerStream;
use super::skipping::Unsaid;
use super::{OUTSTANDING_MAX, OUTSTANDING_TEXT_BYTES_MAX, OutOfStep, SubjectColumns};
use crate::clock::Timestamp;
use crate::record::{Outcome, Protocol};
use crate::wire::bind::Parameters;

/// Follows one session over both directions. See [`super`].
///
/// The first event of its first call is [`Event::Opened`]; the last, of [`Tracker::close`], is [`Event::Closed`]. After
/// an [`OutOfStep`] of the server only [`Tracker::close`] makes sense; after one of the client nothing more of the client may
/// come, and what the server answers to [`Tracker::followed`] still may.
#[derive(Debug)]
pub struct Tracker {
    pub(super) who: Arc<Who>,
    pub(super) opened_at: Timestamp,
    opened_told: bool,
    pub(super) tls_version: Option<&'static str>,
    pub(super) client: ClientStream,
    pub(super) server: ServerStream,
    pub(super) queue: VecDeque<Expect>,
    pub(super) queue_text_bytes: usize,
    pub(super) names: Names,
    /// The execution that the server is answering: always that of the first entry of `queue`.
    pub(super) current: Option<Run>,
    /// After an error in an extended query, until the Sync that has not been sent yet.
    pub(super) skipping: bool,
    /// What was passed over and no record speaks of yet.
    pub(super) unsaid: Unsaid,
    /// A COPY that reads the client's messages: always that of the first entry of `queue`.
    pub(super) copy: Option<CopyIn>,
    /// The SQLSTATE of an error that answered a Sync.
    pub(super) commit_failed: Option<String>,
    /// Bytes of Parse, Bind and Describe that belong to the Execute that will follow.
    pub(super) loose_in: u64,
    /// Bytes of the answers to them.
    pub(super) loose_out: u64,
    /// Of these, what functions said in notices.
    pub(super) loose_raised: Raised,
    pub(super) statements: u64,
    /// A gate is or was loaded.
    pub(super) gated: bool,
    /// Entries of `queue` that are denied.
    pub(super) denied: usize,
    /// Entries of `queue` that may give a name another meaning; and the number of the last, among `ids`.
    pub(super) renaming: usize,
    pub(super) renamed_at: u64,
    /// The last number when the last Sync was sent.
    pub(super) synced: u64,
    /// Numbers Parses, Binds and Closes.
    pub(super) ids: u64,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
}

impl Tracker {
    /// A session that was just opened. `client_addr` as in [`Who`].
    pub fn new(session_id: Uuid, client_addr: String, at: Timestamp) -> Tracker {
        Tracker {
            who: Arc::new(Who { session_id, client_addr, ..Who::default() }),
            opened_at: at,
            opened_told: false,
            tls_version: None,
            client: ClientStream::new(),
            server: ServerStream::new(),
            queue: VecDeque::new(),
            queue_text_bytes: 0,
            names: Names::default(),
            current: None,
            skipping: false,
            unsaid: Unsaid::default(),
            copy: None,
            commit_failed: None,
            loose_in: 0,
            loose_out: 0,
            loose_raised: Raised::default(),
            statements: 0,
            gated: false,
            denied: 0,
            renaming: 0,
            renamed_at: 0,
            synced: 0,
            ids: 0,
            bytes_in: 0,
            bytes_out: 0,
        }
    }

    /// The client's leg is encrypted from now on; to be told before the start-up message. `version` as PostgreSQL
    /// writes it: `TLSv1.3`.
    pub fn encrypted(&mut self, version: &'static str, certificate: Option<Subject>) {
        self.tls_version = Some(version);
        self.who = Arc::new(Who { certificate, ..Who::clone(&self.who) });
    }

    /// Takes bytes of the client, in order, cut anywhere, from the start-up message on, before they go on to the
    /// server. Pushes what begins with them.
    pub fn client(&mut self, bytes: &[u8], at: Timestamp, events: &mut Vec<Event>) -> Result<(), OutOfStep> {
        self.tell_opened(events);
        self.bytes_in = self.bytes_in.saturating_add(length(bytes));
        self.read_client(bytes, at, events)
    }

    /// After an error of [`Tracker::client`]: how many of those bytes can go on to the server, because they came before the
    /// message that could not be followed.
    pub fn followed(&self) -> usize {
        self.client.followed()
    }

    /// Takes bytes of the server, in order, cut anywhere, before they go on to the client. Pushes what ends with them.
    /// Where ReadyForQuery comes in the same call as the last end before it, it rides on that [`Ended`].
    pub fn server(
        &mut self,
        bytes: &[u8],
        at: Timestamp,
        subjects: &SubjectColumns,
        events: &mut Vec<Event>,
    ) -> Result<(), OutOfStep> {
        self.tell_opened(events);
        self.bytes_out = self.bytes_out.saturating_add(length(bytes));
        self.read_server(bytes, at, subjects, events)
    }

    /// Who is connected, as far as that is known.
    pub fn who(&self) -> &Who {
        &self.who
    }

    /// The database connected to; known after the start-up message.
    pub fn database(&self) -> Option<&str> {
        self.who.database.as_deref()
    }

    /// BackendKeyData's body; known once the server has sent it.
    pub fn cancel_key(&self) -> Option<&[u8]> {
        self.server.key.as_ref().map(|key| &*key.0)
    }

    /// Whether ending the session now would lose nothing: the server has said ReadyForQuery outside of a transaction
    /// block, and nothing is outstanding.
    pub fn is_idle(&self) -> bool {
        self.owes_nothing()
            && !self.skipping
            && self.server.is_idle()
            && self.client.is_between_messages()
            && self.names_are_quiet()
    }

    /// Whether the last byte seen of the server ended a message of its.
    pub fn server_is_between_messages(&self) -> bool {
        self.server.is_between_messages()
    }

    /// False while the client is so far ahead of the server's answers that a proxy should stop reading from it. The
    /// server's answers make it true again.
    pub fn wants_client(&self) -> bool {
        self.queue.len() < OUTSTANDING_MAX >> 1 && self.queue_text_bytes < OUTSTANDING_TEXT_BYTES_MAX >> 1
    }

    /// Whether the server has answered everything, but for Syncs that need no answer.
    pub(super) fn owes_nothing(&self) -> bool {
        self.queue.iter().all(|entry| matches!(entry, Expect::Spare(_) | Expect::CopyInput(_)))
    }

    fn names_are_quiet(&self) -> bool {
        self.current.is_none()
    }

    pub(super) fn tell_opened(&mut self, events: &mut Vec<Event>) {
        if !self.opened_told {
            self.opened_told = true;
            events.push(Event::Opened(Opened { who: self.who.clone(), at: self.opened_at }));
        }
    }

    /// Adds what the server will have to answer.
    pub(super) fn expect(&mut self, mut entry: Expect) -> Result<(), OutOfStep> {
        if let Some(denial) = self.client.denial.take() {
            entry = Expect::Denied(Box::new((entry, denial)));
            self.denied = self.denied.saturating_add(1);
        }
        let runs = matches!(entry, Expect::Query(_) | Expect::Execute(_) | Expect::Call(_) | Expect::Denied(_));
        self.server.settled &= !runs;
        self.queue_text_bytes = self.queue_text_bytes.saturating_add(entry.text_bytes());
        if self.queue.len() >= OUTSTANDING_MAX || self.queue_text_bytes > OUTSTANDING_TEXT_BYTES_MAX {
            return Err(OutOfStep::TooFarAhead);
        }
        self.queue.push_back(entry);
        self.copy_is_left();
        Ok(())
    }

    /// Takes off what the server has answered.
    pub(super) fn answered(&mut self) -> Option<Expect> {
        let entry = self.queue.pop_front();
        self.taken_off(entry)
    }

    /// Keeps the books of an entry that was taken off; gives what the client sent.
    pub(super) fn taken_off(&mut self, entry: Option<Expect>) -> Option<Expect> {
        self.queue_text_bytes = self.queue_text_bytes.saturating_sub(entry.as_ref().map_or(0, Expect::text_bytes));
        if self.queue.is_empty() {
            self.queue.shrink_to(QUEUE_KEPT);
        }
        match entry {
            Some(Expect::Query(Asked { renames: true, .. })) => self.renaming = self.renaming.saturating_sub(1),
            Some(Expect::Execute(ref sent)) if sent.renames => self.renaming = self.renaming.saturating_sub(1),
            Some(Expect::Denied(denied)) => {
                self.denied = self.denied.saturating_sub(1);
                return Some(denied.0);
            }
            _ => {}
        }
        entry
    }

    pub(super) fn next_id(&mut self) -> u64 {
        self.ids = self.ids.saturating_add(1);
        self.ids
    }

    /// Announces a statement and gives its number.
    pub(super) fn begin(&mut self, new: New, at: Timestamp, events: &mut Vec<Event>) -> u64 {
        self.statements = self.statements.saturating_add(1);
        events.push(Event::Begun(Begun {
            who: self.who.clone(),
            statement_no: self.statements,
            at,
            protocol: new.protocol,
            text: new.text,
            text_bytes: new.text_bytes,
            bytes_in: new.bytes_in,
            parameters: new.parameters,
        }));
        self.statements
    }

    /// Ends an execution.
    pub(super) fn end(&self, mut run: Run, how: How, at: Timestamp, events: &mut Vec<Event>) {
        events.push(Event::Ended(Ended {
            who: self.who.clone(),
            statement_no: run.no,
            part: run.part,
            more: how.more,
            at,
            outcome: how.outcome,
            tag: how.tag,
            rows_returned: run.rows,
            bytes_out: run.bytes_out,
            bytes_in: run.bytes_in,
            sqlstate: how.sqlstate,
            error: how.error,
            told: Told { raised: run.raised, ..how.told },
            people: run.take_people(),
            baits: std::mem::take(&mut run.sprung).into(),
            sighted: run.take_sighted().into(),
            columns: run.columns,
            ready: None,
        }));
    }
}

/// Entries of the queue whose memory is kept while it is empty.
const QUEUE_KEPT: usize = 8;

/// A statement to announce.
pub(super) struct New {
    pub protocol: Protocol,
    pub text: Arc<[u8]>,
    pub text_bytes: u64,
    pub bytes_in: u64,
    pub parameters: Parameters,
}

/// How an execution ended.
pub(super) struct How {
    pub outcome: Outcome,
    pub more: bool,
    pub tag: String,
    pub sqlstate: Option<String>,
    pub error: Option<String>,
    pub told: Told,
}

impl How {
    /// Without a tag or an error.
    pub fn plain(outcome: Outcome) -> How {
        How { outcome, more: false, tag: String::new(), sqlstate: None, error: None, told: Told::default() }
    }
}

/// A slice's length as the events count.
pub(super) fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}
