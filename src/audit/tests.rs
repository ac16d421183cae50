//! The log as a whole: records in, records out, whatever happens in between.

mod compaction;
mod crash;
mod faults;
mod kill;
#[cfg(target_os = "linux")]
mod memory;
mod pieces;
mod proof;
mod reading;
mod retention;
mod size;

use std::path::Path;
use std::time::Duration;

use super::*;
use crate::clock::Timestamp;
use crate::record::{Finding, Outcome, Session, Statement, Table};

/// 2026-11-23T10:00:00Z.
pub const MONDAY: i64 = 1_795_428_000_000_000;
const DAY_US: i64 = 86_400_000_000;

pub fn config(path: &Path) -> Config {
    Config {
        path: path.to_path_buf(),
        store: None,
        durability: Durability::Process,
        when_unwritable: WhenUnwritable::Block,
        flush: Duration::from_secs(60),
        retention: Retention::default(),
        key_file: path.join("key"),
        signing_key: path.join("signing.key"),
    }
}

pub fn statement(at: i64) -> Statement {
    let mut statement = Statement { statement_no: 1, outcome: Some(Outcome::Ok), ..Statement::default() };
    statement.common.at = Timestamp(at);
    statement.relations = Some(["shop.customers".into(), "shop.orders".into()].into());
    statement.persons = Some(3);
    statement
}

fn checkpoint(position: u64) -> Checkpoint {
    Checkpoint { replay_from: Position(position), emitted_through: Position(position), state: vec![7; 3] }
}

/// Every statement's number as the lake has it, in order.
fn seqs(path: &Path) -> Vec<u64> {
    let records = Lake::open(path).unwrap().records::<Statement>(None);
    let mut seqs: Vec<u64> = records.map(|record| record.unwrap().common.seq).collect();
    seqs.sort_unstable();
    seqs
}

fn numbers(to: u64) -> Vec<u64> {
    (1..=to).collect()
}

#[test]
fn a_record_is_read_back_as_it_was_from_the_journal_and_from_parquet() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Log::open(&config(folder.path()), "w").unwrap();
    let mut one = statement(MONDAY);
    log.number(&mut one);
    log.append(one.clone());
    let mut finding = Finding { finding_id: "f".into(), evidence: Some([1, 2].into()), ..Finding::default() };
    log.number(&mut finding);
    log.append(finding.clone());
    assert_eq!(seqs(folder.path()), [0; 0], "not before it is committed");
    log.commit(&checkpoint(5)).unwrap();
    let lake = Lake::open(folder.path()).unwrap();
    let check = || {
        assert_eq!(lake.records::<Statement>(None).map(Result::unwrap).collect::<Vec<_>>(), [one.clone()]);
        assert_eq!(lake.records::<Finding>(None).map(Result::unwrap).collect::<Vec<_>>(), [finding.clone()]);
        assert_eq!(lake.records::<Session>(None).count(), 0);
    };
    check();
    assert_eq!(log.seal().unwrap(), 2);
    check();
    assert_eq!((one.common.seq, &*one.common.writer), (1, "w"));
    let name = folder.path().join("statements/dt=2026-11-23/w-00000000000000000001.parquet");
    assert!(name.is_file());
    assert_eq!(log.seal().unwrap(), 0, "nothing is left to seal");
}

#[test]
fn a_restart_goes_on_with_numbers_and_checkpoint_also_after_sealing() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    for round in 1..=6_u64 {
        let mut log = Log::open(&config, "w").unwrap();
        let expected = (round > 1).then(|| checkpoint(round - 1));
        assert_eq!(log.recovered(), expected.as_ref());
        log.append(statement(MONDAY));
        log.commit(&checkpoint(round)).unwrap();
        log.append(statement(MONDAY));
        if round % 2 == 0 {
            log.seal().unwrap();
        }
        assert_eq!(seqs(folder.path()), numbers(round), "the second was never committed");
    }
}

#[test]
fn a_batch_over_midnight_gives_a_file_a_day_and_a_range_finds_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Log::open(&config(folder.path()), "w").unwrap();
    for day in [1, 0, 1, 0, -3] {
        log.append(statement(MONDAY + day * DAY_US));
    }
    log.commit(&checkpoint(1)).unwrap();
    for sealed in [false, true] {
        if sealed {
            assert_eq!(log.seal().unwrap(), 3);
        }
        assert_eq!(seqs(folder.path()), numbers(5));
        let lake = Lake::open(folder.path()).unwrap();
        let monday = (Timestamp(MONDAY), Timestamp(MONDAY + 1));
        let found: Vec<u64> =
            lake.records::<Statement>(Some(monday)).map(|record| record.unwrap().common.seq).collect();
        assert_eq!(found, [2, 4]);
        let none = (Timestamp(MONDAY + 1), Timestamp(MONDAY + DAY_US));
        assert_eq!(lake.records::<Statement>(Some(none)).count(), 0);
    }
}

#[test]
fn a_number_that_is_not_appended_is_an_error_and_no_gap() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Log::open(&config(folder.path()), "w").unwrap();
    let (mut one, mut two) = (statement(MONDAY), statement(MONDAY));
    log.number(&mut one);
    log.number(&mut two);
    log.append(two);
    assert!(matches!(log.commit(&checkpoint(1)), Err(Error::SequenceGap { expected: 1, found: 2, .. })));
    log.append(one);
    log.commit(&checkpoint(1)).unwrap();
    assert_eq!(seqs(folder.path()), [1, 2]);
}

#[test]
fn what_is_no_log_is_said_so() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(Lake::open(folder.path()), Err(Error::NotALog(_))));
    assert!(matches!(Lake::open(&folder.path().join("nowhere")), Err(Error::Io { .. })));
    assert_eq!(Statement::NAME, "statements");
}
