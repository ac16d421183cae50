//! One text, two engines: a condition says the same of a record here and in `mitsuke query`, NULLs included.
//!
//! In: random conditions over a log of random records, half of what they hold unknown. Held against each other: the
//! policies' own evaluation and DataFusion's, by the product's own query engine. Where SQL spells a name otherwise
//! (`has` is `array_has`, `hour` is a part of `at`), both spellings are written.

use std::fmt::Write;

use arrow::array::{Array, AsArray};
use jiff::tz::TimeZone;
use mitsuke::audit::Checkpoint;
use mitsuke::clock::Timestamp;
use mitsuke::policy::condition::{Condition, Tri};
use mitsuke::policy::list::Lists;
use mitsuke::policy::moment::Moment;
use mitsuke::query::Engine;
use mitsuke::record::{Outcome, Statement, Text, Texts};
use mitsuke::yaml::Source;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use tokio::runtime::Runtime;

const RECORDS: usize = 300;
/// Conditions that are asked in one question.
const CONDITIONS: usize = 12;
const QUESTIONS: u32 = 8;

/// A condition as policies have it, and as DataFusion does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Both {
    /// A policy's.
    pub ours: String,
    /// DataFusion's.
    theirs: String,
}

impl Both {
    fn same(text: impl Into<String>) -> Both {
        let text = text.into();
        Both { ours: text.clone(), theirs: text }
    }

    /// `_` in `form` stands for the operands, in turn.
    fn joined(form: &str, operands: &[&Both]) -> Both {
        let fill = |of: fn(&Both) -> &str| {
            let mut parts = form.split('_');
            let mut text = parts.next().unwrap_or_default().to_owned();
            for (part, operand) in parts.zip(operands) {
                text = text + of(operand) + part;
            }
            text
        };
        Both { ours: fill(|both| &both.ours), theirs: fill(|both| &both.theirs) }
    }
}

fn number() -> impl Strategy<Value = Option<u64>> {
    option::of(prop_oneof![4 => 0_u64..4, 1 => select(vec![1 << 63, (1 << 63) - 1, u64::MAX, u64::MAX - 1])])
}

const WORDS: [&str; 12] = ["", "a", "b", "A", "ab", "aB", "顧客", "a_b", "a%b", "DBeaver 24.1", "it's", "line\nbreak"];

fn word() -> impl Strategy<Value = Option<Text>> {
    option::of(select(WORDS.as_slice()).prop_map(Text::from))
}

fn words() -> impl Strategy<Value = Option<Texts>> {
    option::of(subsequence(WORDS.as_slice(), 0..3).prop_map(|words| words.into_iter().map(Text::from).collect()))
}

fn moment() -> impl Strategy<Value = i64> {
    // 2026-06-01T00:00:00Z, and hours after it.
    (0_i64..200).prop_map(|hours| 1_780_272_000_000_000 + hours * 3_600_000_000)
}

pub fn record() -> impl Strategy<Value = Statement> {
    let numbers = (number(), number(), option::of(0_u64..4));
    let texts = (word(), word(), option::of(select(vec![Outcome::Ok, Outcome::Error, Outcome::Unknown])));
    let lists = (words(), words());
    (numbers, texts, lists, moment(), option::of(moment())).prop_map(|(numbers, texts, lists, at, ended_at)| {
        let mut record = Statement {
            persons: numbers.0,
            rows_returned: numbers.1,
            bytes_in: numbers.2,
            db_user: texts.0,
            application_name: texts.1,
            outcome: texts.2,
            relations: lists.0,
            columns: lists.1,
            ended_at: ended_at.map(Timestamp),
            ..Statement::default()
        };
        record.common.at = Timestamp(at);
        record
    })
}

fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "''"))
}

fn text() -> impl Strategy<Value = Both> {
    let column = select(vec!["db_user", "application_name", "outcome", "permit"]).prop_map(Both::same);
    let literal = select(WORDS.as_slice()).prop_map(|word| Both::same(quoted(word)));
    let leaf = prop_oneof![3 => column, 1 => literal].boxed();
    prop_oneof![4 => leaf.clone(), 1 => leaf.prop_map(|text| Both::joined("lower(_)", &[&text]))]
}

/// Any number of the record.
fn figure() -> impl Strategy<Value = Both> {
    let column = select(vec!["persons", "rows_returned", "bytes_in", "personal_rows", "statement_no"]);
    prop_oneof![
        4 => column.prop_map(Both::same),
        1 => Just(Both { ours: "hour".into(), theirs: "date_part('hour', at)".into() }),
        1 => Just(Both { ours: "weekday".into(), theirs: "date_part('isodow', at)".into() }),
        1 => text().prop_map(|text| Both::joined("length(_)", &[&text])),
        1 => select(vec!["cardinality(relations)", "cardinality(columns)"]).prop_map(Both::same),
    ]
}

/// A sum of columns, far from the ends of 64 bits. DataFusion adds columns modulo 2^64, refuses `-column`, and takes a
/// column and a literal together to decimals, some of which it then refuses to compare; policies go on in 128 bits.
fn sum() -> impl Strategy<Value = Both> {
    let column = || select(vec!["bytes_in", "statement_no", "personal_rows"]).prop_map(Both::same);
    let forms = select(vec!["_ + _", "_ * _", "_ + _ * _", "(_ + _) * _", "_ * (_ + _)"]);
    (column(), forms, column(), column()).prop_map(|(first, form, second, third)| three(form, &first, &second, &third))
}

fn literal() -> impl Strategy<Value = Both> {
    let number = prop_oneof![
        3 => (0_u64..5).prop_map(|number| number.to_string()),
        1 => select(vec!["9223372036854775807", "9223372036854775808", "18446744073709551615"]).prop_map(str::to_owned),
        1 => select(vec!["-1", "-9223372036854775807"]).prop_map(str::to_owned),
    ];
    number.prop_map(Both::same)
}

fn comparison() -> impl Strategy<Value = &'static str> {
    select(vec!["_ = _", "_ <> _", "_ < _", "_ <= _", "_ > _", "_ >= _"])
}

fn two(form: &str, left: &Both, right: &Both) -> Both {
    Both::joined(form, &[left, right])
}

fn three(form: &str, first: &Both, second: &Both, third: &Both) -> Both {
    Both::joined(form, &[first, second, third])
}

/// A condition without AND, OR and NOT.
fn atom() -> impl Strategy<Value = Both> {
    prop_oneof![about_numbers(), about_texts(), about_lists(), about_times()]
}

fn about_numbers() -> impl Strategy<Value = Both> {
    let negated = |form: &'static str| select(vec![form.to_owned(), form.replacen(' ', " not ", 1)]);
    prop_oneof![
        3 => (figure(), comparison(), literal()).prop_map(|(figure, form, literal)| two(form, &figure, &literal)),
        1 => (literal(), comparison(), figure()).prop_map(|(literal, form, figure)| two(form, &literal, &figure)),
        2 => (figure(), comparison(), figure()).prop_map(|(left, form, right)| two(form, &left, &right)),
        2 => (sum(), comparison(), 0_u8..20).prop_map(|(sum, form, number)| two(form, &sum, &Both::same(number.to_string()))),
        1 => (figure(), negated("_ between _ and _"), literal(), literal())
            .prop_map(|(figure, form, low, high)| three(&form, &figure, &low, &high)),
        1 => (figure(), negated("_ in (_, _)"), literal(), literal())
            .prop_map(|(figure, form, one, other)| three(&form, &figure, &one, &other)),
        1 => (figure(), select(vec!["_ is null", "_ is not null"])).prop_map(|(figure, form)| Both::joined(form, &[&figure])),
    ]
}

fn about_texts() -> impl Strategy<Value = Both> {
    let patterns =
        vec!["", "%", "_", "a%", "%b", "%a%", "a\\_b", "a\\%_", "A_", "db%24._", "顧_", "%\n%", "__", "it's"];
    let like = select(vec!["_ like ", "_ not like ", "_ ilike ", "_ not ilike "]);
    let negated = select(vec!["_ in (_, _)", "_ not in (_, _)"]);
    let word = || select(WORDS.as_slice()).prop_map(|word| Both::same(quoted(word)));
    prop_oneof![
        3 => (text(), comparison(), text()).prop_map(|(left, form, right)| two(form, &left, &right)),
        3 => (text(), like, select(patterns)).prop_map(|(text, form, pattern)| {
            // The pattern's own `_` are no operands.
            let like = Both::joined(form, &[&text]);
            Both { ours: like.ours + &quoted(pattern), theirs: like.theirs + &quoted(pattern) }
        }),
        1 => (text(), negated, word(), word()).prop_map(|(text, form, one, other)| three(form, &text, &one, &other)),
        1 => (text(), word(), word()).prop_map(|(text, low, high)| three("_ between _ and _", &text, &low, &high)),
        1 => (text(), select(vec!["_ is null", "_ is not null"])).prop_map(|(text, form)| Both::joined(form, &[&text])),
        1 => text().prop_map(|text| Both {
            ours: format!("in_list({}, 'tools')", text.ours),
            theirs: format!("({0} in ('ab', 'a%b') or {0} like 'DBeaver%')", text.theirs),
        }),
    ]
}

fn about_lists() -> impl Strategy<Value = Both> {
    let list = || select(vec!["relations", "columns", "functions"]);
    prop_oneof![
        3 => (list(), text()).prop_map(|(list, text)| Both {
            ours: format!("has({list}, {})", text.ours),
            theirs: format!("array_has({list}, {})", text.theirs),
        }),
        1 => (list(), select(vec!["is null", "is not null"])).prop_map(|(list, is)| Both::same(format!("{list} {is}"))),
    ]
}

fn about_times() -> impl Strategy<Value = Both> {
    let time = || select(vec!["'2026-06-04T00:00:00Z'", "'2026-06-02T09:00:00+09:00'", "'2026-06-03 12:00:00Z'"]);
    prop_oneof![
        (select(vec!["at", "ended_at"]), comparison(), time()).prop_map(|(column, form, time)| two(
            form,
            &Both::same(column),
            &Both::same(time)
        )),
        comparison().prop_map(|form| two(form, &Both::same("at"), &Both::same("ended_at"))),
        Just(Both::same("ended_at is null")),
    ]
}

pub fn condition() -> impl Strategy<Value = Both> {
    atom().prop_recursive(4, 16, 2, |inner| {
        let joint = select(vec!["_ and _", "_ or _", "(_) and (_)", "(_) or (_)", "not (_ and _)", "(_) = (_)"]);
        let dress = select(vec![
            "not _",
            "not (_)",
            "(_) is true",
            "(_) is not true",
            "(_) is false",
            "(_) is not false",
            "(_) is unknown",
            "(_) is not unknown",
            "(_) is null",
            "(_) or null_is_not_written",
        ]);
        prop_oneof![
            3 => (inner.clone(), joint, inner.clone()).prop_map(|(left, form, right)| two(form, &left, &right)),
            1 => (inner, dress).prop_map(|(inner, form)| {
                Both::joined(&form.replace("null_is_not_written", "false"), &[&inner])
            }),
        ]
    })
}

/// A log of these records, half of it sealed; they get their numbers.
pub fn log_of(records: &mut [Statement], path: &std::path::Path) -> Engine {
    let mut log = super::again::log(path);
    let half = records.len() / 2;
    for (index, record) in records.iter_mut().enumerate() {
        log.number(record);
        log.append(record.clone());
        if index == half {
            log.commit(&Checkpoint::default()).expect("it is written");
            log.seal().expect("half of it is Parquet");
        }
    }
    log.commit(&Checkpoint::default()).expect("it is written");
    let engine = Engine::open(path).expect("it can be asked");
    // For engines that read files alone; ours has half of it from the journal.
    log.seal().expect("all of it is Parquet");
    engine
}

/// For each condition, what DataFusion says of each record, in the records' order.
fn asked(runtime: &Runtime, engine: &Engine, conditions: &[Both]) -> Result<Vec<Vec<Tri>>, TestCaseError> {
    let mut sql = "select ".to_owned();
    for (index, condition) in conditions.iter().enumerate() {
        let _ = write!(sql, "({}) as c{index}, ", condition.theirs);
    }
    sql += "seq from statements order by seq";
    let batches = runtime.block_on(engine.sql(&sql)).map_err(|error| TestCaseError::fail(format!("{error}: {sql}")))?;
    let tri = |array: &dyn Array, row| match array.is_valid(row) {
        true => Tri::from(array.as_boolean().value(row)),
        false => Tri::Unknown,
    };
    let column = |index: usize| {
        let parts = batches.iter().map(|batch| batch.column(index));
        parts.flat_map(|array| (0..array.len()).map(move |row| tri(array, row))).collect()
    };
    Ok((0..conditions.len()).map(column).collect())
}

#[test]
fn conditions_say_the_same_in_a_policy_and_in_a_query() {
    let mut runner =
        TestRunner::new(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(QUESTIONS) });
    let mut records = vec(record(), RECORDS).new_tree(&mut runner).expect("records").current();
    for (index, record) in records.iter_mut().enumerate() {
        record.statement_no = index as u64 % 5;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let engine = log_of(&mut records, folder.path());
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let lists = Lists::read(&mut Source::new("lists.yaml".as_ref(), "tools: [ab, a%b, \"DBeaver*\"]"));
    let mut seen = [0_usize; 3];
    let result = runner.run(&vec(condition(), CONDITIONS), |conditions| {
        let theirs = asked(&runtime, &engine, &conditions)?;
        for (condition, theirs) in conditions.iter().zip(theirs) {
            let compiled = Condition::<Statement>::compile(&condition.ours, &lists)
                .map_err(|mistakes| TestCaseError::fail(format!("{}: {mistakes:?}", condition.ours)))?;
            prop_assert_eq!(theirs.len(), records.len());
            for (record, theirs) in records.iter().zip(theirs) {
                let ours = compiled.eval(record, &Moment::new(record.common.at, &TimeZone::UTC));
                prop_assert_eq!(ours, theirs, "{} | {} | {:?}", condition.ours, condition.theirs, record);
            }
        }
        Ok(())
    });
    result.unwrap_or_else(|failure| panic!("{failure}"));
    for condition in ["persons > 1", "has(relations, 'a')", "db_user like 'a%'"] {
        let compiled = Condition::<Statement>::compile(condition, &lists).unwrap_or_else(|_| panic!("{condition}"));
        for record in &records {
            seen[compiled.eval(record, &Moment::new(record.common.at, &TimeZone::UTC)) as usize] += 1;
        }
    }
    assert!(seen.iter().all(|number| *number > RECORDS / 10), "FALSE, NULL and TRUE all come up: {seen:?}");
}
