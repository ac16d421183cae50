//! The mapped memory of one intake segment: one [`Appender`], any number of [`View`]s.
//!
//! In: entries, in order. Out: the bytes appended so far. Refuses to write where a view may look.
//!
//! # Why this is an `unsafe` module
//!
//! An event must be out of the process's hands before the bytes it speaks of go on. `write(2)` for each is a system
//! call a statement, more than everything else Mitsuke does for it; a store into a shared mapping is a memory copy and
//! survives the process just as well, because the page cache, not the process, owns the pages. No safe interface to a
//! writable shared mapping exists.
//!
//! # Why it is sound
//!
//! * The mapping is made over blocks that `fallocate` has reserved, so that a full disk is an error when a segment is
//!   made and not SIGBUS when it is written. (On copy-on-write file systems a reservation is weaker; documented in
//!   [`super`].)
//! * The file's owner is the process that holds the writer's lock; nothing else truncates it while it is mapped.
//! * One `Appender` exists per mapping and needs `&mut self` to write. It writes the header's bytes and those at or
//!   beyond `end`. A `View` makes slices of `HEADER_BYTES..end` only. The two never overlap; `end` only grows, and is
//!   published with release and read with acquire order.
//! * All offsets are checked against the mapping's length before a pointer is made.
//! * A mapping is cleared and used again only by who owns it alone: no appender and no view of it is left.
#![allow(unsafe_code, reason = "a shared mapping is the only way to hand bytes to the kernel without a system call")]

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use memmap2::MmapRaw;

use super::segment::{ALIGNMENT, HEADER_BYTES};
use crate::system;

struct Mapping {
    memory: MmapRaw,
    file: File,
    path: PathBuf,
    /// Bytes published, from the segment's start. Between `HEADER_BYTES` and the mapping's length.
    end: AtomicUsize,
}

/// The writing end.
pub struct Appender {
    mapping: Arc<Mapping>,
}

/// The reading end.
#[derive(Clone)]
pub struct View {
    mapping: Arc<Mapping>,
}

/// A mapping that nobody has an end of any more, cleared: the next segment, whose blocks and pages are there already.
pub struct Spare(Mapping);

/// Makes a segment's file, which must not exist, reserves all its blocks, and writes its header.
///
/// # Errors
/// The system refuses, for want of space mostly. No file is left behind.
pub fn create(path: &Path, length: usize, header: &[u8; HEADER_BYTES]) -> io::Result<(Appender, View)> {
    let file = system::open(OpenOptions::new().read(true).write(true).create_new(true), path)?;
    let made = reserve(file, path, length).map(|mapping| begin(mapping, header));
    if made.is_err() {
        let _ = system::remove(path);
    }
    made
}

fn begin(mapping: Mapping, header: &[u8; HEADER_BYTES]) -> (Appender, View) {
    let mut appender = Appender { mapping: Arc::new(mapping) };
    appender.write_header(0, header);
    let view = View { mapping: Arc::clone(&appender.mapping) };
    (appender, view)
}

impl Spare {
    /// Makes it the segment `path`, which must not exist.
    ///
    /// # Errors
    /// The system refuses; no file is left behind.
    pub fn begin(self, path: &Path, header: &[u8; HEADER_BYTES]) -> io::Result<(Appender, View)> {
        let Spare(mut mapping) = self;
        let old = std::mem::replace(&mut mapping.path, path.to_path_buf());
        // Before the name: what has a segment's name has a header.
        let made = begin(mapping, header);
        if let Err(error) = system::rename(&old, path) {
            let _ = system::remove(&old);
            return Err(error);
        }
        Ok(made)
    }
}

fn reserve(file: File, path: &Path, length: usize) -> io::Result<Mapping> {
    system::reserve(&file, path, length as u64)?;
    let memory = MmapRaw::map_raw(&file)?;
    if memory.len() != length || length < HEADER_BYTES {
        return Err(io::Error::other("the file system made a file of another length"));
    }
    Ok(Mapping { memory, file, path: path.to_path_buf(), end: AtomicUsize::new(HEADER_BYTES) })
}

impl Appender {
    /// Bytes that an entry may still have.
    pub fn room(&self) -> usize {
        self.mapping.memory.len() - self.mapping.end.load(Ordering::Relaxed)
    }

    /// Appends an entry: all but its first word, then, with release order, the first word, which is what makes it
    /// one. A process killed between the two leaves a zero word, which ends the segment.
    ///
    /// False, and nothing written, where there is no room or the length is not a multiple of [`ALIGNMENT`].
    pub fn append(&mut self, entry: &[u8]) -> bool {
        let end = self.mapping.end.load(Ordering::Relaxed);
        let Some((word, rest)) = entry.split_first_chunk::<4>() else { return false };
        if entry.len() > self.room() || !entry.len().is_multiple_of(ALIGNMENT) || !end.is_multiple_of(ALIGNMENT) {
            return false;
        }
        let base = self.mapping.memory.as_mut_ptr();
        // SAFETY: `end + entry.len()` is within the mapping (checked above), `rest` cannot overlap it (a private
        // buffer), nobody reads at or beyond `end`, and `&mut self` of the only appender keeps other writers out.
        unsafe { std::ptr::copy_nonoverlapping(rest.as_ptr(), base.add(end + word.len()), rest.len()) };
        // SAFETY: within the mapping, aligned (mappings begin on a page, `end` is a multiple of 8), and not accessed
        // by anyone else, as above.
        let commit = unsafe { AtomicU32::from_ptr(base.add(end).cast()) };
        commit.store(u32::from_ne_bytes(*word), Ordering::Release);
        self.mapping.end.store(end + entry.len(), Ordering::Release);
        true
    }

    /// Overwrites bytes of the header, which no view ever looks at. Bytes beyond the header are left out.
    pub fn write_header(&mut self, offset: usize, bytes: &[u8]) {
        let length = bytes.len().min(HEADER_BYTES.saturating_sub(offset));
        let base = self.mapping.memory.as_mut_ptr();
        if length > 0 {
            // SAFETY: `offset + length` is within the header, which is within the mapping (checked in `reserve`);
            // views begin behind it, and `&mut self` keeps other writers out.
            unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), base.add(offset), length) };
        }
    }
}

impl View {
    /// What has been appended, header excluded.
    pub fn body(&self) -> &[u8] {
        let end = self.mapping.end.load(Ordering::Acquire);
        let base: *const u8 = self.mapping.memory.as_ptr();
        // SAFETY: `HEADER_BYTES..end` is within the mapping and initialised; the appender never writes below `end`
        // again, and the mapping outlives the borrow of `self`.
        unsafe { std::slice::from_raw_parts(base.add(HEADER_BYTES), end - HEADER_BYTES) }
    }

    /// Clears what was appended, where no one else has an end of it. `path`: what its file is called by now.
    pub fn clear(self, path: PathBuf) -> Result<Spare, View> {
        let mut mapping = Arc::try_unwrap(self.mapping).map_err(|mapping| View { mapping })?;
        let end = std::mem::replace(mapping.end.get_mut(), HEADER_BYTES);
        // SAFETY: `end` is within the mapping, and no reference into it exists: `mapping` is the only owner's.
        unsafe { std::ptr::write_bytes(mapping.memory.as_mut_ptr(), 0, end) };
        mapping.path = path;
        Ok(Spare(mapping))
    }

    /// Has the system write everything appended so far to the disk (`fdatasync`, which covers mapped pages).
    pub fn sync(&self) -> io::Result<()> {
        system::sync(&self.mapping.file, &self.mapping.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_seen_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("segment");
        let (mut appender, view) = create(&path, HEADER_BYTES + 32, &[7; HEADER_BYTES]).unwrap();
        assert!(view.body().is_empty());
        assert!(!appender.append(&[1; 12]), "not a multiple of the alignment");
        assert!(appender.append(&[1; 16]));
        assert!(!appender.append(&[2; 24]), "longer than the room");
        assert!(appender.append(&[3; 16]));
        assert_eq!(appender.room(), 0);
        appender.write_header(HEADER_BYTES - 1, &[9; 99]);
        assert_eq!(view.body(), [[1; 16], [3; 16]].concat());
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(bytes[..HEADER_BYTES - 1], [7; HEADER_BYTES - 1]);
        assert_eq!(bytes[HEADER_BYTES - 1], 9);
        assert_eq!(&bytes[HEADER_BYTES..], view.body());
        assert!(create(&path, HEADER_BYTES, &[0; HEADER_BYTES]).is_err(), "never over another segment");
    }

    #[test]
    fn a_view_sees_only_whole_entries_while_another_thread_appends() {
        let folder = tempfile::tempdir().unwrap();
        let length = HEADER_BYTES + 16 * 2_000;
        let (mut appender, view) = create(&folder.path().join("segment"), length, &[0; HEADER_BYTES]).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                for number in 1..=2_000_u64 {
                    assert!(appender.append(&[number.to_ne_bytes(), number.to_ne_bytes()].concat()));
                }
            });
            while view.body().len() < 16 * 2_000 {
                for (index, entry) in view.body().chunks(16).enumerate() {
                    assert_eq!(entry[..8], entry[8..]);
                    assert_eq!(entry[..8], (index as u64 + 1).to_ne_bytes());
                }
            }
        });
    }
}
