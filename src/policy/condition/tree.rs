//! A checked condition as a typed tree, and its evaluation.
//!
//! Columns are reached through the function pointers of [`Table::columns`]; every node has one type, so that there is
//! nothing left to fail. A tree and not a nest of closures: it costs the same (one match against one indirect call a
//! node), texts stay borrowed, and an explanation can walk it.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use super::like::{Like, lower};
use crate::policy::list::List;
use crate::policy::moment::Moment;
use crate::record::{Column, Table, Value};

/// What `in (…)` names.
pub type Set<T> = HashSet<T, ahash::RandomState>;

/// SQL's three truth values, in the order that makes AND the least and OR the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tri {
    /// FALSE.
    False,
    /// NULL.
    Unknown,
    /// TRUE.
    True,
}

impl Tri {
    /// FALSE for TRUE, TRUE for FALSE, NULL for NULL.
    pub fn negate(self) -> Tri {
        match self {
            Tri::False => Tri::True,
            Tri::Unknown => Tri::Unknown,
            Tri::True => Tri::False,
        }
    }
}

impl From<bool> for Tri {
    fn from(flag: bool) -> Tri {
        if flag { Tri::True } else { Tri::False }
    }
}

impl From<Option<bool>> for Tri {
    fn from(flag: Option<bool>) -> Tri {
        flag.map_or(Tri::Unknown, Tri::from)
    }
}

/// What a condition is evaluated over.
pub struct Scope<'a, R> {
    /// The record.
    pub record: &'a R,
    /// Its time.
    pub moment: &'a Moment<'a>,
}

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `<>`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl Comparison {
    /// The comparison that says the same with its sides exchanged.
    pub fn mirrored(self) -> Comparison {
        match self {
            Comparison::Less => Comparison::Greater,
            Comparison::LessOrEqual => Comparison::GreaterOrEqual,
            Comparison::Greater => Comparison::Less,
            Comparison::GreaterOrEqual => Comparison::LessOrEqual,
            same => same,
        }
    }

    /// Whether it does.
    pub fn holds<T: PartialOrd + ?Sized>(self, left: &T, right: &T) -> bool {
        match self {
            Comparison::Equal => left == right,
            Comparison::NotEqual => left != right,
            Comparison::Less => left < right,
            Comparison::LessOrEqual => left <= right,
            Comparison::Greater => left > right,
            Comparison::GreaterOrEqual => left >= right,
        }
    }
}

/// A truth value.
#[derive(Clone)]
pub enum Boolean<R: Table> {
    Constant(Tri),
    Holiday,
    All(Vec<Boolean<R>>),
    Any(Vec<Boolean<R>>),
    Not(Box<Boolean<R>>),
    /// IS TRUE, IS FALSE, IS UNKNOWN.
    Is(Box<Boolean<R>>, Tri),
    Same(Box<Boolean<R>>, Box<Boolean<R>>),
    ColumnIsNull(&'static Column<R>),
    NumberIsNull(Number<R>),
    TextIsNull(Text<R>),
    /// The commonest shape, without a detour.
    ColumnToConstant(Comparison, &'static Column<R>, u64),
    Numbers(Comparison, Number<R>, Number<R>),
    Texts(Comparison, Text<R>, Text<R>),
    Times(Comparison, Time<R>, Time<R>),
    NumberIn(Number<R>, Set<i128>),
    TextIn(Text<R>, Set<String>),
    Like(Text<R>, Like),
    InList(Text<R>, Arc<List>),
    Has(&'static Column<R>, Text<R>),
}

/// A whole number.
#[derive(Clone)]
pub enum Number<R: Table> {
    Constant(i128),
    Column(&'static Column<R>),
    Hour,
    Weekday,
    Length(Box<Text<R>>),
    Cardinality(&'static Column<R>),
    Negative(Box<Number<R>>),
    Sum(Box<Number<R>>, Box<Number<R>>),
    Difference(Box<Number<R>>, Box<Number<R>>),
    Product(Box<Number<R>>, Box<Number<R>>),
}

/// A text.
#[derive(Clone)]
pub enum Text<R: Table> {
    Constant(String),
    Column(&'static Column<R>),
    Lower(Box<Text<R>>),
}

/// A moment, microseconds since 1970 UTC.
#[derive(Clone)]
pub enum Time<R: Table> {
    Constant(i64),
    Column(&'static Column<R>),
}

impl<R: Table> Boolean<R> {
    pub fn eval(&self, scope: &Scope<'_, R>) -> Tri {
        match self {
            Boolean::Constant(tri) => *tri,
            Boolean::Holiday => scope.moment.holiday().into(),
            Boolean::All(parts) => fold(parts, scope, Tri::True, Tri::False, Tri::min),
            Boolean::Any(parts) => fold(parts, scope, Tri::False, Tri::True, Tri::max),
            Boolean::Not(inner) => inner.eval(scope).negate(),
            Boolean::Is(inner, wanted) => (inner.eval(scope) == *wanted).into(),
            Boolean::Same(left, right) => match (left.eval(scope), right.eval(scope)) {
                (Tri::Unknown, _) | (_, Tri::Unknown) => Tri::Unknown,
                (left, right) => (left == right).into(),
            },
            Boolean::ColumnIsNull(column) => ((column.get)(scope.record) == Value::Null).into(),
            Boolean::NumberIsNull(number) => number.eval(scope).is_none().into(),
            Boolean::TextIsNull(text) => text.eval(scope).is_none().into(),
            Boolean::ColumnToConstant(comparison, column, constant) => match (column.get)(scope.record) {
                Value::U64(number) => comparison.holds(&number, constant).into(),
                _ => Tri::Unknown,
            },
            Boolean::Numbers(comparison, left, right) => {
                both(left.eval(scope), right.eval(scope)).map(|(left, right)| comparison.holds(&left, &right)).into()
            }
            Boolean::Texts(comparison, left, right) => {
                both(left.eval(scope), right.eval(scope)).map(|(left, right)| comparison.holds(&*left, &*right)).into()
            }
            Boolean::Times(comparison, left, right) => {
                both(left.eval(scope), right.eval(scope)).map(|(left, right)| comparison.holds(&left, &right)).into()
            }
            Boolean::NumberIn(number, set) => number.eval(scope).map(|number| set.contains(&number)).into(),
            Boolean::TextIn(text, set) => text.eval(scope).map(|text| set.contains(&*text)).into(),
            Boolean::Like(text, like) => text.eval(scope).map(|text| like.matches(&text)).into(),
            Boolean::InList(text, list) => text.eval(scope).map(|text| list.contains(&text)).into(),
            Boolean::Has(column, text) => match ((column.get)(scope.record), text.eval(scope)) {
                (Value::Texts(items), Some(text)) => items.iter().any(|item| **item == *text).into(),
                _ => Tri::Unknown,
            },
        }
    }

    /// See [`super::Condition::limit`].
    pub fn limit(&self) -> Option<(&'static Column<R>, u64)> {
        match self {
            Boolean::ColumnToConstant(Comparison::Greater, column, constant) => Some((column, *constant)),
            Boolean::ColumnToConstant(Comparison::GreaterOrEqual, column, constant) => {
                Some((column, constant.saturating_sub(1)))
            }
            Boolean::All(parts) => parts.iter().find_map(Boolean::limit),
            _ => None,
        }
    }
}

fn both<A, B>(left: Option<A>, right: Option<B>) -> Option<(A, B)> {
    left.zip(right)
}

fn fold<R: Table>(parts: &[Boolean<R>], scope: &Scope<'_, R>, start: Tri, end: Tri, join: fn(Tri, Tri) -> Tri) -> Tri {
    let mut result = start;
    for part in parts {
        result = join(result, part.eval(scope));
        if result == end {
            break;
        }
    }
    result
}

impl<R: Table> Number<R> {
    pub fn eval(&self, scope: &Scope<'_, R>) -> Option<i128> {
        match self {
            Number::Constant(number) => Some(*number),
            Number::Column(column) => match (column.get)(scope.record) {
                Value::U64(number) => Some(i128::from(number)),
                _ => None,
            },
            Number::Hour => Some(i128::from(scope.moment.hour())),
            Number::Weekday => Some(i128::from(scope.moment.weekday())),
            Number::Length(text) => text.eval(scope).and_then(|text| i128::try_from(text.chars().count()).ok()),
            Number::Cardinality(column) => match (column.get)(scope.record) {
                Value::Texts(items) => i128::try_from(items.len()).ok(),
                Value::U64s(items) => i128::try_from(items.len()).ok(),
                _ => None,
            },
            Number::Negative(inner) => inner.eval(scope).and_then(i128::checked_neg),
            Number::Sum(left, right) => left.eval(scope)?.checked_add(right.eval(scope)?),
            Number::Difference(left, right) => left.eval(scope)?.checked_sub(right.eval(scope)?),
            Number::Product(left, right) => left.eval(scope)?.checked_mul(right.eval(scope)?),
        }
    }
}

impl<R: Table> Text<R> {
    pub fn eval<'a>(&'a self, scope: &Scope<'a, R>) -> Option<Cow<'a, str>> {
        match self {
            Text::Constant(text) => Some(Cow::Borrowed(text)),
            Text::Column(column) => match (column.get)(scope.record) {
                Value::Text(text) => Some(Cow::Borrowed(text)),
                _ => None,
            },
            Text::Lower(inner) => inner.eval(scope).map(|text| Cow::Owned(text.chars().map(lower).collect())),
        }
    }
}

impl<R: Table> Time<R> {
    fn eval(&self, scope: &Scope<'_, R>) -> Option<i64> {
        match self {
            Time::Constant(micros) => Some(*micros),
            Time::Column(column) => match (column.get)(scope.record) {
                Value::Timestamp(at) => Some(at.0),
                _ => None,
            },
        }
    }
}
