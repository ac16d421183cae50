//! What both legs of a session need, made ready once: certificates read, names checked, combinations that cannot work refused.
//!
//! In: a [`Config`] and the time. Out: [`Legs`], or every [`Fault`], each with the key to change. A session keeps the legs it began
//! with; a reload makes new ones for those that come after.

use std::sync::Arc;

use super::config::{Auth, ChannelBinding, ClientCertificate, ListenTls, UpstreamTls};
use super::refusal::Refusal;
use super::socket::Socket;
use super::upstream::{self, Upstream};
use super::verifiers::Verifiers;
use super::{Address, Config};
use crate::clock::Timestamp;
use crate::session::event::Who;
use crate::tls::{self, Fault, Outward};

/// See the module.
#[derive(Debug)]
pub struct Legs {
    /// What was meant.
    pub config: Config,
    /// TLS on the clients' leg.
    pub tls: Option<ClientTls>,
    /// The way to the server.
    pub upstream: Upstream,
    /// Where verifiers come from, where we authenticate clients ourselves.
    pub verifiers: Option<Verifiers>,
}

/// See [`ListenTls::On`].
#[derive(Debug)]
pub struct ClientTls {
    /// Ready for handshakes.
    pub server: tls::Server,
    /// Whether a client over TCP has to take part.
    pub is_required: bool,
    /// What it has to show.
    pub certificate: ClientCertificate,
}

impl Legs {
    /// Makes them ready. The second value are warnings.
    ///
    /// # Errors
    /// Every fault.
    pub fn load(config: &Config, now: Timestamp) -> Result<(Legs, Vec<Fault>), Vec<Fault>> {
        let mut faults = Vec::new();
        let tls = client_tls(config, now, &mut faults);
        let upstream_tls = upstream_tls(config, now, &mut faults);
        let upstream = Upstream {
            address: config.upstream.clone(),
            connect_timeout: config.connect_timeout,
            user_timeout: config.upstream_user_timeout,
            tls: upstream_tls,
        };
        let verifiers = match &config.auth {
            Auth::Pass(_) => None,
            Auth::Terminate(lookup) => {
                let verifiers = Verifiers::new(lookup, upstream.clone());
                verifiers
                    .map_err(|what| {
                        faults.push(fault(what, "write `catalog.url` as postgres://user@host:port/database"))
                    })
                    .ok()
            }
        };
        match faults.iter().all(|fault| fault.is_warning) {
            true => Ok((Legs { config: config.clone(), tls, upstream, verifiers }, faults)),
            false => Err(faults),
        }
    }

    /// Why a client is not let in, before the server is asked.
    pub fn objection(&self, client: &Socket, who: &Who) -> Option<Refusal> {
        let tls = self.tls.as_ref()?;
        match client {
            Socket::Tls(_) => {}
            client if client.as_tcp().is_some() => return tls.is_required.then_some(Refusal::TlsRequired),
            _ => return None,
        }
        let role = who.db_user.as_deref().unwrap_or_default();
        match (tls.certificate, &who.certificate) {
            (ClientCertificate::Optional, _) | (ClientCertificate::Authority, Some(_)) => None,
            (_, None) => Some(Refusal::CertificateRequired),
            (ClientCertificate::Role, Some(shown)) if shown.common_name.as_deref() == Some(role) => None,
            (ClientCertificate::Role, Some(_)) => Some(Refusal::CertificateOfAnother { role: role.to_owned() }),
        }
    }

    /// Whether clients could bind their channel to the certificate they see, as far as the server can be asked. What was asked and
    /// answered is told apart: a server that is away is no fault of the configuration.
    ///
    /// # Errors
    /// The server could not be asked.
    pub async fn binding_fault(&self) -> std::io::Result<Option<Fault>> {
        let (Some(tls), Auth::Pass(ChannelBinding::Keep), Some(_)) = (&self.tls, &self.config.auth, &self.upstream.tls)
        else {
            return Ok(None);
        };
        let server = self.upstream.connect().await?;
        let shown = server.encrypted().map(|encrypted| encrypted.server_certificate());
        let is_same = shown.is_none_or(|shown| shown == &*tls.server.certificate);
        Ok((!is_same).then(|| {
            fault(
                "clients and server see different certificates, so that SCRAM with channel binding cannot pass",
                BINDING_MEND,
            )
        }))
    }
}

/// How to mend [`Legs::binding_fault`].
pub const BINDING_MEND: &str = "set `upstream.auth` to \"terminate\", or `listen.tls.certificate` to the server's own certificate, or \
                                `upstream.channel_binding` to \"drop\" where no client over TLS uses SCRAM with it";

fn fault(what: impl Into<String>, mend: impl Into<String>) -> Fault {
    Fault { what: what.into(), mend: mend.into(), is_warning: false }
}

fn client_tls(config: &Config, now: Timestamp, faults: &mut Vec<Fault>) -> Option<ClientTls> {
    let ListenTls::On { own, is_required, client } = &config.listen_tls else { return None };
    if !config.listen.iter().any(|address| matches!(address, Address::Tcp(_))) {
        let what = "`listen.tls` is set, and every `listen.address` is a unix socket, which carries no TLS";
        faults.push(fault(what, "add a host:port to `listen.address`, or remove `listen.tls`"));
    }
    if *client != ClientCertificate::Optional && !is_required {
        let what =
            "`listen.tls.client_verify` asks for certificates, and `listen.tls.mode` lets clients in without TLS";
        faults.push(fault(what, "set `listen.tls.mode` to \"require\""));
    }
    match tls::Server::load(own, now) {
        Ok((server, warnings)) => {
            faults.extend(warnings);
            Some(ClientTls { server, is_required: *is_required, certificate: *client })
        }
        Err(found) => {
            faults.extend(found);
            None
        }
    }
}

fn upstream_tls(config: &Config, now: Timestamp, faults: &mut Vec<Fault>) -> Option<upstream::Tls> {
    let UpstreamTls::On(Outward { is_required, trust, own }) = &config.upstream_tls else { return None };
    let Address::Tcp(host_port) = &config.upstream else {
        if *is_required {
            let what = "`upstream.tls` is set, and `upstream.address` is a unix socket, which carries no TLS";
            faults.push(fault(what, "remove `upstream.tls`, or set `upstream.address` to host:port"));
        }
        return None;
    };
    let host = host_port.rsplit_once(':').map_or(host_port.as_str(), |(host, _)| host);
    let name = tls::server_name(host);
    if name.is_none() {
        let what = format!("`upstream.address` names `{host}`, which no certificate can name");
        faults.push(fault(what, "write the host's name or address as the server's certificate has it"));
    }
    match tls::Client::load(trust, own.as_ref(), now) {
        Ok((client, warnings)) => {
            faults.extend(warnings);
            Some(upstream::Tls { client: Arc::new(client), name: name?, is_required: *is_required })
        }
        Err(found) => {
            faults.extend(found);
            None
        }
    }
}
