//! `lpwatch completions`: completions for the shell.

use std::io::Write;

use crate::exit::Exit;

/// Write the completions for a shell to standard output.
#[derive(Debug, clap::Args)]
#[command(hide = true)]
pub struct Args {
    shell: clap_complete::Shell,
}

pub fn run(args: &Args, mut command: clap::Command) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "lpwatch", &mut script);
    std::io::stdout().write_all(&script)?;
    Ok(Exit::Success)
}
