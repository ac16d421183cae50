//! The program's allocator: mimalloc, told to give memory back soon.
//!
//! In: nothing. Out: the allocator for a binary's `#[global_allocator]`, and the one setting that is not its default. What is free it keeps for a
//! second by default: under load that is all that was needed at any time within it, twice what is in use (benches/README.md).
//!
//! # Why this is `unsafe`, and why it is sound
//!
//! The setting has no safe interface. `mi_option_set` is mimalloc's own function of this signature (`mimalloc.h`), linked with it by `MiMalloc`; it
//! stores a number that is read before memory is given back, and takes no pointer. It is called at a process's start.
#![allow(unsafe_code, reason = "mimalloc's settings are set by a function of C")]

use std::ffi::{c_int, c_long};

pub use mimalloc::MiMalloc;

/// `mi_option_purge_delay` of `mimalloc.h`, version 3.
const PURGE_DELAY: c_int = 15;
/// How long what is free is kept for the next who needs it, milliseconds.
const PURGE_DELAY_MS: c_long = 10;

unsafe extern "C" {
    fn mi_option_set(option: c_int, value: c_long);
}

/// Has the allocator give back what is free. To be called once, first of all.
pub fn give_back_soon() {
    // SAFETY: see the module: a number goes in, nothing comes out.
    unsafe { mi_option_set(PURGE_DELAY, PURGE_DELAY_MS) };
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
        give_back_soon();
        assert_eq!(get(), PURGE_DELAY_MS);
    }
}
