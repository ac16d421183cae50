//! What the server says it ran: its log, with `log_statement = all` and `log_line_prefix = '%p %d %a|'`.
//!
//! In: the log. Out: each statement with its literals out, by database. Source: PostgreSQL manual, "Error Reporting and Logging":
//! a text is logged once it has passed the grammar, and in the STATEMENT of its error where it has not.

use std::collections::{HashMap, HashSet};

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
    // Who reads a backslash as an escape in any string.
    let mut escapes: HashSet<String> = HashSet::new();
    let mut add = |counts: &mut Texts, database: &str, text: &str, whole: bool| {
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
            ("LOG", Some(Ran::Function(call))) => *counts.entry((entry.database, call)).or_default() += 1,
            ("LOG", Some(Ran::Text(text))) => {
                match escapes.contains(&entry.process) {
                    true => add(&mut counts, &entry.database, &with_escapes(&text), false),
                    false => add(&mut counts, &entry.database, &text, false),
                }
                let words: Vec<String> = text.split([' ', '=', ';']).map(str::to_ascii_lowercase).collect();
                let words = words.iter().map(String::as_str).filter(|word| !matches!(*word, "" | "to"));
                match words.collect::<Vec<_>>()[..] {
                    ["set", "standard_conforming_strings", "off"] => drop(escapes.insert(entry.process.clone())),
                    ["set", "standard_conforming_strings", "on"] | ["reset", "standard_conforming_strings"] => {
                        escapes.remove(&entry.process);
                    }
                    _ => {}
                }
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
                    add(&mut counts, &entry.database, &entry.message, error == SEVERAL_IN_ONE);
                }
            }
            _ => {}
        }
    }
    counts
}

/// What a process says that it ran.
enum Ran {
    Text(String),
    /// A function without a statement, as the log has it.
    Function(String),
}

/// `statement: …`, `execute NAME: …`; not `execute fetch from NAME: …`, which goes on with what was counted.
fn ran(message: &str) -> Option<Ran> {
    if let Some(text) = message.strip_prefix("statement: ") {
        return Some(Ran::Text(text.to_owned()));
    }
    if let Some(call) = message.strip_prefix("fastpath function call: ") {
        // `"name" (OID 177)`
        let (name, _) = call.rsplit_once(" (OID ")?;
        return Some(Ran::Function(format!("{}(…)", name.trim_matches('"'))));
    }
    let (name, text) = message.strip_prefix("execute ")?.split_once(": ")?;
    (!name.starts_with("fetch from ")).then(|| Ran::Text(text.to_owned()))
}

/// A text as `standard_conforming_strings = off` reads it, for who reads it with the setting on: each string that has a backslash with the
/// letter that says so, as the sidecar writes it.
fn with_escapes(text: &str) -> String {
    let (mut out, mut rest) = (String::new(), text.chars().peekable());
    while let Some(first) = rest.next() {
        if first != '\'' {
            out.push(first);
            continue;
        }
        let mut string = String::from(first);
        while let Some(next) = rest.next() {
            string.push(next);
            match next {
                '\\' => string.extend(rest.next()),
                '\'' if rest.peek() == Some(&'\'') => string.extend(rest.next()),
                '\'' => break,
                _ => {}
            }
        }
        if string.contains('\\') && !out.ends_with(['e', 'E', '&']) {
            out.push_str(" E");
        }
        out.push_str(&string);
    }
    out
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
