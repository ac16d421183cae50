//! Every kind of message: the same bytes as directly, and each statement told as what it was.

use crate::support::script::{Step, same, say};
use crate::support::server::database_with_table;
use crate::support::wire::{bind, close, describe, execute, flush, message, parse, query, sync};

fn steps(parts: Vec<Vec<Step>>) -> Vec<Step> {
    parts.concat()
}

#[test]
fn a_pipeline_of_several_syncs_is_told_statement_by_statement() {
    let script = say(
        &[
            parse("", "select id from t where id <= $1::int order by id"),
            bind("", "", &[Some("3")]),
            execute("", 0),
            parse("", "select 'two'"),
            bind("", "", &[]),
            execute("", 0),
            sync(),
            parse("three", "select $1::text"),
            bind("", "three", &[Some("a")]),
            execute("", 0),
            bind("", "three", &[Some("b")]),
            execute("", 0),
            sync(),
        ],
        2,
    );
    let told = same(&database_with_table(), &script);
    assert_eq!(
        told,
        [
            "1.0 extended ok 3 - SELECT 3|select id from t where id <= $1::int order by id",
            "2.0 extended ok 1 - SELECT 1|select 'two'",
            "3.0 extended ok 1 - SELECT 1|select $1::text",
            "4.0 extended ok 1 - SELECT 1|select $1::text",
        ]
    );
}

/// After the error the server passes over everything up to the Sync: nothing of it ran, and each is told so.
#[test]
fn what_the_server_skips_after_an_error_is_told_as_skipped() {
    let ahead = say(
        &[
            parse("", "select 1/0"),
            bind("", "", &[]),
            execute("", 0),
            parse("", "insert into t values (100, 'never')"),
            bind("", "", &[]),
            execute("", 0),
            parse("only parsed", "select 'only parsed'"),
            query("insert into t values (101, 'never')"),
            sync(),
            query("select count(*) from t"),
        ],
        2,
    );
    let told = same(&database_with_table(), &ahead);
    assert_eq!(
        told,
        [
            "1.0 extended error 0 22012 |select 1/0",
            "2.0 extended skipped 0 - |insert into t values (100, 'never')",
            "3.0 simple skipped 0 - |insert into t values (101, 'never')",
            "4.0 simple ok 1 - SELECT 1|select count(*) from t",
            "5.0 extended skipped 0 - |select 'only parsed'",
        ]
    );
}

/// The same, where the client sends on after it has heard of the error.
#[test]
fn what_is_sent_after_the_error_was_heard_is_told_with_its_own_text() {
    let script = steps(vec![
        say(&[query("begin"), parse("", "select 'before'"), bind("", "", &[]), execute("", 0), sync()], 2),
        vec![Step::Say([parse("", "select nothing"), flush()].concat()), Step::Hear(b'E', 1)],
        say(
            &[
                parse("", "select 'skipped'"),
                bind("", "", &[]),
                describe(b'P', ""),
                execute("", 0),
                execute("", 0),
                parse("s", "select 'skipped, never bound'"),
                close(b'S', "s"),
                sync(),
                query("rollback"),
            ],
            2,
        ),
    ]);
    let told = same(&database_with_table(), &script);
    assert_eq!(
        told,
        [
            "1.0 simple ok 0 - BEGIN|begin",
            "2.0 extended ok 1 - SELECT 1|select 'before'",
            "3.0 extended error 0 42703 |select nothing",
            "4.0 extended skipped 0 - |select 'skipped'",
            "5.0 extended skipped 0 - |select 'skipped, never bound'",
            "6.0 simple ok 0 - ROLLBACK|rollback",
        ]
    );
}

/// Whose error it is: of the statement that was parsed or bound, not of the next one in the pipeline.
#[test]
fn an_error_is_told_of_the_statement_that_it_is_about() {
    let name = database_with_table();
    let prepare = say(&[parse("good", "select 'good'"), sync()], 1);
    let failing_parse = say(
        &[parse("bad", "selec"), bind("p", "good", &[]), execute("p", 0), bind("", "bad", &[]), execute("", 0), sync()],
        1,
    );
    let failing_bind = say(
        &[bind("p", "good", &[Some("one too many")]), bind("q", "good", &[]), execute("q", 0), execute("p", 0), sync()],
        1,
    );
    let failing_describe = say(&[describe(b'S', "none"), bind("", "good", &[]), execute("", 0), sync()], 1);
    let told = same(&name, &steps(vec![prepare, failing_parse, failing_bind, failing_describe]));
    assert_eq!(
        told,
        [
            "1.0 extended skipped 0 - |select 'good'",
            "2.0 extended error 0 42601 |selec",
            "3.0 extended skipped 0 - |select 'good'",
            "4.0 extended error 0 08P01 |select 'good'",
            "5.0 extended skipped 0 - |select 'good'",
        ]
    );
}

#[test]
fn flush_brings_answers_without_a_sync() {
    let script = steps(vec![
        vec![
            Step::Say([parse("s", "select id from t order by id"), describe(b'S', "s"), flush()].concat()),
            Step::Hear(b'T', 1),
            Step::Say([bind("p", "s", &[]), execute("p", 2), flush()].concat()),
            Step::Hear(b's', 1),
            Step::Say([execute("p", 2), flush()].concat()),
            Step::Hear(b's', 1),
        ],
        say(&[execute("p", 0), sync()], 1),
    ]);
    assert_eq!(same(&database_with_table(), &script), ["1.0 extended ok 20 - SELECT 16|select id from t order by id"]);
}

/// A Flush that carries a body is an error like any other: the server passes over what follows.
#[test]
fn a_malformed_message_makes_the_server_skip_whatever_its_type() {
    let malformed: [(&str, Vec<u8>); 7] = [
        ("flush", message(b'H', b"x")),
        ("describe", message(b'D', b"Qx\0")),
        ("close", message(b'C', b"S\0x")),
        ("bind", message(b'B', b"\0\0")),
        ("execute", message(b'E', b"")),
        ("parse", message(b'P', b"")),
        ("sync", message(b'S', b"x")),
    ];
    let name = database_with_table();
    for (what, bytes) in malformed {
        // A malformed Sync is answered by an error and ReadyForQuery of its own.
        let ready = if what == "sync" { 3 } else { 2 };
        let statement = [parse("", "select 'after'"), bind("", "", &[]), execute("", 0)].concat();
        let told = same(&name, &say(&[bytes, statement.clone(), sync(), statement, sync()], ready));
        let outcomes: Vec<&str> = told.iter().map(|line| line.split(' ').nth(2).unwrap()).collect();
        let expected = if what == "sync" { ["ok", "ok"] } else { ["skipped", "ok"] };
        assert_eq!(outcomes, expected, "{what}: {told:#?}");
    }
}

#[test]
fn statements_and_portals_are_described() {
    let script = say(
        &[
            parse("s", "select id, v from t where id = $1"),
            describe(b'S', "s"),
            bind("p", "s", &[Some("4")]),
            describe(b'P', "p"),
            execute("p", 0),
            parse("u", "update t set v = v"),
            describe(b'S', "u"),
            sync(),
            describe(b'P', "p"),
            sync(),
            query("begin; declare c cursor for select id, v from t"),
            describe(b'P', "c"),
            execute("c", 3),
            sync(),
            query("rollback"),
        ],
        5,
    );
    let told = same(&database_with_table(), &script);
    assert_eq!(
        told,
        [
            "1.0 extended ok 1 - SELECT 1|select id, v from t where id = $1",
            "2.0 simple ok 0 - BEGIN|begin; declare c cursor for select id, v from t",
            "2.1 simple ok 0 - DECLARE CURSOR|begin; declare c cursor for select id, v from t",
            "3.0 extended ok 3 - |fetch all from \"c\"",
            "4.0 simple ok 0 - ROLLBACK|rollback",
        ]
    );
}

#[test]
fn a_suspended_portal_is_one_statement_over_all_its_executes() {
    let script = steps(vec![
        say(&[query("begin"), parse("s", "select id from t order by id"), sync()], 2),
        say(&[bind("p", "s", &[]), execute("p", 7), execute("p", 7), sync()], 1),
        // Another statement between, and a second portal of the same statement.
        say(&[query("select 'between'"), bind("q", "s", &[]), execute("q", 1), sync()], 2),
        say(&[execute("p", 7), execute("q", 0), sync()], 1),
        say(&[bind("r", "s", &[]), execute("r", 5), close(b'P', "r"), sync()], 1),
        say(&[bind("r", "s", &[]), execute("r", 5), sync(), query("commit")], 2),
    ]);
    let told = same(&database_with_table(), &script);
    assert_eq!(
        told,
        [
            "1.0 simple ok 0 - BEGIN|begin",
            "2.0 extended ok 20 - SELECT 6|select id from t order by id",
            "3.0 simple ok 1 - SELECT 1|select 'between'",
            "4.0 extended ok 20 - SELECT 19|select id from t order by id",
            "5.0 extended ok 5 - |select id from t order by id",
            "6.0 extended ok 5 - |select id from t order by id",
            "7.0 simple ok 0 - COMMIT|commit",
        ]
    );
}

/// An empty Query ends no portal; another does.
#[test]
fn a_portal_outlives_an_empty_query() {
    let open = say(&[query("begin"), parse("", "select id from t"), bind("", "", &[]), execute("", 1), sync()], 2);
    let script = steps(vec![open, say(&[query("")], 1), say(&[execute("", 4), sync()], 1)]);
    let told = same(&database_with_table(), &script);
    assert_eq!(
        told,
        ["1.0 simple ok 0 - BEGIN|begin", "2.0 extended ok 5 - |select id from t", "3.0 simple ok 0 - |",]
    );
}

#[test]
fn a_query_of_several_statements_is_told_part_by_part() {
    let several = "select 1; insert into t values (500, 'x') returning id, v; ; select 1/0; select 'skipped'";
    let script = say(&[query(several), query(""), query(" ; "), query("-- nothing")], 4);
    let told = same(&database_with_table(), &script);
    let with = |line: &str| format!("{line}|{several}");
    assert_eq!(
        told,
        [
            with("1.0 simple ok 1 - SELECT 1"),
            with("1.1 simple ok 1 - INSERT 0 1"),
            with("1.2 simple error 0 22012 "),
            "2.0 simple ok 0 - |".to_owned(),
            "3.0 simple ok 0 - | ; ".to_owned(),
            "4.0 simple ok 0 - |-- nothing".to_owned(),
        ]
    );
}

#[test]
fn function_calls_are_told_also_in_failed_transactions() {
    // int4pl(2, 3), function 177, binary in and out; and one that does not exist.
    let plus = message(b'F', &[0, 0, 0, 177, 0, 1, 0, 1, 0, 2, 0, 0, 0, 4, 0, 0, 0, 2, 0, 0, 0, 4, 0, 0, 0, 3, 0, 1]);
    let none = message(b'F', &[0, 15, 66, 63, 0, 0, 0, 0, 0, 0]);
    let script =
        say(&[plus.clone(), query("begin"), none, plus.clone(), query("rollback"), plus, message(b'F', b"")], 7);
    let told = same(&database_with_table(), &script);
    assert_eq!(
        told,
        [
            "1.0 fastpath ok 1 - |177",
            "2.0 simple ok 0 - BEGIN|begin",
            "3.0 fastpath error 0 42883 |999999",
            "4.0 fastpath error 0 25P02 |177",
            "5.0 simple ok 0 - ROLLBACK|rollback",
            "6.0 fastpath ok 1 - |177",
            "7.0 fastpath error 0 08P01 |0",
        ]
    );
}

/// A transaction that ends inside a pipeline takes its portals with it.
#[test]
fn portals_end_with_the_transaction_wherever_it_ends() {
    let open = |portal: &str| [bind(portal, "s", &[]), execute(portal, 2)].concat();
    let prepared = say(
        &[
            parse("s", "select id from t order by id"),
            parse("begin", "begin"),
            parse("rollback", "rollback"),
            parse("chain", "commit and chain"),
            sync(),
        ],
        1,
    );
    let run = |statement: &str| [bind("", statement, &[]), execute("", 0)].concat();
    let rolled_back = say(&[run("begin"), open("p"), run("rollback"), run("begin"), open("p"), sync()], 1);
    let chained = say(&[run("chain"), query("declare p cursor for select v from t"), execute("p", 3), sync()], 2);
    let told = same(&database_with_table(), &steps(vec![prepared, rolled_back, chained, say(&[query("rollback")], 1)]));
    assert_eq!(
        told,
        [
            "1.0 extended ok 0 - BEGIN|begin",
            "2.0 extended ok 2 - |select id from t order by id",
            "3.0 extended ok 0 - ROLLBACK|rollback",
            "4.0 extended ok 0 - BEGIN|begin",
            "5.0 extended ok 2 - |select id from t order by id",
            "6.0 extended ok 0 - COMMIT|commit and chain",
            "7.0 simple ok 0 - DECLARE CURSOR|declare p cursor for select v from t",
            "8.0 extended ok 3 - |fetch all from \"p\"",
            "9.0 simple ok 0 - ROLLBACK|rollback",
        ]
    );
}
