//! Messages of the client.
//!
//! In: the body of one message, or its captured beginning. Out: its parts, borrowed. What does not read is an error
//! that the server will answer with one of its own (08P01). Source: PostgreSQL manual, "Message Formats".

use super::read::{Reader, Truncated};

/// Type bytes of the client's messages.
pub mod kind {
    /// Bind.
    pub const BIND: u8 = b'B';
    /// Close.
    pub const CLOSE: u8 = b'C';
    /// CopyData.
    pub const COPY_DATA: u8 = b'd';
    /// CopyDone.
    pub const COPY_DONE: u8 = b'c';
    /// CopyFail.
    pub const COPY_FAIL: u8 = b'f';
    /// Describe.
    pub const DESCRIBE: u8 = b'D';
    /// Execute.
    pub const EXECUTE: u8 = b'E';
    /// Flush.
    pub const FLUSH: u8 = b'H';
    /// FunctionCall.
    pub const FUNCTION_CALL: u8 = b'F';
    /// Parse.
    pub const PARSE: u8 = b'P';
    /// PasswordMessage, SASLInitialResponse, SASLResponse, GSSResponse.
    pub const PASSWORD: u8 = b'p';
    /// Query.
    pub const QUERY: u8 = b'Q';
    /// Sync.
    pub const SYNC: u8 = b'S';
    /// Terminate.
    pub const TERMINATE: u8 = b'X';
}

/// What PostgreSQL keeps of the name of a statement or portal (`NAMEDATALEN` - 1), bytes.
pub const NAME_BYTES_MAX: usize = 63;

/// The name of a prepared statement or portal, as far as PostgreSQL tells names apart. Empty: the unnamed one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Box<[u8]>);

impl Name {
    /// The name that `bytes` mean to the server.
    pub fn new(bytes: &[u8]) -> Name {
        Name(bytes.get(..NAME_BYTES_MAX).unwrap_or(bytes).into())
    }

    /// As far as it counts.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether it is the unnamed one.
    pub fn is_unnamed(&self) -> bool {
        self.0.is_empty()
    }
}

/// A text and its length; the text is shorter where the captured beginning ended first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SqlText<'a> {
    /// As sent, without its NUL.
    pub text: &'a [u8],
    /// Of the whole text, bytes.
    pub text_bytes: u64,
}

impl<'a> SqlText<'a> {
    /// `captured` begins with the text; `unseen_bytes` of the body follow it, the last `tail_bytes` at least of which
    /// are not text. A text without a NUL, which the server will refuse, is taken to its end.
    fn read(captured: &'a [u8], unseen_bytes: u64, tail_bytes: u64) -> SqlText<'a> {
        let seen = u64::try_from(captured.len()).unwrap_or(u64::MAX);
        match end_of_text(captured) {
            Some(end) => SqlText {
                text: captured.get(..end).unwrap_or(captured),
                text_bytes: u64::try_from(end).unwrap_or(u64::MAX),
            },
            None if unseen_bytes == 0 => SqlText { text: captured, text_bytes: seen },
            None => SqlText {
                text: captured,
                text_bytes: seen.saturating_add(unseen_bytes).saturating_sub(tail_bytes).max(seen),
            },
        }
    }
}

/// Where the first NUL is. It is the last byte, as a rule: whether there are others is looked at without a branch for each.
fn end_of_text(captured: &[u8]) -> Option<usize> {
    match captured.split_last() {
        Some((0, before)) if !before.iter().fold(false, |found, byte| found | (*byte == 0)) => Some(before.len()),
        _ => captured.iter().position(|byte| *byte == 0),
    }
}

/// A Query's text. `body_bytes`: of the whole body.
pub fn query(captured: &[u8], body_bytes: u32) -> SqlText<'_> {
    SqlText::read(captured, unseen(captured, body_bytes), 1)
}

/// A Parse: the statement's name and its text. Where more of the text is missing than its end, `text_bytes` is too
/// high by four bytes for each declared parameter type.
pub fn parse(captured: &[u8], body_bytes: u32) -> Result<(Name, SqlText<'_>), Truncated> {
    let mut reader = Reader::new(captured);
    let name = Name::new(reader.c_string()?);
    Ok((name, SqlText::read(reader.rest(), unseen(captured, body_bytes), 3)))
}

fn unseen(captured: &[u8], body_bytes: u32) -> u64 {
    u64::from(body_bytes).saturating_sub(u64::try_from(captured.len()).unwrap_or(u64::MAX))
}

/// What a Describe or Close is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// `S`.
    Statement,
    /// `P`.
    Portal,
}

/// A Describe or a Close.
pub fn target(body: &[u8]) -> Result<(Target, Name), Truncated> {
    let mut reader = Reader::new(body);
    let target = match reader.u8()? {
        b'S' => Target::Statement,
        b'P' => Target::Portal,
        _ => return Err(Truncated),
    };
    Ok((target, Name::new(reader.c_string()?)))
}

/// An Execute: the portal, and the most rows it asks for (0 or less: all).
pub fn execute(body: &[u8]) -> Result<(Name, i32), Truncated> {
    let mut reader = Reader::new(body);
    Ok((Name::new(reader.c_string()?), reader.i32()?))
}

/// A FunctionCall's function.
pub fn function_oid(body: &[u8]) -> Result<u32, Truncated> {
    Reader::new(body).u32()
}

/// A SASLInitialResponse: the mechanism, and the mechanism's first message.
pub fn sasl_initial_response(body: &[u8]) -> Result<(&[u8], &[u8]), Truncated> {
    let mut reader = Reader::new(body);
    let mechanism = reader.c_string()?;
    let length = usize::try_from(reader.i32()?).map_err(|_| Truncated)?;
    match reader.rest().len() == length {
        true => Ok((mechanism, reader.rest())),
        false => Err(Truncated),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sasl_response_is_bounded_by_its_message() {
        assert_eq!(sasl_initial_response(b"SCRAM\0\0\0\0\x02n,"), Ok((&b"SCRAM"[..], &b"n,"[..])));
        for wrong in [&b"SCRAM\0\0\0\0\x03n,"[..], b"SCRAM\0\0\0\0\x01n,", b"SCRAM\0\xff\xff\xff\xff", b"SCRAM"] {
            assert_eq!(sasl_initial_response(wrong), Err(Truncated));
        }
    }

    #[test]
    fn texts_are_read_whole_or_cut_off() {
        let whole = query(b"select 1\0", 9);
        assert_eq!((whole.text, whole.text_bytes), (b"select 1".as_slice(), 8));
        let two = query(b"select 1\0--\0", 12);
        assert_eq!((two.text, two.text_bytes), (b"select 1".as_slice(), 8));
        assert_eq!((query(b"\0", 1).text, query(b"", 0).text), (b"".as_slice(), b"".as_slice()));
        let cut = query(b"select", 9);
        assert_eq!((cut.text, cut.text_bytes), (b"select".as_slice(), 8));
        let (name, text) = parse(b"s1\0select $1\0\0\x01\0\0\0\x17", 22).unwrap();
        assert_eq!((name, text.text, text.text_bytes), (Name::new(b"s1"), b"select $1".as_slice(), 9));
        assert_eq!(parse(b"s1", 2), Err(Truncated));
    }

    #[test]
    fn names_are_told_apart_by_63_bytes() {
        let long = [b'a'; 80];
        assert_eq!(Name::new(&long), Name::new(&long[..63]));
        assert_ne!(Name::new(&long), Name::new(&long[..62]));
    }

    #[test]
    fn targets_and_executes_are_read_inside_their_body() {
        assert_eq!(target(b"Ss\0").unwrap(), (Target::Statement, Name::new(b"s")));
        assert_eq!(target(b"P\0").unwrap(), (Target::Portal, Name::default()));
        assert!(target(b"Xs\0").is_err());
        assert!(target(b"Ss").is_err());
        assert_eq!(execute(b"p\0\0\0\0\x05").unwrap(), (Name::new(b"p"), 5));
        assert!(execute(b"p\0\0\0").is_err());
    }
}
