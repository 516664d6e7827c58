//! Tests of what is counted, and of what is taken from a daemon.

use super::*;
use crate::check::{
    facts::objects::{Extent, SymbolFacts},
    rules::samples,
};

fn id(name: &str) -> FunctionId {
    FunctionId::new("vmlinux", name, 0)
}

/// Each function once, at an address of its own, traceable.
fn objects(names: &[&str]) -> ObjectFacts {
    let mut objects = ObjectFacts::default();
    let mut symbols = BTreeMap::new();
    for (name, begin) in names.iter().zip((0x1000..).step_by(0x10)) {
        let extent = Extent {
            begin,
            end: begin + 0x10,
        };
        objects.functions.insert(id(name), vec![extent]);
        let facts = SymbolFacts {
            count: 1,
            is_code: true,
            parts: Vec::new(),
            traceable: Some(true),
        };
        symbols.insert(id(name), facts);
    }
    objects.symbols = Some(symbols);
    objects
}

fn planned(names: &[&str], objects: &ObjectFacts, known: &Rates) -> (Vec<String>, usize) {
    let Plan { at, left } = Plan::of(&samples::patch(names), objects, known);
    let names = at.into_iter().map(|(id, at)| {
        assert_eq!(at.symbol, id.name);
        assert_eq!(at.kind, CountKind::Kprobe, "fentry may keep the patch out");
        id.name
    });
    (names.collect(), left)
}

#[test]
fn what_is_there_once_and_traced_is_counted() {
    let names = ["once", "hidden", "twice", "blind", "unknown", "do_exit"];
    let mut objects = objects(&names);
    objects.functions.get_mut(&id("hidden")).unwrap()[0].begin = 0;
    let symbols = objects.symbols.as_mut().unwrap();
    symbols.get_mut(&id("twice")).unwrap().count = 2;
    symbols.get_mut(&id("blind")).unwrap().traceable = Some(false);
    symbols.get_mut(&id("unknown")).unwrap().traceable = None;
    let all = [&names[..], &["missing", "once"]].concat();
    let expected = (vec!["once".to_owned()], 0);
    assert_eq!(planned(&all, &objects, &Rates::new()), expected);
    objects.symbols = None;
    assert_eq!(planned(&all, &objects, &Rates::new()), (Vec::new(), 0));
}

#[test]
fn what_a_daemon_counts_is_not_counted_again() {
    let objects = objects(&["a", "b"]);
    let rate = CallRate {
        per_second: 1.0,
        seconds: 10.0,
        by: CountedBy::Daemon,
    };
    let known = Rates::from([(id("a"), rate)]);
    let expected = (vec!["b".to_owned()], 0);
    assert_eq!(planned(&["a", "b"], &objects, &known), expected);
}

#[test]
fn of_many_functions_some_are_counted() {
    let names: Vec<String> = (0..COUNTED_MAX + 3).map(|n| format!("f{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (counted, left) = planned(&names, &objects(&names), &Rates::new());
    assert_eq!((counted.len(), left), (COUNTED_MAX, 3));
}

#[test]
fn a_moment_makes_no_rate() {
    assert_eq!(rate(100, Duration::from_millis(100)), None);
    assert_eq!(rate(100, Duration::from_secs(4)), Some(25.0));
    assert_eq!(rate(0, Duration::from_secs(4)), Some(0.0));
}

#[test]
fn without_bpf_that_is_said_and_no_rate_is_made_up() {
    let (patch, objects) = (samples::patch(&["a"]), objects(&["a"]));
    let roots = Roots {
        sysfs: "/nonexistent".into(),
        ..Roots::default()
    };
    let mut notes = Vec::new();
    let known = Rates::new();
    let mut counting = Counting::begin(
        &roots,
        &patch,
        &objects,
        &known,
        Err("BPF is not used (--no-bpf)"),
        &mut notes,
    );
    assert_eq!(notes.len(), 1);
    assert!(notes[0].contains("recorded tree"), "{notes:?}");
    counting.update(&roots, &mut notes);
    assert_eq!((counting.end(), notes.len()), (Rates::new(), 1));
}

#[test]
fn a_daemon_that_knows_no_rate_yet_tells_none() {
    let calls = |old: Option<f64>| {
        serde_json::json!({
            "old": 7, "new": 0, "old_per_second": old, "new_per_second": 2.0, "rates": [],
            "counter": "kprobe", "counted_since": "2026-01-01T00:00:00Z", "before": null, "during": null,
            "after": null, "new_share": null, "entered": null, "effective": null,
            "uncertain": 0, "findings": []
        })
    };
    let watched = |name: &str, old| {
        serde_json::from_value(serde_json::json!({
            "object": "vmlinux", "name": name, "sympos": 1, "calls": calls(old),
            "not_counted": null
        }))
        .unwrap()
    };
    let mut snapshot = crate::model::samples::progressing();
    snapshot.watched = vec![
        watched("known", Some(40.0)),
        watched("known", Some(1.0)),
        watched("new", None),
    ];
    let rates = of_daemon(&snapshot);
    assert_eq!(rates.len(), 1);
    let known = rates[&id("known")];
    assert_eq!((known.per_second, known.by), (42.0, CountedBy::Daemon));
}
