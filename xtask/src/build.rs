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

/// Runs `cargo xtask build`.
pub fn run() -> Result<ExitCode> {
    let program = lpwatch()?;
    ui::note(format!(
        "{} is static and has its BPF programs in it",
        program.display()
    ));
    Ok(ExitCode::SUCCESS)
}

/// Builds lpwatch.
pub fn lpwatch() -> Result<PathBuf> {
    build(&LPWATCH)
}

/// Builds the scenario runner.
pub fn scenarios() -> Result<PathBuf> {
    build(&SCENARIOS)
}

/// What a guest gets: lpwatch, and the scenarios if they build.
pub fn guest_programs() -> Result<Vec<(&'static str, PathBuf)>> {
    let lpwatch = lpwatch().context("`vm --no-lpwatch` boots a guest without it")?;
    let mut programs = vec![(LPWATCH.name, lpwatch)];
    match scenarios() {
        Ok(path) => programs.push((SCENARIOS.name, path)),
        Err(error) => ui::note(format!(
            "the guest goes without {}: {error:#}",
            SCENARIOS.name
        )),
    }
    Ok(programs)
}

/// Whether the C library is there as an archive.
pub fn has_static_libc() -> bool {
    process::ask(Command::new("cc").arg("-print-file-name=libc.a"))
        // What cc does not find, it prints as it was asked.
        .is_some_and(|path| Path::new(&path).is_absolute())
}

fn build(program: &Program) -> Result<PathBuf> {
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
        .args([
            "build",
            "--release",
            "--package",
            program.package,
            "--bin",
            program.name,
        ])
        // Named, so that the flags above are not those of build scripts too.
        .args(["--target", &host]);
    process::run_shown(&mut command)?;
    let built = target_directory(&cargo)?
        .join(host)
        .join("release")
        .join(program.name);
    if !is_static(&built)? {
        bail!(
            "{} still wants shared libraries; is the static C library (libc6-dev) installed?",
            built.display(),
        );
    }
    let kept = paths::target("dist").join(program.name);
    copy_if_changed(&built, &kept)?;
    Ok(kept)
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
