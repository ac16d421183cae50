//! The house's own rules, checked from its source: what `clippy` does not know.
//!
//! In: the files of the repository. Out: every breach, as `file:line: what; how to mend it`. Each check has a test that shows
//! that it can fail, on a made-up snippet.

#![allow(clippy::expect_used, clippy::panic, reason = "a check that cannot read the repository has failed")]

#[path = "tidy/dependencies.rs"]
mod dependencies;
#[path = "tidy/fuzz.rs"]
mod fuzz;
#[path = "tidy/paths.rs"]
mod paths;
#[path = "tidy/rooms.rs"]
mod rooms;
#[path = "tidy/size.rs"]
mod size;
#[path = "tidy/source.rs"]
mod source;
#[path = "tidy/words.rs"]
mod words;

use source::{Source, breach, repository};

fn rust() -> Vec<Source> {
    let files = repository().into_iter().filter(|file| file.path.ends_with(".rs")).collect::<Vec<_>>();
    assert!(files.len() > 30, "the repository's Rust files were not found");
    files
}

#[track_caller]
fn none(breaches: Vec<String>) {
    assert!(breaches.is_empty(), "\n{}\n", breaches.join("\n"));
}

#[test]
fn rooms_import_only_rooms_above_them() {
    let files = rust();
    none(rooms::out_of_order(&rooms::declared(&files), &files));
}

#[test]
fn pure_rooms_are_pure() {
    let files = rust();
    let rooms = rooms::declared(&files);
    assert!(rooms.iter().filter(|room| room.pure).count() >= 4, "lib.rs marks PURE rooms");
    none(rooms::impure(&rooms, &files));
}

#[test]
fn files_and_functions_are_short() {
    let files = rust();
    none(size::long_files(&files));
    none(files.iter().flat_map(size::long_functions).collect());
}

#[test]
fn every_file_opens_with_its_doc() {
    none(rust().iter().filter_map(undocumented).collect());
}

fn undocumented(file: &Source) -> Option<String> {
    let opens = file.text.lines().next().unwrap_or_default();
    (!opens.starts_with("//! ")).then(|| {
        breach(&file.path, 1, "the file does not open with `//!`", "say what goes in, what comes out, what it refuses")
    })
}

#[test]
fn dependencies_are_used_and_chosen_by_hand() {
    let files = rust();
    let manifest = repository().into_iter().find(|file| file.path == "Cargo.toml").expect("Cargo.toml");
    let declared = dependencies::declared(&manifest.text);
    assert!(declared.len() > 10, "Cargo.toml's dependencies were not found");
    none(dependencies::unused(&declared, &files));
    none(dependencies::unexplained(&declared));
}

#[test]
fn the_fuzz_targets_have_what_their_rooms_need() {
    let files = repository();
    let manifest = |path: &str| {
        let manifest = files.iter().find(|file| file.path == path).expect(path);
        dependencies::declared(&manifest.text)
    };
    let rooms = rooms::declared_in(&files, "tests/fuzz/rooms.rs");
    assert!(rooms.len() > 4, "the fuzz targets' rooms were not found");
    none(fuzz::lacking(&rooms, &manifest("tests/fuzz/Cargo.toml"), &manifest("Cargo.toml"), &files));
}

#[test]
fn nothing_names_a_machine_or_a_package_registry() {
    none(repository().iter().flat_map(words::forbidden).collect());
}

#[test]
fn every_policy_is_built_in() {
    let files = repository();
    none(words::not_embedded(&files));
}

#[test]
fn a_file_without_doc_is_found() {
    assert!(undocumented(&Source::new("src/x.rs", "use std::fmt;\n")).expect("a breach").starts_with("src/x.rs:1: "));
    assert_eq!(undocumented(&Source::new("src/x.rs", "//! X.\n")), None);
}
