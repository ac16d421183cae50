//! What the server has still to answer: one entry a message of the client's, in order.
//!
//! Source: PostgreSQL manual, "Message Flow": the server works off the client's messages one by one, so that the
//! first entry is always what the next answer is about.

use std::sync::Arc;

use super::gate::Denial;
use super::names::Prepared;
use crate::wire::bind::{Formats, Parameters};
use crate::wire::frontend::{Name, Target};

/// A message of the client's that the server has not answered yet.
#[derive(Debug)]
pub(super) enum Expect {
    /// The start-up message: answered by ReadyForQuery.
    Startup,
    /// A Query: answered by ReadyForQuery.
    Query(Asked),
    /// A FunctionCall: answered by ReadyForQuery.
    Call(Asked),
    /// A Parse.
    Parse(Name, Arc<Prepared>),
    /// A Bind.
    Bind(Box<SentBind>),
    /// A Describe.
    Describe(Target, Name),
    /// An Execute.
    Execute(Box<SentExecute>),
    /// A Close, and its id.
    Close(Target, Name, u64),
    /// An extended-query message that does not read: the server will say so.
    Malformed,
    /// CopyData, CopyDone and CopyFail that no COPY is known to read, with the number of the latter two: no answer of
    /// their own.
    CopyInput(u32),
    /// A Sync: answered by ReadyForQuery.
    Sync,
    /// So many Syncs that a failed COPY may have passed over: each is answered by ReadyForQuery, or by nothing.
    Spare(u64),
    /// A type that no client has to send: the server will end the session.
    Unknown,
    /// A message that was denied: the server got another in its place, which it will refuse.
    Denied(Box<(Expect, Denial)>),
}

impl Expect {
    /// In the words of an error.
    pub fn awaited(&self) -> &'static str {
        match self {
            Expect::Startup => "the end of start-up",
            Expect::Query(_) => "the answer to a Query",
            Expect::Call(_) => "the answer to a FunctionCall",
            Expect::Parse(..) => "the answer to a Parse",
            Expect::Bind(_) => "the answer to a Bind",
            Expect::Describe(..) => "the answer to a Describe",
            Expect::Execute(_) => "the answer to an Execute",
            Expect::Close(..) => "the answer to a Close",
            Expect::Sync | Expect::Spare(_) => "the answer to a Sync",
            Expect::Malformed | Expect::CopyInput(_) | Expect::Unknown | Expect::Denied(_) => "an error",
        }
    }

    /// What the client sent, denied or not.
    pub fn sent(&mut self) -> &mut Expect {
        match self {
            Expect::Denied(denied) => &mut denied.0,
            entry => entry,
        }
    }

    /// The bytes of statement text that it keeps.
    pub fn text_bytes(&self) -> usize {
        match self {
            Expect::Parse(_, prepared) => prepared.text.len(),
            Expect::Denied(denied) => denied.0.text_bytes(),
            _ => 0,
        }
    }
}

/// A message that executes several statements under one number, or one.
#[derive(Debug)]
pub(super) struct Asked {
    /// The number.
    pub no: u64,
    /// Statements that ended.
    pub parts: u32,
    /// Whether an error ended it: only ReadyForQuery can follow.
    pub over: bool,
    /// Bytes of the client's messages that no part has counted yet.
    pub bytes_in: u64,
    /// Whether it may give a name another meaning; only known where a gate is loaded.
    pub renames: bool,
}

impl Asked {
    /// Nothing answered yet.
    pub fn new(no: u64, bytes_in: u64, renames: bool) -> Asked {
        Asked { no, parts: 0, over: false, bytes_in, renames }
    }
}

/// A Bind under way.
#[derive(Debug)]
pub(super) struct SentBind {
    /// Tells it from every other of this session.
    pub id: u64,
    /// The portal's name.
    pub portal: Name,
    /// The statement's name.
    pub statement: Name,
    /// What the statement is expected to be.
    pub prepared: Arc<Prepared>,
    /// The result's formats.
    pub formats: Formats,
    /// The first short values of its parameters.
    pub parameters: Parameters,
}

/// An Execute under way.
#[derive(Debug)]
pub(super) struct SentExecute {
    /// The portal's name.
    pub portal: Name,
    /// The number under which it was announced.
    pub no: u64,
    /// Whether it was announced with this message, or with an earlier Execute of the same portal.
    pub first: bool,
    /// What it is expected to execute.
    pub prepared: u64,
    /// Bytes of the client's messages that are not counted elsewhere.
    pub bytes_in: u64,
    /// As of [`Asked`].
    pub renames: bool,
}
