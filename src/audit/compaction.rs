//! Small files become large ones, and the chain says so.
//!
//! In: a writer's log in a folder or a store, of which hours and days have passed. Out: one file instead of many, with the same records, and a
//! signed line that names it and each file that it replaces. Off the thread that seals: files are merged on one of their own, gently; what
//! is left to the one that owns the chain is a line and some renamings. Refuses what was altered.
//!
//! ```text
//! merged     <partition>/.<writer>.compacting                       whole and on the disk, beside its sources
//! told       chain: "compacted", with the sources and their hashes
//! named      <writer>-<first number>-<last number>.parquet          readers of ours pass over the sources from here on (`place`)
//! aside      each source: _….parquet.replaced                       no pattern and no engine finds it; who listed it before still reads it
//! removed    an hour later
//! ```
//!
//! Killed before it is named, the next start names it, or takes the line back; killed after it, the next start goes on from there. Other engines,
//! which know nothing of this, see rows twice between the first renaming and the last.
//!
//! In a store, sources are read there, and the file is made, told of and named in the spool, as above. Then `shipper` takes it up, as a whole; then
//! the line; and then it puts the sources aside, by a copy and a removal each, and removes them an hour later. Readers here and elsewhere pass
//! over the sources from when they see the file ([`stored`]).

mod copies;
mod merge;
mod plan;
mod stored;

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ::parquet::file::metadata::ParquetMetaData;
use ::parquet::file::reader::{FileReader, SerializedFileReader};

pub(super) use self::merge::Merged;
use self::merge::{Manner, Of, merge};
use self::plan::{FILE_BYTES_MAX, Group, Said, plan};
use super::chain::{self, Ledger, Sealed, hash_file};
use super::retention::Holds;
use super::schema::{self, TableInfo};
use super::{Config, Error, Log, Place, Shipper, SigningKey, Writer, folder, parquet, reading, spool};
use crate::clock::Timestamp;
use crate::system;

/// How often it is looked for what can be compacted.
const LOOK_EVERY_US: i64 = 600_000_000;
/// After this long it is done although there was no quiet moment.
const QUIET_WITHIN_US: i64 = 6 * 3_600_000_000;
/// How long a file that was replaced stays for who listed it before.
const STAYS_US: i64 = 3_600_000_000;

/// How long a thread that is to stop is waited for: it may be waiting for a store. What it leaves half done is made good by the next start.
const STOP_WITHIN: Duration = Duration::from_secs(5);
const STOP_LOOK_EVERY: Duration = Duration::from_millis(5);

/// What became of a writer's files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Whose.
    pub writer: String,
    /// Why it was left alone, where it was.
    pub left_alone: Option<LeftAlone>,
    /// Files that were replaced.
    pub files: u64,
    /// Files that hold their records now.
    pub into: u64,
    /// The length of those that were replaced, bytes.
    pub bytes_before: u64,
    /// The length of those that hold their records now, bytes.
    pub bytes_after: u64,
    /// What was left as it is, and why: altered since it was sealed.
    pub refused: Vec<String>,
}

/// Why a writer's files are not ours to compact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeftAlone {
    /// A sidecar or a command writes under its name.
    Running,
    /// Another key signs its chain: another host's, mostly.
    OtherKey,
}

impl Compacted {
    fn count(&mut self, merged: &Merged) {
        self.files += merged.replaces.len() as u64;
        self.into += 1;
        self.bytes_before += merged.bytes_before;
        self.bytes_after += merged.file.bytes;
    }
}

/// Compacts what every writer of a log has left here, one after the other; those that run are left alone: sidecars do it themselves. Of a log
/// in a store, here is its spool.
///
/// # Errors
/// There is no such spool, or no signing key, or the system or the store refuses.
pub fn compact(config: &Config, now: Timestamp) -> Result<Vec<Compacted>, Error> {
    // A chain under another key would prove nothing.
    SigningKey::load(&config.signing_key)?;
    if let Some(store) = &config.store {
        let store = store.url.to_string();
        if !spool::is_of(&config.path, &store) {
            return Err(Error::NotItsSpool { store, spool: config.path.clone() });
        }
        // Only what is there is compacted.
        Shipper::once(config)?;
    }
    let place = Place::of(config)?;
    let manner = Manner { stop: &AtomicBool::new(false), gently: false };
    let writers = chain::writers(&config.path)?;
    let compact = |writer: String| compact_writer(config, (&place, &writer), now, manner);
    let compacted = writers.into_iter().map(compact).collect::<Result<_, Error>>()?;
    Shipper::once(config)?;
    Ok(compacted)
}

fn compact_writer(
    config: &Config,
    (place, writer): (&Place, &str),
    now: Timestamp,
    manner: Manner<'_>,
) -> Result<Compacted, Error> {
    let of = Of { log: &config.path, place, writer };
    let mut compacted = Compacted { writer: writer.to_owned(), ..Compacted::default() };
    let ours = SigningKey::load(&config.signing_key)?.public().to_string();
    if Ledger::read(&config.path, writer)?.key.is_some_and(|signs| signs != ours) {
        return Ok(Compacted { left_alone: Some(LeftAlone::OtherKey), ..compacted });
    }
    let Some(_claim) = Writer::claim_named(&config.path, writer)? else {
        return Ok(Compacted { left_alone: Some(LeftAlone::Running), ..compacted });
    };
    if groups(config, of, now)?.is_empty() {
        sweep(&config.path, writer, now)?;
        return Ok(compacted);
    }
    let mut log = Log::open(config, writer)?;
    // What a crash left in the chain is seen to now.
    sweep(&config.path, writer, now)?;
    if !stored::settle(config, writer, manner)? {
        return Ok(compacted);
    }
    for group in groups(config, of, now)? {
        match merge(of, &group, manner) {
            Ok(None) => break,
            Ok(Some(merged)) => {
                compacted.count(&merged);
                log.replace(merged)?;
                if !stored::settle(config, writer, manner)? {
                    break;
                }
            }
            Err(error @ Error::Damaged { .. }) => compacted.refused.push(error.to_string()),
            Err(error) => return Err(error),
        }
    }
    log.close()?;
    reading::hand_over(&config.path, writer, true);
    Ok(compacted)
}

fn groups(config: &Config, of: Of<'_>, now: Timestamp) -> Result<Vec<Group>, Error> {
    let ledger = Ledger::read(of.log, of.writer)?;
    if let (Some(store), Some(client)) = (&config.store, of.place.store()) {
        return stored::groups(of, (store, client), &ledger, now);
    }
    let holds = Holds::read(of.place)?;
    let say = &mut |table: &TableInfo, file: &Sealed| of_file(&of.log.join(&file.path), table);
    Ok(plan(&ledger, &holds, now, FILE_BYTES_MAX, say))
}

/// What a file says; `None` where it cannot be read, which `verify` tells of, or has columns that this version does not know.
fn of_file(path: &Path, table: &TableInfo) -> Option<Said> {
    let file = SerializedFileReader::new(File::open(path).ok()?).ok()?;
    said(file.metadata(), table)
}

/// The same, as its metadata say it.
fn said(metadata: &ParquetMetaData, table: &TableInfo) -> Option<Said> {
    let file = metadata.file_metadata();
    let fields = file.schema_descr().root_schema().get_fields();
    let is_known = fields.iter().all(|field| table.schema.field_with_name(field.name()).is_ok());
    let key = || parquet::said_by(file, parquet::META_KEY).unwrap_or_default();
    is_known.then(|| Said { key: key(), people: parquet::people(metadata) })
}

/// Puts right what a crash or a refusal left of earlier compactions, and removes what has stayed for long enough.
fn sweep(log: &Path, writer: &str, now: Timestamp) -> Result<(), Error> {
    let mut ledger = None;
    for table in schema::tables() {
        for partition in folder::names(&log.join(table.name))? {
            let below = log.join(table.name).join(&partition);
            let names = if below.is_dir() { folder::names(&below)? } else { continue };
            let ours = |name: &str| parquet::parse_name(name).is_some_and(|named| named.writer == writer);
            let compacted = names.iter().filter_map(|name| parquet::parse_name(name));
            let compacted: Vec<_> = compacted.filter(|named| named.last_seq.is_some()).collect();
            for name in &names {
                let path = below.join(name);
                if *name == format!(".{writer}.compacting") {
                    folder::remove(&path)?;
                } else if let Some(of) = folder::replaced_name(name).filter(|of| ours(of)) {
                    let since = fs::metadata(&path).map_or(i64::MAX, |file| file.ctime().saturating_mul(1_000_000));
                    if now.0.saturating_sub(since) > STAYS_US && !below.join(of).exists() {
                        folder::remove(&path)?;
                        // Refused where others have files in it.
                        let _ = fs::remove_dir(&below);
                    }
                } else if ours(name)
                    && let Some(named) = parquet::parse_name(name)
                    && compacted.iter().any(|other| named.is_replaced_by(other))
                {
                    if ledger.is_none() {
                        ledger = Some(Ledger::read(log, writer)?);
                    }
                    let told = ledger
                        .as_ref()
                        .and_then(|ledger| ledger.replaced.get(&format!("{}/{partition}/{name}", table.name)));
                    if told.is_some_and(|told| hash_file(&path, &mut |_| {}).is_ok_and(|(sha256, _)| sha256 == *told)) {
                        folder::put_aside(&path)?;
                    }
                }
            }
        }
    }
    Ok(())
}

/// What goes on beside a log that is written.
#[derive(Debug, Default)]
pub(super) struct Compaction {
    looked_at: Option<Timestamp>,
    work: Option<Work>,
}

/// The thread that merges. Dropping it stops it, and waits for that, but not for a store.
#[derive(Debug)]
struct Work {
    stop: Arc<AtomicBool>,
    made: Receiver<Merged>,
    /// `None`: it is to end.
    go_on: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Compaction {
    /// Whether files are being merged: none of them may be deleted meanwhile.
    pub(super) fn is_running(&self) -> bool {
        self.work.is_some()
    }

    /// A file that is ready to replace others, if there is one.
    pub(super) fn made(&mut self) -> Option<Merged> {
        match self.work.as_ref()?.made.try_recv() {
            Ok(merged) => Some(merged),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => {
                self.work = None;
                None
            }
        }
    }

    /// The last file has replaced its sources, or could not.
    pub(super) fn replaced(&mut self, is_done: bool) {
        let told = self.work.as_ref().and_then(|work| work.go_on.as_ref()).map(|go_on| go_on.try_send(()));
        if !is_done || told.is_none_or(|told| told.is_err()) {
            self.work = None;
        }
    }

    /// Looks now and then for what there is to do, and begins with it.
    pub(super) fn start_if_due(
        &mut self,
        config: &Config,
        writer: &str,
        now: Timestamp,
        is_quiet: bool,
    ) -> Result<(), Error> {
        let looked_at = *self.looked_at.get_or_insert(now);
        let since = now.0.saturating_sub(looked_at.0);
        if self.work.is_some()
            || (0..LOOK_EVERY_US).contains(&since)
            || (!is_quiet && (0..QUIET_WITHIN_US).contains(&since))
        {
            return Ok(());
        }
        self.looked_at = Some(now);
        self.work = Some(Work::start(config, writer, now)?);
        Ok(())
    }
}

impl Work {
    fn start(config: &Config, writer: &str, now: Timestamp) -> Result<Work, Error> {
        let (send, made) = sync_channel(1);
        let (go_on, went_on) = sync_channel(1);
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, config, writer) = (Arc::clone(&stop), config.clone(), writer.to_owned());
        let run = move || {
            let manner = Manner { stop: &stopped, gently: true };
            if let Err(error) = work(&config, &writer, now, manner, (&send, &went_on)) {
                tracing::error!(%error, "small files of the log stay as they are; it is tried again in ten minutes");
            }
        };
        let thread = std::thread::Builder::new().name("compaction".to_owned()).spawn(run);
        let thread = thread.map_err(Error::io("start the thread that compacts", Path::new("the log")))?;
        Ok(Work { stop, made, go_on: Some(go_on), thread: Some(thread) })
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.go_on = None;
        let Some(thread) = self.thread.take() else { return };
        let began = Instant::now();
        while !thread.is_finished() {
            if began.elapsed() >= STOP_WITHIN {
                return;
            }
            std::thread::sleep(STOP_LOOK_EVERY);
        }
        let _ = thread.join();
    }
}

fn work(
    config: &Config,
    writer: &str,
    now: Timestamp,
    manner: Manner<'_>,
    (made, went_on): (&SyncSender<Merged>, &Receiver<()>),
) -> Result<(), Error> {
    sweep(&config.path, writer, now)?;
    let place = Place::of(config)?;
    let of = Of { log: &config.path, place: &place, writer };
    for group in groups(config, of, now)? {
        if !stored::settle(config, writer, manner)? {
            return Ok(());
        }
        let merged = match merge(of, &group, manner) {
            Ok(Some(merged)) => merged,
            Ok(None) => return Ok(()),
            // What somebody altered keeps nobody from compacting the rest.
            Err(error @ Error::Damaged { .. }) => {
                tracing::error!(%error, "files of the log are not compacted");
                continue;
            }
            Err(error) => return Err(error),
        };
        if made.send(merged).is_err() || went_on.recv().is_err() {
            return Ok(());
        }
    }
    // What commands that read the log have left: a file each time. Of this host alone: where a folder is shared over a network, a
    // lock may not tell that another host's sidecar runs.
    let host = super::writer::base(&config.path)?;
    let is_ours =
        |other: &String| other != writer && other.strip_prefix(&host).is_some_and(|rest| rest.starts_with('-'));
    for other in chain::writers(&config.path)?.into_iter().filter(is_ours) {
        if manner.stop.load(Ordering::Relaxed) {
            break;
        }
        compact_writer(config, (&place, &other), now, manner)?;
    }
    Ok(())
}

/// Gives a merged file its place: told, named, and its sources put aside.
pub(super) fn replace(log: &Path, chain: &mut super::chain::Chain, merged: Merged) -> Result<(), Error> {
    let Merged { unfinished, file, replaces, .. } = merged;
    let path = log.join(&file.path);
    if let Err(error) = chain.compact(file, replaces.clone()) {
        let _ = system::remove(&unfinished);
        return Err(error);
    }
    chain.name(&unfinished, &path)?;
    // From here on it is done: what stays of the sources is put aside by the next sweep.
    for replaced in &replaces {
        folder::put_aside(&log.join(&replaced.path))?;
    }
    path.parent().map_or(Ok(()), folder::sync)
}
