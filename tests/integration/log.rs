//! The log from outside: the command that asks it, and the engines that others read it with.
#![allow(clippy::unwrap_used, reason = "a test's fixtures: a failure is the test's")]

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use mitsuke::audit::{Checkpoint, Config, Durability, Log, WhenUnwritable};
use mitsuke::clock::Timestamp;
use mitsuke::record::{Finding, Kind, Outcome, Session, Statement, Transaction};

use crate::support::programs;

/// 2026-11-23T10:00:00Z.
const MONDAY: i64 = 1_795_428_000_000_000;
const DAY_US: i64 = 86_400_000_000;

/// Ten statements over two days, a row of the other tables each; eight statements sealed.
fn write_log(path: &Path) {
    let config = Config {
        path: path.to_path_buf(),
        durability: Durability::Process,
        store: None,
        when_unwritable: WhenUnwritable::Block,
        flush: Duration::from_secs(60),
        retention: mitsuke::audit::Retention::default(),
        key_file: path.join("key"),
        signing_key: path.join("signing.key"),
    };
    let mut log = Log::open(&config, "db-1").unwrap();
    for number in 0..10_u64 {
        let mut statement = Statement {
            statement_no: number + 1,
            db_user: Some(if number % 2 == 0 { "anna, \"the\" clerk" } else { "ben" }.into()),
            kind: Some(Kind::Select),
            outcome: Some(Outcome::Ok),
            relations: Some(["shop.customers".into(), "shop.注文".into()].into()),
            persons: (number < 9).then_some(number),
            ..Statement::default()
        };
        statement.common.at = Timestamp(MONDAY + i64::try_from(number % 2).unwrap() * DAY_US);
        log.append(statement);
        if number == 7 {
            let common = mitsuke::record::Common { at: Timestamp(MONDAY), ..Default::default() };
            log.append(Session { common: common.clone(), ..Session::default() });
            log.append(Transaction { common: common.clone(), ..Transaction::default() });
            log.append(Finding { common, finding_id: "f".into(), evidence: Some([1, 2].into()), ..Finding::default() });
            log.commit(&Checkpoint::default()).unwrap();
            log.seal().unwrap();
        }
    }
    log.commit(&Checkpoint::default()).unwrap();
}

fn ask(log: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mitsuke"));
    command.env("MITSUKE_LOG__SIGNING_KEY", log.join("signing.key")).env("MITSUKE_PRIVACY__KEY_FILE", log.join("key"));
    command.arg("query").arg("--log").arg(log).args(arguments).current_dir(log).output().unwrap()
}

fn answer(log: &Path, arguments: &[&str]) -> String {
    let output = ask(log, arguments);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
    String::from_utf8(output.stdout).unwrap()
}

const SUMS: &str = "select db_user, sum(persons) as persons from statements group by 1 order by 1";

#[test]
fn a_question_is_answered_in_every_form() {
    let folder = tempfile::tempdir().unwrap();
    write_log(folder.path());
    let table = answer(folder.path(), &[SUMS]);
    assert!(table.contains("| ben               | 16      |"), "{table}");
    assert_eq!(
        answer(folder.path(), &[SUMS, "--format", "csv"]),
        "db_user,persons\n\"anna, \"\"the\"\" clerk\",20\nben,16\n"
    );
    assert_eq!(
        answer(folder.path(), &[SUMS, "--format", "json"]),
        "{\"db_user\":\"anna, \\\"the\\\" clerk\",\"persons\":20}\n{\"db_user\":\"ben\",\"persons\":16}\n"
    );
    let last = "select persons, relations from statements where statement_no = 10";
    assert_eq!(
        answer(folder.path(), &[last, "--format", "json"]),
        "{\"persons\":null,\"relations\":[\"shop.customers\",\"shop.注文\"]}\n"
    );
    assert_eq!(
        answer(folder.path(), &[last, "--format", "csv"]),
        "persons,relations\n,\"[shop.customers, shop.注文]\"\n"
    );
    let none = "select at from reviews where verdict = 'confirmed'";
    assert_eq!(answer(folder.path(), &[none, "--format", "csv"]), "at\n", "the columns are told also of nothing");
    assert!(answer(folder.path(), &[none]).contains("| at |"));
    let target = folder.path().join("answer.csv");
    assert_eq!(answer(folder.path(), &[SUMS, "--format", "csv", "--output", target.to_str().unwrap()]), "");
    assert!(std::fs::read_to_string(target).unwrap().ends_with("ben,16\n"));
    let by_ending = folder.path().join("answer.jsonl");
    assert_eq!(answer(folder.path(), &[SUMS, "--output", by_ending.to_str().unwrap()]), "");
    assert!(std::fs::read_to_string(by_ending).unwrap().ends_with("{\"db_user\":\"ben\",\"persons\":16}\n"));
    assert!(ask(folder.path(), &[SUMS, "--format", "parquet"]).stdout.starts_with(b"PAR1"));
    assert!(answer(folder.path(), &["describe statements"]).contains("fingerprint"));
}

#[test]
fn an_explanation_counts_the_files_that_would_be_opened() {
    let folder = tempfile::tempdir().unwrap();
    write_log(folder.path());
    let monday = "select * from statements where at < '2026-11-24T00:00:00Z'";
    let told = answer(folder.path(), &[monday, "--explain"]);
    assert!(told.contains("DataSourceExec") && told.contains("\nstatements: 1 of 2 files, "), "{told}");
    let told = answer(folder.path(), &[monday, "--explain", "--format", "json"]);
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!((&told["tables"][0]["files"], &told["tables"][0]["files_all"]), (&1.into(), &2.into()), "{told}");
    let told = answer(folder.path(), &["select count(*) from statements where dt = '2020-01-01'", "--explain"]);
    assert!(told.ends_with("no file is opened; what is not sealed yet is read from the journals\n"), "{told}");
}

#[test]
fn a_person_is_found_by_the_keyed_hash_of_their_key() {
    let folder = tempfile::tempdir().unwrap();
    write_log(folder.path());
    let key = mitsuke::audit::Key::load_or_create(&folder.path().join("key")).unwrap();
    let hash = key.subject_hash("4711");
    let ask_hash = "select person('4711') as a, person(4711) as b, person(null) as c";
    assert_eq!(answer(folder.path(), &[ask_hash, "--format", "csv"]), format!("a,b,c\n{hash},{hash},\n"));
    std::fs::remove_file(folder.path().join("key")).unwrap();
    let output = ask(folder.path(), &[ask_hash]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), told.lines().count()), (Some(2), 1), "{told}");
    assert!(told.contains("name its file as [privacy].key_file") && !told.contains("4711"), "{told}");
    assert!(!folder.path().join("key").exists(), "a question makes no key");
}

#[test]
fn a_mistake_is_one_line_with_its_place_and_exit_status_2() {
    let folder = tempfile::tempdir().unwrap();
    write_log(folder.path());
    let told = |arguments: &[&str], log: &Path| {
        let output = ask(log, arguments);
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), told.lines().count()), (Some(2), 1), "{told}");
        told
    };
    assert!(told(&["select nonsense from statements"], folder.path()).contains("1:8: "));
    assert!(told(&["drop table statements"], folder.path()).contains("DDL"));
    assert!(told(&["select 1", "--output", "/nowhere/x"], folder.path()).contains("/nowhere/x"));
    let empty = tempfile::tempdir().unwrap();
    assert!(told(&["select 1"], empty.path()).contains("is not a log"));
    assert_eq!(ask(folder.path(), &["select 1", "--format", "xml"]).status.code(), Some(2));
}

#[test]
fn other_engines_read_every_file_and_agree() {
    let folder = tempfile::tempdir().unwrap();
    write_log(folder.path());
    let Some(python) = python() else { return };
    // DuckDB keeps the word `at` for itself: there it needs quotes.
    let script = r#"
import sys, duckdb, pyarrow.dataset as ds
log = sys.argv[1]
for table in ['statements', 'transactions', 'sessions', 'findings']:
    rows = duckdb.sql(f'''from read_parquet('{log}/{table}/**/*.parquet', hive_partitioning = true)''').to_arrow_table()
    assert ds.dataset(f'{log}/{table}', partitioning='hive').to_table().num_rows == rows.num_rows, table
    print(table, rows.num_rows)
print(duckdb.sql(f'''select sum(persons), epoch_us(min("at")), count(distinct dt), any_value(relations)
                     from read_parquet('{log}/statements/**/*.parquet', hive_partitioning = true)''').fetchall())
"#;
    let output = Command::new(&python).args(["-c", script]).arg(folder.path()).env("TZ", "UTC").output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "statements 8\ntransactions 1\nsessions 1\nfindings 1\n[(28, 1795428000000000, 2, ['shop.customers', 'shop.注文'])]\n"
    );
}

/// The Python that `tests/run.sh` names; it must have duckdb and pyarrow. Without it, the system's, if that has them.
#[allow(clippy::disallowed_methods, reason = "how the test script tells which Python it has prepared")]
fn python() -> Option<std::ffi::OsString> {
    if let Some(python) = std::env::var_os("MITSUKE_TEST_PYTHON") {
        return Some(python);
    }
    let found = Command::new("python3").args(["-c", "import duckdb, pyarrow.dataset"]).output();
    if found.is_ok_and(|output| output.status.success()) {
        return Some("python3".into());
    }
    eprintln!("skipped: no Python with duckdb and pyarrow; name one in MITSUKE_TEST_PYTHON");
    None
}

const COUNTED: &str = "
import sys, duckdb
files = sys.argv[1] + '/statements/**/*.parquet'
print(duckdb.sql(f\"select count(*), count(distinct seq), sum(persons) from read_parquet('{files}', hive_partitioning = true)\").fetchall())
";

/// What `mitsuke` says with these arguments and this log.
fn said(log: &Path, arguments: &[&str]) -> (String, Option<i32>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mitsuke"));
    command.env("MITSUKE_LOG__SIGNING_KEY", log.join("signing.key")).env("MITSUKE_PRIVACY__KEY_FILE", log.join("key"));
    let output = command.args(arguments).arg("--log").arg(log).current_dir(log).output().unwrap();
    (
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)),
        output.status.code(),
    )
}

#[test]
fn small_files_are_made_one_by_hand_and_every_reader_finds_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config {
        path: folder.path().to_path_buf(),
        durability: Durability::Process,
        store: None,
        when_unwritable: WhenUnwritable::Block,
        flush: Duration::from_secs(60),
        retention: mitsuke::audit::Retention::default(),
        key_file: folder.path().join("key"),
        signing_key: folder.path().join("signing.key"),
    };
    let mut log = Log::open(&config, "db-1").unwrap();
    for number in 0..6 {
        let mut statement = Statement { persons: Some(1 << number), ..Statement::default() };
        // Long ago, by whatever clock.
        statement.common.at = Timestamp(MONDAY - 3_000 * DAY_US + i64::from(number));
        log.append(statement);
        log.commit(&Checkpoint::default()).unwrap();
        log.seal().unwrap();
    }
    log.close().unwrap();
    let path = folder.path().display().to_string();
    let before = programs::python(&path, COUNTED).expect_success();
    assert_eq!(before, "[(6, 6, 63)]\n");
    let (told, status) = said(folder.path(), &["log", "compact"]);
    assert!(told.starts_with("db-1: 6 files of ") && told.contains(" became 1 of "), "{told}");
    assert_eq!(status, Some(0));
    assert_eq!(programs::python(&path, COUNTED).expect_success(), before);
    let (proven, status) = said(folder.path(), &["verify"]);
    assert!(proven.contains("\ndb-1: 6 files were compacted: larger ones hold their records\n"), "{proven}");
    assert!(proven.ends_with("Complete and unaltered.\n") && status == Some(0), "{proven}");
    let explained = answer(folder.path(), &["select sum(persons) from statements", "--explain"]);
    assert!(explained.contains("\nstatements: 1 of 1 files, "), "{explained}");
    assert_eq!(answer(folder.path(), &["select sum(persons) as n from statements", "--format", "csv"]), "n\n63\n");
    let (told, _) = said(folder.path(), &["log", "compact", "--format", "json"]);
    let first: serde_json::Value = serde_json::from_str(told.lines().next().unwrap()).unwrap();
    assert_eq!((&first["writer"], &first["files"]), (&"db-1".into(), &0.into()));
    // Without the key that signs, nothing is touched.
    std::fs::rename(folder.path().join("signing.key"), folder.path().join("away")).unwrap();
    let (told, status) = said(folder.path(), &["log", "compact"]);
    assert_eq!((told.lines().count(), status), (1, Some(2)), "{told}");
}
