//! The intake journal under everything that can happen to it.

use std::sync::Arc;

use uuid::Uuid;

use super::*;
use crate::audit::tests::config;
use crate::record::Protocol;
use crate::session::event::{Begun, Who};

const NOW: Duration = Duration::ZERO;

fn event(number: u64, text: &str) -> Event {
    let who = Arc::new(Who { session_id: Uuid::from_u128(number.into()), ..Who::default() });
    Event::Begun(Begun {
        who,
        statement_no: number,
        at: Timestamp(number.cast_signed()),
        protocol: Protocol::Simple,
        text: text.as_bytes().into(),
        text_bytes: text.len() as u64,
        bytes_in: 1,
    })
}

fn events(numbers: impl Iterator<Item = u64>) -> Vec<Event> {
    numbers.map(|number| event(number, "select")).collect()
}

/// Everything the reader has now.
fn drain(reader: &mut IntakeReader) -> Vec<(u64, Entry)> {
    std::iter::from_fn(|| reader.next(NOW).unwrap()).map(|(position, entry)| (position.0, entry)).collect()
}

fn expected(numbers: impl Iterator<Item = u64>) -> Vec<(u64, Entry)> {
    numbers.map(|number| (number, Entry::Event(event(number, "select")))).collect()
}

#[test]
fn events_come_out_in_order_live_and_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let (intake, mut reader) = Intake::open(&config, "w").unwrap();
    intake.append(&events(1..=3)).unwrap();
    intake.append(&[]).unwrap();
    intake.append(&events(4..=4)).unwrap();
    assert_eq!(drain(&mut reader), expected(1..=4));
    assert!(reader.was_live(Position(1)));
    assert!(!reader.is_finished());
    drop(intake);
    assert!(reader.is_finished());
    drop(reader);
    let (intake, mut reader) = Intake::open(&config, "w").unwrap();
    intake.append(&events(5..=6)).unwrap();
    assert_eq!(drain(&mut reader), expected(1..=6));
    assert!(!reader.was_live(Position(4)) && reader.was_live(Position(5)));
    assert_eq!(reader.live_from(), Position(5));
}
