//! The prompt of `mitsuke query`, typed at through a terminal of the system's; and Ctrl-C.

use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use mitsuke::record::Statement;

use crate::support::programs::{self, psql};
use crate::support::server;
use crate::support::sidecar::{Sidecar, mitsuke};
use crate::support::wait_for;

/// Would take hours.
const ENDLESS: &str = "select count(*) from generate_series(1, 100000) a(x), generate_series(1, 100000) b(y), \
                       generate_series(1, 100000) c(z) where x + y + z = 7";

#[test]
fn a_prompt_completes_answers_remembers_and_is_interrupted() {
    let database = server::database();
    let sidecar = Sidecar::start("");
    psql(&sidecar.url(&database), "select 1").expect_success();
    // It is in the log within moments, not at once.
    wait_for("the statement", || sidecar.records::<Statement>().pop());
    let states = tempfile::tempdir().expect("a temporary folder");
    let mut command = Command::new(programs::interpreter());
    command.args(["-c", include_str!("prompt/type.py"), env!("CARGO_BIN_EXE_mitsuke")]).arg(sidecar.config());
    command.arg(ENDLESS).env("XDG_STATE_HOME", states.path()).env("TERM", "xterm");
    let ran = programs::run(command, b"");
    assert!(ran.output.status.success(), "{}\n{}", ran.out(), ran.err());
    let history = states.path().join("mitsuke/query_history");
    assert_eq!(std::fs::metadata(&history).expect("it is there").mode() & 0o077, 0, "for its owner alone");
    let text = std::fs::read_to_string(&history).expect("readable");
    assert!(text.contains("statement_no from statements") && !text.contains("4711"), "{text}");
}

#[test]
fn an_interrupt_ends_a_question_at_once_and_leaves_no_half_of_a_file() {
    let sidecar = Sidecar::start("");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut command = mitsuke();
    command.args(["query", ENDLESS, "--output"]).arg(folder.path().join("answer.csv")).arg("--config");
    let mut child = command.arg(sidecar.config()).stderr(Stdio::null()).spawn().expect("it starts");
    let names = || std::fs::read_dir(folder.path()).expect("readable").count();
    wait_for("the unfinished file", || (names() > 0).then_some(()));
    std::thread::sleep(Duration::from_millis(500));
    let sent = Instant::now();
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill runs").success());
    let status = wait_for("its end", || child.try_wait().expect("it can be waited for"));
    assert_eq!(status.code(), Some(130));
    assert!(sent.elapsed() < Duration::from_secs(3), "{:?}", sent.elapsed());
    assert_eq!(names(), 0);
}

#[test]
fn a_question_may_come_on_standard_input() {
    let mut sidecar = Sidecar::start("");
    sidecar.stop();
    let ask = |text: &[u8]| {
        let mut command = mitsuke();
        command.args(["query", "--format", "csv", "--config"]).arg(sidecar.config());
        programs::run(command, text)
    };
    assert_eq!(ask(b"select 1 as one\n  -- the end\n;\n").expect_success(), "one\n1\n");
    let none = ask(b"");
    assert_eq!(none.output.status.code(), Some(2));
    assert!(none.err().contains("there is no question; write a SELECT"), "{}", none.err());
    let wrong = ask(b"select\n  nope\nfrom statements");
    assert!(wrong.err().contains("refused: 2:3: No field named nope"), "{}", wrong.err());
}
