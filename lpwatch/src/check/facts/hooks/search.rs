//! Looks for hooks: among BPF programs, armed kprobes and the users of the
//! function tracer.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    check::facts::objects::ObjectFacts,
    kernel::{
        ReadError, Roots,
        ftrace_users::{self, FtraceUsers},
        functions::VMLINUX,
        kprobes::{self, Kprobe},
    },
    model::{self, Culprit, calls::FunctionId},
    probe::{CulpritFinder, TraceHook, Tracer},
};

use super::{Bears, Hook, HookKind, place};

/// The name of lpwatch's processes.
const OURS: &str = "lpwatch";

const USERS_FILE: &str = "/sys/kernel/tracing/enabled_functions";
const PROBES_FILE: &str = "/sys/kernel/debug/kprobes/list";

/// Handlers of live patches: the kernel's, and that of kpatch before it.
const PATCH_HANDLERS: [&str; 2] = ["klp_ftrace_handler", "kpatch_ftrace_handler"];

/// How many programs may be named that could be behind a probe.
const CANDIDATES: usize = 5;

pub(super) struct Search<'a> {
    roots: &'a Roots,
    functions: &'a [FunctionId],
    objects: &'a ObjectFacts,
    finder: CulpritFinder,
}

impl<'a> Search<'a> {
    pub fn new(
        roots: &'a Roots,
        functions: &'a [FunctionId],
        objects: &'a ObjectFacts,
        finder: CulpritFinder,
    ) -> Self {
        Self {
            roots,
            functions,
            objects,
            finder,
        }
    }

    /// The hooks at each function that has any.
    pub fn all(mut self, bears: Bears, notes: &mut Vec<String>) -> BTreeMap<FunctionId, Vec<Hook>> {
        let users = self.users(notes);
        let probes = self.probes(notes);
        let candidates = self.candidates(&probes);
        let mut programs_unknown = None;
        let mut at = BTreeMap::new();
        for function in self.functions {
            let users = users.iter().find(|users| is_of(users, function));
            let tracers = self.finder.tracers(&function.object, &function.name);
            let mut hooks = match &tracers {
                Ok(tracers) => programs(tracers, users),
                Err(_) => Vec::new(),
            };
            hooks.extend(users.and_then(|users| direct(users, tracers.is_ok())));
            hooks.extend(users.and_then(|users| redirect(users, bears)));
            hooks.extend(self.kprobes(&probes, &candidates, function));
            programs_unknown = programs_unknown.or(tracers.err());
            if !hooks.is_empty() {
                at.insert(function.clone(), hooks);
            }
        }
        if let Some(reason) = programs_unknown {
            notes.push(format!(
                "Which BPF programs trace the functions to be patched is not known ({reason}): \
                 only whether any does can be seen."
            ));
        }
        notes.extend_from_slice(self.finder.notes());
        at
    }

    fn users(&self, notes: &mut Vec<String>) -> Vec<FtraceUsers> {
        let names = self.functions.iter().map(|function| function.name.as_str());
        let names: BTreeSet<&str> = names.collect();
        ftrace_users::read(self.roots, |name| names.contains(name)).unwrap_or_else(|error| {
            notes.push(format!(
                "Who else redirects the functions to be patched is not known: {}.",
                chain(&error)
            ));
            Vec::new()
        })
    }

    fn probes(&self, notes: &mut Vec<String>) -> Vec<Kprobe> {
        kprobes::armed(self.roots).unwrap_or_else(|error| {
            notes.push(format!(
                "Which kprobes stand in the functions to be patched is not known: {}.",
                chain(&error)
            ));
            Vec::new()
        })
    }

    /// The BPF programs that may be behind a probe without a name, in words;
    /// looked for only if there is one in a function that matters.
    fn candidates(&mut self, probes: &[Kprobe]) -> Vec<String> {
        let mut unnamed = probes.iter().filter(|probe| probe.name.is_none());
        let matters = |probe: &Kprobe| {
            let mut functions = self.functions.iter();
            functions.any(|function| self.place_of(probe, function).is_some())
        };
        if !unnamed.any(matters) {
            return Vec::new();
        }
        let mut programs = self.finder.kprobe_programs();
        programs.retain(|program| !is_ours(program));
        programs.truncate(CANDIDATES);
        programs.iter().map(program_line).collect()
    }

    fn place_of(&self, probe: &Kprobe, function: &FunctionId) -> Option<super::KprobePlace> {
        let extents = self.objects.functions.get(function);
        place::of(probe, function, extents.map_or(&[], Vec::as_slice))
    }

    fn kprobes(
        &self,
        probes: &[Kprobe],
        candidates: &[String],
        function: &FunctionId,
    ) -> Vec<Hook> {
        let here = probes.iter().filter_map(|probe| {
            let place = self.place_of(probe, function)?;
            let (kind, word) = if probe.is_return {
                (HookKind::Kretprobe, "kretprobe")
            } else {
                (HookKind::Kprobe(place), "kprobe")
            };
            let mut evidence = vec![probe_line(probe)];
            if probe.name.is_none() {
                evidence.push(
                    "It has no name in tracefs: a kernel module placed it, or perf or BPF."
                        .to_owned(),
                );
                evidence.extend(candidates.iter().map(|one| format!("It may be of {one}")));
            }
            Some(Hook {
                kind,
                owner: Culprit {
                    name: probe.name.clone(),
                    kind: Some(word.to_owned()),
                    attached_to: Some(function.name.clone()),
                    ..Culprit::default()
                },
                is_ours: false,
                evidence,
            })
        });
        here.collect()
    }
}

fn is_of(users: &FtraceUsers, function: &FunctionId) -> bool {
    let object = users.module.as_deref().unwrap_or(VMLINUX);
    users.function == function.name && object == function.object
}

/// The programs at a function. Where the kernel does not show whether one is
/// attached, it is if anything is.
fn programs(tracers: &[Tracer], users: Option<&FtraceUsers>) -> Vec<Hook> {
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
        is_ours: is_ours(&tracer.program),
        evidence: vec![program_line(&tracer.program)],
    });
    hooks.collect()
}

/// What is called without a handler, if no program already stands for it.
fn direct(users: &FtraceUsers, programs_known: bool) -> Option<Hook> {
    if !users.direct {
        return None;
    }
    let target = users.direct_to.as_deref();
    let is_bpf = target.is_none_or(|target| target.starts_with("bpf_trampoline_"));
    let kind = match (is_bpf, programs_known) {
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
fn redirect(users: &FtraceUsers, bears: Bears) -> Option<Hook> {
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

fn is_ours(program: &Culprit) -> bool {
    program.owner_comm.as_deref() == Some(OURS)
}

/// `fexit program on_exit (id 42), tag a04f5eef06a7f555, held by falcon (pid 77),
/// pinned at /sys/fs/bpf/x`
fn program_line(program: &Culprit) -> String {
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

fn chain(error: &ReadError) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

fn users_line(users: &FtraceUsers) -> String {
    format!("{USERS_FILE}: {}", users.line)
}

fn probe_line(probe: &Kprobe) -> String {
    let kind = if probe.is_return { "r" } else { "k" };
    let name = probe.name.as_ref();
    let name = name.map_or_else(String::new, |name| format!(" ({name} in tracefs)"));
    let function = &probe.function;
    format!("{PROBES_FILE}: {kind} {function}+{:#x}{name}", probe.offset)
}

#[cfg(test)]
mod tests;
