//! Words that mean something, found by their letters in capitals or small.
//!
//! In: words with what each stands for. Out: what a word of a text stands for, nothing for a name, which most words are: those are told by their
//! length and their first and last letter, without a look into the map. Longer words than [`KEYWORD_BYTES_MAX`] are none.

use std::collections::HashMap;

/// No word of either parser is longer, bytes.
pub(super) const KEYWORD_BYTES_MAX: usize = 48;

/// See the module.
pub(super) struct Keywords<T> {
    /// In capitals.
    words: HashMap<Vec<u8>, T, ahash::RandomState>,
    /// Of each first and last letter, the lengths that words have, a bit each.
    lengths: [[u64; 26]; 26],
}

impl<T: Copy> Keywords<T> {
    /// Takes the words in.
    pub(super) fn new(words: impl IntoIterator<Item = (String, T)>) -> Keywords<T> {
        let mut lengths = [[0; 26]; 26];
        let mut map = HashMap::default();
        for (word, value) in words {
            if let Some(of) = letters(&word).and_then(|(first, last)| lengths.get_mut(first)?.get_mut(last)) {
                *of |= 1 << word.len().min(KEYWORD_BYTES_MAX);
            }
            map.insert(word.to_ascii_uppercase().into_bytes(), value);
        }
        Keywords { words: map, lengths }
    }

    /// What `word` stands for.
    pub(super) fn get(&self, word: &str) -> Option<T> {
        let lengths = letters(word).and_then(|(first, last)| self.lengths.get(first)?.get(last));
        if word.len() > KEYWORD_BYTES_MAX || lengths.is_some_and(|lengths| lengths >> word.len() & 1 == 0) {
            return None;
        }
        let mut capitals = [0; KEYWORD_BYTES_MAX];
        let capitals = capitals.get_mut(..word.len())?;
        capitals.copy_from_slice(word.as_bytes());
        capitals.make_ascii_uppercase();
        self.words.get(&*capitals).copied()
    }
}

/// Which letters of the alphabet a word begins and ends with.
fn letters(word: &str) -> Option<(usize, usize)> {
    let letter = |byte: &u8| usize::from(byte.to_ascii_uppercase()).checked_sub(usize::from(b'A'));
    Some((letter(word.as_bytes().first()?)?, letter(word.as_bytes().last()?)?))
}
