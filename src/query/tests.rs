//! Questions over a real log, half of it sealed.

use std::path::Path;

use arrow::util::pretty::pretty_format_batches;

use super::*;
use crate::audit::{Checkpoint, Config, Durability, Log, WhenUnwritable};
use crate::clock::Timestamp;
use crate::record::Statement;

/// 2026-11-23T10:00:00Z.
const MONDAY: i64 = 1_795_428_000_000_000;
const DAY_US: i64 = 86_400_000_000;

fn append(log: &mut Log, at: i64, user: &str, persons: u64) {
    let mut statement = Statement { db_user: Some(user.into()), persons: Some(persons), ..Statement::default() };
    statement.common.at = Timestamp(at);
    statement.relations = Some(["shop.customers".into()].into());
    log.append(statement);
}

/// Three days: two of them sealed, the last both ways.
fn log(path: &Path) {
    let config = Config {
        path: path.to_path_buf(),
        durability: Durability::Process,
        when_unwritable: WhenUnwritable::Block,
        flush: std::time::Duration::from_secs(60),
        key_file: path.join("key"),
        signing_key: path.join("signing.key"),
    };
    let mut log = Log::open(&config, "w").unwrap();
    for day in 0..3 {
        append(&mut log, MONDAY + day * DAY_US, "anna", 10);
        append(&mut log, MONDAY + day * DAY_US, "ben", 1);
    }
    log.commit(&Checkpoint::default()).unwrap();
    log.seal().unwrap();
    append(&mut log, MONDAY + 2 * DAY_US, "anna", 100);
    log.commit(&Checkpoint::default()).unwrap();
}

async fn ask(engine: &Engine, sql: &str) -> String {
    let batches = engine.sql(sql).await.unwrap();
    let cells = pretty_format_batches(&batches).unwrap().to_string();
    let rows: Vec<String> = cells
        .lines()
        .skip(3)
        .filter(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>().join(" "))
        .collect();
    rows.join(", ")
}

async fn refused(engine: &Engine, sql: &str) -> String {
    engine.sql(sql).await.map(drop).unwrap_err().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn files_and_journal_are_one_table() {
    let folder = tempfile::tempdir().unwrap();
    log(folder.path());
    let engine = Engine::open(folder.path()).unwrap();
    let sums = "select db_user, sum(persons), count(*) from statements group by 1 order by 1";
    assert_eq!(ask(&engine, sums).await, "anna 130 4, ben 3 3");
    assert_eq!(ask(&engine, "select count(*) from statements").await, "7");
    let by_day = "select dt, count(*) from statements where dt >= '2026-11-24' group by dt order by dt";
    assert_eq!(ask(&engine, by_day).await, "2026-11-24 2, 2026-11-25 3");
    let by_time = "select count(*) from statements where at >= '2026-11-25T10:00:00Z' and db_user = 'anna'";
    assert_eq!(ask(&engine, by_time).await, "2");
    let by_list = "select count(*) from statements where array_has(relations, 'shop.customers')";
    assert_eq!(ask(&engine, by_list).await, "7");
    assert_eq!(ask(&engine, "select distinct at from statements order by at limit 1").await, "2026-11-23T10:00:00Z");
    for table in ["transactions", "sessions", "findings", "reviews"] {
        assert_eq!(ask(&engine, &format!("select count(*) from {table}")).await, "0");
        assert_eq!(engine.sql(&format!("select * from {table}")).await.unwrap()[0].num_rows(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_condition_on_time_opens_the_files_of_its_days_only() {
    let folder = tempfile::tempdir().unwrap();
    log(folder.path());
    let engine = Engine::open(folder.path()).unwrap();
    // Whatever opens a file of another day meets a fault.
    for day in ["dt=2026-11-23", "dt=2026-11-24"] {
        let partition = folder.path().join("statements").join(day);
        let file = std::fs::read_dir(&partition).unwrap().next().unwrap().unwrap().path();
        std::fs::write(file, "not Parquet").unwrap();
    }
    for condition in ["dt = '2026-11-25'", "at >= '2026-11-25T00:00:00Z'", "dt > date '2026-11-24' and persons > 0"] {
        assert_eq!(ask(&engine, &format!("select count(persons) from statements where {condition}")).await, "3");
    }
    assert!(engine.sql("select sum(persons) from statements").await.is_err(), "the fault is there");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_a_question_is_refused_and_a_mistake_is_pointed_at() {
    let folder = tempfile::tempdir().unwrap();
    log(folder.path());
    let engine = Engine::open(folder.path()).unwrap();
    let elsewhere = folder.path().join("stolen.csv");
    let copy = format!("copy statements to '{}'", elsewhere.display());
    for sql in [
        "insert into statements select * from statements",
        "drop table statements",
        "create table t as select 1",
        "create external table p stored as csv location '/etc/passwd'",
        "set datafusion.execution.batch_size = 1",
        "delete from statements",
        &copy,
        "",
    ] {
        assert!(!refused(&engine, sql).await.contains('\n'), "{sql}");
    }
    assert!(!elsewhere.exists());
    assert!(refused(&engine, "select * from '/etc/passwd'").await.contains("/etc/passwd"));
    assert!(refused(&engine, "select\n  nonsense from statements").await.starts_with("2:3: "));
    assert!(refused(&engine, "select * from nowhere").await.starts_with("1:15: "));
    assert!(refused(&engine, "selct 1").await.starts_with("1:1: "));
    assert!(Engine::open(&folder.path().join("nowhere")).is_err());
}
