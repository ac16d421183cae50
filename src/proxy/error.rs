//! What can keep the data plane from starting, in words for the operator.
//!
//! In: an address and what the system said of it. Out: one line that names the address and how to mend it. What a
//! client is told is another, smaller vocabulary: see [`super::refusal`].

use std::io;

use super::Address;
use crate::tls::Fault;

/// Why [`super::Proxy::bind`] failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process listens there.
    #[error("{address} is taken by another process; stop it, or set another [listen].address")]
    Taken {
        /// As configured.
        address: Address,
    },
    /// The socket's folder does not exist.
    #[error("cannot listen on {address}: its folder does not exist; create it, or set another [listen].address")]
    NoFolder {
        /// As configured.
        address: Address,
    },
    /// There is a file, and it is no socket: it is not ours to remove.
    #[error(
        "cannot listen on {address}: there is a file that is not a socket; move it away, or set another [listen].address"
    )]
    NotASocket {
        /// As configured.
        address: Address,
    },
    /// The name leads nowhere.
    #[error(
        "cannot listen on {address}: the host's name cannot be resolved ({source}); set [listen].address to an address of this machine"
    )]
    Unresolved {
        /// As configured.
        address: Address,
        /// What the resolver said.
        source: io::Error,
    },
    /// The system refused for another reason.
    #[error("cannot listen on {address}: {source}; set [listen].address to one that this process may use")]
    Listen {
        /// As configured.
        address: Address,
        /// What the system said.
        source: io::Error,
    },
    /// What is configured for the two legs cannot work.
    #[error("{}", .0.iter().map(Fault::to_string).collect::<Vec<_>>().join("\n"))]
    Faulty(Vec<Fault>),
    /// The threads that relay could not be started.
    #[error("the threads that relay could not be started: {0}")]
    Threads(io::Error),
    /// There is nothing to listen on.
    #[error("there is no address to listen on; set [listen].address")]
    Nowhere,
}
