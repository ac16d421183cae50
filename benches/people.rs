//! What counting people costs a row: ten million rows of a result, followed with and without a subject column among its columns.
//!
//! The difference of the two is the counting; the rest is what following every row costs anyway.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mitsuke::clock::Timestamp;
use mitsuke::session::{Event, SubjectColumns, Tracker};
use uuid::Uuid;

const ROWS: u32 = 10_000_000;
/// The result's only table.
const TABLE: u32 = 16_384;
const INT4: u32 = 23;
const TEXT: u32 = 25;
/// As much as a relay reads at once, bytes.
const READ_BYTES: usize = 32 * 1024;

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap_or(u32::MAX);
    [&[kind][..], &length.to_be_bytes(), body].concat()
}

fn column(name: &str, attribute: i16, type_oid: u32) -> Vec<u8> {
    let mut bytes = [name.as_bytes(), &[0], &TABLE.to_be_bytes(), &attribute.to_be_bytes()].concat();
    bytes.extend(type_oid.to_be_bytes());
    bytes.extend([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0]);
    bytes
}

/// `select id, city from …`: its rows, with people of their own each.
fn rows() -> Vec<u8> {
    let mut bytes = Vec::with_capacity(ROWS as usize * 30);
    for id in 0..ROWS {
        let id = id.to_string();
        let mut body = vec![0, 2];
        for value in [id.as_bytes(), b"Kyoto"] {
            body.extend(u32::try_from(value.len()).unwrap_or(0).to_be_bytes());
            body.extend(value);
        }
        bytes.extend(message(b'D', &body));
    }
    bytes
}

/// A session in which the rows are about to come.
fn asked(subjects: &SubjectColumns, events: &mut Vec<Event>) -> Tracker {
    let at = Timestamp(0);
    let mut tracker = Tracker::new(Uuid::nil(), "127.0.0.1".to_owned(), at);
    let parameters = b"user\0app\0database\0shop\0\0";
    let length = u32::try_from(8 + parameters.len()).unwrap_or(0);
    let startup = [&length.to_be_bytes()[..], &196_608_u32.to_be_bytes(), parameters].concat();
    let ready = [message(b'R', &0_u32.to_be_bytes()), message(b'Z', b"I")].concat();
    let description =
        message(b'T', &[&2_u16.to_be_bytes()[..], &column("id", 1, INT4), &column("city", 2, TEXT)].concat());
    let followed = tracker
        .client(&startup, at, events)
        .and_then(|()| tracker.server(&ready, at, subjects, events))
        .and_then(|()| tracker.client(&message(b'Q', b"select id, city from customers\0"), at, events))
        .and_then(|()| tracker.server(&description, at, subjects, events));
    assert!(followed.is_ok(), "the session is followed");
    tracker
}

fn counted(rows: &[u8], subjects: &SubjectColumns) -> u64 {
    let mut events = Vec::new();
    let mut tracker = asked(subjects, &mut events);
    for read in rows.chunks(READ_BYTES) {
        assert!(tracker.server(read, Timestamp(1), subjects, &mut events).is_ok());
    }
    let end = [message(b'C', b"SELECT 10000000\0"), message(b'Z', b"I")].concat();
    assert!(tracker.server(&end, Timestamp(2), subjects, &mut events).is_ok());
    let people = events.iter().find_map(|event| match event {
        Event::Ended(ended) => Some(ended.people.as_ref().map_or(0, |people| people.distinct)),
        _ => None,
    });
    people.unwrap_or(0)
}

fn people(criterion: &mut Criterion) {
    let rows = rows();
    let subjects = SubjectColumns { columns: [((TABLE, 1), TABLE)].into_iter().collect(), ..SubjectColumns::default() };
    let error = counted(&rows, &subjects).abs_diff(u64::from(ROWS));
    assert!(error < u64::from(ROWS) / 25, "the estimate is off by {error}");
    let mut group = criterion.benchmark_group("ten million rows");
    group.throughput(Throughput::Elements(u64::from(ROWS))).sample_size(10);
    group.bench_function("followed", |bencher| {
        bencher.iter(|| counted(black_box(&rows), &SubjectColumns::default()));
    });
    group.bench_function("followed and counted", |bencher| bencher.iter(|| counted(black_box(&rows), &subjects)));
    group.finish();
}

criterion_group!(benches, people);
criterion_main!(benches);
