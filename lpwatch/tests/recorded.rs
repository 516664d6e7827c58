//! The command line on trees recorded from real kernels (`tests/trees`).

use std::{
    path::PathBuf,
    process::{Command, Output},
};

use serde_json::Value;

fn tree(series: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/trees")
        .join(series)
}

fn lpwatch(series: &str, arguments: &[&str]) -> Output {
    let tree = tree(series);
    Command::new(env!("CARGO_BIN_EXE_lpwatch"))
        .args(arguments)
        .arg("--sysfs-root")
        .arg(tree.join("sys"))
        .arg("--procfs-root")
        .arg(tree.join("proc"))
        .env_remove("LPWATCH_LOG")
        .output()
        .unwrap_or_else(|error| panic!("lpwatch does not start: {error}"))
}

fn document(series: &str) -> Value {
    let output = lpwatch(series, &["status", "-o", "json"]);
    assert_eq!(output.status.code(), Some(10), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

fn patch<'a>(document: &'a Value, name: &str) -> &'a Value {
    let patches = document["patches"].as_array().into_iter().flatten();
    let mut named = patches.filter(|patch| patch["name"] == name);
    named.next().unwrap_or(&Value::Null)
}

const SERIES: [&str; 4] = ["5.10", "6.1", "6.12", "7"];

#[test]
fn the_blocker_and_its_reason_are_read_from_every_kernel() {
    for series in SERIES {
        let document = document(series);
        assert_eq!(document["source"], "procfs", "{series}");
        assert_eq!(document["host"], "lpwatch-guest", "{series}");
        let transition = &patch(&document, "lp_stall")["transition"];
        assert_eq!(transition["direction"], "patching", "{series}");
        assert_eq!(transition["tasks_total"], 3, "{series}");
        assert_eq!(transition["tasks_remaining"], 1, "{series}");
        assert_eq!(
            transition["phase"],
            Value::Null,
            "{series}: nothing says since when"
        );
        let blocker = &transition["blockers"][0];
        assert_eq!(blocker["comm"], "lpwatch_target", "{series}");
        assert_eq!(blocker["kthread"], true, "{series}");
        assert_eq!(blocker["reason"], "sleeping_on_function", "{series}");
        assert_eq!(blocker["function"], "lpwatch_target_main", "{series}");
    }
}

#[test]
fn files_a_kernel_does_not_have_are_null() {
    for (series, replace, stack_order) in [
        ("5.10", Value::Null, Value::Null),
        ("6.1", Value::Null, Value::Null),
        ("6.12", false.into(), Value::Null),
        ("7", false.into(), 2.into()),
    ] {
        let document = document(series);
        let stall = patch(&document, "lp_stall");
        assert_eq!(stall["replace"], replace, "{series}");
        assert_eq!(stall["stack_order"], stack_order, "{series}");
    }
}

#[test]
fn an_object_not_loaded_is_not_patched() {
    for series in SERIES {
        let document = document(series);
        let two = patch(&document, "lp_two_objects");
        let late = &two["objects"][0];
        assert_eq!(late["name"], "lpwatch_late", "{series}");
        assert_eq!(late["patched"], false, "{series}");
        assert_eq!(
            late["functions"][0]["name"], "lpwatch_late_value",
            "{series}"
        );
        assert_eq!(late["functions"][0]["sympos"], 1, "{series}");
    }
}

#[test]
fn a_patch_that_is_not_there_is_an_error() {
    let output = lpwatch("6.12", &["status", "no_such"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(
        message.contains("no live patch named `no_such`"),
        "{message}"
    );
}

#[test]
fn dashes_and_underscores_are_one_in_module_names() {
    let output = lpwatch("6.12", &["status", "lp-two-objects", "-o", "jsonl"]);
    assert_eq!(output.status.code(), Some(0));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["patches"][0]["name"], "lp_two_objects");
}

#[test]
fn a_tree_without_livepatch_is_said_to_be_one() {
    let output = Command::new(env!("CARGO_BIN_EXE_lpwatch"))
        .args(["status", "--sysfs-root"])
        .arg(tree("6.12").join("proc"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(4), "{output:?}");
}

#[test]
fn wrong_usage_exits_with_2() {
    let output = lpwatch("6.12", &["status", "--stall-after", "soon"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn why_no_call_is_counted_is_told() {
    for (flag, sentence, reason) in [
        (
            &["--no-bpf"][..],
            "with --no-bpf calls are not counted",
            "(--no-bpf)",
        ),
        (&[], "a recorded tree contains no calls", "recorded tree"),
    ] {
        let arguments = [&["verify", "lp_two_objects"], flag].concat();
        let output = lpwatch("6.12", &arguments);
        let text = String::from_utf8_lossy(&output.stdout);
        let words: Vec<&str> = text.split_whitespace().collect();
        let text = words.join(" ");
        assert!(
            text.contains(sentence) && !text.contains("lpwatch doctor"),
            "{text}"
        );
        let output = lpwatch("6.12", &[&arguments[..], &["-o", "json"]].concat());
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        let why = &document["functions"][0]["not_counted"];
        let why = why.as_str().unwrap_or_else(|| panic!("{document:#}"));
        assert!(why.contains(reason), "{why}");
    }
}

#[test]
fn foreign_text_in_an_argument_is_escaped() {
    for command in [
        &["status", "a\u{1b}[31mb\nc"][..],
        &["check", "a\u{1b}[31mb\nc"],
        &["check", "/nope/a\u{1b}[31mb\nc.ko"],
        &["explain", "a\u{1b}[31mb\nc"],
        &["status", "--output=a\u{1b}[31mb\nc"],
        &["a\u{1b}[31mb\nc"],
    ] {
        let output = lpwatch("6.12", command);
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains("a\\x1b[31mb\\nc"), "{command:?}: {text}");
        assert!(!text.contains('\u{1b}') && !text.contains("b\nc"), "{text}");
    }
}

#[test]
fn without_a_patch_nothing_is_to_verify() {
    let sys = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(sys.path().join("kernel/livepatch")).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_lpwatch"))
        .arg("verify")
        .arg("--sysfs-root")
        .arg(sys.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(15), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.ends_with("Not proved: no live patch is loaded.\n"),
        "{text}"
    );
}
