//! The fuzz targets' models, run a little every time: over the inputs that a fuzzer found worth keeping, and over random ones.

#[path = "../fuzz/model/frames.rs"]
mod frames;
#[path = "../fuzz/model/mod.rs"]
mod model;

use std::path::Path;

use crate::differential::Dice;

/// Random inputs of each target.
const RANDOM: usize = 4_000;
/// Their longest, bytes.
const BYTES_MAX: usize = 400;
const SEED: u64 = 20_261_126;

/// A corpus of `tests/fuzz`: each file's name and content.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target);
    let files = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let read = |path: std::path::PathBuf| (path.display().to_string(), std::fs::read(&path).expect("a readable file"));
    let found: Vec<_> = files.map(|file| read(file.expect("an entry").path())).collect();
    assert!(found.len() > 20, "{} has too little in it", folder.display());
    found
}

fn hold(target: &str, check: fn(&[u8]) -> Result<(), String>) {
    let mut dice = Dice::new(SEED);
    let random = (0..RANDOM).map(|number| (format!("random input {number}"), dice.bytes(BYTES_MAX)));
    for (name, bytes) in corpus(target).into_iter().chain(random) {
        check(&bytes).unwrap_or_else(|fault| panic!("{name}: {fault}"));
    }
}

#[test]
fn the_tracker_tells_what_an_obvious_model_says_happened() {
    hold("session_tracker", model::play);
}

#[test]
fn frames_and_their_contents_are_read_as_a_slow_reader_reads_them() {
    hold("wire_frames", frames::check);
}
