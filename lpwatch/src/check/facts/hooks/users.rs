//! From what stands at a function's entry to hooks: BPF programs, and other
//! users of the function tracer.

use crate::{
    kernel::ftrace_users::FtraceUsers,
    model::{self, Culprit},
    probe::{TraceHook, Tracer},
};

use super::{Bears, Hook, HookKind};

/// The name of lpwatch's processes.
const OURS: &str = "lpwatch";

const USERS_FILE: &str = "/sys/kernel/tracing/enabled_functions";
/// Handlers of live patches: the kernel's, and that of kpatch before it.
const PATCH_HANDLERS: [&str; 2] = ["klp_ftrace_handler", "kpatch_ftrace_handler"];

/// The programs at a function. Where the kernel does not show whether one is
/// attached, it is if anything is.
pub(super) fn programs(tracers: &[Tracer], users: Option<&FtraceUsers>) -> Vec<Hook> {
    let any = users.is_some_and(|users| users.direct);
    let attached = tracers
        .iter()
        .filter(|tracer| tracer.attached.unwrap_or(any));
    let hooks = attached.map(|tracer| Hook {
        kind: match tracer.hook {
            TraceHook::Fentry => HookKind::Fentry,
            TraceHook::Fexit => HookKind::Fexit,
            TraceHook::FmodRet => HookKind::FmodRet,
            TraceHook::Lsm => HookKind::Lsm,
            TraceHook::Other => HookKind::Trampoline,
        },
        owner: tracer.program.clone(),
        is_ours: tracer.is_own || is_ours(&tracer.program),
        evidence: vec![program_line(&tracer.program)],
    });
    hooks.collect()
}

/// What is called without a handler, if no program is known that stands for it:
/// programs may not be known at all, or be of a kind that names no function.
pub(super) fn direct(users: &FtraceUsers, any_program: bool) -> Option<Hook> {
    if !users.direct {
        return None;
    }
    let target = users.direct_to.as_deref();
    let is_bpf = target.is_none_or(|target| target.starts_with("bpf_trampoline_"));
    let kind = match (is_bpf, any_program) {
        (true, true) => return None,
        (true, false) => HookKind::Trampoline,
        (false, _) => HookKind::Direct,
    };
    let mut evidence = vec![users_line(users)];
    evidence.extend(target.map(|target| format!("It calls {target} directly.")));
    Some(Hook {
        kind,
        owner: Culprit {
            name: target.filter(|_| !is_bpf).map(str::to_owned),
            attached_to: Some(users.function.clone()),
            ..Culprit::default()
        },
        is_ours: false,
        evidence,
    })
}

/// Who may send calls elsewhere, if it is no live patch.
pub(super) fn redirect(users: &FtraceUsers, bears: Bears) -> Option<Hook> {
    let mut handlers = users.handlers.iter().map(String::as_str);
    let is_patch = handlers.any(|handler| PATCH_HANDLERS.contains(&handler));
    // Before 6.0 what is called directly is itself such a user.
    let is_direct = users.direct && bears.trampolines != Some(true);
    if !users.redirected || is_patch || is_direct {
        return None;
    }
    let handler = users.handlers.first().cloned();
    let is_kprobe = handler.as_deref() == Some("kprobe_ftrace_handler");
    Some(Hook {
        owner: Culprit {
            kind: is_kprobe.then(|| "kprobe".to_owned()),
            attached_to: Some(users.function.clone()),
            ..Culprit::default()
        },
        kind: HookKind::Redirect { handler },
        is_ours: false,
        evidence: vec![users_line(users)],
    })
}

pub(super) fn is_ours(program: &Culprit) -> bool {
    program.owner_comm.as_deref() == Some(OURS)
}

/// `fexit program on_exit (id 42), tag a04f5eef06a7f555, held by falcon (pid 77),
/// pinned at /sys/fs/bpf/x`
pub(super) fn program_line(program: &Culprit) -> String {
    let tag = program.tag.as_ref();
    let parts = [
        tag.map(|tag| format!("tag {tag}")),
        model::owner(program).map(|owner| format!("held by {owner}")),
        program
            .pinned
            .as_ref()
            .map(|pin| format!("pinned at {pin}")),
    ];
    let mut words = vec![model::described(program)];
    words.extend(parts.into_iter().flatten());
    words.join(", ")
}

fn users_line(users: &FtraceUsers) -> String {
    format!("{USERS_FILE}: {}", users.line)
}

#[cfg(test)]
mod tests;
