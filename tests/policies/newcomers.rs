//! Cold principals and usual hours: the sidecar, a backtest, DataFusion and DuckDB find the same.
//!
//! In: eleven weeks of records by people who come one after the other, some to stay, some for a day, who touch ever more things at hours of their
//! own, some at the same instant; policies of `first` with and without peers. What none of this decides would not be held to anything: each
//! policy is also asked whether peers make a difference.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::tz::TimeZone;
use mitsuke::audit::Lake;
use mitsuke::clock::Timestamp;
use mitsuke::policy::PolicySet;
use mitsuke::policy::duration::DAY_US;
use mitsuke::policy::sql::{Ask, Dialect, query};
use mitsuke::record::{Statement, Text, Texts};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::again::{BEGIN, backtested, told_everything};
use super::sql::log_of;
use super::translated::{Duck, Matches, asked, compiled, streamed};

const RECORDS: usize = 720;
const DAYS: i64 = 77;

const POLICIES: [&str; 13] = [
    "baseline: { by: [db_user], first: relation, learn: 14d }",
    "baseline: { by: [db_user], first: classified_relation, learn: 5d }",
    "baseline: { by: [db_user], first: application_name, learn: 40d }",
    "baseline: { by: [db_user, database], first: relation, learn: 3d }\nunless: persons < 2",
    "baseline: { by: [db_user], first: relation, learn: 0d }",
    "when: persons > 1\nbaseline: { by: [db_user], first: relations, learn: 10d }\n\
     window: { by: [db_user], within: 5d, count: true, above: 2 }",
    "baseline: { by: [db_user], first: hour, learn: 14d }",
    "baseline: { by: [db_user], first: hour, learn: 0d }\nunless: weekday in (6, 7)",
    "baseline: { by: [db_user, database], first: hour, learn: 5d }\nwhen: persons > 0 and hour <> 12",
    "baseline: { by: [database], first: hour, learn: 3d }\n\
     after: { by: [db_user], within: 10d, times: 1, when: persons > 2 }",
    "baseline: { by: [db_user], first: relation, learn: 10d, peers: [member_of] }",
    "baseline: { by: [db_user], first: classified_relation, learn: 5d, peers: [outcome, database] }",
    "baseline: { by: [db_user], first: hour, learn: 5d, peers: [member_of] }",
];

fn record(index: usize, (who, what, hour, seconds): (u8, u8, u8, u32)) -> Statement {
    let day = i64::try_from(index).expect("few") * DAYS / i64::try_from(RECORDS).expect("few");
    // One more every third day; the lower ones come more often, the fourth is away for seven weeks.
    let of_day = u8::try_from(day / 3 + 1).expect("few");
    let who = if who % 3 == 0 { of_day - 1 - who % of_day.min(3) } else { who % of_day.min(6) };
    let who = if who == 3 && (14..63).contains(&day) { 0 } else { who };
    let what = what % (2 + of_day / 2);
    // Each in a stretch of its own. Now and then the newest comes at an hour, or does something, that nobody knows.
    let hour = 9 + who % 3 + hour % 6;
    let (who, what, hour) = match index % 120 {
        7 => (of_day - 1, what, [2, 21, 5, 0, 20, 3][index / 120]),
        27 | 67 | 107 => (of_day - 1, u8::try_from(index / 40 + 100).expect("few"), hour),
        _ => (who, what, hour),
    };
    let name = |word: &str, number: u8| Text::from(format!("{word}{number}"));
    let at = BEGIN + day * DAY_US + i64::from(hour) * DAY_US / 24;
    let mut record = Statement {
        // Nobody is one of them, too.
        db_user: (who != 4).then(|| name("u", who)),
        database: (who % 5 != 2).then(|| name("d", who % 2)),
        application_name: (what != 1).then(|| name("a", what)),
        relations: Some([name("s.r", what), name("s.r", what / 2)].into()),
        columns: Some(if what % 4 == 0 { [].into() } else { [format!("s.r{}.c", what).into(), "plain".into()].into() }),
        member_of: member_of(who, day),
        persons: (seconds % 7 != 0).then_some(u64::from(seconds % 5)),
        ended_at: (seconds % 4 == 0).then_some(Timestamp(at + i64::from(seconds) * 1_000_000)),
        ..Statement::default()
    };
    record.common.at = Timestamp(at);
    record
}

/// The groups that somebody is in; of some they are not known, and one changes now and then.
fn member_of(who: u8, day: i64) -> Option<Texts> {
    match who {
        6 => None,
        1 if day % 20 > 12 => Some([].into()),
        0 | 4 | 8 | 12 => Some(["clerks".into(), "readers".into()].into()),
        _ => Some(["clerks".into()].into()),
    }
}

fn records(runner: &mut TestRunner) -> Vec<Statement> {
    let one = (any::<u8>(), any::<u8>(), 0_u8..30, 0_u32..9_000);
    let made = vec(one, RECORDS).new_tree(runner).expect("records").current();
    let mut records: Vec<Statement> = made.into_iter().enumerate().map(|(index, made)| record(index, made)).collect();
    records.sort_by_key(|record| record.ended_at.map_or(record.common.at, |ended| ended.max(record.common.at)));
    records
}

fn yaml(rest: &str) -> String {
    format!("id: p\ntitle: t\nwhy: w\nstatus: stable\nseverity: low\non: statement\naction: alert\n{rest}\n")
}

fn numbers(matches: &Matches) -> BTreeSet<u64> {
    matches.keys().copied().collect()
}

#[test]
fn newcomers_and_hours_are_judged_the_same_by_all_engines() {
    let mut runner = TestRunner::new(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() });
    let mut records = records(&mut runner);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let engine = log_of(&mut records, folder.path());
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let mut duck = Duck::start();
    if duck.is_none() {
        eprintln!("NOT TESTED: no Python with duckdb; name one in MITSUKE_TEST_PYTHON, or run tests/run.sh");
    }
    let zones = ["UTC", "Asia/Tokyo", "America/New_York"];
    let (mut differ, mut found) = (0, 0);
    for (index, rest) in POLICIES.into_iter().enumerate() {
        let timezone = TimeZone::get(zones[index % zones.len()]).expect("bundled");
        let with_peers = streamed(compiled(&yaml(rest)), &records, &timezone);
        let everybody = rest.replace(", peers: [member_of]", "").replace(", peers: [outcome, database]", "");
        let without = everybody.replace(" }", ", peers: false }").replace("above: 2, peers: false", "above: 2");
        let without = without.replace("when: persons > 2, peers: false", "when: persons > 2");
        let alone = streamed(compiled(&yaml(&without)), &records, &timezone);
        assert!(numbers(&alone).is_subset(&numbers(&with_peers)), "peers add findings, and hide none: {rest}");
        differ += usize::from(alone.len() < with_peers.len());
        assert!(with_peers.len() < RECORDS / 2, "{}: {rest}", with_peers.len());
        found += usize::from(!with_peers.is_empty());
        // A question costs seconds: of those without peers, some.
        let some_without = (index % 6 == 0).then(|| (yaml(&without), &alone));
        for (yaml, streamed) in [(yaml(rest), &with_peers)].into_iter().chain(some_without) {
            let policy = compiled(&yaml);
            let say = |dialect| {
                let log = folder.path().to_path_buf();
                let ask = Ask { dialect, log, timezone: timezone.clone(), since: None, now: Timestamp(BEGIN) };
                query(&policy, &ask).unwrap_or_else(|why| panic!("{why}\n{yaml}"))
            };
            let sql = say(Dialect::DataFusion);
            let ours = asked(&runtime, &engine, &sql).unwrap_or_else(|why| panic!("{why}\n{yaml}\n{sql}"));
            assert_eq!(numbers(&ours), numbers(streamed), "DataFusion, {yaml}\n{sql}");
            if let Some(duck) = &mut duck {
                let sql = say(Dialect::DuckDb);
                let ducks = duck.matches(&sql).unwrap_or_else(|why| panic!("{why}\n{yaml}\n{sql}"));
                assert_eq!(numbers(&ducks), numbers(streamed), "DuckDB, {yaml}\n{sql}");
            }
        }
    }
    assert!(found >= 8 && differ >= 5, "something is found, and peers make a difference: {found}, {differ}");
}

#[test]
fn a_backtest_judges_newcomers_and_hours_as_an_engine_that_is_told_every_record() {
    let mut runner = TestRunner::new(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() });
    let mut records = records(&mut runner);
    let folder = tempfile::tempdir().expect("a temporary folder");
    log_of(&mut records, folder.path());
    let lake = Lake::open(folder.path()).expect("a log");
    let policies = POLICIES.map(|rest| Arc::new(compiled(&yaml(rest))));
    for timezone in ["UTC", "Australia/Lord_Howe"] {
        let timezone = TimeZone::get(timezone).expect("bundled");
        let set = Arc::new(PolicySet { policies: policies.to_vec(), timezone, ..PolicySet::empty() });
        let (from, until) = (Timestamp(BEGIN + 50 * DAY_US), Timestamp(BEGIN + DAYS * DAY_US));
        let expected = told_everything(&lake, &set, from, until);
        assert!(expected.iter().any(|finding| finding.explanation.as_deref().unwrap_or("").contains("new here for")));
        assert_eq!(backtested(&lake, &set, from, until), expected);
    }
}
