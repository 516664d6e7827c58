//! Whether the functions of the patch exist and are those it was made for.

use crate::{
    check::CheckContext,
    model::{check::CheckFinding, snapshot::Severity},
};

use super::{Rule, findings};

mod builds;
mod functions;
mod modules;
mod trouble;
mod used;

pub(super) const RULE: Rule = Rule {
    id: "symbol",
    title: "every function exists and is the one that the patch was made for",
    background: "\
The kernel finds each function by its name in the symbols of its object. It refuses the whole patch \
(EINVAL) if a function is missing, if there are several of the name and the patch does not say which \
(sympos 0), or if sympos exceeds their number. sympos counts all symbols of the name in the order of \
their addresses, so in another build the same sympos can mean another function. ftrace must be able to \
redirect the function at its start, which is not possible for notrace and inlined functions. A part \
that the compiler split off a function (name.part.0, name.isra.0, name.constprop.0) is a separate \
function that callers may use directly. It is not patched unless the patch names it. The kernel finds \
the unexported symbols that the patch's code uses (.klp.sym in patches of kpatch-build and klp-build) \
in the same way, and refuses the patch if one is missing.

The kernel does not check that a module is the one that the patch was made for. It compares only the \
names of functions. An out-of-tree build with its own fixes can be loaded instead of the in-tree \
module. A patch for the in-tree module then replaces the fixed code. With fuse this brought back a \
fixed bug, and a cluster failed (kpatch #1435). A module that is not loaded is patched when it loads. \
If that fails, the module does not load.",
    sources: &[
        "kernel/livepatch/core.c, klp_find_object_symbol, klp_resolve_symbols, klp_init_object_loaded, klp_module_coming (5.10 to 7.3)",
        "kernel/livepatch/patch.c, klp_patch_func (5.10 to 7.3)",
        "kernel/kallsyms.c, kallsyms_on_each_match_symbol (6.12)",
        "https://github.com/dynup/kpatch/issues/1435",
    ],
    judge,
};

fn judge(context: &CheckContext<'_>) -> Vec<CheckFinding> {
    let mut found = builds::judge(context);
    found.extend(functions::judge(context));
    found.extend(used::judge(context));
    found.extend(modules::judge(context));
    found
}

/// A finding of this rule, without evidence and remedies.
fn finding(severity: Severity, text: impl Into<String>, errno: Option<u32>) -> CheckFinding {
    findings::finding(&RULE, severity, text, errno)
}

#[cfg(test)]
mod tests;
