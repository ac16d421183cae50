//! Where a message begins and ends.
//!
//! In: a byte stream, cut anywhere. Out: headers (type and length), then the body in the pieces in which it came; the
//! caller captures, counts or walks them. Refuses a length that PostgreSQL would refuse. Holds five bytes, never a
//! body.
//!
//! Source: PostgreSQL manual, "Message Formats"; `SocketBackend` in `tcop/postgres.c` and `pq_getmessage` in
//! `libpq/pqcomm.c` for the limits by type.

use super::frontend::kind;

/// Type byte and length word.
pub const HEADER_BYTES: usize = 5;
/// The largest length word of a message that carries no data of the user (`PQ_SMALL_MESSAGE_LIMIT`), bytes.
pub const SMALL_MESSAGE_BYTES_MAX: u32 = 10_000;
/// The largest length word of any other message of the client (`PQ_LARGE_MESSAGE_LIMIT`), bytes.
pub const LARGE_MESSAGE_BYTES_MAX: u32 = 0x3fff_fffe;
/// The largest length word of a password or SASL message (`PG_MAX_AUTH_TOKEN_LENGTH`), bytes.
pub const AUTH_MESSAGE_BYTES_MAX: u32 = 65_535;
/// The largest length word of a message of the server: a `StringInfo` at its limit, and the word itself, bytes.
pub const BACKEND_MESSAGE_BYTES_MAX: u32 = 0x4000_0003;
/// The smallest length word: it counts itself.
const LENGTH_BYTES: u32 = 4;

/// Which end of the connection sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The client.
    Frontend,
    /// The server.
    Backend,
}

/// A message's first five bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// The type byte; its meaning depends on who sends.
    pub kind: u8,
    /// The length word: body and itself, bytes. At least 4.
    pub length: u32,
}

impl Header {
    /// The body alone, bytes.
    pub fn body_bytes(self) -> u32 {
        self.length.saturating_sub(LENGTH_BYTES)
    }

    /// The whole message, bytes.
    pub fn total_bytes(self) -> u64 {
        u64::from(self.length).saturating_add(1)
    }
}

/// A length word that PostgreSQL would not accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("message of type 0x{kind:02x} has the invalid length {length}")]
pub struct InvalidLength {
    /// The type byte.
    pub kind: u8,
    /// The length word.
    pub length: u32,
}

/// Cuts one direction of a connection into messages.
#[derive(Clone, Debug)]
pub struct Scanner {
    side: Side,
    head: [u8; HEADER_BYTES],
    have: u8,
    inside: bool,
    left: u32,
}

impl Scanner {
    /// A scanner at the start of a message.
    pub fn new(side: Side) -> Scanner {
        Scanner { side, head: [0; HEADER_BYTES], have: 0, inside: false, left: 0 }
    }

    /// Whether a header was given whose body is not through yet.
    pub fn is_inside(&self) -> bool {
        self.inside
    }

    /// Whether the last byte seen ended a message.
    pub fn is_between(&self) -> bool {
        !self.inside && self.have == 0
    }

    /// The next header; `None` where `input` ends before it does. Takes what it reads off `input`. Afterwards
    /// [`Scanner::body`] has to be called until it says that the body is through, for an empty body too.
    pub fn header(&mut self, input: &mut &[u8]) -> Result<Option<Header>, InvalidLength> {
        if self.have == 0
            && let Some((head, rest)) = input.split_first_chunk::<HEADER_BYTES>()
        {
            *input = rest;
            return self.open(*head).map(Some);
        }
        while let Some((byte, rest)) = input.split_first() {
            if let Some(slot) = self.head.get_mut(usize::from(self.have)) {
                *slot = *byte;
            }
            *input = rest;
            self.have = self.have.saturating_add(1);
            if usize::from(self.have) == HEADER_BYTES {
                self.have = 0;
                return self.open(self.head).map(Some);
            }
        }
        Ok(None)
    }

    /// The part of the body that `input` holds, and whether the body is through with it.
    pub fn body<'a>(&mut self, input: &mut &'a [u8]) -> (&'a [u8], bool) {
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX);
        let (piece, rest) = input.split_at_checked(wanted).unwrap_or((input, &[]));
        *input = rest;
        self.left = self.left.saturating_sub(u32::try_from(piece.len()).unwrap_or(u32::MAX));
        self.inside = self.left > 0;
        (piece, !self.inside)
    }

    /// Takes off `input` the messages of this type that it holds whole, up to the first that is none: how many, and their bytes. Each one's
    /// body is given to `each`. Of a large result, these are nearly all. What it leaves, [`Scanner::header`] reads, or refuses.
    pub fn pass_over<'a>(&mut self, kind: u8, input: &mut &'a [u8], mut each: impl FnMut(&'a [u8])) -> (u64, u64) {
        let (mut count, mut rest) = (0_u64, *input);
        if !self.is_between() {
            return (0, 0);
        }
        let most = longest(self.side, kind);
        while let Some(([first, a, b, c, d], body)) = rest.split_first_chunk::<HEADER_BYTES>() {
            let length = u32::from_be_bytes([*a, *b, *c, *d]);
            if *first != kind || !(LENGTH_BYTES..=most).contains(&length) {
                break;
            }
            let body_bytes = usize::try_from(length.saturating_sub(LENGTH_BYTES)).ok();
            let Some((body, behind)) = body_bytes.and_then(|bytes| body.split_at_checked(bytes)) else { break };
            each(body);
            rest = behind;
            count = count.saturating_add(1);
        }
        let bytes = input.len().saturating_sub(rest.len());
        *input = rest;
        (count, bytes as u64)
    }

    fn open(&mut self, head: [u8; HEADER_BYTES]) -> Result<Header, InvalidLength> {
        let [kind, a, b, c, d] = head;
        let header = Header { kind, length: u32::from_be_bytes([a, b, c, d]) };
        if header.length < LENGTH_BYTES || header.length > longest(self.side, kind) {
            return Err(InvalidLength { kind, length: header.length });
        }
        self.left = header.body_bytes();
        self.inside = true;
        Ok(header)
    }
}

/// The first message of `input` and its body; `None` where `input` does not hold all of it.
pub fn whole(side: Side, input: &[u8]) -> Result<Option<(Header, &[u8])>, InvalidLength> {
    let (mut rest, mut scanner) = (input, Scanner::new(side));
    let Some(header) = scanner.header(&mut rest)? else { return Ok(None) };
    let (body, is_through) = scanner.body(&mut rest);
    Ok(is_through.then_some((header, body)))
}

/// The largest length word that PostgreSQL takes for this type. A type that it does not know ends the session on its side
/// before the length is read: any length will do, so that its own FATAL is what the client hears.
fn longest(side: Side, message: u8) -> u32 {
    match side {
        Side::Backend => BACKEND_MESSAGE_BYTES_MAX,
        Side::Frontend => match message {
            kind::CLOSE
            | kind::DESCRIBE
            | kind::EXECUTE
            | kind::FLUSH
            | kind::SYNC
            | kind::TERMINATE
            | kind::COPY_DONE
            | kind::COPY_FAIL => SMALL_MESSAGE_BYTES_MAX,
            kind::PASSWORD => AUTH_MESSAGE_BYTES_MAX,
            kind::BIND | kind::FUNCTION_CALL | kind::PARSE | kind::QUERY | kind::COPY_DATA => LARGE_MESSAGE_BYTES_MAX,
            _ => u32::MAX,
        },
    }
}

/// Collects the beginning of a body that comes in pieces. Copies nothing where it comes in one.
#[derive(Clone, Debug, Default)]
pub struct Capture {
    bytes: Vec<u8>,
}

/// What a [`Capture`] keeps of its buffer between messages, bytes.
const CAPTURE_KEPT_BYTES_MAX: usize = 256;

impl Capture {
    /// Whether no piece was taken since it was cleared: a body that comes whole needs no capture.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Takes a piece; gives the body's first `bytes_max` bytes when it is `last`. Call [`Capture::clear`] then.
    pub fn take<'a>(&'a mut self, piece: &'a [u8], last: bool, bytes_max: usize) -> Option<&'a [u8]> {
        if last && self.bytes.is_empty() {
            return Some(piece.get(..bytes_max).unwrap_or(piece));
        }
        let room = bytes_max.saturating_sub(self.bytes.len());
        self.bytes.extend_from_slice(piece.get(..room).unwrap_or(piece));
        last.then_some(self.bytes.as_slice())
    }

    /// Forgets the body, and a large buffer with it.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(CAPTURE_KEPT_BYTES_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![kind];
        bytes.extend(u32::try_from(body.len() + 4).unwrap().to_be_bytes());
        bytes.extend(body);
        bytes
    }

    #[test]
    fn a_first_message_is_whole_or_not_there_yet() {
        let stream = [message(b'R', b"abc"), message(b'S', b"")].concat();
        assert_eq!(whole(Side::Backend, &stream), Ok(Some((Header { kind: b'R', length: 7 }, &b"abc"[..]))));
        assert_eq!(whole(Side::Backend, &stream[..7]), Ok(None));
        assert_eq!(whole(Side::Backend, &stream[..3]), Ok(None));
        assert!(whole(Side::Backend, b"R\0\0\0\x03").is_err());
    }

    fn frames(side: Side, stream: &[u8], step: usize, cap: usize) -> Result<Vec<(u8, Vec<u8>)>, InvalidLength> {
        let mut scanner = Scanner::new(side);
        let mut capture = Capture::default();
        let mut found = Vec::new();
        let mut header = Header::default();
        for mut input in stream.chunks(step) {
            loop {
                if !scanner.is_inside() {
                    match scanner.header(&mut input)? {
                        Some(next) => header = next,
                        None => break,
                    }
                }
                let (piece, last) = scanner.body(&mut input);
                if let Some(body) = capture.take(piece, last, cap) {
                    found.push((header.kind, body.to_vec()));
                    capture.clear();
                }
                if !last {
                    break;
                }
            }
        }
        assert!(scanner.is_between());
        Ok(found)
    }

    #[test]
    fn frames_are_the_same_however_the_stream_is_cut() {
        let stream = [message(b'Q', b"select 1\0"), message(b'S', b""), message(b'd', &[7; 3000])].concat();
        let whole = frames(Side::Frontend, &stream, stream.len(), 10).unwrap();
        assert_eq!(whole[0], (b'Q', b"select 1\0".to_vec()));
        assert_eq!(whole[1], (b'S', vec![]));
        assert_eq!(whole[2], (b'd', vec![7; 10]));
        for step in 1..40 {
            assert_eq!(frames(Side::Frontend, &stream, step, 10).unwrap(), whole, "step {step}");
        }
    }

    #[test]
    fn whole_messages_of_one_type_are_passed_over_and_nothing_else() {
        let rows = [message(b'D', b"abc"), message(b'D', b""), message(b'D', b"de")].concat();
        let passed = |stream: &[u8]| {
            let (mut input, mut scanner) = (stream, Scanner::new(Side::Backend));
            let (count, bytes) = scanner.pass_over(b'D', &mut input, |_| {});
            (count, bytes, input.len())
        };
        assert_eq!(passed(&rows), (3, 20, 0));
        assert_eq!(passed(&[rows.clone(), message(b'C', b"x")].concat()), (3, 20, 6));
        assert_eq!(passed(&rows[..19]), (2, 13, 6), "one that is not whole");
        assert_eq!(passed(&rows[..15]), (2, 13, 2), "nor its header");
        assert_eq!(passed(&[&rows[..], b"D\0\0\0\x03"].concat()), (3, 20, 5), "one that will be refused");
        assert_eq!(passed(&[&rows[..], b"D\xff\xff\xff\xff"].concat()), (3, 20, 5));
        let (mut scanner, mut input) = (Scanner::new(Side::Backend), &rows[..]);
        let mut head = &rows[..3];
        scanner.header(&mut head).unwrap();
        assert_eq!(scanner.pass_over(b'D', &mut input, |_| {}), (0, 0), "inside of a header");
    }

    #[test]
    fn lengths_are_limited_by_type_as_the_server_limits_them() {
        let cases: &[(Side, u8, u32, bool)] = &[
            (Side::Frontend, b'Q', 3, false),
            (Side::Frontend, b'Q', 4, true),
            (Side::Frontend, b'Q', LARGE_MESSAGE_BYTES_MAX, true),
            (Side::Frontend, b'Q', LARGE_MESSAGE_BYTES_MAX + 1, false),
            (Side::Frontend, b'S', SMALL_MESSAGE_BYTES_MAX, true),
            (Side::Frontend, b'S', SMALL_MESSAGE_BYTES_MAX + 1, false),
            (Side::Frontend, b'p', AUTH_MESSAGE_BYTES_MAX + 1, false),
            (Side::Frontend, b'd', u32::MAX, false),
            (Side::Frontend, b'y', u32::MAX, true),
            (Side::Frontend, b'y', 3, false),
            (Side::Backend, b'D', LARGE_MESSAGE_BYTES_MAX + 2, true),
            (Side::Backend, b'D', u32::MAX, false),
        ];
        for (side, kind, length, valid) in cases {
            let head = [vec![*kind], length.to_be_bytes().to_vec()].concat();
            let got = Scanner::new(*side).header(&mut head.as_slice());
            assert_eq!(got.is_ok(), *valid, "{side:?} {kind} {length}");
        }
    }
}
