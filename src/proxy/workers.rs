//! The threads that relay.
//!
//! In: connections. Out: each served by one of a few workers, the one with the fewest connections, from its first byte to its last. A worker is
//! two threads. One has a tokio runtime of its own: there a session begins and ends, and there it stays where a leg is encrypted. The other has
//! an event loop of its own, which waits for both legs of a session by one `epoll`: nothing that happens in it wakes another thread.

use std::future::Future;
use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::event_loop::{EventLoop, Remote};

/// Running threads. They end when this is dropped, and with them what they serve.
#[derive(Debug)]
pub struct Workers {
    workers: Vec<Worker>,
}

#[derive(Debug)]
struct Worker {
    /// Ends before the runtime, whose timers its tasks have.
    event_loop: Option<EventLoop>,
    runtime: Handle,
    connections: Arc<AtomicUsize>,
    /// Dropped to have the thread end.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

/// One connection of a worker's.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Workers {
    /// One for every second core: the server, on the same machine as a rule, needs the other half, and the fewer threads
    /// share the sessions, the more of them each wake-up serves.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub fn start() -> io::Result<Workers> {
        let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let workers: io::Result<Vec<Worker>> = (0..cores.div_ceil(2)).map(Worker::start).collect();
        Ok(Workers { workers: workers? })
    }

    /// Has the worker with the fewest connections serve one more, with its event loop at hand.
    pub fn spawn<F>(&self, connections: &mut JoinSet<()>, serve: impl FnOnce(Remote) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let least = self.workers.iter().min_by_key(|worker| worker.connections.load(Ordering::Relaxed));
        let Some((worker, event_loop)) = least.and_then(|worker| Some((worker, worker.event_loop.as_ref()?.remote())))
        else {
            return;
        };
        worker.connections.fetch_add(1, Ordering::Relaxed);
        let counted = Counted(Arc::clone(&worker.connections));
        let serve = serve(event_loop);
        let served = async move {
            let _counted = counted;
            serve.await;
        };
        connections.spawn_on(served, &worker.runtime);
    }
}

impl Worker {
    fn start(number: usize) -> io::Result<Worker> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let run = move || {
            // Nothing is ever sent: the sender's end is the sign.
            let _ = runtime.block_on(stopped);
        };
        let event_loop = EventLoop::start(format!("relay-{number}"), handle.clone())?;
        let thread = thread::Builder::new().name(format!("session-{number}")).spawn(run)?;
        Ok(Worker {
            event_loop: Some(event_loop),
            runtime: handle,
            connections: Arc::default(),
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.event_loop.take());
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of a task's is the task's; the thread has none of its own.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn connections_are_spread_evenly_and_stay_where_they_are() {
        let workers = Workers { workers: (0..2).map(|number| Worker::start(number).unwrap()).collect() };
        let mut connections = JoinSet::new();
        let (sender, mut names) = tokio::sync::mpsc::channel(6);
        let mut held = Vec::new();
        for _ in 0..6 {
            let (release, released) = oneshot::channel::<()>();
            held.push(release);
            let sender = sender.clone();
            let name = || thread::current().name().map(str::to_owned);
            workers.spawn(&mut connections, |event_loop| async move {
                let waiting = async move {
                    let before = name();
                    let _ = released.await;
                    (before, name())
                };
                sender.send(event_loop.run(|_| waiting).await.unwrap()).await.unwrap();
            });
        }
        drop((held, sender));
        while connections.join_next().await.is_some() {}
        let mut seen = Vec::new();
        while let Some((before, after)) = names.recv().await {
            assert_eq!(before, after);
            seen.push(before.unwrap());
        }
        seen.sort_unstable();
        assert_eq!(seen, ["relay-0", "relay-0", "relay-0", "relay-1", "relay-1", "relay-1"]);
        assert!(workers.workers.iter().all(|worker| worker.connections.load(Ordering::Relaxed) == 0));
    }

    #[tokio::test]
    async fn what_is_served_ends_with_the_workers() {
        let workers = Workers::start().unwrap();
        let mut connections = JoinSet::new();
        workers.spawn(&mut connections, |_| std::future::pending());
        workers.spawn(&mut connections, |event_loop| async move {
            // The runtime may be shut down before it hears of that.
            let ended = event_loop.run(|_| std::future::pending::<()>()).await;
            assert!(ended.is_none());
        });
        drop(workers);
        for _ in 0..2 {
            let ended = connections.join_next().await.unwrap();
            assert!(ended.err().is_none_or(|error| error.is_cancelled()));
        }
    }
}
