//! What a person may write, and what they are told when it is wrong.

use std::path::Path;

use super::*;

fn parse(text: &str) -> Result<Config, Faults> {
    Config::parse(Some((Path::new("mitsuke.toml"), text)), [])
}

fn faults(text: &str) -> Vec<String> {
    parse(text).expect_err("faulty").0.iter().map(ToString::to_string).collect()
}

#[test]
fn nothing_written_means_the_contract_s_defaults() {
    let config = Config::parse(None, []).expect("defaults");
    assert_eq!(config.proxy.listen, vec![proxy::Address::Tcp("127.0.0.1:6432".to_owned())]);
    assert_eq!(config.proxy.upstream, proxy::Address::Tcp("127.0.0.1:5432".to_owned()));
    assert_eq!(config.audit.path, Path::new("./mitsuke-log"));
    assert_eq!(config.audit.key_file, Path::new("./mitsuke-log.key"));
    assert_eq!(config, Config::default());
}

#[test]
fn every_fault_is_told_with_its_place() {
    let text =
        "[listen]\nadress = \"127.0.0.1:1\"\nconnections_max = 0\n\n[log]\ndurability = \"forever\"\n[lgo]\nx = 1\n";
    assert_eq!(
        faults(text),
        [
            "mitsuke.toml:2:1: unknown key `listen.adress`; did you mean `address`?",
            "mitsuke.toml:3:1: `listen.connections_max` is a number, but a whole number from 1 to 1000000 belongs here",
            "mitsuke.toml:6:1: `log.durability` is \"forever\"; write one of \"relaxed\", \"process\", \"disk\"",
            "mitsuke.toml:7:2: unknown key `lgo`; did you mean `log`?",
        ]
    );
}

#[test]
fn a_fault_of_syntax_does_not_hide_the_others() {
    let told = faults("[listen]\naddress = \n[log]\npath = 5\n");
    assert!(told.iter().any(|line| line.starts_with("mitsuke.toml:2:")), "{told:?}");
    assert!(told.iter().any(|line| line.starts_with("mitsuke.toml:4:1: `log.path`")), "{told:?}");
}

#[test]
fn the_environment_overrides_the_file() {
    let variables = [
        ("MITSUKE_LISTEN__CONNECTIONS_MAX", "7"),
        ("MITSUKE_UPSTREAM__ADDRESS", "db.example:5432"),
        ("MITSUKE_TEST_PYTHON", "no key of ours: it has no section"),
    ];
    let variables = variables.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let file = (Path::new("mitsuke.toml"), "[listen]\nconnections_max = 5\n");
    let config = Config::parse(Some(file), variables).expect("good");
    assert_eq!(config.proxy.connections_max, 7);
    assert_eq!(config.proxy.upstream, proxy::Address::Tcp("db.example:5432".to_owned()));

    let told = Config::parse(None, [("MITSUKE_LISTEN__PORT".to_owned(), "1".to_owned())]).expect_err("unknown");
    assert!(told.to_string().starts_with("environment variable MITSUKE_LISTEN__PORT: unknown key"), "{told}");
}

#[test]
fn what_is_not_there_yet_says_so() {
    let told = faults("[report]\nschedule = \"monday\"\n");
    assert!(told[0].contains("`report.schedule` is not there yet in version"), "{told:?}");
}

#[test]
fn figures_are_listened_for_on_a_host_and_port_only() {
    for (written, told) in [
        ("unix:/run/mitsuke/metrics", "`telemetry.listen` is a unix socket"),
        ("9632", "`telemetry.listen` is \"9632\", which is not an address such as \"127.0.0.1:9632\""),
    ] {
        let faults = faults(&format!("[telemetry]\nlisten = \"{written}\"\n"));
        assert!(faults[0].contains(told), "{faults:?}");
    }
}

#[cfg(feature = "object-store")]
#[test]
fn a_log_in_a_store_has_a_spool_here_and_secrets_only_in_the_environment() {
    let text =
        "[log]\npath = \"s3://audit/fleet\"\nstore.endpoint = \"http://127.0.0.1:9000\"\nstore.allow_http = true\n";
    let secret = ("AWS_SECRET_ACCESS_KEY".to_owned(), "topsecret".to_owned());
    let config = Config::parse(Some((Path::new("mitsuke.toml"), text)), [secret]).expect("good");
    let store = config.audit.store.clone().expect("a store");
    assert_eq!(
        (store.url.to_string(), config.audit.shown()),
        ("s3://audit/fleet".to_owned(), "s3://audit/fleet".to_owned())
    );
    assert_eq!((config.audit.path.as_path(), store.spool_bytes_max), (Path::new("./mitsuke-spool"), 10 << 30));
    assert_eq!(config.audit.signing_key, Path::new("./mitsuke-spool.signing.key"));
    assert!(!format!("{config:?}").contains("topsecret"));
    // Another place, by the same connection.
    let other = config.with_log(Some(Path::new("gs://other/place"))).expect("good").audit.store.expect("a store");
    assert_eq!((other.url.to_string(), other.connection.allow_http), ("gs://other/place".to_owned(), true));
    let folder = Config::default().with_log(Some(Path::new("file:///srv/audit/log"))).expect("good");
    assert_eq!((folder.audit.path.as_path(), folder.audit.store), (Path::new("/srv/audit/log"), None));

    let told = faults("[log]\npath = \"s3://key:topsecret@audit\"\n[log.store]\nendpoint = \"http://10.0.0.1\"\n");
    assert!(told.iter().any(|fault| fault.contains("credentials do not belong into a path")), "{told:?}");
    assert!(told.iter().any(|fault| fault.contains("`log.store.endpoint` goes without TLS")), "{told:?}");
    assert!(!told.join("").contains("topsecret"), "{told:?}");
}

#[test]
fn how_long_a_table_is_kept_may_be_said_for_each_and_a_mistake_is_pointed_at() {
    let of = |text: &str| Config::parse(Some((Path::new("mitsuke.toml"), text)), []).expect("good").audit.retention;
    assert_eq!(of("[log]\nretention = \"400d\"\n"), of(""));
    let mut wanted = crate::audit::Retention::default();
    ["90d", "findings:forever"].into_iter().for_each(|written| wanted.set(written).expect("right"));
    assert_eq!(of("[log]\nretention = [\"90d\", \"findings:forever\"]\n"), wanted);
    let told = faults("[log]\nretention = [\"90d\", \"finding:9d\"]\n");
    assert!(told[0].starts_with("mitsuke.toml:2:21: `log.retention`: there is no table `finding`"), "{told:?}");
    let told = faults("[log]\nretention = \"1y\"\n");
    assert!(told[0].contains("`1y` is not how long; write \"400d\""), "{told:?}");
}

#[test]
fn a_connection_string_s_password_is_not_repeated() {
    let told = faults("[catalog]\nurl = \"postgres://u:hush@host:notaport/x\"\n");
    assert!(!told[0].contains("hush"), "{told:?}");
}

#[test]
fn a_mail_alert_needs_its_keys() {
    let told = faults("[[alert]]\nkind = \"mail\"\nserver = \"127.0.0.1:25\"\n");
    assert_eq!(told.len(), 1);
    assert!(told[0].contains("needs `server`, `from` and `to`"), "{told:?}");
}

#[test]
fn the_log_s_key_follows_the_log() {
    let config = Config::default().with_log(Some(Path::new("/srv/audit/log"))).unwrap();
    assert_eq!(config.audit.key_file, Path::new("/srv/audit/log.key"));
}

#[test]
fn both_legs_are_read() {
    use crate::tls::{Outward, Trust};
    let text = r#"
[listen]
tls = { mode = "require", certificate = "server.crt", key = "server.key", client_ca = "ca.crt", client_verify = "verify-full" }
user_timeout = "30s"
[upstream]
tls = { mode = "verify-full", ca = "root.crt", certificate = "client.crt", key = "client.key" }
auth = "terminate"
auth_query = "select audit.verifier($1)"
[catalog]
url = "postgres://mitsuke@127.0.0.1/postgres"
"#;
    let config = Config::parse(Some((Path::new("mitsuke.toml"), text)), []).expect("good").proxy;
    let proxy::ListenTls::On { own, is_required: true, client: proxy::ClientCertificate::Role } = config.listen_tls
    else {
        panic!("{:?}", config.listen_tls)
    };
    assert_eq!(own.pair.key.path, Path::new("server.key"));
    assert_eq!(own.client_ca.map(|file| file.key), Some("listen.tls.client_ca"));
    let proxy::UpstreamTls::On(outward) = config.upstream_tls else { panic!("{:?}", config.upstream_tls) };
    let Outward { is_required: true, trust: Trust::Host(ca), own: Some(pair) } = outward else { panic!("{outward:?}") };
    assert_eq!((ca.key, pair.certificate.key), ("upstream.tls.ca", "upstream.tls.certificate"));
    let proxy::Auth::Terminate(lookup) = &config.auth else { panic!("{:?}", config.auth) };
    assert_eq!(lookup.query, "select audit.verifier($1)");
    assert_eq!(lookup.url, "postgres://mitsuke@127.0.0.1/postgres");
    assert!(!format!("{:?}", config.auth).contains("postgres://"));
    assert_eq!(config.listen_user_timeout, Some(std::time::Duration::from_secs(30)));
}

#[test]
fn what_does_not_belong_together_is_told_with_the_key_to_change() {
    for (text, told) in [
        ("[listen]\ntls.certificate = \"a\"\ntls.key = \"b\"", "`listen.tls` has no `mode`"),
        ("[listen]\ntls.mode = \"allow\"", "`listen.tls` has no `certificate` and `key`"),
        ("[listen]\ntls = { mode = \"allow\", certificate = \"a\" }", "`listen.tls.key` is missing"),
        ("[listen]\ntls = { mode = \"disable\", client_verify = \"verify-ca\" }", "needs `client_ca`"),
        ("[upstream]\ntls.mode = \"verify-full\"", "there is no `ca`"),
        ("[upstream]\ntls = { mode = \"require\", ca = \"a\" }", "\"verify-ca\" or \"verify-full\""),
        ("[upstream]\ntls.mode = \"allow\"", "write \"prefer\""),
        ("[upstream]\ntls.ca = \"a\"", "`upstream.tls` has no `mode`"),
        ("[upstream]\nauth = \"terminate\"", "there is no `catalog.url`"),
        (
            "[upstream]\nauth = \"terminate\"\nchannel_binding = \"drop\"\n[catalog]\nurl = \"postgres://a@b/c\"",
            "`upstream.channel_binding` has no meaning",
        ),
    ] {
        let found = faults(text);
        assert!(found.iter().any(|fault| fault.contains(told)), "{text}: {found:?}");
    }
}
