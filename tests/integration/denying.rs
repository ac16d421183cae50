//! A denied message never reaches the server, its client sees SQLSTATE 42501 and goes on as after any other error: what the
//! server says besides is the server's own.

use mitsuke::record::Outcome;
use mitsuke::session::Event;
use mitsuke::session::gate::Message;

use crate::support::gate::{DENIED, TestGate};
use crate::support::programs::psql;
use crate::support::script::{Step, play, say, told};
use crate::support::server::{self, SUPERUSER, database, direct, shared};
use crate::support::through::Through;
use crate::support::wire::{
    Client, bind, close, describe, execute, field, flush, message, messages, parse, query, startup, sync, terminate,
};

fn with_table() -> String {
    let name = database();
    let set_up =
        "create table t (id int primary key, v text); insert into t select i, 'v' || i from generate_series(1, 20) i;
        create table forbidden (id int); insert into forbidden values (1)";
    psql(&direct(shared(), &name), set_up).expect_success();
    name
}

/// Parse, Bind and Execute of a statement without a name.
fn run(sql: &str) -> Vec<u8> {
    [parse("", sql), bind("", "", &[]), execute("", 0)].concat()
}

/// A stream in letters: an error with its SQLSTATE, ReadyForQuery with its status.
fn letters(stream: &[u8]) -> String {
    let all = messages(stream).into_iter().filter(|(kind, _)| !b"RSK".contains(kind));
    let words = all.map(|(kind, body)| match kind {
        b'E' => format!("E{}", field(body, b'C')),
        b'Z' => format!("Z{}", body[0] as char),
        kind => (kind as char).to_string(),
    });
    words.collect::<Vec<_>>().join(" ")
}

/// What a client hears of `steps` behind a gate that denies `forbidden`; and the same of a user who may not read the table, whom
/// PostgreSQL itself answers with 42501. And what was told behind the gate.
fn denied_and_forbidden(gate: TestGate, steps: &[Step]) -> (String, String, Vec<String>) {
    let name = with_table();
    let through = Through::gated(gate, Default::default());
    let denied = letters(&play(&through.address(), &name, steps));
    let told = told(&through.stop());
    let as_nobody = "create role nobody_much; grant select on t to nobody_much; set role nobody_much";
    let mut client = Client::session(&server::address(shared()), SUPERUSER, &name);
    client.say(&query(&as_nobody.replace("nobody_much", &format!("of_{name}"))));
    client.hear_until_ready(2);
    client.heard.clear();
    for step in steps {
        if let Step::Say(bytes) = step {
            client.say(bytes);
        }
    }
    client.say(&terminate());
    let forbidden = letters(&client.hear_to_the_end());
    (denied.trim_start_matches("ZI ").to_owned(), forbidden, told)
}

#[test]
fn a_denied_query_fails_as_one_without_the_privilege_does() {
    let script = [
        say(&[query("select * from forbidden")], 1),
        say(&[query("select 1; select * from forbidden; select 2")], 1),
        say(&[query("begin"), query("select 3"), query("select * from forbidden"), query("select 4")], 4),
        say(&[query("rollback"), query("select count(*) from t")], 2),
        say(&[query("copy forbidden to stdout"), query("select 5")], 2),
    ];
    let (denied, forbidden, told) = denied_and_forbidden(TestGate::denying("forbidden"), &script.concat());
    // The server runs a Query's first statements before it comes to the one without the privilege.
    let forbidden = forbidden.replacen("T D C E42501 ZI", "E42501 ZI", 1);
    assert_eq!(denied, forbidden);
    assert_eq!(denied, "E42501 ZI E42501 ZI C ZT T D C ZT E42501 ZE E25P02 ZE C ZI T D C ZI E42501 ZI T D C ZI");
    assert_eq!(
        told,
        [
            "1.0 simple denied 0 42501 |select * from forbidden",
            "2.0 simple denied 0 42501 |select 1; select * from forbidden; select 2",
            "3.0 simple ok 0 - BEGIN|begin",
            "4.0 simple ok 1 - SELECT 1|select 3",
            "5.0 simple denied 0 42501 |select * from forbidden",
            "6.0 simple error 0 25P02 |select 4",
            "7.0 simple ok 0 - ROLLBACK|rollback",
            "8.0 simple ok 1 - SELECT 1|select count(*) from t",
            "9.0 simple denied 0 42501 |copy forbidden to stdout",
            "10.0 simple ok 1 - SELECT 1|select 5",
        ]
    );
}

/// Each kind of message is denied at its own place, and the pipeline behind it skipped to its Sync.
#[test]
fn a_denied_parse_bind_or_execute_aborts_its_pipeline() {
    let script = [
        say(&[run("select 1"), run("select * from forbidden"), run("insert into t values (100)"), sync()], 1),
        say(&[run("select 2"), sync()], 1),
        say(
            &[query("begin"), run("select 3"), sync(), run("select * from forbidden"), sync(), run("select 4"), sync()],
            4,
        ),
        say(&[query("rollback"), parse("f", "select * from forbidden"), describe(b'S', "f"), flush(), sync()], 2),
        say(&[bind("", "f", &[]), execute("", 0), sync(), run("select 5"), sync()], 2),
    ];
    for (denied_in, letters_of, told_of) in [
        (
            Message::Parse,
            "1 2 D C E42501 ZI 1 2 D C ZI C ZT 1 2 D C ZT E42501 ZE E25P02 ZE C ZI E42501 ZI E26000 ZI 1 2 D C ZI",
            ["denied 0 42501 |select * from forbidden", "error 0 26000 |execute \"f\""],
        ),
        (
            Message::Bind,
            "1 2 D C 1 E42501 ZI 1 2 D C ZI C ZT 1 2 D C ZT 1 E42501 ZE E25P02 ZE C ZI 1 t T ZI E42501 ZI 1 2 D C ZI",
            ["denied 0 42501 |select * from forbidden", "denied 0 42501 |select * from forbidden"],
        ),
        (
            Message::Execute,
            "1 2 D C 1 2 E42501 ZI 1 2 D C ZI C ZT 1 2 D C ZT 1 2 E42501 ZE E25P02 ZE C ZI 1 t T ZI 2 E42501 ZI 1 2 D C ZI",
            ["denied 0 42501 |select * from forbidden", "denied 0 42501 |select * from forbidden"],
        ),
    ] {
        let gate = TestGate { messages: vec![denied_in], ..TestGate::denying("forbidden") };
        let name = with_table();
        let through = Through::gated(gate, Default::default());
        let heard = letters(&play(&through.address(), &name, &script.concat()));
        assert_eq!(heard.trim_start_matches("ZI "), letters_of, "{denied_in:?}");
        let told = told(&through.stop());
        let of_forbidden: Vec<&str> = told
            .iter()
            .filter(|line| line.contains("forbidden") || line.contains("execute"))
            .map(|line| line.split_once("extended ").unwrap().1)
            .collect();
        assert_eq!(of_forbidden[0], "denied 0 42501 |select * from forbidden", "{denied_in:?}: {told:#?}");
        assert_eq!(of_forbidden[of_forbidden.len() - 2..].last(), told_of.last(), "{denied_in:?}: {told:#?}");
        assert!(
            told.iter().any(|line| line.ends_with("extended skipped 0 - |insert into t values (100)")),
            "{told:#?}"
        );
        assert!(told.iter().all(|line| !line.contains("forbidden") || line.contains("denied")), "{told:#?}");
        assert_eq!(psql(&direct(shared(), &name), "select count(*) from t").expect_success().trim(), "20");
    }
}

/// In every state of the server: idle, in a transaction, in a failed one, skipping, reading COPY data.
#[test]
fn a_denial_holds_in_every_state() {
    let name = with_table();
    // int4pl(2, 3), function 177.
    let call = message(b'F', &[0, 0, 0, 177, 0, 1, 0, 1, 0, 2, 0, 0, 0, 4, 0, 0, 0, 2, 0, 0, 0, 4, 0, 0, 0, 3, 0, 1]);
    let gate = TestGate { word: "177", ..TestGate::default() };
    let through = Through::gated(gate, Default::default());
    let script = [
        say(&[call.clone(), query("begin"), call.clone(), call.clone(), query("rollback; select 1")], 5),
        say(&[query("select '177'"), query("begin; select 1/0"), query("select '177'"), query("rollback")], 4),
        say(&[query("begin; select 1/0"), run("select '177'"), sync(), run("rollback"), sync()], 3),
        // Skipped like anything else, and told as that.
        say(&[run("select 1/0"), run("select '177'"), query("select '177'"), sync()], 1),
        // Data of a COPY that was denied is dropped by the server.
        say(
            &[query("copy t from stdin /* 177 */"), message(b'd', b"1\tx\n"), message(b'c', b""), query("select 2")],
            2,
        ),
        say(&[query("select 3")], 1),
    ];
    let heard = letters(&play(&through.address(), &name, &script.concat()));
    assert_eq!(
        heard.trim_start_matches("ZI "),
        "E42501 ZI C ZT E42501 ZE E42501 ZE C T D C ZI \
         E42501 ZI C E22012 ZE E42501 ZE C ZI \
         C E22012 ZE E42501 ZE 1 2 C ZI \
         1 E22012 ZI E42501 ZI T D C ZI T D C ZI"
    );
    let told = told(&through.stop());
    assert!(told.iter().filter(|line| line.contains("|177")).all(|line| line.contains("fastpath denied 0 42501 ")));
    let skipped = told.iter().filter(|line| line.contains("177") && line.contains("skipped")).count();
    assert_eq!(skipped, 2, "{told:#?}");
    assert!(
        told.iter().filter(|line| line.contains("177")).all(|line| line.contains("denied") || line.contains("skipped"))
    );
}

/// While a COPY reads its data a Query ends the session, denied or not: the server says so, nobody else.
#[test]
fn a_denied_query_amid_copy_data_ends_the_session_as_any_query_does() {
    let name = with_table();
    let through = Through::gated(TestGate::denying("forbidden"), Default::default());
    let play = |address: &str, sql: &str| {
        let steps = [vec![Step::Say(query("copy t from stdin")), Step::Hear(b'G', 1), Step::Say(query(sql))]].concat();
        letters(&play(address, &name, &steps))
    };
    assert_eq!(play(&through.address(), "select * from forbidden"), play(&server::address(shared()), "select 1"));
    let told = told(&through.stop());
    assert_eq!(told[1], "2.0 simple denied 0 - |select * from forbidden", "{told:#?}");
}

/// What the client reads, in its own encoding; and what the server logged, from which nothing of the statement can be learned.
#[test]
fn the_client_is_told_the_policy_s_words_and_the_server_learns_nothing() {
    let name = with_table();
    let through = Through::gated(TestGate::denying("forbidden"), Default::default());
    let secret = format!("select 'secret of {name}' from forbidden");
    let said = psql(&through.url(&name), &secret);
    assert!(said.err().contains(DENIED), "{}", said.err());
    let said = psql(&format!("{}?client_encoding=latin1", through.url(&name)), &secret);
    assert!(said.err().contains("policy test-deny: ?? keeps this from running"), "{}", said.err());
    let log = std::fs::read_to_string(shared().log_file()).unwrap();
    assert!(!log.contains(&format!("secret of {name}")));
    assert!(log.contains("mitsuke denied this statement"));
}

/// However the client's bytes are cut, and however long the gate thinks about each message.
#[test]
fn messages_are_judged_whole_however_they_come() {
    let name = with_table();
    let mut script = startup(SUPERUSER, &name);
    for part in [
        query("select 1"),
        query("select * from forbidden"),
        run("select 2"),
        close(b'S', ""),
        sync(),
        run("select * from forbidden"),
        sync(),
        query("select repeat('x', 100000)"),
        run("select 3"),
        sync(),
        terminate(),
    ] {
        script.extend(part);
    }
    let through = Through::gated(TestGate::denying("forbidden"), Default::default());
    let mut heard = Vec::new();
    for step in [1, 2, 3, 7, 50, script.len()] {
        let mut client = Client::connect(&through.address());
        for piece in script.chunks(step) {
            client.say(piece);
            if step < 10 {
                std::thread::sleep(std::time::Duration::from_micros(50));
            }
        }
        heard.push(letters(&client.hear_to_the_end()));
    }
    assert_eq!(heard[0], "ZI T D C ZI E42501 ZI 1 2 D C 3 ZI E42501 ZI T D C ZI 1 2 D C ZI");
    assert!(heard.iter().all(|one| *one == heard[0]), "{heard:#?}");
    // A gate that thinks: the order stays, and what was allowed before goes on meanwhile.
    let thinks = std::time::Duration::from_millis(20);
    through.gates.load(Some(Box::new(TestGate { thinks, ..TestGate::denying("forbidden") })));
    let mut client = Client::connect(&through.address());
    client.say(&script);
    assert_eq!(letters(&client.hear_to_the_end()), heard[0]);
    let told = told(&through.stop());
    assert_eq!(told.iter().filter(|line| line.contains(" denied ")).count(), 14);
}

/// A text longer than what is held is judged by its beginning, and told to be no more than that.
#[test]
fn a_message_too_long_to_be_held_is_judged_by_its_beginning() {
    const LONG: usize = 5 << 20;
    let name = with_table();
    let padding = "x".repeat(LONG);
    let in_front = format!("select 'forbidden', length('{padding}')");
    let behind = format!("select length('{padding}'), 'forbidden'");
    let script = |sql: &str| say(&[query(sql), run(sql), sync(), query("select 'goes on'")], 3);

    let lenient = Through::gated(TestGate::denying("forbidden"), Default::default());
    let heard = letters(&play(&lenient.address(), &name, &script(&in_front)));
    assert_eq!(heard, "ZI E42501 ZI E42501 ZI T D C ZI");
    let heard = letters(&play(&lenient.address(), &name, &script(&behind)));
    assert_eq!(heard, "ZI T D C ZI 1 2 D C ZI T D C ZI");
    let denied = |event: &Event| matches!(event, Event::Ended(ended) if ended.outcome == Outcome::Denied);
    assert_eq!(lenient.stop().iter().filter(|event| denied(event)).count(), 2);

    // What is not known whole can be denied for that alone.
    let strict = Through::gated(TestGate { unknown: true, ..TestGate::default() }, Default::default());
    let heard = letters(&play(&strict.address(), &name, &script(&behind)));
    assert_eq!(heard, "ZI E42501 ZI E42501 ZI T D C ZI");
}

/// What is sent right behind the StartupMessage is judged like anything else.
#[test]
fn a_query_sent_with_the_startup_message_is_judged() {
    let name = with_table();
    let through = Through::gated(TestGate::denying("forbidden"), Default::default());
    let mut client = Client::connect(&through.address());
    client.say(&[startup(SUPERUSER, &name), query("select * from forbidden"), query("select 1"), terminate()].concat());
    assert_eq!(letters(&client.hear_to_the_end()), "ZI E42501 ZI T D C ZI");
}

/// Names that will mean one thing or another, according to how what was sent before ends.
#[test]
fn no_name_brings_a_denied_text_past_the_gate() {
    let name = with_table();
    let gate =
        TestGate { unknown: true, messages: vec![Message::Bind, Message::Execute], ..TestGate::denying("forbidden") };
    let through = Through::gated(gate, Default::default());
    let prepare = || parse("s", "select * from forbidden");
    let attempts = [
        // The name is taken, so that the second Parse fails; the Bind was sent before that is known.
        vec![prepare(), sync(), parse("s", "select 1"), sync(), bind("", "s", &[]), execute("", 0), sync()],
        // SQL takes it away and gives it to another.
        vec![
            parse("s", "select 1"),
            sync(),
            query("deallocate s; prepare s as table forbidden"),
            bind("", "s", &[]),
            execute("", 0),
            sync(),
        ],
        // The same in one pipeline.
        vec![
            parse("s", "select 1"),
            run("deallocate s"),
            run("prepare s as table forbidden"),
            bind("", "s", &[]),
            execute("", 0),
            sync(),
        ],
        // A portal, and a cursor in its place.
        vec![
            query("begin"),
            parse("s", "select 1"),
            bind("p", "s", &[]),
            run("close p"),
            run("declare p cursor for table forbidden"),
            execute("p", 0),
            sync(),
        ],
        vec![prepare(), sync(), parse("t", "select 1"), close(b'S', "s"), bind("", "s", &[]), execute("", 0), sync()],
        vec![prepare(), message(b'C', b"Ss\0x"), sync(), bind("", "s", &[]), execute("", 0), sync()],
    ];
    for (number, attempt) in attempts.iter().enumerate() {
        let mut client = Client::session(&through.address(), SUPERUSER, &name);
        client.heard.clear();
        client.say(&[attempt.concat(), terminate()].concat());
        let heard = letters(&client.hear_to_the_end());
        assert!(!heard.contains('D'), "{number}: {heard}");
    }
    // And what is harmless goes through, however it is pipelined.
    let mut client = Client::session(&through.address(), SUPERUSER, &name);
    client.heard.clear();
    let harmless = [
        vec![parse("s", "select 1"), sync(), bind("", "s", &[]), execute("", 0), sync()],
        vec![bind("p", "s", &[]), execute("p", 0), bind("", "s", &[]), execute("", 0), sync()],
        vec![
            query("begin"),
            bind("p", "s", &[]),
            execute("p", 1),
            execute("p", 1),
            sync(),
            execute("p", 0),
            sync(),
            query("commit"),
        ],
    ];
    client.say(&[harmless.concat().concat(), terminate()].concat());
    assert_eq!(letters(&client.hear_to_the_end()), "1 ZI 2 D C ZI 2 D C 2 D C ZI C ZT 2 D s C ZT C ZT C ZI");
    let told = told(&through.stop());
    assert!(told.iter().all(|line| !line.contains("forbidden") || !line.contains(" ok 1 ")), "{told:#?}");
}

/// A gate that comes while a session is there is asked from the next message on, in the middle of a message too; and one that goes
/// is not asked any more.
#[test]
fn a_gate_may_come_and_go() {
    let name = with_table();
    let through = Through::start();
    let mut client = Client::session(&through.address(), SUPERUSER, &name);
    let whole = query("select * from forbidden");
    client.say(&[whole.clone(), whole[..10].to_vec()].concat());
    client.hear_until_ready(2);
    through.gates.load(Some(Box::new(TestGate::denying("forbidden"))));
    client.say(&whole[10..]);
    client.hear_until_ready(3);
    client.say(&whole);
    client.hear_until_ready(4);
    through.gates.load(None);
    client.say(&[whole.clone(), terminate()].concat());
    // The second was under way when the gate came, and ended as it had begun.
    assert_eq!(letters(&client.hear_to_the_end()), "ZI T D C ZI T D C ZI E42501 ZI T D C ZI");
}

#[test]
fn a_replication_command_is_denied_too() {
    let server = server::start(&[("wal_level", "logical")]);
    server::set_hba(&server, "host replication all 127.0.0.1/32 trust");
    let through = Through::gated_before(&server, TestGate::denying("forbidden"), Default::default());
    let mut client = Client::connect(&through.address());
    let parameters = format!("user\0{SUPERUSER}\0replication\0true\0\0");
    client.say(&crate::support::wire::packet(196_608, parameters.as_bytes()));
    client.hear_until_ready(1);
    client.say(&[query("BASE_BACKUP /* forbidden */"), query("IDENTIFY_SYSTEM"), terminate()].concat());
    assert_eq!(letters(&client.hear_to_the_end()), "ZI E42501 ZI T D C ZI");
}
