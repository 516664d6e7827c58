//! What `lpwatch status` prints about reasons and advice.

use super::status;
use super::tests::{UNICODE, assert_table};
use crate::model::samples::{stalled, task};
use crate::model::{Blocker, Reason};
use crate::render::tasks::samples::{kthread, traced, waiting};

#[test]
fn many_tasks_are_summed_up_and_the_worst_come_first() {
    let mut snapshot = stalled();
    snapshot.patches.remove(0);
    snapshot.last_transitions.clear();
    let transition = snapshot.patches[0].transition.as_mut().unwrap();
    transition.blockers = vec![
        traced(812, 812, "qemu"),
        traced(813, 812, "CPU 0/KVM"),
        waiting(1300),
        kthread(),
    ];
    transition.tasks_remaining = Some(4);
    transition.next.truncate(1);
    assert_table(
        &snapshot,
        "
! lp_stall  stalled, in transition (patching) for 2 min 10 s
  ███████████████████░  4 of 98 tasks left (57 → 12 → 1 in 10 s)
  No task has switched for 1 min 58 s; the kernel has tried 130 times and
  signalled 8 times.
  It changes target_main (lpwatch_target).
  Left: 1 kernel thread asleep in target_main, 2 with an unreliable stack (fexit
  program count_sleep (id 42) on hrtimer_nanosleep, held by loader (pid 311)),
  1 waiting for the kernel's signal.

     TID  TASK            KIND           FOR         WHY
     139  lpwatch_target  kernel thread  2 min 10 s  asleep in target_main
     812  qemu            process        41 s        stack unreliable: fexit
                                                     program count_sleep (id 42)
     813  CPU 0/KVM       thread of 812  41 s        stack unreliable: fexit
                                                     program count_sleep (id 42)
    1300  nginx           process        4 s         waits for the kernel's
                                                     signal

  What to do
  → The kernel's signal does not move a kernel thread that stays in a patched
    function.
  → lpwatch_target (kernel thread 139): It does not leave this function, its own
    main loop. To end the transition, reverse it:
      echo 0 > /sys/kernel/livepatch/lp_stall/enabled
  → qemu (pid 812) and 1 more: To free it, stop loader (pid 311), which holds
    fexit program count_sleep (id 42). It switches when it next returns from
    hrtimer_nanosleep.
  → nginx (pid 1300): Wait: the kernel's signal.",
    );
}

#[test]
fn a_command_is_given_once() {
    let mut snapshot = stalled();
    let transition = snapshot.patches[1].transition.as_mut().unwrap();
    transition.blockers = vec![kthread()];
    let table = status(&snapshot, &UNICODE);
    assert_eq!(table.matches("echo 0 >").count(), 1, "{table}");
}

#[test]
fn idle_cpus_are_not_called_a_thread() {
    let mut snapshot = stalled();
    let transition = snapshot.patches[1].transition.as_mut().unwrap();
    transition.blockers = vec![Blocker {
        reason: Some(Reason::Idle),
        ..task(0, "swapper", true)
    }];
    let table = status(&snapshot, &UNICODE);
    assert!(table.contains("0  swapper  idle task"), "{table}");
}
