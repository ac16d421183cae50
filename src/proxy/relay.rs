//! Bytes to and fro between one client and the server.
//!
//! In: two sockets and the session's [`Ledger`]. Out: the same bytes on the other side, in order, one write a read, without
//! waiting for the end of a message; and why it ended. Both directions are stepped in turn by one poll, and neither waits for the
//! other: a client that reads nothing keeps its result from flowing, not its own next message.
//!
//! What was read is shown to the ledger first, and nothing is written before the ledger has it in the journal.
//! A direction holds at most one buffer, and none while it has nothing to write. The end of a direction is passed on as
//! such (a half-close), never made up.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::admission::Admitted;
use super::buffer::Buffer;
use super::ledger::Ledger;
use super::phase::Phase;
use super::socket::Socket;
use crate::audit::Unwritable;
use crate::session::OutOfStep;

/// Why a relay ended. Everything that the ledger has seen and the other side can take was passed on by then, unless the
/// reason is [`End::OutOfStep`], [`End::Unrecordable`] or [`End::OutOfTime`].
#[derive(Debug)]
pub enum End {
    /// The server closed its side; everything it said has been passed on.
    ServerClosed,
    /// The server's connection broke.
    ServerLost,
    /// The client's connection broke.
    ClientLost,
    /// The server's stream could not be followed. What could not be followed was not passed on.
    OutOfStep(OutOfStep),
    /// The client's stream could not be followed. What came before the message that could not was passed on, and answered,
    /// and the server has closed its side: it was told that the client had closed its own.
    ClientOutOfStep(OutOfStep),
    /// What was seen will never be in the journal. It was not passed on.
    Unrecordable(Unwritable),
    /// The sidecar is stopping, and nothing is under way in the session.
    Drained,
    /// The sidecar is stopping, and there is no time left.
    OutOfTime,
}

/// The two legs of a session and what is under way between them.
#[derive(Debug)]
pub struct Relay {
    /// The client's leg.
    pub client: Socket,
    /// The server's leg.
    pub server: Socket,
    up: Half,
    down: Half,
    /// Why nothing more of the client is passed on.
    fault: Option<OutOfStep>,
}

/// One direction.
#[derive(Debug)]
struct Half {
    buffer: Option<Buffer>,
    source: Source,
}

#[derive(Debug, PartialEq, Eq)]
enum Source {
    Open,
    /// Will say nothing more; the other side is still to be told so.
    Closed,
    /// And the other side has been told, or is gone.
    Done,
}

/// What one step of one direction came to.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// Something moved: worth another step.
    Moved,
    /// Bytes were read, and are to be shown to the ledger.
    Read,
    /// Nothing to do until a socket wakes us.
    Waiting,
    /// The side that is read is gone.
    SourceBroke,
    /// The side that is written is gone.
    SinkBroke,
}

impl Relay {
    /// A relay with the first bytes under way, the start-up message and what came behind it as a rule. The ledger has seen them.
    pub fn new(client: Socket, server: Socket, under_way: Admitted) -> Relay {
        let half = |buffer| Half { buffer, source: Source::Open };
        Relay { client, server, up: half(under_way.up), down: half(under_way.down), fault: None }
    }

    /// Moves what can be moved.
    pub fn poll(&mut self, cx: &mut Context<'_>, ledger: &mut Ledger, phase: Phase) -> Poll<End> {
        if phase == Phase::Over {
            return Poll::Ready(End::OutOfTime);
        }
        loop {
            // While what was seen cannot be recorded, nothing moves, and nothing more is read.
            if let Err(unwritable) = ready!(ledger.poll_recorded(cx)) {
                return Poll::Ready(End::Unrecordable(unwritable));
            }
            if phase == Phase::Draining && self.is_quiet() && ledger.is_idle() {
                return Poll::Ready(End::Drained);
            }
            let up_moved = match self.step_up(cx, ledger) {
                Ok(moved) => moved,
                Err(end) => return Poll::Ready(end),
            };
            let down_moved = match self.step_down(cx, ledger) {
                Ok(moved) => moved,
                Err(end) => return Poll::Ready(end),
            };
            if !up_moved && !down_moved {
                return Poll::Pending;
            }
        }
    }

    /// What the ledger has seen of the server and the client has not.
    pub fn unsaid(&self) -> &[u8] {
        self.down.pending()
    }

    fn step_up(&mut self, cx: &mut Context<'_>, ledger: &mut Ledger) -> Result<bool, End> {
        if self.up.buffer.is_none() && !ledger.wants_client() {
            // The server's next answer lets us go on.
            return Ok(false);
        }
        match self.up.step(cx, &mut self.client, &mut self.server) {
            Step::Moved => Ok(true),
            Step::Waiting => Ok(false),
            Step::Read => {
                if let Err(out_of_step) = ledger.client(self.up.pending()) {
                    self.give_up_client(out_of_step, ledger.followed());
                }
                Ok(true)
            }
            Step::SourceBroke => Err(End::ClientLost),
            Step::SinkBroke => {
                // The server is gone, but what it said before it went is still to be read.
                self.up = Half { buffer: None, source: Source::Done };
                Ok(true)
            }
        }
    }

    fn step_down(&mut self, cx: &mut Context<'_>, ledger: &mut Ledger) -> Result<bool, End> {
        if self.down.buffer.is_none() && self.down.source == Source::Closed {
            return Err(self.fault.take().map_or(End::ServerClosed, End::ClientOutOfStep));
        }
        match self.down.step(cx, &mut self.server, &mut self.client) {
            Step::Moved => Ok(true),
            Step::Waiting => Ok(false),
            Step::Read => match ledger.server(self.down.pending()) {
                Ok(()) => Ok(true),
                Err(out_of_step) => {
                    self.down.buffer = None;
                    Err(End::OutOfStep(out_of_step))
                }
            },
            Step::SourceBroke => Err(End::ServerLost),
            Step::SinkBroke => Err(End::ClientLost),
        }
    }

    /// Passes on the first `followed` bytes of what was read, then the end of the client's side: the server answers what it was
    /// asked before, and closes.
    fn give_up_client(&mut self, out_of_step: OutOfStep, followed: usize) {
        if let Some(buffer) = &mut self.up.buffer {
            buffer.keep(followed);
        }
        if followed == 0 {
            self.up.buffer = None;
        }
        self.up.source = Source::Closed;
        self.fault = Some(out_of_step);
    }

    fn is_quiet(&self) -> bool {
        self.up.pending().is_empty() && self.down.pending().is_empty()
    }
}

impl Half {
    fn pending(&self) -> &[u8] {
        self.buffer.as_ref().map_or(&[], Buffer::pending)
    }

    /// Writes what is pending, or else reads. Never both: the ledger stands between.
    fn step(&mut self, cx: &mut Context<'_>, from: &mut Socket, to: &mut Socket) -> Step {
        if let Some(buffer) = &mut self.buffer {
            match Pin::new(to).poll_write(cx, buffer.pending()) {
                Poll::Pending => return Step::Waiting,
                Poll::Ready(Err(_) | Ok(0)) => return Step::SinkBroke,
                Poll::Ready(Ok(count)) => buffer.written(count),
            }
            if buffer.pending().is_empty() {
                self.buffer = None;
            }
            return Step::Moved;
        }
        match self.source {
            Source::Open => self.read(cx, from),
            Source::Closed => match Pin::new(to).poll_shutdown(cx) {
                Poll::Pending => Step::Waiting,
                // A sink that is gone needs not be told.
                Poll::Ready(_) => {
                    self.source = Source::Done;
                    Step::Moved
                }
            },
            Source::Done => Step::Waiting,
        }
    }

    fn read(&mut self, cx: &mut Context<'_>, from: &mut Socket) -> Step {
        let mut buffer = Buffer::take();
        let mut room = ReadBuf::new(buffer.room());
        match Pin::new(from).poll_read(cx, &mut room) {
            Poll::Pending => return Step::Waiting,
            Poll::Ready(Err(_)) => return Step::SourceBroke,
            Poll::Ready(Ok(())) => {}
        }
        let count = room.filled().len();
        if count == 0 {
            self.source = Source::Closed;
            return Step::Moved;
        }
        buffer.filled(count);
        self.buffer = Some(buffer);
        Step::Read
    }
}
