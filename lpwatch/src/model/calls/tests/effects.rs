//! Whether new code runs, and the findings from the numbers.

use super::*;
use crate::model::calls::figures::Severity;

#[test]
fn entries_show_that_new_code_runs() {
    let mut host = CallHost::applied(10);
    host.enter("p", 0).at(12.0).read();
    host.at(13.0).call(NONE, 20).enter("p", 20).read();
    let calls = host.calls("p");
    assert_eq!(calls.effective, Some(true));
    let entered = calls.entered.unwrap();
    assert_eq!((entered.entries, entered.expected), (20, 20));
    assert_eq!(entered.function, "p_f");
    assert!(calls.findings.is_empty());
}

#[test]
fn a_patch_without_effect_is_a_danger() {
    let mut host = CallHost::applied(10);
    host.enter("p", 0).at(12.0).read();
    host.at(13.0).call(NONE, 1).read();
    assert_eq!(host.tracker.recheck(), Some(Duration::from_millis(500)));
    assert_eq!(host.calls("p").effective, None);
    host.at(13.5).read();
    let calls = host.calls("p");
    assert_eq!(calls.effective, Some(false));
    // The call ran old code, whatever the patches say.
    assert_eq!((calls.old, calls.new), (11, 0));
    assert_eq!(sums(calls.after.as_ref()), (1, 0));
    let finding = host.finding("p", FindingKind::NotEffective).unwrap();
    assert_eq!(finding.severity, Severity::Danger);
    assert!(finding.text.contains("never entered"), "{}", finding.text);
    assert!(host.tracker.doubted().contains(&id("f")));
}

#[test]
fn rates_without_an_entry_are_those_of_old_code() {
    let mut host = CallHost::applied(10);
    host.enter("p", 0).at(12.0).read();
    for second in 13..=40 {
        host.at(f64::from(second)).call(NONE, 80).read();
    }
    let calls = host.calls("p");
    assert_eq!(calls.effective, Some(false));
    assert_eq!((calls.old, calls.new), (10 + 28 * 80, 0));
    assert_eq!(calls.new_share, Some(0.0), "{calls:?}");
    assert_eq!(calls.new_per_second, Some(0.0));
    assert_eq!(calls.old_per_second, Some(80.0));
    assert_eq!(sums(calls.after.as_ref()), (28 * 80, 0));
    let entered = calls.entered.unwrap();
    assert_eq!((entered.entries, entered.expected), (0, 28 * 80));
}

#[test]
fn a_call_without_an_entry_counts_in_its_phase() {
    let mut host = CallHost::default();
    host.at(0.0).see(&[]).read();
    host.at(10.0).begin("p", Direction::Patching, false);
    host.at(11.0)
        .enter("p", 0)
        .see(&[turning("p", &["f"], false)])
        .read();
    host.at(12.0).call(OLD, 5).call(NEW, 50).read();
    host.at(13.0).read();
    host.at(14.0).end(Direction::Patching);
    host.at(14.1).see(&[on("p", &["f"])]).read();
    host.at(15.0).call(NONE, 7).enter("p", 7).read();
    host.at(16.0).read();
    let calls = host.calls("p");
    assert_eq!(calls.effective, Some(true));
    assert_eq!(sums(calls.during.as_ref()), (55, 0));
    assert_eq!(sums(calls.after.as_ref()), (0, 7));
    assert_eq!((calls.old, calls.new), (55, 7));
}

#[test]
fn without_a_counter_of_entries_nothing_is_claimed() {
    let mut host = CallHost::applied(10);
    host.at(13.0).call(NONE, 20).read();
    host.at(15.0).read();
    let calls = host.calls("p");
    assert_eq!((calls.effective, calls.entered), (None, None));
    assert_eq!((calls.old, calls.new), (10, 20));
}

#[test]
fn silence_after_many_calls_is_a_surprise() {
    let mut host = CallHost::applied(1000);
    host.at(30.0).read();
    assert_eq!(
        host.finding("p", FindingKind::NeverCalled),
        None,
        "too early"
    );
    host.at(75.0).read();
    let finding = host.finding("p", FindingKind::NeverCalled).unwrap();
    assert_eq!(finding.severity, Severity::Warning);
    let mut host = CallHost::applied(0);
    host.at(75.0).read();
    let finding = host.finding("p", FindingKind::NeverCalled).unwrap();
    assert_eq!(finding.severity, Severity::Note);
    host.at(76.0).call(NONE, 1).read();
    assert_eq!(host.finding("p", FindingKind::NeverCalled), None);
}

#[test]
fn calls_of_tasks_held_back_are_told() {
    let mut host = CallHost::default();
    host.at(0.0).see(&[]).read();
    host.at(10.0).begin("p", Direction::Patching, false);
    host.at(12.0)
        .call(OLD, 50)
        .see(&[turning("p", &["f"], false)])
        .read();
    assert!(host.finding("p", FindingKind::OnlyUnswitchedCall).is_some());
    host.at(13.0).call(NEW, 1).read();
    assert_eq!(host.finding("p", FindingKind::OnlyUnswitchedCall), None);
}

#[test]
fn another_rate_than_before_is_told_with_its_test() {
    let mut host = CallHost::default();
    host.at(0.0).see(&[]).read();
    for second in 1..=60 {
        host.at(f64::from(second)).call(NONE, 100).read();
    }
    host.at(60.5).begin("p", Direction::Patching, false);
    host.at(60.6).see(&[turning("p", &["f"], false)]).read();
    host.at(61.0).end(Direction::Patching);
    host.at(61.1).see(&[on("p", &["f"])]).read();
    for second in 62..=120 {
        host.at(f64::from(second)).call(NONE, 300).read();
    }
    let finding = host.finding("p", FindingKind::RateChanged).unwrap();
    assert!(
        finding.text.contains("3.0 times as often"),
        "{}",
        finding.text
    );
    assert!(finding.text.contains("Mann-Whitney"), "{}", finding.text);
}
