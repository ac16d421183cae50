//! Bytes to and fro: half-closes, ends, sockets of other kinds, and directions that do not wait for each other.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use mitsuke::proxy::Address;
use mitsuke::record::{Outcome, SessionOutcome};
use mitsuke::session::Event;

use crate::support::programs::psql;
use crate::support::server::{SUPERUSER, database, direct, shared};
use crate::support::through::Through;
use crate::support::wire::{self, Client, last_error};

fn outcomes(events: &[Event]) -> Vec<SessionOutcome> {
    let closed = events.iter().filter_map(|event| match event {
        Event::Closed(closed) => Some(closed.outcome),
        _ => None,
    });
    closed.collect()
}

#[test]
fn a_client_that_ends_its_side_still_hears_the_answer() {
    let name = database();
    let through = Through::start();
    let mut client = Client::session(&through.address(), SUPERUSER, &name);
    client.say(&wire::query("select pg_sleep(0.3), 'answer'"));
    client.shut_down_writing();
    let heard = client.hear_to_the_end();
    assert!(heard.windows(6).any(|window| window == b"answer"));
}

#[test]
fn a_backend_that_is_terminated_is_heard_out() {
    let name = database();
    let through = Through::start();
    let mut client = Client::session(&through.address(), SUPERUSER, &name);
    client.say(&wire::query("select pg_sleep(600)"));
    let kill = format!("select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = '{name}'");
    while psql(&direct(shared(), "postgres"), &kill).expect_success().trim() != "1" {}
    let (severity, sqlstate, _) = last_error(&client.hear_to_the_end()).unwrap();
    assert_eq!((severity.as_str(), sqlstate.as_str()), ("FATAL", "57P01"));
    let events = through.stop();
    assert_eq!(outcomes(&events), [SessionOutcome::Terminated]);
    assert!(events.iter().any(|event| matches!(event, Event::Ended(ended) if ended.outcome != Outcome::Ok)));
}

/// kill -9 of the backend: the postmaster closes every session with a WARNING 57P02, or none at all. Nothing is made up.
#[test]
fn a_server_that_dies_mid_query_closes_the_client_and_the_statement_is_unknown() {
    let server = crate::support::server::start(&[]);
    let through = Through::before(&server, |_| {});
    let mut client = Client::session(&through.address(), SUPERUSER, "postgres");
    client.say(&wire::query("select pg_backend_pid()"));
    client.hear_until_ready(2);
    let heard = client.heard.clone();
    let row = wire::messages(&heard).into_iter().find(|message| message.0 == b'D').unwrap().1;
    let pid = String::from_utf8_lossy(&row[6..]).into_owned();
    client.say(&wire::query("select pg_sleep(600)"));
    std::thread::sleep(Duration::from_millis(300));
    let killed = std::process::Command::new("kill").args(["-9", &pid]).status().unwrap();
    assert!(killed.success());
    client.heard.clear();
    let last = client.hear_to_the_end();
    assert!(wire::messages(&last).is_empty(), "{:?}", wire::messages(&last));
    let events = through.stop();
    let ends: Vec<Outcome> = events
        .iter()
        .filter_map(|event| if let Event::Ended(ended) = event { Some(ended.outcome) } else { None })
        .collect();
    assert_eq!(ends, [Outcome::Ok, Outcome::Unknown]);
}

/// A client that reads nothing while it writes: were one direction to wait for the other, this would stand still.
#[test]
fn neither_direction_waits_for_the_other() {
    const QUERIES: usize = 2_000;
    let name = database();
    let through = Through::start();
    let mut client = Client::session(&through.address(), SUPERUSER, &name);
    let one = wire::query("select repeat('x', 2000)");
    let mut writer = client.second_handle();
    let all = one.repeat(QUERIES);
    let writing = std::thread::spawn(move || {
        writer.write_all(&all).unwrap();
    });
    // 4 MB of answers, which fit no socket buffer, wait while 70 KB of queries go up.
    std::thread::sleep(Duration::from_millis(500));
    client.heard.clear();
    client.hear_until_ready(QUERIES);
    writing.join().unwrap();
    assert_eq!(last_error(&client.heard), None);
    client.say(&wire::terminate());
    client.hear_to_the_end();
    let ended = through.stop().iter().filter(|event| matches!(event, Event::Ended(_))).count();
    assert_eq!(ended, QUERIES);
}

#[test]
fn unix_sockets_on_both_legs() {
    let name = database();
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join(".s.PGSQL.6432");
    let server = shared();
    let through = Through::before(server, |config| {
        config.listen = vec![Address::Unix(socket.clone()), Address::Tcp("127.0.0.1:0".to_owned())];
        config.upstream = Address::Unix(server.socket_folder().join(format!(".s.PGSQL.{}", server.port())));
    });
    let url = format!("postgresql:///{name}?host={}&port=6432&user={SUPERUSER}", folder.path().display());
    assert_eq!(psql(&url, "select inet_client_addr() is null").expect_success().trim(), "t");
    assert_eq!(through.addresses.len(), 2);
    let events = through.stop();
    assert!(!socket.exists(), "removed at the end");
    let addresses: Vec<&str> = events
        .iter()
        .filter_map(
            |event| if let Event::Opened(opened) = event { Some(opened.who.client_addr.as_str()) } else { None },
        )
        .collect();
    assert_eq!(addresses, ["local"]);
}

#[test]
fn a_client_that_vanishes_is_recorded_and_its_server_session_ends() {
    let name = database();
    let through = Through::start();
    let mut client = Client::session(&through.address(), SUPERUSER, &name);
    client.say(&wire::query("begin; select 1"));
    client.hear_until_ready(2);
    drop(client);
    let count = format!("select count(*) from pg_stat_activity where datname = '{name}'");
    crate::support::wait_for("the end of the server's session", || {
        (psql(&direct(shared(), "postgres"), &count).expect_success().trim() == "0").then_some(())
    });
    assert_eq!(outcomes(&through.stop()).len(), 1);
}

/// A relay that knows only PostgreSQL must not be brought to a halt by a socket that was opened for something else.
#[test]
fn a_port_probe_is_no_trouble() {
    let through = Through::start();
    for _ in 0..20 {
        drop(Client::connect(&through.address()));
    }
    assert_eq!(psql(&through.url("postgres"), "select 1").expect_success().trim(), "1");
    let events = through.stop();
    assert_eq!(outcomes(&events).len(), 21);
}

/// `\x00` and Latin-1 in a statement, as a client with `client_encoding = latin1` sends it.
#[test]
fn bytes_that_are_no_utf8_pass_unaltered() {
    let name = database();
    let through = Through::start();
    let mut client = Client::session(&through.address(), SUPERUSER, &name);
    client.say(&wire::query("set client_encoding = latin1"));
    client.hear_until_ready(2);
    client.heard.clear();
    client.say(&wire::message(b'Q', b"select '\xe4\xf6\xfc\xdf'\0"));
    client.hear_until_ready(1);
    assert!(client.heard.windows(4).any(|window| window == b"\xe4\xf6\xfc\xdf"));
    client.say(&wire::terminate());
    client.hear_to_the_end();
    let events = through.stop();
    // The event has what the server makes of them.
    let kept = |event: &Event| matches!(event, Event::Begun(begun) if *begun.text == *"select 'äöüß'".as_bytes());
    assert!(events.iter().any(kept));
}

#[test]
fn a_unix_client_may_use_raw_bytes_too() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("s");
    let _through = Through::before(shared(), |config| config.listen = vec![Address::Unix(socket.clone())]);
    let mut stream = UnixStream::connect(&socket).unwrap();
    stream.write_all(&wire::ssl_request()).unwrap();
    let mut answer = [0; 1];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"N");
}
