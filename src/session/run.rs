//! One execution under way, and the columns of its result.
//!
//! In: what the server sends for it. Out: the counts of its [`Ended`](super::event::Ended).

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::baits::Copied;
use super::event::{Counted, Heads, Origin, People, Raised, Sighted};
use super::people::Counting;
use super::sampling::{Sampling, Unsettled};
use super::streaming::Told;
use super::{SUBJECTS_MAX, SubjectColumns};
use crate::record::Text;
use crate::wire::backend::{self, Column};
use crate::wire::bind::{COLUMNS_MAX, Formats};
use crate::wire::read::Truncated;

/// The columns of a result, as RowDescription has them.
#[derive(Clone, Debug)]
pub(super) struct Columns {
    /// Where they come from.
    pub origins: Arc<[Origin]>,
    /// Their formats, which hold where no Bind says otherwise.
    pub formats: Formats,
    /// None of them is to be looked at any more, see [`Sampling`].
    settled: Arc<AtomicBool>,
}

impl Columns {
    /// Reads a RowDescription. Labels that are not UTF-8 are taken for Latin-1.
    pub fn read(body: &[u8]) -> Result<Columns, Truncated> {
        let columns = backend::row_description(body)?;
        let formats = match columns.iter().any(|column| column.format != 0) {
            true => Formats::Each(columns.iter().map(|column| column.format == 1).collect()),
            false => Formats::Text,
        };
        Ok(Columns { origins: columns.iter().map(origin).collect(), formats, settled: Arc::default() })
    }
}

fn origin(column: &Column<'_>) -> Origin {
    Origin {
        name: text(column.name),
        table_oid: column.table_oid,
        attribute: column.attribute,
        type_oid: column.type_oid,
    }
}

/// Text of a peer's. Bytes that are not UTF-8 are taken for Latin-1: nothing becomes U+FFFD.
pub(super) fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect(),
    }
}

/// One execution: a statement of a Query, a portal over all its Executes, or a function call.
#[derive(Debug)]
pub(super) struct Run {
    /// The statement's number.
    pub no: u64,
    /// Which statement of a Query, from 0.
    pub part: u32,
    /// DataRow and CopyData.
    pub rows: u64,
    /// Bytes of the server's messages.
    pub bytes_out: u64,
    /// Bytes of the client's messages that are not in an outstanding message's own count.
    pub bytes_in: u64,
    /// Where RowDescription said the columns come from.
    pub columns: Option<Arc<[Origin]>>,
    /// Where one of them names a data subject.
    pub people: Option<Box<Counting>>,
    /// Where values of columns are looked at that nobody classified.
    sampling: Option<(Box<Sampling>, Arc<Unsettled>)>,
    /// What was found out by it.
    sighted: Vec<Sighted>,
    /// Those of its earlier results.
    earlier_people: Option<Box<People>>,
    /// When a gate wants to look again.
    pub watched: Watched,
    /// What functions said in notices.
    pub raised: Raised,
    /// What of a stream is told already: not in `rows` and `bytes_out` any more.
    pub told: Told,
    /// The people when a gate looked last, and before its last row.
    people_seen: Heads,
    people_before: Heads,
    /// Baits in its results, and in what it copies out.
    pub sprung: Vec<Text>,
    /// How many, as of the people.
    sprung_seen: usize,
    sprung_before: usize,
    /// Where the data of a COPY is looked at.
    copied: Option<Box<Copied>>,
}

/// So many rows, people and bytes a gate lets go on without another look.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Watched {
    pub rows: u64,
    pub people: u64,
    pub bytes: u64,
}

/// An estimate of people is made once in so many rows: it costs more than a count.
const ESTIMATED_EVERY_ROWS: u64 = 1_024;

/// Two results' people: at most so many, because some may be in both.
fn add(earlier: Option<Box<People>>, people: People) -> Box<People> {
    let Some(mut all) = earlier else { return Box::new(people) };
    let heads = all.heads().and(people.heads());
    all.distinct = heads.together;
    all.counted = match heads.apart == heads.together {
        true => Counted::Estimated,
        false => Counted::Apart { people: heads.apart, exact: false },
    };
    let room = SUBJECTS_MAX.saturating_sub(all.values.len());
    all.values.extend(people.values.into_iter().take(room));
    all
}

impl Run {
    /// Nothing counted yet.
    pub fn new(no: u64, part: u32) -> Run {
        Run {
            no,
            part,
            rows: 0,
            bytes_out: 0,
            bytes_in: 0,
            columns: None,
            people: None,
            sampling: None,
            sighted: Vec::new(),
            earlier_people: None,
            watched: Watched::default(),
            raised: Raised::default(),
            told: Told::default(),
            people_seen: Heads::default(),
            people_before: Heads::default(),
            sprung: Vec::new(),
            sprung_seen: 0,
            sprung_before: 0,
            copied: None,
        }
    }

    /// Sets the result's columns, before its first row. `formats`: those of the Bind, where there was one. A rule may
    /// give one statement several results, one after the other (PostgreSQL manual, "The Rule System").
    pub fn describe(&mut self, columns: &Columns, formats: Option<&Formats>, subjects: &SubjectColumns) {
        let formats = formats.unwrap_or(&columns.formats);
        self.columns = match self.columns.take() {
            None => Some(columns.origins.clone()),
            Some(before) if before.len() >= COLUMNS_MAX => Some(before),
            Some(before) => Some(before.iter().chain(columns.origins.iter()).cloned().collect()),
        };
        let next = Counting::start(&columns.origins, |column| formats.is_binary(column), subjects);
        if let Some(people) = std::mem::replace(&mut self.people, next).map(|counting| counting.people()) {
            self.earlier_people = Some(add(self.earlier_people.take(), people));
        }
        self.end_sampling();
        self.sampling = subjects.unclassified.as_ref().and_then(|unclassified| {
            let unsettled = &unclassified.unsettled;
            let is_binary = |column| formats.is_binary(column);
            let known = &unclassified.classified;
            let sampling = Sampling::start(&columns.origins, &columns.settled, is_binary, known, unsettled)?;
            Some((sampling, Arc::clone(unsettled)))
        });
    }

    /// Takes a piece of a DataRow's body; `last` ends the row.
    #[inline]
    pub fn row(&mut self, piece: &[u8], last: bool) {
        if let Some(people) = &mut self.people {
            people.row(piece, last, &mut self.sprung);
        }
        if let Some((sampling, unsettled)) = &mut self.sampling
            && !sampling.row(piece, last, unsettled)
        {
            self.end_sampling();
        }
    }

    /// Begins to copy out, as CopyOutResponse says: its first byte is 1 where all is binary (PostgreSQL manual, Message Formats).
    pub fn copies_out(&mut self, response: &[u8], subjects: &SubjectColumns) {
        self.copied = subjects.baits.copied(response.first() == Some(&1));
    }

    /// Takes a piece of a CopyData's body of the server's; `last` ends it.
    #[inline]
    pub fn copy(&mut self, piece: &[u8], last: bool) {
        if let Some(copied) = &mut self.copied {
            copied.piece(piece, last, &mut self.sprung);
        }
    }

    /// Whether the data of a COPY is looked at.
    pub fn looks_into_copies(&self) -> bool {
        self.copied.is_some()
    }

    /// Whether the values of rows are looked at.
    pub fn looks_into_rows(&self) -> bool {
        self.people.is_some() || self.sampling.is_some()
    }

    fn end_sampling(&mut self) {
        if let Some((sampling, _)) = self.sampling.take() {
            self.sighted.extend(sampling.sighted());
        }
    }

    /// Columns that turned out to look personal.
    pub fn take_sighted(&mut self) -> Vec<Sighted> {
        self.end_sampling();
        std::mem::take(&mut self.sighted)
    }

    /// The people so far, after a row.
    pub fn watch_people(&mut self) -> Option<Heads> {
        let earlier = self.earlier_people.as_deref().map(People::heads);
        let now = match &self.people {
            Some(counting) if counting.is_exact() || self.rows.is_multiple_of(ESTIMATED_EVERY_ROWS) => {
                counting.heads().and(earlier.unwrap_or_default())
            }
            Some(_) => self.people_seen,
            None => earlier?,
        };
        self.people_before = self.people_seen;
        self.people_seen = now;
        Some(now)
    }

    /// Whether the last row had baits that those before it had not.
    pub fn watch_sprung(&mut self) -> bool {
        self.sprung_before = self.sprung_seen;
        self.sprung_seen = self.sprung.len();
        self.sprung_seen > self.sprung_before
    }

    /// The last row does not reach the client: its message had so many bytes.
    pub fn take_back_row(&mut self, bytes: u64) {
        self.rows = self.rows.saturating_sub(1);
        self.bytes_out = self.bytes_out.saturating_sub(bytes);
        self.sprung.truncate(self.sprung_before);
        if let Some(mut people) = self.take_people() {
            let before = self.people_before;
            people.distinct = people.distinct.min(before.together);
            if let Counted::Apart { people, .. } = &mut people.counted {
                *people = (*people).min(before.apart);
            }
            people.values.truncate(usize::try_from(people.distinct).unwrap_or(usize::MAX));
            self.earlier_people = Some(people);
        }
    }

    /// The people of all its results.
    pub fn take_people(&mut self) -> Option<Box<People>> {
        let (earlier, last) = (self.earlier_people.take(), self.people.take());
        match last.map(|counting| counting.people()) {
            Some(last) => Some(add(earlier, last)),
            None => earlier,
        }
    }

    /// Counts a message of the server's.
    pub fn count_out(&mut self, bytes: u64) {
        self.bytes_out = self.bytes_out.saturating_add(bytes);
    }
}
