//! A policy's file → a [`Policy`], or all that is wrong with it.
//!
//! In: a YAML tree, the file's name, the lists. Out: a policy with its conditions compiled. Refuses what this version
//! would silently not do: an action that would have to know what is not known yet (`acting`), `baseline: { of, unusual }`.

use std::path::Path;
use std::str::FromStr;

use super::acting::{self, Quarantine, Whom};
use super::condition::{Condition, Mistake};
use super::duration::{self, NoLength};
use super::list::Lists;
use super::rule::{After, First, Measure, Rule, Thing, Throttle, Usual, Window};
use crate::policy::judged::Judged;
use crate::record::field::vocabulary;
use crate::record::{Action, Column, FieldKind, Session, Severity, Statement, Text, Texts, Transaction};
use crate::yaml::spelling;
use crate::yaml::{Fields, Node, Place, Shape, Source};

vocabulary! {
    /// Whether a policy is relied on.
    Status {
        /// It has proved itself.
        Stable = "stable",
        /// It is judged, and may be wrong.
        Experimental = "experimental",
        /// It is checked and not judged.
        Off = "off",
    }
}

vocabulary! {
    /// Which records a policy judges.
    On {
        /// Statements, when they have ended.
        Statement = "statement",
        /// Statements while rows flow, and again when they have ended.
        Progress = "progress",
        /// Transactions.
        Transaction = "transaction",
        /// Sessions.
        Session = "session",
    }
}

/// The longest `learn` that is taken where none is given, microseconds.
const LEARN_DEFAULT_US: i64 = 14 * duration::DAY_US;

/// How often a policy that intervenes speaks about a user and address, where nothing else is written, microseconds.
const ACTING_ONCE_US: i64 = 60_000_000;

/// One policy, checked.
pub struct Policy {
    /// The same as its file's name.
    pub id: Text,
    /// What it finds, in a few words.
    pub title: Text,
    /// Why that matters.
    pub why: String,
    /// Whether it is relied on.
    pub status: Status,
    /// Of its findings.
    pub severity: Severity,
    /// What it does.
    pub action: Action,
    /// Whom it keeps out, where it does.
    pub quarantine: Option<Quarantine>,
    /// Which records it judges.
    pub on: On,
    /// ATT&CK techniques, clauses of standards.
    pub tags: Texts,
    /// What else looks like it, and what to do then.
    pub false_positives: Option<String>,
    /// Its judgement.
    pub rule: AnyRule,
    /// The file's text: a policy is the same after a reload where this is.
    pub text: String,
}

/// A rule over one kind of record.
pub enum AnyRule {
    /// `on: statement`.
    Statement(Rule<Statement>),
    /// `on: transaction`.
    Transaction(Rule<Transaction>),
    /// `on: session`.
    Session(Rule<Session>),
}

/// Reads a policy; its faults are in `source`. What it is `on` is told also of a faulty one.
pub fn read(source: &mut Source<'_>, lists: &Lists) -> (Option<On>, Option<Policy>) {
    let Some(root) = source.parse() else { return (None, None) };
    let Some(mut fields) = Fields::of(&root, "the policy", source) else { return (None, None) };
    let id = read_id(&mut fields, source);
    let title = fields.need_text("title", source);
    let why = fields.need_text("why", source);
    let status = word::<Status>(&mut fields, "status", Status::ALL, source).map(|(status, _)| status);
    let severity = word::<Severity>(&mut fields, "severity", Severity::ALL, source).map(|(severity, _)| severity);
    let on = word::<On>(&mut fields, "on", On::ALL, source).map(|(on, _)| on);
    let action = read_action(&mut fields, source);
    let tags = read_tags(&mut fields, source);
    let false_positives = fields.text("false_positives", source).map(|(text, _)| text);
    let acts = action.is_some_and(|(action, _, _)| action != Action::Alert);
    let rule = match on {
        Some(On::Transaction) => read_rule(&mut fields, acts, lists, source).map(AnyRule::Transaction),
        Some(On::Session) => read_rule(&mut fields, acts, lists, source).map(AnyRule::Session),
        // Without a readable `on` the rest is still checked, against the commonest table.
        _ => read_rule(&mut fields, acts, lists, source).map(AnyRule::Statement),
    };
    fields.finish(source);
    if let (Some(rule), Some(on), Some((action, _, place))) = (&rule, on, action) {
        acting::check(rule, on, action, place, source);
    }
    let whole = source.faults.is_empty();
    let text = source.text.to_owned();
    let policy = || {
        Some(Policy {
            id: id?.as_str().into(),
            title: title?.0.as_str().into(),
            why: why?.0,
            status: status?,
            severity: severity?,
            action: action?.0,
            quarantine: action?.1,
            on: on?,
            tags,
            false_positives,
            rule: rule?,
            text,
        })
    };
    (on, if whole { policy() } else { None })
}

fn read_id(fields: &mut Fields<'_>, source: &mut Source<'_>) -> Option<String> {
    let (id, place) = fields.need_text("id", source)?;
    let stem = source.file.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned);
    if !id.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-') {
        let what = format!("the id `{id}` has other characters than a-z, 0-9 and -");
        source.fault(place, what, "write it like bulk-personal-read");
    } else if stem.as_deref() != Some(&id) {
        source.fault(place, format!("the id `{id}` is not the file's name"), "call them the same");
    }
    Some(id)
}

/// The action, whom it keeps out, and its place.
fn read_action(fields: &mut Fields<'_>, source: &mut Source<'_>) -> Option<(Action, Option<Quarantine>, Place)> {
    let length = fields.take("for").map(|node| (duration_of(node, source), node.place));
    let whom = fields.take("whom").map(|node| (whom(node, source), node.place));
    let (action, place) = word::<Action>(fields, "action", Action::ALL, source)?;
    if action != Action::Quarantine {
        for (key, place) in [("for", length.map(|(_, place)| place)), ("whom", whom.map(|(_, place)| place))] {
            if let Some(place) = place {
                source.fault(place, format!("`{key}` goes with `action: quarantine` only"), "leave it out");
            }
        }
        return Some((action, None, place));
    }
    if length.is_none() {
        source.fault(place, "a quarantine without an end", "add a line `for: 15m`");
    }
    if whom.is_none() {
        let mend = "add a line `whom: db_user`, or `whom: client_addr`";
        source.fault(place, "a quarantine without saying whom it keeps out", mend);
    }
    let quarantine = Quarantine { whom: whom?.0?, for_us: length?.0? };
    Some((action, Some(quarantine), place))
}

fn whom(node: &Node, source: &mut Source<'_>) -> Option<Whom> {
    let whom = match &node.shape {
        Shape::Text(text) => text.parse().ok(),
        _ => None,
    };
    if whom.is_none() {
        source.fault(node.place, "not one who can be kept out", format!("write one of {}", Whom::ALL.join(", ")));
    }
    whom
}

fn read_tags(fields: &mut Fields<'_>, source: &mut Source<'_>) -> Texts {
    let tags = fields.texts("tags", source);
    for (tag, place) in &tags {
        let known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-' | '_');
        if tag.is_empty() || !tag.chars().all(known) {
            let what = format!("the tag `{tag}` has other characters than a-z, 0-9, `.`, `-` and `_`");
            source.fault(*place, what, "write it like attack.t1213.006");
        }
    }
    tags.iter().map(|(tag, _)| Text::from(tag.as_str())).collect()
}

/// One of a closed list of words, and its place.
fn word<T: FromStr>(
    fields: &mut Fields<'_>,
    name: &'static str,
    all: &[&str],
    source: &mut Source<'_>,
) -> Option<(T, Place)> {
    let (text, place) = fields.need_text(name, source)?;
    match text.parse() {
        Ok(value) => Some((value, place)),
        Err(_) => {
            source.fault(place, format!("`{name}: {text}` is not known"), format!("write one of {}", all.join(", ")));
            None
        }
    }
}

fn read_rule<R: Judged>(
    fields: &mut Fields<'_>,
    acts: bool,
    lists: &Lists,
    source: &mut Source<'_>,
) -> Option<Rule<R>> {
    let before = source.faults.len();
    let when = condition(fields, "when", lists, source);
    let unless = condition(fields, "unless", lists, source);
    let window = fields.take("window").and_then(|node| read_window::<R>(node, source));
    let (first, usual) = match fields.take("baseline").map(|node| read_baseline::<R>(node, source)) {
        Some(Baseline::First(first)) => (Some(first), None),
        Some(Baseline::Usual(usual)) => (None, Some(usual)),
        Some(Baseline::Faulty) | None => (None, None),
    };
    let after = fields.take("after").and_then(|node| read_after::<R>(node, lists, source));
    let throttle = match fields.take("throttle") {
        Some(node) => read_throttle::<R>(node, source),
        None => window
            .as_ref()
            .map(|window| Throttle { by: window.by.clone(), once_us: window.within_us })
            .or_else(|| usual.as_ref().map(|usual| Throttle { by: usual.by.clone(), once_us: duration::DAY_US }))
            // Whoever is denied may try again as fast as it likes.
            .or_else(|| acts.then(|| Throttle { by: who(), once_us: ACTING_ONCE_US })),
    };
    if source.faults.len() > before {
        return None;
    }
    if when.is_none() && window.is_none() && first.is_none() && usual.is_none() {
        let what = "neither `when` nor `window` nor `baseline`: it would match everything";
        source.fault(fields.place(), what, "write `when: true` if that is meant");
        return None;
    }
    Some(Rule { when, unless, window, first, usual, after, throttle })
}

/// The columns of who it was.
fn who<R: Judged>() -> Vec<&'static Column<R>> {
    ["db_user", "client_addr"].iter().filter_map(|name| R::column(name)).collect()
}

fn condition<R: Judged>(
    fields: &mut Fields<'_>,
    name: &'static str,
    lists: &Lists,
    source: &mut Source<'_>,
) -> Option<Condition<R>> {
    let (text, place) = fields.text(name, source)?;
    match Condition::compile(&text, lists) {
        Ok(condition) => Some(condition),
        Err(mistakes) => {
            for Mistake { offset, what, mend } in mistakes {
                let place = source.place_inside(place, &text, offset);
                source.fault(place, what, mend);
            }
            None
        }
    }
}

fn read_window<R: Judged>(node: &Node, source: &mut Source<'_>) -> Option<Window<R>> {
    let mut fields = Fields::of(node, "`window`", source)?;
    let by = columns(&mut fields, source);
    let within_us = length(&mut fields, "within", source);
    if within_us == Some(0) {
        source.fault(node.place, "a window of no length", "write 5m, 24h or 14d");
    }
    let count = fields.take("count");
    let sum = fields.text("sum", source);
    let distinct = fields.text("distinct", source);
    let above = fields.need_number("above", source);
    let shared = flag(&mut fields, "shared", source);
    fields.finish(source);
    let measure = match (count, sum, distinct) {
        (Some(count), None, None) => match count.shape {
            Shape::Bool(true) => Some(Measure::Count),
            _ => wrong(count, "`count` counts records and takes no column", "write `count: true`", source),
        },
        (None, Some((name, place)), None) => {
            column(&name, place, &[FieldKind::U64], "a number", source).map(Measure::Sum)
        }
        (None, None, Some((name, place))) => {
            let kinds = [FieldKind::U64, FieldKind::Text, FieldKind::Texts, FieldKind::U64s];
            column(&name, place, &kinds, "a column", source).map(Measure::Distinct)
        }
        _ => {
            let mend = "write one of `count: true`, `sum: column` and `distinct: column`";
            wrong(node, "a window adds up one thing", mend, source)
        }
    };
    Some(Window { by, within_us: within_us?, measure: measure?, above: above?, shared })
}

/// What is so unless the policy says that it is not.
fn flag(fields: &mut Fields<'_>, name: &'static str, source: &mut Source<'_>) -> bool {
    match fields.take(name) {
        Some(Node { shape: Shape::Bool(flag), .. }) => *flag,
        Some(other) => {
            let what = format!("`{name}` is {}", other.called());
            source.fault(other.place, what, format!("write `{name}: false`, or leave it out"));
            true
        }
        None => true,
    }
}

enum Baseline<R: Judged> {
    First(First<R>),
    Usual(Usual<R>),
    Faulty,
}

fn read_baseline<R: Judged>(node: &Node, source: &mut Source<'_>) -> Baseline<R> {
    let Some(mut fields) = Fields::of(node, "`baseline`", source) else { return Baseline::Faulty };
    let by = columns(&mut fields, source);
    let learn_us = match fields.take("learn") {
        Some(node) => duration_of(node, source),
        None => Some(LEARN_DEFAULT_US),
    };
    let (first, of) = (fields.text("first", source), fields.text("of", source));
    let read = match (first, of, learn_us) {
        (Some((thing, place)), None, Some(learn_us)) => {
            let peers = peers(&mut fields, true, source);
            thing_of(&thing, place, source).map(|thing| Baseline::First(First { by, thing, learn_us, peers }))
        }
        (None, Some((name, place)), Some(learn_us)) => {
            let column = column(&name, place, &[FieldKind::U64], "a number", source);
            let unusual = fields.need_number("unusual", source);
            let at_least = fields.number("at_least", source).map_or(0, |(number, _)| number);
            let peers = peers(&mut fields, false, source).unwrap_or_default();
            let usual = |column| Some(Usual { by, column, learn_us, peers, unusual: unusual?, at_least });
            column.and_then(usual).map(Baseline::Usual)
        }
        (Some(_), Some(_), _) => wrong(node, "`first` and `of` together", "write two policies", source),
        (None, None, _) => {
            let mend =
                "write `first: relation`, `classified_relation`, `hour` or a column, or `of: persons, unusual: 4`";
            wrong(node, "neither `first` nor `of`", mend, source)
        }
        _ => None,
    };
    fields.finish(source);
    read.unwrap_or(Baseline::Faulty)
}

/// Who is a peer of whom: those with the same values of some columns. `None`: nobody, where that `may_be`.
fn peers<R: Judged>(
    fields: &mut Fields<'_>,
    may_be_none: bool,
    source: &mut Source<'_>,
) -> Option<Vec<&'static Column<R>>> {
    let Some(node) = fields.take("peers") else { return Some(Vec::new()) };
    match &node.shape {
        Shape::Bool(true) => Some(Vec::new()),
        Shape::Bool(false) if may_be_none => None,
        Shape::List(_) => {
            let kinds = [FieldKind::U64, FieldKind::Text, FieldKind::Texts];
            Some(columns_of(node, "peers", "[member_of]", &kinds, source))
        }
        _ => {
            let mend = "write peers: [member_of], or other columns, or leave it out: everybody is a peer";
            let none = if may_be_none { ", or `peers: false`" } else { "" };
            source.fault(node.place, format!("`peers` is {}", node.called()), format!("{mend}{none}"));
            Some(Vec::new())
        }
    }
}

fn thing_of<R: Judged>(name: &str, place: Place, source: &mut Source<'_>) -> Option<Thing<R>> {
    const WORDS: [&str; 3] = ["relation", "classified_relation", "hour"];
    let kinds = [FieldKind::Text, FieldKind::Texts];
    Some(match name {
        "relation" => Thing::Relation,
        "classified_relation" => Thing::ClassifiedRelation,
        "hour" => Thing::Hour,
        name if R::column(name).is_none() => {
            let fit = R::columns().iter().filter(|column| kinds.contains(&column.kind)).map(|column| column.name);
            let mend = match spelling::nearest(name, WORDS.into_iter().chain(fit)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("write one of {}, or a text column", WORDS.join(", ")),
            };
            source.fault(place, format!("`first: {name}` is not known"), mend);
            return None;
        }
        name => Thing::Column(column(name, place, &kinds, "a text column", source)?),
    })
}

fn read_after<R: Judged>(node: &Node, lists: &Lists, source: &mut Source<'_>) -> Option<After<R>> {
    let mut fields = Fields::of(node, "`after`", source)?;
    let by = columns(&mut fields, source);
    let within_us = length(&mut fields, "within", source);
    let times = fields.need_number("times", source);
    if times == Some(0) {
        source.fault(node.place, "after nothing", "write `times: 1` or more");
    }
    let when = condition(&mut fields, "when", lists, source);
    if when.is_none() {
        let mend = "write after: { by: [client_addr], within: 10m, times: 5, when: … }";
        source.fault(node.place, "`after` has no `when` that can be judged", mend);
    }
    fields.finish(source);
    Some(After { when: when?, by, within_us: within_us?, times: times? })
}

fn read_throttle<R: Judged>(node: &Node, source: &mut Source<'_>) -> Option<Throttle<R>> {
    let mut fields = Fields::of(node, "`throttle`", source)?;
    let by = columns(&mut fields, source);
    let once_us = length(&mut fields, "once", source);
    fields.finish(source);
    Some(Throttle { by, once_us: once_us? })
}

fn wrong<T>(node: &Node, what: &str, mend: &str, source: &mut Source<'_>) -> Option<T> {
    source.fault(node.place, what, mend);
    None
}

fn length(fields: &mut Fields<'_>, name: &'static str, source: &mut Source<'_>) -> Option<i64> {
    fields.need(name, source).and_then(|node| duration_of(node, source))
}

fn duration_of(node: &Node, source: &mut Source<'_>) -> Option<i64> {
    let parsed = match &node.shape {
        Shape::Text(text) => duration::parse(text),
        _ => Err(NoLength::Form),
    };
    match parsed {
        Err(NoLength::Form) => source.fault(node.place, "not a length of time", "write 30s, 15m, 24h or 14d"),
        Err(NoLength::TooLong) => source.fault(node.place, "too long a time", duration::LONGEST),
        Ok(_) => {}
    }
    parsed.ok()
}

/// `by`: at least one column, none of them a list.
fn columns<R: Judged>(fields: &mut Fields<'_>, source: &mut Source<'_>) -> Vec<&'static Column<R>> {
    let Some(node) = fields.need("by", source) else { return Vec::new() };
    columns_of(node, "by", "[db_user]", &[FieldKind::U64, FieldKind::Text], source)
}

/// The columns that `node`, the value of `key`, lists.
fn columns_of<R: Judged>(
    node: &Node,
    key: &str,
    example: &str,
    kinds: &[FieldKind],
    source: &mut Source<'_>,
) -> Vec<&'static Column<R>> {
    let faults = source.faults.len();
    let names = crate::yaml::texts(node, key, source);
    if names.is_empty() && source.faults.len() == faults {
        source.fault(node.place, format!("`{key}` names no column"), format!("write {key}: {example}"));
    }
    let needed = if kinds.contains(&FieldKind::Texts) { "a value to compare" } else { "a single value" };
    names.iter().filter_map(|(name, place)| column(name, *place, kinds, needed, source)).collect()
}

fn column<R: Judged>(
    name: &str,
    place: Place,
    kinds: &[FieldKind],
    needed: &str,
    source: &mut Source<'_>,
) -> Option<&'static Column<R>> {
    let Some(column) = R::column(name) else {
        let mend = spelling::did_you_mean(name, R::columns().iter().map(|column| column.name));
        source.fault(place, format!("`{}` has no column `{name}`", R::NAME), mend);
        return None;
    };
    if !kinds.contains(&column.kind) {
        let fit = R::columns().iter().filter(|column| kinds.contains(&column.kind)).map(|column| column.name);
        let mend = format!("known are {}", fit.collect::<Vec<_>>().join(", "));
        source.fault(place, format!("`{name}` is not {needed}"), mend);
        return None;
    }
    Some(column)
}

impl Policy {
    /// Whether a file of that name holds cases and not a policy.
    pub fn is_cases(file: &Path) -> bool {
        file.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.ends_with(".cases.yaml"))
    }

    /// How far back its state reaches, microseconds.
    pub fn lookback_us(&self) -> Option<i64> {
        match &self.rule {
            AnyRule::Statement(rule) => rule.lookback_us(),
            AnyRule::Transaction(rule) => rule.lookback_us(),
            AnyRule::Session(rule) => rule.lookback_us(),
        }
    }
}
