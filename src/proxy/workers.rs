//! The threads that relay.
//!
//! In: connections. Out: each served on one of a few threads that have a tokio runtime of their own, the one with the fewest
//! connections, from its first byte to its last: both legs of a session are waited for by one `epoll`, and nothing that happens in
//! it wakes another thread.

use std::future::Future;
use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// Running threads. They end when this is dropped, and with them what they serve.
#[derive(Debug)]
pub struct Workers {
    workers: Vec<Worker>,
}

#[derive(Debug)]
struct Worker {
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

    /// Has the worker with the fewest connections serve one more.
    pub fn spawn(&self, connections: &mut JoinSet<()>, serve: impl Future<Output = ()> + Send + 'static) {
        let Some(worker) = self.workers.iter().min_by_key(|worker| worker.connections.load(Ordering::Relaxed)) else {
            return;
        };
        worker.connections.fetch_add(1, Ordering::Relaxed);
        let counted = Counted(Arc::clone(&worker.connections));
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
        let thread = thread::Builder::new().name(format!("relay-{number}")).spawn(run)?;
        Ok(Worker { runtime: handle, connections: Arc::default(), stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
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
            workers.spawn(&mut connections, async move {
                let before = name();
                let _ = released.await;
                sender.send((before, name())).await.unwrap();
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
        workers.spawn(&mut connections, std::future::pending());
        drop(workers);
        assert!(connections.join_next().await.unwrap().unwrap_err().is_cancelled());
    }
}
