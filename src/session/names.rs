//! Prepared statements and portals by name.
//!
//! A client sends ahead of the server's answers, and any of its messages may fail or be passed over. So there are two
//! views. `sent` is what names will mean if everything that is outstanding succeeds: a statement is announced with it.
//! `confirmed` is what the server has said: an execution is counted with it, and where the two differ the announcement
//! is put right. Bounded by the constants of [`super`]: the statement longest unused is forgotten first.

use std::sync::Arc;

use super::by_name::ByName;
use super::expect::SentBind;
use super::run::{Columns, Run};
use super::{PORTALS_MAX, PREPARED_STATEMENTS_MAX, PREPARED_TEXT_BYTES_MAX, UNKNOWN_TEXT};
use crate::wire::bind::{Formats, Parameters};
use crate::wire::frontend::{Name, Target};

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
    /// A statement of which only the name is known.
    pub fn unknown(name: &Name) -> Arc<Prepared> {
        Prepared::known_as(b"execute ", name)
    }

    /// A portal of which only the name is known: a cursor.
    fn cursor(name: &Name) -> Arc<Prepared> {
        Prepared::known_as(b"fetch all from ", name)
    }

    fn known_as(words: &[u8], name: &Name) -> Arc<Prepared> {
        // SQL has no word for the unnamed ones.
        let text = match name.is_unnamed() {
            true => UNKNOWN_TEXT.to_vec(),
            false => {
                let name = name
                    .as_bytes()
                    .iter()
                    .flat_map(|byte| std::iter::repeat_n(*byte, if *byte == b'"' { 2 } else { 1 }));
                words.iter().copied().chain(*b"\"").chain(name).chain(*b"\"").collect()
            }
        };
        Arc::new(Prepared { id: 0, text: text.into(), text_bytes: 0 })
    }

    /// Whether it is what the client sent.
    pub fn is_known(&self) -> bool {
        self.id != 0
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
    /// Of its Bind.
    pub parameters: Parameters,
    /// The statement number under which it was announced and has not ended.
    pub begun: Option<u64>,
    /// Its execution, while it is suspended.
    pub run: Option<Box<Run>>,
    /// Whether an Execute of it was answered, or skipped. A portal that no Bind made is none of ours to tell of.
    pub executed: bool,
}

impl Portal {
    /// A portal that no Bind made: a cursor that SQL declared.
    pub fn unknown(name: &Name) -> Portal {
        Portal {
            executed: true,
            id: 0,
            prepared: Prepared::cursor(name),
            statement: Name::default(),
            columns: None,
            formats: None,
            parameters: Parameters::default(),
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
    parameters: Parameters,
    begun: Option<u64>,
}

/// What an Execute is expected to execute.
#[derive(Debug)]
pub(super) struct Aim {
    /// The statement.
    pub prepared: Arc<Prepared>,
    /// What the portal was bound to.
    pub parameters: Parameters,
    /// Where the portal was executed before and has not ended.
    pub begun: Option<u64>,
}

/// Both views of both kinds of names.
#[derive(Debug, Default)]
pub(super) struct Names {
    statements: ByName<Statement>,
    statement_bytes: usize,
    uses: u64,
    portals: ByName<Portal>,
    sent_statements: ByName<Sent<Arc<Prepared>>>,
    sent_portals: ByName<Sent<SentPortal>>,
    /// SQL's DEALLOCATE has ended a statement; its name is in the text, which is not read here.
    deallocated: bool,
    /// The transaction has a savepoint.
    savepoint: bool,
}

/// What the client sent.
impl Names {
    /// A Parse, or (`None`) a Close of a statement.
    pub fn send_statement(&mut self, name: &Name, id: u64, prepared: Option<Arc<Prepared>>) {
        self.sent_statements.insert(name, Sent { id, value: prepared });
    }

    /// A Bind; gives the statement that it is expected to be of.
    pub fn send_portal(&mut self, name: &Name, id: u64, statement: &Name, parameters: Parameters) -> Arc<Prepared> {
        let sent = self.sent_statements.get(statement).map(|sent| sent.value.clone());
        let prepared = sent
            .unwrap_or_else(|| self.statements.get(statement).map(|statement| statement.prepared.clone()))
            .unwrap_or_else(|| Prepared::unknown(statement));
        let value = Some(SentPortal { prepared: prepared.clone(), parameters, begun: None });
        self.sent_portals.insert(name, Sent { id, value });
        prepared
    }

    /// A Close of a portal.
    pub fn send_portal_close(&mut self, name: &Name, id: u64) {
        self.sent_portals.insert(name, Sent { id, value: None });
    }

    /// An Execute: what it is expected to execute. `next_no` is noted as the portal's number where it has none.
    pub fn send_execute(&mut self, name: &Name, next_no: u64) -> Aim {
        if let Some(sent) = self.sent_portals.get_mut(name) {
            return match &mut sent.value {
                Some(portal) => {
                    let begun = portal.begun;
                    portal.begun = begun.or(Some(next_no));
                    Aim { prepared: portal.prepared.clone(), parameters: portal.parameters.clone(), begun }
                }
                None => Aim { prepared: Prepared::cursor(name), parameters: Parameters::default(), begun: None },
            };
        }
        match self.portals.get_mut(name) {
            Some(portal) => {
                let begun = portal.begun;
                portal.begun = begun.or(Some(next_no));
                Aim { prepared: portal.prepared.clone(), parameters: portal.parameters.clone(), begun }
            }
            None => Aim { prepared: Prepared::cursor(name), parameters: Parameters::default(), begun: None },
        }
    }

    /// The message that last said what a statement's name will mean, while it is outstanding.
    pub fn sent_statement_id(&self, name: &Name) -> Option<u64> {
        self.sent_statements.get(name).map(|sent| sent.id)
    }

    /// The same for a portal.
    pub fn sent_portal_id(&self, name: &Name) -> Option<u64> {
        self.sent_portals.get(name).map(|sent| sent.id)
    }

    /// What a statement's name will mean.
    pub fn statement_meant(&self, name: &Name) -> Option<&Prepared> {
        match self.sent_statements.get(name) {
            Some(sent) => sent.value.as_deref(),
            None => self.statements.get(name).map(|statement| &*statement.prepared),
        }
    }

    /// What a portal's name will mean.
    pub fn portal_meant(&self, name: &Name) -> Option<&Prepared> {
        match self.sent_portals.get(name) {
            Some(sent) => sent.value.as_ref().map(|portal| &*portal.prepared),
            None => self.portals.get(name).map(|portal| &*portal.prepared),
        }
    }

    /// Whether an Execute of the portal was sent, and it has not ended.
    pub fn is_under_way(&self, name: &Name) -> bool {
        match self.sent_portals.get(name) {
            Some(sent) => sent.value.as_ref().is_some_and(|portal| portal.begun.is_some()),
            None => self.portals.get(name).is_some_and(|portal| portal.begun.is_some()),
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

    /// Everything that was sent was passed over.
    pub fn forget_all_sent(&mut self) {
        self.sent_statements.clear();
        self.sent_portals.clear();
    }

    /// The same where so much is sent that will be passed over that its names take too much room.
    pub fn limit_sent(&mut self) {
        if self.sent_statements.len().saturating_add(self.sent_portals.len()) > PREPARED_STATEMENTS_MAX {
            self.forget_all_sent();
        }
    }
}

/// What the server confirmed.
impl Names {
    /// ParseComplete.
    pub fn confirm_statement(&mut self, name: &Name, prepared: Arc<Prepared>) {
        self.forget_sent_statement(name, prepared.id);
        self.remove_statement(name);
        self.statement_bytes = self.statement_bytes.saturating_add(prepared.text.len());
        self.uses = self.uses.saturating_add(1);
        self.statements.insert(name, Statement { prepared, columns: None, used: self.uses });
        while self.statements.len() > PREPARED_STATEMENTS_MAX || self.statement_bytes > PREPARED_TEXT_BYTES_MAX {
            let oldest = self.statements.iter().min_by_key(|(_, statement)| statement.used);
            let Some(name) = oldest.map(|(name, _)| name.clone()) else { break };
            self.remove_statement(&name);
        }
    }

    /// CloseComplete of a statement, or a failed Parse of the unnamed one. (A Query ends the unnamed one too, if it reads:
    /// it is remembered until another takes its name, because nothing can execute it.)
    pub fn remove_statement(&mut self, name: &Name) {
        if let Some(gone) = self.statements.remove(name) {
            self.statement_bytes = self.statement_bytes.saturating_sub(gone.prepared.text.len());
        }
    }

    /// DEALLOCATE ALL, DISCARD ALL.
    pub fn remove_named_statements(&mut self) {
        self.statements.remove_named();
        self.statement_bytes = self.statements.iter().map(|(_, statement)| statement.prepared.text.len()).sum();
        self.deallocated = false;
    }

    /// DEALLOCATE: a name is free, whichever.
    pub fn deallocated(&mut self) {
        self.deallocated = true;
    }

    /// PREPARE: a name that was free means something, whichever. What a name that may have been free was known to mean
    /// is not known any more.
    pub fn prepared_by_sql(&mut self) {
        if self.deallocated {
            self.remove_named_statements();
        }
    }

    /// RowDescription (or, `None`, NoData) for a statement or portal. Gives the portal that had to make room.
    pub fn described(&mut self, target: Target, name: &Name, columns: Option<Arc<Columns>>) -> Option<Portal> {
        match target {
            Target::Statement => {
                if columns.is_some() && !self.statements.contains(name) {
                    self.confirm_statement(name, Prepared::unknown(name));
                }
                if let Some(statement) = self.statements.get_mut(name) {
                    statement.columns = columns;
                }
                None
            }
            Target::Portal => {
                if let Some(portal) = self.portals.get_mut(name) {
                    portal.columns = columns;
                    return None;
                }
                self.insert_portal(name, Portal { columns: Some(columns?), ..Portal::unknown(name) })
            }
        }
    }

    /// BindComplete. Gives the portal of that name that it replaces, or one forgotten for want of room.
    pub fn confirm_portal(&mut self, bind: SentBind) -> Option<Portal> {
        let SentBind { id, portal: name, statement, formats, parameters, .. } = bind;
        let begun = self.forget_sent_portal(&name, id);
        self.uses = self.uses.saturating_add(1);
        let (prepared, columns) = match self.statements.get_mut(&statement) {
            Some(known) => {
                known.used = self.uses;
                (known.prepared.clone(), known.columns.clone())
            }
            None => (Prepared::unknown(&statement), None),
        };
        let formats = Some(formats);
        let portal =
            Portal { id, prepared, statement, columns, formats, parameters, begun, run: None, executed: false };
        self.insert_portal(&name, portal)
    }

    /// Adds a portal; gives the one that had to make room.
    pub fn insert_portal(&mut self, name: &Name, portal: Portal) -> Option<Portal> {
        let replaced = self.portals.insert(name, portal);
        if self.portals.len() <= PORTALS_MAX {
            return replaced;
        }
        let oldest = self.portals.iter().filter(|(other, _)| *other != name).min_by_key(|(_, portal)| portal.id);
        let oldest = oldest.map(|(name, _)| name.clone())?;
        self.portals.remove(&oldest)
    }

    /// CloseComplete of a portal.
    pub fn remove_portal(&mut self, name: &Name) -> Option<Portal> {
        self.portals.remove(name)
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
        if let Some(portal) = self.portals.get_mut(name) {
            portal.executed = true;
            if portal.begun == Some(no) {
                portal.begun = None;
            }
        }
    }

    /// The end of the transaction: all portals are gone. Gives those of which there is something to tell.
    pub fn remove_portals(&mut self) -> Vec<Portal> {
        self.savepoint = false;
        if self.portals.is_empty() {
            return Vec::new();
        }
        let told = |portal: &Portal| portal.run.is_some() || !portal.executed;
        let mut portals: Vec<Portal> = self.portals.drain().filter(told).collect();
        portals.sort_by_key(|portal| portal.id);
        portals
    }

    /// SAVEPOINT.
    pub fn set_savepoint(&mut self) {
        self.savepoint = true;
    }

    /// ROLLBACK: gives what [`Names::remove_portals`] does, unless it may have been to a savepoint, which ends some portals
    /// or none. Their names may mean other portals from then on.
    pub fn roll_back(&mut self) -> Vec<Portal> {
        if self.savepoint { self.doubt_portals() } else { self.remove_portals() }
    }

    /// CLOSE: a portal is gone, whichever. Gives those of which there is something to tell; what they are was known.
    pub fn doubt_portals(&mut self) -> Vec<Portal> {
        let known: Vec<Name> = self
            .portals
            .iter()
            .filter(|(_, portal)| portal.prepared.is_known())
            .map(|(name, _)| name.clone())
            .collect();
        let savepoint = self.savepoint;
        let told = self.remove_portals();
        self.savepoint = savepoint;
        for name in known {
            let portal = Portal::unknown(&name);
            self.portals.insert(&name, portal);
        }
        told
    }
}
