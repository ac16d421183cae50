//! `mitsuke query`.

use anyhow::bail;

use super::{Global, Status};

/// Query
#[derive(Debug, clap::Args)]
pub struct Query {}

impl Query {
    /// Runs it.
    pub fn run(self, _global: &Global) -> anyhow::Result<Status> {
        bail!("`mitsuke query` is not there yet")
    }
}
