//! Builds the foreign BPF program of the scenarios, with the toolchain that
//! `cargo xtask setup` has recorded. Without one the program is left empty,
//! and the scenarios that need it say so.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

type Result<T> = std::result::Result<T, String>;

fn main() {
    println!("cargo::rerun-if-env-changed=LPWATCH_REQUIRE_BPF");
    println!("cargo::rerun-if-changed=foreign/src");
    println!("cargo::rerun-if-changed=foreign/Cargo.toml");
    println!("cargo::rerun-if-changed=../target/setup/bpf-toolchain.json");
    let built = match build() {
        Ok(object) => Ok(object),
        Err(reason) if env::var_os("LPWATCH_REQUIRE_BPF").is_some() => Err(reason),
        Err(reason) => {
            println!("cargo::warning=the scenarios have no foreign BPF program: {reason}");
            Ok(Vec::new())
        }
    };
    let kept = built.and_then(|object| {
        let path = out_dir()?.join("foreign.bpf.o");
        fs::write(&path, object).map_err(|error| format!("{}: {error}", path.display()))
    });
    if let Err(reason) = kept {
        println!("cargo::error={reason}");
    }
}

fn build() -> Result<Vec<u8>> {
    let record = Path::new("../target/setup/bpf-toolchain.json");
    let toolchain = fs::read(record).map_err(|_| "no BPF toolchain is set up".to_owned())?;
    let toolchain: Value = serde_json::from_slice(&toolchain)
        .map_err(|error| format!("{} is damaged: {error}", record.display()))?;
    let target = match variable("CARGO_CFG_TARGET_ENDIAN")?.as_str() {
        "big" => "bpfeb-unknown-none",
        _ => "bpfel-unknown-none",
    };
    let folder = out_dir()?.join("bpf");
    compile(&toolchain, target, &folder)?;
    let object = folder.join(target).join("release/foreign");
    fs::read(&object).map_err(|error| format!("{}: {error}", object.display()))
}

/// Runs cargo once more, for the BPF target.
fn compile(toolchain: &Value, target: &str, folder: &Path) -> Result<()> {
    let field = |name: &str| {
        toolchain[name]
            .as_str()
            .ok_or_else(|| format!("the recorded BPF toolchain has no `{name}`"))
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
        "-Cdebuginfo=2".to_owned(),
        format!("-Clinker={}", field("linker")?),
        "-Clink-arg=--btf".to_owned(),
    ];
    cargo
        .current_dir("foreign")
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
        .env("RUSTC", field("rustc")?)
        .args(["build", "--quiet", "--release", "--locked"])
        .args(["--target", target, "--target-dir"])
        .arg(folder);
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
        "the foreign BPF program does not compile: {}",
        String::from_utf8_lossy(&output.stderr).replace('\n', " | ")
    ))
}

fn out_dir() -> Result<PathBuf> {
    variable("OUT_DIR").map(PathBuf::from)
}

fn variable(name: &str) -> Result<String> {
    env::var(name).map_err(|error| format!("{name}: {error}"))
}
