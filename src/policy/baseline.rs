//! What is usual for a principal by kind, not by figure: what it has never done before (`first`), and at which hours it does it (`first: hour`).
//!
//! In: every record of the policy's table, so that it is known since when a principal is about; and, of the records
//! that match the policy's condition, what they touch. Out: what is touched for the first time.
//!
//! * A principal that was first seen less than `learn` ago is cold: it is judged by its peers. What it touches for the first time counts where
//!   nobody else has touched it either, and where there are [`PEERS_MIN`] others at least who are known for longer and have touched something
//!   of late. Without them it only teaches: a new deployment raises no storm. `learn: 0d` judges from the first record on.
//! * Peers are of a group: the values of some columns, by default of none, which puts everybody into one. Whoever changes groups belongs to that
//!   of its latest touch; what it did itself stays known.
//! * Hours are known from [`HOUR_DAYS_MIN`] days (UTC) on; who has fewer is judged by its peers too, and no peer itself. Which hours follow from
//!   those that were seen: [`super::hours`].
//! * What has not been touched for [`REMEMBERED_US`] is forgotten and is a first again; the engine's look-back covers
//!   the same time, so that a restart changes nothing.
//! * [`PRINCIPALS_MAX`] principals, [`TOUCHED_MAX`] things each, [`TOUCHED_BY_ALL_MAX`] of all together. Beyond, the longest unused go. Once a
//!   principal has been dropped so, unknown ones are judged at once instead of learned from: a flood of names buys no silence.

use std::collections::VecDeque;

use super::duration::DAY_US;
use super::hours::Hours;
use super::key::{ByKey, Key};
use super::usual::PEERS_MIN;
use crate::clock::Timestamp;
use crate::record::Value;

/// How long something stays known, microseconds: over a month, for what is done monthly.
pub const REMEMBERED_US: i64 = 35 * DAY_US;
/// Principals that are kept.
pub const PRINCIPALS_MAX: usize = 16_384;
/// Things that are kept for each.
pub const TOUCHED_MAX: usize = 4_096;
/// Things that are kept of all of them together.
pub const TOUCHED_BY_ALL_MAX: usize = 65_536;
/// Groups whose peers are kept counted; beyond, all are counted anew.
const GROUPS_MAX: usize = 1_024;
/// Days on which a principal has to have been active before its hours are known.
pub const HOUR_DAYS_MIN: usize = 5;

/// What the principals of one policy have touched.
#[derive(Debug, Default)]
pub struct Touched {
    learn_us: i64,
    /// Whether cold ones are judged by their peers.
    by_peers: bool,
    /// Days on which one has to have touched something to be a peer.
    days_min: usize,
    principals: ByKey<Principal>,
    /// What anybody has touched, and when last, by group and thing.
    by_all: ByKey<Timestamp>,
    /// By group.
    peers: ByKey<Peers>,
    dropped: u64,
}

#[derive(Debug)]
struct Principal {
    since: Timestamp,
    last: Timestamp,
    /// Whose peer it is, since it last touched something.
    group: Key,
    things: ByKey<Timestamp>,
    /// The last days on which it has touched something, and when last on each: [`Touched::days_min`] of them.
    days: VecDeque<(i64, Timestamp)>,
}

/// How many peers there are, counted once until that can change.
#[derive(Clone, Copy, Debug)]
struct Peers {
    number: u64,
    /// When the next comes to be one, or ceases to be.
    changes_at: Timestamp,
}

/// What a record touches for the first time.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct News {
    /// Places of the things.
    pub new: Vec<usize>,
    /// Where it was judged by its peers.
    pub newcomer: Option<Newcomer>,
}

/// An hour at which a principal was never active.
#[derive(Debug, PartialEq, Eq)]
pub struct OddHour {
    /// The usual ones: its own, or its peers'.
    pub usual: Hours,
    /// Where it was judged by its peers.
    pub newcomer: Option<Newcomer>,
}

/// One who is not known for long enough to be judged by what it did itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Newcomer {
    /// For how long it has been about, microseconds.
    pub known_us: i64,
    /// By how many others it was judged.
    pub others: u64,
}

impl Touched {
    /// Nothing known of what principals touch; they are learned from for `learn_us`, or judged by their peers in the meantime.
    pub fn things(learn_us: i64, by_peers: bool) -> Touched {
        Touched { learn_us, by_peers, days_min: 1, ..Touched::default() }
    }

    /// The same of the hours at which they are active.
    pub fn hours(learn_us: i64, by_peers: bool) -> Touched {
        Touched { days_min: HOUR_DAYS_MIN, ..Touched::things(learn_us, by_peers) }
    }

    /// How far back history matters, microseconds.
    pub fn lookback_us(learn_us: i64) -> i64 {
        REMEMBERED_US.max(learn_us)
    }

    /// How many it knows.
    pub fn principals(&self) -> usize {
        self.principals.len()
    }

    /// Whether this is one of them.
    pub fn knows(&self, principal: Key) -> bool {
        self.principals.contains_key(&principal)
    }

    /// Notes that the principal is about.
    pub fn saw(&mut self, principal: Key, at: Timestamp) {
        if self.principals.len() >= PRINCIPALS_MAX && !self.principals.contains_key(&principal) {
            self.dropped += drop_oldest(&mut self.principals, PRINCIPALS_MAX, |principal| principal.last);
            self.peers.clear();
        }
        // Where principals were dropped, this one may be one of them: it is taken for a known one.
        let since = if self.dropped > 0 { Timestamp(i64::MIN) } else { at };
        let known = self.principals.entry(principal).or_insert_with(|| Principal {
            since,
            last: at,
            group: Key::default(),
            things: ByKey::default(),
            days: VecDeque::new(),
        });
        known.last = known.last.max(at);
    }

    /// Notes what a matching record touches; what of it the principal touches for the first time. Of a cold one: what nobody of the group has touched.
    pub fn touch(&mut self, principal: Key, group: Key, at: Timestamp, things: impl Iterator<Item = Key>) -> News {
        self.saw(principal, at);
        let memory = self.memory();
        let Some(known) = self.principals.get_mut(&principal) else { return News::default() };
        let is_warm = at.0.saturating_sub(known.since.0) >= self.learn_us;
        let known_us = at.0.saturating_sub(known.since.0);
        let (mut new, mut new_to_all, mut touches) = (Vec::new(), Vec::new(), false);
        for (index, thing) in things.enumerate() {
            touches = true;
            let is_new = !memory.holds(known.things.insert(thing, at), at);
            let is_new_to_all = self.by_peers && !memory.holds(self.by_all.insert(group.and(thing), at), at);
            if is_new {
                new.push(index);
            }
            if is_new && is_new_to_all {
                new_to_all.push(index);
            }
            if known.things.len() > TOUCHED_MAX {
                drop_oldest(&mut known.things, TOUCHED_MAX, |last| *last);
            }
            if self.by_all.len() > TOUCHED_BY_ALL_MAX {
                drop_oldest(&mut self.by_all, TOUCHED_BY_ALL_MAX, |last| *last);
            }
        }
        if touches {
            self.active(principal, group, at);
        }
        if is_warm {
            return News { new, newcomer: None };
        }
        match (new_to_all.is_empty(), self.by_peers) {
            (false, true) => match self.others(group, at) {
                Some(others) => News { new: new_to_all, newcomer: Some(Newcomer { known_us, others }) },
                None => News::default(),
            },
            _ => News::default(),
        }
    }

    /// Notes that a record matches at this hour of the day; whether that is an unusual one.
    pub fn hour(&mut self, principal: Key, group: Key, at: Timestamp, hour: u8) -> Option<OddHour> {
        self.saw(principal, at);
        let memory = self.memory();
        let thing = hour_key(hour);
        let was_of_all = self.by_all.insert(group.and(thing), at);
        let known = self.principals.get_mut(&principal)?;
        let was = known.things.insert(thing, at);
        self.active(principal, group, at);
        if memory.holds(was, at) {
            return None;
        }
        let known = self.principals.get(&principal)?;
        let odd = |things: &ByKey<Timestamp>, of: Key| {
            let usual = memory.hours(things, of, at).without(hour).usual();
            (!usual.contains(hour)).then_some(usual)
        };
        if memory.is_peer(known, at) {
            return odd(&known.things, Key::default()).map(|usual| OddHour { usual, newcomer: None });
        }
        if !self.by_peers || memory.holds(was_of_all, at) {
            return None;
        }
        let known_us = at.0.saturating_sub(known.since.0);
        let usual = odd(&self.by_all, group)?;
        let others = self.others(group, at)?;
        Some(OddHour { usual, newcomer: Some(Newcomer { known_us, others }) })
    }

    fn memory(&self) -> Memory {
        Memory { learn_us: self.learn_us, remembered_us: Touched::lookback_us(self.learn_us), days_min: self.days_min }
    }

    /// Notes that the principal has touched something.
    fn active(&mut self, principal: Key, group: Key, at: Timestamp) {
        let memory = self.memory();
        let Some(known) = self.principals.get_mut(&principal) else { return };
        let left = std::mem::replace(&mut known.group, group);
        if left != group {
            self.peers.remove(&left);
            self.peers.remove(&group);
        }
        let was_able = memory.is_able(known, at);
        let day = at.0.div_euclid(DAY_US);
        match known.days.back_mut() {
            Some((last_day, last)) if *last_day >= day => *last = (*last).max(at),
            _ => known.days.push_back((day, at)),
        }
        if known.days.len() > memory.days_min {
            known.days.pop_front();
        }
        if was_able || !memory.is_able(known, at) {
            return;
        }
        let begins_at = Timestamp(known.since.0.saturating_add(memory.learn_us));
        match self.peers.get_mut(&group) {
            Some(peers) if begins_at > at => peers.changes_at = peers.changes_at.min(begins_at),
            _ => drop(self.peers.remove(&group)),
        }
    }

    /// The peers of one that is none itself, where it can be judged by them. After a flood of names it is judged whoever is left.
    fn others(&mut self, group: Key, at: Timestamp) -> Option<u64> {
        let counted = self.peers.get(&group).copied().filter(|peers| at < peers.changes_at);
        let peers = counted.unwrap_or_else(|| self.count(group, at));
        if self.peers.len() >= GROUPS_MAX {
            self.peers.clear();
        }
        self.peers.insert(group, peers);
        (peers.number >= PEERS_MIN as u64 || self.dropped > 0).then_some(peers.number)
    }

    fn count(&self, group: Key, at: Timestamp) -> Peers {
        let memory = self.memory();
        let mut peers = Peers { number: 0, changes_at: Timestamp(i64::MAX) };
        for known in self.principals.values().filter(|known| known.group == group && memory.is_able(known, at)) {
            let is_peer = memory.is_peer(known, at);
            peers.number += u64::from(is_peer);
            let changes_at = match known.days.front() {
                Some((_, last)) if is_peer => last.0.saturating_add(memory.remembered_us).saturating_add(1),
                _ => known.since.0.saturating_add(memory.learn_us),
            };
            peers.changes_at = peers.changes_at.min(Timestamp(changes_at));
        }
        peers
    }
}

/// How long what stays known.
#[derive(Clone, Copy)]
struct Memory {
    learn_us: i64,
    remembered_us: i64,
    days_min: usize,
}

impl Memory {
    /// Whether what was last done then is still known.
    fn holds(self, last: Option<Timestamp>, at: Timestamp) -> bool {
        last.is_some_and(|last| at.0.saturating_sub(last.0) <= self.remembered_us)
    }

    /// Whether it has touched something on enough days of late.
    fn is_able(self, known: &Principal, at: Timestamp) -> bool {
        known.days.len() >= self.days_min && self.holds(known.days.front().map(|(_, last)| *last), at)
    }

    /// Whether it is also known for long enough.
    fn is_peer(self, known: &Principal, at: Timestamp) -> bool {
        at.0.saturating_sub(known.since.0) >= self.learn_us && self.is_able(known, at)
    }

    /// The hours among these things, of a group.
    fn hours(self, things: &ByKey<Timestamp>, of: Key, at: Timestamp) -> Hours {
        let is_known = |hour: &u8| self.holds(things.get(&of.and(hour_key(*hour))).copied(), at);
        (0..24).filter(is_known).fold(Hours::default(), Hours::with)
    }
}

/// What an hour is known by.
fn hour_key(hour: u8) -> Key {
    Key::of_value(Value::U64(u64::from(hour)))
}

/// Drops the eighth that was used longest ago; how many that was.
fn drop_oldest<V>(map: &mut ByKey<V>, max: usize, last: impl Fn(&V) -> Timestamp) -> u64 {
    let before = map.len();
    let mut times: Vec<(Timestamp, Key)> = map.iter().map(|(key, value)| (last(value), *key)).collect();
    times.sort_unstable();
    for (_, key) in times.into_iter().take((max / 8).max(1)) {
        map.remove(&key);
    }
    (before - map.len()) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Key {
        Key::of_value(Value::Text(text))
    }

    fn day(day: i64) -> Timestamp {
        Timestamp(day * DAY_US)
    }

    fn touch(touched: &mut Touched, who: &str, at: Timestamp, things: &[&str]) -> Vec<usize> {
        touched.touch(key(who), Key::default(), at, things.iter().map(|thing| key(thing))).new
    }

    /// Three who have been about for twenty days, and have all read the orders.
    fn three_others(mut touched: Touched) -> Touched {
        for number in 0..20 {
            for who in ["anna", "ben", "cleo"] {
                touch(&mut touched, who, day(number), &["orders"]);
            }
        }
        touched
    }

    #[test]
    fn a_principal_is_learned_from_before_it_is_judged() {
        let mut touched = Touched::things(14 * DAY_US, true);
        assert!(touch(&mut touched, "clerk", day(0), &["orders"]).is_empty());
        assert!(touch(&mut touched, "clerk", day(13), &["events"]).is_empty());
        assert!(touch(&mut touched, "clerk", day(14), &["orders", "events"]).is_empty());
        assert_eq!(touch(&mut touched, "clerk", day(15), &["orders", "cards"]), [1]);
        assert!(touch(&mut touched, "clerk", day(16), &["cards"]).is_empty());
    }

    #[test]
    fn records_that_do_not_match_still_say_since_when_a_principal_is_about() {
        let mut touched = Touched::things(14 * DAY_US, true);
        touched.saw(key("clerk"), day(0));
        assert_eq!(touch(&mut touched, "clerk", day(20), &["cards"]), [0]);
    }

    #[test]
    fn without_learning_the_first_record_is_judged() {
        assert_eq!(touch(&mut Touched::things(0, true), "clerk", day(0), &["cards"]), [0]);
    }

    #[test]
    fn what_was_not_touched_for_long_is_a_first_again() {
        let mut touched = Touched::things(0, true);
        touch(&mut touched, "clerk", day(0), &["cards"]);
        assert!(touch(&mut touched, "clerk", day(35), &["cards"]).is_empty());
        assert_eq!(touch(&mut touched, "clerk", day(71), &["cards"]), [0]);
    }

    #[test]
    fn a_flood_of_principals_buys_no_silence() {
        let mut touched = Touched::things(14 * DAY_US, true);
        touch(&mut touched, "clerk", day(0), &["orders"]);
        for number in 0..(PRINCIPALS_MAX as u64 + 1) {
            touched.saw(Key::of_value(Value::U64(number)), day(1));
        }
        assert!(touched.principals.len() <= PRINCIPALS_MAX);
        assert_eq!(touch(&mut touched, "clerk", day(2), &["cards"]), [0]);
    }

    #[test]
    fn a_cold_principal_is_judged_by_what_nobody_else_has_touched() {
        let mut touched = three_others(Touched::things(14 * DAY_US, true));
        touched.saw(key("new"), day(20));
        let news = touched.touch(key("new"), Key::default(), day(23), [key("orders"), key("cards")].into_iter());
        let newcomer = Newcomer { known_us: 3 * DAY_US, others: 3 };
        assert_eq!(news, News { new: vec![1], newcomer: Some(newcomer) });
        // What one of them has touched is no news of the next, nor what it has touched itself.
        assert!(touch(&mut touched, "new", day(24), &["cards"]).is_empty());
        assert!(touch(&mut touched, "newer", day(24), &["cards"]).is_empty());
        // Once known, it is judged by its own.
        assert_eq!(touch(&mut touched, "new", day(34), &["members"]), [0]);
        assert_eq!(touched.touch(key("anna"), Key::default(), day(34), [key("members")].into_iter()).newcomer, None);
    }

    fn of_group(touched: &mut Touched, who: &str, group: &str, at: Timestamp, thing: &str) -> News {
        touched.touch(key(who), key(group), at, [key(thing)].into_iter())
    }

    #[test]
    fn peers_are_those_of_the_same_group() {
        let mut touched = Touched::things(14 * DAY_US, true);
        for number in 0..20 {
            for (who, group) in
                [("anna", "desk"), ("ben", "desk"), ("cleo", "desk"), ("dora", "office"), ("emil", "office")]
            {
                let thing = if group == "desk" { "orders" } else { "salaries" };
                of_group(&mut touched, who, group, day(number), thing);
            }
        }
        assert_eq!(of_group(&mut touched, "new", "desk", day(20), "orders"), News::default());
        let newcomer = Some(Newcomer { known_us: 0, others: 3 });
        assert_eq!(of_group(&mut touched, "new", "desk", day(20), "salaries"), News { new: vec![0], newcomer });
        assert_eq!(of_group(&mut touched, "newer", "office", day(20), "cards"), News::default(), "two are too few");
        // Who changes comes with what it did itself, and is one of its new peers from its first touch on.
        assert_eq!(of_group(&mut touched, "anna", "office", day(21), "orders"), News::default());
        let newcomer = Some(Newcomer { known_us: DAY_US, others: 3 });
        assert_eq!(of_group(&mut touched, "newer", "office", day(21), "members"), News { new: vec![0], newcomer });
        assert_eq!(of_group(&mut touched, "new", "desk", day(21), "members"), News::default(), "two are left");
    }

    #[test]
    fn hours_are_those_of_the_group_too() {
        let mut touched = Touched::hours(7 * DAY_US, true);
        let mut works = |who: &str, group: &str, number: i64, hour: u8| {
            touched.hour(key(who), key(group), Timestamp(number * DAY_US + i64::from(hour) * DAY_US / 24), hour)
        };
        for number in 0..10 {
            for (who, group, hour) in [
                ("a", "desk", 10),
                ("b", "desk", 11),
                ("c", "desk", 12),
                ("d", "night", 2),
                ("e", "night", 3),
                ("f", "night", 4),
            ] {
                assert_eq!(works(who, group, number, hour), None);
            }
        }
        assert!(works("new", "desk", 10, 3).is_some_and(|odd| odd.newcomer.is_some_and(|by| by.others == 3)));
        assert_eq!(works("newer", "night", 10, 3), None);
    }

    #[test]
    fn a_flood_of_groups_takes_no_more_room() {
        let mut touched = three_others(Touched::things(14 * DAY_US, true));
        for number in 0..(2 * GROUPS_MAX as u64) {
            let group = Key::of_value(Value::U64(number));
            touched.touch(key("new"), group, day(20), [Key::of_value(Value::U64(number))].into_iter());
        }
        assert!(touched.peers.len() <= GROUPS_MAX, "{}", touched.peers.len());
    }

    #[test]
    fn it_is_learned_from_where_there_are_no_peers_who_are_known_and_about() {
        let mut all_new = three_others(Touched::things(30 * DAY_US, true));
        assert!(touch(&mut all_new, "new", day(20), &["cards"]).is_empty(), "nobody is known for 30 days");
        let mut two = Touched::things(14 * DAY_US, true);
        for number in 0..20 {
            touch(&mut two, "anna", day(number), &["orders"]);
            touch(&mut two, "ben", day(number), &["orders"]);
            // It is about, and does nothing of the kind.
            two.saw(key("cleo"), day(number));
        }
        assert!(touch(&mut two, "new", day(20), &["cards"]).is_empty(), "two are too few");
        let mut gone = three_others(Touched::things(14 * DAY_US, true));
        assert_eq!(touch(&mut gone, "new", day(19 + 35), &["cards"]), [0]);
        assert!(touch(&mut gone, "newer", day(19 + 36), &["members"]).is_empty(), "they have been away for too long");
        let mut alone = three_others(Touched::things(14 * DAY_US, false));
        assert!(touch(&mut alone, "new", day(20), &["cards"]).is_empty(), "`peers: false`");
    }

    #[test]
    fn peers_are_counted_anew_when_one_comes_to_be_one() {
        let mut touched = Touched::things(14 * DAY_US, true);
        for (who, since) in [("anna", 0), ("ben", 0), ("cleo", 10)] {
            touch(&mut touched, who, day(since), &["orders"]);
        }
        assert!(touch(&mut touched, "new", day(20), &["cards"]).is_empty());
        assert!(touch(&mut touched, "new", day(23), &["members"]).is_empty());
        assert_eq!(touch(&mut touched, "new", day(24), &["rooms"]), [0], "from now on the third is known");
        touch(&mut touched, "dora", day(24), &["orders"]);
        for number in 25..38 {
            touch(&mut touched, "dora", day(number), &["orders"]);
        }
        assert!(touch(&mut touched, "newer", day(37), &["seats"]).is_empty(), "two have been away for too long");
        touch(&mut touched, "anna", day(37), &["orders"]);
        touch(&mut touched, "ben", day(37), &["orders"]);
        assert_eq!(touch(&mut touched, "newer", day(38), &["doors"]), [0], "and are back");
    }

    #[test]
    fn what_all_have_touched_is_bounded() {
        let mut touched = Touched::things(14 * DAY_US, true);
        for who in 0..20_u64 {
            for thing in 0..(TOUCHED_MAX as u64) {
                let thing = Key::of_value(Value::U64(who * 1_000_000 + thing));
                touched.touch(Key::of_value(Value::U64(who)), Key::default(), day(1), [thing].into_iter());
            }
        }
        assert!(touched.by_all.len() <= TOUCHED_BY_ALL_MAX);
    }

    /// On these days the clerk is active at these hours (UTC).
    fn works(touched: &mut Touched, who: &str, days: std::ops::Range<i64>, hours: &[u8]) -> Vec<OddHour> {
        let times = days.flat_map(|number| hours.iter().map(move |hour| (number, *hour)));
        let odd = times.filter_map(|(number, hour)| {
            touched.hour(key(who), Key::default(), Timestamp(number * DAY_US + i64::from(hour) * DAY_US / 24), hour)
        });
        odd.collect()
    }

    #[test]
    fn an_hour_is_odd_that_is_neither_usual_nor_beside_one_that_is() {
        let mut touched = Touched::hours(14 * DAY_US, true);
        assert_eq!(works(&mut touched, "clerk", 0..14, &[9, 10, 13, 17]), []);
        assert_eq!(works(&mut touched, "clerk", 14..15, &[8, 12, 18]), [], "beside and between");
        let odd = works(&mut touched, "clerk", 15..16, &[3]);
        assert_eq!(odd.len(), 1);
        assert_eq!((odd[0].usual.to_string().as_str(), odd[0].newcomer), ("7 to 19 h", None));
        assert_eq!(works(&mut touched, "clerk", 16..17, &[2, 3]), [], "told once");
        assert_eq!(works(&mut touched, "clerk", 17..50, &[9, 17]), []);
        assert_eq!(works(&mut touched, "clerk", 52..53, &[3]).len(), 1, "and again when it has been forgotten");
    }

    #[test]
    fn hours_are_not_known_by_a_few_days() {
        let mut touched = Touched::hours(14 * DAY_US, true);
        touched.saw(key("clerk"), day(-30));
        assert_eq!(works(&mut touched, "clerk", 0..4, &[9]), []);
        assert_eq!(works(&mut touched, "clerk", 3..4, &[20]), []);
        assert_eq!(works(&mut touched, "clerk", 4..5, &[3]).len(), 1, "the fifth day");
    }

    #[test]
    fn a_cold_principal_is_held_to_its_peers_hours() {
        let mut touched = Touched::hours(14 * DAY_US, true);
        for who in ["anna", "ben"] {
            works(&mut touched, who, 0..20, &[9, 12, 17]);
        }
        works(&mut touched, "batch", 0..20, &[2]);
        assert_eq!(works(&mut touched, "new", 20..21, &[1, 10]), [], "the batch job's hour is usual too");
        let odd = works(&mut touched, "new", 21..22, &[22]);
        assert_eq!(odd[0].newcomer, Some(Newcomer { known_us: DAY_US + 21 * DAY_US / 24, others: 3 }));
        assert_eq!(odd[0].usual.to_string(), "0 to 3 h and 8 to 18 h");
        let mut two = Touched::hours(14 * DAY_US, true);
        works(&mut two, "anna", 0..20, &[9]);
        works(&mut two, "ben", 0..20, &[9]);
        works(&mut two, "cleo", 0..1, &[9]);
        two.saw(key("cleo"), day(19));
        assert_eq!(works(&mut two, "new", 20..21, &[22]), [], "one day makes no peer");
    }

    #[test]
    fn after_a_flood_of_names_unknown_ones_are_held_to_the_hours_of_all() {
        let mut touched = Touched::hours(14 * DAY_US, true);
        works(&mut touched, "clerk", 0..20, &[9]);
        for number in 0..(PRINCIPALS_MAX as u64 + 1) {
            touched.saw(Key::of_value(Value::U64(number)), day(21));
        }
        assert!(!touched.knows(key("clerk")));
        assert_eq!(works(&mut touched, "clerk", 22..23, &[9]), []);
        assert_eq!(works(&mut touched, "clerk", 22..23, &[3]).len(), 1);
    }
}
