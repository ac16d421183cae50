//! Bytes of the client where a gate is loaded: what may be denied is held until it is judged.
//!
//! In: bytes, cut anywhere, and verdicts. Out: events as ever, and in an [`Outgoing`] the bytes for the server: everything in its
//! order, a denied message replaced. Holds [`HELD_BYTES_MAX`] and one read at most.

use std::borrow::Cow;

use super::event::Event;
use super::gate::{Denial, HELD_BYTES_MAX, Message, Question, Verdict, may_be_denied, replacement};
use super::names::Prepared;
use super::tracker::{Tracker, length};
use super::{OutOfStep, UNKNOWN_TEXT};
use crate::clock::Timestamp;
use crate::record::Protocol;
use crate::wire::frame::HEADER_BYTES;
use crate::wire::frontend::{self, Name, SqlText, kind};
use crate::wire::read::Reader;

/// What SQL's PREPARE and DECLARE have in common with nothing else that matters: with them a name may come to mean another
/// statement, or portal, than the one that was sent for it.
const RENAMING: [&[u8]; 2] = [b"prepare", b"declare"];
/// Memory that is kept while nothing is under way, bytes.
const OUTGOING_KEPT_BYTES_MAX: usize = 64 << 10;

/// Bytes on their way to the server.
#[derive(Debug, Default)]
pub struct Outgoing {
    bytes: Vec<u8>,
    written: usize,
    /// Where the message begins that is held.
    free: usize,
}

impl Outgoing {
    /// What may be written.
    pub fn free(&self) -> &[u8] {
        self.bytes.get(self.written..self.free).unwrap_or(&[])
    }

    /// `count` bytes of [`Outgoing::free`] have been written.
    pub fn written(&mut self, count: usize) {
        self.written = self.written.saturating_add(count).min(self.free);
        if self.written == self.bytes.len() {
            self.bytes.clear();
            self.bytes.shrink_to(OUTGOING_KEPT_BYTES_MAX);
            (self.written, self.free) = (0, 0);
        }
    }

    /// Whether nothing is under way, held or free.
    pub fn is_empty(&self) -> bool {
        self.written == self.bytes.len()
    }

    /// What is held will not go.
    pub fn forget_held(&mut self) {
        self.replace_held(&[]);
        self.written(0);
    }

    fn hold(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    fn held(&self) -> &[u8] {
        self.bytes.get(self.free..).unwrap_or(&[])
    }

    /// The body of the message that is held.
    fn held_body(&self) -> &[u8] {
        self.held().get(HEADER_BYTES..).unwrap_or(&[])
    }

    fn release(&mut self) {
        self.free = self.bytes.len();
    }

    fn replace_held(&mut self, bytes: &[u8]) {
        self.bytes.truncate(self.free);
        self.bytes.extend_from_slice(bytes);
    }
}

/// What is known of the message under way.
#[derive(Debug, Default)]
pub(super) enum Judging {
    /// It goes on as it comes.
    #[default]
    Free,
    /// It is held.
    Holding,
    /// It is held, and enough of it has come to be judged: all of it, or the most that is held.
    Asking { whole: bool },
    /// It was denied by its beginning. This comes in its place.
    Dropping(Denial, Vec<u8>),
}

/// How far the client's bytes were taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// All of them.
    All,
    /// Up to a message that has to be judged: see [`Tracker::question`] and [`Tracker::judge`].
    Asks,
    /// Up to a message that cannot be judged before the server has answered what was sent before: a name in it means one thing or
    /// another, according to whether that fails.
    Waits,
}

impl Tracker {
    /// [`Tracker::client`], where a gate is loaded. Takes off `input` what it has taken; what may go on is in `out`.
    pub fn client_gated(
        &mut self,
        input: &mut &[u8],
        at: Timestamp,
        events: &mut Vec<Event>,
        out: &mut Outgoing,
    ) -> Result<Heard, OutOfStep> {
        self.tell_opened(events);
        self.gated = true;
        loop {
            if let Judging::Asking { .. } = self.client.judging {
                match self.stands(out) {
                    Stands::Certain => return Ok(Heard::Asks),
                    Stands::Waits => return Ok(Heard::Waits),
                    Stands::Free => self.judge(Verdict::Allow, at, events, out)?,
                }
            } else if input.is_empty() {
                return Ok(Heard::All);
            } else {
                let before = *input;
                let heard = self.hear(input, at, events, out);
                let taken = before.len().saturating_sub(input.len());
                self.bytes_in = self.bytes_in.saturating_add(length(before.get(..taken).unwrap_or(before)));
                heard?;
            }
        }
    }

    /// Takes a message's header or body, as far as it has come.
    fn hear(
        &mut self,
        input: &mut &[u8],
        at: Timestamp,
        events: &mut Vec<Event>,
        out: &mut Outgoing,
    ) -> Result<(), OutOfStep> {
        let before = *input;
        if !self.client.started {
            self.read_first(input)?;
            out.hold(taken(before, input));
            out.release();
            return Ok(());
        }
        if !self.client.scanner.is_inside() {
            let header = self.client.scanner.header(input).map_err(OutOfStep::ClientFrame)?;
            out.hold(taken(before, input));
            let Some(header) = header else { return Ok(()) };
            self.client.header = header;
            // One whose header was partly passed on before the gate was loaded cannot be taken back.
            let held = out.held().len() >= HEADER_BYTES && may_be_denied(header.kind) && !self.skipping;
            self.client.judging = if held { Judging::Holding } else { Judging::Free };
        }
        let (piece, last) = self.client.scanner.body(input);
        match std::mem::take(&mut self.client.judging) {
            Judging::Free => {
                out.hold(piece);
                self.follow_client(piece, last, at, events)?;
                out.release();
                Ok(())
            }
            Judging::Holding | Judging::Asking { .. } => {
                out.hold(piece);
                let enough = last || out.held().len() >= HELD_BYTES_MAX;
                self.client.judging = if enough { Judging::Asking { whole: last } } else { Judging::Holding };
                Ok(())
            }
            Judging::Dropping(denial, instead) if last => {
                out.hold(&instead);
                self.follow_denied(denial, piece, at, events)?;
                out.release();
                Ok(())
            }
            Judging::Dropping(denial, instead) => {
                self.client.judging = Judging::Dropping(denial, instead);
                self.follow_client(piece, false, at, events)
            }
        }
    }

    /// What [`Heard::Asks`] asks.
    pub fn question<'a>(&'a self, out: &'a Outgoing, at: Timestamp) -> Question<'a> {
        let (message, text, text_bytes) = self.wanted(out);
        let protocol = match message {
            Message::Query if self.client.replication => Protocol::Replication,
            Message::Query => Protocol::Simple,
            Message::Call => Protocol::Fastpath,
            Message::Parse | Message::Bind | Message::Execute => Protocol::Extended,
        };
        let name = match message {
            Message::Parse => first_name_of(out.held_body()).filter(|name| !name.is_unnamed()),
            _ => None,
        };
        Question {
            who: &self.who,
            at,
            statement_no: self.statements.saturating_add(1),
            protocol,
            message,
            name,
            own_settings: self.client.own_settings,
            is_settled: self.server.settled,
            text,
            text_bytes,
        }
    }

    /// The answer to it.
    pub fn judge(
        &mut self,
        verdict: Verdict,
        at: Timestamp,
        events: &mut Vec<Event>,
        out: &mut Outgoing,
    ) -> Result<(), OutOfStep> {
        let Judging::Asking { whole } = std::mem::take(&mut self.client.judging) else { return Ok(()) };
        match verdict {
            Verdict::Allow => {
                self.follow_client(out.held_body(), whole, at, events)?;
                out.release();
            }
            Verdict::Deny(denial) if whole => {
                let instead = replacement(self.client.header.kind, out.held_body());
                self.follow_denied(denial, out.held_body(), at, events)?;
                out.replace_held(&instead);
                out.release();
            }
            Verdict::Deny(denial) => {
                let instead = replacement(self.client.header.kind, out.held_body());
                self.follow_client(out.held_body(), false, at, events)?;
                out.replace_held(&[]);
                self.client.judging = Judging::Dropping(denial, instead);
            }
        }
        Ok(())
    }

    /// The last piece of a message that the server does not get.
    fn follow_denied(
        &mut self,
        denial: Denial,
        piece: &[u8],
        at: Timestamp,
        events: &mut Vec<Event>,
    ) -> Result<(), OutOfStep> {
        self.client.denial = Some(denial);
        let followed = self.follow_client(piece, true, at, events);
        // Nothing is awaited where the server skips it anyway.
        self.client.denial = None;
        followed
    }

    fn wanted<'a>(&'a self, out: &'a Outgoing) -> (Message, Cow<'a, [u8]>, u64) {
        let body = out.held_body();
        let known = |sql: SqlText<'a>| self.client.read(sql);
        let prepared = |prepared: Option<&'a Prepared>| match prepared {
            Some(prepared) if prepared.is_known() => (Cow::from(&prepared.text[..]), prepared.text_bytes),
            _ => (Cow::from(UNKNOWN_TEXT), 0),
        };
        let body_bytes = self.client.header.body_bytes();
        let (message, (text, text_bytes)) = match self.client.header.kind {
            kind::QUERY => (Message::Query, known(frontend::query(body, body_bytes))),
            kind::PARSE => match frontend::parse(body, body_bytes) {
                Ok((_, sql)) => (Message::Parse, known(sql)),
                Err(_) => (Message::Parse, prepared(None)),
            },
            kind::BIND => (Message::Bind, prepared(bind_of(body).and_then(|name| self.certain_statement(&name)))),
            kind::EXECUTE => {
                (Message::Execute, prepared(first_name_of(body).and_then(|name| self.certain_portal(&name))))
            }
            _ => {
                let text = frontend::function_oid(body).unwrap_or(0).to_string().into_bytes();
                let text_bytes = length(&text);
                (Message::Call, (Cow::from(text), text_bytes))
            }
        };
        (message, text, text_bytes)
    }
}

/// Whether a held message can be judged.
enum Stands {
    Certain,
    Waits,
    /// It needs not be: its portal is under way already.
    Free,
}

/// What names mean, as far as it is certain now.
impl Tracker {
    fn stands(&self, out: &Outgoing) -> Stands {
        let body = out.held_body();
        let sent = match self.client.header.kind {
            kind::BIND => bind_of(body).and_then(|name| self.names.sent_statement_id(&name)),
            kind::EXECUTE => {
                let portal = first_name_of(body);
                if portal.as_ref().is_some_and(|name| self.names.is_under_way(name)) {
                    return Stands::Free;
                }
                portal.and_then(|name| self.names.sent_portal_id(&name))
            }
            _ => None,
        };
        // What was sent before a Sync may fail without what comes after it being skipped. The server answers a Sync
        // whatever else it gets, unless it is reading COPY data: then it will not take this message anyway.
        let waits = sent.is_some_and(|id| id <= self.synced) && !self.is_copying_in();
        if waits { Stands::Waits } else { Stands::Certain }
    }

    fn certain_statement(&self, name: &Name) -> Option<&Prepared> {
        let uncertain = !name.is_unnamed() && self.may_be_renamed(self.names.sent_statement_id(name));
        if uncertain { None } else { self.names.statement_meant(name) }
    }

    fn certain_portal(&self, name: &Name) -> Option<&Prepared> {
        let uncertain = !name.is_unnamed() && self.may_be_renamed(self.names.sent_portal_id(name));
        if uncertain { None } else { self.names.portal_meant(name) }
    }

    /// Whether SQL that is outstanding may give a name another meaning than the message of that number gave it.
    fn may_be_renamed(&self, sent: Option<u64>) -> bool {
        self.renaming > 0 && sent.is_none_or(|id| id < self.renamed_at)
    }

    /// Whether a text is one that may: it is noted, where a gate is loaded, until it is answered.
    pub(super) fn renames(&mut self, text: &[u8], text_bytes: u64) -> bool {
        let renames =
            self.gated && (text_bytes > length(text) || RENAMING.iter().any(|word| contains_ignoring_case(text, word)));
        if renames {
            self.renaming = self.renaming.saturating_add(1);
            self.renamed_at = self.next_id();
        }
        renames
    }
}

fn bind_of(body: &[u8]) -> Option<Name> {
    let mut reader = Reader::new(body);
    reader.c_string().ok()?;
    reader.c_string().ok().map(Name::new)
}

/// The first name in a message: of an Execute the portal, of a Parse the statement.
fn first_name_of(body: &[u8]) -> Option<Name> {
    Reader::new(body).c_string().ok().map(Name::new)
}

fn taken<'a>(before: &'a [u8], after: &[u8]) -> &'a [u8] {
    before.get(..before.len().saturating_sub(after.len())).unwrap_or(before)
}

fn contains_ignoring_case(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word))
}
