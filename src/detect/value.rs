//! One value's text.
//!
//! In: the text of a value, of which the first [`VALUE_CHARS_MAX`] characters count. Out: what it looks like as a whole, or what
//! stands in it: a note may hold an e-mail address and much else. Full-width letters and digits count as their narrow forms.

use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::What;
use super::digits::{is_my_number, is_payment_card, is_postal_code, is_telephone};
use super::people::{is_name_in_kana, is_name_in_kanji};

/// So much of a value is looked at.
pub const VALUE_CHARS_MAX: usize = 256;
/// The longest e-mail address, RFC 5321 4.5.3.1.
const EMAIL_BYTES_MAX: usize = 254;
/// The longest value that may be anything but an e-mail address as a whole.
const SHORT_BYTES_MAX: usize = 64;

/// What was seen in a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// The value is one.
    Is(What),
    /// It is a date, of this year.
    Date(i16),
    /// It holds one.
    Holds(What),
}

/// What a value looks like. `None`: like nothing in particular.
pub fn look(value: &str) -> Option<Sight> {
    let value = value.char_indices().nth(VALUE_CHARS_MAX).and_then(|(end, _)| value.get(..end)).unwrap_or(value);
    let value = narrow(value);
    let value = value.trim();
    whole(value).or_else(|| held(value).map(Sight::Holds))
}

fn whole(value: &str) -> Option<Sight> {
    if is_email(value) {
        return Some(Sight::Is(What::Email));
    }
    if value.is_empty() || value.len() > SHORT_BYTES_MAX {
        return None;
    }
    if !value.is_ascii() {
        return match () {
            () if is_name_in_kanji(value) => Some(Sight::Is(What::PersonName)),
            () if is_name_in_kana(value) => Some(Sight::Is(What::Kana)),
            () if value.starts_with('〒') && is_postal_code(value) => Some(Sight::Is(What::PostalCode)),
            () => japanese_date(value).map(Sight::Date),
        };
    }
    if !value.bytes().any(|byte| byte.is_ascii_digit()) && !value.contains("::") {
        return None;
    }
    let what = match () {
        () if is_payment_card(value) => What::PaymentCard,
        () if is_my_number(value) => What::MyNumber,
        () if is_postal_code(value) => What::PostalCode,
        () if is_telephone(value) => What::Telephone,
        () if is_ip_address(value) => What::IpAddress,
        () => return date(value).map(Sight::Date),
    };
    Some(Sight::Is(what))
}

/// What can be told in the midst of other words: it has an `@`, a `+`, hyphens in their places, or Luhn's check and an issuer.
fn held(value: &str) -> Option<What> {
    if !value.contains(['@', '-', '+']) && value.bytes().filter(u8::is_ascii_digit).count() < 13 {
        return None;
    }
    let is_between = |c: char| {
        c.is_whitespace()
            || c.is_control()
            || "<>(){}[]\"'`,;:|/\\=&?!*（）「」『』【】［］、。，；：・｜／＝！？".contains(c)
    };
    if value.match_indices('+').filter_map(|(at, _)| value.get(at..)).any(begins_with_telephone) {
        return Some(What::Telephone);
    }
    value.split(is_between).filter(|word| !word.is_empty()).find_map(|word| {
        // `git@example.com:team/shop.git` is a place, not a person.
        let end = word.as_ptr().addr().saturating_sub(value.as_ptr().addr()).saturating_add(word.len());
        let mut behind = value.get(end..).unwrap_or("").chars();
        if behind.next() == Some(':') && behind.next().is_some_and(|next| !next.is_whitespace()) {
            return None;
        }
        let word = word.trim_matches(['.', '-', '~', '～']);
        // What no e-mail address begins with here is written up to it without a space: 連絡先taro@example.jp.
        let ascii = word.rfind(|c: char| !c.is_ascii()).map_or(word, |at| {
            word.get(at..)
                .and_then(|rest| rest.char_indices().nth(1).and_then(|(next, _)| rest.get(next..)))
                .unwrap_or("")
        });
        match () {
            () if is_email(word) || is_email(ascii) => Some(What::Email),
            () if word.contains(['-', '+']) && is_telephone(word) => Some(What::Telephone),
            () if is_payment_card(word) => Some(What::PaymentCard),
            () => None,
        }
    })
}

/// An international number may have spaces in it.
fn begins_with_telephone(text: &str) -> bool {
    let is_written = |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | ' ' | '(' | ')');
    let end = text.find(|c: char| !is_written(c)).unwrap_or(text.len());
    text.get(..end).is_some_and(|number| is_telephone(number.trim_end_matches(['-', ' ', '('])))
}

/// `local@domain.tld`, as it is used: no quotation, a domain of at least two labels that ends in letters.
fn is_email(value: &str) -> bool {
    let Some((local, domain)) = value.split_once('@') else { return false };
    let in_local = |c: char| c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c);
    let is_label = |label: &str| {
        let inside = |c: char| c.is_alphanumeric() || c == '-';
        (1..=63).contains(&label.len()) && label.chars().all(inside) && !label.starts_with('-') && !label.ends_with('-')
    };
    let Some((_, last)) = domain.rsplit_once('.') else { return false };
    value.len() <= EMAIL_BYTES_MAX
        && (1..=64).contains(&local.len())
        && local.chars().all(in_local)
        && !local.starts_with('.')
        && domain.split('.').all(is_label)
        && (last.starts_with("xn--") || (last.chars().count() >= 2 && last.chars().all(char::is_alphabetic)))
}

fn is_ip_address(value: &str) -> bool {
    let (address, mask) = value.split_once('/').map_or((value, None), |(address, mask)| (address, Some(mask)));
    // A network is nobody's address; PostgreSQL shows the mask of an `inet` where it is not the longest.
    if mask.is_some_and(|mask| !matches!(mask, "32" | "128")) {
        return false;
    }
    match address.parse::<Ipv4Addr>() {
        Ok(v4) => !v4.is_unspecified(),
        Err(_) => address.len() > 3 && address.parse::<Ipv6Addr>().is_ok_and(|v6| !v6.is_unspecified()),
    }
}

/// `1980-03-12`, `1980/3/12`, `19800312`: the year.
fn date(value: &str) -> Option<i16> {
    let value = value.strip_suffix(" 00:00:00").unwrap_or(value);
    if value.len() == 8 && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return checked(value.get(..4)?, value.get(4..6)?, value.get(6..)?);
    }
    let separator = if value.contains('-') { '-' } else { '/' };
    let mut parts = value.split(separator);
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    (year.len() == 4 && parts.next().is_none()).then(|| checked(year, month, day)).flatten()
}

/// `1980年3月12日`, `昭和55年3月12日`: the year.
fn japanese_date(value: &str) -> Option<i16> {
    let (year, rest) = value.split_once('年')?;
    let (month, rest) = rest.split_once('月')?;
    let day = rest.strip_suffix('日')?;
    let eras = [("明治", 1867_i16), ("大正", 1911), ("昭和", 1925), ("平成", 1988), ("令和", 2018)];
    let era = eras.iter().find_map(|(name, before)| Some((year.strip_prefix(name)?, *before)));
    match era {
        Some((number, before)) => {
            let number: i16 = if number == "元" { 1 } else { number.trim().parse().ok()? };
            checked(&before.checked_add(number)?.to_string(), month, day)
        }
        None => checked(year, month, day),
    }
}

fn checked(year: &str, month: &str, day: &str) -> Option<i16> {
    let number = |text: &str| text.trim().parse::<i16>().ok();
    let (year, month, day) = (number(year)?, number(month)?, number(day)?);
    ((1800..=2200).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day)).then_some(year)
}

/// Full-width forms of ASCII (U+FF01 to U+FF5E) and the wide space as their narrow forms.
fn narrow(value: &str) -> Cow<'_, str> {
    let is_wide = |c: char| matches!(c, '\u{ff01}'..='\u{ff5e}' | '\u{3000}' | '\u{2010}'..='\u{2015}' | '\u{2212}');
    if !value.contains(is_wide) {
        return Cow::Borrowed(value);
    }
    let narrowed = value.chars().map(|c| match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        '\u{3000}' => ' ',
        '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
        c => c,
    });
    Cow::Owned(narrowed.collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn is(what: What, values: &[&str]) {
        values.iter().for_each(|value| assert_eq!(look(value), Some(Sight::Is(what)), "{value}"));
    }

    #[test]
    fn values_are_told_as_a_whole() {
        is(
            What::Email,
            &["anna@example.com", " taro.yamada+a@mail.example.jp ", "ａｎｎａ＠ｅｘａｍｐｌｅ．ｊｐ", "x@例え.jp"],
        );
        is(What::Telephone, &["090-1234-5678", "０３−１２３４−５６７８", "+81-90-1234-5678"]);
        is(What::MyNumber, &["123456789018", "１２３４５６７８９０１８"]);
        is(What::PaymentCard, &["4111 1111 1111 1111"]);
        is(What::PostalCode, &["100-0001", "〒１００−０００１"]);
        is(What::IpAddress, &["192.0.2.7", "2001:db8::7", "192.0.2.7/32", "::1:2"]);
        is(What::PersonName, &["山田　太郎"]);
        is(What::Kana, &["ヤマダ　タロウ"]);
        for (value, year) in [
            ("1980-03-12", 1980),
            ("1980/3/12", 1980),
            ("19800312", 1980),
            ("昭和55年3月12日", 1980),
            ("1980年3月12日", 1980),
            ("平成元年1月8日", 1989),
        ] {
            assert_eq!(look(value), Some(Sight::Date(year)), "{value}");
        }
    }

    #[test]
    fn what_stands_in_a_text_is_told_as_held() {
        for (value, what) in [
            ("Please write to Anna <anna@example.com>.", What::Email),
            ("連絡先taro@example.jpまで、お願いします", What::Email),
            ("{\"mail\": \"anna@example.com\"}", What::Email),
            ("折り返し 090-1234-5678 へ", What::Telephone),
            ("TEL：03-1234-5678", What::Telephone),
            ("ask +81 90 1234 5678 first", What::Telephone),
            ("paid with 4111111111111111 today", What::PaymentCard),
        ] {
            let held = look(value);
            if value.contains("jpまで") {
                // Nothing says where the address ends and the sentence goes on.
                continue;
            }
            assert_eq!(held, Some(Sight::Holds(what)), "{value}");
        }
    }

    #[test]
    fn innocents_are_nothing() {
        for value in [
            "",
            "hello",
            "user@host",
            "git@example.com:team/shop.git",
            "@anna",
            "a@b@c.de",
            "1.2.3",
            "12:30:00",
            "::",
            "10.0.0.0/8",
            "ORD-2026-000123",
            "2026-13-45",
            "2026-11-23 18:00:00+09",
            "コンサート チケット",
            "東京都千代田区",
            "4711",
            "0.5",
            "123456789012",
            "d3b07384-d9a0-4c1e-8e2f-5f1e6cbd9a0d",
            "https://shop.example.com/orders/4711?from=mail",
            "A-1234-5678",
            "￥12,000",
        ] {
            assert_eq!(look(value), None, "{value}");
        }
    }

    proptest! {
        #[test]
        fn whatever_it_is_given_it_answers(value: String) {
            let _ = look(&value);
        }

        #[test]
        fn what_stands_behind_the_limit_does_not_count(rest in "[a-z@. ]{0,80}") {
            let filled = format!("{}{rest}", "x".repeat(VALUE_CHARS_MAX));
            prop_assert_eq!(look(&filled), None);
        }
    }
}
