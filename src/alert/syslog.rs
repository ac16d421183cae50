//! A finding as one syslog message: RFC 5424, over UDP (RFC 5426), TCP (RFC 6587, octets counted) or TLS (RFC 5425).
//!
//! In: a finding in some form. Out: the message, sent. A connection is kept, and made again when it breaks; UDP tells nobody whether
//! anything arrived.

use std::io;
use std::net::{ToSocketAddrs, UdpSocket};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use rustls::ClientConfig;

use super::form::Style;
use super::link::{self, Link};
use super::{Error, Server};
use crate::record::{Finding, Severity};

/// Facility 13, "log audit" (RFC 5424, table 1).
const FACILITY: u8 = 13;

/// `kind = "syslog"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Syslog {
    /// How.
    pub transport: Transport,
    /// Where to.
    pub server: Server,
    /// Whose certificates are believed besides; `None`: the system's.
    pub tls_ca: Option<PathBuf>,
    /// The message's text.
    pub style: Style,
}

/// How a message travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// A datagram each.
    Udp,
    /// One connection.
    Tcp,
    /// One connection, encrypted.
    Tls,
}

/// `udp://host:514`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address(pub Transport, pub Server);

impl FromStr for Address {
    type Err = ();

    fn from_str(text: &str) -> Result<Address, ()> {
        let (transport, server) = text.split_once("://").ok_or(())?;
        let transport = match transport {
            "udp" => Transport::Udp,
            "tcp" => Transport::Tcp,
            "tls" => Transport::Tls,
            _ => return Err(()),
        };
        Ok(Address(transport, server.parse().map_err(drop)?))
    }
}

/// Ready to send.
pub struct Sender {
    syslog: Syslog,
    tls: Option<Arc<ClientConfig>>,
    link: Option<Box<dyn Link>>,
    hostname: String,
}

impl Sender {
    /// Reads the file of authorities.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn new(syslog: &Syslog, writer: &str) -> Result<Sender, Error> {
        let tls = match syslog.transport {
            Transport::Tls => Some(link::trust(syslog.tls_ca.as_deref())?),
            Transport::Udp | Transport::Tcp => None,
        };
        Ok(Sender { syslog: syslog.clone(), tls, link: None, hostname: printable(writer) })
    }

    /// Sends one.
    ///
    /// # Errors
    /// Nobody is there; the next call connects anew.
    pub fn send(&mut self, finding: &Finding, held_back: u64) -> io::Result<()> {
        let message = message(&self.hostname, finding, &self.syslog.style.write(finding, held_back));
        let Server { host, port } = &self.syslog.server;
        if self.syslog.transport == Transport::Udp {
            let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
            for address in (host.as_str(), *port).to_socket_addrs()? {
                let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
                match UdpSocket::bind(any).and_then(|socket| socket.send_to(message.as_bytes(), address)) {
                    Ok(_) => return Ok(()),
                    Err(error) => last = error,
                }
            }
            return Err(last);
        }
        let framed = format!("{} {message}", message.len());
        let mut link = match self.link.take() {
            Some(link) => link,
            None => link::connect(host, *port, self.tls.as_ref())?,
        };
        link.write_all(framed.as_bytes())?;
        link.flush()?;
        self.link = Some(link);
        Ok(())
    }
}

/// `<PRI>1 TIME HOST APP PROCID MSGID [data] text`.
fn message(hostname: &str, finding: &Finding, text: &str) -> String {
    let level = match finding.severity.unwrap_or(Severity::Low) {
        Severity::Low => 5,
        Severity::Medium => 4,
        Severity::High => 3,
        Severity::Critical => 2,
    };
    let priority = u16::from(FACILITY) * 8 + level;
    let (at, policy) = (finding.common.at, printable(&finding.policy));
    // 32 characters at most (RFC 5424, section 6).
    let policy: String = policy.chars().take(32).collect();
    format!("<{priority}>1 {at} {hostname} mitsuke - {policy} - {text}")
}

/// A header's field: printable ASCII without spaces.
fn printable(text: &str) -> String {
    let field: String = text.chars().filter(char::is_ascii_graphic).take(255).collect();
    if field.is_empty() { "-".to_owned() } else { field }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_the_header_of_rfc_5424() {
        let finding = Finding { policy: "log-gap".into(), severity: Some(Severity::Critical), ..Finding::default() };
        assert_eq!(
            message(&printable("db 1"), &finding, "text"),
            "<106>1 1970-01-01T00:00:00.000000Z db1 mitsuke - log-gap - text"
        );
    }

    #[test]
    fn an_address_says_how_to_get_there() {
        let Address(transport, server) = "tls://logs.example.com:6514".parse().expect("an address");
        assert_eq!((transport, &*server.host, server.port), (Transport::Tls, "logs.example.com", 6514));
        for wrong in ["logs:514", "http://logs:514", "udp://logs"] {
            assert!(wrong.parse::<Address>().is_err(), "{wrong}");
        }
    }
}
