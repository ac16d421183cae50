//! How one channel is doing, for who asks.
//!
//! In: what its thread has come to. Out: numbers, and a name that its lines in the sidecar's log and its files have, too.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::figures::{Count, Level};

/// One channel's figures.
#[derive(Debug)]
pub struct Told {
    /// "mail", "webhook", "syslog" or "stdout".
    pub kind: &'static str,
    /// As its files begin, without the writer: its kind, and what tells it from others of the kind.
    pub name: String,
    /// Messages that were taken.
    pub delivered: Count,
    /// Attempts that came to nothing and are made again.
    pub failed: Count,
    /// Findings that were refused for good and are laid aside, those of earlier starts too.
    pub dead_letters: Count,
    /// Findings that its queue had no room for. What notes how far it has come takes them from the log later.
    pub dropped: Count,
    is_away: AtomicBool,
    /// The number of the last finding that is dealt with; of a channel that notes how far it has come.
    through: Option<Level>,
    queued: Count,
    handled: Count,
}

impl Told {
    /// All at nothing. `notes`: whether it notes how far it has come.
    pub(super) fn new(kind: &'static str, name: String, notes: bool) -> Told {
        Told {
            kind,
            name,
            delivered: Count::default(),
            failed: Count::default(),
            dead_letters: Count::default(),
            dropped: Count::default(),
            is_away: AtomicBool::new(false),
            through: notes.then(Level::default),
            queued: Count::default(),
            handled: Count::default(),
        }
    }

    pub(super) fn queued(&self) {
        self.queued.one();
    }

    /// A finding that was queued is dealt with.
    pub(super) fn handled(&self) {
        self.handled.one();
    }

    /// It has come so far.
    pub(super) fn through(&self, seq: u64) {
        self.through.iter().for_each(|through| through.set(seq));
    }

    /// A message was taken.
    pub(super) fn delivered(&self) {
        self.delivered.one();
        self.is_away.store(false, Ordering::Relaxed);
    }

    /// An attempt failed.
    pub(super) fn failed(&self) {
        self.failed.one();
        self.is_away.store(true, Ordering::Relaxed);
    }

    /// Whether the last attempt failed, and there was none since.
    pub fn is_away(&self) -> bool {
        self.is_away.load(Ordering::Relaxed)
    }

    /// Findings that it has not dealt with, where the log's last is `last`.
    pub fn waiting(&self, last: u64) -> u64 {
        match &self.through {
            Some(through) => last.saturating_sub(through.get()),
            None => self.queued.get().saturating_sub(self.handled.get()),
        }
    }
}
