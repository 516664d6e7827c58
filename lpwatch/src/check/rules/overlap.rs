//! What is patched already, and how this patch gets along with it.

use crate::{
    check::Ground,
    model::{PatchView, check::CheckFinding, snapshot::Severity},
};

use super::{Rule, findings};

mod functions;
mod namesake;
mod states;

pub(super) const RULE: Rule = Rule {
    id: "overlap",
    title: "the patches that are loaded and this one get along",
    background: "\
Patches that change the same function lie on each other: the one enabled last runs, and the earlier \
one's fix is without effect unless the later contains it. When the later is removed the earlier runs \
again. A patch with `replace` takes the place of all patches before it instead: their functions that \
it does not name go back to the original code, and their modules can be unloaded. It is meant to be \
cumulative, so a function that goes back is often a fix that was forgotten.

Changes that outlive the code of a patch (shadow variables, what callbacks did) can be declared as \
states with versions. The kernel refuses a patch (EINVAL) that knows a state of a loaded patch in an \
older version only, and one with `replace` that does not know it at all. sysfs shows no states: \
they are known only from the files of the loaded patches. Which of several patches is on top is \
shown since 6.14 (stack_order), and whether one replaces others since 6.11.",
    sources: &[
        "kernel/livepatch/state.c, klp_is_patch_compatible (5.5 to 7.3)",
        "kernel/livepatch/core.c, klp_add_nops, klp_unpatch_replaced_patches (5.10 to 7.3)",
        "Documentation/livepatch/cumulative-patches.rst",
        "Documentation/livepatch/system-state.rst",
        "kernel/module/main.c, add_unformed_module (6.12)",
    ],
    judge,
};

fn judge(ground: &Ground<'_>) -> Vec<CheckFinding> {
    let others = others(ground);
    if ground.is_loaded {
        return functions::above(ground, &others).into_iter().collect();
    }
    let mut found = Vec::new();
    found.extend(namesake::judge(ground));
    found.extend(states::judge(ground, &others));
    found.extend(functions::judge(ground, &others));
    found
}

/// The loaded patches but this one.
fn others<'a>(ground: &Ground<'a>) -> Vec<&'a PatchView> {
    let patches = ground.facts.patches.iter().flatten();
    patches
        .filter(|patch| patch.name != ground.patch.name)
        .collect()
}

/// A finding of this rule, without evidence and remedies.
fn finding(severity: Severity, text: impl Into<String>, errno: Option<u32>) -> CheckFinding {
    findings::finding(&RULE, severity, text, errno)
}

#[cfg(test)]
mod tests;
