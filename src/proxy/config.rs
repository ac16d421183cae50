//! `[listen]` and `[upstream]`: where clients connect, where the server is, and the data plane's limits.
//!
//! In: text a person wrote. Out: an [`Address`] that has the form of one. Resolves no names and opens nothing.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Where to listen, or where the server is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// `host:port`; the host may be a name, or an IPv6 address in brackets.
    Tcp(String),
    /// `unix:/path/to/.s.PGSQL.5432`.
    Unix(PathBuf),
}

impl std::str::FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Address, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            return match path.is_empty() {
                true => Err("a unix socket needs a path: \"unix:/run/mitsuke/.s.PGSQL.6432\"".to_owned()),
                false => Ok(Address::Unix(PathBuf::from(path))),
            };
        }
        match text.rsplit_once(':') {
            Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => Ok(Address::Tcp(text.to_owned())),
            _ => Err(format!("`{text}` is not an address; write \"host:port\" or \"unix:/path\"")),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(text) => f.write_str(text),
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// `[listen]` and `[upstream]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where clients connect.
    pub listen: Vec<Address>,
    /// The server.
    pub upstream: Address,
    /// How long a connection to the server may take to come about.
    pub connect_timeout: Duration,
    /// Sessions at once; one more gets SQLSTATE 53300.
    pub connections_max: usize,
    /// How long a client may take to send its start-up message.
    pub startup_timeout: Duration,
    /// How long running sessions may take to end after SIGTERM.
    pub drain_timeout: Duration,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            listen: vec![Address::Tcp("127.0.0.1:6432".to_owned())],
            upstream: Address::Tcp("127.0.0.1:5432".to_owned()),
            connect_timeout: Duration::from_secs(10),
            connections_max: 5_000,
            startup_timeout: Duration::from_secs(60),
            drain_timeout: Duration::from_secs(30),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_written_as_it_was_read() {
        for text in ["127.0.0.1:6432", "localhost:0", "[::1]:5432", "unix:/run/mitsuke/.s.PGSQL.6432"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_a_form_to_follow() {
        for text in ["", "localhost", ":5432", "localhost:postgres", "localhost:70000", "unix:"] {
            let error = text.parse::<Address>().unwrap_err();
            assert!(error.contains("unix:/"), "{text}: {error}");
        }
    }
}
