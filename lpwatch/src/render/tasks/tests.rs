//! What `lpwatch tasks` prints, word for word, and what holds for every width.

use super::samples::{mixed, report, snapshot, traced, waiting};
use super::{TasksOptions, nothing, tasks};
use crate::model::task_report::TaskReport;
use crate::model::{Outcome, samples};
use crate::render::style::Style;
use crate::text::cells;

pub(in crate::render) const UNICODE: Style = Style {
    color: false,
    unicode: true,
    width: 80,
};

#[track_caller]
fn assert_tasks(report: &TaskReport, options: TasksOptions, golden: &str) {
    let text = tasks(report, &UNICODE, options);
    assert_eq!(
        text.trim_end_matches('\n'),
        golden.trim_matches('\n'),
        "\n{text}"
    );
}

#[test]
fn something_of_everything() {
    assert_tasks(
        &mixed(),
        TasksOptions::default(),
        "
lp_stall  stalled, patching for 2 min 10 s: 8 of 412 tasks left
  Switched: 380 after the kernel's check, 12 on return to user space, 2 as idle
  tasks.

Kernel threads asleep in a function of the patch (1)
  lpwatch_target (kernel thread 139): asleep in target_main, for 2 min 10 s,
    130 tries
  → It does not leave this function, its own main loop. To end the transition,
    reverse it:
      echo 0 > /sys/kernel/livepatch/lp_stall/enabled

Stack unreliable: the kernel cannot prove what is on it (4)
  qemu (pid 812): 3 threads, fexit program count_sleep (id 42) on
    hrtimer_nanosleep, held by loader (pid 311), for 41 s, 41 tries
  (sd) [pam] (tid 8123 of 8100, 17 of 9 in its container): fexit program
    count_sleep (id 42) on hrtimer_nanosleep, held by loader (pid 311), for
    41 s, 41 tries
  → To free it, stop loader (pid 311), which holds fexit program count_sleep (id
    42). It switches when it next returns from hrtimer_nanosleep.

Uninterruptible (D state): the kernel's signal does not reach them (1)
  tar (pid 77): for 1 min 01 s
  → The kernel's signal does not reach it.

Waiting for the kernel's signal (1)
  nginx (pid 1300): for 4 s
  → Wait: the kernel's signal.

Not inspected (1)
  late (pid 4000): for 4 s

The transition as a whole
  → Do not force it.",
    );
}

#[test]
fn a_stack_is_shown_once_for_threads_that_share_it() {
    assert_tasks(
        &report(vec![
            traced(812, 812, "qemu"),
            traced(813, 812, "CPU 0/KVM"),
        ]),
        TasksOptions {
            stack: true,
            all: false,
        },
        "
lp_stall  stalled, patching for 2 min 10 s: 2 of 412 tasks left
  Switched: 380 after the kernel's check, 12 on return to user space, 2 as idle
  tasks.

Stack unreliable: the kernel cannot prove what is on it (2)
  qemu (pid 812): 2 threads, fexit program count_sleep (id 42) on
    hrtimer_nanosleep, held by loader (pid 311), for 41 s, 41 tries
        schedule+0x27
        do_nanosleep+0x6b
        hrtimer_nanosleep+0xaa
      → bpf_trampoline_6442534123+0x6c [bpf]
        __x64_sys_nanosleep+0x9c
        do_syscall_64+0x56
  → To free it, stop loader (pid 311), which holds fexit program count_sleep (id
    42). It switches when it next returns from hrtimer_nanosleep.

The transition as a whole
  → Do not force it.",
    );
}

#[test]
fn a_process_without_its_first_thread_is_named_by_its_threads() {
    let threads = (0..5)
        .map(|nth| traced(813 + nth, 812, &format!("CPU {nth}/KVM")))
        .collect();
    let text = tasks(&report(threads), &UNICODE, TasksOptions::default());
    assert!(
        text.contains("process (pid 812): 5 threads (CPU 0/KVM, CPU 1/KVM, CPU 2/KVM, …)"),
        "{text}"
    );
}

#[test]
fn twenty_lines_are_enough_unless_all_are_asked_for() {
    let report = report((0..300).map(|nth| waiting(1000 + nth)).collect());
    let short = tasks(&report, &UNICODE, TasksOptions::default());
    assert_eq!(short.matches("nginx (pid").count(), 20);
    assert!(
        short.contains("… and 280 more:\n    lpwatch tasks --all\n"),
        "{short}"
    );
    assert_eq!(short.matches("Wait: the kernel's signal.").count(), 1);
    let options = TasksOptions {
        all: true,
        ..TasksOptions::default()
    };
    let long = tasks(&report, &UNICODE, options);
    assert_eq!(long.matches("nginx (pid").count(), 300);
    assert!(!long.contains("more"), "{long}");
}

#[test]
fn tasks_that_are_not_known_are_not_hidden() {
    let mut snapshot = snapshot(Vec::new());
    let transition = snapshot.patches[1].transition.as_mut().unwrap();
    transition.tasks_remaining = Some(3);
    let report = TaskReport::of(&snapshot, None).unwrap();
    let text = tasks(&report, &UNICODE, TasksOptions::default());
    assert!(text.contains("3 of 412 tasks left"), "{text}");
    assert!(
        text.contains("It is unknown which tasks these are."),
        "{text}"
    );
    let mut unread = report;
    unread.transition.tasks_remaining = None;
    let text = tasks(&unread, &UNICODE, TasksOptions::default());
    let unknown = "It is unknown how many tasks are left, and which.";
    assert!(text.contains(unknown), "{text}");
}

#[test]
fn nothing_in_transition_is_one_line() {
    let mut calm = samples::snapshot(vec![samples::patch("lp\u{7}x")]);
    assert_eq!(
        nothing(None, &calm, &UNICODE),
        "Nothing is in transition.\n"
    );
    calm.notes.push("No BPF.".to_owned());
    assert_eq!(
        nothing(Some("lp\u{7}x"), &calm, &UNICODE),
        "lp\\x07x is not in transition.\n\nNote: No BPF.\n"
    );
}

#[test]
fn the_last_transition_of_a_patch_is_told() {
    let mut calm = samples::snapshot(Vec::new());
    let past = samples::past("lp_x", Outcome::Reversed);
    calm.last_transitions.push(past);
    let text = nothing(Some("lp_x"), &calm, &UNICODE).replace('\n', " ");
    assert!(
        text.starts_with("lp_x is not loaded. Its last transition ended at "),
        "{text}"
    );
    assert!(
        text.contains("UTC: patching reversed after 1.2 s"),
        "{text}"
    );
    assert!(!nothing(None, &calm, &UNICODE).contains("lp_x"));
}

#[test]
fn no_line_is_too_wide_and_no_name_reaches_the_terminal() {
    let mut odd = traced(5, 5, "\u{1b}[2J)\u{202e} (");
    if let Some(program) = &mut odd.program {
        program.name = Some("falcon\u{9b}".to_owned());
        program.owner_comm = Some("a\nb".to_owned());
        program.pinned = Some(format!("/sys/fs/bpf/{}", "x".repeat(200)));
    }
    odd.stack[3] = format!("bpf_trampoline_\u{1b}{}", "7".repeat(100));
    let mut report = report(vec![odd]);
    report.blockers.extend(mixed().blockers);
    report.notes = vec!["two\nlines".to_owned()];
    let options = TasksOptions {
        stack: true,
        all: true,
    };
    for width in [40, 59, 80, 120, 250] {
        for unicode in [false, true] {
            let style = Style {
                color: false,
                unicode,
                width,
            };
            let text = tasks(&report, &style, options);
            for line in text.lines() {
                let is_command = line.trim_start().starts_with("echo ");
                assert!(cells(line) <= width || is_command, "{line}");
                assert_eq!(line, line.trim_end(), "space at the end");
            }
            assert!(
                !text
                    .chars()
                    .any(|c| (c.is_control() && c != '\n') || c == '\u{202e}'),
                "{text:?}"
            );
            assert!(unicode || text.is_ascii(), "{text}");
        }
    }
}
