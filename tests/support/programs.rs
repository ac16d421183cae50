//! Running PostgreSQL's own programs, and Python's driver.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use super::server;

/// What a program came to.
#[derive(Debug)]
pub struct Ran {
    /// What was run, for messages.
    pub what: String,
    /// Its status, standard output and standard error.
    pub output: Output,
}

impl Ran {
    /// Its standard output, if it succeeded.
    #[track_caller]
    pub fn expect_success(self) -> String {
        assert!(self.output.status.success(), "{} failed:\n{}\n{}", self.what, self.out(), self.err());
        self.out()
    }

    /// Standard output.
    pub fn out(&self) -> String {
        String::from_utf8_lossy(&self.output.stdout).into_owned()
    }

    /// Standard error.
    pub fn err(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }
}

/// One of PostgreSQL's programs, of the server's version, with nothing of our environment in it.
pub fn program(name: &str) -> Command {
    let mut command = Command::new(server::shared().bin(name));
    for variable in ["PGHOST", "PGPORT", "PGUSER", "PGDATABASE", "PGPASSWORD", "PGOPTIONS", "PGSERVICE"] {
        command.env_remove(variable);
    }
    command.env("LC_ALL", "C.UTF-8").env("PGCONNECT_TIMEOUT", "30");
    command
}

/// The major version of one of PostgreSQL's programs.
pub fn major(name: &str) -> u32 {
    let mut command = program(name);
    command.arg("--version");
    let said = run(command, b"").expect_success();
    let number = said.split_once("(PostgreSQL) ").expect("a version").1;
    number.split(|c: char| !c.is_ascii_digit()).next().and_then(|major| major.parse().ok()).expect("a number")
}

/// True, and a line that says so, where the program's version is older than the server's: `pg_dump` and the programs of
/// replication refuse a newer server. (`tests/versions.sh` runs the tests with servers that bring no programs of their own.)
pub fn is_too_old(name: &str) -> bool {
    let (program, server) = (major(name), major("postgres"));
    if program < server {
        println!("not run: {name} {program} does not work with a server of version {server}");
    }
    program < server
}

/// Runs a command to its end, with `input` on its standard input.
pub fn run(mut command: Command, input: &[u8]) -> Ran {
    use std::io::Write;
    let what = format!("{command:?}");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{what}: {error}"));
    let mut stdin = child.stdin.take().expect("it was piped");
    let input = input.to_vec();
    let writer = std::thread::spawn(move || {
        // A program that ends before it has read everything is judged by its status.
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().expect("a child can be waited for");
    let _ = writer.join();
    Ran { what, output }
}

/// `psql` with a script on its standard input, stopping at nothing.
pub fn psql_script(url: &str, script: &str) -> Ran {
    let mut command = program("psql");
    command.args(["-X", "-a", "-d", url]);
    run(command, script.as_bytes())
}

/// `psql` with one command, values only.
pub fn psql(url: &str, sql: &str) -> Ran {
    let mut command = program("psql");
    command.args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", sql]);
    run(command, b"")
}

/// `pgbench` with these arguments before the connection's.
pub fn pgbench<S: AsRef<OsStr>>(url: &str, arguments: &[S]) -> Ran {
    let mut command = program("pgbench");
    command.args(arguments).arg(url);
    run(command, b"")
}

/// A Python script with `psycopg`; the script's `sys.argv[1]` is `url`.
///
/// # Panics
/// Where `psycopg` is not installed: says what to run.
pub fn python(url: &str, script: &str) -> Ran {
    let python = interpreter();
    let mut probe = Command::new(&python);
    probe.args(["-c", "import psycopg"]);
    assert!(
        run(probe, b"").output.status.success(),
        "{} has no psycopg 3; run tests/run.sh, which installs it, or name a Python that has it in MITSUKE_TEST_PYTHON",
        python.display()
    );
    let mut command = Command::new(python);
    command.args(["-", url]);
    run(command, script.as_bytes())
}

/// A script for Node.js, with the driver `pg`; the script's `process.argv[2]` is `url`.
///
/// # Panics
/// Where `pg` is not installed: says what to run.
pub fn node(url: &str, script: &str) -> Ran {
    let packages = node_packages();
    let node = |arguments: &[&str]| {
        let mut command = Command::new("node");
        command.env("NODE_PATH", &packages).args(arguments);
        command
    };
    assert!(
        run(node(&["-e", "require('pg')"]), b"").output.status.success(),
        "Node.js finds no pg; run tests/run.sh, which installs it, or name a node_modules that has it in MITSUKE_TEST_NODE"
    );
    run(node(&["-", url]), script.as_bytes())
}

#[allow(clippy::disallowed_methods, reason = "tests/run.sh tells the tests where its packages are")]
fn node_packages() -> PathBuf {
    std::env::var_os("MITSUKE_TEST_NODE").map_or_else(PathBuf::new, PathBuf::from)
}

/// The Python that has what `tests/requirements.txt` names.
#[allow(clippy::disallowed_methods, reason = "tests/run.sh tells the tests where its Python is")]
pub fn interpreter() -> PathBuf {
    std::env::var_os("MITSUKE_TEST_PYTHON").map_or_else(|| PathBuf::from("python3"), PathBuf::from)
}

/// Where tests/run.sh has unpacked what the tests talk to and the system does not have: rsyslog, JDBC.
#[allow(clippy::disallowed_methods, reason = "tests/run.sh tells the tests where its packages are")]
pub fn test_programs() -> Option<PathBuf> {
    std::env::var_os("MITSUKE_TEST_PROGRAMS").map(PathBuf::from)
}
