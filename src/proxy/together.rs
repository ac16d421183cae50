//! What the sessions of one turn of an event loop have for the journal, in one entry.
//!
//! In: events of sessions that are polled in one turn ([`join`]). Out: one append for all of them, made by whoever asks first what came of
//! theirs ([`Share::settle`]), which the loop has each do before the turn ends. To seal an entry and to write it into memory that another
//! thread has cleared costs nearly as much for one event as for many. A session that is alone in a turn, or on no loop, appends by itself;
//! where an append fails, each has back what is not in the journal, and goes on as if it had been alone.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::audit::{Intake, Position};
use crate::session::Event;

/// Events that one turn gathers before who comes later appends by itself.
const EVENTS_MAX: usize = 4_096;
/// What a thread keeps of its room for them between turns.
const EVENTS_KEPT: usize = 256;

/// Turns of one thread, before those of the next in the same count.
const THREADS_TURNS: u64 = 1 << 40;
/// Where the next thread begins to count, so that no two turns have one number.
static NEXT_THREAD: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static TURN: RefCell<Turn> = const { RefCell::new(Turn::NEW) };
}

/// A thread's turn.
struct Turn {
    /// Whether it may be joined.
    is_open: bool,
    /// Whether somebody has joined since it was asked.
    has_joined: bool,
    number: u64,
    /// Of all who joined, one behind the other; after an append that failed, those that are not in the journal.
    events: Vec<Event>,
    /// How many there were.
    joined: usize,
    /// How many are in the journal, and the last of them or one behind it. Known once it was tried.
    appended: Option<(usize, Position)>,
}

/// One session's part of a turn.
#[derive(Debug)]
pub struct Share {
    turn: u64,
    start: usize,
    end: usize,
}

/// What came of a share.
#[derive(Debug, PartialEq, Eq)]
pub enum Settled {
    /// The journal has it, through this position or an earlier one.
    Appended(Position),
    /// Some of it is not in the journal, and was given back.
    GivenBack,
    /// Nobody knows: its turn was over before it was settled, which no event loop does.
    Lost,
}

/// From now on events of this thread's sessions are gathered.
pub fn open() {
    TURN.with_borrow_mut(|turn| {
        turn.events.clear();
        turn.events.shrink_to(EVENTS_KEPT);
        turn.number = match turn.number {
            0 => NEXT_THREAD.fetch_add(THREADS_TURNS, Ordering::Relaxed),
            number => number,
        };
        turn.number = turn.number.wrapping_add(1);
        (turn.is_open, turn.has_joined, turn.joined, turn.appended) = (true, false, 0, None);
    });
}

/// They are not any more; who has joined is to settle.
pub fn close() {
    TURN.with_borrow_mut(|turn| turn.is_open = false);
}

/// Whether somebody has joined since this was last asked.
pub fn has_joined() -> bool {
    TURN.with_borrow_mut(|turn| std::mem::take(&mut turn.has_joined))
}

/// Takes events, all or none, to be appended with those of others. None where this thread's turn is not open, or has many: the caller appends
/// them itself. All who share a turn have the same journal.
pub fn join(events: &mut Vec<Event>) -> Option<Share> {
    TURN.with_borrow_mut(|turn| {
        if !turn.is_open || turn.joined.saturating_add(events.len()) > EVENTS_MAX {
            return None;
        }
        let start = turn.joined;
        turn.events.append(events);
        turn.joined = turn.events.len();
        turn.has_joined = true;
        Some(Share { turn: turn.number, start, end: turn.joined })
    })
}

impl Share {
    /// What came of it. Has all of the turn appended, if nobody has yet. What is not in the journal is in `events` again, in order.
    pub fn settle(self, intake: &Intake, events: &mut Vec<Event>) -> Settled {
        TURN.with_borrow_mut(|turn| {
            if turn.number != self.turn {
                return Settled::Lost;
            }
            turn.is_open = false;
            let (appended, through) = *turn.appended.get_or_insert_with(|| match intake.append(&mut turn.events) {
                Ok(through) => (turn.joined, through),
                // Whoever meets it when it appends its own tells of it.
                Err(_) => (turn.joined.saturating_sub(turn.events.len()), Position(intake.look().last())),
            });
            if self.end <= appended {
                return Settled::Appended(through);
            }
            let from = self.start.max(appended).saturating_sub(appended);
            let to = self.end.saturating_sub(appended).min(turn.events.len());
            events.extend(turn.events.get(from..to).unwrap_or_default().iter().cloned());
            Settled::GivenBack
        })
    }
}

impl Turn {
    const NEW: Turn =
        Turn { is_open: false, has_joined: false, number: 0, events: Vec::new(), joined: 0, appended: None };
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::audit::{Durability, Entry, IntakeReader, Retention, WhenUnwritable};
    use crate::clock::Timestamp;
    use crate::record::Protocol;
    use crate::session::event::{Begun, Who};
    use crate::wire::bind::Parameters;

    fn event(number: u64, text_bytes: usize) -> Event {
        Event::Begun(Begun {
            who: Arc::new(Who::default()),
            statement_no: number,
            at: Timestamp(1),
            protocol: Protocol::Simple,
            text: vec![b'x'; text_bytes].into(),
            text_bytes: 1,
            bytes_in: 1,
            parameters: Parameters::default(),
        })
    }

    fn journal(folder: &std::path::Path) -> (Intake, IntakeReader) {
        let config = crate::audit::Config {
            path: folder.join("log"),
            key_file: folder.join("key"),
            durability: Durability::Process,
            when_unwritable: WhenUnwritable::Block,
            store: None,
            flush: Duration::from_secs(1),
            retention: Retention::default(),
            signing_key: folder.join("signing"),
        };
        Intake::open(&config, "w").unwrap()
    }

    fn numbers(events: &[Event]) -> Vec<u64> {
        let number = |event: &Event| if let Event::Begun(begun) = event { begun.statement_no } else { 0 };
        events.iter().map(number).collect()
    }

    fn written(reader: &mut IntakeReader) -> Vec<u64> {
        let mut events = Vec::new();
        while let Some((_, Entry::Event(event))) = reader.next(Duration::from_millis(1)).unwrap() {
            events.push(event);
        }
        numbers(&events)
    }

    #[test]
    fn who_joins_is_in_the_journal_once_anybody_settles_and_who_is_alone_is_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        let (intake, mut reader) = journal(folder.path());
        let (mut first, mut second, mut third) = (vec![event(1, 1), event(2, 1)], vec![event(3, 1)], vec![event(4, 1)]);
        assert!(join(&mut first).is_none() && first.len() == 2, "no turn is open");
        open();
        assert!(!has_joined());
        let shares = [join(&mut first).unwrap(), join(&mut second).unwrap()];
        assert!(has_joined() && !has_joined() && first.is_empty());
        close();
        assert!(join(&mut third).is_none() && third.len() == 1, "it is over");
        assert!(written(&mut reader).is_empty());
        for share in shares {
            assert_eq!(share.settle(&intake, &mut first), Settled::Appended(Position(3)));
            assert!(first.is_empty());
            assert_eq!(written(&mut reader).len() % 3, 0, "all of it, and once");
        }
        assert_eq!(intake.look().last(), 3);
    }

    #[test]
    fn what_cannot_be_appended_is_given_back_to_whose_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let (intake, mut reader) = journal(folder.path());
        open();
        // An entry of its own, then one that no segment has room for.
        let mut all = [vec![event(1, 1), event(2, 2 << 20)], vec![event(3, 1), event(4, 17 << 20)], vec![event(5, 1)]];
        let shares: Vec<Share> = all.iter_mut().map(|events| join(events).unwrap()).collect();
        close();
        let settled: Vec<Settled> =
            shares.into_iter().zip(&mut all).map(|(share, events)| share.settle(&intake, events)).collect();
        assert_eq!(settled, [Settled::Appended(Position(2)), Settled::GivenBack, Settled::GivenBack]);
        assert_eq!(all.each_ref().map(|events| numbers(events)), [vec![], vec![3, 4], vec![5]]);
        assert_eq!(written(&mut reader), [1, 2]);
    }

    #[test]
    fn a_turn_that_is_over_or_anothers_tells_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (intake, _reader) = journal(folder.path());
        let shared = |number| {
            open();
            join(&mut vec![event(number, 1)]).unwrap()
        };
        let (old, new) = (shared(1), shared(2));
        assert_eq!(old.settle(&intake, &mut Vec::new()), Settled::Lost);
        let lost = std::thread::spawn({
            let intake = intake.clone();
            move || {
                open();
                new.settle(&intake, &mut Vec::new())
            }
        });
        assert_eq!(lost.join().unwrap(), Settled::Lost);
    }
}
