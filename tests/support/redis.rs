//! A real Redis on loopback, or the server that `MITSUKE_TEST_REDIS` names, which a test starts, stops and starts again. Nothing of it is kept on the disk: what it held is gone then.

use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::programs::{run, test_programs};
use super::sidecar::free_port;
use super::wait_for;

/// The password that it asks for.
pub const PASSWORD: &str = "made-up";

/// Killed with the test.
pub struct Redis {
    child: Option<Child>,
    arguments: Vec<String>,
    /// Where it listens.
    pub port: u16,
    folder: tempfile::TempDir,
}

impl Redis {
    /// Starts one; with TLS, where there is a certificate and its key, each a PEM file.
    ///
    /// # Panics
    /// Where there is none: says what to run.
    pub fn start(tls: Option<(&Path, &Path)>) -> Redis {
        let port = free_port();
        let ports = match tls {
            None => format!("--port {port}"),
            Some((certificate, key)) => format!(
                "--port 0 --tls-port {port} --tls-auth-clients no --tls-cert-file {} --tls-key-file {}",
                certificate.display(),
                key.display()
            ),
        };
        let arguments = format!("{ports} --bind 127.0.0.1 --appendonly no --daemonize no --requirepass {PASSWORD}");
        let mut arguments: Vec<String> = arguments.split(' ').map(str::to_owned).collect();
        arguments.extend(["--save".to_owned(), String::new()]);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut redis = Redis { child: None, arguments, port, folder };
        redis.launch();
        redis
    }

    /// Starts it again, empty, on the same port.
    pub fn launch(&mut self) {
        #[allow(clippy::disallowed_methods, reason = "another server to test with, a Valkey, say")]
        let other = std::env::var_os("MITSUKE_TEST_REDIS").map(Command::new);
        let mut command = other.unwrap_or_else(|| program("redis-server"));
        let said = std::fs::File::create(self.folder.path().join("said")).expect("a file for what it says");
        command.args(&self.arguments).current_dir(self.folder.path()).stdout(said).stderr(Stdio::null());
        let child = command.spawn().unwrap_or_else(|error| {
            panic!("redis-server: {error}; run tests/run.sh, which unpacks it, or install redis-server")
        });
        self.child = Some(child);
        wait_for("Redis", || TcpStream::connect(("127.0.0.1", self.port)).ok());
    }

    /// Stops it.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("it can be killed");
            child.wait().expect("it can be waited for");
        }
    }

    /// What `redis-cli` hears; without TLS only.
    pub fn ask<const N: usize>(&self, arguments: [&str; N]) -> String {
        self.ask_all(&arguments)
    }

    /// The same, of as many words as there are.
    pub fn ask_all(&self, arguments: &[&str]) -> String {
        let mut command = program("redis-cli");
        command.args(["-p", &self.port.to_string(), "-a", PASSWORD, "--no-auth-warning"]).args(arguments);
        run(command, b"").expect_success()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The one that tests/run.sh has unpacked, or the system's.
fn program(name: &str) -> Command {
    let unpacked = test_programs().filter(|folder| folder.join("usr/bin").join(name).exists());
    let Some(folder) = unpacked else { return Command::new(name) };
    let mut command = Command::new(folder.join("usr/bin").join(name));
    command.env("LD_LIBRARY_PATH", folder.join("usr/lib").join(format!("{}-linux-gnu", std::env::consts::ARCH)));
    command
}
