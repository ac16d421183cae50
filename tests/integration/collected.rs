//! Many people in one value: how many, by the bytes and the server's statistics; against how many there are.

use mitsuke::record::{Certainty, Statement};

use crate::support::programs::{psql, psql_script};
use crate::support::server::{database, direct, shared};
use crate::support::sidecar::Sidecar;

const PEOPLE: u64 = 3_000;
const SCHEMA: &str = "create schema shop;
create table shop.customers (id int primary key, name text, email text, born date, vip boolean, joined timestamptz, note text);
insert into shop.customers select i, 'Name ' || md5(i::text), 'person' || i || '@mail.example.com', date '1950-01-01' + i,
  i % 3 = 0, '2026-01-01T00:00:00Z'::timestamptz + i * interval '1 hour', repeat('x', i % 60) from generate_series(1, 3000) i;
create view shop.contacts as select id, email as mail from shop.customers;
create table shop.orders (id int, customer_id int); insert into shop.orders select i, i from generate_series(1, 9000) i;
analyze;";
const CLASSIFICATION: &str = "levels: [personal]\ntables:\n  shop.customers:\n    subject: id\n    columns: { name: personal, email: personal }\n";

/// Statements, and how many people are in what they return.
const STATEMENTS: [(&str, u64); 17] = [
    ("select json_agg(c) from shop.customers c", PEOPLE),
    ("select jsonb_agg(to_jsonb(c)) from shop.customers c where id <= 300", 300),
    ("select json_agg(c) from (select * from shop.customers limit 500) c", 500),
    ("select json_agg(row_to_json(c)) from shop.customers c where vip", 1_000),
    ("select json_agg(x) from (select id, email from shop.customers where id > 2000) x", 1_000),
    ("select string_agg(email, ',') from shop.customers", PEOPLE),
    ("select string_agg(email, ',') from shop.customers where id <= 100", 100),
    ("select string_agg(email, E'\\n' order by id) from (select * from shop.customers limit 700) c", 700),
    ("select string_agg(lower(email), ',') filter (where vip) from shop.customers", 1_000),
    (
        "select string_agg(email, ',') from shop.customers c join shop.orders o on o.customer_id = c.id where o.id < 401",
        400,
    ),
    ("select array_agg(email) from shop.customers", PEOPLE),
    ("select array_agg(email) from shop.customers where id % 10 = 0", 300),
    ("select array(select email from shop.customers limit 250)", 250),
    ("select array_agg(c) from shop.customers c where id <= 600", 600),
    ("select string_agg(mail, ',') from shop.contacts where id <= 200", 200),
    ("select json_agg(email) from shop.customers where id between 1 and 50", 50),
    ("select vip, string_agg(name, ',') from shop.customers where id <= 900 group by vip", 900),
];
/// What cuts values short: rather all of them than too few.
const CUT_SHORT: [(&str, u64); 3] = [
    ("select string_agg(left(email, 9), ',') from shop.customers", PEOPLE),
    ("select string_agg(substr(email, 7, 3), '') from shop.customers where id < 1000", 999),
    ("select array_agg(md5(email)) from shop.customers where id <= 500", 500),
];

#[test]
fn people_in_one_value_are_estimated_within_a_factor_of_two() {
    let name = database();
    psql_script(&direct(shared(), &name), SCHEMA).expect_success();
    let policies = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(policies.path().join("classification.yaml"), CLASSIFICATION).expect("a file");
    let more = format!(
        "[catalog]\nurl = \"{}\"\n[policies]\npath = \"{}\"\ntimezone = \"UTC\"\n",
        direct(shared(), &name),
        policies.path().display()
    );
    let mut sidecar = Sidecar::start(&more);
    let all: Vec<(&str, u64)> = STATEMENTS.iter().chain(&CUT_SHORT).copied().collect();
    for (sql, _) in &all {
        psql(&sidecar.url(&name), sql).expect_success();
    }
    sidecar.stop();
    let mut records = sidecar.records::<Statement>();
    records.sort_by_key(|record| record.common.seq);
    assert_eq!(records.len(), all.len());
    let mut wrong = Vec::new();
    for (index, ((sql, truth), record)) in all.iter().zip(&records).enumerate() {
        let persons = record.persons.unwrap_or(0);
        println!("{persons:6} of {truth:6}: {sql}");
        let most = if index < STATEMENTS.len() { 2 * truth } else { PEOPLE };
        let right = (*truth..=most).contains(&persons) && record.certainty == Some(Certainty::Inferred);
        if !right {
            wrong.push(format!("{sql}: {persons} of {truth}, {:?}", record.certainty));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
