//! A thread that waits for sockets by itself, and polls the tasks that wait for them.
//!
//! In: tasks, each with the sockets that it has watched ([`Remote::run`]). Out: what a task comes to. A relay of two sockets needs of a runtime
//! to be polled when one of them has something, and nothing else; and this does nothing else, which took a seventh off the cost of a plain
//! relay (benches/README.md). What a task waits for beside its sockets wakes it from elsewhere: timers are tokio's, of the runtime that the
//! loop was started with. A task that panics is lost, and no other.

#[cfg(test)]
mod tests;

use std::fmt;
use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use mio::event::Source;
use mio::{Events, Interest, Registry, Token};
use slab::Slab;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::together;
use super::watched::Readiness;

/// What the system tells of at once.
const EVENTS_MAX: usize = 1_024;
/// Sockets that one task may have watched.
const SOCKETS_MAX: usize = 2;
/// Of who wakes the loop itself.
const WAKE: Token = Token(usize::MAX);

/// A running loop. It ends when this is dropped, and with it its tasks.
#[derive(Debug)]
pub struct EventLoop {
    remote: Remote,
    thread: Option<thread::JoinHandle<()>>,
}

/// Where to give it tasks.
#[derive(Clone)]
pub struct Remote(Arc<Inbox>);

/// What a task has its sockets watched by.
pub struct Watcher<'l> {
    registry: &'l Arc<Registry>,
    index: usize,
    watched: Vec<Arc<Readiness>>,
}

type Task = Pin<Box<dyn Future<Output = ()>>>;
type Begin = Box<dyn FnOnce(&mut Watcher<'_>) -> Task + Send>;

/// What other threads, and tasks while they are polled, have for the loop.
struct Inbox {
    waker: mio::Waker,
    /// Whether the loop waits for the system, or is about to.
    is_asleep: AtomicBool,
    has_news: AtomicBool,
    news: Mutex<News>,
}

#[derive(Default)]
struct News {
    begin: Vec<Begin>,
    /// Each at most once.
    woken: Vec<Arc<Bell>>,
    is_over: bool,
}

/// What wakes one task.
struct Bell {
    inbox: Arc<Inbox>,
    index: usize,
    is_rung: AtomicBool,
}

/// A task of the loop's.
struct Running {
    task: Task,
    bell: Arc<Bell>,
    waker: Waker,
    watched: Vec<Arc<Readiness>>,
    /// To be polled in this turn.
    is_due: bool,
}

impl EventLoop {
    /// Starts a loop on a thread of that name.
    ///
    /// # Errors
    /// The system has no thread to give, or nothing to wait with.
    pub fn start(name: String, timers: Handle) -> io::Result<EventLoop> {
        let poll = mio::Poll::new()?;
        let registry = Arc::new(poll.registry().try_clone()?);
        let inbox = Arc::new(Inbox {
            waker: mio::Waker::new(&registry, WAKE)?,
            is_asleep: AtomicBool::new(false),
            has_news: AtomicBool::new(false),
            news: Mutex::default(),
        });
        let remote = Remote(Arc::clone(&inbox));
        let run = move || {
            let _entered = timers.enter();
            Turning { inbox, registry, tasks: Slab::new(), due: Vec::new(), joined: Vec::new() }.run(poll);
        };
        let thread = thread::Builder::new().name(name).spawn(run)?;
        Ok(EventLoop { remote, thread: Some(thread) })
    }

    /// Where to give it tasks.
    pub fn remote(&self) -> Remote {
        self.remote.clone()
    }
}

impl Drop for EventLoop {
    fn drop(&mut self) {
        self.remote.0.tell(|news| news.is_over = true);
        if let Some(thread) = self.thread.take() {
            // A panic of a task's is the task's; the thread has none of its own.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Remote")
    }
}

impl Remote {
    /// Runs a task to its end on the loop's thread, where `begin` has made it; what it came to, or `None` where it panicked, or the loop ended
    /// before it.
    pub async fn run<T, F>(&self, begin: impl FnOnce(&mut Watcher<'_>) -> F + Send + 'static) -> Option<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + 'static,
    {
        let (sender, outcome) = oneshot::channel();
        let begin: Begin = Box::new(move |watcher| {
            let task = begin(watcher);
            Box::pin(async move {
                // Who asked may be gone.
                let _ = sender.send(task.await);
            })
        });
        self.0.tell(|news| match news.is_over {
            true => drop(begin),
            false => news.begin.push(begin),
        });
        outcome.await.ok()
    }
}

impl Watcher<'_> {
    /// Has a socket watched for the task that is about to begin; two at most.
    ///
    /// # Errors
    /// What the system said, or that there are two already.
    pub fn watch(&mut self, socket: &mut impl Source) -> io::Result<Arc<Readiness>> {
        if self.watched.len() >= SOCKETS_MAX {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let token = Token(self.index * SOCKETS_MAX + self.watched.len());
        self.registry.register(socket, token, Interest::READABLE | Interest::WRITABLE)?;
        let readiness = Arc::new(Readiness::new(Arc::clone(self.registry)));
        self.watched.push(Arc::clone(&readiness));
        Ok(readiness)
    }
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, News> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, tell: impl FnOnce(&mut News)) {
        tell(&mut self.lock());
        // Either this is seen by the loop before it sleeps, or that it sleeps is seen here.
        self.has_news.store(true, Ordering::SeqCst);
        if self.is_asleep.swap(false, Ordering::SeqCst)
            && let Err(error) = self.waker.wake()
        {
            tracing::error!(%error, "a thread that relays could not be woken");
        }
    }

    /// How long the loop may wait for the system: not at all where there is news.
    fn falls_asleep(&self) -> Option<Duration> {
        self.is_asleep.store(true, Ordering::SeqCst);
        if !self.has_news.load(Ordering::SeqCst) {
            return None;
        }
        self.is_asleep.store(false, Ordering::Relaxed);
        Some(Duration::ZERO)
    }

    /// Nothing begins any more, not even what has been told.
    fn close(&self) {
        let told = std::mem::replace(&mut *self.lock(), News { is_over: true, ..News::default() });
        drop(told);
    }

    fn take(&self) -> Option<News> {
        self.is_asleep.store(false, Ordering::Relaxed);
        self.has_news.swap(false, Ordering::SeqCst).then(|| std::mem::take(&mut *self.lock()))
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.is_rung.swap(true, Ordering::SeqCst) {
            self.inbox.tell(|news| news.woken.push(Arc::clone(self)));
        }
    }
}

/// The loop, on its thread.
struct Turning {
    inbox: Arc<Inbox>,
    registry: Arc<Registry>,
    tasks: Slab<Running>,
    /// Those to be polled in this turn.
    due: Vec<usize>,
    /// Those of them that have joined in what is appended together, and are to be polled again.
    joined: Vec<usize>,
}

impl Turning {
    fn run(mut self, mut poll: mio::Poll) {
        let mut events = Events::with_capacity(EVENTS_MAX);
        loop {
            match poll.poll(&mut events, self.inbox.falls_asleep()) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                    tracing::error!(%error, "a thread that relays cannot wait for its sockets and ends");
                    return;
                }
                _ => {}
            }
            for event in events.iter().filter(|event| event.token() != WAKE) {
                let Token(token) = event.token();
                let Some(running) = self.tasks.get_mut(token / SOCKETS_MAX) else { continue };
                if let Some(readiness) = running.watched.get(token % SOCKETS_MAX) {
                    readiness.told(event);
                }
                running.fall_due(token / SOCKETS_MAX, &mut self.due);
            }
            if let Some(news) = self.inbox.take()
                && !self.hear(news)
            {
                return;
            }
            self.turn();
        }
    }

    /// Polls those that are due; and again, once all had their turn, those that joined in an append.
    fn turn(&mut self) {
        let several = self.due.len() > 1;
        if several {
            together::open();
        }
        for at in 0..self.due.len() {
            let Some(&index) = self.due.get(at) else { break };
            if let Some(running) = self.tasks.get_mut(index) {
                running.is_due = false;
                running.watched.iter().for_each(|readiness| readiness.begin_turn());
            }
            self.step(index);
            if several && together::has_joined() {
                self.joined.push(index);
            }
        }
        self.due.clear();
        if several {
            together::close();
        }
        for at in 0..self.joined.len() {
            self.joined.get(at).copied().into_iter().for_each(|index| self.step(index));
        }
        self.joined.clear();
    }

    /// False where it is over.
    fn hear(&mut self, news: News) -> bool {
        for bell in news.woken {
            bell.is_rung.store(false, Ordering::SeqCst);
            // Another may have its place meanwhile.
            if let Some(running) = self.tasks.get_mut(bell.index).filter(|running| Arc::ptr_eq(&running.bell, &bell)) {
                running.fall_due(bell.index, &mut self.due);
            }
        }
        news.begin.into_iter().for_each(|begin| self.begin(begin));
        !news.is_over
    }

    fn begin(&mut self, begin: Begin) {
        let place = self.tasks.vacant_entry();
        let index = place.key();
        let mut watcher = Watcher { registry: &self.registry, index, watched: Vec::with_capacity(SOCKETS_MAX) };
        let Ok(task) = catch_unwind(AssertUnwindSafe(|| begin(&mut watcher))) else { return };
        let bell = Arc::new(Bell { inbox: Arc::clone(&self.inbox), index, is_rung: AtomicBool::new(false) });
        let waker = Waker::from(Arc::clone(&bell));
        let running = place.insert(Running { task, bell, waker, watched: watcher.watched, is_due: false });
        running.fall_due(index, &mut self.due);
    }

    fn step(&mut self, index: usize) {
        let Some(running) = self.tasks.get_mut(index) else { return };
        let Running { task, waker, .. } = running;
        let polled = catch_unwind(AssertUnwindSafe(|| task.as_mut().poll(&mut Context::from_waker(waker))));
        if !matches!(polled, Ok(Poll::Pending)) {
            // What a task holds may panic, too, when it is dropped.
            let over = self.tasks.try_remove(index);
            let _ = catch_unwind(AssertUnwindSafe(|| drop(over)));
        }
    }
}

impl Drop for Turning {
    fn drop(&mut self) {
        self.inbox.close();
    }
}

impl Running {
    fn fall_due(&mut self, index: usize, due: &mut Vec<usize>) {
        if !std::mem::replace(&mut self.is_due, true) {
            due.push(index);
        }
    }
}
