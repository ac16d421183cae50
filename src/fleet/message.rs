//! One message of the stream: what happened, by whom it is told and how long ago it was, sealed.
//!
//! In: an event and the fleet's key. Out: bytes that tell nothing without the key; and back, in the time of this sidecar. Refuses what
//! another key sealed, what is no message, and what claims to have happened at another time than the store has it: a message that was
//! kept and is told again later.

use ring::aead::{Aad, LessSafeKey, NONCE_LEN, Nonce};
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::quarantine::Event;

/// How far the clocks of two sidecars may be apart, microseconds: 10 minutes.
const APART_US_MAX: i64 = 600_000_000;
/// The longest message that is taken, bytes.
pub const BYTES_MAX: usize = 8_192;
const AAD: &[u8] = b"mitsuke quarantine v1";

/// What is sealed.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Of the sidecars of one log.
    pub origin: String,
    /// How long before it was told, microseconds.
    pub age_us: u64,
    /// What happened, in the time of who tells it.
    pub event: Event,
}

/// Why a message is passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unheeded {
    /// Another key, or no message at all.
    #[error("it is sealed with another key: give every sidecar of the fleet the same [privacy].key_file")]
    Sealed,
    /// Told again, or a clock is wrong.
    #[error("its time is not the store's: a clock of the fleet is wrong by more than 10 minutes, or it was told again")]
    Time,
}

impl Message {
    /// Seals it.
    pub fn seal(&self, key: &LessSafeKey) -> Option<Vec<u8>> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).ok()?;
        let mut sealed = serde_json::to_vec(self).ok()?;
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(AAD), &mut sealed).ok()?;
        sealed.splice(0..0, nonce);
        Some(sealed)
    }

    /// Opens one.
    ///
    /// # Errors
    /// See [`Unheeded::Sealed`].
    pub fn open(key: &LessSafeKey, sealed: &[u8]) -> Result<Message, Unheeded> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(Unheeded::Sealed)?;
        let mut opened = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = key.open_in_place(nonce, Aad::from(AAD), &mut opened).map_err(|_| Unheeded::Sealed)?;
        serde_json::from_slice(opened).map_err(|_| Unheeded::Sealed)
    }

    /// What happened, in our time. `told_at`: when the store took it, by its clock; `ahead_us`: how far our clock is ahead of that.
    ///
    /// # Errors
    /// See [`Unheeded::Time`].
    pub fn in_our_time(self, told_at: Timestamp, ahead_us: i64) -> Result<Event, Unheeded> {
        let age_us = i64::try_from(self.age_us).map_err(|_| Unheeded::Time)?;
        let happened = told_at.plus_micros(age_us.saturating_neg());
        let ours = happened.plus_micros(ahead_us);
        let claimed = match &self.event {
            Event::Quarantined(entry) => entry.from,
            Event::Lifted(lift) => lift.at,
        };
        if claimed.0.abs_diff(happened.0) > APART_US_MAX.unsigned_abs() {
            return Err(Unheeded::Time);
        }
        Ok(match self.event {
            Event::Quarantined(mut entry) => {
                let lasts = entry.until.0.saturating_sub(entry.from.0);
                (entry.from, entry.until) = (ours, ours.plus_micros(lasts));
                Event::Quarantined(entry)
            }
            Event::Lifted(mut lift) => {
                lift.at = ours;
                Event::Lifted(lift)
            }
        })
    }
}

/// When the store took the message of that id (`milliseconds-number`), by its clock.
pub fn told_at(id: &str) -> Option<Timestamp> {
    let millis: i64 = id.split_once('-')?.0.parse().ok()?;
    Some(Timestamp(millis.checked_mul(1_000)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Key;
    use crate::policy::acting::Whom;
    use crate::quarantine::Entry;

    const MINUTE_US: i64 = 60_000_000;

    fn message(from: i64) -> Message {
        let (policy, finding_id) = ("p".into(), "f".into());
        let (from, until) = (Timestamp(from), Timestamp(from + 5 * MINUTE_US));
        let entry = Entry { whom: Whom::User, name: "clerk".into(), from, until, policy, finding_id };
        Message { origin: "one".to_owned(), age_us: 0, event: Event::Quarantined(entry) }
    }

    #[test]
    fn it_opens_with_the_same_key_only_and_tells_nothing_without() {
        let folder = tempfile::tempdir().expect("a folder");
        let key = Key::load_or_create(&folder.path().join("one")).expect("a key").fleet();
        let other = Key::load_or_create(&folder.path().join("other")).expect("a key").fleet();
        let sealed = message(7).seal(&key).expect("sealed");
        assert!(!sealed.windows(5).any(|window| window == b"clerk"));
        assert_eq!(Message::open(&key, &sealed), Ok(message(7)));
        assert_eq!(Message::open(&other, &sealed), Err(Unheeded::Sealed));
        for length in 0..sealed.len() {
            assert_eq!(Message::open(&key, &sealed[..length]), Err(Unheeded::Sealed));
        }
    }

    #[test]
    fn its_time_is_the_store_s_told_in_ours() {
        let told = Timestamp(1_000 * MINUTE_US);
        let expected = |message: Message, ahead_us| match message.in_our_time(told, ahead_us) {
            Ok(Event::Quarantined(entry)) => Some((entry.from.0 / MINUTE_US, entry.until.0 / MINUTE_US)),
            _ => None,
        };
        assert_eq!(expected(message(told.0), 0), Some((1_000, 1_005)));
        // The clock of who told it is 3 minutes behind, ours 2 ahead of the store's: it lasts 5 minutes all the same.
        assert_eq!(expected(message(told.0 - 3 * MINUTE_US), 2 * MINUTE_US), Some((1_002, 1_007)));
        // Told late, as the store was away: what has passed of it has passed.
        let late = Message { age_us: 4 * MINUTE_US.unsigned_abs(), ..message(told.0 - 4 * MINUTE_US) };
        assert_eq!(expected(late, 0), Some((996, 1_001)));
        // Kept, and told again.
        assert_eq!(expected(message(told.0 - 11 * MINUTE_US), 0), None);
        assert_eq!(told_at("1526919030474-55"), Some(Timestamp(1_526_919_030_474_000)));
        assert_eq!(told_at("nonsense"), None);
    }
}
