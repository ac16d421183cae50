//! What a certificate says of itself (RFC 5280, section 4.1).
//!
//! In: a certificate in DER. Out: its subject, how long it holds, what kinds of names it has, and the hash that a channel is bound with.
//! Proves nothing: whether it may be believed is decided in [`super::verifier`].

use ring::digest;

use super::der::{Elements, explicit, implicit, tag};
use super::subject::Subject;
use crate::clock::Timestamp;

/// OIDs in DER. Those of signature algorithms end in a byte that tells the hash.
const PKCS_1: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
const ECDSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04];
const ECDSA_WITH_SHA_2: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03];
const SHA_2: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02];
const SUBJECT_ALTERNATIVE_NAME: &[u8] = &[0x55, 0x1d, 0x11];
/// GeneralName's choices.
const DNS_NAME: u8 = implicit(2);
const IP_ADDRESS: u8 = implicit(7);

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
        let mut body = Elements::new(der).enter(tag::SEQUENCE)?.enter(tag::SEQUENCE)?;
        let version = body.optional(explicit(0));
        body.expect(tag::INTEGER)?;
        body.expect(tag::SEQUENCE)?;
        body.expect(tag::SEQUENCE)?;
        let mut validity = body.enter(tag::SEQUENCE)?;
        let subject = Subject::read(body.enter(tag::SEQUENCE)?)?;
        body.expect(tag::SEQUENCE)?;
        let mut certificate = Certificate {
            subject,
            not_before: time(validity.any()?)?,
            not_after: time(validity.any()?)?,
            has_extensions: version == Some(&[tag::INTEGER, 1, 2]),
            names_host: false,
            names_address: false,
        };
        while let Some((found, contents)) = body.any() {
            if found == explicit(3) {
                certificate.read_extensions(Elements::new(contents).enter(tag::SEQUENCE)?)?;
            }
        }
        Some(certificate)
    }

    fn read_extensions(&mut self, mut extensions: Elements<'_>) -> Option<()> {
        while let Some(mut extension) = extensions.enter(tag::SEQUENCE) {
            if extension.expect(tag::OBJECT_IDENTIFIER)? != SUBJECT_ALTERNATIVE_NAME {
                continue;
            }
            extension.optional(tag::BOOLEAN); // critical
            let mut names = Elements::new(extension.expect(tag::OCTET_STRING)?).enter(tag::SEQUENCE)?;
            while let Some((kind, _)) = names.any() {
                self.names_host |= kind == DNS_NAME;
                self.names_address |= kind == IP_ADDRESS;
            }
        }
        Some(())
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
    let mut certificate = Elements::new(der).enter(tag::SEQUENCE)?;
    certificate.expect(tag::SEQUENCE)?;
    let algorithm = hash_of(certificate.enter(tag::SEQUENCE)?)?;
    Some(digest::digest(algorithm, der).as_ref().to_vec())
}

fn hash_of(mut signature: Elements<'_>) -> Option<&'static digest::Algorithm> {
    let (last, family) = signature.expect(tag::OBJECT_IDENTIFIER)?.split_last()?;
    match (family, last) {
        // md2, md4, md5 and sha1 WithRSAEncryption
        (PKCS_1, 2..=5) | (ECDSA, 1) => Some(&digest::SHA256),
        (PKCS_1, 10) => hash_of_pss(signature),
        (PKCS_1, 11) | (ECDSA_WITH_SHA_2, 2) => Some(&digest::SHA256),
        (PKCS_1, 12) | (ECDSA_WITH_SHA_2, 3) => Some(&digest::SHA384),
        (PKCS_1, 13) | (ECDSA_WITH_SHA_2, 4) => Some(&digest::SHA512),
        _ => None,
    }
}

/// RSASSA-PSS-params (RFC 4055, section 3.1): the hash is a parameter, SHA-1 where it is left out.
fn hash_of_pss(mut signature: Elements<'_>) -> Option<&'static digest::Algorithm> {
    let Some(hash) = signature.enter(tag::SEQUENCE)?.optional(explicit(0)) else { return Some(&digest::SHA256) };
    let mut hash = Elements::new(hash).enter(tag::SEQUENCE)?;
    match hash.expect(tag::OBJECT_IDENTIFIER)?.split_last()? {
        (1, SHA_2) => Some(&digest::SHA256),
        (2, SHA_2) => Some(&digest::SHA384),
        (3, SHA_2) => Some(&digest::SHA512),
        _ => None,
    }
}

/// UTCTime `YYMMDDhhmmssZ`, until 2049, or GeneralizedTime `YYYYMMDDhhmmssZ` (RFC 5280, section 4.1.2.5).
fn time((kind, contents): (u8, &[u8])) -> Option<Timestamp> {
    let digits = std::str::from_utf8(contents).ok()?.strip_suffix('Z')?;
    let text = match kind {
        tag::UTC_TIME if digits < "50" => format!("20{digits}"),
        tag::UTC_TIME => format!("19{digits}"),
        tag::GENERALIZED_TIME => digits.to_owned(),
        _ => return None,
    };
    let time = jiff::civil::DateTime::strptime("%Y%m%d%H%M%S", text).ok()?;
    let time = jiff::tz::Offset::UTC.to_timestamp(time).ok()?;
    Some(Timestamp(time.as_microsecond()))
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
        let rsa = |last: u8| [&[0x06, 9], PKCS_1, &[last]].concat();
        let pss = |hash: &[u8]| [rsa(10), vec![0x30, u8::try_from(hash.len()).unwrap()], hash.to_vec()].concat();
        let sha_384 = [&[0xa0, 0x0d, 0x30, 0x0b, 0x06, 9], SHA_2, &[2]].concat();
        let cases: [(Vec<u8>, Option<&digest::Algorithm>); 9] = [
            (rsa(4), Some(&digest::SHA256)),
            (rsa(5), Some(&digest::SHA256)),
            (rsa(11), Some(&digest::SHA256)),
            (rsa(13), Some(&digest::SHA512)),
            (rsa(14), None),
            (pss(&[]), Some(&digest::SHA256)),
            (pss(&sha_384), Some(&digest::SHA384)),
            ([&[0x06, 7], ECDSA, &[1]].concat(), Some(&digest::SHA256)),
            (vec![0x06, 3, 0x2b, 0x65, 0x70], None),
        ];
        for (identifier, hash) in cases {
            assert_eq!(hash_of(Elements::new(&identifier)), hash, "{identifier:x?}");
        }
    }
}
