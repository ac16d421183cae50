//! A policy's judgement, compiled for the records it is `on`.

use super::condition::{Condition, Open};
use super::judged::Judged;
use super::key::Key;
use super::moment::Moment;
use super::window::Amount;
use crate::record::{Column, Table, Value};

/// When a policy matches a record of type `R`, and how often it speaks of it.
pub struct Rule<R: Table> {
    /// `when`.
    pub when: Option<Condition<R>>,
    /// `unless`.
    pub unless: Option<Condition<R>>,
    /// `window`.
    pub window: Option<Window<R>>,
    /// `baseline: { first: … }`.
    pub first: Option<First<R>>,
    /// `baseline: { of: … }`.
    pub usual: Option<Usual<R>>,
    /// `after`.
    pub after: Option<After<R>>,
    /// `throttle`, or what follows from `window`; `None`: every match is a finding.
    pub throttle: Option<Throttle<R>>,
}

/// `window`.
pub struct Window<R: 'static> {
    /// Whose.
    pub by: Vec<&'static Column<R>>,
    /// How long, microseconds.
    pub within_us: i64,
    /// What is added up.
    pub measure: Measure<R>,
    /// It matches when the figure exceeds this.
    pub above: u64,
    /// Whether the sidecars of a fleet add it up together, where there is one.
    pub shared: bool,
}

/// What a window adds up.
pub enum Measure<R: 'static> {
    /// Records.
    Count,
    /// A number column; NULL adds nothing.
    Sum(&'static Column<R>),
    /// Different values of a column, or of the entries of a list column; NULL adds nothing.
    Distinct(&'static Column<R>),
}

/// `baseline: { first: … }`.
pub struct First<R: 'static> {
    /// Whose.
    pub by: Vec<&'static Column<R>>,
    /// What is new.
    pub thing: Thing<R>,
    /// How long a principal is cold, microseconds.
    pub learn_us: i64,
    /// By whom cold ones are judged: by those with the same values of these columns; `None`: they are only learned from.
    pub peers: Option<Vec<&'static Column<R>>>,
}

/// What can be done for the first time.
pub enum Thing<R: 'static> {
    /// Touching a relation.
    Relation,
    /// Receiving classified columns of a relation.
    ClassifiedRelation,
    /// Being active at an hour of the day.
    Hour,
    /// Any value of a column.
    Column(&'static Column<R>),
}

/// `baseline: { of: … }`.
pub struct Usual<R: 'static> {
    /// Whose.
    pub by: Vec<&'static Column<R>>,
    /// What is added up in a day.
    pub column: &'static Column<R>,
    /// How long a principal is judged by others, microseconds.
    pub learn_us: i64,
    /// By whom: by those with the same values of these columns.
    pub peers: Vec<&'static Column<R>>,
    /// How many deviations above the median are unusual.
    pub unusual: u64,
    /// Less is not told.
    pub at_least: u64,
}

/// `after`: what has to have happened before.
pub struct After<R: Table> {
    /// Which records count.
    pub when: Condition<R>,
    /// Whose.
    pub by: Vec<&'static Column<R>>,
    /// How long ago at most, microseconds.
    pub within_us: i64,
    /// How many at least.
    pub times: u64,
}

/// What is to be asked of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Of `when`; `None`: it is not TRUE.
    pub when: Option<Open>,
    /// Of `unless`; `None`: it is not TRUE.
    pub unless: Option<Open>,
    /// Of what `after` counts; `None`: this is none of it.
    pub after: Option<Open>,
}

impl Asked {
    /// Everything.
    pub const ALL: Asked = Asked { when: Some(Open::ALL), unless: Some(Open::ALL), after: Some(Open::ALL) };
}

/// `throttle`.
pub struct Throttle<R: 'static> {
    /// About whom.
    pub by: Vec<&'static Column<R>>,
    /// At most one finding in this time, microseconds.
    pub once_us: i64,
}

impl<R: Judged> Rule<R> {
    /// Whether `when` is TRUE and `unless` is not, of records of which so much is to be asked.
    pub fn concerns(&self, record: &R, moment: &Moment<'_>, asked: Asked) -> bool {
        let holds = |condition: Option<&Condition<R>>, open: Open| {
            condition.is_none_or(|condition| condition.is_true(record, moment, open))
        };
        asked.when.is_some_and(|open| holds(self.when.as_ref(), open))
            && !asked.unless.is_some_and(|open| self.unless.is_some() && holds(self.unless.as_ref(), open))
    }

    /// What has to be asked of records that are like this one in their known columns; `None`: nothing, the rule does not concern them.
    pub fn asked(&self, record: &R, known: &dyn Fn(&Column<R>) -> bool) -> Option<Asked> {
        let when = self.when.as_ref().map_or(Some(Open::ALL), |when| when.open(record, known));
        let unless = self.unless.as_ref().and_then(|unless| unless.open(record, known));
        let after = self.after.as_ref().and_then(|after| after.when.open(record, known));
        (when.is_some() || after.is_some() || self.first.is_some()).then_some(Asked { when, unless, after })
    }

    /// Its window, where a fleet adds it up: one that decides alone.
    pub fn shared_window(&self) -> Option<&Window<R>> {
        let decides = self.first.is_none() && self.usual.is_none() && self.after.is_none();
        self.window.as_ref().filter(|window| window.shared && decides)
    }

    /// How far back this rule's state reaches, microseconds; `None` where it has none.
    pub fn lookback_us(&self) -> Option<i64> {
        let window = self.window.as_ref().map(|window| window.within_us);
        let first = self.first.as_ref().map(|first| super::baseline::Touched::lookback_us(first.learn_us));
        let usual = self.usual.as_ref().map(|usual| super::baseline::Touched::lookback_us(usual.learn_us));
        let after = self.after.as_ref().map(|after| after.within_us);
        let throttle = self.throttle.as_ref().map(|throttle| throttle.once_us);
        window.max(first).max(usual).max(after).max(throttle)
    }
}

impl<R: Judged> After<R> {
    /// Whether a record counts, of records of which so much is to be asked.
    pub fn concerns(&self, record: &R, moment: &Moment<'_>, asked: Asked) -> bool {
        asked.after.is_some_and(|open| self.when.is_true(record, moment, open))
    }
}

impl<R: Judged> Window<R> {
    /// What a record adds.
    pub fn amount(&self, record: &R) -> Amount {
        match &self.measure {
            Measure::Count => Amount::Number(1),
            Measure::Sum(column) => match (column.get)(record) {
                Value::U64(number) => Amount::Number(number),
                _ => Amount::Number(0),
            },
            Measure::Distinct(column) => Amount::Values(keys((column.get)(record))),
        }
    }
}

impl<R: Judged> First<R> {
    /// What a record touches, by name. An hour has none.
    pub fn things<'r>(&self, record: &'r R) -> Vec<&'r str> {
        match &self.thing {
            Thing::Relation => record.relations(),
            Thing::ClassifiedRelation => record.classified_relations(),
            Thing::Column(column) => match (column.get)(record) {
                Value::Text(text) => vec![text],
                Value::Texts(items) => items.iter().map(|item| &**item).collect(),
                _ => Vec::new(),
            },
            Thing::Hour => Vec::new(),
        }
    }
}

/// What a thing is known by.
pub fn name_key(name: &str) -> Key {
    Key::of_value(Value::Text(name))
}

fn keys(value: Value<'_>) -> Vec<Key> {
    match value {
        Value::Null => Vec::new(),
        Value::Texts(items) => items.iter().map(|item| Key::of_value(Value::Text(item))).collect(),
        Value::U64s(items) => items.iter().map(|item| Key::of_value(Value::U64(*item))).collect(),
        value => vec![Key::of_value(value)],
    }
}
