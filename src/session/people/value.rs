//! A value's canonical text: `4711` however it was sent.
//!
//! In: a value's type, format and bytes. Out: the text that PostgreSQL's text format has for it. Integers, OIDs, UUIDs
//! and texts come out the same from either format; a binary value of another type becomes `\x` and its bytes in hex. And back: the bytes
//! in which a value of a known text comes.

use std::borrow::Cow;
use std::fmt::Write;

const INT8: u32 = 20;
const INT2: u32 = 21;
const INT4: u32 = 23;
const OID: u32 = 26;
const UUID: u32 = 2_950;
const NUMERIC: u32 = 1_700;
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

/// The bytes in which the server sends the value of this text; `None` where a column of the type has no such value, or where it is not known
/// how it would come. Numbers and UUIDs may be written in any form that the server takes, numerics as whole numbers.
pub(in crate::session) fn on_the_wire(type_oid: u32, binary: bool, text: &str) -> Option<Vec<u8>> {
    let number = || text.trim().parse::<i64>().ok();
    let in_binary = match type_oid {
        INT2 => i16::try_from(number()?).ok()?.to_be_bytes().to_vec(),
        INT4 => i32::try_from(number()?).ok()?.to_be_bytes().to_vec(),
        INT8 => number()?.to_be_bytes().to_vec(),
        OID => u32::try_from(number()?).ok()?.to_be_bytes().to_vec(),
        UUID => uuid::Uuid::parse_str(text).ok()?.as_bytes().to_vec(),
        NUMERIC if binary => return numeric(number()?),
        _ if !binary || TEXTS.contains(&type_oid) => return Some(text.as_bytes().to_vec()),
        _ => return unhex(text.strip_prefix("\\x")?),
    };
    match binary {
        true => Some(in_binary),
        false => Some(Canonical::of(type_oid, true, &in_binary).0.into_owned()),
    }
}

/// A whole number as `numeric_send` has it: how many digits of base 10,000, the first one's weight, sign, digits behind the point; the digits,
/// without zeros at the end.
fn numeric(number: i64) -> Option<Vec<u8>> {
    let sign: u16 = if number < 0 { 0x4000 } else { 0 };
    let (mut left, mut digits) = (number.unsigned_abs(), Vec::new());
    while left > 0 {
        digits.push(u16::try_from(left % 10_000).ok()?);
        left /= 10_000;
    }
    digits.reverse();
    let weight = u16::try_from(digits.len().saturating_sub(1)).ok()?;
    while digits.last() == Some(&0) {
        digits.pop();
    }
    let count = u16::try_from(digits.len()).ok()?;
    let all = [count, weight, sign, 0].into_iter().chain(digits);
    Some(all.flat_map(u16::to_be_bytes).collect())
}

fn unhex(digits: &str) -> Option<Vec<u8>> {
    let pairs = digits.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?, 16).ok())
        .collect()
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
            assert_eq!(on_the_wire(*type_oid, true, text).as_deref(), Some(*binary));
            assert_eq!(on_the_wire(*type_oid, false, text).as_deref(), Some(text.as_bytes()));
        }
    }

    /// As `numeric_send` has them, and what no column of the type holds.
    #[test]
    fn other_values_come_as_the_server_sends_them_or_not_at_all() {
        let numerics: [(&str, &[u16]); 5] = [
            ("0", &[0, 0, 0, 0]),
            ("-7", &[1, 0, 0x4000, 0, 7]),
            ("10000", &[1, 1, 0, 0, 1]),
            ("900001", &[2, 1, 0, 0, 90, 1]),
            ("9000000010", &[3, 2, 0, 0, 90, 0, 10]),
        ];
        for (text, words) in numerics {
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
            assert_eq!(on_the_wire(NUMERIC, true, text), Some(bytes), "{text}");
        }
        assert_eq!(on_the_wire(17, true, "\\x01ff"), Some(vec![1, 0xff]));
        for (type_oid, binary, text) in [
            (INT4, false, "anna"),
            (INT2, true, "70000"),
            (UUID, true, "1"),
            (17, true, "01"),
            (17, true, "\\x0"),
            (NUMERIC, true, "1.5"),
        ] {
            assert_eq!(on_the_wire(type_oid, binary, text), None, "{type_oid} {text}");
        }
    }

    #[test]
    fn other_bytes_stay_what_they_are() {
        assert_eq!(Canonical::of(17, true, &[1, 0xff]).into_text(), "\\x01ff");
        assert_eq!(Canonical::of(INT4, true, &[1, 2]).into_text(), "\\x0102");
        assert_eq!(Canonical::of(25, false, &[b'M', 0xfc]).into_text(), "Mü");
    }
}
