//! Bytes of the server where a gate is loaded: the error that answers a denied message is rewritten, and a result can be
//! cut at any row.
//!
//! In: bytes, cut anywhere, and a gate's looks at results. Out: events as ever, and what goes on to the client: the bytes as they
//! are, but for what [`Passed`] says. Holds no more than one error.

use super::event::{Event, Told};
use super::expect::Expect;
use super::gate::{Denial, Going, Progress};
use super::run::{Run, Watched};
use super::tracker::{How, Tracker, length};
use super::{OutOfStep, SubjectColumns};
use crate::clock::Timestamp;
use crate::record::Outcome;
use crate::wire::backend::kind;
use crate::wire::message;

/// The longest error that is held to be rewritten, bytes. What a server says to a message that it refuses is a few hundred.
const WITHHELD_BYTES_MAX: usize = 64 << 10;

/// What goes on of a read of the server's.
#[derive(Debug, Default)]
pub struct Passed {
    /// These bytes, instead of those that were read.
    pub instead: Option<Vec<u8>>,
    /// So many bytes of these or those, and then the session ends.
    pub cut: Option<(usize, Denial)>,
}

/// What is held of the server's bytes, between two reads.
#[derive(Debug, Default)]
pub(super) struct Withheld {
    bytes: Vec<u8>,
    /// The message under way answers a denied one.
    is_answer: bool,
}

/// One read on its way.
struct Read<'a> {
    bytes: &'a [u8],
    rest: &'a [u8],
    instead: Option<Vec<u8>>,
    /// Where in what goes on the message under way begins; `None` where it began in an earlier read.
    message_start: Option<usize>,
}

impl Read<'_> {
    fn taken(&self) -> usize {
        self.bytes.len().saturating_sub(self.rest.len())
    }

    /// How much goes on so far.
    fn passed(&self) -> usize {
        self.instead.as_ref().map_or(self.taken(), Vec::len)
    }

    fn since(&self, start: usize) -> &[u8] {
        self.bytes.get(start..self.taken()).unwrap_or(&[])
    }
}

impl Tracker {
    /// [`Tracker::server`], where a gate is loaded. `look` is asked about rows before they go on.
    pub fn server_gated(
        &mut self,
        bytes: &[u8],
        at: Timestamp,
        subjects: &SubjectColumns,
        events: &mut Vec<Event>,
        look: &mut dyn FnMut(&Progress<'_>) -> Going,
    ) -> Result<Passed, OutOfStep> {
        self.tell_opened(events);
        self.bytes_out = self.bytes_out.saturating_add(length(bytes));
        let edited = self.denied > 0 || !self.server.withheld.bytes.is_empty();
        let mut read = Read { bytes, rest: bytes, instead: edited.then(Vec::new), message_start: None };
        while !read.rest.is_empty() {
            let start = read.taken();
            if self.server.is_between_messages() {
                read.message_start = Some(read.passed());
            }
            if !self.server_header(&mut read.rest, at, subjects, events)? {
                self.keep_header_part(&mut read, start);
                break;
            }
            let last = self.server_piece(&mut read.rest, at, subjects, events)?;
            self.pass_piece(&mut read, start, last)?;
            if last
                && matches!(self.server.header.kind, kind::DATA_ROW | kind::COPY_DATA)
                && let Some(denial) = self.look(at, look)
            {
                let keep = self.cut(&read, &denial, at, events);
                return Ok(Passed { instead: read.instead, cut: Some((keep, denial)) });
            }
            if last && self.server.header.kind == kind::COPY_DATA {
                self.tell_stream(at, events);
            }
        }
        Ok(Passed { instead: read.instead, cut: None })
    }

    /// A header that has not come whole: where errors are rewritten it may be one's, and waits.
    fn keep_header_part(&mut self, read: &mut Read<'_>, start: usize) {
        if read.instead.is_some() {
            self.server.withheld.bytes.extend_from_slice(read.since(start));
        }
    }

    fn pass_piece(&mut self, read: &mut Read<'_>, start: usize, last: bool) -> Result<(), OutOfStep> {
        let Some(mut instead) = read.instead.take() else { return Ok(()) };
        let piece = read.since(start);
        let withheld = &mut self.server.withheld;
        if !withheld.is_answer {
            instead.append(&mut withheld.bytes);
            instead.extend_from_slice(piece);
        } else if withheld.bytes.len().saturating_add(piece.len()) > WITHHELD_BYTES_MAX {
            return Err(OutOfStep::Malformed { kind: kind::ERROR_RESPONSE });
        } else {
            withheld.bytes.extend_from_slice(piece);
            if last {
                match self.server.rewrite.take() {
                    Some(denial) => instead.extend(denial.to_bytes("ERROR", self.server.unicode)),
                    // A FATAL, which has other reasons.
                    None => instead.extend_from_slice(&withheld.bytes),
                }
                withheld.bytes.clear();
                withheld.is_answer = false;
            }
        }
        read.instead = Some(instead);
        Ok(())
    }

    /// Called with a message's header, before anything is made of it.
    pub(super) fn note_answer(&mut self, message: u8) {
        self.server.withheld.is_answer =
            message == kind::ERROR_RESPONSE && matches!(self.front(), Some(Expect::Denied(_)));
    }

    /// Asks about the row that has just been counted, where it is time.
    fn look(&mut self, at: Timestamp, look: &mut dyn FnMut(&Progress<'_>) -> Going) -> Option<Denial> {
        let who = &self.who;
        let run = self.current.as_mut()?;
        let people = run.watch_people();
        let more_baits = run.watch_sprung();
        let (rows, bytes_out) = (run.rows.saturating_add(run.told.rows), run.bytes_out.saturating_add(run.told.bytes));
        let watched = run.watched;
        if !more_baits
            && rows <= watched.rows
            && people.unwrap_or_default().apart <= watched.people
            && bytes_out <= watched.bytes
        {
            return None;
        }
        let progress = Progress {
            who,
            at,
            statement_no: run.no,
            part: run.part.saturating_sub(run.told.parts),
            rows,
            people,
            baits: &run.sprung,
            columns: run.columns.as_deref(),
            bytes_out,
            rows_told: run.told.rows,
            bytes_told: run.told.bytes,
        };
        match look(&progress) {
            Going::On { rows, people, bytes } => {
                run.watched = Watched { rows, people, bytes };
                None
            }
            Going::Cut(denial) => Some(denial),
        }
    }

    /// Ends what is under way. Gives how much of the read goes on: up to the row that was looked at, or its end where its beginning
    /// is with the client already.
    fn cut(&mut self, read: &Read<'_>, denial: &Denial, at: Timestamp, events: &mut Vec<Event>) -> usize {
        let Some(mut run) = self.current.take() else { return read.passed() };
        if read.message_start.is_some() {
            run.take_back_row(self.server.header.total_bytes());
        }
        match self.queue.front_mut() {
            Some(Expect::Query(asked) | Expect::Call(asked)) => asked.over = true,
            _ => {
                if let Some(Expect::Execute(sent)) = self.answered() {
                    self.names.end_portal(&sent.portal, run.no);
                }
            }
        }
        self.end(run, How::denied(Outcome::Cut, denial), at, events);
        read.message_start.unwrap_or_else(|| read.passed())
    }

    /// An error answers a denied message: true where it was one, and is dealt with.
    pub(super) fn denied_answered(&mut self, fatal: bool, bytes: u64, at: Timestamp, events: &mut Vec<Event>) -> bool {
        if !matches!(self.front(), Some(Expect::Denied(_))) {
            return false;
        }
        let Some(Expect::Denied(denied)) = self.queue.pop_front() else { return false };
        let (entry, denial) = *denied;
        self.denied = self.denied.saturating_sub(1);
        let how = How::denied(Outcome::Denied, &denial);
        self.queue.push_front(entry);
        if !fatal {
            self.server.rewrite = Some(denial);
        }
        match self.queue.front_mut() {
            Some(Expect::Query(asked) | Expect::Call(asked)) => {
                asked.over = true;
                let mut run = Run::new(asked.no, 0);
                run.bytes_in = std::mem::take(&mut asked.bytes_in);
                run.count_out(bytes);
                self.end(run, How { more: true, ..how }, at, events);
            }
            Some(Expect::Execute(_)) => {
                if let Some(Expect::Execute(sent)) = self.answered() {
                    self.names.end_portal(&sent.portal, sent.no);
                    let mut run = Run::new(sent.no, 0);
                    run.bytes_in = sent.bytes_in;
                    run.count_out(bytes.saturating_add(std::mem::take(&mut self.loose_out)));
                    self.end(run, how, at, events);
                }
                self.skip(at, events);
            }
            _ => {
                self.end_refused(how, bytes, at, events);
                self.skip(at, events);
            }
        }
        true
    }

    /// The last word to a client whose result is cut.
    pub fn farewell(&self, denial: &Denial) -> Vec<u8> {
        denial.to_bytes("FATAL", self.server.unicode)
    }
}

impl How {
    /// By a gate.
    pub(super) fn denied(outcome: Outcome, denial: &Denial) -> How {
        How {
            told: Told::default(),
            sqlstate: Some(message::INSUFFICIENT_PRIVILEGE.to_owned()),
            error: Some(denial.text().to_owned()),
            ..How::plain(outcome)
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::session::Outgoing;
    use crate::session::gate::Verdict;
    use crate::session::holding::Heard;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        [&[kind][..], &u32::try_from(body.len() + 4).unwrap().to_be_bytes(), body].concat()
    }

    /// A session at its first ReadyForQuery.
    fn ready() -> (Tracker, Vec<Event>) {
        let mut tracker = Tracker::new(Uuid::nil(), "local".to_owned(), Timestamp(0));
        let mut events = Vec::new();
        let startup = b"\0\0\0\x13\0\x03\0\0user\0anna\0\0".to_vec();
        let greeting = [message(b'R', &[0; 4]), message(b'K', &[7; 8]), message(b'Z', b"I")].concat();
        tracker.client(&startup, Timestamp(0), &mut events).unwrap();
        tracker.server(&greeting, Timestamp(0), &SubjectColumns::default(), &mut events).unwrap();
        (tracker, events)
    }

    fn say(tracker: &mut Tracker, events: &mut Vec<Event>, bytes: &[u8], verdict: impl Fn() -> Verdict) -> Vec<u8> {
        let (mut input, mut out) = (bytes, Outgoing::default());
        while tracker.client_gated(&mut input, Timestamp(0), events, &mut out).unwrap() == Heard::Asks {
            tracker.judge(verdict(), Timestamp(0), events, &mut out).unwrap();
        }
        out.free().to_vec()
    }

    /// What goes on of a stream that comes in pieces of these lengths; and the rest, if the lengths do not fill it.
    fn pass(tracker: &mut Tracker, events: &mut Vec<Event>, stream: &[u8], pieces: &[usize], rows_max: u64) -> Vec<u8> {
        let (mut rest, mut passed) = (stream, Vec::new());
        for length in pieces.iter().copied().chain([stream.len()]) {
            let (piece, behind) = rest.split_at(length.min(rest.len()));
            rest = behind;
            let mut look = |progress: &Progress<'_>| match progress.rows > rows_max {
                true => Going::Cut(Denial::new("enough")),
                false => Going::On { rows: rows_max, people: u64::MAX, bytes: u64::MAX },
            };
            let one = tracker.server_gated(piece, Timestamp(0), &SubjectColumns::default(), events, &mut look).unwrap();
            let bytes = one.instead.as_deref().unwrap_or(piece);
            match one.cut {
                Some((keep, _)) => {
                    passed.extend(&bytes[..keep]);
                    return passed;
                }
                None => passed.extend(bytes),
            }
        }
        passed
    }

    /// Two cuts, everywhere; and one byte at a time.
    fn all_cuts(length: usize) -> Vec<Vec<usize>> {
        let mut all = vec![vec![1; length]];
        for first in 0..=length {
            all.extend((0..=length - first).map(|second| vec![first, second]));
        }
        all
    }

    #[test]
    fn an_error_that_answers_a_denial_is_rewritten_however_it_is_cut() {
        let answer = [
            message(b'N', b"SNOTICE\0\0"),
            message(b'E', b"SERROR\0VERROR\0C42601\0Msyntax error\0P1\0\0"),
            message(b'S', b"a\0b\0"),
            message(b'Z', b"I"),
        ];
        let denial = Denial::new("no");
        let expected =
            [answer[0].clone(), denial.to_bytes("ERROR", true), answer[2].clone(), answer[3].clone()].concat();
        let answer = answer.concat();
        for pieces in all_cuts(answer.len()) {
            let (mut tracker, mut events) = ready();
            let query = message(b'Q', b"select 1\0");
            let sent = say(&mut tracker, &mut events, &query, || Verdict::Deny(denial.clone()));
            assert_eq!(sent, message(b'Q', b"mitsuke denied this statement\0"));
            assert_eq!(pass(&mut tracker, &mut events, &answer, &pieces, 0), expected, "{pieces:?}");
            assert!(tracker.is_idle());
            let ends =
                events.iter().filter(|event| matches!(event, Event::Ended(end) if end.outcome == Outcome::Denied));
            assert_eq!(ends.count(), 1);
        }
    }

    #[test]
    fn a_fatal_that_comes_instead_passes_as_it_is() {
        let fatal = message(b'E', b"SFATAL\0VFATAL\0C57P01\0Mterminating\0\0");
        for pieces in all_cuts(fatal.len()) {
            let (mut tracker, mut events) = ready();
            say(&mut tracker, &mut events, &message(b'Q', b"select 1\0"), || Verdict::Deny(Denial::new("no")));
            assert_eq!(pass(&mut tracker, &mut events, &fatal, &pieces, 0), fatal);
        }
    }

    /// A server that takes the message that it must refuse is no server that can be followed.
    #[test]
    fn any_other_answer_to_a_denial_ends_the_session() {
        for (sent, answer) in [(b'Q', b'T'), (b'Q', b'C'), (b'P', b'1'), (b'B', b'2'), (b'E', b'D'), (b'F', b'V')] {
            let (mut tracker, mut events) = ready();
            let body: &[u8] = if sent == b'B' { b"\0\0\0\0\0\0\0\0" } else { b"\0\0\0\0\0\0" };
            say(&mut tracker, &mut events, &message(sent, body), || Verdict::Deny(Denial::new("no")));
            let subjects = SubjectColumns::default();
            let mut look = |_: &Progress<'_>| Going::TO_THE_END;
            let passed =
                tracker.server_gated(&message(answer, b"\0\0"), Timestamp(0), &subjects, &mut events, &mut look);
            assert!(passed.is_err(), "{}", sent as char);
        }
    }

    #[test]
    fn a_cut_lands_between_messages_and_counts_what_it_lets_out() {
        let rows: Vec<u8> = (0..6).flat_map(|_| message(b'D', b"\0\x01\0\0\0\x02hi")).collect();
        let result = [message(b'T', b"\0\0"), rows, message(b'C', b"SELECT 6\0"), message(b'Z', b"I")].concat();
        for pieces in all_cuts(result.len()) {
            let (mut tracker, mut events) = ready();
            say(&mut tracker, &mut events, &message(b'Q', b"select 1\0"), || Verdict::Allow);
            let passed = pass(&mut tracker, &mut events, &result, &pieces, 3);
            let rows = (passed.len() - 7) / 13;
            assert_eq!(passed.len(), 7 + 13 * rows, "{pieces:?}");
            assert!(rows == 3 || rows == 4, "{pieces:?}");
            let ended = events.iter().find_map(|event| if let Event::Ended(end) = event { Some(end) } else { None });
            let ended = ended.unwrap();
            assert_eq!((ended.outcome, ended.rows_returned), (Outcome::Cut, u64::try_from(rows).unwrap()));
            assert_eq!(ended.bytes_out, u64::try_from(passed.len()).unwrap());
        }
    }
}
