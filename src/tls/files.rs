//! The files of certificates and keys, PEM (RFC 7468), each under the key of the configuration that named it.
//!
//! In: paths. Out: their contents, or a [`Fault`] that names key and file. No fault repeats a byte of a file: one of them is a secret.

use std::fmt;
use std::fs;
use std::path::PathBuf;

use rustls::RootCertStore;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use super::certificate::Certificate;
use crate::clock::Timestamp;

/// A file that a key of the configuration names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// `listen.tls.certificate`, for messages.
    pub key: &'static str,
    /// As written.
    pub path: PathBuf,
}

/// A certificate with its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The certificate, and behind it the chain to its authority, where one is sent.
    pub certificate: File,
    /// Its private key: PKCS #8, PKCS #1 or SEC 1, not encrypted.
    pub key: File,
}

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// What, with key and path.
    pub what: String,
    /// How to mend it.
    pub mend: String,
    /// Whether a sidecar works with it all the same: a certificate that does not hold now is sent, and it is for clients to refuse it.
    pub is_warning: bool,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.what, self.mend)
    }
}

impl File {
    /// A fault of this file.
    pub(super) fn fault(&self, what: impl fmt::Display, mend: impl Into<String>) -> Fault {
        let what = format!("`{}` is {}, which {what}", self.key, self.path.display());
        Fault { what, mend: mend.into(), is_warning: false }
    }

    fn read(&self) -> Result<Zeroizing<Vec<u8>>, Fault> {
        let bytes = fs::read(&self.path);
        bytes.map(Zeroizing::new).map_err(|error| {
            self.fault(format!("cannot be read: {error}"), "correct the path, or let this process read it")
        })
    }

    /// Its certificates, in order; at least one.
    pub(super) fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, Fault> {
        let bytes = self.read()?;
        let found: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(&bytes).collect();
        match found {
            Ok(found) if found.is_empty() => {
                Err(self.fault("holds no certificate", "name a PEM file that begins with -----BEGIN CERTIFICATE-----"))
            }
            Ok(found) => Ok(found),
            Err(_) => Err(self.fault("is damaged", "write it again; it is to be PEM")),
        }
    }

    /// Its private key.
    pub(super) fn private_key(&self) -> Result<PrivateKeyDer<'static>, Fault> {
        let bytes = self.read()?;
        PrivateKeyDer::from_pem_slice(&bytes).map_err(|_| {
            let is_encrypted = bytes.windows(ENCRYPTED.len()).any(|window| window == ENCRYPTED);
            match is_encrypted {
                true => self.fault(
                    "holds an encrypted key",
                    "decrypt it: nobody is there to type a passphrase when it is read again",
                ),
                false => {
                    self.fault("holds no private key", "name a PEM file that begins with -----BEGIN PRIVATE KEY-----")
                }
            }
        })
    }

    /// Its certificates as those that are believed.
    pub(super) fn authorities(&self) -> Result<Authorities, Fault> {
        let certificates = self.certificates()?;
        let mut roots = RootCertStore::empty();
        for certificate in &certificates {
            let added = roots.add(certificate.clone());
            added.map_err(|error| {
                self.fault(
                    format!("holds a certificate that cannot be used: {error}"),
                    "name the authority's certificate",
                )
            })?;
        }
        Ok(Authorities { roots, certificates })
    }

    /// The warning of a certificate that does not hold at that time.
    pub(super) fn out_of_date(&self, certificate: &Certificate, now: Timestamp) -> Option<Fault> {
        let (what, mend) = match certificate {
            _ if certificate.holds(now) => return None,
            _ if certificate.not_after < now => (format!("expired on {}", certificate.not_after), "have it renewed"),
            _ => (format!("holds only from {} on", certificate.not_before), "wait, or correct this machine's clock"),
        };
        Some(Fault { is_warning: true, ..self.fault(what, mend) })
    }
}

/// What an encrypted key begins with, in PKCS #8, and has in its header, in the older forms (RFC 1421).
const ENCRYPTED: &[u8] = b"ENCRYPTED";

/// Certificates that are believed.
#[derive(Debug)]
pub(super) struct Authorities {
    /// For rustls.
    pub(super) roots: RootCertStore,
    /// As in the file.
    pub(super) certificates: Vec<CertificateDer<'static>>,
}
