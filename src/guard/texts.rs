//! Texts → analyses, for those who may not wait on a thread.
//!
//! In: a statement's text and a waker. Out: its analyses, or later. A text is parsed once while it stays in the cache, on threads
//! with a large stack of their own. Whoever finds the queue full is woken when there is room.

use std::collections::HashMap;
use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use arc_swap::ArcSwap;

use crate::analysis::parsers::{Analyses, Cache, PARSER_STACK_BYTES, analyses_of};
use crate::sql::seal::Keys;

/// Threads that parse.
const THREADS: usize = 2;
/// Texts that may wait for a parser.
const QUEUE_TEXTS_MAX: usize = 1_024;

/// See the module.
pub struct Texts {
    keys: Arc<ArcSwap<Keys>>,
    desk: Arc<Mutex<Desk>>,
    jobs: SyncSender<Arc<[u8]>>,
}

#[derive(Default)]
struct Desk {
    cache: Cache,
    /// Being parsed, and who waits: one a session at most.
    under_way: HashMap<Arc<[u8]>, Vec<Waker>>,
    /// Found the queue full.
    turned_away: Vec<Waker>,
}

impl Texts {
    /// Starts the threads. They end when this is dropped.
    pub fn start(keys: &Arc<ArcSwap<Keys>>) -> io::Result<Texts> {
        let (jobs, queue) = sync_channel(QUEUE_TEXTS_MAX);
        let desk = Arc::new(Mutex::new(Desk::default()));
        let queue = Arc::new(Mutex::new(queue));
        for number in 0..THREADS {
            let (queue, desk, keys) = (Arc::clone(&queue), Arc::clone(&desk), Arc::clone(keys));
            let thread = std::thread::Builder::new().name(format!("guard-{number}")).stack_size(PARSER_STACK_BYTES);
            thread.spawn(move || parse(&queue, &desk, &keys))?;
        }
        Ok(Texts { keys: Arc::clone(keys), desk, jobs })
    }

    /// The analyses of a text. Where they are not known yet, the waker of `cx` is woken when it is worth asking again.
    pub fn poll(&self, cx: &Context<'_>, text: &[u8]) -> Poll<Analyses> {
        let mut desk = lock(&self.desk);
        desk.cache.hold_by(&self.keys.load());
        if let Some(analyses) = desk.cache.get(text) {
            return Poll::Ready(analyses);
        }
        if let Some(waiting) = desk.under_way.get_mut(text) {
            wait(waiting, cx.waker());
            return Poll::Pending;
        }
        let text: Arc<[u8]> = text.into();
        match self.jobs.try_send(Arc::clone(&text)) {
            Ok(()) => {
                desk.under_way.insert(text, vec![cx.waker().clone()]);
            }
            Err(_) => wait(&mut desk.turned_away, cx.waker()),
        }
        Poll::Pending
    }
}

fn wait(waiting: &mut Vec<Waker>, waker: &Waker) {
    if !waiting.iter().any(|known| known.will_wake(waker)) {
        waiting.push(waker.clone());
    }
}

fn parse(queue: &Mutex<Receiver<Arc<[u8]>>>, desk: &Mutex<Desk>, keys: &ArcSwap<Keys>) {
    loop {
        let job = lock(queue).recv();
        let Ok(text) = job else { return };
        let analyses = analyses_of(&text, &keys.load());
        let mut desk = lock(desk);
        let mut woken = desk.under_way.remove(&text).unwrap_or_default();
        woken.append(&mut desk.turned_away);
        desk.cache.put(&text, analyses);
        drop(desk);
        woken.into_iter().for_each(Waker::wake);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    #[tokio::test]
    async fn a_text_comes_later_and_then_at_once() {
        let texts = Texts::start(&Arc::default()).expect("threads");
        let first = poll_fn(|cx| texts.poll(cx, b"select 1; select 2")).await;
        assert_eq!(first.len(), 2);
        let again = poll_fn(|cx| texts.poll(cx, b"select 1; select 2")).await;
        assert!(Arc::ptr_eq(&first, &again));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn more_than_fit_in_the_queue_are_all_answered() {
        let texts = Arc::new(Texts::start(&Arc::default()).expect("threads"));
        let tasks: Vec<_> = (0..QUEUE_TEXTS_MAX * 2)
            .map(|number| {
                let (texts, text) = (Arc::clone(&texts), format!("select {number}"));
                tokio::spawn(async move { poll_fn(|cx| texts.poll(cx, text.as_bytes())).await.len() })
            })
            .collect();
        for task in tasks {
            assert_eq!(task.await.expect("no panic"), 1);
        }
    }
}
