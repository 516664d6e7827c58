//! What is advised for which task.

use strum::IntoEnumIterator as _;

use super::*;
use crate::model::AwaitedChild;

const PATCHING: Situation<'_> = Situation {
    engine: EngineKind::Livepatch,
    patch: "lp_stall",
    direction: Direction::Patching,
    age: None,
    signals: Some(0),
};

fn user(reason: Reason) -> Blocker {
    Blocker {
        tid: 813,
        tgid: 812,
        comm: "qemu".to_owned(),
        kthread: false,
        kind: None,
        ns_tid: None,
        ns_tgid: None,
        state: Some('S'),
        kernel_check: None,
        reason: Some(reason),
        cause: None,
        function: Some("target_main".to_owned()),
        program: None,
        vfork_child: None,
        since_seconds: None,
        stack: Vec::new(),
        blocking_frame: None,
        advice: None,
    }
}

fn kthread(reason: Reason) -> Blocker {
    Blocker {
        kthread: true,
        ..user(reason)
    }
}

fn culprit() -> Culprit {
    Culprit {
        id: Some(42),
        name: Some("count_sleep".to_owned()),
        kind: Some("fexit".to_owned()),
        attached_to: Some("hrtimer_nanosleep".to_owned()),
        owner_pid: Some(311),
        owner_comm: Some("loader".to_owned()),
        ..Culprit::default()
    }
}

fn traced(program: Option<Culprit>) -> Blocker {
    Blocker {
        cause: Some(Cause::BpfTrampoline),
        program,
        ..kthread(Reason::UnreliableStack)
    }
}

#[track_caller]
fn assert_advice(blocker: &Blocker, situation: &Situation<'_>, words: &str) {
    assert_eq!(advice(blocker, situation).as_deref(), Some(words));
}

#[test]
fn a_task_not_inspected_gets_none() {
    let blocker = Blocker {
        reason: None,
        ..user(Reason::Pending)
    };
    assert_eq!(advice(&blocker, &PATCHING), None);
}

#[test]
fn a_user_task_waits_for_the_signal_until_it_has_failed() {
    let task = user(Reason::SleepingOnFunction);
    assert_advice(
        &task,
        &PATCHING,
        "Wait: the kernel signals it 15 s after the start. It switches on its way back to user \
         space.",
    );
    for (signals, age) in [(Some(1), None), (None, Some(20))] {
        let situation = Situation {
            signals,
            age: age.map(Duration::from_secs),
            ..PATCHING
        };
        assert!(
            advice(&task, &situation)
                .unwrap()
                .contains("signals it every 15 s")
        );
    }
    let in_vain = Situation {
        signals: Some(2),
        ..PATCHING
    };
    assert_advice(
        &task,
        &in_vain,
        "The kernel's signal has not moved it so far. Restart its service, or pause it for a \
         moment:\nkill -STOP 812 && sleep 1 && kill -CONT 812",
    );
}

#[test]
fn process_one_is_left_alone() {
    let init = Blocker {
        tgid: 1,
        ..user(Reason::SleepingOnFunction)
    };
    let in_vain = Situation {
        signals: Some(9),
        ..PATCHING
    };
    let text = advice(&init, &in_vain).unwrap();
    assert!(text.contains("Leave process 1 alone"), "{text}");
    assert!(!text.contains("kill"), "{text}");
}

#[test]
fn a_stopped_task_has_to_be_continued() {
    let stopped = Blocker {
        state: Some('T'),
        ..user(Reason::SleepingOnFunction)
    };
    assert_advice(
        &stopped,
        &PATCHING,
        "It is stopped. It switches once it continues:\nkill -CONT 812",
    );
}

#[test]
fn a_worker_of_a_workqueue_is_told_by_its_work() {
    let mut task = Blocker {
        comm: "kworker/u8:1+vendor_wq".to_owned(),
        kind: Some(TaskKind::Kworker),
        stack: [
            "msleep+0x2",
            "wq_item+0x15 [wq]",
            "process_one_work+0x190",
            "worker_thread+0x191",
        ]
        .map(str::to_owned)
        .to_vec(),
        blocking_frame: Some(1),
        ..kthread(Reason::SleepingOnFunction)
    };
    assert_advice(
        &task,
        &PATCHING,
        "Wait: the kernel wakes it every 15 s. It switches once its work item wq_item of workqueue \
         vendor_wq has left the function.",
    );
    let in_vain = Situation {
        signals: Some(2),
        ..PATCHING
    };
    task.comm = "kworker/u8:1".to_owned();
    assert_advice(
        &task,
        &in_vain,
        "Its work item wq_item stays in the function. To end the transition now, reverse it:\n\
         echo 0 > /sys/kernel/livepatch/lp_stall/enabled",
    );
}

#[test]
fn the_parent_of_a_vfork_waits_for_its_child() {
    let parent = Blocker {
        vfork_child: Some(AwaitedChild {
            pid: 233,
            comm: "spawn".to_owned(),
        }),
        ..user(Reason::Uninterruptible)
    };
    assert_advice(
        &parent,
        &PATCHING,
        "It waits for its child spawn (pid 233), which it started by vfork. It switches once the \
         child runs another program or ends.",
    );
}

#[test]
fn a_kernel_thread_in_its_main_function_is_not_waited_for() {
    let mut task = kthread(Reason::SleepingOnFunction);
    task.stack = ["schedule+0x27", "target_main+0x31 [t]", "kthread+0xd7"]
        .map(str::to_owned)
        .to_vec();
    task.blocking_frame = Some(1);
    assert_advice(
        &task,
        &PATCHING,
        "It does not leave this function, its own main loop. To end the transition, reverse it:\n\
         echo 0 > /sys/kernel/livepatch/lp_stall/enabled",
    );
    let unpatching = Situation {
        direction: Direction::Unpatching,
        ..PATCHING
    };
    let text = advice(&task, &unpatching).unwrap();
    assert!(text.contains("reverse it:\necho 1 > /sys"), "{text}");
    task.blocking_frame = Some(0);
    assert_advice(
        &task,
        &PATCHING,
        "Wait: the kernel wakes it every 15 s. It switches once it has left the function.",
    );
}

#[test]
fn no_wake_up_is_promised_to_an_idle_kernel_thread() {
    let task = Blocker {
        state: Some('I'),
        ..kthread(Reason::SleepingOnFunction)
    };
    let text = advice(&task, &PATCHING).unwrap();
    assert!(text.contains("its own work has woken it"), "{text}");
}

#[test]
fn a_foreign_program_is_named_with_its_owner() {
    assert_advice(
        &traced(Some(culprit())),
        &PATCHING,
        "To free it, stop loader (pid 311), which holds fexit program count_sleep (id 42). It \
         switches when it next returns from hrtimer_nanosleep.",
    );
    let task = Blocker {
        kthread: false,
        kind: None,
        ..traced(Some(culprit()))
    };
    assert_advice(
        &task,
        &PATCHING,
        "Wait: the kernel's signal, 15 s after the start, frees it. If more tasks get stuck \
         there, stop loader (pid 311), which holds fexit program count_sleep (id 42).",
    );
    let deaf = Blocker {
        state: Some('D'),
        ..task
    };
    let text = advice(&deaf, &PATCHING).unwrap();
    assert!(text.starts_with("To free it, stop loader"), "{text}");
}

#[test]
fn a_pin_is_removed_by_a_command_the_shell_takes() {
    let pinned = |path: &str| Culprit {
        owner_pid: None,
        owner_comm: None,
        pinned: Some(path.to_owned()),
        ..culprit()
    };
    let text = advice(&traced(Some(pinned("/sys/fs/bpf/count"))), &PATCHING).unwrap();
    assert!(text.ends_with("\nrm /sys/fs/bpf/count"), "{text}");
    let text = advice(&traced(Some(pinned("/sys/fs/bpf/a b; 'x"))), &PATCHING).unwrap();
    assert!(text.ends_with("\nrm '/sys/fs/bpf/a b; '\\''x'"), "{text}");
    let text = advice(&traced(Some(pinned("/sys/fs/bpf/a\nreboot"))), &PATCHING).unwrap();
    assert!(text.ends_with("\nrm $'/sys/fs/bpf/a\\nreboot'"), "{text}");
}

#[test]
fn an_unknown_program_is_looked_for() {
    let text = advice(&traced(None), &PATCHING).unwrap();
    assert!(text.ends_with("\nbpftool link list"), "{text}");
    let nameless = Culprit {
        name: None,
        kind: None,
        owner_pid: None,
        owner_comm: None,
        ..culprit()
    };
    let text = advice(&traced(Some(nameless)), &PATCHING).unwrap();
    assert!(
        text.contains("find and stop what holds BPF program (id 42)."),
        "{text}"
    );
    assert!(text.ends_with("\nbpftool prog show id 42"), "{text}");
}

#[test]
fn process_one_is_not_to_be_stopped() {
    let by_init = Culprit {
        owner_pid: Some(1),
        owner_comm: Some("systemd".to_owned()),
        ..culprit()
    };
    let text = advice(&traced(Some(by_init)), &PATCHING).unwrap();
    assert!(!text.contains("systemd"), "{text}");
}

#[test]
fn an_idle_cpu_can_be_woken() {
    let idle = Blocker {
        comm: "swapper/3".to_owned(),
        ..kthread(Reason::Idle)
    };
    assert_advice(
        &idle,
        &PATCHING,
        "An idle CPU switches when it next wakes. To wake it:\ntaskset -c 3 true",
    );
}

/// A newline in a name must not look like the start of a command.
#[test]
fn a_name_adds_no_line() {
    let hostile = Culprit {
        name: Some("a\nreboot".to_owned()),
        kind: Some("b\nreboot".to_owned()),
        attached_to: Some("c\nreboot".to_owned()),
        owner_comm: Some("d\nreboot".to_owned()),
        ..culprit()
    };
    for program in [
        hostile.clone(),
        Culprit {
            name: None,
            id: None,
            owner_comm: None,
            owner_pid: None,
            ..hostile
        },
    ] {
        for cause in [Cause::BpfTrampoline, Cause::Kretprobe] {
            let task = Blocker {
                cause: Some(cause),
                ..traced(Some(program.clone()))
            };
            let text = advice(&task, &PATCHING).unwrap();
            assert!(!text.contains("\nreboot"), "{text}");
        }
    }
}

#[test]
fn code_without_unwind_data_is_not_waited_for() {
    let expected = "It switches only when it leaves the code of module blob. Stop what uses the \
                    module, or reverse the transition:\n\
                    echo 0 > /sys/kernel/livepatch/lp_stall/enabled";
    for task in [
        user(Reason::NoUnwindData),
        kthread(Reason::NoUnwindData),
        Blocker {
            state: Some('T'),
            ..user(Reason::NoUnwindData)
        },
    ] {
        let task = Blocker {
            stack: ["msleep+0x15", "blob_sleep+0xa [blob]"]
                .map(str::to_owned)
                .into(),
            blocking_frame: Some(1),
            ..task
        };
        for signals in [Some(0), Some(1), Some(9), None] {
            let situation = Situation {
                signals,
                ..PATCHING
            };
            assert_advice(&task, &situation, expected);
        }
    }
    let unknown = advice(&kthread(Reason::NoUnwindData), &PATCHING).unwrap();
    assert!(unknown.starts_with("It switches only when it leaves that code. Stop what uses it,"));
}

/// Two sentences at most, and nothing that could do harm.
#[test]
fn every_advice_is_short_and_harmless() {
    let causes = [
        None,
        Some(Cause::BpfTrampoline),
        Some(Cause::Kretprobe),
        Some(Cause::Unknown),
    ];
    for reason in Reason::iter() {
        for cause in causes {
            for state in [None, Some('S'), Some('D'), Some('T'), Some('I'), Some('R')] {
                for kthread in [false, true] {
                    for signals in [None, Some(0), Some(1), Some(8)] {
                        let blocker = Blocker {
                            kthread,
                            state,
                            cause,
                            ..user(reason)
                        };
                        let situation = Situation {
                            signals,
                            ..PATCHING
                        };
                        let text = advice(&blocker, &situation).unwrap();
                        assert!(text.matches(". ").count() <= 1, "{text}");
                        assert!(text.len() < 240, "{text}");
                        assert!(!text.contains("force") && !text.contains("-KILL"), "{text}");
                        assert!(!(kthread && text.contains("kill -")), "{text}");
                    }
                }
            }
        }
    }
}
