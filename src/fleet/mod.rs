//! What the sidecars of a fleet tell each other, through a Redis or Valkey that they share: who is kept out, and who is let in again; and
//! what the windows of policies hold together (`windows`).
//!
//! In: what happens to the list of quarantines here. Out: the same at every other sidecar of the fleet, within a second. A thread of its own
//! does it, over one connection; nothing on the relay's path, and nothing that judges, ever waits for it. While the store is away each
//! sidecar goes on alone with what it knows, says so once, and catches up when the store is back, also over a restart.
//!
//! ```text
//! quarantine.jsonl ── what happened here ──→ sealed ──→ stream PREFIX:quarantine ──→ opened ──→ quarantine.jsonl of the others
//! ```
//!
//! The list itself stays in each log's folder: a store that is emptied lets nobody in. In the stream, which is bounded, nothing is readable:
//! each message is sealed under a key that is derived from `[privacy].key_file`, which all sidecars of a fleet share; so whoever can write
//! to the store, and does not have the key, keeps nobody out. Times are the store's: a clock that is wrong on one machine ends no
//! quarantine early on another.

mod message;
mod thread;
mod windows;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub use self::thread::Fleet;
pub use self::windows::{Tell, Windows};

/// How long to wait after a failure, first and at most; doubled in between.
const WAIT_MIN: Duration = Duration::from_millis(500);
const WAIT_MAX: Duration = Duration::from_secs(5);
/// How long the store may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);

/// `[fleet]`.
#[derive(Clone, PartialEq, Eq)]
pub struct Config {
    /// `redis://host:port`, or `rediss://` for TLS. May hold a password: it is never printed.
    pub url: String,
    /// A file with the password.
    pub password_file: Option<PathBuf>,
    /// PEM: the authorities to trust instead of the system's.
    pub tls_ca: Option<PathBuf>,
    /// What keys in the store begin with: fleets of the same prefix are one.
    pub prefix: String,
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

/// Why the fleet's store cannot be used. Never holds the URL.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The URL is none.
    #[error("`fleet.url` is no address of a Redis; write \"redis://host:6379\" or \"rediss://host:6379\"")]
    Url,
    /// A file that the configuration names cannot be read.
    #[error("`{key}` is {}, which cannot be read: {source}; correct the path, or make the file readable", path.display())]
    File {
        /// The configuration's key.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// No thread can be had.
    #[error("no thread can be had for the fleet: {0}")]
    Thread(std::io::Error),
    /// The store's own word, or the network's.
    #[error("{0}")]
    Store(String),
    /// The list of who is kept out, or how far it was told, cannot be read or written.
    #[error("{what} cannot be read or written: {source}", what = path.display())]
    Folder {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl From<redis::RedisError> for Error {
    fn from(error: redis::RedisError) -> Error {
        // In one line. It never holds what was sent.
        Error::Store(error.to_string().split_whitespace().collect::<Vec<_>>().join(" "))
    }
}

impl Config {
    /// A client for it; connects to nothing.
    ///
    /// # Errors
    /// The URL is none, or a file cannot be read.
    pub fn client(&self) -> Result<redis::Client, Error> {
        use redis::IntoConnectionInfo as _;

        let mut info = self.url.as_str().into_connection_info().map_err(|_| Error::Url)?;
        if let Some(path) = &self.password_file {
            let password = read("fleet.password_file", path)?;
            let settings = info.redis_settings().clone().set_password(password.trim());
            info = info.set_redis_settings(settings);
        }
        let Some(path) = &self.tls_ca else { return redis::Client::open(info).map_err(|_| Error::Url) };
        let root_cert = Some(read("fleet.tls_ca", path)?.into_bytes());
        Ok(redis::Client::build_with_tls(info, redis::TlsCertificates { client_tls: None, root_cert })?)
    }

    /// A connection in which nothing takes longer than it may.
    fn connect(client: &redis::Client) -> Result<redis::Connection, Error> {
        let connection = client.get_connection_with_timeout(ANSWER_TIMEOUT)?;
        connection.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        connection.set_write_timeout(Some(ANSWER_TIMEOUT))?;
        Ok(connection)
    }

    /// Whether the store answers.
    ///
    /// # Errors
    /// As [`Config::client`], or what the store or the network said.
    pub fn reach(&self) -> Result<(), Error> {
        let mut connection = Config::connect(&self.client()?)?;
        redis::cmd("TIME").query::<(i64, i64)>(&mut connection)?;
        Ok(())
    }

    fn stream(&self) -> String {
        format!("{}:quarantine", self.prefix)
    }
}

fn read(key: &'static str, path: &Path) -> Result<String, Error> {
    let failed = |source| Error::File { key, path: path.to_path_buf(), source };
    std::fs::read_to_string(path).map_err(failed)
}
