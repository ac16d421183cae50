//! A value's canonical text: `4711` however it was sent.
//!
//! In: a value's type, format and bytes. Out: the text that PostgreSQL's text format has for it. Integers, OIDs, UUIDs
//! and texts come out the same from either format; a binary value of another type becomes `\x` and its bytes in hex.

use std::borrow::Cow;
use std::fmt::Write;

const INT8: u32 = 20;
const INT2: u32 = 21;
const INT4: u32 = 23;
const OID: u32 = 26;
const UUID: u32 = 2_950;
/// `"char"`, name, text, unknown, bpchar, varchar, xml, json: the binary format is the text itself.
const TEXTS: [u32; 8] = [18, 19, 25, 705, 1_042, 1_043, 142, 114];

/// A canonical text, in the bytes in which it came where it needs no change.
#[derive(Debug)]
pub(in crate::session) struct Canonical<'a>(Cow<'a, [u8]>);

impl<'a> Canonical<'a> {
    /// The canonical text of a value. `bytes` that do not fit their type are given in hex.
    pub(in crate::session) fn of(type_oid: u32, binary: bool, bytes: &'a [u8]) -> Canonical<'a> {
        if !binary || TEXTS.contains(&type_oid) {
            return Canonical(Cow::Borrowed(bytes));
        }
        let text = match type_oid {
            INT2 => fixed(bytes).map(|bytes| i16::from_be_bytes(bytes).to_string()),
            INT4 => fixed(bytes).map(|bytes| i32::from_be_bytes(bytes).to_string()),
            INT8 => fixed(bytes).map(|bytes| i64::from_be_bytes(bytes).to_string()),
            OID => fixed(bytes).map(|bytes| u32::from_be_bytes(bytes).to_string()),
            UUID => fixed(bytes).map(|bytes| uuid::Uuid::from_bytes(bytes).hyphenated().to_string()),
            _ => None,
        };
        Canonical(Cow::Owned(text.unwrap_or_else(|| hex(bytes)).into_bytes()))
    }

    /// As text. Bytes that are not UTF-8 are taken for Latin-1, so that different values stay different.
    pub(in crate::session) fn into_text(self) -> String {
        String::from_utf8(self.0.into_owned())
            .unwrap_or_else(|other| other.as_bytes().iter().map(|byte| char::from(*byte)).collect())
    }
}

fn fixed<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.try_into().ok()
}

fn hex(bytes: &[u8]) -> String {
    let mut text = "\\x".to_owned();
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_formats_give_the_same_text() {
        let uuid = [0x0a, 0, 0, 0, 0, 0, 0x40, 0, 0x80, 0, 0, 0, 0, 0, 0, 1];
        let cases: &[(u32, &[u8], &str)] = &[
            (INT2, &[0xff, 0xff], "-1"),
            (INT4, &4711i32.to_be_bytes(), "4711"),
            (INT8, &i64::MIN.to_be_bytes(), "-9223372036854775808"),
            (OID, &u32::MAX.to_be_bytes(), "4294967295"),
            (UUID, &uuid, "0a000000-0000-4000-8000-000000000001"),
            (25, "見附".as_bytes(), "見附"),
            (1_043, b"", ""),
        ];
        for (type_oid, binary, text) in cases {
            assert_eq!(Canonical::of(*type_oid, true, binary).into_text(), *text);
            assert_eq!(Canonical::of(*type_oid, false, text.as_bytes()).into_text(), *text);
        }
    }

    #[test]
    fn other_bytes_stay_what_they_are() {
        assert_eq!(Canonical::of(17, true, &[1, 0xff]).into_text(), "\\x01ff");
        assert_eq!(Canonical::of(INT4, true, &[1, 2]).into_text(), "\\x0102");
        assert_eq!(Canonical::of(25, false, &[b'M', 0xfc]).into_text(), "Mü");
    }
}
