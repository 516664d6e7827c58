//! A patch of the kernel and of a module that is not loaded yet.

use anyhow::{Result, ensure};

use crate::contract::Document;
use crate::guest::{self, Module};
use crate::lpwatch::{self, ALONE, ALONE_NO_BPF, code};
use crate::patch::Patch;
use crate::trial::Trial;

pub fn run(_: &mut Trial) -> Result<()> {
    // 5.10 has no file that says whether an object is patched.
    let tells = guest::kernel_series()? != "5.10";
    let patch = Patch::load_completely("lp_two_objects")?;

    for how in [ALONE, ALONE_NO_BPF] {
        let document = lpwatch::status(&[how], &[code::WELL])?;
        let (kernel, late) = patched(&document)?;
        ensure!(
            late != Some(true),
            "the absent module is patched: {document:?}"
        );
        ensure!(
            kernel != Some(false),
            "the kernel is not patched: {document:?}"
        );
        if tells {
            ensure!(late == Some(false) && kernel == Some(true), "{document:?}");
        }
        let table = lpwatch::run(&[&["status"], how])?;
        let text = table.expect(&[code::WELL])?.text().to_lowercase();
        ensure!(
            text.contains("lpwatch_late"),
            "the table does not name it: {text}"
        );
        ensure!(
            late.is_none() || text.contains("not loaded"),
            "the table does not say so: {text}"
        );
    }

    let late_module = Module::load("lpwatch_late")?;
    for how in [ALONE, ALONE_NO_BPF] {
        let document = lpwatch::status(&[how], &[code::WELL])?;
        let (_, late) = patched(&document)?;
        ensure!(late != Some(false), "loaded, and not patched: {document:?}");
        ensure!(!tells || late == Some(true), "{document:?}");
    }
    late_module.unload()?;
    patch.remove()
}

/// What is said of the kernel and of the module.
fn patched(document: &Document) -> Result<(Option<bool>, Option<bool>)> {
    let patch = document.patch("lp_two_objects")?;
    let kernel = patch.object("vmlinux")?.patched;
    Ok((kernel, patch.object("lpwatch_late")?.patched))
}
