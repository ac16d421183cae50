//! Events → records: the stage beside the data plane that understands, judges and logs.
//!
//! In: events from the intake journal, in order, live or replayed after a crash: the same code either way. Out:
//! statements, transactions, sessions and findings in the record journal, and the findings once more, after they are
//! durable, to whoever tells people. One thread joins; parsing runs on threads of its own (`parsers`).

pub(crate) mod identity;
pub(crate) mod parsers;
mod kept;
mod notified;
mod recovery;
mod session;
mod settings;
pub(crate) mod sighted;
mod stage;
mod statement;
mod transaction;
mod understood;

pub use self::identity::Source;
pub use self::stage::{Control, Rooms, Stage, StageError};

/// `[identity]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where the name of the person behind a shared role may be found, tried in order.
    pub end_user: Vec<Source>,
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
            literals: Literals::default(),
        }
    }
}

#[cfg(test)]
mod tests;
