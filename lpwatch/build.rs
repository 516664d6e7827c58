//! Builds the BPF programs and embeds them.
//!
//! `cargo xtask setup` finds a compiler and a linker for BPF and records them
//! in `target/setup/bpf-toolchain.json`; this script only uses that record.
//! Without it lpwatch is still built, but works from sysfs and /proc alone.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

type Result<T> = std::result::Result<T, String>;

const HINT: &str = "built without BPF programs, so lpwatch will only read sysfs and /proc: \
    run `cargo xtask setup` once to get a BPF toolchain";

fn main() {
    println!("cargo::rustc-check-cfg=cfg(lpwatch_bpf)");
    println!("cargo::rerun-if-env-changed=LPWATCH_REQUIRE_BPF");
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for watched in [
        "lpwatch-ebpf",
        "lpwatch-common",
        "target/setup/bpf-toolchain.json",
    ] {
        println!(
            "cargo::rerun-if-changed={}",
            workspace.join(watched).display()
        );
    }
    match build(&workspace) {
        Ok(()) => println!("cargo::rustc-cfg=lpwatch_bpf"),
        Err(reason) if env::var_os("LPWATCH_REQUIRE_BPF").is_some() => {
            println!("cargo::error={reason}");
        }
        Err(reason) => println!("cargo::warning={HINT} ({reason})"),
    }
}

fn build(workspace: &Path) -> Result<()> {
    let record = workspace.join("target/setup/bpf-toolchain.json");
    let toolchain = fs::read(&record).map_err(|_| "no BPF toolchain is set up".to_owned())?;
    let toolchain: Value = serde_json::from_slice(&toolchain)
        .map_err(|error| format!("{} is damaged: {error}", record.display()))?;
    let out_dir = PathBuf::from(variable("OUT_DIR")?);
    let target = match variable("CARGO_CFG_TARGET_ENDIAN")?.as_str() {
        "big" => "bpfeb-unknown-none",
        _ => "bpfel-unknown-none",
    };
    compile(workspace, &toolchain, target, &out_dir)?;
    let object = out_dir.join("bpf").join(target).join("release/lpwatch-bpf");
    fs::copy(&object, out_dir.join("lpwatch.bpf.o"))
        .map_err(|error| format!("{}: {error}", object.display()))?;
    Ok(())
}

/// Runs cargo once more, for the BPF target.
fn compile(workspace: &Path, toolchain: &Value, target: &str, out_dir: &Path) -> Result<()> {
    let field = |name: &str| {
        toolchain[name].as_str().ok_or_else(|| {
            format!("the recorded BPF toolchain has no `{name}`: run `cargo xtask setup` again")
        })
    };
    let mut cargo = Command::new(field("cargo")?);
    // A wrapper or the flags of the outer build mean nothing to this target.
    for outer in [
        "RUSTC",
        "RUSTC_WRAPPER",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTUP_TOOLCHAIN",
        "RUSTFLAGS",
    ] {
        cargo.env_remove(outer);
    }
    let flags = [
        format!("--cfg=bpf_target_arch=\"{}\"", bpf_arch()?),
        "-Cdebuginfo=2".to_owned(),
        format!("-Clinker={}", field("linker")?),
        "-Clink-arg=--btf".to_owned(),
    ];
    cargo
        .current_dir(workspace)
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
        .env("RUSTC", field("rustc")?)
        .args(["build", "--quiet", "--release", "--package", "lpwatch-ebpf"])
        .args(["--target", target, "--target-dir"])
        .arg(out_dir.join("bpf"));
    match field("kind")? {
        "nightly" => cargo.arg("-Zbuild-std=core"),
        // The distribution's stable compiler, with its own prebuilt core.
        _ => cargo.env("RUSTC_BOOTSTRAP", "1"),
    };
    let output = cargo
        .output()
        .map_err(|error| format!("cannot run {}: {error}", cargo.get_program().display()))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!(
        "the BPF programs do not compile: {}",
        String::from_utf8_lossy(&output.stderr).replace('\n', " | ")
    ))
}

/// The processor in the spelling of aya's `bpf_target_arch`.
fn bpf_arch() -> Result<String> {
    variable("CARGO_CFG_TARGET_ARCH")
}

fn variable(name: &str) -> Result<String> {
    env::var(name).map_err(|error| format!("{name}: {error}"))
}
