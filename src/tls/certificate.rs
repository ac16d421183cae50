//! What a certificate says of itself (RFC 5280, section 4.1).
//!
//! In: a certificate in DER. Out: its subject, how long it holds, what kinds of names it has, and the hash that a channel is bound with.
//! Proves nothing: whether it may be believed is decided in [`super::verifier`].

use ring::digest;
use x509_cert::certificate::{CertificateInner, Raw, Version};
use x509_cert::der::asn1::{Any, ContextSpecific};
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::der::oid::db::{rfc5280, rfc5912};
use x509_cert::der::{Decode, SliceReader, TagNumber};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::spki::AlgorithmIdentifierOwned;
use x509_cert::time::Time;

use super::subject::Subject;
use crate::clock::Timestamp;

/// RFC 8017, appendix C, and RFC 3279, section 2.2.3; the library has no names for them.
const MD_4_WITH_RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.3");
const ECDSA_WITH_SHA_1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.1");

/// A certificate, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Whom it names.
    pub subject: Subject,
    /// It holds from then on.
    pub not_before: Timestamp,
    /// It holds until then.
    pub not_after: Timestamp,
    /// Whether it is of X.509 version 3, the only one that rustls takes.
    pub has_extensions: bool,
    /// Whether it has a DNS name beside the subject's.
    pub names_host: bool,
    /// Whether it has an IP address beside the subject's name.
    pub names_address: bool,
}

impl Certificate {
    /// Reads it; `None` where it is no X.509.
    pub fn read(der: &[u8]) -> Option<Certificate> {
        let certificate = CertificateInner::<Raw>::from_der(der).ok()?;
        let body = certificate.tbs_certificate();
        let mut names = Vec::new();
        for extension in body.extensions().into_iter().flatten() {
            if extension.extn_id == rfc5280::ID_CE_SUBJECT_ALT_NAME {
                names.extend(SubjectAltName::from_der(extension.extn_value.as_bytes()).ok()?.0);
            }
        }
        Some(Certificate {
            subject: Subject::read(body.subject()),
            not_before: time(body.validity().not_before)?,
            not_after: time(body.validity().not_after)?,
            has_extensions: body.version() == Version::V3,
            names_host: names.iter().any(|name| matches!(name, GeneralName::DnsName(_))),
            names_address: names.iter().any(|name| matches!(name, GeneralName::IpAddress(_))),
        })
    }

    /// Whether it holds at that time.
    pub fn holds(&self, at: Timestamp) -> bool {
        (self.not_before..=self.not_after).contains(&at)
    }
}

/// The data of `tls-server-end-point` (RFC 5929, section 4): the server's certificate, hashed with the hash of its own signature, or with
/// SHA-256 where that is MD5 or SHA-1. `None` where the signature has no hash of its own (Ed25519), or one that is not to be
/// had (SHA-224): such a channel cannot be bound, neither here nor by PostgreSQL.
pub fn end_point(der: &[u8]) -> Option<Vec<u8>> {
    let certificate = CertificateInner::<Raw>::from_der(der).ok()?;
    let algorithm = hash_of(certificate.signature_algorithm())?;
    Some(digest::digest(algorithm, der).as_ref().to_vec())
}

fn hash_of(signature: &AlgorithmIdentifierOwned) -> Option<&'static digest::Algorithm> {
    match signature.oid {
        rfc5912::MD_2_WITH_RSA_ENCRYPTION
        | MD_4_WITH_RSA_ENCRYPTION
        | rfc5912::MD_5_WITH_RSA_ENCRYPTION
        | rfc5912::SHA_1_WITH_RSA_ENCRYPTION
        | ECDSA_WITH_SHA_1 => Some(&digest::SHA256),
        rfc5912::SHA_256_WITH_RSA_ENCRYPTION | rfc5912::ECDSA_WITH_SHA_256 => Some(&digest::SHA256),
        rfc5912::SHA_384_WITH_RSA_ENCRYPTION | rfc5912::ECDSA_WITH_SHA_384 => Some(&digest::SHA384),
        rfc5912::SHA_512_WITH_RSA_ENCRYPTION | rfc5912::ECDSA_WITH_SHA_512 => Some(&digest::SHA512),
        rfc5912::ID_RSASSA_PSS => hash_of_pss(signature.parameters.as_ref()?),
        _ => None,
    }
}

/// RSASSA-PSS-params (RFC 4055, section 3.1): the hash is the first parameter, SHA-1 where it is left out.
fn hash_of_pss(parameters: &Any) -> Option<&'static digest::Algorithm> {
    let mut reader = SliceReader::new(parameters.value()).ok()?;
    let hash = ContextSpecific::<AlgorithmIdentifierOwned>::decode_explicit(&mut reader, TagNumber(0)).ok()?;
    match hash.map(|hash| hash.value.oid) {
        None | Some(rfc5912::ID_SHA_256) => Some(&digest::SHA256),
        Some(rfc5912::ID_SHA_384) => Some(&digest::SHA384),
        Some(rfc5912::ID_SHA_512) => Some(&digest::SHA512),
        Some(_) => None,
    }
}

fn time(time: Time) -> Option<Timestamp> {
    i64::try_from(time.to_unix_duration().as_micros()).ok().map(Timestamp)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SignatureAlgorithm};

    use super::*;

    fn made(algorithm: &'static SignatureAlgorithm, change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "anna");
        change(&mut params);
        let key = KeyPair::generate_for(algorithm).unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn a_certificate_tells_subject_time_and_names() {
        let der = made(&rcgen::PKCS_ECDSA_P256_SHA256, |params| {
            params.not_before = rcgen::date_time_ymd(2026, 1, 2);
            params.not_after = rcgen::date_time_ymd(2051, 3, 4);
            params.subject_alt_names = vec![rcgen::SanType::DnsName("db.example".try_into().unwrap())];
        });
        let certificate = Certificate::read(&der).unwrap();
        assert_eq!(certificate.subject.common_name.as_deref(), Some("anna"));
        assert_eq!(certificate.not_before.to_string(), "2026-01-02T00:00:00.000000Z");
        assert_eq!(certificate.not_after.to_string(), "2051-03-04T00:00:00.000000Z");
        assert!(certificate.holds(Timestamp(1_795_000_000_000_000)));
        assert!(!certificate.holds(Timestamp(0)));
        assert!(certificate.has_extensions && certificate.names_host && !certificate.names_address);
    }

    #[test]
    fn nothing_cut_short_or_changed_is_read_with_a_panic() {
        let der = made(&rcgen::PKCS_ECDSA_P256_SHA256, |_| {});
        for end in 0..der.len() {
            assert_eq!(Certificate::read(&der[..end]), None);
            assert_eq!(end_point(&der[..end]), None);
        }
        for at in 0..der.len() {
            let mut changed = der.clone();
            changed[at] ^= 0x81;
            let _ = (Certificate::read(&changed), end_point(&changed));
        }
    }

    #[test]
    fn a_channel_is_bound_with_the_hash_of_the_certificate_s_own_signature() {
        let hashed_with = |algorithm| {
            let der = made(algorithm, |_| {});
            let bound = end_point(&der)?;
            let fits = |algorithm| digest::digest(algorithm, &der).as_ref() == bound;
            Some((fits(&digest::SHA256), fits(&digest::SHA384)))
        };
        assert_eq!(hashed_with(&rcgen::PKCS_ECDSA_P256_SHA256), Some((true, false)));
        assert_eq!(hashed_with(&rcgen::PKCS_ECDSA_P384_SHA384), Some((false, true)));
        assert_eq!(hashed_with(&rcgen::PKCS_ED25519), None);
    }

    /// AlgorithmIdentifiers as RFC 3279, 4055 and 5758 spell them.
    #[test]
    fn every_signature_algorithm_has_its_hash() {
        let element = |tag: u8, contents: &[u8]| [&[tag, u8::try_from(contents.len()).unwrap()], contents].concat();
        let pkcs_1 = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
        let rsa = |last: u8| element(0x06, &[&pkcs_1[..], &[last]].concat());
        let pss = |hash: &[u8]| [rsa(10), element(0x30, hash)].concat();
        let sha_384 = element(0x06, &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 2]);
        let sha_384 = element(0xa0, &element(0x30, &sha_384));
        let cases: [(Vec<u8>, Option<&digest::Algorithm>); 11] = [
            (rsa(3), Some(&digest::SHA256)),
            (rsa(4), Some(&digest::SHA256)),
            (rsa(5), Some(&digest::SHA256)),
            (rsa(11), Some(&digest::SHA256)),
            (rsa(13), Some(&digest::SHA512)),
            (rsa(14), None),
            (pss(&[]), Some(&digest::SHA256)),
            (pss(&sha_384), Some(&digest::SHA384)),
            // With a mask generation function and a salt's length behind the hash.
            (pss(&[sha_384.clone(), element(0xa1, &[]), element(0xa2, &[2, 1, 48])].concat()), Some(&digest::SHA384)),
            (element(0x06, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 1]), Some(&digest::SHA256)),
            (vec![0x06, 3, 0x2b, 0x65, 0x70], None),
        ];
        for (identifier, hash) in cases {
            let algorithm = AlgorithmIdentifierOwned::from_der(&element(0x30, &identifier)).unwrap();
            assert_eq!(hash_of(&algorithm), hash, "{identifier:x?}");
        }
    }
}
