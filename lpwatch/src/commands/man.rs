//! `lpwatch man`: the manual pages, generated from the help texts.

use std::{io::Write, path::PathBuf};

use anyhow::Context;

use crate::exit::Exit;

/// Write the manual pages, one per command, to a directory.
#[derive(Debug, clap::Args)]
#[command(hide = true)]
pub struct Args {
    /// The directory. Default: write the main page to standard output.
    directory: Option<PathBuf>,
}

pub fn run(args: &Args, command: clap::Command) -> anyhow::Result<Exit> {
    if let Some(directory) = &args.directory {
        clap_mangen::generate_to(command, directory)
            .with_context(|| format!("cannot write manual pages to {}", directory.display()))?;
    } else {
        let mut page = Vec::new();
        clap_mangen::Man::new(command).render(&mut page)?;
        std::io::stdout().write_all(&page)?;
    }
    Ok(Exit::Success)
}
