//! `KernelCare`: patches are put in by its own module, by a way that is not
//! published (`PATCH_METHOD` names `normal`, `nofreeze` and `smart`: with or
//! without freezing all tasks first).
//!
//! The kernel shows that it is there, the version that is in force and the CVEs
//! that are fixed. It shows neither patches nor functions, progress or refusals,
//! so all that is patched appears here as one patch, named as its module.

use crate::{
    kernel::{ReadError, Roots, kernelcare},
    model::{EngineKind, PatchView, SystemView},
};

use super::{Consistency, Engine, Knowledge, Known};

pub(super) struct KernelCare;

const NOT_SHOWN: Known = Known::No("KernelCare shows nothing of it");

impl Engine for KernelCare {
    fn kind(&self) -> EngineKind {
        EngineKind::Kernelcare
    }

    fn knows(&self) -> Knowledge {
        Knowledge {
            consistency: Consistency::NotKnown,
            progress: NOT_SHOWN,
            blockers: NOT_SHOWN,
            reasons: NOT_SHOWN,
            calls: Known::No("KernelCare does not show which functions it patches"),
            check: Known::No("its patches have a form of their own"),
            wait: NOT_SHOWN,
            stop_time: NOT_SHOWN,
        }
    }

    fn read(&self, roots: &Roots, view: &mut SystemView) -> Result<bool, ReadError> {
        let Some(care) = kernelcare::read(roots)? else {
            return Ok(false);
        };
        let kernelcare::KernelCareFiles {
            active,
            effective_version,
            cves,
            // How it is configured says nothing of what it has done.
            patch_method: _,
            auto_update: _,
            notes,
        } = care;
        view.notes.extend(notes);
        if active {
            let enabled = cves.as_ref().map(|cves| !cves.is_empty());
            if enabled.is_none() {
                view.notes.push(
                    "KernelCare's module is loaded; whether it has patched anything, the kernel \
                     does not show."
                        .to_owned(),
                );
            }
            view.patches.push(PatchView {
                enabled,
                ..PatchView::new("kcare".to_owned(), self.kind())
            });
        }
        view.effective_kernel = effective_version;
        let cves = cves.into_iter().flatten();
        view.cves.extend(cves.map(|cve| (self.kind(), cve)));
        Ok(true)
    }
}
