//! Conflicts with the patches that are already loaded.

use crate::{
    check::CheckContext,
    model::{PatchView, check::CheckFinding, snapshot::Severity},
};

use super::{Rule, findings};

mod functions;
mod namesake;
mod states;

pub(super) const RULE: Rule = Rule {
    id: "overlap",
    title: "this patch is compatible with the loaded patches",
    background: "\
If several patches change the same function, the code of the last enabled patch runs. The fix of an \
earlier patch has no effect unless the later patch contains it. When the later patch is disabled, the \
earlier one runs again. A patch with `replace` replaces all patches before it: their functions that it \
does not name return to the original code, and their modules can be unloaded. Such a patch is meant to \
be cumulative, so a function that returns to the original code is often a forgotten fix.

Changes that outlive the code of a patch (shadow variables, effects of callbacks) can be declared as \
states with versions. For each state of a loaded patch, the kernel refuses a patch (EINVAL) that has \
only an older version of it, and a patch with `replace` that does not have it. sysfs shows no states; \
lpwatch reads them from the files of the loaded patches. The order of the patches is shown since 6.14 \
(stack_order), and the replace flag since 6.11.",
    sources: &[
        "kernel/livepatch/state.c, klp_is_patch_compatible (5.5 to 7.3)",
        "kernel/livepatch/core.c, klp_add_nops, klp_unpatch_replaced_patches (5.10 to 7.3)",
        "Documentation/livepatch/cumulative-patches.rst",
        "Documentation/livepatch/system-state.rst",
        "kernel/module/main.c, add_unformed_module (6.12)",
    ],
    judge,
};

fn judge(context: &CheckContext<'_>) -> Vec<CheckFinding> {
    let others = others(context);
    if context.is_loaded {
        return functions::above(context, &others).into_iter().collect();
    }
    let mut found = Vec::new();
    found.extend(namesake::judge(context));
    found.extend(states::judge(context, &others));
    found.extend(functions::judge(context, &others));
    found
}

/// The loaded patches without this one.
fn others<'a>(context: &CheckContext<'a>) -> Vec<&'a PatchView> {
    let patches = context.facts.patches.iter().flatten();
    patches
        .filter(|patch| patch.name != context.patch.name)
        .collect()
}

/// A finding of this rule, without evidence and remedies.
fn finding(severity: Severity, text: impl Into<String>, errno: Option<u32>) -> CheckFinding {
    findings::finding(&RULE, severity, text, errno)
}

#[cfg(test)]
mod tests;
