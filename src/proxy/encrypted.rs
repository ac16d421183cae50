//! TLS over TCP, on either leg.
//!
//! In: a TCP connection on which TLS comes next, and what to show and to believe. Out: the bytes inside. What is written is on its way when
//! [`AsyncWrite::poll_write`] says so: nothing waits in here for a flush. The system is read from in whole buffers, which go back to
//! their thread when they are empty, not in the 4 KiB that rustls asks for. A peer that ends the connection without a word is taken
//! at its end, as PostgreSQL takes it: what was cut off is seen from the messages.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustls::ProtocolVersion;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

use super::buffer::Buffer;
use crate::tls;

/// A connection inside which nobody can look.
#[derive(Debug)]
pub struct Encrypted {
    stream: TlsStream<Wire>,
    /// Bytes that were encrypted, and are not all on their way yet: of the caller's next call, too, the first ones.
    accepted: usize,
    server_certificate: Arc<[u8]>,
}

impl Encrypted {
    /// The server's side of a handshake.
    ///
    /// # Errors
    /// The connection broke, or what rustls said of the client.
    pub async fn accept(stream: TcpStream, server: &tls::Server) -> io::Result<Encrypted> {
        let acceptor = TlsAcceptor::from(Arc::clone(&server.config));
        let stream = acceptor.accept(Wire::new(stream)).await?;
        Ok(Encrypted { stream: stream.into(), accepted: 0, server_certificate: Arc::clone(&server.certificate) })
    }

    /// The client's side of a handshake with the server of that name.
    ///
    /// # Errors
    /// The connection broke, or what rustls said of the server.
    pub async fn connect(stream: TcpStream, client: &tls::Client, name: ServerName<'static>) -> io::Result<Encrypted> {
        let connector = TlsConnector::from(Arc::clone(&client.config));
        let stream = connector.connect(name, Wire::new(stream)).await?;
        let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let server_certificate = shown.map_or(&[][..], |certificate| certificate.as_ref()).into();
        Ok(Encrypted { stream: stream.into(), accepted: 0, server_certificate })
    }

    /// As PostgreSQL writes it in `pg_stat_ssl.version`.
    pub fn version(&self) -> &'static str {
        match self.stream.get_ref().1.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
            Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
            _ => "unknown",
        }
    }

    /// Whether both sides said that they speak PostgreSQL.
    pub fn has_alpn(&self) -> bool {
        self.stream.get_ref().1.alpn_protocol() == Some(tls::ALPN)
    }

    /// The certificate of this leg's server, in DER: ours on the client's leg.
    pub fn server_certificate(&self) -> &[u8] {
        &self.server_certificate
    }

    /// The certificate that the client showed and that was verified; none on the server's leg.
    pub fn client_certificate(&self) -> Option<tls::Certificate> {
        match &self.stream {
            TlsStream::Server(stream) => stream
                .get_ref()
                .1
                .peer_certificates()?
                .first()
                .and_then(|certificate| tls::Certificate::read(certificate)),
            TlsStream::Client(_) => None,
        }
    }
}

impl AsyncRead for Encrypted {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match ready!(Pin::new(&mut self.get_mut().stream).poll_read(cx, into)) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(())),
            done => Poll::Ready(done),
        }
    }
}

impl AsyncWrite for Encrypted {
    /// Ready when what it takes is on its way. Until then it has to be called with the same bytes in front.
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.accepted == 0 {
            this.accepted = ready!(Pin::new(&mut this.stream).poll_write(cx, bytes))?;
        }
        ready!(Pin::new(&mut this.stream).poll_flush(cx))?;
        Poll::Ready(Ok(std::mem::take(&mut this.accepted).min(bytes.len())))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

/// The TCP connection below, read in whole buffers.
#[derive(Debug)]
struct Wire {
    stream: TcpStream,
    ahead: Option<Buffer>,
}

impl Wire {
    fn new(stream: TcpStream) -> Wire {
        Wire { stream, ahead: None }
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let mut buffer = match this.ahead.take() {
            Some(buffer) => buffer,
            None => {
                let mut buffer = Buffer::take();
                let mut room = ReadBuf::new(buffer.room());
                ready!(Pin::new(&mut this.stream).poll_read(cx, &mut room))?;
                let count = room.filled().len();
                buffer.filled(count);
                buffer
            }
        };
        let count = buffer.pending().len().min(into.remaining());
        into.put_slice(buffer.pending().get(..count).unwrap_or_default());
        buffer.written(count);
        this.ahead = (!buffer.pending().is_empty()).then_some(buffer);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
