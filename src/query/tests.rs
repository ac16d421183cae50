//! Questions over a real log, half of it sealed.

mod grouping;
mod people;

use std::path::Path;

use arrow::util::pretty::pretty_format_batches;

use super::*;
use crate::audit::{Checkpoint, Config, Durability, Log, WhenUnwritable};
use crate::clock::Timestamp;
use crate::record::{Kind, Outcome, Session, SessionOutcome, Statement, Text};

/// 2026-11-23T10:00:00Z.
const MONDAY: i64 = 1_795_428_000_000_000;
const DAY_US: i64 = 86_400_000_000;
const HOUR_US: i64 = DAY_US / 24;

fn append(log: &mut Log, at: i64, user: &str, persons: u64) {
    let mut statement = Statement { db_user: Some(user.into()), persons: Some(persons), ..Statement::default() };
    statement.common.at = Timestamp(at);
    statement.relations = Some(["shop.customers".into()].into());
    log.append(statement);
}

fn config(path: &Path) -> Config {
    Config {
        path: path.to_path_buf(),
        durability: Durability::Process,
        store: None,
        when_unwritable: WhenUnwritable::Block,
        flush: std::time::Duration::from_secs(60),
        retention: crate::audit::Retention::default(),
        key_file: path.join("key"),
        signing_key: path.join("signing.key"),
    }
}

/// Three days: two of them sealed, the last both ways.
fn log(path: &Path) {
    let mut log = Log::open(&config(path), "w").unwrap();
    for day in 0..3 {
        append(&mut log, MONDAY + day * DAY_US, "anna", 10);
        append(&mut log, MONDAY + day * DAY_US, "ben", 1);
    }
    log.commit(&Checkpoint::default()).unwrap();
    log.seal().unwrap();
    append(&mut log, MONDAY + 2 * DAY_US, "anna", 100);
    log.commit(&Checkpoint::default()).unwrap();
}

/// A year of a file a day, and on the last day a file an hour.
fn long_log(path: &Path) {
    let mut log = Log::open(&config(path), "w").unwrap();
    (-325..40).for_each(|day| append(&mut log, MONDAY + day * DAY_US, "anna", 1));
    log.commit(&Checkpoint::default()).unwrap();
    log.seal().unwrap();
    for hour in 1..13 {
        append(&mut log, MONDAY + 39 * DAY_US + hour * HOUR_US, "ben", 1);
        append(&mut log, MONDAY + 39 * DAY_US + hour * HOUR_US + HOUR_US / 2, "ben", 1);
        log.commit(&Checkpoint::default()).unwrap();
        log.seal().unwrap();
    }
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

#[tokio::test(flavor = "multi_thread")]
async fn a_question_about_an_hour_opens_the_files_of_that_hour() {
    let folder = tempfile::tempdir().unwrap();
    long_log(folder.path());
    let engine = Engine::open(folder.path()).unwrap();
    // What a condition leaves of 377 files, and the rows that it finds.
    for (condition, files, rows) in [
        ("true", 377, "389"),
        ("at >= '2027-01-01T14:10:00Z' and at < '2027-01-01T15:10:00Z'", 2, "2"),
        ("at = '2027-01-01T14:30:00Z'", 1, "1"),
        ("at between '2027-01-01T21:00:00Z' and '2027-01-02T00:00:00Z' and persons > 0", 2, "4"),
        ("at > '2027-06-01T00:00:00Z'", 0, "0"),
        ("dt = '2026-11-30'", 1, "1"),
        ("week(at) = '2026-W49'", 7, "7"),
        ("week(at) > '2026-W52' and at < '2027-01-01T12:00:00Z'", 6, "7"),
        // In UTC, that week begins on a Sunday at 15:00.
        ("week(at at time zone 'Asia/Tokyo') = '2026-W48'", 8, "7"),
    ] {
        let sql = format!("select count(persons) from statements where {condition}");
        let planned = engine.plan(&sql).await.unwrap();
        let scanned = planned.scanned();
        assert_eq!(scanned.files(), files, "{condition}: {scanned:?}");
        assert_eq!(ask(&engine, &sql).await, rows, "{condition}");
    }
    // The file of an hour that is not asked for is not so much as opened.
    let day = folder.path().join("statements/dt=2027-01-01");
    let mut names: Vec<_> = std::fs::read_dir(&day).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    std::fs::write(&names[3], vec![0; usize::try_from(names[3].metadata().unwrap().len()).unwrap()]).unwrap();
    let evening = "select count(persons) from statements where at >= '2027-01-01T20:00:00Z'";
    assert_eq!(ask(&engine, evening).await, "6");
    assert!(engine.sql("select count(persons) from statements").await.is_err(), "the fault is there");
}

/// A file that the chain tells nothing of, or another length, is opened: what it holds is not known.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_chain_every_file_of_the_day_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    long_log(folder.path());
    std::fs::remove_dir_all(folder.path().join("chain")).unwrap();
    let engine = Engine::open(folder.path()).unwrap();
    let sql = "select count(persons) from statements where at = '2027-01-01T14:30:00Z'";
    assert_eq!(engine.plan(sql).await.unwrap().scanned().files(), 13);
    assert_eq!(ask(&engine, sql).await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn weeks_and_time_zones_are_those_of_the_calendar() {
    let folder = tempfile::tempdir().unwrap();
    log(folder.path());
    let engine = Engine::open(folder.path()).unwrap();
    let weeks = "select week(timestamp '2027-01-03T23:59:59Z'), week(timestamp '2027-01-04T00:00:00Z'), week(date '2024-12-30'), week(null)";
    assert_eq!(ask(&engine, weeks).await, "2026-W53 2027-W01 2025-W01 ");
    let by_week = "select week(at), count(*) from statements group by 1 order by 1";
    assert_eq!(ask(&engine, by_week).await, "2026-W48 7");
    // 2026-11-25T10:00Z is 19:00 in Tokyo; a Sunday evening in UTC is Monday there.
    let tokyo = "select distinct at at time zone 'Asia/Tokyo', date_part('hour', at at time zone 'Asia/Tokyo'), \
                 date_trunc('day', at at time zone 'Asia/Tokyo') from statements where dt = '2026-11-25'";
    assert_eq!(ask(&engine, tokyo).await, "2026-11-25T19:00:00+09:00 19 2026-11-25T00:00:00+09:00");
    let monday = "select week(arrow_cast(timestamp '2026-11-22T20:00:00Z', 'Timestamp(Microsecond, Some(\"UTC\"))') \
                  at time zone 'Asia/Tokyo')";
    assert_eq!(ask(&engine, monday).await, "2026-W48");
    for (sql, wanted) in [
        ("select week(persons) from statements", "week() takes a time or a date"),
        ("select person(at) from statements", "person() takes the value of a subject column"),
        ("select person('4711')", "name its file as [privacy].key_file"),
    ] {
        let told = refused(&engine, sql).await;
        assert!(told.contains(wanted) && !told.contains('\n'), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn views_show_what_auditors_ask_for() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Log::open(&config(folder.path()), "w").unwrap();
    let statements = [
        (Kind::Select, "select * from customers", Some(3), Outcome::Ok),
        (Kind::Grant, "grant select on customers to ben", None, Outcome::Ok),
        (Kind::Ddl, "alter table customers owner\nto ben", None, Outcome::Error),
        (Kind::Ddl, "create policy p on customers", None, Outcome::Ok),
        (Kind::Ddl, "create table policies (id int)", None, Outcome::Ok),
        (Kind::Update, "update customers set owner = $1", None, Outcome::Denied),
    ];
    for (number, (kind, query, persons, outcome)) in (0..).zip(statements) {
        let mut statement = Statement {
            db_user: Some("anna".into()),
            kind: Some(kind),
            query: Some(query.into()),
            persons,
            personal_rows: persons,
            outcome: Some(outcome),
            ..Statement::default()
        };
        statement.common.at = Timestamp(MONDAY + number * HOUR_US / 4);
        log.append(statement);
    }
    for outcome in [SessionOutcome::Closed, SessionOutcome::AuthFailed, SessionOutcome::Refused] {
        let mut session = Session { outcome: Some(outcome), ..Session::default() };
        session.common.at = Timestamp(MONDAY);
        log.append(session);
    }
    log.commit(&Checkpoint::default()).unwrap();
    log.seal().unwrap();
    let engine = Engine::open(folder.path()).unwrap().with_views().await.unwrap();
    assert_eq!(ask(&engine, "select query, persons from reads_of_personal_data").await, "select * from customers 3");
    let changes = "select kind, succeeded from privilege_changes order by at";
    assert_eq!(ask(&engine, changes).await, "grant true, ddl false, ddl true");
    assert_eq!(ask(&engine, "select succeeded, count(*) from logins group by 1 order by 1").await, "false 2, true 1");
    let hours = "select hour, db_user, statements, persons, errors, denied from activity_by_hour order by hour";
    assert_eq!(ask(&engine, hours).await, "2026-11-23T10:00:00Z anna 4 3 1 0, 2026-11-23T11:00:00Z anna 2  0 1");
    for View { name, .. } in VIEWS {
        let of_a_day = engine.plan(&format!("select * from {name} where dt = '2026-11-24'")).await.unwrap();
        assert_eq!(of_a_day.scanned().files(), 0, "{name}: a day is asked for, and that day's files are opened");
        assert!(engine.names().tables.contains(&name));
    }
}

#[tokio::test]
async fn a_question_that_was_asked_before_files_were_compacted_is_answered_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Log::open(&config(folder.path()), "w").unwrap();
    for hour in 0..4 {
        append(&mut log, MONDAY + hour * HOUR_US, "anna", 1 << hour);
        log.commit(&Checkpoint::default()).unwrap();
        log.seal().unwrap();
    }
    log.close().unwrap();
    let sum = "select sum(persons), count(*) from statements where persons > 0";
    let before = Engine::open(folder.path()).unwrap();
    let planned = before.plan(sum).await.unwrap();
    let done = crate::audit::compact(&config(folder.path()), Timestamp(MONDAY + DAY_US)).unwrap();
    assert_eq!((done[0].files, done[0].into), (4, 1));
    let mut rows = planned.rows().unwrap();
    let mut answer = Vec::new();
    while let Some(batch) = rows.next().await {
        answer.push(batch.unwrap());
    }
    let answer = pretty_format_batches(&answer).unwrap().to_string();
    assert!(answer.contains("| 15 ") && answer.contains("| 4 "), "{answer}");
    let after = Engine::open(folder.path()).unwrap();
    assert_eq!(after.plan(sum).await.unwrap().scanned().files(), 1);
    assert_eq!(pretty_format_batches(&after.sql(sum).await.unwrap()).unwrap().to_string(), answer);
}

/// Files that a question opens of a year of a file a day, and thirteen on the last.
async fn opened(engine: &Engine, condition: &str) -> (u64, String) {
    let sql = format!("select count(*) from statements where {condition}");
    (engine.plan(&sql).await.unwrap().scanned().files(), ask(engine, &sql).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_condition_on_a_function_of_time_opens_what_a_bare_range_would() {
    let folder = tempfile::tempdir().unwrap();
    long_log(folder.path());
    let engine = Engine::open(folder.path()).unwrap();
    let (all, rows) = opened(&engine, "persons >= 0").await;
    assert_eq!((all, rows.as_str()), (377, "389"));
    for (condition, files, rows) in [
        // MONDAY is 2026-11-23; a file a day of 10:00 from January on.
        ("date_trunc('day', at) = '2026-11-23'", 1, "1"),
        ("'2026-11-23' = date_trunc('day', at)", 1, "1"),
        ("at::date = '2026-11-23'", 1, "1"),
        ("cast(at as date) = date '2026-11-23'", 1, "1"),
        ("at::date in ('2026-11-23', '2026-11-25') and persons = 1", 2, "2"),
        ("at::date between '2026-11-23' and '2026-11-25'", 3, "3"),
        ("date_trunc('day', at) >= '2026-11-20' and date_trunc('day', at) < '2026-11-23'", 3, "3"),
        ("date_trunc('day', at) <= '2026-01-10' or at::date = '2026-03-01'", 10, "10"),
        ("at::date < '2026-01-10'", 8, "8"),
        ("date_trunc('week', at) = '2026-11-23'", 7, "7"),
        ("date_trunc('month', at) = '2026-11-01'", 30, "30"),
        ("date_trunc('month', at) < '2026-02-15'", 58, "58"),
        ("date_trunc('month', dt) = '2026-11-01'", 30, "30"),
        ("date_trunc('hour', at) = '2027-01-01T12:00:00Z'", 1, "2"),
        ("extract(year from at) = 2027", 13, "25"),
        ("extract(year from at) = 2026 and extract(month from at) = 11", 30, "30"),
        ("extract(dow from at) = 1 and extract(month from at) = 11", 5, "5"),
        ("date_part('week', at) = 48", 7, "7"),
        // Of a day in another time zone, the days beside it as well.
        ("date_trunc('day', at at time zone 'Asia/Tokyo') = '2026-11-22T15:00:00Z'", 6, "1"),
    ] {
        let (opened, found) = opened(&engine, condition).await;
        assert_eq!(found, rows, "{condition}");
        assert!(opened <= files && opened > 0, "{condition}: {opened} files");
    }
    // What says nothing of a day says nothing, and what is compared with a column is left as it is.
    for (condition, files) in [
        ("date_trunc('day', at) <> '2026-11-23'", 376),
        ("extract(hour from at) = 10", 377),
        ("date_trunc('day', at) = at", 377),
    ] {
        assert_eq!(opened(&engine, condition).await.0, files, "{condition}");
    }
}
