//! The Debian package in a system of each suite.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::{Verdict, guest};
use crate::dist::Made;
use crate::dist::system::{System, Trial};
use crate::{paths, process};

pub const SUITES: [&str; 3] = ["bullseye", "bookworm", "sid"];

/// What a system takes to have a service of ours.
const PACKAGES: [&str; 4] = ["systemd-sysv", "dbus", "adduser", "man-db"];

/// systemd judges unit files on their own from here on.
const JUDGES_OFFLINE: u32 = 250;

/// Each says how exposed the service is with it.
const OURS: &str = "deploy/systemd/lpwatch.service";
const DEBIANS: &str = "deploy/debian/10-debian-kernels.conf";

/// The recipe's unit, and where the package has it.
const WAIT: &str = "/etc/systemd/system/lpwatch-wait@.service";
const WAIT_FOLDER: &str = "/usr/share/doc/lpwatch/examples/recipes/systemd";

const UNIT: &str = "/usr/lib/systemd/system/lpwatch.service";

/// The system of a suite.
pub fn system(suite: &'static str) -> Result<System> {
    let mut packages = PACKAGES.to_vec();
    if suite == guest::SUITE {
        packages.extend(guest::MORE);
    }
    System::get(suite, suite, &packages)
}

/// It installs, brings what it should, and goes without a trace.
pub fn installs(made: &Made, suite: &'static str) -> Result<Verdict> {
    let trial = system(suite)?.trial()?;
    let script = trial.put(&paths::workspace().join("xtask/guest/package.sh"))?;
    let mut command = trial.command("sh");
    command.arg(script).arg(trial.put(&made.deb)?);
    let said = process::run(command.arg(env!("CARGO_PKG_VERSION")))?;
    let last = said.lines().last().unwrap_or_default();
    Ok(Verdict::Passed(last.to_owned()))
}

/// systemd takes the unit without a remark, and it is as tight as it states.
pub fn unit_holds(made: &Made, suite: &'static str) -> Result<Verdict> {
    let trial = system(suite)?.trial()?;
    let deb = trial.put(&made.deb)?;
    process::run(trial.command("dpkg").args(["--install", &deb]))?;
    let said = verify(&trial, UNIT)?;
    ensure!(said.is_empty(), "systemd-analyze verify: {said}");
    let install = format!("cp {WAIT_FOLDER}/lpwatch-wait@.service /etc/systemd/system/");
    process::run(&mut trial.shell(&install))?;
    let said = verify(&trial, WAIT)?;
    ensure!(
        said.is_empty(),
        "the recipe: systemd-analyze verify: {said}"
    );
    let version = version(&mut trial.command("systemctl"))?;
    if version < JUDGES_OFFLINE {
        return Ok(Verdict::Skipped(format!(
            "verified without a remark; systemd {version} has no `security --offline`"
        )));
    }
    let debians = exposure(&trial, DEBIANS)?;
    process::run(trial.command("rm").args(["-r", &format!("{UNIT}.d")]))?;
    let alone = exposure(&trial, OURS)?;
    Ok(Verdict::Passed(format!(
        "systemd {version}: no remark; exposure {alone}, with what Debian's kernels take {debians}"
    )))
}

/// How exposed systemd finds the unit, which must not be above what `file` states.
fn exposure(trial: &Trial, file: &str) -> Result<String> {
    let text = fs::read_to_string(paths::workspace().join(file))?;
    let stated = stated(&text).with_context(|| format!("{file} does not state its exposure"))?;
    let mut security = trial.command("systemd-analyze");
    security.args(["security", "--offline=true", "--no-pager"]);
    security.args([&format!("--threshold={stated}"), UNIT]);
    let table = process::run(&mut security)
        .with_context(|| format!("less tight than {file} states ({stated} tenths)"))?;
    let overall = table.lines().rfind(|line| line.contains("Overall"));
    let number = overall.and_then(|line| line.split(": ").nth(1));
    Ok(number.unwrap_or("not told").to_owned())
}

/// Everything systemd says about a unit: it ends well in spite of warnings.
fn verify(trial: &Trial, unit: &str) -> Result<String> {
    let line = format!("systemd-analyze verify --man=yes {unit} 2>&1 | grep -F lpwatch || true");
    Ok(process::run(&mut trial.shell(&line))?.trim().to_owned())
}

fn version(systemctl: &mut Command) -> Result<u32> {
    let said = process::run(systemctl.arg("--version"))?;
    let word = said.split_whitespace().nth(1);
    word.and_then(|word| word.parse().ok())
        .with_context(|| format!("systemctl does not say its version: {said}"))
}

/// The exposure a file states, in tenths.
fn stated(text: &str) -> Option<u32> {
    let (_, rest) = text.split_once("Exposure: ")?;
    let (whole, tenth) = rest.split_once(' ')?.0.split_once('.')?;
    Some(whole.parse::<u32>().ok()? * 10 + tenth.parse::<u32>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_files_state_their_exposure() {
        for file in [OURS, DEBIANS] {
            let text = fs::read_to_string(paths::workspace().join(file)).unwrap();
            assert!(stated(&text).unwrap() < 50, "{file}");
        }
        assert_eq!(stated("# Exposure: 2.5 or less"), Some(25));
        assert_eq!(stated("# none"), None);
    }
}
