//! `lpwatch tasks` and `lpwatch explain` on trees recorded from real kernels
//! (`tests/trees`): exit codes, and the forms that programs read.

use std::{
    path::PathBuf,
    process::{Command, Output},
};

use serde_json::Value;

const SERIES: [&str; 4] = ["5.10", "6.1", "6.12", "7"];

fn lpwatch(series: &str, arguments: &[&str]) -> Output {
    let tree = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/trees")
        .join(series);
    Command::new(env!("CARGO_BIN_EXE_lpwatch"))
        .args(arguments)
        .arg("--sysfs-root")
        .arg(tree.join("sys"))
        .arg("--procfs-root")
        .arg(tree.join("proc"))
        .env_remove("LPWATCH_LOG")
        .env_remove("COLUMNS")
        .env("LC_ALL", "C")
        .output()
        .unwrap_or_else(|error| panic!("lpwatch does not start: {error}"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

#[test]
fn the_kernel_thread_in_its_main_function_is_explained_on_every_kernel() {
    for series in SERIES {
        let tasks = lpwatch(series, &["tasks", "-o", "json"]);
        assert_eq!(tasks.status.code(), Some(10), "{series}: {tasks:?}");
        let tasks = json(&tasks);
        assert_eq!(tasks["patch"], "lp_stall", "{series}");
        assert_eq!(tasks["by_reason"][0]["reason"], "sleeping_on_function");
        assert_eq!(tasks["by_reason"][0]["count"], 1, "{series}");
        let tid = tasks["blockers"][0]["tid"].to_string();

        let explained = lpwatch(series, &["explain", &tid]);
        assert_eq!(explained.status.code(), Some(10), "{series}: {explained:?}");
        let explained = text(&explained.stdout);
        for words in [
            "It sleeps in lpwatch_target_main, which lp_stall replaces.",
            "<- old code of lpwatch_target_main, which lp_stall replaces",
            "It does not leave this function, its own main loop.",
        ] {
            assert!(explained.contains(words), "{series}: {words}: {explained}");
        }
        let document = json(&lpwatch(series, &["explain", &tid, "-o", "json"]));
        assert_eq!(document["patch"], "lp_stall", "{series}");
        assert_eq!(
            document["task"]["function"], "lpwatch_target_main",
            "{series}"
        );
    }
}

#[test]
fn a_task_a_line() {
    let output = lpwatch("6.12", &["tasks", "-o", "jsonl"]);
    let lines = text(&output.stdout);
    assert_eq!(lines.lines().count(), 1, "{lines}");
    let task: Value = serde_json::from_str(lines.trim()).unwrap();
    assert_eq!(task["task"]["comm"], "lpwatch_target");
    assert_eq!(task["transition"]["direction"], "patching");
}

#[test]
fn only_the_patch_asked_for() {
    let calm = lpwatch("6.12", &["tasks", "lp-two-objects"]);
    assert_eq!(calm.status.code(), Some(0), "{calm:?}");
    assert_eq!(text(&calm.stdout), "lp_two_objects is not in transition.\n");
    let calm = lpwatch("6.12", &["tasks", "lp_two_objects", "-o", "json"]);
    let calm = json(&calm);
    assert!(
        calm["transition"].is_null() && calm["schema_version"] == 2,
        "{calm}"
    );
    let none = lpwatch("6.12", &["tasks", "lp_nope"]);
    assert_eq!(none.status.code(), Some(1), "{none:?}");
}

#[test]
fn a_task_that_is_not_left_ends_in_one() {
    for form in ["table", "json"] {
        let output = lpwatch("6.12", &["explain", "4242", "-o", form]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(output.stdout.is_empty(), "{output:?}");
        assert_eq!(
            text(&output.stderr),
            "lpwatch: task 4242 is not among the tasks that lp_stall has left (1 task). To list the tasks left:\n    lpwatch tasks\n"
        );
    }
    let usage = lpwatch("6.12", &["explain"]);
    assert_eq!(usage.status.code(), Some(2), "{usage:?}");
    let name = lpwatch("6.12", &["explain", "me"]);
    assert_eq!(name.status.code(), Some(1), "{name:?}");
    let words = "lpwatch: no task that lp_stall has left has the name `me`.";
    assert!(text(&name.stderr).starts_with(words), "{name:?}");
}
