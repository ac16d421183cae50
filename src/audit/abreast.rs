//! Pieces of a log read by several threads, taken in their order by one.
//!
//! In: what there is to read, and how. Out: what was read, in order. No reader goes further ahead than [`AHEAD`]: it waits until what was read
//! is taken. Whoever takes it and goes away ends the readers.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;

/// Pieces that are read ahead of the one that is taken, at most.
pub const AHEAD: usize = 16;
/// Threads that read at most.
const READERS_MAX: usize = 16;

/// Reads each job, on as many threads as the machine has, each of which keeps something of its own (`keep`); `take` is given the results.
pub fn read_abreast<J: Sync, K, T: Send, R>(
    jobs: &[J],
    keep: impl Fn() -> K + Sync,
    read: impl Fn(&J, &mut K) -> T + Sync,
    take: impl FnOnce(&mut InOrder<'_, T>) -> R,
) -> R {
    let readers = Readers::new(jobs.len(), AHEAD);
    let reading = |sender: SyncSender<(usize, T)>| {
        let mut kept = keep();
        while let Some(number) = readers.next() {
            let Some(job) = jobs.get(number) else { return };
            if sender.send((number, read(job, &mut kept))).is_err() {
                return;
            }
        }
    };
    thread::scope(|scope| {
        let (sender, receiver) = sync_channel(AHEAD);
        for _ in 0..thread::available_parallelism().map_or(1, usize::from).min(READERS_MAX) {
            let (sender, reading) = (sender.clone(), &reading);
            scope.spawn(move || reading(sender));
        }
        drop(sender);
        take(&mut InOrder::new(receiver, &readers))
    })
}

/// What the readers share.
struct Readers {
    state: Mutex<State>,
    has_moved: Condvar,
    pieces: usize,
    ahead: usize,
}

#[derive(Default)]
struct State {
    next: usize,
    taken: usize,
    is_over: bool,
}

impl Readers {
    /// For so many pieces, of which so many may be read before they are taken.
    fn new(pieces: usize, ahead: usize) -> Readers {
        Readers { state: Mutex::default(), has_moved: Condvar::new(), pieces, ahead: ahead.max(1) }
    }

    /// The next piece to read, when it may be; `None`: there is none, or nobody wants it any more.
    fn next(&self) -> Option<usize> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = |state: &mut State| {
            !state.is_over && state.next < self.pieces && state.next >= state.taken.saturating_add(self.ahead)
        };
        let mut state = self.has_moved.wait_while(state, waits).unwrap_or_else(PoisonError::into_inner);
        if state.is_over || state.next >= self.pieces {
            return None;
        }
        let number = state.next;
        state.next = number.saturating_add(1);
        Some(number)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.has_moved.notify_all();
    }
}

/// What was read, in order.
pub struct InOrder<'r, T> {
    read: Receiver<(usize, T)>,
    early: BTreeMap<usize, T>,
    next: usize,
    readers: &'r Readers,
}

impl<'r, T> InOrder<'r, T> {
    /// What these readers send.
    fn new(read: Receiver<(usize, T)>, readers: &'r Readers) -> InOrder<'r, T> {
        InOrder { read, early: BTreeMap::new(), next: 0, readers }
    }
}

impl<T> Iterator for InOrder<'_, T> {
    type Item = T;

    /// `None` where no reader is left that could send another.
    fn next(&mut self) -> Option<T> {
        loop {
            if let Some(contents) = self.early.remove(&self.next) {
                self.next = self.next.saturating_add(1);
                let taken = self.next;
                self.readers.change(|state| state.taken = taken);
                return Some(contents);
            }
            let (number, contents) = self.read.recv().ok()?;
            self.early.insert(number, contents);
        }
    }
}

impl<T> Drop for InOrder<'_, T> {
    fn drop(&mut self) {
        self.readers.change(|state| state.is_over = true);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;
    use std::thread;

    use super::*;

    #[test]
    fn pieces_come_in_order_whoever_read_them_and_none_is_read_too_early() {
        let readers = Readers::new(100, 4);
        thread::scope(|scope| {
            let (sender, receiver) = sync_channel(4);
            for _ in 0..3 {
                let (sender, readers) = (sender.clone(), &readers);
                scope.spawn(move || {
                    while let Some(number) = readers.next() {
                        let taken = readers.state.lock().unwrap().taken;
                        sender.send((number, (number, taken))).unwrap();
                    }
                });
            }
            drop(sender);
            let mut all = InOrder::new(receiver, &readers);
            for expected in 0..100 {
                let (number, taken) = all.next().unwrap();
                assert_eq!(number, expected);
                assert!(number < taken + 4 + 1, "{number} was read when {taken} had been taken");
            }
            assert_eq!(all.next(), None);
        });
    }

    #[test]
    fn readers_end_when_nobody_takes_what_they_read() {
        let readers = Readers::new(1_000_000, 2);
        thread::scope(|scope| {
            let (sender, receiver) = sync_channel(4);
            let (reading, readers) = (&readers, &readers);
            scope.spawn(move || {
                while let Some(number) = reading.next() {
                    if sender.send((number, ())).is_err() {
                        return;
                    }
                }
            });
            drop(InOrder::new(receiver, readers));
        });
    }
}
