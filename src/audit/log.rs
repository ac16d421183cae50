//! The writing end of the log: records, numbered, made durable commit by commit, sealed into Parquet in their time.
//!
//! In: records of the analysis, and checkpoints. Out: the record journal, and Parquet files. One thread owns it.
//!
//! A failed commit or sealing loses nothing: the records stay in memory, or in the journal, and the next call tries
//! again.

use std::path::PathBuf;
use std::time::Duration;

use super::chain::{Chain, ToldGap};
use super::compaction::{self, Compaction, Merged};
use super::journal::{self, Commit, Journal};
use super::retention::{self, Due, Retention};
use super::schema::Part;
use super::sealing::By;
use super::{
    Checkpoint, Config, Durability, Error, Gap, Key, Place, Position, StoreConfig, folder, intake, parquet, schema,
    sealing, spool,
};
use crate::clock::Timestamp;
use crate::record::{Finding, Review, Session, Statement, Table, Text, Transaction};
use crate::system;

/// Files that are deleted at a time: whoever seals must not be kept waiting.
const DELETED_AT_A_TIME: usize = 8;
/// A journal's file this long is sealed before its time, bytes.
pub const JOURNAL_BYTES_MAX: u64 = 12 << 20;

/// One table's records between `number` and `commit`.
#[derive(Debug)]
pub struct Pending<T> {
    /// The last number given.
    last_seq: u64,
    /// The last number committed.
    committed: u64,
    records: Vec<T>,
    /// How many the last commit had.
    usual: usize,
}

impl<T: Table> Pending<T> {
    fn starting_at(last_seq: u64) -> Pending<T> {
        Pending { last_seq, committed: last_seq, records: Vec::new(), usual: 0 }
    }

    /// Sees to it that every number has its record, in order.
    fn check(&mut self) -> Result<(), Error> {
        self.records.sort_by_key(|record| record.common().seq);
        for (record, expected) in self.records.iter().zip(self.committed + 1..) {
            let found = record.common().seq;
            if found != expected {
                return Err(Error::SequenceGap { table: T::NAME, expected, found });
            }
        }
        if self.records.len() as u64 != self.last_seq - self.committed {
            let expected = self.committed + self.records.len() as u64 + 1;
            return Err(Error::SequenceGap { table: T::NAME, expected, found: self.last_seq + 1 });
        }
        Ok(())
    }

    /// The records as batches, each made when it is asked for.
    fn batches(&self) -> impl Iterator<Item = Result<(&'static str, Part), Error>> {
        schema::parts(&self.records).map(|records| Ok((T::NAME, Part::of(records)?)))
    }

    fn clear(&mut self) {
        self.committed = self.last_seq;
        self.usual = self.records.len();
        self.records.clear();
    }
}

/// A record that the log takes.
pub trait Logged: Table {
    /// Where it waits for its commit.
    fn pending(tables: &mut Tables) -> &mut Pending<Self>;
}

macro_rules! logged {
    ($($record:ident $field:ident),+) => {
        /// What waits for its commit.
        #[derive(Debug)]
        pub struct Tables { $($field: Pending<$record>),+ }

        $(impl Logged for $record {
            fn pending(tables: &mut Tables) -> &mut Pending<Self> { &mut tables.$field }
        })+

        impl Tables {
            fn starting_after(last: &Commit) -> Tables {
                let last_seq = |table: &str| last.last_seqs.iter().find(|(name, _)| name == table).map_or(0, |pair| pair.1);
                Tables { $($field: Pending::starting_at(last_seq($record::NAME))),+ }
            }

            fn check(&mut self) -> Result<(), Error> {
                $(self.$field.check()?;)+
                Ok(())
            }

            fn batches(&self) -> impl Iterator<Item = Result<(&'static str, Part), Error>> {
                std::iter::empty()$(.chain(self.$field.batches()))+
            }

            fn are_empty(&self) -> bool {
                $(self.$field.records.is_empty())&&+
            }

            fn last_seqs(&self) -> Vec<(String, u64)> {
                vec![$(($record::NAME.to_owned(), self.$field.last_seq)),+]
            }

            fn clear(&mut self) {
                $(self.$field.clear();)+
            }

            /// Gives back what the last commit took, if nothing waits.
            fn shrink(&mut self) {
                $(self.$field.records.shrink_to_fit();)+
            }
        }
    };
}

logged!(Statement statements, Transaction transactions, Session sessions, Finding findings, Review reviews);

fn number<T: Table>(last_seq: &mut u64, writer: &Text, record: &mut T) {
    *last_seq += 1;
    let common = record.common_mut();
    common.seq = *last_seq;
    common.writer = writer.clone();
}

/// The log of one writer, whose name is claimed ([`super::Writer`]).
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    writer: Text,
    durability: Durability,
    flush: Duration,
    tables: Tables,
    /// The last commit's.
    last: Commit,
    recovered: Option<Checkpoint>,
    journal: Journal,
    chain: Chain,
    /// What was never recorded, and is not in the chain yet.
    gaps: Vec<ToldGap>,
    /// The key file's id; empty where there is none.
    key_id: String,
    /// Whether `journal` holds records.
    unsealed: bool,
    /// Files before `journal`, whose sealing was cut short or failed.
    older: Vec<PathBuf>,
    retention: Retention,
    /// Files past their time that are still to be deleted, the oldest last.
    due: Vec<Due>,
    /// The UTC date on which it was last looked for those.
    looked_on: Option<String>,
    compaction: Compaction,
    /// Where the log lies, if not in the folder; its holds are asked for once a day.
    store: Option<StoreConfig>,
    /// All of it, for what goes on beside.
    config: Config,
    /// When the oldest unsealed record was first seen by `seal_if_due`.
    since: Option<Timestamp>,
}

impl Log {
    /// Opens a writer's log: reads its last commit and cuts off what a crash left behind it.
    ///
    /// # Errors
    /// The folder cannot be read or written.
    pub fn open(config: &Config, writer: &str) -> Result<Log, Error> {
        let folder = folder::records(&config.path, writer);
        folder::create(&folder)?;
        for table in schema::tables() {
            folder::create(&config.path.join(table.name))?;
        }
        for name in folder::names(&folder)?.iter().filter(|name| name.ends_with(".unfinished")) {
            folder::remove(&folder.join(name))?;
        }
        let mut files = folder::numbered(&folder, journal::EXTENSION)?;
        let mut last = None;
        let mut newest = None;
        for (number, path) in &files {
            let Some(mut reader) = journal::Reader::open(path)? else { continue };
            let found = reader.scan()?;
            if found.damaged {
                tracing::error!(file = %path.display(), "the record journal is damaged; what is whole in it is kept");
            }
            last = found.last.or(last);
            newest = Some((*number, found.committed_bytes, !found.batches.is_empty()));
        }
        let last = last.unwrap_or_default();
        let chain = Chain::open(&config.path, writer, &config.signing_key, |path| parquet::unfinished(path, writer))?;
        let (journal, unsealed) = match newest {
            Some((number, bytes, unsealed)) if bytes > 0 => {
                let (_, path) = files.pop().unwrap_or_default();
                (Journal::resume(&path, number, bytes)?, unsealed)
            }
            newest => (Journal::create(&folder, newest.map_or(1, |(number, ..)| number + 1), &last)?, false),
        };
        Ok(Log {
            path: config.path.clone(),
            writer: writer.into(),
            durability: config.durability,
            flush: config.flush,
            tables: Tables::starting_after(&last),
            recovered: last.checkpoint.clone(),
            last,
            journal,
            chain,
            gaps: Vec::new(),
            key_id: Key::load(&config.key_file).map(|key| key.name()).unwrap_or_default(),
            unsealed,
            older: files.into_iter().map(|(_, path)| path).collect(),
            retention: config.retention.clone(),
            due: Vec::new(),
            looked_on: None,
            compaction: Compaction::default(),
            store: config.store.clone(),
            config: config.clone(),
            since: None,
        })
    }

    /// Keeps what is to be known after a restart of where classified columns went.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn keep_lineage(&self, bytes: &[u8]) -> Result<(), Error> {
        super::lineage::keep(&self.path, &self.writer, bytes)
    }

    /// What every writer of this log has kept of it.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn kept_lineage(&self) -> Result<Vec<Vec<u8>>, Error> {
        super::lineage::kept(&self.path)
    }

    /// The checkpoint of the last commit before this process; `None` for a new log.
    pub fn recovered(&self) -> Option<&Checkpoint> {
        self.recovered.as_ref()
    }

    /// Since when, at most, the oldest record waits that is not in Parquet; `None` where none does.
    pub fn unsealed_since(&self) -> Option<Timestamp> {
        self.since.filter(|_| self.unsealed || !self.older.is_empty())
    }

    /// The number of the last finding of this writer.
    pub fn last_finding(&self) -> u64 {
        self.tables.findings.last_seq
    }

    /// How long the journal is that records are written to, bytes.
    pub fn journal_bytes(&self) -> u64 {
        self.journal.bytes()
    }

    /// This writer's name.
    pub fn writer(&self) -> &Text {
        &self.writer
    }

    /// Gives a record its writer and its number. Every numbered record has to be appended before the next commit.
    pub fn number<T: Logged>(&mut self, record: &mut T) {
        number(&mut T::pending(&mut self.tables).last_seq, &self.writer, record);
    }

    /// Takes a record for the next commit; numbers it where that has not been done.
    pub fn append<T: Logged>(&mut self, record: T) {
        let Pending { records, usual, last_seq, .. } = T::pending(&mut self.tables);
        if records.capacity() == 0 {
            records.reserve(*usual);
        }
        // Numbered where it stays: a record is long, and is moved once.
        records.push(record);
        if let Some(record) = records.last_mut().filter(|record| record.common().seq == 0) {
            number(last_seq, &self.writer, record);
        }
    }

    /// Makes everything appended durable, together with the checkpoint: after a crash there is both or neither.
    /// Then removes the intake segments that the checkpoint no longer needs.
    ///
    /// # Errors
    /// The system refuses; the records are kept, and the next commit has them too. Or a numbered record was not
    /// appended ([`Error::SequenceGap`]).
    pub fn commit(&mut self, checkpoint: &Checkpoint) -> Result<(), Error> {
        self.check_room()?;
        // Before the checkpoint that would pass over it; what is told already is not told again.
        while let Some(gap) = self.gaps.first() {
            self.chain.gap(gap.clone())?;
            self.gaps.remove(0);
        }
        self.tables.check()?;
        let is_empty = self.tables.are_empty();
        let commit = Commit { checkpoint: Some(checkpoint.clone()), last_seqs: self.tables.last_seqs() };
        if is_empty && commit == self.last {
            return Ok(());
        }
        self.journal.commit(self.tables.batches(), &commit, self.durability == Durability::Disk)?;
        self.unsealed |= !is_empty;
        self.last = commit;
        self.tables.clear();
        // A segment that stays is removed with the next checkpoint.
        if let Err(error) = intake::release(&folder::intake(&self.path, &self.writer), checkpoint.replay_from) {
            tracing::warn!(%error, "a segment of the intake journal that is no longer needed stays");
        }
        Ok(())
    }

    /// Takes what was never recorded, for the chain; with the next commit. `position`: its own in the intake journal, which is told once.
    pub fn gap(&mut self, position: Position, gap: &Gap) {
        self.gaps.push(ToldGap::new(position, gap));
    }

    /// What waits for the store has a limit. Beyond it nothing is committed until some of it has gone up: the intake fills, and its
    /// limit decides what clients see.
    fn check_room(&mut self) -> Result<(), Error> {
        let Some(most) = self.store.as_ref().map(|store| store.spool_bytes_max) else { return Ok(()) };
        // Asked again only where it is too much by what was last known.
        if self.chain.waiting(0) <= most {
            return Ok(());
        }
        match self.chain.waiting(spool::uploaded(&self.path, &self.writer)) {
            waiting if waiting > most => Err(Error::SpoolFull { spool: self.path.clone(), waiting }),
            _ => Ok(()),
        }
    }

    /// Seals everything committed into Parquet, now. How many files were made.
    ///
    /// # Errors
    /// The system refuses. What is not sealed stays in the journal and is sealed by the next call.
    pub fn seal(&mut self) -> Result<usize, Error> {
        // One that is long without a record is full of checkpoints.
        if self.unsealed || self.journal.bytes() >= JOURNAL_BYTES_MAX {
            let folder = folder::records(&self.path, &self.writer);
            let number = self.journal.number();
            let next = Journal::create(&folder, number + 1, &self.last)?;
            self.journal = next;
            self.older.push(folder::number(&folder, number, journal::EXTENSION));
            (self.unsealed, self.since) = (false, None);
        }
        // What sealing takes comes instead of it.
        self.tables.shrink();
        let mut files = 0;
        while let Some(path) = self.older.first() {
            let damaged = match journal::Reader::open(path)? {
                Some(mut journal) => {
                    let found = journal.scan()?;
                    let by = By { log: &self.path, writer: &self.writer, key: &self.key_id };
                    files += sealing::seal(by, &mut journal, found.batches, &mut self.chain)?;
                    found.damaged
                }
                None => false,
            };
            self.put_away(damaged)?;
        }
        if self.store.is_none() {
            self.chain.waiting(u64::MAX);
        }
        Ok(files)
    }

    /// Seals everything committed, and says in the chain that nothing is missing behind it.
    ///
    /// # Errors
    /// As [`Log::seal`].
    pub fn close(mut self) -> Result<(), Error> {
        self.seal()?;
        self.chain.close(self.last.last_seqs.clone())
    }

    /// Deletes what is past its time, a few files a call; once a day it is looked for. To be called when nothing is half sealed. How many
    /// files were deleted.
    ///
    /// # Errors
    /// The system refuses; it is tried again on the next day.
    pub fn delete_if_due(&mut self, now: Timestamp) -> Result<usize, Error> {
        // What is sealed and still in a journal would come back with its file gone.
        if !self.older.is_empty() || self.compaction.is_running() {
            return Ok(0);
        }
        let today = now.utc_date();
        if self.looked_on.as_ref() != Some(&today) {
            self.looked_on = Some(today);
            let place = Place::made(&self.path, self.store.as_ref())?;
            self.due = retention::due(&self.path, &place, &self.writer, &self.retention, now)?;
        }
        let mut deleted = 0;
        while deleted < DELETED_AT_A_TIME {
            let Some(Due { file, why }) = self.due.pop() else { break };
            self.chain.delete(file.clone(), why)?;
            retention::remove(&self.path, &file)?;
            deleted += 1;
        }
        Ok(deleted)
    }

    /// Makes one file of many, where days are over or files have piled up: a step a call, the work on a thread of its own. To be called now
    /// and then, when nothing is half sealed; `is_quiet`: nothing else is to be done. How many files were replaced.
    ///
    /// # Errors
    /// The system refuses; it is tried again in some minutes.
    pub fn compact_if_due(&mut self, now: Timestamp, is_quiet: bool) -> Result<usize, Error> {
        if !self.older.is_empty() {
            return Ok(0);
        }
        if let Some(merged) = self.compaction.made() {
            let files = merged.replaces.len();
            let replaced = self.replace(merged);
            self.compaction.replaced(replaced.is_ok());
            return replaced.map(|()| files);
        }
        // What is due to be deleted is not to be merged first.
        if self.due.is_empty() {
            self.compaction.start_if_due(&self.config, &self.writer, now, is_quiet)?;
        }
        Ok(0)
    }

    /// Puts a file in the place of those that it was merged from.
    pub(super) fn replace(&mut self, merged: Merged) -> Result<(), Error> {
        compaction::replace(&self.path, &mut self.chain, merged)
    }

    /// Another clock than the system's for the chain.
    #[cfg(test)]
    pub(super) fn clock(&self) -> &crate::clock::Clock {
        self.chain.clock()
    }

    /// Removes the oldest journal's file, which is sealed; one that was damaged is kept, for a person to look at.
    fn put_away(&mut self, damaged: bool) -> Result<(), Error> {
        let path = self.older.remove(0);
        match damaged {
            false => folder::remove(&path),
            true => system::rename(&path, &path.with_extension(journal::DAMAGED)).map_err(Error::io("rename", &path)),
        }
    }

    /// Seals when the oldest record in the journal is older than `[log].flush`, or the journal longer than
    /// `JOURNAL_BYTES_MAX`. To be called now and then, after commits. How many files were made.
    ///
    /// # Errors
    /// As [`Log::seal`].
    pub fn seal_if_due(&mut self, now: Timestamp) -> Result<usize, Error> {
        let long = self.journal.bytes() >= JOURNAL_BYTES_MAX;
        if !self.unsealed && self.older.is_empty() && !long {
            return Ok(0);
        }
        // A clock that jumped back starts the wait anew, one that jumped forward ends it early.
        let since = *self.since.get_or_insert(now);
        if now < since {
            self.since = Some(now);
        }
        let waited = Duration::from_micros(now.micros_since(since));
        match waited >= self.flush || long {
            true => self.seal(),
            false => Ok(0),
        }
    }
}
