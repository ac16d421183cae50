//! Texts that code executes: what stands of them in constants.
//!
//! In: the tokens of a piece of code, or of a statement that calls it. Out: into [`Names`], what these texts name; and [`Executed`], what they leave
//! open. Constants that are put one behind the other are read as one text. Nothing is computed: of what a function makes, or a
//! variable holds, nothing is known, and that is said.

use super::RelationName;
use super::code::{Names, says_comment};
use super::tokens::{Lexeme, Tokens};

/// Texts within texts within a text are read.
const STRINGS_WITHIN_MAX: u32 = 3;

/// See the module.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Executed {
    /// Whether one may write a comment.
    pub(super) comments: bool,
    /// Whether one fills what it does not name: its name is put in, or comes behind.
    pub(super) fills_unnamed: bool,
    /// Whether one executes more than its own constants say.
    pub(super) is_open: bool,
    /// Whether one may delete.
    pub(super) deletes: bool,
}

/// See the module.
pub(super) fn texts(tokens: &Tokens<'_>, names: &mut Names) -> Executed {
    let mut executed = Executed::default();
    take(tokens, names, &mut executed, STRINGS_WITHIN_MAX);
    executed
}

fn take(tokens: &Tokens<'_>, names: &mut Names, executed: &mut Executed, within: u32) {
    for text in joined(tokens) {
        let Some(inner) = Tokens::scan(&text) else { continue };
        names.alone.extend(alone(&inner));
        names.take(&inner, true);
        executed.comments |= says_comment(&text);
        executed.fills_unnamed |= fills_unnamed(&inner);
        executed.is_open |= is_open(&inner);
        executed.deletes |= ["delete", "truncate", "merge"].iter().any(|word| inner.find(0, word).is_some());
        if within > 0 && names.are_few() {
            take(&inner, names, executed, within - 1);
        }
    }
}

/// Its strings; as one, those that nothing but `||` stands between.
fn joined(tokens: &Tokens<'_>) -> Vec<String> {
    let mut texts: Vec<String> = Vec::new();
    let mut last = None;
    for (at, lexeme) in tokens.all.iter().enumerate().filter(|(_, lexeme)| lexeme.is_constant()) {
        let Some(text) = content(lexeme) else { continue };
        let goes_on = at > 1 && last == Some(at - 2) && tokens.word(at - 1) == "||";
        match texts.last_mut().filter(|_| goes_on) {
            Some(before) => before.push_str(&text),
            None => texts.push(text),
        }
        last = Some(at);
    }
    texts
}

fn content(lexeme: &Lexeme<'_>) -> Option<String> {
    lexeme.content().or_else(|| lexeme.text.ends_with('\'').then(|| lexeme.decoded()))
}

/// `a` or `a.b`, and nothing else.
fn alone(tokens: &Tokens<'_>) -> Option<RelationName> {
    let name = |at: usize| Some(tokens.all.get(at).filter(|lexeme| lexeme.is_name())?.name().into());
    match tokens.all.len() {
        1 => Some(RelationName { schema: None, name: name(0)? }),
        3 if tokens.word(1) == "." => Some(RelationName { schema: name(0), name: name(2)? }),
        _ => None,
    }
}

/// Whether no name comes behind `INTO`, `UPDATE`, or `CREATE TABLE`: as in `'insert into ' || …`, or in `format('insert into %I', …)`.
fn fills_unnamed(tokens: &Tokens<'_>) -> bool {
    let creates = tokens.find(0, "create").is_some();
    tokens.all.iter().enumerate().any(|(at, lexeme)| {
        let before = if at > 0 { tokens.word(at - 1) } else { String::new() };
        let fills = match lexeme.text {
            word if word.eq_ignore_ascii_case("into") => true,
            word if word.eq_ignore_ascii_case("copy") => at == 0,
            // `FOR UPDATE`, `FOR NO KEY UPDATE`, `DO UPDATE`, `ON UPDATE`.
            word if word.eq_ignore_ascii_case("update") => !matches!(before.as_str(), "for" | "key" | "do" | "on"),
            word if ["table", "view", "exists"].iter().any(|its| word.eq_ignore_ascii_case(its)) => creates,
            _ => false,
        };
        let goes_on = matches!(tokens.word(at + 1).as_str(), "if" | "not" | "only" | "table");
        fills && !goes_on && !is_named(tokens, at + 1)
    })
}

/// Whether a name begins at `at` that is whole: `a`, or `a.b`, with nothing put into it.
fn is_named(tokens: &Tokens<'_>, at: usize) -> bool {
    let is_name = |at: usize| tokens.all.get(at).is_some_and(|lexeme| lexeme.is_name() && !lexeme.text.contains('%'));
    let next = tokens.word(at + 1);
    is_name(at) && next != "%" && (next != "." || is_name(at + 2)) && (next != "." || tokens.word(at + 3) != "%")
}

/// Whether an `EXECUTE` of its takes anything but constants, and names and values that are quoted and put into them.
pub(super) fn is_open(tokens: &Tokens<'_>) -> bool {
    let is_execute = |(_, lexeme): &(usize, &Lexeme<'_>)| lexeme.text.eq_ignore_ascii_case("execute");
    tokens.all.iter().enumerate().filter(is_execute).any(|(at, _)| {
        // `EXECUTE FUNCTION` of a trigger; and of rights, ON.
        let is_none = matches!(tokens.word(at + 1).as_str(), "function" | "procedure" | "on");
        !is_none && template(tokens, at + 1).is_none_or(|template| !template.is_followed())
    })
}

/// A name that is put into a text, quoted; no name of anybody's.
const NAME: &str = "\"%I\"";
/// A value.
const VALUE: &str = "'%L'";

/// A statement that an `EXECUTE` takes, with places where names and values are put in.
#[derive(Default)]
struct Template {
    text: String,
    has_places: bool,
}

/// What the `EXECUTE` takes that begins at `at`; `None` where more than a name or a value may be put in.
fn template(tokens: &Tokens<'_>, mut at: usize) -> Option<Template> {
    let mut template = Template::default();
    while let Some(lexeme) = tokens.all.get(at) {
        let word = lexeme.text.to_ascii_lowercase();
        at = match word.as_str() {
            ";" | "into" | "using" | "loop" => break,
            "||" | "(" | ")" => at + 1,
            "pg_catalog" if tokens.word(at + 1) == "." => at + 2,
            "format" => {
                let constant = tokens.all.get(at + 2).filter(|lexeme| lexeme.is_constant())?;
                let is_whole = matches!(tokens.word(at + 3).as_str(), "," | ")");
                template.put(&formatted(&content(constant).filter(|_| is_whole)?)?);
                behind(tokens, at + 1)?
            }
            "quote_ident" | "quote_literal" | "quote_nullable" => {
                template.put(if word == "quote_ident" { NAME } else { VALUE });
                behind(tokens, at + 1)?
            }
            _ if lexeme.is_constant() => {
                template.text.push_str(&content(lexeme)?);
                at + 1
            }
            _ => return None,
        };
    }
    Some(template)
}

/// What comes behind the parenthesis that opens at `open`.
fn behind(tokens: &Tokens<'_>, open: usize) -> Option<usize> {
    let last = tokens.within(open).last().map_or(open, |(at, ..)| at);
    (tokens.word(open) == "(" && tokens.word(last + 1) == ")").then_some(last + 2)
}

/// What `format` makes of a text (PostgreSQL manual, format), its arguments left open; `None` where one of them is put in as it is.
fn formatted(text: &str) -> Option<String> {
    let mut made = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, from)) = rest.split_once('%') {
        made.push_str(before);
        let place = from.trim_start_matches(|c: char| c.is_ascii_digit() || matches!(c, '$' | '-' | '*'));
        let (kind, after) = place.split_at_checked(1)?;
        made.push_str(match kind {
            "%" => "%",
            "I" => NAME,
            "L" => VALUE,
            _ => return None,
        });
        rest = after;
    }
    made.push_str(rest);
    Some(made)
}

impl Template {
    fn put(&mut self, text: &str) {
        self.text.push_str(text);
        self.has_places = true;
    }

    /// Whether it is known what it reads and runs, whatever names are put in; what it fills that it does not name is told elsewhere. One that fills
    /// reads nothing by such a name; one that only reads may.
    fn is_followed(&self) -> bool {
        const FIRST: [&str; 10] =
            ["select", "with", "values", "table", "insert", "update", "delete", "merge", "lock", "analyze"];
        if !self.has_places {
            return true;
        }
        let Some(tokens) = Tokens::scan(&self.text) else { return false };
        let all = 0..tokens.all.len();
        let says = |at: usize, words: &[&str]| words.contains(&tokens.word(at).as_str());
        let is_place = |at: &usize| tokens.all.get(*at).is_some_and(|lexeme| lexeme.text == NAME);
        let goes_in = |at: usize| {
            let first = if at > 1 && says(at - 1, &["."]) { at - 2 } else { at };
            first > 0 && says(first - 1, &["into"])
        };
        let calls = all.clone().filter(is_place).any(|at| says(at + 1, &["("]) && !goes_in(at));
        let is_several = tokens.all.iter().rev().skip(1).any(|lexeme| lexeme.text == ";");
        if !says(0, &FIRST) || calls || is_several {
            return false;
        }
        let locks = |at: usize| at > 0 && says(at - 1, &["for", "key"]);
        let mut writing = all.clone().filter(|at| says(*at, &["insert", "into", "update", "delete", "merge"]));
        if !writing.any(|at| !locks(at)) {
            return true;
        }
        let is_own = |at: usize| at == 1 && says(0, &["delete"]);
        let mut reading = all.clone().filter(|at| says(*at, &["select", "using", "join", "from", "table"]));
        let from = reading.find(|at| !is_own(*at));
        from.is_none_or(|from| all.clone().skip(from).all(|at| !is_place(&at)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::Code;

    fn names(all: &[RelationName]) -> Vec<String> {
        let written =
            |name: &RelationName| name.schema.iter().chain([&name.name]).cloned().collect::<Vec<_>>().join(".");
        all.iter().map(written).collect()
    }

    #[test]
    fn constants_that_are_put_together_are_one_text() {
        let code = Code::of("begin execute 'insert into other.' || 'sink select ph' || 'one from ' || t; end");
        assert_eq!(
            (names(&code.makes), code.fills_unnamed, code.is_open),
            (vec!["other.sink".to_owned()], false, true)
        );
        assert!(code.relations.iter().any(|name| &*name.name == "phone"));
        let code = Code::of("begin execute 'com' || 'ment on table t is ' || quote_literal(x); end");
        assert!(code.comments);
        let code = Code::of(r"begin execute E'insert into a.b select \x63 from c'; end");
        assert_eq!((names(&code.makes), code.is_open), (vec!["a.b".to_owned()], false));
    }

    #[test]
    fn what_is_filled_and_not_named_is_noticed() {
        let fills = |code: &str| Code::of(&format!("begin execute {code}; end")).fills_unnamed;
        for unnamed in [
            "'insert into ' || t || ' select 1'",
            "format('insert into %I.%I select 1', 'a', 'b')",
            "format('insert into a.%I select 1', 'b')",
            "format('insert into a_%s select 1', 'b')",
            "format('create table if not exists %s as select 1', t)",
            "'update ' || t || ' set a = 1'",
            r#"format('merge into "%s" using b on true', t)"#,
        ] {
            assert!(fills(unnamed), "{unnamed}");
        }
        for named in ["'insert into a.b select ' || c", "'select 1 for update'", "format('select a from %I', t)", "x"] {
            assert!(!fills(named), "{named}");
        }
        let code = Code::of("begin execute format('insert into %I.%I select 1', 'a', 'b.c'); end");
        assert_eq!(names(&code.alone), ["a", "b.c"]);
    }

    #[test]
    fn what_is_executed_is_known_where_it_is_constants_alone() {
        let open = |code: &str| Code::of(&format!("begin {code} end")).is_open;
        assert!(!open("execute 'select 1' || ' from t' into x using y;") && !open("perform f(x);"));
        for code in [
            "execute format('select 1');",
            "execute format('select count(*) from %I.%2$I where a = %L and b like ''x%%''', s, t, v) into n using m;",
            "execute 'select ' || quote_ident(c) || ' from t where a = ' || pg_catalog.quote_literal(v);",
            "execute format('insert into %I (a, b) values ($1, %L)', t, lower(v)) using new.a;",
            "execute format('insert into %I.%I (a) values ($1)', s, t) using new.a;",
            "execute ('update ' || quote_ident(t) || ' set a = 1 where b = ' || quote_nullable(x));",
            "execute format('delete from %I where a = %L', t, v);",
            "for r in execute format('select a from %I for update', t) loop null; end loop;",
        ] {
            assert!(!open(code), "{code}");
        }
        assert!(!open("create trigger t before insert on a for each row execute function f();"));
        for code in [
            "execute x;",
            "execute 'select ' || x;",
            "execute format('select %s from t', x);",
            "execute format(x, y);",
            "execute format('select 1' || x, y);",
            "execute format('create table %I (a int)', x);",
            "execute format('select %I(1)', x);",
            "execute format('select %I (a) from t', x);",
            "execute format('insert into %I select a from %I', x, y);",
            "execute 'insert into t select ' || quote_ident(x) || ' from u';",
            "execute format('insert into t values (%L); drop table %I', x, y);",
            "execute format('delete from t using %I', x);",
            "execute format('do %L', x);",
            "execute quote_ident(x) || y;",
            "execute 'do $$ begin execute x; end $$';",
        ] {
            assert!(open(code), "{code}");
        }
    }

    #[test]
    fn what_a_statement_gives_is_read_as_a_text_and_as_a_name() {
        let given = |text: &str| crate::sql::analyze(text).remove(0).doors.given;
        let code = given("select f('other.sink', 'insert into a.b select c from d')").expect("it gives two");
        assert_eq!((names(&code.alone), names(&code.writes)), (vec!["other.sink".to_owned()], vec!["a.b".to_owned()]));
        assert!(given("select lower('other.sink') from t where a = 'b'").is_none() && given("select f(1)").is_none());
        let values = Code::of_values(["it's", "a.b"].into_iter()).expect("it gives one");
        assert_eq!(names(&values.alone), ["a.b"]);
    }
}
