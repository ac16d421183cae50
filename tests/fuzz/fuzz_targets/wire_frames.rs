//! Any bytes, cut anywhere: the frames and their contents are those that a slow reading of the whole finds.
#![no_main]

#[path = "../model/frames.rs"]
mod frames;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Err(fault) = frames::check(bytes) {
        panic!("{fault}");
    }
});
