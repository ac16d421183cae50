//! The relay's client direction where a gate is loaded.
//!
//! In: what was read of the client. Out: what may go to the server, in its order, one write a read as a rule. What may be denied waits
//! here until it is judged: see [`crate::session::gate`].

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::AsyncWrite;

use super::buffer::Buffer;
use super::ledger::Ledger;
use super::socket::Socket;
use crate::session::{Heard, OutOfStep, Outgoing};

/// What stands between the client and the server.
#[derive(Debug, Default)]
pub struct Turnstile {
    /// Read, and not shown to the ledger yet.
    unheard: Option<Buffer>,
    /// Shown, and not written.
    out: Outgoing,
}

/// What one step came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Turn {
    /// Something moved: worth another step.
    Moved,
    /// It is empty, or all that is in it is the beginning of a message: more has to be read.
    Empty,
    /// Nothing to do until a socket or the gate wakes us.
    Waiting,
    /// The server is gone.
    SinkBroke,
}

impl Turnstile {
    /// Takes what was read. Only when the last step said [`Turn::Empty`].
    pub fn take(&mut self, read: Buffer) {
        self.unheard = Some(read);
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.unheard.is_none() && self.out.is_empty()
    }

    /// Writes what may go, or else hears on. Never both: the journal stands between.
    ///
    /// # Errors
    /// The client's bytes cannot be followed. What came before is still to be written.
    pub fn step(&mut self, cx: &mut Context<'_>, ledger: &mut Ledger, server: &mut Socket) -> Result<Turn, OutOfStep> {
        if !self.out.free().is_empty() {
            return Ok(match Pin::new(server).poll_write(cx, self.out.free()) {
                Poll::Pending => Turn::Waiting,
                Poll::Ready(Err(_) | Ok(0)) => Turn::SinkBroke,
                Poll::Ready(Ok(count)) => {
                    self.out.written(count);
                    Turn::Moved
                }
            });
        }
        let Some(buffer) = &mut self.unheard else { return Ok(Turn::Empty) };
        let mut rest = buffer.pending();
        let before = rest.len();
        let heard = ledger.client_gated(&mut rest, &mut self.out);
        let taken = before - rest.len();
        buffer.written(taken);
        let heard = heard.inspect_err(|_| self.give_up())?;
        Ok(match heard {
            Heard::All => {
                self.unheard = None;
                Turn::Moved
            }
            Heard::Asks => match ledger.poll_judged(cx, &mut self.out).inspect_err(|_| self.give_up())? {
                Poll::Ready(()) => Turn::Moved,
                // What came before the message may go meanwhile.
                Poll::Pending => self.waiting(taken),
            },
            Heard::Waits => self.waiting(taken),
        })
    }

    /// Forgets what is not free to go.
    fn give_up(&mut self) {
        self.unheard = None;
        self.out.forget_held();
    }

    fn waiting(&self, taken: usize) -> Turn {
        if taken > 0 || !self.out.free().is_empty() { Turn::Moved } else { Turn::Waiting }
    }
}
