//! The key that signs the log's chain, and the key that proves it.
//!
//! In: `[log].signing_key`, made where it does not exist, its public half beside it as `.pub`. Out: Ed25519 signatures (RFC
//! 8032). Both files are PEM as OpenSSL writes and reads it (`openssl genpkey -algorithm ed25519`; RFC 8410). The private key
//! is never printed.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use zeroize::Zeroizing;

use super::key::{hex, parse_hex, random};
use super::{Error, folder};

/// The longest key file that is read, bytes.
const KEY_FILE_BYTES_MAX: u64 = 4096;
/// What stands before the 32 bytes of a private key: PrivateKeyInfo of version 1 (RFC 8410, section 7).
const PRIVATE_PREFIX: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
/// What stands before those of a public key: SubjectPublicKeyInfo (RFC 8410, section 4).
const PUBLIC_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// Signs.
pub struct SigningKey {
    pair: Ed25519KeyPair,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey")
    }
}

/// Proves.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl SigningKey {
    /// Reads the key; makes it, readable to its owner alone, where it does not exist. Its public half is written beside it.
    ///
    /// # Errors
    /// A file cannot be read or made, or holds something else than an Ed25519 key.
    pub fn load_or_create(path: &Path) -> Result<SigningKey, Error> {
        let key = match SigningKey::load(path) {
            Err(Error::Io { cause, .. }) if cause.kind() == io::ErrorKind::NotFound => {
                create(path)?;
                SigningKey::load(path)?
            }
            result => result?,
        };
        let public = public_beside(path);
        if !public.exists() {
            folder::put_new(&public, key.public().to_pem().as_bytes(), 0o644)?;
        }
        Ok(key)
    }

    /// Reads the key.
    ///
    /// # Errors
    /// As [`SigningKey::load_or_create`].
    pub fn load(path: &Path) -> Result<SigningKey, Error> {
        let der = Zeroizing::new(pem(path, "PRIVATE KEY")?);
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der);
        Ok(SigningKey { pair: pair.map_err(|_| Error::NotASigningKey(path.to_path_buf()))? })
    }

    /// Its public half.
    pub fn public(&self) -> PublicKey {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(self.pair.public_key().as_ref());
        PublicKey(bytes)
    }

    /// A signature, hexadecimal.
    pub(super) fn sign(&self, message: &[u8]) -> String {
        hex(self.pair.sign(message).as_ref())
    }
}

impl PublicKey {
    /// Reads a public key's file.
    ///
    /// # Errors
    /// As [`SigningKey::load_or_create`].
    pub fn load(path: &Path) -> Result<PublicKey, Error> {
        let der = pem(path, "PUBLIC KEY")?;
        let bytes = der.strip_prefix(&PUBLIC_PREFIX).and_then(|bytes| bytes.try_into().ok());
        bytes.map(PublicKey).ok_or_else(|| Error::NotASigningKey(path.to_path_buf()))
    }

    /// From the form in which it is displayed.
    pub(super) fn parse(digits: &str) -> Option<PublicKey> {
        parse_hex(digits.as_bytes()).map(PublicKey)
    }

    fn to_pem(self) -> String {
        to_pem("PUBLIC KEY", &[&PUBLIC_PREFIX[..], &self.0].concat())
    }

    /// Whether a signature, hexadecimal, is this key's.
    pub(super) fn proves(self, message: &[u8], signature: &str) -> bool {
        let signature: Option<[u8; 64]> = parse_hex(signature.as_bytes());
        signature.is_some_and(|signature| UnparsedPublicKey::new(&ED25519, self.0).verify(message, &signature).is_ok())
    }
}

/// Where the public half of a private key lies.
pub fn public_beside(path: &Path) -> PathBuf {
    path.with_extension("pub")
}

fn pem(path: &Path, label: &str) -> Result<Vec<u8>, Error> {
    let length = fs::metadata(path).map_err(Error::io("read", path))?.len();
    let not_a_key = || Error::NotASigningKey(path.to_path_buf());
    if length > KEY_FILE_BYTES_MAX {
        return Err(not_a_key());
    }
    let text = Zeroizing::new(fs::read_to_string(path).map_err(Error::io("read", path))?);
    let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
    let inside = text.split_once(&begin).and_then(|(_, rest)| rest.split_once(&end)).map(|(inside, _)| inside);
    let digits: Zeroizing<String> = Zeroizing::new(inside.ok_or_else(not_a_key)?.split_whitespace().collect());
    STANDARD.decode(digits.as_bytes()).map_err(|_| not_a_key())
}

fn to_pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}

fn create(path: &Path) -> Result<(), Error> {
    let seed = Zeroizing::new(random::<32>().map_err(Error::io("make a key for", path))?);
    let der = Zeroizing::new([&PRIVATE_PREFIX[..], &seed[..]].concat());
    folder::put_new(path, Zeroizing::new(to_pem("PRIVATE KEY", &der)).as_bytes(), 0o600)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_its_public_half_proves_what_it_signed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/log.signing.key");
        let key = SigningKey::load_or_create(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let public = PublicKey::load(&public_beside(&path)).unwrap();
        assert_eq!(public, key.public());
        assert_eq!(PublicKey::parse(&public.to_string()), Some(public));
        let signature = SigningKey::load_or_create(&path).unwrap().sign(b"a line");
        assert!(public.proves(b"a line", &signature));
        assert!(!public.proves(b"a lime", &signature) && !public.proves(b"a line", &signature[2..]));
        let other = SigningKey::load_or_create(&folder.path().join("other.key")).unwrap();
        assert!(!other.public().proves(b"a line", &signature));
        assert_eq!(format!("{key:?}"), "SigningKey");
    }

    #[test]
    fn the_standard_s_own_keys_are_taken() {
        let folder = tempfile::tempdir().unwrap();
        let (private, public) = (folder.path().join("k.key"), folder.path().join("k.pub"));
        fs::write(&private, RFC_PRIVATE).unwrap();
        fs::write(&public, RFC_PUBLIC).unwrap();
        assert_eq!(SigningKey::load(&private).unwrap().public(), PublicKey::load(&public).unwrap());
    }

    #[test]
    fn what_is_no_key_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("k");
        for text in ["", "abcd", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", &"x".repeat(9999)] {
            fs::write(&path, text).unwrap();
            assert!(matches!(SigningKey::load_or_create(&path), Err(Error::NotASigningKey(_))), "{text}");
            assert!(matches!(PublicKey::load(&path), Err(Error::NotASigningKey(_))), "{text}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }

    /// RFC 8410, sections 10.3 and 10.1, in the form that OpenSSL writes.
    const RFC_PRIVATE: &str = "-----BEGIN PRIVATE KEY-----\n\
        MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";
    const RFC_PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\n\
        MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";
}
