//! What the sidecar says of itself: its own log on standard error, and over HTTP its figures, whether it lives and whether it is ready.
//!
//! In: lines of `tracing`; the stages, asked when somebody asks. Out: lines for people or as JSON; `/metrics`, `/healthz`, `/readyz`. Neither
//! ever holds a statement's text, a value, a name of a user, a password or a connection string.

mod exposition;
mod process;
mod readiness;
mod serve;

use tracing_subscriber::EnvFilter;

pub use self::readiness::{Readiness, Sources};
pub use self::serve::{Error, Server};
use crate::config::LogFormat;

/// Sets the process's subscriber. A second call changes nothing.
pub fn start(format: LogFormat, level: &str) {
    let filter = EnvFilter::new(format!("{level},tokio_postgres=warn,datafusion=warn,lettre=warn"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    // A subscriber that is already there stays.
    let _ = match format {
        LogFormat::Text => builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
}
