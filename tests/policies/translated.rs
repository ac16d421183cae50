//! One policy, three engines: what the sidecar finds, `mitsuke query` and DuckDB find with the SQL of `mitsuke policy sql`.
//!
//! In: random policies (conditions, windows, sequences, first reads) over a log of random records, half of what they hold unknown, times
//! that tie, and words that engines tell apart in lower case. Held against each other: the numbers of the records that match, and a
//! window's figures.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, UInt64Type};
use jiff::tz::TimeZone;
use mitsuke::clock::Timestamp;
use mitsuke::policy::definition::{self, AnyRule, Policy};
use mitsuke::policy::list::Lists;
use mitsuke::policy::sql::{Ask, Dialect, query};
use mitsuke::policy::{Engine, PolicySet};
use mitsuke::record::{Statement, Text};
use mitsuke::yaml::Source;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use tokio::runtime::Runtime;

use super::sql::{condition, log_of, record};

const RECORDS: usize = 240;
const POLICIES: usize = 4;
const QUESTIONS: u32 = 12;
/// A question costs half a second: a failure is told as it was found, or nearly.
const SHRINKS: u32 = 10;

/// What each matching record's figure is.
pub type Matches = BTreeMap<u64, Option<u64>>;

/// DuckDB, in a Python that has it.
pub struct Duck {
    child: Child,
    asks: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Duck {
    pub fn start() -> Option<Duck> {
        let python = std::env::var_os("MITSUKE_TEST_PYTHON")?;
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/policies/ask_duckdb.py");
        let mut child = Command::new(python)
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the Python that MITSUKE_TEST_PYTHON names");
        let (asks, answers) = (child.stdin.take(), child.stdout.take().expect("piped"));
        Some(Duck { child, asks, answers: BufReader::new(answers) })
    }

    fn ask(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>, String> {
        let asks = self.asks.as_mut().expect("open");
        writeln!(asks, "{}", serde_json::to_string(sql).expect("a text")).expect("it listens");
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("it answers");
        serde_json::from_str(&line).map_err(|_| line)
    }

    pub fn matches(&mut self, sql: &str) -> Result<Matches, String> {
        let number = |cell: &Option<String>| cell.as_ref().and_then(|cell| cell.parse().ok());
        let rows = self.ask(sql)?;
        Ok(rows.iter().map(|row| (number(&row[2]).expect("a seq"), number(&row[10]))).collect())
    }
}

impl Drop for Duck {
    fn drop(&mut self) {
        drop(self.asks.take());
        let _ = self.child.wait();
    }
}

fn lists() -> Lists {
    let yaml = "tools: [ab, a%b, \"DBeaver*\", \"*ΔΟ*\"]\nnobody: []\n";
    Lists::read(&mut Source::new("lists.yaml".as_ref(), yaml))
}

/// Conditions over what engines see differently, if one lets them.
fn peculiar() -> impl Strategy<Value = String> {
    let fixed = [
        "persons * rows_returned > bytes_in",
        "persons * rows_returned * 2 - persons * rows_returned * 2 = 0",
        "persons * persons + rows_returned * rows_returned >= 0",
        "persons - rows_returned < -3",
        "- persons < bytes_in",
        "(persons - rows_returned) * -1 <= statement_no",
        "persons + 18446744073709551615 > rows_returned + 18446744073709551614",
        "rows_returned > 99999999999999999999999999999999999999",
        "bytes_in - 1 in (-1, 0, 18446744073709551615)",
        "persons in (1, 18446744073709551615)",
        "persons * rows_returned is null",
        "hour + weekday > persons",
        "hour between 9 and 17 and not holiday",
        "holiday",
        "holiday is unknown",
        "weekday in (6, 7) or hour < 7",
        "lower(db_user) = 'οδοσ'",
        "lower(db_user) = 'istanbul'",
        "length(lower(db_user)) > 3",
        "db_user ilike 'i%'",
        "db_user ilike '%σ'",
        "db_user ilike '_STANBUL'",
        "db_user ilike 's%'",
        "db_user ilike 'k'",
        "db_user ilike '%\\_b%'",
        "in_list(db_user, 'tools')",
        "in_list(db_user, 'nobody')",
        "in_list(permit, 'nobody') is unknown",
        "lower(permit) is null",
        "cardinality(relations) + 1 > cardinality(columns)",
        "at > '1600-01-01T00:00:00Z' and ended_at < '2500-01-01T00:00:00Z'",
    ];
    select(fixed.to_vec()).prop_map(str::to_owned)
}

fn whole_condition() -> impl Strategy<Value = String> {
    let one = prop_oneof![2 => condition().prop_map(|both| both.ours), 1 => peculiar()];
    (one, select(vec!["_", "(_) is unknown", "not (_)", "(_) is not true"]))
        .prop_map(|(condition, form)| form.replace('_', &condition))
}

/// The lines of a policy besides its condition.
fn memory() -> impl Strategy<Value = String> {
    let by = || select(vec!["[db_user]", "[application_name, outcome]", "[bytes_in]", "[writer]"]);
    let within = || select(vec!["1h", "5h", "30h", "4d"]);
    let measure = select(vec![
        "count: true",
        "sum: bytes_in",
        "sum: statement_no",
        "distinct: relations",
        "distinct: db_user",
        "distinct: bytes_in",
    ]);
    // Hours take every engine's longest query: `newcomers` asks them more often.
    let many = || select(vec!["relation", "classified_relation", "application_name", "relations"]);
    let thing = prop_oneof![9 => many(), 1 => Just("hour")];
    let window = (by(), within(), measure, 0_u64..6).prop_map(|(by, within, measure, above)| {
        format!("window: {{ by: {by}, within: {within}, {measure}, above: {above} }}\n")
    });
    let after = (by(), within(), 1_u64..4, condition()).prop_map(|(by, within, times, when)| {
        let when = quoted(&when.ours);
        format!("after: {{ by: {by}, within: {within}, times: {times}, when: {when} }}\n")
    });
    let first = (by(), thing, select(vec!["0d", "10h", "2d", "10h, peers: false"]))
        .prop_map(|(by, thing, learn)| format!("baseline: {{ by: {by}, first: {thing}, learn: {learn} }}\n"));
    (option::of(window), option::weighted(0.3, after), option::weighted(0.3, first))
        .prop_map(|parts| [parts.0, parts.1, parts.2].into_iter().flatten().collect())
}

/// As YAML has texts in which anything may stand.
fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a text")
}

pub fn policy() -> impl Strategy<Value = String> {
    (whole_condition(), option::weighted(0.3, whole_condition()), memory()).prop_map(|(when, unless, memory)| {
        let unless = unless.map_or_else(String::new, |unless| format!("unless: {}\n", quoted(&unless)));
        format!(
            "id: p\ntitle: made up\nwhy: to see\nstatus: stable\nseverity: low\non: statement\naction: alert\nwhen: {}\n{unless}{memory}",
            quoted(&when)
        )
    })
}

pub fn compiled(yaml: &str) -> Policy {
    compiled_as("p.yaml", yaml)
}

pub fn compiled_as(name: &str, yaml: &str) -> Policy {
    let mut source = Source::new(name.as_ref(), yaml);
    let policy = definition::read(&mut source, &lists()).1;
    policy.unwrap_or_else(|| panic!("{yaml}: {:?}", source.faults))
}

/// Records with the words that engines differ about, some at the same instant.
pub fn records(runner: &mut TestRunner) -> Vec<Statement> {
    let odd = select(vec!["ΟΔΟΣ", "İstanbul", "ISTANBUL", "ſa", "Sa", "\u{212a}", "k", "A_B"]).prop_map(Text::from);
    let one = (record(), option::weighted(0.4, odd)).prop_map(|(mut record, odd)| {
        record.db_user = odd.or(record.db_user);
        record
    });
    let mut records = vec(one, RECORDS).new_tree(runner).expect("records").current();
    for (index, record) in records.iter_mut().enumerate() {
        record.statement_no = index as u64 % 5;
        let dotted = |list: &Option<Arc<[Text]>>| {
            list.as_ref().map(|items| items.iter().map(|item| Text::from(format!("s.{item}.c"))).collect())
        };
        record.columns = if index % 3 == 0 { record.columns.take() } else { dotted(&record.columns) };
    }
    records.sort_by_key(|record| record.ended_at.map_or(record.common.at, |ended| ended.max(record.common.at)));
    records
}

/// What the sidecar's own engine says of the records in their order. A throttle of its own would not change what matches.
pub fn streamed(policy: Policy, records: &[Statement], timezone: &TimeZone) -> Matches {
    let set = PolicySet { policies: vec![Arc::new(policy)], timezone: timezone.clone(), ..PolicySet::empty() };
    let mut engine = Engine::new(Arc::new(set));
    let mut matches = Matches::new();
    for record in records {
        let mut record = record.clone();
        engine.statement(&mut record);
        if record.policies.as_deref().is_some_and(|policies| !policies.is_empty()) {
            matches.insert(record.common.seq, None);
        }
    }
    matches
}

pub fn asked(runtime: &Runtime, engine: &mitsuke::query::Engine, sql: &str) -> Result<Matches, String> {
    let batches = runtime.block_on(engine.sql(sql)).map_err(|error| error.to_string())?;
    let mut matches = Matches::new();
    for batch in batches {
        let number = |index: usize| cast(batch.column(index), &DataType::UInt64).expect("a number");
        let (seq, observed) = (number(2), number(10));
        let (seq, observed) = (seq.as_primitive::<UInt64Type>(), observed.as_primitive::<UInt64Type>());
        for row in 0..batch.num_rows() {
            matches.insert(seq.value(row), observed.is_valid(row).then(|| observed.value(row)));
        }
    }
    Ok(matches)
}

#[test]
fn policies_find_the_same_in_the_sidecar_in_datafusion_and_in_duckdb() {
    let Some(mut duck) = Duck::start() else {
        eprintln!("NOT TESTED: no Python with duckdb; name one in MITSUKE_TEST_PYTHON, or run tests/run.sh");
        return;
    };
    let mut runner = TestRunner::new(ProptestConfig {
        failure_persistence: None,
        max_shrink_iters: SHRINKS,
        ..ProptestConfig::with_cases(QUESTIONS)
    });
    let mut records = records(&mut runner);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let engine = log_of(&mut records, folder.path());
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let zones = ["UTC", "Asia/Tokyo", "America/New_York", "Australia/Lord_Howe"];
    let duck = std::cell::RefCell::new(&mut duck);
    let (some, asks) = (std::cell::Cell::new(0_usize), std::cell::Cell::new(0_usize));
    let result = runner.run(&(vec(policy(), POLICIES), select(zones.to_vec())), |(policies, zone)| {
        let timezone = TimeZone::get(zone).expect("bundled");
        for yaml in policies {
            let ask = |dialect| Ask {
                dialect,
                log: folder.path().to_path_buf(),
                timezone: timezone.clone(),
                since: None,
                now: Timestamp(1_780_272_000_000_000),
            };
            let policy = compiled(&yaml);
            let fail =
                |engine: &str, sql: &str, why: String| TestCaseError::fail(format!("{engine}: {why}\n{yaml}\n{sql}"));
            let sql = query(&policy, &ask(Dialect::DataFusion)).map_err(|why| fail("not said", "", why.to_string()))?;
            let ours = asked(&runtime, &engine, &sql).map_err(|why| fail("DataFusion", &sql, why))?;
            let duck_sql =
                query(&policy, &ask(Dialect::DuckDb)).map_err(|why| fail("not said", "", why.to_string()))?;
            let ducks = duck.borrow_mut().matches(&duck_sql).map_err(|why| fail("DuckDB", &duck_sql, why))?;
            prop_assert_eq!(&ours, &ducks, "DataFusion and DuckDB, {}\n{}\n{}", zone, yaml, duck_sql);
            let streamed = streamed(policy, &records, &timezone);
            let numbers = |matches: &Matches| matches.keys().copied().collect::<Vec<_>>();
            prop_assert_eq!(
                numbers(&streamed),
                numbers(&ours),
                "the sidecar and DataFusion, {}\n{}\n{}",
                zone,
                yaml,
                sql
            );
            asks.set(asks.get() + 1);
            some.set(some.get() + usize::from(!streamed.is_empty() && streamed.len() < RECORDS));
        }
        Ok(())
    });
    result.unwrap_or_else(|failure| panic!("{failure}"));
    let (some, asks) = (some.get(), asks.get());
    assert!(some * 3 > asks, "policies match some records and not others: {some} of {asks}");
}

#[test]
fn what_is_said_of_the_built_in_policies_runs() {
    let mut runner = TestRunner::new(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() });
    let mut records = records(&mut runner);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let engine = log_of(&mut records, folder.path());
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let mut duck = Duck::start();
    let mut said = 0;
    for policy in super::built_in().active() {
        let ask = |dialect| Ask {
            dialect,
            log: folder.path().to_path_buf(),
            timezone: TimeZone::get("Asia/Tokyo").expect("bundled"),
            since: Some(Timestamp(1_780_272_000_000_000)),
            now: Timestamp(1_780_272_000_000_000),
        };
        let Ok(sql) = query(policy, &ask(Dialect::DataFusion)) else { continue };
        let ours = asked(&runtime, &engine, &sql).unwrap_or_else(|why| panic!("{why}\n{sql}"));
        said += 1;
        // DuckDB refuses a table of which nothing is sealed.
        if let (Some(duck), AnyRule::Statement(_)) = (duck.as_mut(), &policy.rule) {
            let sql = query(policy, &ask(Dialect::DuckDb)).unwrap_or_else(|why| panic!("{why}"));
            assert_eq!(ours, duck.matches(&sql).unwrap_or_else(|why| panic!("{why}\n{sql}")), "{sql}");
        }
    }
    assert!(said >= 48, "{said}");
}
