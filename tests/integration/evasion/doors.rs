//! Doors that one session alone does not show: what another one hears, another server's tables, large objects without SQL, replication.

use std::sync::atomic::{AtomicU32, Ordering};

use mitsuke::record::{CatalogState, Certainty, Kind, Protocol, Statement};

use super::{SCHEMA, configured, set_up};
use crate::support::programs::{is_too_old, program, psql, psql_script, run};
use crate::support::server::{self, SUPERUSER, address, direct, shared};
use crate::support::sidecar::Sidecar;
use crate::support::wait_for;
use crate::support::wire::{
    Client, bind, describe, execute, last_error, message, messages, packet, parse, query, sync,
};

/// What a record says: columns, people, certainty.
fn said(record: &Statement) -> (Vec<String>, u64, Certainty) {
    let columns = record.columns.iter().flat_map(|columns| columns.iter().map(ToString::to_string)).collect();
    (columns, record.persons.unwrap_or(0), record.certainty.expect("it has one"))
}

/// The records whose query begins so, in order.
fn of(sidecar: &Sidecar, beginning: &str) -> Vec<Statement> {
    let mut records = sidecar.records::<Statement>();
    records.retain(|record| record.query.as_deref().is_some_and(|query| query.starts_with(beginning)));
    records.sort_by_key(|record| record.common.seq);
    records
}

/// Until the catalog has been read.
pub fn until_fresh(sidecar: &Sidecar, database: &str) {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    // What was asked by an earlier call was so then.
    let ask = format!("select id as call_{} from shop.products", CALLS.fetch_add(1, Ordering::Relaxed));
    wait_for("the catalog to be read", || {
        psql(&sidecar.url(database), &ask).expect_success();
        (of(sidecar, &ask).last()?.catalog? == CatalogState::Fresh).then_some(())
    });
}

/// What the sidecar has written down of where classified columns went.
pub fn lineages(sidecar: &Sidecar) -> impl Iterator<Item = String> {
    let writers = std::fs::read_dir(sidecar.log().join("journal")).into_iter().flatten().flatten();
    writers.filter_map(|writer| std::fs::read_to_string(writer.path().join("lineage.json")).ok())
}

const SENDERS: &str = "
create function shop.tell_change() returns trigger language plpgsql as
  $$ begin perform pg_notify('changed', new.id || ' ' || new.phone); return new; end $$;
create trigger tell_change after update of city on shop.customers for each row execute function shop.tell_change();
create function shop.tell_number() returns trigger language plpgsql as
  $$ begin perform pg_notify('numbers', new.id::text); return new; end $$;
create trigger tell_number after update of created on shop.customers for each row execute function shop.tell_number();
";

/// Whoever listens is told of with what was sent there, whoever sent it.
#[test]
fn what_another_session_sends_is_counted_with_the_one_that_hears_it() {
    let (name, mut sidecar, _policies) = set_up();
    psql_script(&direct(shared(), &name), SENDERS).expect_success();
    let ask = |sql: &str| psql(&sidecar.url(&name), sql).expect_success();
    // It changes the schema: the triggers are known.
    ask("create table other.anything (v int)");
    let mut client = Client::session(&sidecar.address(), SUPERUSER, &name);
    client.say(&query("listen leak; listen jobs; listen told; listen changed; listen numbers; listen outside"));
    client.hear_until_ready(1);
    let mut hear = |count: usize| {
        client.heard.clear();
        client.hear_until(b'A', count);
    };
    ask("select pg_notify('leak', email) from shop.customers");
    hear(40);
    ask("select pg_notify('jobs', id::text) from shop.customers where id <= 3");
    hear(3);
    ask("notify told, 'a client''s own words'");
    hear(1);
    until_fresh(&sidecar, &name);
    // By a trigger, of a session that does not come through here.
    let outside = |sql: &str| psql(&direct(shared(), &name), sql).expect_success();
    outside("update shop.customers set city = city where id <= 2");
    hear(2);
    outside("update shop.customers set created = created where id <= 2");
    hear(2);
    outside("notify outside, 'whatever it is'");
    hear(1);
    client.say(&query("select 1"));
    client.hear_until_ready(1);
    drop(client);
    sidecar.stop();
    let heard = |channel: &str| {
        let records = of(&sidecar, &format!("notification on \"{channel}\""));
        assert!(records.iter().all(|record| record.kind == Some(Kind::Notification) && record.protocol.is_none()));
        let mut all: (Vec<String>, u64, Certainty) = (Vec::new(), 0, Certainty::Exact);
        let messages: u64 = records.iter().filter_map(|record| record.rows_returned).sum();
        for record in &records {
            let (columns, persons, certainty) = said(record);
            all = (columns, all.1 + persons, certainty);
        }
        (messages, all)
    };
    let columns = |names: &[&str]| names.iter().map(|name| format!("shop.customers.{name}")).collect::<Vec<_>>();
    assert_eq!(heard("leak"), (40, (columns(&["email"]), 40, Certainty::Inferred)));
    assert_eq!(heard("jobs"), (3, (columns(&[]), 0, Certainty::Inferred)));
    assert_eq!(heard("told"), (1, (columns(&[]), 0, Certainty::Inferred)));
    assert_eq!(heard("changed"), (2, (columns(&["phone"]), 2, Certainty::Assumed)));
    assert_eq!(heard("numbers"), (2, (columns(&[]), 0, Certainty::Inferred)));
    assert_eq!(heard("outside"), (1, (columns(&[]), 0, Certainty::Assumed)));
}

fn loopback(database: &str) -> String {
    let port = shared().port();
    format!(
        "create extension postgres_fdw; create extension dblink;
         create server back foreign data wrapper postgres_fdw options (host '127.0.0.1', port '{port}', dbname '{database}');
         create user mapping for {SUPERUSER} server back options (user '{SUPERUSER}', password_required 'false');
         create foreign table other.abroad (id int, mail text options (column_name 'email'), city text)
           server back options (schema_name 'shop', table_name 'customers');
         create foreign table other.products (id int, title text) server back options (schema_name 'shop');"
    )
}

/// A foreign table is what it stands for, and a statement for another server is read where it is a constant.
#[test]
fn other_servers_tables_are_what_they_stand_for() {
    let (name, mut sidecar, _policies) = set_up();
    let ask = |sql: &str| psql(&sidecar.url(&name), sql).expect_success();
    psql_script(&direct(shared(), &name), &loopback(&name)).expect_success();
    let there = format!("host=127.0.0.1 port={} dbname={name} user={SUPERUSER}", shared().port());
    ask("create table other.anything (v int)");
    until_fresh(&sidecar, &name);
    let dblink = |query: &str, columns: &str| format!("select * from dblink('{there}', {query}) as t({columns})");
    let asked = [
        "select id, mail from other.abroad".to_owned(),
        "select lower(mail) from other.abroad".to_owned(),
        "select id, city from other.abroad".to_owned(),
        "select * from other.products".to_owned(),
        dblink("'select email from shop.customers'", "mail text"),
        dblink("'select id, city from shop.customers'", "id int, city text"),
        dblink("'select ' || '1'", "one int"),
    ];
    asked.iter().for_each(|sql| {
        ask(sql);
    });
    sidecar.stop();
    let mut records = of(&sidecar, "select");
    let records = records.split_off(records.len() - asked.len());
    let found: Vec<_> = records.iter().map(said).collect();
    let column = |name: &str| vec![name.to_owned()];
    // What the other server says of `id` is not known here.
    assert_eq!(found[0], (column("other.abroad.mail"), 40, Certainty::Inferred));
    assert_eq!(found[1], (column("other.abroad.mail"), 40, Certainty::Inferred));
    assert_eq!((&found[2].0, found[2].1), (&vec![], 0));
    assert_eq!(found[3], (vec![], 0, Certainty::Inferred));
    assert_eq!(found[4], (column("shop.customers.email"), 40, Certainty::Assumed));
    assert_eq!((&found[5].0, found[5].1), (&vec![], 0));
    assert!(found[6].0.len() > 4 && found[6].2 == Certainty::Assumed, "{:?}", found[6]);
}

/// FunctionCall: a function by its OID, arguments in binary.
fn call(oid: u32, arguments: &[&[u8]]) -> Vec<u8> {
    let mut body = oid.to_be_bytes().to_vec();
    body.extend([0, 1, 0, 1]);
    body.extend(u16::try_from(arguments.len()).expect("few").to_be_bytes());
    for argument in arguments {
        body.extend(u32::try_from(argument.len()).expect("short").to_be_bytes());
        body.extend(*argument);
    }
    body.extend([0, 1]);
    message(b'F', &body)
}

/// As libpq and JDBC do it.
#[test]
fn a_large_object_that_is_read_without_sql_is_what_went_into_it() {
    let (name, mut sidecar, _policies) = set_up();
    let oid = shared_function_oid(&name);
    let mut client = Client::session(&sidecar.address(), SUPERUSER, &name);
    let mut said_by = |bytes: &[u8]| {
        client.heard.clear();
        client.say(bytes);
        client.hear_until_ready(1);
        messages(&client.heard).iter().find(|message| message.0 == b'V').map(|message| message.1.to_vec())
    };
    said_by(&query("select lo_from_bytea(4790, convert_to(string_agg(email, ','), 'UTF8')) from shop.customers"));
    said_by(&query("begin"));
    let opened = said_by(&call(952, &[&4790_u32.to_be_bytes(), &0x4_0000_u32.to_be_bytes()])).expect("a descriptor");
    let read = said_by(&call(954, &[&opened[4..], &100_000_u32.to_be_bytes()])).expect("what is in it");
    assert!(String::from_utf8_lossy(&read).contains("person7@example.com"));
    said_by(&query("commit"));
    said_by(&call(oid, &[&7_u32.to_be_bytes()]));
    said_by(&query("select lo_unlink(4790)"));
    drop(client);
    sidecar.stop();
    let calls: Vec<Statement> = sidecar
        .records::<Statement>()
        .into_iter()
        .filter(|record| record.protocol == Some(Protocol::Fastpath))
        .collect();
    let queries: Vec<&str> = calls.iter().filter_map(|record| record.query.as_deref()).collect();
    assert_eq!(queries, ["lo_open(…)", "loread(…)", "shop.email_of(…)"]);
    assert!(calls.iter().all(|record| record.kind == Some(Kind::Call)));
    assert_eq!((said(&calls[0]).0, said(&calls[0]).1), (vec![], 0));
    let (columns, people, certainty) = said(&calls[1]);
    assert_eq!((columns, certainty), (vec!["shop.customers.email".to_owned()], Certainty::Assumed));
    assert!(people >= 40, "{people}");
    assert_eq!((said(&calls[2]).0, said(&calls[2]).1), (vec!["shop.customers.email".to_owned()], 1));
}

fn shared_function_oid(database: &str) -> u32 {
    let oid = psql(&direct(shared(), database), "select 'shop.email_of(int)'::regprocedure::oid").expect_success();
    oid.trim().parse().expect("an OID")
}

/// What is replicated is read by whoever replicates it: published tables' columns, or everything there is.
#[test]
fn replication_is_a_reading_of_what_is_replicated() {
    if is_too_old("pg_recvlogical") || is_too_old("pg_basebackup") {
        return;
    }
    let settings = [("wal_level", "logical"), ("max_wal_senders", "8"), ("synchronous_commit", "on")];
    let server = server::start(&settings);
    server::set_hba(&server, "local replication all trust\nhost replication all 127.0.0.1/32 trust");
    let admin = direct(&server, "postgres");
    psql_script(&admin, SCHEMA).expect_success();
    psql(&admin, "create publication customers for table shop.customers").expect_success();
    psql(&admin, "create publication products for table shop.products").expect_success();
    let (more, folder) = configured(&admin);
    let mut sidecar = Sidecar::before(&server, &more);
    let (host, port) = sidecar.address().rsplit_once(':').map(|(a, b)| (a.to_owned(), b.to_owned())).expect("a port");
    let conninfo = |more: &str| format!("host={host} port={port} user={SUPERUSER} {more}");
    let receive = |more: &[&str]| {
        let mut command = program("pg_recvlogical");
        command.args(["-d", &conninfo("dbname=postgres"), "--slot", "logical"]).args(more);
        run(command, b"").expect_success();
    };
    for publication in ["customers", "products"] {
        receive(&["--create-slot", "--plugin", "pgoutput"]);
        psql(&admin, "update shop.customers set city = city where id <= 7; update shop.products set price = 1")
            .expect_success();
        let end = psql(&admin, "select pg_current_wal_flush_lsn()").expect_success();
        let names = format!("publication_names={publication}");
        let file = folder.path().join("changes").display().to_string();
        receive(&["--start", "--no-loop", "-o", "proto_version=1", "-o", &names, "--endpos", end.trim(), "-f", &file]);
        receive(&["--drop-slot"]);
    }
    let mut backup = program("pg_basebackup");
    backup
        .args(["--checkpoint=fast", "--wal-method=fetch", "-d", &conninfo(""), "-D"])
        .arg(folder.path().join("backup"));
    run(backup, b"").expect_success();
    sidecar.stop();
    let mut streams = of(&sidecar, "START_REPLICATION");
    // The server says twice that it is done.
    streams.retain(|record| record.rows_returned > Some(0));
    let all = ["email", "my_number", "name", "phone"].map(|column| format!("shop.customers.{column}")).to_vec();
    assert_eq!(said(&streams[0]), (all.clone(), 7, Certainty::Inferred), "{:?}", streams[0]);
    assert_eq!((streams[0].rows_returned, streams[0].kind), (Some(7), Some(Kind::Replication)));
    assert_eq!((said(&streams[1]).0, said(&streams[1]).1, streams[1].rows_returned), (vec![], 0, Some(10)));
    let backups = of(&sidecar, "BASE_BACKUP");
    let (columns, people, certainty) = said(&backups[0]);
    assert!(all.iter().all(|column| columns.contains(column)), "{columns:?}");
    let people = backups.iter().map(|record| said(record).1).max().unwrap_or(people);
    assert_eq!((people, certainty), (80, Certainty::Inferred));
    assert!(backups[0].relations.iter().flat_map(|names| names.iter()).any(|name| &**name == "shop.customers"));
    assert!(!sidecar.errors().contains("could not be read"), "{}", sidecar.errors());
    assert_ne!(address(&server), address(shared()));
}

/// A query whose text is in no encoding that Rust knows.
fn raw_query(parts: &[&[u8]]) -> Vec<u8> {
    message(b'Q', &[&parts.concat()[..], &[0]].concat())
}

/// 表 is 0x95 0x5C in SJIS: its second byte is a backslash. Set when the session starts, or ahead of the server's answer.
#[test]
fn texts_are_read_as_the_session_has_them() {
    let (name, mut sidecar, _policies) = set_up();
    let words = format!(
        "user\0{SUPERUSER}\0database\0{name}\0client_encoding\0SJIS\0options\0-c standard_conforming_strings=off\0\0"
    );
    let mut client = Client::connect(&sidecar.address());
    client.say(&packet(196_608, words.as_bytes()));
    client.hear_until_ready(1);
    client.heard.clear();
    let sign = &[0x95, 0x5c][..];
    client.say(&raw_query(&[b"select '", sign, b"', lower(email) from shop.customers"]));
    client.hear_until_ready(1);
    client.say(&raw_query(&[
        b"create table other.\"",
        sign,
        b"\" as select upper(email) as \"",
        sign,
        b"\" from shop.customers",
    ]));
    client.hear_until_ready(2);
    client.say(&raw_query(&[b"select \"", sign, b"\" || '\\\\' from other.", sign]));
    client.hear_until_ready(3);
    assert!(last_error(&client.heard).is_none());
    drop(client);
    let mut client = Client::session(&sidecar.address(), SUPERUSER, &name);
    let all = |sql: &str| [parse("", sql), bind("", "", &[]), describe(b'P', ""), execute("", 0)].concat();
    client.heard.clear();
    client.say(
        &[all("set standard_conforming_strings = off"), all("select '\\'' || email from shop.customers"), sync()]
            .concat(),
    );
    client.hear_until_ready(1);
    assert!(last_error(&client.heard).is_none());
    drop(client);
    sidecar.stop();
    let mut records = sidecar.records::<Statement>();
    records.sort_by_key(|record| record.common.seq);
    let found: Vec<_> = records.iter().map(said).collect();
    let email = || vec!["shop.customers.email".to_owned()];
    assert_eq!(found[0], (email(), 40, Certainty::Inferred));
    assert_eq!((&found[2].0, found[2].1), (&email(), 40));
    assert_eq!(
        records[1].query.as_deref(),
        Some("create table other.\"表\" as select upper(email) as \"表\" from shop.customers")
    );
    let (columns, people, certainty) = &found[4];
    assert!(columns.contains(&email()[0]) && *people == 40 && *certainty == Certainty::Assumed, "{columns:?} {people}");
}

/// Renamed while nobody was looking, and while Mitsuke was not there: known by the OID, people counted by the same column. Killed again, before it has
/// read the catalog or behind it.
#[test]
fn a_renamed_table_is_counted_by_its_subject_after_a_restart() {
    renamed_before_a_restart(false);
    renamed_before_a_restart(true);
}

fn renamed_before_a_restart(is_read_meanwhile: bool) {
    let (name, mut sidecar, _policies) = set_up();
    let ask = |sidecar: &Sidecar, sql: &str| psql(&sidecar.url(&name), sql).expect_success();
    let behind = |sql: &str| psql(&direct(shared(), &name), sql).expect_success();
    ask(&sidecar, "select 1");
    wait_for("the tables to be written down", || {
        ask(&sidecar, "select 1");
        lineages(&sidecar).any(|lineage| lineage.contains("\"oid\"")).then_some(())
    });
    sidecar.kill();
    behind("alter table shop.customers rename column id to number; alter table shop.customers rename to clients");
    behind("alter table shop.staff set schema other");
    sidecar.launch();
    ask(&sidecar, "select number, email from shop.clients union all select number, email from shop.clients");
    ask(&sidecar, "select number, city from shop.clients");
    ask(&sidecar, "select id, email from other.staff");
    if is_read_meanwhile {
        wait_for("the new name to be written down", || {
            ask(&sidecar, "select id from shop.products");
            lineages(&sidecar).any(|lineage| lineage.contains("clients")).then_some(())
        });
    }
    sidecar.kill();
    sidecar.launch();
    // People are counted on the wire once the catalog is there.
    until_fresh(&sidecar, &name);
    ask(&sidecar, "select k.number, k.email from shop.clients k, shop.clients l where l.number <= 2");
    sidecar.stop();
    let mut records = of(&sidecar, "select");
    records.retain(|record| {
        record.query.as_deref().is_some_and(|query| !query.starts_with("select id ") || query.contains("staff"))
    });
    let last: Vec<_> = records[records.len() - 4..].iter().map(said).collect();
    let email = vec!["shop.customers.email".to_owned()];
    assert_eq!((&last[0].0, last[0].1), (&email, 80));
    assert_eq!((&last[1].0, last[1].1), (&vec![], 0));
    assert_eq!((&last[2].0, last[2].1), (&vec!["shop.staff.email".to_owned()], 5));
    assert_eq!((&last[3].0, last[3].1), (&email, 40));
}

/// Views that are made over each other, as a migration makes them, show no more than they do once the catalog has them; and where a column was a subject
/// column and is none any more, it counts nobody: at once, and from then on.
#[test]
fn a_view_that_is_made_anew_counts_people_by_what_it_is_now() {
    let (name, mut sidecar, _policies) = set_up();
    let ask = |sql: &str| psql(&sidecar.url(&name), sql).expect_success();
    let script = |sql: &str| psql_script(&sidecar.url(&name), sql).expect_success();
    until_fresh(&sidecar, &name);
    script(
        "begin; create view other.seen as select id, email from shop.customers; create view other.over as select id, email from other.seen; commit;",
    );
    let both = ["select id, email from other.seen", "select id, email from other.over"];
    let ask_both = || both.iter().for_each(|sql| _ = ask(sql));
    until_fresh(&sidecar, &name);
    ask_both();
    // In one session, so that it is read before the catalog is.
    let anew = "create or replace view other.seen as select 0 as id, email from shop.customers";
    script(&format!("{anew}; {}; {};", both[0], both[1]));
    until_fresh(&sidecar, &name);
    ask_both();
    let collected =
        "create or replace view other.seen as select 0 as id, string_agg(email, ' ') as email from shop.customers";
    script(&format!("{collected}; {}; {};", both[0], both[1]));
    until_fresh(&sidecar, &name);
    ask_both();
    sidecar.stop();
    let email = vec!["shop.customers.email".to_owned()];
    for sql in both {
        let records = of(&sidecar, sql);
        assert_eq!(said(&records[0]), (email.clone(), 40, Certainty::Exact), "{sql}");
        assert_eq!(records.len(), 5, "{sql}");
        for record in &records[1..] {
            let (columns, people, certainty) = said(record);
            assert_eq!((columns, people), (email.clone(), 40), "{sql}: {certainty:?}, {record:?}");
        }
        assert_ne!(said(&records[4]).2, Certainty::Exact, "people in one value");
    }
}

/// WITH HOLD: no lock keeps what it is over as it was.
#[test]
fn a_cursor_that_outlives_its_transaction_shows_what_it_was_declared_over() {
    let (name, mut sidecar, _policies) = set_up();
    let ask = |sql: &str| psql(&sidecar.url(&name), sql).expect_success();
    ask("create view other.seen as select id, email::text from shop.customers; create view other.made as select 0 as id, email from shop.customers;
         create table other.copied as select id, email from shop.customers; create view other.dull as select id from shop.products");
    until_fresh(&sidecar, &name);
    let mut client = Client::session(&sidecar.address(), SUPERUSER, &name);
    let mut said_so_far = 0;
    let mut say = |sql: &str| {
        client.say(&query(sql));
        said_so_far += 1;
        client.hear_until_ready(said_so_far);
    };
    say("begin");
    for of in ["seen", "made", "copied", "dull"] {
        say(&format!("declare {of} cursor with hold for select * from other.{of}"));
    }
    say("commit");
    say("create or replace view other.seen as select id, ''::text as email from shop.customers");
    say("create or replace view other.made as select id, email from shop.customers");
    say("alter table other.copied drop column email");
    until_fresh(&sidecar, &name);
    for of in ["seen", "made", "copied", "dull"] {
        say(&format!("fetch all from {of}"));
    }
    drop(client);
    sidecar.stop();
    let email = vec!["shop.customers.email".to_owned()];
    for record in of(&sidecar, "fetch").iter().take(3) {
        let (columns, people, certainty) = said(record);
        assert_eq!((columns, people), (email.clone(), 40), "{record:?}");
        assert_ne!(certainty, Certainty::Exact);
    }
    assert_eq!(said(&of(&sidecar, "fetch")[3]), (vec![], 0, Certainty::Exact));
}

/// A trigger, a rule's table and a default that filled a table before a restart, and were gone by the next start: what they wrote is there.
#[test]
fn what_code_left_that_went_while_mitsuke_was_not_there_is_still_known() {
    let (name, mut sidecar, _policies) = set_up();
    let ask = |sidecar: &Sidecar, sql: &str| psql(&sidecar.url(&name), sql).expect_success();
    let behind = |sql: &str| psql(&direct(shared(), &name), sql).expect_success();
    ask(
        &sidecar,
        "create table other.noted (v text);
         create function other.notes() returns trigger language plpgsql as
           $$ begin insert into other.noted values (new.email); return new; end $$;
         create trigger notes after update on shop.customers for each row execute function other.notes();
         create table other.defaulted (id int, v text default shop.email_of(3)); create table other.quiet (v text)",
    );
    behind(
        "update shop.customers set city = city; insert into other.defaulted (id) values (1); insert into other.quiet values ('x')",
    );
    until_fresh(&sidecar, &name);
    wait_for("the tables to be written down", || {
        ask(&sidecar, "select 1");
        lineages(&sidecar)
            .any(|lineage| lineage.contains("\"noted\"") && lineage.contains("\"defaulted\""))
            .then_some(())
    });
    sidecar.kill();
    behind("drop function other.notes() cascade; alter table other.defaulted alter v drop default");
    sidecar.launch();
    let tables = ["noted", "defaulted", "quiet"];
    tables.iter().for_each(|table| _ = ask(&sidecar, &format!("select v from other.{table}")));
    sidecar.kill();
    sidecar.launch();
    tables.iter().for_each(|table| _ = ask(&sidecar, &format!("select v from other.{table}")));
    sidecar.stop();
    for (table, people) in [("noted", 40), ("defaulted", 1), ("quiet", 0)] {
        let records = of(&sidecar, &format!("select v from other.{table}"));
        let found = records.iter().map(said).map(|(columns, people, certainty)| {
            (columns.contains(&"shop.customers.email".to_owned()), people, certainty == Certainty::Exact)
        });
        assert_eq!(found.collect::<Vec<_>>(), [(people > 0, people, people == 0); 2], "{table}");
    }
}

/// A setting that the server reports (PostgreSQL manual, "Asynchronous Operations") tells the client what it was set to, whatever the result is.
#[test]
fn a_reported_setting_is_a_way_out() {
    let (name, mut sidecar, _policies) = set_up();
    until_fresh(&sidecar, &name);
    let mut client = Client::session(&sidecar.address(), SUPERUSER, &name);
    let asked = [
        "select set_config('application_name', email, false) from shop.customers where id = 7",
        "select count(set_config('application_name', email, false)) from shop.customers where id = 8",
        "select 1 from shop.customers where id = 9 and set_config('application_name', email, false) <> ''",
        "do $$ begin perform set_config('application_name', email, false) from shop.customers where id = 10; end $$",
        "select 1; do $$ begin perform set_config('application_name', email, false) from shop.customers where id = 11; end $$",
    ];
    for (number, sql) in asked.iter().enumerate() {
        client.heard.clear();
        client.say(&query(sql));
        client.hear_until_ready(1);
        let reported = messages(&client.heard).iter().any(|(kind, body)| {
            *kind == b'S' && String::from_utf8_lossy(body).contains(&format!("person{}@example.com", number + 7))
        });
        assert!(reported, "{sql}: {:?}", client.heard);
    }
    drop(client);
    sidecar.stop();
    let mut records = sidecar.records::<Statement>();
    records.retain(|record| {
        record.functions.iter().flat_map(|names| names.iter()).any(|name| &**name == "set_config")
            || record.kind == Some(Kind::Do)
    });
    records.sort_by_key(|record| record.common.seq);
    assert_eq!(records.len(), asked.len());
    for (record, sql) in records.iter().zip(asked) {
        let (columns, people, certainty) = said(record);
        assert!(columns.contains(&"shop.customers.email".to_owned()) && people >= 1, "{sql}: {columns:?}, {people}");
        assert_ne!(certainty, Certainty::Exact, "{sql}");
    }
}

/// By ALTER ROLE and ALTER DATABASE: search path, encoding, and what a backslash is.
#[test]
fn what_is_set_for_a_role_holds_from_its_next_session() {
    let (name, mut sidecar, _policies) = set_up();
    let ask = |sql: &str| psql(&sidecar.url(&name), sql).expect_success();
    ask("create role begins login");
    ask("create role writes login");
    ask(
        "grant usage on schema shop, other to begins, writes; grant select on all tables in schema shop, other to begins, writes",
    );
    ask("alter role begins set search_path to shop");
    ask("alter role begins set standard_conforming_strings to off");
    ask("alter user writes set search_path = shop");
    ask("alter role writes set client_encoding to 'SJIS'");
    ask("alter role writes set standard_conforming_strings to off");
    ask(&format!("alter database {name} set search_path to other, shop"));
    until_fresh(&sidecar, &name);
    let by_superuser = "select upper(email) from customers";
    ask(by_superuser);
    let mut client = Client::session(&sidecar.address(), "begins", &name);
    client.heard.clear();
    client.say(&query("select lower(email) from customers"));
    client.hear_until_ready(1);
    client.say(&query(r"select '\\', phone, '\' from shop.products --' from shop.customers"));
    client.hear_until_ready(2);
    assert_eq!(last_error(&client.heard), None);
    drop(client);
    let mut client = Client::session(&sidecar.address(), "writes", &name);
    client.heard.clear();
    client.say(&raw_query(&[b"select '", &[0x95, 0x5c], b"', initcap(name) from customers"]));
    client.hear_until_ready(1);
    assert_eq!(last_error(&client.heard), None);
    drop(client);
    ask(&format!("alter database {name} reset search_path"));
    until_fresh(&sidecar, &name);
    ask("set search_path to shop; select reverse(email) from customers");
    sidecar.stop();
    let one = |beginning: &str| said(of(&sidecar, beginning).last().expect(beginning));
    let column = |name: &str| vec![format!("shop.customers.{name}")];
    assert_eq!((one(by_superuser).0, one(by_superuser).1), (vec![], 0), "it is other.customers");
    assert_eq!(one("select lower(email)"), (column("email"), 40, Certainty::Inferred));
    let last_of = |user: &str| {
        let mut records = of(&sidecar, "select");
        records.retain(|record| record.db_user.as_deref() == Some(user));
        said(records.last().expect("it asked"))
    };
    assert_eq!(last_of("begins"), (column("phone"), 40, Certainty::Inferred));
    assert_eq!(last_of("writes"), (column("name"), 40, Certainty::Inferred));
    assert_eq!(one("select reverse(email)"), (column("email"), 40, Certainty::Inferred));
}
