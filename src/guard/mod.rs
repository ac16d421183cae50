//! The guard: policies that deny and cut, in the data plane.
//!
//! In: what the relays ask, before a statement goes to the server and while its rows flow. Out: verdicts. It judges what *may* be:
//! where a name, a role or a text is not certain, a statement is denied if any reading of it is to be. What has ended is
//! judged by the analysis; from it the guard has the windows' figures and what permits still cover.
//!
//! ```text
//! question ─ texts (parsed once) ─ books (what the session may have set) ─ draft (the record so far) ─ acting: verdict
//! ```
//!
//! Only sessions that a policy can concern ask at all, and only statements that a cutting policy can concern are looked at.

mod acting;
mod books;
mod draft;
mod renamed;
mod texts;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use uuid::Uuid;

use self::acting::Acting;
use self::books::Books;
use self::draft::{Draft, Wish};
use self::texts::Texts;
use crate::analysis::Identity;
use crate::analysis::parsers::{Analyses, part, unknown};
use crate::catalog::Catalog;
use crate::policy::{PolicySet, SharedEngine};
use crate::proxy::Gate;
use crate::record::{Kind, Protocol};
use crate::session::event::{Origin, Who};
use crate::session::gate::{Denial, Going, Message, Progress, Question, Verdict};
use crate::session::{TEXT_BYTES_MAX, UNKNOWN_TEXT};
use crate::sql;

/// Sessions whose books are kept. One more is judged as if nothing were known of what it set.
const SESSIONS_MAX: usize = 65_536;
/// Parts of the table of sessions, each with a lock of its own.
const SHARDS: usize = 16;

/// What outlives a change of policies.
pub struct Room {
    engine: SharedEngine,
    catalog: Catalog,
    identity: Identity,
    texts: Texts,
    sessions: [Mutex<HashMap<Uuid, Arc<Mutex<Books>>>>; SHARDS],
}

/// Judges by one set of policies.
pub struct Guard {
    acting: Acting,
    room: Arc<Room>,
}

impl Room {
    /// With nobody in it. Starts the threads that parse.
    pub fn open(engine: SharedEngine, catalog: Catalog, identity: Identity) -> io::Result<Arc<Room>> {
        let sessions = std::array::from_fn(|_| Mutex::default());
        let texts = Texts::start(&identity.keys)?;
        Ok(Arc::new(Room { engine, catalog, identity, texts, sessions }))
    }

    fn shard(&self, id: Uuid) -> MutexGuard<'_, HashMap<Uuid, Arc<Mutex<Books>>>> {
        let number = usize::from(id.as_bytes()[15]) % SHARDS;
        // In bounds: a remainder.
        let shard = self.sessions.get(number).unwrap_or(&self.sessions[0]);
        lock(shard)
    }

    /// The books of a session; for one too many, such that are forgotten at once.
    fn books(&self, id: Uuid) -> Arc<Mutex<Books>> {
        let mut shard = self.shard(id);
        if let Some(books) = shard.get(&id) {
            return Arc::clone(books);
        }
        let books = Arc::new(Mutex::new(Books::default()));
        if shard.len() < SESSIONS_MAX / SHARDS {
            shard.insert(id, Arc::clone(&books));
        } else {
            lock(&books).asked(u64::MAX, true);
        }
        books
    }
}

impl Guard {
    /// A guard by the policies of a set that deny or cut; `None` where none does.
    pub fn new(set: &PolicySet, room: impl FnOnce() -> io::Result<Arc<Room>>) -> io::Result<Option<Guard>> {
        match Acting::of(set) {
            Some(acting) => Ok(Some(Guard { acting, room: room()? })),
            None => Ok(None),
        }
    }

    fn judge(&self, question: &Question<'_>, analyses: &Analyses) -> Verdict {
        let books = self.room.books(question.who.session_id);
        let mut books = lock(&books);
        books.asked(question.statement_no, question.own_settings);
        let room = &*self.room;
        if question.is_settled {
            books.settled(&room.catalog, question.who.database.as_deref().unwrap_or_default());
        }
        let wish = Wish {
            who: question.who,
            at: question.at,
            protocol: question.protocol,
            identity: &room.identity,
            catalog: &room.catalog,
        };
        let mut watched = Vec::new();
        for (number, analysis) in analyses.iter().enumerate() {
            let drafts = match question.message {
                Message::Call => vec![Draft::of_call(wish, &books, analysis)],
                _ => Draft::all(wish, number, analysis, &mut books),
            };
            for draft in &drafts {
                if let Some(policy) = self.acting.denies(draft, &self.room.engine) {
                    let of = (analyses.len() > 1).then_some((number.saturating_add(1), analyses.len()));
                    return Verdict::Deny(Denial::by_policy(&policy.id, &policy.title, of));
                }
            }
            // What runs before the next statement of a Query counts for it.
            if matches!(question.message, Message::Query | Message::Execute | Message::Call) {
                books.went_on(analysis, drafts.iter().any(is_opaque));
                books.hold(analysis, &room.catalog, question.who);
                drafts.iter().for_each(|draft| books.leaves(&self.room.catalog, &draft.follows));
                watched.extend(drafts.into_iter().filter(|draft| self.acting.may_cut(draft)));
            }
        }
        if let (Message::Parse, Some(name)) = (question.message, &question.name) {
            books.prepared(&String::from_utf8_lossy(name.as_bytes()), &part(analyses, 0));
        }
        if !watched.is_empty() {
            books.watch(question.statement_no, watched);
        }
        Verdict::Allow
    }
}

impl Gate for Guard {
    fn concerns(&self, who: &Who) -> bool {
        self.acting.concerns(who)
    }

    fn closed(&self, session_id: Uuid) {
        self.room.shard(session_id).remove(&session_id);
    }

    fn poll_ask(&self, cx: &mut Context<'_>, question: &Question<'_>) -> Poll<Verdict> {
        // A Bind can only execute what its Parse and its Execute are asked about.
        if question.message == Message::Bind {
            return Poll::Ready(Verdict::Allow);
        }
        let is_whole = question.text_bytes <= TEXT_BYTES_MAX as u64 && *question.text != *UNKNOWN_TEXT;
        let command = match question.protocol {
            Protocol::Replication if is_whole => sql::replication(&String::from_utf8_lossy(&question.text)),
            _ => None,
        };
        let analyses: Analyses = match command {
            Some(command) => Arc::new([Arc::new(command)]),
            None if is_whole && question.message != Message::Call => ready!(self.room.texts.poll(cx, &question.text)),
            None => Arc::new([unknown()]),
        };
        Poll::Ready(self.judge(question, &analyses))
    }

    fn look(&self, progress: &Progress<'_>) -> Going {
        let books = self.room.books(progress.who.session_id);
        let mut books = lock(&books);
        let result = (progress.statement_no, progress.part, progress.columns.map_or(0, <[Origin]>::len));
        let readings = books.looked_at(result).unwrap_or_else(|| {
            let readings = Arc::new(self.readings(&mut books, progress));
            books.look_at(result, Arc::clone(&readings));
            readings
        });
        drop(books);
        self.acting.going(&readings, progress, &self.room.engine, &self.room.catalog)
    }
}

impl Guard {
    /// What the result may be of, with what RowDescription says.
    fn readings(&self, books: &mut Books, progress: &Progress<'_>) -> Vec<Draft> {
        let drafts = books.under_way(progress.statement_no).unwrap_or_else(|| {
            let (who, at, identity, catalog) = (progress.who, progress.at, &self.room.identity, &self.room.catalog);
            Arc::new(vec![Draft::unknown(Wish { who, at, protocol: Protocol::Simple, identity, catalog })])
        });
        let part = usize::try_from(progress.part).unwrap_or(usize::MAX);
        // A replication command has several results, and is one statement.
        let is_command = |draft: &Draft| draft.record.kind == Some(Kind::Replication);
        let of_part = drafts.iter().filter(|draft| draft.part == part || !draft.understood || is_command(draft));
        of_part.map(|draft| draft.clone().with_wire(&self.room.catalog, progress.columns)).collect()
    }
}

fn is_opaque(draft: &Draft) -> bool {
    let runs = matches!(draft.record.kind, Some(Kind::Do | Kind::Call));
    draft.is_opaque() && (runs || draft.record.functions.as_ref().is_some_and(|functions| !functions.is_empty()))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
