//! Whether a server's certificate is believed.
//!
//! In: the certificate shown, the host that was meant. Out: yes, or why not, in words that name the key to change. As libpq
//! (manual, "SSL Support", Client Verification of Server Certificates), also where that is laxer than the Web's rules: a certificate that is
//! itself in the file of authorities is believed, and one that names no host beside its subject is known by its common name.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};

use super::certificate::Certificate;
use super::client::Trust;
use super::files::{Authorities, Fault};
use crate::clock::Timestamp;

/// Believes servers as a [`Trust`] says.
#[derive(Debug)]
pub(super) struct Verifier {
    authorities: Option<Authorities>,
    is_host_checked: bool,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    /// Reads the authorities.
    pub(super) fn load(trust: &Trust, provider: &Arc<CryptoProvider>) -> Result<Verifier, Fault> {
        let (file, is_host_checked) = match trust {
            Trust::Anybody => (None, false),
            Trust::Authority(file) => (Some(file), false),
            Trust::Host(file) => (Some(file), true),
        };
        let authorities = file.map(|file| file.authorities()).transpose()?;
        Ok(Verifier { authorities, is_host_checked, algorithms: provider.signature_verification_algorithms })
    }

    fn verify_chain(
        &self,
        authorities: &Authorities,
        shown: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        if authorities.certificates.iter().any(|listed| listed == shown) {
            // Its own authority: there is no signature to verify, but it must hold.
            let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
            let at = Timestamp(seconds.saturating_mul(1_000_000));
            return match Certificate::read(shown) {
                Some(certificate) if certificate.holds(at) => Ok(()),
                Some(certificate) if certificate.not_after < at => {
                    Err(Error::InvalidCertificate(CertificateError::Expired))
                }
                Some(_) => Err(Error::InvalidCertificate(CertificateError::NotValidYet)),
                None => Err(Error::InvalidCertificate(CertificateError::BadEncoding)),
            };
        }
        let parsed = ParsedCertificate::try_from(shown)?;
        verify_server_cert_signed_by_trust_anchor(&parsed, &authorities.roots, intermediates, now, self.algorithms.all)
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        host: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(authorities) = &self.authorities {
            self.verify_chain(authorities, shown, intermediates, now)?;
        }
        if self.is_host_checked {
            verify_host(shown, host)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, shown, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, shown, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

fn verify_host(shown: &CertificateDer<'_>, host: &ServerName<'_>) -> Result<(), Error> {
    let by_alternative_name = verify_server_name(&ParsedCertificate::try_from(shown)?, host);
    if by_alternative_name.is_ok() {
        return Ok(());
    }
    let Some(certificate) = Certificate::read(shown) else { return by_alternative_name };
    let common_name = certificate.subject.common_name.as_deref().unwrap_or_default();
    let is_named = match host {
        ServerName::DnsName(host) => !certificate.names_host && names(common_name, host.as_ref()),
        ServerName::IpAddress(_) => !certificate.names_address && common_name == host.to_str(),
        _ => false,
    };
    if is_named { Ok(()) } else { by_alternative_name }
}

/// RFC 6125, section 6.4: without regard to case; a first label that is `*` stands for any one label.
fn names(pattern: &str, host: &str) -> bool {
    if pattern.eq_ignore_ascii_case(host) {
        return !pattern.is_empty();
    }
    match (pattern.strip_prefix("*."), host.split_once('.')) {
        (Some(pattern), Some((_, rest))) => pattern.contains('.') && pattern.eq_ignore_ascii_case(rest),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn a_common_name_names_a_host_and_a_star_one_label() {
        for (pattern, host, named) in [
            ("db.example", "DB.Example", true),
            ("*.db.example", "a.db.example", true),
            ("*.db.example", "a.b.db.example", false),
            ("*.db.example", "db.example", false),
            ("*.example", "db.example", false),
            ("db.example", "evil.example", false),
            ("", "", false),
        ] {
            assert_eq!(names(pattern, host), named, "{pattern} {host}");
        }
    }
}
