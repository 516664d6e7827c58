//! `cargo xtask vm`: boots a kernel with lpwatch in it and runs something there.

pub mod accel;
pub mod console;
pub mod guest;
mod initramfs;
pub mod lines;
pub mod outcome;
pub mod qemu;
mod terminal;
mod trouble;

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::build::Scenarios;
use crate::cli::VmArgs;
use crate::kernels::{Cached, Choice};
use crate::{build, interrupt, modules, paths, setup, ui};
use accel::Accel;
use console::Sinks;
use guest::{Contents, Task};
use outcome::{Limits, Outcome, report};
use qemu::{Machine, Network, Qemu};

/// A guest to boot.
#[derive(Debug, Clone)]
pub struct Guest {
    pub machine: Machine,
    pub contents: Contents,
    pub limits: Limits,
    /// Its kernel's console goes here.
    pub log: PathBuf,
}

impl Guest {
    /// Boots the guest and stays until it has ended.
    pub fn run(&self, stdout: &mut dyn Write, stderr: &mut dyn Write) -> Result<Outcome> {
        self.run_with(stdout, stderr, |_| Ok(()))
    }

    /// As [`Self::run`]; `started` gets QEMU as soon as it runs.
    pub fn run_with(
        &self,
        stdout: &mut dyn Write,
        stderr: &mut dyn Write,
        started: impl FnOnce(&Qemu) -> Result<()>,
    ) -> Result<Outcome> {
        let folder = tempfile::Builder::new().prefix("xtask-guest-").tempdir()?;
        let initramfs = folder.path().join("initramfs");
        self.contents.write(&initramfs)?;
        if let Some(logs) = self.log.parent() {
            fs::create_dir_all(logs)?;
        }
        let console = File::create(&self.log)
            .with_context(|| format!("cannot write {}", self.log.display()))?;
        let mut qemu = Qemu::start(
            &self.machine,
            &initramfs,
            &self.log.with_extension("qemu.log"),
        )?;
        started(&qemu)?;
        let mut raw = None;
        if matches!(self.contents.task, Task::Shell { .. }) {
            raw = terminal::RawMode::enter()?;
            terminal::forward(qemu.keyboard()?, interrupt::ask);
        }
        let outcome = console::attend(
            &mut qemu,
            Sinks {
                stdout,
                stderr,
                console,
            },
            self.limits,
        );
        drop(raw);
        outcome
    }
}

/// Runs `cargo xtask vm`.
pub fn run(args: &VmArgs) -> Result<ExitCode> {
    setup::for_guests()?;
    let guest = guest_for(args)?;
    if matches!(guest.contents.task, Task::Shell { .. }) {
        ui::note("booting; leave with `exit`, or with Ctrl-] if the guest hangs");
    }
    let outcome = guest.run(&mut io::stdout().lock(), &mut io::stderr().lock())?;
    Ok(report(&outcome, &guest.log))
}

fn guest_for(args: &VmArgs) -> Result<Guest> {
    let mut accel = Accel::Tcg(args.tcg);
    let (series, kernel, modules) = match &args.kernel {
        Choice::Series(series) => {
            let cached = Cached::get(*series, args.refresh)?;
            accel = accel::choose(args.accel.accel, args.tcg, &cached)?;
            let modules = match &args.modules {
                Some(folder) => Some(folder.clone()),
                None => modules::for_kernel(&cached)?,
            };
            (series.name().to_owned(), cached.image(), modules)
        }
        // An image of one's own is not known to boot at all: nothing to try KVM with.
        Choice::Image(image) => ("custom".to_owned(), image.clone(), args.modules.clone()),
    };
    let task = task_for(args)?;
    let interactive = matches!(task, Task::Shell { .. });
    let programs = if args.no_lpwatch {
        Vec::new()
    } else {
        build::guest_programs(Scenarios::IfTheyBuild)
            .context("lpwatch does not build (--no-lpwatch boots a guest without it)")?
    };
    Ok(Guest {
        machine: Machine {
            kernel,
            memory_mib: args.memory,
            cpus: args.cpus,
            niceness: 0,
            accel,
            append: args.append.clone(),
            network: Network::None,
        },
        log: paths::target("logs").join(format!("vm-{series}-{}.log", std::process::id())),
        contents: Contents {
            series,
            task,
            programs,
            modules,
            added: args.add.clone(),
            trees: Vec::new(),
        },
        limits: Limits {
            total: args.timeout.map(Duration::from_secs),
            // A user may sit and think.
            silence: (!interactive).then(|| Duration::from_secs(args.silence)),
        },
    })
}

fn task_for(args: &VmArgs) -> Result<Task> {
    if let Some(script) = &args.script {
        let contents =
            fs::read(script).with_context(|| format!("cannot read {}", script.display()))?;
        return Ok(Task::Script(contents));
    }
    if args.command.is_empty() {
        return Ok(Task::Shell {
            size: terminal::size(),
        });
    }
    Ok(Task::Command(args.command.clone()))
}
