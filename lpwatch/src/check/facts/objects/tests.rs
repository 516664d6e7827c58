//! Tests of gathering what a host has of a patch's objects, on trees.

use super::*;
use crate::check::rules::samples;

const KALLSYMS: &str = "\
ffffffff81000000 t once
ffffffff81000010 t twice
ffffffff81000020 t twice
ffffffff81000030 D data
ffffffff81000040 T end
";

fn roots(folder: &tempfile::TempDir) -> Roots {
    Roots {
        sysfs: folder.path().join("sys"),
        procfs: folder.path().join("proc"),
    }
}

fn begins(facts: &ObjectFacts, name: &str, sympos: u32) -> Vec<u64> {
    let id = FunctionId {
        object: "vmlinux".to_owned(),
        name: name.to_owned(),
        sympos,
    };
    let extents = facts.functions[&id].iter();
    extents.map(|extent| extent.begin & 0xffff).collect()
}

#[test]
fn each_function_has_its_extent() {
    let folder = tempfile::tempdir().unwrap();
    let roots = roots(&folder);
    std::fs::create_dir(&roots.procfs).unwrap();
    std::fs::write(roots.procfs.join("kallsyms"), KALLSYMS).unwrap();
    let mut patch = samples::patch(&["once", "twice", "twice", "twice", "data", "none"]);
    patch.objects[0].functions[2].sympos = 2;
    patch.objects[0].functions[3].sympos = 3;
    let mut notes = Vec::new();
    let facts = ObjectFacts::gather(&roots, &patch, &mut notes);
    assert_eq!(begins(&facts, "once", 1), [0]);
    assert_eq!(begins(&facts, "twice", 1), [0x10, 0x20]);
    assert_eq!(begins(&facts, "twice", 2), [0x20]);
    for (name, sympos) in [("twice", 3), ("data", 1), ("none", 1)] {
        assert!(begins(&facts, name, sympos).is_empty(), "{name}");
    }
    assert_eq!((facts.hidden, notes.len()), (false, 0));
}

#[test]
fn a_kernel_that_tells_nothing_is_noted() {
    let folder = tempfile::tempdir().unwrap();
    let mut notes = Vec::new();
    let facts = ObjectFacts::gather(&roots(&folder), &samples::patch(&["f"]), &mut notes);
    assert!(begins(&facts, "f", 1).is_empty());
    assert_eq!(notes.len(), 1);
    assert!(notes[0].contains("kallsyms"), "{notes:?}");
}
