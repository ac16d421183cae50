//! `[fleet]`: the store through which sidecars tell each other who is kept out.
//!
//! In: the section. Out: an address that is one, and where its password stands. Refuses a password that would leave this machine
//! unencrypted; never repeats the address, which may hold one.

use redis::{ConnectionAddr, IntoConnectionInfo as _};

use super::section::Section;
use crate::fleet::Config;

/// What keys in the store begin with.
const PREFIX: &str = "mitsuke";

/// `None` where there is no url, or one that is none.
pub fn read(section: &mut Section<'_>) -> Option<Config> {
    let (password_file, tls_ca) = (section.file("password_file"), section.file("tls_ca"));
    let prefix = section.text("prefix").map_or_else(|| PREFIX.to_owned(), |(prefix, _)| prefix);
    let Some((url, place)) = section.text("url") else {
        if password_file.is_some() || tls_ca.is_some() {
            section.fault_here("`fleet` has no `url`", "write url = \"rediss://host:6379\", or remove the section");
        }
        return None;
    };
    let Ok(info) = url.as_str().into_connection_info() else {
        let mend = "write \"redis://host:6379\", or \"rediss://host:6379\" for TLS";
        section.fault(&place, "`fleet.url` is no address of a Redis", mend);
        return None;
    };
    let has_password = password_file.is_some() || info.redis_settings().password().is_some();
    match info.addr() {
        ConnectionAddr::Tcp(host, _) if has_password && !is_here(host) => {
            let what = "the password of `fleet.url` would go over the network in clear";
            section.fault(&place, what, "write rediss:// for TLS");
        }
        ConnectionAddr::Tcp(..) | ConnectionAddr::Unix(_) if tls_ca.is_some() => {
            section.fault(&place, "`fleet.tls_ca` is set, and `fleet.url` has no TLS", "write rediss://");
        }
        _ => {}
    }
    Some(Config { url, password_file, tls_ca, prefix })
}

fn is_here(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}
