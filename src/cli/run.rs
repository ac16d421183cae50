//! `mitsuke run`.

use anyhow::bail;

use super::{Global, Status};

/// Run
#[derive(Debug, clap::Args)]
pub struct Run {}

impl Run {
    /// Runs it.
    pub fn run(self, _global: &Global) -> anyhow::Result<Status> {
        bail!("`mitsuke run` is not there yet")
    }
}
