//! Events in, records out: through a real intake journal and a real log in a temporary folder.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use uuid::Uuid;

use super::stage::WAIT;
use super::*;
use crate::audit::{self, Intake, IntakeReader, Key, Lake, Log, Writer};
use crate::catalog::{Catalog, Classification};
use crate::clock::{Clock, Timestamp};
use crate::policy::{self, Engine, SharedEngine};
use crate::quarantine::Quarantines;
use crate::record::{
    Certainty, Finding, Kind, Outcome, Protocol, Session, SessionOutcome, Statement, Table, Transaction,
    TransactionOutcome,
};
use crate::session::Event;
use crate::session::event::{
    Begun, Closed, Counted, Ended, Opened, Origin, People, Prepared, Ready, Told, TransactionStatus, Who,
};
use crate::wire::bind::Parameters;

const CLASSIFICATION: &str = "\
levels: [internal, personal, sensitive]
tables:
  shop.customers:
    subject: id
    columns: { email: personal }
";

/// A made-up session that plays its part, one event after the other.
struct Script {
    who: Arc<Who>,
    now: i64,
    statement_no: u64,
    events: Vec<Event>,
}

impl Script {
    fn new(number: u128) -> Script {
        let who = Who {
            session_id: Uuid::from_u128(number),
            client_addr: "192.0.2.7".to_owned(),
            database: Some("shop".to_owned()),
            db_user: Some("clerk".to_owned()),
            application_name: Some("psql".to_owned()),
            certificate: None,
        };
        let mut script = Script { who: Arc::new(who), now: 1_000_000, statement_no: 0, events: Vec::new() };
        let opened = Opened { who: Arc::clone(&script.who), at: script.tick() };
        script.events.push(Event::Opened(opened));
        script
    }

    fn tick(&mut self) -> Timestamp {
        self.now += 1_000;
        Timestamp(self.now)
    }

    fn begun(&mut self, text: &str) {
        self.statement_no += 1;
        let at = self.tick();
        self.events.push(Event::Begun(Begun {
            who: Arc::clone(&self.who),
            statement_no: self.statement_no,
            at,
            protocol: Protocol::Simple,
            text: text.as_bytes().into(),
            text_bytes: text.len() as u64,
            parameters: Parameters::default(),
            bytes_in: text.len() as u64 + 6,
        }));
    }

    fn ended(&mut self, tag: &str, ready: Option<TransactionStatus>) -> &mut Ended {
        let at = self.tick();
        let part = match self.events.last() {
            Some(Event::Ended(last)) if last.statement_no == self.statement_no => last.part + 1,
            _ => 0,
        };
        self.events.push(Event::Ended(Ended {
            who: Arc::clone(&self.who),
            statement_no: self.statement_no,
            part,
            more: ready.is_none(),
            at,
            outcome: Outcome::Ok,
            tag: tag.to_owned(),
            rows_returned: 0,
            bytes_out: 20,
            bytes_in: 10,
            sqlstate: None,
            error: None,
            told: Told::default(),
            columns: None,
            people: None,
            baits: Box::default(),
            sighted: Box::default(),
            ready,
        }));
        match self.events.last_mut() {
            Some(Event::Ended(ended)) => ended,
            _ => unreachable!("just pushed"),
        }
    }

    fn prepared(&mut self, name: &str, text: &str) {
        let at = self.tick();
        let (who, name) = (Arc::clone(&self.who), name.to_owned());
        let text_bytes = text.len() as u64;
        self.events.push(Event::Prepared(Prepared { who, at, name, text: text.as_bytes().into(), text_bytes }));
    }

    fn ready(&mut self, status: TransactionStatus, commit_failed: Option<&str>) {
        let at = self.tick();
        let commit_failed = commit_failed.map(str::to_owned);
        self.events.push(Event::Ready(Ready { who: Arc::clone(&self.who), at, status, commit_failed }));
    }

    fn query(&mut self, text: &str, tag: &str) -> &mut Ended {
        self.begun(text);
        self.ended(tag, Some(TransactionStatus::Idle))
    }

    fn closed(&mut self) {
        let at = self.tick();
        self.events.push(Event::Closed(Closed {
            who: Arc::clone(&self.who),
            opened_at: Timestamp(1_001_000),
            at,
            outcome: SessionOutcome::Closed,
            sqlstate: None,
            auth_method: Some("trust".to_owned()),
            tls_version: None,
            server_version: Some("15.18".to_owned()),
            statements: self.statement_no,
            bytes_out: 100,
            bytes_in: 100,
        }));
    }
}

fn config(folder: &Path) -> audit::Config {
    audit::Config {
        path: folder.join("log"),
        durability: audit::Durability::Process,
        store: None,
        when_unwritable: audit::WhenUnwritable::Block,
        flush: Duration::from_secs(3_600),
        retention: audit::Retention::default(),
        key_file: folder.join("log.key"),
        signing_key: folder.join("signing.key"),
    }
}

/// A stage, and the journal that it reads.
fn open(config: &audit::Config) -> (Stage, Intake, IntakeReader, Receiver<Finding>, Writer) {
    let writer = Writer::claim(&config.path).expect("writer");
    let log = Log::open(config, writer.name()).expect("log");
    let (intake, reader) = Intake::open(config, writer.name()).expect("intake");
    let key = Key::load_or_create(&config.key_file).expect("key");
    let classification = Classification::parse(CLASSIFICATION, Path::new("classification.yaml")).expect("classes");
    let policies = policy::load(&policy::Config::default()).expect("built-in policies");
    let (finding_sender, findings) = sync_channel(100);
    let rooms = Rooms {
        identity: super::Identity::default(),
        passed: super::Passed::default(),
        figures: crate::figures::Figures::default(),
        log,
        catalog: Catalog::new(classification),
        engine: SharedEngine::new(Engine::new(Arc::new(policies))),
        quarantines: Quarantines::default(),
        key,
    };
    let stage = Stage::new(Config::default(), Clock::system(), rooms, finding_sender, Arc::default()).expect("stage");
    (stage, intake, reader, findings, writer)
}

/// Runs a stage over what the journal holds and over `events`, to the end.
fn run(folder: &Path, events: &[Event]) -> Vec<Finding> {
    let (stage, intake, reader, findings, _writer) = open(&config(folder));
    if !events.is_empty() {
        intake.append(&mut events.to_vec()).expect("journal");
    }
    drop(intake);
    let (_control, orders) = sync_channel(1);
    stage.run(reader, &orders).expect("runs to the end");
    findings.try_iter().collect()
}

/// Where something happens all the time, nothing is ever idle.
#[test]
fn records_are_sealed_in_their_time_while_events_keep_coming() {
    let folder = tempfile::tempdir().expect("folder");
    let config = audit::Config { flush: Duration::from_millis(300), ..config(folder.path()) };
    let (stage, intake, reader, _findings, _writer) = open(&config);
    let (_control, orders) = sync_channel(1);
    let analysis = std::thread::spawn(move || stage.run(reader, &orders).expect("runs to the end"));
    let sealed = || {
        let partitions = std::fs::read_dir(config.path.join("statements")).expect("a table").filter_map(Result::ok);
        partitions.flat_map(|partition| std::fs::read_dir(partition.path()).expect("a partition")).count()
    };
    let mut script = Script::new(1);
    let began = std::time::Instant::now();
    while sealed() == 0 {
        assert!(began.elapsed() < Duration::from_secs(60), "nothing was sealed");
        script.begun("select 1");
        script.ended("SELECT 1", Some(TransactionStatus::Idle));
        intake.append(&mut std::mem::take(&mut script.events)).expect("journal");
        std::thread::sleep(WAIT / 10);
    }
    drop(intake);
    analysis.join().expect("it ends");
}

fn records<T: Table + audit::Logged>(folder: &Path) -> Vec<T> {
    let lake = Lake::open(&folder.join("log")).expect("lake");
    let records: Result<Vec<T>, _> = lake.records::<T>(None).collect();
    records.expect("readable")
}

#[test]
fn a_query_becomes_a_statement_without_its_literals() {
    let folder = tempfile::tempdir().expect("folder");
    let mut script = Script::new(1);
    let ended = script.query("select email from shop.customers where id = 4711", "SELECT 1");
    ended.rows_returned = 1;
    ended.columns =
        Some(Arc::new([Origin { name: "email".to_owned(), table_oid: 16_400, attribute: 2, type_oid: 25 }]));
    script.closed();
    run(folder.path(), &script.events);

    let [statement] = &records::<Statement>(folder.path())[..] else { panic!("one statement") };
    assert_eq!(statement.kind, Some(Kind::Select));
    assert_eq!(statement.query.as_deref(), Some("select email from shop.customers where id = $1"));
    assert_eq!(statement.columns.as_deref(), Some(&["shop.customers.email".into()][..]));
    assert_eq!((statement.personal_rows, statement.persons), (Some(1), Some(1)));
    assert_eq!(statement.duration_us, Some(1_000));
    assert_eq!((statement.common.seq, statement.statement_no), (1, 1));
    let [session] = &records::<Session>(folder.path())[..] else { panic!("one session") };
    assert_eq!(session.outcome, Some(SessionOutcome::Closed));
}

#[test]
fn every_statement_of_a_query_is_a_record_of_its_own_and_what_an_error_kept_from_running_is_skipped() {
    let folder = tempfile::tempdir().expect("folder");
    let mut script = Script::new(1);
    script.begun("select 1; select 1/0; select 3");
    script.ended("SELECT 1", None);
    script.ended("", Some(TransactionStatus::Idle)).outcome = Outcome::Error;
    script.closed();
    run(folder.path(), &script.events);

    let statements = records::<Statement>(folder.path());
    let outcomes: Vec<_> = statements.iter().map(|statement| statement.outcome.expect("known")).collect();
    assert_eq!(outcomes, [Outcome::Ok, Outcome::Error, Outcome::Skipped]);
    let numbers: Vec<_> = statements.iter().map(|statement| statement.statement_no).collect();
    assert_eq!(numbers, [1, 2, 3]);
    assert!(statements.iter().all(|statement| statement.stacked == Some(3)));
    let key = Key::load_or_create(&folder.path().join("log.key")).expect("key");
    let hashes = |constants: &[&str]| Some(constants.iter().map(|constant| key.subject_hash(constant)).collect());
    let literals: Vec<Option<crate::record::Texts>> =
        statements.into_iter().map(|statement| statement.literals).collect();
    assert_eq!(literals, [hashes(&["1"]), hashes(&["1", "0"]), hashes(&["3"])]);
}

#[test]
fn a_statement_has_its_own_constants_whether_its_shape_is_known_or_not() {
    let texts = [
        ("select email from shop.customers where id = 1 and name = 'x'", &["1", "x"][..]),
        ("select email from shop.customers where id = 022 and name = 'it''s'", &["22", "it's"]),
        ("select email from shop.customers where id = 3 and name = '見附'", &["3", "見附"]),
        ("select email from shop.customers where id = - 4", &["4", "-4"]),
        ("select email from shop.customers where id = - 5.50", &["5.5", "-5.5"]),
        ("select email from shop.customers where id = - 6", &["6", "-6"]),
        ("select id from shop.customers where id in (1, 2, 3, 4, 5)", &["1", "2", "3", "4", "5"]),
        ("select id from shop.customers where id in (6, 7, 8, 9, 9)", &["6", "7", "8", "9"]),
    ];
    let folder = tempfile::tempdir().expect("folder");
    let mut script = Script::new(1);
    for (text, _) in texts {
        script.begun(text);
        script.ended("SELECT 1", Some(TransactionStatus::Idle));
    }
    script.closed();
    run(folder.path(), &script.events);

    let key = Key::load_or_create(&folder.path().join("log.key")).expect("key");
    let found = records::<Statement>(folder.path()).into_iter().map(|statement| statement.literals);
    for ((text, expected), found) in texts.into_iter().zip(found) {
        let expected: crate::record::Texts = expected.iter().map(|constant| key.subject_hash(constant)).collect();
        assert_eq!(found, Some(expected), "{text}");
    }
}

#[test]
fn a_prepared_statement_has_its_constants_and_each_execution_s_parameters() {
    let folder = tempfile::tempdir().expect("folder");
    let mut script = Script::new(1);
    let text: Arc<[u8]> = b"select email from shop.customers where id = $1 and shop = 4711".as_slice().into();
    for id in [b'1', b'2', b'3', b'4'] {
        script.begun("");
        let Some(Event::Begun(begun)) = script.events.last_mut() else { panic!("it has begun") };
        begun.protocol = Protocol::Extended;
        begun.text = Arc::clone(&text);
        begun.parameters = Parameters(Some([0, 1, id].into()));
        script.ended("SELECT 1", Some(TransactionStatus::Idle));
    }
    script.closed();
    run(folder.path(), &script.events);

    let key = Key::load_or_create(&folder.path().join("log.key")).expect("key");
    let found: Vec<_> = records::<Statement>(folder.path()).into_iter().map(|statement| statement.literals).collect();
    let expected = ["1", "2", "3", "4"].map(|id| {
        let hashes = ["4711", id].map(|value| key.subject_hash(value));
        Some(crate::record::Texts::from(hashes))
    });
    assert_eq!(found, expected);
}

#[test]
fn several_statements_that_were_sent_to_be_prepared_are_one_record_with_all_their_texts() {
    let folder = tempfile::tempdir().unwrap();
    let mut script = Script::new(1);
    script.begun("select 1; select email from shop.customers");
    if let Some(Event::Begun(begun)) = script.events.last_mut() {
        begun.protocol = Protocol::Extended;
    }
    let ended = script.ended("", Some(TransactionStatus::Idle));
    (ended.outcome, ended.sqlstate) = (Outcome::Error, Some("42601".to_owned()));
    script.closed();
    run(folder.path(), &script.events);
    let statements: Vec<Statement> = records(folder.path());
    assert_eq!(statements.len(), 1);
    assert_eq!(statements[0].query.as_deref(), Some("select $1; select email from shop.customers"));
}

#[test]
fn transactions_are_added_up_and_innocent_implicit_ones_left_out() {
    let folder = tempfile::tempdir().expect("folder");
    let mut script = Script::new(1);
    script.query("select 1", "SELECT 1");
    script.begun("begin");
    script.ended("BEGIN", Some(TransactionStatus::Open));
    script.begun("insert into shop.orders values (1)");
    script.ended("INSERT 0 1", Some(TransactionStatus::Open));
    script.query("commit", "COMMIT");
    script.query("update shop.orders set n = 2", "UPDATE 7");
    script.begun("begin");
    script.ended("BEGIN", Some(TransactionStatus::Open));
    script.closed();
    run(folder.path(), &script.events);

    let transactions = records::<Transaction>(folder.path());
    let seen: Vec<_> = transactions
        .iter()
        .map(|record| (record.outcome.expect("known"), record.statements.unwrap_or(0), record.rows_affected))
        .collect();
    assert_eq!(
        seen,
        [
            (TransactionOutcome::Committed, 3, Some(1)),
            (TransactionOutcome::Committed, 1, Some(7)),
            (TransactionOutcome::Disconnected, 1, Some(0)),
        ]
    );
    assert_eq!(transactions[0].relations_written.as_deref(), Some(&["shop.orders".into()][..]));
    let numbers: Vec<_> = transactions.iter().map(|record| record.transaction_no).collect();
    assert_eq!(numbers, [2, 3, 4], "a transaction that is left out has its number all the same");
}

#[test]
fn execute_counts_as_what_it_executes() {
    let folder = tempfile::tempdir().expect("folder");
    let mut script = Script::new(1);
    script.query("prepare p as select email from shop.customers", "PREPARE");
    script.query("execute p", "SELECT 3").rows_returned = 3;
    script.closed();
    run(folder.path(), &script.events);
    let statements = records::<Statement>(folder.path());
    assert_eq!(statements[1].relations.as_deref(), Some(&["shop.customers".into()][..]));
    assert_eq!(statements[1].personal_rows, Some(3));
}

/// Prepared by the protocol, executed by SQL; and a name that nobody is known to have given.
#[test]
fn execute_finds_what_the_protocol_prepared_and_assumes_the_worst_of_a_stranger() {
    let folder = tempfile::tempdir().expect("folder");
    let mut script = Script::new(1);
    script.prepared("P 1", "select upper(email) from shop.customers");
    script.query("execute \"P 1\"", "SELECT 3").rows_returned = 3;
    script.query("execute stranger", "SELECT 3").rows_returned = 3;
    script.query("fetch all from \"<unnamed portal 1>\"", "FETCH 3").rows_returned = 3;
    script.closed();
    run(folder.path(), &script.events);
    let statements = records::<Statement>(folder.path());
    assert_eq!(statements[0].relations.as_deref(), Some(&["shop.customers".into()][..]));
    assert_eq!(statements[0].columns.as_deref(), Some(&["shop.customers.email".into()][..]));
    let certainty: Vec<_> = statements.iter().map(|statement| statement.certainty.expect("known")).collect();
    assert_eq!(certainty[1..], [Certainty::Assumed, Certainty::Assumed]);
}

#[test]
fn a_query_that_was_denied_was_denied_whole_and_its_transaction_failed() {
    let folder = tempfile::tempdir().expect("folder");
    let mut script = Script::new(1);
    script.begun("begin");
    script.ended("BEGIN", Some(TransactionStatus::Open));
    script.begun("select 1; select 2");
    script.ended("", Some(TransactionStatus::Failed)).outcome = Outcome::Denied;
    script.query("rollback", "ROLLBACK");
    script.closed();
    run(folder.path(), &script.events);
    let statements = records::<Statement>(folder.path());
    let outcomes: Vec<_> = statements.iter().map(|statement| statement.outcome.expect("known")).collect();
    assert_eq!(outcomes, [Outcome::Ok, Outcome::Denied, Outcome::Denied, Outcome::Ok]);
    assert_eq!(records::<Transaction>(folder.path())[0].outcome, Some(TransactionOutcome::Failed));
}

/// Each statement completed, and their commit did not.
#[test]
fn a_commit_that_failed_at_the_sync_is_a_failed_transaction() {
    let folder = tempfile::tempdir().expect("folder");
    let mut script = Script::new(1);
    script.begun("insert into shop.orders values (1)");
    script.ended("INSERT 0 1", None).more = false;
    script.ready(TransactionStatus::Idle, Some("23503"));
    script.closed();
    run(folder.path(), &script.events);
    assert_eq!(records::<Statement>(folder.path())[0].outcome, Some(Outcome::Ok));
    assert_eq!(records::<Transaction>(folder.path())[0].outcome, Some(TransactionOutcome::Failed));
}

#[test]
fn people_counted_on_the_wire_are_logged_as_keyed_hashes() {
    let folder = tempfile::tempdir().expect("folder");
    let mut script = Script::new(1);
    let ended = script.query("select * from shop.customers", "SELECT 1500");
    ended.rows_returned = 1_500;
    ended.people = Some(Box::new(People { distinct: 1_400, counted: Counted::Each, values: vec!["4711".to_owned()] }));
    script.closed();
    let findings = run(folder.path(), &script.events);

    let [statement] = &records::<Statement>(folder.path())[..] else { panic!("one statement") };
    assert_eq!(statement.persons, Some(1_400));
    let key = Key::load_or_create(&folder.path().join("log.key")).expect("key");
    assert_eq!(statement.subjects.as_deref(), Some(&[key.subject_hash("4711")][..]));
    let bulk = findings.iter().find(|finding| &*finding.policy == "bulk-personal-read").expect("a finding");
    assert_eq!(bulk.observed, Some(1_400));
    assert_eq!(bulk.evidence.as_deref(), Some(&[statement.common.seq][..]));
    assert!(statement.policies.as_deref().is_some_and(|ids| ids.contains(&"bulk-personal-read".into())));
    assert_eq!(records::<Finding>(folder.path()).len(), findings.len());
}

#[test]
fn what_was_open_when_the_sidecar_died_is_closed_at_the_next_start_once() {
    let folder = tempfile::tempdir().expect("folder");
    let mut script = Script::new(1);
    script.query("select 1", "SELECT 1");
    script.begun("select pg_sleep(1000)");
    // The first life takes it all in and logs it, but the session never closes.
    run(folder.path(), &script.events);
    assert_eq!(records::<Statement>(folder.path()).len(), 1);
    // The second finds it dead.
    run(folder.path(), &[]);
    let statements = records::<Statement>(folder.path());
    let outcomes: Vec<_> = statements.iter().map(|statement| statement.outcome.expect("known")).collect();
    assert_eq!(outcomes, [Outcome::Ok, Outcome::Unknown]);
    let [session] = &records::<Session>(folder.path())[..] else { panic!("one session") };
    assert_eq!(session.outcome, Some(SessionOutcome::Lost));
    // The third finds nothing to do.
    run(folder.path(), &[]);
    assert_eq!(records::<Statement>(folder.path()).len(), 2);
    assert_eq!(records::<Session>(folder.path()).len(), 1);
    let numbers: Vec<_> = statements.iter().map(|statement| statement.common.seq).collect();
    assert_eq!(numbers, [1, 2]);
}

/// The server has a simple Query whole: whatever of it has no end may have run.
#[test]
fn each_statement_of_a_query_that_was_cut_short_is_there_as_unknown() {
    let text = "begin; update t set n = 1; commit";
    // Killed before any of them ended.
    let folder = tempfile::tempdir().expect("folder");
    let mut script = Script::new(1);
    script.begun(text);
    run(folder.path(), &script.events);
    run(folder.path(), &[]);
    let told = |folder: &std::path::Path| -> Vec<(String, Outcome)> {
        let statements = records::<Statement>(folder);
        statements.iter().map(|of| (of.query.as_deref().unwrap_or("").to_owned(), of.outcome.expect("known"))).collect()
    };
    let expected = ["begin", "update t set n = $1", "commit"].map(|text| (text.to_owned(), Outcome::Unknown));
    assert_eq!(told(folder.path()), expected);
    // The client, or the server, is gone in the midst of it.
    let folder = tempfile::tempdir().expect("folder");
    let mut script = Script::new(1);
    let ended = script.query(text, "");
    (ended.outcome, ended.ready, ended.more) = (Outcome::Unknown, None, false);
    script.closed();
    run(folder.path(), &script.events);
    assert_eq!(told(folder.path()), expected);
}

#[test]
fn what_holds_classified_data_from_now_on_is_told_and_what_only_the_session_sees_is_not() {
    let folder = tempfile::tempdir().expect("folder");
    let mut script = Script::new(1);
    let queries = [
        ("create view shop.v as select id, email as mail from shop.customers", "CREATE VIEW"),
        ("create table shop.copy as select * from shop.customers", "SELECT 3"),
        ("insert into shop.letters (address) select email from shop.customers", "INSERT 0 3"),
        ("create view shop.numbers as select count(*) from shop.customers", "CREATE VIEW"),
        ("create temp table mine as select email from shop.customers", "SELECT 3"),
        ("insert into shop.customers (id, email) values (1, 'a@example.jp')", "INSERT 0 1"),
    ];
    for (query, tag) in queries {
        script.query(query, tag);
    }
    script.closed();
    run(folder.path(), &script.events);

    let statements = records::<Statement>(folder.path());
    let derived: Vec<Vec<&str>> = statements
        .iter()
        .map(|statement| statement.derived.as_deref().expect("known").iter().map(|name| &**name).collect())
        .collect();
    let none = Vec::<&str>::new();
    let expected =
        [vec!["shop.v.mail"], vec!["shop.copy.*"], vec!["shop.letters.address"], none.clone(), none.clone(), none];
    assert_eq!(derived, expected);
}
