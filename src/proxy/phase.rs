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
        // The round of wake-ups of the change that brought us here may still be under way, and may use up the new waiting: while a
        // stop is under way it is looked after at every poll.
        let mut is_waiting = false;
        let is_stopping = phase > Phase::Open;
        let outcome = poll_fn(|cx| {
            if !is_waiting || is_stopping || probe.has_changed().unwrap_or(false) {
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::task::JoinSet;
    use tokio::time;

    use super::*;

    /// tokio wakes the waiting in several rounds: one that waits anew between two of them is woken by the next for nothing.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn every_session_hears_of_every_phase() {
        let (phase, phases) = watch::channel(Phase::Open);
        let mut sessions = JoinSet::new();
        for _ in 0..500 {
            let phases = phases.clone();
            let until_over =
                |_: &mut Context<'_>, phase| if phase == Phase::Over { Poll::Ready(()) } else { Poll::Pending };
            sessions.spawn(drive(phases, until_over));
        }
        for next in [Phase::Draining, Phase::Over] {
            time::sleep(Duration::from_millis(50)).await;
            phase.send_replace(next);
        }
        let all = async { while sessions.join_next().await.is_some() {} };
        time::timeout(Duration::from_secs(20), all).await.expect("each of them heard");
    }
}
