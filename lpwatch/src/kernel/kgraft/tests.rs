//! Trees as kernels with kGraft show them, and such that come apart.

use super::*;
use crate::kernel::files::tests::FakeHost;

fn functions(table: &str) -> (Option<Vec<GraftFunction>>, Vec<String>) {
    let host = FakeHost::new(&[("sys/kernel/kgraft/p/state", table)]);
    let graft = read(&host.roots).unwrap().unwrap();
    (graft.patches[0].functions.clone(), graft.notes)
}

fn function(name: &str, object: Option<&str>, sympos: Option<u32>, state: u32) -> GraftFunction {
    GraftFunction {
        name: name.to_owned(),
        object: object.map(str::to_owned),
        sympos,
        state: FunctionState::of(state),
    }
}

#[test]
fn all_files_of_a_patch_are_read() {
    let host = FakeHost::new(&[
        ("sys/kernel/kgraft/in_progress", "1\n"),
        ("sys/kernel/kgraft/force_load_module", "0\n"),
        (
            "sys/kernel/kgraft/kgr_a/state",
            "Function  Weak  State\nf  0  1\n",
        ),
        ("sys/kernel/kgraft/kgr_a/refs", "2\n"),
        ("sys/kernel/kgraft/kgr_a/replace_all", "1\n"),
        ("sys/kernel/kgraft/kgr_a/revert", ""),
        ("sys/module/kgraft_patch_a/", ""),
    ]);
    std::os::unix::fs::symlink(
        "../../../module/kgraft_patch_a",
        host.path("sys/kernel/kgraft/kgr_a/owner"),
    )
    .unwrap();
    let graft = read(&host.roots).unwrap().unwrap();
    assert_eq!(graft.notes, [""; 0]);
    assert_eq!(graft.in_progress, Some(true));
    assert_eq!(graft.force_load_module, Some(false));
    assert_eq!(
        graft.patches,
        [GraftPatch {
            name: "kgr_a".to_owned(),
            functions: Some(vec![function("f", None, None, 1)]),
            refs: Some(2),
            replace_all: Some(true),
            owner: Some("kgraft_patch_a".to_owned()),
        }]
    );
}

#[test]
fn every_form_of_the_table_is_read() {
    let forms = [
        (
            "Function              Fatal  State\nf                         1      2\n",
            function("f", None, None, 2),
        ),
        (
            "Function               Weak  State\nf                         0      1\n",
            function("f", None, None, 1),
        ),
        (
            "Function              Object                State\nf  ext4  3\n",
            function("f", Some("ext4"), None, 3),
        ),
        (
            "Function              Object                Sympos  State\nf  vmlinux  2  4\n",
            function("f", Some("vmlinux"), Some(2), 4),
        ),
    ];
    for (table, expected) in forms {
        let (read, notes) = functions(table);
        assert_eq!(read.unwrap(), [expected], "{table}");
        assert_eq!(notes, [""; 0]);
    }
}

#[test]
fn a_table_cut_in_mid_line_is_reported() {
    let mut table = "Function  Object  Sympos  State\n".to_owned();
    let line = format!("{}  vmlinux  1  2\n", "f".repeat(50));
    while table.len() + line.len() <= PAGE {
        table.push_str(&line);
    }
    let whole = table.lines().count() - 1;
    table.push_str(&line[..20]);
    let (read, notes) = functions(&table);
    assert_eq!(read.unwrap().len(), whole);
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0].ends_with("is cut off: more functions may follow."));
    // Cut behind the number: that it is 12 is not to be taken for 1.
    let (read, notes) = functions("Function  Weak  State\nf  0  1");
    assert_eq!((read.unwrap().len(), notes.len()), (0, 1));
}

#[test]
fn what_makes_no_sense_hides_nothing_else() {
    let (read, notes) = functions("Function  Weak  State\nf  0  x\ng  0  99\n\nh  0\ni  0  2\n");
    let expected = [function("g", None, None, 99), function("i", None, None, 2)];
    assert_eq!(read.unwrap(), expected);
    assert_eq!(notes.len(), 1, "{notes:?}");
    for head in [
        "",
        "\n",
        "Name  State\n",
        "Function  Weak\n",
        "\u{fffd}\0\n",
    ] {
        let (read, notes) = functions(head);
        assert_eq!((read, notes.len()), (None, 1), "{head:?}");
    }
}

#[test]
fn where_a_patch_goes_is_recognized_by_its_functions() {
    let enabled = |states: &[u32]| {
        let patch = GraftPatch {
            name: String::new(),
            functions: Some(
                states
                    .iter()
                    .map(|&state| function("f", None, None, state))
                    .collect(),
            ),
            refs: None,
            replace_all: None,
            owner: None,
        };
        patch.enabled()
    };
    assert_eq!(enabled(&[1, 5]), Some(true));
    assert_eq!(enabled(&[2, 2]), Some(true));
    assert_eq!(enabled(&[6]), Some(true));
    assert_eq!(enabled(&[2, 3]), Some(false), "it is being replaced");
    assert_eq!(enabled(&[3]), Some(false));
    assert_eq!(enabled(&[4, 4]), Some(false));
    assert_eq!(enabled(&[0]), Some(false));
    assert_eq!(enabled(&[5]), None, "its modules are not loaded");
    assert_eq!(enabled(&[99]), None);
    assert_eq!(enabled(&[]), None);
}

#[test]
fn without_kgraft_there_is_nothing_and_a_wrong_root_is_reported() {
    let mut host = FakeHost::new(&[]);
    assert_eq!(read(&host.roots).unwrap(), None);
    host.roots.sysfs.push("mistyped");
    assert!(read(&host.roots).is_err());
}
