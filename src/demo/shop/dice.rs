//! Chance that falls the same way every time: SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number
//! generators", 2014). In: a seed. Out: numbers. Not for secrets.

/// A generator.
pub struct Dice(u64);

impl Dice {
    /// The same seed, the same numbers.
    pub fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number from 0 to `end` - 1; 0 where `end` is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        let wide = u128::from(self.next()) * u128::from(end);
        // The upper half of the product: always below `end`.
        (wide >> 64) as u64
    }

    /// The same, of 32 bits.
    pub fn below_u32(&mut self, end: u32) -> u32 {
        self.below(u64::from(end)) as u32
    }

    /// 0 to 9.
    pub fn digit(&mut self) -> u8 {
        self.below(10) as u8
    }

    /// One of them.
    pub fn pick<T: Copy, const N: usize>(&mut self, of: &[T; N]) -> T {
        of[self.below(N as u64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn falls_as_the_published_generator_does() {
        // The reference implementation's first outputs for the seed 1234567.
        let mut dice = Dice::new(1_234_567);
        assert_eq!([dice.next(), dice.next()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
    }

    #[test]
    fn stays_below() {
        let mut dice = Dice::new(7);
        assert!((0..1_000).all(|_| dice.below(3) < 3));
        assert_eq!(dice.below(0), 0);
    }
}
