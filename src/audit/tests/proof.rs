//! The chain, and whatever somebody may do to a log.

use std::fs;
use std::path::{Path, PathBuf};

use super::*;

/// Three sealings of one to three statements on two dates, and a finding; closed.
fn sealed() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Log::open(&config(folder.path()), "w").unwrap();
    for sealing in 1..=3 {
        for number in 0..sealing {
            log.append(statement(MONDAY + number * DAY_US));
        }
        log.append(Finding { finding_id: "f".into(), ..Finding::default() });
        log.commit(&checkpoint(u64::try_from(sealing).unwrap())).unwrap();
        log.seal().unwrap();
    }
    log.close().unwrap();
    folder
}

fn proven(folder: &Path, held: &Held) -> Verification {
    verify(&Place::folder(folder), held, &mut |_| {}).unwrap()
}

fn faults(folder: &Path) -> Vec<String> {
    proven(folder, &Held::default()).faults.iter().map(ToString::to_string).collect()
}

fn chain(folder: &Path) -> PathBuf {
    folder.join("chain/w.jsonl")
}

fn lines(folder: &Path) -> Vec<String> {
    fs::read_to_string(chain(folder)).unwrap().lines().map(str::to_owned).collect()
}

fn write_lines(folder: &Path, lines: &[String]) {
    fs::write(chain(folder), lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let lake = Lake::open(folder).unwrap().snapshots().unwrap();
    lake.into_iter().flat_map(|snapshot| snapshot.files).map(|file| file.path).collect()
}

#[test]
fn an_untouched_log_is_proven_and_says_what_it_holds() {
    let folder = sealed();
    let key = PublicKey::load(&public_beside(&config(folder.path()).signing_key)).unwrap();
    let heads = heads(&Place::folder(folder.path())).unwrap();
    let mut read = 0;
    let held = Held { keys: vec![key], heads: vec![heads[0].hash[..HEAD_DIGITS_MIN].to_owned()] };
    let found = verify(&Place::folder(folder.path()), &held, &mut |progress| read = progress.done).unwrap();
    assert_eq!(found.faults, []);
    let [proof] = &found.proofs[..] else { panic!("one writer: {found:?}") };
    assert_eq!((&proof.head, proof.key, proof.is_closed), (&heads[0], key, true));
    assert_eq!((proof.files, proof.records, proof.bytes), (files(folder.path()).len() as u64, 9, read));
    assert_eq!(found.unsealed, Some(0));
    // What is committed and not sealed is counted, and the log is open again.
    let mut log = Log::open(&config(folder.path()), "w").unwrap();
    log.append(statement(MONDAY));
    log.commit(&checkpoint(9)).unwrap();
    let found = proven(folder.path(), &held);
    assert_eq!((found.faults.len(), found.unsealed, found.proofs[0].is_closed), (0, Some(1), false));
}

#[test]
fn every_byte_of_a_file_that_is_altered_is_found_and_the_records_named() {
    let folder = sealed();
    for path in files(folder.path()) {
        let whole = fs::read(&path).unwrap();
        for at in (0..whole.len()).step_by(53).chain([whole.len() - 1]) {
            let mut altered = whole.clone();
            altered[at] ^= 1;
            fs::write(&path, &altered).unwrap();
            let [fault] = &faults(folder.path())[..] else { panic!("one fault at byte {at}") };
            let place = path.strip_prefix(folder.path()).unwrap().display().to_string();
            assert!(fault.starts_with(&format!("{place}: was altered")) && fault.contains("of w, numbers "), "{fault}");
        }
        fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        assert!(faults(folder.path())[0].contains("bytes and had"), "{:?}", faults(folder.path()));
        fs::write(&path, whole).unwrap();
    }
    assert_eq!(faults(folder.path()), [""; 0]);
}

#[test]
fn every_byte_of_a_chain_that_is_altered_is_found() {
    let folder = sealed();
    let whole = fs::read(chain(folder.path())).unwrap();
    for at in (0..whole.len()).step_by(7).chain([whole.len() - 2]) {
        let mut altered = whole.clone();
        altered[at] ^= 2;
        fs::write(chain(folder.path()), &altered).unwrap();
        assert!(!faults(folder.path()).is_empty(), "byte {at}");
    }
}

#[test]
fn lines_removed_moved_or_cut_off_are_found() {
    let folder = sealed();
    let whole = lines(folder.path());
    let head = Held { heads: vec![heads(&Place::folder(folder.path())).unwrap()[0].hash.clone()], ..Held::default() };
    for at in 0..whole.len() - 1 {
        let mut fewer = whole.clone();
        fewer.remove(at);
        write_lines(folder.path(), &fewer);
        assert!(!faults(folder.path()).is_empty(), "line {at} removed");
        let mut moved = whole.clone();
        moved.swap(at, at + 1);
        write_lines(folder.path(), &moved);
        assert!(!faults(folder.path()).is_empty(), "line {at} moved");
    }
    write_lines(folder.path(), &[&whole[..2], &whole[4..]].concat());
    assert!(faults(folder.path())[0].contains("line 3: 2 lines before it are missing"), "{:?}", faults(folder.path()));
    // The end of a chain is missed by its files, and by who has its head.
    write_lines(folder.path(), &whole[..whole.len() - 1]);
    assert_eq!(faults(folder.path()), [""; 0]);
    let found = proven(folder.path(), &head).faults;
    assert!(found[0].to_string().contains("cut off or written anew"), "{found:?}");
    write_lines(folder.path(), &whole[..whole.len() - 2]);
    assert!(faults(folder.path())[0].contains("is in no chain"), "{:?}", faults(folder.path()));
}

#[test]
fn files_removed_exchanged_or_added_are_found() {
    let folder = sealed();
    let files = files(folder.path());
    let [first, second, ..] = &files[..] else { panic!("several files") };
    let aside = folder.path().join("aside");
    fs::rename(first, &aside).unwrap();
    let [fault] = &faults(folder.path())[..] else { panic!("one fault") };
    assert!(fault.contains("is missing: it held 1 records of w, numbers 1 to 1, of 2026-11-23T10:00:00"), "{fault}");
    fs::rename(second, first).unwrap();
    fs::rename(&aside, second).unwrap();
    assert_eq!(faults(folder.path()).len(), 2);
    fs::rename(second, &aside).unwrap();
    fs::rename(first, second).unwrap();
    fs::rename(&aside, first).unwrap();
    assert_eq!(faults(folder.path()), [""; 0]);
    let added = first.with_file_name("w-00000000000000000009.parquet");
    fs::copy(first, &added).unwrap();
    let [fault] = &faults(folder.path())[..] else { panic!("one fault") };
    assert!(fault.contains("0009.parquet: is in no chain"), "{fault}");
    fs::remove_file(added).unwrap();
    fs::remove_file(chain(folder.path())).unwrap();
    assert_eq!(faults(folder.path()).len(), files.len(), "each file is in no chain");
}

#[test]
fn a_chain_written_anew_with_another_key_is_found() {
    let folder = sealed();
    let held = Held {
        keys: vec![PublicKey::load(&public_beside(&config(folder.path()).signing_key)).unwrap()],
        heads: vec![heads(&Place::folder(folder.path())).unwrap()[0].hash.clone()],
    };
    for table in ["statements", "findings", "chain"] {
        fs::remove_dir_all(folder.path().join(table)).unwrap();
    }
    fs::remove_dir_all(folder::journals(folder.path())).unwrap();
    let forger = Config { signing_key: folder.path().join("forged.key"), ..config(folder.path()) };
    let mut log = Log::open(&forger, "w").unwrap();
    log.append(statement(MONDAY));
    log.commit(&checkpoint(1)).unwrap();
    log.close().unwrap();
    assert_eq!(faults(folder.path()), [""; 0], "it is whole in itself");
    let found: Vec<String> = proven(folder.path(), &held).faults.iter().map(ToString::to_string).collect();
    assert!(found.iter().any(|fault| fault.contains("not the key that was given")), "{found:?}");
    assert!(found.iter().any(|fault| fault.contains("cut off or written anew")), "{found:?}");
}

#[test]
fn a_key_is_changed_with_the_word_of_the_one_before() {
    let folder = sealed();
    let config = config(folder.path());
    let first = PublicKey::load(&public_beside(&config.signing_key)).unwrap();
    fs::rename(&config.signing_key, config.signing_key.with_extension("old")).unwrap();
    fs::remove_file(public_beside(&config.signing_key)).unwrap();
    Log::open(&config, "w").unwrap().close().unwrap();
    let second = PublicKey::load(&public_beside(&config.signing_key)).unwrap();
    assert_ne!(first, second);
    let found = proven(folder.path(), &Held { keys: vec![first, second], ..Held::default() });
    assert_eq!((found.faults.len(), found.proofs[0].key), (0, second), "{found:?}");
    assert_eq!(faults(folder.path()), [""; 0]);
    // The old one is gone: nobody gives their word for the third.
    fs::remove_file(config.signing_key.with_extension("old")).unwrap();
    fs::remove_file(&config.signing_key).unwrap();
    Log::open(&config, "w").unwrap().close().unwrap();
    assert!(faults(folder.path())[0].contains("without the word of the one before"), "{:?}", faults(folder.path()));
}

/// Between the line that tells of a file and the file's own name the sidecar is killed.
#[test]
fn a_file_whose_naming_was_cut_short_is_named_by_the_next_start_or_withdrawn() {
    for unfinished_survives in [true, false] {
        let folder = sealed();
        let lines = lines(folder.path());
        let last_file = lines.iter().rposition(|line| line.contains("\"sealed\"")).unwrap();
        write_lines(folder.path(), &lines[..=last_file]);
        let line: serde_json::Value = serde_json::from_str(&lines[last_file]).unwrap();
        let path = folder.path().join(line["path"].as_str().unwrap());
        match unfinished_survives {
            true => fs::rename(&path, parquet::unfinished(&path, "w")).unwrap(),
            false => fs::remove_file(&path).unwrap(),
        }
        if unfinished_survives {
            assert_eq!(faults(folder.path()), [""; 0], "it is about to get its name");
        }
        Log::open(&config(folder.path()), "w").unwrap().close().unwrap();
        assert_eq!(path.exists(), unfinished_survives);
        let withdrawn = fs::read_to_string(chain(folder.path())).unwrap().contains("\"withdrawn\"");
        assert_eq!(withdrawn, !unfinished_survives);
        assert_eq!(faults(folder.path()), [""; 0]);
    }
}

#[test]
fn a_line_cut_short_is_cut_off_and_the_chain_goes_on() {
    let folder = sealed();
    let whole = fs::read(chain(folder.path())).unwrap();
    let end = whole.len() - lines(folder.path()).last().unwrap().len() - 1;
    for length in (end..whole.len()).step_by(29) {
        fs::write(chain(folder.path()), &whole[..length]).unwrap();
        assert_eq!(faults(folder.path()), [""; 0], "cut off at {length}");
        Log::open(&config(folder.path()), "w").unwrap().close().unwrap();
        assert_eq!(faults(folder.path()), [""; 0], "cut off at {length}, and gone on");
    }
}

#[test]
fn a_chain_that_leads_out_of_the_log_is_not_followed() {
    let folder = sealed();
    let key = SigningKey::load(&config(folder.path()).signing_key).unwrap();
    let first = &lines(folder.path())[0];
    let line = lines(folder.path())[1].clone();
    let path = serde_json::from_str::<serde_json::Value>(&line).unwrap()["path"].as_str().unwrap().to_owned();
    for other in ["/etc/passwd", "../../secret", "statements/../x", "a"] {
        let text = line.replace(&path, other);
        let signed = text.rsplit_once(",\"signature\":\"").unwrap().0;
        let forged = format!("{signed},\"signature\":\"{}\"}}", key.sign(signed.as_bytes()));
        write_lines(folder.path(), &[first.clone(), forged]);
        assert!(faults(folder.path()).iter().any(|fault| fault.contains("which is no file of a log")), "{other}");
    }
}
