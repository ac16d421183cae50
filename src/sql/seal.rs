//! A comment that an application has signed, told from one that anybody could have written.
//!
//! In: a statement's text, and the keys that applications sign with. Out: a [`Seal`], and the pairs of the comment that it vouches for.
//! PURE: whether the time in it is the present is for who knows the time. The form is sqlcommenter's, with three pairs more:
//!
//! ```text
//! select … /*app='shop',mitsuke_at='1795600000',mitsuke_key='shop-1',mitsuke_mac='3f…',user='anna'*/
//! ```
//!
//! `mitsuke_at` is in seconds since 1970, `mitsuke_mac` the HMAC-SHA256, hexadecimal, of the other pairs as they stand there, joined by
//! commas, a line feed, and the statement: its text without this comment, without white space at either end and semicolons at the
//! end, and with `?` for each parameter, since drivers have their own words for these. Refuses a comment that is neither first nor last
//! in its statement, or one of two: the text could be read in another way than it was signed.

use std::fmt;

use ring::hmac;
use serde::{Deserialize, Serialize};

use super::tokens::Tokens;
use crate::clock::Timestamp;

/// Keys at a time: those in use and those that are being replaced.
pub const KEYS_MAX: usize = 64;
/// A key has at least so many bytes; an HMAC-SHA256 gains nothing from more than twice that.
const KEY_BYTES_MIN: usize = 16;
/// And at most so many.
const KEY_BYTES_MAX: usize = 128;
/// The longest name of a key, bytes.
const NAME_BYTES_MAX: usize = 64;

const AT: &str = "mitsuke_at";
const KEY: &str = "mitsuke_key";
const MAC: &str = "mitsuke_mac";

/// The keys that applications sign their comments with, by name.
#[derive(Clone, Default)]
pub struct Keys(Vec<(String, hmac::Key)>);

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({})", self.0.len())
    }
}

impl Keys {
    /// Reads lines of `name key`, the key in hexadecimal; `#` begins a line that is none.
    ///
    /// # Errors
    /// What is wrong, with the number of the line. Never what stands in it.
    pub fn parse(text: &str) -> Result<Keys, (u32, String)> {
        let mut keys: Vec<(String, hmac::Key)> = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let mut words = line.split_whitespace();
            let (Some(name), Some(key), None) = (words.next(), words.next(), words.next()) else {
                return Err((number, "not a name and a key".to_owned()));
            };
            let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            if name.len() > NAME_BYTES_MAX || !name.chars().all(is_plain) {
                return Err((number, "a key's name is made of letters, digits, `-`, `_` and `.`".to_owned()));
            }
            let Some(bytes) = bytes_of(key).filter(|bytes| (KEY_BYTES_MIN..=KEY_BYTES_MAX).contains(&bytes.len()))
            else {
                return Err((
                    number,
                    format!("a key is {} to {} hexadecimal digits", KEY_BYTES_MIN * 2, KEY_BYTES_MAX * 2),
                ));
            };
            if keys.iter().any(|(known, _)| known == name) {
                return Err((number, "a second key of this name".to_owned()));
            }
            if keys.len() >= KEYS_MAX {
                return Err((number, format!("more than {KEYS_MAX} keys")));
            }
            keys.push((name.to_owned(), hmac::Key::new(hmac::HMAC_SHA256, &bytes)));
        }
        match keys.is_empty() {
            true => Err((0, "there is no key in it".to_owned())),
            false => Ok(Keys(keys)),
        }
    }

    /// Whether nobody signs.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What is known of a statement's comments, but for the time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Seal {
    /// There were no keys to know it by.
    #[default]
    Unchecked,
    /// None of them says that it is signed.
    None,
    /// One is.
    Good {
        /// When, as it says.
        at: Timestamp,
        /// Tells it from others: the beginning of its signature.
        mac: u64,
    },
    /// One says so, and is not.
    Bad,
}

/// Checks the comments of one statement; gives the inside of the one that is signed, too.
pub(super) fn check<'t>(text: &'t str, keys: &Keys) -> (Seal, Option<&'t str>) {
    if keys.is_empty() {
        return (Seal::Unchecked, None);
    }
    let Some(tokens) = Tokens::scan(text) else { return (Seal::None, None) };
    let mut sealed = tokens.comments.iter().filter(|comment| comment.contains(MAC));
    let comment = match (sealed.next(), sealed.next()) {
        (None, _) => return (Seal::None, None),
        (Some(comment), None) => comment,
        (Some(_), Some(_)) => return (Seal::Bad, None),
    };
    match good(comment, &tokens, keys) {
        Some((seal, inside)) => (seal, Some(inside)),
        None => (Seal::Bad, None),
    }
}

fn good<'t>(comment: &'t str, tokens: &Tokens<'t>, keys: &Keys) -> Option<(Seal, &'t str)> {
    let inside = comment.strip_prefix("/*")?.strip_suffix("*/")?;
    let (mut signed, mut at, mut key, mut mac) = (String::with_capacity(inside.len()), None, None, None);
    for pair in inside.split(',').map(str::trim) {
        let (name, value) = pair.split_once('=')?;
        let value = value.strip_prefix('\'')?.strip_suffix('\'')?;
        let place = match name {
            MAC => &mut mac,
            KEY => &mut key,
            AT => &mut at,
            _ => &mut None,
        };
        // One of two of the same name would be read by somebody.
        if place.replace(value).is_some() {
            return None;
        }
        if name != MAC {
            if !signed.is_empty() {
                signed.push(',');
            }
            signed.push_str(pair);
        }
    }
    let at = Timestamp(at?.parse::<i64>().ok().filter(|seconds| *seconds >= 0)?.checked_mul(1_000_000)?);
    let mac = bytes_of(mac?)?;
    let (_, key) = keys.0.iter().find(|(name, _)| Some(name.as_str()) == key)?;
    signed.push('\n');
    signed.push_str(&tokens.without(comment)?);
    hmac::verify(key, signed.as_bytes(), &mac).ok()?;
    let start = mac.first_chunk::<8>().map(|start| u64::from_be_bytes(*start))?;
    Some((Seal::Good { at, mac: start }, inside))
}

fn bytes_of(digits: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = digits.as_bytes().chunks(2);
    pairs.map(|pair| Some(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::analyze_with;

    const KEY_TEXT: &str = "# in use\nshop-1 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n\nold 00112233445566778899aabbccddeeff\n";

    fn keys() -> Keys {
        Keys::parse(KEY_TEXT).expect("two keys")
    }

    fn mac(key: usize, message: &str) -> String {
        let tag = hmac::sign(&keys().0[key].1, message.as_bytes());
        tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn sealed(pairs: &str, text: &str) -> String {
        format!("/*{pairs},mitsuke_mac='{}'*/", mac(0, &format!("{pairs}\n{text}")))
    }

    fn seal(text: &str) -> Seal {
        analyze_with(text, &keys()).remove(0).seal
    }

    fn is_good(text: &str) -> bool {
        matches!(seal(text), Seal::Good { .. })
    }

    const PAIRS: &str = "mitsuke_at='1795600000',mitsuke_key='shop-1',user='anna%20b'";

    /// The figure stands in docs/guide.md, too, and in what the Python and the Java example are held against.
    #[test]
    fn the_vector_of_the_guide() {
        let text = "select email from shop.customers where id = ?";
        assert_eq!(
            mac(0, &format!("app='shop',{PAIRS}\n{text}")),
            "4bafc178590ec77b4057dc52935387a6e2ed3444fb9a66aa85806847637edf6c"
        );
    }

    #[test]
    fn what_is_signed_is_told_from_what_is_not() {
        let comment = sealed(PAIRS, "select a from t where b = ? and c = '$2'");
        let text = format!("select a from t where b = $1 and c = '$2' {comment}");
        let analysis = analyze_with(&text, &keys()).remove(0);
        assert_eq!(analysis.seal.clone(), seal(&text));
        assert!(matches!(analysis.seal, Seal::Good { at: Timestamp(1_795_600_000_000_000), .. }));
        assert!(analysis.comment_tags.contains(&("user".into(), "anna b".into())));
        for (kept, changed) in [
            ("b = $1", "b = $1 or true"),
            ("anna", "ben"),
            ("1795600000", "1795600001"),
            ("shop-1", "old"),
            ("shop-1", "no"),
        ] {
            let forged = text.replace(kept, changed);
            assert_eq!(seal(&forged), Seal::Bad, "{forged}");
            assert!(analyze_with(&forged, &keys())[0].comment_tags.is_empty(), "a forged comment names nobody");
        }
        assert_eq!(seal("select 1"), Seal::None);
        assert_eq!(seal("select 1 /*user='anna'*/"), Seal::None);
        assert_eq!(crate::sql::analyze(&text)[0].seal, Seal::Unchecked);
    }

    #[test]
    fn drivers_may_change_what_they_change_and_nothing_else() {
        let comment = sealed(PAIRS, "select 1, ?");
        for text in ["select 1, $1 C", "C select 1, $7", "  select 1, $1\n;C;", "select 1, $1; C", "select 1, ? C"] {
            assert!(is_good(&text.replace('C', &comment)), "{text}");
        }
        for text in [
            "select 1,C $1",
            "select 1, $1 C -- x",
            "select 1,  $1 C",
            "select 1, $1 C /*user='ben'*/",
            "select 2, $1 C",
        ] {
            assert!(!is_good(&text.replace('C', &comment)), "{text}");
        }
    }

    /// A comment within the text, which the signature holds for, cannot speak for somebody else; two signed ones do not agree.
    #[test]
    fn a_second_comment_speaks_for_nobody() {
        let text = "/*user='ben'*/ select 1";
        let both = format!("{text} {}", sealed(PAIRS, text));
        let analysis = analyze_with(&both, &keys()).remove(0);
        assert!(matches!(analysis.seal, Seal::Good { .. }));
        let users: Vec<_> = analysis.comment_tags.iter().filter(|(key, _)| **key == *"user").collect();
        assert_eq!(users, [&("user".into(), "anna b".into())]);
        let one = sealed(PAIRS, "select 1");
        assert_eq!(seal(&format!("{one} select 1 {one}")), Seal::Bad);
        assert_eq!(seal("select 1 /*mitsuke_mac='00'*/"), Seal::Bad);
        assert_eq!(seal("select 1 -- mitsuke_mac='00'"), Seal::Bad);
        let twice = sealed(&format!("{PAIRS},mitsuke_at='1'"), "select 1");
        assert_eq!(seal(&format!("select 1 {twice}")), Seal::Bad);
    }

    #[test]
    fn each_statement_of_a_text_has_its_own() {
        let text = format!("select 1 {}; select 2", sealed(PAIRS, "select 1"));
        let analyses = analyze_with(&text, &keys());
        assert!(matches!(analyses[0].seal, Seal::Good { .. }), "{:?}", analyses[0].seal);
        assert_eq!(analyses[1].seal, Seal::None);
    }

    #[test]
    fn a_key_file_says_where_it_is_wrong_and_never_what_it_holds() {
        for (text, line) in [
            ("", 0),
            ("a", 1),
            ("a 00", 1),
            ("a 0g112233445566778899aabbccddeeff", 1),
            ("# x\na b c", 2),
            ("a'b 00112233445566778899aabbccddeeff", 1),
            ("a 00112233445566778899aabbccddeeff\na 00112233445566778899aabbccddeeff", 2),
        ] {
            let (found, what) = Keys::parse(text).expect_err(text);
            assert_eq!(found, line, "{text}: {what}");
            assert!(!what.contains("112233"));
        }
        assert_eq!(format!("{:?}", keys()), "Keys(2)");
    }
}
