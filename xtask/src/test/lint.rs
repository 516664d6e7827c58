//! Formatting and lints.
//!
//! The lints run while the tests are compiled, by clippy in rustc's place: as a
//! pass of its own clippy would have every crate of the workspace, and all they
//! depend on, compiled a second time.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};

use super::report::{Outcome, Report};
use crate::{paths, process, ui};

/// Cargo calls this for every crate of the workspace; what is warned of fails.
const WRAPPER: &str = "#!/bin/sh\nexec clippy-driver \"$@\" -Dwarnings\n";

/// Every file is formatted.
pub fn formatting() -> Report {
    report("formatting", || {
        let mut fmt = Command::new("cargo");
        fmt.current_dir(paths::workspace())
            .args(["fmt", "--all", "--check"]);
        process::run_shown(&mut fmt).context("`cargo fmt --all` mends it")
    })
}

/// No lint has anything to say; the tests are compiled by this.
pub fn lints() -> Report {
    report("lints", || {
        ui::note("compiling the tests, with lints");
        let mut tests = tests()?;
        process::run_shown(tests.arg("--no-run"))?;
        // For the BPF target, and so not to be linked here.
        let mut ebpf = Command::new(cargo());
        ebpf.current_dir(paths::workspace()).args([
            "clippy",
            "--package",
            "lpwatch-ebpf",
            "--all-targets",
            "--",
            "-Dwarnings",
        ]);
        process::run_shown(&mut ebpf)
    })
}

/// `cargo test` for the workspace, with clippy as its compiler.
pub fn tests() -> Result<Command> {
    let mut command = Command::new(cargo());
    command
        .current_dir(paths::workspace())
        .env("RUSTC_WORKSPACE_WRAPPER", wrapper()?)
        .args(["test", "--workspace", "--exclude", "lpwatch-ebpf"]);
    Ok(command)
}

fn cargo() -> std::ffi::OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

fn wrapper() -> Result<PathBuf> {
    let path = paths::target("setup/lint-rustc");
    if fs::read_to_string(&path).is_ok_and(|text| text == WRAPPER) {
        return Ok(path);
    }
    fs::create_dir_all(paths::target("setup"))?;
    fs::write(&path, WRAPPER).with_context(|| format!("cannot write {}", path.display()))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(path)
}

fn report(name: &str, check: impl FnOnce() -> Result<()>) -> Report {
    let start = Instant::now();
    let result = check();
    let report = match result {
        Ok(()) => Report {
            outcome: Outcome::Passed,
            ..Report::missing(name, "")
        },
        Err(error) => Report::missing(name, &format!("{error:#}")),
    };
    Report {
        seconds: start.elapsed().as_secs_f64(),
        ..report
    }
}
