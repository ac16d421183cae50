//! What `mitsuke query` makes of the log is what DuckDB makes of the same files: groups by texts and by days, one person's history.

use std::path::Path;
use std::process::Command;

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::DataType;
use mitsuke::audit::{Checkpoint, Log};
use mitsuke::clock::Timestamp;
use mitsuke::query::Engine;
use mitsuke::record::{Kind, Outcome, Statement, Text};

use super::{DAY_US, MONDAY, config};
use crate::support::programs;

const PEOPLE: u64 = 500;
const ROWS: u64 = 20_000;

fn hash(person: u64) -> String {
    format!("{:032x}", u128::from(person).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))
}

/// Statements of forty days, sealed five times: users of which some are null, empty or long, and people of whom each day has others.
fn varied(folder: &Path) {
    let users = [Some("anna"), None, Some("ben"), Some(""), Some("a user whose name is long"), Some("見附")];
    let mut log = Log::open(&config(folder), "db-1").unwrap();
    let mut random = 4711_u64;
    let mut draw = |end: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % end
    };
    for number in 0..ROWS {
        let day = number * 40 / ROWS;
        let mut person = || hash((day * 10 + draw(20)) % PEOPLE);
        let subjects = [person(), person()];
        let mut statement = Statement {
            db_user: users[usize::try_from(draw(6)).unwrap()].map(Into::into),
            kind: (draw(5) > 0).then_some(if draw(2) == 0 { Kind::Select } else { Kind::Update }),
            outcome: Some(if draw(9) == 0 { Outcome::Error } else { Outcome::Ok }),
            query: (draw(9) > 0).then(|| format!("select {} from {}", draw(900), "t".repeat(200)).into()),
            persons: (draw(3) > 0).then(|| draw(50)),
            subjects: (draw(2) == 0).then(|| subjects.into_iter().map(Text::from).collect()),
            ..Statement::default()
        };
        let within = [0, DAY_US - 1, i64::try_from(draw(86_400)).unwrap() * 1_000_000];
        let midnight = MONDAY - MONDAY.rem_euclid(DAY_US) + i64::try_from(day).unwrap() * DAY_US;
        statement.common.at = Timestamp(midnight + within[usize::try_from(draw(3)).unwrap()]);
        log.append(statement);
        if number % 4_000 == 3_999 {
            log.commit(&Checkpoint::default()).unwrap();
            log.seal().unwrap();
        }
    }
    log.close().unwrap();
}

/// Without nulls and times in what comes out: each engine writes those in its own way.
fn questions() -> Vec<String> {
    let mut questions = Vec::new();
    let user = "coalesce(db_user, '(null)')";
    for day in [r#"date_trunc('day', "at")"#, r#""at"::date"#, "dt", r#"date_trunc('week', "at")"#] {
        questions.push(format!(
            "select {user}, cast(day as date), n, people from (select db_user, {day} as day, count(*) as n, \
             coalesce(sum(persons), 0) as people from {{t}} group by 1, 2) order by 1, 2"
        ));
    }
    questions.extend(
        [
            "select coalesce(kind, '(null)'), U, outcome, n from (select kind, db_user, outcome, count(*) as n from {t} group by 1, 2, 3) order by 1, 2, 3",
            "select coalesce(query, '(null)'), n, first from (select query, count(*) as n, min(seq) as first from {t} group by 1) order by 1",
            "select U, h, n from (select db_user, extract(hour from \"at\") as h, count(*) as n from {t} where persons > 10 group by 1, 2) order by 1, 2",
            "select U, m, n from (select db_user, extract(month from \"at\") as m, count(*) filter (where outcome = 'error') as n from {t} group by 1, 2) order by 1, 2",
            "select U, n from (select db_user, count(*) as n from {t} where kind = 'select' and dt < '2026-12-10' group by 1) order by 1",
            "select count(*) from {t} where \"at\"::date = '2026-11-30'",
        ]
        .map(|question| question.replace('U', user)),
    );
    for person in (0..PEOPLE).step_by(50).chain([1, 399, PEOPLE]) {
        let history = format!(
            "select count(*), coalesce(min(seq), 0), coalesce(max(seq), 0) from {{t}} where HAS(subjects, '{}')",
            hash(person)
        );
        questions.push(history);
    }
    questions
}

async fn answered(engine: &Engine, question: &str) -> String {
    let question = question.replace("{t}", "statements").replace("HAS", "array_has");
    let mut answer = String::new();
    for batch in engine.sql(&question).await.unwrap_or_else(|error| panic!("{question}: {error}")) {
        let columns: Vec<_> = batch.columns().iter().map(|column| cast(column, &DataType::Utf8).unwrap()).collect();
        for row in 0..batch.num_rows() {
            let cells: Vec<_> = columns.iter().map(|column| column.as_string::<i32>().value(row)).collect();
            answer += &(cells.join(",") + "\n");
        }
    }
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_answered_quickly_is_what_duckdb_answers() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    varied(&log);
    let mut command = Command::new(programs::interpreter());
    command.args(["-c", include_str!("answers.py")]).arg(&log);
    let asked = questions().join("\n").replace("HAS", "list_contains") + "\n";
    let theirs = programs::run(command, asked.as_bytes());
    assert!(theirs.output.status.success(), "{}", theirs.err());
    let theirs = theirs.out();
    let theirs: Vec<&str> = theirs.split("\n\n").collect();
    let engine = Engine::open(&log).unwrap();
    for (question, theirs) in questions().iter().zip(&theirs) {
        assert_eq!(answered(&engine, question).await.trim_end(), theirs.trim_end(), "{question}");
    }
    assert_eq!(theirs.iter().filter(|answer| !answer.trim().is_empty()).count(), questions().len());
}
