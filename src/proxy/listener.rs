//! Where clients come in.
//!
//! In: the configured addresses. Out: connections, each with what the records call its client. A unix socket's file that a dead
//! process left is removed; one that somebody still answers on is not, and neither is a file that is no socket. Our own
//! socket's file is removed when the listener is dropped.

use std::fs;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::{Domain, Protocol, Type};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use super::socket::Socket;
use super::{Address, Error};

/// Connections that the system holds for us before we accept them.
const BACKLOG_CONNECTIONS: i32 = 1024;
/// What the records call a client of a unix socket.
pub const LOCAL: &str = "local";

/// Binds every address, and every IP address that a name leads to.
///
/// # Errors
/// The first that fails; what was bound before is released.
pub fn bind(addresses: &[Address], user_timeout: Option<Duration>) -> Result<Vec<Listener>, Error> {
    let mut listeners = Vec::new();
    for address in addresses {
        match address {
            Address::Tcp(host_port) => bind_tcp(address, host_port, user_timeout, &mut listeners)?,
            Address::Unix(path) => listeners.push(bind_unix(address, path)?),
        }
    }
    if listeners.is_empty() { Err(Error::Nowhere) } else { Ok(listeners) }
}

/// A bound socket.
#[derive(Debug)]
pub struct Listener {
    /// With its real port.
    address: Address,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Tcp { listener: TcpListener, user_timeout: Option<Duration> },
    Unix { listener: UnixListener, _file: SocketFile },
}

impl Listener {
    /// Where it listens; the real port where 0 was asked for.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The next client.
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Accepted>> {
        match &self.kind {
            Kind::Tcp { listener, user_timeout } => listener.poll_accept(cx).map(|accepted| {
                let (stream, peer) = accepted?;
                let client_addr = peer.ip().to_canonical().to_string();
                Ok(Accepted { stream: Stream::Tcp(stream.into_std()?, *user_timeout), client_addr })
            }),
            Kind::Unix { listener, .. } => listener.poll_accept(cx).map(|accepted| {
                let (stream, _) = accepted?;
                Ok(Accepted { stream: Stream::Unix(stream.into_std()?), client_addr: LOCAL.to_owned() })
            }),
        }
    }
}

/// A client that has connected, not yet waited for by any runtime.
#[derive(Debug)]
pub struct Accepted {
    stream: Stream,
    /// What the records call it: its IP address, or [`LOCAL`].
    pub client_addr: String,
}

#[derive(Debug)]
enum Stream {
    Tcp(std::net::TcpStream, Option<Duration>),
    Unix(std::os::unix::net::UnixStream),
}

impl Accepted {
    /// Its socket, waited for by the runtime that this is called in.
    ///
    /// # Errors
    /// What the system said; the client may be gone already.
    pub fn socket(self) -> io::Result<Socket> {
        match self.stream {
            Stream::Tcp(stream, user_timeout) => Socket::tcp(TcpStream::from_std(stream)?, user_timeout),
            Stream::Unix(stream) => Ok(Socket::unix(UnixStream::from_std(stream)?)),
        }
    }
}

fn bind_tcp(
    address: &Address,
    host_port: &str,
    user_timeout: Option<Duration>,
    listeners: &mut Vec<Listener>,
) -> Result<(), Error> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::AddrInUse => Error::Taken { address: address.clone() },
        _ => Error::Listen { address: address.clone(), source },
    };
    let resolved = host_port.to_socket_addrs();
    let resolved = resolved.map_err(|source| Error::Unresolved { address: address.clone(), source })?;
    let before = listeners.len();
    let mut port_chosen = 0;
    let mut last_error = None;
    for mut wanted in each_once(resolved) {
        if wanted.port() == 0 {
            wanted.set_port(port_chosen);
        }
        match listen_tcp(wanted) {
            Ok((listener, bound)) => {
                port_chosen = bound.port();
                let kind = Kind::Tcp { listener, user_timeout };
                listeners.push(Listener { address: Address::Tcp(bound.to_string()), kind });
            }
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Err(failed(error)),
            // `localhost` leads to ::1 on machines that have no IPv6: one that works is enough, as for PostgreSQL.
            Err(error) => last_error = Some(error),
        }
    }
    match last_error {
        Some(error) if listeners.len() == before => Err(failed(error)),
        _ => Ok(()),
    }
}

/// Each address once: a name that a hosts file has twice leads to the same address twice.
fn each_once(found: impl Iterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let mut addresses = Vec::new();
    for address in found {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses
}

fn listen_tcp(wanted: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = socket2::Socket::new(Domain::for_address(wanted), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if wanted.is_ipv6() {
        // `[::]` beside `0.0.0.0` would else be "taken", as PostgreSQL's listen_addresses has it.
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&wanted.into())?;
    socket.listen(BACKLOG_CONNECTIONS)?;
    let listener = TcpListener::from_std(socket.into())?;
    let bound = listener.local_addr()?;
    Ok((listener, bound))
}

fn bind_unix(address: &Address, path: &Path) -> Result<Listener, Error> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::AddrInUse => Error::Taken { address: address.clone() },
        io::ErrorKind::NotFound => Error::NoFolder { address: address.clone() },
        _ => Error::Listen { address: address.clone(), source },
    };
    if let Ok(found) = fs::symlink_metadata(path) {
        if !found.file_type().is_socket() {
            return Err(Error::NotASocket { address: address.clone() });
        }
        match std::os::unix::net::UnixStream::connect(path) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path).map_err(failed)?,
            // Answered, or held by a process whose queue is full or whom we may not ask: somebody's either way.
            _ => return Err(Error::Taken { address: address.clone() }),
        }
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    let _file = SocketFile::at(path).map_err(failed)?;
    Ok(Listener { address: address.clone(), kind: Kind::Unix { listener, _file } })
}

/// A socket's file, removed when dropped, unless another process has put its own in the place.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    /// (device, inode)
    identity: (u64, u64),
}

impl SocketFile {
    fn at(path: &Path) -> io::Result<SocketFile> {
        Ok(SocketFile { path: path.to_path_buf(), identity: identity(path)? })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|now| now == self.identity) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unix(folder: &tempfile::TempDir) -> Vec<Address> {
        vec![Address::Unix(folder.path().join("s"))]
    }

    fn fault(addresses: &[Address]) -> String {
        bind(addresses, None).unwrap_err().to_string()
    }

    #[tokio::test]
    async fn port_zero_is_answered_with_the_real_port_and_a_taken_one_with_how_to_mend_it() {
        let first = bind(&[Address::Tcp("127.0.0.1:0".to_owned())], None).unwrap();
        let real = first[0].address().clone();
        assert_ne!(real.to_string(), "127.0.0.1:0");
        let said = fault(std::slice::from_ref(&real));
        assert!(said.contains(&real.to_string()) && said.contains("[listen].address"), "{said}");
    }

    #[tokio::test]
    async fn one_port_zero_gives_every_address_of_a_name_the_same_port() {
        let listeners = bind(&[Address::Tcp("localhost:0".to_owned())], None).unwrap();
        let port = |listener: &Listener| listener.address().to_string().rsplit_once(':').unwrap().1.to_owned();
        assert!(listeners.iter().all(|listener| port(listener) == port(&listeners[0])));
    }

    #[test]
    fn an_address_that_a_name_leads_to_twice_is_listened_on_once() {
        let [four, six]: [SocketAddr; 2] = ["127.0.0.1:1".parse().unwrap(), "[::1]:1".parse().unwrap()];
        assert_eq!(each_once([four, six, four].into_iter()), [four, six]);
    }

    #[tokio::test]
    async fn a_dead_process_s_socket_is_taken_over_and_removed_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        drop(bind(&unix(&folder), None).unwrap());
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_living_process_s_socket_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let living = std::os::unix::net::UnixListener::bind(folder.path().join("s")).unwrap();
        let said = fault(&unix(&folder));
        assert!(said.contains("taken") && said.contains("/s"), "{said}");
        drop(living);
        assert!(folder.path().join("s").exists());
    }

    #[tokio::test]
    async fn a_file_that_is_no_socket_is_never_removed() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("s"), "dear").unwrap();
        assert!(fault(&unix(&folder)).contains("not a socket"));
        assert_eq!(fs::read_to_string(folder.path().join("s")).unwrap(), "dear");
    }

    #[tokio::test]
    async fn a_missing_folder_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let said = fault(&[Address::Unix(folder.path().join("no/s"))]);
        assert!(said.contains("no/s") && said.contains("folder does not exist"), "{said}");
    }

    #[tokio::test]
    async fn a_successor_s_socket_file_survives_our_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let ours = bind(&unix(&folder), None).unwrap();
        fs::remove_file(&path).unwrap();
        let successor = std::os::unix::net::UnixListener::bind(&path).unwrap();
        drop(ours);
        assert!(path.exists());
        drop(successor);
    }
}
