//! The chosen hooks on different kinds of hosts.

use std::collections::BTreeSet;

use strum::VariantArray as _;

use super::*;
use crate::model::ObservedFact;

fn probe(fact: ObservedFact, kind: &str, attached: bool, note: Option<&str>) -> Probe {
    Probe {
        fact,
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
        ObservedFact::Verdict => probe(rule.fact, "kretprobe", true, None),
        ObservedFact::Refused | ObservedFact::ModuleLoaded | ObservedFact::ModuleFreed => {
            probe(rule.fact, "raw_tracepoint", true, None)
        }
        fact => probe(fact, "fentry", true, None),
    });
    HookInputs {
        livepatch: true,
        by: ChosenBy::Attaching,
        hooks: Ok(hooks.collect()),
        sharing: Ok(()),
        groups: true,
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

fn of(known: &HookInputs, fact: ObservedFact) -> ChosenHook {
    let chosen = choose(known);
    chosen.into_iter().find(|one| one.fact == fact).unwrap()
}

#[test]
fn every_fact_has_one_rule() {
    let unique: BTreeSet<ObservedFact> = RULES.iter().map(|rule| rule.fact).collect();
    assert_eq!(unique.len(), RULES.len());
    assert!(unique.iter().eq(ObservedFact::VARIANTS));
}

#[test]
fn every_hook_of_the_policy_is_a_hook_here() {
    for probe in crate::probe::planned(|_| true, |_| None) {
        let rule = RULES.iter().find(|rule| rule.fact == probe.fact).unwrap();
        assert_eq!(rule.source, PrimarySource::Hook, "{probe:?}");
    }
}

#[test]
fn a_whole_kernel_has_a_hook_for_everything() {
    for fact in choose(&whole()) {
        assert_ne!(fact.kind, FactSource::None, "{fact:?}");
        assert!(!fact.fallen_back && !fact.is_lost(), "{fact:?}");
        assert!(!fact.why.is_empty() && !fact.what.is_empty(), "{fact:?}");
    }
    let calls = of(&whole(), ObservedFact::Calls);
    assert_eq!(calls.kind, FactSource::Fentry);
    let elsewhere = calls.fallback.unwrap();
    assert!(elsewhere.contains("modules") && elsewhere.contains("kprobe.multi"));
    assert_eq!(of(&whole(), ObservedFact::Effect).kind, FactSource::Kprobe);
    assert_eq!(of(&whole(), ObservedFact::Tasks).works, Some(true));
}

#[test]
fn the_oldest_kernel_counts_by_kprobes_and_has_no_verdicts() {
    let mut known = HookInputs {
        sharing: Err("this kernel does not let them share".to_owned()),
        ..whole()
    };
    let hooks = known.hooks.as_mut().unwrap();
    hooks.retain(|probe| probe.fact != ObservedFact::Verdict);
    hooks.push(probe(
        ObservedFact::Verdict,
        "none",
        false,
        Some("it came with 5.16"),
    ));
    let calls = of(&known, ObservedFact::Calls);
    assert_eq!(calls.kind, FactSource::Kprobe);
    assert!(calls.why.contains("share"), "{calls:?}");
    let verdict = of(&known, ObservedFact::Verdict);
    assert_eq!(verdict.kind, FactSource::None);
    assert_eq!(verdict.why, "it came with 5.16");
    assert!(!verdict.is_lost() && verdict.fallen_back, "{verdict:?}");
}

#[test]
fn without_bpf_files_serve_and_calls_are_not_known() {
    let known = no_bpf();
    for (fact, kind) in [
        (ObservedFact::Patches, FactSource::Sysfs),
        (ObservedFact::Begun, FactSource::Kmsg),
        (ObservedFact::Tasks, FactSource::Procfs),
        (ObservedFact::ModuleLoaded, FactSource::Sysfs),
        (ObservedFact::Verdict, FactSource::None),
    ] {
        let chosen = of(&known, fact);
        assert_eq!(chosen.kind, kind, "{chosen:?}");
        assert!(!chosen.is_lost(), "{chosen:?}");
    }
    for fact in [ObservedFact::Calls, ObservedFact::Effect] {
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
    assert_eq!(of(&known, ObservedFact::Begun).kind, FactSource::Sysfs);
    for fact in [
        ObservedFact::Forced,
        ObservedFact::Cancelled,
        ObservedFact::Refused,
        ObservedFact::Tasks,
    ] {
        assert!(of(&known, fact).is_lost(), "{fact}");
    }
    assert!(!of(&known, ObservedFact::Log).is_lost());
}

#[test]
fn what_was_not_tried_is_not_said_to_work() {
    let mut known = whole();
    known.by = ChosenBy::Policy;
    for probe in known.hooks.as_mut().unwrap() {
        probe.attached = false;
    }
    let begun = of(&known, ObservedFact::Begun);
    assert_eq!((begun.kind, begun.works), (FactSource::Fentry, None));
    assert_eq!(of(&known, ObservedFact::Calls).kind, FactSource::Fentry);
}

#[test]
fn a_kprobe_in_the_place_of_fentry_says_why() {
    let mut known = whole();
    let hooks = known.hooks.as_mut().unwrap();
    hooks.retain(|probe| probe.fact != ObservedFact::Begun);
    let note = "not in the BTF, so no fentry";
    hooks.push(probe(ObservedFact::Begun, "kprobe", true, Some(note)));
    let begun = of(&known, ObservedFact::Begun);
    assert_eq!(begun.kind, FactSource::Kprobe);
    assert!(begun.why.starts_with(note), "{begun:?}");
}

#[test]
fn counting_needs_addresses_and_the_turns_of_livepatch() {
    let hidden = HookInputs {
        addresses: false,
        ..whole()
    };
    assert!(
        of(&hidden, ObservedFact::Calls)
            .why
            .contains("kptr_restrict")
    );
    let mut deaf = whole();
    for probe in deaf.hooks.as_mut().unwrap() {
        if probe.fact == ObservedFact::Complete {
            probe.attached = false;
        }
    }
    assert!(of(&deaf, ObservedFact::Calls).why.contains("`complete`"));
    assert!(of(&deaf, ObservedFact::Effect).is_lost());
}

#[test]
fn without_kprobes_only_patched_functions_are_counted() {
    let known = HookInputs {
        kprobes: false,
        groups: false,
        ..whole()
    };
    let calls = of(&known, ObservedFact::Calls);
    assert_eq!(calls.kind, FactSource::Fentry);
    assert!(calls.fallback.unwrap().starts_with("none"));
    assert!(of(&known, ObservedFact::Effect).is_lost());
    let neither = HookInputs {
        sharing: Err("no".to_owned()),
        ..known
    };
    assert!(of(&neither, ObservedFact::Calls).is_lost());
}

#[test]
fn a_kernel_without_live_patches_has_no_facts() {
    let known = HookInputs {
        livepatch: false,
        ..whole()
    };
    assert!(choose(&known).iter().all(ChosenHook::is_lost));
}
