//! Each finding on plain values, and what must not be found.

use super::*;
use crate::{
    check::{
        facts::{CheckFacts, hooks::KprobePlace},
        rules::hooked::samples::{facts, function, hook, program},
        rules::samples,
    },
    model::PatchView,
};

const OLD: HookSupport = HookSupport {
    trampolines: Some(false),
    bpf_frames: Some(false),
    return_probes: Some(false),
};
const SHARES: HookSupport = HookSupport {
    trampolines: Some(true),
    return_probes: Some(true),
    ..OLD
};
const NEW: HookSupport = HookSupport {
    bpf_frames: Some(true),
    ..SHARES
};

fn judged(facts: &CheckFacts) -> Vec<CheckFinding> {
    judge(&samples::context(&samples::patch(&["gcd"]), facts))
}

fn one(kind: FoundHookKind, support: HookSupport) -> Option<CheckFinding> {
    let mut found = judged(&facts(vec![hook(kind)], support));
    assert!(found.len() < 2, "{found:?}");
    found.pop()
}

fn post_handler() -> FoundHookKind {
    FoundHookKind::Redirect {
        handler: Some("kprobe_ftrace_handler".to_owned()),
    }
}

#[test]
fn a_post_handler_is_refused_by_every_kernel() {
    for support in [OLD, SHARES, NEW, HookSupport::default()] {
        let finding = one(post_handler(), support).unwrap();
        assert_eq!(finding.severity, Severity::Danger);
        assert_eq!(finding.refusal, Some(LoadRefusal { errno: EBUSY }));
        assert!(
            finding
                .text
                .starts_with("A kprobe with a post handler occupies gcd:")
        );
        assert_eq!(finding.evidence, ["what shows it"]);
        assert!(finding.remedy[1].contains("/sys/module"));
    }
}

#[test]
fn other_users_that_let_no_patch_beside_them_are_refused() {
    let named = FoundHookKind::Redirect {
        handler: Some("guard".to_owned()),
    };
    for (kind, begins) in [
        (named, "`guard` occupies gcd:"),
        (
            FoundHookKind::Redirect { handler: None },
            "An unknown user of the function tracer occupies",
        ),
        (
            FoundHookKind::Direct,
            "Code that ftrace calls directly occupies gcd:",
        ),
    ] {
        let finding = one(kind, NEW).unwrap();
        assert!(finding.refusal.is_some());
        assert!(finding.text.starts_with(begins), "{}", finding.text);
    }
}

/// Loaded, or not the first one of the function, it is not asked for again.
#[test]
fn a_function_that_is_patched_already_refuses_no_further_patch() {
    let mut held = facts(vec![hook(post_handler()), hook(FoundHookKind::Fentry)], OLD);
    let patch = samples::patch(&["gcd"]);
    let mut context = samples::context(&patch, &held);
    context.is_loaded = true;
    assert!(judge(&context).is_empty());

    held.patches = Some(vec![samples::loaded("other", &["lcm"])]);
    assert_eq!(judged(&held).len(), 2);
    held.patches = Some(vec![samples::loaded("first", &["gcd"])]);
    assert!(judged(&held).is_empty());
    let off = PatchView {
        enabled: Some(false),
        ..samples::loaded("first", &["gcd"])
    };
    held.patches = Some(vec![off]);
    assert_eq!(judged(&held).len(), 2);
}

#[test]
fn bpf_at_the_function_is_refused_before_6_0_alone() {
    for kind in [
        FoundHookKind::Fentry,
        FoundHookKind::Fexit,
        FoundHookKind::FmodRet,
        FoundHookKind::Lsm,
        FoundHookKind::Trampoline,
    ] {
        let finding = one(kind.clone(), OLD).unwrap();
        assert_eq!(finding.severity, Severity::Danger, "{kind:?}");
        assert_eq!(finding.refusal, Some(LoadRefusal { errno: EBUSY }));
        let unknown = HookSupport {
            trampolines: None,
            ..OLD
        };
        let finding = one(kind, unknown).unwrap();
        assert_eq!(
            (finding.severity, finding.refusal),
            (Severity::Warning, None)
        );
    }
    assert_eq!(one(FoundHookKind::Fentry, SHARES), None);
    assert_eq!(one(FoundHookKind::Fentry, NEW), None);
}

#[test]
fn its_owner_is_named_and_how_to_make_way() {
    let finding = judged(&facts(vec![program(FoundHookKind::Fexit)], OLD)).remove(0);
    assert!(
        finding
            .text
            .starts_with("Fexit program on_exit (id 42) of falcon (pid 77) is attached to gcd:"),
        "{}",
        finding.text
    );
    let expected = [
        "Before loading the patch, stop falcon (pid 77), which holds fexit program on_exit (id 42).",
        "If that process may be ended: kill 77",
    ];
    assert_eq!(finding.remedy, expected);
}

#[test]
fn what_stays_on_the_stack_is_a_warning_where_the_unwinder_does_not_know_it() {
    for kind in [
        FoundHookKind::Fexit,
        FoundHookKind::FmodRet,
        FoundHookKind::Lsm,
    ] {
        let finding = one(kind.clone(), SHARES).unwrap();
        assert_eq!(
            (finding.severity, finding.refusal),
            (Severity::Warning, None)
        );
        assert!(
            finding.text.contains("tasks asleep in gcd unreliable"),
            "{}",
            finding.text
        );
        assert_eq!(one(kind, NEW), None);
    }
    let finding = one(FoundHookKind::Trampoline, SHARES).unwrap();
    assert_eq!(finding.severity, Severity::Note);
    assert_eq!(one(FoundHookKind::Trampoline, NEW), None);
    let mut patch = samples::patch(&["gcd"]);
    patch.machine = Machine::Aarch64;
    let facts = facts(vec![hook(FoundHookKind::Fexit)], SHARES);
    assert!(judge(&samples::context(&patch, &facts)).is_empty());
}

#[test]
fn return_probes_are_a_warning_where_the_unwinder_does_not_know_them() {
    let finding = one(FoundHookKind::Kretprobe, OLD).unwrap();
    assert_eq!(
        (finding.severity, finding.refusal),
        (Severity::Warning, None)
    );
    assert_eq!(one(FoundHookKind::Kretprobe, SHARES), None);
    assert_eq!(one(FoundHookKind::Kretprobe, HookSupport::default()), None);
    let facts = facts(vec![hook(FoundHookKind::Kretprobe)], NEW);
    let mut patch = samples::patch(&["gcd"]);
    for (machine, count) in [
        (Machine::Ppc64le, 1),
        (Machine::S390x, 0),
        (Machine::Riscv64, 0),
    ] {
        patch.machine = machine;
        assert_eq!(
            judge(&samples::context(&patch, &facts)).len(),
            count,
            "{machine:?}"
        );
    }
}

#[test]
fn a_kprobe_is_in_nobodys_way() {
    for place in [KprobePlace::Entry, KprobePlace::Offset(9)] {
        assert_eq!(one(FoundHookKind::Kprobe(place), OLD), None);
    }
}

#[test]
fn lpwatch_never_warns_of_itself() {
    let mut ours = program(FoundHookKind::Fexit);
    ours.is_ours = true;
    assert!(judged(&facts(vec![ours], OLD)).is_empty());
}

#[test]
fn a_function_of_a_module_is_told_as_such() {
    let mut facts = facts(Vec::new(), NEW);
    let of_module = FunctionId {
        object: "nfs".to_owned(),
        ..function("gcd")
    };
    facts.hooks.at.insert(of_module, vec![hook(post_handler())]);
    let finding = judged(&facts).remove(0);
    assert!(
        finding.text.contains(" gcd of module nfs: "),
        "{}",
        finding.text
    );
}
