//! Messages of the server.
//!
//! In: the body of one message, or its captured beginning. Out: its parts, borrowed. Source: PostgreSQL manual,
//! "Message Formats" and "Error and Notice Message Fields".

use super::read::{Reader, Truncated};

/// Type bytes of the server's messages.
pub mod kind {
    /// Authentication….
    pub const AUTHENTICATION: u8 = b'R';
    /// BackendKeyData.
    pub const BACKEND_KEY_DATA: u8 = b'K';
    /// BindComplete.
    pub const BIND_COMPLETE: u8 = b'2';
    /// CloseComplete.
    pub const CLOSE_COMPLETE: u8 = b'3';
    /// CommandComplete.
    pub const COMMAND_COMPLETE: u8 = b'C';
    /// CopyData.
    pub const COPY_DATA: u8 = b'd';
    /// CopyDone.
    pub const COPY_DONE: u8 = b'c';
    /// CopyInResponse.
    pub const COPY_IN_RESPONSE: u8 = b'G';
    /// CopyOutResponse.
    pub const COPY_OUT_RESPONSE: u8 = b'H';
    /// CopyBothResponse.
    pub const COPY_BOTH_RESPONSE: u8 = b'W';
    /// DataRow.
    pub const DATA_ROW: u8 = b'D';
    /// EmptyQueryResponse.
    pub const EMPTY_QUERY_RESPONSE: u8 = b'I';
    /// ErrorResponse.
    pub const ERROR_RESPONSE: u8 = b'E';
    /// FunctionCallResponse.
    pub const FUNCTION_CALL_RESPONSE: u8 = b'V';
    /// NegotiateProtocolVersion.
    pub const NEGOTIATE_PROTOCOL_VERSION: u8 = b'v';
    /// NoData.
    pub const NO_DATA: u8 = b'n';
    /// NoticeResponse.
    pub const NOTICE_RESPONSE: u8 = b'N';
    /// NotificationResponse.
    pub const NOTIFICATION_RESPONSE: u8 = b'A';
    /// ParameterDescription.
    pub const PARAMETER_DESCRIPTION: u8 = b't';
    /// ParameterStatus.
    pub const PARAMETER_STATUS: u8 = b'S';
    /// ParseComplete.
    pub const PARSE_COMPLETE: u8 = b'1';
    /// PortalSuspended.
    pub const PORTAL_SUSPENDED: u8 = b's';
    /// ReadyForQuery.
    pub const READY_FOR_QUERY: u8 = b'Z';
    /// RowDescription.
    pub const ROW_DESCRIPTION: u8 = b'T';
}

/// One column of a RowDescription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column<'a> {
    /// Its label.
    pub name: &'a [u8],
    /// The table it is a plain column of, or 0.
    pub table_oid: u32,
    /// Its attribute number there, or 0.
    pub attribute: i16,
    /// Its type.
    pub type_oid: u32,
    /// 0 text, 1 binary; 0 where a statement and not a portal is described.
    pub format: i16,
}

/// The columns of a RowDescription. The declared count is only a hint: what is collected is what the body holds.
pub fn row_description(body: &[u8]) -> Result<Vec<Column<'_>>, Truncated> {
    let mut reader = Reader::new(body);
    let count = reader.u16()?;
    let mut columns = Vec::new();
    for _ in 0..count {
        let name = reader.c_string()?;
        let (table_oid, attribute, type_oid) = (reader.u32()?, reader.i16()?, reader.u32()?);
        let (_size, _modifier, format) = (reader.i16()?, reader.i32()?, reader.i16()?);
        columns.push(Column { name, table_oid, attribute, type_oid, format });
    }
    Ok(columns)
}

/// The fields of an ErrorResponse that matter here; empty where it had none. A field that the captured beginning cuts
/// off is taken as far as it goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ErrorFields<'a> {
    /// `V`, or `S` of a server older than 9.6.
    pub severity: &'a [u8],
    /// `C`.
    pub sqlstate: &'a [u8],
    /// `M`.
    pub message: &'a [u8],
    /// `D`.
    pub detail: &'a [u8],
    /// `H`.
    pub hint: &'a [u8],
    /// `q`: a statement that a function put together, perhaps.
    pub internal: &'a [u8],
    /// Whether it has a `P`: it is about a place in the text.
    pub has_position: bool,
    /// Whether all of it was captured.
    pub is_whole: bool,
    /// `R`: the routine of the server's source that reported it, which no locale translates.
    pub routine: &'a [u8],
}

impl<'a> ErrorFields<'a> {
    /// Reads them.
    pub fn read(body: &'a [u8]) -> ErrorFields<'a> {
        let mut fields = ErrorFields::default();
        let mut reader = Reader::new(body);
        while let Ok(code) = reader.u8() {
            if code == 0 {
                fields.is_whole = true;
                break;
            }
            let rest = reader.rest();
            let value = reader.c_string();
            let text = value.unwrap_or(rest);
            match code {
                b'V' => fields.severity = text,
                b'S' if fields.severity.is_empty() => fields.severity = text,
                b'C' => fields.sqlstate = text,
                b'M' => fields.message = text,
                b'D' => fields.detail = text,
                b'H' => fields.hint = text,
                b'q' => fields.internal = text,
                b'P' => fields.has_position = true,
                b'R' => fields.routine = text,
                _ => {}
            }
            if value.is_err() {
                break;
            }
        }
        fields
    }

    /// Whether the server ends the connection with it.
    pub fn is_fatal(&self) -> bool {
        matches!(self.severity, b"FATAL" | b"PANIC")
    }
}

/// What an Authentication message asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authentication {
    /// Done.
    Ok,
    /// A method, in the words of `pg_hba.conf`.
    Method(&'static str),
    /// A further step of the method under way.
    Continue,
}

/// An Authentication message.
pub fn authentication(body: &[u8]) -> Result<Authentication, Truncated> {
    let mut reader = Reader::new(body);
    Ok(match reader.u32()? {
        0 => Authentication::Ok,
        2 => Authentication::Method("krb5"),
        3 => Authentication::Method("password"),
        5 => Authentication::Method("md5"),
        7 => Authentication::Method("gss"),
        9 => Authentication::Method("sspi"),
        SASL => Authentication::Method(sasl_method(reader)),
        _ => Authentication::Continue,
    })
}

fn sasl_method(mechanisms: Reader<'_>) -> &'static str {
    let method = names(mechanisms).find_map(|mechanism| match mechanism {
        b"SCRAM-SHA-256" | b"SCRAM-SHA-256-PLUS" => Some("scram-sha-256"),
        b"OAUTHBEARER" => Some("oauth"),
        _ => None,
    });
    method.unwrap_or("sasl")
}

/// The code of an AuthenticationSASL.
pub const SASL: u32 = 10;
/// The code of an AuthenticationSASLContinue.
pub const SASL_CONTINUE: u32 = 11;
/// The code of an AuthenticationSASLFinal.
pub const SASL_FINAL: u32 = 12;

/// What an AuthenticationSASL offers; nothing for any other message.
pub fn sasl_mechanisms(body: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    let mut reader = Reader::new(body);
    let is_sasl = reader.u32() == Ok(SASL);
    names(if is_sasl { reader } else { Reader::new(&[]) })
}

/// What an Authentication message of that code carries.
pub fn authentication_data(body: &[u8], code: u32) -> Option<&[u8]> {
    let mut reader = Reader::new(body);
    (reader.u32() == Ok(code)).then(|| reader.rest())
}

fn names(mut reader: Reader<'_>) -> impl Iterator<Item = &[u8]> + Clone {
    std::iter::from_fn(move || reader.c_string().ok().filter(|name| !name.is_empty()))
}

/// A ParameterStatus: name and value.
pub fn parameter_status(body: &[u8]) -> Result<(&[u8], &[u8]), Truncated> {
    let mut reader = Reader::new(body);
    Ok((reader.c_string()?, reader.c_string()?))
}

/// A NotificationResponse's channel. What it says, behind that, is not read.
pub fn notification_channel(body: &[u8]) -> Result<&[u8], Truncated> {
    let mut reader = Reader::new(body);
    let _process = reader.u32()?;
    reader.c_string()
}

/// A CommandComplete's tag.
pub fn command_tag(body: &[u8]) -> Result<&[u8], Truncated> {
    Reader::new(body).c_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_read_and_a_count_that_lies_is_an_error() {
        let mut body = vec![0, 1];
        body.extend(b"id\0\0\0\x40\0\0\x01\0\0\0\x17\0\x04\xff\xff\xff\xff\0\x01");
        let column = Column { name: b"id", table_oid: 16384, attribute: 1, type_oid: 23, format: 1 };
        assert_eq!(row_description(&body), Ok(vec![column]));
        body[1] = 2;
        assert_eq!(row_description(&body), Err(Truncated));
    }

    #[test]
    fn errors_are_read_as_far_as_they_were_captured() {
        let fields = ErrorFields::read(b"SFATAL\0VERROR\0C42P01\0Mno such\0Dx\0\0");
        assert_eq!((fields.severity, fields.sqlstate, fields.message), (&b"ERROR"[..], &b"42P01"[..], &b"no such"[..]));
        assert!(!fields.is_fatal());
        assert_eq!((fields.detail, fields.has_position, fields.is_whole), (&b"x"[..], false, true));
        assert!(ErrorFields::read(b"SERROR\0Mno\0P8\0\0").has_position);
        let cut = ErrorFields::read(b"SPANIC\0C57P02\0Mcut of");
        assert_eq!((cut.message, cut.is_whole), (&b"cut of"[..], false));
        assert_eq!(ErrorFields::read(b"SERROR\0C08P01\0Mno\0RCopyGetData\0\0").routine, b"CopyGetData");
        assert!(ErrorFields::read(b"SPANIC\0").is_fatal());
        assert_eq!(ErrorFields::read(b""), ErrorFields::default());
    }

    #[test]
    fn methods_are_named_as_in_pg_hba() {
        let cases: &[(&[u8], Authentication)] = &[
            (b"\0\0\0\0", Authentication::Ok),
            (b"\0\0\0\x03", Authentication::Method("password")),
            (b"\0\0\0\x05salt", Authentication::Method("md5")),
            (b"\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0", Authentication::Method("scram-sha-256")),
            (b"\0\0\0\x0aOAUTHBEARER\0\0", Authentication::Method("oauth")),
            (b"\0\0\0\x0bchallenge", Authentication::Continue),
        ];
        for (body, expected) in cases {
            assert_eq!(authentication(body), Ok(*expected));
        }
        assert!(authentication(b"\0\0").is_err());
    }

    #[test]
    fn mechanisms_are_listed() {
        let list = |body: &[u8]| sasl_mechanisms(body).map(<[u8]>::to_vec).collect::<Vec<_>>();
        assert_eq!(
            list(b"\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"),
            [&b"SCRAM-SHA-256-PLUS"[..], b"SCRAM-SHA-256"]
        );
        for none in [&b"\0\0\0\x0bSCRAM-SHA-256\0\0"[..], b"\0\0\0\x0a\0SCRAM-SHA-256\0\0", b"\0\0\0\x0aSCRAM", b""] {
            assert!(list(none).is_empty());
        }
        assert_eq!(authentication_data(b"\0\0\0\x0cv=x", SASL_FINAL), Some(&b"v=x"[..]));
        assert_eq!(authentication_data(b"\0\0\0\x0cv=x", SASL_CONTINUE), None);
    }
}
