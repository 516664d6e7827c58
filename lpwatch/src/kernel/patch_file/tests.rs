//! Modules built here, of every kind, sound and damaged.

use super::*;

mod build;
mod damaged;
mod files;
mod hand_written;
mod klp_symbols;
mod patch;
mod properties;
mod recorded;
mod tools;

/// A module with nothing but these lines of `.modinfo`: for tests elsewhere.
pub(crate) fn module_of(lines: &[&str]) -> Vec<u8> {
    let mut module = build::Module::bare(object::Architecture::X86_64, object::Endianness::Little);
    module.modinfo(lines);
    module.finish()
}

/// A module with functions of these names: for tests elsewhere.
pub(crate) fn module_with(functions: &[&str]) -> Vec<u8> {
    let mut module = build::Module::bare(object::Architecture::X86_64, object::Endianness::Little);
    for function in functions {
        module.function(function);
    }
    module.finish()
}

fn read(module: &[u8]) -> PatchFile {
    PatchFile::parse(module, "file-name.ko").unwrap()
}

/// The functions of an object as `name,sympos -> new`.
fn functions(object: &PatchObject) -> Vec<String> {
    let functions = object.functions.iter();
    functions
        .map(|function| {
            let PatchedFunction {
                name,
                sympos,
                new_function,
            } = function;
            let new = new_function.as_deref().unwrap_or("?");
            format!("{name},{sympos} -> {new}")
        })
        .collect()
}
