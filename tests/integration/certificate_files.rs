//! Files of certificates: what is said of faulty ones, before the start and at a reload, and which combinations are refused.

use std::path::Path;
use std::process::Output;

use mitsuke::proxy::{Address, Auth, ChannelBinding, ClientCertificate, Config, ListenTls, UpstreamTls};
use mitsuke::tls::{Outward, Own, Trust};

use crate::support::programs;
use crate::support::server::{self, start};
use crate::support::sidecar::{Sidecar, free_port, mitsuke};
use crate::support::through::{bind_error, tcp};
use crate::support::tls::{Authority, Issued, enable, file, key};
use crate::support::wait_for;
use crate::support::wire::{self, Client, last_error};

/// `mitsuke ARGUMENT` with this configuration, and a log of its own.
fn run(argument: &[&str], config: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mitsuke.toml");
    std::fs::write(&path, format!("{config}\n[log]\npath = \"{}\"\n", folder.path().join("log").display())).unwrap();
    let mut command = mitsuke();
    command.args(argument).arg("--config").arg(&path);
    programs::run(command, b"").output
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn tls_lines(issued: &Issued) -> String {
    format!(
        "[listen]\naddress = \"127.0.0.1:{}\"\ntls = {{ mode = \"allow\", certificate = \"{}\", key = \"{}\" }}\n",
        free_port(),
        issued.certificate.display(),
        issued.key.display()
    )
}

#[test]
fn check_names_every_file_that_cannot_be_used_and_its_key() {
    let authority = Authority::new("authority");
    let good = authority.server("good");
    let expired = authority.sign("expired", |params| {
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2021, 2, 3);
    });
    let early = authority.sign("early", |params| params.not_before = rcgen::date_time_ymd(2999, 1, 1));
    let folder = tempfile::tempdir().unwrap();
    let written = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let encrypted =
        written("locked.key", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n");
    let pair = |certificate: &Path, key: &Path| Issued { certificate: certificate.into(), key: key.into() };
    let missing = Path::new("/nonexistent/file");
    let empty = written("empty.crt", "");
    let damaged = written("damaged.crt", "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n");
    for (issued, told) in [
        (pair(missing, &good.key), "`listen.tls.certificate` is /nonexistent/file, which cannot be read"),
        (pair(&good.certificate, missing), "`listen.tls.key` is /nonexistent/file, which cannot be read"),
        (pair(&empty, &good.key), "which holds no certificate"),
        (pair(&damaged, &good.key), "which is damaged"),
        (pair(&good.certificate, &encrypted), "which holds an encrypted key"),
        (pair(&good.certificate, &good.certificate), "which holds no private key"),
        (pair(&good.certificate, &expired.key), "which does not belong to"),
        (expired.clone(), "which expired on 2021-02-03"),
        (early, "which holds only from 2999-01-01"),
    ] {
        let output = run(&["check", "--offline"], &tls_lines(&issued));
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(said(&output).contains(told), "{told}: {}", said(&output));
    }
    let output = run(&["check", "--offline"], &tls_lines(&good));
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    // All of them at once, each with its key; no start with them.
    let lines = format!(
        "{}[upstream]\ntls = {{ mode = \"verify-ca\", ca = \"{}\" }}\n",
        tls_lines(&pair(missing, missing)),
        damaged.display()
    );
    for argument in [&["check", "--offline"][..], &["run"]] {
        let output = run(argument, &lines);
        assert_eq!(output.status.code(), Some(2));
        for key in ["`listen.tls.certificate`", "`listen.tls.key`", "`upstream.tls.ca`"] {
            assert!(said(&output).contains(key), "{key}: {}", said(&output));
        }
    }
}

#[test]
fn two_certificates_that_channel_binding_cannot_pass_are_refused_at_the_start_and_by_check() {
    let authority = Authority::new("authority");
    let server = start(&[]);
    let own = authority.server("own");
    enable(&server, &own, None);
    let lines = |issued: &Issued, more: &str| {
        let (address, ca) = (server::address(&server), authority.certificate());
        let ca = ca.display();
        format!(
            "{}[upstream]\naddress = \"{address}\"\ntls = {{ mode = \"verify-full\", ca = \"{ca}\" }}\n{more}",
            tls_lines(issued)
        )
    };
    let other = authority.server("other");
    for argument in ["check", "run"] {
        let output = run(&[argument], &lines(&other, ""));
        assert_eq!(output.status.code(), Some(2), "{argument}");
        let said = said(&output);
        for key in
            ["`upstream.auth` to \"terminate\"", "`listen.tls.certificate`", "`upstream.channel_binding` to \"drop\""]
        {
            assert!(said.contains(key), "{argument}: {said}");
        }
    }
    let good = [
        lines(&own, ""),
        lines(&other, "channel_binding = \"drop\"\n"),
        lines(&other, "auth = \"terminate\"\n[catalog]\nurl = \"postgres://postgres@127.0.0.1/postgres\"\n")
            .replace("127.0.0.1/postgres", &format!("{}/postgres", server::address(&server))),
    ];
    for lines in good {
        let output = run(&["check"], &lines);
        let said = said(&output);
        assert!(!said.contains("certificates, so that") && !said.contains("verifiers"), "{said}");
    }
    // A role that may not look verifiers up is found out too.
    programs::psql(&server::direct(&server, "postgres"), "create role powerless login").expect_success();
    let url = format!("postgres://powerless@{}/postgres", server::address(&server));
    let output = run(&["check"], &lines(&other, &format!("auth = \"terminate\"\n[catalog]\nurl = \"{url}\"\n")));
    assert!(said(&output).contains("verifiers cannot be looked up: 42501"), "{}", said(&output));
}

#[tokio::test]
async fn combinations_that_cannot_work_are_refused_with_the_key_to_change() {
    let authority = Authority::new("authority");
    let own = authority.server("own").own(None);
    let listen = |own: &Own, is_required: bool, client: ClientCertificate| ListenTls::On {
        own: own.clone(),
        is_required,
        client,
    };
    let unix = Address::Unix("/nonexistent/.s.PGSQL.5432".into());
    let ca = || file("upstream.tls.ca", &authority.certificate());
    let on = |is_required: bool, trust: Trust| UpstreamTls::On(Outward { is_required, trust, own: None });
    let optional = ClientCertificate::Optional;
    for (config, told) in [
        (
            Config { listen: vec![unix.clone()], listen_tls: listen(&own, false, optional), ..Config::default() },
            "add a host:port to `listen.address`",
        ),
        (
            Config { listen_tls: listen(&own, false, ClientCertificate::Role), ..Config::default() },
            "set `listen.tls.mode` to \"require\"",
        ),
        (
            Config { upstream: unix.clone(), upstream_tls: on(true, Trust::Anybody), ..Config::default() },
            "remove `upstream.tls`",
        ),
        (
            Config { upstream: tcp("not a host:5432"), upstream_tls: on(true, Trust::Host(ca())), ..Config::default() },
            "`upstream.address` names `not a host`",
        ),
    ] {
        let said = bind_error(config);
        assert!(said.contains(told), "{told}: {said}");
    }
    // `prefer` over a unix socket is no TLS, as with libpq; nothing is refused but the socket's folder of the listener.
    let prefer = Config {
        listen: vec![unix.clone()],
        upstream: unix,
        upstream_tls: on(false, Trust::Anybody),
        auth: Auth::Pass(ChannelBinding::Keep),
        ..Config::default()
    };
    assert!(bind_error(prefer).contains("its folder does not exist"));
}

#[test]
fn a_reload_changes_the_certificate_of_those_who_come_and_a_faulty_one_changes_nothing() {
    let (first, second) = (Authority::new("first"), Authority::new("second"));
    let served = first.server("served");
    let key = key();
    let renewed = second.sign_with("renewed", &key, |params| {
        params.subject_alt_names = vec![rcgen::SanType::IpAddress([127, 0, 0, 1].into())];
    });
    let tls = format!(
        "tls = {{ mode = \"require\", certificate = \"{}\", key = \"{}\" }}",
        served.certificate.display(),
        served.key.display()
    );
    let sidecar = Sidecar::with_legs(server::shared(), &tls, "", "");
    let trusts = |authority: &Authority| {
        let url = sidecar.url("postgres");
        let ca = authority.certificate();
        let url = format!("{url}?sslmode=verify-full&sslrootcert={}", ca.display());
        programs::psql(&url, "select 1").output.status.success()
    };
    assert!(trusts(&first) && !trusts(&second));
    let mut before = Client::over_tls(&sidecar.address(), &first);
    before.say(&wire::startup("postgres", "postgres"));
    before.hear_until_ready(1);

    std::fs::copy(&renewed.certificate, &served.certificate).unwrap();
    sidecar.hang_up();
    wait_for("word of a key that does not fit", || sidecar.errors().contains("`listen.tls.key`").then_some(()));
    assert!(sidecar.errors().contains("stay in force"));
    assert!(trusts(&first), "the old one is in force");

    std::fs::copy(&renewed.key, &served.key).unwrap();
    sidecar.hang_up();
    wait_for("the new certificate", || trusts(&second).then_some(()));
    assert!(!trusts(&first));
    before.say(&wire::query("select 'still here'"));
    before.hear_until_ready(2);
    assert_eq!(last_error(&before.heard), None);

    std::fs::write(&served.certificate, "no certificate").unwrap();
    sidecar.hang_up();
    wait_for("word of a faulty certificate", || sidecar.errors().contains("`listen.tls.certificate`").then_some(()));
    assert!(trusts(&second));
}
