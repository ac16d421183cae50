//! How a session ends: said goodbye, cut short by the server, or by its death. What was passed on is what is told, and
//! nothing is made up.

use std::process::Command;

use mitsuke::record::{Outcome, SessionOutcome};
use mitsuke::session::Event;
use mitsuke::session::event::{Closed, Ended};

use crate::support::programs::{program, psql, run};
use crate::support::server::{self, SUPERUSER, database, direct, shared};
use crate::support::through::Through;
use crate::support::wire::{Client, last_error, messages, query, terminate};

/// More rows than anybody will wait for; not from a function in FROM, which would be materialised first.
const FLOOD: &str = "select generate_series(1, 100000000), repeat('x', 1000)";

fn ended(events: &[Event]) -> Vec<&Ended> {
    events.iter().filter_map(|event| if let Event::Ended(ended) = event { Some(ended) } else { None }).collect()
}

fn closed(events: &[Event]) -> Vec<&Closed> {
    events.iter().filter_map(|event| if let Event::Closed(closed) = event { Some(closed) } else { None }).collect()
}

/// A session in the middle of [`FLOOD`], some rows heard.
fn flooded(address: &str, database: &str) -> Client {
    let mut client = Client::session(address, SUPERUSER, database);
    client.say(&query(FLOOD));
    client.hear_until(b'D', 2_000);
    client
}

/// Rows, and the last message's type, of what a client heard; nothing may be cut off behind it.
fn rows_and_last(heard: &[u8]) -> (u64, u8) {
    let all = messages(heard);
    let whole: usize = all.iter().map(|(_, body)| body.len() + 5).sum();
    assert_eq!(whole, heard.len(), "a message is cut off");
    let rows = all.iter().filter(|message| message.0 == b'D').count();
    (u64::try_from(rows).unwrap(), all.last().unwrap().0)
}

#[test]
fn a_backend_terminated_while_rows_flow_says_so_behind_its_last_row() {
    let name = database();
    let through = Through::start();
    let mut client = Client::session(&through.address(), SUPERUSER, &name);
    client.say(&query("select generate_series(1, 100000000), repeat('x', 1000), pg_sleep(0.001)"));
    client.hear_until(b'D', 50);
    let kill = format!("select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'");
    assert_eq!(psql(&direct(shared(), "postgres"), &kill).expect_success().trim(), "t");
    let heard = client.hear_to_the_end();
    let (rows, last) = rows_and_last(&heard);
    assert_eq!(last, b'E');
    assert_eq!(last_error(&heard).unwrap().1, "57P01");
    let events = through.stop();
    let [end] = ended(&events)[..] else { panic!("{events:?}") };
    assert_eq!((end.outcome, end.rows_returned), (Outcome::Error, rows));
    assert_eq!(end.sqlstate.as_deref(), Some("57P01"));
    let [close] = closed(&events)[..] else { panic!("{events:?}") };
    assert_eq!((close.outcome, close.sqlstate.as_deref()), (SessionOutcome::Terminated, Some("57P01")));
}

/// A backend that cannot send because nobody reads ends without a word, in the middle of a row.
#[test]
fn a_backend_terminated_while_nobody_reads_is_cut_off_where_it_was() {
    let name = database();
    let through = Through::start();
    let mut client = flooded(&through.address(), &name);
    until_nothing_is_taken(&name);
    let kill = format!("select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'");
    assert_eq!(psql(&direct(shared(), "postgres"), &kill).expect_success().trim(), "t");
    let heard = client.hear_to_the_end();
    assert_eq!(last_error(&heard), None, "nothing is made up");
    let whole = messages(&heard).iter().filter(|message| message.0 == b'D').count();
    let events = through.stop();
    let [end] = ended(&events)[..] else { panic!("{events:?}") };
    assert_eq!(end.outcome, Outcome::Unknown);
    let rows = usize::try_from(end.rows_returned).unwrap();
    assert!(rows == whole || rows == whole + 1, "{rows} rows told, {whole} whole ones heard");
    assert_eq!(closed(&events)[0].outcome, SessionOutcome::Lost);
}

/// Every buffer on the way is full: the backend is found waiting to send for so long that it is not between two pieces. The kernel asks a
/// receiver that takes nothing again after a fifth of a second, and after twice as long each time; some bytes may find room then.
fn until_nothing_is_taken(name: &str) {
    let waits = format!("select wait_event from pg_stat_activity where datname = '{name}'");
    let mut in_a_row = 0;
    for _ in 0..300 {
        let found = psql(&direct(shared(), "postgres"), &waits);
        in_a_row = if found.expect_success().trim() == "ClientWrite" { in_a_row + 1 } else { 0 };
        if in_a_row == 20 {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    panic!("the backend goes on sending");
}

/// The server's WARNING is passed on, its silence too, and the statement's end is not known.
#[test]
fn an_immediate_shutdown_is_passed_on_as_it_is() {
    let server = server::start(&[]);
    let through = Through::before(&server, |_| {});
    let mut passed = flooded(&through.address(), "postgres");
    let mut directly = flooded(&server::address(&server), "postgres");
    let mut stop = program("pg_ctl");
    stop.arg("-D").arg(server.socket_folder().join("data")).args(["-m", "immediate", "-W", "stop"]);
    as_owner(&mut stop, &server);
    let ran = run(stop, b"");
    assert!(ran.output.status.success(), "{}\n{}", ran.out(), ran.err());
    let (passed, directly) = (passed.hear_to_the_end(), directly.hear_to_the_end());
    let words = |heard: &[u8]| -> Vec<u8> {
        messages(heard).into_iter().map(|message| message.0).filter(|kind| !b"RSKZTD".contains(kind)).collect()
    };
    assert_eq!(words(&passed), words(&directly));
    assert!(last_error(&passed).is_none(), "{:?}", last_error(&passed));
    let events = through.stop();
    let [end] = ended(&events)[..] else { panic!("{events:?}") };
    assert_eq!(end.outcome, Outcome::Unknown);
    assert_eq!(closed(&events)[0].outcome, SessionOutcome::Lost);
}

/// The server's programs refuse to run as root: they run as the owner of the cluster.
fn as_owner(command: &mut Command, server: &mitsuke::demo::Postgres) {
    use std::os::unix::fs::MetadataExt;
    use std::os::unix::process::CommandExt;
    let owner = std::fs::metadata(server.socket_folder().join("data")).unwrap();
    command.current_dir("/").uid(owner.uid()).gid(owner.gid());
}

#[test]
fn a_terminate_is_passed_on_and_the_session_told_as_closed() {
    let name = database();
    let through = Through::start();
    let mut client = Client::session(&through.address(), SUPERUSER, &name);
    // Behind it nothing is heard any more.
    client.say(&[query("select 1"), terminate(), query("select 'never'")].concat());
    let heard = client.hear_to_the_end();
    assert_eq!(messages(&heard).iter().filter(|message| message.0 == b'D').count(), 1);
    let events = through.stop();
    assert_eq!(closed(&events)[0].outcome, SessionOutcome::Closed);
    let outcomes: Vec<Outcome> = ended(&events).iter().map(|end| end.outcome).collect();
    assert_eq!(outcomes, [Outcome::Ok, Outcome::Unknown], "what came behind it went to a server that does not read it");
}

/// The client's side ends in the middle of a message: so does the server's, which says nothing.
#[test]
fn a_half_said_message_is_passed_on_half_said() {
    let name = database();
    let through = Through::start();
    let mut client = Client::session(&through.address(), SUPERUSER, &name);
    let whole = query("insert into nowhere values (1)");
    client.say(&whole[..whole.len() - 3]);
    client.shut_down_writing();
    client.heard.clear();
    assert!(client.hear_to_the_end().is_empty());
    let events = through.stop();
    assert!(ended(&events).is_empty(), "it never was a statement");
    assert_eq!(closed(&events)[0].outcome, SessionOutcome::Closed);
}

/// A client that ends its side while its result flows hears all of it.
#[test]
fn a_result_is_heard_out_after_a_half_close() {
    let name = database();
    let through = Through::start();
    let mut client = Client::session(&through.address(), SUPERUSER, &name);
    client.say(&query("select generate_series(1, 20000), repeat('x', 1000)"));
    client.shut_down_writing();
    let (rows, last) = rows_and_last(&client.hear_to_the_end());
    assert_eq!((rows, last), (20_000, b'Z'));
    let events = through.stop();
    assert_eq!(ended(&events)[0].rows_returned, 20_000);
    assert_eq!(closed(&events)[0].outcome, SessionOutcome::Closed);
}

/// What the server says at the login, its settings among that, is not the first statement's: people are estimated by its bytes.
#[test]
fn what_the_server_says_at_the_login_is_no_statements() {
    let name = database();
    let through = Through::start();
    let mut client = Client::session(&through.address(), SUPERUSER, &name);
    for ready in [2, 3] {
        client.say(&query("select 1"));
        client.hear_until_ready(ready);
    }
    client.say(&terminate());
    client.hear_to_the_end();
    let events = through.stop();
    let bytes: Vec<u64> = ended(&events).iter().map(|end| end.bytes_out).collect();
    assert_eq!(bytes.len(), 2, "{bytes:?}");
    assert_eq!(bytes[0], bytes[1]);
}
