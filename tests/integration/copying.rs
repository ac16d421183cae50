//! COPY in every direction: the same bytes as directly, rows counted, and in step whatever the client sends meanwhile.

use crate::support::programs::psql;
use crate::support::script::{Step, same, say, told};
use crate::support::server::{SUPERUSER, database, direct, major, shared};
use crate::support::through::Through;
use crate::support::wire::{Client, bind, execute, flush, last_error, message, parse, query, sync};

/// A new database with an empty table `t`, a table with 20 rows, and a view and a trigger that make a COPY fail before it
/// has read anything.
fn with_tables() -> String {
    let name = database();
    let set_up = "create unlogged table t (id int check (id < 1000), v text);
        create table full_up as select i as id, 'v' || i as v from generate_series(1, 20) i;
        create view no_target as select * from full_up;
        create table guarded (id int);
        create function refuse() returns trigger language plpgsql as $$ begin raise 'refused'; end $$;
        create trigger refuse before insert on guarded for each statement execute function refuse()";
    psql(&direct(shared(), &name), set_up).expect_success();
    name
}

fn data(text: &str) -> Vec<u8> {
    message(b'd', text.as_bytes())
}

fn done() -> Vec<u8> {
    message(b'c', b"")
}

fn fail() -> Vec<u8> {
    message(b'f', b"given up\0")
}

/// Parse, Bind and Execute of a statement without a name.
fn run(sql: &str) -> Vec<u8> {
    [parse("", sql), bind("", "", &[]), execute("", 0)].concat()
}

/// `messages`, then the server's CopyInResponse awaited.
fn until_copy_in(messages: &[Vec<u8>]) -> Vec<Step> {
    vec![Step::Say(messages.concat()), Step::Hear(b'G', 1)]
}

/// What shows that both are in step: a statement of each protocol, told as itself.
fn still_in_step() -> Vec<Step> {
    say(&[query("select 'simple'"), run("select 'extended'"), sync()], 2)
}

/// The lines before those of [`still_in_step`].
#[track_caller]
fn before_still_in_step(mut told: Vec<String>) -> Vec<String> {
    let last = told.split_off(told.len().saturating_sub(2));
    assert!(last[0].ends_with("simple ok 1 - SELECT 1|select 'simple'"), "{last:?}");
    assert!(last[1].ends_with("extended ok 1 - SELECT 1|select 'extended'"), "{last:?}");
    told
}

#[test]
fn copy_out_counts_rows_in_both_protocols_and_formats() {
    let copy = "copy full_up to stdout";
    let script = [
        say(
            &[query(copy), query("copy (select 1 where false) to stdout"), query("copy full_up to stdout csv header")],
            3,
        ),
        say(&[run(copy), run("select 'behind it'"), sync(), query("copy full_up to stdout binary; select 1")], 2),
        say(
            &[
                query("copy (select 1 / (11 - i) from generate_series(1, 20) i) to stdout"),
                run("copy nothing to stdout"),
                sync(),
            ],
            2,
        ),
        still_in_step(),
    ];
    let told = before_still_in_step(same(&with_tables(), &script.concat()));
    assert_eq!(
        told,
        [
            "1.0 simple ok 20 - COPY 20|copy full_up to stdout",
            "2.0 simple ok 0 - COPY 0|copy (select 1 where false) to stdout",
            "3.0 simple ok 21 - COPY 20|copy full_up to stdout csv header",
            "4.0 extended ok 20 - COPY 20|copy full_up to stdout",
            "5.0 extended ok 1 - SELECT 1|select 'behind it'",
            "6.0 simple ok 21 - COPY 20|copy full_up to stdout binary; select 1",
            "6.1 simple ok 1 - SELECT 1|copy full_up to stdout binary; select 1",
            "7.0 simple error 10 22012 |copy (select 1 / (11 - i) from generate_series(1, 20) i) to stdout",
            "8.0 extended error 0 42P01 |copy nothing to stdout",
        ]
    );
}

#[test]
fn copy_in_by_a_query_with_its_data_sent_ahead_or_awaited() {
    let copy = "copy t from stdin";
    let script = [
        say(&[query(copy), data("1\ta\n"), data("2\tb\n"), done()], 1),
        until_copy_in(&[query(copy)]),
        say(&[data("3\tc\n4"), data("\td\n"), flush(), sync(), done()], 1),
        // Two COPYs in one Query, the second's data ahead of its CopyInResponse; Syncs that both pass over.
        until_copy_in(&[query("copy t from stdin; copy t from stdin; select count(*) from t")]),
        say(&[sync(), data("5\te\n"), done(), sync(), data("6\tf\n"), sync(), done()], 1),
        say(&[query("truncate t")], 1),
        still_in_step(),
    ];
    let told = before_still_in_step(same(&with_tables(), &script.concat()));
    let all = "copy t from stdin; copy t from stdin; select count(*) from t";
    assert_eq!(
        told,
        [
            "1.0 simple ok 0 - COPY 2|copy t from stdin".to_owned(),
            "2.0 simple ok 0 - COPY 2|copy t from stdin".to_owned(),
            format!("3.0 simple ok 0 - COPY 1|{all}"),
            format!("3.1 simple ok 0 - COPY 1|{all}"),
            format!("3.2 simple ok 1 - SELECT 1|{all}"),
            "4.0 simple ok 0 - TRUNCATE TABLE|truncate t".to_owned(),
        ]
    );
}

/// As libpq and most drivers do it: the Sync behind the Execute is passed over, another comes behind the data.
#[test]
fn copy_in_by_an_execute_passes_over_the_sync_behind_it() {
    let copy = "copy t from stdin";
    let script = [
        until_copy_in(&[run(copy), sync()]),
        say(&[data("1\ta\n"), done(), sync()], 1),
        still_in_step(),
        say(&[run(copy), sync(), data("2\tb\n"), sync(), done(), sync(), run("select 'behind it'"), sync()], 2),
        // Without any Sync before the data, and two in a row.
        until_copy_in(&[run(copy), flush()]),
        say(&[data("3\tc\n"), done(), run(copy), data("4\td\n"), done(), sync()], 1),
        say(&[query("truncate t")], 1),
        still_in_step(),
    ];
    let told = before_still_in_step(same(&with_tables(), &script.concat()));
    assert_eq!(
        told,
        [
            "1.0 extended ok 0 - COPY 1|copy t from stdin",
            "2.0 simple ok 1 - SELECT 1|select 'simple'",
            "3.0 extended ok 1 - SELECT 1|select 'extended'",
            "4.0 extended ok 0 - COPY 1|copy t from stdin",
            "5.0 extended ok 1 - SELECT 1|select 'behind it'",
            "6.0 extended ok 0 - COPY 1|copy t from stdin",
            "7.0 extended ok 0 - COPY 1|copy t from stdin",
            "8.0 simple ok 0 - TRUNCATE TABLE|truncate t",
        ]
    );
}

#[test]
fn a_copy_in_that_the_client_or_its_data_fails() {
    let copy = "copy t from stdin";
    let script = [
        say(&[query(copy), data("1\ta\n"), fail()], 1),
        say(&[query("copy t from stdin; select 'skipped'"), data("no number\ta\n"), data("2\tb\n"), done()], 1),
        until_copy_in(&[query(copy)]),
        say(&[data("1000\tover the limit\n"), data("2\tb\n"), done()], 1),
        still_in_step(),
        // By an Execute: the rest of the pipeline is skipped, up to the Sync behind the data.
        until_copy_in(&[run(copy), sync()]),
        say(&[data("1\ta\n"), fail(), sync()], 1),
        still_in_step(),
        until_copy_in(&[run(copy), sync()]),
        say(&[data("no number\ta\n"), data("2\tb\n"), done(), sync()], 1),
        still_in_step(),
        // Without a Sync before the data there is no doubt what is skipped.
        until_copy_in(&[run(copy), flush()]),
        say(&[data("no number\ta\n"), done(), run("select 'skipped'"), sync()], 1),
    ];
    let mut script = script.concat();
    // Whether the COPY came to the second Sync before it failed is the server's secret: one answer more, or none.
    script.extend(until_copy_in(&[run(copy), sync()]));
    script.extend([Step::Say([data("no number\n"), sync(), done(), sync()].concat()), Step::Pause(300)]);
    script.extend(still_in_step());
    let told = before_still_in_step(same(&with_tables(), &script));
    assert_eq!(
        without_in_step(&told),
        [
            "1.0 simple cancelled 0 57014 |copy t from stdin",
            "2.0 simple error 0 22P02 |copy t from stdin; select 'skipped'",
            "3.0 simple error 0 23514 |copy t from stdin",
            "6.0 extended cancelled 0 57014 |copy t from stdin",
            "9.0 extended error 0 22P02 |copy t from stdin",
            "12.0 extended error 0 22P02 |copy t from stdin",
            "13.0 extended skipped 0 - |select 'skipped'",
            "14.0 extended error 0 22P02 |copy t from stdin",
        ]
    );
}

fn without_in_step(told: &[String]) -> Vec<&String> {
    told.iter().filter(|line| !line.contains("select 'simple'") && !line.contains("select 'extended'")).collect()
}

/// Whether a failed COPY had passed over a Sync, nobody but the server knows: was what came behind it skipped, or run? No
/// client that keeps to the protocol asks. The session is ended rather than something told that may not be so.
#[test]
fn what_was_skipped_or_was_not_ends_the_session() {
    let name = with_tables();
    let through = Through::start();
    let copying = [run("copy t from stdin"), sync()].concat();
    let failing = [data("no number\n"), sync(), done()].concat();
    let doubtful = [run("select 'run or skipped'"), sync(), run("select 'run'"), sync()].concat();
    for pause in [false, true] {
        let mut client = Client::session(&through.address(), SUPERUSER, &name);
        client.say(&copying);
        client.hear_until(b'G', 1);
        if pause {
            client.say(&data("no number\n"));
            client.hear_until(b'E', 1);
            client.try_say(&doubtful);
        } else {
            client.say(&[failing.clone(), doubtful.clone()].concat());
        }
        let (severity, sqlstate, message) = last_error(&client.hear_to_the_end()).unwrap();
        assert_eq!((severity.as_str(), sqlstate.as_str()), ("FATAL", "08P01"), "{message}");
        assert!(message.contains("cannot follow"), "{message}");
    }
    let told = told(&through.stop());
    assert!(told.iter().all(|line| !line.contains("select") || !line.contains(" ok ")), "{told:#?}");
}

/// The server says CopyInResponse and fails before it has read anything: the Syncs behind it are answered.
#[test]
fn a_copy_in_that_fails_before_it_reads_anything() {
    if major(shared()) < 14 {
        println!("not run: up to version 13 a COPY reads before it refuses its target");
        return;
    }
    let script = [
        until_copy_in(&[run("copy no_target from stdin"), sync()]),
        vec![Step::Hear(b'Z', 1)],
        still_in_step(),
        // As libpq goes on: the data and another Sync, which are answered again.
        until_copy_in(&[run("copy guarded from stdin"), sync()]),
        say(&[data("1\n"), done(), sync()], 2),
        still_in_step(),
        // A client that does not know that it is a COPY.
        say(&[run("copy guarded from stdin"), sync(), run("select 'really run'"), sync()], 2),
        say(&[query("copy guarded from stdin"), sync(), sync(), query("select 'really run too'")], 4),
        still_in_step(),
    ];
    let told = before_still_in_step(same(&with_tables(), &script.concat()));
    let told: Vec<&String> =
        told.iter().filter(|line| !line.contains("select 'simple'") && !line.contains("select 'extended'")).collect();
    assert_eq!(
        told,
        [
            "1.0 extended error 0 42809 |copy no_target from stdin",
            "4.0 extended error 0 P0001 |copy guarded from stdin",
            "7.0 extended error 0 P0001 |copy guarded from stdin",
            "8.0 extended ok 1 - SELECT 1|select 'really run'",
            "9.0 simple error 0 P0001 |copy guarded from stdin",
            "10.0 simple ok 1 - SELECT 1|select 'really run too'",
        ]
    );
}

/// A message that is no data ends the session on the server's side (up to version 13: the COPY alone, and is gone with it); what
/// came behind it is not told as run.
#[test]
fn a_message_that_is_no_data_ends_the_copy_and_the_session() {
    let name = with_tables();
    for stray in [query("select 'never'"), run("select 'never'"), message(b'F', &[0, 0, 0, 177, 0, 0, 0, 0, 0, 0])] {
        let script = [until_copy_in(&[query("copy t from stdin")]), vec![Step::Say([data("1\ta\n"), stray].concat())]];
        let told = same(&name, &script.concat());
        assert_eq!(told[0], "1.0 simple error 0 08P01 |copy t from stdin");
        assert!(told[1..].iter().all(|line| !line.contains(" ok ")), "{told:?}");
    }
}

/// The server drops COPY data that no COPY awaits, and so must the books; a thousand of them are no trouble either.
#[test]
fn stray_copy_data_is_dropped() {
    let stray = [data("x"), done(), fail(), data("y"), done()].concat();
    let script = [
        vec![Step::Say(stray.repeat(300))],
        say(
            &[
                query("select 'simple'"),
                stray.repeat(300),
                sync(),
                stray.clone(),
                run("select 'extended'"),
                stray,
                sync(),
            ],
            3,
        ),
    ];
    let told = same(&with_tables(), &script.concat());
    assert_eq!(told, ["1.0 simple ok 1 - SELECT 1|select 'simple'", "2.0 extended ok 1 - SELECT 1|select 'extended'"]);
}
