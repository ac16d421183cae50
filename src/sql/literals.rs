//! The constants of a statement and the parameters of a Bind, each in the one form in which equal values are equal.
//!
//! In: a statement's text; a parameter's bytes and format. Out: texts to be hashed: `4711` for `4711`, `04711.0`, `'4711'` and the four
//! bytes of an `integer`. The type of a parameter in binary is often not known: then every reading that its length allows is given, so that
//! a key is found however it was sent. Refuses what is longer than [`LITERAL_BYTES_MAX`], and gives [`LITERALS_MAX`] at most.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::ops::Range;

use super::Analysis;
use super::shape::{Constants, pieces};
use super::tokens::Tokens;
use crate::record::Kind;

/// Constants and parameters of a statement that are kept.
pub const LITERALS_MAX: usize = 100;
/// The longest that is kept, bytes.
pub const LITERAL_BYTES_MAX: usize = 256;
/// Seconds from 1970 to 2000, from which PostgreSQL counts.
const SECONDS_TO_2000: i64 = 946_684_800;
/// The readings of a number as a day or a moment are given where they lie within so many years after 1800.
const YEARS: std::ops::Range<i16> = 1800..2200;

/// Whether a statement's constants say what it looked up or wrote. Those of any other kind may be passwords, or parts of code: they are
/// dropped, as are those of statements that call what takes connection strings or keys.
pub fn are_values(analysis: &Analysis) -> bool {
    let kind = matches!(
        analysis.kind,
        Kind::Select
            | Kind::Insert
            | Kind::Update
            | Kind::Delete
            | Kind::Merge
            | Kind::CopyOut
            | Kind::CopyIn
            | Kind::Fetch
    );
    let takes_secrets = |name: &str| {
        let name = name.rsplit('.').next().unwrap_or(name);
        ["dblink", "pgp_", "crypt", "encrypt", "decrypt", "hmac", "digest", "set_config", "password"]
            .iter()
            .any(|word| name.contains(word))
    };
    kind && analysis.fingerprint.len() > 1 && !analysis.functions.iter().any(|name| takes_secrets(name))
}

/// The constants of one statement's text. Empty where it cannot be scanned.
pub fn constants(text: &str) -> Vec<Cow<'_, str>> {
    let mut found = Vec::new();
    if !quickly(text, &mut found) {
        found.clear();
        let Some(tokens) = Tokens::scan(text) else { return found };
        for (at, lexeme) in tokens.all.iter().enumerate().filter(|(_, lexeme)| lexeme.is_constant()) {
            let minus = at > 0 && tokens.word(at - 1) == "-";
            push(&mut found, lexeme.decoded().into(), minus);
        }
    }
    found
}

/// The same without PostgreSQL's scanner; false where the text has no shape, which may show after some of them.
fn quickly<'t>(text: &'t str, found: &mut Vec<Cow<'t, str>>) -> bool {
    pieces(text.as_bytes(), |constant, place| {
        if constant.is_some() {
            plain(found, text.as_bytes(), place);
        }
    })
}

/// The same of a text that has a shape, and is one statement, where it is remembered where they lie.
pub fn constants_at<'t>(text: &'t [u8], constants: &Constants) -> Option<Vec<Cow<'t, str>>> {
    let mut found = Vec::new();
    constants.places()?.for_each(|place| plain(&mut found, text, place));
    Some(found)
}

/// The text of the statement at `part`, of a text that may hold several.
pub fn part_of(text: &str, part: usize) -> Option<&str> {
    if !text.trim_end().trim_end_matches(';').contains(';') {
        return (part == 0).then_some(text);
    }
    pg_query::split_with_parser(text).ok()?.get(part).copied()
}

/// A constant of a text that has a shape: a string without escapes, or plain digits.
fn plain<'t>(found: &mut Vec<Cow<'t, str>>, text: &'t [u8], place: Range<usize>) {
    let (before, from) = text.split_at_checked(place.start).unwrap_or_default();
    match from.get(..place.len()).unwrap_or_default() {
        [b'\'', inside @ .., b'\''] => {
            let inside = String::from_utf8_lossy(inside);
            push(found, if inside.contains('\'') { inside.replace("''", "'").into() } else { inside }, false);
        }
        digits => {
            let last = before.iter().rfind(|byte| !matches!(byte, b' ' | b'\n' | b'\t' | b'\r'));
            push(found, String::from_utf8_lossy(digits), last == Some(&b'-'));
        }
    }
}

/// A number behind a minus is given with it, too: whether it belongs to it only the grammar knows.
fn push<'t>(found: &mut Vec<Cow<'t, str>>, text: Cow<'t, str>, minus: bool) {
    if text.len() > LITERAL_BYTES_MAX || text.is_empty() || looks_like_connection(&text) {
        return;
    }
    let negative = (minus && text.starts_with(|first: char| first.is_ascii_digit())).then(|| format!("-{text}"));
    add(found, canonical_of(text));
    if let Some(negative) = negative {
        add(found, canonical_of(negative.into()));
    }
}

fn add<'t>(found: &mut Vec<Cow<'t, str>>, text: Cow<'t, str>) {
    if found.len() < LITERALS_MAX && !found.contains(&text) {
        found.push(text);
    }
}

/// `host=… password=…`, `postgresql://user:…@…`.
fn looks_like_connection(text: &str) -> bool {
    if !text.contains(['=', ':']) {
        return false;
    }
    let lower = text.to_ascii_lowercase();
    (lower.contains("password") && lower.contains('='))
        || lower.contains("postgres://")
        || lower.contains("postgresql://")
}

/// The readings of a parameter.
pub fn parameter<'t>(binary: bool, bytes: &'t [u8], found: &mut Vec<Cow<'t, str>>) {
    if bytes.is_empty() || bytes.len() > LITERAL_BYTES_MAX {
        return;
    }
    if let Ok(text) = std::str::from_utf8(bytes)
        && !text.contains('\0')
        && !(binary && text.chars().any(char::is_control))
    {
        push(found, text.into(), false);
    }
    if !binary {
        return;
    }
    match *bytes {
        [a, b] => add(found, i16::from_be_bytes([a, b]).to_string().into()),
        [a, b, c, d] => {
            let number = i32::from_be_bytes([a, b, c, d]);
            add(found, number.to_string().into());
            moment(found, i64::from(number).saturating_mul(86_400_000_000), "%Y-%m-%d");
        }
        [a, b, c, d, e, f, g, h] => {
            let number = i64::from_be_bytes([a, b, c, d, e, f, g, h]);
            add(found, number.to_string().into());
            moment(found, number, "%Y-%m-%d %H:%M:%S%.f");
        }
        _ => {}
    }
    if let Ok(uuid) = uuid::Uuid::from_slice(bytes) {
        add(found, uuid.hyphenated().to_string().into());
    }
    if let Some(number) = numeric(bytes) {
        add(found, canonical_of(number.into()));
    }
}

/// Microseconds since 2000.
fn moment(found: &mut Vec<Cow<'_, str>>, micros: i64, form: &str) {
    let at = micros
        .checked_add(SECONDS_TO_2000 * 1_000_000)
        .and_then(|micros| jiff::Timestamp::from_microsecond(micros).ok());
    if let Some(at) = at.filter(|at| YEARS.contains(&jiff::tz::Offset::UTC.to_datetime(*at).year())) {
        add(found, at.strftime(form).to_string().into());
    }
}

/// `numeric`'s binary form: digits of ten thousand each, the first one's weight, the sign, and how many to show behind the point.
fn numeric(bytes: &[u8]) -> Option<String> {
    let mut shorts = bytes.chunks_exact(2).map(|pair| i16::from_be_bytes([pair[0], pair[1]]));
    let (count, weight, sign, scale) = (shorts.next()?, shorts.next()?, shorts.next()?, shorts.next()?);
    let digits: Vec<i16> = shorts.collect();
    let fits =
        usize::try_from(count).ok()? == digits.len() && bytes.len().is_multiple_of(2) && (-64..=64).contains(&weight);
    if !fits
        || !matches!(sign, 0 | 0x4000)
        || !(0..=256).contains(&scale)
        || digits.iter().any(|digit| !(0..10_000).contains(digit))
    {
        return None;
    }
    let digit =
        |place: i16| usize::try_from(weight - place).ok().and_then(|index| digits.get(index)).copied().unwrap_or(0);
    let mut text = if sign == 0 { String::new() } else { "-".to_owned() };
    for place in (0..=weight.max(0)).rev() {
        let _ = write!(text, "{:04}", digit(place));
    }
    text.push('.');
    let behind = i16::try_from(digits.len()).ok()?.saturating_sub(weight).saturating_sub(1);
    for place in 1..=behind.max(0) {
        let _ = write!(text, "{:04}", digit(-place));
    }
    Some(text)
}

/// The form in which equal values are equal: numbers without leading and trailing zeros, UUIDs as PostgreSQL shows them, texts
/// without the spaces that `char(n)` adds.
pub fn canonical(text: &str) -> String {
    canonical_of(text.into()).into_owned()
}

fn canonical_of(text: Cow<'_, str>) -> Cow<'_, str> {
    match changed(&text) {
        Some(other) => other.into(),
        None => text,
    }
}

/// `None`: it is in that form.
fn changed(whole: &str) -> Option<String> {
    let text = whole.trim_end_matches(' ');
    let as_it_is = || (text.len() < whole.len()).then(|| text.to_owned());
    if !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return as_it_is();
    }
    if let Some(number) = canonical_number(text.trim_start()) {
        return Some(number);
    }
    let is_uuid_like =
        text.len() >= 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b'-' | b'{' | b'}'));
    match uuid::Uuid::try_parse(text).ok().filter(|_| is_uuid_like) {
        Some(uuid) => Some(uuid.hyphenated().to_string()),
        None => as_it_is(),
    }
}

fn canonical_number(text: &str) -> Option<String> {
    let (minus, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let radix = match digits.get(..2) {
        Some("0x" | "0X") => Some(16),
        Some("0o" | "0O") => Some(8),
        Some("0b" | "0B") => Some(2),
        _ => None,
    };
    let digits = digits.replace('_', "");
    if let Some(radix) = radix {
        let number = u128::from_str_radix(digits.get(2..)?, radix).ok()?;
        return Some(format!("{}{number}", if minus && number > 0 { "-" } else { "" }));
    }
    let (whole, fraction) = digits.split_once('.').unwrap_or((&digits, ""));
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !are_digits(whole) || !are_digits(fraction) || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    let whole = if whole.is_empty() { "0" } else { whole };
    let sign = if minus && (whole != "0" || !fraction.is_empty()) { "-" } else { "" };
    let point = if fraction.is_empty() { "" } else { "." };
    Some(format!("{sign}{whole}{point}{fraction}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sql::shape;

    fn found(text: &str) -> Vec<String> {
        owned(constants(text))
    }

    fn owned(found: Vec<Cow<'_, str>>) -> Vec<String> {
        found.into_iter().map(Cow::into_owned).collect()
    }

    fn read(binary: bool, bytes: &[u8]) -> Vec<String> {
        let mut readings = Vec::new();
        parameter(binary, bytes, &mut readings);
        owned(readings)
    }

    #[test]
    fn a_key_is_the_same_however_it_is_written() {
        for text in [
            "select * from t where id = 4711",
            "select * from t where id='4711'",
            "select * from t where id = 4711.00 -- a comment: 99",
            "select * from t where id = 0x1267",
            "select * from t where id = 4_711",
            "select * from t where id = E'4711'",
            "select * from t where id = $$4711$$",
            "select * from t where id = U&'\\0034711'",
            "select a1, \"b 2\", $3 from t2 where id = '04711'",
        ] {
            assert_eq!(found(text), ["4711"], "{text}");
        }
        assert_eq!(found("select -7, a -8, 'it''s', ''"), ["7", "-7", "8", "-8", "it's"]);
        assert_eq!(found("select 'é', E'a\\'b\\n'"), ["é", "a'b\n"]);
        let uuid = "0a000000-0000-4000-8000-000000000001";
        assert_eq!(found("select '{0A000000-0000-4000-8000-000000000001}'"), [uuid]);
        assert_eq!(found("select '0a000000000040008000000000000001'"), [uuid]);
    }

    #[test]
    fn binary_parameters_have_every_reading_that_their_length_allows() {
        assert_eq!(read(false, b"4711"), ["4711"]);
        assert!(read(true, &4711_i32.to_be_bytes()).contains(&"4711".to_owned()));
        assert!(read(true, &4711_i64.to_be_bytes()).contains(&"4711".to_owned()));
        assert!(read(true, &4711_i16.to_be_bytes()).contains(&"4711".to_owned()));
        assert!(read(true, "見附".as_bytes()).contains(&"見附".to_owned()));
        assert!(read(true, b"anna").contains(&"anna".to_owned()));
        let uuid = [0x0a, 0, 0, 0, 0, 0, 0x40, 0, 0x80, 0, 0, 0, 0, 0, 0, 1];
        assert!(read(true, &uuid).contains(&"0a000000-0000-4000-8000-000000000001".to_owned()));
        // 9,822 days after 2000-01-01.
        assert!(read(true, &9_822_i32.to_be_bytes()).contains(&"2026-11-22".to_owned()));
        let numeric = |shorts: &[i16]| shorts.iter().flat_map(|short| short.to_be_bytes()).collect::<Vec<u8>>();
        for (shorts, text) in [
            (&[1, 0, 0, 0, 4711][..], "4711"),
            (&[2, 1, 0, 0, 1, 2345], "12345"),
            (&[1, 1, 0, 0, 7], "70000"),
            (&[2, 0, 0x4000, 2, 12, 3400], "-12.34"),
            (&[1, -1, 0, 4, 5], "0.0005"),
            (&[0, 0, 0, 0], "0"),
        ] {
            assert!(
                read(true, &numeric(shorts)).contains(&text.to_owned()),
                "{text}: {:?}",
                read(true, &numeric(shorts))
            );
        }
    }

    #[test]
    fn what_is_long_or_connects_is_left_out_and_the_number_is_bounded() {
        assert_eq!(found(&format!("select '{}'", "x".repeat(LITERAL_BYTES_MAX + 1))), Vec::<String>::new());
        assert_eq!(found("select 'host=x password=y', 'postgresql://a:b@c/d'"), Vec::<String>::new());
        let many: Vec<String> = (0..500).map(|number| number.to_string()).collect();
        assert_eq!(found(&format!("select {}", many.join(", "))).len(), LITERALS_MAX);
    }

    #[test]
    fn a_part_of_a_text_has_its_own_constants() {
        let text = "select 1; select ';', 2; select 3";
        let of = |part| part_of(text, part).map(found);
        assert_eq!(of(0), Some(vec!["1".to_owned()]));
        assert_eq!(of(1), Some(vec![";".to_owned(), "2".to_owned()]));
        assert_eq!(of(3), None);
        assert_eq!(part_of("select 1 ;", 0), Some("select 1 ;"));
    }

    proptest! {
        /// The quick way finds what PostgreSQL's scanner finds.
        #[test]
        fn the_quick_way_and_the_scanner_agree(words in prop::collection::vec("[a-c1-3]{1,2}|'[a-c'' ]{0,4}'|[0-9]{1,4}|-|\\(|,| |=|\"a1\"|\\$1", 1..12)) {
            let text = words.join(" ");
            let (mut quick, mut scanned) = (Vec::new(), Vec::new());
            prop_assume!(quickly(&text, &mut quick));
            let places = shape(text.as_bytes(), &mut Vec::new()).expect("has one");
            prop_assert!(constants_at(text.as_bytes(), &places).is_none_or(|remembered| remembered == quick));
            let Some(tokens) = Tokens::scan(&text) else { return Ok(()) };
            for (at, lexeme) in tokens.all.iter().enumerate().filter(|(_, lexeme)| lexeme.is_constant()) {
                push(&mut scanned, lexeme.decoded().into(), at > 0 && tokens.word(at - 1) == "-");
            }
            prop_assert_eq!(quick, scanned, "{}", text);
        }

        #[test]
        fn whatever_it_is_given_it_answers(text: String, bytes: Vec<u8>) {
            constants(&text);
            read(true, &bytes);
            read(false, &bytes);
        }

        #[test]
        fn numbers_are_equal_by_value(number in -1_000_000_i64..1_000_000, zeros in 0_usize..4) {
            let written = format!("{}{}{}.{}", if number < 0 { "-" } else { "" }, "0".repeat(zeros), number.unsigned_abs(), "0".repeat(zeros));
            prop_assert_eq!(canonical(&written), number.to_string());
        }
    }
}
