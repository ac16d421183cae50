//! The real binary as a process of its own: started, killed, started again, asked.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use mitsuke::audit::{Lake, Logged};
use mitsuke::demo::Postgres;
use tempfile::TempDir;

#[cfg(feature = "object-store")]
use super::bucket::Bucket;
use super::programs::{self, Ran};
use super::server::{self, SUPERUSER};
use super::wait_for;

/// `mitsuke run` before a server. Killed with the test, its log removed.
#[derive(Debug)]
pub struct Sidecar {
    child: Option<Child>,
    port: u16,
    folder: TempDir,
    /// Of its environment.
    variables: Vec<(&'static str, String)>,
}

impl Sidecar {
    /// Starts it before the shared server; `more` is added to its configuration.
    pub fn start(more: &str) -> Sidecar {
        Sidecar::before(server::shared(), more)
    }

    /// Starts it before this server.
    pub fn before(server: &Postgres, more: &str) -> Sidecar {
        Sidecar::with_legs(server, "", "", more)
    }

    /// The same, with further lines of `[listen]` and `[upstream]`.
    pub fn with_legs(server: &Postgres, listen: &str, upstream: &str, more: &str) -> Sidecar {
        Sidecar::logging(server, (listen, upstream), more, |log| (format!("path = \"{}\"", log.display()), Vec::new()))
    }

    /// Starts it before the shared server, with its log at this place in a bucket; what waits for it lies in [`Sidecar::log`].
    #[cfg(feature = "object-store")]
    pub fn into_bucket(bucket: &Bucket, prefix: &str, more: &str) -> Sidecar {
        let place = |spool: &Path| {
            let (url, spool, settings) = (bucket.url(prefix), spool.display(), bucket.settings());
            let of_login = |(name, _): &(&str, String)| !name.contains("ENDPOINT") && !name.contains("HTTP");
            let variables = bucket.variables().into_iter().filter(of_login).collect();
            (format!("path = \"{url}\"\nspool = \"{spool}\"\n{settings}"), variables)
        };
        Sidecar::logging(server::shared(), ("", ""), more, place)
    }

    fn logging(
        server: &Postgres,
        (listen, upstream): (&str, &str),
        more: &str,
        log: impl FnOnce(&Path) -> (String, Vec<(&'static str, String)>),
    ) -> Sidecar {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let port = free_port();
        let (log, variables) = log(&folder.path().join("log"));
        let config = format!(
            "[listen]\naddress = \"127.0.0.1:{port}\"\ndrain_timeout = \"5s\"\n{listen}\n[upstream]\naddress = \"{}\"\n{upstream}\n[log]\n{log}\n{more}",
            server::address(server),
        );
        std::fs::write(folder.path().join("mitsuke.toml"), config).expect("the configuration can be written");
        let mut sidecar = Sidecar { child: None, port, folder, variables };
        sidecar.launch();
        sidecar
    }

    /// Starts the process again, after [`Sidecar::kill`] or [`Sidecar::stop`].
    pub fn launch(&mut self) {
        assert!(self.child.is_none(), "it runs");
        let file = |name| std::fs::File::create(self.folder.path().join(name)).expect("a file for what it writes");
        let mut command = mitsuke();
        command.envs(self.variables.iter().cloned());
        command.arg("run").arg("--config").arg(self.config()).stdout(file("stdout")).stderr(file("stderr"));
        let mut child = command.spawn().expect("the binary starts");
        wait_for("the sidecar", || {
            if let Ok(Some(status)) = child.try_wait() {
                panic!("the sidecar ended with {status}:\n{}", self.errors());
            }
            TcpStream::connect(("127.0.0.1", self.port)).ok()
        });
        self.child = Some(child);
    }

    /// What it wrote on standard error.
    pub fn errors(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("stderr")).unwrap_or_default()
    }

    /// What it wrote on standard output.
    pub fn output(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("stdout")).unwrap_or_default()
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// `host:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Its configuration file.
    pub fn config(&self) -> PathBuf {
        self.folder.path().join("mitsuke.toml")
    }

    /// Its log's folder.
    pub fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// A connection string through it.
    pub fn url(&self, database: &str) -> String {
        self.url_as(SUPERUSER, database)
    }

    /// A connection string through it, for this user.
    pub fn url_as(&self, user: &str, database: &str) -> String {
        format!("postgresql://{user}@127.0.0.1:{}/{database}", self.port)
    }

    /// SIGHUP.
    pub fn hang_up(&self) {
        let child = self.child.as_ref().expect("it runs");
        let sent = Command::new("kill").args(["-HUP", &child.id().to_string()]).status().expect("kill runs");
        assert!(sent.success());
    }

    /// kill -9.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().expect("it can be killed");
        child.wait().expect("it can be waited for");
    }

    /// SIGTERM, and its end awaited.
    pub fn stop(&mut self) {
        let mut child = self.child.take().expect("it runs");
        let sent = Command::new("kill").arg(child.id().to_string()).status().expect("kill runs");
        assert!(sent.success());
        let status = wait_for("the sidecar's end", || child.try_wait().expect("it can be waited for"));
        assert!(status.success(), "the sidecar ended with {status}:\n{}", self.errors());
    }

    /// Everything in a table of its log.
    pub fn records<T: Logged>(&self) -> Vec<T> {
        records(&self.log())
    }

    /// `mitsuke COMMAND… --config …`.
    pub fn command<const N: usize>(&self, arguments: [&str; N]) -> Ran {
        let mut command = mitsuke();
        command.envs(self.variables.iter().cloned());
        command.args(arguments).arg("--config").arg(self.config());
        programs::run(command, b"")
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Everything in a table of a log.
pub fn records<T: Logged>(log: &Path) -> Vec<T> {
    let lake = Lake::open(log).expect("a log");
    let records: Result<Vec<T>, _> = lake.records::<T>(None).collect();
    records.expect("it can be read")
}

/// The binary under test: the one that was built with it, or another that `MITSUKE_TEST_BINARY` names, a release say.
#[allow(clippy::disallowed_methods, reason = "how a script tells which binary is meant")]
pub fn mitsuke() -> Command {
    Command::new(std::env::var_os("MITSUKE_TEST_BINARY").unwrap_or_else(|| env!("CARGO_BIN_EXE_mitsuke").into()))
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it is bound").port()
}
