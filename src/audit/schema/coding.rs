//! Texts → codes and a dictionary: a text that many records have is written once.
//!
//! In: texts of records, in order, as long as the records are there. Out: an Arrow array of codes. Records of one session and of one kind of
//! statement share their texts, so that most are recognised by where they lie; others by what they say.

use std::collections::HashMap;
use std::sync::Arc;

use ahash::RandomState;
use arrow::array::{ArrayRef, DictionaryArray, Int32Builder, StringBuilder};
use arrow::datatypes::Int32Type;

/// Texts that are recognised without a look into a map: those of the sessions and statements that take turns.
const LATELY: usize = 32;

/// Where a text lies, and how long it is.
type Place = (usize, usize);

/// A column in the making.
#[derive(Default)]
pub(super) struct Coding<'v> {
    codes: Int32Builder,
    texts: StringBuilder,
    by_place: HashMap<Place, i32, RandomState>,
    by_text: HashMap<&'v str, i32, RandomState>,
    /// The last ones, each where its place is known to be looked for. No text lies at 0.
    lately: [(Place, i32); LATELY],
}

impl<'v> Coding<'v> {
    /// Nothing yet, and room for so many.
    pub(super) fn with_capacity(texts: usize) -> Coding<'v> {
        Coding { codes: Int32Builder::with_capacity(texts), ..Coding::default() }
    }

    /// One more; `None` is null.
    pub(super) fn append(&mut self, text: Option<&'v str>) {
        let Some(text) = text else { return self.codes.append_null() };
        let place = (text.as_ptr().addr(), text.len());
        // What is allocated lies at multiples of 16, those of one size side by side.
        let slot = ((place.0 >> 4) ^ (place.0 >> 9)) % LATELY;
        let known = self.lately.get(slot).filter(|known| known.0 == place).map(|known| known.1);
        let code = known.unwrap_or_else(|| {
            let code = self.code(place, text);
            self.lately.iter_mut().skip(slot).take(1).for_each(|known| *known = (place, code));
            code
        });
        self.codes.append_value(code);
    }

    fn code(&mut self, place: Place, text: &'v str) -> i32 {
        let Coding { texts, by_place, by_text, .. } = self;
        *by_place.entry(place).or_insert_with(|| {
            // There are no more than a batch has, whose offsets are as wide.
            let next = i32::try_from(by_text.len()).unwrap_or(i32::MAX);
            *by_text.entry(text).or_insert_with(|| {
                texts.append_value(text);
                next
            })
        })
    }

    /// All of them.
    pub(super) fn finish(mut self) -> ArrayRef {
        let (codes, texts) = (self.codes.finish(), self.texts.finish());
        Arc::new(DictionaryArray::<Int32Type>::new(codes, Arc::new(texts)))
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, AsArray};

    use super::*;

    #[test]
    fn a_text_is_there_once_wherever_it_lies() {
        let (one, other) = ("clerk".to_owned(), "clerk".to_owned());
        let mut coding = Coding::with_capacity(7);
        for text in [Some(&*one), Some(""), None, Some(&*other), Some(&*one), Some(&one[..2]), Some("")] {
            coding.append(text);
        }
        let array = coding.finish();
        let array = array.as_dictionary::<Int32Type>();
        let texts: Vec<_> = array.values().as_string::<i32>().iter().flatten().collect();
        assert_eq!(texts, ["clerk", "", "cl"]);
        let codes: Vec<_> = array.keys().iter().collect();
        assert_eq!(codes, [Some(0), Some(1), None, Some(0), Some(0), Some(2), Some(1)]);
        assert_eq!(array.null_count(), 1);
    }
}
