//! One leg of a connection: TCP, TLS over it, or unix.
//!
//! In: a connected socket. Out: the same bytes either way; on TCP without Nagle's delay and with keepalive, so that a peer
//! whose machine vanished is noticed while nothing is under way. A limit to how long bytes may stay unacknowledged
//! (`TCP_USER_TIMEOUT`) is set where one is configured, and only there: Linux ends with it also the connection of a peer that is well and does
//! not read for that long, and PostgreSQL has no such limit unless asked (its `tcp_user_timeout` is 0). Within the machine, where nothing is
//! ever congested, pacing what is sent costs and gains nothing: there, Linux is asked for a congestion control that has none.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use super::encrypted::Encrypted;
use super::event_loop::Watcher;
use super::watched::{Released, Watched};
use crate::tls;

/// Silence after which a peer is probed, seconds.
const KEEPALIVE_IDLE_SECONDS: u64 = 60;
/// Between probes, seconds.
const KEEPALIVE_INTERVAL_SECONDS: u64 = 10;
/// Probes without an answer after which a peer is gone.
const KEEPALIVE_PROBES: u32 = 6;
/// In every Linux, and free for everyone to choose.
#[cfg(target_os = "linux")]
const UNPACED: &[u8] = b"reno";

/// A connected socket.
#[derive(Debug)]
pub enum Socket {
    /// Over the network.
    Tcp(TcpStream),
    /// Within the machine.
    Unix(UnixStream),
    /// Over the network, encrypted.
    Tls(Box<Encrypted>),
    /// Either of the first two, while an event loop waits for it.
    Watched(Watched),
    /// In a handshake, or lost in one.
    Gone,
}

impl Socket {
    /// Takes a TCP connection and sets its options.
    ///
    /// # Errors
    /// What the system said; a peer that is gone already, for one.
    pub fn tcp(stream: TcpStream, user_timeout: Option<Duration>) -> io::Result<Socket> {
        stream.set_nodelay(true)?;
        let keepalive = TcpKeepalive::new()
            .with_time(Duration::from_secs(KEEPALIVE_IDLE_SECONDS))
            .with_interval(Duration::from_secs(KEEPALIVE_INTERVAL_SECONDS))
            .with_retries(KEEPALIVE_PROBES);
        let options = SockRef::from(&stream);
        options.set_tcp_keepalive(&keepalive)?;
        #[cfg(target_os = "linux")]
        if user_timeout.is_some() {
            options.set_tcp_user_timeout(user_timeout)?;
        }
        #[cfg(target_os = "linux")]
        if stream.peer_addr().is_ok_and(|peer| peer.ip().to_canonical().is_loopback()) {
            // Where it is not to be had, what there is will do.
            let _ = options.set_tcp_congestion(UNPACED);
        }
        #[cfg(not(target_os = "linux"))]
        let _ = user_timeout;
        Ok(Socket::Tcp(stream))
    }

    /// Takes a unix connection.
    pub fn unix(stream: UnixStream) -> Socket {
        Socket::Unix(stream)
    }

    /// Goes on as the server of a TLS connection. Where that fails, nothing more comes or goes.
    ///
    /// # Errors
    /// What rustls or the system said. A unix socket carries no TLS.
    pub async fn accept_tls(&mut self, server: &tls::Server) -> io::Result<()> {
        let stream = self.take_tcp()?;
        *self = Socket::Tls(Box::new(Encrypted::accept(stream, server).await?));
        Ok(())
    }

    /// Goes on as the client of a TLS connection. Where that fails, nothing more comes or goes.
    ///
    /// # Errors
    /// As [`Socket::accept_tls`].
    pub async fn connect_tls(&mut self, client: &tls::Client, name: ServerName<'static>) -> io::Result<()> {
        let stream = self.take_tcp()?;
        *self = Socket::Tls(Box::new(Encrypted::connect(stream, client, name).await?));
        Ok(())
    }

    fn take_tcp(&mut self) -> io::Result<TcpStream> {
        match std::mem::replace(self, Socket::Gone) {
            Socket::Tcp(stream) => Ok(stream),
            other => {
                *self = other;
                Err(io::ErrorKind::Unsupported.into())
            }
        }
    }

    /// Whether an event loop can wait for it.
    pub fn can_be_watched(&self) -> bool {
        matches!(self, Socket::Tcp(_) | Socket::Unix(_))
    }

    /// Has an event loop wait for it.
    ///
    /// # Errors
    /// What the system said; the socket is gone then. TLS is tokio's.
    pub fn watch(&mut self, watcher: &mut Watcher<'_>) -> io::Result<()> {
        *self = Socket::Watched(match std::mem::replace(self, Socket::Gone) {
            Socket::Tcp(stream) => Watched::tcp(stream.into_std()?, watcher)?,
            Socket::Unix(stream) => Watched::unix(stream.into_std()?, watcher)?,
            other => {
                *self = other;
                return Err(io::ErrorKind::Unsupported.into());
            }
        });
        Ok(())
    }

    /// Has tokio wait for it, if an event loop did; within a runtime of tokio's. What the system does not give back is gone.
    pub fn unwatch(&mut self) {
        *self = match std::mem::replace(self, Socket::Gone) {
            Socket::Watched(watched) => Socket::released(watched).unwrap_or(Socket::Gone),
            other => other,
        }
    }

    fn released(watched: Watched) -> io::Result<Socket> {
        Ok(match watched.release()? {
            Released::Tcp(stream) => Socket::Tcp(TcpStream::from_std(stream)?),
            Released::Unix(stream) => Socket::Unix(UnixStream::from_std(stream)?),
        })
    }

    /// Where it is TCP without TLS.
    pub fn as_tcp(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Socket::Tcp(stream) => Some(stream.as_fd()),
            Socket::Watched(watched) => watched.as_tcp(),
            Socket::Unix(_) | Socket::Tls(_) | Socket::Gone => None,
        }
    }

    /// Whether it is known, without the system being asked, that there is nothing to read; its event loop wakes who reads it.
    pub fn has_nothing(&self) -> bool {
        matches!(self, Socket::Watched(watched) if watched.has_nothing())
    }

    /// Reads what there is, of a leg over TCP that may not have told of it.
    pub fn poll_read_now(&mut self, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let Socket::Watched(watched) = self {
            return watched.poll_read_now(cx, into);
        }
        if let Socket::Tcp(stream) = self {
            let socket = SockRef::from(&*stream);
            let mut stream = &*socket;
            match io::Read::read(&mut stream, into.initialize_unfilled()) {
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                read => return Poll::Ready(read.map(|count| into.advance(count))),
            }
        }
        Pin::new(self).poll_read(cx, into)
    }

    /// TLS, where there is any.
    pub fn encrypted(&self) -> Option<&Encrypted> {
        match self {
            Socket::Tls(encrypted) => Some(encrypted),
            _ => None,
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Socket::Tcp(stream) => Pin::new(stream).poll_read(cx, into),
            Socket::Unix(stream) => Pin::new(stream).poll_read(cx, into),
            Socket::Watched(watched) => watched.poll_read(cx, into),
            Socket::Tls(stream) => Pin::new(stream.as_mut()).poll_read(cx, into),
            Socket::Gone => Poll::Ready(Ok(())),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Socket::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Socket::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
            Socket::Watched(watched) => watched.poll_write(bytes),
            Socket::Tls(stream) => Pin::new(stream.as_mut()).poll_write(cx, bytes),
            Socket::Gone => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Socket::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
            Socket::Tcp(_) | Socket::Unix(_) | Socket::Watched(_) | Socket::Gone => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Socket::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Socket::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            Socket::Watched(watched) => Poll::Ready(watched.shutdown()),
            Socket::Tls(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
            Socket::Gone => Poll::Ready(Ok(())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_tcp_leg_has_its_options() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        for user_timeout in [None, Some(Duration::from_millis(1_500))] {
            let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let Socket::Tcp(stream) = Socket::tcp(stream, user_timeout).unwrap() else { panic!("it is TCP") };
            let options = SockRef::from(&stream);
            assert!(stream.nodelay().unwrap() && options.keepalive().unwrap());
            assert_eq!(options.tcp_keepalive_time().unwrap(), Duration::from_secs(KEEPALIVE_IDLE_SECONDS));
            #[cfg(target_os = "linux")]
            assert_eq!(options.tcp_user_timeout().unwrap(), user_timeout);
        }
    }

    #[tokio::test]
    async fn a_unix_leg_carries_no_tls_and_goes_on_without() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut socket = Socket::unix(ours);
        assert_eq!(socket.take_tcp().unwrap_err().kind(), io::ErrorKind::Unsupported);
        tokio::io::AsyncWriteExt::write_all(&mut socket, b"on").await.unwrap();
        let mut heard = [0; 2];
        tokio::io::AsyncReadExt::read_exact(&mut theirs, &mut heard).await.unwrap();
        assert_eq!(&heard, b"on");
    }
}
