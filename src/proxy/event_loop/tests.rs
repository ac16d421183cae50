//! Real sockets of loopback and the machine, watched by a loop: what comes, what goes, what breaks, and whose turn it is.

use std::future::poll_fn;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::sync::mpsc;
use std::task::ready;
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::{sleep, timeout};

use super::*;
use crate::proxy::socket::Socket;

/// Long enough for anything that comes at all.
const SURELY: Duration = Duration::from_secs(20);

fn event_loop() -> EventLoop {
    EventLoop::start("loop".to_owned(), Handle::current()).unwrap()
}

/// A socket of tokio's, and its peer.
fn tcp() -> (Socket, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    peer.set_read_timeout(Some(SURELY)).unwrap();
    let (ours, _) = listener.accept().unwrap();
    ours.set_nonblocking(true).unwrap();
    (Socket::tcp(tokio::net::TcpStream::from_std(ours).unwrap(), None).unwrap(), peer)
}

fn unix() -> (Socket, UnixStream) {
    let (ours, peer) = UnixStream::pair().unwrap();
    peer.set_read_timeout(Some(SURELY)).unwrap();
    ours.set_nonblocking(true).unwrap();
    (Socket::unix(tokio::net::UnixStream::from_std(ours).unwrap()), peer)
}

async fn read(socket: &mut Socket, into: &mut [u8]) -> io::Result<usize> {
    poll_fn(|cx| {
        let mut room = ReadBuf::new(into);
        ready!(Pin::new(&mut *socket).poll_read(cx, &mut room))?;
        Poll::Ready(Ok(room.filled().len()))
    })
    .await
}

async fn write_all(socket: &mut Socket, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let count = poll_fn(|cx| Pin::new(&mut *socket).poll_write(cx, bytes)).await?;
        bytes = &bytes[count..];
    }
    Ok(())
}

/// Says everything back until the peer's side ends, then ends its own; the socket again, and how much that was.
async fn echo(remote: &Remote, mut socket: Socket) -> (Socket, usize) {
    let begin = |watcher: &mut Watcher<'_>| {
        socket.watch(watcher).unwrap();
        async move {
            let (mut room, mut total) = (vec![0; 4_096], 0);
            loop {
                match read(&mut socket, &mut room).await.unwrap() {
                    0 => break,
                    count => {
                        total += count;
                        write_all(&mut socket, &room[..count]).await.unwrap();
                    }
                }
            }
            poll_fn(|cx| Pin::new(&mut socket).poll_shutdown(cx)).await.unwrap();
            socket.unwatch();
            (socket, total)
        }
    };
    timeout(SURELY, remote.run(begin)).await.expect("it ends").expect("it does not panic")
}

fn pattern(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at % 251) as u8).collect()
}

/// More than the sockets hold: writing has to be waited for, too.
fn says_and_hears(mut says: impl Write + Send + 'static, mut hears: impl Read, end: impl FnOnce() + Send + 'static) {
    let sent = pattern(8 << 20);
    let saying = thread::spawn({
        let sent = sent.clone();
        move || {
            for piece in sent.chunks(100_003) {
                says.write_all(piece).unwrap();
            }
            end();
        }
    });
    // Nothing is read for a while, so that all of it is full.
    thread::sleep(Duration::from_millis(100));
    let mut heard = Vec::new();
    hears.read_to_end(&mut heard).unwrap();
    saying.join().unwrap();
    assert!(heard == sent, "{} of {} bytes came back", heard.len(), sent.len());
}

/// The same through a socket of a loop's. `peer`: three handles of the other end, to say, to hear and to end with.
async fn goes_to_and_fro<P>(remote: &Remote, ours: Socket, peer: [P; 3], end: fn(&P))
where
    P: Read + Write + Send + 'static,
{
    let [says, hears, ends] = peer;
    let talk = thread::spawn(move || says_and_hears(says, hears, move || end(&ends)));
    let (_, total) = echo(remote, ours).await;
    assert_eq!(total, 8 << 20);
    talk.join().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_go_to_and_fro_over_tcp_and_unix_and_an_end_is_told() {
    let event_loop = event_loop();
    let (ours, peer) = tcp();
    let peer = [peer.try_clone().unwrap(), peer.try_clone().unwrap(), peer];
    goes_to_and_fro(&event_loop.remote(), ours, peer, |peer| peer.shutdown(Shutdown::Write).unwrap()).await;
    let (ours, peer) = unix();
    let peer = [peer.try_clone().unwrap(), peer.try_clone().unwrap(), peer];
    goes_to_and_fro(&event_loop.remote(), ours, peer, |peer| peer.shutdown(Shutdown::Write).unwrap()).await;
}

/// What came before it was watched is told of; and tokio goes on with the socket afterwards, while its place in the loop is another's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_comes_with_what_is_in_it_and_goes_back_to_tokio() {
    let event_loop = event_loop();
    let (mut ours, mut peer) = tcp();
    peer.write_all(b"before").unwrap();
    let first = |watcher: &mut Watcher<'_>| {
        ours.watch(watcher).unwrap();
        async move {
            let mut room = [0; 64];
            let count = read(&mut ours, &mut room).await.unwrap();
            ours.unwatch();
            (ours, room[..count].to_vec())
        }
    };
    let (mut ours, heard) = timeout(SURELY, event_loop.remote().run(first)).await.unwrap().unwrap();
    assert_eq!(heard, b"before");
    let (other, mut other_peer) = tcp();
    let remote = event_loop.remote();
    let other = tokio::spawn(async move { echo(&remote, other).await.1 });
    peer.write_all(b"after").unwrap();
    let mut room = [0; 5];
    timeout(SURELY, ours.read_exact(&mut room)).await.unwrap().unwrap();
    assert_eq!(&room, b"after");
    ours.write_all(b"well").await.unwrap();
    let mut room = [0; 4];
    peer.read_exact(&mut room).unwrap();
    assert_eq!(&room, b"well");
    other_peer.write_all(b"x").unwrap();
    other_peer.shutdown(Shutdown::Write).unwrap();
    assert_eq!(timeout(SURELY, other).await.unwrap().unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_connection_is_told() {
    let event_loop = event_loop();
    let (mut ours, peer) = tcp();
    let begin = |watcher: &mut Watcher<'_>| {
        ours.watch(watcher).unwrap();
        async move { read(&mut ours, &mut [0; 64]).await }
    };
    let remote = event_loop.remote();
    let reading = tokio::spawn(async move { remote.run(begin).await });
    sleep(Duration::from_millis(20)).await;
    // A reset, not an end.
    socket2::SockRef::from(&peer).set_linger(Some(Duration::ZERO)).unwrap();
    drop(peer);
    let read = timeout(SURELY, reading).await.unwrap().unwrap().unwrap();
    assert_eq!(read.unwrap_err().kind(), ErrorKind::ConnectionReset);
}

/// One that is read as fast as it gives, and one that wakes itself for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_always_has_something_to_do_leaves_the_others_their_turn() {
    let event_loop = event_loop();
    let (mut busy, mut peer) = tcp();
    let (stop, stopped) = mpsc::sync_channel::<()>(1);
    let flood = thread::spawn(move || {
        let piece = pattern(1 << 20);
        while stopped.try_recv().is_err() && peer.write_all(&piece).is_ok() {}
    });
    let (remote, another) = (event_loop.remote(), event_loop.remote());
    let swallows = |watcher: &mut Watcher<'_>| {
        busy.watch(watcher).unwrap();
        async move { while read(&mut busy, &mut [0; 512]).await.is_ok_and(|count| count > 0) {} }
    };
    let swallowing = tokio::spawn(async move { remote.run(swallows).await });
    let restless = |_: &mut Watcher<'_>| {
        let until = Instant::now() + Duration::from_secs(3);
        poll_fn(move |cx| {
            cx.waker().wake_by_ref();
            if Instant::now() < until { Poll::Pending } else { Poll::Ready(()) }
        })
    };
    let waking = tokio::spawn(async move { another.run(restless).await });
    let (ours, mut peer) = tcp();
    let remote = event_loop.remote();
    let echoing = tokio::spawn(async move { echo(&remote, ours).await.1 });
    for _ in 0..100 {
        peer.write_all(b"ping").unwrap();
        let mut room = [0; 4];
        peer.read_exact(&mut room).expect("it has its turn");
    }
    peer.shutdown(Shutdown::Write).unwrap();
    assert_eq!(timeout(SURELY, echoing).await.unwrap().unwrap(), 400);
    stop.send(()).unwrap();
    flood.join().unwrap();
    timeout(SURELY, swallowing).await.unwrap().unwrap().unwrap();
    timeout(SURELY, waking).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn tasks_are_woken_from_elsewhere_and_have_timers() {
    let event_loop = event_loop();
    let (sender, receiver) = oneshot::channel();
    let remote = event_loop.remote();
    let waiting = tokio::spawn(async move { remote.run(|_| receiver).await });
    let slept = timeout(SURELY, event_loop.remote().run(|_| async { sleep(Duration::from_millis(10)).await })).await;
    assert_eq!(slept.unwrap(), Some(()));
    let sending = thread::spawn(move || sender.send(7).unwrap());
    sending.join().unwrap();
    assert_eq!(timeout(SURELY, waiting).await.unwrap().unwrap().unwrap(), Ok(7));
}

#[tokio::test]
async fn a_task_that_panics_is_lost_and_no_other() {
    let event_loop = event_loop();
    let (release, released) = oneshot::channel::<()>();
    let remote = event_loop.remote();
    let other = tokio::spawn(async move { remote.run(|_| released).await });
    let panics = |_: &mut Watcher<'_>| async { panic!("made up") };
    assert_eq!(timeout(SURELY, event_loop.remote().run::<(), _>(panics)).await.unwrap(), None);
    let never_begins = |_: &mut Watcher<'_>| -> std::future::Ready<()> { panic!("made up") };
    assert_eq!(timeout(SURELY, event_loop.remote().run(never_begins)).await.unwrap(), None);
    release.send(()).unwrap();
    assert_eq!(timeout(SURELY, other).await.unwrap().unwrap(), Some(Ok(())));
}

#[tokio::test]
async fn a_task_has_two_sockets_at_most() {
    let event_loop = event_loop();
    let mut sockets = [tcp(), tcp(), tcp()];
    let begin = move |watcher: &mut Watcher<'_>| {
        let watched: Vec<_> = sockets.iter_mut().map(|(socket, _)| socket.watch(watcher).is_ok()).collect();
        async move {
            drop(sockets);
            watched
        }
    };
    assert_eq!(timeout(SURELY, event_loop.remote().run(begin)).await.unwrap(), Some(vec![true, true, false]));
}

#[tokio::test]
async fn a_loop_that_ends_ends_its_tasks_and_takes_no_more() {
    let event_loop = event_loop();
    let remote = event_loop.remote();
    let (ours, mut peer) = tcp();
    let (running, after) = (remote.clone(), remote);
    let echoing = tokio::spawn(async move {
        let mut ours = ours;
        let begin = |watcher: &mut Watcher<'_>| {
            ours.watch(watcher).unwrap();
            async move { while read(&mut ours, &mut [0; 64]).await.is_ok() {} }
        };
        running.run(begin).await
    });
    sleep(Duration::from_millis(20)).await;
    drop(event_loop);
    assert_eq!(timeout(SURELY, echoing).await.unwrap().unwrap(), None);
    assert_eq!(peer.read(&mut [0; 1]).unwrap(), 0, "its sockets are closed");
    assert_eq!(timeout(SURELY, after.run(|_| async {})).await.unwrap(), None);
}
