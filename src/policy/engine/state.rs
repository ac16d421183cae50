//! What one policy has seen, and what it makes of a record.

use crate::clock::Timestamp;
use crate::policy::baseline::{News, Touched};
use crate::policy::definition::{AnyRule, Policy};
use crate::policy::explanation::Found;
use crate::policy::judged::Judged;
use crate::policy::key::{Key, Keys};
use crate::policy::moment::Moment;
use crate::policy::rule::{Asked, First, Rule, Thing, name_key};
use crate::policy::usual::Days;
use crate::policy::window::{Amount, Windows};
use crate::record::{Column, Value};

/// See the module.
pub(super) struct State {
    pub(super) windows: Option<Windows>,
    touched: Option<Touched>,
    days: Option<Days>,
    /// Records that `after` counts.
    before: Option<Windows>,
    /// Whose window the last record was added to.
    pub(super) added: Option<Key>,
}

impl State {
    /// Nothing seen.
    pub(super) fn new(policy: &Policy) -> State {
        fn state<R: Judged>(rule: &Rule<R>) -> State {
            State {
                windows: rule.window.as_ref().map(|window| Windows::new(window.within_us)),
                touched: rule.first.as_ref().map(|first| match first.thing {
                    Thing::Hour => Touched::hours(first.learn_us, first.peers.is_some()),
                    _ => Touched::things(first.learn_us, first.peers.is_some()),
                }),
                days: rule.usual.as_ref().map(|usual| Days::new(usual.learn_us, usual.unusual)),
                before: rule.after.as_ref().map(|after| Windows::new(after.within_us)),
                added: None,
            }
        }
        match &policy.rule {
            AnyRule::Statement(rule) => state(rule),
            AnyRule::Transaction(rule) => state(rule),
            AnyRule::Session(rule) => state(rule),
        }
    }

    /// How many principals it knows.
    pub(super) fn principals(&self) -> usize {
        self.touched.as_ref().map_or(0, Touched::principals)
    }

    /// Whether it knows this one.
    pub(super) fn knows(&self, principal: Key) -> bool {
        self.touched.as_ref().is_none_or(|touched| touched.knows(principal))
    }

    /// Notes that a principal was about.
    pub(super) fn saw(&mut self, principal: Key, at: Timestamp) {
        if let Some(touched) = &mut self.touched {
            touched.saw(principal, at);
        }
    }

    /// Moves the policy's state; what it finds, if the record matches.
    pub(super) fn observe<R: Judged>(
        &mut self,
        rule: &Rule<R>,
        record: &R,
        moment: &Moment<'_>,
        asked: Asked,
        keys: &mut Keys<R>,
    ) -> Option<Found> {
        let at = record.judged_at();
        self.added = None;
        if let (Some(first), Some(touched)) = (&rule.first, self.touched.as_mut()) {
            touched.saw(keys.of(record, &first.by), at);
        }
        let before = self.count_before(rule, record, moment, asked, keys);
        if !rule.concerns(record, moment, asked) {
            return None;
        }
        let mut found = Found::default();
        match rule.when.as_ref().and_then(|when| when.limit()) {
            // What is new is not new by any number: there is no limit to name.
            Some((column, threshold)) if rule.first.is_none() => {
                if let Value::U64(observed) = (column.get)(record) {
                    (found.observed, found.threshold) = (Some(observed), Some(threshold));
                }
            }
            _ => found.observed = record.persons(),
        }
        let mut matches = true;
        if let Some(after) = &rule.after {
            found.before = before;
            matches &= before.is_some_and(|before| before >= after.times);
        }
        if let (Some(first), Some(touched)) = (&rule.first, self.touched.as_mut()) {
            let peers = group(record, first.peers.as_deref().unwrap_or_default());
            matches &= is_news(first, touched, (keys.of(record, &first.by), peers), record, moment, &mut found);
        }
        if let (Some(usual), Some(days)) = (&rule.usual, self.days.as_mut()) {
            let amount = if let Value::U64(number) = (usual.column.get)(record) { number } else { 0 };
            let (total, known) =
                days.add(keys.of(record, &usual.by), group(record, &usual.peers), at, moment.day(), amount);
            matches &= known.is_some_and(|known| total > known.limit && total >= usual.at_least);
            found.observed = Some(total);
            found.threshold = known.map(|known| known.limit);
            found.usual = known;
        }
        if let (Some(window), Some(windows)) = (&rule.window, self.windows.as_mut()) {
            let key = keys.of(record, &window.by);
            let figure = windows.add(key, at, window.amount(record), record.evidence());
            self.added = Some(key);
            matches &= figure.total > window.above;
            found.observed = Some(figure.total);
            found.threshold = Some(window.above);
            found.is_estimate = figure.is_estimate;
        }
        if !matches {
            return None;
        }
        found.evidence = match (self.added, self.windows.as_ref(), record.evidence()) {
            (Some(key), Some(windows), Some(_)) => windows.evidence(key),
            (_, _, own) => own.into_iter().collect(),
        };
        Some(found)
    }

    /// How many records came before this one that `after` counts; the record itself is one of them for those that follow.
    fn count_before<R: Judged>(
        &mut self,
        rule: &Rule<R>,
        record: &R,
        moment: &Moment<'_>,
        asked: Asked,
        keys: &mut Keys<R>,
    ) -> Option<u64> {
        let (after, windows) = (rule.after.as_ref()?, self.before.as_mut()?);
        let (key, at) = (keys.of(record, &after.by), record.judged_at());
        let before = windows.with(key, at, &Amount::Number(0));
        if after.concerns(record, moment, asked) {
            windows.add(key, at, Amount::Number(1), record.evidence());
        }
        Some(before)
    }
}

/// Whose peer the one of this record is.
fn group<R: Judged>(record: &R, peers: &[&'static Column<R>]) -> Key {
    if peers.is_empty() { Key::default() } else { Key::of(record, peers) }
}

/// Notes what a matching record touches; whether anything of it is new, and what.
fn is_news<R: Judged>(
    first: &First<R>,
    touched: &mut Touched,
    (principal, peers): (Key, Key),
    record: &R,
    moment: &Moment<'_>,
    found: &mut Found,
) -> bool {
    let at = record.judged_at();
    if let Thing::Hour = first.thing {
        let Some(odd) = touched.hour(principal, peers, at, moment.hour()) else { return false };
        (found.usual_hours, found.newcomer) = (Some(odd.usual), odd.newcomer);
        return true;
    }
    let things = first.things(record);
    let News { new, newcomer } = touched.touch(principal, peers, at, things.iter().map(|name| name_key(name)));
    found.new = new.into_iter().filter_map(|index| things.get(index)).map(|name| (*name).to_owned()).collect();
    found.newcomer = newcomer;
    !found.new.is_empty()
}
