//! `mitsuke report`.

use anyhow::bail;

use super::{Global, Status};

/// Report
#[derive(Debug, clap::Args)]
pub struct Report {}

impl Report {
    /// Runs it.
    pub fn run(self, _global: &Global) -> anyhow::Result<Status> {
        bail!("`mitsuke report` is not there yet")
    }
}
