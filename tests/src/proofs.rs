//! docs/history.md says which test shows each kind of event and each exit code. Here that
//! is compared with the kinds, the exit codes and the tests that there are.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::scenarios::all;

const PAGE: &str = include_str!("../../docs/history.md");
const SCHEMA: &str = include_str!("../../docs/schema.json");
const EXIT: &str = include_str!("../../lpwatch/src/exit.rs");

/// The last section of the page: what each row names, without the marks of code.
fn rows() -> BTreeMap<String, Vec<String>> {
    let (_, section) = PAGE.split_once("\n## What shows it\n").unwrap();
    let lines = section.lines().filter(|line| line.starts_with("| "));
    let rows = lines.skip(1).map(|line| {
        let mut cells = line.trim_matches('|').split('|').map(str::trim);
        let what = cells.next().unwrap().trim_matches('`').to_owned();
        let names = cells.next().unwrap().split(", ");
        let names = names.map(|name| name.trim_matches('`').to_owned());
        (what, names.collect())
    });
    rows.collect()
}

/// The kinds of events, as the schema lists them.
fn kinds() -> BTreeSet<String> {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let kinds = schema["$defs"]["EventKind"]["oneOf"].as_array().unwrap();
    let kinds = kinds.iter().map(|kind| kind["const"].as_str().unwrap());
    kinds.map(str::to_owned).collect()
}

/// The exit codes of lpwatch.
fn codes() -> BTreeSet<String> {
    let values = EXIT.lines().filter_map(|line| {
        let (name, value) = line.trim().strip_suffix(',')?.split_once(" = ")?;
        let is_variant = name.chars().all(|one| one.is_ascii_alphabetic());
        (is_variant && value.parse::<u8>().is_ok()).then(|| format!("exit code {value}"))
    });
    values.collect()
}

/// All that is in the files of a folder of the workspace.
fn text_of(folder: &str) -> String {
    let mut left = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    let mut text = String::new();
    while let Some(path) = left.pop() {
        if path.is_dir() {
            let inside = fs::read_dir(path).unwrap();
            left.extend(inside.map(|one| one.unwrap().path()));
        } else if path.extension() == Some("rs".as_ref()) {
            text.push_str(&fs::read_to_string(PathBuf::from(&path)).unwrap());
        }
    }
    text
}

#[test]
fn each_kind_of_event_and_each_exit_code_is_shown_by_a_test() {
    let rows = rows();
    let (kinds, codes) = (kinds(), codes());
    assert!(kinds.len() > 20 && codes.len() > 10, "{kinds:?} {codes:?}");
    let listed: BTreeSet<String> = rows.keys().cloned().collect();
    assert_eq!(listed, kinds.union(&codes).cloned().collect());
    let scenarios: BTreeSet<&str> = all().map(|scenario| scenario.name).collect();
    let (asserted, unit_tests) = (text_of("src/scenarios"), text_of("../lpwatch/src/model"));
    for (what, names) in &rows {
        let mut is_scenario = false;
        for name in names {
            let is_one = scenarios.contains(name.as_str());
            let is_unit_test = unit_tests.contains(&format!("#[test]\nfn {name}()"));
            assert!(is_one || is_unit_test, "{what}: no test is called {name}");
            is_scenario |= is_one;
        }
        // A kind that no scenario asks for is none that a scenario shows.
        if kinds.contains(what) && is_scenario {
            assert!(asserted.contains(&format!("\"{what}\"")), "{what}");
        }
    }
}
