//! The evasion corpus: every way to get classified data out, and every innocent statement, through the real binary before a
//! real server, by either protocol; what the log says of each is held against what is true.

mod chains;
mod corpus;
mod doors;
mod drawn;
mod unfollowed;

use std::collections::BTreeMap;
use std::path::Path;

use mitsuke::catalog::Classification;
use mitsuke::record::{CatalogState, Certainty, Outcome, Statement};

use crate::support::programs::{psql, psql_script};
use crate::support::server::{self, SUPERUSER, database, direct, shared};
use crate::support::sidecar::Sidecar;
use crate::support::wait_for;
use crate::support::wire::{Client, bind, describe, execute, packet, parse, query, sync};
use corpus::{Case, Expected, Family, Step};

const SCHEMA: &str = include_str!("../evasion/schema.sql");
const CLASSIFICATION: &str = include_str!("../evasion/classification.yaml");
/// A policy, so that the folder of policies is one.
const POLICY: &str = include_str!("../../policies/bulk/bulk-personal-read.yaml");
const POLICY_CASES: &str = include_str!("../../policies/bulk/bulk-personal-read.cases.yaml");

/// In this order: while it is not known what code has filled, nothing is exact, and so what has to be comes before such code; and what went
/// into large objects is remembered, and what went into a sequence whose name is not known, and into comments.
const FAMILIES: [&str; 27] = [
    "plain",
    "expressions",
    "aggregates",
    "subqueries",
    "joins",
    "relations",
    "cursors",
    "prepared",
    "copy",
    "hostile",
    "settings",
    "functions",
    "code",
    "large_objects",
    "doors",
    "errors",
    "sequences",
    "copies",
    "writing",
    "covert",
    "changes",
    "unnamed",
    "innocent",
    "innocent_psql",
    "innocent_tools",
    "sideways",
    "comments",
];

/// What code fills: most of these wait for the catalog, and so are run by themselves.
const OF_CODE: [&str; 3] = ["filled", "executed", "gone"];

#[derive(Clone, Copy, Debug, PartialEq)]
enum By {
    Simple,
    Extended,
}

#[test]
fn what_reaches_the_client_is_known_by_the_simple_protocol() {
    judge(By::Simple, &FAMILIES);
}

#[test]
fn what_reaches_the_client_is_known_by_the_extended_protocol() {
    judge(By::Extended, &FAMILIES);
}

#[test]
fn what_code_fills_is_known_by_the_simple_protocol() {
    judge(By::Simple, &OF_CODE);
}

#[test]
fn what_code_fills_is_known_by_the_extended_protocol() {
    judge(By::Extended, &OF_CODE);
}

#[test]
fn the_corpus_is_as_large_as_it_is_said_to_be() {
    let steps = families().into_iter().flat_map(|family| family.cases).flat_map(|case| case.steps);
    let expected: Vec<Expected> = steps.filter_map(|step| step.expected).collect();
    let (innocent, leaks): (Vec<&Expected>, Vec<&Expected>) =
        expected.iter().partition(|expected| expected.is_innocent());
    assert!(leaks.len() >= 150 && innocent.len() >= 100, "{} leaks, {} innocent", leaks.len(), innocent.len());
}

/// The corpus, read when the test runs: a case can be added without a build.
pub(crate) fn families() -> Vec<Family> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/evasion");
    let read = |name: &&str| {
        let path = folder.join(name).with_extension("sql");
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Family::parse(name, &text)
    };
    FAMILIES.iter().chain(&OF_CODE).map(read).collect()
}

/// What of the corpus's schema is classified.
pub(crate) fn classification() -> Classification {
    Classification::parse(CLASSIFICATION, Path::new("tests/evasion/classification.yaml")).expect("it is right")
}

/// A new database with the corpus's schema, and a sidecar that knows its catalog and its classification. The folder is
/// the policies'.
pub(crate) fn set_up() -> (String, Sidecar, tempfile::TempDir) {
    let name = database();
    psql_script(&direct(shared(), &name), SCHEMA).expect_success();
    let (more, folder) = configured(&direct(shared(), &name));
    let sidecar = Sidecar::start(&more);
    (name, sidecar, folder)
}

/// What such a sidecar is told: where its catalog is read, and the folder of its policies.
fn configured(catalog: &str) -> (String, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (file, text) in [
        ("classification.yaml", CLASSIFICATION),
        ("bulk-personal-read.yaml", POLICY),
        ("bulk-personal-read.cases.yaml", POLICY_CASES),
    ] {
        std::fs::write(folder.path().join(file), text).expect("a file of the policies");
    }
    let policies = folder.path().display();
    let more = format!("[catalog]\nurl = \"{catalog}\"\n[policies]\npath = \"{policies}\"\ntimezone = \"UTC\"\n");
    (more, folder)
}

/// What a table was filled with is known in another session, after a kill and a start.
#[test]
fn where_columns_went_outlives_a_restart() {
    let (name, mut sidecar, _policies) = set_up();
    let ask = |sidecar: &Sidecar, sql: &str| psql(&sidecar.url(&name), sql).expect_success();
    ask(&sidecar, "create table other.kept as select email as a, city as b from shop.customers");
    ask(&sidecar, "alter table shop.staff rename to people");
    wait_for("both in the log", || (sidecar.records::<Statement>().len() >= 2).then_some(()));
    sidecar.kill();
    sidecar.launch();
    ask(&sidecar, "select a from other.kept");
    ask(&sidecar, "select b from other.kept");
    ask(&sidecar, "select email from shop.people");
    sidecar.stop();
    let mut statements = sidecar.records::<Statement>();
    statements.sort_by_key(|statement| statement.common.seq);
    let last: Vec<(Vec<&str>, Option<u64>, Option<Certainty>)> = statements[statements.len() - 3..]
        .iter()
        .map(|record| {
            let columns = record.columns.iter().flat_map(|columns| columns.iter()).map(|column| &**column);
            (columns.collect(), record.persons, record.certainty)
        })
        .collect();
    assert_eq!(last[0], (vec!["shop.customers.email"], Some(40), Some(Certainty::Inferred)));
    assert_eq!((&last[1].0, last[1].1), (&vec![], Some(0)));
    assert_eq!(last[2], (vec!["shop.staff.email"], Some(5), Some(Certainty::Inferred)));
}

/// Renamed and moved by somebody who did not come through here: known by its OID at once, and still when the catalog was read anew.
#[test]
fn a_table_that_is_renamed_behind_its_back_is_what_it_was() {
    let (name, mut sidecar, _policies) = set_up();
    doors::until_fresh(&sidecar, &name);
    let rename = "alter table shop.customers rename to clients; alter table shop.clients set schema other";
    psql(&direct(shared(), &name), rename).expect_success();
    let ask = |sql: &str| psql(&sidecar.url(&name), sql).expect_success();
    ask("select id, email from other.clients");
    // It changes the schema: the catalog is read again.
    ask("create table other.anything (v int)");
    wait_for("the catalog to be read again", || {
        ask("select id, email from other.clients where id > 0");
        doors::lineages(&sidecar).any(|lineage| lineage.contains("clients")).then_some(())
    });
    ask("select id, email from other.clients where id < 1000");
    sidecar.stop();
    let records = sidecar.records::<Statement>();
    let of_it =
        records.iter().filter(|record| record.query.as_deref().is_some_and(|query| query.contains("other.clients")));
    let mut seen = 0;
    for record in of_it {
        let columns: Vec<&str> =
            record.columns.iter().flat_map(|columns| columns.iter()).map(|column| &**column).collect();
        assert_eq!((columns, record.persons), (vec!["shop.customers.email"], Some(40)), "{record:?}");
        seen += 1;
    }
    assert!(seen >= 3, "{seen}");
}

/// It was there before Mitsuke was, and what it is made from was made anew since.
#[test]
fn a_materialised_view_holds_what_it_was_refreshed_with() {
    let (name, mut sidecar, _policies) = set_up();
    let before = "create view other.seen as select id, email::text as email from shop.customers;
        create view other.made as select 0 as id, email from shop.customers;
        create materialized view other.kept_seen as select id, email from other.seen;
        create materialized view other.kept_made as select id, email from other.made;
        create view other.over as select id, email from other.kept_seen";
    psql(&direct(shared(), &name), before).expect_success();
    let ask = |sql: &str| psql(&sidecar.url(&name), sql).expect_success();
    doors::until_fresh(&sidecar, &name);
    ask("create table other.anything (v int)");
    doors::until_fresh(&sidecar, &name);
    ask("create or replace view other.seen as select id, ''::text as email from shop.customers");
    ask("create or replace view other.made as select id, email from shop.customers");
    for _ in 0..2 {
        doors::until_fresh(&sidecar, &name);
        for of in ["kept_seen", "kept_made", "over"] {
            ask(&format!("select id, email from other.{of}"));
        }
        ask("create table if not exists other.more (v int)");
    }
    sidecar.stop();
    let of_it =
        |record: &&Statement| record.query.as_deref().is_some_and(|query| query.starts_with("select id, email"));
    let records = sidecar.records::<Statement>();
    let records: Vec<&Statement> = records.iter().filter(of_it).collect();
    assert_eq!(records.len(), 6);
    for record in records {
        let columns: Vec<&str> =
            record.columns.iter().flat_map(|columns| columns.iter()).map(|column| &**column).collect();
        assert_eq!((columns, record.persons), (vec!["shop.customers.email"], Some(40)), "{record:?}");
        assert_ne!(record.certainty, Some(Certainty::Exact), "{record:?}");
    }
}

/// Made from other columns, and then set free: by somebody who came through here, at once and in one go, or behind its back.
#[test]
fn a_column_that_is_generated_no_more_keeps_what_it_holds() {
    let (name, mut sidecar, _policies) = set_up();
    let behind = |sql: &str| psql(&direct(shared(), &name), sql).expect_success();
    let ask = |sql: &str| psql(&sidecar.url(&name), sql).expect_success();
    let table = |table: &str| {
        format!(
            "create table other.{table} (id int, email text, low text generated always as (lower(email)) stored);
             insert into other.{table} (id, email) select id, email from shop.customers"
        )
    };
    let free = |table: &str| {
        format!(
            "alter table other.{table} alter column low drop expression; alter table other.{table} drop column email"
        )
    };
    let cascading = "alter table shop.staff add unique (email);
        create table other.cascading (id int, who text references shop.staff (email) on update cascade);
        insert into other.cascading select id, email from only shop.staff";
    ask(&table("one"));
    ask(&table("two"));
    behind(cascading);
    doors::until_fresh(&sidecar, &name);
    ask(&free("one"));
    behind(&free("two"));
    behind("alter table other.cascading drop constraint cascading_who_fkey");
    ask(&format!("begin; {}; {}; commit", table("three"), free("three")));
    doors::until_fresh(&sidecar, &name);
    let tables = ["one", "two", "three", "cascading"];
    let column = |table: &str| if table == "cascading" { "who" } else { "low" };
    tables.iter().for_each(|table| _ = ask(&format!("select {} from other.{table}", column(table))));
    sidecar.stop();
    let records = sidecar.records::<Statement>();
    for table in tables {
        let query = format!("select {} from other.{table}", column(table));
        let record = records.iter().find(|record| record.query.as_deref() == Some(&query)).expect("it was asked");
        let columns: Vec<&str> =
            record.columns.iter().flat_map(|columns| columns.iter()).map(|column| &**column).collect();
        let of = if table == "cascading" { "shop.staff.email" } else { "shop.customers.email" };
        assert!(columns.contains(&of) && record.certainty != Some(Certainty::Exact), "{record:?}");
        assert_eq!(record.persons, record.rows_returned, "{record:?}");
    }
}

/// Renamed by code that shows nothing of it: the catalog is read again for that.
#[test]
fn what_code_may_have_changed_is_read_again() {
    let (name, mut sidecar, _policies) = set_up();
    let ask = |sql: &str| psql(&sidecar.url(&name), sql).expect_success();
    ask("create function other.runs(what text) returns void language plpgsql as 'begin execute what; end'");
    doors::until_fresh(&sidecar, &name);
    ask("select other.runs('alter table shop.customers rename to clients')");
    wait_for("the catalog to be read again", || {
        ask("select 1");
        doors::lineages(&sidecar).any(|lineage| lineage.contains("clients")).then_some(())
    });
    ask("select city || email from shop.clients");
    sidecar.stop();
    let records = sidecar.records::<Statement>();
    let last = records.iter().find(|record| record.query.as_deref().is_some_and(|query| query.contains("city ||")));
    let last = last.expect("its record");
    let columns: Vec<&str> = last.columns.iter().flat_map(|columns| columns.iter()).map(|column| &**column).collect();
    assert_eq!((columns, last.persons), (vec!["shop.customers.email"], Some(40)), "{last:?}");
}

/// Whoever returned a person's record is found by the person's key, whatever the format the key was sent in; and nobody without
/// the key file.
#[test]
fn who_read_the_record_of_one_person() {
    let (name, mut sidecar, _policies) = set_up();
    for sql in [
        "select id, email from shop.customers where id = 7",
        "select id, email from shop.customers where id = 8",
        "select email from shop.customers where id = 7",
        "select id, city from shop.customers where id = 7",
        "select id, email from shop.customers where id <= 10",
    ] {
        psql(&sidecar.url(&name), sql).expect_success();
    }
    sidecar.stop();
    let told = sidecar.command(["who", "shop.customers", "7"]).expect_success();
    let returned = |word: &str| told.lines().filter(|line| line.split_whitespace().nth(1) == Some(word)).count();
    assert_eq!((returned("yes"), returned("likely"), returned("perhaps"), returned("asked")), (2, 1, 0, 1), "{told}");
    assert!(
        told.ends_with("2 returned this person's record, 1 likely did, 0 may have, 1 more asked with this key\n")
            && !told.contains("= 7"),
        "{told}"
    );
    assert_eq!(sidecar.command(["who", "shop.customers", "7", "--since", "1h"]).expect_success(), told);
    let json = sidecar.command(["who", "shop.customers", "7", "--format", "json"]).expect_success();
    let first: serde_json::Value =
        serde_json::from_str(json.lines().next().unwrap_or_default()).expect("an object a line");
    assert_eq!((&first["returned"], &first["persons"]), (&"yes".into(), &1.into()));
    assert_eq!(sidecar.command(["who", "shop.customers", "4711"]).expect_success().lines().count(), 2);
    assert_eq!(sidecar.command(["who", "shop.orders", "7"]).expect_success().lines().count(), 1);
}

fn judge(by: By, names: &[&str]) {
    let (name, mut sidecar, _policies) = set_up();
    let major = server::major(shared());
    let mut families = families();
    families.retain(|family| names.iter().any(|name| *name == family.name));
    let mut wrong = Vec::new();
    for (family, case) in families.iter().flat_map(|family| family.cases.iter().map(move |case| (family, case))) {
        wrong.extend(play(&sidecar.address(), &name, by, &application(family, case), case, major));
    }
    sidecar.stop();
    let mut logged: BTreeMap<String, Vec<Statement>> = BTreeMap::new();
    for statement in sidecar.records::<Statement>() {
        let application = statement.application_name.as_deref().unwrap_or_default().to_owned();
        logged.entry(application).or_default().push(statement);
    }
    for (family, case) in families.iter().flat_map(|family| family.cases.iter().map(move |case| (family, case))) {
        let mut statements = logged.remove(&application(family, case)).unwrap_or_default();
        statements.sort_by_key(|statement| statement.statement_no);
        wrong
            .extend(judge_case(case, statements, by, major).into_iter().map(|what| format!("{}: {what}", family.name)));
    }
    assert!(wrong.is_empty(), "{by:?}: {} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

fn application(family: &Family, case: &Case) -> String {
    format!("{}:{}", family.name, case.line)
}

/// Runs a case's statements in one session. Gives those that did not end as they should.
fn play(address: &str, database: &str, by: By, application: &str, case: &Case, major: u32) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut client = Client::connect(address);
    let words = format!("user\0{SUPERUSER}\0database\0{database}\0application_name\0{application}\0\0");
    client.say(&packet(196_608, words.as_bytes()));
    client.hear_until_ready(1);
    client.heard.clear();
    for step in case.steps.iter().filter(|step| step.runs(by == By::Extended, major)) {
        let message = match by {
            By::Simple => query(&step.text.replace("\\;", ";")),
            By::Extended => {
                [parse("", &step.text), bind("", "", &[]), describe(b'P', ""), execute("", 0), sync()].concat()
            }
        };
        client.say(&message);
        client.hear_until_ready(1);
        let failed = crate::support::wire::last_error(&client.heard);
        let may_fail = step.expected.as_ref().is_some_and(|expected| expected.error);
        if failed.is_some() != may_fail {
            wrong.push(format!("{application}: {}: {failed:?}", step.short()));
        }
        client.heard.clear();
    }
    wrong
}

/// What the log says wrong of a case.
fn judge_case(case: &Case, statements: Vec<Statement>, by: By, major: u32) -> Vec<String> {
    let steps: Vec<&Step> = case.steps.iter().filter(|step| step.runs(by == By::Extended, major)).collect();
    if statements.len() < steps.len() {
        return vec![format!("line {}: {} records of {} statements", case.line, statements.len(), steps.len())];
    }
    let last = steps.len().saturating_sub(1);
    let mut wrong = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        // Several statements in one message are the last of their case.
        let records = if number == last { &statements[number..] } else { &statements[number..=number] };
        if let Some(expected) = &step.expected {
            wrong.extend(
                judge_step(expected, records).map(|what| format!("line {}: {}: {what}", step.line, step.short())),
            );
        }
    }
    wrong
}

fn judge_step(expected: &Expected, records: &[Statement]) -> Option<String> {
    let named = records.iter().filter_map(|record| record.columns.as_ref());
    let mut columns: Vec<&str> = named.flat_map(|columns| columns.iter()).map(|column| &**column).collect();
    columns.sort_unstable();
    columns.dedup();
    let persons: u64 = records.iter().filter_map(|record| record.persons).sum();
    let rows: u64 = records.iter().filter_map(|record| record.personal_rows).sum();
    let certainty = records.iter().filter_map(|record| record.certainty).max_by_key(|certainty| match certainty {
        Certainty::Exact => 0,
        Certainty::Inferred => 1,
        Certainty::Assumed => 2,
    })?;
    let told = format!("the log says {certainty:?}, {columns:?}, {persons} people, {rows} rows");
    if expected.is_innocent() {
        return (persons > 0 || rows > 0).then(|| format!("{told}; nobody's data left"));
    }
    let fresh = records.iter().all(|record| record.catalog == Some(CatalogState::Fresh));
    let ends = if expected.error { Outcome::Error } else { Outcome::Ok };
    let ended = records.iter().any(|record| record.outcome == Some(ends));
    let named = expected.columns.iter().all(|column| columns.contains(&column.as_str()));
    let only = columns.iter().all(|column| expected.columns.iter().any(|other| other == column));
    let right = match certainty {
        Certainty::Exact => named && only && persons == expected.people,
        Certainty::Inferred => named && only && persons >= expected.people,
        Certainty::Assumed => named && persons >= expected.people,
    };
    // While the catalog is being read again, nothing is exact.
    let sure = expected.certainty.contains(&certainty)
        || (!fresh && certainty == Certainty::Inferred && expected.certainty.contains(&Certainty::Exact));
    let is_few = !expected.no_more || persons <= expected.people;
    (!right || !sure || !ended || !is_few).then(|| format!("{told}; expected {expected:?}"))
}
