//! The package under real systemd, in a guest: a Debian system in memory.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, bail};

use super::{Verdict, package, rights};
use crate::dist::Made;
use crate::kernels::{Cached, Series};
use crate::vm::Guest;
use crate::vm::accel;
use crate::vm::guest::{Contents, Task};
use crate::vm::outcome::{Limits, Outcome};
use crate::vm::qemu::{Machine, Network};
use crate::{modules, paths, process, setup, ui};

/// The suite's systemd, with the suite's own kernel.
pub const SUITE: &str = "bookworm";
const SERIES: Series = Series::V6_1;

/// What the trial takes that systems do not have.
pub const MORE: [&str; 1] = ["bpftool"];

/// Installs, runs, watches, stops and purges: xtask/guest/systemd.sh.
pub fn under_systemd(made: &Made) -> Result<Verdict> {
    setup::for_guests()?;
    let kernel = Cached::get(SERIES, false)?;
    let modules = modules::for_kernel(&kernel)?;
    let folder = tempfile::tempdir_in(paths::target("dist"))?;
    let added = files(made, folder.path())?;
    let guest = Guest {
        machine: Machine {
            kernel: kernel.image(),
            memory_mib: 3072,
            cpus: 2,
            niceness: 0,
            accel: accel::chosen(),
            // Its own init, in place of the one that all guests have.
            append: "rdinit=/root/systemd-init systemd.wants=lpwatch-trial.service".to_owned(),
            network: Network::None,
        },
        contents: Contents {
            series: SERIES.name().to_owned(),
            task: Task::Script(Vec::new()),
            programs: Vec::new(),
            modules,
            added,
            trees: Vec::new(),
        },
        limits: Limits {
            total: Some(Duration::from_mins(25)),
            silence: Some(Duration::from_mins(5)),
        },
        log: paths::target("logs/test-dist-systemd.log"),
    };
    let (mut said, mut trouble) = (Said::default(), Said::default());
    match guest.run(&mut said, &mut trouble)? {
        Outcome::Exit(0) => Ok(Verdict::Passed(format!(
            "Linux {}: installed, sandboxed, watched over, stopped and purged",
            kernel.manifest.release
        ))),
        outcome => bail!("{outcome:?}\n{}{}", said.text(), trouble.text()),
    }
}

/// What goes into the guest's /root, under the names the scripts know.
fn files(made: &Made, folder: &Path) -> Result<Vec<PathBuf>> {
    let system = folder.join("system.tar");
    let step = ui::Step::start("packing a system for the guest");
    let trial = package::system(SUITE)?.trial()?;
    process::run(&mut trial.pack(&system))?;
    step.done("packed");
    let deb = folder.join("lpwatch.deb");
    fs::copy(&made.deb, &deb)?;
    let layer = folder.join("layer.tar");
    super::image::layer_of(made, &layer)?;
    let scripts = paths::workspace().join("xtask/guest");
    let trial = fs::read_to_string(scripts.join("systemd.sh"))?;
    let script = folder.join("systemd.sh");
    fs::write(&script, format!("{}\n{trial}", expected()?))?;
    Ok(vec![
        system,
        deb,
        layer,
        script,
        scripts.join("systemd-init"),
        scripts.join("systemd-trial.sh"),
    ])
}

/// What the trial holds the unit and the image to.
fn expected() -> Result<String> {
    let names = rights::all()?;
    Ok(format!(
        "EXPECTED_CAPABILITIES={}\nIMAGE_CAPABILITIES='{}'",
        rights::mask(&names)?,
        names.join(" ")
    ))
}

/// Keeps what the guest says, and shows it.
#[derive(Default)]
struct Said {
    bytes: Vec<u8>,
}

impl Said {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

impl Write for Said {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        io::stderr().write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
