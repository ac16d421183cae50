//! The writing end of one writer's chain.
//!
//! In: what happened to the log. Out: lines, each on the disk before what it tells of is visible. What a crash left between a line and
//! what it tells of is finished, or taken back by another line, when the chain is opened. Refuses to go on behind a last line that is none.

use std::collections::{HashMap, VecDeque};
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

use super::{
    BEGINNING, Entry, Line, Replaced, SIGNATURE, Sealed, Told, ToldGap, each_line, folder, hash, hash_file, path,
};
use crate::audit::signing::{PublicKey, SigningKey};
use crate::audit::{Error, folder as files, spool};
use crate::clock::Clock;
use crate::system;

/// The writing end of one writer's chain.
#[derive(Debug)]
pub(in crate::audit) struct Chain {
    log: PathBuf,
    path: PathBuf,
    key: SigningKey,
    file: File,
    number: u64,
    previous: String,
    clock: Clock,
    /// The highest number that is sealed, by the folder of its file: the file itself may be gone, into a store or past its time.
    through: HashMap<String, u64>,
    /// The last line that was in a store when this began.
    uploaded: u64,
    /// What was sealed and may not be in a store yet: the line, and the file's length.
    waiting: VecDeque<(u64, u64)>,
    /// What was known before the file that was sealed last.
    last: Option<Before>,
    /// The last gap that was told, by its position.
    gaps_through: u64,
}

/// What is asked of a chain that is gone through once.
#[derive(Default)]
struct Read {
    /// Where its last line ends.
    whole: u64,
    /// That line; `None` where it is none.
    last: Option<Entry>,
    /// The key that has signed so far.
    signs: Option<PublicKey>,
    before_last: Option<Before>,
}

/// What was known of a file's folder before it was sealed.
#[derive(Debug)]
struct Before {
    number: u64,
    folder: String,
    through: Option<u64>,
}

impl Chain {
    /// Opens a writer's chain, cuts off a line that a crash cut short, and sees to the file that its last line tells of.
    /// `unfinished`: where a file lies before it has its name.
    ///
    /// # Errors
    /// The chain cannot be read or written, or its last line is none.
    pub(in crate::audit) fn open(
        log: &Path,
        writer: &str,
        signing_key: &Path,
        unfinished: impl Fn(&Path) -> PathBuf,
    ) -> Result<Chain, Error> {
        let path = path(log, writer);
        files::create(&folder(log))?;
        let key = SigningKey::load_or_create(signing_key)?;
        let open = system::open(OpenOptions::new().create(true).read(true).append(true), &path);
        let file = open.map_err(Error::io("open", &path))?;
        let mut chain = Chain {
            log: log.to_path_buf(),
            path,
            key,
            file,
            number: 0,
            previous: BEGINNING.to_owned(),
            clock: Clock::system(),
            through: HashMap::new(),
            uploaded: spool::uploaded(log, writer),
            waiting: VecDeque::new(),
            last: None,
            gaps_through: 0,
        };
        let Read { whole, last, signs, before_last } = chain.read()?;
        system::cut(&chain.file, &chain.path, whole).map_err(Error::io("cut off the torn end of", &chain.path))?;
        if whole > 0 {
            let last = last.ok_or_else(|| Error::Damaged {
                path: chain.path.clone(),
                what: "its last line is not one of a chain; `mitsuke verify` tells more; move it away to begin another"
                    .to_owned(),
            })?;
            chain.change_key(signs, signing_key)?;
            if last.number > chain.uploaded {
                chain.finish(&last.told, (last.number, before_last), unfinished)?;
            }
        }
        let public_key = chain.key.public().to_string();
        chain.append(Told::Opened { version: env!("CARGO_PKG_VERSION").to_owned(), public_key })?;
        files::sync(&folder(log))?;
        Ok(chain)
    }

    /// Goes through what there is, a line at a time, and keeps what is to be known of it.
    fn read(&mut self) -> Result<Read, Error> {
        let file = self.file.try_clone().map_err(Error::io("read", &self.path))?;
        let mut read = Read::default();
        let whole = each_line(file, |line| {
            let line = Line::parse(line);
            match line.as_ref().map(|line| &line.entry.told) {
                Some(Told::Opened { public_key, .. } | Told::Key { public_key }) => {
                    read.signs = PublicKey::parse(public_key);
                }
                Some(Told::Gap(gap)) => self.gaps_through = self.gaps_through.max(gap.position),
                // It never got its name: its numbers are in none.
                Some(Told::Withdrawn { .. }) => self.forget(read.before_last.take()),
                Some(Told::Sealed(sealed) | Told::Compacted { file: sealed, .. }) => {
                    let number = line.as_ref().map_or(0, |line| line.entry.number);
                    read.before_last = Some(self.remember(number, sealed));
                }
                _ => {}
            }
            if let Some(line) = &line {
                (self.number, self.previous) = (line.entry.number, line.hash.clone());
            }
            read.last = line.map(|line| line.entry);
        });
        read.whole = whole.map_err(Error::io("read", &self.path))?;
        Ok(read)
    }

    /// Where another key has signed so far and still lies beside ours as `.old`, it gives its word for ours.
    fn change_key(&mut self, signed_so_far: Option<PublicKey>, signing_key: &Path) -> Result<(), Error> {
        let ours = self.key.public();
        if signed_so_far.is_none_or(|signed| signed == ours) {
            return Ok(());
        }
        let old = signing_key.with_extension("old");
        match SigningKey::load(&old) {
            Ok(old) if Some(old.public()) == signed_so_far => {
                let new = std::mem::replace(&mut self.key, old);
                let told = self.append(Told::Key { public_key: ours.to_string() });
                self.key = new;
                told
            }
            _ => {
                tracing::warn!(
                    old = %old.display(),
                    "another key signs the log from now on, without the word of the one before; `mitsuke verify` will say so"
                );
                Ok(())
            }
        }
    }

    /// The last line tells of a file that may have no name yet, where the sidecar was killed in between.
    fn finish(
        &mut self,
        told: &Told,
        (number, before): (u64, Option<Before>),
        unfinished: impl Fn(&Path) -> PathBuf,
    ) -> Result<(), Error> {
        let Some(sealed) = told.file() else { return Ok(()) };
        let path = self.log.join(&sealed.path);
        let mut is_there = path.exists();
        if !is_there {
            let unfinished = unfinished(&path);
            let found = hash_file(&unfinished, &mut |_| {}).ok();
            is_there = found.is_some_and(|(sha256, _)| sha256 == sealed.sha256);
            if is_there {
                system::rename(&unfinished, &path).map_err(Error::io("rename", &unfinished))?;
            }
        }
        if let Told::Compacted { replaces, .. } = told {
            replaces.iter().try_for_each(|replaced| match is_there {
                true => files::put_aside(&self.log.join(&replaced.path)),
                false => files::bring_back(&self.log.join(&replaced.path)),
            })?;
        }
        if is_there {
            return Ok(());
        }
        self.forget(before);
        self.append(Told::Withdrawn { number_withdrawn: number })
    }

    /// Keeps what a file holds. What was known of its folder before.
    fn remember(&mut self, number: u64, sealed: &Sealed) -> Before {
        let folder = sealed.folder().to_owned();
        if number > self.uploaded {
            self.waiting.push_back((number, sealed.bytes));
        }
        let through = self.through.get(&folder).copied();
        self.through.insert(folder.clone(), through.unwrap_or(0).max(sealed.last_seq));
        Before { number, folder, through }
    }

    /// The file that was remembered last never got its name.
    fn forget(&mut self, before: Option<Before>) {
        let Some(Before { number, folder, through }) = before else { return };
        self.waiting.pop_back_if(|(waits, _)| *waits == number);
        match through {
            Some(through) => self.through.insert(folder, through),
            None => self.through.remove(&folder),
        };
    }

    /// The highest number that is sealed into files of a folder, `<table>/dt=<date>`; 0 where there is none.
    pub(in crate::audit) fn sealed_through(&self, folder: &str) -> u64 {
        self.through.get(folder).copied().unwrap_or(0)
    }

    /// How much is sealed and waits for a store, bytes, when so many lines are there.
    pub(in crate::audit) fn waiting(&mut self, uploaded: u64) -> u64 {
        while self.waiting.front().is_some_and(|(number, _)| *number <= uploaded) {
            self.waiting.pop_front();
        }
        self.waiting.iter().map(|(_, bytes)| bytes).sum()
    }

    /// Tells that a file, which still has another name, will be part of the log.
    ///
    /// # Errors
    /// The system refuses; nothing is told then.
    pub(in crate::audit) fn seal(&mut self, unfinished: &Path, sealed: Sealed) -> Result<(), Error> {
        let (sha256, bytes) = hash_file(unfinished, &mut |_| {}).map_err(Error::io("read", unfinished))?;
        let sealed = Sealed { sha256, bytes, ..sealed };
        self.append(Told::Sealed(sealed.clone()))?;
        self.last = Some(self.remember(self.number, &sealed));
        Ok(())
    }

    /// Gives the file that was told of last its name; where the system refuses, it is gone, and the chain says so.
    ///
    /// # Errors
    /// The system refuses.
    pub(in crate::audit) fn name(&mut self, unfinished: &Path, path: &Path) -> Result<(), Error> {
        system::rename(unfinished, path).or_else(|error| {
            let _ = system::remove(unfinished);
            self.withdraw()?;
            Err(Error::io("rename", unfinished)(error))
        })
    }

    /// The file that was told of last did not get its name.
    fn withdraw(&mut self) -> Result<(), Error> {
        let before = self.last.take();
        self.forget(before);
        self.append(Told::Withdrawn { number_withdrawn: self.number })
    }

    /// Tells that a file, which still has another name, will be part of the log in place of others.
    ///
    /// # Errors
    /// The system refuses; nothing is told then.
    pub(in crate::audit) fn compact(&mut self, file: Sealed, replaces: Vec<Replaced>) -> Result<(), Error> {
        self.append(Told::Compacted { file: file.clone(), replaces })?;
        self.last = Some(self.remember(self.number, &file));
        Ok(())
    }

    /// Tells that a file will be deleted now.
    pub(in crate::audit) fn delete(&mut self, file: Sealed, why: String) -> Result<(), Error> {
        self.append(Told::Deleted { file, why })
    }

    /// Tells of a gap, unless that was told before a crash.
    pub(in crate::audit) fn gap(&mut self, gap: ToldGap) -> Result<(), Error> {
        if gap.position <= self.gaps_through {
            return Ok(());
        }
        let position = gap.position;
        self.append(Told::Gap(gap))?;
        self.gaps_through = position;
        Ok(())
    }

    /// Tells that everything is sealed.
    pub(in crate::audit) fn close(&mut self, last_seqs: Vec<(String, u64)>) -> Result<(), Error> {
        self.append(Told::Closed { last_seqs })
    }

    /// Another clock than the system's.
    #[cfg(test)]
    pub(in crate::audit) fn clock(&self) -> &Clock {
        &self.clock
    }

    fn append(&mut self, told: Told) -> Result<(), Error> {
        let entry =
            Entry { number: self.number + 1, at: self.clock.now().to_string(), told, previous: self.previous.clone() };
        let text = serde_json::to_string(&entry).map_err(|error| Error::io("write", &self.path)(error.into()))?;
        let signed = text.strip_suffix('}').unwrap_or(&text);
        let line = format!("{signed}{SIGNATURE}{}\"}}", self.key.sign(signed.as_bytes()));
        let before = self.file.metadata().map_err(Error::io("read", &self.path))?.len();
        let written = system::write(&self.file, &self.path, format!("{line}\n").as_bytes())
            .and_then(|()| system::sync(&self.file, &self.path));
        if let Err(error) = written {
            // Half a line must not stand before the next one.
            let _ = system::cut(&self.file, &self.path, before);
            return Err(Error::io("write", &self.path)(error));
        }
        (self.number, self.previous) = (entry.number, hash(line.as_bytes()));
        Ok(())
    }
}
