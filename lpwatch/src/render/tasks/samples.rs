//! Tasks left, made by hand for the tests of the tables.

use crate::model::samples::{stalled, task};
use crate::model::snapshot::{Snapshot, SwitchedBy};
use crate::model::{Blocker, Cause, Culprit, KernelAnswer, KernelCheck, Reason, TaskReport};

fn lines(stack: &[&str]) -> Vec<String> {
    stack.iter().map(|&frame| frame.to_owned()).collect()
}

fn verdict(answer: KernelAnswer, function: Option<&str>, tries: u32) -> KernelCheck {
    KernelCheck {
        answer,
        function: function.map(str::to_owned),
        tries,
        counted_since: None,
        first_seconds: f64::from(tries),
        last_seconds: 0.4,
    }
}

/// A kernel thread asleep in its own main function.
pub(crate) fn kthread() -> Blocker {
    Blocker {
        state: Some('S'),
        since_seconds: Some(130.0),
        reason: Some(Reason::SleepingOnFunction),
        function: Some("target_main".to_owned()),
        kernel_check: Some(verdict(
            KernelAnswer::SleepingOnFunction,
            Some("target_main"),
            130,
        )),
        stack: lines(&[
            "schedule+0x27",
            "schedule_timeout+0x8b",
            "target_main+0x31 [lpwatch_target]",
            "kthread+0xd7",
            "ret_from_fork+0x34",
        ]),
        blocking_frame: Some(2),
        advice: Some(
            "It does not leave this function, its own main loop. To end the transition, reverse \
             it:\necho 0 > /sys/kernel/livepatch/lp_stall/enabled"
                .to_owned(),
        ),
        ..task(139, "lpwatch_target", true)
    }
}

/// A thread with a foreign program on its stack.
pub(crate) fn traced(tid: u32, tgid: u32, comm: &str) -> Blocker {
    Blocker {
        tgid,
        state: Some('S'),
        since_seconds: Some(41.0),
        reason: Some(Reason::UnreliableStack),
        cause: Some(Cause::BpfTrampoline),
        function: Some("hrtimer_nanosleep".to_owned()),
        program: Some(Culprit {
            id: Some(42),
            name: Some("count_sleep".to_owned()),
            kind: Some("fexit".to_owned()),
            tag: Some("5f6a0c3b9d1e2f47".to_owned()),
            attached_to: Some("hrtimer_nanosleep".to_owned()),
            owner_pid: Some(311),
            owner_comm: Some("loader".to_owned()),
            ..Culprit::default()
        }),
        kernel_check: Some(verdict(KernelAnswer::UnreliableStack, None, 41)),
        stack: lines(&[
            "schedule+0x27",
            "do_nanosleep+0x6b",
            "hrtimer_nanosleep+0xaa",
            "bpf_trampoline_6442534123+0x6c [bpf]",
            "__x64_sys_nanosleep+0x9c",
            "do_syscall_64+0x56",
        ]),
        blocking_frame: Some(3),
        advice: Some(
            "To free it, stop loader (pid 311), which holds fexit program count_sleep (id 42). It \
             switches when it next returns from hrtimer_nanosleep."
                .to_owned(),
        ),
        ..task(tid, comm, false)
    }
}

pub(crate) fn waiting(tid: u32) -> Blocker {
    Blocker {
        state: Some('S'),
        reason: Some(Reason::WaitingForSignal),
        advice: Some("Wait: the kernel's signal.".to_owned()),
        ..task(tid, "nginx", false)
    }
}

/// A transition that these tasks block.
pub(crate) fn snapshot(blockers: Vec<Blocker>) -> Snapshot {
    let mut snapshot = stalled();
    if let Some(transition) = &mut snapshot.patches[1].transition {
        transition.tasks_remaining = u32::try_from(blockers.len()).ok();
        transition.tasks_total = Some(412);
        transition.blockers = blockers;
        transition.switched = Some(SwitchedBy {
            checked: 380,
            user_return: 12,
            idle: 2,
            forced: 0,
        });
        transition.next = vec!["Do not force it.".to_owned()];
    }
    snapshot
}

pub(crate) fn report(blockers: Vec<Blocker>) -> TaskReport {
    TaskReport::of(&snapshot(blockers), None).unwrap()
}

/// Something of everything: threads of one process, a container, odd names.
pub(crate) fn mixed() -> TaskReport {
    let mut in_container = traced(8123, 8100, "(sd) [pam]");
    in_container.ns_tid = Some(17);
    in_container.ns_tgid = Some(9);
    let mut disk = Blocker {
        state: Some('D'),
        reason: Some(Reason::Uninterruptible),
        since_seconds: Some(61.0),
        advice: Some("The kernel's signal does not reach it.".to_owned()),
        ..task(77, "tar", false)
    };
    disk.stack = lines(&["io_schedule+0x46", "folio_wait_bit_common+0x13d"]);
    report(vec![
        waiting(1300),
        task(4000, "late", false),
        traced(812, 812, "qemu"),
        traced(813, 812, "CPU 0/KVM"),
        traced(814, 812, "CPU 1/KVM"),
        in_container,
        disk,
        kthread(),
    ])
}
