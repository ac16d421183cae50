//! `mitsuke policy`.

use anyhow::bail;

use super::{Global, Status};

/// Policy
#[derive(Debug, clap::Args)]
pub struct Policy {}

impl Policy {
    /// Runs it.
    pub fn run(self, _global: &Global) -> anyhow::Result<Status> {
        bail!("`mitsuke policy` is not there yet")
    }
}
