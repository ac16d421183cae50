//! `[listen]` and `[upstream]`.
//!
//! In: the two sections. Out: the data plane's configuration. Knows which keys belong together; whether files, names and
//! the server fit is found out where they are used.

use super::section::Section;
use crate::proxy::{
    Auth, ChannelBinding, ClientCertificate, Config, DEFAULT_AUTH_QUERY, ListenTls, Lookup, UpstreamTls,
};
use crate::tls::{File, Outward, Own, Pair, Trust};

const ADDRESS: &str = "an address: \"host:port\" or \"unix:/path/.s.PGSQL.6432\"";

/// Reads `[listen]`.
pub fn listen(section: &mut Section<'_>, config: &mut Config) {
    if let Some(texts) = section.texts("address") {
        let mut addresses = Vec::new();
        for (text, place) in texts {
            match text.parse() {
                Ok(address) => addresses.push(address),
                Err(what) => section.fault(&place, what, ""),
            }
        }
        match addresses.is_empty() {
            true => section.fault_here("`listen.address` names no address", "leave it out for 127.0.0.1:6432"),
            false => config.listen = addresses,
        }
    }
    config.connections_max =
        section.number("connections_max", 1, 1_000_000).map_or(config.connections_max, |max| max as usize);
    config.startup_timeout = section.duration("startup_timeout").unwrap_or(config.startup_timeout);
    config.drain_timeout = section.duration("drain_timeout").unwrap_or(config.drain_timeout);
    config.listen_user_timeout = section.duration("user_timeout");
    config.listen_tls = section.section("tls", listen_tls).unwrap_or_default();
}

/// Reads `[upstream]`. The URL of [`Auth::Terminate`] stands in another section, and is left empty.
pub fn upstream(section: &mut Section<'_>, config: &mut Config) {
    #[derive(Clone, Copy)]
    enum Who {
        Server,
        Us,
    }
    config.upstream = section.parsed("address", ADDRESS).unwrap_or_else(|| config.upstream.clone());
    config.connect_timeout = section.duration("connect_timeout").unwrap_or(config.connect_timeout);
    config.upstream_user_timeout = section.duration("user_timeout");
    config.upstream_tls = section.section("tls", upstream_tls).unwrap_or_default();
    let who = section.word("auth", &[("pass", Who::Server), ("terminate", Who::Us)]);
    let binding = section.word("channel_binding", &[("keep", ChannelBinding::Keep), ("drop", ChannelBinding::Drop)]);
    let query = section.text("auth_query").map(|(query, _)| query);
    config.auth = match who {
        Some(Who::Us) => {
            if binding.is_some() {
                section.fault_here(
                    "`upstream.channel_binding` has no meaning with `upstream.auth` = \"terminate\"",
                    "remove it: each leg binds its own channel",
                );
            }
            Auth::Terminate(Lookup {
                url: String::new(),
                query: query.unwrap_or_else(|| DEFAULT_AUTH_QUERY.to_owned()),
            })
        }
        Some(Who::Server) | None => Auth::Pass(binding.unwrap_or_default()),
    };
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ClientMode {
    Disable,
    Allow,
    Require,
}

fn listen_tls(section: &mut Section<'_>) -> ListenTls {
    use ClientMode::{Allow, Disable, Require};
    let mode = section.word("mode", &[("disable", Disable), ("allow", Allow), ("require", Require)]);
    let pair = pair(section, "listen.tls.certificate", "listen.tls.key");
    let client_ca = file(section, "client_ca", "listen.tls.client_ca");
    let verify = section.word(
        "client_verify",
        &[
            ("optional", ClientCertificate::Optional),
            ("verify-ca", ClientCertificate::Authority),
            ("verify-full", ClientCertificate::Role),
        ],
    );
    if verify.is_some() && client_ca.is_none() {
        section.fault_here(
            "`listen.tls.client_verify` needs `client_ca`",
            "name the file of the authority that signs clients' certificates",
        );
    }
    match (mode, pair) {
        (Some(Disable), _) => ListenTls::Disable,
        (Some(mode), Some(pair)) => ListenTls::On {
            own: Own { pair, client_ca },
            is_required: mode == Require,
            client: verify.unwrap_or_default(),
        },
        (Some(_), None) => {
            section.fault_here(
                "`listen.tls` has no `certificate` and `key`",
                "name the files of both, or set `mode` to \"disable\"",
            );
            ListenTls::Disable
        }
        (None, _) => {
            section.fault_here("`listen.tls` has no `mode`", "write one of \"disable\", \"allow\", \"require\"");
            ListenTls::Disable
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ServerMode {
    Disable,
    Allow,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

fn upstream_tls(section: &mut Section<'_>) -> UpstreamTls {
    use ServerMode::{Allow, Disable, Prefer, Require, VerifyCa, VerifyFull};
    let words = [
        ("disable", Disable),
        ("prefer", Prefer),
        ("require", Require),
        ("verify-ca", VerifyCa),
        ("verify-full", VerifyFull),
        ("allow", Allow),
    ];
    let mode = section.word("mode", &words);
    let ca = file(section, "ca", "upstream.tls.ca");
    let own = pair(section, "upstream.tls.certificate", "upstream.tls.key");
    let trust = match (mode, ca) {
        (Some(VerifyCa), Some(ca)) => Trust::Authority(ca),
        (Some(VerifyFull), Some(ca)) => Trust::Host(ca),
        (Some(VerifyCa | VerifyFull), None) => {
            section.fault_here(
                "`upstream.tls.mode` verifies the server, and there is no `ca`",
                "name the file of the authority that signed the server's certificate",
            );
            return UpstreamTls::Disable;
        }
        (Some(Prefer | Require), Some(_)) => {
            section.fault_here(
                "`upstream.tls.ca` is not used: `mode` does not verify the server",
                "set `mode` to \"verify-ca\" or \"verify-full\"",
            );
            return UpstreamTls::Disable;
        }
        (Some(Allow), _) => {
            section.fault_here(
                "`upstream.tls.mode` is \"allow\", libpq's way of trying without TLS first",
                "write \"prefer\", or \"require\"",
            );
            return UpstreamTls::Disable;
        }
        (None, _) => {
            section.fault_here(
                "`upstream.tls` has no `mode`",
                "write one of \"disable\", \"prefer\", \"require\", \"verify-ca\", \"verify-full\"",
            );
            return UpstreamTls::Disable;
        }
        (Some(Disable), _) => return UpstreamTls::Disable,
        (Some(Prefer | Require), None) => Trust::Anybody,
    };
    UpstreamTls::On(Outward { is_required: mode != Some(Prefer), trust, own })
}

fn file(section: &mut Section<'_>, key: &'static str, path: &'static str) -> Option<File> {
    section.file(key).map(|file| File { key: path, path: file })
}

/// `certificate` and `key`; one without the other is a fault.
fn pair(section: &mut Section<'_>, certificate_path: &'static str, key_path: &'static str) -> Option<Pair> {
    match (file(section, "certificate", certificate_path), file(section, "key", key_path)) {
        (Some(certificate), Some(key)) => Some(Pair { certificate, key }),
        (None, None) => None,
        _ => {
            section.fault_here(
                format!("one of `{certificate_path}` and `{key_path}` is missing"),
                "name both, or neither",
            );
            None
        }
    }
}
