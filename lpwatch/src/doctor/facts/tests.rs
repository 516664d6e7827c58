//! The chosen hooks on different kinds of hosts.

use std::collections::BTreeSet;

use super::*;

fn probe(fact: &str, kind: &str, attached: bool, note: Option<&str>) -> Probe {
    Probe {
        fact: fact.to_owned(),
        kind: kind.to_owned(),
        target: format!("klp_{fact}"),
        attached,
        note: note.map(str::to_owned),
    }
}

/// A kernel of 6.12 as root sees it.
fn whole() -> HookInputs {
    let hooked = RULES
        .iter()
        .filter(|rule| rule.source == PrimarySource::Hook);
    let hooks = hooked.map(|rule| match rule.fact {
        "verdict" => probe(rule.fact, "kretprobe", true, None),
        "refused" | "module_loaded" | "module_freed" => {
            probe(rule.fact, "raw_tracepoint", true, None)
        }
        fact => probe(fact, "fentry", true, None),
    });
    HookInputs {
        livepatch: true,
        by: ChosenBy::Attaching,
        hooks: Ok(hooks.collect()),
        sharing: Ok(()),
        kprobes: true,
        addresses: true,
        tasks: Ok(()),
        programs: Ok(()),
        new_code: Ok(()),
        log: Ok(()),
        patch_state: Ok(()),
    }
}

fn no_bpf() -> HookInputs {
    HookInputs {
        by: ChosenBy::Policy,
        hooks: Err("BPF is ruled out".to_owned()),
        ..whole()
    }
}

fn of(known: &HookInputs, fact: &str) -> ChosenHook {
    let chosen = choose(known);
    chosen.into_iter().find(|one| one.fact == fact).unwrap()
}

#[test]
fn every_fact_has_a_name_of_its_own() {
    let unique: BTreeSet<&str> = names().collect();
    assert_eq!(unique.len(), RULES.len());
}

#[test]
fn every_hook_of_the_policy_is_a_fact_here() {
    let facts: BTreeSet<&str> = names().collect();
    for probe in crate::probe::planned(|_| true, |_| None) {
        assert!(facts.contains(probe.fact.as_str()), "{probe:?}");
    }
}

#[test]
fn a_whole_kernel_has_a_hook_for_everything() {
    for fact in choose(&whole()) {
        assert_ne!(fact.kind, FactSource::None, "{fact:?}");
        assert!(!fact.fallen_back && !fact.is_lost(), "{fact:?}");
        assert!(!fact.why.is_empty() && !fact.what.is_empty(), "{fact:?}");
    }
    let calls = of(&whole(), "calls");
    assert_eq!(calls.kind, FactSource::Fentry);
    assert!(calls.fallback.unwrap().contains("modules"));
    assert_eq!(of(&whole(), "effect").kind, FactSource::Kprobe);
    assert_eq!(of(&whole(), "tasks").works, Some(true));
}

#[test]
fn the_oldest_kernel_counts_by_kprobes_and_has_no_verdicts() {
    let mut known = HookInputs {
        sharing: Err("this kernel does not let them share".to_owned()),
        ..whole()
    };
    let hooks = known.hooks.as_mut().unwrap();
    hooks.retain(|probe| probe.fact != "verdict");
    hooks.push(probe("verdict", "none", false, Some("it came with 5.16")));
    let calls = of(&known, "calls");
    assert_eq!(calls.kind, FactSource::Kprobe);
    assert!(calls.why.contains("share"), "{calls:?}");
    let verdict = of(&known, "verdict");
    assert_eq!(verdict.kind, FactSource::None);
    assert_eq!(verdict.why, "it came with 5.16");
    assert!(!verdict.is_lost() && verdict.fallen_back, "{verdict:?}");
}

#[test]
fn without_bpf_files_serve_and_calls_are_not_known() {
    let known = no_bpf();
    for (fact, kind) in [
        ("patches", FactSource::Sysfs),
        ("begun", FactSource::Kmsg),
        ("tasks", FactSource::Procfs),
        ("module_loaded", FactSource::Sysfs),
        ("verdict", FactSource::None),
    ] {
        let chosen = of(&known, fact);
        assert_eq!(chosen.kind, kind, "{chosen:?}");
        assert!(!chosen.is_lost(), "{chosen:?}");
    }
    for fact in ["calls", "effect"] {
        let chosen = of(&known, fact);
        assert!(chosen.is_lost(), "{chosen:?}");
        assert_eq!(chosen.why, "BPF is ruled out");
    }
}

#[test]
fn without_the_log_sysfs_serves_and_outcomes_are_lost() {
    let known = HookInputs {
        log: Err("no permission to read /dev/kmsg".to_owned()),
        patch_state: Err("no permission".to_owned()),
        ..no_bpf()
    };
    assert_eq!(of(&known, "begun").kind, FactSource::Sysfs);
    for fact in ["forced", "cancelled", "refused", "tasks"] {
        assert!(of(&known, fact).is_lost(), "{fact}");
    }
    assert!(!of(&known, "log").is_lost());
}

#[test]
fn what_was_not_tried_is_not_said_to_work() {
    let mut known = whole();
    known.by = ChosenBy::Policy;
    for probe in known.hooks.as_mut().unwrap() {
        probe.attached = false;
    }
    let begun = of(&known, "begun");
    assert_eq!((begun.kind, begun.works), (FactSource::Fentry, None));
    assert_eq!(of(&known, "calls").kind, FactSource::Fentry);
}

#[test]
fn a_kprobe_in_the_place_of_fentry_says_why() {
    let mut known = whole();
    let hooks = known.hooks.as_mut().unwrap();
    hooks.retain(|probe| probe.fact != "begun");
    let note = "not in the BTF, so no fentry";
    hooks.push(probe("begun", "kprobe", true, Some(note)));
    let begun = of(&known, "begun");
    assert_eq!(begun.kind, FactSource::Kprobe);
    assert!(begun.why.starts_with(note), "{begun:?}");
}

#[test]
fn counting_needs_addresses_and_the_turns_of_livepatch() {
    let hidden = HookInputs {
        addresses: false,
        ..whole()
    };
    assert!(of(&hidden, "calls").why.contains("kptr_restrict"));
    let mut deaf = whole();
    for probe in deaf.hooks.as_mut().unwrap() {
        if probe.fact == "complete" {
            probe.attached = false;
        }
    }
    assert!(of(&deaf, "calls").why.contains("`complete`"));
    assert!(of(&deaf, "effect").is_lost());
}

#[test]
fn without_kprobes_only_patched_functions_are_counted() {
    let known = HookInputs {
        kprobes: false,
        ..whole()
    };
    let calls = of(&known, "calls");
    assert_eq!(calls.kind, FactSource::Fentry);
    assert!(calls.fallback.unwrap().starts_with("none"));
    assert!(of(&known, "effect").is_lost());
    let neither = HookInputs {
        sharing: Err("no".to_owned()),
        ..known
    };
    assert!(of(&neither, "calls").is_lost());
}

#[test]
fn a_kernel_without_live_patches_has_no_facts() {
    let known = HookInputs {
        livepatch: false,
        ..whole()
    };
    assert!(choose(&known).iter().all(ChosenHook::is_lost));
}
