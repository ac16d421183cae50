//! `mitsuke check`.

use anyhow::bail;

use super::{Global, Status};

/// Check
#[derive(Debug, clap::Args)]
pub struct Check {}

impl Check {
    /// Runs it.
    pub fn run(self, _global: &Global) -> anyhow::Result<Status> {
        bail!("`mitsuke check` is not there yet")
    }
}
