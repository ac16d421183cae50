//! The reading end of the intake journal.
//!
//! In: the segments an earlier process left, from a position on, then the live ones as they grow. Out: every event
//! once, in order, and a [`Gap`] where some are missing. Never refuses a damaged segment: it says what is missing and goes
//! on behind it.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::lately::Lately;
use super::segment::{Cipher, Found, HEADER_BYTES, Header, look, resume};
use super::{EXTENSION, Entry, Gap, GapCause, Position, SPENT, Segment, Shared, codec};
use crate::audit::{Error, Key, folder};

/// How often a reader that has just been busy looks again, instead of having appends wake it by a system call.
///
/// Each time it finds its memory cold, so that a longer pause, with more to do at once, costs less a statement.
const POLL: Duration = Duration::from_millis(20);
/// How long it goes on doing so.
const POLL_FOR: Duration = Duration::from_millis(100);
/// After so many entries a reader lets a thread that waits for its processor go first: what has come since it last looked would else
/// hold up a session for as long as all of it takes …
const STINT: u32 = 8;
/// … but it does so only for so many, and then catches up.
const STINTS_MAX: u32 = 16;
/// So many events are taken to have come at one time, if they are there already. They take a fraction of a millisecond, as a rule.
const ROW: u32 = 32;

/// What an earlier process left.
pub(super) struct Recovered {
    /// Where the reader begins.
    from: Position,
    /// Where the live part begins.
    pub live_from: Position,
    /// Its segments, oldest first.
    files: VecDeque<PathBuf>,
}

impl Recovered {
    /// Lists the segments that hold anything from `from` on; removes those that hold nothing at all, and what is spent.
    ///
    /// # Errors
    /// A segment cannot be read, or was written under another key.
    pub(super) fn find(folder: &Path, key: &Key, from: Position) -> Result<Recovered, Error> {
        for (_, path) in folder::numbered(folder, SPENT)? {
            folder::remove(&path)?;
        }
        let mut files = VecDeque::new();
        let mut live_from = from;
        for (first, path) in folder::numbered(folder, EXTENSION)? {
            let bytes = fs::read(&path).map_err(Error::io("read", &path))?;
            let end = match File::of(&path, &bytes, key)? {
                Some(file) => file.end(&bytes),
                // Its making was cut short.
                None if bytes.iter().skip(HEADER_BYTES).all(|byte| *byte == 0) => Position(first),
                // What its name says is all that is known.
                None => Position(first + 1),
            };
            if end <= Position(first).max(from) {
                folder::remove(&path)?;
                continue;
            }
            live_from = live_from.max(end);
            files.push_back(path);
        }
        Ok(Recovered { from, live_from, files })
    }
}

/// A segment of an earlier process.
struct File {
    header: Header,
    cipher: Cipher,
}

impl File {
    /// `None` where it has no sound header.
    fn of(path: &Path, bytes: &[u8], key: &Key) -> Result<Option<File>, Error> {
        let Some(header) = Header::decode(bytes) else { return Ok(None) };
        if header.key_id != key.id() {
            return Err(Error::WrongKey(path.to_path_buf()));
        }
        let cipher = header.cipher(key);
        Ok(Some(File { header, cipher }))
    }

    /// The position after the last thing in it, its gap included.
    fn end(&self, bytes: &[u8]) -> Position {
        let body = &bytes[HEADER_BYTES..];
        let (mut offset, mut end) = (0, self.header.first);
        loop {
            match look(body, offset) {
                Found::Entry(entry) => {
                    end = end.max(Position(entry.first.0 + u64::from(entry.events)));
                    offset = entry.next;
                }
                Found::End => break,
                Found::Broken => {
                    // What was torn here counts for one event at least.
                    end.0 += 1;
                    let Some(next) = resume(body, offset) else { break };
                    offset = next;
                }
            }
        }
        Position(end.0 + u64::from(self.header.gap.is_some()))
    }
}

/// The reading end; there is one.
pub struct IntakeReader {
    shared: Arc<Shared>,
    /// Gone when every [`super::Intake`] is.
    writers: Weak<()>,
    recovered: Recovered,
    live: Arc<Segment>,
    /// Live ones that have been read to their end, and may be used again.
    left: Vec<Arc<Segment>>,
    /// How far `live`'s body has been read.
    offset: usize,
    /// What was appended lately, as far as it is still in memory.
    lately: Lately,
    /// The position that should come next.
    expected: Position,
    decoder: codec::Decoder,
    /// Decoded, not yet handed out.
    ready: VecDeque<(Position, Entry)>,
    /// When something was last there.
    busy: Instant,
    /// Entries taken from memory since it last slept.
    in_a_row: u32,
    /// Events handed out since the last one that begins a row.
    since: u32,
}

impl IntakeReader {
    pub(super) fn new(shared: Arc<Shared>, writers: Weak<()>, recovered: Recovered, live: Arc<Segment>) -> Self {
        let expected = recovered.from;
        let decoder = codec::Decoder::default();
        let (ready, busy) = (VecDeque::new(), Instant::now());
        let lately = Lately::default();
        IntakeReader {
            shared,
            writers,
            recovered,
            live,
            left: Vec::new(),
            offset: 0,
            lately,
            expected,
            decoder,
            ready,
            busy,
            in_a_row: 0,
            since: 0,
        }
    }

    /// The next event or gap; waits for one no longer than `wait`, and returns `None` when none came.
    ///
    /// # Errors
    /// A segment of an earlier process cannot be read.
    pub fn next(&mut self, wait: Duration) -> Result<Option<(Position, Entry)>, Error> {
        let goes_on = self.since < ROW && !(self.ready.is_empty() && self.lately.is_empty());
        self.since = if goes_on { self.since + 1 } else { 0 };
        let mut deadline = None;
        loop {
            if let Some(next) = self.ready.pop_front() {
                return Ok(Some(next));
            }
            if let Some(path) = self.recovered.files.pop_front() {
                self.read_file(&path)?;
                if self.recovered.files.is_empty() {
                    self.missing_until(self.recovered.live_from, None);
                }
            } else if let Some(next) = self.take_lately() {
                self.in_a_row = self.in_a_row.saturating_add(1);
                if self.in_a_row.is_multiple_of(STINT) && self.in_a_row <= STINT * STINTS_MAX {
                    std::thread::yield_now();
                }
                return Ok(Some(next));
            } else if !self.read_segment() {
                let deadline = *deadline.get_or_insert_with(|| Instant::now() + wait);
                if !self.sleep(deadline) {
                    return Ok(None);
                }
                if self.read_live() {
                    self.busy = Instant::now();
                }
            }
        }
    }

    /// Whether what [`IntakeReader::next`] gave last may have come later than what it gave before: it was not there yet, or many were given
    /// since. Others come in a row, and need no look at a clock.
    pub fn begins_a_row(&self) -> bool {
        self.since == 0
    }

    /// To be called after a checkpoint: makes of a segment that is spent the next one, cleared, and has the system forget the others.
    ///
    /// # Errors
    /// The folder cannot be read or changed. It is tried again after the next checkpoint; until then, segments are made anew.
    pub fn reuse(&mut self) -> Result<(), Error> {
        if self.left.is_empty() {
            return Ok(());
        }
        let folder = &self.shared.folder;
        let needed = folder::numbered(folder, EXTENSION)?;
        let is_needed = |segment: &Segment| needed.iter().any(|(number, _)| *number == segment.first.0);
        let (kept, mut spent): (Vec<_>, Vec<_>) = self.left.drain(..).partition(|segment| is_needed(segment));
        self.left = kept;
        // Where there is none, none comes but from here.
        if self.shared.lock().spare.is_some() {
            return Ok(());
        }
        for (number, path) in folder::numbered(folder, SPENT)? {
            let place = spent.iter().position(|segment| segment.first.0 == number);
            let alone = place.and_then(|place| Arc::try_unwrap(spent.swap_remove(place)).ok());
            // By this thread, for whom nobody waits, and before anybody else can have it.
            match alone.and_then(|segment| segment.view.clear(path.clone()).ok()) {
                Some(spare) => self.shared.lock().spare = Some(spare),
                None => folder::remove(&path)?,
            }
        }
        Ok(())
    }

    /// Where the live part begins: everything before it was left by an earlier process, whose sessions are over.
    pub fn live_from(&self) -> Position {
        self.recovered.live_from
    }

    /// Whether what has this position happened in this process.
    pub fn was_live(&self, position: Position) -> bool {
        position >= self.recovered.live_from
    }

    /// Whether every [`super::Intake`] is gone and everything has been handed out.
    pub fn is_finished(&mut self) -> bool {
        // In this order: once the writers are gone, nothing is appended any more.
        let writers_gone = self.writers.strong_count() == 0;
        writers_gone && self.ready.is_empty() && self.recovered.files.is_empty() && !self.read_live()
    }

    fn read_file(&mut self, path: &Path) -> Result<(), Error> {
        let bytes = match fs::read(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            bytes => bytes.map_err(Error::io("read", path))?,
        };
        let Some(file) = File::of(path, &bytes, &self.shared.key)? else { return Ok(()) };
        self.missing_until(file.header.first, None);
        let body = &bytes[HEADER_BYTES..];
        let mut offset = 0;
        loop {
            match look(body, offset) {
                Found::Entry(entry) => {
                    self.missing_until(entry.first, None);
                    self.take(entry.first, entry.events, file.cipher.open(&entry));
                    offset = entry.next;
                }
                Found::End => break,
                // How much is missing shows where the next thing is found.
                Found::Broken => match resume(body, offset) {
                    Some(next) => offset = next,
                    None => break,
                },
            }
        }
        if let Some(gap) = file.header.gap {
            let end = file.end(&bytes);
            self.missing_until(Position(end.0 - 1), None);
            self.missing_until(end, Some(gap));
        }
        Ok(())
    }

    /// Takes what is new; whether there was anything.
    fn read_live(&mut self) -> bool {
        match self.take_lately() {
            Some(next) => {
                self.ready.push_front(next);
                true
            }
            None => self.read_segment(),
        }
    }

    /// Takes an entry's events from memory, where they are the next ones: the first, and what is behind it is ready.
    fn take_lately(&mut self) -> Option<(Position, Entry)> {
        if self.lately.is_empty() {
            self.lately.swap_with_empty(&mut self.shared.lock().lately);
        }
        let (mut events, end) = self.lately.next(self.live.first, self.offset, self.expected)?;
        let mut number = |event| {
            let position = self.expected;
            self.expected.0 += 1;
            (position, Entry::Event(event))
        };
        let first = events.next().map(&mut number);
        self.ready.extend(events.map(number));
        self.offset = end;
        first
    }

    /// Takes what the live segment has; whether there was anything.
    fn read_segment(&mut self) -> bool {
        // Before the body is looked at: what it has when it is known to be full is all it will ever have.
        let full = self.live.full.get().copied();
        let live = Arc::clone(&self.live);
        let body = live.view.body();
        match look(body, self.offset) {
            Found::Entry(entry) => {
                self.missing_until(entry.first, None);
                self.take(entry.first, entry.events, live.cipher.open(&entry));
                self.offset = entry.next;
                true
            }
            // Damaged under our hands: whatever is left of this segment is missing.
            Found::Broken => {
                self.offset = resume(body, self.offset).unwrap_or(body.len());
                true
            }
            Found::End => match full {
                None => false,
                Some(gap) => {
                    let next = self.shared.lock().queue.pop_front();
                    let Some(next) = next else { return false };
                    if let Some(gap) = gap {
                        self.missing_until(Position(self.expected.0 + 1), Some(gap));
                    }
                    self.left.push(std::mem::replace(&mut self.live, next));
                    self.missing_until(self.live.first, None);
                    self.offset = 0;
                    true
                }
            },
        }
    }

    /// Decodes an entry's events; a gap where that fails.
    fn take(&mut self, first: Position, events: u32, plain: Option<Vec<u8>>) {
        let end = Position(first.0 + u64::from(events));
        let plain = plain.unwrap_or_default();
        let mut rest = plain.as_slice();
        let mut position = first;
        while position < end {
            let Some((event, after)) = self.decoder.decode(rest) else { break };
            rest = after;
            if position >= self.expected {
                self.ready.push_back((position, Entry::Event(event)));
                self.expected = Position(position.0 + 1);
            }
            position.0 += 1;
        }
        self.missing_until(end, None);
    }

    /// Makes a gap of what is missing between what was expected and `found`.
    fn missing_until(&mut self, found: Position, known: Option<Gap>) {
        if found <= self.expected {
            return;
        }
        let events = found.0 - self.expected.0;
        let damaged = Gap { events, first_at: None, last_at: None, cause: GapCause::Damaged };
        self.ready.push_back((self.expected, Entry::Gap(known.unwrap_or(damaged))));
        self.expected = found;
    }

    /// Waits for more; false once `deadline` has passed.
    fn sleep(&mut self, deadline: Instant) -> bool {
        self.in_a_row = 0;
        let now = Instant::now();
        let Some(left) = deadline.checked_duration_since(now).filter(|left| !left.is_zero()) else { return false };
        if now.duration_since(self.busy) < POLL_FOR {
            std::thread::sleep(left.min(POLL));
            return true;
        }
        let mut state = self.shared.lock();
        // Under the lock: whatever was appended before is seen now, whatever comes later wakes.
        if self.live.view.body().len() > self.offset || self.live.full.get().is_some() {
            return true;
        }
        state.reader_asleep = true;
        let woken = self.shared.wake.wait_timeout(state, left);
        let (mut state, _) = woken.unwrap_or_else(PoisonError::into_inner);
        state.reader_asleep = false;
        true
    }
}
