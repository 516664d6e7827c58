//! A bpftrace for a guest: Debian's own, of the release the kernel is from,
//! with the libraries it wants.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::chroot::Chroot;
use crate::kernels::Cached;
use crate::lock::Lock;
use crate::{paths, process, ui};

const PACKAGE: &str = "bpftrace";
const PROGRAM: &str = "/usr/bin/bpftrace";

/// A folder to be put over a guest's root: bin/bpftrace, and libraries where
/// the loader looks for them.
pub fn for_kernel(kernel: &Cached) -> Result<PathBuf> {
    let base = kernel.manifest.base.as_str();
    let all = paths::target("bpftrace");
    let folder = all.join(base);
    let _lock = Lock::acquire(&all, base)?;
    if folder.is_dir() {
        return Ok(folder);
    }
    let chroot = Chroot::with_packages(kernel, &[PACKAGE])
        .with_context(|| format!("cannot install {PACKAGE} of {base}"))?;
    let step = ui::Step::start(format!("packing {PACKAGE} of {base}"));
    let fresh = tempfile::Builder::new()
        .prefix(".packing-")
        .tempdir_in(&all)?;
    copy(chroot.path(), PROGRAM, &fresh.path().join("bin/bpftrace"))?;
    let libraries = libraries(&chroot)?;
    for library in &libraries {
        let to = fresh.path().join(library.trim_start_matches('/'));
        copy(chroot.path(), library, &to)?;
    }
    fs::rename(fresh.keep(), &folder)?;
    step.done(format!("with {} libraries", libraries.len()));
    Ok(folder)
}

/// What its loader says it loads.
fn libraries(chroot: &Chroot) -> Result<Vec<String>> {
    let mut ldd: Command = chroot.command("ldd");
    let libraries = paths_in(&process::run(ldd.arg(PROGRAM))?)?;
    if libraries.is_empty() {
        bail!("{PROGRAM} wants no library, which cannot be");
    }
    Ok(libraries)
}

/// `libz.so.1 => /lib/x86_64-linux-gnu/libz.so.1 (0x00007f…)`, and for the
/// loader itself `/lib64/ld-linux-x86-64.so.2 (0x00007f…)`.
fn paths_in(ldd: &str) -> Result<Vec<String>> {
    if let Some(line) = ldd.lines().find(|line| line.contains("not found")) {
        bail!("a library is missing: {}", line.trim());
    }
    let paths = ldd.lines().filter_map(|line| {
        let words = line.split_whitespace();
        words.into_iter().find(|word| word.starts_with('/'))
    });
    Ok(paths.map(str::to_owned).collect())
}

fn copy(root: &Path, path: &str, to: &Path) -> Result<()> {
    let from = root.join(path.trim_start_matches('/'));
    fs::create_dir_all(to.parent().unwrap_or(to))?;
    fs::copy(&from, to).with_context(|| format!("cannot copy {}", from.display()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loaders_words_are_read() {
        let text = "\tlinux-vdso.so.1 (0x00007ffd)\n\
                    \tlibz.so.1 => /lib/x86_64-linux-gnu/libz.so.1 (0x00007f01)\n\
                    \t/lib64/ld-linux-x86-64.so.2 (0x00007f02)\n";
        assert_eq!(
            paths_in(text).unwrap(),
            [
                "/lib/x86_64-linux-gnu/libz.so.1",
                "/lib64/ld-linux-x86-64.so.2"
            ]
        );
        assert!(paths_in("\tlibx.so => not found\n").is_err());
    }
}
