//! Prepared statements and portals by name.
//!
//! A client sends ahead of the server's answers, and any of its messages may fail or be passed over. So there are two
//! views. `sent` is what names will mean if everything that is outstanding succeeds: a statement is announced with it.
//! `confirmed` is what the server has said: an execution is counted with it, and where the two differ the announcement
//! is put right. Bounded by the constants of [`super`]: the statement longest unused is forgotten first.

use std::collections::HashMap;
use std::sync::Arc;

use super::run::{Columns, Run};
use super::{PORTALS_MAX, PREPARED_STATEMENTS_MAX, PREPARED_TEXT_BYTES_MAX, UNKNOWN_TEXT};
use crate::wire::bind::Formats;
use crate::wire::frontend::Name;

/// A Parse, whether confirmed or not.
#[derive(Debug)]
pub(super) struct Prepared {
    /// Tells it from every other of this session; 0 where the text is not known.
    pub id: u64,
    /// As in [`Begun`](super::event::Begun).
    pub text: Arc<[u8]>,
    /// As in [`Begun`](super::event::Begun).
    pub text_bytes: u64,
}

impl Prepared {
    /// A statement of which only the existence is known.
    pub fn unknown() -> Arc<Prepared> {
        Arc::new(Prepared { id: 0, text: UNKNOWN_TEXT.into(), text_bytes: 0 })
    }
}

/// A prepared statement that the server confirmed.
#[derive(Debug)]
struct Statement {
    prepared: Arc<Prepared>,
    /// What its Describe gave; serves all its portals.
    columns: Option<Arc<Columns>>,
    used: u64,
}

/// A portal that the server confirmed.
#[derive(Debug)]
pub(super) struct Portal {
    /// Of its Bind; 0 for one that no Bind made.
    pub id: u64,
    /// What it executes.
    pub prepared: Arc<Prepared>,
    /// The statement's name, to find columns that were described after the Bind.
    pub statement: Name,
    /// What its own Describe gave, or its statement's.
    pub columns: Option<Arc<Columns>>,
    /// Of its Bind; `None` where no Bind made it.
    pub formats: Option<Formats>,
    /// The statement number under which it was announced and has not ended.
    pub begun: Option<u64>,
    /// Its execution, while it is suspended.
    pub run: Option<Run>,
}

impl Portal {
    /// A portal that no Bind made: a cursor that SQL declared.
    pub fn unknown() -> Portal {
        Portal {
            id: 0,
            prepared: Prepared::unknown(),
            statement: Name::default(),
            columns: None,
            formats: None,
            begun: None,
            run: None,
        }
    }
}

/// What a name was last sent to mean.
#[derive(Debug)]
struct Sent<T> {
    /// Of the message that said so.
    id: u64,
    /// `None`: closed.
    value: Option<T>,
}

/// A portal whose Bind is outstanding.
#[derive(Debug)]
struct SentPortal {
    prepared: Arc<Prepared>,
    begun: Option<u64>,
}

/// What an Execute is expected to execute.
#[derive(Debug)]
pub(super) struct Aim {
    /// The statement.
    pub prepared: Arc<Prepared>,
    /// Where the portal was executed before and has not ended.
    pub begun: Option<u64>,
}

/// Both views of both kinds of names.
#[derive(Debug, Default)]
pub(super) struct Names {
    statements: HashMap<Name, Statement>,
    statement_bytes: usize,
    uses: u64,
    portals: HashMap<Name, Portal>,
    sent_statements: HashMap<Name, Sent<Arc<Prepared>>>,
    sent_portals: HashMap<Name, Sent<SentPortal>>,
}

/// What the client sent.
impl Names {
    /// A Parse, or (`None`) a Close of a statement.
    pub fn send_statement(&mut self, name: &Name, id: u64, prepared: Option<Arc<Prepared>>) {
        self.sent_statements.insert(name.clone(), Sent { id, value: prepared });
    }

    /// A Bind; gives the statement that it is expected to be of.
    pub fn send_portal(&mut self, name: &Name, id: u64, statement: &Name) -> Arc<Prepared> {
        let sent = self.sent_statements.get(statement).map(|sent| sent.value.clone());
        let prepared = sent
            .unwrap_or_else(|| self.statements.get(statement).map(|statement| statement.prepared.clone()))
            .unwrap_or_else(Prepared::unknown);
        let value = Some(SentPortal { prepared: prepared.clone(), begun: None });
        self.sent_portals.insert(name.clone(), Sent { id, value });
        prepared
    }

    /// A Close of a portal.
    pub fn send_portal_close(&mut self, name: &Name, id: u64) {
        self.sent_portals.insert(name.clone(), Sent { id, value: None });
    }

    /// An Execute: what it is expected to execute. `next_no` is noted as the portal's number where it has none.
    pub fn send_execute(&mut self, name: &Name, next_no: u64) -> Aim {
        if let Some(sent) = self.sent_portals.get_mut(name) {
            return match &mut sent.value {
                Some(portal) => {
                    let begun = portal.begun;
                    portal.begun = begun.or(Some(next_no));
                    Aim { prepared: portal.prepared.clone(), begun }
                }
                None => Aim { prepared: Prepared::unknown(), begun: None },
            };
        }
        match self.portals.get_mut(name) {
            Some(portal) => {
                let begun = portal.begun;
                portal.begun = begun.or(Some(next_no));
                Aim { prepared: portal.prepared.clone(), begun }
            }
            None => Aim { prepared: Prepared::unknown(), begun: None },
        }
    }

    /// The message of that id failed or was passed over: it means nothing for the name.
    pub fn forget_sent_statement(&mut self, name: &Name, id: u64) {
        if self.sent_statements.get(name).is_some_and(|sent| sent.id == id) {
            self.sent_statements.remove(name);
        }
    }

    /// The same for a portal; gives the number under which it was announced.
    pub fn forget_sent_portal(&mut self, name: &Name, id: u64) -> Option<u64> {
        if self.sent_portals.get(name).is_some_and(|sent| sent.id == id) {
            return self.sent_portals.remove(name).and_then(|sent| sent.value).and_then(|portal| portal.begun);
        }
        None
    }
}

/// What the server confirmed.
impl Names {
    /// ParseComplete.
    pub fn confirm_statement(&mut self, name: Name, prepared: Arc<Prepared>) {
        self.forget_sent_statement(&name, prepared.id);
        self.remove_statement(&name);
        self.statement_bytes = self.statement_bytes.saturating_add(prepared.text.len());
        self.uses = self.uses.saturating_add(1);
        self.statements.insert(name, Statement { prepared, columns: None, used: self.uses });
        while self.statements.len() > PREPARED_STATEMENTS_MAX || self.statement_bytes > PREPARED_TEXT_BYTES_MAX {
            let oldest = self.statements.iter().min_by_key(|(_, statement)| statement.used);
            let Some(name) = oldest.map(|(name, _)| name.clone()) else { break };
            self.remove_statement(&name);
        }
    }

    /// CloseComplete of a statement, a Query (which ends the unnamed one), or a failed Parse of the unnamed one.
    pub fn remove_statement(&mut self, name: &Name) {
        if let Some(gone) = self.statements.remove(name) {
            self.statement_bytes = self.statement_bytes.saturating_sub(gone.prepared.text.len());
        }
    }

    /// DEALLOCATE ALL, DISCARD ALL.
    pub fn remove_named_statements(&mut self) {
        self.statements.retain(|name, _| name.is_unnamed());
        self.statement_bytes = self.statements.values().map(|statement| statement.prepared.text.len()).sum();
    }

    /// RowDescription (or, `None`, NoData) for a statement.
    pub fn describe_statement(&mut self, name: &Name, columns: Option<Arc<Columns>>) {
        if let Some(statement) = self.statements.get_mut(name) {
            statement.columns = columns;
        } else if columns.is_some() {
            self.confirm_statement(name.clone(), Prepared::unknown());
            self.describe_statement_known(name, columns);
        }
    }

    fn describe_statement_known(&mut self, name: &Name, columns: Option<Arc<Columns>>) {
        if let Some(statement) = self.statements.get_mut(name) {
            statement.columns = columns;
        }
    }

    /// BindComplete. Gives the execution that the portal of that name, or one forgotten for want of room, had under way.
    pub fn confirm_portal(&mut self, name: Name, id: u64, statement: Name, formats: Formats) -> Option<Run> {
        let begun = self.forget_sent_portal(&name, id);
        self.uses = self.uses.saturating_add(1);
        let (prepared, columns) = match self.statements.get_mut(&statement) {
            Some(known) => {
                known.used = self.uses;
                (known.prepared.clone(), known.columns.clone())
            }
            None => (Prepared::unknown(), None),
        };
        let portal = Portal { id, prepared, statement, columns, formats: Some(formats), begun, run: None };
        self.insert_portal(name, portal)
    }

    /// Adds a portal; gives the execution that had to make room.
    pub fn insert_portal(&mut self, name: Name, portal: Portal) -> Option<Run> {
        let replaced = self.portals.insert(name.clone(), portal).and_then(|old| old.run);
        if self.portals.len() <= PORTALS_MAX {
            return replaced;
        }
        let oldest = self.portals.iter().filter(|(other, _)| **other != name).min_by_key(|(_, portal)| portal.id);
        let oldest = oldest.map(|(name, _)| name.clone())?;
        self.portals.remove(&oldest).and_then(|old| old.run)
    }

    /// CloseComplete of a portal. Gives the execution that it had under way.
    pub fn remove_portal(&mut self, name: &Name) -> Option<Run> {
        self.portals.remove(name).and_then(|portal| portal.run)
    }

    /// A portal as the server knows it.
    pub fn portal(&mut self, name: &Name) -> Option<&mut Portal> {
        self.portals.get_mut(name)
    }

    /// The columns of a portal: its own, or those its statement was described with since.
    pub fn portal_columns(&self, name: &Name) -> Option<Arc<Columns>> {
        let portal = self.portals.get(name)?;
        portal.columns.clone().or_else(|| {
            let statement = self.statements.get(&portal.statement)?;
            (statement.prepared.id == portal.prepared.id).then(|| statement.columns.clone())?
        })
    }

    /// A portal's execution ended: the next Execute of it is another.
    pub fn end_portal(&mut self, name: &Name, no: u64) {
        if let Some(portal) = self.portals.get_mut(name)
            && portal.begun == Some(no)
        {
            portal.begun = None;
        }
    }

    /// The end of the transaction: all portals are gone. Gives the executions under way, by their numbers.
    pub fn remove_portals(&mut self) -> Vec<Run> {
        let mut runs: Vec<Run> = self.portals.drain().filter_map(|(_, portal)| portal.run).collect();
        runs.sort_by_key(|run| run.no);
        runs
    }
}
