//! Names the foreign frames on a blocked task's stack: the BPF program behind a
//! trampoline, the kretprobe behind its own, and who keeps them attached.
//!
//! Nothing is guessed: what is unknown is left out, and a note says why.

use std::{cell::OnceCell, sync::Arc};

use crate::{
    kernel::{
        ReadError, Roots,
        btf::KernelBtf,
        kretprobes::{self, Kretprobe},
    },
    model::{Culprit, FrameSymbol, bare},
};

use super::{
    policy::VERDICT_FUNCTION,
    programs::{ForeignProgram, Programs, Traced},
};

mod owners;
mod tracers;

use owners::OwnerIndex;
pub use tracers::Tracer;

/// Finds the culprits of one look. Expensive data is read when it is first
/// needed, and then kept: use a new finder for the next look.
#[derive(Debug)]
pub struct CulpritFinder {
    roots: Roots,
    programs: Result<Programs, String>,
    types: OnceCell<Option<Arc<KernelBtf>>>,
    kretprobes: Option<Result<Vec<Kretprobe>, ReadError>>,
    owners: OwnerIndex,
    notes: Vec<String>,
}

impl CulpritFinder {
    /// `programs` are those of the host, or why they are unavailable.
    #[must_use]
    pub fn new(roots: &Roots, programs: Result<Programs, String>) -> Self {
        Self {
            roots: roots.clone(),
            programs,
            types: OnceCell::new(),
            kretprobes: None,
            owners: OwnerIndex::default(),
            notes: Vec::new(),
        }
    }

    /// The culprits behind a frame with this symbol; an offset or module after
    /// it is ignored. `stack_functions` are the functions of the whole stack.
    /// Empty if the frame is the kernel's own or lpwatch's, or nothing is
    /// known.
    pub fn of_frame(&mut self, symbol: &str, stack_functions: &[&str]) -> Vec<Culprit> {
        let functions: Vec<&str> = stack_functions.iter().map(|name| bare(name)).collect();
        match FrameSymbol::of(bare(symbol)) {
            Some(FrameSymbol::Trampoline { key }) => self.at_trampoline(key, &functions),
            Some(FrameSymbol::Program { tag, name }) => self.of_program(tag, name),
            Some(FrameSymbol::Kretprobe) => self.of_kretprobe(&functions),
            None => Vec::new(),
        }
    }

    /// What could not be found out, and why: whole sentences, each once.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    fn at_trampoline(&mut self, key: u64, functions: &[&str]) -> Vec<Culprit> {
        let function = self.traced(key, functions);
        let programs: Result<Vec<ForeignProgram>, &str> = match &self.programs {
            Ok(programs) => match programs.at_trampoline(key, function.as_deref())[..] {
                [] if programs.shows_attached() => Err("none is attached to it any more"),
                [] => Err("this kernel does not show which programs are attached"),
                ref found => Ok(found.iter().copied().cloned().collect()),
            },
            Err(reason) => Err(reason),
        };
        match programs {
            Ok(programs) => programs
                .iter()
                .map(|program| self.culprit(program, function.clone()))
                .collect(),
            Err(reason) => {
                let of = function.as_deref().unwrap_or("an unknown function");
                let note = format!(
                    "The BPF program that holds the trampoline of {of} is unknown: {reason}."
                );
                self.note(note);
                vec![Culprit {
                    attached_to: function,
                    ..Culprit::default()
                }]
            }
        }
    }

    /// The function (or the BPF program) that a trampoline traces.
    fn traced(&mut self, key: u64, functions: &[&str]) -> Option<String> {
        let programs = self.programs.as_ref().ok();
        let (btf, function) = match Traced::of_key(key) {
            Traced::Program { id } => return programs?.name_of(id).map(str::to_owned),
            Traced::Function { btf, function } => (btf, function),
        };
        let kernel_btf = programs.and_then(Programs::kernel_btf);
        let by_program = || programs?.function_name(btf, function).map(str::to_owned);
        if btf.is_some() && kernel_btf.is_some() && btf != kernel_btf {
            // A module's function: only a program that traces it has its name.
            return by_program();
        }
        let types = self
            .types
            .get_or_init(|| KernelBtf::open(&self.roots).ok().flatten());
        let name = types
            .as_ref()
            .and_then(|types| types.function_name(function));
        // Where the BTF of a program is unknown, the traced function must be on
        // the stack, as it is whenever its trampoline stays there.
        let is_kernel = btf.is_none() || btf == kernel_btf;
        name.filter(|name| is_kernel || functions.contains(&name.as_str()))
            .or_else(by_program)
    }

    fn of_program(&mut self, tag: &str, name: &str) -> Vec<Culprit> {
        let mut reason = "no loaded program has its tag; it may be a part of one".to_owned();
        let mut culprit = Culprit {
            name: (!name.is_empty()).then(|| name.to_owned()),
            tag: Some(tag.to_owned()),
            ..Culprit::default()
        };
        match &self.programs {
            Err(why) => reason.clone_from(why),
            Ok(programs) => match programs.with_symbol(tag, name)[..] {
                ref found if found.iter().any(|one| programs.is_own(one)) => return Vec::new(),
                [] => {}
                [program] => {
                    let program = program.clone();
                    return vec![self.culprit(&program, program.traces.clone())];
                }
                [first, ref others @ ..] => {
                    "several loaded programs are identical".clone_into(&mut reason);
                    // What holds for all of them holds for this one.
                    let kind = first
                        .kind
                        .filter(|kind| others.iter().all(|one| one.kind == Some(*kind)));
                    culprit.kind = kind.map(str::to_owned);
                    let traces = others.iter().all(|one| one.traces == first.traces);
                    culprit.attached_to = first.traces.clone().filter(|_| traces);
                }
            },
        }
        self.note(format!(
            "The BPF program behind bpf_prog_{tag}_{name} is unknown: {reason}."
        ));
        vec![culprit]
    }

    fn of_kretprobe(&mut self, functions: &[&str]) -> Vec<Culprit> {
        let read = || kretprobes::read(&self.roots);
        match self.kretprobes.get_or_insert_with(read) {
            Ok(probes) => {
                let on_stack = probes
                    .iter()
                    .filter(|probe| functions.contains(&probe.function.as_str()))
                    // lpwatch sets one there itself, and any one is as good as
                    // another.
                    .filter(|probe| probe.function != VERDICT_FUNCTION);
                on_stack.cloned().map(of_probe).collect()
            }
            Err(error) => {
                let note = format!("The kretprobe is unknown: {}.", chain(error));
                self.note(note);
                Vec::new()
            }
        }
    }

    fn culprit(&mut self, program: &ForeignProgram, attached_to: Option<String>) -> Culprit {
        let owner = self.owners.of(&self.roots, program.id);
        if let Some(why) = owner.unknown {
            let id = program.id;
            self.note(format!("The holder of BPF program {id} is unknown: {why}."));
        }
        Culprit {
            id: Some(program.id),
            name: program.name.clone(),
            kind: program.kind.map(str::to_owned),
            tag: Some(program.tag.clone()),
            attached_to,
            owner_pid: owner.pid,
            owner_comm: owner.comm,
            pinned: owner.pinned,
        }
    }

    fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }
}

fn of_probe(probe: Kretprobe) -> Culprit {
    Culprit {
        name: probe.name,
        kind: Some("kretprobe".to_owned()),
        attached_to: Some(probe.function),
        ..Culprit::default()
    }
}

fn chain(error: &ReadError) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests;
