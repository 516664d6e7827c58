//! Tests with complete hosts and with hosts that lack something.

use std::collections::BTreeSet;

use super::samples::{no_livepatch, unprivileged, whole, without_symbols};
use super::*;
use crate::kernel::offers::{Capability, OfferedSymbols};

const X86: &str = "x86_64";

fn of(host: &Offers, id: &str) -> Offer {
    on(host, X86, id)
}

fn on(host: &Offers, processor: &str, id: &str) -> Offer {
    let offers = all(host, true, processor);
    offers.into_iter().find(|offer| offer.id == id).unwrap()
}

#[track_caller]
fn assert_missing(offer: &Offer, value: &str, remedy: &str) {
    assert_eq!(offer.state, Availability::Missing, "{offer:?}");
    let has = |text: &Option<String>, words: &str| text.as_deref().unwrap().contains(words);
    assert!(has(&offer.value, value), "{offer:?}");
    assert!(has(&offer.remedy, remedy), "{offer:?}");
    assert!(offer.lost.is_some(), "{offer:?}");
}

#[test]
fn a_whole_host_lacks_nothing() {
    for offer in all(&whole(), true, X86) {
        assert_eq!(offer.state, Availability::Available, "{offer:?}");
        assert!(offer.lost.is_none() && offer.remedy.is_none(), "{offer:?}");
        assert!(offer.value.is_some(), "{offer:?}");
    }
}

#[test]
fn every_offer_has_an_id_of_its_own_and_sentences() {
    for host in [whole(), unprivileged(), no_livepatch("CONFIG_X86=y\n")] {
        let offers = all(&host, false, "riscv64");
        let ids: BTreeSet<&str> = offers.iter().map(|offer| offer.id.as_str()).collect();
        assert_eq!(ids.len(), offers.len());
        for offer in &offers {
            assert!(offer.why.ends_with('.'), "{offer:?}");
            match offer.state {
                Availability::Available => assert_eq!(offer.lost, None, "{offer:?}"),
                Availability::Missing => {
                    assert!(offer.lost.as_deref().unwrap().ends_with('.'), "{offer:?}");
                    assert!(offer.remedy.is_some(), "{offer:?}");
                }
                Availability::Unknown => assert!(offer.remedy.is_some(), "{offer:?}"),
            }
        }
    }
}

#[test]
fn a_kernel_without_livepatch_is_told_what_it_lacks() {
    let host = no_livepatch(
        "CONFIG_HAVE_LIVEPATCH=y\nCONFIG_SYSFS=y\nCONFIG_DYNAMIC_FTRACE_WITH_ARGS=y\n",
    );
    let offer = of(&host, "livepatch");
    assert_missing(
        &offer,
        "CONFIG_LIVEPATCH is not set (/proc/config.gz)",
        "MODULES",
    );
    let remedy = offer.remedy.unwrap();
    assert!(
        remedy.contains("CONFIG_MODULES, CONFIG_KALLSYMS_ALL."),
        "{remedy}"
    );
    assert!(!remedy.contains("FTRACE"), "{remedy}");

    let unmounted = no_livepatch("CONFIG_LIVEPATCH=y\n");
    assert_missing(
        &of(&unmounted, "livepatch"),
        "no /sys/kernel/livepatch",
        "mount",
    );
    let silent = no_livepatch("");
    assert_missing(
        &of(&silent, "livepatch"),
        "does not exist",
        "CONFIG_LIVEPATCH=y",
    );
    // Offers that only a livepatch kernel has are left out.
    for id in ["livepatch_functions", "patch_state"] {
        let offers = all(&silent, true, X86);
        assert!(offers.iter().all(|offer| offer.id != id));
    }
}

#[test]
fn ftrace_switched_off_kills_patches_and_counters() {
    let mut host = whole();
    host.settings.ftrace_enabled = Reading::Found("0".to_owned());
    let offer = of(&host, "ftrace");
    assert_missing(&offer, "switched off", "sysctl -w kernel.ftrace_enabled=1");
    assert!(offer.lost.unwrap().contains("have no effect"));
}

#[test]
fn reliable_stacks_are_told_by_configuration_or_symbols() {
    let state = |host: &Offers, processor| on(host, processor, "reliable_stacks").state;
    let [walks, before, orc] = [marker::RELIABLE, marker::RELIABLE_BEFORE, marker::ORC[0]];
    let no_orc = without_symbols(&marker::ORC);
    assert_eq!(
        state(&without_symbols(&[before, orc]), X86),
        Availability::Available
    );
    assert_eq!(state(&no_orc, X86), Availability::Unknown);
    assert_eq!(state(&no_orc, "s390x"), Availability::Available);
    assert_eq!(
        state(&without_symbols(&[walks, before]), X86),
        Availability::Missing
    );
    let guessing = no_livepatch("CONFIG_UNWINDER_GUESS=y\n");
    assert_eq!(state(&guessing, X86), Availability::Missing);
    let configured = no_livepatch("CONFIG_HAVE_RELIABLE_STACKTRACE=y\n");
    assert_eq!(state(&configured, X86), Availability::Available);
}

#[test]
fn every_symbol_that_the_plan_asks_for_is_looked_up() {
    let names = symbols();
    probe::planned(
        |_| false,
        |name| {
            assert!(names.contains(&name), "{name}");
            None
        },
    );
}

#[test]
fn before_sharing_and_before_the_verdict() {
    let host = without_symbols(&[SHARING_MARKER, "klp_check_and_switch_task"]);
    assert_missing(&of(&host, "ipmodify_sharing"), "no bpf_tramp", "Linux 6.0");
    let functions = of(&host, "livepatch_functions");
    assert_missing(
        &functions,
        "8 of 9; missing: klp_check_and_switch_task",
        "None",
    );
}

#[test]
fn bpf_frames_are_known_by_a_symbol_on_x86_alone() {
    let host = without_symbols(&[FRAMES_MARKER]);
    assert_missing(&of(&host, "bpf_frames"), "no bpf_has_frame_pointer", "6.19");
    assert_eq!(
        on(&host, "aarch64", "bpf_frames").state,
        Availability::Unknown
    );
}

#[test]
fn memory_is_bound_where_maps_are_charged() {
    let mut host = whole();
    if let Reading::Found(symbols) = &mut host.symbols {
        symbols.found.insert(marker::CHARGES_MAPS.to_owned());
    }
    assert_eq!(of(&host, "bpf_memory").state, Availability::Available);
    if let Some(rights) = &mut host.rights {
        rights.capabilities = Some(Vec::new());
    }
    assert_missing(&of(&host, "bpf_memory"), "8192 KB", "ulimit -l unlimited");
}

#[test]
fn kprobes_can_be_absent_or_switched_off() {
    let mut host = whole();
    host.kprobes_armed = Reading::Found("0".to_owned());
    assert_missing(&of(&host, "kprobes"), "switched off", "echo 1 >");
    host.kprobe_events = false;
    assert_missing(&of(&host, "kprobes"), "perf has no", "CONFIG_KPROBES=y");
}

/// As measured on Debian's kernels, in docs/deploy.md.
#[test]
fn kprobes_above_level_two_take_more_than_perfmon() {
    let mut host = whole();
    if let Some(rights) = &mut host.rights {
        rights.capabilities = Some(vec![Capability::Bpf, Capability::Perfmon]);
    }
    assert_missing(&of(&host, "perf_events"), "=3", "CAP_SYS_ADMIN");
    host.settings.perf_event_paranoid = Reading::Found("2".to_owned());
    assert_eq!(of(&host, "perf_events").state, Availability::Available);
}

#[test]
fn an_ordinary_user_is_told_what_root_would_see() {
    let host = unprivileged();
    assert_missing(&of(&host, "capabilities"), "none", "CAP_BPF");
    assert_missing(&of(&host, "symbol_addresses"), "hidden", "CAP_SYSLOG");
    assert_missing(&of(&host, "kernel_log"), "dmesg_restrict=1", "CAP_SYSLOG");
    assert_missing(&of(&host, "patch_state"), "no permission", "root");
    assert_eq!(of(&host, "bpf_jit").state, Availability::Unknown);
    // These need no privilege to be read.
    assert_eq!(of(&host, "btf").state, Availability::Available);
    assert_eq!(of(&host, "ipmodify_sharing").state, Availability::Available);
}

#[test]
fn even_root_sees_no_addresses_where_they_are_hidden_from_all() {
    let mut host = unprivileged();
    host.settings.kptr_restrict = Reading::Found("2".to_owned());
    assert_missing(&of(&host, "symbol_addresses"), "=2", "kptr_restrict=1");
}

#[test]
fn lockdown_hurts_only_where_it_is_about_secrets() {
    let mut host = whole();
    let mut lockdown = |reading| {
        host.settings.lockdown = reading;
        of(&host, "lockdown")
    };
    let level = |level: &str| Reading::Found(level.to_owned());
    assert_eq!(lockdown(level("integrity")).state, Availability::Available);
    assert_missing(
        &lockdown(level("confidentiality")),
        "confidentiality",
        "lockdown=integrity",
    );
    assert_eq!(lockdown(Reading::Absent).state, Availability::Unknown);
}

#[test]
fn an_lpwatch_without_its_programs_says_so() {
    let offers = all(&whole(), false, X86);
    let offer = offers.iter().find(|offer| offer.id == "bpf_programs");
    assert_missing(offer.unwrap(), "without them", "cargo xtask build");
}

#[test]
fn a_command_of_a_remedy_can_be_run_as_it_is() {
    let mut bare = no_livepatch("CONFIG_X86=y\n");
    bare.settings.kptr_restrict = Reading::Found("2".to_owned());
    bare.symbols = Reading::Found(OfferedSymbols {
        hidden: true,
        ..OfferedSymbols::default()
    });
    let mut without_config = unprivileged();
    without_config.config = None;
    without_config.tracefs = Reading::Absent;
    for host in [whole(), unprivileged(), bare, without_config] {
        for offer in all(&host, false, X86) {
            let remedy = offer.remedy.unwrap_or_default();
            let is_command = remedy.starts_with(|c: char| c.is_ascii_lowercase());
            let first = usize::from(!is_command);
            for command in remedy.lines().skip(first) {
                let is_prose = command.contains(['(', ',']) || command.ends_with('.');
                assert!(!is_prose, "{command}");
            }
        }
    }
}

#[test]
fn tracefs_is_to_be_mounted_only_where_that_helps() {
    let mut host = no_livepatch("CONFIG_X86=y\n");
    host.tracefs = Reading::Absent;
    let needless = of(&host, "tracefs");
    assert_eq!(needless.state, Availability::Available, "{needless:?}");
    let mut host = no_livepatch("CONFIG_KPROBES=y\n");
    host.tracefs = Reading::Absent;
    assert_missing(&of(&host, "tracefs"), "kprobe_events", "Boot a kernel");
    let mut host = no_livepatch("CONFIG_KPROBES=y\nCONFIG_KPROBE_EVENTS=y\n");
    host.tracefs = Reading::Absent;
    let remedy = of(&host, "tracefs").remedy;
    let mount = "mount -t tracefs tracefs /sys/kernel/tracing";
    assert_eq!(remedy.as_deref(), Some(mount));
}
