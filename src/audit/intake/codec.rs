//! Events ⇄ the bytes inside an entry: postcard, with a statement's text behind its event, copied whole.
//!
//! In: events. Out: bytes, and back. A text goes through no serializer: element by element it would cost more than the
//! encryption does.

use std::cell::OnceCell;
use std::sync::Arc;

use crate::session::Event;
use crate::session::event::{Begun, Prepared};

thread_local! {
    /// Stands in for a text, so that no allocation is made for each.
    static NO_TEXT: OnceCell<Arc<[u8]>> = const { OnceCell::new() };
}

/// Appends an event. False, and nothing appended, where it cannot be encoded.
pub fn encode(event: &Event, buffer: &mut Vec<u8>) -> bool {
    let start = buffer.len();
    let encoded = match event {
        Event::Begun(begun) => {
            let light = Begun { text: no_text(), who: Arc::clone(&begun.who), ..*begun };
            push(&Event::Begun(light), buffer) && push_text(&begun.text, buffer)
        }
        Event::Prepared(prepared) => {
            let (who, name) = (Arc::clone(&prepared.who), prepared.name.clone());
            let light = Prepared { text: no_text(), who, name, ..*prepared };
            push(&Event::Prepared(light), buffer) && push_text(&prepared.text, buffer)
        }
        event => push(event, buffer),
    };
    if !encoded {
        buffer.truncate(start);
    }
    encoded
}

fn no_text() -> Arc<[u8]> {
    NO_TEXT.with(|empty| Arc::clone(empty.get_or_init(|| Arc::from([].as_slice()))))
}

fn push(event: &Event, buffer: &mut Vec<u8>) -> bool {
    match postcard::to_extend(event, std::mem::take(buffer)) {
        Ok(extended) => {
            *buffer = extended;
            true
        }
        Err(_) => false,
    }
}

fn push_text(text: &[u8], buffer: &mut Vec<u8>) -> bool {
    let Ok(length) = u32::try_from(text.len()) else { return false };
    buffer.extend_from_slice(&length.to_le_bytes());
    buffer.extend_from_slice(text);
    true
}

/// The first event of `bytes`, and the bytes after it.
pub fn decode(bytes: &[u8]) -> Option<(Event, &[u8])> {
    let (event, rest) = postcard::take_from_bytes::<Event>(bytes).ok()?;
    match event {
        Event::Begun(begun) => {
            let (text, rest) = take_text(rest)?;
            Some((Event::Begun(Begun { text, ..begun }), rest))
        }
        Event::Prepared(prepared) => {
            let (text, rest) = take_text(rest)?;
            Some((Event::Prepared(Prepared { text, ..prepared }), rest))
        }
        event => Some((event, rest)),
    }
}

fn take_text(bytes: &[u8]) -> Option<(Arc<[u8]>, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (text, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    Some((text.into(), rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::clock::Timestamp;
    use crate::record::{Outcome, Protocol};
    use crate::session::event::{Ended, Who};

    fn events(text: &[u8], number: u64, error: Option<String>) -> [Event; 3] {
        let who = Arc::new(Who { client_addr: "::1".to_owned(), ..Who::default() });
        let begun = Begun {
            who: Arc::clone(&who),
            statement_no: number,
            at: Timestamp(number.cast_signed()),
            protocol: Protocol::Extended,
            text: text.into(),
            text_bytes: number,
            bytes_in: number,
        };
        let ended = Ended {
            who,
            statement_no: number,
            part: 0,
            more: false,
            at: Timestamp(-1),
            outcome: Outcome::Error,
            tag: "SELECT 1".to_owned(),
            rows_returned: number,
            bytes_out: 1,
            bytes_in: 2,
            sqlstate: Some("42P01".to_owned()),
            error,
            columns: None,
            people: None,
            ready: None,
        };
        let prepared = Prepared {
            who: Arc::clone(&begun.who),
            at: begun.at,
            name: "s".to_owned(),
            text: text.into(),
            text_bytes: number,
        };
        [Event::Begun(begun), Event::Ended(ended), Event::Prepared(prepared)]
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(text: Vec<u8>, number: u64, error: Option<String>) {
            let events = events(&text, number, error);
            let mut bytes = vec![9; 3];
            prop_assert!(events.iter().all(|event| encode(event, &mut bytes)));
            let (first, rest) = decode(&bytes[3..]).unwrap();
            let (second, rest) = decode(rest).unwrap();
            let (third, rest) = decode(rest).unwrap();
            prop_assert!(rest.is_empty());
            prop_assert_eq!([first, second, third], events);
        }

        #[test]
        fn what_was_cut_off_or_never_encoded_is_nothing_and_no_panic(bytes: Vec<u8>, keep in 0_usize..60) {
            let _ = decode(&bytes);
            let mut whole = Vec::new();
            encode(&events(b"select 4711", 1, None)[0], &mut whole);
            prop_assert!(keep >= whole.len() || decode(&whole[..keep]).is_none());
        }
    }
}
