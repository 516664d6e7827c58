//! What the file contains, and that foreign text cannot add to it.

use super::html;
use crate::model::{
    journal::samples as journal,
    report::{KernelLine, ReportDocument},
    samples,
};
use crate::render::{report::text, style::Style};

fn stalled() -> ReportDocument {
    let snapshot = samples::stalled();
    ReportDocument {
        head: snapshot.head.clone(),
        daemon: true,
        lpwatch_version: "1".to_owned(),
        redacted: false,
        patch: Some(snapshot.patches[1].clone()),
        ended: None,
        events: vec![journal::entry("lp_fix")],
        kernel_log: vec![KernelLine {
            boot_seconds: 12.5,
            text: "livepatch: 'lp_fix': starting patching transition".to_owned(),
        }],
        probes: snapshot.probes,
        notes: Vec::new(),
    }
}

fn ended() -> ReportDocument {
    ReportDocument {
        patch: None,
        ended: Some(journal::completed("lp_fix", 600)),
        ..stalled()
    }
}

#[test]
fn a_stalled_transition_is_explained() {
    let mut report = stalled();
    let patch = report.patch.as_mut().unwrap();
    let task = &mut patch.transition.as_mut().unwrap().blockers[0];
    task.stack = vec!["target_main+0x15 [target]".to_owned()];
    task.blocking_frame = Some(0);
    let page = html(&report);
    let transition = report.under_way().unwrap();
    let blocker = &transition.blockers[0];
    for part in [
        "What to do",
        "Tasks left over time",
        "<svg",
        "class=\"blocking\"",
        blocker.comm.as_str(),
        "starting patching transition",
        "lp_fix is enabled.",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let text = text(&report, &Style::default());
    for part in [blocker.comm.as_str(), "What happened", "The kernel log"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn a_transition_that_has_ended_has_its_outcome_and_course() {
    let page = html(&ended());
    for part in ["completed", "Tasks left over time", "Took"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!page.contains("What to do"));
    assert!(text(&ended(), &Style::default()).contains("completed"));
}

#[test]
fn the_file_loads_nothing_and_runs_nothing() {
    let page = html(&stalled());
    for part in ["<script", "src=", "href=", "url(", "@import"] {
        assert!(!page.contains(part), "{part}");
    }
}

#[test]
fn foreign_text_is_text() {
    let mut report = stalled();
    let patch = report.patch.as_mut().unwrap();
    let transition = patch.transition.as_mut().unwrap();
    transition.blockers[0].comm = "<script>\u{1b}[2J".to_owned();
    transition.blockers[0].stack = vec!["</ol><b>f+0x1".to_owned()];
    report.kernel_log[0].text = "<img src=x>".to_owned();
    let page = html(&report);
    for part in ["<script", "</ol><b>", "<img", "\u{1b}"] {
        assert!(!page.contains(part), "{part}");
    }
}
