//! `cargo xtask`: the one tool for building lpwatch and trying it out.

mod archive;
mod bench;
mod build;
mod chroot;
mod cli;
mod demo;
mod dist;
mod fleet;
mod interrupt;
mod kernels;
mod lock;
mod modules;
mod page;
mod paths;
mod process;
mod setup;
mod test;
mod ui;
mod vm;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use cli::{Cli, Command};

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<ExitCode> {
    interrupt::listen()?;
    match &cli.command {
        Command::Setup { again } => setup::run(*again),
        Command::Build => build::run(),
        Command::Bench { bench } => bench::run(bench),
        Command::Demo { kernel, accel } => demo::run(*kernel, accel.accel),
        Command::Dist { check } => dist::run(*check),
        Command::FleetSim { arguments } => fleet::simulate(arguments),
        Command::Test(args) => test::run(args),
        Command::Vm(args) => vm::run(args),
    }
}
