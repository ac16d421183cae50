//! PostgreSQL's own programs get the same through the sidecar as directly.

use mitsuke::session::Event;

use crate::support::programs::{is_too_old, pgbench, program, psql, psql_script, run};
use crate::support::server::{database, direct, shared};
use crate::support::through::Through;

/// Notices, errors, several statements in one message, psql's own catalog queries, transactions, COPY, cursors, NULL, Latin, Japanese.
const SCRIPT: &str = r"
create table t (id serial primary key, name text, at date default '2026-11-23');
\d t
insert into t (name) values ('見附'), ('Grüße'), (null) returning *;
select * from t order by id; select 1/0; select 2;
select 'one' \; select 'two' \; select 'three';
do $$ begin raise notice 'a notice'; raise warning 'a warning'; end $$;
begin; select * from no_such_table; select 1; rollback;
select $1::int + $2::int \bind 1 2 \g
select id, name from t \gdesc
\copy t (name) from stdin
erste
zweite
\.
copy t (name) to stdout;
\copy (select id from t order by id) to stdout
copy t (name) from stdin;
dritte
\.
copy t (id) from stdin;
not a number
\.
begin; declare c cursor for select id from t order by id; fetch 2 from c; fetch backward 1 from c; commit;
prepare p as select count(*) from t where id > $1; execute p(1); deallocate p;
set application_name = 'renamed'; show application_name;
\dt
\l test_*
explain (costs off) select * from t where id = 1;
select repeat('x', 100000), length(repeat('y', 1000000));
";

#[test]
fn a_psql_script_prints_the_same() {
    let (first, second) = (database(), database());
    let through = Through::start();
    let direct = psql_script(&direct(shared(), &first), SCRIPT);
    let passed = psql_script(&through.url(&second), SCRIPT);
    // `\l` and messages name the database and the port.
    let same = |text: String| text.replace(&second, &first).replace(&through.address(), "ADDRESS");
    assert_eq!(same(passed.out()), same(direct.out()));
    assert_eq!(same(passed.err()), same(direct.err()));
    assert!(direct.err().contains("a notice") && direct.err().contains("division by zero"));
}

#[test]
fn pgbench_runs_in_its_three_modes_and_every_statement_is_told() {
    let name = database();
    let through = Through::start();
    let url = through.url(&name);
    pgbench(&url, &["-i", "-q", "-s", "1"]).expect_success();
    for mode in ["simple", "extended", "prepared"] {
        let said = pgbench(&url, &["-n", "-c", "4", "-j", "2", "-t", "50", "-M", mode]).expect_success();
        assert!(said.contains("number of transactions actually processed: 200/200"), "{mode}: {said}");
        assert!(said.contains("number of failed transactions: 0"), "{mode}: {said}");
    }
    let done = psql(&direct(shared(), &name), "select count(*) from pgbench_history").expect_success();
    assert_eq!(done.trim(), "600");
    let events = through.stop();
    let updates = events.iter().filter(|event| match event {
        Event::Begun(begun) => begun.text.starts_with(b"UPDATE pgbench_accounts"),
        _ => false,
    });
    assert_eq!(updates.count(), 600);
    let begun = events.iter().filter(|event| matches!(event, Event::Begun(_))).count();
    let last_ends = events.iter().filter(|event| matches!(event, Event::Ended(ended) if !ended.more)).count();
    assert_eq!(begun, last_ends, "every statement that began has its end");
}

#[test]
fn a_dump_restored_through_it_dumps_the_same() {
    if is_too_old("pg_dump") {
        return;
    }
    let (first, second) = (database(), database());
    pgbench(&direct(shared(), &first), &["-i", "-q", "-s", "1", "--foreign-keys"]).expect_success();
    let odd = r"create table odd (b bytea, j jsonb, t text); insert into odd
        select decode(repeat('00ff', i), 'hex'), jsonb_build_object('i', i), E'tab\t newline\n 見附' from generate_series(1, 50) i;
        create view v as select t from odd; select lo_from_bytea(0, 'large')";
    psql(&direct(shared(), &first), odd).expect_success();
    let through = Through::start();
    let dump = |url: &str| {
        let mut command = program("pg_dump");
        command.args(["-d", url]);
        // A random word since PostgreSQL 15.14: `\restrict`.
        let text = run(command, b"").expect_success();
        text.lines().filter(|line| !line.starts_with(r"\restrict") && !line.starts_with(r"\unrestrict")).fold(
            String::new(),
            |mut all, line| {
                all.push_str(line);
                all.push('\n');
                all
            },
        )
    };
    let original = dump(&direct(shared(), &first));
    assert_eq!(dump(&through.url(&first)), original);
    let mut restore = program("psql");
    restore.args(["-Xq", "-v", "ON_ERROR_STOP=1", "-d", &through.url(&second)]);
    run(restore, original.as_bytes()).expect_success();
    assert_eq!(dump(&direct(shared(), &second)), original);
}
