//! What this user may do and read, and what the kernel denies to everyone.

use strum::VariantArray as _;

use crate::{
    kernel::offers::{Capability, Offers, Reading},
    model::doctor::Offer,
};

use super::OfferDraft;

/// What undoes lockdown: nothing that a running kernel accepts.
pub(super) const UNLOCK: &str = "Boot with lockdown=integrity or without lockdown.";

pub(super) fn all(host: &Offers) -> Vec<Offer> {
    let mut offers = vec![
        capabilities(host),
        addresses(host),
        lockdown(host),
        perf_events(host),
        unprivileged(host),
        kernel_log(host),
    ];
    if host.livepatch {
        offers.push(patch_state(host));
    }
    offers.push(tracefs(host));
    offers
}

fn capabilities(host: &Offers) -> Offer {
    let draft = OfferDraft {
        id: "capabilities",
        name: "capabilities",
        why: "CAP_BPF and CAP_PERFMON load BPF programs; CAP_SYS_ADMIN counts for both.",
    };
    let Some(rights) = &host.rights else {
        return draft.unread::<()>("capabilities", &Reading::NotRecorded);
    };
    let (Some(held), Some(may_trace)) = (&rights.capabilities, rights.may_trace()) else {
        return draft.unread::<()>("capget(2)", &Reading::Absent);
    };
    let names = |wanted: bool| {
        let all = Capability::VARIANTS.iter().copied();
        let chosen = all.filter(|one| held.contains(one) == wanted);
        chosen.map(Capability::name).collect::<Vec<_>>().join(", ")
    };
    if !may_trace {
        let value = if held.is_empty() {
            "none of those that lpwatch uses".to_owned()
        } else {
            format!("{} only", names(true))
        };
        return draft.missing(
            value,
            "All of BPF: tasks are read from /proc, transitions followed by sysfs and the kernel \
             log; calls are not counted.",
            "Run as root, or give lpwatch CAP_BPF, CAP_PERFMON and CAP_SYSLOG.",
        );
    }
    if held.len() == Capability::VARIANTS.len() {
        return draft.available("all that lpwatch uses");
    }
    draft.available(format!("{}; missing: {}", names(true), names(false)))
}

fn addresses(host: &Offers) -> Offer {
    let draft = OfferDraft {
        id: "symbol_addresses",
        name: "symbols' addresses",
        why: "Counters and stacks need the addresses in /proc/kallsyms.",
    };
    let restrict = host.settings.kptr_restrict.found().map(String::as_str);
    let setting =
        restrict.map_or_else(String::new, |value| format!("kernel.kptr_restrict={value}"));
    match &host.symbols {
        Reading::Found(symbols) if !symbols.hidden => draft.available(if setting.is_empty() {
            "shown".to_owned()
        } else {
            format!("shown ({setting})")
        }),
        Reading::Found(_) => draft.missing(
            format!("hidden ({setting})"),
            "Calls are not counted, events do not name their patch, and stacks are read from \
             /proc, of the first tasks only.",
            match restrict {
                Some("2") => {
                    "Give lpwatch CAP_SYSLOG (root has it), and lower the setting:\n\
                     sysctl -w kernel.kptr_restrict=1"
                }
                _ => "CAP_SYSLOG (root has it)",
            },
        ),
        Reading::Absent => draft.missing(
            "/proc/kallsyms does not exist",
            "Calls are not counted, events do not name their patch, and what this kernel can do \
             is not known.",
            "Boot a kernel built with CONFIG_KALLSYMS=y, and mount procfs on /proc.",
        ),
        other => draft.unread("/proc/kallsyms", other),
    }
}

fn lockdown(host: &Offers) -> Offer {
    let draft = OfferDraft {
        id: "lockdown",
        name: "lockdown",
        why: "It prevents even root from changing (integrity) or reading (confidentiality) the kernel.",
    };
    match &host.settings.lockdown {
        Reading::Found(level) if level == "confidentiality" => draft.missing(
            "confidentiality",
            "The kernel refuses kprobes, tracefs, and BPF programs that read its memory: its verdicts \
             on tasks, calls of functions that fentry is not for, the proof that new code runs, and \
             the names of other tools' programs. Tasks and their stacks are still read through BPF.",
            UNLOCK,
        ),
        Reading::Found(level) if level == "integrity" => {
            draft.available("integrity: BPF works, patches must be signed")
        }
        Reading::Found(level) => draft.available(level.clone()),
        Reading::Absent if host.is_configured("SECURITY_LOCKDOWN_LSM") == Some(false) => {
            draft.available("none: not built in")
        }
        Reading::Absent => draft.unknown(
            "/sys/kernel/security/lockdown does not exist",
            match host.is_configured("SECURITYFS") {
                Some(false) => "Boot a kernel built with CONFIG_SECURITYFS=y.",
                Some(true) | None => "mount -t securityfs securityfs /sys/kernel/security",
            },
        ),
        other => draft.unread("/sys/kernel/security/lockdown", other),
    }
}

fn perf_events(host: &Offers) -> Offer {
    let draft = OfferDraft {
        id: "perf_events",
        name: "perf events",
        why: "Kprobes are placed through them: CAP_PERFMON allows it, above level 2 (where a kernel \
              has that) CAP_SYS_ADMIN.",
    };
    let admin = host
        .rights
        .as_ref()
        .map(|rights| rights.has(Capability::SysAdmin));
    match &host.settings.perf_event_paranoid {
        Reading::Found(value) if is_above_two(value) && admin == Some(Some(false)) => draft.missing(
            format!("kernel.perf_event_paranoid={value}, and no CAP_SYS_ADMIN"),
            "Kprobes: the kernel's verdicts on tasks, entries of new code, and calls of functions \
             that fentry is not for.",
            "Give lpwatch CAP_SYS_ADMIN, or allow it for all: sysctl -w kernel.perf_event_paranoid=2",
        ),
        Reading::Found(value) => draft.available(format!("kernel.perf_event_paranoid={value}")),
        Reading::Absent => draft.missing(
            "kernel.perf_event_paranoid does not exist",
            "Kprobes cannot be placed.",
            "Boot a kernel built with CONFIG_PERF_EVENTS=y.",
        ),
        other => draft.unread("kernel.perf_event_paranoid", other),
    }
}

/// Debian and others have levels that mainline does not have.
fn is_above_two(level: &str) -> bool {
    level.trim().parse::<i32>().is_ok_and(|level| level > 2)
}

fn unprivileged(host: &Offers) -> Offer {
    let draft = OfferDraft {
        id: "unprivileged_bpf",
        name: "unprivileged BPF",
        why: "It does not matter to lpwatch, which always needs CAP_BPF.",
    };
    match &host.settings.unprivileged_bpf_disabled {
        Reading::Found(value) => {
            draft.available(format!("kernel.unprivileged_bpf_disabled={value}"))
        }
        Reading::Absent => draft.missing(
            "kernel.unprivileged_bpf_disabled does not exist",
            "Perhaps all of BPF: kernels with the bpf(2) system call have this setting.",
            "Boot a kernel built with CONFIG_BPF_SYSCALL=y.",
        ),
        other => draft.unread("kernel.unprivileged_bpf_disabled", other),
    }
}

fn kernel_log(host: &Offers) -> Offer {
    let draft = OfferDraft {
        id: "kernel_log",
        name: "kernel log",
        why: "It shows what happened before lpwatch started and why a patch was refused.",
    };
    let lost = "What happened before lpwatch started, and the kernel's reasons for a refusal.";
    match &host.log {
        Reading::Found(()) => draft.available("/dev/kmsg"),
        Reading::Forbidden => draft.missing(
            match host.settings.dmesg_restrict.found().map(String::as_str) {
                Some("1") => "no permission (kernel.dmesg_restrict=1)",
                _ => "no permission",
            },
            lost,
            "CAP_SYSLOG (root has it)",
        ),
        Reading::Absent | Reading::Failed(_) => draft.missing(
            "/dev/kmsg cannot be opened",
            lost,
            "Run on the host itself: containers have no /dev/kmsg.",
        ),
        Reading::NotRecorded => draft.unread("/dev/kmsg", &host.log),
    }
}

fn patch_state(host: &Offers) -> Offer {
    let draft = OfferDraft {
        id: "patch_state",
        name: "tasks' patch state",
        why: "Without BPF, /proc/<pid>/task/<tid>/patch_state shows which tasks have switched.",
    };
    let lost = "Without BPF, the remaining tasks are unknown.";
    match &host.patch_state {
        Reading::Found(_) => draft.available("/proc/<pid>/patch_state can be read"),
        Reading::Forbidden => draft.missing(
            "no permission",
            lost,
            "Run as root, or give lpwatch CAP_DAC_READ_SEARCH.",
        ),
        Reading::Absent => draft.missing(
            "/proc/1/patch_state does not exist",
            lost,
            "Use Linux 4.12 or newer, with procfs mounted on /proc and without hidepid.",
        ),
        other => draft.unread("/proc/1/patch_state", other),
    }
}

fn tracefs(host: &Offers) -> Offer {
    let draft = OfferDraft {
        id: "tracefs",
        name: "tracefs",
        why: "It names return probes of other tools that block a transition.",
    };
    let lost = "Return probes of other tools on a task's stack are reported without their names.";
    match &host.tracefs {
        Reading::Found(_) => draft.available("kprobe_events can be read"),
        _ if host.is_confidential() => {
            draft.missing("closed by lockdown=confidentiality", lost, UNLOCK)
        }
        Reading::Forbidden => draft.missing("no permission", lost, "Run as root."),
        Reading::Absent if host.is_configured("KPROBES") == Some(false) => {
            draft.available("not needed: without CONFIG_KPROBES there are no return probes")
        }
        Reading::Absent => draft.missing(
            "/sys/kernel/tracing/kprobe_events does not exist",
            lost,
            match host.is_configured("KPROBE_EVENTS") {
                Some(false) => "Boot a kernel built with CONFIG_KPROBE_EVENTS=y.",
                Some(true) => "mount -t tracefs tracefs /sys/kernel/tracing",
                None => {
                    "If the kernel has CONFIG_KPROBE_EVENTS=y, mount tracefs:\n\
                     mount -t tracefs tracefs /sys/kernel/tracing"
                }
            },
        ),
        other => draft.unread("/sys/kernel/tracing/kprobe_events", other),
    }
}
