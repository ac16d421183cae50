//! The record journal and the sealing under everything that can happen to them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;

fn journal_file(path: &Path) -> PathBuf {
    folder::numbered(&folder::records(path, "w"), journal::EXTENSION).unwrap().pop().unwrap().1
}

/// Commits of one, two, three … records.
fn commits(path: &Path, count: u64) -> Log {
    let mut log = Log::open(&config(path), "w").unwrap();
    for commit in 1..=count {
        for _ in 0..commit {
            log.append(statement(MONDAY));
        }
        log.commit(&checkpoint(commit)).unwrap();
    }
    log
}

/// A copy of a folder as it is now: what a process killed now would leave.
pub(super) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).unwrap()),
        }
    }
}

#[test]
fn a_journal_cut_off_anywhere_holds_whole_commits_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    drop(commits(folder.path(), 3));
    let path = journal_file(folder.path());
    let whole = fs::read(&path).unwrap();
    let mut seen = BTreeSet::new();
    // Every byte of the last commit, and of the one before where its frames meet; some of the rest.
    let tail = whole.len() / 3 * 2;
    for length in (0..=whole.len())
        .rev()
        .filter(|length| *length > whole.len() - 700 || length % (if *length > tail { 5 } else { 31 }) == 0)
    {
        fs::write(&path, &whole[..length]).unwrap();
        let found = seqs(folder.path());
        let last = [0, 1, 3, 6].iter().position(|count| *count == found.len()).unwrap();
        assert_eq!(found, numbers(found.len() as u64), "cut off at {length}");
        seen.insert(last);
        // Opening it again is dear: at some lengths only, and near every end of a commit.
        if length % 97 == 0 || length + 9 > whole.len() {
            let mut log = Log::open(&config(folder.path()), "w").unwrap();
            let expected = (last > 0).then(|| checkpoint(last as u64));
            assert_eq!(log.recovered(), expected.as_ref());
            log.append(statement(MONDAY));
            log.commit(&checkpoint(9)).unwrap();
            assert_eq!(seqs(folder.path()), numbers(found.len() as u64 + 1));
            for (_, path) in folder::numbered(&folder::records(folder.path(), "w"), journal::EXTENSION).unwrap() {
                fs::remove_file(path).unwrap();
            }
        }
    }
    assert_eq!(seen, BTreeSet::from([0, 1, 2, 3]));
}

#[test]
fn a_flipped_byte_costs_its_own_commit_at_most_and_doubles_nothing() {
    let folder = tempfile::tempdir().unwrap();
    drop(commits(folder.path(), 3));
    let path = journal_file(folder.path());
    let whole = fs::read(&path).unwrap();
    let expected = [[1].as_slice(), &[2, 3], &[4, 5, 6]];
    for at in (0..whole.len()).step_by(7) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x5a;
        fs::write(&path, bytes).unwrap();
        let found = seqs(folder.path());
        let lost: Vec<_> = expected.iter().filter(|commit| !commit.iter().all(|seq| found.contains(seq))).collect();
        assert!(lost.len() <= 1, "byte {at} of {}: {found:?}", whole.len());
        assert!(found.windows(2).all(|pair| pair[0] < pair[1]));
    }
}

#[test]
fn a_damaged_journal_is_sealed_as_far_as_it_is_whole_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    drop(commits(folder.path(), 3));
    let path = journal_file(folder.path());
    let mut bytes = fs::read(&path).unwrap();
    let second_batch = bytes.windows(4).enumerate().filter(|(_, bytes)| *bytes == b"mFr1").nth(3).unwrap().0;
    bytes[second_batch + 40] ^= 1;
    fs::write(&path, bytes).unwrap();
    let mut log = Log::open(&config(folder.path()), "w").unwrap();
    log.append(statement(MONDAY));
    log.commit(&checkpoint(4)).unwrap();
    log.seal().unwrap();
    assert_eq!(seqs(folder.path()), [1, 4, 5, 6, 7], "and the numbers tell what is missing");
    assert!(path.with_extension("damaged").is_file());
    drop(log);
    assert_eq!(Log::open(&config(folder.path()), "w").unwrap().recovered(), Some(&checkpoint(4)));
}

#[test]
fn a_crash_at_any_point_of_a_sealing_loses_and_doubles_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Log::open(&config(folder.path()), "w").unwrap();
    for day in [0, 1, 2, 0, 1, 2, 1] {
        log.append(statement(MONDAY + day * DAY_US));
        log.append(Session { common: statement(MONDAY + day * DAY_US).common, ..Session::default() });
    }
    log.commit(&checkpoint(1)).unwrap();
    let before = tempfile::tempdir().unwrap();
    copy(folder.path(), before.path());
    assert_eq!(log.seal().unwrap(), 6);
    let sealed: Vec<LakeFile> =
        Lake::open(folder.path()).unwrap().snapshots().unwrap().into_iter().flat_map(|s| s.files).collect();
    // The journal is still there, and any of the files, in any order, have their names already.
    for there in 0..1_u32 << sealed.len() {
        let crashed = tempfile::tempdir().unwrap();
        copy(before.path(), crashed.path());
        for (index, file) in sealed.iter().enumerate().filter(|(index, _)| there & 1 << index != 0) {
            let target = crashed.path().join(file.path.strip_prefix(folder.path()).unwrap());
            fs::create_dir_all(target.parent().unwrap()).unwrap();
            fs::copy(&file.path, target).unwrap();
            fs::write(crashed.path().join(format!("statements/.w{index}.unfinished")), "torn").unwrap();
        }
        let all = |what: &str| {
            assert_eq!(seqs(crashed.path()), numbers(7), "{what}, {there:b}");
            assert_eq!(Lake::open(crashed.path()).unwrap().records::<Session>(None).count(), 7);
        };
        all("as it lies");
        let mut log = Log::open(&config(crashed.path()), "w").unwrap();
        log.append(statement(MONDAY));
        log.commit(&checkpoint(2)).unwrap();
        log.seal().unwrap();
        assert_eq!(seqs(crashed.path()), numbers(8), "sealed again, {there:b}");
        assert!(journal::read(&journal_file(crashed.path())).unwrap().batches.is_empty());
    }
}

#[test]
fn who_reads_while_others_commit_and_seal_sees_every_record_once() {
    const RECORDS: u64 = 150;
    let folder = tempfile::tempdir().unwrap();
    let committed = AtomicU64::new(0);
    drop(Log::open(&config(folder.path()), "w").unwrap());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut log = Log::open(&config(folder.path()), "w").unwrap();
            for number in 1..=RECORDS {
                log.append(statement(MONDAY + i64::try_from(number % 2).unwrap() * DAY_US));
                log.commit(&checkpoint(number)).unwrap();
                committed.store(number, Ordering::Release);
                if number % 3 == 0 {
                    log.seal().unwrap();
                }
            }
        });
        loop {
            let at_least = committed.load(Ordering::Acquire);
            let found = seqs(folder.path());
            assert_eq!(found, numbers(found.len() as u64));
            assert!(found.len() as u64 >= at_least, "{} of {at_least}", found.len());
            if at_least == RECORDS {
                break;
            }
        }
    });
}

#[test]
fn a_commit_or_sealing_that_the_system_refuses_is_made_up_for_later() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Log::open(&config(folder.path()), "w").unwrap();
    log.append(statement(MONDAY));
    log.commit(&checkpoint(1)).unwrap();
    // Where the table's folder should be, something else is.
    let (table, away) = (folder.path().join("statements"), folder.path().join("away"));
    fs::rename(&table, &away).unwrap();
    fs::write(&table, "in the way").unwrap();
    assert!(log.seal().is_err());
    log.append(statement(MONDAY));
    log.commit(&checkpoint(2)).unwrap();
    assert!(log.seal().is_err());
    fs::remove_file(&table).unwrap();
    fs::rename(&away, &table).unwrap();
    assert_eq!(seqs(folder.path()), [1, 2]);
    assert_eq!(log.seal().unwrap(), 2);
    assert_eq!(seqs(folder.path()), [1, 2]);
    assert_eq!(log.seal().unwrap(), 0);
}

#[test]
fn a_clock_that_jumps_loses_nothing_and_sealing_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Log::open(&config(folder.path()), "w").unwrap();
    let minute = 60_000_000;
    let times = [MONDAY, 0, -1, MONDAY + 400 * DAY_US, MONDAY - 40 * DAY_US, i64::MAX, i64::MIN, MONDAY];
    let mut now = MONDAY;
    for at in times {
        log.append(statement(at));
        log.commit(&checkpoint(1)).unwrap();
        assert_eq!(log.seal_if_due(Timestamp(now)).unwrap(), 0);
        now -= DAY_US;
        assert_eq!(log.seal_if_due(Timestamp(now)).unwrap(), 0, "back: the wait begins anew");
        assert_eq!(log.seal_if_due(Timestamp(now + minute - 1)).unwrap(), 0);
        assert_eq!(log.seal_if_due(Timestamp(now + minute)).unwrap(), 1);
    }
    assert_eq!(seqs(folder.path()), numbers(times.len() as u64));
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    // Nobody, not even root, makes folders there.
    let path = Path::new("/sys/mitsuke");
    assert!(Writer::claim(path).unwrap_err().to_string().contains("/sys/mitsuke"));
    assert!(Log::open(&config(path), "w").unwrap_err().to_string().contains("/sys/mitsuke"));
    assert!(Intake::open(&config(path), "w").map(drop).unwrap_err().to_string().contains("/sys/mitsuke"));
}

#[test]
fn a_checkpoint_frees_the_intake_and_a_restart_replays_from_it() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let mut log = Log::open(&config, "w").unwrap();
    log.commit(&checkpoint(5)).unwrap();
    drop(log);
    let (_intake, reader) = Intake::open(&config, "w").unwrap();
    assert_eq!(reader.live_from(), Position(5), "though no segment is left");
}
