//! Tests of gathering what a host has of a patch's objects, on trees.

use std::fs;

use super::*;
use crate::{
    check::rules::samples,
    kernel::{
        modules::Likeness,
        patch_file::{
            PatchObject,
            tests::{module_of, module_with},
        },
    },
};

const KALLSYMS: &str = "\
ffffffff81000000 t once
ffffffff81000000 t other_name
ffffffff81000010 t twice
ffffffff81000020 t twice
ffffffff81000030 D data
ffffffff81000040 t blind
ffffffff81000050 t once.part.0
ffffffff81000060 T end
";

struct ObjectTree {
    folder: tempfile::TempDir,
    roots: Roots,
}

impl ObjectTree {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let roots = Roots {
            sysfs: folder.path().join("sys"),
            procfs: folder.path().join("proc"),
        };
        let tree = Self { folder, roots };
        for (path, text) in files {
            tree.write(path, text.as_bytes());
        }
        tree
    }

    fn write(&self, path: &str, bytes: &[u8]) {
        let path = self.folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn facts(&self, patch: &PatchFile, patches: &[PatchView]) -> ObjectFacts {
        let disk = Disk::at(&self.folder.path().join("modules"));
        ObjectFacts::gather(&ObjectQuery {
            roots: &self.roots,
            disk: &disk,
            patch,
            patches,
        })
    }
}

fn id(name: &str, sympos: u32) -> FunctionId {
    FunctionId {
        object: VMLINUX.to_owned(),
        name: name.to_owned(),
        sympos,
    }
}

fn begins(extents: &[Extent]) -> Vec<u64> {
    let extents = extents.iter();
    extents.map(|extent| extent.begin & 0xffff).collect()
}

#[test]
fn each_function_has_its_extent() {
    let tree = ObjectTree::new(&[("proc/kallsyms", KALLSYMS)]);
    let mut patch = samples::patch(&["once", "twice", "twice", "twice", "data", "none"]);
    patch.objects[0].functions[2].sympos = 2;
    patch.objects[0].functions[3].sympos = 3;
    let facts = tree.facts(&patch, &[]);
    for (name, sympos, expected) in [
        ("once", 1, &[0_u64][..]),
        ("twice", 1, &[0x10, 0x20]),
        ("twice", 2, &[0x20]),
        ("twice", 3, &[]),
        ("data", 1, &[]),
        ("none", 1, &[]),
    ] {
        assert_eq!(
            begins(&facts.functions[&id(name, sympos)]),
            expected,
            "{name}"
        );
    }
    let symbols = facts.symbols.unwrap();
    assert_eq!(symbols[&id("twice", 2)].count, 2);
    assert!(!symbols[&id("data", 1)].is_code);
    assert_eq!(symbols[&id("once", 1)].parts, ["once.part.0"]);
    assert!(!facts.hidden);
    // Where tracefs is not mounted that is said.
    assert_eq!(symbols[&id("once", 1)].traceable, None);
    assert!(facts.unread[0].contains("tracing"), "{:?}", facts.unread);
}

#[test]
fn a_kernel_that_tells_nothing_is_noted() {
    let facts = ObjectTree::new(&[]).facts(&samples::patch(&["f"]), &[]);
    assert_eq!(facts.functions[&id("f", 1)], []);
    assert_eq!(facts.symbols, None);
    assert!(facts.unread[0].contains("kallsyms"), "{:?}", facts.unread);
}

#[test]
fn a_function_is_listed_by_its_first_name_only() {
    let tree = ObjectTree::new(&[
        ("proc/kallsyms", KALLSYMS),
        (
            "sys/kernel/tracing/available_filter_functions",
            "once\ntwice\n",
        ),
    ]);
    let mut patch = samples::patch(&["once", "other_name", "twice", "blind"]);
    patch.objects[0].functions[2].sympos = 2;
    let facts = tree.facts(&patch, &[]);
    let traceable = |name, sympos| facts.symbols.as_ref().unwrap()[&id(name, sympos)].traceable;
    assert_eq!(traceable("once", 1), Some(true));
    assert_eq!(traceable("other_name", 1), Some(true));
    assert_eq!(traceable("blind", 1), Some(false));
    // One of the two: which is not told without addresses.
    assert_eq!(traceable("twice", 2), None);
    let addresses = "ffffffff81000014 twice\n";
    tree.write(
        "sys/kernel/tracing/available_filter_functions_addrs",
        addresses.as_bytes(),
    );
    let facts = tree.facts(&patch, &[]);
    assert_eq!(
        facts.symbols.unwrap()[&id("twice", 2)].traceable,
        Some(false)
    );
    assert_eq!(facts.unread, Vec::<String>::new());
}

#[test]
fn what_loaded_patches_put_in_place_is_known_from_their_files() {
    let file = samples::patch(&["once", "gone"]);
    let code = code(&file).unwrap();
    assert_eq!(code.patch, "fix");
    let expected = [
        (id("once", 1), "new_once".to_owned()),
        (id("gone", 1), "new_gone".to_owned()),
    ];
    assert_eq!(code.functions, expected);

    let mut nameless = file.clone();
    nameless.objects[0].functions[1].new_function = None;
    assert_eq!(super::code(&nameless), None);
    let mut partial = file;
    partial.unread = vec!["the functions of nfs: their list is odd".to_owned()];
    assert_eq!(super::code(&partial), None);
    assert_eq!(super::code(&samples::patch(&[])), None);

    // Without its file nothing is known of a loaded patch.
    let tree = ObjectTree::new(&[("proc/kallsyms", KALLSYMS)]);
    let older = samples::loaded("older", &["once"]);
    let facts = tree.facts(&samples::patch(&["once"]), &[older]);
    assert_eq!(facts.stand_ins, []);
}

#[test]
fn the_loaded_module_is_held_against_the_kernels_own() {
    let tree = ObjectTree::new(&[
        ("proc/kallsyms", KALLSYMS),
        ("sys/module/fuse/initstate", "live\n"),
        ("sys/module/fuse/taint", "O\n"),
        ("sys/module/fuse/srcversion", "THEIRS\n"),
        ("sys/module/fix/initstate", "live\n"),
        ("sys/module/fix/srcversion", "FIX\n"),
        ("modules/modules.dep", "updates/fuse.ko:\n"),
        ("modules/modules.order", "kernel/fs/fuse.ko\n"),
        ("modules/modules.builtin", "kernel/lib/zlib.ko\n"),
    ]);
    let file = module_of(&["name=fuse", "srcversion=OURS"]);
    tree.write("modules/kernel/fs/fuse.ko", &file);
    let mut patch = samples::patch(&[]);
    patch.modinfo.depends = ["fuse", "no-such"].map(str::to_owned).into();
    for name in ["fuse", "zlib", "nfs"] {
        patch.objects.push(PatchObject {
            name: name.to_owned(),
            functions: Vec::new(),
            callbacks: Vec::new(),
        });
    }
    let facts = tree.facts(&patch, &[]);
    assert_eq!(facts.modules.len(), 3);
    let fuse = &facts.modules["fuse"];
    assert_eq!(fuse.presence, Some(Presence::Loaded));
    assert_eq!(fuse.taint.as_deref(), Some("O"));
    let in_tree = fuse.in_tree.as_ref().unwrap();
    assert_eq!(fuse.build.compare(&in_tree.build), Likeness::Different);
    assert!(
        fuse.preferred
            .as_ref()
            .unwrap()
            .ends_with("updates/fuse.ko")
    );
    assert_eq!(facts.modules["zlib"].presence, Some(Presence::BuiltIn));
    assert_eq!(facts.modules["nfs"].presence, Some(Presence::NotLoaded));
    assert_eq!(facts.needed["no_such"], Some(Presence::NotLoaded));
    let namesake = facts.namesake.unwrap();
    assert_eq!(namesake.srcversion.as_deref(), Some("FIX"));
}

#[test]
fn the_functions_of_a_module_that_is_not_loaded_are_counted_in_its_file() {
    let tree = ObjectTree::new(&[
        ("sys/module/here/initstate", "live\n"),
        (
            "modules/modules.dep",
            "kernel/gone.ko:\nkernel/here.ko:\nkernel/bad.ko:\n",
        ),
        ("modules/kernel/bad.ko", "no module"),
    ]);
    let file = module_with(&["f", "twice", "twice", "other"]);
    tree.write("modules/kernel/gone.ko", &file);
    tree.write("modules/kernel/here.ko", &file);
    let counts = |name: &str| {
        let mut patch = samples::patch(&["f", "twice", "missing"]);
        name.clone_into(&mut patch.objects[0].name);
        tree.facts(&patch, &[]).modules[name].in_file.clone()
    };
    let expected = [("f", 1), ("missing", 0), ("twice", 2)];
    let expected = expected.map(|(name, count)| (name.to_owned(), count));
    assert_eq!(counts("gone"), Some(expected.into()));
    for unknown in ["here", "bad", "nowhere"] {
        assert_eq!(counts(unknown), None, "{unknown}");
    }
}

#[test]
fn the_module_that_a_wrong_name_means_is_found() {
    let tree = ObjectTree::new(&[
        ("proc/kallsyms", KALLSYMS),
        ("sys/module/my_mod/initstate", "live\n"),
        ("sys/module/xt_TCPMSS/initstate", "live\n"),
        (
            "modules/modules.dep",
            "kernel/fs/Both.ko:\nkernel/fs/both.ko:\nkernel/fs/Disk.ko:\n",
        ),
        ("modules/modules.builtin", "kernel/lib/zlib.ko\n"),
    ]);
    let meant = |name: &str| {
        let mut patch = samples::patch(&["f"]);
        name.clone_into(&mut patch.objects[0].name);
        let meant = tree.facts(&patch, &[]).modules[name].meant.clone();
        meant.map(|meant| (meant.name, meant.presence, meant.by_case))
    };
    let found = |name: &str, presence, by_case| Some((name.to_owned(), presence, by_case));
    let loaded = Some(Presence::Loaded);
    let absent = Some(Presence::NotLoaded);
    for name in ["my_mod", "unknown", "xt_TCPMSS", "Both", "both", "zlib"] {
        assert_eq!(meant(name), None, "{name}");
    }
    assert_eq!(meant("my-mod"), found("my_mod", loaded, false));
    assert_eq!(meant("net/my-mod.ko.xz"), found("my_mod", loaded, false));
    assert_eq!(meant("MY_MOD"), found("my_mod", loaded, true));
    assert_eq!(meant("xt_tcpmss.ko"), found("xt_TCPMSS", loaded, false));
    assert_eq!(meant("disk"), found("Disk", absent, true));
    assert_eq!(
        meant("zlib.ko"),
        found("zlib", Some(Presence::BuiltIn), false)
    );
    assert_eq!(meant("gone.ko"), found("gone", absent, false));
    assert_eq!(meant("vmlinux.ko"), found("vmlinux", None, false));
    assert_eq!(meant(" "), found("", None, false));
}
