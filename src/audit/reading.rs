//! Reading the log is itself recorded in it.
//!
//! In: who reads, and what they ask. Out: rows of `reviews`, by a writer of the command's own, through journal, Parquet and chain as
//! every record: a row is in the journal before its answer is given, and sealed when the command ends. A sidecar that runs
//! shares neither name nor lock nor file with it. Makes no key: a chain under a key of its own would prove nothing.

use std::fs;
use std::os::unix::fs::{MetadataExt, lchown};
use std::path::Path;

use super::{Checkpoint, Config, Durability, Error, Log, Shipper, SigningKey, Writer, folder, schema, spool};
use crate::clock::Timestamp;
use crate::record::{Review, Table, Verdict};

/// The longest question that is kept whole, bytes.
const ABOUT_BYTES_MAX: usize = 8 << 10;

/// Somebody who reads the log.
#[derive(Debug)]
pub struct Reading {
    config: Config,
    log: Log,
    // Held as long as anything is written under its name.
    writer: Writer,
}

/// One question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub reviewer: String,
    /// What, without literals.
    pub about: String,
    /// Under which account, where that is another name.
    pub comment: Option<String>,
}

impl Reading {
    /// Makes ready to record what is read of a log, and deletes what is past its time of what was recorded so before.
    ///
    /// # Errors
    /// The log cannot be written, or its signing key cannot be read.
    pub fn open(config: &Config, now: Timestamp) -> Result<Reading, Error> {
        // A copy of a log has no key beside it.
        SigningKey::load(&config.signing_key)?;
        Shipper::prepare(config)?;
        let writer = Writer::claim_to_read(&config.path)?;
        let config = Config { durability: Durability::Disk, ..config.clone() };
        let mut log = Log::open(&config, writer.name())?;
        while log.delete_if_due(now)? > 0 {}
        let reading = Reading { config, log, writer };
        reading.hand_over();
        Ok(reading)
    }

    /// Records a question: on the disk when this returns.
    ///
    /// # Errors
    /// The system refuses.
    pub fn record(&mut self, asked: Asked) -> Result<(), Error> {
        let mut review = Review {
            reviewer: Some(asked.reviewer.into()),
            about: Some(shortened(asked.about).into()),
            verdict: Some(Verdict::Queried),
            comment: asked.comment.map(Into::into),
            ..Review::default()
        };
        review.common.at = asked.at;
        self.log.append(review);
        self.log.commit(&Checkpoint::default())
    }

    /// Seals what was recorded, and takes it into the store where no sidecar does. What cannot be sealed stays in the journal, what
    /// cannot go up in the spool, for the next command.
    ///
    /// # Errors
    /// The system refuses.
    pub fn close(self) -> Result<(), Error> {
        let Reading { config, log, writer } = self;
        let closed = log.close();
        let sent = Shipper::once(&config);
        hand_over(&config.path, writer.name(), false);
        closed.and(sent)
    }

    fn hand_over(&self) {
        hand_over(&self.config.path, self.writer.name(), false);
    }
}

fn shortened(about: String) -> String {
    if about.len() <= ABOUT_BYTES_MAX {
        return about;
    }
    let end = (0..=ABOUT_BYTES_MAX).rev().find(|end| about.is_char_boundary(*end)).unwrap_or(0);
    format!("{}…", &about[..end])
}

/// What root makes in somebody else's log becomes theirs: their sidecar has to write beside it. Best effort; only root can. `all`: files
/// of every table, not of `reviews` alone.
pub(super) fn hand_over(log: &Path, writer: &str, all: bool) {
    let Ok(owner) = fs::metadata(log) else { return };
    if owner.uid() == 0 {
        return;
    }
    let give = |path: &Path| {
        if fs::symlink_metadata(path).is_ok_and(|made| made.uid() == 0) {
            let _ = lchown(path, Some(owner.uid()), Some(owner.gid()));
        }
    };
    let chain = super::chain::path(log, writer);
    let tables = schema::tables().iter().map(|table| log.join(table.name));
    let of_ours = tables.clone().filter(|table| all || table.ends_with(Review::NAME));
    let mut paths = vec![folder::journals(log), folder::journal(log, writer), folder::records(log, writer)];
    paths.extend(tables);
    paths.extend(chain.parent().map(Path::to_path_buf));
    paths.push(chain);
    paths.extend(spool::files(log, writer));
    for of in [folder::journal(log, writer), folder::records(log, writer)].into_iter().chain(of_ours.clone()) {
        paths.extend(folder::names(&of).unwrap_or_default().iter().map(|name| of.join(name)));
    }
    for table in of_ours {
        for partition in folder::names(&table).unwrap_or_default() {
            let partition = table.join(partition);
            let names = folder::names(&partition).unwrap_or_default();
            paths.extend(names.iter().filter(|name| name.contains(writer)).map(|name| partition.join(name)));
        }
    }
    paths.iter().for_each(|path| give(path));
}
