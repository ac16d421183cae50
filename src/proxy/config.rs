//! `[listen]` and `[upstream]`: where clients connect, where the server is, how both legs are protected, and the data plane's
//! limits.
//!
//! In: text a person wrote. Out: an [`Address`] that has the form of one. Resolves no names and opens nothing.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::tls::{Outward, Own};

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
    /// TLS on the clients' leg.
    pub listen_tls: ListenTls,
    /// TLS on the server's leg.
    pub upstream_tls: UpstreamTls,
    /// Who authenticates clients.
    pub auth: Auth,
    /// How long bytes for a client may stay unacknowledged; `None`: as long as the system has it.
    pub listen_user_timeout: Option<Duration>,
    /// The same for bytes for the server.
    pub upstream_user_timeout: Option<Duration>,
}

/// `[listen].tls`. A client of a unix socket never has TLS, and needs none, as with PostgreSQL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ListenTls {
    /// A client that asks for TLS is told that there is none.
    #[default]
    Disable,
    /// `allow` and `require`.
    On {
        /// Our certificate.
        own: Own,
        /// `require`: a client that does not ask for it is turned away.
        is_required: bool,
        /// What a client has to show in turn.
        client: ClientCertificate,
    },
}

/// `[listen].tls.client_verify`; the names are those of `clientcert` in PostgreSQL's `pg_hba.conf`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientCertificate {
    /// `optional`: a certificate that is shown must be good, but none need be shown.
    #[default]
    Optional,
    /// `verify-ca`: one that our authority signed must be shown.
    Authority,
    /// `verify-full`: the same, and its common name must be the role that is asked for.
    Role,
}

/// `[upstream].tls`. A server on a unix socket never has TLS, as with libpq.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum UpstreamTls {
    /// None.
    #[default]
    Disable,
    /// `prefer`, `require`, `verify-ca` and `verify-full`.
    On(Outward),
}

/// `[upstream].auth`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// The server does; what is said passes through.
    Pass(ChannelBinding),
    /// We do, against the server's own verifier, where the server asks for SCRAM; every other method passes through.
    Terminate(Lookup),
}

/// `[upstream].channel_binding`: what becomes of the server's offer to bind the channel where client and server see different
/// certificates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChannelBinding {
    /// `keep`: it stays, and a client that takes it up is refused.
    #[default]
    Keep,
    /// `drop`: it is left out. A client that would have taken it up is refused by the server then.
    Drop,
}

/// How verifiers are looked up.
#[derive(Clone, PartialEq, Eq)]
pub struct Lookup {
    /// The catalog role's connection string; its host is not used: the server is asked that clients are led to.
    pub url: String,
    /// A query with one parameter, the role's name, and one value, `pg_authid.rolpassword` or NULL.
    pub query: String,
}

/// Without the connection string, which may hold a password.
impl fmt::Debug for Lookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lookup").field("query", &self.query).finish_non_exhaustive()
    }
}

/// [`Lookup::query`] where none is written. The role needs `GRANT SELECT (rolname, rolpassword) ON pg_authid`.
pub const DEFAULT_AUTH_QUERY: &str = "select rolpassword from pg_catalog.pg_authid where rolname = $1";

impl Default for Config {
    fn default() -> Config {
        Config {
            listen: vec![Address::Tcp("127.0.0.1:6432".to_owned())],
            upstream: Address::Tcp("127.0.0.1:5432".to_owned()),
            connect_timeout: Duration::from_secs(10),
            connections_max: 5_000,
            startup_timeout: Duration::from_secs(60),
            drain_timeout: Duration::from_secs(30),
            listen_tls: ListenTls::Disable,
            upstream_tls: UpstreamTls::Disable,
            auth: Auth::Pass(ChannelBinding::Keep),
            listen_user_timeout: None,
            upstream_user_timeout: None,
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
