//! What BPF needs, and what BPF can do on this kernel.

use crate::{
    kernel::offers::{Capability, Memlock, Offers, Reading},
    model::doctor::Offer,
    probe::{self, FRAMES_MARKER, SHARING_MARKER},
};

use super::{OfferDraft, marker, rights::UNLOCK};

const WITHOUT_BPF: &str = "All of BPF: tasks are read from /proc, transitions followed by sysfs and \
                           the kernel log; calls are not counted.";

pub(super) fn all(host: &Offers, is_built: bool, processor: &str) -> Vec<Offer> {
    vec![
        programs(is_built),
        btf(host),
        jit(host),
        memory(host),
        kprobes(host),
        sharing(host),
        frames(host, processor),
        cpus(host),
    ]
}

fn programs(is_built: bool) -> Offer {
    let draft = OfferDraft {
        id: "bpf_programs",
        name: "BPF programs",
        why: "They are compiled into lpwatch if a BPF compiler was available at build time.",
    };
    if is_built {
        return draft.available("compiled in");
    }
    draft.missing(
        "this lpwatch was built without them",
        WITHOUT_BPF,
        "Build lpwatch with: cargo xtask build",
    )
}

fn btf(host: &Offers) -> Offer {
    let draft = OfferDraft {
        id: "btf",
        name: "BTF",
        why: "The kernel's types: fentry and the offsets of structure members need them.",
    };
    let path = "/sys/kernel/btf/vmlinux";
    match &host.btf {
        Reading::Found(bytes) => draft.available(format!("{path}, {} KB", bytes.div_ceil(1024))),
        Reading::Absent => draft.missing(
            format!("{path} does not exist"),
            WITHOUT_BPF,
            "Boot a kernel built with CONFIG_DEBUG_INFO_BTF=y.",
        ),
        other => draft.unread(path, other),
    }
}

fn jit(host: &Offers) -> Offer {
    let draft = OfferDraft {
        id: "bpf_jit",
        name: "BPF JIT",
        why: "It compiles BPF programs to machine code.",
    };
    match &host.settings.bpf_jit_enable {
        Reading::Found(value) if value == "0" => draft.missing(
            "net.core.bpf_jit_enable=0",
            "Every hook is interpreted, so each costs more, and fentry may be refused.",
            "sysctl -w net.core.bpf_jit_enable=1",
        ),
        Reading::Found(value) => draft.available(format!("net.core.bpf_jit_enable={value}")),
        Reading::Absent => match host.is_configured("BPF_JIT") {
            Some(true) => draft.available("CONFIG_BPF_JIT=y"),
            Some(false) => draft.missing(
                "CONFIG_BPF_JIT is not set",
                "Every hook is interpreted, so each costs more, and fentry may be refused.",
                "Boot a kernel built with CONFIG_BPF_JIT=y.",
            ),
            None => draft.unread("net.core.bpf_jit_enable", &host.settings.bpf_jit_enable),
        },
        other => draft.unread("net.core.bpf_jit_enable", other),
    }
}

fn memory(host: &Offers) -> Offer {
    let draft = OfferDraft {
        id: "bpf_memory",
        name: "memory for BPF",
        why: "Before 5.11, BPF maps count against the memory that a process may lock.",
    };
    match host.has_symbol(marker::CHARGES_MAPS) {
        Some(false) => draft.available("not limited by RLIMIT_MEMLOCK"),
        None => draft.unread("/proc/kallsyms", &host.symbols),
        Some(true) => {
            let Some(rights) = &host.rights else {
                return draft.unread::<()>("RLIMIT_MEMLOCK", &Reading::NotRecorded);
            };
            match (rights.memlock, rights.has(Capability::SysResource)) {
                (Memlock::Unlimited, _) => draft.available("RLIMIT_MEMLOCK is unlimited"),
                (Memlock::Bytes(_), Some(true)) => {
                    draft.available("RLIMIT_MEMLOCK is raised (CAP_SYS_RESOURCE)")
                }
                (Memlock::Bytes(bytes), _) => draft.missing(
                    format!("RLIMIT_MEMLOCK is {} KB", bytes.div_ceil(1024)),
                    WITHOUT_BPF,
                    "Give lpwatch CAP_SYS_RESOURCE, or raise the limit: ulimit -l unlimited",
                ),
            }
        }
    }
}

fn kprobes(host: &Offers) -> Offer {
    let draft = OfferDraft {
        id: "kprobes",
        name: "kprobes",
        why: "They are used where fentry is not: in modules, on functions not patched yet, on older kernels.",
    };
    let lost = "Calls of functions of modules, of functions not patched yet and of new code \
                cannot be counted; the kernel's verdicts on tasks are not seen.";
    if host.is_confidential() {
        return draft.missing("refused by lockdown=confidentiality", lost, UNLOCK);
    }
    let config = host.is_configured("KPROBES");
    match (
        host.kprobe_events,
        host.kprobes_armed.found().map(String::as_str),
    ) {
        (true, Some("0")) => draft.missing(
            "switched off in /sys/kernel/debug/kprobes/enabled",
            lost,
            "echo 1 > /sys/kernel/debug/kprobes/enabled",
        ),
        (true, _) => draft.available("through perf events"),
        (false, _) => draft.missing(
            match config {
                Some(false) => "CONFIG_KPROBES is not set",
                Some(true) | None => "perf has no kprobe events",
            },
            lost,
            "Boot a kernel built with CONFIG_KPROBES=y and CONFIG_KPROBE_EVENTS=y.",
        ),
    }
}

fn sharing(host: &Offers) -> Offer {
    let draft = OfferDraft {
        id: "ipmodify_sharing",
        name: "sharing with fentry",
        why: "An fentry and a live patch can share a function (SHARE_IPMODIFY, 6.0).",
    };
    match host.has_symbol(SHARING_MARKER) {
        None => draft.unread("/proc/kallsyms", &host.symbols),
        Some(marked) => match (marked, probe::sharing(marked)) {
            (_, Ok(())) => draft.available(format!("{SHARING_MARKER} exists")),
            (true, Err(why)) => draft.missing(
                why,
                "Calls of patched functions are counted with kprobes, which cost more.",
                "None on this processor.",
            ),
            (false, Err(_)) => draft.missing(
                format!("no {SHARING_MARKER}"),
                "Calls of patched functions are counted with kprobes, which cost more: an fentry \
                 would prevent the patch from loading (EBUSY), as those of other tools do.",
                "Use Linux 6.0 or newer.",
            ),
        },
    }
}

fn frames(host: &Offers, processor: &str) -> Offer {
    let draft = OfferDraft {
        id: "bpf_frames",
        name: "BPF frames on stacks",
        why: "If the unwinder knows the frames of BPF trampolines (6.19), they do not block transitions.",
    };
    let lost = "An fexit or fmod_ret program of another tool, on the stack of a task that sleeps, \
                blocks transitions. lpwatch itself uses none.";
    match host.has_symbol(FRAMES_MARKER) {
        Some(true) => draft.available(format!("{FRAMES_MARKER} exists")),
        Some(false) if processor == "x86_64" => draft.missing(
            format!("no {FRAMES_MARKER}"),
            lost,
            "Use Linux 6.19 or newer. On an older kernel, stop such tools while a patch is being \
             enabled. To list them during a transition: lpwatch tasks",
        ),
        Some(false) => draft.unknown(
            "unknown: no symbol shows it on this processor",
            "To list programs of other tools that block a transition: lpwatch tasks",
        ),
        None => draft.unread("/proc/kallsyms", &host.symbols),
    }
}

fn cpus(host: &Offers) -> Offer {
    let draft = OfferDraft {
        id: "cpus",
        name: "CPUs",
        why: "Counters use 96 KB for each CPU.",
    };
    match host.cpus {
        Some(cpus) => draft.available(cpus.to_string()),
        None => draft.unread::<()>("/sys/devices/system/cpu/possible", &Reading::Absent),
    }
}
