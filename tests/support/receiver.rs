//! A receiver of alerts as a process of its own: an HTTP or a syslog server of Python's. Killed with the test.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::programs::interpreter;

/// See the module.
pub struct Receiver {
    child: Child,
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
    folder: tempfile::TempDir,
}

impl Receiver {
    /// `http`, `https`, `udp`, `tcp` or `tls`; with a certificate and its key where it is one of TLS.
    pub fn start(kind: &str, certificate: &[PathBuf]) -> Receiver {
        let folder = tempfile::tempdir().expect("a folder");
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/receiver.py");
        let mut command = Command::new(interpreter());
        command.arg(script).arg(kind).arg(folder.path().join("taken")).args(certificate).stdout(Stdio::piped());
        let mut child = command.spawn().expect("Python starts");
        let mut port = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut port).expect("it tells its port");
        Receiver { child, port: port.trim().parse().expect("a port"), folder }
    }

    /// What it has taken, a message each.
    pub fn taken(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.folder.path().join("taken")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// From now on it answers as one that is `away`, or that will `refuse`, or as ever again.
    pub fn behave(&self, how: &str, on: bool) {
        let path = self.folder.path().join(format!("taken.{how}"));
        let done = if on { std::fs::write(path, "") } else { std::fs::remove_file(path) };
        done.expect("it can be told");
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
