//! The sidecar's own log: lines on standard error, for people or as JSON.
//!
//! What goes in never holds a statement's text, a value, a password or a connection string.

use tracing_subscriber::EnvFilter;

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
