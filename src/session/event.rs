//! What the data plane tells the rest: the events of a session, in the order in which they happened.
//!
//! An event is written to the intake journal *before* the bytes it speaks of go on: [`Event::Begun`] before the
//! statement reaches the server, [`Event::Ended`] before its end reaches the client. Events carry raw text and values;
//! the intake journal is the only thing that ever holds them, encrypted.

use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::record::{Outcome, Protocol, SessionOutcome, Text};
use crate::wire::bind::Parameters;

/// Who is connected, as far as start-up and ParameterStatus have told. Replaced as a whole when it changes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Who {
    /// The connection.
    pub session_id: Uuid,
    /// The client's IP address without its port, or `local` for a unix socket.
    pub client_addr: String,
    /// `database` of the start-up message, or its default, the user.
    pub database: Option<String>,
    /// `user` of the start-up message.
    pub db_user: Option<String>,
    /// The last `application_name` the server reported, or that of the start-up message.
    pub application_name: Option<String>,
    /// Whom the client's certificate names, where it showed one that was verified.
    pub certificate: Option<Subject>,
}

/// The subject of a client's certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// As RFC 4514 writes it: `CN=anna,OU=billing,O=Example`.
    pub name: String,
    /// Its common name: `anna`.
    pub common_name: Option<String>,
}

/// One thing that happened in a session.
///
/// Its serde form lacks what repeats or is large, `who`, texts and columns: the intake journal's codec has its own for those.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// A client connected.
    Opened(Opened),
    /// A statement is about to be sent to the server.
    Begun(Begun),
    /// A statement's end is about to be sent to the client.
    Ended(Ended),
    /// The server has taken a statement under a name: SQL can execute it from now on, too.
    Prepared(Prepared),
    /// ReadyForQuery arrived apart from any [`Ended`] that it could ride on.
    Ready(Ready),
    /// The connection is over. The session's last event.
    Closed(Closed),
    /// Somebody's NOTIFY is about to reach the client.
    Notified(Notified),
}

impl Event {
    /// The session it belongs to.
    pub fn session_id(&self) -> Uuid {
        self.who().session_id
    }

    /// Whose it is.
    pub fn who(&self) -> &Arc<Who> {
        match self {
            Event::Opened(event) => &event.who,
            Event::Begun(event) => &event.who,
            Event::Ended(event) => &event.who,
            Event::Prepared(event) => &event.who,
            Event::Ready(event) => &event.who,
            Event::Closed(event) => &event.who,
            Event::Notified(event) => &event.who,
        }
    }

    /// Says whose it is.
    pub fn set_who(&mut self, who: Arc<Who>) {
        match self {
            Event::Opened(event) => event.who = who,
            Event::Begun(event) => event.who = who,
            Event::Ended(event) => event.who = who,
            Event::Prepared(event) => event.who = who,
            Event::Ready(event) => event.who = who,
            Event::Closed(event) => event.who = who,
            Event::Notified(event) => event.who = who,
        }
    }
}

/// Stands where `who` is still to be set.
fn nobody() -> Arc<Who> {
    static NOBODY: LazyLock<Arc<Who>> = LazyLock::new(Arc::default);
    Arc::clone(&NOBODY)
}

/// Stands where a text is still to be set.
fn no_text() -> Arc<[u8]> {
    static NO_TEXT: LazyLock<Arc<[u8]>> = LazyLock::new(Arc::default);
    Arc::clone(&NO_TEXT)
}

/// See [`Event::Opened`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Opened {
    /// Only `session_id`, `client_addr` and `certificate` are known.
    #[serde(skip, default = "nobody")]
    pub who: Arc<Who>,
    /// When.
    pub at: Timestamp,
}

/// See [`Event::Begun`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Begun {
    /// Who sent it.
    #[serde(skip, default = "nobody")]
    pub who: Arc<Who>,
    /// Its number in the session, from 1. A Query message of several statements has one number for all of them.
    pub statement_no: u64,
    /// When it arrived.
    pub at: Timestamp,
    /// How it was sent.
    pub protocol: Protocol,
    /// Its text as the server reads it, in UTF-8 (see `dialect`), cut off at [`super::TEXT_BYTES_MAX`] before it is read so.
    #[serde(skip, default = "no_text")]
    pub text: Arc<[u8]>,
    /// The length of the whole text, bytes.
    pub text_bytes: u64,
    /// Bytes of all the messages that make it up so far.
    pub bytes_in: u64,
    /// The first short values of its Bind's parameters, raw.
    #[serde(skip)]
    pub parameters: Parameters,
}

/// See [`Event::Ended`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ended {
    /// Who.
    #[serde(skip, default = "nobody")]
    pub who: Arc<Who>,
    /// Which [`Begun`].
    pub statement_no: u64,
    /// Which statement of a Query message, from 0.
    pub part: u32,
    /// Whether a further part of the same number may follow (a simple Query before its ReadyForQuery).
    pub more: bool,
    /// When.
    pub at: Timestamp,
    /// How. Never `denied` or `cut` unless a policy did so.
    pub outcome: Outcome,
    /// CommandComplete's tag, `SELECT 5`; empty where there was none.
    pub tag: String,
    /// DataRow, and CopyData from the server, counted over all Executes of the portal.
    pub rows_returned: u64,
    /// Bytes of the server's messages for this statement, headers included.
    pub bytes_out: u64,
    /// Bytes of the client's messages for it, COPY data included.
    pub bytes_in: u64,
    /// ErrorResponse's code.
    pub sqlstate: Option<String>,
    /// ErrorResponse's primary message, raw, cut off at [`super::ERROR_BYTES_MAX`].
    pub error: Option<String>,
    /// What its ErrorResponse may tell of rows, and its notices.
    pub told: Told,
    /// Where RowDescription said the result's columns come from; `None` where there was no RowDescription.
    #[serde(skip)]
    pub columns: Option<Arc<[Origin]>>,
    /// People counted from the values of subject columns; `None` where the result had no such column.
    pub people: Option<Box<People>>,
    /// Names of the baits that were in it, each once. In the data of COPY, what is not known is whose column a field is of: of these some may
    /// be no bait of the relations that the statement reads.
    pub baits: Box<[Text]>,
    /// Columns that nobody classified and that turned out, in this result, to look personal.
    pub sighted: Box<[Sighted]>,
    /// The transaction status, where ReadyForQuery followed in the same read.
    pub ready: Option<TransactionStatus>,
}

/// What an ErrorResponse may tell of rows, besides its message, and notices before it or without it. Counts, no value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Bytes of its message, detail and hint, and of the statement within a function that it is about; of all of it where it is long.
    pub bytes: u64,
    /// Whether it has a detail.
    pub detail: bool,
    /// Whether it is about a place in the statement's own text.
    pub of_text: bool,
    /// Whether it answers a Parse, Bind, Describe or Close: nothing was executed yet.
    pub refused: bool,
    /// Notices that functions put into words (`RAISE NOTICE`), which may be anything that the statement touches.
    pub raised: Raised,
}

/// What functions said. Counts, no value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Raised {
    /// Notices.
    pub count: u64,
    /// Bytes of their messages, details and hints.
    pub bytes: u64,
}

impl Raised {
    /// With more of them.
    pub(super) fn add(&mut self, more: Raised) {
        self.count = self.count.saturating_add(more.count);
        self.bytes = self.bytes.saturating_add(more.bytes);
    }
}

/// A column whose values look personal. Counts, no value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighted {
    /// The table.
    pub table_oid: u32,
    /// Its attribute number there.
    pub attribute: i16,
    /// Like what: `e-mail addresses`.
    pub what: String,
    /// Whether the values hold one among other words.
    pub holds: bool,
    /// So many …
    pub count: u32,
    /// … of so many different values.
    pub of: u32,
}

/// One output column, as RowDescription has it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Origin {
    /// The column's label in the result.
    pub name: String,
    /// The table it is a plain column of; 0 where it is an expression.
    pub table_oid: u32,
    /// Its attribute number there; 0 where it is an expression.
    pub attribute: i16,
    /// Its type.
    pub type_oid: u32,
}

/// How many data subjects a result held.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct People {
    /// Distinct values of its subject columns.
    pub distinct: u64,
    /// How they were counted.
    pub counted: Counted,
    /// Some of the values, in a canonical text form (`4711` however it was sent), at most
    /// [`super::SUBJECTS_MAX`]; keyed hashes are made of them before anything is stored.
    pub values: Vec<String>,
}

impl People {
    /// How many, whatever the same value in two tables means.
    pub fn heads(&self) -> Heads {
        let apart = match self.counted {
            Counted::Apart { people, .. } => people,
            Counted::Each | Counted::Estimated => self.distinct,
        };
        Heads { together: self.distinct, apart }
    }

    /// False where a count is an estimate.
    pub fn is_exact(&self) -> bool {
        matches!(self.counted, Counted::Each | Counted::Apart { exact: true, .. })
    }
}

/// How people were counted. A journal of before has a `bool` in its place, which is encoded as the first two are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Counted {
    /// By an estimate; the subject columns say whose rows they are of one table.
    Estimated,
    /// Each of them, of one table.
    Each,
    /// The subject columns are of several tables.
    Apart {
        /// Distinct values, those that two tables have being two people.
        people: u64,
        /// False where either count is an estimate.
        exact: bool,
    },
}

/// How many people there are, by both of what the same value in subject columns of two tables may mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heads {
    /// The same person.
    pub together: u64,
    /// Two.
    pub apart: u64,
}

impl Heads {
    /// By one of the two.
    pub fn count(self, apart: bool) -> u64 {
        if apart { self.apart } else { self.together }
    }

    /// With others, of whom some may be the same people.
    #[must_use]
    pub fn and(self, other: Heads) -> Heads {
        let sum = u64::saturating_add;
        Heads { together: sum(self.together, other.together), apart: sum(self.apart, other.apart) }
    }
}

/// ReadyForQuery's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TransactionStatus {
    /// `I`: not in a transaction. Whatever ran since the last `Idle` was one transaction.
    Idle,
    /// `T`: in a transaction block.
    Open,
    /// `E`: in a failed transaction block.
    Failed,
}

/// See [`Event::Prepared`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prepared {
    /// Who sent it.
    #[serde(skip, default = "nobody")]
    pub who: Arc<Who>,
    /// When the server took it.
    pub at: Timestamp,
    /// Its name; never the unnamed one.
    pub name: String,
    /// As of [`Begun`].
    #[serde(skip, default = "no_text")]
    pub text: Arc<[u8]>,
    /// As of [`Begun`].
    pub text_bytes: u64,
}

/// See [`Event::Ready`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ready {
    /// Who.
    #[serde(skip, default = "nobody")]
    pub who: Arc<Who>,
    /// When.
    pub at: Timestamp,
    /// The status.
    pub status: TransactionStatus,
    /// The SQLSTATE of the error that kept what ran since the last ReadyForQuery from being committed at the Sync,
    /// where each statement of it had completed: a deferred constraint, for one.
    pub commit_failed: Option<String>,
}

/// See [`Event::Notified`]. One for all that came in the same read, one behind the other, on the same channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Notified {
    /// Who hears it.
    #[serde(skip, default = "nobody")]
    pub who: Arc<Who>,
    /// When.
    pub at: Timestamp,
    /// The channel.
    pub channel: String,
    /// How many.
    pub count: u64,
    /// Bytes of the messages, headers included.
    pub bytes_out: u64,
    /// Bytes of what they say.
    pub payload_bytes: u64,
}

/// See [`Event::Closed`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Closed {
    /// Who.
    #[serde(skip, default = "nobody")]
    pub who: Arc<Who>,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// When it ended.
    pub at: Timestamp,
    /// How.
    pub outcome: SessionOutcome,
    /// The SQLSTATE of the FATAL that ended it.
    pub sqlstate: Option<String>,
    /// `trust`, `password`, `md5`, `scram-sha-256`, `gss`, `sspi`, …: what the server asked for.
    pub auth_method: Option<String>,
    /// TLS on the client's leg.
    pub tls_version: Option<String>,
    /// ParameterStatus `server_version`.
    pub server_version: Option<String>,
    /// Statements begun.
    pub statements: u64,
    /// Bytes sent to the client.
    pub bytes_out: u64,
    /// Bytes received from the client.
    pub bytes_in: u64,
}
