//! The log judged again: what policies would have found in it.
//!
//! In: a log, a policy set, and a time. Out: each finding, in order, as an engine gives it that is told every record. Nothing is written.
//!
//! ```text
//! log ─ pieces ─┬─ read, screen, decode ─┬─ a day's records in the order of their ends ─ engine ─ findings
//!               └─ read, screen, decode ─┘
//! ```
//!
//! Pieces are read side by side, of the statements the columns alone that policies look at, and only the rows become records that a policy
//! can match or has to count ([`screen`]). The engine takes a day at a time, a UTC day by the records' beginnings, each in the order in which
//! its records ended: what several sidecars wrote comes in one order. In memory are the chosen records of a day, and of [`AHEAD`](crate::audit::AHEAD) pieces more.

mod codes;
pub mod screen;
mod sheet;
mod wanted;

use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;

use self::screen::{Kept, Screen};
use crate::audit::{Error, InOrder, Lake, Logged, Piece, read_abreast, schema};
use crate::clock::Timestamp;
use crate::policy::definition::On;
use crate::policy::duration::DAY_US;
use crate::policy::judged::Judged;
use crate::policy::{Alike, Concerned, Engine, PolicySet, Seen};
use crate::record::{Finding, Session, Statement, Transaction};

/// What is told while it goes on.
pub enum Told<'f> {
    /// Something was found.
    Finding(&'f Finding),
    /// A day has been judged, or learned from.
    Through {
        /// Records so far.
        records: u64,
        /// Pieces of the log so far.
        pieces: usize,
        /// And in all.
        of: usize,
    },
}

/// Judges the records that ended since `from` and began before `until`; what policies have to know of the time before, they learn first.
/// How many records that were.
///
/// # Errors
/// The log cannot be read.
pub fn judge(
    lake: &Lake,
    set: Arc<PolicySet>,
    (from, until): (Timestamp, Timestamp),
    tell: &mut dyn FnMut(Told<'_>),
) -> Result<u64, Error> {
    let engine = Engine::new(set);
    let mut replay = Replay { engine, alike: Alike::default(), from, records: 0 };
    let start = from.plus_micros(-replay.lookback_us());
    replay.run(lake, (start, until), tell)?;
    Ok(replay.records)
}

/// An engine that knows what it has to know of the log's past: windows and baselines survive a restart.
///
/// # Errors
/// The log cannot be read.
pub fn learned(lake: &Lake, engine: Engine, until: Timestamp) -> Result<Engine, Error> {
    let mut replay = Replay { engine, alike: Alike::default(), from: Timestamp(i64::MAX), records: 0 };
    match replay.lookback_us() {
        0 => {}
        lookback_us => replay.run(lake, (until.plus_micros(-lookback_us), until), &mut |_| {})?,
    }
    Ok(replay.engine)
}

/// UTC days, the first and the last as far as they are within.
fn days(from: Timestamp, until: Timestamp) -> Vec<(Timestamp, Timestamp)> {
    let mut days = Vec::new();
    let mut start = from;
    while start < until {
        let midnight = start.0.div_euclid(DAY_US).saturating_add(1).saturating_mul(DAY_US);
        let end = Timestamp(midnight.min(until.0));
        days.push((start, end));
        start = end;
    }
    days
}

/// What is read of a table that some policy is on, in order.
fn jobs(lake: &Lake, set: &PolicySet, days: &[(Timestamp, Timestamp)]) -> Result<Vec<Job>, Error> {
    let (Some(first), Some(last)) = (days.first(), days.last()) else { return Ok(Vec::new()) };
    let (from, to) = (Some(first.0), Some(last.1));
    let pieces = |on: On| -> Result<Vec<Piece>, Error> {
        if !set.active().any(|policy| policy.on == on || (on == On::Statement && policy.on == On::Progress)) {
            return Ok(Vec::new());
        }
        match on {
            On::Statement | On::Progress => lake.snapshot::<Statement>()?.into_pieces(from, to),
            On::Transaction => lake.snapshot::<Transaction>()?.into_pieces(from, to),
            On::Session => lake.snapshot::<Session>()?.into_pieces(from, to),
        }
    };
    let mut jobs = Vec::new();
    for on in [On::Statement, On::Transaction, On::Session] {
        let of_day = |date: &str| days.iter().enumerate().find(|(_, day)| day.0.utc_date() == date);
        let found = pieces(on)?.into_iter().filter_map(|piece| {
            let (number, day) = of_day(piece.date())?;
            Some(Job { day: (number, *day), on, piece })
        });
        jobs.extend(found);
    }
    jobs.sort_by_key(|job| job.day.0);
    Ok(jobs)
}

/// A piece to read.
struct Job {
    /// Its day's number, and from when to when that is.
    day: (usize, (Timestamp, Timestamp)),
    on: On,
    piece: Piece,
}

/// What was read of it.
#[derive(Default)]
struct Part {
    /// All records, chosen or not.
    records: u64,
    chosen: Vec<(Timestamp, Any)>,
    seen: Vec<Seen>,
}

/// One record of any of the tables.
enum Any {
    Statement(Box<Statement>, Option<Concerned>),
    Transaction(Box<Transaction>),
    Session(Box<Session>),
}

impl Job {
    /// Without a screen, every record is chosen.
    fn read(&self, screen: Option<&Screen>, kept: &mut Kept) -> Result<Part, Error> {
        let mut part = Part::default();
        match (self.on, screen) {
            (On::Statement | On::Progress, Some(screen)) => {
                for batch in self.piece.read(screen.columns())? {
                    self.choose(&batch, screen, kept, &mut part)?;
                }
            }
            (On::Statement | On::Progress, None) => {
                self.all(&mut part, |record: Statement| Any::Statement(Box::new(record), None))?;
            }
            (On::Transaction, _) => self.all(&mut part, |record: Transaction| Any::Transaction(Box::new(record)))?,
            (On::Session, _) => self.all(&mut part, |record: Session| Any::Session(Box::new(record)))?,
        }
        Ok(part)
    }

    fn choose(&self, batch: &RecordBatch, screen: &Screen, kept: &mut Kept, part: &mut Part) -> Result<(), Error> {
        let batch = self.within(batch)?;
        let chosen = screen.choose(&batch, kept);
        part.records = part.records.saturating_add(batch.num_rows() as u64);
        part.seen.extend(chosen.seen);
        let rows = filter_record_batch(&batch, &BooleanArray::from(chosen.rows))?;
        let records = schema::decode::<Statement>(&rows)?.into_iter().zip(chosen.concerned);
        let any = |(record, concerned): (Statement, Concerned)| {
            (record.judged_at(), Any::Statement(Box::new(record), Some(concerned)))
        };
        part.chosen.extend(records.map(any));
        Ok(())
    }

    fn all<R: Judged + Logged>(&self, part: &mut Part, any: fn(R) -> Any) -> Result<(), Error> {
        let columns: Vec<&str> = R::columns().iter().map(|column| column.name).collect();
        for batch in self.piece.read(&columns)? {
            let records = schema::decode::<R>(&self.within(&batch)?)?;
            part.records = part.records.saturating_add(records.len() as u64);
            part.chosen.extend(records.into_iter().map(|record| (record.judged_at(), any(record))));
        }
        Ok(())
    }

    /// The rows that began within the day, as far as that is judged.
    fn within(&self, batch: &RecordBatch) -> Result<RecordBatch, Error> {
        let (from, to) = self.day.1;
        let times = schema::times(batch, "at").unwrap_or_default();
        if times.iter().all(|at| (from.0..to.0).contains(at)) {
            return Ok(batch.clone());
        }
        let within: BooleanArray = times.iter().map(|at| Some((from.0..to.0).contains(at))).collect();
        Ok(filter_record_batch(batch, &within)?)
    }
}

struct Replay {
    engine: Engine,
    alike: Alike,
    from: Timestamp,
    records: u64,
}

impl Replay {
    fn lookback_us(&self) -> i64 {
        self.engine.lookback().and_then(|lookback| i64::try_from(lookback.as_micros()).ok()).unwrap_or(0)
    }

    /// Takes the records that began within this time.
    fn run(
        &mut self,
        lake: &Lake,
        (start, until): (Timestamp, Timestamp),
        tell: &mut dyn FnMut(Told<'_>),
    ) -> Result<(), Error> {
        let days = days(start, until);
        let jobs = jobs(lake, self.engine.set(), &days)?;
        let screen = Screen::of(&self.engine);
        let read = |job: &Job, kept: &mut Kept| job.read(Some(&screen), kept);
        read_abreast(&jobs, Kept::default, read, |parts| self.take(parts, &jobs, days.len(), tell))
    }

    /// Takes what was read of so many days.
    fn take(
        &mut self,
        read: &mut InOrder<'_, Result<Part, Error>>,
        jobs: &[Job],
        days: usize,
        tell: &mut dyn FnMut(Told<'_>),
    ) -> Result<(), Error> {
        let mut pieces: usize = 0;
        for number in 0..days {
            let of_day: Vec<&Job> = jobs.iter().filter(|job| job.day.0 == number).collect();
            let mut parts = Vec::with_capacity(of_day.len());
            for _ in &of_day {
                parts.push(read.next().unwrap_or_else(|| Ok(Part::default()))?);
            }
            self.day(parts, &of_day, tell)?;
            pieces = pieces.saturating_add(of_day.len());
            tell(Told::Through { records: self.records, pieces, of: jobs.len() });
        }
        Ok(())
    }

    fn day(&mut self, parts: Vec<Part>, jobs: &[&Job], tell: &mut dyn FnMut(Told<'_>)) -> Result<(), Error> {
        let seen: Vec<Seen> = parts.iter().flat_map(|part| part.seen.iter().copied()).collect();
        let parts = match self.engine.saw(&first_of_each(seen)) {
            true => parts,
            // Who is forgotten depends on the order of all records.
            false => jobs.iter().map(|job| job.read(None, &mut Kept::default())).collect::<Result<_, _>>()?,
        };
        let read: u64 = parts.iter().map(|part| part.records).sum();
        self.records = self.records.saturating_add(read);
        let mut all: Vec<(Timestamp, Any)> = parts.into_iter().flat_map(|part| part.chosen).collect();
        all.sort_by_key(|(at, _)| *at);
        for (at, record) in all {
            self.record(at, record).iter().for_each(|finding| tell(Told::Finding(finding)));
        }
        Ok(())
    }

    fn record(&mut self, at: Timestamp, record: Any) -> Vec<Finding> {
        match (at < self.from, record) {
            (true, Any::Statement(record, concerned)) => self.engine.learn_statement_of(&record, concerned.as_ref()),
            (true, Any::Transaction(record)) => self.engine.learn_transaction(&record),
            (true, Any::Session(record)) => self.engine.learn_session(&record),
            (false, Any::Statement(mut record, concerned)) => {
                // Judged anew by the permits of this set.
                (record.permit, record.policies) = (None, None);
                return match concerned {
                    Some(concerned) => self.engine.statement_after(&mut record, Some(&concerned), None),
                    None => self.engine.statement_like(&mut record, &mut self.alike),
                };
            }
            (false, Any::Transaction(record)) => return self.engine.transaction(&record),
            (false, Any::Session(record)) => return self.engine.session(&record),
        }
        Vec::new()
    }
}

/// Of what several pieces have of one principal, the whole.
fn first_of_each(mut seen: Vec<Seen>) -> Vec<Seen> {
    seen.sort_unstable_by_key(|seen| (seen.judge, seen.principal));
    seen.dedup_by(|next, kept| {
        let is_same = (next.judge, next.principal) == (kept.judge, kept.principal);
        if is_same {
            (kept.first, kept.last) = (kept.first.min(next.first), kept.last.max(next.last));
        }
        is_same
    });
    seen
}
