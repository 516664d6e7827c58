//! Finds a Rust that can compile for BPF, and records the choice for
//! `lpwatch/build.rs` in `target/setup/bpf-toolchain.json`.
//!
//! Two kinds exist: a nightly with rust-src builds `core` itself, and a
//! distribution's compiler can come with a `core` built for BPF. A candidate
//! counts only if it compiles and links a program.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow, bail};
use serde::{Deserialize, Serialize};

use super::{linker, packages};
use crate::lock::Lock;
use crate::{paths, process, ui};

/// Debian's names for a compiler and its `core` for BPF; the first is the
/// newer compiler that stable releases have beside their own.
const PACKAGES: &[[&str; 2]] = &[
    ["rustc-web", "libstd-rust-web-dev-bpf"],
    ["rustc", "libstd-rust-dev-bpf"],
];

/// The smallest program that needs `core`.
const TRIAL: &str = r#"#![no_std]
#![no_main]
#[unsafe(no_mangle)]
#[unsafe(link_section = "socket")]
pub extern "C" fn trial(context: *mut u8) -> i32 { context.is_null() as i32 }
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! { loop {} }
"#;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Nightly,
    Distribution,
}

/// The record; `lpwatch/build.rs` reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Toolchain {
    pub kind: Kind,
    pub cargo: PathBuf,
    pub rustc: PathBuf,
    pub linker: PathBuf,
}

/// A compiler that may do, before there is a linker for it.
#[derive(Debug, Clone)]
struct Candidate {
    kind: Kind,
    cargo: PathBuf,
    rustc: PathBuf,
    why: &'static str,
}

/// The recorded toolchain; where there is none, finds or installs one.
pub fn ensure_toolchain(again: bool) -> Result<Toolchain> {
    let folder = paths::target("setup");
    let _lock = Lock::acquire(&folder, "bpf")?;
    let record = folder.join("bpf-toolchain.json");
    if !again && let Some(toolchain) = recorded(&record) {
        return Ok(toolchain);
    }
    let (toolchain, why) = find().or_else(|reason| install_and_find(&reason))?;
    // An unchanged record is left alone: lpwatch is built anew when it changes.
    if recorded(&record).as_ref() != Some(&toolchain) {
        let unfinished = record.with_extension("unfinished");
        fs::write(&unfinished, serde_json::to_vec_pretty(&toolchain)?)?;
        fs::rename(unfinished, record)?;
    }
    ui::note(format!(
        "compiling BPF with {}: {why}",
        toolchain.rustc.display()
    ));
    Ok(toolchain)
}

fn recorded(record: &Path) -> Option<Toolchain> {
    let toolchain: Toolchain = serde_json::from_slice(&fs::read(record).ok()?).ok()?;
    (toolchain.rustc.is_file() && toolchain.linker.is_file()).then_some(toolchain)
}

/// The first candidate that works, or why none does.
fn find() -> Result<(Toolchain, &'static str)> {
    let mut reasons = Vec::new();
    for candidate in [nightly(), distribution()] {
        match candidate.and_then(|candidate| with_linker(&candidate)) {
            Ok(found) => return Ok(found),
            Err(error) => reasons.push(format!("{error:#}")),
        }
    }
    Err(anyhow!(
        "no Rust here can compile for BPF:\n  {}",
        reasons.join("\n  ")
    ))
}

fn install_and_find(reason: &anyhow::Error) -> Result<(Toolchain, &'static str)> {
    let names = PACKAGES
        .iter()
        .find(|names| names.iter().all(|name| packages::is_known(name)));
    // apt may know nothing yet; installing updates its lists and tells.
    let names = names.unwrap_or(&PACKAGES[0]);
    packages::install(names).with_context(|| {
        format!(
            "{reason:#}\nwanted: {}, or a nightly with rust-src",
            names.join(" and ")
        )
    })?;
    with_linker(&distribution()?)
}

fn nightly() -> Result<Candidate> {
    let tool = |name: &str| {
        process::ask(Command::new("rustup").args(["which", "--toolchain", "nightly", name]))
            .map(PathBuf::from)
    };
    let (Some(cargo), Some(rustc)) = (tool("cargo"), tool("rustc")) else {
        bail!("rustup has no nightly");
    };
    if !sysroot(&rustc)?
        .join("lib/rustlib/src/rust/library/core")
        .is_dir()
    {
        bail!("the nightly has no rust-src (rustup component add --toolchain nightly rust-src)");
    }
    let why = "a nightly with rust-src, which builds core for BPF itself";
    Ok(Candidate {
        kind: Kind::Nightly,
        cargo,
        rustc,
        why,
    })
}

fn distribution() -> Result<Candidate> {
    let rustc = PathBuf::from("/usr/bin/rustc");
    if !rustc.is_file() {
        bail!("the distribution's rustc is not installed");
    }
    if !sysroot(&rustc)?
        .join("lib/rustlib/bpfel-unknown-none/lib")
        .is_dir()
    {
        bail!("{} comes without a core for BPF", rustc.display());
    }
    let cargo = std::env::var_os("CARGO")
        .unwrap_or_else(|| "cargo".into())
        .into();
    let why = "the distribution's, which comes with core for BPF; no nightly with rust-src is here";
    Ok(Candidate {
        kind: Kind::Distribution,
        cargo,
        rustc,
        why,
    })
}

fn sysroot(rustc: &Path) -> Result<PathBuf> {
    let text = process::run(Command::new(rustc).args(["--print", "sysroot"]))?;
    Ok(PathBuf::from(text.trim()))
}

/// The candidate with a linker it works with: one that is there, or one built.
fn with_linker(candidate: &Candidate) -> Result<(Toolchain, &'static str)> {
    let mut reasons = Vec::new();
    for linker in linker::found() {
        match attempt(candidate, linker) {
            Ok(toolchain) => return Ok((toolchain, candidate.why)),
            Err(error) => reasons.push(format!("{error:#}")),
        }
    }
    let built = linker::build(&candidate.rustc).and_then(|linker| attempt(candidate, linker));
    match built {
        Ok(toolchain) => Ok((toolchain, candidate.why)),
        Err(error) if reasons.is_empty() => Err(error),
        Err(error) => Err(error.context(reasons.join("\n  "))),
    }
}

/// Compiles and links a program with these.
fn attempt(candidate: &Candidate, linker: PathBuf) -> Result<Toolchain> {
    let folder = tempfile::tempdir()?;
    let manifest = "[package]\nname = \"trial\"\nedition = \"2024\"\n[workspace]\n\
                    [profile.release]\npanic = \"abort\"\n";
    fs::write(folder.path().join("Cargo.toml"), manifest)?;
    fs::create_dir(folder.path().join("src"))?;
    fs::write(folder.path().join("src/main.rs"), TRIAL)?;
    let mut cargo = Command::new(&candidate.cargo);
    // xtask itself runs under a cargo that leaves its settings behind.
    for outer in [
        "RUSTC_WRAPPER",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTUP_TOOLCHAIN",
        "RUSTFLAGS",
    ] {
        cargo.env_remove(outer);
    }
    let flags = format!("-Clinker={}\u{1f}-Clink-arg=--btf", linker.display());
    cargo
        .current_dir(folder.path())
        .env("CARGO_ENCODED_RUSTFLAGS", flags)
        .env("RUSTC", &candidate.rustc)
        .args([
            "build",
            "--quiet",
            "--release",
            "--target",
            "bpfel-unknown-none",
        ])
        .args(["--target-dir", "target"]);
    match candidate.kind {
        Kind::Nightly => cargo.arg("-Zbuild-std=core"),
        // A stable compiler must be told that the target is wanted.
        Kind::Distribution => cargo.env("RUSTC_BOOTSTRAP", "1"),
    };
    process::run(&mut cargo)
        .with_context(|| format!("{} cannot build for BPF", candidate.rustc.display()))?;
    let Candidate {
        kind,
        cargo,
        rustc,
        why: _,
    } = candidate.clone();
    Ok(Toolchain {
        kind,
        cargo,
        rustc,
        linker,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_is_as_build_rs_reads_it() {
        let toolchain = Toolchain {
            kind: Kind::Distribution,
            cargo: "cargo".into(),
            rustc: "/usr/bin/rustc".into(),
            linker: "/x/bpf-linker".into(),
        };
        let value = serde_json::to_value(&toolchain).unwrap();
        assert_eq!(
            value,
            serde_json::json!({
                "kind": "distribution", "cargo": "cargo",
                "rustc": "/usr/bin/rustc", "linker": "/x/bpf-linker",
            })
        );
    }

    #[test]
    fn a_record_of_a_removed_compiler_does_not_count() {
        let folder = tempfile::tempdir().unwrap();
        let record = folder.path().join("bpf-toolchain.json");
        let text = r#"{"kind":"nightly","cargo":"c","rustc":"/none","linker":"/none"}"#;
        fs::write(&record, text).unwrap();
        assert_eq!(recorded(&record), None);
    }
}
