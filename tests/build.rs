//! Builds the foreign BPF program of the scenarios. Without a BPF toolchain it
//! is left empty, and the scenarios that need it say so.

use std::{env, fs, path::Path};

#[path = "../lpwatch-ebpf/compile.rs"]
mod compile;

use compile::{BpfCrate, RECORD};

fn main() {
    println!("cargo::rerun-if-env-changed=LPWATCH_REQUIRE_BPF");
    for watched in [
        "foreign/src",
        "foreign/Cargo.toml",
        "../lpwatch-ebpf/compile.rs",
    ] {
        println!("cargo::rerun-if-changed={watched}");
    }
    println!("cargo::rerun-if-changed=../{RECORD}");
    let object = match build() {
        Ok(object) => Ok(object),
        Err(reason) if env::var_os("LPWATCH_REQUIRE_BPF").is_some() => Err(reason),
        Err(reason) => {
            println!("cargo::warning=the scenarios have no foreign BPF program: {reason}");
            Ok(Vec::new())
        }
    };
    if let Err(reason) = object.and_then(|object| keep(&object)) {
        println!("cargo::error={reason}");
    }
}

fn build() -> Result<Vec<u8>, String> {
    let foreign = BpfCrate {
        folder: Path::new("foreign"),
        arguments: &["--locked"],
        binary: "foreign",
    };
    let object = foreign.compile(Path::new(".."))?;
    fs::read(&object).map_err(|error| format!("{}: {error}", object.display()))
}

fn keep(object: &[u8]) -> Result<(), String> {
    let folder = env::var("OUT_DIR").map_err(|error| error.to_string())?;
    let path = Path::new(&folder).join("foreign.bpf.o");
    fs::write(&path, object).map_err(|error| format!("{}: {error}", path.display()))
}
