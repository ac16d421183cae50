//! What goes up into a store, when the store refuses at every request in turn, heard or unheard; and who has another's name.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use mitsuke::audit::{
    Checkpoint, Config, Durability, Error, Held, Lake, Log, Place, Retention, Shipper, StoreConfig, WhenUnwritable,
    verify,
};
use mitsuke::clock::Timestamp;
use mitsuke::record::{Finding, Statement};

use crate::support::bucket::Bucket;

/// 2026-11-23T10:00:00Z.
pub const MONDAY: i64 = 1_795_428_000_000_000;
pub const DAY_US: i64 = 86_400_000_000;

pub fn config(spool: &Path, store: StoreConfig) -> Config {
    Config {
        path: spool.to_path_buf(),
        store: Some(store),
        durability: Durability::Process,
        when_unwritable: WhenUnwritable::Block,
        flush: Duration::from_secs(60),
        retention: Retention::default(),
        key_file: spool.join("key"),
        signing_key: spool.join("signing.key"),
    }
}

/// Seals statements on so many days, one a day.
pub fn seal(config: &Config, days: i64) {
    Shipper::prepare(config).unwrap();
    let mut log = Log::open(config, "w").unwrap();
    for day in 0..days {
        let mut statement = Statement { statement_no: 1, ..Statement::default() };
        statement.common.at = Timestamp(MONDAY - day * DAY_US);
        log.append(statement);
    }
    log.append(Finding { finding_id: "f".into(), ..Finding::default() });
    log.commit(&Checkpoint::default()).unwrap();
    log.seal().unwrap();
}

pub fn seqs(lake: &Lake) -> Vec<u64> {
    let mut seqs: Vec<u64> = lake.records::<Statement>(None).map(|record| record.unwrap().common.seq).collect();
    seqs.sort_unstable();
    seqs
}

pub fn faults(place: &Place) -> Vec<String> {
    let found = verify(place, &Held::default(), &mut |_| {}).unwrap();
    found.faults.iter().map(ToString::to_string).collect()
}

/// The store alone, as another machine has it.
pub fn stored(config: &Config) -> Place {
    let elsewhere = tempfile::tempdir().unwrap();
    Place::of(&Config { path: elsewhere.path().to_path_buf(), ..config.clone() }).unwrap()
}

/// All of it once, in the store alone and with the spool beside it, and proven.
pub fn check(config: &Config, statements: u64, when: &str) {
    let all: Vec<u64> = (1..=statements).collect();
    for place in [stored(config), Place::of(config).unwrap()] {
        assert_eq!(seqs(&Lake::at(place.clone()).unwrap()), all, "{when}");
        assert_eq!(faults(&place), [""; 0], "{when}");
    }
}

/// One run with the store refusing from a request on; then what a reader beside the spool sees; then one that is not refused.
fn refused_at(bucket: &Bucket, number: i64, is_heard: bool) {
    let when = format!("request {number}, heard {is_heard}");
    let spool = tempfile::tempdir().unwrap();
    let config = config(spool.path(), bucket.config(&format!("sweep/{number}-{is_heard}")));
    seal(&config, 2);
    bucket.answer(number, is_heard);
    let refused = Shipper::once(&config);
    bucket.answer_all();
    assert!(matches!(refused, Err(Error::Store { .. })), "{when}: {refused:?}");
    assert_eq!(seqs(&Lake::of(&config).unwrap()), [1, 2], "{when}: a reader beside the spool");
    seal(&config, 1);
    Shipper::once(&config).unwrap_or_else(|error| panic!("{when}: {error}"));
    check(&config, 3, &when);
}

#[test]
fn whichever_request_the_store_refuses_heard_or_not_all_is_there_once_after_the_next_run() {
    let bucket = Bucket::start();
    let spool = tempfile::tempdir().unwrap();
    let config = config(spool.path(), bucket.config("sweep/whole"));
    seal(&config, 2);
    let before = bucket.asked();
    Shipper::once(&config).unwrap();
    let requests = bucket.asked() - before;
    assert!(requests >= 5, "a listing, three files, a chain: {requests}");
    seal(&config, 1);
    Shipper::once(&config).unwrap();
    check(&config, 3, "nothing is refused");
    for number in 0..requests {
        refused_at(&bucket, number, false);
        refused_at(&bucket, number, true);
    }
}

#[test]
fn a_chain_of_many_lines_lies_in_objects_of_some_and_files_that_are_long_go_up_in_parts() {
    let bucket = Bucket::start();
    let spool = tempfile::tempdir().unwrap();
    let config = config(spool.path(), bucket.config("many"));
    seal(&config, 20);
    // A line each.
    for _ in 0..500 {
        drop(Log::open(&config, "w").unwrap());
    }
    Shipper::once(&config).unwrap();
    let objects = bucket.folder("many/chain/w").read_dir().unwrap().count();
    assert_eq!(objects, 2);
    // Texts that do not compress.
    let mut log = Log::open(&config, "w").unwrap();
    let mut state = 4711_u64;
    for _ in 0..1_500 {
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            char::from_u32(0x4e00 + u32::try_from(state >> 50).unwrap() % 20_000).unwrap()
        };
        let query: String = (0..4_000).map(|_| random()).collect();
        let mut statement = Statement { query: Some(query.into()), ..Statement::default() };
        statement.common.at = Timestamp(MONDAY);
        log.append(statement);
    }
    log.commit(&Checkpoint::default()).unwrap();
    log.seal().unwrap();
    drop(log);
    Shipper::once(&config).unwrap();
    let files = Lake::at(stored(&config)).unwrap().snapshot::<Statement>().unwrap().files;
    assert!(files.iter().any(|file| file.bytes > 8 << 20), "one that went up in parts");
    assert_eq!(faults(&stored(&config)), [""; 0]);
}

#[test]
fn who_has_another_s_name_writes_over_nothing_and_is_told() {
    let bucket = Bucket::start();
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = config(one.path(), bucket.config("shared"));
    let second = config(other.path(), bucket.config("shared"));
    seal(&first, 2);
    Shipper::once(&first).unwrap();
    seal(&second, 1);
    let told = Shipper::once(&second);
    assert!(matches!(told, Err(Error::Taken { .. })), "{told:?}");
    check(&first, 2, "the first is untouched");
    // The other way round: a copy of a spool that went on, and the one that it was copied from.
    seal(&first, 1);
    Shipper::once(&first).unwrap();
    check(&first, 3, "and goes on");
    let names = Shipper::prepare(&Config { store: Some(bucket.config("elsewhere")), ..first.clone() });
    assert!(matches!(names, Err(Error::OtherStore { .. })), "{names:?}");
}

#[test]
fn what_is_past_its_time_goes_out_of_the_store_with_a_line_unless_a_hold_lies_there() {
    let bucket = Bucket::start();
    let spool = tempfile::tempdir().unwrap();
    let mut config = config(spool.path(), bucket.config("kept"));
    config.retention.set("1d").unwrap();
    seal(&config, 2);
    Shipper::once(&config).unwrap();
    let in_three_days = mitsuke::clock::Clock::system().now().plus_micros(3 * DAY_US);
    let delete = || Log::open(&config, "w").unwrap().delete_if_due(in_three_days).unwrap();
    let hold = bucket.folder("kept/hold/case-7");
    std::fs::create_dir_all(hold.parent().unwrap()).unwrap();
    std::fs::write(&hold, "tables = [\"statements\"]\n").unwrap();
    assert_eq!(delete(), 1, "the finding; statements are held");
    std::fs::remove_file(&hold).unwrap();
    assert_eq!(delete(), 2);
    // The line is there before the file is gone, and the file goes also where that was cut short.
    bucket.answer(4, false);
    let cut_short = Shipper::once(&config);
    bucket.answer_all();
    assert!(cut_short.is_err(), "it removes three files after its line");
    assert_eq!(faults(&stored(&config)), [""; 0]);
    Shipper::once(&config).unwrap();
    let found = verify(&stored(&config), &Held::default(), &mut |_| {}).unwrap();
    assert_eq!((found.faults.len(), found.proofs[0].deleted.records), (0, 3));
    assert!(Lake::at(stored(&config)).unwrap().snapshot::<Statement>().unwrap().files.is_empty());
}

#[test]
fn two_spools_of_one_host_have_names_of_their_own() {
    let bucket = Bucket::start();
    let names: BTreeSet<String> = (0..2)
        .map(|_| {
            let spool = tempfile::tempdir().unwrap();
            let config = config(spool.path(), bucket.config("names"));
            Shipper::prepare(&config).unwrap();
            mitsuke::audit::Writer::claim(&config.path).unwrap().name().to_owned()
        })
        .collect();
    assert_eq!(names.len(), 2, "{names:?}");
}

#[test]
fn more_than_may_wait_is_not_committed_until_some_of_it_went_up() {
    let bucket = Bucket::start();
    let spool = tempfile::tempdir().unwrap();
    let store = StoreConfig { spool_bytes_max: 1, ..bucket.config("full") };
    let config = config(spool.path(), store);
    seal(&config, 1);
    let mut log = Log::open(&config, "w").unwrap();
    log.append(Finding { finding_id: "g".into(), ..Finding::default() });
    assert!(matches!(log.commit(&Checkpoint::default()), Err(Error::SpoolFull { .. })));
    Shipper::once(&config).unwrap();
    log.commit(&Checkpoint::default()).unwrap();
    assert_eq!(Lake::of(&config).unwrap().records::<Finding>(None).count(), 2);
}
