//! Words that mean something, found by their letters in capitals or small.
//!
//! In: words with what each stands for. Out: what a word of a text stands for, nothing for a name, which most words are: those are told by their
//! length and their first and last letter, before anything is looked for. Longer words than [`KEYWORD_BYTES_MAX`] are none.

/// No word of either parser is longer, bytes.
pub(super) const KEYWORD_BYTES_MAX: usize = 48;
/// A word in small letters, padded: so many numbers of 16 bytes.
const PARTS: usize = KEYWORD_BYTES_MAX / 16;
/// Places for each word, so that few stand where another should.
const PLACES_PER_WORD: usize = 4;

type Folded = [u128; PARTS];

/// See the module.
pub(super) struct Keywords<T> {
    /// Each at the place that its letters give, or the next one that is free.
    places: Vec<Option<(Folded, T)>>,
    /// Of each first and last letter, the lengths that words have, a bit each.
    lengths: [[u64; 26]; 26],
}

impl<T: Copy> Keywords<T> {
    /// Takes the words in: letters, digits and `_`.
    pub(super) fn new(words: impl IntoIterator<Item = (String, T)>) -> Keywords<T> {
        let words: Vec<(String, T)> = words.into_iter().collect();
        let count = (words.len() * PLACES_PER_WORD).next_power_of_two();
        let mut keywords = Keywords { places: vec![None; count], lengths: [[0; 26]; 26] };
        for (word, value) in words {
            let Some(folded) = folded(&word) else { continue };
            if let Some(of) = letters(&word).and_then(|(first, last)| keywords.lengths.get_mut(first)?.get_mut(last)) {
                *of |= 1 << word.len();
            }
            let mut at = place(&folded, count);
            while keywords.places.get(at).is_some_and(|place| place.is_some_and(|(there, _)| there != folded)) {
                at = (at + 1) & (count - 1);
            }
            if let Some(place) = keywords.places.get_mut(at) {
                *place = Some((folded, value));
            }
        }
        keywords
    }

    /// What `word` stands for: letters, digits, `_` and `$`, or beyond ASCII.
    pub(super) fn get(&self, word: &str) -> Option<T> {
        let lengths = letters(word).and_then(|(first, last)| self.lengths.get(first)?.get(last));
        if word.len() > KEYWORD_BYTES_MAX || lengths.is_some_and(|lengths| lengths >> word.len() & 1 == 0) {
            return None;
        }
        let folded = folded(word)?;
        let mut at = place(&folded, self.places.len());
        // There are more places than words: it ends at one that is free.
        while let Some(Some((there, value))) = self.places.get(at) {
            if *there == folded {
                return Some(*value);
            }
            at = (at + 1) & (self.places.len() - 1);
        }
        None
    }
}

/// In small letters: of what may stand in a word, this bit tells a large letter from a small one, and nothing else apart from anything.
fn folded(word: &str) -> Option<Folded> {
    const SMALL: u128 = u128::from_ne_bytes([0x20; 16]);
    let mut bytes = [0; KEYWORD_BYTES_MAX];
    bytes.get_mut(..word.len())?.copy_from_slice(word.as_bytes());
    let (parts, _) = bytes.as_chunks::<16>();
    let mut folded = [0; PARTS];
    for (part, bytes) in folded.iter_mut().zip(parts) {
        *part = u128::from_le_bytes(*bytes) | SMALL;
    }
    Some(folded)
}

/// Which of `count` places, a power of two.
fn place(folded: &Folded, count: usize) -> usize {
    const ODD: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;
    let mixed = folded.iter().fold(0_u128, |mixed, part| (mixed ^ part).wrapping_mul(ODD));
    usize::try_from(mixed >> 96).unwrap_or_default() & (count - 1)
}

/// Which letters of the alphabet a word begins and ends with.
fn letters(word: &str) -> Option<(usize, usize)> {
    let letter = |byte: &u8| usize::from(byte.to_ascii_uppercase()).checked_sub(usize::from(b'A'));
    Some((letter(word.as_bytes().first()?)?, letter(word.as_bytes().last()?)?))
}

#[cfg(test)]
mod tests {
    use sqlparser::keywords::ALL_KEYWORDS;

    use super::*;

    #[test]
    fn a_word_is_found_in_any_letters_and_nothing_else_is() {
        let words = Keywords::new(ALL_KEYWORDS.iter().map(|word| (*word).to_owned()).zip(0..));
        for (number, word) in ALL_KEYWORDS.iter().enumerate() {
            assert_eq!(words.get(word), Some(number));
            assert_eq!(words.get(&word.to_lowercase()), Some(number), "{word}");
            for other in [format!("{word}x"), format!("{word}$"), format!("x{word}"), format!("é{word}")] {
                assert!(
                    words.get(&other).is_none_or(|_| ALL_KEYWORDS.contains(&other.to_uppercase().as_str())),
                    "{other}"
                );
            }
        }
        assert!(words.get("").is_none() && words.get(&"a".repeat(KEYWORD_BYTES_MAX + 1)).is_none());
        assert!(words.get("\u{53}elect").is_some() && words.get("_elect").is_none());
    }
}
