//! Which statements of the past can concern which policies, found column by column.
//!
//! In: the rules of an engine; then batches of the log. Out: the rows that some policy can match or has to count, each with whom it can
//! concern, and who was about in all of them. It may choose a row too many, never one too few: what it says "no" to is what a policy's
//! condition says "no" to whatever the permit and the hour. It asks a condition's terms once for each different value of a column, and what
//! is the same in all executions of a statement once for each statement.

use std::collections::HashMap;
use std::sync::Arc;

use ahash::RandomState;
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::TimestampMicrosecondType;

use super::codes::{Codes, with_value};
use super::sheet::Sheet;
use super::wanted;
use crate::clock::Timestamp;
use crate::policy::condition::{Condition, Term, Tri, put};
use crate::policy::key::{ByKey, Key};
use crate::policy::permit::Permit;
use crate::policy::{Concerned, Engine, Seen};
use crate::record::{Column, Statement, Table};

/// The columns that are the same in all executions of one statement.
const SETTLED: [&str; 9] =
    ["kind", "query", "parse", "catalog", "relations", "columns", "level", "functions", "derived"];
/// What is found out anew when a record is judged.
const UNKNOWN: [&str; 2] = ["permit", "policies"];
/// Statements of which is kept whom they can concern; with more it begins anew.
const KEPT_MAX: usize = 16_384;

/// See the module.
pub struct Screen {
    ways: Vec<Way>,
    /// The columns that decide [`Way::whole`].
    settled: Vec<&'static Column<Statement>>,
    /// Of whom policies have to know since when they are about, with their places.
    about: Vec<(Vec<usize>, Vec<&'static Column<Statement>>)>,
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

/// What a term has to be.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Wanted {
    /// TRUE.
    True,
    /// FALSE or NULL.
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
pub struct Chosen {
    /// Which.
    pub rows: BooleanBuffer,
    /// Of each that is chosen, whom it can concern.
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
        let mut about: Vec<(Vec<usize>, Vec<&'static Column<Statement>>)> = Vec::new();
        for (judge, by) in engine.statement_rules().filter_map(|(judge, rule)| Some((judge, &rule.first.as_ref()?.by)))
        {
            let names = |by: &[&'static Column<Statement>]| by.iter().map(|column| column.name).collect::<Vec<_>>();
            match about.iter_mut().find(|(_, known)| names(known) == names(by)) {
                Some((judges, _)) => judges.push(judge),
                None => about.push((vec![judge], by.clone())),
            }
        }
        Screen {
            settled,
            about,
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
        let (classes, open) = self.classes(batch, kept);
        let mut sheet = Sheet::new(batch, classes);
        let concerned = self.concerned(&mut sheet, &open);
        let masks = concerned
            .iter()
            .map(|(_, rows)| rows)
            .chain(self.permitted(batch).as_ref())
            .cloned()
            .reduce(|one, two| &one | &two);
        let mut chosen = Chosen {
            rows: masks.unwrap_or_else(|| BooleanBuffer::new_unset(batch.num_rows())),
            concerned: Vec::new(),
            seen: self.seen(batch),
        };
        let mut whom: Vec<usize> = Vec::new();
        let mut last: Option<(Vec<usize>, Concerned)> = None;
        for row in chosen.rows.set_indices() {
            whom.clear();
            whom.extend(concerned.iter().filter(|(_, rows)| rows.value(row)).map(|(judge, _)| *judge));
            let set = match &last {
                Some((known, set)) if *known == whom => set.clone(),
                _ => last.insert((whom.clone(), kept.set(&whom, &self.everyone))).1.clone(),
            };
            chosen.concerned.push(set);
        }
        chosen
    }

    /// The rows that each policy has to see, if there are any.
    fn concerned(&self, sheet: &mut Sheet<'_>, open: &[Arc<[usize]>]) -> Vec<(usize, BooleanBuffer)> {
        let mut all: Vec<(usize, BooleanBuffer)> = Vec::new();
        for (place, way) in self.ways.iter().enumerate() {
            let is_open: Vec<bool> = open.iter().map(|ways| ways.contains(&place)).collect();
            let Some(mut rows) = sheet.of_classes(is_open) else { continue };
            for (term, wanted) in way.tests.iter().filter_map(|test| way.whole.get(*test)) {
                rows = sheet.narrow(rows, term, *wanted);
                if rows.count_set_bits() == 0 {
                    break;
                }
            }
            match all.last_mut() {
                _ if rows.count_set_bits() == 0 => {}
                Some((judge, known)) if *judge == way.judge => *known = &*known | &rows,
                _ => all.push((way.judge, rows)),
            }
        }
        all
    }

    /// Each row's class, by what is the same in all executions of one statement, and the ways that are open to each class.
    fn classes(&self, batch: &RecordBatch, kept: &mut Kept) -> (Codes, Vec<Arc<[usize]>>) {
        let classes = together(batch, &self.settled);
        let mut open = Vec::with_capacity(classes.count);
        for first in classes.first_rows() {
            let Some(row) = first else {
                open.push(Arc::default());
                continue;
            };
            let mut record = Statement::default();
            fill(&mut record, batch, row, &self.settled);
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

    /// The rows that a permit may cover, or has.
    fn permitted(&self, batch: &RecordBatch) -> Option<BooleanBuffer> {
        let had = batch.column_by_name("permit").filter(|had| had.null_count() < had.len());
        if had.is_none() && self.permits.is_empty() {
            return None;
        }
        let users = batch.column_by_name("db_user");
        let at = batch.column_by_name("at").and_then(|at| at.as_primitive_opt::<TimestampMicrosecondType>());
        let may = |row: usize| {
            let (Some(users), Some(at)) = (users, at) else { return false };
            let at = Timestamp(at.value(row));
            self.permits
                .iter()
                .filter(|permit| (permit.from..permit.until).contains(&at))
                .any(|permit| with_value(users, row, |user| user == crate::record::Value::Text(&permit.db_user)))
        };
        let is_permitted = |row| had.is_some_and(|had| had.is_valid(row)) || may(row);
        Some(BooleanBuffer::collect_bool(batch.num_rows(), is_permitted))
    }

    fn seen(&self, batch: &RecordBatch) -> Vec<Seen> {
        let mut seen = Vec::new();
        for (judges, by) in &self.about {
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
                let principal = Key::of(&record, by);
                seen.extend(judges.iter().map(|judge| Seen { judge: *judge, principal, first, last }));
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
        tests.sort_by_key(|place| whole.get(*place).is_some_and(|(term, _)| term.comparison().is_none()));
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

/// The codes of some columns together.
fn together(batch: &RecordBatch, columns: &[&'static Column<Statement>]) -> Codes {
    let arrays = columns.iter().filter_map(|column| batch.column_by_name(column.name));
    // Lists last: where the texts are the same, so are they as a rule.
    let (lists, others): (Vec<_>, Vec<_>) = arrays.partition(|array| array.as_list_opt::<i32>().is_some());
    let codes = others.into_iter().map(Codes::of).reduce(|codes, more| codes.with(&more));
    let codes = codes.unwrap_or_else(|| Codes { of_row: vec![0; batch.num_rows()], count: 1 });
    lists.into_iter().fold(codes, Codes::with_lists)
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
