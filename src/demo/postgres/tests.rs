//! What a throwaway server promises: it answers, and it is gone afterwards, whichever way we end.

use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixStream;

use super::*;

const GONE_SECONDS_MAX: u64 = 20;
/// A filter that no test has: the test binary takes it, and the process to be killed knows itself by it.
const BY_NAME: &str = "the-process-to-be-killed";

fn psql(postgres: &Postgres, sql: &str) -> String {
    let mut command = Command::new(postgres.bin("psql"));
    command.args(["-XAtqc", sql, "-U", SUPERUSER, "-d", "postgres", "-h"]).arg(postgres.socket_folder());
    let output = command.args(["-p", &postgres.port().to_string()]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn wait_until_gone(folder: &Path, socket: &Path) {
    let started = Instant::now();
    while folder.exists() || UnixStream::connect(socket).is_ok() {
        assert!(started.elapsed().as_secs() < GONE_SECONDS_MAX, "{} is still there", folder.display());
        thread::sleep(LOOK_EVERY);
    }
}

fn socket(postgres: &Postgres) -> PathBuf {
    postgres.socket_folder().join(format!(".s.PGSQL.{}", postgres.port()))
}

#[test]
fn answers_with_the_settings_asked_for_and_is_gone_when_dropped() {
    let settings = vec![("log_statement".to_owned(), "all".to_owned())];
    let postgres = Postgres::start(&Options { settings, ..Options::default() }).unwrap();
    assert_eq!(psql(&postgres, "show log_statement"), "all");
    assert_eq!(psql(&postgres, "show port"), postgres.port().to_string());
    assert!(fs::read_to_string(postgres.log_file()).unwrap().contains("show log_statement"));
    let (folder, socket) = (postgres.socket_folder().to_path_buf(), socket(&postgres));
    postgres.stop();
    assert!(!folder.exists());
    assert!(UnixStream::connect(socket).is_err());
}

#[test]
fn a_panic_takes_it_down() {
    let (sender, receiver) = std::sync::mpsc::sync_channel(1);
    let thread = thread::spawn(move || {
        let postgres = Postgres::start(&Options::default()).unwrap();
        sender.send((postgres.socket_folder().to_path_buf(), socket(&postgres))).unwrap();
        panic!("on purpose");
    });
    let (folder, socket) = receiver.recv().unwrap();
    assert!(thread.join().is_err());
    wait_until_gone(&folder, &socket);
}

#[test]
fn scram_wants_the_password() {
    let postgres = Postgres::start(&Options { auth: Auth::Scram("s3cret".to_owned()), ..Options::default() }).unwrap();
    let try_with = |password: &str| {
        let mut command = Command::new(postgres.bin("psql"));
        command.env("PGPASSWORD", password).args(["-XAtqc", "select 1", &postgres.url(SUPERUSER, "postgres")]);
        command.output().unwrap().status.success()
    };
    assert!(try_with("s3cret"));
    assert!(!try_with("wrong"));
}

#[test]
fn a_setting_that_the_server_refuses_is_told_in_its_words() {
    let settings = vec![("no_such_setting".to_owned(), "1".to_owned())];
    let error = Postgres::start(&Options { settings, ..Options::default() }).unwrap_err().to_string();
    assert!(error.contains("no_such_setting"), "{error}");
}

/// Not a test of its own: the process that `kill_nine_takes_it_down` kills. It waits to be killed when asked to by name.
#[test]
fn process_to_be_killed() {
    if std::env::args().any(|argument| argument == BY_NAME) {
        let postgres = Postgres::start(&Options::default()).unwrap();
        println!("\nfolder {} {}", postgres.socket_folder().display(), postgres.port());
        thread::sleep(Duration::from_secs(GONE_SECONDS_MAX));
    }
}

#[test]
fn kill_nine_takes_it_down() {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "demo::postgres::tests::process_to_be_killed", "--nocapture", BY_NAME]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let line = lines.into_iter().find(|line| line.starts_with("folder ")).expect("the child starts a server");
    let mut words = line.split(' ').skip(1);
    let folder = PathBuf::from(words.next().unwrap());
    let socket = folder.join(format!(".s.PGSQL.{}", words.next().unwrap()));
    assert!(UnixStream::connect(&socket).is_ok());
    child.kill().unwrap();
    child.wait().unwrap();
    wait_until_gone(&folder, &socket);
}
