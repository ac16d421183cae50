//! What is wrong from outside gets a clear answer, is recorded, and stops nobody else.

use std::time::{Duration, Instant};

use mitsuke::proxy::{Address, Config};
use mitsuke::record::SessionOutcome;
use mitsuke::session::Event;

use crate::support::programs::psql;
use crate::support::server::{database, shared};
use crate::support::through::{Through, bind_error, tcp};
use crate::support::wait_for;
use crate::support::wire::{self, Client, last_error};

/// (outcome, SQLSTATE, user) of every session that ended.
fn ended(events: &[Event]) -> Vec<(SessionOutcome, Option<&str>, Option<&str>)> {
    let closed = events.iter().filter_map(|event| match event {
        Event::Closed(closed) => Some((closed.outcome, closed.sqlstate.as_deref(), closed.who.db_user.as_deref())),
        _ => None,
    });
    closed.collect()
}

fn still_serves(through: &Through) {
    assert_eq!(psql(&through.url("postgres"), "select 'alive'").expect_success().trim(), "alive");
}

#[test]
fn a_client_that_says_nothing_is_dropped_in_time_and_recorded() {
    let through = Through::before(shared(), |config| config.startup_timeout = Duration::from_millis(300));
    let started = Instant::now();
    let mut silent = Client::connect(&through.address());
    let mut half_said = Client::connect(&through.address());
    half_said.say(&wire::startup("postgres", "postgres")[..20]);
    assert!(silent.hear_to_the_end().is_empty());
    assert!(half_said.hear_to_the_end().is_empty());
    assert!(started.elapsed() >= Duration::from_millis(300));
    still_serves(&through);
    let events = through.stop();
    let refused = ended(&events).into_iter().filter(|(outcome, ..)| *outcome == SessionOutcome::Refused).count();
    assert_eq!(refused, 2, "{events:#?}");
}

#[test]
fn what_is_no_postgresql_is_closed_without_a_word() {
    let through = Through::start();
    let huge = [0x7f, 0xff, 0xff, 0xff, 0, 3, 0, 0];
    for nonsense in [b"GET / HTTP/1.1\r\n\r\n".as_slice(), &huge, &[0, 0, 0, 4], &[0; 64], &[0xff; 20_000]] {
        let mut client = Client::connect(&through.address());
        client.try_say(nonsense);
        assert!(client.hear_to_the_end().is_empty());
    }
    still_serves(&through);
    assert_eq!(ended(&through.stop()).len(), 6);
}

#[test]
fn encryption_is_declined_once_in_either_order_and_the_session_goes_on() {
    let through = Through::start();
    for requests in [vec![wire::ssl_request(), wire::gss_request()], vec![wire::gss_request(), wire::ssl_request()]] {
        let mut client = Client::connect(&through.address());
        for (index, request) in requests.iter().enumerate() {
            client.say(request);
            while client.heard.len() <= index {
                assert!(!client.is_closed_within(Duration::from_secs(30)));
            }
        }
        assert_eq!(std::mem::take(&mut client.heard), b"NN");
        client.say(&wire::startup("postgres", "postgres"));
        client.hear_until_ready(1);
        client.say(&wire::terminate());
        client.hear_to_the_end();
    }
    let mut twice = Client::connect(&through.address());
    twice.say(&wire::ssl_request());
    assert!(!twice.is_closed_within(Duration::from_secs(30)));
    twice.say(&wire::ssl_request());
    let heard = twice.hear_to_the_end();
    assert_eq!(last_error(&heard[1..]).unwrap().1, "0A000");
}

/// CVE-2021-23214: what came before the answer could have been put there by somebody in between.
#[test]
fn bytes_behind_a_request_for_encryption_end_the_connection() {
    let through = Through::start();
    for request in [wire::ssl_request(), wire::gss_request()] {
        let mut client = Client::connect(&through.address());
        client.say(&[request, wire::startup("postgres", "postgres")].concat());
        let heard = client.hear_to_the_end();
        assert_eq!(heard[0], b'N');
        let (severity, sqlstate, message) = last_error(&heard[1..]).unwrap();
        assert_eq!((severity.as_str(), sqlstate.as_str()), ("FATAL", "08P01"));
        assert!(message.contains("unencrypted data"), "{message}");
    }
    assert_eq!(ended(&through.stop()), vec![(SessionOutcome::Refused, Some("08P01"), None); 2]);
}

#[test]
fn a_malformed_frame_ends_its_session_and_no_other() {
    let through = Through::start();
    let mut bystander = Client::session(&through.address(), "postgres", "postgres");
    let malformed: [&[u8]; 4] =
        [b"Q\x00\x00\x00\x03", b"\x00\x00\x00\x00\x04", b"Q\xff\xff\xff\xff", b"S\x7f\xff\xff\xff"];
    for bytes in malformed {
        let mut client = Client::session(&through.address(), "postgres", "postgres");
        client.say(bytes);
        let heard = client.hear_to_the_end();
        let (severity, sqlstate, _) = last_error(&heard).unwrap_or_else(|| panic!("{bytes:?} was not answered"));
        assert_eq!((severity.as_str(), sqlstate.as_str()), ("FATAL", "08P01"), "{bytes:?}");
    }
    bystander.say(&wire::query("select 1"));
    bystander.hear_until_ready(2);
    drop(bystander);
    let events = through.stop();
    let count =
        |wanted| ended(&events).into_iter().filter(|(outcome, sqlstate, _)| (*outcome, *sqlstate) == wanted).count();
    // An unknown type of a sound length is the server's to refuse; a length that is none cannot be followed.
    assert_eq!(count((SessionOutcome::Terminated, Some("08P01"))), 1, "{:?}", ended(&events));
    assert_eq!(count((SessionOutcome::Lost, None)), malformed.len() - 1, "{:?}", ended(&events));
}

#[test]
fn a_server_that_is_away_is_named() {
    let away = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = away.local_addr().unwrap().to_string();
    drop(away);
    let through = Through::before(shared(), |config| config.upstream = tcp(&address));
    let mut client = Client::connect(&through.address());
    client.say(&wire::startup("anna", "shop"));
    let (severity, sqlstate, message) = last_error(&client.hear_to_the_end()).unwrap();
    assert_eq!((severity.as_str(), sqlstate.as_str()), ("FATAL", "08006"));
    assert!(message.contains(&address) && message.contains("refused"), "{message}");
    assert_eq!(ended(&through.stop()), [(SessionOutcome::Refused, Some("08006"), Some("anna"))]);
}

/// A full queue of connections: the system answers no further one, and a client of it waits.
#[test]
fn a_server_that_does_not_answer_is_given_up_in_time() {
    let busy = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    busy.bind(&"127.0.0.1:0".parse::<std::net::SocketAddr>().unwrap().into()).unwrap();
    busy.listen(0).unwrap();
    let address = busy.local_addr().unwrap().as_socket().unwrap();
    let _waiting: Vec<_> =
        std::iter::from_fn(|| std::net::TcpStream::connect_timeout(&address, Duration::from_millis(300)).ok())
            .collect();
    let through = Through::before(shared(), |config| {
        config.upstream = tcp(&address.to_string());
        config.connect_timeout = Duration::from_millis(300);
    });
    let started = Instant::now();
    let mut client = Client::connect(&through.address());
    client.say(&wire::startup("anna", "shop"));
    let (_, sqlstate, message) = last_error(&client.hear_to_the_end()).unwrap();
    assert_eq!(sqlstate, "08006");
    assert!(message.contains("timed out"), "{message}");
    assert!(started.elapsed() >= Duration::from_millis(300));
}

#[test]
fn one_connection_too_many_is_told_so_and_a_cancel_request_still_gets_through() {
    let name = database();
    let through = Through::before(shared(), |config| config.connections_max = 1);
    let mut first = Client::session(&through.address(), "postgres", &name);
    let mut second = Client::connect(&through.address());
    second.say(&wire::startup("postgres", &name));
    assert_eq!(last_error(&second.hear_to_the_end()).unwrap().1, "53300");
    let heard = first.heard.clone();
    let key = wire::messages(&heard).iter().find(|message| message.0 == b'K').unwrap().1.to_vec();
    first.say(&wire::query("select pg_sleep(600)"));
    std::thread::sleep(Duration::from_millis(300));
    Client::connect(&through.address()).say(&wire::packet(80_877_102, &key));
    first.hear_until_ready(2);
    assert_eq!(last_error(&first.heard).unwrap().1, "57014");
    first.say(&wire::terminate());
    first.hear_to_the_end();
    // Its seat is free again, as soon as its end is recorded.
    wait_for("a free seat", || psql(&through.url(&name), "select 1").output.status.success().then_some(()));
    let events = through.stop();
    let refused = (SessionOutcome::Refused, Some("53300"), Some("postgres"));
    assert!(ended(&events).contains(&refused), "{:?}", ended(&events));
}

#[tokio::test]
async fn a_taken_port_is_named_with_how_to_mend_it() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = tcp(&taken.local_addr().unwrap().to_string());
    let config = Config { listen: vec![address.clone()], ..Config::default() };
    let error = bind_error(config);
    assert!(error.contains(&address.to_string()) && error.contains("[listen].address"), "{error}");
    let nowhere = Config { listen: vec![Address::Unix("/nonexistent/folder/s".into())], ..Config::default() };
    assert!(bind_error(nowhere).contains("/nonexistent/folder/s"));
}

#[test]
fn a_hundred_megabyte_statement_goes_through_whole() {
    const BYTES: usize = 100 * 1024 * 1024;
    let name = database();
    let through = Through::start();
    let mut client = Client::session(&through.address(), "postgres", &name);
    let mut sql = String::with_capacity(BYTES + 64);
    sql.push_str("/* long */ select length('");
    sql.extend(std::iter::repeat_n('x', BYTES));
    sql.push_str("')");
    client.say(&wire::query(&sql));
    client.hear_until_ready(2);
    assert_eq!(last_error(&client.heard), None);
    assert!(client.heard.windows(9).any(|window| window == BYTES.to_string().as_bytes()));
    client.say(&wire::terminate());
    client.hear_to_the_end();
    let events = through.stop();
    let begun = events.iter().find_map(|event| match event {
        Event::Begun(begun) if begun.text.starts_with(b"/* long */") => Some((begun.text.len(), begun.text_bytes)),
        _ => None,
    });
    let (kept, whole) = begun.expect("it is recorded");
    assert_eq!(usize::try_from(whole).unwrap(), sql.len());
    assert!(kept <= mitsuke::session::TEXT_BYTES_MAX);
}
