//! The BPF programs that hook a function, whether or not a task is in it.

use crate::{
    kernel::kallsyms::VMLINUX,
    model::Culprit,
    probe::programs::{ForeignProgram, Programs, TraceHook},
};

use super::CulpritFinder;

/// A BPF program on a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tracer {
    pub hook: TraceHook,
    /// `None` where this kernel does not show whether it is attached.
    pub attached: Option<bool>,
    /// This process attached it.
    pub is_own: bool,
    pub program: Culprit,
}

impl CulpritFinder {
    /// The BPF programs that hook this function. For a function of a module
    /// they include those on a function of the same name in another module.
    ///
    /// # Errors
    /// Why the programs are unknown.
    pub fn tracers(&mut self, object: &str, function: &str) -> Result<Vec<Tracer>, String> {
        let programs = self.programs.as_ref().map_err(String::clone)?;
        let found = programs.tracing(function, object == VMLINUX);
        let found: Vec<(ForeignProgram, Tracer)> = found
            .into_iter()
            .map(|(program, hook, attached)| {
                let tracer = Tracer {
                    hook,
                    attached,
                    is_own: programs.is_own(program),
                    program: Culprit::default(),
                };
                (program.clone(), tracer)
            })
            .collect();
        let tracers = found.into_iter().map(|(program, tracer)| Tracer {
            program: self.culprit(&program, Some(function.to_owned())),
            ..tracer
        });
        Ok(tracers.collect())
    }

    /// The kprobe programs of the host, except those of this process: any of
    /// them may be behind a probe without a name. Empty where they are unknown.
    pub fn kprobe_programs(&mut self) -> Vec<Culprit> {
        let programs = self.programs.as_ref().ok();
        let found = programs.into_iter().flat_map(Programs::at_kprobes);
        let found: Vec<ForeignProgram> = found.cloned().collect();
        found.iter().map(|one| self.culprit(one, None)).collect()
    }
}
