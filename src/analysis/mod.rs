//! Events → records: the stage beside the data plane that understands, judges and logs.
//!
//! In: events from the intake journal, in order, live or replayed after a crash: the same code either way. Out:
//! statements, transactions, sessions and findings in the record journal, and the findings once more, after they are
//! durable, to whoever tells people. One thread joins; parsing runs on threads of its own (`parsers`).

pub(crate) mod identity;
pub(crate) mod parsers;
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
}

impl Default for Config {
    fn default() -> Config {
        Config {
            end_user: vec![
                Source::Comment("user".to_owned()),
                Source::Setting("app.user".to_owned()),
                Source::ApplicationName,
            ],
        }
    }
}

#[cfg(test)]
mod tests;
