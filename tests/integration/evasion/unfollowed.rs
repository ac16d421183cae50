//! Code of which nothing is known but that it ran: what it is given in values apart from the text, and what it filled without a name that anybody saw.

use mitsuke::record::{Certainty, Statement};

use super::{doors, set_up};
use crate::support::programs::psql;
use crate::support::server::{self, SUPERUSER, shared};
use crate::support::wait_for;
use crate::support::wire::{Client, bind, execute, parse, sync};

/// How long the server may take to count what a session wrote, and the catalog to be read.
const COUNTED_AFTER: std::time::Duration = std::time::Duration::from_secs(15);

const RUNS: &str =
    "create function other.runs(what text) returns void language plpgsql as $$ begin execute what; end $$;
    create function other.fills(target text) returns void language plpgsql as
      $$ begin execute 'insert into ' || target || ' select email from shop.customers'; end $$;
    create table other.sink (v text); create table other.idle (v text); create table other.gone (v text)";

/// A text, as bytes that name nothing.
fn hidden(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

/// The columns and the certainty of each record whose query begins so, in order.
fn said(records: &[Statement], beginning: &str) -> Vec<(Vec<String>, Option<Certainty>)> {
    let mut of: Vec<&Statement> = records
        .iter()
        .filter(|record| record.query.as_deref().is_some_and(|query| query.starts_with(beginning)))
        .collect();
    of.sort_by_key(|record| record.common.seq);
    let columns = |record: &Statement| {
        record.columns.iter().flat_map(|columns| columns.iter().map(ToString::to_string)).collect()
    };
    of.into_iter().map(|record| (columns(record), record.certainty)).collect()
}

/// What is sent apart from the text is executed all the same.
#[test]
fn a_name_that_code_is_given_as_a_value_is_followed() {
    let (name, mut sidecar, _policies) = set_up();
    psql(&sidecar.url(&name), RUNS).expect_success();
    doors::until_fresh(&sidecar, &name);
    let mut client = Client::session(&sidecar.address(), SUPERUSER, &name);
    for (call, value, ready) in [
        ("select other.fills($1)", "other.sink", 2),
        ("select other.runs($1)", "insert into other.idle select phone from shop.customers", 3),
    ] {
        client.say(&[parse("", call), bind("", "", &[Some(value)]), execute("", 0), sync()].concat());
        client.hear_until_ready(ready);
    }
    for table in ["sink", "idle"] {
        psql(&sidecar.url(&name), &format!("select v from other.{table}")).expect_success();
    }
    sidecar.stop();
    let records = sidecar.records::<Statement>();
    for (table, column) in [("sink", "email"), ("idle", "phone")] {
        let all = said(&records, &format!("select v from other.{table}"));
        let [(columns, certainty)] = &all[..] else { panic!("{all:?}") };
        assert_eq!(columns, &[format!("shop.customers.{column}")]);
        assert_ne!(*certainty, Some(Certainty::Exact));
    }
}

/// A text that is put together of bytes names nothing. Whatever it filled is not exact, and stays so; what nobody wrote is exact again.
#[test]
fn what_code_may_have_filled_is_not_exact_until_the_server_has_counted() {
    let (name, mut sidecar, _policies) = set_up();
    psql(&sidecar.url(&name), RUNS).expect_success();
    doors::until_fresh(&sidecar, &name);
    let ask = |sidecar: &crate::support::sidecar::Sidecar, sql: &str| psql(&sidecar.url(&name), sql).expect_success();
    ask(&sidecar, "select v from other.idle where v <> 'before'");
    let hidden = hidden("insert into other.sink select phone from shop.customers");
    ask(&sidecar, &format!("select other.runs(convert_from('\\x{hidden}', 'UTF8'))"));
    let tables = ["sink", "idle"];
    let read = |sidecar: &crate::support::sidecar::Sidecar| {
        for table in tables {
            ask(sidecar, &format!("select v from other.{table}"));
        }
        ask(sidecar, "select email from shop.customers");
    };
    read(&sidecar);
    std::thread::sleep(COUNTED_AFTER);
    wait_for("what was written to be counted", || {
        ask(&sidecar, "select 1");
        (doors::lineages(&sidecar).any(|kept| kept.contains("\"sink\"")) || server::major(shared()) < 15).then_some(())
    });
    read(&sidecar);
    sidecar.kill();
    sidecar.launch();
    ask(&sidecar, "select v from other.sink");
    sidecar.stop();
    let records = sidecar.records::<Statement>();
    let certain = |beginning: &str| {
        said(&records, beginning).into_iter().filter_map(|(_, certainty)| certainty).collect::<Vec<_>>()
    };
    let (exact, inferred) = (Certainty::Exact, Certainty::Inferred);
    assert_eq!(certain("select v from other.sink"), [inferred; 3]);
    // Up to version 14 nobody knows when all is counted.
    let again = if server::major(shared()) < 15 { inferred } else { exact };
    assert_eq!(certain("select v from other.idle"), [exact, inferred, again]);
    assert_eq!(certain("select email from shop.customers"), [inferred, again]);
}

/// Triggers whose texts name nothing, set off by way of a foreign key; and one that only puts its own row, in which there is nobody, somewhere.
const BELLS: &str = "create table other.parent (id int primary key); create table other.bell (id int references other.parent on delete cascade);
    create table other.quiet (id int); create table other.quiet_log (id int); create table other.sink (v text);
    create function other.rings() returns trigger language plpgsql as
      $$ begin execute convert_from(decode(tg_argv[0], 'hex'), 'UTF8'); return old; end $$;
    create function other.logs() returns trigger language plpgsql as
      $$ begin execute format('insert into other.%I select $1.*', tg_argv[0]) using new; return new; end $$;
    create trigger logs after insert on other.quiet for each row execute function other.logs('quiet_log');
    insert into other.parent values (1), (2); insert into other.bell values (1), (2)";

#[test]
fn what_a_trigger_may_have_filled_is_not_exact_whatever_set_it_off() {
    let (name, mut sidecar, _policies) = set_up();
    let hidden = hidden("insert into other.sink select phone from shop.customers");
    let rings = format!(
        "create trigger rings after delete on other.bell for each row execute function other.rings('{hidden}')"
    );
    psql(&server::direct(shared(), &name), &format!("{BELLS}; {rings}")).expect_success();
    psql(&sidecar.url(&name), "create table other.anything (v int)").expect_success();
    doors::until_fresh(&sidecar, &name);
    let ask = |sql: &str| psql(&sidecar.url(&name), sql).expect_success();
    ask("insert into other.quiet values (1)");
    ask("select id from other.quiet_log");
    ask("select v from other.sink");
    ask("delete from other.parent where id = 1");
    ask("select v from other.sink");
    ask("select id from other.quiet_log");
    sidecar.stop();
    let records = sidecar.records::<Statement>();
    let certain = |beginning: &str| {
        said(&records, beginning).into_iter().filter_map(|(_, certainty)| certainty).collect::<Vec<_>>()
    };
    let (exact, inferred) = (Certainty::Exact, Certainty::Inferred);
    assert_eq!(certain("select v from other.sink"), [exact, inferred]);
    assert_eq!(certain("select id from other.quiet_log"), [exact, inferred]);
}

/// Killed before the server has counted, it still asks for what was written; and for what was made into a view, or a default.
#[test]
fn a_doubt_outlives_a_kill() {
    if server::major(shared()) < 15 {
        return;
    }
    let (name, mut sidecar, _policies) = set_up();
    psql(&sidecar.url(&name), RUNS).expect_success();
    doors::until_fresh(&sidecar, &name);
    let lineage_says = |sidecar: &crate::support::sidecar::Sidecar, word: &str| {
        wait_for(word, || {
            psql(&sidecar.url(&name), "select 1").expect_success();
            doors::lineages(sidecar).any(|kept| kept.contains(word)).then_some(())
        });
    };
    let hidden = hidden(
        "insert into other.sink select phone from shop.customers; create view other.seen as select 'a' as v; \
         alter table other.gone alter v set default 'b'",
    );
    let runs = format!("select other.runs(convert_from('\\x{hidden}', 'UTF8'))");
    psql(&sidecar.url(&name), &runs).expect_success();
    lineage_says(&sidecar, "\"counted\"");
    sidecar.kill();
    sidecar.launch();
    lineage_says(&sidecar, "\"sink\"");
    for relation in ["sink", "seen", "gone", "idle"] {
        psql(&sidecar.url(&name), &format!("select v from other.{relation}")).expect_success();
    }
    psql(&sidecar.url(&name), "select relname from pg_class limit 1").expect_success();
    sidecar.stop();
    let records = sidecar.records::<Statement>();
    let certain = |beginning: &str| {
        said(&records, beginning).into_iter().filter_map(|(_, certainty)| certainty).collect::<Vec<_>>()
    };
    let (exact, inferred) = (Certainty::Exact, Certainty::Inferred);
    for (relation, expected) in [("sink", inferred), ("seen", inferred), ("gone", inferred), ("idle", exact)] {
        assert_eq!(certain(&format!("select v from other.{relation}")), [expected], "{relation}");
    }
    assert_eq!(certain("select relname from pg_class"), [inferred]);
}
