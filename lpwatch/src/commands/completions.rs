//! `lpwatch completions`: completions for the shell. The script asks lpwatch itself,
//! so that it also completes the names of patches and the ids of tasks.

use std::io::Write;

use anyhow::Context as _;
use clap::Parser as _;
use clap_complete::{
    Shell,
    engine::CompletionCandidate,
    env::{CompleteEnv, Shells},
};

use crate::{
    engine,
    exit::Exit,
    kernel::Roots,
    model::{Snapshot, TaskReport, Thresholds},
    observe::observer::Observer,
    text::printable,
};

use super::{args::Globals, block_on, snapshots};

/// Write the completions for a shell to standard output.
///
/// They complete commands, options, the names of loaded patches, and for `lpwatch
/// explain` the ids of the tasks left. The package installs them for bash, zsh and
/// fish.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    shell: Shell,
}

const AFTER_HELP: &str = "\
Examples:
  lpwatch completions bash > /usr/share/bash-completion/completions/lpwatch
  lpwatch completions zsh > /usr/local/share/zsh/site-functions/_lpwatch
  lpwatch completions fish > /etc/fish/completions/lpwatch.fish";

/// The variable by which the script asks lpwatch.
const VARIABLE: &str = "LPWATCH_COMPLETE";
const PROGRAM: &str = "lpwatch";

pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let shells = Shells::builtins();
    let shell = shells
        .completer(&args.shell.to_string())
        .with_context(|| format!("no completions exist for {}", args.shell))?;
    let mut script = Vec::new();
    shell.write_registration(VARIABLE, PROGRAM, PROGRAM, PROGRAM, &mut script)?;
    std::io::stdout().write_all(&script)?;
    Ok(Exit::Success)
}

/// Answers the script of a shell and exits, if that is what called lpwatch.
pub fn answer(command: fn() -> clap::Command) {
    CompleteEnv::with_factory(command)
        .var(VARIABLE)
        .bin(PROGRAM)
        .complete();
}

/// The names of the loaded patches.
pub fn patches() -> Vec<CompletionCandidate> {
    let Ok(read) = engine::read_all(&Roots::default()) else {
        return Vec::new();
    };
    let names = read.patches.into_iter().map(|patch| patch.name);
    names
        .filter(|name| printable(name) == *name)
        .map(CompletionCandidate::new)
        .collect()
}

/// The ids of the tasks left, with their names.
pub fn tasks() -> Vec<CompletionCandidate> {
    let report = glance().and_then(|snapshot| TaskReport::of(&snapshot, None));
    let blockers = report.map(|report| report.blockers).unwrap_or_default();
    blockers
        .into_iter()
        .map(|blocker| {
            let name = printable(&blocker.comm);
            CompletionCandidate::new(blocker.tid.to_string()).help(Some(name.into()))
        })
        .collect()
}

#[derive(clap::Parser)]
struct NoWords {
    #[command(flatten)]
    globals: Globals,
}

/// The state from the daemon; without one, what can be read at once.
fn glance() -> Option<Snapshot> {
    let NoWords { mut globals } = NoWords::parse_from([PROGRAM]);
    let asked = block_on(async { Ok(snapshots::from_daemon(&globals).await.ok()) });
    if let Ok(Some(snapshot)) = asked {
        return Some(snapshot);
    }
    globals.no_bpf = true;
    let observer = Observer::single_look(&globals.observer_options()).ok()?;
    Some(observer.snapshot(&Thresholds::default()))
}
