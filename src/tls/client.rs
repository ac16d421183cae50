//! The side of a handshake that a server meets.
//!
//! In: whom to believe, and our own certificate, where the server asks for one. Out: a configuration for rustls.

use std::net::IpAddr;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;

use super::files::{Fault, File, Pair};
use super::verifier::Verifier;
use super::{ALPN, provider};
use crate::clock::Timestamp;

/// Which servers are believed; the names are libpq's `sslmode`s.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// `require`: whoever answers. Nobody in between can listen in without taking part.
    Anybody,
    /// `verify-ca`: whose certificate this authority signed.
    Authority(File),
    /// `verify-full`: the same, and it names the host that was connected to.
    Host(File),
}

/// Ready for handshakes.
#[derive(Clone, Debug)]
pub struct Client {
    /// For rustls.
    pub config: Arc<ClientConfig>,
}

impl Client {
    /// Reads the files. The second value are warnings.
    ///
    /// # Errors
    /// Every fault of theirs.
    pub fn load(trust: &Trust, own: Option<&Pair>, now: Timestamp) -> Result<(Client, Vec<Fault>), Vec<Fault>> {
        let mut faults = Vec::new();
        let verifier = Verifier::load(trust, &provider()).map_err(|fault| faults.push(fault)).ok();
        let chain = own.map(|pair| pair.load(now, &mut faults));
        let (Some(verifier), None | Some(Some(_))) = (verifier, &chain) else { return Err(faults) };
        let builder = match ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions() {
            Ok(builder) => builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)),
            // ring has both versions.
            Err(error) => {
                faults.push(Fault { what: error.to_string(), mend: "report it".to_owned(), is_warning: false });
                return Err(faults);
            }
        };
        let config = match (chain.flatten(), own) {
            (Some((chain, key)), Some(pair)) => {
                builder.with_client_auth_cert(chain, key).map_err(|error| faults.push(pair.mismatch(&error))).ok()
            }
            _ => Some(builder.with_no_client_auth()),
        };
        match config {
            Some(mut config) if faults.iter().all(|fault| fault.is_warning) => {
                config.alpn_protocols = vec![ALPN.to_vec()];
                config.resumption = Resumption::disabled();
                Ok((Client { config: Arc::new(config) }, faults))
            }
            _ => Err(faults),
        }
    }
}

/// The name of a `host` that may be an IP address, in brackets or not.
pub fn server_name(host: &str) -> Option<ServerName<'static>> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    match bare.parse::<IpAddr>() {
        Ok(address) => Some(ServerName::from(address)),
        Err(_) => ServerName::try_from(bare.to_owned()).ok(),
    }
}
