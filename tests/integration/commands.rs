//! What a person is told who types something wrong, or whose machine is not as it should be: one line on standard error that says
//! what, where and how to mend it, and exit status 2. Whatever fails here fails for root too.

use std::net::TcpListener;
use std::path::Path;

use mitsuke::audit::Writer;
use mitsuke::record::Statement;
use tempfile::TempDir;

use crate::support::programs::{self, Ran, psql};
use crate::support::sidecar::{Sidecar, free_port, mitsuke, records};
use crate::support::{server, wait_for};

/// `mitsuke ARGUMENTS…` in a folder of its own.
fn run(folder: &Path, arguments: &[&str]) -> Ran {
    let mut command = mitsuke();
    command.args(arguments).current_dir(folder);
    programs::run(command, b"")
}

/// The one line.
#[track_caller]
fn told(folder: &Path, arguments: &[&str]) -> String {
    let ran = run(folder, arguments);
    let told = ran.err();
    assert_eq!((ran.output.status.code(), told.lines().count()), (Some(2), 1), "{arguments:?}: {told}");
    assert_eq!(ran.out(), "", "{arguments:?}");
    told.trim_end().to_owned()
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn write(folder: &TempDir, name: &str, text: &str) {
    std::fs::write(folder.path().join(name), text).expect("it can be written");
}

/// The log of a sidecar that had nothing to do.
#[cfg(feature = "query")]
fn empty_log() -> (Sidecar, String) {
    let mut sidecar = Sidecar::start("");
    sidecar.stop();
    let log = sidecar.log().display().to_string();
    (sidecar, log)
}

#[test]
fn a_configuration_that_is_wrong_is_told_with_its_place_whatever_the_command() {
    let folder = folder();
    write(&folder, "bad.toml", "[listen]\nadress = \"127.0.0.1:0\"\n");
    write(&folder, "syntax.toml", "[listen\n");
    write(&folder, "zone.toml", "[policies]\ntimezone = \"Mars/Olympus\"\n");
    write(&folder, "policies.toml", "[policies]\npath = \"nowhere\"\n");
    let unknown = "bad.toml:2:1: unknown key `listen.adress`; did you mean `address`?";
    assert_eq!(told(folder.path(), &["run", "--config", "bad.toml"]), unknown);
    assert_eq!(told(folder.path(), &["query", "--config", "bad.toml", "select 1"]), unknown);
    let checked = run(folder.path(), &["check", "--offline", "--config", "bad.toml"]);
    assert_eq!(checked.output.status.code(), Some(2));
    assert_eq!(checked.err(), format!("{unknown}\nmitsuke check: 1 fault found\n"));
    let syntax = told(folder.path(), &["run", "--config", "syntax.toml"]);
    assert!(syntax.starts_with("syntax.toml:1:8: ") && syntax.contains("deploy/mitsuke.toml"), "{syntax}");
    let zone = told(folder.path(), &["run", "--config", "zone.toml"]);
    assert!(zone.starts_with("zone.toml:2:1: `Mars/Olympus` is no time zone; write an IANA name"), "{zone}");
    let policies = told(folder.path(), &["run", "--config", "policies.toml"]);
    assert!(policies.starts_with("nowhere: cannot be read: ") && policies.ends_with("name a folder of policies"));
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let folder = folder();
    for name in [".", "nowhere.toml"] {
        let told = told(folder.path(), &["run", "--config", name]);
        assert!(told.starts_with(&format!("{name}: cannot be read: ")), "{told}");
        assert!(told.contains("name a readable file with --config"), "{told}");
    }
    write(&folder, "key", "not a key\n");
    write(&folder, "key.toml", "[listen]\naddress = \"127.0.0.1:0\"\n[privacy]\nkey_file = \"key\"\n");
    let key = told(folder.path(), &["run", "--config", "key.toml"]);
    assert!(key.contains("key is not a key file: it must hold 64 hexadecimal digits"), "{key}");
    assert!(!key.contains("not a key\n") && key.ends_with("[privacy].key_file"), "{key}");
    let mail = "[listen]\naddress = \"127.0.0.1:0\"\n[[alert]]\nkind = \"mail\"\nserver = \"127.0.0.1:25\"\n\
                from = \"a@example.test\"\nto = \"b@example.test\"\n";
    write(&folder, "ca.toml", &format!("{mail}tls_ca = \"nowhere.pem\"\n"));
    let ca = told(folder.path(), &["run", "--config", "ca.toml"]);
    assert!(ca.contains("tls_ca nowhere.pem: No such file") && ca.contains("correct `tls_ca`"), "{ca}");
    write(&folder, "empty.toml", &format!("{mail}tls_ca = \"key\"\n"));
    assert!(told(folder.path(), &["run", "--config", "empty.toml"]).contains("key holds no certificate"));
}

#[test]
fn a_mistake_in_usage_says_what_would_be_right() {
    let folder = folder();
    for (arguments, wanted) in [
        (&["chek"][..], "mitsuke: unrecognized subcommand 'chek'; a similar subcommand exists: 'check'; usage: "),
        (&["run", "--listen", "nonsense"], "`nonsense` is not an address; write \"host:port\" or \"unix:/path\""),
        (&["report", "--week", "2026-47"], "`2026-47` is not a week; write it as ISO 8601 does, such as 2026-W47"),
        (&["report", "--week", "2026-W60"], "`2026-W60` is not a week"),
        (&["report", "--format", "pdf"], "write one of html, text, json"),
        (&["report", "--mail", "--output", "x"], "'--mail' cannot be used with '--output"),
        (&["demo", "--log", "x"], "say where with --folder"),
        (&["access"], "`mitsuke access` is not there yet in version 0.1.0; see CHANGELOG.md"),
        (&["classify"], "no database is named; give its connection string with --database"),
    ] {
        let told = told(folder.path(), arguments);
        assert!(told.starts_with("mitsuke: ") && told.contains(wanted), "{told}");
    }
}

#[test]
fn an_address_that_cannot_be_had_is_named() {
    let folder = folder();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("bound").to_string();
    let taken = told(folder.path(), &["run", "--listen", &address]);
    assert!(taken.starts_with(&format!("mitsuke: {address} is taken by another process")), "{taken}");
    assert!(taken.ends_with("set another [listen].address"), "{taken}");
    write(&folder, "file", "");
    let socket = told(folder.path(), &["run", "--listen", "unix:file"]);
    assert!(socket.contains("there is a file that is not a socket; move it away"), "{socket}");
    let nowhere = told(folder.path(), &["run", "--listen", "unix:nowhere/socket"]);
    assert!(nowhere.contains("its folder does not exist; create it"), "{nowhere}");
}

#[test]
fn a_server_that_is_away_is_a_fault_for_check_and_none_for_the_start() {
    let upstream = format!("127.0.0.1:{}", free_port());
    let folder = folder();
    write(&folder, "mitsuke.toml", &format!("[upstream]\naddress = \"{upstream}\"\n"));
    let checked = run(folder.path(), &["check"]);
    assert_eq!(checked.output.status.code(), Some(2));
    let wanted = format!("mitsuke.toml: `upstream.address` is {upstream}, which cannot be reached: Connection refused");
    assert!(checked.err().starts_with(&wanted), "{}", checked.err());
    let checked = run(folder.path(), &["check", "--offline"]);
    let in_order = checked.out();
    assert!(
        in_order.starts_with("in order: mitsuke.toml, ") && in_order.ends_with(" policies, classification\n"),
        "{in_order}"
    );
    checked.expect_success();
}

#[test]
fn a_log_that_cannot_be_written_is_named() {
    let folder = folder();
    write(&folder, "file", "");
    let told = told(folder.path(), &["run", "--listen", "127.0.0.1:0", "--log", "file/log"]);
    assert!(told.starts_with("mitsuke: cannot create file/log/"), "{told}");
    assert!(told.ends_with("give a folder that this process may write as [log].path or --log"), "{told}");
}

#[test]
fn a_log_that_another_sidecar_writes_is_shared_under_another_name() {
    let database = server::database();
    let mut first = Sidecar::start("");
    let port = free_port();
    let mut command = mitsuke();
    let upstream = server::address(server::shared());
    command.args(["run", "--listen", &format!("127.0.0.1:{port}"), "--upstream", &upstream, "--log"]).arg(first.log());
    let mut beside = Running(command.stderr(std::process::Stdio::null()).spawn().expect("it starts"));
    wait_for("the second sidecar", || std::net::TcpStream::connect(("127.0.0.1", port)).ok());
    psql(&first.url(&database), "select 1").expect_success();
    psql(&format!("postgresql://postgres@127.0.0.1:{port}/{database}"), "select 2").expect_success();
    beside.terminate();
    first.stop();
    let mut writers: Vec<String> =
        first.records::<Statement>().iter().map(|statement| statement.common.writer.to_string()).collect();
    writers.sort();
    assert_eq!(writers[1], format!("{}-2", writers[0]));
}

/// Killed with the test.
struct Running(std::process::Child);

impl Running {
    fn terminate(&mut self) {
        let id = self.0.id().to_string();
        assert!(std::process::Command::new("kill").arg(id).status().expect("kill runs").success());
        assert!(self.0.wait().expect("it can be waited for").success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_log_that_has_no_name_left_for_another_sidecar_says_so() {
    let folder = folder();
    let log = folder.path().join("log");
    let held: Vec<Writer> = std::iter::from_fn(|| Writer::claim(&log).ok()).collect();
    let told = told(folder.path(), &["run", "--listen", "127.0.0.1:0", "--log", "log"]);
    assert!(told.contains(&format!("{} sidecars of this host write log already", held.len())), "{told}");
    assert!(told.ends_with("give this one another [log].path"), "{told}");
    assert!(records::<Statement>(&log).is_empty());
}

#[cfg(feature = "query")]
#[test]
fn a_question_that_cannot_be_answered_says_why() {
    let (sidecar, log) = empty_log();
    let here = sidecar.log();
    let told = |arguments: &[&str]| told(&here, &[&["query", "--log", &log], arguments].concat());
    for (sql, wanted) in [
        ("selec 1", "1:1: Expected: an SQL statement, found: selec"),
        ("select * from statement", "there is no table `statement`; the tables are statements, transactions, sessions"),
        ("select nope from statements", "1:8: No field named nope. Did you mean"),
        ("select 1 from statements where at > 'yesterday'", "write timestamp '2026-11-23T18:00:00Z'"),
        ("select sum(query) from statements", "there is no function sum(Utf8); take another, or cast"),
        ("select 1; select 2", "there is more than one question; ask one at a time"),
        ("", "there is no question; write a SELECT"),
        ("drop table statements", "DDL"),
    ] {
        let told = told(&[sql]);
        assert!(told.starts_with("mitsuke: the question was refused: ") && told.contains(wanted), "{sql}: {told}");
        assert!(told.len() < 250, "{told}");
    }
    let nowhere = told(&["select 1", "--output", "nowhere/answer"]);
    assert!(nowhere.contains("cannot write nowhere/answer: nowhere is no folder; make it"), "{nowhere}");
}

#[cfg(feature = "query")]
#[test]
fn a_folder_without_a_log_is_told_from_a_log_without_records() {
    let folder = folder();
    write(&folder, "file", "");
    for command in [&["query", "select 1"][..], &["report"], &["verify"]] {
        let told = |log: &str| told(folder.path(), &[command, &["--log", log]].concat());
        assert!(told(".").starts_with("mitsuke: . is not a log: it has neither a journal nor tables"), "{}", told("."));
        for name in ["file", "nowhere"] {
            let told = told(name);
            assert!(told.starts_with(&format!("mitsuke: cannot open the log {name}: ")), "{told}");
            assert!(told.ends_with("name the folder of a log with --log"), "{told}");
        }
    }
    let (_sidecar, log) = empty_log();
    let answer =
        run(folder.path(), &["query", "--log", &log, "--format", "csv", "select count(*) as n from statements"]);
    assert_eq!(answer.expect_success(), "n\n0\n");
    let report = run(folder.path(), &["report", "--log", &log, "--week", "2026-W47", "--format", "text"]);
    assert_eq!(report.err(), format!("mitsuke: {log} holds nothing of 2026-W47; --week names another week\n"));
    assert!(report.expect_success().contains("Findings: 0 critical, 0 high, 0 medium, 0 low"));
    let mail = run(folder.path(), &["report", "--log", &log, "--mail"]);
    assert_eq!(mail.output.status.code(), Some(2));
    // Before it may stand that the week is empty: whether a connection that was made to see if it listens is served before
    // the sidecar is told to stop, is not certain.
    assert!(mail.err().contains("no [[alert]] of kind \"mail\" says how to send"), "{}", mail.err());
}
