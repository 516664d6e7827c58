//! Updates at both places, and such that come apart.

use super::*;
use crate::kernel::files::tests::FakeHost;

#[test]
fn an_update_tells_everything() {
    let host = FakeHost::new(&[
        ("sys/kernel/ksplice/dfvn0zq8/stage", "preparing\n"),
        ("sys/kernel/ksplice/dfvn0zq8/abort_cause", "code_busy\n"),
        ("sys/kernel/ksplice/dfvn0zq8/conflicts", "bash 12 do_wait\n"),
        ("sys/kernel/ksplice/dfvn0zq8/debug", "0\n"),
        ("sys/kernel/ksplice/dfvn0zq8/partial", "1\n"),
        (
            "var/run/ksplice/updates/dfvn0zq8/description",
            "\nCVE-2014-3688: Denial of service in SCTP.\n\nMore.\n",
        ),
    ]);
    let found = read(&host.roots).unwrap().unwrap();
    assert_eq!(found.notes, [""; 0]);
    assert_eq!(
        found.updates,
        [Update {
            id: "dfvn0zq8".to_owned(),
            stage: Some(UpdateStage::Preparing),
            abort_cause: Some(AbortCause::CodeBusy),
            conflicts: Conflicts::parse(b"bash 12 do_wait\n"),
            debug: Some(0),
            partial: Some(true),
            description: Some("CVE-2014-3688: Denial of service in SCTP.".to_owned()),
        }]
    );
}

#[test]
fn both_places_are_read_and_parts_are_one_update() {
    let host = FakeHost::new(&[
        ("sys/kernel/ksplice/aaa/stage", "applied\n"),
        ("sys/module/ksplice_bbb/ksplice/stage", "reversed\n"),
        ("sys/module/ksplice_aaa/ksplice/stage", "preparing\n"),
        (
            "sys/module/ksplice_ccc_vmlinux_new/ksplice/stage",
            "applied\n",
        ),
        ("sys/module/ksplice_ddd/parameters/debug", "0\n"),
        ("sys/module/ext4/ksplice/stage", "applied\n"),
    ]);
    let found = read(&host.roots).unwrap().unwrap();
    let updates: Vec<_> = found
        .updates
        .iter()
        .map(|update| (update.id.as_str(), update.stage))
        .collect();
    let expected = [
        ("aaa", Some(UpdateStage::Applied)),
        ("bbb", Some(UpdateStage::Reversed)),
        ("ccc", Some(UpdateStage::Applied)),
    ];
    assert_eq!(updates, expected);
}

#[test]
fn without_updates_it_depends_on_whether_ksplice_is_there() {
    let mut host = FakeHost::new(&[("sys/module/ext4/initstate", "live\n")]);
    assert_eq!(read(&host.roots).unwrap(), None);
    host.write("sys/kernel/ksplice/", "");
    assert_eq!(read(&host.roots).unwrap(), Some(Updates::default()));
    host.roots.sysfs.push("mistyped");
    assert!(read(&host.roots).is_err());
}

#[test]
fn what_is_odd_hides_nothing_else() {
    let host = FakeHost::new(&[
        ("sys/kernel/ksplice/a/stage", "hovering\n"),
        ("sys/kernel/ksplice/a/abort_cause", "bad_luck\n"),
        (
            "sys/kernel/ksplice/a/conflicts",
            "bash 12 f\nbash x\nbash 1",
        ),
        ("sys/kernel/ksplice/a/debug", "many\n"),
        ("sys/kernel/ksplice/b/stage", "applied\n"),
    ]);
    let found = read(&host.roots).unwrap().unwrap();
    let [a, b] = &found.updates[..] else {
        panic!("{found:?}");
    };
    assert_eq!((a.stage, a.debug, a.partial), (None, None, None));
    assert_eq!(
        a.abort_cause,
        Some(AbortCause::Other("bad_luck".to_owned()))
    );
    assert_eq!(a.conflicts.tasks.len(), 1);
    assert_eq!(b.stage, Some(UpdateStage::Applied));
    assert_eq!(found.notes.len(), 4, "{:?}", found.notes);
}
