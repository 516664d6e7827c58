//! What the tables of calls look like.

use super::*;
use crate::model::calls::figures::{Entered, FindingKind, Rate};
use crate::model::calls::proof::ProofVerdict;
use crate::model::samples;
use crate::model::snapshot::{Function, Snapshot, Watched};

fn phase(old: u64, new: u64, seconds: f64) -> PhaseCalls {
    let rate = |calls: u64| Some(f64::from(u32::try_from(calls).unwrap()) / seconds);
    PhaseCalls {
        old,
        new,
        seconds,
        old_per_second: rate(old),
        new_per_second: rate(new),
    }
}

fn sample() -> Calls {
    Calls {
        old: 120_040,
        new: 36_000,
        old_per_second: Some(0.0),
        new_per_second: Some(1200.0),
        rates: vec![Rate {
            seconds: 10,
            old_per_second: 0.0,
            new_per_second: 1200.0,
        }],
        counter: "kprobe".to_owned(),
        counted_since: samples::now(),
        before: Some(phase(120_000, 0, 100.0)),
        during: Some(phase(40, 0, 2.0)),
        after: Some(phase(0, 36_000, 30.0)),
        new_share: Some(1.0),
        entered: Some(Entered {
            function: "lp_gcd".to_owned(),
            entries: 36_000,
            expected: 36_000,
        }),
        not_entered: None,
        effective: Some(true),
        above: 0,
        uncertain: 0,
        missed_together: None,
        findings: Vec::new(),
    }
}

fn snapshot(functions: Vec<(&str, Option<Calls>)>) -> Snapshot {
    let mut patch = samples::patch("lp_calls");
    patch.objects[0].functions = functions
        .into_iter()
        .map(|(name, calls)| Function {
            name: name.to_owned(),
            sympos: 1,
            not_counted: calls.is_none().then(|| "it is notrace".to_owned()),
            calls,
        })
        .collect();
    samples::snapshot(vec![patch])
}

fn ineffective() -> Calls {
    let mut calls = sample();
    calls.effective = Some(false);
    calls.findings.push(Finding {
        kind: FindingKind::NotEffective,
        severity: Severity::Danger,
        text: "Patched but not effective.".to_owned(),
        advice: vec!["Look.".to_owned()],
    });
    calls
}

#[test]
fn phases_stand_side_by_side() {
    let mut snapshot = snapshot(vec![("gcd", Some(sample())), ("hidden", None)]);
    snapshot.watched.push(Watched {
        object: "nfs".to_owned(),
        name: "nfs_read".to_owned(),
        sympos: 2,
        calls: None,
        not_counted: Some("the module nfs is not loaded".to_owned()),
    });
    let text = calls(&CallsReport::of(&snapshot, None), &Style::default());
    let expected = "\
lp_calls  enabled
  FUNCTION  BEFORE/S  DURING/S  NOW/S      OLD     NEW  NEW %  NEW CODE
  gcd          1,200      20.0  1,200  120,040  36,000    100  runs
  hidden                                                       unknown
    hidden: it is unknown whether the new code runs: it is notrace.

Watched, not patched
  FUNCTION
  nfs:nfs_read,2
    nfs:nfs_read,2 is not counted: the module nfs is not loaded.
";
    assert_eq!(text, expected);
}

/// The column `NEW %` of a function whose new code does not run.
fn percent_without_effect(new_share: f64, entries: u64, expected: u64) -> String {
    let mut calls = ineffective();
    calls.new_share = Some(new_share);
    calls.entered = Some(Entered {
        function: "lp_gcd".to_owned(),
        entries,
        expected,
    });
    let report = CallsReport::of(&snapshot(vec![("gcd", Some(calls))]), None);
    let text = super::calls(&report, &Style::default());
    let row = text.lines().nth(2).unwrap();
    let cells: Vec<&str> = row.split_whitespace().collect();
    assert!(row.ends_with("DOES NOT RUN"), "{row}");
    cells[6].to_owned()
}

#[test]
fn new_code_that_does_not_run_has_the_share_that_was_entered() {
    assert_eq!(percent_without_effect(1.0, 0, 2440), "0");
    assert_eq!(percent_without_effect(1.0, 610, 2440), "25");
    assert_eq!(percent_without_effect(1.0, 2439, 2440), "99");
    assert_eq!(percent_without_effect(0.1, 610, 2440), "10");
    assert_eq!(percent_without_effect(1.0, 2440, 2440), "0", "no proof");
    assert_eq!(percent_without_effect(1.0, 0, 0), "0");
}

#[test]
fn all_is_new_only_if_every_call_was() {
    for (new_share, percent) in [(1.0, "100"), (0.999, "99"), (0.57, "57"), (0.0, "0")] {
        let mut calls = sample();
        calls.new_share = Some(new_share);
        assert_eq!(share(&calls, &Effect::Effective).as_deref(), Some(percent));
    }
}

#[test]
fn entries_that_are_not_counted_are_said_below() {
    let mut calls = sample();
    calls.effective = None;
    calls.entered = None;
    let report = CallsReport::of(&snapshot(vec![("gcd", Some(calls))]), None);
    let text = super::calls(&report, &Style::default());
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let sentence = "unknown whether the new code runs: entries of the new code are not counted.";
    assert!(words.contains(sentence), "{text}");
}

#[test]
fn an_object_that_no_module_can_be_is_never_patched() {
    let mut snapshot = snapshot(vec![("gcd", None)]);
    let object = &mut snapshot.patches[0].objects[0];
    object.name = "nfs.ko".to_owned();
    object.patched = Some(false);
    let report = CallsReport::of(&snapshot, None);
    assert!(report.is_danger());
    let proof = Proof::of(&report, None);
    assert_eq!(proof.verdict, ProofVerdict::Disproved);
    let why = report.functions[0].not_counted.as_deref();
    assert!(why.unwrap().starts_with("no module can be named `nfs.ko`"));
    let expected = "\
lp_calls  enabled
  FUNCTION    NEW CODE
  nfs.ko:gcd  DOES NOT RUN
    nfs.ko:gcd: the new code never runs: no module can be named `nfs.ko`; the
      author of the patch meant `nfs`.

Disproved: new code does not run, see above.
";
    assert_eq!(verify(&report, &proof, &Style::default()), expected);
    assert!(calls(&report, &Style::default()).contains("no module can be named"));
}

#[test]
fn new_code_that_does_not_run_is_a_danger() {
    let report = CallsReport::of(&snapshot(vec![("gcd", Some(ineffective()))]), None);
    assert!(report.is_danger());
    let text = verify(&report, &Proof::of(&report, None), &Style::default());
    let expected = "\
lp_calls  enabled
  FUNCTION  ENTERED  EXPECTED  NEW CODE
  gcd        36,000    36,000  DOES NOT RUN
    DANGER: Patched but not effective.
      -> Look.

Disproved: new code does not run, see above.
";
    assert_eq!(text, expected);
}

/// The last paragraph of `lpwatch verify`.
fn concluded(functions: Vec<(&str, Option<Calls>)>, required: Option<u64>) -> String {
    let report = CallsReport::of(&snapshot(functions), None);
    let proof = Proof::of(&report, required);
    let text = verify(&report, &proof, &Style::default());
    text.rsplit("\n\n").next().unwrap_or_default().to_owned()
}

#[test]
fn the_conclusion_says_what_is_proved_and_what_to_do() {
    assert_eq!(
        concluded(vec![("gcd", Some(sample()))], None),
        "Proved: 1 function runs new code.\n"
    );
    let mut idle = sample();
    idle.effective = None;
    idle.entered = Some(Entered {
        function: "lp_gcd".to_owned(),
        entries: 0,
        expected: 0,
    });
    let both = || vec![("gcd", Some(sample())), ("lcm", Some(idle.clone()))];
    assert_eq!(
        concluded(both(), None),
        "Proved: 1 function runs new code. 1 function was not called.\n"
    );
    assert_eq!(
        concluded(both(), Some(5)),
        "\
Not proved: lcm was not called since its entries are counted. To wait for the
            calls:
              lpwatch verify lp_calls --require-calls 5 --wait 10m
"
    );
    assert!(
        concluded(vec![("lcm", Some(idle.clone()))], None)
            .contains("  lpwatch verify lp_calls --wait 10m\n")
    );
    assert!(concluded(vec![("hidden", None)], None).contains("  lpwatch doctor\n"));
    assert!(concluded(Vec::new(), None).contains("  lpwatch status\n"));
}

#[test]
fn nothing_loaded_and_nothing_watched_is_one_line() {
    let text = calls(
        &CallsReport::of(&samples::snapshot(Vec::new()), None),
        &Style::default(),
    );
    assert_eq!(
        text,
        "No live patch is loaded, and no function is watched.\n"
    );
}

#[test]
fn an_odd_name_does_not_reach_the_terminal() {
    let report = CallsReport::of(&snapshot(vec![("g\u{1b}[2Jcd", Some(sample()))]), None);
    for text in [
        calls(&report, &Style::default()),
        verify(&report, &Proof::of(&report, None), &Style::default()),
    ] {
        assert!(!text.contains('\u{1b}'), "{text}");
    }
}

#[test]
fn only_enabled_patches_are_judged() {
    let mut snapshot = snapshot(vec![("gcd", Some(ineffective()))]);
    snapshot.patches[0].enabled = Some(false);
    let report = CallsReport::of(&snapshot, Some("lp_calls"));
    assert_eq!(report.functions[0].effect, Effect::NotPatched);
    assert!(
        CallsReport::of(&snapshot, Some("other"))
            .functions
            .is_empty()
    );
}
