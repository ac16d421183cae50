//! The side of a handshake that clients meet.
//!
//! In: our certificate and key, and the authority of clients' certificates, where they are asked for. Out: a configuration for rustls. A
//! client's certificate is asked for and, where one is shown, verified; whether one is required is for who knows the session.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{CertificateError, ServerConfig};

use super::certificate::Certificate;
use super::files::{Fault, File, Pair};
use super::{ALPN, provider};
use crate::clock::Timestamp;

/// What we show to clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Own {
    /// Our certificate and key.
    pub pair: Pair,
    /// Who signs clients' certificates; `None`: none are asked for.
    pub client_ca: Option<File>,
}

/// Ready for handshakes.
#[derive(Clone, Debug)]
pub struct Server {
    /// For rustls.
    pub config: Arc<ServerConfig>,
    /// Our certificate in DER.
    pub certificate: Arc<[u8]>,
}

impl Server {
    /// Reads the files. The second value are warnings.
    ///
    /// # Errors
    /// Every fault of theirs.
    pub fn load(own: &Own, now: Timestamp) -> Result<(Server, Vec<Fault>), Vec<Fault>> {
        let mut faults = Vec::new();
        let chain = own.pair.load(now, &mut faults);
        let verifier = match &own.client_ca {
            None => Some(WebPkiClientVerifier::no_client_auth()),
            Some(file) => {
                let verifier = file.authorities().and_then(|authorities| {
                    let roots = Arc::new(authorities.roots);
                    let builder =
                        WebPkiClientVerifier::builder_with_provider(roots, provider()).allow_unauthenticated();
                    builder.build().map_err(|error| {
                        file.fault(format!("cannot be used: {error}"), "name the authority's certificate")
                    })
                });
                verifier.map_err(|fault| faults.push(fault)).ok()
            }
        };
        let (Some((chain, key)), Some(verifier)) = (chain, verifier) else { return Err(faults) };
        let certificate: Arc<[u8]> = chain.first().map_or(&[][..], |leaf| leaf.as_ref()).into();
        let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
        let config =
            builder.and_then(|builder| builder.with_client_cert_verifier(verifier).with_single_cert(chain, key));
        let mut config = match config {
            Ok(config) => config,
            Err(error) => {
                faults.push(own.pair.mismatch(&error));
                return Err(faults);
            }
        };
        config.alpn_protocols = vec![ALPN.to_vec()];
        // PostgreSQL offers no resumption either: a session is long, and a ticket's key would be one more secret.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        match faults.iter().all(|fault| fault.is_warning) {
            true => Ok((Server { config: Arc::new(config), certificate }, faults)),
            false => Err(faults),
        }
    }
}

type Chain = (Vec<CertificateDer<'static>>, rustls::pki_types::PrivateKeyDer<'static>);

impl Pair {
    /// Reads both; faults and warnings are pushed.
    pub(super) fn load(&self, now: Timestamp, faults: &mut Vec<Fault>) -> Option<Chain> {
        let chain = self.certificate.certificates().map_err(|fault| faults.push(fault)).ok();
        let key = self.key.private_key().map_err(|fault| faults.push(fault)).ok();
        let leaf = chain.as_ref().and_then(|chain| chain.first());
        if let Some(leaf) = leaf {
            match Certificate::read(leaf) {
                None => faults.push(self.certificate.fault("holds no X.509 certificate", "write it again")),
                Some(certificate) => faults.extend(self.certificate.out_of_date(&certificate, now)),
            }
        }
        chain.zip(key)
    }

    /// What rustls said of the two.
    pub(super) fn mismatch(&self, error: &rustls::Error) -> Fault {
        match error {
            rustls::Error::InconsistentKeys(_) => {
                let what =
                    format!("does not belong to {} (`{}`)", self.certificate.path.display(), self.certificate.key);
                self.key.fault(what, "name the key that the certificate was made for")
            }
            rustls::Error::InvalidCertificate(CertificateError::Other(other)) => {
                let what = format!("cannot be used: {other}");
                self.certificate
                    .fault(what, "have one of X.509 version 3 made: with extensions, subjectAltName among them")
            }
            rustls::Error::InvalidCertificate(reason) => {
                self.certificate.fault(format!("cannot be used: {reason}"), "have another one made")
            }
            other => {
                let mend = "use a key of RSA (2,048 bits or more), of the curves P-256 or P-384, or Ed25519";
                self.key.fault(format!("cannot be used: {other}"), mend)
            }
        }
    }
}
