//! Recognizes foreign frames by their symbols (arch/x86/kernel/kprobes/core.c and
//! rethook.c; `bpf_image_ksym_add` in kernel/bpf/trampoline.c,
//! `bpf_prog_ksym_set_name` in kernel/bpf/core.c).
//!
//! BPF's code is named by a number. The kernel's functions that manage it, such as
//! `bpf_trampoline_update`, have names that begin alike.

/// A frame that is not the kernel's own, by its symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FrameSymbol<'a> {
    /// `bpf_trampoline_<key>`; older kernels append `_<n>` for the n-th
    /// trampoline of this function.
    Trampoline { key: u64 },
    /// `bpf_prog_<tag>_<name>`.
    Program { tag: &'a str, name: &'a str },
    /// The return address of a function with a kretprobe.
    Kretprobe,
}

impl<'a> FrameSymbol<'a> {
    pub fn of(symbol: &'a str) -> Option<Self> {
        const KRETPROBE: [&str; 3] = [
            "kretprobe_trampoline",
            "__kretprobe_trampoline",
            "arch_rethook_trampoline",
        ];
        if KRETPROBE.contains(&symbol) {
            return Some(Self::Kretprobe);
        }
        if let Some(key) = symbol.strip_prefix("bpf_trampoline_") {
            let (key, copy) = key.split_once('_').unwrap_or((key, "0"));
            let key = key.parse().ok()?;
            return copy
                .parse::<u32>()
                .is_ok()
                .then_some(Self::Trampoline { key });
        }
        let program = symbol.strip_prefix("bpf_prog_")?;
        let (tag, name) = program.split_once('_').unwrap_or((program, ""));
        let is_tag = tag.len() == 16 && tag.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_tag.then_some(Self::Program { tag, name })
    }
}

/// The symbol of `symbol+0xoffset [module]`.
pub(crate) fn bare(frame: &str) -> &str {
    let end = frame.find(|sign: char| sign == '+' || sign.is_whitespace());
    frame.split_at(end.unwrap_or(frame.len())).0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trampolines_have_their_key_in_every_kernel() {
        let key = (1 << 32) | 0x8000_0000 | 0xd3d7;
        let trampoline = Some(FrameSymbol::Trampoline { key });
        assert_eq!(
            FrameSymbol::of(&format!("bpf_trampoline_{key}")),
            trampoline
        );
        assert_eq!(
            FrameSymbol::of(&format!("bpf_trampoline_{key}_1")),
            trampoline
        );
        for other in [
            "bpf_trampoline_",
            "bpf_trampoline_update",
            "bpf_trampoline_link_prog",
            "bpf_trampoline_12_multi",
            "bpf_trampoline_99999999999999999999",
        ] {
            assert_eq!(FrameSymbol::of(other), None, "{other}");
        }
    }

    #[test]
    fn programs_have_tag_and_name() {
        let program = |name| {
            Some(FrameSymbol::Program {
                tag: "a04f5eef06a7f555",
                name,
            })
        };
        let frame = FrameSymbol::of("bpf_prog_a04f5eef06a7f555_on_exit_2");
        assert_eq!(frame, program("on_exit_2"));
        assert_eq!(FrameSymbol::of("bpf_prog_a04f5eef06a7f555"), program(""));
        for other in ["bpf_prog_load", "bpf_prog_a04f5eef06a7f55_x", "bpf_prog_"] {
            assert_eq!(FrameSymbol::of(other), None, "{other}");
        }
    }

    #[test]
    fn return_probes_have_one_name_per_kernel() {
        assert_eq!(
            FrameSymbol::of("kretprobe_trampoline"),
            Some(FrameSymbol::Kretprobe)
        );
        assert_eq!(
            FrameSymbol::of("arch_rethook_trampoline"),
            Some(FrameSymbol::Kretprobe)
        );
        assert_eq!(FrameSymbol::of("hrtimer_nanosleep"), None);
    }

    #[test]
    fn an_offset_and_a_module_are_passed_over() {
        assert_eq!(bare("schedule+0x10/0x80 [module]"), "schedule");
        assert_eq!(bare("schedule [module]"), "schedule");
        assert_eq!(bare("schedule"), "schedule");
        assert_eq!(bare(""), "");
    }
}
