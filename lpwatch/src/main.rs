//! The `lpwatch` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    lpwatch::commands::main().into()
}
