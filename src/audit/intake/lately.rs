//! What was appended lately, as it was: a reader that is not far behind needs not decrypt and decode it.
//!
//! In: entries with their events, as they are appended. Out: the same, in order, to a reader that is exactly there. Whoever asks elsewhere
//! reads the segment. Memory is bounded by whoever pushes; room is used again.

use std::collections::VecDeque;

use super::Position;
use crate::session::Event;

/// See the module.
#[derive(Default)]
pub(super) struct Lately {
    entries: VecDeque<Appended>,
    /// Of all of them.
    events: VecDeque<Event>,
    /// Their length in the segments.
    bytes: usize,
}

/// An entry that has just been appended.
pub(super) struct Appended {
    /// The segment it lies in, by its first event.
    pub(super) segment: Position,
    /// Its place in the segment's body …
    pub(super) offset: usize,
    /// … and the next one's.
    pub(super) end: usize,
    /// The position of the first of its events.
    pub(super) first: Position,
    /// How many.
    pub(super) count: usize,
}

impl Lately {
    /// The length in the segments of all that is here, bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Takes an entry of that length, and its events.
    pub(super) fn push(&mut self, entry: Appended, bytes: usize, events: impl Iterator<Item = Event>) {
        self.entries.push_back(entry);
        self.events.extend(events);
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// Swaps with `other`, which is empty: the room of both is used again.
    pub(super) fn swap_with_empty(&mut self, other: &mut Lately) {
        std::mem::swap(self, other);
        other.bytes = 0;
    }

    /// The events of the entry that begins there, and where the next one begins. Entries of before are dropped: they were read from the
    /// segment, because they were not here then.
    pub(super) fn next(
        &mut self,
        segment: Position,
        offset: usize,
        first: Position,
    ) -> Option<(impl Iterator<Item = Event>, usize)> {
        while let Some(passed) = self.entries.pop_front_if(|entry| entry.first < first) {
            self.events.drain(..passed.count);
        }
        let is_there =
            |entry: &mut Appended| entry.first == first && entry.offset == offset && entry.segment == segment;
        let entry = self.entries.pop_front_if(is_there)?;
        Some((self.events.drain(..entry.count), entry.end))
    }
}
