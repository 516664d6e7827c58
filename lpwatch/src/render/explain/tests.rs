//! What `lpwatch explain` prints, word for word.

use strum::IntoEnumIterator as _;

use super::{explain, not_known, not_left};
use crate::model::samples::task;
use crate::model::{Blocker, Direction, KernelAnswer, Reason, TaskReport};
use crate::render::style::Style;
use crate::render::tasks::samples::{kthread, mixed, report, traced};

const UNICODE: Style = Style {
    color: false,
    unicode: true,
    width: 80,
};

#[track_caller]
fn assert_explained(report: &TaskReport, golden: &str) {
    let text = explain(&report.blockers[0], report, &UNICODE);
    assert_eq!(
        text.trim_end_matches('\n'),
        golden.trim_matches('\n'),
        "\n{text}"
    );
}

#[test]
fn a_kernel_thread_in_its_main_function() {
    assert_explained(
        &report(vec![kthread()]),
        "
lpwatch_target (kernel thread 139)

Patch    lp_stall, patching for 2 min 10 s; this task has blocked it for
         2 min 10 s
State    S: asleep, interruptible
Why      It sleeps in target_main, which lp_stall replaces. That is its main
         function, which it never leaves.
Kernel   Reports that it sleeps on target_main (130 tries, first 2 min 10 s ago,
         last 400 ms ago).

Stack (innermost first)
    schedule+0x27
    schedule_timeout+0x8b
  → target_main+0x31 [lpwatch_target]
      ← old code of target_main, which lp_stall replaces
    kthread+0xd7
    ret_from_fork+0x34

What to do
  → It does not leave this function, its own main loop. To end the transition,
    reverse it:
      echo 0 > /sys/kernel/livepatch/lp_stall/enabled",
    );
}

#[test]
fn a_foreign_program_is_named_in_full() {
    let mut task = traced(8123, 8100, "worker");
    task.ns_tid = Some(17);
    task.ns_tgid = Some(9);
    assert_explained(
        &report(vec![task]),
        "
worker (tid 8123 of 8100, 17 of 9 in its container)

Patch    lp_stall, patching for 2 min 10 s; this task has blocked it for 41 s
State    S: asleep, interruptible
Why      The kernel cannot see past a BPF program on its stack, so it does not
         know the rest of the stack.
Kernel   Reports that it has an unreliable stack (41 tries, first 41 s ago, last
         400 ms ago).
Culprit  fexit program count_sleep (id 42) on hrtimer_nanosleep, held by loader
         (pid 311), tag 5f6a0c3b9d1e2f47

Stack (innermost first)
    schedule+0x27
    do_nanosleep+0x6b
    hrtimer_nanosleep+0xaa
  → bpf_trampoline_6442534123+0x6c [bpf]
      ← BPF trampoline of fexit program count_sleep (id 42) on
        hrtimer_nanosleep, held by loader (pid 311)
    __x64_sys_nanosleep+0x9c
    do_syscall_64+0x56

What to do
  → To free it, stop loader (pid 311), which holds fexit program count_sleep (id
    42). It switches when it next returns from hrtimer_nanosleep.",
    );
}

#[test]
fn what_is_not_known_is_not_claimed() {
    assert_explained(
        &report(vec![Blocker {
            since_seconds: None,
            ..task(7, "a  b", false)
        }]),
        "
a  b (pid 7)

Patch    lp_stall, patching for 2 min 10 s
Why      It has not been inspected.
Kernel   Its own answer is unknown.

Its stack is unknown.",
    );
}

#[test]
fn the_code_of_a_patch_that_goes() {
    let mut report = report(vec![kthread()]);
    report.transition.direction = Direction::Unpatching;
    let text = explain(&report.blockers[0], &report, &UNICODE);
    for words in [
        "It sleeps in the target_main of lp_stall, which is removed with the",
        "← code of lp_stall for target_main, which is removed with it",
    ] {
        assert!(text.contains(words), "{text}");
    }
}

#[test]
fn a_reason_without_the_kernels_answer_says_so() {
    let mut report = report(vec![kthread()]);
    report.blockers[0].kernel_check = None;
    let text = explain(&report.blockers[0], &report, &UNICODE);
    assert!(text.contains("Its own answer is unknown"), "{text}");
}

#[test]
fn every_reason_is_a_sentence() {
    for reason in Reason::iter() {
        for direction in [Direction::Patching, Direction::Unpatching] {
            let mut report = report(vec![Blocker {
                reason: Some(reason),
                ..task(7, "x", false)
            }]);
            report.transition.direction = direction;
            let text = explain(&report.blockers[0], &report, &Style::default());
            assert!(text.is_ascii(), "{text}");
            let why = text.lines().position(|line| line.starts_with("Why"));
            let rest: Vec<&str> = text.lines().skip(why.unwrap()).collect();
            let end = rest.iter().position(|line| line.starts_with("Kernel"));
            assert!(rest[end.unwrap() - 1].ends_with('.'), "{text}");
        }
    }
}

#[test]
fn an_odd_name_stays_on_its_line() {
    let mut report = report(vec![traced(5, 5, "\u{1b}[2J\u{202e}\n")]);
    report.blockers[0].stack[3] = "bpf_trampoline_\u{1b}".to_owned();
    let text = explain(&report.blockers[0], &report, &Style::default());
    assert!(text.is_ascii() && !text.contains('\u{1b}'), "{text:?}");
}

#[test]
fn a_task_that_is_not_left_is_not_said_to_have_switched() {
    let report = mixed();
    let list = ". To list the tasks left:\n    lpwatch tasks";
    let not_left = |tid, report: Option<&TaskReport>| {
        let text = not_left(tid, report, &UNICODE);
        text.strip_suffix(list).unwrap_or(&text).to_owned()
    };
    let full = super::not_left(123, Some(&report), &UNICODE);
    assert!(full.ends_with(list), "{full}");
    assert_eq!(
        not_left(123, Some(&report)),
        "task 123 is not among the tasks that lp_stall has left (8 tasks)"
    );
    assert_eq!(
        not_left(17, Some(&report)),
        "task 17 is not among the tasks that lp_stall has left (8 tasks); in a container it is the id of \
         task 8123"
    );
    assert_eq!(
        not_left(8100, Some(&report)),
        "task 8100 is not among the tasks that lp_stall has left (8 tasks); its threads there are: 8123"
    );
    assert_eq!(
        not_left(123, None),
        "nothing is in transition, so task 123 blocks no patch"
    );
    let mut unknown = report.clone();
    unknown.transition.tasks_remaining = None;
    unknown.blockers.clear();
    assert_eq!(
        not_left(123, Some(&unknown)),
        "task 123 is not among the tasks that lp_stall is known to have left; how many it has \
         left is unknown"
    );
    let text = not_known(123, &unknown, &UNICODE);
    assert!(
        text.contains("cannot be known") && !text.contains("(0)"),
        "{text}"
    );
    assert!(text.contains("\n    sudo lpwatch explain 123\n"), "{text}");
    let mut partly = report;
    partly.transition.tasks_remaining = Some(300);
    assert_eq!(
        not_left(123, Some(&partly)),
        "task 123 is not among the 8 known tasks of the 300 that lp_stall has left"
    );
}

#[test]
fn the_kernels_words_for_each_answer() {
    for (answer, words) in [
        (KernelAnswer::Running, "it is running"),
        (KernelAnswer::UnreliableStack, "it has an unreliable stack"),
        (KernelAnswer::SleepingOnFunction, "it sleeps on target_main"),
    ] {
        let mut report = report(vec![kthread()]);
        if let Some(verdict) = &mut report.blockers[0].kernel_check {
            verdict.answer = answer;
        }
        let text = explain(&report.blockers[0], &report, &UNICODE);
        assert!(text.contains(&format!("Reports that {words}")), "{text}");
    }
}

#[test]
fn no_width_is_too_small() {
    for width in 1..Style::MIN_WIDTH {
        let style = Style { width, ..UNICODE };
        for blocker in [kthread(), traced(8123, 8100, "worker")] {
            let report = report(vec![blocker]);
            let text = explain(&report.blockers[0], &report, &style);
            let lines = text.lines().count();
            assert!(lines > 10, "{width}: {text}");
        }
    }
}
