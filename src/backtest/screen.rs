//! Which statements of the past can concern which policies, found column by column.
//!
//! In: the rules of an engine; then batches of the log. Out: the rows that some policy can match or has to count, each with whom it can
//! concern, and who was about in all of them. It may choose a row too many, never one too few: what it says "no" to is what a policy's
//! condition says "no" to whatever the permit and the hour. It asks a condition's terms once for each different value of a column, and what
//! is the same in all executions of a statement once for each statement.

use std::collections::HashMap;
use std::sync::Arc;

use ahash::RandomState;
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt64Array};
use arrow::datatypes::{TimestampMicrosecondType, UInt64Type};

use super::codes::{Codes, with_value};
use super::wanted;
use crate::clock::Timestamp;
use crate::policy::condition::{Condition, Term, Tri, put};
use crate::policy::key::{ByKey, Key};
use crate::policy::permit::Permit;
use crate::policy::{Concerned, Engine, Seen};
use crate::record::{Column, Statement, Table};

/// The columns that are the same in all executions of one statement.
const SETTLED: [&str; 8] = ["kind", "query", "parse", "catalog", "relations", "columns", "level", "functions"];
/// What is found out anew when a record is judged.
const UNKNOWN: [&str; 2] = ["permit", "policies"];
/// Statements of which is kept whom they can concern; with more it begins anew.
const KEPT_MAX: usize = 16_384;

/// See the module.
pub struct Screen {
    ways: Vec<Way>,
    /// The columns that decide [`Way::whole`].
    settled: Vec<&'static Column<Statement>>,
    /// Of whom a policy has to know since when they are about, with its place.
    about: Vec<(usize, Vec<&'static Column<Statement>>)>,
    permits: Vec<Permit>,
    columns: Vec<&'static str>,
    everyone: Concerned,
}

/// One way to concern a policy: to match it, or to be what it counts beforehand.
struct Way {
    judge: usize,
    /// Each has to be able to become TRUE, or must not be TRUE.
    whole: Vec<(Term<Statement>, Wanted)>,
    /// Those of them that one column decides which differs between executions: places in `whole`.
    tests: Vec<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    True,
    NotTrue,
}

/// What is kept between batches, by whoever reads them.
#[derive(Default)]
pub struct Kept {
    /// The ways that are open to a statement.
    ways: ByKey<Arc<[usize]>>,
    sets: HashMap<Box<[usize]>, Concerned, RandomState>,
}

/// What was chosen of a batch.
#[derive(Default)]
pub struct Chosen {
    /// Rows, rising.
    pub rows: Vec<usize>,
    /// Whom each can concern.
    pub concerned: Vec<Concerned>,
    /// Who was about.
    pub seen: Vec<Seen>,
}

impl Screen {
    /// For what this engine judges.
    pub fn of(engine: &Engine) -> Screen {
        let mut ways = Vec::new();
        for (judge, rule) in engine.statement_rules() {
            let terms = |condition: &Option<Condition<Statement>>, of: fn(&Condition<Statement>) -> Vec<Term<_>>| {
                condition.as_ref().map_or_else(Vec::new, of)
            };
            let all = terms(&rule.when, Condition::all_of).into_iter().map(|term| (term, Wanted::True));
            let none = terms(&rule.unless, Condition::any_of).into_iter().map(|term| (term, Wanted::NotTrue));
            ways.push(Way::new(judge, all.chain(none).collect()));
            if let Some(after) = &rule.after {
                let all = after.when.all_of().into_iter().map(|term| (term, Wanted::True));
                ways.push(Way::new(judge, all.collect()));
            }
        }
        let used = |name: &&str| {
            let terms = ways.iter().flat_map(|way| &way.whole);
            terms.flat_map(|(term, _)| term.columns()).any(|column| column.name == *name)
        };
        let settled = SETTLED.iter().filter(|name| used(name)).filter_map(|name| Statement::column(name)).collect();
        let about = engine.statement_rules().filter_map(|(judge, rule)| Some((judge, rule.first.as_ref()?.by.clone())));
        Screen {
            settled,
            about: about.collect(),
            permits: engine.set().permits.clone(),
            columns: wanted::columns(engine),
            everyone: engine.everyone(),
            ways,
        }
    }

    /// What has to be read of the statements.
    pub fn columns(&self) -> &[&'static str] {
        &self.columns
    }

    /// Chooses the rows of a batch, which has [`Screen::columns`], texts as dictionaries.
    pub fn choose(&self, batch: &RecordBatch, kept: &mut Kept) -> Chosen {
        let sheet = Sheet { batch, codes: HashMap::default() };
        let (classes, open) = self.classes(&sheet, kept);
        let permitted = self.permitted(batch);
        let mut asked = self.asked(sheet, &open);
        let mut chosen = Chosen { seen: self.seen(batch), ..Chosen::default() };
        let mut whom: Vec<usize> = Vec::new();
        for row in 0..batch.num_rows() {
            whom.clear();
            let open = classes.of_row.get(row).and_then(|class| open.get(*class as usize));
            for place in open.into_iter().flat_map(|open| open.iter()) {
                let (Some(way), Some(asked)) = (self.ways.get(*place), asked.get_mut(*place)) else { continue };
                if whom.last() != Some(&way.judge) && asked.iter_mut().all(|asked| asked.is_wanted(row)) {
                    whom.push(way.judge);
                }
            }
            if !whom.is_empty() || permitted(row) {
                chosen.rows.push(row);
                chosen.concerned.push(kept.set(&whom, &self.everyone));
            }
        }
        chosen
    }

    /// Each row's class, by what is the same in all executions of one statement, and the ways that are open to each class.
    fn classes(&self, sheet: &Sheet<'_>, kept: &mut Kept) -> (Codes, Vec<Arc<[usize]>>) {
        let classes = together(sheet.batch, &self.settled);
        let mut open = Vec::with_capacity(classes.count);
        for first in classes.first_rows() {
            let Some(row) = first else {
                open.push(Arc::default());
                continue;
            };
            let mut record = Statement::default();
            fill(&mut record, sheet.batch, row, &self.settled);
            let key = Key::of(&record, &self.settled);
            if !kept.ways.contains_key(&key) {
                if kept.ways.len() >= KEPT_MAX {
                    kept.ways.clear();
                }
                kept.ways.insert(key, self.open(&record));
            }
            open.push(kept.ways.get(&key).cloned().unwrap_or_default());
        }
        (classes, open)
    }

    /// The ways that are open to statements like this one.
    fn open(&self, record: &Statement) -> Arc<[usize]> {
        let is_settled = |column: &Column<Statement>| SETTLED.contains(&column.name);
        let can = |(term, wanted): &(Term<Statement>, Wanted)| {
            let answer = term.at_any_time(record, &is_settled);
            match (wanted, term.knows(&is_settled)) {
                (Wanted::True, true) => answer == Tri::True,
                (Wanted::True, false) => answer != Tri::False,
                (Wanted::NotTrue, _) => answer != Tri::True,
            }
        };
        let open = self.ways.iter().enumerate().filter(|(_, way)| way.whole.iter().all(can));
        open.map(|(place, _)| place).collect()
    }

    /// What is asked of each row on the ways that are open to some.
    fn asked<'s>(&'s self, mut sheet: Sheet<'s>, open: &[Arc<[usize]>]) -> Vec<Vec<Asked<'s>>> {
        let mut is_open = vec![false; self.ways.len()];
        for place in open.iter().flat_map(|open| open.iter()) {
            if let Some(flag) = is_open.get_mut(*place) {
                *flag = true;
            }
        }
        let ways = self.ways.iter().zip(is_open);
        ways.map(|(way, is_open)| {
            let tests = way.tests.iter().filter(|_| is_open).filter_map(|place| way.whole.get(*place));
            tests.filter_map(|(term, wanted)| sheet.ask(term, *wanted)).collect()
        })
        .collect()
    }

    /// Whether a permit may cover a row, or has.
    fn permitted<'b>(&'b self, batch: &'b RecordBatch) -> impl Fn(usize) -> bool + 'b {
        let had = batch.column_by_name("permit");
        let users = batch.column_by_name("db_user");
        let at = batch.column_by_name("at").and_then(|at| at.as_primitive_opt::<TimestampMicrosecondType>());
        move |row| {
            if had.is_some_and(|had| had.is_valid(row)) {
                return true;
            }
            let (Some(users), Some(at)) = (users, at) else { return false };
            let at = Timestamp(at.value(row));
            self.permits
                .iter()
                .filter(|permit| (permit.from..permit.until).contains(&at))
                .any(|permit| with_value(users, row, |user| user == crate::record::Value::Text(&permit.db_user)))
        }
    }

    fn seen(&self, batch: &RecordBatch) -> Vec<Seen> {
        let mut seen = Vec::new();
        for (judge, by) in &self.about {
            let principals = together(batch, by);
            let mut times: Vec<Option<(Timestamp, Timestamp)>> = vec![None; principals.count];
            for (code, at) in principals.of_row.iter().zip(ends(batch)) {
                if let Some(times) = times.get_mut(*code as usize) {
                    *times = Some(times.map_or((at, at), |(first, last)| (first.min(at), last.max(at))));
                }
            }
            for (row, times) in principals.first_rows().into_iter().zip(times) {
                let (Some(row), Some((first, last))) = (row, times) else { continue };
                let mut record = Statement::default();
                fill(&mut record, batch, row, by);
                seen.push(Seen { judge: *judge, principal: Key::of(&record, by), first, last });
            }
        }
        seen
    }
}

impl Way {
    fn new(judge: usize, whole: Vec<(Term<Statement>, Wanted)>) -> Way {
        let decides = |term: &Term<Statement>| {
            let column = term.only_column();
            column.is_some_and(|column| !SETTLED.contains(&column.name) && !UNKNOWN.contains(&column.name))
        };
        let places = whole.iter().enumerate().filter(|(_, (term, _))| decides(term));
        let mut tests: Vec<usize> = places.map(|(place, _)| place).collect();
        // Numbers are the quickest to ask, and rule out most.
        tests.sort_by_key(|place| whole.get(*place).is_some_and(|(term, _)| !term.is_of_number()));
        Way { judge, whole, tests }
    }
}

impl Kept {
    fn set(&mut self, whom: &[usize], everyone: &Concerned) -> Concerned {
        if let Some(known) = self.sets.get(whom) {
            return known.clone();
        }
        if self.sets.len() >= KEPT_MAX {
            self.sets.clear();
        }
        let set = everyone.only(whom);
        self.sets.insert(whom.into(), set.clone());
        set
    }
}

/// A batch, and the codes of its columns that were asked for.
struct Sheet<'b> {
    batch: &'b RecordBatch,
    codes: HashMap<&'static str, Arc<Codes>>,
}

impl<'b> Sheet<'b> {
    fn ask(&mut self, term: &'b Term<Statement>, wanted: Wanted) -> Option<Asked<'b>> {
        let column = term.only_column()?;
        let array = self.batch.column_by_name(column.name)?;
        let how = match array.as_primitive_opt::<UInt64Type>() {
            Some(numbers) if term.is_of_number() => How::Number(numbers),
            Some(_) => How::Each(array),
            None => {
                let codes = self.codes.entry(column.name).or_insert_with(|| Arc::new(Codes::of(array)));
                How::Coded { array, codes: Arc::clone(codes), answers: vec![None; codes.count] }
            }
        };
        Some(Asked { term, wanted, how, scratch: Statement::default() })
    }
}

/// One term, asked of the rows of a batch.
struct Asked<'b> {
    term: &'b Term<Statement>,
    wanted: Wanted,
    how: How<'b>,
    scratch: Statement,
}

enum How<'b> {
    Number(&'b UInt64Array),
    Coded { array: &'b ArrayRef, codes: Arc<Codes>, answers: Vec<Option<bool>> },
    Each(&'b ArrayRef),
}

impl Asked<'_> {
    fn is_wanted(&mut self, row: usize) -> bool {
        let (term, scratch, wanted) = (self.term, &mut self.scratch, self.wanted);
        let as_wanted = |answer: Tri| (answer == Tri::True) == (wanted == Wanted::True);
        let mut ask = |array: &ArrayRef| as_wanted(with_value(array, row, |value| term.of_value(scratch, value)));
        match &mut self.how {
            How::Number(numbers) => {
                let number = numbers.is_valid(row).then(|| numbers.value(row));
                term.of_number(number).is_none_or(as_wanted)
            }
            How::Coded { array, codes, answers } => {
                let answer = codes.of_row.get(row).and_then(|code| answers.get_mut(*code as usize));
                answer.is_none_or(|answer| *answer.get_or_insert_with(|| ask(array)))
            }
            How::Each(array) => ask(array),
        }
    }
}

/// The codes of some columns together.
fn together(batch: &RecordBatch, columns: &[&'static Column<Statement>]) -> Codes {
    let nothing = Codes { of_row: vec![0; batch.num_rows()], count: 1 };
    let arrays = columns.iter().filter_map(|column| batch.column_by_name(column.name));
    arrays.fold(nothing, |codes, array| codes.with(&Codes::of(array)))
}

fn fill(record: &mut Statement, batch: &RecordBatch, row: usize, columns: &[&'static Column<Statement>]) {
    for column in columns {
        if let Some(array) = batch.column_by_name(column.name) {
            with_value(array, row, |value| put(column, record, value));
        }
    }
}

/// When each row's record ended, as [`crate::policy::judged::Judged::judged_at`] has it.
fn ends(batch: &RecordBatch) -> impl Iterator<Item = Timestamp> + '_ {
    let times =
        |name: &str| batch.column_by_name(name).and_then(|array| array.as_primitive_opt::<TimestampMicrosecondType>());
    let (at, ended) = (times("at"), times("ended_at"));
    (0..batch.num_rows()).map(move |row| {
        let at = at.map_or(0, |at| at.value(row));
        let ended = ended.filter(|ended| ended.is_valid(row)).map_or(at, |ended| ended.value(row));
        Timestamp(ended.max(at))
    })
}
