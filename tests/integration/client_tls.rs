//! TLS on the clients' leg: who gets it, who has to, what is refused on the way to it, and what the records say.

use std::time::Duration;

use mitsuke::proxy::{Address, ClientCertificate, Config, ListenTls};
use mitsuke::record::SessionOutcome;
use mitsuke::session::Event;
use mitsuke::session::event::Closed;

use crate::support::programs::{program, psql, python, run};
use crate::support::server::{database, shared};
use crate::support::through::Through;
use crate::support::tls::{Authority, Issued};
use crate::support::wire::{self, Client, last_error};

fn allow(config: &mut Config, issued: &Issued) {
    config.listen_tls =
        ListenTls::On { own: issued.own(None), is_required: false, client: ClientCertificate::Optional };
}

fn require(config: &mut Config, issued: &Issued) {
    config.listen_tls = ListenTls::On { own: issued.own(None), is_required: true, client: ClientCertificate::Optional };
}

fn closed(events: &[Event]) -> Vec<&Closed> {
    events.iter().filter_map(|event| if let Event::Closed(closed) = event { Some(closed) } else { None }).collect()
}

fn verified(through: &Through, authority: &Authority) -> String {
    format!("{}?sslmode=verify-full&sslrootcert={}", through.url("postgres"), authority.certificate().display())
}

#[test]
fn a_client_that_asks_for_tls_gets_it_and_the_record_says_which() {
    let authority = Authority::new("authority");
    let through = Through::before(shared(), |config| allow(config, &authority.server("server")));
    let url = verified(&through, &authority);
    assert_eq!(psql(&url, "select 1").expect_success().trim(), "1");
    assert_eq!(psql(&format!("{url}&ssl_max_protocol_version=TLSv1.2"), "select 1").expect_success().trim(), "1");
    assert_eq!(psql(&format!("{}?sslmode=disable", through.url("postgres")), "select 1").expect_success().trim(), "1");
    let events = through.stop();
    let versions: Vec<Option<&str>> = closed(&events).iter().map(|closed| closed.tls_version.as_deref()).collect();
    assert_eq!(versions, [Some("TLSv1.3"), Some("TLSv1.2"), None]);
}

#[test]
fn a_client_that_does_not_ask_is_turned_away_where_tls_is_required() {
    let authority = Authority::new("authority");
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join(".s.PGSQL.6432");
    let through = Through::before(shared(), |config| {
        require(config, &authority.server("server"));
        config.listen.push(Address::Unix(socket.clone()));
    });
    let refused = psql(&format!("{}?sslmode=disable", through.url("postgres")), "select 1");
    assert!(refused.err().contains("FATAL:  mitsuke lets nobody in without TLS"), "{}", refused.err());
    assert_eq!(psql(&verified(&through, &authority), "select 1").expect_success().trim(), "1");
    // A unix socket carries no TLS and needs none, as with PostgreSQL.
    let local =
        format!("postgresql:///postgres?host={}&port=6432&user=postgres&sslmode=require", folder.path().display());
    assert_eq!(psql(&local, "select 1").expect_success().trim(), "1");
    let events = through.stop();
    let refused = closed(&events)[0];
    assert_eq!((refused.outcome, refused.sqlstate.as_deref()), (SessionOutcome::AuthFailed, Some("28000")));
    assert_eq!(refused.who.db_user.as_deref(), Some("postgres"));
}

/// libpq before version 17 cancels without TLS, whatever the session has; the key is all that it shows.
#[test]
fn a_cancel_request_is_taken_with_tls_and_without() {
    let authority = Authority::new("authority");
    let through = Through::before(shared(), |config| require(config, &authority.server("server")));
    for over_tls in [true, false] {
        let mut client = Client::over_tls(&through.address(), &authority);
        client.say(&wire::startup("postgres", "postgres"));
        client.hear_until_ready(1);
        let heard = client.heard.clone();
        let key = wire::messages(&heard).iter().find(|message| message.0 == b'K').unwrap().1.to_vec();
        client.say(&wire::query("select pg_sleep(600)"));
        std::thread::sleep(Duration::from_millis(300));
        let mut canceller = match over_tls {
            true => Client::over_tls(&through.address(), &authority),
            false => Client::connect(&through.address()),
        };
        canceller.say(&wire::packet(80_877_102, &key));
        assert!(canceller.hear_to_the_end().is_empty());
        client.hear_until_ready(2);
        assert_eq!(last_error(&client.heard).unwrap().1, "57014");
    }
}

/// CVE-2021-23214: what came before the handshake could have been put there by somebody in between.
#[test]
fn a_byte_behind_an_ssl_request_ends_the_connection_after_the_handshake() {
    let authority = Authority::new("authority");
    let through = Through::before(shared(), |config| allow(config, &authority.server("server")));
    for behind in [wire::startup("postgres", "postgres"), vec![0]] {
        let mut client = Client::connect(&through.address());
        client.say(&[wire::ssl_request(), behind].concat());
        client.hear_bytes(1);
        assert_eq!(client.heard, b"S");
        let mut client = client.encrypt(&authority, &[]).unwrap();
        client.try_say(&wire::startup("postgres", "postgres"));
        let (severity, sqlstate, message) = last_error(&client.hear_to_the_end()).unwrap();
        assert_eq!((severity.as_str(), sqlstate.as_str()), ("FATAL", "08P01"));
        assert!(message.contains("unencrypted data after SSL request"), "{message}");
    }
    let events = through.stop();
    assert!(
        closed(&events)
            .iter()
            .all(|closed| closed.sqlstate.as_deref() == Some("08P01") && closed.tls_version.is_some())
    );
}

#[test]
fn encryption_is_granted_once_and_gss_is_declined_before_it() {
    let authority = Authority::new("authority");
    let through = Through::before(shared(), |config| allow(config, &authority.server("server")));
    let mut client = Client::connect(&through.address());
    client.say(&wire::gss_request());
    client.hear_bytes(1);
    client.say(&wire::ssl_request());
    client.hear_bytes(2);
    assert_eq!(client.heard, b"NS");
    let mut client = client.encrypt(&authority, &[]).unwrap();
    client.say(&wire::startup("postgres", "postgres"));
    client.hear_until_ready(1);
    for again in [wire::ssl_request(), wire::gss_request()] {
        let mut client = Client::over_tls(&through.address(), &authority);
        client.say(&again);
        assert_eq!(last_error(&client.hear_to_the_end()).unwrap().1, "0A000");
    }
}

#[test]
fn tls_may_come_first_where_both_name_postgresql() {
    let authority = Authority::new("authority");
    let through = Through::before(shared(), |config| require(config, &authority.server("server")));
    let mut client = Client::connect(&through.address()).encrypt(&authority, &["postgresql"]).unwrap();
    client.say(&wire::startup("postgres", "postgres"));
    client.hear_until_ready(1);
    client.say(&wire::terminate());
    client.hear_to_the_end();
    // Without ALPN it is closed without a word, after the handshake; with another protocol's, in it.
    let mut nameless = Client::connect(&through.address()).encrypt(&authority, &[]).unwrap();
    nameless.try_say(&wire::startup("postgres", "postgres"));
    assert!(nameless.hear_to_the_end().is_empty());
    let other = Client::connect(&through.address()).encrypt(&authority, &["http/1.1"]).unwrap_err();
    assert!(other.to_string().contains("NoApplicationProtocol"), "{other}");
    // And where there is no TLS at all, it is no PostgreSQL.
    let plain = Through::start();
    assert!(Client::connect(&plain.address()).encrypt(&authority, &["postgresql"]).is_err());
}

#[test]
fn libpq_begins_with_tls() {
    let authority = Authority::new("authority");
    let through = Through::before(shared(), |config| require(config, &authority.server("server")));
    let script = "
import sys, psycopg
with psycopg.connect(sys.argv[1]) as connection:
    print(connection.execute('select 41 + 1').fetchone()[0])
";
    let said = python(&format!("{}&sslnegotiation=direct", verified(&through, &authority)), script);
    assert_eq!(said.expect_success().trim(), "42");
    assert_eq!(closed(&through.stop())[0].tls_version.as_deref(), Some("TLSv1.3"));
}

#[test]
fn a_client_that_ends_its_side_over_tls_still_hears_the_answer() {
    let authority = Authority::new("authority");
    let through = Through::before(shared(), |config| allow(config, &authority.server("server")));
    for says_so in [true, false] {
        let mut client = Client::over_tls(&through.address(), &authority);
        client.say(&wire::startup("postgres", "postgres"));
        client.hear_until_ready(1);
        client.say(&wire::query("select pg_sleep(0.3), 'answer'"));
        if says_so {
            client.notify_close();
        }
        client.shut_down_writing();
        let heard = client.hear_to_the_end();
        assert!(heard.windows(6).any(|window| window == b"answer"), "close_notify: {says_so}");
    }
    let outcomes: Vec<_> = closed(&through.stop()).iter().map(|closed| closed.outcome).collect();
    assert_eq!(outcomes, [SessionOutcome::Closed; 2]);
}

/// A client that reads nothing while it writes, and then everything: what waits in TLS goes on when there is room.
#[test]
fn neither_direction_waits_for_the_other_over_tls() {
    const QUERIES: usize = 2_000;
    let authority = Authority::new("authority");
    let through = Through::before(shared(), |config| allow(config, &authority.server("server")));
    let mut client = Client::over_tls(&through.address(), &authority);
    client.say(&wire::startup("postgres", "postgres"));
    client.hear_until_ready(1);
    client.heard.clear();
    // 70 KB of queries, and 4 MB of answers that fit no socket buffer.
    client.say(&wire::query("select repeat('x', 2000)").repeat(QUERIES));
    std::thread::sleep(Duration::from_millis(500));
    client.hear_until_ready(QUERIES);
    assert_eq!(last_error(&client.heard), None);
    client.say(&wire::terminate());
    assert!(client.hear_to_the_end().len() > QUERIES * 2_000);
}

#[test]
fn copies_in_and_out_are_whole_over_tls() {
    let name = database();
    let authority = Authority::new("authority");
    let through = Through::before(shared(), |config| allow(config, &authority.server("server")));
    let url = format!("{}?sslmode=require", through.url(&name));
    psql(&url, "create table t as select n, repeat(md5(n::text), 5) as x from generate_series(1, 100000) n")
        .expect_success();
    let mut dump = program("psql");
    dump.args(["-XAtq", "-d", &url, "-c", "copy t to stdout"]);
    let out = run(dump, b"").expect_success();
    psql(&url, "create table u (like t)").expect_success();
    let mut load = program("psql");
    load.args(["-XAtq", "-d", &url, "-c", "copy u from stdin"]);
    run(load, out.as_bytes()).expect_success();
    let differences = "select count(*) from (table t except all table u) d, (select 1) e";
    assert_eq!(psql(&url, differences).expect_success().trim(), "0");
    assert_eq!(psql(&url, "select count(*) from u").expect_success().trim(), "100000");
}

#[test]
fn a_stop_is_told_over_tls() {
    let authority = Authority::new("authority");
    let through = Through::before(shared(), |config| allow(config, &authority.server("server")));
    let mut client = Client::over_tls(&through.address(), &authority);
    client.say(&wire::startup("postgres", "postgres"));
    client.hear_until_ready(1);
    client.say(&wire::query("select 1"));
    client.hear_until_ready(2);
    through.stop();
    assert_eq!(last_error(&client.hear_to_the_end()).unwrap().1, "57P01");
}

#[test]
fn a_client_that_never_ends_its_handshake_is_dropped_in_time() {
    let authority = Authority::new("authority");
    let through = Through::before(shared(), |config| {
        allow(config, &authority.server("server"));
        config.startup_timeout = Duration::from_millis(300);
    });
    let mut silent = Client::connect(&through.address());
    silent.say(&wire::ssl_request());
    assert_eq!(silent.hear_to_the_end(), b"S");
    let mut nonsense = Client::connect(&through.address());
    nonsense.say(&wire::ssl_request());
    nonsense.hear_bytes(1);
    nonsense.try_say(b"GET / HTTP/1.1\r\n\r\n");
    nonsense.hear_to_the_end();
    assert_eq!(closed(&through.stop()).len(), 2);
}
