//! The connection to the server.
//!
//! In: its address and a time limit. Out: a [`Socket`], or what the system said. One connection a session, and one a
//! cancel request: nothing is pooled or shared.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time;

use super::Address;
use super::socket::Socket;

/// Connects; tries every address that a name leads to.
///
/// # Errors
/// The system's; [`io::ErrorKind::TimedOut`] where it took longer than `timeout`.
pub async fn connect(address: &Address, timeout: Duration) -> io::Result<Socket> {
    let attempt = async {
        match address {
            Address::Tcp(host_port) => Socket::tcp(TcpStream::connect(host_port.as_str()).await?),
            Address::Unix(path) => Ok(Socket::unix(UnixStream::connect(path).await?)),
        }
    };
    time::timeout(timeout, attempt).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Whether a server answers there: connects, and asks for TLS as any client may (PostgreSQL manual, SSL Session
/// Encryption); one byte comes back.
///
/// # Errors
/// The system's, or that something else than PostgreSQL answered.
pub async fn reach(address: &Address, timeout: Duration) -> io::Result<()> {
    let mut socket = connect(address, timeout).await?;
    let exchange = async {
        socket.write_all(&SSL_REQUEST).await?;
        let mut answer = [0_u8];
        socket.read_exact(&mut answer).await?;
        match answer {
            [b'S' | b'N'] => Ok(()),
            _ => Err(io::Error::new(io::ErrorKind::InvalidData, "what answers there is not PostgreSQL")),
        }
    };
    time::timeout(timeout, exchange).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Length 8, code 80877103.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
