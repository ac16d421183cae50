//! The end of a session.
//!
//! In: how the connections ended. Out: `unknown` for everything whose end was not seen, then [`Event::Closed`].

use super::event::{Closed, Event};
use super::expect::{Asked, Expect};
use super::run::Run;
use super::tracker::{How, Tracker};
use crate::clock::Timestamp;
use crate::record::{Outcome, SessionOutcome};
use crate::wire::message;

/// admin_shutdown.
const STOPPED: &str = "57P01";

/// How the connections ended, as the proxy saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The server closed its connection: after a Terminate, after the client's own close, or after a FATAL.
    ServerClosed,
    /// A connection broke, or the stream could not be followed.
    Lost,
    /// The sidecar ended it.
    Stopped,
    /// The sidecar turned it away.
    Refused {
        /// What the client was told, where it was told anything.
        sqlstate: Option<&'static str>,
    },
    /// A policy cut what was under way.
    Cut,
    /// The user or the address is kept out from now on.
    Quarantined,
}

impl Tracker {
    /// Pushes what is unfinished, then the session's last event.
    pub fn close(mut self, at: Timestamp, ending: Ending, events: &mut Vec<Event>) {
        self.tell_opened(events);
        let idle = self.owes_nothing() && self.current.is_none();
        self.end_skipping(at, events);
        let mut unfinished: Vec<Run> = self.current.take().into_iter().collect();
        loop {
            let denied = matches!(self.queue.front(), Some(Expect::Denied(_)));
            let Some(entry) = self.answered() else { break };
            match entry {
                Expect::Query(Asked { no, .. }) | Expect::Call(Asked { no, .. }) if denied => {
                    self.end(Run::new(no, 0), How::plain(Outcome::Denied), at, events);
                }
                Expect::Execute(sent) if denied => {
                    self.names.end_portal(&sent.portal, sent.no);
                    self.end(Run::new(sent.no, 0), How::plain(Outcome::Denied), at, events);
                }
                Expect::Query(asked) | Expect::Call(asked) if !asked.over => {
                    unfinished.push(Run::new(asked.no, asked.parts));
                }
                Expect::Execute(sent) => {
                    unfinished
                        .extend(self.names.portal(&sent.portal).and_then(|portal| portal.run.take()).map(|run| *run));
                    self.names.end_portal(&sent.portal, sent.no);
                    if sent.first {
                        unfinished.push(Run::new(sent.no, 0));
                    }
                }
                _ => {}
            }
        }
        unfinished.sort_by_key(|run| run.no);
        unfinished.dedup_by_key(|run| run.no);
        for run in unfinished {
            // What had not sent a byte may not have run.
            let is_cut = ending == Ending::Quarantined && run.bytes_out > 0;
            let outcome = if is_cut { Outcome::Cut } else { Outcome::Unknown };
            self.end(run, How::plain(outcome), at, events);
        }
        self.end_portals(at, events);
        let (outcome, sqlstate) = self.outcome(ending, idle);
        events.push(Event::Closed(Closed {
            who: self.who.clone(),
            opened_at: self.opened_at,
            at,
            outcome,
            sqlstate,
            auth_method: self.server.auth_method.map(str::to_owned),
            tls_version: self.tls_version.map(str::to_owned),
            server_version: self.server.server_version.clone(),
            statements: self.statements,
            bytes_out: self.bytes_out,
            bytes_in: self.bytes_in,
        }));
    }

    fn outcome(&self, ending: Ending, idle: bool) -> (SessionOutcome, Option<String>) {
        let fatal = self.server.fatal.clone();
        if let (Some(sqlstate), false) = (&fatal, self.server.ready) {
            return (turned_away(sqlstate), fatal);
        }
        match ending {
            Ending::Quarantined if !self.server.ready => {
                (SessionOutcome::Refused, Some(message::INVALID_AUTHORIZATION.to_owned()))
            }
            Ending::Quarantined => (SessionOutcome::Terminated, Some(message::INVALID_AUTHORIZATION.to_owned())),
            Ending::Cut => (SessionOutcome::Terminated, Some(message::INSUFFICIENT_PRIVILEGE.to_owned())),
            Ending::Refused { sqlstate } => (turned_away(sqlstate.unwrap_or_default()), sqlstate.map(str::to_owned)),
            Ending::Stopped => (SessionOutcome::Terminated, Some(fatal.unwrap_or_else(|| STOPPED.to_owned()))),
            Ending::Lost => (SessionOutcome::Lost, fatal),
            Ending::ServerClosed if fatal.is_some() => (SessionOutcome::Terminated, fatal),
            // A client that leaves during authentication, as psql does to ask for a password, just left.
            Ending::ServerClosed if self.client.said_goodbye || idle || !self.server.ready => {
                (SessionOutcome::Closed, None)
            }
            Ending::ServerClosed => (SessionOutcome::Lost, None),
        }
    }
}

/// SQLSTATE's class 28 is "invalid authorization specification".
fn turned_away(sqlstate: &str) -> SessionOutcome {
    if sqlstate.starts_with("28") { SessionOutcome::AuthFailed } else { SessionOutcome::Refused }
}
