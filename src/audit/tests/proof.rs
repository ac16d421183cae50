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
    assert_eq!(found.unsealed, Some(Unsealed::default()));
    // What is committed and not sealed is counted, and the log is open again.
    let mut log = Log::open(&config(folder.path()), "w").unwrap();
    log.append(statement(MONDAY));
    log.commit(&checkpoint(9)).unwrap();
    let found = proven(folder.path(), &held);
    assert_eq!((found.faults.len(), found.unsealed.unwrap().records, found.proofs[0].is_closed), (0, 1, false));
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

/// A log with so many commits of one statement each, none sealed.
fn unsealed(commits: u64) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Log::open(&config(folder.path()), "w").unwrap();
    for position in 1..=commits {
        log.append(statement(MONDAY + i64::try_from(position).unwrap()));
        log.commit(&checkpoint(position)).unwrap();
    }
    folder
}

fn journal_of(folder: &Path) -> PathBuf {
    folder.join("journal/w/records/00000000000000000001.log")
}

#[test]
fn what_is_not_sealed_yet_is_counted_with_its_time_and_damage_in_it_is_named() {
    let folder = unsealed(3);
    let found = proven(folder.path(), &Held::default());
    let tail = found.unsealed.unwrap();
    assert_eq!((found.faults.len(), tail.records), (0, 3));
    assert_eq!(
        (tail.from.as_str(), tail.until.as_str()),
        ("2026-11-23T10:00:00.000001Z", "2026-11-23T10:00:00.000003Z")
    );
    let whole = fs::read(journal_of(folder.path())).unwrap();
    // A torn end is what a crash leaves, and no damage: it was told to nobody.
    fs::write(journal_of(folder.path()), [&whole[..], b"half a commit"].concat()).unwrap();
    assert_eq!(proven(folder.path(), &Held::default()).faults, []);
    // Somewhere in the first of its records.
    let mut damaged = whole.clone();
    damaged[whole.len() / 5] ^= 1;
    fs::write(journal_of(folder.path()), &damaged).unwrap();
    let told = faults(folder.path());
    assert!(told[0].starts_with("journal/w/records/00000000000000000001.log: is damaged"), "{told:?}");
    assert!(told[1].contains("of statements hold 2 records, whose numbers go to 3"), "{told:?}");
}

#[test]
fn records_that_are_neither_in_a_file_nor_in_the_journal_are_missed() {
    let folder = unsealed(2);
    let mut log = Log::open(&config(folder.path()), "w").unwrap();
    log.seal().unwrap();
    log.append(statement(MONDAY));
    log.commit(&checkpoint(3)).unwrap();
    log.append(statement(MONDAY));
    log.commit(&checkpoint(4)).unwrap();
    drop(log);
    assert_eq!(proven(folder.path(), &Held::default()).unsealed.unwrap().records, 2);
    let journal = folder.path().join("journal/w/records/00000000000000000002.log");
    let kept = fs::read(&journal).unwrap();
    // Whoever removes the journal removes its records unseen, as nothing behind them is there; but not what is in the middle.
    let first = super::super::journal::read(&journal).unwrap();
    assert_eq!(first.batches.len(), 2);
    let mut without = kept.clone();
    let marker = b"mFr1";
    let frames: Vec<usize> = (0..kept.len() - 4).filter(|at| &kept[*at..*at + 4] == marker).collect();
    without.drain(frames[1]..frames[3]);
    fs::write(&journal, &without).unwrap();
    let told = faults(folder.path());
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("its files and journal of statements hold 3 records, whose numbers go to 4"), "{told:?}");
}

#[test]
fn a_gap_has_a_signed_line_of_its_own_once_whatever_is_replayed() {
    let folder = tempfile::tempdir().unwrap();
    let at = |micros| Some(Timestamp(MONDAY + micros));
    let gap = Gap { events: 120, first_at: at(1), last_at: at(2), cause: GapCause::Passed };
    let mut log = Log::open(&config(folder.path()), "w").unwrap();
    log.gap(Position(7), &gap);
    log.append(statement(MONDAY));
    log.commit(&checkpoint(7)).unwrap();
    drop(log);
    // Killed before its checkpoint was written, it is read again.
    let mut log = Log::open(&config(folder.path()), "w").unwrap();
    log.gap(Position(7), &gap);
    log.gap(Position(9), &Gap { events: 1, first_at: None, last_at: None, cause: GapCause::Damaged });
    log.commit(&checkpoint(9)).unwrap();
    log.close().unwrap();
    let found = proven(folder.path(), &Held::default());
    let told: Vec<(u64, u64)> = found.proofs[0].gaps.iter().map(|gap| (gap.position, gap.events)).collect();
    assert_eq!((found.faults, told), (Vec::new(), vec![(7, 120), (9, 1)]));
    assert_eq!(found.proofs[0].gaps[0].from.as_deref(), Some("2026-11-23T10:00:00.000001Z"));
    // What was let through cannot be made less.
    let mut lines = lines(folder.path());
    let line = lines.iter().position(|line| line.contains("\"events\":120")).unwrap();
    lines[line] = lines[line].replace("\"events\":120", "\"events\":12");
    write_lines(folder.path(), &lines);
    assert!(!faults(folder.path()).is_empty());
}
