//! What the built-in policies cost a statement, and how fast a backtest can judge: `cargo bench --bench policies`.
//!
//! Statements are made up: a service's short reads and writes, its reads of people, and now and then a person's export. Beside the engine, a condition
//! written in Rust goes over the same records, and the figures are given as multiples of it, too. Reading the log is not in it.

#![allow(clippy::expect_used, clippy::cast_possible_wrap, reason = "a bench may panic, and its numbers are small")]

use std::hint::black_box;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use mitsuke::clock::Timestamp;
use mitsuke::policy::{Alike, Concerned, Config, Engine, PolicySet, load};
use mitsuke::record::{Certainty, Column, Kind, Outcome, Parse, Statement, Text, Texts};

const RECORDS: usize = 200_000;
/// Columns that are the same in all executions of one statement, as the sidecar has them.
const SETTLED: [&str; 10] =
    ["kind", "query", "fingerprint", "parse", "catalog", "relations", "columns", "level", "functions", "derived"];

fn texts(items: &[&str]) -> Texts {
    items.iter().map(|item| Text::from(*item)).collect()
}

/// Six kinds of statements, as a shop's service and its people send them.
fn kinds() -> Vec<Statement> {
    let of = |kind: Kind, query: &str, relations: &[&str], columns: &[&str]| Statement {
        kind: Some(kind),
        query: Some(query.into()),
        fingerprint: Some(format!("{:016x}", query.len()).into()),
        parse: Some(Parse::Full),
        certainty: Some(Certainty::Exact),
        relations: Some(texts(relations)),
        columns: Some(texts(columns)),
        level: (!columns.is_empty()).then(|| "personal".into()),
        functions: Some(texts(&[])),
        derived: Some(texts(&[])),
        outcome: Some(Outcome::Ok),
        database: Some("shop".into()),
        application_name: Some("shop".into()),
        ..Statement::default()
    };
    vec![
        of(Kind::Select, "select abalance from accounts where aid = $1", &["public.accounts"], &[]),
        of(Kind::Update, "update accounts set abalance = abalance + $1 where aid = $2", &["public.accounts"], &[]),
        of(Kind::Insert, "insert into history values ($1, $2, $3)", &["public.history"], &[]),
        of(
            Kind::Select,
            "select name, email from shop.customers where id = $1",
            &["shop.customers"],
            &["shop.customers.email"],
        ),
        of(Kind::Transaction, "commit", &[], &[]),
        of(Kind::CopyOut, "copy shop.customers to stdout", &["shop.customers"], &["shop.customers.email"]),
    ]
}

fn records() -> Vec<Statement> {
    let kinds = kinds();
    (0..RECORDS)
        .map(|number| {
            // One in a thousand is an export; of the others one in five reads somebody.
            let kind = if number % 1_000 == 999 { 5 } else { number % 5 };
            let persons = [0, 0, 0, 1, 0, 2_000][kind];
            let mut statement = Statement {
                db_user: Some(format!("user_{}", number % 50).into()),
                client_addr: Some(format!("10.0.0.{}", number % 200).into()),
                rows_returned: Some(persons.max(1)),
                personal_rows: Some(persons),
                persons: Some(persons),
                ..kinds[kind].clone()
            };
            statement.common.seq = number as u64;
            statement.common.at = Timestamp(1_780_272_000_000_000 + number as i64 * 1_000);
            statement.ended_at = Some(statement.common.at);
            statement
        })
        .collect()
}

fn engine(set: &Arc<PolicySet>) -> Engine {
    Engine::new(Arc::clone(set))
}

/// Which policies each kind can concern, as the sidecar finds out once.
fn concerned(engine: &Engine) -> Vec<Concerned> {
    let settled = |column: &Column<Statement>| SETTLED.contains(&column.name);
    kinds().iter().map(|kind| engine.concerned(kind, &settled)).collect()
}

fn nanoseconds(of: usize, work: impl FnOnce()) -> f64 {
    let began = Instant::now();
    work();
    began.elapsed().as_nanos() as f64 / of as f64
}

fn main() {
    let set = Arc::new(
        load(&Config { timezone: Some("Asia/Tokyo".to_owned()), ..Config::default() }).expect("the built-in policies"),
    );
    let all = records();
    let mut found = 0;
    let native = nanoseconds(all.len(), || {
        let matches =
            |one: &&Statement| one.persons > Some(1_000) && one.permit.is_none() && one.kind == Some(Kind::CopyOut);
        found = black_box(all.iter().filter(matches).count());
    });
    println!(
        "{} policies, {} statements; a condition in Rust: {native:.1} ns, {found} matches",
        set.policies.len(),
        all.len()
    );

    let (mut by_kind, mut work) = (engine(&set), all.clone());
    let mut findings = 0;
    let each = nanoseconds(all.len(), || {
        findings = work.iter_mut().map(|one| by_kind.statement(one).len()).sum();
    });
    println!(
        "all policies, ruled out by kind:       {each:8.0} ns a statement ({:.0} times that), {findings} findings",
        each / native
    );

    let (mut by_statement, mut work) = (engine(&set), all.clone());
    let known = concerned(&by_statement);
    let index = |number: usize| if number % 1_000 == 999 { 5 } else { number % 5 };
    let each = nanoseconds(all.len(), || {
        for (number, one) in work.iter_mut().enumerate() {
            black_box(by_statement.statement_after(one, known.get(index(number)), None));
        }
    });
    println!(
        "all policies, as the sidecar does:     {each:8.0} ns a statement ({:.0} times that); the aim is 2,000",
        each / native
    );

    for threads in [1, 2] {
        let parts: Vec<Vec<Statement>> = (0..threads).map(|_| all.clone()).collect();
        let began = Instant::now();
        let running: Vec<_> = parts
            .into_iter()
            .map(|mut part| {
                let mut engine = engine(&set);
                let mut alike = Alike::default();
                // As `mitsuke policy backtest` does.
                thread::spawn(move || {
                    part.iter_mut().map(|one| engine.statement_like(one, &mut alike).len()).sum::<usize>()
                })
            })
            .collect();
        let findings: usize = running.into_iter().map(|one| one.join().expect("no panic")).sum();
        let rate = (threads * all.len()) as f64 / began.elapsed().as_secs_f64();
        let each = 1e9 / rate;
        println!(
            "backtest, {threads} engine(s) side by side:     {each:8.0} ns a statement ({:.0} times that), {:.3} million/s, {findings} findings; \
             the aim is 2 million/s by two",
            each / native,
            rate / 1e6
        );
    }
}
