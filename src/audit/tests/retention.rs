//! What is past its time goes, with a signed trace; what is held, or goes otherwise, does not.

use std::fs;

use super::*;

/// Longer than [`Retention`]'s default.
const LATER_US: i64 = 401 * DAY_US;

/// Statements and a finding of Monday and Tuesday, sealed then, and a statement sealed two days before the time that is given.
fn aged(retention: &[&str]) -> (tempfile::TempDir, Config, Timestamp) {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    retention.iter().for_each(|written| config.retention.set(written).unwrap());
    let mut log = Log::open(&config, "w").unwrap();
    log.clock().set(Timestamp(MONDAY + DAY_US));
    for day in [0, 0, 1] {
        log.append(statement(MONDAY + day * DAY_US));
    }
    log.append(Finding { common: statement(MONDAY).common, finding_id: "f".into(), ..Finding::default() });
    log.commit(&checkpoint(1)).unwrap();
    log.seal().unwrap();
    let now = MONDAY + DAY_US + LATER_US;
    log.clock().set(Timestamp(now - 2 * DAY_US));
    log.append(statement(now - 2 * DAY_US));
    log.commit(&checkpoint(2)).unwrap();
    log.seal().unwrap();
    log.close().unwrap();
    (folder, config, Timestamp(now))
}

fn delete(config: &Config, now: Timestamp) -> usize {
    let mut log = Log::open(config, "w").unwrap();
    log.clock().set(now);
    let mut deleted = 0;
    while let count @ 1.. = log.delete_if_due(now).unwrap() {
        deleted += count;
    }
    deleted
}

fn proven(config: &Config) -> Verification {
    verify(&Place::folder(&config.path), &Held::default(), &mut |_| {}).unwrap()
}

#[test]
fn what_is_past_its_time_goes_and_the_chain_tells_of_it() {
    let (_folder, config, now) = aged(&["findings:forever"]);
    assert_eq!(delete(&config, now.plus_micros(-2 * DAY_US)), 0, "not yet");
    assert_eq!(delete(&config, now), 2);
    assert_eq!(seqs(&config.path), [4]);
    assert_eq!(Lake::open(&config.path).unwrap().records::<Finding>(None).count(), 1, "kept for ever");
    assert!(!config.path.join("statements/dt=2026-11-23").exists());
    let found = proven(&config);
    assert_eq!(found.faults, []);
    let deleted = &found.proofs[0].deleted;
    assert_eq!((deleted.files, deleted.records, found.proofs[0].records), (2, 3, 2));
    assert_eq!(deleted.from, "2026-11-23T10:00:00.000000Z");
    assert_eq!(
        (deleted.until.as_str(), &deleted.why[..]),
        ("2026-11-24T10:00:00.000000Z", &["older than 400 days".to_owned()][..])
    );
    // The log goes on, and numbers go on.
    let mut log = Log::open(&config, "w").unwrap();
    log.append(statement(now.0));
    log.commit(&checkpoint(3)).unwrap();
    log.close().unwrap();
    assert_eq!(seqs(&config.path), [4, 5]);
    assert_eq!((proven(&config).faults, delete(&config, now)), (vec![], 0));
}

#[test]
fn a_hold_keeps_what_it_names_for_as_long_as_it_is_there() {
    let (_folder, config, now) = aged(&[]);
    let hold = config.path.join("hold/case-7");
    fs::create_dir(hold.parent().unwrap()).unwrap();
    fs::write(&hold, "").unwrap();
    assert_eq!(delete(&config, now), 0);
    fs::write(&hold, "tables = ['statements']\nuntil = '2026-11-23'\nreason = 'a case'\n").unwrap();
    assert_eq!(delete(&config, now), 2, "Tuesday's statements, and the finding");
    assert_eq!(seqs(&config.path), [1, 2, 4]);
    fs::remove_file(&hold).unwrap();
    assert_eq!(delete(&config, now), 1);
    assert_eq!((seqs(&config.path), proven(&config).faults), (vec![4], vec![]));
}

#[test]
fn a_clock_that_jumps_ahead_deletes_nothing_for_a_day() {
    let (_folder, config, now) = aged(&[]);
    let jumped = now.plus_micros(1_000 * DAY_US);
    assert_eq!(delete(&config, jumped), 0);
    // Sealed under the new time, a day ago: it is believed then.
    let mut log = Log::open(&config, "w").unwrap();
    log.clock().set(jumped);
    log.append(statement(jumped.0));
    log.commit(&checkpoint(3)).unwrap();
    log.seal().unwrap();
    drop(log);
    assert_eq!(delete(&config, jumped), 0);
    assert_eq!(delete(&config, jumped.plus_micros(DAY_US + DAY_US / 2)), 4);
}

#[test]
fn records_of_a_clock_that_was_wrong_are_kept_as_long_as_others() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let mut log = Log::open(&config, "w").unwrap();
    log.clock().set(Timestamp(MONDAY));
    log.append(statement(0));
    log.commit(&checkpoint(1)).unwrap();
    log.seal().unwrap();
    drop(log);
    assert_eq!(delete(&config, Timestamp(MONDAY + 2 * DAY_US)), 0);
    assert_eq!(seqs(folder.path()), [1]);
}

/// Killed between the line in the chain and the file's removal.
#[test]
fn a_removal_that_was_cut_short_is_made_up_for_by_the_next_start() {
    let (folder, config, now) = aged(&[]);
    let before = tempfile::tempdir().unwrap();
    super::crash::copy(folder.path(), before.path());
    assert_eq!(delete(&config, now), 3);
    for file in ["statements/dt=2026-11-23", "findings/dt=2026-11-23"] {
        super::crash::copy(&before.path().join(file), &folder.path().join(file));
    }
    assert_eq!(proven(&config).faults, [], "what is told of as deleted may still be there");
    assert_eq!(delete(&config, now), 0);
    assert!(
        !folder.path().join("statements/dt=2026-11-23").exists()
            && !folder.path().join("findings/dt=2026-11-23").exists()
    );
    assert_eq!((proven(&config).faults, seqs(folder.path())), (vec![], vec![4]));
}

#[test]
fn what_goes_without_a_line_and_what_comes_in_its_place_is_found_out() {
    let (folder, config, now) = aged(&["statements:forever"]);
    assert_eq!(delete(&config, now), 1);
    // A file that somebody else lays where one was deleted.
    let partition = folder.path().join("findings/dt=2026-11-23");
    fs::create_dir_all(&partition).unwrap();
    let forged = partition.join("w-00000000000000000001.parquet");
    fs::write(&forged, "forged").unwrap();
    let found = proven(&config).faults;
    assert!(found.len() == 1 && found[0].what.contains("somebody put another file in its place"), "{found:?}");
    assert_eq!(delete(&config, now), 0);
    assert!(forged.exists(), "nor is it taken away: it is evidence");
    fs::remove_file(forged).unwrap();
    fs::remove_dir_all(folder.path().join("statements/dt=2026-11-23")).unwrap();
    let found = proven(&config).faults;
    assert!(found.len() == 1 && found[0].what.starts_with("is missing: it held 2 records"), "{found:?}");
    // A line that says so, written without the key, or of a file that never was.
    let chain = folder.path().join("chain/w.jsonl");
    let text = fs::read_to_string(&chain).unwrap();
    let deleted = text.lines().find(|line| line.contains("\"deleted\"")).unwrap();
    fs::write(&chain, text.replace(deleted, &deleted.replace("findings/dt=2026-11-23", "statements/dt=2026-11-23")))
        .unwrap();
    let found: Vec<String> = proven(&config).faults.iter().map(ToString::to_string).collect();
    assert!(found.iter().any(|fault| fault.contains("its signature does not hold")), "{found:?}");
    assert!(found.iter().any(|fault| fault.contains("no line before it tells of such a file")), "{found:?}");
}
