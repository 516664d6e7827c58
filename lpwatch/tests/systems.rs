//! The command line on trees of other patching systems (`tests/trees`).

use std::{
    path::PathBuf,
    process::{Command, Output},
};

use serde_json::{Value, json};

fn lpwatch(tree: &str, arguments: &[&str]) -> Output {
    let tree = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/trees")
        .join(tree);
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

fn document(tree: &str) -> Value {
    let output = lpwatch(tree, &["patches", "-o", "json", "--cve"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().map_or(&[], Vec::as_slice)
}

fn patch<'a>(document: &'a Value, name: &str) -> &'a Value {
    let mut patches = list(document, "patches").iter();
    let found = patches.find(|patch| patch["name"] == name);
    found.unwrap_or_else(|| panic!("no {name}: {document:#}"))
}

fn function<'a>(patch: &'a Value, object: impl Into<Value>, name: &str) -> &'a Value {
    let object = object.into();
    let mut objects = list(patch, "objects").iter();
    let object = objects.find(|known| known["name"] == object);
    let mut functions = object
        .map_or(&[][..], |object| list(object, "functions"))
        .iter();
    functions
        .find(|function| function["name"] == name)
        .unwrap_or(&Value::Null)
}

#[test]
fn kgrafts_patches_are_listed_as_they_stand() {
    let document = document("kgraft");
    assert_eq!(document["schema_version"], 2);
    assert_eq!(document["notes"], json!([]), "{document:#}");
    let old = patch(&document, "kgraft_patch_1");
    let new = patch(&document, "kgraft_patch_2");
    assert_eq!(old["engine"], "kgraft");
    assert_eq!(old["vendor"], "suse");
    assert_eq!(old["state"], "enabled");
    assert_eq!(new["state"], "in_transition");
    assert_eq!(new["transition"]["direction"], "patching");
    assert_eq!(new["engine_state"], "being applied");
    let overridden = function(old, "vmlinux", "tcp_sendmsg");
    assert_eq!(overridden["wins"], false);
    assert_eq!(overridden["overridden_by"], "kgraft_patch_2");
    assert_eq!(function(new, "vmlinux", "tcp_sendmsg")["wins"], true);
    let cannot = &list(&document, "systems")[0]["cannot"];
    let facts: Vec<_> = cannot
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["fact"])
        .collect();
    assert_eq!(facts, ["reasons", "calls", "check", "stop_time"]);
    let ksplice = self::document("ksplice");
    let cannot = list(&list(&ksplice, "systems")[0], "cannot");
    let stops = cannot
        .iter()
        .find(|one| one["fact"] == "stop_time")
        .unwrap();
    let why = stops["why"].as_str().unwrap();
    assert!(why.starts_with("it is not recorded in files"), "{why}");
}

#[test]
fn the_older_table_and_a_patch_being_reverted() {
    let document = document("kgraft-threads");
    let patch = patch(&document, "kgr_uptime");
    assert_eq!(patch["state"], "in_transition");
    assert_eq!(patch["transition"]["direction"], "unpatching");
    let function = function(patch, Value::Null, "uptime_proc_show");
    assert_eq!(function["wins"], false, "it goes");
}

#[test]
fn ksplices_updates_are_listed_as_they_stand() {
    let document = document("ksplice");
    let standing = |name| patch(&document, name)["state"].clone();
    assert_eq!(standing("dfvn0zq8"), "enabled");
    assert_eq!(standing("2ok6q1cg"), "in_transition");
    assert_eq!(standing("x81w4pqn"), "refused");
    assert_eq!(standing("r8q2mmva"), "disabled");
    assert_eq!(
        patch(&document, "x81w4pqn")["refusal"]["cause"],
        "code_busy"
    );
    let expected = json!([{"id": "CVE-2014-3688", "engine": "ksplice", "patch": "dfvn0zq8"}]);
    assert_eq!(document["cves"], expected);
}

#[test]
fn ksplices_functions_are_unknown_and_its_refusals_shown() {
    let output = lpwatch("ksplice", &["calls"]);
    let text = String::from_utf8_lossy(&output.stdout).replace('\n', " ");
    assert!(
        text.contains("x81w4pqn") && text.contains("dfvn0zq8"),
        "{text}"
    );
    let why = "their functions are unknown: Ksplice does not show which functions it changes.";
    assert!(
        text.contains(why) && !text.contains("No live patch"),
        "{text}"
    );
    let output = lpwatch("ksplice", &["calls", "-o", "json"]);
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        list(&document, "functions_unknown").len(),
        4,
        "{document:#}"
    );
    assert_eq!(document["functions"], json!([]));

    let output = lpwatch("ksplice", &["status", "x81w4pqn"]);
    assert_eq!(output.status.code(), Some(12), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("Refused (code_busy): "), "{text}");
}

#[test]
fn several_systems_at_once_are_one_inventory() {
    let document = document("systems");
    let systems: Vec<_> = list(&document, "systems")
        .iter()
        .map(|one| &one["engine"])
        .collect();
    assert_eq!(
        systems,
        ["livepatch", "kpatch", "kgraft", "kernelcare", "openeuler"]
    );
    let livepatch = patch(&document, "kpatch_4_18_0_94_1_1");
    assert_eq!(livepatch["vendor"], "red_hat");
    assert_eq!(livepatch["disk"]["state"], "installed");
    let core = patch(&document, "kpatch_meminfo");
    let show = function(core, "vmlinux", "meminfo_proc_show");
    assert_eq!(show["old_address"], "0xffffffff812f3a10");
    assert_eq!(core["disk"]["state"], "loaded_not_installed");
    assert_eq!(patch(&document, "kgr_old")["state"], "disabled");
    assert_eq!(patch(&document, "klp_fix")["engine"], "openeuler");
    assert_eq!(
        document["effective_kernel"]["version"],
        "4.18.0-305.el8.x86_64"
    );
    let files: Vec<_> = list(&document, "not_loaded")
        .iter()
        .map(|file| {
            (
                file["name"].as_str().unwrap(),
                file["state"].as_str().unwrap(),
            )
        })
        .collect();
    let expected = [
        ("kpatch_4_18_0_94_1_2", "installed_not_loaded"),
        ("kpatch_4_18_0_80_1_1", "installed_other_kernel"),
    ];
    assert_eq!(files, expected);
    assert_eq!(list(&document, "cves").len(), 2);
}

#[test]
fn people_get_a_table_and_programs_a_line_a_patch() {
    let output = lpwatch("systems", &["patches"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    for told in [
        "kpatch_meminfo  enabled, kpatch\n",
        "  nfs: (not loaded) nfs_show_stats (2)\n",
        "in force 4.18.0-305.el8.x86_64",
        "  kpatch_4_18_0_94_1_2  installed, not loaded, Red Hat\n",
    ] {
        assert!(text.contains(told), "{told}: {text}");
    }
    let output = lpwatch("systems", &["patches", "-o", "jsonl"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 5);
}

#[test]
fn a_host_without_any_system_is_said_to_be_one() {
    let output = lpwatch("modules", &["patches"]);
    assert_eq!(output.status.code(), Some(1), "no such root: {output:?}");
    let proc = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/trees/ksplice/proc");
    let output = Command::new(env!("CARGO_BIN_EXE_lpwatch"))
        .arg("patches")
        .arg("--sysfs-root")
        .arg(proc)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(4), "{output:?}");
}
