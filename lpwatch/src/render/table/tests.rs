//! What `lpwatch status` prints, word for word.

use super::{status, status_of};
use crate::model::samples::{self, object, patch, progressing, snapshot, stalled, task};
use crate::model::snapshot::Snapshot;
use crate::model::{EngineKind, Outcome};
use crate::render::style::Style;

pub(super) const UNICODE: Style = Style {
    color: false,
    unicode: true,
    width: 80,
};
const ASCII: Style = Style {
    color: false,
    unicode: false,
    width: 80,
};

/// The golden texts end in this line, left out there.
const ORIGIN: &str = "\nweb-17 · 6.12.43+deb13-amd64 · 03:12:45 UTC · tasks read by BPF · daemon\n";

#[track_caller]
pub(super) fn assert_table(snapshot: &Snapshot, golden: &str) {
    let table = status(snapshot, &UNICODE);
    let body = table.strip_suffix(ORIGIN).unwrap_or(&table);
    assert_eq!(
        body.trim_end_matches('\n'),
        golden.trim_matches('\n'),
        "\n{table}"
    );
}

#[test]
fn nothing_loaded_is_one_line() {
    assert_eq!(
        status(&snapshot(Vec::new()), &UNICODE),
        "No live patch is loaded.\n"
    );
}

#[test]
fn a_missing_patch_says_nothing_about_the_others() {
    let table = status_of("lp\u{7}x", &snapshot(Vec::new()), &UNICODE);
    assert_eq!(table, "No live patch named lp\\x07x is loaded.\n");
}

#[test]
fn one_enabled_patch_is_one_line() {
    assert_table(
        &snapshot(vec![patch("lp_easy")]),
        "● lp_easy  enabled, 1 function in vmlinux",
    );
}

#[test]
fn patches_not_in_transition_are_in_columns() {
    let mut off = patch("lp_old_one");
    off.enabled = Some(false);
    let mut replaces = patch("lp_two");
    replaces.replace = Some(true);
    replaces.objects.push(object("nfs", true, &["a", "b"]));
    assert_table(
        &snapshot(vec![off, replaces]),
        "
○ lp_old_one  disabled
● lp_two      enabled, 3 functions in vmlinux and nfs, atomic replace",
    );
}

#[test]
fn a_transition_in_progress() {
    assert_table(
        &progressing(),
        "
◐ lp_easy  progressing, in transition (patching) for 4 s
  ████████░░░░░░░░░░░░  57 of 98 tasks left (98 → 80 → 57 in 3.4 s)

     TID  TASK   KIND     FOR
    1200  nginx  process  4 s
    1201  nginx  process  4 s
    1202  nginx  process  4 s
    1203  nginx  process  4 s
    1204  nginx  process  4 s
    1205  nginx  process  4 s
    1206  nginx  process  4 s
    1207  nginx  process  4 s
    1208  nginx  process  4 s
    1209  nginx  process  4 s
    … and 47 more:
      lpwatch tasks",
    );
}

const STALLED: &str = "
! lp_stall  stalled, in transition (patching) for 2 min 10 s
  ███████████████████░  1 of 98 tasks left (57 → 12 → 1 in 10 s)
  No task has switched for 1 min 58 s; the kernel has tried 130 times and
  signalled 8 times.
  It changes target_main (lpwatch_target).

    TID  TASK            KIND           FOR         WHY
    139  lpwatch_target  kernel thread  2 min 10 s  asleep in target_main

  What to do
  → The kernel's signal does not move a kernel thread that stays in a patched
    function.
  → Reverse the transition, which disables the patch:
      echo 0 > /sys/kernel/livepatch/lp_stall/enabled

● lp_easy  enabled, 1 function in vmlinux

Last transitions (UTC)
  03:02:45  lp_easy  patching completed after 1.2 s (98 tasks, 2 tries)";

#[test]
fn a_stalled_transition_comes_first() {
    assert_table(&stalled(), STALLED);
}

#[test]
fn ascii_says_the_same() {
    let ascii = STALLED
        .replace("███████████████████░", "[###################.]")
        .replace("  → The kernel's signal does not move a kernel thread that stays in a patched\n    function.",
                 "  -> The kernel's signal does not move a kernel thread that stays in a patched\n     function.")
        .replace("    echo", "     echo")
        .replace('→', "->")
        .replace('●', "*");
    let table = status(&stalled(), &ASCII);
    assert!(table.is_ascii());
    assert!(table.starts_with(ascii.trim_start()), "{table}");
}

#[test]
fn three_hundred_tasks_are_ten_and_a_number() {
    let mut snapshot = stalled();
    let transition = snapshot.patches[1].transition.as_mut().unwrap();
    transition.tasks_remaining = Some(300);
    transition.tasks_total = Some(5000);
    transition.blockers = (0..300)
        .map(|nth| task(70_000 + nth, "java", false))
        .collect();
    transition.blockers[1].tgid = 70_000;
    let table = status(&snapshot, &UNICODE);
    assert!(
        table.contains("\n    70000  java  process          4 s\n"),
        "{table}"
    );
    assert!(
        table.contains("\n    70001  java  thread of 70000  4 s\n"),
        "{table}"
    );
    assert!(
        table.contains(
            "\n    70009  java  process          4 s\n    … and 290 more:\n      lpwatch tasks\n"
        ),
        "{table}"
    );
}

#[test]
fn tasks_that_cannot_be_listed_are_not_hidden() {
    let mut snapshot = stalled();
    let transition = snapshot.patches[1].transition.as_mut().unwrap();
    transition.blockers.clear();
    let table = status(&snapshot, &UNICODE);
    assert!(
        table.contains("  It is unknown which tasks these are.\n"),
        "{table}"
    );
}

#[test]
fn what_is_not_known_is_left_out() {
    let mut snapshot = stalled();
    snapshot.patches.remove(0);
    snapshot.last_transitions.clear();
    let transition = snapshot.patches[0].transition.as_mut().unwrap();
    transition.age_seconds = None;
    transition.started_at = None;
    transition.phase = None;
    transition.tasks_total = None;
    transition.tasks_remaining = None;
    transition.tries = None;
    transition.signals = None;
    transition.seconds_without_progress = None;
    transition.trend.clear();
    transition.blockers.clear();
    transition.next.clear();
    assert_table(
        &snapshot,
        "◐ lp_stall  in transition (patching)\n  It changes target_main (lpwatch_target).",
    );
}

#[test]
fn a_module_that_is_not_loaded_is_shown() {
    let mut patch = patch("lp_two");
    patch
        .objects
        .push(object("lpwatch_other", false, &["a", "b"]));
    assert_table(
        &snapshot(vec![patch]),
        "
● lp_two  enabled, 1 function in vmlinux
  Module lpwatch_other is not loaded. Its 2 functions are patched when the
  module is loaded.",
    );
}

#[test]
fn an_object_that_no_module_can_be_is_shown() {
    let mut patch = patch("lp_two");
    let other = object("lpwatch_other.ko", false, &["a", "b"]);
    patch.objects.push(other);
    assert_table(
        &snapshot(vec![patch]),
        "
● lp_two  enabled, 1 function in vmlinux
  No module can be named `lpwatch_other.ko`; the author of the patch meant
  `lpwatch_other`. Its 2 functions are never patched.",
    );
}

#[test]
fn an_unpatched_kernel_is_shown() {
    let mut patch = patch("lp_off");
    patch.objects[0].patched = Some(false);
    assert_table(
        &snapshot(vec![patch]),
        "
● lp_off  enabled
  vmlinux is not patched although the patch is enabled.",
    );
}

#[test]
fn a_disabled_patch_does_not_show_its_objects() {
    let mut patch = patch("lp_off");
    patch.enabled = Some(false);
    patch.objects[0].patched = Some(false);
    assert_table(&snapshot(vec![patch]), "○ lp_off  disabled");
}

#[test]
fn an_unknown_state_is_neither_enabled_nor_disabled() {
    let mut patch = patch("kcare");
    patch.engine = EngineKind::Kernelcare;
    patch.enabled = None;
    patch.objects.clear();
    assert_table(
        &snapshot(vec![patch]),
        "? kcare  loaded; unknown whether it is in force, KernelCare",
    );
}

#[test]
fn ends_are_listed_with_their_reasons() {
    let mut snapshot = snapshot(Vec::new());
    let mut yesterday = samples::past("lp_stall", Outcome::Reversed);
    yesterday.ended_at = "2026-02-28T22:10:00Z".parse().unwrap();
    yesterday.duration_seconds = Some(41.0);
    yesterday.tries = Some(1);
    yesterday.tries_in_all = Some(41);
    snapshot.last_transitions = vec![samples::refused(), yesterday];
    assert_table(
        &snapshot,
        "
No live patch is loaded.

Last transitions (UTC)
  03:02:45          lp_refused  refused by the kernel: EINVAL (22): symbol
                                'nope' not found in symbol table
  2026-02-28 22:10  lp_stall    patching reversed after 41 s (98 tasks, 40 tries
                                before the reversal and 1 after)",
    );
}

#[test]
fn only_the_last_five_ends_are_shown() {
    let mut snapshot = snapshot(Vec::new());
    snapshot.last_transitions = vec![samples::past("lp_easy", Outcome::Completed); 9];
    assert_eq!(status(&snapshot, &UNICODE).matches("lp_easy").count(), 5);
}

#[test]
fn what_is_missing_is_shown() {
    let mut snapshot = snapshot(Vec::new());
    snapshot.notes = vec!["BPF is not used: no permission (CAP_BPF).".to_owned()];
    snapshot.events_lost = 12;
    assert_table(
        &snapshot,
        "
No live patch is loaded.

Note: 12 kernel events were lost. lpwatch has read the state again instead.
Note: BPF is not used: no permission (CAP_BPF).",
    );
}

#[test]
fn a_reversal_is_shown() {
    let mut snapshot = stalled();
    let transition = snapshot.patches[1].transition.as_mut().unwrap();
    transition.direction = crate::model::Direction::Unpatching;
    transition.reversed = true;
    let table = status(&snapshot, &UNICODE);
    assert!(
        table.contains("in transition (patching reversed, now unpatching)"),
        "{table}"
    );
}
