//! `lpwatch-scenarios`: runs lpwatch against real livepatches.
//!
//! It runs inside a guest that `cargo xtask test` or `cargo xtask vm` has
//! booted, as root, with lpwatch at /bin/lpwatch and the test modules in
//! /modules. It must never run on a machine that matters: it loads livepatches.

mod actor;
mod bench;
mod blockers;
mod calls;
mod contract;
mod diagnosis;
mod foreign;
mod guest;
mod journal;
mod knowledge;
mod lpwatch;
mod opens;
mod oracle;
mod patch;
mod predictions;
#[cfg(test)]
mod proofs;
mod reasons;
mod restricted;
mod runner;
mod scenarios;
mod schema;
mod scrape;
mod sleeper;
mod tasks;
mod terminal;
mod trial;
mod uring;
mod vfork;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Run lpwatch against real livepatches, inside a guest made for it")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Print the scenarios: name, group, marks, description
    ///
    /// `boot=own` marks one that spoils its guest, `paced` one to which the kernel
    /// gives a time, `timed` one that measures time, `once` one whose outcome no
    /// kernel decides, and `long` one that takes minutes.
    List,
    /// Run scenarios; one JSON line each on stdout, progress on stderr
    ///
    /// With `LPWATCH_STALL_PATCH=lp_cmdline.ko` the scenario `stall` loads that
    /// easy patch in place of the stalling one, and must then fail: that is how
    /// to see that the scenarios can fail at all.
    Run {
        /// Run this one (may be repeated); without it, all that need no boot of their own
        #[arg(long, value_name = "NAME")]
        only: Vec<String>,
    },
    /// Measure what lpwatch costs; JSON lines on stdout, progress on stderr
    #[command(hide = true)]
    Bench {
        #[command(subcommand)]
        bench: bench::Bench,
    },
    /// Sleep in pause(2) until killed, under a name given as hexadecimal bytes
    #[command(hide = true)]
    Pause {
        #[arg(long)]
        comm: Option<String>,
    },
    /// Play a part that a scenario needs beside itself
    #[command(hide = true)]
    Act {
        #[command(subcommand)]
        part: actor::Part,
    },
    /// Give up rights or hide a folder, then become the command given
    #[command(hide = true)]
    Restricted(restricted::Options),
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::List => {
            runner::list();
            ExitCode::SUCCESS
        }
        Command::Run { only } => runner::run(&only),
        Command::Bench { bench } => report(bench::run(&bench)),
        Command::Pause { comm } => report(sleeper::sleep_here(comm.as_deref())),
        Command::Act { part } => report(actor::play(&part)),
        Command::Restricted(options) => report(restricted::become_command(&options)),
    }
}

fn report(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lpwatch-scenarios: {error:#}");
            ExitCode::FAILURE
        }
    }
}
