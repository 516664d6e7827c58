//! Stacks as they were seen in 5.10 to 7.

use super::*;
use crate::model::evidence::Evidence;

fn frame(text: &str) -> Frame {
    let (symbol, module) = text.split_once(' ').unwrap_or((text, ""));
    Frame {
        symbol: symbol.to_owned(),
        offset: 0x10,
        module: (!module.is_empty()).then(|| module.to_owned()),
    }
}

fn stack(frames: &[&str]) -> Vec<Frame> {
    frames.iter().map(|text| frame(text)).collect()
}

fn sample(frames: &[&str], holders: Vec<CpuHolder>) -> WaitSample {
    let task = Task {
        tid: 164,
        tgid: 164,
        comm: "insmod".to_owned(),
        kind: TaskKind::User,
        evidence: Evidence {
            looked: true,
            state: Some('D'),
            stack: stack(frames),
            ..Evidence::default()
        },
    };
    WaitSample {
        at: Duration::ZERO,
        task: Some(task),
        holders,
    }
}

fn hog(kthread: bool) -> CpuHolder {
    CpuHolder {
        cpu: 1,
        tid: 201,
        tgid: 200,
        comm: "hog".to_owned(),
        kthread,
        policy: Policy::Fifo,
        priority: Some(90),
    }
}

const PRE_PATCH: [&str; 5] = [
    "msleep",
    "take lp",
    "pre lp",
    "klp_enable_patch",
    "do_one_initcall",
];
const POST: [&str; 5] = [
    "msleep",
    "take lp",
    "post lp",
    "klp_complete_transition",
    "klp_try_complete_transition",
];

#[test]
fn each_callback_is_known_by_its_caller() {
    use Direction::{Patching, Unpatching};
    let by_work = [
        "msleep",
        "post lp",
        "klp_try_complete_transition.part.0",
        "klp_transition_work_fn",
    ];
    let cancelled = [
        "msleep",
        "post lp",
        "klp_complete_transition",
        "klp_cancel_transition",
        "klp_enable_patch",
    ];
    let disabled = ["msleep", "pre lp", "enabled_store", "kernfs_fop_write_iter"];
    for (frames, direction, callback) in [
        // Before a patch is enabled, `enabled` is 0, and 1 before it is disabled.
        (&PRE_PATCH[..], Unpatching, CallbackKind::PrePatch),
        (&PRE_PATCH[..], Patching, CallbackKind::PrePatch),
        (&disabled[..], Patching, CallbackKind::PreUnpatch),
        (&POST[..], Patching, CallbackKind::PostPatch),
        (&POST[..], Unpatching, CallbackKind::PostUnpatch),
        (&by_work[..], Patching, CallbackKind::PostPatch),
        (&cancelled[..], Patching, CallbackKind::PostUnpatch),
    ] {
        let sample = sample(frames, vec![hog(false)]);
        assert_eq!(sample.callback(direction), Some(callback), "{frames:?}");
        let wait = sample.wait(direction, Some(3.0)).unwrap();
        assert_eq!(wait.reason, WaitReason::Callback);
        assert_eq!(wait.holder, None, "a callback waits for no CPU of ours");
        assert_eq!(wait.module.as_deref(), Some("lp"));
        let function = wait.function.unwrap();
        assert!(["pre", "post"].contains(&function.as_str()), "{function}");
    }
}

#[test]
fn a_callback_may_leave_no_frame() {
    let frames = ["msleep", "klp_complete_transition", "klp_enable_patch"];
    let wait = sample(&frames, Vec::new())
        .wait(Direction::Patching, None)
        .unwrap();
    assert_eq!(wait.callback, Some(CallbackKind::PostPatch));
    assert_eq!((wait.function, wait.module, wait.frame), (None, None, None));
}

#[test]
fn a_callback_of_a_module_that_comes_or_goes_may_be_either() {
    let frames = ["msleep", "cb lp", "klp_module_coming", "load_module"];
    let wait = sample(&frames, Vec::new())
        .wait(Direction::Patching, None)
        .unwrap();
    assert_eq!((wait.reason, wait.callback), (WaitReason::Callback, None));
}

#[test]
fn who_waits_for_the_lock_is_not_meant() {
    for frames in [
        ["schedule", "__mutex_lock.constprop.0", "enabled_store"],
        [
            "schedule",
            "__mutex_lock.constprop.0",
            "klp_transition_work_fn",
        ],
        ["do_nanosleep", "hrtimer_nanosleep", "__x64_sys_nanosleep"],
        ["msleep", "cb lp", "klp_shadow_free_all"],
    ] {
        assert_eq!(Step::of(&stack(&frames)), None, "{frames:?}");
    }
    // A callback may use the kernel's livepatch functions itself.
    let inside = ["klp_shadow_alloc", "cb lp", "klp_complete_transition"];
    assert!(Step::of(&stack(&inside)).unwrap().is_certain());
}

#[test]
fn the_kernels_own_work_waits_for_a_held_cpu() {
    let frames = [
        "__flush_work",
        "schedule_on_each_cpu",
        "klp_complete_transition",
    ];
    let held = sample(&frames, vec![hog(false)])
        .wait(Direction::Patching, None)
        .unwrap();
    assert_eq!(held.reason, WaitReason::CpuHeld);
    assert_eq!(held.function.as_deref(), Some("schedule_on_each_cpu"));
    let steps = held.steps().join("\n");
    assert!(steps.contains("\nchrt -o -p 0 201\n"), "{steps}");
    assert!(steps.contains("\nkill 200\n"), "{steps}");
    let by_itself = sample(&frames, Vec::new());
    let unknown = by_itself.wait(Direction::Patching, None).unwrap();
    assert_eq!(unknown.reason, WaitReason::Kernel);
    // Without a task in livepatch's code, only the CPU is known.
    let only = WaitSample {
        holders: vec![hog(true)],
        ..WaitSample::default()
    };
    let only = only.wait(Direction::Patching, None).unwrap();
    assert_eq!((only.reason, only.tid), (WaitReason::CpuHeld, None));
    let steps = only.steps().join("\n");
    assert!(!steps.contains("kill"), "{steps}");
}

#[test]
fn no_step_says_to_wait_for_a_task_or_to_reverse() {
    let waits = [
        sample(&PRE_PATCH, Vec::new()),
        sample(&POST, Vec::new()),
        sample(
            &["schedule_on_each_cpu", "klp_complete_transition"],
            Vec::new(),
        ),
        sample(
            &["schedule_on_each_cpu", "klp_complete_transition"],
            vec![hog(false)],
        ),
    ];
    for wait in waits
        .iter()
        .filter_map(|sample| sample.wait(Direction::Patching, None))
    {
        let steps = wait.steps().join("\n");
        assert!(
            !steps.contains("echo ") && !steps.contains("Wait"),
            "{steps}"
        );
        assert!(steps.contains("Do not reverse"), "{steps}");
    }
}

#[test]
fn the_same_callback_goes_on() {
    let (one, other) = (sample(&POST, Vec::new()), sample(&PRE_PATCH, Vec::new()));
    let deeper = [
        "schedule",
        "msleep",
        "take lp",
        "post lp",
        "klp_complete_transition",
    ];
    assert!(one.is_same(&sample(&deeper, Vec::new())));
    assert!(!one.is_same(&other));
    assert!(!one.is_same(&WaitSample::default()));
    assert!(WaitSample::default().is_same(&WaitSample::default()));
}
