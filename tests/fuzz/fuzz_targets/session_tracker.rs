//! Any client, any server that keeps to the protocol, any order in which their bytes come by: what the tracker tells is what
//! happened.
#![no_main]

#[path = "../model/mod.rs"]
mod model;

libfuzzer_sys::fuzz_target!(|choices: &[u8]| {
    if let Err(fault) = model::play(choices) {
        panic!("{fault}");
    }
});
