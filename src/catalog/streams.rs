//! What goes out on streams: replication, and notifications.
//!
//! In: what a replication command asks for, what a statement sends. Out: the classified columns that go out with it. PURE.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::bodies::Bodies;
use super::functions::Shown;
use super::resolve::{Found, Resolver, Target};
use super::snapshot::{Classified, Oid, Relation, Snapshot};
use super::{AtRisk, ByWire, Catalog, Consequences, PeopleRule, Understanding};
use crate::record::{CatalogState, Certainty, Text};
use crate::sql::{Analysis, Stream};

/// What is sent to whoever listens: the channel, `None` where it may be any, and what is classified in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) channel: Option<Text>,
    pub(super) columns: BTreeSet<Classified>,
}

impl Snapshot {
    /// What triggers send. Of the row that set one off, the columns that it names; all of them where it takes the row as a whole. What
    /// else it reads may be in it, too.
    pub(super) fn sent_by<'a>(&self, triggers: &'a [(Oid, String)], bodies: &Bodies<'a>) -> HashMap<Oid, Vec<Sent>> {
        let mut sent: HashMap<Oid, Vec<Sent>> = HashMap::new();
        for (oid, code) in triggers {
            let code = bodies.code(code);
            let Some(relation) = self.relation(*oid).filter(|_| !code.notifies.is_empty()) else { continue };
            let mut columns = self.code(&code).columns;
            let of_row = |schema: &Text| matches!(&**schema, "new" | "old");
            let named = code.relations.iter().filter(|name| name.schema.as_ref().is_some_and(of_row));
            for name in named.filter(|name| relation.columns.contains_key(&name.name)) {
                columns.extend(relation.shows(Some(&name.name)));
            }
            if code.takes_rows {
                columns.extend(relation.shows(None));
            }
            let channels = code.notifies.iter().cloned();
            sent.entry(*oid).or_default().extend(channels.map(|channel| Sent { channel, columns: columns.clone() }));
        }
        sent
    }
}

impl Snapshot {
    /// What triggers and functions may send on a channel, whoever sets them off. True where one of them names it outright.
    fn may_send(&self, channel: &str, columns: &mut BTreeSet<Classified>, on_any: bool) -> bool {
        let mut named = false;
        let mut take = |its: &Option<Text>, more: &BTreeSet<Classified>| {
            let fits = its.as_deref().map_or(on_any, |its| its == channel);
            named |= fits && its.is_some();
            if fits {
                columns.extend(more.iter().cloned());
            }
        };
        self.all_sent().for_each(|sent| take(&sent.channel, &sent.columns));
        for shown in self.all_functions() {
            shown.notifies.iter().for_each(|its| take(its, &shown.columns));
        }
        named
    }
}

impl Catalog {
    /// What a notification may tell that arrives on a channel: what this sidecar's sessions sent there, finished or `under_way`, and what
    /// the database's own triggers and functions may. Where none of these is known to send there, somebody did who did not come
    /// through here, and what is not known is assumed to be so.
    pub fn heard(&self, database: &str, channel: &str, under_way: &[&Consequences]) -> Understanding {
        let classification = self.inner.classification.load();
        let (snapshot, stale, lineage) = self.read().get(database).map_or_else(Default::default, |database| {
            (database.snapshot.clone(), database.stale, Arc::clone(&database.lineage))
        });
        let mut columns = BTreeSet::new();
        let mut explained = false;
        for holds in lineage.of_channel(channel) {
            explained = true;
            columns.extend(holds.shows(None, &classification).0);
        }
        for sent in under_way.iter().flat_map(|follows| &follows.sent) {
            if sent.channel.as_deref().is_none_or(|its| its == channel) {
                explained = true;
                columns.extend(sent.columns.iter().cloned());
            }
        }
        let known = columns.len();
        if let Some(snapshot) = &snapshot {
            explained |= snapshot.may_send(channel, &mut columns, !explained);
        }
        let certainty = match explained && columns.len() == known {
            true => Certainty::Inferred,
            false => Certainty::Assumed,
        };
        let level = columns.iter().map(|column| column.level).max();
        let personal = level.is_some_and(|level| classification.is_personal(level));
        Understanding {
            relations_read: Vec::new(),
            relations_written: Vec::new(),
            columns: columns.into_iter().map(|column| column.name).collect(),
            level: level.and_then(|level| classification.name(level)).cloned(),
            personal,
            people: if personal {
                PeopleRule::Estimated { most: None, each: None, in_row: None }
            } else {
                PeopleRule::Nobody
            },
            by_wire: ByWire::EXACT,
            certainty,
            state: match (&snapshot, stale) {
                (None, _) => CatalogState::None,
                (Some(_), true) => CatalogState::Stale,
                (Some(_), false) => CatalogState::Fresh,
            },
            consequences: Consequences::default(),
            at_risk: AtRisk::default(),
            raised: AtRisk::default(),
        }
    }
}

impl Resolver<'_> {
    /// What a replication command streams, and how many people there are where that is known.
    pub(super) fn streamed(&self, analysis: &Analysis, found: &mut Found) -> Option<Streamed> {
        let stream = analysis.doors.stream.as_ref()?;
        let mut streamed = Streamed::default();
        match stream {
            Stream::Everything => {
                let known = self.others.iter().map(Arc::as_ref).chain(self.snapshot);
                known.for_each(|snapshot| streamed.all_of(snapshot, found));
            }
            Stream::Changes => {
                self.snapshot.into_iter().for_each(|snapshot| streamed.all_of(snapshot, found));
                // Which tables change is not known.
                found.doubt();
            }
            Stream::Publications(names) => {
                for name in names {
                    let tables = self.snapshot.into_iter().flat_map(|snapshot| {
                        let named = |(schema, name): &(Text, Text)| snapshot.named(schema, name);
                        snapshot.published(name).filter_map(move |table| Some((named(&table.table)?, &table.columns)))
                    });
                    let mut is_known = false;
                    for (relation, columns) in tables {
                        is_known = true;
                        streamed.one(relation);
                        let target = Target::Known(relation);
                        match columns {
                            Some(columns) => columns.iter().for_each(|name| self.show(&target, Some(name), found)),
                            None => self.show(&target, None, found),
                        }
                    }
                    if !is_known {
                        self.snapshot.into_iter().for_each(|snapshot| streamed.all_of(snapshot, found));
                        found.doubt();
                    }
                }
            }
        }
        found.infer();
        Some(streamed)
    }

    /// What a statement sends to whoever listens: by itself, by a function, by triggers on what it writes.
    pub(super) fn sent(&self, analysis: &Analysis, writes: &[Target<'_>], found: &Found, called: &Shown) -> Vec<Sent> {
        let own = analysis.doors.notifies.iter();
        let mut sent: Vec<Sent> =
            own.map(|channel| Sent { channel: channel.clone(), columns: found.columns.clone() }).collect();
        let by_code = analysis.code.iter().flat_map(|code| &code.notifies).chain(&called.notifies);
        let aside = called.aside.iter().flat_map(|aside| &aside.columns);
        let columns: BTreeSet<Classified> = called.columns.iter().chain(aside).cloned().collect();
        sent.extend(by_code.map(|channel| Sent { channel: channel.clone(), columns: columns.clone() }));
        if let Some(snapshot) = self.snapshot {
            let written = writes.iter().filter_map(Target::parts);
            sent.extend(written.flat_map(|(schema, name)| snapshot.sent_from(&schema, &name)).cloned());
        }
        sent
    }
}

/// Relations in a stream that have anything classified.
#[derive(Default)]
pub(super) struct Streamed {
    pub(super) relations: BTreeSet<Text>,
    /// Rows of the largest of them; `None` where the server has not counted one of them.
    pub(super) most: Option<u64>,
    uncounted: bool,
}

impl Streamed {
    fn one(&mut self, relation: &Relation) {
        self.relations.extend(relation.bases().iter().cloned());
        if !relation.classified.is_empty() {
            // What code put there is of somebody who is counted where it came from.
            let is_own = |classified: &Classified| classified.name.starts_with(&*relation.name);
            self.uncounted |= relation.size.is_none() && relation.classified.values().flatten().any(is_own);
            self.most = self.most.max(relation.size).filter(|_| !self.uncounted);
        }
    }

    fn all_of(&mut self, snapshot: &Snapshot, found: &mut Found) {
        found.columns.extend(snapshot.everything().iter().cloned());
        snapshot.classified_relations().for_each(|relation| self.one(relation));
    }
}
