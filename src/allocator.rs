//! The program's allocator: mimalloc, asked the short way, and told to give memory back soon.
//!
//! In: nothing. Out: the allocator for a binary's `#[global_allocator]`, and what is not as it would be by default. What is free it keeps for a
//! second: under load that is all that was needed at any time within it, twice what is in use. And it asks Linux for huge pages, of which one comes
//! whole for the first of its bytes: what was given back of it is there again, and stays, as the allocator knows nothing of it. A third of the
//! sidecar's memory was that (benches/README.md).
//!
//! The package `mimalloc` asks for every block by its alignment. Where a size is no power of two and no block of it lies ready, that makes
//! a longer block, in which the memory lies somewhere, and whoever gives back one of that page has to look for its beginning. What
//! needs no more than malloc gives anyway is asked of malloc here.
//!
//! # Why this is `unsafe`, and why it is sound
//!
//! The setting has no safe interface. `mi_option_set` is mimalloc's own function of this signature (`mimalloc.h`), linked with it by `MiMalloc`; it
//! stores a number that is read before memory is given back, and takes no pointer. It is called at a process's start.
//!
//! `mi_malloc`, `mi_zalloc`, `mi_realloc` and `mi_free` are those of C (C11, 7.22.3): memory of at least that size, aligned for whatever fits into
//! it, for up to 16 bytes (`MI_MAX_ALIGN_SIZE`); or null, which [`GlobalAlloc`] hands on. Any of mimalloc's blocks may be given to the last two,
//! however it was asked for. What is asked for does not depend on anything but the layout, and a test looks at each size.
#![allow(unsafe_code, reason = "mimalloc is a library of C, and an allocator's interface is unsafe")]

use std::alloc::{GlobalAlloc, Layout};
use std::ffi::{c_int, c_long, c_void};

use mimalloc::MiMalloc;

/// What malloc aligns for, in a block that is at least as long.
const ALIGNED: usize = 16;
/// `mi_option_purge_delay` of `mimalloc.h`, version 3.
const PURGE_DELAY: c_int = 15;
/// How long what is free is kept for the next who needs it, milliseconds.
const PURGE_DELAY_MS: c_long = 10;

unsafe extern "C" {
    fn mi_option_set(option: c_int, value: c_long);
    fn mi_malloc(size: usize) -> *mut c_void;
    fn mi_zalloc(size: usize) -> *mut c_void;
    fn mi_realloc(pointer: *mut c_void, size: usize) -> *mut c_void;
}

/// Has the allocator take what is needed and give back what is free. To be called once, first of all.
pub fn keep_small() {
    // SAFETY: see the module: a number goes in, nothing comes out.
    unsafe { mi_option_set(PURGE_DELAY, PURGE_DELAY_MS) };
    // The allocator's own setting would come too late: it has asked for its memory before the program begins. Where the system does not allow
    // it, it takes more.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

/// See the module.
#[derive(Debug)]
pub struct Allocator;

/// Whether malloc's blocks of that size are aligned so far.
const fn is_aligned(size: usize, align: usize) -> bool {
    align <= ALIGNED && align <= size
}

// SAFETY: see the module.
unsafe impl GlobalAlloc for Allocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match is_aligned(layout.size(), layout.align()) {
            // SAFETY: a number goes in.
            true => unsafe { mi_malloc(layout.size()) }.cast(),
            // SAFETY: as the caller's.
            false => unsafe { MiMalloc.alloc(layout) },
        }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        match is_aligned(layout.size(), layout.align()) {
            // SAFETY: a number goes in.
            true => unsafe { mi_zalloc(layout.size()) }.cast(),
            // SAFETY: as the caller's.
            false => unsafe { MiMalloc.alloc_zeroed(layout) },
        }
    }

    #[inline]
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller's; it gives to `mi_free` what is mimalloc's.
        unsafe { MiMalloc.dealloc(pointer, layout) };
    }

    #[inline]
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        match is_aligned(size, layout.align()) {
            // SAFETY: by the caller it is a block of mimalloc's, and of no use to anybody once this has another.
            true => unsafe { mi_realloc(pointer.cast(), size) }.cast(),
            // SAFETY: as the caller's.
            false => unsafe { MiMalloc.realloc(pointer, layout, size) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    unsafe extern "C" {
        fn mi_option_get(option: c_int) -> c_long;
    }

    #[test]
    fn the_setting_is_the_one_that_is_meant() {
        // SAFETY: as above.
        let get = || unsafe { mi_option_get(PURGE_DELAY) };
        assert_eq!(get(), 1_000, "its default tells that the number is the right one");
        keep_small();
        assert_eq!(get(), PURGE_DELAY_MS);
    }

    /// Room for `size` bytes, asked for in each way, of which each byte is written.
    fn ask(size: usize, align: usize) -> Vec<(*mut u8, Layout)> {
        let layout = Layout::from_size_align(size, align).unwrap();
        let longer = Layout::from_size_align(size + 3 * align, align).unwrap();
        // SAFETY: no size is 0, and each block is written within its length.
        unsafe {
            let zeroed = Allocator.alloc_zeroed(layout);
            assert!((0..size).all(|byte| zeroed.add(byte).read() == 0), "{layout:?}");
            let grown = Allocator.alloc(layout);
            grown.write_bytes(7, size);
            let grown = Allocator.realloc(grown, layout, longer.size());
            assert!((0..size).all(|byte| grown.add(byte).read() == 7), "{layout:?}");
            let blocks = vec![(Allocator.alloc(layout), layout), (zeroed, layout), (grown, longer)];
            for (block, layout) in &blocks {
                assert_eq!(block.addr() % align, 0, "{layout:?}");
                block.write_bytes(0xff, layout.size());
            }
            blocks
        }
    }

    #[test]
    fn whatever_is_asked_for_is_aligned() {
        let mut blocks = Vec::new();
        for align in [1, 2, 4, 8, 16, 32, 64, 4_096] {
            for size in (1..600).chain([1 << 10, 3_000, 9_999, 1 << 17, (1 << 20) + 1]) {
                blocks.extend(ask(size, align));
            }
        }
        for (block, layout) in blocks {
            // SAFETY: it was asked for with this layout.
            unsafe { Allocator.dealloc(block, layout) };
        }
    }
}
