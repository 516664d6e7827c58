//! The numbers, the codes they end with, and many hosts.

use serde_json::Value;

use crate::{
    document, fails,
    fake::{Answers, Fake, Is, hosts},
    run, stdout,
};

fn states(rollout: &Value) -> Vec<u64> {
    [
        "on_new_code",
        "in_transition",
        "stalled",
        "failed",
        "not_patched",
        "not_reporting",
    ]
    .iter()
    .map(|state| rollout["by_state"][state].as_u64().unwrap())
    .collect()
}

#[test]
fn every_host_is_counted_in_its_state() {
    let fake = Fake::new(Answers::Fleet(hosts(&[
        (Is::OnNewCode, 10),
        (Is::Moving(7), 2),
        (Is::Stalled, 1),
        (Is::NotPatched, 3),
        (Is::Down, 1),
        (Is::Gone, 1),
        (Is::Foreign, 1),
        (Is::Broken, 1),
    ])));
    let status = document(&run(&fake.url(), &["status", "lp_x", "-o", "json"]), 11);
    assert_eq!(status["schema_version"], 2);
    assert_eq!(
        (&status["host_count"], &status["hosts_not_reporting"]),
        (&20.into(), &4.into())
    );
    let rollout = &status["patches"][0];
    assert_eq!(states(rollout), [10, 2, 1, 0, 3, 4]);
    assert_eq!(rollout["share_on_new_code"], 0.5);
    assert_eq!(rollout["stalled"][0]["host"], "host-12");
    assert_eq!(rollout["stalled_by_reason"][0]["reason"], "running");
    let silences: Vec<&str> = rollout["not_reporting"]
        .as_array()
        .unwrap()
        .iter()
        .map(|host| host["silence"].as_str().unwrap())
        .collect();
    assert_eq!(silences, ["down", "gone", "no_metrics", "broken"]);
    assert_eq!(rollout["durations"]["all"]["p99"], 2.5);
    assert_eq!(rollout["durations"]["by_kernel"][0]["kernel"], "6.1.0-40");
    let notes = status["notes"].to_string();
    assert!(notes.contains("such as host-19"), "{notes}");
}

#[test]
fn the_exit_code_tells_how_it_stands() {
    let fake = Fake::new(Answers::Fleet(Vec::new()));
    for (counts, asked, any) in [
        (&[(Is::OnNewCode, 2)][..], 0, 0),
        (&[(Is::OnNewCode, 2), (Is::NotPatched, 1)], 10, 0),
        (&[(Is::OnNewCode, 2), (Is::Down, 1)], 10, 10),
        (&[(Is::OnNewCode, 2), (Is::Gone, 1)], 10, 10),
        (&[(Is::OnNewCode, 2), (Is::Moving(3), 1)], 10, 10),
        (&[(Is::Moving(3), 2), (Is::Stalled, 1)], 11, 11),
        (&[(Is::Stalled, 2), (Is::Failed, 1)], 12, 12),
    ] {
        fake.answer(Answers::Fleet(hosts(counts)));
        let code = |arguments: &[&str]| run(&fake.url(), arguments).status.code();
        assert_eq!(code(&["status", "lp_x"]), Some(asked), "{counts:?}");
        assert_eq!(code(&["hosts", "lp_x"]), Some(asked), "{counts:?}");
        assert_eq!(code(&["status"]), Some(any), "{counts:?}");
    }
}

#[test]
fn hosts_are_listed_worst_first_and_by_state() {
    let fake = Fake::new(Answers::Fleet(hosts(&[
        (Is::OnNewCode, 2),
        (Is::Stalled, 1),
        (Is::Down, 1),
    ])));
    let output = run(&fake.url(), &["hosts", "lp_x", "-o", "json"]);
    let listing = document(&output, 11);
    let listed: Vec<&str> = listing["hosts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|host| host["state"].as_str().unwrap())
        .collect();
    assert_eq!(
        listed,
        ["stalled", "not_reporting", "on_new_code", "on_new_code"]
    );
    let lines = run(
        &fake.url(),
        &["hosts", "lp_x", "--state", "not_reporting", "-o", "jsonl"],
    );
    let host: Value = serde_json::from_str(stdout(&lines).trim()).unwrap();
    assert_eq!(
        (&host["host"], &host["silence"]),
        (&"host-3".into(), &"down".into())
    );
    let table = stdout(&run(&fake.url(), &["hosts", "lp_x", "--state", "stalled"]));
    assert!(
        table.contains("host-2") && table.contains("1 running"),
        "{table}"
    );
    assert!(!table.contains("host-3"), "{table}");
}

#[test]
fn a_patch_nobody_has_heard_of_is_told() {
    let fake = Fake::new(Answers::Fleet(hosts(&[(Is::NotPatched, 2)])));
    let output = run(&fake.url(), &["status", "lp_typo"]);
    assert_eq!(output.status.code(), Some(10), "{output:?}");
    assert!(stdout(&output).contains("No host has reported a patch named lp_typo"));
}

/// Most on new code, some moving, and a thousand that are down.
fn many(in_all: usize) -> Fake {
    Fake::new(Answers::Fleet(hosts(&[
        (Is::OnNewCode, in_all - 3000),
        (Is::Moving(5), 2000),
        (Is::Down, 1000),
    ])))
}

#[test]
fn ten_thousand_hosts_fit_in_an_answer() {
    let fake = many(10_000);
    let output = run(&fake.url(), &["status", "lp_x", "-o", "json"]);
    let rollout = &document(&output, 10)["patches"][0];
    assert_eq!(states(rollout), [7000, 2000, 0, 0, 0, 1000]);
    let table = run(&fake.url(), &["status", "lp_x"]);
    assert!(table.stdout.len() < 10_000, "a table is for people");
    assert!(stdout(&table).contains("and 990 more"), "{table:?}");
}

#[test]
fn a_hundred_thousand_fit_too_and_the_limit_holds() {
    let fake = many(100_000);
    let capped = ["status", "lp_x", "--prometheus.max-answer", "1"];
    fails(&run(&fake.url(), &capped), 1, &["larger than 1 MiB"]);
    let output = run(&fake.url(), &["status", "lp_x", "-o", "json"]);
    let rollout = &document(&output, 10)["patches"][0];
    assert_eq!(states(rollout), [97_000, 2000, 0, 0, 0, 1000]);
}
