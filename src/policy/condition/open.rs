//! Which terms of a condition are still to be asked, when some columns are known beforehand.
//!
//! In: a record of which only some columns are known, the same in many records. Out: [`Open`], which says of each term at the top of the
//! condition whether those columns have answered it already; or that no record like this one can make the condition TRUE.

use super::tree::{Boolean, Scope, Tri};
use super::{Condition, Moment};
use crate::record::{Column, Table};

/// The terms of a condition that are to be asked: of an AND or an OR at its top each side, of any other condition the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Open(u64);

impl Open {
    /// Of every condition all terms.
    pub const ALL: Open = Open(u64::MAX);
    const NONE: Open = Open(0);

    /// Terms past the 64th are always asked.
    fn has(self, place: usize) -> bool {
        place >= 64 || (self.0 >> place) & 1 == 1
    }

    fn and(self, place: usize) -> Open {
        if place >= 64 { self } else { Open(self.0 | (1 << place)) }
    }
}

impl<R: Table> Condition<R> {
    /// Whether it is TRUE, of which only the open terms have to be asked.
    pub fn is_true(&self, record: &R, moment: &Moment<'_>, open: Open) -> bool {
        let scope = Scope { record, moment };
        let is_true = |term: &Boolean<R>| term.eval(&scope) == Tri::True;
        let mut places = 0..;
        let mut is_open = |_: &&Boolean<R>| places.next().is_some_and(|place| open.has(place));
        match &self.root {
            Boolean::All(terms) => terms.iter().filter(|term| is_open(term)).all(is_true),
            Boolean::Any(terms) => terms.iter().filter(|term| is_open(term)).any(is_true),
            whole => is_true(whole),
        }
    }

    /// What is left to ask of records that are like this one in their known columns, at whatever time; `None`: none of them makes it TRUE.
    pub fn open(&self, record: &R, known: &dyn Fn(&Column<R>) -> bool) -> Option<Open> {
        let zone = jiff::tz::TimeZone::UTC;
        let moment = Moment::new(record.common().at, &zone);
        let scope = Scope { record, moment: &moment };
        let known = |seen: super::partial::Seen<R>| seen.is_some_and(known);
        let said = |term: &Boolean<R>| match term.partial(&scope, &known) {
            Tri::True => Said::True,
            Tri::Unknown if !term.knows(&known) => Said::Open,
            Tri::False | Tri::Unknown => Said::NotTrue,
        };
        let mut open = Open::NONE;
        match &self.root {
            Boolean::All(terms) => {
                for (place, term) in terms.iter().enumerate() {
                    match said(term) {
                        Said::True => {}
                        Said::Open => open = open.and(place),
                        Said::NotTrue => return None,
                    }
                }
                Some(open)
            }
            Boolean::Any(terms) => {
                let asked = terms.iter().enumerate().filter(|(_, term)| said(term) != Said::NotTrue);
                let open = asked.fold(open, |open, (place, _)| open.and(place));
                let is_any = open != Open::NONE || terms.len() > 64;
                is_any.then_some(open)
            }
            whole => (said(whole) != Said::NotTrue).then_some(Open::ALL),
        }
    }
}

/// What the known columns say of a term.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Said {
    True,
    /// FALSE or NULL.
    NotTrue,
    Open,
}
