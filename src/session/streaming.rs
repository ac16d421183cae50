//! Streams of replication, which go on for hours or for months: told in instalments while they flow.
//!
//! In: what is under way on a replication connection, after data of it, and the time. Out: an [`Event::Ended`] with more to follow, of what has
//! flowed since the one before. A stream that is only kept alive is told nothing of.

use super::event::Event;
use super::expect::Expect;
use super::run::Run;
use super::tracker::{How, Tracker};
use crate::clock::Timestamp;
use crate::record::Outcome;

/// An instalment holds so many bytes, …
pub const INSTALMENT_BYTES: u64 = 64 << 20;
/// … or what has flowed in so long a time, microseconds.
pub const INSTALMENT_US: u64 = 60 * 1_000_000;
/// "Primary keepalive message" in its CopyData (PostgreSQL manual, "Streaming Replication Protocol"): kind, length, `k`, three fields.
const KEEPALIVE_BYTES: u64 = 23;
/// CopyBothResponse, which a stream begins with.
const BEGINNING_BYTES: u64 = 8;

/// What has been told of the statement under way.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Told {
    /// Instalments.
    pub parts: u32,
    /// Their rows.
    pub rows: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When the first data since the last of them came.
    since: Option<Timestamp>,
}

impl Tracker {
    /// Tells an instalment, where it is time. To be called when data of the server's has been counted.
    pub(super) fn tell_stream(&mut self, at: Timestamp, events: &mut Vec<Event>) {
        let streams_changes = self.client.streams_changes;
        let Some(run) = self.current.as_mut().filter(|_| self.client.replication) else { return };
        let since = *run.told.since.get_or_insert(at);
        let flowed = match streams_changes {
            true => run.rows > 0,
            false => run.bytes_out > run.rows.saturating_mul(KEEPALIVE_BYTES).saturating_add(BEGINNING_BYTES),
        };
        let due = run.bytes_out >= INSTALMENT_BYTES || (flowed && at.micros_since(since) >= INSTALMENT_US);
        let Some(Expect::Query(asked)) = self.queue.front_mut().filter(|_| due) else { return };
        asked.parts = asked.parts.saturating_add(1);
        run.bytes_in = run.bytes_in.saturating_add(std::mem::take(&mut asked.bytes_in));
        let mut next = Run::new(run.no, asked.parts);
        next.watched = run.watched;
        next.told = Told {
            parts: run.told.parts.saturating_add(1),
            rows: run.told.rows.saturating_add(run.rows),
            bytes: run.told.bytes.saturating_add(run.bytes_out),
            since: None,
        };
        if let Some(told) = self.current.replace(next) {
            self.end(told, How { more: true, ..How::plain(Outcome::Ok) }, at, events);
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::session::SubjectColumns;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        [&[kind][..], &u32::try_from(body.len() + 4).unwrap().to_be_bytes(), body].concat()
    }

    /// WAL, or a change of logical replication: `w`, three numbers, and what follows.
    fn data(of: &[u8]) -> Vec<u8> {
        message(b'd', &[&[b'w'][..], &[0; 24], of].concat())
    }

    fn keepalive() -> Vec<u8> {
        message(b'd', &[&[b'k'][..], &[0; 17]].concat())
    }

    struct Streamed(Tracker, Vec<Event>);

    impl Streamed {
        /// A session that has just begun to stream.
        fn start(command: &str) -> Streamed {
            let mut streamed = Streamed(Tracker::new(Uuid::nil(), "local".to_owned(), Timestamp(0)), Vec::new());
            let parameters = b"\0\x03\0\0user\0anna\0replication\0database\0\0";
            let startup = [&u32::try_from(parameters.len() + 4).unwrap().to_be_bytes()[..], parameters].concat();
            streamed.0.client(&startup, Timestamp(0), &mut streamed.1).unwrap();
            streamed.hear(0, &[message(b'R', &[0; 4]), message(b'Z', b"I")].concat());
            let query = message(b'Q', format!("{command}\0").as_bytes());
            streamed.0.client(&query, Timestamp(0), &mut streamed.1).unwrap();
            streamed.hear(0, &message(b'W', b"\0\0\0"));
            streamed
        }

        fn hear(&mut self, seconds: i64, bytes: &[u8]) {
            self.0.server(bytes, Timestamp(seconds * 1_000_000), &SubjectColumns::default(), &mut self.1).unwrap();
        }

        /// Part, rows and whether more follows, of each end.
        fn told(&self) -> Vec<(u32, u64, bool)> {
            let ends = self.1.iter().filter_map(|event| match event {
                Event::Ended(ended) => Some((ended.part, ended.rows_returned, ended.more)),
                _ => None,
            });
            ends.collect()
        }
    }

    #[test]
    fn what_has_flowed_for_a_minute_is_told_and_what_is_kept_alive_is_not() {
        let mut changes = Streamed::start("START_REPLICATION SLOT s LOGICAL 0/0 (publication_names 'p')");
        changes.hear(10, &[data(b"B"), data(b"I"), data(b"U"), data(b"C")].concat());
        changes.hear(69, &keepalive());
        assert_eq!(changes.told(), []);
        changes.hear(70, &keepalive());
        assert_eq!(changes.told(), [(0, 2, true)]);
        (80..400).step_by(10).for_each(|second| changes.hear(second, &keepalive()));
        assert_eq!(changes.told(), [(0, 2, true)]);
        changes.hear(400, &data(b"D"));
        assert_eq!(changes.told(), [(0, 2, true), (1, 1, true)]);
        changes.hear(401, &[data(b"I"), message(b'c', b""), message(b'C', b"COPY 0\0"), message(b'Z', b"I")].concat());
        assert_eq!(changes.told(), [(0, 2, true), (1, 1, true), (2, 1, false)]);
        let mut wal = Streamed::start("START_REPLICATION 0/0");
        (0..200).for_each(|second| wal.hear(second, &keepalive()));
        assert_eq!(wal.told(), []);
        wal.hear(200, &data(&[7; 100]));
        assert_eq!(wal.told(), [(0, 201, true)]);
    }

    #[test]
    fn what_flows_fast_is_told_by_its_bytes_and_the_sum_is_the_stream() {
        let mut wal = Streamed::start("START_REPLICATION 0/0");
        let piece = data(&vec![7; 1 << 20]);
        (0..150).for_each(|_| wal.hear(1, &piece));
        wal.hear(1, &[message(b'c', b""), message(b'C', b"COPY 0\0"), message(b'Z', b"I")].concat());
        let ends = wal.1.iter().filter_map(|event| match event {
            Event::Ended(ended) => Some((ended.rows_returned, ended.bytes_out, ended.more)),
            _ => None,
        });
        let ends: Vec<(u64, u64, bool)> = ends.collect();
        assert_eq!(ends.iter().map(|end| (end.0, end.2)).collect::<Vec<_>>(), [(64, true), (64, true), (22, false)]);
        let bytes: u64 = ends.iter().map(|end| end.1).sum();
        assert!(bytes >= 150 * piece.len() as u64 && bytes < 150 * piece.len() as u64 + 100, "{bytes}");
    }

    #[test]
    fn a_copy_of_a_connection_that_replicates_nothing_is_told_at_its_end() {
        let mut tracker = Tracker::new(Uuid::nil(), "local".to_owned(), Timestamp(0));
        let mut events = Vec::new();
        tracker.client(b"\0\0\0\x13\0\x03\0\0user\0anna\0\0", Timestamp(0), &mut events).unwrap();
        let hear = |tracker: &mut Tracker, second: i64, bytes: &[u8], events: &mut Vec<Event>| {
            tracker.server(bytes, Timestamp(second * 1_000_000), &SubjectColumns::default(), events).unwrap();
        };
        hear(&mut tracker, 0, &[message(b'R', &[0; 4]), message(b'Z', b"I")].concat(), &mut events);
        tracker.client(&message(b'Q', b"copy t to stdout\0"), Timestamp(0), &mut events).unwrap();
        hear(&mut tracker, 0, &message(b'H', b"\0\0\0"), &mut events);
        (0..200).for_each(|second| hear(&mut tracker, second, &data(&[7; 1 << 20]), &mut events));
        assert!(!events.iter().any(|event| matches!(event, Event::Ended(_))));
    }
}
