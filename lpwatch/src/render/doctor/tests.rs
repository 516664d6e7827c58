//! What `lpwatch doctor` prints, word for word, and what holds for every width.

use super::samples::{fact, offer, report, trial};
use super::*;
use crate::model::doctor::CounterOutcome;
use crate::text::cells;

const UNICODE: Style = Style {
    color: false,
    unicode: true,
    width: 80,
};

#[track_caller]
fn assert_says(report: &DoctorReport, golden: &str) {
    let text = doctor(report, &UNICODE);
    assert_eq!(
        text.trim_end_matches('\n'),
        golden.trim_matches('\n'),
        "\n{text}"
    );
}

#[test]
fn something_of_everything() {
    assert_says(
        &report(),
        "
This host can be watched, but these are not known here: effect.
web-17 · 5.10.0-35 · x86_64

What this host offers
  yes  live patching  /sys/kernel/livepatch
  no   BTF            /sys/kernel/btf/vmlinux does not exist
       lost: Tasks are read from /proc, which takes longer.
       → Boot a kernel built with CONFIG_DEBUG_INFO_BTF=y.
  ?    lockdown       no permission
       → Boot a kernel built with CONFIG_DEBUG_INFO_BTF=y.

The hook chosen for each fact, attached and detached again (1.2 s)
  fentry: the kernel's BTF has the function
    begun           a transition begins: of which patch, in which direction
                    (klp_init_transition)
    forced          a transition begins: of which patch, in which direction
                    (klp_force_transition)
  kprobe: not in the BTF
    complete        a transition begins: of which patch, in which direction
                    (klp_complete_transition)
  no hook: it came with 5.16
    verdict         a transition begins: of which patch, in which direction
                    (klp_check_and_switch_task)
                    instead: why a task stays is told from its stack
    effect          a transition begins: of which patch, in which direction
                    instead: nothing, the fact is unknown

Calibration on __do_sys_getppid, by calls of getppid(2)
  kprobe  counts exactly: 1000 of 1000 calls; a call takes 1.5 times as long
          (300 ns instead of 200)
  fentry  not used here: it came with 6.0
  No program is left in the kernel.

Note: A daemon was not asked.",
    );
}

#[test]
fn a_host_without_live_patches_shows_no_hooks() {
    let mut report = report();
    report.verdict = Readiness::NoLivepatch;
    report.summary = "This kernel cannot be live-patched.".to_owned();
    report.calibration = None;
    let text = doctor(&report, &UNICODE);
    assert!(
        text.starts_with("This kernel cannot be live-patched.\n"),
        "{text}"
    );
    assert!(text.contains("there is nothing to watch"), "{text}");
    assert!(!text.contains("klp_"), "{text}");
}

#[test]
fn a_counter_that_misses_calls_is_loud() {
    let mut report = report();
    let calibration = report.calibration.as_mut().unwrap();
    calibration.trials = vec![
        trial(FactSource::Kprobe, CounterOutcome::TooFew, Some(990)),
        trial(FactSource::Fentry, CounterOutcome::WithOthers, Some(1003)),
    ];
    calibration.left_behind = None;
    let text = doctor(&report, &UNICODE);
    assert!(text.contains("MISSES CALLS: 990 of 1000"), "{text}");
    assert!(
        text.contains("1003 for 1000, 3 of them by other processes"),
        "{text}"
    );
    assert!(
        text.contains("Without CAP_SYS_ADMIN it is unknown"),
        "{text}"
    );
}

#[test]
fn nothing_tried_says_why() {
    let mut report = report();
    let calibration = report.calibration.as_mut().unwrap();
    calibration.not_tried = Some("lp_stall is in transition".to_owned());
    let text = doctor(&report, &UNICODE);
    assert!(
        text.contains("Nothing was tried: lp_stall is in transition."),
        "{text}"
    );
    assert!(!text.contains("counts exactly"), "{text}");
}

#[test]
fn colour_only_adds_to_words() {
    let plain = doctor(&report(), &UNICODE);
    let style = Style {
        color: true,
        ..UNICODE
    };
    let painted = doctor(&report(), &style);
    let mut bare = String::new();
    for (nth, part) in painted.split('\u{1b}').enumerate() {
        bare.push_str(if nth == 0 {
            part
        } else {
            part.split_once('m').unwrap().1
        });
    }
    assert_ne!(plain, painted);
    assert_eq!(plain, bare);
}

#[test]
fn no_line_is_too_wide_and_no_name_reaches_the_terminal() {
    let mut report = report();
    report.head.host = "a\u{1b}[2Jb".to_owned();
    report.summary.push_str(&" word".repeat(40));
    report
        .offers
        .push(offer("x\u{202e}y", Availability::Missing, "a\nb"));
    let odd = fact(
        ObservedFact::Tasks,
        FactSource::Iter,
        "t\u{7}\u{9b}",
        "w\u{1b}",
    );
    report.facts.push(odd);
    report.notes.push("two\nlines".to_owned());
    for width in [40, 59, 80, 120, 250] {
        for unicode in [false, true] {
            let style = Style {
                color: false,
                unicode,
                width,
            };
            let text = doctor(&report, &style);
            for line in text.lines() {
                assert!(cells(line) <= width, "{width}: {line}");
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
