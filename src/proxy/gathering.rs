//! What flows for long is read in large pieces: a leg that has given much in a short time wakes us when there is much to read, and not at each of
//! the 8 KiB that PostgreSQL sends at a time.
//!
//! In: how much each read gave, and when there is nothing to read. Out: whether to read again although no socket asks for it. A stream waits for
//! [`GATHERED_TIME_MAX`] where it pauses or ends, by the timer's grain twice that, once; then [`STRETCHES`] × [`STRETCH_BYTES`] have to flow as
//! fast before it may wait again. What is shorter, or slower, never waits.
//!
//! # Why this is an `unsafe` module
//!
//! The option of a socket is Linux's `SO_RCVLOWAT`, which no library at hand sets. To read later without it would be to be woken all the same.
//!
//! # Why it is sound
//!
//! `setsockopt` reads one `int`, whose address and size it is given, from a variable that lives through the call, for a descriptor that the
//! borrowed socket keeps open.
#![allow(unsafe_code, reason = "no library at hand sets SO_RCVLOWAT")]

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

use super::socket::Socket;

/// So much has to come …
pub const STRETCH_BYTES: usize = 1 << 20;
/// … in no longer than this …
pub const STRETCH_TIME_MAX: Duration = Duration::from_millis(20);
/// … so often in a row, before it is gathered.
pub const STRETCHES: u32 = 16;
/// What there has to be before we are woken, bytes …
pub const GATHERED_BYTES: u32 = 64 << 10;
/// … but for no longer than this.
pub const GATHERED_TIME_MAX: Duration = Duration::from_millis(1);
/// What there has to be by then, for more to be waited for, bytes.
pub const LATE_BYTES_MIN: usize = 16 << 10;

/// How one leg is read.
#[derive(Debug)]
pub enum Gathering {
    /// As it comes.
    Not {
        /// Of this stretch.
        bytes: usize,
        /// When it began.
        since: Option<Instant>,
        /// How many before it were fast.
        fast: u32,
    },
    /// When there is much, or this ends.
    Until(Pin<Box<Sleep>>),
}

impl Default for Gathering {
    fn default() -> Gathering {
        Gathering::Not { bytes: 0, since: None, fast: 0 }
    }
}

impl Gathering {
    /// A read of this leg gave so many bytes.
    pub fn gave(&mut self, count: usize, leg: &Socket) {
        match self {
            Gathering::Until(end) => end.as_mut().reset(Instant::now() + GATHERED_TIME_MAX),
            Gathering::Not { bytes, since, fast } => {
                *bytes = bytes.saturating_add(count);
                if since.is_some() && *bytes < STRETCH_BYTES {
                    return;
                }
                let now = Instant::now();
                let is_fast = since.is_some_and(|since| now.duration_since(since) <= STRETCH_TIME_MAX);
                *fast = if is_fast { fast.saturating_add(1) } else { 0 };
                (*bytes, *since) = (0, Some(now));
                if *fast >= STRETCHES && wake_at(leg, GATHERED_BYTES) {
                    *self = Gathering::Until(Box::pin(sleep(GATHERED_TIME_MAX)));
                }
            }
        }
    }

    /// No socket asks to be read. Ready where this leg is to be read all the same, and [`Gathering::gave_late`] to be told what that gave.
    pub fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Gathering::Not { .. } => Poll::Pending,
            Gathering::Until(end) => {
                ready!(end.as_mut().poll(cx));
                Poll::Ready(())
            }
        }
    }

    /// As [`Gathering::gave`], after it was late. Where that is little, or nothing, the leg asks at once from now on.
    pub fn gave_late(&mut self, count: usize, leg: &Socket) {
        if count < LATE_BYTES_MIN {
            wake_at(leg, 1);
            *self = Gathering::default();
        }
    }
}

/// Has a leg wake us once there is so much to read. False where that is not to be had.
#[cfg(target_os = "linux")]
fn wake_at(leg: &Socket, bytes: u32) -> bool {
    use std::os::fd::AsRawFd;

    // What there is to read within TLS the system does not know.
    let Some(leg) = leg.as_tcp() else { return false };
    let Ok(value) = libc::c_int::try_from(bytes) else { return false };
    let Ok(size) = libc::socklen_t::try_from(size_of_val(&value)) else { return false };
    // SAFETY: see the module.
    unsafe {
        libc::setsockopt(leg.as_raw_fd(), libc::SOL_SOCKET, libc::SO_RCVLOWAT, (&raw const value).cast(), size) == 0
    }
}

#[cfg(not(target_os = "linux"))]
fn wake_at(_: &Socket, _: u32) -> bool {
    false
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    use tokio::io::{AsyncRead, ReadBuf};

    use super::*;

    /// What a read of the leg gave; waits for it as a relay does.
    async fn read(leg: &mut Socket, gathering: &mut Gathering, into: &mut [u8]) -> usize {
        std::future::poll_fn(|cx| {
            let mut room = ReadBuf::new(into);
            let mut read = Pin::new(&mut *leg).poll_read(cx, &mut room);
            if read.is_pending() && gathering.poll_late(cx).is_ready() {
                read = leg.poll_read_now(cx, &mut room);
                gathering.gave_late(room.filled().len(), leg);
            }
            ready!(read).unwrap();
            let count = room.filled().len();
            gathering.gave(count, leg);
            Poll::Ready(count)
        })
        .await
    }

    /// The leg, and a sender that sends what it is told to and then waits for one byte.
    async fn leg() -> (Socket, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let sender = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        sender.set_nodelay(true).unwrap();
        let (receiver, _) = listener.accept().unwrap();
        receiver.set_nonblocking(true).unwrap();
        (Socket::tcp(tokio::net::TcpStream::from_std(receiver).unwrap(), None).unwrap(), sender)
    }

    /// Sends in pieces of 8 KiB, of a pattern; and waits until all of it was answered with a byte.
    fn send(mut sender: &TcpStream, bytes: usize) {
        let pattern: Vec<u8> = (0..8192_usize).map(|at| (at % 251) as u8).collect();
        let mut left = bytes;
        while left > 0 {
            let piece = &pattern[..left.min(pattern.len())];
            sender.write_all(piece).unwrap();
            left -= piece.len();
        }
        sender.read_exact(&mut [0]).unwrap();
    }

    /// Takes that much and answers; whether it was gathered.
    async fn take(leg: &mut Socket, gathering: &mut Gathering, bytes: usize) -> bool {
        let (mut room, mut taken, mut was_on) = (vec![0; 32 << 10], 0, false);
        while taken < bytes {
            let count = read(leg, gathering, &mut room).await;
            assert!(count > 0, "closed after {taken} of {bytes}");
            for (at, byte) in room[..count].iter().enumerate() {
                assert_eq!(usize::from(*byte), (taken + at) % 8192 % 251);
            }
            taken += count;
            was_on |= matches!(gathering, Gathering::Until(_));
        }
        tokio::io::AsyncWriteExt::write_all(leg, b".").await.unwrap();
        was_on
    }

    /// One more read, and it gathers.
    fn about_to() -> Gathering {
        Gathering::Not { bytes: STRETCH_BYTES, since: Some(Instant::now()), fast: STRETCHES }
    }

    /// A tail that the socket does not tell of is read all the same: each sender waits for its answer before it sends more.
    #[tokio::test]
    async fn what_flows_for_long_is_gathered_and_its_end_is_not_held_back() {
        let (mut leg, sender) = leg().await;
        let lengths = [64 << 20, 100, (40 << 20) + 1, 1, 70_000];
        let sent = std::thread::spawn(move || lengths.iter().for_each(|bytes| send(&sender, *bytes)));
        let mut gathering = about_to();
        for (number, bytes) in lengths.into_iter().enumerate() {
            let was_gathered = take(&mut leg, &mut gathering, bytes).await;
            assert!(was_gathered || number > 0, "it was not gathered");
        }
        sent.join().unwrap();
    }

    #[tokio::test]
    async fn a_leg_that_pauses_asks_at_once_again() {
        let (mut leg, mut sender) = leg().await;
        let mut gathering = about_to();
        gathering.gave(1, &leg);
        assert!(matches!(gathering, Gathering::Until(_)), "fast for long enough");
        let mut room = [0; 64];
        sender.write_all(b"little").unwrap();
        assert_eq!(read(&mut leg, &mut gathering, &mut room).await, 6);
        assert!(matches!(gathering, Gathering::Not { fast: 0, .. }), "{gathering:?}");
        // What would not be told of while it gathers.
        sender.write_all(b"less").unwrap();
        assert_eq!(read(&mut leg, &mut gathering, &mut room).await, 4);
        drop(sender);
        assert_eq!(read(&mut leg, &mut gathering, &mut room).await, 0);
    }

    #[tokio::test]
    async fn the_end_of_a_stream_is_told_at_once_while_it_is_gathered() {
        let (mut leg, sender) = leg().await;
        let mut gathering = about_to();
        gathering.gave(1, &leg);
        drop(sender);
        assert_eq!(read(&mut leg, &mut gathering, &mut [0; 64]).await, 0);
    }

    #[tokio::test]
    async fn what_is_slow_is_read_as_it_comes() {
        let (leg, _sender) = leg().await;
        let slow = Instant::now().checked_sub(STRETCH_TIME_MAX * 2).expect("the machine runs for longer");
        let mut gathering = Gathering::Not { bytes: STRETCH_BYTES, since: Some(slow), fast: STRETCHES };
        for _ in 0..STRETCHES {
            gathering.gave(STRETCH_BYTES, &leg);
            assert!(matches!(gathering, Gathering::Not { .. }), "{gathering:?}");
        }
        gathering.gave(STRETCH_BYTES, &leg);
        assert!(matches!(gathering, Gathering::Until(_)), "{gathering:?}");
    }
}
