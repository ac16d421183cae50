//! Texts recognised by where they lie: a prepared statement's is the same at each of its executions, and needs not be read again.
//!
//! In: texts, shared. Out: what was found of one when it was last seen in that place. A text is held from the second time on, so that no
//! other can lie where it does; memory is bounded by [`SLOTS`] and [`TEXT_BYTES_MAX`].

use std::sync::{Arc, OnceLock};

use super::parsers::Analyses;
use crate::record::Texts;

/// Texts that are held at most.
const SLOTS: usize = 1_024;
/// The longest that is held, bytes.
const TEXT_BYTES_MAX: usize = 4 << 10;

/// What is known of one text.
pub(super) struct Seen {
    text: Arc<[u8]>,
    pub(super) analyses: Analyses,
    /// Its constants as the log has them, where it is one statement; once they were asked for.
    pub(super) constants: OnceLock<Texts>,
}

#[derive(Clone)]
enum Slot {
    /// A text lay there once, and may be gone.
    Passed(usize),
    Held(Arc<Seen>),
}

/// See the module.
pub(super) struct Places(Box<[Slot]>);

impl Default for Places {
    fn default() -> Places {
        Places(vec![Slot::Passed(0); SLOTS].into_boxed_slice())
    }
}

impl Places {
    /// What is known of the text that lies there.
    pub(super) fn get(&self, text: &Arc<[u8]>) -> Option<Arc<Seen>> {
        match self.0.get(slot(text)) {
            Some(Slot::Held(seen)) if Arc::ptr_eq(&seen.text, text) => Some(Arc::clone(seen)),
            _ => None,
        }
    }

    /// Takes note of a text's analyses; what will be known of it, if it was here before.
    pub(super) fn note(&mut self, text: &Arc<[u8]>, analyses: &Analyses) -> Option<Arc<Seen>> {
        let slot = self.0.get_mut(slot(text)).filter(|_| text.len() <= TEXT_BYTES_MAX)?;
        let place = Arc::as_ptr(text).addr();
        if !matches!(slot, Slot::Passed(passed) if *passed == place) {
            *slot = Slot::Passed(place);
            return None;
        }
        let (text, analyses) = (Arc::clone(text), Arc::clone(analyses));
        let seen = Arc::new(Seen { text, analyses, constants: OnceLock::new() });
        *slot = Slot::Held(Arc::clone(&seen));
        Some(seen)
    }
}

/// Fibonacci hashing: what is allocated lies at multiples of powers of two.
fn slot(text: &Arc<[u8]>) -> usize {
    let place = Arc::as_ptr(text).addr() as u64;
    usize::try_from(place.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32).unwrap_or(0) % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::parsers::analyses_of;
    use crate::sql::seal::Keys;

    #[test]
    fn a_text_is_known_by_its_place_from_the_second_time_on() {
        let mut places = Places::default();
        let text: Arc<[u8]> = b"select 1".as_slice().into();
        let analyses = analyses_of(&text, &Keys::default());
        assert!(places.get(&text).is_none());
        assert!(places.note(&text, &analyses).is_none());
        assert!(places.get(&text).is_none());
        let seen = places.note(&text, &analyses).expect("seen twice");
        assert!(Arc::ptr_eq(&seen, &places.get(&text).expect("held")));
        assert!(Arc::ptr_eq(&seen.analyses, &analyses));
        let equal: Arc<[u8]> = b"select 1".as_slice().into();
        assert!(places.get(&equal).is_none(), "an equal text lies elsewhere");
    }

    #[test]
    fn what_is_held_is_bounded_and_never_another_s() {
        let mut places = Places::default();
        let texts: Vec<Arc<[u8]>> = (0..3 * SLOTS).map(|n| format!("select {n}").into_bytes().into()).collect();
        let analyses = analyses_of(b"select 1", &Keys::default());
        for text in texts.iter().chain(&texts) {
            places.note(text, &analyses);
            places.note(text, &analyses);
            assert!(places.get(text).is_none_or(|seen| seen.text == *text));
        }
        let held = texts.iter().filter(|text| places.get(text).is_some()).count();
        assert!((1..=SLOTS).contains(&held), "{held}");
        let long: Arc<[u8]> = vec![b' '; TEXT_BYTES_MAX + 1].into();
        assert!(places.note(&long, &analyses).is_none() && places.note(&long, &analyses).is_none());
    }
}
