//! Bytes of the server: what is about to reach the client.
//!
//! In: bytes, cut anywhere. Out: counts, and [`Event::Ended`] with the message that ends an execution. DataRow and
//! CopyData bodies are only counted, unless a subject column has to be read; no allocation a row.

use std::sync::Arc;

use super::event::{Event, Prepared, Raised, Ready, TransactionStatus, Who};
use super::expect::Expect;
use super::gate::Denial;
use super::passing::Withheld;
use super::run::{Columns, text};
use super::tracker::Tracker;
use super::{ERROR_BYTES_MAX, OutOfStep, SubjectColumns};
use crate::clock::Timestamp;
use crate::wire::backend::{self, Authentication, kind};
use crate::wire::frame::{Capture, Header, Scanner, Side};
use crate::wire::frontend::Target;
use crate::wire::read::Truncated;

/// What is captured of a RowDescription, bytes: 1,664 columns, PostgreSQL's most, with labels of 600 bytes.
const ROW_DESCRIPTION_BYTES_MAX: usize = 1 << 20;
/// A longer RowDescription is not kept, bytes.
const DESCRIPTION_KEPT_BYTES_MAX: usize = 4_096;
/// What is captured of an ErrorResponse or a NoticeResponse, bytes: the message, and the fields before it.
const ERROR_CAPTURED_BYTES_MAX: usize = ERROR_BYTES_MAX + 256;
/// What is captured of a message of logical replication: its header, and the kind of change.
const STREAMED_CAPTURED_BYTES_MAX: usize = 26;
/// The first version of the server that tells of settings before ReadyForQuery.
const FIRST_REPORTING_LATE: u32 = 14;
/// What is captured of any other message that is looked into, bytes.
const SMALL_CAPTURED_BYTES_MAX: usize = 4_096;

/// The server's direction.
#[derive(Debug)]
pub(super) struct ServerStream {
    /// AuthenticationOk has come.
    authenticated: bool,
    /// The first ReadyForQuery has come.
    pub(super) ready: bool,
    status: Option<TransactionStatus>,
    /// Nothing was executed since it was idle, not even in a transaction that the next Sync ends.
    pub(super) settled: bool,
    pub(super) auth_method: Option<&'static str>,
    pub(super) server_version: Option<String>,
    /// The SQLSTATE of a FATAL.
    pub(super) fatal: Option<String>,
    scanner: Scanner,
    pub(super) header: Header,
    capture: Capture,
    /// BackendKeyData: what cancels a statement of this session.
    pub(super) key: Option<Key>,
    /// The last RowDescription: most sessions get one again and again.
    description: Option<(Box<[u8]>, Columns)>,
    /// The client takes text in UTF-8.
    pub(super) unicode: bool,
    /// Where a gate is loaded: what is held back, and why the error that was just read is rewritten.
    pub(super) withheld: Withheld,
    pub(super) rewrite: Option<Denial>,
}

/// BackendKeyData. Not shown: it is a secret.
pub(super) struct Key(pub(super) Box<[u8]>);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key")
    }
}

impl ServerStream {
    pub fn new() -> ServerStream {
        ServerStream {
            authenticated: false,
            ready: false,
            status: None,
            settled: false,
            auth_method: None,
            server_version: None,
            fatal: None,
            scanner: Scanner::new(Side::Backend),
            header: Header::default(),
            capture: Capture::default(),
            key: None,
            description: None,
            unicode: true,
            withheld: Withheld::default(),
            rewrite: None,
        }
    }

    pub fn is_authenticating(&self) -> bool {
        !self.authenticated
    }

    pub fn is_between_messages(&self) -> bool {
        self.scanner.is_between()
    }

    pub fn is_idle(&self) -> bool {
        self.status == Some(TransactionStatus::Idle) && self.scanner.is_between()
    }

    /// Whether it tells of a setting before ReadyForQuery, and not when it is set (PostgreSQL's release notes, 14).
    fn reports_late(&self) -> bool {
        let version =
            self.server_version.as_deref().and_then(|version| version.split(|c: char| !c.is_ascii_digit()).next());
        version.and_then(|major| major.parse::<u32>().ok()).is_none_or(|major| major >= FIRST_REPORTING_LATE)
    }

    fn columns(&mut self, body: &[u8]) -> Result<Columns, Truncated> {
        if let Some((known, columns)) = &self.description
            && **known == *body
        {
            return Ok(columns.clone());
        }
        let columns = Columns::read(body)?;
        self.description = (body.len() <= DESCRIPTION_KEPT_BYTES_MAX).then(|| (body.into(), columns.clone()));
        Ok(columns)
    }
}

impl Tracker {
    pub(super) fn read_server(
        &mut self,
        mut input: &[u8],
        at: Timestamp,
        subjects: &SubjectColumns,
        events: &mut Vec<Event>,
    ) -> Result<(), OutOfStep> {
        while !input.is_empty() && self.server_header(&mut input, at, subjects, events)? {
            if self.server_piece(&mut input, at, subjects, events)? {
                self.pass_over_rows(&mut input);
                if self.server.header.kind == kind::COPY_DATA {
                    self.tell_stream(at, events);
                }
            }
        }
        Ok(())
    }

    /// Takes the rows that come whole behind one.
    fn pass_over_rows(&mut self, input: &mut &[u8]) {
        let kind = self.server.header.kind;
        let Some(run) = &mut self.current else { return };
        let scanner = &mut self.server.scanner;
        let (rows, bytes) = match kind {
            kind::DATA_ROW if run.looks_into_rows() => scanner.pass_over(kind, input, |body| run.row(body, true)),
            kind::DATA_ROW => scanner.pass_over(kind, input, |_| {}),
            kind::COPY_DATA if run.looks_into_copies() => scanner.pass_over(kind, input, |body| run.copy(body, true)),
            kind::COPY_DATA if !self.client.streams_changes => scanner.pass_over(kind, input, |_| {}),
            _ => return,
        };
        run.rows = run.rows.saturating_add(rows);
        run.count_out(bytes);
    }

    /// Takes a message's header, unless its body is under way. False where it has not come whole.
    pub(super) fn server_header(
        &mut self,
        input: &mut &[u8],
        at: Timestamp,
        subjects: &SubjectColumns,
        events: &mut Vec<Event>,
    ) -> Result<bool, OutOfStep> {
        if self.server.scanner.is_inside() {
            return Ok(true);
        }
        let Some(header) = self.server.scanner.header(input).map_err(OutOfStep::ServerFrame)? else { return Ok(false) };
        self.server.header = header;
        if matches!(header.kind, kind::DATA_ROW | kind::COPY_DATA) {
            self.count_row(header, at, subjects, events)?;
        } else if self.denied > 0 {
            self.note_answer(header.kind);
        }
        Ok(true)
    }

    /// Takes what has come of a message's body. True where that is its end.
    pub(super) fn server_piece(
        &mut self,
        input: &mut &[u8],
        at: Timestamp,
        subjects: &SubjectColumns,
        events: &mut Vec<Event>,
    ) -> Result<bool, OutOfStep> {
        let header = self.server.header;
        let (piece, last) = self.server.scanner.body(input);
        let captured = match header.kind {
            kind::DATA_ROW => {
                if let Some(run) = &mut self.current {
                    run.row(piece, last);
                }
                return Ok(last);
            }
            kind::COPY_DATA if !self.client.streams_changes => {
                if let Some(run) = &mut self.current {
                    run.copy(piece, last);
                }
                return Ok(last);
            }
            kind::COPY_DATA => STREAMED_CAPTURED_BYTES_MAX,
            kind::ROW_DESCRIPTION => ROW_DESCRIPTION_BYTES_MAX,
            kind::ERROR_RESPONSE | kind::NOTICE_RESPONSE => ERROR_CAPTURED_BYTES_MAX,
            kind::AUTHENTICATION
            | kind::NOTIFICATION_RESPONSE
            | kind::PARAMETER_STATUS
            | kind::COMMAND_COMPLETE
            | kind::COPY_OUT_RESPONSE
            | kind::READY_FOR_QUERY
            | kind::BACKEND_KEY_DATA => SMALL_CAPTURED_BYTES_MAX,
            _ => 0,
        };
        if last && self.server.capture.is_empty() {
            let body = piece.get(..captured).unwrap_or(piece);
            return self.server_message(header, body, at, subjects, events).map(|()| true);
        }
        let mut capture = std::mem::take(&mut self.server.capture);
        let done = match capture.take(piece, last, captured) {
            Some(body) => self.server_message(header, body, at, subjects, events),
            None => Ok(()),
        };
        if last {
            capture.clear();
        }
        self.server.capture = capture;
        done.map(|()| last)
    }

    fn server_message(
        &mut self,
        header: Header,
        body: &[u8],
        at: Timestamp,
        subjects: &SubjectColumns,
        events: &mut Vec<Event>,
    ) -> Result<(), OutOfStep> {
        match header.kind {
            // These may come at any time. What a notice says, the statement says that runs: it may be a row of a table.
            kind::NOTICE_RESPONSE => {
                self.noticed(body, header.total_bytes());
                Ok(())
            }
            kind::NOTIFICATION_RESPONSE => self.notified(header, body, at, events),
            kind::COPY_DATA => {
                self.streamed(body);
                Ok(())
            }
            // It may say what a function has set, too.
            kind::PARAMETER_STATUS => {
                self.parameter(body);
                match (&mut self.current, events.last_mut()) {
                    (Some(run), _) => run.count_out(header.total_bytes()),
                    // The server tells of it behind the statement's end (PostgreSQL manual, "Asynchronous Operations").
                    (None, Some(Event::Ended(ended))) if ended.ready.is_none() && self.server.reports_late() => {
                        ended.bytes_out = ended.bytes_out.saturating_add(header.total_bytes());
                    }
                    // What it tells at the login, no statement has set.
                    (None, _) if !self.server.ready => {}
                    // One up to 13, at once: the statement that sets it has shown nothing yet.
                    (None, _) => self.loose_out = self.loose_out.saturating_add(header.total_bytes()),
                }
                Ok(())
            }
            kind::ERROR_RESPONSE => self.failed(body, header.total_bytes(), at, events),
            kind::READY_FOR_QUERY => self.ready_for_query(body, at, events),
            kind::AUTHENTICATION if self.server.is_authenticating() => {
                match backend::authentication(body).map_err(|_| OutOfStep::Malformed { kind: header.kind })? {
                    Authentication::Ok => {
                        self.server.authenticated = true;
                        self.server.auth_method.get_or_insert("trust");
                    }
                    Authentication::Method(method) => self.server.auth_method = Some(method),
                    Authentication::Continue => {}
                }
                Ok(())
            }
            _ if !self.server.ready => match header.kind {
                kind::BACKEND_KEY_DATA => {
                    self.server.key = Some(Key(body.into()));
                    Ok(())
                }
                kind::NEGOTIATE_PROTOCOL_VERSION => Ok(()),
                kind => Err(self.unexpected(kind)),
            },
            kind::PARSE_COMPLETE
            | kind::BIND_COMPLETE
            | kind::CLOSE_COMPLETE
            | kind::PARAMETER_DESCRIPTION
            | kind::NO_DATA => self.extended_answer(header, at, events),
            kind::ROW_DESCRIPTION => self.row_description(header, body, at, subjects, events),
            _ => self.execution_answer(header, body, at, subjects, events),
        }
    }

    /// What the next answer is about. COPY data has no answer of its own; a Sync that has not been answered before what
    /// came behind it will not be.
    pub(super) fn front(&mut self) -> Option<&mut Expect> {
        while matches!(self.queue.front(), Some(Expect::CopyInput(_) | Expect::Spare(_))) {
            self.answered();
        }
        self.queue.front_mut()
    }

    pub(super) fn unexpected(&mut self, kind: u8) -> OutOfStep {
        let awaited = self.front().map_or("nothing", |entry| entry.awaited());
        OutOfStep::Unexpected { kind, awaited }
    }

    fn parameter(&mut self, body: &[u8]) {
        let Ok((name, value)) = backend::parameter_status(body) else { return };
        match name {
            b"application_name" => {
                let name = Some(text(value)).filter(|name| !name.is_empty());
                if self.who.application_name != name {
                    self.who = Arc::new(Who { application_name: name, ..Who::clone(&self.who) });
                }
            }
            b"client_encoding" => {
                self.server.unicode = matches!(value, b"UTF8" | b"SQL_ASCII");
                self.client.dialect.set_encoding(value);
                self.client.dialect_moved |= self.server.ready;
            }
            b"standard_conforming_strings" => {
                self.client.dialect.set_standard_strings(value);
                self.client.dialect_moved |= self.server.ready;
            }
            b"server_version" => self.server.server_version = Some(text(value)),
            _ => {}
        }
    }

    /// Answers that end a Parse, Bind, Close or Describe.
    fn extended_answer(&mut self, header: Header, at: Timestamp, events: &mut Vec<Event>) -> Result<(), OutOfStep> {
        self.loose_out = self.loose_out.saturating_add(header.total_bytes());
        self.front();
        let fits = matches!(
            (header.kind, self.queue.front()),
            (kind::PARSE_COMPLETE, Some(Expect::Parse(..)))
                | (kind::BIND_COMPLETE, Some(Expect::Bind(_)))
                | (kind::CLOSE_COMPLETE, Some(Expect::Close(..)))
                | (kind::PARAMETER_DESCRIPTION | kind::NO_DATA, Some(Expect::Describe(..)))
        );
        if !fits {
            return Err(self.unexpected(header.kind));
        }
        if header.kind == kind::PARAMETER_DESCRIPTION {
            return Ok(());
        }
        let ended = match self.answered() {
            Some(Expect::Parse(name, prepared)) => {
                if !name.is_unnamed() {
                    events.push(Event::Prepared(Prepared {
                        who: self.who.clone(),
                        at,
                        name: text(name.as_bytes()),
                        text: prepared.text.clone(),
                        text_bytes: prepared.text_bytes,
                    }));
                }
                self.names.confirm_statement(&name, prepared);
                None
            }
            Some(Expect::Bind(bind)) => self.names.confirm_portal(*bind),
            Some(Expect::Describe(target, name)) => {
                self.names.described(target, &name, None);
                None
            }
            Some(Expect::Close(Target::Statement, name, id)) => {
                self.names.forget_sent_statement(&name, id);
                self.names.remove_statement(&name);
                None
            }
            Some(Expect::Close(Target::Portal, name, id)) => {
                self.names.forget_sent_portal(&name, id);
                self.names.remove_portal(&name)
            }
            _ => None,
        };
        if let Some(portal) = ended {
            self.end_portal(portal, at, events);
        }
        Ok(())
    }

    fn row_description(
        &mut self,
        header: Header,
        body: &[u8],
        at: Timestamp,
        subjects: &SubjectColumns,
        events: &mut Vec<Event>,
    ) -> Result<(), OutOfStep> {
        let columns = match (self.server.columns(body), body.len() < ROW_DESCRIPTION_BYTES_MAX) {
            (Ok(columns), _) => Some(columns),
            // Longer than what is captured: the columns are not known.
            (Err(_), false) => None,
            (Err(_), true) => return Err(OutOfStep::Malformed { kind: header.kind }),
        };
        if let Some(Expect::Describe(..)) = self.front() {
            self.loose_out = self.loose_out.saturating_add(header.total_bytes());
            if let Some(Expect::Describe(target, name)) = self.answered()
                && let Some(made_room) = self.names.described(target, &name, columns.map(Arc::new))
            {
                self.end_portal(made_room, at, events);
            }
            return Ok(());
        }
        let run = self.running(header.kind, at, subjects, events)?;
        run.count_out(header.total_bytes());
        if let Some(columns) = columns {
            run.describe(&columns, None, subjects);
        }
        Ok(())
    }

    fn ready_for_query(&mut self, body: &[u8], at: Timestamp, events: &mut Vec<Event>) -> Result<(), OutOfStep> {
        let status = match body {
            [b'I'] => TransactionStatus::Idle,
            [b'T'] => TransactionStatus::Open,
            [b'E'] => TransactionStatus::Failed,
            _ => return Err(OutOfStep::Malformed { kind: kind::READY_FOR_QUERY }),
        };
        if !self.sync_answered() {
            match self.front() {
                Some(Expect::Startup) => {
                    self.answered();
                    self.server.ready = true;
                    self.server.status = Some(status);
                    return Ok(());
                }
                Some(Expect::Query(_) | Expect::Call(_)) => self.finish_asked(at, events),
                _ => return Err(self.unexpected(kind::READY_FOR_QUERY)),
            }
        }
        self.skipping = false;
        self.copy = None;
        self.loose_out = 0;
        self.loose_raised = Raised::default();
        if self.owes_nothing() {
            self.client.answered();
        }
        self.server.status = Some(status);
        self.server.settled = status == TransactionStatus::Idle && self.owes_nothing();
        if status != TransactionStatus::Open {
            self.end_portals(at, events);
        }
        let commit_failed = self.commit_failed.take();
        match events.last_mut() {
            Some(Event::Ended(ended)) if ended.ready.is_none() && commit_failed.is_none() => {
                ended.ready = Some(status);
                ended.more = false;
            }
            _ => events.push(Event::Ready(Ready { who: self.who.clone(), at, status, commit_failed })),
        }
        Ok(())
    }
}
