//! The binary: hands the arguments to the command line and its status to the system.

use std::process::ExitCode;

use mitsuke::allocator::{self, Allocator};

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

fn main() -> ExitCode {
    allocator::keep_small();
    mitsuke::cli::main(std::env::args_os()).into()
}
