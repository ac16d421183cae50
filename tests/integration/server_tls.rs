//! TLS on the server's leg: which servers are believed, what is shown to them, and what a client is told when it fails.

use std::io::{Read, Write};
use std::net::TcpListener;

use mitsuke::demo::Postgres;
use mitsuke::proxy::{Auth, ClientCertificate, Config, DEFAULT_AUTH_QUERY, ListenTls, Lookup, UpstreamTls};
use mitsuke::record::{CatalogState, Statement};
use mitsuke::tls::{Outward, Trust};
use rcgen::{CertificateParams, DnType, SanType};

use crate::support::programs::{psql, python};
use crate::support::server::{self, direct, set_hba, start};
use crate::support::sidecar::Sidecar;
use crate::support::through::{Through, tcp};
use crate::support::tls::{Authority, Issued, enable, file, key};
use crate::support::wire::{self, Client, last_error};

const ONLY_TLS: &str = "hostssl all all 127.0.0.1/32 trust\nhostnossl all all 127.0.0.1/32 reject";

fn upstream(config: &mut Config, is_required: bool, trust: Trust) {
    config.upstream_tls = UpstreamTls::On(Outward { is_required, trust, own: None });
}

fn ca(authority: &Authority) -> mitsuke::tls::File {
    file("upstream.tls.ca", &authority.certificate())
}

/// A server with TLS, its certificate made by `make`.
fn encrypted(make: impl FnOnce(&Authority) -> Issued) -> (Postgres, Authority) {
    let authority = Authority::new("authority");
    let server = start(&[]);
    enable(&server, &make(&authority), Some(&authority.certificate()));
    (server, authority)
}

/// The server's view of the session, or the error that the client was told.
fn seen(through: &Through) -> Result<String, String> {
    let ran = psql(&through.url("postgres"), "select ssl, version from pg_stat_ssl where pid = pg_backend_pid()");
    match ran.output.status.success() {
        true => Ok(ran.out().trim().to_owned()),
        false => Err(ran.err()),
    }
}

#[test]
fn every_mode_does_what_libpq_s_of_the_same_name_does() {
    let (server, authority) = encrypted(|authority| authority.server("server"));
    let stranger = Authority::new("stranger");
    let port = server.port();
    let at = |host: &str, is_required: bool, trust: Option<Trust>| {
        let through = Through::before(&server, |config| {
            config.upstream = tcp(&format!("{host}:{port}"));
            if let Some(trust) = trust {
                upstream(config, is_required, trust);
            }
        });
        seen(&through)
    };
    let tls = Ok("t|TLSv1.3".to_owned());
    assert_eq!(at("127.0.0.1", false, None), Ok("f|".to_owned()));
    assert_eq!(at("127.0.0.1", false, Some(Trust::Anybody)), tls);
    assert_eq!(at("127.0.0.1", true, Some(Trust::Anybody)), tls);
    assert_eq!(at("127.0.0.1", true, Some(Trust::Authority(ca(&authority)))), tls);
    assert_eq!(at("127.0.0.1", true, Some(Trust::Host(ca(&authority)))), tls);
    assert_eq!(at("localhost", true, Some(Trust::Host(ca(&authority)))), tls);
    // 127.0.0.2 is this machine too, and the certificate does not say so.
    assert_eq!(
        at("127.0.0.2", true, Some(Trust::Authority(ca(&authority)))).map_err(|_| "not there"),
        Err("not there")
    );
    let unknown = at("127.0.0.1", true, Some(Trust::Authority(ca(&stranger)))).unwrap_err();
    assert!(unknown.contains("not signed by an authority in `upstream.tls.ca`"), "{unknown}");
}

#[test]
fn a_certificate_for_another_host_is_refused_by_verify_full_alone() {
    let elsewhere = |params: &mut CertificateParams| {
        params.subject_alt_names = vec![SanType::DnsName("db.example".try_into().unwrap())];
    };
    let (server, authority) = encrypted(|authority| authority.sign("server", elsewhere));
    let through = Through::before(&server, |config| upstream(config, true, Trust::Authority(ca(&authority))));
    assert_eq!(seen(&through), Ok("t|TLSv1.3".to_owned()));
    let through = Through::before(&server, |config| upstream(config, true, Trust::Host(ca(&authority))));
    let refused = seen(&through).unwrap_err();
    assert!(refused.contains("its certificate does not name 127.0.0.1, as `upstream.address` does"), "{refused}");
}

/// As `openssl req -subj /CN=…` makes them, and the manual's examples: libpq knows such a server by its common name.
#[test]
fn a_certificate_with_a_common_name_alone_is_believed() {
    let (server, authority) = encrypted(|authority| authority.sign("localhost", |_| {}));
    let port = server.port();
    let named = |host: &str| {
        let through = Through::before(&server, |config| {
            config.upstream = tcp(&format!("{host}:{port}"));
            upstream(config, true, Trust::Host(ca(&authority)));
        });
        seen(&through).is_ok()
    };
    assert!(named("localhost"));
    assert!(!named("127.0.0.1"));
    let direct = |host: &str| {
        let ca = authority.certificate();
        let url =
            format!("postgresql://postgres@{host}:{port}/postgres?sslmode=verify-full&sslrootcert={}", ca.display());
        psql(&url, "select 1").output.status.success()
    };
    assert_eq!((direct("localhost"), direct("127.0.0.1")), (true, false), "libpq itself");
}

/// As `openssl req -x509` makes it: its own authority.
#[test]
fn a_certificate_that_signed_itself_is_believed_where_it_is_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let key = key();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "127.0.0.1");
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let issued = Issued { certificate: folder.path().join("server.crt"), key: folder.path().join("server.key") };
    std::fs::write(&issued.certificate, params.self_signed(&key).unwrap().pem()).unwrap();
    std::fs::write(&issued.key, key.serialize_pem()).unwrap();
    let server = start(&[]);
    enable(&server, &issued, None);
    let trust = Trust::Host(file("upstream.tls.ca", &issued.certificate));
    let through = Through::before(&server, |config| upstream(config, true, trust));
    assert_eq!(seen(&through), Ok("t|TLSv1.3".to_owned()));
}

#[test]
fn a_server_without_tls_is_talked_to_under_prefer_alone() {
    let server = server::shared();
    let through = Through::before(server, |config| upstream(config, false, Trust::Anybody));
    assert_eq!(seen(&through), Ok("f|".to_owned()));
    let through = Through::before(server, |config| upstream(config, true, Trust::Anybody));
    let refused = seen(&through).unwrap_err();
    assert!(refused.contains("it has no TLS, which `upstream.tls.mode` requires"), "{refused}");
}

#[test]
fn a_server_that_asks_for_a_certificate_is_shown_ours() {
    let (server, authority) = encrypted(|authority| authority.server("server"));
    set_hba(&server, "hostssl all postgres 127.0.0.1/32 cert\nhost all postgres 127.0.0.1/32 reject");
    let ours = authority.sign("postgres", |params| {
        params.distinguished_name.push(DnType::OrganizationName, "Example, Inc.");
    });
    let through = Through::before(&server, |config| {
        let own = Some(ours.as_client());
        config.upstream_tls = UpstreamTls::On(Outward { is_required: true, trust: Trust::Host(ca(&authority)), own });
    });
    let subject = "select client_dn from pg_stat_ssl where pid = pg_backend_pid()";
    assert_eq!(psql(&through.url("postgres"), subject).expect_success().trim(), "/CN=postgres/O=Example\\, Inc.");
    let through = Through::before(&server, |config| upstream(config, true, Trust::Host(ca(&authority))));
    assert!(seen(&through).unwrap_err().contains("requires a valid client certificate"));
}

#[test]
fn a_cancel_request_goes_over_the_server_s_tls_too() {
    let (server, authority) = encrypted(|authority| authority.server("server"));
    set_hba(&server, ONLY_TLS);
    let ours = authority.server("mitsuke");
    let through = Through::before(&server, |config| {
        upstream(config, true, Trust::Host(ca(&authority)));
        config.listen_tls =
            ListenTls::On { own: ours.own(None), is_required: true, client: ClientCertificate::Optional };
        config.auth = mitsuke::proxy::Auth::Pass(mitsuke::proxy::ChannelBinding::Drop);
    });
    // libpq 17 and later cancel over the connection's own TLS.
    let script = "
import sys, threading, time, psycopg
with psycopg.connect(sys.argv[1]) as connection:
    def cancel():
        time.sleep(0.5)
        connection.cancel_safe()
    canceller = threading.Thread(target=cancel)
    canceller.start()
    try:
        connection.execute('select pg_sleep(600)')
    except psycopg.errors.QueryCanceled:
        print('cancelled')
    canceller.join()
";
    let url =
        format!("{}?sslmode=verify-full&sslrootcert={}", through.url("postgres"), authority.certificate().display());
    assert_eq!(python(&url, script).expect_success().trim(), "cancelled");
    // The server saw no connection without TLS: `reject` would be in its log.
    let log = std::fs::read_to_string(server.log_file()).unwrap();
    assert!(!log.contains("no encryption"), "{log}");
}

/// CVE-2021-23222: what stands behind the server's answer could have been put there by somebody in between.
#[test]
fn a_byte_behind_the_server_s_answer_ends_the_connection() {
    let between = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = between.local_addr().unwrap().to_string();
    let answers: [&[u8]; 3] = [b"SX", b"NX", b"E\0\0\0\x05\0"];
    let answering = std::thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = between.accept().unwrap();
            let mut request = [0; 8];
            stream.read_exact(&mut request).unwrap();
            assert_eq!(request.as_slice(), wire::ssl_request());
            stream.write_all(answer).unwrap();
            // Nothing more is said to it.
            assert_eq!(stream.read(&mut request).unwrap_or(0), 0);
        }
    });
    let through = Through::before(server::shared(), |config| {
        config.upstream = tcp(&address);
        upstream(config, false, Trust::Anybody);
    });
    let told = ["received unencrypted data after SSL response"; 2].into_iter().chain(["with an error"]);
    for told in told {
        let mut client = Client::connect(&through.address());
        client.say(&wire::startup("postgres", "postgres"));
        let (severity, sqlstate, message) = last_error(&client.hear_to_the_end()).unwrap();
        assert_eq!((severity.as_str(), sqlstate.as_str()), ("FATAL", "08006"));
        assert!(message.contains(told), "{message}");
    }
    answering.join().unwrap();
}

#[test]
fn both_legs_carry_what_pgbench_and_a_dying_backend_make_of_them() {
    let (server, authority) = encrypted(|authority| authority.server("server"));
    let through = Through::before(&server, |config| {
        upstream(config, true, Trust::Host(ca(&authority)));
        let own = authority.server("mitsuke").own(None);
        config.listen_tls = ListenTls::On { own, is_required: true, client: ClientCertificate::Optional };
        config.auth = mitsuke::proxy::Auth::Pass(mitsuke::proxy::ChannelBinding::Drop);
    });
    let url = format!("{}?sslmode=require", through.url("postgres"));
    crate::support::programs::pgbench(&url, &["-i", "-q", "-s", "1"]).expect_success();
    crate::support::programs::pgbench(&url, &["-n", "-M", "prepared", "-c", "4", "-j", "2", "-t", "50"])
        .expect_success();
    let mut client = Client::over_tls(&through.address(), &authority);
    client.say(&wire::startup("postgres", "postgres"));
    client.hear_until_ready(1);
    client.say(&wire::query("select pg_sleep(600)"));
    let kill = "select count(pg_terminate_backend(pid)) from pg_stat_activity where query like '%pg_sleep(600)' and pid <> pg_backend_pid()";
    while psql(&direct(&server, "postgres"), kill).expect_success().trim() != "1" {}
    assert_eq!(last_error(&client.hear_to_the_end()).unwrap().1, "57P01");
    client = Client::over_tls(&through.address(), &authority);
    client.say(&wire::startup("postgres", "postgres"));
    client.hear_until_ready(1);
    client.say(&wire::query("select pg_sleep(0.3), 'answer'"));
    client.notify_close();
    client.shut_down_writing();
    assert!(client.hear_to_the_end().windows(6).any(|window| window == b"answer"));
}

/// The catalog's connection, and the one that looks verifiers up, are protected as those of sessions are.
#[test]
fn a_server_that_takes_tls_alone_is_understood_and_asked_over_tls() {
    let (server, authority) = encrypted(|authority| authority.server("server"));
    let url = direct(&server, "postgres");
    for sql in [
        "create role reader login password 'glass'",
        "grant select (rolname, rolpassword) on pg_authid to reader",
        "create role anna login password 'pencil'",
        "create table people (id int, email text)",
        "create view mail as select email from people",
        "grant select on mail to anna",
    ] {
        psql(&url, sql).expect_success();
    }
    set_hba(&server, "hostssl all reader,anna 127.0.0.1/32 scram-sha-256\nhostnossl all all 127.0.0.1/32 reject");
    let ours = authority.server("ours");
    let (certificate, key, ca) = (ours.certificate.display(), ours.key.display(), authority.certificate());
    let sidecar = Sidecar::with_legs(
        &server,
        &format!("tls = {{ mode = \"require\", certificate = \"{certificate}\", key = \"{key}\" }}"),
        &format!("auth = \"terminate\"\ntls = {{ mode = \"verify-full\", ca = \"{}\" }}", ca.display()),
        &format!("[catalog]\nurl = \"postgres://reader:glass@{}/postgres\"\n", server::address(&server)),
    );
    let through = format!("{}?sslmode=require&channel_binding=require", sidecar.url_as("anna:pencil", "postgres"));
    psql(&through, "select email from mail").expect_success();
    let output = sidecar.command(["check"]);
    assert!(!output.err().contains("catalog"), "{}", output.err());
    let mut sidecar = sidecar;
    sidecar.stop();
    let statements = sidecar.records::<Statement>();
    assert_eq!(statements[0].catalog, Some(CatalogState::Fresh), "{}", sidecar.errors());
    assert_eq!(statements[0].relations.as_deref().map(|names| names[0].to_string()), Some("public.people".to_owned()));
}

/// What a client says without waiting comes behind whatever we have to do first.
#[test]
fn what_comes_behind_the_start_up_message_goes_on_behind_it() {
    let (server, authority) = encrypted(|authority| authority.server("server"));
    let said = [wire::startup("postgres", "postgres"), wire::query("select 1"), wire::query("x"), wire::terminate()];
    let answer = |address: &str| {
        let mut client = Client::connect(address);
        client.say(&said.concat());
        wire::without_keys(&client.hear_to_the_end())
    };
    let direct = answer(&server::address(&server));
    let passed = Through::before(&server, |config| upstream(config, true, Trust::Host(ca(&authority))));
    assert_eq!(answer(&passed.address()), direct);
    let terminated = Through::before(&server, |config| {
        upstream(config, true, Trust::Host(ca(&authority)));
        let lookup = Lookup { url: "postgres://postgres@x/postgres".to_owned(), query: DEFAULT_AUTH_QUERY.to_owned() };
        config.auth = Auth::Terminate(lookup);
    });
    assert_eq!(answer(&terminated.address()), direct);
}
