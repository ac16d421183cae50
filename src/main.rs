//! The binary: hands the arguments to the command line and its status to the system.

use std::process::ExitCode;

use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    mitsuke::cli::main(std::env::args_os()).into()
}
