//! The key file, and the keys derived from it.
//!
//! In: `[privacy].key_file`, made where it does not exist. Out: the intake journal's encryption keys (one a segment),
//! and keyed hashes of data subjects. Derivation is HKDF-SHA256 (RFC 5869), hashing HMAC-SHA256 (RFC 2104). Neither
//! the key nor what is derived from it is ever printed.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use ring::rand::{SecureRandom, SystemRandom};
use ring::{aead, hkdf, hmac};

use super::{Error, folder};
use crate::record::Text;

/// The key's length, bytes.
const KEY_BYTES: usize = 32;
/// The length of a subject's hash in the log, bytes; twice that in digits.
const SUBJECT_HASH_BYTES: usize = 16;
/// The longest key file that is read, bytes.
const KEY_FILE_BYTES_MAX: u64 = 4096;

/// What `[privacy].key_file` holds.
#[derive(Clone)]
pub struct Key {
    secret: [u8; KEY_BYTES],
    subjects: hmac::Key,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

impl Key {
    /// Reads the key file; makes it, readable to its owner alone, where it does not exist.
    ///
    /// # Errors
    /// The file cannot be read or made, or holds something else than 64 hexadecimal digits.
    pub fn load_or_create(path: &Path) -> Result<Key, Error> {
        match Key::load(path) {
            Err(Error::Io { cause, .. }) if cause.kind() == io::ErrorKind::NotFound => {
                create(path)?;
                Key::load(path)
            }
            result => result,
        }
    }

    /// Reads the key file.
    ///
    /// # Errors
    /// The file cannot be read, or holds something else than 64 hexadecimal digits.
    pub fn load(path: &Path) -> Result<Key, Error> {
        let length = fs::metadata(path).map_err(Error::io("read", path))?.len();
        if length > KEY_FILE_BYTES_MAX {
            return Err(Error::NotAKey(path.to_path_buf()));
        }
        let bytes = fs::read(path).map_err(Error::io("read", path))?;
        let secret = parse_hex(bytes.trim_ascii()).ok_or_else(|| Error::NotAKey(path.to_path_buf()))?;
        Ok(Key::from_secret(secret))
    }

    fn from_secret(secret: [u8; KEY_BYTES]) -> Key {
        let subjects = hmac::Key::new(hmac::HMAC_SHA256, &derive(&secret, &[], b"mitsuke subjects v1"));
        Key { secret, subjects }
    }

    /// The keyed hash of a data subject's key, 32 hexadecimal digits: equal for equal subjects of one key file, and
    /// of no use to anyone without it.
    pub fn subject_hash(&self, value: &str) -> Text {
        let tag = hmac::sign(&self.subjects, value.as_bytes());
        let mut digits = [0; 2 * SUBJECT_HASH_BYTES];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(tag.as_ref()) {
            pair.copy_from_slice(&digits_of(*byte));
        }
        str::from_utf8(&digits).unwrap_or_default().into()
    }

    /// The encryption key of the intake segment that has this salt.
    #[allow(clippy::expect_used, reason = "AES-256-GCM takes 32 bytes, which is what is derived")]
    pub(super) fn segment(&self, salt: &[u8]) -> aead::LessSafeKey {
        let bytes = derive(&self.secret, salt, b"mitsuke intake v1");
        aead::LessSafeKey::new(aead::UnboundKey::new(&aead::AES_256_GCM, &bytes).expect("32 bytes"))
    }

    /// The encryption key of what sidecars of a fleet tell each other.
    #[allow(clippy::expect_used, reason = "AES-256-GCM takes 32 bytes, which is what is derived")]
    pub fn fleet(&self) -> aead::LessSafeKey {
        let bytes = derive(&self.secret, &[], b"mitsuke fleet v1");
        aead::LessSafeKey::new(aead::UnboundKey::new(&aead::AES_256_GCM, &bytes).expect("32 bytes"))
    }

    /// What the fleet's windows are called by, and values in them: nothing follows from it without the key.
    pub fn fleet_names(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &derive(&self.secret, &[], b"mitsuke fleet names v1"))
    }

    /// The id that the files of a log have which was written under it.
    pub fn name(&self) -> String {
        hex(&self.id())
    }

    /// Tells keys apart without saying anything about them.
    pub(super) fn id(&self) -> [u8; 8] {
        let mut id = [0; 8];
        id.copy_from_slice(&derive(&self.secret, &[], b"mitsuke key id v1")[..8]);
        id
    }
}

/// HKDF-SHA256 of 32 bytes.
#[allow(clippy::expect_used, reason = "one digest's length is within HKDF's bound of 255, RFC 5869 section 2.3")]
fn derive(secret: &[u8], salt: &[u8], info: &[u8]) -> [u8; KEY_BYTES] {
    let mut bytes = [0; KEY_BYTES];
    let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(secret);
    prk.expand(&[info], hkdf::HKDF_SHA256).and_then(|okm| okm.fill(&mut bytes)).expect("32 bytes");
    bytes
}

fn create(path: &Path) -> Result<(), Error> {
    let secret = random::<KEY_BYTES>().map_err(Error::io("make a key for", path))?;
    folder::put_new(path, format!("{}\n", hex(&secret)).as_bytes(), 0o600)
}

/// Random bytes of the system.
pub(super) fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| io::Error::other("the system gives no random bytes"))?;
    Ok(bytes)
}

/// Two digits a byte.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|byte| digits_of(*byte)).map(char::from).collect()
}

fn digits_of(byte: u8) -> [u8; 2] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    [byte >> 4, byte & 15].map(|digit| DIGITS[usize::from(digit)])
}

/// What [`hex`] wrote.
pub(super) fn parse_hex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    if digits.len() != N * 2 {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_is_made_once_for_its_owner_alone_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/key");
        let key = Key::load_or_create(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let again = Key::load_or_create(&path).unwrap();
        assert_eq!(key.subject_hash("4711"), again.subject_hash("4711"));
        assert_ne!(key.subject_hash("4711"), key.subject_hash("4712"));
        assert_eq!(key.subject_hash("4711").len(), 32);
        assert_eq!(format!("{key:?}"), "Key");
        let other = Key::load_or_create(&folder.path().join("other")).unwrap();
        assert_ne!(key.subject_hash("4711"), other.subject_hash("4711"));
        assert_ne!(key.id(), other.id());
    }

    #[test]
    fn what_is_no_key_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in
            [("short", "abcd"), ("empty", ""), ("letters", &"x".repeat(64)), ("long", &"0".repeat(9999))]
        {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            assert!(matches!(Key::load_or_create(&path), Err(Error::NotAKey(_))), "{name}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }
}
