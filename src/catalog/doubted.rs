//! Code that nobody could follow may have filled any relation. Which one it was, the server counts.
//!
//! In: that such code ran; and of each relation something that changes whenever it is written, as the catalog is read. Out: whether any relation may
//! have been filled, until the server has counted; and then those that were written meanwhile. Nothing is said of what they hold, and so nobody is
//! counted for it: what is read of them is not exact, no more and no less. What had been counted before is kept with the lineage, so that a restart ends
//! no doubt. Where nothing had been, it is every relation there is; on servers that do not count, every one from then on.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Catalog;
use super::relations::place_of;
use super::snapshot::{Oid, Rows};
use crate::clock::Timestamp;
use crate::record::Text;

/// A session that rests tells what it wrote after ten seconds (PostgreSQL's pgstat.c, `PGSTAT_IDLE_INTERVAL`); one that works, each second.
pub(super) const COUNTED_AFTER: Duration = Duration::from_secs(12);

/// Readings of which it is remembered what had been counted: a statement is told of when it is over, and some may have begun since it did. The
/// first one and the last are among them, and those between lie the closer the later they are.
const READINGS_MAX: usize = 8;

/// What had been counted before anything was, as it is kept: no relation has this OID.
const NOTHING_COUNTED: [(Oid, i64); 1] = [(0, 0)];

/// Of each relation something that changes whenever it is written; by OID, rising. There are as many as relations, several times over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Written(Vec<(Oid, i64)>);

impl Written {
    pub(super) fn get(&self, oid: Oid) -> Option<i64> {
        self.0.get(place_of(&self.0, oid, |(its, _)| *its)?).map(|(_, written)| *written)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Oid, i64)> {
        self.0.iter().copied()
    }
}

/// Of one OID the first.
impl FromIterator<(Oid, i64)> for Written {
    fn from_iter<I: IntoIterator<Item = (Oid, i64)>>(all: I) -> Written {
        let mut all: Vec<(Oid, i64)> = all.into_iter().collect();
        all.sort_by_key(|(oid, _)| *oid);
        all.dedup_by_key(|(oid, _)| *oid);
        all.shrink_to_fit();
        Written(all)
    }
}

/// Of one database.
#[derive(Clone, Debug, Default)]
pub(super) struct Doubt {
    open: Option<Open>,
    /// When the reading began that is under way.
    reading_since: Option<Instant>,
    /// What readings had counted, by when.
    readings: Vec<(Timestamp, Arc<Written>)>,
}

#[derive(Clone, Debug)]
struct Open {
    /// What had been written before; `None` where the server does not count.
    before: Option<Arc<Written>>,
    /// When what was written since is counted.
    until: Instant,
}

impl Doubt {
    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    pub(super) fn reading_begins(&mut self) {
        self.reading_since = Some(Instant::now());
    }

    /// True where there was none. `begun`: when what raises it began, of which no reading that was over by then has anything.
    pub(super) fn raise(&mut self, begun: Timestamp, counted_after: Duration) -> bool {
        let until = Instant::now() + counted_after;
        let before = self.readings.iter().rev().find(|(at, _)| *at < begun).map(|(_, written)| Arc::clone(written));
        match &mut self.open {
            Some(open) => open.until = until,
            None => {
                self.open = Some(Open { before, until });
                return true;
            }
        }
        false
    }

    /// Takes what a reading has counted that was over then. Of more than are remembered, the one goes that is missed the least: its neighbours
    /// lie closest to each other, for how long ago they were.
    fn remember(&mut self, at: Timestamp, written: &Arc<Written>) {
        if self.readings.last().is_some_and(|(_, last)| last == written) {
            return;
        }
        self.readings.push((at, Arc::clone(written)));
        if self.readings.len() <= READINGS_MAX {
            return;
        }
        let ago = |place: usize| self.readings.get(place).map_or(0, |(then, _)| at.0.saturating_sub(then.0));
        // How much longer ago than it must be the reading is that is found instead, in thousandths.
        let missed = |place: &usize| {
            let [earlier, later] = [ago(place.saturating_sub(1)), ago(place.saturating_add(1))];
            earlier.saturating_sub(later).saturating_mul(1000).checked_div(earlier)
        };
        if let Some(place) = (1..READINGS_MAX).min_by_key(missed) {
            self.readings.remove(place);
        }
    }

    /// What was counted before it was raised, to be kept.
    pub(super) fn counted_before(&self) -> Option<&Arc<Written>> {
        self.open.as_ref()?.before.as_ref()
    }

    /// Goes on where it was before a restart: all that was written by then is counted in a while, too.
    pub(super) fn resume(&mut self, before: Written, counted_after: Duration) {
        self.open = Some(Open { before: Some(Arc::new(before)), until: Instant::now() + counted_after });
    }

    /// The catalog was read. Gives the relations that were written since it was open, where all of it is counted by now, and that ends it.
    pub(super) fn was_read(&mut self, rows: &Rows) -> Option<BTreeSet<(Text, Text)>> {
        if let Some(written) = &rows.written {
            self.remember(rows.written_by, written);
        }
        let open = self.open.as_mut()?;
        let Some(now) = &rows.written else {
            open.before = None;
            return None;
        };
        let before = open.before.get_or_insert_with(|| Arc::new(Written::from_iter(NOTHING_COUNTED)));
        if self.reading_since.is_none_or(|since| since < open.until) {
            return None;
        }
        let mut written: BTreeSet<Oid> =
            now.iter().filter(|(oid, now)| before.get(*oid) != Some(*now)).map(|(oid, _)| oid).collect();
        // A partition's rows are its parents', too.
        let mut last = 0;
        while last != written.len() {
            last = written.len();
            let above = rows.inherits.iter().filter(|(child, _)| written.contains(child)).map(|(_, parent)| *parent);
            written.extend(above.collect::<Vec<_>>());
        }
        self.open = None;
        let listed = |oid: &Oid| rows.relations.get(place_of(&rows.relations, *oid, |listed| listed.oid)?);
        Some(written.iter().filter_map(listed).map(|listed| (listed.schema.clone(), listed.name.clone())).collect())
    }
}

impl Catalog {
    /// Code ran that may have filled anything, with anything; it began then, by the clock that readings go by. True where there is more to keep.
    pub fn was_not_followed(&self, database: &str, begun: Timestamp) -> bool {
        let mut databases = self.write();
        let Some(database) = databases.get_mut(database) else { return false };
        let is_new = database.doubt.raise(begun, COUNTED_AFTER);
        if is_new {
            Arc::make_mut(&mut database.lineage).doubt_what_is_no_relation();
        }
        let mut changed = is_new;
        // It holds from then on, over restarts.
        if database.snapshot.is_some() && database.rows.written.is_none() && !database.lineage.is_doubted {
            Arc::make_mut(&mut database.lineage).is_doubted = true;
            changed = true;
        }
        drop(databases);
        if is_new {
            self.inner.wake.notify_one();
            self.changed_now();
        }
        changed
    }

    /// When the server has counted what such code wrote; `None` where nothing is in doubt, or it does not count.
    pub(super) fn counted_at(&self, database: &str) -> Option<Instant> {
        let databases = self.read();
        let open = databases.get(database)?.doubt.open.as_ref()?;
        open.before.as_ref().map(|_| open.until)
    }
}
