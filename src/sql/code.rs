//! What a piece of code names: the body of a function, or a DO block.
//!
//! In: the text. Out: every name in it that may be a relation's or a function's, and whether it makes statements as it runs.
//! Nothing is followed: whoever asks has to assume that all of it is read.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::executed::{self, Executed};
use super::output::picks;
use super::tokens::{COLLECTING, Lexeme, Tokens};
use super::whole_rows::whole_rows;
use super::{RelationName, doors};
use crate::record::Text;

/// Names that are kept, of each kind. With more, the code is taken for dynamic.
const NAMES_MAX: usize = 4_096;

/// Constants that a function is called with are looked at, tokens.
const CONSTANTS_LOOKED_AT_MAX: usize = 16;

/// What is assigned is read so far, tokens.
const ASSIGNED_TOKENS_MAX: usize = 256;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Code {
    /// What may be a relation: `a` and `a.b` wherever they stand.
    pub relations: Vec<RelationName>,
    /// Those of them that it may write.
    pub writes: Vec<RelationName>,
    /// Those of these that rows are put into, and that stand nowhere else: nothing of them is read.
    #[serde(skip)]
    pub only_filled: Vec<RelationName>,
    /// Those of these that it may make.
    #[serde(skip)]
    pub makes: Vec<RelationName>,
    /// What is called, as written, in lower case unless quoted.
    pub functions: Vec<Text>,
    /// Operators that it has; a cast is named `::` and its type.
    #[serde(skip)]
    pub operators: Vec<Text>,
    /// Channels that it notifies; `None` where one is put together.
    pub notifies: Vec<Option<Text>>,
    /// Columns of the row that set off a trigger which it assigns to; `None` where that is all of it.
    #[serde(skip)]
    pub assigns: Vec<Option<Text>>,
    /// Of these, which columns of the row that set it off go into which.
    #[serde(skip)]
    pub copies: Vec<(Text, Text)>,
    /// Whether it takes the row that set off a trigger as a whole.
    pub takes_rows: bool,
    /// Whether it takes all columns of anything.
    #[serde(skip)]
    pub takes_all: bool,
    /// Names of relations of which it may take rows as a whole, sorted.
    #[serde(skip)]
    pub whole: Vec<Text>,
    /// Whether it executes what it puts together, or could not be read.
    pub dynamic: bool,
    /// Whether it may change what names mean after it.
    pub sets_path: bool,
    /// Whether it may change the schema.
    #[serde(skip)]
    pub changes_schema: bool,
    /// Whether it may write a comment with what it puts together: it executes, and `COMMENT ON` is somewhere in it.
    #[serde(skip)]
    pub comments: bool,
    /// Functions that it calls with more than constants.
    #[serde(skip)]
    pub passes: Vec<Text>,
    /// Names that stand alone in what it executes, or puts together for that: what a text fills that it does not name is among them, perhaps.
    #[serde(skip)]
    pub alone: Vec<RelationName>,
    /// Whether a text that it executes fills what it does not name.
    #[serde(skip)]
    pub fills_unnamed: bool,
    /// Whether it executes more than its constants say, but for names and values that are put into them.
    #[serde(skip)]
    pub is_open: bool,
    /// Whether it may delete.
    #[serde(skip)]
    pub deletes: bool,
    /// How often each name stands in it, where no value of its holds more rows of a relation than that: it repeats nothing, and collects nothing.
    #[serde(skip)]
    pub named: Option<Vec<(Text, u16)>>,
}

impl Code {
    /// Reads a body in PL/pgSQL, or in anything that has SQL's tokens.
    pub fn of(body: &str) -> Code {
        let Some(tokens) = Tokens::scan(body) else { return Code::opaque(body) };
        let says = |word: &str| tokens.all.iter().any(|lexeme| lexeme.text.eq_ignore_ascii_case(word));
        let dynamic = says("execute");
        let mut names = Names::default();
        names.take(&tokens, false);
        let executed = if dynamic { executed::texts(&tokens, &mut names) } else { Executed::default() };
        if !names.are_few() {
            return Code::opaque(body);
        }
        let mut notifies = doors::notified(&tokens);
        notifies.extend(tokens.all.windows(2).filter_map(|pair| match pair {
            [notify, channel] if notify.text.eq_ignore_ascii_case("notify") && channel.is_name() => {
                Some(Some(channel.name().into()))
            }
            _ => None,
        }));
        Code {
            notifies,
            assigns: assigns(&tokens),
            copies: copies(&tokens),
            takes_rows: takes_rows(&tokens),
            dynamic,
            comments: dynamic && (executed.comments || says_comment(body)),
            sets_path: dynamic || says("set_config") || says("search_path") || says("pg_settings"),
            changes_schema: dynamic || ["alter", "create", "drop"].iter().any(|word| says(word)),
            fills_unnamed: executed.fills_unnamed,
            deletes: ["delete", "truncate", "merge"].iter().any(|word| says(word)) || executed.deletes,
            is_open: executed.is_open || (dynamic && executed::is_open(&tokens)),
            named: named(&tokens),
            ..names.into_code()
        }
    }

    /// What is given to code by the constants of a statement that calls it, and that it may execute; `None` where there are none.
    pub(super) fn given(tokens: &Tokens<'_>) -> Option<Code> {
        let mut names = Names::default();
        let executed = executed::texts(tokens, &mut names);
        let is_something = !names.relations.is_empty() || executed.comments || executed.is_open;
        is_something.then(|| Code {
            comments: executed.comments,
            fills_unnamed: executed.fills_unnamed,
            is_open: executed.is_open || !names.are_few(),
            deletes: executed.deletes,
            ..if names.are_few() { names.into_code() } else { Code::default() }
        })
    }

    /// The same of values that are sent apart from the statement.
    pub fn of_values<'v>(values: impl Iterator<Item = &'v str>) -> Option<Code> {
        let quoted: Vec<String> = values.map(|value| format!("'{}'", value.replace('\'', "''"))).collect();
        Code::given(&Tokens::scan(&quoted.join(","))?)
    }

    /// What it executes, with what it is given.
    pub fn with(&self, given: &Code) -> Code {
        let both = |one: &[RelationName], other: &[RelationName]| one.iter().chain(other).cloned().collect();
        let names = |one: &[Text], other: &[Text]| one.iter().chain(other).cloned().collect();
        Code {
            relations: both(&self.relations, &given.relations),
            writes: both(&self.writes, &given.writes),
            makes: both(&self.makes, &given.makes),
            alone: both(&self.alone, &given.alone),
            functions: names(&self.functions, &given.functions),
            operators: names(&self.operators, &given.operators),
            takes_all: self.takes_all || given.takes_all,
            whole: self.whole.iter().chain(&given.whole).cloned().collect::<BTreeSet<_>>().into_iter().collect(),
            fills_unnamed: self.fills_unnamed || given.fills_unnamed,
            comments: self.comments || given.comments,
            is_open: self.is_open || given.is_open,
            deletes: self.deletes || given.deletes,
            ..Code::default()
        }
    }

    /// What may be a relation that it reads.
    pub fn reads(&self) -> impl Iterator<Item = &RelationName> {
        self.relations.iter().filter(|name| !self.only_filled.contains(name))
    }

    /// Whether it may take this column of a relation that it names.
    pub fn takes(&self, relation: &RelationName, column: &str) -> bool {
        let is_whole = || self.whole.binary_search(&relation.name).is_ok();
        self.takes_all || is_whole() || self.relations.iter().any(|name| *name.name == *column)
    }

    /// Whether many rows may end in one value.
    pub fn collects(&self) -> bool {
        let collects = |name: &Text| COLLECTING.contains(&doors::bare(name)) || &**name == "array";
        self.functions.iter().any(collects)
    }

    /// How often one of these names stands in it; see [`Code::named`].
    pub fn times(&self, name: &str) -> Option<u16> {
        let named = self.named.as_ref()?;
        Some(named.iter().find(|(its, _)| **its == *name).map_or(0, |(_, times)| *times))
    }

    /// Code of which nothing is known.
    pub(super) fn opaque(body: &str) -> Code {
        let comments = says_comment(body);
        Code { dynamic: true, sets_path: true, changes_schema: true, is_open: true, comments, ..Code::default() }
    }

    /// The code of a DO block; `None` where the statement is none.
    pub(super) fn of_do(tokens: &Tokens<'_>) -> Option<Code> {
        if tokens.word(0) != "do" {
            return None;
        }
        let body = tokens.all.iter().find(|lexeme| lexeme.is_constant())?;
        let language = tokens.find(0, "language").map(|at| tokens.word(at + 1));
        match (language.as_deref().unwrap_or("plpgsql"), body.content()) {
            ("plpgsql", Some(body)) => Some(Code::of(&body)),
            (_, body) => Some(Code::opaque(&body.unwrap_or_default())),
        }
    }
}

/// Names that stand in a piece of code.
#[derive(Default)]
pub(super) struct Names {
    relations: BTreeSet<RelationName>,
    functions: BTreeSet<Text>,
    operators: BTreeSet<Text>,
    passes: BTreeSet<Text>,
    writes: BTreeSet<RelationName>,
    /// What rows are put into, and what stands elsewhere.
    inserted: BTreeSet<RelationName>,
    elsewhere: BTreeSet<RelationName>,
    makes: BTreeSet<RelationName>,
    pub(super) alone: BTreeSet<RelationName>,
    takes_all: bool,
    whole: BTreeSet<Text>,
}

impl Names {
    /// Whether they are no more than are kept.
    pub(super) fn are_few(&self) -> bool {
        let (relations, functions) = (self.relations.len(), self.functions.len());
        [relations, functions, self.operators.len(), self.alone.len()].iter().all(|count| *count <= NAMES_MAX)
    }

    fn into_code(self) -> Code {
        let Names { relations, functions, operators, passes, writes, inserted, elsewhere, makes, .. } = self;
        let Names { alone, takes_all, whole, .. } = self;
        let is_elsewhere = |name: &RelationName| elsewhere.contains(name) || alone.contains(name);
        Code {
            only_filled: inserted.into_iter().filter(|name| !is_elsewhere(name)).collect(),
            relations: relations.into_iter().collect(),
            writes: writes.into_iter().collect(),
            makes: makes.into_iter().collect(),
            alone: alone.into_iter().collect(),
            functions: functions.into_iter().collect(),
            operators: operators.into_iter().collect(),
            passes: passes.into_iter().collect(),
            takes_all,
            whole: whole.into_iter().collect(),
            ..Code::default()
        }
    }

    /// `executed`: it is a text that code executes, in which `INTO` names no variable.
    pub(super) fn take(&mut self, tokens: &Tokens<'_>, executed: bool) {
        self.operators.extend(tokens.operators());
        self.takes_all |= takes_all(tokens);
        self.whole.extend(whole_rows(tokens));
        // What was put in, it may have back.
        let returns = tokens.all.iter().any(|lexeme| lexeme.text.eq_ignore_ascii_case("returning"));
        for (at, lexeme) in tokens.all.iter().enumerate().filter(|(_, lexeme)| lexeme.is_name()) {
            let name = lexeme.name();
            let qualified = tokens.word(at + 1) == "." && tokens.all.get(at + 2).is_some_and(Lexeme::is_name);
            let before = if at > 0 { tokens.word(at - 1) } else { String::new() };
            let behind = if qualified { at + 3 } else { at + 1 };
            let mut relation = RelationName { schema: None, name: name.as_str().into() };
            if tokens.word(at + 1) == "(" && before != "." {
                self.calls(name.as_str().into(), tokens, at + 1);
            }
            if qualified {
                let second = tokens.word(at + 2);
                if tokens.word(at + 3) == "(" {
                    self.calls(format!("{name}.{second}").into(), tokens, at + 3);
                }
                let schema = std::mem::replace(&mut relation.name, second.into());
                let first = RelationName { schema: None, name: schema.clone() };
                self.elsewhere.insert(first.clone());
                self.relations.insert(first);
                relation.schema = Some(schema);
            }
            let made = is_made(tokens, at, behind);
            if made || matches!(before.as_str(), "into" | "update" | "only") {
                self.writes.insert(relation.clone());
            }
            // `INSERT INTO` names no variable either.
            let inserts = || at > 1 && matches!(tokens.word(at - 2).as_str(), "insert" | "merge");
            let place = if !returns && is_filled(tokens, at) { &mut self.inserted } else { &mut self.elsewhere };
            place.insert(relation.clone());
            if made || (before == "into" && (executed || qualified || inserts())) {
                self.makes.insert(relation.clone());
            }
            self.relations.insert(relation);
        }
    }

    /// A call of a function, whose arguments begin at `open`.
    fn calls(&mut self, function: Text, tokens: &Tokens<'_>, open: usize) {
        let given = tokens.all.iter().skip(open + 1).take(CONSTANTS_LOOKED_AT_MAX);
        let first_other = given.clone().find(|lexeme| !lexeme.is_constant() && lexeme.text != ",");
        if first_other.is_none_or(|lexeme| lexeme.text != ")") {
            self.passes.insert(function.clone());
        }
        self.functions.insert(function);
    }
}

/// See [`Code::named`]. What picks a row of several by itself counts as often as it stands there.
fn named(tokens: &Tokens<'_>) -> Option<Vec<(Text, u16)>> {
    const REPEATING: [&str; 6] = ["loop", "fetch", "move", "execute", "call", "do"];
    let repeats = |lexeme: &Lexeme<'_>| REPEATING.iter().any(|word| lexeme.text.eq_ignore_ascii_case(word));
    if tokens.collect_rows() || tokens.may_recur() || tokens.all.iter().any(repeats) {
        return None;
    }
    let text = |at: usize| tokens.all.get(at).map_or("", |lexeme| lexeme.text);
    let names = || tokens.all.iter().enumerate().filter(|(_, lexeme)| lexeme.is_name());
    let picked = names().filter(|(at, lexeme)| text(at + 1) == "(" && picks(lexeme.text)).count();
    let each = u16::try_from(picked.max(1)).unwrap_or(u16::MAX);
    let mut times: BTreeMap<Text, u16> = BTreeMap::new();
    for (_, lexeme) in names().filter(|(at, _)| text(at + 1) != ".") {
        let times = times.entry(lexeme.name().into()).or_default();
        *times = times.saturating_add(each);
    }
    Some(times.into_iter().collect())
}

/// Whether a name is what rows are put into, or the part of it behind its schema.
fn is_filled(tokens: &Tokens<'_>, at: usize) -> bool {
    let word = |back: usize| at.checked_sub(back).map(|at| tokens.word(at)).unwrap_or_default();
    let begin = if word(1) == "." { 3 } else { 1 };
    word(begin) == "into" && word(begin + 1) == "insert"
}

/// Whether a name, which ends before `behind`, is what `CREATE TABLE … AS` or `CREATE VIEW … AS` makes.
fn is_made(tokens: &Tokens<'_>, at: usize, behind: usize) -> bool {
    let is_named = at > 0 && matches!(tokens.word(at - 1).as_str(), "table" | "view" | "exists");
    is_named
        && tokens.word(at) != "if"
        && tokens.find(behind, "as").is_some()
        && tokens.find(0, "create").is_some_and(|create| create < at)
}

/// Whether `COMMENT ON` is anywhere in a text, in pieces of strings, too.
pub(super) fn says_comment(text: &str) -> bool {
    let small = text.to_ascii_lowercase();
    small.match_indices("comment").any(|(at, word)| {
        let behind = small.get(at + word.len()..).unwrap_or_default();
        let is_of_word = |c: char| c.is_alphanumeric() || c == '_';
        let rest = behind.trim_start_matches(|c| !is_of_word(c));
        rest.len() < behind.len() && rest.strip_prefix("on").is_some_and(|rest| !rest.starts_with(is_of_word))
    })
}

/// `new`, `new.*` or `old`, but for a column of it, and for what a trigger returns.
fn takes_rows(tokens: &Tokens<'_>) -> bool {
    tokens.all.iter().enumerate().any(|(at, lexeme)| {
        let is_row = lexeme.is_name() && matches!(lexeme.name().as_str(), "new" | "old");
        let is_returned = at > 0 && tokens.word(at - 1) == "return";
        is_row && (tokens.word(at + 1) != "." || tokens.word(at + 2) == "*") && !is_returned
    })
}

/// `*` that is no product, nor what `count(*)` counts.
fn takes_all(tokens: &Tokens<'_>) -> bool {
    let is_all = |at: usize| {
        let before = at.checked_sub(1).map(|before| tokens.word(before)).unwrap_or_default();
        let is_begun = matches!(before.as_str(), "select" | "," | "." | "all" | "distinct" | "returning");
        // `distinct on (…) *`.
        let is_ended = matches!(tokens.word(at + 1).as_str(), "from" | "into" | "," | ")" | ";" | "");
        is_begun || before != "(" && is_ended
    };
    tokens.all.iter().enumerate().any(|(at, lexeme)| lexeme.text == "*" && is_all(at))
}

/// `new.a := … new.b …;` puts `b` into `a`, or what is made of it.
fn copies(tokens: &Tokens<'_>) -> Vec<(Text, Text)> {
    let text = |at: usize| tokens.all.get(at).map_or("", |lexeme| lexeme.text);
    let is = |at: usize, word: &str| text(at).eq_ignore_ascii_case(word);
    let column = |at: usize| {
        let is_of_row = (is(at, "new") || is(at, "old")) && text(at + 1) == ".";
        is_of_row.then(|| Text::from(tokens.word(at + 2)))
    };
    let mut copies = BTreeSet::new();
    for at in 0..tokens.all.len() {
        let Some(into) = column(at).filter(|_| matches!(text(at + 3), ":=" | "=")) else { continue };
        let end = (at + 4..at + 4 + ASSIGNED_TOKENS_MAX).take_while(|at| text(*at) != ";" && !is(*at, "then"));
        let from = end.filter_map(column);
        copies.extend(from.filter(|from| *from != into).map(|from| (into.clone(), from)));
    }
    copies.into_iter().collect()
}

/// `new.name := …`, `select … into new.name`; of `new` without a name, all of it.
fn assigns(tokens: &Tokens<'_>) -> Vec<Option<Text>> {
    const BEFORE_A_STATEMENT: [&str; 5] = [";", "begin", "then", "else", "loop"];
    let mut assigned = BTreeSet::new();
    for (at, lexeme) in tokens.all.iter().enumerate() {
        if !lexeme.is_name() || lexeme.name() != "new" {
            continue;
        }
        let before = tokens.word(at.saturating_sub(1));
        let column = (tokens.word(at + 1) == ".").then(|| tokens.word(at + 2));
        let behind = tokens.word(if column.is_some() { at + 3 } else { at + 1 });
        // A comparison stands within a statement.
        let sets = behind == ":=" || (behind == "=" && BEFORE_A_STATEMENT.contains(&before.as_str()));
        if sets || matches!(before.as_str(), "into" | "strict") {
            assigned.insert(column.map(Text::from));
        }
    }
    assigned.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_may_be_a_name_is_one_and_strings_are_none() {
        let code =
            Code::of("begin for r in select \"E\" from shop.customers c loop perform f(r.x, 'orders'); end loop; end");
        let named = |schema: Option<&str>, name: &str| {
            code.relations.contains(&RelationName { schema: schema.map(Into::into), name: name.into() })
        };
        assert!(named(Some("shop"), "customers") && named(None, "c") && named(None, "E") && !named(None, "orders"));
        assert_eq!((code.functions.as_slice(), code.dynamic), (&["f".into()][..], false));
        assert!(Code::of("begin execute 'select 1'; end").dynamic);
        let sends = Code::of("begin perform pg_notify('a', new.id::text); notify b; return new; end");
        assert_eq!((sends.notifies.as_slice(), sends.takes_rows), (&[Some("a".into()), Some("b".into())][..], false));
        for row in ["new", "new.*", "old . *"] {
            assert!(
                Code::of(&format!("begin perform pg_notify('a', row_to_json({row})::text); return new; end"))
                    .takes_rows
            );
        }
        assert!(Code::of("unterminated ' string").dynamic);
        for all in [
            "select *",
            "delete from c where id = 1 returning * into r",
            "select distinct on (a) * from c",
            "select c.* from c",
        ] {
            assert!(Code::of(all).takes_all, "{all}");
        }
        for none in ["select count(*) from c", "select (a) * 2, a * b from c", "select count(*), 2 * 3"] {
            assert!(!Code::of(none).takes_all, "{none}");
        }
        let changes = |body: &str| Code::of(body).changes_schema;
        let makes = |body: &str| {
            let code = Code::of(body);
            assert!(code.makes.iter().all(|name| code.writes.contains(name)));
            let written =
                |name: &RelationName| name.schema.iter().chain([&name.name]).cloned().collect::<Vec<_>>().join(".");
            code.makes.iter().map(written).collect::<Vec<_>>()
        };
        assert_eq!(makes("begin create table if not exists a.b as select c into d from e; end"), ["a.b"]);
        assert_eq!(makes("begin execute 'create temp table t as select x from y'; end"), ["t"]);
        assert_eq!(
            makes("begin execute $x$ do 'begin execute ''select x into a.t from y''; end' $x$ into v; end"),
            ["a.t"]
        );
        assert_eq!(makes("begin execute 'insert into a.t select x from y'; drop table b; end"), ["a.t"]);
        assert_eq!(makes("begin perform 'select x into t'; alter table t add as_of date; end"), [""; 0]);
        assert!(changes("begin alter table a rename to b; end") && changes("begin execute x; end"));
        assert!(!changes("begin perform 'drop table a'; end"));
        let comments = |body: &str| Code::of(body).comments;
        assert!(comments("begin execute format('comment on table t is %L', x); end"));
        assert!(comments("begin execute 'COMMENT ' || 'ON table t is ' || x; end"));
        assert!(!comments("begin execute 'insert into t (comment, only) values ($1)'; end"));
        assert!(!comments("begin comment on table t is 'x'; end"));
    }

    #[test]
    fn what_rows_are_only_put_into_is_not_read() {
        let reads = |body: &str| {
            let code = Code::of(body);
            let names: Vec<_> = code.reads().map(|name| name.name.to_string()).filter(|name| name == "t").collect();
            (code.writes.iter().filter(|name| &*name.name == "t").count(), !names.is_empty())
        };
        assert_eq!(reads("begin insert into s.t values ($1); insert into s.t (a) select b from u; end"), (1, false));
        assert_eq!(reads("begin insert into t values ($1); end"), (1, false));
        assert_eq!(reads("begin execute 'insert into s.t values (1)'; end"), (1, false));
        assert_eq!(reads("begin insert into t values ($1) returning a into b; end"), (1, true));
        assert_eq!(reads("begin insert into s.t select a from t; end"), (1, true));
        assert_eq!(reads("begin insert into s.t select a from s.t; end"), (1, true));
        assert_eq!(
            reads("begin insert into t values (1) on conflict do update set a = t.a || excluded.a; end"),
            (1, true)
        );
        assert_eq!(reads("begin update t set a = 1; end"), (1, true));
        assert_eq!(reads("begin select a into s.t from u; end"), (1, true));
    }

    #[test]
    fn what_a_trigger_copies_within_its_row_is_noticed() {
        let copies = |code: &str| Code::of(code).copies.len();
        assert_eq!(copies("begin new.city := lower(new.email) || old.phone; new.at = now(); return new; end"), 2);
        assert_eq!(copies("begin if new.a is null then new.b := 1; end if; new.c := new.c + 1; return new; end"), 0);
    }

    #[test]
    fn what_a_trigger_assigns_is_told_from_what_it_compares() {
        let assigns = |code: &str| {
            let columns = Code::of(code).assigns.into_iter();
            columns.map(|column| column.map_or("*".to_owned(), |name| name.to_string())).collect::<Vec<_>>()
        };
        assert_eq!(assigns("begin new.a := 1; NEW.b = (select 1 from t); return new; end"), ["a", "b"]);
        assert_eq!(assigns("begin select x into strict new.c from t; select y into new.d from u; end"), ["c", "d"]);
        assert_eq!(assigns("begin if new.a = 1 and new.b <> old.b then new.e := 2; end if; return new; end"), ["e"]);
        assert_eq!(assigns("begin select * into new from t; return new; end"), ["*"]);
        assert!(assigns("begin insert into log values (new.*); return new; end").is_empty());
    }
}
