//! Which BPF programs hook a function.

use lpwatch_common::program::{
    ATTACH_FEXIT, ATTACH_LSM_MAC, ATTACH_MODIFY_RETURN, ATTACHED_NO, ATTACHED_YES, PROGRAM_LSM,
    PROGRAM_TRACING,
};

use super::{ATTACH_FENTRY, ATTACH_ITER, ATTACH_RAW_TP, ForeignProgram, Programs};

/// How a BPF program hooks a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TraceHook {
    Fentry,
    Fexit,
    FmodRet,
    Lsm,
    /// Of a kind that this build does not know.
    Other,
}

impl ForeignProgram {
    /// How the program hooks the function it traces; `None` if it traces none.
    fn hook(&self) -> Option<TraceHook> {
        match (self.record.kind, self.record.attach_type) {
            (PROGRAM_TRACING, ATTACH_FENTRY) => Some(TraceHook::Fentry),
            (PROGRAM_TRACING, ATTACH_FEXIT) => Some(TraceHook::Fexit),
            (PROGRAM_TRACING, ATTACH_MODIFY_RETURN) => Some(TraceHook::FmodRet),
            (PROGRAM_LSM, ATTACH_LSM_MAC) => Some(TraceHook::Lsm),
            // Neither a tracepoint's function nor an iterator's is hooked.
            (PROGRAM_TRACING, ATTACH_RAW_TP | ATTACH_ITER) => None,
            (PROGRAM_TRACING, _) => Some(TraceHook::Other),
            _ => None,
        }
    }
}

impl Programs {
    /// The programs that hook the function of this name, by id, lpwatch's own
    /// included; with each whether it is attached, `None` where this kernel
    /// does not show that. `is_kernel` distinguishes a function of vmlinux from
    /// one of a module; which module is unknown.
    pub(in crate::probe) fn tracing(
        &self,
        function: &str,
        is_kernel: bool,
    ) -> Vec<(&ForeignProgram, TraceHook, Option<bool>)> {
        let kernel_btf = self.kernel_btf();
        let found = self.all.iter().filter_map(|one| {
            let hook = one.hook()?;
            // Before 5.11, which numbers no BTF, only vmlinux can be traced.
            let in_kernel =
                one.record.btf == 0 || kernel_btf.is_none_or(|btf| btf == one.record.btf);
            let is_it = one.traces.as_deref() == Some(function) && in_kernel == is_kernel;
            is_it.then(|| (one, hook, self.is_attached(one)))
        });
        found.collect()
    }

    /// Kprobe programs, which may be on any function; not lpwatch's own.
    pub(in crate::probe) fn at_kprobes(&self) -> impl Iterator<Item = &ForeignProgram> {
        self.foreign().filter(|one| one.kind == Some("kprobe"))
    }

    fn is_attached(&self, program: &ForeignProgram) -> Option<bool> {
        match (&self.links, program.record.attached) {
            (Some(links), _) => Some(links.iter().any(|link| link.program == program.id)),
            (None, ATTACHED_YES) => Some(true),
            (None, ATTACHED_NO) => Some(false),
            (None, _) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use lpwatch_common::program::{ATTACHED_UNKNOWN, LinkRecord, ProgramRecord};

    use super::*;

    const KERNEL_BTF: u32 = 1;
    const OWN: u32 = 99;

    fn record(id: u32, kind: u32, attach_type: u32, function: &str) -> ProgramRecord {
        let mut function_name = [0; 64];
        function_name[..function.len()].copy_from_slice(function.as_bytes());
        ProgramRecord {
            id,
            kind,
            attach_type,
            attached: ATTACHED_UNKNOWN,
            function: 7,
            btf: KERNEL_BTF,
            tag: [0; 8],
            name: [0; 16],
            function_name,
            symbol_name: [0; 64],
        }
    }

    fn host(mut records: Vec<ProgramRecord>, attached: Option<&[u32]>) -> Programs {
        records.push(record(OWN, PROGRAM_TRACING, ATTACH_ITER, "bpf_iter_task"));
        let links = attached.map(|ids| {
            let links = ids.iter().map(|&program| LinkRecord {
                key: 5,
                id: program,
                program,
            });
            links.collect()
        });
        Programs::new(records, links, BTreeSet::from([OWN]))
    }

    fn told(programs: &Programs, function: &str, is_kernel: bool) -> Vec<(u32, TraceHook)> {
        let found = programs.tracing(function, is_kernel);
        found.iter().map(|(one, hook, _)| (one.id, *hook)).collect()
    }

    #[test]
    fn those_of_the_function_are_recognized_by_kind() {
        let all = [
            (1, PROGRAM_TRACING, ATTACH_FENTRY, Some(TraceHook::Fentry)),
            (2, PROGRAM_TRACING, ATTACH_FEXIT, Some(TraceHook::Fexit)),
            (
                3,
                PROGRAM_TRACING,
                ATTACH_MODIFY_RETURN,
                Some(TraceHook::FmodRet),
            ),
            (4, PROGRAM_LSM, ATTACH_LSM_MAC, Some(TraceHook::Lsm)),
            (5, PROGRAM_TRACING, 57, Some(TraceHook::Other)),
            (6, PROGRAM_TRACING, ATTACH_RAW_TP, None),
            (7, PROGRAM_TRACING, ATTACH_ITER, None),
            (8, 2, 0, None),
        ];
        let records = all
            .iter()
            .map(|&(id, kind, attach_type, _)| record(id, kind, attach_type, "gcd"));
        let host = host(records.collect(), Some(&[1, 2]));
        let expected: Vec<_> = all
            .iter()
            .filter_map(|(id, _, _, hook)| Some((*id, (*hook)?)))
            .collect();
        assert_eq!(told(&host, "gcd", true), expected);
        assert!(told(&host, "lcm", true).is_empty());
        let attached: Vec<_> = host.tracing("gcd", true).iter().map(|one| one.2).collect();
        let (yes, no) = (Some(true), Some(false));
        assert_eq!(attached, [yes, yes, no, no, no]);
        let kprobes: Vec<u32> = host.at_kprobes().map(|one| one.id).collect();
        assert_eq!(kprobes, [8]);
    }

    #[test]
    fn a_modules_function_is_distinguished_from_the_kernels_of_that_name() {
        let of_module = ProgramRecord {
            btf: 3,
            ..record(1, PROGRAM_TRACING, ATTACH_FENTRY, "gcd")
        };
        let host = host(vec![of_module], None);
        assert!(told(&host, "gcd", true).is_empty());
        assert_eq!(told(&host, "gcd", false), [(1, TraceHook::Fentry)]);
    }

    #[test]
    fn before_links_could_be_walked_the_program_tells_whether_it_is_attached() {
        for (attached, expected) in [
            (ATTACHED_YES, Some(true)),
            (ATTACHED_NO, Some(false)),
            (ATTACHED_UNKNOWN, None),
        ] {
            let one = ProgramRecord {
                btf: 0,
                attached,
                ..record(1, PROGRAM_TRACING, ATTACH_FEXIT, "gcd")
            };
            assert_eq!(host(vec![one], None).tracing("gcd", true)[0].2, expected);
        }
    }

    #[test]
    fn lpwatchs_own_are_reported_too() {
        let own = record(OWN, PROGRAM_TRACING, ATTACH_FENTRY, "gcd");
        let host = Programs::new(vec![own], None, BTreeSet::from([OWN]));
        let found = host.tracing("gcd", true);
        assert!(host.is_own(found[0].0));
    }
}
