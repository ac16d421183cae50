//! COPY from the client: what of the client's messages the server reads as data, and passes over.
//!
//! In: CopyInResponse and CopyBothResponse, and the client's messages around it. Out: which Syncs will be answered.
//! While the server reads COPY data it passes over Sync and Flush (PostgreSQL manual, "COPY Operations"; `CopyGetData` in
//! `copyfromparse.c`); any other message ends the session (up to version 13 the COPY alone, and is gone with it). A COPY that
//! fails may have passed over a Sync before it failed, or not: nothing on the wire says which, so that each such Sync may be answered, and need not. Where more hangs
//! on it, namely whether what came behind was skipped or run, the stream cannot be followed. A client that sends the
//! Sync that it owes behind its data, as every client has to, never gets there.

use super::OutOfStep;
use super::event::Event;
use super::expect::Expect;
use super::run::Run;
use super::tracker::{How, Tracker};
use crate::clock::Timestamp;
use crate::record::Outcome;

/// The routine of the server's source that reads COPY data, as its errors name it.
pub(super) const COPY_READER: &[u8] = b"CopyGetData";
/// How far back from the queue's end the statement is looked for that COPY data belongs to, where it is sent ahead of
/// the server's CopyInResponse: only Sync and earlier data can lie between.
const LOOK_BACK: usize = 4;

/// A COPY that reads the client's messages: that of the first entry of the queue.
#[derive(Debug)]
pub(super) struct CopyIn {
    /// The client has not ended it, nor sent anything that no COPY takes: the server ends the session at that, unless the COPY
    /// has failed before; what comes after it is the COPY's no more either way.
    open: bool,
    /// Syncs that it passes over, unless it fails first.
    spares: u64,
    /// Whether the client sent data for it, or its end.
    fed: bool,
}

impl Tracker {
    /// From here on the server reads the client's messages as the COPY's; those too that were sent ahead.
    pub(super) fn copy_begins(&mut self) {
        let mut copy = CopyIn { open: true, spares: 0, fed: false };
        while let Some(entry) = self.queue.get_mut(1) {
            match entry {
                Expect::Sync => copy.spares = copy.spares.saturating_add(1),
                Expect::CopyInput(0) => copy.fed = true,
                Expect::CopyInput(ends) => {
                    *ends = ends.saturating_sub(1);
                    copy.fed = true;
                    copy.open = false;
                    break;
                }
                _ => {
                    copy.open = false;
                    break;
                }
            }
            self.queue.remove(1);
        }
        self.copy = Some(copy);
    }

    /// Whether the server reads COPY data and the client has not ended it.
    pub(super) fn is_copying_in(&self) -> bool {
        self.copy.as_ref().is_some_and(|copy| copy.open)
    }

    /// Anything of the client's that no COPY takes.
    pub(super) fn copy_is_left(&mut self) {
        if let Some(copy) = &mut self.copy {
            copy.open = false;
        }
    }

    /// The COPY is about to fail at a message that no COPY takes. Every Sync before that message it has passed over, and the message
    /// itself is done with: up to version 13 the session goes on behind it, later servers end it.
    pub(super) fn copy_took_a_stray(&mut self, at: Timestamp, events: &mut Vec<Event>) {
        let Some(copy) = &mut self.copy else { return };
        copy.spares = 0;
        let mut behind = self.queue.iter().enumerate().skip(1);
        let stray = behind.find(|(_, entry)| !matches!(entry, Expect::CopyInput(_))).map(|(index, _)| index);
        let entry = stray.and_then(|index| self.queue.remove(index));
        let denied = matches!(entry, Some(Expect::Denied(_)));
        match self.taken_off(entry) {
            Some(Expect::Query(asked) | Expect::Call(asked)) if denied => {
                self.end(Run::new(asked.no, 0), How::plain(Outcome::Denied), at, events);
            }
            Some(Expect::Execute(sent)) if denied => {
                self.names.end_portal(&sent.portal, sent.no);
                self.end(Run::new(sent.no, 0), How::plain(Outcome::Denied), at, events);
            }
            Some(entry) => self.pass_over_stray(entry, at, events),
            None => {}
        }
    }

    fn pass_over_stray(&mut self, entry: Expect, at: Timestamp, events: &mut Vec<Event>) {
        let parsed = if let Expect::Parse(_, prepared) = &entry { Some(prepared.id) } else { None };
        self.pass_over(entry, at, events);
        // An Execute that was announced speaks of it, whatever becomes of that.
        let executes = |entry: &Expect| matches!(entry, Expect::Execute(sent) if Some(sent.prepared) == parsed);
        if let Some(id) = parsed.filter(|_| self.queue.iter().any(executes)) {
            self.unsaid.said(id);
        }
        self.end_unsaid(at, events);
    }

    /// A Sync of the client's: true where the COPY passes over it.
    pub(super) fn copy_swallows_sync(&mut self) -> bool {
        match &mut self.copy {
            Some(copy) if copy.open => {
                copy.spares = copy.spares.saturating_add(1);
                true
            }
            _ => false,
        }
    }

    /// CopyData of the client's.
    pub(super) fn sent_copy_data(&mut self, bytes: u64) {
        match &mut self.copy {
            Some(copy) if copy.open => {
                copy.fed = true;
                if let Some(entry) = self.queue.front_mut() {
                    count(entry, bytes);
                }
            }
            _ => self.sent_copy_ahead(bytes, 0),
        }
    }

    /// CopyDone or CopyFail of the client's.
    pub(super) fn sent_copy_end(&mut self, bytes: u64) {
        match &mut self.copy {
            Some(copy) if copy.open => {
                copy.fed = true;
                copy.open = false;
                if let Some(entry) = self.queue.front_mut() {
                    count(entry, bytes);
                }
            }
            _ => self.sent_copy_ahead(bytes, 1),
        }
    }

    /// It may be for a COPY that the server has still to begin. Where no COPY reads it, the server drops it.
    fn sent_copy_ahead(&mut self, bytes: u64, more_ends: u32) {
        let _counted = self.queue.iter_mut().rev().take(LOOK_BACK).any(|entry| count(entry, bytes));
        match self.queue.back_mut() {
            None => {}
            Some(Expect::CopyInput(ends)) => *ends = ends.saturating_add(more_ends),
            Some(_) => self.queue.push_back(Expect::CopyInput(more_ends)),
        }
    }

    /// The COPY of a Query failed: ReadyForQuery follows, and as many more as it left Syncs.
    pub(super) fn copy_of_query_failed(&mut self) {
        if let Some(CopyIn { spares: 1.., .. }) = &self.copy
            && let Some(CopyIn { spares, .. }) = self.copy.take()
        {
            self.queue.insert(1, Expect::Spare(spares));
        }
        self.copy = None;
    }

    /// The COPY of an Execute failed, whose entry is gone: skips what the server skips.
    pub(super) fn copy_of_execute_failed(&mut self, at: Timestamp, events: &mut Vec<Event>) -> Result<(), OutOfStep> {
        let Some(CopyIn { spares: spares @ 1.., mut fed, .. }) = self.copy.take() else {
            self.skip(at, events);
            return Ok(());
        };
        while let Some(Expect::CopyInput(_)) = self.queue.front() {
            fed = true;
            self.answered();
        }
        match self.queue.front() {
            None => self.skipping = true,
            Some(Expect::Sync) => {}
            Some(_) if fed => return Err(OutOfStep::Unclear),
            // Had the COPY read this it would have ended the session: it failed before the Sync, which is answered.
            Some(_) => {}
        }
        self.queue.push_front(Expect::Spare(spares));
        Ok(())
    }

    /// Whether it cannot be known if the server would skip what the client sends now.
    pub(super) fn is_unclear(&self) -> bool {
        self.skipping && matches!(self.queue.front(), Some(Expect::Spare(1..)))
    }

    /// ReadyForQuery that no Query asked for: takes the Sync off that it answers. False where there is none.
    pub(super) fn sync_answered(&mut self) -> bool {
        let is_aside = |entry: &&Expect| matches!(entry, Expect::Spare(_) | Expect::CopyInput(_));
        let aside = self.queue.iter().take_while(is_aside).count();
        if let Some(Expect::Sync) = self.queue.get(aside) {
            // Of several that may be answered the one that will be is taken first: it is the number that counts.
            self.queue.remove(aside);
            return true;
        }
        match self.queue.iter_mut().take(aside).find_map(spares) {
            Some(spares) => {
                *spares = spares.saturating_sub(1);
                true
            }
            None => false,
        }
    }
}

fn spares(entry: &mut Expect) -> Option<&mut u64> {
    match entry {
        Expect::Spare(spares @ 1..) => Some(spares),
        _ => None,
    }
}

/// Counts bytes of the client's to a statement; false where the entry is none.
fn count(entry: &mut Expect, bytes: u64) -> bool {
    let bytes_in = match entry {
        Expect::Query(asked) => &mut asked.bytes_in,
        Expect::Execute(sent) => &mut sent.bytes_in,
        _ => return false,
    };
    *bytes_in = bytes_in.saturating_add(bytes);
    true
}
