//! Searches for hooks in the BPF programs, the armed kprobes and the users of the
//! function tracer.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    check::facts::objects::ObjectFacts,
    kernel::{
        ReadError, Roots,
        ftrace_users::{self, FtraceUsers},
        kallsyms::VMLINUX,
        kprobes::{self, Kprobe},
    },
    model::{Culprit, calls::FunctionId},
    probe::CulpritFinder,
};

use super::{
    FoundHook, FoundHookKind, HookSupport, KprobePlace, place,
    users::{direct, is_ours, program_line, programs, redirect},
};

const PROBES_FILE: &str = "/sys/kernel/debug/kprobes/list";

/// How many candidate programs are named for one probe.
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

    /// The hooks on each function that has any.
    pub fn all(
        mut self,
        support: HookSupport,
        notes: &mut Vec<String>,
    ) -> BTreeMap<FunctionId, Vec<FoundHook>> {
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
            let any_program = !hooks.is_empty();
            hooks.extend(users.and_then(|users| direct(users, any_program)));
            hooks.extend(users.and_then(|users| redirect(users, support)));
            hooks.extend(self.kprobes(&probes, &candidates, function));
            programs_unknown = programs_unknown.or(tracers.err());
            if !hooks.is_empty() {
                at.insert(function.clone(), hooks);
            }
        }
        if let Some(reason) = programs_unknown {
            notes.push(format!(
                "The BPF programs that trace the functions to be patched are unknown ({reason}); \
                     only whether there is one is visible."
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
                "Other users that redirect the functions to be patched are unknown: {}.",
                chain(&error)
            ));
            Vec::new()
        })
    }

    fn probes(&self, notes: &mut Vec<String>) -> Vec<Kprobe> {
        kprobes::armed(self.roots).unwrap_or_else(|error| {
            notes.push(format!(
                "The kprobes in the functions to be patched are unknown: {}.",
                chain(&error)
            ));
            Vec::new()
        })
    }

    /// Descriptions of the BPF programs that may own a probe without a name. Read
    /// only if a function to be patched has such a probe.
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

    fn place_of(&self, probe: &Kprobe, function: &FunctionId) -> Option<KprobePlace> {
        let extents = self.objects.functions.get(function);
        place::of(probe, function, extents.map_or(&[], Vec::as_slice))
    }

    fn kprobes(
        &self,
        probes: &[Kprobe],
        candidates: &[String],
        function: &FunctionId,
    ) -> Vec<FoundHook> {
        let here = probes.iter().filter_map(|probe| {
            let place = self.place_of(probe, function)?;
            let (kind, word) = if probe.is_return {
                (FoundHookKind::Kretprobe, "kretprobe")
            } else {
                (FoundHookKind::Kprobe(place), "kprobe")
            };
            let mut evidence = vec![probe_line(probe)];
            if probe.name.is_none() {
                evidence.push(
                    "It has no name in tracefs: a kernel module, perf or BPF placed it.".to_owned(),
                );
                evidence.extend(
                    candidates
                        .iter()
                        .map(|one| format!("It may belong to {one}.")),
                );
            }
            Some(FoundHook {
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

fn chain(error: &ReadError) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

fn probe_line(probe: &Kprobe) -> String {
    let kind = if probe.is_return { "r" } else { "k" };
    let name = probe.name.as_ref();
    let name = name.map_or_else(String::new, |name| format!(" ({name} in tracefs)"));
    let function = &probe.function;
    format!("{PROBES_FILE}: {kind} {function}+{:#x}{name}", probe.offset)
}
