//! The first packets of a session: passed on as they came, answered as the server answers, and held to PostgreSQL's limits.

use crate::support::programs::{psql, python};
use crate::support::server::{address, database, direct, shared};
use crate::support::through::Through;
use crate::support::wire::{self, Client, last_error, messages, without_keys};

/// StartupMessage of protocol 3.`minor` with these parameters.
fn startup(minor: u32, parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, value) in parameters {
        body.extend([name.as_bytes(), b"\0", value.as_bytes(), b"\0"].concat());
    }
    body.push(0);
    wire::packet(0x0003_0000 | minor, &body)
}

/// What is heard, up to ReadyForQuery or the end.
fn answer(address: &str, said: &[u8]) -> Vec<u8> {
    let mut client = Client::connect(address);
    client.say(said);
    client.say(&wire::terminate());
    client.hear_to_the_end()
}

/// NegotiateProtocolVersion among the answers: the newest minor version, and the options that are not known.
#[test]
fn every_version_and_option_is_answered_by_the_server_itself() {
    let through = Through::start();
    let who = [("user", "postgres"), ("database", "postgres"), ("application_name", "raw")];
    let with = |more: &[(&'static str, &'static str)]| [&who[..], more].concat();
    let known = "select current_setting('server_version_num')::int / 10000";
    let version: u32 = psql(&direct(shared(), "postgres"), known).expect_success().trim().parse().unwrap();
    for (said, negotiated) in [
        (startup(0, &with(&[])), false),
        (startup(2, &with(&[])), version < 18),
        (startup(9_999, &with(&[])), true),
        (startup(0, &with(&[("_pq_.unheard_of", "1"), ("_pq_.of", "")])), true),
        (startup(0, &with(&[("geqo", "off"), ("search_path", "a,b"), ("options", "-c work_mem=1MB")])), false),
        (startup(0, &with(&[("unheard_of", "1")])), false),
        (startup(0, &[("database", "postgres")]), false),
        (startup(0, &with(&[("database", "no_such_database")])), false),
    ] {
        let (through, direct) = (answer(&through.address(), &said), answer(&address(shared()), &said));
        assert_eq!(without_keys(&through), without_keys(&direct), "{}", String::from_utf8_lossy(&said));
        assert_eq!(
            messages(&through).iter().any(|message| message.0 == b'v'),
            negotiated,
            "{}",
            String::from_utf8_lossy(&said)
        );
    }
}

#[test]
fn a_start_up_packet_is_held_to_ten_thousand_bytes() {
    let through = Through::start();
    let sized = |bytes: usize| {
        let mut said = startup(0, &[("user", "postgres"), ("database", "postgres"), ("application_name", "x")]);
        let filler = "x".repeat(bytes - (said.len() - 4));
        said.splice(said.len() - 2..said.len() - 2, filler.bytes());
        let length = u32::try_from(said.len()).unwrap().to_be_bytes();
        said[..4].copy_from_slice(&length);
        said
    };
    // `MAX_STARTUP_PACKET_LENGTH` does not count the length word.
    let longest = answer(&through.address(), &sized(10_000));
    assert_eq!(without_keys(&longest), without_keys(&answer(&address(shared()), &sized(10_000))));
    assert!(messages(&longest).iter().any(|message| message.0 == b'Z'));
    let mut too_long = Client::connect(&through.address());
    too_long.try_say(&sized(10_001));
    assert!(too_long.hear_to_the_end().is_empty(), "closed without a word, as PostgreSQL does");
}

/// Protocol 3.2 has keys of up to 256 bytes. The server closes without a word whatever the key; one it could not have given out is not
/// passed on.
#[test]
fn cancel_keys_of_every_length_are_passed_on() {
    let through = Through::start();
    for key_bytes in [4, 32, 256] {
        let request = wire::packet(80_877_102, &[&[0, 0, 0, 1][..], &vec![7; key_bytes]].concat());
        let mut client = Client::connect(&through.address());
        client.say(&request);
        assert!(client.hear_to_the_end().is_empty());
    }
    for key_bytes in [0, 3, 257] {
        let request = wire::packet(80_877_102, &[&[0, 0, 0, 1][..], &vec![7; key_bytes]].concat());
        let mut client = Client::connect(&through.address());
        client.try_say(&request);
        assert!(client.hear_to_the_end().is_empty());
    }
    assert!(through.stop().iter().all(|event| !matches!(event, mitsuke::session::Event::Begun(_))));
}

/// libpq 18 asks for 3.2 where it is told to, and takes what the server has.
#[test]
fn a_client_of_the_newest_protocol_adopts_what_the_server_has() {
    let name = database();
    let through = Through::start();
    let script = "
import sys, psycopg
with psycopg.connect(sys.argv[1]) as connection:
    print(connection.pgconn.full_protocol_version if hasattr(connection.pgconn, 'full_protocol_version') else '')
    print(connection.execute('select 1').fetchone()[0])
";
    let through = python(&format!("{}?max_protocol_version=latest", through.url(&name)), script).expect_success();
    let direct = python(&format!("{}?max_protocol_version=latest", direct(shared(), &name)), script).expect_success();
    assert_eq!(through, direct);
}

#[test]
fn a_role_that_does_not_exist_is_told_so_by_the_server() {
    let through = Through::start();
    let said = startup(0, &[("user", "no_such_role"), ("database", "postgres")]);
    let told = last_error(&answer(&through.address(), &said)).unwrap();
    assert_eq!(Some(told), last_error(&answer(&address(shared()), &said)));
}
