//! Bytes to and fro between one client and the server.
//!
//! In: two sockets and the session's [`Ledger`]. Out: the same bytes on the other side, in order, one write a read, without
//! waiting for the end of a message; and why it ended. Both directions are stepped in turn by one poll, and neither waits for the
//! other: a client that reads nothing keeps its result from flowing, not its own next message.
//!
//! What was read is shown to the ledger first, and nothing is written before the ledger has it in the journal.
//! A direction holds at most one buffer, and none while it has nothing to write. The end of a direction is passed on as
//! such (a half-close), never made up.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::admission::Admitted;
use super::buffer::Buffer;
use super::event_loop::Watcher;
use super::gathering::Gathering;
use super::ledger::Ledger;
use super::phase::Phase;
use super::socket::Socket;
use super::turnstile::{Turn, Turnstile};
use crate::audit::Unwritable;
use crate::session::OutOfStep;
use crate::session::gate::Denial;

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
    /// A stream could not be followed. What could not be followed was not passed on. Of the client's, what came before it
    /// was, and then the end of its side; the server has answered and closed.
    OutOfStep(OutOfStep),
    /// What was seen will never be in the journal. It was not passed on.
    Unrecordable(Unwritable),
    /// The sidecar is stopping, and nothing is under way in the session.
    Drained,
    /// The sidecar is stopping, and there is no time left.
    OutOfTime,
    /// The client is kept out from now on. As with a cut.
    KeptOut(Denial),
    /// A policy cut what was under way. What came before was passed on, or is [`Relay::unsaid`].
    Cut(Denial),
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
    turnstile: Turnstile,
    /// Bytes for the client that are not those that were read.
    edited: Vec<u8>,
    /// Why nothing more of the client is passed on.
    fault: Option<OutOfStep>,
}

/// One direction.
#[derive(Debug)]
struct Half {
    buffer: Option<Buffer>,
    source: Source,
    gathering: Gathering,
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
    /// A relay with the first bytes under way: the StartupMessage and what came behind it, as a rule.
    pub fn new(client: Socket, server: Socket, under_way: Admitted, ledger: &mut Ledger) -> Relay {
        let half = |buffer| Half { buffer, source: Source::Open, gathering: Gathering::default() };
        let Admitted { up, behind, down } = under_way;
        let (up, down) = (half(up), half(down));
        let mut relay =
            Relay { client, server, up, down, turnstile: Turnstile::default(), edited: Vec::new(), fault: None };
        match behind {
            Some(behind) if ledger.is_gated() => relay.turnstile.take(behind),
            Some(behind) => relay.append(behind, ledger),
            None => {}
        }
        relay
    }

    /// Whether an event loop can wait for both legs.
    pub fn can_be_watched(&self) -> bool {
        self.client.can_be_watched() && self.server.can_be_watched()
    }

    /// Has an event loop wait for both legs.
    ///
    /// # Errors
    /// What the system said. A leg may be gone then.
    pub fn watch(&mut self, watcher: &mut Watcher<'_>) -> io::Result<()> {
        self.client.watch(watcher)?;
        self.server.watch(watcher)
    }

    /// Has tokio wait for them, if an event loop did.
    pub fn unwatch(&mut self) {
        self.client.unwatch();
        self.server.unwatch();
    }

    /// Has bytes of the client, which the ledger has not seen, go on behind those that are under way.
    fn append(&mut self, behind: Buffer, ledger: &mut Ledger) {
        let fault = ledger.client(behind.pending()).err();
        let before = self.up.pending().len();
        match &mut self.up.buffer {
            // They came in one buffer.
            Some(up) => up.put(behind.pending()),
            None => self.up.buffer = Some(behind),
        }
        if let Some(out_of_step) = fault {
            self.give_up_client(out_of_step, before + ledger.followed());
        }
    }

    /// Moves what can be moved.
    pub fn poll(&mut self, cx: &mut Context<'_>, ledger: &mut Ledger, phase: Phase) -> Poll<End> {
        if phase == Phase::Over {
            return Poll::Ready(End::OutOfTime);
        }
        // The server's side waits for its sockets alone, which wake us: once it does, it is not asked again in this poll unless it moved.
        let mut down_waits = false;
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
            let down_moved = match down_waits {
                true => false,
                false => match self.step_down(cx, ledger) {
                    Ok(moved) => moved,
                    Err(end) => return Poll::Ready(end),
                },
            };
            down_waits = !down_moved;
            if !up_moved && !down_moved {
                return Poll::Pending;
            }
        }
    }

    /// What the ledger has seen of the server and the client has not.
    pub fn unsaid(&self) -> &[u8] {
        if self.edited.is_empty() { self.down.pending() } else { &self.edited }
    }

    fn step_up(&mut self, cx: &mut Context<'_>, ledger: &mut Ledger) -> Result<bool, End> {
        if self.up.buffer.is_none() {
            if !self.turnstile.is_empty() {
                match self.turnstile.step(cx, ledger, &mut self.server) {
                    Ok(Turn::Moved) => return Ok(true),
                    Ok(Turn::Waiting) => return Ok(false),
                    Ok(Turn::SinkBroke) => return self.lose_sink(),
                    Ok(Turn::Empty) => {}
                    Err(out_of_step) => {
                        self.give_up_client(out_of_step, 0);
                        return Ok(true);
                    }
                }
            }
            if !ledger.wants_client() {
                // The server's next answer lets us go on.
                return Ok(false);
            }
        }
        match self.up.step(cx, &mut self.client, &mut self.server) {
            Step::Moved => Ok(true),
            Step::Waiting => Ok(false),
            Step::Read if ledger.is_gated() => {
                self.up.buffer.take().into_iter().for_each(|read| self.turnstile.take(read));
                Ok(true)
            }
            Step::Read => {
                if let Err(out_of_step) = ledger.client(self.up.pending()) {
                    self.give_up_client(out_of_step, ledger.followed());
                }
                Ok(true)
            }
            Step::SourceBroke => Err(End::ClientLost),
            Step::SinkBroke => self.lose_sink(),
        }
    }

    /// The server is gone, but what it said before it went is still to be read.
    fn lose_sink(&mut self) -> Result<bool, End> {
        self.up = Half { buffer: None, source: Source::Done, gathering: Gathering::default() };
        self.turnstile = Turnstile::default();
        Ok(true)
    }

    fn step_down(&mut self, cx: &mut Context<'_>, ledger: &mut Ledger) -> Result<bool, End> {
        if !self.edited.is_empty() {
            return self.write_edited(cx);
        }
        if self.down.buffer.is_none() && self.down.source == Source::Closed {
            return Err(self.fault.take().map_or(End::ServerClosed, End::OutOfStep));
        }
        match self.down.step(cx, &mut self.server, &mut self.client) {
            Step::Moved => Ok(true),
            Step::Waiting => Ok(false),
            Step::Read if ledger.is_gated() => self.pass_gated(ledger).map(|()| true),
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

    /// Shows the ledger a read of the server's, and keeps of it what goes on.
    fn pass_gated(&mut self, ledger: &mut Ledger) -> Result<(), End> {
        let Some(buffer) = self.down.buffer.take() else { return Ok(()) };
        let passed = ledger.server_gated(buffer.pending()).map_err(End::OutOfStep)?;
        match passed.instead {
            Some(instead) => self.edited = instead,
            None => self.down.buffer = Some(buffer),
        }
        let Some((keep, denial)) = passed.cut else { return Ok(()) };
        self.edited.truncate(keep);
        if let Some(buffer) = &mut self.down.buffer {
            buffer.keep(keep);
        }
        Err(End::Cut(denial))
    }

    fn write_edited(&mut self, cx: &mut Context<'_>) -> Result<bool, End> {
        match Pin::new(&mut self.client).poll_write(cx, &self.edited) {
            Poll::Pending => Ok(false),
            Poll::Ready(Err(_) | Ok(0)) => Err(End::ClientLost),
            Poll::Ready(Ok(count)) => {
                self.edited.drain(..count);
                Ok(true)
            }
        }
    }

    /// Passes on the first `followed` bytes of what was read last, then the end of the client's side: the server answers what it
    /// was asked before, and closes.
    pub fn give_up_client(&mut self, out_of_step: OutOfStep, followed: usize) {
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
        self.up.pending().is_empty() && self.turnstile.is_empty() && self.unsaid().is_empty()
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
        // Three of four times it is known that there is nothing.
        let has_nothing = from.has_nothing();
        let is_late = has_nothing && self.gathering.poll_late(cx).is_ready();
        if has_nothing && !is_late {
            return Step::Waiting;
        }
        let mut buffer = Buffer::take();
        let mut room = ReadBuf::new(buffer.room());
        let mut read = if is_late { Poll::Pending } else { Pin::new(&mut *from).poll_read(cx, &mut room) };
        if is_late || (read.is_pending() && self.gathering.poll_late(cx).is_ready()) {
            read = from.poll_read_now(cx, &mut room);
            self.gathering.gave_late(room.filled().len(), from);
        }
        match read {
            Poll::Pending => return Step::Waiting,
            Poll::Ready(Err(_)) => return Step::SourceBroke,
            Poll::Ready(Ok(())) => {}
        }
        let count = room.filled().len();
        self.gathering.gave(count, from);
        if count == 0 {
            self.source = Source::Closed;
            return Step::Moved;
        }
        buffer.filled(count);
        self.buffer = Some(buffer);
        Step::Read
    }
}
