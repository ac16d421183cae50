//! A backtest finds what an engine finds that is told every record, finding for finding.
//!
//! In: random policies with windows, sequences, first reads and permits over a log of random records, sealed in several files and not sealed, of
//! which the first days are only learned from. Held against each other: [`mitsuke::backtest`], which reads columns and chooses rows, and
//! the engine itself over all records.

use std::path::Path;
use std::sync::Arc;

use jiff::tz::TimeZone;
use mitsuke::audit::{Checkpoint, Config, Durability, Lake, Log, Logged, WhenUnwritable};
use mitsuke::backtest::{self, Told};
use mitsuke::clock::Timestamp;
use mitsuke::policy::baseline::PRINCIPALS_MAX;
use mitsuke::policy::definition::Policy;
use mitsuke::policy::duration::DAY_US;
use mitsuke::policy::judged::Judged;
use mitsuke::policy::permit::{self, Permit};
use mitsuke::policy::{Engine, PolicySet};
use mitsuke::record::{Finding, Kind, Outcome, Session, SessionOutcome, Statement, Text};
use mitsuke::yaml::Source;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestRunner;

use super::translated::{compiled_as, policy, records};

/// 2026-06-01.
pub const BEGIN: i64 = 1_780_272_000_000_000;
const HOUR_US: i64 = DAY_US / 24;
const QUESTIONS: u32 = 24;
const POLICIES: usize = 5;

enum Any {
    Statement(Box<Statement>),
    Session(Box<Session>),
}

/// Every record of a log: a UTC day at a time, each in the order of the ends.
fn everything(lake: &Lake, range: (Timestamp, Timestamp)) -> Vec<(Timestamp, Any)> {
    fn read<R: Judged + Logged>(
        lake: &Lake,
        range: (Timestamp, Timestamp),
        any: fn(R) -> Any,
        all: &mut Vec<(i64, Timestamp, Any)>,
    ) {
        for record in lake.records::<R>(Some(range)).map(|record| record.expect("it can be read")) {
            all.push((record.common().at.0.div_euclid(DAY_US), record.judged_at(), any(record)));
        }
    }
    let mut all = Vec::new();
    read(lake, range, |record| Any::Statement(Box::new(record)), &mut all);
    read(lake, range, |record| Any::Session(Box::new(record)), &mut all);
    all.sort_by_key(|(day, at, _)| (*day, *at));
    all.into_iter().map(|(_, at, record)| (at, record)).collect()
}

fn lookback_us(engine: &Engine) -> i64 {
    engine.lookback().map_or(0, |lookback| i64::try_from(lookback.as_micros()).expect("short"))
}

/// What an engine finds that is told every record.
pub fn told_everything(lake: &Lake, set: &Arc<PolicySet>, from: Timestamp, until: Timestamp) -> Vec<Finding> {
    let mut engine = Engine::new(Arc::clone(set));
    let mut findings = Vec::new();
    for (at, record) in everything(lake, (from.plus_micros(-lookback_us(&engine)), until)) {
        match (at < from, record) {
            (true, Any::Statement(record)) => engine.learn_statement(&record),
            (true, Any::Session(record)) => engine.learn_session(&record),
            (false, Any::Statement(mut record)) => {
                (record.permit, record.policies) = (None, None);
                findings.extend(engine.statement(&mut record));
            }
            (false, Any::Session(record)) => findings.extend(engine.session(&record)),
        }
    }
    findings
}

pub fn backtested(lake: &Lake, set: &Arc<PolicySet>, from: Timestamp, until: Timestamp) -> Vec<Finding> {
    let mut findings = Vec::new();
    backtest::judge(lake, Arc::clone(set), (from, until), &mut |told| {
        if let Told::Finding(finding) = told {
            findings.push(finding.clone());
        }
    })
    .expect("it can be read");
    findings
}

/// A log of these records: three parts of four sealed, the last in the journal.
fn log_of<R: Logged>(log: &mut Log, records: Vec<R>) {
    let part = records.len() / 4 + 1;
    for (index, record) in records.into_iter().enumerate() {
        log.append(record);
        if index % part == part - 1 {
            log.commit(&Checkpoint::default()).expect("it is written");
            log.seal().expect("it is sealed");
        }
    }
    log.commit(&Checkpoint::default()).expect("it is written");
}

/// An empty log there.
pub fn log(path: &Path) -> Log {
    let config = Config {
        path: path.to_path_buf(),
        durability: Durability::Relaxed,
        store: None,
        when_unwritable: WhenUnwritable::Block,
        flush: std::time::Duration::from_secs(600),
        retention: mitsuke::audit::Retention::default(),
        key_file: path.join("key"),
        signing_key: path.join("signing.key"),
    };
    Log::open(&config, "w").expect("a log")
}

fn permits() -> Vec<Permit> {
    let yaml = "
- { id: T-1, db_user: a, relations: ['*'], persons_max: 40, from: 2026-06-03T00:00+00:00, until: 2026-06-06T00:00+00:00 }
- { id: T-2, db_user: ab, relations: [a, b], persons_max: 3, from: 2026-06-02T00:00+00:00, until: 2026-06-08T00:00+00:00, ticket: required }
";
    permit::read(&mut Source::new("permits.yaml".as_ref(), yaml))
}

/// Which permit and which policies a record had when it happened, and what its comment named.
fn with_past(mut record: Statement, index: usize) -> Statement {
    let texts = |text: &str| [Text::from(text)].into();
    record.policies = [None, Some(texts("p0")), Some(texts("p1")), None][index % 4].clone();
    record.permit = (index.is_multiple_of(7)).then(|| "T-1".into());
    record.ticket = [None, Some("T-2".into()), Some("none".into())][index % 3].clone();
    record
}

fn policies(yamls: &[String]) -> Vec<Arc<Policy>> {
    let named = |(index, yaml): (usize, &String)| {
        let throttle = ["", "throttle: { by: [db_user], once: 3h }\n", "throttle: { by: [outcome], once: 2d }\n"];
        let usual = ["", "baseline: { by: [db_user], of: bytes_in, unusual: 1, learn: 1d }\n"];
        let usual = if yaml.contains("baseline:") { "" } else { usual[index % 2] };
        let yaml = yaml.replace("id: p\n", &format!("id: p{index}\n")) + throttle[index % 3] + usual;
        Arc::new(compiled_as(&format!("p{index}.yaml"), &yaml))
    };
    yamls.iter().enumerate().map(named).collect()
}

#[test]
fn a_backtest_finds_what_an_engine_finds_that_is_told_every_record() {
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(QUESTIONS) };
    let mut runner = TestRunner::new(config);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut log = log(folder.path());
    let records = records(&mut runner).into_iter().enumerate();
    log_of(&mut log, records.map(|(index, record)| with_past(record, index)).collect());
    let lake = Lake::open(folder.path()).expect("a log");
    let (found, asked) = (std::cell::Cell::new(0_usize), std::cell::Cell::new(0_usize));
    let zones = select(vec!["UTC", "Asia/Tokyo", "Australia/Lord_Howe"]);
    let result =
        runner.run(&(vec(policy(), POLICIES), zones, 0_i64..150, any::<bool>()), |(yamls, zone, hours, some)| {
            let set = Arc::new(PolicySet {
                policies: policies(&yamls),
                permits: if some { permits() } else { Vec::new() },
                timezone: TimeZone::get(zone).expect("bundled"),
                ..PolicySet::empty()
            });
            let (from, until) = (Timestamp(BEGIN + hours * HOUR_US), Timestamp(BEGIN + 190 * HOUR_US + 1));
            let expected = told_everything(&lake, &set, from, until);
            let ours = backtested(&lake, &set, from, until);
            prop_assert_eq!(&ours, &expected, "{} from hour {}\n{}", zone, hours, yamls.join("\n"));
            found.set(found.get() + usize::from(!expected.is_empty()));
            asked.set(asked.get() + 1);
            Ok(())
        });
    result.unwrap_or_else(|failure| panic!("{failure}"));
    assert!(found.get() * 2 > asked.get(), "something is found as a rule: {} of {}", found.get(), asked.get());
}

fn micros(number: usize, each: i64) -> i64 {
    i64::try_from(number).expect("few") * each
}

/// A shop's statement: one of a few kinds, by some people and services.
fn statement(number: usize) -> Statement {
    let queries =
        ["select 1", "select email from shop.customers", "copy shop.customers to stdout", "truncate shop.carts"];
    let kinds = [Kind::Select, Kind::Select, Kind::CopyOut, Kind::Ddl];
    let kind = (number * 7 + number / 13) % 4;
    let personal = kind == 1 || kind == 2;
    let persons = if personal { (number as u64 * 31) % 400 } else { 0 };
    let list = |text: &str| -> Option<Arc<[Text]>> { Some(if personal { [text.into()].into() } else { [].into() }) };
    let mut record = Statement {
        kind: Some(kinds[kind]),
        query: Some(queries[kind].into()),
        db_user: Some(["clerk", "batch", "shop_web", "postgres"][number % 4].into()),
        role: Some(["clerk", "postgres"][number % 2].into()),
        application_name: Some(["psql", "shop", "DBeaver 24.1"][number % 3].into()),
        client_addr: Some(format!("10.0.0.{}", number % 9).into()),
        database: Some("shop".into()),
        relations: list("shop.customers"),
        columns: list("shop.customers.email"),
        level: personal.then(|| "sensitive".into()),
        persons: Some(persons),
        personal_rows: Some(persons),
        rows_returned: Some(persons),
        outcome: Some([Outcome::Ok, Outcome::Ok, Outcome::Error][number % 3]),
        ..Statement::default()
    };
    record.common.at = Timestamp(BEGIN + micros(number, HOUR_US / 6));
    record.ended_at = Some(Timestamp(record.common.at.0 + micros(number % 5, HOUR_US)));
    record
}

/// A session, or a failed login, from an address that changes.
fn session(number: usize) -> Session {
    let mut record = Session {
        outcome: Some([SessionOutcome::Closed, SessionOutcome::AuthFailed][usize::from(number % 50 > 25)]),
        db_user: Some(["clerk", "batch", "shop_web", "u1", "u2", "u3", "u4", "u5"][number % 8].into()),
        client_addr: Some(format!("10.0.{}.7", number / 60).into()),
        auth_method: Some("scram-sha-256".into()),
        database: Some("shop".into()),
        application_name: Some(["psql", "pg_dump"][number % 2].into()),
        ..Session::default()
    };
    record.common.at = Timestamp(BEGIN + micros(number, HOUR_US / 10));
    record.ended_at = Some(record.common.at);
    record
}

/// A log of forty days of them.
fn weeks() -> (tempfile::TempDir, Lake) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut log = log(folder.path());
    log_of(&mut log, (0..24 * 6 * 40).map(statement).collect());
    log_of(&mut log, (0..24 * 10 * 40).map(session).collect());
    let lake = Lake::open(folder.path()).expect("a log");
    (folder, lake)
}

#[test]
fn it_finds_what_the_built_in_policies_find_of_statements_and_sessions() {
    let (_folder, lake) = weeks();
    let set = Arc::new(super::built_in());
    let (from, until) = (Timestamp(BEGIN + 16 * DAY_US + 1), Timestamp(BEGIN + 40 * DAY_US));
    let expected = told_everything(&lake, &set, from, until);
    let ours = backtested(&lake, &set, from, until);
    assert_eq!(ours.len(), expected.len());
    for (ours, expected) in ours.iter().zip(&expected) {
        assert_eq!(ours, expected);
    }
    let policies: std::collections::BTreeSet<&str> = expected.iter().map(|finding| &*finding.policy).collect();
    assert!(policies.len() >= 12, "{policies:?}");
}

#[test]
fn what_is_learned_at_a_start_is_what_every_record_teaches() {
    let (_folder, lake) = weeks();
    let set = Arc::new(super::built_in());
    let until = Timestamp(BEGIN + 40 * DAY_US);
    let mut told = Engine::new(Arc::clone(&set));
    for (_, record) in everything(&lake, (until.plus_micros(-lookback_us(&told)), until)) {
        match record {
            Any::Statement(record) => told.learn_statement(&record),
            Any::Session(record) => told.learn_session(&record),
        }
    }
    let mut learned = backtest::learned(&lake, Engine::new(Arc::clone(&set)), until).expect("it can be read");
    let mut knew_nothing = Engine::new(set);
    let (mut findings, mut of_nothing) = (0, 0);
    for number in 0..2_000_usize {
        let (mut record, mut session) = (statement(number), session(number));
        record.application_name = Some(["psql", "new"][number % 2].into());
        for at in [&mut record.common.at, &mut session.common.at] {
            *at = at.plus_micros(40 * DAY_US);
        }
        (record.ended_at, session.ended_at) = (Some(record.common.at), Some(session.common.at));
        let expected = (told.statement(&mut record.clone()), told.session(&session));
        let ours = (learned.statement(&mut record.clone()), learned.session(&session));
        assert_eq!(ours, expected);
        findings += expected.0.len() + expected.1.len();
        of_nothing += knew_nothing.statement(&mut record).len() + knew_nothing.session(&session).len();
    }
    assert!(findings > 10 && findings != of_nothing, "{findings} {of_nothing}");
}

#[test]
fn more_users_than_a_policy_remembers_change_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut log = log(folder.path());
    let mut records = Vec::new();
    for number in 0..(PRINCIPALS_MAX + 3_000) {
        // Everybody once; the clerk now and then, and something new at the end, twice: on a day on which nobody is forgotten, and on one before.
        let is_clerk = number % 5_000 == 0;
        let mut record = Statement {
            kind: Some(Kind::Select),
            db_user: Some(if is_clerk { "clerk".into() } else { format!("u{number}").into() }),
            application_name: Some(format!("app{}", if is_clerk { number / 10_000 } else { 0 }).into()),
            outcome: Some(Outcome::Ok),
            ..Statement::default()
        };
        record.common.at = Timestamp(BEGIN + micros(number, 20_000_000));
        records.push(record);
    }
    let last = records.last().expect("many").common.at;
    log_of(&mut log, records);
    let lake = Lake::open(folder.path()).expect("a log");
    let yaml = "id: p\ntitle: t\nwhy: w\nstatus: stable\nseverity: low\non: statement\naction: alert\nwhen: outcome = 'ok'\n\
                baseline: { by: [db_user], first: application_name, learn: 1d }\n";
    let set = Arc::new(PolicySet { policies: policies(&[yaml.to_owned()]), ..PolicySet::empty() });
    let (from, until) = (Timestamp(BEGIN), last.plus_micros(1));
    let expected = told_everything(&lake, &set, from, until);
    assert!(!expected.is_empty());
    assert_eq!(backtested(&lake, &set, from, until), expected);
}
