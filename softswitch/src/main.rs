//! The program: its allocator, its arguments, and how it ends.

use clap::Parser;
use mimalloc::MiMalloc;
use softswitch::cli::{Arguments, run};
use std::process::ExitCode;

/// Messages are allocated on the core thread and freed there half a minute later, or by the store's: with this allocator
/// a registration costs about a seventh less than with glibc's.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
