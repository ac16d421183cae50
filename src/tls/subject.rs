//! Whom a certificate names.
//!
//! In: a Name in DER. Out: its text as RFC 4514 writes it (as `openssl x509 -subject -nameopt RFC2253` does, and PostgreSQL for
//! `clientname=DN`), and its common name. A value that is no text is written in hexadecimal.

use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::der::asn1::Any;
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::der::oid::db::{rfc2256, rfc3280, rfc4519};
use x509_cert::der::{Tag, Tagged};
use x509_cert::name::Name;

const COMMON_NAME: ObjectIdentifier = rfc4519::COMMON_NAME;
/// Attribute types with a name of their own (RFC 4514, section 3, and OpenSSL's for mail addresses).
const NAMES: [(ObjectIdentifier, &str); 10] = [
    (COMMON_NAME, "CN"),
    (rfc4519::COUNTRY_NAME, "C"),
    (rfc4519::LOCALITY_NAME, "L"),
    (rfc2256::STATE_OR_PROVINCE_NAME, "ST"),
    (rfc2256::STREET_ADDRESS, "STREET"),
    (rfc4519::ORGANIZATION_NAME, "O"),
    (rfc4519::ORGANIZATIONAL_UNIT_NAME, "OU"),
    (rfc4519::DOMAIN_COMPONENT, "DC"),
    (rfc4519::UID, "UID"),
    (rfc3280::EMAIL_ADDRESS, "emailAddress"),
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
    /// Reads a Name.
    pub(super) fn read(name: &Name) -> Subject {
        let mut parts = Vec::new();
        let mut common_name = None;
        for part in name.iter_rdn() {
            let attributes: Vec<String> = part.iter().map(attribute).collect();
            parts.push(attributes.join("+"));
            if let Some(named) = part.iter().find(|pair| pair.oid == COMMON_NAME) {
                common_name = text(&named.value);
            }
        }
        parts.reverse();
        Subject { name: parts.join(","), common_name }
    }
}

fn attribute(pair: &AttributeTypeAndValue) -> String {
    let known = NAMES.iter().find(|(known, _)| *known == pair.oid);
    let name = known.map_or_else(|| pair.oid.to_string(), |(_, name)| (*name).to_owned());
    match text(&pair.value) {
        Some(value) => format!("{name}={}", escaped(&value)),
        None => {
            let hexadecimal: String = pair.value.value().iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{name}=#{hexadecimal}")
        }
    }
}

fn text(value: &Any) -> Option<String> {
    let contents = value.value();
    match value.tag() {
        Tag::Utf8String | Tag::PrintableString | Tag::Ia5String => String::from_utf8(contents.to_vec()).ok(),
        // In practice Latin-1.
        Tag::TeletexString => Some(contents.iter().copied().map(char::from).collect()),
        Tag::BmpString => {
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

#[cfg(test)]
mod tests {
    use x509_cert::der::Decode;

    use super::*;

    const OBJECT_IDENTIFIER: u8 = 0x06;
    const UTF8_STRING: u8 = 0x0c;
    const PRINTABLE_STRING: u8 = 0x13;
    const TELETEX_STRING: u8 = 0x14;
    const BMP_STRING: u8 = 0x1e;
    const SEQUENCE: u8 = 0x30;
    const SET: u8 = 0x31;
    const CN: &[u8] = &[0x55, 0x04, 0x03];

    fn element(tag: u8, contents: &[u8]) -> Vec<u8> {
        [&[tag, u8::try_from(contents.len()).unwrap()], contents].concat()
    }

    fn part(oid: &[u8], kind: u8, value: &[u8]) -> Vec<u8> {
        let pair = element(SEQUENCE, &[element(OBJECT_IDENTIFIER, oid), element(kind, value)].concat());
        element(SET, &pair)
    }

    fn read(parts: &[Vec<u8>]) -> Subject {
        Subject::read(&Name::from_der(&element(SEQUENCE, &parts.concat())).unwrap())
    }

    #[test]
    fn the_last_part_comes_first_and_every_kind_of_text_is_read() {
        let subject = read(&[
            part(&[0x55, 0x04, 0x0a], PRINTABLE_STRING, b"Example"),
            part(&[0x55, 0x04, 0x0b], TELETEX_STRING, b"caf\xe9"),
            part(CN, BMP_STRING, &[0x89, 0x8b, 0x96, 0x44]),
        ]);
        assert_eq!(
            subject,
            Subject { name: "CN=見附,OU=café,O=Example".to_owned(), common_name: Some("見附".to_owned()) }
        );
    }

    #[test]
    fn what_could_be_taken_for_another_part_is_escaped() {
        let subject = read(&[part(CN, UTF8_STRING, b" anna,O=Example\n ")]);
        assert_eq!(subject.name, "CN=\\ anna\\,O=Example\\0A\\ ");
        assert_eq!(subject.common_name.as_deref(), Some(" anna,O=Example\n "));
    }

    #[test]
    fn an_unknown_type_is_written_in_numbers_and_no_text_in_hexadecimal() {
        assert_eq!(read(&[part(&[0x2a, 0x86, 0x48, 0x01], UTF8_STRING, b"x")]).name, "1.2.840.1=x");
        assert_eq!(read(&[part(CN, UTF8_STRING, b"\xff")]).name, "CN=#ff");
        assert_eq!(read(&[]), Subject::default());
    }
}
