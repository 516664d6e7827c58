//! Tests of what is said of functions and modules.

use std::collections::BTreeMap;

use crate::{
    check::{
        facts::{
            CheckFacts,
            objects::{ModuleFacts, ModuleFile, ObjectFacts, SymbolFacts},
        },
        rules::{
            errno::{EEXIST, EINVAL},
            samples,
        },
    },
    kernel::{
        kallsyms::VMLINUX,
        modules::{Build, Presence},
        patch_file::PatchFile,
    },
};

use super::*;
use crate::model::calls::FunctionId;

fn fine() -> SymbolFacts {
    SymbolFacts {
        count: 1,
        is_code: true,
        parts: Vec::new(),
        traceable: Some(true),
    }
}

fn id(object: &str, name: &str, sympos: u32) -> FunctionId {
    FunctionId {
        object: object.to_owned(),
        name: name.to_owned(),
        sympos,
    }
}

fn facts(symbols: Vec<(FunctionId, SymbolFacts)>) -> CheckFacts {
    CheckFacts {
        objects: ObjectFacts {
            symbols: Some(symbols.into_iter().collect()),
            ..ObjectFacts::default()
        },
        ..CheckFacts::default()
    }
}

/// What is said, as severity and refusal.
fn said(patch: &PatchFile, facts: &CheckFacts) -> Vec<(Severity, Option<u32>)> {
    let found = judge(&samples::context(patch, facts));
    for finding in &found {
        assert!(finding.text.ends_with('.'), "{}", finding.text);
        assert!(!finding.evidence.is_empty(), "{}", finding.text);
    }
    let found = found.iter();
    found
        .map(|finding| {
            (
                finding.severity,
                finding.refusal.map(|refusal| refusal.errno),
            )
        })
        .collect()
}

/// What is said of a function `f` of vmlinux.
fn of_function(sympos: u32, symbol: SymbolFacts) -> Vec<(Severity, Option<u32>)> {
    let mut patch = samples::patch(&["f"]);
    patch.objects[0].functions[0].sympos = sympos;
    said(
        &patch,
        &facts(vec![(id(VMLINUX, "f", sympos.max(1)), symbol)]),
    )
}

#[test]
fn what_the_kernel_would_refuse_is_a_danger() {
    let refused = [(Severity::Danger, Some(EINVAL))];
    let symbol = |count| SymbolFacts { count, ..fine() };
    assert_eq!(of_function(0, fine()), []);
    assert_eq!(of_function(1, fine()), []);
    assert_eq!(of_function(0, symbol(0)), refused);
    assert_eq!(of_function(0, symbol(2)), refused);
    assert_eq!(of_function(3, symbol(2)), refused);
    let data = SymbolFacts {
        is_code: false,
        ..fine()
    };
    assert_eq!(of_function(0, data), refused);
    let untraceable = SymbolFacts {
        traceable: Some(false),
        ..fine()
    };
    assert_eq!(of_function(0, untraceable), refused);
}

#[test]
fn what_is_not_known_is_a_warning() {
    let not_known = SymbolFacts {
        traceable: None,
        ..fine()
    };
    assert_eq!(of_function(0, not_known), [(Severity::Warning, None)]);
    let facts = CheckFacts {
        objects: ObjectFacts {
            unread: vec!["kallsyms".to_owned()],
            ..ObjectFacts::default()
        },
        ..CheckFacts::default()
    };
    let patch = samples::patch(&["f"]);
    assert_eq!(said(&patch, &facts), [(Severity::Warning, None)]);
    assert_eq!(said(&samples::patch(&[]), &facts), []);
}

#[test]
fn a_position_and_parts_are_noted() {
    let note = (Severity::Note, None);
    let second = SymbolFacts { count: 2, ..fine() };
    assert_eq!(of_function(2, second), [note]);
    let split = SymbolFacts {
        parts: ["f.part.0", "f.cold"].map(str::to_owned).into(),
        ..fine()
    };
    assert_eq!(of_function(0, split.clone()), [note, note]);
    // The patch changes the part, too.
    let patch = samples::patch(&["f", "f.part.0"]);
    let facts = facts(vec![
        (id(VMLINUX, "f", 1), split),
        (id(VMLINUX, "f.part.0", 1), fine()),
    ]);
    assert_eq!(said(&patch, &facts), [note]);
}

#[test]
fn many_functions_make_one_finding() {
    let patch = samples::patch(&["a", "b", "c", "d", "e"]);
    let missing = SymbolFacts::default();
    let names = ["a", "b", "c", "d", "e"];
    let facts = facts(
        names
            .map(|name| (id(VMLINUX, name, 1), missing.clone()))
            .into(),
    );
    let found = judge(&samples::context(&patch, &facts));
    assert_eq!((found.len(), found[0].evidence.len()), (1, 5));
    assert!(
        found[0].text.contains("a, b, c and 2 more"),
        "{}",
        found[0].text
    );
}

#[test]
fn a_function_named_twice_is_refused() {
    let mut patch = samples::patch(&["f", "f"]);
    patch.objects[0].functions[1].sympos = 1;
    let facts = facts(vec![(id(VMLINUX, "f", 1), fine())]);
    assert_eq!(said(&patch, &facts), [(Severity::Danger, Some(EEXIST))]);
}

/// What is said of a patch for a function `f` of fuse.
fn of_module(module: ModuleFacts) -> Vec<(Severity, Option<u32>)> {
    let mut patch = samples::patch(&["f"]);
    "fuse".clone_into(&mut patch.objects[0].name);
    let is_loaded = module.presence == Some(Presence::Loaded);
    let symbol = if is_loaded {
        fine()
    } else {
        SymbolFacts::default()
    };
    let mut facts = facts(vec![(id("fuse", "f", 1), symbol)]);
    facts.objects.modules = BTreeMap::from([("fuse".to_owned(), module)]);
    said(&patch, &facts)
}

fn build(srcversion: &str, build_id: &str) -> Build {
    Build {
        srcversion: Some(srcversion.to_owned()),
        build_id: Some(build_id.to_owned()),
    }
}

fn loaded(taint: &str, in_tree: Option<Build>) -> ModuleFacts {
    ModuleFacts {
        presence: Some(Presence::Loaded),
        taint: Some(taint.to_owned()),
        build: build("A", "1"),
        disk_known: true,
        preferred: in_tree.is_some().then(|| "fuse.ko".into()),
        in_tree: in_tree.map(|build| ModuleFile {
            path: "fuse.ko".into(),
            build,
        }),
        in_file: None,
        meant: None,
    }
}

#[test]
fn a_module_of_another_build_is_a_danger() {
    assert_eq!(of_module(loaded("", Some(build("A", "1")))), []);
    let danger = [(Severity::Danger, None)];
    assert_eq!(of_module(loaded("", Some(build("B", "2")))), danger);
    // The kernel's own file was overwritten.
    assert_eq!(of_module(loaded("OE", Some(build("A", "1")))), danger);
    let rebuilt = loaded("E", Some(build("A", "2")));
    assert_eq!(of_module(rebuilt), [(Severity::Warning, None)]);
    let not_known = loaded("", Some(Build::default()));
    assert_eq!(of_module(not_known), [(Severity::Note, None)]);
}

#[test]
fn a_module_that_only_exists_out_of_tree_is_what_the_patch_is_for() {
    assert_eq!(of_module(loaded("O", None)), [(Severity::Note, None)]);
    let unknown_disk = ModuleFacts {
        disk_known: false,
        ..loaded("O", None)
    };
    assert_eq!(of_module(unknown_disk.clone()), [(Severity::Warning, None)]);
    let in_tree = ModuleFacts {
        taint: Some(String::new()),
        ..unknown_disk
    };
    assert_eq!(of_module(in_tree), [(Severity::Note, None)]);
}

#[test]
fn a_module_that_is_not_loaded_is_noted() {
    let absent = ModuleFacts {
        presence: Some(Presence::NotLoaded),
        ..loaded("", Some(build("A", "1")))
    };
    assert_eq!(of_module(absent.clone()), [(Severity::Note, None)]);
    let shadowed = ModuleFacts {
        preferred: Some("updates/fuse.ko".into()),
        ..absent.clone()
    };
    assert_eq!(of_module(shadowed), [(Severity::Warning, None)]);
    let built_in = ModuleFacts {
        presence: Some(Presence::BuiltIn),
        ..absent.clone()
    };
    assert_eq!(of_module(built_in), [(Severity::Danger, None)]);
    let not_known = ModuleFacts {
        presence: None,
        ..absent
    };
    assert_eq!(of_module(not_known), [(Severity::Warning, None)]);
}

#[test]
fn a_module_whose_file_the_patch_does_not_fit_is_a_danger() {
    let with = |sympos, count| {
        let mut patch = samples::patch(&["f"]);
        let object = &mut patch.objects[0];
        "fuse".clone_into(&mut object.name);
        object.functions[0].sympos = sympos;
        let mut facts = facts(Vec::new());
        let module = ModuleFacts {
            presence: Some(Presence::NotLoaded),
            preferred: Some("kernel/fs/fuse.ko".into()),
            in_file: Some(BTreeMap::from([("f".to_owned(), count)])),
            ..ModuleFacts::default()
        };
        facts.objects.modules = BTreeMap::from([("fuse".to_owned(), module)]);
        said(&patch, &facts)
    };
    // The kernel takes the patch: no refusal.
    let danger = [(Severity::Danger, None)];
    assert_eq!(with(0, 0), danger, "missing");
    assert_eq!(with(0, 2), danger, "ambiguous");
    assert_eq!(with(3, 2), danger, "too few");
    for (sympos, count) in [(0, 1), (1, 1), (2, 2)] {
        assert!(
            !with(sympos, count).contains(&danger[0]),
            "{sympos} {count}"
        );
    }
}

#[test]
fn a_module_that_is_needed_is_asked_for() {
    let mut facts = facts(vec![(id(VMLINUX, "f", 1), fine())]);
    facts.objects.needed = BTreeMap::from([
        ("nfs".to_owned(), Some(Presence::NotLoaded)),
        ("zlib".to_owned(), Some(Presence::BuiltIn)),
        ("ext4".to_owned(), Some(Presence::Loaded)),
    ]);
    let patch = samples::patch(&["f"]);
    assert_eq!(said(&patch, &facts), [(Severity::Warning, None)]);
}
