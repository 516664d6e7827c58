//! The functions of the patch are there, and are those it was made for.

use crate::{
    check::Ground,
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
    title: "every function is there, and is the one the patch was made for",
    background: "\
The kernel looks each function up by name in the symbols of its object, and refuses the whole patch \
(EINVAL) if one is not there, if there are several and the patch does not say which (its symbol \
position is 0), or if there are fewer than it says. Every symbol of the name counts, in the order of \
addresses, so in another build the same position can mean another function. The function must also \
begin with a place that ftrace can redirect: those marked notrace, and inlined ones, have none. What \
the compiler split off a function (name.part.0, name.isra.0, name.constprop.0) is a function of its \
own that callers may use directly: it stays as it is unless the patch names it. What the patch's code \
itself uses of the kernel without its being exported (.klp.sym in patches of kpatch-build and klp-build) \
is found in the same way, and refused in the same way where it is not.

The kernel does not check that a module is the one a patch was made for: the names of functions are \
enough for it. An in-tree module can be shadowed by an out-of-tree build with fixes of its own, and \
a patch made for the former puts the former's code in their place. With fuse that brought back a bug \
that had been fixed, and a cluster failed (kpatch #1435). A module that is not loaded is patched when it loads; if that fails, \
the module does not load.",
    sources: &[
        "kernel/livepatch/core.c, klp_find_object_symbol, klp_resolve_symbols, klp_init_object_loaded, klp_module_coming (5.10 to 7.3)",
        "kernel/livepatch/patch.c, klp_patch_func (5.10 to 7.3)",
        "kernel/kallsyms.c, kallsyms_on_each_match_symbol (6.12)",
        "https://github.com/dynup/kpatch/issues/1435",
    ],
    judge,
};

fn judge(ground: &Ground<'_>) -> Vec<CheckFinding> {
    let mut found = builds::judge(ground);
    found.extend(functions::judge(ground));
    found.extend(used::judge(ground));
    found.extend(modules::judge(ground));
    found
}

/// A finding of this rule, without evidence and remedies.
fn finding(severity: Severity, text: impl Into<String>, errno: Option<u32>) -> CheckFinding {
    findings::finding(&RULE, severity, text, errno)
}

#[cfg(test)]
mod tests;
