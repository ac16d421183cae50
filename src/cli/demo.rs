//! `mitsuke demo`.

use anyhow::bail;

use super::{Global, Status};

/// Demo
#[derive(Debug, clap::Args)]
pub struct Demo {}

impl Demo {
    /// Runs it.
    pub fn run(self, _global: &Global) -> anyhow::Result<Status> {
        bail!("`mitsuke demo` is not there yet")
    }
}
