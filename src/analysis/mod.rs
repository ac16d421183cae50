//! Events → records: the stage beside the data plane that understands, judges and logs.
//!
//! In: events from the intake journal, in order, live or replayed after a crash: the same code either way. Out:
//! statements, transactions, sessions and findings in the record journal, and the findings once more, after they are
//! durable, to whoever tells people. One thread joins; parsing runs on threads of its own (`parsers`).

pub(crate) mod identity;
pub(crate) mod parsers;
mod found;
mod given;
pub(crate) mod held;
mod kept;
mod notified;
mod passed;
mod places;
mod recovery;
mod session;
mod settings;
pub(crate) mod sighted;
mod stage;
mod statement;
mod transaction;
mod understood;

pub use self::identity::{Identity, Source, read_keys};
pub use self::parsers::{Analyses, Parsers};
pub use self::passed::Passed;
pub use self::stage::{Control, Rooms, Stage, StageError};
pub(crate) use self::statement::{in_rows, people_streamed};

use std::path::PathBuf;
use std::time::Duration;

/// `[identity]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where the name of the person behind a shared role may be found, tried in order.
    pub end_user: Vec<Source>,
    /// The keys that applications sign their comments with; none: nobody does.
    pub comment_keys: Option<PathBuf>,
    /// How far the time in a signed comment may be from ours.
    pub comment_window: Duration,
    /// What becomes of constants and parameters.
    pub literals: Literals,
}

/// `[privacy].literals`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Literals {
    /// They are in the log as keyed hashes.
    #[default]
    Hash,
    /// They are in no record.
    Drop,
    /// They are in the log as they are, and what errors say, too.
    Keep,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            end_user: vec![
                Source::Comment("user".to_owned()),
                Source::Setting("app.user".to_owned()),
                Source::ApplicationName,
            ],
            comment_keys: None,
            comment_window: Duration::from_secs(300),
            literals: Literals::default(),
        }
    }
}

#[cfg(test)]
mod tests;
