//! Bodies of functions and triggers, each read once while a snapshot is built, however often it is followed.
//!
//! In: a body's text. Out: what stands in it. PURE. Refuses nothing: of more than are kept, one is read again.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use crate::sql::{self, Analysis, Code};

/// Bodies that are kept, of each kind: some kilobytes each.
const KEPT_MAX: usize = 4_096;

/// See the module.
#[derive(Default)]
pub(super) struct Bodies<'a> {
    codes: RefCell<HashMap<&'a str, Arc<Code>>>,
    in_sql: RefCell<HashMap<&'a str, Arc<Statements>>>,
}

/// A body that is statements, with what it names as a whole, if it writes.
pub(super) struct Statements {
    pub(super) analyses: Vec<Analysis>,
    pub(super) code: Option<Code>,
}

impl<'a> Bodies<'a> {
    /// A body in PL/pgSQL, or one in a language that is not known.
    pub(super) fn code(&self, body: &'a str) -> Arc<Code> {
        kept(&self.codes, body, Code::of)
    }

    /// A body in SQL. Wants as much stack as [`sql::analyze`].
    pub(super) fn in_sql(&self, body: &'a str) -> Arc<Statements> {
        kept(&self.in_sql, body, Statements::of)
    }
}

impl Statements {
    /// Reads a body in SQL.
    pub(super) fn of(body: &str) -> Statements {
        let body = plain(body);
        let analyses = sql::analyze(&body);
        let code = analyses.iter().any(|analysis| !analysis.writes.is_empty()).then(|| Code::of(&body));
        Statements { analyses, code }
    }
}

fn kept<'a, T>(all: &RefCell<HashMap<&'a str, Arc<T>>>, body: &'a str, read: impl Fn(&str) -> T) -> Arc<T> {
    if let Some(known) = all.borrow().get(body) {
        return Arc::clone(known);
    }
    let new = Arc::new(read(body));
    let mut all = all.borrow_mut();
    if all.len() < KEPT_MAX {
        all.insert(body, Arc::clone(&new));
    }
    new
}

/// The body of `BEGIN ATOMIC`, and of `RETURN`, as statements.
fn plain(body: &str) -> String {
    let trimmed = body.trim();
    let upper: String = trimmed.chars().take(12).collect::<String>().to_ascii_uppercase();
    if upper == "BEGIN ATOMIC" {
        let inside = trimmed.get(12..).unwrap_or_default().trim();
        let end = inside.len().saturating_sub(3);
        return match inside.get(end..) {
            Some(last) if last.eq_ignore_ascii_case("end") => inside.get(..end).unwrap_or_default().to_owned(),
            _ => inside.to_owned(),
        };
    }
    match trimmed.get(..7) {
        Some(word) if word.eq_ignore_ascii_case("return ") => {
            format!("select {}", trimmed.get(7..).unwrap_or_default())
        }
        _ => body.to_owned(),
    }
}
