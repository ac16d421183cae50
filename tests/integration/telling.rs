//! Findings reach other programs: the real binary, and receivers that speak HTTP and syslog, in clear and encrypted.

use serde_json::Value;

use crate::support::programs::psql;
use crate::support::receiver::Receiver;
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
