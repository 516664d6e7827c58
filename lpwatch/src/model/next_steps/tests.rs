use std::iter;

use strum::IntoEnumIterator as _;

use super::*;
use crate::model::{Cause, advice::advice, samples::task};

fn stuck(direction: Direction, signals: u32) -> Stuck<'static> {
    Stuck {
        engine: EngineKind::Livepatch,
        patch: "lp",
        replace: Some(false),
        direction,
        age: None,
        signals: Some(signals),
        kernel: "6.12.117",
    }
}

fn steps(phase: Phase, blockers: &[Blocker]) -> String {
    let stuck = stuck(Direction::Patching, 1);
    next_steps(&stuck, Some(phase), blockers, None).join("\n")
}

#[test]
fn code_without_unwind_data_is_not_waited_for() {
    for kthread in [false, true] {
        let blind = Blocker {
            reason: Some(Reason::NoUnwindData),
            ..task(7, "blob", kthread)
        };
        for phase in [Phase::Slow, Phase::Long, Phase::Stalled] {
            let text = steps(phase, std::slice::from_ref(&blind));
            assert!(
                !text.contains("Wait") && !text.contains("patched"),
                "{text}"
            );
            assert!(text.contains("echo 0 > "), "{text}");
        }
        let stalled = steps(Phase::Stalled, &[blind, task(8, "other", true)]);
        assert!(stalled.contains("leaves that code"), "{stalled}");
        assert!(stalled.contains("in a patched function"), "{stalled}");
    }
}

const KINDS: [TaskKind; 5] = [
    TaskKind::User,
    TaskKind::UserWorker,
    TaskKind::Kthread,
    TaskKind::Kworker,
    TaskKind::Idle,
];

const STATES: [Option<char>; 7] = [
    None,
    Some('R'),
    Some('S'),
    Some('D'),
    Some('I'),
    Some('T'),
    Some('t'),
];

const CAUSES: [Option<Cause>; 4] = [
    None,
    Some(Cause::BpfTrampoline),
    Some(Cause::Kretprobe),
    Some(Cause::Unknown),
];

/// Every task that the table of advice distinguishes.
fn every_task() -> Vec<Blocker> {
    let mut tasks = Vec::new();
    for reason in iter::once(None).chain(Reason::iter().map(Some)) {
        for kind in KINDS {
            for state in STATES {
                for cause in CAUSES {
                    for (tgid, frames) in [(1, 0), (7, 0), (7, 1), (7, 2)] {
                        let kthread = kind.is_kernel();
                        // The blocking frame: none, its main function, or a function that
                        // this one called.
                        let called = ["work+0x1", "worker_main+0x1"];
                        let start = if kthread {
                            "kthread+0x1"
                        } else {
                            "ret_from_fork+0x1"
                        };
                        let stack = called[2 - frames..].iter().chain([&start]);
                        tasks.push(Blocker {
                            tgid,
                            kind: Some(kind),
                            reason,
                            state,
                            cause,
                            stack: stack.map(|&frame| frame.to_owned()).collect(),
                            blocking_frame: (frames > 0).then_some(0),
                            ..task(7, "some", kthread)
                        });
                    }
                }
            }
        }
    }
    tasks
}

/// What disagrees in two texts about one task, if anything does.
fn disagreement(phase: Phase, advice: &str, next: &str) -> Option<&'static str> {
    let never = ["does not leave", "switches only when it leaves"];
    let by_hand = ["Restart its service", "kill -CONT", "To free it"];
    let has = |text: &str, words: &[&str]| words.iter().any(|words| text.contains(words));
    let waits = |text: &str| text.contains("Wait");
    match (advice, next) {
        _ if has(advice, &never) && (waits(advice) || waits(next)) => Some("never, and wait"),
        _ if has(advice, &by_hand) && (waits(advice) || waits(next)) => Some("act, and wait"),
        _ if advice.contains("so far without effect") && waits(next) => Some("in vain, and wait"),
        _ if advice.contains("has not moved it") && next.contains("then switch") => {
            Some("in vain, and it works")
        }
        _ if advice.contains("No signal reaches it")
            && has(next, &["Restart", "User tasks then"]) =>
        {
            Some("no signal, and a signal")
        }
        _ if advice.contains("Leave process 1 alone") && next.contains("Restart") => {
            Some("leave it, and restart it")
        }
        // In a stall the reversal is one of the things to choose from.
        _ if phase != Phase::Stalled && waits(advice) && next.starts_with("Reverse") => {
            Some("wait, and reverse")
        }
        _ => None,
    }
}

#[test]
fn no_two_pieces_of_advice_about_a_task_disagree() {
    let mut seen = 0;
    for blocker in every_task() {
        for signals in [0, 1, 2, 9] {
            for phase in [Phase::Slow, Phase::Long, Phase::Stalled] {
                for direction in [Direction::Patching, Direction::Unpatching] {
                    let stuck = stuck(direction, signals);
                    let situation = Situation {
                        engine: stuck.engine,
                        patch: stuck.patch,
                        direction,
                        age: None,
                        signals: Some(signals),
                    };
                    let advice = advice(&blocker, &situation).unwrap_or_default();
                    let steps =
                        next_steps(&stuck, Some(phase), std::slice::from_ref(&blocker), None);
                    for step in steps {
                        seen += 1;
                        let found = disagreement(phase, &advice, &step);
                        assert_eq!(
                            found, None,
                            "{phase:?}, {signals} signals: {advice:?} beside {step:?} for \
                             {blocker:?}"
                        );
                    }
                }
            }
        }
    }
    assert!(seen > 10_000, "{seen}");
}

#[test]
fn a_main_loop_is_not_waited_for_whatever_the_reason() {
    let mut main = 0;
    for blocker in every_task() {
        let stuck = stuck(Direction::Patching, 0);
        if stuck.outlooks(std::slice::from_ref(&blocker)) != [Outlook::Reversal] {
            continue;
        }
        main += 1;
        let sleeper = Blocker {
            reason: Some(Reason::SleepingOnFunction),
            ..task(8, "sleeper", true)
        };
        let text = next_steps(&stuck, Some(Phase::Slow), &[sleeper, blocker], None).join("\n");
        assert!(text.starts_with("Reverse the transition"), "{text}");
    }
    assert!(main > 0);
}

#[test]
fn what_an_operator_has_to_do_is_not_waited_for() {
    let stopped = Blocker {
        reason: Some(Reason::SleepingOnFunction),
        state: Some('T'),
        ..task(7, "stopped", false)
    };
    assert_eq!(
        steps(Phase::Slow, &[stopped]),
        "Some tasks do not switch by themselves. To see what frees them:\nlpwatch tasks lp"
    );
}
