//! kpatch's own core module, from before livepatch (2014 to about 2020): it stops
//! the whole machine, checks every task's stack, and switches all tasks at once.
//!
//! So there is no transition: a patch is applied or refused. A refusal leaves
//! nothing in sysfs, only lines in the kernel log, which name the function, one
//! task and its stack ([`crate::kernel::kmsg::parse_foreign`]).

use crate::{
    kernel::{
        ReadError, Roots,
        kallsyms::{self, Functions},
        kpatch_core::{self, CorePatch},
    },
    model::{EngineKind, FunctionAddress, OBJECT_UNKNOWN, PatchDetails, PatchView, SystemView},
};

use super::{Consistency, Engine, Knowledge, Known, objects::objects};

pub(super) struct Kpatch;

impl Engine for Kpatch {
    fn kind(&self) -> EngineKind {
        EngineKind::Kpatch
    }

    fn knows(&self) -> Knowledge {
        Knowledge {
            consistency: Consistency::MachineStopped,
            progress: Known::No("all tasks switch at once, while the machine is stopped"),
            blockers: Known::Partly("only the one task of a refusal that the kernel log names"),
            reasons: Known::Partly("only the function of a refusal that the kernel log names"),
            calls: Known::No(
                "its core module runs only on kernels without support for lpwatch's counters",
            ),
            check: Known::No("the checks apply only to livepatch"),
            wait: Known::Partly("there is nothing to wait for after the patch is loaded"),
            stop_time: Known::Partly(
                "it is not recorded in files: only a daemon that hooks stop_machine measures it",
            ),
        }
    }

    fn read(&self, roots: &Roots, view: &mut SystemView) -> Result<bool, ReadError> {
        let Some(found) = kpatch_core::read(roots)? else {
            return Ok(false);
        };
        view.notes.extend(found.notes);
        let symbols = symbols(&found.patches, roots);
        for patch in found.patches {
            if patch.enabled.is_none() {
                view.notes
                    .push(format!("It is unknown whether {} is enabled.", patch.name));
            }
            view.patches.push(patch_view(patch, &symbols, roots));
        }
        Ok(true)
    }
}

/// Up to v0.3 only the address of a function shows its object.
fn symbols(patches: &[CorePatch], roots: &Roots) -> Functions {
    let functions = patches.iter().flat_map(|patch| &patch.functions);
    let addresses: Vec<u64> = functions
        .filter(|function| function.object.is_none())
        .filter_map(|function| function.old_address)
        .collect();
    if addresses.is_empty() {
        return Functions::default();
    }
    kallsyms::find_functions(roots, &[], &addresses).unwrap_or_default()
}

fn patch_view(patch: CorePatch, symbols: &Functions, roots: &Roots) -> PatchView {
    let CorePatch {
        name,
        enabled,
        checksum: _,
        functions,
    } = patch;
    let addresses: Vec<FunctionAddress> = functions
        .into_iter()
        .map(|function| {
            let of_address = || {
                let symbol = symbols.symbols.get(&function.old_address?)?;
                Some(symbol.object.clone())
            };
            FunctionAddress {
                object: function
                    .object
                    .clone()
                    .or_else(of_address)
                    .unwrap_or_else(|| OBJECT_UNKNOWN.to_owned()),
                name: function.name,
                sympos: function.sympos,
                old: function.old_address,
                new: function.new_address,
            }
        })
        .collect();
    let named = addresses.iter().map(|function| {
        (
            function.object.clone(),
            function.name.clone(),
            function.sympos,
        )
    });
    PatchView {
        enabled,
        objects: objects(named, enabled, roots),
        details: PatchDetails {
            addresses,
            ..PatchDetails::default()
        },
        ..PatchView::new(name, EngineKind::Kpatch)
    }
}
