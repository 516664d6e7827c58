//! The BPF programs of the host at one moment, for finding the owner of a
//! trampoline.

use std::{collections::BTreeSet, fmt::Write as _};

use lpwatch_common::program::{
    ATTACH_FEXIT, ATTACH_LSM_MAC, ATTACH_MODIFY_RETURN, ATTACHED_UNKNOWN, ATTACHED_YES,
    FUNCTION_NAME_LEN, LinkRecord, PROGRAM_LSM, PROGRAM_NAME_LEN, PROGRAM_TRACING, ProgramRecord,
};

use super::super::records::text;

mod tracing;

pub use tracing::TraceHook;

/// `BPF_TRACE_RAW_TP` (include/uapi/linux/bpf.h).
const ATTACH_RAW_TP: u32 = 23;
/// `BPF_TRACE_FENTRY`.
const ATTACH_FENTRY: u32 = 24;
/// `BPF_TRACE_ITER`.
const ATTACH_ITER: u32 = 28;

/// The length to which the kernel cuts a program's name.
const NAME_MAX: usize = PROGRAM_NAME_LEN - 1;

/// What a trampoline traces, as its symbol encodes it
/// (`bpf_trampoline_compute_key`, `include/linux/bpf_verifier.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::probe) enum Traced {
    /// A function of the kernel or of a module, by its id in the BTF with the
    /// id `btf`; `None` before 5.11, where only the kernel's own BTF exists.
    Function { btf: Option<u32>, function: u32 },
    /// A BPF program, by its id.
    Program { id: u32 },
}

impl Traced {
    pub fn of_key(key: u64) -> Self {
        const IN_BTF_OBJECT: u32 = 0x8000_0000;
        let [high, low] = [key >> 32, key & 0xffff_ffff].map(|half| {
            // Both halves fit, so neither is ever replaced.
            u32::try_from(half).unwrap_or(u32::MAX)
        });
        match high {
            _ if low & IN_BTF_OBJECT != 0 => Self::Function {
                btf: Some(high),
                function: low & !IN_BTF_OBJECT,
            },
            0 => Self::Function {
                btf: None,
                function: low,
            },
            id => Self::Program { id },
        }
    }
}

/// A BPF program, as the kernel holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignProgram {
    pub id: u32,
    /// Its name. If the kernel cut it off after 15 bytes, the name comes from
    /// the program's symbol, which has it in full where the program has BTF.
    pub name: Option<String>,
    /// The kernel's digest of its code, 16 hexadecimal digits.
    pub tag: String,
    /// `fexit`, `kprobe`, ...; `None` for a type that this build does not know.
    pub kind: Option<&'static str>,
    /// The function it traces.
    pub traces: Option<String>,
    record: ProgramRecord,
}

impl ForeignProgram {
    fn new(record: ProgramRecord) -> Self {
        let mut name = text(&record.name);
        let full = text(&record.symbol_name);
        if name.len() == NAME_MAX && full.len() < FUNCTION_NAME_LEN - 1 && full.starts_with(&name) {
            name = full;
        }
        let traces = text(&record.function_name);
        // A name of the full length may be cut off.
        let whole = (1..FUNCTION_NAME_LEN - 1).contains(&traces.len());
        Self {
            id: record.id,
            name: (!name.is_empty()).then_some(name),
            tag: hexadecimal(&record.tag),
            kind: kind(&record),
            traces: whole.then_some(traces),
            record,
        }
    }

    /// Whether its trampoline calls the traced function, and so stays on the
    /// stack until that returns (`bpf_attach_type_to_tramp`,
    /// kernel/bpf/trampoline.c).
    fn keeps_trampoline(&self) -> bool {
        matches!(
            (self.record.kind, self.record.attach_type),
            (PROGRAM_TRACING, ATTACH_FEXIT | ATTACH_MODIFY_RETURN) | (PROGRAM_LSM, ATTACH_LSM_MAC)
        )
    }

    fn traces_function(&self, btf: Option<u32>, function: u32) -> bool {
        self.record.function == function && self.record.btf == btf.unwrap_or(0)
    }
}

/// All BPF programs of the host at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Programs {
    all: Vec<ForeignProgram>,
    /// The ids of lpwatch's own.
    own: BTreeSet<u32>,
    /// What each link attaches; `None` where links cannot be walked.
    links: Option<Vec<LinkRecord>>,
}

impl Programs {
    /// The id of the kernel's own BTF, which lpwatch's own iterators refer to.
    /// `None` before 5.11, which has no such ids.
    pub(in crate::probe) fn kernel_btf(&self) -> Option<u32> {
        let own = self.all.iter().filter(|one| self.own.contains(&one.id));
        own.map(|one| one.record.btf).find(|btf| *btf != 0)
    }

    /// The name of the traced function as any program traces it.
    pub(in crate::probe) fn function_name(&self, btf: Option<u32>, function: u32) -> Option<&str> {
        let mut tracing = self.all.iter();
        tracing.find_map(|one| {
            one.traces
                .as_deref()
                .filter(|_| one.traces_function(btf, function))
        })
    }

    pub(in crate::probe) fn name_of(&self, id: u32) -> Option<&str> {
        self.all.iter().find(|one| one.id == id)?.name.as_deref()
    }

    /// The programs that keep the trampoline with this key on the stack, by id:
    /// those attached now that are not lpwatch's own. `function` is the name of
    /// the traced function, if known.
    pub(in crate::probe) fn at_trampoline(
        &self,
        key: u64,
        function: Option<&str>,
    ) -> Vec<&ForeignProgram> {
        let at_fault = self.foreign().filter(|one| one.keeps_trampoline());
        let attached = |one: &ForeignProgram| match (&self.links, Traced::of_key(key)) {
            (Some(links), _) => links
                .iter()
                .any(|link| (link.program, link.key) == (one.id, key)),
            (None, Traced::Function { btf, function: id }) => {
                // Before 5.11 the id may refer to a traced program's own BTF.
                one.record.attached == ATTACHED_YES
                    && one.traces_function(btf, id)
                    && function.is_some_and(|function| one.traces.as_deref() == Some(function))
            }
            (None, Traced::Program { .. }) => false,
        };
        at_fault.filter(|one| attached(one)).collect()
    }

    /// The programs with this tag. If one of them has this name (that of its
    /// function, which may be longer), only those.
    pub(in crate::probe) fn with_symbol(&self, tag: &str, name: &str) -> Vec<&ForeignProgram> {
        let mut found: Vec<_> = self.all.iter().filter(|one| one.tag == tag).collect();
        let named = |one: &&ForeignProgram| {
            let known = one.name.as_deref();
            known.is_some_and(|known| {
                known == name || known.len() == NAME_MAX && name.starts_with(known)
            })
        };
        if found.iter().any(named) {
            found.retain(named);
        }
        found
    }

    pub(in crate::probe) fn is_own(&self, program: &ForeignProgram) -> bool {
        self.own.contains(&program.id)
    }

    /// Whether the kernel shows which programs are attached.
    pub(in crate::probe) fn shows_attached(&self) -> bool {
        self.links.is_some()
            || self
                .all
                .iter()
                .any(|one| one.record.attached != ATTACHED_UNKNOWN)
    }

    fn foreign(&self) -> impl Iterator<Item = &ForeignProgram> {
        self.all.iter().filter(|one| !self.is_own(one))
    }

    pub(in crate::probe) fn new(
        records: Vec<ProgramRecord>,
        links: Option<Vec<LinkRecord>>,
        own: BTreeSet<u32>,
    ) -> Self {
        // A program whose id could not be read cannot be named.
        let known = records.into_iter().filter(|record| record.id != 0);
        let mut all: Vec<_> = known.map(ForeignProgram::new).collect();
        all.sort_by_key(|one| one.id);
        Self { all, own, links }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// bpftool's word for a program's type (include/uapi/linux/bpf.h).
fn kind(record: &ProgramRecord) -> Option<&'static str> {
    Some(match (record.kind, record.attach_type) {
        (2, _) => "kprobe",
        (3, _) => "sched_cls",
        (5, _) => "tracepoint",
        (6, _) => "xdp",
        (7, _) => "perf_event",
        (17 | 24, _) => "raw_tracepoint",
        (PROGRAM_TRACING, ATTACH_RAW_TP) => "tp_btf",
        (PROGRAM_TRACING, ATTACH_FENTRY) => "fentry",
        (PROGRAM_TRACING, ATTACH_FEXIT) => "fexit",
        (PROGRAM_TRACING, ATTACH_MODIFY_RETURN) => "fmod_ret",
        (PROGRAM_TRACING, ATTACH_ITER) => "iter",
        (27, _) => "struct_ops",
        (28, _) => "freplace",
        (PROGRAM_LSM, _) => "lsm",
        (31, _) => "syscall",
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
