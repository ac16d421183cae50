//! Made-up people among the real ones, with the real binary before a real server: whatever road a row takes to a client, the record says
//! that it was a bait's, however many rows went with it; and no neighbour is taken for one.

use std::fs;
use std::path::Path;

use mitsuke::record::{Finding, Outcome, Statement};

use crate::support::programs::{psql, psql_script};
use crate::support::server::{self, SUPERUSER, direct, shared};
use crate::support::sidecar::Sidecar;
use crate::support::wait_for;
use crate::support::wire::{self, Client, describe, execute, message, parse, query, sync};

const VALUE: &str = "900001";
/// More people than are counted exactly, and far more than are kept.
const PEOPLE: u32 = 70_000;
const CLASSIFICATION: &str = "levels: [internal, personal]
tables:
  shop.customers: { subject: id, columns: { email: personal } }
  shop.orders: { subject: customer, columns: { note: personal } }
  shop.parts: { subject: id, columns: { email: personal } }
  shop.members: { subject: code, columns: { email: personal } }
";
const BAITS: &str = "baits:
  - { name: shop-bait, table: shop.customers, subject: 900001 }
  - { name: order-bait, table: shop.orders, subject: 900001 }
  - { name: part-bait, table: \"shop.part*\", subject: \"900001\" }
  - { name: member-bait, table: shop.members, subject: 0A000000-0000-4000-8000-000000000001 }
";

/// What is asked, and the baits in the answer.
const ASKED: [(&str, &[&str]); 21] = [
    ("select * from shop.customers where id = 900001", &["shop-bait"]),
    ("select * from shop.customers where id in (900002, 9000010, 1)", &[]),
    ("select email, id from shop.customers", &["shop-bait"]),
    ("select email from shop.customers where id = 900001", &[]),
    ("select who from shop.mails where who > 900000", &["shop-bait"]),
    ("select c.id, o.customer from shop.customers c, shop.orders o where c.id = 1 and o.no = 2", &["order-bait"]),
    ("select no, customer from shop.orders where no = 900001", &[]),
    ("select * from shop.parts", &["part-bait"]),
    ("select * from shop.parts_high where id = 900001", &["part-bait"]),
    ("select * from shop.members", &["member-bait"]),
    ("select * from shop.stock", &[]),
    ("update shop.orders set note = 'd' where customer = 900001 returning *", &["order-bait"]),
    ("copy shop.customers to stdout", &["shop-bait"]),
    ("copy shop.customers (email, id) to stdout (format csv, force_quote *)", &["shop-bait"]),
    ("copy shop.customers to stdout (format binary)", &["shop-bait"]),
    ("copy shop.members to stdout (format binary)", &["member-bait"]),
    ("copy (select * from shop.mails) to stdout (delimiter '|')", &["shop-bait"]),
    ("copy (select * from shop.customers where id < 1000 or id > 900001) to stdout", &[]),
    ("copy shop.parts_high to stdout", &["part-bait"]),
    ("copy shop.stock to stdout", &[]),
    ("copy shop.stock to stdout (format binary)", &[]),
];

struct Shop {
    sidecar: Sidecar,
    name: String,
    folder: tempfile::TempDir,
}

/// A shop whose customer 900001 does not exist, the built-in policies about baits, and these.
fn shop(policies: &[(&str, &str)]) -> Shop {
    let name = server::database();
    let set_up = format!(
        "create schema shop;
        create table shop.customers (id int primary key, email text);
        insert into shop.customers select i, 'c' || i || '@example.com' from generate_series(1, {PEOPLE}) i;
        insert into shop.customers values (900001, 'nobody@example.com'), (900002, 'd@example.com'), (9000010, 'e@example.com');
        create view shop.mails as select email, id as who from shop.customers;
        create table shop.orders (no int, customer bigint, note text);
        insert into shop.orders values (1, 5, 'a'), (2, 900001, 'b'), (900001, 6, 'c');
        create table shop.parts (id int, email text) partition by range (id);
        create table shop.parts_high partition of shop.parts for values from (1000) to (maxvalue);
        insert into shop.parts values (900001, 'f@example.com'), (900002, 'g@example.com');
        create table shop.members (code uuid, email text);
        insert into shop.members values ('0a000000-0000-4000-8000-000000000001', 'h@example.com'), ('0a000000-0000-4000-8000-000000000002', 'i@example.com');
        create table shop.stock (no int, amount int); insert into shop.stock values (900001, 900001);"
    );
    psql(&direct(shared(), &name), &set_up).expect_success();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("classification.yaml"), format!("{CLASSIFICATION}{BAITS}")).unwrap();
    let built_in = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/bulk");
    for file in ["bait-looked-up.yaml", "bait-in-bulk.yaml"] {
        fs::copy(built_in.join(file), folder.path().join(file)).unwrap();
    }
    for (id, rest) in policies {
        let text = format!(
            "id: {id}\ntitle: Of {id}\nwhy: w\nstatus: stable\nseverity: high\ntags: [attack.t1213.006]\n{rest}"
        );
        fs::write(folder.path().join(format!("{id}.yaml")), text).unwrap();
    }
    let url = direct(shared(), &name);
    let more = format!("[policies]\npath = \"{}\"\n[catalog]\nurl = \"{url}\"\n", folder.path().display());
    // The database of the URL is read before the first client comes.
    Shop { sidecar: Sidecar::start(&more), name, folder }
}

/// The portal's rows in the binary format.
fn bind_binary() -> Vec<u8> {
    message(b'B', b"\0\0\0\0\0\0\0\x01\0\x01")
}

/// By the extended protocol, in binary: a portal in one go and in several, and one that ends before the bait.
fn ask_in_binary(shop: &Shop) {
    let mut client = Client::session(&shop.sidecar.address(), SUPERUSER, &shop.name);
    let ordered = parse("", "select id, email from shop.customers where id > 60000 order by id");
    let ask = [ordered.clone(), bind_binary(), describe(b'P', ""), execute("", 0), sync()].concat();
    let goes = [
        query("begin"),
        ordered.clone(),
        bind_binary(),
        describe(b'P', ""),
        execute("", 9_000),
        execute("", 900),
        execute("", 200),
        sync(),
    ]
    .concat();
    let short = [ordered, bind_binary(), describe(b'P', ""), execute("", 9_000), sync(), query("commit")].concat();
    for (bytes, ready) in [(ask, 1), (goes, 2), (short, 2)] {
        client.heard.clear();
        client.say(&bytes);
        client.hear_until_ready(ready);
        assert_eq!(wire::last_error(&client.heard), None);
    }
    drop(client);
}

/// The records of statements that return rows: their text, and the baits in them.
fn returned(sidecar: &Sidecar) -> Vec<(String, Vec<String>, Statement)> {
    let records = sidecar.records::<Statement>().into_iter().filter(|record| record.rows_returned > Some(0));
    records
        .map(|record| {
            let baits = record.baits.iter().flat_map(|baits| baits.iter()).map(ToString::to_string).collect();
            (record.query.as_deref().unwrap_or_default().to_owned(), baits, record)
        })
        .collect()
}

#[test]
fn a_bait_is_told_whatever_road_it_takes_and_nothing_else_is() {
    let mut shop = shop(&[]);
    let url = shop.sidecar.url(&shop.name);
    for (sql, _) in ASKED {
        psql(&url, sql).expect_success();
    }
    let mut expected: Vec<&[&str]> = ASKED.into_iter().map(|(_, baits)| baits).collect();
    // Cursors.
    let cursor = "begin;\ndeclare c cursor for select * from shop.customers order by id;\nfetch 70000 from c;\nfetch 1 from c;\nfetch 5 from c;\ncommit;";
    psql_script(&url, cursor).expect_success();
    expected.extend([&[][..], &["shop-bait"], &[]]);
    ask_in_binary(&shop);
    expected.extend([&["shop-bait"][..], &["shop-bait"], &[]]);
    shop.sidecar.stop();

    let found = returned(&shop.sidecar);
    let told: Vec<(&str, Vec<&str>)> =
        found.iter().map(|(text, baits, _)| (&**text, baits.iter().map(|bait| &**bait).collect())).collect();
    assert_eq!(told.len(), expected.len(), "{told:#?}");
    for ((text, baits), expected) in told.iter().zip(&expected) {
        assert_eq!(baits, expected, "{text}");
    }
    let policies: Vec<Option<&str>> = found
        .iter()
        .map(|(.., record)| record.policies.as_ref().and_then(|policies| policies.first()).map(|policy| &**policy))
        .collect();
    assert_eq!(policies[..4], [Some("bait-looked-up"), None, Some("bait-in-bulk"), None]);
    assert_eq!(policies[12..15], [Some("bait-in-bulk"); 3]);
    assert!(found[2].2.persons > Some(u64::from(PEOPLE) * 97 / 100), "{:?}", found[2].2.persons);

    let findings = shop.sidecar.records::<Finding>();
    let explanation = findings[0].explanation.as_deref().unwrap();
    assert!(
        explanation.starts_with("postgres read 1 person's data in one statement by SELECT from shop.customers at "),
        "{explanation}"
    );
    assert!(explanation.ends_with(" with the bait shop-bait in it"), "{explanation}");
    // Its name may be told; its value nowhere.
    let told = format!("{findings:?} {} {}", shop.sidecar.output(), shop.sidecar.errors());
    assert!(!told.contains(VALUE), "{told}");
    let records = format!("{:?}", found.iter().map(|(.., record)| record).collect::<Vec<_>>());
    assert!(!records.contains(VALUE));
}

/// What is cut is cut before the bait's row, however many went before it.
#[test]
fn a_result_is_cut_at_the_bait_and_its_row_stays_here() {
    const CUT: &str = "on: progress\naction: cut\nwhen: cardinality(baits) > 0\n";
    let mut shop = shop(&[("no-baits", CUT)]);
    let url = shop.sidecar.url(&shop.name);
    for sql in ["select * from shop.customers order by id", "copy (select * from shop.customers order by id) to stdout"]
    {
        let said = psql(&url, sql);
        assert!(said.err().contains("policy no-baits: Of no-baits"), "{sql}: {}", said.err());
        assert!(!said.out().contains("nobody@example.com"), "{sql}");
    }
    psql(&url, "select * from shop.customers where id <> 900001").expect_success();
    psql(&url, "copy shop.stock to stdout").expect_success();
    shop.sidecar.stop();
    let found = returned(&shop.sidecar);
    let told: Vec<_> =
        found.iter().map(|(_, baits, record)| (baits.len(), record.outcome.unwrap(), record.rows_returned)).collect();
    let before = Some(u64::from(PEOPLE));
    assert_eq!(told[..2], [(0, Outcome::Cut, before), (0, Outcome::Cut, before)]);
    assert_eq!(told[2..], [(0, Outcome::Ok, Some(u64::from(PEOPLE) + 2)), (0, Outcome::Ok, Some(1))]);
    let findings = shop.sidecar.records::<Finding>();
    assert!(findings.iter().all(|finding| &*finding.policy == "no-baits"), "{findings:?}");
    assert!(!findings.is_empty());
}

#[test]
fn baits_are_taken_from_a_saved_file_and_check_names_those_that_nobody_can_find() {
    let shop = shop(&[]);
    let mut client = Client::session(&shop.sidecar.address(), SUPERUSER, &shop.name);
    let mut last = || {
        client.heard.clear();
        client.say(&query("select id from shop.customers where id = 5"));
        client.hear_until_ready(1);
        wait_for("the record", || returned(&shop.sidecar).pop()).1
    };
    assert_eq!(last(), [""; 0]);
    let file = shop.folder.path().join("classification.yaml");
    let write = |baits: &str| fs::write(&file, format!("{CLASSIFICATION}{baits}")).unwrap();
    write("baits:\n  - { name: another, table: shop.customers, subject: 5 }\n");
    wait_for("the new bait", || (last() == ["another"]).then_some(()));
    // A faulty one changes nothing.
    write("baits:\n  - { name: third, table: shop.stock, subject: 6 }\n");
    let place = "classification.yaml:8:27: the bait `third` lies in `shop.stock`, of which no entry has a `subject`";
    wait_for("the fault", || shop.sidecar.errors().contains(place).then_some(()));
    assert_eq!(last(), ["another"]);

    let with = format!(
        "{}  shop.gone: {{ subject: id }}\n  shop.stock: {{ subject: nobody }}\nbaits:\n  - {{ name: one, table: shop.gone, subject: {VALUE} }}\n  - {{ name: two, table: shop.stock, subject: {VALUE} }}\n  - {{ name: three, table: \"gone.*\", subject: {VALUE} }}\n  - {{ name: four, table: shop.customers, subject: {VALUE} }}\n",
        CLASSIFICATION
    );
    fs::write(&file, with).unwrap();
    let checked = shop.sidecar.command(["check"]);
    let told = checked.err();
    assert_eq!(checked.output.status.code(), Some(2), "{told}");
    for fault in [
        format!(
            "classification.yaml:10:25: the bait `one` lies in `shop.gone`, which is not in the database `{}`",
            shop.name
        ),
        format!(
            "classification.yaml:11:25: the bait `two` lies in `shop.stock`, which has no subject column in the database `{}`",
            shop.name
        ),
        format!("classification.yaml:12:27: the bait `three` lies in no table of the database `{}`", shop.name),
    ] {
        assert!(told.contains(&fault), "{fault}\n{told}");
    }
    assert!(!told.contains("`four`") && !told.contains(VALUE), "{told}");
}
