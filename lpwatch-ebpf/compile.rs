//! Compiles a BPF crate from a build script; included by those that need it.
//!
//! `cargo xtask setup` finds a compiler and a linker for BPF and records them
//! in `target/setup/bpf-toolchain.json`; only that record is used here.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

/// The record, relative to the workspace.
pub const RECORD: &str = "target/setup/bpf-toolchain.json";

/// Where the compiler puts things, relative to the workspace.
const SHARED: &str = "target/bpf";

/// A crate to compile for BPF.
pub struct BpfCrate<'a> {
    /// The folder cargo is run in.
    pub folder: &'a Path,
    /// Which package of the workspace there, and other arguments for cargo.
    pub arguments: &'a [&'a str],
    /// The name of its binary.
    pub binary: &'a str,
}

impl BpfCrate<'_> {
    /// Compiles it below `target/bpf`, which all profiles and all such crates
    /// share; gives the object's path.
    ///
    /// # Errors
    /// One line saying why there is none.
    pub fn compile(&self, workspace: &Path) -> Result<PathBuf, String> {
        let record = workspace.join(RECORD);
        let toolchain = fs::read(&record).map_err(|_| "no BPF toolchain is set up".to_owned())?;
        let toolchain: Value = serde_json::from_slice(&toolchain)
            .map_err(|error| format!("{} is damaged: {error}", record.display()))?;
        let target = match variable("CARGO_CFG_TARGET_ENDIAN")?.as_str() {
            "big" => "bpfeb-unknown-none",
            _ => "bpfel-unknown-none",
        };
        let out = std::path::absolute(workspace.join(SHARED))
            .map_err(|error| format!("{SHARED}: {error}"))?;
        self.run_cargo(&toolchain, target, &out)?;
        Ok(out.join(target).join("release").join(self.binary))
    }

    /// Runs cargo once more, for the BPF target.
    fn run_cargo(&self, toolchain: &Value, target: &str, out: &Path) -> Result<(), String> {
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
            // The processor in the spelling of aya.
            format!(
                "--cfg=bpf_target_arch=\"{}\"",
                variable("CARGO_CFG_TARGET_ARCH")?
            ),
            "-Cdebuginfo=2".to_owned(),
            format!("-Clinker={}", field("linker")?),
            "-Clink-arg=--btf".to_owned(),
        ];
        cargo
            .current_dir(self.folder)
            .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
            .env("RUSTC", field("rustc")?)
            // Less leaves functions that return structs, which BPF cannot.
            .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "3")
            .args(["build", "--quiet", "--release"])
            .args(self.arguments)
            .args(["--target", target, "--target-dir"])
            .arg(out);
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
}

fn variable(name: &str) -> Result<String, String> {
    env::var(name).map_err(|error| format!("{name}: {error}"))
}
