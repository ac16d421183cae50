//! DER, as far as an X.509 certificate needs it (ITU-T X.690, 8.1 and 10.1).
//!
//! In: bytes. Out: tags and contents, borrowed, each inside its parent. Refuses what a certificate has no use for: tags of several
//! bytes, indefinite lengths, lengths that reach past their parent. Allocates nothing.

/// BOOLEAN to UTCTime: the universal tags that are met here.
pub mod tag {
    #![allow(missing_docs, reason = "named as in X.680")]
    pub const BOOLEAN: u8 = 0x01;
    pub const INTEGER: u8 = 0x02;
    pub const OCTET_STRING: u8 = 0x04;
    pub const OBJECT_IDENTIFIER: u8 = 0x06;
    pub const UTF8_STRING: u8 = 0x0c;
    pub const PRINTABLE_STRING: u8 = 0x13;
    pub const TELETEX_STRING: u8 = 0x14;
    pub const IA5_STRING: u8 = 0x16;
    pub const UTC_TIME: u8 = 0x17;
    pub const GENERALIZED_TIME: u8 = 0x18;
    pub const BMP_STRING: u8 = 0x1e;
    pub const SEQUENCE: u8 = 0x30;
    pub const SET: u8 = 0x31;
}

/// The tag of a constructed, context-specific element: `[number]`.
pub const fn explicit(number: u8) -> u8 {
    0xa0 | number
}

/// The tag of a primitive, context-specific element: `[number] IMPLICIT`.
pub const fn implicit(number: u8) -> u8 {
    0x80 | number
}

/// A tag of several bytes follows.
const LONG_TAG: u8 = 0x1f;
/// A length of several bytes follows; the lower bits say how many.
const LONG_LENGTH: u8 = 0x80;
/// The most bytes of a length: contents of 16 MiB at most.
const LENGTH_BYTES_MAX: usize = 3;

/// Elements one behind the other.
#[derive(Clone, Copy, Debug)]
pub struct Elements<'a> {
    rest: &'a [u8],
}

impl<'a> Elements<'a> {
    /// The elements that `bytes` consists of.
    pub fn new(bytes: &'a [u8]) -> Elements<'a> {
        Elements { rest: bytes }
    }

    /// The next one's tag and contents; `None` at the end, and for what is no DER.
    pub fn any(&mut self) -> Option<(u8, &'a [u8])> {
        let (tag, rest) = self.rest.split_first()?;
        if tag & LONG_TAG == LONG_TAG {
            return None;
        }
        let (first, rest) = rest.split_first()?;
        let (length, rest) = match first & LONG_LENGTH {
            0 => (usize::from(*first), rest),
            _ => {
                let (bytes, rest) = rest.split_at_checked(usize::from(first & !LONG_LENGTH))?;
                if bytes.is_empty() || bytes.len() > LENGTH_BYTES_MAX {
                    return None;
                }
                (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
            }
        };
        let (contents, rest) = rest.split_at_checked(length)?;
        self.rest = rest;
        Some((*tag, contents))
    }

    /// The contents of the next one, which has this tag.
    pub fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.any().filter(|(found, _)| *found == tag).map(|(_, contents)| contents)
    }

    /// The contents of the next one where it has this tag; else nothing is taken.
    pub fn optional(&mut self, tag: u8) -> Option<&'a [u8]> {
        let mut ahead = *self;
        let contents = ahead.expect(tag)?;
        *self = ahead;
        Some(contents)
    }

    /// The elements inside the next one, which has this tag.
    pub fn enter(&mut self, tag: u8) -> Option<Elements<'a>> {
        self.expect(tag).map(Elements::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_read_one_behind_the_other_and_inside_each_other() {
        let mut elements = Elements::new(&[0x30, 3, 0x02, 1, 5, 0x0c, 0x81, 1, b'x']);
        let mut inner = elements.enter(tag::SEQUENCE).unwrap();
        assert_eq!(inner.optional(tag::SET), None);
        assert_eq!(inner.expect(tag::INTEGER), Some([5].as_slice()));
        assert_eq!(inner.any(), None);
        assert_eq!(elements.any(), Some((tag::UTF8_STRING, b"x".as_slice())));
    }

    #[test]
    fn a_length_that_reaches_past_its_parent_is_none() {
        for bytes in [
            &[0x30, 2, 1][..],
            &[0x30, 0x82, 1],
            &[0x30, 0x80, 0, 0],
            &[0x30, 0x84, 0, 0, 0, 0],
            &[0x3f, 1, 0],
            &[0x30],
        ] {
            assert_eq!(Elements::new(bytes).any(), None, "{bytes:?}");
        }
        let outer = [0x30, 3, 0x02, 2, 5, 7];
        assert_eq!(Elements::new(&outer).enter(tag::SEQUENCE).unwrap().any(), None);
    }
}
