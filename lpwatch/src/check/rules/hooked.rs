//! What the rules about tracing share: the owner of a hook, whether its function
//! is patched already, and how to remove the hook.

use crate::{
    check::{
        CheckContext,
        facts::hooks::{FoundHook, FoundHookKind},
    },
    kernel::{kallsyms::VMLINUX, patch_file::PatchFile},
    model::{self, Culprit, PatchView, calls::FunctionId},
};

/// The hooks on functions to be patched, without those of lpwatch.
pub(super) fn foreign<'a>(
    context: &CheckContext<'a>,
) -> impl Iterator<Item = (&'a FunctionId, &'a FoundHook)> + use<'a> {
    let at = context.facts.hooks.at.iter();
    at.flat_map(|(function, hooks)| hooks.iter().map(move |hook| (function, hook)))
        .filter(|(_, hook)| !hook.is_ours)
}

/// Whether this patch would be the first of this function. A further patch uses
/// the ftrace registration of the first (`klp_patch_func`,
/// kernel/livepatch/patch.c).
pub(super) fn is_first(context: &CheckContext<'_>, function: &FunctionId) -> bool {
    let mut patches = context.facts.patches.iter().flatten();
    !context.is_loaded && !patches.any(|patch| holds(patch, function))
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
pub(super) fn described(hook: &FoundHook) -> String {
    let FoundHook { kind, owner, .. } = hook;
    match kind {
        FoundHookKind::Kprobe(_) | FoundHookKind::Kretprobe => probe(owner),
        FoundHookKind::Trampoline if owner.id.is_none() => "a BPF trampoline".to_owned(),
        FoundHookKind::Redirect { handler: None } => {
            "an unknown user of the function tracer".to_owned()
        }
        FoundHookKind::Redirect {
            handler: Some(handler),
        } if handler == KPROBES => "a kprobe with a post handler".to_owned(),
        FoundHookKind::Redirect {
            handler: Some(name),
        } => format!("`{name}`"),
        FoundHookKind::Direct => match &owner.name {
            Some(name) => format!("`{name}`"),
            None => "code that ftrace calls directly".to_owned(),
        },
        FoundHookKind::Fentry
        | FoundHookKind::Fexit
        | FoundHookKind::FmodRet
        | FoundHookKind::Lsm
        | FoundHookKind::Trampoline => match model::owner(owner) {
            Some(of) => format!("{} of {of}", model::described(owner)),
            None => model::described(owner),
        },
    }
}

/// The ftrace handler of kprobes (kernel/kprobes.c, arch code).
const KPROBES: &str = "kprobe_ftrace_handler";

fn probe(owner: &Culprit) -> String {
    let kind = owner.kind.as_deref().unwrap_or("kprobe");
    match &owner.name {
        Some(name) => format!("{kind} {name}"),
        None => format!("a {kind} without a name"),
    }
}

/// With a capital letter, for the start of a sentence.
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

/// How to remove the hook. The operator decides.
pub(super) fn removal(hook: &FoundHook) -> Vec<String> {
    let FoundHook { kind, owner, .. } = hook;
    match kind {
        FoundHookKind::Kprobe(_) | FoundHookKind::Kretprobe => vec![probe_removal(owner)],
        FoundHookKind::Redirect { .. } | FoundHookKind::Direct => vec![
            "Unload the kernel module that placed it, or end the fault injection.".to_owned(),
            "To list out-of-tree modules: grep -l O /sys/module/*/taint".to_owned(),
            "To list functions with fault injection: cat /sys/kernel/debug/fail_function/inject"
                .to_owned(),
        ],
        FoundHookKind::Fentry
        | FoundHookKind::Fexit
        | FoundHookKind::FmodRet
        | FoundHookKind::Lsm
        | FoundHookKind::Trampoline => {
            let mut lines = vec![format!(
                "Before loading the patch, {}.",
                model::stop_program(Some(owner))
            )];
            lines.extend(model::stop_command(Some(owner)));
            let ends = owner.owner_pid.filter(|pid| *pid != 1);
            lines.extend(ends.map(|pid| format!("If that process may be ended: kill {pid}")));
            lines
        }
    }
}

fn probe_removal(owner: &Culprit) -> String {
    match &owner.name {
        Some(name) => {
            format!("Switch it off: echo 0 > /sys/kernel/tracing/events/{name}/enable")
        }
        None => "Stop its owner. To find the probe: cat /sys/kernel/debug/kprobes/list".to_owned(),
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

    use super::{Culprit, FoundHook, FoundHookKind, FunctionId, VMLINUX};
    use crate::check::facts::{
        CheckFacts,
        hooks::{HookFacts, HookSupport},
    };

    pub fn function(name: &str) -> FunctionId {
        FunctionId {
            object: VMLINUX.to_owned(),
            name: name.to_owned(),
            sympos: 1,
        }
    }

    /// Facts with these hooks on gcd only.
    pub fn facts(hooks: Vec<FoundHook>, support: HookSupport) -> CheckFacts {
        CheckFacts {
            hooks: HookFacts {
                at: BTreeMap::from([(function("gcd"), hooks)]),
                support,
            },
            ..CheckFacts::default()
        }
    }

    pub fn hook(kind: FoundHookKind) -> FoundHook {
        FoundHook {
            kind,
            owner: Culprit::default(),
            is_ours: false,
            evidence: vec!["what shows it".to_owned()],
        }
    }

    pub fn named(kind: FoundHookKind, name: &str) -> FoundHook {
        let mut hook = hook(kind);
        hook.owner.name = Some(name.to_owned());
        hook
    }

    pub fn program(kind: FoundHookKind) -> FoundHook {
        FoundHook {
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
