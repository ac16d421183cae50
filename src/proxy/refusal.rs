//! What a client may be told by the sidecar itself: a closed, small vocabulary.
//!
//! In: why a session cannot go on. Out: an ErrorResponse of severity FATAL, as PostgreSQL would word it, with a SQLSTATE (manual,
//! appendix A) that drivers know what to do with. Everything else that a client sees was said by the server.

use std::borrow::Cow;

use super::legs::BINDING_MEND;
use super::{Address, scram};
use crate::clock::Timestamp;
use crate::policy::acting::Whom;
use crate::wire::message;

/// SQLSTATE `system_error`.
const SYSTEM_ERROR: &str = "58000";

/// Why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The server cannot be reached. 08006.
    ServerAway {
        /// The configured upstream.
        address: Address,
        /// What the system said.
        reason: String,
    },
    /// `connections_max` sessions are there. 53300.
    TooManyConnections,
    /// Bytes came behind an SSLRequest or GSSENCRequest before its answer (CVE-2021-23214). 08P01.
    UnencryptedBehindRequest {
        /// `SSL` or `GSSAPI encryption`.
        request: &'static str,
    },
    /// The stream cannot be followed. 08P01.
    OutOfStep {
        /// Without a byte of what was sent.
        reason: String,
    },
    /// The client came without TLS, and `listen.tls.mode` is `require`. 28000.
    TlsRequired,
    /// The client showed no certificate. 28000.
    CertificateRequired,
    /// The client's certificate names another than the role. 28000.
    CertificateOfAnother {
        /// As asked for.
        role: String,
    },
    /// The server offers to bind the channel, and the client sees another certificate than the server has. 28000.
    CannotBind,
    /// What a client said in an authentication that we take part in. 08P01, 0A000 or 28000.
    Scram(scram::Fault),
    /// What a server said in an authentication that we take part in. 08P01.
    ServerScram(&'static str),
    /// The proof was wrong, and the server did not say so. 28P01.
    WrongPassword {
        /// As asked for.
        role: String,
    },
    /// The role's verifier could not be looked up. 58000.
    NoVerifier,
    /// The client took too long to authenticate. 57014.
    TooSlow,
    /// A start-up packet of the right length and the wrong form. 08P01.
    InvalidStartup,
    /// A protocol that no server of today speaks. 0A000.
    UnsupportedProtocol {
        /// As asked for.
        major: u16,
        /// As asked for.
        minor: u16,
    },
    /// The user or the address is in quarantine. 28000.
    KeptOut {
        /// User or address.
        whom: Whom,
        /// Its name.
        name: String,
        /// Until when.
        until: Timestamp,
    },
    /// What was seen cannot be recorded. 58000.
    Unrecordable,
    /// The sidecar is stopping. 57P01.
    Stopping,
}

impl Refusal {
    /// The SQLSTATE.
    pub fn sqlstate(&self) -> &'static str {
        match self {
            Refusal::ServerAway { .. } => message::CONNECTION_FAILURE,
            Refusal::TooManyConnections => message::TOO_MANY_CONNECTIONS,
            Refusal::UnencryptedBehindRequest { .. }
            | Refusal::OutOfStep { .. }
            | Refusal::InvalidStartup
            | Refusal::ServerScram(_)
            | Refusal::Scram(scram::Fault::Malformed | scram::Fault::Mechanism) => message::PROTOCOL_VIOLATION,
            Refusal::UnsupportedProtocol { .. } | Refusal::Scram(scram::Fault::Unsupported) => {
                message::FEATURE_NOT_SUPPORTED
            }
            Refusal::TlsRequired
            | Refusal::CertificateRequired
            | Refusal::CertificateOfAnother { .. }
            | Refusal::CannotBind
            | Refusal::KeptOut { .. }
            | Refusal::Scram(scram::Fault::Negotiation | scram::Fault::Binding) => message::INVALID_AUTHORIZATION,
            Refusal::WrongPassword { .. } => message::INVALID_PASSWORD,
            Refusal::TooSlow => message::QUERY_CANCELED,
            Refusal::Unrecordable | Refusal::NoVerifier => SYSTEM_ERROR,
            Refusal::Stopping => message::ADMIN_SHUTDOWN,
        }
    }

    /// The message on the wire.
    pub fn to_bytes(&self) -> Vec<u8> {
        message::error_response("FATAL", self.sqlstate(), &self.text())
    }

    fn text(&self) -> Cow<'static, str> {
        match self {
            Refusal::ServerAway { address, reason } => {
                format!("mitsuke cannot reach the PostgreSQL server at {address}: {reason}").into()
            }
            Refusal::TooManyConnections => "sorry, too many clients already".into(),
            Refusal::UnencryptedBehindRequest { request } => {
                format!("received unencrypted data after {request} request").into()
            }
            Refusal::OutOfStep { reason } => format!("mitsuke cannot follow the connection: {reason}").into(),
            Refusal::TlsRequired => "mitsuke lets nobody in without TLS: set sslmode to \"require\" or above".into(),
            Refusal::CertificateRequired => "connection requires a valid client certificate".into(),
            Refusal::CertificateOfAnother { role } => {
                format!("certificate authentication failed for user \"{role}\"").into()
            }
            Refusal::CannotBind => {
                format!("mitsuke cannot pass SCRAM with channel binding on, since its certificate is not the server's; {BINDING_MEND}").into()
            }
            Refusal::Scram(fault) => fault.to_string().into(),
            Refusal::ServerScram(what) => format!("mitsuke cannot log in to the server: {what}").into(),
            Refusal::WrongPassword { role } => format!("password authentication failed for user \"{role}\"").into(),
            Refusal::NoVerifier => "mitsuke cannot look up how the role authenticates".into(),
            Refusal::TooSlow => "canceling authentication due to timeout".into(),
            Refusal::InvalidStartup => "invalid startup packet layout: expected terminator as last byte".into(),
            Refusal::UnsupportedProtocol { major, minor } => {
                format!("unsupported frontend protocol {major}.{minor}: server supports 3.0 and later").into()
            }
            Refusal::KeptOut { whom, name, until } => kept_out(*whom, name, *until).into(),
            Refusal::Unrecordable => "mitsuke cannot record the session".into(),
            Refusal::Stopping => "terminating connection due to administrator command".into(),
        }
    }
}

/// What who is kept out is told, at the door and within.
pub fn kept_out(whom: Whom, name: &str, until: Timestamp) -> String {
    let until = until.to_jiff().strftime("%Y-%m-%d %H:%M:%S UTC");
    match whom {
        Whom::User => format!("mitsuke keeps role \"{name}\" out until {until}"),
        Whom::Address => format!("mitsuke keeps {name} out until {until}"),
    }
}
