//! Each finding on plain values, and what must not be found.

use super::*;
use crate::check::{
    facts::{CheckFacts, hooks::HookSupport},
    rules::{
        hooked::samples::{facts, function, hook, named},
        samples,
    },
};

fn judged(hooks: Vec<FoundHook>, machine: Machine) -> Vec<CheckFinding> {
    on(&facts(hooks, HookSupport::default()), machine)
}

fn on(facts: &CheckFacts, machine: Machine) -> Vec<CheckFinding> {
    let mut patch = samples::patch(&["gcd"]);
    patch.machine = machine;
    judge(&samples::context(&patch, facts))
}

fn kprobe(place: KprobePlace) -> FoundHook {
    named(FoundHookKind::Kprobe(place), "kprobes/inside")
}

#[test]
fn a_kprobe_inside_the_old_body_goes_blind() {
    let found = judged(vec![kprobe(KprobePlace::Offset(9))], Machine::X86_64);
    let [finding] = &found[..] else {
        panic!("{found:?}");
    };
    assert_eq!(finding.severity, Severity::Warning);
    let expected = "Kprobe kprobes/inside is inside gcd, at +0x9: once patched, that code is skipped \
                    and it sees no calls.";
    assert_eq!(finding.text, expected);
    assert!(
        finding.remedy[0].contains("fix:new_gcd"),
        "{:?}",
        finding.remedy
    );
    assert_eq!(finding.refusal, None);
    let cold = judged(
        vec![kprobe(KprobePlace::Part("gcd.cold".to_owned()))],
        Machine::X86_64,
    );
    assert!(
        cold[0].text.contains("in gcd.cold, a part of gcd:"),
        "{}",
        cold[0].text
    );
}

#[test]
fn a_loaded_patch_has_blinded_it_already() {
    let facts = facts(vec![kprobe(KprobePlace::Offset(9))], HookSupport::default());
    let patch = samples::patch(&["gcd"]);
    let mut context = samples::context(&patch, &facts);
    context.is_loaded = true;
    let finding = judge(&context).remove(0);
    assert!(
        finding.text.ends_with("so it sees no call."),
        "{}",
        finding.text
    );
}

#[test]
fn probes_at_the_entry_and_at_the_return_go_on() {
    let at_entry = || kprobe(KprobePlace::Entry);
    let returns = || named(FoundHookKind::Kretprobe, "kprobes/ret");
    for machine in [Machine::X86_64, Machine::Aarch64, Machine::Ppc64le] {
        assert!(
            judged(vec![at_entry(), returns()], machine).is_empty(),
            "{machine:?}"
        );
    }
    let programs = || vec![hook(FoundHookKind::Fentry), hook(FoundHookKind::Fexit)];
    assert!(judged(programs(), Machine::X86_64).is_empty());
}

#[test]
fn how_long_an_entry_is_depends_on_the_processor() {
    for (machine, within, behind) in [
        (Machine::X86_64, 4, 5),
        (Machine::Aarch64, 4, 8),
        (Machine::Ppc64le, 12, 16),
    ] {
        let at = |offset| judged(vec![kprobe(KprobePlace::Offset(offset))], machine);
        assert!(at(within).is_empty(), "{machine:?}");
        assert_eq!(at(behind).len(), 1, "{machine:?}");
    }
    assert!(judged(vec![kprobe(KprobePlace::Offset(64))], Machine::Riscv64).is_empty());
}

#[test]
fn a_nameless_probe_at_the_entry_may_redirect() {
    let nameless = || hook(FoundHookKind::Kprobe(KprobePlace::Entry));
    let found = judged(vec![nameless()], Machine::X86_64);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].severity, Severity::Note);
    assert!(found[0].remedy[0].ends_with("lpwatch verify fix"));

    let redirect = FoundHookKind::Redirect { handler: None };
    assert!(judged(vec![nameless(), hook(redirect)], Machine::X86_64).is_empty());
    let mut patched = facts(vec![nameless()], HookSupport::default());
    patched.patches = Some(vec![samples::loaded("first", &["gcd"])]);
    assert!(on(&patched, Machine::X86_64).is_empty());
}

#[test]
fn on_s390x_an_entry_hook_switches_the_patch_off() {
    for hook in [hook(FoundHookKind::Fentry), kprobe(KprobePlace::Entry)] {
        let found = judged(vec![hook.clone()], Machine::S390x);
        assert_eq!(found[0].severity, Severity::Danger, "{hook:?}");
        assert!(
            found[0].text.contains("the original runs"),
            "{}",
            found[0].text
        );
    }
    let unknown = judged(vec![hook(FoundHookKind::Trampoline)], Machine::S390x);
    assert_eq!(unknown[0].severity, Severity::Warning);
    for kind in [FoundHookKind::Fexit, FoundHookKind::Kretprobe] {
        assert!(judged(vec![hook(kind)], Machine::S390x).is_empty());
    }
    // A kprobe that came after the first patch does no harm.
    let mut patched = facts(vec![kprobe(KprobePlace::Entry)], HookSupport::default());
    patched.patches = Some(vec![samples::loaded("first", &["gcd"])]);
    assert!(on(&patched, Machine::S390x).is_empty());
}

#[test]
fn on_powerpc_bpf_sees_nothing_of_a_patched_function() {
    for kind in [
        FoundHookKind::Fentry,
        FoundHookKind::Fexit,
        FoundHookKind::FmodRet,
        FoundHookKind::Trampoline,
    ] {
        let found = judged(vec![hook(kind.clone())], Machine::Ppc64le);
        assert_eq!(found[0].severity, Severity::Warning, "{kind:?}");
        assert!(found[0].text.contains("sees no call"), "{}", found[0].text);
    }
}

#[test]
fn lpwatch_never_warns_of_itself() {
    let mut ours = hook(FoundHookKind::Fentry);
    ours.is_ours = true;
    assert!(judged(vec![ours], Machine::S390x).is_empty());
}

#[test]
fn the_new_function_is_that_of_the_same_object() {
    let patch = samples::patch(&["gcd", "lcm"]);
    let new = |id: &FunctionId| new_function(&patch, id);
    assert_eq!(new(&function("lcm")).as_deref(), Some("fix:new_lcm"));
    let second = FunctionId {
        sympos: 2,
        ..function("lcm")
    };
    assert_eq!(new(&second), None);
    let elsewhere = FunctionId {
        object: "nfs".to_owned(),
        ..function("lcm")
    };
    assert_eq!(new(&elsewhere), None);
}
