//! `deploy/mitsuke.toml` against the parser: it leaves no key out, has none too many, and its defaults are the defaults.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::section::ASKED;
use super::source::{self, Node, Written};
use super::*;

const REFERENCE: &str = include_str!("../../deploy/mitsuke.toml");

/// Keys that stand in the prose, because they exclude another.
const IN_PROSE: [&str; 3] = ["alert.password", "alert.url_file", "alert.routing_key_file"];

/// The reference with every key set.
fn uncommented() -> String {
    let is_key = |line: &str| line.starts_with(|c: char| c == '[' || c.is_ascii_lowercase());
    let lines = REFERENCE.lines().map(|line| line.strip_prefix('#').filter(|rest| is_key(rest)).unwrap_or(line));
    lines.collect::<Vec<_>>().join("\n")
}

fn parse(text: &str) -> Config {
    let parsed = Config::parse(Some((Path::new("mitsuke.toml"), text)), []);
    let config = parsed.unwrap_or_else(|faults| panic!("the reference has faults:\n{faults}"));
    Config { file: None, ..config }
}

fn keys(node: &Node, path: &str, found: &mut BTreeSet<String>) {
    match &node.written {
        Written::Table(table) => {
            for (key, node) in table {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                found.insert(path.clone());
                keys(node, &path, found);
            }
        }
        Written::List(items) => items.iter().for_each(|item| keys(item, path, found)),
        _ => {}
    }
}

#[test]
fn as_it_is_it_means_the_defaults() {
    assert_eq!(parse(REFERENCE), Config::default());
}

/// Every key that the parser asks for while it reads `text`, with the words it may be.
fn asked(text: &str) -> BTreeMap<String, Vec<String>> {
    ASKED.with_borrow_mut(BTreeMap::clear);
    parse(text);
    ASKED.with_borrow(BTreeMap::clone)
}

#[test]
fn every_key_of_the_parser_stands_in_it() {
    let text = uncommented();
    let asked = asked(&text);
    assert!(asked.len() > 30, "{asked:?}");
    let mut written = BTreeSet::new();
    keys(&source::parse(&text, Path::new("mitsuke.toml"), &mut Vec::new()), "", &mut written);
    let in_prose = |key: &str| {
        let name = key.rsplit('.').next().expect("a part");
        IN_PROSE.contains(&key) && REFERENCE.contains(&format!("`{name} = "))
    };
    let missing: Vec<&String> = asked.keys().filter(|key| !written.contains(*key) && !in_prose(key)).collect();
    assert!(missing.is_empty(), "deploy/mitsuke.toml leaves out {missing:?}");
}

/// A kind of alert has keys of its own, which the parser asks for only where it is written.
#[test]
fn every_word_of_the_parser_stands_in_it_and_every_kind_of_alert_has_an_example() {
    let text = uncommented();
    for (key, words) in asked(&text) {
        for word in words {
            assert!(
                REFERENCE.contains(&format!("\"{word}\"")),
                "deploy/mitsuke.toml does not say \"{word}\" for {key}"
            );
            let example = format!("kind = \"{word}\"");
            assert!(
                key != "alert.kind" || text.contains(&example),
                "deploy/mitsuke.toml has no [[alert]] of {example}"
            );
        }
    }
}

#[test]
fn the_defaults_that_it_names_are_the_defaults() {
    let (set, default) = (parse(&uncommented()), Config::default());
    // These have no default: what stands there is an example.
    let set = Config {
        proxy: proxy::Config { listen_user_timeout: None, upstream_user_timeout: None, ..set.proxy },
        catalog: catalog::Config { url: None, ..set.catalog },
        policies: policy::Config { path: None, timezone: None, ..set.policies },
        analysis: analysis::Config { comment_keys: None, ..set.analysis },
        alerts: Vec::new(),
        fleet: None,
        report: Report::default(),
        telemetry: Telemetry { listen: None, ..set.telemetry },
        ..set
    };
    assert_eq!(set, default);
}

#[test]
fn its_alerts_name_the_defaults_of_an_alert() {
    let alerts = parse(&uncommented()).alerts;
    let least = "[[alert]]\nkind = \"mail\"\nserver = \"mail.example.com:587\"\nfrom = \"Mitsuke <mitsuke@example.com>\"\n\
                 to = \"security@example.com\"\n[[alert]]\nkind = \"webhook\"\nurl = \"https://hooks.example.com/mitsuke\"\n\
                 [[alert]]\nkind = \"webhook\"\nformat = \"pagerduty\"\nseverity_min = \"high\"\nrouting_key = \"0123456789abcdef0123456789abcdef\"\n\
                 [[alert]]\nkind = \"webhook\"\nformat = \"jira\"\nseverity_min = \"high\"\nproject = \"SEC\"\n\
                 url = \"https://example.atlassian.net/rest/api/2/issue\"\n\
                 [[alert]]\nkind = \"webhook\"\nformat = \"template\"\nurl = \"https://chat.example.com/hook\"\n\
                 template = '{\"text\": \"{{sentence}}\", \"policy\": \"{{policy}}\", \"user\": \"{{db_user}}\"}'\n\
                 [[alert]]\nkind = \"syslog\"\naddress = \"udp://127.0.0.1:514\"\n[[alert]]\nkind = \"stdout\"\n";
    let mut by_default = parse(least).alerts;
    let crate::alert::Channel::Mail(written) = &alerts[0].channel else { panic!("a mail channel") };
    if let crate::alert::Channel::Mail(mail) = &mut by_default[0].channel {
        // No defaults: examples.
        (mail.tls_ca, mail.login) = (written.tls_ca.clone(), written.login.clone());
    }
    for (written, by_default) in alerts.iter().zip(&mut by_default) {
        match (&written.channel, &mut by_default.channel) {
            (crate::alert::Channel::Webhook(written), crate::alert::Channel::Webhook(webhook)) => {
                webhook.tls_ca.clone_from(&written.tls_ca);
                webhook.authorization_file.clone_from(&written.authorization_file);
            }
            (crate::alert::Channel::Syslog(written), crate::alert::Channel::Syslog(syslog)) => {
                syslog.tls_ca.clone_from(&written.tls_ca);
            }
            _ => {}
        }
    }
    assert_eq!(alerts, by_default);
}
