//! Findings reach people: the real binary before a real server, and a real mail server that takes what it sends.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use mitsuke::record::{Finding, Statement};
use tempfile::TempDir;

use crate::support::programs::psql;
use crate::support::sidecar::{Sidecar, free_port};
use crate::support::smtp::{Authority, Mail, MailServer};
use crate::support::{server, wait_for};

/// As `app` has it; and what the rest of a stop may take beside it on a busy machine.
const ALERTS_STOP_TIMEOUT: Duration = Duration::from_secs(10);
const REST_OF_A_STOP: Duration = Duration::from_secs(15);

const SCHEMA: &str = "create schema shop; \
    create table shop.customers (id int primary key, name text, email text); \
    insert into shop.customers select n, 'Person No ' || n, 'person' || n || '@example.test' from generate_series(1, 40) n";

const CLASSIFICATION: &str = "levels: [internal, personal]\ntables:\n  shop.customers:\n    subject: id\n    \
    columns: { name: personal, email: personal }\n";

fn policy(id: &str, severity: &str, when: &str) -> String {
    format!(
        "id: {id}\ntitle: People read\nwhy: a test\nstatus: stable\nseverity: {severity}\ntags: []\non: statement\n\
         when: {when}\naction: alert\n"
    )
}

/// A sidecar whose policies find more than ten people grave and fewer of little weight, with these alerts.
struct Watched {
    sidecar: Sidecar,
    database: String,
    _policies: TempDir,
}

impl Watched {
    fn with(alerts: &str) -> Watched {
        let database = server::database();
        psql(&server::direct(server::shared(), &database), SCHEMA).expect_success();
        let policies = tempfile::tempdir().expect("a temporary folder");
        let write = |name: &str, text: &str| {
            let path = policies.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("it can be made");
            std::fs::write(path, text).expect("it can be written");
        };
        write("classification.yaml", CLASSIFICATION);
        write("test/many.yaml", &policy("many", "high", "persons > 10"));
        write("test/some.yaml", &policy("some", "low", "persons > 0 and persons <= 10"));
        let more = format!(
            "[catalog]\nurl = \"{}\"\n[policies]\npath = \"{}\"\ntimezone = \"Asia/Tokyo\"\n{alerts}",
            server::direct(server::shared(), &database),
            policies.path().display()
        );
        Watched { sidecar: Sidecar::start(&more), database, _policies: policies }
    }

    /// Reads so many people's data.
    fn read(&self, people: usize) {
        let sql = format!("select name, email from shop.customers where id <= {people} and name <> 'Anna Secret'");
        let got = psql(&self.sidecar.url(&self.database), &sql).expect_success();
        assert_eq!(got.lines().count(), people);
    }

    fn findings(&self) -> Vec<Finding> {
        self.sidecar.records()
    }
}

fn alert(server: &str, more: &str) -> String {
    format!(
        "[[alert]]\nkind = \"mail\"\nserver = \"{server}\"\nfrom = \"Mitsuke <mitsuke@example.test>\"\n\
         to = \"Watch <watch@example.test>\"\n{more}\n"
    )
}

#[track_caller]
fn assert_nothing_personal(mail: &Mail) {
    for value in ["Person No", "person1@", "@example.test'", "Anna", "Secret"] {
        assert!(!mail.raw.contains(value), "{value} in {}", mail.raw);
    }
}

#[test]
fn a_finding_is_one_mail_in_text_and_html_without_a_value() {
    let mail_server = MailServer::start(&[]);
    let mut watched = Watched::with(&alert(&mail_server.address(), "tls = \"off\""));
    watched.read(20);
    let mails = mail_server.wait_for(1);
    watched.sidecar.stop();
    assert_eq!(mail_server.mails().len(), 1, "and no more");
    let (mail, findings) = (&mails[0], watched.findings());
    assert_eq!(mail.structure(), ["multipart/alternative", "text/plain", "text/html"]);
    assert_eq!((mail.sender(), mail.recipients()), ("mitsuke@example.test", vec!["watch@example.test"]));
    assert_eq!(mail.header("from"), "Mitsuke <mitsuke@example.test>");
    assert_eq!(mail.header("to"), "Watch <watch@example.test>");
    assert_eq!(mail.header("auto-submitted"), "auto-generated");
    let subject = mail.header("subject");
    assert!(subject.starts_with("[mitsuke] HIGH many: postgres read 20 people's data"), "{subject}");
    assert!(!mail.header("message-id").is_empty() && !mail.header("date").is_empty());
    assert_eq!(mail.header("x-mitsuke-finding"), &*findings[0].finding_id);
    for part in [mail.part(0), mail.part(1)] {
        for told in ["HIGH", "many", "127.0.0.1", &*watched.database, "20"] {
            assert!(part.contains(told), "{told} in {part}");
        }
        assert!(!part.contains("held back"), "{part}");
    }
    assert_nothing_personal(mail);
}

/// The commands in a mail are there to be pasted.
#[cfg(feature = "query")]
#[test]
fn what_a_mail_tells_to_type_gives_the_finding_and_its_statements() {
    let mail_server = MailServer::start(&[]);
    let mut watched = Watched::with(&alert(&mail_server.address(), "tls = \"off\""));
    watched.read(20);
    let mails = mail_server.wait_for(1);
    watched.sidecar.stop();
    let commands = mails[0].part(0).lines().filter_map(|line| line.trim().strip_prefix("mitsuke query \""));
    let answers: Vec<String> = commands
        .map(|sql| watched.sidecar.command(["query", sql.trim_end_matches('"'), "--format", "json"]).expect_success())
        .collect();
    assert_eq!(answers.len(), 2);
    assert!(answers[0].contains("\"policy\":\"many\""), "{}", answers[0]);
    assert!(answers[1].contains("\"persons\":20") && answers[1].contains("from shop.customers"), "{}", answers[1]);
}

#[test]
fn the_same_again_is_held_back_and_told_when_its_time_is_over() {
    let mail_server = MailServer::start(&[]);
    let mut watched = Watched::with(&alert(&mail_server.address(), "tls = \"off\"\nthrottle = \"6s\""));
    watched.read(20);
    mail_server.wait_for(1);
    let told = Instant::now();
    watched.read(22);
    watched.read(25);
    watched.read(24);
    wait_for("the findings", || (watched.findings().len() == 4).then_some(()));
    assert_eq!(mail_server.mails().len(), 1, "the same policy, user and address");
    let mails = mail_server.wait_for(2);
    assert!(told.elapsed() > Duration::from_secs(4), "{:?}", told.elapsed());
    assert!(mails[1].header("subject").contains("read 25 people's data"), "{}", mails[1].header("subject"));
    for part in [mails[1].part(0), mails[1].part(1)] {
        assert!(part.contains("2 more findings were held back since the last mail"), "{part}");
    }
    watched.read(21);
    wait_for("the finding", || (watched.findings().len() == 5).then_some(()));
    watched.sidecar.stop();
    let mails = mail_server.mails();
    assert_eq!(mails.len(), 3, "a stop tells what is held back");
    assert!(mails[2].header("subject").contains("read 21 people's data"), "{}", mails[2].header("subject"));
}

#[test]
fn a_tenfold_is_not_held_back() {
    let mail_server = MailServer::start(&[]);
    let watched = Watched::with(&alert(&mail_server.address(), "tls = \"off\""));
    watched.read(1);
    mail_server.wait_for(1);
    watched.read(9);
    watched.read(10);
    let mails = mail_server.wait_for(2);
    assert!(mails[1].header("subject").contains("10 people's data"), "{}", mails[1].header("subject"));
    assert!(mails[1].part(0).contains("1 more finding was held back"), "{}", mails[1].part(0));
}

#[test]
fn a_channel_gets_what_is_grave_enough_for_it() {
    let (all, grave) = (MailServer::start(&[]), MailServer::start(&[]));
    let alerts =
        alert(&all.address(), "tls = \"off\"") + &alert(&grave.address(), "tls = \"off\"\nseverity_min = \"high\"");
    let mut watched = Watched::with(&alerts);
    watched.read(3);
    watched.read(20);
    all.wait_for(2);
    grave.wait_for(1);
    watched.sidecar.stop();
    let subjects = |server: &MailServer| -> Vec<String> {
        server.mails().iter().map(|mail| mail.header("subject").chars().take(19).collect()).collect()
    };
    assert_eq!(subjects(&all), ["[mitsuke] LOW some:", "[mitsuke] HIGH many"]);
    assert_eq!(subjects(&grave), ["[mitsuke] HIGH many"]);
}

#[test]
fn starttls_and_tls_hold_the_certificate_against_the_authority_and_log_in() {
    let authority = Authority::named("The server's");
    for (mode, password) in [("starttls", "password = \"hush\""), ("tls", "password_file = \"FILE\"")] {
        let (certificate, key) = (authority.file("certificate.pem"), authority.file("key.pem"));
        let arguments = ["--mode", mode, "--certificate", &certificate, "--key", &key];
        let login = ["--user", "mitsuke", "--password", "hush"];
        let mail_server = MailServer::start(&[&arguments[..], &login[..]].concat());
        std::fs::write(authority.file("password"), "hush\n").expect("it can be written");
        let password = password.replace("FILE", &authority.file("password"));
        let keys =
            format!("tls = \"{mode}\"\ntls_ca = \"{}\"\nuser = \"mitsuke\"\n{password}", authority.file("ca.pem"));
        let mut watched = Watched::with(&alert(&mail_server.address(), &keys));
        watched.read(20);
        let mails = mail_server.wait_for(1);
        watched.sidecar.stop();
        assert_eq!((mails[0].is_encrypted(), mails[0].user()), (true, Some("mitsuke")), "{mode}");
        assert_eq!(watched.sidecar.errors().matches("could not be told").count(), 0, "{}", watched.sidecar.errors());
        let checked = watched.sidecar.command(["check"]);
        assert!(!checked.err().contains("alert"), "{}", checked.err());
    }
}

#[test]
fn a_certificate_of_another_authority_gets_no_mail_and_a_clear_error() {
    let (authority, other) = (Authority::named("The server's"), Authority::named("Another"));
    for mode in ["starttls", "tls"] {
        let (certificate, key) = (authority.file("certificate.pem"), authority.file("key.pem"));
        let mail_server = MailServer::start(&["--mode", mode, "--certificate", &certificate, "--key", &key]);
        let keys = format!("tls = \"{mode}\"\ntls_ca = \"{}\"", other.file("ca.pem"));
        let mut watched = Watched::with(&alert(&mail_server.address(), &keys));
        watched.read(20);
        let told = wait_for("an error", || Some(watched.sidecar.errors()).filter(|told| told.contains("not be told")));
        assert!(told.contains("UnknownIssuer; the server's certificate does not hold: name its authority"), "{told}");
        let checked = watched.sidecar.command(["check"]);
        assert_eq!(checked.output.status.code(), Some(2));
        assert!(checked.err().contains("`alert.server` is 127.0.0.1:"), "{}", checked.err());
        assert!(checked.err().contains("UnknownIssuer"), "{}", checked.err());
        watched.sidecar.stop();
        assert!(mail_server.mails().is_empty(), "{mode}");
    }
}

#[test]
fn a_wrong_password_is_told_and_not_shown() {
    let authority = Authority::named("The server's");
    let (certificate, key) = (authority.file("certificate.pem"), authority.file("key.pem"));
    let arguments = ["--mode", "starttls", "--certificate", &certificate, "--key", &key, "--user", "mitsuke"];
    let mail_server = MailServer::start(&[&arguments[..], &["--password", "hush"][..]].concat());
    let ca = authority.file("ca.pem");
    let keys = format!("tls_ca = \"{ca}\"\nuser = \"mitsuke\"\npassword = \"a-wrong-one\"");
    let mut watched = Watched::with(&alert(&mail_server.address(), &keys));
    watched.read(20);
    let told =
        wait_for("an error", || Some(watched.sidecar.errors()).filter(|told| told.contains("refused a finding")));
    assert!(told.contains("535") && !told.contains("a-wrong-one"), "{told}");
    watched.sidecar.stop();
    assert!(mail_server.mails().is_empty());
}

#[test]
fn a_recipient_that_is_refused_or_put_off_keeps_nobody_else_s_mail_back() {
    let mail_server = MailServer::start(&["--refuse", "gone@example.test", "--put-off", "2"]);
    let keys = alert(&mail_server.address(), "tls = \"off\"").replace(
        "to = \"Watch <watch@example.test>\"",
        "to = [\"watch@example.test\", \"gone@example.test\", \"Late <late@example.test>\"]",
    );
    let mut watched = Watched::with(&keys);
    watched.read(20);
    mail_server.wait_for(2);
    watched.sidecar.stop();
    let mut recipients: Vec<String> = mail_server.mails().iter().map(|mail| mail.recipients().join(" ")).collect();
    recipients.sort();
    assert_eq!(recipients, ["late@example.test", "watch@example.test"], "each once");
    let told = watched.sidecar.errors();
    assert!(told.contains("gone@example.test") && told.contains("550"), "{told}");
    assert!(told.contains("450") && told.contains("trying again"), "{told}");
}

#[test]
fn a_server_that_is_away_gets_the_mails_when_it_comes_back() {
    let port = free_port();
    let mut watched = Watched::with(&alert(&format!("127.0.0.1:{port}"), "tls = \"off\""));
    watched.read(20);
    wait_for("an attempt", || watched.sidecar.errors().contains("trying again").then_some(()));
    watched.read(3);
    let mail_server = MailServer::on(port, &[]);
    let mails = mail_server.wait_for(2);
    assert!(mails[0].header("subject").contains("HIGH many") && mails[1].header("subject").contains("LOW some"));
    drop(mail_server);
    watched.read(40);
    watched.read(9);
    // Held back; at the stop they have nowhere to go.
    wait_for("the findings", || (watched.findings().len() == 4).then_some(()));
    let started = Instant::now();
    watched.sidecar.stop();
    assert!(started.elapsed() < ALERTS_STOP_TIMEOUT, "nobody waits for a server that refuses");
    let told = watched.sidecar.errors();
    assert!(told.contains("stopped before everything was told; the next start goes on"), "{told}");
    // They are not lost: the next start tells them, and what had been told before is not told again.
    let mail_server = MailServer::on(port, &[]);
    watched.sidecar.launch();
    let mails = mail_server.wait_for(2);
    watched.sidecar.stop();
    assert_eq!(mail_server.mails().len(), 2);
    assert!(mails[0].header("subject").contains("40 people's data"), "{}", mails[0].header("subject"));
    assert!(mails[1].header("subject").contains("9 people's data"), "{}", mails[1].header("subject"));
}

#[test]
fn a_kill_loses_no_mail() {
    let port = free_port();
    let mut watched = Watched::with(&alert(&format!("127.0.0.1:{port}"), "tls = \"off\"\nlang = \"ja\""));
    watched.read(20);
    wait_for("an attempt", || watched.sidecar.errors().contains("trying again").then_some(()));
    watched.read(3);
    wait_for("the findings", || (watched.findings().len() == 2).then_some(()));
    watched.sidecar.kill();
    let mail_server = MailServer::on(port, &[]);
    watched.sidecar.launch();
    let mails = mail_server.wait_for(2);
    watched.sidecar.stop();
    assert_eq!(mail_server.mails().len(), 2, "each once");
    let subject = mails[0].header("subject");
    assert!(
        subject
            .starts_with("[mitsuke] 【重大度: 高】People read。1 回の操作で 20 人分の個人データの参照を検知しました"),
        "{subject}"
    );
    assert!(mails[1].header("subject").contains("【重大度: 低】"), "{}", mails[1].header("subject"));
    for part in [mails[0].part(0), mails[0].part(1)] {
        assert!(part.contains("ユーザー") && part.contains("監査ログの確認方法"), "{part}");
    }
    assert_nothing_personal(&mails[0]);
}

#[test]
fn a_server_that_hangs_holds_up_neither_the_relay_nor_a_stop_beyond_its_limit() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = silent.local_addr().expect("bound").to_string();
    let mut watched = Watched::with(&alert(&address, "tls = \"off\""));
    watched.read(20);
    let (_held, _) = silent.accept().expect("the mail channel connects");
    let started = Instant::now();
    for _ in 0..20 {
        watched.read(20);
    }
    assert!(started.elapsed() < REST_OF_A_STOP, "{:?}", started.elapsed());
    wait_for("the records", || (watched.sidecar.records::<Statement>().len() == 21).then_some(()));
    let started = Instant::now();
    watched.sidecar.stop();
    assert!(started.elapsed() < ALERTS_STOP_TIMEOUT + REST_OF_A_STOP, "{:?}", started.elapsed());
    assert!(
        watched.sidecar.errors().contains("did not get rid of its findings in time"),
        "{}",
        watched.sidecar.errors()
    );
    assert_eq!(watched.findings().len(), 21, "all are in the log");
}

#[test]
fn standard_output_gets_a_line_a_finding() {
    let mut watched = Watched::with("[[alert]]\nkind = \"stdout\"\nseverity_min = \"high\"\n");
    watched.read(20);
    watched.read(3);
    watched.read(20);
    watched.sidecar.stop();
    let output = watched.sidecar.output();
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(lines.len(), 2, "{output}");
    for line in lines {
        assert!(
            line.contains("Z  HIGH      many  postgres read 20 people's data in one statement (limit 10)"),
            "{line}"
        );
        assert!(!line.contains('\x1b'), "no colour in a file: {line}");
    }
}

#[cfg(feature = "query")]
#[test]
fn a_report_goes_by_mail_with_an_extract_to_read_and_the_page_as_a_file() {
    let mail_server = MailServer::start(&["--refuse", "gone@example.test"]);
    let report = "[report]\nto = [\"auditor@example.test\", \"Second Auditor <second@example.test>\"]\n";
    let mut watched =
        Watched::with(&(alert(&mail_server.address(), "tls = \"off\"\nseverity_min = \"critical\"") + report));
    watched.read(20);
    watched.sidecar.stop();
    let sent = watched.sidecar.command(["report", "--mail"]);
    assert_eq!(sent.err(), "mailed to auditor@example.test, second@example.test\n");
    sent.expect_success();
    let mails = mail_server.mails();
    let recipients: Vec<String> = mails.iter().map(|mail| mail.recipients().join(" ")).collect();
    assert_eq!(recipients, ["auditor@example.test", "second@example.test"]);
    let mail = &mails[0];
    let structure = ["multipart/mixed", "multipart/alternative", "text/plain", "text/html", "text/html"];
    assert_eq!(mail.structure(), structure);
    assert_eq!(mail.header("to"), "auditor@example.test, Second Auditor <second@example.test>");
    let subject = mail.header("subject");
    assert!(
        subject.starts_with("[mitsuke] Suspicious access, ") && subject.ends_with(", findings: 1 high"),
        "{subject}"
    );
    let (disposition, name) = mail.disposition(2);
    assert_eq!(disposition, Some("attachment"));
    assert!(name.is_some_and(|name| name.starts_with("mitsuke-report-2") && name.ends_with(".html")), "{name:?}");
    for number in 0..3 {
        assert!(mail.part(number).contains("postgres read 20 people"), "{}", mail.part(number));
    }
    let body = mail.part(1);
    assert!(!body.contains("<svg") && !body.contains("var(--") && !body.contains("<style"), "mail readers drop these");
    assert!(mail.part(2).contains("<svg"), "the page has its chart");
    mails.iter().for_each(assert_nothing_personal);

    let elsewhere = std::fs::read_to_string(watched.sidecar.config()).expect("its configuration");
    let elsewhere = elsewhere.replace("\"auditor@example.test\"", "\"gone@example.test\"");
    std::fs::write(watched.sidecar.config(), elsewhere).expect("it can be written");
    let sent = watched.sidecar.command(["report", "--mail"]);
    assert_eq!(sent.output.status.code(), Some(2));
    let told = sent.err();
    assert!(
        told.starts_with("mitsuke: the report did not go to gone@example.test: ") && told.contains("550"),
        "{told}"
    );
    assert_eq!(mail_server.mails().len(), 3, "the other recipient has it");
}

/// `[report].lang` and `--lang`: what a Japanese auditor gets is Japanese, but for what stands in the log.
#[cfg(feature = "query")]
#[test]
fn a_report_is_written_in_japanese_where_that_is_asked_for() {
    let mail_server = MailServer::start(&[]);
    let keys =
        alert(&mail_server.address(), "tls = \"off\"\nseverity_min = \"critical\"") + "[report]\nlang = \"ja\"\n";
    let mut watched = Watched::with(&keys);
    watched.read(20);
    watched.sidecar.stop();
    watched.sidecar.command(["report", "--mail"]).expect_success();
    let mail = &mail_server.wait_for(1)[0];
    let subject = mail.header("subject");
    assert!(
        subject.starts_with("[mitsuke] 不審なアクセスのレポート, ") && subject.ends_with(", 検知: 高 1 件"),
        "{subject}"
    );
    let text = watched.sidecar.command(["report", "--format", "text"]).expect_success();
    for part in [mail.part(0), mail.part(1), mail.part(2), &text] {
        for words in ["検知", "ユーザー別の参照人数", "重大度", "postgres read 20 people"] {
            assert!(part.contains(words), "{words} in {part}");
        }
        for english in ["Suspicious", "Who read how many", "None.", "client addr", "approved by"] {
            assert!(!part.contains(english), "{english} in {part}");
        }
    }
    assert!(mail.part(2).contains("<html lang=\"ja\">"), "{}", mail.part(2));
    let english = watched.sidecar.command(["report", "--format", "text", "--lang", "en"]).expect_success();
    assert!(english.starts_with("Suspicious access, "), "{english}");
    let json = watched.sidecar.command(["report", "--format", "json"]).expect_success();
    assert!(json.contains("\"people_by_day\"") && !json.contains("検知"), "keys stay as they are");
}
