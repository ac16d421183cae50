//! Who is here: the sessions that run, to end those that are to be kept out.
//!
//! In: sessions that begin and end, and who is not to be here any more. Out: the word to a session, which is woken for it; and which of the
//! server's processes are ours. A session that is left alone pays one atomic load a poll.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Context;

use futures_util::task::AtomicWaker;
use uuid::Uuid;

use crate::session::event::Who;
use crate::session::gate::Denial;

/// All sessions. Clones share it.
#[derive(Clone, Default)]
pub struct Presence(Arc<Room>);

/// Processes that are remembered of sessions that have gone since somebody asked: beyond, who asks is told what is left.
const LEFT_MAX: usize = 65_536;

#[derive(Default)]
struct Room {
    seats: Mutex<HashMap<Uuid, Arc<Seat>>>,
    /// The server's processes of those who have gone since they were last asked for.
    left: Mutex<HashSet<u32>>,
    /// Whether anybody asks.
    is_asked: AtomicBool,
}

/// One session.
pub struct Seat {
    db_user: Option<String>,
    client_addr: String,
    /// The server's process; 0 until it is known.
    pid: AtomicU32,
    is_told: AtomicBool,
    word: Mutex<Option<Denial>>,
    waker: AtomicWaker,
}

/// Gives the seat back when it is dropped.
pub struct Seated {
    seat: Arc<Seat>,
    id: Uuid,
    presence: Presence,
}

impl Presence {
    /// A session takes its seat; before it is looked up whether it is kept out, so that no moment is missed.
    pub fn sit(&self, who: &Who) -> Seated {
        let seat = Arc::new(Seat {
            db_user: who.db_user.clone(),
            client_addr: who.client_addr.clone(),
            pid: AtomicU32::new(0),
            is_told: AtomicBool::new(false),
            word: Mutex::default(),
            waker: AtomicWaker::new(),
        });
        lock(&self.0.seats).insert(who.session_id, Arc::clone(&seat));
        Seated { seat, id: who.session_id, presence: self.clone() }
    }

    /// How many there are.
    pub fn sessions(&self) -> usize {
        lock(&self.0.seats).len()
    }

    /// Tells all to go whom `keeps_out` (user, address) has a word for. How many.
    pub fn tell(&self, keeps_out: impl Fn(Option<&str>, &str) -> Option<Denial>) -> usize {
        let seats: Vec<Arc<Seat>> = lock(&self.0.seats).values().cloned().collect();
        let mut told: usize = 0;
        for seat in seats.iter().filter(|seat| !seat.is_told.load(Ordering::Acquire)) {
            if let Some(denial) = keeps_out(seat.db_user.as_deref(), &seat.client_addr) {
                *lock(&seat.word) = Some(denial);
                seat.is_told.store(true, Ordering::Release);
                seat.waker.wake();
                told = told.saturating_add(1);
            }
        }
        told
    }

    /// The server's processes of those who are here, or have gone since this was last asked.
    pub fn backends(&self) -> HashSet<u32> {
        self.0.is_asked.store(true, Ordering::Relaxed);
        // In this order: who goes meanwhile is in one of them.
        let mut backends: HashSet<u32> = {
            let seats = lock(&self.0.seats);
            seats.values().map(|seat| seat.pid.load(Ordering::Relaxed)).filter(|pid| *pid != 0).collect()
        };
        backends.extend(lock(&self.0.left).drain());
        backends
    }
}

impl fmt::Debug for Presence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presence").field("sessions", &self.sessions()).finish()
    }
}

impl Seated {
    /// To be woken when the word comes: once, by a task of its own.
    pub fn listen(&self, cx: &Context<'_>) {
        self.seat.waker.register(cx.waker());
    }

    /// The server has said which of its processes serves this session.
    pub fn is_served_by(&self, pid: u32) {
        self.seat.pid.store(pid, Ordering::Relaxed);
    }

    /// The word to go, if it has come.
    pub fn word(&self) -> Option<Denial> {
        if !self.seat.is_told.load(Ordering::Acquire) {
            return None;
        }
        lock(&self.seat.word).clone()
    }
}

impl Drop for Seated {
    fn drop(&mut self) {
        let room = &self.presence.0;
        let pid = self.seat.pid.load(Ordering::Relaxed);
        if pid != 0 && room.is_asked.load(Ordering::Relaxed) {
            let mut left = lock(&room.left);
            if left.len() < LEFT_MAX {
                left.insert(pid);
            }
        }
        lock(&room.seats).remove(&self.id);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
