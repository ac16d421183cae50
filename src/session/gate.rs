//! What a gate is asked, and what it may answer.
//!
//! A gate may deny a message of the client's that makes the server work, and may cut a result while it flows. Denied, a message
//! is replaced by one that the server must refuse, so that the transaction's state, what is skipped, and ReadyForQuery
//! are the server's own and true; its error reaches the client as SQLSTATE 42501 with the gate's words.

use std::borrow::Cow;
use std::sync::Arc;

use super::event::{Heads, Origin, Who};
use crate::clock::Timestamp;
use crate::record::{Protocol, Text};
use crate::wire::frame::HEADER_BYTES;
use crate::wire::frontend::{self, Name, kind};
use crate::wire::message;

/// The most of a message that is held until a gate has judged it, bytes. A longer one is judged by its beginning, in which a
/// text is as long as any that is analysed; what follows then streams by, to the server or to nowhere.
pub const HELD_BYTES_MAX: usize = super::TEXT_BYTES_MAX + HEADER_BYTES + 1;

/// A text that is no SQL in any version, in any transaction state, nor a replication command. It shows in the server's log.
const NO_SQL: &[u8] = b"mitsuke denied this statement";

/// Which kind of message it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// A Query: all its statements, or none.
    Query,
    /// A Parse. The server analyses it; whatever executes it later is asked about again.
    Parse,
    /// A Bind. The server plans it, for which functions may run that are declared immutable.
    Bind,
    /// The first Execute of a portal.
    Execute,
    /// A FunctionCall; the text is the function's OID.
    Call,
}

/// What the client wants.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    /// Who wants it.
    pub who: &'a Arc<Who>,
    /// When.
    pub at: Timestamp,
    /// The number that it will have, see [`Begun`](super::event::Begun); a Parse or Bind: if it is denied.
    pub statement_no: u64,
    /// How it is sent.
    pub protocol: Protocol,
    /// In which message.
    pub message: Message,
    /// The name that a Parse gives it, where it gives one.
    pub name: Option<Name>,
    /// Whether the client set anything when it connected (`options`, `search_path`, …) that may change what names mean.
    pub own_settings: bool,
    /// Whether whatever this client had executed before is committed or rolled back.
    pub is_settled: bool,
    /// The text that will run; [`super::UNKNOWN_TEXT`] where that is not certain.
    pub text: Cow<'a, [u8]>,
    /// The length of the whole text, bytes. Where it is more than `text` has, only the beginning is known: what cannot be judged
    /// by it should be denied.
    pub text_bytes: u64,
}

/// Why a gate denies or cuts, in the words for the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial(Arc<str>);

impl Denial {
    /// One sentence, which the client will see. A thousand bytes of it are sent at most.
    pub fn new(text: &str) -> Denial {
        Denial(text.into())
    }

    /// What a policy denies or cuts by. `part`: which statement of how many, where a Query has more than one.
    pub fn by_policy(id: &str, title: &str, part: Option<(usize, usize)>) -> Denial {
        match part {
            Some((number, of)) => Denial::new(&format!("policy {id}: {title} (statement {number} of {of})")),
            None => Denial::new(&format!("policy {id}: {title}")),
        }
    }

    /// The policy, and which statement of a Query it is about, from 0, out of the words of [`Denial::by_policy`].
    pub fn policy_of(text: &str) -> Option<(&str, Option<usize>)> {
        let (id, rest) = text.strip_prefix("policy ")?.split_once(": ")?;
        let part = rest.rsplit_once(" (statement ").and_then(|(_, part)| part.strip_suffix(')')?.split_once(" of "));
        let part = part.and_then(|(number, _)| number.parse::<usize>().ok()?.checked_sub(1));
        Some((id, part))
    }

    /// The words.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// As an ErrorResponse of this severity. `unicode`: whether the client takes UTF-8; else what is not ASCII becomes `?`.
    pub(super) fn to_bytes(&self, severity: &str, unicode: bool) -> Vec<u8> {
        let text = match unicode {
            true => Cow::from(self.text()),
            false => self.text().chars().map(|char| if char.is_ascii() { char } else { '?' }).collect(),
        };
        message::error_response(severity, message::INSUFFICIENT_PRIVILEGE, &text)
    }
}

/// What is done with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on.
    Allow,
    /// It does not.
    Deny(Denial),
}

/// A result under way, with the row that is about to reach the client.
#[derive(Clone, Debug)]
pub struct Progress<'a> {
    /// Who gets it.
    pub who: &'a Arc<Who>,
    /// When.
    pub at: Timestamp,
    /// Which [`Begun`](super::event::Begun).
    pub statement_no: u64,
    /// Which statement of a Query, from 0.
    pub part: u32,
    /// DataRow, and CopyData from the server, over all Executes of the portal.
    pub rows: u64,
    /// Distinct people; `None` where no column names one.
    pub people: Option<Heads>,
    /// Baits that are in it so far, as [`Ended`](super::event::Ended) tells them. A gate is asked whenever there are more.
    pub baits: &'a [Text],
    /// Where RowDescription said the result's columns come from.
    pub columns: Option<&'a [Origin]>,
    /// Bytes of the server's messages for it.
    pub bytes_out: u64,
    /// Of these, what an event has told already: of a stream that is told in instalments.
    pub rows_told: u64,
    /// The same of `bytes_out`.
    pub bytes_told: u64,
}

/// What is done with a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Going {
    /// It goes on; the gate wants to look again when there are more rows, more people, or more bytes, than these.
    On {
        /// Rows.
        rows: u64,
        /// People.
        people: u64,
        /// Bytes.
        bytes: u64,
    },
    /// It ends, and the session with it. The row that was looked at does not reach the client, unless its beginning has.
    Cut(Denial),
}

impl Going {
    /// It may go on to its end.
    pub const TO_THE_END: Going = Going::On { rows: u64::MAX, people: u64::MAX, bytes: u64::MAX };
}

/// Whether a gate is asked about messages of this type.
pub(super) fn may_be_denied(message: u8) -> bool {
    matches!(message, kind::QUERY | kind::PARSE | kind::BIND | kind::EXECUTE | kind::FUNCTION_CALL)
}

/// The message that the server gets instead of one that begins like this: one of the same type, which it has to refuse, whatever
/// its state.
///
/// A Query and a Parse (under its own name, so that the unnamed statement is gone as after any Parse that fails) get a
/// text with a syntax error, which the server finds before it looks at anything else (`exec_simple_query` and
/// `exec_parse_message` in `postgres.c`). Bind, Execute and FunctionCall get no body at all, so that there is no name in
/// it that could exist: the server cannot read it (`pq_getmsgstring`, `pq_getmsgint`) and says so, as an ordinary error.
pub(super) fn replacement(message: u8, beginning: &[u8]) -> Vec<u8> {
    let body = match message {
        kind::QUERY => [NO_SQL, b"\0"].concat(),
        kind::PARSE => match frontend::parse(beginning, 0) {
            Ok((name, _)) => [name.as_bytes(), b"\0", NO_SQL, b"\0\0\0"].concat(),
            Err(_) => Vec::new(),
        },
        _ => Vec::new(),
    };
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX).saturating_add(4);
    [&[message], &length.to_be_bytes()[..], &body].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replacement_is_a_message_of_the_same_type() {
        assert_eq!(replacement(b'B', b"portal\0statement\0"), b"B\0\0\0\x04");
        assert_eq!(replacement(b'Q', b"select 1\0"), b"Q\0\0\0\x22mitsuke denied this statement\0");
        let parse = replacement(b'P', b"name\0select 1\0\0\0");
        assert_eq!(&parse[..10], b"P\0\0\0\x29name\0");
        assert!(parse.ends_with(b"statement\0\0\0"));
        assert_eq!(usize::try_from(u32::from_be_bytes(parse[1..5].try_into().unwrap())).unwrap(), parse.len() - 1);
    }

    #[test]
    fn the_words_name_their_policy_and_their_statement() {
        for part in [None, Some((2, 3))] {
            let denial = Denial::by_policy("no-cards", "Cards: never by hand (statement of law)", part);
            assert_eq!(Denial::policy_of(denial.text()), Some(("no-cards", part.map(|(number, _)| number - 1))));
        }
        assert_eq!(Denial::policy_of("permission denied for table cards"), None);
    }

    #[test]
    fn words_reach_a_client_of_any_encoding() {
        let denial = Denial::new("見附 says no");
        assert!(denial.to_bytes("ERROR", true).windows(6).any(|window| window == "見附".as_bytes()));
        assert!(denial.to_bytes("ERROR", false).windows(13).any(|window| window == b"M?? says no\0\0"));
    }
}
