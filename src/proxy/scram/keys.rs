//! The keys of SCRAM and what is computed from them (RFC 5802, section 3).
//!
//! In: keys and messages. Out: hashes, signatures, proofs. A [`Key`] is wiped when dropped, never printed, and compared in constant time.

use ring::{digest, hmac};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// Bytes of SHA-256.
pub const KEY_BYTES: usize = 32;

/// ClientKey, StoredKey or ServerKey, or a signature made with one.
#[derive(Clone)]
pub struct Key(Zeroizing<[u8; KEY_BYTES]>);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key")
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Key) -> bool {
        self.0.ct_eq(other.0.as_slice()).into()
    }
}

impl Eq for Key {}

impl Key {
    /// The key of that length.
    pub fn new(bytes: &[u8]) -> Option<Key> {
        bytes.try_into().ok().map(|bytes| Key(Zeroizing::new(bytes)))
    }

    /// In the place of one that is not there.
    pub fn nobody() -> Key {
        Key::filled(&[])
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        self.0.as_slice()
    }

    /// H(key): StoredKey of ClientKey.
    pub fn hash(&self) -> Key {
        Key::filled(digest::digest(&digest::SHA256, self.bytes()).as_ref())
    }

    /// HMAC(key, message).
    pub fn sign(&self, message: &[u8]) -> Key {
        Key::filled(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, self.bytes()), message).as_ref())
    }

    /// ClientProof of ClientKey and ClientSignature, and ClientKey of the other two.
    pub fn xor(&self, other: &Key) -> Key {
        let mut bytes = self.0.clone();
        bytes.iter_mut().zip(other.bytes()).for_each(|(byte, other)| *byte ^= other);
        Key(bytes)
    }

    fn filled(from: &[u8]) -> Key {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        bytes.iter_mut().zip(from).for_each(|(byte, from)| *byte = *from);
        Key(bytes)
    }
}
