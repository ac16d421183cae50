//! A real rsyslog on loopback, which takes messages by UDP, TCP and TLS and writes down what it has understood of each.

use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::programs::test_programs;
use super::sidecar::free_port;
use super::wait_for;

/// Killed with the test.
pub struct Rsyslog {
    child: Child,
    folder: TempDir,
    /// Ports.
    pub udp: u16,
    /// Octets counted, RFC 6587.
    pub tcp: u16,
    /// RFC 5425.
    pub tls: u16,
}

/// A message, as rsyslog's parser for RFC 5424 took it apart.
#[derive(Debug)]
pub struct Message {
    /// Facility and severity.
    pub priority: u16,
    /// 1 for RFC 5424; 0 where it was taken for something older.
    pub version: u16,
    /// The header's fields.
    pub hostname: String,
    pub app_name: String,
    pub message_id: String,
    /// The rest.
    pub text: String,
}

impl Rsyslog {
    /// Starts it with this certificate and key, each a PEM file.
    ///
    /// # Panics
    /// Where there is none: says what to run.
    pub fn start(authority: &Path, certificate: &Path, key: &Path) -> Rsyslog {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (udp, tcp, tls) = (free_port(), free_port(), free_port());
        let config = format!(
            "global(workDirectory=\"{0}\" defaultNetstreamDriver=\"ossl\" defaultNetstreamDriverCAFile=\"{1}\" \
             defaultNetstreamDriverCertFile=\"{certificate}\" defaultNetstreamDriverKeyFile=\"{key}\")\n\
             module(load=\"imudp\")\nmodule(load=\"imptcp\")\n\
             module(load=\"imtcp\" streamDriver.name=\"ossl\" streamDriver.mode=\"1\" streamDriver.authMode=\"anon\")\n\
             input(type=\"imudp\" address=\"127.0.0.1\" port=\"{udp}\")\n\
             input(type=\"imptcp\" address=\"127.0.0.1\" port=\"{tcp}\")\n\
             input(type=\"imtcp\" address=\"127.0.0.1\" port=\"{tls}\")\n\
             template(name=\"fields\" type=\"string\" \
             string=\"%pri%\\t%protocol-version%\\t%hostname%\\t%app-name%\\t%msgid%\\t%msg%\\n\")\n\
             action(type=\"omfile\" file=\"{0}/taken\" template=\"fields\")\n",
            folder.path().display(),
            authority.display(),
            certificate = certificate.display(),
            key = key.display(),
        );
        let file = folder.path().join("rsyslog.conf");
        std::fs::write(&file, config).expect("it can be written");
        let errors = std::fs::File::create(folder.path().join("errors")).expect("a file for what it says");
        let mut command = program();
        command.arg("-n").arg("-f").arg(&file).arg("-i").arg(folder.path().join("pid"));
        let child = command.stdout(Stdio::null()).stderr(errors).spawn();
        let child = child.unwrap_or_else(|error| {
            panic!("rsyslogd: {error}; run tests/run.sh, which unpacks it, or install rsyslog")
        });
        let rsyslog = Rsyslog { child, folder, udp, tcp, tls };
        wait_for("rsyslog", || {
            [tcp, tls].iter().all(|port| TcpStream::connect(("127.0.0.1", *port)).is_ok()).then_some(())
        });
        rsyslog
    }

    /// What it took.
    pub fn taken(&self) -> Vec<Message> {
        let text = std::fs::read_to_string(self.folder.path().join("taken")).unwrap_or_default();
        text.lines().filter(|line| line.contains("\tmitsuke\t")).map(message).collect()
    }

    /// What it complained of.
    pub fn errors(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("errors")).unwrap_or_default()
    }
}

fn message(line: &str) -> Message {
    let fields: Vec<&str> = line.splitn(6, '\t').collect();
    let [priority, version, hostname, app_name, message_id, text] = fields[..] else { panic!("{line}") };
    Message {
        priority: priority.parse().expect("a number"),
        version: version.parse().expect("a number"),
        hostname: hostname.to_owned(),
        app_name: app_name.to_owned(),
        message_id: message_id.to_owned(),
        text: text.trim_start().to_owned(),
    }
}

/// The one that tests/run.sh has unpacked, or the system's.
fn program() -> Command {
    let unpacked = test_programs().filter(|folder| folder.join("usr/sbin/rsyslogd").exists());
    let Some(folder) = unpacked else { return Command::new("rsyslogd") };
    let mut command = Command::new(folder.join("usr/sbin/rsyslogd"));
    let libraries = folder.join("usr/lib").join(format!("{}-linux-gnu", std::env::consts::ARCH));
    command.arg("-M").arg(libraries.join("rsyslog")).env("LD_LIBRARY_PATH", libraries);
    command
}

impl Drop for Rsyslog {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
