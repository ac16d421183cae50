//! What the server says it ran: its log, with `log_statement = all` and `log_line_prefix = '%p %d %a|'`.
//!
//! In: the log. Out: each statement with its literals out, by database. Source: PostgreSQL manual, "Error Reporting and Logging":
//! a text is logged once it has passed the grammar, and in the STATEMENT of its error where it has not.

use std::collections::HashMap;

use mitsuke::sql;

use super::{DIRECT, Texts};

/// The server's answer to a Parse of several statements.
const SEVERAL_IN_ONE: &str = "cannot insert multiple commands into a prepared statement";

/// One entry, its continuation lines joined.
struct Entry {
    process: String,
    database: String,
    level: String,
    message: String,
}

/// Counts the texts.
pub fn texts(log: &str) -> Texts {
    let mut counts = Texts::new();
    // What each process is running, as it said itself.
    let mut running: HashMap<String, String> = HashMap::new();
    // An error whose STATEMENT may follow.
    let mut failed: HashMap<String, String> = HashMap::new();
    let mut analyses: HashMap<String, Vec<String>> = HashMap::new();
    let mut add = |database: &str, text: &str, whole: bool| {
        let parts = analyses
            .entry(text.to_owned())
            .or_insert_with(|| sql::analyze(text).iter().map(|analysis| analysis.query.to_string()).collect());
        let parts = if whole { vec![parts.join("; ")] } else { parts.clone() };
        for part in &parts {
            *counts.entry((database.to_owned(), part.clone())).or_default() += 1;
        }
    };
    for entry in entries(log) {
        // A parallel worker, which has no database in its prefix, repeats its leader's error.
        if entry.database == DIRECT || entry.database.is_empty() {
            continue;
        }
        match (entry.level.as_str(), ran(&entry.message)) {
            ("LOG", Some(text)) => {
                add(&entry.database, &text, false);
                running.insert(entry.process, text);
            }
            ("ERROR" | "FATAL", _) => {
                failed.insert(entry.process, entry.message);
            }
            // One that was announced has been counted. A Parse of several statements is refused as the one that it was to be.
            ("STATEMENT", _) => {
                if let Some(error) = failed.remove(&entry.process)
                    && running.get(&entry.process) != Some(&entry.message)
                {
                    add(&entry.database, &entry.message, error == SEVERAL_IN_ONE);
                }
            }
            _ => {}
        }
    }
    counts
}

/// `statement: …`, `execute NAME: …`; not `execute fetch from NAME: …`, which goes on with what was counted.
fn ran(message: &str) -> Option<String> {
    if let Some(text) = message.strip_prefix("statement: ") {
        return Some(text.to_owned());
    }
    if let Some(call) = message.strip_prefix("fastpath function call: ") {
        // `"name" (OID 177)`: the log has the OID.
        return Some(call.rsplit_once("(OID ")?.1.trim_end_matches(')').to_owned());
    }
    let (name, text) = message.strip_prefix("execute ")?.split_once(": ")?;
    (!name.starts_with("fetch from ")).then(|| text.to_owned())
}

fn entries(log: &str) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for line in log.split('\n') {
        if let Some(more) = line.strip_prefix('\t') {
            if let Some(last) = entries.last_mut() {
                last.message.push('\n');
                last.message.push_str(more);
            }
            continue;
        }
        // `%p %d %a|LEVEL:  message`
        let Some((prefix, rest)) = line.split_once('|') else { continue };
        let Some((level, message)) = rest.split_once(":  ") else { continue };
        let mut words = prefix.splitn(3, ' ');
        let (process, database) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        entries.push(Entry {
            process: process.to_owned(),
            database: database.to_owned(),
            level: level.to_owned(),
            message: message.to_owned(),
        });
    }
    entries
}
