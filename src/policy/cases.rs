//! A policy's test cases: records that must match and records that must not.
//!
//! In: `<id>.cases.yaml`, checked against the columns of the policy's table. Out: [`Case`]s, and their [`Verdict`]s
//! from the same engine that runs in production, with that one policy in it. policies/README.md has the format.

mod rehearsal;

use std::path::PathBuf;
use std::sync::Arc;

use jiff::tz::TimeZone;

pub use self::rehearsal::Rehearsal;
use super::definition::{On, Policy};
use super::duration;
use super::engine::Engine;
use super::judged::Judged;
use super::permit::{self, Permit};
use super::set::PolicySet;
use crate::clock::Timestamp;
use crate::record::{Column, FieldKind, Finding, Session, Statement, Text, Transaction, Value};
use crate::yaml::spelling;
use crate::yaml::{Fields, Key, Node, Place, Shape, Source};

/// The most records a case may make by `repeat`.
const RECORDS_MAX: u64 = 100_000;
/// When a case's first record is, unless it says: an ordinary Monday's noon.
const NOON: jiff::civil::DateTime = jiff::civil::date(2026, 6, 1).at(12, 0, 0, 0);
/// The keys of a record that are not columns.
const RECORD_KEYS: [&str; 3] = ["at", "after", "repeat"];

/// The cases of one policy.
pub struct CaseFile {
    /// The policy's id.
    pub policy: Text,
    /// Where they are written.
    pub file: PathBuf,
    /// In the order of the file.
    pub cases: Vec<Case>,
}

/// One case.
pub struct Case {
    /// What it shows.
    pub name: String,
    /// Where it begins.
    pub line: u32,
    timezone: TimeZone,
    permits: Vec<Permit>,
    records: Records,
    expect: Expect,
    observed: Option<u64>,
    says: Option<String>,
}

enum Records {
    Statements(Steps<Statement>),
    Transactions(Steps<Transaction>),
    Sessions(Steps<Session>),
}

struct Steps<R> {
    /// To learn from.
    history: Vec<Step<R>>,
    /// To judge.
    records: Vec<Step<R>>,
}

/// One entry of `history` or `records`: a record, so many times. Made one by one when the case runs.
struct Step<R> {
    record: R,
    /// `after` comes before each of them, the first too.
    from: Timestamp,
    after_us: i64,
    times: u64,
}

/// How many findings a case expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expect {
    Match,
    Findings(u64),
}

/// How a case went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What was expected, in words.
    pub expected: String,
    /// What came, in words; a line a finding.
    pub got: String,
    /// Whether they are the same.
    pub holds: bool,
}

/// Reads a file of cases of a policy `on` that; its faults are in `source`.
pub fn read(source: &mut Source<'_>, on: On) -> Vec<Case> {
    let Some(root) = source.parse() else { return Vec::new() };
    let Shape::List(items) = &root.shape else {
        source.fault(root.place, format!("the cases are {}", root.called()), "write a list: - name: …");
        return Vec::new();
    };
    let cases: Vec<Case> = items.iter().filter_map(|item| read_case(item, on, source)).collect();
    if source.faults.is_empty() {
        let matching = cases.iter().any(|case| case.expect != Expect::Findings(0));
        let missing = cases.iter().any(|case| case.expect == Expect::Findings(0));
        if !matching || !missing {
            let what = "cases need at least one that matches and one near miss that does not";
            source.fault(root.place, what, "add a case with `expect: match`, or one with `expect: none`");
        }
    }
    cases
}

fn read_case(item: &Node, on: On, source: &mut Source<'_>) -> Option<Case> {
    let mut fields = Fields::of(item, "a case", source)?;
    let name = fields.need_text("name", source).map(|(name, _)| name);
    let timezone = match fields.text("timezone", source) {
        None => TimeZone::UTC,
        Some((name, place)) => TimeZone::get(&name).unwrap_or_else(|_| {
            source.fault(place, format!("there is no time zone `{name}`"), "write an IANA name such as Asia/Tokyo");
            TimeZone::UTC
        }),
    };
    let permits = fields.take("permits").map_or_else(Vec::new, |node| permit::read_list(node, source));
    let given = fields.take("given");
    let history = fields.take("history");
    let records = fields.need("records", source);
    let expect = fields.need("expect", source).and_then(|node| read_expect(node, source));
    let observed = fields.take("observed").and_then(|node| match node.shape {
        Shape::Number(number) => Some(number),
        _ => {
            source.fault(
                node.place,
                "`observed` is not a whole number",
                "write the figure that the last finding names",
            );
            None
        }
    });
    let says = fields.text("says", source).map(|(text, _)| text);
    fields.finish(source);
    let blocks = Blocks { given, history, records: records?, timezone: &timezone };
    let records = match on {
        On::Statement | On::Progress => blocks.read(source).map(Records::Statements),
        On::Transaction => blocks.read(source).map(Records::Transactions),
        On::Session => blocks.read(source).map(Records::Sessions),
    };
    let line = item.place.line;
    Some(Case { name: name?, line, records: records?, timezone, permits, expect: expect?, observed, says })
}

fn read_expect(node: &Node, source: &mut Source<'_>) -> Option<Expect> {
    match &node.shape {
        Shape::Text(text) if text == "match" => Some(Expect::Match),
        Shape::Text(text) if text == "none" => Some(Expect::Findings(0)),
        Shape::Number(number) => Some(Expect::Findings(*number)),
        _ => {
            source.fault(node.place, "not an expectation", "write match, none, or a number of findings");
            None
        }
    }
}

struct Blocks<'a> {
    given: Option<&'a Node>,
    history: Option<&'a Node>,
    records: &'a Node,
    timezone: &'a TimeZone,
}

impl Blocks<'_> {
    fn read<R: Judged>(&self, source: &mut Source<'_>) -> Option<Steps<R>> {
        let mut given = R::default();
        match self.given {
            Some(Node { shape: Shape::Map(pairs), .. }) => self.fill(&mut given, pairs, source),
            Some(node) => {
                source.fault(node.place, format!("`given` is {}", node.called()), "write { column: value }");
            }
            None => {}
        }
        let noon = self.timezone.to_timestamp(NOON).map_or(Timestamp(0), |at| Timestamp(at.as_microsecond()));
        let mut now = noon;
        let history = match self.history {
            Some(node) => self.list(node, &given, &mut now, source)?,
            None => Vec::new(),
        };
        let records = self.list(self.records, &given, &mut now, source)?;
        Some(Steps { history, records })
    }

    fn list<R: Judged>(
        &self,
        node: &Node,
        given: &R,
        now: &mut Timestamp,
        source: &mut Source<'_>,
    ) -> Option<Vec<Step<R>>> {
        let Shape::List(items) = &node.shape else {
            source.fault(node.place, format!("records are {}", node.called()), "write a list: - { column: value }");
            return None;
        };
        let mut steps = Vec::new();
        let mut number: u64 = 0;
        for item in items {
            let Shape::Map(pairs) = &item.shape else {
                source.fault(item.place, format!("a record is {}", item.called()), "write { column: value }");
                continue;
            };
            let timing = self.timing(pairs, source);
            number = number.saturating_add(timing.repeat);
            if number > RECORDS_MAX {
                source.fault(item.place, format!("more than {RECORDS_MAX} records"), "repeat fewer times");
                return None;
            }
            let from = timing.at.unwrap_or(*now);
            let repeat = i64::try_from(timing.repeat).unwrap_or(i64::MAX);
            *now = from.plus_micros(timing.after_us.saturating_mul(repeat));
            let mut record = given.clone();
            self.fill(&mut record, pairs, source);
            steps.push(Step { record, from, after_us: timing.after_us, times: timing.repeat });
        }
        Some(steps)
    }

    fn timing(&self, pairs: &[(Key, Node)], source: &mut Source<'_>) -> Timing {
        let find = |name: &str| pairs.iter().find(|(key, _)| key.name == name).map(|(_, node)| node);
        let mut timing = Timing { at: None, after_us: 0, repeat: 1 };
        if let Some(node) = find("at") {
            timing.at = self.time(node, source);
        }
        if let Some(node) = find("after") {
            let after = if let Shape::Text(text) = &node.shape { duration::parse(text).ok() } else { None };
            timing.after_us = after.unwrap_or_else(|| {
                source.fault(node.place, "`after` is not a length of time", "write 30s, 15m, 24h or 14d");
                0
            });
        }
        if let Some(node) = find("repeat") {
            match node.shape {
                Shape::Number(times) if times > 0 => timing.repeat = times,
                _ => source.fault(node.place, "`repeat` is not a number of records", "write a whole number, 1 or more"),
            }
        }
        timing
    }

    /// A moment, with its offset or in the case's time zone.
    fn time(&self, node: &Node, source: &mut Source<'_>) -> Option<Timestamp> {
        let Shape::Text(text) = &node.shape else { return not_a_moment(node.place, source) };
        let here = |civil: jiff::civil::DateTime| self.timezone.to_timestamp(civil).ok();
        let at = text.parse::<jiff::Timestamp>().ok().or_else(|| text.parse().ok().and_then(here));
        match at {
            Some(at) => Some(Timestamp(at.as_microsecond())),
            None => not_a_moment(node.place, source),
        }
    }

    fn fill<R: Judged>(&self, record: &mut R, pairs: &[(Key, Node)], source: &mut Source<'_>) {
        for (key, node) in pairs.iter().filter(|(key, _)| !RECORD_KEYS.contains(&key.name.as_str())) {
            let Some(column) = R::column(&key.name) else {
                let known = R::columns().iter().map(|column| column.name).chain(RECORD_KEYS);
                let mend = spelling::did_you_mean(&key.name, known);
                source.fault(key.place, format!("`{}` has no column `{}`", R::NAME, key.name), mend);
                continue;
            };
            let fits = match (&node.shape, column.kind) {
                (Shape::Null, _) => (column.set)(record, Value::Null),
                (Shape::Number(number), FieldKind::U64) => (column.set)(record, Value::U64(*number)),
                (Shape::Number(number), FieldKind::Text) => (column.set)(record, Value::Text(&number.to_string())),
                (Shape::Text(text), FieldKind::Text) => (column.set)(record, Value::Text(text)),
                (Shape::Text(_), FieldKind::Timestamp) => {
                    self.time(node, source).is_none_or(|at| (column.set)(record, Value::Timestamp(at)))
                }
                (Shape::List(_), FieldKind::Texts) => {
                    let items = crate::yaml::texts(node, &key.name, source);
                    let items: Vec<Text> = items.iter().map(|(text, _)| Text::from(text.as_str())).collect();
                    (column.set)(record, Value::Texts(&items))
                }
                _ => false,
            };
            if !fits {
                let (what, mend) = misfit(column, node);
                source.fault(node.place, what, mend);
            }
        }
    }
}

/// Why a value does not fit a column, and what would.
fn misfit<R: Judged>(column: &Column<R>, node: &Node) -> (String, String) {
    let name = column.name;
    if let (FieldKind::Text, Shape::Text(text)) = (column.kind, &node.shape) {
        // Only a vocabulary refuses a text.
        let mend = format!("`select distinct {name} from {}` shows what the log holds", R::NAME);
        return (format!("`{name}` is never `{text}`"), mend);
    }
    let wanted = match column.kind {
        FieldKind::U64 => "a whole number, 0 or more",
        FieldKind::Text => "a text",
        FieldKind::Timestamp => "a moment: 2026-06-01T12:00",
        FieldKind::Texts | FieldKind::U64s => "a list: [a, b]",
    };
    (format!("`{name}` does not take {}", node.called()), format!("write {wanted}"))
}

struct Timing {
    at: Option<Timestamp>,
    after_us: i64,
    repeat: u64,
}

fn not_a_moment<T>(place: Place, source: &mut Source<'_>) -> Option<T> {
    source.fault(place, "not a moment", "write 2026-06-01T12:00, or with an offset 2026-06-01T12:00+09:00");
    None
}

impl Case {
    /// Runs it against `policy`.
    pub fn run(&self, policy: &Arc<Policy>) -> Verdict {
        let set = PolicySet {
            policies: vec![policy.clone()],
            permits: self.permits.clone(),
            timezone: self.timezone.clone(),
            ..PolicySet::empty()
        };
        let mut engine = Engine::new(Arc::new(set));
        let mut findings = Vec::new();
        match &self.records {
            Records::Statements(Steps { history, records }) => {
                each(history, |record| engine.learn_statement(record));
                each(records, |record| findings.append(&mut engine.statement(record)));
            }
            Records::Transactions(Steps { history, records }) => {
                each(history, |record| engine.learn_transaction(record));
                each(records, |record| findings.append(&mut engine.transaction(record)));
            }
            Records::Sessions(Steps { history, records }) => {
                each(history, |record| engine.learn_session(record));
                each(records, |record| findings.append(&mut engine.session(record)));
            }
        }
        self.verdict(&findings)
    }

    fn verdict(&self, findings: &[Finding]) -> Verdict {
        let number = findings.len() as u64;
        let says = |finding: &Finding| finding.explanation.as_deref().unwrap_or_default().to_owned();
        let mut holds = match self.expect {
            Expect::Match => number > 0,
            Expect::Findings(expected) => number == expected,
        };
        let mut expected = match self.expect {
            Expect::Match => "a match".to_owned(),
            Expect::Findings(number) => count(number),
        };
        if let Some(observed) = self.observed {
            holds &= findings.last().is_some_and(|finding| finding.observed == Some(observed));
            expected = format!("{expected}, observed {observed}");
        }
        if let Some(wanted) = &self.says {
            holds &= findings.iter().any(|finding| says(finding).contains(wanted.as_str()));
            expected = format!("{expected}, saying “{wanted}”");
        }
        let mut got = count(number);
        for finding in findings.iter().take(5) {
            let observed = finding.observed.map_or_else(|| "-".to_owned(), |observed| observed.to_string());
            got = format!("{got}\nobserved {observed}: {}", says(finding));
        }
        Verdict { expected, got, holds }
    }
}

/// Makes the records of `steps`, in order, numbered from 1 where the case gives no `seq`.
fn each<R: Judged>(steps: &[Step<R>], mut take: impl FnMut(&mut R)) {
    let mut seq = 0;
    for step in steps {
        let mut at = step.from;
        for _ in 0..step.times {
            seq += 1;
            at = at.plus_micros(step.after_us);
            let mut record = step.record.clone();
            let common = record.common_mut();
            common.at = at;
            if common.seq == 0 {
                common.seq = seq;
            }
            take(&mut record);
        }
    }
}

fn count(number: u64) -> String {
    match number {
        0 => "no finding".to_owned(),
        1 => "1 finding".to_owned(),
        number => format!("{number} findings"),
    }
}
