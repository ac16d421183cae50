//! SQL's LIKE: `%` any run, `_` one character, `\` takes the next one as it is.
//!
//! ILIKE compares characters in lower case, one by one. Time: at most the product of both lengths; no recursion, no
//! failure.

use super::sql::escaped;

/// A pattern, read once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Like {
    parts: Vec<Part>,
    fold: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Any,
    One,
    Is(char),
}

impl Like {
    /// The pattern that `text` is. A `\` at the end stands for itself.
    pub fn new(text: &str, fold: bool) -> Like {
        let mut parts = Vec::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            parts.push(match c {
                '%' => Part::Any,
                '_' => Part::One,
                '\\' => Part::Is(chars.next().unwrap_or('\\')),
                c => Part::Is(c),
            });
        }
        parts.dedup_by(|a, b| *a == Part::Any && *b == Part::Any);
        Like { parts, fold }
    }

    fn same(&self, wanted: char, found: char) -> bool {
        wanted == found || (self.fold && lower(wanted) == lower(found))
    }

    /// Whether it is ILIKE's.
    pub fn folds(&self) -> bool {
        self.fold
    }

    /// The pattern as a text; in lower case, where it is ILIKE's.
    pub fn pattern(&self) -> String {
        let part = |part: &Part| match part {
            Part::Any => "%".to_owned(),
            Part::One => "_".to_owned(),
            Part::Is(c) => escaped(&if self.fold { lower(*c) } else { *c }.to_string()),
        };
        self.parts.iter().map(part).collect()
    }

    /// Whether the whole of `text` matches.
    pub fn matches(&self, text: &str) -> bool {
        let mut rest = text.chars();
        let mut part = 0;
        let mut retry: Option<(usize, std::str::Chars<'_>)> = None;
        loop {
            let mut ahead = rest.clone();
            let next = ahead.next();
            match (self.parts.get(part), next) {
                (Some(Part::Any), _) => {
                    part += 1;
                    retry = Some((part, rest.clone()));
                }
                (Some(Part::One), Some(_)) => {
                    part += 1;
                    rest = ahead;
                }
                (Some(Part::Is(wanted)), Some(found)) if self.same(*wanted, found) => {
                    part += 1;
                    rest = ahead;
                }
                (None, None) => return true,
                _ => {
                    // The last `%` takes one character more.
                    let Some((after, mut from)) = retry.take() else { return false };
                    if from.next().is_none() {
                        return false;
                    }
                    part = after;
                    rest = from.clone();
                    retry = Some((after, from));
                }
            }
        }
    }
}

/// A letter in lower case, whatever stands beside it: Unicode's simple mapping, which makes one character of one. What
/// `str::to_lowercase` does besides (a sigma at a word's end, a dotted I in two parts) other engines do not.
pub fn lower(c: char) -> char {
    if c.is_ascii() {
        return c.to_ascii_lowercase();
    }
    let mut lower = c.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(one), _) => one,
        (None, _) => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_postgresql() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("%", "", true),
            ("a%", "abc", true),
            ("%c", "abc", true),
            ("%b%", "abc", true),
            ("a_c", "abc", true),
            ("a_c", "ac", false),
            ("_", "見", true),
            ("a\\%c", "a%c", true),
            ("a\\%c", "abc", false),
            ("%a%a%b", "aaaaab", true),
            ("%a%a%b", "aaaaac", false),
            ("ABC", "abc", false),
        ] {
            assert_eq!(Like::new(pattern, false).matches(text), expected, "{text} LIKE {pattern}");
        }
        for (pattern, text) in [("PG%", "pgAdmin 4"), ("οδοσ", "ΟΔΟΣ"), ("_stanbul", "İstanbul"), ("É%", "équipe")]
        {
            assert!(Like::new(pattern, true).matches(text), "{text} ILIKE {pattern}");
            assert!(!Like::new(pattern, false).matches(text) || pattern.starts_with('_'), "{text} LIKE {pattern}");
        }
    }

    #[test]
    fn a_hostile_text_takes_no_exponential_time() {
        let pattern = "%a".repeat(50) + "b";
        assert!(!Like::new(&pattern, false).matches(&"a".repeat(5_000)));
    }
}
