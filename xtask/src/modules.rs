//! Builds `tests/modules` for a kernel, in a chroot of the kernel's own suite.
//!
//! The suite matters: objtool of the kernel's kbuild writes the data that
//! reliable stack traces need, and it runs only on the libc it was built for.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::chroot::Chroot;
use crate::kernels::Cached;
use crate::lock::Lock;
use crate::{paths, ui};

/// The file that says what a folder of modules was built from.
const STAMP: &str = ".built-from";

/// The folder with the test modules for `kernel`; none where the project has
/// no modules to build.
pub fn for_kernel(kernel: &Cached) -> Result<Option<PathBuf>> {
    let sources = paths::workspace().join("tests/modules");
    if !sources.is_dir() {
        return Ok(None);
    }
    let series = kernel.series.name();
    let all = paths::target("modules");
    let built = all.join(series);
    let files = source_files(&sources)?;
    let stamp = stamp(&sources, &files, &kernel.manifest.release)?;
    let _lock = Lock::acquire(&all, series)?;
    if fs::read_to_string(built.join(STAMP)).is_ok_and(|text| text == stamp) {
        return Ok(Some(built));
    }

    let chroot = Chroot::for_modules(kernel)?;
    let step = ui::Step::start(format!("building the test modules for {series}"));
    let inside = format!("build/{series}");
    chroot.put(&inside, &sources, &files)?;
    let log = paths::target("logs").join(format!("modules-{series}.log"));
    let mut make = make(&chroot, &kernel.manifest.release, &inside);
    crate::process::run_logged(&mut make, &log)
        .with_context(|| format!("the test modules do not build for {series}"))?;

    let fresh = tempfile::Builder::new()
        .prefix(".building-")
        .tempdir_in(&all)?;
    let count = collect(&chroot.path().join(&inside), fresh.path())?;
    fs::write(fresh.path().join(STAMP), &stamp)?;
    if built.exists() {
        fs::remove_dir_all(&built)?;
    }
    fs::rename(fresh.keep(), &built)?;
    step.done(format!("{count} modules"));
    Ok(Some(built))
}

fn make(chroot: &Chroot, release: &str, inside: &str) -> Command {
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let mut make = chroot.command("make");
    make.args(["-C", &format!("/usr/src/linux-headers-{release}")]);
    make.args([&format!("M=/{inside}"), &format!("-j{jobs}"), "modules"]);
    make
}

/// The files modules are made from, sorted, relative to `folder`: what make
/// may have left beside them is not among them.
fn source_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    walk(folder, Path::new(""), &mut |relative| {
        let name = relative.file_name().unwrap_or_default();
        let extension = relative.extension().unwrap_or_default();
        let generated = relative.to_string_lossy().ends_with(".mod.c");
        let source = name == "Kbuild" || name == "Makefile" || extension == "c" || extension == "h";
        if source && !generated {
            files.push(relative.to_path_buf());
        }
        Ok(())
    })?;
    files.sort();
    Ok(files)
}

/// Copies the built modules from `from`, subfolders included.
fn collect(from: &Path, to: &Path) -> Result<usize> {
    let mut count = 0;
    walk(from, Path::new(""), &mut |relative| {
        if relative
            .extension()
            .is_some_and(|extension| extension == "ko")
        {
            let target = to.join(relative);
            fs::create_dir_all(target.parent().unwrap_or(to))?;
            fs::copy(from.join(relative), target)?;
            count += 1;
        }
        Ok(())
    })?;
    Ok(count)
}

fn walk(root: &Path, below: &Path, visit: &mut dyn FnMut(&Path) -> Result<()>) -> Result<()> {
    let folder = root.join(below);
    let entries =
        fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let relative = below.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            walk(root, &relative, visit)?;
        } else {
            visit(&relative)?;
        }
    }
    Ok(())
}

/// What the modules depend on: their sources and the kernel.
fn stamp(folder: &Path, files: &[PathBuf], release: &str) -> Result<String> {
    let mut hash = Sha256::new();
    for file in files {
        let contents = fs::read(folder.join(file))?;
        hash.update(file.to_string_lossy().as_bytes());
        hash.update([0]);
        hash.update(contents.len().to_le_bytes());
        hash.update(&contents);
    }
    Ok(format!("{release} {:x}\n", hash.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("more")).unwrap();
        for file in [
            "Kbuild", "b.c", "a.c", "more/c.c", "a.mod.c", "a.o", ".a.o.cmd",
        ] {
            fs::write(folder.path().join(file), file).unwrap();
        }
        folder
    }

    #[test]
    fn only_sources_count() {
        let folder = sources();
        let files = source_files(folder.path()).unwrap();
        let names: Vec<_> = files.iter().map(|file| file.to_str().unwrap()).collect();
        assert_eq!(names, ["Kbuild", "a.c", "b.c", "more/c.c"]);
    }

    #[test]
    fn the_stamp_follows_sources_and_kernel() {
        let folder = sources();
        let files = source_files(folder.path()).unwrap();
        let before = stamp(folder.path(), &files, "6.1").unwrap();
        assert_eq!(before, stamp(folder.path(), &files, "6.1").unwrap());
        assert_ne!(before, stamp(folder.path(), &files, "6.2").unwrap());
        fs::write(folder.path().join("a.c"), "changed").unwrap();
        assert_ne!(before, stamp(folder.path(), &files, "6.1").unwrap());
    }

    #[test]
    fn modules_are_collected_from_subfolders() {
        let (folder, to) = (sources(), tempfile::tempdir().unwrap());
        fs::write(folder.path().join("more/c.ko"), "ko").unwrap();
        assert_eq!(collect(folder.path(), to.path()).unwrap(), 1);
        assert!(to.path().join("more/c.ko").is_file());
    }
}
