//! Bytes of the client: what is about to reach the server.
//!
//! In: bytes, cut anywhere. Out: [`Event::Begun`], and an entry in the queue for every message that the server will
//! answer. Refuses lengths that the server would refuse. A message's events come with its last byte, so that nothing
//! the server could act on has gone on before.

use std::borrow::Cow;
use std::sync::Arc;

use super::dialect::{Dialect, is_plain, may_change};
use super::event::{Event, Who};
use super::expect::{Asked, Expect, SentBind, SentExecute};
use super::gate::Denial;
use super::holding::Judging;
use super::names::Prepared;
use super::run::text;
use super::tracker::{New, Tracker, length};
use super::{OutOfStep, TEXT_BYTES_MAX, UNKNOWN_TEXT};
use crate::clock::Timestamp;
use crate::record::Protocol;
use crate::wire::bind::{BindReader, Parameters};
use crate::wire::frame::{Capture, Header, SMALL_MESSAGE_BYTES_MAX, Scanner, Side};
use crate::wire::frontend::{self, NAME_BYTES_MAX, SqlText, Target, kind};
use crate::wire::startup::{self, FIRST_PACKET_BYTES_MAX, First, Startup};

/// What is captured of a Parse: a name and the text, bytes.
const PARSE_BYTES_MAX: usize = TEXT_BYTES_MAX + NAME_BYTES_MAX + 1;

/// Statements ahead of the server's answers that are kept to see, when it matters, whether they change how later ones are read. Any more
/// are looked at when they come.
const UNANSWERED_MAX: usize = 256;
/// The same of their length, bytes.
const UNANSWERED_BYTES_MAX: usize = 256 << 10;

/// The client's direction.
#[derive(Debug)]
pub(super) struct ClientStream {
    pub(super) started: bool,
    /// The connection is of the replication protocol.
    pub(super) replication: bool,
    /// How the server reads texts, as far as it has told.
    pub(super) dialect: Dialect,
    /// Something was sent that may change it, and the server has not answered that.
    dialect_changes: bool,
    /// What was sent and not answered, and may be that.
    unanswered: Vec<Arc<[u8]>>,
    unanswered_bytes: usize,
    /// It was changed since start-up.
    pub(super) dialect_moved: bool,
    /// What it streams are changes as `pgoutput` writes them.
    pub(super) streams_changes: bool,
    /// The StartupMessage set something.
    pub(super) own_settings: bool,
    pub(super) said_goodbye: bool,
    /// Bytes of the last call before the message that could not be followed, if there was one.
    followed: usize,
    pub(super) scanner: Scanner,
    pub(super) header: Header,
    capture: Capture,
    first: Vec<u8>,
    bind: BindReader,
    /// Where a gate is loaded: what is known of the message under way, and why it is denied.
    pub(super) judging: Judging,
    pub(super) denial: Option<Denial>,
}

impl ClientStream {
    pub fn new() -> ClientStream {
        ClientStream {
            started: false,
            replication: false,
            dialect: Dialect::default(),
            dialect_changes: false,
            unanswered: Vec::new(),
            unanswered_bytes: 0,
            dialect_moved: false,
            streams_changes: false,
            own_settings: false,
            said_goodbye: false,
            followed: 0,
            scanner: Scanner::new(Side::Frontend),
            header: Header::default(),
            capture: Capture::default(),
            first: Vec::new(),
            bind: BindReader::default(),
            judging: Judging::Free,
            denial: None,
        }
    }

    pub fn is_between_messages(&self) -> bool {
        self.scanner.is_between()
    }

    /// A statement as the server reads it, and its length. Where that depends on what the server has not answered yet, it is not known.
    pub fn read<'t>(&self, sql: SqlText<'t>) -> (Cow<'t, [u8]>, u64) {
        let text = sql.text.get(..TEXT_BYTES_MAX).unwrap_or(sql.text);
        if is_plain(text) {
            return (Cow::Borrowed(text), sql.text_bytes);
        }
        let changes = |sent: &Arc<[u8]>| may_change(sent, self.dialect_moved);
        match self.dialect_changes || self.unanswered.iter().any(changes) {
            true => (Cow::Borrowed(UNKNOWN_TEXT), 0),
            false => (self.dialect.read(text), sql.text_bytes),
        }
    }

    /// The same of one that is sent. What was sent before it is looked at when that matters, and not again.
    fn taken(&mut self, sql: SqlText<'_>) -> (Arc<[u8]>, u64) {
        let (text, bytes) = self.read(sql);
        let text: Arc<[u8]> = Arc::from(text.as_ref());
        if !is_plain(sql.text) {
            self.dialect_changes |= self.unanswered.iter().any(|sent| may_change(sent, self.dialect_moved));
            self.forget_unanswered();
        }
        self.unanswered_bytes = self.unanswered_bytes.saturating_add(text.len());
        match self.unanswered.len() < UNANSWERED_MAX && self.unanswered_bytes <= UNANSWERED_BYTES_MAX {
            true => self.unanswered.push(Arc::clone(&text)),
            false => self.dialect_changes |= may_change(&text, true),
        }
        (text, bytes)
    }

    /// The server has answered everything, and told what was changed.
    pub fn answered(&mut self) {
        self.dialect_changes = false;
        self.forget_unanswered();
    }

    fn forget_unanswered(&mut self) {
        self.unanswered.clear();
        self.unanswered_bytes = 0;
    }

    pub fn followed(&self) -> usize {
        self.followed
    }
}

impl Tracker {
    pub(super) fn read_client(
        &mut self,
        mut input: &[u8],
        at: Timestamp,
        events: &mut Vec<Event>,
    ) -> Result<(), OutOfStep> {
        let whole = input.len();
        self.client.followed = 0;
        if !self.client.started {
            self.read_first(&mut input)?;
        }
        while !input.is_empty() && self.client.started {
            if !self.client.scanner.is_inside() {
                if self.client.scanner.is_between() {
                    self.client.followed = whole.saturating_sub(input.len());
                }
                match self.client.scanner.header(&mut input).map_err(OutOfStep::ClientFrame)? {
                    Some(header) => self.client.header = header,
                    None => break,
                }
            }
            let (piece, last) = self.client.scanner.body(&mut input);
            self.follow_client(piece, last, at, events)?;
        }
        Ok(())
    }

    /// A piece of a message's body, the `last` one or not.
    pub(super) fn follow_client(
        &mut self,
        piece: &[u8],
        last: bool,
        at: Timestamp,
        events: &mut Vec<Event>,
    ) -> Result<(), OutOfStep> {
        let header = self.client.header;
        let captured = match header.kind {
            kind::QUERY => TEXT_BYTES_MAX.saturating_add(1),
            kind::PARSE => PARSE_BYTES_MAX,
            kind::EXECUTE | kind::DESCRIBE | kind::CLOSE => SMALL_MESSAGE_BYTES_MAX as usize,
            kind::FUNCTION_CALL => 4,
            kind::BIND => {
                self.client.bind.push(piece);
                0
            }
            _ => 0,
        };
        if last && self.client.capture.is_empty() {
            return self.client_message(header, piece.get(..captured).unwrap_or(piece), at, events);
        }
        // The capture leaves `self` while the message it holds is worked on, without a copy.
        let mut capture = std::mem::take(&mut self.client.capture);
        let done = match capture.take(piece, last, captured) {
            Some(body) => self.client_message(header, body, at, events),
            None => Ok(()),
        };
        if last {
            capture.clear();
        }
        self.client.capture = capture;
        done
    }

    pub(super) fn read_first(&mut self, input: &mut &[u8]) -> Result<(), OutOfStep> {
        let before = self.client.first.len();
        let room = FIRST_PACKET_BYTES_MAX.saturating_sub(before);
        self.client.first.extend_from_slice(input.get(..room).unwrap_or(input));
        let Some((first, total)) = startup::read(&self.client.first)? else {
            *input = &[];
            return Ok(());
        };
        *input = input.get(total.saturating_sub(before)..).unwrap_or(&[]);
        self.client.first = Vec::new();
        self.client.started = true;
        match first {
            First::Startup(startup) => {
                self.client.replication = startup.parameter("replication").is_some_and(asks_for_replication);
                self.client.own_settings = startup.parameters.iter().any(|(name, value)| changes_names(name, value));
                self.who = Arc::new(who(&self.who, &startup));
                self.expect(Expect::Startup)
            }
            First::SslRequest | First::GssEncRequest | First::Cancel(_) => Err(OutOfStep::NotStartup),
        }
    }

    /// A whole message, or the captured beginning of one.
    fn client_message(
        &mut self,
        header: Header,
        body: &[u8],
        at: Timestamp,
        events: &mut Vec<Event>,
    ) -> Result<(), OutOfStep> {
        let bytes = header.total_bytes();
        let is_copys = matches!(
            header.kind,
            kind::COPY_DATA | kind::COPY_DONE | kind::COPY_FAIL | kind::SYNC | kind::FLUSH | kind::TERMINATE
        );
        if !is_copys && self.is_unclear() {
            return Err(OutOfStep::Unclear);
        }
        match header.kind {
            kind::QUERY => self.sent_query(frontend::query(body, header.body_bytes()), bytes, at, events),
            kind::FUNCTION_CALL => self.sent_call(body, bytes, at, events),
            kind::PARSE => self.sent_parse(body, header, at, events),
            kind::BIND => self.sent_bind(bytes),
            kind::DESCRIBE => {
                self.loose_in = self.loose_in.saturating_add(bytes);
                let entry = frontend::target(body).map_or(Expect::Malformed, |(t, name)| Expect::Describe(t, name));
                self.expect_extended(entry)
            }
            kind::EXECUTE => self.sent_execute(body, bytes, at, events),
            kind::CLOSE => self.sent_close(body),
            kind::SYNC => self.sent_sync(at, events),
            kind::COPY_DATA => {
                self.sent_copy_data(bytes);
                Ok(())
            }
            kind::COPY_DONE | kind::COPY_FAIL => {
                self.sent_copy_end(bytes);
                Ok(())
            }
            // The server answers a body with an error, unless a COPY reads it.
            kind::FLUSH if header.body_bytes() > 0 && !self.is_copying_in() => self.expect_extended(Expect::Malformed),
            kind::FLUSH => Ok(()),
            kind::TERMINATE => {
                self.client.said_goodbye = true;
                Ok(())
            }
            // Passwords and SASL are opaque; the server takes them during authentication only.
            kind::PASSWORD if self.server.is_authenticating() => Ok(()),
            _ => self.expect(Expect::Unknown),
        }
    }

    fn sent_query(
        &mut self,
        sql: SqlText<'_>,
        bytes: u64,
        at: Timestamp,
        events: &mut Vec<Event>,
    ) -> Result<(), OutOfStep> {
        let protocol = if self.client.replication { Protocol::Replication } else { Protocol::Simple };
        if self.client.replication {
            let option = b"publication_names";
            self.client.streams_changes =
                sql.text.windows(option.len()).any(|window| window.eq_ignore_ascii_case(option));
        }
        let parameters = Parameters::default();
        let (text, text_bytes) = self.client.taken(sql);
        let new = New { protocol, text, text_bytes, bytes_in: bytes, parameters };
        let no = self.begin(new, at, events);
        let renames = self.will_run() && self.renames(sql.text, sql.text_bytes);
        self.ask(Expect::Query(Asked::new(no, bytes, renames)), no, bytes, at, events)
    }

    /// The text of a function call is the function's OID in decimal.
    fn sent_call(&mut self, body: &[u8], bytes: u64, at: Timestamp, events: &mut Vec<Event>) -> Result<(), OutOfStep> {
        let oid = frontend::function_oid(body).unwrap_or(0).to_string();
        let new = New {
            protocol: Protocol::Fastpath,
            text: oid.as_bytes().into(),
            text_bytes: length(oid.as_bytes()),
            bytes_in: bytes,
            parameters: Parameters::default(),
        };
        let no = self.begin(new, at, events);
        self.ask(Expect::Call(Asked::new(no, bytes, false)), no, bytes, at, events)
    }

    /// Whether what is sent now is neither passed over nor denied.
    fn will_run(&self) -> bool {
        !self.skipping && self.client.denial.is_none()
    }

    /// Awaits the answer to what was announced, or ends it where the server is passing over everything.
    fn ask(
        &mut self,
        entry: Expect,
        no: u64,
        bytes: u64,
        at: Timestamp,
        events: &mut Vec<Event>,
    ) -> Result<(), OutOfStep> {
        if !self.skipping {
            return self.expect(entry);
        }
        self.end_skipped(no, bytes, at, events);
        Ok(())
    }

    fn sent_parse(
        &mut self,
        body: &[u8],
        header: Header,
        at: Timestamp,
        events: &mut Vec<Event>,
    ) -> Result<(), OutOfStep> {
        self.loose_in = self.loose_in.saturating_add(header.total_bytes());
        let Ok((name, sql)) = frontend::parse(body, header.body_bytes()) else {
            return self.expect_extended(Expect::Malformed);
        };
        let (text, text_bytes) = self.client.taken(sql);
        let prepared = Arc::new(Prepared { id: self.next_id(), text, text_bytes });
        if self.skipping {
            self.skip_parse(&name, prepared, at, events);
            return Ok(());
        }
        self.names.send_statement(&name, prepared.id, Some(prepared.clone()));
        self.expect(Expect::Parse(name, prepared))
    }

    fn sent_bind(&mut self, bytes: u64) -> Result<(), OutOfStep> {
        self.loose_in = self.loose_in.saturating_add(bytes);
        let Some(bind) = std::mem::take(&mut self.client.bind).finish() else {
            return self.expect_extended(Expect::Malformed);
        };
        let id = self.next_id();
        let prepared = self.names.send_portal(&bind.portal, id, &bind.statement, bind.parameters.clone());
        if self.skipping {
            self.names.limit_sent();
            return Ok(());
        }
        self.expect(Expect::Bind(Box::new(SentBind {
            id,
            portal: bind.portal,
            statement: bind.statement,
            prepared,
            formats: bind.formats,
            parameters: bind.parameters,
        })))
    }

    fn sent_execute(
        &mut self,
        body: &[u8],
        bytes: u64,
        at: Timestamp,
        events: &mut Vec<Event>,
    ) -> Result<(), OutOfStep> {
        let Ok((portal, _rows_max)) = frontend::execute(body) else {
            return self.expect_extended(Expect::Malformed);
        };
        let aim = self.names.send_execute(&portal, self.statements.saturating_add(1));
        let bytes_in = std::mem::take(&mut self.loose_in).saturating_add(bytes);
        let no = aim
            .begun
            .unwrap_or_else(|| self.begin_extended(&aim.prepared, aim.parameters.clone(), bytes_in, at, events));
        if self.skipping {
            if aim.begun.is_none() {
                self.unsaid.said(aim.prepared.id);
                self.names.end_portal(&portal, no);
                self.end_skipped(no, bytes_in, at, events);
            }
            return Ok(());
        }
        let renames = self.will_run() && self.renames(&aim.prepared.text, aim.prepared.text_bytes);
        self.expect(Expect::Execute(Box::new(SentExecute {
            portal,
            no,
            first: aim.begun.is_none(),
            prepared: aim.prepared.id,
            bytes_in,
            renames,
        })))
    }

    pub(super) fn begin_extended(
        &mut self,
        prepared: &Prepared,
        parameters: Parameters,
        bytes_in: u64,
        at: Timestamp,
        events: &mut Vec<Event>,
    ) -> u64 {
        let (text, text_bytes) = (prepared.text.clone(), prepared.text_bytes);
        self.begin(New { protocol: Protocol::Extended, text, text_bytes, bytes_in, parameters }, at, events)
    }

    fn sent_close(&mut self, body: &[u8]) -> Result<(), OutOfStep> {
        let Ok((target, name)) = frontend::target(body) else { return self.expect_extended(Expect::Malformed) };
        let id = self.next_id();
        match target {
            Target::Statement => self.names.send_statement(&name, id, None),
            Target::Portal => self.names.send_portal_close(&name, id),
        }
        if self.skipping {
            self.names.limit_sent();
            return Ok(());
        }
        self.expect(Expect::Close(target, name, id))
    }

    fn expect_extended(&mut self, entry: Expect) -> Result<(), OutOfStep> {
        if self.skipping { Ok(()) } else { self.expect(entry) }
    }

    /// It ends what is skipped.
    fn sent_sync(&mut self, at: Timestamp, events: &mut Vec<Event>) -> Result<(), OutOfStep> {
        if self.copy_swallows_sync() {
            return Ok(());
        }
        if self.skipping {
            self.end_skipping(at, events);
        }
        self.loose_in = 0;
        self.synced = self.ids;
        self.expect(Expect::Sync)
    }
}

fn who(before: &Who, startup: &Startup) -> Who {
    let parameter = |name| startup.parameter(name).filter(|value| !value.is_empty()).map(text);
    let db_user = parameter("user");
    Who {
        session_id: before.session_id,
        client_addr: before.client_addr.clone(),
        database: parameter("database").or_else(|| db_user.clone()),
        db_user,
        application_name: parameter("application_name"),
        certificate: before.certificate.clone(),
    }
}

/// Whether a parameter of the StartupMessage sets what names mean: itself, or within `options`.
fn changes_names(name: &[u8], value: &[u8]) -> bool {
    let words = |text: &[u8]| {
        let text = String::from_utf8_lossy(text).to_lowercase();
        ["search", "role", "authorization"].iter().any(|word| text.contains(word))
    };
    words(name) || (name == b"options" && words(value))
}

/// `database`, or what PostgreSQL's `parse_bool` takes for true: an unambiguous beginning of one of the words.
fn asks_for_replication(value: &[u8]) -> bool {
    let value = value.to_ascii_lowercase();
    let begins = |word: &[u8], least: usize| value.len() >= least && word.starts_with(&value);
    value == b"database" || value == b"1" || begins(b"true", 1) || begins(b"yes", 1) || begins(b"on", 2)
}
