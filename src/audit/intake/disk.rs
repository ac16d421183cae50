//! Group commit: one thread has the disk take what was appended, for all who wait.
//!
//! In: who waits, and for which event. Out: the word to each that the disk has it, or why not, after an attempt (one `fdatasync`)
//! that began when it had been appended. Who comes while an attempt is under way is served by the next one, together with everybody
//! else who came meanwhile. A failed attempt is not repeated until somebody asks again.

use std::future::Future;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::Position;
use crate::audit::UnwritableReason;

/// What an attempt came to.
pub(super) struct Attempt {
    /// The last event that had been appended when it began.
    pub through: Position,
    /// Whether the disk has it, and all before it.
    pub result: Result<(), UnwritableReason>,
}

/// Clones share the thread, which ends when the last is dropped.
#[derive(Clone)]
pub(super) struct Disk(Arc<Handle>);

struct Handle(Arc<Inner>);

struct Inner {
    work: Mutex<Work>,
    came: Condvar,
    told: watch::Sender<Told>,
}

#[derive(Default)]
struct Work {
    asked: bool,
    over: bool,
}

/// What is known of the disk.
#[derive(Clone, Copy, Default)]
struct Told {
    attempts: u64,
    /// The last event that it has.
    synced: Position,
    /// Where the last attempt failed: through which event it was to go.
    failed: Option<(Position, UnwritableReason)>,
}

impl Disk {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system has none to give.
    pub(super) fn start(attempt: impl FnMut() -> Attempt + Send + 'static) -> io::Result<Disk> {
        let inner = Arc::new(Inner { work: Mutex::default(), came: Condvar::new(), told: watch::Sender::default() });
        let theirs = Arc::clone(&inner);
        std::thread::Builder::new().name("intake-disk".to_owned()).spawn(move || theirs.run(attempt))?;
        Ok(Disk(Arc::new(Handle(inner))))
    }

    /// Asks for everything through that event; ready when the disk has it.
    pub(super) fn wait(&self, through: Position) -> impl Future<Output = Result<(), UnwritableReason>> + Send + use<> {
        let inner = &self.0.0;
        let mut told = inner.told.subscribe();
        let before = *told.borrow_and_update();
        if before.synced < through {
            inner.lock().asked = true;
            inner.came.notify_one();
        }
        let is_of_us = move |told: &Told| told.attempts > before.attempts;
        async move {
            let done = told.wait_for(|told| {
                let failed = told.failed.is_some_and(|(covered, _)| covered >= through);
                told.synced >= through || (failed && is_of_us(told))
            });
            match done.await.map(|told| *told) {
                Ok(Told { failed: Some((_, reason)), synced, .. }) if synced < through => Err(reason),
                Ok(_) => Ok(()),
                Err(_) => Err(UnwritableReason::System(io::ErrorKind::BrokenPipe)),
            }
        }
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, mut attempt: impl FnMut() -> Attempt) {
        loop {
            let idle = |work: &mut Work| !work.asked && !work.over;
            let mut work = self.came.wait_while(self.lock(), idle).unwrap_or_else(PoisonError::into_inner);
            if work.over {
                return;
            }
            work.asked = false;
            drop(work);
            let Attempt { through, result } = attempt();
            self.told.send_modify(|told| {
                told.attempts += 1;
                told.failed = result.err().map(|reason| (through, reason));
                if result.is_ok() {
                    told.synced = told.synced.max(through);
                }
            });
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.lock().over = true;
        self.0.came.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
    use std::time::Duration;

    use super::*;

    /// A disk whose attempts begin and end as the test says.
    struct Scene {
        disk: Disk,
        appended: Arc<AtomicU64>,
        begun: Receiver<()>,
        end: SyncSender<Result<(), UnwritableReason>>,
    }

    fn scene() -> Scene {
        let appended = Arc::new(AtomicU64::new(0));
        let (begins, begun) = sync_channel(1);
        let (end, ends) = sync_channel(1);
        let theirs = Arc::clone(&appended);
        let disk = Disk::start(move || {
            let through = Position(theirs.load(Ordering::SeqCst));
            begins.send(()).unwrap();
            Attempt { through, result: ends.recv().unwrap() }
        });
        Scene { disk: disk.unwrap(), appended, begun, end }
    }

    impl Scene {
        /// One more event, and who waits for it.
        fn append(&self) -> impl Future<Output = Result<(), UnwritableReason>> + Send + use<> {
            let through = self.appended.fetch_add(1, Ordering::SeqCst) + 1;
            self.disk.wait(Position(through))
        }

        fn begun(&self) {
            self.begun.recv_timeout(Duration::from_secs(60)).unwrap();
        }
    }

    const FULL: UnwritableReason = UnwritableReason::System(io::ErrorKind::StorageFull);

    #[tokio::test]
    async fn those_who_come_during_an_attempt_share_the_next_one() {
        let scene = scene();
        let first = tokio::spawn(scene.append());
        scene.begun();
        let others: Vec<_> = (0..100).map(|_| tokio::spawn(scene.append())).collect();
        scene.end.send(Ok(())).unwrap();
        assert_eq!(first.await.unwrap(), Ok(()));
        scene.begun();
        assert!(others.iter().all(|other| !other.is_finished()), "the first attempt began before them");
        scene.end.send(Ok(())).unwrap();
        for other in others {
            assert_eq!(other.await.unwrap(), Ok(()));
        }
        assert!(scene.begun.recv_timeout(Duration::from_millis(50)).is_err(), "nobody waits for a third");
        assert_eq!(scene.disk.wait(Position(101)).await, Ok(()));
    }

    #[tokio::test]
    async fn a_failure_is_told_to_those_whom_it_concerns_and_is_tried_again_when_asked() {
        let scene = scene();
        let first = tokio::spawn(scene.append());
        scene.begun();
        let second = tokio::spawn(scene.append());
        tokio::task::yield_now().await;
        scene.end.send(Err(FULL)).unwrap();
        assert_eq!(first.await.unwrap(), Err(FULL));
        scene.begun();
        scene.end.send(Ok(())).unwrap();
        assert_eq!(second.await.unwrap(), Ok(()));
        assert_eq!(scene.disk.wait(Position(1)).await, Ok(()), "the second attempt covered it");

        let third = tokio::spawn(scene.append());
        scene.begun();
        scene.end.send(Err(FULL)).unwrap();
        assert_eq!(third.await.unwrap(), Err(FULL));
        let again = tokio::spawn(scene.disk.wait(Position(3)));
        scene.begun();
        scene.end.send(Ok(())).unwrap();
        assert_eq!(again.await.unwrap(), Ok(()));
    }

    #[test]
    fn the_thread_ends_with_the_last_who_could_ask() {
        let held = Arc::new(());
        let (theirs, watched) = (Arc::clone(&held), Arc::downgrade(&held));
        drop(held);
        let disk = Disk::start(move || {
            let _ = &theirs;
            Attempt { through: Position(0), result: Ok(()) }
        });
        let disk = disk.unwrap();
        drop(disk.clone());
        assert!(watched.upgrade().is_some());
        drop(disk);
        for _ in 0..6_000 {
            if watched.upgrade().is_none() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("it goes on");
    }
}
