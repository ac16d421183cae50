//! A slow, obvious server: what PostgreSQL does with each message, and what truly happened.
//!
//! In: a client's messages one by one, and [`Choices`] for what a real server would decide from SQL and data. Out: the server's bytes,
//! and the [`Truth`]. Source: PostgreSQL manual, "Message Flow"; `PostgresMain` in `tcop/postgres.c` and `CopyGetData` in
//! `commands/copyfromparse.c` for what the manual leaves open.

use std::collections::BTreeMap;

use super::choices::Choices;
use super::client::{Say, message};

/// ErrorResponse's fields: any, and that of a COPY that read a message which is no data.
const ERROR: &[u8] = b"SERROR\0VERROR\0C42601\0Mno\0\0";
const STRAY: &[u8] = b"SERROR\0VERROR\0C08P01\0Mstray\0RCopyGetData\0\0";

/// One statement that was executed, over all the Executes of its portal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Done {
    /// Its text.
    pub text: String,
    /// DataRow, CopyData and FunctionCallResponse.
    pub rows: u64,
    /// CommandComplete's.
    pub tag: String,
    /// Whether an error ended it.
    pub failed: bool,
}

/// What truly happened.
#[derive(Clone, Debug, Default)]
pub struct Truth {
    /// What was executed.
    pub done: Vec<Done>,
    /// What was executed as well, and may be told of as done, or as of unknown end.
    pub perhaps: Vec<Done>,
    /// Errors of messages that execute nothing.
    pub refused: usize,
}

/// A portal.
#[derive(Clone, Debug)]
struct Portal {
    text: String,
    /// Rows returned so far; `None`: not executed yet.
    rows: Option<u64>,
    over: bool,
    /// Made in a transaction that has failed since.
    broken: bool,
}

/// A COPY that reads the client's data: of a Query, with what comes after it, or of a portal.
#[derive(Clone, Debug)]
struct Copy {
    text: String,
    of_query: bool,
    portal: &'static str,
}

/// The server's end of a session.
#[derive(Debug, Default)]
pub struct Server {
    /// What it said and nobody has taken yet.
    pub out: Vec<u8>,
    /// See there.
    pub truth: Truth,
    /// It has closed the connection.
    pub is_over: bool,
    statements: BTreeMap<&'static str, String>,
    portals: BTreeMap<&'static str, Portal>,
    in_block: bool,
    failed: bool,
    skipping: bool,
    copy: Option<Copy>,
    /// A COPY has failed.
    pub copy_failed: bool,
}

impl Server {
    /// Authentication and the first ReadyForQuery.
    pub fn start(&mut self) {
        self.say(b'R', &[0, 0, 0, 0]);
        self.say(b'S', b"server_version\x0015.0\0");
        self.say(b'K', &[0; 8]);
        self.say(b'Z', b"I");
    }

    /// Works off one message.
    pub fn take(&mut self, said: &Say, choices: &mut Choices<'_>) {
        if choices.once_in(16) {
            let anytime = [
                (b'N', &b"SNOTICE\0Mnoise\0\0"[..]),
                (b'A', b"\0\0\0\x01channel\0\0"),
                (b'S', b"application_name\0x\0"),
            ];
            let (kind, body) = anytime[choices.below(3)];
            self.say(kind, body);
        }
        match self.copy.take() {
            Some(copy) => self.copying(copy, said, choices),
            None if self.skipping && *said != Say::Sync => {}
            None => self.work(said, choices),
        }
    }

    fn work(&mut self, said: &Say, choices: &mut Choices<'_>) {
        match said {
            Say::Query(text) => {
                self.statements.remove("");
                self.query(text, choices);
            }
            Say::Call => {
                let failed = self.failed || choices.once_in(3);
                let rows = u64::from(!failed);
                if failed {
                    self.error(ERROR);
                } else {
                    self.say(b'V', &[255, 255, 255, 255]);
                }
                self.done("177", rows, "", failed);
                self.ready();
            }
            Say::Parse(name, text) => {
                if name.is_empty() {
                    self.statements.remove("");
                }
                let exists = self.statements.contains_key(name);
                if exists || self.failed || choices.once_in(6) {
                    return self.refuse();
                }
                self.statements.insert(name, text.clone());
                self.say(b'1', b"");
            }
            Say::Bind(portal, statement) => self.bind(portal, statement, choices),
            Say::Describe(what, name) => self.describe(*what, name, choices),
            Say::Execute(portal, rows_max) => self.execute(portal, u64::from(*rows_max), choices),
            Say::Close(what, name) => {
                if *what == b'S' {
                    self.statements.remove(name);
                } else if let Some(gone) = self.portals.remove(name) {
                    self.dropped(&gone);
                }
                self.say(b'3', b"");
            }
            Say::Malformed(_) => self.refuse(),
            Say::Flush | Say::CopyData | Say::CopyDone | Say::CopyFail => {}
            Say::Sync => {
                self.skipping = false;
                self.ready();
            }
        }
    }

    /// The statements of a Query, chosen one by one.
    fn query(&mut self, text: &str, choices: &mut Choices<'_>) {
        self.drop_portal("");
        if choices.once_in(10) {
            self.say(b'I', b"");
            self.done(text, 0, "", false);
            return self.ready();
        }
        self.rest_of_query(text, choices);
    }

    fn rest_of_query(&mut self, text: &str, choices: &mut Choices<'_>) {
        for _ in 0..1 + choices.below(3) {
            if self.failed || choices.once_in(8) {
                // Some rows may have come before the error did.
                let rows = if self.failed { 0 } else { self.rows(choices) };
                self.error(ERROR);
                self.done(text, rows, "", true);
                break;
            }
            match choices.below(8) {
                0..=2 => {
                    self.say(b'T', &row_description());
                    let rows = (0..choices.below(4)).map(|_| self.say(b'D', b"\0\x01\0\0\0\x01x")).count() as u64;
                    self.complete(text, rows, &format!("SELECT {rows}"));
                }
                3 => self.complete(text, 0, "UPDATE 3"),
                4 => {
                    self.say(b'H', &[0, 0, 0]);
                    let rows = (0..choices.below(4)).map(|_| self.say(b'd', b"x\n")).count() as u64;
                    self.say(b'c', b"");
                    self.complete(text, rows, &format!("COPY {rows}"));
                }
                5 => {
                    self.say(b'G', &[0, 0, 0]);
                    self.copy = Some(Copy { text: text.to_owned(), of_query: true, portal: "" });
                    return;
                }
                6 => {
                    self.in_block = true;
                    self.complete(text, 0, "BEGIN");
                }
                _ => self.discard(text),
            }
        }
        self.ready();
    }

    fn discard(&mut self, text: &str) {
        self.statements.retain(|name, _| name.is_empty());
        self.drop_portals();
        self.complete(text, 0, "DISCARD ALL");
    }

    /// A message that comes while the server reads COPY data.
    fn copying(&mut self, copy: Copy, said: &Say, choices: &mut Choices<'_>) {
        let ended = match said {
            Say::CopyData if choices.once_in(6) => Err(ERROR),
            Say::CopyData | Say::Sync | Say::Flush => {
                self.copy = Some(copy);
                return;
            }
            Say::CopyDone => Ok(()),
            Say::CopyFail => Err(ERROR),
            // Up to version 13 the message is read, and the COPY fails at it.
            _ if choices.once_in(2) => Err(STRAY),
            // The type is refused before the body is read: the stream is lost, and the server says so.
            _ => {
                self.error(STRAY);
                self.done(&copy.text, 0, "", true);
                // Whoever takes the FATAL for the answer to that message is not wrong.
                self.truth.refused += 1;
                self.say(b'E', b"SFATAL\0VFATAL\0C08P01\0Mlost\0\0");
                self.lose_portals();
                // Nothing of what would tell that a portal was dropped has been said.
                let untold = |done: &mut Done| done.tag.is_empty() && !done.failed;
                self.truth.perhaps.extend(self.truth.done.extract_if(.., untold));
                self.is_over = true;
                return;
            }
        };
        self.copy_failed |= ended.is_err();
        match (ended, copy.of_query) {
            (Ok(()), true) => {
                self.complete(&copy.text, 0, "COPY 1");
                self.rest_of_query(&copy.text, choices);
            }
            (Ok(()), false) => {
                self.complete(&copy.text, 0, "COPY 1");
                if let Some(portal) = self.portals.get_mut(copy.portal) {
                    portal.over = true;
                }
            }
            (Err(error), true) => {
                self.error(error);
                self.done(&copy.text, 0, "", true);
                self.ready();
            }
            (Err(error), false) => {
                self.error(error);
                self.done(&copy.text, 0, "", true);
                self.skipping = true;
            }
        }
    }

    fn bind(&mut self, portal: &'static str, statement: &'static str, choices: &mut Choices<'_>) {
        let Some(text) = self.statements.get(statement).cloned() else { return self.refuse() };
        let exists = !portal.is_empty() && self.portals.contains_key(portal);
        if exists || self.failed || choices.once_in(8) {
            return self.refuse();
        }
        self.drop_portal(portal);
        self.portals.insert(portal, Portal { text, rows: None, over: false, broken: false });
        self.say(b'2', b"");
    }

    fn describe(&mut self, what: u8, name: &'static str, choices: &mut Choices<'_>) {
        let exists = if what == b'S' { self.statements.contains_key(name) } else { self.portals.contains_key(name) };
        if !exists || self.failed {
            return self.refuse();
        }
        if what == b'S' {
            self.say(b't', &[0, 0]);
        }
        match choices.below(2) {
            0 => self.say(b'T', &row_description()),
            _ => self.say(b'n', b""),
        }
    }

    fn execute(&mut self, name: &'static str, rows_max: u64, choices: &mut Choices<'_>) {
        let Some(mut portal) = self.portals.get(name).cloned() else {
            self.truth.refused += 1;
            self.error(ERROR);
            self.skipping = true;
            return;
        };
        let before = portal.rows.take().unwrap_or(0);
        if self.failed || portal.broken || (portal.over && choices.once_in(2)) || choices.once_in(8) {
            let rows = if self.failed || portal.broken || portal.over { 0 } else { self.rows(choices) };
            self.error(ERROR);
            self.done(&portal.text, before + rows, "", true);
            self.skipping = true;
            portal.over = true;
            self.put_back(name, portal);
            return;
        }
        if portal.over {
            return self.complete(&portal.text, 0, "SELECT 0");
        }
        match if before > 0 { 0 } else { choices.below(8) } {
            0..=3 => {
                let left = choices.below(5) as u64;
                let rows = if rows_max > 0 { left.min(rows_max) } else { left };
                (0..rows).for_each(|_| self.say(b'D', b"\0\x01\0\0\0\x01x"));
                if rows_max > 0 && rows == rows_max {
                    portal.rows = Some(before + rows);
                    self.say(b's', b"");
                } else {
                    portal.over = true;
                    self.complete(&portal.text, before + rows, &format!("SELECT {rows}"));
                }
            }
            4 => {
                self.say(b'G', &[0, 0, 0]);
                self.copy = Some(Copy { text: portal.text.clone(), of_query: false, portal: name });
            }
            5 => {
                portal.over = true;
                self.say(b'I', b"");
                self.done(&portal.text, 0, "", false);
            }
            6 => {
                portal.over = true;
                self.in_block = true;
                self.complete(&portal.text, 0, "BEGIN");
            }
            _ => {
                portal.over = true;
                self.complete(&portal.text, 0, "INSERT 0 1");
            }
        }
        self.put_back(name, portal);
    }

    /// A portal goes on, unless what it did has ended it.
    fn put_back(&mut self, name: &'static str, portal: Portal) {
        if let Some(place) = self.portals.get_mut(name) {
            *place = portal;
        }
    }

    fn rows(&mut self, choices: &mut Choices<'_>) -> u64 {
        (0..choices.below(3)).map(|_| self.say(b'D', b"\0\x01\0\0\0\x01x")).count() as u64
    }

    fn complete(&mut self, text: &str, rows: u64, tag: &str) {
        self.say(b'C', &[tag.as_bytes(), b"\0"].concat());
        self.done(text, rows, tag, false);
    }

    fn done(&mut self, text: &str, rows: u64, tag: &str, failed: bool) {
        self.truth.done.push(Done { text: text.to_owned(), rows, tag: tag.to_owned(), failed });
    }

    /// A message of the extended protocol that executes nothing has failed.
    fn refuse(&mut self) {
        self.truth.refused += 1;
        self.error(ERROR);
        self.skipping = true;
    }

    fn error(&mut self, error: &[u8]) {
        self.say(b'E', error);
        if self.in_block {
            self.failed = true;
            self.portals.values_mut().for_each(|portal| portal.broken = true);
        }
    }

    /// ReadyForQuery. Outside of a block it ends the transaction, and with it the portals; a failed block is rolled back by
    /// the next one, as if the client had asked for it: a client that does not would only hear errors from then on.
    fn ready(&mut self) {
        let status = match (self.in_block, self.failed) {
            (false, _) => b"I",
            (true, false) => b"T",
            (true, true) => b"E",
        };
        if status != b"T" {
            self.drop_portals();
        }
        if self.failed {
            (self.in_block, self.failed) = (false, false);
        }
        self.say(b'Z', status);
    }

    fn drop_portals(&mut self) {
        for portal in std::mem::take(&mut self.portals).into_values() {
            self.dropped(&portal);
        }
    }

    fn drop_portal(&mut self, name: &str) {
        if let Some(portal) = self.portals.remove(name) {
            self.dropped(&portal);
        }
    }

    /// The session ends, and suspended portals with it: what they returned is all they will. Whether they were asked for more that was never
    /// worked off is the client's to know.
    pub fn lose_portals(&mut self) {
        for Portal { text, rows, .. } in std::mem::take(&mut self.portals).into_values() {
            let done = rows.map(|rows| Done { text, rows, tag: String::new(), failed: false });
            self.truth.perhaps.extend(done);
        }
    }

    /// What a suspended portal returned is all it will.
    fn dropped(&mut self, portal: &Portal) {
        if let Some(rows) = portal.rows {
            let text = portal.text.clone();
            self.done(&text, rows, "", false);
        }
    }

    fn say(&mut self, kind: u8, body: &[u8]) {
        self.out.extend(message(kind, body));
    }
}

/// One column `v`, of no table, of type text.
fn row_description() -> Vec<u8> {
    [&b"\0\x01v\0"[..], &[0; 6], &[0, 0, 0, 25, 255, 255, 255, 255, 255, 255, 0, 0]].concat()
}
