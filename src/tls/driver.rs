//! The driver's own connections to the server, protected as those of sessions are.
//!
//! In: an [`Outward`], and the connection string's hosts. Out: what `tokio_postgres` takes for TLS. The channel is bound where the
//! server's certificate can be bound to.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_rustls::{TlsConnector, client};

use super::certificate::end_point;
use super::client::{Client, Trust, server_name};
use super::files::{Fault, Pair};
use crate::clock::Timestamp;

/// How connections to the server are protected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outward {
    /// Whether a server without TLS is not talked to.
    pub is_required: bool,
    /// Which server is believed.
    pub trust: Trust,
    /// Our own certificate, for a server that asks for one.
    pub own: Option<Pair>,
}

impl Outward {
    /// Reads the files and has `login` ask for TLS, unless it says `sslmode=disable` or leads to a unix socket.
    ///
    /// # Errors
    /// The first fault of the files.
    pub fn driver(&self, login: &mut tokio_postgres::Config, now: Timestamp) -> Result<Driver, Fault> {
        let loaded = Client::load(&self.trust, self.own.as_ref(), now);
        let (client, _) = loaded.map_err(|faults| {
            let unknown = || Fault { what: "TLS cannot be set up".to_owned(), mend: String::new(), is_warning: false };
            faults.into_iter().find(|fault| !fault.is_warning).unwrap_or_else(unknown)
        })?;
        let is_local = login.get_hosts().iter().any(|host| matches!(host, Host::Unix(_)));
        if is_local {
            login.ssl_mode(SslMode::Disable);
        } else if self.is_required && login.get_ssl_mode() != SslMode::Disable {
            login.ssl_mode(SslMode::Require);
        }
        Ok(Driver { connector: TlsConnector::from(Arc::clone(&client.config)) })
    }
}

/// For `tokio_postgres::Config::connect`.
#[derive(Clone)]
pub struct Driver {
    connector: TlsConnector,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> MakeTlsConnect<S> for Driver {
    type Stream = Encrypted<S>;
    type TlsConnect = ToHost;
    type Error = io::Error;

    fn make_tls_connect(&mut self, host: &str) -> io::Result<ToHost> {
        let name = server_name(host).ok_or(io::ErrorKind::InvalidInput)?;
        Ok(ToHost { connector: self.connector.clone(), name })
    }
}

/// For one connection.
pub struct ToHost {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> TlsConnect<S> for ToHost {
    type Stream = Encrypted<S>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Encrypted<S>>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        Box::pin(async move { Ok(Encrypted(self.connector.connect(self.name, stream).await?)) })
    }
}

/// A connection inside which nobody can look.
pub struct Encrypted<S>(client::TlsStream<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for Encrypted<S> {
    fn channel_binding(&self) -> ChannelBinding {
        let shown = self.0.get_ref().1.peer_certificates().and_then(<[_]>::first);
        shown
            .and_then(|certificate| end_point(certificate))
            .map_or_else(ChannelBinding::none, ChannelBinding::tls_server_end_point)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Encrypted<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_read(cx, into)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Encrypted<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_shutdown(cx)
    }
}
