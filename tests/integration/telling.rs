//! Findings reach other programs: the real binary, and receivers that speak HTTP and syslog, in clear and encrypted.

use serde_json::Value;

use crate::support::programs::psql;
use crate::support::receiver::Receiver;
use crate::support::rsyslog::Rsyslog;
use crate::support::server::{self, database};
use crate::support::sidecar::Sidecar;
use crate::support::tls::Authority;
use crate::support::wait_for;

/// A sidecar that finds every statement with the word `grave`, and with these alerts.
fn watched(alerts: &str) -> (Sidecar, String, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let policy = |id: &str, severity: &str| {
        format!(
            "id: {id}\ntitle: Said {id}\nwhy: w\nstatus: stable\nseverity: {severity}\ntags: [attack.t1213]\non: statement\n\
             action: alert\nwhen: query ilike '%{id}%'\n"
        )
    };
    std::fs::write(folder.path().join("grave.yaml"), policy("grave", "high")).unwrap();
    std::fs::write(folder.path().join("light.yaml"), policy("light", "low")).unwrap();
    let more = format!("[policies]\npath = \"{}\"\n{alerts}", folder.path().display());
    (Sidecar::before(server::shared(), &more), database(), folder)
}

fn say(sidecar: &Sidecar, database: &str, column: &str) {
    psql(&sidecar.url(database), &format!("select 1 as {column}")).expect_success();
}

fn taken(receiver: &Receiver, number: usize) -> Vec<String> {
    wait_for("the messages", || Some(receiver.taken()).filter(|taken| taken.len() >= number))
}

#[test]
fn a_webhook_takes_each_finding_once_whatever_goes_wrong_meanwhile() {
    let receiver = Receiver::start("http", &[]);
    let secret = tempfile::tempdir().unwrap();
    std::fs::write(secret.path().join("authorization"), "Bearer of-a-test\n").unwrap();
    let (mut sidecar, name, _folder) = watched(&format!(
        "[[alert]]\nkind = \"webhook\"\nurl = \"http://127.0.0.1:{}/hook/secret\"\nseverity_min = \"medium\"\nthrottle = \"1ms\"\n\
         authorization_file = \"{}\"\n",
        receiver.port,
        secret.path().join("authorization").display()
    ));
    say(&sidecar, &name, "light");
    say(&sidecar, &name, "grave_1");
    let first = taken(&receiver, 1);
    let body = first[0].strip_prefix("/hook/secret Bearer of-a-test ").expect("path and header");
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!((body["policy"].as_str(), body["severity"].as_str()), (Some("grave"), Some("high")));
    assert!(body["explanation"].as_str().unwrap().starts_with("postgres ran SELECT at "), "{body}");

    // Away for a while, and the sidecar killed meanwhile: it comes after all, and what came before does not again.
    receiver.behave("away", true);
    say(&sidecar, &name, "grave_2");
    wait_for("an attempt", || sidecar.errors().contains("HTTP status 503").then_some(()));
    sidecar.kill();
    receiver.behave("away", false);
    sidecar.launch();
    assert_eq!(taken(&receiver, 2).len(), 2);
    say(&sidecar, &name, "grave_3");
    assert_eq!(taken(&receiver, 3).len(), 3);

    // Refused for good: laid aside, and the next goes on.
    receiver.behave("refuse", true);
    say(&sidecar, &name, "grave_4");
    let refused = wait_for("what was refused", || {
        let mut files = std::fs::read_dir(sidecar.log().join("alerts")).ok()?.filter_map(Result::ok);
        files.find(|file| file.path().to_string_lossy().ends_with(".refused.jsonl"))
    });
    receiver.behave("refuse", false);
    say(&sidecar, &name, "grave_5");
    assert_eq!(taken(&receiver, 4).len(), 4);
    let laid_aside = std::fs::read_to_string(refused.path()).unwrap();
    assert_eq!(laid_aside.lines().count(), 1);
    assert!(!sidecar.errors().contains("secret"), "the address is a secret: {}", sidecar.errors());
}

#[test]
fn a_webhook_over_tls_takes_findings_in_its_own_form_and_no_other_certificate_is_believed() {
    let authority = Authority::new("Alerts' Authority");
    let issued = authority.server("localhost");
    let certificate = [issued.certificate.clone(), issued.key.clone()];
    let (receiver, stranger) = (Receiver::start("https", &certificate), Authority::new("Somebody"));
    let other = Receiver::start("https", &{
        let issued = stranger.server("localhost");
        [issued.certificate, issued.key]
    });
    let channel = |port: u16, format: &str| {
        format!(
            "[[alert]]\nkind = \"webhook\"\nurl = \"https://localhost:{port}/\"\nformat = \"{format}\"\ntls_ca = \"{}\"\n",
            authority.certificate().display()
        )
    };
    let alerts =
        [channel(receiver.port, "slack"), channel(receiver.port, "ocsf"), channel(other.port, "json")].concat();
    let (sidecar, name, _folder) = watched(&alerts);
    say(&sidecar, &name, "grave");
    let bodies: Vec<Value> = taken(&receiver, 2)
        .iter()
        .map(|line| serde_json::from_str(line.strip_prefix("/ - ").unwrap()).unwrap())
        .collect();
    assert!(bodies.iter().any(|body| body["text"].as_str().is_some_and(|text| text.starts_with("HIGH grave: "))));
    assert!(bodies.iter().any(|body| body["class_uid"].as_u64() == Some(2004)));
    wait_for("the refusal", || sidecar.errors().contains("invalid peer certificate").then_some(()));
    assert!(other.taken().is_empty());
}

#[test]
fn syslog_takes_findings_by_udp_tcp_and_tls() {
    let authority = Authority::new("Alerts' Authority");
    let issued = authority.server("localhost");
    let receivers = [
        Receiver::start("udp", &[]),
        Receiver::start("tcp", &[]),
        Receiver::start("tls", &[issued.certificate.clone(), issued.key.clone()]),
    ];
    let alerts = format!(
        "[[alert]]\nkind = \"syslog\"\naddress = \"udp://127.0.0.1:{}\"\n\
         [[alert]]\nkind = \"syslog\"\naddress = \"tcp://127.0.0.1:{}\"\nformat = \"cef\"\n\
         [[alert]]\nkind = \"syslog\"\naddress = \"tls://localhost:{}\"\nformat = \"ocsf\"\ntls_ca = \"{}\"\n",
        receivers[0].port,
        receivers[1].port,
        receivers[2].port,
        authority.certificate().display()
    );
    let (sidecar, name, _folder) = watched(&alerts);
    say(&sidecar, &name, "grave_1");
    let of = |receiver: &Receiver, number: usize| {
        let line = taken(receiver, number).pop().unwrap();
        // <PRI>1 TIME HOST mitsuke - grave - TEXT, log audit, error.
        assert!(line.starts_with("<107>1 20"), "{line}");
        let (head, text) = line.split_once(" mitsuke - grave - ").expect("a header");
        assert_eq!(head.split(' ').count(), 3, "{line}");
        text.to_owned()
    };
    assert!(of(&receivers[0], 1).starts_with("HIGH grave: postgres ran SELECT at "));
    let cef = of(&receivers[1], 1);
    assert!(cef.starts_with("CEF:0|Mitsuke|Mitsuke|") && cef.contains("|grave|Said grave|8|rt="), "{cef}");
    let event: Value = serde_json::from_str(&of(&receivers[2], 1)).unwrap();
    assert_eq!(event["finding_info"]["analytic"]["uid"].as_str(), Some("grave"));
    // On the same connection again.
    say(&sidecar, &name, "grave_2");
    assert!(of(&receivers[1], 2).starts_with("CEF:0|"));
}

/// PagerDuty and Jira's bodies, a body of one's own, and Japanese, as a receiver takes them; with the statuses that these services answer with.
#[test]
fn services_take_their_own_bodies_in_either_language() {
    let receiver = Receiver::start("http", &[]);
    let channel = |more: &str| {
        let url = format!("http://127.0.0.1:{}/{}", receiver.port, more.split('"').nth(1).unwrap_or_default());
        format!("[[alert]]\nkind = \"webhook\"\nseverity_min = \"high\"\nurl = \"{url}\"\n{more}\n")
    };
    let alerts = [
        channel("format = \"pagerduty\"\nrouting_key = \"0123\""),
        channel("format = \"jira\"\nproject = \"SEC\"\nissue_type = \"Incident\"\nlang = \"ja\""),
        channel(
            "format = \"template\"\ntemplate = '{\"said\": \"{{sentence}}\", \"of\": \"{{policy}}\"}'\nlang = \"ja\"",
        ),
        channel("format = \"slack\"\nlang = \"ja\""),
    ];
    let (sidecar, name, _folder) = watched(&alerts.concat());
    say(&sidecar, &name, "grave");
    let bodies = taken(&receiver, 4);
    let of = |path: &str| -> Value {
        let body = bodies.iter().find_map(|line| line.strip_prefix(&format!("/{path} - "))).expect(path);
        serde_json::from_str(body).expect("JSON")
    };
    let event = of("pagerduty");
    assert_eq!((event["event_action"].as_str(), event["routing_key"].as_str()), (Some("trigger"), Some("0123")));
    assert_eq!(event["payload"]["custom_details"]["policy"].as_str(), Some("grave"));
    assert_eq!(of("jira")["fields"]["issuetype"]["name"].as_str(), Some("Incident"));
    assert!(of("template")["said"].as_str().unwrap().starts_with("【高】grave: Said grave。"), "{}", of("template"));
    assert!(
        of("slack")["text"].as_str().unwrap().contains("対象: ユーザー postgres、接続元 127.0.0.1"),
        "{}",
        of("slack")
    );
}

/// A real rsyslog takes each apart as RFC 5424 says, whatever the transport; a restart of it, with findings meanwhile, loses none by TCP and TLS.
#[test]
fn rsyslog_understands_every_message_by_udp_tcp_and_tls() {
    let authority = Authority::new("Alerts' Authority");
    let issued = authority.server("localhost");
    let rsyslog = Rsyslog::start(&authority.certificate(), &issued.certificate, &issued.key);
    let alerts = format!(
        "[[alert]]\nkind = \"syslog\"\naddress = \"udp://127.0.0.1:{}\"\nlang = \"ja\"\n\
         [[alert]]\nkind = \"syslog\"\naddress = \"tcp://127.0.0.1:{}\"\nformat = \"cef\"\n\
         [[alert]]\nkind = \"syslog\"\naddress = \"tls://localhost:{}\"\nformat = \"ocsf\"\ntls_ca = \"{}\"\n",
        rsyslog.udp,
        rsyslog.tcp,
        rsyslog.tls,
        authority.certificate().display()
    );
    let (sidecar, name, _folder) = watched(&alerts);
    for round in 0..3 {
        say(&sidecar, &name, &format!("grave_{round}"));
    }
    let all = wait_for("the messages", || Some(rsyslog.taken()).filter(|taken| taken.len() >= 9));
    assert_eq!(all.len(), 9, "{all:?}");
    for message in &all {
        assert_eq!((message.priority, message.version), (13 * 8 + 3, 1), "log audit, error, RFC 5424: {message:?}");
        assert_eq!((&*message.app_name, &*message.message_id), ("mitsuke", "grave"), "{message:?}");
        assert!(!message.hostname.is_empty() && message.hostname != "-", "{message:?}");
    }
    assert_eq!(
        all.iter().filter(|message| message.text.starts_with("【高】grave: Said grave。")).count(),
        3,
        "{all:?}"
    );
    assert_eq!(all.iter().filter(|message| message.text.starts_with("CEF:0|Mitsuke|Mitsuke|")).count(), 3);
    let events = all.iter().filter_map(|message| serde_json::from_str::<Value>(&message.text).ok());
    assert_eq!(events.filter(|event| event["class_uid"].as_u64() == Some(2004)).count(), 3, "{}", rsyslog.errors());
}

/// Statements with their counts, and findings, as a data lake takes them; each line an event.
#[test]
fn the_log_is_exported_as_ocsf() {
    let (mut sidecar, name, _folder) = watched("");
    psql(&sidecar.url(&name), "create table grave_1 as select n from generate_series(1, 12) n; select * from grave_1")
        .expect_success();
    sidecar.stop();
    let lines = |arguments: &[&str]| -> Vec<Value> {
        let mut command = crate::support::sidecar::mitsuke();
        command.arg("export").args(arguments).arg("--log").arg(sidecar.log());
        let said = crate::support::programs::run(command, b"").expect_success();
        said.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    };
    let activities = lines(&[]);
    let read = activities.iter().find(|event| event["activity_name"].as_str() == Some("Read")).expect("the select");
    assert_eq!((read["class_uid"].as_u64(), read["mitsuke"]["rows_returned"].as_u64()), (Some(6005), Some(12)));
    assert_eq!(
        (read["database"]["name"].as_str(), read["table"]["name"].as_str()),
        (Some(&*name), Some("public.grave_1"))
    );
    assert_eq!(read["query_info"]["query_string"].as_str(), Some("select * from grave_1"));
    let findings = lines(&["findings", "--since", "1d"]);
    assert!(
        findings.iter().all(|event| event["class_uid"].as_u64() == Some(2004)) && findings.len() == 2,
        "{findings:?}"
    );
    assert!(lines(&["--since", "2h", "--until", "1h"]).is_empty());
}
