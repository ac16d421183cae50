//! The bytes of an intake segment: a header, then entries.
//!
//! In: encoded events. Out: sealed entries, and back. Refuses what its checksum or its tag does not vouch for. All
//! numbers little-endian.
//!
//! ```text
//! header  magic[8] version:u32 0:u32 first:u64 key_id[8] salt[32] crc32:u32 0:u32   what it is        72 bytes
//!         passed:u64 first_at:i64 last_at:i64                                       what it lacks     24
//!         zeros                                                                                       to 128
//! entry   length:u32 crc32:u32 position:u64 events:u32 sum:u32 ciphertext[length - 16] tag[16] padding to 8
//! ```
//!
//! AES-256-GCM; the key is derived from the key file's and the segment's own random salt, the nonce is the position of
//! the entry's first event, which no segment has twice. `length` is the word that makes an entry one. `crc32`, without the key, is of the bytes from
//! `position` on: where `sum` is 1, up to the ciphertext, and of the tag, which vouches for the ciphertext; where it is 0, as version 6 has it, of all.

use ring::aead;

use super::{Gap, GapCause, Position};
use crate::audit::Key;
use crate::audit::key::random;
use crate::clock::Timestamp;

/// The header's length, bytes.
pub const HEADER_BYTES: usize = 128;
/// Entries begin at multiples of it, bytes.
pub const ALIGNMENT: usize = 8;
/// An entry's bytes before its ciphertext.
pub const ENTRY_HEADER_BYTES: usize = 24;
/// The most that an entry is longer than the events in it, bytes.
pub const ENTRY_OVERHEAD_BYTES_MAX: usize = ENTRY_HEADER_BYTES + TAG_BYTES + ALIGNMENT;
/// Where [`Gap`]'s numbers lie in the header.
pub const GAP_OFFSET: usize = 72;

const MAGIC: [u8; 8] = *b"mitsukeI";
const VERSION: u32 = 8;
/// The oldest that is read.
const VERSION_MIN: u32 = 6;
/// `sum` of an entry whose checksum leaves the ciphertext to the tag.
const SUM_OF_TAG: u32 = 1;
const TAG_BYTES: usize = 16;
const CRC_OFFSET: usize = 64;

/// What a segment's header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The position of the first event in it.
    pub first: Position,
    /// Which key it is encrypted under.
    pub key_id: [u8; 8],
    salt: [u8; 32],
    /// What was let through after its last entry.
    pub gap: Option<Gap>,
}

impl Header {
    /// A new segment's.
    pub fn new(first: Position, key: &Key) -> std::io::Result<Header> {
        Ok(Header { first, key_id: key.id(), salt: random()?, gap: None })
    }

    /// As it lies in the file.
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.first.0.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.key_id);
        bytes[32..64].copy_from_slice(&self.salt);
        let crc = crc32fast::hash(&bytes[..CRC_OFFSET]);
        bytes[CRC_OFFSET..CRC_OFFSET + 4].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// `None` where the bytes are no header of this version.
    pub fn decode(bytes: &[u8]) -> Option<Header> {
        let bytes: &[u8; HEADER_BYTES] = bytes.first_chunk()?;
        let sound = bytes[..8] == MAGIC
            && (VERSION_MIN..=VERSION).contains(&u32_at(bytes, 8)?)
            && u32_at(bytes, CRC_OFFSET)? == crc32fast::hash(&bytes[..CRC_OFFSET]);
        if !sound {
            return None;
        }
        let passed = u64_at(bytes, GAP_OFFSET)?;
        let gap = (passed > 0).then_some(Gap {
            events: passed,
            first_at: u64_at(bytes, GAP_OFFSET + 8).map(|at| Timestamp(at.cast_signed())),
            last_at: u64_at(bytes, GAP_OFFSET + 16).map(|at| Timestamp(at.cast_signed())),
            cause: GapCause::Passed,
        });
        Some(Header {
            first: Position(u64_at(bytes, 16)?),
            key_id: bytes[24..32].try_into().ok()?,
            salt: bytes[32..64].try_into().ok()?,
            gap,
        })
    }

    /// What seals and opens this segment's entries.
    pub fn cipher(&self, key: &Key) -> Cipher {
        Cipher(key.segment(&self.salt))
    }
}

/// The bytes at [`GAP_OFFSET`].
pub fn encode_gap(events: u64, first_at: Timestamp, last_at: Timestamp) -> [u8; 24] {
    let mut bytes = [0; 24];
    bytes[..8].copy_from_slice(&events.to_le_bytes());
    bytes[8..16].copy_from_slice(&first_at.0.to_le_bytes());
    bytes[16..].copy_from_slice(&last_at.0.to_le_bytes());
    bytes
}

/// Seals and opens the entries of one segment.
pub struct Cipher(aead::LessSafeKey);

impl Cipher {
    /// Makes an entry, in place, of a buffer that has [`ENTRY_HEADER_BYTES`] of anything and then the encoded events.
    /// False where that cannot be an entry (longer than 4 GiB).
    pub fn seal(&self, first: Position, events: u32, buffer: &mut Vec<u8>) -> bool {
        let Some((header, plain)) = buffer.split_at_mut_checked(ENTRY_HEADER_BYTES) else { return false };
        header[8..16].copy_from_slice(&first.0.to_le_bytes());
        header[16..20].copy_from_slice(&events.to_le_bytes());
        header[20..24].copy_from_slice(&SUM_OF_TAG.to_le_bytes());
        let aad = aead::Aad::from(&header[8..20]);
        let Ok(tag) = self.0.seal_in_place_separate_tag(nonce(first), aad, plain) else { return false };
        let Ok(length) = u32::try_from(plain.len() + TAG_BYTES) else { return false };
        buffer.extend_from_slice(tag.as_ref());
        buffer[..4].copy_from_slice(&length.to_le_bytes());
        let crc = checksum(&buffer[8..ENTRY_HEADER_BYTES], tag.as_ref()) ^ length;
        buffer[4..8].copy_from_slice(&crc.to_le_bytes());
        buffer.resize(buffer.len().next_multiple_of(ALIGNMENT), 0);
        true
    }

    /// The encoded events of an entry; `None` where its tag does not vouch for them.
    pub fn open(&self, entry: &RawEntry<'_>) -> Option<Vec<u8>> {
        let mut bytes = entry.sealed.to_vec();
        let length = self.0.open_in_place(nonce(entry.first), aead::Aad::from(entry.aad), &mut bytes).ok()?.len();
        bytes.truncate(length);
        Some(bytes)
    }
}

fn nonce(first: Position) -> aead::Nonce {
    let mut nonce = [0; aead::NONCE_LEN];
    nonce[..8].copy_from_slice(&first.0.to_le_bytes());
    aead::Nonce::assume_unique_for_key(nonce)
}

/// An entry as it lies in the segment, its checksum verified.
pub struct RawEntry<'a> {
    /// The position of its first event.
    pub first: Position,
    /// How many events.
    pub events: u32,
    /// Where the next entry begins.
    pub next: usize,
    aad: &'a [u8],
    sealed: &'a [u8],
}

/// What is found at a place of a segment's body.
pub enum Found<'a> {
    /// A whole entry.
    Entry(RawEntry<'a>),
    /// No entry was committed here: the end.
    End,
    /// Something that is neither.
    Broken,
}

/// Looks at the place `offset` of a segment's body (its bytes after the header).
pub fn look(body: &[u8], offset: usize) -> Found<'_> {
    match body.get(offset..).unwrap_or_default() {
        rest if rest.len() < 4 => End::of(rest),
        rest if rest[..4] == [0; 4] => Found::End,
        rest => entry(rest, offset).map_or(Found::Broken, Found::Entry),
    }
}

/// The end of a body that was cut off.
struct End;

impl End {
    fn of(rest: &[u8]) -> Found<'_> {
        if rest.iter().all(|byte| *byte == 0) { Found::End } else { Found::Broken }
    }
}

fn entry(rest: &[u8], offset: usize) -> Option<RawEntry<'_>> {
    let length = u32_at(rest, 0)?;
    let end = ENTRY_HEADER_BYTES.checked_add(usize::try_from(length).ok()?)?;
    let whole = rest.get(..end)?;
    let summed = match u32_at(rest, 20)? {
        0 => crc32fast::hash(&whole[8..]),
        SUM_OF_TAG => checksum(&whole[8..ENTRY_HEADER_BYTES], whole[ENTRY_HEADER_BYTES..].last_chunk::<TAG_BYTES>()?),
        _ => return None,
    };
    if u32_at(rest, 4)? != summed ^ length {
        return None;
    }
    Some(RawEntry {
        first: Position(u64_at(whole, 8)?),
        events: u32_at(whole, 16)?,
        next: offset + end.next_multiple_of(ALIGNMENT),
        aad: &whole[8..20],
        sealed: &whole[ENTRY_HEADER_BYTES..],
    })
}

/// Of an entry's header behind the checksum, and of its tag.
fn checksum(header: &[u8], tag: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(header);
    hasher.update(tag);
    hasher.finalize()
}

/// The next place after `offset` where a whole entry lies.
pub fn resume(body: &[u8], offset: usize) -> Option<usize> {
    let start = offset.next_multiple_of(ALIGNMENT) + if offset.is_multiple_of(ALIGNMENT) { ALIGNMENT } else { 0 };
    (start..body.len()).step_by(ALIGNMENT).find(|at| matches!(look(body, *at), Found::Entry(_)))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed() -> (Cipher, Vec<u8>) {
        let folder = tempfile::tempdir().unwrap();
        let key = Key::load_or_create(&folder.path().join("key")).unwrap();
        let cipher = Header::new(Position(7), &key).unwrap().cipher(&key);
        let mut entry = [&[0; ENTRY_HEADER_BYTES][..], b"what happened"].concat();
        assert!(cipher.seal(Position(7), 2, &mut entry));
        (cipher, entry)
    }

    fn opened(cipher: &Cipher, body: &[u8]) -> Option<Option<Vec<u8>>> {
        match look(body, 0) {
            Found::Entry(entry) => {
                assert_eq!((entry.first, entry.events), (Position(7), 2));
                Some(cipher.open(&entry))
            }
            _ => None,
        }
    }

    #[test]
    fn an_entry_of_the_version_before_is_read() {
        let (cipher, mut entry) = sealed();
        assert_eq!(opened(&cipher, &entry), Some(Some(b"what happened".to_vec())));
        entry[20..24].fill(0);
        assert_eq!(opened(&cipher, &entry), None, "its checksum is another");
        let length = u32_at(&entry, 0).unwrap();
        let crc = crc32fast::hash(&entry[8..ENTRY_HEADER_BYTES + length as usize]) ^ length;
        entry[4..8].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(opened(&cipher, &entry), Some(Some(b"what happened".to_vec())));
    }

    #[test]
    fn a_bit_that_is_not_as_it_was_is_no_event_wherever_it_is() {
        let (cipher, entry) = sealed();
        let length = ENTRY_HEADER_BYTES + u32_at(&entry, 0).unwrap() as usize;
        for bit in 0..length * 8 {
            let mut damaged = entry.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let found = opened(&cipher, &damaged);
            // What the checksum leaves to the tag, the tag does not vouch for: it is known how many are missing.
            assert!(matches!(found, None | Some(None)), "bit {bit}");
            let is_text = (ENTRY_HEADER_BYTES..length - TAG_BYTES).contains(&(bit / 8));
            assert_eq!(found.is_some(), is_text, "bit {bit}");
        }
    }

    #[test]
    fn a_header_of_another_version_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let key = Key::load_or_create(&folder.path().join("key")).unwrap();
        let header = Header::new(Position(7), &key).unwrap();
        for (version, is_read) in [(5_u32, false), (6, true), (7, true), (8, true), (9, false)] {
            let mut bytes = header.encode();
            bytes[8..12].copy_from_slice(&version.to_le_bytes());
            let crc = crc32fast::hash(&bytes[..CRC_OFFSET]);
            bytes[CRC_OFFSET..CRC_OFFSET + 4].copy_from_slice(&crc.to_le_bytes());
            assert_eq!(Header::decode(&bytes).is_some(), is_read, "{version}");
        }
    }
}
