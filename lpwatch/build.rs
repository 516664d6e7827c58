//! Builds the BPF programs and embeds them. Without a BPF toolchain lpwatch is
//! still built, but works from sysfs and /proc alone.

use std::{env, fs, path::Path};

#[path = "../lpwatch-ebpf/compile.rs"]
mod compile;

use compile::{BpfCrate, RECORD};

const HINT: &str = "built without BPF programs, so lpwatch will only read sysfs and /proc: \
    run `cargo xtask setup` once to get a BPF toolchain";

fn main() {
    println!("cargo::rustc-check-cfg=cfg(lpwatch_bpf)");
    println!("cargo::rerun-if-env-changed=LPWATCH_REQUIRE_BPF");
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for watched in ["lpwatch-ebpf", "lpwatch-common", RECORD] {
        let watched = workspace.join(watched);
        println!("cargo::rerun-if-changed={}", watched.display());
    }
    match build(&workspace) {
        Ok(()) => println!("cargo::rustc-cfg=lpwatch_bpf"),
        Err(reason) if env::var_os("LPWATCH_REQUIRE_BPF").is_some() => {
            println!("cargo::error={reason}");
        }
        Err(reason) => println!("cargo::warning={HINT} ({reason})"),
    }
}

fn build(workspace: &Path) -> Result<(), String> {
    let programs = BpfCrate {
        folder: workspace,
        arguments: &["--package", "lpwatch-ebpf"],
        binary: "lpwatch-bpf",
    };
    let object = programs.compile(workspace)?;
    let kept = env::var("OUT_DIR").map_err(|error| error.to_string())?;
    fs::copy(&object, Path::new(&kept).join("lpwatch.bpf.o"))
        .map(drop)
        .map_err(|error| format!("{}: {error}", object.display()))
}
