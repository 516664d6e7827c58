//! `lpwatch version`: the version, for people and for scripts.

use serde::Serialize;

use crate::{exit::Exit, model::document::DocumentHead, probe};

use super::{args::Globals, output::Printer, past};

/// Print the version of lpwatch; with `-o json` also the version of its JSON.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {}

const AFTER_HELP: &str = "\
Examples:
  lpwatch version                     the same as lpwatch --version
  lpwatch version -o json | jq -r .lpwatch_version";

/// The version of this program.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct VersionDocument {
    #[serde(flatten)]
    head: DocumentHead,
    /// The version of lpwatch, as in its package.
    lpwatch_version: String,
    /// Whether the program contains its BPF programs. Without them it reads tasks from
    /// `/proc`.
    bpf: bool,
}

pub fn run(globals: &Globals, _args: &Args) -> anyhow::Result<Exit> {
    let output = Printer::new(globals);
    let document = VersionDocument {
        head: past::head(globals),
        lpwatch_version: env!("CARGO_PKG_VERSION").to_owned(),
        bpf: probe::is_built(),
    };
    if output.is_json() {
        output.json(&document)?;
    } else {
        Printer::text(&format!("lpwatch {}", document.lpwatch_version))?;
    }
    Ok(Exit::Success)
}
