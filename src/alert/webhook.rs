//! A finding as one HTTP request: POST, HTTP/1.1, a connection each.
//!
//! In: a URL, a body. Out: the server's status. The answer is read up to its status line; redirects are not followed, since what they
//! lead to was not written by whom the findings belong to. The URL may hold a secret: it is in no message.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use rustls::ClientConfig;

use super::form::Style;
use super::{Error, link};

/// The longest status line that is read, bytes.
const STATUS_LINE_BYTES_MAX: u64 = 1_024;

/// `kind = "webhook"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// Where to.
    pub url: Url,
    /// Whose certificates are believed besides; `None`: the system's.
    pub tls_ca: Option<PathBuf>,
    /// A file with the value of the header `Authorization`.
    pub authorization_file: Option<PathBuf>,
    /// The body.
    pub style: Style,
}

/// `http(s)://host[:port]/path`.
#[derive(Clone, PartialEq, Eq)]
pub struct Url {
    is_tls: bool,
    /// A name, or an address without brackets.
    pub host: String,
    port: u16,
    path: String,
}

/// Without the path: that may be a secret.
impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl FromStr for Url {
    type Err = ();

    fn from_str(text: &str) -> Result<Url, ()> {
        let (is_tls, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => return Err(()),
        };
        let (authority, path) = match rest.find(['/', '?']) {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let visible = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        let default_port = if is_tls { 443 } else { 80 };
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !authority.ends_with(']') => (host, port.parse().map_err(drop)?),
            _ => (authority, default_port),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() || host.contains('@') || !visible(host) || !visible(path) {
            return Err(());
        }
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Url { is_tls, host: host.to_owned(), port, path })
    }
}

impl Url {
    /// The whole of it, which may be a secret.
    pub(super) fn secret(&self) -> (&str, u16, &str) {
        (&self.host, self.port, &self.path)
    }

    /// Whether what is sent there is encrypted, or stays on this machine.
    pub fn is_private(&self) -> bool {
        self.is_tls || self.host == "localhost" || self.host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
    }
}

/// Ready to send.
pub struct Sender {
    url: Url,
    tls: Option<Arc<ClientConfig>>,
    authorization: Option<String>,
    media_type: &'static str,
}

impl Sender {
    /// Reads the files.
    ///
    /// # Errors
    /// One cannot be read.
    pub fn new(webhook: &Webhook) -> Result<Sender, Error> {
        let tls = if webhook.url.is_tls { Some(link::trust(webhook.tls_ca.as_deref())?) } else { None };
        let read = |file: &PathBuf| std::fs::read_to_string(file).map_err(Error::file("authorization_file", file));
        let authorization = webhook.authorization_file.as_ref().map(read).transpose()?;
        let authorization = authorization.map(|text| text.trim().replace(['\r', '\n'], " "));
        Ok(Sender { url: webhook.url.clone(), tls, authorization, media_type: webhook.style.media_type() })
    }

    /// Sends one body; the status that the server answers with.
    ///
    /// # Errors
    /// Nobody is there, or what answers is no HTTP.
    pub fn send(&self, body: &str) -> io::Result<u16> {
        let mut link = link::connect(&self.url.host, self.url.port, self.tls.as_ref())?;
        let host = if self.url.host.contains(':') { format!("[{}]", self.url.host) } else { self.url.host.clone() };
        let mut request = format!(
            "POST {} HTTP/1.1\r\nHost: {host}:{}\r\nUser-Agent: mitsuke/{}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n",
            self.url.path,
            self.url.port,
            env!("CARGO_PKG_VERSION"),
            self.media_type,
            body.len(),
        );
        if let Some(authorization) = &self.authorization {
            request.push_str(&format!("Authorization: {authorization}\r\n"));
        }
        request.push_str("\r\n");
        request.push_str(body);
        link.write_all(request.as_bytes())?;
        link.flush()?;
        let mut line = String::new();
        BufReader::new(link.take(STATUS_LINE_BYTES_MAX)).read_line(&mut line)?;
        let status = line.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1)?.trim().parse().ok());
        status.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the answer is no HTTP"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart_and_what_is_none_is_refused() {
        let url: Url = "https://hooks.example.com/services/T0/B0?x=1".parse().expect("a URL");
        assert_eq!(
            (&*url.host, url.port, &*url.path, url.is_private()),
            ("hooks.example.com", 443, "/services/T0/B0?x=1", true)
        );
        let url: Url = "http://[::1]:8080".parse().expect("a URL");
        assert_eq!((&*url.host, url.port, &*url.path, url.is_private()), ("::1", 8080, "/", true));
        let url: Url = "http://10.0.0.1?x".parse().expect("a URL");
        assert_eq!((&*url.path, url.is_private()), ("/?x", false));
        for wrong in ["ftp://x", "https://", "https://a b/", "https://u:p@host/", "https://x:port/", "https://x/a\r\nb"]
        {
            assert!(wrong.parse::<Url>().is_err(), "{wrong}");
        }
        assert_eq!(format!("{:?}", "https://h/secret".parse::<Url>().expect("a URL")), "h:443");
    }
}
