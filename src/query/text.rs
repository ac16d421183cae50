//! A question as a text: without its literals, as it is recorded (`where db_user = $1`), and whether it is at its end.
//!
//! In: the text of a question. Out: its names, words and operators; `$1`, `$2`, … in place of everything else, comments left out.
//! Read by the tokenizer that the engine itself reads it by. A text that it cannot read is not kept.

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer, Whitespace};

use super::functions::NAMES;

/// What stands for a text that is not kept.
const UNREADABLE: &str = "(not SQL)";

fn tokens(sql: &str) -> Option<Vec<Token>> {
    Tokenizer::new(&GenericDialect, sql).tokenize().ok()
}

/// Whether a text ends in a semicolon that is none of a literal's or a comment's.
pub fn is_ended(sql: &str) -> bool {
    let tokens = tokens(sql).unwrap_or_default();
    tokens.iter().rfind(|token| !matches!(token, Token::Whitespace(_) | Token::EOF)) == Some(&Token::SemiColon)
}

/// Whether it calls `person`, and so may hold what somebody is known by.
pub fn names_a_person(sql: &str) -> bool {
    let is_person = |token: &Token| matches!(token, Token::Word(word) if word.value.eq_ignore_ascii_case(NAMES[0]));
    tokens(sql).is_none_or(|tokens| tokens.iter().any(is_person))
}

/// See the module.
pub fn without_literals(sql: &str) -> String {
    let Some(tokens) = tokens(sql) else { return UNREADABLE.to_owned() };
    let mut text = String::new();
    let mut literals = 0_usize;
    for token in &tokens {
        match token {
            Token::EOF => {}
            Token::Whitespace(Whitespace::Space | Whitespace::Newline | Whitespace::Tab) => text.push(' '),
            // Between two words, a comment keeps them apart.
            Token::Whitespace(_) => text.push(' '),
            Token::Word(word) => text.push_str(&word.to_string()),
            token => {
                let shown = token.to_string();
                match is_operator(&shown) {
                    true => text.push_str(&shown),
                    false => {
                        literals += 1;
                        text.push_str(&format!("${literals}"));
                    }
                }
            }
        }
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn is_operator(shown: &str) -> bool {
    shown.chars().all(|c| c.is_ascii_punctuation() && !matches!(c, '\'' | '"' | '`' | '$'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_words_stay_and_every_value_goes() {
        for (sql, expected) in [
            ("select *\n from statements where db_user = 'anna'", "select * from statements where db_user = $1"),
            (
                "select \"at\", -- of 4711\n persons::int from s /* 'x' */ where a >= 1.5e3 and b<>2",
                "select \"at\", persons::int from s where a >= $1 and b<>$2",
            ),
            ("select person('4711'), $$a$$, e'a\\'b', x'ff', n'q', $1", "select person($1), $2, $3, $4, $5, $6"),
            ("select [1, 2], a -> 'b' from t;", "select [$1, $2], a -> $3 from t;"),
            ("select 'it''s' as \"a b\"", "select $1 as \"a b\""),
            ("select 'unfinished", UNREADABLE),
        ] {
            assert_eq!(without_literals(sql), expected, "{sql}");
        }
    }

    #[test]
    fn a_question_ends_at_a_semicolon_of_its_own() {
        for ended in ["select 1;", "select 1 ;\n -- no more", ";"] {
            assert!(is_ended(ended), "{ended}");
        }
        for goes_on in ["select 1", "select ';", "select ';'", "select 1 -- ;", "", "select \";\" /* ; */"] {
            assert!(!is_ended(goes_on), "{goes_on}");
        }
        assert!(
            names_a_person("select Person ('1')") && names_a_person("select '") && !names_a_person("select 'person'")
        );
    }
}
