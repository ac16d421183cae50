//! Buffers for bytes under way, kept by the worker threads and not by the connections.
//!
//! In: a direction that has something to read. Out: a [`Buffer`], given back by dropping it. A connection that is idle holds
//! none, so ten thousand idle connections cost no buffer at all; a thread keeps at most [`KEPT_BUFFERS_MAX`], so that
//! steady traffic allocates nothing. A buffer is not cleared between its uses: it never leaves this process except for
//! the bytes that were read into it, between `start` and `end`.

use std::cell::RefCell;

/// The most that is read at once, and that is under way in one direction of one connection, bytes.
pub const BUFFER_BYTES: usize = 32 * 1024;
/// How many idle buffers a thread keeps.
pub const KEPT_BUFFERS_MAX: usize = 64;

thread_local! {
    static KEPT: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
}

/// Bytes that were read and not yet written.
#[derive(Debug)]
pub struct Buffer {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Buffer {
    /// An empty one, from this thread's where it has any.
    pub fn take() -> Buffer {
        let kept = KEPT.try_with(|kept| kept.borrow_mut().pop()).ok().flatten();
        Buffer { bytes: kept.unwrap_or_else(|| vec![0; BUFFER_BYTES].into_boxed_slice()), start: 0, end: 0 }
    }

    /// Room to read into, behind what is there.
    pub fn room(&mut self) -> &mut [u8] {
        &mut self.bytes[self.end..]
    }

    /// Whether there is no room left.
    pub fn is_full(&self) -> bool {
        self.end == self.bytes.len()
    }

    /// Appends what there is room for.
    pub fn put(&mut self, bytes: &[u8]) {
        let count = bytes.len().min(self.room().len());
        self.room()[..count].copy_from_slice(&bytes[..count]);
        self.filled(count);
    }

    /// `count` bytes of [`Buffer::room`] have been filled.
    pub fn filled(&mut self, count: usize) {
        self.end = (self.end + count).min(self.bytes.len());
    }

    /// What is still to be written.
    pub fn pending(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Only the first `count` bytes of [`Buffer::pending`] are to be written.
    pub fn keep(&mut self, count: usize) {
        self.end = self.end.min(self.start + count);
    }

    /// Takes off what is behind the first `count` bytes of [`Buffer::pending`]; `None` where there is nothing.
    pub fn split_off(&mut self, count: usize) -> Option<Buffer> {
        let behind = self.pending().get(count..).filter(|behind| !behind.is_empty())?;
        let mut other = Buffer::take();
        other.room()[..behind.len()].copy_from_slice(behind);
        other.filled(behind.len());
        self.keep(count);
        Some(other)
    }

    /// `count` bytes of [`Buffer::pending`] have been written.
    pub fn written(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        // A thread that is ending has no store any more: the buffer is freed then.
        let _ = KEPT.try_with(|kept| {
            let mut kept = kept.borrow_mut();
            if kept.len() < KEPT_BUFFERS_MAX {
                kept.push(bytes);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept() -> usize {
        KEPT.with(|kept| kept.borrow().len())
    }

    #[test]
    fn what_was_read_is_pending_until_written() {
        let mut buffer = Buffer::take();
        buffer.room()[..3].copy_from_slice(b"abc");
        buffer.filled(3);
        buffer.room()[..3].copy_from_slice(b"def");
        buffer.filled(3);
        buffer.written(2);
        assert_eq!(buffer.pending(), b"cdef");
        let behind = buffer.split_off(1).unwrap();
        assert_eq!((buffer.pending(), behind.pending()), (&b"c"[..], &b"def"[..]));
        assert!(buffer.split_off(1).is_none());
        buffer.written(4);
        assert!(buffer.pending().is_empty());
    }

    #[test]
    fn a_thread_uses_its_buffers_again_and_keeps_no_more_than_its_limit() {
        std::thread::spawn(|| {
            let first = Buffer::take().bytes.as_ptr();
            assert_eq!(Buffer::take().bytes.as_ptr(), first);
            let many: Vec<Buffer> = (0..KEPT_BUFFERS_MAX + 5).map(|_| Buffer::take()).collect();
            assert_eq!(kept(), 0);
            drop(many);
            assert_eq!(kept(), KEPT_BUFFERS_MAX);
        })
        .join()
        .unwrap();
    }
}
