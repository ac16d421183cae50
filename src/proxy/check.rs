//! Whether a configuration would work, asked before it has to.
//!
//! In: a [`Config`], the time, and whether the server may be asked. Out: every fault and every warning, each with the key to change.

use super::Config;
use super::legs::Legs;
use super::verifiers::Verifiers;
use crate::clock::Timestamp;
use crate::tls::Fault;

/// Reads every file that the configuration names and, with `ask`, connects to the server as a session would.
pub async fn check(config: &Config, now: Timestamp, ask: bool) -> Vec<Fault> {
    let (legs, mut faults) = match Legs::load(config, now) {
        Ok(loaded) => loaded,
        Err(faults) => return faults,
    };
    if !ask {
        return faults;
    }
    if let Err(error) = legs.upstream.reach().await {
        let address = &legs.upstream.address;
        let reason = match error.kind() {
            std::io::ErrorKind::TimedOut => format!("no answer within {} s", legs.upstream.connect_timeout.as_secs()),
            _ => error.to_string(),
        };
        let what = format!("`upstream.address` is {address}, which cannot be reached: {reason}");
        faults.push(Fault { what, mend: "start the server, or correct the address".to_owned(), is_warning: false });
        return faults;
    }
    match legs.binding_fault().await {
        Ok(found) => faults.extend(found),
        Err(error) => tracing::debug!(%error, "the server was there a moment ago"),
    }
    if let Some(verifiers) = &legs.verifiers {
        faults.extend(lookup_fault(verifiers).await);
    }
    faults
}

/// Looks up a role that nobody has: whether the query runs is all that is asked.
async fn lookup_fault(verifiers: &Verifiers) -> Option<Fault> {
    let error = verifiers.of("").await.err()?;
    let what = format!("`upstream.auth` is \"terminate\", and verifiers cannot be looked up: {error}");
    let mend = "correct `upstream.auth_query`, or let the role of `catalog.url` run it: \
                GRANT SELECT (rolname, rolpassword) ON pg_authid, or EXECUTE on a SECURITY DEFINER function";
    Some(Fault { what, mend: mend.to_owned(), is_warning: false })
}
