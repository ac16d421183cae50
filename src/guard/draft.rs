//! What is known of a statement before it has ended: the beginning of its record, and which of its columns can be relied on.
//!
//! In: who wants it, its analysis, what its names may mean. Out: a [`Draft`]. A text that is not understood says nothing of what it
//! would read: its relations and columns are not known, which is not the same as none.

use std::sync::Arc;

use super::books::Books;
use crate::analysis::held::Held;
use crate::analysis::{Identity, in_rows, people_streamed};
use crate::catalog::{ByWire, Catalog, Consequences, PeopleRule, Understanding};
use crate::clock::Timestamp;
use crate::policy::acting;
use crate::record::{CatalogState, Certainty, Common, Kind, Parse, Proof, Protocol, Statement, Text, Texts};
use crate::session::event::{Heads, Origin, Who};
use crate::sql::{Analysis, Output};

/// One reading of a statement.
#[derive(Clone)]
pub struct Draft {
    /// Its record as far as it is known.
    pub record: Statement,
    /// Which statement of its Query, from 0.
    pub part: usize,
    /// Whether its text was understood.
    pub understood: bool,
    /// Whether the columns of these names are certain.
    role_known: bool,
    end_user_known: bool,
    /// Whether it returns what is personal.
    personal: bool,
    /// How many people are in what it returns, and whether the wire counts all of them.
    people: PeopleRule,
    by_wire: ByWire,
    meant: Arc<Analysis>,
    context: crate::catalog::Context,
    /// What its cursor may have shown when it was declared.
    held: Vec<Arc<Held>>,
    /// What it leaves behind, if it succeeds.
    pub follows: Consequences,
}

/// Where the people of a result come from.
#[derive(Clone, Copy, Debug)]
pub enum PeopleFlow {
    /// The wire counts them.
    Counted,
    /// Every row is so many.
    InRows(u64),
}

/// Who wants something, when, and how.
#[derive(Clone, Copy)]
pub struct Wish<'a> {
    pub who: &'a Arc<Who>,
    pub at: Timestamp,
    pub protocol: Protocol,
    pub identity: &'a Identity,
    pub catalog: &'a Catalog,
}

impl Draft {
    /// Every reading of one statement, at least one.
    pub fn all(wish: Wish<'_>, part: usize, analysis: &Arc<Analysis>, books: &mut Books) -> Vec<Draft> {
        let catalog = wish.catalog;
        let mut drafts = Vec::new();
        let proof = books.proof(analysis.seal, wish.at, wish.identity.window);
        for meant in books.meanings(analysis) {
            for context in books.contexts(&meant, catalog, wish.who) {
                let understanding = catalog.understand(&meant, &context, None);
                let understood = is_understood(analysis) && is_understood(&meant);
                let end_user = books.end_user(&wish.identity.sources, analysis, proof, wish.who);
                let mut draft = Draft {
                    record: begin(wish, analysis, &meant),
                    part,
                    understood,
                    role_known: !books.any_role(),
                    end_user_known: end_user.is_some() && understood,
                    personal: false,
                    people: PeopleRule::AtMostInRow(1),
                    by_wire: ByWire::UNKNOWN,
                    meant: Arc::clone(&meant),
                    context,
                    held: books.held(analysis),
                    follows: Consequences::default(),
                };
                draft.record.end_user = end_user.flatten();
                draft.record.context = proof;
                draft.understand(catalog, understanding);
                drafts.push(draft);
            }
        }
        drafts
    }

    /// A call of a function by its OID: nothing of what it does is seen.
    pub fn of_call(wish: Wish<'_>, books: &Books, analysis: &Arc<Analysis>) -> Draft {
        let mut record = begin(wish, analysis, analysis);
        record.kind = Some(Kind::Call);
        record.certainty = Some(Certainty::Assumed);
        record.relations = Some(Arc::default());
        record.columns = Some(Arc::default());
        // It has no text, and so no comment.
        let proof = (!wish.identity.keys.load().is_empty()).then_some(Proof::Unsigned);
        let end_user = books.end_user(&wish.identity.sources, analysis, proof, wish.who);
        record.context = proof;
        record.end_user = end_user.clone().flatten();
        Draft {
            record,
            part: 0,
            understood: true,
            role_known: !books.any_role(),
            end_user_known: end_user.is_some(),
            personal: false,
            people: PeopleRule::AtMostInRow(1),
            by_wire: ByWire::UNKNOWN,
            meant: Arc::clone(analysis),
            context: crate::catalog::Context::default(),
            held: Vec::new(),
            follows: Consequences::default(),
        }
    }

    /// A statement of which nothing is known but whose it is.
    pub fn unknown(wish: Wish<'_>) -> Draft {
        let analysis = crate::analysis::parsers::unknown();
        Draft {
            record: begin(wish, &analysis, &analysis),
            part: 0,
            understood: false,
            role_known: false,
            end_user_known: false,
            personal: true,
            people: PeopleRule::AtMostInRow(1),
            by_wire: ByWire::UNKNOWN,
            meant: analysis,
            context: crate::catalog::Context::default(),
            held: Vec::new(),
            follows: Consequences::default(),
        }
    }

    fn understand(&mut self, catalog: &Catalog, now: Understanding) {
        let understanding = self.held.iter().fold(now, |now, held| held.with(catalog, &now).unwrap_or(now));
        let mut relations: Vec<Text> =
            understanding.relations_read.iter().chain(&understanding.relations_written).cloned().collect();
        relations.sort_unstable();
        relations.dedup();
        self.record.relations = Some(relations.into());
        self.record.columns = Some(understanding.columns.iter().cloned().collect());
        self.record.level = understanding.level.clone();
        self.record.certainty = Some(if self.understood { understanding.certainty } else { Certainty::Assumed });
        self.record.catalog = Some(understanding.state);
        self.follows.clone_from(&understanding.consequences);
        // Of what is not understood every row may be somebody's.
        self.personal = understanding.personal || !self.understood;
        if self.understood {
            (self.people, self.by_wire) = (understanding.people, understanding.by_wire);
        }
    }

    /// Understood again, with what RowDescription says; what was not known stays so.
    pub fn with_wire(mut self, catalog: &Catalog, origins: Option<&[Origin]>) -> Draft {
        if self.understood && origins.is_some() {
            let understanding = catalog.understand(&self.meant, &self.context, origins);
            self.understand(catalog, understanding);
        }
        self
    }

    /// The record of the result so far: its rows, its people where the wire tells them, and bytes.
    pub fn so_far(&self, rows: u64, people: Option<Heads>, bytes_out: u64) -> Statement {
        let mut record = self.record.clone();
        record.rows_returned = Some(rows);
        record.personal_rows = Some(if self.personal { rows } else { 0 });
        let counted = match (self.people, people.map(|heads| heads.count(self.by_wire.apart))) {
            (_, Some(counted)) if self.by_wire.all => counted,
            (PeopleRule::Streamed { most }, _) => people_streamed(bytes_out, most),
            (rule, counted) => in_rows(rows, rule).max(counted.unwrap_or(0)),
        };
        record.persons = Some(if self.personal { counted } else { 0 });
        record.bytes_out = Some(bytes_out);
        record
    }

    /// What it takes for one more person in the record so far.
    pub fn people_flow(&self, people: Option<Heads>) -> PeopleFlow {
        match people {
            Some(_) if self.by_wire.all => PeopleFlow::Counted,
            _ => PeopleFlow::InRows(in_rows(1, self.people).max(1)),
        }
    }

    /// Of baits that were found so far, those that it can have returned.
    pub fn baits(&self, catalog: &Catalog, found: &[Text]) -> Texts {
        let relations = self.record.relations.as_deref().filter(|_| self.understood);
        catalog.baits_of(&self.context.database, self.meant.kind, relations, found)
    }

    /// Whether what the record has in a column is so.
    pub fn knows(&self, column: &str) -> bool {
        match column {
            "role" => self.role_known,
            "end_user" => self.end_user_known,
            _ if acting::is_of_the_session(column) => true,
            "at" | "application_name" | "protocol" | "parse" | "certainty" | "catalog" | "permit" => true,
            // Where the catalog is not known, neither is it.
            "member_of" => self.record.member_of.is_some(),
            _ if acting::is_known_before(column) => self.understood,
            _ => false,
        }
    }

    /// Whether its text calls or runs what it does not show.
    pub fn is_opaque(&self) -> bool {
        self.record.certainty == Some(Certainty::Assumed)
    }
}

/// A text without a statement in it, a driver's ping for one, does nothing: that is understood.
fn is_understood(analysis: &Analysis) -> bool {
    analysis.parse != Parse::None || analysis.output == Output::Nothing
}

fn begin(wish: Wish<'_>, analysis: &Analysis, meant: &Analysis) -> Statement {
    let who = wish.who;
    let kind = if analysis.kind == Kind::Other { meant.kind } else { analysis.kind };
    Statement {
        common: Common { at: wish.at, session_id: Some(who.session_id.to_string().into()), ..Common::default() },
        database: who.database.as_deref().map(Text::from),
        db_user: who.db_user.as_deref().map(Text::from),
        role: who.db_user.as_deref().map(Text::from),
        application_name: who.application_name.as_deref().map(Text::from),
        client_addr: Some(who.client_addr.as_str().into()),
        protocol: Some(wish.protocol),
        kind: Some(kind),
        query: Some(analysis.query.clone()),
        ticket: analysis.ticket.clone(),
        fingerprint: Some(analysis.fingerprint.clone()).filter(|text| !text.is_empty()),
        parse: Some(analysis.parse),
        certainty: Some(Certainty::Assumed),
        catalog: Some(CatalogState::None),
        functions: Some(meant.functions.iter().cloned().collect()),
        member_of: wish.catalog.member_of_login(who),
        ..Statement::default()
    }
}
