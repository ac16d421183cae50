//! Prometheus and its tool, as Debian has them: a real one on loopback that scrapes, and asks its rules.

use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::programs::{Ran, interpreter, run, test_programs};
use super::sidecar::free_port;
use super::wait_for;

/// `promtool` with these arguments and this on its standard input.
pub fn promtool(arguments: &[&str], input: &str) -> Ran {
    let mut command = program("promtool");
    command.args(arguments);
    run(command, input.as_bytes())
}

/// A server that scrapes one address every second. Killed with the test.
pub struct Prometheus {
    child: Child,
    port: u16,
    _folder: TempDir,
}

impl Prometheus {
    /// Starts it, with these rules.
    ///
    /// # Panics
    /// Where there is none: says what to run.
    pub fn scraping(address: &str, rules: &Path) -> Prometheus {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let port = free_port();
        let config = format!(
            "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\nrule_files: [\"{}\"]\n\
             scrape_configs:\n  - job_name: mitsuke\n    static_configs: [{{ targets: [\"{address}\"] }}]\n",
            rules.display()
        );
        let file = folder.path().join("prometheus.yml");
        std::fs::write(&file, config).expect("it can be written");
        let errors = std::fs::File::create(folder.path().join("errors")).expect("a file for what it says");
        let mut command = program("prometheus");
        command.arg(format!("--config.file={}", file.display()));
        command.arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()));
        command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
        let child = command.stdout(Stdio::null()).stderr(errors).spawn();
        let child = child.unwrap_or_else(|error| {
            panic!("prometheus: {error}; run tests/run.sh, which unpacks it, or install prometheus")
        });
        let prometheus = Prometheus { child, port, _folder: folder };
        wait_for("Prometheus", || TcpStream::connect(("127.0.0.1", port)).ok());
        prometheus
    }

    /// What its API answers, as it came.
    pub fn ask(&self, path: &str) -> String {
        get(&format!("http://127.0.0.1:{}{path}", self.port)).1
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What an HTTP client hears: status, and body.
pub fn get(url: &str) -> (u16, String) {
    let script = "import sys, urllib.request, urllib.error\n\
                  try: answer = urllib.request.urlopen(sys.argv[1], timeout=30)\n\
                  except urllib.error.HTTPError as error: answer = error\n\
                  print(answer.status); print(answer.read().decode(), end='')";
    let mut command = Command::new(interpreter());
    command.args(["-c", script, url]);
    let said = run(command, b"").expect_success();
    let (status, body) = said.split_once('\n').expect("a status");
    (status.parse().expect("a number"), body.to_owned())
}

/// The one that tests/run.sh has unpacked, or the system's.
fn program(name: &str) -> Command {
    let unpacked = test_programs().map(|folder| folder.join("usr/bin").join(name)).filter(|path| path.exists());
    unpacked.map_or_else(|| Command::new(name), Command::new)
}
