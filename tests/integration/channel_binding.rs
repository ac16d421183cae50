//! SCRAM with channel binding, case by case: which of libpq's `channel_binding` settings work through which two legs, and what is said where one
//! does not. What a client, a server and nobody in between can do is in RFC 5802, section 6, and in PostgreSQL's `auth-scram.c`.

use std::sync::OnceLock;

use mitsuke::demo::Postgres;
use mitsuke::proxy::{
    Address, Auth, ChannelBinding, ClientCertificate, Config, DEFAULT_AUTH_QUERY, ListenTls, Lookup, UpstreamTls,
};
use mitsuke::record::SessionOutcome;
use mitsuke::session::Event;
use mitsuke::tls::{Outward, Trust};

use crate::support::programs::{Ran, psql, psql_script};
use crate::support::server::{direct, set_hba, start};
use crate::support::through::Through;
use crate::support::tls::{Authority, Issued, enable, file};
use crate::support::wire::{self, Client, last_error};

/// A server with TLS and with roles that have passwords.
struct Site {
    server: Postgres,
    authority: Authority,
    /// The server's own certificate.
    own: Issued,
    /// Another one for the same machine.
    other: Issued,
}

fn site() -> &'static Site {
    static SITE: OnceLock<Site> = OnceLock::new();
    SITE.get_or_init(|| {
        let authority = Authority::new("authority");
        let (own, other) = (authority.server("own"), authority.server("other"));
        let server = start(&[]);
        enable(&server, &own, None);
        let url = direct(&server, "postgres");
        for sql in [
            "create role anna login password 'pencil'",
            "create role lookup login password 'glass'",
            "grant select (rolname, rolpassword) on pg_authid to lookup",
        ] {
            psql(&url, sql).expect_success();
        }
        set_hba(
            &server,
            "local all anna,nobody,lookup scram-sha-256\nhost all anna,nobody,lookup 127.0.0.1/32 scram-sha-256",
        );
        Site { server, authority, own, other }
    })
}

fn listen(config: &mut Config, issued: &Issued) {
    config.listen_tls = ListenTls::On { own: issued.own(None), is_required: true, client: ClientCertificate::Optional };
}

fn upstream(config: &mut Config) {
    let trust = Trust::Host(file("upstream.tls.ca", &site().authority.certificate()));
    config.upstream_tls = UpstreamTls::On(Outward { is_required: true, trust, own: None });
}

fn over_unix(config: &mut Config) {
    config.upstream = Address::Unix(site().server.socket_folder().join(format!(".s.PGSQL.{}", site().server.port())));
}

fn terminate(config: &mut Config) {
    let url = "postgres://lookup:glass@host-that-is-not-used/postgres".to_owned();
    config.auth = Auth::Terminate(Lookup { url, query: DEFAULT_AUTH_QUERY.to_owned() });
}

fn drop_offer(config: &mut Config) {
    config.auth = Auth::Pass(ChannelBinding::Drop);
}

fn login(through: &Through, user: &str, over_tls: bool, binding: &str) -> Ran {
    let ca = site().authority.certificate();
    let tls = match over_tls {
        true => format!("sslmode=verify-full&sslrootcert={}", ca.display()),
        false => "sslmode=disable".to_owned(),
    };
    psql(&format!("{}?{tls}&channel_binding={binding}", through.url_as(user, "postgres")), "select session_user")
}

/// What became of `channel_binding=disable`, `prefer` and `require`: empty for a login, else a part of the error.
#[track_caller]
fn assert_logins(over_tls: bool, configure: impl FnOnce(&mut Config), expected: [&str; 3]) {
    let through = Through::before(&site().server, configure);
    for (binding, refused) in ["disable", "prefer", "require"].into_iter().zip(expected) {
        let ran = login(&through, "anna:pencil", over_tls, binding);
        match refused {
            "" => assert_eq!(ran.expect_success().trim(), "anna", "{binding}"),
            refused => assert!(ran.err().contains(refused), "{binding}: {}{}", ran.out(), ran.err()),
        }
    }
}

const NOT_OVER_TLS: &str = "channel binding required, but SSL not in use";
const NOT_OFFERED: &str = "server did not offer an authentication method that supports channel binding";
const KEY_TO_CHANGE: &str = "set `upstream.auth` to \"terminate\"";
const NEGOTIATION: &str = "SCRAM channel binding negotiation error";

#[test]
fn a_plaintext_client_of_a_tls_server_is_not_offered_to_bind() {
    assert_logins(false, upstream, ["", "", NOT_OVER_TLS]);
}

#[test]
fn a_tls_client_of_a_plaintext_server_has_nothing_to_bind_to() {
    assert_logins(true, |config| listen(config, &site().other), ["", "", NOT_OFFERED]);
}

#[test]
fn a_tls_client_of_a_server_on_a_unix_socket_has_nothing_to_bind_to() {
    let configure = |config: &mut Config| {
        listen(config, &site().other);
        over_unix(config);
    };
    assert_logins(true, configure, ["", "", NOT_OFFERED]);
}

#[test]
fn with_the_server_s_own_certificate_all_of_it_passes() {
    let configure = |config: &mut Config| {
        listen(config, &site().own);
        upstream(config);
    };
    assert_logins(true, configure, ["", "", ""]);
}

#[test]
fn with_another_certificate_a_client_that_binds_is_told_which_key_to_change() {
    let configure = |config: &mut Config| {
        listen(config, &site().other);
        upstream(config);
    };
    assert_logins(true, configure, ["", KEY_TO_CHANGE, KEY_TO_CHANGE]);
}

/// A client that could have bound is refused by the server: it says so in what it signs.
#[test]
fn with_the_offer_left_out_only_a_client_that_cannot_bind_gets_in() {
    let configure = |config: &mut Config| {
        listen(config, &site().other);
        upstream(config);
        drop_offer(config);
    };
    assert_logins(true, configure, ["", NEGOTIATION, NOT_OFFERED]);
}

#[test]
fn terminated_every_client_over_tls_gets_in() {
    let both = |config: &mut Config| {
        listen(config, &site().other);
        upstream(config);
        terminate(config);
    };
    assert_logins(true, both, ["", "", ""]);
    let to_plaintext = |config: &mut Config| {
        listen(config, &site().other);
        terminate(config);
    };
    assert_logins(true, to_plaintext, ["", "", ""]);
    let to_unix = |config: &mut Config| {
        listen(config, &site().other);
        over_unix(config);
        terminate(config);
    };
    assert_logins(true, to_unix, ["", "", ""]);
}

#[test]
fn terminated_a_plaintext_client_gets_in_as_far_as_it_wants_to() {
    let to_tls = |config: &mut Config| {
        upstream(config);
        terminate(config);
    };
    assert_logins(false, to_tls, ["", "", NOT_OVER_TLS]);
    assert_logins(false, terminate, ["", "", NOT_OVER_TLS]);
}

/// The hash is that of the certificate's own signature: SHA-384 here.
#[test]
fn terminated_a_certificate_signed_with_another_hash_binds_too() {
    let authority = Authority::with("authority", &rcgen::PKCS_ECDSA_P384_SHA384);
    let ours = authority.server("ours");
    let through = Through::before(&site().server, |config| {
        listen(config, &ours);
        upstream(config);
        terminate(config);
    });
    let url = format!("{}?sslmode=require&channel_binding=require", through.url_as("anna:pencil", "postgres"));
    assert_eq!(psql(&url, "select session_user").expect_success().trim(), "anna");
}

/// Ed25519 has no hash of its own: PostgreSQL cannot bind to such a certificate, and a client is not offered to.
#[test]
fn terminated_a_certificate_that_cannot_be_bound_to_is_not_offered() {
    let authority = Authority::with("authority", &rcgen::PKCS_ED25519);
    let ours = authority.server("ours");
    let through = Through::before(&site().server, |config| {
        listen(config, &ours);
        upstream(config);
        terminate(config);
    });
    let url = |binding: &str| {
        format!("{}?sslmode=require&channel_binding={binding}", through.url_as("anna:pencil", "postgres"))
    };
    assert_eq!(psql(&url("prefer"), "select session_user").expect_success().trim(), "anna");
    assert!(psql(&url("require"), "select 1").err().contains(NOT_OFFERED));
}

/// A client without TLS that says that it could bind: what a driver does that takes the setting for the ability.
#[test]
fn a_plaintext_client_that_says_it_could_bind_is_refused_by_a_tls_server_and_let_in_where_terminated() {
    let say_y = |through: &Through| {
        let mut client = Client::connect(&through.address());
        client.say(&wire::startup("anna", "postgres"));
        client.hear_until(b'R', 1);
        assert_eq!(wire::messages(&client.heard)[0].1, b"\0\0\0\x0aSCRAM-SHA-256\0\0");
        let first = b"y,,n=,r=abc";
        let body = [&b"SCRAM-SHA-256\0"[..], &11_u32.to_be_bytes(), first].concat();
        client.say(&wire::message(b'p', &body));
        while wire::messages(&client.heard).len() < 2 {
            client.hear_bytes(client.heard.len() + 1);
        }
        client.heard
    };
    let passed = Through::before(&site().server, upstream);
    let (_, sqlstate, message) = last_error(&say_y(&passed)).unwrap();
    assert_eq!((sqlstate.as_str(), message.as_str()), ("28000", NEGOTIATION));
    let terminated = Through::before(&site().server, |config| {
        upstream(config);
        terminate(config);
    });
    assert_eq!(wire::messages(&say_y(&terminated))[1].1[..4], [0, 0, 0, 11]);
}

/// (outcome, SQLSTATE, method, user) of a session.
type End<'a> = (SessionOutcome, Option<&'a str>, Option<&'a str>, Option<&'a str>);

fn ends(events: &[Event]) -> Vec<End<'_>> {
    let ends = events.iter().filter_map(|event| match event {
        Event::Closed(closed) => Some((
            closed.outcome,
            closed.sqlstate.as_deref(),
            closed.auth_method.as_deref(),
            closed.who.db_user.as_deref(),
        )),
        _ => None,
    });
    ends.collect()
}

#[test]
fn a_wrong_password_and_an_unknown_role_are_refused_by_the_server_itself_and_recorded() {
    for configure in [upstream as fn(&mut Config), |config| {
        upstream(config);
        terminate(config);
    }] {
        let through = Through::before(&site().server, configure);
        for user in ["anna:pen", "nobody:pencil"] {
            let name = user.split(':').next().unwrap();
            let ran = login(&through, user, false, "prefer");
            let expected = format!("FATAL:  password authentication failed for user \"{name}\"");
            assert!(ran.err().contains(&expected), "{}", ran.err());
        }
        let events = through.stop();
        let failed = |user| (SessionOutcome::AuthFailed, Some("28P01"), Some("scram-sha-256"), Some(user));
        assert_eq!(ends(&events), [failed("anna"), failed("nobody")]);
    }
    // Four logins failed, and the server logged each: nothing is decided behind its back.
    let log = std::fs::read_to_string(site().server.log_file()).unwrap();
    let lines =
        |user: &str| log.matches(&format!("FATAL:  password authentication failed for user \"{user}\"")).count();
    assert!(lines("anna") >= 2 && lines("nobody") >= 2, "{log}");
}

/// PostgreSQL makes up a salt for a role that does not exist, the same each time; so do we, since it is the server's.
#[test]
fn an_unknown_role_is_challenged_with_the_salt_that_the_server_makes_up() {
    let challenge = |address: &str, user: &str| {
        let mut client = Client::connect(address);
        client.say(&wire::startup(user, "postgres"));
        client.hear_until(b'R', 1);
        let first = b"n,,n=,r=abc";
        client.say(&wire::message(b'p', &[&b"SCRAM-SHA-256\0"[..], &11_u32.to_be_bytes(), first].concat()));
        client.hear_until(b'R', 2);
        let text = String::from_utf8_lossy(wire::messages(&client.heard)[1].1).into_owned();
        text.split_once(",s=").unwrap().1.to_owned()
    };
    let terminated = Through::before(&site().server, terminate);
    let through = terminated.address();
    let direct = format!("127.0.0.1:{}", site().server.port());
    for user in ["nobody", "anna"] {
        assert_eq!(challenge(&through, user), challenge(&direct, user), "{user}");
        assert_eq!(challenge(&through, user), challenge(&through, user), "{user}");
    }
}

#[test]
fn a_password_that_was_changed_is_in_force_at_once() {
    let through = Through::before(&site().server, |config| {
        upstream(config);
        terminate(config);
    });
    let superuser = direct(&site().server, "postgres");
    psql(&superuser, "create role bert login password 'first'").expect_success();
    set_hba(&site().server, HBA_WITH_BERT);
    login(&through, "bert:first", false, "prefer").expect_success();
    psql(&superuser, "alter role bert password 'second'").expect_success();
    assert!(login(&through, "bert:first", false, "prefer").err().contains("password authentication failed"));
    login(&through, "bert:second", false, "prefer").expect_success();
    // The connection that looks verifiers up is lost: it is made again.
    psql(&superuser, "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'lookup'")
        .expect_success();
    login(&through, "bert:second", false, "prefer").expect_success();
}

const HBA_WITH_BERT: &str =
    "local all anna,nobody,lookup,bert scram-sha-256\nhost all anna,nobody,lookup,bert 127.0.0.1/32 scram-sha-256";

#[test]
fn a_role_that_cannot_look_up_is_no_way_in() {
    let through = Through::before(&site().server, |config| {
        let query = "select rolpassword from pg_catalog.pg_authid where rolname = $1 and rolsuper".to_owned();
        config.auth = Auth::Terminate(Lookup { url: "postgres://lookup:glass@x/postgres".to_owned(), query });
    });
    let ran = login(&through, "anna:pencil", false, "prefer");
    assert!(ran.err().contains("FATAL:  mitsuke cannot look up how the role authenticates"), "{}", ran.err());
    assert!(!ran.err().contains("glass") && !ran.err().contains("pg_authid"), "{}", ran.err());
    assert_eq!(ends(&through.stop())[0].1, Some("58000"));
}

#[test]
fn a_client_that_leaves_just_left_and_one_that_says_nothing_is_told_so_in_time() {
    let through = Through::before(&site().server, |config| {
        upstream(config);
        terminate(config);
        config.startup_timeout = std::time::Duration::from_secs(2);
    });
    // As psql does to ask for a password.
    let ran = login(&through, "anna", false, "prefer");
    assert!(ran.err().contains("no password supplied"), "{}", ran.err());
    let mut silent = Client::connect(&through.address());
    silent.say(&wire::startup("anna", "postgres"));
    let (severity, sqlstate, _) = last_error(&silent.hear_to_the_end()).unwrap();
    assert_eq!((severity.as_str(), sqlstate.as_str()), ("FATAL", "57014"));
    let mut malformed = Client::connect(&through.address());
    malformed.say(&wire::startup("anna", "postgres"));
    malformed.hear_until(b'R', 1);
    malformed.say(&wire::message(b'p', b"SCRAM-SHA-256\0\0\0\0\x05n,,n="));
    assert_eq!(last_error(&malformed.hear_to_the_end()).unwrap().1, "08P01");
    let scram = Some("scram-sha-256");
    let events = through.stop();
    let mut ends = ends(&events);
    // psql leaves once more when nobody is there to type one.
    ends.dedup();
    assert_eq!(
        ends,
        [
            (SessionOutcome::Closed, None, scram, Some("anna")),
            (SessionOutcome::Refused, Some("57014"), scram, Some("anna")),
            (SessionOutcome::Refused, Some("08P01"), scram, Some("anna")),
        ]
    );
}

/// The guide's function, as it stands there.
#[test]
fn the_guide_s_function_gives_out_the_verifiers_of_those_who_may_log_in() {
    let guide = include_str!("../../docs/guide.md");
    let block = guide.split("```sql\n").find(|block| block.contains("mitsuke.verifier")).unwrap();
    let sql = block.split("```").next().unwrap();
    let superuser = direct(&site().server, "postgres");
    psql(&superuser, "create role mitsuke_catalog login password 'glass'").expect_success();
    assert!(!psql_script(&superuser, sql).err().contains("ERROR"), "{sql}");
    let through = Through::before(&site().server, |config| {
        let url = "postgres://mitsuke_catalog:glass@x/postgres".to_owned();
        config.auth = Auth::Terminate(Lookup { url, query: "select mitsuke.verifier($1)".to_owned() });
    });
    assert_eq!(login(&through, "anna:pencil", false, "prefer").expect_success().trim(), "anna");
    let url = format!("postgresql://mitsuke_catalog@127.0.0.1:{}/postgres", site().server.port());
    let seen = "select mitsuke.verifier('anna') like 'SCRAM%', mitsuke.verifier('postgres') is null";
    assert_eq!(psql(&url, seen).expect_success().trim(), "t|t");
    assert!(psql(&url, "select rolpassword from pg_authid").err().contains("permission denied"));
}
