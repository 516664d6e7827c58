//! What the rules about tracing have in common: whose a hook is, whether the
//! patch still has to come to its function, and how to take it out.

use crate::{
    check::{
        Ground,
        facts::hooks::{Hook, HookKind},
    },
    kernel::{kallsyms::VMLINUX, patch_file::PatchFile},
    model::{self, Culprit, PatchView, calls::FunctionId},
};

/// The hooks at functions to be patched that are not lpwatch's.
pub(super) fn foreign<'a>(
    ground: &Ground<'a>,
) -> impl Iterator<Item = (&'a FunctionId, &'a Hook)> + use<'a> {
    let at = ground.facts.hooks.at.iter();
    at.flat_map(|(function, hooks)| hooks.iter().map(move |hook| (function, hook)))
        .filter(|(_, hook)| !hook.is_ours)
}

/// Whether loading the patch would be the first to patch this function. A
/// further patch is added to the first one's: the function tracer is not asked
/// again (`klp_patch_func`, kernel/livepatch/patch.c).
pub(super) fn is_first(ground: &Ground<'_>, function: &FunctionId) -> bool {
    let mut patches = ground.facts.patches.iter().flatten();
    !ground.is_loaded && !patches.any(|patch| holds(patch, function))
}

fn holds(patch: &PatchView, function: &FunctionId) -> bool {
    let mut objects = patch.objects.iter();
    (patch.enabled == Some(true) || patch.in_transition)
        && objects.any(|object| {
            object.name == function.object
                && object.patched != Some(false)
                && object
                    .functions
                    .iter()
                    .any(|(name, sympos)| *name == function.name && *sympos == function.sympos)
        })
}

/// `fexit program on_exit (id 42) of falcon (pid 77)`, `kprobe group/event`.
pub(super) fn described(hook: &Hook) -> String {
    let Hook { kind, owner, .. } = hook;
    match kind {
        HookKind::Kprobe(_) | HookKind::Kretprobe => probe(owner),
        HookKind::Trampoline if owner.id.is_none() => "a BPF trampoline".to_owned(),
        HookKind::Redirect { handler: None } => "an unknown user of the function tracer".to_owned(),
        HookKind::Redirect {
            handler: Some(handler),
        } if handler == KPROBES => "a kprobe with a post handler".to_owned(),
        HookKind::Redirect {
            handler: Some(name),
        } => format!("`{name}`"),
        HookKind::Direct => match &owner.name {
            Some(name) => format!("`{name}`"),
            None => "code called directly".to_owned(),
        },
        HookKind::Fentry
        | HookKind::Fexit
        | HookKind::FmodRet
        | HookKind::Lsm
        | HookKind::Trampoline => match model::owner(owner) {
            Some(of) => format!("{} of {of}", model::described(owner)),
            None => model::described(owner),
        },
    }
}

/// What the function tracer calls for kprobes (kernel/kprobes.c, arch code).
const KPROBES: &str = "kprobe_ftrace_handler";

fn probe(owner: &Culprit) -> String {
    let kind = owner.kind.as_deref().unwrap_or("kprobe");
    match &owner.name {
        Some(name) => format!("{kind} {name}"),
        None => format!("a {kind} without a name"),
    }
}

/// With a capital, to begin a sentence.
pub(super) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

/// `f`, or `f of module nfs`.
pub(super) fn place(function: &FunctionId) -> String {
    let FunctionId { object, name, .. } = function;
    if object == VMLINUX {
        return name.clone();
    }
    format!("{name} of module {object}")
}

/// How to take the hook out: for the operator to decide.
pub(super) fn removal(hook: &Hook) -> Vec<String> {
    let Hook { kind, owner, .. } = hook;
    match kind {
        HookKind::Kprobe(_) | HookKind::Kretprobe => vec![probe_removal(owner)],
        HookKind::Redirect { .. } | HookKind::Direct => vec![
            "Unload the kernel module that placed it, or end the fault injection.".to_owned(),
            "Modules from outside the kernel's tree: grep -l O /sys/module/*/taint".to_owned(),
            "Functions with fault injection: cat /sys/kernel/debug/fail_function/inject".to_owned(),
        ],
        HookKind::Fentry
        | HookKind::Fexit
        | HookKind::FmodRet
        | HookKind::Lsm
        | HookKind::Trampoline => {
            let mut lines = vec![format!(
                "Before loading the patch, {}.",
                model::stop_program(Some(owner))
            )];
            lines.extend(model::stop_command(Some(owner)));
            let ends = owner.owner_pid.filter(|pid| *pid != 1);
            lines.extend(ends.map(|pid| format!("If that process may end: kill {pid}")));
            lines
        }
    }
}

fn probe_removal(owner: &Culprit) -> String {
    match &owner.name {
        Some(name) => {
            format!("Switch it off: echo 0 > /sys/kernel/tracing/events/{name}/enable")
        }
        None => "Stop what placed it (see /sys/kernel/debug/kprobes/list).".to_owned(),
    }
}

/// The new function's symbol, as probes take it: `module:symbol`.
pub(super) fn new_function(patch: &PatchFile, function: &FunctionId) -> Option<String> {
    let mut objects = patch.objects.iter();
    let object = objects.find(|object| object.name == function.object)?;
    let mut functions = object.functions.iter();
    let found =
        functions.find(|one| one.name == function.name && one.sympos.max(1) == function.sympos)?;
    let new = found.new_function.as_deref()?;
    Some(format!("{}:{new}", patch.name))
}

/// Plain values for the tests of the rules about tracing.
#[cfg(test)]
pub(super) mod samples {
    use std::collections::BTreeMap;

    use super::{Culprit, FunctionId, Hook, HookKind, VMLINUX};
    use crate::check::facts::{
        Facts,
        hooks::{Bears, HookFacts},
    };

    pub fn function(name: &str) -> FunctionId {
        FunctionId {
            object: VMLINUX.to_owned(),
            name: name.to_owned(),
            sympos: 1,
        }
    }

    /// These hooks at gcd, and nothing else.
    pub fn facts(hooks: Vec<Hook>, bears: Bears) -> Facts {
        Facts {
            hooks: HookFacts {
                at: BTreeMap::from([(function("gcd"), hooks)]),
                bears,
            },
            ..Facts::default()
        }
    }

    pub fn hook(kind: HookKind) -> Hook {
        Hook {
            kind,
            owner: Culprit::default(),
            is_ours: false,
            evidence: vec!["what shows it".to_owned()],
        }
    }

    pub fn named(kind: HookKind, name: &str) -> Hook {
        let mut hook = hook(kind);
        hook.owner.name = Some(name.to_owned());
        hook
    }

    pub fn program(kind: HookKind) -> Hook {
        Hook {
            owner: Culprit {
                id: Some(42),
                name: Some("on_exit".to_owned()),
                kind: Some("fexit".to_owned()),
                owner_pid: Some(77),
                owner_comm: Some("falcon".to_owned()),
                ..Culprit::default()
            },
            ..hook(kind)
        }
    }
}
