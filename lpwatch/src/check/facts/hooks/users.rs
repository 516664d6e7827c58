//! Converts the BPF programs and the other users of the function tracer at a
//! function's entry to hooks.

use crate::{
    kernel::ftrace_users::FtraceUsers,
    model::{self, Culprit},
    probe::{TraceHook, Tracer},
};

use super::{FoundHook, FoundHookKind, HookSupport};

/// The name of lpwatch's processes.
const OURS: &str = "lpwatch";

const USERS_FILE: &str = "/sys/kernel/tracing/enabled_functions";
/// Handlers of live patches: of the kernel, and of the older kpatch.
const PATCH_HANDLERS: [&str; 2] = ["klp_ftrace_handler", "kpatch_ftrace_handler"];

/// The programs at a function. If the kernel does not show whether a program is
/// attached, any user of the function counts as proof.
pub(super) fn programs(tracers: &[Tracer], users: Option<&FtraceUsers>) -> Vec<FoundHook> {
    let any = users.is_some_and(|users| users.direct);
    let attached = tracers
        .iter()
        .filter(|tracer| tracer.attached.unwrap_or(any));
    let hooks = attached.map(|tracer| FoundHook {
        kind: match tracer.hook {
            TraceHook::Fentry => FoundHookKind::Fentry,
            TraceHook::Fexit => FoundHookKind::Fexit,
            TraceHook::FmodRet => FoundHookKind::FmodRet,
            TraceHook::Lsm => FoundHookKind::Lsm,
            TraceHook::Other => FoundHookKind::Trampoline,
        },
        owner: tracer.program.clone(),
        is_ours: tracer.is_own || is_ours(&tracer.program),
        evidence: vec![program_line(&tracer.program)],
    });
    hooks.collect()
}

/// A direct call that no known program explains: the programs may be unknown, or
/// of a kind that names no function.
pub(super) fn direct(users: &FtraceUsers, any_program: bool) -> Option<FoundHook> {
    if !users.direct {
        return None;
    }
    let target = users.direct_to.as_deref();
    let is_bpf = target.is_none_or(|target| target.starts_with("bpf_trampoline_"));
    let kind = match (is_bpf, any_program) {
        (true, true) => return None,
        (true, false) => FoundHookKind::Trampoline,
        (false, _) => FoundHookKind::Direct,
    };
    let mut evidence = vec![users_line(users)];
    evidence.extend(target.map(|target| format!("It calls {target} directly.")));
    Some(FoundHook {
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

/// The user that may redirect calls, if it is not a live patch.
pub(super) fn redirect(users: &FtraceUsers, support: HookSupport) -> Option<FoundHook> {
    let mut handlers = users.handlers.iter().map(String::as_str);
    let is_patch = handlers.any(|handler| PATCH_HANDLERS.contains(&handler));
    // Before 6.0 a direct call counts as such a user.
    let is_direct = users.direct && support.trampolines != Some(true);
    if !users.redirected || is_patch || is_direct {
        return None;
    }
    let handler = users.handlers.first().cloned();
    let is_kprobe = handler.as_deref() == Some("kprobe_ftrace_handler");
    Some(FoundHook {
        owner: Culprit {
            kind: is_kprobe.then(|| "kprobe".to_owned()),
            attached_to: Some(users.function.clone()),
            ..Culprit::default()
        },
        kind: FoundHookKind::Redirect { handler },
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
