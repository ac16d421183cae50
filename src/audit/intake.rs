//! The intake journal: raw session events, on their way from the data plane to the analysis, safe from a crash.
//!
//! In: events ([`Intake::append`], from any thread). Out: the same events, numbered ([`IntakeReader::next`]): first what
//! an earlier process left unread, then live ones. Raw text and values lie here and nowhere else, encrypted.
//!
//! It is the queue between data plane and analysis, and it is bounded: [`SEGMENTS_MAX`] files of [`SEGMENT_BYTES`] each,
//! memory-mapped over blocks reserved beforehand. A segment goes when a checkpoint no longer needs it
//! ([`super::Log::commit`] takes its name away); one that went is cleared, beside the data plane, and is the next
//! ([`IntakeReader::reuse`]): its blocks are reserved and its pages mapped already. Where no new segment can be had (backlog, full disk), `append` refuses, or, with
//! [`WhenUnwritable::Pass`], counts what it lets through, in the header of the last segment, which is always
//! writable; the reader then hands out a [`Gap`].
//!
//! # What an append costs
//!
//! Encoding, AES-256-GCM and one copy under a mutex: no system call, except one futex call when the reader has been
//! idle, page faults as the kernel sees fit, and a file that is made, or renamed, every 16 MiB. With [`Durability::Disk`] the event's session waits
//! for one `fdatasync` of a thread that does nothing else ([`Intake::on_disk`]); all that wait at the same time share it, and no other
//! session waits.
//!
//! # What it leans on
//!
//! The page cache outlives the process, so that kill -9 loses nothing appended. `fallocate` reserves blocks on
//! ext4 and xfs; copy-on-write file systems may still run out of them: keep the log on one of the former.

mod brief;
mod codec;
mod disk;
mod lately;
mod map;
mod reader;
mod segment;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use self::disk::{Attempt, Disk};
use self::lately::{Appended, Lately};
pub use self::reader::IntakeReader;
use self::segment::{Cipher, ENTRY_HEADER_BYTES, ENTRY_OVERHEAD_BYTES_MAX, GAP_OFFSET, HEADER_BYTES, Header};
use super::{Config, Durability, Error, Key, Unwritable, UnwritableReason, WhenUnwritable, folder, journal};
use crate::clock::Timestamp;
use crate::session::Event;
use crate::system;

/// The length of a segment's file.
pub const SEGMENT_BYTES: usize = 16 << 20;
/// The most segments that may lie there unread, or kept for a checkpoint: 256 MiB.
pub const SEGMENTS_MAX: usize = 16;
/// Events of one call are gathered into one entry until they are this long, encoded: such a call is all or nothing.
pub const ENTRY_BYTES_TARGET: usize = 1 << 20;
/// Entries that are kept in memory for the reader besides, bytes as they are in the segments.
pub const LATELY_BYTES_MAX: usize = 4 << 20;

#[derive(Clone, Copy)]
struct Sizes {
    segment_bytes: usize,
    segments_max: usize,
    lately_bytes_max: usize,
}

const SIZES: Sizes =
    Sizes { segment_bytes: SEGMENT_BYTES, segments_max: SEGMENTS_MAX, lately_bytes_max: LATELY_BYTES_MAX };
/// How long after a segment could not be had the next attempt is made.
const RETRY: Duration = Duration::from_millis(10);
/// What a thread keeps of its encoding buffer between calls, bytes.
const BUFFER_BYTES_KEPT: usize = 256 << 10;

/// An event's number among all events of this writer, ever: from 1, without a gap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position(pub u64);

/// What the reader hands out.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// Something happened.
    Event(Event),
    /// Something happened that is not known.
    Gap(Gap),
}

/// Events that are missing here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// How many; where the journal is damaged at its end, at least so many.
    pub events: u64,
    /// When the first was let through; `None` where that is not known.
    pub first_at: Option<Timestamp>,
    /// When the last was.
    pub last_at: Option<Timestamp>,
    /// Why.
    pub cause: GapCause,
}

/// Why events are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GapCause {
    /// The journal could not be written and `when_unwritable` is `pass`.
    Passed,
    /// The journal's file was altered, or torn by the machine losing power.
    Damaged,
}

/// The writing end; cloned into every session.
#[derive(Clone)]
pub struct Intake {
    shared: Arc<Shared>,
    /// Where [`Config::durability`] is [`Durability::Disk`].
    disk: Option<Disk>,
    /// Counted: the reader is finished when all are gone.
    _alive: Arc<()>,
}

struct Shared {
    folder: PathBuf,
    key: Key,
    durability: Durability,
    when_unwritable: WhenUnwritable,
    sizes: Sizes,
    state: Mutex<State>,
    wake: Condvar,
}

/// Ready when the disk has an event.
pub type OnDisk = Pin<Box<dyn Future<Output = Result<(), Unwritable>> + Send>>;

struct State {
    current: map::Appender,
    segment: Arc<Segment>,
    /// What the next segment is made of, if there is one.
    spare: Option<map::Spare>,
    /// The number of the next event.
    next: Position,
    /// Segments after the one that the reader is on.
    queue: VecDeque<Arc<Segment>>,
    /// Events that are in the segments too.
    lately: Lately,
    /// Whether the reader waits for `wake`.
    reader_asleep: bool,
    /// What was let through since `current` was full.
    gap: Option<(u64, Timestamp, Timestamp)>,
    /// What was let through since the start.
    passed: u64,
    refused: Option<(Instant, UnwritableReason)>,
}

/// A live segment, as reader and appender share it.
struct Segment {
    view: map::View,
    cipher: Cipher,
    first: Position,
    /// Set when the next segment has begun: what was let through in between.
    full: OnceLock<Option<Gap>>,
}

impl Intake {
    /// Opens the journal of a writer whose name is claimed ([`super::Writer`]), in a new segment. The reader begins
    /// with what the last checkpoint has not covered.
    ///
    /// # Errors
    /// The folder cannot be read or written, the disk is full, or the key file is not the one of the segments found.
    pub fn open(config: &Config, writer: &str) -> Result<(Intake, IntakeReader), Error> {
        Intake::open_sized(config, writer, SIZES)
    }

    fn open_sized(config: &Config, writer: &str, sizes: Sizes) -> Result<(Intake, IntakeReader), Error> {
        let folder = folder::intake(&config.path, writer);
        folder::create(&folder)?;
        let key = Key::load_or_create(&config.key_file)?;
        let checkpoint = journal::last_commit(&folder::records(&config.path, writer))?.and_then(|last| last.checkpoint);
        let from = checkpoint.map_or(Position(1), |checkpoint| checkpoint.replay_from);
        let recovered = reader::Recovered::find(&folder, &key, from)?;
        let first = recovered.live_from;
        let path = folder::number(&folder, first.0, EXTENSION);
        let (current, segment) =
            begin(&path, first, &key, None, sizes.segment_bytes).map_err(Error::io("create", &path))?;
        folder::sync(&folder)?;
        let state = State {
            current,
            segment: Arc::clone(&segment),
            spare: None,
            next: first,
            queue: VecDeque::new(),
            lately: Lately::default(),
            reader_asleep: false,
            gap: None,
            passed: 0,
            refused: None,
        };
        let shared = Arc::new(Shared {
            folder,
            key,
            durability: config.durability,
            when_unwritable: config.when_unwritable,
            sizes,
            state: Mutex::new(state),
            wake: Condvar::new(),
        });
        let disk = match config.durability {
            Durability::Disk => {
                let theirs = Arc::clone(&shared);
                Some(Disk::start(move || theirs.sync()).map_err(Error::io("start a thread for", &shared.folder))?)
            }
            Durability::Relaxed | Durability::Process => None,
        };
        let alive = Arc::new(());
        let reader = IntakeReader::new(Arc::clone(&shared), Arc::downgrade(&alive), recovered, segment);
        Ok((Intake { shared, disk, _alive: alive }, reader))
    }

    /// Writes events down, in order, and takes them out of `events`; gives the position of the last. What [`Config::durability`]
    /// promises holds for all of them, but for [`Durability::Disk`] once [`Intake::on_disk`] of that position is ready.
    ///
    /// # Errors
    /// [`Unwritable`]: with [`WhenUnwritable::Block`] the caller waits some milliseconds and calls again with what is left. Never
    /// with [`WhenUnwritable::Pass`], unless an event can't be written at all; it is the first that is left then.
    pub fn append(&self, events: &mut Vec<Event>) -> Result<Position, Unwritable> {
        let mut last = Position(0);
        while !events.is_empty() {
            let appended = ENTRY.with_borrow_mut(|(encoder, buffer)| {
                let count = encode(events, encoder, buffer);
                let result = self.shared.append(buffer, events, count);
                if buffer.capacity() > BUFFER_BYTES_KEPT {
                    *buffer = Vec::new();
                }
                result
            });
            last = appended.map_err(|reason| Unwritable { reason })?;
        }
        Ok(last)
    }

    /// Ready when the disk has everything through that position; `None` where nobody promised that. It never fails with
    /// [`WhenUnwritable::Pass`]; else, the caller waits some milliseconds and asks again.
    pub fn on_disk(&self, through: Position) -> Option<OnDisk> {
        let waiting = self.disk.as_ref()?.wait(through);
        Some(Box::pin(async move { waiting.await.map_err(|reason| Unwritable { reason }) }))
    }

    /// Events that were let through unrecorded since the start.
    pub fn passed(&self) -> u64 {
        self.shared.lock().passed
    }

    /// For who asks how it is. Keeps nobody waiting for its end.
    pub fn look(&self) -> Look {
        Look(Arc::clone(&self.shared))
    }
}

/// How a journal is. Not a writing end: the reader is finished while these are there.
#[derive(Clone)]
pub struct Look(Arc<Shared>);

impl Look {
    /// The number of the last event that was appended; 0 where there was none.
    pub fn last(&self) -> u64 {
        self.0.lock().last().0
    }

    /// Events that were let through unrecorded since the start.
    pub fn passed(&self) -> u64 {
        self.0.lock().passed
    }

    /// Segments that lie there, of [`SEGMENTS_MAX`].
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn segments(&self) -> Result<usize, Error> {
        folder::numbered(&self.0.folder, EXTENSION).map(|files| files.len())
    }

    /// Why nothing can be written, where that was so at the last attempt and is so still: it is tried again.
    pub fn hindrance(&self) -> Option<UnwritableReason> {
        let mut state = self.0.lock();
        state.refused?;
        self.0.roll(&mut state).err()
    }

    /// Whether what cannot be written is let through.
    pub fn lets_through(&self) -> bool {
        self.0.when_unwritable == WhenUnwritable::Pass
    }
}

/// The extension of a segment's file.
const EXTENSION: &str = "seg";
/// That of one which no checkpoint needs any more. There is one at most, and none that an earlier process left is ever read.
const SPENT: &str = "spent";

thread_local! {
    static ENTRY: RefCell<(codec::Encoder, Vec<u8>)> = const { RefCell::new((codec::Encoder::new(), Vec::new())) };
}

/// Encodes as many events as one entry takes, one at least, behind room for the entry's header; how many.
fn encode(events: &[Event], encoder: &mut codec::Encoder, buffer: &mut Vec<u8>) -> usize {
    buffer.clear();
    buffer.resize(ENTRY_HEADER_BYTES, 0);
    let mut count = 0;
    for event in events {
        // What has no encoding (no event has none) stands there as nothing, which the reader tells as a gap.
        encoder.encode(event, buffer);
        count += 1;
        if buffer.len() >= ENTRY_BYTES_TARGET {
            break;
        }
    }
    count
}

fn begin(
    path: &std::path::Path,
    first: Position,
    key: &Key,
    spare: Option<map::Spare>,
    bytes: usize,
) -> std::io::Result<(map::Appender, Arc<Segment>)> {
    let header = Header::new(first, key)?;
    let (appender, view) = match spare {
        Some(spare) => spare.begin(path, &header.encode())?,
        None => map::create(path, bytes, &header.encode())?,
    };
    Ok((appender, Arc::new(Segment { view, cipher: header.cipher(key), first, full: OnceLock::new() })))
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends one entry, the first `count` of `events`, or lets it through; takes them out.
    fn append(
        &self,
        buffer: &mut Vec<u8>,
        events: &mut Vec<Event>,
        count: usize,
    ) -> Result<Position, UnwritableReason> {
        if buffer.len() + ENTRY_OVERHEAD_BYTES_MAX + HEADER_BYTES > self.sizes.segment_bytes {
            return Err(UnwritableReason::TooLong);
        }
        let mut state = self.lock();
        if buffer.len() + ENTRY_OVERHEAD_BYTES_MAX > state.current.room()
            && let Err(reason) = self.roll(&mut state)
        {
            return match self.when_unwritable {
                WhenUnwritable::Block => Err(reason),
                WhenUnwritable::Pass => {
                    state.let_through(&events[..count]);
                    events.drain(..count);
                    Ok(state.last())
                }
            };
        }
        let (first, offset) = (state.next, state.segment.view.body().len());
        let number = u32::try_from(count).map_err(|_| UnwritableReason::TooLong)?;
        if !state.segment.cipher.seal(first, number, buffer) || !state.current.append(buffer) {
            return Err(UnwritableReason::TooLong);
        }
        state.next = Position(first.0 + u64::from(number));
        let events = events.drain(..count);
        let (segment, end) = (state.segment.first, state.segment.view.body().len());
        if state.lately.bytes().saturating_add(buffer.len()) <= self.sizes.lately_bytes_max {
            state.lately.push(Appended { segment, offset, end, first, count }, buffer.len(), events);
        }
        if state.reader_asleep {
            state.reader_asleep = false;
            self.wake.notify_one();
        }
        Ok(state.last())
    }

    /// Begins the next segment.
    fn roll(&self, state: &mut State) -> Result<(), UnwritableReason> {
        let now = Instant::now();
        if let Some((until, reason)) = state.refused
            && now < until
        {
            return Err(reason);
        }
        match self.next_segment(state) {
            Ok(()) => {
                state.refused = None;
                Ok(())
            }
            Err(reason) => {
                state.refused = Some((now + RETRY, reason));
                Err(reason)
            }
        }
    }

    fn next_segment(&self, state: &mut State) -> Result<(), UnwritableReason> {
        let there = folder::numbered(&self.folder, EXTENSION).map_err(|error| match error {
            Error::Io { cause, .. } => UnwritableReason::System(cause.kind()),
            _ => UnwritableReason::Backlog,
        })?;
        if there.len() >= self.sizes.segments_max {
            return Err(UnwritableReason::Backlog);
        }
        // A gap has a position of its own, so that it is replayed, or passed over, like an event.
        let first = Position(state.next.0 + u64::from(state.gap.is_some()));
        let path = folder::number(&self.folder, first.0, EXTENSION);
        let system = |error: std::io::Error| UnwritableReason::System(error.kind());
        if self.durability == Durability::Disk {
            state.segment.view.sync().map_err(system)?;
        }
        let spare = state.spare.take();
        let (current, segment) = begin(&path, first, &self.key, spare, self.sizes.segment_bytes).map_err(system)?;
        if self.durability == Durability::Disk {
            let _ = folder::sync(&self.folder);
        }
        let gap = state.gap.take().map(|(events, first_at, last_at)| Gap {
            events,
            first_at: Some(first_at),
            last_at: Some(last_at),
            cause: GapCause::Passed,
        });
        let _ = state.segment.full.set(gap);
        state.queue.push_back(Arc::clone(&segment));
        state.segment = segment;
        state.current = current;
        state.next = first;
        Ok(())
    }

    /// Has the disk take everything appended. With [`WhenUnwritable::Pass`], what it does not take is told and passed over.
    fn sync(&self) -> Attempt {
        let (segment, through) = {
            let state = self.lock();
            (Arc::clone(&state.segment), state.last())
        };
        // A segment that is no longer the current one was synced when it was left.
        let result = match (segment.view.sync(), self.when_unwritable) {
            (Ok(()), _) => Ok(()),
            (Err(error), WhenUnwritable::Block) => Err(UnwritableReason::System(error.kind())),
            (Err(error), WhenUnwritable::Pass) => {
                tracing::error!(%error, "the intake journal is not on the disk");
                Ok(())
            }
        };
        Attempt { through, result }
    }
}

impl State {
    /// The last event that was appended.
    fn last(&self) -> Position {
        Position(self.next.0.saturating_sub(1))
    }

    fn let_through(&mut self, events: &[Event]) {
        let count = events.len() as u64;
        self.passed += count;
        let (Some(first), Some(last)) = (events.first(), events.last()) else { return };
        let (before, first_at) = self.gap.map_or((0, at(first)), |(before, first_at, _)| (before, first_at));
        let last_at = at(last);
        self.gap = Some((before + count, first_at, last_at));
        self.current.write_header(GAP_OFFSET, &segment::encode_gap(before + count, first_at, last_at));
    }
}

/// Takes away the segments wholly before a position: those whose successor begins no later. One of them is kept as spent, if none is.
pub(super) fn release(folder: &std::path::Path, from: Position) -> Result<(), Error> {
    let files = folder::numbered(folder, EXTENSION)?;
    let mut is_kept = None;
    for ((number, path), (next, _)) in files.iter().zip(files.iter().skip(1)) {
        if Position(*next) > from {
            continue;
        }
        let is_kept = match &mut is_kept {
            Some(is_kept) => is_kept,
            unknown => unknown.insert(!folder::numbered(folder, SPENT)?.is_empty()),
        };
        match std::mem::replace(is_kept, true) {
            true => folder::remove(path)?,
            false => {
                system::rename(path, &folder::number(folder, *number, SPENT)).map_err(Error::io("rename", path))?
            }
        }
    }
    Ok(())
}

/// When an event happened.
fn at(event: &Event) -> Timestamp {
    match event {
        Event::Opened(event) => event.at,
        Event::Begun(event) => event.at,
        Event::Ended(event) => event.at,
        Event::Prepared(event) => event.at,
        Event::Ready(event) => event.at,
        Event::Closed(event) => event.at,
        Event::Notified(event) => event.at,
    }
}
