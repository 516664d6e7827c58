//! Whether guests run on the processor itself (KVM) or are emulated (TCG).
//!
//! That /dev/kvm can be opened proves nothing: inside another hypervisor it may
//! be there and a kernel still not boot. So a kernel is booted to find out.

use std::fs::OpenOptions;
use std::io;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::ValueEnum;

use super::Guest;
use super::guest::{Contents, Task};
use super::outcome::{Limits, Outcome};
use super::qemu::{Machine, Network, Tcg};
use crate::kernels::Cached;
use crate::{paths, ui};

const DEVICE: &str = "/dev/kvm";
/// A kernel boots on KVM within two seconds.
const TRIAL: Duration = Duration::from_secs(12);

/// What `--accel` takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Asked {
    /// KVM if a kernel boots on it, else emulation.
    #[default]
    Auto,
    /// KVM, or an error.
    Kvm,
    /// Emulation.
    Tcg,
}

/// What runs the guest's processors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accel {
    Kvm,
    Tcg(Tcg),
}

impl Default for Accel {
    fn default() -> Self {
        Self::Tcg(Tcg::Single)
    }
}

impl Accel {
    /// The value of QEMU's `-accel`.
    pub fn argument(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Tcg(Tcg::Single) => "tcg,thread=single",
            Self::Tcg(Tcg::Multi) => "tcg,thread=multi",
        }
    }
}

/// What was decided, for guests of other parts of the same run.
static CHOSEN: OnceLock<Accel> = OnceLock::new();

/// What [`choose`] decided first; emulation before that.
pub fn chosen() -> Accel {
    CHOSEN.get().copied().unwrap_or_default()
}

/// Decides, and says what was chosen and why.
///
/// # Errors
/// KVM was asked for and does not work here.
pub fn choose(asked: Asked, tcg: Tcg, kernel: &Cached) -> Result<Accel> {
    let accel = decide(asked, tcg, kernel)?;
    Ok(*CHOSEN.get_or_init(|| accel))
}

fn decide(asked: Asked, tcg: Tcg, kernel: &Cached) -> Result<Accel> {
    if asked == Asked::Tcg {
        return Ok(Accel::Tcg(tcg));
    }
    let start = Instant::now();
    match trial(kernel) {
        Ok(()) => {
            let took = start.elapsed().as_secs_f64();
            ui::note(format!(
                "guests run on KVM: a kernel booted on it in {took:.1} s"
            ));
            Ok(Accel::Kvm)
        }
        Err(why) if asked == Asked::Kvm => {
            bail!("--accel kvm: no kernel boots on KVM here: {why}")
        }
        Err(why) => {
            ui::note(format!(
                "guests are emulated (TCG), because no kernel boots on KVM here: {why}"
            ));
            Ok(Accel::Tcg(tcg))
        }
    }
}

/// Boots a kernel on KVM; in one line, why it does not.
fn trial(kernel: &Cached) -> Result<(), String> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .open(DEVICE)
        .map_err(|error| format!("{DEVICE} cannot be opened: {error}"))?;
    let guest = Guest {
        machine: Machine {
            kernel: kernel.image(),
            memory_mib: 512,
            cpus: 2,
            niceness: 0,
            accel: Accel::Kvm,
            append: String::new(),
            network: Network::None,
        },
        contents: Contents {
            series: kernel.series.name().to_owned(),
            task: Task::Command(vec!["true".to_owned()]),
            programs: Vec::new(),
            modules: None,
            added: Vec::new(),
            trees: Vec::new(),
        },
        limits: Limits {
            total: Some(TRIAL),
            silence: None,
        },
        log: paths::target("logs/kvm-trial.log"),
    };
    match guest.run(&mut io::sink(), &mut io::sink()) {
        Ok(Outcome::Exit(0)) => Ok(()),
        Ok(Outcome::Exit(code)) => Err(format!("the guest's script ended with {code}")),
        Ok(Outcome::Died { why, .. }) => Err(one_line(&why)),
        Ok(Outcome::TimedOut { .. }) => Err(format!(
            "a trial boot was not through after {} s",
            TRIAL.as_secs()
        )),
        Ok(Outcome::Interrupted) => Err("interrupted".to_owned()),
        Err(error) => Err(one_line(&format!("{error:#}"))),
    }
}

fn one_line(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_one_line() {
        assert_eq!(one_line("a\n  b\n\nc\n"), "a b c");
    }

    #[test]
    fn qemu_is_asked_for_what_was_chosen() {
        assert_eq!(Accel::Kvm.argument(), "kvm");
        assert_eq!(Accel::default().argument(), "tcg,thread=single");
    }
}
