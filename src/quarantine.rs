//! Who is kept out for a time: users and addresses.
//!
//! In: findings of policies that quarantine, and what a person lifts. Out: whether somebody is kept out now. Everything stands in one
//! file beside the log, `quarantine.jsonl`, that is only ever appended to, a line an event: it survives a restart, every sidecar of
//! the log heeds it within a second or so, and shows who lifted what. Names stand in it, as in the log; nothing else. What came from
//! other sidecars of a fleet (`fleet`) stands there too, marked, and is not told on.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::policy::acting::Whom;
use crate::record::Text;
use crate::system;

/// The file, in the log's folder.
const FILE: &str = "quarantine.jsonl";
/// The longest line that is read, bytes. A name is cut off long before.
const LINE_BYTES_MAX: u64 = 4_096;
/// What PostgreSQL tells names apart by, bytes (`NAMEDATALEN`, less one).
const NAME_BYTES_MAX: usize = 63;
/// Who can be kept out at the same time. Beyond, the one whose time is over first is let in.
pub const ENTRIES_MAX: usize = 16_384;

/// One who is kept out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// User or address.
    pub whom: Whom,
    /// Its name.
    pub name: Text,
    /// Since when.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// The policy.
    pub policy: Text,
    /// The finding.
    pub finding_id: Text,
}

/// Somebody is let in again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lift {
    /// User or address.
    pub whom: Whom,
    /// Its name.
    pub name: Text,
    /// When.
    pub at: Timestamp,
    /// By whom, as they say.
    pub by: Option<Text>,
    /// Why.
    pub comment: Option<Text>,
}

/// What happens to the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// Somebody is kept out from now on.
    Quarantined(Entry),
    /// Somebody is let in again.
    Lifted(Lift),
}

#[derive(Serialize, Deserialize)]
struct Line {
    #[serde(flatten)]
    event: Event,
    /// Another sidecar of the fleet told it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    fleet: bool,
}

impl Line {
    fn ours(event: Event) -> Line {
        Line { event, fleet: false }
    }
}

type Held = HashMap<(Whom, Text), Arc<Entry>>;

/// The list. Clones share it.
#[derive(Clone, Default)]
pub struct Quarantines(Arc<Inner>);

#[derive(Default)]
struct Inner {
    /// Where there is no log, nothing is kept.
    file: Option<PathBuf>,
    held: ArcSwap<Held>,
    /// How far the file was read.
    read_to: Mutex<u64>,
}

impl Quarantines {
    /// What the file of a log says.
    ///
    /// # Errors
    /// It is there and cannot be read.
    pub fn open(log: &Path) -> io::Result<Quarantines> {
        let quarantines = Quarantines(Arc::new(Inner { file: Some(log.join(FILE)), ..Inner::default() }));
        quarantines.refresh()?;
        Ok(quarantines)
    }

    /// Reads what was appended. Whether anything was.
    ///
    /// # Errors
    /// The file is there and cannot be read.
    pub fn refresh(&self) -> io::Result<bool> {
        let Some(path) = &self.0.file else { return Ok(false) };
        let mut read_to = lock(&self.0.read_to);
        let mut file = match std::fs::File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        let length = file.metadata()?.len();
        if length == *read_to {
            return Ok(false);
        }
        let mut held = Held::clone(&self.0.held.load());
        if length < *read_to {
            // Another file than before: read anew.
            (*read_to, held) = (0, Held::new());
        }
        file.seek(SeekFrom::Start(*read_to))?;
        *read_to = read_to.saturating_add(lines(file, |line| match serde_json::from_slice(line) {
            Ok(line) => apply(line, &mut held),
            Err(_) => tracing::error!(file = %path.display(), "a line is no quarantine and no lift; passed over"),
        })?);
        self.0.held.store(Arc::new(held));
        Ok(true)
    }

    /// What happened here since the file was so long, and how long it is now; what came from the fleet is left out. A file that is
    /// shorter is another one, and is read anew.
    ///
    /// # Errors
    /// The file is there and cannot be read.
    pub fn happened_since(&self, length: u64) -> io::Result<(Vec<Event>, u64)> {
        let Some(path) = &self.0.file else { return Ok((Vec::new(), 0)) };
        let mut file = match std::fs::File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Vec::new(), 0)),
            Err(error) => return Err(error),
        };
        let from = if file.metadata()?.len() < length { 0 } else { length };
        file.seek(SeekFrom::Start(from))?;
        let mut events = Vec::new();
        let read = lines(file, |line| {
            // What is no line was said when it was read to be heeded.
            if let Ok(Line { event, fleet: false }) = serde_json::from_slice(line) {
                events.push(event);
            }
        })?;
        Ok((events, from.saturating_add(read)))
    }

    /// Heeds what another sidecar of the fleet told.
    ///
    /// # Errors
    /// It could not be written.
    pub fn hear(&self, event: Event) -> io::Result<()> {
        self.append(&Line { event, fleet: true })?;
        self.refresh().map(|_| ())
    }

    /// Keeps somebody out.
    ///
    /// # Errors
    /// It could not be written; it holds until the sidecar stops all the same.
    pub fn put(&self, mut entry: Entry) -> io::Result<()> {
        entry.name = counted(&entry.name).into();
        let written = self.append(&Line::ours(Event::Quarantined(entry.clone())));
        if written.is_err() || self.0.file.is_none() {
            let mut held = Held::clone(&self.0.held.load());
            apply(Line::ours(Event::Quarantined(entry)), &mut held);
            self.0.held.store(Arc::new(held));
            return written;
        }
        self.refresh().map(|_| ())
    }

    /// Lets somebody in again.
    ///
    /// # Errors
    /// It could not be written.
    pub fn lift(&self, lift: Lift) -> io::Result<()> {
        self.append(&Line::ours(Event::Lifted(lift)))?;
        self.refresh().map(|_| ())
    }

    /// Appends one line, in one write, so that lines of several processes do not mix. Half a line, which a full disk or a kill has left, is ended
    /// first: what follows would be part of it.
    fn append(&self, line: &Line) -> io::Result<()> {
        let Some(path) = &self.0.file else { return Ok(()) };
        let mut text = serde_json::to_vec(line).map_err(io::Error::other)?;
        text.push(b'\n');
        let file = system::open(OpenOptions::new().create(true).read(true).append(true), path)?;
        let length = file.metadata()?.len();
        let mut last = [b'\n'];
        if length > 0 {
            file.read_exact_at(&mut last, length - 1)?;
        }
        if last != [b'\n'] {
            text.insert(0, b'\n');
        }
        system::write(&file, path, &text)?;
        system::sync(&file, path)
    }

    /// What keeps a client out now, if anything does.
    pub fn holds(&self, db_user: Option<&str>, client_addr: &str, now: Timestamp) -> Option<Arc<Entry>> {
        let held = self.0.held.load();
        if held.is_empty() {
            return None;
        }
        let of = |whom: Whom, name: &str| held.get(&(whom, counted(name).into())).filter(|entry| now < entry.until);
        db_user.and_then(|user| of(Whom::User, user)).or_else(|| of(Whom::Address, client_addr)).map(Arc::clone)
    }

    /// Whether nobody is kept out, or was until a while ago.
    pub fn is_empty(&self) -> bool {
        self.0.held.load().is_empty()
    }

    /// Who is kept out now, whose time is over first at first.
    pub fn in_force(&self, now: Timestamp) -> Vec<Arc<Entry>> {
        let held = self.0.held.load();
        let mut entries: Vec<Arc<Entry>> = held.values().filter(|entry| now < entry.until).cloned().collect();
        entries.sort_by(|one, two| (one.until, &one.name).cmp(&(two.until, &two.name)));
        entries
    }
}

/// Each whole line of what is left of a file; how many bytes they are. A line that is being written is read when it is whole.
fn lines(file: std::fs::File, mut each: impl FnMut(&[u8])) -> io::Result<u64> {
    let (mut reader, mut read) = (BufReader::new(file), 0_u64);
    loop {
        let mut line = Vec::new();
        let count = (&mut reader).take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
        if count == 0 || (line.last() != Some(&b'\n') && (count as u64) < LINE_BYTES_MAX) {
            return Ok(read);
        }
        read = read.saturating_add(count as u64);
        each(&line);
    }
}

fn apply(Line { event, fleet }: Line, held: &mut Held) {
    match event {
        Event::Quarantined(entry) => {
            if held.len() >= ENTRIES_MAX {
                make_room(held, entry.from);
            }
            let key = (entry.whom, entry.name.clone());
            let longer = held.get(&key).is_some_and(|known| known.until > entry.until);
            if !longer {
                held.insert(key, Arc::new(entry));
            }
        }
        Event::Lifted(lift) => {
            let key = (lift.whom, lift.name);
            // One that was told late lets nobody in who was kept out since.
            if !fleet || held.get(&key).is_some_and(|known| known.from <= lift.at) {
                held.remove(&key);
            }
        }
    }
}

fn make_room(held: &mut Held, now: Timestamp) {
    held.retain(|_, entry| now < entry.until);
    if held.len() >= ENTRIES_MAX
        && let Some(key) = held.iter().min_by_key(|(_, entry)| entry.until).map(|(key, _)| key.clone())
    {
        held.remove(&key);
    }
}

/// As much of a name as PostgreSQL tells it by.
fn counted(name: &str) -> &str {
    let mut end = name.len().min(NAME_BYTES_MAX);
    while !name.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    name.get(..end).unwrap_or(name)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::faults::{Refusal, Scene};

    fn entry(whom: Whom, name: &str, until: i64) -> Entry {
        let (policy, finding_id) = ("p".into(), "f".into());
        Entry { whom, name: name.into(), from: Timestamp(0), until: Timestamp(until), policy, finding_id }
    }

    #[test]
    fn who_is_kept_out_stays_so_until_the_time_is_over_or_somebody_lifts_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let one = Quarantines::open(folder.path()).expect("no file is an empty list");
        one.put(entry(Whom::User, "clerk", 100)).expect("it is written");
        one.put(entry(Whom::Address, "10.0.0.9", 50)).expect("it is written");
        assert!(one.holds(Some("clerk"), "10.0.0.1", Timestamp(99)).is_some());
        assert!(one.holds(Some("clerk"), "10.0.0.1", Timestamp(100)).is_none());
        assert!(one.holds(None, "10.0.0.9", Timestamp(49)).is_some());
        assert!(one.holds(Some("10.0.0.9"), "clerk", Timestamp(1)).is_none(), "a user is no address");
        // Another process, which lifts one; and the first hears of it.
        let other = Quarantines::open(folder.path()).expect("a list");
        assert_eq!(other.in_force(Timestamp(1)).len(), 2);
        let lift = Lift { whom: Whom::User, name: "clerk".into(), at: Timestamp(5), by: None, comment: None };
        other.lift(lift).expect("it is written");
        assert!(one.refresh().expect("it can be read"));
        assert!(!one.refresh().expect("it can be read"), "nothing new");
        assert!(one.holds(Some("clerk"), "10.0.0.1", Timestamp(1)).is_none());
        let again = Quarantines::open(folder.path()).expect("a list");
        assert_eq!(again.in_force(Timestamp(1)).len(), 1);
    }

    /// Each change to the file is refused once, or is the last of a killed process: half a line has no other line with it.
    #[test]
    fn a_quarantine_that_was_written_is_heeded_whatever_was_refused_before_it() {
        let run = |folder: &Path| -> Vec<io::Result<()>> {
            let list = Quarantines::open(folder).expect("a list");
            let put = |name| list.put(entry(Whom::User, name, 100));
            ["one", "two", "three", "four"].into_iter().map(put).collect()
        };
        let watched = tempfile::tempdir().expect("a folder");
        let scene = Scene::watch(watched.path());
        assert!(run(watched.path()).iter().all(Result::is_ok));
        let asked = scene.asked();
        drop(scene);
        assert_eq!(asked.len(), 12, "four lines, each opened, written and synced: {asked:?}");
        for (number, what) in asked.iter().enumerate() {
            for refusal in [Refusal::Full, Refusal::Failed, Refusal::Killed] {
                let at = format!("{refusal:?} at {number}, {what}");
                let folder = tempfile::tempdir().expect("a folder");
                let scene = Scene::refuse(folder.path(), number, refusal);
                let written = run(folder.path());
                drop(scene);
                assert!(written.iter().any(Result::is_err), "{at}");
                // Started again, which keeps one more out.
                let again = Quarantines::open(folder.path()).expect("a list");
                again.put(entry(Whom::User, "five", 100)).expect("it is written");
                let names = ["one", "two", "three", "four", "five"];
                let heard = Quarantines::open(folder.path()).expect("a list");
                for (name, written) in names.iter().zip(written.iter().map(Result::is_ok).chain([true])) {
                    let is_held = heard.holds(Some(name), "", Timestamp(1)).is_some();
                    assert!(is_held || !written, "{name}, {at}");
                }
            }
        }
    }

    #[test]
    fn what_the_fleet_tells_is_heeded_and_not_told_on_and_a_late_lift_lets_in_nobody_kept_out_since() {
        let folder = tempfile::tempdir().expect("a folder");
        let list = Quarantines::open(folder.path()).expect("a list");
        let ours = entry(Whom::User, "clerk", 100);
        list.put(ours.clone()).expect("it is written");
        let theirs = Entry { from: Timestamp(50), ..entry(Whom::Address, "192.0.2.7", 100) };
        list.hear(Event::Quarantined(theirs)).expect("it is written");
        let (happened, length) = list.happened_since(0).expect("it can be read");
        assert_eq!(happened, [Event::Quarantined(ours)]);
        assert_eq!(list.happened_since(length).expect("it can be read"), (Vec::new(), length));
        let lift = |at| {
            let (whom, name) = (Whom::Address, "192.0.2.7".into());
            Event::Lifted(Lift { whom, name, at: Timestamp(at), by: None, comment: None })
        };
        list.hear(lift(49)).expect("it is written");
        assert!(list.holds(None, "192.0.2.7", Timestamp(60)).is_some());
        list.hear(lift(51)).expect("it is written");
        assert!(list.holds(None, "192.0.2.7", Timestamp(60)).is_none());
        let again = Quarantines::open(folder.path()).expect("a list");
        assert_eq!(again.in_force(Timestamp(1)).len(), 1, "the same after a restart");
    }

    #[test]
    fn a_name_counts_as_far_as_postgresql_tells_it_by_and_a_longer_quarantine_wins() {
        let list = Quarantines::default();
        let long = "x".repeat(70);
        list.put(entry(Whom::User, &long, 100)).expect("nothing to write");
        list.put(entry(Whom::User, &long, 20)).expect("nothing to write");
        assert!(list.holds(Some(&long[..63]), "local", Timestamp(50)).is_some());
        assert!(list.holds(Some(&long[..62]), "local", Timestamp(50)).is_none());
    }

    #[test]
    fn its_memory_is_bounded_and_what_is_no_line_is_passed_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let list = Quarantines::open(folder.path()).expect("a list");
        std::fs::write(folder.path().join(FILE), [b"nonsense\n", &vec![b'x'; 10_000][..], b"\n"].concat()).expect("");
        list.put(entry(Whom::User, "clerk", 9)).expect("it is written");
        assert!(list.holds(Some("clerk"), "local", Timestamp(5)).is_some());
        let mut held = Held::new();
        for number in (0_i64..).take(ENTRIES_MAX + 10) {
            let event = Event::Quarantined(entry(Whom::User, &number.to_string(), 1_000 + number));
            apply(Line::ours(event), &mut held);
        }
        assert_eq!(held.len(), ENTRIES_MAX);
        assert!(!held.contains_key(&(Whom::User, "0".into())));
    }
}
