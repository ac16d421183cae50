//! Choices made by a fuzzer's bytes.
//!
//! In: bytes. Out: small numbers; zeros when the bytes are used up, so that every choice's first way out has to lead to an end.

/// A source of choices.
#[derive(Clone, Debug)]
pub struct Choices<'a>(&'a [u8]);

impl<'a> Choices<'a> {
    /// All of them.
    pub fn new(bytes: &'a [u8]) -> Choices<'a> {
        Choices(bytes)
    }

    /// Whether there are any left.
    pub fn are_left(&self) -> bool {
        !self.0.is_empty()
    }

    /// Less than `bound`, which is at most 256 and not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        usize::from(*first) % bound
    }

    /// True once in `times`; never when the bytes are used up.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == times - 1
    }
}
