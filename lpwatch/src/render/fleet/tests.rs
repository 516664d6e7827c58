//! Tests of the tables of a fleet.

use super::*;
use crate::fleet::{
    hosts::ReasonTasks,
    rollout::tests::{fleet, host},
};
use crate::model::Outcome;

fn at() -> Timestamp {
    "2026-03-01T03:12:45Z".parse().unwrap()
}

fn document(patches: Vec<Rollout>) -> Status {
    Status {
        head: FleetHead::new(
            at(),
            "http://localhost:9090".to_owned(),
            "{job=\"lpwatch\"}".to_owned(),
        ),
        hosts: patches.first().map_or(9, |rollout| rollout.hosts),
        hosts_not_reporting: 1,
        warnings: Vec::new(),
        notes: Vec::new(),
        patches,
    }
}

/// A rollout with something of everything.
fn troubled() -> Rollout {
    let mut hosts = fleet(&[
        (HostState::OnNewCode, 1983),
        (HostState::InTransition, 2),
        (HostState::Stalled, 12),
        (HostState::Failed, 2),
        (HostState::NotReporting, 1),
    ]);
    for (nth, host) in hosts.iter_mut().enumerate() {
        match host.state {
            HostState::OnNewCode => {
                host.duration_seconds = Some(if nth % 9 == 0 { 12.0 } else { 1.5 });
            }
            HostState::Stalled => {
                host.tasks_remaining = Some(1);
                host.tasks_total = Some(312);
                host.seconds_without_progress = Some(130.0);
                host.reasons = vec![ReasonTasks {
                    reason: "sleeping_on_function".to_owned(),
                    tasks: 1,
                }];
            }
            HostState::Failed => host.outcome = Some(Outcome::Reversed),
            HostState::NotReporting => host.silence = Some(Silence::Down),
            HostState::InTransition | HostState::NotPatched => (),
        }
    }
    hosts[7].kernel = Some("6.12.43".to_owned());
    Rollout::of("lp_x", &hosts)
}

#[test]
fn what_needs_somebody_comes_first() {
    let mut status_of = document(vec![
        Rollout::of("a_calm", &fleet(&[(HostState::OnNewCode, 9)])),
        troubled(),
    ]);
    status_of.warnings = vec!["dc2 gave\nno answer".to_owned()];
    let table = status(&status_of, &Style::default());
    let head =
        "! lp_x  on new code on 1,983 of 2,000 hosts (99.1%)\n  [###################.]  12 stalled";
    assert!(table.starts_with(head), "{table}");
    assert!(
        table.contains("Stalled: sleeping on function on 12 hosts"),
        "{table}"
    );
    assert!(table.contains("host-1985"), "{table}");
    assert!(
        table.contains("and 2 more:\n      lpwatch fleet hosts lp_x --state stalled\n"),
        "{table}"
    );
    assert!(
        table.contains("Failed: host-1997, host-1998 (reversed)"),
        "{table}"
    );
    assert!(
        table.contains("Not reporting: host-1999 (cannot be scraped)"),
        "{table}"
    );
    assert!(table.contains("all kernels"), "{table}");
    assert!(
        table.contains("Warning: Prometheus warns: dc2 gave\\nno answer"),
        "{table}"
    );
    let (troubled, calm) = (table.find("lp_x"), table.find("a_calm"));
    assert!(troubled < calm, "{table}");
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    let mut rollout = troubled();
    for host in &mut rollout.stalled {
        host.host = format!(
            "{}.a-very-long-name.of.a.datacentre.example.org:9417",
            host.host
        );
    }
    let status_of = document(vec![rollout]);
    for width in [80, 100, 200] {
        let style = Style {
            width,
            ..Style::default()
        };
        for line in status(&status_of, &style).lines() {
            assert!(crate::text::cells(line) <= width, "{line}");
        }
    }
}

#[test]
fn a_share_is_only_whole_when_it_is() {
    assert_eq!(percent(1999, 2000), "99.9%");
    assert_eq!(percent(99_999, 100_000), "99.9%");
    assert_eq!(percent(1, 100_000), "0.1%");
    assert_eq!(percent(2000, 2000), "100%");
    assert_eq!(percent(0, 2000), "0%");
    assert_eq!(percent(0, 0), "");
    let mut nearly = fleet(&[(HostState::OnNewCode, 1999), (HostState::NotPatched, 1)]);
    let table =
        |hosts: &[FleetHost]| status(&document(vec![Rollout::of("p", hosts)]), &Style::default());
    assert!(table(&nearly).contains("#.]"), "{}", table(&nearly));
    nearly.pop();
    assert!(table(&nearly).contains("##]"), "{}", table(&nearly));
}

#[test]
fn hostile_names_are_escaped() {
    let mut host = host(1, HostState::Stalled);
    host.host = "a\u{1b}[2J".to_owned();
    host.kernel = Some("6\n1".to_owned());
    host.reasons = vec![ReasonTasks {
        reason: "x\r".to_owned(),
        tasks: 1,
    }];
    let listing = Hosts {
        head: FleetHead::new(at(), "http://p".to_owned(), "{}".to_owned()),
        patch: None,
        warnings: Vec::new(),
        notes: Vec::new(),
        hosts: vec![host.clone()],
    };
    let style = Style {
        width: 200,
        ..Style::default()
    };
    let table = hosts(&listing, &style);
    assert!(table.contains("a\\x1b[2J"), "{table}");
    assert!(!table.contains(['\u{1b}', '\r']), "{table}");
    let table = status(&document(vec![Rollout::of("p\u{7}", &[host])]), &style);
    assert!(!table.contains(['\u{1b}', '\r', '\u{7}']), "{table}");
}

#[test]
fn a_wait_ends_in_one_sentence() {
    let rollout = troubled();
    let mut end = WaitEnd {
        patch: "lp_x",
        result: "stalled",
        percent: "99.9".parse().unwrap(),
        waited: std::time::Duration::from_secs(75),
        trouble: None,
        rollout: Some(&rollout),
    };
    let style = Style {
        width: 300,
        ..Style::default()
    };
    assert_eq!(
        waited(&end, &style),
        "lp_x: 99.9% cannot be reached while so many hosts are stalled; 1,983 of 2,000 hosts \
         (99.1%) on new code, 12 stalled, 2 failed, 1 not reporting, 2 in transition.\n"
    );
    end.result = "timed_out";
    end.trouble = Some("cannot reach it");
    let text = waited(&end, &style);
    assert!(
        text.contains("99.9% not reached after 1 min 15 s"),
        "{text}"
    );
    assert!(text.contains("Since then: cannot reach it"), "{text}");
}
