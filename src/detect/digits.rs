//! Numbers that can be told by their digits.
//!
//! In: ASCII text. Out: whether it is a My Number (its check digit: the Ministry of Internal Affairs' ordinance 85 of 2014, article 5), a
//! payment card (ISO/IEC 7812-1, annex B, and the issuers' first digits and lengths), a telephone number (ITU-T E.164; Japan's
//! numbering plan), a Japanese postal code.

/// The digits of a My Number.
const MY_NUMBER_DIGITS: usize = 12;
/// The digits of the longest card, ISO/IEC 7812-1.
const CARD_DIGITS_MAX: usize = 19;

/// Twelve digits of which the last one checks the others, alone or in groups of four.
pub(super) fn is_my_number(text: &str) -> bool {
    let Some(digits) = grouped(text, MY_NUMBER_DIGITS, &[' ', '-']) else { return false };
    let is_repeated = digits.iter().all(|digit| Some(digit) == digits.first());
    digits.len() == MY_NUMBER_DIGITS && !is_repeated && my_number_check(&digits[..11]) == digits[11]
}

/// The check digit of eleven digits.
fn my_number_check(digits: &[u32]) -> u32 {
    // P(n) is the n-th digit from the right, Q(n) is n + 1 up to 6 and n - 5 beyond.
    let sum: u32 = digits.iter().rev().zip(1_u32..).map(|(p, n)| p * if n <= 6 { n + 1 } else { n - 5 }).sum();
    match sum % 11 {
        0 | 1 => 0,
        rest => 11 - rest,
    }
}

/// A payment card: an issuer's first digits, in one of its lengths, and Luhn's check.
pub(super) fn is_payment_card(text: &str) -> bool {
    grouped(text, CARD_DIGITS_MAX, &[' ', '-']).is_some_and(|digits| is_issued(&digits) && luhn(&digits))
}

fn luhn(digits: &[u32]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match (place % 2, *digit * 2) {
            (0, _) => *digit,
            (_, twice @ 10..) => twice - 9,
            (_, twice) => twice,
        })
        .sum();
    !digits.is_empty() && sum.is_multiple_of(10)
}

/// First digits and lengths of Visa, Mastercard, American Express, Diners Club, JCB, Discover, UnionPay.
fn is_issued(digits: &[u32]) -> bool {
    let first = |count: usize| digits.iter().take(count).fold(0_u32, |number, digit| number * 10 + digit);
    match digits.len() {
        13 | 19 if digits[0] == 4 => true,
        14 => matches!(first(3), 300..=305 | 309) || matches!(first(2), 36 | 38 | 39),
        15 => matches!(first(2), 34 | 37),
        16 => {
            digits[0] == 4
                || matches!(first(2), 51..=55 | 62 | 65)
                || matches!(first(3), 644..=649)
                || matches!(first(4), 2221..=2720 | 3528..=3589 | 6011)
        }
        17..=19 => first(2) == 62,
        _ => false,
    }
}

/// `+81 3-1234-5678`, or Japanese from the trunk prefix on: `03-1234-5678`, `(03)1234-5678`, `09012345678`.
pub(super) fn is_telephone(text: &str) -> bool {
    let text = text.trim();
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(10)).collect();
    let is_written = |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | ' ' | '(' | ')' | '.');
    if !text.chars().all(is_written) || text.starts_with(['-', '.', ' ']) || text.ends_with(['-', '.', '+']) {
        return false;
    }
    match text.strip_prefix('+') {
        // A country code does not begin with 0, and E.164 has 15 digits at most.
        Some(rest) => !rest.contains('+') && (8..=15).contains(&digits.len()) && digits[0] != 0,
        None => !text.contains(['+', '.']) && is_japanese(&digits) && is_grouped_as_telephone(text),
    }
}

fn is_japanese(digits: &[u32]) -> bool {
    match (digits.len(), digits) {
        (11, [0, 5 | 7 | 8 | 9, 0, 1..=9, ..]) => true,
        (10, [0, 1 | 2 | 5 | 7 | 8 | 9, 0, _, ..]) => {
            matches!(digits, [0, 1, 2, 0, ..] | [0, 5, 7, 0, ..] | [0, 9, 9, 0, ..])
        }
        (10, [0, 1..=9, second, ..]) => *second != 0 || digits[1] == 8,
        _ => false,
    }
}

/// Not every ten digits in groups are a telephone number: two or three groups, of which the last has three or four digits.
fn is_grouped_as_telephone(text: &str) -> bool {
    let groups: Vec<usize> =
        text.split(|c: char| !c.is_ascii_digit()).filter(|group| !group.is_empty()).map(str::len).collect();
    match groups[..] {
        [_] => true,
        [a, b, c] => (2..=5).contains(&a) && (1..=4).contains(&b) && (3..=4).contains(&c),
        _ => false,
    }
}

/// `100-0001`, with or without its mark.
pub(super) fn is_postal_code(text: &str) -> bool {
    let text = text.trim_start_matches(['〒', ' ']);
    let Some((area, town)) = text.split_once('-') else { return false };
    let are_digits = |text: &str, count| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    // No area has the number 000.
    are_digits(area, 3) && are_digits(town, 4) && area != "000"
}

/// The digits, where there is nothing else but single separators of one kind between them.
fn grouped(text: &str, digits_max: usize, separators: &[char]) -> Option<Vec<u32>> {
    let mut digits = Vec::with_capacity(digits_max);
    let mut separator = None;
    let mut was_digit = false;
    for c in text.chars() {
        match c.to_digit(10) {
            Some(digit) if digits.len() < digits_max => {
                digits.push(digit);
                was_digit = true;
            }
            None if was_digit && separators.contains(&c) && separator.is_none_or(|known| known == c) => {
                separator = Some(c);
                was_digit = false;
            }
            _ => return None,
        }
    }
    was_digit.then_some(digits)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(digits: &[u32]) -> String {
        digits.iter().map(ToString::to_string).collect()
    }

    /// With the digit that makes Luhn's sum a multiple of ten.
    fn with_luhn(mut digits: Vec<u32>) -> Vec<u32> {
        digits.push(0);
        let last = digits.len() - 1;
        while !luhn(&digits) {
            digits[last] += 1;
        }
        digits
    }

    proptest! {
        #[test]
        fn a_my_number_has_one_check_digit_and_every_wrong_digit_but_one_in_ten_is_found(
            digits in prop::collection::vec(0_u32..10, 11), wrong in 0_u32..10,
        ) {
            let check = my_number_check(&digits);
            prop_assert!(check <= 9);
            let mut whole = digits.clone();
            whole.push(check);
            let is_repeated = whole.iter().all(|digit| *digit == whole[0]);
            prop_assert_eq!(is_my_number(&text(&whole)), !is_repeated);
            whole[11] = wrong;
            prop_assert_eq!(is_my_number(&text(&whole)), wrong == check && !is_repeated);
        }

        #[test]
        fn a_card_is_no_card_with_any_one_digit_changed(
            body in prop::collection::vec(0_u32..10, 14), place in 0_usize..16, by in 1_u32..10,
        ) {
            let mut digits = vec![4];
            digits.extend(body);
            let mut digits = with_luhn(digits);
            prop_assert!(is_payment_card(&text(&digits)));
            let groups: Vec<String> = digits.chunks(4).map(text).collect();
            prop_assert!(is_payment_card(&groups.join(" ")) && is_payment_card(&groups.join("-")));
            digits[place] = (digits[place] + by) % 10;
            prop_assert!(!is_payment_card(&text(&digits)));
        }

        #[test]
        fn neighbours_that_changed_places_are_found_but_for_0_and_9(
            body in prop::collection::vec(0_u32..10, 14), place in 0_usize..15,
        ) {
            let mut digits = vec![4];
            digits.extend(body);
            let mut digits = with_luhn(digits);
            let (a, b) = (digits[place], digits[place + 1]);
            prop_assume!(a != b && !matches!((a, b), (0, 9) | (9, 0)));
            digits.swap(place, place + 1);
            prop_assert!(!luhn(&digits));
        }

        #[test]
        fn whatever_it_is_given_it_answers(text: String) {
            let _ = (is_my_number(&text), is_payment_card(&text), is_telephone(&text), is_postal_code(&text));
        }
    }

    #[test]
    fn known_numbers_are_known() {
        // The example of the ordinance's explanations, and the test numbers that issuers publish.
        assert!(is_my_number("123456789018") && is_my_number("1234-5678-9018") && is_my_number("1234 5678 9018"));
        assert!(!is_my_number("123456789012") && !is_my_number("000000000000") && !is_my_number("12345678901"));
        for card in [
            "4111111111111111",
            "5555 5555 5555 4444",
            "378282246310005",
            "3530111333300000",
            "30569309025904",
            "6011111111111117",
        ] {
            assert!(is_payment_card(card), "{card}");
        }
        // Right sums that no issuer has: an IMEI, a number in a length that is not the issuer's.
        for other in
            ["356938035643809", "0000000000000000", "4111 1111-1111 1111", "411111111111116", "1234567812345670"]
        {
            assert!(!is_payment_card(other), "{other}");
        }
    }

    #[test]
    fn telephone_numbers_are_told_from_other_digits() {
        for number in [
            "+81 3-1234-5678",
            "+14155550100",
            "+44 20 7946 0018",
            "03-1234-5678",
            "0312345678",
            "090-1234-5678",
            "09012345678",
            "(03)1234-5678",
            "0120-123-456",
            "050-1234-5678",
            "0467-12-3456",
            "011-123-4567",
            "06 1234 5678",
        ] {
            assert!(is_telephone(number), "{number}");
        }
        for other in [
            "1234567890",
            "0000012345",
            "00123456789",
            "2026-11-23",
            "03-12-2026",
            "12:30",
            "+0123456789",
            "+12",
            "123-4567",
            "090-1234",
            "0001234567",
            "4111111111111111",
            "",
            "-",
            "0.312345678",
            "03-1234-5678-9",
        ] {
            assert!(!is_telephone(other), "{other}");
        }
    }

    #[test]
    fn postal_codes_have_their_hyphen() {
        assert!(is_postal_code("100-0001") && is_postal_code("〒100-0001") && is_postal_code("〒 060-0808"));
        assert!(!is_postal_code("1000001") && !is_postal_code("000-0000") && !is_postal_code("12-34567"));
    }
}
