//! The events that every statement has, in the bytes that postcard makes of them: written straight down, where the serializer costs as much
//! as the encryption.
//!
//! In: what began or ended. Out: the same bytes, which the codec's tests hold to the serializer's (<https://postcard.jamesmunns.com/wire-format>).
//! What an end has but rarely goes through the serializer.

use serde::Serialize;

use crate::clock::Timestamp;
use crate::session::event::{Begun, Ended, Told};

/// [`Begun`]'s place in [`Event`](crate::session::Event).
const BEGUN: u8 = 1;
/// [`Ended`]'s.
const ENDED: u8 = 2;

/// Numbers and flags, gathered to be appended at once.
struct Brief {
    bytes: [u8; BRIEF_BYTES],
    length: usize,
}

/// Four numbers of ten bytes at most, what is plain, and flags.
const BRIEF_BYTES: usize = 64;

impl Brief {
    fn new() -> Brief {
        Brief { bytes: [0; BRIEF_BYTES], length: 0 }
    }

    #[inline]
    fn byte(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.length) {
            *place = byte;
            self.length += 1;
        }
    }

    /// So many zeros, which lie there.
    #[inline]
    fn zeros(&mut self, count: usize) {
        self.length += count;
    }

    /// Seven bits a byte, the lowest first, the highest bit of each telling whether another follows.
    #[inline]
    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.byte((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        self.byte(number as u8);
    }

    /// 0, -1, 1, -2, … are 0, 1, 2, 3, …
    #[inline]
    fn time(&mut self, Timestamp(at): Timestamp) {
        self.number(((at << 1) ^ (at >> 63)).cast_unsigned());
    }

    fn end(&self, buffer: &mut Vec<u8>) -> bool {
        let Some(bytes) = self.bytes.get(..self.length) else { return false };
        buffer.extend_from_slice(bytes);
        true
    }
}

/// Appends what began.
pub fn begun(begun: &Begun, buffer: &mut Vec<u8>) -> bool {
    let mut brief = Brief::new();
    brief.byte(BEGUN);
    brief.number(begun.statement_no);
    brief.time(begun.at);
    brief.byte(begun.protocol as u8);
    brief.number(begun.text_bytes);
    brief.number(begun.bytes_in);
    brief.end(buffer)
}

/// Appends what ended. False where it cannot be encoded.
pub fn ended(ended: &Ended, buffer: &mut Vec<u8>) -> bool {
    let tag = ended.tag.as_bytes();
    let mut brief = Brief::new();
    brief.byte(ENDED);
    brief.number(ended.statement_no);
    brief.number(u64::from(ended.part));
    brief.byte(u8::from(ended.more));
    brief.time(ended.at);
    brief.byte(ended.outcome as u8);
    brief.number(tag.len() as u64);
    if !brief.end(buffer) {
        return false;
    }
    buffer.extend_from_slice(tag);
    let mut brief = Brief::new();
    brief.number(ended.rows_returned);
    brief.number(ended.bytes_out);
    brief.number(ended.bytes_in);
    let is_plain = ended.sqlstate.is_none()
        && ended.error.is_none()
        && ended.told == Told::default()
        && ended.people.is_none()
        && ended.baits.is_empty()
        && ended.sighted.is_empty();
    if !is_plain {
        let rare = (&ended.sqlstate, &ended.error, &ended.told, &ended.people, &ended.baits, &ended.sighted);
        return brief.end(buffer) && push(&(rare, &ended.ready), buffer);
    }
    brief.zeros(PLAIN_BYTES);
    match ended.ready {
        None => brief.byte(0),
        Some(ready) => {
            brief.byte(1);
            brief.byte(ready as u8);
        }
    }
    brief.end(buffer)
}

/// Neither SQLSTATE nor error; nothing told, in six numbers and flags; no people; no baits; nothing sighted.
const PLAIN_BYTES: usize = 2 + 6 + 1 + 2;

/// Appends what postcard makes of a value. False where it makes nothing of it.
pub fn push(value: &impl Serialize, buffer: &mut Vec<u8>) -> bool {
    match postcard::to_extend(value, std::mem::take(buffer)) {
        Ok(extended) => {
            *buffer = extended;
            true
        }
        Err(_) => false,
    }
}
