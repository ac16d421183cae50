//! Whom a certificate names.
//!
//! In: a Name in DER. Out: its text as RFC 4514 writes it (as `openssl x509 -subject -nameopt RFC2253` does, and PostgreSQL for
//! `clientname=DN`), and its common name. A value that is no text is written in hexadecimal.

use super::der::{Elements, tag};

const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
/// Attribute types with a name of their own (RFC 4514, section 3, and OpenSSL's for mail addresses).
const NAMES: [(&[u8], &str); 10] = [
    (COMMON_NAME, "CN"),
    (&[0x55, 0x04, 0x06], "C"),
    (&[0x55, 0x04, 0x07], "L"),
    (&[0x55, 0x04, 0x08], "ST"),
    (&[0x55, 0x04, 0x09], "STREET"),
    (&[0x55, 0x04, 0x0a], "O"),
    (&[0x55, 0x04, 0x0b], "OU"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x19], "DC"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x01], "UID"),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x01], "emailAddress"),
];

/// A certificate's subject.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// `CN=anna,OU=billing,O=Example`: the last part first, as RFC 4514 has it.
    pub name: String,
    /// `anna`: the last common name, where there is one.
    pub common_name: Option<String>,
}

impl Subject {
    /// Reads RDNSequence's elements.
    pub(super) fn read(mut sequence: Elements<'_>) -> Option<Subject> {
        let mut parts = Vec::new();
        let mut common_name = None;
        while let Some(mut set) = sequence.enter(tag::SET) {
            let mut values = Vec::new();
            while let Some(mut pair) = set.enter(tag::SEQUENCE) {
                let oid = pair.expect(tag::OBJECT_IDENTIFIER)?;
                let (kind, contents) = pair.any()?;
                let value = text(kind, contents);
                values.push(attribute(oid, value.as_deref(), contents));
                if oid == COMMON_NAME {
                    common_name = value;
                }
            }
            parts.push(values.join("+"));
        }
        parts.reverse();
        Some(Subject { name: parts.join(","), common_name })
    }
}

fn attribute(oid: &[u8], value: Option<&str>, contents: &[u8]) -> String {
    let name =
        NAMES.iter().find(|(known, _)| *known == oid).map_or_else(|| dotted(oid), |(_, name)| (*name).to_owned());
    match value {
        Some(value) => format!("{name}={}", escaped(value)),
        None => {
            let hexadecimal: String = contents.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{name}=#{hexadecimal}")
        }
    }
}

fn text(kind: u8, contents: &[u8]) -> Option<String> {
    match kind {
        tag::UTF8_STRING | tag::PRINTABLE_STRING | tag::IA5_STRING => String::from_utf8(contents.to_vec()).ok(),
        // In practice Latin-1.
        tag::TELETEX_STRING => Some(contents.iter().copied().map(char::from).collect()),
        tag::BMP_STRING => {
            let units = contents.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
            String::from_utf16(&units.collect::<Vec<u16>>()).ok()
        }
        _ => None,
    }
}

/// RFC 4514, section 2.4. Control characters too, so that a name is one line wherever it is written.
fn escaped(value: &str) -> String {
    let last = value.chars().count().saturating_sub(1);
    let mut escaped = String::new();
    for (at, c) in value.chars().enumerate() {
        let special = matches!(c, '"' | '+' | ',' | ';' | '<' | '>' | '\\')
            || (at == 0 && matches!(c, ' ' | '#'))
            || (at == last && c == ' ');
        match c {
            c if c.is_control() => {
                let mut bytes = [0; 4];
                for byte in c.encode_utf8(&mut bytes).bytes() {
                    escaped.push_str(&format!("\\{byte:02X}"));
                }
                continue;
            }
            _ if special => escaped.push('\\'),
            _ => {}
        }
        escaped.push(c);
    }
    escaped
}

/// `1.2.840.113549`.
fn dotted(oid: &[u8]) -> String {
    let mut arcs: Vec<u64> = Vec::new();
    let mut arc: u64 = 0;
    for byte in oid {
        arc = arc.saturating_mul(128).saturating_add(u64::from(byte & 0x7f));
        if byte & 0x80 == 0 {
            match arcs.is_empty() {
                true => {
                    let first = (arc / 40).min(2);
                    arcs.extend([first, arc - first * 40]);
                }
                false => arcs.push(arc),
            }
            arc = 0;
        }
    }
    arcs.iter().map(u64::to_string).collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(tag: u8, contents: &[u8]) -> Vec<u8> {
        [&[tag, u8::try_from(contents.len()).unwrap()], contents].concat()
    }

    fn part(oid: &[u8], kind: u8, value: &[u8]) -> Vec<u8> {
        let pair = element(tag::SEQUENCE, &[element(tag::OBJECT_IDENTIFIER, oid), element(kind, value)].concat());
        element(tag::SET, &pair)
    }

    fn read(parts: &[Vec<u8>]) -> Subject {
        Subject::read(Elements::new(&parts.concat())).unwrap()
    }

    #[test]
    fn the_last_part_comes_first_and_every_kind_of_text_is_read() {
        let subject = read(&[
            part(&[0x55, 0x04, 0x0a], tag::PRINTABLE_STRING, b"Example"),
            part(&[0x55, 0x04, 0x0b], tag::TELETEX_STRING, b"caf\xe9"),
            part(COMMON_NAME, tag::BMP_STRING, &[0x89, 0x8b, 0x96, 0x44]),
        ]);
        assert_eq!(
            subject,
            Subject { name: "CN=見附,OU=café,O=Example".to_owned(), common_name: Some("見附".to_owned()) }
        );
    }

    #[test]
    fn what_could_be_taken_for_another_part_is_escaped() {
        let subject = read(&[part(COMMON_NAME, tag::UTF8_STRING, b" anna,O=Example\n ")]);
        assert_eq!(subject.name, "CN=\\ anna\\,O=Example\\0A\\ ");
        assert_eq!(subject.common_name.as_deref(), Some(" anna,O=Example\n "));
    }

    #[test]
    fn an_unknown_type_is_written_in_numbers_and_no_text_in_hexadecimal() {
        assert_eq!(read(&[part(&[0x2a, 0x86, 0x48, 0x01], tag::UTF8_STRING, b"x")]).name, "1.2.840.1=x");
        assert_eq!(read(&[part(COMMON_NAME, tag::UTF8_STRING, b"\xff")]).name, "CN=#ff");
        assert_eq!(read(&[]), Subject::default());
    }
}
