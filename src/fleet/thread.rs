//! The thread that tells and hears.
//!
//! In: the list of quarantines, the store. Out: messages of one in the other, both ways. How far it has come stands in `fleet.json` in the
//! log's folder, so that nothing is told twice or missed over a restart; of several sidecars of one folder, one does it for all.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ring::aead::{LessSafeKey, NONCE_LEN};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::message::{BYTES_MAX, Message, Unheeded, told_at};
use super::{Config, Error, WAIT_MAX, WAIT_MIN};
use crate::audit::Key;
use crate::clock::{Clock, Timestamp};
use crate::figures::Figures;
use crate::quarantine::{ENTRIES_MAX, Event, Quarantines};

/// How often it is looked on both sides.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Messages that are heard at a time.
const HEARD_AT_A_TIME: usize = 256;
/// How far it has come.
const FILE: &str = "fleet.json";
/// Held by whoever does it for a folder.
const LOCK: &str = "fleet.lock";
/// The one field of a message in the stream.
const FIELD: &str = "m";

/// The exchange with the fleet. Dropping it ends it.
#[derive(Debug)]
pub struct Fleet {
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What of the stream was heard and what of the list was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Progress {
    /// Tells our messages from others'.
    origin: String,
    /// The id of the last message that was heard.
    heard: String,
    /// How long the list was when it was told last, bytes.
    told: u64,
}

impl Fleet {
    /// Starts it for the log in a folder. Connects to nothing itself.
    ///
    /// # Errors
    /// The configuration makes no client, or no thread can be had.
    pub fn start(
        config: &Config,
        folder: &Path,
        key: &Key,
        (quarantines, figures): (&Quarantines, &Figures),
        clock: &Clock,
    ) -> Result<Fleet, Error> {
        let work = Work {
            client: config.client()?,
            stream: config.stream(),
            folder: folder.to_path_buf(),
            key: key.fleet(),
            quarantines: quarantines.clone(),
            figures: figures.clone(),
            clock: clock.clone(),
            unheeded: None,
            heard: HashSet::new(),
        };
        let stopping = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stopping);
        let thread = std::thread::Builder::new().name("fleet".to_owned()).spawn(move || work.run(&told));
        let thread = thread.map_err(|source| Error::Folder { path: folder.to_path_buf(), source })?;
        Ok(Fleet { stopping, thread: Some(thread) })
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        // One that waits for an answer of the store ends with the process, or when it has it: it is not waited for.
        drop(self.thread.take().filter(|thread| !thread.is_finished()));
    }
}

struct Work {
    client: redis::Client,
    stream: String,
    folder: PathBuf,
    key: LessSafeKey,
    quarantines: Quarantines,
    figures: Figures,
    clock: Clock,
    /// Why a message was passed over; said once.
    unheeded: Option<Unheeded>,
    /// Messages that were heard, by what they begin with: none is heeded twice.
    heard: HashSet<Vec<u8>>,
}

impl Work {
    fn run(mut self, stopping: &AtomicBool) {
        let (mut lock, mut joined) = (None, None);
        let mut away: Option<(Instant, Duration)> = None;
        while !stopping.load(Ordering::Relaxed) {
            if lock.is_none() {
                lock = self.lock();
            }
            let wait = match lock.as_ref().map(|_| self.round(&mut joined)) {
                // Another sidecar of this folder does it, this one reads what it writes, and its figures tell how that goes.
                None => {
                    self.figures.is_in_fleet.store(true, Ordering::Relaxed);
                    LOOK_EVERY
                }
                Some(Ok(())) => {
                    if let Some((since, _)) = away.take() {
                        tracing::info!(seconds = since.elapsed().as_secs(), "the fleet's store is there again");
                    }
                    self.figures.is_in_fleet.store(true, Ordering::Relaxed);
                    LOOK_EVERY
                }
                Some(Err(error)) => {
                    joined = None;
                    self.figures.is_in_fleet.store(false, Ordering::Relaxed);
                    let (since, wait) = match away {
                        Some((since, wait)) => (since, (wait * 2).min(WAIT_MAX)),
                        None => {
                            tracing::warn!(%error, "the fleet's store is away: this sidecar goes on alone with the quarantines that it knows");
                            (Instant::now(), WAIT_MIN)
                        }
                    };
                    away = Some((since, wait));
                    wait
                }
            };
            std::thread::sleep(wait);
        }
    }

    fn lock(&self) -> Option<File> {
        let file = OpenOptions::new().create(true).append(true).open(self.folder.join(LOCK)).ok()?;
        file.try_lock().is_ok().then_some(file)
    }

    /// Tells what happened here and hears what happened elsewhere.
    fn round(&mut self, joined: &mut Option<(redis::Connection, Progress)>) -> Result<(), Error> {
        if joined.is_none() {
            *joined = Some((Config::connect(&self.client)?, self.progress()?));
        }
        let Some((connection, progress)) = joined else { return Ok(()) };
        let before = progress.clone();
        let done = self.tell(connection, progress).and_then(|()| self.hear(connection, progress));
        if *progress != before {
            self.keep(progress)?;
        }
        done
    }

    fn tell(&self, connection: &mut redis::Connection, progress: &mut Progress) -> Result<(), Error> {
        let list = self.folder.join("quarantine.jsonl");
        let happened = self.quarantines.happened_since(progress.told);
        let (events, length) = happened.map_err(|source| Error::Folder { path: list, source })?;
        let now = self.clock.now();
        for event in events {
            let at = match &event {
                Event::Quarantined(entry) if entry.until <= now => continue,
                Event::Quarantined(entry) => entry.from,
                Event::Lifted(lift) => lift.at,
            };
            let message = Message { origin: progress.origin.clone(), age_us: now.micros_since(at), event };
            if let Some(sealed) = message.seal(&self.key) {
                let mut add = redis::cmd("XADD");
                add.arg(&self.stream).arg("MAXLEN").arg("~").arg(ENTRIES_MAX).arg("*").arg(FIELD).arg(sealed);
                add.query::<String>(connection)?;
            }
        }
        progress.told = length;
        Ok(())
    }

    fn hear(&mut self, connection: &mut redis::Connection, progress: &mut Progress) -> Result<(), Error> {
        loop {
            let (seconds, micros) = redis::cmd("TIME").query::<(i64, i64)>(connection)?;
            let ahead_us = self.clock.now().0.saturating_sub(seconds.saturating_mul(1_000_000).saturating_add(micros));
            let mut read = redis::cmd("XREAD");
            read.arg("COUNT").arg(HEARD_AT_A_TIME).arg("STREAMS").arg(&self.stream).arg(&progress.heard);
            let heard: Heard = read.query(connection)?;
            let messages = heard.and_then(|streams| streams.into_iter().next()).map(|(_, messages)| messages);
            let messages = messages.unwrap_or_default();
            let is_all = messages.len() < HEARD_AT_A_TIME;
            for (id, fields) in messages {
                let sealed = fields.into_iter().find(|(name, _)| name == FIELD).map(|(_, value)| value);
                self.heed(&id, &sealed.unwrap_or_default(), ahead_us, progress)?;
                progress.heard = id;
            }
            if is_all {
                return Ok(());
            }
        }
    }

    fn heed(&mut self, id: &str, sealed: &[u8], ahead_us: i64, progress: &Progress) -> Result<(), Error> {
        let told_at = told_at(id).unwrap_or(Timestamp(0));
        let opened = if sealed.len() > BYTES_MAX { Err(Unheeded::Sealed) } else { Message::open(&self.key, sealed) };
        let event = match opened {
            Ok(message) if message.origin == progress.origin => return Ok(()),
            Ok(_) if !self.is_new(sealed) => Err(Unheeded::Time),
            Ok(message) => message.in_our_time(told_at, ahead_us),
            Err(unheeded) => Err(unheeded),
        };
        match event {
            Ok(Event::Quarantined(entry)) if entry.until <= self.clock.now() => Ok(()),
            Ok(event) => {
                let path = self.folder.join("quarantine.jsonl");
                self.quarantines.hear(event).map_err(|source| Error::Folder { path, source })
            }
            Err(why) => {
                if self.unheeded.replace(why) != Some(why) {
                    tracing::error!(%why, id, "what was told to the fleet is passed over");
                }
                Ok(())
            }
        }
    }

    /// Whether a message, which has opened, was not heard before; what is older than it remembers is refused by its time.
    fn is_new(&mut self, sealed: &[u8]) -> bool {
        if self.heard.len() >= ENTRIES_MAX {
            self.heard.clear();
        }
        let beginning = sealed.get(..NONCE_LEN).unwrap_or(sealed);
        self.heard.insert(beginning.to_vec())
    }

    /// Where it was. A log that was in no fleet begins with all that the fleet knows, and tells it who is kept out here.
    fn progress(&self) -> Result<Progress, Error> {
        let path = self.folder.join(FILE);
        match std::fs::read(&path) {
            Ok(text) => match serde_json::from_slice(&text) {
                Ok(progress) => Ok(progress),
                Err(error) => Err(Error::Folder { path, source: error.into() }),
            },
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let progress = Progress { origin: Uuid::now_v7().to_string(), heard: "0-0".to_owned(), told: 0 };
                self.keep(&progress)?;
                Ok(progress)
            }
            Err(source) => Err(Error::Folder { path, source }),
        }
    }

    /// A whole file or the one before, whenever the process ends.
    fn keep(&self, progress: &Progress) -> Result<(), Error> {
        let (path, new) = (self.folder.join(FILE), self.folder.join("fleet.json.new"));
        let text = serde_json::to_vec(progress).map_err(std::io::Error::from);
        let kept = text.and_then(|text| std::fs::write(&new, text)).and_then(|()| std::fs::rename(&new, &path));
        kept.map_err(|source| Error::Folder { path, source })
    }
}

/// What XREAD answers: streams, messages, fields.
type Heard = Option<Vec<(String, Vec<(String, Vec<(String, Vec<u8>)>)>)>>;
