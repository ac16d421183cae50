//! A socket that an event loop waits for: TCP or unix, without TLS.
//!
//! In: a connected socket. Out: the same bytes, asked of the system only where it has said that there may be some; and the socket again, for
//! tokio. Only the loop's thread reads and writes, so what is known of the socket needs no lock.

use std::fmt;
use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Poll, ready};

use mio::Registry;
use mio::event::Event;
use rustix::net::{RecvFlags, SendFlags};
use tokio::io::ReadBuf;

use super::event_loop::Watcher;

/// Reads of one socket before the others have their turn.
const READS_MAX: u32 = 32;

/// See the module.
#[derive(Debug)]
pub struct Watched {
    stream: Stream,
    readiness: Arc<Readiness>,
}

#[derive(Debug)]
enum Stream {
    Tcp(mio::net::TcpStream),
    Unix(mio::net::UnixStream),
}

/// What the system has said of a socket, as far as that still holds.
pub struct Readiness {
    registry: Arc<Registry>,
    is_readable: AtomicBool,
    is_writable: AtomicBool,
    /// The peer's side has ended, in order or not: reading will tell.
    is_over: AtomicBool,
    /// Of this turn.
    reads_left: AtomicU32,
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readiness").field("is_readable", &self.is_readable).finish_non_exhaustive()
    }
}

impl Readiness {
    /// Of a socket of which nothing was said: it is asked.
    pub fn new(registry: Arc<Registry>) -> Readiness {
        Readiness {
            registry,
            is_readable: AtomicBool::new(true),
            is_writable: AtomicBool::new(true),
            is_over: AtomicBool::new(false),
            reads_left: AtomicU32::new(READS_MAX),
        }
    }

    /// The system said something.
    pub fn told(&self, event: &Event) {
        if event.is_read_closed() || event.is_error() {
            self.is_over.store(true, Ordering::Relaxed);
        }
        if event.is_readable() || event.is_read_closed() || event.is_error() {
            self.is_readable.store(true, Ordering::Relaxed);
        }
        if event.is_writable() || event.is_write_closed() || event.is_error() {
            self.is_writable.store(true, Ordering::Relaxed);
        }
    }

    /// Its task is polled.
    pub fn begin_turn(&self) {
        self.reads_left.store(READS_MAX, Ordering::Relaxed);
    }

    /// Whether it may be read in this turn; where it was read often enough, its task is woken for the next.
    fn poll_may_read(&self, cx: &Context<'_>) -> Poll<()> {
        if !self.is_readable.load(Ordering::Relaxed) {
            return Poll::Pending;
        }
        let left = self.reads_left.load(Ordering::Relaxed);
        if left == 0 {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.reads_left.store(left - 1, Ordering::Relaxed);
        Poll::Ready(())
    }
}

impl Watched {
    /// Has a TCP connection watched.
    ///
    /// # Errors
    /// What the system said.
    pub fn tcp(stream: std::net::TcpStream, watcher: &mut Watcher<'_>) -> io::Result<Watched> {
        let mut stream = mio::net::TcpStream::from_std(stream);
        let readiness = watcher.watch(&mut stream)?;
        Ok(Watched { stream: Stream::Tcp(stream), readiness })
    }

    /// Has a unix connection watched.
    ///
    /// # Errors
    /// What the system said.
    pub fn unix(stream: std::os::unix::net::UnixStream, watcher: &mut Watcher<'_>) -> io::Result<Watched> {
        let mut stream = mio::net::UnixStream::from_std(stream);
        let readiness = watcher.watch(&mut stream)?;
        Ok(Watched { stream: Stream::Unix(stream), readiness })
    }

    /// Has it watched no more.
    ///
    /// # Errors
    /// What the system said.
    pub fn release(mut self) -> io::Result<Released> {
        match &mut self.stream {
            Stream::Tcp(stream) => self.readiness.registry.deregister(stream)?,
            Stream::Unix(stream) => self.readiness.registry.deregister(stream)?,
        }
        Ok(match self.stream {
            Stream::Tcp(stream) => Released::Tcp(stream.into()),
            Stream::Unix(stream) => Released::Unix(stream.into()),
        })
    }

    /// Whether the system has told of nothing since all was read.
    pub fn has_nothing(&self) -> bool {
        !self.readiness.is_readable.load(Ordering::Relaxed)
    }

    /// Reads what there is. A read that gives less than there was room for has taken all: the system tells of more.
    pub fn poll_read(&mut self, cx: &Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.readiness.poll_may_read(cx));
            let room = into.initialize_unfilled();
            let wanted = room.len();
            match rustix::net::recv(&self.stream, room, RecvFlags::empty()).map_err(io::Error::from) {
                Ok((count, _)) => {
                    if count < wanted && !self.readiness.is_over.load(Ordering::Relaxed) {
                        self.readiness.is_readable.store(count == 0, Ordering::Relaxed);
                    }
                    into.advance(count);
                    return Poll::Ready(Ok(()));
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => self.readiness.is_readable.store(false, Ordering::Relaxed),
                    io::ErrorKind::Interrupted => {}
                    _ => return Poll::Ready(Err(error)),
                },
            }
        }
    }

    /// As [`Watched::poll_read`], whatever the system has said.
    pub fn poll_read_now(&mut self, cx: &Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.readiness.is_readable.store(true, Ordering::Relaxed);
        self.readiness.reads_left.fetch_max(1, Ordering::Relaxed);
        self.poll_read(cx, into)
    }

    /// Writes what the system takes, as a rule without being asked first: it takes something, and asking costs more than being told otherwise.
    pub fn poll_write(&mut self, bytes: &[u8]) -> Poll<io::Result<usize>> {
        while self.readiness.is_writable.load(Ordering::Relaxed) {
            match rustix::net::send(&self.stream, bytes, SendFlags::empty()).map_err(io::Error::from) {
                Ok(count) => return Poll::Ready(Ok(count)),
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => self.readiness.is_writable.store(false, Ordering::Relaxed),
                    io::ErrorKind::Interrupted => {}
                    _ => return Poll::Ready(Err(error)),
                },
            }
        }
        Poll::Pending
    }

    /// Tells the peer that nothing more comes.
    ///
    /// # Errors
    /// What the system said.
    pub fn shutdown(&self) -> io::Result<()> {
        match &self.stream {
            Stream::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Stream::Unix(stream) => stream.shutdown(Shutdown::Write),
        }
    }

    /// Where it is TCP.
    pub fn as_tcp(&self) -> Option<BorrowedFd<'_>> {
        match &self.stream {
            Stream::Tcp(stream) => Some(stream.as_fd()),
            Stream::Unix(_) => None,
        }
    }
}

/// A socket that nothing waits for.
pub enum Released {
    /// Over the network.
    Tcp(std::net::TcpStream),
    /// Within the machine.
    Unix(std::os::unix::net::UnixStream),
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Stream::Tcp(stream) => stream.as_fd(),
            Stream::Unix(stream) => stream.as_fd(),
        }
    }
}
