//! Commands whose names are fixed and whose work is not there yet: each says so and exits 2.

use anyhow::bail;
use clap::Subcommand;

use super::Status;

/// The commands to come.
#[derive(Debug, Subcommand)]
pub enum Later {
    /// Who may read classified columns, and who did (not there yet)
    Access(Anything),
    /// A bundle for the incident responder (not there yet)
    Case(Anything),
    /// The web console over a log (not there yet)
    Console(Anything),
}

/// Whatever was typed after the command.
#[derive(Debug, clap::Args)]
pub struct Anything {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    rest: Vec<String>,
}

impl Later {
    /// Says that it is not there yet.
    pub fn run(self) -> anyhow::Result<Status> {
        let (name, _rest) = match self {
            Later::Access(anything) => ("access", anything.rest),
            Later::Case(anything) => ("case", anything.rest),
            Later::Console(anything) => ("console", anything.rest),
        };
        bail!("`mitsuke {name}` is not there yet in version {}; see CHANGELOG.md", env!("CARGO_PKG_VERSION"))
    }
}
