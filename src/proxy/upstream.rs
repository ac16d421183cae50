//! The connection to the server.
//!
//! In: its address, how it is protected, and a time limit. Out: a [`Socket`], or what the system or the server said. One connection a session,
//! and one a cancel request: nothing is pooled or shared. A byte behind the server's answer to an SSLRequest could have been put there by
//! somebody in between, and ends the connection (CVE-2021-23222).

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{CertificateError, Error as TlsError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time;

use super::Address;
use super::socket::Socket;
use crate::tls;

/// Length 8, code 80877103.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// The way to the server.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Where it is.
    pub address: Address,
    /// How long a connection may take to come about, handshake included.
    pub connect_timeout: Duration,
    /// See [`super::Config::upstream_user_timeout`].
    pub user_timeout: Option<Duration>,
    /// How it is protected.
    pub tls: Option<Tls>,
}

/// See [`super::config::UpstreamTls::On`].
#[derive(Clone, Debug)]
pub struct Tls {
    /// Ready for handshakes.
    pub client: Arc<tls::Client>,
    /// The host, as a certificate would name it.
    pub name: ServerName<'static>,
    /// Whether a server without TLS is not talked to.
    pub is_required: bool,
}

impl Upstream {
    /// Connects; tries every address that a name leads to. TLS, where there is any, is in force.
    ///
    /// # Errors
    /// The system's or the server's; [`io::ErrorKind::TimedOut`] where it took too long.
    pub async fn connect(&self) -> io::Result<Socket> {
        let attempt = async {
            let mut socket = self.connect_plain().await?;
            if let Some(tls) = &self.tls {
                tls.begin(&mut socket).await?;
            }
            Ok(socket)
        };
        self.in_time(attempt).await
    }

    /// Whether a server answers there: connects, and asks for TLS as any client may (PostgreSQL manual, SSL Session
    /// Encryption); one byte comes back. With TLS, the handshake too.
    ///
    /// # Errors
    /// As [`Upstream::connect`], or that something else than PostgreSQL answered.
    pub async fn reach(&self) -> io::Result<()> {
        if self.tls.is_some() {
            return self.connect().await.map(|_| ());
        }
        let exchange = async {
            let mut socket = self.connect_plain().await?;
            match ask(&mut socket).await? {
                Answer::Yes | Answer::No => Ok(()),
                answer => Err(answer.refusal()),
            }
        };
        self.in_time(exchange).await
    }

    async fn connect_plain(&self) -> io::Result<Socket> {
        match &self.address {
            Address::Tcp(host_port) => Socket::tcp(TcpStream::connect(host_port.as_str()).await?, self.user_timeout),
            Address::Unix(path) => Ok(Socket::unix(UnixStream::connect(path).await?)),
        }
    }

    async fn in_time<T>(&self, attempt: impl Future<Output = io::Result<T>>) -> io::Result<T> {
        time::timeout(self.connect_timeout, attempt).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl Tls {
    async fn begin(&self, socket: &mut Socket) -> io::Result<()> {
        match ask(socket).await? {
            Answer::Yes => {
                let done = socket.connect_tls(&self.client, self.name.clone()).await;
                done.map_err(|error| self.explained(error))
            }
            Answer::No if !self.is_required => Ok(()),
            answer => Err(answer.refusal()),
        }
    }

    /// What rustls said, in words that name the key to change.
    fn explained(&self, error: io::Error) -> io::Error {
        let Some(TlsError::InvalidCertificate(reason)) = error.get_ref().and_then(|inner| inner.downcast_ref()) else {
            return error;
        };
        let why = match reason {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                "its certificate is not signed by an authority in `upstream.tls.ca`".to_owned()
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                format!("its certificate does not name {}, as `upstream.address` does", self.name.to_str())
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "its certificate has expired".to_owned()
            }
            other => format!("its certificate cannot be used: {other}"),
        };
        io::Error::new(io::ErrorKind::InvalidData, why)
    }
}

/// What the server says to an SSLRequest.
enum Answer {
    Yes,
    No,
    Error,
    TooMuch,
    Closed,
    Nonsense,
}

async fn ask(socket: &mut Socket) -> io::Result<Answer> {
    socket.write_all(&SSL_REQUEST).await?;
    // More than the one byte that is due, so that more would be seen.
    let mut answer = [0; 64];
    let count = socket.read(&mut answer).await?;
    Ok(match answer.get(..count).unwrap_or_default() {
        [b'S'] => Answer::Yes,
        [b'N'] => Answer::No,
        [b'S' | b'N', ..] => Answer::TooMuch,
        [b'E', ..] => Answer::Error,
        [] => Answer::Closed,
        _ => Answer::Nonsense,
    })
}

impl Answer {
    fn refusal(self) -> io::Error {
        let what = match self {
            Answer::Yes | Answer::No => "it has no TLS, which `upstream.tls.mode` requires",
            Answer::Error => "it answered the request for TLS with an error",
            Answer::TooMuch => "received unencrypted data after SSL response",
            Answer::Closed => return io::ErrorKind::UnexpectedEof.into(),
            Answer::Nonsense => "what answers there is not PostgreSQL",
        };
        io::Error::new(io::ErrorKind::InvalidData, what)
    }
}
