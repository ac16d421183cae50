//! Byte for byte: what the server says through the sidecar is what it says directly, however the client's bytes are cut.

use std::time::Duration;

use mitsuke::session::gate::Message;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::support::gate::{DENIED, TestGate};
use crate::support::programs::psql;
use crate::support::script::told;
use crate::support::server::{self, database, direct, shared};
use crate::support::through::Through;
use crate::support::wire::{self, Client, readable};

const SET_UP: &str = "create table t (id int primary key, v text);
    insert into t select i, repeat('v', i) from generate_series(1, 100) i;
    create function noisy() returns int language plpgsql as $$ begin raise notice 'noise'; return 1; end $$";

/// What a client may say, whole messages, each harmless in any order. In the end all of it is rolled back or read only.
fn menu() -> Vec<Vec<u8>> {
    let q = wire::query;
    vec![
        q("select * from t where id < 4 order by id"),
        q("select 1; select 'two'; select nothing; select 4"),
        q(""),
        q(" ; ;"),
        q("begin; insert into t values (1000, 'x'), (1001, null) returning *; rollback"),
        q("begin"),
        q("rollback"),
        q("select 1/0"),
        q("this is no sql"),
        q("select noisy()"),
        q("set application_name = 'other'; show application_name; reset application_name"),
        q("copy (select id, v from t where id < 20) to stdout"),
        q("copy t from stdin; select 1"),
        wire::message(b'd', b"2000\tx\n"),
        wire::message(b'd', b"20"),
        wire::message(b'c', b""),
        wire::message(b'f', b"the client gave up\0"),
        q("prepare s as select $1::int; execute s(1); deallocate s"),
        wire::parse("", "select id, v from t where id < $1 order by id"),
        wire::parse("named", "select id from t where id <= $1::int"),
        wire::parse("", "update t set v = v where id = 1"),
        wire::parse("", ""),
        wire::parse("broken", "selec"),
        wire::parse("copying", "copy t from stdin"),
        wire::bind("", "", &[Some("5")]),
        wire::bind("", "", &[]),
        wire::bind("p", "named", &[Some("50")]),
        wire::bind("p", "no such statement", &[]),
        wire::bind("", "copying", &[]),
        wire::describe(b'S', "named"),
        wire::describe(b'S', ""),
        wire::describe(b'P', ""),
        wire::describe(b'P', "p"),
        wire::execute("", 0),
        wire::execute("", 2),
        wire::execute("p", 7),
        wire::execute("p", 0),
        wire::execute("no such portal", 0),
        wire::close(b'S', "named"),
        wire::close(b'P', "p"),
        wire::flush(),
        wire::sync(),
        wire::sync(),
        // int4pl(2, 3), function 177, binary in and out.
        wire::message(b'F', &[0, 0, 0, 177, 0, 1, 0, 1, 0, 2, 0, 0, 0, 4, 0, 0, 0, 2, 0, 0, 0, 4, 0, 0, 0, 3, 0, 1]),
        // No such function.
        wire::message(b'F', &[0, 15, 66, 63, 0, 0, 0, 0, 0, 0]),
    ]
}

/// Says `script` in pieces and hears everything until the server closes.
fn play(address: &str, script: &[u8], cuts: &[usize]) -> Vec<u8> {
    let mut client = Client::connect(address);
    let mut said = 0;
    for cut in cuts {
        let next = (said + cut).min(script.len());
        client.try_say(&script[said..next]);
        said = next;
        if cut % 3 == 0 {
            // Most pieces run together; some are to arrive alone.
            std::thread::sleep(Duration::from_micros(200));
        }
    }
    client.try_say(&script[said..]);
    client.hear_to_the_end()
}

/// What ends every script: out of a COPY, out of an error, out of a transaction, out.
fn epilogue() -> Vec<u8> {
    [wire::message(b'f', b"end\0"), wire::sync(), wire::sync(), wire::query("rollback"), wire::terminate()].concat()
}

#[test]
fn any_script_cut_anywhere_is_answered_the_same() {
    any_script(&Through::start(), 150);
}

/// What is held to be judged, and allowed, is what was said.
#[test]
fn a_gate_that_denies_nothing_changes_no_byte() {
    any_script(&Through::gated(TestGate::default(), Default::default()), 100);
}

fn any_script(through: &Through, cases: u32) {
    let name = database();
    psql(&direct(shared(), &name), SET_UP).expect_success();
    let dishes = menu();
    let scripts = (
        prop::collection::vec(prop::sample::select((0..dishes.len()).collect::<Vec<_>>()), 0..40),
        prop::collection::vec(1_usize..200, 0..60),
    );
    let config = Config { cases, max_shrink_iters: 100, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&scripts, |(order, cuts)| {
        let mut script = wire::startup("postgres", &name);
        order.iter().for_each(|index| script.extend(&dishes[*index]));
        script.extend(epilogue());
        let direct = play(&server::address(shared()), &script, &cuts);
        let passed = play(&through.address(), &script, &cuts);
        prop_assert_eq!(readable(&passed), readable(&direct));
        prop_assert!(wire::without_keys(&passed) == wire::without_keys(&direct));
        Ok(())
    });
    outcome.unwrap();
}

/// One byte at a time: no message boundary is ever waited for, none is ever assumed.
#[test]
fn a_script_said_byte_by_byte_is_answered_the_same() {
    let name = database();
    psql(&direct(shared(), &name), SET_UP).expect_success();
    let through = Through::start();
    let mut script = wire::startup("postgres", &name);
    for dish in menu() {
        script.extend(dish);
        script.extend(wire::sync());
    }
    script.extend(epilogue());
    let cuts = vec![1; script.len()];
    let direct = play(&server::address(shared()), &script, &[]);
    let passed = play(&through.address(), &script, &cuts);
    assert_eq!(readable(&passed), readable(&direct));
    assert!(wire::without_keys(&passed) == wire::without_keys(&direct));
}

/// A script some of whose messages are denied is answered as one in which the client had got those wrong itself.
#[test]
fn a_denied_message_leaves_the_server_as_a_wrong_one_does() {
    let name = database();
    psql(&direct(shared(), &name), SET_UP).expect_success();
    let gate =
        TestGate { messages: vec![Message::Query, Message::Parse, Message::Call], ..TestGate::denying("forbidden") };
    let through = Through::gated(gate, Default::default());
    // (what is said, what the same comes to where it is wrong)
    let mut dishes: Vec<(Vec<u8>, Vec<u8>)> = menu().into_iter().map(|dish| (dish.clone(), dish)).collect();
    for (denied, wrong) in [
        (wire::query("select 'forbidden'; select 2"), wire::query("no sql")),
        (wire::query("begin; select 'forbidden'"), wire::query("no sql")),
        (wire::query("copy t from stdin /* forbidden */"), wire::query("no sql")),
        (wire::parse("", "select 'forbidden'"), wire::parse("", "no sql")),
        (wire::parse("named", "select 'forbidden'"), wire::parse("named", "no sql")),
    ] {
        // Often enough to be met in every state.
        dishes.extend(std::iter::repeat_n((denied, wrong), 3));
    }
    let scripts = (
        prop::collection::vec(prop::sample::select((0..dishes.len()).collect::<Vec<_>>()), 0..40),
        prop::collection::vec(1_usize..200, 0..60),
    );
    let config = Config { cases: 100, max_shrink_iters: 100, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&scripts, |(order, cuts)| {
        let script = |wrong: bool| {
            let mut script = wire::startup("postgres", &name);
            for (denied, instead) in order.iter().map(|index| &dishes[*index]) {
                script.extend(if wrong { instead } else { denied });
            }
            script.extend(epilogue());
            script
        };
        let direct = play(&server::address(shared()), &script(true), &cuts);
        let passed = play(&through.address(), &script(false), &cuts);
        prop_assert_eq!(denied_as_wrong(&passed), denied_as_wrong(&direct));
        Ok(())
    });
    outcome.unwrap();
    told(&through.stop());
}

/// What is said, but that a denial and the error of a wrong text are one.
fn denied_as_wrong(stream: &[u8]) -> Vec<String> {
    let wrong = ["E 42501", "E 42601 syntax error at or near \"no\""];
    let same = |line: String| if wrong.iter().any(|word| line.starts_with(word)) { "E".to_owned() } else { line };
    let lines: Vec<String> = readable(stream).into_iter().map(same).collect();
    assert!(lines.iter().all(|line| !line.contains(DENIED) && !line.contains("cannot follow")), "{lines:#?}");
    lines
}
