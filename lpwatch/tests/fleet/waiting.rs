//! Waits: how they end, and what they live through.

use std::{
    process::{Child, Output},
    time::{Duration, Instant},
};

use crate::{
    command, document, fails,
    fake::{Answers, Fake, Is, hosts},
    run, stderr, stdout,
};

const QUICK: [&str; 4] = ["wait", "lp_x", "--interval", "100ms"];

fn wait(fake: &Fake, more: &[&str]) -> Output {
    run(&fake.url(), &[&QUICK, more].concat())
}

/// A wait in the background.
fn start(fake: &Fake, more: &[&str]) -> Child {
    use std::process::Stdio;
    command(&fake.url(), &[&QUICK[..], more].concat())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Until the fake was asked so often after now.
fn until_asked(fake: &Fake, times: usize) {
    let (before, began) = (fake.asked().len(), Instant::now());
    while fake.asked().len() < before + times {
        assert!(began.elapsed() < Duration::from_mins(1), "nobody asks");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_wait_ends_as_it_goes() {
    let fake = Fake::new(Answers::Fleet(Vec::new()));
    for (counts, percent, code, words) in [
        (
            &[(Is::OnNewCode, 999), (Is::Down, 1)][..],
            "99.9",
            0,
            "on new code after",
        ),
        (
            &[(Is::OnNewCode, 98), (Is::Stalled, 2)],
            "99",
            11,
            "so many hosts are stalled",
        ),
        (
            &[(Is::OnNewCode, 98), (Is::Failed, 1), (Is::Stalled, 1)],
            "99",
            11,
            "1 failed",
        ),
        (
            &[(Is::OnNewCode, 98), (Is::Failed, 2)],
            "99",
            12,
            "too many hosts have failed",
        ),
        (
            &[(Is::OnNewCode, 98), (Is::Moving(3), 2)],
            "99",
            124,
            "99% not reached",
        ),
        (
            &[(Is::OnNewCode, 98), (Is::Gone, 2)],
            "99",
            124,
            "2 not reporting",
        ),
    ] {
        fake.answer(Answers::Fleet(hosts(counts)));
        let output = wait(&fake, &["--percent", percent, "--timeout", "2s"]);
        assert_eq!(output.status.code(), Some(code), "{counts:?} {output:?}");
        assert!(stdout(&output).contains(words), "{output:?}");
    }
}

#[test]
fn a_standstill_ends_it_where_that_was_asked_for() {
    let fake = Fake::new(Answers::Fleet(hosts(&[(Is::Moving(3), 5)])));
    let arguments = ["--stall-after", "1s", "--timeout", "60s", "-o", "json"];
    let report = document(&wait(&fake, &arguments), 11);
    assert_eq!(
        (&report["result"], &report["exit_code"]),
        (&"no_change".into(), &11.into())
    );
    assert_eq!(report["rollout"]["by_state"]["in_transition"], 5);
}

#[test]
fn it_ends_when_the_hosts_are_through() {
    let fake = Fake::new(Answers::Fleet(hosts(&[(Is::Moving(3), 5)])));
    let child = start(&fake, &["--timeout", "60s", "-o", "json"]);
    until_asked(&fake, 30);
    fake.answer(Answers::Fleet(hosts(&[(Is::OnNewCode, 5)])));
    let report = document(&child.wait_with_output().unwrap(), 0);
    assert_eq!(report["result"], "reached");
}

#[test]
fn a_prometheus_started_anew_does_not_end_it() {
    let fake = Fake::new(Answers::Fleet(hosts(&[(Is::Moving(3), 5)])));
    let child = start(&fake, &["--timeout", "60s"]);
    until_asked(&fake, 30);
    // It goes, comes back busy with its log, and then without its data.
    let address = fake.address;
    drop(fake);
    std::thread::sleep(Duration::from_millis(600));
    let fake = Fake::at(address, Answers::Raw(503, "Service Unavailable"));
    until_asked(&fake, 3);
    fake.answer(Answers::Fleet(Vec::new()));
    until_asked(&fake, 30);
    fake.answer(Answers::Fleet(hosts(&[(Is::OnNewCode, 5)])));
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let told = stderr(&output);
    assert_eq!(told.matches("trying again").count(), 1, "said once: {told}");
    assert_eq!(told.matches("answers again").count(), 1, "{told}");
}

#[test]
fn hosts_that_vanish_from_prometheus_are_not_forgotten() {
    let fake = Fake::new(Answers::Fleet(hosts(&[
        (Is::OnNewCode, 1),
        (Is::Moving(3), 4),
    ])));
    let child = start(&fake, &["--timeout", "4s"]);
    until_asked(&fake, 30);
    // Only the finished one is left: that is no finished rollout.
    fake.answer(Answers::Fleet(hosts(&[(Is::OnNewCode, 1)])));
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(124), "{output:?}");
    assert!(stdout(&output).contains("4 not reporting"), "{output:?}");
}

#[test]
fn being_refused_in_the_middle_ends_it() {
    let fake = Fake::new(Answers::Fleet(hosts(&[(Is::Moving(3), 5)])));
    let child = start(&fake, &["--timeout", "60s"]);
    until_asked(&fake, 20);
    fake.answer(Answers::Raw(401, ""));
    fails(&child.wait_with_output().unwrap(), 3, &["HTTP 401"]);
}

#[test]
fn a_timeout_while_prometheus_is_away_says_so() {
    let fake = Fake::new(Answers::Fleet(hosts(&[(Is::Moving(3), 5)])));
    let child = start(&fake, &["--timeout", "5s", "-o", "json"]);
    until_asked(&fake, 20);
    drop(fake);
    let report = document(&child.wait_with_output().unwrap(), 124);
    assert_eq!(report["result"], "timed_out");
    assert!(
        report["trouble"].as_str().unwrap().contains("cannot reach"),
        "{report}"
    );
    assert_eq!(report["rollout"]["host_count"], 5);
}

#[test]
fn what_is_no_percentage_is_wrong_usage() {
    for percent in ["0", "101", "many"] {
        let output = run(
            "http://127.0.0.1:1",
            &["wait", "lp_x", "--percent", percent],
        );
        fails(&output, 2, &["percentage"]);
    }
}
