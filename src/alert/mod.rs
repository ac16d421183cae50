//! Findings → people: stdout and mail, throttled, never in the way.
//!
//! In: findings, over a bounded queue. Out: messages. Carries no literal and no personal value.

use std::path::PathBuf;

use crate::record::Severity;

/// One `[[alert]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Below it, nothing is sent.
    pub severity_min: Severity,
    /// Where to.
    pub channel: Channel,
}

/// A channel's own keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Channel {
    /// Standard output, one line a finding.
    Stdout,
    /// SMTP.
    Mail(Mail),
}

/// `kind = "mail"`.
#[derive(Clone, PartialEq, Eq)]
pub struct Mail {
    /// `host:port`.
    pub server: String,
    /// How the connection is protected.
    pub tls: MailTls,
    /// A PEM file of the authorities to trust besides the public ones.
    pub tls_ca: Option<PathBuf>,
    /// `user` and `password` for SMTP AUTH.
    pub credentials: Option<(String, String)>,
    /// The sender, RFC 5322.
    pub from: String,
    /// The recipients.
    pub to: Vec<String>,
}

impl std::fmt::Debug for Mail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mail").field("server", &self.server).field("to", &self.to).finish_non_exhaustive()
    }
}

/// `tls` of a mail channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailTls {
    /// Plain text; only to a server on this machine or a trusted network.
    Off,
    /// STARTTLS, required.
    Starttls,
    /// TLS from the first byte.
    Tls,
}
