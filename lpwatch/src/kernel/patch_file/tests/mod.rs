//! Modules built here, of every kind, sound and damaged.

use super::*;

mod build;
mod damaged;
mod files;
mod hand_written;
mod patch;
mod properties;
mod recorded;
mod tools;

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
