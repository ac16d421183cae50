//! A throwaway PostgreSQL, a ticket shop's data, an ordinary day, and an insider.
//!
//! In: the PostgreSQL binaries of this machine. Out: a server of its own in a temporary folder, which is gone with the
//! process that started it. Never touches a server, a port or a folder that was there before.

mod commentary;
mod folder;
pub mod play;
pub mod postgres;
mod run;
pub mod shop;
mod summary;

use std::path::PathBuf;

pub use self::postgres::{Auth, Options, Postgres};
pub use self::run::{Ending, Wish, run};

/// Why the demo, or its throwaway server, does not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No PostgreSQL server of a version that will do is installed.
    #[error(
        "no PostgreSQL server of version {least} or newer found{found}; install it: `apt install postgresql`, \
         `dnf install postgresql-server`, `apk add postgresql`, `pacman -S postgresql`, `zypper install postgresql-server` or \
         `brew install postgresql@17`"
    )]
    NoServer {
        /// The oldest version that will do.
        least: u32,
        /// What was found instead, for the message; may be empty.
        found: String,
    },
    /// PostgreSQL refuses to run as root, and there is no account to run it as.
    #[error(
        "PostgreSQL does not run as root, and /etc/passwd has neither `postgres` nor `nobody`; run as another user"
    )]
    NoAccount,
    /// A file, folder or process could not be had.
    #[error("{doing} {}: {source}", path.display())]
    Io {
        /// What was being done, as the beginning of a sentence.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A statement or connection of the demo's own failed.
    #[error("{}", in_full(.0))]
    Sql(#[from] tokio_postgres::Error),
    /// The play did not go as it is written.
    #[error("the demo's play failed: {0}")]
    Unexpected(&'static str),
    /// The folder asked for is somebody's.
    #[error("{} is neither an empty folder nor an earlier demo's; name another with --folder", .0.display())]
    NotOurs(PathBuf),
    /// Another demo runs in the folder.
    #[error("another demo is running in {}; name another folder with --folder", .0.display())]
    InUse(PathBuf),
    /// The sidecar did not start, or did not stop as it should.
    #[error("the sidecar: {0}")]
    Sidecar(String),
    /// The log that the play left cannot be read.
    #[error("the demo's log: {0}")]
    Log(String),
    /// A program of PostgreSQL's ended with an error.
    #[error("{program} failed: {said}")]
    Failed {
        /// Its name.
        program: &'static str,
        /// The end of what it said.
        said: String,
    },
    /// The server started and never came to accept connections.
    #[error("the throwaway PostgreSQL did not come up within {seconds} s: {said}")]
    NotReady {
        /// How long it was given.
        seconds: u64,
        /// The end of its log.
        said: String,
    },
}

impl Error {
    fn io(doing: &'static str, path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.to_path_buf();
        move |source| Error::Io { doing, path, source }
    }
}

/// The server's own words, where it had some: the driver's are `db error`.
fn in_full(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(said) => format!("the database said: {} (SQLSTATE {})", said.message(), said.code().code()),
        None => format!("the database: {error}"),
    }
}
