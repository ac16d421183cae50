//! The few messages that the sidecar itself originates: errors, where there is no server to give one, and those of an
//! authentication that it takes part in.
//!
//! In: their parts. Out: their bytes. Never used for what passes through.
//! Source: PostgreSQL manual, "Message Formats" and "Error and Notice Message Fields"; Appendix A for the codes.

use super::backend::{SASL, SASL_CONTINUE, SASL_FINAL};

/// SQLSTATE `too_many_connections`.
pub const TOO_MANY_CONNECTIONS: &str = "53300";
/// SQLSTATE `connection_failure`: the server cannot be reached, or was lost.
pub const CONNECTION_FAILURE: &str = "08006";
/// SQLSTATE `admin_shutdown`.
pub const ADMIN_SHUTDOWN: &str = "57P01";
/// SQLSTATE `protocol_violation`.
pub const PROTOCOL_VIOLATION: &str = "08P01";
/// SQLSTATE `invalid_authorization_specification`.
pub const INVALID_AUTHORIZATION: &str = "28000";
/// SQLSTATE `invalid_password`.
pub const INVALID_PASSWORD: &str = "28P01";
/// SQLSTATE `query_canceled`: PostgreSQL's, too, where authentication takes too long.
pub const QUERY_CANCELED: &str = "57014";
/// SQLSTATE `insufficient_privilege`.
pub const INSUFFICIENT_PRIVILEGE: &str = "42501";
/// SQLSTATE `feature_not_supported`.
pub const FEATURE_NOT_SUPPORTED: &str = "0A000";

/// The longest message text that is sent, bytes.
const MESSAGE_BYTES_MAX: usize = 1_000;

/// An ErrorResponse with the fields S, V, C and M. A NUL, which would end a field early, is left out; a message over
/// 1,000 bytes is cut off between two characters.
pub fn error_response(severity: &str, sqlstate: &str, message: &str) -> Vec<u8> {
    let cut = message.floor_char_boundary(MESSAGE_BYTES_MAX);
    let mut fields = Vec::new();
    for (code, text) in [(b'S', severity), (b'V', severity), (b'C', sqlstate), (b'M', message.get(..cut).unwrap_or(""))]
    {
        fields.push(code);
        fields.extend(text.bytes().filter(|byte| *byte != 0));
        fields.push(0);
    }
    fields.push(0);
    framed(b'E', &fields)
}

/// AuthenticationSASL: what the client may choose from.
pub fn authentication_sasl<'a>(mechanisms: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut body = SASL.to_be_bytes().to_vec();
    for mechanism in mechanisms {
        body.extend(mechanism);
        body.push(0);
    }
    body.push(0);
    framed(b'R', &body)
}

/// AuthenticationSASLContinue.
pub fn authentication_sasl_continue(data: &[u8]) -> Vec<u8> {
    framed(b'R', &[&SASL_CONTINUE.to_be_bytes(), data].concat())
}

/// AuthenticationSASLFinal.
pub fn authentication_sasl_final(data: &[u8]) -> Vec<u8> {
    framed(b'R', &[&SASL_FINAL.to_be_bytes(), data].concat())
}

/// SASLInitialResponse.
pub fn sasl_initial_response(mechanism: &str, data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
    framed(b'p', &[mechanism.as_bytes(), &[0], &length.to_be_bytes(), data].concat())
}

/// SASLResponse.
pub fn sasl_response(data: &[u8]) -> Vec<u8> {
    framed(b'p', data)
}

fn framed(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX).saturating_add(4);
    [&[kind], length.to_be_bytes().as_slice(), body].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::backend::ErrorFields;

    #[test]
    fn an_error_reads_back() {
        let bytes = error_response("FATAL", TOO_MANY_CONNECTIONS, "too\0 many 接続");
        assert_eq!(usize::try_from(u32::from_be_bytes(bytes[1..5].try_into().unwrap())).unwrap(), bytes.len() - 1);
        let fields = ErrorFields::read(&bytes[5..]);
        assert!(fields.is_fatal());
        assert_eq!(fields.sqlstate, b"53300");
        assert_eq!(fields.message, "too many 接続".as_bytes());
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let bytes = error_response("ERROR", PROTOCOL_VIOLATION, &"見".repeat(1000));
        let fields = ErrorFields::read(&bytes[5..]);
        assert_eq!(std::str::from_utf8(fields.message).unwrap().chars().count(), 333);
    }
}
