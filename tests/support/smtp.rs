//! A real mail server for a test: `smtp.py` as a process of its own, and certificates for it.
//!
//! Gone with the test, also when it panics or is killed: the server ends when its standard input does.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serde_json::Value;
use tempfile::TempDir;

use super::{programs, wait_for};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/smtp.py");

/// A running mail server.
pub struct MailServer {
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
    child: Child,
    _stdin: ChildStdin,
    folder: TempDir,
}

impl MailServer {
    /// Starts one on a port that the system picks. `arguments`: see `smtp.py`.
    pub fn start(arguments: &[&str]) -> MailServer {
        MailServer::on(0, arguments)
    }

    /// Starts one on this port.
    pub fn on(port: u16, arguments: &[&str]) -> MailServer {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut command = Command::new(programs::interpreter());
        command.args(["-W", "ignore", SCRIPT, "--port", &port.to_string(), "--folder"]).arg(folder.path());
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("Python starts; tests/run.sh installs what is needed");
        let stdin = child.stdin.take().expect("it was piped");
        let mut line = String::new();
        let read = BufReader::new(child.stdout.take().expect("it was piped")).read_line(&mut line);
        let port = read.ok().and_then(|_| line.trim().parse().ok());
        let port = port.expect("aiosmtpd is installed; tests/run.sh does it, or name a Python in MITSUKE_TEST_PYTHON");
        MailServer { port, child, _stdin: stdin, folder }
    }

    /// `host:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// What it has taken, in order.
    pub fn mails(&self) -> Vec<Mail> {
        let entries = std::fs::read_dir(self.folder.path()).expect("its folder");
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
        paths.sort();
        paths.iter().map(|path| Mail::read(path)).collect()
    }

    /// What it has taken, as soon as it is so many.
    pub fn wait_for(&self, count: usize) -> Vec<Mail> {
        wait_for("a mail", || Some(self.mails()).filter(|mails| mails.len() >= count))
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A mail as the server got it, taken apart by Python's `email`.
#[derive(Debug)]
pub struct Mail {
    /// All of it.
    pub raw: String,
    told: Value,
}

impl Mail {
    fn read(path: &Path) -> Mail {
        let raw = std::fs::read_to_string(path).expect("a mail");
        Mail { told: serde_json::from_str(&raw).expect("JSON"), raw }
    }

    /// The envelope's sender.
    pub fn sender(&self) -> &str {
        text(&self.told["from"])
    }

    /// The envelope's recipients.
    pub fn recipients(&self) -> Vec<&str> {
        list(&self.told["to"]).iter().map(text).collect()
    }

    /// Whether it came over TLS.
    pub fn is_encrypted(&self) -> bool {
        self.told["encrypted"].as_bool().expect("a bool")
    }

    /// Who had logged in.
    pub fn user(&self) -> Option<&str> {
        self.told["user"].as_str()
    }

    /// A header, by its name in lower case.
    pub fn header(&self, name: &str) -> &str {
        text(&self.told["headers"][name])
    }

    /// The content types of its parts, outside in.
    pub fn structure(&self) -> Vec<&str> {
        list(&self.told["structure"]).iter().map(text).collect()
    }

    /// The text of its leaf of that number.
    pub fn part(&self, number: usize) -> &str {
        text(&self.told["parts"][number]["text"])
    }

    /// How its leaf of that number wants to be shown, and the file's name.
    pub fn disposition(&self, number: usize) -> (Option<&str>, Option<&str>) {
        let part = &self.told["parts"][number];
        (part["disposition"].as_str(), part["filename"].as_str())
    }
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

/// An authority, and a certificate of it for 127.0.0.1.
pub struct Authority {
    folder: TempDir,
}

impl Authority {
    /// Makes both, the authority under this name.
    pub fn named(name: &str) -> Authority {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("signed");
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &authority).expect("signed");
        let made = Authority { folder: tempfile::tempdir().expect("a temporary folder") };
        for (name, text) in
            [("ca.pem", authority.pem()), ("certificate.pem", certificate.pem()), ("key.pem", key.serialize_pem())]
        {
            std::fs::write(made.file(name), text).expect("it can be written");
        }
        made
    }

    /// `ca.pem`, `certificate.pem` or `key.pem`.
    pub fn file(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }
}
