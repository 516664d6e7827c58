//! What cannot be read, and what kernels of old do not tell.

use super::*;

#[test]
fn a_system_that_cannot_be_read_does_not_hide_the_others() {
    let host = graft("0\n", &[("a", "2")]);
    // A file where a directory should be.
    host.write("sys/kernel/livepatch", "");
    let systems = read_all(&host.roots).unwrap();
    assert_eq!(systems.present, [EngineKind::Kgraft]);
    assert_eq!(systems.unread, [EngineKind::Livepatch]);
    assert_eq!(systems.notes.len(), 1, "{:?}", systems.notes);
    assert_eq!(systems.patches.len(), 1);
    let alone = FakeHost::new(&[("sys/kernel/livepatch", "")]);
    assert!(read_all(&alone.roots).is_err());
    assert!(
        read_all(&FakeHost::new(&[]).roots)
            .unwrap()
            .present
            .is_empty()
    );
}

#[test]
fn a_livepatch_of_before_transitions_is_applied_and_in_none() {
    let host = FakeHost::new(&[
        ("sys/kernel/livepatch/lp/enabled", "1\n"),
        ("sys/kernel/livepatch/lp/vmlinux/f/", ""),
        ("sys/kernel/livepatch/lp/ext4/g,1/", ""),
        ("sys/module/lp/initstate", "live\n"),
    ]);
    let patch = view(&host, EngineKind::Livepatch).patches.remove(0);
    assert_eq!(patch.enabled, Some(true));
    assert_eq!((patch.in_transition, patch.told_direction), (false, None));
    let objects = patch.objects.iter();
    let patched: Vec<_> = objects
        .map(|object| (object.name.as_str(), object.patched))
        .collect();
    // It does not say; but what is not loaded is not patched.
    assert_eq!(patched, [("ext4", Some(false)), ("vmlinux", None)]);
}

#[test]
fn what_cannot_be_told_is_neither_on_nor_off() {
    let host = FakeHost::new(&[
        ("sys/kernel/kpatch/a/enabled", "perhaps\n"),
        (
            "sys/kernel/kgraft/b/state",
            "Function  Weak  State\nf  0  1",
        ),
        ("sys/kernel/ksplice/c/stage", "hover\n"),
        ("proc/livepatch/state", "1\td\tUNDEF\n"),
        ("sys/module/kcare/initstate", "live\n"),
    ]);
    let systems = read_all(&host.roots).unwrap();
    let told: Vec<_> = systems
        .patches
        .iter()
        .map(|patch| (patch.name.as_str(), patch.enabled))
        .collect();
    let expected = ["a", "b", "c", "kcare", "d"].map(|name| (name, None));
    assert_eq!(told, expected);
    for kind in systems.present {
        assert!(!view(&host, kind).notes.is_empty(), "{kind:?} says nothing");
    }
}
