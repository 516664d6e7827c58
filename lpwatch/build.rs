//! Builds the BPF programs and embeds them. Without a BPF toolchain lpwatch is
//! still built, but works from sysfs and /proc alone.

use std::{env, error::Error, fs, path::Path};

use object::{
    build::elf::{Builder, SectionData},
    elf,
};

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
    let in_object = |error: &dyn Error| format!("{}: {error}", object.display());
    let whole = fs::read(&object).map_err(|error| in_object(&error))?;
    let lean = without_debug_info(&whole).map_err(|error| in_object(&error))?;
    let kept = Path::new(&kept).join("lpwatch.bpf.o");
    fs::write(&kept, lean).map_err(|error| format!("{}: {error}", kept.display()))
}

/// The object without DWARF: most of it, and nobody reads it. The compiler makes BTF,
/// which is kept, only along with it.
fn without_debug_info(whole: &[u8]) -> object::build::Result<Vec<u8>> {
    let mut object = Builder::read(whole)?;
    for section in &mut object.sections {
        let name = section.name.as_slice();
        section.delete = name.starts_with(b".debug_") || name.starts_with(b".rel.debug_");
    }
    object.delete_orphans();
    // The compiler keeps the names of sections with those of symbols.
    let names = object.sections.add();
    names.name = ".shstrtab".into();
    names.sh_type = elf::SHT_STRTAB;
    names.sh_addralign = 1;
    names.data = SectionData::SectionString;
    let mut lean = Vec::new();
    object.write(&mut lean)?;
    Ok(lean)
}
