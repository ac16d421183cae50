//! The gate: where a policy keeps a message from the server, or ends a result.
//!
//! In: questions and looks of the relays. Out: verdicts. A relay asks only while a gate is loaded, which one atomic load a read tells:
//! load one where a policy can deny or cut, and none where none can. What a gate is asked is in [`crate::session::gate`].

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use arc_swap::ArcSwapOption;
use uuid::Uuid;

use crate::session::event::Who;
use crate::session::gate::{Going, Progress, Question, Verdict};

/// Decides. Shared by all sessions.
pub trait Gate: Send + Sync {
    /// Whether this session has to ask it at all. Told once a session and gate, when the client has said who it is: user,
    /// database and address do not change after that.
    fn concerns(&self, who: &Who) -> bool {
        let _ = who;
        true
    }

    /// A session that has asked is over.
    fn closed(&self, session_id: Uuid) {
        let _ = session_id;
    }

    /// Whether a message may go on to the server. While it is pending the client's direction of the session stands still and
    /// the server's flows; the waker of `cx` is to be woken when it is worth asking again. The same question may be asked
    /// any number of times before it is answered, and may never be asked again. It has to be answered in the end.
    ///
    /// One Execute is asked about up to three times: in its Parse, its Bind and itself. Between them time may pass, and policies
    /// change.
    fn poll_ask(&self, cx: &mut Context<'_>, question: &Question<'_>) -> Poll<Verdict>;

    /// Whether a result may go on. Asked with its first row, and then as the answer says: cheap, and never blocking.
    fn look(&self, progress: &Progress<'_>) -> Going {
        let _ = progress;
        Going::TO_THE_END
    }
}

/// The gate in force, if any. Clones share it.
#[derive(Clone, Default)]
pub struct Gates(Arc<InForce>);

#[derive(Default)]
struct InForce {
    /// Gates loaded so far.
    loaded: AtomicU64,
    /// Which of them is in force; 0: none.
    number: AtomicU64,
    gate: ArcSwapOption<Box<dyn Gate>>,
}

impl Gates {
    /// Puts a gate in force, or takes it out, for what is asked from now on.
    pub fn load(&self, gate: Option<Box<dyn Gate>>) {
        let number = match &gate {
            Some(_) => self.0.loaded.fetch_add(1, Ordering::Relaxed).saturating_add(1),
            None => 0,
        };
        self.0.gate.store(gate.map(Arc::new));
        self.0.number.store(number, Ordering::Release);
    }

    /// Which one: a number of its own for each; 0 where there is none.
    pub fn number(&self) -> u64 {
        self.0.number.load(Ordering::Acquire)
    }

    /// As [`Gate::concerns`]; with no gate in force nobody.
    pub fn concern(&self, who: &Who) -> bool {
        self.0.gate.load().as_ref().is_some_and(|gate| gate.concerns(who))
    }

    /// As [`Gate::closed`].
    pub fn closed(&self, session_id: Uuid) {
        if let Some(gate) = &*self.0.gate.load() {
            gate.closed(session_id);
        }
    }

    /// As [`Gate::poll_ask`]; with no gate in force everything is allowed.
    pub fn poll_ask(&self, cx: &mut Context<'_>, question: &Question<'_>) -> Poll<Verdict> {
        match &*self.0.gate.load() {
            Some(gate) => gate.poll_ask(cx, question),
            None => Poll::Ready(Verdict::Allow),
        }
    }

    /// As [`Gate::look`].
    pub fn look(&self, progress: &Progress<'_>) -> Going {
        match &*self.0.gate.load() {
            Some(gate) => gate.look(progress),
            None => Going::TO_THE_END,
        }
    }
}

impl fmt::Debug for Gates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gates").field("number", &self.number()).finish()
    }
}
