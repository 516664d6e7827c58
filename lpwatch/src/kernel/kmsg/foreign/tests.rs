//! Lines of these systems, and lines that are none.

use super::*;

fn kind(text: &str, system: ForeignSystem) -> ForeignKind {
    let line = parse_foreign(text).unwrap_or_else(|| panic!("{text}"));
    assert_eq!(line.system, system, "{text}");
    line.kind
}

#[test]
fn kpatch_refuses_a_function_for_a_task() {
    let kind = |text: &str| kind(text, ForeignSystem::Kpatch);
    let named = ForeignKind::FunctionBusy {
        function: LoggedFunction::Name("f".to_owned()),
    };
    let check = "kpatch: activeness safety check failed for";
    assert_eq!(kind(&format!("{check} f\n")), named);
    assert_eq!(kind(&format!("{check} 'f()'")), named);
    let at = ForeignKind::FunctionBusy {
        function: LoggedFunction::Address(0xffff_ffff_8100_0000),
    };
    assert_eq!(
        kind(&format!("{check} function at address 0xffffffff81000000")),
        at
    );
    assert_eq!(
        kind(&format!("{check} function at address 'ffffffff81000000()'")),
        at
    );
    let holder = ForeignKind::Holder {
        pid: 12,
        comm: "my app".to_owned(),
    };
    assert_eq!(kind("kpatch: PID: 12 Comm: my app"), holder);
    let told = "kpatch: PID: 12 Comm: my app is sleeping on the patched function.";
    assert_eq!(kind(told), holder);
}

#[test]
fn kpatch_tells_of_patches() {
    let kind = |text: &str| kind(text, ForeignSystem::Kpatch);
    let patch = || "kpatch_a".to_owned();
    assert_eq!(
        kind("kpatch: loaded patch module 'kpatch_a'"),
        ForeignKind::Applied { patch: patch() }
    );
    assert_eq!(
        kind("kpatch: unloaded patch module 'kpatch_a'"),
        ForeignKind::Reversed { patch: patch() }
    );
    let text = "can't set ftrace filter at address 0xffffffff81000000";
    assert_eq!(
        kind(&format!("kpatch: {text}")),
        ForeignKind::Complaint {
            text: text.to_owned()
        }
    );
}

#[test]
fn kgraft_tells_how_it_goes() {
    let kind = |text: &str| kind(text, ForeignSystem::Kgraft);
    let begun = |patching| ForeignKind::Begun {
        patch: "kgraft_patch_1".to_owned(),
        patching,
    };
    assert_eq!(kind("kgr: applying patch 'kgraft_patch_1'"), begun(true));
    assert_eq!(kind("kgr: reverting patch 'kgraft_patch_1'"), begun(false));
    assert_eq!(kind("kgr succeeded\n"), ForeignKind::Succeeded);
    let still = |seconds| ForeignKind::StillInProgress {
        every_seconds: seconds,
    };
    for (text, seconds) in [
        ("kgr still in progress after timeout (30)", Some(30)),
        (
            "kgr still in progress after timeout, will keep trying every 2 seconds",
            Some(2),
        ),
        (
            "kgr failed after timeout (30), still in degraded mode",
            Some(30),
        ),
        ("kgr still in progress after timeout", None),
        ("kgr still in progress after timeout (99999999999)", None),
    ] {
        assert_eq!(kind(text), still(seconds), "{text}");
    }
    assert_eq!(
        kind("kgr: all processes marked as migrated on admin's request"),
        ForeignKind::Forced
    );
    let text = "can't patch, another patching not yet finalized";
    assert_eq!(
        kind(&format!("kgr: {text}")),
        ForeignKind::Complaint {
            text: text.to_owned()
        }
    );
}

#[test]
fn ksplice_tells_what_became_of_an_update() {
    let kind = |text: &str| kind(text, ForeignSystem::Ksplice);
    let patch = || "dfvn0zq8".to_owned();
    assert_eq!(
        kind("ksplice: Update dfvn0zq8 applied successfully"),
        ForeignKind::Applied { patch: patch() }
    );
    assert_eq!(
        kind("ksplice: Update dfvn0zq8 reversed successfully"),
        ForeignKind::Reversed { patch: patch() }
    );
    assert_eq!(
        kind("ksplice: Aborted dfvn0zq8.  stack check: to-be-replaced code is busy"),
        ForeignKind::Aborted {
            patch: Some(patch()),
            reason: "stack check: to-be-replaced code is busy".to_owned(),
        }
    );
    assert_eq!(
        kind("ksplice: Aborted. (out of memory)"),
        ForeignKind::Aborted {
            patch: None,
            reason: "out of memory".to_owned(),
        }
    );
}

#[test]
fn other_lines_are_nothing() {
    for text in [
        "",
        "kpatch",
        "kpatch: ",
        "kpatch: PID: x Comm: y",
        "kpatch: PID: 12",
        "kpatch: activeness safety check failed for ",
        "kpatch: activeness safety check failed for function at address 0xg",
        "kpatch: loaded patch module 'a",
        "kgr: applying patch",
        "kgr something else",
        "kgraft: succeeded",
        "ksplice: Update x",
        "ksplice: Aborted x",
        "livepatch: enabling patch 'lp'",
        "app: kgr succeeded",
    ] {
        assert_eq!(parse_foreign(text), None, "{text}");
    }
}
