//! `softphone`: the program. Its commands are in [`softphone::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    softphone::cli::run()
}
