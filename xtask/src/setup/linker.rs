//! bpf-linker: found on the machine, or built against the machine's LLVM.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::packages;
use crate::{paths, process, ui};

const VERSION: &str = "0.13.0";

/// The LLVM versions this bpf-linker can be built against.
const LLVM_SUPPORTED: std::ops::RangeInclusive<u32> = 21..=23;

/// The linkers that are there, our own first.
pub fn found() -> Vec<PathBuf> {
    let own = ours();
    own.is_file()
        .then_some(own)
        .into_iter()
        .chain(process::which("bpf-linker"))
        .collect()
}

/// Builds one that reads what `rustc` writes.
pub fn build(rustc: &Path) -> Result<PathBuf> {
    let version = process::run(Command::new(rustc).arg("-vV"))?;
    let major = llvm_major(&version)
        .with_context(|| format!("{} does not say which LLVM it uses", rustc.display()))?;
    if !LLVM_SUPPORTED.contains(&major) {
        bail!(
            "{} uses LLVM {major}, for which there is no bpf-linker {VERSION}",
            rustc.display()
        );
    }
    let prefix = llvm_prefix(major)?;
    let step = ui::Step::start(format!(
        "building bpf-linker {VERSION} against LLVM {major}"
    ));
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        // Without the prefix it links against nothing, and says so at run time.
        .env("LLVM_PREFIX", prefix)
        .env_remove("RUSTFLAGS")
        // It links a few small objects: to be compiled soon matters more than to
        // be fast.
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
        .env("CARGO_PROFILE_RELEASE_LTO", "false")
        .args([
            "install",
            "bpf-linker",
            "--locked",
            "--force",
            "--version",
            VERSION,
        ])
        .args([
            "--no-default-features",
            "--features",
            &format!("llvm-{major}"),
        ])
        .arg("--root")
        .arg(paths::target("tools/bpf-linker"));
    process::run_logged(&mut cargo, &paths::target("logs/bpf-linker.log"))?;
    step.done("built");
    Ok(ours())
}

fn ours() -> PathBuf {
    paths::target("tools/bpf-linker/bin/bpf-linker")
}

/// Where LLVM is, after installing what building against it takes.
fn llvm_prefix(major: u32) -> Result<OsString> {
    let config = format!("llvm-config-{major}");
    let ask = || {
        process::ask(Command::new(&config).arg("--prefix"))
            .filter(|prefix| Path::new(prefix).join("include/llvm-c").is_dir())
    };
    let needed = [
        format!("llvm-{major}-dev"),
        format!("libpolly-{major}-dev"),
        "zlib1g-dev".to_owned(),
        "libzstd-dev".to_owned(),
        "g++".to_owned(),
    ];
    let installed = |package: &String| {
        process::ask(Command::new("dpkg-query").args(["-W", "-f", "${db:Status-Status}", package]))
            .is_some_and(|status| status == "installed")
    };
    let missing: Vec<&str> = needed
        .iter()
        .filter(|package| !installed(package))
        .map(String::as_str)
        .collect();
    if !missing.is_empty() && process::which("dpkg-query").is_some() {
        packages::install(&missing)
            .with_context(|| format!("bpf-linker needs the headers of LLVM {major}"))?;
    }
    ask().map(OsString::from).with_context(|| {
        format!("bpf-linker needs {config} and LLVM's headers, which are not here")
    })
}

/// `LLVM version: 22.1.8` in what `rustc -vV` says.
fn llvm_major(version: &str) -> Option<u32> {
    let line = version
        .lines()
        .find_map(|line| line.strip_prefix("LLVM version: "))?;
    line.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_llvm_of_a_rustc_is_read() {
        assert_eq!(
            llvm_major("rustc 1.96.0\nrelease: 1.96.0\nLLVM version: 22.1.8\n"),
            Some(22)
        );
        assert_eq!(llvm_major("rustc 1.96.0\n"), None);
    }
}
