//! Tests of each engine alone and of all engines together.

mod unclear;

use super::*;
use crate::{kernel::files::tests::FakeHost, model::Direction};

fn view(host: &FakeHost, kind: EngineKind) -> SystemView {
    let mut view = SystemView::default();
    assert!(of(kind).read(&host.roots, &mut view).unwrap());
    view
}

fn graft(in_progress: &str, patches: &[(&str, &str)]) -> FakeHost {
    let host = FakeHost::new(&[("sys/kernel/kgraft/in_progress", in_progress)]);
    for (name, states) in patches {
        let head = "Function  Object  Sympos  State\n".to_owned();
        let table = states
            .chars()
            .enumerate()
            .fold(head, |table, (number, state)| {
                table + &format!("f{number}  vmlinux  0  {state}\n")
            });
        host.write(&format!("sys/kernel/kgraft/{name}/state"), table);
    }
    host
}

#[test]
fn each_kind_has_its_engine_and_says_why_where_something_cannot_be_known() {
    for engine in all() {
        assert_eq!(of(engine.kind()).kind(), engine.kind());
        let Knowledge {
            consistency: _,
            progress,
            blockers,
            reasons,
            calls,
            check,
            wait,
            stop_time,
        } = engine.knows();
        for known in [progress, blockers, reasons, calls, check, wait, stop_time] {
            let why = known.why().unwrap_or_default();
            assert_eq!(known.is_yes(), why.is_empty(), "{:?}", engine.kind());
            assert!(!why.ends_with('.'), "{why}");
        }
    }
}

#[test]
fn kgrafts_patch_in_transition_is_the_one_whose_functions_are_not_final() {
    let moving = |host: &FakeHost| {
        let patches = view(host, EngineKind::Kgraft).patches.into_iter();
        let moving = patches.filter(|patch| patch.in_transition);
        moving
            .map(|patch| (patch.name, patch.told_direction, patch.enabled))
            .collect::<Vec<_>>()
    };
    let patching = Some(Direction::Patching);
    let one = |name: &str, direction| {
        let enabled = Some(direction == patching);
        vec![(name.to_owned(), direction, enabled)]
    };
    let host = graft("1\n", &[("a", "22"), ("b", "15")]);
    assert_eq!(moving(&host), one("b", patching));
    let host = graft("1\n", &[("a", "22"), ("b", "35")]);
    assert_eq!(moving(&host), one("b", Some(Direction::Unpatching)));
    // b replaces a: a's functions are reverted on the way.
    let host = graft("1\n", &[("a", "32"), ("b", "11")]);
    assert_eq!(moving(&host), one("b", patching));
    let host = graft("0\n", &[("a", "22"), ("b", "44")]);
    assert_eq!(moving(&host), []);
    let states: Vec<_> = view(&host, EngineKind::Kgraft)
        .patches
        .into_iter()
        .map(|patch| patch.details.state.unwrap())
        .collect();
    assert_eq!(states, ["applied", "reverted"]);
}

#[test]
fn kgraft_in_progress_without_a_patch_is_said() {
    let host = graft("1\n", &[("a", "2")]);
    let notes = view(&host, EngineKind::Kgraft).notes;
    assert_eq!(notes.len(), 1, "{notes:?}");
    host.write("sys/kernel/kgraft/a/state", "");
    let notes = view(&host, EngineKind::Kgraft).notes;
    assert!(
        notes
            .iter()
            .any(|note| note == "It is unknown whether a is enabled.")
    );
}

#[test]
fn kgraft_tells_the_tasks_left_with_their_stacks() {
    let host = graft("1\n", &[("a", "1")]);
    for (path, text) in [
        ("proc/7/kgr_in_progress", "1\n"),
        ("proc/7/stat", "7 (sleeper) S 1 7 7 0 -1 4194304 0\n"),
        ("proc/7/task/7/stack", "[<0>] do_nanosleep+0x10/0x20\n"),
        ("proc/8/kgr_in_progress", "0\n"),
    ] {
        host.write(path, text);
    }
    let left = of(EngineKind::Kgraft)
        .tasks_left(&host.roots)
        .unwrap()
        .unwrap();
    assert_eq!(
        (left.total, left.tasks.len(), left.notes.len()),
        (Some(2), 1, 1)
    );
    let task = &left.tasks[0];
    assert_eq!((task.tid, task.comm.as_str()), (7, "sleeper"));
    assert_eq!(task.evidence.stack[0].symbol, "do_nanosleep");
    assert_eq!(task.evidence.state, Some('S'));
}

fn splice(stage: &str, abort_cause: &str, conflicts: &str) -> FakeHost {
    FakeHost::new(&[
        ("sys/kernel/ksplice/k1/stage", stage),
        ("sys/kernel/ksplice/k1/abort_cause", abort_cause),
        ("sys/kernel/ksplice/k1/conflicts", conflicts),
        ("proc/12/stat", "12 (bash) S 1 12 12 0 -1 4194304 0\n"),
    ])
}

#[test]
fn ksplices_stages_are_those_of_a_patch() {
    let shown = |stage: &str, abort_cause: &str, conflicts: &str| {
        let view = view(&splice(stage, abort_cause, conflicts), EngineKind::Ksplice);
        let patch = view.patches.into_iter().next().unwrap();
        let cause = patch.details.refusal.and_then(|refusal| refusal.cause);
        (patch.enabled, patch.told_direction, cause)
    };
    let busy = Some("code_busy".to_owned());
    let patching = Some(Direction::Patching);
    let trying = shown("preparing\n", "ok\n", "bash 12 f\n");
    assert_eq!(trying, (Some(true), patching, None));
    assert_eq!(shown("preparing\n", "ok\n", ""), (Some(false), None, None));
    let refused = shown("preparing\n", "code_busy\n", "bash 12 f\n");
    assert_eq!(refused, (Some(false), None, busy.clone()));
    assert_eq!(shown("applied\n", "ok\n", ""), (Some(true), None, None));
    // It was not to be reversed: it stays.
    let stays = shown("applied\n", "code_busy\n", "bash 12 f\n");
    assert_eq!(stays, (Some(true), None, busy));
    assert_eq!(shown("reversed\n", "ok\n", ""), (Some(false), None, None));
    assert_eq!(shown("?\n", "ok\n", ""), (None, None, None));
}

#[test]
fn what_ksplice_gave_up_for_is_named() {
    let lines: Vec<String> = (1..=7).map(|pid| format!("task {pid} f g\n")).collect();
    let host = splice("preparing\n", "code_busy\n", &lines.concat());
    let view = view(&host, EngineKind::Ksplice);
    let meaning = view.patches[0]
        .details
        .refusal
        .clone()
        .unwrap()
        .meaning
        .unwrap();
    let named = meaning.split_once(": ").unwrap().1;
    assert!(
        named.starts_with("task (1) in f, g; task (2) in f, g; "),
        "{named}"
    );
    assert!(named.ends_with("task (5) in f, g and 2 more"), "{named}");
}

#[test]
fn ksplice_tells_who_is_in_the_way_and_with_which_functions() {
    let conflicts = "bash 12 do_wait sys_wait4\nbash 12 do_wait f\nwget 13 f\ntcsh 12 g\n";
    let host = splice("preparing\n", "ok\n", conflicts);
    let left = of(EngineKind::Ksplice)
        .tasks_left(&host.roots)
        .unwrap()
        .unwrap();
    assert_eq!(left.tasks.len(), 1);
    let task = &left.tasks[0];
    assert_eq!(task.evidence.named, ["do_wait", "sys_wait4", "f"]);
    assert_eq!(task.tgid, 12);
    assert_eq!(
        left.notes,
        [
            "wget (pid 13) blocked k1 and has ended.",
            "tcsh (pid 12) blocked k1 and has ended.",
        ]
    );
    let host = splice("applied\n", "ok\n", conflicts);
    let left = of(EngineKind::Ksplice)
        .tasks_left(&host.roots)
        .unwrap()
        .unwrap();
    assert_eq!(left, Left::default(), "that was before it was applied");
}

#[test]
fn kpatchs_functions_find_their_object_by_their_address() {
    let host = FakeHost::new(&[
        ("sys/kernel/kpatch/patches/kpatch_a/enabled", "1\n"),
        (
            "sys/kernel/kpatch/patches/kpatch_a/functions/f/old_addr",
            "0xffffffffc0000000\n",
        ),
        (
            "sys/kernel/kpatch/patches/kpatch_a/functions/g/old_addr",
            "0x1234\n",
        ),
        ("sys/module/ext4/initstate", "live\n"),
        ("proc/kallsyms", "ffffffffc0000000 t f\t[ext4]\n"),
    ]);
    let view = view(&host, EngineKind::Kpatch);
    let patch = &view.patches[0];
    assert_eq!(patch.enabled, Some(true));
    assert!(!patch.in_transition);
    let objects: Vec<_> = patch
        .objects
        .iter()
        .map(|object| object.name.as_str())
        .collect();
    assert_eq!(objects, ["ext4", crate::model::OBJECT_UNKNOWN]);
    // An object without a name may be loaded or not.
    assert_eq!(patch.objects[1].patched, None);
    assert_eq!(patch.details.addresses[0].old, Some(0xffff_ffff_c000_0000));
}

#[test]
fn openeulers_patches_are_not_livepatchs_besides() {
    let host = FakeHost::new(&[
        ("sys/kernel/livepatch/klp_a/enabled", "1\n"),
        ("sys/kernel/livepatch/klp_a/vmlinux/f,1/", ""),
        ("sys/kernel/livepatch/klp_b/enabled", "1\n"),
        ("sys/kernel/livepatch/klp_b/transition", "0\n"),
        (
            "proc/livepatch/state",
            "1\tklp_a\tenabled\n2\tklp_b\tenabled\n3\tklp_c\tdisabled\n",
        ),
    ]);
    let patches = read_all(&host.roots).unwrap().patches;
    let shown: Vec<_> = patches
        .iter()
        .map(|patch| (patch.engine, patch.name.as_str(), patch.stack_order))
        .collect();
    let expected = [
        (EngineKind::Livepatch, "klp_b", None),
        (EngineKind::Openeuler, "klp_a", Some(1)),
        (EngineKind::Openeuler, "klp_c", Some(3)),
    ];
    assert_eq!(shown, expected);
    assert_eq!(patches[1].objects[0].functions.len(), 1);
}

#[test]
fn kernelcare_is_one_patch_and_tells_its_cves() {
    let host = FakeHost::new(&[
        ("sys/module/kcare/initstate", "live\n"),
        ("proc/kcare/cvelist", "CVE-2021-3656\n"),
        ("proc/kcare/effective_version", "5.8.0-63\n"),
    ]);
    let care = view(&host, EngineKind::Kernelcare);
    assert_eq!(care.effective_kernel.as_deref(), Some("5.8.0-63"));
    let cve = "CVE-2021-3656".to_owned();
    assert_eq!(care.cves, [(EngineKind::Kernelcare, cve)]);
    assert_eq!(care.patches[0].enabled, Some(true));
    std::fs::remove_file(host.path("proc/kcare/cvelist")).unwrap();
    let care = view(&host, EngineKind::Kernelcare);
    assert_eq!((care.patches[0].enabled, care.notes.len()), (None, 1));
}
