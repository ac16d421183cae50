//! A condition over a record of which some columns are not known yet.
//!
//! In: a record, and which of its columns mean something. Out: TRUE or FALSE where the condition is that, or NULL, whatever
//! the other columns turn out to be; else NULL. A column that is not known is not one that is NULL: `persons is null` may be either.

use super::tree::{Boolean, Comparison, Number, Scope, Text, Time, Tri};
use crate::record::{Column, Table};

/// What a condition looks up: a column, or (`None`) the clock.
pub type Seen<R> = Option<&'static Column<R>>;
/// Whether what is looked up is known.
pub type Known<'a, R> = &'a dyn Fn(Seen<R>) -> bool;

/// The values of a number column at which a condition may change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bounds {
    /// Only at these, each the first value of another answer; sorted.
    At(Vec<u64>),
    /// At any.
    Anywhere,
}

impl<R: Table> Boolean<R> {
    /// See the module.
    pub fn partial(&self, scope: &Scope<'_, R>, known: Known<'_, R>) -> Tri {
        match self {
            Boolean::All(parts) => parts.iter().map(|part| part.partial(scope, known)).min().unwrap_or(Tri::True),
            Boolean::Any(parts) => parts.iter().map(|part| part.partial(scope, known)).max().unwrap_or(Tri::False),
            Boolean::Not(inner) => inner.partial(scope, known).negate(),
            Boolean::Is(inner, wanted) => match inner.partial(scope, known) {
                Tri::Unknown if !inner.knows(known) => Tri::Unknown,
                certain => (certain == *wanted).into(),
            },
            Boolean::Same(left, right) => match (left.partial(scope, known), right.partial(scope, known)) {
                (Tri::Unknown, _) | (_, Tri::Unknown) => Tri::Unknown,
                (left, right) => (left == right).into(),
            },
            leaf if leaf.knows(known) => leaf.eval(scope),
            _ => Tri::Unknown,
        }
    }

    /// Whether it is made of known columns only.
    pub fn knows(&self, known: Known<'_, R>) -> bool {
        let mut all = true;
        self.columns(&mut |seen| all &= known(seen));
        all
    }

    /// Shows everything in it that is looked up.
    pub fn columns(&self, see: &mut dyn FnMut(Seen<R>)) {
        match self {
            Boolean::Constant(_) => {}
            Boolean::Holiday => see(None),
            Boolean::All(parts) | Boolean::Any(parts) => parts.iter().for_each(|part| part.columns(see)),
            Boolean::Not(inner) | Boolean::Is(inner, _) => inner.columns(see),
            Boolean::Same(left, right) => {
                left.columns(see);
                right.columns(see);
            }
            Boolean::ColumnIsNull(column) | Boolean::ColumnToConstant(_, column, _) => see(Some(column)),
            Boolean::NumberIsNull(number) | Boolean::NumberIn(number, _) => number.columns(see),
            Boolean::TextIsNull(text)
            | Boolean::TextIn(text, _)
            | Boolean::Like(text, _)
            | Boolean::InList(text, _) => text.columns(see),
            Boolean::Numbers(_, left, right) => {
                left.columns(see);
                right.columns(see);
            }
            Boolean::Texts(_, left, right) => {
                left.columns(see);
                right.columns(see);
            }
            Boolean::Times(_, left, right) => {
                left.columns(see);
                right.columns(see);
            }
            Boolean::Has(column, text) => {
                see(Some(column));
                text.columns(see);
            }
        }
    }

    /// Where the answer may change while the column of that name rises.
    pub fn bounds(&self, name: &str) -> Bounds {
        let mut at = Vec::new();
        match self.bounded(name, &mut at) {
            true => {
                at.sort_unstable();
                at.dedup();
                Bounds::At(at)
            }
            false => Bounds::Anywhere,
        }
    }

    /// Notes the bounds; false where they could be anywhere.
    fn bounded(&self, name: &str, at: &mut Vec<u64>) -> bool {
        match self {
            Boolean::All(parts) | Boolean::Any(parts) => parts.iter().all(|part| part.bounded(name, at)),
            Boolean::Not(inner) | Boolean::Is(inner, _) => inner.bounded(name, at),
            Boolean::Same(left, right) => left.bounded(name, at) && right.bounded(name, at),
            Boolean::ColumnIsNull(_) => true,
            Boolean::ColumnToConstant(comparison, column, constant) => {
                if column.name == name {
                    let (here, behind) = (*constant, constant.saturating_add(1));
                    match comparison {
                        Comparison::Less | Comparison::GreaterOrEqual => at.push(here),
                        Comparison::LessOrEqual | Comparison::Greater => at.push(behind),
                        Comparison::Equal | Comparison::NotEqual => at.extend([here, behind]),
                    }
                }
                true
            }
            other => other.knows(&|seen| seen.is_none_or(|column| column.name != name)),
        }
    }
}

impl<R: Table> Number<R> {
    fn columns(&self, see: &mut dyn FnMut(Seen<R>)) {
        match self {
            Number::Constant(_) => {}
            Number::Hour | Number::Weekday => see(None),
            Number::Column(column) | Number::Cardinality(column) => see(Some(column)),
            Number::Length(text) => text.columns(see),
            Number::Negative(inner) => inner.columns(see),
            Number::Sum(left, right) | Number::Difference(left, right) | Number::Product(left, right) => {
                left.columns(see);
                right.columns(see);
            }
        }
    }
}

impl<R: Table> Text<R> {
    fn columns(&self, see: &mut dyn FnMut(Seen<R>)) {
        match self {
            Text::Constant(_) => {}
            Text::Column(column) => see(Some(column)),
            Text::Lower(inner) => inner.columns(see),
        }
    }
}

impl<R: Table> Time<R> {
    fn columns(&self, see: &mut dyn FnMut(Seen<R>)) {
        if let Time::Column(column) = self {
            see(Some(column));
        }
    }
}
