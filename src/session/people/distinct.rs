//! Distinct 64-bit hashes: exact up to [`EXACT_PEOPLE_MAX`], then HyperLogLog.
//!
//! In: hashes that are uniform (keyed SipHash). Out: how many distinct ones. The estimate has 2^14 registers, 16 KiB,
//! and a standard error of 1.04 / √(2^14) = 0.81 %: two estimates in three lie within that, 997 in 1000 within 2.5 %.
//! Sources: Flajolet et al., "HyperLogLog" (2007); Ertl, "New cardinality estimation algorithms for HyperLogLog
//! sketches" (2017), whose estimator needs no correction by range.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

use super::super::EXACT_PEOPLE_MAX;

/// Bits of a hash that choose the register.
const INDEX_BITS: u32 = 14;
const REGISTERS: usize = 1 << INDEX_BITS;
/// Bits of a hash that are left for the rank.
const RANK_BITS: u32 = 64 - INDEX_BITS;

/// A set of hashes.
#[derive(Debug)]
pub(super) enum Distinct {
    /// Each of them.
    Exact(HashSet<u64, BuildHasherDefault<AsIs>>),
    /// The highest rank seen, by register.
    Estimate(Box<[u8]>),
}

impl Default for Distinct {
    fn default() -> Distinct {
        Distinct::Exact(HashSet::default())
    }
}

impl Distinct {
    /// Adds a hash; says whether it is known to be new (an estimate never knows).
    pub(super) fn insert(&mut self, hash: u64) -> bool {
        match self {
            Distinct::Exact(set) => {
                if set.len() < EXACT_PEOPLE_MAX || set.contains(&hash) {
                    return set.insert(hash);
                }
                let mut registers = vec![0; REGISTERS].into_boxed_slice();
                set.iter().for_each(|known| note(&mut registers, *known));
                note(&mut registers, hash);
                *self = Distinct::Estimate(registers);
                false
            }
            Distinct::Estimate(registers) => {
                note(registers, hash);
                false
            }
        }
    }

    /// How many distinct hashes.
    pub(super) fn count(&self) -> u64 {
        let floor = u64::try_from(EXACT_PEOPLE_MAX).unwrap_or(u64::MAX).saturating_add(1);
        match self {
            Distinct::Exact(set) => u64::try_from(set.len()).unwrap_or(u64::MAX),
            Distinct::Estimate(registers) => estimate(registers).max(floor),
        }
    }

    /// Whether [`Distinct::count`] is exact.
    pub(super) fn is_exact(&self) -> bool {
        matches!(self, Distinct::Exact(_))
    }
}

/// The hashes are uniform already.
#[derive(Debug, Default)]
pub(super) struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// The register is the hash's first bits; the rank is the place of the first 1 in the rest, from 1.
fn note(registers: &mut [u8], hash: u64) {
    let index = usize::try_from(hash >> RANK_BITS).unwrap_or(0);
    let rank = (hash << INDEX_BITS).leading_zeros().min(RANK_BITS).saturating_add(1);
    if let Some(register) = registers.get_mut(index) {
        *register = (*register).max(u8::try_from(rank).unwrap_or(u8::MAX));
    }
}

/// Ertl's improved estimator (algorithm 6).
#[allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "floating point, over counts of at most 2^14, rounded at the end"
)]
fn estimate(registers: &[u8]) -> u64 {
    let mut counts = [0u32; RANK_BITS as usize + 2];
    for rank in registers {
        if let Some(count) = counts.get_mut(usize::from(*rank)) {
            *count += 1;
        }
    }
    let m = REGISTERS as f64;
    let [zero, middle @ .., full] = &counts;
    let mut z = m * tau(1.0 - f64::from(*full) / m);
    for count in middle.iter().rev() {
        z = 0.5 * (z + f64::from(*count));
    }
    z += m * sigma(f64::from(*zero) / m);
    (m * m / (2.0 * std::f64::consts::LN_2 * z)).round() as u64
}

/// `x + Σ x^(2^k) 2^(k-1)`.
#[allow(clippy::arithmetic_side_effects, reason = "floating point")]
fn sigma(mut x: f64) -> f64 {
    if x >= 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    // Each round halves the distance between the bits that still change: 64 are more than a double has.
    for _ in 0..64 {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if z <= before {
            break;
        }
    }
    z
}

/// `(1 - x - Σ (1 - x^(2^-k))² 2^-k) / 3`.
#[allow(clippy::arithmetic_side_effects, reason = "floating point")]
fn tau(mut x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    for _ in 0..64 {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if z >= before {
            break;
        }
    }
    z / 3.0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SplitMix64: uniform, repeatable.
    fn hash(number: u64) -> u64 {
        let mut z = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    #[test]
    fn the_count_is_exact_up_to_the_limit_and_close_beyond() {
        let limit = u64::try_from(EXACT_PEOPLE_MAX).unwrap();
        let mut distinct = Distinct::default();
        for number in 0..limit {
            assert!(distinct.insert(hash(number)));
            assert!(!distinct.insert(hash(number / 2)));
        }
        assert_eq!((distinct.count(), distinct.is_exact()), (limit, true));
        let mut known = limit;
        for target in [limit + 1, 100_000, 300_000, 1_000_000] {
            (known..target).for_each(|number| assert!(!distinct.insert(hash(number))));
            known = target;
            assert!(!distinct.is_exact());
            let error = (distinct.count() as f64 - target as f64) / target as f64;
            assert!(error.abs() < 0.025, "{target}: {error}");
        }
    }

    #[test]
    fn the_estimator_holds_at_its_ends() {
        assert_eq!(estimate(&[0; REGISTERS]), 0);
        assert!(estimate(&[51; REGISTERS]) > 1 << 60);
    }
}
