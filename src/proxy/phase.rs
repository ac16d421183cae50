//! How far a stop has come, as running sessions see it.
//!
//! In: changes of a [`Phase`]. Out: a session's poll, woken by a change, at the price of one atomic load a poll.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll};

use tokio::sync::watch;

/// Rising only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// As ever.
    #[default]
    Open,
    /// Sessions end as soon as nothing is under way in them.
    Draining,
    /// Sessions end.
    Over,
}

/// Drives `step` with the phase in force, and again when it changes, until it is ready.
///
/// A change is waited for with the waker of the first poll after the one before: this must be awaited by a task of its
/// own, not from within a combinator that makes wakers.
pub async fn drive<T>(
    mut phases: watch::Receiver<Phase>,
    mut step: impl FnMut(&mut Context<'_>, Phase) -> Poll<T>,
) -> T {
    let mut probe = phases.clone();
    loop {
        let phase = *phases.borrow_and_update();
        probe.mark_unchanged();
        // Else a change between the two lines above would be seen by `phases` only.
        if *probe.borrow() != phase {
            continue;
        }
        let mut changed = pin!(phases.changed());
        let mut is_waiting = false;
        let outcome = poll_fn(|cx| {
            if !is_waiting || probe.has_changed().unwrap_or(false) {
                is_waiting = true;
                if let Poll::Ready(Ok(())) = changed.as_mut().poll(cx) {
                    return Poll::Ready(None);
                }
            }
            step(cx, phase).map(Some)
        });
        if let Some(done) = outcome.await {
            return done;
        }
    }
}
