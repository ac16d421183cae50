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
    let told = faults("[listen]\ntls.mode = \"require\"\n[log]\npath = \"s3://bucket/log\"\n");
    assert!(told[0].contains("`listen.tls` is not there yet in version"), "{told:?}");
    assert!(told[1].contains("an object store as `log.path` is not there yet"), "{told:?}");
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
    let config = Config::default().with_log(Some(Path::new("/srv/audit/log")));
    assert_eq!(config.audit.key_file, Path::new("/srv/audit/log.key"));
}
