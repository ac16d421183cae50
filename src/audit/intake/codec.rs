//! Events ⇄ the bytes inside an entry.
//!
//! In: events. Out: bytes, and back: what one session repeats in every event is encoded once and decoded once, and shared. A text goes
//! through no serializer: element by element it would cost more than the encryption does. Nor do the numbers of what every statement has ([`brief`]).
//!
//! ```text
//! event   who:blob columns:blob event:postcard text:blob     of Ended the columns, of Begun the parameters, of it and Prepared the text
//! blob    length:u32 bytes[length]                           who, columns: postcard
//! ```

use std::collections::HashMap;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::brief::{self, push};
use crate::session::Event;
use crate::session::event::{Origin, Who};
use crate::wire::bind::Parameters;

/// Encodes, and remembers what repeats.
pub struct Encoder {
    who: Repeated<Who>,
    columns: Repeated<[Origin]>,
}

impl Encoder {
    /// That remembers nothing yet.
    pub const fn new() -> Encoder {
        Encoder { who: Repeated(Vec::new()), columns: Repeated(Vec::new()) }
    }

    /// Appends an event. False, and nothing appended, where it cannot be encoded.
    pub fn encode(&mut self, event: &Event, buffer: &mut Vec<u8>) -> bool {
        let start = buffer.len();
        let encoded = self.who.push_blob(event.who(), buffer)
            && match event {
                Event::Begun(begun) => {
                    push_blob(begun.parameters.0.as_deref().unwrap_or_default(), buffer)
                        && brief::begun(begun, buffer)
                        && push_blob(&begun.text, buffer)
                }
                Event::Ended(ended) => {
                    let columns = match &ended.columns {
                        Some(columns) => self.columns.push_blob(columns, buffer),
                        None => push_blob(&[], buffer),
                    };
                    columns && brief::ended(ended, buffer) && push_blob(&[], buffer)
                }
                Event::Prepared(prepared) => {
                    push_blob(&[], buffer) && push(event, buffer) && push_blob(&prepared.text, buffer)
                }
                _ => push_blob(&[], buffer) && push(event, buffer) && push_blob(&[], buffer),
            };
        if !encoded {
            buffer.truncate(start);
        }
        encoded
    }
}

/// So many values of each kind are remembered by a thread …
const REPEATED_MAX: usize = 256;
/// … that take no more than so many bytes each.
const REPEATED_BYTES_MAX: usize = 1_024;

/// What values were encoded to, found by where they lie. They are held, so that no other can lie there.
struct Repeated<T: ?Sized>(Vec<Option<Encoded<T>>>);

type Encoded<T> = (Arc<T>, Box<[u8]>);

impl<T: ?Sized> Repeated<T>
where
    Arc<T>: Serialize,
{
    /// Appends what a value is encoded to, as a blob.
    fn push_blob(&mut self, value: &Arc<T>, buffer: &mut Vec<u8>) -> bool {
        if self.0.is_empty() {
            self.0.resize_with(REPEATED_MAX, || None);
        }
        // What is allocated lies at multiples of powers of two.
        let place = Arc::as_ptr(value).cast::<u8>().addr() as u64;
        let slot = usize::try_from(place.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32).unwrap_or(0) % REPEATED_MAX;
        match self.0.get_mut(slot) {
            Some(Some((known, blob))) if Arc::ptr_eq(known, value) => {
                buffer.extend_from_slice(blob);
                true
            }
            slot => {
                let Ok(bytes) = postcard::to_stdvec(value) else { return false };
                let start = buffer.len();
                let pushed = push_blob(&bytes, buffer);
                if let Some(slot) = slot.filter(|_| pushed) {
                    let blob = buffer.get(start..).filter(|_| bytes.len() <= REPEATED_BYTES_MAX);
                    *slot = blob.map(|blob| (Arc::clone(value), blob.into()));
                }
                pushed
            }
        }
    }
}

/// Appends bytes behind their length. False, and nothing appended, where that is no u32.
fn push_blob(content: &[u8], buffer: &mut Vec<u8>) -> bool {
    let Ok(length) = u32::try_from(content.len()) else { return false };
    buffer.extend_from_slice(&length.to_le_bytes());
    buffer.extend_from_slice(content);
    true
}

/// Decodes, and remembers what repeats.
#[derive(Default)]
pub struct Decoder {
    who: Shared<Arc<Who>>,
    columns: Shared<Arc<[Origin]>>,
}

impl Decoder {
    /// The first event of `bytes`, and the bytes after it.
    pub fn decode<'b>(&mut self, bytes: &'b [u8]) -> Option<(Event, &'b [u8])> {
        let (who, rest) = take_blob(bytes)?;
        let (columns, rest) = take_blob(rest)?;
        let (mut event, rest) = postcard::take_from_bytes::<Event>(rest).ok()?;
        let (text, rest) = take_blob(rest)?;
        event.set_who(self.who.get(who)?);
        match &mut event {
            Event::Ended(ended) if !columns.is_empty() => ended.columns = Some(self.columns.get(columns)?),
            Event::Begun(begun) => {
                begun.text = text.into();
                begun.parameters = Parameters((!columns.is_empty()).then(|| columns.into()));
            }
            Event::Prepared(prepared) => prepared.text = text.into(),
            _ => {}
        }
        Some((event, rest))
    }
}

fn take_blob(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)
}

/// Values by the bytes that they were decoded from. When it is full it begins anew.
struct Shared<T> {
    known: HashMap<Box<[u8]>, T, ahash::RandomState>,
    bytes: usize,
}

/// What is kept of each kind, bytes.
const SHARED_BYTES_MAX: usize = 4 << 20;

impl<T> Default for Shared<T> {
    fn default() -> Shared<T> {
        Shared { known: HashMap::default(), bytes: 0 }
    }
}

impl<T: Clone + DeserializeOwned> Shared<T> {
    fn get(&mut self, bytes: &[u8]) -> Option<T> {
        if let Some(known) = self.known.get(bytes) {
            return Some(known.clone());
        }
        let value: T = postcard::from_bytes(bytes).ok()?;
        if self.bytes.saturating_add(bytes.len()) > SHARED_BYTES_MAX {
            (self.known, self.bytes) = (HashMap::default(), 0);
        }
        self.bytes = self.bytes.saturating_add(bytes.len());
        self.known.insert(bytes.into(), value.clone());
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::clock::Timestamp;
    use crate::record::{Outcome, Protocol};
    use crate::session::event::{Begun, Ended, Prepared, Told};

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
            parameters: Parameters(number.is_multiple_of(3).then(|| [1, 1, b'x'].into())),
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
            told: Told { bytes: number, detail: true, ..Told::default() },
            columns: number.is_multiple_of(2).then(|| {
                let name = number.to_string();
                [Origin { name, table_oid: 1, attribute: -2, type_oid: 25 }].into()
            }),
            people: None,
            baits: Box::default(),
            sighted: Box::default(),
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
            let mut encoder = Encoder::new();
            prop_assert!(events.iter().all(|event| encoder.encode(event, &mut bytes)));
            let mut decoder = Decoder::default();
            let (first, rest) = decoder.decode(&bytes[3..]).unwrap();
            let (second, rest) = decoder.decode(rest).unwrap();
            let (third, rest) = decoder.decode(rest).unwrap();
            prop_assert!(rest.is_empty());
            prop_assert!(Arc::ptr_eq(first.who(), second.who()));
            prop_assert_eq!([first, second, third], events);
        }

        #[test]
        fn what_was_cut_off_or_never_encoded_is_nothing_and_no_panic(bytes: Vec<u8>, keep in 0_usize..60) {
            let _ = Decoder::default().decode(&bytes);
            let mut whole = Vec::new();
            Encoder::new().encode(&events(b"select 4711", 1, None)[0], &mut whole);
            prop_assert!(keep >= whole.len() || Decoder::default().decode(&whole[..keep]).is_none());
        }
    }

    /// Segments that were written before, and what reads them, have the serializer's bytes.
    #[test]
    fn what_is_written_straight_down_is_what_the_serializer_writes() {
        let numbers = [0, 1, 127, 128, 16_383, 16_384, u64::from(u32::MAX), u64::MAX];
        let times = [0, -1, 1, 63, -64, 64, 1_795_000_000_000_000, i64::MIN, i64::MAX];
        for (at, number) in numbers.into_iter().flat_map(|number| times.map(|time| (Timestamp(time), number))) {
            let [Event::Begun(begun), Event::Ended(ended), _] = events(b"select 1", number, None) else { panic!() };
            for protocol in [Protocol::Simple, Protocol::Extended, Protocol::Fastpath, Protocol::Replication] {
                straight(&Event::Begun(Begun { protocol, at, ..begun.clone() }));
            }
            let plain = Ended { at, part: number as u32, sqlstate: None, told: Told::default(), ..ended.clone() };
            for event in variations(&plain, number) {
                straight(&Event::Ended(event));
            }
            straight(&Event::Ended(Ended { at, ..ended }));
        }
    }

    /// Of version 7 and before, which had a `bool` where it says now how people were counted.
    #[test]
    fn how_people_were_counted_is_read_from_a_journal_of_before() {
        use crate::session::event::{Counted, People};

        for (before, now) in [(false, Counted::Estimated), (true, Counted::Each)] {
            let bytes = postcard::to_stdvec(&(3_u64, before, vec!["4711".to_owned()])).unwrap();
            let people = People { distinct: 3, counted: now, values: vec!["4711".to_owned()] };
            assert_eq!(postcard::from_bytes::<People>(&bytes).unwrap(), people);
        }
    }

    /// What all of it may be, and each of what it rarely has.
    fn variations(plain: &Ended, number: u64) -> Vec<Ended> {
        use crate::session::event::{Counted, People, Raised, Sighted, TransactionStatus};

        let people = |counted| Some(Box::new(People { distinct: number, counted, values: vec!["4711".to_owned()] }));
        let sighted =
            Sighted { table_oid: 9, attribute: -1, what: "e-mail addresses".to_owned(), holds: true, count: 3, of: 4 };
        let outcomes = Outcome::ALL.iter().map(|outcome| Ended { outcome: outcome.parse().unwrap(), ..plain.clone() });
        let statuses =
            [None, Some(TransactionStatus::Idle), Some(TransactionStatus::Open), Some(TransactionStatus::Failed)];
        let statuses = statuses.map(|ready| Ended { ready, more: ready.is_none(), ..plain.clone() });
        let rare = [
            Ended { tag: "x".repeat(200), ..plain.clone() },
            Ended { sqlstate: Some("42P01".to_owned()), ..plain.clone() },
            Ended { error: Some("relation".to_owned()), ready: Some(TransactionStatus::Idle), ..plain.clone() },
            Ended { told: Told { raised: Raised { count: number, bytes: 1 }, ..Told::default() }, ..plain.clone() },
            Ended { told: Told { refused: true, ..Told::default() }, ..plain.clone() },
            Ended { people: people(Counted::Estimated), ..plain.clone() },
            Ended { people: people(Counted::Each), ..plain.clone() },
            Ended { people: people(Counted::Apart { people: number, exact: true }), ..plain.clone() },
            Ended { baits: ["bait".into()].into(), ..plain.clone() },
            Ended { sighted: [sighted].into(), ..plain.clone() },
        ];
        outcomes.chain(statuses).chain(rare).collect()
    }

    fn straight(event: &Event) {
        let mut written = vec![9];
        let done = match event {
            Event::Begun(begun) => brief::begun(begun, &mut written),
            Event::Ended(ended) => brief::ended(ended, &mut written),
            _ => false,
        };
        assert!(done);
        assert_eq!(written.get(1..), postcard::to_stdvec(event).ok().as_deref(), "{event:?}");
    }

    #[test]
    fn what_is_repeated_is_encoded_as_it_is_whatever_lay_there_before() {
        let mut repeated = Repeated::<Who>(Vec::new());
        for number in 0..4 * REPEATED_MAX {
            // Freed at once, unless it is held: the next one may lie in its place.
            let who = Arc::new(Who { client_addr: number.to_string(), ..Who::default() });
            for _ in 0..3 {
                let (mut bytes, mut plain) = (vec![9], vec![9]);
                assert!(repeated.push_blob(&who, &mut bytes));
                assert!(push_blob(&postcard::to_stdvec(&who).unwrap(), &mut plain));
                assert_eq!(bytes, plain);
            }
        }
        let long = Arc::new(Who { client_addr: "x".repeat(REPEATED_BYTES_MAX), ..Who::default() });
        assert!(repeated.push_blob(&long, &mut Vec::new()));
        assert_eq!(Arc::strong_count(&long), 1, "what is long is not held");
    }

    #[test]
    fn what_is_shared_is_bounded() {
        let mut shared = Shared::<String>::default();
        for number in 0..40_u8 {
            let long = postcard::to_stdvec(&char::from(b'a' + number % 26).to_string().repeat(256 << 10)).unwrap();
            assert_eq!(shared.get(&long).unwrap().len(), 256 << 10);
            assert!(shared.bytes <= SHARED_BYTES_MAX && shared.known.len() <= 16);
        }
    }
}
