//! The first packet of a connection, which has a length but no type byte.
//!
//! In: the first bytes of a client. Out: what it asks for. Refuses what `ProcessStartupPacket` in
//! `backend_startup.c` refuses: a length out of bounds, an unterminated list of parameters, a protocol other than 3.
//! Source: PostgreSQL manual, "Message Formats": StartupMessage, SSLRequest, GSSENCRequest, CancelRequest.

use super::read::{Reader, Truncated};

/// The longest first packet without its length word (`MAX_STARTUP_PACKET_LENGTH`), bytes.
pub const STARTUP_BYTES_MAX: usize = 10_000;
/// The longest first packet, length word included, bytes: what a caller has to be able to hold.
pub const FIRST_PACKET_BYTES_MAX: usize = STARTUP_BYTES_MAX + LENGTH_BYTES;
/// The shortest key of a CancelRequest, bytes.
pub const CANCEL_KEY_BYTES_MIN: usize = 4;
/// The longest key of a CancelRequest (protocol 3.2), bytes.
pub const CANCEL_KEY_BYTES_MAX: usize = 256;

const LENGTH_BYTES: usize = 4;
const CANCEL_REQUEST_CODE: u32 = 80_877_102;
const SSL_REQUEST_CODE: u32 = 80_877_103;
const GSS_ENC_REQUEST_CODE: u32 = 80_877_104;

/// What a client begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum First {
    /// A session.
    Startup(Startup),
    /// TLS; the client waits for one byte, then begins again.
    SslRequest,
    /// GSSAPI encryption; the client waits for one byte, then begins again.
    GssEncRequest,
    /// The end of another session's statement.
    Cancel(Cancel),
}

/// Names and values of start-up parameters, in the bytes and the order in which they were sent.
pub type Parameters = Vec<(Vec<u8>, Vec<u8>)>;

/// A StartupMessage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Startup {
    /// Protocol version's minor part; the major one is 3.
    pub minor: u16,
    /// Names and values as sent, in order.
    pub parameters: Parameters,
}

impl Startup {
    /// A parameter's value; the last one where it was sent more than once, as in PostgreSQL.
    pub fn parameter(&self, name: &str) -> Option<&[u8]> {
        self.parameters.iter().rev().find(|(key, _)| key == name.as_bytes()).map(|(_, value)| value.as_slice())
    }
}

/// A CancelRequest.
#[derive(Clone, PartialEq, Eq)]
pub struct Cancel {
    /// BackendKeyData's process id.
    pub process_id: u32,
    /// BackendKeyData's secret key, 4 to 256 bytes.
    pub key: Box<[u8]>,
}

/// Without the key: it is a secret.
impl std::fmt::Debug for Cancel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cancel").field("process_id", &self.process_id).finish_non_exhaustive()
    }
}

/// Why a first packet is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartupError {
    /// Shorter than a version, or longer than [`STARTUP_BYTES_MAX`].
    #[error("invalid length of startup packet")]
    InvalidLength,
    /// Neither a request nor protocol 3.
    #[error("unsupported frontend protocol {major}.{minor}")]
    UnsupportedProtocol {
        /// As sent.
        major: u16,
        /// As sent.
        minor: u16,
    },
    /// The parameters do not end where the packet does.
    #[error("invalid startup packet layout")]
    InvalidLayout,
    /// A CancelRequest whose key is too short or too long.
    #[error("invalid length of query cancel packet")]
    InvalidCancel,
}

impl From<Truncated> for StartupError {
    fn from(_: Truncated) -> StartupError {
        StartupError::InvalidLayout
    }
}

/// The whole length that a first packet claims to have, bytes; 0 where it has not come that far.
pub fn length(input: &[u8]) -> usize {
    let word = input.first_chunk::<LENGTH_BYTES>();
    word.and_then(|word| usize::try_from(u32::from_be_bytes(*word)).ok()).unwrap_or(0)
}

/// A CancelRequest that carries the body of a BackendKeyData.
pub fn cancel_request(key_data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(key_data.len()).unwrap_or(u32::MAX).saturating_add(8);
    [&length.to_be_bytes(), &CANCEL_REQUEST_CODE.to_be_bytes(), key_data].concat()
}

/// The first packet and its whole length in bytes; `None` where `input` does not hold all of it yet. Never needs more
/// than [`FIRST_PACKET_BYTES_MAX`] bytes of input.
pub fn read(input: &[u8]) -> Result<Option<(First, usize)>, StartupError> {
    let Some((word, _)) = input.split_first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
    let total = usize::try_from(u32::from_be_bytes(*word)).unwrap_or(usize::MAX);
    if !(LENGTH_BYTES.saturating_mul(2)..=FIRST_PACKET_BYTES_MAX).contains(&total) {
        return Err(StartupError::InvalidLength);
    }
    let Some(packet) = input.get(LENGTH_BYTES..total) else { return Ok(None) };
    first(packet).map(|first| Some((first, total)))
}

fn first(packet: &[u8]) -> Result<First, StartupError> {
    let mut reader = Reader::new(packet);
    match reader.u32()? {
        SSL_REQUEST_CODE => Ok(First::SslRequest),
        GSS_ENC_REQUEST_CODE => Ok(First::GssEncRequest),
        CANCEL_REQUEST_CODE => {
            let process_id = reader.u32().map_err(|Truncated| StartupError::InvalidCancel)?;
            let key = reader.rest();
            match (CANCEL_KEY_BYTES_MIN..=CANCEL_KEY_BYTES_MAX).contains(&key.len()) {
                true => Ok(First::Cancel(Cancel { process_id, key: key.into() })),
                false => Err(StartupError::InvalidCancel),
            }
        }
        version => {
            let [a, b, c, d] = version.to_be_bytes();
            let (major, minor) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
            match major {
                3 => Ok(First::Startup(Startup { minor, parameters: parameters(reader)? })),
                _ => Err(StartupError::UnsupportedProtocol { major, minor }),
            }
        }
    }
}

fn parameters(mut reader: Reader<'_>) -> Result<Parameters, StartupError> {
    let mut found = Vec::new();
    loop {
        let name = reader.c_string()?;
        if name.is_empty() {
            break;
        }
        found.push((name.to_vec(), reader.c_string()?.to_vec()));
    }
    match reader.rest().is_empty() {
        true => Ok(found),
        false => Err(StartupError::InvalidLayout),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(code: u32, rest: &[u8]) -> Vec<u8> {
        let length = u32::try_from(rest.len() + 8).unwrap();
        [&length.to_be_bytes(), &code.to_be_bytes(), rest].concat()
    }

    #[test]
    fn requests_are_told_from_sessions() {
        assert_eq!(read(&packet(80_877_103, b"")), Ok(Some((First::SslRequest, 8))));
        assert_eq!(read(&packet(80_877_104, b"")), Ok(Some((First::GssEncRequest, 8))));
        let Ok(Some((First::Startup(startup), 30))) = read(&packet(0x0003_0002, b"user\0ann\0user\0bob\0a\0\0\0"))
        else {
            panic!("not a startup")
        };
        assert_eq!(startup.minor, 2);
        assert_eq!(startup.parameter("user"), Some(b"bob".as_slice()));
        assert_eq!(startup.parameter("a"), Some(b"".as_slice()));
        assert_eq!(startup.parameter("database"), None);
    }

    #[test]
    fn cancel_keys_of_every_protocol_version_are_read() {
        for (bytes, valid) in [(3, false), (4, true), (32, true), (256, true), (257, false)] {
            let got = read(&packet(80_877_102, &[vec![0, 0, 0, 9], vec![1; bytes]].concat()));
            assert_eq!(got.is_ok(), valid, "{bytes}");
            let ours = cancel_request(&[vec![0, 0, 0, 9], vec![1; bytes]].concat());
            assert_eq!(ours, packet(80_877_102, &[vec![0, 0, 0, 9], vec![1; bytes]].concat()));
            if let Ok(Some((First::Cancel(cancel), _))) = got {
                assert_eq!((cancel.process_id, cancel.key.len()), (9, bytes));
                assert!(!format!("{cancel:?}").contains("[1"));
            }
        }
    }

    #[test]
    fn an_incomplete_packet_is_waited_for_and_a_wrong_one_refused() {
        let whole = packet(0x0003_0000, b"user\0ann\0\0");
        for end in 0..whole.len() {
            assert_eq!(read(&whole[..end]), Ok(None), "{end}");
        }
        assert_eq!(read(&[0, 0, 0, 7]), Err(StartupError::InvalidLength));
        assert_eq!(read(&10_005u32.to_be_bytes()), Err(StartupError::InvalidLength));
        assert_eq!(read(&10_004u32.to_be_bytes()), Ok(None));
        assert_eq!(read(b"GET / HTTP/1.1"), Err(StartupError::InvalidLength));
        assert_eq!(read(&packet(0x0003_0000, b"user\0ann\0")), Err(StartupError::InvalidLayout));
        assert_eq!(read(&packet(0x0003_0000, b"user\0ann\0\0x")), Err(StartupError::InvalidLayout));
        assert_eq!(read(&packet(0x0002_0000, b"\0")), Err(StartupError::UnsupportedProtocol { major: 2, minor: 0 }));
    }
}
