//! What a prepared statement's or portal's name means: whatever is done to names, no text is told of that is not the one
//! that ran.

use mitsuke::record::Statement;
use mitsuke::session::Event;

use crate::support::programs::psql;
use crate::support::script::{Step, play, same, say, told};
use crate::support::server::{SUPERUSER, database_with_table, direct, shared};
use crate::support::sidecar::Sidecar;
use crate::support::through::Through;
use crate::support::wire::{Client, bind, close, describe, execute, message, parse, query, sync};

/// What is told of a statement or cursor of which only the name is known.
const BY_NAME: &str = "execute \"s\"";
const BY_CURSOR_NAME: &str = "fetch all from \"p\"";

/// Bind and Execute of a prepared statement.
fn run(statement: &str) -> Vec<u8> {
    [bind("", statement, &[]), execute("", 0)].concat()
}

#[test]
fn sql_s_own_prepare_execute_deallocate_and_discard() {
    let script = say(
        &[
            query("prepare s as select id from t where id <= $1"),
            query("execute s(4)"),
            describe(b'S', "s"),
            sync(),
            bind("", "s", &[Some("3")]),
            execute("", 0),
            sync(),
            query("deallocate s"),
            query("execute s(4)"),
            query("prepare s as select 1; deallocate all; discard all"),
            query("discard all"),
        ],
        8,
    );
    assert_eq!(
        same(&database_with_table(), &script),
        [
            "1.0 simple ok 0 - PREPARE|prepare s as select id from t where id <= $1".to_owned(),
            "2.0 simple ok 4 - SELECT 4|execute s(4)".to_owned(),
            format!("3.0 extended ok 3 - SELECT 3|{BY_NAME}"),
            "4.0 simple ok 0 - DEALLOCATE|deallocate s".to_owned(),
            "5.0 simple error 0 26000 |execute s(4)".to_owned(),
            "6.0 simple ok 0 - PREPARE|prepare s as select 1; deallocate all; discard all".to_owned(),
            "6.1 simple ok 0 - DEALLOCATE ALL|prepare s as select 1; deallocate all; discard all".to_owned(),
            "6.2 simple error 0 25001 |prepare s as select 1; deallocate all; discard all".to_owned(),
            "7.0 simple ok 0 - DISCARD ALL|discard all".to_owned(),
        ]
    );
}

/// A statement prepared by the protocol, swapped by SQL for another of the same name.
#[test]
fn a_name_that_sql_may_have_given_away_is_not_told_with_its_old_text() {
    let swap = "deallocate s; prepare s as select v from t";
    let prepare = || [parse("s", "select 'harmless'"), run("s"), sync()].concat();
    let one_by_one = [say(&[prepare()], 1), say(&[query(swap)], 1), say(&[run("s"), sync()], 1)].concat();
    let at_once = say(&[prepare(), query(swap), run("s"), sync()], 3);
    for script in [one_by_one, at_once] {
        let told = same(&database_with_table(), &script);
        assert_eq!(told[0], "1.0 extended ok 1 - SELECT 1|select 'harmless'");
        let last = told.last().unwrap();
        assert!(last.ends_with(&format!("extended ok 20 - SELECT 20|{BY_NAME}")), "{told:#?}");
    }
}

/// What the protocol prepared and SQL executes, and the other way round, is in the log as what it read.
#[test]
fn the_log_sees_through_names() {
    let name = database_with_table();
    let mut sidecar = Sidecar::start("");
    let mut client = Client::session(&sidecar.address(), SUPERUSER, &name);
    client.say(&[parse("s", "select upper(v) from t"), sync(), query("execute s")].concat());
    client.hear_until_ready(3);
    client.say(&[query("prepare p as select lower(v) from t"), bind("", "p", &[]), execute("", 0), sync()].concat());
    client.hear_until_ready(5);
    client.say(&[query("begin; declare c cursor for select reverse(v) from t"), execute("c", 5), sync()].concat());
    client.hear_until_ready(7);
    drop(client);
    sidecar.stop();
    let read: Vec<(String, u64)> = sidecar
        .records::<Statement>()
        .into_iter()
        .filter(|statement| statement.rows_returned > Some(0))
        .map(|statement| (statement.relations.unwrap_or_default().join(","), statement.rows_returned.unwrap_or(0)))
        .collect();
    let of_t = |rows| ("public.t".to_owned(), rows);
    assert_eq!(read, [of_t(20), of_t(20), of_t(5)]);
}

#[test]
fn a_parse_or_close_that_failed_changes_no_name() {
    let script = [
        say(&[parse("s", "select v from t"), sync()], 1),
        // The name is taken: the Parse fails, and the statement is still the first one.
        say(&[parse("s", "select 'harmless'"), sync(), run("s"), sync()], 2),
        // A Close with a byte too many fails.
        say(&[message(b'C', b"Ss\0x"), sync(), run("s"), sync()], 2),
        // Passed over, too.
        say(&[parse("", "selec"), close(b'S', "s"), sync(), run("s"), sync()], 2),
        say(&[close(b'S', "s"), run("s"), sync()], 1),
    ];
    assert_eq!(
        same(&database_with_table(), &script.concat()),
        // What is announced before the answer is known is put right with the answer: announced, skipped, and told anew.
        [
            "1.0 extended skipped 0 - |select 'harmless'",
            "2.0 extended error 0 42P05 |select 'harmless'",
            "3.0 extended ok 20 - SELECT 20|select v from t",
            "4.0 extended skipped 0 - |execute \"s\"",
            "5.0 extended ok 20 - SELECT 20|select v from t",
            "6.0 extended skipped 0 - |execute \"s\"",
            "7.0 extended error 0 42601 |selec",
            "8.0 extended ok 20 - SELECT 20|select v from t",
            "9.0 extended error 0 26000 |execute \"s\"",
        ]
    );
}

/// A portal closed by SQL, and its name given to a cursor.
#[test]
fn a_portal_that_sql_may_have_closed_is_not_told_with_its_old_text() {
    let open =
        || [parse("s", "select id from t"), bind("p", "s", &[]), execute("p", 1), close(b'S', "s"), sync()].concat();
    let cursor = query("declare p cursor for select v from t");
    let swaps = [
        vec![query("begin"), open(), query("close p"), cursor.clone()],
        vec![query("begin; savepoint a"), open(), query("rollback to a"), cursor.clone()],
        vec![query("begin"), open(), query("commit and chain"), cursor],
    ];
    let name = database_with_table();
    for swap in swaps {
        let script = [say(&swap, 4), say(&[execute("p", 0), sync()], 1), say(&[query("rollback")], 1)].concat();
        let told = same(&name, &script);
        let of_portal = told.iter().find(|line| line.ends_with("|select id from t")).unwrap();
        assert!(of_portal.contains(" ok 1 - "), "{told:#?}");
        let of_cursor = told.iter().find(|line| line.ends_with(BY_CURSOR_NAME)).unwrap();
        assert!(of_cursor.contains(" ok 20 - "), "{told:#?}");
    }
}

/// Planning runs functions that are declared immutable: what is bound was in the server's hands.
#[test]
fn a_portal_that_is_never_executed_is_told_as_skipped() {
    let bound = |portal: &str| [parse("", "select id from t"), bind(portal, "", &[])].concat();
    let script = [
        say(&[bound(""), sync()], 1),
        say(&[bound(""), describe(b'P', ""), bound("p"), execute("p", 0), close(b'P', "p"), sync()], 1),
        say(&[query("begin"), bound("q"), sync(), close(b'P', "q"), sync(), query("commit")], 4),
    ];
    assert_eq!(
        same(&database_with_table(), &script.concat()),
        [
            "1.0 extended skipped 0 - |select id from t",
            "2.0 extended ok 20 - SELECT 20|select id from t",
            "3.0 extended skipped 0 - |select id from t",
            "4.0 simple ok 0 - BEGIN|begin",
            "5.0 simple ok 0 - COMMIT|commit",
            "6.0 extended skipped 0 - |select id from t",
        ]
    );
}

/// A rule that adds a SELECT: one statement, two results, the columns of both.
#[test]
fn a_rule_s_second_result_belongs_to_its_statement() {
    let name = database_with_table();
    let rule = "create table target (n int); create rule also as on insert to target do also (select v from t; select id from t)";
    psql(&direct(shared(), &name), rule).expect_success();
    let through = Through::start();
    let script = say(&[query("insert into target values (1)")], 1);
    play(&through.address(), &name, &script);
    let events = through.stop();
    assert_eq!(told(&events), ["1.0 simple ok 40 - INSERT 0 1|insert into target values (1)"]);
    let columns = events.iter().find_map(|event| match event {
        Event::Ended(ended) => ended.columns.as_ref(),
        _ => None,
    });
    let labels: Vec<&str> = columns.unwrap().iter().map(|column| column.name.as_str()).collect();
    assert_eq!(labels, ["v", "id"]);
}

/// Each statement completed, and the commit at the Sync did not.
#[test]
fn a_commit_that_fails_at_the_sync_is_told() {
    let name = database_with_table();
    let set_up = "create table child (id int references t deferrable initially deferred)";
    psql(&direct(shared(), &name), set_up).expect_success();
    let script = say(&[parse("", "insert into child values (100)"), run(""), sync()], 1);
    let told_of = same(&name, &script);
    assert_eq!(told_of, ["1.0 extended ok 0 - INSERT 0 1|insert into child values (100)"]);
    let through = Through::start();
    let mut client = Client::session(&through.address(), SUPERUSER, &name);
    let Step::Say(bytes) = &script[0] else { panic!("it is said") };
    client.say(bytes);
    client.hear_until_ready(2);
    drop(client);
    let failed: Vec<_> = through
        .stop()
        .into_iter()
        .filter_map(|event| match event {
            Event::Ready(ready) => Some(ready.commit_failed),
            _ => None,
        })
        .collect();
    assert_eq!(failed, [Some("23503".to_owned())]);
}

/// Asynchronous messages, whatever is going on: a notification and a changed setting while idle, notices between rows.
#[test]
fn notices_notifications_and_settings_come_at_any_time() {
    let name = database_with_table();
    let noisy = "create function noisy(i int) returns int language plpgsql as $$ begin raise notice 'row %', i;
        perform set_config('application_name', 'at row ' || i, false); return i; end $$";
    psql(&direct(shared(), &name), noisy).expect_success();
    let script = [
        say(&[query("listen bell; select noisy(id) from t limit 3")], 1),
        say(&[parse("", "select noisy(id) from t"), bind("", "", &[]), execute("", 2), execute("", 1), sync()], 1),
        say(&[query("begin; notify bell, 'mine'"), parse("", "commit"), run(""), sync(), query("")], 3),
    ];
    let told = same_but_process_ids(&name, &script.concat());
    assert_eq!(
        told[1..],
        [
            "1.1 simple ok 3 - SELECT 3|listen bell; select noisy(id) from t limit 3",
            "2.0 extended ok 3 - |select noisy(id) from t",
            "3.0 simple ok 0 - BEGIN|begin; notify bell, 'mine'",
            "3.1 simple ok 0 - NOTIFY|begin; notify bell, 'mine'",
            "4.0 extended ok 0 - COMMIT|commit",
            "5.0 simple ok 0 - |",
        ]
    );
}

/// As `same`, but for the process id at the beginning of a NotificationResponse.
fn same_but_process_ids(database: &str, steps: &[Step]) -> Vec<String> {
    use crate::support::wire::messages;
    let through = Through::start();
    let direct = play(&crate::support::server::address(shared()), database, steps);
    let passed = play(&through.address(), database, steps);
    let without_pid = |stream: &[u8]| -> Vec<(u8, Vec<u8>)> {
        let bodies = messages(stream).into_iter().filter(|(kind, _)| *kind != b'K');
        bodies.map(|(kind, body)| (kind, body[if kind == b'A' { 4 } else { 0 }..].to_vec())).collect()
    };
    assert_eq!(without_pid(&passed), without_pid(&direct));
    assert!(direct.windows(5).any(|window| window == b"mine\0"));
    told(&through.stop())
}

#[test]
fn a_setting_that_a_function_changes_is_known_for_the_next_statement() {
    let name = database_with_table();
    let through = Through::start();
    let mut client = Client::session(&through.address(), SUPERUSER, &name);
    client.say(&query("select set_config('application_name', 'renamed', false)"));
    client.hear_until_ready(2);
    client.say(&query("select 'named'"));
    client.hear_until_ready(3);
    drop(client);
    let names: Vec<_> = through
        .stop()
        .iter()
        .filter_map(|event| match event {
            Event::Begun(begun) => begun.who.application_name.clone(),
            _ => None,
        })
        .collect();
    assert_eq!(names, ["raw", "renamed"]);
}
