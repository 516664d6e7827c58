//! `cargo xtask build`: static programs that run anywhere, guests included.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::vm::guest::is_static;
use crate::{paths, process, setup, ui};

/// A program of the workspace.
struct Program {
    package: &'static str,
    name: &'static str,
}

const LPWATCH: Program = Program {
    package: "lpwatch",
    name: "lpwatch",
};
const SCENARIOS: Program = Program {
    package: "lpwatch-tests",
    name: "lpwatch-scenarios",
};

const FLEET_SIM: Program = Program {
    package: "lpwatch-fleet-sim",
    name: "fleet_sim",
};

const LONG_HISTORY: Program = Program {
    package: "lpwatch-fleet-sim",
    name: "long_history",
};

/// Runs `cargo xtask build`.
pub fn run() -> Result<ExitCode> {
    for (_, program) in build(&[LPWATCH], Profile::Packaged)? {
        ui::note(format!(
            "{} is static and has its BPF programs in it",
            program.display()
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// Builds lpwatch, and says where it is.
pub fn lpwatch(profile: Profile) -> Result<PathBuf> {
    let built = build(&[LPWATCH], profile)?.pop();
    built
        .map(|(_, program)| program)
        .context("nothing was built")
}

/// How small a program is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Small. That takes half as long again to build.
    Packaged,
    /// For guests, with all programs that go there.
    Tested,
}

impl Profile {
    /// Its name in Cargo.toml.
    fn name(self) -> &'static str {
        match self {
            Self::Packaged => "dist",
            Self::Tested => "release",
        }
    }
}

/// Whether a guest can do without the scenarios.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scenarios {
    Needed,
    /// They may be broken while lpwatch is being worked on, and the reverse.
    IfTheyBuild,
}

/// Builds what goes into a guest's /bin: the names there, and the files here.
///
/// All in one go, so that what both depend on is compiled once.
pub fn guest_programs(scenarios: Scenarios) -> Result<Vec<(&'static str, PathBuf)>> {
    let both = build(&[LPWATCH, SCENARIOS], Profile::Tested);
    if both.is_ok() || scenarios == Scenarios::Needed {
        return both;
    }
    ui::note(format!("trying without {}", SCENARIOS.name));
    build(&[LPWATCH], Profile::Tested)
}

/// What `lpwatch-scenarios list` prints, from a quick build without BPF.
pub fn scenario_list() -> Result<String> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(paths::workspace()).args([
        "run",
        "--quiet",
        "--package",
        SCENARIOS.package,
        "--bin",
        SCENARIOS.name,
        "--",
        "list",
    ]);
    process::run(&mut command)
}

/// Whether the C library is there as an archive.
pub fn has_static_libc() -> bool {
    process::ask(Command::new("cc").arg("-print-file-name=libc.a"))
        // What cc does not find, it prints as it was asked.
        .is_some_and(|path| Path::new(&path).is_absolute())
}

/// Builds programs into `target/dist/`, and checks that they are static.
fn build(programs: &[Program], profile: Profile) -> Result<Vec<(&'static str, PathBuf)>> {
    let (mut command, built) = static_build(profile)?;
    for Program { name, .. } in programs {
        command.args(["--bin", name]);
    }
    process::run_shown(&mut command)?;

    let mut kept = Vec::new();
    for Program { name, .. } in programs {
        let program = built.join(name);
        if !is_static(&program)? {
            bail!(
                "{} still wants shared libraries; is the static C library (libc6-dev) installed?",
                program.display(),
            );
        }
        let copy = paths::target("dist").join(name);
        copy_if_changed(&program, &copy)?;
        kept.push((*name, copy));
    }
    Ok(kept)
}

/// Builds the simulated fleet, a program of its own, and returns the program.
pub fn fleet_sim() -> Result<PathBuf> {
    let (mut command, built) = static_build(Profile::Tested)?;
    command.args(["--bin", FLEET_SIM.name]);
    process::run_shown(&mut command)?;
    Ok(built.join(FLEET_SIM.name))
}

/// Builds lpwatch and what writes a long history, and says where both are.
pub fn history_programs() -> Result<[PathBuf; 2]> {
    let (mut command, built) = static_build(Profile::Tested)?;
    for Program { name, .. } in [LPWATCH, LONG_HISTORY] {
        command.args(["--bin", name]);
    }
    process::run_shown(&mut command)?;
    Ok([LPWATCH, LONG_HISTORY].map(|program| built.join(program.name)))
}

/// The start of a cargo command for static programs, and where they will be.
fn static_build(profile: Profile) -> Result<(Command, PathBuf)> {
    setup::for_build()?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let host = host(&cargo)?;
    let mut command = Command::new(&cargo);
    command
        .current_dir(paths::workspace())
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        // Then build.rs fails rather than leave the BPF programs out.
        .env("LPWATCH_REQUIRE_BPF", "1")
        // Named, so that the flags above are not those of build scripts too.
        .args(["build", "--profile", profile.name(), "--target", &host])
        .args(["--package", LPWATCH.package]);
    if profile == Profile::Tested {
        // Always all of them, whichever is built: what they depend on has the features
        // that any of them asks for, and would be compiled anew otherwise. What is
        // packaged has only those that lpwatch asks for.
        for package in [SCENARIOS.package, FLEET_SIM.package] {
            command.args(["--package", package]);
        }
    }
    let built = target_directory(&cargo)?.join(host).join(profile.name());
    Ok((command, built))
}

/// Copies under another name first: the old one may be running.
fn copy_if_changed(from: &Path, to: &Path) -> Result<()> {
    let contents = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
    if fs::read(to).is_ok_and(|old| old == contents) {
        return Ok(());
    }
    let folder = to.parent().context("a program without a folder")?;
    fs::create_dir_all(folder)?;
    let fresh = tempfile::NamedTempFile::new_in(folder)?;
    fs::copy(from, fresh.path())?;
    fresh
        .persist(to)
        .with_context(|| format!("cannot write {}", to.display()))?;
    Ok(())
}

fn host(cargo: &std::ffi::OsStr) -> Result<String> {
    let version = process::run(Command::new(cargo).arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned)
        .context("cargo does not say which machine it builds for")
}

/// Where cargo puts things: the user may have moved it.
fn target_directory(cargo: &std::ffi::OsStr) -> Result<PathBuf> {
    let mut command = Command::new(cargo);
    command.current_dir(paths::workspace());
    command.args(["metadata", "--no-deps", "--format-version", "1"]);
    let metadata: Value = serde_json::from_str(&process::run(&mut command)?)?;
    let folder = metadata["target_directory"].as_str();
    folder
        .map(PathBuf::from)
        .context("cargo does not say where it builds")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_copied_with_its_mode() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("a"), folder.path().join("dist/a"));
        fs::write(&from, "program").unwrap();
        fs::set_permissions(&from, fs::Permissions::from_mode(0o755)).unwrap();
        copy_if_changed(&from, &to).unwrap();
        copy_if_changed(&from, &to).unwrap();
        assert_eq!(fs::read(&to).unwrap(), b"program");
        assert_eq!(
            fs::metadata(&to).unwrap().permissions().mode() & 0o777,
            0o755
        );
    }
}
