//! Tests of what a kernel takes.

use crate::{
    check::{
        facts::{CheckFacts, kernel::Vermagic},
        rules::samples,
    },
    kernel::{host::Host, patch_file::Machine},
};

use super::*;
use crate::check::rules::errno::EKEYREJECTED;

const MAGIC: &str = "6.12.1 SMP preempt mod_unload ";

/// A kernel and a patch that fit.
fn fitting() -> (PatchFile, CheckFacts) {
    let mut patch = samples::patch(&["f"]);
    patch.modinfo.vermagic = Some(MAGIC.to_owned());
    let facts = CheckFacts {
        host: Host {
            release: "6.12.1".to_owned(),
            ..Host::default()
        },
        patches: Some(Vec::new()),
        kernel: KernelFacts {
            ftrace_enabled: Some(true),
            machine: Some("x86_64".to_owned()),
            reliable_stacks: Some(true),
            modules_disabled: Some(false),
            sig_enforce: Some(false),
            lockdown: Some("none".to_owned()),
            vermagic: Some(Vermagic {
                text: MAGIC.to_owned(),
                file: "/lib/modules/6.12.1/kernel/a.ko".into(),
            }),
            unread: Vec::new(),
        },
        ..CheckFacts::default()
    };
    (patch, facts)
}

/// The only finding after a change: how bad, and the refusal.
fn one(change: impl FnOnce(&mut PatchFile, &mut CheckFacts)) -> (Severity, Option<u32>) {
    let (mut patch, mut facts) = fitting();
    change(&mut patch, &mut facts);
    let found = judge(&samples::context(&patch, &facts));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].text.ends_with('.'), "{}", found[0].text);
    (
        found[0].severity,
        found[0].refusal.map(|refusal| refusal.errno),
    )
}

#[test]
fn a_patch_that_fits_is_fine() {
    let (patch, facts) = fitting();
    assert_eq!(judge(&samples::context(&patch, &facts)), []);
}

#[test]
fn what_is_no_patch_is_told_from_one_that_is_not_marked() {
    let no_patch = one(|patch, facts| {
        patch.modinfo.livepatch = false;
        patch.made_by = None;
        // Nothing else matters then.
        facts.kernel.modules_disabled = Some(true);
    });
    assert_eq!(no_patch, (Severity::Danger, None));
    let unmarked = one(|patch, _| patch.modinfo.livepatch = false);
    assert_eq!(unmarked, (Severity::Danger, Some(EINVAL)));
}

#[test]
fn a_kernel_that_refuses_is_told_with_its_answer() {
    let no_livepatch = one(|_, facts| facts.patches = None);
    assert_eq!(no_livepatch, (Severity::Danger, Some(ENOEXEC)));
    let processor = one(|patch, _| patch.machine = Machine::S390x);
    assert_eq!(processor, (Severity::Danger, Some(ENOEXEC)));
    let disabled = one(|_, facts| facts.kernel.modules_disabled = Some(true));
    assert_eq!(disabled, (Severity::Danger, Some(EPERM)));
    let ftrace = one(|_, facts| facts.kernel.ftrace_enabled = Some(false));
    assert_eq!(ftrace, (Severity::Danger, Some(EBUSY)));
}

#[test]
fn stacks_that_are_not_reliable_are_a_danger_without_a_refusal() {
    let stacks = one(|_, facts| facts.kernel.reliable_stacks = Some(false));
    assert_eq!(stacks, (Severity::Danger, None));
    let not_known = one(|_, facts| facts.kernel.reliable_stacks = None);
    assert_eq!(not_known, (Severity::Note, None));
}

#[test]
fn version_magic_is_compared_as_the_kernel_does() {
    let magic = |text: &str| {
        let text = text.to_owned();
        one(move |patch, _| patch.modinfo.vermagic = Some(text))
    };
    let refused = (Severity::Danger, Some(ENOEXEC));
    assert_eq!(magic("6.12.2 SMP preempt mod_unload "), refused);
    assert_eq!(magic("6.12.1 SMP mod_unload "), refused);
    assert_eq!(magic("6.12.1 SMP preempt mod_unload modversions "), refused);
    assert_eq!(magic(""), refused);
    assert_eq!(one(|patch, _| patch.modinfo.vermagic = None), refused);
    let versioned = one(|patch, facts| {
        patch.modinfo.vermagic = Some("6.12.2 SMP modversions ".to_owned());
        facts.kernel.vermagic.as_mut().unwrap().text = "6.12.1 SMP modversions ".to_owned();
    });
    assert_eq!(versioned, (Severity::Danger, None));
}

#[test]
fn without_the_kernels_magic_its_release_is_compared() {
    let release = |magic: &str, own: &str| {
        let (magic, own) = (magic.to_owned(), own.to_owned());
        one(move |patch, facts| {
            patch.modinfo.vermagic = Some(magic);
            facts.kernel.vermagic = None;
            facts.host.release = own;
        })
    };
    assert_eq!(release(MAGIC, "6.12.1"), (Severity::Note, None));
    assert_eq!(release(MAGIC, "6.12.10"), (Severity::Danger, Some(ENOEXEC)));
    assert_eq!(
        release("6.1 SMP modversions ", "6.12.1"),
        (Severity::Danger, None)
    );
    assert_eq!(release(MAGIC, ""), (Severity::Warning, None));
}

#[test]
fn a_signature_is_asked_for_by_enforcement_and_by_lockdown() {
    let signature = |signed: bool, enforce: Option<bool>, lockdown: Option<&str>| {
        let (mut patch, mut facts) = fitting();
        patch.signed = signed;
        facts.kernel.sig_enforce = enforce;
        facts.kernel.lockdown = lockdown.map(str::to_owned);
        let found = judge(&samples::context(&patch, &facts));
        assert!(found.len() < 2, "{found:?}");
        let found = found.first();
        found.map(|found| (found.severity, found.refusal.map(|refusal| refusal.errno)))
    };
    let (danger, note) = (Severity::Danger, Severity::Note);
    let none = Some("none");
    let integrity = Some("integrity");
    assert_eq!(signature(false, Some(false), none), None);
    assert_eq!(signature(true, Some(false), none), None);
    let rejected = Some((danger, Some(EKEYREJECTED)));
    assert_eq!(signature(false, Some(true), none), rejected);
    assert_eq!(signature(false, Some(true), integrity), rejected);
    let forbidden = Some((danger, Some(EPERM)));
    assert_eq!(signature(false, Some(false), integrity), forbidden);
    // That of a signed one cannot be verified from here.
    assert_eq!(signature(true, Some(true), none), Some((note, None)));
    assert_eq!(signature(true, None, integrity), Some((note, None)));
    assert_eq!(signature(false, None, none), Some((note, None)));
    assert_eq!(signature(false, Some(false), None), Some((note, None)));
}

#[test]
fn what_could_not_be_read_is_a_warning() {
    let unread = one(|_, facts| facts.kernel.unread = vec!["the lockdown".to_owned()]);
    assert_eq!(unread, (Severity::Warning, None));
}

#[test]
fn of_a_loaded_patch_only_what_still_matters_is_said() {
    let (patch, mut facts) = fitting();
    facts.kernel.sig_enforce = Some(true);
    facts.kernel.ftrace_enabled = Some(false);
    facts.kernel.reliable_stacks = Some(false);
    let mut context = samples::context(&patch, &facts);
    assert_eq!(judge(&context).len(), 3);
    context.is_loaded = true;
    assert_eq!(judge(&context).len(), 1);
}
