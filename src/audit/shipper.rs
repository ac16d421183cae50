//! What is sealed in the spool goes up into the store.
//!
//! In: the chains and files of all writers of a spool. Out: the same in the store, in an order in which nothing is ever half there: a
//! file first, whole, under a name where nothing was; then the line of the chain that tells of it; and only some time later its removal
//! here. A deletion's line goes up before its file goes, and a compaction's, with its file, before those that it replaces ([`replaced`]). A crash at any point is made good by the next run: what the store has decides.
//!
//! A chain cannot be appended to in a store. It lies there in objects of some lines each, of which the last is put anew with every line:
//! on the condition that it is still the version that was put last, so that nobody who has the same name by mistake can write over
//! it, and neither can we. Where that fails, nothing of the writer goes up any more, and the log says so.
//!
//! The store may be away for as long as it likes: what is sealed waits, and is tried for again, ever more seldom.

mod replaced;

use std::collections::{HashMap, HashSet, VecDeque};
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use self::replaced::Aside;
use super::chain::{self, Line, Sealed, Told};
use super::store::{Put, Store, Version};
use super::{Config, Error, Place, spool, writer};
use crate::clock::Clock;
use crate::figures::Figures;

/// How often it is looked for what was sealed.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long to wait after a failure, first and at most; doubled in between.
const WAIT_MIN: Duration = Duration::from_secs(1);
const WAIT_MAX: Duration = Duration::from_secs(60);
/// How long to wait after what was replaced could not be put aside.
const ASIDE_AGAIN: Duration = Duration::from_secs(10);
/// How often it is told that the store is still away.
const TELL_EVERY: Duration = Duration::from_secs(300);
/// Files that go up before their lines do: no reader finds many that no line tells of.
const FILES_A_PUT: usize = 16;
/// How long a file stays here after it went up: who listed it before may still read it.
const STAYS: Duration = Duration::from_secs(600);

/// The thread that takes things up. Dropping it stops it without waiting.
#[derive(Debug)]
pub struct Shipper {
    stopping: Arc<AtomicBool>,
    wake: SyncSender<()>,
    done: Receiver<bool>,
    _thread: JoinHandle<()>,
}

impl Shipper {
    /// Makes the folder a spool; to be called before a writer is claimed. Without a store, nothing.
    ///
    /// # Errors
    /// It is another store's spool, or cannot be written.
    pub fn prepare(config: &Config) -> Result<(), Error> {
        spool::prepare(config, &writer::host())
    }

    /// Starts the thread; `None` without a store.
    ///
    /// # Errors
    /// The store's configuration makes no client, or no thread can be had.
    pub fn start(config: &Config, figures: Figures) -> Result<Option<Shipper>, Error> {
        let Some(store) = &config.store else { return Ok(None) };
        let work = Work { figures, ..Work::new(config, Store::open(store)?) };
        let (wake, woken) = sync_channel(1);
        let (finished, done) = sync_channel(1);
        let stopping = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stopping);
        let run = move || {
            let _ = finished.send(work.run(&woken, &told));
        };
        let thread = std::thread::Builder::new().name("shipper".to_owned()).spawn(run);
        let thread = thread.map_err(Error::io("start the thread that uploads from", &config.path))?;
        Ok(Some(Shipper { stopping, wake, done, _thread: thread }))
    }

    /// Takes up what is sealed by now, for so long at most. Whether all of it is there; the rest waits for the next start.
    pub fn stop(self, within: Duration) -> bool {
        self.stopping.store(true, Ordering::Relaxed);
        let _ = self.wake.try_send(());
        self.done.recv_timeout(within).unwrap_or(false)
    }

    /// Takes up what is sealed by now, where no sidecar does it, in one try; for a command that ends then.
    ///
    /// # Errors
    /// The store refuses or does not answer; all of it waits.
    pub fn once(config: &Config) -> Result<(), Error> {
        let Some(store) = &config.store else { return Ok(()) };
        let Some(_lock) = spool::lock(&config.path)? else { return Ok(()) };
        let mut work = Work::new(config, Store::open(store)?);
        work.pass()?;
        work.aside.see_to(&work.store, Clock::system().now())
    }
}

/// How far a writer's chain has gone up.
#[derive(Debug, Default)]
struct Gone {
    /// Lines that are in the store.
    number: u64,
    /// Where the next one begins in the chain's file here.
    offset: usize,
    /// The text of the object that they end in, and its version; none of either where a new one begins.
    object: String,
    version: Option<Version>,
}

struct Work {
    config: Config,
    store: Store,
    writers: HashMap<String, Gone>,
    /// Files that are in the store and still here, with the time since when.
    stay: VecDeque<(Instant, Sealed)>,
    aside: Aside,
    figures: Figures,
}

impl Work {
    fn new(config: &Config, store: Store) -> Work {
        Work {
            config: config.clone(),
            store,
            writers: HashMap::new(),
            stay: VecDeque::new(),
            aside: Aside::new(&config.path),
            figures: Figures::default(),
        }
    }

    fn run(mut self, woken: &Receiver<()>, stopping: &AtomicBool) -> bool {
        let mut lock = None;
        // Since when, and when that was told last.
        let mut away: Option<(Instant, Option<Instant>)> = None;
        let mut wait = LOOK_EVERY;
        let mut refused_aside = None;
        loop {
            // Read before the pass: what is sealed before the stop is in it.
            let last = stopping.load(Ordering::Relaxed);
            if lock.is_none() {
                lock = spool::lock(&self.config.path).ok().flatten();
            }
            let passed = if lock.is_some() { self.pass() } else { Ok(()) };
            match &passed {
                Ok(()) => {
                    self.tell(false);
                    if let Some((since, _)) = away.take() {
                        let seconds = since.elapsed().as_secs();
                        tracing::info!(store = %self.store.url(), seconds, "what waited for the store is in it");
                    }
                    wait = LOOK_EVERY;
                    if lock.is_some() {
                        self.see_to_replaced(&mut refused_aside);
                    }
                }
                Err(error) => {
                    self.writers.clear();
                    self.tell(true);
                    wait = (if away.is_some() { wait * 2 } else { WAIT_MIN }).min(WAIT_MAX);
                    let (_, told) = away.get_or_insert((Instant::now(), None));
                    if last || told.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
                        *told = Some(Instant::now());
                        let (files, bytes) = self.waiting();
                        tracing::error!(%error, files, bytes, spool = %self.config.path.display(), "the store does not take what is sealed; it waits");
                    }
                }
            }
            if last {
                return passed.is_ok();
            }
            match woken.recv_timeout(wait) {
                Ok(()) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
    }

    /// What cannot be put aside or removed keeps nothing from going up; it is tried for again.
    fn see_to_replaced(&mut self, refused: &mut Option<Instant>) {
        if refused.is_some_and(|refused| refused.elapsed() < ASIDE_AGAIN) {
            return;
        }
        let seen_to = self.aside.see_to(&self.store, Clock::system().now());
        *refused = seen_to.is_err().then(Instant::now);
        if let Err(error) = seen_to {
            tracing::error!(%error, "files that were compacted stay in the store, where other engines see their records twice, and nothing more is compacted; it is tried again");
        }
    }

    /// For who asks for figures.
    fn tell(&self, is_away: bool) {
        let (files, bytes) = if is_away { self.waiting() } else { (0, 0) };
        self.figures.spool_files.set(files);
        self.figures.spool_bytes.set(bytes);
        let since = self.figures.store_away_since.get();
        let since = is_away.then(|| since.unwrap_or_else(|| Clock::system().now()));
        self.figures.store_away_since.set(since);
    }

    /// Takes up everything that is sealed by now. One writer whose name is taken holds up no other.
    fn pass(&mut self) -> Result<(), Error> {
        let mut taken = None;
        for writer in chain::writers(&self.config.path)? {
            match self.take_up(&writer) {
                Err(error @ Error::Taken { .. }) => taken = Some(error),
                result => result?,
            }
        }
        while self.stay.front().is_some_and(|(since, _)| since.elapsed() >= STAYS) {
            if let Some((_, sealed)) = self.stay.pop_front() {
                super::retention::remove(&self.config.path, &sealed)?;
            }
        }
        taken.map_or(Ok(()), Err)
    }

    fn take_up(&mut self, writer: &str) -> Result<(), Error> {
        let path = chain::path(&self.config.path, writer);
        let known = self.writers.get(writer).map(|gone| gone.offset as u64);
        if known.is_some_and(|offset| fs::metadata(&path).is_ok_and(|file| file.len() == offset)) {
            return Ok(());
        }
        if !self.writers.contains_key(writer) {
            let text = fs::read(&path).map_err(Error::io("read", &path))?;
            let gone = self.resume(writer, &chain::whole_lines(&text))?;
            self.writers.insert(writer.to_owned(), gone);
        }
        let offset = self.writers.get(writer).map_or(0, |gone| gone.offset);
        // A chain grows for ever: what is up is read no more.
        let new = read_from(&path, offset as u64).map_err(Error::io("read", &path))?;
        let new = chain::whole_lines(&new);
        let lines: Vec<(&str, Option<Line<'_>>)> = new.lines().map(|line| (line, Line::parse(line))).collect();
        let never = never_there(lines.iter().filter_map(|(_, line)| line.as_ref()));
        let withdrawn: HashSet<u64> =
            lines.iter().filter_map(|(_, line)| withdrawn(&line.as_ref()?.entry.told)).collect();
        let mut put: Vec<(&str, Option<Told>)> = Vec::new();
        let mut files = 0;
        let count = lines.len();
        for (index, (text, line)) in lines.into_iter().enumerate() {
            let told = line.map(|line| (line.entry.number, line.entry.told));
            if let Some((number, told)) = &told
                && let Some(sealed) = told.file()
                && !never.contains(number)
            {
                // The last line's file may still be about to get its name.
                if !self.send(sealed, index + 1 == count)? {
                    break;
                }
                files += 1;
            }
            put.push((text, told.filter(|(number, _)| !withdrawn.contains(number)).map(|(_, told)| told)));
            if files == FILES_A_PUT {
                self.publish(writer, std::mem::take(&mut put))?;
                files = 0;
            }
        }
        self.publish(writer, put)
    }

    /// Sends one file. `false`: it is not there yet.
    fn send(&self, sealed: &Sealed, is_last: bool) -> Result<bool, Error> {
        let file = self.config.path.join(&sealed.path);
        match self.store.upload(&sealed.path, &file) {
            Ok(Put::Done(_)) => Ok(true),
            Ok(Put::Refused) => Err(self.taken(chain_of(sealed))),
            Err(Error::Io { cause, .. }) if cause.kind() == io::ErrorKind::NotFound => {
                if is_last {
                    return Ok(false);
                }
                tracing::error!(file = %file.display(), "a file that was sealed is gone before it went up; `mitsuke verify` will say so");
                Ok(true)
            }
            Err(error) => Err(error),
        }
    }

    /// Puts lines into the store, and sees to what follows from their being there.
    fn publish(&mut self, writer: &str, lines: Vec<(&str, Option<Told>)>) -> Result<(), Error> {
        if lines.is_empty() {
            return Ok(());
        }
        let mut gone = self.writers.remove(writer).unwrap_or_default();
        let mut rest = lines.iter().peekable();
        while rest.peek().is_some() {
            let begins = chain::object_begins(gone.number + 1);
            if begins == gone.number + 1 {
                (gone.object, gone.version) = (String::new(), None);
            }
            let before = gone.object.clone();
            while let Some((text, _)) = rest.next_if(|_| chain::object_begins(gone.number + 1) == begins) {
                gone.object.push_str(text);
                gone.object.push('\n');
                gone.offset += text.len() + 1;
                gone.number += 1;
            }
            gone.version = Some(self.put(writer, begins, &before, &gone)?);
        }
        spool::keep_uploaded(&self.config.path, writer, gone.number)?;
        let first = gone.number + 1 - lines.len() as u64;
        self.writers.insert(writer.to_owned(), gone);
        for (number, (_, told)) in (first..).zip(lines) {
            if let Some(Told::Compacted { replaces, .. }) = &told {
                self.aside.take(writer, number, replaces.clone());
            }
            match told {
                Some(Told::Deleted { file, .. }) => self.store.remove(&file.path)?,
                told => self.stay.extend(told.and_then(Told::into_file).map(|sealed| (Instant::now(), sealed))),
            }
        }
        Ok(())
    }

    /// Puts an object of a chain, over `before` and nothing else.
    fn put(&self, writer: &str, begins: u64, before: &str, gone: &Gone) -> Result<Version, Error> {
        let path = chain::object(writer, begins);
        if let Put::Done(version) = self.store.put(&path, &gone.object, gone.version.as_ref())? {
            return Ok(version);
        }
        // An earlier try may have been heard, its answer not.
        match self.store.read(&path)? {
            Some((there, version)) if there == gone.object.as_bytes() => Ok(version),
            Some((there, version)) if there == before.as_bytes() => {
                match self.store.put(&path, &gone.object, Some(&version))? {
                    Put::Done(version) => Ok(version),
                    Put::Refused => Err(self.taken(writer)),
                }
            }
            _ => Err(self.taken(writer)),
        }
    }

    /// How far a writer's chain has gone up, as the store says; and what a crash left undone is done.
    fn resume(&mut self, writer: &str, text: &str) -> Result<Gone, Error> {
        let Some((last, _)) = Place::in_store(self.store.clone()).chain_objects(writer)?.pop_last() else {
            return match spool::uploaded(&self.config.path, writer) {
                0 => Ok(Gone::default()),
                // The files before would be there no more than the chain is.
                _ => Err(self.taken(writer)),
            };
        };
        let (there, version) = self.store.read(&last)?.ok_or_else(|| self.taken(writer))?;
        let there = String::from_utf8(there).map_err(|_| self.taken(writer))?;
        let begins = there.lines().next().and_then(Line::parse).map_or(0, |line| line.entry.number);
        let before = text.split_inclusive('\n').take(usize::try_from(begins).unwrap_or(usize::MAX).saturating_sub(1));
        let start: usize = before.map(str::len).sum();
        let is_ours = text.get(start..).is_some_and(|rest| rest.starts_with(&there)) && there.ends_with('\n');
        if !is_ours || chain::object(writer, begins) != last {
            return Err(self.taken(writer));
        }
        let offset = start + there.len();
        let number = begins - 1 + there.lines().count() as u64;
        spool::keep_uploaded(&self.config.path, writer, number)?;
        for line in there.lines().filter_map(Line::parse) {
            if let Told::Deleted { file, .. } = line.entry.told {
                self.store.remove(&file.path)?;
            }
        }
        self.aside.resume(writer, text.get(..offset).unwrap_or_default());
        for line in text.get(..offset).unwrap_or_default().lines() {
            if let Some(sealed) = Line::parse(line).and_then(|line| line.entry.told.into_file())
                && self.config.path.join(&sealed.path).exists()
                && !self.stay.iter().any(|(_, known)| known.path == sealed.path)
            {
                self.stay.push_back((Instant::now(), sealed));
            }
        }
        Ok(Gone { number, offset, object: there, version: Some(version) })
    }

    fn taken(&self, writer: &str) -> Error {
        let (store, spool) = (self.store.url().to_string(), self.config.path.clone());
        Error::Taken { store, writer: writer.to_owned(), spool }
    }

    /// What is sealed and not in the store, files and bytes.
    fn waiting(&self) -> (u64, u64) {
        let mut waiting = (0, 0);
        for writer in chain::writers(&self.config.path).unwrap_or_default() {
            let uploaded = spool::uploaded(&self.config.path, &writer);
            let text = fs::read(chain::path(&self.config.path, &writer)).unwrap_or_default();
            let text = chain::whole_lines(&text);
            let skipped = usize::try_from(uploaded).unwrap_or(usize::MAX);
            for line in text.lines().skip(skipped).filter_map(Line::parse) {
                if let Some(sealed) = line.entry.told.file() {
                    waiting = (waiting.0 + 1, waiting.1 + sealed.bytes);
                }
            }
        }
        waiting
    }
}

fn read_from(path: &Path, offset: u64) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    Ok(text)
}

/// The line that another one takes back.
fn withdrawn(told: &Told) -> Option<u64> {
    let Told::Withdrawn { number_withdrawn } = told else { return None };
    Some(*number_withdrawn)
}

/// The lines of files that need not go up: they never got their names, were replaced by others (before the folder became a spool), or are
/// past their time.
fn never_there<'l>(lines: impl Iterator<Item = &'l Line<'l>>) -> HashSet<u64> {
    let mut sealed: HashMap<&str, u64> = HashMap::new();
    let mut never = HashSet::new();
    // What the last compaction replaced: it comes back where that is withdrawn.
    let mut replaced: Vec<u64> = Vec::new();
    for line in lines {
        match &line.entry.told {
            Told::Sealed(file) => {
                sealed.insert(&file.path, line.entry.number);
                replaced.clear();
            }
            Told::Compacted { file, replaces } => {
                sealed.insert(&file.path, line.entry.number);
                replaced = replaces.iter().filter_map(|of| sealed.get(of.path.as_str()).copied()).collect();
                never.extend(&replaced);
            }
            Told::Withdrawn { number_withdrawn } => {
                replaced.drain(..).for_each(|number| {
                    never.remove(&number);
                });
                never.insert(*number_withdrawn);
            }
            Told::Deleted { file, .. } => never.extend(sealed.get(file.path.as_str())),
            _ => {}
        }
    }
    never
}

/// The writer of a file, as its name tells.
fn chain_of(sealed: &Sealed) -> &str {
    let name = sealed.path.rsplit('/').next().unwrap_or_default();
    super::parquet::parse_name(name).map_or(name, |named| named.writer)
}
