//! `cargo xtask demo`: a live patch stalls in a guest, and lpwatch tells why.

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::build::Scenarios;
use crate::kernels::{Cached, Series};
use crate::vm::Guest;
use crate::vm::accel::{self, Asked};
use crate::vm::guest::{Contents, Task};
use crate::vm::outcome::{Limits, report};
use crate::vm::qemu::{Machine, Network, Tcg};
use crate::{build, modules, paths, setup, ui};

/// Runs `cargo xtask demo`.
pub fn run(series: Series, asked: Asked) -> Result<ExitCode> {
    setup::for_guests()?;
    let kernel = Cached::get(series, false)?;
    let accel = accel::choose(asked, Tcg::Single, &kernel)?;
    let modules = modules::for_kernel(&kernel)?;
    let programs = build::guest_programs(Scenarios::IfTheyBuild)?;
    let script = paths::workspace().join("xtask/guest/demo.sh");
    let script =
        std::fs::read(&script).with_context(|| format!("cannot read {}", script.display()))?;
    let guest = Guest {
        machine: Machine {
            kernel: kernel.image(),
            memory_mib: 2048,
            cpus: 2,
            niceness: 0,
            accel,
            append: String::new(),
            network: Network::None,
        },
        contents: Contents {
            series: series.name().to_owned(),
            task: Task::Script(script),
            programs,
            modules,
            added: Vec::new(),
            trees: Vec::new(),
        },
        limits: Limits {
            total: Some(Duration::from_mins(5)),
            silence: Some(Duration::from_mins(2)),
        },
        log: paths::target("logs").join(format!("demo-{series}.log")),
    };
    ui::note(format!(
        "booting Linux {}; the demo takes about half a minute",
        kernel.manifest.release
    ));
    let outcome = guest.run(&mut io::stdout().lock(), &mut io::stderr().lock())?;
    Ok(report(&outcome, &guest.log))
}
