//! A transition that waits for a callback or for a CPU.

use super::*;
use crate::model::{
    evidence::Frame,
    waits::{CallbackKind, CpuHolder, Policy, WaitReason, WaitSample},
};

fn in_code(frames: &[&str]) -> Task {
    let stack = frames.iter().map(|text| {
        let (symbol, module) = text.split_once(' ').unwrap_or((text, ""));
        Frame {
            symbol: symbol.to_owned(),
            offset: 1,
            module: (!module.is_empty()).then(|| module.to_owned()),
        }
    });
    Task {
        tid: 164,
        tgid: 164,
        comm: "insmod".to_owned(),
        kind: TaskKind::User,
        evidence: Evidence {
            state: Some('D'),
            stack: stack.collect(),
            ..Evidence::default()
        },
    }
}

fn find(model: &mut Model, seconds: f64, task: Option<Task>, holders: Vec<CpuHolder>) {
    let now = at(seconds);
    let at = now.boot;
    let sample = WaitSample { at, task, holders };
    model.handle(Input::Wait(sample), &now);
}

const PRE: [&str; 4] = [
    "msleep",
    "pre lp_test",
    "klp_enable_patch",
    "do_one_initcall",
];
const POST: [&str; 3] = ["msleep", "post lp_test", "klp_complete_transition"];

fn advice(transition: &Transition) -> String {
    let blockers = transition.blockers.iter();
    let advice = blockers.filter_map(|blocker| blocker.advice.clone());
    advice
        .chain(transition.next.clone())
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn a_callback_after_the_switch_ends_the_transition_once() {
    let mut model = begun();
    hook(
        &mut model,
        101.0,
        EventKind::Try {
            patch: Some(PATCH.to_owned()),
            direction: Some(Direction::Patching),
            before: Some(0),
        },
    );
    sample(&mut model, 101.0, Direction::Patching, 0..7);
    hook(&mut model, 102.0, complete(Direction::Patching, Some(1)));
    assert!(!model.may_be_held(at(102.5).boot), "its clean-up is brief");
    for second in 0..70 {
        let seconds = 103.0 + f64::from(second);
        let ended = observe(&mut model, seconds, &[patch(true, true)]);
        assert!(ended.is_empty() && model.may_be_held(at(seconds).boot));
        find(&mut model, seconds, Some(in_code(&POST)), Vec::new());
    }
    let now = transition(&model, 182.0);
    assert_eq!((now.tasks_remaining, &now.blockers), (Some(0), &Vec::new()));
    let wait = now.waits_for.as_ref().unwrap();
    assert_eq!(wait.callback, Some(CallbackKind::PostPatch));
    assert_eq!((wait.tid, wait.since_seconds), (Some(164), Some(80.0)));
    assert_eq!(now.phase, Some(Phase::Stalled));
    let advice = advice(&now);
    assert!(advice.contains("lpwatch explain 164"), "{advice}");
    assert!(
        !advice.contains("echo 0") && !advice.contains("Wait"),
        "{advice}"
    );
    assert_eq!(snapshot(&model, 182.0).last_transitions, []);

    let ended = log(&mut model, 182.5, complete(Direction::Patching, None));
    assert_eq!(ended.len(), 1);
    assert_eq!(
        ended[0].ended_at,
        at(182.5).wall,
        "not when all had switched"
    );
    assert_eq!(ended[0].duration_seconds, Some(82.5));
    assert!(observe(&mut model, 182.6, &[patch(true, false)]).is_empty());
    assert!(observe(&mut model, 183.6, &[patch(true, false)]).is_empty());
    assert_eq!(snapshot(&model, 184.0).last_transitions.len(), 1);
}

#[test]
fn without_the_log_the_next_event_or_reading_ends_it() {
    let mut model = begun();
    hook(&mut model, 102.0, complete(Direction::Patching, None));
    let ended = observe(&mut model, 140.0, &[patch(true, false)]);
    assert_eq!((ended.len(), ended[0].ended_at), (1, at(140.0).wall));
    let mut model = begun();
    hook(&mut model, 102.0, complete(Direction::Patching, None));
    let ended = hook(&mut model, 103.0, begin(Direction::Unpatching));
    assert_eq!((ended.len(), ended[0].outcome), (1, Outcome::Completed));
    assert_eq!(model.in_transition(), Some(Direction::Unpatching));
    assert!(!transition(&model, 104.0).reversed);
}

#[test]
fn no_task_is_blamed_before_any_may_switch() {
    let mut model = begun();
    sample(&mut model, 100.5, Direction::Patching, 0..100);
    assert!(!model.may_be_held(at(100.5).boot));
    assert!(
        model.may_be_held(at(102.0).boot),
        "the kernel has not tried"
    );
    find(&mut model, 102.0, Some(in_code(&PRE)), Vec::new());
    let now = transition(&model, 170.0);
    assert_eq!(
        (now.tasks_remaining, &now.blockers),
        (Some(100), &Vec::new())
    );
    let wait = now.waits_for.as_ref().unwrap();
    assert_eq!(wait.callback, Some(CallbackKind::PrePatch));
    assert_eq!(wait.since_seconds, Some(70.0));
    assert!(!advice(&now).contains("echo"), "{}", advice(&now));
    // Then the tasks may switch.
    let kind = EventKind::Try {
        patch: Some(PATCH.to_owned()),
        direction: Some(Direction::Patching),
        before: Some(0),
    };
    hook(&mut model, 171.0, kind);
    let now = transition(&model, 171.5);
    assert_eq!((now.waits_for, now.blockers.len()), (None, 100));
}

#[test]
fn a_look_without_hooks_finds_callback_and_direction() {
    // `enabled` is still as it was before.
    let disabling = [
        "msleep",
        "pre lp_test",
        "enabled_store",
        "kernfs_fop_write_iter",
    ];
    for (enabled, frames, direction) in [
        (false, &PRE[..], Direction::Patching),
        (true, &disabling[..], Direction::Unpatching),
    ] {
        let mut model = model(None);
        observe(&mut model, 100.0, &[patch(enabled, true)]);
        sample(&mut model, 100.0, direction.opposite(), 0..0);
        assert!(model.may_be_held(at(100.0).boot));
        find(&mut model, 100.1, Some(in_code(frames)), Vec::new());
        assert_eq!(model.in_transition(), Some(direction));
        sample(&mut model, 100.2, direction, 0..100);
        observe(&mut model, 101.0, &[patch(enabled, true)]);
        let now = transition(&model, 101.0);
        assert_eq!((now.direction, now.reversed), (direction, false));
        assert_eq!((now.tasks_remaining, now.blockers), (Some(100), Vec::new()));
        assert_eq!(now.waits_for.unwrap().since_seconds, None, "seen once");
        assert!(
            model.may_be_held(at(101.5).boot),
            "tasks are left, and it runs"
        );
        // Its return shows in sysfs.
        observe(&mut model, 102.0, &[patch(!enabled, true)]);
        assert_eq!(model.in_transition(), Some(direction));
    }
}

#[test]
fn a_held_cpu_is_named_and_no_idle_task() {
    let mut model = begun();
    for seconds in [101.0, 102.0, 103.0] {
        sample(&mut model, seconds, Direction::Patching, 0..0);
    }
    let idle = transition(&model, 103.0);
    assert_eq!(
        idle.blockers[0].reason,
        Some(Reason::Idle),
        "nothing else is known"
    );
    let hog = CpuHolder {
        cpu: 1,
        tid: 201,
        tgid: 201,
        comm: "hog".to_owned(),
        kthread: false,
        policy: Policy::Fifo,
        priority: Some(90),
    };
    let frames = [
        "__flush_work",
        "schedule_on_each_cpu",
        "klp_complete_transition",
    ];
    find(&mut model, 104.0, Some(in_code(&frames)), vec![hog.clone()]);
    let now = transition(&model, 104.0);
    assert_eq!(now.blockers, []);
    let wait = now.waits_for.as_ref().unwrap();
    assert_eq!(
        (wait.reason, &wait.holder),
        (WaitReason::CpuHeld, &Some(hog))
    );
    assert!(advice(&now).contains("chrt -o -p 0 201"));
    hook(&mut model, 104.5, complete(Direction::Patching, Some(1)));
    assert!(model.may_be_held(at(104.6).boot), "it is held as before");
    find(&mut model, 105.0, None, Vec::new());
    assert_eq!(transition(&model, 105.0).waits_for, None);
}

#[test]
fn tasks_left_get_no_advice_while_the_kernel_does_not_try() {
    let mut model = begun();
    let kind = EventKind::Try {
        patch: Some(PATCH.to_owned()),
        direction: Some(Direction::Patching),
        before: Some(0),
    };
    hook(&mut model, 101.0, kind);
    sample(&mut model, 101.5, Direction::Patching, 0..3);
    assert!(!model.may_be_held(at(103.0).boot));
    assert!(model.may_be_held(at(106.0).boot));
    let frames = ["msleep", "pre lp_other", "klp_module_coming", "load_module"];
    find(&mut model, 106.0, Some(in_code(&frames)), Vec::new());
    let now = transition(&model, 107.0);
    assert_eq!((now.blockers.len(), now.tasks_remaining), (3, Some(3)));
    assert!(now.blockers.iter().all(|blocker| blocker.advice.is_none()));
    assert_eq!(now.waits_for.unwrap().module.as_deref(), Some("lp_other"));
}
