//! Small files of a store become large ones: whatever the store refuses or misses meanwhile, each record is there once, and proven.

use std::path::Path;
use std::time::{Duration, SystemTime};

use mitsuke::audit::{Compacted, Config, Error, Held, Lake, Log, Place, Shipper, compact, verify};
use mitsuke::clock::{Clock, Timestamp};
use mitsuke::figures::Figures;
use mitsuke::query::Engine;
use mitsuke::record::Statement;

use super::sweep::{DAY_US, MONDAY, check, config, faults, seal, seqs, stored};
use crate::support::bucket::Bucket;
use crate::support::wait_for;

/// Both days of what is sealed are over.
const OVER: Timestamp = Timestamp(MONDAY + 2 * DAY_US);

/// Four files of each of two days, and four of findings, all in the store.
fn small(spool: &Path, bucket: &Bucket, prefix: &str) -> Config {
    let config = config(spool, bucket.config(prefix));
    for _ in 0..4 {
        seal(&config, 2);
    }
    Shipper::once(&config).unwrap();
    config
}

/// The names of the files of Monday's statements in the store.
fn names(bucket: &Bucket, prefix: &str) -> Vec<String> {
    let folder = bucket.folder(prefix).join("statements/dt=2026-11-23");
    let names = folder.read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.starts_with(['w', '_'])).collect();
    names.sort_unstable();
    names
}

/// How many files of both days, and of findings, other engines see.
fn named(bucket: &Bucket, prefix: &str) -> usize {
    let folders = ["statements/dt=2026-11-22", "statements/dt=2026-11-23", "findings/dt=1970-01-01"];
    let names = folders.iter().flat_map(|folder| bucket.folder(prefix).join(folder).read_dir().unwrap());
    names.filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().ends_with(".parquet")).count()
}

fn done(compacted: &[Compacted]) -> (u64, u64) {
    compacted.iter().fold((0, 0), |(files, into), one| (files + one.files, into + one.into))
}

/// Says that a file was written so many seconds from now.
fn written(path: &Path, seconds: i64) {
    let at = Clock::system().now().plus_micros(seconds * 1_000_000);
    let at = SystemTime::UNIX_EPOCH + Duration::from_micros(at.0.unsigned_abs());
    std::fs::File::options().append(true).open(path).unwrap().set_modified(at).unwrap();
}

fn asked(config: &Config) -> Engine {
    Engine::with_key(Lake::at(stored(config)).unwrap(), None).unwrap()
}

fn counted(engine: &Engine) -> String {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let answer =
        runtime.block_on(engine.sql("select count(*) as n, count(distinct seq) as d from statements")).unwrap();
    format!("{:?} {:?}", answer[0].column(0), answer[0].column(1))
}

#[test]
fn one_object_holds_what_many_held_and_who_had_listed_those_still_reads_them() {
    let bucket = Bucket::start();
    let spool = tempfile::tempdir().unwrap();
    let config = small(spool.path(), &bucket, "one");
    let listed = Lake::at(stored(&config)).unwrap().snapshot::<Statement>().unwrap();
    let engine = asked(&config);
    let before = counted(&engine);
    assert_eq!(done(&compact(&config, OVER).unwrap()), (12, 3), "a file a day and table");
    check(&config, 8, "compacted");
    let found = names(&bucket, "one");
    let named: Vec<&String> = found.iter().filter(|name| name.ends_with(".parquet")).collect();
    assert_eq!(named, ["w-00000000000000000001-00000000000000000007.parquet"], "{found:?}");
    let aside = found.iter().filter(|name| name.starts_with("_w-") && name.ends_with(".parquet.replaced")).count();
    assert_eq!((found.len(), aside), (5, 4), "four are aside, where no engine looks: {found:?}");
    // Who had listed the objects before, by either way to read them.
    let rows: usize = listed.into_batches(None).map(|batch| batch.unwrap().num_rows()).sum();
    assert_eq!((rows, counted(&engine)), (8, before));
    assert_eq!(done(&compact(&config, OVER).unwrap()), (0, 0), "there is nothing left to do");
    let found = verify(&stored(&config), &Held::default(), &mut |_| {}).unwrap();
    assert_eq!((found.faults, found.proofs[0].replaced, found.proofs[0].files), (vec![], 12, 3));

    // An hour later they are gone: the spool knows since when they were aside.
    let marker = config.path.join("journal/w/replaced");
    written(&marker, -3_700);
    Shipper::once(&config).unwrap();
    assert_eq!(names(&bucket, "one").len(), 1, "{:?}", names(&bucket, "one"));
    check(&config, 8, "an hour later");
    // The log goes on behind it, and is compacted again.
    seal(&config, 1);
    Shipper::once(&config).unwrap();
    check(&config, 9, "a file more");
}

#[test]
fn an_object_that_was_replaced_and_is_put_back_is_named_and_so_is_an_altered_one() {
    let bucket = Bucket::start();
    let spool = tempfile::tempdir().unwrap();
    let config = small(spool.path(), &bucket, "back");
    let folder = bucket.folder("back").join("statements/dt=2026-11-23");
    let source = folder.join("w-00000000000000000001.parquet");
    let bytes = std::fs::read(&source).unwrap();
    // As ten minutes after they went up: those that are here are read here.
    std::fs::remove_dir_all(config.path.join("statements/dt=2026-11-23")).unwrap();
    // One that was altered is refused, and keeps the rest of its day with it, and no other.
    let mut altered = bytes.clone();
    altered[8] ^= 1;
    std::fs::write(&source, &altered).unwrap();
    let refused = compact(&config, OVER).unwrap();
    assert_eq!((done(&refused), refused[0].refused.len()), ((8, 2), 1), "{refused:?}");
    assert!(refused[0].refused[0].contains("it was altered since it was sealed"), "{refused:?}");
    // One that is gone is left to `verify`.
    std::fs::remove_file(&source).unwrap();
    assert_eq!(done(&compact(&config, OVER).unwrap()), (3, 1));
    assert!(faults(&stored(&config))[0].contains("is missing: it held 1 records"));
    std::fs::write(&source, &bytes).unwrap();
    assert_eq!(done(&compact(&config, OVER).unwrap()), (2, 1));
    check(&config, 8, "compacted");

    std::fs::write(&source, &bytes).unwrap();
    assert_eq!(seqs(&Lake::at(stored(&config)).unwrap()).len(), 8, "our own readers see each record once");
    written(&source, 600);
    assert!(faults(&stored(&config))[0].contains("somebody put it back"), "{:?}", faults(&stored(&config)));
    std::fs::write(&source, b"another").unwrap();
    assert!(faults(&stored(&config))[0].contains("somebody put another file in its place"));
    std::fs::remove_file(&source).unwrap();
    check(&config, 8, "gone again");
}

/// Three files of one day, which are in the store alone.
fn three(spool: &Path, bucket: &Bucket, prefix: &str) -> Config {
    let config = config(spool, bucket.config(prefix));
    for _ in 0..3 {
        seal(&config, 1);
    }
    Shipper::once(&config).unwrap();
    for table in ["statements", "findings"] {
        std::fs::remove_dir_all(config.path.join(table)).unwrap();
    }
    config
}

/// A compaction with the store refusing from a request on; what readers see then; and one that is not refused.
fn refused_at(bucket: &Bucket, number: i64, is_heard: bool) {
    let when = format!("request {number}, heard {is_heard}");
    let spool = tempfile::tempdir().unwrap();
    let config = three(spool.path(), bucket, &format!("refused/{number}-{is_heard}"));
    bucket.answer(number, is_heard);
    let refused = compact(&config, OVER);
    bucket.answer_all();
    assert!(matches!(refused, Err(Error::Store { .. })), "{when}: {refused:?}");
    for place in [stored(&config), Place::of(&config).unwrap()] {
        assert_eq!(seqs(&Lake::at(place).unwrap()), [1, 2, 3], "{when}");
    }
    // The sidecar is started again, and seals a file more before it compacts.
    seal(&config, 1);
    compact(&config, OVER).unwrap_or_else(|error| panic!("{when}: {error}"));
    check(&config, 4, &when);
    let left = names(bucket, &format!("refused/{number}-{is_heard}"));
    let named = left.iter().filter(|name| name.ends_with(".parquet")).count();
    assert!(named <= 2, "{when}: sources are left: {left:?}");
}

#[test]
fn whichever_request_of_a_compaction_the_store_refuses_heard_or_not_each_record_is_there_once() {
    let bucket = Bucket::start();
    let spool = tempfile::tempdir().unwrap();
    let config = three(spool.path(), &bucket, "refused/none");
    let before = bucket.asked();
    compact(&config, OVER).unwrap();
    let requests = bucket.asked() - before;
    assert!(requests > 25, "six files read, their ends too, and put aside; two files put: {requests}");
    // Requests go out four at a time: which one is the n-th differs from run to run, and every second number meets all kinds of them.
    for number in (0..requests).step_by(2) {
        refused_at(&bucket, number, number % 4 == 0);
    }
}

/// As a sidecar does it, beside the log that is written; the store goes away in the middle, twice.
#[test]
fn a_store_that_is_stopped_in_the_middle_of_a_compaction_and_started_again_has_each_record_once() {
    let mut bucket = Bucket::start();
    let spool = tempfile::tempdir().unwrap();
    let config = small(spool.path(), &bucket, "stopped");
    let mut log = Log::open(&config, "w").unwrap();
    let shipper = Shipper::start(&config, Figures::default()).unwrap().unwrap();
    log.compact_if_due(OVER, true).unwrap();
    let now = std::cell::Cell::new(OVER);
    let begin = |log: &mut Log| {
        now.set(now.get().plus_micros(700_000_000));
        log.compact_if_due(now.get(), true).unwrap()
    };
    let at_first = bucket.asked();
    begin(&mut log);
    wait_for("the first requests", || (bucket.asked() > at_first + 3).then_some(()));
    bucket.stop();
    std::thread::sleep(Duration::from_millis(500));
    bucket.start_again();
    wait_for("a file that replaces others", || (begin(&mut log) > 0).then_some(()));
    bucket.stop();
    std::thread::sleep(Duration::from_millis(500));
    bucket.start_again();
    check(&config, 8, "the store is back");
    // A server that goes down may say that there is no such object: its group is smaller then, and made whole later.
    for few in [9, 6, 3] {
        wait_for("fewer files", || {
            begin(&mut log);
            (named(&bucket, "stopped") <= few).then_some(())
        });
    }
    drop(log);
    assert!(shipper.stop(Duration::from_secs(30)));
    check(&config, 8, "in the end");
}

#[test]
fn what_is_held_is_not_compacted_and_what_was_compacted_goes_when_it_is_past_its_time() {
    let bucket = Bucket::start();
    let spool = tempfile::tempdir().unwrap();
    let mut config = small(spool.path(), &bucket, "kept");
    let hold = bucket.folder("kept/hold/case-7");
    std::fs::create_dir_all(hold.parent().unwrap()).unwrap();
    std::fs::write(&hold, "tables = [\"statements\"]\n").unwrap();
    assert_eq!(done(&compact(&config, OVER).unwrap()), (4, 1), "the findings alone");
    std::fs::remove_file(&hold).unwrap();
    assert_eq!(done(&compact(&config, OVER).unwrap()), (8, 2));
    config.retention.set("1d").unwrap();
    let in_three_days = Clock::system().now().plus_micros(3 * DAY_US);
    std::fs::write(&hold, "from = \"2026-11-23\"\nuntil = \"2026-11-23\"\n").unwrap();
    let delete = || Log::open(&config, "w").unwrap().delete_if_due(in_three_days).unwrap();
    assert_eq!(delete(), 2, "all but Monday's statements");
    std::fs::remove_file(&hold).unwrap();
    assert_eq!(delete(), 1);
    Shipper::once(&config).unwrap();
    let found = verify(&stored(&config), &Held::default(), &mut |_| {}).unwrap();
    assert_eq!((found.faults, found.proofs[0].deleted.records), (vec![], 12));
    assert!(Lake::at(stored(&config)).unwrap().snapshot::<Statement>().unwrap().files.is_empty());
}

#[test]
fn a_log_is_compacted_where_its_spool_is_and_elsewhere_nothing_is_begun() {
    let bucket = Bucket::start();
    let (spool, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let config = small(spool.path(), &bucket, "where");
    let elsewhere = Config { path: other.path().join("spool"), ..config.clone() };
    let told = compact(&elsewhere, OVER).unwrap_err().to_string();
    assert!(told.contains("is no spool of s3://audit/where") && told.lines().count() == 1, "{told}");
    assert!(!elsewhere.path.exists());
    // A file is no longer than a part of what may wait for the store.
    let mut narrow = config.clone();
    narrow.store.as_mut().unwrap().spool_bytes_max = 1;
    assert_eq!(done(&compact(&narrow, OVER).unwrap()), (0, 0));
    check(&config, 8, "as before");
}
