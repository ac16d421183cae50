//! What policies need of a record besides its columns by name: when it ended, who, and what it did in words.

use crate::clock::Timestamp;
use crate::record::{Common, Finding, Kind, Session, Statement, Table, Transaction};

/// A record of any of the tables that policies judge.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub enum AnyRecord {
    /// Of `statements`.
    Statement(Box<Statement>),
    /// Of `transactions`.
    Transaction(Box<Transaction>),
    /// Of `sessions`.
    Session(Box<Session>),
}

/// A record that policies judge.
pub trait Judged: Table {
    /// When it ended, or began where its end was not seen: the time of windows, baselines, throttles and findings.
    fn judged_at(&self) -> Timestamp;
    /// A copy of it.
    fn kept(&self) -> AnyRecord;
    /// Its `seq`, where it is a statement: what a finding names as evidence.
    fn evidence(&self) -> Option<u64>;
    /// Fills the who columns of a finding.
    fn copy_who(&self, finding: &mut Finding);
    /// Relations it touched.
    fn relations(&self) -> Vec<&str>;
    /// Relations of which classified columns reached the client.
    fn classified_relations(&self) -> Vec<&str>;
    /// People whose data it read, as far as known.
    fn persons(&self) -> Option<u64>;
    /// How it did what it did: `by COPY of shop.customers`; empty where there is nothing to tell.
    fn means(&self) -> String;
    /// `in one statement`.
    const SCOPE: &'static str;
    /// What one is called, and many are.
    const NOUN: (&'static str, &'static str);
}

macro_rules! copy_who {
    () => {
        fn copy_who(&self, finding: &mut Finding) {
            finding.database = self.database.clone();
            finding.db_user = self.db_user.clone();
            finding.role = self.role.clone();
            finding.end_user = self.end_user.clone();
            finding.application_name = self.application_name.clone();
            finding.client_addr = self.client_addr.clone();
        }
        fn judged_at(&self) -> Timestamp {
            end_of(&self.common, self.ended_at)
        }
    };
}

fn end_of(common: &Common, ended_at: Option<Timestamp>) -> Timestamp {
    ended_at.map_or(common.at, |ended| ended.max(common.at))
}

fn texts(list: Option<&crate::record::Texts>) -> Vec<&str> {
    list.map_or_else(Vec::new, |items| items.iter().map(|item| &**item).collect())
}

impl Judged for Statement {
    copy_who!();
    const SCOPE: &'static str = "in one statement";
    const NOUN: (&'static str, &'static str) = ("statement", "statements");

    fn kept(&self) -> AnyRecord {
        AnyRecord::Statement(Box::new(self.clone()))
    }
    fn evidence(&self) -> Option<u64> {
        Some(self.common.seq)
    }
    fn relations(&self) -> Vec<&str> {
        texts(self.relations.as_ref())
    }
    fn classified_relations(&self) -> Vec<&str> {
        let mut relations: Vec<&str> = texts(self.columns.as_ref())
            .into_iter()
            .filter_map(|column| column.rsplit_once('.').map(|(relation, _)| relation))
            .collect();
        relations.sort_unstable();
        relations.dedup();
        relations
    }
    fn persons(&self) -> Option<u64> {
        self.persons
    }
    fn means(&self) -> String {
        let relations = match self.classified_relations() {
            classified if classified.is_empty() => self.relations(),
            classified => classified,
        };
        let (word, preposition) = match self.kind {
            Some(Kind::CopyOut) => ("COPY", "of"),
            Some(Kind::CopyIn) => ("COPY", "into"),
            Some(Kind::Select) => ("SELECT", "from"),
            Some(Kind::Fetch) => ("FETCH", "from"),
            Some(Kind::Insert) => ("INSERT", "into"),
            Some(Kind::Update) => ("UPDATE", "of"),
            Some(Kind::Delete) => ("DELETE", "from"),
            Some(Kind::Merge) => ("MERGE", "into"),
            Some(Kind::Call) => ("CALL", "on"),
            Some(Kind::Do) => ("DO", "on"),
            Some(kind) => (kind.as_str(), "on"),
            None => ("a statement", "on"),
        };
        match relations.is_empty() {
            true => format!("by {word}"),
            false => format!("by {word} {preposition} {}", enumerate(&relations)),
        }
    }
}

impl Judged for Transaction {
    copy_who!();
    const SCOPE: &'static str = "in one transaction";
    const NOUN: (&'static str, &'static str) = ("transaction", "transactions");

    fn kept(&self) -> AnyRecord {
        AnyRecord::Transaction(Box::new(self.clone()))
    }
    fn evidence(&self) -> Option<u64> {
        None
    }
    fn relations(&self) -> Vec<&str> {
        let mut relations = texts(self.relations_read.as_ref());
        relations.extend(texts(self.relations_written.as_ref()));
        relations.sort_unstable();
        relations.dedup();
        relations
    }
    fn classified_relations(&self) -> Vec<&str> {
        Vec::new()
    }
    fn persons(&self) -> Option<u64> {
        self.persons
    }
    fn means(&self) -> String {
        match self.relations() {
            none if none.is_empty() => String::new(),
            relations => format!("on {}", enumerate(&relations)),
        }
    }
}

impl Judged for Session {
    copy_who!();
    const SCOPE: &'static str = "in one session";
    const NOUN: (&'static str, &'static str) = ("session", "sessions");

    fn kept(&self) -> AnyRecord {
        AnyRecord::Session(Box::new(self.clone()))
    }
    fn evidence(&self) -> Option<u64> {
        None
    }
    fn relations(&self) -> Vec<&str> {
        Vec::new()
    }
    fn classified_relations(&self) -> Vec<&str> {
        Vec::new()
    }
    fn persons(&self) -> Option<u64> {
        None
    }
    fn means(&self) -> String {
        self.outcome.map_or_else(String::new, |outcome| format!("that ended `{outcome}`"))
    }
}

/// Relations named in a sentence.
const NAMED_MAX: usize = 3;

/// `a, b and 2 more`, each [`tame`].
pub fn enumerate(names: &[&str]) -> String {
    let shown: Vec<String> = names.iter().take(NAMED_MAX).map(|name| tame(name)).collect();
    match names.len() {
        more if more > NAMED_MAX => format!("{} and {} more", shown.join(", "), more - NAMED_MAX),
        _ => shown.join(", "),
    }
}

/// Characters of a name that are shown.
const NAME_CHARS_MAX: usize = 64;

/// A name that came from a client, fit for a line of text: no control characters, not endless.
pub fn tame(name: &str) -> String {
    let mut tamed: String = name.chars().take(NAME_CHARS_MAX).map(|c| if is_tame(c) { c } else { '?' }).collect();
    if name.chars().nth(NAME_CHARS_MAX).is_some() {
        tamed.push('…');
    }
    tamed
}

/// Neither a control character nor one that turns the direction of writing or hides.
fn is_tame(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Who a record is about, in words: the end user, with the shared role in brackets where both are known.
pub fn who(end_user: Option<&str>, db_user: Option<&str>) -> String {
    match (end_user, db_user) {
        (Some(end_user), Some(db_user)) => format!("{} (as {})", tame(end_user), tame(db_user)),
        (Some(name), None) | (None, Some(name)) => tame(name),
        (None, None) => "someone unknown".to_owned(),
    }
}
