//! What a check looks like.

use super::*;
use crate::check::rules;
use crate::model::check::{Forecast, LoadRefusal};
use crate::model::document::{DocumentHead, Source};
use crate::model::samples;

fn report(findings: Vec<CheckFinding>, verdict: CheckVerdict) -> CheckReport {
    CheckReport {
        head: DocumentHead::new(
            "web-17".to_owned(),
            "6.12.43".to_owned(),
            samples::now(),
            Source::Bpf,
        ),
        patch: Some("fix".to_owned()),
        file: Some("fix.ko".to_owned()),
        verdict,
        findings,
        forecast: Forecast {
            outcome: ForecastOutcome::Completes,
            text: "60 of 60 tasks would switch at once.".to_owned(),
            refusal: None,
            at_once: Some(60),
            after_signal: Vec::new(),
            later: Vec::new(),
            never: Vec::new(),
        },
        notes: vec!["The module's build-id is not known.".to_owned()],
    }
}

fn danger() -> CheckFinding {
    CheckFinding {
        rule: "busy".to_owned(),
        severity: Severity::Danger,
        text: "other is in transition: the kernel would refuse this patch (EBUSY).".to_owned(),
        evidence: vec!["/sys/kernel/livepatch/other/transition is 1".to_owned()],
        remedy: vec!["Wait for its end: lpwatch wait other".to_owned()],
        refusal: Some(LoadRefusal { errno: 16 }),
    }
}

#[test]
fn the_verdict_comes_first() {
    let text = check(
        &report(vec![danger()], CheckVerdict::Danger),
        &Style::default(),
    );
    let expected = "\
DANGER  fix: do not load it here now.
  web-17 6.12.43 | 2026-03-01 03:12:45 UTC

danger: other is in transition: the kernel would refuse this patch (EBUSY).
  [EBUSY (16)] (busy)
    /sys/kernel/livepatch/other/transition is 1
  -> Wait for its end:
       lpwatch wait other

Expect: 60 of 60 tasks would switch at once.

Note: The module's build-id is not known.
";
    assert_eq!(text, expected);
    let text = check(&report(Vec::new(), CheckVerdict::Safe), &Style::default());
    assert!(
        text.starts_with("SAFE  fix: can be loaded here now.\n"),
        "{text}"
    );
}

#[test]
fn names_of_others_do_not_reach_the_terminal() {
    let mut finding = danger();
    finding.text.push('\u{1b}');
    finding.evidence.push("\u{1b}[2J".to_owned());
    let text = check(
        &report(vec![finding], CheckVerdict::Danger),
        &Style::default(),
    );
    assert!(!text.contains('\u{1b}'), "{text}");
}

#[test]
fn every_rule_can_be_explained() {
    for rule in rules::ALL {
        let text = explain(rule, &Style::default());
        assert!(text.contains("Sources"), "{text}");
        assert!(rule.background.len() > 100, "{}", rule.id);
        assert!(!rule.sources.is_empty(), "{}", rule.id);
        assert_eq!(
            rules::by_id(rule.id).map(|rule| rule.title),
            Some(rule.title)
        );
    }
    let list = rules(rules::ALL, &Style::default());
    assert_eq!(list.lines().count(), rules::ALL.len());
}
