//! Why a stream cannot be followed. Carries types and lengths of messages, never their content.

use crate::wire::frame::InvalidLength;
use crate::wire::startup::StartupError;

/// The session cannot be followed any further and has to end: going on would be a guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutOfStep {
    /// The client sent a length that the server will not take.
    #[error("client: {0}")]
    ClientFrame(InvalidLength),
    /// The server sent a length that no server sends.
    #[error("server: {0}")]
    ServerFrame(InvalidLength),
    /// The client's first packet is no start-up message.
    #[error("client: {0}")]
    Startup(#[from] StartupError),
    /// The client's first packet is a request that should have been answered before.
    #[error("client: the session does not begin with a start-up message")]
    NotStartup,
    /// The server answered something that was not asked.
    #[error("server: message of type 0x{kind:02x} answers nothing; {awaited} was awaited")]
    Unexpected {
        /// The message's type byte.
        kind: u8,
        /// What was awaited.
        awaited: &'static str,
    },
    /// The server sent a message whose content does not fit its frame.
    #[error("server: message of type 0x{kind:02x} is malformed")]
    Malformed {
        /// The message's type byte.
        kind: u8,
    },
    /// A COPY failed, the client had sent a Sync that it may have passed over or not, and then something else.
    #[error("client: what it sent behind a failed COPY, without a Sync after the data, was skipped or was not")]
    Unclear,
    /// More than [`super::OUTSTANDING_MAX`] messages, or [`super::OUTSTANDING_TEXT_BYTES_MAX`] of text, unanswered.
    #[error("client: too many messages are sent ahead of the server's answers")]
    TooFarAhead,
}
