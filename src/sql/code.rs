//! What a piece of code names: the body of a function, or a DO block.
//!
//! In: the text. Out: every name in it that may be a relation's or a function's, and whether it makes statements as it runs.
//! Nothing is followed: whoever asks has to assume that all of it is read.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::tokens::{Lexeme, Tokens};
use super::{RelationName, doors};
use crate::record::Text;

/// Names that are kept, of each kind. With more, the code is taken for dynamic.
const NAMES_MAX: usize = 4_096;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Code {
    /// What may be a relation: `a` and `a.b` wherever they stand.
    pub relations: Vec<RelationName>,
    /// Those of them that it may write.
    pub writes: Vec<RelationName>,
    /// What is called, as written, in lower case unless quoted.
    pub functions: Vec<Text>,
    /// Channels that it notifies; `None` where one is put together.
    pub notifies: Vec<Option<Text>>,
    /// Whether it takes the row that set off a trigger as a whole.
    pub takes_rows: bool,
    /// Whether it executes what it puts together, or could not be read.
    pub dynamic: bool,
    /// Whether it may change what names mean after it.
    pub sets_path: bool,
}

impl Code {
    /// Reads a body in PL/pgSQL, or in anything that has SQL's tokens.
    pub fn of(body: &str) -> Code {
        let opaque = Code { dynamic: true, sets_path: true, ..Code::default() };
        let Some(tokens) = Tokens::scan(body) else { return opaque };
        let (mut relations, mut functions, mut writes) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for (at, lexeme) in tokens.all.iter().enumerate() {
            if !lexeme.is_name() {
                continue;
            }
            let name = lexeme.name();
            let qualified = tokens.word(at + 1) == "." && tokens.all.get(at + 2).is_some_and(Lexeme::is_name);
            let written = at > 0 && matches!(tokens.word(at - 1).as_str(), "into" | "update" | "only");
            let after_dot = at > 0 && tokens.word(at - 1) == ".";
            if tokens.word(at + 1) == "(" && !after_dot {
                functions.insert(Text::from(name.as_str()));
            }
            if qualified {
                let second = tokens.word(at + 2);
                if tokens.word(at + 3) == "(" {
                    functions.insert(format!("{name}.{second}").into());
                }
                let both = RelationName { schema: Some(name.as_str().into()), name: second.into() };
                writes.extend(written.then(|| both.clone()));
                relations.insert(both);
            } else if written {
                writes.insert(RelationName { schema: None, name: name.as_str().into() });
            }
            relations.insert(RelationName { schema: None, name: name.into() });
        }
        if relations.len() > NAMES_MAX || functions.len() > NAMES_MAX {
            return opaque;
        }
        let mut notifies = doors::notified(&tokens);
        notifies.extend(tokens.all.windows(2).filter_map(|pair| match pair {
            [notify, channel] if notify.text.eq_ignore_ascii_case("notify") && channel.is_name() => {
                Some(Some(channel.name().into()))
            }
            _ => None,
        }));
        let says = |word: &str| tokens.all.iter().any(|lexeme| lexeme.text.eq_ignore_ascii_case(word));
        let dynamic = says("execute");
        Code {
            relations: relations.into_iter().collect(),
            writes: writes.into_iter().collect(),
            functions: functions.into_iter().collect(),
            notifies,
            takes_rows: takes_rows(&tokens),
            dynamic,
            sets_path: dynamic || says("set_config") || says("search_path") || says("pg_settings"),
        }
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
            _ => Some(Code { dynamic: true, sets_path: true, ..Code::default() }),
        }
    }
}

/// `new` or `old`, but for a column of it, and for what a trigger returns.
fn takes_rows(tokens: &Tokens<'_>) -> bool {
    tokens.all.iter().enumerate().any(|(at, lexeme)| {
        let is_row = lexeme.is_name() && matches!(lexeme.name().as_str(), "new" | "old");
        let is_returned = at > 0 && tokens.word(at - 1) == "return";
        is_row && tokens.word(at + 1) != "." && !is_returned
    })
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
        assert!(Code::of("begin perform pg_notify('a', row_to_json(new)::text); return new; end").takes_rows);
        assert!(Code::of("unterminated ' string").dynamic);
    }
}
